/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Why a bind() or listen() failed, and what looks wrong, word for word: user/bind/bind_words.c,
 * bind_in_use.c, bind_suspect.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <netdb.h>

#include "bind_fixture.h"

static char text[BIND_TEXT_MAX];
static int blocker;
static enum bind_looked looked;
static struct bind_ports ports;

static const char *explain(const struct bind_event *e, const struct bind_occupant *occupants,
			   size_t count)
{
	memset(text, '#', sizeof(text));
	bind_explain(e, occupants, count, looked, &ports, text, &blocker);
	return text;
}

static int ports_prepare(void **state)
{
	(void)state;
	memset(&ports, 0, sizeof(ports));
	bind_ports_by_use(&ports);
	looked = BIND_LOOKED;
	return 0;
}

static void each_failure_has_its_words(void **state)
{
	struct bind_event e = event(CALL_BIND, EACCES, "tcp 0.0.0.0:81 uid=1000");

	(void)state;
	assert_string_equal(
		explain(&e, NULL, 0),
		"ports below 1024 (net.ipv4.ip_unprivileged_port_start) need CAP_NET_BIND_SERVICE, "
		"which python3 (pid 9, uid 1000) does not have; give it that "
		"capability (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE), lower the limit "
		"or take a port above it");
	assert_int_equal(blocker, -1);
	e.other_user_ns = true;
	e.place.port = 0x21; /* 8448 */
	bind_port_add(ports.requested, 8448);
	assert_non_null(
		strstr(explain(&e, NULL, 0),
		       "take a port above it. 8448 without htons() is 33: was that meant?"));
	e.denied_by_lsm = true;
	assert_non_null(strstr(explain(&e, NULL, 0),
			       "a security module (SELinux, AppArmor...) refused it"));
	e = event(CALL_LISTEN, EACCES,
		  "tcp 0.0.0.0:81 uid=1000"); /* system calls do not show who refused */
	assert_string_equal(
		explain(&e, NULL, 0),
		"a security module (SELinux, AppArmor...) refused it: its log says by which rule");
	e = event(CALL_BIND, EACCES, "tcp 0.0.0.0:8080");
	assert_string_equal(
		explain(&e, NULL, 0),
		"not for its port, which needs no rights that it lacks: a security module refused "
		"it (SELinux, AppArmor...: its log says by which rule), or a "
		"BPF program of its cgroup (bind4, bind6)");
	e = event(CALL_BIND, EADDRNOTAVAIL, "tcp 10.9.9.9:80");
	assert_string_equal(explain(&e, NULL, 0),
			    "no interface of this network namespace has the address 10.9.9.9 (see "
			    "ip addr); IP_FREEBIND or "
			    "net.ipv4.ip_nonlocal_bind=1 would allow it all the same");
	e = event(CALL_BIND, EADDRNOTAVAIL, "tcp [2001:db8::1]:80");
	assert_string_equal(explain(&e, NULL, 0),
			    "no interface of this network namespace has the address [2001:db8::1] "
			    "(see ip addr), or it is not ready yet (tentative: duplicate address "
			    "detection); IP_FREEBIND or net.ipv6.ip_nonlocal_bind=1 would allow it "
			    "all the same");
	e = event(CALL_BIND, EAFNOSUPPORT, "tcp 0.0.0.0:80");
	e.asked_family = AF_INET6;
	assert_string_equal(explain(&e, NULL, 0),
			    "the address that was passed is AF_INET6, the socket AF_INET: make the "
			    "socket with the family of the address");
	e.asked_family = 40;
	assert_non_null(strstr(explain(&e, NULL, 0), "is family 40, the socket AF_INET"));
	e.asked_family = -1;
	assert_string_equal(explain(&e, NULL, 0),
			    "the address is of another family than the socket, which is AF_INET");
	e = event(CALL_BIND, EAFNOSUPPORT, "tcp [::1]:80");
	assert_string_equal(explain(&e, NULL, 0),
			    "this kernel has no AF_INET6 (IPv6: ipv6.disable=1)");
	e = event(CALL_BIND, EINVAL, "tcp [fe80::1]:80");
	assert_string_equal(
		explain(&e, NULL, 0),
		"a link-local address needs its interface: sin6_scope_id, as in fe80::1%eth0");
	e.port_got = 81;
	assert_string_equal(explain(&e, NULL, 0),
			    "the socket is bound already, to port 81: a socket can be bound once");
	e = event(CALL_BIND, EINVAL, "tcp [::ffff:127.0.0.1]:80 v6only");
	assert_string_equal(explain(&e, NULL, 0), "an IPv4 address on a socket with IPV6_V6ONLY");
	e = event(CALL_LISTEN, EOPNOTSUPP, "udp 0.0.0.0:80");
	assert_string_equal(explain(&e, NULL, 0), "UDP sockets can't listen");
	e = event(CALL_BIND, EPERM, "tcp 0.0.0.0:80");
	assert_non_null(strstr(explain(&e, NULL, 0), "a BPF program of its cgroup"));
	e.error = ENOBUFS;
	assert_string_equal(explain(&e, NULL, 0), "No buffer space available");
	e.error = 524;
	assert_string_equal(explain(&e, NULL, 0), "the kernel gave no known reason");
	assert_string_equal(bind_error_name(524, text), "errno 524");
	assert_string_equal(bind_error_name(EADDRINUSE, text), "EADDRINUSE");
	e.error = 0;
	assert_string_equal(explain(&e, NULL, 0), "");
}

/* What became of the capability. */
static void rights_that_are_missing(void **state)
{
	struct bind_event e = event(CALL_BIND, EACCES, "tcp 0.0.0.0:81 uid=1000");

	(void)state;
	e.user = "www-data";
	e.other_user_ns = true;
	assert_non_null(
		strstr(explain(&e, NULL, 0),
		       "which python3 (pid 9, uid 1000, www-data) has only in a user namespace "
		       "that does not own this network namespace: there it counts for "
		       "nothing; bind() outside of that namespace, lower the limit or take a port "
		       "above it"));
	e.other_user_ns = false;
	e.can_raise = true;
	assert_non_null(strstr(explain(&e, NULL, 0),
			       "has permitted, and has not raised: it is not effective; raise it "
			       "before bind() (capset(); systemd: "
			       "AmbientCapabilities=CAP_NET_BIND_SERVICE), lower"));
	e.can_raise = false;
	e.capability_lost = true;
	assert_non_null(strstr(
		explain(&e, NULL, 0),
		"does not have, and can't get: its bounding set lacks it; leave it in there"));
	e.capability_lost = false;
	e.euid = 0;
	e.user = "root";
	assert_non_null(strstr(explain(&e, NULL, 0), "(pid 9, uid 0, root) does not have, though "
						     "it is root: it was dropped; keep it, lower"));
	e.pid = 0; /* of bind-check: a user, no process */
	e.euid = 33;
	e.user = NULL;
	assert_non_null(strstr(explain(&e, NULL, 0),
			       "which uid 33 does not have; give it that capability"));
}

static void ipv6_that_is_off_is_told(void **state)
{
	struct bind_event e = event(CALL_BIND, EADDRNOTAVAIL, "tcp [::1]:80");

	(void)state;
	e.ipv6_off = "lo";
	assert_string_equal(explain(&e, NULL, 0),
			    "IPv6 is off on lo (net.ipv6.conf.lo.disable_ipv6=1), so that nobody "
			    "has the address [::1]; set it to 0, or use IPv4");
	e = event(CALL_CONNECT, EADDRNOTAVAIL, "tcp [::]:0");
	e.peer = (struct bind_peer){ .port = 80, .address = { 0x20, 1, 0xd, 0xb8, [15] = 1 } };
	e.ipv6_off = "all";
	assert_string_equal(
		explain(&e, NULL, 0),
		"IPv6 is off in this network namespace (net.ipv6.conf.all.disable_ipv6=1), so that "
		"no address is fit for a connection to [2001:db8::1]:80; set it to "
		"0, or use IPv4");
}

static void who_has_the_port_is_named(void **state)
{
	struct bind_event e = event(CALL_BIND, EADDRINUSE, "tcp 0.0.0.0:8080");
	struct bind_occupant o[2] = { occupant(BIND_LISTENING, "tcp 0.0.0.0:8080"),
				      occupant(BIND_TIME_WAIT, "tcp 0.0.0.0:8080") };

	(void)state;
	o[1].count = 3;
	assert_string_equal(explain(&e, o, 1),
			    "nginx (pid 7, uid 0) listens on 0.0.0.0:8080 without SO_REUSEPORT; "
			    "stop it, or take another port or address");
	assert_int_equal(blocker, 0);
	assert_non_null(strstr(explain(&e, o, 2), "address (3 more sockets are in the way)"));
	o[0].holders = 3;
	e.place.reuseaddr = true;
	assert_string_equal(explain(&e, o, 1),
			    "nginx (pid 7 and 2 others, uid 0) listens on 0.0.0.0:8080 without "
			    "SO_REUSEPORT; SO_REUSEADDR does not help beside one that "
			    "listens; stop it, or take another port or address");
	o[0].place.reuseport = true;
	assert_non_null(strstr(explain(&e, o, 1),
			       "with SO_REUSEPORT, which ours lacks: set it before bind();"));
	e.place.uid = 1000; /* the option would not help: no word of setting it */
	e.place.reuseaddr = false;
	assert_string_equal(explain(&e, o, 1),
			    "nginx (pid 7 and 2 others, uid 0) listens on 0.0.0.0:8080 with "
			    "SO_REUSEPORT, which only sockets of its user (uid 0) can join; "
			    "stop it, or take another port or address");
	e.place.reuseaddr = e.place.reuseport = true;
	assert_non_null(strstr(explain(&e, o, 1),
			       "; both have SO_REUSEPORT, but only sockets of one user "
			       "share a port by it (uid 0 and ours, 1000);"));
	o[0] = occupant(BIND_BOUND, "tcp [::]:8080");
	assert_non_null(strstr(explain(&e, o, 1),
			       "is bound to, and does not listen on, *:8080 without SO_REUSEPORT; "
			       "SO_REUSEADDR is set by ours alone: both need it; stop it"));
	o[0] = occupant(BIND_CONNECTED, "tcp 127.0.0.1:8080");
	o[0].count = 2;
	assert_non_null(strstr(
		explain(&e, o, 1),
		"nginx (pid 7, uid 0) has 2 connections on 127.0.0.1:8080 without SO_REUSEPORT"));
	o[0].pid = 0;
	o[0].held = false;
	assert_non_null(strstr(explain(&e, o, 1),
			       "2 connections that nobody accepted yet are on 127.0.0.1:8080"));
	o[0] = occupant(BIND_UNCONNECTED, "udp 0.0.0.0:8080");
	o[0].pid = 0;
	o[0].held = false;
	e = event(CALL_BIND, EADDRINUSE, "udp 0.0.0.0:8080");
	assert_non_null(strstr(explain(&e, o, 1), "the kernel itself is bound to 0.0.0.0:8080"));
	o[0].held = true;
	assert_non_null(strstr(explain(&e, o, 1),
			       "a socket that no process has open (inode 301, uid 0; on its way "
			       "between processes, registered with an io_uring, or handed to the "
			       "kernel as NFS servers do) is bound to 0.0.0.0:8080"));
}

static void what_lingers_is_told_with_its_time(void **state)
{
	struct bind_event e = event(CALL_BIND, EADDRINUSE, "tcp 127.0.0.1:8080");
	struct bind_occupant o = occupant(BIND_TIME_WAIT, "tcp 127.0.0.1:8080");

	(void)state;
	o.seconds_left = 41.24;
	assert_string_equal(
		explain(&e, &o, 1),
		"1 connection on 127.0.0.1:8080 lingers in TIME_WAIT, for another 41.2 s; wait: "
		"SO_REUSEADDR does not help, for the program "
		"that left it had not set it (set it there, and the next restart need not wait)");
	o.place.reuseaddr = true;
	o.count = 3;
	assert_string_equal(explain(&e, &o, 1),
			    "3 connections on 127.0.0.1:8080 linger in TIME_WAIT, the last for "
			    "another 41.2 s; set SO_REUSEADDR before bind(): the program "
			    "that left them had it too");
	o.place.reuseaddr = false;
	o.place.reuseport = true;
	assert_string_equal(explain(&e, &o, 1),
			    "3 connections on 127.0.0.1:8080 linger in TIME_WAIT, the last for "
			    "another 41.2 s; set SO_REUSEPORT before bind(): the program "
			    "that left them had it too");
	e.place.uid = 1000;
	assert_non_null(strstr(explain(&e, &o, 1),
			       "; set SO_REUSEPORT before bind(): the program that left them had "
			       "it too, and in TIME_WAIT any user may join"));
	o.state = BIND_CLOSING; /* here the user counts */
	assert_non_null(strstr(explain(&e, &o, 1), "; wait: SO_REUSEADDR does not help"));
	e.place.uid = 0;
	assert_non_null(
		strstr(explain(&e, &o, 1),
		       "; set SO_REUSEPORT before bind(): the program that left them had it too"));
	e.place.reuseaddr = true; /* of no use: it had none */
	assert_non_null(strstr(explain(&e, &o, 1), "; set SO_REUSEPORT before bind()"));
	e.place.reuseaddr = false;
	o.state = BIND_TIME_WAIT;
	o.options_known = false;
	o.seconds_left = NAN;
	assert_string_equal(explain(&e, &o, 1),
			    "3 connections on 127.0.0.1:8080 linger in TIME_WAIT; wait, or set "
			    "SO_REUSEADDR before bind(): it helps if the program that "
			    "left them had set it too");
	o = occupant(BIND_CLOSING, "tcp 127.0.0.1:8080");
	assert_non_null(strstr(explain(&e, &o, 1),
			       "1 connection on 127.0.0.1:8080, closed by its process, is not over "
			       "yet (FIN_WAIT, CLOSING or LAST_ACK); wait"));
}

static void nobody_is_blamed_who_is_not_there(void **state)
{
	struct bind_event e = event(CALL_BIND, EADDRINUSE, "tcp 127.0.0.1:8080");
	struct bind_occupant o = occupant(BIND_LISTENING, "tcp 127.0.0.2:8080");

	(void)state;
	assert_string_equal(explain(&e, &o, 1),
			    "nobody is found who would be in the way: whoever had the port is gone "
			    "by now, or its socket can't be seen (bound, and open in no "
			    "process)");
	assert_int_equal(blocker, -1);
	looked = BIND_LOOKED_PARTLY;
	assert_string_equal(explain(&e, &o, 1),
			    "nobody is found who would be in the way, but not all sockets there "
			    "could be looked at: whoever has the port is among the "
			    "others, or gone by now");
	looked = BIND_NOT_LOOKED;
	assert_string_equal(
		explain(&e, NULL, 0),
		"who has the port is not known: sockfair could not see which one was asked for");
	e.asked_known = false; /* then port 0 means nothing */
	e.place.port = 0;
	assert_string_equal(
		explain(&e, NULL, 0),
		"who has the port is not known: sockfair could not see which one was asked for");
	e.asked_known = true;
	assert_non_null(
		strstr(explain(&e, &o, 1), "no port of net.ipv4.ip_local_port_range is free"));
}

static void long_texts_are_cut_not_spilled(void **state)
{
	struct bind_event e = event(CALL_BIND, EADDRINUSE, "tcp 127.0.0.1:8080");
	struct bind_occupant o = occupant(BIND_LISTENING, "tcp 127.0.0.1:8080");

	(void)state;
	memset(o.process, 'x', sizeof(o.process)); /* no NUL */
	memset(o.place.device_name, 'y', sizeof(o.place.device_name));
	assert_non_null(strstr(explain(&e, &o, 1), "xxxxxxxxxxxxxxxx (pid 7"));
}

static size_t suspect(const struct bind_event *e, const struct bind_occupant *occupants,
		      size_t count, struct bind_suspicion *found)
{
	memset(found, 0, sizeof(*found) * BIND_SUSPICIONS_MAX);
	return bind_suspect(e, occupants, count, &ports, found);
}

static struct bind_event listens(const char *words)
{
	struct bind_event e = event(CALL_LISTEN, 0, words);

	e.asked_family = -1;
	e.port_asked = true;
	return e;
}

static void twins_that_listen_look_wrong(void **state)
{
	struct bind_event e = listens("tcp 0.0.0.0:20736");
	struct bind_suspicion found[BIND_SUSPICIONS_MAX];

	(void)state;
	assert_int_equal(suspect(&e, NULL, 0, found), 1);
	assert_string_equal(found[0].code, "byte-swapped");
	assert_non_null(
		strstr(found[0].text,
		       "81 without htons() is 20736, which no list of services has: if port 81 was "
		       "meant, the port is passed to bind() in the wrong byte order. It may be "
		       "chance: one port in "));
	assert_int_equal(found[0].occupant, -1);
	assert_int_equal(bind_twins(&ports) > 50 && bind_twins(&ports) < 60, true);
	assert_false(bind_wants_occupants(&e));
	e.listened = true; /* said once */
	assert_int_equal(suspect(&e, NULL, 0, found), 0);
	e = listens("tcp 0.0.0.0:20736"); /* the kernel's own choice */
	e.port_asked = false;
	assert_int_equal(suspect(&e, NULL, 0, found), 0);
	e = listens("tcp 0.0.0.0:81");
	assert_int_equal(suspect(&e, NULL, 0, found), 0);
	e = event(CALL_BIND, EADDRINUSE, "tcp 0.0.0.0:20736"); /* not of one that failed */
	assert_int_equal(suspect(&e, NULL, 0, found), 0);
}

static void twins_that_the_user_named_look_wrong(void **state)
{
	static const char *const rows[] = { "tcp 0.0.0.0:36895", "udp 0.0.0.0:36895" };
	struct bind_suspicion found[BIND_SUSPICIONS_MAX];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct bind_event e = event(CALL_BIND, 0, rows[i]);

		ports_prepare(NULL);
		assert_int_equal(suspect(&e, NULL, 0, found), 0);
		bind_port_add(ports.requested, 8080);
		assert_int_equal(suspect(&e, NULL, 0, found), 1);
		assert_string_equal(found[0].text,
				    "8080 without htons() is 36895: if port 8080 was meant, the "
				    "port is passed to bind() in the wrong byte order");
		e.call = CALL_LISTEN; /* said already */
		e.port_asked = true;
		assert_int_equal(suspect(&e, NULL, 0, found), 0);
	}
}

/* A call that failed has no listen() after it. */
static void twins_of_failed_calls_are_told_with_a_second_sign(void **state)
{
	struct bind_event e = event(CALL_BIND, EADDRINUSE, "tcp 0.0.0.0:36895");
	struct bind_occupant o = occupant(BIND_LISTENING, "tcp 0.0.0.0:36895");

	(void)state;
	assert_null(strstr(explain(&e, &o, 1), "htons"));
	bind_port_add(ports.requested, 8080);
	assert_non_null(
		strstr(explain(&e, &o, 1), ". 8080 without htons() is 36895: was that meant?"));
	bind_port_add(ports.well_known, bind_port_swapped(513));
	bind_port_add(ports.well_known, bind_port_swapped(33));
	e = event(CALL_BIND, EACCES,
		  "tcp 0.0.0.0:513 uid=1000"); /* bindresvport() may have picked it */
	assert_null(strstr(explain(&e, NULL, 0), "htons"));
	e = event(CALL_BIND, EACCES, "tcp 0.0.0.0:33 uid=1000");
	assert_non_null(
		strstr(explain(&e, NULL, 0), ". 8448 without htons() is 33: was that meant?"));
}

/* Ports that servers really have, with this machine's own list of services as well. */
static void ports_in_use_everywhere_are_no_twins(void **state)
{
	static const uint16_t used[] = {
		1194,  1433,  1521,  1883,  2049,  2181,  2222,  3000,  3128,  3306,  3389,  4222,
		4369,  5000,  5044,  5060,  5222,  5353,  5432,  5555,  5601,  5671,  5672,  5900,
		5984,  6000,  6379,  6443,  6667,  7000,  7077,  7474,  7687,  7946,  8000,  8008,
		8081,  8086,  8088,  8089,  8123,  8125,  8161,  8200,  8333,  8443,  8500,  8529,
		8765,  8834,  8883,  8888,  8983,  9000,  9042,  9090,  9092,  9100,  9160,  9200,
		9300,  9418,  9443,  9999,  10000, 10250, 11211, 11434, 15672, 16379, 18080, 19999,
		20000, 22222, 25565, 25672, 26257, 26379, 27017, 27018, 28015, 30000, 32400, 32768,
		33060, 50000, 50051, 50070, 51820, 60000, 61616,
	};
	struct bind_suspicion found[BIND_SUSPICIONS_MAX];
	const struct servent *s;

	(void)state;
	setservent(1);
	while ((s = getservent()))
		bind_port_add(ports.well_known, ntohs(s->s_port));
	endservent();
	for (size_t i = 0; i < sizeof(used) / sizeof(used[0]); i++) {
		char words[32];
		struct bind_event e;

		snprintf(words, sizeof(words), "tcp 0.0.0.0:%u", used[i]);
		e = listens(words);
		if (suspect(&e, NULL, 0, found))
			fail_msg("%s: %s", words, found[0].text);
	}
}

/* A resolver's, a client's: 100,000 of them. */
static void random_ports_that_do_not_listen_are_none(void **state)
{
	struct bind_suspicion found[BIND_SUSPICIONS_MAX];
	uint32_t random = 1;

	(void)state;
	for (size_t i = 0; i < 100000; i++) {
		struct bind_event e = event(CALL_BIND, i % 8 == 7 ? EADDRINUSE : 0,
					    i & 1 ? "udp 0.0.0.0:1024" : "tcp 0.0.0.0:1024");
		struct bind_occupant o = occupant(BIND_UNCONNECTED, "udp 0.0.0.0:1024");

		random = random * 1664525 + 1013904223;
		e.place.port = o.place.port = 1024 + (random >> 8) % 64512;
		o.place.protocol = e.place.protocol;
		if (e.error ? strstr(explain(&e, &o, 1), "htons") != NULL
			    : suspect(&e, NULL, 0, found) > 0)
			fail_msg("port %u", e.place.port);
	}
}

static void what_a_bpf_program_changed_is_told(void **state)
{
	struct bind_event e = event(CALL_BIND, 0, "tcp 127.0.0.1:8080");
	struct bind_suspicion found[BIND_SUSPICIONS_MAX];

	(void)state;
	assert_int_equal(suspect(&e, NULL, 0, found), 0);
	e.rewritten = true;
	e.port_got = 8081;
	inet_pton(AF_INET, "127.0.0.2", e.address_got);
	assert_int_equal(suspect(&e, NULL, 0, found), 1);
	assert_string_equal(found[0].code, "rewritten");
	assert_string_equal(found[0].text,
			    "a BPF program of its cgroup (bind4, bind6) changed what was asked "
			    "for: not 127.0.0.1:8080, but 127.0.0.2:8081");
}

static void two_users_of_a_udp_port_look_wrong(void **state)
{
	struct bind_event e = event(CALL_BIND, 0, "udp 0.0.0.0:53 reuseaddr uid=1000");
	struct bind_occupant o[2] = { occupant(BIND_UNCONNECTED,
					       "udp 0.0.0.0:53 reuseaddr uid=1000"),
				      occupant(BIND_UNCONNECTED, "udp 0.0.0.0:53 reuseaddr") };
	struct bind_suspicion found[BIND_SUSPICIONS_MAX];

	(void)state;
	o[0].cookie = e.cookie = 99;
	assert_true(bind_wants_occupants(&e));
	assert_int_equal(suspect(&e, o, 2, found), 1);
	assert_string_equal(found[0].code, "udp-two-users");
	assert_non_null(strstr(found[0].text,
			       "SO_REUSEADDR shares 0.0.0.0:53 with nginx (pid 7, uid 0), another "
			       "user: of sockets with the same address the last to bind gets all"));
	assert_int_equal(found[0].occupant, 1);
	assert_int_equal(suspect(&e, o, 1, found), 0);
	o[1].state = BIND_CONNECTED; /* gets what its peer sends, no more */
	assert_int_equal(suspect(&e, o, 2, found), 0);
	o[1].state = BIND_UNCONNECTED;
	e.place.port = e.port_got = o[0].place.port = o[1].place.port = 5353; /* multicast */
	assert_int_equal(suspect(&e, o, 2, found), 0);
	e = event(CALL_BIND, 0, "udp [::]:53 reuseaddr reuseport uid=7");
	o[0] = occupant(BIND_UNCONNECTED, "udp [::]:53 reuseaddr reuseport");
	assert_int_equal(bind_suspect(&e, o, 1, &ports, found), 1);
	assert_non_null(strstr(found[0].text, "the first to bind keeps all"));
}

static void a_split_group_looks_wrong(void **state)
{
	struct bind_event e = event(CALL_BIND, 0, "tcp 127.0.0.1:80 reuseport");
	struct bind_occupant o[2] = { occupant(BIND_BOUND, "tcp 127.0.0.1:80 reuseport"),
				      occupant(BIND_LISTENING, "tcp 0.0.0.0:80 reuseport") };
	struct bind_suspicion found[BIND_SUSPICIONS_MAX];

	(void)state;
	assert_true(bind_wants_occupants(&e));
	assert_int_equal(suspect(&e, o, 2, found), 1);
	assert_string_equal(found[0].code, "group-split");
	assert_string_equal(found[0].text,
			    "SO_REUSEPORT does not join it with nginx (pid 7, uid 0), for their "
			    "bind differs in address (127.0.0.1:80 and 0.0.0.0:80): the port's "
			    "sockets are split, and the more specific ones get all that fits them; "
			    "bind all alike");
	assert_int_equal(found[0].occupant, 1);
	/* A normal nginx: the same bind again, and IPv6 alone beside IPv4. */
	o[1] = occupant(BIND_LISTENING, "tcp [::]:80 reuseport v6only");
	assert_int_equal(suspect(&e, o, 2, found), 0);
	o[1] = occupant(BIND_LISTENING, "tcp [::]:80 reuseport");
	assert_int_equal(suspect(&e, o, 2, found), 1);
	o[1] = occupant(BIND_LISTENING, "tcp 127.0.0.1:80 reuseport device=2");
	assert_int_equal(suspect(&e, o, 2, found), 1);
	o[1].place.reuseport = false;
	assert_int_equal(suspect(&e, o, 2, found), 0);
	e = event(CALL_BIND, 0, "tcp 0.0.0.0:80 reuseaddr");
	assert_false(bind_wants_occupants(&e));
}

/* Of two, the second is told: when the first came it was alone. */
static void the_first_of_a_port_looks_fine(void **state)
{
	struct bind_event first = event(CALL_BIND, 0, "tcp 127.0.0.1:80 reuseport"),
			  second = event(CALL_BIND, 0, "tcp 0.0.0.0:80 reuseport");
	struct bind_occupant o[2] = { occupant(BIND_BOUND, "tcp 127.0.0.1:80 reuseport"),
				      occupant(BIND_BOUND, "tcp 0.0.0.0:80 reuseport uid=3") };
	struct bind_suspicion found[BIND_SUSPICIONS_MAX];

	(void)state;
	first.cookie = o[0].cookie = 98;
	second.cookie = o[1].cookie = 99;
	first.time_ns = 1010;
	second.time_ns = 1030;
	o[0].since_ns = 1000;
	o[1].since_ns = 1020;
	assert_int_equal(suspect(&first, o, 2, found), 0);
	assert_int_equal(suspect(&second, o, 2, found), 1);
	o[1].since_ns = 1005; /* at once: who began later has it told */
	assert_int_equal(suspect(&first, o, 2, found), 0);
	assert_int_equal(suspect(&second, o, 2, found), 1);
	assert_int_equal(suspect(&first, o + 1, 1, found),
			 1); /* it is closed by now: the other began before it returned */
	o[1].since_ns = 0;   /* was there before anybody watched */
	assert_int_equal(suspect(&first, o, 2, found), 1);
	first.place = place("udp 0.0.0.0:53 reuseaddr");
	o[1] = occupant(BIND_UNCONNECTED, "udp 0.0.0.0:53 reuseaddr uid=3");
	assert_int_equal(suspect(&first, o, 2, found), 1);
	o[1].since_ns = 1020;
	assert_int_equal(suspect(&first, o, 2, found), 0);
}

static void places_are_written_as_people_do(void **state)
{
	static const char *const rows[][2] = {
		{ "tcp 0.0.0.0:80", "0.0.0.0:80" },
		{ "tcp [::]:80", "*:80" },
		{ "tcp [::]:80 v6only", "[::]:80" },
		{ "tcp [::1]:80", "[::1]:80" },
		{ "tcp [::ffff:127.0.0.1]:80", "127.0.0.1:80" },
		{ "tcp [fe80::1]:80 device=3", "[fe80::1%3]:80" },
		{ "tcp 127.0.0.1:80 device=3", "127.0.0.1%3:80" },
	};
	char buffer[BIND_PLACE_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bind_place p = place(rows[i][0]);

		assert_string_equal(bind_place_text(buffer, &p), rows[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_failure_has_its_words, ports_prepare),
		cmocka_unit_test_setup(who_has_the_port_is_named, ports_prepare),
		cmocka_unit_test_setup(rights_that_are_missing, ports_prepare),
		cmocka_unit_test_setup(ipv6_that_is_off_is_told, ports_prepare),
		cmocka_unit_test_setup(what_lingers_is_told_with_its_time, ports_prepare),
		cmocka_unit_test_setup(nobody_is_blamed_who_is_not_there, ports_prepare),
		cmocka_unit_test_setup(long_texts_are_cut_not_spilled, ports_prepare),
		cmocka_unit_test_setup(twins_that_listen_look_wrong, ports_prepare),
		cmocka_unit_test_setup(twins_that_the_user_named_look_wrong, ports_prepare),
		cmocka_unit_test_setup(twins_of_failed_calls_are_told_with_a_second_sign,
				       ports_prepare),
		cmocka_unit_test_setup(ports_in_use_everywhere_are_no_twins, ports_prepare),
		cmocka_unit_test_setup(random_ports_that_do_not_listen_are_none, ports_prepare),
		cmocka_unit_test_setup(what_a_bpf_program_changed_is_told, ports_prepare),
		cmocka_unit_test_setup(two_users_of_a_udp_port_look_wrong, ports_prepare),
		cmocka_unit_test_setup(a_split_group_looks_wrong, ports_prepare),
		cmocka_unit_test_setup(the_first_of_a_port_looks_fine, ports_prepare),
		cmocka_unit_test_setup(places_are_written_as_people_do, ports_prepare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
