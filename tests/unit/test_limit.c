/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which rows a document lists, and that nothing of the others gets lost: user/model/limit.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/model/limit.h"
#include "../../user/render/json.h"

#define CROWD 15000
#define CROWD_UID 1000

/* A port of one socket, with one holder and one worker, that got so many. */
static void port_add(struct snapshot *s, uint32_t uid, uint64_t events)
{
	const uint64_t cookie = s->endpoint_count + 1;
	struct endpoint *e = &s->endpoints[s->endpoint_count++];

	*e = (struct endpoint){ .protocol = PROTOCOL_UDP,
				.family = AF_INET,
				.port = (uint16_t)cookie,
				.socket_count = 1,
				.worker_count = 1,
				.holder_count = 1 };
	e->sockets = calloc(1, sizeof(*e->sockets));
	e->workers = calloc(1, sizeof(*e->workers));
	e->holders = calloc(1, sizeof(*e->holders));
	assert_true(e->sockets && e->workers && e->holders);
	e->sockets[0] = (struct socket_row){ .cookie = cookie,
					     .uid = uid,
					     .arrived = events,
					     .accepted = events,
					     .waiting_known = true };
	e->workers[0] = (struct worker_row){ .number = -1, .cookie = cookie, .accepted = events };
	e->holders[0] = (struct holder_row){ .cookie = cookie, .pid = 1, .fds = 1 };
}

static void snapshot_init(struct snapshot *s, size_t ports)
{
	*s = (struct snapshot){ .endpoints = calloc(ports, sizeof(*s->endpoints)) };
	assert_non_null(s->endpoints);
}

/* What is listed and what is left out, together. */
static struct omitted_endpoints all_of(const struct snapshot *s)
{
	struct omitted_endpoints all = snapshot_omitted(s);

	for (size_t i = 0; i < s->endpoint_count; i++) {
		const struct endpoint *e = &s->endpoints[i];
		const struct omitted o = endpoint_omitted(e);

		if (e->left_out)
			continue;
		all.endpoints++;
		all.delivered += o.arrived;
		all.received += o.accepted;
		all.sockets += o.sockets;
		all.workers += o.workers;
		for (size_t k = 0; k < e->socket_count; k++) {
			all.sockets += !e->sockets[k].left_out;
			all.delivered += e->sockets[k].left_out ? 0 : e->sockets[k].arrived;
		}
		for (size_t k = 0; k < e->worker_count; k++) {
			all.workers += !e->workers[k].left_out;
			all.received += e->workers[k].left_out ? 0 : e->workers[k].accepted;
		}
	}
	return all;
}

static bool is_listed(const struct endpoint *e)
{
	return !e->left_out && !e->sockets[0].left_out && !e->workers[0].left_out &&
	       !e->holders[0].left_out;
}

static void a_users_many_sockets_push_nobody_out(void **state)
{
	const size_t limits[] = { 12, 100, 5000, 44000 };
	struct omitted_endpoints all;
	struct snapshot s;

	(void)state;
	snapshot_init(&s, CROWD + 3);
	for (size_t i = 0; i < CROWD / 2; i++)
		port_add(&s, CROWD_UID, 1000);
	port_add(&s, 0, 5);
	port_add(&s, 33, 0);
	for (size_t i = CROWD / 2; i < CROWD; i++)
		port_add(&s, CROWD_UID, 1000);
	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		assert_int_equal(snapshot_limit(&s, limits[i]), 0);
		assert_in_range(snapshot_listed(&s), limits[i] - 2, limits[i]);
		assert_true(is_listed(&s.endpoints[CROWD / 2]));
		assert_true(is_listed(&s.endpoints[CROWD / 2 + 1]));
		all = all_of(&s);
		assert_int_equal(all.endpoints, CROWD + 2);
		assert_int_equal(all.sockets, CROWD + 2);
		assert_int_equal(all.workers, CROWD + 2);
		assert_int_equal(all.delivered, CROWD * 1000 + 5);
		assert_int_equal(all.received, CROWD * 1000 + 5);
	}
	assert_int_equal(snapshot_limit(&s, 3 * (CROWD + 2)), 0);
	assert_int_equal(snapshot_omitted(&s).endpoints, 0);
	assert_int_equal(snapshot_listed(&s), 3 * (CROWD + 2));
	snapshot_free(&s);
}

static void of_one_owner_what_is_busy_comes_first(void **state)
{
	struct snapshot s;

	(void)state;
	snapshot_init(&s, 4);
	port_add(&s, 0, 0);
	port_add(&s, 0, 10);
	port_add(&s, 0, 30);
	port_add(&s, 0, 20);
	/* A socket and its holder of each port with events, the busiest first; then their workers;
	 * then the quiet port. */
	for (size_t rows = 0; rows <= 12; rows++) {
		assert_int_equal(snapshot_limit(&s, rows), 0);
		assert_int_equal(!s.endpoints[2].left_out, rows >= 2);
		assert_int_equal(!s.endpoints[3].left_out, rows >= 4);
		assert_int_equal(!s.endpoints[1].left_out, rows >= 6);
		assert_int_equal(!s.endpoints[2].workers[0].left_out, rows >= 7);
		assert_int_equal(!s.endpoints[1].workers[0].left_out, rows >= 9);
		assert_int_equal(!s.endpoints[0].left_out, rows >= 11);
		assert_int_equal(!s.endpoints[0].workers[0].left_out, rows >= 12);
		for (size_t i = 0; i < 4; i++)
			assert_int_equal(s.endpoints[i].sockets[0].left_out,
					 s.endpoints[i].holders[0].left_out);
	}
	snapshot_free(&s);
}

/* What an endpoint counted in rows that are left out, beside what it had left out before. */
static void rows_of_an_endpoint_are_added_up(void **state)
{
	struct socket_row sockets[] = {
		{ .cookie = 1,
		  .arrived = 100,
		  .accepted = 90,
		  .highest_known = true,
		  .queue_highest = 3 },
		{ .cookie = 2,
		  .arrived = 10,
		  .accepted = 8,
		  .drops = 4,
		  .dropped_closing = 1,
		  .migrated = 2,
		  .highest_known = true,
		  .queue_highest = 7 },
	};
	struct worker_row workers[] = {
		{ .cookie = 1, .accepted = 90, .served = 90 },
		{ .cookie = 2,
		  .accepted = 8,
		  .served = 7,
		  .open_known = true,
		  .open = 3,
		  .finished = 5,
		  .queued_before = 1,
		  .reset_queued = 2,
		  .wait_known = true,
		  .wait = { .count = 7, .sum_ns = 70, .max_ns = 30 } },
	};
	struct holder_row holders[] = { { .cookie = 1, .pid = 5 },
					{ .cookie = 1, .pid = 6 },
					{ .cookie = 1, .pid = 7 } };
	struct endpoint endpoints[] = {
		{ .sockets = sockets,
		  .socket_count = 2,
		  .workers = workers,
		  .worker_count = 2,
		  .holders = holders,
		  .holder_count = 3,
		  .omitted = { .sockets = 1,
			       .workers = 1,
			       .arrived = 1000,
			       .accepted = 1000,
			       .wait = { .count = 1, .sum_ns = 50, .max_ns = 50 } } },
		{ .omitted = { .sockets = 5, .arrived = 77 } }, /* nothing else is left of it */
	};
	struct snapshot s = { .endpoints = endpoints, .endpoint_count = 2 };
	struct omitted o;

	(void)state;
	assert_int_equal(snapshot_limit(&s, 4), 0);
	assert_false(sockets[0].left_out || workers[0].left_out || holders[0].left_out ||
		     endpoints[0].left_out || endpoints[1].left_out);
	assert_true(sockets[1].left_out && workers[1].left_out && holders[1].left_out &&
		    holders[2].left_out);
	o = endpoint_omitted(&endpoints[0]);
	assert_int_equal(o.sockets, 2);
	assert_int_equal(o.workers, 2);
	assert_int_equal(o.arrived, 1010);
	assert_int_equal(o.accepted, 1008);
	assert_int_equal(o.drops, 4);
	assert_int_equal(o.dropped_closing, 1);
	assert_int_equal(o.migrated, 2);
	assert_int_equal(o.queue_highest, 7);
	assert_int_equal(o.served, 7);
	assert_int_equal(o.open, 3);
	assert_int_equal(o.finished, 5);
	assert_int_equal(o.queued_before, 1);
	assert_int_equal(o.reset_queued, 2);
	assert_int_equal(o.wait.count, 8);
	assert_int_equal(o.wait.sum_ns, 120);
	assert_int_equal(o.wait.max_ns, 50);
	assert_int_equal(snapshot_limit(&s, 0), 0);
	assert_true(endpoints[0].left_out && endpoints[1].left_out);
	assert_int_equal(snapshot_omitted(&s).arrived, 1110 + 77);
	assert_int_equal(snapshot_omitted(&s).sockets, 3 + 5);
}

static void no_port_and_no_row(void **state)
{
	struct snapshot s = {};

	(void)state;
	assert_int_equal(snapshot_limit(&s, 10), 0);
	assert_int_equal(snapshot_listed(&s), 0);
}

static size_t document_size(struct snapshot *s, size_t rows)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	assert_int_equal(json_snapshot_limited(f, s, rows), 0);
	fclose(f);
	free(text);
	return size;
}

/* However long the names: control characters take six bytes each. */
static void a_document_is_at_most_8_MB(void **state)
{
	struct snapshot s;

	(void)state;
	snapshot_init(&s, CROWD);
	for (size_t i = 0; i < CROWD; i++) {
		port_add(&s, i % 3, i);
		if (i % 2)
			memset(s.endpoints[i].holders[0].cgroup, '\1',
			       sizeof(s.endpoints[i].holders[0].cgroup) - 1);
		memset(s.endpoints[i].workers[0].cgroup, '\1',
		       sizeof(s.endpoints[i].workers[0].cgroup) - 1);
	}
	assert_in_range(document_size(&s, 0), JSON_DOCUMENT_BYTES / 2, JSON_DOCUMENT_BYTES);
	assert_true(snapshot_omitted(&s).endpoints > 0);
	assert_true(document_size(&s, 3 * CROWD) > JSON_DOCUMENT_BYTES); /* asked for */
	assert_int_equal(snapshot_omitted(&s).endpoints, 0);
	document_size(&s, 10);
	assert_in_range(snapshot_listed(&s), 8, 10);
	snapshot_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_users_many_sockets_push_nobody_out),
		cmocka_unit_test(of_one_owner_what_is_busy_comes_first),
		cmocka_unit_test(rows_of_an_endpoint_are_added_up),
		cmocka_unit_test(no_port_and_no_row),
		cmocka_unit_test(a_document_is_at_most_8_MB),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
