/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Updates what the sample does not show waiting, or does not show at all: threads that were busy,
 * and workers and sockets that are gone. It walks the ledger's rows, first those of threads, then
 * those of sockets.
 */
#include "inventory_scan.h"

#include <errno.h>
#include <stdlib.h>

#include "process.h"

/* ---- threads ---- */

static int found_by_cookie(const void *a, const void *b)
{
	const struct found *x = *(const struct found *const *)a,
			   *y = *(const struct found *const *)b;

	return COMPARE(x->r.cookie, y->r.cookie);
}

/* its: the worker's socket; NULL: the socket is not in the sample. */
static void worker_update(struct inventory *v, struct ledger *l, struct ledger_worker *w,
			  const struct found *its, uint64_t started_ns)
{
	const struct thread *t = inventory_thread(v, w->row.tid);
	/* A thread that only serves what others accept need not hold their socket. */
	const bool released = w->row.can_accept && its &&
			      wait_graph_descriptor(&v->graph, its->node, w->row.pid) < 0;
	const bool same = t && (!w->row.start_ns || t->r.start_ns == w->row.start_ns);
	struct wait_way way;

	w->row.waits = false;
	if (same && !released)
		inventory_worker_describe(v, w, t, started_ns);
	else if (released || t || !process_thread_lives(w->row.pid, w->row.tid, w->row.start_ns))
		ledger_end_worker(l, w);
	if (its && !w->row.ended && w->row.can_accept && w->row.wait_kind == WAITS_NOT &&
	    wait_graph_busy(&v->graph, its->node, w->row.pid, &way))
		inventory_worker_waits(w, way);
}

/*
 * Threads that did not wait in this sample: are they still alive, and does their process still
 * hold the socket? (After a reload nginx's old workers live on for their connections, but accept
 * no more.) The scan does not have the threads of a process that no longer holds a socket.
 */
static int workers_update(struct inventory *v, struct ledger *l, uint64_t started_ns)
{
	struct ledger_worker *const *rows;
	const size_t count = ledger_workers(l, &rows);
	struct array_index found;
	int err = array_index_make(&found, v->found.rows, v->found.count, sizeof(struct found),
				   found_by_cookie);

	for (size_t i = 0; i < count && !err; i++) {
		struct ledger_worker *w = rows[i];
		const struct found key = { .r.cookie = w->row.cookie };

		if (w->row.ended || w->scan == v->scan)
			continue;
		if (w->row.tid >= 0)
			worker_update(v, l, w, array_index_find(&found, &key), started_ns);
		else if (!process_thread_lives(w->row.pid, w->row.pid, w->row.start_ns))
			ledger_end_worker(l, w); /* the row of a process: see worker_row */
	}
	free(found.rows);
	return err;
}

/* ---- sockets ---- */

/*
 * No process holds the socket. It may be on its way from one process to another, or be the
 * kernel's own, or be closed. sock_diag lists it in the first two cases.
 */
static void unheld_update(struct ledger *l, struct ledger_socket *s,
			  const struct sockdiag_row *live, int count, const struct namespaces *seen)
{
	const struct sockdiag_row *found = sockdiag_find(live, count, s->row.cookie);

	if (!found) {
		/* If its namespace could not be asked, nothing is known. */
		if (namespaces_has(seen, s->netns) || !seen->failed)
			ledger_end_socket(l, s);
		return;
	}
	s->row.queue_known = true;
	s->row.half_open.known = false; /* sock_diag does not report it */
	s->row.queue_length = found->queue_length;
	s->read_ns = clock_ns(CLOCK_MONOTONIC);
	s->row.waiting = 0;
	s->drops_now = found->drops;
}

/*
 * Updates sockets that were not in the scan. Returns a negative errno only if the way back from a
 * network namespace failed.
 */
static int sockets_update(const struct inventory *v, struct ledger *l)
{
	struct ledger_socket *const *rows;
	struct sockdiag_row *live = NULL;
	struct namespaces seen = {};
	size_t count = ledger_sockets(l, &rows);
	int live_count = 0, err;
	bool asked = false;

	for (size_t i = 0; i < count && !seen.astray; i++) {
		if (rows[i]->row.ended || rows[i]->scan == v->scan)
			continue;
		if (!asked)
			live_count = sockdiag_dump_namespaces(&live, &seen);
		asked = true;
		if (!seen.astray)
			unheld_update(l, rows[i], live, live_count, &seen);
	}
	free(live);
	err = seen.astray;
	namespaces_free(&seen);
	return err;
}

/* A closed socket has no workers: their rows end with it. */
static void workers_end(struct ledger *l)
{
	struct ledger_worker *const *rows;
	size_t count = ledger_workers(l, &rows);

	for (size_t i = 0; i < count; i++) {
		const struct ledger_socket *s =
			rows[i]->row.ended ? NULL : ledger_find_socket(l, rows[i]->row.cookie);

		if (s && s->row.ended)
			ledger_end_worker(l, rows[i]);
	}
}

int inventory_gone_fill(struct inventory *v, struct ledger *l, uint64_t started_ns)
{
	int err = workers_update(v, l, started_ns);

	if (!err)
		err = sockets_update(v, l);
	if (!err)
		workers_end(l);
	return err;
}
