/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What user space tells all programs before they are loaded (rodata): the features of this kernel,
 * and which sockets to look at.
 */
#ifndef SOCKFAIR_CONFIG_H
#define SOCKFAIR_CONFIG_H

#ifndef __bpf__
#include <linux/types.h>
#endif

/* Features of the running kernel. */
struct kernel_config {
	__u8 has_task_storage;  /* bpf_task_storage_get(): 5.11, in tracing programs 5.12 */
	__u8 has_rdonly_cast;   /* bpf_rdonly_cast(): 6.2 */
	__u8 has_socket_cookie; /* bpf_get_socket_cookie() in tracing programs: 5.12 */
	__u8 udp_gro_flag;  /* bit number in udp_sock.udp_flags; 255: the kernel has a bit field of
			       udp_sock, or no such flag */
	__u8 has_late_drop; /* UDP deliveries are staged per NUMA node: 6.18 */
	__u8 has_task_pt_regs; /* bpf_task_pt_regs(): 5.15 */
	__u8 has_drop_skb; /* tracepoint udp_fail_queue_rcv_skb has the buffer as an argument: 6.10
			    */
	__u8 preempted_exits;       /* programs at the end of system calls can be preempted: 7.x */
	__u8 preempted_tracepoints; /* programs of BTF-typed tracepoints can, too: 7.0 */
	__u8 pad[3];
};

#define FILTER_NETNS_MAX 8
#define FILTER_PORTS_MAX 4

/* Which sockets to look at, by properties that the kernel can check at once; 0 means any. */
struct filter_config {
	__u32 netns[FILTER_NETNS_MAX]; /* inodes, up to the first 0 */
	__u16 family;
	__u16 protocol;                /* IPPROTO_TCP (with MPTCP) or IPPROTO_UDP */
	__u16 ports[FILTER_PORTS_MAX]; /* if there are so few, host order: comparing costs less than
					  a table, whose cache lines are cold for ports that are
					  seldom seen */
	__u8 by_port; /* without these, only ports whose bit is set in the table of ports that each
			 set of programs has */
	__u8 pad[3];
};

#ifndef __bpf__
_Static_assert(sizeof(struct kernel_config) == 12, "layout");
_Static_assert(sizeof(struct filter_config) == 48, "layout");
#endif

#endif
