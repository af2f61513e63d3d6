/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "comparison.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "noise.h"
#include "wait_sum.h"

#define SHARE(share, name, label)                                                                                                             \
	[METRIC_SHARES + share * SHARE_FIGURES + SHARE_BINS] = { name "_bins", label, METRIC_COUNTS, BETTER_NEUTRAL, false, -1, false },      \
	[METRIC_SHARES + share * SHARE_FIGURES + SHARE_EVENTS] = { name "_events", label " events", METRIC_COUNTS, BETTER_NEUTRAL, false, -1, \
								   false },                                                                   \
	[METRIC_SHARES + share * SHARE_FIGURES + SHARE_IDLE] = { name "_idle", "  idle", METRIC_COUNTS, BETTER_NEUTRAL, true, -1, true },     \
	[METRIC_SHARES + share * SHARE_FIGURES + SHARE_CV] = { name "_cv", label " CV", METRIC_RATIO, BETTER_LOWER, true,                     \
							       METRIC_SHARES + share * SHARE_FIGURES + SHARE_CV_EXPECTED, true },            \
	[METRIC_SHARES + share * SHARE_FIGURES + SHARE_CV_EXPECTED] = { name "_cv_expected", "  fair hash", METRIC_RATIO, BETTER_NEUTRAL,     \
									false, -1, true },                                                    \
	[METRIC_SHARES + share * SHARE_FIGURES + SHARE_EXCESS] = { name "_excess", "  excess", METRIC_RATIO, BETTER_NEUTRAL, false, -1,       \
								   false },                                                                   \
	[METRIC_SHARES + share * SHARE_FIGURES + SHARE_MAX_OVER_MEAN] = { name "_max_over_mean", "  busiest", METRIC_TIMES, BETTER_NEUTRAL,   \
									  true, -1, true }

const struct metric metrics[METRIC_COUNT] = {
	[METRIC_RATE] = { "rate", "per second", METRIC_PER_SECOND, BETTER_HIGHER_OWN, true, -1, true },
	[METRIC_EVENTS] = { "events", "requests", METRIC_COUNTS, BETTER_NEUTRAL, false, -1, true },
	[METRIC_SECONDS] = { "seconds", "seconds", METRIC_SECOND, BETTER_NEUTRAL, false, -1, false },
	SHARE(SHARE_WORKERS, "workers", "workers"),
	SHARE(SHARE_SOCKETS, "sockets", "sockets"),
	SHARE(SHARE_SERVED, "served", "served"),
	[METRIC_WAIT_COUNT] = { "wait_count", "waited", METRIC_COUNTS, BETTER_NEUTRAL, false, -1, false },
	[METRIC_WAIT_MEAN] = { "wait_mean_ns", "wait mean", METRIC_NS, BETTER_LOWER, true, -1, true },
	[METRIC_WAIT_P50] = { "wait_p50_ns", "wait p50", METRIC_NS, BETTER_LOWER, true, -1, true },
	[METRIC_WAIT_P90] = { "wait_p90_ns", "wait p90", METRIC_NS, BETTER_LOWER, true, -1, true },
	[METRIC_WAIT_P99] = { "wait_p99_ns", "wait p99", METRIC_NS, BETTER_LOWER, true, -1, true },
	[METRIC_WAIT_MAX] = { "wait_max_ns", "wait max", METRIC_NS, BETTER_LOWER, true, -1, true },
	[METRIC_QUEUE_HIGHEST] = { "queue_highest", "highest queue", METRIC_COUNTS, BETTER_NEUTRAL, true, -1, true },
	[METRIC_DROPS] = { "drops", "drops", METRIC_COUNTS, BETTER_LOWER, true, -1, true },
	[METRIC_OPEN] = { "open", "open", METRIC_COUNTS, BETTER_NEUTRAL, true, -1, true },
	[METRIC_LOST] = { "lost", "not counted", METRIC_COUNTS, BETTER_NEUTRAL, false, -1, true },
	[METRIC_CV] = { "cv", "CV", METRIC_RATIO, BETTER_LOWER, true, METRIC_CV_EXPECTED, false },
	[METRIC_CV_EXPECTED] = { "cv_expected", "fair hash", METRIC_RATIO, BETTER_NEUTRAL, false, -1, false },
};

/* ---- figures of a run ---- */

void comparison_run_clear(struct comparison_run *run)
{
	*run = (struct comparison_run){};
	for (size_t i = 0; i < METRIC_COUNT; i++)
		run->figures[i] = NAN;
	for (size_t i = 0; i < SHARE_COUNT; i++)
		run->verdicts[i] = VERDICT_NOT_APPLICABLE;
}

static bool workers_seen(const struct comparison_run *run)
{
	return run->figures[metric_of_share(SHARE_WORKERS, SHARE_EVENTS)] > 0;
}

static enum share deciding_share(const struct comparison_run *run)
{
	if (run->verdicts[SHARE_WORKERS] == VERDICT_NOT_APPLICABLE && run->verdicts[SHARE_SERVED] != VERDICT_NOT_APPLICABLE)
		return SHARE_SERVED;
	return workers_seen(run) ? SHARE_WORKERS : SHARE_SOCKETS;
}

static void take_out(double *share)
{
	static const enum share_figure spread[] = { SHARE_IDLE, SHARE_CV, SHARE_CV_EXPECTED, SHARE_EXCESS, SHARE_MAX_OVER_MEAN };

	for (size_t i = 0; i < sizeof(spread) / sizeof(*spread); i++)
		share[spread[i]] = NAN;
}

void comparison_run_complete(struct comparison_run *run)
{
	const enum share share = deciding_share(run);

	for (enum share i = 0; i < SHARE_COUNT; i++)
		if (run->verdicts[i] == VERDICT_WITHHELD)
			take_out(&run->figures[metric_of_share(i, SHARE_BINS)]);

	run->figures[METRIC_CV] = run->figures[metric_of_share(share, SHARE_CV)];
	run->figures[METRIC_CV_EXPECTED] = run->figures[metric_of_share(share, SHARE_CV_EXPECTED)];
}

static void share_figures(struct comparison_run *run, enum share share, const struct fairness *f)
{
	double *to = &run->figures[metric_of_share(share, SHARE_BINS)];

	run->verdicts[share] = f->verdict;
	run->withheld[share] = f->withheld;
	to[SHARE_BINS] = (double)f->bins;
	to[SHARE_EVENTS] = (double)f->events;
	to[SHARE_IDLE] = (double)f->idle;
	to[SHARE_CV] = f->cv;
	to[SHARE_CV_EXPECTED] = f->cv_expected;
	to[SHARE_EXCESS] = f->excess;
	to[SHARE_MAX_OVER_MEAN] = f->max_over_mean;
}

static void wait_figures(double *figures, const struct endpoint *e)
{
	struct wait_sum sum = {};

	wait_sum_add_endpoint(&sum, e);
	if (!sum.known || e->protocol != PROTOCOL_TCP)
		return;
	figures[METRIC_WAIT_COUNT] = (double)sum.wait.count;
	figures[METRIC_WAIT_MEAN] = wait_mean_ns(&sum.wait);
	figures[METRIC_WAIT_P50] = wait_sum_quantile_ns(&sum, 0.5);
	figures[METRIC_WAIT_P90] = wait_sum_quantile_ns(&sum, 0.9);
	figures[METRIC_WAIT_P99] = wait_sum_quantile_ns(&sum, 0.99);
	figures[METRIC_WAIT_MAX] = wait_max_ns(&sum.wait);
}

/* Adds to a figure that is unknown until the first. */
static void add_known(double *figure, bool known, uint64_t n)
{
	if (known)
		*figure = (isnan(*figure) ? 0 : *figure) + (double)n;
}

static void row_figures(double *figures, const struct endpoint *e)
{
	const bool udp = e->protocol == PROTOCOL_UDP;
	double *highest = &figures[METRIC_QUEUE_HIGHEST];

	add_known(&figures[METRIC_DROPS], udp, e->omitted.dropped);
	for (size_t i = 0; i < e->socket_count; i++) {
		const struct socket_row *s = &e->sockets[i];

		add_known(&figures[METRIC_DROPS], udp || s->queue_known, udp ? s->dropped : s->drops);
		if (!udp && s->highest_known && !(s->queue_highest <= *highest))
			*highest = s->queue_highest;
	}
	for (size_t i = 0; i < e->worker_count; i++)
		add_known(&figures[METRIC_OPEN], e->workers[i].open_known && !udp, e->workers[i].open);
}

void comparison_run_of(struct comparison_run *run, const struct snapshot *s, const struct endpoint *e)
{
	const struct workload_account *w = &s->workload;
	double *figures = run->figures;

	comparison_run_clear(run);
	run->own_load = s->has_workload && !w->serve_only;
	run->disagrees = s->has_workload && !w->agrees;
	figures[METRIC_EVENTS] = (double)endpoint_events(e);
	figures[METRIC_SECONDS] = s->has_workload ? w->seconds : s->seconds;
	if (figures[METRIC_SECONDS] > 0)
		figures[METRIC_RATE] = (s->has_workload ? (double)(w->serve_only ? w->accepted : w->sent) : figures[METRIC_EVENTS]) /
				       figures[METRIC_SECONDS];
	figures[METRIC_LOST] = (double)snapshot_lost_counts(s);
	share_figures(run, SHARE_WORKERS, &e->worker_fairness);
	share_figures(run, SHARE_SOCKETS, &e->socket_fairness);
	if (e->served_known)
		share_figures(run, SHARE_SERVED, &e->served_fairness);
	wait_figures(figures, e);
	row_figures(figures, e);
	comparison_run_complete(run);
}

/* ---- what there is ---- */

/* Makes room for one more of `size` bytes. Returns the array, or NULL: out of memory, the old one is still there. */
static void *grow(void *array, size_t count, size_t *room, size_t size)
{
	const size_t more = *room ? *room * 2 : 4;

	if (count < *room)
		return array;
	array = reallocarray(array, more, size);
	if (array)
		*room = more;
	return array;
}

int comparison_side_add(struct comparison *c, const char *name)
{
	struct comparison_side *sides = grow(c->sides, c->side_count, &c->side_room, sizeof(*sides));
	char *copy = sides ? strdup(name) : NULL;

	if (sides)
		c->sides = sides;
	if (!copy)
		return -ENOMEM;
	c->sides[c->side_count++] = (struct comparison_side){ .name = copy };
	return 0;
}

static bool is_same_key(const struct comparison_key *a, const struct comparison_key *b)
{
	if (*a->mode || *b->mode)
		return !strcmp(a->mode, b->mode);
	return a->protocol == b->protocol && a->port == b->port && a->netns == b->netns && !strcmp(a->address, b->address);
}

static struct comparison_result *result_of(struct comparison_side *side, const struct comparison_key *key, const char *setup)
{
	struct comparison_result *results;

	/* From the end: repeats follow each other, so that this is short. Endpoints of one window all differ. */
	for (size_t i = side->result_count; i-- > 0;)
		if (is_same_key(&side->results[i].key, key))
			return &side->results[i];
	results = grow(side->results, side->result_count, &side->result_room, sizeof(*results));
	if (!results)
		return NULL;
	side->results = results;
	results += side->result_count++;
	*results = (struct comparison_result){ .key = *key };
	strncpy(results->setup, setup, sizeof(results->setup) - 1);
	return results;
}

int comparison_add(struct comparison *c, size_t side, const struct comparison_key *key, const char *setup,
		   const struct comparison_run *run, const char *skipped)
{
	struct comparison_result *r = result_of(&c->sides[side], key, setup);
	struct comparison_run *runs;

	if (!r)
		return -ENOMEM;
	if (!run) {
		strncpy(r->skipped, skipped, sizeof(r->skipped) - 1);
		return 0;
	}
	if (!r->run_count)
		strncpy(r->setup, setup, sizeof(r->setup) - 1); /* a run that was skipped before had none */
	else if (strncmp(r->setup, setup, sizeof(r->setup) - 1))
		return -EEXIST;
	runs = grow(r->runs, r->run_count, &r->run_room, sizeof(*runs));
	if (!runs)
		return -ENOMEM;
	r->runs = runs;
	runs[r->run_count++] = *run;
	return 0;
}

/* ---- what belongs together ---- */

/* The modes of one file become the sides: its results are handed over. */
static int split_modes(struct comparison *c)
{
	struct comparison parts = {};
	struct comparison_side *side = &c->sides[0];
	int err = 0;

	for (size_t i = 0; i < side->result_count && !err; i++)
		err = comparison_side_add(&parts, side->results[i].key.mode);
	for (size_t i = 0; i < side->result_count && !err; i++) {
		struct comparison_side *part = &parts.sides[i];

		part->results = calloc(1, sizeof(*part->results));
		if (!part->results)
			err = -ENOMEM;
		else
			part->result_room = 1;
	}
	if (err) {
		comparison_free(&parts);
		return err;
	}
	for (size_t i = 0; i < side->result_count; i++) {
		parts.sides[i].results[0] = side->results[i];
		parts.sides[i].result_count = 1;
	}
	side->result_count = 0;
	comparison_free(c);
	*c = parts;
	return 0;
}

static bool is_modes_only(const struct comparison_side *side)
{
	for (size_t i = 0; i < side->result_count; i++)
		if (!*side->results[i].key.mode)
			return false;
	return side->result_count > 1;
}

static bool is_one_each(const struct comparison *c)
{
	for (size_t i = 0; i < c->side_count; i++)
		if (c->sides[i].result_count != 1)
			return false;
	return true;
}

/* How closely two results belong together: 0 not at all. */
enum { KINSHIP_NONE, KINSHIP_PORT, KINSHIP_ADDRESS, KINSHIP_SAME };

static int kinship(const struct comparison_key *a, const struct comparison_key *b)
{
	if (*a->mode || *b->mode)
		return strcmp(a->mode, b->mode) ? KINSHIP_NONE : KINSHIP_SAME;
	if (a->protocol != b->protocol || (a->port != b->port && !(a->port_asked && b->port_asked)))
		return KINSHIP_NONE;
	if (strcmp(a->address, b->address))
		return KINSHIP_PORT;
	return a->netns == b->netns ? KINSHIP_SAME : KINSHIP_ADDRESS;
}

static const struct comparison_key *subject_key(const struct comparison *c, const struct comparison_subject *subject)
{
	size_t i = 0;

	while (i + 1 < c->side_count && !subject->cells[i])
		i++;
	return &subject->cells[i]->key;
}

/* A new subject without cells. NULL: out of memory. */
static struct comparison_subject *subject_add(struct comparison *c, size_t *room)
{
	struct comparison_subject *subjects = grow(c->subjects, c->subject_count, room, sizeof(*subjects));

	if (!subjects)
		return NULL;
	c->subjects = subjects;
	subjects += c->subject_count;
	*subjects = (struct comparison_subject){ .cells = calloc(c->side_count, sizeof(*subjects->cells)) };
	if (!subjects->cells)
		return NULL;
	c->subject_count++;
	return subjects;
}

/* The subjects found so far that a result of the side may join, the closest first. */
static void place_kin(struct comparison *c, size_t side, bool *placed, int wanted)
{
	const size_t count = c->subject_count;

	for (size_t i = 0; i < c->sides[side].result_count; i++) {
		struct comparison_result *r = &c->sides[side].results[i];

		for (size_t s = 0; s < count && !placed[i]; s++) {
			struct comparison_subject *subject = &c->subjects[s];

			if (subject->cells[side] || kinship(subject_key(c, subject), &r->key) < wanted)
				continue;
			subject->cells[side] = r;
			placed[i] = true;
		}
	}
}

static int place_side(struct comparison *c, size_t side, size_t *room)
{
	struct comparison_side *from = &c->sides[side];
	bool *placed = calloc(from->result_count + 1, sizeof(*placed));
	int err = placed ? 0 : -ENOMEM;

	for (int wanted = KINSHIP_SAME; wanted > KINSHIP_NONE && !err; wanted--)
		place_kin(c, side, placed, wanted);
	for (size_t i = 0; i < from->result_count && !err; i++) {
		struct comparison_subject *subject = placed[i] ? NULL : subject_add(c, room);

		if (subject)
			subject->cells[side] = &from->results[i];
		else if (!placed[i])
			err = -ENOMEM;
	}
	free(placed);
	return err;
}

static bool is_alike(const struct comparison *c, const struct comparison_subject *subject)
{
	const struct comparison_key *first = subject_key(c, subject);

	for (size_t i = 0; i < c->side_count; i++) {
		const struct comparison_key *key = subject->cells[i] ? &subject->cells[i]->key : first;

		if (strcmp(first->mode, key->mode) || (!*first->mode && (first->protocol != key->protocol || first->port != key->port)))
			return false;
	}
	return true;
}

int comparison_arrange(struct comparison *c)
{
	size_t room = 0;
	int err = 0;

	if (c->side_count == 1 && is_modes_only(&c->sides[0]))
		err = split_modes(c);
	if (!err && is_one_each(c)) {
		struct comparison_subject *subject = subject_add(c, &room);

		for (size_t i = 0; i < c->side_count && subject; i++)
			subject->cells[i] = &c->sides[i].results[0];
		err = subject ? 0 : -ENOMEM;
	} else {
		for (size_t i = 0; i < c->side_count && !err; i++)
			err = place_side(c, i, &room);
	}
	for (size_t i = 0; i < c->subject_count && !err; i++)
		c->subjects[i].alike = is_alike(c, &c->subjects[i]);
	return err;
}

/* ---- means, differences, best and worst ---- */

/* The values of one metric of one side that are known, as they are and as they are tested. */
struct sample {
	double *values, *scores;
	size_t count;
};

static void samples_free(struct sample *samples, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(samples[i].values);
	free(samples);
}

/* Room for all runs of a subject, one sample a side; NULL: out of memory. */
static struct sample *samples_new(const struct comparison *c, const struct comparison_subject *subject)
{
	struct sample *samples = calloc(c->side_count, sizeof(*samples));

	for (size_t i = 0; samples && i < c->side_count; i++) {
		const size_t runs = subject->cells[i] ? subject->cells[i]->run_count : 0;

		samples[i].values = calloc(2 * runs + 1, sizeof(double));
		if (!samples[i].values) {
			samples_free(samples, c->side_count);
			return NULL;
		}
		samples[i].scores = samples[i].values + runs;
	}
	return samples;
}

/* Where one run of the subject has no yardstick, none is held against it. */
static bool has_chance(const struct comparison *c, const struct comparison_subject *subject, size_t metric)
{
	if (metrics[metric].chance < 0)
		return false;
	for (size_t i = 0; i < c->side_count; i++) {
		const struct comparison_result *r = subject->cells[i];

		for (size_t k = 0; r && k < r->run_count; k++)
			if (!isnan(r->runs[k].figures[metric]) && isnan(r->runs[k].figures[metrics[metric].chance]))
				return false;
	}
	return true;
}

/* Over how many bins that CV is; NaN: not known. */
static double bins_of(const struct comparison_run *run, size_t metric)
{
	const enum share share = metric == METRIC_CV ? deciding_share(run) : (enum share)((metric - METRIC_SHARES) / SHARE_FIGURES);

	return run->figures[metric_of_share(share, SHARE_BINS)];
}

/*
 * The spread beyond chance, squared: of n events with true shares of spread theta over k bins CV^2 is on average theta^2 (1 - 1/n) + (k-1)/n, so this is theta^2 whatever
 * n is. The chance CV e^2 = (k-1)/n says what 1/n is.
 */
static double beyond_chance(const struct comparison_run *run, size_t metric, double cv, double expected)
{
	const double bins = bins_of(run, metric), one_of_n = bins > 1 ? expected * expected / (bins - 1) : 0;

	return (cv * cv - expected * expected) / (one_of_n < 1 ? 1 - one_of_n : 1);
}

static void samples_fill(const struct comparison *c, const struct comparison_subject *subject, size_t metric, struct sample *samples)
{
	const bool chance = has_chance(c, subject, metric);

	for (size_t i = 0; i < c->side_count; i++) {
		const struct comparison_result *r = subject->cells[i];
		struct sample *s = &samples[i];

		s->count = 0;
		for (size_t k = 0; r && k < r->run_count; k++) {
			const double value = r->runs[k].figures[metric];
			const double expected = chance ? r->runs[k].figures[metrics[metric].chance] : NAN;

			if (isnan(value))
				continue;
			s->values[s->count] = value;
			s->scores[s->count++] = chance ? beyond_chance(&r->runs[k], metric, value, expected) : value;
		}
	}
}

static bool is_testable(const struct sample *a, const struct sample *b)
{
	return a->count >= NOISE_RUNS_MIN && b->count >= NOISE_RUNS_MIN;
}

/* What is shown as equal is not told apart, whatever chance would have given each. */
static double p_of(const struct sample *a, const struct sample *b)
{
	double mean_a, mean_b, unused;

	noise_moments(a->values, a->count, &mean_a, &unused);
	noise_moments(b->values, b->count, &mean_b, &unused);
	if (noise_same(mean_a, mean_b))
		return 1;
	return noise_p_value(a->scores, a->count, b->scores, b->count);
}

static void stat_fill(struct comparison_stat *stat, const struct comparison_stat *first, size_t metric, const struct sample *base,
		      const struct sample *own)
{
	double unused;

	*stat = (struct comparison_stat){ .runs = own->count, .mean = NAN, .sd = NAN, .score = NAN, .difference = NAN, .p = NAN };
	if (!own->count)
		return;
	noise_moments(own->values, own->count, &stat->mean, &stat->sd);
	noise_moments(own->scores, own->count, &stat->score, &unused);
	stat->score = fmax(0, stat->score);
	if (own->count == 1)
		stat->sd = NAN;
	if (base == own || !base->count)
		return;
	stat->difference = noise_same(stat->mean, first->mean) ? 0 : stat->mean - first->mean;
	if (!metrics[metric].tested || !is_testable(base, own))
		return;
	stat->p = p_of(base, own);
	stat->told = isnan(stat->p) ? TOLD_UNTESTED : stat->p < NOISE_LEVEL ? TOLD_DIFFERENT : TOLD_NOISE;
}

static bool mixes_protocols(const struct comparison *c, const struct comparison_subject *subject)
{
	bool tcp = false, udp = false;

	for (size_t i = 0; i < c->side_count; i++) {
		const struct comparison_result *r = subject->cells[i];

		tcp |= r && r->run_count && r->key.protocol == PROTOCOL_TCP;
		udp |= r && r->run_count && r->key.protocol == PROTOCOL_UDP;
	}
	return tcp && udp;
}

/* 1: higher is better for these runs, -1: lower, 0: neither. */
static int direction(const struct comparison *c, const struct comparison_subject *subject, size_t metric)
{
	if ((metric == METRIC_RATE || metric == METRIC_DROPS) && mixes_protocols(c, subject))
		return 0;
	if (metrics[metric].better != BETTER_HIGHER_OWN)
		return metrics[metric].better == BETTER_LOWER ? -1 : 0;
	for (size_t i = 0; i < c->side_count; i++) {
		const struct comparison_result *r = subject->cells[i];

		for (size_t k = 0; r && k < r->run_count; k++)
			if (!r->runs[k].own_load)
				return 0;
	}
	return 1;
}

/* The side that is furthest out in that direction; side_count: none has the metric. */
static size_t extreme(const struct comparison *c, const struct comparison_subject *subject, size_t metric, int towards)
{
	size_t found = c->side_count;

	for (size_t i = 0; i < c->side_count; i++) {
		const struct comparison_stat *stat = subject->cells[i] ? &subject->cells[i]->stats[metric] : NULL;

		if (!stat || !stat->runs)
			continue;
		if (found == c->side_count || stat->score * towards > subject->cells[found]->stats[metric].score * towards)
			found = i;
	}
	return found;
}

/* Is that side told from each of the others? Where not all have runs enough: is there no other with the same value? */
static bool stands_out(const struct comparison *c, const struct comparison_subject *subject, size_t metric, const struct sample *samples,
		       size_t side, bool tested)
{
	const struct comparison_stat *own = &subject->cells[side]->stats[metric];
	size_t others = 0;

	for (size_t i = 0; i < c->side_count; i++) {
		const struct comparison_stat *other;

		if (i == side || !samples[i].count)
			continue;
		others++;
		other = &subject->cells[i]->stats[metric];
		if (noise_same(other->score, own->score) || noise_same(other->mean, own->mean) || (tested && !(p_of(&samples[side], &samples[i]) < NOISE_LEVEL)))
			return false;
	}
	return others;
}

static void marks_fill(const struct comparison *c, const struct comparison_subject *subject, size_t metric, const struct sample *samples)
{
	const int better = direction(c, subject, metric);
	bool tested = true;

	for (size_t i = 0; i < c->side_count; i++)
		tested &= !samples[i].count || samples[i].count >= NOISE_RUNS_MIN;
	for (int sign = 1; better && sign >= -1; sign -= 2) {
		const size_t side = extreme(c, subject, metric, sign * better);
		struct comparison_stat *stat = side < c->side_count ? &subject->cells[side]->stats[metric] : NULL;

		if (!stat || !stands_out(c, subject, metric, samples, side, tested))
			continue;
		stat->mark = sign > 0 ? MARK_BEST : MARK_WORST;
		stat->mark_tested = tested;
	}
}

static int subject_judge(const struct comparison *c, const struct comparison_subject *subject)
{
	struct sample *samples = samples_new(c, subject);
	int err = samples ? 0 : -ENOMEM;

	for (size_t i = 0; i < c->side_count && !err; i++) {
		struct comparison_result *r = subject->cells[i];

		if (r && !r->stats)
			r->stats = calloc(METRIC_COUNT, sizeof(*r->stats));
		if (r && !r->stats)
			err = -ENOMEM;
	}
	for (size_t m = 0; m < METRIC_COUNT && !err; m++) {
		samples_fill(c, subject, m, samples);
		for (size_t i = 0; i < c->side_count; i++)
			if (subject->cells[i])
				stat_fill(&subject->cells[i]->stats[m], subject->cells[0] ? &subject->cells[0]->stats[m] : NULL, m, &samples[0],
					  &samples[i]);
		marks_fill(c, subject, m, samples);
	}
	if (samples)
		samples_free(samples, c->side_count);
	return err;
}

int comparison_judge(struct comparison *c)
{
	int err = 0;

	for (size_t i = 0; i < c->subject_count && !err; i++)
		err = subject_judge(c, &c->subjects[i]);
	return err;
}

static int add_snapshot(struct comparison *c, const struct snapshot *s)
{
	const struct workload_account *w = &s->workload;
	const struct endpoint *e = s->endpoint_count ? &s->endpoints[0] : NULL;
	struct comparison_key key = {};
	struct comparison_run run;

	strncpy(key.mode, w->mode, sizeof(key.mode) - 1);
	if (*w->skipped || !e)
		return comparison_add(c, c->side_count - 1, &key, "", NULL, *w->skipped ? w->skipped : "no result");
	key.protocol = e->protocol;
	key.port = e->port;
	key.netns = e->netns;
	comparison_run_of(&run, s, e);
	return comparison_add(c, c->side_count - 1, &key, "", &run, NULL);
}

int comparison_of_runs(struct comparison *c, const struct snapshot *runs, size_t count, size_t modes)
{
	int err = 0;

	*c = (struct comparison){};
	for (size_t mode = 0; mode < modes && mode < count && !err; mode++) {
		err = comparison_side_add(c, runs[mode].workload.mode);
		for (size_t i = mode; i < count && !err; i += modes)
			err = add_snapshot(c, &runs[i]);
	}
	if (!err)
		err = comparison_arrange(c);
	return err ? err : comparison_judge(c);
}

/* ---- for scripts ---- */

struct decision comparison_run_decide(const struct comparison_run *run)
{
	const struct fairness workers = { .events = workers_seen(run), .verdict = run->verdicts[SHARE_WORKERS], .withheld = run->withheld[SHARE_WORKERS] };
	const struct fairness sockets = { .verdict = run->verdicts[SHARE_SOCKETS], .withheld = run->withheld[SHARE_SOCKETS] };

	return decision_of(fairness_decisive(&workers, &sockets), run->figures[METRIC_EVENTS] > 0, 0);
}

size_t comparison_uneven_runs(const struct comparison_result *r)
{
	size_t uneven = 0;

	for (size_t i = 0; i < r->run_count; i++) {
		const struct comparison_run *run = &r->runs[i];
		uneven += comparison_run_decide(run).outcome == OUTCOME_UNEVEN;
	}
	return uneven;
}

/* What was found so far about sides that are worse than the first. */
struct worse_found {
	size_t pairs, untested, worse, missing;
};

/* What the first side has and this one lacks can't be judged: a port, a mode, a figure. Nor can counts that do not agree. */
static bool is_missing(const struct comparison *c, const struct comparison_subject *subject, size_t side, size_t metric)
{
	const struct comparison_result *base = subject->cells[0], *own = subject->cells[side];

	if (!base || !base->run_count || !base->stats[metric].runs || !direction(c, subject, metric))
		return false;
	if (!own || !own->run_count || !own->stats[metric].runs)
		return true;
	for (size_t i = 0; i < own->run_count; i++)
		if (own->runs[i].disagrees)
			return true;
	return false;
}

static void look_if_worse(const struct comparison *c, const struct comparison_subject *subject, size_t side, size_t metric, struct worse_found *found)
{
	const struct comparison_stat *base = &subject->cells[0]->stats[metric], *own = &subject->cells[side]->stats[metric];
	const int better = direction(c, subject, metric);

	if (!better || !base->runs || !own->runs)
		return;
	found->pairs++;
	found->untested += own->told == TOLD_UNTESTED;
	found->worse += own->told == TOLD_DIFFERENT && (own->score - base->score) * better < 0;
}

enum worse comparison_worse(const struct comparison *c)
{
	static const enum metric_id judged[] = { METRIC_CV, METRIC_WAIT_P99, METRIC_RATE };
	struct worse_found found = {};

	for (size_t s = 0; s < c->subject_count; s++) {
		const struct comparison_subject *subject = &c->subjects[s];

		for (size_t i = 1; i < c->side_count && subject->cells[0]; i++) {
			for (size_t m = 0; m < sizeof(judged) / sizeof(*judged); m++) {
				found.missing += is_missing(c, subject, i, judged[m]);
				if (subject->cells[i])
					look_if_worse(c, subject, i, judged[m], &found);
			}
		}
	}
	return found.worse ? WORSE_TOLD : found.missing && found.pairs ? WORSE_MISSING : found.untested ? WORSE_UNTESTED : found.pairs ? WORSE_NOT : WORSE_NO_PAIR;
}

void comparison_free(struct comparison *c)
{
	for (size_t i = 0; i < c->side_count; i++) {
		struct comparison_side *side = &c->sides[i];

		for (size_t k = 0; k < side->result_count; k++) {
			free(side->results[k].runs);
			free(side->results[k].stats);
		}
		free(side->results);
		free(side->name);
	}
	for (size_t i = 0; i < c->subject_count; i++)
		free(c->subjects[i].cells);
	free(c->sides);
	free(c->subjects);
	*c = (struct comparison){};
}
