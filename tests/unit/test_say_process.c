/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How findings name processes: user/model/say_process.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/model/findings_rules.h"

static const char nginx[CGROUP_SIZE] = "/system.slice/nginx.service",
		  other[CGROUP_SIZE] = "/system.slice/other.service",
		  unknown[CGROUP_SIZE] = "/own/x";

static void a_process_is_in_its_unit(void **state)
{
	char longest[CGROUP_SIZE] = "/", buffer[PROCESS_SIZE];

	(void)state;
	assert_string_equal(say_process(buffer, "nginx", 700, nginx), "nginx 700 in nginx.service");
	assert_string_equal(say_process(buffer, "nginx", 700, unknown), "nginx 700");
	memset(longest + 1, 'x', 200);
	strcat(longest, ".service");
	assert_int_equal(strlen(say_process(buffer, "fifteen-letters", -2147483648, longest)),
			 strlen("fifteen-letters -2147483648 in ") + 80);
}

static void a_worker_may_be_a_thread(void **state)
{
	struct worker_row w = { .pid = 700, .tid = 700, .comm = "worker", .process = "envoy" };
	char buffer[WORKER_SIZE];

	(void)state;
	strcpy(w.cgroup, nginx);
	assert_string_equal(say_worker(buffer, &w), "envoy 700 in nginx.service");
	w.tid = 703;
	assert_string_equal(say_worker(buffer, &w), "thread 703 of envoy 700 in nginx.service");
	*w.process = '\0';
	assert_string_equal(say_worker(buffer, &w), "thread 703 of worker 700 in nginx.service");
}

static void holders_of_one_unit_say_it_once(void **state)
{
	struct holder_row rows[4] = {};
	struct endpoint e = { .holders = rows, .holder_count = 4 };
	char buffer[HELD_SIZE];

	(void)state;
	for (int i = 0; i < 4; i++) {
		rows[i] = (struct holder_row){ .cookie = 17, .pid = 700 + i, .process = "nginx" };
		strcpy(rows[i].cgroup, nginx);
	}
	assert_string_equal(say_holders(buffer, &e, 17),
			    "nginx 700, nginx 701, nginx 702 and 1 more in nginx.service");
	strcpy(rows[1].cgroup, "/system.slice/nginx.service/b");
	assert_string_equal(say_holders(buffer, &e, 17),
			    "nginx 700, nginx 701, nginx 702 and 1 more in nginx.service");
	strcpy(rows[1].cgroup, other);
	assert_string_equal(say_holders(buffer, &e, 17),
			    "nginx 700 in nginx.service, nginx 701 in other.service, nginx 702 in "
			    "nginx.service and 1 more");
	strcpy(rows[1].cgroup, nginx);
	strcpy(rows[3].cgroup, other); /* the one that is not named */
	assert_string_equal(say_holders(buffer, &e, 17),
			    "nginx 700 in nginx.service, nginx 701 in nginx.service, nginx 702 in "
			    "nginx.service and 1 more");
	assert_string_equal(say_holders(buffer, &e, 18), "no process seen");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_is_in_its_unit),
		cmocka_unit_test(a_worker_may_be_a_thread),
		cmocka_unit_test(holders_of_one_unit_say_it_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
