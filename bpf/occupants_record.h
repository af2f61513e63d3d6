/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the iterators of occupants.bpf.c write and user/collect/occupants.c reads: a stream of
 * records. */
#ifndef SOCKFAIR_OCCUPANTS_RECORD_H
#define SOCKFAIR_OCCUPANTS_RECORD_H

#ifndef __bpf__
#include <linux/types.h>
#endif

/* The mark of TCP's bucket (struct inet_bind_bucket) of the port: see struct bind_bucket in
 * user/bind/bind.h. */
struct occupants_bucket {
	__u8 address[16];
	__u32 uid;
	__u16 family;
	__s8 reuse;
	__s8 reuseport;
	__u8 v6only;
	__u8 known;
	__u8 pad[2];
	__u32 l3mdev; /* index of the VRF device whose sockets alone it has; 0: those of no VRF, or
			 of all */
};

/* A socket, or one that a process holds: then once for each descriptor. */
struct occupants_record {
	__u64 node; /* address of the kernel's socket: a name only, good for joining the records of
		       one scan */
	__u64 cookie;     /* 0: it has none yet */
	__u64 started_ns; /* of the process that holds it (CLOCK_BOOTTIME); 0: none */
	__u64 receiver;   /* the kernel's function that takes what arrives; where the kernel itself
			     has the socket */
	__u32 netns;      /* inode */
	__u32 inode;      /* 0: no file */
	__u32 uid;
	__u32 device;     /* interface index; 0: any */
	__u32 pid;        /* 0: not by a descriptor */
	__u32 pid_inside; /* as its own pid namespace counts */
	__u32 parent;     /* of the process */
	__u32 descriptor;
	__u16 port; /* host order; 0: a holder of MPTCP subflows alone */
	__u16 family;
	__u16 protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 state;     /* TCP_* */
	__u8 reuseaddr;
	__u8 reuseport;
	__u8 v6only;
	__u8 has_file;     /* it has one, so somebody holds it */
	__u8 encapsulates; /* UDP: the kernel takes its datagrams out before they are queued */
	__u8 by_kernel;    /* made by the kernel for itself */
	__u8 port_asked; /* bind() named the port (SOCK_BINDPORT_LOCK); never of TIME_WAIT, nor of a
			    connection that accept() gives */
	__u16 peer_port; /* host order; 0: not connected */
	__u8 connect_picked; /* connect() picked the port; known since 6.18 */
	__u8 pad[3];
	__u8 address[16]; /* network order */
	__u8 peer[16];
	struct occupants_bucket bucket;
	char process[16];
};

#ifndef __bpf__
_Static_assert(sizeof(struct occupants_bucket) == 32, "layout");
_Static_assert(sizeof(struct occupants_record) == 168, "layout");
#endif

#endif
