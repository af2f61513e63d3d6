/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asks a network namespace what it would answer to a bind() before it checks who has the port. */
#ifndef SOCKFAIR_BINDABLE_H
#define SOCKFAIR_BINDABLE_H

#include "../bind/bind_check.h"

struct bindable_user {
	bool self;    /* this process */
	uint32_t uid; /* otherwise: a process of that user, without capabilities of its own unless
			 the user is root */
};

/*
 * Takes checks whose event.place has family, address, device_name and options. For each it fills
 * in place.netns, device, uid and v6only (the default of a new socket, unless set), and
 * event.euid, port_limit, can_bind_low, other_user_ns, and address_error. It tests the address by
 * a bind() to port 0 with IP_BIND_ADDRESS_NO_PORT, which takes no port. Returns 0 or negative
 * errno with `why`: one line.
 */
int bindable_ask(struct bind_check *checks, size_t count, uint32_t netns,
		 const struct bindable_user *user, char *why, size_t why_size);

#endif
