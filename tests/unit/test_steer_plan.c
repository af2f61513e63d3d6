/* SPDX-License-Identifier: GPL-2.0-or-later */
/* May a port be steered, and which way: user/model/steer_plan.c. */
#include "findings_fixture.h"

#include "../../user/model/steer_plan.h"

static struct fixture f;
static struct steer_plan plan;
static struct steer_facts facts;
static struct steer_wish wish;

/* A group of so many sockets. */
static struct endpoint *group(const char *address, size_t sockets)
{
	struct endpoint *e;

	memset(&f, 0, sizeof(f));
	facts = (struct steer_facts){ .lookup_known = true };
	wish = (struct steer_wish){};
	e = add_port(&f, PROTOCOL_TCP, address, 80);
	for (size_t i = 0; i < sockets; i++)
		add_socket(e, 10 + i, 10);
	return e;
}

static void make(const struct endpoint *e)
{
	steer_plan_make(&plan, &f.snapshot, e, &facts, &wish);
}

static void assert_refused(const struct endpoint *e, const char *code)
{
	make(e);
	assert_string_equal(plan.code ? plan.code : "not refused", code);
	assert_int_equal(plan.way, STEER_BY_NOTHING);
	assert_true(*plan.why);
}

static void assert_planned(const struct endpoint *e, enum steer_way way)
{
	make(e);
	assert_string_equal(plan.code ? plan.code : "planned", "planned");
	assert_int_equal(plan.way, way);
}

static void groups(void **state)
{
	struct endpoint *e = group("0.0.0.0", 4);

	(void)state;
	e->sockets[0].cookie = 99; /* members are in the order of their cookies */
	assert_planned(e, STEER_BY_LOOKUP);
	assert_int_equal(plan.members, 4);
	assert_int_equal(plan.cookies[0], 11);
	assert_int_equal(plan.cookies[3], 99);
	assert_int_equal(plan.weights[3], 1);
	assert_int_equal(plan.policy, STEER_LEAST);
	e->sockets[1].ended = true;
	e->sockets[2].aside = ASIDE_BOUND; /* has the port, and does not listen */
	make(e);
	assert_int_equal(plan.members, 2);
}

static void what_speaks_against_a_group(void **state)
{
	struct endpoint *e = group("0.0.0.0", 2);

	(void)state;
	e->sockets[1].group = 11;
	assert_refused(e, "groups");
	e = group("0.0.0.0", 2);
	e->sockets[1].reuseport = false;
	assert_refused(e, "groups");
	e = group("0.0.0.0", 2);
	strcpy(e->sockets[1].device, "eth0");
	assert_refused(e, "device");
	e = group("0.0.0.0", 2);
	e->sockets[1].incoming_cpu_set = true;
	assert_refused(e, "incoming-cpu");
	e = group("0.0.0.0", 2);
	facts.lookup_known = false;
	assert_refused(e, "kernel");
	facts = (struct steer_facts){ .lookup_known = true, .lookup_others = 1 };
	assert_refused(e, "lookup");
	facts = (struct steer_facts){ .lookup_known = true, .mptcp = 10 };
	assert_refused(e, "mptcp");
	facts = (struct steer_facts){ .lookup_known = true };
	wish.via = STEER_BY_EPOLL;
	assert_refused(e, "way");
	wish.via = STEER_BY_LOOKUP;
	assert_planned(e, STEER_BY_LOOKUP);
	strcpy(facts.vrf, "red");
	assert_refused(e, "vrf");
	assert_non_null(strstr(plan.why, "VRF device red"));
	wish.via = STEER_BY_NOTHING;
	assert_refused(e, "vrf");
	facts.reuseport_known = true;
	assert_planned(e, STEER_BY_REUSEPORT);
	wish.via = STEER_BY_LOOKUP;
	assert_refused(e, "vrf");
	assert_non_null(strstr(plan.why, "--via reuseport"));
	facts.reuseport_known = false;
	assert_non_null(strstr(plan.why, "tcp_l3mdev_accept"));
	assert_refused(group("0.0.0.0", 0), "none");
}

static void datagrams(void **state)
{
	static const uint16_t quic[] = { 443, 853, 8443 };
	struct endpoint *e = group("0.0.0.0", 3);

	(void)state;
	e->protocol = PROTOCOL_UDP;
	assert_refused(e, "udp");
	wish.stateless = true;
	assert_planned(e, STEER_BY_LOOKUP);
	assert_int_equal(plan.policy, STEER_LEAST_QUEUE);
	assert_int_equal(plan.members, 3);
	e->sockets[1].connected = true; /* no member */
	assert_planned(e, STEER_BY_LOOKUP);
	assert_int_equal(plan.members, 2);
	e->sockets[1].steered = true;
	assert_planned(e, STEER_BY_LOOKUP);
	e->sockets[0].steered = true;
	assert_refused(e, "program");
	e->sockets[0].steered = false;
	strcpy(facts.vrf, "red");
	assert_refused(e, "vrf");
	assert_non_null(strstr(plan.why, "udp_l3mdev_accept"));
	*facts.vrf = 0;
	wish.policy_given = true;
	wish.policy = STEER_EVEN;
	assert_refused(e, "policy");
	wish.policy = STEER_LEAST_QUEUE;
	assert_planned(e, STEER_BY_LOOKUP);
	for (size_t i = 0; i < sizeof(quic) / sizeof(*quic); i++) {
		e->port = quic[i];
		assert_refused(e, "quic");
	}
	e = group("0.0.0.0", 1);
	e->protocol = PROTOCOL_UDP;
	e->design.code = DESIGN_SHARED_EXCLUSIVE; /* epolls of datagrams are not moved */
	wish.stateless = true;
	assert_refused(e, "single");
}

/* A connected socket gets its peer's datagrams before any program is asked. */
static void connected_ones_are_not_robbed(void **state)
{
	struct endpoint *e = group("0.0.0.0", 2),
			*other = add_port(&f, PROTOCOL_UDP, "127.0.0.1", 80);

	(void)state;
	e->protocol = PROTOCOL_UDP;
	wish.stateless = true;
	add_socket(other, 50, 0)->connected = true;
	assert_planned(e, STEER_BY_LOOKUP);
	add_socket(other, 51, 0);
	assert_refused(e, "overlap");
}

/* A program of the group itself, where an SK_LOOKUP program would rob others. */
static void by_the_groups_own_program(void **state)
{
	struct endpoint *e = group("0.0.0.0", 2),
			*other = add_port(&f, PROTOCOL_TCP, "127.0.0.1", 80);

	(void)state;
	add_socket(other, 50, 0);
	assert_refused(e, "overlap"); /* the kernel can't */
	assert_non_null(strstr(plan.why, "5.14"));
	facts.reuseport_known = true;
	assert_planned(e, STEER_BY_REUSEPORT);
	assert_int_equal(plan.members, 2);
	assert_int_equal(plan.cookies[1], 11);
	assert_int_equal(plan.weights[1], 1);
	wish.via = STEER_BY_LOOKUP;
	assert_refused(e, "overlap");
	assert_non_null(strstr(plan.why, "--via reuseport"));
	wish.via = STEER_BY_NOTHING;
	other->netns = 2; /* it is not in the way any more */
	assert_planned(e, STEER_BY_LOOKUP);
	strcpy(e->sockets[0].device, "eth0");
	strcpy(e->sockets[1].device, "eth0");
	assert_planned(e, STEER_BY_REUSEPORT);
	wish.via = STEER_BY_LOOKUP;
	assert_refused(e, "device");
	wish.via = STEER_BY_REUSEPORT;
	e->sockets[1].group = 11;
	assert_refused(e, "groups");
}

static void what_speaks_against_the_groups_own_program(void **state)
{
	struct endpoint *e = group("0.0.0.0", 2);

	(void)state;
	wish.via = STEER_BY_REUSEPORT;
	assert_refused(e, "kernel");
	facts.reuseport_known = true;
	assert_planned(e, STEER_BY_REUSEPORT);
	facts.lookup_others = 1; /* the programs of others are no concern of this way */
	assert_planned(e, STEER_BY_REUSEPORT);
	facts.program = true;
	assert_refused(e, "program");
	wish.via = STEER_BY_LOOKUP;
	facts.lookup_others = 0;
	assert_planned(e, STEER_BY_LOOKUP); /* beside the group's program */
	facts = (struct steer_facts){ .lookup_known = true, .reuseport_known = true, .steerer = 7 };
	for (int way = STEER_BY_LOOKUP; way <= STEER_BY_REUSEPORT; way += 2) {
		wish.via = (enum steer_way)way;
		assert_refused(e, "steered");
		assert_non_null(strstr(plan.why, "sockfair 7"));
	}
	facts.steerer = 0;
	facts.left = 12; /* of one that was killed: no reason against it */
	assert_planned(e, STEER_BY_REUSEPORT);
	assert_int_equal(plan.left, 12);
	facts.mptcp = 10;
	assert_refused(e, "mptcp");
	facts.mptcp = 0;
	e->sockets[1].incoming_cpu_set = true;
	assert_refused(e, "incoming-cpu");
	e = group("0.0.0.0", 1);
	wish.via = STEER_BY_REUSEPORT;
	assert_refused(e, "single");
}

static void how_many(void **state)
{
	static struct socket_row many[STEER_MEMBERS_MAX + 1];
	struct endpoint *e = group("0.0.0.0", 0);

	(void)state;
	for (size_t i = 0; i <= STEER_MEMBERS_MAX; i++)
		many[i] = (struct socket_row){ .cookie = i + 1, .reuseport = true, .group = 1 };
	e->sockets = many;
	e->socket_count = STEER_MEMBERS_MAX;
	assert_planned(e, STEER_BY_LOOKUP);
	assert_int_equal(plan.cookies[STEER_MEMBERS_MAX - 1], STEER_MEMBERS_MAX);
	e->socket_count++;
	assert_refused(e, "many");
}

static void weights(void **state)
{
	struct endpoint *e = group("0.0.0.0", 3);

	(void)state;
	wish = (struct steer_wish){ .policy = STEER_WEIGHTS,
				    .weights = { 4, 1, 2 },
				    .weight_count = 3 };
	assert_planned(e, STEER_BY_LOOKUP);
	assert_int_equal(plan.weights[0], 4);
	assert_int_equal(plan.weights[2], 2);
	wish.weight_count = 2;
	assert_refused(e, "weights");
	wish.policy = STEER_EVEN; /* the list has no meaning then */
	assert_planned(e, STEER_BY_LOOKUP);
	assert_int_equal(plan.weights[0], 1);
}

/* Is a listener at that address robbed by a program that steers the group? */
static bool robs(const char *own, bool own_v6only, const char *theirs, bool their_v6only)
{
	struct endpoint *e = group(own, 2), *other = add_port(&f, PROTOCOL_TCP, theirs, 80);

	e->sockets[0].v6only = e->sockets[1].v6only = own_v6only;
	add_socket(other, 50, 0)->v6only = their_v6only;
	return steer_overlap(&f.snapshot, e);
}

static void other_listeners(void **state)
{
	struct endpoint *e, *other;

	(void)state;
	assert_true(robs("0.0.0.0", false, "127.0.0.1", false));
	assert_false(robs("127.0.0.1", false, "0.0.0.0", false));
	assert_false(robs("127.0.0.1", false, "127.0.0.2", false));
	assert_false(robs("0.0.0.0", false, "::", false)); /* IPv4 wins over dual-stack */
	assert_false(robs("0.0.0.0", false, "::1", false));
	assert_true(robs("0.0.0.0", false, "::ffff:127.0.0.1", false));
	assert_true(robs("::", false, "0.0.0.0", false));
	assert_true(robs("::", false, "127.0.0.1", false));
	assert_false(robs("::", true, "127.0.0.1", false));
	assert_true(robs("::", true, "::1", false));
	assert_false(robs("::1", false, "::", false));
	assert_false(robs("::1", false, "::2", false));
	assert_false(robs("::", true, "::ffff:127.0.0.1", false));
	assert_true(robs("::ffff:127.0.0.1", false, "127.0.0.1", false));
	assert_refused(group("0.0.0.0", 1), "design"); /* the group's own port is not another */
	e = group("0.0.0.0", 2);
	other = add_port(&f, PROTOCOL_TCP, "127.0.0.1", 80);
	add_socket(other, 50, 0);
	assert_refused(e, "overlap");
	assert_non_null(strstr(plan.why, "127.0.0.1:80"));
	other->sockets[0].ended = true;
	assert_planned(e, STEER_BY_LOOKUP);
	other->sockets[0].ended = false;
	other->netns = 2;
	assert_planned(e, STEER_BY_LOOKUP);
	other->netns = e->netns;
	other->port = 81;
	assert_planned(e, STEER_BY_LOOKUP);
}

static void one_socket(void **state)
{
	static const struct {
		enum design_code design;
		const char *code;
	} rows[] = { { DESIGN_ALONE, "alone" },
		     { DESIGN_SHARED_ACCEPT, "accept" },
		     { DESIGN_SHARED_POLL, "poll" },
		     { DESIGN_SHARED_EPOLL_FD, "epoll-fd" },
		     { DESIGN_SHARED_URING, "io-uring" },
		     { DESIGN_HAND_OVER, "hand-over" },
		     { DESIGN_PER_CONNECTION, "per-connection" },
		     { DESIGN_TURNS, "turns" },
		     { DESIGN_LAST_BINDER, "design" } };
	struct endpoint *e = group("0.0.0.0", 1);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		e->design.code = rows[i].design;
		assert_refused(e, rows[i].code);
	}
	e->design.code = DESIGN_SHARED_EXCLUSIVE;
	assert_planned(e, STEER_BY_EPOLL);
	assert_int_equal(plan.policy, STEER_EVEN);
	wish.policy_given = true;
	assert_refused(e, "policy");
	wish.policy = STEER_EVEN;
	assert_planned(e, STEER_BY_EPOLL);
	wish.via = STEER_BY_LOOKUP;
	assert_refused(e, "single");
}

static void names(void **state)
{
	enum steer_policy policy;
	enum steer_way way;

	(void)state;
	for (int i = STEER_LEAST; i <= STEER_WEIGHTS; i++) {
		assert_true(steer_policy_parse(steer_policy_name((enum steer_policy)i), &policy));
		assert_int_equal(policy, i);
	}
	for (int i = STEER_BY_LOOKUP; i <= STEER_BY_REUSEPORT; i++) {
		assert_true(steer_way_parse(steer_way_name((enum steer_way)i), &way));
		assert_int_equal(way, i);
	}
	assert_false(steer_way_parse("none", &way));
	assert_false(steer_policy_parse("", &policy));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups),
		cmocka_unit_test(what_speaks_against_a_group),
		cmocka_unit_test(how_many),
		cmocka_unit_test(weights),
		cmocka_unit_test(one_socket),
		cmocka_unit_test(other_listeners),
		cmocka_unit_test(names),
		cmocka_unit_test(datagrams),
		cmocka_unit_test(connected_ones_are_not_robbed),
		cmocka_unit_test(by_the_groups_own_program),
		cmocka_unit_test(what_speaks_against_the_groups_own_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
