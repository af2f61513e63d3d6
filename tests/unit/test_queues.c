/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Accept queues from look to look: user/model/queues.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
