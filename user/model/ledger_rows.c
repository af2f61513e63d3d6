/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How rows are found. Sockets, workers and folded endpoints are each kept twice: in a tree by
 * identity, which is searched whenever a count comes in, and in an unsorted list, which is walked
 * by index and sorted in whatever order a walk needs. A row stays at its address until it is
 * removed. A removal puts the list's last row into the gap, so loops that remove count down.
 */
#include "ledger_parts.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

/* ---- order ---- */

int ledger_compare_endpoints(const struct ledger_socket *x, const struct ledger_socket *y)
{
	if (x->protocol != y->protocol)
		return COMPARE(x->protocol, y->protocol);
	if (x->netns != y->netns)
		return COMPARE(x->netns, y->netns);
	if (x->port != y->port)
		return COMPARE(x->port, y->port);
	if (x->family != y->family)
		return COMPARE(x->family, y->family);
	if (x->row.aside != y->row.aside)
		return COMPARE(x->row.aside, y->row.aside);
	return memcmp(x->address, y->address, sizeof(x->address));
}

int ledger_order_sockets(const void *a, const void *b)
{
	const struct ledger_socket *x = *(void *const *)a, *y = *(void *const *)b;
	int order = ledger_compare_endpoints(x, y);

	return order ? order : COMPARE(x->row.cookie, y->row.cookie);
}

static int compare_sockets(const void *a, const void *b)
{
	const struct ledger_socket *x = a, *y = b;

	return COMPARE(x->row.cookie, y->row.cookie);
}

static int compare_workers(const void *a, const void *b)
{
	const struct ledger_worker *x = a, *y = b;

	if (x->row.cookie != y->row.cookie)
		return COMPARE(x->row.cookie, y->row.cookie);
	if (x->row.tid != y->row.tid)
		return COMPARE(x->row.tid, y->row.tid);
	return COMPARE(x->row.start_ns, y->row.start_ns);
}

static int compare_folded(const void *a, const void *b)
{
	const struct ledger_folded *x = a, *y = b;

	return ledger_compare_endpoints(&x->key, &y->key);
}

void ledger_rows_begin(struct ledger *l)
{
	l->sockets.compare = compare_sockets;
	l->workers.compare = compare_workers;
	l->folded.compare = compare_folded;
}

/* ---- any rows ---- */

void *ledger_rows_find(const struct ledger_rows *r, const void *key)
{
	void **found = tfind(key, &r->tree, r->compare);

	return found ? *found : NULL;
}

void *ledger_row_at(const struct ledger_rows *r, size_t i)
{
	return ((void **)r->list.rows)[i];
}

void *ledger_rows_add(struct ledger_rows *r, const void *row, size_t size)
{
	void *copy = malloc(size);

	if (!copy)
		return NULL;
	memcpy(copy, row, size);
	if (!array_add(&r->list, &copy, sizeof(copy))) {
		free(copy);
		return NULL;
	}
	if (!tsearch(copy, &r->tree, r->compare)) {
		r->list.count--;
		free(copy);
		return NULL;
	}
	return copy;
}

/* Removes row i from the list; another row takes its place. The caller frees what the row owns.
 */
static void rows_remove(struct ledger_rows *r, size_t i)
{
	void *row = ledger_row_at(r, i);

	tdelete(row, &r->tree, r->compare);
	((void **)r->list.rows)[i] = ledger_row_at(r, --r->list.count);
	free(row);
}

void ledger_rows_clear(struct ledger_rows *r)
{
	while (r->list.count)
		rows_remove(r, r->list.count - 1);
	free(r->list.rows);
	*r = (struct ledger_rows){ .compare = r->compare };
}

void ledger_rows_sort(struct ledger_rows *r, int (*compare)(const void *, const void *))
{
	array_sort(&r->list, sizeof(void *), compare);
}

/* ---- sockets and workers ---- */

struct ledger_socket *ledger_socket_at(const struct ledger *l, size_t i)
{
	return ledger_row_at(&l->sockets, i);
}

struct ledger_worker *ledger_worker_at(const struct ledger *l, size_t i)
{
	return ledger_row_at(&l->workers, i);
}

void ledger_remove_socket(struct ledger *l, size_t i)
{
	struct ledger_socket *s = ledger_socket_at(l, i);

	l->sockets.ended -= s->row.ended;
	free(s->by_cpu); /* by_cpu_past is part of it */
	free(s->flows);
	free(s->stallers);
	rows_remove(&l->sockets, i);
}

void ledger_remove_worker(struct ledger *l, size_t i)
{
	struct ledger_worker *w = ledger_worker_at(l, i);

	l->workers.ended -= w->row.ended;
	l->ended_histograms -= w->row.ended && w->slots;
	free(w->slots);
	free(w->bounds);
	rows_remove(&l->workers, i);
}

void ledger_remove_folded(struct ledger *l, size_t i)
{
	rows_remove(&l->folded, i);
}

struct ledger_socket *ledger_find_socket(const struct ledger *l, uint64_t cookie)
{
	const struct ledger_socket key = { .row.cookie = cookie };

	return ledger_rows_find(&l->sockets, &key);
}

struct ledger_socket *ledger_socket(struct ledger *l, uint64_t cookie, bool *made)
{
	const struct ledger_socket fresh = { .row.cookie = cookie };
	struct ledger_socket *s = ledger_find_socket(l, cookie);

	if (made)
		*made = !s;
	return s ? s : ledger_rows_add(&l->sockets, &fresh, sizeof(fresh));
}

struct ledger_worker *ledger_find_worker(const struct ledger *l, uint64_t cookie, int32_t tid,
					 uint64_t start_ns)
{
	const struct ledger_worker key = {
		.row = { .cookie = cookie, .tid = tid, .start_ns = start_ns }
	};

	return ledger_rows_find(&l->workers, &key);
}

struct ledger_worker *ledger_worker(struct ledger *l, uint64_t cookie, int32_t tid,
				    uint64_t start_ns, bool *made)
{
	const struct ledger_worker fresh = {
		.row = { .number = -1, .cookie = cookie, .tid = tid, .start_ns = start_ns }
	};
	struct ledger_worker *w = ledger_rows_find(&l->workers, &fresh);

	if (made)
		*made = !w;
	return w ? w : ledger_rows_add(&l->workers, &fresh, sizeof(fresh));
}

size_t ledger_sockets(const struct ledger *l, struct ledger_socket *const **rows)
{
	*rows = l->sockets.list.rows;
	return l->sockets.list.count;
}

size_t ledger_workers(const struct ledger *l, struct ledger_worker *const **rows)
{
	*rows = l->workers.list.rows;
	return l->workers.list.count;
}
