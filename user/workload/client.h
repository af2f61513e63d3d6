/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The clients of a workload: one process with a few threads, each of which keeps its share of
 * `concurrency` requests outstanding. In a closed loop a request starts when another has ended. In
 * an open loop (`rate`), request n starts n / rate seconds after the first; if `concurrency`
 * requests are outstanding by then, it starts late, as soon as one of them has ended. UDP: a flow
 * has at most one datagram outstanding, so at most `flows` requests are outstanding.
 */
#ifndef SOCKFAIR_WORKLOAD_CLIENT_H
#define SOCKFAIR_WORKLOAD_CLIENT_H

#include <sys/types.h>

#include "shared.h"
#include "workload.h"

struct clients {
	pid_t pid; /* 0: none */
	int pidfd; /* readable once the process has ended */
	bool done; /* it has ended and was reaped */
	bool died; /* not of its own accord */
};

/* How many threads these options make. shared->ready counts as many. */
unsigned clients_thread_count(const struct workload_options *options);

/* Forks the process, which then waits for shared->go. `server` has the port. Returns 0, or a
 * negative errno with one line. */
int clients_start(struct clients *c, const struct workload_options *options,
		  const struct sockaddr_storage *server, struct shared *shared, struct why why);

/* Have the clients finished? Waits up to timeout_ms; a signal ends the wait. */
bool clients_wait(struct clients *c, int timeout_ms);

void clients_stop(struct clients *c, struct shared *shared);

#endif
