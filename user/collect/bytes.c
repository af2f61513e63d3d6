/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Follows the bytes of open connections: bytes_begin() notes what older connections had carried,
 * bytes_look() reads all open ones, and bytes_settle() adds them to the ledger. Each connection
 * must be in exactly one sum, of those open or of those closed, although the two are read at
 * different times.
 */
#include "bytes.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../model/array.h"
#include "clock.h"
#include "count.h"
#include "count.skel.h"
#include "iterator.h"
#include "map.h"
#include "process.h"

/*
 * The reader of connections that were open before the window: a thread of a process, or all
 * threads of the process that wait in one epoll.
 */
struct owner {
	uint64_t listener; /* cookie of a socket on the port */
	uint64_t epoll;
	int32_t pid, tid;  /* tid 0: not known */
	uint64_t start_ns; /* of the process */
	/*
	 * the ledger row that gets the bytes from here on; cookie 0: the row of the process as a
	 * whole
	 */
	uint64_t cookie;
	uint64_t row_cookie, row_start_ns; /* the row of the thread; kept even when the bytes no
					      longer go there */
	int32_t row_tid;
	struct bytes seen;        /* what the connections had carried at the last look */
	struct bytes of_process;  /* of that, the bytes that belong to no known thread */
	struct count_bytes ended; /* from older_ended: before the look, and after it */
	struct count_bytes ended_now;
	/* bytes credited to a thread before it turned out to share its epoll; they stay with it */
	struct bytes of_thread;
};

struct bytes_reader {
	struct count_bpf *bpf;
	const struct count_worker *workers;
	const struct count_serve *serves;
	struct count_bytes *ended;  /* by owner */
	struct count_place *places; /* NULL: all connections are in the hash */
	struct bpf_link *link;
	struct array open;    /* struct count_open, by socket */
	uint64_t *closed;     /* by row of the kernel: closed connections before the look */
	uint64_t looked_ns;   /* CLOCK_MONOTONIC */
	struct owner *owners; /* COUNT_OWNERS; the first has connections that found no place */
	uint32_t owner_count;
	struct array cut; /* uint64_t: cookies of listeners some of whose older connections are not
			     followed */
	uint64_t carried; /* by all connections, at the last look */
	bool begun;       /* older connections were looked for, and not settled since */
};

int bytes_open(struct bytes_reader **out, struct count_bpf *bpf, const struct count_worker *workers,
	       const struct count_serve *serves)
{
	struct bytes_reader *b = calloc(1, sizeof(*b));
	int err;

	if (!b)
		return -ENOMEM;
	b->bpf = bpf;
	b->workers = workers;
	b->serves = serves;
	b->owner_count = 1;
	b->closed = calloc(COUNT_WORKERS_MAX, sizeof(*b->closed));
	b->owners = calloc(COUNT_OWNERS, sizeof(*b->owners));
	b->ended = map_array(bpf->maps.older_ended);
	if (bpf->rodata->config.places)
		b->places = map_array(bpf->maps.places);
	err = b->closed && b->owners && b->ended && !b->places == !bpf->rodata->config.places
		      ? 0
		      : -ENOMEM;
	if (!err)
		err = iterator_attach(bpf->progs.read_open, &b->link);
	if (err) {
		bytes_close(b);
		return err;
	}
	*out = b;
	return 0;
}

void bytes_close(struct bytes_reader *b)
{
	if (!b)
		return;
	bpf_link__destroy(b->link);
	unmap_array(b->ended, b->bpf->maps.older_ended);
	unmap_array(b->places, b->bpf->maps.places);
	free(b->open.rows);
	free(b->closed);
	free(b->owners);
	free(b->cut.rows);
	free(b);
}

void bytes_forget(struct bytes_reader *b)
{
	b->bpf->bss->count_older = 0;
	map_clear(b->bpf->maps.older);
	b->bpf->bss->count_hashed = 0;
	map_clear(b->bpf->maps.connections);
	if (b->places)
		memset(b->places, 0, COUNT_PLACES * sizeof(*b->places));
	b->owner_count = 1;
	b->open.count = b->cut.count = 0;
	b->begun = false;
	memset(b->owners, 0, COUNT_OWNERS * sizeof(*b->owners));
	memset(b->ended, 0, COUNT_OWNERS * sizeof(*b->ended));
}

/* Copies what the programs know of a connection; false: it was not accepted in the window. */
static bool accepted_find(const struct bytes_reader *b, __u64 sk, struct count_connection *c)
{
	const struct count_place *place = b->places ? &b->places[count_place_of(sk)] : NULL;

	if (place && __atomic_load_n(&place->key, __ATOMIC_ACQUIRE) == sk) {
		*c = place->connection;
		return true;
	}
	return !bpf_map_lookup_elem(bpf_map__fd(b->bpf->maps.connections), &sk, c);
}

/* ---- connections from before the window ---- */

/* Returns 0 or -ENOMEM. */
static int note_cut(struct bytes_reader *b, uint64_t cookie)
{
	const uint64_t *rows = b->cut.rows;

	for (size_t i = 0; i < b->cut.count; i++)
		if (rows[i] == cookie)
			return 0;
	return array_add(&b->cut, &cookie, sizeof(cookie)) ? 0 : -ENOMEM;
}

/* The index of the connection's reader; 0: there is no room for another. */
static uint32_t owner_of(struct bytes_reader *b, const struct inventory_connection *c)
{
	struct owner *o;

	for (uint32_t i = 1; i < b->owner_count; i++) {
		o = &b->owners[i];
		if (o->listener == c->listener && o->pid == c->pid && o->tid == c->tid &&
		    o->epoll == c->epoll)
			return i;
	}
	if (b->owner_count == COUNT_OWNERS)
		return 0;
	o = &b->owners[b->owner_count];
	*o = (struct owner){ .listener = c->listener,
			     .epoll = c->epoll,
			     .pid = c->pid,
			     .tid = c->tid,
			     .start_ns = c->start_ns };
	return b->owner_count++;
}

/*
 * Returns 1 if the connection is followed from now on, 0 if not, or -ENOMEM. An MPTCP connection
 * ends with its subflows, so it is not followed.
 */
static int follow(struct bytes_reader *b, const struct inventory_connection *c)
{
	struct count_older entry = { .before = { c->received, c->sent }, .identity = c->identity };
	struct count_connection known;

	if (accepted_find(b, c->node, &known))
		return 0; /* it was accepted in the window */
	entry.owner = c->mptcp ? 0 : owner_of(b, c);
	if (entry.owner &&
	    !bpf_map_update_elem(bpf_map__fd(b->bpf->maps.older), &c->node, &entry, BPF_NOEXIST))
		return 1;
	return note_cut(b, c->listener);
}

int bytes_begin(struct bytes_reader *b, struct inventory *v)
{
	struct inventory_connection *rows;
	int count = inventory_connections(v, &rows), one = 0;

	for (int i = 0; i < count && one >= 0; i++) {
		one = follow(b, &rows[i]);
		b->bpf->bss->count_older += one > 0;
	}
	free(rows);
	b->begun = true;
	return count < 0 ? count : one < 0 ? one : 0;
}

/* ---- looking ---- */

static int open_take(void *to, const void *record)
{
	struct bytes_reader *b = to;

	return array_add(&b->open, record, sizeof(struct count_open)) ? 0 : -ENOMEM;
}

int bytes_look(struct bytes_reader *b)
{
	bool any = b->bpf->bss->count_older;
	int err;

	b->open.count = 0;
	b->looked_ns = clock_ns(CLOCK_MONOTONIC);
	for (uint32_t i = 0; i < COUNT_WORKERS_MAX; i++) {
		const struct count_serve *s = &b->serves[i];

		b->closed[i] = __atomic_load_n(&s->closed, __ATOMIC_ACQUIRE);
		any |= s->opened != s->moved + b->closed[i];
	}
	for (uint32_t i = 1; i < b->owner_count; i++)
		b->owners[i].ended = b->ended[i];
	if (!any) /* no followed connection is open, so the descriptors need not be walked */
		return 0;
	err = iterator_run(b->link, &(struct iterator){ .size = sizeof(struct count_open),
							.take = open_take,
							.to = b });
	array_sort(&b->open, sizeof(struct count_open), array_by_u64);
	array_unique(&b->open, sizeof(struct count_open),
		     array_by_u64); /* a connection that is held twice counts once */
	return err;
}

/* ---- into the ledger ---- */

/*
 * Is the connection in no other sum? A connection that nobody has read belongs to nobody yet,
 * because another thread may be the first to read it. But if the thread of its row has written to
 * it, and hands no connections over, that thread serves it. A connection that has ended since it
 * was read may already be in the sum of closed connections, as far as the ledger has that sum.
 */
static bool window_counts(const struct bytes_reader *b, const struct count_open *r,
			  const struct ledger_worker *w)
{
	const __u32 i = r->row < COUNT_WORKERS_MAX ? r->row : 0;
	const struct count_worker *of = &b->workers[i];
	struct count_connection known;

	if (!of->used || of->generation != r->generation || (r->identity & 0xffff) != of->port)
		return false;
	if (!r->served && (!r->bytes.sent || b->serves[i].moved))
		return false;
	if (b->closed[i] == w->work.finished)
		return true;
	return accepted_find(b, r->sk, &known) && known.accepted_ns == r->accepted_ns;
}

static bool older_counts(struct bytes_reader *b, const struct count_open *r)
{
	const struct owner *o = &b->owners[r->row < COUNT_OWNERS ? r->row : 0];
	struct count_connection accepted;
	struct count_older known;

	if (!o->pid || r->identity != r->expected)
		return false;
	/* The tracepoint backend sees an accept only after the connection has its descriptor. */
	if (b->begun && accepted_find(b, r->sk, &accepted)) {
		bpf_map_delete_elem(bpf_map__fd(b->bpf->maps.older), &r->sk);
		return false;
	}
	if (!memcmp(&o->ended_now, &o->ended, sizeof(o->ended)))
		return true;
	return !bpf_map_lookup_elem(bpf_map__fd(b->bpf->maps.older), &r->sk, &known);
}

static bool same_port(const struct ledger_socket *a, const struct ledger_socket *b)
{
	return a && b && a->protocol == b->protocol && a->port == b->port && a->netns == b->netns &&
	       a->family == b->family && !memcmp(a->address, b->address, sizeof(a->address));
}

/*
 * Returns a row on that port, of the thread or of the only thread that waits in the same epoll;
 * NULL: there is none.
 */
static struct ledger_worker *owner_row(const struct ledger *l, const struct owner *o)
{
	const struct ledger_socket *listener = ledger_find_socket(l, o->listener);
	struct ledger_worker *const *rows, *found = NULL;
	size_t count = ledger_workers(l, &rows);

	for (size_t i = 0; i < count; i++) {
		const struct worker_row *w = &rows[i]->row;
		const bool by_epoll =
			!o->tid && o->epoll && w->wait_kind == WAITS_EPOLL && w->epoll == o->epoll;

		if (w->pid != o->pid || w->ended || w->tid <= 0 ||
		    !(o->tid ? w->tid == o->tid : by_epoll) ||
		    !same_port(ledger_find_socket(l, w->cookie), listener))
			continue;
		if (found && found->row.tid != w->tid)
			return NULL;
		found = rows[i];
	}
	return found;
}

static struct ledger_worker *row_make(struct ledger *l, const struct owner *o, int32_t tid)
{
	bool made;
	struct ledger_worker *w = ledger_worker(l, o->listener, tid, o->start_ns, &made);

	if (w && made) {
		w->row.pid = o->pid;
		process_name(o->pid, w->row.process, sizeof(w->row.process));
		process_cgroup_row(o->pid, w->row.cgroup);
		memcpy(w->row.comm, w->row.process, sizeof(w->row.comm));
	}
	return w;
}

/*
 * The reader may become known later, if nobody slept in the epoll when the window began. Or it may
 * turn out to be wrong, if another thread sleeps there too. What was credited by then stays,
 * because numbers that are shown must not fall.
 */
static int owner_resolve(struct owner *o, const struct inventory *v, struct ledger *l)
{
	const int32_t sleeper = o->epoll ? inventory_sleeper(v, o->epoll) : 0;
	struct ledger_worker *w;

	if (sleeper < 0)
		o->tid = o->cookie = 0;
	if (o->cookie || sleeper < 0)
		return 0;
	if (!o->tid)
		o->tid = sleeper;
	w = owner_row(l, o);
	if (!w && o->tid == o->pid && o->start_ns) {
		w = row_make(l, o, o->tid);
		if (!w)
			return -ENOMEM;
	}
	if (!w)
		return 0;
	o->tid = o->row_tid = w->row.tid;
	o->cookie = w->row.cookie;
	o->row_cookie = w->row.cookie;
	o->row_start_ns = w->row.start_ns;
	return 0;
}

static void bytes_add(struct bytes *to, uint64_t received, uint64_t sent)
{
	to->received += received;
	to->sent += sent;
}

/*
 * Credits what is new since the last look to whoever is known to read now. A connection that is in
 * no sum for a moment is counted again later.
 */
static void owner_count(struct owner *o, struct bytes now)
{
	struct bytes *to = o->cookie ? &o->of_thread : &o->of_process;

	bytes_add(to, growth(now.received, o->seen.received), growth(now.sent, o->seen.sent));
	o->seen.received = now.received > o->seen.received ? now.received : o->seen.received;
	o->seen.sent = now.sent > o->seen.sent ? now.sent : o->seen.sent;
}

/* Returns 0 or -ENOMEM. */
static int owner_settle(struct owner *o, const struct bytes *open, const struct inventory *v,
			struct ledger *l)
{
	struct ledger_worker *w;
	int err = owner_resolve(o, v, l);

	if (err)
		return err;
	owner_count(o, (struct bytes){ open->received + o->ended_now.received,
				       open->sent + o->ended_now.sent });
	w = o->row_tid ? ledger_find_worker(l, o->row_cookie, o->row_tid, o->row_start_ns) : NULL;
	if (w)
		bytes_add(&w->open_carried, o->of_thread.received, o->of_thread.sent);
	if (!o->of_process.received && !o->of_process.sent)
		return 0;
	w = row_make(l, o, -o->pid);
	if (!w)
		return -ENOMEM;
	bytes_add(&w->open_carried, o->of_process.received, o->of_process.sent);
	return 0;
}

static int older_settle(struct bytes_reader *b, const struct inventory *v, struct ledger *l)
{
	const struct count_open *open = b->open.rows;
	struct bytes *sums = calloc(COUNT_OWNERS, sizeof(*sums));
	int err = sums ? 0 : -ENOMEM;

	for (size_t i = 0; i < b->open.count && !err; i++) {
		const struct count_open *r = &open[i];

		if (r->older && r->state)
			bytes_add(&sums[r->row], growth(r->bytes.received, r->before.received),
				  growth(r->bytes.sent, r->before.sent));
	}
	for (uint32_t i = 1; i < b->owner_count && !err; i++)
		err = owner_settle(&b->owners[i], &sums[i], v, l);
	free(sums);
	return err;
}

/*
 * The bytes that a row shows must not fall: between two readings a connection may be in no sum for
 * a moment, and then come back in another.
 */
static void row_keep(struct ledger_worker *w)
{
	struct bytes all = { w->work.carried.received + w->work_past.carried.received,
			     w->work.carried.sent + w->work_past.carried.sent };
	struct bytes *open = &w->open_carried, *most = &w->carried_most;

	open->received = growth(most->received, all.received) > open->received
				 ? growth(most->received, all.received)
				 : open->received;
	open->sent = growth(most->sent, all.sent) > open->sent ? growth(most->sent, all.sent)
							       : open->sent;
	*most = (struct bytes){ all.received + open->received, all.sent + open->sent };
}

static void window_settle(struct bytes_reader *b, struct ledger *l)
{
	struct count_open *open = b->open.rows;

	for (size_t i = 0; i < b->open.count; i++) {
		struct count_open *r = &open[i];
		const struct count_worker *of =
			&b->workers[r->row < COUNT_WORKERS_MAX ? r->row : 0];
		struct ledger_worker *w;

		if (r->older) {
			if (!older_counts(b, r))
				r->state = 0; /* in no sum */
			continue;
		}
		w = ledger_find_worker(l, of->cookie, of->tid, of->start_ns);
		if (w && window_counts(b, r, w))
			bytes_add(&w->open_carried, r->bytes.received, r->bytes.sent);
		else
			r->state = 0;
	}
}

int bytes_settle(struct bytes_reader *b, const struct inventory *v, struct ledger *l)
{
	struct ledger_worker *const *rows;
	size_t count = ledger_workers(l, &rows);
	int err;

	for (size_t i = 0; i < count; i++)
		rows[i]->open_carried = (struct bytes){};
	for (uint32_t i = 1; i < b->owner_count; i++)
		b->owners[i].ended_now = b->ended[i];
	window_settle(b, l);
	b->begun = false;
	err = v ? older_settle(b, v, l) : 0;
	count = ledger_workers(l, &rows); /* some rows may be new */
	b->carried = 0;
	for (size_t i = 0; i < count && !err; i++) {
		row_keep(rows[i]);
		b->carried += rows[i]->carried_most.received + rows[i]->carried_most.sent;
	}
	return err;
}

uint64_t bytes_carried(const struct bytes_reader *b)
{
	return b->carried;
}

/* ---- who carries most ---- */

static struct endpoint *endpoint_of(const struct ledger *l, struct snapshot *s, uint64_t cookie)
{
	const struct ledger_socket *of = ledger_find_socket(l, cookie);
	struct endpoint like;

	if (!of)
		return NULL;
	like = (struct endpoint){
		.protocol = of->protocol, .family = of->family, .port = of->port, .netns = of->netns
	};
	memcpy(like.address, of->address, sizeof(like.address));
	return snapshot_find(s, &like);
}

static void connection_list(struct endpoint *e, const struct connection_row *row)
{
	const uint64_t bytes = row->bytes.received + row->bytes.sent;
	size_t i =
		e->connection_count < CONNECTIONS_SHOWN ? e->connection_count++ : CONNECTIONS_SHOWN;

	e->connections_open++;
	for (; i > 0 &&
	       e->connections[i - 1].bytes.received + e->connections[i - 1].bytes.sent < bytes;
	     i--)
		if (i < CONNECTIONS_SHOWN)
			e->connections[i] = e->connections[i - 1];
	if (i < CONNECTIONS_SHOWN)
		e->connections[i] = *row;
}

/* A connection that is in a sum. Returns the cookie of its listener; 0: not known. */
static uint64_t connection_row_fill(const struct bytes_reader *b, const struct count_open *r,
				    struct connection_row *row)
{
	const struct count_worker *w;

	*row = (struct connection_row){ .id = r->sk ^ r->identity ^ r->accepted_ns,
					.family = r->family,
					.peer_port = r->peer_port,
					.bytes = { growth(r->bytes.received, r->before.received),
						   growth(r->bytes.sent, r->before.sent) } };
	memcpy(row->peer, r->peer, sizeof(row->peer));
	if (r->older) {
		const struct owner *o = &b->owners[r->row];

		row->pid = o->pid;
		row->tid = o->tid;
		return o->listener;
	}
	w = &b->workers[r->row];
	row->pid = (int32_t)w->pid;
	row->tid = (int32_t)w->tid;
	row->age_ns = b->looked_ns - r->accepted_ns;
	return w->cookie;
}

size_t bytes_older_open(const struct bytes_reader *b, struct bytes_older *rows, size_t max)
{
	const struct count_open *open = b->open.rows;
	size_t count = 0;

	for (size_t i = 0; i < b->open.count; i++) {
		const struct owner *o = open[i].state && open[i].older && open[i].row < COUNT_OWNERS
						? &b->owners[open[i].row]
						: NULL;
		size_t k = 0;

		if (!o)
			continue;
		while (k < count && (rows[k].pid != o->pid || rows[k].tid != o->tid))
			k++;
		if (k == count && count == max)
			continue;
		if (k == count)
			rows[count++] = (struct bytes_older){ .pid = o->pid, .tid = o->tid };
		rows[k].open++;
	}
	return count;
}

void bytes_describe(const struct bytes_reader *b, const struct ledger *l, struct snapshot *s)
{
	const struct count_open *open = b->open.rows;
	const uint64_t *cut = b->cut.rows;
	struct endpoint *e = NULL;
	uint64_t last = 0;

	for (size_t i = 0; i < b->open.count; i++) {
		struct connection_row row;
		const uint64_t cookie = open[i].state ? connection_row_fill(b, &open[i], &row) : 0;

		if (!cookie)
			continue;
		if (!e || cookie != last)
			e = endpoint_of(l, s, cookie);
		last = cookie;
		if (e)
			connection_list(e, &row);
	}
	for (size_t i = 0; i < b->cut.count; i++) {
		e = endpoint_of(l, s, cut[i]);
		for (size_t k = 0; e && k < e->worker_count; k++)
			e->workers[k].bytes_at_least = true;
		if (e)
			e->older_cut = true;
	}
}
