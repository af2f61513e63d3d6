/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What happened between two snapshots. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "aside.h"
#include "counters.h"
#include "order.h"
#include "snapshot.h"

static int compare_cpus(const void *a, const void *b)
{
	const struct cpu_row *x = *(const struct cpu_row *const *)a,
			     *y = *(const struct cpu_row *const *)b;

	return COMPARE(x->cpu, y->cpu);
}

/*
 * Adds to *gone the rows that `before` listed and `now` does not, with their counts. These rows
 * gave way to others, and their counts are part of now->omitted. Returns 0 or -ENOMEM.
 */
static int add_gone_sockets(struct omitted *gone, const struct endpoint *now,
			    const struct endpoint *before)
{
	struct array_index listed;
	int err = array_index_make(&listed, now->sockets, now->socket_count, sizeof(*now->sockets),
				   socket_by_cookie);

	for (size_t i = 0; i < before->socket_count && !err; i++) {
		const struct socket_row *was = &before->sockets[i];

		if (array_index_find(&listed, was))
			continue;
		omitted_add_socket(gone, was);
		gone->accepted += was->accepted;
	}
	free(listed.rows);
	return err;
}

static const struct socket_row *worker_socket(const struct array_index *by_cookie,
					      const struct worker_row *w)
{
	const struct socket_row key = { .cookie = w->cookie };

	return array_index_find(by_cookie, &key);
}

/* The accepts of a gone socket include those of its workers, so only workers of other sockets add
 * to `accepted`. */
static int add_gone_workers(struct omitted *gone, const struct endpoint *now,
			    const struct endpoint *before)
{
	struct array_index sockets = {}, listed;
	int err = array_index_make(&listed, now->workers, now->worker_count, sizeof(*now->workers),
				   worker_by_identity);

	if (!err)
		err = array_index_make(&sockets, now->sockets, now->socket_count,
				       sizeof(*now->sockets), socket_by_cookie);
	for (size_t i = 0; i < before->worker_count && !err; i++) {
		const struct worker_row *was = &before->workers[i];

		if (array_index_find(&listed, was))
			continue;
		omitted_add_worker(gone, was);
		if (!worker_socket(&sockets, was))
			gone->accepted -= was->accepted;
	}
	free(sockets.rows);
	free(listed.rows);
	return err;
}

static void subtract_sketch(struct endpoint *e, const struct socket_row *now,
			    const struct endpoint *before, const struct socket_row *was)
{
	if (!now->sketch || !was->sketch)
		return;
	for (unsigned i = 0; i < FLOW_BUCKETS; i++) {
		uint64_t *bucket = &e->sketches[now->sketch - 1].buckets[i];

		*bucket = growth(*bucket, before->sketches[was->sketch - 1].buckets[i]);
	}
	flow_peer_subtract(&e->sketches[now->sketch - 1], &before->sketches[was->sketch - 1].peer);
}

static int subtract_sockets(struct endpoint *e, const struct endpoint *before)
{
	struct array_index old;
	size_t kept = 0;
	int err = array_index_make(&old, before->sockets, before->socket_count,
				   sizeof(*before->sockets), socket_by_cookie);

	for (size_t i = 0; i < e->socket_count && !err; i++) {
		struct socket_row row = e->sockets[i];
		const struct socket_row *was = array_index_find(&old, &e->sockets[i]);

		if (was && was->ended && !counters_differ(&socket_counters, &row, was))
			continue;
		if (was) {
			row.appeared = false;
			counters_subtract(&socket_counters, &row, was);
			subtract_sketch(e, &row, before, was);
			half_open_subtract(&row.half_open, &was->half_open);
			/* A stall that began before and goes on is one of the interval, too. */
			row.stall.count = growth(row.stall.count, was->stall.count) +
					  (was->stall.ns && !was->stall.over);
			row.stall.drops = growth(row.stall.drops, was->stall.drops);
			/* queue_highest is the maximum of the whole window: it belongs to this
			 * interval only if it grew. */
			row.highest_known &= row.queue_highest > was->queue_highest;
			wait_subtract(&row.wait, &was->wait, e->histograms, before->histograms);
		}
		e->sockets[kept++] = row;
	}
	if (!err)
		e->socket_count = kept;
	free(old.rows);
	return err;
}

/* A row with start 0 joins the thread's own row once there is one: see ledger_snapshot(). */
static const struct worker_row *find_worker(const struct array_index *old,
					    const struct worker_row *row)
{
	struct worker_row joined = *row;

	joined.start_ns = 0;
	row = array_index_find(old, row);
	return row ? row : array_index_find(old, &joined);
}

static bool worker_counted(const struct worker_row *now, const struct worker_row *before)
{
	return counters_differ(&worker_counters, now, before) ||
	       now->open_known != before->open_known;
}

static int subtract_workers(struct endpoint *e, const struct endpoint *before)
{
	struct array_index old;
	size_t kept = 0;
	int err = array_index_make(&old, before->workers, before->worker_count,
				   sizeof(*before->workers), worker_by_identity);

	for (size_t i = 0; i < e->worker_count && !err; i++) {
		struct worker_row row = e->workers[i];
		const struct worker_row *was = find_worker(&old, &e->workers[i]);

		if (was && was->ended && !row.open && !worker_counted(&row, was))
			continue;
		if (was) {
			row.appeared = false;
			counters_subtract(&worker_counters, &row, was);
			wait_subtract(&row.wait, &was->wait, e->histograms, before->histograms);
			wait_subtract(&row.handed, &was->handed, NULL, NULL);
			row.usage_known &= was->usage_known;
			row.process_cpu_known &= was->process_cpu_known;
		} else {
			row.usage_known &= row.appeared; /* else it covers a longer time */
			row.process_cpu_known = false;
		}
		e->workers[kept++] = row;
	}
	if (!err)
		e->worker_count = kept;
	free(old.rows);
	return err;
}

static int subtract_cpus(struct endpoint *e, const struct endpoint *before)
{
	struct array_index old;
	size_t kept = 0;
	int err = array_index_make(&old, before->cpus, before->cpu_count, sizeof(*before->cpus),
				   compare_cpus);

	for (size_t i = 0; i < e->cpu_count && !err; i++) {
		struct cpu_row row = e->cpus[i];
		const struct cpu_row *was = array_index_find(&old, &e->cpus[i]);

		row.arrived = growth(row.arrived, was ? was->arrived : 0);
		if (row.arrived)
			e->cpus[kept++] = row;
	}
	if (!err)
		e->cpu_count = kept;
	free(old.rows);
	return err;
}

/*
 * A socket's accepts and waits are the sums over its workers. If a worker is no longer listed, the
 * sums fell, and the differences would hide what the other workers did. So the sums are computed
 * anew, and the waits have no histogram.
 */
static int add_up_workers(struct endpoint *e)
{
	struct array_index by_cookie;
	int err = array_index_make(&by_cookie, e->sockets, e->socket_count, sizeof(*e->sockets),
				   socket_by_cookie);
	struct omitted *sums = calloc(e->socket_count + 1, sizeof(*sums));

	if (!sums)
		err = -ENOMEM;
	for (size_t i = 0; i < e->worker_count && !err; i++) {
		const struct socket_row *its = worker_socket(&by_cookie, &e->workers[i]);

		if (its)
			omitted_add_worker(&sums[its - e->sockets], &e->workers[i]);
	}
	for (size_t i = 0; i < e->socket_count && !err; i++) {
		struct socket_row *s = &e->sockets[i];

		if (sums[i].accepted > s->accepted)
			s->accepted = sums[i].accepted;
		if (sums[i].queued_before > s->queued_before)
			s->queued_before = sums[i].queued_before;
		if (sums[i].reset_queued > s->reset_queued)
			s->reset_queued = sums[i].reset_queued;
		if (sums[i].wait.count > s->wait.count)
			s->wait = sums[i].wait;
	}
	free(sums);
	free(by_cookie.rows);
	return err;
}

/* gone: gets added what had been omitted before. */
static void subtract_omitted(struct omitted *o, const struct omitted *before, struct omitted *gone)
{
	counters_add(&omitted_counters, gone, before);
	counters_subtract(&omitted_counters, o, gone);
	wait_add(&gone->wait, &before->wait, NULL);
	wait_subtract(&o->wait, &gone->wait, NULL, NULL);
}

static int compare_bytes(const void *a, const void *b)
{
	const struct connection_row *x = a, *y = b;
	const uint64_t one = x->bytes.received + x->bytes.sent,
		       other = y->bytes.received + y->bytes.sent;

	return COMPARE(other, one);
}

/* Connections that were not listed before had carried less than any listed one. An unknown part of
 * their bytes may be from before the interval, so they are left out. */
static void subtract_connections(struct endpoint *e, const struct endpoint *before)
{
	const bool all = before->connection_count == before->connections_open;
	size_t kept = 0;

	for (size_t i = 0; i < e->connection_count; i++) {
		struct connection_row row = e->connections[i];
		const struct connection_row *was = NULL;

		for (size_t j = 0; j < before->connection_count && !was; j++)
			was = before->connections[j].id == row.id ? &before->connections[j] : NULL;
		if (!was && !all)
			continue;
		if (was) {
			row.bytes.received = growth(row.bytes.received, was->bytes.received);
			row.bytes.sent = growth(row.bytes.sent, was->bytes.sent);
		}
		e->connections[kept++] = row;
	}
	e->connection_count = kept;
	qsort(e->connections, kept, sizeof(*e->connections), compare_bytes);
}

static void subtract_endpoint_lost(struct endpoint_lost *lost, const struct endpoint_lost *before)
{
	lost->arrived = growth(lost->arrived, before->arrived);
	lost->accepted = growth(lost->accepted, before->accepted);
	lost->served = growth(lost->served, before->served);
	lost->open = growth(lost->open, before->open);
}

static int subtract_endpoint(struct endpoint *e, const struct endpoint *before)
{
	struct omitted gone = {};
	int err = add_gone_sockets(&gone, e, before);

	err = err ? err : add_gone_workers(&gone, e, before);
	err = err ? err : subtract_sockets(e, before);
	err = err ? err : subtract_workers(e, before);
	if (!err && gone.workers)
		err = add_up_workers(e);
	err = err ? err : subtract_cpus(e, before);
	subtract_connections(e, before);
	subtract_omitted(&e->omitted, &before->omitted, &gone);
	subtract_endpoint_lost(&e->lost, &before->lost);
	return err;
}

/* The reasons of `now` with their growth; reasons that did not grow are left out. */
static int subtract_lost(struct snapshot *out, const struct snapshot *now,
			 const struct snapshot *before)
{
	out->lost = calloc(now->lost_count + 1, sizeof(*out->lost));
	if (!out->lost)
		return -ENOMEM;
	for (size_t i = 0; i < now->lost_count; i++) {
		struct lost_row row = now->lost[i];

		for (size_t j = 0; j < before->lost_count; j++)
			if (!strcmp(before->lost[j].reason, row.reason))
				row.count = growth(row.count, before->lost[j].count);
		if (row.count)
			out->lost[out->lost_count++] = row;
	}
	return 0;
}

/* Without a look in the interval nothing is known of CPU times. */
static void forget_usage(struct endpoint *e)
{
	for (size_t i = 0; i < e->worker_count; i++)
		e->workers[i].usage_known = e->workers[i].process_cpu_known = false;
}

/* lived_ns and quiet_ns may reach back beyond the interval, so they are capped by it.
 */
static void limit_lives(struct endpoint *e, uint64_t interval_ns)
{
	for (size_t i = 0; i < e->worker_count; i++) {
		struct worker_row *w = &e->workers[i];

		w->lived_ns = w->lived_ns < interval_ns ? w->lived_ns : interval_ns;
		w->quiet_ns = w->quiet_ns < w->lived_ns ? w->quiet_ns : w->lived_ns;
	}
}

/* Times since the window began become times since the interval began. */
static void move_stalls(struct endpoint *e, double before_seconds)
{
	const int64_t by = (int64_t)(before_seconds * 1e9);

	for (size_t i = 0; i < e->socket_count; i++) {
		e->sockets[i].stall.last_ns -= by;
		e->sockets[i].stall.over_ns -= by;
	}
}

int snapshot_difference(struct snapshot *out, const struct snapshot *now,
			const struct snapshot *before)
{
	struct array_index old;
	int err;

	*out = *now;
	out->final = false;
	out->start_ms = before->start_ms + (int64_t)(before->seconds * 1000 + 0.5);
	out->seconds = now->seconds - before->seconds;
	out->looked_seconds = now->looked_seconds - before->looked_seconds;
	out->own_cost.runs = growth(now->own_cost.runs, before->own_cost.runs);
	out->own_cost.ns = growth(now->own_cost.ns, before->own_cost.ns);
	out->own_cost.process_ns = growth(now->own_cost.process_ns, before->own_cost.process_ns);
	out->lost = NULL;
	out->lost_count = 0;
	out->handshakes = NULL;
	out->handshake_count = 0;
	out->endpoint_count = out->aside_count = 0;
	out->endpoints = calloc(now->endpoint_count + 1, sizeof(*out->endpoints));
	err = array_index_make(&old, before->endpoints, before->endpoint_count,
			       sizeof(*before->endpoints), endpoint_by_address);
	if (!out->endpoints)
		err = -ENOMEM;
	for (size_t i = 0; i < now->endpoint_count && !err; i++) {
		const struct endpoint *from = &now->endpoints[i], *was;
		struct endpoint *e = &out->endpoints[out->endpoint_count];

		was = array_index_find(&old, from);
		err = endpoint_copy(e, from);
		if (err)
			break;
		out->endpoint_count++;
		if (was)
			err = subtract_endpoint(e, was);
		if (!(out->looked_seconds > 0))
			forget_usage(e);
		move_stalls(e, before->seconds);
		limit_lives(e, out->seconds > 0 ? (uint64_t)(out->seconds * 1e9) : 0);
		e->generations_given = was && e->generations.judged;
		/* All rows of the endpoint had ended before the interval. */
		if (was && !e->socket_count && !e->worker_count && !endpoint_events(e)) {
			endpoint_free(e);
			out->endpoint_count--;
		}
	}
	out->passing = (struct passing){};
	for (size_t i = now->endpoint_count; i < now->endpoint_count + now->aside_count && !err;
	     i++)
		if (endpoint_aside(&now->endpoints[i]) == ASIDE_PASSING)
			passing_add(&out->passing, &now->endpoints[i],
				    array_index_find(&old, &now->endpoints[i]));
	err = err ? err : subtract_lost(out, now, before);
	err = err ? err : handshakes_difference(out, now, before);
	if (!err)
		handshakes_fill(out);
	free(old.rows);
	if (err)
		snapshot_free(out);
	return err;
}
