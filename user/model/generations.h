/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * After a reload or an upgrade the workers of a port are others than before. Who was there when the
 * window began and takes no more at its end is of the earlier generation, who began in the window
 * and is there at its end of the later one. Told from lives (began, ended, took for the last time),
 * never from names. As long as one that was there from the start goes on, waiting or taking, there
 * is one generation: who came and went beside it are single workers. So are those that were
 * replaced one after the other: a later generation began together.
 */
#ifndef SOCKFAIR_GENERATIONS_H
#define SOCKFAIR_GENERATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct endpoint;

enum generation {
	GENERATION_ONLY, /* there is but one; or of a row: it came and went in between, or takes
			    nothing */
	GENERATION_EARLIER,
	GENERATION_LATER,
};

struct generation_sum {
	size_t processes, threads;
	uint64_t taken;
};

/* All zero: there is but one. */
struct generations {
	enum generation judged; /* whose rows are the bins; the later one unless it took too little
				   to tell, and less than the earlier */
	struct generation_sum earlier, later;
	bool holds; /* some of the earlier live and hold the socket: they may be stuck */
};

/* Fills e->generations, and `generation` of its workers and sockets. threshold: of the verdict.
 * Returns 0 or -ENOMEM. */
int endpoint_tell_generations(struct endpoint *e, double threshold);

/* So much that who shares evenly took about as much: those that differ by their lives alone have a
 * CV of 0.14 at most. 0 and 0, not known, are. */
bool lives_are_alike(uint64_t shortest_ns, uint64_t longest_ns);

/* The one that is not judged. */
const struct generation_sum *generations_other(const struct generations *g);
/* "of an earlier generation" */
const char *generations_other_name(const struct generations *g);

#endif
