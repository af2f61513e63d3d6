/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Judges a bind() that was not made: first the errors that come before any conflict, then the
 * occupants of the port, then the options that would help. */
#include "bind_check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static int access_error(const struct bind_event *e)
{
	return e->place.port < e->port_limit && !e->can_bind_low ? EACCES : 0;
}

/* The error that bind() returns before the kernel looks who has the port; 0: none. */
static int error_before_conflicts(const struct bind_check *c)
{
	const struct bind_event *e = &c->event;
	const bool tcp_multicast = e->place.family == AF_INET6 && e->place.address[0] == 0xff &&
				   e->place.protocol == PROTOCOL_TCP;

	/* IPv4 checks the address first, IPv6 the rights. EAFNOSUPPORT comes before both: there is
	 * not even a socket. */
	if (c->address_error &&
	    (e->place.family == AF_INET || tcp_multicast || c->address_error == EAFNOSUPPORT))
		return c->address_error;
	return access_error(e) ? access_error(e) : c->address_error;
}

/* Predicts both calls. *call: the first call that is not certain to work, or bind() if both are. */
static enum bind_outlook predict(const struct bind_place *place, const struct bind_check *c,
				 enum bind_call *call)
{
	enum bind_outlook bind = bind_predict(place, CALL_BIND, c->occupants, c->occupant_count),
			  listen;

	*call = CALL_BIND;
	if (bind != BIND_WORKS || place->protocol == PROTOCOL_UDP)
		return bind;
	listen = bind_predict(place, CALL_LISTEN, c->occupants, c->occupant_count);
	if (listen != BIND_WORKS)
		*call = CALL_LISTEN;
	return listen;
}

static bool would_work_with(const struct bind_check *c, bool reuseaddr, bool reuseport)
{
	struct bind_place place = c->event.place;
	enum bind_call call;

	place.reuseaddr |= reuseaddr;
	place.reuseport |= reuseport;
	return predict(&place, c, &call) == BIND_WORKS;
}

static bool would_work_v6only(const struct bind_check *c)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct bind_place place = c->event.place;
	enum bind_call call;

	if (place.family != AF_INET6 || place.v6only ||
	    !memcmp(place.address, mapped, sizeof(mapped)))
		return false;
	place.v6only = true;
	return predict(&place, c, &call) == BIND_WORKS;
}

void bind_check_judge(struct bind_check *c, const struct bind_ports *ports)
{
	struct bind_event *e = &c->event;

	c->blocker = -1;
	*c->text = 0;
	c->helps_reuseaddr = c->helps_reuseport = c->helps_both = c->helps_v6only = false;
	e->call = CALL_BIND;
	e->error = error_before_conflicts(c);
	c->outlook = e->error ? BIND_FAILS : predict(&e->place, c, &e->call);
	if (c->outlook == BIND_WORKS)
		return;
	if (!e->error) {
		e->error = EADDRINUSE;
		c->helps_reuseaddr = !e->place.reuseaddr && would_work_with(c, true, false);
		c->helps_reuseport = !e->place.reuseport && would_work_with(c, false, true);
		c->helps_both = !c->helps_reuseaddr && !c->helps_reuseport &&
				would_work_with(c, true, true);
		c->helps_v6only = would_work_v6only(c);
	}
	bind_explain(e, c->occupants, c->occupant_count, BIND_LOOKED, ports, c->text, &c->blocker);
	if (c->outlook == BIND_MAY_FAIL)
		snprintf(c->text + strlen(c->text), sizeof(c->text) - strlen(c->text),
			 ". Not decided: %s",
			 bind_doubt(&e->place, c->occupants, c->occupant_count));
}
