/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Endpoints that share nothing. These are sockets that are bound to a port and get none of its
 * traffic, and UDP clients: endpoints whose sockets are all connected, or that open a port for one
 * question and close it. They are shown apart, are in no other sum, and are not judged. `list` and
 * `watch` use this rule to show the same endpoints.
 */
#ifndef SOCKFAIR_ASIDE_H
#define SOCKFAIR_ASIDE_H

#include "snapshot.h"

/* ASIDE_NOT: the endpoint's sockets share what comes. */
enum aside endpoint_aside(const struct endpoint *e);

/* Are such endpoints listed one by one? Clients are only counted, because there may be thousands.
 */
static inline bool aside_is_listed(enum aside why)
{
	return why == ASIDE_BOUND || why == ASIDE_KERNEL;
}

/*
 * This many short-lived ports are taken for those of a client that opens another port for each
 * question, as resolvers do. If there are fewer they stay, because they may well be servers that
 * were started and stopped.
 */
#define PASSING_LEAST 16

/* Adds an endpoint that was open only for a moment: its growth since `before`, or all of it if
 * `before` is NULL. */
void passing_add(struct passing *sum, const struct endpoint *e, const struct endpoint *before);

/*
 * Moves the endpoints to be set aside behind the endpoint_count others. If the user named ports,
 * clients stay, because the question is about them too. To be called before endpoint_judge().
 * Returns 0 or -ENOMEM.
 */
int snapshot_set_aside(struct snapshot *s, bool ports_named);

/* The opposite, also for the connected sockets of each endpoint: snapshots that are subtracted must
 * list everything. */
void snapshot_bring_back(struct snapshot *s);

#endif
