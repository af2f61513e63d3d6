/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How an occupant came by its port, and how its holders relate to the process that called. */
#include "bind_occupant.h"

#include <string.h>
#include <sys/socket.h>

#include "../model/unit.h"

static bool is_tcp_connection(const struct bind_occupant *o)
{
	return o->place.protocol != PROTOCOL_UDP &&
	       (o->state == BIND_CONNECTED || o->state == BIND_CLOSING ||
		o->state == BIND_TIME_WAIT);
}

/*
 * bind() marks a socket that is given a port. A connection that a listener accepts loses the mark
 * (sk_clone_lock()), and TIME_WAIT has none. There the bucket tells: its marks are below 0 as long
 * as nobody called bind() for the port (__inet_hash_connect()). Since 6.18 connect() leaves a mark
 * of its own.
 */
enum bind_origin bind_origin_of(const struct bind_occupant *o, const struct bind_marks *m)
{
	if (m->port_asked)
		return ORIGIN_ASKED;
	if (!is_tcp_connection(o) || m->connect_picked)
		return ORIGIN_PICKED;
	return o->bucket.known && o->bucket.reuse < 0 && o->bucket.reuseport < 0 ? ORIGIN_PICKED
										 : ORIGIN_UNKNOWN;
}

/*
 * Is the holder the caller's parent? A process that began later than the caller only reuses the pid
 * of a parent that has ended. Pid 1 adopts every process that lost its parent, so it does not
 * count.
 */
bool bind_is_parent(const struct bind_event *e, const struct bind_holder *h)
{
	return h->pid == e->parent && h->pid > 1 && h->started_ns <= e->started_ns;
}

enum bind_relation bind_relation(const struct bind_event *e, const struct bind_occupant *o,
				 const struct bind_holder **holder)
{
	enum bind_relation found = RELATION_OTHER;
	const struct bind_holder *as = NULL;

	for (unsigned i = 0; i < o->holders && o->held_by && e->pid && found != RELATION_ITSELF;
	     i++) {
		const struct bind_holder *h = &o->held_by[i];
		enum bind_relation is = RELATION_OTHER;

		if (h->pid == e->pid)
			is = h->started_ns == e->started_ns ? RELATION_ITSELF : RELATION_OTHER;
		else if (bind_is_parent(e, h))
			is = RELATION_PARENT;
		else if (h->parent == e->pid &&
			 h->started_ns >= e->started_ns) /* otherwise the holder is the child of an
							    earlier process with the caller's pid */
			is = RELATION_CHILD;
		if (is != RELATION_OTHER && (found == RELATION_OTHER || is == RELATION_ITSELF)) {
			found = is;
			as = h;
		}
	}
	if (holder)
		*holder = as;
	return found;
}

const char *bind_relation_name(enum bind_relation relation)
{
	static const char *const names[] = { [RELATION_ITSELF] = "itself",
					     [RELATION_PARENT] = "parent",
					     [RELATION_CHILD] = "child" };

	return names[relation];
}

bool bind_meets_itself(const struct bind_occupant *o)
{
	return is_tcp_connection(o) && o->count == 1 && o->peer_port == o->place.port &&
	       !memcmp(o->peer, o->place.address, o->place.family == AF_INET6 ? 16 : 4);
}

bool bind_is_for_socket_unit(const struct bind_occupant *o)
{
	struct unit unit;

	if (strcmp(o->process, "systemd") ||
	    (o->state != BIND_LISTENING && o->state != BIND_UNCONNECTED))
		return false;
	return o->pid == 1 ||
	       (o->cgroup && unit_of_row(&unit, o->cgroup) && !strncmp(unit.name, "user@", 5));
}
