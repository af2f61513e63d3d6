/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which bins a verdict compares. What appeared or ended in the window lived for part of it, so a
 * fair sharing owed it less: it is no bin while others lived through it. If none did, those that
 * were there from the start are compared (a server that was stopped), else those that are there now
 * (a server that was started). Of two generations it is asked for one: generations.h.
 */
#ifndef SOCKFAIR_LIFETIMES_H
#define SOCKFAIR_LIFETIMES_H

#include <stdbool.h>

struct lifetimes {
	bool through, from_start, to_end;
	bool later; /* of two generations the later is compared: what is there now */
};

static inline void lifetimes_see(struct lifetimes *seen, bool appeared, bool ended)
{
	seen->through |= !appeared && !ended;
	seen->from_start |= !appeared;
	seen->to_end |= !ended;
}

/* Is one that lived so a bin, beside those that were seen? */
static inline bool lifetimes_admit(const struct lifetimes *seen, bool appeared, bool ended)
{
	if (seen->later)
		return !ended;
	if (seen->through)
		return !appeared && !ended;
	return seen->from_start ? !appeared : seen->to_end ? !ended : true;
}

#endif
