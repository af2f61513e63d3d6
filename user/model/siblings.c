/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows for workers that were never seen waiting, found through their siblings. */
#include "siblings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

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
	struct worker_row row = { .number = -1,
				  .pid = h->pid,
				  .tid = h->pid,
				  .parent = h->parent,
				  .start_ns = h->start_ns,
				  .pid_inside = h->pid_inside,
				  .tid_inside = h->pid_inside,
				  .cookie = h->cookie,
				  .can_accept = true,
				  .appeared = h->appeared };

	memcpy(row.comm, h->process, sizeof(row.comm));
	memcpy(row.process, h->process, sizeof(row.process));
	memcpy(row.cgroup, h->cgroup, sizeof(row.cgroup));
	return row;
}

/* Sorts by process. If a process holds several sockets of the port, a row of a socket that it
 * watches comes first. */
static int holders_by_pid(const void *a, const void *b)
{
	const struct holder_row *x = *(const struct holder_row *const *)a,
				*y = *(const struct holder_row *const *)b;

	return x->pid != y->pid ? COMPARE(x->pid, y->pid) : y->polls - x->polls;
}

/* Returns how many holders may be siblings without a row. known: pids of the processes with a row,
 * ascending.
 */
static size_t find_siblings(const struct holder_row **siblings, const struct endpoint *e,
			    const int32_t *known, size_t count)
{
	size_t found = 0;

	for (size_t i = 0; i < e->holder_count && count; i++) {
		const struct holder_row *h = &e->holders[i];

		if (h->parent && !bsearch(&h->pid, known, count, sizeof(*known), compare_i32) &&
		    is_sibling(e, count, h))
			siblings[found++] = h;
	}
	qsort(siblings, found, sizeof(*siblings), holders_by_pid);
	return found;
}

/* A process that blocks in accept() and is stopped neither waits nor watches. What is queued on a
 * socket that it alone holds is its work all the same. */
static bool is_stopped_alone(const struct endpoint *e, const struct holder_row *h)
{
	size_t count;

	endpoint_holders(e, h->cookie, &count);
	return h->state == 'T' && count == 1;
}

int endpoint_add_siblings(struct endpoint *e)
{
	const size_t workers = e->worker_count;
	const struct holder_row **siblings = calloc(e->holder_count + 1, sizeof(*siblings));
	int32_t *known = calloc(workers + 1, sizeof(*known));
	struct worker_row *rows =
		known && siblings
			? realloc(e->workers, (workers + e->holder_count + 1) * sizeof(*rows))
			: NULL;
	size_t found;

	if (!rows) {
		free(known);
		free(siblings);
		return -ENOMEM;
	}
	e->workers = rows;
	for (size_t i = 0; i < workers; i++)
		known[i] = rows[i].ended ? 0 : rows[i].pid;
	qsort(known, workers, sizeof(*known), compare_i32);
	found = find_siblings(siblings, e, known, workers);
	e->unsure_siblings = 0;
	for (size_t i = 0; i < found; i++) {
		if (i && siblings[i]->pid == siblings[i - 1]->pid)
			continue;
		if (siblings[i]->polls || is_stopped_alone(e, siblings[i]))
			rows[e->worker_count++] = worker_of_holder(siblings[i]);
		else
			e->unsure_siblings++;
	}
	free(known);
	free(siblings);
	return 0;
}
