/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each UDP socket that wants a datagram to a multicast or broadcast address gets a copy of it, so
 * nothing is shared and nothing can be uneven. Multicast is recognised by the destination of
 * datagrams if the backend sees it, or else by which sockets are members of a multicast group. It
 * is never recognised by the port: a unicast datagram to a port that is used for multicast (DNS-SD,
 * DHT, RTP) goes to one socket.
 */
#ifndef SOCKFAIR_MULTICAST_H
#define SOCKFAIR_MULTICAST_H

#include <stdbool.h>
#include <stdint.h>

struct endpoint;

enum multicast {
	MULTICAST_NOT,    /* only unicast was seen */
	MULTICAST_MIXED,  /* both: the datagrams that are not copies are shared */
	MULTICAST_ALL,    /* nearly all arrivals were copies; or nothing came, and the sockets were
			     made for multicast */
	MULTICAST_UNSEEN, /* sockets are members of multicast groups, but the backend does not see
			     which datagrams are copies */
};

enum multicast endpoint_multicast(const struct endpoint *e);

#endif
