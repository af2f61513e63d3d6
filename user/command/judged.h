/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --fail-on uneven over several ports, designs or files: one status and one line. */
#ifndef SOCKFAIR_JUDGED_H
#define SOCKFAIR_JUDGED_H

#include "../model/comparison.h"

struct judged {
	size_t even, alone, uneven, untold;
	char first_alone[128], first_untold[128]; /* their names */
	char alone_why[DESIGN_WORDS];             /* the design of the first */
	struct decision why;                      /* of first_untold */
};

/* name: of what was judged, for people; design: its words, "": not known. */
void judged_add(struct judged *j, const char *name, struct decision d, const char *design);

/* The ports of a watched window. Those without events count only where no other had any, or where
 * they were asked for by number. */
void judged_add_ports(struct judged *j, const struct snapshot *s, const uint16_t *asked,
		      size_t asked_count);

/* Of each side after the first, or where there is one, of that: all runs with events. */
void judged_add_comparison(struct judged *j, const struct comparison *c);

/*
 * STATUS_UNEVEN if any is uneven; else STATUS_FAILED if any can't be told, with one line on stderr
 * that names it, why, and what to do; else STATUS_OK. Where some had nothing to be uneven, a line
 * says so.
 */
int judged_status(const struct judged *j);

#endif
