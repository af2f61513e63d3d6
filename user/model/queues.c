/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "queues.h"

/*
 * A changed count means that connections were accepted or, if it fell, that rows of workers were
 * folded. A shorter queue means that a worker took from it, counted or not. A queue counts as
 * stalled only if there is no sign to the contrary.
 */
static bool untouched(const struct ledger_socket *s, uint32_t length, uint64_t accepted)
{
	return s->held_ns && length >= s->looked_length && accepted == s->looked_accepted;
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
	if (!length) {
		s->held_ns = 0;
	} else if (!untouched(s, length, accepted)) {
		s->held_ns = now_ns;
		s->held_length = length;
	}
	row->stalled_ns = s->held_ns ? now_ns - s->held_ns : 0;
	row->stalled_length = row->stalled_ns ? s->held_length : 0;
	s->looked_ns = now_ns;
	s->looked_length = length;
	s->looked_accepted = accepted;
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

		if (s->row.ended)
			s->row.stalled_ns = s->row.stalled_length = 0;
		else if (looked_at(s))
			queue_look(s, s->read_ns, s->row.queue_length, s->accepted_now);
	}
}
