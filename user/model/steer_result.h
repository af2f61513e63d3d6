/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What came of steering a port: the same figures before, while and after, and how it was left. */
#ifndef SOCKFAIR_STEER_RESULT_H
#define SOCKFAIR_STEER_RESULT_H

#include "comparison.h"
#include "steer_plan.h"

enum steer_phase_name { STEER_BEFORE, STEER_STEERED, STEER_AFTER, STEER_PHASES };

enum steer_end {
	STEER_END_NOT_BEGUN,   /* it was not steered */
	STEER_END_TIME,        /* --for is over */
	STEER_END_INTERRUPTED, /* a signal asked for the end */
	STEER_END_WORSE,       /* the port was worse off than before: steer_limits.h */
	STEER_END_OBJECTION,   /* something came up that speaks against it */
};

struct steer_result {
	const struct endpoint *endpoint; /* as it was listed */
	struct steer_plan plan;
	struct snapshot phases[STEER_PHASES]; /* each with that endpoint alone, judged; no endpoint:
						 it was not measured */
	/* A side for each phase that was measured, in which each window of about a second is a run;
	 * judged. */
	struct comparison comparison;
	uint64_t steered;              /* look-ups that the program picked a socket for */
	uint64_t passed[STEER_PASSES]; /* look-ups that were left to the kernel's hash */
	enum steer_end end;
	char why[STEER_WHY];  /* STEER_END_WORSE, STEER_END_OBJECTION, STEER_END_NOT_BEGUN */
	bool nothing_to_gain; /* STEER_END_NOT_BEGUN: it is even, and nobody waits */
	bool as_found;        /* after release the port is as it was found */
	char note[STEER_WHY]; /* what differs; or members that left and joined meanwhile */
};

/* Is there anything to gain by steering a port of which this was seen: a problem, uneven open
 * connections, waits whose 99th percentile is 10 ms or more, or datagrams that wait or were
 * dropped? */
bool steer_can_gain(const struct endpoint *e);

/* "time", "interrupted"...: stable */
const char *steer_end_name(enum steer_end end);
extern const char *const steer_phase_names[STEER_PHASES];

/* What the figures say, in one sentence each. */
struct steer_saying {
	enum finding_level level;
	const char *code; /* stable: "waits", "drops", "queue", "open", "counts", "load" */
	char text[256];
};
#define STEER_SAYINGS_MAX 4

/* Returns how many there are. */
size_t steer_sayings(const struct steer_result *r, struct steer_saying sayings[STEER_SAYINGS_MAX]);

/* A figure of a phase's windows; NULL: it is known in none of them. */
const struct comparison_stat *steer_stat(const struct steer_result *r, enum steer_phase_name phase,
					 size_t metric);

/* A figure of the phase as a whole, as of its end. NaN: not known. */
double steer_whole(const struct steer_result *r, enum steer_phase_name phase, size_t metric);

void steer_result_free(struct steer_result *r);

#endif
