/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When steering makes it worse, and what is said of the figures: user/model/steer_limits.c,
 * user/model/steer_result.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/model/steer_limits.h"
#include "../../user/model/steer_result.h"

#define MS 1e6

static struct steer_second second(double wait, double drops, double resets)
{
	return (struct steer_second){ .figures = { wait, drops, resets } };
}

static void learn(struct steer_limits *l, const double *waits, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct steer_second s = second(waits[i], 0, 0);

		steer_limits_learn(l, &s);
	}
}

static enum steer_limit check(struct steer_limits *l, double wait, double drops, double resets)
{
	const struct steer_second s = second(wait, drops, resets);

	return steer_limits_check(l, &s);
}

static void three_in_a_row(void **state)
{
	static const double waits[] = { 10 * MS, 12 * MS, 11 * MS, 9 * MS };
	struct steer_limits l = {};

	(void)state;
	learn(&l, waits, 4);
	assert_int_equal(check(&l, 30 * MS, 0, 0), STEER_LIMITS);
	assert_int_equal(check(&l, 30 * MS, 0, 0), STEER_LIMITS);
	assert_int_equal(check(&l, 11 * MS, 0, 0), STEER_LIMITS); /* a good one between */
	assert_int_equal(check(&l, 30 * MS, 0, 0), STEER_LIMITS);
	assert_int_equal(check(&l, NAN, 0, 0), STEER_LIMITS); /* nothing came */
	assert_int_equal(check(&l, 30 * MS, 0, 0), STEER_LIMITS);
	assert_int_equal(check(&l, 30 * MS, 0, 0), STEER_LIMIT_WAIT);
}

static void noise_is_no_reason(void **state)
{
	static const double waits[] = { 10 * MS, 40 * MS, 11 * MS, 9 * MS },
			    short_ones[] = { 20e3, 21e3, 22e3 };
	struct steer_limits l = {};

	(void)state;
	learn(&l, waits, 4);
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(check(&l, 44 * MS, 0, 0), STEER_LIMITS);
	l = (struct steer_limits){};
	learn(&l, short_ones, 3);
	for (size_t i = 0; i < 10; i++) /* nobody feels it */
		assert_int_equal(check(&l, 900e3, 0, 0), STEER_LIMITS);
	l = (struct steer_limits){};
	learn(&l, waits, 2); /* too little is known */
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(check(&l, 1e12, 1e6, 1e6), STEER_LIMITS);
}

static void drops_and_resets(void **state)
{
	static const double waits[] = { 1e3, 1e3, 1e3 };
	struct steer_limits l = {};

	(void)state;
	learn(&l, waits, 3);
	assert_int_equal(check(&l, 1e3, 1, 0), STEER_LIMITS);
	assert_int_equal(check(&l, 1e3, 1, 0), STEER_LIMITS);
	assert_int_equal(check(&l, 1e3, 1, 0), STEER_LIMIT_DROPS);
	assert_int_equal(check(&l, 1e3, 0, 2), STEER_LIMITS);
	assert_int_equal(check(&l, 1e3, 0, 2), STEER_LIMITS);
	assert_int_equal(check(&l, 1e3, 0, 2), STEER_LIMIT_RESETS);
}

static void a_second_is_read(void **state)
{
	struct wait_histogram h = {};
	struct socket_row sockets[2] = { { .queue_known = true, .drops = 6 },
					 { .queue_known = true, .dropped_closing = 4 } };
	const struct endpoint e = { .sockets = sockets, .socket_count = 2, .histograms = &h };
	const struct steer_second s = steer_second_of(&e, 2);

	(void)state;
	assert_true(isnan(s.figures[STEER_LIMIT_WAIT]));
	assert_true(s.figures[STEER_LIMIT_DROPS] == 3);
	assert_true(s.figures[STEER_LIMIT_RESETS] == 2);
}

/* Of UDP what found no room counts, not what the kernel drops for other reasons as well. */
static void a_second_of_datagrams(void **state)
{
	struct socket_row socket = { .queue_known = true, .drops = 6, .dropped = 4 };
	const struct endpoint e = { .protocol = PROTOCOL_UDP,
				    .sockets = &socket,
				    .socket_count = 1 };
	const struct steer_second s = steer_second_of(&e, 2);

	(void)state;
	assert_true(isnan(s.figures[STEER_LIMIT_WAIT]));
	assert_true(s.figures[STEER_LIMIT_DROPS] == 2);
}

/* ---- sentences ---- */

static void add_run(struct comparison *c, size_t side, double p99, double cv)
{
	const struct comparison_key key = { .port = 80 };
	struct comparison_run run;

	comparison_run_clear(&run);
	run.figures[METRIC_EVENTS] = 1000;
	run.figures[METRIC_WAIT_P99] = p99;
	run.figures[METRIC_OPEN_CV] = cv;
	assert_int_equal(comparison_add(c, side, &key, "", &run, NULL), 0);
}

static const struct endpoint tcp = { .protocol = PROTOCOL_TCP }, udp = { .protocol = PROTOCOL_UDP };

static void add_run_of_datagrams(struct comparison *c, size_t side, double share, double bytes)
{
	const struct comparison_key key = { .protocol = PROTOCOL_UDP, .port = 53 };
	struct comparison_run run;

	comparison_run_clear(&run);
	run.figures[METRIC_EVENTS] = 1000;
	run.figures[METRIC_DROP_SHARE] = share;
	run.figures[METRIC_QUEUE_BYTES] = bytes;
	assert_int_equal(comparison_add(c, side, &key, "", &run, NULL), 0);
}

/* Before `was`, while steered `is`, of all datagrams dropped; a queue of as many kB. */
static void fill_datagrams(struct steer_result *r, double was, double is, size_t runs)
{
	const double shares[] = { was, is, was };

	*r = (struct steer_result){ .endpoint = &udp, .end = STEER_END_TIME, .as_found = true };
	for (size_t p = 0; p < STEER_PHASES; p++) {
		assert_int_equal(comparison_side_add(&r->comparison, steer_phase_names[p]), 0);
		for (size_t i = 0; i < runs; i++) {
			const double share = shares[p] + 0.001 * (double)i;

			add_run_of_datagrams(&r->comparison, p, share, 1e6 * share);
		}
	}
	assert_int_equal(comparison_arrange(&r->comparison), 0);
	assert_int_equal(comparison_judge(&r->comparison), 0);
}

static void fill(struct steer_result *r, double before, double steered, double after, size_t runs)
{
	const double p99[] = { before, steered, after };

	*r = (struct steer_result){ .endpoint = &tcp, .end = STEER_END_TIME, .as_found = true };
	for (size_t p = 0; p < STEER_PHASES; p++) {
		assert_int_equal(comparison_side_add(&r->comparison, steer_phase_names[p]), 0);
		for (size_t i = 0; i < runs; i++)
			add_run(&r->comparison, p, p99[p] * (1 + 0.01 * (double)i),
				p == STEER_STEERED ? 0.1 + 0.001 * (double)i
						   : 0.5 + 0.001 * (double)i);
	}
	assert_int_equal(comparison_arrange(&r->comparison), 0);
	assert_int_equal(comparison_judge(&r->comparison), 0);
}

static const struct steer_saying *find(const struct steer_saying *rows, size_t count,
				       const char *code)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(rows[i].code, code))
			return &rows[i];
	return NULL;
}

static void what_is_said(void **state)
{
	struct steer_saying rows[STEER_SAYINGS_MAX];
	struct steer_result r;
	size_t count;

	(void)state;
	fill(&r, 100 * MS, 1 * MS, 100 * MS, 8);
	count = steer_sayings(&r, rows);
	assert_int_equal(find(rows, count, "waits")->level, FINDING_GOOD);
	assert_int_equal(find(rows, count, "open")->level, FINDING_GOOD);
	assert_null(find(rows, count, "load"));
	steer_result_free(&r);
	fill(&r, 1 * MS, 100 * MS, 1 * MS, 8);
	count = steer_sayings(&r, rows);
	assert_int_equal(find(rows, count, "waits")->level, FINDING_PROBLEM);
	steer_result_free(&r);
	fill(&r, 10 * MS, 10 * MS, 10 * MS, 8);
	count = steer_sayings(&r, rows);
	assert_int_equal(find(rows, count, "waits")->level, FINDING_NOTE);
	assert_non_null(strstr(find(rows, count, "waits")->text, "no more than noise"));
	steer_result_free(&r);
	fill(&r, 10 * MS, 1 * MS, 100 * MS, 8);
	count = steer_sayings(&r, rows);
	assert_non_null(find(rows, count, "load"));
	steer_result_free(&r);
	fill(&r, 100 * MS, 1 * MS, 100 * MS, 3); /* too few to tell */
	count = steer_sayings(&r, rows);
	assert_non_null(strstr(find(rows, count, "waits")->text, "too few seconds"));
	assert_int_equal(count, 1);
	r.end = STEER_END_NOT_BEGUN;
	assert_int_equal(steer_sayings(&r, rows), 0);
	steer_result_free(&r);
}

static void what_is_said_of_datagrams(void **state)
{
	struct steer_saying rows[STEER_SAYINGS_MAX];
	struct steer_result r;
	size_t count;

	(void)state;
	fill_datagrams(&r, 0.2, 0.01, 8);
	count = steer_sayings(&r, rows);
	assert_null(find(rows, count, "waits"));
	assert_int_equal(find(rows, count, "drops")->level, FINDING_GOOD);
	assert_non_null(strstr(find(rows, count, "drops")->text, "fewer datagrams were dropped"));
	assert_int_equal(find(rows, count, "queue")->level, FINDING_GOOD);
	steer_result_free(&r);
	fill_datagrams(&r, 0.01, 0.2, 8);
	count = steer_sayings(&r, rows);
	assert_int_equal(find(rows, count, "drops")->level, FINDING_PROBLEM);
	assert_int_equal(find(rows, count, "queue")->level, FINDING_PROBLEM);
	steer_result_free(&r);
	fill_datagrams(&r, 0.1, 0.1, 8);
	count = steer_sayings(&r, rows);
	assert_non_null(strstr(find(rows, count, "drops")->text, "no more than noise"));
	assert_int_equal(count, 1);
	steer_result_free(&r);
	fill_datagrams(&r, 0.1, 0.01, 3);
	count = steer_sayings(&r, rows);
	assert_non_null(strstr(find(rows, count, "drops")->text, "too few seconds"));
	steer_result_free(&r);
}

static void whether_it_can_gain(void **state)
{
	struct finding findings[] = { { .level = FINDING_NOTE }, { .level = FINDING_GOOD } };
	struct endpoint e = { .findings = findings, .finding_count = 2 };

	(void)state;
	assert_false(steer_can_gain(&e));
	e.open_known = true;
	e.open_fairness.verdict = VERDICT_UNEVEN;
	assert_true(steer_can_gain(&e));
	e.open_known = false;
	findings[0].level = FINDING_PROBLEM;
	assert_true(steer_can_gain(&e));
	e.finding_count = 0; /* too little to tell: the user decides */
	assert_true(steer_can_gain(&e));
}

/* Even shares of datagrams are no good if some of them wait or find no room. */
static void whether_datagrams_can_gain(void **state)
{
	struct finding good = { .level = FINDING_GOOD };
	struct socket_row socket = {};
	struct endpoint e = { .protocol = PROTOCOL_UDP,
			      .sockets = &socket,
			      .socket_count = 1,
			      .findings = &good,
			      .finding_count = 1 };

	(void)state;
	assert_false(steer_can_gain(&e));
	socket.dropped = 1;
	assert_true(steer_can_gain(&e));
	socket = (struct socket_row){ .queue_length = 768 };
	assert_true(steer_can_gain(&e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_in_a_row),
		cmocka_unit_test(noise_is_no_reason),
		cmocka_unit_test(drops_and_resets),
		cmocka_unit_test(a_second_is_read),
		cmocka_unit_test(what_is_said),
		cmocka_unit_test(whether_it_can_gain),
		cmocka_unit_test(a_second_of_datagrams),
		cmocka_unit_test(what_is_said_of_datagrams),
		cmocka_unit_test(whether_datagrams_can_gain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
