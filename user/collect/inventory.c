/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "inventory.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../model/array.h"
#include "../model/queues.h"
#include "hindrances.h"
#include "holders.h"
#include "holders.skel.h"
#include "../attach/loading.h"
#include "netstat.h"
#include "occupants.h"
#include "process.h"
#include "sockdiag.h"

#define WAITING_MAX                                                                                \
	24576 /* rows beyond which threads that only wait get none: sockets times threads may be   \
		 very many */
#define EPOLL_DEPTH 5 /* EP_MAX_NESTS of fs/eventpoll.c */

/* A socket of the last scan. */
struct found {
	struct holders_socket_record r;
	bool wanted;
};

struct edge {
	uint64_t node, waiter; /* socket or epoll; task or epoll */
	uint32_t how;          /* HOLDERS_BY_*, HOLDERS_EXCLUSIVE */
};

struct epoll {
	uint64_t node;
	uint64_t number; /* its name in the ledger; 0: it got none yet */
	int32_t sleeper; /* the thread that was seen to sleep in it, at any sample; 0: none */
	bool shared;     /* several were */
};

/* What picks among the sockets of a group. */
struct program {
	uint64_t group;
	struct picker picker;
};

struct holder {
	uint64_t node;
	uint32_t pid, fd;
};

struct thread {
	struct holders_thread_record r;
	const char *cgroup;
	size_t mark; /* the socket for which it was counted last, plus one */
	bool looked; /* state, doing */
	char state, doing[32];
};

/* What a thread had used when the window began. */
struct begun {
	uint32_t tid;
	uint64_t start_ns, cpu_ns, sleeps;
};

/* CPU time of a process: of all its threads, those that are gone too. */
struct process_cpu {
	uint32_t pid;
	uint64_t start_ns, cpu_ns; /* start: of its first thread */
};

/* What a css_set stands for: its cgroup's path, read of a process that is in it. */
struct cgroup {
	uint64_t set;
	uint32_t pid; /* that one */
	char *path;
};

struct inventory {
	struct holders_bpf *bpf;
	struct bpf_link *sockets_link, *threads_link, *connections_link;
	struct selection selection;
	uint32_t scan;
	uint64_t unlisted; /* threads on sockets that found no row in the last fill */
	uint64_t epolls_named;
	/* the last scan */
	struct array found;  /* struct found, by node */
	uint64_t looked_ns;  /* when the sockets were read, CLOCK_MONOTONIC */
	uint64_t begun_ns;   /* likewise, before the window began */
	struct array epolls; /* struct epoll, by node */
	struct array edges;  /* struct edge, by node */
	struct array
		cut; /* uint64_t, ascending: sockets and epolls of which not all edges are listed */
	struct array holders;       /* struct holder, by node, pid, fd */
	struct array threads;       /* struct thread, by task */
	struct array by_tid;        /* const struct thread *, by tid */
	struct array cgroups;       /* struct cgroup, by set */
	struct array epolls_before; /* of the scan before it, for their numbers */
	struct array begun;         /* struct begun, by tid: threads when the window began */
	struct netstat netstat;     /* of the namespaces of listeners that are asked for */
	struct handshake_look handshakes[NETSTAT_NAMESPACES];
	size_t handshake_count;
	struct array cpu,
		cpu_begun;        /* struct process_cpu, by pid: now, and when the window began */
	struct array programs;    /* struct program, as they came */
	struct array connections; /* struct holders_connection_record */
	struct array
		pids; /* uint32_t, of the processes that the kernel side remembers, ascending */
	bool closely; /* the next scan asks for descriptors, too */
	struct hindrances hindrances;
};

/* ---- lists ---- */

static int by_node(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return COMPARE(x->r.node, y->r.node);
}

static int epolls_by_node(const void *a, const void *b)
{
	const struct epoll *x = a, *y = b;

	return COMPARE(x->node, y->node);
}

static int by_value(const void *a, const void *b)
{
	return COMPARE(*(const uint64_t *)a, *(const uint64_t *)b);
}

static int by_pid(const void *a, const void *b)
{
	return COMPARE(*(const uint32_t *)a, *(const uint32_t *)b);
}

static int edges_by_node(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	return COMPARE(x->node, y->node);
}

static int holders_by_node(const void *a, const void *b)
{
	const struct holder *x = a, *y = b;

	return COMPARE(x->node, y->node);
}

static int holders_in_order(const void *a, const void *b)
{
	const struct holder *x = a, *y = b;

	if (x->node != y->node)
		return COMPARE(x->node, y->node);
	if (x->pid != y->pid)
		return COMPARE(x->pid, y->pid);
	return COMPARE(x->fd, y->fd);
}

static int by_task(const void *a, const void *b)
{
	const struct thread *x = a, *y = b;

	return COMPARE(x->r.task, y->r.task);
}

static int by_tid(const void *a, const void *b)
{
	const struct thread *x = *(const struct thread *const *)a,
			    *y = *(const struct thread *const *)b;

	return COMPARE(x->r.tid, y->r.tid);
}

static int begun_by_tid(const void *a, const void *b)
{
	const struct begun *x = a, *y = b;

	return COMPARE(x->tid, y->tid);
}

static int cpu_by_pid(const void *a, const void *b)
{
	const struct process_cpu *x = a, *y = b;

	return COMPARE(x->pid, y->pid);
}

static void cgroups_forget(struct inventory *v)
{
	struct cgroup *rows = v->cgroups.rows;

	for (size_t i = 0; i < v->cgroups.count; i++)
		free(rows[i].path);
	v->cgroups.count = 0;
}

static int by_set(const void *a, const void *b)
{
	const struct cgroup *x = a, *y = b;

	return COMPARE(x->set, y->set);
}

/* ---- opening ---- */

static int attach(struct bpf_program *program, struct bpf_link **link)
{
	*link = bpf_program__attach_iter(program, NULL);
	return *link ? 0 : -errno;
}

int inventory_open(struct inventory **out, const struct selection *selection, bool bound,
		   bool connections, char *why, size_t why_size)
{
	struct inventory *v = calloc(1, sizeof(*v));
	struct bpf_program *list_sockets;
	int err;

	if (!v)
		return loading_fail(-ENOMEM, why, why_size, "out of memory");
	v->selection = *selection;
	err = loading_prepare(why, why_size);
	if (err)
		goto out;
	v->bpf = holders_bpf__open();
	if (!v->bpf) {
		err = loading_fail(-errno, why, why_size,
				   "cannot open the inventory's programs: %s", strerror(errno));
		goto out;
	}
	v->bpf->rodata->with_bound = bound && selection->port_count;
	v->bpf->rodata->has_socket_cookie = loading_has_socket_cookie();
	if (libbpf_probe_bpf_helper(BPF_PROG_TYPE_KPROBE, BPF_FUNC_loop, NULL) == 1)
		list_sockets = v->bpf->progs.list_sockets;
	else
		list_sockets = v->bpf->progs.list_sockets_old;
	bpf_program__set_autoload(list_sockets, true);
	bpf_program__set_autoload(v->bpf->progs.list_connections, connections);
	err = holders_bpf__load(v->bpf);
	if (!err)
		err = attach(list_sockets, &v->sockets_link);
	if (!err)
		err = attach(v->bpf->progs.list_threads, &v->threads_link);
	if (!err && connections)
		err = attach(v->bpf->progs.list_connections, &v->connections_link);
	if (err)
		loading_no_iterators(err, "cannot list the sockets of processes", why, why_size);
out:
	if (err) {
		inventory_close(v);
		return err;
	}
	*out = v;
	return 0;
}

double inventory_seconds(const struct inventory *v)
{
	return v->begun_ns ? (v->looked_ns - v->begun_ns) / 1e9 : 0;
}

uint64_t inventory_unlisted(const struct inventory *v)
{
	return v->unlisted;
}

uint64_t inventory_memory(const struct inventory *v)
{
	return loading_memory(v->bpf->obj);
}

void inventory_close(struct inventory *v)
{
	if (!v)
		return;
	free(v->found.rows);
	free(v->epolls.rows);
	free(v->epolls_before.rows);
	free(v->edges.rows);
	free(v->cut.rows);
	free(v->holders.rows);
	free(v->threads.rows);
	free(v->by_tid.rows);
	cgroups_forget(v);
	free(v->cgroups.rows);
	free(v->begun.rows);
	free(v->cpu.rows);
	free(v->cpu_begun.rows);
	free(v->pids.rows);
	netstat_close(&v->netstat);
	free(v->connections.rows);
	free(v->programs.rows);
	bpf_link__destroy(v->sockets_link);
	bpf_link__destroy(v->threads_link);
	bpf_link__destroy(v->connections_link);
	holders_bpf__destroy(v->bpf);
	free(v);
}

/* ---- scanning ---- */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* Who waits on the socket or epoll `at`. Returns 0 or -ENOMEM. */
static int waiters_take(struct inventory *v, const struct holders_waiters_record *r, uint64_t at)
{
	if (r->cut && !array_add(&v->cut, &at, sizeof(at)))
		return -ENOMEM;
	for (uint32_t i = 0; i < r->count && r->first + i < HOLDERS_WAITERS_MAX; i++) {
		const uint64_t waiter = v->bpf->bss->waiters[r->first + i];
		const struct edge e = { at, waiter & ~(uint64_t)HOLDERS_HOW, waiter & HOLDERS_HOW };

		if (e.waiter && !array_add(&v->edges, &e, sizeof(e)))
			return -ENOMEM;
	}
	return 0;
}

/* A row for each thread, which cpu_add_up() makes one for each process. */
static int cpu_take(struct inventory *v, const struct holders_thread_record *r)
{
	const struct process_cpu row = { r->pid, r->tid == r->pid ? r->start_ns : 0,
					 r->cpu_ns + (r->tid == r->pid ? r->gone_cpu_ns : 0) };

	return array_add(&v->cpu, &row, sizeof(row)) ? 0 : -ENOMEM;
}

/* One row a process. */
static void cpu_add_up(struct array *cpu)
{
	struct process_cpu *rows = cpu->rows;
	size_t kept = 0;

	array_sort(cpu, sizeof(*rows), cpu_by_pid);
	for (size_t i = 0; i < cpu->count; i++) {
		if (!kept || rows[kept - 1].pid != rows[i].pid) {
			rows[kept++] = rows[i];
			continue;
		}
		rows[kept - 1].cpu_ns += rows[i].cpu_ns;
		rows[kept - 1].start_ns |= rows[i].start_ns; /* 0 but of its first thread */
	}
	cpu->count = kept;
}

static int program_take(struct inventory *v, const struct holders_program_record *r)
{
	_Static_assert(sizeof(struct picker_instruction) == sizeof(*r->instructions) &&
			       PICKER_INSTRUCTIONS == HOLDERS_INSTRUCTIONS,
		       "the same");
	struct program p = { .group = r->group, .picker = { .kind = PICKER_EBPF } };

	if (r->classic)
		p.picker = picker_tell((const void *)r->instructions, r->length,
				       sysconf(_SC_NPROCESSORS_CONF), r->sockets);
	return array_add(&v->programs, &p, sizeof(p)) ? 0 : -ENOMEM;
}

/* Takes one record. `at`: the socket or epoll that the next waiters wait on. Returns its size, or
 * negative errno. */
static int record_take(struct inventory *v, const char *bytes, uint64_t *at)
{
	uint32_t kind = *(const uint32_t *)bytes;

	if (kind == HOLDERS_SOCKET) {
		struct found f = { .r = *(const struct holders_socket_record *)bytes };

		*at = f.r.node;
		return array_add(&v->found, &f, sizeof(f)) ? (int)sizeof(f.r) : -ENOMEM;
	}
	if (kind == HOLDERS_THREAD) {
		struct thread t = { .r = *(const struct holders_thread_record *)bytes };

		if (cpu_take(v, &t.r))
			return -ENOMEM;
		return t.r.helper || array_add(&v->threads, &t, sizeof(t)) ? (int)sizeof(t.r)
									   : -ENOMEM;
	}
	if (kind == HOLDERS_PROGRAM)
		return program_take(v, (const void *)bytes)
			       ? -ENOMEM
			       : (int)sizeof(struct holders_program_record);
	if (kind == HOLDERS_CONNECTION)
		return array_add(&v->connections, bytes, sizeof(struct holders_connection_record))
			       ? (int)sizeof(struct holders_connection_record)
			       : -ENOMEM;
	if (kind == HOLDERS_HOLDER) {
		const struct holders_holder_record *r = (const void *)bytes;
		struct holder h = { r->node, r->pid, r->fd };

		return array_add(&v->holders, &h, sizeof(h)) ? (int)sizeof(*r) : -ENOMEM;
	}
	if (kind == HOLDERS_EPOLL) {
		struct epoll epoll = { .node = ((const struct holders_epoll_record *)bytes)->node };

		*at = epoll.node;
		return array_add(&v->epolls, &epoll, sizeof(epoll))
			       ? (int)sizeof(struct holders_epoll_record)
			       : -ENOMEM;
	}
	int err = waiters_take(v, (const void *)bytes, *at);

	return err ? err : (int)sizeof(struct holders_waiters_record);
}

/* Runs an iterator and takes its records. A read ends between two files or threads, so never within
 * a record. */
static int iterate(struct inventory *v, const struct bpf_link *link)
{
	static _Alignas(8) char buffer[HOLDERS_STREAM];
	int fd = bpf_iter_create(bpf_link__fd(link)), err = 0;
	uint64_t at = 0;
	ssize_t length;

	if (fd < 0)
		return -errno;
	while (!err &&
	       (v->bpf->bss->waiters_count = 0, length = read(fd, buffer, sizeof(buffer))) != 0) {
		if (length < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (length < 0)
			err = -errno;
		for (ssize_t i = 0; i < length && err >= 0;) {
			err = record_take(v, buffer + i, &at);
			i += err > 0 ? err : 0;
		}
		err = err > 0 ? 0 : err;
	}
	close(fd);
	return err;
}

/* Sockets may be listed twice. */
static void found_unique(struct inventory *v)
{
	struct found *rows = v->found.rows;
	size_t kept = 0;

	for (size_t i = 0; i < v->found.count; i++)
		if (!kept || rows[kept - 1].r.node != rows[i].r.node)
			rows[kept++] = rows[i];
	v->found.count = kept;
}

/* Takes processes that hold sockets no more out of the kernel's table, which has room for
 * HOLDERS_PROCESSES_MAX. */
static int processes_forget(struct inventory *v)
{
	const struct holder *holders = v->holders.rows;
	struct array now = {};

	for (size_t i = 0; i < v->holders.count; i++)
		if (!array_add(&now, &holders[i].pid, sizeof(holders[i].pid))) {
			free(now.rows);
			return -ENOMEM;
		}
	array_sort(&now, sizeof(uint32_t), by_pid);
	for (size_t i = 0; i < v->pids.count; i++) {
		uint32_t pid = ((uint32_t *)v->pids.rows)[i];

		if ((!i || pid != ((uint32_t *)v->pids.rows)[i - 1]) &&
		    array_first(&now, sizeof(pid), &pid, by_pid) == now.count)
			bpf_map_delete_elem(bpf_map__fd(v->bpf->maps.processes), &pid);
	}
	free(v->pids.rows);
	v->pids = now;
	return 0;
}

static const char *cgroup_path(struct inventory *v, const struct thread *t)
{
	struct cgroup key = { .set = t->r.cgroups };
	size_t i = array_first(&v->cgroups, sizeof(key), &key, by_set);

	return i < v->cgroups.count ? ((struct cgroup *)v->cgroups.rows)[i].path : "";
}

/* A css_set lives as long as a thread is in it; its address may come back later with another
 * meaning, so each scan reads anew. */
static int cgroups_read(struct inventory *v)
{
	struct thread *threads = v->threads.rows;
	char path[PROCESS_CGROUP_SIZE];
	struct cgroup *rows;
	size_t kept = 0;

	cgroups_forget(v);
	for (size_t i = 0; i < v->threads.count; i++) {
		struct cgroup c = { .set = threads[i].r.cgroups, .pid = threads[i].r.pid };

		/* Threads of a process come one after the other, mostly all in one set. */
		if (i && threads[i - 1].r.cgroups == c.set)
			continue;
		if (!array_add(&v->cgroups, &c, sizeof(c)))
			return -ENOMEM;
	}
	array_sort(&v->cgroups, sizeof(struct cgroup), by_set);
	rows = v->cgroups.rows;
	for (size_t i = 0; i < v->cgroups.count; i++) {
		if (kept && rows[kept - 1].set == rows[i].set)
			continue;
		process_cgroup(rows[i].pid, path);
		rows[kept] = rows[i];
		rows[kept].path = strdup(path);
		if (!rows[kept++].path)
			break;
	}
	v->cgroups.count = kept;
	if (kept && !rows[kept - 1].path)
		return -ENOMEM;
	for (size_t i = 0; i < v->threads.count; i++)
		threads[i].cgroup = cgroup_path(v, &threads[i]);
	return 0;
}

static int threads_index(struct inventory *v)
{
	int err = cgroups_read(v);

	if (err)
		return err;
	array_sort(&v->threads, sizeof(struct thread), by_task);
	v->by_tid.count = 0;
	for (size_t i = 0; i < v->threads.count; i++) {
		const struct thread *t = (struct thread *)v->threads.rows + i;

		if (!array_add(&v->by_tid, &t, sizeof(t)))
			return -ENOMEM;
	}
	array_sort(&v->by_tid, sizeof(struct thread *), by_tid);
	return 0;
}

static struct thread *thread_by_tid(const struct inventory *v, uint32_t tid)
{
	const struct thread key = { .r.tid = tid }, *pointer = &key;
	size_t i = array_first(&v->by_tid, sizeof(pointer), &pointer, by_tid);

	return i < v->by_tid.count ? ((struct thread **)v->by_tid.rows)[i] : NULL;
}

/* task: the kernel's address of it. NULL: no thread of the sample, or no task at all. */
static struct thread *thread_by_task(const struct inventory *v, uint64_t task)
{
	const struct thread key = { .r.task = task };
	size_t i = array_first(&v->threads, sizeof(key), &key, by_task);

	return i < v->threads.count ? (struct thread *)v->threads.rows + i : NULL;
}

static bool held_by_wanted(const struct inventory *v, uint64_t node)
{
	const struct holder key = { .node = node }, *rows = v->holders.rows;

	for (size_t i = array_first(&v->holders, sizeof(key), &key, holders_by_node);
	     i < v->holders.count && rows[i].node == node; i++) {
		const struct thread *t = thread_by_tid(v, rows[i].pid);

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

/* The epoll in a list by node; NULL if it is not there. */
static struct epoll *epoll_find(const struct array *epolls, uint64_t node)
{
	const struct epoll key = { .node = node };
	size_t i = array_first(epolls, sizeof(key), &key, epolls_by_node);

	return i < epolls->count ? (struct epoll *)epolls->rows + i : NULL;
}

/* One that was there at the scan before keeps its number. (One that was closed and whose memory
 * another got by now can't be told.) */
static void epolls_index(struct inventory *v)
{
	struct epoll *rows;

	array_sort(&v->epolls, sizeof(struct epoll), epolls_by_node);
	rows = v->epolls.rows;
	for (size_t i = 0; i < v->epolls.count; i++) {
		const struct epoll *before = epoll_find(&v->epolls_before, rows[i].node);

		rows[i].number = before ? before->number : 0;
		rows[i].sleeper = before ? before->sleeper : 0;
		rows[i].shared = before && before->shared;
	}
}

/* Who sleeps in them: of one that several threads share, not all do at once. */
static void epolls_sleepers(struct inventory *v)
{
	const struct edge *rows = v->edges.rows;
	struct epoll *epoll = NULL;

	for (size_t i = 0; i < v->edges.count; i++) {
		const struct thread *t;

		if (!i || rows[i].node != rows[i - 1].node)
			epoll = epoll_find(&v->epolls, rows[i].node);
		t = epoll ? thread_by_task(v, rows[i].waiter) : NULL;
		if (!t)
			continue;
		epoll->shared |= epoll->sleeper && epoll->sleeper != (int32_t)t->r.tid;
		epoll->sleeper = t->r.tid;
	}
}

/* Held by several processes an epoll is listed several times: the number is that of the first. */
static uint64_t epoll_number(struct inventory *v, struct epoll *epoll)
{
	if (!epoll->number)
		epoll->number = ++v->epolls_named;
	return epoll->number;
}

static int scan_once(struct inventory *v)
{
	struct array epolls = v->epolls_before;
	int err;

	v->epolls_before = v->epolls;
	v->epolls = epolls;
	v->found.count = v->epolls.count = v->edges.count = v->cut.count = v->holders.count =
		v->threads.count = v->cpu.count = 0;
	v->programs.count = 0;
	v->bpf->bss->program.group = 0;
	v->bpf->bss->processes_left_out = 0;
	v->bpf->bss->with_descriptors = v->closely;
	v->bpf->bss->scan = ++v->scan;
	err = iterate(v, v->sockets_link);
	v->looked_ns = now_ns();
	if (!err)
		err = iterate(v, v->threads_link);
	if (!err)
		err = processes_forget(v);
	if (!err)
		err = threads_index(v);
	if (err)
		return err;
	cpu_add_up(&v->cpu);
	array_sort(&v->found, sizeof(struct found), by_node);
	found_unique(v);
	epolls_index(v);
	array_sort(&v->edges, sizeof(struct edge), edges_by_node);
	epolls_sleepers(v);
	array_sort(&v->cut, sizeof(uint64_t), by_value);
	array_sort(&v->holders, sizeof(struct holder), holders_in_order);
	select_sockets(v);
	return 0;
}

/* Kernels before 5.12 name a socket only when sock_diag lists it. */
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

static bool is_listener(const struct found *f)
{
	return f->r.protocol == IPPROTO_TCP && !f->r.bound;
}

/* The namespaces of listeners that are asked for, ascending. defer: only of those with
 * TCP_DEFER_ACCEPT. Returns 0 or -ENOMEM. */
static int listener_namespaces(const struct inventory *v, bool defer, struct array *out)
{
	const struct found *rows = v->found.rows;
	uint32_t *numbers;
	size_t kept = 0;

	for (size_t i = 0; i < v->found.count; i++)
		if (rows[i].wanted && is_listener(&rows[i]) && (!defer || rows[i].r.defer_accept) &&
		    !array_add(out, &rows[i].r.netns, sizeof(rows[i].r.netns)))
			return -ENOMEM;
	array_sort(out, sizeof(uint32_t), by_pid);
	numbers = out->rows;
	for (size_t i = 0; i < out->count; i++)
		if (!kept || numbers[kept - 1] != numbers[i])
			numbers[kept++] = numbers[i];
	out->count = kept;
	return 0;
}

/*
 * Follows the namespaces of the scan. *again: one with TCP_DEFER_ACCEPT was not read before it, and
 * what its sockets count from now on has to be held against what it had counted just then.
 */
static int netstat_follow(struct inventory *v, bool *again)
{
	struct array all = {}, deferring = {};
	bool opened = false;
	int err = listener_namespaces(v, false, &all);

	if (!err)
		err = netstat_open(&v->netstat, all.rows, all.count, &opened);
	if (!err && opened)
		err = listener_namespaces(v, true, &deferring);
	*again = deferring.count;
	free(all.rows);
	free(deferring.rows);
	return err;
}

int inventory_scan(struct inventory *v)
{
	bool again;
	int err;

	netstat_before(&v->netstat);
	err = scan_named(v);
	if (!err)
		err = netstat_follow(v, &again);
	if (!err && again) {
		netstat_before(&v->netstat);
		err = scan_once(v);
	}
	v->handshake_count = err ? 0 : netstat_after(&v->netstat, v->handshakes);
	return err;
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
	const struct thread *t = thread_by_tid(v, pid);
	char cgroup[PROCESS_CGROUP_SIZE];

	if (t)
		return selection_process(&v->selection, pid, t->r.process, t->cgroup)
			       ? INVENTORY_ASKED
			       : INVENTORY_NOT_ASKED;
	process_cgroup(pid, cgroup);
	if (selection_process(&v->selection, pid, name, cgroup))
		return INVENTORY_ASKED;
	/* Of one that is gone only the pid is certain: a thread may have had another name than its
	 * process. */
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
		if (rows[i].wanted && is_listener(&rows[i]) &&
		    (rows[i].r.length || rows[i].r.half_open))
			return true;
	return netstat_refuses(&v->netstat);
}

/* ---- connections ---- */

int32_t inventory_sleeper(const struct inventory *v, uint64_t epoll)
{
	const struct epoll *rows = v->epolls.rows;

	for (size_t i = 0; i < v->epolls.count; i++)
		if (rows[i].number == epoll)
			return rows[i].shared ? -1 : rows[i].sleeper;
	return 0;
}

/* Could the connection have come from that listener? Its own address says so before any. */
static bool connection_fits(const struct holders_connection_record *c, const struct found *f,
			    bool any)
{
	static const uint8_t nowhere[16];
	const struct holders_socket_record *r = &f->r;

	return is_listener(f) && r->netns == c->netns && r->port == c->port &&
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

/* Who reads it: of a process of one thread that one; else who waits for it now, by a read, or in
 * the epoll that watches it. */
static void reader_tell(struct inventory *v, struct inventory_connection *to, uint64_t waiter)
{
	const struct thread *leader = thread_by_tid(v, to->pid), *t;
	const uint64_t who = waiter & ~(uint64_t)HOLDERS_HOW;
	const bool by_epoll = (waiter & HOLDERS_BY) == HOLDERS_BY_EPOLL;
	struct epoll *epoll = by_epoll ? epoll_find(&v->epolls, who) : NULL;

	to->start_ns = leader ? leader->r.start_ns : 0;
	if (epoll)
		to->epoll = epoll_number(v, epoll);
	if (leader && leader->r.threads == 1) {
		to->tid = to->pid;
	} else if (epoll) {
		to->tid = epoll->shared ? 0 : epoll->sleeper;
	} else if (waiter && !by_epoll) {
		t = thread_by_task(v, who);
		to->tid = t ? (int32_t)t->r.tid : 0;
	}
}

static int connections_by_node(const void *a, const void *b)
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
		if (rows[i].wanted && is_listener(&rows[i]))
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
	err = iterate(v, v->connections_link);
	*rows = err ? NULL : calloc(v->connections.count + 1, sizeof(**rows));
	if (!*rows)
		return err ? err : -ENOMEM;
	array_sort(&v->connections, sizeof(*r), connections_by_node);
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

/* ---- bringing a ledger up to date ---- */

/* How the way from a socket to a thread goes: by the socket's own entry, and where that is an
 * epoll's, by the last epoll. */
struct way {
	enum wait_kind kind;
	bool exclusive;
	uint64_t epoll;
};

static struct way way_begin(const struct edge *e)
{
	static const enum wait_kind kinds[] = { [HOLDERS_BY_SLEEP] = WAITS_BLOCKED,
						[HOLDERS_BY_POLL] = WAITS_POLL,
						[HOLDERS_BY_EPOLL] = WAITS_EPOLL,
						[HOLDERS_BY_URING] = WAITS_URING };

	return (struct way){ .kind = kinds[e->how & HOLDERS_BY],
			     .exclusive = e->how & HOLDERS_EXCLUSIVE };
}

static void worker_waits(struct ledger_worker *w, struct way way)
{
	w->row.wait_kind = way.kind;
	w->row.exclusive = way.exclusive;
	w->row.epoll = way.epoll;
}

/* What is done for each thread that waits on a socket. */
struct waiters {
	struct inventory *v;
	struct ledger *l;
	struct ledger_socket *socket;
	size_t index; /* of the socket, plus one */
	uint64_t started_ns;
};

/* What the threads of the last sample have used by now: the window begins after it. */
static int usage_begin(struct inventory *v)
{
	const struct thread *const *rows = v->by_tid.rows;

	v->begun_ns = v->looked_ns;
	v->begun.count = 0;
	for (size_t i = 0; i < v->by_tid.count; i++) {
		const struct begun b = { .tid = rows[i]->r.tid,
					 .start_ns = rows[i]->r.start_ns,
					 .cpu_ns = rows[i]->r.cpu_ns,
					 .sleeps = rows[i]->r.sleeps };

		if (!array_add(&v->begun, &b, sizeof(b)))
			return -ENOMEM;
	}
	v->cpu_begun.count = 0;
	for (size_t i = 0; i < v->cpu.count; i++)
		if (!array_add(&v->cpu_begun, (struct process_cpu *)v->cpu.rows + i,
			       sizeof(struct process_cpu)))
			return -ENOMEM;
	return 0;
}

static const struct process_cpu *cpu_find(const struct array *cpu, uint32_t pid)
{
	const struct process_cpu key = { .pid = pid };
	const size_t i = array_first(cpu, sizeof(key), &key, cpu_by_pid);

	return i < cpu->count ? (const struct process_cpu *)cpu->rows + i : NULL;
}

/* Of a process that began before the window and held no socket then it is not known. */
static void process_usage_fill(const struct inventory *v, struct worker_row *row,
			       uint64_t started_ns)
{
	const struct process_cpu *now = cpu_find(&v->cpu, row->pid),
				 *begun = cpu_find(&v->cpu_begun, row->pid);

	if (!now)
		return;
	if (begun && begun->start_ns != now->start_ns)
		begun = NULL;
	row->process_cpu_known = begun || (started_ns && now->start_ns > started_ns);
	/* A thread that ended amid a sample may be in neither sum of it. */
	row->process_cpu_ns = growth(now->cpu_ns, begun ? begun->cpu_ns : 0);
}

/* Of a thread that began before the window, in a process that held no socket then, it is not known.
 */
static void usage_fill(const struct inventory *v, struct worker_row *row, const struct thread *t)
{
	const struct begun key = { .tid = t->r.tid }, *rows = v->begun.rows;
	const size_t i = array_first(&v->begun, sizeof(key), &key, begun_by_tid);
	const bool known = i < v->begun.count && rows[i].start_ns == t->r.start_ns;

	row->usage_known = known || row->appeared;
	row->cpu_ns = growth(t->r.cpu_ns, known ? rows[i].cpu_ns : 0);
	row->sleeps = t->r.sleeps - (known ? rows[i].sleeps : 0);
}

static void worker_describe(const struct inventory *v, struct ledger_worker *w,
			    const struct thread *t, uint64_t started_ns)
{
	w->row.pid = t->r.pid;
	w->row.pid_inside = t->r.pid_inside;
	w->row.tid_inside = t->r.tid_inside;
	w->row.parent = t->r.parent;
	w->row.appeared = started_ns && t->r.start_ns > started_ns;
	memcpy(w->row.comm, t->r.comm, sizeof(w->row.comm));
	memcpy(w->row.process, t->r.process, sizeof(w->row.process));
	cgroup_set(w->row.cgroup, t->cgroup);
	usage_fill(v, &w->row, t);
	process_usage_fill(v, &w->row, started_ns);
}

/* asleep: else it is known to come back. */
static int waiter_add(const struct waiters *to, struct thread *t, struct way way, bool asleep)
{
	struct ledger_worker *const *rows, *w;

	if (t->mark == to->index) /* through several descriptors or epolls */
		return 0;
	t->mark = to->index;
	to->socket->row.waiting++;
	to->socket->row.idle_sum += asleep && to->started_ns;
	w = ledger_find_worker(to->l, to->socket->row.cookie, t->r.tid, t->r.start_ns);
	if (!w && ledger_workers(to->l, &rows) >= WAITING_MAX) {
		to->v->unlisted++;
		to->socket->row.waiting_cut = true;
		return 0;
	}
	if (!w)
		w = ledger_worker(to->l, to->socket->row.cookie, t->r.tid, t->r.start_ns, NULL);
	if (!w)
		return -ENOMEM;
	ledger_revive_worker(to->l, w);
	worker_describe(to->v, w, t, to->started_ns);
	w->row.can_accept = true;
	w->row.waits = true;
	worker_waits(w, way);
	w->scan = to->v->scan;
	return 0;
}

/* The only process that holds it; 0: nobody, or a fork left it in several. */
static uint32_t only_holder(const struct inventory *v, uint64_t node)
{
	const struct holder key = { .node = node }, *rows = v->holders.rows;
	const size_t first = array_first(&v->holders, sizeof(key), &key, holders_by_node);
	size_t i = first;

	while (i < v->holders.count && rows[i].node == node && rows[i].pid == rows[first].pid)
		i++;
	return i > first && (i == v->holders.count || rows[i].node != node) ? rows[first].pid : 0;
}

/*
 * Nobody sleeps in this epoll now: its owner is busy. If only one process has it and that has one
 * thread, then that is who comes back to it. An epoll that a fork left in two processes tells
 * nothing.
 */
static int owner_add(const struct waiters *to, uint64_t epoll, struct way way)
{
	const uint32_t pid = only_holder(to->v, epoll);
	struct thread *t = pid ? thread_by_tid(to->v, pid) : NULL;

	return t && t->r.threads == 1 ? waiter_add(to, t, way, false) : 0;
}

/*
 * Threads that sleep on the node itself. They before its epolls: a process may register the socket
 * in an epoll and then block in accept() all the same (apache's prefork, for one); what it sleeps
 * in decides how it is woken.
 */
static int sleepers_add(const struct waiters *to, uint64_t node, int depth, struct way way,
			bool *any)
{
	const struct edge key = { .node = node }, *rows = to->v->edges.rows;
	int err = 0;

	for (size_t i = array_first(&to->v->edges, sizeof(key), &key, edges_by_node);
	     i < to->v->edges.count && rows[i].node == node && !err; i++) {
		struct thread *t = thread_by_task(to->v, rows[i].waiter);
		struct way next = depth == EPOLL_DEPTH ? way_begin(&rows[i]) : way;

		if (!t)
			continue;
		err = waiter_add(to, t, next, true);
		*any = true;
	}
	return err;
}

/* Those who wait on the node, through epolls too. way: to the node; of no meaning for the socket
 * itself. */
static int waiters_follow(const struct waiters *to, uint64_t node, int depth, struct way way)
{
	const struct edge key = { .node = node }, *rows = to->v->edges.rows;
	bool any = false;
	int err = sleepers_add(to, node, depth, way, &any);

	to->socket->row.waiting_cut |=
		array_first(&to->v->cut, sizeof(node), &node, by_value) < to->v->cut.count;
	for (size_t i = array_first(&to->v->edges, sizeof(key), &key, edges_by_node);
	     i < to->v->edges.count && rows[i].node == node && !err; i++) {
		struct way next = depth == EPOLL_DEPTH ? way_begin(&rows[i]) : way;
		struct epoll *epoll;

		if (thread_by_task(to->v, rows[i].waiter)) {
			continue;
		} else if (depth && (epoll = epoll_find(&to->v->epolls, rows[i].waiter))) {
			next.epoll = epoll_number(to->v, epoll);
			err = waiters_follow(to, rows[i].waiter, depth - 1, next);
			any = true;
		} else if (to->v->bpf->bss
				   ->processes_left_out) { /* it may be a thread of one of those */
			to->socket->row.waiting_cut = true;
		}
	}
	if (!any && !err && depth < EPOLL_DEPTH)
		err = owner_add(to, node, way);
	return err;
}

/* Interface names belong to a network namespace. Returns a negative errno only if the way back from
 * it failed. */
static int device_name(const struct holders_socket_record *r, char *name, size_t size)
{
	char found[IF_NAMESIZE];
	int err = namespace_device(r->netns, r->device, found);

	if (*found)
		snprintf(name, size, "%s", found);
	else
		snprintf(name, size, "if%u", r->device);
	return err;
}

/* Returns 0 or a negative errno of device_name(). */
static int socket_describe(const struct inventory *v, struct ledger_socket *s,
			   const struct found *f)
{
	const struct holders_socket_record *r = &f->r;

	s->protocol = r->protocol == IPPROTO_UDP ? PROTOCOL_UDP : PROTOCOL_TCP;
	s->port = r->port;
	s->netns = r->netns;
	s->row.inode = r->inode;
	s->row.uid = r->uid;
	s->row.reuseport = r->reuseport;
	s->row.connected = r->connected;
	s->row.member = r->member;
	s->row.aside = r->bound ? ASIDE_BOUND : ASIDE_NOT;
	ledger_describe_address(s, r->family, r->address);
	s->row.group = 0; /* groups_name() */
	s->row.v6only = r->v6only;
	s->row.queue_known = !r->bound;
	s->row.queue_length = r->length;
	s->row.queue_limit = r->limit;
	s->read_ns = v->looked_ns;
	s->row.steered = r->steered;
	/*
	 * The kernel notes the CPU of each packet in the same field, but only of sockets that are
	 * connected, or were: a client's that only has its port now. What is left there when a UDP
	 * socket is disconnected again can't be told from a setting.
	 */
	s->row.incoming_cpu_set = r->incoming_cpu >= 0 && !r->connected && !r->bound;
	s->row.incoming_cpu = s->row.incoming_cpu_set ? r->incoming_cpu : 0;
	s->row.waiting_known = true;
	s->drops_now = r->drops;
	s->scan = v->scan;
	return r->device && !*s->row.device ? device_name(r, s->row.device, sizeof(s->row.device))
					    : 0;
}

static int edges_in_order(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;
	int order = edges_by_node(a, b);

	return order ? order : COMPARE(x->waiter, y->waiter);
}

/* A group's name is the lowest cookie of its sockets. */
static struct picker picker_of(const struct inventory *v, uint64_t group)
{
	const struct program *rows = v->programs.rows;

	for (size_t i = 0; i < v->programs.count; i++)
		if (rows[i].group == group)
			return rows[i].picker;
	return (struct picker){};
}

static int groups_name(const struct inventory *v, struct ledger *l)
{
	const struct found *rows = v->found.rows;
	struct array groups = {}; /* edges from a group to its cookies */

	for (size_t i = 0; i < v->found.count; i++) {
		struct edge e = { .node = rows[i].r.group, .waiter = rows[i].r.cookie };

		if (rows[i].r.group && !array_add(&groups, &e, sizeof(e))) {
			free(groups.rows);
			return -ENOMEM;
		}
	}
	array_sort(&groups, sizeof(struct edge), edges_in_order);
	for (size_t i = 0; i < v->found.count; i++) {
		const struct edge key = { .node = rows[i].r.group };
		struct ledger_socket *s =
			rows[i].wanted && key.node ? ledger_find_socket(l, rows[i].r.cookie) : NULL;

		if (s && s->row.steered)
			s->row.picker = picker_of(v, key.node);
		if (s)
			s->row.group =
				((struct edge *)groups.rows)[array_first(&groups, sizeof(key), &key,
									 edges_by_node)]
					.waiter;
	}
	free(groups.rows);
	return 0;
}

/* What the namespaces counted by this scan, and which listeners they withhold ACKs for. */
static int handshakes_enter(const struct inventory *v, struct ledger *l, enum handshake_when when)
{
	const struct found *rows = v->found.rows;
	struct array deferring = {};
	int err = 0;

	for (size_t i = 0; i < v->found.count && !err; i++) {
		const struct deferring d = { .cookie = rows[i].r.cookie,
					     .netns = rows[i].r.netns,
					     .drops = rows[i].r.drops };

		if (is_listener(&rows[i]) && rows[i].r.defer_accept)
			err = array_add(&deferring, &d, sizeof(d)) ? 0 : -ENOMEM;
	}
	if (!err)
		err = handshakes_look(ledger_handshakes(l), when, v->handshakes, v->handshake_count,
				      deferring.rows, deferring.count);
	free(deferring.rows);
	return err;
}

static void half_open_enter(struct ledger *l, struct ledger_socket *s, const struct found *f)
{
	const struct handshake_set *set = ledger_handshakes(l);
	struct half_open *q = &s->row.half_open;

	if (!is_listener(f))
		return;
	q->limit = half_open_limit(handshakes_find(set->rows, set->count, f->r.netns), f->r.limit);
	q->defer_accept = f->r.defer_accept;
	q->syn_retries = f->r.syn_retries;
	half_open_look(q, f->r.half_open, f->r.young);
}

static int socket_fill(struct inventory *v, struct ledger *l, const struct found *f, size_t index,
		       uint64_t started_ns)
{
	struct waiters to = { .v = v, .l = l, .index = index + 1, .started_ns = started_ns };
	struct ledger_socket *s;
	bool made;
	int err;

	s = ledger_socket(l, f->r.cookie, &made);
	if (!s)
		return -ENOMEM;
	if (made && started_ns)
		s->row.appeared = true;
	if (s->row.appeared && !s->row.appeared_ns)
		s->row.appeared_ns = clock_ns(CLOCK_BOOTTIME) - started_ns;
	if (!s->scan && !s->row.appeared)
		s->drops_first = f->r.drops;
	ledger_revive_socket(l, s);
	err = socket_describe(v, s, f);
	half_open_enter(l, s, f);
	s->undecided = false;
	s->row.waiting = 0;
	to.socket = s;
	if (!err)
		err = waiters_follow(&to, f->r.node, EPOLL_DEPTH, (struct way){});
	s->row.looks += started_ns != 0;
	if (s->row.waiting > s->row.waiting_most)
		s->row.waiting_most = s->row.waiting;
	return err;
}

static int by_cookie(const void *a, const void *b)
{
	const struct holder_row *x = a, *y = b;

	return x->cookie != y->cookie ? COMPARE(x->cookie, y->cookie) : COMPARE(x->pid, y->pid);
}

/* The processes that have the socket in an epoll of their own, ascending. */
static int watchers(const struct inventory *v, uint64_t node, struct array *pids)
{
	const struct edge key = { .node = node }, *rows = v->edges.rows;

	pids->count = 0;
	for (size_t i = array_first(&v->edges, sizeof(key), &key, edges_by_node);
	     i < v->edges.count && rows[i].node == node; i++) {
		const uint32_t pid =
			epoll_find(&v->epolls, rows[i].waiter) ? only_holder(v, rows[i].waiter) : 0;

		if (pid && !array_add(pids, &pid, sizeof(pid)))
			return -ENOMEM;
	}
	array_sort(pids, sizeof(uint32_t), by_pid);
	return 0;
}

/* Does the socket's queue raise the question what its holders do? */
static bool has_backlog(const struct holders_socket_record *r)
{
	return r->protocol == IPPROTO_UDP ? r->length > r->limit / 4 * 3 : r->length;
}

/* What the process of the row does. A process with many such sockets is asked once. */
static void holder_doing(struct holder_row *row, struct thread *first)
{
	if (!first->looked) {
		process_describe_holder(row);
		first->looked = true;
		first->state = row->state;
		memcpy(first->doing, row->doing, sizeof(first->doing));
	}
	row->state = first->state;
	memcpy(row->doing, first->doing, sizeof(row->doing));
}

/* Who holds what, added up by process. */
static int holders_fill(const struct inventory *v, struct ledger *l, uint64_t started_ns)
{
	const struct holder *rows = v->holders.rows;
	const struct found *found = v->found.rows;
	struct array out = {}, watching = {};
	uint64_t node = 0; /* that `watching` is of */
	size_t at = 0;
	int err = 0;

	for (size_t i = 0; i < v->holders.count; i++) {
		struct holder_row *last = out.count ? (struct holder_row *)out.rows + out.count - 1
						    : NULL,
				  row = { .fds = 1 };
		struct thread *t;

		while (at < v->found.count && found[at].r.node < rows[i].node)
			at++;
		if (at == v->found.count || found[at].r.node != rows[i].node || !found[at].wanted)
			continue;
		if (i && rows[i - 1].node == rows[i].node && rows[i - 1].pid == rows[i].pid &&
		    last) {
			last->fds++;
			continue;
		}
		if (node != rows[i].node)
			err = watchers(v, node = rows[i].node, &watching);
		if (err)
			goto out;
		t = thread_by_tid(v, rows[i].pid);
		row.cookie = found[at].r.cookie;
		row.pid = rows[i].pid;
		row.fd = rows[i].fd;
		if (t) {
			row.pid_inside = t->r.pid_inside;
			row.parent = t->r.parent;
			row.start_ns = t->r.start_ns;
			row.polls = array_first(&watching, sizeof(uint32_t), &row.pid, by_pid) <
				    watching.count;
			row.appeared = started_ns && t->r.start_ns > started_ns;
			row.uid = t->r.uid;
			memcpy(row.process, t->r.process, sizeof(row.process));
			cgroup_set(row.cgroup, t->cgroup);
			if (has_backlog(&found[at].r))
				holder_doing(&row, t);
		}
		if (!array_add(&out, &row, sizeof(row))) {
			err = -ENOMEM;
			goto out;
		}
	}
	array_sort(&out, sizeof(struct holder_row), by_cookie);
	ledger_hold(l, out.rows, out.count);
	out.rows = NULL;
out:
	free(watching.rows);
	free(out.rows);
	return err;
}

/* The lowest descriptor that the process has of that socket or epoll; -1: none. */
static int64_t descriptor_of(const struct inventory *v, uint64_t node, uint32_t pid)
{
	const struct holder key = { .node = node }, *rows = v->holders.rows;

	for (size_t i = array_first(&v->holders, sizeof(key), &key, holders_by_node);
	     i < v->holders.count && rows[i].node == key.node; i++)
		if (rows[i].pid == pid)
			return rows[i].fd;
	return -1;
}

static bool holds(const struct inventory *v, uint64_t node, uint32_t pid)
{
	return descriptor_of(v, node, pid) >= 0;
}

static int found_by_cookie(const void *a, const void *b)
{
	const struct found *x = *(const struct found *const *)a,
			   *y = *(const struct found *const *)b;

	return COMPARE(x->r.cookie, y->r.cookie);
}

static bool is_watched(const struct inventory *v, uint64_t epoll)
{
	const struct edge key = { .node = epoll }, *rows = v->edges.rows;

	for (size_t i = array_first(&v->edges, sizeof(key), &key, edges_by_node);
	     i < v->edges.count && rows[i].node == epoll; i++)
		if (epoll_find(&v->epolls, rows[i].waiter))
			return true;
	return false;
}

/*
 * How a thread waits that takes from the socket, but is so busy that it was never seen waiting: an
 * epoll stays on the socket's queue when nobody sleeps in it. Which one is the thread's own is
 * known where its process has only one on that socket, and that one is not nested.
 */
static void busy_waits(struct inventory *v, struct ledger_worker *w, const struct found *f)
{
	const struct edge key = { .node = f->r.node }, *rows = v->edges.rows;
	struct epoll *only = NULL;
	bool several = false;

	for (size_t i = array_first(&v->edges, sizeof(key), &key, edges_by_node);
	     i < v->edges.count && rows[i].node == key.node; i++) {
		struct epoll *epoll = epoll_find(&v->epolls, rows[i].waiter);

		if (!epoll || !holds(v, epoll->node, w->row.pid))
			continue;
		several |= only && only != epoll;
		only = epoll;
		worker_waits(w, way_begin(&rows[i]));
	}
	if (only && !several && !is_watched(v, only->node))
		w->row.epoll = epoll_number(v, only);
}

/* ---- what keeps holders from taking ---- */

/* Sleeps a thread of that process on the node itself? */
static bool sleeps_on(const struct inventory *v, uint64_t node, uint32_t pid)
{
	const struct edge key = { .node = node }, *rows = v->edges.rows;

	for (size_t i = array_first(&v->edges, sizeof(key), &key, edges_by_node);
	     i < v->edges.count && rows[i].node == node; i++) {
		const struct thread *t = thread_by_task(v, rows[i].waiter);

		if (t && t->r.pid == pid)
			return true;
	}
	return false;
}

static bool sleeps_in_epoll(const struct inventory *v, uint32_t pid)
{
	const struct epoll *rows = v->epolls.rows;

	for (size_t i = 0; i < v->epolls.count; i++)
		if (sleeps_on(v, rows[i].node, pid))
			return true;
	return false;
}

/* An epoll in which a thread of the process sleeps: how has it the socket? */
static enum watching watching_by(int32_t pid, uint32_t epoll_fd, uint32_t inode)
{
	const uint32_t events = hindrances_events(pid, epoll_fd, inode);

	/* With EPOLLEXCLUSIVE another one may have been told. */
	if (!events || events & EPOLLIN)
		return events & EPOLLET && !(events & EPOLLEXCLUSIVE) ? WATCHING_EDGE
								      : WATCHING_SLEEPS;
	return events & EPOLLONESHOT ? WATCHING_DISARMED : WATCHING_OTHERWISE;
}

/* An epoll that others watch in turn is taken for one that reports what it should. */
static enum watching watching_of(const struct inventory *v, const struct found *f, int32_t pid)
{
	const struct edge key = { .node = f->r.node }, *rows = v->edges.rows;
	enum watching watching = sleeps_on(v, f->r.node, pid) ? WATCHING_SLEEPS : WATCHING_NOT;

	for (size_t i = array_first(&v->edges, sizeof(key), &key, edges_by_node);
	     i < v->edges.count && rows[i].node == key.node; i++) {
		const struct epoll *epoll = epoll_find(&v->epolls, rows[i].waiter);
		const int64_t fd = epoll ? descriptor_of(v, epoll->node, pid) : -1;

		if (fd < 0 || watching == WATCHING_SLEEPS)
			continue;
		if (sleeps_on(v, epoll->node, pid))
			watching = watching_by(pid, fd, f->r.inode);
		else if (is_watched(v, epoll->node))
			watching = WATCHING_SLEEPS;
		else if (watching == WATCHING_NOT)
			watching = WATCHING_AWAY;
	}
	return watching == WATCHING_NOT && sleeps_in_epoll(v, pid) ? WATCHING_OTHERS : watching;
}

/* Is it to be asked why nothing is taken from the socket? started_ns 0: it is looked at but once.
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

/* What the sample says of the processes that are asked for. */
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

/* A thread of a process that is looked at, which waited on the socket or took from it. */
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
	const struct taking key = { h->cookie, h->pid, 0 }, *rows = takers->rows;
	int32_t tids[NARROW_MAX];
	size_t count = 0;

	for (size_t i = array_first(takers, sizeof(key), &key, taking_by_process);
	     i < takers->count && count < NARROW_MAX && !taking_by_process(&rows[i], &key); i++)
		tids[count++] = rows[i].tid;
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

/*
 * Looks at the holders of sockets that raise the question what keeps them. After holders_fill(),
 * and when stalled_* of the sockets are known. Returns 0 or -ENOMEM.
 */
static int hindrances_fill(struct inventory *v, struct ledger *l, uint64_t started_ns)
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

/* ---- what did not wait, and what is gone ---- */

/*
 * Threads that did not wait at this sample: alive still, and does their process still hold the
 * socket? (After a reload nginx's old workers live on for their connections, but accept no more.)
 * Those of a process that holds no socket any more are not in the scan.
 */
static int workers_update(struct inventory *v, struct ledger *l, uint64_t started_ns)
{
	struct ledger_worker *const *rows;
	size_t count = ledger_workers(l, &rows);
	struct array found = {};

	for (size_t i = 0; i < v->found.count; i++) {
		const struct found *f = (const struct found *)v->found.rows + i;

		if (!array_add(&found, &f, sizeof(f))) {
			free(found.rows);
			return -ENOMEM;
		}
	}
	array_sort(&found, sizeof(struct found *), found_by_cookie);
	for (size_t i = 0; i < count; i++) {
		struct ledger_worker *w = rows[i];
		const struct found key = { .r.cookie = w->row.cookie }, *pointer = &key;
		const struct found *its;
		const struct thread *t;
		size_t at;

		if (w->row.ended || w->scan == v->scan)
			continue;
		if (w->row.tid < 0) { /* of a process: see worker_row */
			if (!process_thread_lives(w->row.pid, w->row.pid, w->row.start_ns))
				ledger_end_worker(l, w);
			continue;
		}
		w->row.waits = false;
		t = thread_by_tid(v, w->row.tid);
		at = array_first(&found, sizeof(pointer), &pointer, found_by_cookie);
		its = at < found.count ? ((struct found **)found.rows)[at] : NULL;
		/* Who only serves what others accept need not hold their socket. */
		if (w->row.can_accept && its && !holds(v, its->r.node, w->row.pid))
			ledger_end_worker(l, w);
		else if (t && (!w->row.start_ns || t->r.start_ns == w->row.start_ns))
			worker_describe(v, w, t, started_ns);
		else if (t || !process_thread_lives(w->row.pid, w->row.tid, w->row.start_ns))
			ledger_end_worker(l, w);
		if (its && !w->row.ended && w->row.can_accept && w->row.wait_kind == WAITS_NOT)
			busy_waits(v, w, its);
	}
	free(found.rows);
	return 0;
}

/* No process holds the socket. Is it on its way from one to another or the kernel's own, or closed?
 * sock_diag lists the former. */
static void unheld_update(struct ledger *l, struct ledger_socket *s,
			  const struct sockdiag_row *live, int count, const struct namespaces *seen)
{
	const struct sockdiag_row *found = sockdiag_find(live, count, s->row.cookie);

	if (!found) {
		/* Where its namespace could not be asked, nothing is known. */
		if (namespaces_has(seen, s->netns) || !seen->failed)
			ledger_end_socket(l, s);
		return;
	}
	s->row.queue_known = true;
	s->row.half_open.known = false; /* sock_diag does not tell */
	s->row.queue_length = found->queue_length;
	s->read_ns = now_ns();
	s->row.waiting = 0;
	s->drops_now = found->drops;
}

/* Sockets that were not in the scan. Returns a negative errno only if the way back from a network
 * namespace failed. */
static int sockets_update(const struct inventory *v, struct ledger *l)
{
	struct ledger_socket *const *rows;
	struct sockdiag_row *live = NULL;
	struct namespaces seen = {};
	size_t count = ledger_sockets(l, &rows);
	int live_count = 0, err;
	bool asked = false;

	for (size_t i = 0; i < count && !seen.astray; i++) {
		if (rows[i]->row.ended || rows[i]->scan == v->scan)
			continue;
		if (!asked)
			live_count = sockdiag_dump_namespaces(&live, &seen);
		asked = true;
		if (!seen.astray)
			unheld_update(l, rows[i], live, live_count, &seen);
	}
	free(live);
	err = seen.astray;
	namespaces_free(&seen);
	return err;
}

/* A closed socket has no workers: theirs end with it. */
static void workers_end(struct ledger *l)
{
	struct ledger_worker *const *rows;
	size_t count = ledger_workers(l, &rows);

	for (size_t i = 0; i < count; i++) {
		const struct ledger_socket *s =
			rows[i]->row.ended ? NULL : ledger_find_socket(l, rows[i]->row.cookie);

		if (s && s->row.ended)
			ledger_end_worker(l, rows[i]);
	}
}

/* Those that sock_diag knows and no process of the scan holds, as far as they may be asked for.
 * Returns how many come first in `rows` now, or -ENOMEM. */
static int unheld_choose(const struct inventory *v, struct sockdiag_row *rows, int count)
{
	const struct selection *want = &v->selection;
	struct array unwanted = {}; /* held, but not asked for */
	struct array held = {};     /* inodes with their namespaces */
	int ignored = inventory_cookies(v, false, (uint64_t **)&unwanted.rows), err = 0, kept = 0;

	if (ignored < 0)
		return ignored;
	unwanted.count = ignored;
	array_sort(&unwanted, sizeof(uint64_t), by_value);
	for (size_t i = 0; i < v->found.count && !err; i++) {
		const struct holders_socket_record *r = &((const struct found *)v->found.rows)[i].r;
		const uint64_t inode = (uint64_t)r->netns << 32 | r->inode;

		err = array_add(&held, &inode, sizeof(inode)) ? 0 : -ENOMEM;
	}
	array_sort(&held, sizeof(uint64_t), by_value);
	for (int i = 0; i < count && !err; i++) {
		const struct sockdiag_row *r = &rows[i];
		const uint64_t inode = (uint64_t)r->netns << 32 | r->inode;

		/* The subflow of an MPTCP listener has that one's inode. */
		if (r->inode == UINT32_MAX ||
		    array_first(&held, sizeof(inode), &inode, by_value) < held.count)
			continue;
		if (selection_by_process(want) || (r->protocol == IPPROTO_UDP && !r->inode) ||
		    !selection_socket(want, r->netns, r->family, r->protocol, r->port, false) ||
		    array_first(&unwanted, sizeof(uint64_t), &r->cookie, by_value) < unwanted.count)
			continue;
		rows[kept++] = *r;
	}
	free(unwanted.rows);
	free(held.rows);
	return err ? err : kept;
}

static struct occupants_query query_of(const struct sockdiag_row *r)
{
	return (struct occupants_query){ .netns = r->netns,
					 .port = r->port,
					 .protocol = r->protocol == IPPROTO_UDP ? PROTOCOL_UDP
										: PROTOCOL_TCP };
}

/* Who has the ports of those sockets: the tables tell what sock_diag does not. What can't be found
 * out is not said: then there are none. */
static int unheld_ask(const struct sockdiag_row *rows, int count, struct bind_occupant **occupants)
{
	struct occupants_query *queries = calloc(count + 1, sizeof(*queries));
	struct occupants *o = NULL;
	int found = 0;
	char why[8];

	*occupants = NULL;
	for (int i = 0; i < count && queries; i++)
		queries[i] = query_of(&rows[i]);
	if (count && queries && !occupants_open(&o, why, sizeof(why)))
		found = occupants_find(o, queries, count, occupants, NULL);
	occupants_close(o);
	free(queries);
	return found > 0 ? found : 0;
}

/* NULL: not found. */
static const struct bind_occupant *unheld_find(const struct bind_occupant *occupants, int count,
					       const struct sockdiag_row *r)
{
	const struct occupants_query query = query_of(r);
	size_t found;

	occupants = occupants_of(occupants, count, &query, &found);
	for (size_t i = 0; i < found; i++)
		if (occupants[i].cookie == r->cookie)
			return &occupants[i];
	return NULL;
}

static bool is_tunnel(const struct bind_occupant *o)
{
	return o && !o->held && !o->pid && o->encapsulates;
}

static void unheld_describe(struct ledger_socket *s, const struct sockdiag_row *r,
			    const struct bind_occupant *o)
{
	s->protocol = r->protocol == IPPROTO_UDP ? PROTOCOL_UDP : PROTOCOL_TCP;
	s->family = r->family;
	s->port = r->port;
	s->netns = r->netns;
	memcpy(s->address, r->address, sizeof(s->address));
	s->row.inode = r->inode;
	s->row.uid = r->uid;
	s->row.queue_known = true;
	s->row.queue_length = r->queue_length;
	s->row.queue_limit = r->queue_limit;
	s->drops_now = r->drops;
	if (!o)
		return;
	s->row.v6only = o->place.v6only;
	s->row.reuseport = o->place.reuseport;
	memcpy(s->row.device, o->place.device_name, sizeof(s->row.device));
	s->row.kernel = !o->held && !o->pid;
	s->row.aside = is_tunnel(o) ? ASIDE_KERNEL : ASIDE_NOT;
}

/* Sockets that no process holds: the kernel's own, or on their way from one process to another. */
static int unheld_fill(const struct inventory *v, struct ledger *l, struct sockdiag_row *rows,
		       int all)
{
	int count = unheld_choose(v, rows, all), found, err = 0;
	struct bind_occupant *occupants;

	if (count < 0)
		return count;
	found = unheld_ask(rows, count, &occupants);
	for (int i = 0; i < count && !err; i++) {
		const struct sockdiag_row *r = &rows[i];
		const struct bind_occupant *o = unheld_find(occupants, found, r);
		struct ledger_socket *s;
		bool made;

		if ((r->connected && !is_tunnel(o)) ||
		    !selection_socket(&v->selection, r->netns, r->family, r->protocol, r->port,
				      is_tunnel(o)))
			continue;
		s = ledger_socket(l, r->cookie, &made);
		err = s ? 0 : -ENOMEM;
		if (s && made)
			unheld_describe(s, r, o);
	}
	free(occupants);
	return err;
}

/* A thread that is busy waits nowhere, so for a socket that seems forgotten one look is not enough.
 */
#define LOOKS 5
#define LOOKS_APART_NS 20000000

/* Enters the sockets of the last scan. `again`: some socket of a group has nobody who waits. */
static int look(struct inventory *v, struct ledger *l, bool *again)
{
	int err = handshakes_enter(v, l, HANDSHAKES_LISTED);

	*again = false;
	for (size_t i = 0; i < v->found.count && !err; i++) {
		struct found *f = (struct found *)v->found.rows + i;
		struct ledger_socket *s;
		uint32_t before;

		if (!f->wanted)
			continue;
		s = ledger_find_socket(l, f->r.cookie);
		before = s ? s->row.waiting : 0;
		err = socket_fill(v, l, f, i, 0);
		if (err)
			break;
		s = ledger_find_socket(l, f->r.cookie);
		s->drops_first = 0; /* the socket's own counter, since it was made */
		if (s->row.waiting < before)
			s->row.waiting = before;
		*again |= f->r.group && !f->r.bound && !s->row.waiting;
	}
	return err;
}

int inventory_snapshot(struct inventory *v, struct ledger *l, char *why, size_t why_size)
{
	const struct timespec apart = { .tv_nsec = LOOKS_APART_NS };
	struct namespaces seen = {}, seen_now = {};
	struct sockdiag_row *before, *live;
	int before_count = sockdiag_dump_namespaces(&before, &seen), count, err = seen.astray;
	char reason[128];
	bool again = true;

	v->closely = true;
	for (int i = 0; i < LOOKS && again && !err; i++) {
		if (i)
			nanosleep(&apart, NULL);
		err = inventory_scan(v);
		if (!err)
			err = look(v, l, &again);
	}
	if (!err)
		err = groups_name(v, l);
	if (!err)
		err = holders_fill(v, l, 0);
	if (!err)
		err = hindrances_fill(v, l, 0);
	/* What came or went meanwhile was not missed: only what was there before and is there
	 * after. */
	count = sockdiag_dump_namespaces(&live, &seen_now);
	if (!err)
		err = seen_now.astray;
	for (int i = 0; i < count; i++)
		live[i].inode = sockdiag_find(before, before_count, live[i].cookie) ? live[i].inode
										    : UINT32_MAX;
	if (!err)
		err = unheld_fill(v, l, live, count);
	namespaces_free(&seen);
	namespaces_free(&seen_now);
	free(before);
	free(live);
	return err ? loading_fail(err, why, why_size, "cannot list the sockets of processes: %s",
				  loading_reason(err, reason, sizeof(reason)))
		   : 0;
}

int inventory_fill(struct inventory *v, struct ledger *l, uint64_t started_ns)
{
	const struct found *rows = v->found.rows;
	int err = 0;

	v->unlisted = 0;
	if (!started_ns)
		err = usage_begin(v);
	if (!err)
		err = handshakes_enter(v, l, started_ns ? HANDSHAKES_LATER : HANDSHAKES_BEGIN);
	for (size_t i = 0; i < v->found.count && !err; i++)
		if (rows[i].wanted)
			err = socket_fill(v, l, &rows[i], i, started_ns);
	if (!err)
		err = groups_name(v, l);
	if (!err)
		err = holders_fill(v, l, started_ns);
	if (err)
		return err;
	err = workers_update(v, l, started_ns);
	if (err)
		return err;
	err = sockets_update(v, l);
	if (err)
		return err;
	workers_end(l);
	queues_look(l);
	return hindrances_fill(v, l, started_ns);
}
