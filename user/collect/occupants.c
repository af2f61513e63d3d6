/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds who has a port. A look reads the kernel's tables of each network namespace first, then all
 * descriptors: a socket that is in the tables and has a file should be found by some descriptor
 * too. If it is not, it may be on its way from one process to another, or it may have come in
 * between: a second look tells. The records become rows, and rows that differ only in their remote
 * end are merged.
 */
#include "occupants.h"

#include <errno.h>
#include <math.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/libbpf.h>

#include "../model/array.h"
#include "../bind/bind_occupant.h"
#include "../attach/loading.h"
#include "../attach/types.h"
#include "iterator.h"
#include "local_ports.h"
#include "namespace.h"
#include "occupants.skel.h"
#include "occupants_record.h"
#include "process.h"
#include "sockdiag.h"
#include "symbols.h"

/* A connection in TIME_WAIT, and when it ends. */
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
	bool known, reserved; /* known: the settings were read; reserved: some ports are reserved */
};

/* One look at the machine. */
struct look {
	struct array held;    /* struct occupants_record, by node: sockets found by descriptors */
	struct array holders; /* struct bind_holder: the same sockets by inode and pid, each once,
				 because an MPTCP socket has one inode for all of its subflows */
	struct array listed;  /* struct occupants_record, by node: sockets in the kernel's tables */
	struct array expiries; /* struct expiry, by node */
	struct array devices;  /* struct device */
	struct array ports;    /* struct ports */
	bool failed;
};

struct occupants {
	struct occupants_bpf *bpf;
	struct bpf_link *links[OCCUPANTS_UDP + 1];
	void (*turn)(void *with); /* NULL: none */
	void *with;
};

/* ---- opening ---- */

/* Returns 0 or negative errno. */
static int occupants_load(struct occupants *o, const struct btf *btf)
{
	struct types_file types;
	int err;

	o->bpf = occupants_bpf__open_opts(types_open(&types));
	err = o->bpf ? types_write(&types, btf, o->bpf->obj) : -errno;
	if (!err)
		err = occupants_bpf__load(o->bpf);
	types_close(&types);
	return err;
}

int occupants_open(struct occupants **out, char *why, size_t why_size)
{
	struct occupants *o = calloc(1, sizeof(*o));
	const struct btf *btf = NULL;
	int err;

	if (!o)
		return loading_fail(-ENOMEM, why, why_size, "out of memory");
	err = loading_prepare(why, why_size);
	if (!err)
		err = loading_btf(&btf, why, why_size);
	if (err)
		goto out;
	err = occupants_load(o, btf);
	if (!err)
		err = iterator_attach(o->bpf->progs.list_occupants, &o->links[OCCUPANTS_HELD]);
	if (!err)
		err = iterator_attach(o->bpf->progs.list_tcp, &o->links[OCCUPANTS_TCP]);
	if (!err)
		err = iterator_attach(o->bpf->progs.list_udp, &o->links[OCCUPANTS_UDP]);
	if (err)
		loading_no_iterators(err, "cannot look who has a port", why, why_size);
out:
	loading_btf_end(btf);
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
	for (int in = OCCUPANTS_HELD; in <= OCCUPANTS_UDP; in++)
		bpf_link__destroy(o->links[in]);
	occupants_bpf__destroy(o->bpf);
	free(o);
}

/* ---- looking ---- */

static int by_node(const void *a, const void *b)
{
	const struct occupants_record *x = a, *y = b;

	return x->node != y->node ? COMPARE(x->node, y->node) : COMPARE(x->pid, y->pid);
}

static int holders_by_process(const void *a, const void *b)
{
	const struct bind_holder *x = a, *y = b;

	return x->inode != y->inode ? COMPARE(x->inode, y->inode) : COMPARE(x->pid, y->pid);
}

static int by_descriptor(const void *a, const void *b)
{
	const struct bind_holder *x = a, *y = b;
	int order = holders_by_process(a, b);

	return order ? order : COMPARE(x->descriptor, y->descriptor);
}

static int record_add(void *to, const void *record)
{
	return array_add(to, record, sizeof(struct occupants_record)) ? 0 : -ENOMEM;
}

static int records_read(const struct occupants *o, enum occupants_in in,
			int (*take)(void *to, const void *record), void *to)
{
	return iterator_run(o->links[in],
			    &(struct iterator){ .size = sizeof(struct occupants_record),
						.take = take,
						.to = to,
						.turn = in == OCCUPANTS_HELD ? o->turn : NULL,
						.with = o->with });
}

/*
 * How long each connection in TIME_WAIT stays. sock_diag gives these connections cookies, which
 * the iterator's records show, so the two can be joined.
 */
static int expiries_read(struct look *l, size_t first, const struct sockdiag_lingering *lingering,
			 int count)
{
	const struct occupants_record *rows = l->listed.rows;

	for (size_t i = first; i < l->listed.count; i++) {
		const struct sockdiag_lingering *found =
			rows[i].state == TCP_TIME_WAIT
				? sockdiag_lingering_find(lingering, count, rows[i].cookie)
				: NULL;
		const struct expiry e = { rows[i].node,
					  found ? found->milliseconds_left / 1e3 : 0 };

		if (found && !array_add(&l->expiries, &e, sizeof(e)))
			return -ENOMEM;
	}
	return 0;
}

static int devices_read(struct look *l, uint32_t netns)
{
	struct if_nameindex *names = if_nameindex();
	int err = names ? 0 : -errno;

	for (size_t i = 0; names && !err && names[i].if_index; i++) {
		struct device d = { .netns = netns, .index = names[i].if_index };

		strncpy(d.name, names[i].if_name, sizeof(d.name) - 1);
		err = array_add(&l->devices, &d, sizeof(d)) ? 0 : -ENOMEM;
	}
	if (names)
		if_freenameindex(names);
	return err;
}

static int ports_read(struct look *l, uint32_t netns)
{
	struct ports p = { .netns = netns };

	p.known = local_ports_read(&p.local);
	p.reserved = local_ports_reserved(&p.local);
	return array_add(&l->ports, &p, sizeof(p)) ? 0 : -ENOMEM;
}

struct looking {
	struct occupants *o;
	struct look *l;
};

/* Reads the kernel's tables of one network namespace. */
static int tables_read(void *to, uint32_t netns)
{
	const struct looking *looking = to;
	struct look *l = looking->l;
	struct sockdiag_lingering *lingering = NULL;
	size_t first = l->listed.count;
	int count = sockdiag_lingering(&lingering);
	int err = records_read(looking->o, OCCUPANTS_TCP, record_add, &l->listed);

	if (!err)
		err = records_read(looking->o, OCCUPANTS_UDP, record_add, &l->listed);
	if (!err) /* without sock_diag only the time left in TIME_WAIT is unknown */
		err = expiries_read(l, first, lingering, count);
	if (!err)
		err = devices_read(l, netns);
	if (!err)
		err = ports_read(l, netns);
	free(lingering);
	return err;
}

static void look_free(struct look *l)
{
	free(l->held.rows);
	free(l->holders.rows);
	free(l->listed.rows);
	free(l->expiries.rows);
	free(l->devices.rows);
	free(l->ports.rows);
	*l = (struct look){};
}

static int holders_index(struct look *l)
{
	const struct occupants_record *rows = l->held.rows;

	for (size_t i = 0; i < l->held.count; i++) {
		struct bind_holder h = { .inode = rows[i].inode,
					 .pid = rows[i].pid,
					 .pid_inside = rows[i].pid_inside,
					 .parent = rows[i].parent,
					 .started_ns = rows[i].started_ns,
					 .descriptor = rows[i].descriptor };

		memcpy(h.process, rows[i].process, sizeof(h.process));
		if (!array_add(&l->holders, &h, sizeof(h)))
			return -ENOMEM;
	}
	array_sort(&l->holders, sizeof(struct bind_holder), by_descriptor);
	array_unique(&l->holders, sizeof(struct bind_holder), holders_by_process);
	return 0;
}

static int look_at_all(struct occupants *o, struct look *l, const struct occupants_query *queries,
		       size_t count)
{
	struct looking looking = { o, l };
	int err = 0, failed;

	for (size_t i = 0; i < count && !err; i++) {
		bool seen = false;

		for (size_t j = 0; j < i; j++)
			seen |= queries[j].netns == queries[i].netns;
		if (seen)
			continue;
		err = namespace_within(queries[i].netns, tables_read, &looking, &failed);
		l->failed |= failed != 0;
	}
	if (!err)
		err = records_read(o, OCCUPANTS_HELD, record_add, &l->held);
	array_sort(&l->held, sizeof(struct occupants_record), by_node);
	array_sort(&l->listed, sizeof(struct occupants_record), by_node);
	array_sort(&l->expiries, sizeof(struct expiry), array_by_u64);
	array_sort(&l->ports, sizeof(struct ports), array_by_u32);
	return err ? err : holders_index(l);
}

/* Returns the first record of that socket, or NULL. */
static const struct occupants_record *record_find(const struct array *in, uint64_t node)
{
	return array_find(in, sizeof(struct occupants_record), &node, array_by_u64);
}

/* The processes that hold the socket's file. */
static const struct bind_holder *holders_of(const struct look *l, const struct occupants_record *r,
					    size_t *count)
{
	*count = 0;
	return r->inode ? array_equal(&l->holders, sizeof(struct bind_holder), &r->inode,
				      array_by_u32, count)
			: NULL;
}

/* Is the socket held, although no descriptor led to it? */
static bool is_stray(const struct look *l, const struct occupants_record *r)
{
	size_t count;

	return r->has_file && !record_find(&l->held, r->node) && !holders_of(l, r, &count);
}

static bool has_strays(const struct look *l)
{
	const struct occupants_record *rows = l->listed.rows;

	for (size_t i = 0; i < l->listed.count; i++)
		if (is_stray(l, &rows[i]))
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

/* Fills in who holds the socket; for a subflow, who holds the MPTCP socket. */
static void holders_fill(struct bind_occupant *o, const struct look *l,
			 const struct occupants_record *r)
{
	size_t count;

	o->held_by = holders_of(l, r, &count);
	o->holders = count;
	if (!o->held_by)
		return;
	o->pid = o->held_by->pid;
	o->pid_inside = o->held_by->pid_inside;
	memcpy(o->process, o->held_by->process, sizeof(o->process));
}

/* May the kernel pick the socket's port again? */
static void picking_fill(struct bind_occupant *o, const struct look *l)
{
	const struct ports *p = array_find(&l->ports, sizeof(*p), &o->place.netns, array_by_u32);

	if (!p)
		return;
	/* If it is not known, assume that it may: the advice to reserve the port is good anyway. */
	o->pickable = !p->known || local_ports_pickable(&p->local, o->place.port);
	o->others_reserved = p->reserved;
}

/* Fills in what the record alone shows. */
static struct bind_occupant occupant_socket(const struct occupants_record *r)
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

	o.origin = bind_origin_of(&o, &marks);
	memcpy(o.peer, r->peer, sizeof(o.peer));
	memcpy(o.place.address, r->address, sizeof(o.place.address));
	memcpy(o.bucket.place.address, r->bucket.address, sizeof(o.bucket.place.address));
	return o;
}

static struct bind_occupant occupant_row(const struct look *l, const struct occupants_record *r)
{
	struct bind_occupant o = occupant_socket(r);
	const struct device *devices = l->devices.rows;
	const struct expiry *expiry;

	holders_fill(&o, l, r);
	picking_fill(&o, l);
	if (r->by_kernel)
		symbol_name(r->receiver, o.receiver, sizeof(o.receiver));
	for (size_t i = 0; i < l->devices.count && o.place.device; i++)
		if (devices[i].netns == r->netns && devices[i].index == o.place.device)
			memcpy(o.place.device_name, devices[i].name, sizeof(o.place.device_name));
	if (r->state == TCP_TIME_WAIT) {
		expiry = array_find(&l->expiries, sizeof(*expiry), &r->node, array_by_u64);
		o.seconds_left = expiry ? expiry->seconds : NAN;
	}
	return o;
}

/* Compares a row with a query. */
static int by_query(const void *row, const void *query)
{
	const struct bind_occupant *o = row;
	const struct occupants_query *q = query;

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

/* Returns 0 if the rows differ only in their remote end. */
static int compare_occupants(const void *a, const void *b)
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

/* Merges connections of one kind into one row. Returns how many rows are left. */
static size_t occupants_merge(struct bind_occupant *rows, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		struct bind_occupant *last = kept ? &rows[kept - 1] : NULL;

		if (!last || compare_occupants(last, &rows[i]) ||
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
		if (!(last->seconds_left >= rows[i].seconds_left)) /* also if it is not known */
			last->seconds_left = isnan(rows[i].seconds_left) ? last->seconds_left
									 : rows[i].seconds_left;
	}
	return kept;
}

static bool record_asked(const struct occupants_record *r, const struct occupants_query *queries,
			 size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (queries[i].port == r->port && queries[i].netns == r->netns &&
		    (queries[i].protocol == PROTOCOL_UDP) == (r->protocol == IPPROTO_UDP))
			return true;
	return false;
}

/*
 * `before` is an earlier look, used to tell a socket that came in between from a socket that no
 * descriptor leads to; NULL: there is no such socket.
 */
static size_t rows_fill(struct bind_occupant *rows, const struct look *l, const struct look *before,
			const struct occupants_query *queries, size_t query_count)
{
	const struct occupants_record *held = l->held.rows, *listed = l->listed.rows;
	size_t count = 0;

	/* A socket held by descriptors of several processes is one row. */
	for (size_t i = 0; i < l->held.count; i++)
		if (record_asked(&held[i], queries, query_count) &&
		    (!i || held[i].node != held[i - 1].node))
			rows[count++] = occupant_row(l, &held[i]);
	for (size_t i = 0; i < l->listed.count; i++) {
		const struct occupants_record *r = &listed[i];
		const struct occupants_record *earlier =
			before ? record_find(&before->listed, r->node) : NULL;

		if (!record_asked(r, queries, query_count) || record_find(&l->held, r->node) ||
		    (i && r->node == r[-1].node))
			continue;
		if (is_stray(l, r) && !(earlier && is_stray(before, earlier)))
			continue;
		rows[count++] = occupant_row(l, r);
	}
	return count;
}

/*
 * Puts everything that the rows point to behind the rows, so that the caller frees one block.
 * Cgroups are looked up last, because fewer rows are left by then.
 */
static int rows_pack(struct bind_occupant **rows, size_t count, const struct look *l)
{
	const size_t holders_at = (count + 1) * sizeof(**rows),
		     cgroups_at = holders_at + (l->holders.count + 1) * sizeof(struct bind_holder);
	char *whole = realloc(*rows, cgroups_at + count * CGROUP_SIZE);
	struct bind_holder *holders;

	if (!whole)
		return -ENOMEM;
	*rows = (struct bind_occupant *)whole;
	holders = (struct bind_holder *)(whole + holders_at);
	if (l->holders.count)
		memcpy(holders, l->holders.rows, l->holders.count * sizeof(*holders));
	for (size_t i = 0; i < count; i++) {
		struct bind_occupant *o = &(*rows)[i];
		char *cgroup = whole + cgroups_at + i * CGROUP_SIZE;

		if (o->held_by)
			o->held_by =
				&holders[o->held_by - (const struct bind_holder *)l->holders.rows];
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
		bind_port_add(occupants_ports(o), queries[i].port);
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
		qsort(rows, count, sizeof(*rows), compare_occupants);
		count = occupants_merge(rows, count);
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
	const struct array all = { .rows = (void *)list, .count = list_count };

	return array_equal(&all, sizeof(*list), query, by_query, count);
}

/* ---- sockets one by one ---- */

uint64_t *occupants_ports(struct occupants *o)
{
	return (uint64_t *)o->bpf->bss->ports;
}

struct each {
	occupants_take *take;
	void *to;
};

static int each_take(void *to, const void *record)
{
	const struct each *each = to;
	const struct occupants_record *r = record;
	struct bind_occupant o;

	if (!r->port) /* a holder of MPTCP subflows only */
		return 0;
	o = occupant_socket(r);
	o.pid = r->pid;
	memcpy(o.process, r->process, sizeof(o.process));
	return each->take(each->to, &o);
}

int occupants_each(struct occupants *o, enum occupants_in in, occupants_take *take, void *to)
{
	struct each each = { take, to };

	return records_read(o, in, each_take, &each);
}
