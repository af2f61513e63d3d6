/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sockets that there are, without a window: for `list`, and for a watch that does not find what
 * it was asked for. */
#ifndef SOCKFAIR_LISTING_H
#define SOCKFAIR_LISTING_H

#include "../collect/selection.h"
#include "../model/snapshot.h"

/* Fills the endpoints of a snapshot, judged by nobody yet. Returns 0 or negative errno with `why`;
 * snapshot_free(s) in any case. */
int listing_fill(const struct selection *selection, struct snapshot *s, char *why, size_t size);

/* Says of each of these ports, on which no process listens or receives, who has it all the same. s:
 * a listing of them. Into text; returns it. */
char *listing_explain(char *text, size_t size, const struct snapshot *s, const uint16_t *ports,
		      size_t count);

#endif
