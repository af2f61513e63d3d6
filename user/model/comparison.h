/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Results side by side. A side is a column: a saved file, or a server design of `run A B C`. A
 * subject is what is compared: a port, or a design in files of several. Each side has repeated runs
 * of a subject, and of each run the same figures; whether two sides differ is told by the spread of
 * their runs (noise.h), never from single ones.
 *
 *   comparison_side_add(), comparison_add()   what there is, side by side
 *   comparison_arrange()                      which results belong together
 *   comparison_judge()                        means, differences, what is more than noise, best and
 * worst (comparison_judge.c) comparison_worse()                        all of it in one word, for
 * scripts (comparison_gate.c)
 */
#ifndef SOCKFAIR_COMPARISON_H
#define SOCKFAIR_COMPARISON_H

#include "decision.h"
#include "snapshot.h"

/* What fairness is about: who takes, where it arrives, who serves. */
enum share { SHARE_WORKERS, SHARE_SOCKETS, SHARE_SERVED, SHARE_COUNT };
extern const char *const share_names[SHARE_COUNT]; /* as documents call them */

/* The figures of fairness, in this order for each share. */
enum share_figure {
	SHARE_BINS,
	SHARE_EVENTS,
	SHARE_CV,
	SHARE_CV_EXPECTED,
	SHARE_EXCESS,
	SHARE_MAX_OVER_MEAN,
	SHARE_IDLE,
	SHARE_FIGURES
};

/* In the order of the table metrics[]. */
enum metric_id {
	METRIC_RATE,   /* requests per second */
	METRIC_EVENTS, /* endpoint_events() */
	METRIC_SECONDS,
	METRIC_SHARES, /* SHARE_COUNT times SHARE_FIGURES */
	METRIC_WAIT_COUNT =
		METRIC_SHARES + SHARE_COUNT * SHARE_FIGURES, /* time in accept queues, of all
								connections of the endpoint */
	METRIC_WAIT_MEAN,
	METRIC_WAIT_P50,
	METRIC_WAIT_P90,
	METRIC_WAIT_P99,
	METRIC_WAIT_MAX,
	METRIC_QUEUE_HIGHEST, /* TCP: the longest that any of its accept queues was */
	METRIC_DROPS,      /* TCP: the kernel's drop counters. UDP: datagrams that found no room */
	METRIC_DROP_SHARE, /* of all that came; TCP: of what came to the queue and the drops */
	METRIC_OPEN,       /* TCP: connections open at the end */
	METRIC_CPU_CV,     /* of CPU time over the workers: load.h */
	METRIC_BYTES_CV,   /* TCP: likewise, of bytes */
	METRIC_LOST, /* events that the tool did not count: the other figures are at least so high
		      */
	METRIC_CV, /* that decides: the workers', where one alone accepts of those who serve, where
		      none was seen the sockets' */
	METRIC_CV_EXPECTED,
	METRIC_COUNT
};

static inline enum metric_id metric_of_share(enum share share, enum share_figure figure)
{
	return (enum metric_id)(METRIC_SHARES + share * SHARE_FIGURES + figure);
}

enum metric_unit {
	METRIC_COUNTS,
	METRIC_PER_SECOND,
	METRIC_SECOND,
	METRIC_RATIO,
	METRIC_SHARE /* of 1 */,
	METRIC_TIMES /* the mean */,
	METRIC_NS
};
enum metric_better {
	BETTER_NEUTRAL, /* no side is better for it */
	BETTER_LOWER,
	BETTER_HIGHER_OWN, /* higher, where the load is a workload's own: beside a server that runs,
			      clients decide how much they send */
};
/* Where TCP and UDP are side by side, neither is better for its rate or its drops: connections are
 * no datagrams. */

struct metric {
	const char *name;  /* in JSON: stable */
	const char *label; /* for people */
	enum metric_unit unit;
	enum metric_better better;
	bool tested;  /* against noise */
	bool judged;  /* by comparison_worse(), where it has a direction */
	bool by_size; /* depends on how many events a run had, and is compared only where all had as
			 many */
	double grain; /* standard deviation that its measuring or rounding gives, of what is tested;
			 0: none */
	int chance; /* the metric that says what chance alone gives: see comparison_stat.score; -1:
		       none */
	bool shown; /* in text */
};

/* A figure is a row here, an entry above, and where it is taken from: comparison_run_of(),
 * render/json_result.c, the schema. */
extern const struct metric metrics[METRIC_COUNT];

struct comparison_run {
	size_t round; /* which window of its file, or repetition of its mode: runs of several ports
			 in one round belong together */
	double figures[METRIC_COUNT]; /* NaN: not known */
	enum verdict verdicts[SHARE_COUNT];
	enum withheld withheld[SHARE_COUNT];
	enum design_bins bins; /* whose share decides; processes are in SHARE_WORKERS' place */
	bool own_load;         /* clients of a workload made it */
	bool disagrees;        /* a workload's kernel, server and clients did not count the same */
};

#define COMPARISON_SETUP_SIZE 320

/* What a result is of. Results of the same design, or else of the same port, belong together. */
struct comparison_key {
	char mode[64]; /* a workload's; "": none */
	enum protocol protocol;
	char address[64];
	uint16_t port;
	uint32_t netns;
	bool port_asked; /* the user named this port for this side: it matches any other that was
			    named */
};

enum told {
	TOLD_UNTESTED,  /* too few runs, or nothing to compare with */
	TOLD_NOISE,     /* no more than noise gives, in any of so many ports and figures */
	TOLD_DIFFERENT, /* p < NOISE_LEVEL */
};
enum mark { MARK_NONE, MARK_BEST, MARK_WORST };

/* One metric of one side. */
struct comparison_stat {
	size_t runs;     /* in which it is known; 0: the rest means nothing */
	double mean, sd; /* sd: NaN for one run */
	/*
	 * The mean of what is tested and ranked: of the values, but for waits of their logarithms,
	 * and for a CV that has a yardstick of (CV^2 - (k-1)/n) / (1 - 1/n). That is the spread
	 * beyond chance, squared, and its mean does not depend on how many events a run had; the CV
	 * of a shorter run is higher by chance alone. Below chance (round robin) it is 0: no side
	 * is better for being more even than a fair hash.
	 */
	double score;
	double difference; /* of the means, to the first side; NaN there, or where that side has
			      none */
	double p; /* of that difference, adjusted for all ports and figures: see noise.h; NaN: not
		     tested */
	bool comparable; /* false: the runs had too unlike numbers of events for this figure */
	enum told told;
	enum mark mark; /* best or worst of the sides: told from each other side, or where that is
			   not tested the only extreme one */
	bool mark_tested;
};

struct comparison_result {
	struct comparison_key key;
	char setup[COMPARISON_SETUP_SIZE]; /* what else a run depends on: workers, concurrency,
					      kernel... ; for people */
	char skipped[160];                 /* why there are no runs */
	struct comparison_run *runs;
	size_t run_count, run_room;
	size_t with_traffic; /* runs in which anything came, by comparison_judge(): only these count
			      */
	struct comparison_stat *stats; /* METRIC_COUNT of them, by comparison_judge() */
};

struct comparison_side {
	char *name;
	struct comparison_result *results;
	size_t result_count, result_room;
	uint64_t left_out; /* ports that were seen and are not in its documents: limit.h */
};

struct comparison_subject {
	struct comparison_result **cells; /* one a side; NULL: that side has none. The first one
					     present names the subject */
	bool alike; /* all of them have the same mode, or the same protocol and port */
};

struct comparison {
	struct comparison_side *sides;
	size_t side_count, side_room;
	struct comparison_subject *subjects;
	size_t subject_count;
};

/* The figures of one endpoint of a snapshot that has been judged. */
void comparison_run_of(struct comparison_run *run, const struct snapshot *s,
		       const struct endpoint *e);

/* All figures unknown, all verdicts not applicable. */
void comparison_run_clear(struct comparison_run *run);

/* Fills METRIC_CV, METRIC_CV_EXPECTED and METRIC_DROP_SHARE from the others. What a verdict was
 * withheld for is no figure to compare: it is taken out. */
void comparison_run_complete(struct comparison_run *run, enum protocol protocol);

/* Who decides: see METRIC_CV. */
enum share comparison_deciding_share(const struct comparison_run *run);
bool comparison_workers_seen(const struct comparison_run *run);

/* Did anything come in the run? Where that is not known it counts as if. */
bool comparison_has_traffic(const struct comparison_run *run);

/* A figure as it counts, after comparison_judge(): NaN for a run without traffic beside others with
 * any. Where no run had any they are shown, and not tested. */
double comparison_figure(const struct comparison_result *r, const struct comparison_run *run,
			 size_t metric);

/* A new last side. Returns 0 or -ENOMEM. */
int comparison_side_add(struct comparison *c, const char *name);

/*
 * Adds a run to a side, in its round or the next that this key has none of; further ones of the
 * same key are repeats. run NULL: it was skipped, skipped says why. Returns 0, -ENOMEM, or -EEXIST:
 * the side has runs of this key with another setup, so this is no repeat of them.
 */
int comparison_add(struct comparison *c, size_t side, const struct comparison_key *key,
		   const char *setup, const struct comparison_run *run, const char *skipped);

/*
 * What `run` did, as sides: a snapshot of each of the modes, then again one of each, and so on; the
 * last round may lack some. Arranged and judged. Returns 0 or -ENOMEM; comparison_free().
 */
int comparison_of_runs(struct comparison *c, const struct snapshot *runs, size_t count,
		       size_t modes);

/*
 * Finds what belongs together. One side with several modes and nothing else: its modes become the
 * sides. Sides with one result each: these are compared, whatever they are of. Otherwise modes are
 * matched by name, and endpoints by protocol and port, those of the same address (and network
 * namespace) first. Returns 0 or -ENOMEM.
 */
int comparison_arrange(struct comparison *c);

/* Fills the stats of all results. Returns 0 or -ENOMEM. */
int comparison_judge(struct comparison *c);

/* 1: higher is better for these runs, -1: lower, 0: neither. */
int comparison_direction(const struct comparison *c, const struct comparison_subject *subject,
			 size_t metric);

/* What --fail-on uneven makes of a run; how few events were too few is not known of it. */
struct decision comparison_run_decide(const struct comparison_run *run);

/* How many runs of a result are uneven by that. */
size_t comparison_uneven_runs(const struct comparison_result *r);

/* Is a side after the first told worse than the first: in METRIC_CV, the waits' 99th percentile, or
 * a workload's own rate? */
enum worse {
	WORSE_NOT,
	WORSE_TOLD,
	WORSE_LOST,    /* whatever was told: of what is beside each other events were not counted */
	WORSE_MISSING, /* not told, but the first side has a result or a judged figure that another
			  lacks, or all its verdicts are withheld */
	WORSE_DISAGREES, /* not told, but kernel, server and clients did not count the same */
	WORSE_UNTESTED,  /* not told, but some pair had too few runs with traffic to tell:
			    noise_runs_needed() */
	WORSE_NO_PAIR,   /* nothing was beside anything: one side, or ports that are not the same */
};

/* Where that is: the first such figure. */
struct worse_where {
	const struct comparison_subject *subject;
	size_t side, metric;
	size_t runs, runs_all; /* of that side. WORSE_UNTESTED: with the figure, and all;
				  WORSE_LOST: with events not counted, and all */
	size_t quiet;          /* of those without it, the ones without traffic */
};
enum worse comparison_worse(const struct comparison *c, struct worse_where *where);

void comparison_free(struct comparison *c);

#endif
