/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPU time and sleeps of threads and processes. The kernel counts them from the start of a thread,
 * so the values at the beginning of the window are kept, by thread and by process, and subtracted.
 */
#include "inventory_scan.h"

#include <errno.h>
#include <string.h>

/* What a thread had used when the window began. */
struct begun {
	uint32_t tid;
	uint64_t start_ns, cpu_ns, sleeps;
};

/* CPU time of a process: of all its threads, including those that are gone. */
struct process_cpu {
	uint32_t pid;
	uint64_t start_ns, cpu_ns; /* start_ns: of its first thread */
};

int inventory_usage_take(struct inventory *v, const struct holders_thread_record *r)
{
	const bool first = r->tid == r->pid;
	const struct process_cpu row = { r->pid, first ? r->start_ns : 0,
					 r->cpu_ns + (first ? r->gone_cpu_ns : 0) };

	return array_add(&v->cpu, &row, sizeof(row)) ? 0 : -ENOMEM;
}

void inventory_usage_sort(struct inventory *v)
{
	struct process_cpu *rows = v->cpu.rows;
	size_t kept = 0;

	array_sort(&v->cpu, sizeof(*rows), array_by_u32);
	for (size_t i = 0; i < v->cpu.count; i++) {
		if (!kept || rows[kept - 1].pid != rows[i].pid) {
			rows[kept++] = rows[i];
			continue;
		}
		rows[kept - 1].cpu_ns += rows[i].cpu_ns;
		rows[kept - 1].start_ns |= rows[i].start_ns; /* 0 except for the first thread */
	}
	v->cpu.count = kept;
}

int inventory_usage_begin(struct inventory *v)
{
	const struct thread *rows = v->threads.rows;
	const struct process_cpu *cpu = v->cpu.rows;

	v->begun_ns = v->looked_ns;
	v->begun.count = v->cpu_begun.count = 0;
	for (size_t i = 0; i < v->threads.count; i++) {
		const struct begun b = { .tid = rows[i].tid,
					 .start_ns = rows[i].r.start_ns,
					 .cpu_ns = rows[i].r.cpu_ns,
					 .sleeps = rows[i].r.sleeps };

		if (!array_add(&v->begun, &b, sizeof(b)))
			return -ENOMEM;
	}
	for (size_t i = 0; i < v->cpu.count; i++)
		if (!array_add(&v->cpu_begun, &cpu[i], sizeof(*cpu)))
			return -ENOMEM;
	return 0;
}

double inventory_seconds(const struct inventory *v)
{
	return v->begun_ns ? (v->looked_ns - v->begun_ns) / 1e9 : 0;
}

/* Nothing is known of a process that began before the window and held no socket at that time. */
static void process_fill(const struct inventory *v, struct worker_row *row, uint64_t started_ns)
{
	const uint32_t pid = row->pid;
	const struct process_cpu *now = array_find(&v->cpu, sizeof(*now), &pid, array_by_u32),
				 *begun = array_find(&v->cpu_begun, sizeof(*now), &pid,
						     array_by_u32);

	if (!now)
		return;
	if (begun && begun->start_ns != now->start_ns)
		begun = NULL;
	row->process_cpu_known = begun || (started_ns && now->start_ns > started_ns);
	/* A thread that ended during a sample may be missing from both of its sums. */
	row->process_cpu_ns = growth(now->cpu_ns, begun ? begun->cpu_ns : 0);
}

/*
 * Nothing is known of a thread that began before the window in a process that held no socket at
 * that time.
 */
void inventory_usage_fill(const struct inventory *v, struct worker_row *row, const struct thread *t,
			  uint64_t started_ns)
{
	const struct begun *begun = array_find(&v->begun, sizeof(*begun), &t->tid, array_by_u32);

	if (begun && begun->start_ns != t->r.start_ns)
		begun = NULL;
	row->usage_known = begun || row->appeared;
	row->cpu_ns = growth(t->r.cpu_ns, begun ? begun->cpu_ns : 0);
	row->sleeps = t->r.sleeps - (begun ? begun->sleeps : 0);
	process_fill(v, row, started_ns);
}
