/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The graph is walked from a socket: first the threads that sleep on a node, then its epolls, each
 * as a node. If an epoll leads to no thread, its owner is busy now, and is known only if there is
 * just one candidate.
 */
#include "wait_graph.h"

#include <errno.h>
#include <stdlib.h>

/* ---- a sample ---- */

/* The only thread of a process, found by pid. */
struct single {
	uint32_t pid;
	uint64_t task;
};

static int holders_in_order(const void *a, const void *b)
{
	const struct wait_holder *x = a, *y = b;

	if (x->node != y->node)
		return COMPARE(x->node, y->node);
	return x->pid != y->pid ? COMPARE(x->pid, y->pid) : COMPARE(x->fd, y->fd);
}

void wait_graph_begin(struct wait_graph *g)
{
	const struct array epolls = g->epolls_before;

	g->epolls_before = g->epolls;
	g->epolls = epolls;
	g->edges.count = g->cut.count = g->epolls.count = g->holders.count = g->threads.count =
		g->single.count = 0;
	g->left_out = false;
}

/* An epoll that was in the previous sample keeps its number. (If an epoll was closed and another
 * one got its memory, the two can't be told apart.) */
static void epolls_remember(struct wait_graph *g)
{
	struct wait_epoll *rows = g->epolls.rows;

	for (size_t i = 0; i < g->epolls.count; i++) {
		const struct wait_epoll *before =
			array_find(&g->epolls_before, sizeof(*before), &rows[i].node, array_by_u64);

		rows[i].number = before ? before->number : 0;
		rows[i].sleeper = before ? before->sleeper : 0;
		rows[i].shared = before && before->shared;
	}
}

/* Records which threads sleep in the epolls, over all samples, because the threads that share an
 * epoll do not all sleep at once. */
static void epolls_sleepers(struct wait_graph *g)
{
	const struct wait_edge *rows = g->edges.rows;
	struct wait_epoll *epoll = NULL;

	for (size_t i = 0; i < g->edges.count; i++) {
		const struct wait_thread *t;

		if (!i || rows[i].node != rows[i - 1].node)
			epoll = wait_graph_epoll(g, rows[i].node);
		t = epoll ? wait_graph_thread(g, rows[i].waiter) : NULL;
		if (!t)
			continue;
		epoll->shared |= epoll->sleeper && epoll->sleeper != (int32_t)t->tid;
		epoll->sleeper = t->tid;
	}
}

int wait_graph_end(struct wait_graph *g)
{
	const struct wait_thread *threads = g->threads.rows;

	array_sort(&g->edges, sizeof(struct wait_edge), array_by_u64);
	array_sort(&g->cut, sizeof(uint64_t), array_by_u64);
	array_sort(&g->epolls, sizeof(struct wait_epoll), array_by_u64);
	array_sort(&g->holders, sizeof(struct wait_holder), holders_in_order);
	array_sort(&g->threads, sizeof(struct wait_thread), array_by_u64);
	for (size_t i = 0; i < g->threads.count; i++) {
		const struct single s = { threads[i].pid, threads[i].task };

		if (threads[i].threads == 1 && !array_add(&g->single, &s, sizeof(s)))
			return -ENOMEM;
	}
	array_sort(&g->single, sizeof(struct single), array_by_u32);
	epolls_remember(g);
	epolls_sleepers(g);
	return 0;
}

void wait_graph_free(struct wait_graph *g)
{
	free(g->edges.rows);
	free(g->cut.rows);
	free(g->epolls.rows);
	free(g->holders.rows);
	free(g->threads.rows);
	free(g->epolls_before.rows);
	free(g->single.rows);
}

/* ---- what is where ---- */

const struct wait_edge *wait_graph_edges(const struct wait_graph *g, uint64_t node, size_t *count)
{
	return array_equal(&g->edges, sizeof(struct wait_edge), &node, array_by_u64, count);
}

const struct wait_holder *wait_graph_holders(const struct wait_graph *g, uint64_t node,
					     size_t *count)
{
	return array_equal(&g->holders, sizeof(struct wait_holder), &node, array_by_u64, count);
}

struct wait_thread *wait_graph_thread(const struct wait_graph *g, uint64_t task)
{
	return array_find(&g->threads, sizeof(struct wait_thread), &task, array_by_u64);
}

struct wait_epoll *wait_graph_epoll(const struct wait_graph *g, uint64_t node)
{
	return array_find(&g->epolls, sizeof(struct wait_epoll), &node, array_by_u64);
}

/* If an epoll is listed twice, the first row has the number. */
uint64_t wait_graph_name(struct wait_graph *g, struct wait_epoll *epoll)
{
	if (!epoll->number)
		epoll->number = ++g->named;
	return epoll->number;
}

bool wait_graph_is_watched(const struct wait_graph *g, uint64_t epoll)
{
	size_t count;
	const struct wait_edge *edges = wait_graph_edges(g, epoll, &count);

	for (size_t i = 0; i < count; i++)
		if (wait_graph_epoll(g, edges[i].waiter))
			return true;
	return false;
}

bool wait_graph_sleeps_on(const struct wait_graph *g, uint64_t node, uint32_t pid)
{
	size_t count;
	const struct wait_edge *edges = wait_graph_edges(g, node, &count);

	for (size_t i = 0; i < count; i++) {
		const struct wait_thread *t = wait_graph_thread(g, edges[i].waiter);

		if (t && t->pid == pid)
			return true;
	}
	return false;
}

int64_t wait_graph_descriptor(const struct wait_graph *g, uint64_t node, uint32_t pid)
{
	size_t count;
	const struct wait_holder *holders = wait_graph_holders(g, node, &count);

	for (size_t i = 0; i < count; i++)
		if (holders[i].pid == pid)
			return holders[i].fd;
	return -1;
}

/* The only process that holds the node; 0: none, or several because of a fork. */
static uint32_t only_holder(const struct wait_graph *g, uint64_t node)
{
	size_t count;
	const struct wait_holder *holders = wait_graph_holders(g, node, &count);

	return count && holders[0].pid == holders[count - 1].pid ? holders[0].pid : 0;
}

int wait_graph_watchers(const struct wait_graph *g, uint64_t socket, struct array *pids)
{
	size_t count;
	const struct wait_edge *edges = wait_graph_edges(g, socket, &count);

	pids->count = 0;
	for (size_t i = 0; i < count; i++) {
		const uint32_t pid =
			wait_graph_epoll(g, edges[i].waiter) ? only_holder(g, edges[i].waiter) : 0;

		if (pid && !array_add(pids, &pid, sizeof(pid)))
			return -ENOMEM;
	}
	array_sort(pids, sizeof(uint32_t), array_by_u32);
	return 0;
}

/* ---- the way to those who wait ---- */

struct graph_walk {
	struct wait_graph *g;
	struct array *out;
	bool *cut;
};

static int waiting_add(const struct graph_walk *w, struct wait_thread *t, struct wait_way way,
		       bool asleep)
{
	const struct waiting waiting = { t->row, way, asleep };

	if (t->look == w->g->looks) /* already found through another descriptor or epoll */
		return 0;
	t->look = w->g->looks;
	return array_add(w->out, &waiting, sizeof(waiting)) ? 0 : -ENOMEM;
}

/*
 * No thread sleeps in this epoll now, so its owner is busy. If only one process holds the epoll and
 * that process has one thread, that thread will come back to it. An epoll that a fork left in two
 * processes tells nothing.
 */
static int owner_add(const struct graph_walk *w, uint64_t epoll, struct wait_way way)
{
	const uint32_t pid = only_holder(w->g, epoll);
	const struct single *single =
		pid ? array_find(&w->g->single, sizeof(*single), &pid, array_by_u32) : NULL;

	return single ? waiting_add(w, wait_graph_thread(w->g, single->task), way, false) : 0;
}

static struct wait_way way_begin(const struct wait_edge *e)
{
	return (struct wait_way){ .kind = e->kind, .exclusive = e->exclusive };
}

/*
 * Adds the threads that sleep on the node itself. They come before the node's epolls, because a
 * process may register the socket in an epoll and then block in accept() nevertheless (as apache's
 * prefork does). What the thread sleeps in decides how it is woken.
 */
static int sleepers_add(const struct graph_walk *w, const struct wait_edge *edges, size_t count,
			unsigned passed, struct wait_way way, bool *any)
{
	int err = 0;

	for (size_t i = 0; i < count && !err; i++) {
		struct wait_thread *t = wait_graph_thread(w->g, edges[i].waiter);

		if (!t)
			continue;
		err = waiting_add(w, t, passed ? way : way_begin(&edges[i]), true);
		*any = true;
	}
	return err;
}

/* Adds the threads that wait on the node, directly or through epolls. passed: number of epolls on
 * the way to the node; 0: the node is the socket, whose own edges begin the way. */
static int node_follow(const struct graph_walk *w, uint64_t node, unsigned passed,
		       struct wait_way way)
{
	size_t count;
	const struct wait_edge *edges = wait_graph_edges(w->g, node, &count);
	bool any = false;
	int err = sleepers_add(w, edges, count, passed, way, &any);

	*w->cut |= array_find(&w->g->cut, sizeof(node), &node, array_by_u64) != NULL;
	for (size_t i = 0; i < count && !err; i++) {
		struct wait_way next = passed ? way : way_begin(&edges[i]);
		struct wait_epoll *epoll;

		if (wait_graph_thread(w->g, edges[i].waiter))
			continue;
		epoll = passed < WAIT_GRAPH_EPOLLS ? wait_graph_epoll(w->g, edges[i].waiter) : NULL;
		if (!epoll) {
			*w->cut |= w->g->left_out; /* the waiter may be one of the threads that are
						      not in the sample */
			continue;
		}
		next.epoll = wait_graph_name(w->g, epoll);
		err = node_follow(w, epoll->node, passed + 1, next);
		any = true;
	}
	return any || err || !passed ? err : owner_add(w, node, way);
}

int wait_graph_follow(struct wait_graph *g, uint64_t socket, struct array *out, bool *cut)
{
	const struct graph_walk w = { g, out, cut };

	g->looks++;
	return node_follow(&w, socket, 0, (struct wait_way){});
}

bool wait_graph_busy(struct wait_graph *g, uint64_t socket, uint32_t pid, struct wait_way *way)
{
	size_t count;
	const struct wait_edge *edges = wait_graph_edges(g, socket, &count);
	struct wait_epoll *only = NULL;
	bool several = false;

	for (size_t i = 0; i < count; i++) {
		struct wait_epoll *epoll = wait_graph_epoll(g, edges[i].waiter);

		if (!epoll || wait_graph_descriptor(g, epoll->node, pid) < 0)
			continue;
		several |= only && only != epoll;
		only = epoll;
		*way = way_begin(&edges[i]);
	}
	if (only && !several && !wait_graph_is_watched(g, only->node))
		way->epoll = wait_graph_name(g, only);
	return only;
}
