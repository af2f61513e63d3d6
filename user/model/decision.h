/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --fail-on uneven: what the verdicts of ports mean for a script. Only what is known to be fair is
 * fair. */
#ifndef SOCKFAIR_DECISION_H
#define SOCKFAIR_DECISION_H

#include "snapshot.h"

enum outcome {
	OUTCOME_EVEN,
	OUTCOME_ALONE, /* events were seen, on a design that has nothing to be uneven: one worker,
			  or one socket */
	OUTCOME_UNEVEN,
	OUTCOME_UNTOLD, /* first of those that can't be told: nothing was seen */
	OUTCOME_TOO_FEW,
	OUTCOME_FLOWS_UNKNOWN,
	OUTCOME_WITHHELD,
};

struct decision {
	enum outcome outcome;
	enum withheld why;     /* OUTCOME_WITHHELD */
	uint64_t seen, needed; /* OUTCOME_TOO_FEW */
	enum fairness_unit unit;
	uint64_t lost; /* events that may be missing; 0: not known */
};

/* By one result, of an endpoint that got so many events. */
struct decision decision_of(const struct fairness *f, uint64_t events, uint64_t lost);

/* By endpoint_decisive(). */
struct decision endpoint_decide(const struct endpoint *e);

/* Why it can't be told and what to do, for people: "42 events are too few, 796 would do: let it run
 * longer" */
#define DECISION_WORDS 160
const char *decision_words(char buffer[DECISION_WORDS], const struct decision *d);

#endif
