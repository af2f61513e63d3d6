/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "noise.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_combination.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_sf_gamma.h>

#define SEED 20240229            /* any fixed number */
#define ENUMERATED_MAX 20000      /* divisions of the runs into two groups: up to so many are all tried (seven against seven are 3,432) */
#define SHUFFLED 9999             /* else so many random ones */
#define VALUES_SHUFFLED_MAX 20000000 /* in all; very many values get fewer */

struct moments {
	double mean, variance; /* variance of the values, n - 1 */
};

/* Values that are all equal have no spread, whatever rounding does to their mean. */
static struct moments moments_of(const double *values, size_t n)
{
	struct moments m = { .mean = values[0] };
	double sum = 0, squares = 0;

	for (size_t i = 0; i < n; i++)
		sum += values[i] - values[0];
	if (n < 2)
		return m;
	m.mean += sum / (double)n;
	for (size_t i = 0; i < n; i++)
		squares += (values[i] - m.mean) * (values[i] - m.mean);
	m.variance = squares / (double)(n - 1);
	return m;
}

void noise_moments(const double *values, size_t n, double *mean, double *sd)
{
	const struct moments m = moments_of(values, n);

	*mean = m.mean;
	*sd = sqrt(m.variance);
}

bool noise_same(double a, double b)
{
	return fabs(a - b) <= 1e-7 * fmax(fabs(a), fabs(b));
}

/* |t| of a difference of means; infinite for a difference without any spread. */
static double studentized(double difference, double variance_of_it)
{
	if (difference == 0)
		return 0;
	return variance_of_it > 0 ? fabs(difference) / sqrt(variance_of_it) : INFINITY;
}

/* |t| of values[0..na) against the rest. */
static double t_of(const double *values, size_t na, size_t nb)
{
	const struct moments x = moments_of(values, na), y = moments_of(values + na, nb);

	return studentized(x.mean - y.mean, x.variance / (double)na + y.variance / (double)nb);
}

/* Of all divisions of the values into groups of these sizes, the share whose t is at least so large: the one that was observed is among them. */
static double enumerate(const double *all, size_t na, size_t nb, double t, double *divided)
{
	gsl_combination *chosen = gsl_combination_calloc(na + nb, na);
	uint64_t count = 0, as_large = 0;

	if (!chosen)
		return NAN;
	do {
		size_t in = 0, out = 0;

		for (size_t i = 0; i < na + nb; i++) {
			if (in < na && gsl_combination_get(chosen, in) == i)
				divided[in++] = all[i];
			else
				divided[na + out++] = all[i];
		}
		count++;
		as_large += t_of(divided, na, nb) >= t;
	} while (gsl_combination_next(chosen) == GSL_SUCCESS);
	gsl_combination_free(chosen);
	return (double)as_large / (double)count;
}

static double shuffle(const double *all, size_t na, size_t nb, double t, double *divided)
{
	const uint64_t room = VALUES_SHUFFLED_MAX / (na + nb), tries = room < 999 ? 999 : room < SHUFFLED ? room : SHUFFLED;
	gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
	uint64_t as_large = 0;

	if (!rng)
		return NAN;
	gsl_rng_set(rng, SEED);
	memcpy(divided, all, (na + nb) * sizeof(*all));
	for (uint64_t i = 0; i < tries; i++) {
		gsl_ran_shuffle(rng, divided, na + nb, sizeof(*divided));
		as_large += t_of(divided, na, nb) >= t;
	}
	gsl_rng_free(rng);
	return (1 + (double)as_large) / (1 + (double)tries);
}

/* Ways to divide na + nb values into such groups; infinite when there are too many to count. */
static double divisions(size_t na, size_t nb)
{
	return na + nb > 1000 ? INFINITY : exp(gsl_sf_lnchoose((unsigned)(na + nb), (unsigned)na));
}

double noise_p_value(const double *a, size_t na, const double *b, size_t nb)
{
	double *all = malloc(2 * (na + nb) * sizeof(*all)), p, t;
	gsl_error_handler_t *handler;

	if (!all)
		return NAN;
	memcpy(all, a, na * sizeof(*a));
	memcpy(all + na, b, nb * sizeof(*b));
	t = t_of(all, na, nb) * (1 - 1e-9); /* the same value by another order of summing is as large */
	handler = gsl_set_error_handler_off();
	if (noise_same(moments_of(a, na).mean, moments_of(b, nb).mean))
		p = 1;
	else if (divisions(na, nb) <= ENUMERATED_MAX)
		p = enumerate(all, na, nb, t, all + na + nb);
	else
		p = shuffle(all, na, nb, t, all + na + nb);
	gsl_set_error_handler(handler);
	free(all);
	return p;
}
