/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "observer.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../model/arrivals.h"
#include "bytes.h"
#include "count.h"
#include "count.skel.h"
#include "inventory.h"
#include "../attach/backend.h"
#include "../attach/loading.h"
#include "losses.h"
#include "process.h"
#include "settings.h"
#include "sockdiag.h"

_Static_assert(COUNT_SKETCH_BUCKETS == FLOW_BUCKETS, "layout");

#define LEDGER_ENDED_MAX                                                                           \
	8192 /* rows of closed sockets, and of threads that ended, that are kept one by one */

/* What is missing where a program's runs were skipped, by what its hook sees. */
static const struct {
	unsigned sees, touches;
	enum protocol protocol;
} missed_kinds[] = {
	{ SEES_TCP_ACCEPTED | SEES_URING_ACCEPTED, LOST_TAKEN, PROTOCOL_TCP },
	{ SEES_TCP_ARRIVED, LOST_ARRIVED, PROTOCOL_TCP },
	{ SEES_TCP_SERVED, LOST_SERVED | LOST_OPEN, PROTOCOL_TCP },
	{ SEES_UDP_QUEUED | SEES_UDP_DROPPED, LOST_ARRIVED, PROTOCOL_UDP },
	{ SEES_UDP_RECEIVED, LOST_ACCEPTED, PROTOCOL_UDP },
};
#define MISSED_KINDS (sizeof(missed_kinds) / sizeof(*missed_kinds))
#define MISSED_ALL MISSED_KINDS /* skipped runs, each once: a program may be of several kinds */

/* Cookies, ascending. */
struct cookies {
	uint64_t *rows;
	size_t count;
};

struct observer {
	struct count_bpf *bpf;
	const struct observer_options *options; /* while it is opened */
	struct attachment attachment;
	unsigned sees; /* bits of enum hook_purpose, once attached */
	unsigned cpus, sockets_max, connections_max, workers_max;
	struct count_worker *workers; /* the maps' own memory */
	struct count_socket *sockets;
	struct count_arrival *arrivals;
	struct count_sketch *sketches;
	struct count_histogram *histograms;      /* NULL: waits are not measured */
	struct count_serve *serves;              /* NULL: not followed */
	bool *entered_workers, *entered_sockets; /* the rows that rows_enter() read last */
	int inner_map, outer_map;                /* for grace_period(); -1: none */
	struct ledger *ledger;
	struct bytes_reader *bytes;     /* NULL: connections are not followed */
	struct inventory *inventory;    /* NULL: none is taken */
	bool by_process;                /* the inventory says which sockets are asked for */
	bool before;                    /* as in observer_options */
	struct cookies unwanted, asked; /* what the kernel was told at the last look */
	struct lost_list unattributed;  /* connections that were open when the row of who had them
					   was given back */
	struct lost_list undecided;     /* events of sockets that came and went unseen: not known
					   whether they were asked for */
	struct lost_list unseen,
		unseen_past; /* see arrivals.h: of the kernel's present rows, of those given back */
	size_t relieve_at;   /* rows of threads in use from which observer_relieve() looks whose
				threads are gone; 0: not known yet */
	uint64_t active;     /* what observer_active() saw last */
	struct sockdiag_row *baseline; /* as it was at the window's start */
	int baseline_count;
	uint64_t started_ns; /* CLOCK_BOOTTIME; 0: the window has not begun */
	uint64_t read_ns;    /* the same clock, when the kernel's rows were last read */
	uint64_t missed_before[MISSED_KINDS + 1], changes_before[2];
	struct timespec started; /* CLOCK_MONOTONIC */
	int64_t start_ms;
};

/* Texts with a limit in them are made when an observer is opened: snapshots keep pointers. */
static char workers_full[120], sockets_full[120], connections_full[120], servers_full[120];

static const struct {
	const char *reason, *text;
	unsigned touches; /* enum lost_touches */
} lost_texts[COUNT_LOST_REASONS] = {
	[COUNT_LOST_WORKERS_FULL] = { "workers_full", workers_full, LOST_TAKEN },
	[COUNT_LOST_SOCKETS_FULL] = { "sockets_full", sockets_full, LOST_ARRIVED },
	[COUNT_LOST_COOKIE_UNKNOWN] = { "cookie_unknown",
					"events of sockets that the kernel has not named yet",
					LOST_ANY },
	[COUNT_LOST_LISTENER_UNKNOWN] = { "listener_unknown",
					  "accepts whose listening socket could not be told",
					  LOST_TAKEN },
	[COUNT_LOST_STASH_BUSY] = { "return_missed",
				    "calls whose return was not seen (kretprobe limit)",
				    LOST_ARRIVED },
	[COUNT_LOST_SHUTDOWN_READ] = { "shutdown_read",
				       "empty reads of UDP sockets after shutdown()",
				       LOST_ACCEPTED },
	[COUNT_LOST_CONNECTIONS_FULL] = { "connections_full", connections_full,
					  LOST_SERVED | LOST_OPEN },
	[COUNT_LOST_SERVERS_FULL] = { "servers_full", servers_full, LOST_SERVED | LOST_OPEN },
	[COUNT_LOST_MPTCP_UNFOLLOWED] = { "mptcp_unfollowed",
					  "MPTCP connections, whose reads are not seen",
					  LOST_SERVED | LOST_OPEN },
	[COUNT_LOST_CONNECTION_UNKNOWN] = { "connection_unknown",
					    "accepted connections that no descriptor led to "
					    "(closed at once, io_uring's own table, before 6.0 any "
					    "of io_uring's): counted, but waits and ends are not "
					    "known",
					    LOST_SERVED | LOST_OPEN },
	[COUNT_LOST_TAKEN_DROPPED] = { "taken_dropped",
				       "connections that accept() took, and dropped as it failed: "
				       "the address could not be copied, or "
				       "io_uring's table (or the machine's) had no room",
				       LOST_TAKEN },
	[COUNT_LOST_UNDECIDED] = { "holder_unknown", NULL,
				   LOST_ANY }, /* told with those that came and went unseen */
	[COUNT_LOST_URING_LISTENER_UNKNOWN] = { "uring_listener_unknown",
						"io_uring accepts whose listening socket could not "
						"be told",
						LOST_TAKEN },
};

/* ---- opening ---- */

#define SEES_ALL                                                                                   \
	(SEES_TCP_ACCEPTED | SEES_TCP_ARRIVED | SEES_TCP_SERVED | SEES_UDP_QUEUED |                \
	 SEES_UDP_RECEIVED | SEES_UDP_DROPPED | SEES_URING_ACCEPTED)

/* What is not asked for takes no memory; the programs' references to it are dead code. */
static void waits_leave_out(struct observer *o)
{
	bpf_map__set_max_entries(o->bpf->maps.histograms, 1);
	bpf_map__set_max_entries(o->bpf->maps.free_histograms, 1);
}

static void serves_leave_out(struct observer *o)
{
	bpf_map__set_max_entries(o->bpf->maps.serves, 1);
	bpf_map__set_max_entries(o->bpf->maps.connections, 1);
	bpf_map__set_max_entries(o->bpf->maps.older, 1);
	bpf_map__set_max_entries(o->bpf->maps.older_ended, 1);
}

/* How many sockets have a row each on every CPU, see count.h. */
static unsigned sockets_max(unsigned cpus)
{
	const unsigned share = COUNT_ARRIVALS_MAX / cpus;

	return share > COUNT_SOCKETS_MAX     ? COUNT_SOCKETS_MAX
	       : share < COUNT_SOCKETS_LEAST ? COUNT_SOCKETS_LEAST
					     : share;
}

static unsigned connections_max(unsigned cpus)
{
	unsigned max = COUNT_CONNECTIONS_GROWING;

	while (cpus > 16 && max * 2ull <= (__u64)COUNT_CONNECTIONS_CPU * cpus)
		max *= 2;
	return max;
}

/* Entries are allocated when they are needed. Before 6.1 tracing programs must not do that: the
 * kernel warns, or refuses. */
static void map_grows(struct bpf_map *map)
{
	bpf_map__set_map_flags(map, bpf_map__map_flags(map) | BPF_F_NO_PREALLOC);
}

#define ASKED_LEAST 8192 /* and twice as many as there are */

/* Sockets of which it is not known whether they are asked for never take more than half of the
 * rows, so those that are find room. */
static void asked_configure(struct observer *o, const struct observer_options *options,
			    struct count_config *c)
{
	const struct selection *s = &options->selection;
	const size_t found = inventory_sockets(o->inventory);

	c->undecided_max = c->pool_max[COUNT_POOL_SOCKETS] / 2;
	/* Paths of cgroups are told apart in user space alone. */
	c->by_pid = s->pid_count && !s->cgroup_count;
	c->by_comm = s->comm_count && !s->cgroup_count;
	bpf_map__set_max_entries(o->bpf->maps.asked_by_cookie, ASKED_LEAST + 2 * found);
}

static int asked_prepare(struct observer *o, const struct selection *s)
{
	const __u32 mark = COUNT_ASKED;

	_Static_assert(SELECTION_MAX <= COUNT_PROCESSES_MAX, "each has a place");
	for (size_t i = 0; i < s->pid_count; i++)
		if (bpf_map_update_elem(bpf_map__fd(o->bpf->maps.asked_pids), &s->pids[i], &mark,
					BPF_ANY))
			return -errno;
	for (size_t i = 0; i < s->comm_count; i++)
		if (bpf_map_update_elem(bpf_map__fd(o->bpf->maps.asked_comms), s->comms[i], &mark,
					BPF_ANY))
			return -errno;
	return 0;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* rows_max: of each pool, 0: as many as there is room for. */
static void shares_configure(struct observer *o, unsigned rows_max, struct count_config *c)
{
	const unsigned max = rows_max ? rows_max : UINT32_MAX;

	o->workers_max = least(COUNT_WORKERS_MAX, max);
	c->pool_max[COUNT_POOL_SOCKETS] = least(o->sockets_max, max);
	c->pool_max[COUNT_POOL_WORKERS] = o->workers_max;
	c->pool_max[COUNT_POOL_SKETCHES] = least(COUNT_SKETCHES, max);
	c->pool_max[COUNT_POOL_HISTOGRAMS] = least(COUNT_HISTOGRAMS, max);
	/* Nobody outside knows who shares a cell with whom. Without a random number there is one
	 * all the same. */
	c->share_seed = 0x9e3779b1u;
	getrandom(&c->share_seed, sizeof(c->share_seed), GRND_NONBLOCK);
	c->share_seed |= 1;
}

/* max: of those that are open and followed, 0: as many as there is room for. */
static void connections_configure(struct observer *o, unsigned max, bool growing)
{
	o->connections_max = max ? max : growing ? connections_max(o->cpus) : COUNT_CONNECTIONS;
	bpf_map__set_max_entries(o->bpf->maps.connections, o->connections_max);
	bpf_map__set_max_entries(
		o->bpf->maps.older,
		least(growing ? COUNT_OLDER_GROWING : COUNT_OLDER, o->connections_max));
	if (growing) {
		map_grows(o->bpf->maps.connections);
		map_grows(o->bpf->maps.older);
	}
}

static void configure(struct observer *o, const struct observer_options *options)
{
	const struct kernel_features *f = &o->attachment.probe.features;
	struct count_config *c = (struct count_config *)&o->bpf->rodata->config;

	o->sockets_max = sockets_max(o->cpus);
	*c = (struct count_config){
		.family = options->selection.family,
		.protocol = options->selection.protocol,
		.cpus = o->cpus,
		.by_port = options->by_port,
		.by_socket = o->by_process,
		.without_clients = !options->by_port,
		.has_task_storage = f->task_storage,
		.has_rdonly_cast = f->rdonly_cast,
		.has_socket_cookie = f->socket_cookie,
		.has_late_drop = f->late_drop,
		.has_task_pt_regs = f->task_pt_regs,
		.accept_twice = f->preempted_exits,
		.waits = !options->no_waits,
		.serves = !options->no_serving,
		.marks_clones =
			o->attachment.backend == BACKEND_TRACEPOINT &&
			probe_usable(&o->attachment.probe, o->attachment.backend, "state_change"),
		.udp_gro_flag = f->udp_gro_flag,
		.has_drop_skb = f->drop_skb,
		.udp_queued_seen =
			probe_sees(&o->attachment.probe, o->attachment.backend) & SEES_UDP_QUEUED,
	};
	for (size_t i = 0; i < options->selection.netns_count; i++)
		c->netns[i] = options->selection.netns[i];
	shares_configure(o, options->rows_max, c);
	bpf_map__set_max_entries(o->bpf->maps.sockets, o->sockets_max);
	bpf_map__set_max_entries(o->bpf->maps.socket_by_cookie, o->sockets_max);
	if (o->by_process)
		asked_configure(o, options, c);
	bpf_map__set_max_entries(o->bpf->maps.free_sockets, o->sockets_max);
	bpf_map__set_max_entries(o->bpf->maps.arrivals, o->sockets_max * o->cpus);
	connections_configure(o, options->connections_max, f->map_growth);
	if (f->map_growth) {
		map_grows(o->bpf->maps.worker_by_key);
		map_grows(o->bpf->maps.socket_by_cookie);
	}
	bpf_map__set_autocreate(
		f->task_storage ? o->bpf->maps.state_by_tid : o->bpf->maps.state_by_task, false);
	if (options->no_waits)
		waits_leave_out(o);
	if (options->no_serving)
		serves_leave_out(o);
	if (o->attachment.backend != BACKEND_TRACEPOINT)
		bpf_map__set_autocreate(o->bpf->maps.uring_accepts, false);
	else
		bpf_map__set_max_entries(o->bpf->maps.children, 1);
}

static int load(struct observer *o)
{
	o->attachment.object = o->bpf->obj;
	o->attachment.without = o->bpf->rodata->config.serves ? 0 : SEES_TCP_SERVED;
	backend_autoload(&o->attachment);
	bpf_program__set_autoload(o->bpf->progs.read_open, o->bpf->rodata->config.serves);
	return count_bpf__load(o->bpf);
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

static int queue_fill(const struct bpf_map *queue, __u32 rows)
{
	for (__u32 i = 0; i < rows; i++)
		if (bpf_map_update_elem(bpf_map__fd(queue), NULL, &i, BPF_ANY))
			return -errno;
	return 0;
}

static void limits_say(const struct observer *o)
{
	const __u32 *max = o->bpf->rodata->config.pool_max;

	snprintf(workers_full, sizeof(workers_full),
		 "accepts or reads by threads beyond the limit of %u rows, or of their user's "
		 "share of them",
		 max[COUNT_POOL_WORKERS]);
	snprintf(connections_full, sizeof(connections_full),
		 "accepted connections beyond the limit of %u open ones that are followed",
		 o->connections_max);
	snprintf(servers_full, sizeof(servers_full),
		 "connections read by threads that do not accept, beyond the limit of %u rows",
		 COUNT_SERVERS_MAX);
	snprintf(sockets_full, sizeof(sockets_full),
		 "events of sockets beyond the limit of %u rows, or of their user's share of them",
		 max[COUNT_POOL_SOCKETS]);
}

/* Of two halves that one flag leaves out, `*out` stays NULL where it does. Returns 0 or -ENOMEM. */
static int map_wanted(void *out, const struct bpf_map *map, bool wanted)
{
	void *memory = wanted ? map_array(map) : NULL;

	memcpy(out, &memory, sizeof(memory));
	return wanted && !memory ? -ENOMEM : 0;
}

static int rows_prepare(struct observer *o)
{
	const struct count_config *c = &o->bpf->rodata->config;
	int err = queue_fill(o->bpf->maps.free_workers, c->pool_max[COUNT_POOL_WORKERS]);

	limits_say(o);
	if (!err)
		err = queue_fill(o->bpf->maps.free_sockets, c->pool_max[COUNT_POOL_SOCKETS]);
	if (!err)
		err = queue_fill(o->bpf->maps.free_sketches, c->pool_max[COUNT_POOL_SKETCHES]);
	o->entered_workers = calloc(COUNT_WORKERS_MAX, sizeof(*o->entered_workers));
	o->entered_sockets = calloc(o->sockets_max, sizeof(*o->entered_sockets));
	o->workers = map_array(o->bpf->maps.workers);
	o->sockets = map_array(o->bpf->maps.sockets);
	o->arrivals = map_array(o->bpf->maps.arrivals);
	o->sketches = map_array(o->bpf->maps.sketches);
	if (!err && (!o->entered_workers || !o->entered_sockets))
		err = -ENOMEM;
	if (!err && (!o->workers || !o->sockets || !o->arrivals || !o->sketches))
		err = -ENOMEM;
	if (!err && c->waits)
		err = queue_fill(o->bpf->maps.free_histograms, c->pool_max[COUNT_POOL_HISTOGRAMS]);
	if (!err)
		err = map_wanted(&o->histograms, o->bpf->maps.histograms, c->waits);
	if (!err)
		err = map_wanted(&o->serves, o->bpf->maps.serves, c->serves);
	if (!err && c->serves)
		err = bytes_open(&o->bytes, o->bpf, o->workers, o->serves);
	return err;
}

static void detach(void *context)
{
	struct observer *o = context;

	backend_detach(&o->attachment, false);
	if (!o->bpf)
		return;
	bytes_close(o->bytes);
	o->bytes = NULL;
	unmap_array(o->workers, o->bpf->maps.workers);
	unmap_array(o->sockets, o->bpf->maps.sockets);
	unmap_array(o->arrivals, o->bpf->maps.arrivals);
	unmap_array(o->sketches, o->bpf->maps.sketches);
	unmap_array(o->histograms, o->bpf->maps.histograms);
	unmap_array(o->serves, o->bpf->maps.serves);
	free(o->entered_workers);
	free(o->entered_sockets);
	o->entered_workers = o->entered_sockets = NULL;
	o->sketches = NULL;
	o->histograms = NULL;
	o->serves = NULL;
	o->workers = NULL;
	o->sockets = NULL;
	o->arrivals = NULL;
	count_bpf__destroy(o->bpf);
	o->bpf = NULL;
}

/* Loads and attaches one backend. Returns 0, or negative errno with nothing left of it. */
static int backend_load(void *context)
{
	struct observer *o = context;
	int err;

	o->bpf = count_bpf__open();
	if (!o->bpf)
		return -errno;
	configure(o, o->options);
	err = load(o);
	if (!err)
		err = rows_prepare(o);
	if (!err)
		err = asked_prepare(o, &o->options->selection);
	if (!err)
		err = backend_attach(&o->attachment);
	if (err)
		detach(o);
	return err;
}

/*
 * Waits until every program that runs now has ended: the kernel does so after an update of a map of
 * maps (maybe_wait_bpf_programs(), synchronize_rcu() on every kernel from 5.10 on). membarrier()
 * would not with nohz_full or on a single CPU.
 */
static int grace_period(const struct observer *o)
{
	__u32 zero = 0;

	return bpf_map_update_elem(o->outer_map, &zero, &o->inner_map, BPF_ANY) ? -errno : 0;
}

static int grace_prepare(struct observer *o)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);

	o->inner_map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "sockfair_grace", sizeof(__u32),
				      sizeof(__u32), 1, NULL);
	if (o->inner_map < 0)
		return -errno;
	opts.inner_map_fd = o->inner_map;
	o->outer_map = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "sockfair_grace", sizeof(__u32),
				      sizeof(__u32), 1, &opts);
	return o->outer_map < 0 ? -errno : grace_period(o);
}

/* With an inventory: names all sockets (their cookies), and looks for the first time. */
static int inventory_begin(struct observer *o, char *why, size_t size)
{
	struct namespaces seen = {};
	char reason[128];
	int err;

	o->baseline_count = sockdiag_dump_namespaces(&o->baseline, &seen);
	err = seen.astray ? seen.astray : observer_scan(o);
	namespaces_free(&seen);
	return err ? loading_fail(err, why, size, "cannot list the sockets of processes: %s",
				  loading_reason(err, reason, sizeof(reason)))
		   : 0;
}

/* What this kernel can do: first of all, so that one that lacks what everything needs is told so.
 */
static int kernel_ask(struct observer *o, char *why, size_t size)
{
	const int cpus = libbpf_num_possible_cpus();
	int err;

	if (cpus <= 0)
		return loading_fail(cpus ? cpus : -EINVAL, why, size,
				    "cannot tell how many CPUs there may be "
				    "(/sys/devices/system/cpu/possible): %s",
				    strerror(cpus ? -cpus : EINVAL));
	o->cpus = cpus;
	o->ledger = ledger_new(LEDGER_ENDED_MAX, cpus);
	err = o->ledger ? probe_kernel(&o->attachment.probe, HOOKS_COUNT, false) : -ENOMEM;
	return err ? loading_fail(err, why, size, "%s",
				  o->ledger ? o->attachment.probe.error : "out of memory")
		   : 0;
}

/* Where processes are asked for, how many sockets there are decides about room. */
static int inventory_prepare(struct observer *o, const struct observer_options *options, char *why,
			     size_t size)
{
	int err = inventory_open(&o->inventory, &options->selection, false, o->before, why, size);
	char reason[128];

	if (err || !o->by_process)
		return err;
	err = inventory_scan(o->inventory);
	return err ? loading_fail(err, why, size, "cannot list the sockets of processes: %s",
				  loading_reason(err, reason, sizeof(reason)))
		   : 0;
}

int observer_open(struct observer **out, const struct observer_options *options, char *why,
		  size_t why_size)
{
	struct observer *o = calloc(1, sizeof(*o));
	char reason[128];
	int err;

	if (!o)
		return loading_fail(-ENOMEM, why, why_size, "out of memory");
	o->inner_map = o->outer_map = -1;
	o->options = options;
	o->before = options->before && options->inventory && !options->no_serving;
	o->by_process = options->inventory && selection_by_process(&options->selection);
	err = loading_prepare(why, why_size);
	if (!err)
		err = kernel_ask(o, why, why_size);
	if (!err && options->inventory)
		err = inventory_prepare(o, options, why, why_size);
	if (!err)
		err = backend_choose(&o->attachment, options->backend, SEES_ALL, backend_load,
				     detach, o, why, why_size);
	if (!err) {
		err = grace_prepare(o);
		if (err)
			loading_fail(err, why, why_size, "cannot make a BPF map of maps: %s",
				     loading_reason(err, reason, sizeof(reason)));
	}
	o->sees = err ? 0 : probe_sees(&o->attachment.probe, o->attachment.backend);
	if (!err)
		ledger_measures(o->ledger, !options->no_waits,
				!options->no_serving && (o->sees & SEES_TCP_SERVED));
	for (size_t i = 0; i < options->selection.port_count && !err; i++)
		observer_watch_port(o, options->selection.ports[i]);
	if (!err && options->inventory)
		err = inventory_begin(o, why, why_size);
	if (err) {
		observer_close(o);
		return err;
	}
	*out = o;
	return 0;
}

enum backend observer_backend(const struct observer *o)
{
	return o->attachment.backend;
}

unsigned observer_sees(const struct observer *o)
{
	return o->sees;
}

uint64_t observer_memory(const struct observer *o)
{
	return loading_memory(o->bpf->obj) + (o->inventory ? inventory_memory(o->inventory) : 0);
}

void observer_limits(const struct observer *o, struct observer_limits *limits)
{
	*limits = (struct observer_limits){ .workers = COUNT_WORKERS_MAX,
					    .sockets = o->sockets_max,
					    .cpus = o->cpus,
					    .cpu_kib = COUNT_SOCKETS_LEAST *
						       sizeof(struct count_arrival) / 1024,
					    .connections = o->connections_max };
	if (o->attachment.probe.features.map_growth)
		limits->cpu_kib += COUNT_CONNECTIONS_CPU * 16 / 1024;
}

/* Connections that are put down to the row and open: their ends are counted there. */
static uint64_t open_of(const struct observer *o, __u32 i)
{
	const struct count_serve *serve = o->serves ? &o->serves[i] : NULL;

	const uint64_t left = serve ? serve->moved + serve->closed : 0,
		       opened = serve ? __atomic_load_n(&serve->opened, __ATOMIC_ACQUIRE) : 0;

	return opened > left ? opened - left : 0;
}

static bool second_change_usable(const struct observer *o)
{
	return probe_usable(&o->attachment.probe, o->attachment.backend,
			    o->attachment.probe.features.preempted_exits ? "state_change_7"
									 : "state_change_2");
}

/* Skipped runs of the first and of the second program for changes of state. */
static void state_changes_missed(const struct observer *o, uint64_t missed[2])
{
	const bool preempted = o->attachment.probe.features.preempted_exits;

	missed[0] = probe_usable(&o->attachment.probe, o->attachment.backend, "state_change")
			    ? loading_runs_missed(o->bpf->progs.state_change)
			    : 0;
	missed[1] = preempted && second_change_usable(o)
			    ? loading_runs_missed(o->bpf->progs.state_change_7)
			    : 0;
}

/*
 * At most so many connections ended unseen: neither program ran. A softirq finds one of the two
 * running, never both, so where they can't be preempted (before 7.x) none is missed. One that was
 * missed still passes for open, so they are no more than those.
 */
static uint64_t ends_missed(const struct observer *o)
{
	uint64_t missed[2], both = 0, open = 0;

	state_changes_missed(o, missed);
	for (int i = 0; i < 2; i++)
		missed[i] -= missed[i] > o->changes_before[i] ? o->changes_before[i] : missed[i];
	if (!second_change_usable(o))
		both = missed[0];
	else if (o->attachment.probe.features.preempted_exits)
		both = missed[0] < missed[1] ? missed[0] : missed[1];
	both += o->bpf->bss->count_ends_busy;
	for (__u32 i = 0; i < COUNT_WORKERS_MAX && both; i++)
		open += o->workers[i].used ? open_of(o, i) : 0;
	return both < open ? both : open;
}

/* Of loading_runs_missed(), by kind: at most so many events were not counted, as programs also run
 * for what is not ours. */
static void runs_missed(const struct observer *o, uint64_t missed[MISSED_KINDS + 1])
{
	const uint64_t *rescued = (const uint64_t *)&o->bpf->bss->count_rescued;

	memset(missed, 0, (MISSED_KINDS + 1) * sizeof(*missed));
	for (size_t i = 0; i < hook_count; i++) {
		const bool counts = hooks[i].sees && !(hooks[i].flags & HOOK_SPARE);
		const uint64_t runs = counts ? backend_skipped(&o->attachment, i) : 0;

		missed[MISSED_ALL] += runs;
		for (size_t k = 0; k < MISSED_KINDS; k++)
			missed[k] += hooks[i].sees & missed_kinds[k].sees ? runs : 0;
	}
	/* Of accepts, the first kind. Read a moment later, so it may be ahead. */
	missed[0] -= missed[0] > *rescued ? *rescued : missed[0];
	missed[MISSED_ALL] -= missed[MISSED_ALL] > *rescued ? *rescued : missed[MISSED_ALL];
}

void observer_watch_port(struct observer *o, uint16_t port)
{
	__atomic_or_fetch(&o->bpf->bss->count_ports[port >> 6], 1ull << (port & 63),
			  __ATOMIC_SEQ_CST);
}

/* ---- giving rows back ---- */

/*
 * User space may take a row back when nobody counts on it any more: its key is taken out, so that
 * nobody finds it, and its generation goes up, so that a thread that remembers it lets go of it. A
 * program that had found it before may still be counting; after a grace period of the kernel's
 * readers none is.
 */
static void worker_unlink(struct observer *o, __u32 i)
{
	struct count_worker *row = &o->workers[i];
	struct count_worker_key key = { .cookie = row->cookie,
					.start_ns = row->start_ns,
					.tid = row->tid };

	bpf_map_delete_elem(bpf_map__fd(o->bpf->maps.worker_by_key), &key);
	__atomic_add_fetch(&row->generation, 1, __ATOMIC_SEQ_CST);
}

static void socket_unlink(struct observer *o, __u32 i)
{
	bpf_map_delete_elem(bpf_map__fd(o->bpf->maps.socket_by_cookie), &o->sockets[i].cookie);
}

/* It is known now whether the socket of the row is asked for, or the row is given back. */
static void socket_decided(struct observer *o, __u32 i)
{
	if (o->sockets[i].used == COUNT_UNDECIDED)
		__atomic_sub_fetch(&o->bpf->bss->count_undecided, 1, __ATOMIC_SEQ_CST);
	o->sockets[i].used = 1;
}

/* cell: of who had a row of the pool, see shares.h. */
static void share_return(struct observer *o, enum count_pool pool, __u32 cell)
{
	__atomic_sub_fetch(&o->bpf->bss->count_used[pool], 1, __ATOMIC_SEQ_CST);
	if (cell != COUNT_SHARE_EXEMPT)
		__atomic_sub_fetch(&o->bpf->bss->count_shares[cell], 1, __ATOMIC_SEQ_CST);
}

/* of: the row that had it. */
static void histogram_free(struct observer *o, const struct count_worker *of)
{
	const __u32 i = of->wait.histogram - 1;

	share_return(o, COUNT_POOL_HISTOGRAMS, of->histogram_share);
	memset(&o->histograms[i], 0, sizeof(o->histograms[i]));
	bpf_map_update_elem(bpf_map__fd(o->bpf->maps.free_histograms), NULL, &i, BPF_ANY);
}

/* The generation goes up once more: a thread that had found the row before may have remembered it
 * just after it was unlinked. */
static void worker_free(struct observer *o, __u32 i)
{
	struct count_worker *row = &o->workers[i];

	if (row->used == COUNT_SERVES)
		__atomic_sub_fetch(&o->bpf->bss->count_servers, 1, __ATOMIC_SEQ_CST);
	if (row->wait.histogram)
		histogram_free(o, row);
	share_return(
		o, COUNT_POOL_WORKERS,
		share_of_user(COUNT_POOL_WORKERS, row->uid, o->bpf->rodata->config.share_seed));
	__atomic_add_fetch(&row->generation, 1, __ATOMIC_SEQ_CST);
	memset(row, 0, offsetof(struct count_worker, generation));
	memset(&row->start_ns, 0, sizeof(*row) - offsetof(struct count_worker, start_ns));
	if (o->serves)
		memset(&o->serves[i], 0, sizeof(o->serves[i]));
	bpf_map_update_elem(bpf_map__fd(o->bpf->maps.free_workers), NULL, &i, BPF_ANY);
}

/* of: the row that had it. */
static void sketch_free(struct observer *o, const struct count_socket *of)
{
	const __u32 i = of->sketch - 1;

	share_return(
		o, COUNT_POOL_SKETCHES,
		share_of_user(COUNT_POOL_SKETCHES, of->uid, o->bpf->rodata->config.share_seed));
	memset(&o->sketches[i], 0, sizeof(o->sketches[i]));
	bpf_map_update_elem(bpf_map__fd(o->bpf->maps.free_sketches), NULL, &i, BPF_ANY);
}

static void socket_free(struct observer *o, __u32 i)
{
	socket_decided(o, i);
	if (o->sockets[i].sketch)
		sketch_free(o, &o->sockets[i]);
	share_return(o, COUNT_POOL_SOCKETS,
		     share_of_user(COUNT_POOL_SOCKETS, o->sockets[i].uid,
				   o->bpf->rodata->config.share_seed));
	memset(&o->sockets[i], 0, sizeof(o->sockets[i]));
	memset(&o->arrivals[i * o->cpus], 0, o->cpus * sizeof(*o->arrivals));
	bpf_map_update_elem(bpf_map__fd(o->bpf->maps.free_sockets), NULL, &i, BPF_ANY);
}

static void connections_forget(struct observer *o)
{
	const int fd = bpf_map__fd(o->bpf->maps.connections);
	__u64 key;

	while (!bpf_map_get_next_key(fd, NULL, &key))
		bpf_map_delete_elem(fd, &key);
}

void observer_stop(struct observer *o)
{
	/* What is open carries on; the window does not. */
	if (o->bytes && o->bpf->bss->count_on)
		bytes_look(o->bytes);
	__atomic_store_n(&o->bpf->bss->count_on, 0, __ATOMIC_SEQ_CST);
	grace_period(o);
}

void observer_reset(struct observer *o)
{
	observer_stop(o);
	for (__u32 i = 0; i < COUNT_WORKERS_MAX; i++)
		if (o->workers[i].used)
			worker_unlink(o, i);
	for (__u32 i = 0; i < o->sockets_max; i++)
		if (o->sockets[i].used)
			socket_unlink(o, i);
	grace_period(o);
	for (__u32 i = 0; i < COUNT_WORKERS_MAX; i++)
		if (o->workers[i].used)
			worker_free(o, i);
	for (__u32 i = 0; i < o->sockets_max; i++)
		if (o->sockets[i].used)
			socket_free(o, i);
	if (o->serves)
		connections_forget(o);
	if (o->bytes)
		bytes_forget(o->bytes);
	o->bpf->bss->count_migrates = 0;
	memset(o->bpf->bss->count_lost, 0, sizeof(o->bpf->bss->count_lost));
	memset(o->bpf->bss->count_lost_crowded, 0, sizeof(o->bpf->bss->count_lost_crowded));
	memset(o->bpf->bss->count_crowded_ports, 0, sizeof(o->bpf->bss->count_crowded_ports));
	losses_forget(bpf_map__fd(o->bpf->maps.lost_by_port));
	o->unattributed.count = o->undecided.count = o->unseen.count = o->unseen_past.count = 0;
	o->bpf->bss->count_rescued = 0;
	memset(o->bpf->bss->count_ports, 0, sizeof(o->bpf->bss->count_ports));
	ledger_clear(o->ledger);
	o->started_ns = 0;
	free(o->baseline);
	o->baseline = NULL;
	o->baseline_count = 0;
}

int observer_start(struct observer *o)
{
	struct timespec now;
	int err = 0;

	if (o->inventory)
		err = observer_scan(o);
	else
		o->baseline_count = sockdiag_dump(&o->baseline);
	runs_missed(o, o->missed_before);
	state_changes_missed(o, o->changes_before);
	o->bpf->bss->count_ends_busy = 0;
	clock_gettime(CLOCK_REALTIME, &now);
	o->start_ms = now.tv_sec * 1000ll + now.tv_nsec / 1000000;
	clock_gettime(CLOCK_BOOTTIME, &now);
	o->started_ns = now.tv_sec * 1000000000ull + now.tv_nsec;
	clock_gettime(CLOCK_MONOTONIC, &o->started);
	o->bpf->bss->count_started_us = o->started.tv_sec * 1000000ull + o->started.tv_nsec / 1000;
	__atomic_store_n(&o->bpf->bss->count_on, 1, __ATOMIC_SEQ_CST);
	/* What is accepted from here on is followed: none is missed between the two. */
	if (!err && o->bytes && o->before)
		err = bytes_begin(o->bytes, o->inventory);
	return err;
}

void observer_close(struct observer *o)
{
	if (!o)
		return;
	detach(o);
	if (o->inner_map >= 0)
		close(o->inner_map);
	if (o->outer_map >= 0)
		close(o->outer_map);
	inventory_close(o->inventory);
	ledger_free(o->ledger);
	free(o->unwanted.rows);
	free(o->asked.rows);
	free(o->undecided.rows);
	free(o->unattributed.rows);
	free(o->unseen.rows);
	free(o->unseen_past.rows);
	free(o->baseline);
	probe_free(&o->attachment.probe);
	free(o);
}

/* ---- from the kernel's rows to the ledger ---- */

/* Room for what the CPUs counted of one socket. */
struct scratch {
	struct arrivals_cpu *rows; /* o->cpus */
	uint64_t *by_cpu;          /* arrivals, before late drops: those are another CPU's */
};

static int scratch_make(struct scratch *s, const struct observer *o)
{
	s->rows = calloc(o->cpus, sizeof(*s->rows));
	s->by_cpu = calloc(o->cpus, sizeof(*s->by_cpu));
	return s->rows && s->by_cpu ? 0 : -ENOMEM;
}

static void scratch_free(struct scratch *s)
{
	free(s->rows);
	free(s->by_cpu);
}

/* In the order that arrivals_sum() asks for. */
static void arrivals_read(const struct observer *o, const struct count_socket *from,
			  const struct scratch *to)
{
	const struct count_arrival *a = o->arrivals + (from - o->sockets) * o->cpus;

	for (unsigned cpu = 0; cpu < o->cpus; cpu++)
		to->rows[cpu].dropped_late =
			__atomic_load_n(&a[cpu].dropped_late, __ATOMIC_ACQUIRE);
	for (unsigned cpu = 0; cpu < o->cpus; cpu++) {
		to->rows[cpu].arrived = to->by_cpu[cpu] =
			__atomic_load_n(&a[cpu].arrived, __ATOMIC_ACQUIRE);
		to->rows[cpu].dropped = a[cpu].dropped;
		to->rows[cpu].queue_highest =
			from->protocol == IPPROTO_TCP ? a[cpu].queue_highest : 0;
		to->rows[cpu].copies = from->protocol == IPPROTO_UDP ? a[cpu].copies : 0;
		to->rows[cpu].several = a[cpu].several;
	}
}

/*
 * A peer is elected only where it has no votes, so one that had votes before and after it was read
 * is whole. Its votes are read before what the bucket has by then: they are no more than that.
 */
static struct flow_peer peer_read(const struct count_sketch *from)
{
	const __u32 heaviest = __atomic_load_n(&from->heaviest, __ATOMIC_ACQUIRE);
	const __s64 votes = __atomic_load_n(&from->votes, __ATOMIC_ACQUIRE);
	struct flow_peer peer = { .bucket = heaviest,
				  .port = ntohs(from->peer.port),
				  .votes = votes };

	if (!heaviest || heaviest > COUNT_SKETCH_BUCKETS || votes <= 0)
		return (struct flow_peer){};
	memcpy(peer.address, from->peer.address, sizeof(peer.address));
	peer.watched = (__u32)(__atomic_load_n(&from->buckets[heaviest - 1], __ATOMIC_ACQUIRE) -
			       from->since);
	if (__atomic_load_n(&from->heaviest, __ATOMIC_ACQUIRE) != heaviest ||
	    __atomic_load_n(&from->votes, __ATOMIC_ACQUIRE) <= 0)
		return (struct flow_peer){};
	return peer;
}

static struct lost_events events_of(const struct ledger_socket *s, uint64_t count, unsigned touches)
{
	return (struct lost_events){ .count = count,
				     .touches = touches,
				     .protocol = s->protocol,
				     .port = s->port,
				     .netns = s->netns };
}

/* last: the row is given back. */
static int socket_count(struct observer *o, const struct count_socket *from,
			struct ledger_socket *to, const struct scratch *scratch, bool last)
{
	struct ledger_closings closings;
	struct flow_peer peer;
	struct arrivals sum;
	int err;

	arrivals_read(o, from, scratch);
	sum = arrivals_sum(scratch->rows, o->cpus);
	err = lost_list_note(last ? &o->unseen_past : &o->unseen,
			     events_of(to, sum.unseen, LOST_ARRIVED));
	if (err)
		return err;
	to->row.highest_known = to->protocol == PROTOCOL_TCP && (o->sees & SEES_TCP_ARRIVED);
	if (sum.queue_highest > to->row.queue_highest)
		to->row.queue_highest = sum.queue_highest;
	closings =
		(struct ledger_closings){ .reset = from->left_reset, .migrated = from->left_moved };
	ledger_count_closings(to, &closings, last);
	ledger_count_copies(to, sum.copies, last);
	ledger_count_several(to, sum.several, last);
	err = ledger_count_socket(o->ledger, to, sum.arrived, sum.dropped, scratch->by_cpu, last);
	if (err || !from->sketch)
		return err;
	peer = peer_read(&o->sketches[from->sketch - 1]);
	return ledger_count_flows(to, o->sketches[from->sketch - 1].buckets, &peer, last);
}

/* What the counting programs know of the socket, for want of an inventory's better knowledge. */
static struct ledger_socket *socket_enter(struct observer *o, const struct count_socket *from)
{
	bool made;
	struct ledger_socket *s = ledger_socket(o->ledger, from->cookie, &made);

	if (!s || !made)
		return s;
	s->protocol = from->protocol == IPPROTO_UDP ? PROTOCOL_UDP : PROTOCOL_TCP;
	s->family = from->family;
	s->port = from->port;
	s->netns = from->netns;
	memcpy(s->address, from->address, sizeof(s->address));
	s->row.inode = from->inode;
	s->row.uid = from->uid;
	s->row.reuseport = from->flags & COUNT_REUSEPORT;
	s->row.connected = from->flags & COUNT_CONNECTED;
	s->row.queue_limit = from->limit;
	if (o->inventory) {
		const struct sockdiag_row *before =
			sockdiag_find(o->baseline, o->baseline_count, from->cookie);

		s->row.appeared = !before;
		s->drops_first = before ? before->drops : 0;
		s->drops_now = s->drops_first;
		s->undecided = o->by_process;
	}
	return s;
}

/* What was counted beside the row: waits, and whom it served. */
static int work_count(struct observer *o, __u32 i, struct ledger_worker *w, bool last)
{
	const struct count_wait *wait = o->histograms ? &o->workers[i].wait : NULL;
	const struct count_serve *serve = o->serves ? &o->serves[i] : NULL;
	struct ledger_work work = {};

	if (wait) {
		work.wait = (struct wait){ .count = wait->count,
					   .sum_ns = wait->sum_us * 1000,
					   .max_ns = wait->max_us * 1000ull };
		work.queued_before = wait->before;
		work.reset_queued = wait->reset;
	}
	if (serve) {
		work.served = serve->served;
		work.handed = (struct wait){ .count = serve->handed,
					     .sum_ns = serve->handed_ns,
					     .max_ns = serve->handed_max_ns };
		work.finished = __atomic_load_n(&serve->closed, __ATOMIC_ACQUIRE);
		work.finished_ns = serve->closed_ns;
		work.carried = (struct bytes){ serve->carried.received, serve->carried.sent };
		work.moved = serve->moved;
		work.unfollowed = o->workers[i].unfollowed;
		work.opened = __atomic_load_n(&serve->opened, __ATOMIC_ACQUIRE);
	}
	return ledger_count_work(
		o->ledger, w, &work,
		wait && wait->histogram ? o->histograms[wait->histogram - 1].slots : NULL, last);
}

static int worker_enter(struct observer *o, const struct count_worker *from, bool last)
{
	bool made;
	struct ledger_worker *w =
		ledger_worker(o->ledger, from->cookie, from->tid, from->start_ns, &made);

	if (!w)
		return -ENOMEM;
	if (made) {
		w->row.pid = from->pid;
		w->protocol = from->protocol == IPPROTO_UDP ? PROTOCOL_UDP : PROTOCOL_TCP;
		w->port = from->port;
		w->netns = from->netns;
		memcpy(w->row.comm, from->comm, sizeof(w->row.comm));
		w->row.appeared = o->inventory && from->start_ns > o->started_ns;
	}
	/* A thread that only serves has a row too. */
	w->row.can_accept |= from->events || from->events_atomic;
	/* A row that was kept says nothing new of a thread that ended, unless it goes on counting.
	 */
	if (!last && (!w->kept || w->accepted != from->events + from->events_atomic))
		ledger_revive_worker(o->ledger, w);
	if (w->accepted != from->events + from->events_atomic)
		w->took_ns = o->read_ns;
	ledger_count_worker(w, from->events + from->events_atomic, last);
	return work_count(o, from - o->workers, w, last);
}

/*
 * Workers first: the kernel makes the socket's row before it counts a thread's first event on it.
 * The other way round a socket made while we read would leave its thread's events without a socket
 * (told as lost, until the next read), and more accepted than arrived.
 */
static int rows_enter(struct observer *o)
{
	struct scratch scratch;
	struct timespec now;
	int err = scratch_make(&scratch, o);

	clock_gettime(CLOCK_BOOTTIME, &now);
	o->read_ns = now.tv_sec * 1000000000ull + now.tv_nsec;
	ledger_clock(o->ledger, o->started_ns, o->read_ns);
	o->unseen.count = 0;
	memset(o->entered_workers, 0, COUNT_WORKERS_MAX * sizeof(*o->entered_workers));
	memset(o->entered_sockets, 0, o->sockets_max * sizeof(*o->entered_sockets));
	for (size_t i = 0; i < COUNT_WORKERS_MAX && !err; i++) {
		o->entered_workers[i] = o->workers[i].used;
		if (o->entered_workers[i])
			err = worker_enter(o, &o->workers[i], false);
	}
	for (size_t i = 0; i < o->sockets_max && !err; i++) {
		struct ledger_socket *s =
			o->sockets[i].used ? socket_enter(o, &o->sockets[i]) : NULL;

		o->entered_sockets[i] = s;
		if (!o->sockets[i].used)
			continue;
		err = s ? socket_count(o, &o->sockets[i], s, &scratch, false) : -ENOMEM;
		if (s)
			ledger_revive_socket(o->ledger, s);
	}
	scratch_free(&scratch);
	return err;
}

/* ---- with an inventory ---- */

bool observer_active(struct observer *o)
{
	uint64_t sum = 0, before = o->active;

	for (size_t i = 0; i < o->sockets_max; i++) {
		const struct count_arrival *a = o->arrivals + i * o->cpus;

		for (unsigned cpu = 0; o->sockets[i].used && cpu < o->cpus; cpu++)
			sum += a[cpu].arrived + a[cpu].dropped;
	}
	for (size_t i = 0; i < COUNT_WORKERS_MAX; i++)
		sum += o->workers[i].events + o->workers[i].events_atomic;
	/* Work that comes by connections that are open. */
	sum += o->bytes ? bytes_carried(o->bytes) : 0;
	o->active = sum;
	return sum != before || (o->inventory && inventory_queued(o->inventory));
}

size_t observer_found(const struct observer *o, uint16_t port)
{
	return inventory_count(o->inventory, port);
}

static int compare_cookies(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static bool has_cookie(const struct cookies *of, uint64_t cookie)
{
	return of->count && bsearch(&cookie, of->rows, of->count, sizeof(cookie), compare_cookies);
}

/* Takes out what neither list has: of sockets that are gone, and that the programs marked
 * themselves. */
static void asked_sweep(struct observer *o)
{
	const int fd = bpf_map__fd(o->bpf->maps.asked_by_cookie);
	uint64_t key, next;
	int more = !bpf_map_get_next_key(fd, NULL, &next);

	while (more) {
		key = next;
		more = !bpf_map_get_next_key(fd, &key, &next);
		if (!has_cookie(&o->asked, key) && !has_cookie(&o->unwanted, key))
			bpf_map_delete_elem(fd, &key);
	}
}

/* Marks what is new in `now`, which takes the place of `before`, and takes out what is not in it
 * any more. */
static void asked_mark(struct observer *o, struct cookies *before, struct cookies now,
		       const __u32 mark)
{
	const int fd = bpf_map__fd(o->bpf->maps.asked_by_cookie);
	struct cookies old = *before;
	bool swept = false;

	*before = now;
	for (size_t i = 0; i < old.count; i++)
		if (!has_cookie(&o->asked, old.rows[i]) && !has_cookie(&o->unwanted, old.rows[i]))
			bpf_map_delete_elem(fd, &old.rows[i]);
	for (size_t i = 0; i < now.count; i++) {
		if (has_cookie(&old, now.rows[i]) ||
		    !bpf_map_update_elem(fd, &now.rows[i], &mark, BPF_ANY))
			continue;
		if (!swept)
			asked_sweep(o);
		swept = true;
		/* One that finds no room shares the rows of those that are not known. */
		bpf_map_update_elem(fd, &now.rows[i], &mark, BPF_ANY);
	}
	free(old.rows);
}

/*
 * Tells the kernel which of the sockets that exist are asked for, and which are not. Those it does
 * not know of are counted, while a share of the rows is left for them: whether they are asked for
 * shows when they are found, or when a thread that is asked for has taken from them.
 */
static int asked_update(struct observer *o)
{
	struct cookies unwanted = {}, asked = {};
	uint64_t *both;
	int count = inventory_cookies(o->inventory, false, &unwanted.rows), more;

	if (count < 0)
		return count;
	more = inventory_cookies(o->inventory, true, &asked.rows);
	if (more < 0) {
		free(unwanted.rows);
		return more;
	}
	both = reallocarray(asked.rows, more + count + 1, sizeof(*both));
	if (!both) {
		free(unwanted.rows);
		free(asked.rows);
		return -ENOMEM;
	}
	asked = (struct cookies){ both, more };
	/* What was asked for once stays so: who held it may be gone, and another hold it still. */
	for (int i = 0; i < count; i++) {
		const struct ledger_socket *s = ledger_find_socket(o->ledger, unwanted.rows[i]);

		if (!s || s->undecided)
			unwanted.rows[unwanted.count++] = unwanted.rows[i];
		else
			asked.rows[asked.count++] = unwanted.rows[i];
	}
	qsort(unwanted.rows, unwanted.count, sizeof(*unwanted.rows), compare_cookies);
	qsort(asked.rows, asked.count, sizeof(*asked.rows), compare_cookies);
	asked_mark(o, &o->asked, asked, COUNT_ASKED);
	asked_mark(o, &o->unwanted, unwanted, COUNT_UNASKED);
	for (__u32 i = 0; i < o->sockets_max; i++)
		if (o->sockets[i].used == COUNT_UNDECIDED &&
		    has_cookie(&o->asked, o->sockets[i].cookie))
			socket_decided(o, i);
	return 0;
}

/* The rows that are to be given back, by index. */
struct ending {
	__u32 *workers, *sockets;
	size_t worker_count, socket_count;
};

static size_t workers_used(const struct observer *o)
{
	return __atomic_load_n(&o->bpf->bss->count_used[COUNT_POOL_WORKERS], __ATOMIC_ACQUIRE);
}

/* Is there so little room for new rows of threads that those of the dead can't be kept? One user
 * alone gets three quarters: see shares.h. */
static bool rows_short(const struct observer *o, size_t used)
{
	return used > o->workers_max * 5 / 8 ||
	       o->bpf->bss->count_servers > COUNT_SERVERS_MAX / 4 * 3;
}

/* Its thread has ended, but who holds its connections now may close them later: where there is room
 * the row waits for that. */
static bool keeps(const struct observer *o, __u32 i, const struct ledger_worker *w, size_t used)
{
	const struct ledger_socket *s = ledger_find_socket(o->ledger, w->row.cookie);

	return s && !s->undecided && open_of(o, i) && !rows_short(o, used);
}

/*
 * Of the rows that were read in this scan those whose thread or socket it found ended, and all that
 * are not asked for. One that was made since is in no list of what lives, and no ledger.
 */
static void ending_find(const struct observer *o, struct ending *e)
{
	size_t used = workers_used(o);

	for (__u32 i = 0; i < COUNT_WORKERS_MAX; i++) {
		const struct count_worker *row = &o->workers[i];
		struct ledger_worker *w = NULL;

		if (!row->used)
			continue;
		if (o->entered_workers[i])
			w = ledger_find_worker(o->ledger, row->cookie, row->tid, row->start_ns);
		if (has_cookie(&o->unwanted, row->cookie) ||
		    (w && w->row.ended && !(w->kept = keeps(o, i, w, used)))) {
			e->workers[e->worker_count++] = i;
			used--;
		}
	}
	for (__u32 i = 0; i < o->sockets_max; i++) {
		const struct ledger_socket *s =
			o->entered_sockets[i] ? ledger_find_socket(o->ledger, o->sockets[i].cookie)
					      : NULL;

		if (o->sockets[i].used &&
		    ((s && s->row.ended) || has_cookie(&o->unwanted, o->sockets[i].cookie)))
			e->sockets[e->socket_count++] = i;
	}
}

/* What is open when its row is given back: nobody tells any more when it ends. Of sockets that are
 * not asked for nobody wants to know. */
static int open_forget(struct observer *o, __u32 i)
{
	const uint64_t cookie = o->workers[i].cookie, open = open_of(o, i);
	const struct ledger_socket *s = open ? ledger_find_socket(o->ledger, cookie) : NULL;

	if (!s || s->undecided || has_cookie(&o->unwanted, cookie))
		return 0;
	return lost_list_note(&o->unattributed, events_of(s, open, LOST_SERVED | LOST_OPEN));
}

static int ending_give_back(struct observer *o, const struct ending *e)
{
	struct scratch scratch;
	int err = scratch_make(&scratch, o);

	for (size_t i = 0; i < e->worker_count; i++)
		worker_unlink(o, e->workers[i]);
	for (size_t i = 0; i < e->socket_count; i++)
		socket_unlink(o, e->sockets[i]);
	if (!err && (e->worker_count || e->socket_count))
		err = grace_period(o);
	for (size_t i = 0; i < e->worker_count && !err; i++) {
		err = worker_enter(o, &o->workers[e->workers[i]], true);
		if (!err)
			err = open_forget(o, e->workers[i]);
		worker_free(o, e->workers[i]);
	}
	for (size_t i = 0; i < e->socket_count && !err; i++) {
		struct ledger_socket *s = socket_enter(o, &o->sockets[e->sockets[i]]);

		err = s ? socket_count(o, &o->sockets[e->sockets[i]], s, &scratch, true) : -ENOMEM;
		if (s)
			s->forgotten = has_cookie(&o->unwanted, s->row.cookie);
		socket_free(o, e->sockets[i]);
	}
	scratch_free(&scratch);
	return err;
}

/*
 * Sockets that came and went between two scans: were they asked for? Who took from them tells, if
 * it can still be asked. What can't be told is lost.
 */
static int undecided_decide(struct observer *o)
{
	struct ledger_socket *const *sockets;
	struct ledger_worker *const *workers;
	size_t count = ledger_workers(o->ledger, &workers), open = 0;
	int err = 0;
	struct {
		uint64_t cookie, taken;
		enum inventory_answer answer;
	} *of = calloc(ledger_sockets(o->ledger, &sockets) + 1, sizeof(*of)), *found;

	if (!of)
		return -ENOMEM;
	for (size_t i = 0, n = ledger_sockets(o->ledger, &sockets); i < n; i++)
		if (sockets[i]->undecided && sockets[i]->row.ended)
			of[open++].cookie = sockets[i]->row.cookie;
	qsort(of, open, sizeof(*of), compare_cookies);
	for (size_t i = 0; i < count && open; i++) {
		enum inventory_answer answer;

		found = bsearch(&workers[i]->row.cookie, of, open, sizeof(*of), compare_cookies);
		if (!found)
			continue;
		answer = inventory_asks(o->inventory, workers[i]->row.pid, workers[i]->row.comm);
		found->answer = answer > found->answer ? answer : found->answer;
		found->taken += workers[i]->accepted_past;
	}
	for (size_t i = 0; i < open; i++) {
		struct ledger_socket *s = ledger_find_socket(o->ledger, of[i].cookie);
		uint64_t came = s->arrived_past + s->dropped_past;

		s->undecided = of[i].answer != INVENTORY_ASKED;
		s->forgotten = s->undecided;
		if (of[i].answer == INVENTORY_UNKNOWN && !err)
			err = lost_list_note(
				&o->undecided,
				events_of(s, came > of[i].taken ? came : of[i].taken, LOST_ANY));
	}
	free(of);
	return err;
}

/*
 * Rows of threads that are gone. Those whose connections are open wait for them to end, where there
 * is room, as in keeps(); io_uring's kernel threads (start 0) count for an owner.
 */
static void gone_find(const struct observer *o, struct ending *e, size_t used)
{
	for (__u32 i = 0; i < COUNT_WORKERS_MAX; i++) {
		const struct count_worker *row = &o->workers[i];

		if (!__atomic_load_n(&row->used, __ATOMIC_ACQUIRE) || !row->start_ns ||
		    (open_of(o, i) && !rows_short(o, used)))
			continue;
		if (process_thread_gone(row->pid, row->tid))
			e->workers[e->worker_count++] = i;
	}
}

/* What they counted is read once more when they are given back. */
static int gone_end(struct observer *o, const struct ending *e)
{
	for (size_t i = 0; i < e->worker_count; i++) {
		const struct count_worker *row = &o->workers[e->workers[i]];
		int err = worker_enter(o, row, false);

		if (err)
			return err;
		ledger_end_worker(o->ledger, ledger_find_worker(o->ledger, row->cookie, row->tid,
								row->start_ns));
	}
	return 0;
}

int observer_relieve(struct observer *o)
{
	const size_t used = workers_used(o);
	struct ending e = {};
	int err;

	if (!o->relieve_at)
		o->relieve_at = o->workers_max / 2;
	if (!o->inventory || used < o->relieve_at)
		return 0;
	e.workers = calloc(COUNT_WORKERS_MAX, sizeof(*e.workers));
	if (!e.workers)
		return -ENOMEM;
	gone_find(o, &e, used);
	err = gone_end(o, &e);
	if (!err)
		err = ending_give_back(o, &e);
	/* Those that live stay: it is no use to ask again before there are some more. */
	o->relieve_at = used - e.worker_count + o->workers_max / 16;
	if (o->relieve_at < o->workers_max / 2)
		o->relieve_at = o->workers_max / 2;
	free(e.workers);
	return err ? err : ledger_trim(o->ledger);
}

int observer_scan(struct observer *o)
{
	struct ending e = { .workers = calloc(COUNT_WORKERS_MAX, sizeof(*e.workers)),
			    .sockets = calloc(o->sockets_max, sizeof(*e.sockets)) };
	int err = e.workers && e.sockets ? inventory_scan(o->inventory) : -ENOMEM;

	if (!err)
		err = rows_enter(o);
	if (!err)
		err = inventory_fill(o->inventory, o->ledger, o->started_ns);
	if (!err && o->by_process)
		err = asked_update(o);
	if (!err) {
		ending_find(o, &e);
		err = ending_give_back(o, &e);
	}
	if (!err && o->by_process)
		err = undecided_decide(o);
	if (!err && o->by_process)
		ledger_forget(o->ledger);
	if (!err) /* after that: a row that still counts in the kernel must not be folded */
		err = ledger_trim(o->ledger);
	free(e.workers);
	free(e.sockets);
	return err;
}

/* ---- reading ---- */

static void lost_say(struct snapshot *s, const char *reason, const char *text, uint64_t count,
		     bool beside, bool at_most)
{
	if (count)
		s->lost[s->lost_count++] = (struct lost_row){ .reason = reason,
							      .text = text,
							      .count = count,
							      .beside = beside,
							      .at_most = at_most };
}

/* By reason what the programs lost, and by port. orphaned: events of threads on sockets that found
 * no row: counted, but in no endpoint. */
static int lost_by_programs(const struct observer *o, struct snapshot *s, struct lost_list *where,
			    uint64_t orphaned)
{
	const struct losses_beside beside = { .unattributed = o->bpf->bss->count_lost,
					      .crowded = o->bpf->bss->count_lost_crowded,
					      .crowded_ports = o->bpf->bss->count_crowded_ports };
	uint64_t counts[COUNT_LOST_REASONS];
	unsigned touches[COUNT_LOST_REASONS];
	int err;

	for (int i = 0; i < COUNT_LOST_REASONS; i++)
		touches[i] = lost_texts[i].touches ? lost_texts[i].touches : LOST_ANY;
	err = losses_read(bpf_map__fd(o->bpf->maps.lost_by_port), &beside, touches, counts, where);
	if (!err)
		err = losses_of_orphans(o->ledger, orphaned, where);
	counts[COUNT_LOST_SOCKETS_FULL] += orphaned;
	lost_say(s, "holder_unknown",
		 "events of sockets that were gone before their process was known, or had no row "
		 "until then, so the filter could not tell",
		 lost_list_sum(&o->undecided) + counts[COUNT_LOST_UNDECIDED], false, true);
	for (int i = 0; i < COUNT_LOST_REASONS; i++)
		if (i != COUNT_LOST_UNDECIDED)
			lost_say(s, lost_texts[i].reason, lost_texts[i].text, counts[i],
				 !(touches[i] & (LOST_ARRIVED | LOST_ACCEPTED)),
				 i == COUNT_LOST_TAKEN_DROPPED);
	return err;
}

/* Whose runs were skipped is known by what they would have counted, not by port. */
static int lost_by_skipping(const struct observer *o, struct snapshot *s, struct lost_list *where)
{
	const uint64_t ends = o->serves ? ends_missed(o) : 0;
	uint64_t missed[MISSED_KINDS + 1];
	int err = lost_list_add(where, (struct lost_events){ .count = ends,
							     .touches = LOST_OPEN,
							     .protocol = PROTOCOL_TCP });

	runs_missed(o, missed);
	for (size_t k = 0; k <= MISSED_KINDS; k++)
		missed[k] -= missed[k] > o->missed_before[k] ? o->missed_before[k] : missed[k];
	for (size_t k = 0; k < MISSED_KINDS && !err; k++)
		err = lost_list_add(where,
				    (struct lost_events){ .count = missed[k],
							  .touches = missed_kinds[k].touches,
							  .protocol = missed_kinds[k].protocol });
	lost_say(s, "runs_missed", "events for which the program was running on that CPU already",
		 missed[MISSED_ALL], false, true);
	lost_say(s, "ends_missed",
		 "ends of open connections, for which the program was running on that CPU already",
		 ends, true, true);
	return err;
}

static int lost_fill(const struct observer *o, struct snapshot *s, uint64_t orphaned)
{
	const struct lost_list *const lists[] = { &o->unattributed, &o->undecided, &o->unseen,
						  &o->unseen_past };
	struct lost_list where = {};
	int err;

	s->lost = calloc(COUNT_LOST_REASONS + 5, sizeof(*s->lost));
	if (!s->lost)
		return -ENOMEM;
	err = lost_by_skipping(o, s, &where);
	lost_say(s, "ends_unattributed",
		 "of who serves: connections that were open when, for want of room, the row of who "
		 "had them was given back",
		 lost_list_sum(&o->unattributed), true, false);
	lost_say(s, "arrivals_unseen", "datagrams dropped after a delivery that was not seen",
		 lost_list_sum(&o->unseen) + lost_list_sum(&o->unseen_past), false, false);
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists) && !err; i++)
		err = lost_list_join(&where, lists[i]);
	if (!err)
		err = lost_by_programs(o, s, &where, orphaned);
	if (!err)
		lost_put_down(s, &where);
	free(where.rows);
	return err;
}

/* Without an inventory: what sock_diag and /proc tell of the rows that there are. */
static void describe(const struct observer *o, struct snapshot *s)
{
	for (size_t i = 0; i < s->endpoint_count; i++)
		for (size_t j = 0; j < s->endpoints[i].worker_count; j++)
			process_describe_thread(&s->endpoints[i].workers[j]);
	sockdiag_queues(s, o->baseline, o->baseline_count);
}

/* Of sockets to which nothing came, too. */
static void copies_tell(const struct observer *o, struct snapshot *s)
{
	for (size_t i = 0; i < s->endpoint_count && o->attachment.backend != BACKEND_TRACEPOINT;
	     i++)
		for (size_t j = 0; j < s->endpoints[i].socket_count; j++)
			s->endpoints[i].sockets[j].copies_known =
				s->endpoints[i].protocol == PROTOCOL_UDP;
}

int observer_read(struct observer *o, struct snapshot *s, bool all)
{
	uint64_t orphaned = 0;
	struct utsname name;
	struct timespec now;
	int err;

	memset(s, 0, sizeof(*s));
	namespaces_name();
	uname(&name);
	snprintf(s->release, sizeof(s->release), "%s", name.release);
	s->backend = backend_name(o->attachment.backend);
	s->unseen_count = probe_unseen(&o->attachment.probe, o->attachment.backend, s->unseen,
				       SNAPSHOT_UNSEEN_MAX);
	s->start_ms = o->start_ms;
	clock_gettime(CLOCK_MONOTONIC, &now);
	s->seconds = now.tv_sec - o->started.tv_sec + (now.tv_nsec - o->started.tv_nsec) / 1e9;
	s->unlisted = o->inventory ? inventory_unlisted(o->inventory) : 0;
	s->looked_seconds = o->inventory ? inventory_seconds(o->inventory) : 0;
	settings_fill(s);
	err = o->bytes && o->bpf->bss->count_on ? bytes_look(o->bytes) : 0;
	if (!err)
		err = rows_enter(o);
	if (!err && o->bytes)
		err = bytes_settle(o->bytes, o->inventory, o->ledger);
	if (!err)
		err = ledger_snapshot(o->ledger, s, all, &orphaned);
	if (!err && o->bytes)
		bytes_describe(o->bytes, o->ledger, s);
	if (!err)
		err = lost_fill(o, s, orphaned);
	if (!err)
		copies_tell(o, s);
	if (!err && !o->inventory)
		describe(o, s);
	if (err)
		snapshot_free(s);
	return err;
}
