/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a snapshot is made. Sockets and workers are sorted, so that the sockets of an endpoint are
 * consecutive; each such run becomes an endpoint, or is only counted if nothing happened on it.
 * Then the sums of folded rows are added.
 */
#include "ledger_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool has_folded(const struct ledger *l, const struct ledger_socket *s)
{
	const struct ledger_folded key = { .key = *s }, *found = ledger_rows_find(&l->folded, &key);

	return found && (found->omitted.sockets || found->omitted.workers);
}

static bool decided(struct ledger_socket *const *sockets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!sockets[i]->undecided)
			return true;
	return false;
}

static bool all_connected(struct ledger_socket *const *sockets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!sockets[i]->row.connected && !sockets[i]->undecided)
			return false;
	return true;
}

/* After events_tell(). */
static bool has_events(const struct ledger *l, struct ledger_socket *const *sockets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (sockets[i]->by_cpu || sockets[i]->took)
			return true;
	return l->folded.list.count && has_folded(l, sockets[0]);
}

static int compare_to_endpoint(const void *key, const void *element)
{
	const struct ledger_socket *x = key;
	const struct endpoint *e = element;
	struct ledger_socket y = {
		.protocol = e->protocol, .family = e->family, .port = e->port, .netns = e->netns
	};

	memcpy(y.address, e->address, sizeof(y.address));
	y.row.aside = e->socket_count ? e->sockets[0].aside : ASIDE_NOT;
	return ledger_compare_endpoints(x, &y);
}

/* Adds folded sums to their endpoint, which is made if nothing else is left of it. */
static void add_folded(const struct ledger *l, struct snapshot *s)
{
	const size_t sorted = s->endpoint_count;

	for (size_t i = 0; i < l->folded.list.count; i++) {
		const struct ledger_folded *f = ledger_row_at(&l->folded, i);
		struct endpoint *e = sorted ? bsearch(&f->key, s->endpoints, sorted, sizeof(*e),
						      compare_to_endpoint)
					    : NULL;

		if (!e) {
			e = &s->endpoints[s->endpoint_count++];
			*e = (struct endpoint){ .protocol = f->key.protocol,
						.family = f->key.family,
						.port = f->key.port,
						.netns = f->key.netns };
			memcpy(e->address, f->key.address, sizeof(e->address));
		}
		e->omitted = f->omitted;
		wait_bounds_add(&e->waits_by_bound, &f->bounds);
	}
}

/*
 * Marks the sockets whose workers have events. Returns the events of workers whose socket has no
 * row. Only workers with events are looked up, as there may be very many that are idle.
 */
static uint64_t events_tell(struct ledger *l)
{
	uint64_t orphaned = l->orphaned;

	for (size_t i = 0; i < l->sockets.list.count; i++)
		ledger_socket_at(l, i)->took = false;
	for (size_t i = 0; i < l->workers.list.count; i++) {
		const struct ledger_worker *w = ledger_worker_at(l, i);
		const uint64_t events = w->accepted + w->accepted_past;
		struct ledger_socket *s = events ? ledger_find_socket(l, w->row.cookie) : NULL;

		if (s)
			s->took = true;
		else
			orphaned += events;
	}
	return orphaned;
}

static int fill_handshakes(const struct ledger *l, struct snapshot *s)
{
	const struct handshake_set *set = &l->handshakes;

	s->handshakes = calloc(set->count + 1, sizeof(*s->handshakes));
	if (!s->handshakes)
		return -ENOMEM;
	if (set->count)
		memcpy(s->handshakes, set->rows, set->count * sizeof(*set->rows));
	s->handshake_count = set->count;
	handshakes_fill(s);
	return 0;
}

int ledger_snapshot(struct ledger *l, struct snapshot *s, bool all, uint64_t *orphaned)
{
	struct ledger_socket *const *sockets = l->sockets.list.rows;
	size_t endpoints = 0;
	int err = 0;

	ledger_join_connected(l);
	ledger_rows_sort(&l->sockets, ledger_order_sockets);
	ledger_rows_sort(&l->workers, ledger_order_workers);
	*orphaned = events_tell(l);
	for (size_t i = 0; i < l->sockets.list.count; i++)
		endpoints += !i || ledger_compare_endpoints(sockets[i - 1], sockets[i]);
	s->endpoints = calloc(endpoints + l->folded.list.count + 1, sizeof(*s->endpoints));
	if (!s->endpoints)
		return -ENOMEM;
	for (size_t first = 0, next; first < l->sockets.list.count && !err; first = next) {
		for (next = first + 1; next < l->sockets.list.count &&
				       !ledger_compare_endpoints(sockets[first], sockets[next]);
		     next++)
			;
		if (!decided(sockets + first, next - first))
			continue;
		if (!all && !has_events(l, sockets + first, next - first))
			++*(all_connected(sockets + first, next - first) ? &s->quiet_clients
									 : &s->quiet);
		else
			err = ledger_fill_endpoint(l, &s->endpoints[s->endpoint_count++],
						   sockets + first, next - first);
	}
	err = err ? err : fill_handshakes(l, s);
	if (!err)
		add_folded(l, s);
	return err;
}
