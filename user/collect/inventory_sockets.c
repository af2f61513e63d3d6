/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Enters the sockets of the sample into the ledger: their properties, the reuseport groups that
 * they share, and a row for each thread that waits on them.
 */
#include "inventory_scan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"

/*
 * Beyond this many rows, threads that only wait get no row: there may be very many pairs of socket
 * and thread.
 */
#define WAITING_MAX 24576

/* ---- groups ---- */

/* What picks a socket of a reuseport group. */
struct program {
	uint64_t group;
	struct picker picker;
};

int inventory_program_take(struct inventory *v, const struct holders_program_record *r)
{
	_Static_assert(sizeof(struct picker_instruction) == sizeof(*r->instructions) &&
			       PICKER_INSTRUCTIONS == HOLDERS_INSTRUCTIONS,
		       "the same");
	struct program p = { .group = r->group, .picker = { .kind = PICKER_EBPF, .id = r->id } };

	memcpy(p.picker.name, r->name, sizeof(p.picker.name));
	if (r->classic)
		p.picker = picker_tell((const void *)r->instructions, r->length,
				       sysconf(_SC_NPROCESSORS_CONF), r->sockets);
	return array_add(&v->programs, &p, sizeof(p)) ? 0 : -ENOMEM;
}

static struct picker picker_of(const struct inventory *v, uint64_t group)
{
	const struct program *rows = v->programs.rows;

	for (size_t i = 0; i < v->programs.count; i++)
		if (rows[i].group == group)
			return rows[i].picker;
	return (struct picker){};
}

struct found_group {
	uint64_t group, cookie; /* cookie of a socket in the group */
};

static int groups_in_order(const void *a, const void *b)
{
	const struct found_group *x = a, *y = b;

	return x->group != y->group ? COMPARE(x->group, y->group) : COMPARE(x->cookie, y->cookie);
}

/* The name of a group is the lowest cookie of its sockets. */
int inventory_groups_fill(const struct inventory *v, struct ledger *l)
{
	const struct found *rows = v->found.rows;
	struct array groups = {};

	for (size_t i = 0; i < v->found.count; i++) {
		const struct found_group g = { rows[i].r.group, rows[i].r.cookie };

		if (g.group && !array_add(&groups, &g, sizeof(g))) {
			free(groups.rows);
			return -ENOMEM;
		}
	}
	array_sort(&groups, sizeof(struct found_group), groups_in_order);
	for (size_t i = 0; i < v->found.count; i++) {
		const uint64_t group = rows[i].r.group;
		const struct found_group *its =
			array_find(&groups, sizeof(*its), &group, array_by_u64);
		struct ledger_socket *s =
			rows[i].wanted && its ? ledger_find_socket(l, rows[i].r.cookie) : NULL;

		if (s && s->row.steered)
			s->row.picker = picker_of(v, group);
		if (s)
			s->row.group = its->cookie;
	}
	free(groups.rows);
	return 0;
}

/* ---- threads that wait ---- */

void inventory_worker_describe(const struct inventory *v, struct ledger_worker *w,
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
	inventory_usage_fill(v, &w->row, t, started_ns);
}

void inventory_worker_waits(struct ledger_worker *w, struct wait_way way)
{
	w->row.wait_kind = way.kind;
	w->row.exclusive = way.exclusive;
	w->row.epoll = way.epoll;
}

static int waiting_fill(struct inventory *v, struct ledger *l, struct ledger_socket *s,
			const struct waiting *waiting, uint64_t started_ns)
{
	const struct thread *t = (const struct thread *)v->threads.rows + waiting->row;
	struct ledger_worker *const *rows, *w;

	s->row.waiting++;
	s->row.idle_sum += waiting->asleep && started_ns;
	w = ledger_find_worker(l, s->row.cookie, t->tid, t->r.start_ns);
	if (!w && ledger_workers(l, &rows) >= WAITING_MAX) {
		v->unlisted++;
		s->row.waiting_cut = true;
		return 0;
	}
	if (!w)
		w = ledger_worker(l, s->row.cookie, t->tid, t->r.start_ns, NULL);
	if (!w)
		return -ENOMEM;
	ledger_revive_worker(l, w);
	inventory_worker_describe(v, w, t, started_ns);
	w->row.can_accept = true;
	w->row.waits = true;
	inventory_worker_waits(w, waiting->way);
	w->scan = v->scan;
	return 0;
}

static int waiters_fill(struct inventory *v, struct ledger *l, struct ledger_socket *s,
			const struct found *f, uint64_t started_ns)
{
	const struct waiting *rows;
	bool cut = false;
	int err;

	s->row.waiting = 0;
	v->waiting.count = 0;
	err = wait_graph_follow(&v->graph, f->node, &v->waiting, &cut);
	s->row.waiting_cut |= cut;
	rows = v->waiting.rows;
	for (size_t i = 0; i < v->waiting.count && !err; i++)
		err = waiting_fill(v, l, s, &rows[i], started_ns);
	return err;
}

/* ---- sockets ---- */

/*
 * Finds the name of an interface, which belongs to a network namespace. Returns a negative errno
 * only if the way back from that namespace failed.
 */
static int device_name(const struct holders_socket_record *r, char *name, size_t size)
{
	char found[IF_NAMESIZE];
	int err = device_in(r->netns, r->device, found, NULL);

	if (*found)
		snprintf(name, size, "%s", found);
	else
		snprintf(name, size, "if%u", r->device);
	return err;
}

/* Returns 0 or a negative errno of device_name(). */
static int found_describe(const struct inventory *v, struct ledger_socket *s, const struct found *f)
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
	s->row.group = 0; /* inventory_groups_fill() */
	s->row.v6only = r->v6only;
	s->row.queue_known = !r->bound;
	s->row.queue_length = r->length;
	s->row.queue_limit = r->limit;
	s->read_ns = v->looked_ns;
	s->row.steered = r->steered;
	/*
	 * The kernel also keeps the CPU of each packet in this field, but only for sockets that
	 * are connected or were: after that, a client's socket that only has its port. If a UDP
	 * socket was connected and is not any more, the value left in the field can't be told from
	 * a setting.
	 */
	s->row.incoming_cpu_set = r->incoming_cpu >= 0 && !r->connected && !r->bound;
	s->row.incoming_cpu = s->row.incoming_cpu_set ? r->incoming_cpu : 0;
	s->row.waiting_known = true;
	s->drops_now = r->drops;
	s->scan = v->scan;
	return r->device && !*s->row.device ? device_name(r, s->row.device, sizeof(s->row.device))
					    : 0;
}

int inventory_socket_fill(struct inventory *v, struct ledger *l, const struct found *f,
			  uint64_t started_ns)
{
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
	err = found_describe(v, s, f);
	inventory_half_open_fill(l, s, f);
	s->undecided = false;
	if (!err)
		err = waiters_fill(v, l, s, f, started_ns);
	s->row.looks += started_ns != 0;
	if (s->row.waiting > s->row.waiting_most)
		s->row.waiting_most = s->row.waiting;
	return err;
}
