/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Are groups of repeated runs different, or is it noise? Runs of one server design differ from each
 * other by far more than the counts within a run would suggest, because chance decides which worker
 * is asleep when work comes. So runs are only compared with runs.
 */
#ifndef SOCKFAIR_NOISE_H
#define SOCKFAIR_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Groups are called different below this p: one comparison in a hundred in which nothing changed
 * reports a change. A lower level can't be reached with the few runs that people have patience for.
 */
#define NOISE_LEVEL 0.01

/* Runs of one or several figures, in groups. */
struct noise_runs {
	size_t groups;
	const size_t *sizes; /* runs of each group; may be 0 */
	size_t figures;
	const double *values; /* `figures` values for each run, run after run, group after group;
				 NaN: not known for that run; else finite */
	const double *grain;  /* for each figure, in its unit, the standard deviation that measuring
				 or rounding alone gives; 0: none */
};

/*
 * Computes two-sided p-values of "which group a run is in makes no difference", for each later
 * group against the first in each figure, with one error level for all of them. Whole runs are
 * divided anew into groups of the same sizes, with the same division for all figures. The
 * studentized difference of means (Janssen 1997; Chung and Romano, Annals of Statistics 41, 2013)
 * is compared with the largest among all figures and groups (Westfall and Young 1993, maxT,
 * step-down: a figure found different is left out of the maximum for the next one). So figures that
 * move together, such as percentiles, cost little, and five runs a group are enough although there
 * are many figures.
 *
 * With two groups every division is tried if that means looking at no more than `effort` values;
 * otherwise up to 9,999 random divisions from a fixed seed are tried, and the given one counts
 * among them. The test is exact for runs of the same distribution, and with many runs it is also
 * right where only the means agree. A figure that a run lacks is missing from whichever group the
 * run is put into; if a group has fewer than noise_runs_needed() runs with the figure, there is no
 * difference. The spread within groups counts as at least a tenth of the spread of both groups
 * together, and as at least the grain. So no difference is infinite. And a figure that alternates
 * between two values (a percentile's neighbouring slots) does not become the largest because a
 * division happens to separate them.
 *
 * p: (groups - 1) * figures, group 1's first; NaN: not tested, a group has too few runs with the
 * figure. Returns 0 or -ENOMEM.
 */
int noise_test(const struct noise_runs *runs, uint64_t effort, double *p);

/* Runs that each of two groups needs so that the observed division can have a p below the level: 2n
 * runs have C(2n, n) divisions into two groups, and two of these are as far apart as the observed
 * one. */
size_t noise_runs_needed(void);

/* Mean and standard deviation (n - 1; 0 for one value, and exactly 0 where all are equal) of
 * values[0..n), n > 0. */
void noise_moments(const double *values, size_t n, double *mean, double *sd);

/* Are the values equal except for rounding? Documents carry nine digits. */
bool noise_same(double a, double b);

#endif
