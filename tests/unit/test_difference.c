/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What happened between two snapshots: user/model/difference.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>

#include <cmocka.h>

#include "../../user/model/judge.h"
#include "../../user/model/snapshot.h"

/* One TCP port at a time of the window; rows belong to the test. */
struct moment {
	struct socket_row sockets[4];
	struct worker_row workers[4];
	struct cpu_row cpus[4];
	struct lost_row lost[2];
	struct endpoint endpoint;
	struct snapshot snapshot;
};

static void moment_init(struct moment *m, double seconds, size_t sockets, size_t workers)
{
	m->endpoint.family = AF_INET;
	m->endpoint.port = 80;
	m->endpoint.netns = 1;
	m->endpoint.sockets = m->sockets;
	m->endpoint.socket_count = sockets;
	m->endpoint.workers = m->workers;
	m->endpoint.worker_count = workers;
	m->endpoint.cpus = m->cpus;
	m->snapshot = (struct snapshot){ .backend = "fentry",
					 .start_ms = 1767225600000,
					 .seconds = seconds,
					 .looked_seconds = seconds,
					 .final = true,
					 .endpoints = &m->endpoint,
					 .endpoint_count = 1,
					 .lost = m->lost };
}

static struct snapshot difference(const struct moment *now, const struct moment *before)
{
	struct snapshot out;

	assert_int_equal(snapshot_difference(&out, &now->snapshot, &before->snapshot), 0);
	return out;
}

static void the_window_is_the_time_between(void **state)
{
	struct moment before = {}, now = {};
	struct snapshot d;

	(void)state;
	moment_init(&before, 2.5, 0, 0);
	moment_init(&now, 3.75, 0, 0);
	before.snapshot.own_cost = (struct own_cost){ true, 10, 2000, 300 };
	now.snapshot.own_cost = (struct own_cost){ true, 15, 2600, 1000 };
	now.endpoint.port = 81; /* new: it stays even without rows */
	d = difference(&now, &before);
	assert_true(d.start_ms == 1767225602500);
	assert_true(d.seconds == 1.25);
	assert_false(d.final);
	assert_true(d.own_cost.known);
	assert_int_equal(d.own_cost.runs, 5);
	assert_int_equal(d.own_cost.ns, 600);
	assert_int_equal(d.own_cost.process_ns, 700);
	assert_string_equal(d.backend, "fentry");
	assert_int_equal(d.endpoint_count, 1);
	snapshot_free(&d);
}

static void counts_are_growth(void **state)
{
	struct moment before = {
		.sockets = { { .cookie = 1, .arrived = 10, .accepted = 9, .drops = 4, .full_ns = 100, .stalled_ns = 50, .buffers_maybe_several = 7 },
			     { .cookie = 2, .arrived = 5, .accepted = 5 } },
		.workers = { { .tid = 7, .cookie = 1, .accepted = 9 }, { .tid = 8, .cookie = 2, .accepted = 5 } },
	}, now = {
		.sockets = { { .cookie = 2, .arrived = 5, .accepted = 5 },
			     { .cookie = 1, .arrived = 30, .accepted = 28, .buffers_maybe_several = 12, .drops = 3, .queue_known = true, .queue_length = 2,
			       .full_known = true, .full_ns = 130, .stalled_ns = 80, .stalled_length = 1 } },
		.workers = { { .tid = 8, .cookie = 2, .accepted = 5 }, { .tid = 7, .cookie = 1, .accepted = 28, .waits = true } },
	};
	struct snapshot d;
	struct endpoint *e;

	(void)state;
	moment_init(&before, 1, 2, 2);
	moment_init(&now, 2, 2, 2);
	d = difference(&now, &before);
	e = &d.endpoints[0];
	assert_int_equal(e->socket_count, 2); /* unchanged ones stay, with 0 */
	assert_int_equal(e->sockets[0].cookie, 2);
	assert_int_equal(e->sockets[0].arrived + e->sockets[0].accepted, 0);
	assert_int_equal(e->sockets[1].arrived, 20);
	assert_int_equal(e->sockets[1].accepted, 19);
	assert_int_equal(e->sockets[1].buffers_maybe_several, 5);
	assert_int_equal(e->sockets[1].drops, 0); /* the earlier was read late: never below 0 */
	assert_int_equal(e->sockets[1].queue_length, 2);
	assert_int_equal(e->sockets[1].full_ns, 30);
	assert_int_equal(e->sockets[1].stalled_ns, 80); /* what is now, not growth */
	assert_int_equal(e->sockets[1].stalled_length, 1);
	assert_int_equal(e->workers[0].accepted, 0);
	assert_int_equal(e->workers[1].accepted, 19);
	assert_true(e->workers[1].waits);
	snapshot_free(&d);
}

/* The longest stall keeps its length; its times are moved, also of sockets that are new. */
static void stalls_are_moved(void **state)
{
	struct moment before = {
		.sockets = { { .cookie = 1, .stall = { .ns = 900, .last_ns = 800000000, .count = 2, .drops = 5 } },
			     { .cookie = 2, .stall = { .ns = 900, .last_ns = 700000000, .over = true, .over_ns = 800000000, .count = 1, .drops = 5 } } },
	}, now = {
		.sockets = { { .cookie = 1, .stall = { .ns = 1900, .last_ns = 1800000000, .over = true, .over_ns = 1900000000, .count = 3, .drops = 9 } },
			     { .cookie = 2, .stall = { .ns = 900, .last_ns = 700000000, .over = true, .over_ns = 800000000, .count = 1, .drops = 5 } },
			     { .cookie = 3, .stall = { .ns = 900, .last_ns = 1700000000, .count = 1 } } },
	};
	struct snapshot d;
	const struct stall *s;

	(void)state;
	moment_init(&before, 1, 2, 0);
	moment_init(&now, 2, 3, 0);
	d = difference(&now, &before);
	s = &d.endpoints[0].sockets[0].stall;
	assert_int_equal(s->ns, 1900);
	assert_int_equal(s->last_ns, 800000000);
	assert_int_equal(s->over_ns, 900000000);
	assert_int_equal(s->count, 2); /* the one that went on, and another */
	assert_int_equal(s->drops, 4);
	s = &d.endpoints[0].sockets[1].stall;
	assert_true(s->over && s->over_ns == -200000000); /* before the interval */
	assert_int_equal(s->count + s->drops, 0);
	s = &d.endpoints[0].sockets[2].stall;
	assert_int_equal(s->last_ns, 700000000);
	assert_int_equal(s->count, 1);
	snapshot_free(&d);
}

static void waits_and_queues_are_growth_too(void **state)
{
	struct wait_histogram earlier[2] = {}, later[2] = {};
	struct moment before = {
		.sockets = { { .cookie = 1, .accepted = 9, .full_ns = 5, .queued_before = 2, .reset_queued = 3, .queue_highest = 7, .highest_known = true,
			       .wait = { .count = 9, .sum_ns = 90000, .max_ns = 90000, .histogram = 1 } } },
		.workers = { { .tid = 7, .cookie = 1, .accepted = 9, .served = 4, .finished = 3, .finished_ns = 30, .open = 6,
			       .handed = { .count = 4, .sum_ns = 8, .max_ns = 5 }, .usage_known = true, .cpu_ns = 100, .sleeps = 9,
			       .wait = { .count = 9, .sum_ns = 90000, .max_ns = 90000, .histogram = 2 } } },
	}, now = before;
	struct snapshot d;
	struct endpoint *e;

	(void)state;
	earlier[0].slots[2] = earlier[1].slots[2] = 9;
	later[0].slots[2] = later[1].slots[2] = 10;
	later[0].slots[4] = later[1].slots[4] = 1;
	moment_init(&before, 1, 1, 1);
	before.endpoint.histograms = earlier;
	before.endpoint.histogram_count = 2;
	now.sockets[0].full_ns = 8;
	now.sockets[0].queued_before = 3;
	now.sockets[0].stalled_ns = 4;
	now.sockets[0].wait.count = now.workers[0].wait.count = 11;
	now.sockets[0].wait.sum_ns = now.workers[0].wait.sum_ns = 97000;
	now.workers[0].served = 6;
	now.workers[0].finished = 5;
	now.workers[0].finished_ns = 70;
	now.workers[0].open = 2;
	now.workers[0].handed.count = 5;
	now.workers[0].cpu_ns = 130;
	now.workers[0].sleeps = 11;
	now.workers[0].process_cpu_known = before.workers[0].process_cpu_known = true;
	now.workers[0].process_cpu_ns = 200;
	before.workers[0].process_cpu_ns = 150;
	now.workers[0].bytes = (struct bytes){ 1000, 3000 };
	before.workers[0].bytes = (struct bytes){ 400, 500 };
	now.workers[2].process_cpu_known = true;
	now.workers[1] =
		(struct worker_row){ .tid = 8, .cookie = 1, .usage_known = true, .cpu_ns = 5 };
	now.workers[2] = (struct worker_row){
		.tid = 9, .cookie = 1, .usage_known = true, .cpu_ns = 5, .appeared = true
	};
	moment_init(&now, 2, 1, 3);
	now.endpoint.histograms = later;
	now.endpoint.histogram_count = 2;
	d = difference(&now, &before);
	e = &d.endpoints[0];
	assert_int_equal(e->sockets[0].full_ns, 3);
	assert_int_equal(e->sockets[0].queued_before, 1);
	assert_int_equal(e->sockets[0].reset_queued, 0);
	assert_int_equal(e->sockets[0].stalled_ns, 4); /* as it is now */
	assert_false(e->sockets[0].highest_known); /* it was no longer in this interval than before,
						      but how long is not known */
	assert_int_equal(e->sockets[0].wait.count, 2);
	assert_int_equal(e->sockets[0].wait.sum_ns, 7000);
	assert_true(wait_quantile_ns(&e->sockets[0].wait, e->histograms, 1) == 4000);
	assert_true(wait_quantile_ns(&e->workers[0].wait, e->histograms, 0.5) == 2000);
	assert_int_equal(e->workers[0].served, 2);
	assert_int_equal(e->workers[0].finished, 2);
	assert_int_equal(e->workers[0].finished_ns, 40);
	assert_int_equal(e->workers[0].open, 2); /* now */
	assert_int_equal(e->workers[0].handed.count, 1);
	assert_true(e->workers[0].usage_known);
	assert_int_equal(e->workers[0].cpu_ns, 30);
	assert_int_equal(e->workers[0].sleeps, 2);
	assert_false(e->workers[1].usage_known); /* a row that is new says what its thread used in
						    the whole window */
	assert_true(e->workers[2].usage_known);
	assert_true(e->workers[0].process_cpu_known);
	assert_int_equal(e->workers[0].process_cpu_ns, 50);
	assert_int_equal(e->workers[0].bytes.received, 600);
	assert_int_equal(e->workers[0].bytes.sent, 2500);
	assert_false(
		e->workers[2].process_cpu_known); /* of its process the row before is not here */
	snapshot_free(&d);
	/* no look in between: nothing is known of CPU times */
	now.snapshot.looked_seconds = before.snapshot.looked_seconds;
	d = difference(&now, &before);
	assert_false(d.endpoints[0].workers[0].usage_known ||
		     d.endpoints[0].workers[0].process_cpu_known);
	assert_int_equal(d.endpoints[0].workers[0].bytes.sent, 2500);
	snapshot_free(&d);
	now.sockets[0].queue_highest = 8;
	d = difference(&now, &before);
	assert_true(d.endpoints[0].sockets[0].highest_known);
	assert_int_equal(later[0].slots[2], 10); /* the snapshot's own are untouched */
	snapshot_free(&d);
}

static void rows_appear_end_and_are_gone(void **state)
{
	struct moment before = {
		.sockets = { { .cookie = 1, .arrived = 4, .accepted = 4, .ended = true }, { .cookie = 2, .arrived = 5, .accepted = 5, .appeared = true } },
		.workers = { { .tid = 6, .cookie = 1, .accepted = 4, .ended = true }, { .tid = 7, .cookie = 2, .accepted = 5, .appeared = true } },
	}, now = before;
	struct snapshot d;
	struct endpoint *e;

	(void)state;
	now.sockets[1].ended = true;
	now.sockets[1].arrived = now.sockets[1].accepted = 6;
	now.sockets[2] =
		(struct socket_row){ .cookie = 3, .arrived = 2, .accepted = 2, .appeared = true };
	now.workers[1].ended = true;
	now.workers[1].accepted = 6;
	now.workers[2] =
		(struct worker_row){ .tid = 8, .cookie = 3, .accepted = 2, .appeared = true };
	moment_init(&before, 1, 2, 2);
	moment_init(&now, 2, 3, 3);
	d = difference(&now, &before);
	e = &d.endpoints[0];
	assert_int_equal(e->socket_count, 2); /* cookie 1 had ended before */
	assert_int_equal(e->sockets[0].cookie, 2);
	assert_true(e->sockets[0].ended);
	assert_false(e->sockets[0].appeared); /* in an earlier interval */
	assert_int_equal(e->sockets[0].arrived, 1);
	assert_true(e->sockets[1].appeared);
	assert_int_equal(e->sockets[1].arrived, 2);
	assert_int_equal(e->worker_count, 2);
	assert_true(e->workers[0].ended);
	assert_int_equal(e->workers[0].accepted, 1);
	assert_true(e->workers[1].appeared);
	snapshot_free(&d);
}

static void a_port_that_was_gone_is_left_out(void **state)
{
	struct moment before = { .sockets = { { .cookie = 1, .arrived = 4, .ended = true } } },
		      now = before;
	struct snapshot d;

	(void)state;
	moment_init(&before, 1, 1, 0);
	moment_init(&now, 2, 1, 0);
	d = difference(&now, &before);
	assert_int_equal(d.endpoint_count, 0);
	snapshot_free(&d);
	now.sockets[0].arrived = 5; /* a last one, counted after it was found closed */
	d = difference(&now, &before);
	assert_int_equal(d.endpoint_count, 1);
	assert_int_equal(d.endpoints[0].sockets[0].arrived, 1);
	snapshot_free(&d);
}

static void a_thread_id_used_again_is_another_thread(void **state)
{
	struct moment before = { .workers = { { .tid = 7,
						.start_ns = 100,
						.cookie = 1,
						.accepted = 50,
						.ended = true } } },
		      now = {
			      .workers = { { .tid = 7,
					     .start_ns = 100,
					     .cookie = 1,
					     .accepted = 50,
					     .ended = true },
					   { .tid = 7,
					     .start_ns = 200,
					     .cookie = 1,
					     .accepted = 20,
					     .appeared = true } },
		      };
	struct snapshot d;

	(void)state;
	moment_init(&before, 1, 0, 1);
	moment_init(&now, 2, 0, 2);
	d = difference(&now, &before);
	assert_int_equal(d.endpoints[0].worker_count, 1);
	assert_true(d.endpoints[0].workers[0].start_ns == 200);
	assert_int_equal(d.endpoints[0].workers[0].accepted, 20);
	snapshot_free(&d);
}

static void cpus_and_lost_are_growth_without_zeros(void **state)
{
	struct moment before = { .cpus = { { 0, 5 }, { 2, 7 } },
				 .lost = { { "a", "", 3, false, false },
					   { "b", "", 1, false, false } } },
		      now = {
			      .cpus = { { 0, 5 }, { 1, 4 }, { 2, 9 } },
			      .lost = { { "b", "", 1, false, false },
					{ "a", "", 10, false, false } },
		      };
	struct snapshot d;
	struct endpoint *e;

	(void)state;
	moment_init(&before, 1, 0, 0);
	moment_init(&now, 2, 1, 0);
	before.endpoint.cpu_count = 2;
	now.endpoint.cpu_count = 3;
	before.snapshot.lost_count = now.snapshot.lost_count = 2;
	before.endpoint.lost = (struct endpoint_lost){ 1, 2, 3, 4 };
	now.endpoint.lost = (struct endpoint_lost){ 1, 3, 5, 7 };
	d = difference(&now, &before);
	e = &d.endpoints[0];
	assert_int_equal(e->lost.arrived, 0); /* of an earlier interval */
	assert_int_equal(e->lost.accepted, 1);
	assert_int_equal(e->lost.served, 2);
	assert_int_equal(e->lost.open, 3);
	assert_int_equal(e->cpu_count, 2);
	assert_int_equal(e->cpus[0].cpu, 1);
	assert_int_equal(e->cpus[0].arrived, 4);
	assert_int_equal(e->cpus[1].cpu, 2);
	assert_int_equal(e->cpus[1].arrived, 2);
	assert_int_equal(d.lost_count, 1);
	assert_string_equal(d.lost[0].reason, "a");
	assert_int_equal(d.lost[0].count, 7);
	snapshot_free(&d);
}

/* Socket 1 (its worker with it) made room for others: what it had counted before was told before.
 */
static void an_evicted_socket_is_not_counted_again(void **state)
{
	struct moment before = {
		.sockets = { { .cookie = 1, .arrived = 100, .dropped = 3, .accepted = 100, .drops = 4, .dropped_closing = 5, .migrated = 6,
			       .ended = true, .connected = true },
			     { .cookie = 2, .arrived = 10, .accepted = 10 } },
		.workers = { { .tid = 6, .cookie = 1, .accepted = 100, .served = 96, .ended = true, .wait = { .count = 98, .sum_ns = 900 } },
			     { .tid = 7, .cookie = 2, .accepted = 10 } },
	}, now = {
		.sockets = { { .cookie = 2, .arrived = 15, .accepted = 15 } },
		.workers = { { .tid = 7, .cookie = 2, .accepted = 15 } },
	};
	struct snapshot d;
	struct endpoint *e;

	(void)state;
	moment_init(&before, 1, 2, 2);
	moment_init(&now, 2, 1, 1);
	before.endpoint.omitted =
		(struct omitted){ .sockets = 5,
				  .connected = 4,
				  .workers = 6,
				  .arrived = 1000,
				  .dropped = 10,
				  .accepted = 1000,
				  .served = 900,
				  .drops = 20,
				  .dropped_closing = 30,
				  .migrated = 40,
				  .wait = { .count = 1000, .sum_ns = 5000, .max_ns = 50 } };
	/* beside it two new rows that were never listed, with 7 */
	now.endpoint.omitted =
		(struct omitted){ .sockets = 7,
				  .connected = 6,
				  .workers = 8,
				  .arrived = 1107,
				  .dropped = 13,
				  .accepted = 1107,
				  .served = 1005,
				  .drops = 25,
				  .dropped_closing = 37,
				  .migrated = 49,
				  .wait = { .count = 1107, .sum_ns = 7000, .max_ns = 50 } };
	d = difference(&now, &before);
	e = &d.endpoints[0];
	assert_int_equal(e->omitted.sockets, 1);
	assert_int_equal(e->omitted.connected, 1);
	assert_int_equal(e->omitted.workers, 1);
	assert_int_equal(e->omitted.arrived, 7);
	assert_int_equal(e->omitted.dropped, 0);
	assert_int_equal(e->omitted.accepted, 7);
	assert_int_equal(e->omitted.drops, 1);
	assert_int_equal(e->omitted.dropped_closing, 2);
	assert_int_equal(e->omitted.migrated, 3);
	assert_int_equal(e->omitted.served, 9); /* 96 were told of worker 6 before */
	assert_int_equal(e->omitted.wait.count, 9);
	assert_int_equal(e->omitted.wait.sum_ns, 1100);
	assert_int_equal(endpoint_events(e), 12); /* 5 of socket 2, 7 beyond the limit */
	snapshot_free(&d);
}

/* Worker 6 of socket 2 made room: the socket's sum fell by 90, yet worker 7 accepted 5. */
static void an_evicted_worker_is_not_counted_again(void **state)
{
	struct moment before = {
		.sockets = { { .cookie = 2, .arrived = 100, .accepted = 100, .wait = { .count = 100, .sum_ns = 1000, .max_ns = 70 } } },
		.workers = { { .tid = 6, .cookie = 2, .accepted = 90, .ended = true, .wait = { .count = 90, .sum_ns = 900, .max_ns = 70 } },
			     { .tid = 7, .cookie = 2, .accepted = 10, .wait = { .count = 10, .sum_ns = 100, .max_ns = 20 } } },
	}, now = {
		.sockets = { { .cookie = 2, .arrived = 105, .accepted = 15, .wait = { .count = 15, .sum_ns = 180, .max_ns = 30 } } },
		.workers = { { .tid = 7, .cookie = 2, .accepted = 15, .wait = { .count = 15, .sum_ns = 180, .max_ns = 30 } } },
	};
	struct snapshot d;
	struct endpoint *e;

	(void)state;
	moment_init(&before, 1, 1, 2);
	moment_init(&now, 2, 1, 1);
	now.endpoint.omitted = (struct omitted){ .workers = 1, .accepted = 90 };
	d = difference(&now, &before);
	e = &d.endpoints[0];
	assert_int_equal(e->omitted.workers, 0);
	assert_int_equal(e->omitted.accepted, 0);
	assert_int_equal(e->sockets[0].arrived, 5);
	assert_int_equal(e->sockets[0].accepted, 5);
	assert_int_equal(endpoint_events(e), 5);
	assert_int_equal(e->sockets[0].wait.count, 5);
	assert_int_equal(e->sockets[0].wait.sum_ns, 80);
	assert_int_equal(e->sockets[0].wait.max_ns, 30);
	snapshot_free(&d);
}

/* What came by flow in an interval; a socket whose first datagrams came in it has all of them. */
static void flows_are_growth_too(void **state)
{
	struct flow_sketch then[1] = { { .buckets = { [3] = 10, [5] = 7 } } };
	struct flow_sketch later[2] = { { .buckets = { [9] = 2 } },
					{ .buckets = { [3] = 30, [5] = 7, [6] = 1 } } };
	struct moment before = { .sockets = { { .cookie = 1, .arrived = 17, .sketch = 1 },
					      { .cookie = 2 } } };
	struct moment now = { .sockets = { { .cookie = 2, .arrived = 2, .sketch = 1 },
					   { .cookie = 1, .arrived = 38, .sketch = 2 } } };
	struct endpoint *e;
	struct snapshot d;

	(void)state;
	moment_init(&before, 1, 2, 0);
	moment_init(&now, 2, 2, 0);
	before.endpoint.sketches = then;
	before.endpoint.sketch_count = 1;
	now.endpoint.sketches = later;
	now.endpoint.sketch_count = 2;
	before.endpoint.protocol = now.endpoint.protocol = PROTOCOL_UDP;
	now.endpoint.flows_estimated = true;
	d = difference(&now, &before);
	e = &d.endpoints[0];
	assert_int_equal(e->sketches[1].buckets[3], 20);
	assert_int_equal(e->sketches[1].buckets[5], 0);
	assert_int_equal(e->sketches[1].buckets[6], 1);
	assert_int_equal(e->sketches[0].buckets[9], 2);
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(e->flow_unseen, 0);
	assert_int_equal(e->load.flows, 3);
	snapshot_free(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_window_is_the_time_between),
		cmocka_unit_test(counts_are_growth),
		cmocka_unit_test(stalls_are_moved),
		cmocka_unit_test(waits_and_queues_are_growth_too),
		cmocka_unit_test(rows_appear_end_and_are_gone),
		cmocka_unit_test(a_port_that_was_gone_is_left_out),
		cmocka_unit_test(a_thread_id_used_again_is_another_thread),
		cmocka_unit_test(cpus_and_lost_are_growth_without_zeros),
		cmocka_unit_test(an_evicted_socket_is_not_counted_again),
		cmocka_unit_test(an_evicted_worker_is_not_counted_again),
		cmocka_unit_test(flows_are_growth_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
