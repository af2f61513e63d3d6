/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why a process that holds a socket takes nothing from it, though something is queued. What is
 * known of the process (hindrance.h) is checked in the order of certainty: first what makes it
 * impossible to take anything, then what shows who would have to take, then what the process does
 * instead. To add a cause: one function and one row of the table. If nothing is known of a process,
 * there are few words and no advice.
 */
#ifndef SOCKFAIR_STALL_CAUSE_H
#define SOCKFAIR_STALL_CAUSE_H

#include "findings_rules.h"

#define STALL_DOES_SIZE 160
#define STALL_ADVICE_SIZE 100
struct stall_cause {
	const char *code;               /* stable, e.g. "descriptors"; "unknown" */
	unsigned place;                 /* position in the table: 0 is the most certain */
	bool unable;                    /* the process can't take anything, even if it wants to */
	bool told_little;               /* `does` says only what the process does instead */
	char does[STALL_DOES_SIZE];     /* of the process: "is stopped (SIGSTOP)" */
	char advice[STALL_ADVICE_SIZE]; /* what to do about it; "": nothing is certain to help */
	struct evidence evidence[2];
	size_t evidence_count;
};

/* h: a holder of s. over: the stall is over; the holder is one of the endpoint's `stallers`, and
 * all is said in the past tense. */
void stall_cause_find(struct stall_cause *out, const struct facts *facts,
		      const struct socket_row *s, const struct holder_row *h, bool over);

#endif
