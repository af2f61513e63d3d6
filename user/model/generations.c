/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "generations.h"

#include <errno.h>
#include <stdlib.h>

#include "array.h"
#include "findings_rules.h"
#include "order.h"
#include "snapshot.h"

#define LIVES_ALIKE 0.75 /* the shortest life as a share of the longest */
#define TAKEN_LEAST                                                                                \
	20 /* by the later generation: below this, the earlier may have taken nothing by chance */

/* A process that takes work or waits for it. */
struct life {
	int32_t pid;
	size_t threads;
	bool appeared, ended, waits;
	uint64_t taken, lived_ns, quiet_ns;
};

/* rows: those of one process are consecutive. Returns the number of lives. */
static size_t lives_of(struct life *lives, struct worker_row *const *rows, size_t count)
{
	size_t made = 0;

	for (size_t i = 0; i < count; i++) {
		const struct worker_row *w = rows[i];
		struct life *life;

		if (!i || rows[i - 1]->pid != w->pid)
			lives[made++] = (struct life){ .pid = w->pid,
						       .appeared = true,
						       .ended = true,
						       .quiet_ns = UINT64_MAX };
		life = &lives[made - 1];
		life->threads += !i || rows[i - 1]->pid != w->pid || rows[i - 1]->tid != w->tid;
		life->appeared &= w->appeared;
		life->ended &= w->ended;
		life->waits |= w->waits;
		life->taken += w->accepted;
		life->lived_ns = w->lived_ns > life->lived_ns ? w->lived_ns : life->lived_ns;
		life->quiet_ns = w->quiet_ns < life->quiet_ns ? w->quiet_ns : life->quiet_ns;
	}
	return made;
}

static enum generation generation_of(const struct life *life)
{
	if (!life->appeared)
		return GENERATION_EARLIER;
	return life->ended ? GENERATION_ONLY : GENERATION_LATER;
}

static void sum_add(struct generation_sum *sum, const struct life *life)
{
	sum->processes++;
	sum->threads += life->threads;
	sum->taken += life->taken;
}

/*
 * Has the process stopped taking for good? It may live on for its connections and hold the socket,
 * but it no longer waits on the socket. A busy or stuck process does not wait either. If its
 * siblings go on, that makes no generation, because all processes that were there from the start
 * must have stopped.
 */
static bool has_stopped(const struct life *life, uint64_t shortest_ns, uint64_t later_taken)
{
	return life->ended || (!life->waits && shortest_ns && life->quiet_ns >= shortest_ns / 2 &&
			       later_taken >= TAKEN_LEAST);
}

bool lives_are_alike(uint64_t shortest_ns, uint64_t longest_ns)
{
	return shortest_ns >= LIVES_ALIKE * longest_ns;
}

/* Fills g, and returns true if there are two generations. */
static bool are_two(struct generations *g, const struct life *lives, size_t count)
{
	uint64_t shortest_ns = UINT64_MAX, longest_ns = 0; /* lives of the later generation */
	bool waits = false;

	for (size_t i = 0; i < count; i++) {
		if (generation_of(&lives[i]) == GENERATION_LATER) {
			sum_add(&g->later, &lives[i]);
			waits |= lives[i].waits;
			shortest_ns =
				lives[i].lived_ns < shortest_ns ? lives[i].lived_ns : shortest_ns;
			longest_ns =
				lives[i].lived_ns > longest_ns ? lives[i].lived_ns : longest_ns;
		} else if (generation_of(&lives[i]) == GENERATION_EARLIER) {
			sum_add(&g->earlier, &lives[i]);
			g->holds |= !lives[i].ended;
		}
	}
	if (!g->earlier.processes || !g->later.processes || (!waits && !g->later.taken) ||
	    !lives_are_alike(shortest_ns, longest_ns))
		return false;
	for (size_t i = 0; i < count; i++)
		if (!lives[i].appeared && !has_stopped(&lives[i], shortest_ns, g->later.taken))
			return false;
	return true;
}

static int compare_lives(const void *a, const void *b)
{
	const struct life *x = a, *y = b;

	return COMPARE(x->pid, y->pid);
}

/* Marks all workers, because threads that only serve belong to the generation of their process. */
static void mark_workers(struct endpoint *e, const struct life *lives, size_t count)
{
	for (size_t i = 0; i < e->worker_count; i++) {
		const struct life key = { .pid = e->workers[i].pid },
				  *life = bsearch(&key, lives, count, sizeof(*lives),
						  compare_lives);

		if (life)
			e->workers[i].generation = generation_of(life);
	}
}

/* A socket belongs to the generation that takes from it, and to none if both do. If nobody was seen
 * taking from it, its own age decides. Returns 0 or -ENOMEM. */
static int mark_sockets(struct endpoint *e, struct worker_row **rows, size_t count)
{
	struct socket_row **sockets = calloc(e->socket_count + 1, sizeof(*sockets));

	if (!sockets)
		return -ENOMEM;
	for (size_t i = 0; i < e->socket_count; i++)
		sockets[i] = &e->sockets[i];
	qsort(sockets, e->socket_count, sizeof(*sockets), socket_by_cookie);
	qsort(rows, count, sizeof(*rows), worker_by_socket);
	for (size_t i = 0, w = 0; i < e->socket_count; i++) {
		bool of[GENERATION_LATER + 1] = {};

		while (w < count && rows[w]->cookie < sockets[i]->cookie)
			w++;
		for (; w < count && rows[w]->cookie == sockets[i]->cookie; w++)
			of[rows[w]->generation] = true;
		if (of[GENERATION_EARLIER] != of[GENERATION_LATER])
			sockets[i]->generation =
				of[GENERATION_LATER] ? GENERATION_LATER : GENERATION_EARLIER;
		else if (!of[GENERATION_EARLIER] && !sockets[i]->appeared)
			sockets[i]->generation = GENERATION_EARLIER;
	}
	free(sockets);
	return 0;
}

/* An operator wants to know the present state, if there are enough events to tell. */
static enum generation which_is_judged(const struct generations *g, double threshold)
{
	const bool enough = g->later.taken >= fairness_needed(g->later.threads, threshold);

	return enough || g->later.taken >= g->earlier.taken ? GENERATION_LATER : GENERATION_EARLIER;
}

/* rows: sorted by process, then thread. */
static void sums_of_marked(struct generations *g, struct worker_row *const *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct generation_sum *sum =
			rows[i]->generation == GENERATION_EARLIER ? &g->earlier : &g->later;
		const bool process = !i || rows[i - 1]->pid != rows[i]->pid;

		if (rows[i]->generation == GENERATION_ONLY)
			continue;
		sum->processes += process;
		sum->threads += process || rows[i - 1]->tid != rows[i]->tid;
		sum->taken += rows[i]->accepted;
		g->holds |= rows[i]->generation == GENERATION_EARLIER && !rows[i]->ended;
	}
}

static void unmark(struct endpoint *e)
{
	for (size_t i = 0; i < e->socket_count; i++)
		e->sockets[i].generation = GENERATION_ONLY;
	for (size_t i = 0; i < e->worker_count; i++)
		e->workers[i].generation = GENERATION_ONLY;
}

/* rows: workers that take work. Returns whether there are two generations; *err: 0 or -ENOMEM. */
static bool rows_tell(struct endpoint *e, struct generations *g, struct worker_row **rows,
		      size_t count, int *err)
{
	struct life *lives;
	size_t life_count;
	bool two;

	if (e->generations_given) {
		sums_of_marked(g, rows, count);
		return g->earlier.processes && g->later.processes;
	}
	unmark(e);
	lives = calloc(count + 1, sizeof(*lives));
	if (!lives) {
		*err = -ENOMEM;
		return false;
	}
	life_count = lives_of(lives, rows, count);
	two = are_two(g, lives, life_count);
	if (two) {
		mark_workers(e, lives, life_count);
		*err = mark_sockets(e, rows, count);
	}
	free(lives);
	return two;
}

int endpoint_tell_generations(struct endpoint *e, double threshold)
{
	struct worker_row **rows = calloc(e->worker_count + 1, sizeof(*rows));
	struct generations found = {};
	size_t count = 0;
	int err = 0;

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < e->worker_count; i++)
		if (e->workers[i].can_accept)
			rows[count++] = &e->workers[i];
	qsort(rows, count, sizeof(*rows), worker_by_thread);
	e->generations = (struct generations){};
	if (rows_tell(e, &found, rows, count, &err)) {
		found.judged = which_is_judged(&found, threshold);
		e->generations = found;
	} else {
		unmark(e);
	}
	free(rows);
	return err;
}

const struct generation_sum *generations_other(const struct generations *g)
{
	return g->judged == GENERATION_LATER ? &g->earlier : &g->later;
}

const char *generations_other_name(const struct generations *g)
{
	if (g->judged == GENERATION_EARLIER)
		return "of a later generation";
	return g->holds ? "that hold on and take no more" : "of an earlier generation";
}
