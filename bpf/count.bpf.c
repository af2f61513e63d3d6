// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The entry points of the three backends. Each one calls a handler in tcp.bpf.h, serve.bpf.h,
 * uring.bpf.h or udp.bpf.h. user/attach/hooks.c has the table of the programs that a backend
 * needs; "?" in a section name means that a program is loaded only if the table names it.
 */
#include "serve.bpf.h"
#include "steer_reuseport.bpf.h"
#include "tcp.bpf.h"
#include "udp.bpf.h"
#include "uring.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* ---- fentry: trampolines ---- */

SEC("?fentry/inet_csk_accept")
int BPF_PROG(f_accept_enter, struct sock *sk)
{
	accept_entered(sk);
	return 0;
}

SEC("?fentry/security_sock_graft")
int BPF_PROG(f_accept_graft, struct sock *child)
{
	accept_grafted(child);
	return 0;
}

/*
 * A connection enters the accept queue in inet_csk_reqsk_queue_add(). That function is called by
 * inet_csk_complete_hashdance() (inlined there in 6.1 and newer), and directly for SYN cookies and
 * Fast Open. A call from inside inet_csk_complete_hashdance() is left to the exit of the latter,
 * so each connection is counted once on every kernel.
 */
SEC("?fentry/inet_csk_complete_hashdance")
int BPF_PROG(f_queue_enter, struct sock *sk, struct sock *child)
{
	struct stash *mine = stash();

	if (mine)
		mine->queue_sk = (__u64)sk;
	child_remember(sk, child, true);
	return 0;
}

SEC("?fexit/inet_csk_complete_hashdance")
int BPF_PROG(f_queue_exit, struct sock *sk, struct sock *child, void *request, bool own,
	     struct sock *ret)
{
	struct stash *mine = stash();

	if (mine)
		mine->queue_sk = 0;
	if (ret)
		tcp_arrived(sk, true);
	return 0;
}

/*
 * A connection from the queue of a closing listener (listener_closed()) has been counted as
 * arrived before.
 */
static __always_inline bool is_new(struct sock *child)
{
	struct sock *view = TYPED(child, struct sock);

	return READ(view, __sk_common.skc_state) == TCP_SYN_RECV;
}

SEC("?fexit/inet_csk_reqsk_queue_add")
int BPF_PROG(f_request_exit, struct sock *sk, void *request, struct sock *child, struct sock *ret)
{
	struct stash *mine = stash();

	if (!ret || !mine || mine->queue_sk)
		return 0;
	child_remember(sk, child, true);
	if (is_new(child))
		tcp_arrived(sk, true);
	return 0;
}

/*
 * The caller frees a datagram that is refused at once. It gives the same reason as a late drop
 * (is_late_drop()), unless the receive buffer was full (-ENOMEM).
 */
static __always_inline bool frees_alike(int error)
{
	return error && error != -ENOMEM;
}

SEC("?fentry/__udp_enqueue_schedule_skb")
int BPF_PROG(f_udp_enter, struct sock *sk, struct sk_buff *skb)
{
	struct stash *mine = stash();

	if (mine)
		udp_entered(mine, sk, skb);
	return 0;
}

SEC("?fexit/__udp_enqueue_schedule_skb")
int BPF_PROG(f_udp_queue, struct sock *sk, struct sk_buff *skb, int ret)
{
	struct stash *mine = stash();

	if (!mine || mine->udp_sk != (__u64)sk)
		return 0;
	mine->failed_skb = frees_alike(ret) ? (__u64)skb : 0;
	udp_left(mine, sk, ret, true);
	return 0;
}

SEC("?fentry/skb_consume_udp")
int BPF_PROG(f_udp_receive, struct sock *sk, struct sk_buff *skb, int len)
{
	udp_consumed(sk, skb, len, true);
	return 0;
}

/* ---- kprobe: the same functions, by breakpoint; entry hooks keep what return hooks need ---- */

SEC("?kprobe/inet_csk_accept")
int BPF_KPROBE(k_accept_enter, struct sock *sk)
{
	accept_entered(sk);
	return 0;
}

SEC("?kprobe/security_sock_graft")
int BPF_KPROBE(k_accept_graft, struct sock *child)
{
	accept_grafted(child);
	return 0;
}

/*
 * A call whose return was not seen leaves its entry behind (kretprobes have a limit of calls under
 * way). The socket may be gone by now.
 */
static __always_inline void stash_left(const __u64 *place, __u8 protocol)
{
	const struct count_lost_key key = { .protocol = protocol, .reason = COUNT_LOST_STASH_BUSY };

	if (*place)
		lost_note(&key, 1);
}

static __always_inline void stash_put(__u64 *place, void *sk, __u8 protocol)
{
	stash_left(place, protocol);
	*place = count_on ? (__u64)sk : 0;
}

SEC("?kprobe/inet_csk_complete_hashdance")
int BPF_KPROBE(k_queue_enter, struct sock *sk, struct sock *child)
{
	struct stash *mine = stash();

	if (mine)
		stash_put(&mine->queue_sk, sk, IPPROTO_TCP);
	child_remember(sk, child, false);
	return 0;
}

SEC("?kretprobe/inet_csk_complete_hashdance")
int BPF_KRETPROBE(k_queue_exit, struct sock *ret)
{
	struct stash *mine = stash();

	if (!mine || !mine->queue_sk)
		return 0;
	if (ret)
		tcp_arrived((struct sock *)mine->queue_sk, false);
	mine->queue_sk = 0;
	return 0;
}

SEC("?kprobe/inet_csk_reqsk_queue_add")
int BPF_KPROBE(k_request_enter, struct sock *sk)
{
	struct stash *mine = stash();

	if (mine && !mine->queue_sk)
		stash_put(&mine->request_sk, sk, IPPROTO_TCP);
	return 0;
}

SEC("?kretprobe/inet_csk_reqsk_queue_add")
int BPF_KRETPROBE(k_request_exit, struct sock *ret)
{
	struct stash *mine = stash();

	if (!mine || mine->queue_sk || !mine->request_sk)
		return 0;
	if (ret) {
		child_remember((struct sock *)mine->request_sk, ret, false);
		if (is_new(ret))
			tcp_arrived((struct sock *)mine->request_sk, false);
	}
	mine->request_sk = 0;
	return 0;
}

SEC("?kprobe/__udp_enqueue_schedule_skb")
int BPF_KPROBE(k_udp_enter, struct sock *sk, struct sk_buff *skb)
{
	struct stash *mine = stash();

	if (!mine)
		return 0;
	stash_left(&mine->udp_sk, IPPROTO_UDP);
	udp_entered(mine, sk, skb);
	return 0;
}

SEC("?kretprobe/__udp_enqueue_schedule_skb")
int BPF_KRETPROBE(k_udp_exit, int ret)
{
	struct stash *mine = stash();

	if (!mine || !mine->udp_sk)
		return 0;
	mine->failed_skb = frees_alike(ret) ? mine->udp_skb : 0;
	udp_left(mine, (struct sock *)mine->udp_sk, ret, false);
	return 0;
}

SEC("?kprobe/skb_consume_udp")
int BPF_KPROBE(k_udp_receive, struct sock *sk, struct sk_buff *skb, int len)
{
	udp_consumed(sk, skb, len, false);
	return 0;
}

/*
 * From 6.18 on a datagram can be dropped after __udp_enqueue_schedule_skb() returned 0: deliveries
 * are staged per NUMA node, and another CPU that empties the stage may find the socket's memory
 * used up. It then frees the buffer with this reason.
 */
static __always_inline bool is_late_drop(int reason)
{
	return reason == (int)bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_PROTO_MEM);
}

SEC("?tp_btf/kfree_skb")
int BPF_PROG(fk_late_drop, struct sk_buff *skb, void *location, int reason, struct sock *sk)
{
	if (is_late_drop(reason))
		udp_dropped_late(sk, skb, true);
	return 0;
}

/*
 * This hook also makes the cookie of each listener that appears while the programs are attached.
 * kprobe programs can't make one, and the other programs can only for a socket that is their
 * argument, which an MPTCP server's socket never is.
 */
SEC("?tp_btf/inet_sock_set_state")
int BPF_PROG(state_change, struct sock *sk, int before, int after)
{
	if (after == TCP_LISTEN && kernel.has_socket_cookie)
		asked_by_current(bpf_get_socket_cookie(sk));
	state_changed(sk, before, after, false, true);
	return 0;
}

SEC("?tp_btf/tcp_destroy_sock")
int BPF_PROG(state_destroy, struct sock *sk)
{
	connection_destroyed(sk);
	return 0;
}

/*
 * Where the program above can be preempted (7.x), another task's change may find it running. This
 * program can't be preempted.
 */
SEC("?tracepoint/sock/inet_sock_set_state")
int state_change_7(struct trace_event_raw_inet_sock_set_state *event)
{
	state_changed((struct sock *)event->skaddr, event->oldstate, event->newstate, true, false);
	return 0;
}

/* ---- who serves ---- */

/*
 * tcp_rcv_space_adjust() runs for every read that took bytes from a TCP connection, in the reading
 * thread.
 */

SEC("?tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(first_read, struct sock *sk)
{
	connection_read(sk, true);
	return 0;
}

/*
 * For kernels on which the program above can be preempted (7.x), and the kernel would skip another
 * task's run on that CPU.
 */
SEC("?tracepoint/tcp/tcp_rcv_space_adjust")
int first_read_7(struct trace_event_raw_tcp_event_sk *event)
{
	connection_read((struct sock *)event->skaddr, false);
	return 0;
}

/* ---- tracepoint: for kernels that refuse both other backends ---- */

/* Each of the two is attached to accept() and to accept4(). */
SEC("?tracepoint/syscalls/sys_exit_accept")
int t_accept(struct syscall_exit_args *args)
{
	accept_returned(args->ret, false);
	return 0;
}

SEC("?tracepoint/syscalls/sys_exit_accept")
int t_accept_again(struct syscall_exit_args *args)
{
	accept_returned(args->ret, true);
	return 0;
}

/*
 * The kernel calls this callback of a listener for each connection queued, and of a UDP socket for
 * each datagram. The program runs for all sockets.
 */
SEC("?tp_btf/sk_data_ready")
int BPF_PROG(t_arrived, struct sock *sk)
{
	if (READ(sk, sk_protocol) == IPPROTO_UDP) {
		udp_told(sk, NULL, 0);
		return 0;
	}
	if (READ(sk, __sk_common.skc_state) != TCP_LISTEN || !is_tcp(sk))
		return 0;
	/*
	 * The callback of an MPTCP listener runs for the first subflow, and then, unless the queue
	 * is empty again, for the listener itself.
	 */
	if (READ(sk, sk_protocol) != IPPROTO_MPTCP)
		listener_called(sk);
	return 0;
}

/*
 * It runs for every read of any socket, and a tp_btf program costs half of what a plain
 * tracepoint does.
 */
SEC("?tp_btf/sock_recv_length")
int BPF_PROG(t_udp_read, struct sock *sk, int ret, int flags)
{
	socket_read(sk, ret, flags, true);
	return 0;
}

/*
 * Where tp_btf programs can be preempted in process context (7.x), the kernel skips the same
 * program for other tasks on that CPU. A plain tracepoint's program runs with preemption off on
 * every kernel.
 */
SEC("?tracepoint/sock/sock_recv_length")
int t_udp_receive(struct trace_event_raw_sock_msg_length *event)
{
	socket_read(event->sk, event->ret, event->flags, false);
	return 0;
}

/*
 * Kernels before 6.3 have no such tracepoint, so the system calls that servers use stand in. A
 * read of 0 bytes is an empty datagram, or the end.
 */
SEC("?tracepoint/syscalls/sys_exit_recvfrom")
int t_recvfrom(struct syscall_exit_args *args)
{
	read_returned(3, 1, args->ret);
	return 0;
}

SEC("?tracepoint/syscalls/sys_exit_recvmsg")
int t_recvmsg(struct syscall_exit_args *args)
{
	read_returned(2, 1, args->ret);
	return 0;
}

SEC("?tracepoint/syscalls/sys_exit_recvmmsg")
int t_recvmmsg(struct syscall_exit_args *args)
{
	read_returned(3, args->ret, args->ret);
	return 0;
}

SEC("?tp_btf/udp_fail_queue_rcv_skb")
int BPF_PROG(t_udp_drop, int error, struct sock *sk)
{
	struct sk_buff *skb = kernel.has_drop_skb ? (struct sk_buff *)ctx[2] : NULL;
	struct stash *mine = stash();

	if (kernel.has_late_drop && mine)
		mine->failed_skb = frees_alike(error) ? (__u64)skb : 0;
	udp_told(sk, skb, error);
	return 0;
}

SEC("?tp_btf/kfree_skb")
int BPF_PROG(t_late_drop, struct sk_buff *skb, void *location, int reason, struct sock *sk)
{
	if (is_late_drop(reason))
		udp_dropped_late(sk, skb, false);
	return 0;
}

SEC("?tracepoint/io_uring/io_uring_complete")
int t_uring_done(struct trace_event_raw_io_uring_complete *event)
{
	uring_completed(event->ctx, event->req, event->user_data, event->res);
	return 0;
}

SEC("?tracepoint/io_uring/io_uring_task_add")
int t_uring_wake(struct trace_event_raw_io_uring_task_add *event)
{
	if (event->opcode == IORING_OP_ACCEPT)
		uring_seen(event->ctx, event->req, event->user_data);
	return 0;
}

SEC("?tracepoint/io_uring/io_uring_submit_req")
int t_uring_submit(struct trace_event_raw_io_uring_submit_req *event)
{
	if (event->opcode == IORING_OP_ACCEPT)
		uring_seen(event->ctx, event->req, event->user_data);
	return 0;
}

/* The tracepoint's name before 6.4. */
SEC("?tracepoint/io_uring/io_uring_submit_sqe")
int t_uring_submit_old(struct trace_event_raw_io_uring_submit_sqe *event)
{
	if (event->opcode == IORING_OP_ACCEPT)
		uring_seen(event->ctx, event->req, event->user_data);
	return 0;
}

/*
 * A completion that finds no room in the ring is kept aside. No other event follows when it is
 * delivered later.
 */
SEC("?tracepoint/io_uring/io_uring_cqe_overflow")
int t_uring_full(struct trace_event_raw_io_uring_cqe_overflow *event)
{
	uring_completed(event->ctx, NULL, event->user_data, event->res);
	return 0;
}
