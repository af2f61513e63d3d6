/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory of the model, lookups and sums. Comparing rows of different snapshots is in order.c,
 * joining the kernel's counts with what a server knows of itself in merge.c, the difference of two
 * snapshots in difference.c, and the judgement of fairness in judge.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "order.h"
#include "snapshot.h"

void endpoint_free(struct endpoint *e)
{
	free(e->sockets);
	free(e->workers);
	free(e->cpus);
	free(e->holders);
	free(e->stallers);
	free(e->findings);
	free(e->histograms);
	free(e->sketches);
	free(e->tunnels);
	*e = (struct endpoint){};
}

void snapshot_free(struct snapshot *s)
{
	for (size_t i = 0; i < s->endpoint_count + s->aside_count; i++)
		endpoint_free(&s->endpoints[i]);
	free(s->endpoints);
	free(s->handshakes);
	free(s->lost);
	*s = (struct snapshot){};
}

/* Copies an array into *to; no rows give NULL. Returns 0 or -ENOMEM. */
static int rows_copy(void *to, const void *from, size_t count, size_t size)
{
	void *rows = NULL;

	if (count) {
		rows = calloc(count, size);
		if (!rows)
			return -ENOMEM;
		memcpy(rows, from, count * size);
	}
	memcpy(to, &rows, sizeof(rows));
	return 0;
}

#define COPY(list, count) rows_copy(&to->list, from->list, from->count, sizeof(*from->list))

int endpoint_copy(struct endpoint *to, const struct endpoint *from)
{
	int err;

	/* The copy does not own these arrays yet, and must not free them. */
	*to = *from;
	to->sockets = NULL;
	to->workers = NULL;
	to->cpus = NULL;
	to->holders = NULL;
	to->stallers = NULL;
	to->findings = NULL;
	to->histograms = NULL;
	to->sketches = NULL;
	to->tunnels = NULL;
	err = rows_copy(&to->sockets, from->sockets, from->socket_count + from->connected_count,
			sizeof(*from->sockets));
	err = err ? err
		  : rows_copy(&to->workers, from->workers,
			      from->worker_count + from->connected_workers, sizeof(*from->workers));
	err = err ? err : COPY(cpus, cpu_count);
	err = err ? err : COPY(holders, holder_count);
	err = err ? err : COPY(stallers, staller_count);
	err = err ? err : COPY(findings, finding_count);
	err = err ? err : COPY(histograms, histogram_count);
	err = err ? err : COPY(sketches, sketch_count);
	err = err ? err : COPY(tunnels, tunnel_count);
	if (err)
		endpoint_free(to);
	return err;
}

int snapshot_copy(struct snapshot *to, const struct snapshot *from)
{
	int err = 0;

	*to = *from;
	to->lost_count = 0;
	to->lost = NULL;
	to->handshake_count = 0;
	to->handshakes = NULL;
	to->aside_count = 0;
	to->endpoint_count = 0;
	to->endpoints = calloc(from->endpoint_count + 1, sizeof(*to->endpoints));
	if (!to->endpoints)
		err = -ENOMEM;
	for (size_t i = 0; i < from->endpoint_count && !err; i++) {
		err = endpoint_copy(&to->endpoints[i], &from->endpoints[i]);
		if (!err)
			to->endpoint_count++;
	}
	err = err ? err : rows_copy(&to->lost, from->lost, from->lost_count, sizeof(*from->lost));
	if (!err)
		err = rows_copy(&to->handshakes, from->handshakes, from->handshake_count,
				sizeof(*from->handshakes));
	to->lost_count = err ? 0 : from->lost_count;
	to->handshake_count = err ? 0 : from->handshake_count;
	if (err)
		snapshot_free(to);
	return err;
}

uint64_t snapshot_lost(const struct snapshot *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->lost_count; i++)
		sum += s->lost[i].count;
	return sum;
}

uint64_t snapshot_lost_counts(const struct snapshot *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->lost_count; i++)
		sum += s->lost[i].beside ? 0 : s->lost[i].count;
	return sum;
}

struct endpoint *snapshot_find(struct snapshot *s, const struct endpoint *like)
{
	for (size_t i = 0; i < s->endpoint_count; i++) {
		struct endpoint *e = &s->endpoints[i];

		if (!endpoint_by_address(&e, &like))
			return e;
	}
	return NULL;
}

static int compare_holders(const void *a, const void *b)
{
	const struct holder_row *x = a, *y = b;

	return COMPARE(x->cookie, y->cookie);
}

size_t holders_find(const struct holder_row *rows, size_t count, uint64_t cookie, size_t *first)
{
	const struct holder_row key = { .cookie = cookie };
	const struct array all = { .rows = (void *)rows, .count = count };
	size_t end = *first = array_first(&all, sizeof(key), &key, compare_holders);

	while (end < count && rows[end].cookie == cookie)
		end++;
	return end - *first;
}

const struct holder_row *endpoint_holders(const struct endpoint *e, uint64_t cookie, size_t *count)
{
	size_t first;

	*count = holders_find(e->holders, e->holder_count, cookie, &first);
	return e->holders + first;
}

const struct holder_row *endpoint_stallers(const struct endpoint *e, uint64_t cookie, size_t *count)
{
	size_t first;

	*count = holders_find(e->stallers, e->staller_count, cookie, &first);
	return e->stallers + first;
}

uint64_t endpoint_maybe_several(const struct endpoint *e)
{
	uint64_t buffers = e->omitted.buffers_maybe_several;

	for (size_t i = 0; i < e->socket_count + e->connected_count; i++)
		buffers += e->sockets[i].buffers_maybe_several;
	return buffers;
}

uint64_t endpoint_events(const struct endpoint *e)
{
	uint64_t came = e->omitted.arrived + e->omitted.dropped, taken = e->omitted.accepted;

	for (size_t i = 0; i < e->socket_count + e->connected_count; i++)
		came += e->sockets[i].arrived + e->sockets[i].dropped;
	for (size_t i = 0; i < e->worker_count + e->connected_workers; i++)
		taken += e->workers[i].accepted;
	return came > taken ? came : taken;
}
