/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "judge.h"
#include "order.h"
#include "snapshot.h"

/* A worker, which is the sum of the rows of a thread or of a process. */
struct load_bin {
	const struct worker_row *row;
	uint64_t cpu_ns, bytes;
	uint64_t thread_ns; /* CPU time of its busiest thread that has a row */
	bool cpu_known, bytes_known, counts, appeared, past;
};

static bool is_worker(const struct endpoint *e, const struct worker_row *w)
{
	return e->design.bins == BINS_SERVING ? w->serves : w->can_accept;
}

/* Are workers processes? So it is if the threads of a process take turns, or if only one thread of
 * each process is a worker, because the other threads then work for it. rows: sorted by process. */
static bool load_by_process(const struct endpoint *e, const struct worker_row *const *rows)
{
	const struct worker_row *last = NULL;

	if (e->design.bins == BINS_PROCESSES || e->design.code == DESIGN_TURNS)
		return true;
	for (size_t i = 0; i < e->worker_count; i++) {
		if (!is_worker(e, rows[i]))
			continue;
		if (last && last->pid == rows[i]->pid && last->tid != rows[i]->tid)
			return false;
		last = rows[i];
	}
	return true;
}

/* CPU time is that of the thread or process, whatever socket the row is about, so it is not added
 * up; bytes are those of the row's own connections. */
static void bin_add(struct load_bin *bin, const struct endpoint *e, const struct worker_row *w,
		    bool processes)
{
	const uint64_t cpu_ns = processes ? w->process_cpu_ns : w->cpu_ns;
	const bool known = processes ? w->process_cpu_known : w->usage_known;

	/* A figure that is not known must be skipped, because it may cover more than the interval.
	 */
	bin->cpu_ns = known && cpu_ns > bin->cpu_ns ? cpu_ns : bin->cpu_ns;
	bin->cpu_known |= known;
	bin->thread_ns = w->usage_known && w->cpu_ns > bin->thread_ns ? w->cpu_ns : bin->thread_ns;
	bin->bytes += w->bytes.received + w->bytes.sent;
	bin->bytes_known &= w->bytes_known && !w->bytes_at_least;
	if (!is_worker(e, w))
		return;
	bin->counts = true;
	bin->appeared &= w->appeared;
	bin->past &= worker_is_past(w);
}

/* Returns the number of bins, or -ENOMEM. */
static ssize_t load_bins(const struct endpoint *e, struct load_bin *bins, bool *processes)
{
	int (*compare)(const void *, const void *);
	const struct worker_row **rows = calloc(e->worker_count + 1, sizeof(*rows));
	size_t count = 0;

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < e->worker_count; i++)
		rows[i] = &e->workers[i];
	qsort(rows, e->worker_count, sizeof(*rows), worker_by_life);
	*processes = load_by_process(e, rows);
	compare = *processes ? worker_by_process : worker_by_life;
	for (size_t i = 0; i < e->worker_count; i++) {
		if (!i || compare(&rows[i - 1], &rows[i]))
			bins[count++] = (struct load_bin){
				.row = rows[i], .bytes_known = true, .appeared = true, .past = true
			};
		bin_add(&bins[count - 1], e, rows[i], *processes);
	}
	free(rows);
	return count;
}

/* Keeps only the bins that a verdict compares. */
static size_t bins_admitted(const struct endpoint *e, struct load_bin *bins, size_t count)
{
	struct lifetimes seen = endpoint_lifetimes(e);
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (bins[i].counts)
			lifetimes_see(&seen, bins[i].appeared, bins[i].past);
	for (size_t i = 0; i < count; i++)
		if (bins[i].counts && lifetimes_admit(&seen, bins[i].appeared, bins[i].past))
			bins[kept++] = bins[i];
	return kept;
}

static struct load_spread spread_of(const struct load_bin *bins, size_t count, bool processes,
				    bool cpu)
{
	struct load_spread l = { .known = count > 0, .processes = processes, .workers = count };
	double squares = 0;

	for (size_t i = 0; i < count; i++) {
		const uint64_t value = cpu ? bins[i].cpu_ns : bins[i].bytes;

		l.known &= cpu ? bins[i].cpu_known : bins[i].bytes_known;
		l.total += value;
		squares += (double)value * (double)value;
		l.least = i && l.least < value ? l.least : value;
		if (i && value <= l.most)
			continue;
		l.most = value;
		l.thread_ns = cpu ? bins[i].thread_ns : 0;
		l.pid = bins[i].row->pid;
		l.tid = processes ? 0 : bins[i].row->tid;
		memcpy(l.name, *bins[i].row->process ? bins[i].row->process : bins[i].row->comm,
		       sizeof(l.name));
	}
	l.known &= l.total > 0;
	if (l.total)
		l.cv = sqrt(fmax(count * squares / ((double)l.total * (double)l.total) - 1, 0));
	return l;
}

/* Does some process hold connections from before the window, of which it is not known which thread
 * reads them? */
static bool some_unresolved(const struct endpoint *e)
{
	for (size_t i = 0; i < e->worker_count; i++)
		if (e->workers[i].tid < 0 &&
		    e->workers[i].bytes.received + e->workers[i].bytes.sent)
			return true;
	return false;
}

const char *load_bytes(char buffer[LOAD_BYTES_SIZE], uint64_t n)
{
	static const char *const units[] = { "bytes", "kB", "MB", "GB", "TB" };
	double value = n;
	size_t unit = 0;

	for (; value >= 999.5 && unit < 4; unit++)
		value /= 1000;
	snprintf(buffer, LOAD_BYTES_SIZE, unit && value < 99.95 ? "%.1f %s" : "%.0f %s", value,
		 units[unit]);
	return buffer;
}

int endpoint_weigh_load(struct endpoint *e)
{
	bool processes = false;
	struct load_bin *bins = calloc(e->worker_count + 1, sizeof(*bins));
	ssize_t count = bins ? load_bins(e, bins, &processes) : -ENOMEM;

	e->cpu = e->carried = (struct load_spread){};
	if (count > 0) {
		count = bins_admitted(e, bins, count);
		e->cpu = spread_of(bins, count, processes, true);
	}
	if (count > 0 && e->protocol == PROTOCOL_TCP) {
		e->carried = spread_of(bins, count, processes, false);
		e->carried.known &= !e->older_cut && (processes || !some_unresolved(e));
	}
	free(bins);
	return count < 0 ? count : 0;
}
