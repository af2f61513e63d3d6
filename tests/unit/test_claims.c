/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Claims: the verdict follows the figures, and both outputs say what was found. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "../../user/model/claim.h"
#include "../../user/render/claims.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* NaN also where there is no such figure. */
static double figure(const struct claim_result *r, const char *name)
{
	for (size_t i = 0; i < r->figure_count; i++)
		if (!strcmp(r->figures[i].name, name))
			return r->figures[i].value;
	return NAN;
}

static bool has_figure(const struct claim_result *r, const char *name)
{
	for (size_t i = 0; i < r->figure_count; i++)
		if (!strcmp(r->figures[i].name, name))
			return true;
	return false;
}

/* All figures found room, and the sentence too. */
static void assert_whole(const struct claim_result *r)
{
	assert_true(r->figure_count < CLAIM_FIGURES_MAX);
	assert_true(strlen(r->why) < sizeof(r->why) - 1);
	for (size_t i = 0; i < r->figure_count; i++)
		assert_true(strlen(r->figures[i].name) < sizeof(r->figures[i].name) - 1);
}

#define assert_says(r, text) assert_non_null(strstr((r).why, text))
#define assert_says_not(r, text) assert_null(strstr((r).why, text))

/* ---- binding ---- */

static void binding_needs_the_option_on_both(void **state)
{
	const struct {
		struct claim_binding m;
		enum claim_verdict verdict;
		unsigned reached;
	} cases[] = {
		{ { .sockets = 4,
		    .bound = 4,
		    .asked = 256,
		    .sent = 256,
		    .got = { 60, 70, 66, 60 } },
		  CLAIM_HOLDS,
		  4 },
		{ { .sockets = 4, .bound = 4, .asked = 256, .sent = 256, .got = { 130, 0, 126 } },
		  CLAIM_HOLDS,
		  2 },
		{ { .sockets = 4, .bound = 4, .asked = 256, .sent = 256, .got = { 256 } },
		  CLAIM_FAILS,
		  1 }, /* bound, but one gets all */
		{ { .sockets = 4, .bound = 1, .asked = 256, .sent = 256, .got = { 256 } },
		  CLAIM_FAILS,
		  1 },
		{ { .sockets = 4,
		    .bound = 4,
		    .asked = 256,
		    .sent = 256,
		    .got = { 60, 70, 66, 60 },
		    .second_without = true },
		  CLAIM_PARTLY,
		  4 },
		{ { .sockets = 4,
		    .bound = 4,
		    .asked = 256,
		    .sent = 256,
		    .got = { 60, 70, 66, 60 },
		    .second_if_first = true },
		  CLAIM_HOLDS,
		  4 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct claim_result r = {};

		claim_judge_binding(&r, &cases[i].m);
		assert_int_equal(r.verdict, cases[i].verdict);
		assert_int_equal(figure(&r, "sockets_listening"), cases[i].m.bound);
		assert_int_equal(figure(&r, "sockets_reached"), cases[i].reached);
		assert_int_equal(figure(&r, "connections_received"), 256);
		assert_int_equal(figure(&r, "second_binds_without_option"),
				 cases[i].m.second_without);
		assert_whole(&r);
	}
}

/* What was not sent, or got by nobody, says nothing about who would have got it. */
static void no_verdict_without_the_experiment(void **state)
{
	const struct claim_binding bindings[] = {
		{ .sockets = 4, .bound = 4, .asked = 256 },
		{ .sockets = 4, .bound = 4, .asked = 256, .sent = 7, .got = { 3, 4 } },
		{ .sockets = 4, .bound = 4, .asked = 256, .sent = 256, .got = { 100, 155 } },
	};
	const struct claim_datagrams datagrams[] = {
		{ true, 4, 4, 1024, 0, {} },
		{ true, 4, 4, 1024, 100, { 0, 0, 0, 100 } },
		{ true, 4, 4, 1024, 1024, { 0, 0, 0, 1023 } },
	};
	const struct claim_attempt attempts[] = {
		{ "udp", "UDP", true, 64, 0, 0, 0, false },
		{ "udp", "UDP", true, 64, 63, 63, 0, false },
		{ "udp", "UDP", true, 64, 64, 33, 30, false },
	};

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct claim_result r[4] = {};

		claim_judge_binding(&r[0], &bindings[i]);
		assert_int_equal(claim_judge_datagrams(&r[1], &datagrams[i], 1), 0);
		claim_judge_hijack(&r[2], &attempts[i], 1);
		claim_judge_prevention(&r[3], &attempts[i], 1, true);
		for (int k = 0; k < 4; k++) {
			assert_int_equal(r[k].verdict, CLAIM_SKIPPED);
			assert_int_equal(r[k].figure_count, 0);
			assert_says(r[k], "no verdict");
		}
		if (i == 1)
			assert_string_equal(r[0].why, "of 256 connections 7 were sent, and 7 of "
						      "them received: no verdict");
	}
}

static void binding_says_who_else_gets_in(void **state)
{
	struct claim_result r = {};

	(void)state;
	claim_judge_binding(&r, &(struct claim_binding){ .udp = true,
							 .sockets = 4,
							 .bound = 4,
							 .asked = 256,
							 .sent = 256,
							 .got = { 60, 70, 66, 60 },
							 .second_if_second = true });
	assert_string_equal(r.why,
			    "4 of 4 sockets with the option bind one port, and 256 datagrams "
			    "reached 4 of them; a second socket can't bind "
			    "if neither has it, can't if only the first, can if only the second");
	assert_int_equal(figure(&r, "sockets_bound"), 4);
	assert_int_equal(figure(&r, "datagrams"), 256);
}

static void datagrams_to_one_or_to_all(void **state)
{
	const struct claim_datagrams one = { true, 4, 4, 1024, 1024, { 0, 0, 0, 1024 } },
				     first = { true, 6, 4, 1024, 1024, { 1024, 0, 0, 0 } },
				     all = { true, 6, 4, 1024, 1024, { 250, 262, 240, 272 } },
				     all_v4 = { true, 4, 4, 1024, 1024, { 250, 262, 240, 272 } },
				     most = { true, 4, 4, 1024, 1024, { 900, 60, 40, 24 } },
				     but_one = { true, 6, 4, 1024, 1024, { 0, 0, 1, 1023 } },
				     refused = { true, 4, 1, 1024, 1024, { 1024, 0, 0, 0 } },
				     none = { false, 6, 0, 0, 0, {} };
	const struct {
		struct claim_datagrams m[2];
		enum claim_verdict verdict;
	} cases[] = {
		{ { one, first }, CLAIM_HOLDS },      { { one, all }, CLAIM_PARTLY },
		{ { one, none }, CLAIM_HOLDS },       { { all_v4, none }, CLAIM_FAILS },
		{ { refused, none }, CLAIM_FAILS },   { { most, none }, CLAIM_PARTLY },
		{ { most, but_one }, CLAIM_PARTLY },  { { one, but_one }, CLAIM_PARTLY },
		{ { refused, first }, CLAIM_PARTLY }, { { refused, all }, CLAIM_FAILS },
		{ { none, none }, CLAIM_SKIPPED },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct claim_result r = {};

		assert_int_equal(claim_judge_datagrams(&r, cases[i].m, 2), 0);
		assert_int_equal(r.verdict, cases[i].verdict);
		assert_whole(&r);
		assert_true(has_figure(&r, "cv_v6") ==
			    (cases[i].m[1].known && r.verdict != CLAIM_SKIPPED));
		if (i)
			continue;
		assert_int_equal(figure(&r, "socket_4_got_v4"), 1024);
		assert_int_equal(figure(&r, "socket_1_got_v6"), 1024);
		assert_string_equal(r.why, "IPv4: in the order of bind() the 4 sockets got 0 / 0 / "
					   "0 / 1024; IPv6: in the order of bind() the 4 "
					   "sockets got 1024 / 0 / 0 / 0");
	}
}

/* ---- hijacking ---- */

/* One attempt: the second user gets so many of 64. */
static struct claim_attempt taken(const char *key, const char *what, uint64_t stolen, bool aside)
{
	return (struct claim_attempt){ key, what, true, 64, 64, stolen, 64 - stolen, aside };
}

static struct claim_attempt refused(const char *key, const char *what, bool aside)
{
	return (struct claim_attempt){ .key = key, .what = what, .aside = aside };
}

static void hijack_counts_what_was_stolen(void **state)
{
	struct claim_attempt a[] = { taken("udp", "UDP", 64, false),
				     taken("tcp_bound", "bound TCP", 63, false),
				     refused("tcp_listening", "listening TCP", false) };
	struct claim_result r = {};

	(void)state;
	claim_judge_hijack(&r, a, 3);
	assert_int_equal(r.verdict, CLAIM_PARTLY);
	assert_string_equal(r.why, "another user who sets it too takes over UDP (64 of 64 stolen), "
				   "bound TCP (63 of 64 stolen); but is refused "
				   "(EADDRINUSE) listening TCP");
	assert_true(figure(&r, "udp_second_user_binds") == 1 &&
		    figure(&r, "tcp_listening_second_user_binds") == 0);
	assert_int_equal(figure(&r, "tcp_bound_stolen"), 63);
	assert_int_equal(figure(&r, "tcp_bound_first_user_got"), 1);

	r = (struct claim_result){};
	a[2] = taken("tcp_listening", "listening TCP", 30, false);
	claim_judge_hijack(&r, a, 3);
	assert_int_equal(r.verdict, CLAIM_HOLDS);
	assert_says(r, "listening TCP (30 of 64 stolen)");

	r = (struct claim_result){};
	for (int i = 0; i < 3; i++)
		a[i] = taken("udp", "UDP", 0,
			     false); /* bound, and gets nothing: nothing is hijacked */
	claim_judge_hijack(&r, a, 2);
	assert_int_equal(r.verdict, CLAIM_FAILS);
	assert_string_equal(r.why, "another user who sets it too binds beside, and gets nothing "
				   "of, UDP (0 of 64 stolen), UDP (0 of 64 stolen)");

	r = (struct claim_result){};
	a[0] = refused("tcp_listening", "listening TCP", false);
	claim_judge_hijack(&r, a, 2);
	assert_string_equal(r.why, "another user who sets it too is refused (EADDRINUSE) listening "
				   "TCP; binds beside, and gets nothing of, UDP (0 of 64 "
				   "stolen)");
}

static void prevention_with_and_without_the_other_option(void **state)
{
	struct claim_attempt a[] = { refused("udp", "UDP", false),
				     taken("udp_both_options", "UDP", 64, true),
				     taken("udp6_both_options", "UDP of IPv6", 0, true) };
	struct claim_result r = {};

	(void)state;
	claim_judge_prevention(&r, a, 3, true);
	assert_int_equal(r.verdict, CLAIM_PARTLY);
	assert_string_equal(r.why, "another user who sets it too is refused (EADDRINUSE) UDP; but "
				   "where SO_REUSEADDR is set as well, by both users, the "
				   "second takes over UDP (64 of 64 stolen); it binds beside, and "
				   "gets nothing of, UDP of IPv6 (0 of 64 stolen)");
	assert_int_equal(figure(&r, "udp6_both_options_first_user_got"), 64);

	r = (struct claim_result){};
	a[1] = refused("udp_both_options", "UDP", true);
	claim_judge_prevention(&r, a, 3, true);
	assert_int_equal(r.verdict, CLAIM_HOLDS);
	assert_says_not(r, "SO_REUSEADDR");

	r = (struct claim_result){};
	a[0] = taken("udp", "UDP", 1, false);
	claim_judge_prevention(&r, a, 3, true);
	assert_int_equal(r.verdict, CLAIM_FAILS);

	r = (struct claim_result){};
	claim_judge_prevention(&r, a, 3, false);
	assert_int_equal(r.verdict, CLAIM_SKIPPED);
	assert_int_equal(r.figure_count, 0);
}

/* Everything stolen makes the longest sentence. */
static void the_longest_sentence_finds_room(void **state)
{
	struct claim_result r = {};
	struct claim_attempt a[8];

	(void)state;
	for (int i = 0; i < 8; i++)
		a[i] = taken("tcp_listening_both_options",
			     "a TCP socket that is bound and does not listen yet", 64, i > 3);
	claim_judge_prevention(&r, a, 8, true);
	assert_int_equal(r.verdict, CLAIM_FAILS);
	assert_int_equal(r.figure_count, 33);
	assert_whole(&r);
}

/* ---- after close() ---- */

static void two_minutes_are_two_minutes(void **state)
{
	const struct {
		double seconds;
		enum claim_verdict verdict;
		const char *says;
	} cases[] = {
		{ 60.1, CLAIM_FAILS, "free after 60.1 s (still refused at 60.0 s) where" },
		{ 99.9, CLAIM_FAILS, "free after 99.9 s" },
		{ 100, CLAIM_HOLDS, "free after 100.0 s" },
		{ 140, CLAIM_HOLDS, "free after 140.0 s" },
		{ 140.1, CLAIM_FAILS, "free after 140.1 s" },
		{ 0.02, CLAIM_FAILS, "free at once where the server" },
		{ NAN, CLAIM_FAILS, "free not within 150 s" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct claim_result r = {};
		const struct claim_timewait m = { .neither = cases[i].seconds,
						  .first_only = 61,
						  .second_only = 62,
						  .both = 0.01,
						  .unused = 0,
						  .client_closed = 0.1,
						  .limit = 150,
						  .refused = cases[i].seconds < 1 ? NAN
							     : isnan(cases[i].seconds)
								     ? 150
								     : cases[i].seconds - 0.1 };

		claim_judge_timewait(&r, &m);
		assert_int_equal(r.verdict, cases[i].verdict);
		assert_says(r, cases[i].says);
		assert_says(r, "only by the server before: after 61.0 s, only by the next: after "
			       "62.0 s, by both: at once");
		assert_true(figure(&r, "seconds_if_only_second_sets_reuseaddr") == 62);
		assert_whole(&r);
	}
}

static void immediate_by_whose_option(void **state)
{
	const struct {
		struct claim_immediate m;
		enum claim_verdict verdict;
	} cases[] = {
		{ { false, false, false, true }, CLAIM_PARTLY },
		{ { false, false, true, true }, CLAIM_HOLDS },
		{ { false, false, false, false }, CLAIM_FAILS },
		{ { true, true, true, true }, CLAIM_SKIPPED },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct claim_result r = {};

		claim_judge_immediate(&r, &cases[i].m);
		assert_int_equal(r.verdict, cases[i].verdict);
	}
}

/* ---- who may bind ---- */

static void privilege_needs_all_three(void **state)
{
	const struct claim_privilege good = { .machine = 1024,
					      .limit = 1024,
					      .below = TRY_REFUSED,
					      .at = TRY_ALLOWED,
					      .capable = TRY_ALLOWED,
					      .lowered = 80,
					      .lowered_below = TRY_REFUSED,
					      .lowered_at = TRY_ALLOWED };
	struct claim_privilege m[10] = {
		good, good, good, good, good, good, good, good, good, good
	};
	const enum claim_verdict verdicts[] = { CLAIM_HOLDS,  CLAIM_FAILS,  CLAIM_FAILS,
						CLAIM_FAILS,  CLAIM_PARTLY, CLAIM_HOLDS,
						CLAIM_PARTLY, CLAIM_PARTLY, CLAIM_PARTLY,
						CLAIM_HOLDS };

	(void)state;
	m[1].below = TRY_ALLOWED;
	m[2].at = TRY_REFUSED;
	m[3].capable = TRY_REFUSED;
	m[4].lowered_at = TRY_REFUSED;
	m[5].lowered = 0, m[5].lowered_below = m[5].lowered_at = TRY_UNKNOWN;
	m[6].limit = 80;
	m[7].machine = 0;
	m[8].machine = 79;
	m[9].machine = -1;
	for (size_t i = 0; i < COUNT(m); i++) {
		struct claim_result r = {};

		claim_judge_privilege(&r, &m[i]);
		assert_int_equal(r.verdict, verdicts[i]);
		assert_true(isnan(figure(&r, "at_lowered_limit_without_capability")) == (i == 5));
		assert_true(isnan(figure(&r, "unprivileged_port_start_of_machine")) == (i == 9));
		assert_true(!!strstr(r.why, "it is 0 here, so no port needs the right") ==
			    (i == 7));
		assert_true(!!strstr(r.why, "it is 79 here, so that is the limit") == (i == 8));
		assert_whole(&r);
	}
}

static void htons_forgotten(void **state)
{
	struct claim_htons m = { .asked = 81,
				 .listens = 20736,
				 .reaches_listens = true,
				 .low_asked = 20480,
				 .low_becomes = 80,
				 .low = TRY_REFUSED };
	struct claim_result r = {};

	(void)state;
	claim_judge_htons(&r, &m);
	assert_int_equal(r.verdict, CLAIM_HOLDS);
	assert_int_equal(figure(&r, "port_listens"), 20736);
	assert_int_equal(figure(&r, "ports_that_become_privileged"),
			 1008); /* low byte 0 to 3, of 4..255 high bytes */
	assert_whole(&r);

	r = (struct claim_result){};
	m.low = TRY_UNKNOWN;
	snprintf(m.low_why, sizeof(m.low_why), "because of 7");
	claim_judge_htons(&r, &m);
	assert_int_equal(r.verdict, CLAIM_HOLDS);
	assert_true(isnan(figure(&r, "other_port_without_capability")));
	assert_says(r, "on 81; whether port 20480 can be had without rights could not be tried: "
		       "because of 7");

	r = (struct claim_result){};
	m.listens = 81, m.reaches_asked = true; /* a big-endian machine */
	claim_judge_htons(&r, &m);
	assert_int_equal(r.verdict, CLAIM_FAILS);
	assert_says(r, "asked 81, listens on 81");
}

/* ---- sharing ---- */

static struct claim_share share(const char *key, unsigned concurrency, uint64_t first,
				uint64_t others)
{
	struct claim_share s = { .design = key, .key = key, .concurrency = concurrency };
	uint64_t counts[8] = { first, others, others, others, others, others, others, others };

	assert_int_equal(fairness_judge(&s.fairness, counts, 8, UNIT_EVENT, 0, FAIRNESS_THRESHOLD),
			 0);
	return s;
}

static void shares_decide(void **state)
{
	const struct claim_share even = share("blocking", 2, 1000, 1000),
				 uneven = share("epoll", 2, 8000, 100),
				 more = share("epoll", 64, 4000, 1000),
				 few = share("few", 2, 10, 10);
	const struct {
		struct claim_share runs[3];
		size_t count;
		enum claim_verdict unfair, even;
	} cases[] = {
		{ { uneven, more }, 2, CLAIM_HOLDS, CLAIM_FAILS },
		{ { even, uneven, more }, 3, CLAIM_PARTLY, CLAIM_PARTLY },
		{ { even, even }, 2, CLAIM_FAILS, CLAIM_HOLDS },
		{ { even, few }, 2, CLAIM_SKIPPED, CLAIM_SKIPPED },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct claim_result r = {}, e = {};

		claim_judge_unfair(&r, cases[i].runs, cases[i].count);
		claim_judge_even(&e, cases[i].runs, cases[i].count);
		assert_int_equal(r.verdict, cases[i].unfair);
		assert_int_equal(e.verdict, cases[i].even);
		assert_whole(&r);
		if (i == 1) {
			assert_string_equal(r.why,
					    "uneven: epoll (CV 2.402 with 2 outstanding, 0.722 "
					    "with 64); even: blocking (CV 0.000 with 2 "
					    "outstanding); chance alone gives a CV of 0.030");
			assert_true(figure(&r, "busiest_over_mean_epoll_at_2") > 7 &&
				    figure(&r, "cv_blocking_at_2") == 0);
		}
		if (i == 3) {
			assert_string_equal(r.why, "few: too-few (80 of 796 needed)");
			assert_int_equal(r.figure_count, 0);
		}
	}
}

/* Six designs under two loads fill no more than there is room for. */
static void many_shares_find_room(void **state)
{
	struct claim_share runs[6];
	struct claim_result r = {};

	(void)state;
	for (int i = 0; i < 6; i++)
		runs[i] = share("exclusive", 64, 8000, 100),
		runs[i].design = "a design with a name like this";
	claim_judge_unfair(&r, runs, 6);
	assert_whole(&r);
	assert_int_equal(r.figure_count, 24);
}

/* CLAIM_REPEATS values that rise by `step`. */
static void runs_fill(double *values, double from, double step)
{
	for (int i = 0; i < CLAIM_REPEATS; i++)
		values[i] = from + i * step;
}

static void a_bottleneck_is_beyond_the_spread(void **state)
{
	_Static_assert(CLAIM_REPEATS == 5, "the cases below");
	const struct {
		double single_rate, rate_step, other_rate, single_wait, other_wait;
		enum claim_verdict verdict;
		const char *says;
	} cases[] = {
		{ 8000, 10, 10000, 300, 100, CLAIM_HOLDS, "connections/s, fewer, and " }, /* both */
		{ 8000, 10, 10000, 100, 100, CLAIM_HOLDS,
		  "us until a worker reads, no clear difference" },
		{ 9950, 10, 10100, 300, 100, CLAIM_PARTLY,
		  "connections/s, no clear difference" }, /* beyond the spread, within the margin */
		{ 8000, 1500, 10000, 300, 100, CLAIM_PARTLY,
		  "14000) against" }, /* beyond the margin, not beyond the spread */
		{ 10000, 10, 8000, 100, 300, CLAIM_FAILS,
		  "connections/s, more, and 100 (100-100) against 300 (300-300) us until a worker "
		  "reads, shorter" },
		{ 8000, 10, 10000, NAN, NAN, CLAIM_HOLDS, "waits not seen" },
		{ 10000, 10, 10000, NAN, 100, CLAIM_FAILS, "waits not seen" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct claim_load load = { .concurrency = 64 };
		struct claim_result r = {};

		runs_fill(load.single.per_second, cases[i].single_rate, cases[i].rate_step);
		runs_fill(load.reuseport.per_second, cases[i].other_rate, cases[i].rate_step);
		runs_fill(load.single.wait_us, cases[i].single_wait, 0);
		runs_fill(load.reuseport.wait_us, cases[i].other_wait, 0);
		claim_judge_bottleneck(&r, &load, 1, 2);
		assert_int_equal(r.verdict, cases[i].verdict);
		assert_says(r, cases[i].says);
		assert_whole(&r);
		assert_int_equal(figure(&r, "cpus"), 2);
		assert_true(figure(&r, "per_second_single_at_64_least") == cases[i].single_rate);
		assert_true(figure(&r, "per_second_single_at_64_most") ==
			    cases[i].single_rate + 4 * cases[i].rate_step);
		assert_true(isnan(figure(&r, "wait_mean_us_single_at_64")) ==
			    isnan(cases[i].single_wait));
	}
}

static void one_odd_run_is_no_spread(void **state)
{
	struct claim_load load = { .concurrency = 64 };
	const double odd[] = { 10005, 10015, 10025 }; /* ahead of one, two, three of the other's */

	(void)state;
	runs_fill(load.reuseport.per_second, 10000, 10);
	runs_fill(load.single.wait_us, 100, 0);
	runs_fill(load.reuseport.wait_us, 100, 0);
	for (size_t i = 0; i < COUNT(odd); i++) {
		struct claim_result r = {};

		runs_fill(load.single.per_second, 8000, 10);
		load.single.per_second[1] = odd[i];
		claim_judge_bottleneck(&r, &load, 1, 2);
		assert_int_equal(r.verdict, i < 2 ? CLAIM_HOLDS : CLAIM_FAILS);
	}
}

/* At each of two loads: less of the rate, more of the wait, by a fifth or a half. */
static void only_the_last_load_makes_it_hold(void **state)
{
	const struct {
		bool fewer[2], longer[2];
		enum claim_verdict verdict;
		const char *says;
	} cases[] = {
		{ { false, true },
		  {},
		  CLAIM_HOLDS,
		  "it limits the rate with 64 at once, on 1 CPU that" },
		{ { true, true },
		  { true, true },
		  CLAIM_HOLDS,
		  "it limits the rate with 64 at once, on" },
		{ { true, false },
		  {},
		  CLAIM_PARTLY,
		  "fewer connections per second only with 2 at once, where the rate is little more "
		  "than latency, and not "
		  "with 64, on" },
		{ { true, false },
		  { false, true },
		  CLAIM_PARTLY,
		  "and not with 64; longer waits with 64 at once, on" },
		{ {},
		  { true, true },
		  CLAIM_PARTLY,
		  "only in waits, with 2 and 64 at once, not in" },
		{ {}, {}, CLAIM_FAILS, "neither in connections per second nor in waits, on" },
	};

	(void)state;
	for (size_t c = 0; c < COUNT(cases); c++) {
		struct claim_load loads[2] = { { .concurrency = 2 }, { .concurrency = 64 } };
		struct claim_result r = {};

		for (int i = 0; i < 2; i++) {
			runs_fill(loads[i].single.per_second, cases[c].fewer[i] ? 8000 : 10000, 1);
			runs_fill(loads[i].reuseport.per_second, 10000, 1);
			runs_fill(loads[i].single.wait_us, cases[c].longer[i] ? 150 : 100, 1);
			runs_fill(loads[i].reuseport.wait_us, 100, 1);
		}
		claim_judge_bottleneck(&r, loads, 2, 1);
		assert_int_equal(r.verdict, cases[c].verdict);
		assert_says(r, cases[c].says);
		assert_int_equal(r.figure_count, 26);
		assert_whole(&r);
	}
}

/* Four comparisons are four chances to find a difference: all but one need runs that don't overlap
 * at all. */
static void a_difference_elsewhere_needs_all_pairs(void **state)
{
	struct claim_load loads[2] = { { .concurrency = 2 }, { .concurrency = 64 } };
	struct claim_result r = {};

	(void)state;
	for (int i = 0; i < 2; i++) {
		runs_fill(loads[i].single.per_second, i ? 10000 : 8000, 10);
		runs_fill(loads[i].reuseport.per_second, 10000, 10);
		runs_fill(loads[i].single.wait_us, 200, 1);
		runs_fill(loads[i].reuseport.wait_us, 100, 1);
		loads[i].single.wait_us[3] = 100.5;
	}
	loads[0].single.per_second[2] = 10005; /* ahead of one */
	claim_judge_bottleneck(&r, loads, 2, 1);
	assert_int_equal(r.verdict, CLAIM_FAILS);
	assert_says_not(r, "longer");
	assert_says_not(r, "fewer");
}

static void a_wait_is_known_if_all_of_it_was_seen(void **state)
{
	struct socket_row sockets[2] = {
		{ .wait_known = true, .wait = { .count = 3, .sum_ns = 6000 } },
		{ .wait_known = true, .wait = { .count = 1, .sum_ns = 2000 } }
	};
	struct worker_row workers[2] = { { .handed = { .count = 1, .sum_ns = 5000 } },
					 { .handed = { .count = 3, .sum_ns = 7000 } } };
	const struct endpoint e = {
		.sockets = sockets, .socket_count = 2, .workers = workers, .worker_count = 2
	};

	(void)state;
	assert_true(claim_wait_us(&e, true, true) == 5);
	assert_true(isnan(claim_wait_us(
		&e, true,
		false))); /* else the wait in the accept queue alone would pass for all of it */
	workers[1].handed.count = 2;
	assert_true(isnan(claim_wait_us(&e, true, true)));
	workers[0].handed = workers[1].handed = (struct wait){};
	assert_true(isnan(claim_wait_us(&e, true, true)));
	assert_true(claim_wait_us(&e, false, false) == 2); /* who accepts reads at once */
	sockets[1].wait_known = false;
	assert_true(isnan(claim_wait_us(&e, false, false)));
}

/* ---- output ---- */

static struct claim_result sample(void)
{
	struct claim_result r = {
		.name = "htons",
		.sentence = "without htons() a server that asks for port 81 listens on 20736",
		.verdict = CLAIM_HOLDS,
		.why = "asked 81, listens on 20736; a client reaches 20736 and is refused on 81; "
		       "and more words"
	};

	claim_number(&r, 20736, "port_listens");
	claim_number(&r, NAN, "seconds_until_%s", "free");
	claim_truth(&r, true, "client_reaches_port_listens");
	claim_truth(&r, false, "client_reaches_port_asked");
	return r;
}

static char *text_of(const struct claim_result *r, const struct text_style *style)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	text_claim(f, r, style);
	fclose(f);
	return text;
}

static void text_is_broken_at_80_columns(void **state)
{
	const struct claim_result r = sample();
	char *text = text_of(&r, &(struct text_style){});

	(void)state;
	assert_string_equal(
		text,
		"holds    htons: without htons() a server that asks for port 81 listens on 20736\n"
		"         asked 81, listens on 20736; a client reaches 20736 and is refused on\n"
		"         81; and more words\n");
	free(text);
}

static void text_has_colours_and_the_terminals_width(void **state)
{
	struct claim_result r = sample();
	char *text;

	(void)state;
	r.verdict = CLAIM_FAILS;
	text = text_of(&r, &(struct text_style){ .colour = true, .width = 200 });
	assert_string_equal(text, "\033[31mfails   \033[0m htons: without htons() a server that "
				  "asks for port 81 listens on 20736\n"
				  "         \033[2masked 81, listens on 20736; a client reaches "
				  "20736 and is refused on 81; and more words\033[0m\n");
	free(text);
}

static void the_end_counts_verdicts(void **state)
{
	struct claim_result results[4] = { { .verdict = CLAIM_HOLDS },
					   { .verdict = CLAIM_PARTLY },
					   { .verdict = CLAIM_HOLDS },
					   { .verdict = CLAIM_FAILS } };
	struct claim_report report = { .release = "6.1.0",
				       .backend = "fentry",
				       .cpus = 2,
				       .requests = 8000,
				       .results = results,
				       .result_count = 4 };
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	text_claims_end(f, &report, &(struct text_style){});
	report.result_count = 1, report.backend = NULL, report.cpus = 1;
	text_claims_end(f, &report, &(struct text_style){});
	fclose(f);
	assert_string_equal(
		text, "\n4 claims: 2 hold, 1 in part, 1 fails\n"
		      "kernel 6.1.0, backend fentry, 2 CPUs, 8,000 connections or datagrams a run\n"
		      "\n1 claim: 1 holds\nkernel 6.1.0, 1 CPU\n");
	free(text);
}

static void json_has_numbers_truths_and_nothing(void **state)
{
	/* A truth that is not known is neither. */
	struct claim_result results[2] = { sample(),
					   { .name = "x", .sentence = "y", .figure_count = 3 } };
	const struct claim_report report = { .release = "6.1.0",
					     .cpus = 2,
					     .requests = 1000,
					     .results = results,
					     .result_count = 2 };
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	claim_skip(&results[1], "because of %d", 7);
	claim_truth(&results[0], true, "not_tried");
	results[0].figures[results[0].figure_count - 1].value = NAN;
	assert_int_equal(json_claims(f, &report), 0);
	fclose(f);
	assert_string_equal(
		text, "{\"schema\":\"sockfair-claims/1\",\"version\":\"" SOCKFAIR_VERSION
		      "\",\"kernel\":{\"release\":\"6.1.0\","
		      "\"backend\":null},\"cpus\":2,\"requests\":1000,\"claims\":[{\"name\":"
		      "\"htons\",\"claim\":\"without htons() a server that "
		      "asks for port 81 listens on "
		      "20736\",\"verdict\":\"holds\",\"figures\":{\"port_listens\":20736,\"seconds_"
		      "until_free\":null,"
		      "\"client_reaches_port_listens\":true,\"client_reaches_port_asked\":false,"
		      "\"not_tried\":null},\"why\":\"asked 81, listens on 20736; a client "
		      "reaches 20736 and is refused on 81; and more "
		      "words\"},{\"name\":\"x\",\"claim\":\"y\",\"verdict\":\"skipped\","
		      "\"figures\":{},\"why\":\"because of 7\"}]}\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(binding_needs_the_option_on_both),
		cmocka_unit_test(no_verdict_without_the_experiment),
		cmocka_unit_test(binding_says_who_else_gets_in),
		cmocka_unit_test(datagrams_to_one_or_to_all),
		cmocka_unit_test(hijack_counts_what_was_stolen),
		cmocka_unit_test(prevention_with_and_without_the_other_option),
		cmocka_unit_test(the_longest_sentence_finds_room),
		cmocka_unit_test(two_minutes_are_two_minutes),
		cmocka_unit_test(immediate_by_whose_option),
		cmocka_unit_test(privilege_needs_all_three),
		cmocka_unit_test(htons_forgotten),
		cmocka_unit_test(shares_decide),
		cmocka_unit_test(many_shares_find_room),
		cmocka_unit_test(a_bottleneck_is_beyond_the_spread),
		cmocka_unit_test(one_odd_run_is_no_spread),
		cmocka_unit_test(only_the_last_load_makes_it_hold),
		cmocka_unit_test(a_difference_elsewhere_needs_all_pairs),
		cmocka_unit_test(a_wait_is_known_if_all_of_it_was_seen),
		cmocka_unit_test(text_is_broken_at_80_columns),
		cmocka_unit_test(text_has_colours_and_the_terminals_width),
		cmocka_unit_test(the_end_counts_verdicts),
		cmocka_unit_test(json_has_numbers_truths_and_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
