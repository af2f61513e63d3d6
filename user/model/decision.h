/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --fail-on uneven: what the verdicts of ports mean for a script. A port counts as fair only if it
 * is known to be. */
#ifndef SOCKFAIR_DECISION_H
#define SOCKFAIR_DECISION_H

#include "snapshot.h"

enum outcome {
	OUTCOME_EVEN,
	OUTCOME_ALONE, /* events were seen, but the design can't be uneven: one worker, or one
			  socket */
	OUTCOME_UNEVEN,
	OUTCOME_UNTOLD, /* nothing was seen; this and the outcomes below mean that there is no
			   answer */
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
	bool stuck;    /* OUTCOME_UNTOLD: nothing was taken, and connections or datagrams wait */
};

/* Decides by one fairness result of an endpoint that got `events` events. */
struct decision decision_of(const struct fairness *f, uint64_t events, uint64_t lost);

/* Decides by the result of endpoint_decisive(). */
struct decision endpoint_decide(const struct endpoint *e);

/* Why there is no answer and what to do, for people: "42 events are too few, 796 would do: let it
 * run longer" */
#define DECISION_WORDS 160
const char *decision_words(char buffer[DECISION_WORDS], const struct decision *d);

#endif
