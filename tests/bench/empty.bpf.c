// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Programs that do nothing, on the hooks of the tracepoint backend: what the kernel takes for
 * running a program at all, which no program can be below. cost.py loads them.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

#define EMPTY(name, section)                                                                       \
	SEC(section) int name(void *ctx)                                                           \
	{                                                                                          \
		return 0;                                                                          \
	}

EMPTY(e_accept, "tracepoint/syscalls/sys_exit_accept")
EMPTY(e_accept4, "tracepoint/syscalls/sys_exit_accept4")
EMPTY(e_data_ready, "tp_btf/sk_data_ready")
EMPTY(e_set_state, "tp_btf/inet_sock_set_state")
EMPTY(e_destroy, "tp_btf/tcp_destroy_sock")
EMPTY(e_space_adjust, "tp_btf/tcp_rcv_space_adjust")
EMPTY(e_recv_length, "tp_btf/sock_recv_length")
EMPTY(e_udp_drop, "tp_btf/udp_fail_queue_rcv_skb")
EMPTY(e_kfree_skb, "tp_btf/kfree_skb")
