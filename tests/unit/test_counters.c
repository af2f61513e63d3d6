/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables of counters: user/model/counters.c. No count of a row is in none of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/model/counters.h"

#define WORD sizeof(uint64_t)

/* Members that are no counters, from one to another. `size` is all that they take: a member that is
 * put between them has to be told here, or in the table. */
struct others {
	size_t at, end, size;
};
#define OTHERS(row, first, last, size)                                                             \
	{                                                                                          \
		offsetof(struct row, first),                                                       \
			offsetof(struct row, last) + sizeof(((struct row *)0)->last), size         \
	}

static const struct others of_sockets[] = {
	OTHERS(socket_row, cookie, v6only, 49),
	OTHERS(socket_row, sketch, copies_known, 9),
	OTHERS(socket_row, member, member, 1),
	OTHERS(socket_row, queue_known, full_known, 21),
	OTHERS(socket_row, stalled_ns, wait, 168),
	OTHERS(socket_row, steered, waiting_most, 60),
	OTHERS(socket_row, waiting_cut, left_out, 33),
};
static const struct others of_workers[] = {
	OTHERS(worker_row, number, can_accept, 353),
	OTHERS(worker_row, wait_known, wait, 40),
	OTHERS(worker_row, serves, serves, 1),
	OTHERS(worker_row, handed, open_at_least, 49),
	OTHERS(worker_row, usage_known, usage_known, 1),
	OTHERS(worker_row, process_cpu_known, process_cpu_known, 1),
	OTHERS(worker_row, bytes_known, bytes_known, 1),
	OTHERS(worker_row, bytes_at_least, generation, 8),
	OTHERS(worker_row, quiet_ns, left_out, 9),
};
/* `open` is of what a document leaves out, and nothing is subtracted from that. */
static const struct others of_omitted[] = {
	OTHERS(omitted, open, wait, 48),
};

/* Every word of the row is of a counter, or of what is told to be none. */
static void check_words(const char *row, size_t size, const struct counters *table,
			const struct others *others, size_t count)
{
	for (size_t at = 0; at < size; at += WORD) {
		int named = 0;

		for (size_t i = 0; i < table->count; i++)
			named += table->list[i].at == at;
		for (size_t i = 0; i < count; i++)
			named += others[i].at < at + WORD && others[i].end > at;
		if (named != 1)
			fail_msg("%s: the word at %zu is in %d tables", row, at, named);
	}
	for (size_t i = 0; i < count; i++)
		if (others[i].end - others[i].at != others[i].size)
			fail_msg("%s: %zu bytes at %zu, not %zu: is what is new a counter?", row,
				 others[i].end - others[i].at, others[i].at, others[i].size);
}

#define CHECK_WORDS(row, table, others)                                                            \
	check_words(#row, sizeof(struct row), &table, others, sizeof(others) / sizeof(*others))

static void every_count_is_in_a_table(void **state)
{
	(void)state;
	CHECK_WORDS(socket_row, socket_counters, of_sockets);
	CHECK_WORDS(worker_row, worker_counters, of_workers);
	CHECK_WORDS(omitted, omitted_counters, of_omitted);
}

static uint64_t *word(void *row, size_t at)
{
	return (uint64_t *)((char *)row + at);
}

/* Counter i of `now` is 1000 + 3 * i, of `before` 2 * i. */
static void fill(const struct counters *table, void *now, void *before)
{
	for (size_t i = 0; i < table->count; i++) {
		*word(now, table->list[i].at) = 1000 + 3 * i;
		*word(before, table->list[i].at) = 2 * i;
	}
}

static void each_is_subtracted_and_cleared(void **state)
{
	struct worker_row now = { .pid = 1 }, before = { .pid = 2 };

	(void)state;
	fill(&worker_counters, &now, &before);
	counters_subtract(&worker_counters, &now, &before);
	for (size_t i = 0; i < worker_counters.count; i++)
		assert_int_equal(*word(&now, worker_counters.list[i].at), 1000 + i);
	assert_int_equal(now.pid, 1);
	counters_add(&worker_counters, &now, &before);
	for (size_t i = 0; i < worker_counters.count; i++)
		assert_int_equal(*word(&now, worker_counters.list[i].at), 1000 + 3 * i);
	counters_clear(&worker_counters, &now);
	counters_subtract(&worker_counters, &now, &before); /* never below 0 */
	for (size_t i = 0; i < worker_counters.count; i++)
		assert_int_equal(*word(&now, worker_counters.list[i].at), 0);
}

/* What is beside events does not bring a row back that has ended. */
static void events_differ(void **state)
{
	struct socket_row now = {}, before = {};

	(void)state;
	now.looks = now.copies = 1;
	assert_false(counters_differ(&socket_counters, &now, &before));
	now.migrated = 1;
	assert_true(counters_differ(&socket_counters, &now, &before));
}

static void rows_that_are_omitted_are_added_up(void **state)
{
	const struct socket_row socket = { .connected = true,
					   .arrived = 5,
					   .dropped = 4,
					   .accepted = 3,
					   .drops = 2,
					   .dropped_closing = 1,
					   .migrated = 6,
					   .buffers_maybe_several = 7,
					   .looks = 9 };
	const struct worker_row worker = { .accepted = 3,
					   .served = 2,
					   .finished = 1,
					   .queued_before = 4,
					   .reset_queued = 5,
					   .bytes = { 6, 7 },
					   .wait = { .count = 8, .sum_ns = 9, .max_ns = 3 },
					   .cpu_ns = 1,
					   .open = 1 };
	const struct omitted expected = { .sockets = 2,
					  .workers = 1,
					  .connected = 2,
					  .arrived = 10,
					  .dropped = 8,
					  .accepted = 3,
					  .buffers_maybe_several = 14,
					  .served = 2,
					  .finished = 1,
					  .queued_before = 4,
					  .reset_queued = 5,
					  .bytes = { 6, 7 },
					  .drops = 4,
					  .dropped_closing = 2,
					  .migrated = 12,
					  .wait = { .count = 8, .sum_ns = 9, .max_ns = 3 } };
	struct omitted o = {};

	(void)state;
	omitted_add_socket(&o, &socket);
	omitted_add_socket(&o, &socket);
	omitted_add_worker(&o, &worker);
	assert_memory_equal(&o, &expected, offsetof(struct omitted, wait));
	assert_int_equal(o.wait.count, expected.wait.count);
	assert_int_equal(o.wait.sum_ns, expected.wait.sum_ns);
	assert_int_equal(o.wait.max_ns, expected.wait.max_ns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_count_is_in_a_table),
		cmocka_unit_test(each_is_subtracted_and_cleared),
		cmocka_unit_test(events_differ),
		cmocka_unit_test(rows_that_are_omitted_are_added_up),
	};

	return cmocka_run_group_tests_name("counters", tests, NULL, NULL);
}
