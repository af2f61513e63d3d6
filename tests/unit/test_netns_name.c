/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/render/text.h"

static void names_are_shown_and_numbers_else(void **state)
{
	char buffer[NETNS_NAME_SIZE];

	(void)state;
	assert_string_equal(netns_say(buffer, 4026531840), "4026531840");
	netns_name_add(4026532000, "green");
	netns_name_add(4026532001, "a\033[31mb");
	netns_name_add(4026532000, "blue");
	netns_name_add(4026532000, "red");
	assert_string_equal(netns_say(buffer, 4026532000), "blue");
	assert_string_equal(text_netns(buffer, 4026532000, true), "blue");
	assert_string_equal(text_netns(buffer, 4026532001, true), "a?[31mb");
	assert_string_equal(text_netns(buffer, 4026531840, true), "4026531840");
	netns_names_forget();
	assert_string_equal(netns_say(buffer, 4026532000), "4026532000");
}

static void there_is_an_end_to_them(void **state)
{
	char buffer[NETNS_NAME_SIZE], longest[NETNS_NAME_SIZE + 10];

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	netns_name_add(1, longest);
	assert_int_equal(strlen(netns_say(buffer, 1)), NETNS_NAME_SIZE - 1);
	for (uint32_t i = 2; i <= NETNS_NAMES_MAX + 1; i++)
		netns_name_add(i, "name");
	assert_string_equal(netns_say(buffer, NETNS_NAMES_MAX), "name");
	snprintf(longest, sizeof(longest), "%d", NETNS_NAMES_MAX + 1);
	assert_string_equal(netns_say(buffer, NETNS_NAMES_MAX + 1), longest);
	netns_names_forget();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_shown_and_numbers_else),
		cmocka_unit_test(there_is_an_end_to_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
