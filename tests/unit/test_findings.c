/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What findings_fill() says of how sockets were bound, when it says nothing, and what it costs:
 * user/model/findings.c. */
#include "findings_fixture.h"

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

/* A busy worker does not wait: who took something, or was seen to wait at another time, is there.
 */
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

/* Nobody waits on any of them: a program that polls now and then, or sleeps. Nothing is queued, so
 * nothing is stuck. */
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
	const char *const addresses[] = { "224.0.0.251", "ff02::fb", "::ffff:224.0.0.251",
					  "0.0.0.0" };

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct endpoint *e = add_port(&f, PROTOCOL_UDP, addresses[i], 9999);

		add_socket(e, 10 * i + 1, 0);
		add_socket(e, 10 * i + 2, 0)->uid = 1000;
		add_socket(e, 10 * i + 3, 10 * i + 3);
		add_socket(e, 10 * i + 4, 10 * i + 4);
		e->sockets[0].member = i == 3;
	}
	assert_nothing(&f);
	f.endpoints[3].sockets[0].member = false; /* by its port nothing is told */
	f.endpoints[3].port = 5353;
	fill(&f);
	assert_true(has(&f.endpoints[3], "udp-two-users"));
	done(&f);
}

static void many_of_a_kind_are_told_together(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);

	(void)state;
	add_socket(e, 1, 1);
	for (int i = 0; i < 12; i++)
		add_socket(e, 2 + i, 1)->queue_length = 100;
	fill(&f);
	assert_int_equal(e->finding_count, 9);
	assert_string_equal(e->findings[8].code, "queue-near-limit");
	assert_string_equal(e->findings[8].text, "the same of 4 more sockets of this port");
	assert_int_equal(evidence(&e->findings[8], "sockets"), 4);
	fill(&f); /* again: replaces, does not add */
	assert_int_equal(e->finding_count, 9);
	done(&f);
}

/* Fills and returns the text of the group-split of two sockets in two groups; the finding is at the
 * first endpoint. */
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
	assert_string_equal(
		split_text(&f),
		"port 80 has 2 SO_REUSEPORT groups that overlap; they differ in address (0.0.0.0 "
		"and "
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
	assert_int_equal(e->finding_count, 1); /* that the last to bind gets all is part of it */
	assert_string_equal(e->findings[0].code, "udp-two-users");
	assert_int_equal(e->findings[0].level, FINDING_PROBLEM);
	assert_non_null(strstr(e->findings[0].text, "uid 0 (rsyslogd 70) and uid 1000 (thief 80)"));
	assert_int_equal(evidence(&e->findings[0], "other_uid"), 1000);
	add_socket(e, 3, 0);
	fill(&f);
	assert_int_equal(e->finding_count, 2); /* three are more than that pair */
	assert_string_equal(e->findings[1].code, "udp-last-binder");
	e->socket_count--;
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
	assert_finding(e, "udp-last-binder",
		       "2 UDP sockets share this address by SO_REUSEADDR: the last to bind gets "
		       "every unicast "
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

/* Ten thousand sockets on one port, and one port on ten thousand addresses, cost no comparison of
 * each with each. */
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
		struct socket_row row = { .cookie = i + 1,
					  .reuseport = true,
					  .group = i + 1,
					  .waiting_known = true,
					  .waiting = 1 };

		sockets[i] = row;
		row.cookie += MANY;
		row.group = MANY + 1;
		sockets[MANY + i] = row;
		s.endpoints[i] = (struct endpoint){ .family = AF_INET,
						    .address = { 10, 0, i >> 8, i & 255 },
						    .port = 80,
						    .sockets = &sockets[i],
						    .socket_count = 1 };
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

/* CPU time of the findings of a machine in trouble: one port with `many` sockets that nobody takes
 * from, one with as many threads on one socket. */
static double seconds_of(size_t many)
{
	struct endpoint e[2] = {
		{ .port = 80, .socket_count = many, .holder_count = many },
		{ .port = 81, .socket_count = 1, .worker_count = many, .holder_count = many }
	};
	struct snapshot s = { .seconds = 1, .endpoints = e, .endpoint_count = 2 };
	struct socket_row shared = { .cookie = 1,
				     .reuseport = true,
				     .group = 1,
				     .queue_known = true,
				     .queue_length = 9,
				     .arrived = 9,
				     .stalled_ns = 1000000000 };
	clock_t start;
	double seconds;

	e[0].sockets = calloc(many, sizeof(*e[0].sockets));
	e[0].holders = calloc(many, sizeof(*e[0].holders));
	e[1].sockets = &shared;
	e[1].workers = calloc(many, sizeof(*e[1].workers));
	e[1].holders = calloc(many, sizeof(*e[1].holders));
	assert_true(e[0].sockets && e[0].holders && e[1].workers && e[1].holders);
	for (size_t i = 0; i < many; i++) {
		e[0].sockets[i] =
			(struct socket_row){ .cookie = i + 1,
					     .reuseport = true,
					     .group = 1 + i / 2,
					     .queue_known = true,
					     .queue_length = 129,
					     .queue_limit = 128,
					     .stalled_ns = i % 2 * 1000000000,
					     .drops = 1,
					     .full_ns = 1,
					     .dropped_closing = 1,
					     .reset_queued = 9,
					     .waiting_known = true,
					     .steered = true,
					     .wait_known = true,
					     .wait = { .count = 1000, .sum_ns = i * 1000000000 } };
		e[0].holders[i] = (struct holder_row){
			.cookie = i + 1,
			.pid = 7,
			.hindrance = { .looks = 1, .threads = 1, .running = 1 }
		};
		e[1].workers[i] = (struct worker_row){ .cookie = 1,
						       .pid = i + 1,
						       .tid = i + 1,
						       .can_accept = true,
						       .accepted = i,
						       .wait_kind = WAITS_EPOLL,
						       .epoll = many - i,
						       .usage_known = true,
						       .sleeps = many * many };
		e[1].holders[i] = (struct holder_row){
			.cookie = 1,
			.pid = i + 1,
			.parent = many + i,
			.hindrance = { .looks = 1, .threads = 1, .running = 1 }
		};
	}
	e[1].worker_fairness.verdict = VERDICT_UNEVEN;
	e[1].design.code = DESIGN_SHARED_EPOLL;
	start = clock();
	assert_int_equal(findings_fill(&s), 0);
	seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
	assert_true(has(&e[0], "stalled-socket") && has(&e[0], "socket-unwaited") &&
		    has(&e[0], "slow-worker"));
	assert_true(has(&e[1], "stalled-socket") && has(&e[1], "thundering-herd"));
	for (int i = 0; i < 2; i++) {
		free(e[i].holders);
		free(e[i].findings);
	}
	free(e[0].sockets);
	free(e[1].workers);
	return seconds;
}

/* Eight times the rows take about eight times as long; compared each with each they would take 64
 * times as long. */
static void trouble_takes_no_time(void **state)
{
	const double few = seconds_of(10000), many = seconds_of(80000);

	(void)state;
	if (many > 25 * few + 0.1)
		fail_msg("10,000 rows took %.3f s, 80,000 took %.3f s", few, many);
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
		cmocka_unit_test(many_of_a_kind_are_told_together),
		cmocka_unit_test(group_split_by_address),
		cmocka_unit_test(group_split_by_family),
		cmocka_unit_test(group_split_by_device_and_owner),
		cmocka_unit_test(two_users_on_one_udp_port),
		cmocka_unit_test(last_binder_takes_all),
		cmocka_unit_test(many_sockets_take_no_time),
		cmocka_unit_test(trouble_takes_no_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
