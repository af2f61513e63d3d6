/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ledger.h"
#include "array.h"
#include "counters.h"
#include "siblings.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#define ENDED_HISTOGRAMS_MAX 2048 /* histograms of ended threads; further ones are dropped */
#define FOLDED_MAX 4096           /* endpoints folded one by one; all others together, as port 0 */

/* Rows, both in a tree by identity (tsearch) and in an unsorted array. */
struct rows {
	void *tree;
	struct array list; /* of pointers */
	int (*compare)(const void *, const void *);
	size_t ended;
};

/* The sums of an endpoint's folded rows. */
struct folded {
	struct ledger_socket key; /* only the fields that identify the endpoint */
	struct omitted omitted;
};

struct ledger {
	struct rows sockets, workers, folded;
	struct holder_row *holders;
	size_t holder_count;
	struct handshake_set handshakes;
	size_t ended_max;
	unsigned cpus;
	uint64_t orphaned; /* events of folded workers whose socket had no row */
	uint64_t ends;     /* counts rows that ended, to tell the oldest */
	size_t ended_histograms;
	bool waits, serving;       /* what is measured: ledger_measures() */
	uint64_t began_ns, now_ns; /* ledger_clock() */
};

struct ledger_slots {
	struct wait_histogram sum;
	uint32_t last[WAIT_SLOTS]; /* of the kernel's present row */
};

struct ledger_flows {
	struct flow_sketch sum;
	struct flow_peer past;       /* of kernel rows that were given back */
	uint32_t last[FLOW_BUCKETS]; /* of the kernel's present row */
};

/* ---- rows ---- */

static int compare_endpoints(const struct ledger_socket *x, const struct ledger_socket *y)
{
	if (x->protocol != y->protocol)
		return COMPARE(x->protocol, y->protocol);
	if (x->netns != y->netns)
		return COMPARE(x->netns, y->netns);
	if (x->port != y->port)
		return COMPARE(x->port, y->port);
	if (x->family != y->family)
		return COMPARE(x->family, y->family);
	if (x->row.aside != y->row.aside)
		return COMPARE(x->row.aside, y->row.aside);
	return memcmp(x->address, y->address, sizeof(x->address));
}

static int compare_sockets(const void *a, const void *b)
{
	const struct ledger_socket *x = a, *y = b;

	return COMPARE(x->row.cookie, y->row.cookie);
}

static int compare_workers(const void *a, const void *b)
{
	const struct ledger_worker *x = a, *y = b;

	if (x->row.cookie != y->row.cookie)
		return COMPARE(x->row.cookie, y->row.cookie);
	if (x->row.tid != y->row.tid)
		return COMPARE(x->row.tid, y->row.tid);
	return COMPARE(x->row.start_ns, y->row.start_ns);
}

static int compare_folded(const void *a, const void *b)
{
	const struct folded *x = a, *y = b;

	return compare_endpoints(&x->key, &y->key);
}

static void *rows_find(const struct rows *r, const void *key)
{
	void **found = tfind(key, &r->tree, r->compare);

	return found ? *found : NULL;
}

static void *row_at(const struct rows *r, size_t i)
{
	return ((void **)r->list.rows)[i];
}

/* Adds a copy of the row. NULL: no memory. */
static void *rows_add(struct rows *r, const void *row, size_t size)
{
	void *copy = malloc(size);

	if (!copy)
		return NULL;
	memcpy(copy, row, size);
	if (!array_add(&r->list, &copy, sizeof(copy))) {
		free(copy);
		return NULL;
	}
	if (!tsearch(copy, &r->tree, r->compare)) {
		r->list.count--;
		free(copy);
		return NULL;
	}
	return copy;
}

/* Removes row i from the list; another row takes its place. The caller frees what the row owns.
 */
static void rows_remove(struct rows *r, size_t i)
{
	void *row = row_at(r, i);

	tdelete(row, &r->tree, r->compare);
	((void **)r->list.rows)[i] = row_at(r, --r->list.count);
	free(row);
}

static void rows_clear(struct rows *r)
{
	while (r->list.count)
		rows_remove(r, r->list.count - 1);
	free(r->list.rows);
	*r = (struct rows){ .compare = r->compare };
}

/* compare: gets pointers to pointers to rows. */
static void rows_sort(struct rows *r, int (*compare)(const void *, const void *))
{
	array_sort(&r->list, sizeof(void *), compare);
}

static struct ledger_socket *socket_at(const struct ledger *l, size_t i)
{
	return row_at(&l->sockets, i);
}

static struct ledger_worker *worker_at(const struct ledger *l, size_t i)
{
	return row_at(&l->workers, i);
}

/* ---- the ledger ---- */

struct ledger *ledger_new(size_t ended_max, unsigned cpus)
{
	struct ledger *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->sockets.compare = compare_sockets;
	l->workers.compare = compare_workers;
	l->folded.compare = compare_folded;
	l->ended_max = ended_max;
	l->ends = 1; /* before all others: see fold_sockets() */
	l->cpus = cpus;
	return l;
}

static void socket_remove(struct ledger *l, size_t i)
{
	struct ledger_socket *s = socket_at(l, i);

	l->sockets.ended -= s->row.ended;
	free(s->by_cpu); /* by_cpu_past is part of it */
	free(s->flows);
	rows_remove(&l->sockets, i);
}

static void worker_remove(struct ledger *l, size_t i)
{
	struct ledger_worker *w = worker_at(l, i);

	l->workers.ended -= w->row.ended;
	l->ended_histograms -= w->row.ended && w->slots;
	free(w->slots);
	rows_remove(&l->workers, i);
}

void ledger_clock(struct ledger *l, uint64_t began_ns, uint64_t now_ns)
{
	l->began_ns = began_ns;
	l->now_ns = now_ns;
}

void ledger_measures(struct ledger *l, bool waits, bool serving)
{
	l->waits = waits;
	l->serving = serving;
}

void ledger_clear(struct ledger *l)
{
	while (l->sockets.list.count)
		socket_remove(l, l->sockets.list.count - 1);
	while (l->workers.list.count)
		worker_remove(l, l->workers.list.count - 1);
	rows_clear(&l->sockets);
	rows_clear(&l->workers);
	rows_clear(&l->folded);
	l->orphaned = 0;
	ledger_hold(l, NULL, 0);
	handshakes_clear(&l->handshakes);
}

void ledger_free(struct ledger *l)
{
	if (!l)
		return;
	ledger_clear(l);
	free(l);
}

struct handshake_set *ledger_handshakes(struct ledger *l)
{
	return &l->handshakes;
}

struct ledger_socket *ledger_find_socket(const struct ledger *l, uint64_t cookie)
{
	const struct ledger_socket key = { .row.cookie = cookie };

	return rows_find(&l->sockets, &key);
}

struct ledger_socket *ledger_socket(struct ledger *l, uint64_t cookie, bool *made)
{
	const struct ledger_socket fresh = { .row.cookie = cookie };
	struct ledger_socket *s = ledger_find_socket(l, cookie);

	if (made)
		*made = !s;
	return s ? s : rows_add(&l->sockets, &fresh, sizeof(fresh));
}

struct ledger_worker *ledger_find_worker(const struct ledger *l, uint64_t cookie, int32_t tid,
					 uint64_t start_ns)
{
	const struct ledger_worker key = {
		.row = { .cookie = cookie, .tid = tid, .start_ns = start_ns }
	};

	return rows_find(&l->workers, &key);
}

struct ledger_worker *ledger_worker(struct ledger *l, uint64_t cookie, int32_t tid,
				    uint64_t start_ns, bool *made)
{
	const struct ledger_worker fresh = {
		.row = { .number = -1, .cookie = cookie, .tid = tid, .start_ns = start_ns }
	};
	struct ledger_worker *w = rows_find(&l->workers, &fresh);

	if (made)
		*made = !w;
	return w ? w : rows_add(&l->workers, &fresh, sizeof(fresh));
}

int ledger_count_socket(struct ledger *l, struct ledger_socket *s, uint64_t arrived,
			uint64_t dropped, const uint64_t *by_cpu, bool last)
{
	if (!s->by_cpu) {
		s->by_cpu = calloc(2 * (size_t)l->cpus, sizeof(*s->by_cpu));
		if (!s->by_cpu)
			return -ENOMEM;
		s->by_cpu_past = s->by_cpu + l->cpus;
	}
	s->arrived = last ? 0 : arrived;
	s->dropped = last ? 0 : dropped;
	s->arrived_past += last ? arrived : 0;
	s->dropped_past += last ? dropped : 0;
	for (unsigned i = 0; i < l->cpus; i++) {
		s->by_cpu[i] = last ? 0 : by_cpu[i];
		s->by_cpu_past[i] += last ? by_cpu[i] : 0;
	}
	return 0;
}

static struct ledger_closings all_closings(const struct ledger_socket *s)
{
	return (struct ledger_closings){ .reset = s->closings.reset + s->closings_past.reset,
					 .migrated =
						 s->closings.migrated + s->closings_past.migrated };
}

static uint64_t migrated(const struct ledger_socket *s)
{
	const int64_t count = all_closings(s).migrated;

	return count > 0 ? count : 0;
}

void ledger_count_closings(struct ledger_socket *s, const struct ledger_closings *closings,
			   bool last)
{
	s->closings = *closings;
	if (!last)
		return;
	s->closings_past = all_closings(s);
	s->closings = (struct ledger_closings){};
}

void ledger_count_worker(struct ledger_worker *w, uint64_t accepted, bool last)
{
	w->accepted = last ? 0 : accepted;
	w->accepted_past += last ? accepted : 0;
}

void ledger_count_copies(struct ledger_socket *s, uint32_t copies, bool last)
{
	s->copies += (uint32_t)(copies - s->copies_last);
	s->copies_last = last ? 0 : copies;
}

void ledger_count_several(struct ledger_socket *s, uint32_t several, bool last)
{
	s->several += (uint32_t)(several - s->several_last);
	s->several_last = last ? 0 : several;
}

int ledger_count_flows(struct ledger_socket *s, const uint32_t *buckets,
		       const struct flow_peer *peer, bool last)
{
	if (!s->flows)
		s->flows = calloc(1, sizeof(*s->flows));
	if (!s->flows)
		return -ENOMEM;
	for (unsigned i = 0; i < FLOW_BUCKETS; i++) {
		s->flows->sum.buckets[i] += (uint32_t)(buckets[i] - s->flows->last[i]);
		s->flows->last[i] = last ? 0 : buckets[i];
	}
	s->flows->sum.peer = s->flows->past;
	flow_peer_add(&s->flows->sum.peer, peer);
	if (last)
		s->flows->past = s->flows->sum.peer;
	return 0;
}

/* Where a thread's row has the sum of each count. */
#define WORK(member, sum)                                                                          \
	{                                                                                          \
		offsetof(struct ledger_work, member), sum, COUNTS_EVENTS                           \
	}
#define ROW(member) offsetof(struct worker_row, member)
static const struct counter of_work[] = {
	WORK(queued_before, ROW(queued_before)),
	WORK(reset_queued, ROW(reset_queued)),
	WORK(served, ROW(served)),
	WORK(unfollowed, COUNTER_NOWHERE),
	WORK(opened, COUNTER_NOWHERE),
	WORK(moved, COUNTER_NOWHERE),
	WORK(finished, ROW(finished)),
	WORK(finished_ns, ROW(finished_ns)),
	WORK(carried.received, ROW(bytes.received)),
	WORK(carried.sent, ROW(bytes.sent)),
};
static const struct counters work_counters = { of_work, sizeof(of_work) / sizeof(*of_work) };

static void work_add(struct ledger_work *to, const struct ledger_work *from)
{
	counters_add(&work_counters, to, from);
	wait_add(&to->wait, &from->wait, NULL);
	wait_add(&to->handed, &from->handed, NULL);
}

/* The work of all kernel rows that the thread has had. */
static struct ledger_work all_work(const struct ledger_worker *w)
{
	struct ledger_work work = w->work_past;

	work_add(&work, &w->work);
	return work;
}

/* Adds what a thread counted to its row, except its waits in the accept queue. */
static void add_counts(struct worker_row *row, const struct ledger_worker *from,
		       const struct ledger_work *work)
{
	row->accepted += from->accepted + from->accepted_past;
	row->bytes.received += from->open_carried.received;
	row->bytes.sent += from->open_carried.sent;
	counters_add_up(&work_counters, row, work);
	wait_add(&row->handed, &work->handed, NULL);
}

/* A socket's row with its counts; its workers add what they accepted. */
static struct socket_row counted(const struct ledger_socket *s)
{
	struct socket_row row = s->row;

	row.arrived = s->arrived + s->arrived_past;
	row.dropped = s->dropped + s->dropped_past;
	row.dropped_closing = all_closings(s).reset;
	row.migrated = migrated(s);
	row.copies = s->copies;
	row.buffers_maybe_several = s->several;
	row.accepted = 0;
	row.drops = (uint32_t)(s->drops_now - s->drops_first);
	return row;
}

static void histogram_drop(struct ledger *l, struct ledger_worker *w)
{
	l->ended_histograms -= w->row.ended && w->slots;
	free(w->slots);
	w->slots = NULL;
}

static void limit_ended_histograms(struct ledger *l, struct ledger_worker *w)
{
	if (l->ended_histograms <= ENDED_HISTOGRAMS_MAX)
		return;
	w->partial = true;
	histogram_drop(l, w);
}

int ledger_count_work(struct ledger *l, struct ledger_worker *w, const struct ledger_work *work,
		      const uint32_t *slots, bool last)
{
	w->work = last ? (struct ledger_work){} : *work;
	if (last)
		work_add(&w->work_past, work);
	w->partial |= work->wait.count && !slots;
	if (w->partial) {
		histogram_drop(l, w);
		return 0;
	}
	if (slots && !w->slots) {
		w->slots = calloc(1, sizeof(*w->slots));
		if (!w->slots)
			return -ENOMEM;
		l->ended_histograms += w->row.ended;
		limit_ended_histograms(l, w);
		if (w->partial)
			return 0;
	}
	for (unsigned i = 0; slots && i < WAIT_SLOTS; i++) {
		w->slots->sum.slots[i] +=
			slots[i] - w->slots->last[i]; /* subtracted in 32 bits, because the kernel's
							 counts wrap */
		w->slots->last[i] = last ? 0 : slots[i];
	}
	return 0;
}

size_t ledger_sockets(const struct ledger *l, struct ledger_socket *const **rows)
{
	*rows = l->sockets.list.rows;
	return l->sockets.list.count;
}

size_t ledger_workers(const struct ledger *l, struct ledger_worker *const **rows)
{
	*rows = l->workers.list.rows;
	return l->workers.list.count;
}

void ledger_end_socket(struct ledger *l, struct ledger_socket *s)
{
	if (s->row.ended)
		return;
	s->row.ended = true;
	s->row.waiting = 0;
	s->ended_at = ++l->ends;
	l->sockets.ended++;
}

void ledger_end_worker(struct ledger *l, struct ledger_worker *w)
{
	if (w->row.ended)
		return;
	w->row.ended = true;
	w->row.waits = false;
	if (!w->ended_ns || w->took_ns > w->ended_ns) /* otherwise it was revived only because of
							 connections that it had taken before */
		w->ended_ns = l->now_ns;
	w->ended_at = ++l->ends;
	l->workers.ended++;
	l->ended_histograms += w->slots != NULL;
	if (w->slots)
		limit_ended_histograms(l, w);
}

void ledger_revive_socket(struct ledger *l, struct ledger_socket *s)
{
	l->sockets.ended -= s->row.ended;
	s->row.ended = false;
	s->ended_at = 0;
}

void ledger_revive_worker(struct ledger *l, struct ledger_worker *w)
{
	l->workers.ended -= w->row.ended;
	l->ended_histograms -= w->row.ended && w->slots;
	w->kept = false;
	w->row.ended = false;
	w->ended_at = 0;
}

void ledger_forget(struct ledger *l)
{
	for (size_t i = l->workers.list.count; i-- > 0;) {
		const struct ledger_socket *s = ledger_find_socket(l, worker_at(l, i)->row.cookie);

		if (s && s->forgotten)
			worker_remove(l, i);
	}
	for (size_t i = l->sockets.list.count; i-- > 0;)
		if (socket_at(l, i)->forgotten)
			socket_remove(l, i);
}

static int holder_order(const struct holder_row *x, const struct holder_row *y)
{
	return x->cookie != y->cookie ? COMPARE(x->cookie, y->cookie) : COMPARE(x->pid, y->pid);
}

void ledger_hold(struct ledger *l, struct holder_row *rows, size_t count)
{
	size_t old = 0;

	/* A process that was once seen watching the socket stays one of its workers, because some
	 * take the socket out of their epoll while it is another worker's turn. */
	for (size_t i = 0; i < count; i++) {
		while (old < l->holder_count && holder_order(&l->holders[old], &rows[i]) < 0)
			old++;
		if (old < l->holder_count && !holder_order(&l->holders[old], &rows[i]))
			rows[i].polls |= l->holders[old].polls &&
					 l->holders[old].start_ns == rows[i].start_ns;
	}
	free(l->holders);
	l->holders = rows;
	l->holder_count = count;
}

/* ---- connected sockets ---- */

void ledger_describe_address(struct ledger_socket *s, int family, const uint8_t address[16])
{
	if (!s->row.connected)
		s->joins = 0;
	if (s->joins)
		return;
	s->family = family;
	memcpy(s->address, address, sizeof(s->address));
}

static int order_sockets(const void *a, const void *b)
{
	const struct ledger_socket *x = *(void *const *)a, *y = *(void *const *)b;
	int order = compare_endpoints(x, y);

	return order ? order : COMPARE(x->row.cookie, y->row.cookie);
}

static int find_endpoint(const void *row, const void *key)
{
	return compare_endpoints(*(void *const *)row, key);
}

/* Is there an unconnected socket on the port of `s`, bound to any address of that family? It gets
 * the datagrams that unknown peers send to the address of `s`. */
static bool any_address_has(const struct ledger *l, const struct ledger_socket *s, int family)
{
	struct ledger_socket any = *s;

	any.family = family;
	memset(any.address, 0, sizeof(any.address));
	for (size_t i = array_first(&l->sockets.list, sizeof(void *), &any, find_endpoint);
	     i < l->sockets.list.count; i++) {
		const struct ledger_socket *other = socket_at(l, i);

		if (compare_endpoints(other, &any))
			return false;
		if (!other->row.connected && (family == s->family || !other->row.v6only))
			return true;
	}
	return false;
}

/* The family of the any-address sockets with which an endpoint's connected sockets are shown; 0:
 * there are none. */
static int family_to_join(const struct ledger *l, const struct ledger_socket *s)
{
	if (any_address_has(l, s, s->family))
		return s->family;
	return s->family == AF_INET && any_address_has(l, s, AF_INET6) ? AF_INET6 : 0;
}

/*
 * When a UDP socket that is bound to any address is connected, it gets the local address of the
 * route to its peer (ip4_datagram_connect()). If no unconnected socket is bound to that address,
 * the connected socket is shown with the any-address sockets of its port, and stays there.
 */
static void connected_join(struct ledger *l)
{
	bool some = false;

	for (size_t i = 0; i < l->sockets.list.count && !some; i++) {
		const struct ledger_socket *s = socket_at(l, i);

		some = s->row.connected && !s->joins;
	}
	if (!some)
		return;
	rows_sort(&l->sockets, order_sockets);
	for (size_t first = 0, next; first < l->sockets.list.count; first = next) {
		struct ledger_socket *head = socket_at(l, first);
		bool all = true;

		for (next = first;
		     next < l->sockets.list.count && !compare_endpoints(socket_at(l, next), head);
		     next++)
			all &= socket_at(l, next)->row.connected;
		for (int family = all ? family_to_join(l, head) : 0; family && first < next;
		     first++)
			socket_at(l, first)->joins = family;
	}
	/* Addresses are changed only now, because the loop above relies on the order by address. */
	for (size_t i = 0; i < l->sockets.list.count; i++) {
		struct ledger_socket *s = socket_at(l, i);

		if (!s->joins)
			continue;
		s->family = s->joins;
		memset(s->address, 0, sizeof(s->address));
	}
}

/* ---- folding ---- */

static struct omitted *folded(struct ledger *l, const struct ledger_socket *s)
{
	struct folded key = { .key = { .protocol = s->protocol,
				       .family = s->family,
				       .port = s->port,
				       .netns = s->netns } },
		      *found;

	memcpy(key.key.address, s->address, sizeof(s->address));
	found = rows_find(&l->folded, &key);
	if (!found && l->folded.list.count >= FOLDED_MAX) {
		key = (struct folded){ .key = { .protocol = s->protocol, .family = AF_INET } };
		found = rows_find(&l->folded, &key);
	}
	if (!found)
		found = rows_add(&l->folded, &key, sizeof(key));
	return found ? &found->omitted : NULL;
}

/* Sort key of ended rows: the order in which they ended. Live rows (0) and kept rows come last. */
static uint64_t turn(uint64_t ended_at, bool kept)
{
	return (kept ? 0 : ended_at) - 1;
}

static int compare_ended_workers(const void *a, const void *b)
{
	const struct ledger_worker *x = *(void *const *)a, *y = *(void *const *)b;

	return COMPARE(turn(x->ended_at, x->kept), turn(y->ended_at, y->kept));
}

static int compare_ended_sockets(const void *a, const void *b)
{
	const struct ledger_socket *x = *(void *const *)a, *y = *(void *const *)b;

	return COMPARE(turn(x->ended_at, x->kept), turn(y->ended_at, y->kept));
}

/* Sorts the list and folds its first `count` rows. */
static int fold_workers(struct ledger *l, size_t count)
{
	rows_sort(&l->workers, compare_ended_workers);
	for (size_t i = count; i-- > 0;) {
		const struct ledger_worker *w = worker_at(l, i);
		struct ledger_socket *s = ledger_find_socket(l, w->row.cookie);
		struct omitted *o = s && !s->undecided ? folded(l, s) : NULL;

		if (s && !s->undecided && !o)
			return -ENOMEM;
		if (!s)
			l->orphaned += w->accepted + w->accepted_past;
		if (o) {
			const struct ledger_work work = all_work(w);
			struct worker_row row = {};

			add_counts(&row, w, &work);
			wait_add(&row.wait, &work.wait, NULL);
			omitted_add_worker(o, &row);
		}
		worker_remove(l, i);
	}
	return 0;
}

/* Folds a socket; its workers' rows must have been folded before. */
static int fold_socket(struct ledger *l, size_t i)
{
	struct ledger_socket *s = socket_at(l, i);
	struct omitted *o = s->undecided ? NULL : folded(l, s);
	const struct socket_row row = counted(s);

	if (!s->undecided && !o)
		return -ENOMEM;
	if (o)
		omitted_add_socket(o, &row);
	socket_remove(l, i);
	return 0;
}

static int fold_sockets(struct ledger *l, size_t count)
{
	size_t workers = 0;
	int err;

	rows_sort(&l->sockets, compare_ended_sockets);
	for (size_t i = 0; i < l->workers.list.count; i++) {
		struct ledger_worker *w = worker_at(l, i);
		const struct ledger_socket *s = ledger_find_socket(l, w->row.cookie);

		if (!s || !s->row.ended || s->kept ||
		    s->ended_at > socket_at(l, count - 1)->ended_at)
			continue;
		ledger_end_worker(l, w); /* on this socket */
		w->ended_at = 1;         /* before all others */
		workers++;
	}
	err = fold_workers(l, workers);
	for (size_t i = count; i-- > 0 && !err;)
		err = fold_socket(l, i);
	return err;
}

/* Notes which sockets have kept workers, and counts the kept workers and the ended ones among those
 * sockets. */
static void count_kept(struct ledger *l, size_t *sockets, size_t *workers)
{
	*sockets = *workers = 0;
	for (size_t i = 0; i < l->sockets.list.count; i++)
		socket_at(l, i)->kept = 0;
	for (size_t i = 0; i < l->workers.list.count; i++) {
		const struct ledger_worker *w = worker_at(l, i);
		struct ledger_socket *s = w->kept ? ledger_find_socket(l, w->row.cookie) : NULL;

		*workers += w->kept;
		if (s)
			*sockets += s->row.ended && !s->kept++;
	}
}

int ledger_trim(struct ledger *l)
{
	/* Rows are folded an eighth at a time, so that sorting is rare. */
	const size_t least = l->ended_max / 8 + 1;
	size_t sockets, workers;
	int err = 0;

	if (l->sockets.ended <= l->ended_max && l->workers.ended <= l->ended_max)
		return 0;
	connected_join(l); /* so that rows are folded into the endpoint that shows them */
	count_kept(l, &sockets, &workers);
	if (l->sockets.ended - sockets > l->ended_max)
		err = fold_sockets(l, l->sockets.ended - sockets - l->ended_max + least);
	if (!err && l->workers.ended - workers > l->ended_max)
		err = fold_workers(l, l->workers.ended - workers - l->ended_max + least);
	return err;
}

/* ---- the snapshot ---- */

static int order_workers(const void *a, const void *b)
{
	const struct ledger_worker *x = *(void *const *)a, *y = *(void *const *)b;

	if (x->row.cookie != y->row.cookie)
		return COMPARE(x->row.cookie, y->row.cookie);
	if (x->row.pid != y->row.pid)
		return COMPARE(x->row.pid, y->row.pid);
	if (x->row.tid != y->row.tid)
		return COMPARE(x->row.tid, y->row.tid);
	/* A row with start 0 (io_uring's kernel threads) comes last, so that it joins the thread's
	 * own row. */
	return COMPARE(y->row.start_ns, x->row.start_ns);
}

static int find_on_socket(const void *row, const void *cookie)
{
	return COMPARE((*(struct ledger_worker *const *)row)->row.cookie,
		       *(const uint64_t *)cookie);
}

/* The workers on a socket, as consecutive rows, and their number. The list must be sorted by
 * order_workers(). */
static struct ledger_worker *const *workers_of(const struct ledger *l, uint64_t cookie,
					       size_t *count)
{
	struct ledger_worker *const *rows = l->workers.list.rows;
	const size_t first = array_first(&l->workers.list, sizeof(*rows), &cookie, find_on_socket);

	*count = 0;
	while (first + *count < l->workers.list.count && rows[first + *count]->row.cookie == cookie)
		++*count;
	return *count ? rows + first : NULL;
}

/* The row's histogram in the endpoint's list, made if it has none. The list has room for it (see
 * count_histograms()). */
static struct wait_histogram *endpoint_histogram(struct endpoint *e, struct wait *wait)
{
	if (!wait->histogram)
		wait->histogram = ++e->histogram_count;
	return &e->histograms[wait->histogram - 1];
}

/*
 * Adds a thread's waits to its row or to that of its socket. Once waits without a histogram were
 * added, the sum has none; *complete remembers that.
 */
static void add_waits(struct endpoint *e, struct wait *to, const struct wait *wait,
		      const struct ledger_slots *slots, bool *complete)
{
	struct wait_histogram *histogram;

	*complete &= !wait->count || slots;
	if (slots && *complete) {
		histogram = endpoint_histogram(e, to);
		for (unsigned i = 0; i < WAIT_SLOTS; i++)
			histogram->slots[i] += slots->sum.slots[i];
	}
	to->count += wait->count;
	to->sum_ns += wait->sum_ns;
	to->max_ns = wait->max_ns > to->max_ns ? wait->max_ns : to->max_ns;
	if (!*complete)
		to->histogram = 0;
}

static uint64_t open_now(const struct ledger_work *work)
{
	const uint64_t left = work->moved + work->finished;

	return work->opened > left ? work->opened - left : 0; /* not read at the same time */
}

/* Fills how long the thread lived, and took nothing, in the window. */
static void add_life(const struct ledger *l, struct worker_row *row,
		     const struct ledger_worker *from)
{
	const uint64_t end = from->row.ended ? from->ended_ns : l->now_ns;
	const uint64_t begin = from->row.start_ns > l->began_ns ? from->row.start_ns : l->began_ns;
	const uint64_t took = from->took_ns > begin ? from->took_ns : begin;

	if (!l->began_ns || !end)
		return;
	row->lived_ns = growth(end, begin);
	row->quiet_ns = growth(end, took);
}

/* complete: whether the socket's histogram covers all its waits so far */
static void add_worker(const struct ledger *l, struct endpoint *e, struct socket_row *socket,
		       const struct ledger_worker *from, bool *complete)
{
	struct worker_row *row = e->worker_count ? &e->workers[e->worker_count - 1] : NULL;
	const struct ledger_work work = all_work(from);
	bool own_complete;

	if (from->row.start_ns || !row || row->cookie != from->row.cookie ||
	    row->pid != from->row.pid || row->tid != from->row.tid) {
		row = &e->workers[e->worker_count++];
		*row = from->row;
		row->wait_known = l->waits && e->protocol == PROTOCOL_TCP;
		row->open_known = l->serving && e->protocol == PROTOCOL_TCP;
		add_life(l, row, from);
	}
	row->open += open_now(&from->work);
	if (open_now(&from->work_past)) /* connections of a kernel row that was given back are no
					   longer followed */
		row->open_known = false;
	row->open_at_least |= work.unfollowed > 0;
	row->bytes_known = l->serving && e->protocol == PROTOCOL_TCP;
	row->bytes_at_least |= row->open_at_least || open_now(&from->work_past);
	add_counts(row, from, &work);
	own_complete = !row->wait.count || row->wait.histogram;
	add_waits(e, &row->wait, &work.wait, from->slots, &own_complete);
	socket->accepted += from->accepted + from->accepted_past;
	socket->queued_before += work.queued_before;
	socket->reset_queued += work.reset_queued;
	add_waits(e, &socket->wait, &work.wait, from->slots, complete);
}

static void endpoint_add_socket(const struct ledger *l, struct endpoint *e,
				const struct ledger_socket *from)
{
	struct socket_row *row = &e->sockets[e->socket_count++];
	struct ledger_worker *const *workers;
	bool complete = true;
	size_t count;

	*row = counted(from);
	row->wait_known = l->waits && e->protocol == PROTOCOL_TCP;
	workers = workers_of(l, row->cookie, &count);
	for (size_t i = 0; i < count; i++)
		add_worker(l, e, row, workers[i], &complete);
}

/*
 * Tells which threads can serve. As long as no thread was seen handing over a connection, these are
 * the threads that can accept; otherwise those that served. An idle thread that only gets
 * connections handed over is not known to us.
 */
static void fill_serving(const struct ledger *l, struct endpoint *e)
{
	bool hands_over = false, served = false, open = false;

	if (!l->serving || e->protocol != PROTOCOL_TCP)
		return;
	for (size_t i = 0; i < e->worker_count; i++) {
		hands_over |= e->workers[i].handed.count;
		served |= e->workers[i].served;
		open |= e->workers[i].open;
	}
	e->served_known = served;
	e->open_known = open;
	for (size_t i = 0; i < e->worker_count; i++) {
		struct worker_row *w = &e->workers[i];

		w->serves = hands_over ? w->served : w->can_accept;
		w->open_known |= !w->accepted && !w->served && !w->finished; /* an idle sibling */
	}
}

/* Counts the threads with a histogram, and their sockets. */
static size_t count_histograms(const struct ledger *l, struct ledger_socket *const *sockets,
			       size_t count)
{
	size_t histograms = 0;

	for (size_t i = 0; i < count; i++) {
		const size_t before = histograms;
		size_t n;
		struct ledger_worker *const *workers = workers_of(l, sockets[i]->row.cookie, &n);

		for (size_t w = 0; w < n; w++)
			histograms += workers[w]->slots != NULL;
		histograms += histograms > before;
	}
	return histograms;
}

struct holder_row *ledger_holders(const struct ledger *l, uint64_t cookie, size_t *count)
{
	size_t first;

	*count = holders_find(l->holders, l->holder_count, cookie, &first);
	return *count ? l->holders + first : NULL;
}

static int fill_holders(const struct ledger *l, struct endpoint *e)
{
	const struct holder_row *rows;
	size_t count, total = 0;

	for (size_t i = 0; i < e->socket_count; i++) {
		ledger_holders(l, e->sockets[i].cookie, &count);
		total += count;
	}
	if (!total)
		return 0;
	e->holders = calloc(total, sizeof(*e->holders));
	if (!e->holders)
		return -ENOMEM;
	for (size_t i = 0; i < e->socket_count; i++) {
		rows = ledger_holders(l, e->sockets[i].cookie, &count);
		if (count)
			memcpy(e->holders + e->holder_count, rows, count * sizeof(*rows));
		e->holder_count += count;
	}
	return 0;
}

static int fill_cpus(const struct ledger *l, struct endpoint *e,
		     struct ledger_socket *const *sockets, size_t count)
{
	uint64_t *by_cpu = calloc(l->cpus, sizeof(*by_cpu));
	bool any = false;

	for (size_t i = 0; i < count && by_cpu; i++)
		for (unsigned cpu = 0;
		     sockets[i]->by_cpu && !sockets[i]->undecided && cpu < l->cpus; cpu++) {
			by_cpu[cpu] += sockets[i]->by_cpu[cpu] + sockets[i]->by_cpu_past[cpu];
			any |= by_cpu[cpu];
		}
	e->cpus = any ? calloc(l->cpus, sizeof(*e->cpus)) : NULL;
	for (unsigned cpu = 0; e->cpus && cpu < l->cpus; cpu++)
		if (by_cpu[cpu])
			e->cpus[e->cpu_count++] = (struct cpu_row){ cpu, by_cpu[cpu] };
	free(by_cpu);
	return by_cpu && (e->cpus || !any) ? 0 : -ENOMEM;
}

/* Only the sockets of a reuseport group share flows, so other sockets have no sketch. */
static int fill_flows(struct endpoint *e, struct ledger_socket *const *sockets, size_t count)
{
	if (e->protocol != PROTOCOL_UDP || e->socket_count < 2)
		return 0;
	e->flows_estimated = true;
	e->sketches = calloc(e->socket_count, sizeof(*e->sketches));
	if (!e->sketches)
		return -ENOMEM;
	for (size_t i = 0, row = 0; i < count; i++) {
		if (sockets[i]->undecided)
			continue;
		if (sockets[i]->flows) {
			e->sketches[e->sketch_count++] = sockets[i]->flows->sum;
			e->sockets[row].sketch = e->sketch_count;
		}
		row++;
	}
	return 0;
}

/* Makes one endpoint out of its sockets, which are consecutive. */
static int fill_endpoint(const struct ledger *l, struct endpoint *e,
			 struct ledger_socket *const *sockets, size_t count)
{
	const struct ledger_socket *head = sockets[0];
	size_t workers = 0, of_socket;
	int err;

	*e = (struct endpoint){ .protocol = head->protocol,
				.family = head->family,
				.port = head->port,
				.netns = head->netns };
	memcpy(e->address, head->address, sizeof(e->address));
	for (size_t i = 0; i < count; i++) {
		workers_of(l, sockets[i]->row.cookie, &of_socket);
		workers += of_socket;
	}
	e->sockets = calloc(count, sizeof(*e->sockets));
	e->workers = calloc(workers + 1, sizeof(*e->workers));
	e->histograms = calloc(count_histograms(l, sockets, count) + 1, sizeof(*e->histograms));
	if (!e->sockets || !e->workers || !e->histograms)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		if (!sockets[i]->undecided)
			endpoint_add_socket(l, e, sockets[i]);
	err = fill_flows(e, sockets, count);
	err = err ? err : fill_holders(l, e);
	err = err ? err : endpoint_add_siblings(e);
	if (!err)
		fill_serving(l, e);
	return err ? err : fill_cpus(l, e, sockets, count);
}

static struct omitted omitted_of(const struct ledger *l, const struct ledger_socket *s)
{
	struct folded key = { .key = *s },
		      *found = l->folded.list.count ? rows_find(&l->folded, &key) : NULL;

	return found ? found->omitted : (struct omitted){};
}

static bool decided(struct ledger_socket *const *sockets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!sockets[i]->undecided)
			return true;
	return false;
}

static bool all_connected(struct ledger_socket *const *sockets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!sockets[i]->row.connected && !sockets[i]->undecided)
			return false;
	return true;
}

static bool has_events(const struct ledger *l, struct ledger_socket *const *sockets, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct ledger_socket *s = sockets[i];
		struct ledger_worker *const *workers;
		size_t n;

		if (s->by_cpu)
			return true;
		workers = workers_of(l, s->row.cookie, &n);
		for (size_t w = 0; w < n; w++)
			if (workers[w]->accepted || workers[w]->accepted_past)
				return true;
	}
	return omitted_of(l, sockets[0]).sockets || omitted_of(l, sockets[0]).workers;
}

static int compare_to_endpoint(const void *key, const void *element)
{
	const struct ledger_socket *x = key;
	const struct endpoint *e = element;
	struct ledger_socket y = {
		.protocol = e->protocol, .family = e->family, .port = e->port, .netns = e->netns
	};

	memcpy(y.address, e->address, sizeof(y.address));
	y.row.aside = e->socket_count ? e->sockets[0].aside : ASIDE_NOT;
	return compare_endpoints(x, &y);
}

/* Adds folded sums to their endpoint, which is made if nothing else is left of it. */
static void add_folded(const struct ledger *l, struct snapshot *s)
{
	const size_t sorted = s->endpoint_count;

	for (size_t i = 0; i < l->folded.list.count; i++) {
		const struct folded *f = row_at(&l->folded, i);
		struct endpoint *e = sorted ? bsearch(&f->key, s->endpoints, sorted, sizeof(*e),
						      compare_to_endpoint)
					    : NULL;

		if (!e) {
			e = &s->endpoints[s->endpoint_count++];
			*e = (struct endpoint){ .protocol = f->key.protocol,
						.family = f->key.family,
						.port = f->key.port,
						.netns = f->key.netns };
			memcpy(e->address, f->key.address, sizeof(e->address));
		}
		e->omitted = f->omitted;
	}
}

static uint64_t orphans(const struct ledger *l)
{
	uint64_t events = l->orphaned;

	for (size_t i = 0; i < l->workers.list.count; i++) {
		const struct ledger_worker *w = worker_at(l, i);

		if (!ledger_find_socket(l, w->row.cookie))
			events += w->accepted + w->accepted_past;
	}
	return events;
}

static int fill_handshakes(const struct ledger *l, struct snapshot *s)
{
	const struct handshake_set *set = &l->handshakes;

	s->handshakes = calloc(set->count + 1, sizeof(*s->handshakes));
	if (!s->handshakes)
		return -ENOMEM;
	if (set->count)
		memcpy(s->handshakes, set->rows, set->count * sizeof(*set->rows));
	s->handshake_count = set->count;
	handshakes_fill(s);
	return 0;
}

int ledger_snapshot(struct ledger *l, struct snapshot *s, bool all, uint64_t *orphaned)
{
	struct ledger_socket *const *sockets = l->sockets.list.rows;
	size_t endpoints = 0;
	int err = 0;

	connected_join(l);
	rows_sort(&l->sockets, order_sockets);
	rows_sort(&l->workers, order_workers);
	for (size_t i = 0; i < l->sockets.list.count; i++)
		endpoints += !i || compare_endpoints(sockets[i - 1], sockets[i]);
	s->endpoints = calloc(endpoints + l->folded.list.count + 1, sizeof(*s->endpoints));
	if (!s->endpoints)
		return -ENOMEM;
	for (size_t first = 0, next; first < l->sockets.list.count && !err; first = next) {
		for (next = first + 1; next < l->sockets.list.count &&
				       !compare_endpoints(sockets[first], sockets[next]);
		     next++)
			;
		if (!decided(sockets + first, next - first))
			continue;
		if (!all && !has_events(l, sockets + first, next - first))
			++*(all_connected(sockets + first, next - first) ? &s->quiet_clients
									 : &s->quiet);
		else
			err = fill_endpoint(l, &s->endpoints[s->endpoint_count++], sockets + first,
					    next - first);
	}
	err = err ? err : fill_handshakes(l, s);
	if (!err)
		add_folded(l, s);
	*orphaned = orphans(l);
	return err;
}
