/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What comes back of a document that was written, and one clear line for whatever else is in a
 * file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/mman.h>

#include <cmocka.h>
#include <jansson.h>

#include "../../user/render/json.h"
#include "../../user/render/json_reader.h"
#include "../../user/model/judge.h"

struct fixture {
	struct wait_histogram histograms[2];
	struct socket_row sockets[2];
	struct worker_row workers[2];
	struct endpoint endpoint;
	struct snapshot snapshot;
};

static void wait_record(struct wait *w, struct wait_histogram *h, uint64_t n, uint64_t ns)
{
	h->slots[wait_slot(ns / 1000)] += n;
	w->count += n;
	w->sum_ns += n * ns;
	w->max_ns = ns > w->max_ns ? ns : w->max_ns;
}

/* Two sockets whose waits differ, so that a quantile of both is none of either. */
static void fixture_init(struct fixture *f)
{
	*f = (struct fixture){
		.sockets = { { .cookie = 17,
			       .arrived = 1500,
			       .accepted = 1500,
			       .queue_known = true,
			       .queue_limit = 4096,
			       .drops = 3,
			       .highest_known = true,
			       .queue_highest = 12,
			       .wait_known = true },
			     { .cookie = 18,
			       .arrived = 500,
			       .accepted = 500,
			       .queue_known = true,
			       .queue_limit = 4096,
			       .drops = 4,
			       .highest_known = true,
			       .queue_highest = 2,
			       .wait_known = true } },
		.workers = { { .number = 0,
			       .pid = 700,
			       .tid = 703,
			       .comm = "worker-0",
			       .cookie = 17,
			       .can_accept = true,
			       .accepted = 1500,
			       .serves = true,
			       .served = 1500,
			       .open_known = true,
			       .open = 5 },
			     { .number = 1,
			       .pid = 700,
			       .tid = 704,
			       .comm = "worker-1",
			       .cookie = 18,
			       .can_accept = true,
			       .accepted = 500,
			       .serves = true,
			       .served = 500,
			       .open_known = true,
			       .open = 6 } },
	};
	for (int i = 0; i < 2; i++) {
		wait_record(&f->sockets[i].wait, &f->histograms[i], f->sockets[i].accepted,
			    i ? 90000 : 20000);
		f->sockets[i].wait.histogram = 1 + i;
	}
	f->endpoint = (struct endpoint){ .protocol = PROTOCOL_TCP,
					 .family = AF_INET,
					 .port = 8080,
					 .netns = 4026531840u,
					 .sockets = f->sockets,
					 .socket_count = 2,
					 .workers = f->workers,
					 .worker_count = 2,
					 .histograms = f->histograms,
					 .histogram_count = 2,
					 .served_known = true };
	inet_pton(AF_INET, "127.0.0.1", f->endpoint.address);
	f->snapshot = (struct snapshot){ .release = "6.1.0",
					 .backend = "fentry",
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
							  .seconds = 0.25,
							  .agrees = true };
	assert_int_equal(endpoint_judge(&f->endpoint, FAIRNESS_THRESHOLD), 0);
}

/* The document of a snapshot, one line; the caller frees it. */
static char *document_of(const struct snapshot *s)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_int_equal(json_snapshot(f, s), 0);
	fclose(f);
	return text;
}

/* Reads bytes as a file. Returns what json_read_results() does. */
static int read_bytes(struct comparison *c, const char *bytes, size_t size, uint16_t port,
		      char *why)
{
	int fd = memfd_create("document", 0), err;
	char path[64];

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	err = json_read_results(c, path, "a.json", port, why);
	close(fd);
	return err;
}

static int read_text(struct comparison *c, const char *text, char *why)
{
	return read_bytes(c, text, strlen(text), 0, why);
}

/* One line: a name, what is wrong, and clean for a terminal. */
static void assert_line(const char *why, const char *holds)
{
	for (const char *at = why; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			fail_msg("a control character in: %s", why);
	if (!*why || !strstr(why, holds))
		fail_msg("'%s' is not in: %s", holds, why);
}

static void assert_refused(const char *text, const char *holds)
{
	struct comparison c = {};
	char why[JSON_READER_WHY];

	if (!read_text(&c, text, why))
		fail_msg("was read: %.200s", text);
	assert_line(why, holds);
	assert_non_null(strstr(why, "; "));
	comparison_free(&c);
}

/* Replaces the first `from` by `to`; the caller frees it. */
static char *replaced(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	char *out;

	if (!at)
		fail_msg("no '%s' in the document", from);
	assert_true(asprintf(&out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) > 0);
	return out;
}

static void assert_refused_with(const char *text, const char *from, const char *to,
				const char *holds)
{
	char *changed = replaced(text, from, to);

	assert_refused(changed, holds);
	free(changed);
}

static const struct comparison_run *only_run(const struct comparison *c)
{
	assert_int_equal(c->side_count, 1);
	assert_int_equal(c->sides[0].result_count, 1);
	assert_int_equal(c->sides[0].results[0].run_count, 1);
	return &c->sides[0].results[0].runs[0];
}

/* What is read is what comparison_run_of() makes of the snapshot itself: within the digits of the
 * document. */
static void assert_reads_back(const struct snapshot *s)
{
	char *text = document_of(s), why[JSON_READER_WHY];
	struct comparison c = {};
	struct comparison_run own;

	comparison_run_of(&own, s, &s->endpoints[0]);
	assert_int_equal(read_text(&c, text, why), 0);
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		const double a = own.figures[i], b = only_run(&c)->figures[i];

		if (isnan(a) != isnan(b) ||
		    (!isnan(a) &&
		     fabs(a - b) > 1e-8 * fabs(a) + 0.5 * (metrics[i].unit == METRIC_NS)))
			fail_msg("%s: %.12g was written, %.12g read", metrics[i].name, a, b);
	}
	assert_memory_equal(own.verdicts, only_run(&c)->verdicts, sizeof(own.verdicts));
	assert_int_equal(own.own_load, only_run(&c)->own_load);
	assert_int_equal(own.disagrees, only_run(&c)->disagrees);
	comparison_free(&c);
	free(text);
}

static void figures_read_back(void **state)
{
	struct lost_row lost[] = { { "listener_unknown", "", 7, false, false },
				   { "ends_missed", "", 9, true, true } };
	struct fixture f;
	struct comparison_run run;

	(void)state;
	fixture_init(&f);
	assert_reads_back(&f.snapshot);
	f.snapshot.lost = lost;
	f.snapshot.lost_count = 2;
	f.snapshot.workload.agrees = false;
	f.endpoint.omitted =
		(struct omitted){ .sockets = 1,
				  .arrived = 100,
				  .accepted = 90,
				  .wait = { .count = 4, .sum_ns = 100, .max_ns = 50 } };
	assert_reads_back(&f.snapshot);
	comparison_run_of(&run, &f.snapshot, &f.endpoint);
	assert_true(run.figures[METRIC_LOST] == 7 && run.figures[METRIC_EVENTS] == 2100 &&
		    run.figures[METRIC_DROPS] == 7);
	assert_true(run.figures[METRIC_QUEUE_HIGHEST] == 12 && run.figures[METRIC_OPEN] == 11 &&
		    run.figures[METRIC_RATE] == 8000);
	assert_true(run.figures[METRIC_WAIT_COUNT] == 2004 && isnan(run.figures[METRIC_WAIT_P50]));
	f.sockets[0].half_open =
		(struct half_open){ .defers = true, .withheld_least = 2, .withheld_most = 2 };
	assert_reads_back(&f.snapshot);
	comparison_run_of(&run, &f.snapshot, &f.endpoint);
	assert_true(run.figures[METRIC_DROPS] == 5); /* withheld ACKs are none */
	f.sockets[0].half_open.withheld_least = 1;
	assert_reads_back(&f.snapshot);
	comparison_run_of(&run, &f.snapshot, &f.endpoint);
	assert_true(isnan(run.figures[METRIC_DROPS]));
	assert_true(isnan(run.figures[METRIC_CPU_CV]) && isnan(run.figures[METRIC_BYTES_CV]));
	f.endpoint.cpu = (struct load_spread){
		.known = true, .workers = 2, .total = 100, .most = 75, .least = 25, .cv = 0.5
	};
	f.endpoint.carried = (struct load_spread){
		.known = true, .workers = 2, .total = 1000, .most = 625, .least = 375, .cv = 0.25
	};
	assert_reads_back(&f.snapshot);
	comparison_run_of(&run, &f.snapshot, &f.endpoint);
	assert_true(run.figures[METRIC_CPU_CV] == 0.5 && run.figures[METRIC_BYTES_CV] == 0.25);
	f.endpoint.cpu.workers = f.endpoint.carried.workers = 1; /* nothing to be spread over */
	assert_reads_back(&f.snapshot);
	comparison_run_of(&run, &f.snapshot, &f.endpoint);
	assert_true(isnan(run.figures[METRIC_CPU_CV]) && isnan(run.figures[METRIC_BYTES_CV]));
	f.workers[1].open_at_least = true; /* a bound is no figure to compare */
	comparison_run_of(&run, &f.snapshot, &f.endpoint);
	assert_true(isnan(run.figures[METRIC_OPEN]));
	assert_reads_back(&f.snapshot);
	f.snapshot.workload.serve_only = true;
	assert_reads_back(&f.snapshot);
	f.snapshot.has_workload = false;
	assert_reads_back(&f.snapshot);
}

static void datagrams_read_back(void **state)
{
	struct fixture f;
	struct comparison_run run;

	(void)state;
	fixture_init(&f);
	f.endpoint.protocol = PROTOCOL_UDP;
	f.sockets[0].dropped = 30;
	f.endpoint.omitted.dropped = 4;
	assert_int_equal(endpoint_judge(&f.endpoint, FAIRNESS_THRESHOLD),
			 0); /* flows unknown: no yardstick */
	assert_reads_back(&f.snapshot);
	comparison_run_of(&run, &f.snapshot, &f.endpoint);
	assert_true(run.figures[METRIC_DROPS] == 34 && run.figures[METRIC_EVENTS] == 2034 &&
		    isnan(run.figures[METRIC_WAIT_P99]));
	assert_true(isnan(run.figures[METRIC_CV_EXPECTED]) && !isnan(run.figures[METRIC_CV]));
}

/* Rows that a document leaves out are in its sums and its verdicts: no figure is another one. */
static void rows_left_out_read_back(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	for (size_t i = 0; i < f.endpoint.socket_count; i++) {
		f.endpoint.sockets[i].left_out = true;
		f.endpoint.workers[i].left_out = true;
		assert_reads_back(&f.snapshot);
	}
	fixture_init(&f);
	f.endpoint.protocol = PROTOCOL_UDP;
	f.sockets[0].dropped = 30;
	f.sockets[0].left_out = true;
	assert_int_equal(endpoint_judge(&f.endpoint, FAIRNESS_THRESHOLD), 0);
	assert_reads_back(&f.snapshot);
}

/* Ports that a document leaves out: the comparison has their number, and one that asks for such a
 * port is told. */
static void ports_left_out_are_told(void **state)
{
	struct fixture f;
	struct endpoint two[2];
	struct comparison c = {};
	char why[JSON_READER_WHY], *text;

	(void)state;
	fixture_init(&f);
	f.snapshot.has_workload = false;
	two[0] = f.endpoint;
	two[1] = (struct endpoint){ .family = AF_INET, .port = 4242, .left_out = true };
	f.snapshot.endpoints = two;
	f.snapshot.endpoint_count = 2;
	text = document_of(&f.snapshot);
	assert_int_equal(read_text(&c, text, why), 0);
	assert_int_equal(c.side_count, 1);
	assert_int_equal(c.sides[0].left_out, 1);
	assert_int_equal(c.sides[0].result_count, 1);
	comparison_free(&c);
	assert_int_not_equal(read_bytes(&c, text, strlen(text), 4242, why), 0);
	assert_line(why, "does not list that port, but leaves out 1 (omitted)");
	comparison_free(&c);
	free(text);
}

/* Before endpoints had wait_ns and lost had counts. */
static void older_documents_are_read(void **state)
{
	struct fixture f;
	char *text, *old, why[JSON_READER_WHY];
	struct comparison c = {};
	json_t *doc, *endpoint;

	(void)state;
	fixture_init(&f);
	text = document_of(&f.snapshot);
	doc = json_loads(text, 0, NULL);
	endpoint = json_array_get(json_object_get(doc, "endpoints"), 0);
	assert_int_equal(json_object_del(endpoint, "wait_ns"), 0);
	assert_int_equal(json_object_del(json_object_get(doc, "lost"), "counts"), 0);
	json_object_del(endpoint, "omitted");
	old = json_dumps(doc, 0);
	assert_int_equal(read_text(&c, old, why), 0);
	/* Of 1,500 that waited 20 us and 500 that waited 90: mean and longest follow, no quantile
	 * does. */
	assert_true(only_run(&c)->figures[METRIC_WAIT_COUNT] == 2000);
	assert_true(fabs(only_run(&c)->figures[METRIC_WAIT_MEAN] - 37500) < 1);
	assert_true(only_run(&c)->figures[METRIC_WAIT_MAX] == 90000);
	assert_true(isnan(only_run(&c)->figures[METRIC_WAIT_P99]) &&
		    isnan(only_run(&c)->figures[METRIC_WAIT_P50]));
	comparison_free(&c);
	free(old);
	/* One socket: its quantiles are the port's. */
	json_array_remove(json_object_get(endpoint, "sockets"), 0);
	old = json_dumps(doc, 0);
	assert_int_equal(read_text(&c, old, why), 0);
	assert_true(fabs(only_run(&c)->figures[METRIC_WAIT_P99] - 90000) < 0.06 * 90000);
	comparison_free(&c);
	free(old);
	json_decref(doc);
	free(text);
}

static void several_documents_are_repeats_and_intervals_are_passed_over(void **state)
{
	struct fixture f;
	char *final, *interval, *both, why[JSON_READER_WHY];
	struct comparison c = {};

	(void)state;
	fixture_init(&f);
	f.snapshot.has_workload = false;
	final = document_of(&f.snapshot);
	f.snapshot.final = false;
	interval = document_of(&f.snapshot);
	assert_true(asprintf(&both, "%s%s\n%s%s", interval, final, interval, final) > 0);
	assert_int_equal(read_text(&c, both, why), 0);
	assert_int_equal(c.sides[0].results[0].run_count, 2);
	comparison_free(&c);
	assert_refused(interval, "intervals only");
	free(both);
	free(interval);
	free(final);
}

static void a_port_of_a_file(void **state)
{
	struct fixture f;
	char *text, why[JSON_READER_WHY];
	struct comparison c = {};

	(void)state;
	fixture_init(&f);
	text = document_of(&f.snapshot);
	assert_int_equal(read_bytes(&c, text, strlen(text), 8080, why), 0);
	assert_true(c.sides[0].results[0].key.port_asked);
	comparison_free(&c);
	assert_int_not_equal(read_bytes(&c, text, strlen(text), 80, why), 0);
	assert_line(why, "has no port 80, but 8080");
	comparison_free(&c);
	free(text);
}

static void a_run_with_another_setup_is_refused(void **state)
{
	struct fixture f;
	char *first, *second, *both;

	(void)state;
	fixture_init(&f);
	first = document_of(&f.snapshot);
	f.snapshot.workload.concurrency = 64;
	second = document_of(&f.snapshot);
	assert_true(asprintf(&both, "%s%s", first, second) > 0);
	assert_refused(both, ":2: this run of reuseport is no repeat");
	free(both);
	free(second);
	free(first);
}

static void a_port_twice_in_one_document_is_no_repeat(void **state)
{
	struct fixture f;
	struct endpoint both[2];
	char *text;

	(void)state;
	fixture_init(&f);
	both[0] = both[1] = f.endpoint;
	f.snapshot.has_workload = false;
	f.snapshot.endpoints = both;
	f.snapshot.endpoint_count = 2;
	text = document_of(&f.snapshot);
	assert_refused(text, "port 8080 of 127.0.0.1 is in it twice");
	free(text);
}

/* ---- hostile ---- */

/* Cut off at any byte it is refused, unless all that is missing is the line's end. */
static void truncated_anywhere(void **state)
{
	struct fixture f;
	char *text, why[JSON_READER_WHY];
	struct comparison c = {};

	(void)state;
	fixture_init(&f);
	text = document_of(&f.snapshot);
	for (size_t size = 0; size + 1 < strlen(text); size++) {
		if (!read_bytes(&c, text, size, 0, why))
			fail_msg("%zu bytes of %zu were read as a document", size, strlen(text));
		assert_line(why, size ? "ends in the middle of a document" : "is empty");
		comparison_free(&c);
	}
	assert_int_equal(read_bytes(&c, text, strlen(text) - 1, 0, why), 0);
	comparison_free(&c);
	free(text);
}

/* Any byte may be another one: never worse than a line, and nothing is left behind (the sanitizers
 * look). */
static void any_byte_changed(void **state)
{
	static const char other[] = { '\0', '\xff', '"', '-', '9', '}', ',', '\n' };
	struct fixture f;
	char *text, why[JSON_READER_WHY];
	struct comparison c = {};

	(void)state;
	fixture_init(&f);
	text = document_of(&f.snapshot);
	for (size_t at = 0; at < strlen(text) - 1; at++) {
		const size_t size = strlen(text);
		const char was = text[at];

		text[at] = other[at % sizeof(other)];
		if (read_bytes(&c, text, size, 0, why))
			assert_line(why, "/proc/self/fd/");
		comparison_free(&c);
		text[at] = was;
	}
	free(text);
}

static void not_our_documents(void **state)
{
	static const struct {
		const char *text, *holds;
	} files[] = {
		{ "", "is empty" },
		{ "\n \n", "is empty" },
		{ "hello\n", "not JSON" },
		{ "\x7f"
		  "ELF\x02\x01\n",
		  "not JSON" },
		{ "\xef\xbb\xbf{}", "not JSON" },
		{ "[]\n", "an array, not an object" },
		{ "{}\n", "schema is missing" },
		{ "{\"schema\": 1}\n", "schema is a number" },
		{ "{\"schema\": \"other/1\"}\n", "is not sockfair's" },
		{ "{\"schema\": \"sockfair/2\"}\n", "'sockfair/2' is not known to sockfair" },
		{ "{\"schema\": \"sockfair-comparison/2\"}\n", "is not known to sockfair" },
		{ "{\"schema\": \"sockfair/1\"}\n", "window is missing" },
		{ "{\"schema\": \"sockfair/1\", \"schema\": \"sockfair/1\"}\n", "duplicate" },
		{ "{\"schema\": \"\x1b[31m\"}\n", "not JSON" },
		{ "{\"schema\": \"\\u001b[31m\\u0007\"}\n", "'?[31m?' is not sockfair's" },
		{ "{\"schema\": \"a\\u0000b\"}\n", "not JSON" },
		{ "{\"schema\": \"\xff\xfe\"}\n", "not JSON" },
		{ "{\"a\": 1e999}\n", "not JSON" },
		{ "\n\n{\"schema\": \"sockfair/3\"}\n", ":3: schema" },
		{ "{\"schema\": \"sockfair-comparison/1\", \"sides\": []}\n", "0 sides" },
		{ "{\"schema\": \"sockfair-comparison/1\", \"sides\": [1]}\n",
		  "sides[0] is a number" },
		{ "{\"schema\": \"sockfair-comparison/1\", \"sides\": [{\"name\": \"a\"}], "
		  "\"subjects\": [3]}\n",
		  "results is missing" },
		{ "{\"schema\": \"sockfair-comparison/1\", \"sides\": [{\"name\": \"a\"}], "
		  "\"subjects\": [{\"results\": [{\"side\": 1}]}]}\n",
		  "side is 1, more than 0" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		assert_refused(files[i].text, files[i].holds);
}

static void wrong_fields(void **state)
{
	static const struct {
		const char *from, *to, *holds;
	} changes[] = {
		{ "\"arrived\":1500", "\"arrived\":-1", "endpoints[0].sockets[0].arrived is -1" },
		{ "\"arrived\":1500", "\"arrived\":1.5", "sockets[0].arrived is 1.5, not a count" },
		{ "\"arrived\":1500", "\"arrived\":9007199254740993", "not a count" },
		{ "\"arrived\":1500", "\"arrived\":9007199254740990",
		  "'arrived' of all rows add up to" },
		{ "\"arrived\":1500", "\"arrived\":99999999999999999999999",
		  "no figure of sockfair is" },
		{ "\"arrived\":1500", "\"arrived\":\"many\"", "arrived is a string, not a number" },
		{ "\"arrived\":1500", "\"arrived\":null", "arrived is null, not a number" },
		{ "\"arrived\":1500", "\"arrivals\":1500", "arrived is missing" },
		{ "\"port\":8080", "\"port\":65536", "port is 65536, more than 65535" },
		{ "\"highest\":", "\"highest\":[],\"x\":",
		  "endpoints[0].sockets[0].queue.highest is an array" },
		{ "\"load\":", "\"load\":7,\"x\":", "endpoints[0].load is a number" },
		{ "\"protocol\":\"tcp\"", "\"protocol\":\"sctp\"", "neither tcp nor udp" },
		{ "\"endpoints\":[", "\"endpoints\":7,\"x\":[",
		  "endpoints is a number, not an array" },
		{ "\"endpoints\":[", "\"endpoints\":[1,", "2 endpoints" },
		{ "\"sockets\":[", "\"sockets\":[false,", "sockets[0] is false, not an object" },
		{ "\"final\":true", "\"final\":\"yes\"",
		  "window.final is a string, not true or false" },
		{ "\"mode\":\"reuseport\"", "\"mode\":\"\"", "mode is empty" },
		{ "\"verdict\":\"uneven\"", "\"verdict\":\"odd\"", "is no verdict" },
		{ "\"cv\":0.5", "\"cv\":-0.5", "cv is -0.5" },
		{ "\"cv\":0.5", "\"cv\":1e300", "cv is 1e+300" },
		{ "\"release\":\"6.1.0\"", "\"release\":[]", "kernel.release is an array" },
		{ "\"total\":0", "\"total\":{}", "lost.total is an object" },
		{ "\"workload\":{", "\"workload\":[],\"w\":{", "workload is an array" },
	};
	struct fixture f;
	char *text;

	(void)state;
	fixture_init(&f);
	text = document_of(&f.snapshot);
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++)
		assert_refused_with(text, changes[i].from, changes[i].to, changes[i].holds);
	free(text);
}

/* n times the same, as a file of that size would be; the caller frees it. */
static char *many(const char *before, const char *part, size_t n)
{
	const size_t length = strlen(part);
	char *text = malloc(strlen(before) + n * length + 1), *at;

	assert_non_null(text);
	at = stpcpy(text, before);
	for (size_t i = 0; i < n; i++, at += length)
		memcpy(at, part, length);
	*at = '\0';
	return text;
}

static void too_deep_too_many_too_long(void **state)
{
	static const char *const window =
		"{\"schema\":\"sockfair/"
		"1\",\"window\":{\"final\":true,\"seconds\":1},\"lost\":{\"total\":0},\"kernel\":"
		"{\"release\":\"6\"},\"endpoints\":[";
	static const char *const port =
		"{\"protocol\":\"udp\",\"address\":\"::\",\"port\":9,\"netns\":1,\"sockets\":[],"
		"\"workers\":[],\"fairness\":"
		"{\"sockets\":{\"bins\":0,\"events\":0,\"idle\":0,\"verdict\":\"even\"},"
		"\"workers\":{\"bins\":0,\"events\":0,"
		"\"idle\":0,\"verdict\":\"even\"}}},";
	char *text = many("", "[", 5000), *whole;

	(void)state;
	assert_refused(text, "nested too deeply");
	free(text);
	text = many(window, port, JSON_READER_RESULTS_MAX + 1);
	text[strlen(text) - 1] = ']';
	assert_true(asprintf(&whole, "%s}", text) > 0);
	assert_refused(whole, "results in one file");
	free(whole);
	free(text);
	text = many("{\"schema\":\"sockfair-comparison/1\",\"subjects\":[],\"sides\":[",
		    "{\"name\":\"a\"},", JSON_READER_SIDES_MAX + 1);
	text[strlen(text) - 1] = ']';
	assert_true(asprintf(&whole, "%s}", text) > 0);
	assert_refused(whole, "257 sides");
	free(whole);
	free(text);
	/* Blanks are part of a document too. */
	text = many("{", "                                                                ",
		    (JSON_READER_DOCUMENT_MAX >> 6) + 1);
	assert_refused(text, "more than 64 MiB");
	free(text);
}

static void files_that_can_not_be_read(void **state)
{
	struct comparison c = {};
	char why[JSON_READER_WHY];

	(void)state;
	assert_int_not_equal(json_read_results(&c, "/nonexistent\n/x", "x", 0, why), 0);
	assert_line(why, "No such file");
	assert_int_not_equal(json_read_results(&c, "/", "/", 0, why), 0);
	assert_line(why, "it is a directory");
	comparison_free(&c);
}

/* ---- a saved comparison ---- */

static char *comparison_text(const struct comparison *c)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_int_equal(json_comparison(f, c), 0);
	fclose(f);
	assert_ptr_equal(strchr(text, '\n'), text + size - 1);
	return text;
}

static void arrange(struct comparison *c)
{
	assert_int_equal(comparison_arrange(c), 0);
	assert_int_equal(comparison_judge(c), 0);
}

/* Two files, one with a mode that was skipped; saved, read, and saved again it is the same to the
 * byte. */
static void a_saved_comparison_reads_back(void **state)
{
	struct fixture f;
	struct comparison c = {}, again = {};
	char *first, *second, *saved, *twice, why[JSON_READER_WHY];

	(void)state;
	fixture_init(&f);
	first = document_of(&f.snapshot);
	strcpy(f.snapshot.workload.skipped, "io_uring is disabled");
	f.snapshot.workload.mode = "io-uring";
	second = document_of(&f.snapshot);
	assert_int_equal(read_text(&c, first, why), 0);
	assert_int_equal(read_text(&c, first, why), 0);
	assert_int_equal(read_text(&c, second, why), 0);
	arrange(&c);
	saved = comparison_text(&c);
	assert_int_equal(read_text(&again, saved, why), 0);
	assert_int_equal(again.side_count, 3);
	arrange(&again);
	twice = comparison_text(&again);
	assert_string_equal(saved, twice);
	/* A further file is a further side. */
	comparison_free(&again);
	assert_int_equal(read_text(&again, saved, why), 0);
	assert_int_equal(read_text(&again, first, why), 0);
	assert_int_equal(again.side_count, 4);
	comparison_free(&again);
	for (size_t size = 1; size + 1 < strlen(saved); size += 31) {
		assert_int_not_equal(read_bytes(&again, saved, size, 0, why), 0);
		assert_line(why, "ends in the middle");
		comparison_free(&again);
	}
	assert_refused_with(saved, "\"rate\":8000", "\"rate\":true",
			    "figures.rate is true, not a number");
	assert_refused_with(saved, "\"runs\":[", "\"runs\":[1,",
			    "runs[0] is a number, not an object");
	free(twice);
	free(saved);
	free(second);
	free(first);
	comparison_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(figures_read_back),
		cmocka_unit_test(datagrams_read_back),
		cmocka_unit_test(rows_left_out_read_back),
		cmocka_unit_test(ports_left_out_are_told),
		cmocka_unit_test(older_documents_are_read),
		cmocka_unit_test(several_documents_are_repeats_and_intervals_are_passed_over),
		cmocka_unit_test(a_port_of_a_file),
		cmocka_unit_test(a_run_with_another_setup_is_refused),
		cmocka_unit_test(a_port_twice_in_one_document_is_no_repeat),
		cmocka_unit_test(truncated_anywhere),
		cmocka_unit_test(any_byte_changed),
		cmocka_unit_test(not_our_documents),
		cmocka_unit_test(wrong_fields),
		cmocka_unit_test(too_deep_too_many_too_long),
		cmocka_unit_test(files_that_can_not_be_read),
		cmocka_unit_test(a_saved_comparison_reads_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
