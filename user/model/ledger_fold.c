/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the ledger stays small: once there are too many ended rows, the oldest are folded. Their
 * counts are added to the sums of their endpoint, and the rows are removed. The list is sorted by
 * the order in which rows ended, and its first rows are folded: first the workers of the sockets
 * that go, then those sockets, then further workers.
 */
#include "ledger_parts.h"
#include "counters.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define FOLDED_LEAST 16

static struct ledger_folded *folded(struct ledger *l, const struct ledger_socket *s)
{
	struct ledger_folded key = { .key = { .protocol = s->protocol,
					      .family = s->family,
					      .port = s->port,
					      .netns = s->netns } },
			     *found;

	memcpy(key.key.address, s->address, sizeof(s->address));
	found = ledger_rows_find(&l->folded, &key);
	if (!found)
		found = ledger_rows_add(&l->folded, &key, sizeof(key));
	if (found)
		found->folded_at = ++l->ends;
	return found;
}

/* Sort key of ended rows: the order in which they ended. Live rows (0) and kept rows come last. */
static uint64_t turn(uint64_t ended_at, bool kept)
{
	return (kept ? 0 : ended_at) - 1;
}

static int compare_ended_workers(const void *a, const void *b)
{
	const struct ledger_worker *x = *(void *const *)a, *y = *(void *const *)b;

	return COMPARE(turn(x->ended_at, x->kept), turn(y->ended_at, y->kept));
}

static int compare_ended_sockets(const void *a, const void *b)
{
	const struct ledger_socket *x = *(void *const *)a, *y = *(void *const *)b;

	return COMPARE(turn(x->ended_at, x->kept), turn(y->ended_at, y->kept));
}

/* Sorts the list and folds its first `count` rows. */
static int fold_workers(struct ledger *l, size_t count)
{
	ledger_rows_sort(&l->workers, compare_ended_workers);
	for (size_t i = count; i-- > 0;) {
		const struct ledger_worker *w = ledger_worker_at(l, i);
		struct ledger_socket *s = ledger_find_socket(l, w->row.cookie);
		struct ledger_folded *f = s && !s->undecided ? folded(l, s) : NULL;

		if (s && !s->undecided && !f)
			return -ENOMEM;
		if (!s)
			l->orphaned += w->accepted + w->accepted_past;
		if (f) {
			const struct ledger_work work = ledger_work_of(w);
			struct worker_row row = {};

			ledger_add_counts(&row, w, &work);
			wait_add(&row.wait, &work.wait, NULL);
			omitted_add_worker(&f->omitted, &row);
			if (w->bounds)
				wait_bounds_add(&f->bounds, &w->bounds->sum);
		}
		ledger_remove_worker(l, i);
	}
	return 0;
}

/* Folds a socket; its workers' rows must have been folded before. */
static int fold_socket(struct ledger *l, size_t i)
{
	struct ledger_socket *s = ledger_socket_at(l, i);
	struct ledger_folded *f = s->undecided ? NULL : folded(l, s);
	const struct socket_row row = ledger_counted(s);

	if (!s->undecided && !f)
		return -ENOMEM;
	if (f)
		omitted_add_socket(&f->omitted, &row);
	ledger_remove_socket(l, i);
	return 0;
}

static int fold_sockets(struct ledger *l, size_t count)
{
	size_t workers = 0;
	int err;

	ledger_rows_sort(&l->sockets, compare_ended_sockets);
	for (size_t i = 0; i < l->workers.list.count; i++) {
		struct ledger_worker *w = ledger_worker_at(l, i);
		const struct ledger_socket *s = ledger_find_socket(l, w->row.cookie);

		if (!s || !s->row.ended || s->kept ||
		    s->ended_at > ledger_socket_at(l, count - 1)->ended_at)
			continue;
		ledger_end_worker(l, w); /* on this socket */
		w->ended_at = 1;         /* before all others */
		workers++;
	}
	err = fold_workers(l, workers);
	for (size_t i = count; i-- > 0 && !err;)
		err = fold_socket(l, i);
	return err;
}

/* Notes which sockets have kept workers, and counts the kept workers and the ended ones among those
 * sockets. */
static void count_kept(struct ledger *l, size_t *sockets, size_t *workers)
{
	*sockets = *workers = 0;
	for (size_t i = 0; i < l->sockets.list.count; i++)
		ledger_socket_at(l, i)->kept = 0;
	for (size_t i = 0; i < l->workers.list.count; i++) {
		const struct ledger_worker *w = ledger_worker_at(l, i);
		struct ledger_socket *s = w->kept ? ledger_find_socket(l, w->row.cookie) : NULL;

		*workers += w->kept;
		if (s)
			*sockets += s->row.ended && !s->kept++;
	}
}

/* ---- ports of which only sums are left ---- */

static int compare_folded_at(const void *a, const void *b)
{
	const struct ledger_folded *x = *(void *const *)a, *y = *(void *const *)b;

	return COMPARE(x->folded_at, y->folded_at);
}

/* Marks the oldest of those that have no rows, as many as have to go. Ports that have rows stay:
 * their counts would seem to fall. */
static void mark_gone(struct ledger *l, size_t max)
{
	const size_t count = l->folded.list.count;
	size_t too_many = count - (max - max / 8);

	ledger_rows_sort(&l->folded, compare_folded_at);
	for (size_t i = 0; i < count; i++)
		((struct ledger_folded *)ledger_row_at(&l->folded, i))->gone = true;
	for (size_t i = 0; i < l->sockets.list.count; i++) {
		const struct ledger_folded key = { .key = *ledger_socket_at(l, i) };
		struct ledger_folded *f = ledger_rows_find(&l->folded, &key);

		if (f)
			f->gone = false;
	}
	for (size_t i = 0; i < count; i++) {
		struct ledger_folded *f = ledger_row_at(&l->folded, i);

		f->gone &= f->key.port && too_many;
		too_many -= f->gone;
	}
}

/* Adds up all that are gone, by protocol, as port 0. */
static int gather_gone(struct ledger *l)
{
	const size_t max =
		l->ended_max / 2 > FOLDED_LEAST ? l->ended_max / 2 : (size_t)FOLDED_LEAST;

	if (l->folded.list.count <= max)
		return 0;
	mark_gone(l, max);
	for (size_t i = l->folded.list.count; i-- > 0;) {
		const struct ledger_folded *f = ledger_row_at(&l->folded, i);
		const struct ledger_socket all = { .protocol = f->key.protocol, .family = AF_INET };
		struct ledger_folded *sum = f->gone ? folded(l, &all) : NULL;

		if (f->gone && !sum)
			return -ENOMEM;
		if (!f->gone)
			continue;
		omitted_add(&sum->omitted, &f->omitted);
		wait_bounds_add(&sum->bounds, &f->bounds);
		ledger_remove_folded(l, i);
	}
	return 0;
}

int ledger_trim(struct ledger *l)
{
	/* Rows are folded an eighth at a time, so that sorting is rare. */
	const size_t least = l->ended_max / 8 + 1;
	size_t sockets, workers;
	int err = 0;

	if (l->sockets.ended <= l->ended_max && l->workers.ended <= l->ended_max)
		return 0;
	ledger_join_connected(l); /* so that rows are folded into the endpoint that shows them */
	count_kept(l, &sockets, &workers);
	if (l->sockets.ended - sockets > l->ended_max)
		err = fold_sockets(l, l->sockets.ended - sockets - l->ended_max + least);
	if (!err && l->workers.ended - workers > l->ended_max)
		err = fold_workers(l, l->workers.ended - workers - l->ended_max + least);
	return err ? err : gather_gone(l);
}
