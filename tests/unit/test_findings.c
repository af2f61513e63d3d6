/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What findings_fill() says, and above all when it says nothing: user/model/findings.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>

#include <cmocka.h>

#include "../../user/model/findings.h"

#define PORTS_MAX 4
#define ROWS_MAX 20

/* A machine with a few ports; rows belong to the fixture, findings to the snapshot. */
struct fixture {
	struct endpoint endpoints[PORTS_MAX];
	struct socket_row sockets[PORTS_MAX][ROWS_MAX];
	struct worker_row workers[PORTS_MAX][ROWS_MAX];
	struct holder_row holders[PORTS_MAX][ROWS_MAX];
	struct snapshot snapshot;
};

static struct endpoint *add_port(struct fixture *f, enum protocol protocol, const char *address, uint16_t port)
{
	const size_t i = f->snapshot.endpoint_count++;
	struct endpoint *e = &f->endpoints[i];

	f->snapshot.endpoints = f->endpoints;
	*e = (struct endpoint){ .protocol = protocol, .port = port, .netns = 1, .sockets = f->sockets[i], .workers = f->workers[i],
				.holders = f->holders[i] };
	e->family = strchr(address, ':') ? AF_INET6 : AF_INET;
	assert_int_equal(inet_pton(e->family, address, e->address), 1);
	return e;
}

/* A healthy socket: a thread waits on it, its queue is empty. group 0: without SO_REUSEPORT. */
static struct socket_row *add_socket(struct endpoint *e, uint64_t cookie, uint64_t group)
{
	struct socket_row *s = &e->sockets[e->socket_count++];

	*s = (struct socket_row){ .cookie = cookie, .inode = cookie + 1000, .reuseport = group, .group = group, .queue_known = true,
				  .queue_limit = 128, .waiting_known = true, .waiting = 1 };
	return s;
}

static struct worker_row *add_worker(struct endpoint *e, uint64_t cookie, int pid, int tid)
{
	struct worker_row *w = &e->workers[e->worker_count++];

	*w = (struct worker_row){ .number = -1, .pid = pid, .tid = tid, .cookie = cookie, .can_accept = true, .waits = true };
	return w;
}

static void add_holder(struct endpoint *e, uint64_t cookie, int pid, const char *process)
{
	struct holder_row *h = &e->holders[e->holder_count++];

	*h = (struct holder_row){ .cookie = cookie, .pid = pid, .pid_inside = pid, .fd = 3, .fds = 1 };
	strcpy(h->process, process);
}

static void fill(struct fixture *f)
{
	assert_int_equal(findings_fill(&f->snapshot), 0);
}

static void done(struct fixture *f)
{
	for (size_t i = 0; i < f->snapshot.endpoint_count; i++) {
		free(f->endpoints[i].findings);
		f->endpoints[i].findings = NULL;
		f->endpoints[i].finding_count = 0;
	}
}

static void assert_nothing(struct fixture *f)
{
	fill(f);
	for (size_t i = 0; i < f->snapshot.endpoint_count; i++)
		if (f->endpoints[i].finding_count)
			fail_msg("%s: %s", f->endpoints[i].findings[0].code, f->endpoints[i].findings[0].text);
	done(f);
}

/* The only finding of the endpoint. */
static void assert_finding(const struct endpoint *e, const char *code, const char *text)
{
	assert_int_equal(e->finding_count, 1);
	assert_string_equal(e->findings[0].code, code);
	assert_string_equal(e->findings[0].text, text);
}

static double evidence(const struct finding *f, const char *name)
{
	for (size_t i = 0; i < f->evidence_count; i++)
		if (!strcmp(f->evidence[i].name, name))
			return f->evidence[i].number;
	fail_msg("no evidence \"%s\"", name);
	return 0;
}

static void nothing_wrong_with_nothing(void **state)
{
	struct fixture f = {};

	(void)state;
	assert_nothing(&f);
	add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);
	assert_nothing(&f);
}

/* One group a family: 0.0.0.0:80 and [::]:80 with IPV6_V6ONLY; each socket with its worker. */
static void a_dual_stack_reuseport_server_is_healthy(void **state)
{
	struct fixture f = {};

	(void)state;
	for (int family = 0; family < 2; family++) {
		struct endpoint *e = add_port(&f, PROTOCOL_TCP, family ? "::" : "0.0.0.0", 80);

		for (int i = 0; i < 8; i++) {
			uint64_t cookie = 10 + family * 10 + i;

			add_socket(e, cookie, 10 + family * 10)->v6only = family;
			add_worker(e, cookie, 700 + i, 700 + i);
			add_holder(e, cookie, 700 + i, "nginx");
		}
	}
	assert_nothing(&f);
}

static void addresses_that_do_not_overlap_are_healthy(void **state)
{
	struct fixture f = {};
	struct endpoint *other_netns;

	(void)state;
	add_socket(add_port(&f, PROTOCOL_UDP, "127.0.0.1", 53), 1, 1);
	add_socket(add_port(&f, PROTOCOL_UDP, "127.0.0.2", 53), 2, 2);
	add_socket(add_port(&f, PROTOCOL_UDP, "::1", 53), 3, 3);
	other_netns = add_port(&f, PROTOCOL_UDP, "0.0.0.0", 53);
	other_netns->netns = 2;
	add_socket(other_netns, 4, 4);
	assert_nothing(&f);
}

static void one_group_for_each_device_is_healthy(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_UDP, "0.0.0.0", 67);

	(void)state;
	strcpy(add_socket(e, 1, 1)->device, "eth0");
	strcpy(add_socket(e, 2, 2)->device, "eth1");
	strcpy(add_socket(e, 3, 0)->device, "eth2");
	strcpy(add_socket(e, 4, 0)->device, "eth3");
	assert_nothing(&f);
}

/* A busy worker does not wait: who took something, or was seen to wait at another time, is there. */
static void busy_workers_are_healthy(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);
	struct socket_row *s = add_socket(e, 1, 1);

	(void)state;
	s->waiting = 0;
	s->queue_length = 2;
	s->accepted = 5;
	s = add_socket(e, 2, 1);
	s->waiting = 0;
	s->queue_length = 2;
	add_worker(e, 2, 8, 8)->waits = false;
	s = add_socket(e, 3, 1); /* just made */
	s->waiting = 0;
	s->appeared = true;
	s = add_socket(e, 4, 1); /* nobody looked */
	s->waiting_known = false;
	s->waiting = 0;
	s = add_socket(e, 5, 1); /* closed */
	s->waiting = 0;
	s->ended = true;
	add_socket(e, 6, 1);
	assert_nothing(&f);
}

/* Nobody waits on any of them: a program that polls now and then, or sleeps. Nothing is queued, so nothing is stuck. */
static void a_group_that_rests_is_healthy(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);

	(void)state;
	add_socket(e, 1, 1)->waiting = 0;
	add_socket(e, 2, 1)->waiting = 0;
	assert_nothing(&f);
}

static void multicast_is_shared_on_purpose(void **state)
{
	struct fixture f = {};
	const char *const addresses[] = { "224.0.0.251", "ff02::fb", "0.0.0.0" };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct endpoint *e = add_port(&f, PROTOCOL_UDP, addresses[i], i == 2 ? 5353 : 9999);

		add_socket(e, 10 * i + 1, 0);
		add_socket(e, 10 * i + 2, 0)->uid = 1000;
		add_socket(e, 10 * i + 3, 10 * i + 3);
		add_socket(e, 10 * i + 4, 10 * i + 4);
	}
	assert_nothing(&f);
}

static void queue_near_limit_of_tcp(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);
	struct socket_row *s = add_socket(e, 17, 0);

	(void)state;
	s->queue_length = 95;
	assert_nothing(&f);
	s->queue_length = 96;
	fill(&f);
	assert_finding(e, "queue-near-limit", "the accept queue of socket 17 (inode 1017) holds 96, its limit is 128: when full, "
		       "connections wait or fail; accept faster, or raise listen()'s backlog and net.core.somaxconn");
	assert_int_equal(e->findings[0].cookie, 17);
	assert_int_equal(evidence(&e->findings[0], "length"), 96);
	assert_int_equal(evidence(&e->findings[0], "limit"), 128);
	s->queue_limit = 3; /* full, but a queue of three is none */
	s->queue_length = 3;
	assert_nothing(&f);
}

static void queue_near_limit_of_udp(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_UDP, "0.0.0.0", 53);
	struct socket_row *s = add_socket(e, 17, 0);

	(void)state;
	s->queue_limit = 0xffffffff; /* no overflow */
	s->queue_length = 0x80000000;
	assert_nothing(&f);
	s->queue_limit = 212992;
	s->queue_length = 159744;
	fill(&f);
	assert_finding(e, "queue-near-limit", "the receive buffer of socket 17 (inode 1017) holds 159744 of 212992 bytes: when full, "
		       "datagrams are dropped; read faster, or raise SO_RCVBUF and net.core.rmem_max");
	done(&f);
}

static void socket_unwaited_while_others_wait(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);

	(void)state;
	add_socket(e, 17, 17);
	add_socket(e, 18, 17)->waiting = 0;
	for (int i = 0; i < 5; i++)
		add_holder(e, 18, 700 + i, "nginx");
	fill(&f);
	assert_finding(e, "socket-unwaited", "no thread waits on socket 18 (inode 1018), one of 2 in its SO_REUSEPORT group: its share "
		       "goes nowhere (0 queued); held by nginx 700, nginx 701, nginx 702 and 2 more: close it there, or accept from it");
	assert_int_equal(e->findings[0].cookie, 18);
	done(&f);
}

static void socket_unwaited_with_a_queue(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);
	struct socket_row *s = add_socket(e, 17, 17);

	(void)state;
	s->waiting = 0;
	s->queue_length = 3;
	s->appeared = true;
	fill(&f);
	assert_int_equal(e->finding_count, 1);
	assert_string_equal(e->findings[0].code, "socket-unwaited");
	assert_non_null(strstr(e->findings[0].text, "(3 queued); held by no process seen"));
	done(&f);
}

static void many_of_a_kind_are_told_together(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);

	(void)state;
	add_socket(e, 1, 1);
	for (int i = 0; i < 12; i++)
		add_socket(e, 2 + i, 1)->waiting = 0;
	fill(&f);
	assert_int_equal(e->finding_count, 9);
	assert_string_equal(e->findings[8].code, "socket-unwaited");
	assert_string_equal(e->findings[8].text, "the same of 4 more sockets of this port");
	assert_int_equal(evidence(&e->findings[8], "sockets"), 4);
	fill(&f); /* again: replaces, does not add */
	assert_int_equal(e->finding_count, 9);
	done(&f);
}

/* Fills and returns the text of the group-split of two sockets in two groups; the finding is at the first endpoint. */
static const char *split_text(struct fixture *f)
{
	fill(f);
	assert_int_equal(f->endpoints[0].finding_count, 1);
	assert_string_equal(f->endpoints[0].findings[0].code, "group-split");
	assert_int_equal(evidence(&f->endpoints[0].findings[0], "groups"), 2);
	return f->endpoints[0].findings[0].text;
}

static void group_split_by_address(void **state)
{
	struct fixture f = {};

	(void)state;
	add_socket(add_port(&f, PROTOCOL_TCP, "127.0.0.1", 80), 2, 2);
	add_socket(add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80), 1, 1);
	add_socket(add_port(&f, PROTOCOL_UDP, "0.0.0.0", 80), 3, 3);
	assert_string_equal(split_text(&f), "port 80 has 2 SO_REUSEPORT groups that overlap; they differ in address (0.0.0.0 and "
			    "127.0.0.1): work is shared within a group only; bind all sockets alike");
	assert_int_equal(f.endpoints[1].finding_count, 0); /* told once */
	done(&f);
}

static void group_split_by_family(void **state)
{
	struct fixture f = {};

	(void)state;
	add_socket(add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80), 1, 1);
	add_socket(add_port(&f, PROTOCOL_TCP, "::", 80), 2, 2);
	assert_non_null(strstr(split_text(&f), "differ in family ("));
	done(&f);
	f.sockets[1][0].v6only = true;
	assert_nothing(&f);
}

static void group_split_by_device_and_owner(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_UDP, "0.0.0.0", 53);

	(void)state;
	add_socket(e, 1, 1);
	strcpy(add_socket(e, 2, 2)->device, "eth0");
	assert_non_null(strstr(split_text(&f), "differ in device (none and eth0)"));
	done(&f);
	e->protocol = PROTOCOL_TCP;
	e->sockets[1].device[0] = '\0';
	e->sockets[1].uid = 1000;
	assert_non_null(strstr(split_text(&f), "differ in owner (uid 0 and 1000)"));
	done(&f);
}

static void shared_socket_is_told(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);

	(void)state;
	add_socket(e, 17, 0);
	for (int i = 0; i < 4; i++)
		add_worker(e, 17, 700 + i / 2, 700 + i);
	add_worker(e, 17, 699, 699)->can_accept = false; /* the master */
	add_worker(e, 17, 698, 698)->ended = true;
	fill(&f);
	assert_finding(e, "shared-socket", "4 workers (of 2 processes) on one socket, 17: which of them wakes decides who gets the work; "
		       "with SO_REUSEPORT each could have its own");
	assert_int_equal(e->findings[0].cookie, 17);
	assert_int_equal(evidence(&e->findings[0], "workers"), 4);
	done(&f);
	e->worker_count = 1;
	assert_nothing(&f);
}

static bool has(const struct endpoint *e, const char *code)
{
	for (size_t i = 0; i < e->finding_count; i++)
		if (!strcmp(e->findings[i].code, code))
			return true;
	return false;
}

static void two_users_on_one_udp_port(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_UDP, "0.0.0.0", 514);

	(void)state;
	add_socket(e, 1, 0);
	add_socket(e, 2, 0)->uid = 1000;
	add_holder(e, 1, 70, "rsyslogd");
	add_holder(e, 2, 80, "thief");
	fill(&f);
	assert_int_equal(e->finding_count, 2);
	assert_string_equal(e->findings[0].code, "udp-two-users");
	assert_non_null(strstr(e->findings[0].text, "uid 0 (rsyslogd 70) and uid 1000 (thief 80)"));
	assert_int_equal(evidence(&e->findings[0], "other_uid"), 1000);
	assert_string_equal(e->findings[1].code, "udp-last-binder");
	strcpy(e->sockets[0].device, "eth0");
	strcpy(e->sockets[1].device, "eth1");
	assert_nothing(&f);
}

static void last_binder_takes_all(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_UDP, "127.0.0.1", 9000);

	(void)state;
	add_socket(e, 1, 0);
	assert_nothing(&f);
	add_socket(e, 2, 0);
	add_socket(e, 3, 3);
	fill(&f);
	assert_finding(e, "udp-last-binder", "2 UDP sockets share this address by SO_REUSEADDR: the last to bind gets every unicast "
		       "datagram, the others none; use SO_REUSEPORT to share");
	done(&f);
	e->sockets[1].ended = true;
	assert_nothing(&f);
	e->sockets[1].ended = false;
	e->protocol = PROTOCOL_TCP;
	fill(&f);
	assert_false(has(e, "udp-last-binder"));
	done(&f);
}

/* Ten thousand sockets on one port, and one port on ten thousand addresses, cost no comparison of each with each. */
static void many_sockets_take_no_time(void **state)
{
	enum { MANY = 10000 };
	struct socket_row *sockets = calloc(2 * MANY, sizeof(*sockets));
	struct snapshot s = { .endpoint_count = MANY };

	(void)state;
	s.endpoints = calloc(MANY, sizeof(*s.endpoints));
	assert_non_null(sockets);
	assert_non_null(s.endpoints);
	for (int i = 0; i < MANY; i++) {
		struct socket_row row = { .cookie = i + 1, .reuseport = true, .group = i + 1, .waiting_known = true, .waiting = 1 };

		sockets[i] = row;
		row.cookie += MANY;
		row.group = MANY + 1;
		sockets[MANY + i] = row;
		s.endpoints[i] = (struct endpoint){ .family = AF_INET, .address = { 10, 0, i >> 8, i & 255 }, .port = 80,
						    .sockets = &sockets[i], .socket_count = 1 };
	}
	s.endpoints[0].port = 81;
	s.endpoints[0].sockets = &sockets[MANY];
	s.endpoints[0].socket_count = MANY;
	assert_int_equal(findings_fill(&s), 0);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(s.endpoints[i].finding_count, 0);
	free(s.endpoints);
	free(sockets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_wrong_with_nothing),
		cmocka_unit_test(a_dual_stack_reuseport_server_is_healthy),
		cmocka_unit_test(addresses_that_do_not_overlap_are_healthy),
		cmocka_unit_test(one_group_for_each_device_is_healthy),
		cmocka_unit_test(busy_workers_are_healthy),
		cmocka_unit_test(a_group_that_rests_is_healthy),
		cmocka_unit_test(multicast_is_shared_on_purpose),
		cmocka_unit_test(queue_near_limit_of_tcp),
		cmocka_unit_test(queue_near_limit_of_udp),
		cmocka_unit_test(socket_unwaited_while_others_wait),
		cmocka_unit_test(socket_unwaited_with_a_queue),
		cmocka_unit_test(many_of_a_kind_are_told_together),
		cmocka_unit_test(group_split_by_address),
		cmocka_unit_test(group_split_by_family),
		cmocka_unit_test(group_split_by_device_and_owner),
		cmocka_unit_test(shared_socket_is_told),
		cmocka_unit_test(two_users_on_one_udp_port),
		cmocka_unit_test(last_binder_takes_all),
		cmocka_unit_test(many_sockets_take_no_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
