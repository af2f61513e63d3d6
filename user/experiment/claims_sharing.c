/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Claims about who gets the work under load. Each runs workloads under observation and counts in
 * the kernel. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "claims_lab.h"

#define WORKERS 8
#define FEW 2 /* outstanding requests: one for each of two CPUs */
#define MANY 64
#define TRIES 3        /* an emulated machine's kernel sometimes skips a run of a BPF program */
#define FLOWS_MAX 4096 /* client ports for UDP */

/* A workload to run. */
struct lab_load {
	const char *mode;
	bool processes;
	unsigned concurrency;
};

static struct workload_options load_options(const struct claim_lab *lab, const struct lab_load *l)
{
	struct workload_options w = { .mode = workload_mode_find(l->mode),
				      .workers = WORKERS,
				      .processes = l->processes,
				      .requests = lab->options.requests,
				      .concurrency = l->concurrency,
				      .slow_worker = -1 };
	struct sockaddr_in *address = (struct sockaddr_in *)&w.bind;
	uint64_t each;

	/* The chance that datagrams are uneven is computed for flows of one size, so each client
	 * port sends as many. That may be a few more than asked for. */
	each = (w.requests + FLOWS_MAX - 1) / FLOWS_MAX;
	w.flows = (w.requests + each - 1) / each;
	if (w.mode->protocol == PROTOCOL_UDP)
		w.requests = w.flows * each;
	address->sin_family = AF_INET;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return w;
}

/* Why the counts can't be believed; 0: they can be. */
static int check_counts(const struct snapshot *s, struct why why)
{
	const uint64_t lost = snapshot_lost_counts(s);

	if (*s->workload.skipped)
		return refuse(why, -EOPNOTSUPP, "%s: %s", s->workload.mode, s->workload.skipped);
	if (lost)
		return refuse(why, -ENODATA, "%s: %llu events could not be counted: no verdict",
			      s->workload.mode, (unsigned long long)lost);
	if (!s->workload.agrees)
		return refuse(why, -ENODATA, "%s: %s: no verdict", s->workload.mode,
			      s->workload.disagreement);
	return 0;
}

/*
 * Runs a workload, and repeats it if the counts of kernel, server and clients don't agree. Returns
 * 0 if they agree; then snapshot_free(s). Otherwise returns a negative errno with one line, and
 * there is nothing to free.
 */
static int load_run(struct claim_lab *lab, const struct lab_load *l, struct snapshot *s,
		    struct why why)
{
	const struct workload_options options = load_options(lab, l);
	int err = -ENODATA;

	if (*lab->no_trials) {
		refuse(why, -EOPNOTSUPP, "%s", lab->no_trials);
		return -EOPNOTSUPP;
	}
	for (int i = 0; i < TRIES && err == -ENODATA && !*lab->options.interrupted; i++) {
		err = trial_run(&lab->trials, &options, s, why.text, why.size);
		if (err) {
			if (lab->trials.refused &&
			    err != -ENOMEM) /* the next try would fail too, after a while */
				snprintf(lab->no_trials, sizeof(lab->no_trials), "%s", why.text);
			return err;
		}
		err = check_counts(s, why);
		if (err)
			snapshot_free(s);
		else
			*why.text = '\0'; /* an earlier try may have written something */
	}
	return err;
}

/* ---- even or not ---- */

struct share_plan {
	const char *design, *key; /* as in struct claim_share */
	struct lab_load load;
	bool tell_concurrency;
};

#define SHARES_MAX 8

/* Fills one claim_share per row. */
static int shares_measure(struct claim_lab *lab, const struct share_plan *plan, size_t count,
			  struct claim_share *shares, struct why why)
{
	for (size_t i = 0; i < count; i++) {
		struct snapshot s;
		int err = load_run(lab, &plan[i].load, &s, why);

		if (err)
			return err;
		shares[i] = (struct claim_share){ .design = plan[i].design,
						  .key = plan[i].key,
						  .concurrency = plan[i].tell_concurrency
									 ? plan[i].load.concurrency
									 : 0,
						  .fairness = s.endpoints[0].worker_fairness };
		snapshot_free(&s);
	}
	return 0;
}

#define PLAN(...)                                                                                  \
	{                                                                                          \
		__VA_ARGS__, .tell_concurrency = true                                              \
	}
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int claim_unfair(struct claim_lab *lab, struct claim_result *r)
{
	static const struct share_plan plan[] = {
		PLAN("blocking accept()", "blocking", .load = { "shared-accept", false, FEW }),
		PLAN("blocking accept()", "blocking", .load = { "shared-accept", false, MANY }),
		PLAN("an epoll each", "epoll", .load = { "shared-epoll", false, FEW }),
		PLAN("an epoll each", "epoll", .load = { "shared-epoll", false, MANY }),
		PLAN("EPOLLEXCLUSIVE", "exclusive",
		     .load = { "shared-epoll-exclusive", false, FEW }),
		PLAN("EPOLLEXCLUSIVE", "exclusive",
		     .load = { "shared-epoll-exclusive", false, MANY }),
	};
	struct claim_share shares[SHARES_MAX];
	int err = shares_measure(lab, plan, COUNT(plan), shares, claim_why(r));

	if (!err)
		claim_judge_unfair(r, shares, COUNT(plan));
	return err;
}

static int even_claim(struct claim_lab *lab, bool processes, struct claim_result *r)
{
	const struct share_plan plan[] = {
		PLAN("TCP", "tcp", .load = { "reuseport", processes, FEW }),
		PLAN("TCP", "tcp", .load = { "reuseport", processes, MANY }),
		{ "UDP", "udp", .load = { "udp-reuseport", processes, FEW } },
	};
	struct claim_share shares[SHARES_MAX];
	int err = shares_measure(lab, plan, COUNT(plan), shares, claim_why(r));

	if (!err)
		claim_judge_even(r, shares, COUNT(plan));
	return err;
}

int claim_even_threads(struct claim_lab *lab, struct claim_result *r)
{
	return even_claim(lab, false, r);
}

int claim_even_processes(struct claim_lab *lab, struct claim_result *r)
{
	return even_claim(lab, true, r);
}

/* ---- the bottleneck ---- */

/* Does the backend see first reads? The server's own rows can't tell: endpoint_merge() fills in
 * what the kernel did not see. */
static bool reads_seen(const struct claim_lab *lab, const struct snapshot *s)
{
	return observer_sees(lab->trials.observer) & SEES_TCP_SERVED && !snapshot_lost(s);
}

static int runs_add(struct claim_lab *lab, const char *mode, bool hands_over, unsigned concurrency,
		    struct claim_runs *runs, int at, struct why why)
{
	struct snapshot s;
	int err = load_run(lab, &(struct lab_load){ mode, false, concurrency }, &s, why);

	if (err)
		return err;
	runs->per_second[at] = s.workload.seconds > 0 ? s.workload.sent / s.workload.seconds : 0;
	runs->wait_us[at] = claim_wait_us(&s.endpoints[0], hands_over, reads_seen(lab, &s));
	snapshot_free(&s);
	return 0;
}

int claim_bottleneck(struct claim_lab *lab, struct claim_result *r)
{
	struct claim_load loads[] = { { .concurrency = FEW }, { .concurrency = MANY } };
	int err = 0;

	for (size_t l = 0; l < COUNT(loads); l++)
		for (int i = 0; i < CLAIM_REPEATS && !err;
		     i++) { /* the modes alternate, so that a slow spell of the machine hits both */
			err = runs_add(lab, "single-listener", true, loads[l].concurrency,
				       &loads[l].single, i, claim_why(r));
			if (!err)
				err = runs_add(lab, "reuseport", false, loads[l].concurrency,
					       &loads[l].reuseport, i, claim_why(r));
		}
	if (!err)
		claim_judge_bottleneck(r, loads, COUNT(loads), cpus_allowed());
	return err;
}
