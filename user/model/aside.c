/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "aside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "connected.h"

enum aside endpoint_aside(const struct endpoint *e)
{
	if (e->socket_count && e->sockets[0].aside)
		return e->sockets[0].aside;
	return endpoint_all_connected(e) ? ASIDE_CLIENTS : ASIDE_NOT;
}

int snapshot_set_aside(struct snapshot *s, bool ports_named)
{
	struct endpoint *aside = calloc(s->endpoint_count + 1, sizeof(*aside));
	size_t kept = 0, apart = 0;

	if (!aside)
		return -ENOMEM;
	for (size_t i = 0; i < s->endpoint_count; i++) {
		const enum aside why = endpoint_aside(&s->endpoints[i]);

		if (!why || (why == ASIDE_CLIENTS && ports_named)) {
			s->endpoints[kept++] = s->endpoints[i];
			continue;
		}
		s->clients += why == ASIDE_CLIENTS;
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
	for (size_t i = 0; i < s->endpoint_count; i++) {
		struct endpoint *e = &s->endpoints[i];

		e->socket_count += e->connected_count;
		e->worker_count += e->connected_workers;
		e->connected_count = e->connected_workers = 0;
	}
}
