/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What makes a mode: how the server's sockets are shared, and what a worker does. To add one: a row
 * in modes.c, and a loop in loops.c if none of those there fits. A loop calls worker_ready() right
 * before it first blocks, ends once worker_stopped() (a signal without SA_RESTART interrupts its
 * system call), and counts in its tally.
 */
#ifndef SOCKFAIR_WORKLOAD_MODE_H
#define SOCKFAIR_WORKLOAD_MODE_H

#include <pthread.h>
#include <signal.h>

#include "shared.h"
#include "workload.h"

struct worker;
struct server;

struct mode_server {
	int share; /* SO_REUSEPORT or SO_REUSEADDR: a socket per worker shares the port by it; 0:
		      one for all */
	bool nonblocking;                   /* the sockets are */
	uint32_t epoll_events;              /* for accept_by_epoll(): what each worker registers */
	int (*prepare)(struct server *s);   /* optional: once the sockets listen, before workers
					       start. 0 or negative errno */
	void (*acceptor)(struct worker *w); /* optional: the loop of a thread of its own, which
					       alone accepts */
	void (*loop)(struct worker *w);
};

struct worker {
	struct server *server;
	struct worker_tally *tally;
	void (*loop)(struct worker *w);
	int number;      /* from 0; -1: the acceptor */
	int socket;      /* its listener or UDP socket */
	int64_t work_ns; /* CPU time to spend on a request */
	pthread_t thread;
	pid_t pid;    /* with --processes */
	bool running; /* started, and not yet joined or reaped */
};

struct server {
	const struct workload_options *options;
	const struct mode_server *mode;
	struct shared *shared;
	struct why why;
	struct sockaddr_storage address; /* bound to, with the port */
	int *sockets;
	unsigned socket_count;
	int epoll;          /* shared-epoll-fd: the one descriptor; else -1 */
	int (*handoffs)[2]; /* single-listener: per worker, what the acceptor writes into and the
			       worker reads from */
	struct worker *workers; /* the acceptor, if any, last */
	unsigned worker_count;
	struct sigaction old_wake_action;
	bool wake_installed;
};

void worker_ready(struct worker *w);
bool worker_stopped(const struct worker *w);

/* loops.c */
void accept_blocking(struct worker *w);
void accept_by_epoll(struct worker *w);
void accept_by_common_epoll(struct worker *w);
void accept_and_hand_out(struct worker *w);
void accept_by_uring(struct worker *w);
void serve_handed(struct worker *w);
void receive_blocking(struct worker *w);

#endif
