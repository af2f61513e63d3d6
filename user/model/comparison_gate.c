/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The result of a comparison in one word, for scripts. */
#include "comparison.h"

#include <math.h>
#include <string.h>

#include "noise.h"

struct decision comparison_run_decide(const struct comparison_run *run)
{
	const struct fairness workers = { .events = comparison_workers_seen(run),
					  .verdict = run->verdicts[SHARE_WORKERS],
					  .withheld = run->withheld[SHARE_WORKERS] };
	const struct fairness sockets = { .verdict = run->verdicts[SHARE_SOCKETS],
					  .withheld = run->withheld[SHARE_SOCKETS] };
	const struct fairness served = { .verdict = run->verdicts[SHARE_SERVED],
					 .withheld = run->withheld[SHARE_SERVED] };
	const struct fairness *decisive = run->bins == BINS_SOCKETS ? &sockets
					  : run->bins == BINS_SERVING
						  ? &served
						  : fairness_decisive(&workers, &sockets);

	return decision_of(decisive, run->figures[METRIC_EVENTS] > 0, 0);
}

size_t comparison_uneven_runs(const struct comparison_result *r)
{
	size_t uneven = 0;

	for (size_t i = 0; i < r->run_count; i++)
		uneven += comparison_run_decide(&r->runs[i]).outcome == OUTCOME_UNEVEN;
	return uneven;
}

/* The number of runs with events that were not counted. If the document tells the port of these
 * events, only this port's count. */
static size_t runs_lost(const struct comparison_result *r)
{
	size_t lost = 0;

	for (size_t i = 0; i < r->run_count; i++)
		for (enum share share = 0; share < SHARE_COUNT; share++)
			if (r->runs[i].withheld[share] == WITHHELD_COUNTS_LOST) {
				lost++;
				break;
			}
	return lost;
}

/* The metrics that decide. They share one error level: metrics[].judged. */
static const enum metric_id judged[] = { METRIC_CV, METRIC_WAIT_P99, METRIC_RATE };

/* Fills in the side of a pair that has fewer runs with the figure. */
static void say_runs(const struct comparison_subject *subject, size_t side, size_t metric,
		     struct worse_where *where)
{
	if (subject->cells[0]->stats[metric].runs < subject->cells[side]->stats[metric].runs)
		side = 0;
	where->side = side;
	where->runs = subject->cells[side]->stats[metric].runs;
	where->runs_all = subject->cells[side]->run_count;
	where->quiet = where->runs_all - subject->cells[side]->with_traffic;
}

static bool is_withheld(const struct comparison_result *r)
{
	for (size_t i = 0; i < r->run_count; i++)
		if (comparison_run_decide(&r->runs[i]).outcome == OUTCOME_WITHHELD)
			return true;
	return false;
}

static bool disagrees(const struct comparison_result *r)
{
	for (size_t i = 0; i < r->run_count; i++)
		if (r->runs[i].disagrees)
			return true;
	return false;
}

/* Compares one figure of a side with that of the first side. */
static enum worse subject_look(const struct comparison *c, const struct comparison_subject *subject,
			       size_t side, size_t metric, struct worse_where *where)
{
	const struct comparison_result *base = subject->cells[0], *own = subject->cells[side];
	const int better = comparison_direction(c, subject, metric);
	const size_t lost_side = base && base->run_count && runs_lost(base) ? 0 : side;

	*where = (struct worse_where){ .subject = subject, .side = side, .metric = metric };
	if (!better || !base || !base->run_count)
		return WORSE_NO_PAIR;
	if (!base->stats[metric].runs) {
		where->side = 0;
		return metric == METRIC_CV && own && is_withheld(base) ? WORSE_MISSING
								       : WORSE_NO_PAIR;
	}
	if (!own || !own->run_count || !own->stats[metric].runs)
		return WORSE_MISSING;
	where->runs = runs_lost(subject->cells[lost_side]);
	where->runs_all = subject->cells[lost_side]->run_count;
	if (where->runs) {
		where->side = lost_side;
		return WORSE_LOST;
	}
	if (own->stats[metric].told == TOLD_DIFFERENT &&
	    (own->stats[metric].score - base->stats[metric].score) * better < 0)
		return WORSE_TOLD;
	if (disagrees(own))
		return WORSE_DISAGREES;
	if (own->stats[metric].told != TOLD_UNTESTED)
		return WORSE_NOT;
	say_runs(subject, side, metric, where);
	return WORSE_UNTESTED;
}

static bool is_beside(const struct comparison_subject *subject, size_t side)
{
	const struct comparison_result *base = subject->cells[0], *own = subject->cells[side];

	return base && own && base->run_count && own->run_count;
}

enum worse comparison_worse(const struct comparison *c, struct worse_where *where)
{
	/* The first of these that was found for any figure decides. If no result can be compared
	 * with another, the answer is WORSE_NO_PAIR, because otherwise every result would count as
	 * missing. */
	static const enum worse order[] = { WORSE_LOST,      WORSE_TOLD,     WORSE_MISSING,
					    WORSE_DISAGREES, WORSE_UNTESTED, WORSE_NOT };
	struct worse_where first[WORSE_NO_PAIR + 1];
	size_t found[WORSE_NO_PAIR + 1] = {}, beside = 0;

	for (size_t s = 0; s < c->subject_count; s++)
		for (size_t i = 1; i < c->side_count; i++) {
			beside += is_beside(&c->subjects[s], i);
			for (size_t m = 0; m < sizeof(judged) / sizeof(*judged); m++) {
				struct worse_where here;
				const enum worse worse =
					subject_look(c, &c->subjects[s], i, judged[m], &here);

				if (!found[worse]++)
					first[worse] = here;
			}
		}
	for (size_t i = 0; beside && i < sizeof(order) / sizeof(*order); i++)
		if (found[order[i]]) {
			*where = first[order[i]];
			return order[i];
		}
	return WORSE_NO_PAIR;
}
