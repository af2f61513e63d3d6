/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "noise.h"

#include <math.h>
#include <stdint.h>

#include <gsl/gsl_errno.h>
#include <gsl/gsl_rng.h>

#define SEED 20240229         /* any fixed number */
#define DRAWS_MAX 2000000     /* in all; more values get fewer replicates, for many values need them less */
#define REPLICATES_MIN 999

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

/* |t| of a difference of means; infinite for a difference without any spread. */
static double studentized(double difference, double variance_of_it)
{
	if (difference == 0)
		return 0;
	return variance_of_it > 0 ? fabs(difference) / sqrt(variance_of_it) : INFINITY;
}

/*
 * Draws n of the n values with replacement: the mean of their deviations from the group's own mean, that is of the group shifted to 0, and the
 * variance of that mean.
 */
static struct moments draw(gsl_rng *rng, const double *values, size_t n, double mean)
{
	double sum = 0, squares = 0, first = 0;
	struct moments m;

	for (size_t i = 0; i < n; i++) {
		/* 32 random bits scaled to n: uneven by n/2^32 at most. */
		const double d = values[(uint64_t)gsl_rng_get(rng) * n >> 32] - mean;

		first = i ? first : d;
		sum += d - first;
		squares += (d - first) * (d - first);
	}
	m.mean = first + sum / (double)n;
	m.variance = n > 1 ? fmax(0, squares - sum * sum / (double)n) / (double)(n - 1) / (double)n : 0;
	return m;
}

static uint64_t count_as_large(gsl_rng *rng, const double *a, size_t na, double mean_a, const double *b, size_t nb, double mean_b,
			       double t, unsigned replicates)
{
	uint64_t as_large = 0;

	for (unsigned i = 0; i < replicates; i++) {
		const struct moments x = draw(rng, a, na, mean_a), y = draw(rng, b, nb, mean_b);

		as_large += studentized(x.mean - y.mean, x.variance + y.variance) >= t;
	}
	return as_large;
}

double noise_p_value(const double *a, size_t na, const double *b, size_t nb, unsigned replicates)
{
	const struct moments x = moments_of(a, na), y = moments_of(b, nb);
	/* As large for whatever rounding does. */
	const double t = studentized(x.mean - y.mean, x.variance / (double)na + y.variance / (double)nb) * (1 - 1e-9);
	gsl_error_handler_t *handler;
	gsl_rng *rng;
	double p;

	if (na + nb > DRAWS_MAX / replicates)
		replicates = fmax(fmin(REPLICATES_MIN, replicates), DRAWS_MAX / (na + nb));
	if (t == 0)
		return 1;
	if (x.variance == 0 && y.variance == 0)
		return 1.0 / (1 + replicates);
	handler = gsl_set_error_handler_off();
	rng = gsl_rng_alloc(gsl_rng_mt19937);
	gsl_set_error_handler(handler);
	if (!rng)
		return NAN;
	gsl_rng_set(rng, SEED);
	p = (1.0 + (double)count_as_large(rng, a, na, x.mean, b, nb, y.mean, t, replicates)) / (1.0 + replicates);
	gsl_rng_free(rng);
	return p;
}
