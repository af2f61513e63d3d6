/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The occupant of a port: how it relates to the caller, and how it came by the port. */
#ifndef SOCKFAIR_BIND_OCCUPANT_H
#define SOCKFAIR_BIND_OCCUPANT_H

#include "bind.h"

/* What the kernel remembers about how a socket came by its port. */
struct bind_marks {
	bool port_asked;     /* SOCK_BINDPORT_LOCK */
	bool connect_picked; /* SOCK_CONNECT_BIND, tw_connect_bind: the kernel keeps these
				since 6.18 */
};

/* Who chose the occupant's port, judged by its protocol, state and bucket and by the kernel's
 * marks. */
enum bind_origin bind_origin_of(const struct bind_occupant *o, const struct bind_marks *marks);

enum bind_relation { RELATION_OTHER, RELATION_ITSELF, RELATION_PARENT, RELATION_CHILD };

/* How the process that has the port relates to the process that called. *holder (may be NULL): the
 * holder of the socket that is related; NULL: RELATION_OTHER. */
enum bind_relation bind_relation(const struct bind_event *e, const struct bind_occupant *o,
				 const struct bind_holder **holder);

bool bind_is_parent(const struct bind_event *e, const struct bind_holder *holder);

/* "itself", "parent", "child"; NULL: none */
const char *bind_relation_name(enum bind_relation relation);

/* Is this a TCP connection of a client that connected to its own port? */
bool bind_meets_itself(const struct bind_occupant *o);

/* Is the holder systemd, of the system or of a user? It listens on behalf of a .socket unit. */
bool bind_is_for_socket_unit(const struct bind_occupant *o);

#endif
