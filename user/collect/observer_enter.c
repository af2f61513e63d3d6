/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copies the counts of the kernel's rows into the ledger, first all rows of threads, then all rows
 * of sockets. A row's counts replace those read before, and become part of the past when the row
 * is given back.
 */
#include "observer_parts.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

_Static_assert(COUNT_SKETCH_BUCKETS == FLOW_BUCKETS, "layout");

/* Reads the fields in the order that arrivals_sum() needs. */
static void arrivals_read(struct observer *o, const struct count_socket *from)
{
	const size_t socket = from - o->sockets;
	struct arrivals_cpu *to = o->by_cpu;

	for (unsigned cpu = 0; cpu < o->cpus; cpu++)
		to[cpu].dropped_late = __atomic_load_n(
			&observer_arrival(o, socket, cpu)->dropped_late, __ATOMIC_ACQUIRE);
	for (unsigned cpu = 0; cpu < o->cpus; cpu++) {
		const struct count_arrival *a = observer_arrival(o, socket, cpu);

		to[cpu].arrived = o->arrived_by_cpu[cpu] =
			__atomic_load_n(&a->arrived, __ATOMIC_ACQUIRE);
		to[cpu].dropped = a->dropped;
		to[cpu].queue_highest = from->protocol == IPPROTO_TCP ? a->queue_highest : 0;
		to[cpu].copies = from->protocol == IPPROTO_UDP ? a->copies : 0;
		to[cpu].several = a->several;
	}
}

/*
 * Reads the elected peer. A new peer is elected only when there are no votes left, so a peer that
 * had votes before and after it was read is complete. The votes are read before the bucket's
 * count, so they can't exceed it.
 */
static struct flow_peer flow_peer_read(const struct count_sketch *from)
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

/* last: the row is being given back. */
static int socket_count(struct observer *o, const struct count_socket *from,
			struct ledger_socket *to, bool last)
{
	struct ledger_closings closings;
	struct flow_peer peer;
	struct arrivals sum;
	int err;

	arrivals_read(o, from);
	sum = arrivals_sum(o->by_cpu, o->cpus);
	err = lost_list_note(last ? &o->unseen_past : &o->unseen,
			     socket_events(to, sum.unseen, LOST_ARRIVED));
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
	err = ledger_count_socket(o->ledger, to, sum.arrived, sum.dropped, o->arrived_by_cpu, last);
	if (err || !from->sketch)
		return err;
	peer = flow_peer_read(&o->sketches[from->sketch - 1]);
	return ledger_count_flows(to, o->sketches[from->sketch - 1].buckets, &peer, last);
}

void observer_begin_highest(struct observer *o)
{
	struct ledger_socket *const *rows;
	const size_t count = ledger_sockets(o->ledger, &rows);

	for (size_t i = 0; i < count; i++)
		rows[i]->row.queue_highest = 0;
	for (size_t i = 0; i < o->sockets_max; i++)
		for (unsigned cpu = 0; o->sockets[i].used && cpu < o->cpus; cpu++)
			if (o->sockets[i].protocol == IPPROTO_TCP)
				observer_arrival(o, i, cpu)->queue_highest = 0;
}

/* Enters what the counting programs know of the socket; an inventory would know better. */
static struct ledger_socket *entered_socket(struct observer *o, const struct count_socket *from)
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

struct ledger_socket *observer_enter_socket(struct observer *o, const struct count_socket *from,
					    bool last)
{
	struct ledger_socket *s = entered_socket(o, from);

	return s && !socket_count(o, from, s, last) ? s : NULL;
}

/* Enters what was counted beside the row: waits, and the connections that the thread served. */
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

int observer_enter_worker(struct observer *o, const struct count_worker *from, bool last)
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
	/*
	 * If the row of an ended thread was kept, it shows nothing new about the thread unless it
	 * goes on counting.
	 */
	if (!last && (!w->kept || w->accepted != from->events + from->events_atomic))
		ledger_revive_worker(o->ledger, w);
	if (w->accepted != from->events + from->events_atomic)
		w->took_ns = o->read_ns;
	ledger_count_worker(w, from->events + from->events_atomic, last);
	return work_count(o, from - o->workers, w, last);
}

/*
 * Workers come first, because the kernel makes the socket's row before it counts a thread's first
 * event on the socket. In the other order, a socket made during the read would leave its thread's
 * events without a socket (reported as lost until the next read), and more events accepted than
 * arrived.
 */
int observer_enter_rows(struct observer *o)
{
	struct timespec now;
	int err = 0;

	clock_gettime(CLOCK_BOOTTIME, &now);
	o->read_ns = now.tv_sec * 1000000000ull + now.tv_nsec;
	ledger_clock(o->ledger, o->started_ns, o->read_ns);
	o->unseen.count = 0;
	memset(o->entered_workers, 0, COUNT_WORKERS_MAX * sizeof(*o->entered_workers));
	memset(o->entered_sockets, 0, o->sockets_max * sizeof(*o->entered_sockets));
	for (size_t i = 0; i < COUNT_WORKERS_MAX && !err; i++) {
		o->entered_workers[i] = o->workers[i].used;
		if (o->entered_workers[i])
			err = observer_enter_worker(o, &o->workers[i], false);
	}
	for (size_t i = 0; i < o->sockets_max && !err; i++) {
		struct ledger_socket *s;

		if (!o->sockets[i].used)
			continue;
		s = observer_enter_socket(o, &o->sockets[i], false);
		o->entered_sockets[i] = s;
		if (s)
			ledger_revive_socket(o->ledger, s);
		else
			err = -ENOMEM;
	}
	return err;
}
