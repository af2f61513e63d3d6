/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How far a fair hash spreads few units over many bins, by simulation. Results are kept: a watch
 * judges the whole window in every interval, and most of its ports have got nothing new. Not for
 * several threads at once.
 */
#ifndef SOCKFAIR_CHANCE_H
#define SOCKFAIR_CHANCE_H

#include <stddef.h>
#include <stdint.h>

#include "flows.h"

#ifndef REPLICATES      /* fuzzers set it, because they have time for only a few */
#define REPLICATES 9999 /* p has steps of 1/10,000 */
#endif

/* What a fair hash gives: p of a spread of cv2 or more (the squared CV), and the largest bin. */
struct chance {
	double p_value;
	double max_over_mean;
};

/*
 * Of n units of equal weight. Takes 9,999 n throws, a fraction of a second for 4,096 units, unless
 * n units were spread over so many bins before. GSL's error handler must be off. Returns 0 or
 * -ENOMEM.
 */
int chance_of_units(struct chance *c, uint64_t n, size_t bins, double cv2);

/* The same of flows of several weights. */
int chance_of_flows(struct chance *c, const struct flow_load *load, size_t bins, double cv2);

#endif
