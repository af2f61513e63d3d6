/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Places and occupants (bind/bind.h) in JSON. Every document that has them uses the same fields. */
#ifndef SOCKFAIR_JSON_BIND_H
#define SOCKFAIR_JSON_BIND_H

#include "../bind/bind.h"
#include "json_writer.h"

/* Writes into an open object: protocol, family, address, port, netns, device, v6only (null for
 * IPv4). */
void json_bind_place(struct json_writer *w, const struct bind_place *place);

/* Writes uid, reuseaddr and reuseport. The last two are null where `known` is false. */
void json_bind_options(struct json_writer *w, const struct bind_place *place, bool known);

/*
 * Opens an object in an array and writes the occupant's place, its options, and state, sockets,
 * inode, cookie, pid, pid_inside, holders, process, seconds_left, descriptor, cgroup, unit,
 * container, kernel, peer, port_picked. The caller closes the object with '}'.
 */
void json_bind_occupant_open(struct json_writer *w, const struct bind_occupant *o);

#endif
