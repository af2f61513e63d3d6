/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Attaches the counting programs and reads what they counted.
 *
 *   observer_open()   probes, loads, attaches; nothing is counted yet
 *   observer_start()  the window begins
 *   observer_read()   a snapshot of all since then, at any time
 *   observer_close()  detaches; also what happens when the process dies, however it dies
 */
#ifndef SOCKFAIR_OBSERVER_H
#define SOCKFAIR_OBSERVER_H

#include "../model/snapshot.h"
#include "probe.h"

struct observer_options {
	enum backend backend;    /* BACKEND_AUTO: the one that sees most */
	uint32_t netns;          /* inode; 0: all */
	bool by_port;            /* only the ports given to observer_watch_port() */
	int family;              /* AF_INET, AF_INET6, or 0 */
	int protocol;            /* IPPROTO_TCP, IPPROTO_UDP, or 0 */
	uint32_t rows_max;       /* rows of threads, and of sockets; 0: all there is room for */
};

struct observer;

/* Returns 0 or negative errno with `why`: one line, what failed, why, what to do. */
int observer_open(struct observer **out, const struct observer_options *options, char *why, size_t why_size);

enum backend observer_backend(const struct observer *o);
/* Bits of enum hook_purpose. */
unsigned observer_sees(const struct observer *o);
/* Bytes of kernel memory that the maps take, as the kernel accounts them; 0 if it does not say. */
uint64_t observer_memory(const struct observer *o);

/* Counts this port (host order) from now on; only with by_port. */
void observer_watch_port(struct observer *o, uint16_t port);

void observer_start(struct observer *o);

/*
 * Forgets all that was counted and stops counting until observer_start(). Only for when the sockets counted so far are closed: a
 * thread that still uses one of them remembers where its row was.
 */
void observer_reset(struct observer *o);

/* Fills a snapshot: endpoints with sockets, workers and CPUs that had events, sorted; lost. Returns 0 or -ENOMEM. snapshot_free() it. */
int observer_read(struct observer *o, struct snapshot *s);

/* NULL is fine. */
void observer_close(struct observer *o);

#endif
