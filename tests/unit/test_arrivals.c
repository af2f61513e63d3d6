/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What came to a socket, out of what each CPU counted: user/model/arrivals.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../user/model/arrivals.h"

static void nothing_came(void **state)
{
	const struct arrivals_cpu rows[2] = {};
	const struct arrivals sum = arrivals_sum(rows, 2);

	(void)state;
	assert_int_equal(sum.arrived, 0);
	assert_int_equal(sum.dropped, 0);
	assert_int_equal(sum.unseen, 0);
	assert_int_equal(arrivals_sum(rows, 0).arrived, 0);
}

static void the_queue_was_as_long_as_on_any_cpu(void **state)
{
	const struct arrivals_cpu rows[] = { { .arrived = 3, .queue_highest = 2 },
					     { .arrived = 9, .queue_highest = 7 },
					     { .queue_highest = 4 } };
	const struct arrivals sum = arrivals_sum(rows, 3);

	(void)state;
	assert_int_equal(sum.arrived, 12);
	assert_int_equal(sum.queue_highest, 7);
}

/* CPU 1 empties the stage for CPU 0: its late drops are more than it saw arrive itself. */
static void a_late_drop_is_another_cpus_arrival(void **state)
{
	const struct arrivals_cpu rows[] = { { .arrived = 10 },
					     { .arrived = 1, .dropped = 4, .dropped_late = 3 } };
	const struct arrivals sum = arrivals_sum(rows, 2);

	(void)state;
	assert_int_equal(sum.arrived, 8);
	assert_int_equal(sum.dropped, 4);
	assert_int_equal(sum.unseen, 0);
}

/* More late drops than arrivals: `arrived` is no number near 2^64, and what was not seen is told.
 */
static void a_late_drop_without_its_arrival_is_told(void **state)
{
	const struct arrivals_cpu rows[] = { { .arrived = 2 },
					     { .dropped = 5, .dropped_late = 5 } };
	const struct arrivals sum = arrivals_sum(rows, 2);

	(void)state;
	assert_int_equal(sum.arrived, 0);
	assert_int_equal(sum.dropped, 5);
	assert_int_equal(sum.unseen, 3);
}

/* Counts of 32 bits that wrap add up to one that wraps. */
static void buffers_of_several_wrap(void **state)
{
	const struct arrivals_cpu rows[] = { { .several = 0xfffffffe }, { .several = 5 } };

	(void)state;
	assert_int_equal(arrivals_sum(rows, 2).several, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_came),
		cmocka_unit_test(the_queue_was_as_long_as_on_any_cpu),
		cmocka_unit_test(a_late_drop_is_another_cpus_arrival),
		cmocka_unit_test(a_late_drop_without_its_arrival_is_told),
		cmocka_unit_test(buffers_of_several_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
