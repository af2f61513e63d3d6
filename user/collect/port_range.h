/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Counts the ports that a call could have got, where the kernel found none: all sockets of its
 * range, in any state, held or not. A scan stops nothing; it is a sample. */
#ifndef SOCKFAIR_PORT_RANGE_H
#define SOCKFAIR_PORT_RANGE_H

#include "../bind/bind_range.h"
#include "occupants.h"

/* What is to be counted, and what was. */
struct port_range_query {
	struct bind_event event; /* the first of the calls that ask the same */
	struct bind_range_use use;
	bool counted; /* use is filled; else it could not be looked */
};

#define PORT_RANGE_QUERIES_MAX 8 /* in one scan: 40 KiB each while it runs */

/* One scan for all of them. Returns 0, or negative errno with which the run has to end: the way
 * back from another network namespace failed, or memory ran out. */
int port_range_count(struct occupants *o, struct port_range_query *queries, size_t count);

/* Do two calls ask the same? */
bool port_range_same(const struct bind_event *a, const struct bind_event *b);

#endif
