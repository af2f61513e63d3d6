/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who waits on which socket, as one sample of the kernel shows it. Sockets and epolls are nodes. An
 * edge leads from a node to who has an entry in its wait queue: a thread, or an epoll, which is a
 * node in its turn. Nodes and tasks are addresses: names, good for joining what one sample shows.
 *
 *   wait_graph_begin()   begins a sample; what is found is then added to edges, cut, epolls,
 * holders and threads, in any order wait_graph_end()     puts it in order: the functions below need
 * that
 */
#ifndef SOCKFAIR_WAIT_GRAPH_H
#define SOCKFAIR_WAIT_GRAPH_H

#include "array.h"
#include "snapshot.h"

/* So many epolls may be above each other: EP_MAX_NESTS of fs/eventpoll.c, and one. */
#define WAIT_GRAPH_EPOLLS 5

struct wait_edge {
	uint64_t node, waiter; /* socket or epoll; task or epoll */
	enum wait_kind kind;
	bool exclusive; /* a wake-up stops at such an entry */
};

struct wait_epoll {
	uint64_t node;
	uint64_t number; /* wait_graph_name(); 0: it was not asked for */
	int32_t sleeper; /* the thread that was seen to sleep in it, at any sample; 0: none */
	bool shared;     /* several were */
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
	uint32_t look;    /* of the socket for which it was counted last */
	size_t row;       /* the caller's: comes back in struct waiting */
};

struct wait_graph {
	struct array edges; /* struct wait_edge */
	struct array cut;   /* uint64_t: nodes of which not all edges are known */
	struct array
		epolls; /* struct wait_epoll; held by several processes one may be there twice */
	struct array holders; /* struct wait_holder */
	struct array threads; /* struct wait_thread */
	bool left_out;        /* there are threads that are not in the sample */
	/* its own */
	struct array epolls_before; /* of the sample before */
	struct array single;        /* of processes of one thread */
	uint64_t named;
	uint32_t looks;
};

/* How the way from a socket to a thread goes: by the socket's own entry, and where that is an
 * epoll's, by the last epoll. */
struct wait_way {
	enum wait_kind kind;
	bool exclusive;
	uint64_t epoll; /* its number; 0: none */
};

/* A thread that waits on a socket. */
struct waiting {
	size_t row; /* of struct wait_thread */
	struct wait_way way;
	bool asleep; /* else it is busy, and known to come back */
};

/* All zero is an empty graph. */
void wait_graph_begin(struct wait_graph *g);

/* Returns 0 or -ENOMEM. */
int wait_graph_end(struct wait_graph *g);

void wait_graph_free(struct wait_graph *g);

/* Adds to `out` (struct waiting) each thread that waits on the socket, once. *cut is set if there
 * may be more. Returns 0 or -ENOMEM. */
int wait_graph_follow(struct wait_graph *g, uint64_t socket, struct array *out, bool *cut);

/*
 * How a process waits that takes from the socket, but is so busy that it was never seen waiting: an
 * epoll stays on the socket's queue when nobody sleeps in it. way->epoll is filled where it is
 * known: the process has only one on that socket, and that one is not nested. False: it has none.
 */
bool wait_graph_busy(struct wait_graph *g, uint64_t socket, uint32_t pid, struct wait_way *way);

/* The processes that have the socket in an epoll of their own (uint32_t), ascending. Returns 0 or
 * -ENOMEM. */
int wait_graph_watchers(const struct wait_graph *g, uint64_t socket, struct array *pids);

/* The edges of a node, the descriptors that lead to it, by process; *count of them. */
const struct wait_edge *wait_graph_edges(const struct wait_graph *g, uint64_t node, size_t *count);
const struct wait_holder *wait_graph_holders(const struct wait_graph *g, uint64_t node,
					     size_t *count);

/* The thread, or the epoll, of that address; NULL: there is none. */
struct wait_thread *wait_graph_thread(const struct wait_graph *g, uint64_t task);
struct wait_epoll *wait_graph_epoll(const struct wait_graph *g, uint64_t node);

/* The epoll's name in rows: a number from 1 on that it keeps from sample to sample. */
uint64_t wait_graph_name(struct wait_graph *g, struct wait_epoll *epoll);

/* Is the epoll registered in another one? */
bool wait_graph_is_watched(const struct wait_graph *g, uint64_t epoll);

/* Sleeps a thread of that process on the node itself? */
bool wait_graph_sleeps_on(const struct wait_graph *g, uint64_t node, uint32_t pid);

/* The lowest descriptor that the process has of the node; -1: none. */
int64_t wait_graph_descriptor(const struct wait_graph *g, uint64_t node, uint32_t pid);

#endif
