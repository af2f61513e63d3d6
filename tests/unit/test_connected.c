/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connected UDP sockets beside those that share a port: user/model/connected.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/model/aside.h"
#include "../../user/model/connected.h"
#include "../../user/model/judge.h"

/* Sockets 1 to 5, of which 2 and 4 are connected; a thread of process 10 on each, one of 11 on 4.
 */
static struct endpoint *server(void)
{
	struct endpoint *e = calloc(1, sizeof(*e));

	e->protocol = PROTOCOL_UDP;
	e->sockets = calloc(5, sizeof(*e->sockets));
	e->workers = calloc(6, sizeof(*e->workers));
	e->holders = calloc(5, sizeof(*e->holders));
	for (size_t i = 0; i < 5; i++) {
		e->sockets[i] = (struct socket_row){ .cookie = i + 1,
						     .arrived = 10 * (i + 1),
						     .accepted = i + 1,
						     .dropped = 1,
						     .connected = i % 2 };
		e->workers[i] = (struct worker_row){
			.cookie = i + 1, .pid = 10, .tid = 10, .accepted = i + 1
		};
		e->holders[i] = (struct holder_row){ .cookie = i + 1, .pid = 10 };
	}
	e->workers[5] = (struct worker_row){ .cookie = 4, .pid = 11, .tid = 11 };
	e->sockets[3].ended = true;
	e->sockets[3].drops = 7;
	e->socket_count = e->holder_count = 5;
	e->worker_count = 6;
	return e;
}

static void done(struct endpoint *e)
{
	endpoint_free(e);
	free(e);
}

static void they_are_no_rows_but_a_sum(void **state)
{
	struct endpoint *e = server();
	const uint64_t events = endpoint_events(e);
	struct connected_sum sum;

	(void)state;
	for (int twice = 0; twice < 2; twice++)
		assert_int_equal(endpoint_set_aside_connected(e), 0);
	assert_int_equal(e->socket_count, 3);
	assert_int_equal(e->worker_count, 3);
	assert_int_equal(e->holder_count, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(e->sockets[i].cookie, 2 * i + 1);
		assert_int_equal(e->workers[i].cookie, 2 * i + 1);
		assert_int_equal(e->holders[i].cookie, 2 * i + 1);
	}
	sum = endpoint_connected(e);
	assert_int_equal(sum.sockets, 2);
	assert_int_equal(sum.ended, 1);
	assert_int_equal(sum.delivered, 60);
	assert_int_equal(sum.received, 6);
	assert_int_equal(sum.dropped, 2);
	assert_int_equal(sum.drops, 7);
	assert_int_equal(sum.processes, 2);
	assert_int_equal(endpoint_events(e), events);
	done(e);
}

static void brought_back_nothing_is_missing(void **state)
{
	struct endpoint *e = server(), copy;
	struct snapshot s = { .endpoints = e, .endpoint_count = 1 };
	uint64_t cookies = 0;

	(void)state;
	assert_int_equal(endpoint_set_aside_connected(e), 0);
	assert_int_equal(endpoint_copy(&copy, e), 0);
	assert_int_equal(endpoint_connected(&copy).delivered, 60);
	endpoint_free(&copy);
	snapshot_bring_back(&s);
	assert_int_equal(e->socket_count, 5);
	assert_int_equal(e->worker_count, 6);
	assert_int_equal(endpoint_connected(e).sockets, 0);
	for (size_t i = 0; i < 5; i++)
		cookies |= 1 << e->sockets[i].cookie;
	assert_int_equal(cookies, 0x3e);
	done(e);
}

static void without_others_they_are_rows(void **state)
{
	struct endpoint *e = server();

	(void)state;
	for (size_t i = 0; i < 5; i++)
		e->sockets[i].connected = true;
	assert_true(endpoint_all_connected(e));
	assert_int_equal(endpoint_set_aside_connected(e), 0);
	assert_int_equal(e->socket_count, 5);
	assert_int_equal(endpoint_judge(e, 0.2), 0);
	assert_int_equal(e->design.code, DESIGN_CONNECTED);
	assert_int_equal(e->socket_fairness.verdict, VERDICT_NOT_APPLICABLE);
	done(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_are_no_rows_but_a_sum),
		cmocka_unit_test(brought_back_nothing_is_missing),
		cmocka_unit_test(without_others_they_are_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
