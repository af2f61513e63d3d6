/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counts who has the ports that a call could have got when the kernel found no free port: all
 * sockets in the call's range, in any state, whether or not a process holds them. A scan does not
 * stop anything, so it is a sample.
 */
#ifndef SOCKFAIR_PORT_RANGE_H
#define SOCKFAIR_PORT_RANGE_H

#include "../bind/bind_range.h"
#include "occupants.h"

/* What to count, and the result. */
struct port_range_query {
	struct bind_event event; /* the first of the calls that ask the same question */
	struct bind_range_use use;
	bool counted; /* `use` is filled in; else it was not possible to look */
};

#define PORT_RANGE_QUERIES_MAX 8 /* in one scan; each takes 40 KiB while it runs */

/*
 * Answers all queries with one scan. Returns 0, or a negative errno after which the run has to
 * end: the way back from another network namespace failed, or memory ran out.
 */
int port_range_count(struct occupants *o, struct port_range_query *queries, size_t count);

/* Do two calls ask the same question? */
bool port_range_same(const struct bind_event *a, const struct bind_event *b);

#endif
