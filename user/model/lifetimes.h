/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which bins a verdict compares. A row that appeared or ended in the window lived for only a part
 * of it, so a fair sharing would have given it less. Such a row is no bin if others lived through
 * the whole window. If none did, the rows that were there from the start are compared (a server
 * that was stopped), or else those that are there now (a server that was started). If there are two
 * generations, only one of them is considered: generations.h.
 */
#ifndef SOCKFAIR_LIFETIMES_H
#define SOCKFAIR_LIFETIMES_H

#include <stdbool.h>

struct lifetimes {
	bool through, from_start, to_end;
	bool later; /* the later of two generations is compared, which is what is there now */
};

static inline void lifetimes_see(struct lifetimes *seen, bool appeared, bool ended)
{
	seen->through |= !appeared && !ended;
	seen->from_start |= !appeared;
	seen->to_end |= !ended;
}

/* Is a row with such a life a bin, given the lives of all rows? */
static inline bool lifetimes_admit(const struct lifetimes *seen, bool appeared, bool ended)
{
	if (seen->later)
		return !ended;
	if (seen->through)
		return !appeared && !ended;
	return seen->from_start ? !appeared : seen->to_end ? !ended : true;
}

#endif
