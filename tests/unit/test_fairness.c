/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Figures and verdicts of fairness_judge() on given counts. What chance does is in
 * test_fairness_chance.c. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/model/fairness.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static struct fairness judged(const uint64_t *counts, size_t bins)
{
	struct fairness f;

	memset(&f, 0xff, sizeof(f)); /* every field must be written */
	assert_int_equal(fairness_judge(&f, counts, bins, UNIT_EVENT, 0, FAIRNESS_THRESHOLD), 0);
	return f;
}

static struct fairness judged_flows(const uint64_t *counts, size_t bins, uint64_t flows)
{
	struct fairness f;

	memset(&f, 0xff, sizeof(f));
	assert_int_equal(fairness_judge(&f, counts, bins, UNIT_FLOW, flows, FAIRNESS_THRESHOLD), 0);
	return f;
}

static void assert_near(double value, double expected, double tolerance)
{
	if (!(fabs(value - expected) <= tolerance))
		fail_msg("%.17g is not within %g of %.17g", value, tolerance, expected);
}

static void assert_no_test(const struct fairness *f)
{
	assert_true(isnan(f->cv_expected));
	assert_true(isnan(f->excess));
	assert_true(isnan(f->max_over_mean_expected));
	assert_true(isnan(f->p_value));
	assert_false(f->simulated);
}

static void assert_not_applicable(const struct fairness *f)
{
	assert_int_equal(f->verdict, VERDICT_NOT_APPLICABLE);
	assert_true(isnan(f->cv));
	assert_true(isnan(f->max_over_mean));
	assert_true(isnan(f->jain));
	assert_no_test(f);
}

static void no_bins(void **state)
{
	struct fairness f = judged(NULL, 0);

	(void)state;
	assert_not_applicable(&f);
	assert_int_equal(f.bins, 0);
	assert_int_equal(f.events, 0);
	assert_int_equal(f.idle, 0);
	assert_int_equal(f.needed, 0);
}

static void one_bin(void **state)
{
	const uint64_t counts[] = { 40000 };
	struct fairness f = judged(counts, 1);

	(void)state;
	assert_not_applicable(&f);
	assert_int_equal(f.bins, 1);
	assert_int_equal(f.events, 40000);
	assert_int_equal(f.needed, 0);
}

static void no_events(void **state)
{
	const uint64_t counts[8] = {};
	struct fairness f = judged(counts, 8);

	(void)state;
	assert_not_applicable(&f);
	assert_int_equal(f.idle, 8);
	assert_int_equal(f.needed, 796);
	/* Nothing happened: that comes before not knowing the flows. */
	f = judged_flows(counts, 8, 0);
	assert_not_applicable(&f);
}

static void threshold_must_be_positive(void **state)
{
	const uint64_t counts[] = { 1, 2 };
	struct fairness f;

	(void)state;
	assert_int_equal(fairness_judge(&f, counts, 2, UNIT_EVENT, 0, 0), -EINVAL);
	assert_int_equal(fairness_judge(&f, counts, 2, UNIT_EVENT, 0, -0.2), -EINVAL);
	assert_int_equal(fairness_judge(&f, counts, 2, UNIT_EVENT, 0, NAN), -EINVAL);
}

/* EPOLLEXCLUSIVE on a shared listener: measured, KERNEL.md. */
static void epoll_exclusive_is_uneven(void **state)
{
	const uint64_t counts[] = { 25082, 12155, 2502, 217, 40, 2, 1, 1 };
	struct fairness f = judged(counts, COUNT_OF(counts));
	const double cv2 = 8.0 * 783159448.0 / (40000.0 * 40000.0) - 1; /* sum of squares by hand */

	(void)state;
	assert_int_equal(f.verdict, VERDICT_UNEVEN);
	assert_int_equal(f.events, 40000);
	assert_int_equal(f.unit, UNIT_EVENT);
	assert_int_equal(f.flows, 0);
	assert_int_equal(f.idle, 0);
	assert_near(f.cv, sqrt(cv2), 1e-12);
	assert_near(f.cv_expected, sqrt(7.0 / 40000), 1e-15);
	assert_near(f.excess, sqrt(cv2 - 7.0 / 40000), 1e-12);
	assert_near(f.max_over_mean, 25082.0 / 5000, 1e-12);
	assert_near(f.jain, 1 / (1 + cv2), 1e-12);
	assert_near(f.p_value, 0, 1e-300);
	assert_false(f.simulated);
}

static void reuseport_hash_is_even(void **state)
{
	const uint64_t counts[] = { 4859, 5094, 5010, 4985, 5030, 4962, 5041, 5019 };
	/* Sum of (count - 5000)^2 / 5000 by hand; the tail has a closed form where the degrees of
	 * freedom (7) are odd. */
	const double chi2 = 33428.0 / 5000, x = chi2 / 2;
	struct fairness f = judged(counts, COUNT_OF(counts));

	(void)state;
	assert_int_equal(f.verdict, VERDICT_EVEN);
	assert_near(40000 * f.cv * f.cv, chi2, 1e-9);
	assert_near(f.p_value,
		    erfc(sqrt(x)) + 2 * sqrt(x / M_PI) * exp(-x) * (1 + 2 * x / 3 + 4 * x * x / 15),
		    1e-9);
	assert_near(f.max_over_mean_expected, 1.0202, 0.0002);
}

static void round_robin_is_even(void **state)
{
	const uint64_t counts[] = { 5000, 5000, 5000, 5000, 5000, 5000, 5000, 4999 };
	struct fairness f = judged(counts, COUNT_OF(counts));

	(void)state;
	assert_int_equal(f.verdict, VERDICT_EVEN);
	assert_near(f.p_value, 1, 1e-9);
	assert_near(f.excess, 0, 0);
}

static void equal_counts_have_no_spread(void **state)
{
	const uint64_t counts[] = { 1000, 1000, 1000 };
	struct fairness f = judged(counts, COUNT_OF(counts));

	(void)state;
	assert_near(f.cv, 0, 0);
	assert_near(f.jain, 1, 0);
	assert_near(f.max_over_mean, 1, 0);
	assert_near(f.p_value, 1, 0);
	assert_int_equal(f.verdict, VERDICT_EVEN);
}

static void idle_bins_are_bins(void **state)
{
	const uint64_t counts[] = { 0, 3000, 0, 0 };
	struct fairness f = judged(counts, COUNT_OF(counts));

	(void)state;
	assert_int_equal(f.idle, 3);
	assert_near(f.cv, sqrt(3), 1e-15);
	assert_near(f.jain, 0.25, 1e-15);
	assert_near(f.max_over_mean, 4, 0);
	assert_int_equal(f.verdict, VERDICT_UNEVEN);
}

/* One event in a billion: sums of squares in double would lose it. */
static void billion_events_are_exact(void **state)
{
	const uint64_t counts[] = { 500000001, 499999999 };
	struct fairness f = judged(counts, COUNT_OF(counts));

	(void)state;
	assert_int_equal(f.events, 1000000000);
	assert_near(f.cv, 2e-9, 1e-23);
	assert_int_equal(f.verdict, VERDICT_EVEN);
	assert_near(f.max_over_mean_expected, 1, 1e-4);
	assert_true(f.max_over_mean_expected > 1);
}

static void many_bins_are_exact(void **state)
{
	uint64_t counts[4096];
	struct fairness f;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(counts); i++)
		counts[i] = i % 2 ? 250001 : 249999;
	f = judged(counts, COUNT_OF(counts));
	assert_int_equal(f.events, 1024000000);
	assert_near(f.cv, 4e-6, 1e-18);
	assert_int_equal(f.verdict, VERDICT_EVEN);
	assert_false(f.simulated);
}

static void huge_counts_do_not_overflow(void **state)
{
	uint64_t counts[4096] = { (uint64_t)1 << 57 };
	struct fairness f = judged(counts, COUNT_OF(counts));

	(void)state;
	assert_near(f.cv, sqrt(4095), 1e-12);
	assert_int_equal(f.verdict, VERDICT_UNEVEN);
	assert_near(f.p_value, 0, 1e-300);
}

/* A proven spread needs no more events. */
static void uneven_comes_before_too_few(void **state)
{
	const uint64_t counts[] = { 100, 0 };
	struct fairness f = judged(counts, COUNT_OF(counts));

	(void)state;
	assert_true(f.events < f.needed);
	assert_int_equal(f.verdict, VERDICT_UNEVEN);
}

static void small_excess_is_even_however_significant(void **state)
{
	const uint64_t counts[] = { 110000000, 90000000, 110000000, 90000000 };
	struct fairness f = judged(counts, COUNT_OF(counts));

	(void)state;
	assert_near(f.p_value, 0, 1e-300);
	assert_near(f.excess, 0.1, 1e-6);
	assert_int_equal(f.verdict, VERDICT_EVEN);
	assert_int_equal(fairness_judge(&f, counts, COUNT_OF(counts), UNIT_EVENT, 0, 0.05), 0);
	assert_int_equal(f.verdict, VERDICT_UNEVEN);
	assert_int_equal(f.needed, fairness_needed(4, 0.05));
}

static void large_excess_by_chance_is_not_uneven(void **state)
{
	const uint64_t counts[] = { 12, 3, 8, 4, 6, 9, 2, 4 };
	struct fairness f = judged(counts, COUNT_OF(counts));

	(void)state;
	assert_true(f.excess > FAIRNESS_THRESHOLD);
	assert_true(f.p_value > 0.001);
	assert_int_equal(f.verdict, VERDICT_TOO_FEW);
}

static void enough_is_exactly_needed(void **state)
{
	uint64_t counts[8] = { 99, 99, 99, 99, 100, 100, 100, 100 };
	struct fairness f = judged(counts, COUNT_OF(counts));

	(void)state;
	assert_int_equal(f.events, f.needed);
	assert_int_equal(f.verdict, VERDICT_EVEN);
	counts[0]--;
	f = judged(counts, COUNT_OF(counts));
	assert_int_equal(f.verdict, VERDICT_TOO_FEW);
}

static void unknown_flows_give_magnitudes_only(void **state)
{
	const uint64_t counts[] = { 30000, 10000 };
	struct fairness f = judged_flows(counts, COUNT_OF(counts), 0);

	(void)state;
	assert_int_equal(f.verdict, VERDICT_FLOWS_UNKNOWN);
	assert_int_equal(f.unit, UNIT_FLOW);
	assert_near(f.cv, 0.5, 1e-15);
	assert_near(f.max_over_mean, 1.5, 1e-15);
	assert_near(f.jain, 0.8, 1e-15);
	assert_no_test(&f);
	assert_int_equal(f.needed, fairness_needed(2, FAIRNESS_THRESHOLD));
}

/* 64 flows over 8 sockets: 200,000 datagrams that look uneven are what a fair hash does to 64
 * flows. */
static void flows_are_the_units(void **state)
{
	const uint64_t flows[] = { 8, 12, 5, 9, 7, 10, 4, 9 };
	uint64_t counts[8];
	struct fairness f;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(flows); i++)
		counts[i] = flows[i] * 3125;
	f = judged_flows(counts, COUNT_OF(counts), 64);
	assert_int_equal(f.flows, 64);
	assert_int_equal(f.events, 200000);
	assert_near(f.cv_expected, sqrt(7.0 / 64), 1e-15); /* 0.33 */
	assert_int_equal(f.verdict, VERDICT_TOO_FEW);
	assert_true(f.p_value > 0.1);
	f = judged(counts, COUNT_OF(counts));
	assert_int_equal(f.verdict, VERDICT_UNEVEN);
}

static void flows_seen_cannot_exceed_events(void **state)
{
	const uint64_t counts[] = { 30, 40 };
	struct fairness f = judged_flows(counts, COUNT_OF(counts), 1024);

	(void)state;
	assert_int_equal(f.flows, 70);
	assert_near(f.cv_expected, sqrt(1.0 / 70), 1e-15);
}

static void verdicts_have_names(void **state)
{
	(void)state;
	assert_string_equal(verdict_name(VERDICT_NOT_APPLICABLE), "not-applicable");
	assert_string_equal(verdict_name(VERDICT_UNEVEN), "uneven");
	assert_string_equal(verdict_name(VERDICT_TOO_FEW), "too-few");
	assert_string_equal(verdict_name(VERDICT_FLOWS_UNKNOWN), "flows-unknown");
	assert_string_equal(verdict_name(VERDICT_EVEN), "even");
}

/* A backend that does not see io_uring's accepts has workers, and no accept of theirs. */
static void sockets_decide_where_no_worker_was_seen(void **state)
{
	struct fairness workers = { .bins = 8, .events = 100, .verdict = VERDICT_EVEN },
			sockets = { .bins = 8, .events = 100, .verdict = VERDICT_UNEVEN };

	(void)state;
	assert_ptr_equal(fairness_decisive(&workers, &sockets), &workers);
	workers.events = 0;
	assert_ptr_equal(fairness_decisive(&workers, &sockets), &sockets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sockets_decide_where_no_worker_was_seen),
		cmocka_unit_test(no_bins),
		cmocka_unit_test(one_bin),
		cmocka_unit_test(no_events),
		cmocka_unit_test(threshold_must_be_positive),
		cmocka_unit_test(epoll_exclusive_is_uneven),
		cmocka_unit_test(reuseport_hash_is_even),
		cmocka_unit_test(round_robin_is_even),
		cmocka_unit_test(equal_counts_have_no_spread),
		cmocka_unit_test(idle_bins_are_bins),
		cmocka_unit_test(billion_events_are_exact),
		cmocka_unit_test(many_bins_are_exact),
		cmocka_unit_test(huge_counts_do_not_overflow),
		cmocka_unit_test(uneven_comes_before_too_few),
		cmocka_unit_test(small_excess_is_even_however_significant),
		cmocka_unit_test(large_excess_by_chance_is_not_uneven),
		cmocka_unit_test(enough_is_exactly_needed),
		cmocka_unit_test(unknown_flows_give_magnitudes_only),
		cmocka_unit_test(flows_are_the_units),
		cmocka_unit_test(flows_seen_cannot_exceed_events),
		cmocka_unit_test(verdicts_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
