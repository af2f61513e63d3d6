/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is kept of a simulation is what a simulation gives. (Of what, by test_fairness_chance.c.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../user/model/chance.h"

static struct chance of_units(uint64_t n, size_t bins, double cv2)
{
	struct chance c = {};

	assert_int_equal(chance_of_units(&c, n, bins, cv2), 0);
	return c;
}

static struct chance of_flows(const struct flow_load *load, size_t bins, double cv2)
{
	struct chance c = {};

	assert_int_equal(chance_of_flows(&c, load, bins, cv2), 0);
	return c;
}

static void assert_same(struct chance a, struct chance b)
{
	assert_true(a.p_value == b.p_value && a.max_over_mean == b.max_over_mean);
}

#define MANY 300 /* more than are kept, so each pushes another out */

static void units_of_one_size_are_not_those_of_another(void **state)
{
	static struct chance first[MANY];

	(void)state;
	for (int i = 0; i < MANY; i++)
		first[i] = of_units(i % 10 + 2, i / 10 + 2, 0.3);
	for (int i = MANY; i-- > 0;)
		assert_same(of_units(i % 10 + 2, i / 10 + 2, 0.3), first[i]);
	/* The same slot: only the bins, only the units differ. */
	assert_true(of_units(80, 100, 1).max_over_mean < of_units(80, 356, 1).max_over_mean);
	assert_true(of_units(40, 100, 1).max_over_mean > of_units(296, 100, 1).max_over_mean);
}

static void a_larger_spread_is_less_likely(void **state)
{
	double before = 1;

	(void)state;
	for (double cv2 = 0; cv2 < 3; cv2 += 0.01) {
		const double p = of_units(12, 4, cv2).p_value;

		assert_true(p <= before && p >= 1.0 / (1 + REPLICATES));
		before = p;
	}
	assert_true(of_units(12, 4, 0).p_value == 1);
	assert_true(before == 1.0 / (1 + REPLICATES) || before < 0.001);
}

/* Each differs from the first in one thing only. */
static void loads_that_differ_are_told_apart(void **state)
{
	const struct flow_load loads[] = {
		{ .large = { 0.5, 0.3 }, .large_count = 2, .small = 4 },
		{ .large = { 0.5, 0.2 }, .large_count = 2, .small = 4 },
		{ .large = { 0.5, 0.3 }, .large_count = 1, .small = 4 },
		{ .large = { 0.5, 0.3 }, .large_count = 2, .small = 9 },
	};
	struct chance first[4];

	(void)state;
	for (int i = 0; i < 4; i++) {
		of_flows(&loads[0], 4, 0.5); /* it is kept where each of the others would be */
		first[i] = of_flows(&loads[i], 4, 0.5);
	}
	for (int i = 1; i < 4; i++)
		assert_true(first[i].max_over_mean != first[0].max_over_mean);
	for (int i = 4; i-- > 0;)
		assert_same(of_flows(&loads[i], 4, 0.5), first[i]);
	assert_true(of_flows(&loads[0], 5, 0.5).max_over_mean != first[0].max_over_mean);
	assert_true(of_flows(&loads[0], 4, 0.9).p_value < first[0].p_value);
}

/* Few flows are looked at by flow, many by bin: equal ones are equal units either way. */
static void equal_flows_are_units(void **state)
{
	(void)state;
	for (size_t bins = 3; bins < 60; bins += 7) {
		struct flow_load load = { .large_count = 16 };

		for (size_t i = 0; i < load.large_count; i++)
			load.large[i] = 1.0 / 16;
		for (double cv2 = 0.01; cv2 < 4; cv2 += 0.3)
			assert_true(of_flows(&load, bins, cv2).p_value ==
				    of_units(16, bins, cv2).p_value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(units_of_one_size_are_not_those_of_another),
		cmocka_unit_test(a_larger_spread_is_less_likely),
		cmocka_unit_test(loads_that_differ_are_told_apart),
		cmocka_unit_test(equal_flows_are_units),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
