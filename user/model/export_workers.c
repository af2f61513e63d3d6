/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Slots of workers. The rows of a snapshot, a thread on a socket each, are put beside those of the
 * last one; what they grew by goes to the worker that the thread has been given. Threads that ended
 * free their slots before new threads get theirs, so that a successor takes its predecessor's.
 */
#include "export_state.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A thread's rows. */
struct export_thread {
	size_t first, count; /* in the new list, and in the list of the snapshot's rows */
	bool alive, takes;
	int worker;
	uint64_t start_ns;
	bool cpu_known;
	uint64_t cpu_before; /* at the last collection, if `cpu_known` */
};

static int compare_thread_life(const struct worker_row *x, const struct worker_row *y)
{
	return x->tid != y->tid ? COMPARE(x->tid, y->tid) : COMPARE(x->start_ns, y->start_ns);
}

static int compare_life_rows(const void *a, const void *b)
{
	const struct worker_row *x = *(const struct worker_row *const *)a,
				*y = *(const struct worker_row *const *)b;
	const int order = compare_thread_life(x, y);

	return order ? order : COMPARE(x->cookie, y->cookie);
}

static int compare_export_lives(const void *a, const void *b)
{
	const struct export_life *x = a, *y = b;

	if (x->tid != y->tid)
		return COMPARE(x->tid, y->tid);
	if (x->start_ns != y->start_ns)
		return COMPARE(x->start_ns, y->start_ns);
	return COMPARE(x->cookie, y->cookie);
}

static int compare_life_to_row(const void *life, const void *row)
{
	const struct worker_row *w = row;
	const struct export_life key = { .tid = w->tid,
					 .start_ns = w->start_ns,
					 .cookie = w->cookie };

	return compare_export_lives(life, &key);
}

/* Does the thread work for the port? A tid below 0 stands for what a process had before. */
static bool row_takes(const struct export_options *o, const struct worker_row *w)
{
	return (w->tid > 0 || o->workers == EXPORT_WORKERS_PID) &&
	       (w->can_accept || w->serves || w->accepted || w->served || w->open ||
		w->bytes.received || w->bytes.sent);
}

/* ---- slots ---- */

/* Index of the process's worker, or of the lowest one that is free; the count if there is none. */
static size_t slot_find(const struct export_options *o, const struct export_port *p,
			const struct worker_row *w, double now)
{
	size_t lowest = p->workers.count;

	for (size_t i = p->workers.count; i-- > 0;) {
		const struct export_worker *worker = export_worker_at(p, i);
		const bool pids = o->workers == EXPORT_WORKERS_PID;

		if (pids && worker->used && worker->pid == w->pid)
			return i;
		/* A process's counts are its own, and stay until nobody asks for them any more. */
		if (!worker->lives &&
		    (!pids || !worker->used || now - worker->freed >= EXPORT_KEEP_SECONDS))
			lowest = i;
	}
	return lowest;
}

static struct export_worker worker_fresh(int32_t pid)
{
	struct export_worker worker = { .used = true, .pid = pid };

	for (unsigned k = 0; k < EXPORT_WORKER_VALUES; k++)
		worker.values[k] = NAN;
	return worker;
}

/* Gives the thread a worker. Returns its index, or -ENOMEM. */
static int slot_take(const struct export_options *o, struct export_port *p,
		     const struct worker_row *w, double now)
{
	const size_t slot = slot_find(o, p, w, now);
	const struct export_worker fresh = worker_fresh(w->pid);
	struct export_worker *worker;

	if (slot == p->workers.count && !array_add(&p->workers, &fresh, sizeof(fresh)))
		return -ENOMEM;
	worker = export_worker_at(p, slot);
	if (o->workers == EXPORT_WORKERS_PID && worker->pid != w->pid)
		*worker = fresh;
	worker->pid = w->pid;
	worker->tid = w->tid;
	worker->unit[0] = '\0';
	return (int)slot;
}

/* ---- threads ---- */

/* The row's counts at the last collection; NULL: it is new. A row with start 0 joins the thread's
 * own row once there is one: see ledger_snapshot(). It joins one only, that of the lowest start,
 * which comes first. */
static struct export_life *life_find(const struct export_port *p, const struct worker_row *w)
{
	const struct worker_row joined = { .tid = w->tid, .cookie = w->cookie };
	struct export_life *life = array_find(&p->lives, sizeof(*life), w, compare_life_to_row);

	if (!life)
		life = array_find(&p->lives, sizeof(*life), &joined, compare_life_to_row);
	return life && !life->found ? life : NULL;
}

/* Where the row's counts had been at the last collection; all 0: it is new. */
static struct export_life life_of(const struct export_port *p, const struct worker_row *w)
{
	struct export_life *old = life_find(p, w);
	struct export_life life = { .worker = -1 };

	if (old) {
		life = *old;
		old->found = true;
	}
	life.aside = false;
	life.tid = w->tid;
	life.start_ns = w->start_ns;
	life.cookie = w->cookie;
	return life;
}

/* The thread whose first row is rows[first]. */
static struct export_thread thread_of(const struct export_options *o,
				      const struct worker_row *const *rows, size_t count,
				      const struct export_life *lives, size_t first)
{
	struct export_thread t = { .first = first,
				   .worker = -1,
				   .start_ns = rows[first]->start_ns };

	while (first + t.count < count &&
	       !compare_thread_life(rows[first], rows[first + t.count])) {
		const struct export_life *life = &lives[first + t.count];
		const struct worker_row *w = rows[first + t.count++];

		t.alive |= !w->ended;
		t.takes |= row_takes(o, w);
		t.worker = life->worker >= 0 ? life->worker : t.worker;
		t.cpu_known |= life->cpu_known;
		t.cpu_before = life->cpu_ns > t.cpu_before ? life->cpu_ns : t.cpu_before;
	}
	return t;
}

static uint64_t most(uint64_t x, uint64_t y)
{
	return x > y ? x : y;
}

/* Did the thread begin since the last collection? The first one counts all since counting began. */
static bool row_is_new(const struct export_state *x, const struct worker_row *w)
{
	return x->collections == 1 ||
	       (w->appeared && w->lived_ns && w->lived_ns <= (uint64_t)(x->since * 1e9));
}

/*
 * What the thread's CPU time grew by, in ns; notes where it is now. Each row has the thread's whole
 * CPU time since counting began. What a thread had used before it was known is nobody's: in one
 * page it would be more than a thread can use between two.
 */
static uint64_t thread_cpu(const struct export_state *x, const struct export_thread *t,
			   const struct worker_row *const *rows, struct export_life *lives)
{
	uint64_t cpu_ns = t->cpu_before, before = t->cpu_before;
	bool known = t->cpu_known, begins = false;

	for (size_t i = t->first; i < t->first + t->count; i++) {
		if (!rows[i]->usage_known)
			continue;
		known = true;
		begins |= row_is_new(x, rows[i]);
		cpu_ns = most(cpu_ns, rows[i]->cpu_ns);
	}
	if (!t->cpu_known && !begins)
		before = cpu_ns;
	for (size_t i = t->first; i < t->first + t->count; i++) {
		lives[i].cpu_known = known;
		lives[i].cpu_ns = cpu_ns;
	}
	return cpu_ns - before;
}

/* Adds what the thread's rows grew by to its worker. */
static void thread_count(const struct export_state *x, struct export_port *p,
			 const struct export_thread *t, const struct worker_row *const *rows,
			 struct export_life *lives)
{
	const bool udp = p->protocol == PROTOCOL_UDP;
	const uint64_t cpu_ns = thread_cpu(x, t, rows, lives);
	uint64_t *counts = export_worker_at(p, t->worker)->counts;

	for (size_t i = t->first; i < t->first + t->count; i++) {
		const struct worker_row *w = rows[i];
		struct export_life *life = &lives[i];

		counts[udp ? EXPORT_WORKER_DATAGRAMS : EXPORT_WORKER_CONNECTIONS] +=
			growth(w->accepted, life->taken);
		counts[EXPORT_WORKER_BYTES_RECEIVED] +=
			growth(w->bytes.received, life->bytes.received);
		counts[EXPORT_WORKER_BYTES_SENT] += growth(w->bytes.sent, life->bytes.sent);
		life->taken = most(w->accepted, life->taken);
		life->bytes.received = most(w->bytes.received, life->bytes.received);
		life->bytes.sent = most(w->bytes.sent, life->bytes.sent);
		life->worker = t->worker;
	}
	counts[EXPORT_WORKER_CPU] += cpu_ns;
	p->counters[EXPORT_CPU].total += cpu_ns;
}

/* What a thread that lives shows now. */
static void thread_show(const struct export_options *o, struct export_worker *worker,
			const struct worker_row *w)
{
	double *open = &worker->values[EXPORT_WORKER_OPEN];
	struct unit unit;

	if (w->open_known && o->sees & EXPORT_SEES_SERVING)
		*open = (isnan(*open) ? 0 : *open) + (double)w->open;
	if (w->state)
		worker->values[EXPORT_WORKER_STOPPED] = w->state == 'T';
	snprintf(worker->comm, sizeof(worker->comm), "%s",
		 o->workers == EXPORT_WORKERS_PID && *w->process ? w->process : w->comm);
	if (!*worker->unit && unit_of_row(&unit, w->cgroup))
		snprintf(worker->unit, sizeof(worker->unit), "%s",
			 *unit.name ? unit.name : unit.container);
}

/* A thread that lives has its slot. */
static void thread_settle(const struct export_options *o, struct export_port *p,
			  const struct export_thread *t, const struct worker_row *const *rows)
{
	struct export_worker *worker = export_worker_at(p, t->worker);

	if (!t->alive)
		return;
	p->values[EXPORT_WORKERS] += rows[t->first]->tid > 0;
	worker->lives++;
	for (size_t i = t->first; i < t->first + t->count; i++)
		if (!rows[i]->ended)
			thread_show(o, worker, rows[i]);
}

static int compare_starts(const void *a, const void *b)
{
	const struct export_thread *x = a, *y = b;

	return x->start_ns != y->start_ns ? COMPARE(x->start_ns, y->start_ns)
					  : COMPARE(x->first, y->first);
}

/* Threads without a worker yet, by age. */
static int threads_admit(const struct export_state *x, struct export_port *p,
			 struct export_thread *threads, size_t count,
			 const struct worker_row *const *rows, struct export_life *lives)
{
	qsort(threads, count, sizeof(*threads), compare_starts);
	for (size_t i = 0; i < count; i++) {
		struct export_thread *t = &threads[i];

		t->worker = slot_take(&x->options, p, rows[t->first], x->now);
		if (t->worker < 0)
			return -ENOMEM;
		thread_count(x, p, t, rows, lives);
		thread_settle(&x->options, p, t, rows);
		if (!t->alive) /* it came and went: the next one may have the slot at once */
			export_worker_at(p, t->worker)->freed = x->now;
	}
	return 0;
}

/* What ended before the port had series is nobody's: it is not to be counted later. */
static void thread_pass(const struct export_thread *t, const struct worker_row *const *rows,
			struct export_life *lives)
{
	for (size_t i = t->first; i < t->first + t->count; i++) {
		lives[i].taken = rows[i]->accepted;
		lives[i].bytes = rows[i]->bytes;
	}
}

static int threads_take(const struct export_state *x, struct export_port *p,
			const struct worker_row *const *rows, size_t count,
			struct export_life *lives, bool first)
{
	struct export_thread *begun = calloc(count + 1, sizeof(*begun));
	size_t begun_count = 0;
	int err = begun ? 0 : -ENOMEM;

	for (size_t i = 0; i < count && !err;) {
		const struct export_thread t = thread_of(&x->options, rows, count, lives, i);

		i += t.count;
		if (t.worker >= 0) {
			thread_count(x, p, &t, rows, lives);
			thread_settle(&x->options, p, &t, rows);
		} else if (t.takes && (t.alive || !first)) {
			begun[begun_count++] = t;
		} else { /* what it uses before it is a worker is not the port's */
			thread_cpu(x, &t, rows, lives);
			if (first && !t.alive)
				thread_pass(&t, rows, lives);
		}
	}
	/* Those that ended, and those that are in no row any more. */
	for (size_t i = 0; i < p->workers.count; i++) {
		struct export_worker *w = export_worker_at(p, i);

		w->freed = w->lives || w->freed > 0 ? w->freed : x->now;
	}
	if (!err)
		err = threads_admit(x, p, begun, begun_count, rows, lives);
	free(begun);
	return err;
}

/* ---- the port ---- */

static void workers_prepare(struct export_port *p)
{
	struct export_life *lives = p->lives.rows;

	for (size_t i = 0; i < p->lives.count; i++)
		lives[i].found = false;
	for (size_t i = 0; i < p->workers.count; i++) {
		struct export_worker *w = export_worker_at(p, i);

		w->freed = w->lives ? 0 : w->freed;
		w->lives = 0;
		for (unsigned k = EXPORT_WORKER_COUNTERS; k < EXPORT_WORKER_VALUES; k++)
			w->values[k] = NAN;
	}
	p->values[EXPORT_WORKERS] = 0;
}

static void workers_fill(const struct export_options *o, struct export_port *p)
{
	const bool udp = p->protocol == PROTOCOL_UDP, bytes = o->sees & EXPORT_SEES_SERVING;

	for (size_t i = 0; i < p->workers.count; i++) {
		struct export_worker *w = export_worker_at(p, i);

		for (unsigned k = 0; k < EXPORT_WORKER_COUNTERS; k++)
			w->values[k] = (double)w->counts[k] / (k == EXPORT_WORKER_CPU ? 1e9 : 1);
		w->values[udp ? EXPORT_WORKER_CONNECTIONS : EXPORT_WORKER_DATAGRAMS] = NAN;
		if (udp || !bytes)
			w->values[EXPORT_WORKER_BYTES_RECEIVED] =
				w->values[EXPORT_WORKER_BYTES_SENT] = NAN;
	}
}

void export_keep_workers(struct export_port *p, const struct endpoint *aside)
{
	for (size_t i = 0; i < aside->worker_count; i++) {
		struct export_life *life = array_find(&p->lives, sizeof(*life), &aside->workers[i],
						      compare_life_to_row);

		if (life)
			life->aside = true;
	}
}

/* Adds to `lives` those whose rows are set aside, and sorts them. Returns how many there are. */
static size_t lives_carry(const struct export_port *p, struct export_life *lives, size_t count)
{
	const struct export_life *old = p->lives.rows;
	const size_t listed = count;

	for (size_t i = 0; i < p->lives.count; i++) {
		if (!old[i].aside || old[i].found)
			continue;
		lives[count] = old[i];
		lives[count++].aside = false;
	}
	if (count > listed)
		qsort(lives, count, sizeof(*lives), compare_export_lives);
	return count;
}

int export_take_workers(const struct export_state *x, struct export_port *p,
			const struct endpoint *e, bool first)
{
	const size_t count = e->worker_count, room = count + p->lives.count + 1;
	const struct worker_row **rows = calloc(count + 1, sizeof(struct worker_row *));
	struct export_life *lives = calloc(room, sizeof(*lives));
	size_t kept;
	int err = rows && lives ? 0 : -ENOMEM;

	workers_prepare(p);
	for (size_t i = 0; i < count && !err; i++)
		rows[i] = &e->workers[i];
	if (!err) {
		qsort(rows, count, sizeof(*rows), compare_life_rows);
		for (size_t i = 0; i < count; i++)
			lives[i] = life_of(p, rows[i]);
		err = threads_take(x, p, rows, count, lives, first);
	}
	free(rows);
	if (err) {
		free(lives);
		return err;
	}
	kept = lives_carry(p, lives, count);
	free(p->lives.rows);
	p->lives = (struct array){ .rows = lives, .count = kept, .room = room };
	workers_fill(&x->options, p);
	return 0;
}
