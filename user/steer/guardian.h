/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sees to it that no worker stays without its entry, whoever dies.
 *
 *   tool ── guardian ── mover
 *
 * The guardian is forked before the first change, forks the mover, and outlives it: when the mover
 * ends, also by kill -9, the guardian puts back what was out. When the tool ends, the guardian ends
 * the mover. When the guardian is killed, the mover ends after its move; and should the mover have
 * been killed at the same time, guardian_end() does the guardian's work. Only where all three are
 * killed within the microseconds between two calls an entry stays out.
 */
#ifndef SOCKFAIR_GUARDIAN_H
#define SOCKFAIR_GUARDIAN_H

#include "mover.h"

struct guardian;

/* Memory for `moving`, which guardian_free() frees. NULL: there is none. */
struct guardian *guardian_new(struct moving **moving);

/* Begins: entries are moved from here on. Returns 0 or negative errno. */
int guardian_begin(struct guardian *g);

/* Is all as it should be? False: the mover or the guardian has ended. */
bool guardian_lives(const struct guardian *g);

/*
 * Ends the moving, and returns when no entry is out any more; 0, or negative errno: one is, because
 * the kernel refuses to add it. Without a begin: 0.
 */
int guardian_end(struct guardian *g);

/* Ends it first, if it goes on. g may be NULL. */
void guardian_free(struct guardian *g);

#endif
