/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A ledger from its making to its end, and its rows: that a socket or a thread ended, turned out
 * to be alive after all, or is not asked for; and who holds a socket. How rows are found, counted,
 * folded and shown is in the other files of ledger_parts.h.
 */
#include "ledger_parts.h"

#include <stdlib.h>

struct ledger *ledger_new(size_t ended_max, unsigned cpus)
{
	struct ledger *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	ledger_rows_begin(l);
	l->ended_max = ended_max;
	l->ends = 1; /* before all others: see ledger_fold.c */
	l->cpus = cpus;
	return l;
}

void ledger_clock(struct ledger *l, uint64_t began_ns, uint64_t now_ns)
{
	l->began_ns = began_ns;
	l->now_ns = now_ns;
}

void ledger_measures(struct ledger *l, bool waits, bool serving)
{
	l->waits = waits;
	l->serving = serving;
}

void ledger_clear(struct ledger *l)
{
	while (l->sockets.list.count)
		ledger_remove_socket(l, l->sockets.list.count - 1);
	while (l->workers.list.count)
		ledger_remove_worker(l, l->workers.list.count - 1);
	ledger_rows_clear(&l->sockets);
	ledger_rows_clear(&l->workers);
	ledger_rows_clear(&l->folded);
	l->orphaned = 0;
	ledger_hold(l, NULL, 0);
	handshakes_clear(&l->handshakes);
}

void ledger_free(struct ledger *l)
{
	if (!l)
		return;
	ledger_clear(l);
	free(l);
}

struct handshake_set *ledger_handshakes(struct ledger *l)
{
	return &l->handshakes;
}

/* ---- ends ---- */

void ledger_end_socket(struct ledger *l, struct ledger_socket *s)
{
	if (s->row.ended)
		return;
	s->row.ended = true;
	s->row.waiting = 0;
	s->ended_at = ++l->ends;
	l->sockets.ended++;
}

void ledger_end_worker(struct ledger *l, struct ledger_worker *w)
{
	if (w->row.ended)
		return;
	w->row.ended = true;
	w->row.waits = false;
	if (!w->ended_ns || w->took_ns > w->ended_ns) /* otherwise it was revived only because of
							 connections that it had taken before */
		w->ended_ns = l->now_ns;
	w->ended_at = ++l->ends;
	l->workers.ended++;
	l->ended_histograms += w->slots != NULL;
	if (w->slots)
		ledger_limit_histograms(l, w);
}

void ledger_revive_socket(struct ledger *l, struct ledger_socket *s)
{
	l->sockets.ended -= s->row.ended;
	s->row.ended = false;
	s->ended_at = 0;
}

void ledger_revive_worker(struct ledger *l, struct ledger_worker *w)
{
	l->workers.ended -= w->row.ended;
	l->ended_histograms -= w->row.ended && w->slots;
	w->kept = false;
	w->row.ended = false;
	w->ended_at = 0;
}

void ledger_forget(struct ledger *l)
{
	for (size_t i = l->workers.list.count; i-- > 0;) {
		const struct ledger_socket *s =
			ledger_find_socket(l, ledger_worker_at(l, i)->row.cookie);

		if (s && s->forgotten)
			ledger_remove_worker(l, i);
	}
	for (size_t i = l->sockets.list.count; i-- > 0;)
		if (ledger_socket_at(l, i)->forgotten)
			ledger_remove_socket(l, i);
}

/* ---- holders ---- */

static int holder_order(const struct holder_row *x, const struct holder_row *y)
{
	return x->cookie != y->cookie ? COMPARE(x->cookie, y->cookie) : COMPARE(x->pid, y->pid);
}

void ledger_hold(struct ledger *l, struct holder_row *rows, size_t count)
{
	size_t old = 0;

	/* A process that was once seen watching the socket stays one of its workers, because some
	 * take the socket out of their epoll while it is another worker's turn. */
	for (size_t i = 0; i < count; i++) {
		while (old < l->holder_count && holder_order(&l->holders[old], &rows[i]) < 0)
			old++;
		if (old < l->holder_count && !holder_order(&l->holders[old], &rows[i]))
			rows[i].polls |= l->holders[old].polls &&
					 l->holders[old].start_ns == rows[i].start_ns;
	}
	free(l->holders);
	l->holders = rows;
	l->holder_count = count;
}

struct holder_row *ledger_holders(const struct ledger *l, uint64_t cookie, size_t *count)
{
	size_t first;

	*count = holders_find(l->holders, l->holder_count, cookie, &first);
	return *count ? l->holders + first : NULL;
}
