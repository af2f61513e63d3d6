/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connected UDP socket gets the datagrams of one peer, however the kernel distributes all others.
 * DTLS and QUIC servers make one for each client, next to the sockets that share what comes from
 * unknown peers. Connected sockets are not bins, not members of a group and not rows; only their
 * sum is shown.
 */
#ifndef SOCKFAIR_CONNECTED_H
#define SOCKFAIR_CONNECTED_H

#include "snapshot.h"

struct connected_sum {
	uint64_t sockets, ended; /* ended: how many of the sockets are closed */
	uint64_t delivered, received, dropped, drops; /* datagrams */
	uint64_t processes; /* processes that waited on them, or took from them */
};

/*
 * Moves connected sockets, and the workers on them, behind the other rows and reduces socket_count
 * and worker_count, if there is at least one other socket. Their holders are removed. Returns 0 or
 * -ENOMEM.
 */
int endpoint_set_aside_connected(struct endpoint *e);

/* The sum of the rows that were set aside. */
struct connected_sum endpoint_connected(const struct endpoint *e);

/* Are all sockets of the endpoint connected? */
bool endpoint_all_connected(const struct endpoint *e);

#endif
