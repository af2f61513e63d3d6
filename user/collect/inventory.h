/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lists the TCP listeners and UDP sockets of all network namespaces, the processes that hold them,
 * and the threads that wait on them, with BPF iterators over descriptors and threads. A scan does
 * not stop anything, so it is a sample.
 */
#ifndef SOCKFAIR_INVENTORY_H
#define SOCKFAIR_INVENTORY_H

#include "../model/ledger.h"
#include "selection.h"

struct inventory;

/*
 * Loads the iterators. With `bound` the scan includes TCP sockets that have a port named by the
 * selection and do not listen. With `connections` inventory_connections() will be called. Returns
 * 0 or negative errno with `why`: one line that says what failed, why, and what to do.
 */
int inventory_open(struct inventory **out, const struct selection *selection, bool bound,
		   bool connections, char *why, size_t why_size);

/* Takes a sample, and gives a cookie to each socket without one. Returns 0 or negative errno. */
int inventory_scan(struct inventory *v);

/*
 * Brings the ledger up to date with the last sample: what is known of sockets, threads and
 * holders, who waits, and what has ended. started_ns is when the window began (CLOCK_BOOTTIME); 0:
 * it has not begun. Returns 0 or -ENOMEM.
 */
int inventory_fill(struct inventory *v, struct ledger *l, uint64_t started_ns);

/*
 * Takes one sample, for a list. It includes the sockets that no process holds, and tells which of
 * them are the kernel's own. Fields that need time or counts (full_*, stalled_*) are not filled
 * in. Returns 0 or negative errno with `why`.
 */
int inventory_snapshot(struct inventory *v, struct ledger *l, char *why, size_t why_size);

/*
 * The cookies of the sockets in the last sample that are asked for (`wanted`), or of the others.
 * The caller frees *cookies. Returns how many, or -ENOMEM.
 */
int inventory_cookies(const struct inventory *v, bool wanted, uint64_t **cookies);

enum inventory_answer { INVENTORY_UNKNOWN, INVENTORY_NOT_ASKED, INVENTORY_ASKED };

/*
 * Is the process asked for? This also answers for processes that the last sample does not have.
 * `name` is the name of one of its threads.
 */
enum inventory_answer inventory_asks(const struct inventory *v, int32_t pid, const char *name);

/* How many sockets of the last sample are asked for, in all or with that port (0: any). */
size_t inventory_sockets(const struct inventory *v);
size_t inventory_count(const struct inventory *v, uint16_t port);

/*
 * Did the last sample find a connection in the accept queue of a listener that is asked for, or a
 * handshake under way? Or has the network namespace of such a listener refused a SYN since?
 */
bool inventory_queued(const struct inventory *v);

/*
 * Seconds from the sample before the window to the last one: the time that cpu_ns of workers
 * covers.
 */
double inventory_seconds(const struct inventory *v);

/* How many threads in the last sample wait on sockets but found no row. */
uint64_t inventory_unlisted(const struct inventory *v);

/* Bytes of kernel memory that its maps take. */
uint64_t inventory_memory(const struct inventory *v);

/* A TCP connection that a process holds and whose port is that of a listener. */
struct inventory_connection {
	uint64_t node;     /* the kernel's address of its struct sock */
	uint64_t identity; /* identifies the connection together with `node`: see identity_of() in
			      bpf/bytes.bpf.h */
	uint64_t received, sent; /* bytes of data so far */
	bool mptcp; /* an MPTCP connection, whose bytes are in several subflows: these are of the
		       first */
	uint64_t listener; /* cookie of a socket that the connection may have come from */
	int32_t pid;
	uint64_t start_ns; /* of the process; 0: not known */
	int32_t tid; /* the thread that reads the connection: the only thread, or the one that waits
			for it; 0: not known */
	uint64_t epoll; /* the epoll that the connection waits in, as in worker_row; 0: none */
};

/*
 * The connections that processes hold now on the ports of those listeners of the last sample that
 * are asked for. Each connection is listed once; if several processes hold it, the first does. The
 * caller frees *rows. Returns how many, or negative errno.
 */
int inventory_connections(struct inventory *v, struct inventory_connection **rows);

/* The only thread that any sample saw sleeping in that epoll; 0: none, -1: several. */
int32_t inventory_sleeper(const struct inventory *v, uint64_t epoll);

/* v may be NULL. */
void inventory_close(struct inventory *v);

#endif
