/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of hooks, one row for each, and the rules that say which kernels need or lack a hook.
 * probe.c and backend.c walk the table from top to bottom.
 */
#include "hooks.h"

#include <string.h>

#define C HOOKS_COUNT
#define B HOOKS_BINDS

#define F BACKEND_FENTRY
#define K BACKEND_KPROBE
#define T BACKEND_TRACEPOINT
#define EACH BACKEND_AUTO

#define FENTRY HOOK_FENTRY
#define FEXIT HOOK_FEXIT
#define KPROBE HOOK_KPROBE
#define KRETPROBE HOOK_KRETPROBE
#define TP_BTF HOOK_TP_BTF
#define TP HOOK_TRACEPOINT

#define ACCEPTED SEES_TCP_ACCEPTED
#define ARRIVED SEES_TCP_ARRIVED
#define SERVED SEES_TCP_SERVED
#define QUEUED SEES_UDP_QUEUED
#define RECEIVED SEES_UDP_RECEIVED
#define DROPPED SEES_UDP_DROPPED
#define URING SEES_URING_ACCEPTED

#define REGS HOOK_NEEDS_REGS
#define REQUEST HOOK_NEEDS_REQUEST
#define OPTIONAL HOOK_OPTIONAL
#define SPARE HOOK_SPARE
#define ENTRY HOOK_ENTRY

/* clang-format off: a row is a line */
/*
 * What state_change sees is counted beside arrivals. A run of it that is skipped is found again:
 * see ends_missed().
 */
const struct hook hooks[] = {
	{ C, F, FENTRY, "inet_csk_accept", "f_accept_enter", ACCEPTED | URING, SPARE, 0 },
	{ C, F, FENTRY, "security_sock_graft", "f_accept_graft", ACCEPTED | URING, 0, 0 },
	/* exit before entry: an entry whose exit is not yet attached would leave its mark behind */
	{ C, F, FEXIT, "inet_csk_complete_hashdance", "f_queue_exit", ARRIVED, 0, 0 },
	{ C, F, FEXIT, "inet_csk_reqsk_queue_add", "f_request_exit", ARRIVED, 0, 0 },
	{ C, F, FENTRY, "inet_csk_complete_hashdance", "f_queue_enter", ARRIVED, 0, 0 },
	{ C, F, FEXIT, "__udp_enqueue_schedule_skb", "f_udp_queue", QUEUED | DROPPED, 0, 0 },
	{ C, F, FENTRY, "__udp_enqueue_schedule_skb", "f_udp_enter", QUEUED | DROPPED, 0, 0 },
	/*
	 * A kprobe, because the kernel skips a trampoline's program while another run of it is
	 * preempted on that CPU. The other hooks run with bottom halves off; this hook does not.
	 * The trampoline is used only where there are no kprobes.
	 */
	{ C, F, KPROBE, "skb_consume_udp", "k_udp_receive", RECEIVED, 0, 0 },
	{ C, F, FENTRY, "skb_consume_udp", "f_udp_receive", RECEIVED, 0, 0 },
	{ C, F, TP_BTF, "inet_sock_set_state", "state_change", ARRIVED, SPARE | OPTIONAL, 0 },
	{ C, F, TP_BTF, "tcp_destroy_sock", "state_destroy", SERVED, SPARE | OPTIONAL, 0 },
	{ C, F, TP, "sock/inet_sock_set_state", "state_change_7", ARRIVED, SPARE | OPTIONAL,
	  WHEN_PREEMPTED },
	{ C, F, TP, "tcp/tcp_rcv_space_adjust", "first_read_7", SERVED, 0, WHEN_PREEMPTED },
	{ C, F, TP_BTF, "tcp_rcv_space_adjust", "first_read", SERVED, 0, UNLESS_PREEMPTED },
	{ C, F, TP_BTF, "kfree_skb", "fk_late_drop", DROPPED, SPARE, WHEN_STAGED },

	{ C, K, KPROBE, "inet_csk_accept", "k_accept_enter", ACCEPTED | URING, SPARE, 0 },
	{ C, K, KPROBE, "security_sock_graft", "k_accept_graft", ACCEPTED | URING, 0, 0 },
	{ C, K, KRETPROBE, "inet_csk_complete_hashdance", "k_queue_exit", ARRIVED, 0, 0 },
	{ C, K, KRETPROBE, "inet_csk_reqsk_queue_add", "k_request_exit", ARRIVED, 0, 0 },
	{ C, K, KPROBE, "inet_csk_complete_hashdance", "k_queue_enter", ARRIVED, 0, 0 },
	{ C, K, KPROBE, "inet_csk_reqsk_queue_add", "k_request_enter", ARRIVED, 0, 0 },
	{ C, K, KRETPROBE, "__udp_enqueue_schedule_skb", "k_udp_exit", QUEUED | DROPPED, 0, 0 },
	{ C, K, KPROBE, "__udp_enqueue_schedule_skb", "k_udp_enter", QUEUED | DROPPED, 0, 0 },
	{ C, K, KPROBE, "skb_consume_udp", "k_udp_receive", RECEIVED, 0, 0 },
	{ C, K, TP_BTF, "kfree_skb", "fk_late_drop", DROPPED, SPARE, WHEN_STAGED },
	{ C, K, TP_BTF, "inet_sock_set_state", "state_change", ARRIVED, SPARE | OPTIONAL, 0 },
	{ C, K, TP_BTF, "tcp_destroy_sock", "state_destroy", SERVED, SPARE | OPTIONAL, 0 },
	{ C, K, TP, "sock/inet_sock_set_state", "state_change_7", ARRIVED, SPARE | OPTIONAL,
	  WHEN_PREEMPTED },
	{ C, K, TP, "tcp/tcp_rcv_space_adjust", "first_read_7", SERVED, 0, WHEN_PREEMPTED },
	{ C, K, TP_BTF, "tcp_rcv_space_adjust", "first_read", SERVED, 0, UNLESS_PREEMPTED },

	{ C, T, TP, "syscalls/sys_exit_accept", "t_accept", ACCEPTED, REGS, 0 },
	{ C, T, TP, "syscalls/sys_exit_accept4", "t_accept", ACCEPTED, REGS, 0 },
	/* after the others: see accept_done() */
	{ C, T, TP, "syscalls/sys_exit_accept", "t_accept_again", ACCEPTED, REGS | SPARE,
	  WHEN_AGAIN },
	{ C, T, TP, "syscalls/sys_exit_accept4", "t_accept_again", ACCEPTED, REGS | SPARE,
	  WHEN_AGAIN },
	{ C, T, TP_BTF, "sk_data_ready", "t_arrived", ARRIVED | QUEUED, 0, 0 },
	{ C, T, TP_BTF, "inet_sock_set_state", "state_change", ARRIVED, SPARE | OPTIONAL, 0 },
	{ C, T, TP_BTF, "tcp_destroy_sock", "state_destroy", SERVED, SPARE | OPTIONAL, 0 },
	{ C, T, TP, "sock/inet_sock_set_state", "state_change_7", ARRIVED, SPARE | OPTIONAL,
	  WHEN_PREEMPTED },
	{ C, T, TP_BTF, "tcp_rcv_space_adjust", "first_read", SERVED, 0, UNLESS_PREEMPTED },
	{ C, T, TP, "tcp/tcp_rcv_space_adjust", "first_read_7", SERVED, 0, WHEN_PREEMPTED },
	{ C, T, TP_BTF, "sock_recv_length", "t_udp_read", RECEIVED, REGS, WHEN_RECV_LENGTH },
	{ C, T, TP, "sock/sock_recv_length", "t_udp_receive", RECEIVED, REGS, WHEN_PREEMPTED },
	{ C, T, TP, "syscalls/sys_exit_recvfrom", "t_recvfrom", RECEIVED, REGS,
	  UNLESS_RECV_LENGTH },
	{ C, T, TP, "syscalls/sys_exit_recvmsg", "t_recvmsg", RECEIVED, REGS, UNLESS_RECV_LENGTH },
	{ C, T, TP, "syscalls/sys_exit_recvmmsg", "t_recvmmsg", RECEIVED, REGS,
	  UNLESS_RECV_LENGTH },
	{ C, T, TP_BTF, "udp_fail_queue_rcv_skb", "t_udp_drop", DROPPED, 0, 0 },
	{ C, T, TP_BTF, "kfree_skb", "t_late_drop", DROPPED, SPARE, WHEN_STAGED },
	{ C, T, TP, "io_uring/io_uring_complete", "t_uring_done", URING, REGS | REQUEST, 0 },
	{ C, T, TP, "io_uring/io_uring_cqe_overflow", "t_uring_full", URING, REGS | REQUEST, 0 },
	{ C, T, TP, "io_uring/io_uring_task_add", "t_uring_wake", URING, REGS | REQUEST, 0 },
	{ C, T, TP, "io_uring/io_uring_submit_req", "t_uring_submit", URING, REGS | REQUEST,
	  WHEN_SUBMIT_REQ },
	{ C, T, TP, "io_uring/io_uring_submit_sqe", "t_uring_submit_old", URING, REGS | REQUEST,
	  WHEN_SUBMIT_SQE },

	/* exit before entry: calls in between would seem to have no return */
	{ B, F, FEXIT, "inet_bind", "f_bind_out", SEES_CALLS, 0, 0 },
	{ B, F, FENTRY, "inet_bind", "f_bind_in", SEES_CALLS, ENTRY, 0 },
	{ B, F, FEXIT, "inet_listen", "f_listen_out", SEES_CALLS, 0, 0 },
	{ B, F, FENTRY, "inet_listen", "f_listen_in", SEES_CALLS, ENTRY, 0 },
	{ B, F, FEXIT, "inet6_bind", "f_bind6_out", SEES_IPV6, 0, 0 },
	{ B, F, FENTRY, "inet6_bind", "f_bind6_in", SEES_IPV6, ENTRY, 0 },
	{ B, F, FEXIT, "mptcp_bind", "f_mbind_out", SEES_MPTCP, 0, 0 },
	{ B, F, FENTRY, "mptcp_bind", "f_mbind_in", SEES_MPTCP, ENTRY, 0 },
	{ B, F, FEXIT, "mptcp_listen", "f_mlisten_out", SEES_MPTCP, 0, 0 },
	{ B, F, FENTRY, "mptcp_listen", "f_mlisten_in", SEES_MPTCP, ENTRY, 0 },
	{ B, F, FEXIT, "sock_no_listen", "f_nolisten_out", SEES_NO_LISTEN, 0, 0 },
	{ B, F, FEXIT, "security_socket_bind", "f_deny_bind", SEES_DENIED, 0, 0 },
	{ B, F, FEXIT, "security_socket_listen", "f_deny_listen", SEES_DENIED, 0, 0 },

	{ B, K, KRETPROBE, "inet_bind", "k_bind_out", SEES_CALLS, 0, 0 },
	{ B, K, KPROBE, "inet_bind", "k_bind_in", SEES_CALLS, ENTRY, 0 },
	{ B, K, KRETPROBE, "inet_listen", "k_listen_out", SEES_CALLS, 0, 0 },
	{ B, K, KPROBE, "inet_listen", "k_listen_in", SEES_CALLS, ENTRY, 0 },
	{ B, K, KRETPROBE, "inet6_bind", "k_bind6_out", SEES_IPV6, 0, 0 },
	{ B, K, KPROBE, "inet6_bind", "k_bind6_in", SEES_IPV6, ENTRY, 0 },
	{ B, K, KRETPROBE, "mptcp_bind", "k_mbind_out", SEES_MPTCP, 0, 0 },
	{ B, K, KPROBE, "mptcp_bind", "k_mbind_in", SEES_MPTCP, ENTRY, 0 },
	{ B, K, KRETPROBE, "mptcp_listen", "k_mlisten_out", SEES_MPTCP, 0, 0 },
	{ B, K, KPROBE, "mptcp_listen", "k_mlisten_in", SEES_MPTCP, ENTRY, 0 },
	{ B, K, KRETPROBE, "sock_no_listen", "k_nolisten_out", SEES_NO_LISTEN, 0, 0 },
	{ B, K, KPROBE, "sock_no_listen", "k_nolisten_in", SEES_NO_LISTEN, ENTRY, 0 },
	{ B, K, KRETPROBE, "security_socket_bind", "k_deny_bind", SEES_DENIED, 0, 0 },
	{ B, K, KPROBE, "security_socket_bind", "k_deny_bind_in", SEES_DENIED, ENTRY, 0 },
	{ B, K, KRETPROBE, "security_socket_listen", "k_deny_listen", SEES_DENIED, 0, 0 },
	{ B, K, KPROBE, "security_socket_listen", "k_deny_lis_in", SEES_DENIED, ENTRY, 0 },

	{ B, T, TP, "syscalls/sys_exit_bind", "t_bind_out", SEES_CALLS, 0, 0 },
	{ B, T, TP, "syscalls/sys_exit_bind", "t_bind2_out", 0, OPTIONAL, WHEN_AGAIN },
	{ B, T, TP, "syscalls/sys_enter_bind", "t_bind_in", SEES_CALLS, ENTRY, 0 },
	{ B, T, TP, "syscalls/sys_enter_bind", "t_bind2_in", 0, OPTIONAL | ENTRY, WHEN_AGAIN },
	{ B, T, TP, "syscalls/sys_exit_listen", "t_listen_out", SEES_CALLS, 0, 0 },
	{ B, T, TP, "syscalls/sys_exit_listen", "t_listen2_out", 0, OPTIONAL, WHEN_AGAIN },
	{ B, T, TP, "syscalls/sys_enter_listen", "t_listen_in", SEES_CALLS, ENTRY, 0 },
	{ B, T, TP, "syscalls/sys_enter_listen", "t_listen2_in", 0, OPTIONAL | ENTRY, WHEN_AGAIN },
	{ B, T, TP, "io_uring/io_uring_complete", "t_bind_uring", SEES_URING, REQUEST, 0 },

	/* t_connect2 relies on running after t_connect */
	{ B, EACH, TP, "syscalls/sys_exit_connect", "t_connect", SEES_CONNECT, REGS, 0 },
	{ B, EACH, TP, "syscalls/sys_exit_connect", "t_connect2", 0, OPTIONAL, WHEN_AGAIN },
};
/* clang-format on */
const size_t hook_count = sizeof(hooks) / sizeof(hooks[0]);

static const char *const backend_names[] = { "fentry", "kprobe", "tracepoint", "auto" };

const char *backend_name(enum backend b)
{
	return backend_names[b];
}

enum backend backend_parse(const char *name)
{
	unsigned b = 0;

	while (b <= BACKEND_AUTO && strcmp(name, backend_names[b]))
		b++;
	return b;
}

bool hook_is_of(const struct hook *h, enum hook_set set, enum backend b)
{
	return h->set == set && (h->backend == b || h->backend == BACKEND_AUTO);
}

const char *hook_unneeded(const struct hook *h, const struct kernel_features *f)
{
	const struct {
		bool applies;
		const char *otherwise;
	} when[] = {
		[WHEN_ALWAYS] = { true, NULL },
		[WHEN_STAGED] = { f->late_drop,
				  "not needed: this kernel does not stage UDP deliveries" },
		[WHEN_PREEMPTED] = { f->preempted_tracepoints,
				     "not needed: tp_btf's program can't be preempted" },
		[WHEN_AGAIN] = { f->preempted_exits,
				 "not needed: the program before it can't be preempted" },
		[UNLESS_PREEMPTED] = { !f->preempted_tracepoints,
				       "it can be preempted: the plain tracepoint stands in" },
		[WHEN_RECV_LENGTH] = { f->recv_length && !f->preempted_tracepoints,
				       f->recv_length ? "it can be preempted: the plain tracepoint "
							"stands in"
						      : "this kernel has none (6.3): system calls "
							"stand in" },
		[UNLESS_RECV_LENGTH] = { !f->recv_length,
					 "not needed: sock_recv_length sees all reads" },
		[WHEN_SUBMIT_REQ] = { !f->uring_submit_old_name, "its older name is used" },
		[WHEN_SUBMIT_SQE] = { f->uring_submit_old_name, "its newer name is used" },
	};

	return when[h->when].applies ? NULL : when[h->when].otherwise;
}

const char *hook_lacks(const struct hook *h, const struct kernel_features *f)
{
	if ((h->flags & HOOK_NEEDS_REGS) && !f->task_pt_regs)
		return "needs bpf_task_pt_regs() (5.15)";
	if ((h->flags & HOOK_NEEDS_REQUEST) && !f->uring_request_typed)
		return "io_uring's tracepoints do not show the request (before 6.0)";
	return NULL;
}
