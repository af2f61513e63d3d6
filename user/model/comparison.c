/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "comparison.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "wait_sum.h"

#define COUNT_GRAIN 0.289 /* of a whole number: the standard deviation of rounding, 1/sqrt(12) */
#define PERCENTILE_GRAIN (WAIT_ERROR / 1.732) /* of its logarithm: anywhere in its slot */

#define OF_SHARE(share, figure) METRIC_SHARES + share *SHARE_FIGURES + figure
#define SHARE(share, what, words)                                                                  \
	[OF_SHARE(share, SHARE_BINS)] = { .name = what "_bins", .label = words, .chance = -1 },    \
			 [OF_SHARE(share, SHARE_EVENTS)] = { .name = what "_events",               \
							     .label = words " events",             \
							     .chance = -1 },                       \
			 [OF_SHARE(share, SHARE_IDLE)] = { .name = what "_idle",                   \
							   .label = "  idle",                      \
							   .tested = true,                         \
							   .by_size = true,                        \
							   .grain = COUNT_GRAIN,                   \
							   .chance = -1,                           \
							   .shown = true },                        \
			 [OF_SHARE(share, SHARE_CV)] = { .name = what "_cv",                       \
							 .label = words " CV",                     \
							 .unit = METRIC_RATIO,                     \
							 .better = BETTER_LOWER,                   \
							 .tested = true,                           \
							 .judged = true,                           \
							 .chance = OF_SHARE(share,                 \
									    SHARE_CV_EXPECTED),    \
							 .shown = true },                          \
			 [OF_SHARE(share, SHARE_CV_EXPECTED)] = { .name = what "_cv_expected",     \
								  .label = "  fair hash",          \
								  .unit = METRIC_RATIO,            \
								  .chance = -1,                    \
								  .shown = true },                 \
			 [OF_SHARE(share, SHARE_EXCESS)] = { .name = what "_excess",               \
							     .label = "  excess",                  \
							     .unit = METRIC_RATIO,                 \
							     .chance = -1 },                       \
			 [OF_SHARE(share, SHARE_MAX_OVER_MEAN)] = { .name = what "_max_over_mean", \
								    .label = "  busiest",          \
								    .unit = METRIC_TIMES,          \
								    .tested = true,                \
								    .by_size = true,               \
								    .chance = -1,                  \
								    .shown = true }

#define WAIT(what, words, ...)                                                                     \
	{                                                                                          \
		.name = what, .label = words, .unit = METRIC_NS, .better = BETTER_LOWER,           \
		.tested = true, .chance = -1, .shown = true, __VA_ARGS__                           \
	}

const struct metric metrics[METRIC_COUNT] = {
	[METRIC_RATE] = { .name = "rate",
			  .label = "per second",
			  .unit = METRIC_PER_SECOND,
			  .better = BETTER_HIGHER_OWN,
			  .tested = true,
			  .judged = true,
			  .chance = -1,
			  .shown = true },
	[METRIC_EVENTS] = { .name = "events", .label = "requests", .chance = -1, .shown = true },
	[METRIC_SECONDS] = { .name = "seconds",
			     .label = "seconds",
			     .unit = METRIC_SECOND,
			     .chance = -1 },
	SHARE(SHARE_WORKERS, "workers", "workers"),
	SHARE(SHARE_SOCKETS, "sockets", "sockets"),
	SHARE(SHARE_SERVED, "served", "served"),
	[METRIC_WAIT_COUNT] = { .name = "wait_count", .label = "waited", .chance = -1 },
	[METRIC_WAIT_MEAN] = WAIT("wait_mean_ns", "wait mean", ),
	[METRIC_WAIT_P50] = WAIT("wait_p50_ns", "wait p50", .grain = PERCENTILE_GRAIN),
	[METRIC_WAIT_P90] = WAIT("wait_p90_ns", "wait p90", .grain = PERCENTILE_GRAIN),
	[METRIC_WAIT_P99] =
		WAIT("wait_p99_ns", "wait p99", .grain = PERCENTILE_GRAIN, .judged = true),
	[METRIC_WAIT_MAX] = WAIT("wait_max_ns", "wait max", .by_size = true),
	[METRIC_QUEUE_HIGHEST] = { .name = "queue_highest",
				   .label = "highest queue",
				   .tested = true,
				   .by_size = true,
				   .grain = COUNT_GRAIN,
				   .chance = -1,
				   .shown = true },
	[METRIC_DROPS] = { .name = "drops", .label = "drops", .chance = -1, .shown = true },
	[METRIC_DROP_SHARE] = { .name = "drop_share",
				.label = "  of all",
				.unit = METRIC_SHARE,
				.better = BETTER_LOWER,
				.tested = true,
				.chance = -1,
				.shown = true },
	[METRIC_OPEN] = { .name = "open",
			  .label = "open",
			  .tested = true,
			  .grain = COUNT_GRAIN,
			  .chance = -1,
			  .shown = true },
	[METRIC_CPU_CV] = { .name = "cpu_cv",
			    .label = "CPU CV",
			    .unit = METRIC_RATIO,
			    .tested = true,
			    .chance = -1,
			    .shown = true },
	[METRIC_BYTES_CV] = { .name = "bytes_cv",
			      .label = "bytes CV",
			      .unit = METRIC_RATIO,
			      .tested = true,
			      .chance = -1,
			      .shown = true },
	[METRIC_LOST] = { .name = "lost", .label = "not counted", .chance = -1, .shown = true },
	[METRIC_CV] = { .name = "cv",
			.label = "CV",
			.unit = METRIC_RATIO,
			.better = BETTER_LOWER,
			.tested = true,
			.judged = true,
			.chance = METRIC_CV_EXPECTED },
	[METRIC_CV_EXPECTED] = { .name = "cv_expected",
				 .label = "fair hash",
				 .unit = METRIC_RATIO,
				 .chance = -1 },
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

bool comparison_workers_seen(const struct comparison_run *run)
{
	return run->figures[metric_of_share(SHARE_WORKERS, SHARE_EVENTS)] > 0;
}

enum share comparison_deciding_share(const struct comparison_run *run)
{
	if (run->verdicts[SHARE_WORKERS] == VERDICT_NOT_APPLICABLE &&
	    run->verdicts[SHARE_SERVED] != VERDICT_NOT_APPLICABLE)
		return SHARE_SERVED;
	return comparison_workers_seen(run) ? SHARE_WORKERS : SHARE_SOCKETS;
}

static void take_out(double *share)
{
	static const enum share_figure spread[] = { SHARE_IDLE, SHARE_CV, SHARE_CV_EXPECTED,
						    SHARE_EXCESS, SHARE_MAX_OVER_MEAN };

	for (size_t i = 0; i < sizeof(spread) / sizeof(*spread); i++)
		share[spread[i]] = NAN;
}

/* UDP: the dropped are among the events. TCP: a drop never comes to the queue. */
static double drop_share(const struct comparison_run *run, enum protocol protocol)
{
	const double drops = run->figures[METRIC_DROPS],
		     all = run->figures[METRIC_EVENTS] + (protocol == PROTOCOL_TCP ? drops : 0);

	return all > 0 ? fmin(drops / all, 1) : NAN;
}

void comparison_run_complete(struct comparison_run *run, enum protocol protocol)
{
	const enum share share = comparison_deciding_share(run);

	for (enum share i = 0; i < SHARE_COUNT; i++)
		if (run->verdicts[i] == VERDICT_WITHHELD)
			take_out(&run->figures[metric_of_share(i, SHARE_BINS)]);
	run->figures[METRIC_DROP_SHARE] = drop_share(run, protocol);
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

/* Of one worker alone there is no spread. */
static void load_figures(double *figures, const struct endpoint *e)
{
	if (e->cpu.known && e->cpu.workers > 1)
		figures[METRIC_CPU_CV] = e->cpu.cv;
	if (e->carried.known && e->carried.workers > 1)
		figures[METRIC_BYTES_CV] = e->carried.cv;
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
	bool bound = false;

	add_known(&figures[METRIC_DROPS], udp || e->omitted.drops,
		  udp ? e->omitted.dropped : e->omitted.drops);
	for (size_t i = 0; i < e->socket_count + e->connected_count; i++) {
		const struct socket_row *s = &e->sockets[i];

		add_known(&figures[METRIC_DROPS], udp || s->queue_known,
			  udp ? s->dropped : drops_least(s));
		bound |= !udp && drops_least(s) < drops_most(s);
		if (!udp && s->highest_known && !(s->queue_highest <= *highest))
			*highest = s->queue_highest;
	}
	if (bound) /* is no figure: some drops may be withheld ACKs */
		figures[METRIC_DROPS] = NAN;
	for (size_t i = 0; i < e->worker_count; i++)
		add_known(&figures[METRIC_OPEN], e->workers[i].open_known && !udp,
			  e->workers[i].open);
	for (size_t i = 0; i < e->worker_count; i++)
		if (e->workers[i].open_at_least) /* a bound is no figure, nor is a sum with it */
			figures[METRIC_OPEN] = NAN;
}

void comparison_run_of(struct comparison_run *run, const struct snapshot *s,
		       const struct endpoint *e)
{
	const struct workload_account *w = &s->workload;
	double *figures = run->figures;

	comparison_run_clear(run);
	run->own_load = s->has_workload && !w->serve_only;
	run->disagrees = s->has_workload && !w->agrees;
	figures[METRIC_EVENTS] = (double)endpoint_events(e);
	figures[METRIC_SECONDS] = s->has_workload ? w->seconds : s->seconds;
	if (figures[METRIC_SECONDS] > 0)
		figures[METRIC_RATE] =
			(s->has_workload ? (double)(w->serve_only ? w->accepted : w->sent)
					 : figures[METRIC_EVENTS]) /
			figures[METRIC_SECONDS];
	figures[METRIC_LOST] = (double)snapshot_lost_counts(s);
	run->bins = e->design.bins;
	share_figures(run, SHARE_WORKERS,
		      run->bins == BINS_PROCESSES ? &e->process_fairness : &e->worker_fairness);
	share_figures(run, SHARE_SOCKETS, &e->socket_fairness);
	if (e->served_known)
		share_figures(run, SHARE_SERVED, &e->served_fairness);
	wait_figures(figures, e);
	row_figures(figures, e);
	load_figures(figures, e);
	comparison_run_complete(run, e->protocol);
}

/* ---- what there is ---- */

/* Makes room for one more of `size` bytes. Returns the array, or NULL: out of memory, the old one
 * is still there. */
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
	struct comparison_side *sides =
		grow(c->sides, c->side_count, &c->side_room, sizeof(*sides));
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
	return a->protocol == b->protocol && a->port == b->port && a->netns == b->netns &&
	       !strcmp(a->address, b->address);
}

static struct comparison_result *result_of(struct comparison_side *side,
					   const struct comparison_key *key, const char *setup)
{
	struct comparison_result *results;

	/* From the end: repeats follow each other, so that this is short. Endpoints of one window
	 * all differ. */
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

int comparison_add(struct comparison *c, size_t side, const struct comparison_key *key,
		   const char *setup, const struct comparison_run *run, const char *skipped)
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
		strncpy(r->setup, setup,
			sizeof(r->setup) - 1); /* a run that was skipped before had none */
	else if (strncmp(r->setup, setup, sizeof(r->setup) - 1))
		return -EEXIST;
	runs = grow(r->runs, r->run_count, &r->run_room, sizeof(*runs));
	if (!runs)
		return -ENOMEM;
	r->runs = runs;
	runs[r->run_count] = *run;
	if (r->run_count && runs[r->run_count].round <= runs[r->run_count - 1].round)
		runs[r->run_count].round = runs[r->run_count - 1].round + 1;
	r->run_count++;
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

static const struct comparison_key *subject_key(const struct comparison *c,
						const struct comparison_subject *subject)
{
	size_t i = 0;

	while (i + 1 < c->side_count && !subject->cells[i])
		i++;
	return &subject->cells[i]->key;
}

/* A new subject without cells. NULL: out of memory. */
static struct comparison_subject *subject_add(struct comparison *c, size_t *room)
{
	struct comparison_subject *subjects =
		grow(c->subjects, c->subject_count, room, sizeof(*subjects));

	if (!subjects)
		return NULL;
	c->subjects = subjects;
	subjects += c->subject_count;
	*subjects = (struct comparison_subject){ .cells = calloc(c->side_count,
								 sizeof(*subjects->cells)) };
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

			if (subject->cells[side] ||
			    kinship(subject_key(c, subject), &r->key) < wanted)
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
		const struct comparison_key *key =
			subject->cells[i] ? &subject->cells[i]->key : first;

		if (strcmp(first->mode, key->mode) ||
		    (!*first->mode &&
		     (first->protocol != key->protocol || first->port != key->port)))
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

static int add_snapshot(struct comparison *c, const struct snapshot *s)
{
	const struct workload_account *w = &s->workload;
	const struct endpoint *e = s->endpoint_count ? &s->endpoints[0] : NULL;
	struct comparison_key key = {};
	struct comparison_run run;

	strncpy(key.mode, w->mode, sizeof(key.mode) - 1);
	if (*w->skipped || !e)
		return comparison_add(c, c->side_count - 1, &key, "", NULL,
				      *w->skipped ? w->skipped : "no result");
	key.protocol = e->protocol;
	key.port = e->port;
	key.netns = e->netns;
	comparison_run_of(&run, s, e);
	return comparison_add(c, c->side_count - 1, &key, "", &run, NULL);
}

int comparison_of_runs(struct comparison *c, const struct snapshot *runs, size_t count,
		       size_t modes)
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
