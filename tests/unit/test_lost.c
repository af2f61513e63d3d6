/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose the events were that were lost: user/model/lost.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../user/model/lost.h"

/* TCP 80 and 81, UDP 80, and TCP 80 of another network namespace. */
static const struct endpoint ports[] = {
	{ .protocol = PROTOCOL_TCP, .port = 80, .netns = 1 },
	{ .protocol = PROTOCOL_TCP, .port = 81, .netns = 1 },
	{ .protocol = PROTOCOL_UDP, .port = 80, .netns = 1 },
	{ .protocol = PROTOCOL_TCP, .port = 80, .netns = 2 },
};
#define PORTS (sizeof(ports) / sizeof(*ports))

/* What each of the ports has lost, by what it would have been counted as. */
static void assert_lost(const struct lost_events *events, size_t count,
			const struct endpoint_lost *expected)
{
	struct endpoint endpoints[PORTS];
	struct snapshot s = { .endpoints = endpoints, .endpoint_count = PORTS };
	struct lost_list list = {};

	for (size_t i = 0; i < PORTS; i++)
		endpoints[i] = ports[i];
	for (size_t i = 0; i < count; i++)
		assert_int_equal(lost_list_add(&list, events[i]), 0);
	lost_put_down(&s, &list);
	free(list.rows);
	for (size_t i = 0; i < PORTS; i++) {
		assert_int_equal(endpoints[i].lost.arrived, expected[i].arrived);
		assert_int_equal(endpoints[i].lost.accepted, expected[i].accepted);
		assert_int_equal(endpoints[i].lost.served, expected[i].served);
		assert_int_equal(endpoints[i].lost.open, expected[i].open);
	}
}

static void one_ports_loss_is_no_others(void **state)
{
	const struct lost_events of_one[] = { { 3, LOST_ARRIVED, PROTOCOL_TCP, 80, 1, NULL },
					      { 4, LOST_TAKEN, PROTOCOL_TCP, 80, 1, NULL },
					      { 2, LOST_SERVED, PROTOCOL_TCP, 80, 1, NULL },
					      { 9, LOST_ANY, PROTOCOL_TCP, 82, 1, NULL } };
	const struct endpoint_lost expected[PORTS] = { { 3, 4, 6, 4 } };

	(void)state;
	assert_lost(of_one, 4, expected);
}

static void what_is_not_known_could_be_anybodys(void **state)
{
	const struct lost_events udp = { 5, LOST_ARRIVED, PROTOCOL_UDP, 0, 0, NULL },
				 any = { 7, LOST_OPEN, LOST_ANY_PROTOCOL, 0, 0, NULL },
				 any_netns = { 1, LOST_ACCEPTED, PROTOCOL_TCP, 80, 0, NULL };
	const struct endpoint_lost
		of_udp[PORTS] = { [2] = { 5, 0, 0, 0 } },
		of_all[PORTS] = { { .open = 7 }, { .open = 7 }, { .open = 7 }, { .open = 7 } },
		of_both[PORTS] = { [0] = { .accepted = 1 }, [3] = { .accepted = 1 } };

	(void)state;
	assert_lost(&udp, 1, of_udp);
	assert_lost(&any, 1, of_all);
	assert_lost(&any_netns, 1, of_both);
}

static void of_some_ports_is_known_which(void **state)
{
	static const uint8_t some[65536] = { [81] = 1, [443] = 1 };
	const struct lost_events events = { 6, LOST_ARRIVED, LOST_ANY_PROTOCOL, 0, 0, some };
	const struct endpoint_lost expected[PORTS] = { [1] = { .arrived = 6 } };

	(void)state;
	assert_lost(&events, 1, expected);
}

static void nothing_lost_takes_no_row(void **state)
{
	struct lost_list list = {};

	(void)state;
	assert_int_equal(lost_list_add(&list, (struct lost_events){ 0, LOST_ANY, PROTOCOL_TCP, 80,
								    1, NULL }),
			 0);
	assert_int_equal(list.count, 0);
	for (int i = 1; i <= 100; i++)
		assert_int_equal(
			lost_list_add(&list, (struct lost_events){ i, LOST_ANY, PROTOCOL_TCP, i, 1,
								   NULL }),
			0);
	assert_int_equal(list.count, 100);
	assert_int_equal(list.rows[99].port, 100);
	free(list.rows);
}

/* A list that is kept stays short, and what it forgets of a port may be any port's. */
static void a_kept_list_is_bounded(void **state)
{
	struct lost_list list = {}, joined = {};

	(void)state;
	for (int round = 0; round < 2; round++)
		for (int port = 1; port <= LOST_PORTS_MAX + 10; port++)
			assert_int_equal(
				lost_list_note(&list,
					       (struct lost_events){ 3, LOST_ANY, PROTOCOL_UDP,
								     port, 1, NULL }),
				0);
	assert_int_equal(lost_list_note(&list, (struct lost_events){ 0, LOST_ANY, PROTOCOL_UDP,
								     9999, 1, NULL }),
			 0);
	assert_int_equal(list.count, LOST_PORTS_MAX + 1);
	assert_int_equal(list.rows[0].count, 6);
	assert_int_equal(list.rows[LOST_PORTS_MAX].count, 60);
	assert_int_equal(list.rows[LOST_PORTS_MAX].port, 0);
	assert_int_equal(list.rows[LOST_PORTS_MAX].protocol, LOST_ANY_PROTOCOL);
	assert_int_equal(lost_list_sum(&list), 6 * (LOST_PORTS_MAX + 10));
	assert_int_equal(lost_list_join(&joined, &list), 0);
	assert_int_equal(lost_list_sum(&joined), lost_list_sum(&list));
	free(joined.rows);
	free(list.rows);
}

/* More connections were accepted than came. Each socket alone tells nothing: one moved. */
static void accepted_connections_have_arrived(void **state)
{
	struct socket_row rows[] = { { .arrived = 100, .wait.count = 150 },
				     { .arrived = 100, .wait.count = 40 } };
	struct endpoint e = { .protocol = PROTOCOL_TCP, .sockets = rows, .socket_count = 2 };
	struct snapshot s = { .endpoints = &e, .endpoint_count = 1 };

	(void)state;
	assert_int_equal(lost_arrivals_find(&s, 2), 0);
	e.omitted = (struct omitted){ .arrived = 3, .wait.count = 20 };
	assert_int_equal(lost_arrivals_find(&s, 2), 3);
	assert_int_equal(e.lost.arrived, 3);
	/* What is told already is not told again. */
	assert_int_equal(lost_arrivals_find(&s, 2), 0);
	e.lost.arrived = 2;
	assert_int_equal(lost_arrivals_find(&s, 0), 5);
	assert_int_equal(e.lost.arrived, 7);
	e.lost.arrived = 0;
	e.protocol = PROTOCOL_UDP;
	assert_int_equal(lost_arrivals_find(&s, 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_ports_loss_is_no_others),
		cmocka_unit_test(what_is_not_known_could_be_anybodys),
		cmocka_unit_test(of_some_ports_is_known_which),
		cmocka_unit_test(accepted_connections_have_arrived),
		cmocka_unit_test(nothing_lost_takes_no_row),
		cmocka_unit_test(a_kept_list_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
