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

/*
 * Runs that each side needs. With three, one of 81 resamples is three times the same run on both sides, so that p = 0.01 can't be reached
 * whatever the difference. With four it can, but against a side that never varies (all of the work on one worker: CV 2.646 each time) one of
 * 64 resamples has no spread either; with five one of 625. Measured: of 4,000 pairs of groups of five that do not differ 0.3 % were called different
 * (normal) and 0.1 % (log-normal), of ten 0.2 % and 0.1 %, so it errs towards silence; a shift by six standard deviations was found in 97 % with five.
 * What it can't bear is a skewed group beside one that never varies: up to 5 % (log-normal of sigma 1 beside its own mean).
 */
#define NOISE_RUNS_MIN 5

#define NOISE_REPLICATES 9999

/* Mean and standard deviation (n - 1; 0 for one value, and exactly 0 where all are equal) of values[0..n), n > 0. */
void noise_moments(const double *values, size_t n, double *mean, double *sd);

/*
 * p-value of "both groups have the same mean", two-sided: the studentized bootstrap of Efron and Tibshirani, An Introduction to the
 * Bootstrap (1993), algorithm 16.2. Both groups are shifted to a common mean and drawn from again, and p is the share of replicates whose t is
 * at least as large: (1 + such) / (1 + replicates). Fewer replicates are made for very many values (some 2 million draws in all). Fixed seed: the same values
 * always give the same p. Values must be finite; na, nb at least 1. Groups without any spread differ (p = 1/(1 + replicates)) or are equal (1).
 * NaN: out of memory.
 */
double noise_p_value(const double *a, size_t na, const double *b, size_t nb, unsigned replicates);

#endif
