/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sentences about what changed. They go by the tests of comparison_judge() alone: what is no more
 * than noise is called that. */
#include "steer_result.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "noise.h"
#include "steer_limits.h"
#include "wait_sum.h"

const char *const steer_phase_names[STEER_PHASES] = {
	[STEER_BEFORE] = "before", [STEER_STEERED] = "steered", [STEER_AFTER] = "after"
};

const char *steer_end_name(enum steer_end end)
{
	static const char *const names[] = { [STEER_END_NOT_BEGUN] = "not-begun",
					     [STEER_END_TIME] = "time",
					     [STEER_END_INTERRUPTED] = "interrupted",
					     [STEER_END_WORSE] = "worse",
					     [STEER_END_OBJECTION] = "objection" };

	return names[end];
}

/* A wait at which sharing otherwise is worth a try, though nothing else speaks for it. */
#define WAIT_WORTH_NS 10e6

bool steer_can_gain(const struct endpoint *e)
{
	struct wait_sum waits = {};
	bool good = false;

	wait_sum_add_endpoint(&waits, e);
	if (wait_sum_quantile_ns(&waits, 0.99) >= WAIT_WORTH_NS)
		return true;
	for (size_t i = 0; e->protocol == PROTOCOL_UDP && i < e->socket_count; i++)
		if (e->sockets[i].dropped || e->sockets[i].queue_length)
			return true;

	for (size_t i = 0; i < e->finding_count; i++) {
		good |= e->findings[i].level == FINDING_GOOD;
		if (e->findings[i].level == FINDING_PROBLEM)
			return true;
	}
	return !good || (e->open_known && e->open_fairness.verdict == VERDICT_UNEVEN);
}

/* The side of that phase; side_count: it was not measured. */
static size_t side_of(const struct comparison *c, enum steer_phase_name phase)
{
	size_t side = 0;

	while (side < c->side_count && strcmp(c->sides[side].name, steer_phase_names[phase]))
		side++;
	return side;
}

const struct comparison_stat *steer_stat(const struct steer_result *r, enum steer_phase_name phase,
					 size_t metric)
{
	const struct comparison *c = &r->comparison;
	const size_t side = side_of(c, phase);
	const struct comparison_result *result =
		side < c->side_count && c->subject_count ? c->subjects[0].cells[side] : NULL;

	return result && result->stats && result->stats[metric].runs ? &result->stats[metric]
								     : NULL;
}

double steer_whole(const struct steer_result *r, enum steer_phase_name phase, size_t metric)
{
	const struct snapshot *s = &r->phases[phase];
	struct comparison_run run;

	if (!s->endpoint_count)
		return NAN;
	comparison_run_of(&run, s, &s->endpoints[0]);
	return run.figures[metric];
}

/* ---- sentences ---- */

static void __attribute__((format(printf, 5, 6)))
saying_add(struct steer_saying *rows, size_t *count, enum finding_level level, const char *code,
	   const char *format, ...)
{
	struct steer_saying *s = &rows[(*count)++];
	va_list arguments;

	s->level = level;
	s->code = code;
	va_start(arguments, format);
	vsnprintf(s->text, sizeof(s->text), format, arguments);
	va_end(arguments);
}

/* "1.23 ms" */
static const char *steer_wait_words(char text[32], double ns)
{
	const double us = ns / 1e3;

	if (us < 1000)
		snprintf(text, 32, "%.3g us", us);
	else if (us < 1e6)
		snprintf(text, 32, "%.3g ms", us / 1e3);
	else
		snprintf(text, 32, "%.3g s", us / 1e6);
	return text;
}

static void say_waits(const struct steer_result *r, struct steer_saying *rows, size_t *count)
{
	const struct comparison_stat *before = steer_stat(r, STEER_BEFORE, METRIC_WAIT_P99),
				     *steered = steer_stat(r, STEER_STEERED, METRIC_WAIT_P99);
	char was[32], is[32];

	if (!before || !steered || steered->told == TOLD_UNTESTED) {
		saying_add(rows, count, FINDING_NOTE, "waits",
			   "too few seconds with connections to tell whether the waits changed: "
			   "%zu of each are needed",
			   noise_runs_needed());
		return;
	}
	steer_wait_words(was, before->mean);
	steer_wait_words(is, steered->mean);
	if (steered->told == TOLD_NOISE)
		saying_add(rows, count, FINDING_NOTE, "waits",
			   "the waits for accept differ by no more than noise (p99 %s before, %s "
			   "steered)",
			   was, is);
	else if (steered->score < before->score)
		saying_add(
			rows, count, FINDING_GOOD, "waits",
			"while steered, connections waited less for accept: p99 %s instead of %s",
			is, was);
	else
		/* Moving wakes other workers than those whose memory is still in the cache. */
		saying_add(rows, count,
			   steered->mean < STEER_WAIT_FLOOR_NS ? FINDING_NOTE : FINDING_PROBLEM,
			   "waits",
			   "while steered, connections waited longer for accept: p99 %s instead of "
			   "%s",
			   is, was);
}

static void say_drops(const struct steer_result *r, struct steer_saying *rows, size_t *count)
{
	const struct comparison_stat *before = steer_stat(r, STEER_BEFORE, METRIC_DROP_SHARE),
				     *steered = steer_stat(r, STEER_STEERED, METRIC_DROP_SHARE);
	const bool fewer = before && steered && steered->score < before->score;

	if (!before || !steered || steered->told == TOLD_UNTESTED)
		saying_add(rows, count, FINDING_NOTE, "drops",
			   "too few seconds with datagrams to tell whether the drops changed: %zu "
			   "of each are needed",
			   noise_runs_needed());
	else if (steered->told == TOLD_NOISE)
		saying_add(rows, count, FINDING_NOTE, "drops",
			   "the drops differ by no more than noise (%.3g %% of all datagrams "
			   "before, %.3g %% steered)",
			   100 * before->mean, 100 * steered->mean);
	else
		saying_add(rows, count, fewer ? FINDING_GOOD : FINDING_PROBLEM, "drops",
			   "while steered, %s datagrams were dropped: %.3g %% of all instead of "
			   "%.3g %%",
			   fewer ? "fewer" : "more", 100 * steered->mean, 100 * before->mean);
}

/* A queue that got shorter or longer by more than noise. */
static void say_queue(const struct steer_result *r, struct steer_saying *rows, size_t *count)
{
	const struct comparison_stat *before = steer_stat(r, STEER_BEFORE, METRIC_QUEUE_BYTES),
				     *steered = steer_stat(r, STEER_STEERED, METRIC_QUEUE_BYTES);
	const bool shorter = before && steered && steered->mean < before->mean;

	if (before && steered && steered->told == TOLD_DIFFERENT)
		saying_add(rows, count, shorter ? FINDING_GOOD : FINDING_PROBLEM, "queue",
			   "while steered, the fullest queue held %s: %.3g kB instead of %.3g kB",
			   shorter ? "less" : "more", steered->mean / 1e3, before->mean / 1e3);
}

/* A CV that changed by more than noise. */
static void say_spread(const struct steer_result *r, size_t metric, const char *code,
		       const char *what, struct steer_saying *rows, size_t *count)
{
	const struct comparison_stat *before = steer_stat(r, STEER_BEFORE, metric),
				     *steered = steer_stat(r, STEER_STEERED, metric);
	double was, is;

	if (!before || !steered || steered->told != TOLD_DIFFERENT)
		return;
	was = before->mean;
	is = steered->mean;
	if (steered->score < before->score)
		saying_add(rows, count, FINDING_GOOD, code,
			   "%s were shared more evenly: CV %.3f instead of %.3f", what, is, was);
	else
		saying_add(rows, count, FINDING_NOTE, code,
			   "%s were shared less evenly (CV %.3f instead of %.3f): the policy %s "
			   "does not look at them",
			   what, is, was, steer_policy_name(r->plan.policy));
}

size_t steer_sayings(const struct steer_result *r, struct steer_saying sayings[STEER_SAYINGS_MAX])
{
	const struct comparison_stat *after = steer_stat(r, STEER_AFTER, METRIC_WAIT_P99);
	size_t count = 0;

	if (r->end == STEER_END_NOT_BEGUN)
		return 0;
	if (r->endpoint->protocol == PROTOCOL_UDP) {
		say_drops(r, sayings, &count);
		say_queue(r, sayings, &count);
		say_spread(r, METRIC_CV, "counts", "datagrams", sayings, &count);
		return count;
	}
	say_waits(r, sayings, &count);
	say_spread(r, METRIC_OPEN_CV, "open", "open connections", sayings, &count);
	say_spread(r, METRIC_CV, "counts", "new connections", sayings, &count);
	if (after && after->told == TOLD_DIFFERENT)
		saying_add(sayings, &count, FINDING_NOTE, "load",
			   "the waits after release are not those before, so the load itself may "
			   "have changed meanwhile");
	return count;
}

void steer_result_free(struct steer_result *r)
{
	for (size_t i = 0; i < STEER_PHASES; i++)
		snapshot_free(&r->phases[i]);
	comparison_free(&r->comparison);
	*r = (struct steer_result){};
}
