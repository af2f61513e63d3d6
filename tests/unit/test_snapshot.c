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

#include "../../user/model/snapshot.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* An endpoint that owns copies of these rows. */
static struct endpoint endpoint_of(enum protocol protocol, const struct socket_row *sockets, size_t socket_count,
				   const struct worker_row *workers, size_t worker_count)
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
		.protocol = PROTOCOL_UDP, .port = 53, .flows = 7, .sockets = sockets, .socket_count = 1, .workers = workers,
		.worker_count = 2, .cpus = cpus, .cpu_count = 2,
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
	struct lost_row lost[] = { { "a", "", 3, false }, { "b", "", 0, false }, { "c", "", 4, true } };
	const struct snapshot none = {}, some = { .lost = lost, .lost_count = 3 };

	(void)state;
	assert_int_equal(snapshot_lost(&none), 0);
	assert_int_equal(snapshot_lost(&some), 7);
	assert_int_equal(snapshot_lost_counts(&some), 3);
}

static void find_needs_all_to_be_the_same(void **state)
{
	struct endpoint endpoints[] = {
		{ .protocol = PROTOCOL_UDP, .family = AF_INET, .address = { 127, 0, 0, 1 }, .port = 80, .netns = 1 },
		{ .protocol = PROTOCOL_TCP, .family = AF_INET, .address = { 127, 0, 0, 1 }, .port = 81, .netns = 1 },
		{ .protocol = PROTOCOL_TCP, .family = AF_INET, .address = { 127, 0, 0, 1 }, .port = 80, .netns = 2 },
		{ .protocol = PROTOCOL_TCP, .family = AF_INET, .address = { 127, 0, 0, 2 }, .port = 80, .netns = 1 },
		{ .protocol = PROTOCOL_TCP, .family = AF_INET6, .address = { 127, 0, 0, 1 }, .port = 80, .netns = 1 },
		{ .protocol = PROTOCOL_TCP, .family = AF_INET, .address = { 127, 0, 0, 1 }, .port = 80, .netns = 1 },
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
		{ .cookie = 20, .inode = 200, .arrived = 2, .accepted = 2, .queue_known = true, .queue_limit = 128 },
		{ .cookie = 40, .arrived = 4 },
		{ .cookie = 10, .arrived = 1 },
	};
	const struct socket_row known[] = {
		{ .cookie = 30, .inode = 300, .uid = 7, .reuseport = true, .accepted = 99, .arrived = 99, .drops = 99 },
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
	assert_int_equal(kernel.sockets[0].arrived + kernel.sockets[0].accepted + kernel.sockets[0].drops, 0);
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

/* single-listener: the acceptor takes all, workers serve; the kernel saw only the acceptor, and a stranger. */
static void merge_workers_acceptor_first(void **state)
{
	const struct worker_row seen[] = {
		{ .number = -1, .pid = 9, .tid = 99, .comm = "stranger", .cookie = 5, .can_accept = true, .accepted = 1 },
		{ .number = -1, .pid = 1, .tid = 10, .start_ns = 77, .comm = "kernel", .cookie = 5, .can_accept = true,
		  .accepted = 6 },
	};
	const struct worker_row known[] = {
		{ .number = -1, .pid = 1, .tid = 10, .comm = "own", .cookie = 5, .can_accept = true, .accepted = 1000 },
		{ .number = 0, .pid = 1, .tid = 12, .comm = "worker", .cookie = 5, .serves = true, .served = 4 },
		{ .number = 1, .pid = 1, .tid = 11, .comm = "worker", .cookie = 5, .serves = true, .served = 2, .accepted = 9 },
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
		{ .number = -1, .pid = 1, .tid = 10, .cookie = 5, .can_accept = true, .accepted = 6 },
	};
	const struct worker_row known[] = {
		{ .number = 3, .pid = 1, .tid = 10, .comm = "own", .cgroup = "/x", .cookie = 5, .serves = true, .served = 6 },
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
	assert_int_equal(kernel.flows, 1024); /* what own does not know stays */
	assert_int_equal(kernel.worker_count, 1); /* merging again adds nothing */
	endpoint_free(&kernel);
	endpoint_free(&own);
}

/* One thread on two sockets, and a thread id that was used again on the same socket: rows stay apart. */
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
		own.workers[i] = (struct worker_row){ .number = i, .pid = 1, .tid = MANY - i, .cookie = (uint64_t)i + 1 };
		own.sockets[i] = (struct socket_row){ .cookie = (uint64_t)i + 1 };
	}
	for (size_t i = 0; i < MANY / 2; i++) {
		const struct worker_row *row = &own.workers[MANY - 1 - 2 * i];

		kernel.workers[i] = *row;
		kernel.workers[i].accepted = row->cookie;
		kernel.sockets[i] = (struct socket_row){ .cookie = row->cookie, .arrived = row->cookie };
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
	const struct socket_row sockets[] = { { .cookie = 1, .arrived = 600 }, { .cookie = 2, .arrived = 400 } };
	const struct worker_row workers[] = {
		{ .number = 0, .pid = 1, .tid = 10, .cookie = 1, .can_accept = true, .accepted = 300, .serves = true,
		  .served = 1 },
		{ .number = 1, .pid = 1, .tid = 11, .cookie = 1, .can_accept = true, .accepted = 290, .serves = true,
		  .served = 2 },
		{ .number = 0, .pid = 1, .tid = 10, .cookie = 2, .can_accept = true, .accepted = 400 },
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
	const struct socket_row sockets[] = { { .cookie = 1, .arrived = 6000 }, { .cookie = 2, .arrived = 4000 } };
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
	const struct socket_row sockets[] = { { .cookie = 1, .arrived = 600 }, { .cookie = 2, .arrived = 400 } };
	const struct worker_row workers[] = {
		{ .number = 0, .tid = 1, .cookie = 1, .can_accept = true, .accepted = 600, .serves = true, .served = 600 },
		{ .number = 1, .tid = 2, .cookie = 2, .can_accept = true, .accepted = 400, .serves = true, .served = 400 },
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
		{ .number = -1, .tid = 1, .can_accept = true, .accepted = 1000 },
		{ .number = -1, .tid = 2, .can_accept = true, .accepted = 1000 },
		{ .number = -1, .tid = 3, .can_accept = true, .accepted = 10, .ended = true },
	};
	struct endpoint e = { .protocol = PROTOCOL_TCP, .workers = workers, .worker_count = COUNT_OF(workers) };

	(void)state;
	assert_int_equal(endpoint_judge(&e, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(e.worker_fairness.bins, 2); /* lived for part of the window */
	assert_int_equal(e.worker_fairness.verdict, VERDICT_EVEN);
	for (size_t i = 0; i < COUNT_OF(workers); i++)
		workers[i].number = (int)i;
	assert_int_equal(endpoint_judge(&e, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(e.worker_fairness.bins, 3); /* a workload's stay */
	assert_int_equal(e.worker_fairness.verdict, VERDICT_UNEVEN);
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
		rows[i] = (struct socket_row){ .cookie = i + 1, .appeared = workers[i].appeared, .ended = workers[i].ended,
					       .arrived = workers[i].accepted };
	e = endpoint_of(PROTOCOL_TCP, rows, count, workers, count);
	assert_int_equal(endpoint_judge(&e, FAIRNESS_THRESHOLD), 0);
	bins = e.worker_fairness.bins;
	assert_int_equal(e.process_fairness.bins, bins);
	*sockets = e.socket_fairness.bins;
	endpoint_free(&e);
	return bins;
}

#define LIFE(id, a, e) { .number = -1, .pid = id, .tid = id, .can_accept = true, .accepted = id, .appeared = a, .ended = e }

/* Who lived for part of the window was owed less: no bin while others lived through it. */
static void judge_only_who_lived_through_the_window(void **state)
{
	const struct worker_row mixed[] = { LIFE(1, false, false), LIFE(2, true, false), LIFE(3, false, true), LIFE(4, true, true),
					    LIFE(5, false, false) };
	size_t sockets;

	(void)state;
	assert_int_equal(bins_of(mixed, 5, &sockets), 2);
	assert_int_equal(sockets, 2);
}

/* A server that was stopped, one that was started, one that did both. */
static void judge_the_longest_lives_there_are(void **state)
{
	const struct worker_row stopped[] = { LIFE(1, false, true), LIFE(2, false, true), LIFE(3, true, true), LIFE(4, true, false) };
	const struct worker_row started[] = { LIFE(1, true, false), LIFE(2, true, false), LIFE(3, true, true) };
	const struct worker_row both[] = { LIFE(1, true, true), LIFE(2, true, true) };
	size_t sockets;

	(void)state;
	assert_int_equal(bins_of(stopped, 4, &sockets), 2);
	assert_int_equal(sockets, 2);
	assert_int_equal(bins_of(started, 3, &sockets), 2);
	assert_int_equal(sockets, 2);
	assert_int_equal(bins_of(both, 2, &sockets), 2);
	assert_int_equal(sockets, 2);
}

static void judge_processes_by_the_sum_of_their_threads(void **state)
{
	const struct worker_row workers[] = {
		{ .number = -1, .pid = 1, .tid = 10, .can_accept = true, .accepted = 300 },
		{ .number = -1, .pid = 2, .tid = 20, .can_accept = true, .accepted = 500 },
		{ .number = -1, .pid = 1, .tid = 11, .can_accept = true, .accepted = 200 },
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

static void holders_of_a_socket(void **state)
{
	struct holder_row rows[] = { { .cookie = 1, .pid = 5 }, { .cookie = 3, .pid = 4 }, { .cookie = 3, .pid = 6 }, { .cookie = 9, .pid = 1 } };
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
		{ .cookie = 5, .pid = 12, .parent = 10, .process = "nginx", .polls = true, .pid_inside = 3, .start_ns = 77, .cgroup = "/n" },
		{ .cookie = 5, .pid = 13, .parent = 10, .process = "helper", .polls = true }, /* another program of the master's */
		{ .cookie = 5, .pid = 14, .parent = 9, .process = "nginx", .polls = true }, /* another server's */
		{ .cookie = 6, .pid = 12, .parent = 10, .process = "nginx", .polls = true }, /* one row, though it holds two sockets */
		{ .cookie = 6, .pid = 15, .parent = 10, .process = "nginx" }, /* a helper that was forked: it never waits for events */
	};
	struct endpoint e = { .holders = holders, .holder_count = 7, .worker_count = 1 };

	(void)state;
	e.workers = calloc(1, sizeof(*e.workers));
	e.workers[0] = (struct worker_row){ .number = -1, .pid = 11, .tid = 11, .parent = 10, .process = "nginx", .cookie = 5, .can_accept = true };
	assert_int_equal(endpoint_add_siblings(&e), 0);
	assert_int_equal(e.worker_count, 2);
	assert_int_equal(e.workers[1].tid, 12);
	assert_int_equal(e.workers[1].cookie, 5);
	assert_int_equal(e.workers[1].pid_inside, 3);
	assert_int_equal(e.workers[1].start_ns, 77);
	assert_string_equal(e.workers[1].cgroup, "/n");
	assert_true(e.workers[1].can_accept && !e.workers[1].waits && !e.workers[1].accepted);
	/* A thread that accepts beside others of its process says nothing of other processes. */
	e.worker_count = 1;
	e.workers[0].tid = 15;
	assert_int_equal(endpoint_add_siblings(&e), 0);
	assert_int_equal(e.worker_count, 1);
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
		cmocka_unit_test(holders_of_a_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
