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

static const struct text_style ascii = {};

struct fixture {
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
		.sockets = { { .cookie = 17, .inode = 301, .reuseport = true, .arrived = 1500, .accepted = 1500,
			       .queue_known = true, .queue_limit = 4096 },
			     { .cookie = 18, .inode = 302, .reuseport = true, .arrived = 500, .accepted = 500,
			       .queue_known = true, .queue_limit = 4096 } },
		.workers = { { .number = 0, .pid = 700, .tid = 703, .comm = "worker-0", .cgroup = "/", .cookie = 17, .can_accept = true,
			       .accepted = 1500, .serves = true, .served = 1500 },
			     { .number = 1, .pid = 700, .tid = 704, .comm = "worker-1", .cgroup = "/", .cookie = 18, .can_accept = true,
			       .accepted = 500, .serves = true, .served = 500 } },
		.cpus = { { 3, 2000 } },
		.lost = { { "listener_unknown", "accepts whose listening socket could not be told", 7 } },
	};
	f->endpoint = (struct endpoint){ .protocol = PROTOCOL_TCP, .family = AF_INET, .port = 8080, .netns = 4026531840u,
					 .sockets = f->sockets, .socket_count = 2, .workers = f->workers, .worker_count = 2,
					 .cpus = f->cpus, .cpu_count = 1, .served_known = true };
	inet_pton(AF_INET, "127.0.0.1", f->endpoint.address);
	f->snapshot = (struct snapshot){ .release = "6.1.0", .backend = "fentry", .start_ms = 1767225600123, .seconds = 0.5,
					 .final = true, .endpoints = &f->endpoint, .endpoint_count = 1, .has_workload = true };
	f->snapshot.workload = (struct workload_account){ .mode = "reuseport", .workers = 2, .concurrency = 2, .slow_worker = -1,
							  .sent = 2000, .accepted = 2000, .served = 2000, .seconds = 0.5,
							  .agrees = true };
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
	assert_string_equal(text,
		"reuseport: one socket per worker\n"
		"  tcp 127.0.0.1:8080, 2 workers (threads), 2,000 connections, 2 at once; kernel 6.1.0, backend fentry\n"
		"\n"
		"  worker      tid   socket   accepted   share\n"
		"       0      703       17      1,500   75.0%  ################################\n"
		"       1      704       18        500   25.0%  ###########\n"
		"\n"
		"  socket    inode    arrived   backlog   share\n"
		"      17      301      1,500      4096   75.0%  ################################\n"
		"      18      302        500      4096   25.0%  ###########\n"
		"\n"
		"  workers  uneven: CV 0.500 (fair hash 0.022), busiest 1.50x the mean (1.02), 0 of 2 idle, p <0.001, Jain 0.800\n"
		"  sockets  uneven: CV 0.500 (fair hash 0.022), busiest 1.50x the mean (1.02), 0 of 2 idle, p <0.001, Jain 0.800\n"
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
	assert_non_null(strstr(text, "counts do not agree: worker 1 counted 501 accepts, the kernel 500; lost 7\n"));
	assert_non_null(strstr(text, "at least: 7 of these not counted: accepts whose listening socket could not be told\n"));
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
		workers[i] = (struct worker_row){ .number = i, .tid = i + 1, .can_accept = true, .accepted = 10 };
	f.endpoint.workers = workers;
	f.endpoint.worker_count = 100;
	f.endpoint.served_known = false;
	text = text_of(&f.snapshot, &ascii);
	assert_non_null(strstr(text, "  and 36 more with 360\n"));
	free(text);
	free(workers);
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
	assert_string_equal(json_string_value(json_object_get(json_object_get(doc, "window"), "start")), "2026-01-01T00:00:00.123Z");
	end = json_array_get(json_object_get(doc, "endpoints"), 0);
	assert_int_equal(json_integer_value(json_object_get(end, "netns")), 4026531840u);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(json_object_get(end, "sockets"), 1), "arrived")), 500);
	assert_string_equal(json_string_value(json_object_get(json_object_get(json_object_get(end, "fairness"), "workers"), "verdict")),
			    "uneven");
	assert_true(fabs(json_real_value(json_object_get(json_object_get(doc, "workload"), "rate_per_second")) - 4000) < 1e-9);
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
	fair = json_object_get(json_object_get(json_array_get(json_object_get(doc, "endpoints"), 0), "fairness"), "sockets");
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
	assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(json_array_get(
				    json_object_get(doc, "endpoints"), 0), "workers"), 0), "comm")),
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
	assert_string_equal(json_string_value(json_object_get(json_object_get(doc, "workload"), "skipped")), "io_uring is disabled");
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
		cmocka_unit_test(json_has_the_figures),
		cmocka_unit_test(json_of_nothing_has_nulls_not_nan),
		cmocka_unit_test(json_escapes_names_that_are_no_text),
		cmocka_unit_test(json_of_a_skipped_mode),
		cmocka_unit_test(json_says_when_it_cannot_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
