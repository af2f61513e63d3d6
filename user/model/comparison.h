/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Results side by side. A side is a column: a saved file, or a server design of `run A B C`. A
 * subject is what is compared: a port, or a design in files that hold several designs. Each side
 * has repeated runs of a subject, and each run has the same figures. Whether two sides differ is
 * decided by the spread of their runs (noise.h), never from single runs.
 *
 *   comparison_side_add(), comparison_add()   what there is, side by side
 *   comparison_arrange()                      which results belong together
 *   comparison_judge()                        means, differences, what is more than noise, best
 *                                             and worst (comparison_judge.c)
 *   comparison_worse()                        all of it in one word, for scripts
 *                                             (comparison_gate.c)
 */
#ifndef SOCKFAIR_COMPARISON_H
#define SOCKFAIR_COMPARISON_H

#include "decision.h"
#include "snapshot.h"

/* What fairness is about: which worker takes, at which socket work arrives, which worker serves. */
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
	METRIC_QUEUE_HIGHEST, /* TCP: the greatest length of any accept queue of the endpoint */
	METRIC_QUEUE_BYTES,   /* UDP: bytes in the fullest receive queue at the end */
	METRIC_DROPS,      /* TCP: the kernel's drop counters. UDP: datagrams that found no room */
	METRIC_DROP_SHARE, /* drops as a share of all that came; TCP: of arrivals in the accept
			      queue plus drops */
	METRIC_OPEN,       /* TCP: connections open at the end */
	METRIC_OPEN_CV,    /* TCP: CV of open connections over the workers */
	METRIC_CPU_CV,     /* CV of CPU time over the workers: load.h */
	METRIC_BYTES_CV,   /* TCP: CV of bytes over the workers */
	METRIC_LOST, /* events that the tool did not count, so the other figures are lower bounds */
	METRIC_CV,   /* the CV that decides: of the workers; of the serving workers where only one
			thread accepts; of the sockets where no worker was seen */
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
	BETTER_NEUTRAL, /* a difference makes no side better */
	BETTER_LOWER,
	BETTER_HIGHER_OWN, /* higher is better if a workload made the load; at a server that was
			      observed, clients decide how much they send */
};
/* If one side is TCP and the other UDP, rate and drops make neither better, because connections
 * can't be compared with datagrams. */

struct metric {
	const char *name;  /* in JSON: stable */
	const char *label; /* for people */
	enum metric_unit unit;
	enum metric_better better;
	bool tested;  /* against noise */
	bool judged;  /* by comparison_worse(), where it has a direction */
	bool by_size; /* the figure depends on how many events a run had, and is compared only if
			 all runs had as many */
	double grain; /* standard deviation that measuring or rounding alone gives to the tested
			 value; 0: none */
	int chance;   /* the metric that tells the value expected by chance alone: see
			 comparison_stat.score; -1: none */
	bool shown;   /* in text */
};

/* To add a figure: a row here, an entry in enum metric_id, and code that reads it in
 * comparison_run_of(), render/json_result.c and the schema. */
extern const struct metric metrics[METRIC_COUNT];

struct comparison_run {
	size_t round; /* number of the window in its file, or of the repetition of its mode: runs of
			 several ports in one round belong together */
	double figures[METRIC_COUNT]; /* NaN: not known */
	enum verdict verdicts[SHARE_COUNT];
	enum withheld withheld[SHARE_COUNT];
	enum design_bins bins; /* the bins that decide; for BINS_PROCESSES the slot SHARE_WORKERS
				  holds processes */
	bool own_load;         /* clients of a workload made the load */
	bool disagrees;        /* kernel, server and clients of a workload did not count the same */
};

#define COMPARISON_SETUP_SIZE 320

/* What was measured. Results of the same design, or else of the same port, belong together. */
struct comparison_key {
	char mode[64]; /* a workload's; "": none */
	enum protocol protocol;
	char address[64];
	uint16_t port;
	uint32_t netns;
	bool port_asked; /* the user named this port for this side, so it matches any port that the
			    user named for another side */
};

enum told {
	TOLD_UNTESTED,  /* too few runs, or nothing to compare with */
	TOLD_NOISE,     /* no more than noise gives somewhere among so many ports and figures */
	TOLD_DIFFERENT, /* p < NOISE_LEVEL */
};
enum mark { MARK_NONE, MARK_BEST, MARK_WORST };

/* One metric of one side. */
struct comparison_stat {
	size_t runs;     /* runs in which the metric is known; 0: the other fields mean nothing */
	double mean, sd; /* sd: NaN for one run */
	/*
	 * The mean of what is tested and ranked. This is the value itself; for waits its logarithm;
	 * for a CV with an expected value (CV^2 - (k-1)/n) / (1 - 1/n). The last one is the squared
	 * spread beyond chance, and its mean does not depend on how many events a run had, while
	 * the CV of a shorter run is higher by chance alone. A spread below chance (round robin)
	 * scores 0, because no side is better for being more even than a fair hash.
	 */
	double score;
	double difference; /* difference of the means to the first side; NaN for the first side
			      itself, or where that side has no mean */
	double p; /* p-value of `difference`, adjusted for all ports and figures: see noise.h; NaN:
		     not tested */
	bool comparable; /* false: the runs' numbers of events differ too much to compare this
			    figure */
	enum told told;
	enum mark mark; /* best or worst of the sides: it differs from every other side beyond noise
			   or, if that is not tested, it alone has the extreme value */
	bool mark_tested;
};

struct comparison_result {
	struct comparison_key key;
	char setup[COMPARISON_SETUP_SIZE]; /* what else a run depends on: workers, concurrency,
					      kernel... ; for people */
	char skipped[160];                 /* why there are no runs */
	struct comparison_run *runs;
	size_t run_count, run_room;
	size_t with_traffic; /* runs in which anything came; only these count. By comparison_judge()
			      */
	struct comparison_stat *stats; /* METRIC_COUNT of them, by comparison_judge() */
};

struct comparison_side {
	char *name;
	struct comparison_result *results;
	size_t result_count, result_room;
	uint64_t left_out; /* ports that were seen but are not in the side's documents: limit.h */
};

struct comparison_subject {
	struct comparison_result **cells; /* one for each side; NULL: that side has no result. The
					     first one present names the subject */
	bool alike; /* all cells have the same mode, or the same protocol and port */
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

/* Fills METRIC_CV, METRIC_CV_EXPECTED and METRIC_DROP_SHARE from the others. Figures whose verdict
 * was withheld are removed, because they can't be compared. */
void comparison_run_complete(struct comparison_run *run, enum protocol protocol);

/* The share whose CV decides: see METRIC_CV. */
enum share comparison_deciding_share(const struct comparison_run *run);
bool comparison_workers_seen(const struct comparison_run *run);

/* Did anything come in the run? True also where that is not known. */
bool comparison_has_traffic(const struct comparison_run *run);

/* A figure as it counts, after comparison_judge(): NaN for a run without traffic if other runs had
 * traffic. If no run had traffic, the figures are shown but not tested. */
double comparison_figure(const struct comparison_result *r, const struct comparison_run *run,
			 size_t metric);

/* Appends a side. Returns 0 or -ENOMEM. */
int comparison_side_add(struct comparison *c, const char *name);

/*
 * Adds a run to a side, in the run's round or the next round in which this key has no run yet;
 * further runs of the same key are repeats. run NULL: the run was skipped, and `skipped` says why.
 * Returns 0, -ENOMEM, or -EEXIST: the side has runs of this key with another setup, so this run
 * can't be a repeat of them.
 */
int comparison_add(struct comparison *c, size_t side, const struct comparison_key *key,
		   const char *setup, const struct comparison_run *run, const char *skipped);

/*
 * Turns the snapshots of the command `run` into sides. `runs` has one snapshot of each mode, then
 * again one of each, and so on; the last round may lack some modes. The result is arranged and
 * judged. Returns 0 or -ENOMEM; comparison_free().
 */
int comparison_of_runs(struct comparison *c, const struct snapshot *runs, size_t count,
		       size_t modes);

/*
 * Finds which results belong together. If there is one side with several modes and nothing else,
 * its modes become the sides. If every side has one result, these are compared, whatever they
 * measured. Otherwise modes are matched by name, and endpoints by protocol and port, those with the
 * same address (and network namespace) first. Returns 0 or -ENOMEM.
 */
int comparison_arrange(struct comparison *c);

/* Fills the stats of all results. Returns 0 or -ENOMEM. */
int comparison_judge(struct comparison *c);

/* 1: higher is better for these runs, -1: lower, 0: neither. */
int comparison_direction(const struct comparison *c, const struct comparison_subject *subject,
			 size_t metric);

/* The outcome of --fail-on uneven for a run. A run does not tell how many events would have been
 * enough. */
struct decision comparison_run_decide(const struct comparison_run *run);

/* How many runs of a result are uneven by comparison_run_decide(). */
size_t comparison_uneven_runs(const struct comparison_result *r);

/* Is any later side worse than the first, beyond noise, in METRIC_CV, the waits' 99th percentile,
 * or a workload's own rate? */
enum worse {
	WORSE_NOT,
	WORSE_TOLD,
	WORSE_LOST,    /* whatever the figures say: events of the compared runs were not counted */
	WORSE_MISSING, /* not worse, but the first side has a result or a judged figure that another
			  side lacks, or all its verdicts are withheld */
	WORSE_DISAGREES, /* not worse, but kernel, server and clients did not count the same */
	WORSE_UNTESTED,  /* not worse, but some pair had too few runs with traffic to decide:
			    noise_runs_needed() */
	WORSE_NO_PAIR,   /* nothing could be compared: there is one side only, or the sides' ports
			    differ */
};

/* The first figure that led to that answer. */
struct worse_where {
	const struct comparison_subject *subject;
	size_t side, metric;
	size_t runs, runs_all; /* runs of that side. WORSE_UNTESTED: those with the figure, and all;
				  WORSE_LOST: those with events not counted, and all */
	size_t quiet;          /* of the runs without the figure, those without traffic */
};
enum worse comparison_worse(const struct comparison *c, struct worse_where *where);

void comparison_free(struct comparison *c);

#endif
