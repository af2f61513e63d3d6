/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is this distribution fair? The counts of n events over k bins are compared with a fair hash, in
 * which each event (or each flow, where the events of a flow move together) falls into one of k
 * bins with the same probability. Flows of weights w are spread like n = (sum w)^2 / sum w^2 equal
 * flows: E[cv^2] = (k - 1) sum w^2 / (sum w)^2.
 */
#ifndef SOCKFAIR_FAIRNESS_H
#define SOCKFAIR_FAIRNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flows.h"

#define FAIRNESS_THRESHOLD 0.20 /* default excess above which a distribution is called uneven */

enum verdict {
	VERDICT_NOT_APPLICABLE, /* fewer than two bins, or no events */
	VERDICT_UNEVEN,         /* p < 0.001 and excess > threshold */
	VERDICT_TOO_FEW,        /* too few events to see an excess of `threshold` with power 0.9 */
	VERDICT_FLOWS_UNKNOWN,  /* events come in flows whose weights are not known, so there are
				   only magnitudes */
	VERDICT_EVEN,
	VERDICT_WITHHELD, /* withheld by the caller because counts or bins are incomplete: see
			     fairness_withhold() */
};

/* Why a verdict is withheld. */
enum withheld {
	WITHHELD_NOT,
	WITHHELD_COUNTS_LOST, /* events of these bins were lost, or may have been */
	WITHHELD_WAITERS_CUT, /* more threads waited than could be listed, so some that got nothing
				 are missing from the bins */
	WITHHELD_ROWS_CUT,    /* some bins have no row, because they are beyond the limit of rows */
	WITHHELD_BINS_UNKNOWN, /* it is known which bins got work, but not which others could have
				  got some */
	WITHHELD_OPEN_INCOMPLETE, /* for some connections it is not known whether they are still
				     open */
	WITHHELD_LIVES_DIFFER,    /* bins lived for different parts of the window, and none lived
				     through all of it */
};

enum fairness_unit { UNIT_EVENT, UNIT_FLOW };

struct fairness {
	size_t bins;     /* k */
	uint64_t events; /* sum of the counts */
	enum fairness_unit unit;
	uint64_t flows;         /* UNIT_FLOW: number of flows, 0 if unknown */
	double flows_effective; /* UNIT_FLOW: n, 0 if unknown */
	double largest_flow;    /* UNIT_FLOW: share of the largest flow, 0 if unknown */
	bool flows_differ;      /* see flows_differ() */
	bool flows_estimated;   /* set by the caller */
	size_t idle;            /* bins with nothing */
	double cv;              /* population coefficient of variation; NaN if k < 1 or no events */
	double cv_expected; /* sqrt((k-1)/n), n events or effective flows: the root mean square of
			       cv under a fair hash */
	double excess;      /* sqrt(max(0, cv^2 - (k-1)/n)) */
	double max_over_mean;
	double max_over_mean_expected; /* its expectation under a fair hash */
	double jain;                   /* 1/(1+cv^2) */
	double p_value;                /* upper tail; NaN where there is no test */
	bool simulated;                /* p and max_over_mean_expected come from the Monte Carlo */
	double threshold;              /* excess above which it is uneven */
	uint64_t needed; /* units needed to see an excess of `threshold` with power 0.9; 0 if k < 2
			  */
	enum verdict verdict;
	enum withheld withheld; /* VERDICT_WITHHELD: why */
};

/*
 * Judges counts[0..bins). load: the flows that the events came in; NULL: each event is a unit of
 * its own. Returns 0, or -ENOMEM. NaN marks values that do not exist. Deterministic: the simulation
 * has a fixed seed.
 */
int fairness_judge_load(struct fairness *f, const uint64_t *counts, size_t bins,
			const struct flow_load *load, double threshold);

/* The same for flows of one weight. flows: UNIT_FLOW's n (0: unknown), ignored for UNIT_EVENT. */
int fairness_judge(struct fairness *f, const uint64_t *counts, size_t bins, enum fairness_unit unit,
		   uint64_t flows, double threshold);

/* Withdraws the verdict: magnitudes stay, p_value becomes NaN. why: not WITHHELD_NOT. */
void fairness_withhold(struct fairness *f, enum withheld why);

/* Withdraws the verdict because these rows are not the bins: magnitudes stay, p_value becomes NaN.
 */
void fairness_set_aside(struct fairness *f);

/* Units needed so that the chi-squared test at 0.001 sees an excess of `excess` over k bins with
 * power 0.9. */
uint64_t fairness_needed(size_t bins, double excess);

/*
 * The result that decides whether a port is shared unevenly (--fail-on uneven): that of the
 * workers, or that of the sockets if no worker was seen to take anything, as with a backend that
 * does not see io_uring's accepts. If the workers' events may have been lost, the workers' result
 * stays decisive.
 */
const struct fairness *fairness_decisive(const struct fairness *workers,
					 const struct fairness *sockets);

/* "even", "uneven", "too-few", "flows-unknown", "not-applicable", "withheld" */
const char *verdict_name(enum verdict v);

/* "counts-lost", "waiters-cut", "rows-cut", "bins-unknown", "open-incomplete", "lives-differ";
 * stable. WITHHELD_NOT: NULL. */
const char *withheld_name(enum withheld why);
/* For people: "some of these were not counted". */
const char *withheld_words(enum withheld why);
/* Returns WITHHELD_NOT for an unknown name. */
enum withheld withheld_parse(const char *name);

#endif
