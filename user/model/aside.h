/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Endpoints that share nothing: sockets that have a port and get none of what comes to it, and UDP clients. They are told apart, are in no sum, and nobody judges them.
 * `list` and `watch` have the same endpoints by this rule.
 */
#ifndef SOCKFAIR_ASIDE_H
#define SOCKFAIR_ASIDE_H

#include "snapshot.h"

/* ASIDE_NOT: its sockets share what comes. */
enum aside endpoint_aside(const struct endpoint *e);

/*
 * Puts those endpoints behind the ones that endpoint_count names. Who names a port asks about its clients too: then they stay. Before endpoint_judge(). Returns 0 or
 * -ENOMEM.
 */
int snapshot_set_aside(struct snapshot *s, bool ports_named);

/* The opposite, with the connected sockets of each: a snapshot that others are subtracted from lists all. */
void snapshot_bring_back(struct snapshot *s);

#endif
