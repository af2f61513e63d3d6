/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists that grow, and rows found in them: user/model/array.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../user/model/array.h"

static int by_value(const void *a, const void *b)
{
	return COMPARE(*(const uint32_t *)a, *(const uint32_t *)b);
}

static int by_value_at(const void *a, const void *b)
{
	return by_value(*(const void *const *)a, *(const void *const *)b);
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
	array_sort(&a, sizeof(*values), by_value); /* 1 3 3 3 5 9 */
	assert_int_equal(array_first(&a, sizeof(*values), &three, by_value), 1);
	assert_int_equal(array_first(&a, sizeof(*values), &one, by_value), 0);
	assert_int_equal(array_first(&a, sizeof(*values), &nine, by_value), 5);
	assert_int_equal(array_first(&a, sizeof(*values), &four, by_value), a.count);
	array_sort(&empty, sizeof(*values), by_value);
	assert_int_equal(array_first(&empty, sizeof(*values), &one, by_value), 0);
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
		cmocka_unit_test(an_index_leads_to_the_row_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
