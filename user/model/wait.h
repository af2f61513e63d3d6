/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long connections waited. Count, sum and maximum are exact; percentiles come from a log-linear
 * histogram (bpf/wait_slots.h defines its slots and its error, 5.9 %). A histogram is large and few
 * rows have one, so histograms lie in a list of their own and a row has the index of its histogram.
 */
#ifndef SOCKFAIR_MODEL_WAIT_H
#define SOCKFAIR_MODEL_WAIT_H

#include <stddef.h>
#include <stdint.h>

#include "wait_slots.h"

#define WAIT_ERROR 0.06 /* largest relative error of a percentile, plus 1 us, the unit */

struct wait_histogram {
	uint64_t slots[WAIT_SLOTS];
};

struct wait {
	uint64_t count; /* connections whose wait was measured */
	uint64_t sum_ns;
	uint64_t max_ns;    /* for an interval it may be up to 12.5 % too high; 0: not known */
	uint32_t histogram; /* place in the endpoint's list, from 1; 0: no histogram because there
			       was no room, so no percentiles */
};

/*
 * Upper bounds of cumulative histograms that other programs read. The slots can be added up exactly
 * to a bound only where a slot begins, so these are the beginnings next to 100 us, 500 us, 1 ms, 5
 * ms, 10 ms, 50 ms, 100 ms, 250 ms, 500 ms, 1 s and 5 s.
 */
#define WAIT_BOUNDS 11
extern const uint32_t wait_bounds_us[WAIT_BOUNDS];

/* Waits by these bounds. */
struct wait_bounds {
	uint64_t counts[WAIT_BOUNDS + 1]; /* below the bound, and not below the one before; the
					     last: all that are longer */
	uint64_t sum_ns;                  /* of all of them */
};

/* How much a count grew; 0 if it fell, which happens when the earlier value was read late. */
static inline uint64_t growth(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

/* NaN without connections. */
double wait_mean_ns(const struct wait *w);

/*
 * The wait that a share q (0..1) of the connections did not exceed, in ns; NaN without connections
 * or without a histogram. list: of the endpoint.
 */
double wait_quantile_ns(const struct wait *w, const struct wait_histogram *list, double q);

/* How many connections certainly waited that long or longer; 0 if there is no histogram. */
uint64_t wait_count_from(const struct wait *w, const struct wait_histogram *list, uint64_t ns);

/* Adds one wait to another. Both histograms must be in `list`. If both waits have connections but
 * only one has a histogram, the sum has none (0). */
void wait_add(struct wait *to, const struct wait *from, struct wait_histogram *list);

/*
 * Subtracts an earlier state of the same row from `now`. list and list_before: of their endpoints.
 * The maximum of the time between is taken from the histogram: the upper end of the highest slot
 * that grew, or the overall maximum if that is less. Without a histogram the maximum is known only
 * if it is the overall one.
 */
void wait_subtract(struct wait *now, const struct wait *before, struct wait_histogram *list,
		   const struct wait_histogram *list_before);

void wait_bounds_add(struct wait_bounds *to, const struct wait_bounds *from);

/* Adds up WAIT_SLOTS counts by bound. They may wrap, and then the sums wrap, too. */
void wait_bounds_of(uint32_t counts[WAIT_BOUNDS + 1], const uint32_t *slots);

#endif
