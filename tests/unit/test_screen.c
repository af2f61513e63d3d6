/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pages of the live view, cell for cell, without a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>

#include <cmocka.h>

#include "../../user/render/columns.h"
#include "../../user/render/screen.h"
#include "../../user/model/judge.h"

struct fixture {
	struct wait_histogram histograms[8]; /* of the web server's sockets, then of its threads */
	struct socket_row web_sockets[4], dns_sockets[2];
	struct worker_row web_workers[5], dns_workers[2];
	struct holder_row holders[1];
	struct finding findings[1];
	struct lost_row lost[1];
	struct endpoint endpoints[2];
	struct snapshot total, before, interval;
	struct screen_state state;
};

static void sockets_init(struct socket_row *rows, int count, uint64_t cookie, uint32_t limit)
{
	for (int i = 0; i < count; i++)
		rows[i] = (struct socket_row){ .cookie = cookie + i,
					       .inode = 300 + cookie + i,
					       .uid = 33,
					       .reuseport = true,
					       .group = cookie,
					       .queue_known = true,
					       .queue_length = i,
					       .queue_limit = limit,
					       .waiting_known = true,
					       .waiting = 1 };
}

static void workers_init(struct worker_row *rows, int count, int pid, const char *name,
			 uint64_t cookie, int sockets)
{
	for (int i = 0; i < count; i++) {
		rows[i] = (struct worker_row){ .number = -1,
					       .pid = pid + i / 2 * 2,
					       .tid = pid + i,
					       .start_ns = 1,
					       .pid_inside = 7 + i,
					       .cookie = cookie + i % sockets,
					       .waits = i % 2 == 0,
					       .can_accept = true };
		sprintf(rows[i].comm, "%s-%d", name, i);
		strcpy(rows[i].process, name);
		sprintf(rows[i].cgroup, "/system.slice/a-long-way-down/%s.service", name);
	}
}

static void web_grows(struct fixture *f, const uint64_t *by)
{
	for (int i = 0; i < 4; i++) {
		f->web_workers[i].accepted += by[i];
		f->web_sockets[i].accepted += by[i];
		f->web_sockets[i].arrived += by[i];
	}
}

/* What `total` is now against `before`. */
static void fixture_judge(struct fixture *f)
{
	for (size_t i = 0; i < f->total.endpoint_count; i++)
		assert_int_equal(endpoint_judge(&f->total.endpoints[i], FAIRNESS_THRESHOLD), 0);
	snapshot_free(&f->interval);
	assert_int_equal(snapshot_difference(&f->interval, &f->total, &f->before), 0);
	for (size_t i = 0; i < f->interval.endpoint_count; i++)
		assert_int_equal(endpoint_judge(&f->interval.endpoints[i], FAIRNESS_THRESHOLD), 0);
}

/*
 * A web server: four threads of two processes, one of which gets next to nothing, and a thread that
 * ended long ago; a name server that loses datagrams.
 */
static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	*state = f;
	sockets_init(f->web_sockets, 4, 41, 511);
	sockets_init(f->dns_sockets, 2, 61, 212992);
	workers_init(f->web_workers, 5, 700, "nginx", 41, 4);
	workers_init(f->dns_workers, 2, 900, "named", 61, 2);
	f->web_workers[4].ended = true;
	f->web_workers[4].accepted = 3456;
	f->holders[0] = (struct holder_row){ .cookie = 42, .pid = 700, .process = "nginx" };
	strcpy(f->findings[0].text, "socket 44 (inode 344) gets connections, but no thread waits "
				    "on it: look at what thread 703 does, or take "
				    "the socket out of the group");
	f->lost[0] = (struct lost_row){ "listener_unknown",
					"accepts whose listening socket could not be told", 7,
					false, false };
	f->endpoints[0] = (struct endpoint){ .protocol = PROTOCOL_TCP,
					     .family = AF_INET,
					     .port = 8080,
					     .netns = 4026531840u,
					     .sockets = f->web_sockets,
					     .socket_count = 4,
					     .workers = f->web_workers,
					     .worker_count = 5,
					     .holders = f->holders,
					     .holder_count = 1,
					     .findings = f->findings,
					     .finding_count = 1 };
	inet_pton(AF_INET, "127.0.0.1", f->endpoints[0].address);
	f->endpoints[1] = (struct endpoint){ .protocol = PROTOCOL_UDP,
					     .family = AF_INET6,
					     .port = 53,
					     .netns = 4026531840u,
					     .sockets = f->dns_sockets,
					     .socket_count = 2,
					     .workers = f->dns_workers,
					     .worker_count = 2 };
	inet_pton(AF_INET6, "::1", f->endpoints[1].address);
	f->state.every = 2;
	f->total = (struct snapshot){ .release = "6.1.0-50-cloud-amd64",
				      .backend = "fentry",
				      .seconds = 3722,
				      .endpoints = f->endpoints,
				      .endpoint_count = 2 };
	web_grows(f, (uint64_t[]){ 4000, 4000, 4000, 100 });
	assert_int_equal(snapshot_copy(&f->before, &f->total), 0);
	f->total.seconds += 2;
	web_grows(f, (uint64_t[]){ 1000, 900, 800, 0 });
	for (int i = 0; i < 2; i++) {
		f->dns_sockets[i].arrived = f->dns_sockets[i].accepted =
			f->dns_workers[i].accepted = 3;
		f->dns_sockets[i].dropped = 5 * i;
	}
	fixture_judge(f);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	snapshot_free(&f->interval);
	snapshot_free(&f->before);
	free(f);
	return 0;
}

static struct grid compose(struct fixture *f, int rows, int columns, bool utf8)
{
	struct grid g;

	assert_int_equal(grid_init(&g, rows, columns, utf8), 0);
	assert_int_equal(screen_compose(&g, &f->interval, &f->total, &f->state), 0);
	return g;
}

/* A row's text without the blanks at its end. */
static char *line_text(const struct grid *g, int row)
{
	static char text[8192];
	enum attribute a;
	size_t used = 0;

	*text = 0;
	for (int column = 0, width; (width = grid_run(g, row, column, text + used, &a)) > 0;
	     column += width)
		used += strlen(text + used);
	while (used && text[used - 1] == ' ')
		text[--used] = 0;
	return text;
}

/* The page as text; blank lines between keep their place. */
static char *page_text(const struct grid *g)
{
	char *text = calloc(g->rows, 4 * g->columns + 2);

	assert_non_null(text);
	for (int row = 0; row < g->rows; row++) {
		strcat(text, line_text(g, row));
		strcat(text, "\n");
	}
	return text;
}

static void assert_page(struct fixture *f, int rows, int columns, const char *expected)
{
	struct grid g = compose(f, rows, columns, true);
	char *text = page_text(&g);

	assert_string_equal(text, expected);
	free(text);
	grid_free(&g);
}

/* The row that begins with (or, after blanks, has) that text; -1: none. */
static int find(const struct grid *g, const char *text)
{
	for (int row = 0; row < g->rows; row++)
		if (strstr(line_text(g, row), text))
			return row;
	return -1;
}

static bool has(struct fixture *f, int rows, int columns, const char *text)
{
	struct grid g = compose(f, rows, columns, true);
	bool found = find(&g, text) >= 0;

	grid_free(&g);
	return found;
}

/* The attribute of the first cell of text on the page. */
static enum attribute attribute_at(struct fixture *f, int columns, const char *text)
{
	struct grid g = compose(f, 24, columns, false);
	int row = find(&g, text), column;
	enum attribute a;

	assert_true(row >= 0);
	column = strstr(line_text(&g, row), text) - line_text(&g, row);
	a = g.glyphs[row * g.columns + column].attribute;
	grid_free(&g);
	return a;
}

static void handshakes_have_a_column_where_there_were_any(void **state)
{
	struct fixture *f = *state;

	f->state.tab = TAB_SOCKETS;
	assert_false(has(f, 24, 160, "half-open"));
	f->web_sockets[1].half_open =
		(struct half_open){ .known = true, .limit = 511, .count = 512, .highest = 512 };
	f->web_sockets[1].drops = f->web_sockets[1].half_open.withheld_most = 34;
	assert_true(has(f, 24, 160, "queue half-open"));
	assert_true(has(f, 24, 160, "1/511   512/511    ≤34"));
	assert_int_equal(attribute_at(f, 160, "512/511"), ATTRIBUTE_RED);
	assert_int_equal(attribute_at(f, 160, "34 "),
			 ATTRIBUTE_NORMAL); /* they may all be withheld ACKs */
}

static int order_of(struct fixture *f, const char *first, const char *second)
{
	struct grid g = compose(f, 24, 80, true);
	int a = find(&g, first), b = find(&g, second);

	assert_true(a >= 0 && b >= 0);
	grid_free(&g);
	return b - a;
}

static void press(struct fixture *f, int key)
{
	assert_int_equal(screen_press(&f->state, key), SCREEN_CHANGED);
}

static void ports_page(void **state)
{
	struct fixture *f = *state;

	f->state.tab = TAB_PORTS;
	assert_page(
		f, 24, 80,
		"sockfair watch  kernel 6.1.0-50-cloud-amd64, fentry, for 1:02:04, every 2 s\n"
		"1 Ports  2 Sockets  3 Workers  4 Processes       by events/s, shares since start\n"
		"\n"
		"port                                  events/s       total    sockets    workers\n"
		"tcp 127.0.0.1:8080                       1,350      18,256   4 uneven   4 uneven\n"
		"udp [::1]:53                               5.5          11   2 flows?   2 flows?\n"
		"\n"
		"tcp 127.0.0.1:8080  1,350/s, 18,256 since start  4 threads of 2 processes, a SO…\n"
		"  sockets   uneven: CV 0.562 (fair 0.014), busiest 1.35x mean, 0 of 4 idle\n"
		"  workers   uneven: CV 0.562 (fair 0.014), busiest 1.35x mean, 0 of 4 idle\n"
		"  processes uneven: CV 0.338 (fair 0.008), busiest 1.34x mean, 0 of 2 idle\n"
		"  ! socket 44 (inode 344) gets connections, but no thread waits on it: look at\n"
		"    what thread 703 does, or take the socket out of the group\n"
		"\n"
		"\n"
		"\n"
		"\n"
		"\n"
		"\n"
		"\n"
		"\n"
		"\n"
		"\n"
		"q quit  h help  1-4 tabs  Enter open  s sort  t interval  f freeze  z reset\n");
}

static void sockets_page(void **state)
{
	struct fixture *f = *state;

	f->state.tab = TAB_SOCKETS;
	assert_page(
		f, 24, 80,
		"sockfair watch  kernel 6.1.0-50-cloud-amd64, fentry, for 1:02:04, every 2 s\n"
		"1 Ports  2 Sockets  3 Workers  4 Processes          by total, shares since start\n"
		"\n"
		"  socket    inode arrived/s       total     queue  drops waiting  share\n"
		"tcp 127.0.0.1:8080  1,350/s, 18,256 since start  ! 1 finding\n"
		"  sockets   uneven: CV 0.562 (fair 0.014), busiest 1.35x mean, 0 of 4 idle\n"
		"      41      341       500       5,000     0/511      0       1  33.8% ████████\n"
		"      42      342       450       4,900     1/511      0       1  33.1% ███████▉\n"
		"      43      343       400       4,800     2/511      0       1  32.4% ███████▋\n"
		"      44      344         0         100     3/511      0       1   0.7% ▏\n"
		"\n"
		"udp [::1]:53  5.5/s, 11 since start\n"
		"  sockets   flows unknown: CV 0.000, busiest 1.00x mean, 0 of 2 idle\n"
		"      61      361       1.5           3  0/212992      0       1  50.0% ████████\n"
		"      62      362       1.5           3  1/212992      5       1  50.0% ████████\n"
		"\n"
		"\n"
		"\n"
		"\n"
		"\n"
		"\n"
		"\n"
		"\n"
		"q quit  h help  1-4 tabs  s sort  t interval  f freeze  z reset\n");
}

static void workers_page(void **state)
{
	struct fixture *f = *state;

	f->state.tab = TAB_WORKERS;
	assert_page(
		f, 24, 80,
		"sockfair watch  kernel 6.1.0-50-cloud-amd64, fentry, for 1:02:04, every 2 s\n"
		"1 Ports  2 Sockets  3 Workers  4 Processes          by total, shares since start\n"
		"\n"
		"    pid     tid thread           socket  taken/s      total state  share\n"
		"tcp 127.0.0.1:8080  1,350/s, 18,256 since start  ! 1 finding\n"
		"  workers   uneven: CV 0.562 (fair 0.014), busiest 1.35x mean, 0 of 4 idle\n"
		"    700     700 nginx-0              41      500      5,000 waits  27.4% ███████\n"
		"    700     701 nginx-1              42      450      4,900 busy   26.8% ██████▉\n"
		"    702     702 nginx-2              43      400      4,800 waits  26.3% ██████▊\n"
		"    702     703 nginx-3              44        0        100 busy    0.5% ▏\n"
		"  and 1 ended with 3,456\n"
		"\n"
		"udp [::1]:53  5.5/s, 11 since start\n"
		"  workers   flows unknown: CV 0.000, busiest 1.00x mean, 0 of 2 idle\n"
		"    900     900 named-0              61      1.5          3 waits  50.0% ███████\n"
		"    900     901 named-1              62      1.5          3 busy   50.0% ███████\n"
		"\n"
		"\n"
		"\n"
		"\n"
		"\n"
		"\n"
		"\n"
		"q quit  h help  1-4 tabs  s sort  t interval  f freeze  z reset\n");
}

static void processes_page(void **state)
{
	struct fixture *f = *state;

	f->state.tab = TAB_PROCESSES;
	assert_page(
		f, 24, 80,
		"sockfair watch  kernel 6.1.0-50-cloud-amd64, fentry, for 1:02:04, every 2 s\n"
		"1 Ports  2 Sockets  3 Workers  4 Processes          by total, shares since start\n"
		"\n"
		"    pid process         threads waiting   taken/s       total  share\n"
		"tcp 127.0.0.1:8080  1,350/s, 18,256 since start  ! 1 finding\n"
		"  processes uneven: CV 0.338 (fair 0.008), busiest 1.34x mean, 0 of 2 idle\n"
		"    700 nginx                 2       1       950       9,900  54.2% ███████████\n"
		"    702 nginx                 2       1       400       4,900  26.8% █████▌\n"
		"  and 1 ended with 3,456\n"
		"\n"
		"udp [::1]:53  5.5/s, 11 since start\n"
		"  processes nothing to compare: only one\n"
		"    900 named                 2       1       3.0           6 100.0% ███████████\n"
		"\n"
		"\n"
		"\n"
		"\n"
		"\n"
		"\n"
		"\n"
		"\n"
		"\n"
		"\n"
		"q quit  h help  1-4 tabs  s sort  t interval  f freeze  z reset\n");
}

static void wide_pages_have_more_columns_and_longer_bars(void **state)
{
	struct fixture *f = *state;

	f->state.tab = TAB_WORKERS;
	assert_true(has(f, 50, 200, "  inside thread          process         unit or cgroup "));
	assert_true(has(f, 50, 200,
			"    700     700       7 nginx-0         nginx           nginx.service     "
			"                   "));
	strcpy(f->web_workers[0].cgroup,
	       "/docker/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef/"
	       "nginx.service");
	assert_true(has(f, 50, 200, "nginx           nginx.service of container 01234 "));
	strcpy(f->web_workers[0].cgroup, "/a/long/way/down/to/the/last/of/nginx");
	assert_true(has(f, 50, 200, "nginx           …g/way/down/to/the/last/of/nginx "));
	assert_true(has(f, 50, 200, "27.4% █████████████████████████████████████████████████████"));
	assert_false(has(f, 50, 80, " unit or "));
	f->state.tab = TAB_SOCKETS;
	assert_true(has(f, 50, 200, "nginx (700)"));
	assert_false(has(f, 50, 80, "nginx (700)"));
	f->state.tab = TAB_PORTS;
	assert_true(has(f, 50, 200, "   CV fair hash  busiest       idle processes"));
}

/* The web server's connections wait: 27 us, of the second socket 1.2 ms, since the start and for
 * longer in the interval. */
static void with_waits(struct fixture *f)
{
	f->endpoints[0].histograms = f->histograms;
	f->endpoints[0].histogram_count = 8;
	for (int i = 0; i < 4; i++) {
		struct socket_row *s = &f->web_sockets[i];
		struct worker_row *w = &f->web_workers[i];

		s->wait_known = w->wait_known = s->highest_known = w->open_known = w->serves = true;
		s->queue_highest = 10 + i;
		w->open = 3 * i;
		w->served = 100 * i;
		w->handed.count = i;
		if (i == 3)
			continue; /* none came */
		f->histograms[i].slots[wait_slot(i == 1 ? 1240 : 27)] = 100;
		s->wait = (struct wait){ .count = 100,
					 .sum_ns = 2700000,
					 .max_ns = i == 1 ? 3400000000 : 31000,
					 .histogram = 1 + i };
		w->wait = s->wait;
	}
	fixture_judge(f);
}

static void waits_at_80_columns(void **state)
{
	struct fixture *f = *state;

	with_waits(f);
	f->state.tab = TAB_SOCKETS;
	assert_page(
		f, 16, 80,
		"sockfair watch  kernel 6.1.0-50-cloud-amd64, fentry, for 1:02:04, every 2 s\n"
		"1 Ports  2 Sockets  3 Workers  4 Processes          by total, shares since start\n"
		"\n"
		"  socket    inode arrived/s       total     queue  drops wait p99  share\n"
		"tcp 127.0.0.1:8080  1,350/s, 18,256 since start  ! 1 finding\n"
		"  sockets   uneven: CV 0.562 (fair 0.014), busiest 1.35x mean, 0 of 4 idle\n"
		"  wait      p50 27 us, p99 1.2 ms, max 3.4 s; highest queue 13\n"
		"      41      341       500       5,000     0/511      0    27 us  33.8% ███████\n"
		"      42      342       450       4,900     1/511      0   1.2 ms  33.1% ██████▉\n"
		"      43      343       400       4,800     2/511      0    27 us  32.4% ██████▊\n"
		"      44      344         0         100     3/511      0        -   0.7% ▏\n"
		"\n"
		"udp [::1]:53  5.5/s, 11 since start\n"
		"  sockets   flows unknown: CV 0.000, busiest 1.00x mean, 0 of 2 idle\n"
		"      61      361       1.5           3  0/212992      0        -  50.0% ███████\n"
		"q quit  h help  1-4 tabs  s sort  t interval  f freeze  z reset\n");
}

static void waits_on_wider_pages(void **state)
{
	struct fixture *f = *state;

	with_waits(f);
	f->state.tab = TAB_SOCKETS;
	assert_page(
		f, 12, 115,
		"sockfair watch  kernel 6.1.0-50-cloud-amd64, fentry, for 1:02:04, every 2 s\n"
		"1 Ports  2 Sockets  3 Workers  4 Processes                                        "
		"     by total, shares since start\n"
		"\n"
		"  socket    inode arrived/s       total     queue highest  drops wait p50 wait "
		"p99 wait max waiting  share\n"
		"tcp 127.0.0.1:8080  1,350/s, 18,256 since start  ! 1 finding\n"
		"  sockets   uneven: CV 0.562 (fair hash 0.014), busiest 1.35x mean, 0 of 4 idle\n"
		"  wait      p50 27 us, p99 1.2 ms, max 3.4 s; highest queue 13\n"
		"      41      341       500       5,000     0/511      10      0    27 us    27 "
		"us    31 us       1  33.8% ████████\n"
		"      42      342       450       4,900     1/511      11      0   1.2 ms   1.2 "
		"ms    3.4 s       1  33.1% ███████▉\n"
		"      43      343       400       4,800     2/511      12      0    27 us    27 "
		"us    31 us       1  32.4% ███████▋\n"
		"      44      344         0         100     3/511      13      0        -        "
		"-        -       1   0.7% ▏\n"
		"q quit  h help  1-4 tabs  s sort  t interval  f freeze  z reset\n");
	f->state.tab = TAB_WORKERS;
	assert_page(
		f, 12, 115,
		"sockfair watch  kernel 6.1.0-50-cloud-amd64, fentry, for 1:02:04, every 2 s\n"
		"1 Ports  2 Sockets  3 Workers  4 Processes                                        "
		"     by total, shares since start\n"
		"\n"
		"    pid     tid thread           socket  taken/s      total    served   open wait "
		"p99 state  share\n"
		"tcp 127.0.0.1:8080  1,350/s, 18,256 since start  ! 1 finding\n"
		"  workers   uneven: CV 0.562 (fair hash 0.014), busiest 1.35x mean, 0 of 4 idle\n"
		"    700     700 nginx-0              41      500      5,000         0      0    "
		"27 us waits  27.4% ████████████████\n"
		"    700     701 nginx-1              42      450      4,900       100      3   "
		"1.2 ms busy   26.8% ███████████████▋\n"
		"    702     702 nginx-2              43      400      4,800       200      6    "
		"27 us waits  26.3% ███████████████▍\n"
		"    702     703 nginx-3              44        0        100       300      9      "
		"  - busy    0.5% ▍\n"
		"  and 1 ended with 3,456\n"
		"q quit  h help  1-4 tabs  s sort  t interval  f freeze  z reset\n");
	f->state.tab = TAB_PROCESSES;
	assert_page(
		f, 12, 100,
		"sockfair watch  kernel 6.1.0-50-cloud-amd64, fentry, for 1:02:04, every 2 s\n"
		"1 Ports  2 Sockets  3 Workers  4 Processes                              by total, "
		"shares since start\n"
		"\n"
		"    pid process         threads waiting   taken/s       total    served    open  "
		"share\n"
		"tcp 127.0.0.1:8080  1,350/s, 18,256 since start  ! 1 finding\n"
		"  processes uneven: CV 0.338 (fair hash 0.008), busiest 1.34x mean, 0 of 2 idle\n"
		"    700 nginx                 2       1       950       9,900       100       3  "
		"54.2% █████████████\n"
		"    702 nginx                 2       1       400       4,900       500      15  "
		"26.8% ██████▍\n"
		"  and 1 ended with 3,456\n"
		"\n"
		"udp [::1]:53  5.5/s, 11 since start\n"
		"q quit  h help  1-4 tabs  s sort  t interval  f freeze  z reset\n");
	f->state.tab = TAB_PORTS;
	assert_true(
		has(f, 24, 80, "  wait      p50 27 us, p99 1.2 ms, max 3.4 s; highest queue 13"));
}

static void waits_sort_and_follow_the_interval(void **state)
{
	struct fixture *f = *state;
	struct endpoint *interval;

	with_waits(f);
	f->state.tab = TAB_SOCKETS;
	while (!has(f, 24, 80, "by wait p99, "))
		press(f, 's');
	assert_true(order_of(f, "      42      342", "      41      341") > 0);
	assert_true(order_of(f, "      41      341", "      44      344") >
		    0); /* what is not known is least */
	press(f, 'S');
	assert_true(order_of(f, "      44      344", "      41      341") > 0);
	/* In the interval the first socket was the slow one. */
	interval = &f->interval.endpoints[0];
	memset(interval->histograms, 0, sizeof(f->histograms));
	interval->histograms[0].slots[wait_slot(5000)] = 1;
	interval->sockets[0].wait =
		(struct wait){ .count = 1, .sum_ns = 5000000, .max_ns = 5000000, .histogram = 1 };
	interval->sockets[1].wait = (struct wait){};
	assert_true(has(f, 24, 104, "   1.2 ms    3.4 s "));
	press(f, 't');
	assert_true(has(f, 24, 104, "   4.9 ms   4.9 ms   5.0 ms "));
	assert_false(has(f, 24, 104, "   1.2 ms    3.4 s "));
	assert_true(has(f, 24, 104, "  wait      p50 "));
}

static void findings_have_levels(void **state)
{
	struct fixture *f = *state;

	f->findings[0].level = FINDING_NOTE;
	f->state.tab = TAB_PORTS;
	assert_int_equal(attribute_at(f, 80, "i socket 44"), ATTRIBUTE_DIM);
	f->state.tab = TAB_SOCKETS;
	assert_int_equal(attribute_at(f, 80, "i 1 note"), ATTRIBUTE_DIM);
	f->findings[0].level = FINDING_GOOD;
	assert_false(has(f, 24, 80, "1 note"));
	assert_false(has(f, 24, 80, "1 finding"));
	f->state.tab = TAB_PORTS;
	assert_true(has(f, 24, 80, "  ✓ socket 44"));
	assert_int_equal(attribute_at(f, 80, "ok socket 44"), ATTRIBUTE_GREEN);
}

static void a_steered_port_says_so(void **state)
{
	struct fixture *f = *state;

	f->total.endpoints[0].lookup = (struct lookup_program){
		.id = 9, .ours = true, .pid = 812, .process = "sockfair", .since_ms = 42127000
	};
	for (int tab = TAB_PORTS; tab < TAB_COUNT; tab++) {
		f->state.tab = (enum screen_tab)tab;
		assert_false(has(f, 24, 80, "steered"));
	}
	f->total.endpoints[0].lookup.steers = true;
	for (int tab = TAB_PORTS; tab < TAB_COUNT; tab++) {
		f->state.tab = (enum screen_tab)tab;
		assert_true(has(f, 24, 80, "  steered by sockfair (pid 812) since 11:42:07 UTC"));
	}
}

static void every_size_holds_with_waits(void **state)
{
	struct fixture *f = *state;

	with_waits(f);
	f->web_sockets[0].queue_highest = UINT32_MAX;
	f->web_sockets[0].wait.max_ns = f->web_sockets[0].wait.sum_ns = f->web_workers[0].open =
		f->web_workers[0].served = UINT64_MAX;
	f->web_sockets[1].wait.histogram = 0;
	for (int columns = 40; columns < 230; columns++) {
		for (int tab = 0; tab < TAB_COUNT; tab++) {
			struct grid g;

			f->state.tab = tab;
			g = compose(f, 24, columns, columns % 2);
			assert_int_equal(find(&g, "q quit"), 23);
			if (tab)
				if (find(&g, "share") < 0)
					fail_msg("tab %d of %d columns: %s", tab, columns,
						 line_text(&g, 3));
			grid_free(&g);
		}
	}
}

static void small_terminals_are_told(void **state)
{
	static const int sizes[][2] = { { 1, 1 },   { 1, 80 }, { 7, 80 },
					{ 24, 39 }, { 24, 1 }, { 0, 0 } };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct grid g = compose(f, sizes[i][0], sizes[i][1], true);

		assert_string_equal(line_text(&g, 0),
				    sizes[i][1] >= 39 ? "too small: needs 40x8" : "…");
		grid_free(&g);
	}
}

/* Every size, tab and state stays within the page (the sanitizers watch), and the smallest page is
 * one. */
static void every_size_holds(void **state)
{
	struct fixture *f = *state;

	f->total.lost = f->lost;
	f->total.lost_count = 1;
	f->state.filter = "port 8080";
	strcpy(f->state.notice, "counting from zero");
	for (int columns = 38; columns < 210; columns += 3) {
		for (int rows = 8; rows < 30; rows += 7) {
			for (int tab = 0; tab < TAB_COUNT; tab++) {
				struct grid g;

				f->state.tab = tab;
				f->state.help = rows == 15;
				f->state.move = columns % 5 - 2;
				g = compose(f, rows, columns, columns % 2);
				if (columns >= 40)
					assert_true(find(&g, "q quit") == rows - 1);
				grid_free(&g);
			}
		}
	}
}

static void verdicts_have_colours(void **state)
{
	struct fixture *f = *state;

	f->state.tab = TAB_SOCKETS;
	assert_int_equal(attribute_at(f, 80, "uneven:"), ATTRIBUTE_RED);
	assert_int_equal(attribute_at(f, 80, "flows unknown:"), ATTRIBUTE_YELLOW);
	assert_int_equal(attribute_at(f, 80, "##"), ATTRIBUTE_RED);
	assert_int_equal(attribute_at(f, 80, "2 Sockets"), ATTRIBUTE_REVERSE);
	assert_int_equal(attribute_at(f, 80, "3 Workers"), ATTRIBUTE_NORMAL);
	assert_int_equal(attribute_at(f, 80, "! 1 finding"), ATTRIBUTE_YELLOW);
	f->state.tab = TAB_PORTS;
	assert_int_equal(attribute_at(f, 80, "tcp 127.0.0.1:8080"),
			 ATTRIBUTE_REVERSE); /* the cursor */
	assert_int_equal(attribute_at(f, 80, "udp [::1]:53"), ATTRIBUTE_NORMAL);
}

static void even_is_green(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 4; i++)
		f->web_sockets[i].arrived = 5000 + i;
	fixture_judge(f);
	f->state.tab = TAB_SOCKETS;
	assert_int_equal(
		attribute_at(f, 80, "even: CV 0.000 (fair 0.012), busiest 1.00x mean, 0 of 4 idle"),
		ATTRIBUTE_GREEN);
}

static void a_full_queue_is_red(void **state)
{
	struct fixture *f = *state;

	f->state.tab = TAB_SOCKETS;
	f->web_sockets[0].queue_length = 512; /* a backlog of 511 holds 512 */
	assert_int_equal(attribute_at(f, 80, "512/511"), ATTRIBUTE_RED);
	f->web_sockets[0].queue_length = 511;
	assert_int_equal(attribute_at(f, 80, "511/511"), ATTRIBUTE_YELLOW);
	f->dns_sockets[0].queue_length = 212992;
	assert_true(has(f, 24, 80, " 213k/213k "));
	f->web_sockets[0].queue_known = false;
	assert_false(has(f, 24, 80, "511/511"));
}

static void rows_that_ended_are_marked_then_folded(void **state)
{
	struct fixture *f = *state;

	f->state.tab = TAB_WORKERS;
	assert_true(has(f, 24, 80, "  and 1 ended with 3,456"));
	assert_false(has(f, 24, 80, "nginx-4"));
	f->before.endpoints[0].workers[4].ended = false; /* it ended in this interval */
	f->before.endpoints[0].workers[4].accepted = 3000;
	fixture_judge(f);
	assert_false(has(f, 24, 80, "ended with"));
	assert_true(has(f, 24, 80, "nginx-4              41      228      3,456 ended"));
	assert_int_equal(attribute_at(f, 80, "nginx-4"), ATTRIBUTE_DIM);
	assert_true(has(f, 24, 60, " ended"));
}

static void rows_beyond_the_limit_are_told(void **state)
{
	struct fixture *f = *state;

	f->endpoints[0].omitted =
		(struct omitted){ .sockets = 12, .workers = 34, .arrived = 5678, .accepted = 9012 };
	f->state.tab = TAB_SOCKETS;
	assert_true(has(f, 24, 80, "  and 12 more, beyond what is listed, with 5,678"));
	f->state.tab = TAB_WORKERS;
	assert_true(has(f, 24, 80, "  and 34 more threads, beyond what is listed, with 9,012"));
	/* They count where shares are made: 5,000 of 18,256 + 3,456 + 9,012. */
	assert_true(has(f, 24, 80, "5,000 waits  18.3% "));
}

static void idle_rows_are_shown(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 5; i++)
		f->web_workers[i].accepted = f->before.endpoints[0].workers[i].accepted = 0;
	fixture_judge(f);
	f->state.tab = TAB_WORKERS;
	assert_true(
		has(f, 24, 80,
		    "    702     703 nginx-3              44        0          0 busy       -"));
}

static void sort_goes_round_and_back(void **state)
{
	struct fixture *f = *state;

	f->state.tab = TAB_WORKERS;
	assert_true(order_of(f, "nginx-0", "nginx-3") > 0); /* by total */
	press(f, 'S');
	assert_true(has(f, 24, 80, "by total reversed"));
	assert_true(order_of(f, "nginx-0", "nginx-3") < 0);
	press(f, 's');
	assert_true(has(f, 24, 80, "by tid, "));
	f->web_workers[0].accepted = 0;
	assert_true(order_of(f, "nginx-0", "nginx-3") > 0);
	press(f, 's');
	assert_true(has(f, 24, 80, "by thread"));
	press(f, 's');
	assert_true(has(f, 24, 80, "by socket"));
	press(f, 's');
	assert_true(has(f, 24, 80, "by taken/s"));
	press(f, 's');
	assert_true(has(f, 24, 80, "by total, "));
	assert_true(order_of(f, "nginx-3", "nginx-0") > 0);
}

static void ports_sort_by_each_column(void **state)
{
	struct fixture *f = *state;

	assert_true(order_of(f, "tcp 127.0.0.1:8080  ", "udp [::1]:53") != 0);
	for (int i = 0; i < 4; i++) {
		struct row a[2], *rows;
		struct view v = { &f->interval, &f->total, false, false, 0 };
		struct column columns[TAB_COLUMNS_MAX];
		const struct column *sort;
		struct table t;
		size_t count;

		assert_int_equal(rows_of_ports(&rows, &count, &v), 0);
		assert_int_equal(count, 2);
		tab_table(&t, columns, TAB_PORTS, &v, 80);
		sort = tab_sort(&t, TAB_PORTS, i);
		tab_order(rows, count, sort, false);
		memcpy(a, rows, sizeof(a));
		tab_order(rows, count, sort, true);
		assert_ptr_equal(a[0].endpoint, rows[1].endpoint);
		/* The name server has lost datagrams, and udp comes after tcp. */
		assert_int_equal(a[0].endpoint->port, sort->title[0] == 'd' ? 53 : 8080);
		free(rows);
	}
}

static void names_that_are_no_text_are_harmless(void **state)
{
	struct fixture *f = *state;

	f->state.tab = TAB_WORKERS;
	memcpy(f->web_workers[0].comm, "a\x1b[2J\n\xff\xc3_\xe2\x82zz78901234",
	       16); /* full: no NUL at its end */
	memcpy(f->web_workers[1].comm, "na\xc3\xafve\0", 7);
	memcpy(f->web_workers[2].comm, "\xe6\xbc\xa2\xe5\xad\x97!\0", 8); /* two wide characters */
	memcpy(f->web_workers[3].comm, "x\xcc\x81y\xe2\x80\xaez\0",
	       8); /* a combining accent, a change of direction */
	assert_true(has(f, 24, 80, " a?[2J???_?\?zz7… "));
	assert_true(has(f, 24, 80, " naïve                42 "));
	assert_true(has(f, 24, 80, " 漢字!                43 "));
	assert_true(has(f, 24, 80, " x?y?z                44 "));
	struct grid g = compose(f, 24, 80, false);
	assert_true(find(&g, " na?ve                42 ") >= 0);
	for (int i = 0; i < 24 * 80; i++)
		assert_true(g.glyphs[i].text[0] >= ' ' && g.glyphs[i].text[0] < 0x7f);
	grid_free(&g);
}

static void huge_counts_keep_their_columns(void **state)
{
	struct fixture *f = *state;

	f->state.tab = TAB_WORKERS;
	f->web_workers[0].accepted = UINT64_MAX;
	f->web_workers[1].accepted = 12345678901;
	f->web_workers[2].accepted = 1234567890;
	fixture_judge(f);
	assert_true(has(f, 24, 80, " 9.22E      18.4E waits 100.0% "));
	assert_true(has(f, 24, 80, " 6.17G      12.3G busy"));
	assert_true(has(f, 24, 80, " 1234567890 waits"));
}

static void no_time_makes_no_rate(void **state)
{
	struct fixture *f = *state;

	f->interval.seconds = 0;
	assert_true(has(f, 24, 80, "tcp 127.0.0.1:8080                           -      18,256"));
	f->interval.seconds = 10000;
	assert_true(has(f, 24, 80, "udp [::1]:53                              <0.1"));
}

static void nothing_yet_says_what_it_waits_for(void **state)
{
	struct fixture *f = *state;
	const struct snapshot nothing = {};
	struct grid g;

	for (int tab = 0; tab < TAB_COUNT; tab++) {
		f->state.tab = tab;
		f->state.filter = NULL;
		assert_int_equal(grid_init(&g, 24, 80, true), 0);
		assert_int_equal(screen_compose(&g, &nothing, &nothing, &f->state), 0);
		assert_int_equal(find(&g, "waiting for the first connection or datagram"), 3);
		grid_free(&g);
		f->state.filter = "port 8080, tcp";
		assert_int_equal(grid_init(&g, 24, 80, true), 0);
		assert_int_equal(screen_compose(&g, &nothing, &nothing, &f->state), 0);
		assert_int_equal(find(&g, "only            port 8080, tcp"), 1);
		assert_int_equal(find(&g, "waiting for a socket that matches: port 8080, tcp"), 4);
		grid_free(&g);
	}
	assert_int_equal(screen_press(&f->state, SCREEN_ENTER), SCREEN_IGNORED);
}

static void what_is_lost_is_told(void **state)
{
	struct fixture *f = *state;

	assert_false(has(f, 24, 120, "lower bounds"));
	f->total.lost = f->lost;
	f->total.lost_count = 1;
	assert_true(has(f, 24, 120,
			"≥ all counts are lower bounds, 7 lost: 7 accepts whose listening socket "
			"could not be told"));
	assert_int_equal(attribute_at(f, 120, ">= all counts"), ATTRIBUTE_RED);
}

/* The first picture's interval is no time at all, and one that z began is short. */
static void the_interval_is_as_it_was_asked_for(void **state)
{
	static const struct {
		double seconds;
		const char *said;
	} intervals[] = { { 1, ", every 1 s" },
			  { 0.25, ", every 0.25 s" },
			  { 2.5, ", every 2.5 s" },
			  { 600, ", every 600 s" } };
	struct fixture *f = *state;

	f->interval.seconds = 0.0003;
	for (size_t i = 0; i < sizeof(intervals) / sizeof(*intervals); i++) {
		f->state.every = intervals[i].seconds;
		if (!has(f, 24, 120, intervals[i].said))
			fail_msg("%g: not \"%s\"", intervals[i].seconds, intervals[i].said);
	}
}

static void own_cost_is_in_the_header(void **state)
{
	struct fixture *f = *state;

	assert_false(has(f, 24, 120, "own cost"));
	f->total.own_cost.known = true;
	f->interval.own_cost = (struct own_cost){ .ns = 30000000, .process_ns = 1000000 };
	f->interval.seconds = 2;
	assert_true(has(f, 24, 120, ", every 2 s, own cost 1.50 % + 0.05 % of a CPU"));
}

static void a_withheld_verdict_says_why(void **state)
{
	struct fixture *f = *state;

	f->endpoints[0].lost.accepted = 7;
	assert_int_equal(endpoint_judge(&f->endpoints[0], FAIRNESS_THRESHOLD), 0);
	assert_true(has(f, 24, 80, "  workers   withheld: some of these were not counted"));
	assert_true(has(f, 24, 80, "4 withheld"));
	f->lost[0].at_most = true;
	f->total.lost = f->lost;
	f->total.lost_count = 1;
	assert_true(has(f, 24, 120, "7 lost: at most 7 accepts"));
	f->state.tab = TAB_WORKERS;
	assert_true(has(f, 24, 80, "  workers   withheld: some of these were not counted"));
}

/* Nothing lived through the window: the verdict is about what ended, so that is shown. */
static void what_is_judged_is_not_folded(void **state)
{
	struct fixture *f = *state;

	f->state.tab = TAB_WORKERS;
	for (int i = 0; i < 4; i++)
		f->web_workers[i].appeared = f->web_workers[i].ended = true;
	assert_int_equal(endpoint_judge(&f->endpoints[0], FAIRNESS_THRESHOLD), 0);
	assert_int_equal(f->endpoints[0].worker_fairness.bins, 1);
	assert_false(has(f, 24, 80, "ended with"));
	assert_true(has(f, 24, 80, "nginx-4              41        0      3,456 ended"));
}

/* Its threads may live on for their connections. */
static void an_old_generation_is_marked_then_folded(void **state)
{
	struct fixture *f = *state;

	f->state.tab = TAB_WORKERS;
	for (int i = 0; i < 4; i++)
		f->web_workers[i].appeared = true;
	assert_int_equal(endpoint_judge(&f->endpoints[0], FAIRNESS_THRESHOLD), 0);
	assert_int_equal(f->endpoints[0].worker_fairness.bins, 4);
	assert_true(has(f, 24, 80, "and 1 ended with 3,456"));
	f->web_workers[4].ended = f->web_workers[4].waits = false;
	f->web_workers[4].quiet_ns = 1000000000;
	for (int i = 0; i < 4; i++)
		f->web_workers[i].lived_ns = 1000000000;
	assert_int_equal(endpoint_judge(&f->endpoints[0], FAIRNESS_THRESHOLD), 0);
	assert_int_equal(f->endpoints[0].worker_fairness.bins, 4);
	assert_true(has(f, 24, 80, "nginx-4              41        0      3,456 old"));
}

/* The page of one port lists all, for one can scroll. */
static void a_wide_process_is_folded(void **state)
{
	struct fixture *f = *state;
	struct worker_row
		workers[141] = {}; /* 70 threads on two sockets each, and another process */

	for (int i = 0; i < 140; i++) {
		workers[i] = (struct worker_row){ .number = -1,
						  .pid = 700,
						  .tid = 700 + i / 2,
						  .cookie = 41 + i % 2,
						  .can_accept = true,
						  .accepted = i / 2 < 10 ? 0 : i };
		strcpy(workers[i].comm, "pool");
	}
	workers[140] = (struct worker_row){ .number = -1,
					    .pid = 900,
					    .tid = 900,
					    .cookie = 41,
					    .can_accept = true,
					    .accepted = 1,
					    .comm = "other" };
	f->endpoints[0].workers = workers;
	f->endpoints[0].worker_count = 141;
	f->state.tab = TAB_WORKERS;
	assert_true(has(f, 30, 80, "  pool × 65 of 700: 8,195 accepted, busiest 257, 10 idle"));
	assert_true(has(f, 30, 80, "    700     769 pool "));
	assert_false(has(f, 30, 80, "    700     710 pool "));
	assert_true(has(f, 30, 80, "    900     900 other"));
	f->state.selected = true;
	f->state.chosen = f->endpoints[0];
	assert_false(has(f, 200, 80, " of 700: "));
	assert_true(has(f, 200, 80, "    700     710 pool "));
}

static void the_interval_has_its_own_shares(void **state)
{
	struct fixture *f = *state;

	f->state.tab = TAB_WORKERS;
	assert_true(has(f, 24, 80, "5,000 waits  27.4% "));
	press(f, 't');
	assert_true(has(f, 24, 80, "5,000 waits  37.0% "));
	assert_true(
		has(f, 24, 80,
		    "  workers   uneven: CV 0.587 (fair 0.033), busiest 1.48x mean, 1 of 4 idle"));
	assert_true(has(f, 24, 80, "shares of the interval"));
	f->interval.endpoint_count = 1; /* the name server is not in it */
	assert_true(has(f, 24, 80, "udp [::1]:53  0/s, 11 since start"));
	f->interval.endpoint_count = 2;
}

static void enter_shows_one_port_and_back_all(void **state)
{
	struct fixture *f = *state;

	assert_true(
		has(f, 24, 80, "tcp 127.0.0.1:8080  1,350/s")); /* the first is under the cursor */
	press(f, SCREEN_DOWN);
	assert_true(has(f, 24, 80, "udp [::1]:53  5.5/s"));
	press(f, SCREEN_DOWN); /* no further */
	assert_true(has(f, 24, 80, "udp [::1]:53  5.5/s"));
	press(f, SCREEN_UP);
	assert_true(has(f, 24, 80, "tcp 127.0.0.1:8080  1,350/s"));
	press(f, SCREEN_ENTER);
	assert_int_equal(f->state.tab, TAB_WORKERS);
	assert_true(has(f, 24, 80, "nginx-0"));
	assert_false(has(f, 24, 80, "named-0"));
	assert_true(has(f, 24, 80, "  ! socket 44 (inode 344) gets connections"));
	assert_true(has(f, 24, 80, "Esc all"));
	f->total.endpoints++;
	f->total.endpoint_count = 1;
	assert_true(
		has(f, 24, 80, "tcp 127.0.0.1:8080 is not there any more; Esc shows all ports"));
	f->total.endpoints--;
	f->total.endpoint_count = 2;
	press(f, SCREEN_BACK);
	assert_int_equal(f->state.tab, TAB_PORTS);
	press(f, '3');
	assert_true(has(f, 24, 80, "nginx-0"));
	assert_true(has(f, 24, 80, "named-0"));
}

static void the_cursor_stays_on_its_port(void **state)
{
	struct fixture *f = *state;

	press(f, SCREEN_END);
	assert_true(has(f, 24, 80, "udp [::1]:53  5.5/s"));
	press(f, 'S');
	assert_true(order_of(f, "udp [::1]:53      ", "tcp 127.0.0.1:8080      ") > 0);
	assert_true(has(f, 24, 80, "udp [::1]:53  5.5/s"));
}

/* The list and the detail share the page; the cursor is always on it. */
static void many_ports_leave_room_for_the_detail(void **state)
{
	struct fixture *f = *state;
	struct endpoint many[60];
	struct grid g;

	for (int i = 0; i < 60; i++) {
		many[i] = f->endpoints[0];
		many[i].port = 1000 + i;
	}
	f->total.endpoints = many;
	f->total.endpoint_count = 60;
	g = compose(f, 24, 80, true);
	assert_int_equal(find(&g, "tcp 127.0.0.1:1000      "), 4);
	assert_int_equal(find(&g, "tcp 127.0.0.1:1011      "), 15);
	assert_int_equal(find(&g, "tcp 127.0.0.1:1000  0/s"), 17);
	assert_int_equal(find(&g, "    what thread 703 does"), 22);
	grid_free(&g);
	press(f, SCREEN_PAGE_DOWN);
	assert_true(has(f, 24, 80, "tcp 127.0.0.1:1011  0/s"));
	press(f, SCREEN_END);
	g = compose(f, 24, 80, true);
	assert_int_equal(find(&g, "tcp 127.0.0.1:1059      "), 15);
	assert_int_equal(g.glyphs[15 * 80].attribute, ATTRIBUTE_REVERSE);
	assert_int_equal(find(&g, "tcp 127.0.0.1:1059  0/s"), 17);
	grid_free(&g);
	assert_true(has(f, 8, 80, "tcp 127.0.0.1:1059      "));
	f->total.endpoints = f->endpoints;
	f->total.endpoint_count = 2;
}

static void lists_scroll_to_their_ends(void **state)
{
	struct fixture *f = *state;

	f->state.tab = TAB_WORKERS;
	assert_true(has(f, 10, 80, "tcp 127.0.0.1:8080"));
	press(f, SCREEN_DOWN);
	assert_false(has(f, 10, 80, "tcp 127.0.0.1:8080"));
	press(f, SCREEN_UP);
	assert_true(has(f, 10, 80, "tcp 127.0.0.1:8080"));
	press(f, SCREEN_PAGE_DOWN);
	assert_true(has(f, 10, 80, "and 1 ended with 3,456"));
	press(f, SCREEN_END);
	assert_true(has(f, 10, 80, "named-1"));
	press(f, SCREEN_DOWN);
	assert_int_equal(f->state.top[TAB_WORKERS] + f->state.move, 8);
	assert_true(has(f, 10, 80, "named-1"));
	assert_int_equal(f->state.top[TAB_WORKERS], 7); /* 12 lines, 5 on the page */
	press(f, SCREEN_HOME);
	assert_true(has(f, 10, 80, "tcp 127.0.0.1:8080"));
}

static void help_and_frozen(void **state)
{
	struct fixture *f = *state;

	f->total.unseen[0] = "accepts through io_uring";
	f->total.unseen_count = 1;
	assert_false(has(f, 24, 80, "FROZEN"));
	press(f, 'f');
	assert_true(f->state.frozen);
	assert_int_equal(attribute_at(f, 80, "FROZEN"), ATTRIBUTE_REVERSE);
	press(f, ' ');
	assert_false(f->state.frozen);
	press(f, '?');
	assert_true(
		has(f, 24, 80, "f, space   keep this picture, and go on; counting never stops"));
	assert_true(has(f, 24, 80, "This backend does not see: accepts through io_uring"));
	assert_false(has(f, 24, 80, "tcp 127.0.0.1:8080"));
	press(f, SCREEN_BACK);
	assert_true(has(f, 24, 80, "tcp 127.0.0.1:8080"));
}

static void keys_answer(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(screen_press(&f->state, 'q'), SCREEN_QUIT);
	assert_int_equal(screen_press(&f->state, 'x'), SCREEN_IGNORED);
	f->state.frozen = true;
	assert_int_equal(screen_press(&f->state, 'z'), SCREEN_RESET);
	assert_false(f->state.frozen);
	assert_int_equal(screen_press(&f->state, 'r'), SCREEN_RESET);
	press(f, '\t');
	assert_int_equal(f->state.tab, TAB_SOCKETS);
	press(f, SCREEN_LEFT);
	press(f, SCREEN_LEFT);
	assert_int_equal(f->state.tab, TAB_PROCESSES);
	press(f, SCREEN_RIGHT);
	assert_int_equal(f->state.tab, TAB_PORTS);
}

static void namespaces_are_named_where_there_are_several(void **state)
{
	struct fixture *f = *state;

	assert_false(has(f, 24, 80, "netns"));
	f->endpoints[1].netns = 4026532000u;
	assert_true(has(f, 24, 120, "tcp 127.0.0.1:8080 netns 4026531840"));
	assert_true(has(f, 24, 120, "udp [::1]:53 netns 4026532000"));
}

/* Where the backend sees no arrivals, sockets show what was taken from them. */
static void without_arrivals_sockets_show_accepts(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 4; i++)
		f->web_sockets[i].arrived = f->before.endpoints[0].sockets[i].arrived = 0;
	fixture_judge(f);
	f->state.tab = TAB_SOCKETS;
	assert_true(
		has(f, 24, 80,
		    "      41      341       500       5,000     0/511      0       1  33.8% "));
}

static void cut_text_says_so(void **state)
{
	struct grid g;

	(void)state;
	assert_int_equal(grid_init(&g, 4, 10, true), 0);
	assert_int_equal(grid_put(&g, 0, 0, 5, ALIGN_LEFT, ATTRIBUTE_NORMAL, "123456"), 5);
	assert_string_equal(line_text(&g, 0), "1234…");
	grid_put(&g, 1, 0, 5, ALIGN_TAIL, ATTRIBUTE_NORMAL, "/a/b/c/d");
	assert_string_equal(line_text(&g, 1), "…/c/d");
	grid_put(&g, 2, 2, 50, ALIGN_RIGHT, ATTRIBUTE_NORMAL, "漢字");
	assert_string_equal(line_text(&g, 2), "      漢字");
	assert_int_equal(grid_put(&g, 3, 0, 4, ALIGN_LEFT, ATTRIBUTE_NORMAL, "漢字漢"),
			 3); /* no half of a wide one */
	assert_int_equal(grid_put(&g, 3, 10, 4, ALIGN_LEFT, ATTRIBUTE_NORMAL, "x"), 0);
	assert_int_equal(grid_put(&g, -1, 0, 4, ALIGN_LEFT, ATTRIBUTE_NORMAL, "x"), 0);
	grid_free(&g);
}

static void bars_have_eighths(void **state)
{
	struct grid g;

	(void)state;
	assert_int_equal(grid_init(&g, 4, 10, true), 0);
	grid_bar(&g, 0, 0, 4, ATTRIBUTE_NORMAL, 0.5 + 1.0 / 32);
	assert_string_equal(line_text(&g, 0), "██▏");
	grid_bar(&g, 1, 0, 4, ATTRIBUTE_NORMAL, 7);
	assert_string_equal(line_text(&g, 1), "████");
	g.utf8 = false;
	grid_bar(&g, 2, 0, 4, ATTRIBUTE_NORMAL, 0.4);
	assert_string_equal(line_text(&g, 2), "##");
	grid_bar(&g, 3, 0, 4, ATTRIBUTE_NORMAL, 0.0 / 0.0);
	assert_string_equal(line_text(&g, 3), "");
	grid_free(&g);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ports_page),
		TEST(sockets_page),
		TEST(workers_page),
		TEST(processes_page),
		TEST(wide_pages_have_more_columns_and_longer_bars),
		TEST(waits_at_80_columns),
		TEST(waits_on_wider_pages),
		TEST(waits_sort_and_follow_the_interval),
		TEST(findings_have_levels),
		TEST(a_steered_port_says_so),
		TEST(every_size_holds_with_waits),
		TEST(small_terminals_are_told),
		TEST(every_size_holds),
		TEST(verdicts_have_colours),
		TEST(even_is_green),
		TEST(a_full_queue_is_red),
		TEST(handshakes_have_a_column_where_there_were_any),
		TEST(rows_that_ended_are_marked_then_folded),
		TEST(rows_beyond_the_limit_are_told),
		TEST(idle_rows_are_shown),
		TEST(sort_goes_round_and_back),
		TEST(ports_sort_by_each_column),
		TEST(names_that_are_no_text_are_harmless),
		TEST(huge_counts_keep_their_columns),
		TEST(no_time_makes_no_rate),
		TEST(nothing_yet_says_what_it_waits_for),
		TEST(what_is_lost_is_told),
		TEST(the_interval_is_as_it_was_asked_for),
		TEST(own_cost_is_in_the_header),
		TEST(a_withheld_verdict_says_why),
		TEST(what_is_judged_is_not_folded),
		TEST(an_old_generation_is_marked_then_folded),
		TEST(a_wide_process_is_folded),
		TEST(the_interval_has_its_own_shares),
		TEST(enter_shows_one_port_and_back_all),
		TEST(the_cursor_stays_on_its_port),
		TEST(many_ports_leave_room_for_the_detail),
		TEST(lists_scroll_to_their_ends),
		TEST(help_and_frozen),
		TEST(keys_answer),
		TEST(namespaces_are_named_where_there_are_several),
		TEST(without_arrivals_sockets_show_accepts),
		TEST(cut_text_says_so),
		TEST(bars_have_eighths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
