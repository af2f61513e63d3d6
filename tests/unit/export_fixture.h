/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Snapshots made by hand, and what an exporter says of them. */
#ifndef SOCKFAIR_EXPORT_FIXTURE_H
#define SOCKFAIR_EXPORT_FIXTURE_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>

#include "../../user/model/export_state.h"

#define OWN_NETNS 4026531840u
#define ROWS_MAX 64

/* A port with its rows; all zero but its identity. */
struct port_rows {
	struct endpoint e;
	struct socket_row sockets[ROWS_MAX];
	struct worker_row workers[ROWS_MAX];
};

static inline void port_is(struct port_rows *rows, enum protocol protocol, uint16_t port)
{
	memset(rows, 0, sizeof(*rows));
	rows->e = (struct endpoint){ .protocol = protocol,
				     .family = AF_INET,
				     .address = { 127, 0, 0, 1 },
				     .port = port,
				     .netns = OWN_NETNS,
				     .sockets = rows->sockets,
				     .workers = rows->workers };
}

static inline struct socket_row *port_socket(struct port_rows *rows, uint64_t cookie)
{
	struct socket_row *s = &rows->sockets[rows->e.socket_count++];

	*s = (struct socket_row){ .cookie = cookie };
	return s;
}

static inline struct worker_row *port_worker(struct port_rows *rows, uint64_t cookie, int32_t tid,
					     uint64_t start_ns)
{
	struct worker_row *w = &rows->workers[rows->e.worker_count++];

	*w = (struct worker_row){ .cookie = cookie,
				  .pid = tid,
				  .tid = tid,
				  .start_ns = start_ns,
				  .can_accept = true,
				  .usage_known = true,
				  .open_known = true,
				  .state = 'S' };
	return w;
}

/* Collects some ports at a time, and others that are set aside. */
static inline int collected_beside(struct export_state *x, double now,
				   struct port_rows *const *ports, size_t count,
				   struct port_rows *const *aside, size_t aside_count)
{
	struct endpoint endpoints[2 * ROWS_MAX];
	struct snapshot s = { .backend = "fentry",
			      .release = "6.1.0",
			      .seconds = now,
			      .endpoints = endpoints,
			      .endpoint_count = count,
			      .aside_count = aside_count };
	int err;

	for (size_t i = 0; i < count; i++)
		endpoints[i] = ports[i]->e;
	for (size_t i = 0; i < aside_count; i++)
		endpoints[count + i] = aside[i]->e;
	err = export_collect(x, &s, now);
	return err ? err : export_limit(x);
}

static inline int collected(struct export_state *x, double now, struct port_rows *const *ports,
			    size_t count)
{
	return collected_beside(x, now, ports, count, NULL, 0);
}

static inline void begun(struct export_state *x, enum export_workers workers, size_t series_max)
{
	const struct export_options o = { .workers = workers,
					  .series_max = series_max,
					  .sees = EXPORT_SEES_ARRIVALS | EXPORT_SEES_WAITS |
						  EXPORT_SEES_SERVING | EXPORT_SEES_DELIVERED,
					  .own_netns = OWN_NETNS,
					  .version = "0.1.0",
					  .start = 1796039495.5 };

	export_begin(x, &o);
}

#endif
