/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which TCP listeners and UDP sockets there are, in all network namespaces, which processes hold
 * them, and which threads wait on them: BPF iterators over descriptors and threads. A scan stops
 * nothing; it is a sample.
 */
#ifndef SOCKFAIR_INVENTORY_H
#define SOCKFAIR_INVENTORY_H

#include "../model/ledger.h"
#include "selection.h"

struct inventory;

/*
 * Loads the iterators. bound: TCP sockets that have a port named by the selection and do not
 * listen, too. connections: inventory_connections() will be asked. Returns 0 or negative errno with
 * `why`: one line, what failed, why, what to do.
 */
int inventory_open(struct inventory **out, const struct selection *selection, bool bound,
		   bool connections, char *why, size_t why_size);

/* Takes a sample. Returns 0 or negative errno. Sockets without a cookie get theirs. */
int inventory_scan(struct inventory *v);

/*
 * Brings the ledger up to date with the last sample: what is known of sockets, threads and holders,
 * who waits, what ended. started_ns: when the window began (CLOCK_BOOTTIME); 0: it has not. Returns
 * 0 or -ENOMEM.
 */
int inventory_fill(struct inventory *v, struct ledger *l, uint64_t started_ns);

/*
 * A sample once, for a list: also of sockets that no process holds, and which of those are the
 * kernel's own. What needs time or counts (full_*, stalled_*) is not filled. Returns 0 or negative
 * errno with `why`.
 */
int inventory_snapshot(struct inventory *v, struct ledger *l, char *why, size_t why_size);

/* Cookies of the sockets of the last sample that are asked for (wanted), or not; *cookies is to be
 * freed. Returns how many, or -ENOMEM. */
int inventory_cookies(const struct inventory *v, bool wanted, uint64_t **cookies);

enum inventory_answer { INVENTORY_UNKNOWN, INVENTORY_NOT_ASKED, INVENTORY_ASKED };

/* Is it a process that is asked for? Also for those that the last sample does not hold; name: of
 * one of its threads. */
enum inventory_answer inventory_asks(const struct inventory *v, int32_t pid, const char *name);

/* Number of sockets asked for with that port (0: any) in the last sample. */
size_t inventory_sockets(const struct inventory *v);
size_t inventory_count(const struct inventory *v, uint16_t port);

/*
 * Did the last sample find a connection in the accept queue of a listener that is asked for, or a
 * handshake under way; or has the network namespace of one refused a SYN since?
 */
bool inventory_queued(const struct inventory *v);

/* From the sample before the window to the last one: what cpu_ns of workers is about. */
double inventory_seconds(const struct inventory *v);

/* Threads that wait on sockets beyond the limit of rows, at the last sample. */
uint64_t inventory_unlisted(const struct inventory *v);

/* Bytes of kernel memory that its maps take. */
uint64_t inventory_memory(const struct inventory *v);

/* A TCP connection that a process holds, on a port of a listener. */
struct inventory_connection {
	uint64_t node;           /* the kernel's address of its struct sock */
	uint64_t identity;       /* with that: see identity_of() in bpf/bytes.bpf.h */
	uint64_t received, sent; /* bytes of data by now */
	bool mptcp;              /* its bytes are in several subflows: these are of the first */
	uint64_t listener;       /* cookie of a socket that it may have come from */
	int32_t pid;
	uint64_t start_ns; /* of the process; 0: not known */
	int32_t tid; /* who reads it: the only thread, or the one that waits for it; 0: not known */
	uint64_t epoll; /* that it waits in, as worker_row's; 0: none */
};

/*
 * The connections that processes hold now on ports of the listeners of the last sample that are
 * asked for, once each (where several processes hold one: by the first). *rows is to be freed.
 * Returns how many, or negative errno.
 */
int inventory_connections(struct inventory *v, struct inventory_connection **rows);

/* The only thread that was seen to sleep in that epoll, at any sample; 0: none, -1: several. */
int32_t inventory_sleeper(const struct inventory *v, uint64_t epoll);

/* NULL is fine. */
void inventory_close(struct inventory *v);

#endif
