/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text and JSON out of a snapshot, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <arpa/inet.h>

#include <cmocka.h>
#include <jansson.h>

#include "../../user/render/json.h"
#include "../../user/render/text.h"
#include "../../user/model/judge.h"

static const struct text_style ascii = {}, narrow = { .width = 80 },
			       colourful = { .colour = true, .utf8 = true };

struct fixture {
	struct wait_histogram histograms[4];
	struct finding findings[3];
	struct socket_row sockets[2];
	struct worker_row workers[2];
	struct cpu_row cpus[1];
	struct lost_row lost[1];
	struct endpoint endpoint;
	struct snapshot snapshot;
};

static void fixture_init(struct fixture *f)
{
	*f = (struct fixture){
		.sockets = { { .cookie = 17,
			       .inode = 301,
			       .reuseport = true,
			       .arrived = 1500,
			       .accepted = 1500,
			       .queue_known = true,
			       .queue_limit = 4096 },
			     { .cookie = 18,
			       .inode = 302,
			       .reuseport = true,
			       .arrived = 500,
			       .accepted = 500,
			       .queue_known = true,
			       .queue_limit = 4096 } },
		.workers = { { .number = 0,
			       .pid = 700,
			       .tid = 703,
			       .comm = "worker-0",
			       .cgroup = "/",
			       .cookie = 17,
			       .can_accept = true,
			       .accepted = 1500,
			       .serves = true,
			       .served = 1500 },
			     { .number = 1,
			       .pid = 700,
			       .tid = 704,
			       .comm = "worker-1",
			       .cgroup = "/",
			       .cookie = 18,
			       .can_accept = true,
			       .accepted = 500,
			       .serves = true,
			       .served = 500 } },
		.cpus = { { 3, 2000 } },
		.lost = { { "listener_unknown", "accepts whose listening socket could not be told",
			    7, false, false } },
	};
	f->endpoint = (struct endpoint){ .protocol = PROTOCOL_TCP,
					 .family = AF_INET,
					 .port = 8080,
					 .netns = 4026531840u,
					 .sockets = f->sockets,
					 .socket_count = 2,
					 .workers = f->workers,
					 .worker_count = 2,
					 .cpus = f->cpus,
					 .cpu_count = 1,
					 .served_known = true };
	inet_pton(AF_INET, "127.0.0.1", f->endpoint.address);
	f->snapshot = (struct snapshot){ .release = "6.1.0",
					 .backend = "fentry",
					 .start_ms = 1767225600123,
					 .seconds = 0.5,
					 .final = true,
					 .endpoints = &f->endpoint,
					 .endpoint_count = 1,
					 .has_workload = true };
	f->snapshot.workload = (struct workload_account){ .mode = "reuseport",
							  .workers = 2,
							  .concurrency = 2,
							  .slow_worker = -1,
							  .sent = 2000,
							  .accepted = 2000,
							  .served = 2000,
							  .seconds = 0.5,
							  .agrees = true };
	assert_int_equal(endpoint_judge(&f->endpoint, FAIRNESS_THRESHOLD), 0);
}

/* n connections that waited so long. */
static void wait_record(struct wait *w, struct wait_histogram *h, uint64_t n, uint64_t ns)
{
	h->slots[wait_slot(ns / 1000)] += n;
	w->count += n;
	w->sum_ns += n * ns;
	w->max_ns = ns > w->max_ns ? ns : w->max_ns;
}

/* reuseport --work 200 --slow-worker 1: the hash gives both the same, but what comes to the second
 * waits. */
static void fixture_slow_worker(struct fixture *f)
{
	static const uint64_t counts[] = { 1003, 997 };

	fixture_init(f);
	f->endpoint.histograms = f->histograms;
	f->endpoint.histogram_count = 4;
	for (int i = 0; i < 2; i++) {
		struct socket_row *s = &f->sockets[i];
		struct worker_row *w = &f->workers[i];

		s->arrived = s->accepted = w->accepted = w->served = counts[i];
		s->wait_known = w->wait_known = s->highest_known = s->full_known = true;
		s->queue_highest = i ? 9 : 1;
		s->wait.histogram = 1 + i;
		wait_record(&s->wait, &f->histograms[i], counts[i] - 20, i ? 4200000 : 27000);
		wait_record(&s->wait, &f->histograms[i], 20, i ? 9800000 : 310000);
		w->wait = s->wait;
		w->wait.histogram = 3 + i;
		f->histograms[2 + i] = f->histograms[i];
	}
	f->snapshot.workload.work_us = 200;
	f->snapshot.workload.slow_worker = 1;
	assert_int_equal(endpoint_judge(&f->endpoint, FAIRNESS_THRESHOLD), 0);
}

static char *text_of(const struct snapshot *s, const struct text_style *style)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	text_result(f, s, "one socket per worker", style);
	fclose(f);
	return text;
}

static json_t *json_of(const struct snapshot *s, char **text)
{
	size_t size;
	FILE *f = open_memstream(text, &size);
	json_t *doc;

	assert_int_equal(json_snapshot(f, s), 0);
	fclose(f);
	assert_ptr_equal(strchr(*text, '\n'), *text + size - 1); /* exactly one line */
	doc = json_loads(*text, 0, NULL);
	assert_non_null(doc);
	return doc;
}

static void counts_have_separators(void **state)
{
	char b[TEXT_COUNT_SIZE];

	(void)state;
	assert_string_equal(text_count(b, 0), "0");
	assert_string_equal(text_count(b, 999), "999");
	assert_string_equal(text_count(b, 1000), "1,000");
	assert_string_equal(text_count(b, 123456), "123,456");
	assert_string_equal(text_count(b, UINT64_MAX), "18,446,744,073,709,551,615");
}

static void text_golden(void **state)
{
	struct fixture f;
	char *text;

	(void)state;
	fixture_init(&f);
	text = text_of(&f.snapshot, &ascii);
	assert_string_equal(
		text,
		"reuseport: one socket per worker\n"
		"  tcp 127.0.0.1:8080, 2 workers (threads), 2,000 connections, 2 at once; kernel "
		"6.1.0, backend fentry\n"
		"\n"
		"  worker      tid   socket   accepted   share\n"
		"       0      703       17      1,500   75.0%  ################################\n"
		"       1      704       18        500   25.0%  ###########\n"
		"\n"
		"  socket    inode    arrived   backlog   share\n"
		"      17      301      1,500      4096   75.0%  ################################\n"
		"      18      302        500      4096   25.0%  ###########\n"
		"\n"
		"  workers  uneven: CV 0.500 (fair hash 0.022), busiest 1.50x the mean (1.02), 0 "
		"of 2 idle, p <0.001, Jain 0.800\n"
		"  sockets  uneven: CV 0.500 (fair hash 0.022), busiest 1.50x the mean (1.02), 0 "
		"of 2 idle, p <0.001, Jain 0.800\n"
		"  arrivals by CPU: 3: 2,000\n"
		"  4,000 connections/s; kernel, server and clients agree on every worker; lost 0\n"
		"\n");
	free(text);
}

static void text_says_what_is_lost_unseen_and_wrong(void **state)
{
	struct fixture f;
	char *text;

	(void)state;
	fixture_init(&f);
	f.snapshot.lost = f.lost;
	f.snapshot.lost_count = 1;
	f.snapshot.unseen[0] = "accepts through io_uring";
	f.snapshot.unseen_count = 1;
	f.snapshot.workload.agrees = false;
	strcpy(f.snapshot.workload.disagreement, "worker 1 counted 501 accepts, the kernel 500");
	text = text_of(&f.snapshot, &ascii);
	assert_non_null(strstr(
		text,
		"counts do not agree: worker 1 counted 501 accepts, the kernel 500; lost 7\n"));
	assert_non_null(strstr(
		text, "not counted: 7 (accepts whose listening socket could not be told)\n"));
	assert_non_null(strstr(text, "this backend does not see: accepts through io_uring\n"));
	free(text);
}

static void text_of_udp_has_drops_and_flows(void **state)
{
	struct fixture f;
	char *text;

	(void)state;
	fixture_init(&f);
	f.endpoint.protocol = PROTOCOL_UDP;
	f.endpoint.flows = 64;
	f.sockets[1].dropped = 1234;
	assert_int_equal(endpoint_judge(&f.endpoint, FAIRNESS_THRESHOLD), 0);
	text = text_of(&f.snapshot, &ascii);
	assert_non_null(strstr(text, "socket    inode  delivered    dropped   share\n"));
	assert_non_null(strstr(text, "      18      302        500      1,234   25.0%"));
	assert_non_null(strstr(text, "; per flow, 64 flows"));
	free(text);
}

static void text_folds_many_rows_and_keeps_the_sum(void **state)
{
	struct worker_row *workers = calloc(100, sizeof(*workers));
	struct fixture f;
	char *text;

	(void)state;
	fixture_init(&f);
	for (int i = 0; i < 100; i++)
		workers[i] = (struct worker_row){
			.number = i, .tid = i + 1, .can_accept = true, .accepted = 10
		};
	f.endpoint.workers = workers;
	f.endpoint.worker_count = 100;
	f.endpoint.served_known = false;
	text = text_of(&f.snapshot, &ascii);
	assert_non_null(strstr(text, "  and 36 more with 360\n"));
	free(text);
	free(workers);
}

/* What text_address() makes of an endpoint with these sockets. */
static void assert_address(const char *address, const struct socket_row *sockets, size_t count,
			   const char *expected)
{
	struct endpoint e = { .port = 80,
			      .sockets = (struct socket_row *)sockets,
			      .socket_count = count };
	char buffer[TEXT_ADDRESS_SIZE];

	e.family = strchr(address, ':') ? AF_INET6 : AF_INET;
	assert_int_equal(inet_pton(e.family, address, e.address), 1);
	assert_string_equal(text_address(buffer, &e), expected);
}

static void durations_have_two_or_three_digits(void **state)
{
	static const struct {
		double ns;
		const char *text;
	} cases[] = { { NAN, "-" },
		      { 0, "<1 us" },
		      { 999, "<1 us" },
		      { 1000, "1 us" },
		      { 27400, "27 us" },
		      { 999400, "999 us" },
		      { 999500, "1.0 ms" },
		      { 1240000, "1.2 ms" },
		      { 9950000, "10 ms" },
		      { 310e6, "310 ms" },
		      { 3.4e9, "3.4 s" },
		      { 120e9, "120 s" },
		      { 1000e9, "17 min" },
		      { 3600e9 * 17, "17 h" },
		      { 86400e9 * 42, "42 d" },
		      { (double)UINT64_MAX, "213504 d" } };
	char buffer[TEXT_DURATION_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_string_equal(text_duration(buffer, cases[i].ns), cases[i].text);
}

static void assert_text(const struct snapshot *s, const struct text_style *style,
			const char *expected)
{
	char *text = text_of(s, style);

	assert_string_equal(text, expected);
	free(text);
}

static void assert_has(const struct snapshot *s, const struct text_style *style, const char *words,
		       bool wanted)
{
	char *text = text_of(s, style);

	if (!strstr(text, words) == wanted)
		fail_msg("\"%s\" is%s in\n%s", words, wanted ? " not" : "", text);
	free(text);
}

static void even_counts_but_a_long_wait(void **state)
{
	struct fixture f;

	(void)state;
	fixture_slow_worker(&f);
	f.findings[0] = (struct finding){ .code = "slow-worker",
					  .level = FINDING_PROBLEM,
					  .text = "connections of socket 18 wait 4.2 ms, those of "
						  "the others 27 us: its thread 704 is slow" };
	f.findings[1] =
		(struct finding){ .code = "noted", .level = FINDING_NOTE, .text = "worth knowing" };
	f.findings[2] =
		(struct finding){ .code = "fine", .level = FINDING_GOOD, .text = "nothing to fix" };
	f.endpoint.findings = f.findings;
	f.endpoint.finding_count = 3;
	assert_text(
		&f.snapshot, &narrow,
		"reuseport: one socket per worker\n"
		"  tcp 127.0.0.1:8080, 2 workers (threads), 2,000 connections, 2 at once, 200 us "
		"of work each (worker 1: ten times that); "
		"kernel 6.1.0, backend fentry\n"
		"\n"
		"  worker      tid   socket   accepted wait p99   share\n"
		"       0      703       17      1,003   303 us   50.1%  ########################\n"
		"       1      704       18        997   9.7 ms   49.9%  ########################\n"
		"\n"
		"  socket    inode    arrived   highest wait p50      p99      max   share\n"
		"      17      301      1,003    1/4096    27 us   303 us   310 us   50.1%  #####\n"
		"      18      302        997    9/4096   4.3 ms   9.7 ms   9.8 ms   49.9%  #####\n"
		"\n"
		"  workers  even: CV 0.003 (fair hash 0.022), busiest 1.00x the mean (1.02),\n"
		"           0 of 2 idle, p 0.893, Jain 1.000\n"
		"  sockets  even: CV 0.003 (fair hash 0.022), busiest 1.00x the mean (1.02),\n"
		"           0 of 2 idle, p 0.893, Jain 1.000\n"
		"  wait     p50 303 us, p90 4.3 ms, p99 4.3 ms, max 9.8 ms;\n"
		"           highest queue 9 of 4096\n"
		"  ! connections of socket 18 wait 4.2 ms, those of the others 27 us: its thread\n"
		"    704 is slow\n"
		"  i worth knowing\n"
		"  ok nothing to fix\n"
		"  arrivals by CPU: 3: 2,000\n"
		"  4,000 connections/s; kernel, server and clients agree on every worker; lost 0\n"
		"\n");
	assert_has(&f.snapshot, &colourful, "\n  \033[33m! connections", true);
	assert_has(&f.snapshot, &colourful, "\n  \033[2mi worth knowing\033[0m\n", true);
	assert_has(&f.snapshot, &colourful, "\n  \033[32m✓ nothing to fix\033[0m\n", true);
}

static void waits_that_are_not_measured_take_no_room(void **state)
{
	struct fixture f;

	(void)state;
	fixture_slow_worker(&f);
	for (int i = 0; i < 2; i++)
		f.sockets[i].wait_known = f.workers[i].wait_known = false;
	assert_has(&f.snapshot, &narrow, "wait", false);
	assert_has(&f.snapshot, &narrow, "\n  queue    highest queue 9 of 4096\n", true);
	for (int i = 0; i < 2; i++)
		f.sockets[i].highest_known = false;
	assert_has(&f.snapshot, &narrow, "highest", false);
	fixture_slow_worker(&f);
	for (int i = 0; i < 2; i++)
		f.sockets[i].wait = f.workers[i].wait =
			(struct wait){}; /* none came in the window */
	assert_has(&f.snapshot, &narrow, "wait", false);
}

/* A row without a histogram has its longest; of all together there are no percentiles then. */
static void waits_without_a_histogram(void **state)
{
	struct fixture f;

	(void)state;
	fixture_slow_worker(&f);
	f.sockets[1].wait.histogram = 0;
	assert_has(&f.snapshot, &ascii,
		   "      18      302        997    9/4096        -        -   9.8 ms   49.9%",
		   true);
	assert_has(&f.snapshot, &ascii,
		   "  wait     mean 2.2 ms, max 9.8 ms (no room for percentiles); highest queue 9 "
		   "of 4096\n",
		   true);
	f.sockets[1].wait.max_ns = f.sockets[1].wait.sum_ns = UINT64_MAX;
	assert_has(&f.snapshot, &ascii, " 213504 d ", true);
}

static void what_seldom_happens_has_a_line_when_it_does(void **state)
{
	struct fixture f;

	(void)state;
	fixture_slow_worker(&f);
	assert_has(&f.snapshot, &ascii, "full for", false);
	f.sockets[0].queued_before = 3;
	f.sockets[1].reset_queued = 1234;
	f.sockets[1].dropped_closing = 5;
	f.sockets[0].migrated = 6;
	f.sockets[1].full_ns = 1240000000;
	assert_has(&f.snapshot, &ascii,
		   "; highest queue 9 of 4096, full for 1.2 s\n"
		   "  3 accepted were queued before the window: not in the waits\n"
		   "  1,234 accepted had been reset by the client while queued\n"
		   "  5 reset by the kernel: queued when their socket was closed\n"
		   "  6 moved to another socket: queued when theirs was closed\n",
		   true);
}

static void who_serves_and_what_is_open_are_shown_where_they_say_something(void **state)
{
	struct fixture f;

	(void)state;
	fixture_slow_worker(&f);
	f.workers[0].open_known = f.workers[1].open_known = true; /* all closed */
	assert_has(&f.snapshot, &narrow, "open", false);
	f.workers[1].open = 12; /* not closed yet */
	assert_has(&f.snapshot, &narrow, "open", false);
	f.workers[1].open = 120;
	f.workers[0].served = 3;
	f.workers[1].served = 1997;
	f.workers[1].handed = (struct wait){ .count = 1000, .sum_ns = 12000000, .max_ns = 1200000 };
	assert_int_equal(endpoint_judge(&f.endpoint, FAIRNESS_THRESHOLD), 0);
	assert_has(&f.snapshot, &narrow,
		   "  worker      tid   socket   accepted     served     open   share\n"
		   "       0      703       17      1,003          3        0    0.1%\n"
		   "       1      704       18        997      1,997      120   99.8%  "
		   "#############\n",
		   true);
	assert_has(&f.snapshot, &narrow, "\n  served   uneven: ", true);
	assert_has(&f.snapshot, &narrow,
		   "\n  handed   1,000 to another thread: mean 12 us, max 1.2 ms until it read\n",
		   true);
}

static void datagrams_have_no_waits(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	f.endpoint.protocol = PROTOCOL_UDP;
	f.sockets[0].queued_before = 7; /* means nothing */
	assert_has(&f.snapshot, &ascii, "wait", false);
	assert_has(&f.snapshot, &ascii, "queue", false);
}

/* Where there is no room waits give way, then bars. */
static void tables_with_waits_fit(void **state)
{
	struct fixture f;

	(void)state;
	fixture_slow_worker(&f);
	for (int width = 60; width < 130; width++) {
		const struct text_style style = { .width = width };
		char *text = text_of(&f.snapshot, &style), *save = NULL;

		strtok_r(text, "\n", &save); /* the heading is not broken yet */
		strtok_r(NULL, "\n", &save);
		for (char *line = strtok_r(NULL, "\n", &save); line && strncmp(line, "  4,000", 7);
		     line = strtok_r(NULL, "\n", &save))
			if ((int)strlen(line) > width)
				fail_msg("%zu columns of %d: %s", strlen(line), width, line);
		free(text);
	}
}

static char *comparison_of(const struct snapshot *runs, size_t count)
{
	struct comparison c;
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_int_equal(comparison_of_runs(&c, runs, count, count), 0);
	text_comparison(f, runs, count, count, &c, &ascii);
	fclose(f);
	comparison_free(&c);
	return text;
}

static void the_comparison_has_waits_where_a_mode_has(void **state)
{
	struct snapshot runs[2];
	struct fixture f, udp;
	char *text;

	(void)state;
	fixture_slow_worker(&f);
	fixture_init(&udp);
	udp.endpoint.protocol = PROTOCOL_UDP;
	udp.snapshot.workload.mode = "udp-reuseport";
	runs[0] = f.snapshot;
	runs[1] = udp.snapshot;
	text = comparison_of(runs, 2);
	assert_string_equal(
		text,
		"mode                    workers          CV fair hash  busiest      idle       p  "
		"sockets    wait p99 per second  counts\n"
		"reuseport               even          0.003*    0.022    1.00x    0 of 2   0.893  "
		"even         4.3 ms      4,000  agree\n"
		"udp-reuseport           uneven        0.500!    0.022    1.50x    0 of 2  <0.001  "
		"uneven            -      4,000  agree\n"
		"2 workers, 2 requests outstanding at once; kernel 6.1.0, backend fentry\n"
		"CV: standard deviation over mean of what each worker got; fair hash: the CV that "
		"chance alone gives\n"
		"wait p99: 99 of 100 connections were in the accept queue no longer than that\n"
		"*: best, !: worst, which may be noise: --repeat 5 or more tests it\n");
	free(text);
	text = comparison_of(runs + 1, 1);
	assert_null(strstr(text, "wait"));
	free(text);
}

static void addresses_are_what_people_write(void **state)
{
	const struct socket_row dual = {}, v6only = { .v6only = true }, eth0 = { .device = "eth0" },
				eth0_v6only = { .device = "eth0", .v6only = true },
				odd = { .device = "e\033[2Jxxxxxxxxxx" },
				full = { .device = "0123456789abcde", .v6only = true },
				two[] = { eth0, dual }, mixed[] = { v6only, dual };

	(void)state;
	assert_address("127.0.0.1", &dual, 1, "127.0.0.1:80");
	assert_address("0.0.0.0", &dual, 1, "0.0.0.0:80");
	assert_address("0.0.0.0", NULL, 0, "0.0.0.0:80");
	assert_address("0.0.0.0", &eth0, 1, "0.0.0.0%eth0:80");
	assert_address("0.0.0.0", two, 2, "0.0.0.0:80");
	assert_address("::", &dual, 1, "*:80");
	assert_address("::", mixed, 2, "*:80");
	assert_address("::", &v6only, 1, "[::]:80");
	assert_address("::", NULL, 0, "[::]:80");
	assert_address("::", &eth0, 1, "*%eth0:80");
	assert_address("::", &eth0_v6only, 1, "[::]%eth0:80");
	assert_address("::1", &dual, 1, "[::1]:80");
	assert_address("::ffff:127.0.0.1", &dual, 1, "127.0.0.1:80");
	assert_address("fe80::1", &eth0, 1, "[fe80::1%eth0]:80");
	assert_address("fe80::1", &dual, 1, "[fe80::1]:80");
	assert_address("0.0.0.0", &odd, 1, "0.0.0.0%e?[2Jxxxxxxxxxx:80");
	assert_address("1111:2222:3333:4444:5555:6666:7777:8888", &full, 1,
		       "[1111:2222:3333:4444:5555:6666:7777:8888]%0123456789abcde:80");
}

static void assert_name(const char *bytes, size_t max, bool utf8, const char *expected)
{
	char buffer[64];

	assert_string_equal(text_name(buffer, bytes, max, utf8), expected);
}

static void names_are_made_harmless(void **state)
{
	(void)state;
	assert_name("nginx", 16, true, "nginx");
	assert_name("0123456789abcdef", 16, true, "0123456789abcdef"); /* no NUL at its end */
	assert_name("a\033[2J\n\t\x7f", 16, true, "a?[2J???");
	assert_name("d\xc3\xa9mon", 16, true, "d\xc3\xa9mon");
	assert_name("d\xc3\xa9mon", 16, false, "d?mon");
	assert_name("cut\xc3", 16, true, "cut?"); /* the kernel cuts names at 15 bytes */
	assert_name("\xc0\xaf\xed\xa0\x80\xf5\x80", 16, true,
		    "???????"); /* overlong, surrogate, beyond Unicode */
	assert_name("\xc2\x9b"
		    "31m",
		    16, true, "?31m"); /* C1: a terminal may obey */
	assert_name("a\xe2\x80\xae"
		    "b",
		    16, true, "a?b"); /* right-to-left override */
	assert_name("", 16, true, "");
	assert_int_equal(text_width("d\xc3\xa9mon"), 5);
}

static void cgroups_have_short_ids(void **state)
{
	char buffer[TEXT_CGROUP_SIZE];

	(void)state;
	assert_string_equal(
		text_cgroup(
			buffer,
			"/system.slice/"
			"docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef."
			"scope",
			true),
		"/system.slice/docker-0123456789ab.scope");
	assert_string_equal(text_cgroup(buffer, "/deadbeef/0123456789abcdef0123456789abcdef", true),
			    "/deadbeef/0123456789ab");
	assert_string_equal(text_cgroup(buffer, "/", true), "/");
}

static void units_are_named_and_other_cgroups_shown(void **state)
{
	char buffer[TEXT_UNIT_SIZE], cgroup[CGROUP_SIZE] = "/system.slice/nginx.service";

	(void)state;
	assert_string_equal(text_unit(buffer, cgroup, true), "nginx.service");
	strcpy(cgroup, "/docker/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	assert_string_equal(text_unit(buffer, cgroup, true), "container 0123456789ab (docker)");
	strcpy(cgroup, "/lxc/\033[2J");
	assert_string_equal(text_unit(buffer, cgroup, true), "container ?[2J (lxc)");
	strcpy(cgroup, "/own/0123456789abcdef0123456789abcdef");
	assert_string_equal(text_unit(buffer, cgroup, true), "cgroup /own/0123456789ab");
	strcpy(cgroup, "/");
	assert_string_equal(text_unit(buffer, cgroup, true), "");
	memset(cgroup, 'x', sizeof(cgroup)); /* without a NUL */
	assert_int_equal(strlen(text_unit(buffer, cgroup, true)), strlen("cgroup ") + CGROUP_SIZE);
}

static void text_fits_its_width(void **state)
{
	const struct text_style narrower = { .width = 72 };
	struct fixture f;
	char *text, *save = NULL;

	(void)state;
	fixture_init(&f);
	text = text_of(&f.snapshot, &narrower);
	assert_non_null(strstr(text, "  75.0%  #########################\n"));
	assert_non_null(strstr(text, "(fair hash 0.022),\n           busiest 1.50x the mean "
				     "(1.02), 0 of 2 idle, p <0.001,\n           Jain 0.800\n"));
	strtok_r(text, "\n", &save); /* the heading is not broken yet */
	strtok_r(NULL, "\n", &save);
	for (char *line = strtok_r(NULL, "\n", &save); line && strncmp(line, "  4,000", 7);
	     line = strtok_r(NULL, "\n", &save))
		assert_true(strlen(line) <= 72);
	free(text);
}

static json_t *at(json_t *doc, const char *rows, size_t i)
{
	return json_array_get(
		json_object_get(json_array_get(json_object_get(doc, "endpoints"), 0), rows), i);
}

static void assert_json(json_t *o, const char *key, const char *expected)
{
	char *text = json_dumps(json_object_get(o, key), JSON_ENCODE_ANY | JSON_COMPACT);

	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
}

static void json_has_what_an_inventory_adds(void **state)
{
	struct holder_row holders[] = {
		{ .cookie = 17,
		  .pid = 700,
		  .pid_inside = 7,
		  .fd = 3,
		  .fds = 1,
		  .uid = 33,
		  .process = "nginx",
		  .cgroup = "/a/nginx.service",
		  .state = 'S',
		  .doing = "do_epoll_wait" },
		{ .cookie = 17, .pid = 701, .fd = 3, .fds = 2, .process = "nginx" }
	};
	struct finding finding = { .code = "queue-near-limit",
				   .text = "full",
				   .cookie = 17,
				   .evidence = { { "length", 96 } },
				   .evidence_count = 1 };
	struct fixture f;
	char *text;
	json_t *doc, *end;

	(void)state;
	fixture_init(&f);
	f.endpoint.holders = holders;
	f.endpoint.holder_count = 2;
	f.endpoint.findings = &finding;
	f.endpoint.finding_count = 1;
	f.endpoint.omitted = (struct omitted){ .sockets = 1,
					       .workers = 2,
					       .arrived = 3,
					       .dropped = 4,
					       .accepted = 5,
					       .drops = 6,
					       .dropped_closing = 7,
					       .migrated = 8 };
	f.sockets[0].group = 17;
	strcpy(f.workers[0].cgroup,
	       "/kubepods/pod01234567-89ab-cdef-0123-456789abcdef/"
	       "crio-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	strcpy(f.sockets[0].device, "eth0");
	f.sockets[0].waiting_known = true;
	f.sockets[0].waiting = 2;
	f.sockets[0].v6only = f.sockets[0].appeared = f.sockets[0].ended = true;
	f.workers[0].pid_inside = 7;
	f.workers[0].tid_inside = 8;
	f.workers[0].waits = f.workers[0].appeared = true;
	strcpy(f.workers[0].process, "nginx");
	doc = json_of(&f.snapshot, &text);
	end = json_array_get(json_object_get(doc, "endpoints"), 0);
	assert_json(at(doc, "sockets", 0), "group", "17");
	assert_json(at(doc, "sockets", 0), "device", "\"eth0\"");
	assert_json(at(doc, "sockets", 0), "waiting", "2");
	assert_json(at(doc, "sockets", 0), "ended", "true");
	assert_json(at(doc, "sockets", 0), "holders",
		    "[{\"pid\":700,\"pid_inside\":7,\"process\":\"nginx\",\"uid\":33,\"fd\":3,"
		    "\"fds\":1,\"cgroup\":\"/a/"
		    "nginx.service\",\"unit\":\"nginx.service\",\"container\":null,\"state\":\"S\","
		    "\"doing\":\"do_epoll_wait\"},"
		    "{\"pid\":701,\"pid_inside\":null,\"process\":\"nginx\",\"uid\":0,\"fd\":3,"
		    "\"fds\":2,\"cgroup\":null,\"unit\":null,\"container\":null,\"state\":null,"
		    "\"doing\":null}]");
	assert_json(at(doc, "sockets", 1), "group", "null");
	assert_json(at(doc, "sockets", 1), "device", "null");
	assert_json(at(doc, "sockets", 1), "waiting", "null");
	assert_json(at(doc, "sockets", 1), "holders", "null"); /* nobody looked */
	assert_json(at(doc, "workers", 0), "tid_inside", "8");
	assert_json(at(doc, "workers", 0), "process", "\"nginx\"");
	assert_json(at(doc, "workers", 1), "pid_inside", "null");
	assert_json(at(doc, "workers", 1), "process", "null");
	assert_json(at(doc, "workers", 0), "unit", "null");
	assert_json(at(doc, "workers", 0), "container",
		    "{\"id\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\","
		    "\"runtime\":\"cri-o\","
		    "\"pod\":\"01234567-89ab-cdef-0123-456789abcdef\"}");
	assert_json(end, "omitted",
		    "{\"sockets\":1,\"workers\":2,\"arrived\":3,\"dropped\":4,\"drops\":6,"
		    "\"accepted\":5,\"served\":0,\"open\":0,\"finished\":0,\"bytes_received\":0,"
		    "\"bytes_sent\":0,\"queue_highest\":0,"
		    "\"queued_before\":0,\"reset_queued\":0,\"dropped_closing\":7,\"migrated\":8,"
		    "\"wait_ns\":{\"count\":0,\"mean\":null,\"p50\":null,\"p90\":null,\"p99\":null,"
		    "\"max\":null}}");
	assert_json(end, "findings",
		    "[{\"code\":\"queue-near-limit\",\"level\":\"problem\",\"text\":\"full\","
		    "\"cookie\":17,\"evidence\":{\"length\":96.0}}]");
	assert_json(json_object_get(json_object_get(end, "fairness"), "processes"), "bins", "1");
	json_decref(doc);
	free(text);
}

static void json_has_the_figures(void **state)
{
	struct fixture f;
	char *text;
	json_t *doc, *end;

	(void)state;
	fixture_init(&f);
	doc = json_of(&f.snapshot, &text);
	assert_string_equal(json_string_value(json_object_get(doc, "schema")), "sockfair/1");
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(doc, "window"), "start")),
		"2026-01-01T00:00:00.123Z");
	end = json_array_get(json_object_get(doc, "endpoints"), 0);
	assert_int_equal(json_integer_value(json_object_get(end, "netns")), 4026531840u);
	assert_int_equal(json_integer_value(json_object_get(
				 json_array_get(json_object_get(end, "sockets"), 1), "arrived")),
			 500);
	assert_string_equal(
		json_string_value(json_object_get(
			json_object_get(json_object_get(end, "fairness"), "workers"), "verdict")),
		"uneven");
	assert_true(fabs(json_real_value(json_object_get(json_object_get(doc, "workload"),
							 "rate_per_second")) -
			 4000) < 1e-9);
	json_decref(doc);
	free(text);
}

/* Sockets that have a port and share nothing are in no endpoint; of very many holders the rest is a
 * number. */
static void json_has_what_is_set_aside(void **state)
{
	enum { MANY = 5000 };
	struct socket_row bound[2] = { { .cookie = 25,
					 .inode = 307,
					 .uid = 33,
					 .reuseport = true,
					 .device = "eth0",
					 .aside = ASIDE_BOUND },
				       { .cookie = 26, .aside = ASIDE_BOUND } };
	struct socket_row own = { .cookie = 30,
				  .inode = 500,
				  .v6only = true,
				  .kernel = true,
				  .aside = ASIDE_KERNEL },
			  client = { .cookie = 50, .connected = true };
	struct holder_row *holders = calloc(MANY + 1, sizeof(*holders));
	struct tunnel tunnel = { "vxlan", "vx0" };
	struct endpoint endpoints[] = {
		{ .family = AF_INET,
		  .port = 80,
		  .netns = 1,
		  .sockets = bound,
		  .socket_count = 2,
		  .holders = holders,
		  .holder_count = MANY + 1 },
		{ .protocol = PROTOCOL_UDP,
		  .family = AF_INET6,
		  .port = 4789,
		  .netns = 1,
		  .sockets = &own,
		  .socket_count = 1,
		  .tunnels = &tunnel,
		  .tunnel_count = 1 },
		{ .protocol = PROTOCOL_UDP,
		  .family = AF_INET,
		  .port = 40000,
		  .sockets = &client,
		  .socket_count = 1 },
	};
	const struct snapshot s = { .endpoints = endpoints,
				    .aside_count = 3,
				    .clients = 1,
				    .passing = { .ports = 9,
						 .ports_at_least = true,
						 .sockets = 12,
						 .arrived = 14,
						 .accepted = 13 } };
	char *text;
	json_t *doc;

	(void)state;
	for (int i = 0; i <= MANY; i++)
		holders[i] = (struct holder_row){ .cookie = i ? 26 : 25,
						  .pid = 700 + i,
						  .process = "haproxy",
						  .fd = 5,
						  .fds = 1 };
	doc = json_of(&s, &text);
	assert_json(doc, "endpoints", "[]");
	assert_json(doc, "aside",
		    "[{\"protocol\":\"tcp\",\"address\":\"0.0.0.0\",\"port\":80,\"netns\":1,"
		    "\"why\":\"bound\",\"cookie\":25,\"inode\":307,\"uid\":33,\"reuseport\":true,"
		    "\"device\":\"eth0\",\"v6only\":false,\"holders\":[{\"pid\":700,\"pid_inside\":"
		    "null,\"process\":\"haproxy\",\"uid\":0,\"fd\":5,\"fds\":1,"
		    "\"cgroup\":null,\"unit\":null,\"container\":null,\"state\":null,\"doing\":"
		    "null}],\"holders_omitted\":0,\"interfaces\":[]},"
		    "{\"protocol\":\"udp\",\"address\":\"::\",\"port\":4789,\"netns\":1,\"why\":"
		    "\"kernel\",\"cookie\":30,\"inode\":500,\"uid\":0,\"reuseport\":false,"
		    "\"device\":null,\"v6only\":true,\"holders\":[],\"holders_omitted\":0,"
		    "\"interfaces\":[{\"kind\":\"vxlan\",\"name\":\"vx0\"}]}]");
	assert_json(doc, "aside_omitted", "1");
	assert_json(json_object_get(doc, "window"), "clients", "1");
	assert_json(doc, "passing",
		    "{\"ports\":9,\"ports_at_least\":true,\"sockets\":12,\"delivered\":14,"
		    "\"received\":13}");
	json_decref(doc);
	free(text);
	free(holders);
}

static void json_has_generations_where_there_are_two(void **state)
{
	struct fixture f;
	char *text;
	json_t *doc, *port;

	(void)state;
	fixture_init(&f);
	doc = json_of(&f.snapshot, &text);
	assert_null(json_object_get(at(doc, "workers", 0), "generation"));
	assert_null(json_object_get(json_array_get(json_object_get(doc, "endpoints"), 0),
				    "generations"));
	json_decref(doc);
	free(text);
	f.workers[0].ended = f.workers[1].appeared = f.workers[1].waits = true;
	f.workers[1].pid = 800;
	assert_int_equal(endpoint_judge(&f.endpoint, FAIRNESS_THRESHOLD), 0);
	doc = json_of(&f.snapshot, &text);
	assert_json(at(doc, "workers", 0), "generation", "1");
	assert_json(at(doc, "workers", 1), "generation", "2");
	port = json_array_get(json_object_get(doc, "endpoints"), 0);
	assert_json(port, "generations",
		    "{\"judged\":2,\"earlier\":{\"processes\":1,\"threads\":1,\"accepted\":1500},"
		    "\"later\":{\"processes\":1,\"threads\":1,\"accepted\":500}}");
	json_decref(doc);
	free(text);
}

static void json_has_waits_and_queues(void **state)
{
	struct fixture f;
	char *text;
	json_t *doc;

	(void)state;
	fixture_slow_worker(&f);
	f.sockets[1].full_ns = 1500000000;
	f.sockets[1].stalled_ns = 250000000;
	f.sockets[1].stall = (struct stall){ .ns = 3500000000,
					     .last_ns = 3000000000,
					     .over = true,
					     .over_ns = 3250000000,
					     .length = 19,
					     .count = 2,
					     .drops = 7 };
	f.sockets[0].stall = (struct stall){ .ns = 3500000000, .last_ns = -1, .over = true };
	f.sockets[1].steered = f.sockets[1].incoming_cpu_set = true;
	f.sockets[1].queued_before = 2;
	f.sockets[1].migrated = 3;
	f.snapshot.somaxconn = 4096;
	doc = json_of(&f.snapshot, &text);
	assert_json(at(doc, "sockets", 1), "queue",
		    "{\"length\":0,\"limit\":4096,\"highest\":9,\"full_seconds\":1.5,\"stalled_"
		    "seconds\":0.25,\"stall\":{\"seconds\":3.5,\"began\":-0.5,\"over\":true,"
		    "\"length\":19,\"count\":2,\"drops\":7}}");
	/* It was over before the window began. */
	assert_json(json_object_get(at(doc, "sockets", 0), "queue"), "stall", "null");
	assert_json(at(doc, "sockets", 1), "wait_ns",
		    "{\"count\":997,\"mean\":4312337,\"p50\":4336941,\"p90\":4336941,\"p99\":"
		    "9701053,\"max\":9800000}");
	assert_json(at(doc, "sockets", 1), "queued_before", "2");
	assert_json(at(doc, "sockets", 1), "reset_queued", "0");
	assert_json(at(doc, "sockets", 1), "dropped_closing", "0");
	assert_json(at(doc, "sockets", 1), "migrated", "3");
	assert_json(at(doc, "sockets", 1), "steered", "true");
	assert_json(at(doc, "sockets", 1), "incoming_cpu", "0");
	assert_json(at(doc, "sockets", 0), "incoming_cpu", "null");
	assert_json(at(doc, "workers", 1), "wait_ns",
		    "{\"count\":997,\"mean\":4312337,\"p50\":4336941,\"p90\":4336941,\"p99\":"
		    "9701053,\"max\":9800000}");
	assert_json(json_object_get(doc, "window"), "somaxconn", "4096");
	json_decref(doc);
	free(text);
}

static void json_of_waits_that_are_not_known(void **state)
{
	struct fixture f;
	char *text;
	json_t *doc;

	(void)state;
	fixture_init(&f);
	f.sockets[1].wait_known = true;
	f.workers[1].wait_known = true;
	f.workers[1].wait = (struct wait){ .count = 2,
					   .sum_ns = 9000,
					   .max_ns = 5000 }; /* no room for a histogram */
	doc = json_of(&f.snapshot, &text);
	assert_json(at(doc, "sockets", 0), "wait_ns", "null");
	assert_json(at(doc, "sockets", 0), "queued_before", "null");
	assert_json(at(doc, "sockets", 0), "queue",
		    "{\"length\":0,\"limit\":4096,\"highest\":null,\"full_seconds\":null,\"stalled_"
		    "seconds\":0.0,\"stall\":null}");
	assert_json(
		at(doc, "sockets", 1), "wait_ns",
		"{\"count\":0,\"mean\":null,\"p50\":null,\"p90\":null,\"p99\":null,\"max\":null}");
	assert_json(
		at(doc, "workers", 1), "wait_ns",
		"{\"count\":2,\"mean\":4500,\"p50\":null,\"p90\":null,\"p99\":null,\"max\":5000}");
	assert_json(json_object_get(doc, "window"), "somaxconn", "null");
	json_decref(doc);
	free(text);
	f.endpoint.protocol = PROTOCOL_UDP;
	doc = json_of(&f.snapshot, &text);
	assert_json(at(doc, "sockets", 1), "wait_ns", "null");
	assert_json(at(doc, "workers", 1), "wait_ns", "null");
	assert_null(json_object_get(at(doc, "sockets", 1), "migrated"));
	json_decref(doc);
	free(text);
}

static void json_says_who_serves_and_how_threads_wait(void **state)
{
	struct fixture f;
	char *text;
	json_t *doc, *end;

	(void)state;
	fixture_init(&f);
	f.workers[0].serves = false;
	f.workers[0].wait_kind = WAITS_BLOCKED;
	f.workers[0].exclusive = true;
	f.workers[1].wait_kind = WAITS_EPOLL;
	f.workers[1].epoll = 77;
	f.workers[1].handed = (struct wait){ .count = 2, .sum_ns = 3000, .max_ns = 2000 };
	f.workers[1].open_known = f.endpoint.open_known = true;
	f.workers[1].open = 4;
	f.workers[1].finished = 2;
	f.workers[1].finished_ns = 5000;
	doc = json_of(&f.snapshot, &text);
	end = json_array_get(json_object_get(doc, "endpoints"), 0);
	assert_json(at(doc, "workers", 0), "served", "null");
	assert_json(at(doc, "workers", 0), "handed", "null");
	assert_json(at(doc, "workers", 0), "open", "null");
	assert_json(at(doc, "workers", 0), "lifetime_mean_ns", "null");
	assert_json(at(doc, "workers", 0), "waits_by", "\"blocked\"");
	assert_json(at(doc, "workers", 0), "exclusive", "true");
	assert_json(at(doc, "workers", 0), "epoll", "null");
	assert_json(at(doc, "workers", 1), "handed",
		    "{\"count\":2,\"mean_ns\":1500,\"max_ns\":2000}");
	assert_json(at(doc, "workers", 1), "open", "4");
	assert_json(at(doc, "workers", 1), "finished", "2");
	assert_json(at(doc, "workers", 1), "lifetime_mean_ns", "2500");
	assert_json(at(doc, "workers", 1), "waits_by", "\"epoll\"");
	assert_json(at(doc, "workers", 1), "exclusive", "false");
	assert_json(at(doc, "workers", 1), "epoll", "77");
	assert_non_null(json_object_get(json_object_get(end, "fairness"), "open"));
	json_decref(doc);
	free(text);
	f.workers[1].finished = 0;
	f.workers[1].wait_kind = WAITS_NOT;
	f.endpoint.open_known = false;
	doc = json_of(&f.snapshot, &text);
	assert_json(at(doc, "workers", 1), "lifetime_mean_ns", "null");
	assert_json(at(doc, "workers", 1), "waits_by", "null");
	assert_json(at(doc, "workers", 1), "exclusive", "null");
	assert_json(at(doc, "workers", 1), "epoll", "null");
	assert_null(json_object_get(
		json_object_get(json_array_get(json_object_get(doc, "endpoints"), 0), "fairness"),
		"open"));
	json_decref(doc);
	free(text);
}

static void json_of_nothing_has_nulls_not_nan(void **state)
{
	struct fixture f;
	char *text;
	json_t *doc, *fair;

	(void)state;
	fixture_init(&f);
	f.endpoint.socket_count = 1;
	assert_int_equal(endpoint_judge(&f.endpoint, FAIRNESS_THRESHOLD), 0);
	doc = json_of(&f.snapshot, &text);
	fair = json_object_get(
		json_object_get(json_array_get(json_object_get(doc, "endpoints"), 0), "fairness"),
		"sockets");
	assert_true(json_is_null(json_object_get(fair, "cv")));
	assert_true(json_is_null(json_object_get(fair, "p_value")));
	assert_string_equal(json_string_value(json_object_get(fair, "verdict")), "not-applicable");
	json_decref(doc);
	free(text);
}

static void json_escapes_names_that_are_no_text(void **state)
{
	struct fixture f;
	char *text;
	json_t *doc;

	(void)state;
	fixture_init(&f);
	memcpy(f.workers[0].comm, "a\"\xff\n4567890123456", 16); /* full: no NUL at its end */
	doc = json_of(&f.snapshot, &text);
	assert_string_equal(
		json_string_value(json_object_get(
			json_array_get(json_object_get(
					       json_array_get(json_object_get(doc, "endpoints"), 0),
					       "workers"),
				       0),
			"comm")),
		"a\"\\xff\n456789012345");
	json_decref(doc);
	free(text);
}

static void json_of_a_skipped_mode(void **state)
{
	struct snapshot s = { .release = "6.1.0", .has_workload = true, .final = true };
	json_t *doc;
	char *text;

	(void)state;
	s.workload.mode = "io-uring";
	strcpy(s.workload.skipped, "io_uring is disabled");
	doc = json_of(&s, &text);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(doc, "workload"), "skipped")),
		"io_uring is disabled");
	assert_null(json_object_get(json_object_get(doc, "workload"), "agrees"));
	assert_true(json_is_null(json_object_get(json_object_get(doc, "kernel"), "backend")));
	json_decref(doc);
	free(text);
}

static void json_says_when_it_cannot_be_written(void **state)
{
	struct fixture f;
	FILE *full = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(full);
	setvbuf(full, NULL, _IONBF, 0);
	fixture_init(&f);
	assert_int_not_equal(json_snapshot(full, &f.snapshot), 0);
	fclose(full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_have_separators),
		cmocka_unit_test(text_golden),
		cmocka_unit_test(text_says_what_is_lost_unseen_and_wrong),
		cmocka_unit_test(text_of_udp_has_drops_and_flows),
		cmocka_unit_test(text_folds_many_rows_and_keeps_the_sum),
		cmocka_unit_test(durations_have_two_or_three_digits),
		cmocka_unit_test(even_counts_but_a_long_wait),
		cmocka_unit_test(waits_that_are_not_measured_take_no_room),
		cmocka_unit_test(waits_without_a_histogram),
		cmocka_unit_test(what_seldom_happens_has_a_line_when_it_does),
		cmocka_unit_test(who_serves_and_what_is_open_are_shown_where_they_say_something),
		cmocka_unit_test(datagrams_have_no_waits),
		cmocka_unit_test(tables_with_waits_fit),
		cmocka_unit_test(the_comparison_has_waits_where_a_mode_has),
		cmocka_unit_test(addresses_are_what_people_write),
		cmocka_unit_test(names_are_made_harmless),
		cmocka_unit_test(cgroups_have_short_ids),
		cmocka_unit_test(units_are_named_and_other_cgroups_shown),
		cmocka_unit_test(text_fits_its_width),
		cmocka_unit_test(json_has_what_an_inventory_adds),
		cmocka_unit_test(json_has_the_figures),
		cmocka_unit_test(json_has_what_is_set_aside),
		cmocka_unit_test(json_has_generations_where_there_are_two),
		cmocka_unit_test(json_has_waits_and_queues),
		cmocka_unit_test(json_of_waits_that_are_not_known),
		cmocka_unit_test(json_says_who_serves_and_how_threads_wait),
		cmocka_unit_test(json_of_nothing_has_nulls_not_nan),
		cmocka_unit_test(json_escapes_names_that_are_no_text),
		cmocka_unit_test(json_of_a_skipped_mode),
		cmocka_unit_test(json_says_when_it_cannot_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
