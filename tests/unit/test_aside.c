/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which endpoints share nothing: user/model/aside.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../user/model/aside.h"

/* An endpoint on that port, of sockets with the cookies port, port + 1... */
static struct endpoint endpoint(uint16_t port, size_t sockets, size_t connected, enum aside aside)
{
	struct endpoint e = { .protocol = PROTOCOL_UDP,
			      .port = port,
			      .sockets = calloc(sockets + 1, sizeof(*e.sockets)),
			      .socket_count = sockets };

	for (size_t i = 0; i < sockets; i++)
		e.sockets[i] = (struct socket_row){ .cookie = port + i,
						    .connected = i < connected,
						    .aside = aside };
	return e;
}

/* A client, a server, a socket that is bound, a server with connected sockets, a tunnel, a server
 * with a socket that was folded. */
static struct snapshot machine(void)
{
	struct snapshot s = { .endpoints = calloc(7, sizeof(*s.endpoints)),
			      .quiet = 10,
			      .quiet_clients = 3 };

	s.endpoints[s.endpoint_count++] = endpoint(40, 2, 2, ASIDE_NOT);
	s.endpoints[s.endpoint_count++] = endpoint(50, 2, 0, ASIDE_NOT);
	s.endpoints[s.endpoint_count++] = endpoint(60, 1, 0, ASIDE_BOUND);
	s.endpoints[s.endpoint_count++] = endpoint(70, 2, 1, ASIDE_NOT);
	s.endpoints[s.endpoint_count++] = endpoint(80, 1, 0, ASIDE_KERNEL);
	s.endpoints[s.endpoint_count++] = endpoint(90, 2, 2, ASIDE_NOT);
	s.endpoints[5].omitted.sockets = 1;
	return s;
}

static void assert_ports(const struct snapshot *s, size_t from, size_t count, const uint16_t *ports)
{
	for (size_t i = 0; i < count; i++)
		assert_int_equal(s->endpoints[from + i].port, ports[i]);
}

static void who_shares_nothing_is_behind_the_others(void **state)
{
	struct snapshot s = machine();

	(void)state;
	assert_int_equal(snapshot_set_aside(&s, false), 0);
	assert_int_equal(s.endpoint_count, 3);
	assert_int_equal(s.aside_count, 3);
	assert_int_equal(s.clients, 1 + 3);
	assert_int_equal(s.quiet, 10);
	assert_ports(&s, 0, 6, (uint16_t[]){ 50, 70, 90, 40, 60, 80 });
	assert_int_equal(endpoint_aside(&s.endpoints[3]), ASIDE_CLIENTS);
	assert_int_equal(endpoint_aside(&s.endpoints[4]), ASIDE_BOUND);
	assert_int_equal(endpoint_aside(&s.endpoints[5]), ASIDE_KERNEL);
	snapshot_free(&s);
}

/* Who names a port asks about whatever is there; what gets nothing is no row all the same. */
static void clients_stay_where_their_port_is_named(void **state)
{
	struct snapshot s = machine();

	(void)state;
	assert_int_equal(snapshot_set_aside(&s, true), 0);
	assert_int_equal(s.endpoint_count, 4);
	assert_int_equal(s.clients, 0);
	assert_int_equal(s.quiet, 10 + 3);
	assert_ports(&s, 0, 6, (uint16_t[]){ 40, 50, 70, 90, 60, 80 });
	snapshot_free(&s);
}

static void brought_back_all_are_there(void **state)
{
	struct snapshot s = machine();
	uint64_t ports = 0;

	(void)state;
	assert_int_equal(snapshot_set_aside(&s, false), 0);
	snapshot_bring_back(&s);
	assert_int_equal(s.endpoint_count, 6);
	assert_int_equal(s.aside_count + s.clients, 0);
	for (size_t i = 0; i < 6; i++)
		ports |= 1 << (s.endpoints[i].port / 10 - 4);
	assert_int_equal(ports, 0x3f);
	snapshot_free(&s);
}

/* A resolver's sockets, of which the oldest were folded. */
static void clients_that_were_folded_are_clients(void **state)
{
	struct endpoint e = endpoint(40, 2, 2, ASIDE_NOT);

	(void)state;
	e.omitted.sockets = e.omitted.connected = 3;
	assert_int_equal(endpoint_aside(&e), ASIDE_CLIENTS);
	e.socket_count = 0;
	assert_int_equal(endpoint_aside(&e), ASIDE_CLIENTS);
	e.omitted.connected = 2;
	assert_int_equal(endpoint_aside(&e), ASIDE_NOT);
	e.omitted.sockets = e.omitted.connected = 0;
	assert_int_equal(endpoint_aside(&e), ASIDE_NOT);
	endpoint_free(&e);
}

/* A port that was opened and closed in the window, for so many datagrams. */
static struct endpoint passing(uint16_t port, uint64_t datagrams)
{
	struct endpoint e = endpoint(port, 1, 0, ASIDE_NOT);

	e.sockets[0].appeared = e.sockets[0].ended = true;
	e.sockets[0].arrived = e.sockets[0].accepted = datagrams;
	return e;
}

/* 20 questions of a resolver, each from a port of its own, and its server. */
static struct snapshot resolver(void)
{
	struct snapshot s = { .endpoints = calloc(24, sizeof(*s.endpoints)) };

	s.endpoints[s.endpoint_count++] = endpoint(53, 1, 0, ASIDE_NOT);
	for (uint16_t port = 1100; port < 1120; port++)
		s.endpoints[s.endpoint_count++] = passing(port, port % 2 + 1);
	return s;
}

static void ports_of_a_question_each_are_a_sum(void **state)
{
	struct snapshot s = resolver(), before = {}, interval;

	(void)state;
	s.endpoints[3].omitted =
		(struct omitted){ .sockets = 2, .appeared = 2, .arrived = 3, .accepted = 2 };
	assert_int_equal(snapshot_set_aside(&s, false), 0);
	assert_int_equal(s.endpoint_count, 1);
	assert_int_equal(s.aside_count, 20);
	assert_int_equal(endpoint_aside(&s.endpoints[1]), ASIDE_PASSING);
	assert_false(aside_is_listed(ASIDE_PASSING));
	assert_int_equal(s.passing.ports, 20);
	assert_int_equal(s.passing.sockets, 22);
	assert_int_equal(s.passing.arrived, 30 + 3);
	assert_int_equal(s.passing.accepted, 30 + 2);
	assert_false(s.passing.ports_at_least);
	assert_int_equal(snapshot_difference(&interval, &s, &before), 0);
	assert_int_equal(interval.passing.ports, 20);
	assert_int_equal(interval.passing.arrived, 33);
	snapshot_free(&interval);
	snapshot_bring_back(&s);
	assert_int_equal(s.endpoint_count, 21);
	assert_int_equal(s.passing.ports, 0);
	snapshot_free(&s);
}

/* An interval has what came in it: of a port that was there before its growth, of one without any
 * nothing. */
static void an_interval_has_what_passed_in_it(void **state)
{
	struct snapshot before = resolver(), s = resolver(), interval;

	(void)state;
	before.endpoint_count = 11; /* ten of the ports */
	for (size_t i = 11; i < 21; i++)
		endpoint_free(&before.endpoints[i]);
	s.endpoints[1].omitted =
		(struct omitted){ .sockets = 1, .appeared = 1, .arrived = 1, .accepted = 1 };
	assert_int_equal(snapshot_set_aside(&s, false), 0);
	assert_int_equal(snapshot_difference(&interval, &s, &before), 0);
	assert_int_equal(interval.passing.ports, 11);
	assert_int_equal(interval.passing.sockets, 11);
	assert_int_equal(interval.passing.arrived, 15 + 1);
	snapshot_free(&interval);
	snapshot_free(&before);
	snapshot_free(&s);
}

/* A few servers that were started and stopped; what was dropped, what carried more, what lived on
 * or was there before; TCP. */
static void what_does_not_pass_stays(void **state)
{
	struct snapshot few = resolver(), s = resolver(), named = resolver();

	(void)state;
	for (size_t i = 16; i < 21; i++)
		endpoint_free(&few.endpoints[i]);
	few.endpoint_count = 16;
	assert_int_equal(snapshot_set_aside(&few, false), 0);
	assert_int_equal(few.endpoint_count, 16);
	assert_int_equal(few.passing.ports, 0);
	s.endpoints[1].sockets[0].dropped = 1;
	s.endpoints[2].omitted = (struct omitted){ .sockets = 1, .appeared = 0 };
	s.endpoints[3].sockets[0].arrived = 17;
	s.endpoints[4].sockets[0].ended = false;
	s.endpoints[4].sockets[0].appeared_ns = 5; /* somebody was seen to hold it */
	s.endpoints[5].sockets[0].ended = false;   /* nobody was, nor that it is closed */
	assert_int_equal(snapshot_set_aside(&s, false), 0);
	assert_int_equal(s.endpoint_count, 1 + 4);
	assert_int_equal(s.passing.ports, 16);
	assert_int_equal(snapshot_set_aside(&named, true), 0);
	assert_int_equal(named.endpoint_count, 21);
	named.endpoints[1].protocol = PROTOCOL_TCP;
	assert_int_equal(endpoint_aside(&named.endpoints[1]), ASIDE_NOT);
	snapshot_free(&few);
	snapshot_free(&s);
	snapshot_free(&named);
}

/* The copy of a snapshot, and a difference, have what is shown. */
static void copies_are_of_what_is_shown(void **state)
{
	struct snapshot s = machine(), copy, before = {}, interval;

	(void)state;
	assert_int_equal(snapshot_set_aside(&s, false), 0);
	assert_int_equal(snapshot_copy(&copy, &s), 0);
	assert_int_equal(snapshot_difference(&interval, &s, &before), 0);
	assert_int_equal(copy.endpoint_count, 3);
	assert_int_equal(interval.endpoint_count, 3);
	assert_int_equal(copy.aside_count + interval.aside_count, 0);
	snapshot_free(&copy);
	snapshot_free(&interval);
	snapshot_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_shares_nothing_is_behind_the_others),
		cmocka_unit_test(clients_stay_where_their_port_is_named),
		cmocka_unit_test(brought_back_all_are_there),
		cmocka_unit_test(clients_that_were_folded_are_clients),
		cmocka_unit_test(ports_of_a_question_each_are_a_sum),
		cmocka_unit_test(an_interval_has_what_passed_in_it),
		cmocka_unit_test(what_does_not_pass_stays),
		cmocka_unit_test(copies_are_of_what_is_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
