/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "aside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "connected.h"

#define PASSING_DATAGRAMS 16 /* per socket: a question and its answer take one or two */

/* Was the socket opened in the window and, as far as we know, closed, so that no look found a
 * holder? A socket with errors never counts as passed. */
static bool socket_passed(const struct socket_row *s)
{
	return s->appeared && (s->ended || !s->appeared_ns) && !s->dropped && !s->drops;
}

/* Folded rows have ended. */
static bool is_passing(const struct endpoint *e)
{
	const uint64_t sockets = e->socket_count + e->omitted.sockets;

	if (e->protocol != PROTOCOL_UDP || !sockets || e->omitted.appeared != e->omitted.sockets ||
	    e->omitted.dropped || e->omitted.drops)
		return false;
	for (size_t i = 0; i < e->socket_count; i++)
		if (!socket_passed(&e->sockets[i]))
			return false;
	return endpoint_events(e) <= PASSING_DATAGRAMS * sockets;
}

enum aside endpoint_aside(const struct endpoint *e)
{
	if (e->socket_count && e->sockets[0].aside)
		return e->sockets[0].aside;
	return endpoint_all_connected(e) ? ASIDE_CLIENTS
	       : is_passing(e)           ? ASIDE_PASSING
					 : ASIDE_NOT;
}

static void passing_count(struct passing *sum, const struct endpoint *e)
{
	sum->sockets += e->socket_count + e->omitted.sockets;
	sum->arrived += e->omitted.arrived;
	sum->accepted += e->omitted.accepted;
	for (size_t i = 0; i < e->socket_count; i++) {
		sum->arrived += e->sockets[i].arrived;
		sum->accepted += e->sockets[i].accepted;
	}
}

void passing_add(struct passing *sum, const struct endpoint *e, const struct endpoint *before)
{
	struct passing now = {}, then = {};

	passing_count(&now, e);
	if (before)
		passing_count(&then, before);
	if (before && now.sockets == then.sockets && now.arrived == then.arrived &&
	    now.accepted == then.accepted)
		return;
	sum->ports++;
	sum->ports_at_least |= !e->port;
	sum->sockets += now.sockets - then.sockets;
	sum->arrived += now.arrived - then.arrived;
	sum->accepted += now.accepted - then.accepted;
}

static bool many_pass(const struct snapshot *s)
{
	uint64_t sockets = 0;

	for (size_t i = 0; i < s->endpoint_count && sockets < PASSING_LEAST; i++)
		if (endpoint_aside(&s->endpoints[i]) == ASIDE_PASSING)
			sockets += s->endpoints[i].socket_count + s->endpoints[i].omitted.sockets;
	return sockets >= PASSING_LEAST;
}

/* A user who names a port asks about its clients too. */
static bool stays(enum aside why, bool ports_named, bool many_pass)
{
	return !why || (why == ASIDE_CLIENTS && ports_named) ||
	       (why == ASIDE_PASSING && (ports_named || !many_pass));
}

int snapshot_set_aside(struct snapshot *s, bool ports_named)
{
	struct endpoint *aside = calloc(s->endpoint_count + 1, sizeof(*aside));
	const bool many = many_pass(s);
	size_t kept = 0, apart = 0;

	if (!aside)
		return -ENOMEM;
	s->passing = (struct passing){};
	for (size_t i = 0; i < s->endpoint_count; i++) {
		const enum aside why = endpoint_aside(&s->endpoints[i]);

		if (stays(why, ports_named, many)) {
			s->endpoints[kept++] = s->endpoints[i];
			continue;
		}
		s->clients += why == ASIDE_CLIENTS;
		if (why == ASIDE_PASSING)
			passing_add(&s->passing, &s->endpoints[i], NULL);
		aside[apart++] = s->endpoints[i];
	}
	if (apart)
		memcpy(s->endpoints + kept, aside, apart * sizeof(*aside));
	s->endpoint_count = kept;
	s->aside_count += apart;
	*(ports_named ? &s->quiet : &s->clients) += s->quiet_clients;
	s->quiet_clients = 0;
	free(aside);
	return 0;
}

void snapshot_bring_back(struct snapshot *s)
{
	s->endpoint_count += s->aside_count;
	s->aside_count = s->clients = 0;
	s->passing = (struct passing){};
	for (size_t i = 0; i < s->endpoint_count; i++) {
		struct endpoint *e = &s->endpoints[i];

		e->socket_count += e->connected_count;
		e->worker_count += e->connected_workers;
		e->connected_count = e->connected_workers = 0;
	}
}
