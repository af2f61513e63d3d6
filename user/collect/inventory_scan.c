/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Takes a sample: two iterators of the kernel, over descriptors and over threads, become rows and
 * the graph of waits. Everything that later steps search is sorted once, at the end. A row lives
 * until the next sample.
 */
#include "inventory_scan.h"

#include <errno.h>
#include <stdlib.h>

#include <bpf/bpf.h>

#include "holders.skel.h"
#include "iterator.h"
#include "process.h"

/* ---- records ---- */

/* In the order of HOLDERS_BY_*. */
static const enum wait_kind kinds[] = { WAITS_BLOCKED, WAITS_POLL, WAITS_EPOLL, WAITS_URING };

static int waiters_take(struct inventory *v, const struct holders_waiters_record *r)
{
	if (r->cut && !array_add(&v->graph.cut, &v->reading, sizeof(v->reading)))
		return -ENOMEM;
	for (uint32_t i = 0; i < r->count && r->first + i < HOLDERS_WAITERS_MAX; i++) {
		const uint64_t waiter = v->bpf->bss->waiters[r->first + i];
		const struct wait_edge e = { .node = v->reading,
					     .waiter = waiter & ~(uint64_t)HOLDERS_HOW,
					     .kind = kinds[waiter & HOLDERS_BY],
					     .exclusive = waiter & HOLDERS_EXCLUSIVE };

		if (e.waiter && !array_add(&v->graph.edges, &e, sizeof(e)))
			return -ENOMEM;
	}
	return 0;
}

static int socket_take(struct inventory *v, const struct holders_socket_record *r)
{
	const struct found f = { .node = r->node, .r = *r };

	v->reading = r->node;
	return array_add(&v->found, &f, sizeof(f)) ? 0 : -ENOMEM;
}

static int epoll_take(struct inventory *v, const struct holders_epoll_record *r)
{
	const struct wait_epoll epoll = { .node = r->node };

	v->reading = r->node;
	return array_add(&v->graph.epolls, &epoll, sizeof(epoll)) ? 0 : -ENOMEM;
}

static int holder_take(struct inventory *v, const struct holders_holder_record *r)
{
	const struct wait_holder h = { r->node, r->pid, r->fd };

	return array_add(&v->graph.holders, &h, sizeof(h)) ? 0 : -ENOMEM;
}

static int thread_take(struct inventory *v, const struct holders_thread_record *r)
{
	const struct thread t = { .tid = r->tid, .r = *r };
	int err = inventory_usage_take(v, r);

	return err || r->helper || array_add(&v->threads, &t, sizeof(t)) ? err : -ENOMEM;
}

static size_t record_size(const void *record)
{
	static const size_t sizes[] = {
		[HOLDERS_SOCKET] = sizeof(struct holders_socket_record),
		[HOLDERS_EPOLL] = sizeof(struct holders_epoll_record),
		[HOLDERS_HOLDER] = sizeof(struct holders_holder_record),
		[HOLDERS_WAITERS] = sizeof(struct holders_waiters_record),
		[HOLDERS_THREAD] = sizeof(struct holders_thread_record),
		[HOLDERS_CONNECTION] = sizeof(struct holders_connection_record),
		[HOLDERS_PROGRAM] = sizeof(struct holders_program_record),
	};

	return sizes[*(const uint32_t *)record];
}

static int scan_take(void *to, const void *record)
{
	struct inventory *v = to;

	switch (*(const enum holders_kind *)record) {
	case HOLDERS_SOCKET: return socket_take(v, record);
	case HOLDERS_EPOLL: return epoll_take(v, record);
	case HOLDERS_HOLDER: return holder_take(v, record);
	case HOLDERS_WAITERS: return waiters_take(v, record);
	case HOLDERS_THREAD: return thread_take(v, record);
	case HOLDERS_PROGRAM: return inventory_program_take(v, record);
	case HOLDERS_CONNECTION: break;
	}
	return array_add(&v->connections, record, record_size(record)) ? 0 : -ENOMEM;
}

static void waiters_begin(void *to)
{
	((struct inventory *)to)->bpf->bss->waiters_count = 0;
}

int inventory_iterate(struct inventory *v, const struct bpf_link *link)
{
	return iterator_run(link, &(struct iterator){ .size_of = record_size,
						      .take = scan_take,
						      .to = v,
						      .turn = waiters_begin,
						      .with = v });
}

/* ---- rows ---- */

/*
 * Takes processes that no longer hold a socket out of the kernel's table, which has room for
 * HOLDERS_PROCESSES_MAX.
 */
static int processes_forget(struct inventory *v)
{
	const struct wait_holder *holders = v->graph.holders.rows;
	const uint32_t *before = v->pids.rows;
	struct array now = {};

	for (size_t i = 0; i < v->graph.holders.count; i++)
		if (!array_add(&now, &holders[i].pid, sizeof(holders[i].pid))) {
			free(now.rows);
			return -ENOMEM;
		}
	array_sort(&now, sizeof(uint32_t), array_by_u32);
	array_unique(&now, sizeof(uint32_t), array_by_u32);
	for (size_t i = 0; i < v->pids.count; i++)
		if (!array_find(&now, sizeof(uint32_t), &before[i], array_by_u32))
			bpf_map_delete_elem(bpf_map__fd(v->bpf->maps.processes), &before[i]);
	free(v->pids.rows);
	v->pids = now;
	return 0;
}

/* Sorts the threads, in the graph too. */
static int threads_index(struct inventory *v)
{
	int err = inventory_cgroups_read(v);
	const struct thread *rows;

	array_sort(&v->threads, sizeof(struct thread), array_by_u32);
	rows = v->threads.rows;
	for (size_t i = 0; i < v->threads.count && !err; i++) {
		const struct wait_thread t = { .task = rows[i].r.task,
					       .pid = rows[i].r.pid,
					       .tid = rows[i].tid,
					       .threads = rows[i].r.threads,
					       .row = i };

		err = array_add(&v->graph.threads, &t, sizeof(t)) ? 0 : -ENOMEM;
	}
	return err ? err : wait_graph_end(&v->graph);
}

struct thread *inventory_thread(const struct inventory *v, uint32_t tid)
{
	return array_find(&v->threads, sizeof(struct thread), &tid, array_by_u32);
}

static bool held_by_wanted(const struct inventory *v, uint64_t node)
{
	size_t count;
	const struct wait_holder *rows = wait_graph_holders(&v->graph, node, &count);

	for (size_t i = 0; i < count; i++) {
		const struct thread *t = inventory_thread(v, rows[i].pid);

		if (t && selection_process(&v->selection, t->r.pid, t->r.process, t->cgroup))
			return true;
	}
	return false;
}

static void select_sockets(struct inventory *v)
{
	struct found *rows = v->found.rows;

	for (size_t i = 0; i < v->found.count; i++) {
		const struct holders_socket_record *r = &rows[i].r;

		rows[i].wanted =
			r->cookie &&
			selection_socket(&v->selection, r->netns, r->family, r->protocol, r->port,
					 r->autobound) &&
			(!selection_by_process(&v->selection) || held_by_wanted(v, r->node));
	}
}

static int scan_once(struct inventory *v)
{
	int err;

	wait_graph_begin(&v->graph);
	v->found.count = v->threads.count = v->cpu.count = v->programs.count = 0;
	v->bpf->bss->program.group = 0;
	v->bpf->bss->processes_left_out = 0;
	v->bpf->bss->with_descriptors = v->closely;
	v->bpf->bss->scan = ++v->scan;
	err = inventory_iterate(v, v->sockets_link);
	v->looked_ns = clock_ns(CLOCK_MONOTONIC);
	if (!err)
		err = inventory_iterate(v, v->threads_link);
	if (!err)
		err = processes_forget(v);
	v->graph.left_out = v->bpf->bss->processes_left_out;
	if (!err)
		err = threads_index(v);
	if (err)
		return err;
	inventory_usage_sort(v);
	array_sort(&v->found, sizeof(struct found), array_by_u64);
	/* A socket may be listed twice. */
	array_unique(&v->found, sizeof(struct found), array_by_u64);
	select_sockets(v);
	return 0;
}

/* On kernels before 5.12 a socket has no cookie until sock_diag lists it. */
static bool some_unnamed(const struct inventory *v)
{
	const struct found *rows = v->found.rows;

	for (size_t i = 0; i < v->found.count; i++)
		if (!rows[i].r.cookie)
			return true;
	return false;
}

static int scan_named(struct inventory *v)
{
	struct namespaces seen = {};
	struct sockdiag_row *rows;
	int err = scan_once(v);

	if (err || !some_unnamed(v))
		return err;
	if (sockdiag_dump_namespaces(&rows, &seen) >= 0)
		free(rows);
	err = seen.astray;
	namespaces_free(&seen);
	return err ? err : scan_once(v);
}

int inventory_scan(struct inventory *v)
{
	bool again;
	int err;

	netstat_before(&v->netstat);
	err = scan_named(v);
	if (!err)
		err = inventory_netstat_follow(v, &again);
	if (!err && again) {
		netstat_before(&v->netstat);
		err = scan_once(v);
	}
	v->handshake_count = err ? 0 : netstat_after(&v->netstat, v->handshakes);
	return err;
}

/* ---- questions about a sample ---- */

bool inventory_is_listener(const struct found *f)
{
	return f->r.protocol == IPPROTO_TCP && !f->r.bound;
}

int inventory_cookies(const struct inventory *v, bool wanted, uint64_t **cookies)
{
	const struct found *rows = v->found.rows;
	size_t count = 0;

	*cookies = calloc(v->found.count + 1, sizeof(**cookies));
	if (!*cookies)
		return -ENOMEM;
	for (size_t i = 0; i < v->found.count; i++)
		if (rows[i].wanted == wanted && rows[i].r.cookie)
			(*cookies)[count++] = rows[i].r.cookie;
	return count;
}

enum inventory_answer inventory_asks(const struct inventory *v, int32_t pid, const char *name)
{
	const struct thread *t = inventory_thread(v, pid);
	char cgroup[PROCESS_CGROUP_SIZE];

	if (t)
		return selection_process(&v->selection, pid, t->r.process, t->cgroup)
			       ? INVENTORY_ASKED
			       : INVENTORY_NOT_ASKED;
	process_cgroup(pid, cgroup);
	if (selection_process(&v->selection, pid, name, cgroup))
		return INVENTORY_ASKED;
	/*
	 * For a process that is gone only the pid is certain: `name` is that of a thread, and may
	 * differ from the name of the process.
	 */
	return !*cgroup && (v->selection.comm_count || v->selection.cgroup_count)
		       ? INVENTORY_UNKNOWN
		       : INVENTORY_NOT_ASKED;
}

size_t inventory_sockets(const struct inventory *v)
{
	return v->found.count;
}

size_t inventory_count(const struct inventory *v, uint16_t port)
{
	const struct found *rows = v->found.rows;
	size_t count = 0;

	for (size_t i = 0; i < v->found.count; i++)
		count += rows[i].wanted && (!port || rows[i].r.port == port);
	return count;
}

bool inventory_queued(const struct inventory *v)
{
	const struct found *rows = v->found.rows;

	for (size_t i = 0; i < v->found.count; i++)
		if (rows[i].wanted && inventory_is_listener(&rows[i]) &&
		    (rows[i].r.length || rows[i].r.half_open))
			return true;
	return netstat_refuses(&v->netstat);
}
