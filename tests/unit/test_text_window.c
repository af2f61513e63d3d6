/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Windows of `watch` as text, byte for byte: user/render/text_window.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>

#include <cmocka.h>

#include "../../user/model/findings.h"
#include "../../user/model/judge.h"
#include "../../user/render/text.h"

static const struct text_style narrow = { .width = 80 }, pipe_style = {};

#define WORKER(p, t, n, count)                                                                     \
	{                                                                                          \
		.number = -1, .pid = p, .tid = t, .comm = n, .process = n, .cookie = 17,           \
		.can_accept = true, .wait_kind = WAITS_BLOCKED, .accepted = count                  \
	}

/* nginx with three workers on one socket and its master; 1234 crashed in an earlier interval, 1236
 * in this one. */
struct fixture {
	struct wait_histogram histograms[6];
	struct socket_row now_sockets[1], all_sockets[1];
	struct worker_row now_workers[3], all_workers[4];
	struct endpoint now, all;
	struct snapshot window, total;
};

static void fixture_init(struct fixture *f)
{
	*f = (struct fixture){
		.now_sockets = { { .cookie = 17,
				   .inode = 301,
				   .arrived = 2000,
				   .accepted = 2000,
				   .queue_known = true,
				   .queue_length = 3,
				   .queue_limit = 511,
				   .waiting_known = true } },
		.now_workers = { WORKER(1235, 1235, "nginx", 1500),
				 WORKER(1236, 1236, "nginx", 500), WORKER(1237, 1237, "nginx", 0) },
		.all_workers = { WORKER(1234, 1234, "nginx", 31),
				 WORKER(1235, 1235, "nginx", 12000),
				 WORKER(1236, 1236, "nginx", 4100),
				 WORKER(1237, 1237, "nginx", 7) },
	};
	f->now_workers[1].ended = f->all_workers[2].ended = f->all_workers[0].ended = true;
	f->now_workers[2].pid_inside = f->all_workers[3].pid_inside = 12;
	memcpy(f->all_sockets, f->now_sockets, sizeof(f->all_sockets));
	f->all_sockets[0].arrived = f->all_sockets[0].accepted = 16138;
	for (int i = 0; i < 3; i++)
		strcpy(f->now_workers[i].cgroup, "/system.slice/nginx.service");
	f->now = (struct endpoint){ .family = AF_INET,
				    .port = 80,
				    .netns = 4026531840u,
				    .sockets = f->now_sockets,
				    .socket_count = 1,
				    .workers = f->now_workers,
				    .worker_count = 3 };
	f->all = f->now;
	f->all.sockets = f->all_sockets;
	f->all.workers = f->all_workers;
	f->all.worker_count = 4;
	f->window = (struct snapshot){ .release = "6.1.0",
				       .backend = "fentry",
				       .start_ms = 1767225600123,
				       .seconds = 1,
				       .endpoints = &f->now,
				       .endpoint_count = 1,
				       .unseen = { "accepts through io_uring" },
				       .unseen_count = 1 };
	f->total = f->window;
	f->total.seconds = 10;
	f->total.endpoints = &f->all;
	assert_int_equal(endpoint_judge(&f->now, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(endpoint_judge(&f->all, FAIRNESS_THRESHOLD), 0);
}

static char *text_of(const struct snapshot *window, const struct snapshot *total, enum text_by by,
		     const struct text_style *style)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	text_window(f, window, total, by, style);
	fclose(f);
	return text;
}

static void assert_text(const struct snapshot *window, const struct snapshot *total,
			enum text_by by, const struct text_style *style, const char *expected)
{
	char *text = text_of(window, total, by, style);

	assert_string_equal(text, expected);
	free(text);
}

static void an_interval_at_80_columns(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_text(
		&f.window, &f.total, TEXT_BY_DEFAULT, &narrow,
		"00:00:01 UTC, 1.0 s; kernel 6.1.0, backend fentry\n"
		"tcp 0.0.0.0:80, nginx.service: 2,000 connections/s, 16,138 since the start\n"
		"  2 processes block in accept() on one socket\n"
		"  process                      /s  accepted since start   share\n"
		"  nginx 1235                1,500     1,500      12,000   75.0%  ######\n"
		"  nginx 1236                  500       500       4,100   25.0%  ##  (ended)\n"
		"  nginx 1237 (12 inside)        0         0           7    0.0%\n"
		"  1 ended before: 31 accepted\n"
		"  socket 17 (inode 301): queue 3/511, drops 0\n"
		"  processes uneven: CV 1.000 (fair hash 0.026), busiest 2.00x the mean (1.02),\n"
		"           1 of 2 idle, p <0.001, Jain 0.500\n"
		"\n");
}

static void by_socket(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_text(
		&f.window, &f.total, TEXT_BY_SOCKET, &narrow,
		"00:00:01 UTC, 1.0 s; kernel 6.1.0, backend fentry\n"
		"tcp 0.0.0.0:80, nginx.service: 2,000 connections/s, 16,138 since the start\n"
		"  2 processes block in accept() on one socket\n"
		"  socket/inode         /s   arrived since start       queue  drops   share\n"
		"  17/301            2,000     2,000      16,138       3/511      0  100.0%  ####\n"
		"  sockets  nothing to compare: only one\n"
		"\n");
}

/* Rows that ended are folded; `total` does not matter. */
static void the_whole_window(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	f.total.final = true;
	f.all_workers[0].appeared = true; /* it came and went; 1236 was killed half-way */
	assert_text(&f.total, &f.total, TEXT_BY_DEFAULT, &pipe_style,
		    "00:00:10 UTC, the whole window of 10.0 s; kernel 6.1.0, backend fentry\n"
		    "tcp 0.0.0.0:80: 1,614 connections/s, 16,138 in all\n"
		    "  2 processes block in accept() on one socket\n"
		    "  process                      /s  accepted   share\n"
		    "  nginx 1235                1,200    12,000   74.4%  "
		    "################################\n"
		    "  nginx 1236                  410     4,100   25.4%  ###########  (ended)\n"
		    "  nginx 1237 (12 inside)      0.7         7    0.0%\n"
		    "  1 ended: 31 accepted\n"
		    "  socket 17 (inode 301): queue 3/511, drops 0\n"
		    "  processes uneven: CV 0.999 (fair hash 0.009), busiest 2.00x the mean "
		    "(1.01), 0 of 2 idle, p <0.001, Jain 0.501\n"
		    "  this backend does not see: accepts through io_uring\n"
		    "\n");
}

static void assert_has(const struct snapshot *window, const struct snapshot *total,
		       const char *words)
{
	char *text = text_of(window, total, TEXT_BY_DEFAULT, &pipe_style);

	if (!strstr(text, words))
		fail_msg("\"%s\" is not in\n%s", words, text);
	free(text);
}

/* What the backend may miss is said where it may be missing: here, once something came that nobody
 * was seen to take. */
static void unseen_is_said_where_it_matters(void **state)
{
	static const char said[] = "this backend does not see: accepts by 32-bit processes\n";
	struct fixture f;
	struct socket_row *s;
	char *text;

	(void)state;
	fixture_init(&f);
	f.total.final = true;
	f.total.unseen[0] = "accepts by 32-bit processes";
	f.total.unseen[1] = "how many datagrams were merged for a UDP_GRO socket";
	f.total.unseen_count = 2;
	s = f.total.endpoints[0].sockets;
	s->queue_known = true;
	s->queue_length = 3;
	s->queued_before = 2;
	s->arrived = s->accepted + 1;
	text = text_of(&f.total, NULL, TEXT_BY_DEFAULT, &pipe_style);
	assert_null(strstr(text, "does not see"));
	free(text);
	s->arrived++;
	assert_has(&f.total, NULL, said);
	s->dropped_closing = 1;
	text = text_of(&f.total, NULL, TEXT_BY_DEFAULT, &pipe_style);
	assert_null(strstr(text, "does not see"));
	free(text);
	f.total.unseen[1] = "arrivals of TCP connections";
	assert_has(&f.total, NULL,
		   "does not see: accepts by 32-bit processes; arrivals of TCP connections\n");
}

/* A design without bins says why there is no verdict, in an interval and in the end. */
static void no_verdict_says_why(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	for (size_t i = 0; i < 2; i++) {
		struct snapshot *s = i ? &f.total : &f.window;

		s->endpoints[0].design =
			(struct design){ .code = DESIGN_ALONE, .words = "1 process accepts all" };
		s->final = i;
		assert_has(s, &f.total, "  verdict  one worker: nothing to compare\n");
		s->endpoints[0].design.code = DESIGN_CONNECTED;
		assert_has(s, &f.total,
			   "  verdict  each socket has a peer of its own: nothing to compare\n");
		s->endpoints[0].design.code = DESIGN_UNKNOWN;
		assert_has(s, &f.total, "  processes uneven: CV");
	}
}

static void own_cost_is_told_if_it_is_known(void **state)
{
	struct fixture f;
	char *text;

	(void)state;
	fixture_init(&f);
	f.total.own_cost = (struct own_cost){ .runs = 4000, .ns = 200000, .process_ns = 5000000 };
	text = text_of(&f.total, NULL, TEXT_BY_DEFAULT, &pipe_style);
	assert_null(strstr(text, "own cost"));
	free(text);
	f.total.seconds = 10;
	f.total.own_cost.known = true;
	f.total.own_cost.ns = 25000000; /* of 10 s */
	assert_has(&f.total, NULL,
		   "  own cost: 0.25 % of a CPU for 4,000 runs of the programs (6250 ns each), "
		   "0.05 % for sockfair itself\n");
}

static void all_ended_are_shown(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	for (int i = 0; i < 4; i++)
		f.all_workers[i].ended = true;
	assert_has(&f.total, NULL,
		   "  nginx 1234                  3.1        31    0.2%  (ended: judged)\n");
	assert_has(&f.total, NULL, "  (ended: judged)\n  socket 17 (inode 301)");
}

/* A reload shortly before the end: the verdict is about the workers that were there from the start,
 * which are gone; those that are there now are new. */
static void what_is_judged_is_shown(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	f.all_workers[0].ended = f.all_workers[1].ended = true;
	f.all_workers[0].accepted = 12100;
	f.all_workers[2].accepted = 100;
	f.all_workers[2].ended = false;
	f.all_workers[2].appeared = f.all_workers[3].appeared = true;
	assert_int_equal(endpoint_judge(&f.all, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(f.all.worker_fairness.bins, 2);
	assert_has(&f.total, NULL, "on one socket; 2 of a later generation took 107 of 24,207\n");
	assert_has(&f.total, NULL, "  (old generation: judged)\n  nginx 1235 ");
	assert_has(&f.total, NULL, "  (old generation: judged)\n  nginx 1236 ");
	assert_has(&f.total, NULL,
		   "  (new)\n  nginx 1237 (12 inside)      0.7         7    0.0%  (new)\n");
	assert_has(&f.total, NULL, "0 of 2 idle");
}

/* A reload: the verdict is about the workers that are there now. What the others did stays, and is
 * judged by itself. */
static void an_old_generation_is_shown_as_such(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	f.all_workers[0].ended = f.all_workers[1].ended = true;
	f.all_workers[0].accepted = f.all_workers[1].accepted = 600;
	f.all_workers[3].accepted = f.all_workers[2].accepted;
	f.all_workers[2].ended = false;
	f.all_workers[2].appeared = f.all_workers[3].appeared = true;
	assert_int_equal(endpoint_judge(&f.all, FAIRNESS_THRESHOLD), 0);
	assert_has(&f.total, NULL,
		   "on one socket; 2 of an earlier generation took 1,200 of 9,400\n");
	assert_has(&f.total, NULL, "####  (old generation)\n  nginx 1235 ");
	assert_has(&f.total, NULL,
		   "####  (old generation)\n  nginx 1236                  410     4,100");
	assert_has(&f.total, NULL,
		   "   43.6%  #############################\n  nginx 1237 (12 inside)      410     "
		   "4,100   43.6%  #############################\n");
	assert_has(&f.total, NULL, "  processes even: CV 0.000 (fair hash 0.011)");
	assert_has(&f.total, NULL, "  earlier  even: CV 0.000 (fair hash 0.029)");
}

static void a_withheld_verdict_is_one_short_line(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	f.now.lost.accepted = 1231;
	assert_int_equal(endpoint_judge(&f.now, FAIRNESS_THRESHOLD), 0);
	assert_has(
		&f.window, NULL,
		"  processes withheld: some of these were not counted; CV 1.000 of the others\n");
	f.now.lost.accepted = 0;
	f.now_sockets[0].waiting_cut = true;
	assert_int_equal(endpoint_judge(&f.now, FAIRNESS_THRESHOLD), 0);
	assert_has(&f.window, NULL,
		   "  processes withheld: more threads wait than could be listed; CV 1.000 of the "
		   "others\n");
}

/* "at least ... at most so many" */
static void what_is_at_most_is_not_at_least(void **state)
{
	struct fixture f;
	struct lost_row lost = { "ends_missed", "ends of open connections", 2, true, true };

	(void)state;
	fixture_init(&f);
	f.window.lost = &lost;
	f.window.lost_count = 1;
	f.window.unlisted = 1;
	assert_has(&f.window, &f.total,
		   "  not followed: at most 2 (ends of open connections)\n  1 more thread waits on "
		   "these sockets");
}

/* Beside threads of one process another: each says whose it is. */
static void threads_say_their_process(void **state)
{
	struct fixture f;
	char *text;

	(void)state;
	fixture_init(&f);
	f.now_workers[1].pid = 1235;
	text = text_of(&f.window, NULL, TEXT_BY_THREAD, &narrow);
	assert_non_null(strstr(text, "\n  thread  "));
	assert_non_null(strstr(text, "\n  nginx 1235   "));
	assert_non_null(strstr(text, "\n  nginx 1236 of 1235  "));
	free(text);
}

static void who_accepts_decides_about_rows(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(text_by_default(&f.now), TEXT_BY_PROCESS);
	f.now_workers[1].can_accept = false; /* a master, no worker */
	f.now_workers[1].accepted = 0;
	f.now_workers[1].pid = 1235;
	assert_int_equal(text_by_default(&f.now), TEXT_BY_PROCESS);
	f.now_workers[1].can_accept = true; /* a second thread of 1235 */
	assert_int_equal(text_by_default(&f.now), TEXT_BY_THREAD);
	f.now.design.code = DESIGN_TURNS;
	assert_int_equal(text_by_default(&f.now), TEXT_BY_PROCESS);
	f.now.design.code = DESIGN_UNKNOWN;
	f.now.worker_count = 1;
	assert_int_equal(text_by_default(&f.now), TEXT_BY_THREAD);
	f.now.worker_count = 0;
	assert_int_equal(text_by_default(&f.now), TEXT_BY_THREAD);
}

static void a_process_is_the_sum_of_its_threads(void **state)
{
	struct fixture f;
	char *text;

	(void)state;
	fixture_init(&f);
	f.now_workers[0].pid = f.now_workers[1].pid = 1235;
	f.now_workers[0].comm[0] = '\033'; /* the thread's name; the process's is shown */
	text = text_of(&f.window, NULL, TEXT_BY_PROCESS, &pipe_style);
	assert_non_null(strstr(text, "  nginx 1235                2,000     2,000  100.0%"));
	assert_null(strstr(text, "(ended)")); /* one of its threads lives */
	free(text);
	text = text_of(&f.window, NULL, TEXT_BY_THREAD, &pipe_style);
	assert_non_null(strstr(text, "  ?ginx 1235"));
	free(text);
}

static void nothing_is_one_line(void **state)
{
	struct fixture f;
	char *text;

	(void)state;
	fixture_init(&f);
	f.now_sockets[0].arrived = f.now_sockets[0].accepted = 0;
	for (int i = 0; i < 3; i++)
		f.now_workers[i].accepted = 0;
	text = text_of(&f.window, &f.total, TEXT_BY_DEFAULT, &pipe_style);
	assert_string_equal(text, "00:00:01 UTC, 1.0 s; kernel 6.1.0, backend fentry\n"
				  "no connection or datagram in 1.0 s\n1 port without traffic\n\n");
	free(text);
	assert_has(&f.window, NULL,
		   "no connection or datagram in 1.0 s\ntcp 0.0.0.0:80"); /* at the end idle rows
									     are shown once */
	assert_has(&f.window, NULL, "  nginx 1235                    0         0    0.0%\n");
	f.window.endpoint_count = 0;
	assert_has(&f.window, &f.total,
		   "no connection or datagram in 1.0 s: no process listens on what the filter asks "
		   "for\n");
}

/* Five ports: one with traffic, one that is in trouble without any. */
static void quiet_ports_are_folded_unless_in_trouble(void **state)
{
	struct fixture f;
	struct endpoint ports[5];
	struct socket_row full = { .cookie = 5,
				   .inode = 55,
				   .queue_known = true,
				   .queue_length = 129,
				   .queue_limit = 128 };
	char *text;

	(void)state;
	fixture_init(&f);
	for (int i = 0; i < 5; i++)
		ports[i] = (struct endpoint){ .family = AF_INET,
					      .port = 81 + i,
					      .netns = 4026531840u + i };
	ports[2] = f.now;
	ports[3].sockets = &full;
	ports[3].socket_count = 1;
	f.window.endpoints = ports;
	f.window.endpoint_count = 5;
	assert_int_equal(findings_fill(&f.window), 0);
	text = text_of(&f.window, &f.total, TEXT_BY_DEFAULT, &pipe_style);
	assert_non_null(strstr(
		text, "tcp 0.0.0.0:80, netns 4026531840, nginx.service: 2,000 connections/s"));
	assert_non_null(strstr(text, "tcp 0.0.0.0:84, netns 4026531843: no connections\n  socket "
				     "5 (inode 55): queue 129/128, drops 0\n  ! the accept"));
	assert_non_null(strstr(text, "\n3 more ports without traffic\n"));
	assert_null(strstr(text, ":81"));
	free(text);
	for (int i = 0; i < 5; i++)
		free(ports[i].findings);
}

static void omitted_and_lost_are_told(void **state)
{
	struct fixture f;
	struct lost_row lost = { "listener_unknown",
				 "accepts whose listening socket could not be told", 7, false,
				 false };

	(void)state;
	fixture_init(&f);
	f.now.omitted = (struct omitted){ .sockets = 1, .workers = 1200, .accepted = 34567 };
	f.window.lost = &lost;
	f.window.lost_count = 1;
	assert_has(&f.window, &f.total, "  and 1,200 rows beyond the limit with 34,567\n");
	assert_has(&f.window, &f.total,
		   "  not counted: 7 (accepts whose listening socket could not be told)\n");
}

static void many_rows_are_folded_to_the_busiest(void **state)
{
	struct worker_row workers[100] = {};
	struct fixture f;

	(void)state;
	fixture_init(&f);
	for (int i = 0; i < 100; i++)
		workers[i] = (struct worker_row){ .number = -1,
						  .pid = i + 1,
						  .tid = i + 1,
						  .comm = "w",
						  .can_accept = true,
						  .wait_kind = WAITS_BLOCKED,
						  .accepted = i };
	f.now.workers = workers;
	f.now.worker_count = 100;
	assert_has(&f.window, NULL, "share\n  w 100 "); /* the busiest first */
	assert_has(&f.window, NULL, "  and 36 more with 630\n");
}

/* A process of `count` threads in a pool, its main thread first. */
static void fixture_wide(struct fixture *f, struct worker_row *workers, int count)
{
	fixture_init(f);
	for (int i = 0; i <= count; i++) {
		workers[i] = (struct worker_row){ .number = -1,
						  .pid = 700,
						  .tid = 700 + i,
						  .can_accept = true,
						  .wait_kind = WAITS_BLOCKED,
						  .accepted = i < 20 ? 0 : i };
		sprintf(workers[i].comm, i ? "pool-%d" : "main", i);
	}
	f->now.workers = workers;
	f->now.worker_count = count + 1;
	assert_int_equal(endpoint_judge(&f->now, FAIRNESS_THRESHOLD), 0);
}

static void a_wide_process_is_folded_by_the_names_of_its_threads(void **state)
{
	struct worker_row workers[101] = {};
	struct fixture f;

	(void)state;
	fixture_wide(&f, workers, 100);
	assert_text(&f.window, NULL, TEXT_BY_THREAD,
		    &(struct text_style){ .utf8 = true, .width = 60 },
		    "00:00:01 UTC, the whole window of 1.0 s; kernel 6.1.0, backend fentry\n"
		    "tcp 0.0.0.0:80: 4,860 connections/s, 4,860 in all\n"
		    "  101 threads block in accept() on one socket\n"
		    "  thread of 700        /s  accepted   share\n"
		    "  pool-100 800        100       100    2.1%  ███████████████\n"
		    "  pool-99 799          99        99    2.0%  ██████████████▉\n"
		    "  pool-98 798          98        98    2.0%  ██████████████▊\n"
		    "  pool-97 797          97        97    2.0%  ██████████████▌\n"
		    "  pool-96 796          96        96    2.0%  ██████████████▍\n"
		    "  main 700              0         0    0.0%\n"
		    "  pool-* × 95 of 700: 4,370 accepted, busiest 95, 19 idle\n"
		    "  threads  uneven: CV 0.660 (fair hash 0.143),\n"
		    "           busiest 2.08x the mean (1.38), 20 of 101 idle,\n"
		    "           p <0.001, Jain 0.696\n"
		    "  this backend does not see: accepts through io_uring\n"
		    "\n");
	assert_has(&f.window, NULL,
		   "\n  pool-* x 95 of 700: 4,370 accepted, busiest 95, 19 idle\n");
	f.now.served_known = true;
	for (int i = 0; i <= 100; i++) { /* they only serve what others accepted */
		workers[i].served = workers[i].handed.count = workers[i].accepted;
		workers[i].accepted = 0;
		workers[i].serves = true;
		workers[i].can_accept = i == 0;
	}
	workers[0].accepted = 4860;
	assert_has(&f.window, NULL, "\n  pool-* x 77 of 700: 4,466 served, busiest 96\n");
	for (int i = 40; i < 50; i++) /* the others of their name still are no idle acceptors */
		workers[i].accepted = workers[i].can_accept = true;
	assert_has(&f.window, NULL,
		   "\n  pool-* x 77 of 700: 6 accepted, 4,670 served, busiest 1\n");
	fixture_wide(&f, workers, 63); /* 64 threads: an ordinary server */
	assert_has(&f.window, NULL, "\n  pool-1 701 ");
	assert_has(&f.window, NULL, "\n  pool-63 763 ");
	fixture_wide(&f, workers, 64);
	assert_has(&f.window, NULL, "\n  pool-* x 59 of 700: ");
}

static void several_sockets_get_a_table_of_drops_and_queues(void **state)
{
	struct socket_row sockets[] = {
		{ .cookie = 17,
		  .inode = 301,
		  .arrived = 600,
		  .accepted = 600,
		  .dropped = 1234,
		  .queue_known = true,
		  .queue_length = 7,
		  .queue_limit = 212992 },
		{ .cookie = 18, .inode = 302, .arrived = 200, .accepted = 200 },
	};
	struct fixture f;

	(void)state;
	fixture_init(&f);
	f.now.protocol = PROTOCOL_UDP;
	f.now.sockets = sockets;
	f.now.socket_count = 2;
	f.now.flows = 64;
	assert_int_equal(endpoint_judge(&f.now, FAIRNESS_THRESHOLD), 0);
	assert_has(&f.window, NULL,
		   "  socket/inode         /s delivered       queue  drops   share\n");
	assert_has(&f.window, NULL,
		   "  17/301              600       600    7/212992  1,234   75.0%  ####");
	assert_has(&f.window, NULL,
		   "  18/302              200       200           -      0   25.0%  ####");
	assert_has(&f.window, NULL, "  sockets  ");
	sockets[0].buffers_maybe_several = 1234;
	assert_has(&f.window, NULL,
		   "  1,234 buffers for UDP_GRO sockets, each may hold several datagrams: counted "
		   "as one\n");
	sockets[0].arrived = sockets[1].arrived = 0; /* a backend that sees no arrivals */
	assert_has(&f.window, NULL, "  17/301              600       600");
}

static void wait_record(struct wait *w, struct wait_histogram *h, uint64_t n, uint64_t ns)
{
	h->slots[wait_slot(ns / 1000)] += n;
	w->count += n;
	w->sum_ns += n * ns;
	w->max_ns = ns > w->max_ns ? ns : w->max_ns;
}

/* Waits of the interval: of the socket in the first histogram, of three workers in the next. */
static void fixture_waits(struct fixture *f)
{
	fixture_init(f);
	f->now.histograms = f->histograms;
	f->now.histogram_count = 6;
	f->now_sockets[0].wait_known = f->now_sockets[0].highest_known =
		f->now_sockets[0].full_known = true;
	f->now_sockets[0].queue_highest = 40;
	f->now_sockets[0].wait.histogram = 1;
	for (int i = 0; i < 3; i++) {
		struct wait *w = &f->now_workers[i].wait;
		const uint64_t n = f->now_workers[i].accepted, ns = i ? 1240000 : 27000;

		f->now_workers[i].wait_known = true;
		w->histogram = 2 + i;
		if (!n)
			continue;
		wait_record(w, &f->histograms[1 + i], n, ns);
		wait_record(&f->now_sockets[0].wait, &f->histograms[0], n, ns);
	}
}

static void an_interval_with_waits_at_80_columns(void **state)
{
	struct fixture f;

	(void)state;
	fixture_waits(&f);
	f.now_sockets[0].full_ns = 250000000;
	assert_text(
		&f.window, &f.total, TEXT_BY_DEFAULT, &narrow,
		"00:00:01 UTC, 1.0 s; kernel 6.1.0, backend fentry\n"
		"tcp 0.0.0.0:80, nginx.service: 2,000 connections/s, 16,138 since the start\n"
		"  2 processes block in accept() on one socket\n"
		"  process                      /s  accepted since start   share\n"
		"  nginx 1235                1,500     1,500      12,000   75.0%  ######\n"
		"  nginx 1236                  500       500       4,100   25.0%  ##  (ended)\n"
		"  nginx 1237 (12 inside)        0         0           7    0.0%\n"
		"  1 ended before: 31 accepted\n"
		"  socket 17 (inode 301): queue 3/511, highest 40, full for 250 ms, drops 0\n"
		"  processes uneven: CV 1.000 (fair hash 0.026), busiest 2.00x the mean (1.02),\n"
		"           1 of 2 idle, p <0.001, Jain 0.500\n"
		"  wait     p50 27 us, p90 1.2 ms, p99 1.2 ms, max 1.2 ms\n"
		"\n");
}

static void by_socket_with_waits(void **state)
{
	struct fixture f;

	(void)state;
	fixture_waits(&f);
	assert_text(
		&f.window, &f.total, TEXT_BY_SOCKET, &narrow,
		"00:00:01 UTC, 1.0 s; kernel 6.1.0, backend fentry\n"
		"tcp 0.0.0.0:80, nginx.service: 2,000 connections/s, 16,138 since the start\n"
		"  2 processes block in accept() on one socket\n"
		"  socket/inode         /s   arrived       queue wait p50 wait p99   share\n"
		"  17/301            2,000     2,000       3/511    27 us   1.2 ms  100.0%  #####\n"
		"  sockets  nothing to compare: only one\n"
		"  wait     p50 27 us, p90 1.2 ms, p99 1.2 ms, max 1.2 ms;\n"
		"           highest queue 40 of 511\n"
		"\n");
	assert_text(&f.window, &f.total, TEXT_BY_SOCKET, &pipe_style,
		    "00:00:01 UTC, 1.0 s; kernel 6.1.0, backend fentry\n"
		    "tcp 0.0.0.0:80, nginx.service: 2,000 connections/s, 16,138 since the start\n"
		    "  2 processes block in accept() on one socket\n"
		    "  socket/inode         /s   arrived since start       queue  highest  drops "
		    "wait p50 wait p99 wait max   share\n"
		    "  17/301            2,000     2,000      16,138       3/511       40      0   "
		    " 27 us   1.2 ms   1.2 ms  100.0%\n"
		    "  sockets  nothing to compare: only one\n"
		    "  wait     p50 27 us, p90 1.2 ms, p99 1.2 ms, max 1.2 ms; highest queue 40 of "
		    "511\n"
		    "\n");
}

/* Three threads of one process: their waits are one distribution. */
static void a_process_waits_as_its_threads(void **state)
{
	struct fixture f;

	(void)state;
	fixture_waits(&f);
	for (int i = 0; i < 3; i++)
		f.now_workers[i].pid = 1235;
	assert_text(
		&f.window, NULL, TEXT_BY_PROCESS, &narrow,
		"00:00:01 UTC, the whole window of 1.0 s; kernel 6.1.0, backend fentry\n"
		"tcp 0.0.0.0:80, nginx.service: 2,000 connections/s, 2,000 in all\n"
		"  2 processes block in accept() on one socket\n"
		"  process              /s  accepted wait p99   share\n"
		"  nginx 1235        2,000     2,000   1.2 ms  100.0%  ##########################\n"
		"  processes uneven: CV 1.000 (fair hash 0.026), busiest 2.00x the mean (1.02),\n"
		"           1 of 2 idle, p <0.001, Jain 0.500\n"
		"  wait     p50 27 us, p90 1.2 ms, p99 1.2 ms, max 1.2 ms;\n"
		"           highest queue 40 of 511\n"
		"  this backend does not see: accepts through io_uring\n"
		"\n");
	f.now_workers[1].wait.histogram = 0;
	assert_text(
		&f.window, NULL, TEXT_BY_PROCESS, &narrow,
		"00:00:01 UTC, the whole window of 1.0 s; kernel 6.1.0, backend fentry\n"
		"tcp 0.0.0.0:80, nginx.service: 2,000 connections/s, 2,000 in all\n"
		"  2 processes block in accept() on one socket\n"
		"  process              /s  accepted wait p99   share\n"
		"  nginx 1235        2,000     2,000        -  100.0%  ##########################\n"
		"  processes uneven: CV 1.000 (fair hash 0.026), busiest 2.00x the mean (1.02),\n"
		"           1 of 2 idle, p <0.001, Jain 0.500\n"
		"  wait     p50 27 us, p90 1.2 ms, p99 1.2 ms, max 1.2 ms;\n"
		"           highest queue 40 of 511\n"
		"  this backend does not see: accepts through io_uring\n"
		"\n");
}

/* A bound is told from a figure, in as many columns. */
static void open_that_is_a_bound_is_marked(void **state)
{
	struct text_style unicode = narrow;
	struct fixture f;

	(void)state;
	fixture_init(&f);
	f.now_workers[0].open_known = f.now_workers[0].open_at_least = true;
	f.now_workers[0].open = 1234;
	unicode.utf8 = true;
	for (int i = 0; i < 2; i++) {
		char *text = text_of(&f.window, &f.total, TEXT_BY_THREAD, i ? &unicode : &narrow);

		assert_non_null(strstr(text, i ? "   ≥1,234 " : "  >=1,234 "));
		free(text);
	}
}

static void who_serves_has_a_row(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	for (int i = 0; i < 3; i++) {
		struct worker_row *w = &f.now_workers[i];

		w->pid = 1235;
		w->ended = false;
		w->serves = w->open_known = i > 0;
		w->can_accept = i == 0;
		w->served = i * 500;
		w->open = i;
		w->handed = (struct wait){ .count = w->served,
					   .sum_ns = w->served * 12000,
					   .max_ns = 1200000 };
		w->accepted = i ? 0 : 1500;
	}
	f.now.served_known = true;
	assert_int_equal(endpoint_judge(&f.now, FAIRNESS_THRESHOLD), 0);
	assert_text(
		&f.window, &f.total, TEXT_BY_THREAD, &narrow,
		"00:00:01 UTC, 1.0 s; kernel 6.1.0, backend fentry\n"
		"tcp 0.0.0.0:80, nginx.service: 2,000 connections/s, 16,138 since the start\n"
		"  1 acceptor, 2 threads serve\n"
		"  thread of 1235       /s  accepted since start    served     open   share\n"
		"  nginx 1235        1,500     1,500      12,000         0        0  100.0%  ####\n"
		"  nginx 1236            0         0           0       500        1    0.0%\n"
		"  nginx 1237            0         0           0     1,000        2    0.0%\n"
		"  2 ended before: 4,131 accepted\n"
		"  served   uneven: CV 0.333 (fair hash 0.026), busiest 1.33x the mean (1.02),\n"
		"           0 of 2 idle, p <0.001, Jain 0.900\n"
		"  handed   1,500 to another thread: mean 12 us, max 1.2 ms until it read\n"
		"\n");
}

static void notes_are_no_trouble(void **state)
{
	struct fixture f;
	struct endpoint ports[5];
	struct finding findings[2] = {
		{ .code = "a-note", .level = FINDING_NOTE, .text = "worth knowing" },
		{ .code = "fine", .level = FINDING_GOOD, .text = "nothing to fix" }
	};
	char *text;

	(void)state;
	fixture_init(&f);
	for (int i = 0; i < 5; i++)
		ports[i] = (struct endpoint){
			.family = AF_INET, .port = 81 + i, .findings = findings, .finding_count = 2
		};
	ports[2] = f.now;
	ports[2].findings = findings;
	ports[2].finding_count = 2;
	f.window.endpoints = ports;
	f.window.endpoint_count = 5;
	text = text_of(&f.window, &f.total, TEXT_BY_DEFAULT, &pipe_style);
	assert_null(strstr(text, "worth knowing")); /* not every second */
	assert_non_null(strstr(text, "\n4 more ports without traffic\n"));
	free(text);
	f.window.final = true;
	text = text_of(&f.window, &f.total, TEXT_BY_DEFAULT, &pipe_style);
	assert_non_null(strstr(text, "\n  i worth knowing\n  ok nothing to fix\n"));
	free(text);
}

/* Whatever there is to say, no line is longer than the terminal is wide. */
static void every_width_holds(void **state)
{
	static const enum text_by by[] = { TEXT_BY_DEFAULT, TEXT_BY_PROCESS, TEXT_BY_THREAD,
					   TEXT_BY_SOCKET };
	struct fixture f;

	(void)state;
	fixture_waits(&f);
	f.now_sockets[0].drops = 12;
	f.now_workers[0].open_known = f.now_workers[0].serves = true;
	f.now_workers[0].open = f.now_workers[0].handed.count = f.now_workers[0].served = 7;
	for (int width = 70; width < 130; width++) {
		for (size_t i = 0; i < sizeof(by) / sizeof(*by); i++) {
			const struct text_style style = { .width = width };
			char *text = text_of(&f.window, &f.total, by[i], &style), *save = NULL;

			for (char *line = strtok_r(text, "\n", &save); line;
			     line = strtok_r(NULL, "\n", &save))
				if ((int)strlen(line) > width)
					fail_msg("%zu columns of %d: %s", strlen(line), width,
						 line);
			free(text);
		}
	}
}

static void colour_only_if_asked(void **state)
{
	const struct text_style colourful = { .colour = true, .utf8 = true, .width = 80 };
	struct fixture f;
	char *text;

	(void)state;
	fixture_init(&f);
	text = text_of(&f.window, &f.total, TEXT_BY_DEFAULT, &colourful);
	assert_non_null(strstr(text, "\033[31muneven\033[0m"));
	assert_non_null(strstr(text, "█"));
	free(text);
	text = text_of(&f.window, &f.total, TEXT_BY_DEFAULT, &narrow);
	assert_null(strchr(text, '\033'));
	free(text);
}

/* Each row says its own where they differ, and only there; where there is no room the figures are
 * worth more. */
static void rows_of_several_units_say_theirs(void **state)
{
	static const char id[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	const struct text_style fits = { .width = 120 };
	struct fixture f;
	char *text;

	(void)state;
	fixture_init(&f);
	for (int i = 0; i < 3; i++) /* two cgroups of one container, and one that ended */
		snprintf(f.now_workers[i].cgroup, CGROUP_SIZE, "/docker/%s/%d", id, i);
	f.now_workers[1].ended = false;
	strcpy(f.now_workers[2].cgroup, "/system.slice/nginx.service");
	f.now_workers[2].ended = true;
	assert_has(&f.window, NULL,
		   "tcp 0.0.0.0:80, container 0123456789ab (docker): 2,000 connections/s");
	f.now_workers[2].ended = false;
	text = text_of(&f.window, NULL, TEXT_BY_PROCESS, &fits);
	assert_non_null(strstr(text, "tcp 0.0.0.0:80, several units: 2,000 connections/s"));
	assert_non_null(strstr(text, "###  in container 0123456789ab (docker)\n"));
	assert_non_null(strstr(text, "  in nginx.service\n"));
	for (char *save, *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		assert_true(strlen(line) <= 120);
	free(text);
	text = text_of(&f.window, NULL, TEXT_BY_PROCESS, &narrow);
	assert_null(strstr(text, "  in "));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_interval_at_80_columns),
		cmocka_unit_test(by_socket),
		cmocka_unit_test(no_verdict_says_why),
		cmocka_unit_test(unseen_is_said_where_it_matters),
		cmocka_unit_test(the_whole_window),
		cmocka_unit_test(own_cost_is_told_if_it_is_known),
		cmocka_unit_test(all_ended_are_shown),
		cmocka_unit_test(what_is_judged_is_shown),
		cmocka_unit_test(an_old_generation_is_shown_as_such),
		cmocka_unit_test(a_withheld_verdict_is_one_short_line),
		cmocka_unit_test(what_is_at_most_is_not_at_least),
		cmocka_unit_test(threads_say_their_process),
		cmocka_unit_test(who_accepts_decides_about_rows),
		cmocka_unit_test(a_process_is_the_sum_of_its_threads),
		cmocka_unit_test(nothing_is_one_line),
		cmocka_unit_test(quiet_ports_are_folded_unless_in_trouble),
		cmocka_unit_test(omitted_and_lost_are_told),
		cmocka_unit_test(many_rows_are_folded_to_the_busiest),
		cmocka_unit_test(a_wide_process_is_folded_by_the_names_of_its_threads),
		cmocka_unit_test(rows_of_several_units_say_theirs),
		cmocka_unit_test(several_sockets_get_a_table_of_drops_and_queues),
		cmocka_unit_test(an_interval_with_waits_at_80_columns),
		cmocka_unit_test(by_socket_with_waits),
		cmocka_unit_test(a_process_waits_as_its_threads),
		cmocka_unit_test(who_serves_has_a_row),
		cmocka_unit_test(open_that_is_a_bound_is_marked),
		cmocka_unit_test(notes_are_no_trouble),
		cmocka_unit_test(every_width_holds),
		cmocka_unit_test(colour_only_if_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
