/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Gives rows of the kernel's tables back, in two steps with a grace period between them: unlink
 * the rows, wait for running programs, then enter their last counts into the ledger and free them.
 */
#include "observer_parts.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "process.h"

/*
 * User space may take a row back only when no program counts in it any more. So the row's key is
 * removed, so that no program finds the row, and its generation goes up, so that a thread that
 * remembers the row lets go of it. A program that had found the row before may still be counting;
 * after a grace period of the kernel's readers none is.
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

/* Hints go on leading to the row, so the row itself must turn them away. */
static void socket_unlink(struct observer *o, __u32 i)
{
	__atomic_or_fetch(&o->sockets[i].flags, COUNT_UNLINKED, __ATOMIC_SEQ_CST);
	bpf_map_delete_elem(bpf_map__fd(o->bpf->maps.socket_by_cookie), &o->sockets[i].cookie);
}

/*
 * Rows are unlinked: waits until no program uses them. A CPU may have remembered a socket's row
 * just before it was unlinked, so these are forgotten once no program can find one any more.
 */
static int rows_await(struct observer *o, bool sockets)
{
	int err = observer_await_readers(o);

	if (err || !sockets)
		return err;
	__atomic_add_fetch(&o->bpf->bss->count_unlinked, 1, __ATOMIC_SEQ_CST);
	return observer_await_readers(o);
}

void observer_socket_decided(struct observer *o, __u32 i)
{
	if (o->sockets[i].used == COUNT_UNDECIDED)
		__atomic_sub_fetch(&o->bpf->bss->count_undecided, 1, __ATOMIC_SEQ_CST);
	o->sockets[i].used = 1;
}

/* cell: the cell of the owner of the row, see shares.h. */
static void share_return(struct observer *o, enum count_pool pool, __u32 cell)
{
	__atomic_sub_fetch(&o->bpf->bss->count_used[pool], 1, __ATOMIC_SEQ_CST);
	if (cell != COUNT_SHARE_EXEMPT)
		__atomic_sub_fetch(&o->bpf->bss->count_shares[cell], 1, __ATOMIC_SEQ_CST);
}

/* of: the row that had the histogram. */
static void histogram_free(struct observer *o, const struct count_worker *of)
{
	const __u32 i = of->wait.histogram - 1;

	share_return(o, COUNT_POOL_HISTOGRAMS, of->histogram_share);
	memset(&o->histograms[i], 0, sizeof(o->histograms[i]));
	bpf_map_update_elem(bpf_map__fd(o->bpf->maps.free_histograms), NULL, &i, BPF_ANY);
}

/*
 * The generation goes up a second time: a thread that had found the row before may have remembered
 * it just after it was unlinked.
 */
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

/* of: the row that had the sketch. */
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
	observer_socket_decided(o, i);
	if (o->sockets[i].sketch)
		sketch_free(o, &o->sockets[i]);
	share_return(o, COUNT_POOL_SOCKETS,
		     share_of_user(COUNT_POOL_SOCKETS, o->sockets[i].uid,
				   o->bpf->rodata->config.share_seed));
	memset(&o->sockets[i], 0, sizeof(o->sockets[i]));
	for (unsigned cpu = 0; cpu < o->cpus; cpu++)
		*observer_arrival(o, i, cpu) = (struct count_arrival){};
	bpf_map_update_elem(bpf_map__fd(o->bpf->maps.free_sockets), NULL, &i, BPF_ANY);
}

static size_t workers_used(const struct observer *o)
{
	return __atomic_load_n(&o->bpf->bss->count_used[COUNT_POOL_WORKERS], __ATOMIC_ACQUIRE);
}

static size_t sockets_used(const struct observer *o)
{
	return __atomic_load_n(&o->bpf->bss->count_used[COUNT_POOL_SOCKETS], __ATOMIC_ACQUIRE);
}

/*
 * Is there so little room for new rows of threads that rows of ended threads can't be kept? A user
 * who is alone gets three quarters: see shares.h.
 */
static bool rows_short(const struct observer *o, size_t used)
{
	return used > o->workers_max * 5 / 8 ||
	       o->bpf->bss->count_servers > COUNT_SERVERS_MAX / 4 * 3;
}

/*
 * Should the row of an ended thread be kept? A process that still holds the thread's connections
 * may close them later, so the row waits for that if there is room.
 */
static bool keeps(const struct observer *o, __u32 i, const struct ledger_worker *w, size_t used)
{
	const struct ledger_socket *s = ledger_find_socket(o->ledger, w->row.cookie);

	return s && !s->undecided && observer_open_of(o, i) && !rows_short(o, used);
}

/* The rows that are to be given back, by index. */
struct ending {
	__u32 *workers, *sockets;
	size_t worker_count, socket_count;
};

/*
 * Finds the rows to give back: rows read in this scan whose thread or socket the scan found ended,
 * and all rows of sockets that are not asked for. A row made since the scan is in no list of
 * living sockets and threads, and not in the ledger.
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
		if (cookies_have(&o->unwanted, row->cookie) ||
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
		    ((s && s->row.ended) || cookies_have(&o->unwanted, o->sockets[i].cookie)))
			e->sockets[e->socket_count++] = i;
	}
}

/*
 * Notes the connections that are still open when their row is given back as lost, because nothing
 * will report their end. Connections of sockets that are not asked for do not matter.
 */
static int open_forget(struct observer *o, __u32 i)
{
	const uint64_t cookie = o->workers[i].cookie, open = observer_open_of(o, i);
	const struct ledger_socket *s = open ? ledger_find_socket(o->ledger, cookie) : NULL;

	if (!s || s->undecided || cookies_have(&o->unwanted, cookie))
		return 0;
	return lost_list_note(&o->unattributed, socket_events(s, open, LOST_SERVED | LOST_OPEN));
}

static int ending_give_back(struct observer *o, const struct ending *e)
{
	int err = 0;

	for (size_t i = 0; i < e->worker_count; i++)
		worker_unlink(o, e->workers[i]);
	for (size_t i = 0; i < e->socket_count; i++)
		socket_unlink(o, e->sockets[i]);
	if (e->worker_count || e->socket_count)
		err = rows_await(o, e->socket_count);
	for (size_t i = 0; i < e->worker_count && !err; i++) {
		err = observer_enter_worker(o, &o->workers[e->workers[i]], true);
		if (!err)
			err = open_forget(o, e->workers[i]);
		worker_free(o, e->workers[i]);
	}
	for (size_t i = 0; i < e->socket_count && !err; i++) {
		struct ledger_socket *s =
			observer_enter_socket(o, &o->sockets[e->sockets[i]], true);

		if (s)
			s->forgotten = cookies_have(&o->unwanted, s->row.cookie);
		else
			err = -ENOMEM;
		socket_free(o, e->sockets[i]);
	}
	return err;
}

int observer_give_back_ended(struct observer *o)
{
	struct ending e = { .workers = calloc(COUNT_WORKERS_MAX, sizeof(*e.workers)),
			    .sockets = calloc(o->sockets_max, sizeof(*e.sockets)) };
	int err = e.workers && e.sockets ? 0 : -ENOMEM;

	if (!err) {
		ending_find(o, &e);
		err = ending_give_back(o, &e);
	}
	free(e.workers);
	free(e.sockets);
	return err;
}

void observer_give_back_all(struct observer *o)
{
	for (__u32 i = 0; i < COUNT_WORKERS_MAX; i++)
		if (o->workers[i].used)
			worker_unlink(o, i);
	for (__u32 i = 0; i < o->sockets_max; i++)
		if (o->sockets[i].used)
			socket_unlink(o, i);
	rows_await(o, true);
	for (__u32 i = 0; i < COUNT_WORKERS_MAX; i++)
		if (o->workers[i].used)
			worker_free(o, i);
	for (__u32 i = 0; i < o->sockets_max; i++)
		if (o->sockets[i].used)
			socket_free(o, i);
}

/*
 * Finds rows of threads that are gone. As in keeps(), a row with open connections waits for their
 * end if there is room. io_uring's kernel threads (start 0) count for an owner, so their rows
 * stay.
 */
static void dead_find(const struct observer *o, struct ending *e, size_t used)
{
	for (__u32 i = 0; i < COUNT_WORKERS_MAX; i++) {
		const struct count_worker *row = &o->workers[i];

		if (!__atomic_load_n(&row->used, __ATOMIC_ACQUIRE) || !row->start_ns ||
		    (observer_open_of(o, i) && !rows_short(o, used)))
			continue;
		if (process_thread_gone(row->pid, row->tid))
			e->workers[e->worker_count++] = i;
	}
}

/* The thread has ended; its counts are read once more when its row is given back. */
static int gone_end(struct observer *o, const struct ending *e)
{
	for (size_t i = 0; i < e->worker_count; i++) {
		const struct count_worker *row = &o->workers[e->workers[i]];
		int err = observer_enter_worker(o, row, false);

		if (err)
			return err;
		ledger_end_worker(o->ledger, ledger_find_worker(o->ledger, row->cookie, row->tid,
								row->start_ns));
	}
	return 0;
}

/* Whether a socket is closed shows in a look alone. */
static int sockets_relieve(struct observer *o)
{
	const size_t max = o->bpf->rodata->config.pool_max[COUNT_POOL_SOCKETS];
	size_t used = sockets_used(o);
	int err;

	if (used < max / 2 || used < o->look_at)
		return 0;
	err = observer_scan(o);
	/* Those that are left are open: the next look waits until some more rows are used. */
	used = sockets_used(o);
	o->look_at = used + (max < 16 ? 1 : max / 16);
	return err;
}

int observer_relieve(struct observer *o)
{
	const size_t used = workers_used(o);
	struct ending e = {};
	int err;

	if (!o->relieve_at)
		o->relieve_at = o->workers_max / 2;
	if (!o->inventory)
		return 0;
	err = sockets_relieve(o);
	if (err || used < o->relieve_at)
		return err;
	e.workers = calloc(COUNT_WORKERS_MAX, sizeof(*e.workers));
	if (!e.workers)
		return -ENOMEM;
	dead_find(o, &e, used);
	err = gone_end(o, &e);
	if (!err)
		err = ending_give_back(o, &e);
	/*
	 * The rows that are left belong to living threads, so the next check waits until some more
	 * rows are used.
	 */
	o->relieve_at = used - e.worker_count + o->workers_max / 16;
	if (o->relieve_at < o->workers_max / 2)
		o->relieve_at = o->workers_max / 2;
	free(e.workers);
	return err ? err : ledger_trim(o->ledger);
}
