/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How one endpoint of a snapshot is made: the sockets that share its address are walked, each with
 * its workers, which are consecutive in the sorted list; then what is known of the endpoint as a
 * whole is filled in. Changes nothing in the ledger.
 */
#include "ledger_parts.h"
#include "siblings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- workers ---- */

int ledger_order_workers(const void *a, const void *b)
{
	const struct ledger_worker *x = *(void *const *)a, *y = *(void *const *)b;

	if (x->row.cookie != y->row.cookie)
		return COMPARE(x->row.cookie, y->row.cookie);
	if (x->row.pid != y->row.pid)
		return COMPARE(x->row.pid, y->row.pid);
	if (x->row.tid != y->row.tid)
		return COMPARE(x->row.tid, y->row.tid);
	/* A row with start 0 (io_uring's kernel threads) comes last, so that it joins the thread's
	 * own row. */
	return COMPARE(y->row.start_ns, x->row.start_ns);
}

static int find_on_socket(const void *row, const void *cookie)
{
	return COMPARE((*(struct ledger_worker *const *)row)->row.cookie,
		       *(const uint64_t *)cookie);
}

struct ledger_worker *const *ledger_workers_of(const struct ledger *l, uint64_t cookie,
					       size_t *count)
{
	struct ledger_worker *const *rows = l->workers.list.rows;
	const size_t first = array_first(&l->workers.list, sizeof(*rows), &cookie, find_on_socket);

	*count = 0;
	while (first + *count < l->workers.list.count && rows[first + *count]->row.cookie == cookie)
		++*count;
	return *count ? rows + first : NULL;
}

/* The row's histogram in the endpoint's list, made if it has none. The list has room for it (see
 * count_histograms()). */
static struct wait_histogram *endpoint_histogram(struct endpoint *e, struct wait *wait)
{
	if (!wait->histogram)
		wait->histogram = ++e->histogram_count;
	return &e->histograms[wait->histogram - 1];
}

/*
 * Adds a thread's waits to its row or to that of its socket. Once waits without a histogram were
 * added, the sum has none; *complete remembers that.
 */
static void add_waits(struct endpoint *e, struct wait *to, const struct wait *wait,
		      const struct ledger_slots *slots, bool *complete)
{
	struct wait_histogram *histogram;

	*complete &= !wait->count || slots;
	if (slots && *complete) {
		histogram = endpoint_histogram(e, to);
		for (unsigned i = 0; i < WAIT_SLOTS; i++)
			histogram->slots[i] += slots->sum.slots[i];
	}
	to->count += wait->count;
	to->sum_ns += wait->sum_ns;
	to->max_ns = wait->max_ns > to->max_ns ? wait->max_ns : to->max_ns;
	if (!*complete)
		to->histogram = 0;
}

static uint64_t open_now(const struct ledger_work *work)
{
	const uint64_t left = work->moved + work->finished;

	return work->opened > left ? work->opened - left : 0; /* not read at the same time */
}

/* Fills how long the thread lived, and took nothing, in the window. */
static void add_life(const struct ledger *l, struct worker_row *row,
		     const struct ledger_worker *from)
{
	const uint64_t end = from->row.ended ? from->ended_ns : l->now_ns;
	const uint64_t begin = from->row.start_ns > l->began_ns ? from->row.start_ns : l->began_ns;
	const uint64_t took = from->took_ns > begin ? from->took_ns : begin;

	if (!l->began_ns || !end)
		return;
	row->lived_ns = growth(end, begin);
	row->quiet_ns = growth(end, took);
}

/* complete: whether the socket's histogram covers all its waits so far */
static void add_worker(const struct ledger *l, struct endpoint *e, struct socket_row *socket,
		       const struct ledger_worker *from, bool *complete)
{
	struct worker_row *row = e->worker_count ? &e->workers[e->worker_count - 1] : NULL;
	const struct ledger_work work = ledger_work_of(from);
	bool own_complete;

	if (from->row.start_ns || !row || row->cookie != from->row.cookie ||
	    row->pid != from->row.pid || row->tid != from->row.tid) {
		row = &e->workers[e->worker_count++];
		*row = from->row;
		row->wait_known = l->waits && e->protocol == PROTOCOL_TCP;
		row->open_known = l->serving && e->protocol == PROTOCOL_TCP;
		add_life(l, row, from);
	}
	row->open += open_now(&from->work);
	if (open_now(&from->work_past)) /* connections of a kernel row that was given back are no
					   longer followed */
		row->open_known = false;
	row->open_at_least |= work.unfollowed > 0;
	row->bytes_known = l->serving && e->protocol == PROTOCOL_TCP;
	row->bytes_at_least |= row->open_at_least || open_now(&from->work_past);
	ledger_add_counts(row, from, &work);
	own_complete = !row->wait.count || row->wait.histogram;
	add_waits(e, &row->wait, &work.wait, from->slots, &own_complete);
	socket->accepted += from->accepted + from->accepted_past;
	socket->queued_before += work.queued_before;
	socket->reset_queued += work.reset_queued;
	add_waits(e, &socket->wait, &work.wait, from->slots, complete);
}

/* ---- the endpoint ---- */

static void endpoint_add_socket(const struct ledger *l, struct endpoint *e,
				const struct ledger_socket *from)
{
	struct socket_row *row = &e->sockets[e->socket_count++];
	struct ledger_worker *const *workers;
	bool complete = true;
	size_t count;

	*row = ledger_counted(from);
	row->wait_known = l->waits && e->protocol == PROTOCOL_TCP;
	workers = ledger_workers_of(l, row->cookie, &count);
	for (size_t i = 0; i < count; i++) {
		add_worker(l, e, row, workers[i], &complete);
		if (workers[i]->bounds)
			wait_bounds_add(&e->waits_by_bound, &workers[i]->bounds->sum);
	}
}

/*
 * Tells which threads can serve. As long as no thread was seen handing over a connection, these are
 * the threads that can accept; otherwise those that served. An idle thread that only gets
 * connections handed over is not known to us.
 */
static void fill_serving(const struct ledger *l, struct endpoint *e)
{
	bool hands_over = false, served = false, open = false;

	if (!l->serving || e->protocol != PROTOCOL_TCP)
		return;
	for (size_t i = 0; i < e->worker_count; i++) {
		hands_over |= e->workers[i].handed.count;
		served |= e->workers[i].served;
		open |= e->workers[i].open;
	}
	e->served_known = served;
	e->open_known = open;
	for (size_t i = 0; i < e->worker_count; i++) {
		struct worker_row *w = &e->workers[i];

		w->serves = hands_over ? w->served : w->can_accept;
		w->open_known |= !w->accepted && !w->served && !w->finished; /* an idle sibling */
	}
}

/* Counts the threads with a histogram, and their sockets. */
static size_t count_histograms(const struct ledger *l, struct ledger_socket *const *sockets,
			       size_t count)
{
	size_t histograms = 0;

	for (size_t i = 0; i < count; i++) {
		const size_t before = histograms;
		size_t n;
		struct ledger_worker *const *workers =
			ledger_workers_of(l, sockets[i]->row.cookie, &n);

		for (size_t w = 0; w < n; w++)
			histograms += workers[w]->slots != NULL;
		histograms += histograms > before;
	}
	return histograms;
}

static int fill_holders(const struct ledger *l, struct endpoint *e)
{
	const struct holder_row *rows;
	size_t count, total = 0;

	for (size_t i = 0; i < e->socket_count; i++) {
		ledger_holders(l, e->sockets[i].cookie, &count);
		total += count;
	}
	if (!total)
		return 0;
	e->holders = calloc(total, sizeof(*e->holders));
	if (!e->holders)
		return -ENOMEM;
	for (size_t i = 0; i < e->socket_count; i++) {
		rows = ledger_holders(l, e->sockets[i].cookie, &count);
		if (count)
			memcpy(e->holders + e->holder_count, rows, count * sizeof(*rows));
		e->holder_count += count;
	}
	return 0;
}

static int fill_cpus(const struct ledger *l, struct endpoint *e,
		     struct ledger_socket *const *sockets, size_t count)
{
	uint64_t *by_cpu = calloc(l->cpus, sizeof(*by_cpu));
	bool any = false;

	for (size_t i = 0; i < count && by_cpu; i++)
		for (unsigned cpu = 0;
		     sockets[i]->by_cpu && !sockets[i]->undecided && cpu < l->cpus; cpu++) {
			by_cpu[cpu] += sockets[i]->by_cpu[cpu] + sockets[i]->by_cpu_past[cpu];
			any |= by_cpu[cpu];
		}
	e->cpus = any ? calloc(l->cpus, sizeof(*e->cpus)) : NULL;
	for (unsigned cpu = 0; e->cpus && cpu < l->cpus; cpu++)
		if (by_cpu[cpu])
			e->cpus[e->cpu_count++] = (struct cpu_row){ cpu, by_cpu[cpu] };
	free(by_cpu);
	return by_cpu && (e->cpus || !any) ? 0 : -ENOMEM;
}

/* The sockets of the endpoint are in the order of their cookies, as `sockets` are. */
static int fill_stallers(struct endpoint *e, struct ledger_socket *const *sockets, size_t count)
{
	size_t total = 0;

	for (size_t i = 0; i < count; i++)
		total += sockets[i]->undecided ? 0 : sockets[i]->staller_count;
	if (!total)
		return 0;
	e->stallers = calloc(total, sizeof(*e->stallers));
	if (!e->stallers)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (sockets[i]->undecided || !sockets[i]->staller_count)
			continue;
		memcpy(e->stallers + e->staller_count, sockets[i]->stallers,
		       sockets[i]->staller_count * sizeof(*e->stallers));
		e->staller_count += sockets[i]->staller_count;
	}
	return 0;
}

/* Only the sockets of a reuseport group share flows, so other sockets have no sketch. */
static int fill_flows(struct endpoint *e, struct ledger_socket *const *sockets, size_t count)
{
	if (e->protocol != PROTOCOL_UDP || e->socket_count < 2)
		return 0;
	e->flows_estimated = true;
	e->sketches = calloc(e->socket_count, sizeof(*e->sketches));
	if (!e->sketches)
		return -ENOMEM;
	for (size_t i = 0, row = 0; i < count; i++) {
		if (sockets[i]->undecided)
			continue;
		if (sockets[i]->flows) {
			e->sketches[e->sketch_count++] = sockets[i]->flows->sum;
			e->sockets[row].sketch = e->sketch_count;
		}
		row++;
	}
	return 0;
}

int ledger_fill_endpoint(const struct ledger *l, struct endpoint *e,
			 struct ledger_socket *const *sockets, size_t count)
{
	const struct ledger_socket *head = sockets[0];
	size_t workers = 0, of_socket;
	int err;

	*e = (struct endpoint){ .protocol = head->protocol,
				.family = head->family,
				.port = head->port,
				.netns = head->netns };
	memcpy(e->address, head->address, sizeof(e->address));
	for (size_t i = 0; i < count; i++) {
		ledger_workers_of(l, sockets[i]->row.cookie, &of_socket);
		workers += of_socket;
	}
	e->sockets = calloc(count + 1, sizeof(*e->sockets));
	e->workers = calloc(workers + 1, sizeof(*e->workers));
	e->histograms = calloc(count_histograms(l, sockets, count) + 1, sizeof(*e->histograms));
	if (!e->sockets || !e->workers || !e->histograms)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		if (!sockets[i]->undecided)
			endpoint_add_socket(l, e, sockets[i]);
	err = fill_flows(e, sockets, count);
	err = err ? err : fill_holders(l, e);
	err = err ? err : fill_stallers(e, sockets, count);
	err = err ? err : endpoint_add_siblings(e);
	if (!err)
		fill_serving(l, e);
	return err ? err : fill_cpus(l, e, sockets, count);
}
