/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Workers that were never seen to wait: rows for them, by who is their sibling. */
#include "siblings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int compare_pids(const void *a, const void *b)
{
	const int32_t *x = a, *y = b;

	return COMPARE(*x, *y);
}

static bool is_sibling(const struct endpoint *e, size_t workers, const struct holder_row *h)
{
	for (size_t i = 0; i < workers; i++) {
		const struct worker_row *w = &e->workers[i];

		if (w->can_accept && !w->ended && w->tid == w->pid && w->parent == h->parent &&
		    !strncmp(w->process, h->process, sizeof(w->process)))
			return true;
	}
	return false;
}

static struct worker_row worker_of_holder(const struct holder_row *h)
{
	struct worker_row row = { .number = -1, .pid = h->pid, .tid = h->pid, .parent = h->parent, .start_ns = h->start_ns,
				  .pid_inside = h->pid_inside, .tid_inside = h->pid_inside, .cookie = h->cookie, .can_accept = true,
				  .appeared = h->appeared };

	memcpy(row.comm, h->process, sizeof(row.comm));
	memcpy(row.process, h->process, sizeof(row.process));
	memcpy(row.cgroup, h->cgroup, sizeof(row.cgroup));
	return row;
}

int endpoint_add_siblings(struct endpoint *e)
{
	const size_t workers = e->worker_count;
	int32_t *known = calloc(workers + 1, sizeof(*known));
	struct worker_row *rows = known ? realloc(e->workers, (workers + e->holder_count + 1) * sizeof(*rows)) : NULL;

	if (!rows) {
		free(known);
		return -ENOMEM;
	}
	e->workers = rows;
	for (size_t i = 0; i < workers; i++)
		known[i] = rows[i].ended ? 0 : rows[i].pid;
	qsort(known, workers, sizeof(*known), compare_pids);
	for (size_t i = 0; i < e->holder_count && workers; i++) {
		const struct holder_row *h = &e->holders[i];
		bool added = false;

		if (!h->parent || !h->polls || bsearch(&h->pid, known, workers, sizeof(*known), compare_pids) || !is_sibling(e, workers, h))
			continue;
		for (size_t j = workers; j < e->worker_count && !added; j++) /* by another socket of the port */
			added = rows[j].pid == h->pid;
		if (!added)
			rows[e->worker_count++] = worker_of_holder(h);
	}
	free(known);
	return 0;
}
