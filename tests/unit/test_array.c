/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists that grow, and rows found in them: user/model/array.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../user/model/array.h"

static int by_value_at(const void *a, const void *b)
{
	return array_by_u32(*(const void *const *)a, *(const void *const *)b);
}

static void grows_and_keeps_what_it_has(void **state)
{
	struct array a = {};

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(*(uint32_t *)array_add(&a, &i, sizeof(i)), i);
	assert_int_equal(a.count, 1000);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(((uint32_t *)a.rows)[i], i);
	free(a.rows);
}

static void finds_the_first_of_equal_ones(void **state)
{
	const uint32_t values[] = { 5, 3, 9, 3, 3, 1 }, three = 3, one = 1, nine = 9, four = 4;
	struct array a = {}, empty = {};

	(void)state;
	for (size_t i = 0; i < 6; i++)
		assert_non_null(array_add(&a, &values[i], sizeof(*values)));
	array_sort(&a, sizeof(*values), array_by_u32); /* 1 3 3 3 5 9 */
	assert_int_equal(array_first(&a, sizeof(*values), &three, array_by_u32), 1);
	assert_int_equal(array_first(&a, sizeof(*values), &one, array_by_u32), 0);
	assert_int_equal(array_first(&a, sizeof(*values), &nine, array_by_u32), 5);
	assert_int_equal(array_first(&a, sizeof(*values), &four, array_by_u32), a.count);
	assert_ptr_equal(array_find(&a, sizeof(*values), &three, array_by_u32),
			 (uint32_t *)a.rows + 1);
	assert_null(array_find(&a, sizeof(*values), &four, array_by_u32));
	array_sort(&empty, sizeof(*values), array_by_u32);
	assert_int_equal(array_first(&empty, sizeof(*values), &one, array_by_u32), 0);
	free(a.rows);
}

static void finds_all_equal_ones_and_keeps_the_first(void **state)
{
	const struct row {
		uint64_t key;
		int number;
	} values[] = { { 3, 0 }, { 5ull << 32, 1 }, { 3, 2 }, { 5, 3 } };
	const uint64_t three = 3, most = 5ull << 32, four = 4;
	struct array a = {};
	struct row *rows;
	size_t count;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_non_null(array_add(&a, &values[i], sizeof(*values)));
	array_sort(&a, sizeof(*values), array_by_u64); /* 3 3 5 5<<32 */
	rows = a.rows;
	assert_ptr_equal(array_equal(&a, sizeof(*rows), &three, array_by_u64, &count), rows);
	assert_int_equal(count, 2);
	assert_ptr_equal(array_equal(&a, sizeof(*rows), &most, array_by_u64, &count), rows + 3);
	assert_int_equal(count, 1);
	assert_null(array_equal(&a, sizeof(*rows), &four, array_by_u64, &count));
	assert_int_equal(count, 0);
	rows[1].number = 9;
	array_unique(&a, sizeof(*rows), array_by_u64);
	assert_int_equal(a.count, 3);
	assert_int_not_equal(rows[0].number, 9);
	assert_int_equal(rows[1].number, 3);
	assert_int_equal(rows[2].number, 1);
	free(a.rows);
}

static void an_index_leads_to_the_row_itself(void **state)
{
	const uint32_t values[] = { 5, 3, 9 }, three = 3, four = 4;
	struct array_index index;

	(void)state;
	assert_int_equal(array_index_make(&index, values, 3, sizeof(*values), by_value_at), 0);
	assert_ptr_equal(array_index_find(&index, &three), &values[1]);
	assert_null(array_index_find(&index, &four));
	free(index.rows);
	assert_int_equal(array_index_make(&index, NULL, 0, sizeof(*values), by_value_at), 0);
	assert_null(array_index_find(&index, &three));
	free(index.rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_and_keeps_what_it_has),
		cmocka_unit_test(finds_the_first_of_equal_ones),
		cmocka_unit_test(finds_all_equal_ones_and_keeps_the_first),
		cmocka_unit_test(an_index_leads_to_the_row_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
