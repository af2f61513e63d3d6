/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long connections waited: count, sum and longest exactly, percentiles from a log-linear
 * histogram (bpf/wait_slots.h has its slots and its error, 5.9 %). Histograms are many numbers and
 * few rows have one: they lie in a list of their own, and a row names its place in it.
 */
#ifndef SOCKFAIR_MODEL_WAIT_H
#define SOCKFAIR_MODEL_WAIT_H

#include <stddef.h>
#include <stdint.h>

#include "wait_slots.h"

#define WAIT_ERROR 0.06 /* at most, of a percentile; and 1 us, the unit */

struct wait_histogram {
	uint64_t slots[WAIT_SLOTS];
};

struct wait {
	uint64_t count; /* connections whose wait was measured */
	uint64_t sum_ns;
	uint64_t max_ns; /* of an interval: at most 12.5 % more than it was; 0 where it is not known
			  */
	uint32_t histogram; /* place in the list of its endpoint, from 1; 0: none, there was no
			       room: no percentiles */
};

/* How much a count grew; 0 where it was read late for the earlier moment, or fell. */
static inline uint64_t growth(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

/* NaN where there is none. */
double wait_mean_ns(const struct wait *w);

/*
 * The wait that a share q (0..1) of the connections did not exceed, in ns; NaN without connections
 * or without a histogram. list: of the endpoint.
 */
double wait_quantile_ns(const struct wait *w, const struct wait_histogram *list, double q);

/* Adds one to another; the histogram only if both lie in `list`, and loses it (0) where only one of
 * two with connections has one. */
void wait_add(struct wait *to, const struct wait *from, struct wait_histogram *list);

/*
 * What came between two moments of one row: `now` less `before`. list and list_before: of their
 * endpoints. The longest of the time between is taken from the histogram: the upper end of the
 * highest slot that grew, or the longest of all if that is less. Without one it is known only if it
 * is the longest of all.
 */
void wait_subtract(struct wait *now, const struct wait *before, struct wait_histogram *list,
		   const struct wait_histogram *list_before);

#endif
