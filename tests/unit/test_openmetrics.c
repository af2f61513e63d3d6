/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pages in both text formats: user/render/openmetrics.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "export_fixture.h"

#include "../../user/render/openmetrics.h"

/* The caller frees it. */
static char *page_of(const struct export_state *x, enum export_format format)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(openmetrics_write(out, x, format), 0);
	assert_int_equal(fclose(out), 0);
	return text;
}

/* A TCP port in a namespace of its own and a UDP port, a window of the first. */
static void fill(struct export_state *x, size_t series_max)
{
	static struct finding finding = { .code = "stalled", .level = FINDING_PROBLEM };
	static struct port_rows tcp, udp;
	struct port_rows *both[] = { &tcp, &udp };
	struct snapshot window;
	struct worker_row *w;

	begun(x, EXPORT_WORKERS_SLOT, series_max);
	assert_int_equal(export_name_lost(x, "runs_missed"), 0);
	x->values[EXPORT_COLLECT_SECONDS] = 0.25;
	port_is(&tcp, PROTOCOL_TCP, 80);
	tcp.e.netns = 5;
	netns_name_add(5, "la\"b");
	snprintf(port_socket(&tcp, 17)->device, 16, "eth0");
	tcp.sockets[0].accepted = tcp.sockets[0].arrived = 3;
	w = port_worker(&tcp, 17, 700, 5);
	w->accepted = 3;
	w->cpu_ns = 100000000;
	snprintf(w->comm, sizeof(w->comm), "a\\b\"c\nd\xff");
	cgroup_set(w->cgroup, "/system.slice/nginx.service");
	tcp.e.waits_by_bound.counts[0] = 1;
	tcp.e.waits_by_bound.counts[WAIT_BOUNDS] = 2;
	tcp.e.waits_by_bound.sum_ns = 12000050000;
	port_is(&udp, PROTOCOL_UDP, 53);
	udp.e.family = AF_INET6;
	memset(udp.e.address, 0, sizeof(udp.e.address));
	port_socket(&udp, 18);
	assert_int_equal(collected(x, 100, both, 2), 0);
	tcp.e.findings = &finding;
	tcp.e.finding_count = 1;
	tcp.e.worker_fairness = (struct fairness){ .events = 3, .cv = 0.125, .cv_expected = NAN };
	window = (struct snapshot){ .endpoints = &tcp.e, .endpoint_count = 1, .seconds = 60 };
	export_window(x, &window, 1796039555.596);
	tcp.e.findings = NULL;
	assert_int_equal(export_limit(x), 0);
}

static void has(const char *page, const char *line)
{
	char whole[1024];

	snprintf(whole, sizeof(whole), "\n%s\n", line);
	if (!strstr(page, whole) && strncmp(page, whole + 1, strlen(whole) - 1) != 0)
		fail_msg("no line '%s' in:\n%s", line, page);
}

#define OF_TCP "netns=\"la\\\"b\",proto=\"tcp\",address=\"127.0.0.1\",port=\"80\",device=\"eth0\""

static void samples_are_as_both_formats_want_them(void **state)
{
	struct export_state x;

	(void)state;
	fill(&x, 1000);
	for (int i = 0; i < EXPORT_FORMATS; i++) {
		char *page = page_of(&x, (enum export_format)i);

		has(page, "sockfair_connections_total{" OF_TCP "} 3");
		has(page, "sockfair_drops_total{" OF_TCP ",reason=\"closing\"} 0");
		has(page, "sockfair_worker_cpu_seconds_total{" OF_TCP ",slot=\"0\"} 0.1");
		has(page, "sockfair_worker_info{" OF_TCP ",slot=\"0\",pid=\"700\",tid=\"700\","
			  "comm=\"a\\\\b\\\"c\\nd?\",unit=\"nginx.service\"} 1");
		has(page, "sockfair_datagrams_received_total{netns=\"\",proto=\"udp\","
			  "address=\"::\",port=\"53\"} 0");
		has(page, "sockfair_accept_wait_seconds_bucket{" OF_TCP ",le=\"0.000104\"} 1");
		has(page, "sockfair_accept_wait_seconds_bucket{" OF_TCP ",le=\"5.24288\"} 1");
		has(page, "sockfair_accept_wait_seconds_bucket{" OF_TCP ",le=\"+Inf\"} 3");
		has(page, "sockfair_accept_wait_seconds_count{" OF_TCP "} 3");
		has(page, "sockfair_accept_wait_seconds_sum{" OF_TCP "} 12.00005");
		has(page, "sockfair_window_cv{" OF_TCP "} 0.125");
		has(page,
		    "sockfair_window_finding{" OF_TCP ",code=\"stalled\",level=\"problem\"} 1");
		has(page, "sockfair_window_design{" OF_TCP ",design=\"unknown\"} 1");
		has(page, "sockfair_build_info{version=\"0.1.0\",backend=\"fentry\","
			  "kernel=\"6.1.0\"} 1");
		has(page, "sockfair_lost_total{reason=\"runs_missed\"} 0");
		has(page, "sockfair_start_time_seconds 1796039495.5");
		assert_null(strstr(page, "nan"));
		assert_null(strstr(page, "cv_expected")); /* no sample, so no head either */
		free(page);
	}
	export_end(&x);
	netns_names_forget();
}

static void heads_are_those_of_the_format(void **state)
{
	struct export_state x;
	char *page;

	(void)state;
	fill(&x, 1000);
	page = page_of(&x, EXPORT_CLASSIC);
	has(page, "# TYPE sockfair_connections_total counter");
	has(page, "# HELP sockfair_connections_total TCP connections taken by accept().");
	has(page, "# TYPE sockfair_build_info gauge");
	has(page, "# TYPE sockfair_accept_wait_seconds histogram");
	assert_null(strstr(page, "# UNIT"));
	assert_null(strstr(page, "# EOF"));
	free(page);
	page = page_of(&x, EXPORT_OPENMETRICS);
	has(page, "# TYPE sockfair_connections counter");
	has(page, "# HELP sockfair_connections TCP connections taken by accept().");
	has(page, "# TYPE sockfair_build info");
	has(page, "# TYPE sockfair_accept_wait_seconds histogram");
	has(page, "# UNIT sockfair_cpu_seconds seconds");
	assert_string_equal(page + strlen(page) - 7, "\n# EOF\n");
	assert_ptr_equal(strstr(page, "# EOF"), page + strlen(page) - 6);
	free(page);
	export_end(&x);
	netns_names_forget();
}

/* The sample lines of a page, in order. */
static char *only_samples(char *page)
{
	char *to = page;

	for (char *line = page, *next; *line; line = next) {
		const size_t length = (next = strchr(line, '\n') + 1) - line;

		if (*line != '#') {
			memmove(to, line, length);
			to += length;
		}
	}
	*to = '\0';
	return page;
}

static size_t count_lines(const char *text)
{
	size_t lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

/* Whatever the limit: what is counted is what is there. */
static void both_formats_have_the_same_samples_as_many_as_they_say(void **state)
{
	(void)state;
	for (size_t max = 20; max < 200; max += 3) {
		struct export_state x;
		char *classic, *open;

		fill(&x, max);
		classic = only_samples(page_of(&x, EXPORT_CLASSIC));
		open = only_samples(page_of(&x, EXPORT_OPENMETRICS));
		assert_string_equal(classic, open);
		assert_int_equal(count_lines(classic), (size_t)x.values[EXPORT_SERIES]);
		assert_true(x.values[EXPORT_SERIES] <= max);
		free(classic);
		free(open);
		export_end(&x);
	}
	netns_names_forget();
}

/* Lines of one family stand together, and no series is there twice. */
static void families_are_together_and_series_once(void **state)
{
	struct export_state x;
	char *page, *seen[400];
	size_t count = 0;

	(void)state;
	fill(&x, 1000);
	page = only_samples(page_of(&x, EXPORT_CLASSIC));
	for (char *line = strtok(page, "\n"); line; line = strtok(NULL, "\n")) {
		*strrchr(line, ' ') = '\0';
		for (size_t i = 0; i < count; i++)
			assert_string_not_equal(seen[i], line);
		assert_in_range(count, 0, 399);
		seen[count++] = line;
	}
	for (size_t i = 0; i < count; i++) {
		const size_t length = strcspn(seen[i], "{ ");
		size_t last = i;

		for (size_t k = i; k < count; k++)
			if (!strncmp(seen[i], seen[k], length) &&
			    strcspn(seen[k], "{ ") == length) {
				assert_in_range(k, last, last + 1);
				last = k;
			}
	}
	free(page);
	export_end(&x);
	netns_names_forget();
}

static void by_pid_the_label_is_the_process(void **state)
{
	static struct port_rows rows;
	struct port_rows *one = &rows;
	struct export_state x;
	char *page;

	(void)state;
	begun(&x, EXPORT_WORKERS_PID, 1000);
	port_is(&rows, PROTOCOL_TCP, 80);
	port_socket(&rows, 17);
	port_worker(&rows, 17, 700, 5)->accepted = 4;
	assert_int_equal(collected(&x, 100, &one, 1), 0);
	page = page_of(&x, EXPORT_CLASSIC);
	has(page,
	    "sockfair_worker_connections_total{netns=\"\",proto=\"tcp\",address=\"127.0.0.1\","
	    "port=\"80\",pid=\"700\"} 4");
	has(page, "sockfair_worker_info{netns=\"\",proto=\"tcp\",address=\"127.0.0.1\",port=\"80\","
		  "pid=\"700\",comm=\"\",unit=\"\"} 1");
	assert_null(strstr(page, "slot="));
	free(page);
	export_end(&x);
}

static void values_are_escaped(void **state)
{
	static const char *const pairs[][2] = {
		{ "plain", "plain" },
		{ "a\"b", "a\\\"b" },
		{ "a\\b", "a\\\\b" },
		{ "a\nb", "a\\nb" },
		{ "a\tb\x1b[31m", "a?b?[31m" },
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
		{ "cut \xc3", "cut ?" },
		{ "\xff\xfe", "??" },
		{ "\xc2\x85", "?" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		char text[64] = "";
		FILE *out = fmemopen(text, sizeof(text), "w");

		openmetrics_label_value(out, pairs[i][0]);
		fclose(out);
		assert_string_equal(text, pairs[i][1]);
	}
}

static void numbers_read_back_are_the_same(void **state)
{
	static const struct {
		double number;
		const char *text;
	} pairs[] = { { 0, "0" },
		      { 17, "17" },
		      { 0.1, "0.1" },
		      { 0.000104, "0.000104" },
		      { 123456789012345, "123456789012345" },
		      { 1e18, "1e+18" },
		      { 0.1 + 0.2, "0.30000000000000004" },
		      { 1796039495.596, "1796039495.596" } };

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		char text[64] = "";
		FILE *out = fmemopen(text, sizeof(text), "w");

		openmetrics_number(out, pairs[i].number);
		fclose(out);
		assert_string_equal(text, pairs[i].text);
		assert_true(strtod(text, NULL) == pairs[i].number);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_are_as_both_formats_want_them),
		cmocka_unit_test(heads_are_those_of_the_format),
		cmocka_unit_test(both_formats_have_the_same_samples_as_many_as_they_say),
		cmocka_unit_test(families_are_together_and_series_once),
		cmocka_unit_test(by_pid_the_label_is_the_process),
		cmocka_unit_test(values_are_escaped),
		cmocka_unit_test(numbers_read_back_are_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
