/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counts TCP connections as they enter the accept queue and as threads take them from it, and
 * follows what happens to listeners and to the connections in their queues when they close.
 */
#ifndef SOCKFAIR_TCP_BPF_H
#define SOCKFAIR_TCP_BPF_H

#include "serve.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, COUNT_CHILDREN);
	__type(key, __u32);
	__type(value, struct count_child);
} children SEC(".maps");

/*
 * The TCP code does not work on an MPTCP server's own socket: inet_csk_accept() and the accept
 * queue belong to the first subflow. Returns the server's socket of a subflow, or NULL if sk is no
 * subflow and the server holds sk itself. sk is TYPED.
 */
static __always_inline struct sock *mptcp_owner(struct sock *sk)
{
	struct inet_connection_sock *icsk = TYPED(sk, struct inet_connection_sock);
	struct tcp_sock *tp = TYPED(sk, struct tcp_sock);
	struct mptcp_subflow_context *subflow;
	struct sock *owner;

	if (!bpf_core_type_exists(struct mptcp_sock) || READ(sk, sk_protocol) != IPPROTO_TCP ||
	    !READ(tp, is_mptcp)) /* CONFIG_MPTCP */
		return NULL;
	subflow = READ(icsk, icsk_ulp_data);
	subflow = TYPED(subflow, struct mptcp_subflow_context);
	owner = READ(subflow, conn);
	return TYPED(owner, struct sock);
}

/*
 * Returns the place that remembers a connection between arrival and accept. The index comes from
 * the remote port and address, because the verifier allows no arithmetic on the pointer itself.
 * Connections of one client never share a place while their ports lie within 32,768 of each other;
 * connections of different clients may, and then the later arrival takes the place.
 */
static __always_inline struct count_child *child_slot(struct sock *untyped)
{
	struct sock *child = TYPED(untyped, struct sock);
	__u32 port = bpf_ntohs(READ(child, __sk_common.skc_dport)),
	      address = READ(child, __sk_common.skc_daddr);
	__u32 index = ((address * 0x9e3779b1u) >> 16 ^ port) & (COUNT_CHILDREN - 1);

	return bpf_map_lookup_elem(&children, &index);
}

static __always_inline bool tcp_wanted(struct sock *sk)
{
	return wanted(sk) && (!filter.protocol || filter.protocol == IPPROTO_TCP);
}

/* `child` is about to enter the accept queue of `sk`. `trusted`: see socket_cookie(). */
static __always_inline void child_remember(struct sock *sk, struct sock *child, const bool trusted)
{
	struct sock *view = SOCK(sk, trusted), *owner;
	struct count_child *slot;

	if (!child || !tcp_wanted(view))
		return;
	owner = mptcp_owner(view);
	slot = child_slot(child);
	if (!slot)
		return;
	slot->child = 0;
	slot->cookie =
		owner ? socket_cookie(owner, NULL) : socket_cookie(view, trusted ? sk : NULL);
	slot->child = (__u64)child;
}

/* A connection entered the accept queue of `sk`. `trusted`: see socket_cookie(). */
static __always_inline void tcp_arrived(struct sock *sk, const bool trusted)
{
	struct sock *view = SOCK(sk, trusted), *owner;
	struct stash *mine = stash();
	struct count_arrival *row;
	__u32 length;
	__u64 cookie;

	if (!tcp_wanted(view) || !mine)
		return;
	owner = mptcp_owner(view);
	cookie = owner ? socket_cookie(owner, NULL) : socket_cookie(view, trusted ? sk : NULL);
	row = arrival_row(mine, owner ? owner : view, cookie, 1);
	if (!row)
		return;
	row->arrived++;
	length = READ(view, sk_ack_backlog);
	steer_arrived(cookie, length);
	if (length > row->queue_highest)
		row->queue_highest = length;
}

/* Is the current thread closing a listener whose queue moves? */
static __always_inline bool is_moving(void)
{
	struct thread_state *state = thread_state(false);

	return state && state->moving;
}

/*
 * sk_data_ready() of a listener. A newer kernel with migration also calls it when a connection
 * moves to this listener from a closing listener of its group; that connection has been counted at
 * its first arrival. The thread that closes makes that call. A softirq may interrupt it between
 * two connections and bring a new one, which was made a moment ago on this CPU, by cloning the
 * listener. The mark of that is relied on nowhere else: the program that makes it is skipped
 * where it interrupts itself, and there the thread is not between two connections.
 */
static __always_inline void listener_called(struct sock *sk)
{
	struct stash *mine = stash();

	if (config.marks_clones && mine) {
		const bool cloned = mine->cloned;

		mine->cloned = 0;
		if (count_migrates && !cloned && is_moving())
			return;
	}
	tcp_arrived(sk, true);
}

/* Could this connection have come from that listener? */
static __always_inline bool child_fits(struct sock *listener, struct sock *child)
{
	__be32 address;

	if (port_of(listener) != port_of(child) ||
	    READ(listener, __sk_common.skc_net.net) != READ(child, __sk_common.skc_net.net))
		return false;
	/*
	 * The address is 0 if the socket accepts any. For IPv6 sockets it is LOOPBACK4_IPV6 or the
	 * v4-mapped address, and the real address is beside it.
	 */
	address = READ(listener, __sk_common.skc_rcv_saddr);
	if (!address)
		return true;
	if (address != READ(child, __sk_common.skc_rcv_saddr))
		return false;
	if (READ(listener, __sk_common.skc_family) != AF_INET6 ||
	    !bpf_core_field_exists(listener->__sk_common.skc_v6_rcv_saddr))
		return true;
	return READ(listener, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[2]) ==
		       READ(child, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[2]) &&
	       READ(listener, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[3]) ==
		       READ(child, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[3]);
}

/* A thread enters inet_csk_accept(): remember the listener for accept_grafted(). */
static __always_inline void accept_entered(struct sock *sk)
{
	struct sock *view = TYPED(sk, struct sock);
	bool ours = tcp_wanted(view);
	struct thread_state *state = thread_state(ours);

	if (state)
		state->listener = ours ? (__u64)sk : 0;
}

/* The listener that the current thread's accept() names, if the connection fits it; else NULL. */
static __always_inline struct sock *listener_in_syscall(struct sock *child)
{
	struct task_struct *task;
	struct sock *listener;

	if (!kernel.has_task_pt_regs || !kernel.has_task_storage)
		return NULL;
	task = bpf_get_current_task_btf();
	listener = socket_of_descriptor(task, syscall_argument(task, 0));
	if (!listener)
		return NULL;
	listener = TYPED(listener, struct sock);
	if (READ(listener, __sk_common.skc_state) != TCP_LISTEN || !is_tcp(listener) ||
	    !child_fits(listener, child))
		return NULL;
	return listener;
}

/*
 * The accepted connection gets its struct socket, in the accepting thread and with bottom halves
 * off. An accept is counted here and not at the return of inet_csk_accept(): a thread that was
 * blocked in accept() when the programs were attached returns past an exit hook, because fexit and
 * kretprobe rewrite the call at its entry. The listener is known from the connection's arrival.
 * That fails if the connection arrived before the programs were attached, if another connection
 * took its place, or once connections have moved between listeners (from 6.1 on nothing reports
 * such a move). Then the listener comes from accept_entered(), or from the thread's system call.
 */
static __always_inline void accept_grafted(struct sock *child)
{
	struct sock *view = TYPED(child, struct sock), *entered, *listener, *owner;
	struct thread_state *state;
	struct count_child *slot;
	struct mptcp_sock *msk;
	struct sock *queued = child, *tcp;
	__u64 now_ns;

	if (!count_on || !is_tcp(view))
		return;
	now_ns = accept_time();
	state = thread_state(false);
	entered = state ? (struct sock *)state->listener : NULL;
	if (state)
		state->listener = 0;
	if (bpf_core_type_exists(struct mptcp_sock) && READ(view, sk_protocol) == IPPROTO_MPTCP) {
		msk = TYPED(child, struct mptcp_sock);
		queued = READ(msk, first);
	}
	slot = child_slot(queued);
	tcp = TYPED(queued, struct sock);
	if (slot && slot->child == (__u64)queued && slot->cookie && !count_migrates) {
		worker_accepted(NULL, slot->cookie, tcp, queued != child, now_ns);
		return;
	}
	if (entered) {
		listener = TYPED(entered, struct sock);
		owner = mptcp_owner(listener);
		if (owner)
			listener = owner;
		/*
		 * An entry for another listener can only be left over from an accept that failed.
		 */
		if (child_fits(listener, view)) {
			worker_accepted(listener, socket_cookie(listener, NULL), tcp,
					queued != child, now_ns);
			return;
		}
	}
	if (!tcp_wanted(view))
		return;
	listener = listener_in_syscall(view);
	if (listener)
		worker_accepted(listener, socket_cookie(listener, NULL), tcp, queued != child,
				now_ns);
	else if (slot && slot->child == (__u64)queued && slot->cookie)
		worker_accepted(NULL, slot->cookie, tcp, queued != child, now_ns);
	else
		lost_of(COUNT_LOST_LISTENER_UNKNOWN, 1, view);
}

/*
 * Where programs at the end of a system call can be preempted (7.x: trace_call_bpf_faultable()),
 * the kernel skips a program while another run of it is preempted on the same CPU. So two programs
 * run for each accept, and the second does the work if the first was skipped. Returns whether the
 * program that runs now has nothing to do. The mark is kept in the thread's state; without a state
 * the second program can't know, and counts the accept as lost.
 */
static __always_inline bool accept_done(long ret, const bool again)
{
	struct thread_state *state = thread_state(true);
	__u64 mark = 1ull << 32 | (__u32)ret;

	if (!state) {
		if (again && ret >= 0)
			lost_add(COUNT_LOST_LISTENER_UNKNOWN, 1);
		return true;
	}
	if (!again) {
		state->listener = mark;
		return false;
	}
	if (state->listener == mark) {
		state->listener = 0;
		return true;
	}
	__sync_fetch_and_add(&count_rescued, 1);
	return false;
}

static __always_inline bool is_mptcp(struct sock *sk)
{
	return bpf_core_type_exists(struct mptcp_sock) && READ(sk, sk_protocol) == IPPROTO_MPTCP;
}

/*
 * Returns the TCP connection behind an accepted socket, TYPED. For MPTCP that is the first
 * subflow; NULL means that there is none any more.
 */
static __always_inline struct sock *accepted_tcp(struct sock *child)
{
	struct mptcp_sock *msk;
	struct sock *first;

	if (!is_mptcp(child))
		return child;
	msk = TYPED(child, struct mptcp_sock);
	first = READ(msk, first);
	return first ? TYPED(first, struct sock) : NULL;
}

/*
 * accept() or accept4() returned the new descriptor `ret`. The listener is the socket that the
 * call's first argument names now. If the descriptor was replaced while the thread slept, the
 * connection does not fit the new socket and is counted as listener_unknown. A replacement that
 * listens on the same address and port can't be told from the original.
 */
static __always_inline void accept_returned(long ret, const bool again)
{
	struct sock *sk, *listener, *child;
	struct count_worker *known;
	struct thread_state *state;
	struct task_struct *task;
	__u64 now_ns;
	bool listens;

	if (!count_on || (kernel.preempted_exits && accept_done(ret, again)))
		return;
	if ((ret < 0 && ret != -EFAULT) || (filter.protocol && filter.protocol != IPPROTO_TCP))
		return;
	now_ns = filter.by_port ? 0 : accept_time();
	task = bpf_get_current_task_btf();
	sk = socket_of_descriptor(task, syscall_argument(task, 0));
	listener = TYPED(sk, struct sock);
	listens = sk && READ(listener, __sk_common.skc_state) == TCP_LISTEN && is_tcp(listener);
	if (listens && !port_wanted(listener))
		return;
	if (filter.by_port)
		now_ns = accept_time(); /* ports that are not asked for need no time */
	state = thread_state(false);
	/*
	 * Mostly this is the thread's last listener again: it has passed the filter and its row is
	 * known.
	 */
	known = sk ? remembered_row(state, socket_cookie(listener, NULL)) : NULL;
	listens |= known != NULL; /* it was, and another thread has closed it */
	if (listens && !known && !wanted(listener))
		return;
	/*
	 * do_accept() copies the address last of all, so with EFAULT the connection was taken, and
	 * it is closed.
	 */
	if (ret < 0) {
		lost_of(COUNT_LOST_TAKEN_DROPPED, listens, listener);
		return;
	}
	child = socket_of_descriptor(task, ret);
	if (!child) {
		/* Another thread closed it already. */
		if (listens)
			lost_of(COUNT_LOST_LISTENER_UNKNOWN, 1, listener);
		return;
	}
	child = TYPED(child, struct sock);
	if (state)
		state->moving = 0;
	if (listens && child_fits(listener, child)) {
		const __u64 cookie = socket_cookie(listener, NULL);
		struct counting_worker w = { .row = known };

		steer_accepted(cookie);
		if (known && state) {
			w.index = state->worker;
			known->events++;
		} else if (worker_get(&w, listener, listener, cookie, 1, false)) {
			events_add(&w, 1);
		} else {
			return;
		}
		/* In one place: the verifier follows it for each. */
		accept_measure(&w, cookie, listener, accepted_tcp(child), is_mptcp(child), now_ns);
	} else if (wanted(child) && is_tcp(child))
		lost_of(COUNT_LOST_LISTENER_UNKNOWN, 1, child);
}

/* ---- what happens to listeners and connections ---- */

/*
 * Do the connections in the listener's queue move to another socket of its group when it closes?
 * Kernels can do that since 5.14: reuseport_migrate_sock(). Debian's 5.10 has the setting, too, and
 * nothing behind it; a group's closed sockets came with what moves.
 */
static __always_inline bool migrates(struct sock *listener)
{
	struct net *net = READ(listener, __sk_common.skc_net.net);
	struct sock_reuseport *group = READ(listener, sk_reuseport_cb);

	if (!net || !group || !bpf_core_field_exists(group->num_closed_socks) ||
	    !bpf_core_field_exists(net->ipv4.sysctl_tcp_migrate_req))
		return false;
	return READ(net, ipv4.sysctl_tcp_migrate_req) || READ(group, prog);
}

/*
 * A listener is being closed. The connections in its queue are reset or moved next, by the same
 * thread. Each reset shows up in queued_reset(), except for connections that clients had reset
 * before. sk is the server's socket, or for MPTCP its first subflow.
 */
static __always_inline void listener_closed(struct sock *sk, const bool again)
{
	struct sock *view = TYPED(sk, struct sock), *owner;
	__u32 left = READ(view, sk_ack_backlog), index;
	struct thread_state *state;
	struct count_socket *row;
	__u64 cookie;
	bool moves;
	int found;

	if (!left || !tcp_wanted(view))
		return;
	owner = mptcp_owner(view);
	cookie = socket_cookie(owner ? owner : view, NULL);
	found = socket_row(owner ? owner : view, cookie, 0);
	if (found < 0)
		return;
	index = found;
	row = bpf_map_lookup_elem(&sockets, &index);
	if (!row)
		return;
	moves = migrates(view);
	if (moves)
		count_migrates = 1;
	state = thread_state(true);
	if (!state) {
		/* Includes connections that clients had reset. */
		row->left_reset += again ? 0 : left;
		return;
	}
	state->told = again ? 0 : (__u64)sk;
	state->closing = cookie;
	state->closing_port = port_of(view);
	state->closing_moves = moves;
	state->moving = moves ? (__u64)sk : 0;
	/* For each connection that is reset, queued_reset() subtracts one again. */
	row->left_moved += moves ? left : 0;
}

/*
 * A connection ends that no process has and no peer has reset: the thread is closing the listener
 * that has it in its queue.
 */
static __always_inline void queued_reset(struct sock *sk, const bool again)
{
	struct sock *view = TYPED(sk, struct sock);
	struct thread_state *state = thread_state(false);
	struct count_socket *row;
	__u32 index;
	int found;

	if (!state || !state->closing || state->closing_port != port_of(view))
		return;
	/*
	 * Mostly the listener's row exists. If user space has already taken it back, a new row is
	 * made, whose cookie is all that matters, because user space knows the listener by now.
	 */
	found = socket_row(view, state->closing, 0);
	if (found < 0)
		return;
	index = found;
	row = bpf_map_lookup_elem(&sockets, &index);
	if (!row)
		return;
	state->told = again ? 0 : (__u64)sk;
	row->left_reset++;
	row->left_moved -= state->closing_moves;
}

/* A listener is closing: has the first of the two programs already counted this end? */
static __always_inline bool told_before(struct sock *sk, const bool again)
{
	struct thread_state *state = again ? thread_state(false) : NULL;

	if (!state || state->told != (__u64)sk)
		return false;
	state->told = 0;
	return true;
}

/*
 * inet_sock_set_state, which fires for all sockets: most changes are none that matter here, and
 * are told by the two states alone. The kernel skips a program that is already running on the same
 * CPU. So when a peer's reset ends a connection in a softirq that has interrupted another change
 * of a thread, that end is not seen (2 of 20,000). connection_destroyed() and read_open() find
 * such a connection later. Where the program can also be preempted (7.x), a second program runs
 * for each change instead, and finds what the first has done.
 */
static __always_inline void state_changed(struct sock *sk, int before, int after, const bool again,
					  const bool trusted)
{
	struct sock *view = SOCK(sk, trusted);

	if (steer.on && after == TCP_LISTEN && wanted(view))
		steer_listens(view);
	if (before == TCP_LISTEN && after == TCP_SYN_RECV) {
		struct stash *mine = config.marks_clones ? stash() : NULL;

		if (mine)
			mine->cloned = 1;
		return;
	}
	/* If a change was not seen (see accept_done()), the next change makes up for it. */
	if (is_open(after) || after == TCP_LISTEN || !count_on ||
	    (before != TCP_LISTEN && !is_open(before) && !kernel.preempted_tracepoints) ||
	    !port_wanted(view))
		return;
	if (before == TCP_LISTEN) {
		if (!told_before(sk, again))
			listener_closed(sk, again);
		return;
	}
	if (config.serves)
		connection_closed((__u64)sk, sk, after != TCP_CLOSE, again);
	if (is_open(before) && after == TCP_CLOSE && !READ(view, sk_socket) &&
	    !READ(view, sk_err) && !told_before(sk, again))
		queued_reset(sk, again);
}

/* The listener is gone: nothing moves any more. */
static __always_inline void moving_ends(struct sock *sk)
{
	struct thread_state *state = thread_state(false);

	if (state && state->moving == (__u64)sk)
		state->moving = 0;
}

/*
 * tcp_destroy_sock: a connection is gone. Mostly its end has been seen before. It runs with bottom
 * halves off but for a connection whose peer resets it while the server's call works off what came
 * meanwhile (release_sock()), so next to no run of it is skipped.
 */
static __always_inline void connection_destroyed(struct sock *sk)
{
	if (!count_on || !port_wanted(sk))
		return;
	if (count_migrates)
		moving_ends(sk);
	connection_closed((__u64)sk, sk, false, true);
}

#endif
