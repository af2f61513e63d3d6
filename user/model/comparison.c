/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of figures of a run, and how each is derived from an endpoint. */
#include "comparison.h"

#include <math.h>

#include "wait_sum.h"

#define COUNT_GRAIN 0.289 /* standard deviation of rounding to a whole number, 1/sqrt(12) */
#define PERCENTILE_GRAIN (WAIT_ERROR / 1.732) /* of the logarithm: anywhere in the slot */

enum { TESTED = 1, JUDGED = 2, BY_SIZE = 4, SHOWN = 8 };
#define NO_CHANCE (-1)

/* name, label, METRIC_..., BETTER_..., flags, grain, chance: see struct metric */
#define ROW(n, l, u, b, f, g, c)                                                                   \
	{                                                                                          \
		.name = (n), .label = (l), .unit = METRIC_##u, .better = BETTER_##b, .grain = (g), \
		.tested = (f)&TESTED, .judged = (f)&JUDGED, .by_size = (f)&BY_SIZE,                \
		.shown = (f)&SHOWN, .chance = (c)                                                  \
	}
/* A figure that is only shown; a figure that is tested. */
#define PLAIN(n, l, u, f) ROW(n, l, u, NEUTRAL, f, 0, NO_CHANCE)
#define TEST(n, l, u, b, f, g) ROW(n, l, u, b, TESTED | SHOWN | (f), g, NO_CHANCE)

#define OF(s, figure) (METRIC_SHARES + SHARE_##s * SHARE_FIGURES + SHARE_##figure)
#define CV_FLAGS (TESTED | JUDGED | SHOWN)
#define SHARE(s, n)                                                                                \
	[OF(s, BINS)] = PLAIN(n "_bins", n, COUNTS, 0),                                            \
	       [OF(s, EVENTS)] = PLAIN(n "_events", n " events", COUNTS, 0),                       \
	       [OF(s, IDLE)] = TEST(n "_idle", "  idle", COUNTS, NEUTRAL, BY_SIZE, COUNT_GRAIN),   \
	       [OF(s, CV)] = ROW(n "_cv", n " CV", RATIO, LOWER, CV_FLAGS, 0, OF(s, CV_EXPECTED)), \
	       [OF(s, CV_EXPECTED)] = PLAIN(n "_cv_expected", "  fair hash", RATIO, SHOWN),        \
	       [OF(s, EXCESS)] = PLAIN(n "_excess", "  excess", RATIO, 0),                         \
	       [OF(s, MAX_OVER_MEAN)] =                                                            \
		       TEST(n "_max_over_mean", "  busiest", TIMES, NEUTRAL, BY_SIZE, 0)

const struct metric metrics[METRIC_COUNT] = {
	[METRIC_RATE] = TEST("rate", "per second", PER_SECOND, HIGHER_OWN, JUDGED, 0),
	[METRIC_EVENTS] = PLAIN("events", "requests", COUNTS, SHOWN),
	[METRIC_SECONDS] = PLAIN("seconds", "seconds", SECOND, 0),
	SHARE(WORKERS, "workers"),
	SHARE(SOCKETS, "sockets"),
	SHARE(SERVED, "served"),
	[METRIC_WAIT_COUNT] = PLAIN("wait_count", "waited", COUNTS, 0),
	[METRIC_WAIT_MEAN] = TEST("wait_mean_ns", "wait mean", NS, LOWER, 0, 0),
	[METRIC_WAIT_P50] = TEST("wait_p50_ns", "wait p50", NS, LOWER, 0, PERCENTILE_GRAIN),
	[METRIC_WAIT_P90] = TEST("wait_p90_ns", "wait p90", NS, LOWER, 0, PERCENTILE_GRAIN),
	[METRIC_WAIT_P99] = TEST("wait_p99_ns", "wait p99", NS, LOWER, JUDGED, PERCENTILE_GRAIN),
	[METRIC_WAIT_MAX] = TEST("wait_max_ns", "wait max", NS, LOWER, BY_SIZE, 0),
	[METRIC_QUEUE_HIGHEST] =
		TEST("queue_highest", "highest queue", COUNTS, NEUTRAL, BY_SIZE, COUNT_GRAIN),
	[METRIC_QUEUE_BYTES] = TEST("queue_bytes", "queue bytes", COUNTS, NEUTRAL, 0, COUNT_GRAIN),
	[METRIC_DROPS] = PLAIN("drops", "drops", COUNTS, SHOWN),
	[METRIC_DROP_SHARE] = TEST("drop_share", "  of all", SHARE, LOWER, 0, 0),
	[METRIC_OPEN] = TEST("open", "open", COUNTS, NEUTRAL, 0, COUNT_GRAIN),
	[METRIC_OPEN_CV] = TEST("open_cv", "open CV", RATIO, NEUTRAL, 0, 0),
	[METRIC_CPU_CV] = TEST("cpu_cv", "CPU CV", RATIO, NEUTRAL, 0, 0),
	[METRIC_BYTES_CV] = TEST("bytes_cv", "bytes CV", RATIO, NEUTRAL, 0, 0),
	[METRIC_LOST] = PLAIN("lost", "not counted", COUNTS, SHOWN),
	[METRIC_CV] = ROW("cv", "CV", RATIO, LOWER, TESTED | JUDGED, 0, METRIC_CV_EXPECTED),
	[METRIC_CV_EXPECTED] = PLAIN("cv_expected", "fair hash", RATIO, 0),
};

/* ---- figures of a run ---- */

const char *const share_names[SHARE_COUNT] = {
	[SHARE_WORKERS] = "workers", [SHARE_SOCKETS] = "sockets", [SHARE_SERVED] = "served"
};

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

static void share_take_out(double *share)
{
	static const enum share_figure spread[] = { SHARE_IDLE, SHARE_CV, SHARE_CV_EXPECTED,
						    SHARE_EXCESS, SHARE_MAX_OVER_MEAN };

	for (size_t i = 0; i < sizeof(spread) / sizeof(*spread); i++)
		share[spread[i]] = NAN;
}

/* UDP: the events include the dropped datagrams. TCP: a dropped connection never reaches the queue,
 * so the events do not include it. */
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
			share_take_out(&run->figures[metric_of_share(i, SHARE_BINS)]);
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

/* A single worker has no spread. */
static void load_figures(double *figures, const struct endpoint *e)
{
	if (e->open_known && e->open_fairness.bins > 1 && e->open_fairness.events)
		figures[METRIC_OPEN_CV] = e->open_fairness.cv;
	if (e->cpu.known && e->cpu.workers > 1)
		figures[METRIC_CPU_CV] = e->cpu.cv;
	if (e->carried.known && e->carried.workers > 1)
		figures[METRIC_BYTES_CV] = e->carried.cv;
}

/* Adds to a figure, which is unknown until the first known value. */
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
	for (size_t i = 0; udp && i < e->socket_count; i++)
		if (e->sockets[i].queue_known && !e->sockets[i].ended)
			figures[METRIC_QUEUE_BYTES] =
				fmax(figures[METRIC_QUEUE_BYTES], e->sockets[i].queue_length);
	if (bound) /* a bound is no figure: some drops may be withheld ACKs */
		figures[METRIC_DROPS] = NAN;
	for (size_t i = 0; i < e->worker_count; i++)
		add_known(&figures[METRIC_OPEN], e->workers[i].open_known && !udp,
			  e->workers[i].open);
	for (size_t i = 0; i < e->worker_count; i++)
		if (e->workers[i].open_at_least) /* a bound is no figure, nor is a sum with one */
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
