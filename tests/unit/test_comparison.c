/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What belongs together, what is more than noise, best and worst, and what scripts are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <math.h>
#include <arpa/inet.h>

#include <cmocka.h>
#include <gsl/gsl_randist.h>

#include "../../user/model/comparison.h"
#include "../../user/model/noise.h"

/* ---- what belongs together ---- */

static struct comparison_key port_key(const char *address, uint16_t port)
{
	struct comparison_key key = { .port = port, .netns = 1 };

	strcpy(key.address, address);
	return key;
}

static struct comparison_key mode_key(const char *mode)
{
	struct comparison_key key = { .port = 40000 };

	strcpy(key.mode, mode);
	return key;
}

static struct comparison_run run_with(enum metric_id metric, double value)
{
	struct comparison_run run;

	comparison_run_clear(&run);
	run.figures[metric] = value;
	run.own_load = true;
	return run;
}

static void add(struct comparison *c, struct comparison_key key, double rate)
{
	const struct comparison_run run = run_with(METRIC_RATE, rate);

	assert_int_equal(comparison_add(c, c->side_count - 1, &key, "", &run, NULL), 0);
}

static void side(struct comparison *c, const char *name)
{
	assert_int_equal(comparison_side_add(c, name), 0);
}

/* The rates of a subject's cells, "10 20 -", as they were matched. */
static const char *matched(const struct comparison *c, size_t subject)
{
	static char text[200];

	*text = '\0';
	for (size_t i = 0; i < c->side_count; i++) {
		const struct comparison_result *r = c->subjects[subject].cells[i];

		if (r)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%.0f",
				 i ? " " : "", r->runs[0].figures[METRIC_RATE]);
		else
			strcat(text, i ? " -" : "-");
	}
	return text;
}

static void ports_are_matched_by_number_then_address(void **state)
{
	struct comparison c = {};

	(void)state;
	side(&c, "a");
	add(&c, port_key("10.0.0.1", 80), 10);
	add(&c, port_key("10.0.0.2", 80), 11);
	add(&c, port_key("0.0.0.0", 443), 12);
	side(&c, "b");
	add(&c, port_key("0.0.0.0", 22), 20);
	add(&c, port_key("10.0.0.2", 80), 21);
	add(&c, port_key("10.0.0.9", 80), 22);
	side(&c, "c");
	add(&c, port_key("10.0.0.9", 80), 30);
	assert_int_equal(comparison_arrange(&c), 0);
	assert_int_equal(c.subject_count, 4);
	assert_string_equal(
		matched(&c, 0),
		"10 22 30"); /* 10.0.0.9 took the one that was left, and so it does again */
	assert_string_equal(matched(&c, 1), "11 21 -");
	assert_string_equal(matched(&c, 2), "12 - -"); /* none is dropped */
	assert_string_equal(matched(&c, 3), "- 20 -");
	assert_true(c.subjects[0].alike);
	comparison_free(&c);
}

static void one_each_is_compared_whatever_it_is(void **state)
{
	struct comparison c = {};

	(void)state;
	side(&c, "r.json:80");
	add(&c, port_key("0.0.0.0", 80), 1);
	side(&c, "r.json:443");
	add(&c, port_key("0.0.0.0", 443), 2);
	assert_int_equal(comparison_arrange(&c), 0);
	assert_int_equal(c.subject_count, 1);
	assert_string_equal(matched(&c, 0), "1 2");
	assert_false(c.subjects[0].alike);
	comparison_free(&c);
}

/* FILE:53 of two files has TCP and UDP: ports that were asked for match, protocols must. */
static void named_ports_match_each_other(void **state)
{
	struct comparison_key tcp = port_key("0.0.0.0", 53), udp = tcp,
			      tcp2 = port_key("0.0.0.0", 5353), udp2 = tcp2;
	struct comparison c = {};

	(void)state;
	udp.protocol = udp2.protocol = PROTOCOL_UDP;
	tcp.port_asked = udp.port_asked = tcp2.port_asked = udp2.port_asked = true;
	side(&c, "a");
	add(&c, tcp, 1);
	add(&c, udp, 2);
	side(&c, "b");
	add(&c, udp2, 3);
	add(&c, tcp2, 4);
	assert_int_equal(comparison_arrange(&c), 0);
	assert_int_equal(c.subject_count, 2);
	assert_string_equal(matched(&c, 0), "1 4");
	assert_string_equal(matched(&c, 1), "2 3");
	comparison_free(&c);
}

static void modes_are_matched_by_name(void **state)
{
	struct comparison c = {};

	(void)state;
	side(&c, "a");
	add(&c, mode_key("reuseport"), 1);
	add(&c, mode_key("io-uring"), 2);
	side(&c, "b");
	add(&c, mode_key("io-uring"), 3);
	add(&c, mode_key("reuseport"), 4);
	assert_int_equal(comparison_arrange(&c), 0);
	assert_int_equal(c.subject_count, 2);
	assert_string_equal(matched(&c, 0), "1 4");
	assert_string_equal(matched(&c, 1), "2 3");
	comparison_free(&c);
}

static void the_modes_of_one_file_are_the_sides(void **state)
{
	struct comparison c = {};

	(void)state;
	side(&c, "all.json");
	add(&c, mode_key("reuseport"), 1);
	add(&c, mode_key("io-uring"), 2);
	add(&c, mode_key("reuseport"), 3);
	assert_int_equal(comparison_arrange(&c), 0);
	assert_int_equal(c.side_count, 2);
	assert_int_equal(c.subject_count, 1);
	assert_string_equal(c.sides[0].name, "reuseport");
	assert_int_equal(c.subjects[0].cells[0]->run_count, 2);
	assert_string_equal(matched(&c, 0), "1 2");
	comparison_free(&c);
}

static void another_setup_is_no_repeat(void **state)
{
	const struct comparison_key key = mode_key("reuseport");
	const struct comparison_run run = run_with(METRIC_RATE, 1);
	struct comparison c = {};

	(void)state;
	side(&c, "a");
	assert_int_equal(comparison_add(&c, 0, &key, "", NULL, "no io_uring"),
			 0); /* skipped: it has no setup */
	assert_int_equal(comparison_add(&c, 0, &key, "8 workers", &run, NULL), 0);
	assert_int_equal(comparison_add(&c, 0, &key, "8 workers", &run, NULL), 0);
	assert_int_equal(comparison_add(&c, 0, &key, "4 workers", &run, NULL), -EEXIST);
	assert_int_equal(c.sides[0].results[0].run_count, 2);
	comparison_free(&c);
}

/* ---- differences, marks, scripts ---- */

/* Sides with five runs each of one metric, or one: of the first `count` values. */
static void sides_of(struct comparison *c, enum metric_id metric, double values[][5], size_t sides,
		     size_t count)
{
	const struct comparison_key key = mode_key("reuseport");

	*c = (struct comparison){};
	for (size_t i = 0; i < sides; i++) {
		side(c, "side");
		for (size_t k = 0; k < count; k++) {
			const struct comparison_run run = run_with(metric, values[i][k]);

			assert_int_equal(comparison_add(c, i, &key, "", &run, NULL), 0);
		}
	}
	assert_int_equal(comparison_arrange(c), 0);
	assert_int_equal(comparison_judge(c), 0);
}

static const struct comparison_stat *stat_at(const struct comparison *c, size_t i,
					     enum metric_id metric)
{
	return &c->subjects[0].cells[i]->stats[metric];
}

static enum worse worse(const struct comparison *c)
{
	struct worse_where where;

	return comparison_worse(c, &where);
}

static double waits[][5] = { { 100, 101, 99, 100, 102 },
			     { 50, 52, 51, 49, 50 },
			     { 101, 100, 102, 99, 100 } };

static void best_is_told_from_all_others_or_not_marked(void **state)
{
	struct comparison c;

	(void)state;
	sides_of(&c, METRIC_WAIT_P99, waits, 3, 5);
	assert_int_equal(stat_at(&c, 1, METRIC_WAIT_P99)->mark, MARK_BEST);
	assert_true(stat_at(&c, 1, METRIC_WAIT_P99)->mark_tested);
	assert_int_equal(stat_at(&c, 0, METRIC_WAIT_P99)->mark,
			 MARK_NONE); /* the two others are alike: none of them is the worst */
	assert_int_equal(stat_at(&c, 2, METRIC_WAIT_P99)->mark, MARK_NONE);
	assert_int_equal(stat_at(&c, 1, METRIC_WAIT_P99)->told, TOLD_DIFFERENT);
	assert_int_equal(stat_at(&c, 2, METRIC_WAIT_P99)->told, TOLD_NOISE);
	assert_true(isnan(stat_at(&c, 0, METRIC_WAIT_P99)->difference));
	assert_true(fabs(stat_at(&c, 1, METRIC_WAIT_P99)->difference + 50) < 1e-9);
	assert_true(isnan(stat_at(&c, 1, METRIC_WAIT_MEAN)->mean));
	comparison_free(&c);
}

static void single_runs_are_not_tested(void **state)
{
	struct comparison c;

	(void)state;
	sides_of(&c, METRIC_WAIT_P99, waits, 2, 1);
	assert_int_equal(stat_at(&c, 1, METRIC_WAIT_P99)->told, TOLD_UNTESTED);
	assert_true(isnan(stat_at(&c, 1, METRIC_WAIT_P99)->p));
	assert_int_equal(stat_at(&c, 1, METRIC_WAIT_P99)->mark, MARK_BEST);
	assert_false(stat_at(&c, 1, METRIC_WAIT_P99)->mark_tested);
	assert_int_equal(worse(&c), WORSE_UNTESTED);
	comparison_free(&c);
}

static void worse_has_a_direction(void **state)
{
	double turned[][5] = { { 50, 52, 51, 49, 50 }, { 100, 101, 99, 100, 102 } };
	struct comparison c;

	(void)state;
	sides_of(&c, METRIC_WAIT_P99, turned, 2, 5);
	assert_int_equal(worse(&c), WORSE_TOLD);
	comparison_free(&c);
	sides_of(&c, METRIC_WAIT_P99, waits, 2, 5); /* it became better */
	assert_int_equal(worse(&c), WORSE_NOT);
	comparison_free(&c);
	sides_of(&c, METRIC_RATE, turned, 2, 5); /* a higher rate is better */
	assert_int_equal(worse(&c), WORSE_NOT);
	comparison_free(&c);
	sides_of(&c, METRIC_RATE, waits, 2, 5);
	assert_int_equal(worse(&c), WORSE_TOLD);
	for (size_t k = 0; k < 5; k++) /* clients of others decide on it */
		c.subjects[0].cells[1]->runs[k].own_load = false;
	assert_int_equal(worse(&c), WORSE_NO_PAIR);
	comparison_free(&c);
}

/* A tenth of the events: the CV is three times as high by chance alone, and no worse. */
static void a_shorter_run_is_not_worse(void **state)
{
	static const double chi[] = { 0.8, 1.1, 0.9, 1.2, 1.0 };
	const struct comparison_key key = mode_key("reuseport");
	struct comparison c = {};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		side(&c, "side");
		for (size_t k = 0; k < 5; k++) {
			const double expected = i ? 0.059 : 0.019;
			struct comparison_run run = run_with(METRIC_CV, expected * sqrt(chi[k]));

			run.figures[METRIC_CV_EXPECTED] = expected;
			assert_int_equal(comparison_add(&c, i, &key, "", &run, NULL), 0);
		}
	}
	assert_int_equal(comparison_arrange(&c), 0);
	assert_int_equal(comparison_judge(&c), 0);
	assert_true(stat_at(&c, 1, METRIC_CV)->difference > 0.03);
	assert_int_equal(stat_at(&c, 1, METRIC_CV)->told, TOLD_NOISE);
	assert_int_equal(stat_at(&c, 1, METRIC_CV)->mark, MARK_NONE);
	assert_int_equal(worse(&c), WORSE_NOT);
	comparison_free(&c);
}

/* Round robin and a fair hash: both below chance, and neither is better for being further below. */
static void less_than_chance_is_no_better(void **state)
{
	const struct comparison_key key = mode_key("reuseport");
	struct comparison c = {};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct comparison_run run = run_with(METRIC_CV, i ? 0.018 : 0.001);

		run.figures[METRIC_CV_EXPECTED] = 0.019;
		side(&c, "side");
		assert_int_equal(comparison_add(&c, i, &key, "", &run, NULL), 0);
	}
	assert_int_equal(comparison_arrange(&c), 0);
	assert_int_equal(comparison_judge(&c), 0);
	assert_int_equal(stat_at(&c, 0, METRIC_CV)->mark, MARK_NONE);
	assert_int_equal(stat_at(&c, 1, METRIC_CV)->mark, MARK_NONE);
	c.sides[1].results[0].runs[0].figures[METRIC_CV] = 0.5;
	assert_int_equal(comparison_judge(&c), 0);
	assert_int_equal(stat_at(&c, 0, METRIC_CV)->mark, MARK_BEST);
	assert_int_equal(stat_at(&c, 1, METRIC_CV)->mark, MARK_WORST);
	comparison_free(&c);
}

static void rates_of_tcp_and_udp_are_not_ranked(void **state)
{
	struct comparison c;

	(void)state;
	sides_of(&c, METRIC_RATE, waits, 2, 5);
	assert_int_equal(stat_at(&c, 0, METRIC_RATE)->mark, MARK_BEST);
	c.subjects[0].cells[1]->key.protocol = PROTOCOL_UDP;
	assert_int_equal(comparison_judge(&c), 0);
	assert_int_equal(stat_at(&c, 0, METRIC_RATE)->mark, MARK_NONE);
	comparison_free(&c);
}

/* One worker gets all of 500 or 5,000: the same spread, whatever chance takes from its CV. */
static void one_gets_all_at_any_size(void **state)
{
	const struct comparison_key key = mode_key("udp-reuseaddr");
	struct comparison c = {};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		side(&c, "side");
		for (size_t k = 0; k < 5; k++) {
			struct comparison_run run = run_with(METRIC_CV, sqrt(3));

			run.figures[METRIC_CV_EXPECTED] = sqrt(3 / (i ? 500.0 : 5000.0));
			run.figures[metric_of_share(SHARE_WORKERS, SHARE_EVENTS)] = i ? 500 : 5000;
			run.figures[metric_of_share(SHARE_WORKERS, SHARE_BINS)] = 4;
			assert_int_equal(comparison_add(&c, i, &key, "", &run, NULL), 0);
		}
	}
	assert_int_equal(comparison_arrange(&c), 0);
	assert_int_equal(comparison_judge(&c), 0);
	assert_true(fabs(stat_at(&c, 1, METRIC_CV)->score - 3) < 1e-9);
	assert_int_equal(stat_at(&c, 1, METRIC_CV)->told, TOLD_NOISE);
	assert_int_equal(stat_at(&c, 1, METRIC_CV)->mark, MARK_NONE);
	assert_int_equal(worse(&c), WORSE_NOT);
	comparison_free(&c);
}

/* Where the shown difference is "=", nothing is marked, whatever chance would have given each. */
static void what_is_shown_as_equal_is_not_marked(void **state)
{
	const struct comparison_key key = mode_key("reuseport");
	struct comparison c = {};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		side(&c, "side");
		for (size_t k = 0; k < 5; k++) {
			struct comparison_run run = run_with(METRIC_CV, i ? 0.5 : 0.500000001);

			run.figures[METRIC_CV_EXPECTED] = i ? 0.019 : 0.059;
			assert_int_equal(comparison_add(&c, i, &key, "", &run, NULL), 0);
		}
	}
	assert_int_equal(comparison_arrange(&c), 0);
	assert_int_equal(comparison_judge(&c), 0);
	assert_true(stat_at(&c, 1, METRIC_CV)->difference == 0);
	assert_int_equal(stat_at(&c, 0, METRIC_CV)->mark, MARK_NONE);
	assert_int_equal(stat_at(&c, 1, METRIC_CV)->mark, MARK_NONE);
	assert_int_equal(worse(&c), WORSE_NOT);
	comparison_free(&c);
}

/* What a gate guards is gone, or can't be trusted: no pass. */
static void what_is_missing_does_not_pass(void **state)
{
	const struct comparison_key gone = port_key("10.0.0.1", 80),
				    stays = port_key("10.0.0.1", 443);

	(void)state;
	for (int without = 0; without < 2; without++) {
		struct comparison c = {};

		for (size_t i = 0; i < 2; i++) {
			side(&c, "side");
			for (size_t k = 0; k < 5; k++) {
				add(&c, stays, 10);
				if (!i || !without)
					add(&c, gone, 10);
			}
		}
		assert_int_equal(comparison_arrange(&c), 0);
		assert_int_equal(comparison_judge(&c), 0);
		assert_int_equal(worse(&c), without ? WORSE_MISSING : WORSE_NOT);
		if (!without) {
			c.subjects[0].cells[1]->runs[2].disagrees = true;
			assert_int_equal(worse(&c), WORSE_DISAGREES);
		}
		comparison_free(&c);
	}
}

/* A side of six runs of one port whose waits are about so long, and the round of each; the caller
 * may change them. */
static struct comparison_result *side_of_waits(struct comparison *c, double wait)
{
	const struct comparison_key key = port_key("10.0.0.1", 80);

	side(c, "side");
	for (size_t k = 0; k < 6; k++) {
		struct comparison_run run =
			run_with(METRIC_WAIT_P99, wait * (1 + 0.01 * (double)(k * 5 % 6)));

		run.own_load = false;
		run.figures[METRIC_EVENTS] = 1000;
		run.figures[METRIC_WAIT_MAX] = 2 * wait;
		run.round = 3 * k;
		assert_int_equal(comparison_add(c, c->side_count - 1, &key, "", &run, NULL), 0);
	}
	return &c->sides[c->side_count - 1].results[0];
}

/* Lost counts come before anything told; what was withheld of all runs is not passed over. */
static void what_keeps_a_gate_from_telling(void **state)
{
	struct comparison c = {};
	struct comparison_result *a = side_of_waits(&c, 100000), *b = side_of_waits(&c, 300000);
	struct worse_where where;

	(void)state;
	assert_int_equal(a->runs[5].round, 15);
	assert_int_equal(comparison_arrange(&c), 0);
	assert_int_equal(comparison_judge(&c), 0);
	assert_int_equal(comparison_worse(&c, &where), WORSE_TOLD);
	a->runs[2].withheld[SHARE_WORKERS] = WITHHELD_COUNTS_LOST;
	assert_int_equal(comparison_worse(&c, &where), WORSE_LOST);
	assert_true(where.side == 0 && where.runs == 1 && where.runs_all == 6);
	a->runs[2].withheld[SHARE_WORKERS] = WITHHELD_NOT;
	for (size_t k = 0; k < 6; k++)
		b->runs[k].figures[METRIC_WAIT_P99] = a->runs[k].figures[METRIC_WAIT_P99];
	a->runs[0].verdicts[SHARE_SOCKETS] = VERDICT_WITHHELD;
	assert_int_equal(comparison_judge(&c), 0);
	assert_int_equal(comparison_worse(&c, &where), WORSE_MISSING);
	assert_true(where.side == 0 && where.metric == METRIC_CV);
	/* Two runs without traffic leave too few. */
	a->runs[0].verdicts[SHARE_SOCKETS] = VERDICT_NOT_APPLICABLE;
	b->runs[1].figures[METRIC_EVENTS] = b->runs[4].figures[METRIC_EVENTS] = 0;
	assert_int_equal(comparison_judge(&c), 0);
	assert_int_equal(comparison_worse(&c, &where), WORSE_UNTESTED);
	assert_true(where.side == 1 && where.runs == 4 && where.runs_all == 6 && where.quiet == 2);
	comparison_free(&c);
}

/* The longest of more is longer by that alone. */
static void the_longest_wait_is_of_as_many(void **state)
{
	struct comparison c = {};
	struct comparison_result *b;

	(void)state;
	side_of_waits(&c, 100000);
	b = side_of_waits(&c, 300000);
	assert_int_equal(comparison_arrange(&c), 0);
	assert_int_equal(comparison_judge(&c), 0);
	assert_int_equal(stat_at(&c, 1, METRIC_WAIT_MAX)->told, TOLD_DIFFERENT);
	assert_int_equal(stat_at(&c, 1, METRIC_WAIT_MAX)->mark, MARK_WORST);
	b->runs[3].figures[METRIC_EVENTS] = 1200;
	assert_int_equal(comparison_judge(&c), 0);
	assert_false(stat_at(&c, 1, METRIC_WAIT_MAX)->comparable);
	assert_int_equal(stat_at(&c, 1, METRIC_WAIT_MAX)->told, TOLD_UNTESTED);
	assert_int_equal(stat_at(&c, 1, METRIC_WAIT_MAX)->mark, MARK_NONE);
	assert_int_equal(stat_at(&c, 1, METRIC_WAIT_P99)->told, TOLD_DIFFERENT);
	comparison_free(&c);
}

/* One outlier makes the mean longer, while all others are shorter: neither is said. */
static void a_mean_and_a_logarithm_that_disagree_tell_nothing(void **state)
{
	struct comparison c = {};
	struct comparison_result *b;

	(void)state;
	side_of_waits(&c, 100000);
	b = side_of_waits(&c, 50000);
	assert_int_equal(comparison_arrange(&c), 0);
	assert_int_equal(comparison_judge(&c), 0);
	assert_int_equal(stat_at(&c, 1, METRIC_WAIT_P99)->mark, MARK_BEST);
	b->runs[0].figures[METRIC_WAIT_P99] = 400000;
	assert_int_equal(comparison_judge(&c), 0);
	assert_true(stat_at(&c, 1, METRIC_WAIT_P99)->difference > 0);
	assert_true(stat_at(&c, 1, METRIC_WAIT_P99)->p == 1);
	assert_int_equal(stat_at(&c, 1, METRIC_WAIT_P99)->mark, MARK_NONE);
	comparison_free(&c);
}

static void a_first_side_that_was_skipped_can_not_be_worse_than(void **state)
{
	const struct comparison_key key = mode_key("io-uring");
	struct comparison c = {};

	(void)state;
	side(&c, "a");
	assert_int_equal(comparison_add(&c, 0, &key, "", NULL, "no io_uring"), 0);
	side(&c, "b");
	add(&c, key, 5);
	assert_int_equal(comparison_arrange(&c), 0);
	assert_int_equal(comparison_judge(&c), 0);
	assert_int_equal(worse(&c), WORSE_NO_PAIR);
	comparison_free(&c);
}

/* Verdicts of one side's runs: the workers', or where they got nothing the sockets'. */
static void uneven_looks_at_sockets_where_no_worker_was_seen(void **state)
{
	const struct comparison_key key = mode_key("reuseport");
	struct comparison_run run = run_with(metric_of_share(SHARE_WORKERS, SHARE_EVENTS), 100);
	struct comparison c = {};

	(void)state;
	run.verdicts[SHARE_SOCKETS] = VERDICT_UNEVEN;
	run.figures[METRIC_EVENTS] = 100;
	side(&c, "a");
	assert_int_equal(comparison_run_decide(&run).outcome, OUTCOME_ALONE);
	assert_int_equal(comparison_add(&c, 0, &key, "", &run, NULL), 0);
	run.figures[metric_of_share(SHARE_WORKERS, SHARE_EVENTS)] = 0;
	assert_int_equal(comparison_run_decide(&run).outcome, OUTCOME_UNEVEN);
	assert_int_equal(comparison_add(&c, 0, &key, "", &run, NULL), 0);
	assert_int_equal(comparison_arrange(&c), 0);
	assert_int_equal(comparison_uneven_runs(c.subjects[0].cells[0]), 1);
	comparison_free(&c);
}

/* A run whose verdict is withheld has no spread to compare, and can't be told for a script. */
static void what_is_withheld_is_not_compared(void **state)
{
	struct fairness uneven = { .bins = 8,
				   .events = 100,
				   .cv = 1,
				   .cv_expected = 0.1,
				   .excess = 1,
				   .max_over_mean = 3,
				   .verdict = VERDICT_UNEVEN };
	struct endpoint e = { .worker_fairness = uneven, .socket_fairness = uneven };
	struct snapshot s = { .seconds = 1 };
	struct comparison_run run;

	(void)state;
	fairness_withhold(&e.worker_fairness, WITHHELD_WAITERS_CUT);
	comparison_run_of(&run, &s, &e);
	assert_int_equal(run.withheld[SHARE_WORKERS], WITHHELD_WAITERS_CUT);
	assert_true(isnan(run.figures[METRIC_CV]));
	assert_true(isnan(run.figures[metric_of_share(SHARE_WORKERS, SHARE_CV)]));
	assert_true(isnan(run.figures[metric_of_share(SHARE_WORKERS, SHARE_IDLE)]));
	assert_true(run.figures[metric_of_share(SHARE_WORKERS, SHARE_EVENTS)] == 100);
	assert_true(run.figures[metric_of_share(SHARE_SOCKETS, SHARE_CV)] == 1);
	assert_int_equal(comparison_run_decide(&run).outcome, OUTCOME_WITHHELD);
	assert_int_equal(comparison_run_decide(&run).why, WITHHELD_WAITERS_CUT);
}

/* One who accepts for all: those who serve decide. */
static void the_cv_that_decides(void **state)
{
	struct comparison_run run;

	(void)state;
	comparison_run_clear(&run);
	run.figures[metric_of_share(SHARE_WORKERS, SHARE_EVENTS)] = 100;
	run.figures[metric_of_share(SHARE_WORKERS, SHARE_CV)] = 0.1;
	run.figures[metric_of_share(SHARE_SOCKETS, SHARE_CV)] = 0.2;
	run.figures[metric_of_share(SHARE_SERVED, SHARE_CV)] = 0.3;
	run.verdicts[SHARE_WORKERS] = run.verdicts[SHARE_SERVED] = VERDICT_EVEN;
	comparison_run_complete(&run, PROTOCOL_TCP);
	assert_true(run.figures[METRIC_CV] == 0.1);
	run.verdicts[SHARE_WORKERS] = VERDICT_NOT_APPLICABLE;
	comparison_run_complete(&run, PROTOCOL_TCP);
	assert_true(run.figures[METRIC_CV] == 0.3);
	run.verdicts[SHARE_SERVED] = VERDICT_NOT_APPLICABLE;
	run.figures[metric_of_share(SHARE_WORKERS, SHARE_EVENTS)] = 0;
	comparison_run_complete(&run, PROTOCOL_TCP);
	assert_true(run.figures[METRIC_CV] == 0.2);
}

static void every_metric_has_its_row(void **state)
{
	(void)state;
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		assert_non_null(metrics[i].name);
		assert_non_null(metrics[i].label);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(metrics[i].name, metrics[k].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports_are_matched_by_number_then_address),
		cmocka_unit_test(one_each_is_compared_whatever_it_is),
		cmocka_unit_test(named_ports_match_each_other),
		cmocka_unit_test(modes_are_matched_by_name),
		cmocka_unit_test(the_modes_of_one_file_are_the_sides),
		cmocka_unit_test(another_setup_is_no_repeat),
		cmocka_unit_test(best_is_told_from_all_others_or_not_marked),
		cmocka_unit_test(single_runs_are_not_tested),
		cmocka_unit_test(worse_has_a_direction),
		cmocka_unit_test(a_shorter_run_is_not_worse),
		cmocka_unit_test(less_than_chance_is_no_better),
		cmocka_unit_test(rates_of_tcp_and_udp_are_not_ranked),
		cmocka_unit_test(one_gets_all_at_any_size),
		cmocka_unit_test(what_is_shown_as_equal_is_not_marked),
		cmocka_unit_test(what_is_missing_does_not_pass),
		cmocka_unit_test(what_keeps_a_gate_from_telling),
		cmocka_unit_test(the_longest_wait_is_of_as_many),
		cmocka_unit_test(a_mean_and_a_logarithm_that_disagree_tell_nothing),
		cmocka_unit_test(a_first_side_that_was_skipped_can_not_be_worse_than),
		cmocka_unit_test(uneven_looks_at_sockets_where_no_worker_was_seen),
		cmocka_unit_test(what_is_withheld_is_not_compared),
		cmocka_unit_test(the_cv_that_decides),
		cmocka_unit_test(every_metric_has_its_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
