/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which ports the kernel could have picked, and what is said of them: user/bind/bind_range.c,
 * bind_connect.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>

#include "../../user/bind/bind_range.h"
#include "bind_fixture.h"

static struct bind_range_settings settings;
static struct bind_range_count count;
static char text[BIND_TEXT_MAX];

static int prepare(void **state)
{
	(void)state;
	settings = (struct bind_range_settings){ .low = 40000, .high = 40003 };
	return 0;
}

static struct bind_peer peer(const char *words)
{
	struct bind_place p = place(words);
	struct bind_peer made = { .port = p.port, .address = { [10] = 0xff, [11] = 0xff } };

	memcpy(made.address + (p.family == AF_INET ? 12 : 0), p.address,
	       p.family == AF_INET ? 4 : 16);
	return made;
}

/* Held by that process; 0: by none. bucket: fastreuse and fastreuseport; -1: picked by connect().
 */
static void add(int32_t pid, enum bind_state state, const char *words, const char *to, int bucket)
{
	struct bind_occupant o = occupant(state, words);
	struct bind_peer other = to ? peer(to) : (struct bind_peer){};

	o.pid = pid;
	snprintf(o.process, sizeof(o.process), "web%d", pid);
	o.bucket = (struct bind_bucket){ .known = o.place.protocol == PROTOCOL_TCP,
					 .reuse = bucket,
					 .reuseport = bucket };
	bind_range_add(&count, &o, &other);
}

static const char *explained(struct bind_event *e)
{
	bind_range_end(&count);
	e->range = &count.use;
	bind_explain(e, NULL, 0, BIND_NOT_LOOKED, NULL, text, NULL);
	return text;
}

static void a_range_is_counted_by_the_rules_for_picked_ports(void **state)
{
	struct bind_event e = event(CALL_BIND, EADDRINUSE, "tcp 127.0.0.1:0 reuseaddr reuseport");

	(void)state;
	assert_true(bind_range_wanted(&e));
	bind_range_begin(&count, &e, &settings);
	add(0, BIND_TIME_WAIT, "tcp 127.0.0.1:40000 reuseaddr", NULL,
	    0); /* options let nobody in */
	add(7, BIND_LISTENING, "tcp 0.0.0.0:40001 reuseport", NULL, 0);
	add(7, BIND_LISTENING, "tcp 0.0.0.0:40001 reuseport", NULL,
	    0); /* a second socket, the same port */
	add(8, BIND_BOUND, "tcp 127.0.0.1:40002 reuseaddr", NULL, 0);
	add(8, BIND_BOUND, "tcp 127.0.0.1:40003", NULL, 0);
	add(9, BIND_BOUND, "tcp 127.0.0.2:40003", NULL, 0); /* another address, port, protocol */
	add(9, BIND_BOUND, "tcp 127.0.0.1:40004", NULL, 0);
	add(9, BIND_UNCONNECTED, "udp 127.0.0.1:40003", NULL, 0);
	assert_string_equal(explained(&e),
			    "all 4 ports of 40000-40003 (net.ipv4.ip_local_port_range) are taken "
			    "for that address; web8 (pid 8) has 2 of them, more than any other, 1 "
			    "lingers in TIME_WAIT; SO_REUSEADDR does not help where the kernel "
			    "picks the port; a client's port had better be picked by connect() "
			    "(IP_BIND_ADDRESS_NO_PORT), where it need only be unique per "
			    "destination; or widen net.ipv4.ip_local_port_range");
}

static void net_ipv4_ip_autobind_reuse_counts(void **state)
{
	struct bind_event e = event(CALL_BIND, EADDRINUSE, "tcp 127.0.0.1:0 reuseaddr");

	(void)state;
	settings.autobind_reuse = true;
	bind_range_begin(&count, &e, &settings);
	add(7, BIND_BOUND, "tcp 127.0.0.1:40000 reuseaddr", NULL, 0);
	add(7, BIND_LISTENING, "tcp 127.0.0.1:40001 reuseaddr", NULL, 0);
	add(7, BIND_BOUND, "tcp 127.0.0.1:40002", NULL, 0);
	assert_non_null(strstr(
		explained(&e),
		"2 of the 4 ports of 40000-40003 (net.ipv4.ip_local_port_range) are taken for that "
		"address by now (others were freed since, or can't be seen); web7"));
}

static void udp_shares_picked_ports_by_its_options(void **state)
{
	struct bind_event e = event(CALL_BIND, EADDRINUSE, "udp 127.0.0.1:0 reuseaddr");

	(void)state;
	settings.high = 40001;
	bind_range_begin(&count, &e, &settings);
	add(7, BIND_UNCONNECTED, "udp 127.0.0.1:40000 reuseaddr", NULL, 0);
	add(7, BIND_UNCONNECTED, "udp 127.0.0.1:40001", NULL, 0);
	bind_range_end(&count);
	assert_int_equal(count.use.taken, 1);
	e.place.reuseaddr = false;
	bind_range_begin(&count, &e, &settings);
	add(7, BIND_UNCONNECTED, "udp 127.0.0.1:40000 reuseaddr", NULL, 0);
	add(7, BIND_CONNECTED, "udp 127.0.0.1:40001", NULL, 0);
	assert_string_equal(
		explained(&e),
		"both ports of 40000-40001 (net.ipv4.ip_local_port_range) are taken for that "
		"address; web7 (pid 7) has them all; close sockets that are done, "
		"bind to more addresses, or widen net.ipv4.ip_local_port_range");
}

static void a_range_of_its_own_narrows(void **state)
{
	static const struct {
		uint16_t own_low, own_high, low, high;
		bool own;
	} rows[] = {
		{ 0, 0, 40000, 40003, false },    { 40001, 40002, 40001, 40002, true },
		{ 40001, 0, 40001, 40003, true }, { 0, 40002, 40000, 40002, true },
		{ 10, 20, 40000, 40003, false },  { 40002, 50000, 40002, 40003, true },
	};
	struct bind_event e = event(CALL_BIND, EADDRINUSE, "tcp 127.0.0.1:0");

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		e.range_low = rows[i].own_low;
		e.range_high = rows[i].own_high;
		bind_range_begin(&count, &e, &settings);
		if (count.use.low != rows[i].low || count.use.high != rows[i].high ||
		    count.use.own != rows[i].own)
			fail_msg("%u-%u: %u-%u", rows[i].own_low, rows[i].own_high, count.use.low,
				 count.use.high);
	}
	add(7, BIND_BOUND, "tcp 127.0.0.1:40002", NULL, 0);
	add(7, BIND_BOUND, "tcp 127.0.0.1:40003", NULL, 0);
	assert_non_null(
		strstr(explained(&e),
		       "both ports of 40002-40003 (the socket's own IP_LOCAL_PORT_RANGE) are taken "
		       "for that address; web7 (pid 7) has them all; a client's"));
	assert_non_null(strstr(text, "or widen that range"));
	e.range = NULL;
	bind_explain(&e, NULL, 0, BIND_NOT_LOOKED, NULL, text, NULL);
	assert_string_equal(
		text, "no port is free for that address and these options: the socket's own "
		      "IP_LOCAL_PORT_RANGE is 40002-50000, within net.ipv4.ip_local_port_range");
}

static void reserved_ports_are_not_picked(void **state)
{
	struct bind_event e = event(CALL_LISTEN, EADDRINUSE, "tcp 0.0.0.0:0");

	(void)state;
	for (unsigned port = 40000; port < 40003; port++)
		bind_port_add(settings.reserved, port);
	bind_range_begin(&count, &e, &settings);
	add(7, BIND_BOUND, "tcp 127.0.0.1:40000", NULL,
	    0); /* reserved, and taken: not one of those to pick */
	add(7, BIND_BOUND, "tcp 127.0.0.1:40003", NULL, 0);
	assert_string_equal(
		explained(&e),
		"the only port of 40000-40003 (net.ipv4.ip_local_port_range) that is not reserved "
		"(3 are) is taken for that address; web7 (pid 7) has it; bind() "
		"it to a port of its own, or widen net.ipv4.ip_local_port_range");
	bind_port_add(settings.reserved, 40003);
	bind_range_begin(&count, &e, &settings);
	assert_string_equal(explained(&e),
			    "all of the ports that the kernel may pick from, 40000-40003 "
			    "(net.ipv4.ip_local_port_range), are reserved by "
			    "net.ipv4.ip_local_reserved_ports; take some from that list, or widen "
			    "net.ipv4.ip_local_port_range");
}

static void of_an_odd_number_one_is_left_out(void **state)
{
	struct bind_event e = event(CALL_BIND, EADDRINUSE, "tcp 127.0.0.1:0");

	(void)state;
	settings.high = 40002;
	bind_range_begin(&count, &e, &settings);
	add(7, BIND_BOUND, "tcp 127.0.0.1:40000", NULL, 0);
	add(7, BIND_BOUND, "tcp 127.0.0.1:40002", NULL, 0);
	assert_non_null(
		strstr(explained(&e),
		       "2 of the 3 ports of 40000-40002 (net.ipv4.ip_local_port_range) are taken "
		       "for that address (of an odd number of ports the kernel leaves one "
		       "out, another each time); web7"));
}

static void connect_shares_ports_that_it_picked_itself(void **state)
{
	struct bind_event e = event(CALL_CONNECT, EADDRNOTAVAIL, "tcp 127.0.0.1:0");

	(void)state;
	assert_false(bind_range_wanted(&e)); /* no route, as far as is known */
	e.routed = true;
	assert_true(bind_range_wanted(&e));
	e.peer = peer("tcp 127.0.0.1:631");
	settings.high = 40005;
	bind_range_begin(&count, &e, &settings);
	add(7, BIND_CONNECTED, "tcp 127.0.0.1:40000", "tcp 127.0.0.1:631", -1);
	add(7, BIND_CONNECTED, "tcp [::ffff:127.0.0.1]:40001", "tcp [::ffff:127.0.0.1]:631", -1);
	add(7, BIND_CONNECTED, "tcp 127.0.0.1:40002", "tcp 127.0.0.1:632", -1); /* to another */
	add(7, BIND_CONNECTED, "tcp 127.0.0.2:40003", "tcp 127.0.0.1:631", -1); /* from another */
	add(8, BIND_BOUND, "tcp 127.0.0.9:40004", NULL, 0); /* wherever it is bound */
	add(0, BIND_TIME_WAIT, "tcp 127.0.0.1:40005", "tcp 127.0.0.1:631", -1);
	assert_string_equal(
		explained(&e),
		"4 of the 6 ports of 40000-40005 (net.ipv4.ip_local_port_range) are taken for that "
		"destination by now (others were freed since, or can't be seen); 1 of them "
		"somebody has by bind(), and those connect() can't share; web7 (pid 7) has 2 of "
		"them, more than any other, 1 lingers in TIME_WAIT; keep "
		"connections open and use them again, connect from or to more addresses, or widen "
		"net.ipv4.ip_local_port_range");
	e = event(CALL_CONNECT, EAGAIN, "udp 0.0.0.0:0");
	assert_true(bind_range_wanted(&e));
}

/* Somebody's bind() in another VRF keeps nobody out. */
static void of_a_vrf_its_own_ports_are_counted(void **state)
{
	struct bind_event e = event(CALL_CONNECT, EADDRNOTAVAIL, "tcp 127.0.0.1:0");
	struct bind_occupant o = occupant(BIND_BOUND, "tcp 127.0.0.1:40000");
	const struct bind_peer none = {};

	(void)state;
	e.place.vrf = 5;
	o.bucket = (struct bind_bucket){ .known = true };
	bind_range_begin(&count, &e, &settings);
	bind_range_add(&count, &o, &none);
	o.place.vrf = 5;
	o.place.port = 40001;
	bind_range_add(&count, &o, &none);
	bind_range_end(&count);
	assert_int_equal(count.use.taken, 1);
	assert_int_equal(count.use.bound, 1);
}

static void other_reasons_of_connect(void **state)
{
	struct bind_event e = event(CALL_CONNECT, EADDRNOTAVAIL, "tcp 127.0.0.1:40000");

	(void)state;
	e.routed = true;
	e.peer = peer("tcp [2001:db8::1]:80");
	bind_explain(&e, NULL, 0, BIND_NOT_LOOKED, NULL, text, NULL);
	assert_string_equal(text, "from 127.0.0.1:40000, to which the socket is bound, a "
				  "connection to [2001:db8::1]:80 exists already, or lingers in "
				  "TIME_WAIT; leave the choice of the port "
				  "to connect() (no bind(), or IP_BIND_ADDRESS_NO_PORT), or wait");
	e.routed = false;
	bind_explain(&e, NULL, 0, BIND_NOT_LOOKED, NULL, text, NULL);
	assert_string_equal(text, "this network namespace has no address that is fit for a "
				  "connection to [2001:db8::1]:80 (see ip addr, ip route)");
	e.place.protocol = PROTOCOL_UDP; /* the route is that of its last connect(): UDP may have
					    any number of sockets that are connected alike */
	e.routed = true;
	bind_explain(&e, NULL, 0, BIND_NOT_LOOKED, NULL, text, NULL);
	assert_string_equal(text, "this network namespace has no address that is fit for a "
				  "connection to [2001:db8::1]:80 (see ip addr, ip route)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_range_is_counted_by_the_rules_for_picked_ports, prepare),
		cmocka_unit_test_setup(net_ipv4_ip_autobind_reuse_counts, prepare),
		cmocka_unit_test_setup(udp_shares_picked_ports_by_its_options, prepare),
		cmocka_unit_test_setup(a_range_of_its_own_narrows, prepare),
		cmocka_unit_test_setup(reserved_ports_are_not_picked, prepare),
		cmocka_unit_test_setup(of_an_odd_number_one_is_left_out, prepare),
		cmocka_unit_test_setup(connect_shares_ports_that_it_picked_itself, prepare),
		cmocka_unit_test_setup(other_reasons_of_connect, prepare),
		cmocka_unit_test_setup(of_a_vrf_its_own_ports_are_counted, prepare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
