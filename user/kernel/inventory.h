/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What sock_diag and /proc tell of sockets and threads, beside what the programs count. */
#ifndef SOCKFAIR_INVENTORY_H
#define SOCKFAIR_INVENTORY_H

#include "../model/snapshot.h"

/* A listening TCP or a UDP socket of this network namespace. */
struct inventory_socket {
	uint64_t cookie;
	uint32_t queue_length; /* TCP: connections. UDP: bytes */
	uint32_t queue_limit;  /* TCP: backlog. UDP: receive buffer in bytes */
	uint32_t drops;        /* since the socket was made; wraps */
};

/*
 * Asks the kernel for all of them, by cookie in ascending order. The dump has a side effect that is wanted: sockets without a cookie
 * get theirs. Returns how many, or negative errno (the diag modules may not be there); *out is to be freed.
 */
int inventory_sockets(struct inventory_socket **out);

/* Fills queue and drops of the snapshot's sockets; drops against the baseline. Sockets not found keep queue_known = false. */
void inventory_queues(struct snapshot *s, const struct inventory_socket *baseline, int baseline_count);

/* Fills ended, cgroup, and where unknown start_ns of a row whose pid and tid are set. */
void inventory_describe_thread(struct worker_row *row);

#endif
