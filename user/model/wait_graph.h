/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which thread waits on which socket, as one sample of the kernel shows it. Sockets and epolls are
 * nodes. An edge leads from a node to the owner of an entry in its wait queue: a thread, or an
 * epoll, which is itself a node. Nodes and tasks are named by their kernel addresses, which are
 * good only for joining what one sample shows.
 *
 *   wait_graph_begin()   begins a sample; the caller then adds what it finds to edges, cut, epolls,
 *                        holders and threads, in any order
 *   wait_graph_end()     sorts the sample, which the functions below need
 */
#ifndef SOCKFAIR_WAIT_GRAPH_H
#define SOCKFAIR_WAIT_GRAPH_H

#include "array.h"
#include "snapshot.h"

/* Greatest depth of nested epolls: EP_MAX_NESTS of fs/eventpoll.c, plus one. */
#define WAIT_GRAPH_EPOLLS 5

struct wait_edge {
	uint64_t node, waiter; /* socket or epoll; task or epoll */
	enum wait_kind kind;
	bool exclusive; /* a wake-up stops at such an entry */
};

struct wait_epoll {
	uint64_t node;
	uint64_t number; /* from wait_graph_name(); 0: nobody asked for it */
	int32_t sleeper; /* the thread that some sample saw sleeping in the epoll; 0: none */
	bool shared;     /* several threads were seen sleeping in it */
};

/* A descriptor of a socket or epoll. */
struct wait_holder {
	uint64_t node;
	uint32_t pid, fd;
};

struct wait_thread {
	uint64_t task;
	uint32_t pid, tid;
	uint32_t threads; /* of its process */
	uint32_t look;    /* value of wait_graph.looks when the thread was last counted */
	size_t row;       /* a number of the caller's, returned in struct waiting */
};

struct wait_graph {
	struct array edges;   /* struct wait_edge */
	struct array cut;     /* uint64_t: nodes whose edges are not all known */
	struct array epolls;  /* struct wait_epoll; an epoll held by several processes may be listed
				 twice */
	struct array holders; /* struct wait_holder */
	struct array threads; /* struct wait_thread */
	bool left_out;        /* some threads are not in the sample */
	/* private */
	struct array epolls_before; /* epolls of the previous sample */
	struct array single;        /* threads of single-threaded processes */
	uint64_t named;
	uint32_t looks;
};

/* How a thread waits on a socket: taken from the socket's own entry, and if that belongs to an
 * epoll, from the last epoll on the way to the thread. */
struct wait_way {
	enum wait_kind kind;
	bool exclusive;
	uint64_t epoll; /* the epoll's number; 0: none */
};

/* A thread that waits on a socket. */
struct waiting {
	size_t row; /* wait_thread.row */
	struct wait_way way;
	bool asleep; /* false: the thread is busy, and is known to come back */
};

/* All zero is an empty graph. */
void wait_graph_begin(struct wait_graph *g);

/* Returns 0 or -ENOMEM. */
int wait_graph_end(struct wait_graph *g);

void wait_graph_free(struct wait_graph *g);

/* Adds each thread that waits on the socket to `out` (struct waiting), once. *cut is set if there
 * may be more threads. Returns 0 or -ENOMEM. */
int wait_graph_follow(struct wait_graph *g, uint64_t socket, struct array *out, bool *cut);

/*
 * Finds how a process waits that takes from the socket but is too busy ever to be seen waiting.
 * This works because an epoll stays in the socket's wait queue when nobody sleeps in it. way->epoll
 * is filled only if the process has exactly one epoll on the socket and that epoll is not nested.
 * Returns false if the process has no epoll there.
 */
bool wait_graph_busy(struct wait_graph *g, uint64_t socket, uint32_t pid, struct wait_way *way);

/* The processes that have the socket in an epoll of their own (uint32_t), ascending. Returns 0 or
 * -ENOMEM. */
int wait_graph_watchers(const struct wait_graph *g, uint64_t socket, struct array *pids);

/* The edges of a node; and the descriptors that refer to it, sorted by process. *count tells how
 * many. */
const struct wait_edge *wait_graph_edges(const struct wait_graph *g, uint64_t node, size_t *count);
const struct wait_holder *wait_graph_holders(const struct wait_graph *g, uint64_t node,
					     size_t *count);

/* The thread, or the epoll, with that address; NULL: there is none. */
struct wait_thread *wait_graph_thread(const struct wait_graph *g, uint64_t task);
struct wait_epoll *wait_graph_epoll(const struct wait_graph *g, uint64_t node);

/* The epoll's name in rows: a number from 1, which the epoll keeps from sample to sample. */
uint64_t wait_graph_name(struct wait_graph *g, struct wait_epoll *epoll);

/* Is the epoll registered in another one? */
bool wait_graph_is_watched(const struct wait_graph *g, uint64_t epoll);

/* Does a thread of that process sleep on the node itself? */
bool wait_graph_sleeps_on(const struct wait_graph *g, uint64_t node, uint32_t pid);

/* The lowest descriptor of the node in that process; -1: none. */
int64_t wait_graph_descriptor(const struct wait_graph *g, uint64_t node, uint32_t pid);

#endif
