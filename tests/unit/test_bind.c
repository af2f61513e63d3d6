/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who may share a port: user/bind/bind.c. Every combination is tried on a real kernel by
 * tests/bind_rules.py; here are those that say what the rules mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>

#include "bind_fixture.h"

static bool overlap(const char *a, const char *b)
{
	struct bind_place x = place(a), y = place(b);

	return bind_addresses_overlap(&x, &y);
}

static void addresses_overlap_as_the_kernel_has_it(void **state)
{
	static const struct {
		const char *a, *b;
		bool overlap;
	} rows[] = {
		{ "tcp 0.0.0.0:80", "tcp 0.0.0.0:80", true },
		{ "tcp 0.0.0.0:80", "tcp 127.0.0.1:80", true },
		{ "tcp 127.0.0.1:80", "tcp 127.0.0.2:80", false },
		{ "tcp 127.0.0.1:80", "tcp 127.0.0.1:80", true },
		{ "tcp [::]:80", "tcp 0.0.0.0:80", true },
		{ "tcp [::]:80 v6only", "tcp 0.0.0.0:80", false },
		{ "tcp [::]:80 v6only", "tcp 127.0.0.1:80", false },
		{ "tcp [::]:80", "tcp 127.0.0.1:80", true },
		{ "tcp [::]:80 v6only", "tcp [::]:80", true },
		{ "tcp [::]:80 v6only", "tcp [::1]:80 v6only", true },
		{ "tcp [::1]:80 v6only", "tcp 0.0.0.0:80", false },
		{ "tcp [::1]:80 v6only", "tcp [::2]:80 v6only", false },
		{ "tcp [::ffff:127.0.0.1]:80", "tcp 127.0.0.1:80", true },
		{ "tcp [::ffff:127.0.0.1]:80", "tcp 127.0.0.2:80", false },
		{ "tcp [::ffff:127.0.0.1]:80", "tcp 0.0.0.0:80", true },
		{ "tcp [::ffff:127.0.0.1]:80", "tcp [::]:80", true },
		{ "tcp [::ffff:127.0.0.1]:80", "tcp [::]:80 v6only", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (overlap(rows[i].a, rows[i].b) != rows[i].overlap ||
		    overlap(rows[i].b, rows[i].a) != rows[i].overlap)
			fail_msg("%s and %s", rows[i].a, rows[i].b);
	/* A connection by IPv6 to a socket that takes both keeps 0.0.0.0 out, though it is IPv6's.
	 */
	assert_true(overlap("tcp 0.0.0.0:80", "tcp [::1]:80"));
	assert_false(overlap("tcp 127.0.0.1:80", "tcp [::1]:80"));
}

struct rule_row {
	const char *wanted;
	enum bind_state state;
	const char *there;
	enum bind_outlook outlook;
};

static void check_rules(const struct rule_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct bind_place wanted = place(rows[i].wanted);
		struct bind_occupant o = occupant(rows[i].state, rows[i].there);

		if (bind_predict(&wanted, CALL_BIND, &o, 1) != rows[i].outlook ||
		    bind_conflict(&wanted, CALL_BIND, &o) != (rows[i].outlook == BIND_FAILS))
			fail_msg("%s beside %s (%s)", rows[i].wanted, rows[i].there,
				 bind_state_name(rows[i].state));
	}
}

static void tcp_sockets_share_by_these_rules(void **state)
{
	static const struct rule_row rows[] = {
		{ "tcp 0.0.0.0:80", BIND_BOUND, "tcp 0.0.0.0:80", BIND_FAILS },
		{ "tcp 0.0.0.0:80 reuseaddr", BIND_BOUND, "tcp 0.0.0.0:80", BIND_FAILS },
		{ "tcp 0.0.0.0:80 reuseaddr", BIND_BOUND, "tcp 0.0.0.0:80 reuseaddr", BIND_WORKS },
		{ "tcp 0.0.0.0:80 reuseaddr uid=7", BIND_BOUND, "tcp 0.0.0.0:80 reuseaddr",
		  BIND_WORKS },
		{ "tcp 0.0.0.0:80 reuseaddr", BIND_LISTENING, "tcp 0.0.0.0:80 reuseaddr",
		  BIND_FAILS },
		{ "tcp 0.0.0.0:80 reuseaddr", BIND_CONNECTED, "tcp 127.0.0.1:80 reuseaddr",
		  BIND_WORKS },
		{ "tcp 0.0.0.0:80 reuseaddr", BIND_CLOSING, "tcp 127.0.0.1:80", BIND_FAILS },
		{ "tcp 0.0.0.0:80 reuseaddr", BIND_TIME_WAIT, "tcp 127.0.0.1:80 reuseaddr",
		  BIND_WORKS },
		{ "tcp 0.0.0.0:80 reuseaddr", BIND_TIME_WAIT, "tcp 127.0.0.1:80", BIND_FAILS },
		{ "tcp 0.0.0.0:80 reuseport", BIND_LISTENING, "tcp 0.0.0.0:80 reuseport",
		  BIND_WORKS },
		{ "tcp 0.0.0.0:80 reuseport uid=7", BIND_LISTENING, "tcp 0.0.0.0:80 reuseport",
		  BIND_FAILS },
		{ "tcp 0.0.0.0:80 reuseport uid=7", BIND_TIME_WAIT, "tcp 0.0.0.0:80 reuseport",
		  BIND_WORKS },
		{ "tcp 0.0.0.0:80 reuseport", BIND_LISTENING, "tcp 0.0.0.0:80 reuseaddr",
		  BIND_FAILS },
		{ "tcp 0.0.0.0:80 device=2", BIND_LISTENING, "tcp 0.0.0.0:80 device=3",
		  BIND_WORKS },
		{ "tcp 0.0.0.0:80 device=2", BIND_LISTENING, "tcp 0.0.0.0:80 device=2",
		  BIND_FAILS },
		{ "tcp 0.0.0.0:80 device=2", BIND_LISTENING, "tcp 0.0.0.0:80", BIND_FAILS },
		{ "tcp 127.0.0.1:80", BIND_LISTENING, "tcp 127.0.0.2:80", BIND_WORKS },
	};

	(void)state;
	check_rules(rows, sizeof(rows) / sizeof(rows[0]));
}

static void udp_sockets_share_by_these_rules(void **state)
{
	static const struct rule_row rows[] = {
		{ "udp 0.0.0.0:53", BIND_UNCONNECTED, "udp 127.0.0.1:53", BIND_FAILS },
		{ "udp 0.0.0.0:53 reuseaddr", BIND_UNCONNECTED, "udp 127.0.0.1:53", BIND_FAILS },
		{ "udp 0.0.0.0:53 reuseaddr uid=7", BIND_UNCONNECTED, "udp 127.0.0.1:53 reuseaddr",
		  BIND_WORKS },
		{ "udp 0.0.0.0:53 reuseport", BIND_UNCONNECTED, "udp 127.0.0.1:53 reuseport",
		  BIND_WORKS },
		{ "udp 0.0.0.0:53 reuseport uid=7", BIND_UNCONNECTED, "udp 127.0.0.1:53 reuseport",
		  BIND_FAILS },
		{ "udp 0.0.0.0:53", BIND_CONNECTED, "udp 127.0.0.1:53", BIND_FAILS },
	};

	(void)state;
	check_rules(rows, sizeof(rows) / sizeof(rows[0]));
}

static void unknown_options_leave_it_open(void **state)
{
	struct bind_place with = place("tcp 0.0.0.0:80 reuseaddr"),
			  without = place("tcp 0.0.0.0:80");
	struct bind_occupant o = occupant(BIND_TIME_WAIT, "tcp 0.0.0.0:80 reuseaddr");

	(void)state;
	o.options_known = false;
	assert_int_equal(bind_predict(&with, CALL_BIND, &o, 1), BIND_MAY_FAIL);
	assert_true(bind_conflict(&with, CALL_BIND, &o));
	assert_false(bind_conflict_certain(&with, CALL_BIND, &o));
	assert_int_equal(bind_predict(&without, CALL_BIND, &o, 1), BIND_FAILS);
	assert_true(bind_conflict_certain(&without, CALL_BIND, &o));
	assert_int_equal(bind_predict(&without, CALL_BIND, &o, 0), BIND_WORKS);
}

static void the_ports_bucket_lets_in_without_a_look(void **state)
{
	struct bind_place wanted = place("tcp 0.0.0.0:80 reuseaddr");
	struct bind_occupant o = occupant(BIND_BOUND, "tcp 0.0.0.0:80");

	(void)state;
	/* Its SO_REUSEADDR was taken back after bind(): bind() still works, listen() looks at all.
	 */
	o.bucket = (struct bind_bucket){ .known = true, .reuse = 1 };
	assert_int_equal(bind_predict(&wanted, CALL_BIND, &o, 1), BIND_WORKS);
	assert_int_equal(bind_predict(&wanted, CALL_LISTEN, &o, 1), BIND_FAILS);
	wanted.reuseport = true;
	assert_int_equal(bind_predict(&wanted, CALL_LISTEN, &o, 1), BIND_WORKS);
	/* A connection that nobody accepted yet counts as root's (before 6.17): the group's own
	 * user comes in by the bucket. */
	wanted = place("tcp 0.0.0.0:80 reuseport uid=7");
	o = occupant(BIND_CONNECTED, "tcp 127.0.0.1:80 reuseport uid=0");
	assert_int_equal(bind_predict(&wanted, CALL_BIND, &o, 1), BIND_FAILS);
	o.bucket = (struct bind_bucket){ .known = true,
					 .reuseport = 1,
					 .place = place("tcp 0.0.0.0:80 uid=7") };
	assert_int_equal(bind_predict(&wanted, CALL_BIND, &o, 1), BIND_WORKS);
	wanted.uid = 8;
	assert_int_equal(bind_predict(&wanted, CALL_BIND, &o, 1), BIND_FAILS);
	/* Strict: the address has to fit, and a wildcard fits a wildcard alone. */
	wanted.uid = 7;
	o.bucket.reuseport = BIND_BUCKET_STRICT;
	assert_int_equal(bind_predict(&wanted, CALL_BIND, &o, 1), BIND_WORKS);
	o.bucket.place = place("tcp 127.0.0.1:80 uid=7");
	assert_int_equal(bind_predict(&wanted, CALL_BIND, &o, 1), BIND_FAILS);
}

/* TCP ports are a VRF's own; UDP sockets meet by device alone. */
static void vrfs_have_tcp_ports_of_their_own(void **state)
{
	struct bind_place wanted = place("tcp 0.0.0.0:80 reuseport device=5");
	struct bind_occupant o[2] = { occupant(BIND_LISTENING, "tcp 0.0.0.0:80"),
				      occupant(BIND_LISTENING,
					       "tcp 0.0.0.0:80 device=6 reuseport") };

	(void)state;
	assert_int_equal(bind_predict(&wanted, CALL_BIND, o, 1), BIND_FAILS);
	wanted.vrf = 5;
	assert_int_equal(bind_predict(&wanted, CALL_BIND, o, 1), BIND_WORKS);
	o[0].place.vrf = 5;
	assert_int_equal(bind_predict(&wanted, CALL_BIND, o, 1), BIND_FAILS);
	/* The bucket that lets in without a look is another VRF's. */
	o[1].place.vrf = 6;
	o[1].bucket = (struct bind_bucket){ .known = true,
					    .reuseport = 1,
					    .place = place("tcp 0.0.0.0:80") };
	assert_int_equal(
		bind_predict(&wanted, CALL_BIND, (struct bind_occupant[]){ o[1], o[0] }, 2),
		BIND_FAILS);
	wanted = place("udp 0.0.0.0:53 device=5");
	o[0] = occupant(BIND_UNCONNECTED, "udp 0.0.0.0:53");
	wanted.vrf = 5;
	assert_int_equal(bind_predict(&wanted, CALL_BIND, o, 1), BIND_FAILS);
}

static void udp_search_may_end_early(void **state)
{
	struct bind_place wanted = place("udp 0.0.0.0:53 reuseport");
	struct bind_occupant o[2] = { occupant(BIND_UNCONNECTED, "udp 127.0.0.1:53"),
				      occupant(BIND_UNCONNECTED, "udp 127.0.0.2:53 reuseport") };

	(void)state;
	assert_int_equal(bind_predict(&wanted, CALL_BIND, o, 1), BIND_FAILS);
	assert_int_equal(bind_predict(&wanted, CALL_BIND, o, 2), BIND_MAY_FAIL);
	/* More sockets than the kernel walks through: a wildcard is held against wildcards. */
	wanted.reuseport = false;
	assert_int_equal(bind_predict(&wanted, CALL_BIND, o, 1), BIND_FAILS);
	o[0].count = 11;
	assert_int_equal(bind_predict(&wanted, CALL_BIND, o, 1), BIND_MAY_FAIL);
	o[0].place = place("udp 0.0.0.0:53");
	assert_int_equal(bind_predict(&wanted, CALL_BIND, o, 1), BIND_FAILS);
}

static void who_listens_is_blamed_first(void **state)
{
	struct bind_event e = event(CALL_LISTEN, EADDRINUSE, "tcp 0.0.0.0:80");
	struct bind_occupant o[4] = { occupant(BIND_TIME_WAIT, "tcp 0.0.0.0:80"),
				      occupant(BIND_BOUND, "tcp 0.0.0.0:80"),
				      occupant(BIND_LISTENING, "tcp 127.0.0.1:80"),
				      occupant(BIND_LISTENING, "tcp [::]:80 v6only") };

	(void)state;
	assert_int_equal(bind_blocker(&e, o, 4), 2);
	assert_int_equal(bind_blocker(&e, o, 1), 0);
	/* Its own socket stays bound when listen() fails. */
	e.cookie = o[1].cookie = 99;
	assert_int_equal(bind_blocker(&e, o, 2), 0);
	assert_int_equal(bind_blocker(&e, o + 1, 1), -1);
	e.cookie = 0;
	e.inode = o[1].inode = 77;
	assert_int_equal(bind_blocker(&e, o + 1, 1), -1);
	assert_int_equal(bind_blocker(&e, o + 3, 1), -1);
}

static void who_came_later_is_not_blamed(void **state)
{
	struct bind_event e = event(CALL_BIND, EADDRINUSE, "tcp 0.0.0.0:80");
	struct bind_occupant o[3] = { occupant(BIND_LISTENING, "tcp 0.0.0.0:80"),
				      occupant(BIND_CONNECTED, "tcp 127.0.0.1:80"),
				      occupant(BIND_BOUND, "tcp 127.0.0.1:80") };

	(void)state;
	e.time_ns = 1000;
	o[0].since_ns = o[2].since_ns = 1001;
	o[0].pid = o[1].pid = 5;
	assert_int_equal(bind_blocker(&e, o, 3), -1);
	/* Whose connections they are: another's were there before, as far as is known. */
	o[1].pid = 6;
	assert_int_equal(bind_blocker(&e, o, 3), 1);
	assert_int_equal(bind_in_the_way(&e, o, 3, &o[0]), false);
	/* Of two calls at once, who began before the failed one returned may have won. */
	o[2].since_ns = 1000;
	assert_int_equal(bind_blocker(&e, o, 3), 2);
	o[0].since_ns = 0;
	assert_int_equal(bind_blocker(&e, o, 3), 0);
}

static void twins_of_known_ports_are_found(void **state)
{
	struct bind_ports ports = {};

	(void)state;
	assert_int_equal(bind_twin(&ports, 20736), 0);
	bind_ports_by_use(&ports);
	assert_int_equal(bind_twin(&ports, 20736), 81);
	assert_int_equal(bind_twin(&ports, 81), 0);
	assert_int_equal(bind_port_swapped(8080), 36895);
	assert_int_equal(bind_twin(&ports, 36895), 8080);
	assert_int_equal(bind_twin(&ports, 12345), 0);
	assert_int_equal(bind_twin(&ports, 0x0101), 0);
	bind_port_add(ports.requested, bind_port_swapped(12345));
	assert_int_equal(bind_twin(&ports, 12345), bind_port_swapped(12345));
	/* The user asked for that very port. */
	bind_port_add(ports.requested, 20736);
	assert_int_equal(bind_twin(&ports, 20736), 0);
	bind_port_add(ports.well_known, 65535);
	assert_true(bind_port_in(ports.well_known, 65535));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_overlap_as_the_kernel_has_it),
		cmocka_unit_test(tcp_sockets_share_by_these_rules),
		cmocka_unit_test(udp_sockets_share_by_these_rules),
		cmocka_unit_test(unknown_options_leave_it_open),
		cmocka_unit_test(the_ports_bucket_lets_in_without_a_look),
		cmocka_unit_test(udp_search_may_end_early),
		cmocka_unit_test(vrfs_have_tcp_ports_of_their_own),
		cmocka_unit_test(who_listens_is_blamed_first),
		cmocka_unit_test(who_came_later_is_not_blamed),
		cmocka_unit_test(twins_of_known_ports_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
