/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Would a bind() work now, and the listen() after it? Nothing is bound to find out:
 * collect/bindable.c collects the facts, and the code here draws the conclusion. */
#ifndef SOCKFAIR_BIND_CHECK_H
#define SOCKFAIR_BIND_CHECK_H

#include "bind.h"

struct bind_check {
	struct bind_event
		event; /* the predicted call. The caller fills place, euid, port_limit,
			  can_bind_low, other_user_ns; the judgement fills error and call */
	bool any;      /* "*": IPv6 that takes IPv4 too, or plain IPv4 on a machine without IPv6 */
	int address_error; /* errno of bind() to this address and port 0; 0: the address is fine */
	const struct bind_occupant
		*occupants; /* of that port, protocol and network namespace; not owned */
	size_t occupant_count;
	/* filled by the judgement */
	enum bind_outlook outlook;
	int blocker; /* index of the occupant that text names; -1: none */
	bool helps_reuseaddr, helps_reuseport,
		helps_both; /* the call would work with this option as well; helps_both: only with
			       both options */
	bool helps_v6only;  /* the call would work if the socket took IPv6 alone */
	char text[BIND_TEXT_MAX]; /* why the call would fail; "" where it works */
};

/* Judges in the kernel's order: first __inet_bind() (net/ipv4/af_inet.c) or __inet6_bind()
 * (net/ipv6/af_inet6.c), then the sockets that have the port. */
void bind_check_judge(struct bind_check *c, const struct bind_ports *ports);

#endif
