/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Measures an accepted connection: how long it was in the accept queue, which thread reads from it
 * first and so serves it, and when it ends.
 */
#ifndef SOCKFAIR_SERVE_BPF_H
#define SOCKFAIR_SERVE_BPF_H

#include "bytes.bpf.h"
#include "rows.bpf.h"
#include "steer.bpf.h"

/* ---- how long an accepted connection waited ---- */

static __always_inline struct count_histogram *row_histogram(struct count_worker *row)
{
	struct count_wait *wait = &row->wait;
	__u32 index, share;

	if (!wait->histogram) {
		/*
		 * A row takes its histogram at its first wait or never: a histogram of some of the
		 * waits would pass for one of all.
		 */
		if (wait->count)
			return NULL;
		share = share_of_port(row->netns, row->port, config.share_seed);
		if (!share_left(COUNT_POOL_HISTOGRAMS, share) ||
		    bpf_map_pop_elem(&free_histograms, &index))
			return NULL;
		if (wait->histogram) { /* two kernel threads of one owner may take one at the same
					  time */
			bpf_map_push_elem(&free_histograms, &index, 0);
		} else {
			wait->histogram = index + 1;
			row->histogram_share = share;
			share_add(COUNT_POOL_HISTOGRAMS, share);
		}
	}
	index = wait->histogram - 1;
	return bpf_map_lookup_elem(&histograms, &index);
}

static __always_inline void wait_count(struct count_worker *row, __u64 us, const bool atomic)
{
	struct count_histogram *h = row_histogram(row);
	struct count_wait *wait = &row->wait;
	__u32 slot = wait_slot(us);

	/*
	 * The verifier does not know the range that the compiler derives, so it must see the
	 * check.
	 */
	barrier_var(slot);
	if (us > wait->max_us)
		wait->max_us = us > 0xffffffff ? 0xffffffff : us;
	if (atomic) {
		__sync_fetch_and_add(&wait->count, 1);
		__sync_fetch_and_add(&wait->sum_us, us);
		if (slot < WAIT_SLOTS && h)
			__sync_fetch_and_add(&h->slots[slot], 1);
		return;
	}
	wait->count++;
	wait->sum_us += us;
	if (slot < WAIT_SLOTS && h)
		h->slots[slot]++;
}

/*
 * Returns when the connection entered the accept queue, in us of CLOCK_MONOTONIC; 0: just now. The
 * kernel keeps that time itself: it sets rcvq_space.time when a connection is established
 * (tcp_init_buffer_space(); the same from 5.10 to 7.3), in the softirq that puts the connection
 * into the queue and a moment after doing so (before, for Fast Open). Only the first read sets it
 * again. So the programs need not remember anything per connection, and a connection that was
 * queued before the programs were attached has its time too. A connection that is accepted within
 * that moment has no time yet.
 */
static __always_inline __u64 queued_us(struct sock *child)
{
	struct tcp_sock *tp = TYPED(child, struct tcp_sock);

	return READ(tp, rcvq_space.time);
}

/*
 * Returns ns / 1000. Below 2^32 a multiplication gives the exact result without the processor's
 * slow division.
 */
static __always_inline __u64 microseconds(__u64 ns)
{
	return ns >> 32 ? ns / 1000 : ns * 0x10624dd3 >> 38;
}

static __always_inline void wait_measure(const struct counting_worker *w, struct sock *child,
					 __u64 now_ns)
{
	struct count_wait *wait = &w->row->wait;
	__u64 queued = queued_us(child), queued_ns = queued * 1000;

	if (READ(child, __sk_common.skc_state) == TCP_CLOSE)
		__sync_fetch_and_add(&wait->reset, 1);
	if (queued && queued < count_started_us)
		__sync_fetch_and_add(&wait->before, 1);
	else
		wait_count(w->row,
			   queued && now_ns > queued_ns ? microseconds(now_ns - queued_ns) : 0,
			   w->owner);
}

/* ---- who serves a connection ---- */

static __always_inline struct count_serve *serve_of(__u32 worker, __u32 generation)
{
	struct count_worker *row = bpf_map_lookup_elem(&workers, &worker);

	/* The row was given back because its thread or its listener has ended. */
	if (!row || row->generation != generation)
		return NULL;
	return bpf_map_lookup_elem(&serves, &worker);
}

/*
 * The connection is no longer open: its server closed or half closed it, or it was reset. With
 * `again` no other program will report this end. sk is NULL if another connection has the address
 * by now. For `closing` see bytes_of().
 */
static __always_inline void connection_closed(__u64 child, struct sock *sk, const bool closing,
					      const bool again)
{
	struct count_connection c;
	struct count_bytes carried;
	struct count_serve *serve;
	long err = connection_remove(child, &c);

	if (err) {
		/* If this CPU is just changing the hash, a later program tries again. */
		if (err == -ENOENT && sk)
			older_closed(sk, closing);
		else if (err != -ENOENT && again)
			__sync_fetch_and_add(&count_ends_busy, 1);
		return;
	}
	steer_closed(c.cookie, c.steered);
	serve = serve_of(c.worker, c.generation);
	if (!serve)
		return;
	/* Add the bytes before counting the connection as closed: see bytes.c. */
	if (sk) {
		carried = bytes_of(sk, closing);
		__sync_fetch_and_add(&serve->carried.received, carried.received);
		__sync_fetch_and_add(&serve->carried.sent, carried.sent);
	}
	__sync_fetch_and_add(&serve->closed_ns, bpf_ktime_get_ns() - c.accepted_ns);
	__sync_fetch_and_add(&serve->closed, 1);
}

static __always_inline void connection_accepted(const struct counting_worker *w, __u64 cookie,
						struct sock *child, __u64 now_ns)
{
	struct count_connection c = { .cookie = cookie,
				      .accepted_ns = now_ns,
				      .worker = w->index,
				      .generation = w->row->generation,
				      .tid = w->row->tid };
	struct count_serve *serve = bpf_map_lookup_elem(&serves, &w->index);
	__u64 key = (__u64)child;
	long err;

	if (!serve || READ(child, __sk_common.skc_state) == TCP_CLOSE)
		return;
	c.steered = steer_opened(cookie);
	err = connection_put(key, &c);
	if (err == -EEXIST) {
		connection_closed(key, NULL, false, true); /* an entry whose end was not seen */
		err = connection_put(key, &c);
	}
	if (err) {
		steer_closed(cookie, c.steered);
		__sync_fetch_and_add(&w->row->unfollowed, 1);
		lost_of(COUNT_LOST_CONNECTIONS_FULL, 1, child);
		return;
	}
	__sync_fetch_and_add(&serve->opened, 1);

	/* The connection was reset meanwhile, and no later event would report that. */
	if (READ(child, __sk_common.skc_state) == TCP_CLOSE)
		connection_closed(key, child, false, true);
}

static __always_inline bool is_current(const struct count_worker *row)
{
	struct task_struct *task = current_task();

	return row->tid == (__u32)bpf_get_current_pid_tgid() &&
	       row->start_ns == READ(task, start_boottime);
}

/*
 * The thread that reads first from a connection does not match the row that has the connection.
 * Either it is another thread, which takes the connection over from now on, or it is the same
 * thread with another row: io_uring's kernel threads have a row of their own, and rows are given
 * back. `view` is the connection, TYPED.
 */
static __always_inline void connection_handed(struct sock *view, struct count_connection *c,
					      struct count_serve *from)
{
	__u64 delay = bpf_ktime_get_ns() - c->accepted_ns;
	struct count_serve *serve;
	struct counting_worker w;

	if (!worker_get(&w, NULL, view, c->cookie, 1, true))
		return;
	serve = bpf_map_lookup_elem(&serves, &w.index);
	if (!serve)
		return;
	__sync_fetch_and_add(&serve->served, 1);
	if (w.row->tid != c->tid) {
		__sync_fetch_and_add(&serve->handed, 1);
		__sync_fetch_and_add(&serve->handed_ns, delay);
		if (delay > serve->handed_max_ns)
			serve->handed_max_ns = delay;
	}
	__sync_fetch_and_add(&serve->opened, 1);
	if (from)
		__sync_fetch_and_add(&from->moved, 1);
	c->worker = w.index;
	c->generation = w.row->generation;
}

/* The current thread reads from a connection and holds its lock. */
static __always_inline void connection_read(struct sock *sk, const bool trusted)
{
	struct sock *view = SOCK(sk, trusted);
	struct tcp_sock *tp = TYPED(sk, struct tcp_sock);
	struct count_connection *c;
	struct count_worker *row;
	struct count_serve *serve;
	__u64 key = (__u64)sk;
	__u32 worker;

	if (!count_on || !port_wanted(view))
		return;
	c = connection_find(key);
	/*
	 * A peek takes no data, nor does a splice that finds none, so neither makes the thread the
	 * server. A read in softirq (sockmap) is not the work of a thread.
	 */
	if (!c || c->served || READ(tp, copied_seq) == READ(tp, rcvq_space.seq) ||
	    !READ(view, sk_lock.owned))
		return;
	c->served = 1;
	worker = c->worker;
	row = bpf_map_lookup_elem(&workers, &worker);
	serve = row && row->generation == c->generation ? bpf_map_lookup_elem(&serves, &worker)
							: NULL;
	if (serve && is_current(row))
		__sync_fetch_and_add(&serve->served, 1);
	else
		connection_handed(view, c, serve);
}

/* ---- connections that are still open, for user space ---- */

/* Returns false if the connection is not followed. */
static __always_inline bool open_describe(struct count_open *record, __u64 key)
{
	struct count_connection *c = connection_find(key);
	struct count_older *o = c || !count_older ? NULL : bpf_map_lookup_elem(&older, &key);

	record->sk = key;
	if (c) {
		record->accepted_ns = c->accepted_ns;
		record->row = c->worker;
		record->generation = c->generation;
		record->served = c->served;
	} else if (o) {
		record->older = 1;
		record->row = o->owner;
		record->before = o->before;
		record->expected = o->identity;
	}
	return c || o;
}

/*
 * Walks the descriptors that lead to connections, so that each connection exists while it is read.
 * A connection that several processes hold is written once for each.
 */
SEC("?iter/task_file")
int read_open(struct bpf_iter__task_file *ctx)
{
	struct count_open record = {};
	struct file *file = ctx->file;
	struct sock *sk, *view;

	if (!ctx->task || !file)
		return 0;
	sk = socket_of_file(file);
	if (!sk)
		return 0;
	view = TYPED(sk, struct sock);
	record.state = READ(view, __sk_common.skc_state);
	record.family = READ(view, __sk_common.skc_family);
	if (READ(view, sk_protocol) != IPPROTO_TCP ||
	    (record.family != AF_INET && record.family != AF_INET6) ||
	    !open_describe(&record, (__u64)sk))
		return 0;
	if (record.state != TCP_ESTABLISHED && record.state != TCP_CLOSE_WAIT) {
		/* The program for its end was skipped: see state_changed(). */
		if (count_on && !is_open(record.state))
			connection_closed((__u64)sk, sk, false, false);
		return 0;
	}
	record.bytes = bytes_of(sk, false);
	record.identity = identity_of(view);
	record.peer_port = bpf_ntohs(READ(view, __sk_common.skc_dport));
	peer_address_read(record.peer, sk, record.family);
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

/* ---- at accept() ---- */

/*
 * sk is the listener; it may be NULL if `child` is known. `child` is the TCP connection, TYPED; it
 * is NULL if it is not known, because io_uring put it into a table of its own or another thread
 * has closed it already. With `of_mptcp` it is a subflow of an MPTCP connection, which is not
 * followed: MPTCP's reads do not go through tcp_rcv_space_adjust(), and the connection outlives its
 * subflows.
 */
static __always_inline void accept_measure(const struct counting_worker *w, __u64 cookie,
					   struct sock *sk, struct sock *child, bool of_mptcp,
					   __u64 now_ns)
{
	if (!config.waits && !config.serves)
		return;
	if (!child) {
		if (config.serves)
			__sync_fetch_and_add(&w->row->unfollowed, 1);
		lost_of(COUNT_LOST_CONNECTION_UNKNOWN, 1, sk);
		return;
	}
	if (config.waits)
		wait_measure(w, child, now_ns);
	if (config.serves && of_mptcp) {
		__sync_fetch_and_add(&w->row->unfollowed, 1);
		lost_of(COUNT_LOST_MPTCP_UNFOLLOWED, 1, child);
	} else if (config.serves)
		connection_accepted(w, cookie, child, now_ns);
}

/*
 * The time of an accept. Callers read it before all else: reading the clock waits for every load
 * that is under way (lfence), and the cache misses that follow should be free to overlap.
 */
static __always_inline __u64 accept_time(void)
{
	return config.waits || config.serves ? bpf_ktime_get_ns() : 0;
}

/* The current thread accepted `child` from the socket. One of sk and `child` may be NULL. */
static __always_inline void worker_accepted(struct sock *sk, __u64 cookie, struct sock *child,
					    bool of_mptcp, __u64 now_ns)
{
	struct counting_worker w;

	steer_accepted(cookie);
	if (!worker_get(&w, sk, sk ? sk : child, cookie, 1, false))
		return;
	events_add(&w, 1);
	accept_measure(&w, cookie, sk, child, of_mptcp, now_ns);
}

#endif
