/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sockets that exist now, without a window: for `list`, and for a `watch` that does not find
 * what the user asked for. */
#ifndef SOCKFAIR_LISTING_H
#define SOCKFAIR_LISTING_H

#include "../collect/selection.h"
#include "../model/snapshot.h"

/* Fills the endpoints of a snapshot without judging them. Returns 0, or a negative errno with
 * `why`; call snapshot_free(s) in either case. */
int listing_fill(const struct selection *selection, struct snapshot *s, char *why, size_t size);

/* Says for each of these ports, on which no process listens or receives, who has the port all the
 * same. s: a listing of these ports. Writes into text; returns it. */
char *listing_explain(char *text, size_t size, const struct snapshot *s, const uint16_t *ports,
		      size_t count);

#endif
