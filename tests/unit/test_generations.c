/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which workers are of which generation, and which of them a verdict is about:
 * user/model/generations.c. */
#include "findings_fixture.h"
#include "../../user/model/judge.h"

#define SECOND 1000000000ull

/* A port of one socket with `count` processes on it, 700 on, each an epoll of its own, that took so
 * much each. */
static struct endpoint *serve(struct fixture *f, int count, uint64_t each)
{
	struct endpoint *e = add_port(f, PROTOCOL_TCP, "0.0.0.0", 80);

	add_socket(e, 17, 0)->waiting_most = count;
	for (int i = 0; i < count; i++) {
		struct worker_row *w = add_worker(e, 17, 700 + i, 700 + i);

		w->wait_kind = WAITS_EPOLL;
		w->exclusive = true;
		w->epoll = i + 1;
		w->accepted = each;
		w->lived_ns = 10 * SECOND;
	}
	return e;
}

/* The first two were there from the start and ended, the others began later. */
static struct endpoint *reload(struct fixture *f, uint64_t earlier, uint64_t later)
{
	struct endpoint *e = serve(f, 4, earlier);

	for (int i = 0; i < 4; i++) {
		struct worker_row *w = &e->workers[i];

		w->ended = i < 2;
		w->waits = !w->ended;
		w->appeared = !w->ended;
		w->accepted = w->ended ? earlier : later;
		w->lived_ns = 5 * SECOND;
	}
	return e;
}

static void judge(struct endpoint *e)
{
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
}

static void assert_judged(const struct endpoint *e, enum generation judged, size_t bins,
			  uint64_t events)
{
	assert_int_equal(e->generations.judged, judged);
	assert_int_equal(e->worker_fairness.bins, bins);
	assert_int_equal(e->process_fairness.bins, bins);
	assert_int_equal(e->worker_fairness.events, events);
	assert_int_equal(e->design.threads, bins);
}

static void what_is_there_now_is_judged(void **state)
{
	struct fixture f = {};
	struct endpoint *e = reload(&f, 900, 1000);

	(void)state;
	judge(e);
	assert_judged(e, GENERATION_LATER, 2, 2000);
	assert_string_equal(e->design.words,
			    "2 processes on one socket, an epoll each with EPOLLEXCLUSIVE");
	for (int i = 0; i < 4; i++)
		assert_int_equal(e->workers[i].generation,
				 i < 2 ? GENERATION_EARLIER : GENERATION_LATER);
	assert_int_equal(e->generations.earlier.processes, 2);
	assert_int_equal(e->generations.earlier.taken, 1800);
	assert_int_equal(e->generations.later.taken, 2000);
	assert_int_equal(e->other_fairness.bins, 2);
	assert_int_equal(e->other_fairness.events, 1800);
	assert_int_equal(e->other_fairness.verdict, VERDICT_EVEN);
	fill(&f);
	assert_finding(e, "even",
		       "2 workers share 2000 connections more evenly than a hash: CV 0, a fair "
		       "hash gives 0.0224: nothing to fix;"
		       " 2 of an earlier generation took 1800, evenly");
	done(&f);
	e->workers[0].accepted = 9000; /* more, but there is enough */
	judge(e);
	assert_judged(e, GENERATION_LATER, 2, 2000);
	assert_int_equal(e->other_fairness.verdict, VERDICT_UNEVEN);
}

/* What it took is enough to tell, or more than the other did. */
static void what_is_gone_is_judged_where_that_is_too_little(void **state)
{
	struct fixture f = {};
	struct endpoint *e = reload(&f, 900, 5);

	(void)state;
	judge(e);
	assert_judged(e, GENERATION_EARLIER, 2, 1800);
	assert_string_equal(generations_other_name(&e->generations), "of a later generation");
	assert_int_equal(e->other_fairness.verdict, VERDICT_TOO_FEW);
	assert_ptr_equal(endpoint_decisive(e), &e->worker_fairness);
	e->workers[2].accepted = 300; /* proven to be uneven by fewer than would prove it even */
	e->workers[3].accepted = 5;
	judge(e);
	assert_judged(e, GENERATION_EARLIER, 2, 1800);
	assert_ptr_equal(endpoint_decisive(e), &e->other_fairness);
	assert_int_equal(endpoint_decisive(e)->verdict, VERDICT_UNEVEN);
	fill(&f);
	assert_false(has(e, "even"));
	done(&f);
	e->workers[0].accepted = e->workers[1].accepted = 2;
	e->workers[2].accepted = e->workers[3].accepted = 5;
	judge(e);
	assert_judged(e, GENERATION_LATER, 2, 10);
}

/* It finishes its connections, and may hold the socket all the time. */
static void who_lives_on_but_takes_no_more_is_old(void **state)
{
	struct fixture f = {};
	struct endpoint *e = reload(&f, 0, 1000);

	(void)state;
	e->workers[0].ended = e->workers[1].ended = false;
	e->workers[0].lived_ns = e->workers[1].lived_ns = 10 * SECOND;
	e->workers[0].quiet_ns = e->workers[1].quiet_ns = 6 * SECOND;
	judge(e);
	assert_judged(e, GENERATION_LATER, 2, 2000);
	fill(&f);
	assert_finding(e, "even",
		       "2 workers share 2000 connections more evenly than a hash: CV 0, a fair "
		       "hash gives 0.0224; 2 that hold on and take"
		       " no more took 0"); /* or they are stuck */
	done(&f);
	e->workers[2].accepted = e->workers[3].accepted = 9; /* so few may have passed them by */
	judge(e);
	assert_judged(e, GENERATION_ONLY, 2, 0);
	e->workers[2].accepted = e->workers[3].accepted = 1000;
	e->workers[0].waits = true; /* it would take the next one */
	judge(e);
	assert_judged(e, GENERATION_ONLY, 2, 0);
	e->workers[0].waits = false;
	e->workers[0].quiet_ns = 2 * SECOND; /* it took meanwhile */
	judge(e);
	assert_judged(e, GENERATION_ONLY, 2, 0);
	e->workers[0].quiet_ns = 0; /* not known */
	judge(e);
	assert_judged(e, GENERATION_ONLY, 2, 0);
}

/* A later interval of the window: nobody began in it, and who is old is so still. */
static void an_interval_has_the_marks_of_its_window(void **state)
{
	struct fixture f = {};
	struct endpoint *e = reload(&f, 0, 1000);
	struct snapshot now, interval;

	(void)state;
	for (int i = 0; i < 2; i++) {
		e->workers[i].ended = false;
		e->workers[i].lived_ns = e->workers[i].quiet_ns = 10 * SECOND;
	}
	judge(e);
	f.snapshot.seconds = 9;
	assert_int_equal(snapshot_copy(&now, &f.snapshot), 0);
	now.seconds = 10;
	for (int i = 2; i < 4; i++)
		now.endpoints[0].workers[i].accepted += 400;
	assert_int_equal(snapshot_difference(&interval, &now, &f.snapshot), 0);
	e = &interval.endpoints[0];
	judge(e);
	assert_judged(e, GENERATION_LATER, 2, 800);
	assert_int_equal(e->generations.earlier.processes, 2);
	assert_int_equal(e->generations.later.taken, 800);
	assert_int_equal(e->workers[0].generation, GENERATION_EARLIER);
	for (int i = 0; i < 2; i++) /* they have left */
		e->workers[i].can_accept = false;
	judge(e);
	assert_int_equal(e->generations.judged, GENERATION_ONLY);
	assert_int_equal(e->workers[3].generation, GENERATION_ONLY);
	snapshot_free(&interval);
	snapshot_free(&now);
}

/* No blindness: it holds the listener, and its siblings go on. */
static void who_is_stuck_beside_its_siblings_is_a_bin(void **state)
{
	struct fixture f = {};
	struct endpoint *e = serve(&f, 4, 1000);

	(void)state;
	e->workers[0].waits = false;
	e->workers[0].accepted = 0;
	e->workers[0].quiet_ns = 10 * SECOND;
	e->workers[3].appeared = true; /* one was killed, and made anew */
	e->workers[3].lived_ns = 5 * SECOND;
	judge(e);
	assert_judged(e, GENERATION_ONLY, 3, 2000);
	assert_int_equal(e->worker_fairness.idle, 1);
	assert_int_equal(e->worker_fairness.verdict, VERDICT_UNEVEN);
	assert_int_equal(e->workers[3].generation, GENERATION_ONLY);
	assert_int_equal(e->other_fairness.bins, 0);
	e->workers[3].appeared = false;
	e->workers[0].lived_ns = 0; /* a sibling that was never seen to wait: not known */
	judge(e);
	assert_int_equal(e->worker_fairness.bins, 4);
	assert_int_equal(e->worker_fairness.verdict, VERDICT_UNEVEN);
}

/* A server that begins in the window: lives explain that who was there first has more, but not that
 * it has all. */
static void lives_explain_so_much(void **state)
{
	struct fixture f = {};
	struct endpoint *e = serve(&f, 4, 1000);

	(void)state;
	for (int i = 0; i < 4; i++) {
		e->workers[i].appeared = true;
		e->workers[i].lived_ns = (10 - 2 * i) * SECOND;
		e->workers[i].accepted = (10 - 2 * i) * 100;
	}
	judge(e);
	assert_int_equal(e->worker_fairness.withheld, WITHHELD_LIVES_DIFFER);
	e->workers[0].accepted = 3288;
	e->workers[1].accepted = 1;
	e->workers[2].accepted = e->workers[3].accepted = 0;
	judge(e);
	assert_int_equal(e->worker_fairness.verdict, VERDICT_UNEVEN);
}

/* Workers that are replaced one after the other are no generation, and lived for different times.
 */
static void a_later_generation_began_together(void **state)
{
	struct fixture f = {};
	struct endpoint *e = reload(&f, 1000, 1000);

	(void)state;
	e->workers[2].lived_ns = 4 * SECOND;
	judge(e);
	assert_judged(e, GENERATION_LATER, 2, 2000);
	e->workers[2].lived_ns = 3 * SECOND;
	judge(e);
	assert_judged(e, GENERATION_ONLY, 2, 2000);
	assert_int_equal(e->worker_fairness.verdict,
			 VERDICT_EVEN); /* those who were there from the start ended together */
	e->workers[0].lived_ns = 3 * SECOND;
	judge(e);
	assert_int_equal(e->worker_fairness.verdict, VERDICT_WITHHELD);
	assert_int_equal(e->worker_fairness.withheld, WITHHELD_LIVES_DIFFER);
	e->workers[2].lived_ns = 5 * SECOND;
	judge(e);
	assert_judged(e, GENERATION_LATER, 2, 2000);
	assert_int_equal(e->worker_fairness.verdict, VERDICT_EVEN);
	assert_int_equal(e->other_fairness.withheld, WITHHELD_LIVES_DIFFER);
}

static void who_came_and_went_in_between_is_of_neither(void **state)
{
	struct fixture f = {};
	struct endpoint *e = reload(&f, 900, 1000);
	struct worker_row *w = add_worker(e, 17, 710, 710);

	(void)state;
	w->accepted = 500;
	w->appeared = w->ended = true;
	w = add_worker(e, 17, 702,
		       712); /* a thread that serves what its process accepts is of its process */
	w->can_accept = false;
	judge(e);
	assert_judged(e, GENERATION_LATER, 2, 2000);
	assert_int_equal(e->workers[4].generation, GENERATION_ONLY);
	assert_int_equal(e->workers[5].generation, GENERATION_LATER);
	assert_int_equal(e->generations.earlier.taken + e->generations.later.taken, 3800);
	e->workers[2].accepted = e->workers[3].accepted =
		0; /* the reload was the last thing that happened */
	judge(e);
	assert_judged(e, GENERATION_EARLIER, 2, 1800);
	e->workers[2].waits = e->workers[3].waits = false; /* nobody takes from it now */
	judge(e);
	assert_judged(e, GENERATION_ONLY, 2, 1800);
}

/* New sockets beside old ones, which are held open and not read. */
static void sockets_are_of_those_who_take_from_them(void **state)
{
	struct fixture f = {};
	struct endpoint *e = reload(&f, 900, 1000);

	(void)state;
	e->socket_count = 0;
	for (int i = 0; i < 5; i++) {
		struct socket_row *s = add_socket(e, 17 + i, 17);

		s->arrived = 1000 + i;
		s->accepted = i == 4 ? 0 : 900;
		s->waiting = i > 1 && i < 4;
		s->waiting_most = 1;
		s->appeared = i > 1 && i < 4;
		if (i < 4)
			e->workers[i].cookie = 17 + i;
	}
	for (int i = 0; i < 5; i++)
		if (i < 2 || i == 4)
			add_holder(e, 17 + i, 699, "server");
	judge(e);
	assert_judged(e, GENERATION_LATER, 2, 2000);
	assert_int_equal(e->socket_fairness.bins, 2);
	assert_int_equal(e->socket_fairness.events, 1002 + 1003);
	assert_int_equal(e->sockets[4].generation, GENERATION_EARLIER);
	fill(&f);
	assert_finding(e, "socket-unwaited",
		       "no thread waits on socket 17 (inode 1017) and 2 more, of 5 in a "
		       "SO_REUSEPORT group: their share goes nowhere"
		       " (0 queued); held by server 699: close them there, or accept from them");
	done(&f);
	e->workers[2].cookie = 17; /* both take from it */
	e->workers[3].cookie = 18;
	e->socket_count = 2;
	judge(e);
	assert_int_equal(e->sockets[0].generation, GENERATION_ONLY);
	assert_int_equal(e->socket_fairness.bins, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_there_now_is_judged),
		cmocka_unit_test(what_is_gone_is_judged_where_that_is_too_little),
		cmocka_unit_test(who_lives_on_but_takes_no_more_is_old),
		cmocka_unit_test(an_interval_has_the_marks_of_its_window),
		cmocka_unit_test(who_is_stuck_beside_its_siblings_is_a_bin),
		cmocka_unit_test(lives_explain_so_much),
		cmocka_unit_test(a_later_generation_began_together),
		cmocka_unit_test(who_came_and_went_in_between_is_of_neither),
		cmocka_unit_test(sockets_are_of_those_who_take_from_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
