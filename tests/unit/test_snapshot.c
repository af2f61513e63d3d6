/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copy, find, merge, judge: user/model/snapshot.c. Leaks are AddressSanitizer's to find. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/model/judge.h"
#include "../../user/model/siblings.h"
#include "../../user/model/snapshot.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* An endpoint that owns copies of these rows. */
static struct endpoint endpoint_of(enum protocol protocol, const struct socket_row *sockets,
				   size_t socket_count, const struct worker_row *workers,
				   size_t worker_count)
{
	const struct endpoint rows = {
		.protocol = protocol,
		.port = 8080,
		.netns = 1,
		.sockets = (struct socket_row *)sockets,
		.socket_count = socket_count,
		.workers = (struct worker_row *)workers,
		.worker_count = worker_count,
	};
	struct endpoint e;

	assert_int_equal(endpoint_copy(&e, &rows), 0);
	return e;
}

static void copy_is_deep(void **state)
{
	struct socket_row sockets[] = { { .cookie = 1, .arrived = 5 } };
	struct worker_row workers[] = { { .tid = 2, .comm = "nginx" }, { .tid = 3 } };
	struct cpu_row cpus[] = { { 0, 4 }, { 1, 1 } };
	const struct endpoint from = {
		.protocol = PROTOCOL_UDP,
		.port = 53,
		.flows = 7,
		.sockets = sockets,
		.socket_count = 1,
		.workers = workers,
		.worker_count = 2,
		.cpus = cpus,
		.cpu_count = 2,
	};
	struct endpoint to;

	(void)state;
	memset(&to, 0xff, sizeof(to));
	assert_int_equal(endpoint_copy(&to, &from), 0);
	sockets[0].arrived = 0;
	workers[0].comm[0] = 'X';
	cpus[1].arrived = 0;
	assert_int_equal(to.protocol, PROTOCOL_UDP);
	assert_int_equal(to.port, 53);
	assert_int_equal(to.flows, 7);
	assert_int_equal(to.sockets[0].arrived, 5);
	assert_string_equal(to.workers[0].comm, "nginx");
	assert_int_equal(to.workers[1].tid, 3);
	assert_int_equal(to.cpus[1].arrived, 1);
	endpoint_free(&to);
	assert_null(to.sockets);
	assert_int_equal(to.worker_count, 0);
	endpoint_free(&to); /* twice is fine */
}

static void copy_of_nothing(void **state)
{
	const struct endpoint from = { .port = 1 };
	struct endpoint to;

	(void)state;
	assert_int_equal(endpoint_copy(&to, &from), 0);
	assert_null(to.sockets);
	assert_null(to.workers);
	assert_null(to.cpus);
	endpoint_free(&to);
}

static void free_takes_everything(void **state)
{
	const struct socket_row socket = { .cookie = 1 };
	const struct worker_row worker = { .tid = 1 };
	struct snapshot s = { .endpoint_count = 2, .lost_count = 1 };

	(void)state;
	s.endpoints = calloc(2, sizeof(*s.endpoints));
	s.lost = calloc(1, sizeof(*s.lost));
	assert_non_null(s.endpoints);
	assert_non_null(s.lost);
	s.endpoints[1] = endpoint_of(PROTOCOL_TCP, &socket, 1, &worker, 1);
	snapshot_free(&s);
	assert_null(s.endpoints);
	assert_null(s.lost);
	assert_int_equal(s.endpoint_count, 0);
	snapshot_free(&s);
}

static void lost_is_the_sum(void **state)
{
	struct lost_row lost[] = { { "a", "", 3, false, false },
				   { "b", "", 0, false, false },
				   { "c", "", 4, true, true } };
	const struct snapshot none = {}, some = { .lost = lost, .lost_count = 3 };

	(void)state;
	assert_int_equal(snapshot_lost(&none), 0);
	assert_int_equal(snapshot_lost(&some), 7);
	assert_int_equal(snapshot_lost_counts(&some), 3);
}

static void find_needs_all_to_be_the_same(void **state)
{
	struct endpoint endpoints[] = {
		{ .protocol = PROTOCOL_UDP,
		  .family = AF_INET,
		  .address = { 127, 0, 0, 1 },
		  .port = 80,
		  .netns = 1 },
		{ .protocol = PROTOCOL_TCP,
		  .family = AF_INET,
		  .address = { 127, 0, 0, 1 },
		  .port = 81,
		  .netns = 1 },
		{ .protocol = PROTOCOL_TCP,
		  .family = AF_INET,
		  .address = { 127, 0, 0, 1 },
		  .port = 80,
		  .netns = 2 },
		{ .protocol = PROTOCOL_TCP,
		  .family = AF_INET,
		  .address = { 127, 0, 0, 2 },
		  .port = 80,
		  .netns = 1 },
		{ .protocol = PROTOCOL_TCP,
		  .family = AF_INET6,
		  .address = { 127, 0, 0, 1 },
		  .port = 80,
		  .netns = 1 },
		{ .protocol = PROTOCOL_TCP,
		  .family = AF_INET,
		  .address = { 127, 0, 0, 1 },
		  .port = 80,
		  .netns = 1 },
	};
	struct snapshot s = { .endpoints = endpoints, .endpoint_count = 6 };
	struct endpoint like = endpoints[5];

	(void)state;
	for (int i = 0; i < 6; i++) {
		like = endpoints[i];
		assert_ptr_equal(snapshot_find(&s, &like), &endpoints[i]);
	}
	like.port = 8080;
	assert_null(snapshot_find(&s, &like));
}

/* Sockets 30, 10, 20 in the server's order; the kernel saw 20, 10 and a foreign 40. */
static void merge_sockets_in_the_servers_order(void **state)
{
	const struct socket_row seen[] = {
		{ .cookie = 20,
		  .inode = 200,
		  .arrived = 2,
		  .accepted = 2,
		  .queue_known = true,
		  .queue_limit = 128 },
		{ .cookie = 40, .arrived = 4 },
		{ .cookie = 10, .arrived = 1 },
	};
	const struct socket_row known[] = {
		{ .cookie = 30,
		  .inode = 300,
		  .uid = 7,
		  .reuseport = true,
		  .accepted = 99,
		  .arrived = 99,
		  .drops = 99 },
		{ .cookie = 10, .inode = 100, .accepted = 99 },
		{ .cookie = 20, .inode = 999 },
	};
	struct endpoint kernel = endpoint_of(PROTOCOL_TCP, seen, 3, NULL, 0);
	struct endpoint own = endpoint_of(PROTOCOL_TCP, known, 3, NULL, 0);

	(void)state;
	assert_int_equal(endpoint_merge(&kernel, &own), 0);
	assert_int_equal(kernel.socket_count, 4);
	assert_int_equal(kernel.sockets[0].cookie, 30);
	assert_int_equal(kernel.sockets[0].inode, 300);
	assert_int_equal(kernel.sockets[0].uid, 7);
	assert_true(kernel.sockets[0].reuseport);
	assert_int_equal(kernel.sockets[0].arrived + kernel.sockets[0].accepted +
				 kernel.sockets[0].drops,
			 0);
	assert_int_equal(kernel.sockets[1].cookie, 10);
	assert_int_equal(kernel.sockets[1].arrived, 1);
	assert_int_equal(kernel.sockets[1].accepted, 0);
	assert_int_equal(kernel.sockets[2].cookie, 20);
	assert_int_equal(kernel.sockets[2].inode, 200);
	assert_int_equal(kernel.sockets[2].queue_limit, 128);
	assert_int_equal(kernel.sockets[3].cookie, 40);
	assert_int_equal(kernel.sockets[3].arrived, 4);
	assert_false(kernel.served_known);
	endpoint_free(&kernel);
	endpoint_free(&own);
}

/* single-listener: the acceptor takes all, workers serve; the kernel saw only the acceptor, and a
 * stranger. */
static void merge_workers_acceptor_first(void **state)
{
	const struct worker_row seen[] = {
		{ .number = -1,
		  .pid = 9,
		  .tid = 99,
		  .comm = "stranger",
		  .cookie = 5,
		  .can_accept = true,
		  .wait_kind = WAITS_BLOCKED,
		  .accepted = 1 },
		{ .number = -1,
		  .pid = 1,
		  .tid = 10,
		  .start_ns = 77,
		  .comm = "kernel",
		  .cookie = 5,
		  .can_accept = true,
		  .wait_kind = WAITS_BLOCKED,
		  .accepted = 6 },
	};
	const struct worker_row known[] = {
		{ .number = -1,
		  .pid = 1,
		  .tid = 10,
		  .comm = "own",
		  .cookie = 5,
		  .can_accept = true,
		  .wait_kind = WAITS_BLOCKED,
		  .accepted = 1000 },
		{ .number = 0,
		  .pid = 1,
		  .tid = 12,
		  .comm = "worker",
		  .cookie = 5,
		  .serves = true,
		  .served = 4 },
		{ .number = 1,
		  .pid = 1,
		  .tid = 11,
		  .comm = "worker",
		  .cookie = 5,
		  .serves = true,
		  .served = 2,
		  .accepted = 9 },
	};
	struct endpoint kernel = endpoint_of(PROTOCOL_TCP, NULL, 0, seen, 2);
	struct endpoint own = endpoint_of(PROTOCOL_TCP, NULL, 0, known, 3);

	(void)state;
	assert_int_equal(endpoint_merge(&kernel, &own), 0);
	assert_int_equal(kernel.worker_count, 4);
	assert_int_equal(kernel.workers[0].tid, 10);
	assert_int_equal(kernel.workers[0].accepted, 6);
	assert_int_equal(kernel.workers[0].start_ns, 77);
	assert_string_equal(kernel.workers[0].comm, "kernel");
	assert_int_equal(kernel.workers[1].tid, 12);
	assert_int_equal(kernel.workers[1].number, 0);
	assert_int_equal(kernel.workers[1].served, 4);
	assert_false(kernel.workers[1].can_accept);
	assert_int_equal(kernel.workers[2].tid, 11);
	assert_int_equal(kernel.workers[2].accepted, 0);
	assert_int_equal(kernel.workers[3].tid, 99);
	assert_int_equal(kernel.workers[3].accepted, 1);
	assert_true(kernel.served_known);
	endpoint_free(&kernel);
	endpoint_free(&own);
}

static void merge_adds_what_the_server_knows(void **state)
{
	const struct worker_row seen[] = {
		{ .number = -1,
		  .pid = 1,
		  .tid = 10,
		  .cookie = 5,
		  .can_accept = true,
		  .wait_kind = WAITS_BLOCKED,
		  .accepted = 6 },
	};
	const struct worker_row known[] = {
		{ .number = 3,
		  .pid = 1,
		  .tid = 10,
		  .comm = "own",
		  .cgroup = "/x",
		  .cookie = 5,
		  .serves = true,
		  .served = 6 },
	};
	struct endpoint kernel = endpoint_of(PROTOCOL_UDP, NULL, 0, seen, 1);
	struct endpoint own = endpoint_of(PROTOCOL_UDP, NULL, 0, known, 1);

	(void)state;
	own.flows = 1024;
	assert_int_equal(endpoint_merge(&kernel, &own), 0);
	assert_int_equal(kernel.worker_count, 1);
	assert_int_equal(kernel.workers[0].number, 3);
	assert_string_equal(kernel.workers[0].comm, "own"); /* the kernel's was empty */
	assert_string_equal(kernel.workers[0].cgroup, "/x");
	assert_true(kernel.workers[0].can_accept); /* one of the two says so */
	assert_true(kernel.workers[0].serves);
	assert_int_equal(kernel.workers[0].served, 6);
	assert_int_equal(kernel.workers[0].accepted, 6);
	assert_int_equal(kernel.flows, 1024);
	own.flows = 0;
	assert_int_equal(endpoint_merge(&kernel, &own), 0);
	assert_int_equal(kernel.flows, 1024);     /* what own does not know stays */
	assert_int_equal(kernel.worker_count, 1); /* merging again adds nothing */
	endpoint_free(&kernel);
	endpoint_free(&own);
}

/* One thread on two sockets, and a thread id that was used again on the same socket: rows stay
 * apart. */
static void merge_keeps_rows_apart(void **state)
{
	const struct worker_row seen[] = {
		{ .number = -1, .pid = 1, .tid = 10, .cookie = 5, .accepted = 1, .start_ns = 100 },
		{ .number = -1, .pid = 1, .tid = 10, .cookie = 6, .accepted = 2, .start_ns = 100 },
		{ .number = -1, .pid = 1, .tid = 10, .cookie = 5, .accepted = 4, .start_ns = 200 },
		{ .number = -1, .pid = 2, .tid = 10, .cookie = 5, .accepted = 8 },
	};
	const struct worker_row known[] = {
		{ .number = 0, .pid = 1, .tid = 10, .cookie = 6, .serves = true, .ended = true },
		{ .number = 0, .pid = 1, .tid = 10, .cookie = 5 },
	};
	static const uint64_t expected[] = { 2, 1, 4, 8 };
	struct endpoint kernel = endpoint_of(PROTOCOL_TCP, NULL, 0, seen, 4);
	struct endpoint own = endpoint_of(PROTOCOL_TCP, NULL, 0, known, 2);

	(void)state;
	assert_int_equal(endpoint_merge(&kernel, &own), 0);
	assert_int_equal(kernel.worker_count, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(kernel.workers[i].accepted, expected[i]);
	assert_int_equal(kernel.workers[1].number, 0);
	assert_int_equal(kernel.workers[2].number, -1);
	assert_true(kernel.workers[0].ended);
	assert_false(kernel.workers[1].ended);
	assert_true(kernel.served_known);
	endpoint_free(&kernel);
	endpoint_free(&own);
}

/* 4,096 workers with a socket each, half of them seen, in reverse. */
static void merge_of_many(void **state)
{
	enum { MANY = 4096 };
	struct endpoint kernel = { .protocol = PROTOCOL_TCP }, own = { .protocol = PROTOCOL_TCP };

	(void)state;
	own.workers = calloc(MANY, sizeof(*own.workers));
	own.sockets = calloc(MANY, sizeof(*own.sockets));
	kernel.workers = calloc(MANY / 2, sizeof(*kernel.workers));
	kernel.sockets = calloc(MANY / 2, sizeof(*kernel.sockets));
	assert_true(own.workers && own.sockets && kernel.workers && kernel.sockets);
	own.worker_count = own.socket_count = MANY;
	kernel.worker_count = kernel.socket_count = MANY / 2;
	for (int i = 0; i < MANY; i++) {
		own.workers[i] = (struct worker_row){
			.number = i, .pid = 1, .tid = MANY - i, .cookie = (uint64_t)i + 1
		};
		own.sockets[i] = (struct socket_row){ .cookie = (uint64_t)i + 1 };
	}
	for (size_t i = 0; i < MANY / 2; i++) {
		const struct worker_row *row = &own.workers[MANY - 1 - 2 * i];

		kernel.workers[i] = *row;
		kernel.workers[i].accepted = row->cookie;
		kernel.sockets[i] =
			(struct socket_row){ .cookie = row->cookie, .arrived = row->cookie };
	}
	assert_int_equal(endpoint_merge(&kernel, &own), 0);
	assert_int_equal(kernel.worker_count, MANY);
	assert_int_equal(kernel.socket_count, MANY);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(kernel.workers[i].number, i);
		assert_int_equal(kernel.workers[i].accepted, i % 2 ? i + 1 : 0);
		assert_int_equal(kernel.sockets[i].arrived, i % 2 ? i + 1 : 0);
	}
	endpoint_free(&kernel);
	endpoint_free(&own);
}

/* Two sockets, three threads: one of them on both sockets, one that only serves. */
static void judge_counts_the_right_things(void **state)
{
	const struct socket_row sockets[] = { { .cookie = 1, .arrived = 600 },
					      { .cookie = 2, .arrived = 400 } };
	const struct worker_row workers[] = {
		{ .number = 0,
		  .pid = 1,
		  .tid = 10,
		  .cookie = 1,
		  .can_accept = true,
		  .wait_kind = WAITS_BLOCKED,
		  .accepted = 300,
		  .serves = true,
		  .served = 1 },
		{ .number = 1,
		  .pid = 1,
		  .tid = 11,
		  .cookie = 1,
		  .can_accept = true,
		  .wait_kind = WAITS_BLOCKED,
		  .accepted = 290,
		  .serves = true,
		  .served = 2 },
		{ .number = 0,
		  .pid = 1,
		  .tid = 10,
		  .cookie = 2,
		  .can_accept = true,
		  .wait_kind = WAITS_BLOCKED,
		  .accepted = 400 },
		{ .number = 2, .pid = 1, .tid = 12, .cookie = 1, .serves = true, .served = 3 },
	};
	struct endpoint e = endpoint_of(PROTOCOL_TCP, sockets, 2, workers, 4);

	(void)state;
	assert_int_equal(endpoint_judge(&e, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(e.socket_fairness.bins, 2);
	assert_int_equal(e.socket_fairness.events, 1000);
	assert_int_equal(e.socket_fairness.unit, UNIT_EVENT);
	assert_true(fabs(e.socket_fairness.cv - 0.2) < 1e-12);
	assert_int_equal(e.worker_fairness.bins, 2);
	assert_int_equal(e.worker_fairness.events, 990);
	assert_true(fabs(e.worker_fairness.max_over_mean - 700.0 / 495) < 1e-12);
	assert_int_equal(e.worker_fairness.verdict, VERDICT_UNEVEN);
	assert_int_equal(e.served_fairness.bins, 3);
	assert_int_equal(e.served_fairness.events, 6);
	assert_int_equal(e.served_fairness.verdict, VERDICT_TOO_FEW);
	endpoint_free(&e);
}

static void judge_nothing(void **state)
{
	struct endpoint e = {};

	(void)state;
	assert_int_equal(endpoint_judge(&e, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(e.socket_fairness.verdict, VERDICT_NOT_APPLICABLE);
	assert_int_equal(e.worker_fairness.verdict, VERDICT_NOT_APPLICABLE);
	assert_int_equal(e.served_fairness.verdict, VERDICT_NOT_APPLICABLE);
	assert_true(isnan(e.served_fairness.cv));
}

static void judge_passes_the_threshold_and_errors_on(void **state)
{
	const struct socket_row sockets[] = { { .cookie = 1, .arrived = 6000 },
					      { .cookie = 2, .arrived = 4000 } };
	struct endpoint e = endpoint_of(PROTOCOL_TCP, sockets, 2, NULL, 0);

	(void)state;
	assert_int_equal(endpoint_judge(&e, 0.3), 0);
	assert_int_equal(e.socket_fairness.verdict, VERDICT_EVEN);
	assert_int_equal(endpoint_judge(&e, 0.1), 0);
	assert_int_equal(e.socket_fairness.verdict, VERDICT_UNEVEN);
	assert_int_equal(endpoint_judge(&e, 0), -EINVAL);
	endpoint_free(&e);
}

/* Several UDP sockets share by flow, one is shared by datagram. */
static void judge_udp_units(void **state)
{
	const struct socket_row sockets[] = { { .cookie = 1, .arrived = 600 },
					      { .cookie = 2, .arrived = 400 } };
	const struct worker_row workers[] = {
		{ .number = 0,
		  .tid = 1,
		  .cookie = 1,
		  .can_accept = true,
		  .wait_kind = WAITS_BLOCKED,
		  .accepted = 600,
		  .serves = true,
		  .served = 600 },
		{ .number = 1,
		  .tid = 2,
		  .cookie = 2,
		  .can_accept = true,
		  .wait_kind = WAITS_BLOCKED,
		  .accepted = 400,
		  .serves = true,
		  .served = 400 },
	};
	struct endpoint e = endpoint_of(PROTOCOL_UDP, sockets, 2, workers, 2);

	(void)state;
	assert_int_equal(endpoint_judge(&e, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(e.socket_fairness.verdict, VERDICT_FLOWS_UNKNOWN);
	assert_int_equal(e.worker_fairness.verdict, VERDICT_FLOWS_UNKNOWN);
	assert_int_equal(e.served_fairness.verdict, VERDICT_FLOWS_UNKNOWN);
	e.flows = 64;
	assert_int_equal(endpoint_judge(&e, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(e.socket_fairness.unit, UNIT_FLOW);
	assert_int_equal(e.worker_fairness.flows, 64);
	assert_int_equal(e.served_fairness.unit, UNIT_FLOW);
	assert_int_equal(e.served_fairness.verdict, VERDICT_TOO_FEW);
	e.socket_count = 1;
	assert_int_equal(endpoint_judge(&e, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(e.socket_fairness.verdict, VERDICT_NOT_APPLICABLE);
	assert_int_equal(e.worker_fairness.unit, UNIT_EVENT);
	assert_int_equal(e.worker_fairness.flows, 0);
	assert_int_equal(e.served_fairness.unit, UNIT_EVENT);
	endpoint_free(&e);
}

static void judge_ended_workers(void **state)
{
	struct worker_row workers[] = {
		{ .number = -1,
		  .tid = 1,
		  .can_accept = true,
		  .wait_kind = WAITS_BLOCKED,
		  .accepted = 1000 },
		{ .number = -1,
		  .tid = 2,
		  .can_accept = true,
		  .wait_kind = WAITS_BLOCKED,
		  .accepted = 1000 },
		{ .number = -1,
		  .tid = 3,
		  .can_accept = true,
		  .wait_kind = WAITS_BLOCKED,
		  .accepted = 10,
		  .ended = true },
	};
	struct endpoint e = { .protocol = PROTOCOL_TCP,
			      .workers = workers,
			      .worker_count = COUNT_OF(workers) };

	(void)state;
	assert_int_equal(endpoint_judge(&e, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(e.worker_fairness.bins, 2); /* lived for part of the window */
	assert_int_equal(e.worker_fairness.verdict, VERDICT_EVEN);
	for (size_t i = 0; i < COUNT_OF(workers); i++)
		workers[i].number = (int)i;
	assert_int_equal(endpoint_judge(&e, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(e.worker_fairness.bins, 2); /* a workload's that was killed half-way too */
	assert_int_equal(e.worker_fairness.verdict, VERDICT_EVEN);
	for (size_t i = 0; i < COUNT_OF(workers); i++) {
		workers[i].number = -1;
		workers[i].ended = true;
	}
	assert_int_equal(endpoint_judge(&e, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(e.worker_fairness.bins, 3); /* the server ended as a whole */
}

/* The bins of an endpoint with these workers and a socket each with the same life. */
static size_t bins_of(const struct worker_row *workers, size_t count, size_t *sockets)
{
	struct socket_row rows[8] = {};
	struct endpoint e;
	size_t bins;

	for (size_t i = 0; i < count; i++)
		rows[i] = (struct socket_row){ .cookie = i + 1,
					       .appeared = workers[i].appeared,
					       .ended = workers[i].ended,
					       .arrived = workers[i].accepted };
	e = endpoint_of(PROTOCOL_TCP, rows, count, workers, count);
	assert_int_equal(endpoint_judge(&e, FAIRNESS_THRESHOLD), 0);
	bins = e.worker_fairness.bins;
	assert_int_equal(e.process_fairness.bins, bins);
	*sockets = e.socket_fairness.bins;
	endpoint_free(&e);
	return bins;
}

#define LIFE(id, a, e)                                                                             \
	{                                                                                          \
		.number = -1, .pid = id, .tid = id, .can_accept = true,                            \
		.wait_kind = WAITS_BLOCKED, .accepted = id, .appeared = a, .ended = e              \
	}

/* Who lived for part of the window was owed less: no bin while others lived through it. */
static void judge_only_who_lived_through_the_window(void **state)
{
	const struct worker_row mixed[] = { LIFE(1, false, false), LIFE(2, true, false),
					    LIFE(3, false, true), LIFE(4, true, true),
					    LIFE(5, false, false) };
	size_t sockets;

	(void)state;
	assert_int_equal(bins_of(mixed, 5, &sockets), 2);
	assert_int_equal(sockets, 2);
}

/* A server that was stopped, one that was started, one that did both; of two generations see
 * test_generations.c. */
static void judge_the_longest_lives_there_are(void **state)
{
	const struct worker_row stopped[] = { LIFE(1, false, true), LIFE(2, false, true),
					      LIFE(3, true, true) };
	const struct worker_row started[] = { LIFE(1, true, false), LIFE(2, true, false),
					      LIFE(3, true, true) };
	const struct worker_row both[] = { LIFE(1, true, true), LIFE(2, true, true) };
	size_t sockets;

	(void)state;
	assert_int_equal(bins_of(stopped, 3, &sockets), 2);
	assert_int_equal(sockets, 2);
	assert_int_equal(bins_of(started, 3, &sockets), 2);
	assert_int_equal(sockets, 2);
	assert_int_equal(bins_of(both, 2, &sockets), 2);
	assert_int_equal(sockets, 2);
}

static void judge_processes_by_the_sum_of_their_threads(void **state)
{
	const struct worker_row workers[] = {
		{ .number = -1,
		  .pid = 1,
		  .tid = 10,
		  .can_accept = true,
		  .wait_kind = WAITS_BLOCKED,
		  .accepted = 300 },
		{ .number = -1,
		  .pid = 2,
		  .tid = 20,
		  .can_accept = true,
		  .wait_kind = WAITS_BLOCKED,
		  .accepted = 500 },
		{ .number = -1,
		  .pid = 1,
		  .tid = 11,
		  .can_accept = true,
		  .wait_kind = WAITS_BLOCKED,
		  .accepted = 200 },
		{ .number = -1, .pid = 3, .tid = 30 }, /* a master */
	};
	struct endpoint e = endpoint_of(PROTOCOL_TCP, NULL, 0, workers, 4);

	(void)state;
	assert_int_equal(endpoint_judge(&e, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(e.process_fairness.bins, 2);
	assert_int_equal(e.process_fairness.events, 1000);
	assert_true(e.process_fairness.cv == 0);
	assert_int_equal(e.worker_fairness.bins, 3);
	endpoint_free(&e);
}

/* A thread on two sockets, one of which was closed: it lived through the window, and what it took
 * from either is its own. */
static void judge_a_thread_by_all_its_sockets(void **state)
{
	const struct worker_row workers[] = {
		{ .number = -1,
		  .pid = 1,
		  .tid = 1,
		  .start_ns = 5,
		  .cookie = 1,
		  .can_accept = true,
		  .wait_kind = WAITS_BLOCKED,
		  .accepted = 600 },
		{ .number = -1,
		  .pid = 1,
		  .tid = 1,
		  .start_ns = 5,
		  .cookie = 2,
		  .can_accept = true,
		  .wait_kind = WAITS_BLOCKED,
		  .accepted = 400,
		  .ended = true },
		{ .number = -1,
		  .pid = 2,
		  .tid = 2,
		  .cookie = 1,
		  .can_accept = true,
		  .wait_kind = WAITS_BLOCKED,
		  .accepted = 1000 },
		/* its id was another thread's before */
		{ .number = -1,
		  .pid = 2,
		  .tid = 2,
		  .start_ns = 4,
		  .cookie = 1,
		  .can_accept = true,
		  .wait_kind = WAITS_BLOCKED,
		  .accepted = 77,
		  .ended = true },
	};
	struct endpoint e = endpoint_of(PROTOCOL_TCP, NULL, 0, workers, COUNT_OF(workers));

	(void)state;
	assert_int_equal(endpoint_judge(&e, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(e.worker_fairness.bins, 2);
	assert_int_equal(e.worker_fairness.events, 2000);
	assert_true(e.worker_fairness.cv == 0);
	assert_int_equal(e.process_fairness.bins, 2);
	assert_int_equal(e.process_fairness.events, 2077); /* it lived on */
	endpoint_free(&e);
}

/* Two workers with a socket each, as an observer sees a server: all known, nothing lost. */
struct server {
	struct socket_row sockets[2];
	struct worker_row workers[2];
	struct endpoint endpoint;
};

static void serve(struct server *s)
{
	*s = (struct server){};
	s->endpoint = (struct endpoint){ .protocol = PROTOCOL_TCP,
					 .sockets = s->sockets,
					 .socket_count = 2,
					 .workers = s->workers,
					 .worker_count = 2,
					 .served_known = true,
					 .open_known = true };
	for (int i = 0; i < 2; i++) {
		s->sockets[i] = (struct socket_row){ .cookie = i + 1,
						     .reuseport = true,
						     .group = 1,
						     .arrived = 1000,
						     .accepted = 1000,
						     .waiting_known = true };
		s->workers[i] = (struct worker_row){ .number = -1,
						     .pid = i + 1,
						     .tid = i + 1,
						     .cookie = i + 1,
						     .can_accept = true,
						     .wait_kind = WAITS_BLOCKED,
						     .accepted = 1000,
						     .serves = true,
						     .served = 1000,
						     .open_known = true,
						     .open = 1000 };
	}
}

/* Of sockets, workers, processes, served, open: which are withheld for that reason, a letter each;
 * all others are even. */
static void assert_withheld(struct server *s, const char *letters, enum withheld why)
{
	const struct endpoint *e = &s->endpoint;
	const struct {
		char letter;
		const struct fairness *fair;
	} all[] = { { 's', &e->socket_fairness },
		    { 'w', &e->worker_fairness },
		    { 'p', &e->process_fairness },
		    { 'r', &e->served_fairness },
		    { 'o', &e->open_fairness } };

	assert_int_equal(endpoint_judge(&s->endpoint, FAIRNESS_THRESHOLD), 0);
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		const bool withheld = strchr(letters, all[i].letter);

		if ((all[i].fair->verdict == VERDICT_WITHHELD) != withheld ||
		    all[i].fair->withheld != (withheld ? why : WITHHELD_NOT))
			fail_msg("%c of \"%s\": %s, %s", all[i].letter, letters,
				 verdict_name(all[i].fair->verdict),
				 all[i].fair->withheld ? withheld_name(all[i].fair->withheld) : "");
		assert_true(isnan(all[i].fair->p_value) == withheld);
		assert_true(all[i].fair->cv == 0); /* magnitudes stay */
	}
	serve(s);
}

static void withheld_where_counts_were_lost(void **state)
{
	struct server s;

	(void)state;
	serve(&s);
	assert_withheld(&s, "", WITHHELD_NOT);
	s.endpoint.lost.arrived = 1;
	assert_withheld(&s, "s", WITHHELD_COUNTS_LOST);
	s.endpoint.lost.accepted = 1;
	assert_withheld(&s, "wp", WITHHELD_COUNTS_LOST);
	s.endpoint.lost.served = 1;
	assert_withheld(&s, "r", WITHHELD_COUNTS_LOST);
	s.endpoint.lost.open = 1;
	assert_withheld(&s, "o", WITHHELD_COUNTS_LOST);
	s.endpoint.lost.accepted = 1;
	s.sockets[0].waiting_cut = true; /* the first reason that there is */
	assert_int_equal(endpoint_judge(&s.endpoint, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(s.endpoint.worker_fairness.withheld, WITHHELD_COUNTS_LOST);
	assert_int_equal(s.endpoint.served_fairness.withheld, WITHHELD_WAITERS_CUT);
}

/* Even a port with one worker: others may have taken what was lost. */
static void withheld_of_one_worker_too(void **state)
{
	struct server s;

	(void)state;
	serve(&s);
	s.endpoint.worker_count = 1;
	s.endpoint.lost.accepted = 1;
	assert_int_equal(endpoint_judge(&s.endpoint, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(s.endpoint.worker_fairness.verdict, VERDICT_WITHHELD);
	assert_int_equal(s.endpoint.served_fairness.verdict, VERDICT_NOT_APPLICABLE);
}

static void withheld_where_waiters_are_cut_or_unknown(void **state)
{
	struct server s;

	(void)state;
	serve(&s);
	s.sockets[1].waiting_cut = true;
	assert_withheld(&s, "wpro", WITHHELD_WAITERS_CUT);
	s.sockets[1].waiting_known = false; /* nobody looked who waits on it */
	assert_withheld(&s, "wpro", WITHHELD_BINS_UNKNOWN);
	s.sockets[1].waiting_known = false;
	s.workers[0].number = 0; /* a workload knows its own */
	assert_withheld(&s, "", WITHHELD_NOT);
	s.endpoint.socket_count = 1;
	s.sockets[0].arrived = 2000;
	s.workers[1].cookie = 1;
	s.sockets[1] = (struct socket_row){
		.cookie = 3, .arrived = 5, .appeared = true, .ended = true
	}; /* came and went between two looks: no bin */
	s.endpoint.socket_count = 2;
	assert_int_equal(endpoint_judge(&s.endpoint, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(s.endpoint.worker_fairness.verdict, VERDICT_EVEN);
}

/* Rows that are folded had ended: beside others that lived through they are no bins, of a server
 * that was stopped they are. */
static void withheld_where_bins_are_folded(void **state)
{
	struct server s;

	(void)state;
	serve(&s);
	s.endpoint.omitted.sockets = s.endpoint.omitted.workers = 7;
	assert_withheld(&s, "", WITHHELD_NOT);
	s.endpoint.omitted.sockets = s.endpoint.omitted.workers = 7;
	for (int i = 0; i < 2; i++)
		s.sockets[i].ended = s.workers[i].ended = true;
	assert_withheld(&s, "swpro", WITHHELD_ROWS_CUT);
	s.endpoint.omitted.sockets = s.endpoint.omitted.workers = 7;
	for (int i = 0; i < 2; i++)
		s.sockets[i].appeared = s.workers[i].appeared =
			true; /* started, and lives: what ended is no bin */
	assert_withheld(&s, "", WITHHELD_NOT);
}

static void withheld_where_open_is_a_bound(void **state)
{
	struct server s;

	(void)state;
	serve(&s);
	s.workers[1].open_at_least = true;
	assert_withheld(&s, "o", WITHHELD_OPEN_INCOMPLETE);
	s.workers[1].open_known = false;
	s.workers[0].open = 1000;
	assert_int_equal(endpoint_judge(&s.endpoint, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(s.endpoint.open_fairness.withheld, WITHHELD_OPEN_INCOMPLETE);
}

static void holders_of_a_socket(void **state)
{
	struct holder_row rows[] = { { .cookie = 1, .pid = 5 },
				     { .cookie = 3, .pid = 4 },
				     { .cookie = 3, .pid = 6 },
				     { .cookie = 9, .pid = 1 } };
	const struct endpoint e = { .holders = rows, .holder_count = 4 }, none = {};
	size_t count;

	(void)state;
	assert_ptr_equal(endpoint_holders(&e, 3, &count), &rows[1]);
	assert_int_equal(count, 2);
	endpoint_holders(&e, 9, &count);
	assert_int_equal(count, 1);
	endpoint_holders(&e, 4, &count);
	assert_int_equal(count, 0);
	endpoint_holders(&e, 10, &count);
	assert_int_equal(count, 0);
	endpoint_holders(&none, 1, &count);
	assert_int_equal(count, 0);
}

/* An accept mutex: nginx 12 never gets its turn, so it is never seen waiting. */
static void idle_siblings_are_workers(void **state)
{
	struct holder_row holders[] = {
		{ .cookie = 5, .pid = 10, .parent = 1, .process = "nginx" }, /* the master */
		{ .cookie = 5, .pid = 11, .parent = 10, .process = "nginx" },
		{ .cookie = 5,
		  .pid = 12,
		  .parent = 10,
		  .process = "nginx",
		  .polls = true,
		  .pid_inside = 3,
		  .start_ns = 77,
		  .cgroup = "/n" },
		{ .cookie = 5,
		  .pid = 13,
		  .parent = 10,
		  .process = "helper",
		  .polls = true }, /* another program of the master's */
		{ .cookie = 5,
		  .pid = 14,
		  .parent = 9,
		  .process = "nginx",
		  .polls = true }, /* another server's */
		{ .cookie = 6,
		  .pid = 12,
		  .parent = 10,
		  .process = "nginx",
		  .polls = true }, /* one row, though it holds two sockets */
		{ .cookie = 6,
		  .pid = 15,
		  .parent = 10,
		  .process = "nginx" }, /* a helper that was forked: it never waits for events */
	};
	struct endpoint e = { .holders = holders, .holder_count = 7, .worker_count = 1 };

	(void)state;
	e.workers = calloc(1, sizeof(*e.workers));
	e.workers[0] = (struct worker_row){ .number = -1,
					    .pid = 11,
					    .tid = 11,
					    .parent = 10,
					    .process = "nginx",
					    .cookie = 5,
					    .can_accept = true,
					    .wait_kind = WAITS_BLOCKED };
	assert_int_equal(endpoint_add_siblings(&e), 0);
	assert_int_equal(e.worker_count, 2);
	assert_int_equal(e.workers[1].tid, 12);
	assert_int_equal(e.workers[1].cookie, 5);
	assert_int_equal(e.workers[1].pid_inside, 3);
	assert_int_equal(e.workers[1].start_ns, 77);
	assert_string_equal(e.workers[1].cgroup, "/n");
	assert_true(e.workers[1].can_accept && !e.workers[1].waits && !e.workers[1].accepted);
	assert_int_equal(e.unsure_siblings, 1); /* 15 */
	/* What is queued on a socket that it alone holds is its work, also if it is stopped. */
	e.worker_count = 1;
	holders[6].cookie = 7;
	holders[6].state = 'S';
	assert_int_equal(endpoint_add_siblings(&e), 0);
	assert_int_equal(e.unsure_siblings, 1);
	e.worker_count = 1;
	holders[6].state = 'T';
	assert_int_equal(endpoint_add_siblings(&e), 0);
	assert_int_equal(e.worker_count, 3);
	assert_int_equal(e.workers[2].pid, 15);
	assert_int_equal(e.unsure_siblings, 0);
	e.worker_count = 1;
	holders[6].cookie = 6; /* 12 holds it, too */
	assert_int_equal(endpoint_add_siblings(&e), 0);
	assert_int_equal(e.unsure_siblings, 1);
	/* A thread that accepts beside others of its process says nothing of other processes. */
	e.worker_count = 1;
	e.workers[0].tid = 15;
	assert_int_equal(endpoint_add_siblings(&e), 0);
	assert_int_equal(e.worker_count, 1);
	assert_int_equal(e.unsure_siblings, 0);
	/* Nor does one that ended. */
	e.workers[0].tid = 11;
	e.workers[0].ended = true;
	assert_int_equal(endpoint_add_siblings(&e), 0);
	assert_int_equal(e.worker_count, 1);
	free(e.workers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(idle_siblings_are_workers),
		cmocka_unit_test(copy_is_deep),
		cmocka_unit_test(copy_of_nothing),
		cmocka_unit_test(free_takes_everything),
		cmocka_unit_test(lost_is_the_sum),
		cmocka_unit_test(find_needs_all_to_be_the_same),
		cmocka_unit_test(merge_sockets_in_the_servers_order),
		cmocka_unit_test(merge_workers_acceptor_first),
		cmocka_unit_test(merge_adds_what_the_server_knows),
		cmocka_unit_test(merge_keeps_rows_apart),
		cmocka_unit_test(merge_of_many),
		cmocka_unit_test(judge_counts_the_right_things),
		cmocka_unit_test(judge_nothing),
		cmocka_unit_test(judge_passes_the_threshold_and_errors_on),
		cmocka_unit_test(judge_udp_units),
		cmocka_unit_test(judge_ended_workers),
		cmocka_unit_test(judge_only_who_lived_through_the_window),
		cmocka_unit_test(judge_the_longest_lives_there_are),
		cmocka_unit_test(judge_processes_by_the_sum_of_their_threads),
		cmocka_unit_test(judge_a_thread_by_all_its_sockets),
		cmocka_unit_test(withheld_where_counts_were_lost),
		cmocka_unit_test(withheld_of_one_worker_too),
		cmocka_unit_test(withheld_where_waiters_are_cut_or_unknown),
		cmocka_unit_test(withheld_where_bins_are_folded),
		cmocka_unit_test(withheld_where_open_is_a_bound),
		cmocka_unit_test(holders_of_a_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
