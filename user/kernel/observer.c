/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "observer.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "count.h"
#include "count.skel.h"
#include "inventory.h"

struct observer {
	struct count_bpf *bpf;
	struct bpf_link **links;
	size_t link_count;
	struct probe probe;
	enum backend backend;
	unsigned cpus, sockets_max;
	struct count_worker *workers; /* the maps' own memory */
	struct count_socket *sockets;
	struct count_arrival *arrivals;
	struct inventory_socket *baseline; /* as it was at the window's start */
	int baseline_count;
	uint64_t missed_before;
	struct timespec started; /* CLOCK_MONOTONIC */
	int64_t start_ms;
};

static const struct {
	const char *reason, *text;
} lost_texts[COUNT_LOST_REASONS] = {
	[COUNT_LOST_WORKERS_FULL] = { "workers_full", "accepts or reads by threads beyond the limit of rows" },
	[COUNT_LOST_SOCKETS_FULL] = { "sockets_full", "events of sockets beyond the limit of rows" },
	[COUNT_LOST_COOKIE_UNKNOWN] = { "cookie_unknown", "events of sockets that the kernel has not named yet" },
	[COUNT_LOST_LISTENER_UNKNOWN] = { "listener_unknown", "accepts whose listening socket could not be told" },
	[COUNT_LOST_STASH_BUSY] = { "return_missed", "calls whose return was not seen (kretprobe limit)" },
	[COUNT_LOST_GRO_DATAGRAMS] = { "gro_datagrams", "events of UDP_GRO sockets that may hold several datagrams" },
	[COUNT_LOST_SHUTDOWN_READ] = { "shutdown_read", "empty reads of UDP sockets after shutdown()" },
	[COUNT_LOST_URING_LISTENER_UNKNOWN] = { "uring_listener_unknown",
						"io_uring accepts whose listening socket could not be told" },
};

static int fail(int err, char *why, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, size, format, args);
	va_end(args);
	return err;
}

/* ---- opening ---- */

#define SEES_ALL                                                                                                               \
	(SEES_TCP_ACCEPTED | SEES_TCP_ARRIVED | SEES_UDP_QUEUED | SEES_UDP_RECEIVED | SEES_UDP_DROPPED | SEES_URING_ACCEPTED)

static int log_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	if (getenv("SOCKFAIR_LIBBPF_LOG"))
		return vfprintf(stderr, format, args);
	(void)level;
	return 0;
}

static void configure(struct observer *o, const struct observer_options *options)
{
	const struct kernel_features *f = &o->probe.features;
	struct count_config *c = (struct count_config *)&o->bpf->rodata->config;

	o->cpus = libbpf_num_possible_cpus();
	o->sockets_max = COUNT_ARRIVALS_MAX / o->cpus < COUNT_SOCKETS_MAX ? COUNT_ARRIVALS_MAX / o->cpus : COUNT_SOCKETS_MAX;
	*c = (struct count_config){
		.netns = options->netns,
		.family = options->family,
		.protocol = options->protocol,
		.cpus = o->cpus,
		.by_port = options->by_port,
		.has_task_storage = f->task_storage,
		.has_rdonly_cast = f->rdonly_cast,
		.has_socket_cookie = f->socket_cookie,
		.has_late_drop = f->late_drop,
		.has_task_pt_regs = f->task_pt_regs,
		.accept_twice = f->preempted_exits,
		.udp_gro_flag = f->udp_gro_flag,
	};
	bpf_map__set_max_entries(o->bpf->maps.sockets, o->sockets_max);
	bpf_map__set_max_entries(o->bpf->maps.socket_by_cookie, o->sockets_max);
	bpf_map__set_max_entries(o->bpf->maps.free_sockets, o->sockets_max);
	bpf_map__set_max_entries(o->bpf->maps.arrivals, o->sockets_max * o->cpus);
	bpf_map__set_autocreate(f->task_storage ? o->bpf->maps.state_by_tid : o->bpf->maps.state_by_task, false);
	if (o->backend != BACKEND_TRACEPOINT)
		bpf_map__set_autocreate(o->bpf->maps.uring_accepts, false);
	else
		bpf_map__set_max_entries(o->bpf->maps.children, 1);
}

static bool hook_used(const struct observer *o, size_t i)
{
	return hooks[i].backend == o->backend && o->probe.results[i].usable;
}

static struct bpf_program *hook_program(const struct observer *o, size_t i)
{
	return bpf_object__find_program_by_name(o->bpf->obj, hooks[i].program);
}

static int load(struct observer *o)
{
	for (size_t i = 0; i < hook_count; i++)
		if (hook_used(o, i))
			bpf_program__set_autoload(hook_program(o, i), true);
	return count_bpf__load(o->bpf);
}

/* Attaches all hooks that can be; one that can't is noted in the probe's results. */
static int attach(struct observer *o)
{
	o->links = calloc(hook_count, sizeof(*o->links));
	if (!o->links)
		return -ENOMEM;
	for (size_t i = 0; i < hook_count; i++) {
		struct bpf_link *link;

		if (!hook_used(o, i))
			continue;
		link = bpf_program__attach(hook_program(o, i));
		if (link)
			o->links[o->link_count++] = link;
		else
			probe_refuse(&o->probe, i, -errno);
	}
	return 0;
}

static void *map_array(const struct bpf_map *map)
{
	size_t bytes = (size_t)bpf_map__value_size(map) * bpf_map__max_entries(map);
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static void unmap_array(void *memory, const struct bpf_map *map)
{
	if (memory)
		munmap(memory, (size_t)bpf_map__value_size(map) * bpf_map__max_entries(map));
}

static int queue_fill(const struct bpf_map *queue, __u32 rows_max)
{
	for (__u32 i = 0, n = bpf_map__max_entries(queue); i < n && (!rows_max || i < rows_max); i++)
		if (bpf_map_update_elem(bpf_map__fd(queue), NULL, &i, BPF_ANY))
			return -errno;
	return 0;
}

static int rows_prepare(struct observer *o, __u32 rows_max)
{
	int err = queue_fill(o->bpf->maps.free_workers, rows_max);

	if (!err)
		err = queue_fill(o->bpf->maps.free_sockets, rows_max);
	o->workers = map_array(o->bpf->maps.workers);
	o->sockets = map_array(o->bpf->maps.sockets);
	o->arrivals = map_array(o->bpf->maps.arrivals);
	if (!err && (!o->workers || !o->sockets || !o->arrivals))
		err = -ENOMEM;
	return err;
}

static bool in_first_pid_namespace(void)
{
	struct stat st;

	/* PROC_PID_INIT_INO of include/linux/proc_ns.h */
	return stat("/proc/self/ns/pid", &st) || st.st_ino == 0xEFFFFFFCu;
}

/* Kernels before 5.11 charge BPF memory to RLIMIT_MEMLOCK. */
static void memlock_raise(void)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

	setrlimit(RLIMIT_MEMLOCK, &unlimited);
}

static void detach(struct observer *o)
{
	for (size_t i = 0; i < o->link_count; i++)
		bpf_link__destroy(o->links[i]);
	free(o->links);
	o->links = NULL;
	o->link_count = 0;
	if (!o->bpf)
		return;
	unmap_array(o->workers, o->bpf->maps.workers);
	unmap_array(o->sockets, o->bpf->maps.sockets);
	unmap_array(o->arrivals, o->bpf->maps.arrivals);
	o->workers = NULL;
	o->sockets = NULL;
	o->arrivals = NULL;
	count_bpf__destroy(o->bpf);
	o->bpf = NULL;
}

/* Loads and attaches one backend. Returns the bits that it sees, or negative errno. */
static int backend_try(struct observer *o, const struct observer_options *options, enum backend b)
{
	int err;

	o->backend = b;
	if (!probe_sees(&o->probe, b))
		return -EOPNOTSUPP;
	o->bpf = count_bpf__open();
	if (!o->bpf)
		return -errno;
	configure(o, options);
	err = load(o);
	if (!err)
		err = rows_prepare(o, options->rows_max);
	if (!err)
		err = attach(o);
	if (!err && !probe_sees(&o->probe, b))
		err = -EOPNOTSUPP;
	if (err)
		detach(o);
	return err ? err : (int)probe_sees(&o->probe, b);
}

/* The first backend that sees all there is to see; else the one that sees most. */
static int backend_choose(struct observer *o, const struct observer_options *options, char *why, size_t size)
{
	int best = -1, most = 0, sees;

	if (options->backend != BACKEND_AUTO) {
		sees = backend_try(o, options, options->backend);
		return sees > 0 ? 0 : fail(sees, why, size, "backend %s can't be used on this kernel: %s; see sockfair doctor",
					   backend_name(options->backend), probe_refusal(&o->probe, options->backend, sees));
	}
	for (int b = 0; b < BACKEND_COUNT; b++) {
		sees = backend_try(o, options, b);
		if (sees == SEES_ALL)
			return 0;
		if (sees > 0)
			detach(o);
		if (sees > 0 && __builtin_popcount(sees) > __builtin_popcount(most)) {
			best = b;
			most = sees;
		}
	}
	if (best < 0 || backend_try(o, options, best) < 0)
		return fail(-EOPNOTSUPP, why, size,
			    "this kernel allows none of the hooks that sockfair needs; sockfair doctor says which and why");
	return 0;
}

int observer_open(struct observer **out, const struct observer_options *options, char *why, size_t why_size)
{
	struct observer *o = calloc(1, sizeof(*o));
	char rights[64];
	int err;

	if (!o)
		return fail(-ENOMEM, why, why_size, "out of memory");
	libbpf_set_print(log_nothing);
	if (probe_rights_missing(rights, sizeof(rights))) {
		err = fail(-EPERM, why, why_size, "cannot load BPF programs: %s missing; run as root, or grant them", rights);
		goto out;
	}
	if (!in_first_pid_namespace()) {
		err = fail(-EOPNOTSUPP, why, why_size,
			   "the kernel counts by the host's process ids, which this pid namespace hides; run in the host's (docker: --pid=host)");
		goto out;
	}
	memlock_raise();
	err = probe_kernel(&o->probe, false);
	if (err)
		fail(err, why, why_size, "%s", o->probe.error[0] ? o->probe.error : strerror(-err));
	else
		err = backend_choose(o, options, why, why_size);
out:
	if (err) {
		observer_close(o);
		return err;
	}
	*out = o;
	return 0;
}

enum backend observer_backend(const struct observer *o)
{
	return o->backend;
}

unsigned observer_sees(const struct observer *o)
{
	return probe_sees(&o->probe, o->backend);
}

uint64_t observer_memory(const struct observer *o)
{
	const struct bpf_map *map;
	uint64_t total = 0;

	bpf_object__for_each_map(map, o->bpf->obj) {
		char path[64], line[128];
		unsigned long long bytes;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bpf_map__fd(map));
		f = bpf_map__fd(map) < 0 ? NULL : fopen(path, "re");
		while (f && fgets(line, sizeof(line), f))
			if (sscanf(line, "memlock: %llu", &bytes) == 1)
				total += bytes;
		if (f)
			fclose(f);
	}
	return total;
}

/* Programs whose skipped runs lose nothing: accept_grafted() has other ways to the listener, an _again is the second of two. */
static bool hook_spare(const char *program)
{
	/* Skipped late drops are nearly all buffers of others, freed while one of others was freed. */
	return strstr(program, "accept_enter") || strstr(program, "_again") || strstr(program, "late_drop");
}

/*
 * Times that the kernel skipped one of our programs, since it was running on that CPU already (5.12 and newer say so; for kprobes and
 * tracepoints 6.7 and newer): at most so many events were not counted, as programs also run for what is not ours.
 */
static uint64_t runs_missed(const struct observer *o)
{
	uint64_t missed = 0;

	for (size_t i = 0; i < hook_count; i++) {
		struct bpf_prog_info info = {};
		__u32 size = sizeof(info);

		if (hook_used(o, i) && hooks[i].sees && !hook_spare(hooks[i].program) &&
		    !bpf_obj_get_info_by_fd(bpf_program__fd(hook_program(o, i)), &info, &size))
			missed += info.recursion_misses;
	}
	return missed - o->bpf->bss->count_rescued;
}

void observer_watch_port(struct observer *o, uint16_t port)
{
	__atomic_or_fetch(&o->bpf->bss->count_ports[port >> 6], 1ull << (port & 63), __ATOMIC_SEQ_CST);
}

void observer_reset(struct observer *o)
{
	__atomic_store_n(&o->bpf->bss->count_on, 0, __ATOMIC_SEQ_CST);
	/* Programs that began before run on for a moment: a grace period of the kernel's readers. */
	syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	o->bpf->bss->count_epoch++;
	for (__u32 i = 0; i < COUNT_WORKERS_MAX; i++) {
		struct count_worker *row = &o->workers[i];
		struct count_worker_key key = { .cookie = row->cookie, .start_ns = row->start_ns, .tid = row->tid };

		if (!row->used)
			continue;
		bpf_map_delete_elem(bpf_map__fd(o->bpf->maps.worker_by_key), &key);
		memset(row, 0, sizeof(*row));
		bpf_map_update_elem(bpf_map__fd(o->bpf->maps.free_workers), NULL, &i, BPF_ANY);
	}
	for (__u32 i = 0; i < o->sockets_max; i++) {
		if (!o->sockets[i].used)
			continue;
		bpf_map_delete_elem(bpf_map__fd(o->bpf->maps.socket_by_cookie), &o->sockets[i].cookie);
		memset(&o->sockets[i], 0, sizeof(o->sockets[i]));
		memset(&o->arrivals[i * o->cpus], 0, o->cpus * sizeof(*o->arrivals));
		bpf_map_update_elem(bpf_map__fd(o->bpf->maps.free_sockets), NULL, &i, BPF_ANY);
	}
	memset(o->bpf->bss->count_lost, 0, sizeof(o->bpf->bss->count_lost));
	o->bpf->bss->count_rescued = 0;
	memset(o->bpf->bss->count_ports, 0, sizeof(o->bpf->bss->count_ports));
	free(o->baseline);
	o->baseline = NULL;
	o->baseline_count = 0;
}

void observer_start(struct observer *o)
{
	struct timespec now;

	o->baseline_count = inventory_sockets(&o->baseline);
	o->missed_before = runs_missed(o);
	clock_gettime(CLOCK_REALTIME, &now);
	o->start_ms = now.tv_sec * 1000ll + now.tv_nsec / 1000000;
	clock_gettime(CLOCK_MONOTONIC, &o->started);
	__atomic_store_n(&o->bpf->bss->count_on, 1, __ATOMIC_SEQ_CST);
}

void observer_close(struct observer *o)
{
	if (!o)
		return;
	detach(o);
	free(o->baseline);
	probe_free(&o->probe);
	free(o);
}

/* ---- reading ---- */

static int compare_sockets(const void *a, const void *b)
{
	const struct count_socket *x = *(const struct count_socket *const *)a, *y = *(const struct count_socket *const *)b;

	if (x->protocol != y->protocol)
		return x->protocol < y->protocol ? -1 : 1;
	if (x->netns != y->netns)
		return x->netns < y->netns ? -1 : 1;
	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	if (x->family != y->family)
		return x->family < y->family ? -1 : 1;
	if (memcmp(x->address, y->address, sizeof(x->address)))
		return memcmp(x->address, y->address, sizeof(x->address));
	return x->cookie < y->cookie ? -1 : x->cookie > y->cookie;
}

static bool same_endpoint(const struct count_socket *x, const struct count_socket *y)
{
	return x->protocol == y->protocol && x->netns == y->netns && x->port == y->port && x->family == y->family &&
	       !memcmp(x->address, y->address, sizeof(x->address));
}

static int compare_workers(const void *a, const void *b)
{
	const struct count_worker *x = a, *y = b;

	if (x->cookie != y->cookie)
		return x->cookie < y->cookie ? -1 : 1;
	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	if (x->tid != y->tid)
		return x->tid < y->tid ? -1 : 1;
	/* A row of start 0 (io_uring's kernel threads) last: it joins the thread's own. */
	return x->start_ns > y->start_ns ? -1 : x->start_ns < y->start_ns;
}

/* The rows of the maps in order; those of workers as copies, as they go on counting. The caller frees. */
struct rows {
	const struct count_socket **sockets;
	size_t socket_count;
	struct count_worker *workers;
	size_t worker_count;
};

static int rows_collect(const struct observer *o, struct rows *r)
{
	r->sockets = calloc(o->sockets_max, sizeof(*r->sockets));
	r->workers = calloc(COUNT_WORKERS_MAX, sizeof(*r->workers));
	if (!r->sockets || !r->workers)
		return -ENOMEM;
	for (size_t i = 0; i < o->sockets_max; i++)
		if (o->sockets[i].used)
			r->sockets[r->socket_count++] = &o->sockets[i];
	for (size_t i = 0; i < COUNT_WORKERS_MAX; i++)
		if (o->workers[i].used)
			r->workers[r->worker_count++] = o->workers[i];
	qsort(r->sockets, r->socket_count, sizeof(*r->sockets), compare_sockets);
	qsort(r->workers, r->worker_count, sizeof(*r->workers), compare_workers);
	return 0;
}

/* First worker row of that socket; worker_count if none. */
static size_t rows_first_worker(const struct rows *r, uint64_t cookie)
{
	size_t low = 0, high = r->worker_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (r->workers[middle].cookie < cookie)
			low = middle + 1;
		else
			high = middle;
	}
	return low < r->worker_count && r->workers[low].cookie == cookie ? low : r->worker_count;
}

static void socket_fill(const struct observer *o, struct endpoint *e, const struct count_socket *from, uint64_t *by_cpu)
{
	const struct count_arrival *a = o->arrivals + (from - o->sockets) * o->cpus;
	struct socket_row *row = &e->sockets[e->socket_count++];

	*row = (struct socket_row){ .cookie = from->cookie, .inode = from->inode, .uid = from->uid, .reuseport = from->reuseport,
				    .queue_limit = from->limit };
	for (unsigned cpu = 0; cpu < o->cpus; cpu++) {
		/* In this order: what is dropped late was counted as arrived before. */
		uint64_t late = __atomic_load_n(&a[cpu].dropped_late, __ATOMIC_ACQUIRE);
		uint64_t arrived = __atomic_load_n(&a[cpu].arrived, __ATOMIC_ACQUIRE);

		row->arrived += arrived - late;
		row->dropped += a[cpu].dropped;
		by_cpu[cpu] += arrived; /* before late drops: those are another CPU's */
	}
}

static void worker_fill(struct endpoint *e, struct socket_row *socket, const struct count_worker *from)
{
	struct worker_row *last = e->worker_count ? &e->workers[e->worker_count - 1] : NULL, *row;
	uint64_t events = from->events + from->events_atomic;

	socket->accepted += events;
	if (!from->start_ns && last && last->cookie == from->cookie && last->pid == (int)from->pid && last->tid == (int)from->tid) {
		last->accepted += events;
		return;
	}
	row = &e->workers[e->worker_count++];
	*row = (struct worker_row){ .number = -1, .pid = from->pid, .tid = from->tid, .start_ns = from->start_ns,
				    .cookie = from->cookie, .can_accept = true, .accepted = events };
	memcpy(row->comm, from->comm, sizeof(row->comm));
	inventory_describe_thread(row);
}

static int endpoint_fill(const struct observer *o, const struct rows *r, size_t first, size_t count, struct endpoint *e)
{
	const struct count_socket *head = r->sockets[first];
	uint64_t *by_cpu = calloc(o->cpus, sizeof(*by_cpu));
	size_t workers = 0;

	for (size_t i = first; i < first + count; i++)
		for (size_t w = rows_first_worker(r, r->sockets[i]->cookie);
		     w < r->worker_count && r->workers[w].cookie == r->sockets[i]->cookie; w++)
			workers++;
	e->protocol = head->protocol == IPPROTO_UDP ? PROTOCOL_UDP : PROTOCOL_TCP;
	e->family = head->family;
	e->port = head->port;
	e->netns = head->netns;
	memcpy(e->address, head->address, sizeof(e->address));
	e->sockets = calloc(count, sizeof(*e->sockets));
	e->workers = calloc(workers ? workers : 1, sizeof(*e->workers));
	e->cpus = calloc(o->cpus, sizeof(*e->cpus));
	if (!by_cpu || !e->sockets || !e->workers || !e->cpus) {
		free(by_cpu);
		return -ENOMEM;
	}
	for (size_t i = first; i < first + count; i++) {
		socket_fill(o, e, r->sockets[i], by_cpu);
		for (size_t w = rows_first_worker(r, r->sockets[i]->cookie);
		     w < r->worker_count && r->workers[w].cookie == r->sockets[i]->cookie; w++)
			worker_fill(e, &e->sockets[e->socket_count - 1], &r->workers[w]);
	}
	for (unsigned cpu = 0; cpu < o->cpus; cpu++)
		if (by_cpu[cpu])
			e->cpus[e->cpu_count++] = (struct cpu_row){ cpu, by_cpu[cpu] };
	free(by_cpu);
	return 0;
}

static int endpoints_fill(const struct observer *o, const struct rows *r, struct snapshot *s)
{
	s->endpoints = calloc(r->socket_count ? r->socket_count : 1, sizeof(*s->endpoints));
	if (!s->endpoints)
		return -ENOMEM;
	for (size_t first = 0, next; first < r->socket_count; first = next) {
		int err;

		for (next = first + 1; next < r->socket_count && same_endpoint(r->sockets[first], r->sockets[next]); next++)
			;
		err = endpoint_fill(o, r, first, next - first, &s->endpoints[s->endpoint_count++]);
		if (err)
			return err;
	}
	return 0;
}

/* Events of threads on sockets that found no row: counted, but there is no socket to show them under. */
static uint64_t orphaned(const struct rows *r, const struct snapshot *s)
{
	uint64_t events = 0;

	for (size_t i = 0; i < r->worker_count; i++)
		events += r->workers[i].events + r->workers[i].events_atomic;
	for (size_t i = 0; i < s->endpoint_count; i++)
		for (size_t j = 0; j < s->endpoints[i].worker_count; j++)
			events -= s->endpoints[i].workers[j].accepted;
	return events;
}

static int lost_fill(const struct observer *o, const struct rows *r, struct snapshot *s)
{
	uint64_t missed = runs_missed(o) - o->missed_before;

	s->lost = calloc(COUNT_LOST_REASONS + 1, sizeof(*s->lost));
	if (!s->lost)
		return -ENOMEM;
	if (missed)
		s->lost[s->lost_count++] = (struct lost_row){ "runs_missed", "at most: the program was running on that CPU already", missed };
	for (int i = 0; i < COUNT_LOST_REASONS; i++) {
		uint64_t count = o->bpf->bss->count_lost[i] + (i == COUNT_LOST_SOCKETS_FULL ? orphaned(r, s) : 0);

		if (count)
			s->lost[s->lost_count++] = (struct lost_row){ lost_texts[i].reason, lost_texts[i].text, count };
	}
	return 0;
}

int observer_read(struct observer *o, struct snapshot *s)
{
	struct rows rows = {};
	struct utsname name;
	struct timespec now;
	int err;

	memset(s, 0, sizeof(*s));
	uname(&name);
	snprintf(s->release, sizeof(s->release), "%s", name.release);
	s->backend = backend_name(o->backend);
	s->unseen_count = probe_unseen(&o->probe, o->backend, s->unseen, SNAPSHOT_UNSEEN_MAX);
	s->start_ms = o->start_ms;
	clock_gettime(CLOCK_MONOTONIC, &now);
	s->seconds = now.tv_sec - o->started.tv_sec + (now.tv_nsec - o->started.tv_nsec) / 1e9;
	err = rows_collect(o, &rows);
	if (!err)
		err = endpoints_fill(o, &rows, s);
	if (!err)
		err = lost_fill(o, &rows, s);
	if (!err)
		inventory_queues(s, o->baseline, o->baseline_count);
	free(rows.sockets);
	free(rows.workers);
	if (err)
		snapshot_free(s);
	return err;
}
