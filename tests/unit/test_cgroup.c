/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/model/unit.h"

/* "/0000x.../LAST": of that many bytes. */
static char *path_of(char *path, size_t length, unsigned number, const char *last)
{
	memset(path, 'x', length);
	snprintf(path, 6, "/%04u", number);
	path[5] = 'x';
	path[length - strlen(last) - 1] = '/';
	memcpy(path + length - strlen(last), last, strlen(last) + 1);
	return path;
}

static void short_ones_are_their_row(void **state)
{
	char row[CGROUP_SIZE], path[CGROUP_SIZE];

	(void)state;
	cgroup_set(row, "");
	assert_string_equal(cgroup_whole(row), "");
	cgroup_set(row, path_of(path, CGROUP_SIZE - 1, 1, "end"));
	assert_ptr_equal(cgroup_whole(row), row);
	assert_string_equal(row, path);
}

static void long_ones_are_whole(void **state)
{
	char rows[3][CGROUP_SIZE], path[4096];

	(void)state;
	for (size_t length = CGROUP_SIZE; length < sizeof(path); length += 3839) {
		cgroup_set(rows[0], path_of(path, length, 2, "a.service"));
		cgroup_set(rows[1], path_of(path, length, 2, "b.service"));
		cgroup_set(rows[2], path_of(path, length, 2, "a.service"));
		assert_string_equal(cgroup_whole(rows[0]), path);
		assert_string_equal(cgroup_whole(rows[1]), path_of(path, length, 2, "b.service"));
		assert_memory_equal(rows[0], rows[2], CGROUP_SIZE);
		assert_memory_not_equal(rows[0], rows[1], CGROUP_SIZE);
		assert_memory_equal(rows[1], path, CGROUP_CUT);
	}
}

/* The unit is at the end of the path. */
static void a_long_ones_unit_is_found(void **state)
{
	char row[CGROUP_SIZE], path[4096];
	struct unit unit;

	(void)state;
	path_of(path, 200, 3, "y");
	memset(path + 200, 'z', 200);
	path[200] = '/';
	strcpy(path + 400, "/deep.service");
	cgroup_set(row, path);
	assert_true(unit_of_row(&unit, row));
	assert_string_equal(unit.name, "deep.service");
}

static void there_is_an_end_to_what_is_kept(void **state)
{
	char row[CGROUP_SIZE], path[CGROUP_SIZE + 1];

	(void)state;
	for (unsigned i = 0; i < CGROUP_LONG_MAX; i++) {
		cgroup_set(row, path_of(path, CGROUP_SIZE, i, "end"));
		if (cgroup_whole(row))
			assert_string_equal(cgroup_whole(row), path);
	}
	cgroup_set(row, path_of(path, CGROUP_SIZE, 9999, "end"));
	assert_null(cgroup_whole(row));
	assert_memory_equal(row, path, CGROUP_CUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_ones_are_their_row), cmocka_unit_test(long_ones_are_whole),
		cmocka_unit_test(a_long_ones_unit_is_found),
		cmocka_unit_test(
			there_is_an_end_to_what_is_kept), /* last: it fills what there is */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
