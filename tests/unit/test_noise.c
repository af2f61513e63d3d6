/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is more than noise, in one figure and in the many of many ports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>

#include <cmocka.h>
#include <gsl/gsl_combination.h>
#include <gsl/gsl_randist.h>

#include "../../user/model/noise.h"

#define EFFORT 100000000
#define EFFORT_LESS 40000 /* of 20 runs 2,000 divisions */

/* Two groups and one figure. */
static double p_by(uint64_t effort, const double *a, size_t na, const double *b, size_t nb)
{
	const size_t sizes[] = { na, nb };
	const double grain = 0;
	double values[100], p;

	memcpy(values, a, na * sizeof(*a));
	memcpy(values + na, b, nb * sizeof(*b));
	assert_int_equal(
		noise_test(&(struct noise_runs){ 2, sizes, 1, values, &grain }, effort, &p), 0);
	return p;
}

static double p_of(const double *a, size_t na, const double *b, size_t nb)
{
	return p_by(EFFORT, a, na, b, nb);
}

static double gauss(gsl_rng *rng)
{
	return gsl_ran_ugaussian(rng);
}

static double log_normal(gsl_rng *rng)
{
	return exp(gsl_ran_ugaussian(rng));
}

/* The share of trials with p below the level; the second group is shifted by so much. */
static double told_share(double (*value)(gsl_rng *), size_t n, double shift, int trials)
{
	gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
	double a[10], b[10];
	int told = 0;

	gsl_rng_set(rng, 7);
	for (int i = 0; i < trials; i++) {
		for (size_t k = 0; k < n; k++) {
			a[k] = value(rng);
			b[k] = value(rng) + shift;
		}
		told += p_by(EFFORT_LESS, a, n, b, n) < NOISE_LEVEL;
	}
	gsl_rng_free(rng);
	return (double)told / trials;
}

/* Of 600 trials 6 are expected at the level; 15 would come by chance once in a thousand times. */
static void no_difference_is_seldom_called_one(void **state)
{
	(void)state;
	assert_true(told_share(gauss, 5, 0, 600) <= 0.025);
	assert_true(told_share(gauss, 10, 0, 600) <= 0.025);
	assert_true(told_share(log_normal, 5, 0, 600) <= 0.025);
	assert_true(told_share(log_normal, 10, 0, 600) <= 0.025);
	/* It is a test, not a constant: at five times the spread of 0.01 some must come up. */
	assert_true(told_share(gauss, 10, 1, 100) > 0.05);
}

static void a_large_difference_is_found(void **state)
{
	(void)state;
	assert_true(told_share(gauss, 5, 6, 100) > 0.9);
	assert_true(told_share(gauss, 10, 3, 100) > 0.9);
	assert_true(told_share(log_normal, 10, 20, 100) > 0.9);
}

/* Of ten runs in two groups there are 252 divisions, of which two are as far apart: 0.0079; of
 * eight 70. */
static void three_runs_can_not_tell(void **state)
{
	const double a[] = { 1, 1.1, 0.9 }, b[] = { 1000, 1001, 1002 };

	(void)state;
	assert_true(isnan(p_of(a, 3, b, 3)));
	assert_int_equal(noise_runs_needed(), 5);
}

static void runs_without_spread(void **state)
{
	/* 2.646 has no exact sum: its mean of five may not be 2.646 to the last bit */
	const double same[] = { 2.646, 2.646, 2.646, 2.646, 2.646 },
		     other[] = { 2.645, 2.645, 2.645, 2.645, 2.645 };
	const double spread[] = { 1.1, 1.3, 1.2, 1.4, 1.0 },
		     around[] = { 2.6, 2.7, 2.646, 2.64, 2.65 };

	(void)state;
	assert_true(p_of(same, 5, same, 5) == 1);
	assert_true(fabs(p_of(same, 5, other, 5) - 2.0 / 252) < 1e-12);
	assert_true(p_of(same, 5, spread, 5) < NOISE_LEVEL);
	assert_true(p_of(spread, 5, same, 5) < NOISE_LEVEL);
	assert_true(p_of(same, 5, around, 5) > NOISE_LEVEL);
}

/* Real runs: reuseport and shared-epoll-exclusive, of which one had only the first worker at work.
 */
static void an_outlier_hides_nothing(void **state)
{
	const double a[] = { 0.0415, 0.0602, 0.0727, 0.0789, 0.0569, 0.0554 },
		     b[] = { 1.7404, 1.7101, 2.3350, 1.7177, 1.7156, 1.6678 };

	(void)state;
	assert_true(fabs(p_of(a, 6, b, 6) - 2.0 / 924) < 1e-12);
}

/* Groups of the same mean, one with five times the spread. */
static void more_spread_is_no_difference(void **state)
{
	gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
	double a[10], b[10];
	int told = 0;

	(void)state;
	gsl_rng_set(rng, 11);
	for (int i = 0; i < 600; i++) {
		for (size_t k = 0; k < 10; k++) {
			a[k] = gauss(rng);
			b[k] = 5 * gauss(rng);
		}
		told += p_by(EFFORT_LESS, a, 10, b, 10) < NOISE_LEVEL;
	}
	gsl_rng_free(rng);
	assert_true(told <= 18);
}

static void the_same_values_give_the_same_p(void **state)
{
	const double a[] = { 5, 6, 7, 8, 9 }, b[] = { 7, 8, 9, 10, 12 };
	const double p = p_of(a, 5, b, 5);

	(void)state;
	assert_true(p == p_of(a, 5, b, 5));
	assert_true(p > 0.01 && p < 0.2);
	/* Welch's t of -1.87 with 7.7 degrees of freedom: p 0.099. Here it is a whole number of the
	 * 252 divisions. */
	assert_true(p > 0.05 && fabs(p * 252 - round(p * 252)) < 1e-9);
}

static void moments(void **state)
{
	const double values[] = { 2, 4, 4, 4, 5, 5, 7, 9 };
	double mean, sd;

	(void)state;
	noise_moments(values, 8, &mean, &sd);
	assert_true(fabs(mean - 5) < 1e-12 && fabs(sd - sqrt(32.0 / 7)) < 1e-12);
	noise_moments(values, 1, &mean, &sd);
	assert_true(mean == 2 && sd == 0);
}

/* ---- many figures ---- */

/* t^2 as the header says it, of one figure of two groups without grain; runs that lack it left out.
 */
static double plain_t_squared(const double *values, size_t figures, size_t figure,
			      const size_t *rows, size_t na, size_t nb)
{
	double a[20], b[20], both[40], mean_a, mean_b, sd_a, sd_b, sd, mean;
	size_t known_a = 0, known_b = 0;

	for (size_t i = 0; i < na + nb; i++) {
		const double value = values[rows[i] * figures + figure];

		if (isnan(value))
			continue;
		both[known_a + known_b] = value;
		if (i < na)
			a[known_a++] = value;
		else
			b[known_b++] = value;
	}
	if (known_a < 5 || known_b < 5)
		return 0;
	noise_moments(a, known_a, &mean_a, &sd_a);
	noise_moments(b, known_b, &mean_b, &sd_b);
	noise_moments(both, known_a + known_b, &mean, &sd);
	if (sd == 0)
		return 0;
	return pow(mean_a - mean_b, 2) / fmax(sd_a * sd_a / known_a + sd_b * sd_b / known_b,
					      sd * sd / 100 * (1.0 / known_a + 1.0 / known_b));
}

/* Step-down maxT over every division, written down plainly: p of each figure. */
static void plain_p(const double *values, size_t figures, size_t na, size_t nb, double *p)
{
	gsl_combination *chosen = gsl_combination_calloc(na + nb, na);
	size_t count = 0, as_large[10] = {}, identity[20], order[10];
	double observed[10], so_far = 0;

	for (size_t i = 0; i < na + nb; i++)
		identity[i] = i;
	for (size_t f = 0; f < figures; f++) {
		observed[f] = plain_t_squared(values, figures, f, identity, na, nb);
		order[f] = f;
	}
	for (size_t i = 0; i < figures; i++)
		for (size_t k = i + 1; k < figures; k++)
			if (observed[order[k]] > observed[order[i]]) {
				const size_t swap = order[i];

				order[i] = order[k];
				order[k] = swap;
			}
	do {
		size_t rows[20], in = 0, out = na;

		for (size_t i = 0; i < na + nb; i++) {
			if (in < na && gsl_combination_get(chosen, in) == i)
				rows[in++] = i;
			else
				rows[out++] = i;
		}
		for (size_t place = 0; place < figures; place++) {
			double largest = 0;

			for (size_t k = place; k < figures; k++)
				largest = fmax(largest, plain_t_squared(values, figures, order[k],
									rows, na, nb));
			as_large[place] += largest >= observed[order[place]] * (1 - 1e-9);
		}
		count++;
	} while (gsl_combination_next(chosen) == GSL_SUCCESS);
	gsl_combination_free(chosen);
	for (size_t place = 0; place < figures; place++)
		p[order[place]] = so_far = fmax(so_far, (double)as_large[place] / (double)count);
}

/* Ties, figures that go together, one that never varies, one that some runs lack: the same to the
 * last division. */
static void every_division_counted_one_by_one(void **state)
{
	static const size_t shapes[][2] = { { 5, 5 }, { 6, 7 }, { 6, 6 } };
	gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);

	(void)state;
	gsl_rng_set(rng, 3);
	for (size_t trial = 0; trial < 12; trial++) {
		const size_t *sizes = shapes[trial % 3], figures = 5, runs = sizes[0] + sizes[1];
		double values[13 * 5], grain[5] = {}, p[5], plain[5];

		for (size_t i = 0; i < runs; i++) {
			double *v = &values[i * figures];

			v[0] = gauss(rng) + (i >= sizes[0]) * (double)(trial % 4) * 3;
			v[1] = floor(2 * v[0]);
			v[2] = 7;
			v[3] = sizes[0] > 5 && (i == 0 || i == 12) ? NAN : log_normal(rng);
			v[4] = (i >= sizes[0]) * 40 + 0.01 * gauss(rng);
		}
		assert_int_equal(
			noise_test(&(struct noise_runs){ 2, sizes, figures, values, grain }, EFFORT,
				   p),
			0);
		plain_p(values, figures, sizes[0], sizes[1], plain);
		for (size_t f = 0; f < figures; f++)
			if (!(fabs(p[f] - plain[f]) < 1e-12))
				fail_msg("trial %zu, figure %zu: p %.6f, counted plainly %.6f",
					 trial, f, p[f], plain[f]);
	}
	gsl_rng_free(rng);
}

/* Identical ports, each with a wait (by its logarithm) and a CV beyond chance; of the second group
 * the first port's waits are longer by a factor. */
#define PORTS 30
static double ports_told_share(size_t n, double factor, double spread, size_t trials)
{
	const size_t sizes[] = { n, n };
	gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
	double values[20 * 2 * PORTS], grain[2 * PORTS] = {}, p[2 * PORTS];
	size_t told = 0;

	gsl_rng_set(rng, 5);
	for (size_t t = 0; t < trials; t++) {
		bool worse = false;

		for (size_t i = 0; i < 2 * n; i++)
			for (size_t port = 0; port < PORTS; port++) {
				values[(i * PORTS + port) * 2] =
					spread * gauss(rng) + (i >= n && !port ? log(factor) : 0);
				values[(i * PORTS + port) * 2 + 1] = gsl_ran_chisq(rng, 7);
			}
		assert_int_equal(
			noise_test(&(struct noise_runs){ 2, sizes, 2 * PORTS, values, grain },
				   EFFORT, p),
			0);
		for (size_t f = 0; f < 2 * PORTS; f++)
			worse |= p[f] < NOISE_LEVEL;
		told += factor > 1 ? p[0] < NOISE_LEVEL : worse;
	}
	gsl_rng_free(rng);
	return (double)told / (double)trials;
}

/* SOCKFAIR_TRIALS=1000 .build/tests/test_noise: the figures themselves. Told in any direction, so
 * --fail-on worse fails half as often. */
static void thirty_ports_have_one_level(void **state)
{
	const char *asked = getenv("SOCKFAIR_TRIALS");
	const size_t trials = asked ? strtoul(asked, NULL, 10) : 40;
	const double alike5 = ports_told_share(5, 1, 0.2, 20 * trials),
		     alike8 = ports_told_share(8, 1, 0.2, trials);
	const double found = ports_told_share(8, 2, 0.15, trials),
		     found_wild = ports_told_share(8, 2, 0.2, trials);

	(void)state;
	if (asked)
		print_message("30 ports, any told: 5 runs %.4f of %zu, 8 runs %.4f of %zu; one at "
			      "twice the wait told of 8 runs: spread 0.15 %.3f, 0.20 %.3f\n",
			      alike5, 20 * trials, alike8, trials, found, found_wild);
	assert_true(alike5 <= 0.02);
	assert_true(alike8 <= 0.051);
	assert_true(found >= 0.9);
}

/* Two values that a figure takes by turns do not take five runs the power to tell another that is
 * four times as large. */
static void neighbouring_slots_hide_nothing(void **state)
{
	const size_t sizes[] = { 5, 5 };
	double values[10 * 11], grain[11], p[11];

	(void)state;
	for (size_t i = 0; i < 10; i++) {
		values[i * 11] = (i >= 5) * log(4) + 0.02 * (double)(i * 7 % 10);
		for (size_t f = 1; f < 11; f++)
			values[i * 11 + f] = log((i * f + i / f) % 2 ? 136 : 152);
	}
	for (size_t f = 0; f < 11; f++)
		grain[f] = 0.0346;
	assert_int_equal(noise_test(&(struct noise_runs){ 2, sizes, 11, values, grain }, EFFORT, p),
			 0);
	assert_true(fabs(p[0] - 2.0 / 252) < 1e-12);
	for (size_t f = 1; f < 11; f++)
		assert_true(p[f] > NOISE_LEVEL);
}

/* A figure that lacks in some runs is tested with the others, one that lacks in too many is not,
 * and the rest does not notice. */
static void a_figure_that_some_runs_lack(void **state)
{
	const size_t sizes[] = { 8, 8 };
	double values[16 * 2], grain[2] = {}, p[2];

	(void)state;
	for (size_t lacking = 2; lacking <= 4; lacking += 2) {
		for (size_t i = 0; i < 16; i++) {
			values[2 * i] = (i >= 8) * 10 + (double)(i * 5 % 16) / 16;
			values[2 * i + 1] = i >= 8 && i < 8 + lacking
						    ? NAN
						    : (i >= 8) * 10 + (double)(i * 3 % 16) / 16;
		}
		assert_int_equal(
			noise_test(&(struct noise_runs){ 2, sizes, 2, values, grain }, EFFORT, p),
			0);
		assert_true(p[0] < NOISE_LEVEL);
		if (lacking == 2)
			assert_true(p[1] < NOISE_LEVEL);
		else
			assert_true(isnan(p[1]));
	}
}

/* Ten against ten are 184,756 divisions: 9,999 of them, and the one found. The same each time. */
static void many_runs_are_sampled(void **state)
{
	double a[10], b[10], first;

	(void)state;
	for (size_t i = 0; i < 10; i++) {
		a[i] = (double)i;
		b[i] = 100 + (double)(i * i);
	}
	first = p_of(a, 10, b, 10);
	assert_true(fabs(first * 10000 - round(first * 10000)) < 1e-9 && first >= 0.0001 &&
		    first < 0.0005);
	assert_true(first == p_of(a, 10, b, 10));
}

/* The third group is the first again, the second far away: told is only that. */
static void several_groups_have_one_level(void **state)
{
	const size_t sizes[] = { 5, 5, 5 };
	const double grain = 0;
	gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
	double values[15], p[2];
	size_t far = 0, same = 0;

	(void)state;
	gsl_rng_set(rng, 9);
	for (size_t t = 0; t < 100; t++) {
		for (size_t i = 0; i < 15; i++)
			values[i] = gauss(rng) + (i >= 5 && i < 10 ? 50 : 0);
		assert_int_equal(
			noise_test(&(struct noise_runs){ 3, sizes, 1, values, &grain }, 1, p),
			0); /* least effort: 999 divisions */
		far += p[0] < NOISE_LEVEL;
		same += p[1] < NOISE_LEVEL;
	}
	gsl_rng_free(rng);
	assert_true(far == 100);
	assert_true(same <= 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_difference_is_seldom_called_one),
		cmocka_unit_test(a_large_difference_is_found),
		cmocka_unit_test(three_runs_can_not_tell),
		cmocka_unit_test(runs_without_spread),
		cmocka_unit_test(an_outlier_hides_nothing),
		cmocka_unit_test(more_spread_is_no_difference),
		cmocka_unit_test(the_same_values_give_the_same_p),
		cmocka_unit_test(moments),
		cmocka_unit_test(every_division_counted_one_by_one),
		cmocka_unit_test(thirty_ports_have_one_level),
		cmocka_unit_test(neighbouring_slots_hide_nothing),
		cmocka_unit_test(a_figure_that_some_runs_lack),
		cmocka_unit_test(many_runs_are_sampled),
		cmocka_unit_test(several_groups_have_one_level),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
