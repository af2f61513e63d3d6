/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The number of flows, estimated: user/model/flows.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/model/flows.h"

static void see(struct flow_sketch *s, uint32_t random)
{
	s->bits[random >> 6 & 15] |= 1ull << (random & 63);
}

static void none_and_one(void **state)
{
	struct flow_sketch s = {};

	(void)state;
	assert_int_equal(flows_estimate(&s), 0);
	see(&s, 77);
	see(&s, 77);
	assert_int_equal(flows_estimate(&s), 1);
	see(&s, 78);
	assert_int_equal(flows_estimate(&s), 2);
}

/* Within four standard errors, with a fixed seed. */
static void many(void **state)
{
	static const struct {
		unsigned flows;
		double error;
	} cases[] = { { 8, 0.3 }, { 64, 0.12 }, { 500, 0.09 }, { 1024, 0.11 }, { 2000, 0.16 }, { 4000, 0.3 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct flow_sketch s = {};
		unsigned seed = 1;

		for (unsigned n = 0; n < cases[i].flows; n++)
			see(&s, rand_r(&seed));
		assert_true(fabs(flows_estimate(&s) / (double)cases[i].flows - 1) <= cases[i].error);
	}
}

static void full_is_a_number(void **state)
{
	struct flow_sketch s;

	(void)state;
	memset(&s, 0xff, sizeof(s));
	assert_int_equal(flows_estimate(&s), 7098);
}

static void flows_of_both_count_once(void **state)
{
	struct flow_sketch a = {}, b = {};

	(void)state;
	see(&a, 1);
	see(&a, 2);
	see(&b, 2);
	see(&b, 300);
	flows_add(&a, &b);
	assert_int_equal(flows_estimate(&a), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(none_and_one),
		cmocka_unit_test(many),
		cmocka_unit_test(full_is_a_number),
		cmocka_unit_test(flows_of_both_count_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
