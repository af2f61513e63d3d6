/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Of a datagram to a multicast or broadcast address each UDP socket that wants it gets a copy:
 * nothing is shared, and nothing can be uneven. Told by where datagrams were sent to, where the
 * backend sees them; else by who is a member of a group. Never by the port: what is sent to one
 * address of a port that is used for multicast (DNS-SD, DHT, RTP) goes to one socket.
 */
#ifndef SOCKFAIR_MULTICAST_H
#define SOCKFAIR_MULTICAST_H

#include <stdbool.h>
#include <stdint.h>

struct endpoint;

enum multicast {
	MULTICAST_NOT,    /* nothing but unicast, as far as is seen */
	MULTICAST_MIXED,  /* both: what was no copy is shared */
	MULTICAST_ALL,    /* all that came was a copy, but for a few, or it is what the sockets were
			     made for and nothing came */
	MULTICAST_UNSEEN, /* sockets are members of groups, and which datagrams are copies is not
			     seen */
};

enum multicast endpoint_multicast(const struct endpoint *e);

#endif
