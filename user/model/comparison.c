/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The figures of a run: which there are, and how they follow from an endpoint. */
#include "comparison.h"

#include <math.h>

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
