/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --fail-on uneven: user/model/decision.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/model/decision.h"
#include "../../user/model/judge.h"

static void assert_words(const struct decision *d, const char *expected)
{
	char buffer[DECISION_WORDS];

	assert_string_equal(decision_words(buffer, d), expected);
}

/* Two workers that got so many connections each of one socket, all known. */
static struct decision decide(uint64_t a, uint64_t b, const struct endpoint_lost *lost)
{
	struct socket_row socket = {
		.cookie = 1, .arrived = a + b, .accepted = a + b, .waiting_known = true
	};
	struct worker_row workers[] = { { .number = -1,
					  .pid = 1,
					  .tid = 1,
					  .cookie = 1,
					  .can_accept = true,
					  .wait_kind = WAITS_BLOCKED,
					  .accepted = a },
					{ .number = -1,
					  .pid = 2,
					  .tid = 2,
					  .cookie = 1,
					  .can_accept = true,
					  .wait_kind = WAITS_BLOCKED,
					  .accepted = b } };
	struct endpoint e = {
		.sockets = &socket, .socket_count = 1, .workers = workers, .worker_count = 2
	};

	if (lost)
		e.lost = *lost;
	assert_int_equal(endpoint_judge(&e, FAIRNESS_THRESHOLD), 0);
	return endpoint_decide(&e);
}

static void fair_or_not(void **state)
{
	(void)state;
	assert_int_equal(decide(1000, 1000, NULL).outcome, OUTCOME_EVEN);
	assert_int_equal(decide(1000, 3000, NULL).outcome, OUTCOME_UNEVEN);
}

static void what_can_not_be_told(void **state)
{
	const struct endpoint_lost accepts = { .accepted = 1231 }, arrivals = { .arrived = 9 };
	struct decision d;

	(void)state;
	d = decide(0, 0, NULL);
	assert_int_equal(d.outcome, OUTCOME_UNTOLD);
	assert_words(&d, "nothing came to it: is it the right port, and do clients reach it?");
	d.stuck = true;
	assert_words(&d, "nothing was taken from it, though something waits in its queue: see what "
			 "the result says of that");
	d = decide(1, 0, NULL);
	assert_int_equal(d.outcome, OUTCOME_TOO_FEW);
	assert_words(&d, "1 event is too few, 523 would do: let it run longer, or raise -n");
	d = decide(3, 4, NULL);
	assert_words(&d, "7 events are too few, 523 would do: let it run longer, or raise -n");
	d.unit = UNIT_FLOW;
	assert_words(&d, "7 flows are too few, 523 would do: send from more client ports");
	d.needed = 0; /* a run of a saved comparison */
	assert_words(&d, "too few events came to tell: let it run longer");
	d = decide(1000, 3000, &accepts);
	assert_int_equal(d.outcome, OUTCOME_WITHHELD);
	assert_words(&d, "up to 1231 of its events were not counted: narrow the filter");
	d = decide(0, 0, &accepts); /* all that it got is lost */
	assert_int_equal(d.outcome, OUTCOME_WITHHELD);
	assert_int_equal(decide(1000, 1000, &arrivals).outcome,
			 OUTCOME_EVEN); /* who took them was seen */
	assert_int_equal(decide(0, 0, &arrivals).outcome, OUTCOME_WITHHELD);
}

/* Each reason has words of what to do. */
static void every_reason_says_what_to_do(void **state)
{
	(void)state;
	for (enum withheld why = WITHHELD_NOT; why <= WITHHELD_LIVES_DIFFER; why++) {
		const struct decision d = { .outcome = OUTCOME_WITHHELD, .why = why };
		char buffer[DECISION_WORDS];

		assert_non_null(strstr(decision_words(buffer, &d), ": "));
		assert_int_equal(withheld_parse(why ? withheld_name(why) : "no such"), why);
	}
}

/* One worker: nothing to be uneven, once anything came. */
static void alone(void **state)
{
	struct fairness one = { .bins = 1, .events = 7 };

	(void)state;
	assert_int_equal(decision_of(&one, 7, 0).outcome, OUTCOME_ALONE);
	assert_int_equal(decision_of(&one, 0, 0).outcome, OUTCOME_UNTOLD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fair_or_not),
		cmocka_unit_test(what_can_not_be_told),
		cmocka_unit_test(every_reason_says_what_to_do),
		cmocka_unit_test(alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
