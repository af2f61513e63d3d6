/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which format an Accept line asks for: user/export/accept.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/export/accept.h"

static enum export_format choice(const char *line)
{
	struct accepting a = {};

	accepting_line(&a, line);
	return accepting_choice(&a);
}

#define OPEN "application/openmetrics-text"

static void the_higher_q_wins(void **state)
{
	(void)state;
	assert_int_equal(choice(OPEN ";q=0.5,text/plain;q=0.4"), EXPORT_OPENMETRICS);
	assert_int_equal(choice(OPEN ";q=0.4,text/plain;q=0.5"), EXPORT_CLASSIC);
	assert_int_equal(choice(OPEN ";q=0.001,text/plain;q=0.000"), EXPORT_OPENMETRICS);
	assert_int_equal(choice(OPEN ";q=1.000,text/plain;q=0.999"), EXPORT_OPENMETRICS);
	assert_int_equal(choice(OPEN ";q=0.9991,text/plain;q=0.9999"), EXPORT_OPENMETRICS);
}

static void the_most_exact_range_counts(void **state)
{
	(void)state;
	assert_int_equal(choice("*/*;q=0.9," OPEN ";q=0.1,text/*;q=0.2"), EXPORT_CLASSIC);
	assert_int_equal(choice("*/*;q=0.3,text/plain;q=0.2"), EXPORT_OPENMETRICS);
	assert_int_equal(choice(OPEN ";q=0.1," OPEN ";version=1.0.0;q=0.9,text/plain;q=0.5"),
			 EXPORT_OPENMETRICS);
	assert_int_equal(choice(OPEN ";version=1.0.0;q=0.1," OPEN ";q=0.9,text/plain;q=0.5"),
			 EXPORT_CLASSIC);
}

static void at_the_same_q_a_name_wins(void **state)
{
	(void)state;
	assert_int_equal(choice(OPEN ",text/plain"), EXPORT_OPENMETRICS);
	assert_int_equal(choice("text/plain," OPEN), EXPORT_OPENMETRICS);
	assert_int_equal(choice(OPEN ",*/*"), EXPORT_OPENMETRICS);
	assert_int_equal(choice("text/plain,*/*"), EXPORT_CLASSIC);
	assert_int_equal(choice(OPEN ",text/plain;version=0.0.4"), EXPORT_CLASSIC);
	assert_int_equal(choice("*/*"), EXPORT_CLASSIC);
	assert_int_equal(choice("application/*,text/*"), EXPORT_CLASSIC);
}

static void nothing_asked_for_is_the_older_format(void **state)
{
	(void)state;
	assert_int_equal(choice(""), EXPORT_CLASSIC);
	assert_int_equal(choice("text/html"), EXPORT_CLASSIC);
	assert_int_equal(choice(OPEN ";q=0"), EXPORT_CLASSIC);
	assert_int_equal(choice(OPEN ";q=0,text/plain;q=0"), EXPORT_CLASSIC);
	assert_int_equal(choice(OPEN ";version=2.0.0"), EXPORT_CLASSIC);
	assert_int_equal(choice(OPEN ";charset=latin1"), EXPORT_CLASSIC);
	assert_int_equal(choice("*/openmetrics-text"), EXPORT_CLASSIC);
}

static void what_is_malformed_counts_for_nothing(void **state)
{
	static const char *const lines[] = {
		OPEN ";q=1.5;q=x", OPEN ";q=2",    OPEN ";q=-1", OPEN ";q=", OPEN ";q=0.x",
		OPEN ";q=10",      OPEN ";q",      OPEN " x",    OPEN "/x",  "/" OPEN,
		"application",     "application/", ";q=1",       "=",        "\"" OPEN "\"",
		OPEN ";=1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		assert_int_equal(choice(lines[i]), EXPORT_CLASSIC);
	assert_int_equal(choice(",, ,x;;," OPEN "; ;q=0.5;,"), EXPORT_OPENMETRICS);
	/* A quotation that does not end is the rest of the line. */
	assert_int_equal(choice("text/plain;q=0.1;x=\"," OPEN), EXPORT_CLASSIC);
	assert_int_equal(choice("text/plain;q=0.1;x=\"\\"), EXPORT_CLASSIC);
	assert_int_equal(choice("text/plain;x=\"a, " OPEN "\";q=0.5"), EXPORT_CLASSIC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_higher_q_wins),
		cmocka_unit_test(the_most_exact_range_counts),
		cmocka_unit_test(at_the_same_q_a_name_wins),
		cmocka_unit_test(nothing_asked_for_is_the_older_format),
		cmocka_unit_test(what_is_malformed_counts_for_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
