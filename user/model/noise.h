/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Are two groups of repeated runs different, or is it noise? Runs of one server design differ from each other by far more than counts within
 * a run would suggest (who happens to sleep decides), so only runs are compared with runs.
 */
#ifndef SOCKFAIR_NOISE_H
#define SOCKFAIR_NOISE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * "Different" is said below this p: one figure in a hundred that did not change is said to have. Lower can't be reached with the few runs
 * that people have patience for.
 */
#define NOISE_LEVEL 0.01

/* Runs that each side needs: ten runs can be divided into five and five in 252 ways, eight into four and four in 70, of which two are as far apart as any. */
#define NOISE_RUNS_MIN 5

/* Mean and standard deviation (n - 1; 0 for one value, and exactly 0 where all are equal) of values[0..n), n > 0. */
void noise_moments(const double *values, size_t n, double *mean, double *sd);

/* Equal but for rounding: documents carry nine digits. */
bool noise_same(double a, double b);

/*
 * p-value of "which group a run is in makes no difference", two-sided: the permutation test of the studentized difference of means (Janssen 1997; Chung and
 * Romano, Annals of Statistics 41, 2013): all runs are divided anew into groups of the same sizes, in every way or by a fixed seed in 9,999 random ones, and p is the share of divisions
 * whose t is at least as large. Exact for groups of the same distribution, with many runs right also where only the means agree. A bootstrap of so few runs was tried first: one outlier
 * on one side took it the power to tell a CV of 1.8 from one of 0.06. Values must be finite; na, nb at least 1. NaN: out of memory.
 */
double noise_p_value(const double *a, size_t na, const double *b, size_t nb);

#endif
