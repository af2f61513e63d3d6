/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "queues.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_parts.h"

/*
 * A changed count means that connections were accepted or, if it fell, that rows of workers were
 * folded. A shorter queue means that a worker took from it, counted or not. A queue counts as
 * stalled only if there is no sign to the contrary.
 */
static bool untouched(const struct ledger_socket *s, uint32_t length, uint64_t accepted)
{
	return s->held_ns && length >= s->looked_length && accepted == s->looked_accepted;
}

/* A remembered stall: what was dropped since the look before it. */
static void stall_count_drops(struct ledger_socket *s)
{
	s->row.stall.drops = s->stall_drops_before + (uint32_t)(s->drops_now - s->held_drops);
}

/* now_ns: CLOCK_MONOTONIC, as that of the looks. */
static void stall_end(struct ledger_socket *s, uint64_t now_ns)
{
	struct stall *stall = &s->row.stall;

	if (!s->held_long)
		return;
	stall_count_drops(s);
	s->held_long = false;
	if (stall->over) /* the longest was another one */
		return;
	stall->over = true;
	stall->over_ns = stall->last_ns + (int64_t)(now_ns - s->looked_ns);
}

static void stall_begin(struct ledger_socket *s, uint64_t now_ns, uint32_t length,
			uint64_t accepted)
{
	s->held_ns = now_ns;
	s->held_length = length;
	s->held_drops = s->looked_ns ? s->looked_drops : s->drops_now;
	s->held_fresh = !accepted;
	s->stall_drops_before = s->row.stall.drops;
}

void queue_look(struct ledger_socket *s, uint64_t now_ns, uint32_t length, uint64_t accepted)
{
	struct socket_row *row = &s->row;
	const uint32_t limit = row->queue_limit; /* a queue of limit N holds N + 1 */

	if (s->looked_ns) {
		row->full_known = true;
		if (length > limit && s->looked_length > limit)
			row->full_ns += now_ns - s->looked_ns;
	}
	if (!length || !untouched(s, length, accepted)) {
		stall_end(s, now_ns);
		s->held_ns = 0;
		if (length)
			stall_begin(s, now_ns, length, accepted);
	}
	row->stalled_ns = s->held_ns ? now_ns - s->held_ns : 0;
	row->stalled_length = row->stalled_ns ? s->held_length : 0;
	s->looked_ns = now_ns;
	s->looked_length = length;
	s->looked_accepted = accepted;
	s->looked_drops = s->drops_now;
}

static bool looked_at(const struct ledger_socket *s)
{
	return s->protocol == PROTOCOL_TCP && s->row.queue_known && s->read_ns != s->looked_ns;
}

/* Adds up what was accepted from each socket whose queue is not empty; for the others it is not
 * needed. */
static void accepted_now(struct ledger *l)
{
	struct ledger_worker *const *workers;
	const size_t count = ledger_workers(l, &workers);

	for (size_t i = 0; i < count; i++) {
		const struct ledger_worker *w = workers[i];
		struct ledger_socket *s = w->accepted + w->accepted_past
						  ? ledger_find_socket(l, w->row.cookie)
						  : NULL;

		if (s)
			s->accepted_now += w->accepted + w->accepted_past;
	}
}

void queues_look(struct ledger *l)
{
	struct ledger_socket *const *sockets;
	const size_t count = ledger_sockets(l, &sockets);
	bool any = false;

	for (size_t i = 0; i < count; i++) {
		sockets[i]->accepted_now = 0;
		any |= looked_at(sockets[i]) && sockets[i]->row.queue_length;
	}
	if (any)
		accepted_now(l);
	for (size_t i = 0; i < count; i++) {
		struct ledger_socket *s = sockets[i];

		if (s->row.ended) {
			stall_end(s, s->looked_ns);
			s->row.stalled_ns = s->row.stalled_length = 0;
		} else if (looked_at(s))
			queue_look(s, s->read_ns, s->row.queue_length, s->accepted_now);
	}
}

static int stallers_keep(const struct ledger *l, struct ledger_socket *s)
{
	size_t count;
	const struct holder_row *rows = ledger_holders(l, s->row.cookie, &count);
	struct holder_row *kept = calloc(count + 1, sizeof(*kept));

	if (!kept)
		return -ENOMEM;
	if (count)
		memcpy(kept, rows, count * sizeof(*kept));
	free(s->stallers);
	s->stallers = kept;
	s->staller_count = count;
	return 0;
}

static int stall_remember(const struct ledger *l, struct ledger_socket *s)
{
	struct stall *stall = &s->row.stall;

	if (!s->held_long)
		stall->count++;
	s->held_long = true;
	stall_count_drops(s);
	if (s->row.stalled_ns <= stall->ns)
		return 0;
	stall->ns = s->row.stalled_ns;
	stall->last_ns = (int64_t)(l->now_ns - l->began_ns);
	stall->over = false;
	stall->fresh = s->held_fresh;
	stall->length = s->row.queue_length;
	return stallers_keep(l, s);
}

int queues_remember(struct ledger *l)
{
	struct ledger_socket *const *sockets;
	const size_t count = ledger_sockets(l, &sockets);
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		if (sockets[i]->row.stalled_ns >= STALL_LONG_NS && l->began_ns)
			err = stall_remember(l, sockets[i]);
	return err;
}
