/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Findings that read the verdicts: user/model/findings_verdict.c. */
#include "findings_fixture.h"
#include "../../user/model/judge.h"

/* A healthy SO_REUSEPORT server; each socket with its thread, and what each got. */
static struct endpoint *add_server(struct fixture *f, enum protocol protocol,
				   const uint64_t *counts, int count)
{
	struct endpoint *e = add_port(f, protocol, "0.0.0.0", 80);

	for (int i = 0; i < count; i++) {
		struct socket_row *s = add_socket(e, 17 + i, 17);

		s->arrived = s->accepted = counts[i];
		add_worker(e, 17 + i, 700, 700 + i)->accepted = counts[i];
	}
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	return e;
}

static const uint64_t hash[] = { 4859, 5094, 5013, 4987, 5060, 4970, 5001, 5016 };

static void a_healthy_server_is_even_and_no_more(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_server(&f, PROTOCOL_TCP, hash, 8);

	(void)state;
	fill(&f);
	assert_finding(e, "even",
		       "8 workers share 40000 connections as evenly as chance allows: CV 0.013, a "
		       "fair hash gives 0.0132: nothing to fix");
	assert_int_equal(e->findings[0].level, FINDING_GOOD);
	assert_int_equal(e->findings[0].cookie, 0);
	assert_int_equal(evidence(&e->findings[0], "bins"), 8);
	assert_int_equal(evidence(&e->findings[0], "events"), 40000);
	assert_true(evidence(&e->findings[0], "cv") == e->worker_fairness.cv);
	assert_true(evidence(&e->findings[0], "cv_expected") == e->worker_fairness.cv_expected);
	assert_true(evidence(&e->findings[0], "p_value") == e->worker_fairness.p_value);
	done(&f);
}

static void even_of_sockets_where_no_worker_is_known(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_server(&f, PROTOCOL_UDP, hash, 8);

	(void)state;
	e->worker_count = 0;
	e->flows = 1024;
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	fill(&f);
	assert_int_equal(e->finding_count, 1);
	assert_non_null(strstr(e->findings[0].text,
			       "8 sockets share 40000 datagrams more evenly than a hash"));
	done(&f);
}

/* Round robin is more even than a hash; a CV of 0.12 is more than chance gives, yet below the
 * threshold. */
static void even_says_how_even(void **state)
{
	static const uint64_t robin[] = { 5000, 5000, 5001, 4999, 5000, 5000, 5000, 5000 };
	static const uint64_t enough[] = { 5600, 4400, 5600, 4400, 5600, 4400, 5600, 4400 };
	static const uint64_t by_chance[] = { 525, 475 }, beyond_chance[] = { 443, 373 };
	struct fixture f = {};
	struct endpoint *e = add_server(&f, PROTOCOL_TCP, robin, 8);

	(void)state;
	fill(&f);
	assert_finding(e, "even",
		       "8 workers share 40000 connections more evenly than a hash: CV 0.0001, a "
		       "fair hash gives 0.0132: nothing to fix");
	done(&f);
	f = (struct fixture){};
	e = add_server(&f, PROTOCOL_TCP, enough, 8);
	fill(&f);
	assert_finding(e, "even",
		       "8 workers share 40000 connections evenly enough: CV 0.12, a fair hash "
		       "gives 0.0132; the excess of 0.119 is within the"
		       " threshold of 0.2: nothing to fix");
	done(&f);
	f = (struct fixture){};
	e = add_server(&f, PROTOCOL_TCP, by_chance, 2);
	fill(&f);
	assert_finding(e, "even",
		       "2 workers share 1000 connections as evenly as a hash may: CV 0.05, a fair "
		       "hash gives 0.0316 on average: nothing to fix");
	done(&f);
	f = (struct fixture){};
	e = add_server(&f, PROTOCOL_TCP, beyond_chance,
		       2); /* CV 0.085 beside 0.035 is not "as chance allows" */
	fill(&f);
	assert_finding(e, "even",
		       "2 workers share 816 connections evenly enough: CV 0.0858, a fair hash "
		       "gives 0.035; the excess of 0.0783 is within the"
		       " threshold of 0.2: nothing to fix");
	done(&f);
}

/* A problem, of whatever kind, is something to fix; a note is not. */
static void even_only_without_a_problem(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_server(&f, PROTOCOL_TCP, hash, 8);

	(void)state;
	e->sockets[3].queue_length = 128;
	fill(&f);
	assert_int_equal(e->finding_count, 1);
	assert_string_equal(e->findings[0].code, "queue-near-limit");
	e->sockets[3].queue_length = 0;
	e->sockets[3].steered = true;
	fill(&f);
	assert_int_equal(e->finding_count, 2);
	assert_string_equal(e->findings[0].code, "steered");
	assert_string_equal(e->findings[1].code, "even");
	e->sockets[3].steered = false;
	e->socket_count = e->worker_count = 1; /* one of each: nothing is shared */
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	assert_nothing(&f);
}

static void uneven_is_not_even(void **state)
{
	static const uint64_t counts[] = { 9000, 3000, 3000, 3000 };
	struct fixture f = {};

	(void)state;
	add_server(&f, PROTOCOL_TCP, counts, 4);
	assert_nothing(&f); /* the verdict says it */
}

static void too_few(void **state)
{
	static const uint64_t counts[] = { 5, 6, 4, 7, 5, 5, 6, 4 };
	struct fixture f = {};
	struct endpoint *e = add_server(&f, PROTOCOL_TCP, counts, 8);

	(void)state;
	fill(&f);
	assert_finding(e, "too-few",
		       "42 connections are too few to tell whether 8 workers share them evenly: "
		       "796 would do");
	assert_int_equal(e->findings[0].level, FINDING_NOTE);
	assert_int_equal(evidence(&e->findings[0], "seen"), 42);
	assert_int_equal(evidence(&e->findings[0], "needed"), 796);
	assert_int_equal(evidence(&e->findings[0], "bins"), 8);
	done(&f);
}

/* Of datagrams the flows count, of multicast nothing; where nothing came there is nothing to say.
 */
static void too_few_flows(void **state)
{
	static const uint64_t none[2];
	struct fixture f = {};
	struct endpoint *e = add_server(&f, PROTOCOL_UDP, hash, 8);

	(void)state;
	e->flows = 64;
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	fill(&f);
	assert_finding(
		e, "too-few",
		"64 flows are too few to tell whether 8 workers share them evenly: 796 would do");
	done(&f);
	e->address[0] = 224;
	assert_nothing(&f);
	e->address[0] = 0;
	e->flows = 0; /* not known */
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	assert_nothing(&f);
	f = (struct fixture){};
	add_server(&f, PROTOCOL_TCP, none, 2);
	assert_nothing(&f);
}

/* That the last binder gets all says more than that they were few. */
static void too_few_is_not_why_the_last_binder_gets_all(void **state)
{
	static const uint64_t counts[] = { 0, 10 };
	struct fixture f = {};
	struct endpoint *e = add_server(&f, PROTOCOL_UDP, counts, 2);

	(void)state;
	e->sockets[0].reuseport = e->sockets[1].reuseport = false;
	e->flows = 10;
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(e->worker_fairness.verdict, VERDICT_TOO_FEW);
	fill(&f);
	assert_int_equal(e->finding_count, 1);
	assert_string_equal(e->findings[0].code, "udp-last-binder");
	done(&f);
}

/* Counts that are not whole: nothing is said that rests on them. */
static void nothing_rests_on_what_is_withheld(void **state)
{
	static const uint64_t counts[] = { 9000, 3000, 3000, 3000 }, few[] = { 5, 6, 4, 7 };
	const uint64_t *const all[] = { counts, few, hash };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct fixture f = {};
		struct endpoint *e = add_server(&f, PROTOCOL_TCP, all[i], 4);

		e->served_known = e->open_known = true;
		for (int w = 0; w < 4; w++) {
			e->workers[w].serves = e->workers[w].open_known = true;
			e->workers[w].served = e->workers[w].open = w ? 100 : 9000;
			e->workers[w].pid = 700 + w;
		}
		e->lost = (struct endpoint_lost){ .accepted = 1, .served = 1, .open = 1 };
		assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
		assert_nothing(&f);
	}
}

/* A verdict by process is about the two, one by thread about the four. */
static void threads_of_processes_are_told_apart(void **state)
{
	static const uint64_t counts[] = { 1000, 1010, 990, 1000 }, few[] = { 1, 0, 0, 0 };
	struct fixture f = {};
	struct endpoint *e = add_server(&f, PROTOCOL_TCP, counts, 4);

	(void)state;
	e->workers[2].pid = e->workers[3].pid = 800;
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	fill(&f);
	assert_non_null(strstr(
		e->findings[0].text,
		"4 threads of 2 processes share 4000 connections as evenly as chance allows"));
	done(&f);
	f = (struct fixture){};
	e = add_server(&f, PROTOCOL_TCP, few, 4);
	fill(&f);
	assert_non_null(
		strstr(e->findings[0].text,
		       "1 connection is too few to tell whether 4 workers share them evenly"));
	done(&f);
}

static void serving_uneven(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_server(&f, PROTOCOL_TCP, hash, 8);

	(void)state;
	e->served_known = true;
	for (int i = 0; i < 8; i++) {
		e->workers[i].serves = true;
		e->workers[i].served = i < 4 ? 10000 : 0;
		e->workers[i].pid = 700 + i;
	}
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	fill(&f);
	assert_finding(
		e, "serving-uneven",
		"accepting is not uneven, but serving is: of 8 threads the busiest served 2.0 "
		"times the mean, 4 nothing"
		" (CV 1, a fair hash gives 0.0132); look at how the program hands connections on");
	assert_int_equal(e->findings[0].level, FINDING_PROBLEM);
	assert_int_equal(evidence(&e->findings[0], "bins"), 8);
	assert_int_equal(evidence(&e->findings[0], "events"), 40000);
	assert_true(evidence(&e->findings[0], "max_over_mean") == 2);
	assert_int_equal(evidence(&e->findings[0], "idle"), 4);
	for (int i = 1; i < 8; i++)
		e->workers[i].pid =
			700; /* which thread of a process reads may be its scheduler's doing */
	fill(&f);
	assert_int_equal(e->findings[0].level, FINDING_NOTE);
	assert_false(has(e, "even"));
	for (int i = 1; i < 8; i++) {
		e->workers[i].can_accept = false;
		e->workers[i].accepted = 0;
	}
	e->socket_count = 1;
	e->workers[0].serves = false; /* it hands all of them over */
	e->workers[0].served = 0;
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(e->design.code, DESIGN_HAND_OVER);
	fill(&f);
	assert_non_null(strstr(e->findings[0].text,
			       "one thread accepts, but serving is uneven: of 7 threads"));
	e->served_known = false;
	fill(&f);
	assert_false(has(e, "serving-uneven"));
	done(&f);
}

/* Who gets more serves more: then accepting is what is uneven. */
static void serving_is_as_uneven_as_accepting(void **state)
{
	static const uint64_t counts[] = { 9000, 3000, 3000, 3000 };
	struct fixture f = {};
	struct endpoint *e = add_server(&f, PROTOCOL_TCP, counts, 4);

	(void)state;
	e->served_known = e->open_known = true;
	for (int i = 0; i < 4; i++) {
		e->workers[i].serves = e->workers[i].open_known = true;
		e->workers[i].served = e->workers[i].open = counts[i];
	}
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(e->open_fairness.verdict, VERDICT_UNEVEN);
	assert_nothing(&f);
}

static void open_uneven(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_server(&f, PROTOCOL_TCP, hash, 8);

	(void)state;
	e->open_known = true;
	for (int i = 0; i < 8; i++) {
		e->workers[i].serves = e->workers[i].open_known = true;
		e->workers[i].open = i ? 100 : 900;
		e->workers[i].served = hash[i];
	}
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	fill(&f);
	assert_finding(e, "open-uneven",
		       "accepting is not uneven, but what stays open is: of 1600 open connections "
		       "accepted in this window the busiest"
		       " of 8 threads has 4.5 times the mean (CV 1.32, a fair hash gives 0.0661); "
		       "close idle ones sooner, or cap them per worker; for the time being "
		       "'sockfair steer -P 80' sends new connections to the others");
	assert_int_equal(e->findings[0].level, FINDING_PROBLEM);
	assert_int_equal(evidence(&e->findings[0], "events"), 1600);
	assert_true(evidence(&e->findings[0], "max_over_mean") == 4.5);
	e->served_known = true; /* it serves more, so it has more open */
	e->workers[0].served = 40000;
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	fill(&f);
	assert_int_equal(e->finding_count, 1);
	assert_string_equal(e->findings[0].code, "serving-uneven");
	e->served_known = e->open_known = false; /* what was judged means nothing */
	fill(&f);
	assert_string_equal(e->findings[0].code, "even");
	done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_healthy_server_is_even_and_no_more),
		cmocka_unit_test(even_of_sockets_where_no_worker_is_known),
		cmocka_unit_test(even_says_how_even),
		cmocka_unit_test(even_only_without_a_problem),
		cmocka_unit_test(uneven_is_not_even),
		cmocka_unit_test(too_few),
		cmocka_unit_test(too_few_flows),
		cmocka_unit_test(too_few_is_not_why_the_last_binder_gets_all),
		cmocka_unit_test(nothing_rests_on_what_is_withheld),
		cmocka_unit_test(threads_of_processes_are_told_apart),
		cmocka_unit_test(serving_uneven),
		cmocka_unit_test(serving_is_as_uneven_as_accepting),
		cmocka_unit_test(open_uneven),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
