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

/* What text_address() makes of an endpoint with these sockets. */
static void assert_address(const char *address, const struct socket_row *sockets, size_t count, const char *expected)
{
	struct endpoint e = { .port = 80, .sockets = (struct socket_row *)sockets, .socket_count = count };
	char buffer[TEXT_ADDRESS_SIZE];

	e.family = strchr(address, ':') ? AF_INET6 : AF_INET;
	assert_int_equal(inet_pton(e.family, address, e.address), 1);
	assert_string_equal(text_address(buffer, &e), expected);
}

static void addresses_are_what_people_write(void **state)
{
	const struct socket_row dual = {}, v6only = { .v6only = true }, eth0 = { .device = "eth0" },
				eth0_v6only = { .device = "eth0", .v6only = true }, odd = { .device = "e\033[2Jxxxxxxxxxx" },
				full = { .device = "0123456789abcde", .v6only = true }, two[] = { eth0, dual },
				mixed[] = { v6only, dual };

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
	assert_name("\xc0\xaf\xed\xa0\x80\xf5\x80", 16, true, "???????"); /* overlong, surrogate, beyond Unicode */
	assert_name("\xc2\x9b" "31m", 16, true, "?31m"); /* C1: a terminal may obey */
	assert_name("a\xe2\x80\xae" "b", 16, true, "a?b"); /* right-to-left override */
	assert_name("", 16, true, "");
	assert_int_equal(text_width("d\xc3\xa9mon"), 5);
}

static void cgroups_have_short_ids(void **state)
{
	char buffer[TEXT_CGROUP_SIZE];

	(void)state;
	assert_string_equal(text_cgroup(buffer, "/system.slice/docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope", true),
			    "/system.slice/docker-0123456789ab.scope");
	assert_string_equal(text_cgroup(buffer, "/deadbeef/0123456789abcdef0123456789abcdef", true), "/deadbeef/0123456789ab");
	assert_string_equal(text_cgroup(buffer, "/", true), "/");
}

static void text_fits_its_width(void **state)
{
	const struct text_style narrow = { .width = 72 };
	struct fixture f;
	char *text, *save = NULL;

	(void)state;
	fixture_init(&f);
	text = text_of(&f.snapshot, &narrow);
	assert_non_null(strstr(text, "  75.0%  #################\n"));
	assert_non_null(strstr(text, "(fair hash 0.022),\n           busiest 1.50x the mean (1.02), 0 of 2 idle, p <0.001,\n           Jain 0.800\n"));
	strtok_r(text, "\n", &save); /* the heading is not broken yet */
	strtok_r(NULL, "\n", &save);
	for (char *line = strtok_r(NULL, "\n", &save); line && strncmp(line, "  4,000", 7); line = strtok_r(NULL, "\n", &save))
		assert_true(strlen(line) <= 72);
	free(text);
}

static json_t *at(json_t *doc, const char *rows, size_t i)
{
	return json_array_get(json_object_get(json_array_get(json_object_get(doc, "endpoints"), 0), rows), i);
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
	struct holder_row holders[] = { { .cookie = 17, .pid = 700, .pid_inside = 7, .fd = 3, .fds = 1, .uid = 33, .process = "nginx",
					  .cgroup = "/a" },
					{ .cookie = 17, .pid = 701, .fd = 3, .fds = 2, .process = "nginx" } };
	struct finding finding = { .code = "queue-near-limit", .text = "full", .cookie = 17, .evidence = { { "length", 96 } },
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
	f.endpoint.omitted = (struct omitted){ 1, 2, 3, 4, 5 };
	f.sockets[0].group = 17;
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
		    "[{\"pid\":700,\"pid_inside\":7,\"process\":\"nginx\",\"uid\":33,\"fd\":3,\"fds\":1,\"cgroup\":\"/a\"},"
		    "{\"pid\":701,\"pid_inside\":null,\"process\":\"nginx\",\"uid\":0,\"fd\":3,\"fds\":2,\"cgroup\":null}]");
	assert_json(at(doc, "sockets", 1), "group", "null");
	assert_json(at(doc, "sockets", 1), "device", "null");
	assert_json(at(doc, "sockets", 1), "waiting", "null");
	assert_json(at(doc, "sockets", 1), "holders", "null"); /* nobody looked */
	assert_json(at(doc, "workers", 0), "tid_inside", "8");
	assert_json(at(doc, "workers", 0), "process", "\"nginx\"");
	assert_json(at(doc, "workers", 1), "pid_inside", "null");
	assert_json(at(doc, "workers", 1), "process", "null");
	assert_json(end, "omitted", "{\"sockets\":1,\"workers\":2,\"arrived\":3,\"dropped\":4,\"accepted\":5}");
	assert_json(end, "findings",
		    "[{\"code\":\"queue-near-limit\",\"text\":\"full\",\"cookie\":17,\"evidence\":{\"length\":96.0}}]");
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
		cmocka_unit_test(addresses_are_what_people_write),
		cmocka_unit_test(names_are_made_harmless),
		cmocka_unit_test(cgroups_have_short_ids),
		cmocka_unit_test(text_fits_its_width),
		cmocka_unit_test(json_has_what_an_inventory_adds),
		cmocka_unit_test(json_has_the_figures),
		cmocka_unit_test(json_of_nothing_has_nulls_not_nan),
		cmocka_unit_test(json_escapes_names_that_are_no_text),
		cmocka_unit_test(json_of_a_skipped_mode),
		cmocka_unit_test(json_says_when_it_cannot_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
