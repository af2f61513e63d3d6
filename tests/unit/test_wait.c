/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Histograms of waits: bpf/wait_slots.h and user/model/wait.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/model/wait.h"

/* As the counting programs do it. */
static void came(struct wait *w, struct wait_histogram *list, uint64_t us)
{
	list[w->histogram - 1].slots[wait_slot(us)]++;
	w->count++;
	w->sum_ns += us * 1000;
	w->max_ns = us * 1000 > w->max_ns ? us * 1000 : w->max_ns;
}

static void each_wait_is_told_within_its_error(void **state)
{
	(void)state;
	for (uint64_t us = 0; us < 120000000; us += us / 97 + 1) {
		struct wait_histogram list[1] = {};
		struct wait w = { .histogram = 1 };

		came(&w, list, us);
		w.max_ns = UINT64_MAX; /* so that it does not help */
		assert_true(fabs(wait_quantile_ns(&w, list, 0.5) - us * 1000.0) <=
			    WAIT_ERROR * us * 1000.0);
		assert_true(wait_slot(us) <= wait_slot(us + 1) &&
			    wait_slot(us + 1) <= wait_slot(us) + 1);
	}
}

static void what_is_longer_than_all_slots_is_the_longest(void **state)
{
	struct wait_histogram list[1] = {};
	struct wait w = { .histogram = 1 };

	(void)state;
	came(&w, list, 5);
	came(&w, list, 1ull << 40);
	assert_int_equal(list[0].slots[WAIT_SLOTS - 1], 1);
	assert_true(wait_quantile_ns(&w, list, 1) == (1ull << 40) * 1000.0);
	assert_true(wait_quantile_ns(&w, list, 0.5) == 5000);
}

static void quantiles_are_ranks(void **state)
{
	struct wait_histogram list[1] = {};
	struct wait w = { .histogram = 1 };

	(void)state;
	for (unsigned us = 1; us <= 10; us++)
		came(&w, list, us);
	assert_true(wait_quantile_ns(&w, list, 0) == 1000);
	assert_true(wait_quantile_ns(&w, list, 0.5) == 5000);
	assert_true(wait_quantile_ns(&w, list, 0.9) == 9000);
	assert_true(wait_quantile_ns(&w, list, 0.99) == 10000);
	assert_true(wait_quantile_ns(&w, list, 1) == 10000);
	assert_true(wait_mean_ns(&w) == 5500);
}

static void nothing_is_not_a_number(void **state)
{
	struct wait_histogram list[1] = {};
	struct wait none = { .histogram = 1 }, bare = { .count = 3, .sum_ns = 30, .max_ns = 20 };

	(void)state;
	assert_true(isnan(wait_mean_ns(&none)));
	assert_true(isnan(wait_quantile_ns(&none, list, 0.5)));
	assert_true(isnan(wait_quantile_ns(&bare, list, 0.5)));
	assert_true(wait_mean_ns(&bare) == 10);
}

/* The longest of a slot's connections is never told as less than one of another slot: it is the
 * upper bound of all. */
static void no_quantile_is_above_the_longest(void **state)
{
	struct wait_histogram list[1] = {};
	struct wait w = { .histogram = 1 };

	(void)state;
	for (int i = 0; i < 100; i++)
		came(&w, list, 1024); /* stands for 1084 */
	assert_true(wait_quantile_ns(&w, list, 0.99) == 1024000);
}

static void sums_need_both_histograms(void **state)
{
	struct wait_histogram list[2] = {};
	struct wait a = { .histogram = 1 }, b = { .histogram = 2 },
		    bare = { .count = 1, .sum_ns = 5000, .max_ns = 5000 };

	(void)state;
	came(&a, list, 10);
	came(&b, list, 1000);
	wait_add(&a, &b, list);
	assert_int_equal(a.count, 2);
	assert_int_equal(a.max_ns, 1000000);
	assert_true(wait_quantile_ns(&a, list, 0.5) == 10000);
	wait_add(&a, &(struct wait){}, list);
	assert_int_equal(a.histogram, 1);
	wait_add(&a, &bare, list);
	assert_int_equal(a.count, 3);
	assert_int_equal(a.sum_ns, 1015000);
	assert_int_equal(a.histogram, 0);
}

static void an_interval_has_its_own_longest(void **state)
{
	struct wait_histogram before_list[1] = {}, list[1] = {};
	struct wait before = { .histogram = 1 }, now;

	(void)state;
	came(&before, before_list, 1000000);
	list[0] = before_list[0];
	now = before;
	came(&now, list, 100);
	came(&now, list, 200);
	wait_subtract(&now, &before, list, before_list);
	assert_int_equal(now.count, 2);
	assert_int_equal(now.sum_ns, 300000);
	assert_int_equal(now.max_ns, 208000); /* the slot from 192 to 208 */
	assert_true(wait_quantile_ns(&now, list, 0.5) <= 106000);

	/* Without a histogram the longest is known only if it is new. */
	now = (struct wait){ .count = 5, .sum_ns = 50, .max_ns = 20 };
	wait_subtract(&now, &(struct wait){ .count = 3, .sum_ns = 40, .max_ns = 20 }, NULL, NULL);
	assert_int_equal(now.count, 2);
	assert_int_equal(now.max_ns, 0);
	now = (struct wait){ .count = 5, .sum_ns = 50, .max_ns = 21 };
	wait_subtract(&now, &(struct wait){ .count = 3, .sum_ns = 40, .max_ns = 20 }, NULL, NULL);
	assert_int_equal(now.max_ns, 21);

	/* Nothing came: nothing is long. */
	memset(list, 0, sizeof(list));
	list[0] = before_list[0];
	now = before;
	wait_subtract(&now, &before, list, before_list);
	assert_int_equal(now.count, 0);
	assert_int_equal(now.max_ns, 0);
}

/* A slot begins at each bound, so that what is below is exactly what is in the slots below; and it
 * is the slot next to what it stands for. */
static void bounds_are_where_slots_begin(void **state)
{
	static const uint32_t wanted[WAIT_BOUNDS] = { 100,    500,     1000,   5000,
						      10000,  50000,   100000, 250000,
						      500000, 1000000, 5000000 };

	(void)state;
	for (unsigned i = 0; i < WAIT_BOUNDS; i++) {
		const uint32_t us = wait_bounds_us[i], other = 2 * wanted[i] - us;
		uint32_t next = other;

		assert_int_equal(wait_slot(us), wait_slot(us - 1) + 1);
		assert_true(!i || us > wait_bounds_us[i - 1]);
		/* Between it and what is as far on the other side no slot begins. */
		for (next = us < other ? us + 1 : us - 1; next != other;
		     next += us < other ? 1 : -1)
			assert_int_equal(wait_slot(next), wait_slot(next - 1));
	}
}

static void slots_are_added_up_by_bound(void **state)
{
	uint32_t slots[WAIT_SLOTS] = {}, counts[WAIT_BOUNDS + 1];

	(void)state;
	for (unsigned i = 0; i < WAIT_BOUNDS; i++) {
		slots[wait_slot(wait_bounds_us[i] - 1)] += 2;
		slots[wait_slot(wait_bounds_us[i])] += 100;
	}
	slots[WAIT_SLOTS - 1] = 1000;
	wait_bounds_of(counts, slots);
	assert_int_equal(counts[0], 2);
	for (unsigned i = 1; i < WAIT_BOUNDS; i++)
		assert_int_equal(counts[i], 102);
	assert_int_equal(counts[WAIT_BOUNDS], 1100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_wait_is_told_within_its_error),
		cmocka_unit_test(what_is_longer_than_all_slots_is_the_longest),
		cmocka_unit_test(quantiles_are_ranks),
		cmocka_unit_test(nothing_is_not_a_number),
		cmocka_unit_test(no_quantile_is_above_the_longest),
		cmocka_unit_test(sums_need_both_histograms),
		cmocka_unit_test(an_interval_has_its_own_longest),
		cmocka_unit_test(bounds_are_where_slots_begin),
		cmocka_unit_test(slots_are_added_up_by_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
