/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows for workers that were never seen waiting, found through their siblings. */
#include "siblings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

/* What siblings have in common. */
struct kin {
	int32_t parent;
	char process[sizeof(((struct worker_row *)NULL)->process)];
};

static int compare_kin(const void *a, const void *b)
{
	const struct kin *x = a, *y = b;

	return x->parent != y->parent ? COMPARE(x->parent, y->parent)
				      : strncmp(x->process, y->process, sizeof(x->process));
}

static struct kin kin_of(int32_t parent, const char *process)
{
	struct kin kin = { .parent = parent };

	memcpy(kin.process, process, sizeof(kin.process));
	return kin;
}

/* Of the workers that can accept: `kin` gets them in order. Returns their number. */
static size_t workers_kin(struct kin *kin, const struct endpoint *e, size_t workers)
{
	size_t found = 0;

	for (size_t i = 0; i < workers; i++) {
		const struct worker_row *w = &e->workers[i];

		if (w->can_accept && !w->ended && w->tid == w->pid)
			kin[found++] = kin_of(w->parent, w->process);
	}
	qsort(kin, found, sizeof(*kin), compare_kin);
	return found;
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

/*
 * Returns how many holders may be siblings without a row. known: pids of the processes with a row,
 * ascending; kin: in order. Both are searched by halves: a process may hold very many sockets.
 */
static size_t find_siblings(const struct holder_row **siblings, const struct endpoint *e,
			    const int32_t *known, size_t count, const struct kin *kin, size_t kins)
{
	size_t found = 0;

	for (size_t i = 0; i < e->holder_count && kins; i++) {
		const struct holder_row *h = &e->holders[i];
		const struct kin own = kin_of(h->parent, h->process);

		if (h->parent && !bsearch(&h->pid, known, count, sizeof(*known), compare_i32) &&
		    bsearch(&own, kin, kins, sizeof(*kin), compare_kin))
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
	struct kin *kin = calloc(workers + 1, sizeof(*kin));
	struct worker_row *rows =
		known && siblings && kin
			? realloc(e->workers, (workers + e->holder_count + 1) * sizeof(*rows))
			: NULL;
	size_t found;

	if (!rows) {
		free(known);
		free(kin);
		free(siblings);
		return -ENOMEM;
	}
	e->workers = rows;
	for (size_t i = 0; i < workers; i++)
		known[i] = rows[i].ended ? 0 : rows[i].pid;
	qsort(known, workers, sizeof(*known), compare_i32);
	found = find_siblings(siblings, e, known, workers, kin, workers_kin(kin, e, workers));
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
	free(kin);
	free(siblings);
	return 0;
}
