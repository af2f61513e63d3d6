/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Endpoints that share nothing: sockets that have a port and get none of what comes to it, and UDP
 * clients: those whose sockets are connected, and those that open a port for a question and close
 * it. They are told apart, are in no other sum, and nobody judges them. `list` and `watch` have the
 * same endpoints by this rule.
 */
#ifndef SOCKFAIR_ASIDE_H
#define SOCKFAIR_ASIDE_H

#include "snapshot.h"

/* ASIDE_NOT: its sockets share what comes. */
enum aside endpoint_aside(const struct endpoint *e);

/* Are its sockets told one by one? Clients' are a number, for there may be thousands. */
static inline bool aside_is_listed(enum aside why)
{
	return why == ASIDE_BOUND || why == ASIDE_KERNEL;
}

/*
 * So many ports that passed are a client's that takes another for each question (resolvers do):
 * they stay where there are fewer, which may well be servers that were started and stopped.
 */
#define PASSING_LEAST 16

/* Adds up what passed in the endpoint: its growth since `before`, where that is not NULL. */
void passing_add(struct passing *sum, const struct endpoint *e, const struct endpoint *before);

/*
 * Puts those endpoints behind the ones that endpoint_count names. Who names a port asks about its
 * clients too: then they stay. Before endpoint_judge(). Returns 0 or -ENOMEM.
 */
int snapshot_set_aside(struct snapshot *s, bool ports_named);

/* The opposite, with the connected sockets of each: a snapshot that others are subtracted from
 * lists all. */
void snapshot_bring_back(struct snapshot *s);

#endif
