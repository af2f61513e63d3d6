/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * UDP sockets that are connected get the datagrams of one peer, whatever the kernel does with the
 * others: servers of DTLS and QUIC make one for each client, beside those that share what comes
 * from strangers. They are no bins, no members of a group and no rows, but a sum.
 */
#ifndef SOCKFAIR_CONNECTED_H
#define SOCKFAIR_CONNECTED_H

#include "snapshot.h"

struct connected_sum {
	uint64_t sockets, ended;                      /* that many of them are closed */
	uint64_t delivered, received, dropped, drops; /* datagrams */
	uint64_t processes;                           /* that waited on them, or took from them */
};

/*
 * Puts connected sockets, and the workers on them, behind those that socket_count and worker_count
 * name, where there is at least one other socket; their holders are taken out. Returns 0 or
 * -ENOMEM.
 */
int endpoint_set_aside_connected(struct endpoint *e);

/* Of those that were set aside. */
struct connected_sum endpoint_connected(const struct endpoint *e);

/* Has it no other sockets? */
bool endpoint_all_connected(const struct endpoint *e);

#endif
