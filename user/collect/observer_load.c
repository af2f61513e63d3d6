/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Configures, loads and attaches the counting programs, and maps their tables into our memory.
 * Sizes and rodata are set first, because they can't change after loading.
 */
#include "observer_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../attach/types.h"
#include "map.h"
#include "observer_steer.h"

/* Tables that are not asked for take no memory; the programs' references to them are dead code. */
static void waits_leave_out(struct observer *o)
{
	bpf_map__set_max_entries(o->bpf->maps.histograms, 1);
	bpf_map__set_max_entries(o->bpf->maps.free_histograms, 1);
}

static void serves_leave_out(struct observer *o)
{
	bpf_map__set_max_entries(o->bpf->maps.serves, 1);
	bpf_map__set_max_entries(o->bpf->maps.connections, 1);
	bpf_map__set_max_entries(o->bpf->maps.places, 1);
	bpf_map__set_max_entries(o->bpf->maps.older, 1);
	bpf_map__set_max_entries(o->bpf->maps.older_ended, 1);
}

static unsigned connections_max(unsigned cpus)
{
	unsigned max = COUNT_CONNECTIONS_GROWING;

	while (cpus > 16 && max * 2ull <= (__u64)COUNT_CONNECTIONS_CPU * cpus)
		max *= 2;
	return max;
}

/*
 * Makes a map allocate its entries when they are needed. Before 6.1 maps of tracing programs must
 * not do that: the kernel warns, or refuses.
 */
static void map_grows(struct bpf_map *map)
{
	bpf_map__set_map_flags(map, bpf_map__map_flags(map) | BPF_F_NO_PREALLOC);
}

#define ASKED_LEAST 8192 /* least size of the map; twice the number of sockets found is added */

/*
 * Sockets of which it is not known whether they are asked for get at most half of the rows, so
 * that wanted sockets find room.
 */
static void asked_configure(struct observer *o, const struct observer_options *options,
			    struct count_config *c)
{
	const struct selection *s = &options->selection;
	const size_t found = inventory_sockets(o->inventory);

	c->undecided_max = c->pool_max[COUNT_POOL_SOCKETS] / 2;
	/* Only user space can compare paths of cgroups. */
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

/* rows_max: limit for each pool; 0: as many as there is room for. */
static void shares_configure(struct observer *o, unsigned rows_max, struct count_config *c)
{
	const unsigned max = rows_max ? rows_max : UINT32_MAX;

	o->workers_max = least(COUNT_WORKERS_MAX, max);
	c->pool_max[COUNT_POOL_SOCKETS] = least(o->sockets_max, max);
	c->pool_max[COUNT_POOL_WORKERS] = o->workers_max;
	c->pool_max[COUNT_POOL_SKETCHES] = least(COUNT_SKETCHES, max);
	c->pool_max[COUNT_POOL_HISTOGRAMS] = least(COUNT_HISTOGRAMS, max);
	/*
	 * With a random seed nobody outside knows which owners share a cell. If no random number
	 * is available, this constant is the seed.
	 */
	c->share_seed = 0x9e3779b1u;
	getrandom(&c->share_seed, sizeof(c->share_seed), GRND_NONBLOCK);
	c->share_seed |= 1;
}

/* max: limit of open connections that are followed; 0: as many as there is room for. */
static void connections_configure(struct observer *o, unsigned max, bool growing)
{
	o->connections_max = max ? max : growing ? connections_max(o->cpus) : COUNT_CONNECTIONS;
	bpf_map__set_max_entries(o->bpf->maps.connections, o->connections_max);
	bpf_map__set_max_entries(
		o->bpf->maps.older,
		least(growing ? COUNT_OLDER_GROWING : COUNT_OLDER, o->connections_max));
	if (!o->bpf->rodata->config.places)
		bpf_map__set_max_entries(o->bpf->maps.places, 1);
	if (growing) {
		map_grows(o->bpf->maps.connections);
		map_grows(o->bpf->maps.older);
	}
}

static void steer_configure(struct observer *o, const struct steer_config *steer)
{
	const bool by_group = steer && steer->by_group, by_lookup = steer && !by_group;

	if (steer)
		*(struct steer_config *)&o->bpf->rodata->steer = *steer;
	bpf_program__set_autoload(o->bpf->progs.steer_lookup, by_lookup);
	bpf_map__set_autocreate(o->bpf->maps.steer_sockets, by_lookup);
	bpf_program__set_autoload(o->bpf->progs.steer_reuseport, by_group);
	bpf_map__set_autocreate(o->bpf->maps.steer_array, by_group);
	bpf_map__set_autocreate(o->bpf->maps.steer_members, steer);
	bpf_map__set_autocreate(o->bpf->maps.steer_by_cookie, steer);
}

static void programs_configure(struct observer *o, const struct observer_options *options)
{
	const struct kernel_features *f = &o->attachment.probe.features;
	struct count_config *c = (struct count_config *)&o->bpf->rodata->config;

	o->sockets_max = count_sockets_max(o->cpus);
	*(struct kernel_config *)&o->bpf->rodata->kernel = features_config(f);
	*(struct filter_config *)&o->bpf->rodata->filter =
		selection_filter(&options->selection, options->by_port);
	*c = (struct count_config){
		.cpus = o->cpus,
		.sockets = o->sockets_max,
		.by_socket = o->by_process,
		.without_clients = !options->by_port,
		.places = f->map_growth && !options->no_serving && !options->connections_max,
		.waits = !options->no_waits,
		.serves = !options->no_serving,
		.marks_clones =
			o->attachment.backend == BACKEND_TRACEPOINT &&
			probe_usable(&o->attachment.probe, o->attachment.backend, "state_change"),
		.udp_queued_seen =
			probe_sees(&o->attachment.probe, o->attachment.backend) & SEES_UDP_QUEUED,
	};
	steer_configure(o, options->steer);
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

static int queue_fill(const struct bpf_map *queue, __u32 rows)
{
	for (__u32 i = 0; i < rows; i++)
		if (bpf_map_update_elem(bpf_map__fd(queue), NULL, &i, BPF_ANY))
			return -errno;
	return 0;
}

/*
 * Maps one of two tables that the same flag leaves out; `*out` stays NULL if it is left out.
 * Returns 0 or -ENOMEM.
 */
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

	observer_say_limits(o);
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
	o->by_cpu = calloc(o->cpus, sizeof(*o->by_cpu));
	o->arrived_by_cpu = calloc(o->cpus, sizeof(*o->arrived_by_cpu));
	if (!err &&
	    (!o->entered_workers || !o->entered_sockets || !o->by_cpu || !o->arrived_by_cpu))
		err = -ENOMEM;
	if (!err && (!o->workers || !o->sockets || !o->arrivals || !o->sketches))
		err = -ENOMEM;
	if (!err && c->waits)
		err = queue_fill(o->bpf->maps.free_histograms, c->pool_max[COUNT_POOL_HISTOGRAMS]);
	if (!err)
		err = map_wanted(&o->histograms, o->bpf->maps.histograms, c->waits);
	if (!err)
		err = map_wanted(&o->serves, o->bpf->maps.serves, c->serves);
	if (!err)
		err = map_wanted(&o->steer_members, o->bpf->maps.steer_members,
				 o->bpf->rodata->steer.on);
	if (!err && c->serves)
		err = bytes_open(&o->bytes, o->bpf, o->workers, o->serves);
	return err;
}

void observer_unload(void *observer)
{
	struct observer *o = observer;

	backend_detach(&o->attachment, false);
	if (!o->bpf)
		return;
	observer_steer_detach(o);
	bytes_close(o->bytes);
	o->bytes = NULL;
	unmap_array(o->workers, o->bpf->maps.workers);
	unmap_array(o->sockets, o->bpf->maps.sockets);
	unmap_array(o->arrivals, o->bpf->maps.arrivals);
	unmap_array(o->sketches, o->bpf->maps.sketches);
	unmap_array(o->histograms, o->bpf->maps.histograms);
	unmap_array(o->serves, o->bpf->maps.serves);
	unmap_array(o->steer_members, o->bpf->maps.steer_members);
	free(o->entered_workers);
	free(o->entered_sockets);
	o->entered_workers = o->entered_sockets = NULL;
	free(o->by_cpu);
	free(o->arrived_by_cpu);
	o->by_cpu = NULL;
	o->arrived_by_cpu = NULL;
	o->sketches = NULL;
	o->histograms = NULL;
	o->serves = NULL;
	o->steer_members = NULL;
	o->workers = NULL;
	o->sockets = NULL;
	o->arrivals = NULL;
	count_bpf__destroy(o->bpf);
	o->bpf = NULL;
}

/* The purposes of hooks that nobody asked for. */
static unsigned purposes_without(const struct observer_options *options)
{
	unsigned without = options->no_serving ? SEES_TCP_SERVED : 0;

	if (options->selection.protocol == IPPROTO_TCP)
		without |= SEES_UDP_QUEUED | SEES_UDP_RECEIVED | SEES_UDP_DROPPED;
	if (options->selection.protocol == IPPROTO_UDP)
		without |= SEES_TCP_ACCEPTED | SEES_TCP_ARRIVED | SEES_TCP_SERVED |
			   SEES_URING_ACCEPTED;
	return without;
}

/*
 * Kernels before 5.12 refuse a program that has an atomic operation with a result, even where it
 * is never reached (resolve_pseudo_ldimm64()). Before 6.1 there are no places, so none is reached:
 * it becomes a jump to the next instruction.
 */
static int atomics_leave_out(struct bpf_program *program)
{
	const size_t count = bpf_program__insn_cnt(program);
	struct bpf_insn *insns = calloc(count, sizeof(*insns));
	int err = insns ? 0 : -ENOMEM;

	if (!err)
		memcpy(insns, bpf_program__insns(program), count * sizeof(*insns));
	for (size_t i = 0; i < count && !err; i++)
		if (BPF_CLASS(insns[i].code) == BPF_STX && BPF_MODE(insns[i].code) == BPF_ATOMIC &&
		    (insns[i].imm & BPF_FETCH))
			insns[i] = (struct bpf_insn){ .code = BPF_JMP | BPF_JA };
	if (!err)
		err = bpf_program__set_insns(program, insns, count);
	free(insns);
	return err;
}

static int programs_load(struct observer *o)
{
	struct bpf_program *program;
	int err = 0;

	o->attachment.object = o->bpf->obj;
	o->attachment.without = purposes_without(o->options);
	backend_autoload(&o->attachment);
	bpf_program__set_autoload(o->bpf->progs.read_open, o->bpf->rodata->config.serves);
	bpf_object__for_each_program(program, o->bpf->obj)
	{
		if (!err && !o->attachment.probe.features.map_growth &&
		    bpf_program__autoload(program))
			err = atomics_leave_out(program);
	}
	return err ? err : count_bpf__load(o->bpf);
}

int observer_load(void *observer)
{
	struct observer *o = observer;
	struct types_file types;
	int err;

	o->bpf = count_bpf__open_opts(types_open(&types));
	err = o->bpf ? 0 : -errno;
	if (!err)
		programs_configure(o, o->options);
	if (!err)
		err = types_write(&types, o->btf, o->bpf->obj);
	if (!err)
		err = programs_load(o);
	types_close(&types);
	if (!err)
		err = rows_prepare(o);
	if (!err)
		err = asked_prepare(o, &o->options->selection);
	if (!err)
		err = backend_attach(&o->attachment);
	if (err)
		observer_unload(o);
	return err;
}
