/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counts who has the ports of a range. In each network namespace that a query is about, the
 * sockets in the kernel's tables are counted first; then one walk over all descriptors shows who
 * holds most.
 */
#include "port_range.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "local_ports.h"
#include "namespace.h"

struct scan {
	struct occupants *occupants;
	const struct port_range_query *queries;
	size_t count;
	struct bind_range_count *counts; /* one for each query */
	struct bind_range_settings *settings;
	bool *failed;
};

static int occupant_count(void *to, const struct bind_occupant *o)
{
	const struct scan *s = to;
	const bool four = o->place.family == AF_INET;
	struct bind_peer peer = { .port = o->peer_port, .address = { [10] = 0xff, [11] = 0xff } };

	memcpy(peer.address + (four ? 12 : 0), o->peer, four ? 4 : 16);
	for (size_t i = 0; i < s->count; i++)
		if (s->queries[i].event.place.netns == o->place.netns && !s->failed[i])
			bind_range_add(&s->counts[i], o, &peer);
	return 0;
}

static void ports_clear(struct scan *s)
{
	memset(occupants_ports(s->occupants), 0, sizeof(s->settings->reserved));
}

static void ports_add(struct scan *s, const struct bind_range_use *use)
{
	for (unsigned port = use->low; port <= use->high; port++)
		bind_port_add(occupants_ports(s->occupants), port);
}

/* Runs inside the network namespace of queries: counts what its tables hold. */
static int tables_count(void *to, uint32_t netns)
{
	struct scan *s = to;
	struct bind_range_settings settings = {};
	int err;

	if (!local_ports_read(&settings))
		return -EIO;
	ports_clear(s);
	for (size_t i = 0; i < s->count; i++)
		if (s->queries[i].event.place.netns == netns) {
			s->settings[i] = settings;
			bind_range_begin(&s->counts[i], &s->queries[i].event, &s->settings[i]);
			ports_add(s, &s->counts[i].use);
		}
	err = occupants_each(s->occupants, OCCUPANTS_TCP, occupant_count, s);
	return err ? err : occupants_each(s->occupants, OCCUPANTS_UDP, occupant_count, s);
}

/* Counts for all queries about that namespace. Returns a negative errno if the way back failed. */
static int queries_count(struct scan *s, uint32_t netns)
{
	int failed, err = namespace_within(netns, tables_count, s, &failed);

	for (size_t i = 0; i < s->count; i++)
		if (s->queries[i].event.place.netns == netns)
			s->failed[i] = failed;
	return err;
}

static int scan_all(struct scan *s)
{
	int err = 0;

	for (size_t i = 0; i < s->count && !err; i++) {
		bool seen = false;

		for (size_t j = 0; j < i; j++)
			seen |= s->queries[j].event.place.netns == s->queries[i].event.place.netns;
		if (!seen)
			err = queries_count(s, s->queries[i].event.place.netns);
	}
	ports_clear(s);
	for (size_t i = 0; i < s->count; i++)
		if (!s->failed[i])
			ports_add(s, &s->counts[i].use);
	if (!err && occupants_each(s->occupants, OCCUPANTS_HELD, occupant_count, s))
		memset(s->failed, true, s->count * sizeof(*s->failed));
	return err;
}

int port_range_count(struct occupants *o, struct port_range_query *queries, size_t count)
{
	struct scan s = { .occupants = o,
			  .queries = queries,
			  .count = count,
			  .counts = calloc(count, sizeof(*s.counts)),
			  .settings = calloc(count, sizeof(*s.settings)),
			  .failed = calloc(count, sizeof(*s.failed)) };
	int err = s.counts && s.settings && s.failed ? 0 : -ENOMEM;

	for (size_t i = 0; i < count; i++)
		queries[i].counted = false;
	if (!err)
		err = scan_all(&s);
	for (size_t i = 0; i < count && !err; i++)
		if (!s.failed[i]) {
			bind_range_end(&s.counts[i]);
			queries[i].use = s.counts[i].use;
			queries[i].counted = true;
		}
	free(s.counts);
	free(s.settings);
	free(s.failed);
	return err;
}

bool port_range_same(const struct bind_event *a, const struct bind_event *b)
{
	const struct bind_place *x = &a->place, *y = &b->place;

	return a->call == b->call && x->protocol == y->protocol && x->family == y->family &&
	       x->netns == y->netns && x->device == y->device && x->uid == y->uid &&
	       x->reuseaddr == y->reuseaddr && x->reuseport == y->reuseport &&
	       x->v6only == y->v6only && !memcmp(x->address, y->address, sizeof(x->address)) &&
	       a->range_low == b->range_low && a->range_high == b->range_high &&
	       a->peer.port == b->peer.port &&
	       !memcmp(a->peer.address, b->peer.address, sizeof(a->peer.address));
}
