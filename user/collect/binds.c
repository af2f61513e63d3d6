/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads the programs of binds.bpf.c, reads their ring during the window, and turns each record
 * into an event: first opening, then records, then the window and what it lost.
 */
#include "binds.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "binds_record.h"
#include "binds.skel.h"
#include "../attach/backend.h"
#include "../attach/loading.h"
#include "../attach/types.h"
#include "process.h"
#include "device.h"

#define SETTLE_TRIES                                                                               \
	200 /* of a millisecond or two each: how long programs that are running when the window    \
	       ends get to finish counting */

/* Names that are kept during one batch; further ones are asked for again each time. */
#define DEVICES_MAX 64

/*
 * An interface is looked up once in a batch: entering a network namespace means searching all
 * processes for one that lives there.
 */
struct known_device {
	uint32_t netns, index, vrf;
	char name[16]; /* "": not known */
};

struct binds {
	struct binds_bpf *bpf;
	const struct binds_options *options; /* these two only during opening */
	const struct btf *btf;
	struct attachment attachment;
	struct ring_buffer *ring;
	unsigned sees; /* bits of enum hook_purpose, once attached */
	bool has_mptcp, has_uring;
	struct selection selection;
	bool cgroups_by_kernel; /* the kernel programs know who is in the selection's cgroups; else
				   /proc is asked */
	bool by_process; /* with a selection of processes, calls are counted here, because the
			    kernel does not know which processes are asked for */
	uint64_t seen[BINDS_CALLS], failed[BINDS_CALLS], lost_process;
	uint64_t fetched;     /* records */
	uint64_t lost_return; /* entries whose return never came */
	uint64_t missed_before;
	uint64_t connects_before[2];
	struct timespec started, stopped; /* CLOCK_MONOTONIC */
	int64_t start_ms;
	struct known_device devices[DEVICES_MAX]; /* of the current binds_poll() */
	size_t device_count;
	int (*take)(void *to, const struct bind_event *event); /* of the current binds_poll() */
	void *to;
	int err;
};

/* ---- opening ---- */

static void binds_configure(struct binds *b, const struct binds_options *o, const struct btf *btf)
{
	const int64_t freebind = loading_enumerator(btf, "INET_FLAGS_FREEBIND"),
		      transparent = loading_enumerator(btf, "INET_FLAGS_TRANSPARENT");

	*(struct kernel_config *)&b->bpf->rodata->kernel =
		features_config(&b->attachment.probe.features);
	*(struct filter_config *)&b->bpf->rodata->filter =
		selection_filter(&o->selection, o->selection.port_count > 0);
	*(struct binds_config *)&b->bpf->rodata->binds = (struct binds_config){
		.all = o->all || b->by_process,
		.cgroups = o->selection.cgroup_count,
		.arguments_at_exit = b->attachment.backend == BACKEND_FENTRY,
		.freebind_flag = freebind < 0 ? 255 : freebind,
		.transparent_flag = transparent < 0 ? 255 : transparent,
	};
	if (o->ring_bytes)
		bpf_map__set_max_entries(b->bpf->maps.records, o->ring_bytes);
	if (o->pending)
		bpf_map__set_max_entries(b->bpf->maps.pending, o->pending);
}

static void ports_fill(struct binds *b, const struct binds_options *o)
{
	for (size_t i = 0; i < o->selection.port_count; i++) {
		bind_port_add((uint64_t *)b->bpf->bss->binds_ports, o->selection.ports[i]);
		bind_port_add((uint64_t *)b->bpf->bss->binds_ports,
			      bind_port_swapped(o->selection.ports[i]));
	}
	for (unsigned port = 1; port < 65536; port++)
		if (bind_twin(o->ports, port))
			bind_port_add((uint64_t *)b->bpf->bss->binds_twins, port);
}

/*
 * The kernel programs know cgroups of version 2 only. If one cgroup is of version 1, /proc is
 * asked for all of them.
 */
static bool cgroups_fill(const struct binds *b)
{
	static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	__u32 known = 0;

	for (__u32 i = 0; i < b->selection.cgroup_count; i++)
		for (size_t root = 0; root < sizeof(roots) / sizeof(roots[0]) && known == i;
		     root++) {
			char path[2 * PATH_MAX];
			int fd;

			snprintf(path, sizeof(path), "%s%s", roots[root],
				 /* A path that is too long to open is left to /proc. */
				 b->selection.cgroups[i]);
			fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			known += fd >= 0 && !bpf_map_update_elem(bpf_map__fd(b->bpf->maps.cgroups),
								 &i, &fd, BPF_ANY);
			if (fd >= 0)
				close(fd);
		}
	return known == b->selection.cgroup_count;
}

static void unload(void *context)
{
	struct binds *b = context;

	backend_detach(&b->attachment, false);
	ring_buffer__free(b->ring);
	b->ring = NULL;
	binds_bpf__destroy(b->bpf);
	b->bpf = NULL;
}

static int record_take(void *context, void *data, size_t size);

/* Loads and attaches one backend. Returns 0, or negative errno with nothing left behind. */
static int backend_load(void *context)
{
	struct binds *b = context;
	struct types_file types;
	int err;

	b->bpf = binds_bpf__open_opts(types_open(&types));
	if (!b->bpf) {
		err = -errno;
		types_close(&types);
		return err;
	}
	b->attachment.object = b->bpf->obj;
	binds_configure(b, b->options, b->btf);
	backend_autoload(&b->attachment);
	err = types_write(&types, b->btf, b->bpf->obj);
	if (!err)
		err = binds_bpf__load(b->bpf);
	types_close(&types);
	if (!err) {
		ports_fill(b, b->options);
		b->cgroups_by_kernel = cgroups_fill(b);
		b->ring = ring_buffer__new(bpf_map__fd(b->bpf->maps.records), record_take, b, NULL);
		err = b->ring ? backend_attach(&b->attachment) : -errno;
	}
	if (err)
		unload(b);
	return err;
}

int binds_open(struct binds **out, const struct binds_options *options, char *why, size_t why_size)
{
	struct binds *b = calloc(1, sizeof(*b));
	const struct btf *btf = NULL;
	int err;

	if (!b)
		return loading_fail(-ENOMEM, why, why_size, "out of memory");
	b->selection = options->selection;
	b->by_process = selection_by_process(&b->selection);
	err = loading_prepare(why, why_size);
	if (err)
		goto out;
	err = loading_btf(&btf, why, why_size);
	if (err)
		goto out;
	b->options = options;
	b->btf = btf;
	b->has_mptcp = btf__find_by_name_kind(btf, "mptcp_sock", BTF_KIND_STRUCT) > 0;
	b->has_uring = loading_enumerator(btf, "IORING_OP_BIND") >= 0;
	err = probe_kernel(&b->attachment.probe, HOOKS_BINDS, false);
	if (err) {
		loading_fail(err, why, why_size, "%s", b->attachment.probe.error);
		goto out;
	}
	err = backend_choose(&b->attachment, options->backend, SEES_CALLS, backend_load, unload, b,
			     why, why_size);
	b->sees = err ? 0 : probe_sees(&b->attachment.probe, b->attachment.backend);
out:
	loading_btf_end(btf);
	b->options = NULL;
	b->btf = NULL;
	if (err) {
		binds_close(b);
		return err;
	}
	*out = b;
	return 0;
}

enum backend binds_backend(const struct binds *b)
{
	return b->attachment.backend;
}

uint64_t binds_memory(const struct binds *b)
{
	return loading_memory(b->bpf->obj);
}

void binds_close(struct binds *b)
{
	if (!b)
		return;
	unload(b);
	probe_free(&b->attachment.probe);
	free(b);
}

/* ---- from the kernel's records to events ---- */

static bool address_link_local(const uint8_t *address)
{
	return address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
}

/*
 * Fills in the name and VRF of the interface in that network namespace; the name is "" if it is
 * not known. Returns 0, or a negative errno after which the run has to end.
 */
static int device_fill(struct binds *b, struct bind_place *p)
{
	struct known_device asked = { .netns = p->netns, .index = p->device }, *d = &asked;
	int err = 0;

	for (size_t i = 0; i < b->device_count && d == &asked; i++)
		if (b->devices[i].netns == asked.netns && b->devices[i].index == asked.index)
			d = &b->devices[i];
	if (d == &asked) {
		err = device_in(asked.netns, asked.index, asked.name, &asked.vrf);
		if (!err && b->device_count < DEVICES_MAX)
			b->devices[b->device_count++] = asked;
	}
	memcpy(p->device_name, d->name, sizeof(d->name));
	p->vrf = p->protocol == PROTOCOL_UDP ? 0 : d->vrf;
	return err;
}

static void place_fill(struct bind_place *p, const struct binds_record *r, bool asked)
{
	p->protocol = r->protocol == IPPROTO_UDP ? PROTOCOL_UDP : PROTOCOL_TCP;
	p->family = r->family;
	p->netns = r->netns;
	p->uid = r->uid;
	p->reuseaddr = r->reuseaddr;
	p->reuseport = r->reuseport;
	p->v6only = r->v6only;
	p->device = r->device;
	if (asked) {
		p->port = r->asked.port;
		memcpy(p->address, r->asked.address, sizeof(p->address));
	} else if (r->call != BINDS_BIND) {
		p->port = r->port;
		memcpy(p->address, r->address, sizeof(p->address));
	}
	/* A scope binds the socket to the device if bind() succeeds. */
	if (asked && !p->device && p->family == AF_INET6 && address_link_local(p->address))
		p->device = r->asked.scope;
}

/*
 * For connect(): the socket's own address is the place, and the passed address is the destination.
 * The wildcard means loopback.
 */
static void peer_fill(struct bind_peer *peer, const struct binds_address *asked)
{
	static const uint8_t any[16], loopback4[4] = { 127, 0, 0, 1 };
	const bool v4 = asked->family == AF_INET;

	if (!asked->known)
		return;
	*peer = (struct bind_peer){ .port = asked->port };
	if (v4) {
		peer->address[10] = peer->address[11] = 0xff;
		memcpy(peer->address + 12,
		       memcmp(asked->address, any, 4) ? asked->address : loopback4, 4);
	} else {
		memcpy(peer->address, asked->address, 16);
		peer->address[15] |= !memcmp(asked->address, any, 16);
	}
}

/* Mirrors was_rewritten() of the kernel programs. */
static bool is_rewritten(const struct binds_record *r)
{
	if (r->call != BINDS_BIND || r->error || !r->asked.known || r->asked.family != r->family)
		return false;
	return (r->asked.port && r->asked.port != r->port) ||
	       memcmp(r->asked.address, r->address, sizeof(r->address));
}

static void event_fill(struct bind_event *e, const struct binds_record *r)
{
	static const enum bind_call calls[BINDS_CALLS] = { [BINDS_BIND] = CALL_BIND,
							   [BINDS_LISTEN] = CALL_LISTEN,
							   [BINDS_CONNECT] = CALL_CONNECT };
	/* bind() treats AF_UNSPEC as AF_INET if the address is 0. */
	const bool same_family = r->asked.family == r->family ||
				 (r->asked.family == AF_UNSPEC && r->family == AF_INET);

	*e = (struct bind_event){
		.time_ns = r->time_ns,
		.call = calls[r->call],
		.error = -r->error,
		.denied_by_lsm = r->denied,
		.asked_family = r->call == BINDS_LISTEN ? -1 : r->asked.family,
		.asked_known = r->call != BINDS_BIND || (r->asked.known && same_family),
		.port_got = r->port,
		.backlog = r->backlog,
		.cookie = r->cookie,
		.inode = r->inode,
		.pid = r->pid,
		.tid = r->tid,
		.parent = r->parent,
		.started_ns = r->started_ns,
		.euid = r->euid,
		.cgroup_id = r->cgroup_id,
		.can_bind_low = r->can_bind_low,
		.other_user_ns = r->other_user_ns,
		.rewritten = is_rewritten(r),
		.can_raise = r->can_raise,
		.capability_lost = r->capability_lost,
		.port_limit = r->port_limit,
		.freebind = r->freebind,
		.range_low = r->range_low,
		.range_high = r->range_high,
		.routed = r->routed,
		.port_asked = r->port_asked,
		.listened = r->listened,
	};
	memcpy(e->address_got, r->address, sizeof(e->address_got));
	memcpy(e->comm, r->comm, sizeof(e->comm));
	memcpy(e->process, r->process, sizeof(e->process));
	place_fill(&e->place, r, e->asked_known && e->call == CALL_BIND);
	if (e->call == CALL_CONNECT)
		peer_fill(&e->peer, &r->asked);
}

/* Is the calling process asked for? */
static bool process_wanted(struct binds *b, const struct binds_record *r)
{
	struct selection rest;
	char cgroup[PROCESS_CGROUP_SIZE] = "";

	if (!b->by_process)
		return true;
	rest = b->selection;
	if (b->selection.cgroup_count && b->cgroups_by_kernel) {
		if (!r->in_cgroup)
			return false;
		rest.cgroup_count = 0;
	} else if (b->selection.cgroup_count) {
		process_cgroup(r->pid, cgroup);
		if (!*cgroup) {
			b->lost_process++;
			return false;
		}
	}
	return selection_process(&rest, r->pid, r->process, cgroup);
}

static int record_take(void *context, void *data, size_t size)
{
	struct binds *b = context;
	const struct binds_record *r = data;
	struct bind_event event;

	(void)size;
	b->fetched++;
	if (!process_wanted(b, r))
		return 0;
	b->seen[r->call]++;
	b->failed[r->call] += r->error != 0;
	event_fill(&event, r);
	if (event.place.device)
		b->err = device_fill(b, &event.place);
	if (!b->err)
		b->err = b->take(b->to, &event);
	return b->err;
}

int binds_poll(struct binds *b, int timeout_ms,
	       int (*take)(void *to, const struct bind_event *event), void *to)
{
	b->take = take;
	b->to = to;
	b->err = 0;
	b->device_count = 0; /* an interface may have a new name by now */
	return timeout_ms ? ring_buffer__poll(b->ring, timeout_ms) : ring_buffer__consume(b->ring);
}

uint64_t binds_since(const struct binds *b, uint32_t inode)
{
	__u64 time_ns = 0;

	return inode && !bpf_map_lookup_elem(bpf_map__fd(b->bpf->maps.since), &inode, &time_ns)
		       ? time_ns
		       : 0;
}

/* ---- the window ---- */

static int64_t realtime_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/*
 * How many skipped runs matter, by the kernel's own counts. Only trampolines need them, because an
 * entry and its exit may both have been skipped. With the other backends one of the two leaves a
 * trace.
 */
static uint64_t returns_missed(const struct binds *b)
{
	uint64_t missed = 0;

	for (size_t i = 0; i < hook_count; i++)
		if (hooks[i].kind == HOOK_FEXIT)
			missed += backend_skipped(&b->attachment, i);
	return missed;
}

/*
 * How often the programs of connect() were skipped. connect() has no entry program, so if both
 * exit programs were skipped nothing else shows it.
 */
static void connects_read(const struct binds *b, uint64_t missed[2])
{
	const struct bpf_program *const programs[2] = { b->bpf->progs.t_connect,
							b->bpf->progs.t_connect2 };

	for (size_t i = 0; i < 2; i++)
		missed[i] =
			bpf_program__autoload(programs[i]) ? loading_runs_missed(programs[i]) : 0;
}

/* An upper limit: the kernel does not say which calls the skipped runs belonged to. */
static uint64_t connects_missed(const struct binds *b)
{
	uint64_t now[2];

	connects_read(b, now);
	now[0] -= b->connects_before[0];
	now[1] -= b->connects_before[1];
	return now[0] < now[1] ? now[0] : now[1];
}

void binds_start(struct binds *b)
{
	b->missed_before = returns_missed(b);
	connects_read(b, b->connects_before);
	b->start_ms = realtime_ms();
	clock_gettime(CLOCK_MONOTONIC, &b->started);
	__atomic_store_n(&b->bpf->bss->binds_on, 1, __ATOMIC_SEQ_CST);
}

static size_t pending_count(const struct binds *b)
{
	const int fd = bpf_map__fd(b->bpf->maps.pending);
	struct {
		__u32 tid, by;
	} key, *last = NULL;
	struct binds_pending pending;
	size_t count = 0;

	for (size_t i = 0; i < BINDS_PENDING_MAX && !bpf_map_get_next_key(fd, last, &key); i++) {
		last = &key;
		count += key.by != BINDS_MARK && !bpf_map_lookup_elem(fd, &key, &pending) &&
			 !pending.done;
	}
	return count;
}

/*
 * Programs that run while the window ends finish counting. If there is a moment when no thread is
 * inside a call, every entry has had its return. If no such moment comes, the entry programs are
 * detached (which takes a while); an entry that still has no return then never had one.
 */
void binds_stop(struct binds *b)
{
	const volatile __u64 *begun = &b->bpf->bss->binds_begun, *done = &b->bpf->bss->binds_done;

	if (b->stopped.tv_sec)
		return;
	clock_gettime(CLOCK_MONOTONIC, &b->stopped);
	__atomic_store_n(&b->bpf->bss->binds_on, 0, __ATOMIC_SEQ_CST);
	for (int i = 0; i < SETTLE_TRIES && (i == 0 || *done != *begun); i++)
		poll(NULL, 0, 1);
	for (int i = 0; i < SETTLE_TRIES && (b->lost_return = pending_count(b)); i++) {
		if (i == SETTLE_TRIES / 2)
			backend_detach(&b->attachment, true);
		poll(NULL, 0, 1);
	}
}

/* For a call that found no room at its entry, the exit finds no entry: it is reported once. */
static uint64_t lost_by(const struct binds *b, enum binds_lost reason)
{
	const uint64_t *lost = (const uint64_t *)b->bpf->bss->binds_lost;

	if (reason != BINDS_LOST_ENTRY)
		return lost[reason];
	return lost[BINDS_LOST_ENTRY] > lost[BINDS_LOST_PENDING]
		       ? lost[BINDS_LOST_ENTRY] - lost[BINDS_LOST_PENDING]
		       : 0;
}

static void lost_fill(const struct binds *b, struct bind_totals *t)
{
	static const struct {
		const char *reason, *text;
	} texts[BINDS_LOST_REASONS] = {
		[BINDS_LOST_RING] = { "events_full", "calls that are counted, but for which there "
						     "was no room when they were to be told" },
		[BINDS_LOST_PENDING] = { "pending_full",
					 "at most: calls while too many threads were in one" },
		[BINDS_LOST_ENTRY] = { "entry_missed",
				       "at most: calls whose beginning was not seen" },
		[BINDS_LOST_RETURN] = { "return_missed",
					"at most: calls whose return was not seen" },
		[BINDS_LOST_SOCKET] = { "socket_gone", "calls whose descriptor another thread "
						       "closed or replaced meanwhile" },
	};
	const uint64_t missed = returns_missed(b) - b->missed_before, connects = connects_missed(b);

	t->lost_count = 0;
	if (connects)
		t->lost[t->lost_count++] =
			(struct lost_row){ .reason = "connect_missed",
					   .count = connects,
					   .text = "at most: connect() whose result was not seen, "
						   "most of which did not fail" };
	for (size_t i = 0; i < BINDS_LOST_REASONS; i++) {
		uint64_t count = lost_by(b, i);

		if (i == BINDS_LOST_RETURN)
			count = count + b->lost_return > missed ? count + b->lost_return : missed;
		if (count)
			t->lost[t->lost_count++] = (struct lost_row){ .reason = texts[i].reason,
								      .text = texts[i].text,
								      .count = count };
		/*
		 * Only a record tells whose call it was, and with a selection of processes calls
		 * are counted by their records.
		 */
		if (count && i == BINDS_LOST_RING && b->by_process) {
			t->lost[t->lost_count - 1].reason = "events_full_uncounted";
			t->lost[t->lost_count - 1].text =
				"at most: calls that are not counted, of any process, for which "
				"there was no room when they were to be told";
		}
	}
	if (b->lost_process)
		t->lost[t->lost_count++] =
			(struct lost_row){ .reason = "process_gone",
					   .count = b->lost_process,
					   .text = "at most: calls of processes that were gone "
						   "before their cgroup was known" };
}

static void unseen_fill(const struct binds *b, struct bind_totals *t)
{
	const bool syscalls = b->attachment.backend == BACKEND_TRACEPOINT;
	const struct {
		bool applies;
		const char *text;
	} table[] = {
		{ !syscalls && !(b->sees & SEES_IPV6), "calls on IPv6 sockets" },
		{ !syscalls && b->has_mptcp && !(b->sees & SEES_MPTCP), "calls on MPTCP sockets" },
		{ !syscalls && !(b->sees & SEES_NO_LISTEN), "listen() on UDP sockets" },
		{ !syscalls && !(b->sees & SEES_DENIED), "calls that a security module refuses" },
		{ !syscalls, "calls whose address can't be read, or is longer than any" },
		{ syscalls, "calls by 32-bit processes" },
		{ !(b->sees & SEES_CONNECT), "connect() that finds no port" },
		{ !syscalls && (b->sees & SEES_CONNECT),
		  "connect() by 32-bit processes or through io_uring" },
		{ syscalls && !(b->sees & SEES_URING),
		  b->has_uring ? "calls through io_uring" : "connect() through io_uring" },
		{ syscalls && (b->sees & SEES_URING),
		  "calls through io_uring that post no completion" },
		{ syscalls, "whether a security module refused" },
		{ true, "calls that a seccomp filter answers" },
	};

	t->unseen_count = 0;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].applies)
			t->unseen[t->unseen_count++] = table[i].text;
}

void binds_totals(struct binds *b, struct bind_totals *t)
{
	struct timespec end = b->stopped;
	struct utsname name;

	if (!end.tv_sec)
		clock_gettime(CLOCK_MONOTONIC, &end);
	uname(&name);
	snprintf(t->release, sizeof(t->release), "%s", name.release);
	t->backend = backend_name(b->attachment.backend);
	t->start_ms = b->start_ms;
	t->seconds = end.tv_sec - b->started.tv_sec + (end.tv_nsec - b->started.tv_nsec) / 1e9;
	for (int call = 0; call < BINDS_CALLS; call++) {
		t->seen[call] = b->by_process ? b->seen[call] : b->bpf->bss->binds_seen[call];
		t->failed[call] = b->by_process ? b->failed[call] : b->bpf->bss->binds_failed[call];
	}
	unseen_fill(b, t);
	lost_fill(b, t);
}
