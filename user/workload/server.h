/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The server of a workload: its sockets and its workers. */
#ifndef SOCKFAIR_WORKLOAD_SERVER_H
#define SOCKFAIR_WORKLOAD_SERVER_H

#include "mode.h"

/* How many workers there are, with the acceptor if the mode has one. */
unsigned server_worker_count(const struct workload_options *options);

/* server_open() makes and binds the sockets, and listens on them. server_stop() cleans up, also
 * after a failure. Both functions return 0, or a negative errno with one line. */
int server_open(struct server *s, const struct workload_options *options, struct shared *shared,
		struct why why);
int server_start_workers(struct server *s);

/* Has a worker ended on its own? A worker process is then reaped. */
bool server_lost_worker(struct server *s);

/* Waits until all workers sleep in their system calls; at most a second. */
void server_await_sleep(const struct server *s);

/* Fills the rows of sockets and workers. Returns 0 or a negative errno. */
int server_describe(const struct server *s, struct endpoint *e);

/* Are all of the kernel's queues for these sockets empty? */
bool server_queues_empty(const struct server *s);

void server_stop(struct server *s);

#endif
