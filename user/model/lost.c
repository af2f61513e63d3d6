/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lost.h"

#include <errno.h>
#include <stdlib.h>

#include "array.h"

int lost_list_add(struct lost_list *list, struct lost_events events)
{
	struct lost_events *rows;

	if (!events.count)
		return 0;
	rows = array_grow(list->rows, list->count, &list->room, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	list->rows = rows;
	rows[list->count++] = events;
	return 0;
}

static bool is_same(const struct lost_events *a, const struct lost_events *b)
{
	return a->touches == b->touches && a->protocol == b->protocol && a->port == b->port &&
	       a->ports == b->ports && a->netns == b->netns;
}

int lost_list_note(struct lost_list *list, struct lost_events events)
{
	const struct lost_events any = { .count = events.count,
					 .touches = events.touches,
					 .protocol = LOST_ANY_PROTOCOL };

	for (size_t i = 0; i < list->count && events.count; i++) {
		if (!is_same(&list->rows[i], &events))
			continue;
		list->rows[i].count += events.count;
		return 0;
	}
	if (list->count >= LOST_PORTS_MAX && !is_same(&events, &any))
		return lost_list_note(list, any);
	return lost_list_add(list, events);
}

int lost_list_join(struct lost_list *list, const struct lost_list *other)
{
	int err = 0;

	for (size_t i = 0; i < other->count && !err; i++)
		err = lost_list_add(list, other->rows[i]);
	return err;
}

uint64_t lost_list_sum(const struct lost_list *list)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < list->count; i++)
		sum += list->rows[i].count;
	return sum;
}

static bool may_belong(const struct lost_events *events, const struct endpoint *e)
{
	return (events->protocol == LOST_ANY_PROTOCOL || events->protocol == (int)e->protocol) &&
	       (!events->port || events->port == e->port) &&
	       (!events->ports || events->ports[e->port]) &&
	       (!events->netns || events->netns == e->netns);
}

void lost_put_down(struct snapshot *s, const struct lost_list *list)
{
	for (size_t i = 0; i < s->endpoint_count; i++) {
		struct endpoint *e = &s->endpoints[i];

		for (size_t j = 0; j < list->count; j++) {
			const struct lost_events *events = &list->rows[j];

			if (!may_belong(events, e))
				continue;
			e->lost.arrived += events->touches & LOST_ARRIVED ? events->count : 0;
			e->lost.accepted += events->touches & LOST_ACCEPTED ? events->count : 0;
			e->lost.served += events->touches & LOST_SERVED ? events->count : 0;
			e->lost.open += events->touches & LOST_OPEN ? events->count : 0;
		}
	}
}

/*
 * Over all sockets of the endpoint, because a connection may have moved from one to another of its
 * group before it was accepted.
 */
static uint64_t arrivals_missed(const struct endpoint *e)
{
	uint64_t arrived = e->omitted.arrived, accepted = e->omitted.wait.count;

	for (size_t i = 0; i < e->socket_count; i++) {
		arrived += e->sockets[i].arrived;
		accepted += e->sockets[i].wait.count;
	}
	return accepted > arrived ? accepted - arrived : 0;
}

uint64_t lost_arrivals_find(struct snapshot *s, unsigned cpus)
{
	uint64_t found = 0;

	for (size_t i = 0; i < s->endpoint_count; i++) {
		struct endpoint *e = &s->endpoints[i];
		const uint64_t told = e->lost.arrived + 2ull * cpus,
			       missed = e->protocol == PROTOCOL_TCP ? arrivals_missed(e) : 0;

		if (missed <= told)
			continue;
		e->lost.arrived += missed - told;
		found += missed - told;
	}
	return found;
}
