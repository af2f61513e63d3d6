/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the iterators of ports.bpf.c write and user/collect/port_range.c reads: a stream of records.
 */
#ifndef SOCKFAIR_PORTS_RECORD_H
#define SOCKFAIR_PORTS_RECORD_H

#ifndef __bpf__
#include <linux/types.h>
#endif

/* A socket that has one of the ports asked for; one that processes hold once for each descriptor.
 */
struct ports_record {
	__u64 cookie; /* 0: it has none yet */
	__u32 netns;  /* inode */
	__u32 inode;  /* 0: no file */
	__u32 uid;
	__u32 device; /* interface index; 0: any */
	__u32 pid;    /* 0: not by a descriptor */
	__u32 l3mdev; /* TCP: index of the VRF device whose ports these are; 0: of none, or of all
		       */
	__u16 port, peer_port;  /* host order */
	__u16 family, protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 state;             /* TCP_* */
	__u8 reuseaddr, reuseport, v6only;
	__u8 bucket; /* TCP: the next two are known */
	__s8 bucket_reuse,
		bucket_reuseport; /* struct inet_bind_bucket: below 0: connect() alone picked it */
	__u8 has_file;
	__u8 address[16], peer[16]; /* network order */
	char process[16];
};

#ifndef __bpf__
_Static_assert(sizeof(struct ports_record) == 96, "layout");
#endif

#endif
