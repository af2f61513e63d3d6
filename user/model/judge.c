/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether an endpoint's work was shared fairly: which of its rows are bins, what they took, and
 * whether that can be judged at all. The entry point is endpoint_judge().
 */
#include "judge.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "connected.h"
#include "lifetimes.h"
#include "multicast.h"
#include "order.h"

/*
 * UDP: the kernel picks among several sockets by a hash of the flow, so all datagrams of a flow go
 * together to one socket and its readers. On a single socket each datagram may wake any reader.
 */
static enum fairness_unit judged_unit(const struct endpoint *e)
{
	return e->protocol == PROTOCOL_UDP && e->socket_count > 1 ? UNIT_FLOW : UNIT_EVENT;
}

/* What a worker is measured by: the work that it takes, or the work that it does. */
enum share { SHARE_ACCEPTED, SHARE_SERVED, SHARE_OPEN };

static bool has_share(const struct worker_row *row, enum share share)
{
	return share == SHARE_ACCEPTED ? row->can_accept
				       : row->serves && (share == SHARE_SERVED || row->open_known);
}

static uint64_t share_of(const struct worker_row *row, enum share share)
{
	return share == SHARE_ACCEPTED ? row->accepted
	       : share == SHARE_SERVED ? row->served
				       : row->open;
}

/* ---- what can't be judged ---- */

static void withhold(struct fairness *f, enum withheld why)
{
	if (why)
		fairness_withhold(f, why);
}

struct lifetimes endpoint_lifetimes(const struct endpoint *e)
{
	return (struct lifetimes){ .later = e->generations.judged == GENERATION_LATER };
}

bool worker_is_past(const struct worker_row *w)
{
	return w->ended || w->generation == GENERATION_EARLIER;
}

bool socket_is_past(const struct socket_row *s)
{
	return s->ended || s->generation == GENERATION_EARLIER;
}

/* Would folded rows have been bins? Folded rows have ended. */
static bool folded_are_bins(const struct lifetimes *seen, uint64_t folded)
{
	return folded && lifetimes_admit(seen, false, true);
}

static enum withheld withheld_sockets(const struct endpoint *e, const struct lifetimes *seen)
{
	if (e->lost.arrived)
		return WITHHELD_COUNTS_LOST;
	return folded_are_bins(seen, e->omitted.sockets) ? WITHHELD_ROWS_CUT : WITHHELD_NOT;
}

/* Does the endpoint have a workload's own workers? All of those are known. */
static bool has_own_workers(const struct endpoint *e)
{
	for (size_t i = 0; i < e->worker_count; i++)
		if (e->workers[i].number >= 0)
			return true;
	return false;
}

/*
 * Siblings that were never seen waiting may still be idle workers, if the workers agree on which of
 * them waits. In that case no two workers are ever seen waiting together. If two were seen, a
 * sibling that does not wait beside them is not a worker. What is uneven without such siblings is
 * uneven with them too.
 */
static bool siblings_may_wait(const struct endpoint *e)
{
	uint32_t most = 0;

	if (has_own_workers(e))
		return false;

	for (size_t i = 0; i < e->socket_count; i++)
		most = e->sockets[i].waiting_most > most ? e->sockets[i].waiting_most : most;
	return e->unsure_siblings && most < 2;
}

/* A thread that waits and gets nothing is a bin. Do all such threads have a row? */
static enum withheld waiters_withheld(const struct endpoint *e)
{
	struct lifetimes seen = endpoint_lifetimes(e);

	for (size_t i = 0; i < e->socket_count; i++)
		if (e->sockets[i].waiting_cut)
			return WITHHELD_WAITERS_CUT;
	if (has_own_workers(e))
		return WITHHELD_NOT;
	for (size_t i = 0; i < e->socket_count; i++)
		lifetimes_see(&seen, e->sockets[i].appeared, socket_is_past(&e->sockets[i]));
	for (size_t i = 0; i < e->socket_count; i++) {
		const struct socket_row *s = &e->sockets[i];

		if (!s->waiting_known && (s->arrived || s->accepted) &&
		    lifetimes_admit(&seen, s->appeared, socket_is_past(s)))
			return WITHHELD_BINS_UNKNOWN;
	}
	return WITHHELD_NOT;
}

static bool open_incomplete(const struct endpoint *e)
{
	for (size_t i = 0; i < e->worker_count; i++)
		if (e->workers[i].serves && (e->workers[i].open_at_least ||
					     (!e->workers[i].open_known && !e->workers[i].ended)))
			return true;
	return false;
}

static enum withheld withheld_workers(const struct endpoint *e, enum share share,
				      const struct lifetimes *seen)
{
	const uint64_t lost = share == SHARE_ACCEPTED ? e->lost.accepted
			      : share == SHARE_SERVED ? e->lost.served
						      : e->lost.open;

	if (lost)
		return WITHHELD_COUNTS_LOST;
	if (folded_are_bins(seen, e->omitted.workers))
		return WITHHELD_ROWS_CUT;
	if (share == SHARE_OPEN && open_incomplete(e))
		return WITHHELD_OPEN_INCOMPLETE;
	return waiters_withheld(e);
}

#define UNSEEN_MAX                                                                                 \
	0.05 /* of what came: with more of unknown flow, it is open what the hash had to place */

/* Fills load and flow_unseen from the sketches of the sockets that are bins. */
static int weigh_sockets(struct endpoint *e)
{
	const struct flow_sketch **sketches = calloc(e->socket_count + 1, sizeof(*sketches));
	struct lifetimes lives = endpoint_lifetimes(e);
	uint64_t came = 0, seen = 0;
	size_t count = 0;
	int err;

	if (!sketches)
		return -ENOMEM;
	for (size_t i = 0; i < e->socket_count; i++)
		lifetimes_see(&lives, e->sockets[i].appeared, socket_is_past(&e->sockets[i]));
	for (size_t i = 0; i < e->socket_count; i++) {
		const struct socket_row *row = &e->sockets[i];

		if (!lifetimes_admit(&lives, row->appeared, socket_is_past(row)))
			continue;
		came += growth(row->arrived, row->copies) + row->dropped;
		if (row->sketch)
			sketches[count++] = &e->sketches[row->sketch - 1];
	}
	for (size_t i = 0; i < count; i++)
		seen += flows_sum(sketches[i]);
	e->flow_unseen = growth(came, seen);
	err = flows_weigh(&e->load, sketches, count);
	if (e->flow_unseen > UNSEEN_MAX * came)
		e->load = (struct flow_load){};
	free(sketches);
	return err;
}

/* The load that a hash had to place among the bins; *load NULL: single events. */
static int weigh(struct endpoint *e, const struct flow_load **load)
{
	const uint64_t events = endpoint_events(e);

	e->load = (struct flow_load){};
	e->flow_unseen = 0;
	*load = judged_unit(e) == UNIT_FLOW ? &e->load : NULL;
	if (!*load)
		return 0;
	if (e->flows_estimated)
		return weigh_sockets(e);
	/* The number of flows that a client may use can exceed the number of events; flows that
	 * were seen can't. */
	e->load = flows_equal(e->flows < events ? e->flows : events);
	return 0;
}

static int judge_sockets(struct endpoint *e, const struct flow_load *load, double threshold)
{
	uint64_t *counts = calloc(e->socket_count + 1, sizeof(*counts));
	struct lifetimes seen = endpoint_lifetimes(e);
	size_t bins = 0;
	int err;

	if (!counts)
		return -ENOMEM;
	for (size_t i = 0; i < e->socket_count; i++)
		lifetimes_see(&seen, e->sockets[i].appeared, socket_is_past(&e->sockets[i]));
	for (size_t i = 0; i < e->socket_count; i++)
		if (lifetimes_admit(&seen, e->sockets[i].appeared, socket_is_past(&e->sockets[i])))
			counts[bins++] = growth(e->sockets[i].arrived, e->sockets[i].copies);
	err = fairness_judge_load(&e->socket_fairness, counts, bins, load, threshold);
	e->socket_fairness.flows_estimated = e->flows_estimated;
	withhold(&e->socket_fairness, withheld_sockets(e, &seen));
	free(counts);
	return err;
}

/* A thread or a process with one row or several: it was there from the start if any of its rows
 * was, and has ended if all have. */
struct bin {
	uint64_t count, lived_ns;
	bool appeared, ended;
};

/* Adds up the rows that compare equal. Returns the number of bins, or -ENOMEM. */
static ssize_t share_bins(struct bin *bins, const struct endpoint *e, enum share share,
			  int (*compare)(const void *, const void *))
{
	const struct worker_row **rows = calloc(e->worker_count + 1, sizeof(*rows));
	size_t row_count = 0, count = 0;

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < e->worker_count; i++)
		if (has_share(&e->workers[i], share))
			rows[row_count++] = &e->workers[i];
	qsort(rows, row_count, sizeof(*rows), compare);
	for (size_t i = 0; i < row_count; i++) {
		if (i == 0 || compare(&rows[i - 1], &rows[i]))
			bins[count++] = (struct bin){ .appeared = true, .ended = true };
		bins[count - 1].count += share_of(rows[i], share);
		bins[count - 1].lived_ns = rows[i]->lived_ns > bins[count - 1].lived_ns
						   ? rows[i]->lived_ns
						   : bins[count - 1].lived_ns;
		bins[count - 1].appeared &= rows[i]->appeared;
		bins[count - 1].ended &= worker_is_past(rows[i]);
	}
	free(rows);
	return count;
}

/*
 * May the verdict come from different lifetimes rather than from the sharing? With an even sharing
 * each bin takes in proportion to its lifetime, so an excess beyond the threshold plus the CV of
 * the lifetimes has another reason. A lifetime of 0 is not known.
 */
static bool lives_may_be_why(const struct fairness *f, const struct bin *bins, size_t count,
			     double threshold)
{
	uint64_t shortest = UINT64_MAX, longest = 0;
	double sum = 0, squares = 0, known = 0, cv;

	for (size_t i = 0; i < count; i++) {
		if (!bins[i].lived_ns)
			continue;
		shortest = bins[i].lived_ns < shortest ? bins[i].lived_ns : shortest;
		longest = bins[i].lived_ns > longest ? bins[i].lived_ns : longest;
		sum += (double)bins[i].lived_ns;
		squares += (double)bins[i].lived_ns * (double)bins[i].lived_ns;
		known++;
	}
	if (!known || lives_are_alike(shortest, longest))
		return false;
	cv = sqrt(fmax(known * squares / (sum * sum) - 1, 0));
	return f->verdict != VERDICT_UNEVEN || f->excess <= threshold + cv;
}

/*
 * Judges threads or processes: rows that compare equal (one thread on several sockets) are one bin.
 * seen: selects one of two generations; else all zero.
 */
static int judge_workers(struct fairness *f, const struct endpoint *e, const struct flow_load *load,
			 enum share share, struct lifetimes seen,
			 int (*compare)(const void *, const void *), double threshold)
{
	struct bin *bins = calloc(e->worker_count + 1, sizeof(*bins));
	uint64_t *counts = calloc(e->worker_count + 1, sizeof(*counts));
	const ssize_t bin_count = bins ? share_bins(bins, e, share, compare) : -ENOMEM;
	size_t kept = 0;
	int err = -ENOMEM;

	if (!counts || bin_count < 0)
		goto out;
	for (ssize_t i = 0; i < bin_count; i++)
		lifetimes_see(&seen, bins[i].appeared, bins[i].ended);
	for (ssize_t i = 0; i < bin_count; i++)
		if (lifetimes_admit(&seen, bins[i].appeared, bins[i].ended))
			bins[kept++] = bins[i];
	for (size_t i = 0; i < kept; i++)
		counts[i] = bins[i].count;
	err = fairness_judge_load(f, counts, kept, load, threshold);
	f->flows_estimated = e->flows_estimated;
	withhold(f, withheld_workers(e, share, &seen));
	if (share == SHARE_ACCEPTED && f->verdict != VERDICT_UNEVEN &&
	    f->verdict != VERDICT_WITHHELD && siblings_may_wait(e))
		withhold(f, WITHHELD_BINS_UNKNOWN);
	if (f->verdict != VERDICT_NOT_APPLICABLE && f->verdict != VERDICT_WITHHELD &&
	    lives_may_be_why(f, bins, kept, threshold))
		withhold(f, WITHHELD_LIVES_DIFFER);
out:
	free(counts);
	free(bins);
	return err;
}

/* Verdicts over rows that are not the bins of this design are set aside. If the design is not
 * known, neither is which rows could have got work, so they are withheld. */
static void judge_by_design(struct endpoint *e)
{
	const enum design_bins bins = e->design.bins;
	const bool unknown = e->design.code == DESIGN_UNKNOWN && bins != BINS_WORKERS;
	/* The backend does not tell whether a thread read copies or other datagrams. */
	const bool workers = bins == BINS_WORKERS || (e->design.code == DESIGN_LAST_BINDER &&
						      endpoint_multicast(e) == MULTICAST_NOT);
	struct {
		struct fairness *f;
		bool counts;
	} results[] = {
		{ &e->worker_fairness, workers },
		{ &e->process_fairness, workers || bins == BINS_PROCESSES },
		{ &e->served_fairness, workers || bins == BINS_SERVING },
		{ &e->open_fairness, workers || bins == BINS_SERVING },
	};

	for (size_t i = 0; i < sizeof(results) / sizeof(*results); i++)
		if (!results[i].counts && unknown &&
		    results[i].f->verdict != VERDICT_NOT_APPLICABLE)
			fairness_withhold(results[i].f, WITHHELD_BINS_UNKNOWN);
		else if (!results[i].counts && (results[i].f->verdict != VERDICT_WITHHELD ||
						results[i].f->withheld == WITHHELD_LIVES_DIFFER))
			fairness_set_aside(results[i].f);
	if (bins == BINS_NONE && !unknown)
		fairness_set_aside(&e->socket_fairness);
}

/* The flows of the other generation are not weighed, because its sockets may have closed.
 */
static int judge_other_generation(struct endpoint *e, const struct flow_load *load,
				  double threshold)
{
	static const struct flow_load unknown = {};
	const bool processes = e->design.bins == BINS_PROCESSES;
	const struct lifetimes seen = { .later = e->generations.judged != GENERATION_LATER };

	e->other_fairness = (struct fairness){};
	if (!e->generations.judged || (e->design.bins != BINS_WORKERS && !processes))
		return 0;
	return judge_workers(&e->other_fairness, e, load ? &unknown : NULL, SHARE_ACCEPTED, seen,
			     processes ? worker_by_process : worker_by_life, threshold);
}

int endpoint_judge(struct endpoint *e, double threshold)
{
	const struct flow_load *load;
	struct lifetimes seen;
	int err = endpoint_set_aside_connected(e);

	err = err ? err : endpoint_tell_generations(e, threshold);
	seen = endpoint_lifetimes(e);
	err = err ? err : weigh(e, &load);
	err = err ? err : endpoint_recognise(e);
	err = err ? err : judge_sockets(e, load, threshold);
	if (!err)
		err = judge_workers(&e->worker_fairness, e, load, SHARE_ACCEPTED, seen,
				    worker_by_life, threshold);
	if (!err)
		err = judge_workers(&e->process_fairness, e, load, SHARE_ACCEPTED, seen,
				    worker_by_process, threshold);
	if (!err)
		err = judge_workers(&e->served_fairness, e, load, SHARE_SERVED, seen,
				    worker_by_life, threshold);
	if (!err && e->open_known)
		err = judge_workers(&e->open_fairness, e, load, SHARE_OPEN, seen, worker_by_life,
				    threshold);
	err = err ? err : judge_other_generation(e, load, threshold);
	err = err ? err : endpoint_weigh_load(e);
	if (!err)
		judge_by_design(e);
	return err;
}

const struct fairness *endpoint_decisive(const struct endpoint *e)
{
	/* The present generation may have taken too little to be proven even, but enough to be
	 * proven uneven. */
	if (e->generations.judged == GENERATION_EARLIER &&
	    e->other_fairness.verdict == VERDICT_UNEVEN)
		return &e->other_fairness;
	switch (e->design.bins) {
	case BINS_SOCKETS: return &e->socket_fairness;
	case BINS_PROCESSES: return &e->process_fairness;
	case BINS_SERVING: return &e->served_fairness;
	default: return fairness_decisive(&e->worker_fairness, &e->socket_fairness);
	}
}
