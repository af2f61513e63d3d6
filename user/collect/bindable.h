/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a network namespace says to a bind() before it looks who has the port. */
#ifndef SOCKFAIR_BINDABLE_H
#define SOCKFAIR_BINDABLE_H

#include "../bind/bind_check.h"

struct bindable_user {
	bool self;    /* this process */
	uint32_t uid; /* else: a process of that user without capabilities of its own, unless it is
			 root */
};

/*
 * For each check whose event.place has family, address, device_name, options: fills place.netns,
 * device, uid, v6only (as a new socket has it, unless set), event.euid, port_limit, can_bind_low,
 * other_user_ns, and address_error. The address is tried by a bind() to port 0 with
 * IP_BIND_ADDRESS_NO_PORT, which takes no port. Returns 0 or negative errno with `why`: one line.
 */
int bindable_ask(struct bind_check *checks, size_t count, uint32_t netns,
		 const struct bindable_user *user, char *why, size_t why_size);

#endif
