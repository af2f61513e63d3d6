/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Results side by side as text, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>

#include <cmocka.h>

#include "../../user/render/text.h"

static const struct text_style plain = {}, narrow = { .width = 80 },
			       unicode = { .width = 80, .utf8 = true };

static const double jitter[] = { 0.98, 1.01, 1.02, 0.99, 1.00 };

/* One run of eight workers; `by` scales the waits. */
static struct comparison_run run_of(double cv, double by, double rate)
{
	struct comparison_run run;

	comparison_run_clear(&run);
	run.own_load = true;
	run.verdicts[SHARE_WORKERS] = cv > 0.2 ? VERDICT_UNEVEN : VERDICT_EVEN;
	run.figures[METRIC_RATE] = rate;
	run.figures[METRIC_EVENTS] = 20000;
	run.figures[metric_of_share(SHARE_WORKERS, SHARE_BINS)] = 8;
	run.figures[metric_of_share(SHARE_WORKERS, SHARE_EVENTS)] = 20000;
	run.figures[metric_of_share(SHARE_WORKERS, SHARE_IDLE)] = cv > 0.2 ? 4 : 0;
	run.figures[metric_of_share(SHARE_WORKERS, SHARE_CV)] = cv;
	run.figures[metric_of_share(SHARE_WORKERS, SHARE_CV_EXPECTED)] = 0.0187;
	run.figures[metric_of_share(SHARE_WORKERS, SHARE_MAX_OVER_MEAN)] = 1 + 2 * cv;
	run.figures[METRIC_WAIT_P99] = 200000 * by;
	run.figures[METRIC_DROPS] = 0;
	comparison_run_complete(&run, PROTOCOL_TCP);
	return run;
}

static struct comparison_key mode_key(const char *mode)
{
	struct comparison_key key = { .port = 40000 };

	strcpy(key.mode, mode);
	return key;
}

static const char setup[] = "8 workers (threads), 2 at once; kernel 6.1.0, backend fentry";

static void add(struct comparison *c, size_t side, const char *mode, double cv, double by,
		double rate, size_t runs)
{
	const struct comparison_key key = mode_key(mode);

	for (size_t i = 0; i < runs; i++) {
		const struct comparison_run run = run_of(
			cv * jitter[i % 5], by * jitter[(i + 2) % 5], rate * jitter[(i + 4) % 5]);

		assert_int_equal(comparison_add(c, side, &key, setup, &run, NULL), 0);
	}
}

static void arrange(struct comparison *c)
{
	assert_int_equal(comparison_arrange(c), 0);
	assert_int_equal(comparison_judge(c), 0);
}

static char *text_of(const struct comparison *c, const struct text_style *style)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	text_compare(f, c, style);
	fclose(f);
	return text;
}

static void before_and_after(struct comparison *c, size_t runs)
{
	*c = (struct comparison){};
	assert_int_equal(comparison_side_add(c, "before.json"), 0);
	assert_int_equal(comparison_side_add(c, "after.json"), 0);
	add(c, 0, "shared-epoll", 0.02, 1, 10000, runs);
	add(c, 1, "shared-epoll", 0.45, 1.001, 12000, runs);
	arrange(c);
}

static void repeated_runs(void **state)
{
	struct comparison c;
	char *text;

	(void)state;
	before_and_after(&c, 5);
	text = text_of(&c, &unicode);
	assert_string_equal(
		text, "A  before.json\n"
		      "B  after.json\n"
		      "\n"
		      "shared-epoll: 8 workers (threads), 2 at once; kernel 6.1.0, backend fentry\n"
		      "                         A            B\n"
		      "  runs                   5            5\n"
		      "  workers             even       uneven\n"
		      "  per second   10,000 ±2%!  12,000 ±2%*    +20%\n"
		      "  requests          20,000       20,000\n"
		      "  workers CV    0.020 ±2%*   0.450 ±2%!  +0.430\n"
		      "    fair hash        0.019        0.019\n"
		      "    busiest    1.04x ±0.1%  1.90x ±0.7%  +0.86x\n"
		      "    idle            0 of 8       4 of 8      +4\n"
		      "  wait p99      200 us ±2%   200 us ±2% (+0.1%)\n"
		      "  drops                  0            0\n"
		      "\n"
		      "Differences are to A; in brackets: no more than noise gives (p >= 0.01).\n"
		      "*: best, !: worst, told from each other side beyond noise.\n"
		      "±: standard deviation of the runs.\n");
	free(text);
	comparison_free(&c);
}

static void single_runs(void **state)
{
	struct comparison c;
	char *text;

	(void)state;
	before_and_after(&c, 1);
	text = text_of(&c, &narrow);
	assert_string_equal(
		text,
		"A  before.json\n"
		"B  after.json\n"
		"\n"
		"shared-epoll: 8 workers (threads), 2 at once; kernel 6.1.0, backend fentry\n"
		"                       A          B\n"
		"  runs                 1          1\n"
		"  workers           even     uneven\n"
		"  per second   10,000(!)  12,000(*)   +20%?\n"
		"  requests        20,000     20,000\n"
		"  workers CV    0.020(*)   0.441(!) +0.421?\n"
		"    fair hash      0.019      0.019\n"
		"    busiest        1.04x      1.88x +0.84x?\n"
		"    idle          0 of 8     4 of 8     +4?\n"
		"  wait p99     204 us(*)  204 us(!)  +0.1%?\n"
		"  drops                0          0\n"
		"\n"
		"Differences are to A.\n"
		"?: not tested against noise, for which each side needs 5 runs: run --repeat 5,\n"
		"    or 5 windows in one file.\n"
		"(*): best, (!): worst, which may be noise.\n");
	free(text);
	comparison_free(&c);
}

static void files_that_differ_in_more_than_one_way(void **state)
{
	struct comparison_key key = { .protocol = PROTOCOL_TCP, .port = 80 }, other = key;
	struct comparison_run run = run_of(0.1, 1, 100), strange = run_of(0.3, 2, 90);
	struct comparison c = {};
	char *text;

	(void)state;
	strcpy(key.address, "0.0.0.0");
	strcpy(other.address, "::1\033[31m");
	run.own_load = strange.own_load = false;
	strange.figures[METRIC_LOST] = 7;
	strange.disagrees = true;
	assert_int_equal(comparison_side_add(&c, "a\033[2J.json"), 0);
	assert_int_equal(comparison_add(&c, 0, &key, "kernel 6.1, backend fentry", &run, NULL), 0);
	key.port = 443;
	assert_int_equal(comparison_add(&c, 0, &key, "kernel 6.1, backend fentry", &run, NULL), 0);
	assert_int_equal(comparison_side_add(&c, "b.json"), 0);
	assert_int_equal(
		comparison_add(&c, 1, &other, "kernel 6.12, backend tracepoint", &strange, NULL),
		0);
	arrange(&c);
	text = text_of(&c, &narrow);
	assert_null(strchr(text, '\033'));
	assert_non_null(strstr(text, "A  a?[2J.json\n"));
	assert_non_null(strstr(text, "\n  A: tcp 0.0.0.0:80: kernel 6.1, backend fentry\n"
				     "  B: tcp [::1?[31m]:80: kernel 6.12, backend tracepoint\n"));
	assert_non_null(strstr(
		text, "  B: kernel, server and clients did not count the same in 1 of 1 run\n"));
	assert_non_null(strstr(
		text, "  B: some events were not counted: its counts are at least so high\n"));
	assert_non_null(strstr(text, "\ntcp 0.0.0.0:443: kernel 6.1, backend fentry\n"));
	assert_non_null(strstr(text, "\n  B has none\n"));
	free(text);
	comparison_free(&c);
}

/* All of a machine's ports, of which one has traffic. */
static void ports_without_traffic_are_one_line(void **state)
{
	struct comparison_key key = { .protocol = PROTOCOL_TCP, .port = 80, .address = "0.0.0.0" };
	struct comparison_run run = run_of(0.1, 1, 100), none;
	struct comparison c = {};
	char *text;

	(void)state;
	comparison_run_clear(&none);
	none.figures[METRIC_EVENTS] = none.figures[METRIC_DROPS] = 0;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(comparison_side_add(&c, "a.json"), 0);
		key.port = 80;
		assert_int_equal(comparison_add(&c, i, &key, "", &run, NULL), 0);
		key.port = 22;
		assert_int_equal(comparison_add(&c, i, &key, "", &none, NULL), 0);
	}
	key.port = 25;
	assert_int_equal(comparison_add(&c, 1, &key, "", &none, NULL), 0);
	arrange(&c);
	text = text_of(&c, &narrow);
	assert_non_null(strstr(text, "\ntcp 0.0.0.0:80\n"));
	assert_non_null(strstr(
		text, "\nNo traffic on any side: tcp 0.0.0.0:22, tcp 0.0.0.0:25 (only B)\n"));
	assert_null(strstr(text, "\ntcp 0.0.0.0:22"));
	free(text);
	/* What was dropped is no silence, nor is there one beside it if all are silent. */
	c.sides[1].results[1].runs[0].figures[METRIC_DROPS] = 3;
	assert_int_equal(comparison_judge(&c), 0);
	text = text_of(&c, &narrow);
	assert_non_null(strstr(text, "\ntcp 0.0.0.0:22\n"));
	free(text);
	/* All of it, as a share: no 1e+02. */
	c.sides[1].results[1].runs[0].figures[METRIC_DROP_SHARE] = 0.9991;
	assert_int_equal(comparison_judge(&c), 0);
	text = text_of(&c, &narrow);
	assert_non_null(strstr(text, " 100%"));
	assert_null(strstr(text, "e+02"));
	free(text);
	comparison_free(&c);
}

/* Eight modes do not fit beside each other: a row each, and no line is wider than it may be. */
static void many_sides_are_rows(void **state)
{
	static const char *const modes[] = { "one",  "two", "three", "four",
					     "five", "six", "seven", "eight" };
	struct comparison c = {};
	const struct comparison_key skipped = mode_key("io-uring");
	char *text, *save = NULL;

	(void)state;
	assert_int_equal(comparison_side_add(&c, "all.json"), 0);
	for (size_t i = 0; i < 8; i++)
		add(&c, 0, modes[i], 0.02 + 0.1 * i, 1 + i, 10000 + 100 * i, 5);
	assert_int_equal(comparison_add(&c, 0, &skipped, "", NULL, "io_uring is disabled"), 0);
	arrange(&c);
	assert_int_equal(c.side_count, 9);
	text = text_of(&c, &narrow);
	assert_non_null(strstr(
		text, "\n          runs  workers           CV      wait p99   per second  drops\n"
		      "  A          5     even  0.020 +-2%*  200 us +-2%*  10,000 +-2%      0\n"
		      "  B          5     even   0.120 +-2%   400 us +-2%  10,100 +-2%      0\n"
		      "                              +0.100         +100%      (+1.0%)\n"));
	assert_non_null(strstr(text, "\n  I    not run"));
	assert_non_null(strstr(text, "\n  I not run: io_uring is disabled\n"));
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (strlen(line) > 80)
			fail_msg("%zu columns: %s", strlen(line), line);
	free(text);
	comparison_free(&c);
}

/* ---- run's table ---- */

static struct snapshot ran(const char *mode, const char *skipped)
{
	struct snapshot s = { .release = "6.1.0", .backend = "fentry", .has_workload = true };

	s.workload = (struct workload_account){ .mode = mode,
						.workers = 8,
						.concurrency = 2,
						.agrees = true,
						.sent = 100,
						.seconds = 1 };
	strcpy(s.workload.skipped, skipped);
	return s;
}

static void repeated_modes_have_a_row_each(void **state)
{
	const struct snapshot runs[] = { ran("reuseport", ""),
					 ran("io-uring", "io_uring is disabled") };
	struct comparison c = {};
	const struct comparison_key skipped = mode_key("io-uring");
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	assert_int_equal(comparison_side_add(&c, "reuseport"), 0);
	assert_int_equal(comparison_side_add(&c, "shared-epoll"), 0);
	assert_int_equal(comparison_side_add(&c, "io-uring"), 0);
	add(&c, 0, "reuseport", 0.02, 1, 10000, 5);
	add(&c, 1, "shared-epoll", 0.201, 1.001, 12000, 5); /* one of its runs is just even */
	assert_int_equal(comparison_add(&c, 2, &skipped, "", NULL, "io_uring is disabled"), 0);
	arrange(&c);
	text_comparison(f, runs, 2, 1, &c, &plain);
	fclose(f);
	assert_string_equal(
		text,
		"mode                    workers               CV  fair hash      busiest sockets  "
		"        wait p99    per second  counts\n"
		"reuseport               even          0.020 +-2%*    0.019 1.04x +-0.1% -         "
		"    200 us +-2%   10,000 +-2%! agree\n"
		"shared-epoll            uneven in 3/5 0.201 +-2%!    0.019 1.40x +-0.5% -         "
		"    200 us +-2%   12,000 +-2%* agree\n"
		"io-uring                not run: io_uring is disabled\n"
		"8 workers, 2 requests outstanding at once; kernel 6.1.0, backend fentry\n"
		"CV: standard deviation over mean of what each worker got; fair hash: the CV that "
		"chance alone gives\n"
		"wait p99: 99 of 100 connections were in the accept queue no longer than that\n"
		"5 runs of each: their mean, and +- their standard deviation\n"
		"*: best, !: worst, told from each other mode beyond noise (p < 0.01)\n");
	free(text);
	comparison_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(repeated_runs),
		cmocka_unit_test(single_runs),
		cmocka_unit_test(files_that_differ_in_more_than_one_way),
		cmocka_unit_test(ports_without_traffic_are_one_line),
		cmocka_unit_test(many_sides_are_rows),
		cmocka_unit_test(repeated_modes_have_a_row_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
