/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --fail-on uneven over several ports, designs or files: they share one status and one line. */
#ifndef SOCKFAIR_JUDGED_H
#define SOCKFAIR_JUDGED_H

#include "../model/comparison.h"

struct judged {
	size_t even, alone, uneven, untold;
	char first_alone[128], first_untold[128]; /* their names */
	char alone_why[DESIGN_WORDS];             /* the design of the first */
	struct decision why;                      /* why first_untold can't be told */
};

/* Adds one decision. name: what was judged, as users know it. design: the design in words, "": not
 * known. */
void judged_add(struct judged *j, const char *name, struct decision d, const char *design);

/* Adds the ports of a watched window. A port without events counts only if no other port had any,
 * or if the user asked for it by number. */
void judged_add_ports(struct judged *j, const struct snapshot *s, const uint16_t *asked,
		      size_t asked_count);

/*
 * Adds each side after the first, or the first if there is only one, with all runs that had events.
 */
void judged_add_comparison(struct judged *j, const struct comparison *c);

/*
 * STATUS_UNEVEN if any result is uneven. Otherwise STATUS_FAILED if any can't be told, with one
 * line on stderr that names it, why, and what to do. Otherwise STATUS_OK. If some had nothing that
 * could be uneven, a line says so.
 */
int judged_status(const struct judged *j);

#endif
