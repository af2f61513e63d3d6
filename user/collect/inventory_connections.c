/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lists the TCP connections that processes hold, with an iterator of its own. Each connection is
 * matched to a listener of the last sample by its address, and to the thread that reads it by who
 * waits on it.
 */
#include "inventory_scan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "holders.skel.h"

int32_t inventory_sleeper(const struct inventory *v, uint64_t epoll)
{
	const struct wait_epoll *rows = v->graph.epolls.rows;

	for (size_t i = 0; i < v->graph.epolls.count; i++)
		if (rows[i].number == epoll)
			return rows[i].shared ? -1 : rows[i].sleeper;
	return 0;
}

/*
 * Could the connection have come from that listener? A listener on the connection's own address is
 * preferred to one on any address (`any`).
 */
static bool connection_fits(const struct holders_connection_record *c, const struct found *f,
			    bool any)
{
	static const uint8_t nowhere[16];
	const struct holders_socket_record *r = &f->r;

	return inventory_is_listener(f) && r->netns == c->netns && r->port == c->port &&
	       r->family == c->family &&
	       !memcmp(r->address, any ? nowhere : c->address, sizeof(r->address));
}

static const struct found *listener_of(const struct inventory *v,
				       const struct holders_connection_record *c)
{
	const struct found *rows = v->found.rows;

	for (int any = 0; any < 2; any++)
		for (size_t i = 0; i < v->found.count; i++)
			if (rows[i].wanted && connection_fits(c, &rows[i], any))
				return &rows[i];
	return NULL;
}

/*
 * Finds the thread that reads the connection: the only thread of its process, or else the thread
 * that waits for it now, in a read or in the epoll that watches the connection.
 */
static void reader_tell(struct inventory *v, struct inventory_connection *to, uint64_t waiter)
{
	const struct thread *leader = inventory_thread(v, to->pid);
	const uint64_t who = waiter & ~(uint64_t)HOLDERS_HOW;
	const bool by_epoll = (waiter & HOLDERS_BY) == HOLDERS_BY_EPOLL;
	struct wait_epoll *epoll = by_epoll ? wait_graph_epoll(&v->graph, who) : NULL;

	to->start_ns = leader ? leader->r.start_ns : 0;
	if (epoll)
		to->epoll = wait_graph_name(&v->graph, epoll);
	if (leader && leader->r.threads == 1) {
		to->tid = to->pid;
	} else if (epoll) {
		to->tid = epoll->shared ? 0 : epoll->sleeper;
	} else if (waiter && !by_epoll) {
		const struct wait_thread *t = wait_graph_thread(&v->graph, who);

		to->tid = t ? (int32_t)t->tid : 0;
	}
}

static int connections_in_order(const void *a, const void *b)
{
	const struct holders_connection_record *x = a, *y = b;
	int order = COMPARE(x->node, y->node);

	return order ? order : COMPARE(x->pid, y->pid);
}

static void listening_mark(struct inventory *v)
{
	const struct found *rows = v->found.rows;

	memset(v->bpf->bss->listening, 0, sizeof(v->bpf->bss->listening));
	for (size_t i = 0; i < v->found.count; i++)
		if (rows[i].wanted && inventory_is_listener(&rows[i]))
			v->bpf->bss->listening[rows[i].r.port >> 6] |= 1ull
								       << (rows[i].r.port & 63);
}

int inventory_connections(struct inventory *v, struct inventory_connection **rows)
{
	const struct holders_connection_record *r;
	size_t count = 0;
	int err;

	v->connections.count = 0;
	listening_mark(v);
	err = inventory_iterate(v, v->connections_link);
	*rows = err ? NULL : calloc(v->connections.count + 1, sizeof(**rows));
	if (!*rows)
		return err ? err : -ENOMEM;
	array_sort(&v->connections, sizeof(*r), connections_in_order);
	r = v->connections.rows;
	for (size_t i = 0; i < v->connections.count; i++) {
		const struct found *listener =
			i && r[i].node == r[i - 1].node ? NULL : listener_of(v, &r[i]);

		if (!listener)
			continue;
		(*rows)[count] = (struct inventory_connection){
			.node = r[i].node,
			.identity = (uint64_t)r[i].peer << 32 |
				    (uint64_t)htons(r[i].peer_port) << 16 | r[i].port,
			.received = r[i].received,
			.sent = r[i].sent,
			.mptcp = r[i].mptcp,
			.listener = listener->r.cookie,
			.pid = r[i].pid,
		};
		reader_tell(v, &(*rows)[count++], r[i].waiter);
	}
	return count;
}
