/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The server of a workload: its sockets and its workers. */
#ifndef SOCKFAIR_WORKLOAD_SERVER_H
#define SOCKFAIR_WORKLOAD_SERVER_H

#include "mode.h"

/* Workers, and the acceptor where the mode has one. */
unsigned server_worker_count(const struct workload_options *options);

/* Makes, binds and listens. After a failure too, server_stop() cleans up. Both return 0 or a
 * negative errno with its line. */
int server_open(struct server *s, const struct workload_options *options, struct shared *shared,
		struct why why);
int server_start_workers(struct server *s);

/* Whether a worker has ended on its own. It is reaped if it was a process. */
bool server_lost_worker(struct server *s);

/* Until all workers sleep in their system calls; at most a second. */
void server_await_sleep(const struct server *s);

/* Rows of sockets and workers. 0 or a negative errno. */
int server_describe(const struct server *s, struct endpoint *e);

/* Nothing waits in a queue of the kernel. */
bool server_queues_empty(const struct server *s);

void server_stop(struct server *s);

#endif
