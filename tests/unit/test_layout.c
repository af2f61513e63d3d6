/* SPDX-License-Identifier: GPL-2.0-or-later */
/* No two writers' words in one cache line: bpf/count.h. Arrays of the kernel begin at a page. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../bpf/count.h"

#define LINE 64

static void a_thread_has_its_cache_lines_alone(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct count_worker) % LINE, 0);
}

static void an_accept_touches_one_line_of_its_row(void **state)
{
	(void)state;
	assert_int_equal(offsetof(struct count_worker, cookie), 0);
	assert_true(offsetof(struct count_worker, events) < LINE);
	assert_true(offsetof(struct count_worker, events_atomic) < LINE);
	assert_true(offsetof(struct count_worker, wait) + sizeof(struct count_wait) <= LINE);
	assert_true(offsetof(struct count_worker, used) < LINE);
	assert_true(offsetof(struct count_worker, generation) < LINE);
}

static void a_sketch_has_its_cache_lines_alone(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct count_sketch) % LINE, 0);
}

/* Row cpu * sockets + socket: a CPU's rows begin a line if the number of sockets is even. */
static void the_rows_of_a_cpu_begin_a_cache_line(void **state)
{
	(void)state;
	for (unsigned cpus = 1; cpus <= 1024; cpus++) {
		const uint64_t bytes =
			(uint64_t)count_sockets_max(cpus) * sizeof(struct count_arrival);

		assert_int_equal(bytes % LINE, 0);
	}
}

static void a_socket_has_room_on_every_cpu(void **state)
{
	(void)state;
	assert_int_equal(count_sockets_max(1), COUNT_SOCKETS_MAX);
	assert_int_equal(count_sockets_max(6), 3412); /* not 3413 */
	assert_int_equal(count_sockets_max(240), COUNT_SOCKETS_LEAST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_has_its_cache_lines_alone),
		cmocka_unit_test(an_accept_touches_one_line_of_its_row),
		cmocka_unit_test(a_sketch_has_its_cache_lines_alone),
		cmocka_unit_test(the_rows_of_a_cpu_begin_a_cache_line),
		cmocka_unit_test(a_socket_has_room_on_every_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
