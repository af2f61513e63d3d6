/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why a process that holds a socket takes nothing from it, though something is queued. What is
 * known of it (hindrance.h) is asked in the order of certainty: what makes it impossible to take
 * anything, then what shows who would have to, then what it does instead. To add a cause: one
 * function and one row of the table. What nothing is known of has few words, and no advice.
 */
#ifndef SOCKFAIR_STALL_CAUSE_H
#define SOCKFAIR_STALL_CAUSE_H

#include "findings_rules.h"

#define STALL_DOES_SIZE 160
#define STALL_ADVICE_SIZE 100
struct stall_cause {
	const char *code;               /* stable, e.g. "descriptors"; "unknown" */
	unsigned place;                 /* in the table: 0 is the most certain */
	bool unable;                    /* it can't take anything, whatever it wants */
	bool told_little;               /* `does` says only what it does instead */
	char does[STALL_DOES_SIZE];     /* of the process: "is stopped (SIGSTOP)" */
	char advice[STALL_ADVICE_SIZE]; /* what to do about it; "": nothing that is certain to help
					 */
	struct evidence evidence[2];
	size_t evidence_count;
};

/* h: a holder of s. */
void stall_cause_find(struct stall_cause *out, const struct facts *facts,
		      const struct socket_row *s, const struct holder_row *h);

#endif
