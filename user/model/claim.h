/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What textbooks claim about sharing a port, and whether an experiment on this kernel confirms it.
 * The experiments (user/experiment/claims*.c) fill the measurements below; each claim_judge_*()
 * turns one measurement into a verdict, figures and `why`. Pure: the verdict depends on the figures
 * alone.
 */
#ifndef SOCKFAIR_CLAIM_H
#define SOCKFAIR_CLAIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairness.h"
#include "snapshot.h"

enum claim_verdict {
	CLAIM_HOLDS,
	CLAIM_PARTLY, /* the claim holds only under a condition, which `why` names */
	CLAIM_FAILS,
	CLAIM_SKIPPED, /* there is no result; `why` says the reason */
};

/* "holds", "partly", "fails", "skipped" */
const char *claim_verdict_name(enum claim_verdict v);

enum claim_figure_kind { FIGURE_NUMBER, FIGURE_TRUTH };

struct claim_figure {
	char name[48]; /* stable, with its unit: "seconds_until_free" */
	enum claim_figure_kind kind;
	double value; /* NaN: not measured; a truth is 0 or 1 */
};

#define CLAIM_FIGURES_MAX 48

struct claim_result {
	const char *name;     /* stable: "htons" */
	const char *sentence; /* what is claimed */
	enum claim_verdict verdict;
	struct claim_figure figures[CLAIM_FIGURES_MAX];
	size_t figure_count;
	char why[1024]; /* one or two sentences with the main figures */
};

/* All claims of one run. */
struct claim_report {
	char release[65];    /* uname -r */
	const char *backend; /* "fentry", "kprobe", "tracepoint"; NULL: nothing was attached */
	unsigned cpus;       /* that this process may use */
	uint64_t requests;   /* connections or datagrams of each load */
	struct claim_result *results;
	size_t result_count;
};

/* Adds a figure; the name is a format. Figures beyond CLAIM_FIGURES_MAX are dropped; a unit test
 * checks that none is. */
__attribute__((format(printf, 3, 4))) void claim_number(struct claim_result *r, double value,
							const char *name, ...);
__attribute__((format(printf, 3, 4))) void claim_truth(struct claim_result *r, bool value,
						       const char *name, ...);

/* Adds words to why. */
__attribute__((format(printf, 2, 3))) void claim_say(struct claim_result *r, const char *words,
						     ...);

/* Empties the result's figures and says why there is none. */
__attribute__((format(printf, 2, 3))) void claim_skip(struct claim_result *r, const char *why, ...);

/* ---- several sockets on one port ---- */

#define CLAIM_SOCKETS 4
struct claim_binding {
	bool udp;
	unsigned sockets;     /* sockets that the experiment tried to bind, all with SO_REUSEPORT */
	unsigned bound;       /* TCP: sockets that listen. UDP: sockets that are bound */
	unsigned asked, sent; /* connections or datagrams that should be sent, each from another
				 client port; and those that were sent */
	uint64_t got[CLAIM_SOCKETS]; /* what each socket got of them */
	bool second_without;   /* a second socket could bind although neither has the option; ... */
	bool second_if_first;  /* ... although only the first has it; ... */
	bool second_if_second; /* ... although only the second has it */
};

/*
 * Holds if all sockets bind, more than one of them is reached, and a second socket can't bind
 * without the option. This claim and the next three are skipped if not everything was sent, or not
 * everything that was sent arrived, because then it is not known which sockets would have been
 * reached.
 */
void claim_judge_binding(struct claim_result *r, const struct claim_binding *m);

/* UDP sockets bound by SO_REUSEADDR, in the order of bind(). */
struct claim_datagrams {
	bool known;     /* false: this machine lacks the family */
	int version;    /* of IP: 4 or 6 */
	unsigned bound; /* of CLAIM_SOCKETS */
	unsigned asked, sent;
	uint64_t got[CLAIM_SOCKETS];
};

/*
 * Holds if all sockets could be bound and one of them got all that was sent. Partly if this is so
 * with one IP version only, or if all sockets got some datagrams, but unevenly (fairness_judge()).
 * Returns 0 or -ENOMEM.
 */
int claim_judge_datagrams(struct claim_result *r, const struct claim_datagrams *m, size_t count);

/* ---- hijacking ---- */

/* What one user does to another user's socket of the same address and port. */
struct claim_attempt {
	const char *key;  /* of its figures: "udp" */
	const char *what; /* what was attacked, for the sentence: "a UDP socket" */
	bool bound; /* the second user's bind() and, for TCP, listen() succeeded; else EADDRINUSE */
	uint64_t asked, sent; /* datagrams or connections that should be sent then, and those that
				 were sent */
	uint64_t stolen, first_got; /* what the second user got, and what the first user got */
	bool aside; /* the attempt is a condition of the verdict and not the claim itself: see
		       claim_judge_prevention() */
};

/* The claim: SO_REUSEADDR does not prevent it. Holds if the second user gets in at every attempt,
 * partly if at some. */
void claim_judge_hijack(struct claim_result *r, const struct claim_attempt *attempts, size_t count);

/*
 * The claim: SO_REUSEPORT prevents it. Fails if the second user gets in where SO_REUSEPORT is the
 * only option set; partly if only where SO_REUSEADDR is set as well (`aside`). same_user: another
 * process of the same user could bind, as it should. If it could not, the refusals prove nothing
 * and the claim is skipped.
 */
void claim_judge_prevention(struct claim_result *r, const struct claim_attempt *attempts,
			    size_t count, bool same_user);

/* ---- a port after close() ---- */

enum claim_closing { CLOSED_BY_SERVER, CLOSED_BY_CLIENT, NO_CONNECTION, CLOSINGS };

struct claim_timewait {
	double neither, first_only, second_only, both; /* seconds until bind() succeeds, by who sets
							  SO_REUSEADDR; the server closed first */
	double client_closed; /* neither sets it, the client closed first */
	double unused;        /* neither sets it, there never was a connection */
	double limit; /* longest time that the experiment waited; NaN in a field above: the port was
			 not free by then */
	double refused; /* for `neither`: the last time at which bind() was still refused, so the
			   port became free between the two times. NaN: bind() was never refused */
};

#define CLAIM_TWO_MINUTES_LEAST 100.0
#define CLAIM_TWO_MINUTES_MOST 140.0

/* Holds if `neither` is within the two limits above. */
void claim_judge_timewait(struct claim_result *r, const struct claim_timewait *m);

/* Whether the port can be bound at once, by which server sets SO_REUSEADDR: the first (the earlier
 * server), the second (the one that binds now). */
struct claim_immediate {
	bool neither, first_only, second_only, both;
};

/* Holds if the option on the second server alone is enough. Partly if both must set it. */
void claim_judge_immediate(struct claim_result *r, const struct claim_immediate *m);

/* ---- who may bind, and what ---- */

enum claim_try { TRY_UNKNOWN, TRY_ALLOWED, TRY_REFUSED /* EACCES */ };

struct claim_privilege {
	int machine; /* net.ipv4.ip_unprivileged_port_start outside of the experiment's netns; -1:
			not known */
	unsigned limit;           /* the same setting inside the netns, at first */
	enum claim_try below, at; /* an unprivileged process binds limit - 1, and limit */
	enum claim_try capable;   /* a process with CAP_NET_BIND_SERVICE binds limit - 1 */
	unsigned lowered;         /* the limit after it was changed; 0: it could not be changed */
	enum claim_try lowered_below, lowered_at;
};

/*
 * Holds if `below` is refused, `at` and `capable` are allowed, and the border moves with the limit
 * where the limit could be changed. Partly also if this machine's own limit is not 1024, because
 * then other ports need the privilege.
 */
void claim_judge_privilege(struct claim_result *r, const struct claim_privilege *m);

struct claim_htons {
	unsigned asked,
		listens; /* the port given without htons(), the port that getsockname() tells */
	bool reaches_asked, reaches_listens; /* a client's connect() succeeds there */
	unsigned low_asked, low_becomes; /* another port, whose swapped bytes are below the limit */
	enum claim_try low;              /* an unprivileged process asks for it */
	char low_why[160];               /* why `low` is not known */
};

/* Holds if the server listens on the swapped port and clients reach only that port. */
void claim_judge_htons(struct claim_result *r, const struct claim_htons *m);

/* ---- sharing under load ---- */

/* One run of one server design. */
struct claim_share {
	const char *design;   /* for the sentence: "blocking accept()" */
	const char *key;      /* of its figures: "blocking" */
	unsigned concurrency; /* requests outstanding at once; 0: names and sentences don't mention
				 it */
	struct fairness fairness;
};

/* The claim: unfair. Holds if all runs are uneven, partly if some are. Runs that tell nothing (too
 * few events) are skipped. */
void claim_judge_unfair(struct claim_result *r, const struct claim_share *runs, size_t count);

/* The claim: as even as a fair hash. Holds if all runs are, partly if some are. */
void claim_judge_even(struct claim_result *r, const struct claim_share *runs, size_t count);

#define CLAIM_REPEATS 5
#define CLAIM_PAIRS_AGAINST                                                                        \
	2 /* of the 25 pairs of runs: the Mann-Whitney U test, see claim_judge_bottleneck() */
#define CLAIM_MARGIN 0.10 /* medians that differ by less than this count as equal */

/* One design at one load: CLAIM_REPEATS runs, which alternate with those of the other design. */
struct claim_runs {
	double per_second[CLAIM_REPEATS];
	double wait_us[CLAIM_REPEATS]; /* mean from the arrival until a worker first reads; NaN: the
					  backend does not see it */
};

struct claim_load {
	unsigned concurrency;
	struct claim_runs single, reuseport;
};

/*
 * The mean time from the arrival until a worker first reads, in microseconds. This is the time in
 * the accept queue plus, where another thread accepts (hands_over), the time from accept() to the
 * first read. NaN if one of these parts was not seen for all connections. reads_seen: the kernel
 * reported first reads, and lost none.
 */
double claim_wait_us(const struct endpoint *e, bool hands_over, bool reads_seen);

/*
 * The claim: the single listener is a bottleneck. The loads rise. Only the last one keeps the
 * server busy; with the others the rate of a closed loop reflects little more than latency. Holds
 * if the single listener makes fewer connections per second under the last load. Partly if it does
 * so only under another load, or if connections only wait longer. A difference counts only if the
 * medians differ by CLAIM_MARGIN and one design is ahead in the pairs of runs. For the rate under
 * the last load, CLAIM_PAIRS_AGAINST pairs may go the other way (by chance alone 4 of 252 times,
 * 1.6 %). For anything else all pairs must agree, because each comparison is one more chance to
 * find a difference (1 of 252 times each: for three more comparisons 1.2 % together).
 */
void claim_judge_bottleneck(struct claim_result *r, const struct claim_load *loads, size_t count,
			    unsigned cpus);

#endif
