/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The connections that are open, with a deadline each. There is room for CLIENTS_MAX. Whoever comes
 * then takes the place of the one that has gone longest without an answer, so that no number of
 * clients that only hold connections keeps others out.
 */
#ifndef SOCKFAIR_CLIENTS_H
#define SOCKFAIR_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

#define CLIENTS_MAX 256
/*
 * Descriptors that a process with so many clients may have open: the rest is for what it began
 * with, and for one that is accepted beyond.
 */
#define CLIENTS_DESCRIPTORS (CLIENTS_MAX + 32)

/*
 * From the connection's beginning, or the end of the last answer, to the end of the next request;
 * and once more from there to the end of its answer, so that a client that asks on a connection
 * that was idle has as long to read as any other. It is twice what Prometheus waits by default
 * (scrape_timeout, 10 s).
 */
#define CLIENTS_DEADLINE_NS 20000000000ull

struct http_clients {
	struct http_client {
		uint64_t since_ns; /* CLOCK_MONOTONIC: of the request, or of the answer: its
				      beginning; 0: none */
		bool asked;        /* an answer is on its way */
		bool cut;          /* its connection has been shut down, and will be closed */
	} by_descriptor[CLIENTS_DESCRIPTORS];
	unsigned count, cut;
};

/* A connection begins. Returns NULL if there is no room for its descriptor. */
struct http_client *clients_enter(struct http_clients *c, int fd);
/* Its descriptor is about to be closed. */
void clients_leave(struct http_clients *c, struct http_client *who);

/* Its request has come; its answer is sent. */
void client_asks(struct http_client *who);
void client_answered(struct http_client *who);

/* Shuts those down whose deadline has come. */
void clients_sweep(struct http_clients *c);

/* Shuts down the one that has gone longest without an answer, unless one is about to be closed. */
void clients_make_room(struct http_clients *c);

#endif
