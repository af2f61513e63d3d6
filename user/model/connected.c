/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "connected.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

/* Sorted in ascending order. */
struct connected_cookies {
	uint64_t *list;
	size_t count;
};

static bool has(const struct connected_cookies *c, uint64_t cookie)
{
	return bsearch(&cookie, c->list, c->count, sizeof(cookie), compare_u64);
}

/* Moves the rows that are set aside to the end; apart from that, rows keep their order. `aside`:
 * has room for as many rows. Returns the number of rows that stay. */
static size_t part_sockets(struct socket_row *rows, size_t count, struct socket_row *aside)
{
	size_t kept = 0, apart = 0;

	for (size_t i = 0; i < count; i++)
		if (rows[i].connected)
			aside[apart++] = rows[i];
		else
			rows[kept++] = rows[i];
	memcpy(rows + kept, aside, apart * sizeof(*rows));
	return kept;
}

static size_t part_workers(struct worker_row *rows, size_t count, struct worker_row *aside,
			   const struct connected_cookies *connected)
{
	size_t kept = 0, apart = 0;

	for (size_t i = 0; i < count; i++)
		if (has(connected, rows[i].cookie))
			aside[apart++] = rows[i];
		else
			rows[kept++] = rows[i];
	memcpy(rows + kept, aside, apart * sizeof(*rows));
	return kept;
}

static void drop_holders(struct endpoint *e, const struct connected_cookies *connected)
{
	size_t kept = 0;

	for (size_t i = 0; i < e->holder_count; i++)
		if (!has(connected, e->holders[i].cookie))
			e->holders[kept++] = e->holders[i];
	e->holder_count = kept;
}

static size_t count_connected(const struct endpoint *e)
{
	size_t count = 0;

	for (size_t i = 0; i < e->socket_count; i++)
		count += e->sockets[i].connected;
	return count;
}

bool endpoint_all_connected(const struct endpoint *e)
{
	const uint64_t sockets = e->socket_count + e->omitted.sockets;

	return sockets && count_connected(e) + e->omitted.connected == sockets;
}

int endpoint_set_aside_connected(struct endpoint *e)
{
	const size_t count = count_connected(e);
	struct connected_cookies connected = {};
	struct socket_row *sockets;
	struct worker_row *workers;
	size_t kept;

	if (!count || count == e->socket_count)
		return 0;
	connected.list = calloc(count, sizeof(*connected.list));
	sockets = calloc(count, sizeof(*sockets));
	workers = calloc(e->worker_count + 1, sizeof(*workers));
	if (connected.list && sockets && workers) {
		for (size_t i = 0; i < e->socket_count; i++)
			if (e->sockets[i].connected)
				connected.list[connected.count++] = e->sockets[i].cookie;
		qsort(connected.list, connected.count, sizeof(*connected.list), compare_u64);
		kept = part_sockets(e->sockets, e->socket_count, sockets);
		e->connected_count += e->socket_count - kept;
		e->socket_count = kept;
		kept = part_workers(e->workers, e->worker_count, workers, &connected);
		e->connected_workers += e->worker_count - kept;
		e->worker_count = kept;
		drop_holders(e, &connected);
	}
	free(workers);
	free(sockets);
	free(connected.list);
	return connected.count ? 0 : -ENOMEM;
}

/* The number of processes that these threads belong to; 0 if there is no memory to tell. */
static uint64_t count_processes(const struct worker_row *rows, size_t count)
{
	int32_t *pids = calloc(count + 1, sizeof(*pids));
	uint64_t processes = 0;

	for (size_t i = 0; i < count && pids; i++)
		pids[i] = rows[i].pid;
	if (pids && count)
		qsort(pids, count, sizeof(*pids), compare_i32);
	for (size_t i = 0; i < count && pids; i++)
		processes += !i || pids[i] != pids[i - 1];
	free(pids);
	return processes;
}

struct connected_sum endpoint_connected(const struct endpoint *e)
{
	const struct worker_row *workers = e->workers + e->worker_count;
	struct connected_sum sum = { .sockets = e->connected_count,
				     .processes = count_processes(workers, e->connected_workers) };

	for (size_t i = e->socket_count; i < e->socket_count + e->connected_count; i++) {
		const struct socket_row *s = &e->sockets[i];

		sum.ended += s->ended;
		sum.delivered += s->arrived;
		sum.received += s->accepted;
		sum.dropped += s->dropped;
		sum.drops += s->drops;
	}
	return sum;
}
