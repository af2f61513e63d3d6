/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Accept queues from look to look: user/model/queues.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/model/queues.h"

#define SECOND 1000000000ull
#define START (100 * SECOND)
#define LIMIT 4 /* holds 5 */

/* One look: at which second, how long the queue was, how many had been accepted; and what is then
 * known. */
struct look {
	unsigned second, length, accepted;
	unsigned full, stalled, stalled_length; /* seconds */
};

static void looks(const struct look *steps, size_t count)
{
	struct ledger_socket s = { .row.queue_limit = LIMIT };

	for (size_t i = 0; i < count; i++) {
		queue_look(&s, START + steps[i].second * SECOND, steps[i].length,
			   steps[i].accepted);
		assert_int_equal(s.row.full_known, i > 0);
		assert_int_equal(s.row.full_ns, steps[i].full * SECOND);
		assert_int_equal(s.row.stalled_ns, steps[i].stalled * SECOND);
		assert_int_equal(s.row.stalled_length, steps[i].stalled_length);
	}
}

#define LOOKS(...)                                                                                 \
	do {                                                                                       \
		static const struct look steps[] = { __VA_ARGS__ };                                \
		looks(steps, sizeof(steps) / sizeof(*steps));                                      \
	} while (0)

static void full_needs_two_looks(void **state)
{
	(void)state;
	LOOKS({ 0, 5, 0, 0, 0, 0 }, { 1, 5, 1, 1, 0, 0 }, { 3, 4, 2, 1, 0, 0 },
	      { 4, 5, 3, 1, 0, 0 }, { 6, 5, 4, 3, 0, 0 });
}

static void a_queue_of_its_limit_is_not_full(void **state)
{
	(void)state;
	LOOKS({ 0, LIMIT, 0, 0, 0, 0 }, { 1, LIMIT, 1, 0, 0, 0 });
}

static void it_stalls_while_nothing_is_taken(void **state)
{
	(void)state;
	LOOKS({ 0, 2, 7, 0, 0, 0 }, { 1, 3, 7, 0, 1, 2 }, { 3, 3, 7, 0, 3, 2 },
	      { 4, 3, 8, 0, 0, 0 }, { 5, 3, 8, 0, 1, 3 });
}

static void an_empty_queue_does_not_stall(void **state)
{
	(void)state;
	LOOKS({ 0, 0, 0, 0, 0, 0 }, { 1, 0, 0, 0, 0, 0 }, { 2, 1, 0, 0, 0, 0 },
	      { 3, 1, 0, 0, 1, 1 }, { 4, 0, 0, 0, 0, 0 }, { 5, 1, 0, 0, 0, 0 });
}

/* Accepts that were not counted show in the length; and a sum falls when rows of workers are
 * folded. */
static void doubt_is_no_stall(void **state)
{
	(void)state;
	LOOKS({ 0, 3, 7, 0, 0, 0 }, { 1, 2, 7, 0, 0, 0 }, { 2, 2, 7, 0, 1, 2 },
	      { 3, 2, 5, 0, 0, 0 }, { 4, 2, 5, 0, 1, 2 });
}

static struct ledger_socket *listener(struct ledger *l, uint64_t cookie, uint32_t length,
				      uint64_t read_ns)
{
	struct ledger_socket *s = ledger_socket(l, cookie, NULL);

	assert_non_null(s);
	s->row.queue_known = true;
	s->row.queue_limit = LIMIT;
	s->row.queue_length = length;
	s->read_ns = read_ns;
	return s;
}

static void accepted(struct ledger *l, uint64_t cookie, int32_t tid, uint64_t count, bool last)
{
	struct ledger_worker *w = ledger_worker(l, cookie, tid, 1, NULL);

	assert_non_null(w);
	ledger_count_worker(w, count, last);
}

static void accepts_are_those_of_all_workers(void **state)
{
	struct ledger *l = ledger_new(10, 1);
	struct ledger_socket *busy = listener(l, 1, 1, START), *stuck = listener(l, 2, 1, START);

	(void)state;
	accepted(l, 1, 10, 5, false);
	accepted(l, 1, 11, 5, false);
	accepted(l, 2, 10, 5, true);  /* its row was given back */
	accepted(l, 3, 10, 5, false); /* its socket has no row */
	queues_look(l);
	accepted(l, 1, 11, 6, false);
	listener(l, 1, 1, START + SECOND);
	listener(l, 2, 1, START + SECOND);
	queues_look(l);
	assert_int_equal(busy->row.stalled_ns, 0);
	assert_int_equal(stuck->row.stalled_ns, SECOND);
	listener(l, 1, 1, START + 2 * SECOND);
	listener(l, 2, 1, START + 2 * SECOND);
	accepted(l, 2, 12, 1, false);
	queues_look(l);
	assert_int_equal(busy->row.stalled_ns, SECOND);
	assert_int_equal(stuck->row.stalled_ns, 0);
	ledger_free(l);
}

static void only_what_was_read_is_looked_at(void **state)
{
	struct ledger *l = ledger_new(10, 1);
	struct ledger_socket *s = listener(l, 1, 5, START), *udp = listener(l, 2, 5, START);

	(void)state;
	udp->protocol = PROTOCOL_UDP;
	queues_look(l);
	queues_look(l); /* not read again */
	assert_false(s->row.full_known);
	listener(l, 1, 5, START + SECOND);
	listener(l, 2, 5, START + SECOND);
	queues_look(l);
	assert_true(s->row.full_known);
	assert_int_equal(s->row.full_ns, SECOND);
	assert_int_equal(s->row.stalled_ns, SECOND);
	assert_false(udp->row.full_known);
	ledger_end_socket(l, s);
	queues_look(l);
	assert_int_equal(s->row.full_ns, SECOND);
	assert_int_equal(s->row.stalled_ns, 0);
	assert_int_equal(s->row.stalled_length, 0);
	ledger_free(l);
}

/* ---- stalls that are remembered ---- */

/* A look at listener 1 at that second of the window, half a second after it by the other clock; a
 * process of that pid holds the socket. */
static void look(struct ledger *l, unsigned second, uint32_t length, uint64_t taken, uint32_t drops,
		 int32_t pid)
{
	struct ledger_socket *s = listener(l, 1, length, START + second * SECOND);
	struct holder_row *holder = calloc(1, sizeof(*holder));

	assert_non_null(holder);
	*holder = (struct holder_row){ .cookie = 1, .pid = pid };
	ledger_clock(l, SECOND, SECOND + second * SECOND + SECOND / 2);
	s->drops_now = drops;
	accepted(l, 1, 10, taken, false);
	ledger_hold(l, holder, 1);
	queues_look(l);
	assert_int_equal(queues_remember(l), 0);
}

/* Seconds, and those since the window began in halves. */
#define assert_stall(s, seconds, last, ended, queued, times, dropped)                              \
	do {                                                                                       \
		assert_int_equal((s)->row.stall.ns, (seconds)*SECOND);                             \
		assert_int_equal((s)->row.stall.last_ns, (last)*SECOND / 2);                       \
		assert_int_equal((s)->row.stall.over, (ended) > 0);                                \
		if ((ended) > 0)                                                                   \
			assert_int_equal((s)->row.stall.over_ns, (ended)*SECOND / 2);              \
		assert_int_equal((s)->row.stall.length, queued);                                   \
		assert_int_equal((s)->row.stall.count, times);                                     \
		assert_int_equal((s)->row.stall.drops, dropped);                                   \
	} while (0)

static void a_stall_that_is_over_is_remembered(void **state)
{
	struct ledger *l = ledger_new(10, 1);
	struct ledger_socket *s = ledger_socket(l, 1, NULL);

	(void)state;
	look(l, 0, 0, 5, 100, 7);
	look(l, 1, 2, 5, 103, 7);
	assert_int_equal(s->row.stall.ns, 0); /* a queue is no stall */
	look(l, 2, 3, 5, 110, 7);
	assert_stall(s, 1, 5, 0, 3, 1, 10);
	look(l, 4, 4, 5, 120, 8);
	assert_stall(s, 3, 9, 0, 4, 1, 20);
	assert_false(s->row.stall.fresh);
	look(l, 6, 1, 9, 121, 9); /* what is dropped until the end is known belongs to it */
	assert_stall(s, 3, 9, 13, 4, 1, 21);
	look(l, 8, 0, 10, 130, 9);
	assert_stall(s, 3, 9, 13, 4, 1, 21);
	assert_int_equal(s->staller_count, 1);
	assert_int_equal(s->stallers[0].pid, 8); /* as the last look of the stall found it */
	ledger_free(l);
}

static void the_longest_stall_is_kept_and_all_are_counted(void **state)
{
	struct ledger *l = ledger_new(10, 1);
	struct ledger_socket *s = ledger_socket(l, 1, NULL);

	(void)state;
	look(l, 0, 1, 0, 10, 7);
	look(l, 3, 1, 0, 12, 7);
	look(l, 4, 0, 1, 13, 8);
	assert_stall(s, 3, 7, 9, 1, 1, 3);
	assert_true(s->row.stall.fresh); /* nothing was taken before */
	look(l, 5, 1, 1, 20, 8);
	look(l, 7, 1, 1, 24, 8); /* a shorter one */
	assert_stall(s, 3, 7, 9, 1, 2, 14);
	look(l, 8, 0, 2, 25, 8);
	assert_stall(s, 3, 7, 9, 1, 2, 15);
	look(l, 9, 5, 2, 25, 9);
	look(l, 13, 6, 2, 30, 9); /* a longer one, which goes on */
	assert_stall(s, 4, 27, 0, 6, 3, 20);
	assert_int_equal(s->stallers[0].pid, 9);
	ledger_end_socket(l, s); /* until it is closed */
	queues_look(l);
	assert_stall(s, 4, 27, 27, 6, 3, 20);
	ledger_free(l);
}

/* A moment without an accept, or one at each look: a busy worker, bursts, an idle one. */
static void what_is_taken_in_time_is_no_stall(void **state)
{
	struct ledger *l = ledger_new(10, 1);
	struct ledger_socket *s = ledger_socket(l, 1, NULL);

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		look(l, i, 4, i, 10 * i, 7);
	for (unsigned i = 10; i < 20; i++)
		look(l, i, i % 2 * 4, 10, 100, 7);
	look(l, 60, 0, 10, 100, 7);
	look(l, 120, 1, 10, 100, 7);
	assert_int_equal(s->row.stall.ns, 0);
	assert_int_equal(s->row.stall.count + s->row.stall.drops + s->staller_count, 0);
	ledger_clock(l, 0, 0); /* before the window */
	listener(l, 1, 1, START + 125 * SECOND);
	queues_look(l);
	assert_int_equal(queues_remember(l), 0);
	assert_int_equal(s->row.stalled_ns, 5 * SECOND);
	assert_int_equal(s->row.stall.ns, 0);
	ledger_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_needs_two_looks),
		cmocka_unit_test(a_queue_of_its_limit_is_not_full),
		cmocka_unit_test(it_stalls_while_nothing_is_taken),
		cmocka_unit_test(an_empty_queue_does_not_stall),
		cmocka_unit_test(doubt_is_no_stall),
		cmocka_unit_test(accepts_are_those_of_all_workers),
		cmocka_unit_test(only_what_was_read_is_looked_at),
		cmocka_unit_test(a_stall_that_is_over_is_remembered),
		cmocka_unit_test(the_longest_stall_is_kept_and_all_are_counted),
		cmocka_unit_test(what_is_taken_in_time_is_no_stall),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
