/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A window of counting from beginning to end: open the inventory and the programs, start, scan and
 * read any number of times, stop, close. observer_parts.h says what the other files do.
 */
#include "observer_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../attach/loading.h"
#include "lookups.h"
#include "map.h"
#include "process.h"
#include "settings.h"

#define LEDGER_ENDED_MAX 8192 /* rows of ended sockets and threads that are kept one by one */

int observer_await_readers(const struct observer *o)
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
	return o->outer_map < 0 ? -errno : observer_await_readers(o);
}

/* With an inventory: gives every socket its cookie, and takes the first sample. */
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

/*
 * Checks what this kernel can do. This comes first, so that the user of a kernel that lacks
 * something essential is told so.
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
	o->ledger =
		ledger_new(o->options->ended_max ? o->options->ended_max : LEDGER_ENDED_MAX, cpus);
	err = o->ledger ? probe_kernel(&o->attachment.probe, HOOKS_COUNT, false) : -ENOMEM;
	return err ? loading_fail(err, why, size, "%s",
				  o->ledger ? o->attachment.probe.error : "out of memory")
		   : 0;
}

/* With a filter by process, the number of sockets decides how much room is needed. */
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

/* Makes all that counts, up to programs that are attached. */
static int observer_ready(struct observer *o, char *why, size_t why_size)
{
	const struct observer_options *options = o->options;
	int err = loading_prepare(why, why_size);

	if (!err)
		err = loading_btf(&o->btf, why, why_size);
	if (!err)
		err = kernel_ask(o, why, why_size);
	if (!err && options->inventory)
		err = inventory_prepare(o, options, why, why_size);
	if (!err)
		err = backend_choose(&o->attachment, options->backend, SEES_ALL, observer_load,
				     observer_unload, o, why, why_size);
	loading_btf_end(o->btf);
	o->btf = NULL;
	return err;
}

int observer_open(struct observer **out, const struct observer_options *options, char *why,
		  size_t why_size)
{
	struct observer *o = calloc(1, sizeof(*o));
	char reason[128];
	int err;

	if (!o)
		return loading_fail(-ENOMEM, why, why_size, "out of memory");
	o->inner_map = o->outer_map = o->stats = -1;
	o->options = options;
	o->before = options->before && options->inventory && !options->no_serving;
	o->by_process = options->inventory && selection_by_process(&options->selection);
	err = observer_ready(o, why, why_size);
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
	if (!err && options->own_cost)
		err = observer_cost_open(o, why, why_size);
	if (err) {
		observer_close(o);
		return err;
	}
	o->options = NULL;
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

void observer_watch_port(struct observer *o, uint16_t port)
{
	__atomic_or_fetch(&o->bpf->bss->count_ports[port >> 6], 1ull << (port & 63),
			  __ATOMIC_SEQ_CST);
}

void observer_stop(struct observer *o)
{
	/* Open connections go on carrying bytes after the window ends, so they are read now. */
	if (o->bytes && o->bpf->bss->count_on)
		bytes_look(o->bytes);
	__atomic_store_n(&o->bpf->bss->count_on, 0, __ATOMIC_SEQ_CST);
	observer_await_readers(o);
}

void observer_reset(struct observer *o)
{
	observer_stop(o);
	observer_give_back_all(o);
	if (o->bytes)
		bytes_forget(o->bytes);
	o->bpf->bss->count_migrates = 0;
	memset(o->bpf->bss->count_lost, 0, sizeof(o->bpf->bss->count_lost));
	memset(o->bpf->bss->count_lost_crowded, 0, sizeof(o->bpf->bss->count_lost_crowded));
	memset(o->bpf->bss->count_crowded_ports, 0, sizeof(o->bpf->bss->count_crowded_ports));
	map_clear(o->bpf->maps.lost_by_port);
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
	observer_begin_lost(o);
	observer_cost_begin(o);
	clock_gettime(CLOCK_REALTIME, &now);
	o->start_ms = now.tv_sec * 1000LL + now.tv_nsec / 1000000;
	clock_gettime(CLOCK_BOOTTIME, &now);
	o->started_ns = now.tv_sec * 1000000000ull + now.tv_nsec;
	/*
	 * A connection that came at the time of the window's beginning or later has been counted as
	 * it arrived (lost_arrivals_find() relies on that), so counting begins first.
	 */
	o->bpf->bss->count_started_us = UINT64_MAX;
	__atomic_store_n(&o->bpf->bss->count_on, 1, __ATOMIC_SEQ_CST);
	clock_gettime(CLOCK_MONOTONIC, &o->started);
	__atomic_store_n(&o->bpf->bss->count_started_us,
			 o->started.tv_sec * 1000000ull + o->started.tv_nsec / 1000 + 1,
			 __ATOMIC_SEQ_CST);
	/* Connections accepted from here on are followed, so none is missed between the two. */
	if (!err && o->bytes && o->before)
		err = bytes_begin(o->bytes, o->inventory);
	return err;
}

void observer_close(struct observer *o)
{
	if (!o)
		return;
	observer_unload(o);
	observer_cost_close(o);
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

bool observer_active(struct observer *o)
{
	uint64_t sum = 0, before = o->active;

	for (size_t i = 0; i < o->sockets_max; i++)
		for (unsigned cpu = 0; o->sockets[i].used && cpu < o->cpus; cpu++)
			sum += observer_arrival(o, i, cpu)->arrived +
			       observer_arrival(o, i, cpu)->dropped;
	for (size_t i = 0; i < COUNT_WORKERS_MAX; i++)
		sum += o->workers[i].events + o->workers[i].events_atomic;
	/* This adds the work that comes over open connections. */
	sum += o->bytes ? bytes_carried(o->bytes) : 0;
	o->active = sum;
	return sum != before || (o->inventory && inventory_queued(o->inventory));
}

size_t observer_found(const struct observer *o, uint16_t port)
{
	return inventory_count(o->inventory, port);
}

int observer_scan(struct observer *o)
{
	int err = inventory_scan(o->inventory);

	if (!err)
		err = observer_enter_rows(o);
	if (!err)
		err = inventory_fill(o->inventory, o->ledger, o->started_ns);
	if (!err && o->by_process)
		err = observer_tell_asked(o);
	if (!err)
		err = observer_give_back_ended(o);
	if (!err && o->by_process)
		err = observer_decide(o);
	if (!err && o->by_process)
		ledger_forget(o->ledger);
	/*
	 * The ledger is trimmed after the rows are given back: a row that still counts in the
	 * kernel must not be folded.
	 */
	return err ? err : ledger_trim(o->ledger);
}

/* Without an inventory: asks sock_diag and /proc about the existing rows. */
static void rows_describe(const struct observer *o, struct snapshot *s)
{
	for (size_t i = 0; i < s->endpoint_count; i++)
		for (size_t j = 0; j < s->endpoints[i].worker_count; j++)
			process_describe_thread(&s->endpoints[i].workers[j]);
	sockdiag_queues(s, o->baseline, o->baseline_count);
}

/* Says for each socket whether copies are counted, also if the socket received nothing. */
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
	s->own_cost = observer_cost(o);
	clock_gettime(CLOCK_MONOTONIC, &now);
	s->seconds = now.tv_sec - o->started.tv_sec + (now.tv_nsec - o->started.tv_nsec) / 1e9;
	s->unlisted = o->inventory ? inventory_unlisted(o->inventory) : 0;
	s->looked_seconds = o->inventory ? inventory_seconds(o->inventory) : 0;
	settings_fill(s);
	err = o->bytes && o->bpf->bss->count_on ? bytes_look(o->bytes) : 0;
	if (!err)
		err = observer_enter_rows(o);
	if (!err && o->bytes)
		err = bytes_settle(o->bytes, o->inventory, o->ledger);
	if (!err)
		err = ledger_snapshot(o->ledger, s, all, &orphaned);
	if (!err && o->bytes)
		bytes_describe(o->bytes, o->ledger, s);
	if (!err)
		err = observer_fill_lost(o, s, orphaned);
	if (!err)
		copies_tell(o, s);
	if (!err && !o->inventory)
		rows_describe(o, s);
	if (!err && o->inventory) {
		process_tell_states(s);
		lookups_fill(s);
	}
	if (err)
		snapshot_free(s);
	return err;
}
