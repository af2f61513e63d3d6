/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who waits on which socket: user/model/wait_graph.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../user/model/wait_graph.h"

/* Addresses, as the kernel has them. */
#define SOCKET 0x1000
#define OTHER 0x1100
#define EPOLL 0x2000
#define TASK 0x8000

static struct wait_graph g;
static struct array out;
static bool cut;

static int begin(void **state)
{
	(void)state;
	g = (struct wait_graph){};
	out = (struct array){};
	cut = false;
	return 0;
}

static int end(void **state)
{
	(void)state;
	wait_graph_free(&g);
	free(out.rows);
	return 0;
}

/* A thread of a process that has so many; its row is its number times ten. */
static void thread(uint32_t tid, uint32_t pid, uint32_t threads)
{
	const struct wait_thread t = {
		.task = TASK + tid, .pid = pid, .tid = tid, .threads = threads, .row = tid * 10
	};

	assert_non_null(array_add(&g.threads, &t, sizeof(t)));
}

static void epoll(uint64_t node)
{
	const struct wait_epoll e = { .node = node };

	assert_non_null(array_add(&g.epolls, &e, sizeof(e)));
}

static void held(uint64_t node, uint32_t pid, uint32_t fd)
{
	const struct wait_holder h = { node, pid, fd };

	assert_non_null(array_add(&g.holders, &h, sizeof(h)));
}

static void waits(uint64_t node, uint64_t waiter, enum wait_kind kind, bool exclusive)
{
	const struct wait_edge e = { node, waiter, kind, exclusive };

	assert_non_null(array_add(&g.edges, &e, sizeof(e)));
}

static void sleeps(uint64_t node, uint32_t tid)
{
	waits(node, TASK + tid, WAITS_BLOCKED, true);
}

static void watches(uint64_t epoll, uint64_t node)
{
	waits(node, epoll, WAITS_EPOLL, false);
}

static void list_cut(uint64_t node)
{
	assert_non_null(array_add(&g.cut, &node, sizeof(node)));
}

/* Who waits on the socket: `count` of them. */
static const struct waiting *follow(uint64_t socket, size_t count)
{
	out.count = 0;
	cut = false;
	assert_int_equal(wait_graph_follow(&g, socket, &out, &cut), 0);
	assert_int_equal(out.count, count);
	return out.rows;
}

static void assert_waiting(const struct waiting *w, uint32_t tid, enum wait_kind kind,
			   bool exclusive, uint64_t epoll_number, bool asleep)
{
	assert_int_equal(w->row, tid * 10);
	assert_int_equal(w->way.kind, kind);
	assert_int_equal(w->way.exclusive, exclusive);
	assert_int_equal(w->way.epoll, epoll_number);
	assert_int_equal(w->asleep, asleep);
}

/* ---- the ways to wait ---- */

static void a_blocked_accept(void **state)
{
	(void)state;
	thread(2, 2, 1);
	thread(1, 1, 1); /* it waits on nothing */
	sleeps(SOCKET, 2);
	wait_graph_end(&g);
	assert_waiting(follow(SOCKET, 1), 2, WAITS_BLOCKED, true, 0, true);
	assert_false(cut);
	follow(OTHER, 0);
}

static void a_poll(void **state)
{
	(void)state;
	thread(1, 1, 1);
	waits(SOCKET, TASK + 1, WAITS_POLL, false);
	wait_graph_end(&g);
	assert_waiting(follow(SOCKET, 1), 1, WAITS_POLL, false, 0, true);
}

static void in_an_epoll(void **state)
{
	(void)state;
	thread(1, 1, 1);
	epoll(EPOLL);
	watches(EPOLL, SOCKET);
	sleeps(EPOLL, 1); /* that entry is always an exclusive one */
	wait_graph_end(&g);
	assert_waiting(follow(SOCKET, 1), 1, WAITS_EPOLL, false, 1, true);
}

static void in_an_epoll_exclusively(void **state)
{
	(void)state;
	thread(1, 1, 1);
	epoll(EPOLL);
	waits(SOCKET, EPOLL, WAITS_EPOLL, true);
	sleeps(EPOLL, 1);
	wait_graph_end(&g);
	assert_waiting(follow(SOCKET, 1), 1, WAITS_EPOLL, true, 1, true);
}

static void what_it_sleeps_in_comes_before_its_epoll(void **state)
{
	(void)state;
	thread(1, 1, 1);
	epoll(EPOLL);
	watches(EPOLL, SOCKET);
	held(EPOLL, 1, 4);
	sleeps(SOCKET, 1);
	wait_graph_end(&g);
	assert_waiting(follow(SOCKET, 1), 1, WAITS_BLOCKED, true, 0, true);
}

static void each_thread_once_for_each_socket(void **state)
{
	(void)state;
	thread(1, 1, 1);
	for (int i = 0; i < 2; i++) {
		epoll(EPOLL + i);
		watches(EPOLL + i, SOCKET);
		sleeps(EPOLL + i, 1);
	}
	watches(EPOLL, OTHER);
	wait_graph_end(&g);
	follow(SOCKET, 1);
	follow(OTHER, 1);
	follow(SOCKET, 1);
}

/* ---- epolls ---- */

/* So many above each other; in the last one thread 1 sleeps. */
static void tower(unsigned count)
{
	wait_graph_begin(&g);
	thread(1, 1, 2);
	for (unsigned i = 0; i < count; i++) {
		epoll(EPOLL + i);
		waits(i ? EPOLL + i - 1 : SOCKET, EPOLL + i, WAITS_EPOLL, !i);
	}
	sleeps(EPOLL + count - 1, 1);
	wait_graph_end(&g);
}

static void epolls_above_each_other_up_to_the_kernels_limit(void **state)
{
	(void)state;
	tower(WAIT_GRAPH_EPOLLS);
	assert_waiting(follow(SOCKET, 1), 1, WAITS_EPOLL, true, WAIT_GRAPH_EPOLLS, true);
	tower(WAIT_GRAPH_EPOLLS + 1);
	follow(SOCKET, 0);
	assert_false(cut);
}

static void a_cycle_of_epolls_ends(void **state)
{
	(void)state;
	thread(1, 1, 1);
	epoll(EPOLL);
	epoll(EPOLL + 1);
	watches(EPOLL, SOCKET);
	watches(EPOLL + 1, EPOLL);
	watches(EPOLL, EPOLL + 1);
	sleeps(EPOLL + 1, 1);
	wait_graph_end(&g);
	assert_waiting(follow(SOCKET, 1), 1, WAITS_EPOLL, false, 2, true);
}

static void one_epoll_of_several_threads(void **state)
{
	const struct waiting *found;

	(void)state;
	thread(1, 1, 2);
	thread(2, 1, 2);
	epoll(EPOLL);
	watches(EPOLL, SOCKET);
	sleeps(EPOLL, 1);
	sleeps(EPOLL, 2);
	wait_graph_end(&g);
	found = follow(SOCKET, 2);
	assert_int_equal(found[0].way.epoll, 1);
	assert_int_equal(found[1].way.epoll, 1);
	assert_true(wait_graph_epoll(&g, EPOLL)->shared);
}

/* A sample with that epoll, in which that thread sleeps. */
static const struct wait_epoll *sample(uint64_t node, uint32_t tid)
{
	wait_graph_begin(&g);
	thread(1, 1, 2);
	thread(2, 1, 2);
	epoll(node);
	epoll(node); /* held by two processes it is listed twice */
	watches(node, SOCKET);
	if (tid)
		sleeps(node, tid);
	wait_graph_end(&g);
	follow(SOCKET, tid != 0);
	return wait_graph_epoll(&g, node);
}

static void an_epoll_is_remembered_from_sample_to_sample(void **state)
{
	const struct wait_epoll *e;

	(void)state;
	assert_int_equal(sample(EPOLL, 1)->number, 1);
	e = sample(EPOLL, 0);
	assert_int_equal(e->number, 1);
	assert_int_equal(e->sleeper, 1);
	assert_false(e->shared);
	e = sample(EPOLL, 2); /* by now both were seen */
	assert_true(e->shared);
	assert_true(sample(EPOLL, 0)->shared);
	e = sample(EPOLL + 1, 2); /* another one */
	assert_int_equal(e->number, 2);
	assert_false(e->shared);
}

/* ---- who is not seen ---- */

static void nobody_sleeps_in_it(uint32_t threads, uint32_t second_holder, size_t count)
{
	wait_graph_begin(&g);
	thread(1, 1, threads);
	epoll(EPOLL);
	watches(EPOLL, SOCKET);
	held(EPOLL, 1, 4);
	held(EPOLL, second_holder, 5);
	held(SOCKET, 1, 3);
	wait_graph_end(&g);
	follow(SOCKET, count);
}

static void a_busy_owner_comes_back_if_it_can_be_but_one(void **state)
{
	(void)state;
	nobody_sleeps_in_it(1, 1, 1);
	assert_waiting(out.rows, 1, WAITS_EPOLL, false, 1, false);
	nobody_sleeps_in_it(2, 1, 0);
	nobody_sleeps_in_it(1, 2, 0);
}

static void an_owner_is_not_busy_where_somebody_sleeps(void **state)
{
	(void)state;
	thread(1, 1, 1);
	thread(2, 2, 1);
	epoll(EPOLL);
	watches(EPOLL, SOCKET);
	held(EPOLL, 1, 4);
	sleeps(EPOLL, 2);
	wait_graph_end(&g);
	assert_waiting(follow(SOCKET, 1), 2, WAITS_EPOLL, false, 1, true);
}

static void who_only_holds_a_socket_does_not_wait(void **state)
{
	(void)state;
	thread(1, 1, 1);
	held(SOCKET, 1, 3);
	wait_graph_end(&g);
	follow(SOCKET, 0);
}

static void a_list_that_was_cut(void **state)
{
	(void)state;
	thread(1, 1, 1);
	epoll(EPOLL);
	watches(EPOLL, SOCKET);
	sleeps(EPOLL, 1);
	sleeps(OTHER, 1);
	sleeps(OTHER + 1, 1);
	list_cut(OTHER);
	list_cut(EPOLL);
	wait_graph_end(&g);
	follow(OTHER, 1);
	assert_true(cut);
	follow(SOCKET, 1);
	assert_true(cut);
	follow(OTHER + 1, 1);
	assert_false(cut);
}

static void threads_that_the_sample_left_out(void **state)
{
	(void)state;
	sleeps(SOCKET, 1);
	wait_graph_end(&g);
	follow(SOCKET, 0);
	assert_false(cut); /* it has ended meanwhile */
	g.left_out = true;
	follow(SOCKET, 0);
	assert_true(cut);
	wait_graph_begin(&g);
	assert_false(g.left_out);
}

static void how_a_busy_process_waits(void **state)
{
	struct wait_way way = {};

	(void)state;
	for (int i = 0; i < 4; i++)
		epoll(EPOLL + i);
	waits(SOCKET, EPOLL, WAITS_EPOLL, true); /* that of process 1 */
	watches(EPOLL + 1, SOCKET);              /* two of process 2 */
	watches(EPOLL + 2, SOCKET);
	watches(EPOLL + 3, OTHER); /* of process 1: in another one */
	watches(EPOLL, EPOLL + 3);
	held(EPOLL, 1, 4);
	held(EPOLL + 1, 2, 4);
	held(EPOLL + 2, 2, 5);
	held(EPOLL + 3, 1, 6);
	wait_graph_end(&g);
	assert_true(wait_graph_busy(&g, SOCKET, 1, &way));
	assert_int_equal(way.epoll, 1);
	assert_true(way.exclusive);
	assert_int_equal(way.kind, WAITS_EPOLL);
	assert_true(wait_graph_busy(&g, SOCKET, 2, &way));
	assert_int_equal(way.epoll, 0);
	assert_false(way.exclusive);
	assert_true(wait_graph_busy(&g, OTHER, 1, &way));
	assert_int_equal(way.epoll, 0);
	assert_false(wait_graph_busy(&g, OTHER, 2, &way));
}

/* ---- who holds what ---- */

static void watchers_are_those_who_have_an_epoll_alone(void **state)
{
	struct array pids = {};

	(void)state;
	for (int i = 0; i < 3; i++) {
		epoll(EPOLL + i);
		watches(EPOLL + i, SOCKET);
	}
	thread(7, 7, 1);
	sleeps(SOCKET, 7); /* it has no epoll */
	held(EPOLL, 9, 4);
	held(EPOLL + 1, 5, 4);
	held(EPOLL + 2, 1, 4);
	held(EPOLL + 2, 2, 4);
	wait_graph_end(&g);
	assert_int_equal(wait_graph_watchers(&g, SOCKET, &pids), 0);
	assert_int_equal(pids.count, 2);
	assert_int_equal(((uint32_t *)pids.rows)[0], 5);
	assert_int_equal(((uint32_t *)pids.rows)[1], 9);
	assert_int_equal(wait_graph_watchers(&g, OTHER, &pids), 0);
	assert_int_equal(pids.count, 0);
	free(pids.rows);
}

static void descriptors_and_sleepers_by_process(void **state)
{
	(void)state;
	thread(3, 1, 2);
	sleeps(SOCKET, 3);
	epoll(EPOLL);
	epoll(EPOLL + 1);
	watches(EPOLL + 1, EPOLL);
	held(SOCKET, 2, 3);
	held(SOCKET, 1, 9);
	held(SOCKET, 1, 4);
	wait_graph_end(&g);
	assert_int_equal(wait_graph_descriptor(&g, SOCKET, 1), 4);
	assert_int_equal(wait_graph_descriptor(&g, SOCKET, 3), -1);
	assert_true(wait_graph_sleeps_on(&g, SOCKET, 1));
	assert_false(wait_graph_sleeps_on(&g, SOCKET, 2));
	assert_true(wait_graph_is_watched(&g, EPOLL));
	assert_false(wait_graph_is_watched(&g, EPOLL + 1));
	assert_false(wait_graph_is_watched(&g, SOCKET));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_blocked_accept),
		TEST(a_poll),
		TEST(in_an_epoll),
		TEST(in_an_epoll_exclusively),
		TEST(what_it_sleeps_in_comes_before_its_epoll),
		TEST(each_thread_once_for_each_socket),
		TEST(epolls_above_each_other_up_to_the_kernels_limit),
		TEST(a_cycle_of_epolls_ends),
		TEST(one_epoll_of_several_threads),
		TEST(an_epoll_is_remembered_from_sample_to_sample),
		TEST(a_busy_owner_comes_back_if_it_can_be_but_one),
		TEST(an_owner_is_not_busy_where_somebody_sleeps),
		TEST(who_only_holds_a_socket_does_not_wait),
		TEST(a_list_that_was_cut),
		TEST(threads_that_the_sample_left_out),
		TEST(how_a_busy_process_waits),
		TEST(watchers_are_those_who_have_an_epoll_alone),
		TEST(descriptors_and_sleepers_by_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
