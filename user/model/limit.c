/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "limit.h"

#include <errno.h>
#include <stdlib.h>

#include "array.h"
#include "connected.h"
#include "counters.h"
#include "order.h"

/* The order in which an owner's rows are listed. */
enum turn { FIRST_WITH_EVENTS, WITH_EVENTS, FIRST_QUIET, QUIET, FURTHER_HOLDER };

struct item {
	bool *left_out, *holder; /* the mark of the item's row; the mark of the holder that comes
				    with it, or NULL */
	uint32_t owner;          /* uid of the socket */
	enum turn turn;
	uint64_t events;
	size_t cost;   /* rows */
	size_t before; /* rows of the same owner that come first */
	size_t order;  /* position in the snapshot, so that equal items keep their order */
};

struct items {
	struct item *list;
	size_t count;
};

static int compare_of_owner(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->owner != y->owner)
		return COMPARE(x->owner, y->owner);
	if (x->turn != y->turn)
		return COMPARE(x->turn, y->turn);
	return x->events != y->events ? COMPARE(y->events, x->events) : COMPARE(x->order, y->order);
}

static int compare_of_all(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->before != y->before)
		return COMPARE(x->before, y->before);
	if (x->turn != y->turn)
		return COMPARE(x->turn, y->turn);
	return x->events != y->events ? COMPARE(y->events, x->events) : COMPARE(x->order, y->order);
}

static struct item *item_add(struct items *items, bool *left_out, uint32_t owner, enum turn turn,
			     uint64_t events)
{
	struct item *item = &items->list[items->count];

	*item = (struct item){ .left_out = left_out,
			       .owner = owner,
			       .turn = turn,
			       .events = events,
			       .cost = 1,
			       .order = items->count };
	items->count++;
	return item;
}

static uint64_t row_events(const struct socket_row *s)
{
	const uint64_t came = s->arrived + s->dropped;

	return came > s->accepted ? came : s->accepted;
}

static void add_sockets(struct items *items, struct endpoint *e, uint64_t events)
{
	const struct socket_row *busiest = e->sockets;

	for (size_t i = 1; i < e->socket_count; i++)
		if (row_events(&e->sockets[i]) > row_events(busiest))
			busiest = &e->sockets[i];
	for (size_t i = 0; i < e->socket_count; i++) {
		struct socket_row *s = &e->sockets[i];
		const bool first = s == busiest, some = first ? events : row_events(s);
		struct item *item = item_add(items, &s->left_out, s->uid,
					     some    ? first ? FIRST_WITH_EVENTS : WITH_EVENTS
					     : first ? FIRST_QUIET
						     : QUIET,
					     first ? events : row_events(s));
		size_t count;
		const struct holder_row *holders = endpoint_holders(e, s->cookie, &count);

		for (size_t k = 0; k < count; k++) {
			struct holder_row *h = &e->holders[holders - e->holders + k];

			if (k) {
				item_add(items, &h->left_out, s->uid, FURTHER_HOLDER,
					 row_events(s));
				continue;
			}
			item->holder = &h->left_out;
			item->cost++;
		}
	}
}

/* Returns 0 or -ENOMEM. */
static int add_endpoint(struct items *items, struct endpoint *e)
{
	const uint64_t events = endpoint_events(e);
	struct array_index sockets;
	int err = array_index_make(&sockets, e->sockets, e->socket_count, sizeof(*e->sockets),
				   socket_by_cookie);

	add_sockets(items, e, events);
	for (size_t i = 0; i < e->worker_count; i++) {
		struct worker_row *w = &e->workers[i];
		const struct socket_row key = { .cookie = w->cookie },
					*its = array_index_find(&sockets, &key);

		item_add(items, &w->left_out, its ? its->uid : 0,
			 w->accepted || w->served ? WITH_EVENTS : QUIET,
			 w->accepted > w->served ? w->accepted : w->served);
	}
	if (!e->socket_count && !e->worker_count)
		item_add(items, &e->left_out, 0, events ? FIRST_WITH_EVENTS : FIRST_QUIET, events);
	free(sockets.rows);
	return err;
}

/* Lists as many items as fit, from each owner in turn. */
static void items_choose(struct items *items, size_t rows)
{
	size_t used = 0, before = 0;

	qsort(items->list, items->count, sizeof(*items->list), compare_of_owner);
	for (size_t i = 0; i < items->count; i++) {
		before = i && items->list[i].owner == items->list[i - 1].owner
				 ? before + items->list[i - 1].cost
				 : 0;
		items->list[i].before = before;
	}
	qsort(items->list, items->count, sizeof(*items->list), compare_of_all);
	for (size_t i = 0; i < items->count; i++) {
		const struct item *item = &items->list[i];

		used = used + item->cost > rows
			       ? SIZE_MAX / 2
			       : used + item->cost; /* the first that does not fit ends the list, so
						       that no holder is without its socket */
		*item->left_out = used > rows;
		if (item->holder)
			*item->holder = used > rows;
	}
}

static void endpoint_mark(struct endpoint *e)
{
	bool some = !e->socket_count && !e->worker_count && !e->left_out;

	for (size_t i = 0; i < e->socket_count && !some; i++)
		some = !e->sockets[i].left_out;
	for (size_t i = 0; i < e->worker_count && !some; i++)
		some = !e->workers[i].left_out;
	e->left_out = !some;
}

int snapshot_limit(struct snapshot *s, size_t rows)
{
	size_t count = 0;
	struct items items = {};
	int err;

	for (size_t i = 0; i < s->endpoint_count; i++) {
		const struct endpoint *e = &s->endpoints[i];

		count += 1 + e->socket_count + e->worker_count + e->holder_count;
	}
	items.list = calloc(count + 1, sizeof(*items.list));
	err = items.list ? 0 : -ENOMEM;
	for (size_t i = 0; i < s->endpoint_count && !err; i++)
		err = add_endpoint(&items, &s->endpoints[i]);
	if (!err)
		items_choose(&items, rows);
	for (size_t i = 0; i < s->endpoint_count && !err; i++)
		endpoint_mark(&s->endpoints[i]);
	free(items.list);
	return err;
}

size_t snapshot_listed(const struct snapshot *s)
{
	size_t rows = 0;

	for (size_t i = 0; i < s->endpoint_count; i++) {
		const struct endpoint *e = &s->endpoints[i];

		rows += !e->socket_count && !e->worker_count && !e->left_out;
		for (size_t k = 0; k < e->socket_count; k++)
			rows += !e->sockets[k].left_out;
		for (size_t k = 0; k < e->worker_count; k++)
			rows += !e->workers[k].left_out;
		for (size_t k = 0; k < e->holder_count; k++)
			rows += !e->holders[k].left_out;
	}
	return rows;
}

static void omit_socket(struct omitted *o, const struct socket_row *s)
{
	omitted_add_socket(o, s);
	if (s->highest_known && s->queue_highest > o->queue_highest)
		o->queue_highest = s->queue_highest;
}

static void omit_worker(struct omitted *o, const struct worker_row *w)
{
	omitted_add_worker(o, w);
	o->open += w->open_known ? w->open : 0;
}

struct omitted endpoint_omitted(const struct endpoint *e)
{
	struct omitted o = e->omitted;

	for (size_t i = 0; i < e->socket_count; i++)
		if (e->sockets[i].left_out)
			omit_socket(&o, &e->sockets[i]);
	for (size_t i = 0; i < e->worker_count; i++)
		if (e->workers[i].left_out)
			omit_worker(&o, &e->workers[i]);
	return o;
}

struct omitted_endpoints snapshot_omitted(const struct snapshot *s)
{
	struct omitted_endpoints all = {};

	for (size_t i = 0; i < s->endpoint_count; i++) {
		const struct endpoint *e = &s->endpoints[i];
		struct connected_sum connected;
		struct omitted o;

		if (!e->left_out)
			continue;
		o = endpoint_omitted(e);
		connected = endpoint_connected(e);
		all.endpoints++;
		all.sockets += o.sockets + connected.sockets;
		all.workers += o.workers + e->connected_workers;
		all.delivered += connected.delivered;
		all.received += connected.received;
		all.dropped += connected.dropped;
		*(e->protocol == PROTOCOL_UDP ? &all.delivered : &all.arrived) += o.arrived;
		*(e->protocol == PROTOCOL_UDP ? &all.received : &all.accepted) += o.accepted;
		all.dropped += e->protocol == PROTOCOL_UDP ? o.dropped : 0;
	}
	return all;
}
