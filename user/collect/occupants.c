/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "occupants.h"

#include <errno.h>
#include <math.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../model/array.h"
#include "../bind/bind_occupant.h"
#include "../attach/loading.h"
#include "local_ports.h"
#include "namespace.h"
#include "occupants.skel.h"
#include "occupants_record.h"
#include "process.h"
#include "sockdiag.h"
#include "symbols.h"

struct records {
	struct occupants_record *rows;
	size_t count, room;
};

/* A connection in TIME_WAIT, and until when. */
struct expiry {
	uint64_t node;
	double seconds;
};

struct device {
	uint32_t netns, index;
	char name[IF_NAMESIZE];
};

/* What the kernel picks ports from in a network namespace. */
struct ports {
	uint32_t netns;
	struct bind_range_settings local;
	bool known, reserved; /* read; some are reserved */
};

/* One look at the machine. */
struct look {
	struct records held;         /* by node, pid: those of descriptors */
	struct bind_holder *holders; /* the same by inode, pid, each once: an MPTCP socket has one
					inode for all of its subflows */
	size_t holder_count;
	struct records listed;   /* by node: those in the kernel's tables */
	struct expiry *expiries; /* by node */
	size_t expiry_count;
	struct device *devices;
	size_t device_count;
	struct ports *ports;
	size_t ports_count;
	bool failed;
};

struct occupants {
	struct occupants_bpf *bpf;
	struct bpf_link *descriptors, *tcp, *udp;
	void (*turn)(void *with); /* NULL: none */
	void *with;
};

/* ---- opening ---- */

static int attach(struct bpf_program *program, struct bpf_link **link)
{
	*link = bpf_program__attach_iter(program, NULL);
	return *link ? 0 : -errno;
}

int occupants_open(struct occupants **out, char *why, size_t why_size)
{
	struct occupants *o = calloc(1, sizeof(*o));
	int err;

	if (!o)
		return loading_fail(-ENOMEM, why, why_size, "out of memory");
	err = loading_prepare(why, why_size);
	if (err)
		goto out;
	o->bpf = occupants_bpf__open_and_load();
	err = o->bpf ? 0 : -errno;
	if (!err)
		err = attach(o->bpf->progs.list_occupants, &o->descriptors);
	if (!err)
		err = attach(o->bpf->progs.list_tcp, &o->tcp);
	if (!err)
		err = attach(o->bpf->progs.list_udp, &o->udp);
	if (err)
		loading_no_iterators(err, "cannot look who has a port", why, why_size);
out:
	if (err) {
		occupants_close(o);
		return err;
	}
	*out = o;
	return 0;
}

void occupants_while_looking(struct occupants *o, void (*turn)(void *with), void *with)
{
	o->turn = turn;
	o->with = with;
}

void occupants_close(struct occupants *o)
{
	if (!o)
		return;
	bpf_link__destroy(o->descriptors);
	bpf_link__destroy(o->tcp);
	bpf_link__destroy(o->udp);
	occupants_bpf__destroy(o->bpf);
	free(o);
}

/* ---- looking ---- */

static int by_node(const void *a, const void *b)
{
	const struct occupants_record *x = a, *y = b;

	return x->node != y->node ? COMPARE(x->node, y->node) : COMPARE(x->pid, y->pid);
}

static int by_inode(const void *a, const void *b)
{
	const struct bind_holder *x = a, *y = b;

	if (x->inode != y->inode)
		return COMPARE(x->inode, y->inode);
	return x->pid != y->pid ? COMPARE(x->pid, y->pid) : COMPARE(x->descriptor, y->descriptor);
}

static int expiries_by_node(const void *a, const void *b)
{
	const struct expiry *x = a, *y = b;

	return COMPARE(x->node, y->node);
}

static int record_add(struct records *to, const struct occupants_record *r)
{
	if (to->count == to->room) {
		size_t room = to->room ? to->room * 2 : 256;
		void *rows = realloc(to->rows, room * sizeof(*to->rows));

		if (!rows)
			return -ENOMEM;
		to->rows = rows;
		to->room = room;
	}
	to->rows[to->count++] = *r;
	return 0;
}

/* Runs an iterator and keeps its records. A read ends between two of them. turn: whose turn it is
 * then; NULL: nobody's. */
static int iterate(const struct bpf_link *link, struct records *to, const struct occupants *turn)
{
	static _Alignas(8) char buffer[273 * sizeof(struct occupants_record)];
	int fd = bpf_iter_create(bpf_link__fd(link)), err = 0;
	ssize_t length;

	if (fd < 0)
		return -errno;
	while (!err && (length = read(fd, buffer, sizeof(buffer))) != 0) {
		if (length < 0 && errno != EAGAIN && errno != EINTR)
			err = -errno;
		if (turn && turn->turn)
			turn->turn(turn->with);
		for (ssize_t i = 0; i + (ssize_t)sizeof(struct occupants_record) <= length && !err;
		     i += sizeof(struct occupants_record))
			err = record_add(to, (struct occupants_record *)(buffer + i));
	}
	close(fd);
	return err;
}

/* How long each connection in TIME_WAIT stays. sock_diag gives them cookies, by which those that
 * the iterator lists are found. */
static int expiries_read(struct look *l, size_t first, const struct sockdiag_lingering *lingering,
			 int count)
{
	void *rows =
		count > 0 ? realloc(l->expiries, (l->expiry_count + count) * sizeof(*l->expiries))
			  : NULL;
	const size_t room = l->expiry_count + count;

	if (count <= 0)
		return 0;
	if (!rows)
		return -ENOMEM;
	l->expiries = rows;
	for (size_t i = first; i < l->listed.count && l->expiry_count < room; i++) {
		const struct occupants_record *r = &l->listed.rows[i];
		const struct sockdiag_lingering *found =
			r->state == TCP_TIME_WAIT
				? sockdiag_lingering_find(lingering, count, r->cookie)
				: NULL;

		if (found)
			l->expiries[l->expiry_count++] =
				(struct expiry){ r->node, found->milliseconds_left / 1e3 };
	}
	return 0;
}

static int devices_read(struct look *l, uint32_t netns)
{
	struct if_nameindex *names = if_nameindex();
	size_t count = 0;
	void *rows;

	if (!names)
		return -errno;
	while (names[count].if_index)
		count++;
	rows = realloc(l->devices, (l->device_count + count + 1) * sizeof(*l->devices));
	if (rows) {
		l->devices = rows;
		for (size_t i = 0; i < count; i++) {
			struct device *d = &l->devices[l->device_count++];

			*d = (struct device){ .netns = netns, .index = names[i].if_index };
			strncpy(d->name, names[i].if_name, sizeof(d->name) - 1);
		}
	}
	if_freenameindex(names);
	return rows ? 0 : -ENOMEM;
}

static int ports_read(struct look *l, uint32_t netns)
{
	void *rows = realloc(l->ports, (l->ports_count + 1) * sizeof(*l->ports));
	struct ports *p;

	if (!rows)
		return -ENOMEM;
	l->ports = rows;
	p = &l->ports[l->ports_count++];
	*p = (struct ports){ .netns = netns };
	p->known = local_ports_read(&p->local);
	p->reserved = local_ports_reserved(&p->local);
	return 0;
}

/* The kernel's tables of one network namespace. Returns a negative errno only if the way back
 * failed. */
static int look_in(struct occupants *o, struct look *l, uint32_t netns)
{
	struct sockdiag_lingering *lingering = NULL;
	size_t first = l->listed.count;
	int home, count, err;

	err = namespace_enter(netns, &home);
	if (err) {
		l->failed = true;
		return 0;
	}
	count = sockdiag_lingering(&lingering);
	err = iterate(o->tcp, &l->listed, NULL);
	if (!err)
		err = iterate(o->udp, &l->listed, NULL);
	if (!err)
		err = expiries_read(l, first, lingering, count);
	if (!err)
		err = devices_read(l, netns);
	if (!err)
		err = ports_read(l, netns);
	free(lingering);
	l->failed |= !!err; /* without sock_diag it is only not known how long TIME_WAIT lasts */
	return namespace_leave(home);
}

static void look_free(struct look *l)
{
	free(l->held.rows);
	free(l->holders);
	free(l->listed.rows);
	free(l->expiries);
	free(l->devices);
	free(l->ports);
	*l = (struct look){};
}

static int holders_index(struct look *l)
{
	l->holders = calloc(l->held.count + 1, sizeof(*l->holders));
	if (!l->holders)
		return -ENOMEM;
	for (size_t i = 0; i < l->held.count; i++) {
		const struct occupants_record *r = &l->held.rows[i];

		l->holders[i] = (struct bind_holder){ .inode = r->inode,
						      .pid = r->pid,
						      .pid_inside = r->pid_inside,
						      .parent = r->parent,
						      .started_ns = r->started_ns,
						      .descriptor = r->descriptor };
		memcpy(l->holders[i].process, r->process, sizeof(r->process));
	}
	qsort(l->holders, l->held.count, sizeof(*l->holders), by_inode);
	for (size_t i = 0; i < l->held.count; i++) {
		const struct bind_holder *h = &l->holders[i],
					 *last = l->holder_count ? &l->holders[l->holder_count - 1]
								 : NULL;

		if (!last || h->inode != last->inode || h->pid != last->pid)
			l->holders[l->holder_count++] = *h;
	}
	return 0;
}

/* What is in the tables first: who is found there and has a file, some descriptor should lead to.
 */
static int look_at_all(struct occupants *o, struct look *l, const struct occupants_query *queries,
		       size_t count)
{
	int err = 0;

	for (size_t i = 0; i < count && !err; i++) {
		bool seen = false;

		for (size_t j = 0; j < i; j++)
			seen |= queries[j].netns == queries[i].netns;
		if (!seen)
			err = look_in(o, l, queries[i].netns);
	}
	if (!err)
		err = iterate(o->descriptors, &l->held, o);
	if (l->held.count)
		qsort(l->held.rows, l->held.count, sizeof(*l->held.rows), by_node);
	if (l->listed.count)
		qsort(l->listed.rows, l->listed.count, sizeof(*l->listed.rows), by_node);
	if (l->expiry_count)
		qsort(l->expiries, l->expiry_count, sizeof(*l->expiries), expiries_by_node);
	return err ? err : holders_index(l);
}

/* The first record of that socket, NULL if none. */
static const struct occupants_record *find(const struct records *in, uint64_t node)
{
	size_t low = 0, high = in->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (in->rows[middle].node < node)
			low = middle + 1;
		else
			high = middle;
	}
	return low < in->count && in->rows[low].node == node ? &in->rows[low] : NULL;
}

/* The processes that hold the socket's file. */
static const struct bind_holder *holders_of(const struct look *l, const struct occupants_record *r,
					    unsigned *count)
{
	size_t low = 0, high = l->holder_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (l->holders[middle].inode < r->inode)
			low = middle + 1;
		else
			high = middle;
	}
	for (*count = 0; r->inode && low + *count < l->holder_count &&
			 l->holders[low + *count].inode == r->inode;
	     ++*count)
		;
	return *count ? &l->holders[low] : NULL;
}

/* Somebody holds it, and no descriptor led to it. */
static bool is_stray(const struct look *l, const struct occupants_record *r)
{
	unsigned count;

	return r->has_file && !find(&l->held, r->node) && !holders_of(l, r, &count);
}

static bool has_strays(const struct look *l)
{
	for (size_t i = 0; i < l->listed.count; i++)
		if (is_stray(l, &l->listed.rows[i]))
			return true;
	return false;
}

/* ---- rows ---- */

static enum bind_state state_of(const struct occupants_record *r, bool held)
{
	if (r->protocol == IPPROTO_UDP)
		return r->state == TCP_ESTABLISHED ? BIND_CONNECTED : BIND_UNCONNECTED;
	switch (r->state) {
	case TCP_TIME_WAIT: return BIND_TIME_WAIT;
	case TCP_LISTEN: return BIND_LISTENING;
	case TCP_CLOSE: return BIND_BOUND;
	case TCP_FIN_WAIT1:
	case TCP_FIN_WAIT2:
	case TCP_CLOSING:
	case TCP_LAST_ACK: return held ? BIND_CONNECTED : BIND_CLOSING;
	}
	return BIND_CONNECTED;
}

/* Says who holds it; of a subflow, who holds the whole. */
static void holders_fill(struct bind_occupant *o, const struct look *l,
			 const struct occupants_record *r)
{
	o->held_by = holders_of(l, r, &o->holders);
	if (!o->held_by)
		return;
	o->pid = o->held_by->pid;
	o->pid_inside = o->held_by->pid_inside;
	memcpy(o->process, o->held_by->process, sizeof(o->process));
}

/* May the kernel pick its port again? */
static void picking_fill(struct bind_occupant *o, const struct look *l)
{
	for (size_t i = 0; i < l->ports_count; i++)
		if (l->ports[i].netns == o->place.netns) {
			/* Where that is not known: the advice to reserve it would hold. */
			o->pickable = !l->ports[i].known ||
				      local_ports_pickable(&l->ports[i].local, o->place.port);
			o->others_reserved = l->ports[i].reserved;
		}
}

static struct bind_occupant row_of(const struct look *l, const struct occupants_record *r)
{
	struct bind_occupant o = {
		.place = { .protocol = r->protocol == IPPROTO_UDP ? PROTOCOL_UDP : PROTOCOL_TCP,
			   .family = r->family,
			   .port = r->port,
			   .netns = r->netns,
			   .device = r->device,
			   .vrf = r->bucket.l3mdev,
			   .uid = r->uid,
			   .reuseaddr = r->reuseaddr,
			   .reuseport = r->reuseport,
			   .v6only = r->v6only },
		.state = state_of(r, r->has_file),
		.options_known = true,
		.count = 1,
		.cookie = r->cookie,
		.inode = r->inode,
		.held = r->has_file,
		.encapsulates = r->encapsulates,
		.by_kernel = r->by_kernel,
		.peer_port = r->peer_port,
		.seconds_left = NAN,
		.bucket = { .known = r->bucket.known,
			    .reuse = r->bucket.reuse,
			    .reuseport = r->bucket.reuseport,
			    .place = { .family = r->bucket.family,
				       .v6only = r->bucket.v6only,
				       .uid = r->bucket.uid } },
	};
	const struct bind_marks marks = { .port_asked = r->port_asked,
					  .connect_picked = r->connect_picked };
	const struct expiry key = { .node = r->node }, *expiry;

	o.origin = bind_origin_of(&o, &marks);
	holders_fill(&o, l, r);
	picking_fill(&o, l);
	if (r->by_kernel)
		symbol_name(r->receiver, o.receiver, sizeof(o.receiver));
	memcpy(o.peer, r->peer, sizeof(o.peer));
	memcpy(o.place.address, r->address, sizeof(o.place.address));
	memcpy(o.bucket.place.address, r->bucket.address, sizeof(o.bucket.place.address));
	for (size_t i = 0; i < l->device_count && o.place.device; i++)
		if (l->devices[i].netns == r->netns && l->devices[i].index == o.place.device)
			memcpy(o.place.device_name, l->devices[i].name,
			       sizeof(o.place.device_name));
	if (r->state == TCP_TIME_WAIT && l->expiry_count) {
		expiry = bsearch(&key, l->expiries, l->expiry_count, sizeof(key), expiries_by_node);
		o.seconds_left = expiry ? expiry->seconds : NAN;
	}
	return o;
}

static int by_query(const struct bind_occupant *o, const struct occupants_query *q)
{
	if (o->place.netns != q->netns)
		return COMPARE(o->place.netns, q->netns);
	if (o->place.protocol != q->protocol)
		return COMPARE(o->place.protocol, q->protocol);
	return COMPARE(o->place.port, q->port);
}

static int compare_places(const struct bind_place *a, const struct bind_place *b)
{
	int order = COMPARE(a->family, b->family);

	order = order ? order : memcmp(a->address, b->address, sizeof(a->address));
	order = order ? order : COMPARE(a->device, b->device);
	order = order ? order : COMPARE(a->uid, b->uid);
	order = order ? order : a->reuseaddr - b->reuseaddr;
	order = order ? order : a->reuseport - b->reuseport;
	return order ? order : a->v6only - b->v6only;
}

/* 0: they differ in their remote end alone. */
static int compare_rows(const void *a, const void *b)
{
	const struct bind_occupant *x = a, *y = b;
	const struct occupants_query q = { .netns = y->place.netns,
					   .protocol = y->place.protocol,
					   .port = y->place.port };
	int order = by_query(x, &q);

	order = order ? order : COMPARE(x->state, y->state);
	order = order ? order : compare_places(&x->place, &y->place);
	order = order ? order : COMPARE(x->pid, y->pid);
	order = order ? order : x->held - y->held;
	order = order ? order : COMPARE(x->origin, y->origin);
	if (order)
		return order;
	return x->state == BIND_BOUND || x->state == BIND_LISTENING || x->state == BIND_UNCONNECTED
		       ? COMPARE(x->inode, y->inode)
		       : 0;
}

/* Connections of one kind become one row. Returns how many rows are left. */
static size_t rows_merge(struct bind_occupant *rows, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		struct bind_occupant *last = kept ? &rows[kept - 1] : NULL;

		if (!last || compare_rows(last, &rows[i]) ||
		    !(rows[i].state == BIND_CONNECTED || rows[i].state == BIND_CLOSING ||
		      rows[i].state == BIND_TIME_WAIT)) {
			rows[kept++] = rows[i];
			continue;
		}
		last->count += rows[i].count;
		last->peers_differ |= last->peer_port != rows[i].peer_port ||
				      memcmp(last->peer, rows[i].peer, sizeof(last->peer));
		if (rows[i].holders > last->holders) {
			last->holders = rows[i].holders;
			last->held_by = rows[i].held_by;
		}
		if (!(last->seconds_left >= rows[i].seconds_left)) /* also when it is not known */
			last->seconds_left = isnan(rows[i].seconds_left) ? last->seconds_left
									 : rows[i].seconds_left;
	}
	return kept;
}

static bool asked(const struct occupants_record *r, const struct occupants_query *queries,
		  size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (queries[i].port == r->port && queries[i].netns == r->netns &&
		    (queries[i].protocol == PROTOCOL_UDP) == (r->protocol == IPPROTO_UDP))
			return true;
	return false;
}

/* before: an earlier look, to tell a socket that came in between from one that no descriptor leads
 * to; NULL: there are none. */
static size_t rows_fill(struct bind_occupant *rows, const struct look *l, const struct look *before,
			const struct occupants_query *queries, size_t query_count)
{
	size_t count = 0;

	/* By descriptors of one process and of others: one row. */
	for (size_t i = 0; i < l->held.count; i++)
		if (asked(&l->held.rows[i], queries, query_count) &&
		    (!i || l->held.rows[i].node != l->held.rows[i - 1].node))
			rows[count++] = row_of(l, &l->held.rows[i]);
	for (size_t i = 0; i < l->listed.count; i++) {
		const struct occupants_record *r = &l->listed.rows[i];
		const struct occupants_record *earlier =
			before ? find(&before->listed, r->node) : NULL;

		if (!asked(r, queries, query_count) || find(&l->held, r->node) ||
		    (i && r->node == r[-1].node))
			continue;
		if (is_stray(l, r) && !(earlier && is_stray(before, earlier)))
			continue;
		rows[count++] = row_of(l, r);
	}
	return count;
}

/* Who calls frees one thing: behind the rows goes what they point to. Their cgroups are asked for
 * last, for there are fewer rows by now. */
static int rows_pack(struct bind_occupant **rows, size_t count, const struct look *l)
{
	const size_t holders_at = (count + 1) * sizeof(**rows),
		     cgroups_at = holders_at + (l->holder_count + 1) * sizeof(*l->holders);
	char *whole = realloc(*rows, cgroups_at + count * CGROUP_SIZE);
	struct bind_holder *holders;

	if (!whole)
		return -ENOMEM;
	*rows = (struct bind_occupant *)whole;
	holders = (struct bind_holder *)(whole + holders_at);
	memcpy(holders, l->holders, l->holder_count * sizeof(*holders));
	for (size_t i = 0; i < count; i++) {
		struct bind_occupant *o = &(*rows)[i];
		char *cgroup = whole + cgroups_at + i * CGROUP_SIZE;

		if (o->held_by)
			o->held_by = &holders[o->held_by - l->holders];
		*cgroup = '\0';
		if (o->pid && i && o[-1].pid == o->pid) {
			memcpy(cgroup, o[-1].cgroup, CGROUP_SIZE);
			o->cgroup_id = o[-1].cgroup_id;
		} else if (o->pid) {
			process_cgroup_row(o->pid, cgroup);
			o->cgroup_id = process_cgroup_id(cgroup_whole(cgroup) ?: "");
		}
		o->cgroup = cgroup;
	}
	return 0;
}

int occupants_find(struct occupants *o, const struct occupants_query *queries, size_t query_count,
		   struct bind_occupant **list, bool *complete)
{
	struct look first = {}, second = {}, *l = &first;
	struct bind_occupant *rows = NULL;
	size_t count = 0;
	int err;

	memset(o->bpf->bss->ports, 0, sizeof(o->bpf->bss->ports));
	for (size_t i = 0; i < query_count; i++)
		bind_port_add((uint64_t *)o->bpf->bss->ports, queries[i].port);
	err = look_at_all(o, &first, queries, query_count);
	if (!err && has_strays(&first)) {
		l = &second;
		err = look_at_all(o, &second, queries, query_count);
	}
	if (!err) {
		rows = calloc(l->held.count + l->listed.count + 1, sizeof(*rows));
		err = rows ? 0 : -ENOMEM;
	}
	if (!err) {
		count = rows_fill(rows, l, l == &second ? &first : NULL, queries, query_count);
		qsort(rows, count, sizeof(*rows), compare_rows);
		count = rows_merge(rows, count);
		err = rows_pack(&rows, count, l);
	}
	if (complete)
		*complete = !l->failed;
	look_free(&first);
	look_free(&second);
	if (err) {
		free(rows);
		rows = NULL;
	}
	*list = rows;
	return err ? err : (int)count;
}

const struct bind_occupant *occupants_of(const struct bind_occupant *list, size_t list_count,
					 const struct occupants_query *query, size_t *count)
{
	size_t low = 0, high = list_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (by_query(&list[middle], query) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (*count = 0; low + *count < list_count && !by_query(&list[low + *count], query);
	     ++*count)
		;
	return list + low;
}
