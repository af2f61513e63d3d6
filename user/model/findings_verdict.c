/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules about the verdicts: even in one respect but not in another, too few events to tell, nothing
 * to fix. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "findings_rules.h"
#include "judge.h"
#include "wait_sum.h"
#include "words.h"

#define ALPHA 0.001        /* the same as in the verdict: fairness.c */
#define BEYOND_CHANCE 0.05 /* a p-value below this is too small to call the spread chance */

/* Adds the figures of an uneven fairness as evidence. */
static void show_spread(struct finding *f, const struct fairness *fair)
{
	finding_show(f, "bins", fair->bins);
	finding_show(f, "events", fair->events);
	finding_show(f, "cv", fair->cv);
	finding_show(f, "cv_expected", fair->cv_expected);
	finding_show(f, "max_over_mean", fair->max_over_mean);
	finding_show(f, "idle", fair->idle);
}

/* Accepting is known and not uneven, or there is only one acceptor. So any unevenness comes after
 * accept. */
static bool accepts_well(const struct endpoint *e)
{
	return workers_whole(e) && e->worker_fairness.verdict != VERDICT_UNEVEN;
}

static bool serves_unevenly(const struct endpoint *e)
{
	return e->served_known && e->served_fairness.verdict == VERDICT_UNEVEN;
}

/* It is known either for all connections who serves them, or for none. */
static bool served_whole(const struct endpoint *e)
{
	return !e->served_known || e->served_fairness.verdict != VERDICT_WITHHELD;
}

/* In many runtimes (Go, tokio) the runtime's scheduler decides which thread of a process reads.
 * That is worth knowing, but there is nothing to change. */
static bool within_one_process(const struct endpoint *e)
{
	int32_t pid = 0;

	for (size_t i = 0; i < e->worker_count; i++) {
		if (!e->workers[i].served)
			continue;
		if (pid && e->workers[i].pid != pid)
			return false;
		pid = e->workers[i].pid;
	}
	return true;
}

static bool serving_uneven(struct finding *f, const struct facts *facts)
{
	const struct fairness *fair = &facts->endpoint->served_fairness;

	if (!accepts_well(facts->endpoint) || !serves_unevenly(facts->endpoint))
		return false;
	finding_say(f,
		    "%s: of %zu threads the busiest served %.1f times the mean, %zu nothing (CV "
		    "%.3g, a fair hash gives %.3g);"
		    " look at how the program hands connections on",
		    facts->endpoint->worker_fairness.bins > 1
			    ? "accepting is not uneven, but serving is"
			    : "one thread accepts, but serving is uneven",
		    fair->bins, fair->max_over_mean, fair->idle, fair->cv, fair->cv_expected);
	f->level = within_one_process(facts->endpoint) ? FINDING_NOTE : FINDING_PROBLEM;
	show_spread(f, fair);
	return true;
}

static bool open_uneven(struct finding *f, const struct facts *facts)
{
	const struct endpoint *e = facts->endpoint;
	const struct fairness *fair = &e->open_fairness;

	if (!e->open_known || fair->verdict != VERDICT_UNEVEN || !accepts_well(e) ||
	    serves_unevenly(e) || !served_whole(e))
		return false;
	finding_say(f,
		    "accepting is not uneven, but what stays open is: of %" PRIu64
		    " open connections accepted in this window the busiest of %zu"
		    " threads has %.1f times the mean (CV %.3g, a fair hash gives %.3g); close "
		    "idle ones sooner, or cap them per worker",
		    fair->events, fair->bins, fair->max_over_mean, fair->cv, fair->cv_expected);
	finding_offer_steer(f, facts);
	show_spread(f, fair);
	return true;
}

static const char *units_name(const struct endpoint *e, const struct fairness *fair, uint64_t count)
{
	if (fair->unit == UNIT_FLOW)
		return count == 1 ? "flow" : "flows";
	return events_name(e, count);
}

/* "8 workers"; if processes have several threads, "8 threads of 2 processes", because the verdict
 * by process is about the 2 */
#define BINS_SIZE 64
static const char *say_bins(char buffer[BINS_SIZE], const struct endpoint *e,
			    const struct fairness *fair)
{
	const size_t processes = e->process_fairness.bins;

	if (fair == &e->worker_fairness && processes > 1 && processes < fair->bins)
		snprintf(buffer, BINS_SIZE, "%zu threads of %zu processes", fair->bins, processes);
	else
		snprintf(buffer, BINS_SIZE, "%zu %s", fair->bins,
			 fair == &e->worker_fairness   ? "workers"
			 : fair == &e->socket_fairness ? "sockets"
						       : "threads that serve");
	return buffer;
}

/* Not reported if another finding tells the reason: one socket gets all, or a hash can't spread the
 * flows. */
static bool too_few(struct finding *f, const struct facts *facts)
{
	const struct endpoint *e = facts->endpoint;
	const struct fairness *fair = fairness_counting(e);
	char bins[BINS_SIZE];
	uint64_t count;

	if (!fair || fair->verdict != VERDICT_TOO_FEW || e->design.code == DESIGN_MULTICAST ||
	    finding_said(e, "udp-last-binder") || finding_said(e, "udp-two-users") ||
	    finding_said(e, "few-clients") || finding_said(e, "heavy-flows"))
		return false;
	count = fair->unit == UNIT_FLOW ? (uint64_t)llround(fair->flows_effective) : fair->events;
	finding_say(f,
		    "%s%" PRIu64 " %s%s %s too few to tell whether %s share them evenly: %" PRIu64
		    " would do",
		    fair->flows_differ ? "flows that count as " : "", count,
		    units_name(e, fair, count), fair->flows_differ ? " of one size" : "",
		    count == 1 && !fair->flows_differ ? "is" : "are", say_bins(bins, e, fair),
		    fair->needed);
	finding_show(f, "seen", count);
	finding_show(f, "needed", fair->needed);
	finding_show(f, "bins", fair->bins);
	return true;
}

static bool has_problem(const struct endpoint *e)
{
	for (size_t i = 0; i < e->finding_count; i++)
		if (e->findings[i].level == FINDING_PROBLEM)
			return true;
	return false;
}

/*
 * "more evenly than a hash: CV 0.0001, a fair hash gives 0.0132". There are four cases: proven to
 * be less spread than a hash gives; not more spread than the average of a hash; more spread, but
 * maybe by chance; more spread than chance gives, but within the threshold.
 */
#define EVENNESS_SIZE 160
static const char *say_evenness(char buffer[EVENNESS_SIZE], const struct fairness *fair)
{
	const char *how = "evenly enough";

	if (fair->p_value > 1 - ALPHA)
		how = "more evenly than a hash";
	else if (fair->cv <= fair->cv_expected)
		how = "as evenly as chance allows";
	else if (fair->p_value >= BEYOND_CHANCE)
		how = "as evenly as a hash may";
	snprintf(buffer, EVENNESS_SIZE, "%s: CV %.3g, a fair hash gives %.3g%s", how, fair->cv,
		 fair->cv_expected,
		 fair->cv <= fair->cv_expected || fair->p_value < BEYOND_CHANCE ? ""
										: " on average");
	if (fair->p_value < BEYOND_CHANCE)
		snprintf(buffer + strlen(buffer), EVENNESS_SIZE - strlen(buffer),
			 "; the excess of %.3g is within the threshold of %.3g", fair->excess,
			 fair->threshold);
	return buffer;
}

/* "; 4 of an earlier generation took 2504, unevenly" */
#define OTHER_SIZE 80
static const char *say_other(char buffer[OTHER_SIZE], const struct endpoint *e)
{
	const struct generations *g = &e->generations;
	const enum verdict verdict = e->other_fairness.verdict;

	*buffer = '\0';
	if (g->judged)
		snprintf(buffer, OTHER_SIZE, "; %zu %s took %" PRIu64 "%s",
			 generations_other(g)->threads, generations_other_name(g),
			 generations_other(g)->taken,
			 verdict == VERDICT_EVEN     ? ", evenly"
			 : verdict == VERDICT_UNEVEN ? ", unevenly"
						     : "");
	return buffer;
}

/* "; but 1 connection in 100 waited 94 ms or longer for accept()", where clients feel that; else
 * "". Counts do not tell it. */
#define FELT_SIZE (DURATION_SIZE + 64)
static const char *say_felt(char buffer[FELT_SIZE], const struct endpoint *e)
{
	struct wait_sum sum = {};
	char p99[DURATION_SIZE];
	double ns;

	wait_sum_add_endpoint(&sum, e);
	ns = wait_sum_quantile_ns(&sum, 0.99);
	*buffer = '\0';
	if (sum.wait.count >= 100 && ns >= WAIT_FELT_NS)
		snprintf(buffer, FELT_SIZE,
			 "; but 1 connection in 100 waited %s or longer for accept()",
			 say_duration(p99, ns));
	return buffer;
}

static bool even(struct finding *f, const struct facts *facts)
{
	const struct endpoint *e = facts->endpoint;
	const struct fairness *fair = fairness_counting(e);
	const bool maybe_stuck = e->generations.judged == GENERATION_LATER && e->generations.holds;
	const bool loaded = finding_said(e, "cpu-uneven") || finding_said(e, "bytes-uneven");
	char bins[BINS_SIZE], evenness[EVENNESS_SIZE], other[OTHER_SIZE], felt[FELT_SIZE];

	if (!fair || fair->verdict != VERDICT_EVEN || e->design.code == DESIGN_MULTICAST ||
	    has_problem(e) || finding_said(e, "serving-uneven") || !served_whole(e) ||
	    endpoint_decisive(e) == &e->other_fairness)
		return false;
	say_felt(felt, e);
	finding_say(f, "%s share %" PRIu64 " %s %s%s%s", say_bins(bins, e, fair), fair->events,
		    events_name(e, fair->events), say_evenness(evenness, fair),
		    *felt                   ? felt
		    : maybe_stuck || loaded ? ""
					    : ": nothing to fix",
		    say_other(other, e));
	finding_show(f, "bins", fair->bins);
	finding_show(f, "events", fair->events);
	finding_show(f, "cv", fair->cv);
	finding_show(f, "cv_expected", fair->cv_expected);
	finding_show(f, "p_value", fair->p_value);
	return true;
}

static const struct rule rules[] = {
	{ "serving-uneven", FINDING_PROBLEM, .of_endpoint = serving_uneven },
	{ "open-uneven", FINDING_PROBLEM, .of_endpoint = open_uneven },
	{ "too-few", FINDING_NOTE, .of_endpoint = too_few },
	{ "even", FINDING_GOOD, .of_endpoint = even },
};

const struct rule_table verdict_rules = { rules, sizeof(rules) / sizeof(*rules) };
