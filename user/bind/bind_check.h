/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Would a bind() work now, and the listen() after it? Nothing is bound to find out:
 * collect/bindable.c asks what can be asked, this adds it up. */
#ifndef SOCKFAIR_BIND_CHECK_H
#define SOCKFAIR_BIND_CHECK_H

#include "bind.h"

struct bind_check {
	struct bind_event
		event; /* the call that is predicted: place, euid, port_limit, can_bind_low,
			  other_user_ns; error and call are filled by the judgement */
	bool any;      /* "*": IPv6 that takes IPv4 too, and plain IPv4 where there is no IPv6 */
	int address_error; /* errno of bind() to that address and port 0; 0: it is fine */
	const struct bind_occupant
		*occupants; /* of that port, protocol and network namespace; not owned */
	size_t occupant_count;
	/* the judgement */
	enum bind_outlook outlook;
	int blocker; /* index of the occupant that text names; -1: none */
	bool helps_reuseaddr, helps_reuseport,
		helps_both;       /* it would work with that option too; both: only with both */
	bool helps_v6only;        /* IPv6 alone would work */
	char text[BIND_TEXT_MAX]; /* why not; "" where it works */
};

/* In the kernel's order: __inet_bind() (net/ipv4/af_inet.c), __inet6_bind() (net/ipv6/af_inet6.c),
 * then who has the port. */
void bind_check_judge(struct bind_check *c, const struct bind_ports *ports);

#endif
