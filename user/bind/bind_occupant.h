/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who has a port: what he is to the caller, and how he came by it. */
#ifndef SOCKFAIR_BIND_OCCUPANT_H
#define SOCKFAIR_BIND_OCCUPANT_H

#include "bind.h"

/* What the kernel keeps of how a socket came by its port. */
struct bind_marks {
	bool port_asked;     /* SOCK_BINDPORT_LOCK */
	bool connect_picked; /* SOCK_CONNECT_BIND, tw_connect_bind: kept since 6.18 */
};

/* Of a socket with that protocol, state and bucket. */
enum bind_origin bind_origin_of(const struct bind_occupant *o, const struct bind_marks *marks);

enum bind_relation { RELATION_OTHER, RELATION_ITSELF, RELATION_PARENT, RELATION_CHILD };

/* What the one who has the port is to the process that called. *holder (may be NULL): as which of
 * its holders; NULL: RELATION_OTHER. */
enum bind_relation bind_relation(const struct bind_event *e, const struct bind_occupant *o,
				 const struct bind_holder **holder);

bool bind_is_parent(const struct bind_event *e, const struct bind_holder *holder);

/* "itself", "parent", "child"; NULL: none */
const char *bind_relation_name(enum bind_relation relation);

/* A TCP connection of a client whose own port was the one that it connected to. */
bool bind_meets_itself(const struct bind_occupant *o);

/* systemd, of the system or of a user: what it listens on it does for a .socket unit. */
bool bind_is_for_socket_unit(const struct bind_occupant *o);

#endif
