/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Are groups of repeated runs different, or is it noise? Runs of one server design differ from each
 * other by far more than counts within a run would suggest (who happens to sleep decides), so only
 * runs are compared with runs.
 */
#ifndef SOCKFAIR_NOISE_H
#define SOCKFAIR_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * "Different" is said below this p: of a hundred comparisons in which nothing changed, one says
 * that anything did. Lower can't be reached with the few runs that people have patience for.
 */
#define NOISE_LEVEL 0.01

/* Runs of one or several figures, in groups. */
struct noise_runs {
	size_t groups;
	const size_t *sizes; /* runs of each group; may be 0 */
	size_t figures;
	const double *values; /* run after run, group after group: `figures` of each; NaN: not known
				 of that run; else finite */
	const double *grain;  /* by figure: the standard deviation that its measuring or rounding
				 alone gives, in its unit; 0: none */
};

/*
 * p-values of "which group a run is in makes no difference", two-sided, of each later group against
 * the first in each figure: one level for all of them. Whole runs are divided anew into groups of
 * the same sizes, the same division for all figures, and the studentized difference of means
 * (Janssen 1997; Chung and Romano, Annals of Statistics 41, 2013) is held against the largest among
 * all figures and groups (Westfall and Young 1993, maxT, step-down: who is told is out of the
 * maximum that the next is held against). Figures that go together, as percentiles do, so cost
 * little, and five runs a group can tell although there are many.
 *
 * Two groups: every division, where looking at no more than `effort` values does it; else up to
 * 9,999 random ones of a fixed seed, the given one counted among them. Exact for runs of the same
 * distribution, with many runs right also where only the means agree. A figure that a run lacks is
 * lacked by whichever group the run comes into; where a group has fewer than noise_runs_needed()
 * with it, there is no difference. The spread within groups counts as at least a tenth of the
 * spread of both together, and as at least the grain: no difference is infinite, and two values
 * that a figure takes in turn (a percentile's neighbouring slots) are not the largest by the
 * accident of a division that separates them.
 *
 * p: (groups - 1) * figures, group 1's first; NaN: not tested, a group has too few runs with the
 * figure. Returns 0 or -ENOMEM.
 */
int noise_test(const struct noise_runs *runs, uint64_t effort, double *p);

/* Runs that each of two groups needs so that the division that was found can have a p below the
 * level: of 2n runs in two groups C(2n, n) divisions, of which two are as far apart. */
size_t noise_runs_needed(void);

/* Mean and standard deviation (n - 1; 0 for one value, and exactly 0 where all are equal) of
 * values[0..n), n > 0. */
void noise_moments(const double *values, size_t n, double *mean, double *sd);

/* Equal but for rounding: documents carry nine digits. */
bool noise_same(double a, double b);

#endif
