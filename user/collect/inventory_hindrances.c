/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds out what keeps holders from taking. For each socket whose queue raises that question, it
 * takes what the sample and /proc say of the processes that hold the socket, and how the socket is
 * entered in their epolls.
 */
#include "inventory_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

static bool sleeps_in_epoll(const struct inventory *v, uint32_t pid)
{
	const struct wait_epoll *rows = v->graph.epolls.rows;

	for (size_t i = 0; i < v->graph.epolls.count; i++)
		if (wait_graph_sleeps_on(&v->graph, rows[i].node, pid))
			return true;
	return false;
}

/* A thread of the process sleeps in the epoll: how is the socket entered there? */
static enum watching watching_by(int32_t pid, uint32_t epoll_fd, uint32_t inode)
{
	const uint32_t events = hindrances_events(pid, epoll_fd, inode);

	/* With EPOLLEXCLUSIVE another epoll may have been woken. */
	if (!events || events & EPOLLIN)
		return events & EPOLLET && !(events & EPOLLEXCLUSIVE) ? WATCHING_EDGE
								      : WATCHING_SLEEPS;
	return events & EPOLLONESHOT ? WATCHING_DISARMED : WATCHING_OTHERWISE;
}

/* An epoll that is itself watched by another epoll is assumed to report what it should. */
static enum watching watching_of(const struct inventory *v, const struct found *f, int32_t pid)
{
	const struct wait_graph *g = &v->graph;
	enum watching watching =
		wait_graph_sleeps_on(g, f->node, pid) ? WATCHING_SLEEPS : WATCHING_NOT;
	size_t count;
	const struct wait_edge *edges = wait_graph_edges(g, f->node, &count);

	for (size_t i = 0; i < count && watching != WATCHING_SLEEPS; i++) {
		const struct wait_epoll *epoll = wait_graph_epoll(g, edges[i].waiter);
		const int64_t fd = epoll ? wait_graph_descriptor(g, epoll->node, pid) : -1;

		if (fd < 0)
			continue;
		if (wait_graph_sleeps_on(g, epoll->node, pid))
			watching = watching_by(pid, fd, f->r.inode);
		else if (wait_graph_is_watched(g, epoll->node))
			watching = WATCHING_SLEEPS;
		else if (watching == WATCHING_NOT)
			watching = WATCHING_AWAY;
	}
	return watching == WATCHING_NOT && sleeps_in_epoll(v, pid) ? WATCHING_OTHERS : watching;
}

/*
 * Does the socket raise the question why nothing is taken from it? With started_ns 0 there is only
 * one look.
 */
static bool raises_question(const struct ledger_socket *s, const struct holders_socket_record *r,
			    uint64_t started_ns)
{
	if (!s || !r->length || s->row.connected)
		return false;
	if (r->group && !s->row.waiting_most)
		return true;
	return r->protocol == IPPROTO_TCP && (!started_ns || s->row.stalled_ns >= STALLED_NS);
}

/* Takes what the sample says of the processes that are looked at. */
static void hindrances_take(struct inventory *v)
{
	const struct thread *rows = v->threads.rows;

	for (size_t i = 0; i < v->threads.count; i++) {
		struct hindered *p = hindrances_find(&v->hindrances, rows[i].r.pid);

		if (!p)
			continue;
		p->cpu_ns += rows[i].r.cpu_ns;
		p->files_free |= rows[i].r.files_free;
		if (!rows[i].r.descriptors)
			continue;
		p->threads++;
		p->full += rows[i].r.descriptors_full;
		p->descriptors = rows[i].r.descriptors;
	}
}

/* A thread of a process that is looked at, and that waited on the socket or took from it. */
struct taking {
	uint64_t cookie;
	int32_t pid, tid;
};

static int taking_by_process(const void *a, const void *b)
{
	const struct taking *x = a, *y = b;

	return x->cookie != y->cookie ? COMPARE(x->cookie, y->cookie) : COMPARE(x->pid, y->pid);
}

static int takers_list(struct inventory *v, const struct ledger *l, struct array *takers)
{
	struct ledger_worker *const *rows;
	const size_t count = ledger_workers(l, &rows);

	for (size_t i = 0; i < count; i++) {
		const struct worker_row *w = &rows[i]->row;
		const struct taking t = { w->cookie, w->pid, w->tid };

		if (!w->ended && w->can_accept && hindrances_find(&v->hindrances, w->pid) &&
		    !array_add(takers, &t, sizeof(t)))
			return -ENOMEM;
	}
	array_sort(takers, sizeof(struct taking), taking_by_process);
	return 0;
}

#define NARROW_MAX 64

static void narrow(struct holder_row *h, const struct array *takers)
{
	const struct taking key = { h->cookie, h->pid, 0 };
	int32_t tids[NARROW_MAX];
	size_t count;
	const struct taking *rows =
		array_equal(takers, sizeof(key), &key, taking_by_process, &count);

	count = count < NARROW_MAX ? count : NARROW_MAX;
	for (size_t i = 0; i < count; i++)
		tids[i] = rows[i].tid;
	if (count)
		hindrances_narrow(&h->hindrance, h->pid, tids, count);
}

static void hindered_fill(struct inventory *v, struct ledger *l, const struct found *f,
			  const struct array *takers)
{
	size_t count;
	struct holder_row *h = ledger_holders(l, f->r.cookie, &count);

	for (size_t i = 0; i < count; i++) {
		const struct hindered *p = hindrances_find(&v->hindrances, h[i].pid);

		if (!p)
			continue;
		h[i].hindrance = p->row;
		h[i].watching = watching_of(v, f, h[i].pid);
		narrow(&h[i], takers);
	}
}

int inventory_hindrances_fill(struct inventory *v, struct ledger *l, uint64_t started_ns)
{
	const struct found *rows = v->found.rows;
	struct array takers = {};
	size_t asked = 0, count;
	int err;

	hindrances_begin(&v->hindrances);
	v->closely = false;
	for (size_t i = 0; i < v->found.count; i++) {
		const struct holder_row *h;

		if (!rows[i].wanted || !rows[i].r.length)
			continue;
		v->closely = true;
		if (!raises_question(ledger_find_socket(l, rows[i].r.cookie), &rows[i].r,
				     started_ns))
			continue;
		h = ledger_holders(l, rows[i].r.cookie, &count);
		for (size_t k = 0; k < count; k++)
			asked += hindrances_ask(&v->hindrances, h[k].pid, h[k].start_ns) != NULL;
	}
	if (!asked)
		return 0;
	hindrances_take(v);
	hindrances_look(&v->hindrances, v->looked_ns);
	err = takers_list(v, l, &takers);
	for (size_t i = 0; i < v->found.count && !err; i++)
		if (rows[i].wanted && raises_question(ledger_find_socket(l, rows[i].r.cookie),
						      &rows[i].r, started_ns))
			hindered_fill(v, l, &rows[i], &takers);
	free(takers.rows);
	return err;
}
