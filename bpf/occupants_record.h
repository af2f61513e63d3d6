/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The records that the iterators of occupants.bpf.c write, as a stream, and
 * user/collect/occupants.c reads.
 */
#ifndef SOCKFAIR_OCCUPANTS_RECORD_H
#define SOCKFAIR_OCCUPANTS_RECORD_H

#ifndef __bpf__
#include <linux/types.h>
#endif

/*
 * The state of the port's bucket in TCP (struct inet_bind_bucket): see struct bind_bucket in
 * user/bind/bind.h.
 */
struct occupants_bucket {
	__u8 address[16];
	__u32 uid;
	__u16 family;
	__s8 reuse;
	__s8 reuseport;
	__u8 v6only;
	__u8 known;
	__u8 pad[2];
	__u32 l3mdev; /* index of the VRF device if the bucket has only sockets of that device; 0:
			 sockets of no VRF, or of all */
};

/* A socket. A socket that processes hold is written once for each descriptor. */
struct occupants_record {
	__u64 node; /* address of the kernel's socket: only a name, to join the records of one scan
		     */
	__u64 cookie;     /* 0: the socket has none yet */
	__u64 started_ns; /* start of the process that holds the socket (CLOCK_BOOTTIME); 0: none */
	__u64 receiver;   /* the kernel function that takes what arrives, if the socket is the
			     kernel's own */
	__u32 netns;      /* inode */
	__u32 inode;      /* 0: the socket has no file */
	__u32 uid;
	__u32 device;     /* interface index; 0: any */
	__u32 pid;        /* 0: not found by a descriptor */
	__u32 pid_inside; /* as seen in its own pid namespace */
	__u32 parent;     /* parent of the process */
	__u32 descriptor;
	__u16 port; /* host order; 0: the holder of an MPTCP socket of which only subflows have
		       ports */
	__u16 family;
	__u16 protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 state;     /* TCP_* */
	__u8 reuseaddr;
	__u8 reuseport;
	__u8 v6only;
	__u8 has_file;     /* the socket has a file, so some process holds it */
	__u8 encapsulates; /* UDP: the kernel takes datagrams out before they are queued */
	__u8 by_kernel;    /* the kernel made the socket for itself */
	__u8 port_asked;   /* bind() named the port (SOCK_BINDPORT_LOCK); never set for TIME_WAIT or
			      for a connection that accept() returned */
	__u16 peer_port;   /* host order; 0: not connected */
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
