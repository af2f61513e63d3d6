/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How counts get into the ledger and out of it. A row of the kernel is entered again and again:
 * its counts replace those entered before, until the row is given back (`last`), when they become
 * part of the past and a later row begins at 0. Counts that wrap in the kernel are entered by their
 * growth instead. What a row counted is the present and the past together.
 */
#include "ledger_parts.h"
#include "counters.h"

#include <errno.h>
#include <stdlib.h>

#define ENDED_HISTOGRAMS_MAX 2048 /* histograms of ended threads; further ones are dropped */

/* ---- sockets ---- */

int ledger_count_socket(struct ledger *l, struct ledger_socket *s, uint64_t arrived,
			uint64_t dropped, const uint64_t *by_cpu, bool last)
{
	if (!s->by_cpu) {
		s->by_cpu = calloc(2 * (size_t)l->cpus, sizeof(*s->by_cpu));
		if (!s->by_cpu)
			return -ENOMEM;
		s->by_cpu_past = s->by_cpu + l->cpus;
	}
	s->arrived = last ? 0 : arrived;
	s->dropped = last ? 0 : dropped;
	s->arrived_past += last ? arrived : 0;
	s->dropped_past += last ? dropped : 0;
	for (unsigned i = 0; i < l->cpus; i++) {
		s->by_cpu[i] = last ? 0 : by_cpu[i];
		s->by_cpu_past[i] += last ? by_cpu[i] : 0;
	}
	return 0;
}

static struct ledger_closings all_closings(const struct ledger_socket *s)
{
	return (struct ledger_closings){ .reset = s->closings.reset + s->closings_past.reset,
					 .migrated =
						 s->closings.migrated + s->closings_past.migrated };
}

static uint64_t migrated(const struct ledger_socket *s)
{
	const int64_t count = all_closings(s).migrated;

	return count > 0 ? count : 0;
}

void ledger_count_closings(struct ledger_socket *s, const struct ledger_closings *closings,
			   bool last)
{
	s->closings = *closings;
	if (!last)
		return;
	s->closings_past = all_closings(s);
	s->closings = (struct ledger_closings){};
}

void ledger_count_copies(struct ledger_socket *s, uint32_t copies, bool last)
{
	s->copies += (uint32_t)(copies - s->copies_last);
	s->copies_last = last ? 0 : copies;
}

void ledger_count_several(struct ledger_socket *s, uint32_t several, bool last)
{
	s->several += (uint32_t)(several - s->several_last);
	s->several_last = last ? 0 : several;
}

int ledger_count_flows(struct ledger_socket *s, const uint32_t *buckets,
		       const struct flow_peer *peer, bool last)
{
	if (!s->flows)
		s->flows = calloc(1, sizeof(*s->flows));
	if (!s->flows)
		return -ENOMEM;
	for (unsigned i = 0; i < FLOW_BUCKETS; i++) {
		s->flows->sum.buckets[i] += (uint32_t)(buckets[i] - s->flows->last[i]);
		s->flows->last[i] = last ? 0 : buckets[i];
	}
	s->flows->sum.peer = s->flows->past;
	flow_peer_add(&s->flows->sum.peer, peer);
	if (last)
		s->flows->past = s->flows->sum.peer;
	return 0;
}

struct socket_row ledger_counted(const struct ledger_socket *s)
{
	struct socket_row row = s->row;

	row.arrived = s->arrived + s->arrived_past;
	row.dropped = s->dropped + s->dropped_past;
	row.dropped_closing = all_closings(s).reset;
	row.migrated = migrated(s);
	row.copies = s->copies;
	row.buffers_maybe_several = s->several;
	row.accepted = 0;
	row.drops = (uint32_t)(s->drops_now - s->drops_first);
	return row;
}

/* ---- workers ---- */

void ledger_count_worker(struct ledger_worker *w, uint64_t accepted, bool last)
{
	w->accepted = last ? 0 : accepted;
	w->accepted_past += last ? accepted : 0;
}

/* Where a thread's row has the sum of each count. */
#define WORK(member, sum)                                                                          \
	{                                                                                          \
		offsetof(struct ledger_work, member), sum, COUNTS_EVENTS                           \
	}
#define ROW(member) offsetof(struct worker_row, member)
static const struct counter of_work[] = {
	WORK(queued_before, ROW(queued_before)),
	WORK(reset_queued, ROW(reset_queued)),
	WORK(served, ROW(served)),
	WORK(unfollowed, COUNTER_NOWHERE),
	WORK(opened, COUNTER_NOWHERE),
	WORK(moved, COUNTER_NOWHERE),
	WORK(finished, ROW(finished)),
	WORK(finished_ns, ROW(finished_ns)),
	WORK(carried.received, ROW(bytes.received)),
	WORK(carried.sent, ROW(bytes.sent)),
};
static const struct counters work_counters = { of_work, sizeof(of_work) / sizeof(*of_work) };

static void work_add(struct ledger_work *to, const struct ledger_work *from)
{
	counters_add(&work_counters, to, from);
	wait_add(&to->wait, &from->wait, NULL);
	wait_add(&to->handed, &from->handed, NULL);
}

struct ledger_work ledger_work_of(const struct ledger_worker *w)
{
	struct ledger_work work = w->work_past;

	work_add(&work, &w->work);
	return work;
}

void ledger_add_counts(struct worker_row *row, const struct ledger_worker *from,
		       const struct ledger_work *work)
{
	row->accepted += from->accepted + from->accepted_past;
	row->bytes.received += from->open_carried.received;
	row->bytes.sent += from->open_carried.sent;
	counters_add_up(&work_counters, row, work);
	wait_add(&row->handed, &work->handed, NULL);
}

static void histogram_drop(struct ledger *l, struct ledger_worker *w)
{
	l->ended_histograms -= w->row.ended && w->slots;
	free(w->slots);
	w->slots = NULL;
}

void ledger_limit_histograms(struct ledger *l, struct ledger_worker *w)
{
	if (l->ended_histograms <= ENDED_HISTOGRAMS_MAX)
		return;
	w->partial = true;
	histogram_drop(l, w);
}

/* A row of the kernel has a histogram of all its waits, or none. */
static int bounds_count(struct ledger_worker *w, const struct wait *wait, const uint32_t *slots,
			bool last)
{
	struct ledger_bounds *b = w->bounds;
	uint32_t now[WAIT_BOUNDS + 1];

	if (!slots)
		return 0;
	if (!b)
		b = w->bounds = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	wait_bounds_of(now, slots);
	for (unsigned i = 0; i <= WAIT_BOUNDS; i++) {
		b->sum.counts[i] += (uint32_t)(now[i] - b->last[i]);
		b->last[i] = last ? 0 : now[i];
	}
	b->sum.sum_ns += growth(wait->sum_ns, b->last_sum_ns);
	b->last_sum_ns = last ? 0 : wait->sum_ns;
	return 0;
}

int ledger_count_work(struct ledger *l, struct ledger_worker *w, const struct ledger_work *work,
		      const uint32_t *slots, bool last)
{
	if (bounds_count(w, &work->wait, slots, last))
		return -ENOMEM;
	w->work = last ? (struct ledger_work){} : *work;
	if (last)
		work_add(&w->work_past, work);
	w->partial |= work->wait.count && !slots;
	if (w->partial) {
		histogram_drop(l, w);
		return 0;
	}
	if (slots && !w->slots) {
		w->slots = calloc(1, sizeof(*w->slots));
		if (!w->slots)
			return -ENOMEM;
		l->ended_histograms += w->row.ended;
		ledger_limit_histograms(l, w);
		if (w->partial)
			return 0;
	}
	for (unsigned i = 0; slots && i < WAIT_SLOTS; i++) {
		w->slots->sum.slots[i] +=
			slots[i] - w->slots->last[i]; /* subtracted in 32 bits, because the kernel's
							 counts wrap */
		w->slots->last[i] = last ? 0 : slots[i];
	}
	return 0;
}
