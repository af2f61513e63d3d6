/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A reload or an upgrade replaces the workers of a port. A worker that was there when the window
 * began and no longer takes work at its end belongs to the earlier generation. A worker that began
 * in the window and is there at its end belongs to the later one. Generations are told from lives
 * (when a worker began, ended, took for the last time), never from names. As long as one worker
 * from the start goes on waiting or taking, there is only one generation, and workers that come and
 * go beside it are single workers. Workers that were replaced one after the other are single
 * workers too, because a later generation begins together.
 */
#ifndef SOCKFAIR_GENERATIONS_H
#define SOCKFAIR_GENERATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct endpoint;

enum generation {
	GENERATION_ONLY, /* there is only one generation; for a row: it came and went in between, or
			    takes nothing */
	GENERATION_EARLIER,
	GENERATION_LATER,
};

struct generation_sum {
	size_t processes, threads;
	uint64_t taken;
};

/* All zero: there is only one generation. */
struct generations {
	enum generation judged; /* the generation whose rows are the bins: the later one, unless it
				   took less than the earlier one and too little for a verdict */
	struct generation_sum earlier, later;
	bool holds; /* some of the earlier generation live and hold the socket, so they may be stuck
		     */
};

/* Fills e->generations, and `generation` of its workers and sockets. threshold: of the verdict.
 * Returns 0 or -ENOMEM. */
int endpoint_tell_generations(struct endpoint *e, double threshold);

/* Are lives so similar that an even sharing gives about the same to each? Then the difference of
 * lives alone causes a CV of 0.14 at most. True for 0 and 0, which means not known. */
bool lives_are_alike(uint64_t shortest_ns, uint64_t longest_ns);

/* The generation that is not judged. */
const struct generation_sum *generations_other(const struct generations *g);
/* "of an earlier generation" */
const char *generations_other_name(const struct generations *g);

#endif
