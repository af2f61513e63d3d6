/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What makes a mode: how the server's sockets are shared, and what a worker does. To add a mode,
 * add a row in modes.c, and a loop in loops.c if none of the loops there fits. A loop calls
 * worker_ready() right before it first blocks, ends once worker_stopped() is true (a signal without
 * SA_RESTART interrupts its system call), and counts in its tally.
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
	int share; /* SO_REUSEPORT or SO_REUSEADDR: each worker has a socket, and this option lets
		      them share the port; 0: one socket for all workers */
	bool nonblocking;                 /* the sockets are */
	uint32_t epoll_events;            /* for accept_by_epoll(): what each worker registers */
	int (*prepare)(struct server *s); /* optional: runs once the sockets listen, before workers
					     start. 0 or negative errno */
	void (*acceptor)(struct worker *w); /* optional: the loop of a thread of its own, which
					       alone accepts */
	void (*loop)(struct worker *w);
};

struct worker {
	struct server *server;
	struct worker_tally *tally;
	void (*loop)(struct worker *w);
	int number;      /* counted from 0; -1: the acceptor */
	int socket;      /* its listener or UDP socket */
	int64_t work_ns; /* CPU time to spend on a request */
	pthread_t thread;
	pid_t pid;    /* with --processes: the worker's process */
	bool running; /* started, but not yet joined or reaped */
};

struct server {
	const struct workload_options *options;
	const struct mode_server *mode;
	struct shared *shared;
	struct why why;
	struct sockaddr_storage address; /* where the sockets are bound, with the port */
	int *sockets;
	unsigned socket_count;
	int epoll;          /* for shared-epoll-fd: the one descriptor; otherwise -1 */
	int (*handoffs)[2]; /* single-listener: for each worker the end that the acceptor writes to
			       and the end that the worker reads from */
	struct worker *workers; /* the acceptor, if there is one, comes last */
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
