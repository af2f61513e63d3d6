/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What fairness.c says of chance, against brute force: p-values, the expected maximum, the power of
 * the test. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>

#include "../../user/model/fairness.h"

#define BINS_MAX 4096
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static gsl_rng *rng;

static int setup(void **state)
{
	(void)state;
	rng = gsl_rng_alloc(gsl_rng_taus2); /* another generator than the simulation's */
	gsl_rng_set(rng, 12345);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gsl_rng_free(rng);
	return 0;
}

/* A fair hash: n units into bins. Returns the largest count. */
static unsigned hash_fairly(uint64_t *counts, size_t bins, unsigned n)
{
	static double weights[BINS_MAX];
	static unsigned sample[BINS_MAX];
	unsigned max = 0;

	for (size_t i = 0; i < bins; i++)
		weights[i] = 1;
	gsl_ran_multinomial(rng, bins, n, weights, sample);
	for (size_t i = 0; i < bins; i++) {
		counts[i] = sample[i];
		max = sample[i] > max ? sample[i] : max;
	}
	return max;
}

static struct fairness judged(const uint64_t *counts, size_t bins, enum fairness_unit unit,
			      uint64_t flows)
{
	struct fairness f;

	assert_int_equal(fairness_judge(&f, counts, bins, unit, flows, FAIRNESS_THRESHOLD), 0);
	return f;
}

static void assert_near(double value, double expected, double tolerance)
{
	if (!(fabs(value - expected) <= tolerance))
		fail_msg("%.17g is not within %g of %.17g", value, tolerance, expected);
}

/* 3 units in 3 bins, counted by hand: 27 outcomes, 3 of them put all into one bin, 18 give 2, 1, 0,
 * 6 give 1, 1, 1. */
static void simulation_matches_enumeration(void **state)
{
	const uint64_t one_bin[] = { 3, 0, 0 }, two_bins[] = { 0, 2, 1 }, all_bins[] = { 1, 1, 1 };
	struct fairness f = judged(one_bin, 3, UNIT_EVENT, 0);

	(void)state;
	assert_true(f.simulated);
	assert_near(f.p_value, 3.0 / 27, 0.015); /* 4.7 standard errors */
	assert_near(f.max_over_mean_expected, (3 * 3.0 + 18 * 2 + 6) / 27, 0.03);
	f = judged(two_bins, 3, UNIT_EVENT, 0);
	assert_near(f.p_value, 21.0 / 27, 0.02);
	f = judged(all_bins, 3, UNIT_EVENT, 0);
	assert_near(f.p_value, 1, 0);
}

/* Flows of ten datagrams each are as spread as their flows, ties with replicates included. */
static void simulation_of_flows_matches_enumeration(void **state)
{
	const uint64_t counts[] = { 10, 20, 0 };
	struct fairness f = judged(counts, 3, UNIT_FLOW, 3);

	(void)state;
	assert_true(f.simulated);
	assert_near(f.p_value, 21.0 / 27, 0.02);
}

static void simulation_is_deterministic(void **state)
{
	uint64_t counts[64];
	struct fairness first, again;

	(void)state;
	hash_fairly(counts, 64, 50);
	first = judged(counts, 64, UNIT_EVENT, 0);
	again = judged(counts, 64, UNIT_EVENT, 0);
	assert_true(first.simulated);
	assert_true(first.p_value == again.p_value);
	assert_true(first.max_over_mean_expected == again.max_over_mean_expected);
}

/* n/k < 1, or k < 8 and n/k < 5. */
static void simulation_only_where_bins_are_thin(void **state)
{
	static const struct {
		size_t bins;
		unsigned n;
		bool simulated;
	} cases[] = {
		{ 64, 63, true }, { 64, 64, false }, { 8, 7, true }, { 8, 8, false },
		{ 7, 34, true },  { 7, 35, false },  { 2, 9, true }, { 2, 10, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint64_t counts[64];

		hash_fairly(counts, cases[i].bins, cases[i].n);
		assert_int_equal(judged(counts, cases[i].bins, UNIT_EVENT, 0).simulated,
				 cases[i].simulated);
	}
}

static void largest_simulation(void **state)
{
	static uint64_t counts[BINS_MAX];
	struct fairness f;

	(void)state;
	for (size_t i = 0; i < BINS_MAX - 1; i++)
		counts[i] = 1;
	f = judged(counts, BINS_MAX, UNIT_EVENT, 0);
	assert_true(f.simulated);
	assert_near(f.p_value, 1, 0); /* nothing is spread less */
	assert_int_equal(f.verdict, VERDICT_TOO_FEW);
	memset(counts, 0, sizeof(counts));
	counts[17] = BINS_MAX - 1;
	f = judged(counts, BINS_MAX, UNIT_EVENT, 0);
	assert_near(f.p_value, 1e-4, 0); /* the least that the simulation can say */
	assert_int_equal(f.verdict, VERDICT_UNEVEN);
}

/* Under a fair hash p is uniform: its mean 1/2 with a standard error of sqrt(1/12/samples), 5% of
 * them below 0.05. */
static void p_is_uniform_under_a_fair_hash(void **state)
{
	enum { SAMPLES = 600 };
	uint64_t counts[8];
	double sum = 0;
	int low = 0;

	(void)state;
	for (int i = 0; i < SAMPLES; i++) {
		double p;

		hash_fairly(counts, 8, 2000);
		p = judged(counts, 8, UNIT_EVENT, 0).p_value;
		sum += p;
		low += p < 0.05;
	}
	assert_near(sum / SAMPLES, 0.5, 4 * sqrt(1.0 / 12 / SAMPLES));
	assert_near((double)low / SAMPLES, 0.05, 4 * sqrt(0.05 * 0.95 / SAMPLES));
}

/* The same where p is simulated; few distinct values, ties counted as spread: mean a little above
 * 1/2, never below. */
static void simulated_p_is_not_too_small(void **state)
{
	enum { SAMPLES = 150 };
	uint64_t counts[64];
	double sum = 0;

	(void)state;
	for (int i = 0; i < SAMPLES; i++) {
		hash_fairly(counts, 64, 60);
		sum += judged(counts, 64, UNIT_EVENT, 0).p_value;
	}
	assert_near(sum / SAMPLES, 0.54, 0.11);
}

/* The largest of 64 bins is 3.6 times the smallest by pure chance at 1,000 events: no reason to
 * call it uneven. */
static void max_over_min_is_a_trap(void **state)
{
	uint64_t counts[64];
	double ratio = 0;

	(void)state;
	for (int i = 0; i < 50; i++) {
		uint64_t min = UINT64_MAX, max = hash_fairly(counts, 64, 1000);

		for (size_t bin = 0; bin < 64; bin++)
			min = counts[bin] < min ? counts[bin] : min;
		ratio += (double)max / (double)min / 50;
		assert_int_equal(judged(counts, 64, UNIT_EVENT, 0).verdict, VERDICT_TOO_FEW);
		hash_fairly(counts, 64, 1700);
		assert_int_equal(judged(counts, 64, UNIT_EVENT, 0).verdict, VERDICT_EVEN);
	}
	assert_near(ratio, 3.6, 0.4);
}

/* Sum of Poisson tails, normal expansion and simulation, each against brute force. */
static void expected_maximum_matches_brute_force(void **state)
{
	static const struct {
		size_t bins;
		unsigned n;
	} cases[] = {
		{ 2, 100 }, { 8, 40 },     { 8, 40000 },  { 64, 1000 },
		{ 64, 63 }, { 16, 15999 }, { 16, 16100 }, { 3, 1000000 },
	};
	enum { SAMPLES = 20000 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const double mean = (double)cases[i].n / (double)cases[i].bins;
		uint64_t counts[64];
		double sum = 0, squares = 0, expected, error;

		for (int sample = 0; sample < SAMPLES; sample++) {
			double max = hash_fairly(counts, cases[i].bins, cases[i].n);

			sum += max;
			squares += max * max;
		}
		expected = sum / SAMPLES;
		error = sqrt((squares / SAMPLES - expected * expected) / SAMPLES);
		/* Beside the error of this simulation: that of fairness.c's own, or of its formula
		 * (0.02 events). */
		assert_near(judged(counts, cases[i].bins, UNIT_EVENT, 0).max_over_mean_expected *
				    mean,
			    expected, 5 * error + 0.02);
	}
}

/* The two formulas meet where one hands over to the other, at 1,000 events per bin. */
static void expected_maximum_has_no_seam(void **state)
{
	static const size_t bins[] = { 2, 8, 64, 4096 };
	static uint64_t counts[BINS_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bins); i++) {
		double below, above;

		for (size_t bin = 0; bin < bins[i]; bin++)
			counts[bin] = 1000;
		below = judged(counts, bins[i], UNIT_EVENT, 0).max_over_mean_expected;
		counts[0]++;
		above = judged(counts, bins[i], UNIT_EVENT, 0).max_over_mean_expected;
		assert_near(above, below, 5e-5);
	}
}

/* Power by the definition, term by term: what fairness_needed() gets by recurrence. */
static double power_by_definition(size_t bins, double lambda)
{
	const double dof = (double)bins - 1, critical = gsl_cdf_chisq_Qinv(0.001, dof);
	double sum = 0;

	for (unsigned j = 0; j < 1000; j++)
		sum += gsl_ran_poisson_pdf(j, lambda / 2) * gsl_cdf_chisq_Q(critical, dof + 2 * j);
	return sum;
}

static void needed_is_the_least_with_the_power(void **state)
{
	static const struct {
		size_t bins;
		double excess;
	} cases[] = {
		{ 2, 0.2 },  { 3, 0.2 },  { 8, 0.2 },    { 8, 0.05 },
		{ 64, 0.2 }, { 64, 0.5 }, { 1000, 0.2 }, { 4096, 0.2 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const double squared = cases[i].excess * cases[i].excess;
		uint64_t needed = fairness_needed(cases[i].bins, cases[i].excess);

		assert_true(power_by_definition(cases[i].bins, (double)needed * squared) >= 0.9);
		assert_true(power_by_definition(cases[i].bins, (double)(needed - 1) * squared) <
			    0.9);
	}
}

static void needed_known_values(void **state)
{
	(void)state;
	assert_int_equal(fairness_needed(8, 0.20), 796); /* noncentrality 31.8255 / 0.04 = 795.6 */
	assert_int_equal(fairness_needed(64, 0.20), 1625);
	assert_int_equal(fairness_needed(0, 0.20), 0);
	assert_int_equal(fairness_needed(1, 0.20), 0);
	assert_int_equal(fairness_needed(8, 1e-12), UINT64_MAX);
	for (size_t bins = 2; bins < BINS_MAX; bins += 13)
		assert_true(fairness_needed(bins, 0.20) < fairness_needed(bins + 13, 0.20));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(simulation_matches_enumeration),
		cmocka_unit_test(simulation_of_flows_matches_enumeration),
		cmocka_unit_test_setup_teardown(simulation_is_deterministic, setup, teardown),
		cmocka_unit_test_setup_teardown(simulation_only_where_bins_are_thin, setup,
						teardown),
		cmocka_unit_test(largest_simulation),
		cmocka_unit_test_setup_teardown(p_is_uniform_under_a_fair_hash, setup, teardown),
		cmocka_unit_test_setup_teardown(simulated_p_is_not_too_small, setup, teardown),
		cmocka_unit_test_setup_teardown(max_over_min_is_a_trap, setup, teardown),
		cmocka_unit_test_setup_teardown(expected_maximum_matches_brute_force, setup,
						teardown),
		cmocka_unit_test(expected_maximum_has_no_seam),
		cmocka_unit_test(needed_is_the_least_with_the_power),
		cmocka_unit_test(needed_known_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
