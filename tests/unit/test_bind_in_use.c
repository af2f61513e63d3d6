/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who has the port, what he is to the caller, and what follows, word for word:
 * user/bind/bind_in_use.c, bind_occupant.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>

#include "../../user/bind/bind_occupant.h"
#include "bind_fixture.h"

static char text[BIND_TEXT_MAX];

static const char *explain(const struct bind_event *e, const struct bind_occupant *occupants,
			   size_t count)
{
	bind_explain(e, occupants, count, BIND_LOOKED, NULL, text, NULL);
	return text;
}

/* Of python3 9, child of bash 5, which began at 900. */
static struct bind_event failed(const char *words)
{
	struct bind_event e = event(CALL_BIND, EADDRINUSE, words);

	e.parent = 5;
	e.started_ns = 900;
	return e;
}

static const struct bind_holder itself = {
	.pid = 9, .parent = 5, .started_ns = 900, .descriptor = 3, .process = "python3"
};

static struct bind_occupant held(enum bind_state state, const char *words,
				 const struct bind_holder *by, unsigned holders)
{
	struct bind_occupant o = occupant(state, words);

	o.held_by = by;
	o.holders = holders;
	o.pid = by->pid;
	memcpy(o.process, by->process, sizeof(o.process));
	return o;
}

static void its_own_socket_is_not_to_be_stopped(void **state)
{
	static const struct {
		const char *ours, *theirs, *says;
	} rows[] = {
		{ "tcp 0.0.0.0:80", "tcp 0.0.0.0:80",
		  "its own descriptor 3 listens on 0.0.0.0:80; use that one, or set SO_REUSEPORT "
		  "on both before bind() to have several" },
		{ "tcp 0.0.0.0:80 reuseport", "tcp 0.0.0.0:80",
		  "its own descriptor 3 listens on 0.0.0.0:80; that one lacks SO_REUSEPORT, which "
		  "this one has: it has to be set on both before bind()" },
		{ "tcp 0.0.0.0:80", "tcp 0.0.0.0:80 reuseport",
		  "its own descriptor 3 listens on 0.0.0.0:80; that one has SO_REUSEPORT, which "
		  "this one lacks: use that one, or set it on both before bind()" },
		{ "tcp [::]:80", "tcp 0.0.0.0:80",
		  "its own descriptor 3 listens on 0.0.0.0:80; an IPv6 socket takes IPv4 too, "
		  "unless IPV6_V6ONLY is set before its bind(): set it, or go without the IPv4 "
		  "socket" },
		{ "tcp 127.0.0.1:80", "tcp [::]:80",
		  "its own descriptor 3 listens on *:80; an IPv6 socket takes IPv4 too, unless "
		  "IPV6_V6ONLY is set before its bind(): set it, or go without the IPv4 socket" },
		{ "tcp 0.0.0.0:80 uid=9", "tcp 0.0.0.0:80",
		  "its own descriptor 3 listens on 0.0.0.0:80; use that one, or close it first" },
		{ "tcp 0.0.0.0:80 reuseport uid=9", "tcp 0.0.0.0:80 reuseport",
		  "its own descriptor 3 listens on 0.0.0.0:80; both have SO_REUSEPORT, but only "
		  "sockets of one user share a port by it, and that one is of uid 0, this one of "
		  "9: make "
		  "and bind all of them before setuid()" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct bind_event e = failed(rows[i].ours);
		const struct bind_occupant o = held(BIND_LISTENING, rows[i].theirs, &itself, 1);

		assert_string_equal(explain(&e, &o, 1), rows[i].says);
	}
}

static void a_socket_of_another_user_may_be_fchowned(void **state)
{
	struct bind_event e = failed("udp 0.0.0.0:53 reuseport");
	const struct bind_occupant o =
		held(BIND_UNCONNECTED, "udp 0.0.0.0:53 reuseport uid=9", &itself, 1);

	(void)state;
	e.euid = 9; /* ours was made before setuid(), that one was not */
	assert_string_equal(explain(&e, &o, 1),
			    "its own descriptor 3 is bound to 0.0.0.0:53; both have SO_REUSEPORT, "
			    "but only sockets of one user share a port by it, and that one is "
			    "of uid 9, this one of 0: make all of them as one user (a socket is of "
			    "who made it, or whom fchown() gave it to)");
}

static void its_own_connections_are_closed_first(void **state)
{
	struct bind_event e = failed("tcp 0.0.0.0:80 reuseaddr");
	struct bind_occupant o = held(BIND_CONNECTED, "tcp 127.0.0.1:80", &itself, 1);

	(void)state;
	o.count = 2;
	assert_string_equal(
		explain(&e, &o, 1),
		"its own descriptor 3 has 2 connections on 127.0.0.1:80; with SO_REUSEADDR set on "
		"this one, and on the listener that it came by, they "
		"go together");
	o.origin = ORIGIN_ASKED;
	assert_non_null(strstr(explain(&e, &o, 1), "; close it first"));
	o = held(BIND_CONNECTED, "tcp 127.0.0.1:80 reuseaddr", &itself, 1);
	e.place.reuseaddr = false;
	assert_string_equal(
		explain(&e, &o, 1),
		"its own descriptor 3 has a connection on 127.0.0.1:80; set SO_REUSEADDR before "
		"bind(): the listener that it came by had it, so they go "
		"together");
	e = failed("udp 0.0.0.0:53");
	o = held(BIND_UNCONNECTED, "udp 0.0.0.0:53", &itself, 1);
	o.origin = ORIGIN_PICKED;
	assert_non_null(strstr(explain(&e, &o, 1), "; close it first"));
}

static void its_own_socket_beside_it_is_named_so(void **state)
{
	struct bind_event e = event(CALL_BIND, 0, "tcp 127.0.0.1:80 reuseport");
	const struct bind_occupant o = held(BIND_LISTENING, "tcp 0.0.0.0:80 reuseport", &itself, 1);
	struct bind_suspicion found[BIND_SUSPICIONS_MAX];
	static const struct bind_ports ports;

	(void)state;
	e.started_ns = 900;
	assert_int_equal(bind_suspect(&e, &o, 1, &ports, found), 1);
	assert_non_null(strstr(found[0].text, "SO_REUSEPORT does not join it with its own "
					      "descriptor 3, for their bind differs in address"));
}

static void a_socket_that_it_was_handed_is_to_be_used(void **state)
{
	static const struct bind_holder by[3] = {
		{ .pid = 1, .descriptor = 40, .process = "systemd" },
		{ .pid = 5, .parent = 1, .descriptor = 4, .process = "bash" },
		{ .pid = 9, .parent = 5, .started_ns = 900, .descriptor = 3, .process = "python3" }
	};
	const struct bind_event e = failed("tcp 0.0.0.0:80");
	struct bind_occupant o = held(BIND_LISTENING, "tcp 0.0.0.0:80", by, 3);

	(void)state;
	assert_string_equal(
		explain(&e, &o, 1),
		"its own descriptor 3, which systemd (pid 1) and 1 other hold too, listens on "
		"0.0.0.0:80; use that one, or set SO_REUSEPORT on both before "
		"bind() to have several (systemd hands it over: sd_listen_fds())");
	o = held(BIND_LISTENING, "tcp 0.0.0.0:80", by + 1, 2);
	assert_non_null(strstr(
		explain(&e, &o, 1),
		"its own descriptor 3, which its parent bash (pid 5) holds too, listens on"));
	o = held(BIND_LISTENING, "tcp 0.0.0.0:80", by, 1);
	assert_string_equal(
		explain(&e, &o, 1),
		"systemd (pid 1, uid 0) listens on 0.0.0.0:80 for a .socket unit: systemctl "
		"list-sockets says which; stop that, or take the socket that it "
		"hands over (sd_listen_fds())");
}

static void family_is_named(void **state)
{
	struct bind_holder parent = {
		.pid = 5, .parent = 1, .started_ns = 100, .descriptor = 4, .process = "bash"
	};
	struct bind_holder child = {
		.pid = 12, .parent = 9, .started_ns = 950, .descriptor = 4, .process = "worker"
	};
	struct bind_event e = failed("tcp 0.0.0.0:80");
	struct bind_occupant o = held(BIND_LISTENING, "tcp 0.0.0.0:80", &parent, 1);

	(void)state;
	assert_string_equal(
		explain(&e, &o, 1),
		"its parent bash (pid 5, uid 0) listens on 0.0.0.0:80 without SO_REUSEPORT; let it "
		"hand that socket down, or close it first, or take another "
		"port or address");
	o.state = BIND_CONNECTED;
	o.count = 2;
	assert_non_null(strstr(explain(&e, &o, 1),
			       "without SO_REUSEPORT; let it close them first, or take another"));
	o.origin = ORIGIN_PICKED;
	o.count = 1;
	assert_non_null(strstr(explain(&e, &o, 1), "; let it close it first, or take another"));
	parent.started_ns = 901; /* after the caller, whose parent has ended */
	assert_int_equal(bind_relation(&e, &o, NULL), RELATION_OTHER);
	o = held(BIND_LISTENING, "tcp 0.0.0.0:80", &child, 1);
	assert_string_equal(
		explain(&e, &o, 1),
		"its child worker (pid 12, uid 0) listens on 0.0.0.0:80 without SO_REUSEPORT; end "
		"it, or where it inherited that socket, let it not "
		"(SOCK_CLOEXEC, or close() after fork()), or take another port or address");
	assert_string_equal(bind_relation_name(bind_relation(&e, &o, NULL)), "child");
	child.started_ns = 800; /* before the caller: another process had that pid */
	assert_int_equal(bind_relation(&e, &o, NULL), RELATION_OTHER);
}

/* The one of that relation, whoever else holds it. */
static void the_holder_that_is_family_is_the_one_that_is_named(void **state)
{
	static const char of_the_first[CGROUP_SIZE] = "/system.slice/manager.service";
	struct bind_holder by[2] = {
		{ .pid = 2, .parent = 1, .started_ns = 50, .descriptor = 9, .process = "manager" },
		{ .pid = 5, .parent = 2, .started_ns = 100, .descriptor = 4, .process = "bash" }
	};
	const struct bind_event e = failed("tcp 0.0.0.0:80");
	struct bind_occupant o = held(BIND_LISTENING, "tcp 0.0.0.0:80", by, 2);

	(void)state;
	o.cgroup = of_the_first;
	assert_non_null(strstr(explain(&e, &o, 1),
			       "its parent bash (pid 5 and 1 other, uid 0) listens on"));
	by[1] = (struct bind_holder){
		.pid = 12, .parent = 9, .started_ns = 950, .descriptor = 4, .process = "worker"
	};
	assert_non_null(strstr(explain(&e, &o, 1),
			       "its child worker (pid 12 and 1 other, uid 0) listens on"));
	by[1].parent = 1;
	assert_non_null(
		strstr(explain(&e, &o, 1),
		       "manager (pid 2 and 1 other, uid 0, in manager.service) listens on"));
}

/* A pid comes again; and bind-check asks for nobody in particular. */
static void another_of_that_pid_is_another(void **state)
{
	struct bind_holder later = itself;
	struct bind_event e = failed("tcp 0.0.0.0:80");
	struct bind_occupant o = held(BIND_LISTENING, "tcp 0.0.0.0:80", &later, 1);

	(void)state;
	later.started_ns = 901;
	assert_string_equal(explain(&e, &o, 1),
			    "python3 (pid 9, uid 0) listens on 0.0.0.0:80 without SO_REUSEPORT; "
			    "stop it, or take another port or address");
	later.started_ns = 900;
	assert_int_equal(bind_relation(&e, &o, NULL), RELATION_ITSELF);
	e.pid = e.parent = 0;
	assert_int_equal(bind_relation(&e, &o, NULL), RELATION_OTHER);
	assert_null(bind_relation_name(RELATION_OTHER));
}

static struct bind_occupant outgoing(enum bind_state state, enum bind_origin origin)
{
	struct bind_occupant o = occupant(state, "tcp 10.0.0.9:43110");

	memcpy(o.peer, "\x0a\0\0\x01", 4);
	o.peer_port = 443;
	o.origin = origin;
	o.pickable = true;
	return o;
}

static void a_clients_port_is_told_as_one(void **state)
{
	const struct bind_event e = failed("tcp 0.0.0.0:43110");
	struct bind_occupant o[2] = { outgoing(BIND_CONNECTED, ORIGIN_PICKED),
				      occupant(BIND_LISTENING, "tcp 127.0.0.2:43110") };

	(void)state;
	assert_string_equal(explain(&e, o, 1),
			    "nginx (pid 7, uid 0) has a connection on 10.0.0.9:43110, outgoing to "
			    "10.0.0.1:443, port picked by the kernel; "
			    "net.ipv4.ip_local_reserved_ports=43110 keeps it free; wait until it "
			    "is over, or end it, or take another port or address");
	o[0].count = 3;
	o[0].peers_differ = o[0].others_reserved = true;
	assert_string_equal(explain(&e, o, 1),
			    "nginx (pid 7, uid 0) has 3 connections on 10.0.0.9:43110, outgoing to "
			    "10.0.0.1:443 and others, port picked by the kernel; "
			    "net.ipv4.ip_local_reserved_ports=43110 (added to those in it) keeps "
			    "it free; wait until it is over, or end it, or take another port or "
			    "address");
	o[0].pickable = false;
	assert_non_null(strstr(explain(&e, o, 1),
			       "; as net.ipv4.ip_local_port_range and ip_local_reserved_ports are "
			       "now, it is not picked again; wait"));
	o[0] = outgoing(BIND_CONNECTED, ORIGIN_ASKED);
	assert_string_equal(explain(&e, o, 1),
			    "nginx (pid 7, uid 0) has a connection on 10.0.0.9:43110, outgoing to "
			    "10.0.0.1:443, port asked for by bind() before connect(), without "
			    "SO_REUSEPORT; stop it, or take another port or address");
	o[0] = outgoing(BIND_CONNECTED, ORIGIN_UNKNOWN);
	assert_non_null(strstr(explain(&e, o, 1),
			       "has a connection on 10.0.0.9:43110, with 10.0.0.1:443, "
			       "where nobody listens now, without"));
	/* A server's: who its clients are is not the point. */
	o[1].place = place("tcp 127.0.0.1:43110 reuseport");
	o[1].state = BIND_LISTENING;
	assert_null(strstr(explain(&e, o, 2), "443"));
}

static void connected_to_itself(void **state)
{
	const struct bind_event e = failed("tcp 0.0.0.0:43110");
	struct bind_occupant o = outgoing(BIND_CONNECTED, ORIGIN_PICKED);

	(void)state;
	memcpy(o.peer, o.place.address, 4);
	assert_false(bind_meets_itself(&o));
	o.peer_port = 43110;
	assert_non_null(strstr(explain(&e, &o, 1),
			       "has a connection on 10.0.0.9:43110, connected to "
			       "itself, port picked by the kernel; net.ipv4"));
}

static void what_a_client_left_is_no_servers(void **state)
{
	struct bind_event e = failed("tcp 0.0.0.0:43110 reuseaddr");
	struct bind_occupant o = outgoing(BIND_TIME_WAIT, ORIGIN_PICKED);

	(void)state;
	o.seconds_left = 41.24;
	assert_string_equal(explain(&e, &o, 1),
			    "1 connection on 10.0.0.9:43110, outgoing to 10.0.0.1:443, port picked "
			    "by the kernel, lingers in TIME_WAIT, for another 41.2 s; "
			    "net.ipv4.ip_local_reserved_ports=43110 keeps it free; wait, or take "
			    "another port or address: SO_REUSEADDR does not help, for the client "
			    "had not set it");
	o.place.reuseaddr = true;
	e.place.reuseaddr = false;
	assert_non_null(
		strstr(explain(&e, &o, 1),
		       "; set SO_REUSEADDR before bind(): the client that left it had it too"));
	o = outgoing(BIND_CLOSING, ORIGIN_PICKED);
	assert_non_null(
		strstr(explain(&e, &o, 1),
		       "port picked by the kernel, closed by its process, is not over yet"));
}

static void a_picked_port_may_listen(void **state)
{
	const struct bind_event e = failed("tcp 0.0.0.0:43110");
	struct bind_occupant o = occupant(BIND_LISTENING, "tcp 0.0.0.0:43110");

	(void)state;
	o.origin = ORIGIN_PICKED;
	o.pickable = true;
	assert_string_equal(explain(&e, &o, 1),
			    "nginx (pid 7, uid 0) listens on 0.0.0.0:43110, port picked by the "
			    "kernel; net.ipv4.ip_local_reserved_ports=43110 keeps it free; stop "
			    "it, or take another port or address");
}

static void units_are_named_and_how_to_stop_them(void **state)
{
	static const struct {
		char cgroup[CGROUP_SIZE];
		const char *says;
	} rows[] = {
		{ "/system.slice/nginx.service",
		  "nginx (pid 7, uid 0, in nginx.service) listens on 0.0.0.0:80 without "
		  "SO_REUSEPORT; stop it (systemctl stop nginx.service), or" },
		{ "/user.slice/user-1000.slice/user@1000.service/app.slice/app.service",
		  "nginx (pid 7, uid 0, in app.service of user 1000) listens on 0.0.0.0:80 without "
		  "SO_REUSEPORT; stop it (systemctl --user stop app.service, as that user), or" },
		{ "/system.slice/"
		  "docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope",
		  "nginx (pid 7, uid 0, in container 0123456789ab (docker)) listens on 0.0.0.0:80 "
		  "without SO_REUSEPORT; stop it (docker stop 0123456789ab), or" },
		{ "/lxc.payload.web/system.slice/nginx.service",
		  "nginx (pid 7, uid 0, in nginx.service of container web (lxc)) listens on "
		  "0.0.0.0:80 without SO_REUSEPORT; stop it, or" },
		{ "/user.slice/user-1000.slice/session-3.scope",
		  "nginx (pid 7, uid 0, in session 3 of user 1000) listens on 0.0.0.0:80 without "
		  "SO_REUSEPORT; stop it, or" },
		{ "/",
		  "nginx (pid 7, uid 0) listens on 0.0.0.0:80 without SO_REUSEPORT; stop it, or" },
	};
	static const char manager[CGROUP_SIZE] =
		"/user.slice/user-1000.slice/user@1000.service/init.scope";
	struct bind_event e = failed("tcp 0.0.0.0:80");
	struct bind_occupant o = occupant(BIND_LISTENING, "tcp 0.0.0.0:80");

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		o.cgroup = rows[i].cgroup;
		if (strncmp(explain(&e, &o, 1), rows[i].says, strlen(rows[i].says)))
			fail_msg("%s", text);
	}
	o.cgroup = rows[2].cgroup; /* of the caller's own container: it would be stopped with it */
	o.cgroup_id = e.cgroup_id = 4711;
	assert_string_equal(explain(&e, &o, 1),
			    "nginx (pid 7, uid 0, in container 0123456789ab (docker)) listens on "
			    "0.0.0.0:80 without SO_REUSEPORT; stop it, or take another port or "
			    "address");
	e.cgroup_id = 4712;
	assert_non_null(strstr(explain(&e, &o, 1), "; stop it (docker stop 0123456789ab), or"));
	strcpy(o.process, "systemd"); /* a user's own */
	o.cgroup = manager;
	assert_non_null(strstr(explain(&e, &o, 1), "for a .socket unit"));
	o.state = BIND_BOUND;
	assert_null(strstr(explain(&e, &o, 1), "for a .socket unit"));
}

static void the_kernels_own_sockets_are_told_with_what_takes_them(void **state)
{
	const struct bind_event e = failed("udp 0.0.0.0:4789"), nfs = failed("tcp 0.0.0.0:873");
	struct bind_occupant o = occupant(BIND_UNCONNECTED, "udp 0.0.0.0:4789");

	(void)state;
	o.pid = 0;
	o.held = false;
	o.by_kernel = true;
	o.origin = ORIGIN_ASKED;
	strcpy(o.receiver, "vxlan_rcv [vxlan]");
	assert_string_equal(explain(&e, &o, 1),
			    "the kernel itself (vxlan_rcv [vxlan]) is bound to 0.0.0.0:4789 "
			    "without SO_REUSEPORT; take another port or address");
	o = outgoing(BIND_CONNECTED, ORIGIN_ASKED);
	o.place.port = 873;
	o.peer_port = 2049;
	o.pid = 0;
	o.held = false;
	o.by_kernel = true;
	assert_string_equal(explain(&nfs, &o, 1),
			    "the kernel itself has a connection on 10.0.0.9:873, outgoing to "
			    "10.0.0.1:2049, port asked for by bind() before connect(), without "
			    "SO_REUSEPORT; take another port or address");
}

static void the_kernels_marks_tell_who_picked_a_port(void **state)
{
	static const struct {
		const char *words;
		enum bind_state state;
		bool asked, connect;
		int bucket; /* 1: known, and its marks below 0; 2: a bind() came to it */
		enum bind_origin origin;
	} rows[] = {
		{ "tcp 0.0.0.0:80", BIND_LISTENING, true, false, 2, ORIGIN_ASKED },
		{ "tcp 0.0.0.0:80", BIND_LISTENING, false, false, 2, ORIGIN_PICKED },
		{ "tcp 0.0.0.0:80", BIND_CONNECTED, true, false, 2, ORIGIN_ASKED },
		{ "tcp 0.0.0.0:80", BIND_CONNECTED, false, false, 2,
		  ORIGIN_UNKNOWN }, /* a listener's, or bind() to port 0 */
		{ "tcp 0.0.0.0:80", BIND_CONNECTED, false, true, 2, ORIGIN_PICKED },
		{ "tcp 0.0.0.0:80", BIND_CONNECTED, false, false, 1, ORIGIN_PICKED },
		{ "tcp 0.0.0.0:80", BIND_TIME_WAIT, false, false, 1, ORIGIN_PICKED },
		{ "tcp 0.0.0.0:80", BIND_TIME_WAIT, false, false, 0, ORIGIN_UNKNOWN },
		{ "tcp 0.0.0.0:80", BIND_CLOSING, false, false, 2, ORIGIN_UNKNOWN },
		{ "udp 0.0.0.0:80", BIND_CONNECTED, false, false, 0, ORIGIN_PICKED },
		{ "udp 0.0.0.0:80", BIND_UNCONNECTED, true, false, 0, ORIGIN_ASKED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bind_occupant o = occupant(rows[i].state, rows[i].words);

		if (rows[i].bucket)
			o.bucket =
				(struct bind_bucket){ .known = true,
						      .reuse = rows[i].bucket == 1 ? -1 : 0,
						      .reuseport = rows[i].bucket == 1 ? -1 : 0 };
		if (bind_origin_of(&o, &(struct bind_marks){ .port_asked = rows[i].asked,
							     .connect_picked = rows[i].connect }) !=
		    rows[i].origin)
			fail_msg("row %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_own_socket_is_not_to_be_stopped),
		cmocka_unit_test(a_socket_of_another_user_may_be_fchowned),
		cmocka_unit_test(its_own_connections_are_closed_first),
		cmocka_unit_test(its_own_socket_beside_it_is_named_so),
		cmocka_unit_test(a_socket_that_it_was_handed_is_to_be_used),
		cmocka_unit_test(family_is_named),
		cmocka_unit_test(the_holder_that_is_family_is_the_one_that_is_named),
		cmocka_unit_test(another_of_that_pid_is_another),
		cmocka_unit_test(a_clients_port_is_told_as_one),
		cmocka_unit_test(connected_to_itself),
		cmocka_unit_test(what_a_client_left_is_no_servers),
		cmocka_unit_test(a_picked_port_may_listen),
		cmocka_unit_test(units_are_named_and_how_to_stop_them),
		cmocka_unit_test(the_kernels_own_sockets_are_told_with_what_takes_them),
		cmocka_unit_test(the_kernels_marks_tell_who_picked_a_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
