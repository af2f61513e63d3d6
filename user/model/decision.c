/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "decision.h"

#include <inttypes.h>
#include <stdio.h>

#include "judge.h"
#include "words.h"

struct decision decision_of(const struct fairness *f, uint64_t events, uint64_t lost)
{
	static const enum outcome outcomes[] = {
		[VERDICT_NOT_APPLICABLE] = OUTCOME_ALONE,
		[VERDICT_UNEVEN] = OUTCOME_UNEVEN,
		[VERDICT_TOO_FEW] = OUTCOME_TOO_FEW,
		[VERDICT_FLOWS_UNKNOWN] = OUTCOME_FLOWS_UNKNOWN,
		[VERDICT_EVEN] = OUTCOME_EVEN,
		[VERDICT_WITHHELD] = OUTCOME_WITHHELD,
	};
	struct decision d = { .outcome = outcomes[f->verdict],
			      .why = f->withheld,
			      .needed = f->needed,
			      .unit = f->unit,
			      .lost = lost };

	d.seen = f->unit == UNIT_FLOW ? f->flows : f->events;
	if (f->verdict == VERDICT_NOT_APPLICABLE && !events)
		d.outcome = OUTCOME_UNTOLD;
	return d;
}

struct decision endpoint_decide(const struct endpoint *e)
{
	const struct fairness *f = endpoint_decisive(e);
	struct decision d =
		decision_of(f, endpoint_events(e),
			    f == &e->socket_fairness ? e->lost.arrived : e->lost.accepted);

	for (size_t i = 0; i < e->socket_count; i++)
		d.stuck |= e->sockets[i].queue_known && e->sockets[i].queue_length;
	return d;
}

static const char *withheld_advice(char buffer[DECISION_WORDS], const struct decision *d)
{
	static const char *const words[] = {
		[WITHHELD_NOT] = "its verdict was withheld: see why in the result that it is from",
		[WITHHELD_COUNTS_LOST] = "some of its events were not counted: narrow the filter",
		[WITHHELD_WAITERS_CUT] =
			"more threads wait than could be listed: narrow the filter",
		[WITHHELD_ROWS_CUT] = ("some of its sockets or threads are beyond the limit of "
				       "rows: narrow the filter, or watch for a shorter time"),
		[WITHHELD_BINS_UNKNOWN] =
			"who else could have got work is not known: watch while it runs",
		[WITHHELD_OPEN_INCOMPLETE] =
			"not all of its connections could be followed: narrow the filter",
		[WITHHELD_LIVES_DIFFER] =
			"its workers came and went at different times: watch between two changes",
	};

	if (d->why == WITHHELD_COUNTS_LOST && d->lost)
		snprintf(buffer, DECISION_WORDS,
			 "up to %" PRIu64 " of its events were not counted: narrow the filter",
			 d->lost);
	else
		snprintf(buffer, DECISION_WORDS, "%s", words[d->why]);
	return buffer;
}

const char *decision_words(char buffer[DECISION_WORDS], const struct decision *d)
{
	switch (d->outcome) {
	case OUTCOME_WITHHELD: return withheld_advice(buffer, d);
	case OUTCOME_TOO_FEW:
		if (!d->needed)
			return "too few events came to tell: let it run longer";
		snprintf(buffer, DECISION_WORDS,
			 "%" PRIu64 " %s%s too few, %" PRIu64 " would do: %s", d->seen,
			 d->unit == UNIT_FLOW ? "flow" : "event", d->seen == 1 ? " is" : "s are",
			 d->needed,
			 d->unit == UNIT_FLOW ? "send from more client ports"
					      : "let it run longer, or raise -n");
		return buffer;
	case OUTCOME_FLOWS_UNKNOWN:
		return "the number of its flows is not known: try another --backend";
	case OUTCOME_UNTOLD:
		if (d->stuck)
			return "nothing was taken from it, though something waits in its queue: "
			       "see what the result says of that";
		return "nothing came to it: is it the right port, and do clients reach it?";
	default: return "";
	}
}
