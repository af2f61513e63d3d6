/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sockets from which nothing is or was taken, and long waits: user/model/findings_stall.c. Each
 * case, and what is short of it by one. */
#include "findings_fixture.h"

/* ---- stalls that go on ---- */

static void stalled_socket_of_a_stopped_worker(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);

	(void)state;
	add_stalled(e, 17, 17);
	add_socket(e, 18, 17);
	add_look(add_holder(e, 17, 600, "nginx"), 'S',
		 "sigsuspend"); /* the master holds it too, but takes nothing from it */
	add_look(add_holder(e, 17, 700, "nginx"), 'T', "");
	add_worker(e, 17, 700, 700)->waits = false;
	fill(&f);
	assert_finding(
		e, "stalled-socket",
		"3 connections queued on socket 17 (inode 1017), none taken for 4.2 s: "
		"nginx 700 is stopped"
		" (SIGSTOP); continue it (kill -CONT 700), or restart it; for the time being "
		"'sockfair steer -P 80' sends new connections to the others");
	assert_string_equal(e->findings[0].cause, "stopped");
	assert_int_equal(e->findings[0].level, FINDING_PROBLEM);
	assert_int_equal(e->findings[0].cookie, 17);
	assert_int_equal(evidence(&e->findings[0], "pid"), 700);
	assert_int_equal(evidence(&e->findings[0], "queued"), 3);
	assert_int_equal(evidence(&e->findings[0], "queued_before"), 2);
	assert_true(evidence(&e->findings[0], "stalled_seconds") == 4.2);
	assert_int_equal(evidence(&e->findings[0], "sockets"), 2);
	done(&f);
}

/* A name of 15 characters and the highest numbers fit. */
static void stalled_socket_has_room(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);
	struct socket_row *s = add_stalled(e, UINT64_MAX, 0);

	(void)state;
	s->inode = s->queue_length = UINT32_MAX;
	for (int i = 0; i < 16; i++) {
		struct hindrance *it =
			add_look(add_holder(e, UINT64_MAX, 4194300 + i, "fifteen_letters"), 'S',
				 "futex_wait_with_a_long_name_xxx");

		it->threads = it->at_place = 512;
	}
	fill(&f);
	assert_finding(e, "stalled-socket",
		       "4294967295 connections queued on socket 18446744073709551615 (inode "
		       "4294967295), none taken for"
		       " 4.2 s: fifteen_letters 4194300 has 512 of its 512 threads asleep in a "
		       "lock or a queue (futex_wait_with_a_long_name_xxx)"
		       " (15 more likewise), and no thread was seen to wait on this socket or take "
		       "from it");
	for (int i = 0; i < 16; i++)
		e->holders[i].hindrance.descriptors_full = 1,
		e->holders[i].hindrance.descriptors = UINT64_MAX;
	fill(&f);
	assert_non_null(strstr(e->findings[0].text, "(15 more likewise); raise LimitNOFILE= or "
						    "ulimit -n, or close what it leaves open"));
	e->holder_count = 0;
	fill(&f);
	assert_non_null(strstr(e->findings[0].text,
			       "none taken for 4.2 s: no process was seen to hold it"));
	done(&f);
}

static void a_short_stall_is_none(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);
	struct socket_row *s = add_stalled(e, 17, 0);

	(void)state;
	add_look(add_holder(e, 17, 700, "nginx"), 'T',
		 ""); /* seen so once; 0.4 s ago it took something */
	s->stalled_ns = 499999999;
	assert_nothing(&f);
	s->stalled_ns = 500000000;
	fill(&f);
	assert_true(has(e, "stalled-socket"));
	done(&f);
	s->queue_length = 0;
	assert_nothing(&f);
	s->queue_length = 3;
	e->protocol = PROTOCOL_UDP; /* bytes */
	assert_nothing(&f);
}

/* A list looks but once: only what is stopped can't take anything. */
static void stalled_in_a_list_if_all_are_stopped(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);
	struct socket_row *s = add_stalled(e, 17, 0);

	(void)state;
	s->full_known = false;
	s->stalled_ns = 0;
	s->queue_length = 1;
	assert_nothing(&f); /* nobody holds it */
	add_look(add_holder(e, 17, 700, "a"), 'T', "");
	add_look(add_holder(e, 17, 701, "b"), 'Z', "");
	fill(&f);
	assert_finding(e, "stalled-socket",
		       "1 connection queued on socket 17 (inode 1017): a 700 is stopped (SIGSTOP) "
		       "(1 more holds it); continue"
		       " it (kill -CONT 700), or restart it");
	add_look(add_holder(e, 17, 702, "c"), 'S', "hrtimer_nanosleep");
	assert_nothing(&f);
	e->holders[2].hindrance.descriptors_full = 1; /* it can't either */
	fill(&f);
	assert_true(has(e, "stalled-socket"));
	done(&f);
	e->holder_count = 0;
	add_look(add_holder(e, 17, 701, "b"), 'Z', "");
	assert_nothing(&f);
	add_holder(e, 17, 702, "c"); /* nobody looked at it */
	assert_nothing(&f);
}

/* Processes that only keep the socket, or inherited it, need not be stopped as well. */
static void stalled_in_a_list_though_others_hold_it(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);
	struct socket_row *s = add_stalled(e, 17, 0);
	struct hindrance *master;

	(void)state;
	s->full_known = false;
	s->stalled_ns = 0;
	master = add_look(add_holder(e, 17, 600, "nginx"), 'S', "sigsuspend");
	add_look(add_holder(e, 17, 700, "nginx"), 'T', "");
	e->holders[1].parent = 600;
	fill(&f);
	assert_finding(e, "stalled-socket",
		       "3 connections queued on socket 17 (inode 1017): nginx 700 is stopped "
		       "(SIGSTOP); continue it (kill -CONT 700), or restart it");
	strcpy(master->place, "do_epoll_wait"); /* it may take something in a moment */
	assert_nothing(&f);
	strcpy(master->place, "sigsuspend");
	master->threads = 2;
	assert_nothing(&f);
	master->threads = 1;
	strcpy(master->place, "inet_csk_accept"); /* of another socket */
	fill(&f);
	assert_true(has(e, "stalled-socket"));
	done(&f);
	e->holders[0].watching = WATCHING_SLEEPS; /* of this one */
	assert_nothing(&f);
	e->holders[0].watching = WATCHING_NOT;
	strcpy(master->place, "sigsuspend");
	master->threads = 1;
	add_look(add_holder(e, 17, 701, "nginx"), 'S', "do_epoll_wait");
	e->holders[2].parent = 600;
	assert_nothing(&f); /* they may share it */
	e->holders[1].polls = true;
	fill(&f);
	assert_non_null(strstr(e->findings[0].text, ": nginx 700 is stopped (SIGSTOP) (1 more"));
	e->holders[2].polls = true;
	assert_nothing(&f);
	e->holders[2].polls = false;
	e->holders[2].watching = WATCHING_SLEEPS; /* in accept() */
	assert_nothing(&f);
}

/* One socket, one cause: that its queue is full and that nobody waits on it follow. */
static void stalled_socket_says_it_all(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);
	struct socket_row *s = add_stalled(e, 17, 17);

	(void)state;
	add_socket(e, 18, 17);
	s->queue_length = s->queue_highest = 129;
	s->highest_known = true;
	s->full_ns = 1000000000;
	s->drops = 9;
	fill(&f);
	assert_int_equal(e->finding_count, 1);
	assert_string_equal(e->findings[0].code, "stalled-socket");
	s->stalled_ns = 0;
	fill(&f);
	assert_int_equal(e->finding_count, 1);
	assert_string_equal(e->findings[0].code, "socket-unwaited");
	assert_non_null(strstr(e->findings[0].text, "(129 queued, 9 dropped)"));
	done(&f);
}

/* ---- stalls that are over ---- */

/* A healthy socket from which nothing was taken from second 2 to second 7.8 of a window of ten that
 * began at 10:00:00. */
static struct socket_row *add_past(struct fixture *f, struct endpoint **e)
{
	struct socket_row *s;

	*e = add_port(f, PROTOCOL_TCP, "0.0.0.0", 80);
	f->snapshot.start_ms = 1767261600000;
	f->snapshot.seconds = 10;
	s = add_socket(*e, 17, 0);
	s->full_known = true;
	s->stall = (struct stall){ .ns = 5800000000,
				   .last_ns = 7800000000,
				   .over = true,
				   .over_ns = 8000000000,
				   .length = 20,
				   .count = 1 };
	return s;
}

static void was_stalled_names_who_was_stopped(void **state)
{
	struct fixture f = {};
	struct endpoint *e;
	struct socket_row *s = add_past(&f, &e);

	(void)state;
	add_look(add_staller(e, 17, 600, "nginx"), 'S', "sigsuspend");
	add_look(add_staller(e, 17, 700, "nginx"), 'T', "");
	add_look(add_staller(e, 17, 701, "nginx"), 'S', "do_epoll_wait");
	e->stallers[1].parent = e->stallers[2].parent = 600;
	add_look(add_holder(e, 17, 700, "nginx"), 'S', "do_epoll_wait"); /* now */
	add_worker(e, 17, 700, 700);
	fill(&f);
	assert_finding(e, "was-stalled",
		       "nothing was taken from socket 17 (inode 1017) for at least 5.8 s (10:00:02 "
		       "to 10:00:07 UTC), 20 connections queued: nginx 700 was stopped (SIGSTOP); "
		       "look for what stopped it");
	assert_string_equal(e->findings[0].cause, "stopped");
	assert_int_equal(e->findings[0].level, FINDING_PROBLEM);
	assert_int_equal(e->findings[0].cookie, 17);
	assert_int_equal(evidence(&e->findings[0], "pid"), 700);
	assert_true(evidence(&e->findings[0], "seconds") == 5.8);
	assert_int_equal(evidence(&e->findings[0], "queued"), 20);
	assert_int_equal(evidence(&e->findings[0], "drops"), 0);
	assert_int_equal(evidence(&e->findings[0], "stalls"), 1);
	s->stall.count = 2;
	s->stall.drops = 33;
	s->stall.length = 1;
	add_waits(e, s, 20, 6000000);
	fill(&f);
	assert_finding(
		e, "was-stalled",
		"nothing was taken from socket 17 (inode 1017) for at least 5.8 s (10:00:02 "
		"to 10:00:07 UTC, the longest time of several), 1 connection queued, 33 SYNs "
		"and ACKs dropped, the longest wait 6.0 s: nginx 700 was stopped (SIGSTOP); "
		"look for what stopped it");
	assert_int_equal(evidence(&e->findings[0], "wait_max_ns"), 6000000000);
	done(&f);
}

/* The process that was stopped has been killed since, and another one took its place. */
static void was_stalled_by_one_that_has_ended(void **state)
{
	struct fixture f = {};
	struct endpoint *e;
	struct socket_row *s = add_past(&f, &e);

	(void)state;
	add_look(add_staller(e, 17, 600, "nginx"), 'S', "sigsuspend");
	add_look(add_staller(e, 17, 700, "nginx"), 'T', "");
	add_look(add_staller(e, 17, 701, "nginx"), 'R', "");
	e->stallers[1].parent = e->stallers[2].parent = 600;
	add_worker(e, 17, 700, 700)->ended = true;
	add_worker(e, 17, 702, 702); /* no holder of then */
	e->stallers[1].hindrance.takers = true;
	e->stallers[1].hindrance.stopped = 0; /* what it did then is less certain than 701's */
	fill(&f);
	assert_non_null(strstr(e->findings[0].text, ": nginx 700 slept"));
	e->worker_count = 0;
	fill(&f);
	assert_non_null(strstr(e->findings[0].text, ": nginx 701 was running (1 more held it)"));
	s->ended = true;
	fill(&f);
	assert_true(has(e, "was-stalled"));
	e->staller_count = 0;
	fill(&f);
	assert_non_null(strstr(e->findings[0].text, ": no process was seen to hold it"));
	done(&f);
}

static void was_stalled_is_of_this_window(void **state)
{
	struct fixture f = {};
	struct endpoint *e;
	struct socket_row *s = add_past(&f, &e);

	(void)state;
	s->stall.over_ns = 0; /* an interval that begins when it is over */
	assert_nothing(&f);
	s->stall.over_ns = 1;
	fill(&f);
	assert_true(has(e, "was-stalled"));
	s->stall.over = false; /* it goes on: stalled-socket tells that */
	assert_nothing(&f);
	s->stall.over = true;
	s->queue_length = 3;
	s->stalled_ns = STALLED_NS;
	fill(&f);
	assert_int_equal(e->finding_count, 1);
	assert_string_equal(e->findings[0].code, "stalled-socket");
	done(&f);
}

/* A server may take its time until it accepts, but nothing may keep it from doing so. */
static void a_start_is_no_stall(void **state)
{
	struct fixture f = {};
	struct endpoint *e;
	struct socket_row *s = add_past(&f, &e);
	struct hindrance *it = add_look(add_staller(e, 17, 700, "server"), 'R', "");

	(void)state;
	s->stall.fresh = true;
	fill(&f);
	assert_true(has(e, "was-stalled")); /* socket and process were there before the window */
	done(&f);
	s->appeared = true;
	assert_nothing(&f);
	it->running = 0;
	it->stopped = 1;
	fill(&f);
	assert_true(has(e, "was-stalled"));
	done(&f);
	it->stopped = 0;
	s->stall.fresh = false;
	fill(&f);
	assert_true(has(e, "was-stalled"));
	done(&f);
	s->stall.fresh = true;
	s->appeared = false;
	e->stallers[0].appeared = true; /* socket activation */
	assert_nothing(&f);
	e->stallers[0].appeared = false;
	strcpy(e->stallers[0].process, "systemd");
	assert_nothing(&f);
}

/* What the stall let come is not told as a fault of the queue, nor of the worker's speed, and the
 * tick stays away; what came at other times is. */
static void a_past_stall_explains_what_it_did(void **state)
{
	struct fixture f = {};
	struct endpoint *e;
	struct socket_row *s = add_past(&f, &e);

	(void)state;
	s->highest_known = true;
	s->queue_highest = s->stall.length = 129;
	s->full_ns = 3000000000;
	s->drops = 40;
	s->stall.drops = 21;
	fill(&f);
	assert_int_equal(e->finding_count, 1);
	assert_true(has(e, "was-stalled"));
	s->stall.drops = 20; /* as many at other times */
	fill(&f);
	assert_true(has(e, "was-stalled") && has(e, "backlog-small"));
	s->drops = 0;
	s->stall.drops = 0;
	fill(&f);
	assert_int_equal(e->finding_count, 1);
	s->stall.length = 95; /* of 128: it was fuller at another time */
	fill(&f);
	assert_true(has(e, "was-stalled") && has(e, "queue-near-limit"));
	done(&f);
}

static void a_past_stall_is_no_slow_worker(void **state)
{
	struct fixture f = {};
	struct endpoint *e;
	struct socket_row *s = add_past(&f, &e);

	(void)state;
	s->reuseport = true;
	s->group = 17;
	add_waits(e, s, 200, 5000000);
	for (uint64_t i = 18; i < 21; i++)
		add_waits(e, add_socket(e, i, 17), 200, 100);
	fill(&f);
	assert_int_equal(e->finding_count, 1);
	assert_true(has(e, "was-stalled"));
	s->stall = (struct stall){};
	fill(&f);
	assert_int_equal(e->finding_count, 1);
	assert_true(has(e, "slow-worker"));
	done(&f);
}

/* ---- workers that are stopped ---- */

static void a_stopped_worker_of_a_shared_socket(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);
	struct worker_row *w[3];

	(void)state;
	add_socket(e, 17, 0);
	for (int i = 0; i < 3; i++) {
		w[i] = add_worker(e, 17, 700 + i, 700 + i);
		w[i]->accepted = 100;
		w[i]->open_known = true;
		strcpy(w[i]->process, "server");
	}
	f.snapshot.endpoints[0].worker_fairness.verdict = VERDICT_EVEN;
	w[1]->state = 'T';
	w[2]->state = 'S';
	assert_nothing(&f); /* it does no harm yet */
	w[1]->open = 1;
	w[1]->state = 't'; /* who is traced is so for a moment, again and again */
	assert_nothing(&f);
	w[1]->state = 'T';
	fill(&f);
	assert_finding(
		e, "worker-stopped",
		"server 701 is stopped (SIGSTOP): it takes nothing, and 1 open connection of "
		"it gets no answer; continue it (kill -CONT 701), or restart it");
	assert_string_equal(e->findings[0].cause, "stopped");
	assert_int_equal(evidence(&e->findings[0], "pid"), 701);
	assert_int_equal(evidence(&e->findings[0], "open"), 1);
	assert_int_equal(evidence(&e->findings[0], "taken"), 100);
	w[0]->state = 'T';
	w[0]->open = 5;
	fill(&f);
	assert_non_null(strstr(e->findings[0].text,
			       "server 700 is stopped (SIGSTOP) (1 more likewise): it takes "
			       "nothing, and 5 open connections of it get no answer"));
	assert_int_equal(evidence(&e->findings[0], "processes"), 2);
	w[0]->open = 1;
	w[1]->open = 5;
	fill(&f);
	assert_non_null(strstr(e->findings[0].text, "server 701 is stopped (SIGSTOP) (1 more"));
	w[0]->ended = true;
	fill(&f);
	assert_non_null(strstr(e->findings[0].text, "server 701 is stopped (SIGSTOP): it"));
	done(&f);
}

/* It takes less than the others where that is uneven; or what waits in its queue tells it. */
static void a_stopped_worker_that_takes_too_little(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);
	struct socket_row *s = add_socket(e, 17, 0);
	struct worker_row *w = add_worker(e, 17, 700, 700);

	(void)state;
	add_worker(e, 17, 701, 701)->accepted = 100;
	w->state = 'T';
	w->accepted = 49;
	e->process_fairness =
		(struct fairness){ .verdict = VERDICT_EVEN, .bins = 2, .events = 100 };
	assert_nothing(&f);
	e->process_fairness.verdict = VERDICT_UNEVEN;
	fill(&f);
	assert_true(has(e, "worker-stopped") && !has(e, "shared-socket"));
	assert_non_null(
		strstr(e->findings[0].text, " 700 is stopped (SIGSTOP): it takes nothing; "));
	done(&f);
	w->accepted = 50; /* its share */
	assert_nothing(&f);
	w->accepted = 0;
	s->queue_length = 1;
	s->full_known = true;
	s->stalled_ns = STALLED_NS;
	add_look(add_holder(e, 17, 700, "server"), 'T', "");
	fill(&f);
	assert_true(has(e, "stalled-socket") && !has(e, "worker-stopped"));
	done(&f);
}

/* ---- long waits that no look explains ---- */

static void long_waits_without_a_look(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);
	struct socket_row *s = add_socket(e, 17, 0);

	(void)state;
	add_waits(e, s, 999, 100);
	add_waits(e, s, 1, 999999);
	assert_nothing(&f);
	add_waits(e, s, 100, 6000000);
	fill(&f);
	assert_finding(
		e, "long-waits",
		"connections waited up to 6.0 s for accept() on socket 17 (inode 1017) (1100 "
		"waited, p99 6.0 s); why was not seen: accept faster (more workers, or less "
		"work between two accepts), or watch with -i 1 who lets them wait");
	assert_int_equal(e->findings[0].level, FINDING_PROBLEM);
	assert_int_equal(e->findings[0].cookie, 17);
	assert_int_equal(evidence(&e->findings[0], "wait_max_ns"), 6000000000);
	assert_int_equal(evidence(&e->findings[0], "connections"), 1100);
	s->wait.histogram = 0;
	fill(&f);
	assert_non_null(strstr(e->findings[0].text, "(1100 waited); why"));
	done(&f);
	s->appeared = true; /* its server has just begun */
	assert_nothing(&f);
	s->appeared = false;
	s->stall = (struct stall){ .ns = 5800000000, .over = true, .over_ns = -1 };
	assert_nothing(&f); /* the interval before told it */
	s->stall = (struct stall){};
	s->wait_known = false;
	assert_nothing(&f);
	s->wait_known = true;
	s->ended = true;
	assert_nothing(&f);
}

static void long_waits_that_are_explained(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);
	struct socket_row *s = add_socket(e, 17, 0), *other = add_socket(e, 18, 0);

	(void)state;
	add_waits(e, s, 100, 6000000);
	s->highest_known = true;
	s->queue_highest = 129; /* it was full */
	fill(&f);
	assert_int_equal(e->finding_count, 1);
	assert_true(has(e, "queue-near-limit"));
	add_waits(e, other, 100, 6000000); /* not that one */
	fill(&f);
	assert_int_equal(e->finding_count, 2);
	assert_int_equal(e->findings[1].cookie, 18);
	assert_string_equal(e->findings[1].code, "long-waits");
	done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stalled_socket_of_a_stopped_worker),
		cmocka_unit_test(stalled_socket_has_room),
		cmocka_unit_test(a_short_stall_is_none),
		cmocka_unit_test(stalled_in_a_list_if_all_are_stopped),
		cmocka_unit_test(stalled_in_a_list_though_others_hold_it),
		cmocka_unit_test(stalled_socket_says_it_all),
		cmocka_unit_test(was_stalled_names_who_was_stopped),
		cmocka_unit_test(was_stalled_by_one_that_has_ended),
		cmocka_unit_test(was_stalled_is_of_this_window),
		cmocka_unit_test(a_start_is_no_stall),
		cmocka_unit_test(a_past_stall_explains_what_it_did),
		cmocka_unit_test(a_past_stall_is_no_slow_worker),
		cmocka_unit_test(a_stopped_worker_of_a_shared_socket),
		cmocka_unit_test(a_stopped_worker_that_takes_too_little),
		cmocka_unit_test(long_waits_without_a_look),
		cmocka_unit_test(long_waits_that_are_explained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
