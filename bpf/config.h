/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What user space tells all programs before they are loaded (rodata): which kernel this is, and
 * which sockets are asked for. */
#ifndef SOCKFAIR_CONFIG_H
#define SOCKFAIR_CONFIG_H

#ifndef __bpf__
#include <linux/types.h>
#endif

/* What this kernel has. */
struct kernel_config {
	__u8 has_task_storage;  /* bpf_task_storage_get(): 5.11, in tracing programs 5.12 */
	__u8 has_rdonly_cast;   /* bpf_rdonly_cast(): 6.2 */
	__u8 has_socket_cookie; /* bpf_get_socket_cookie() in tracing programs: 5.12 */
	__u8 udp_gro_flag; /* bit of udp_sock.udp_flags; 255: a bit field of udp_sock, or nothing */
	__u8 has_late_drop;    /* UDP deliveries are staged per NUMA node: 6.18 */
	__u8 has_task_pt_regs; /* bpf_task_pt_regs(): 5.15 */
	__u8 has_drop_skb;     /* tracepoint udp_fail_queue_rcv_skb shows the buffer: 6.10 */
	__u8 preempted_exits;  /* programs at the end of system calls can be preempted: 7.x */
};

#define FILTER_NETNS_MAX 8

/* Which sockets, by what the kernel can tell at once; 0: any. */
struct filter_config {
	__u32 netns[FILTER_NETNS_MAX]; /* inodes, up to the first 0 */
	__u16 family;
	__u16 protocol; /* IPPROTO_TCP (with MPTCP) or IPPROTO_UDP */
	__u8 by_port;   /* only ports whose bit is set in a table of the programs' */
	__u8 pad[3];
};

#ifndef __bpf__
_Static_assert(sizeof(struct kernel_config) == 8, "layout");
_Static_assert(sizeof(struct filter_config) == 40, "layout");
#endif

#endif
