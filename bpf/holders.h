/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the inventory's iterators (holders.bpf.c) write and user/collect/inventory_scan.c reads: a
 * stream of records, each begins with its kind. Addresses of kernel objects are names only, good
 * for joining the records of one scan.
 */
#ifndef SOCKFAIR_HOLDERS_H
#define SOCKFAIR_HOLDERS_H

#ifndef __bpf__
#include <linux/types.h>
#endif

/* Waiters listed of one socket or epoll. They lie in an array beside the iterator's stream, which
 * holds 32 KiB at most of one file. */
#define HOLDERS_WAITERS_MAX 16384
#define HOLDERS_WAITERS_OLD 256 /* of one wait queue: before 5.17 the verifier walks the loop */
#define HOLDERS_STREAM                                                                             \
	32768 /* what one read of an iterator gives at most: PAGE_SIZE << 3                        \
		 (kernel/bpf/bpf_iter.c) */
#define HOLDERS_PROCESSES_MAX 16384

enum holders_kind {
	HOLDERS_SOCKET, /* struct holders_socket_record; once per scan, mostly */
	HOLDERS_EPOLL,  /* struct holders_epoll_record */
	HOLDERS_HOLDER, /* struct holders_holder_record: of the socket or epoll before it, or of one
			   listed earlier */
	HOLDERS_WAITERS, /* struct holders_waiters_record: who waits on the socket or epoll before
			    it */
	HOLDERS_THREAD,  /* struct holders_thread_record */
	HOLDERS_CONNECTION, /* struct holders_connection_record: list_connections */
	HOLDERS_PROGRAM,    /* struct holders_program_record: of the group of the socket before it;
			       seldom more than once */
};

/* What an entry of a wait queue is: the lowest bits of an address say it, which are 0 in that of
 * any kernel object. */
#define HOLDERS_BY_SLEEP 0 /* of a thread in accept(), a read, or epoll_wait() */
#define HOLDERS_BY_POLL 1  /* of a thread in poll() or select() */
#define HOLDERS_BY_EPOLL 2
#define HOLDERS_BY_URING 3
#define HOLDERS_BY 3
#define HOLDERS_EXCLUSIVE 4 /* a wake-up stops at such an entry */
#define HOLDERS_HOW 7

struct holders_epoll_record {
	__u32 kind;
	__u32 pad;
	__u64 node;
};

/* Of a wait queue: places in `waiters`, which hold until the next read. Each has the address of a
 * task or an epoll, and HOLDERS_HOW; 0: none that we know. */
struct holders_waiters_record {
	__u32 kind;
	__u32 first;
	__u32 count;
	__u32 cut; /* there are more, or may be: no room, or the queue changed whenever we walked it
		    */
};

struct holders_holder_record {
	__u32 kind;
	__u32 pid;
	__u64 node;
	__u32 fd;
	__u32 pad;
};

struct holders_socket_record {
	__u32 kind;
	__u32 netns; /* inode */
	__u64 node;
	__u64 cookie; /* 0: it has none yet */
	__u64 group;  /* its struct sock_reuseport; 0: none */
	__u32 inode;
	__u32 uid;
	__u32 device; /* interface index; 0: any */
	__u32 length; /* TCP: connections in the accept queue. UDP: bytes */
	__u32 limit;  /* TCP: backlog. UDP: SO_RCVBUF */
	__u32 drops;
	__u8 address[16]; /* network order */
	__u16 port;       /* host order */
	__u16 family;
	__u8 protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 reuseport;
	__u8 v6only;
	__u8 connected;     /* UDP */
	__u8 autobound;     /* UDP: the kernel picked the port: a client */
	__u8 steered;       /* its group has a program */
	__u8 member;        /* UDP: of a multicast group */
	__u8 bound;         /* TCP: it has the port and does not listen */
	__s32 incoming_cpu; /* SO_INCOMING_CPU; negative: not set */
	/* TCP: the request queue, of handshakes under way */
	__u32 half_open;
	__u32 young;       /* of them, those whose SYN-ACK was not repeated by now */
	__u8 defer_accept; /* TCP_DEFER_ACCEPT, as timeouts of the SYN-ACK; 0: not set */
	__u8 syn_retries;  /* TCP_SYNCNT; 0: as net.ipv4.tcp_synack_retries says */
	__u8 pad[6];
};

#define HOLDERS_INSTRUCTIONS 64

/* The program that picks among a SO_REUSEPORT group. */
struct holders_program_record {
	__u32 kind;
	__u32 sockets; /* of the group, as the kernel has it */
	__u64 group;
	__u32 classic; /* attached as classic BPF */
	__u32 length;  /* instructions; of more than HOLDERS_INSTRUCTIONS none are here */
	__u64 instructions[HOLDERS_INSTRUCTIONS]; /* struct sock_filter */
};

/* A TCP connection that a descriptor leads to. */
struct holders_connection_record {
	__u32 kind;
	__u32 pid;
	__u64 node;
	__u64 waiter;         /* of its wait queue the first, as in `waiters` */
	__u64 received, sent; /* bytes, as bytes_of() has them */
	__u32 netns;          /* inode */
	__u16 port;           /* local, host order */
	__u16 peer_port;      /* host order */
	__u32 peer;           /* the kernel's skc_daddr, network order */
	__u16 family;
	__u16 mptcp;      /* it has its bytes in several subflows: not followed */
	__u8 address[16]; /* local, network order */
};

struct holders_thread_record {
	__u32 kind;
	__u32 pid;
	__u64 task;
	__u64 start_ns; /* CLOCK_BOOTTIME */
	__u64 cgroups;  /* its struct css_set: threads with the same one are in the same cgroups */
	__u32 tid;
	__u32 pid_inside; /* as its own pid namespace counts */
	__u32 tid_inside;
	__u32 uid;     /* effective */
	__u32 threads; /* of its process */
	__u32 parent;  /* its pid */
	__u64 cpu_ns;  /* that it has run since it began; of one that runs now, up to the last tick
			*/
	__u64 sleeps;  /* voluntary context switches since then: how often it went to sleep */
	__u64 gone_cpu_ns; /* of its process: what threads that are gone have run */
	__u32 helper;      /* a thread of io_uring: it waits for its owner, and is no thread of the
			      server's */
	__u32 pad;
	__u64 descriptors; /* its RLIMIT_NOFILE; 0: it was not asked for, or what is below can't be
			      told */
	__u32 descriptors_full; /* no descriptor below that is free */
	__u32 files_free;       /* fs.file-max does not hold for it: CAP_SYS_ADMIN of the machine.
				   Likewise only where it was asked for */
	char comm[16];
	char process[16];
};

#ifndef __bpf__
_Static_assert(sizeof(struct holders_epoll_record) == 16, "layout");
_Static_assert(sizeof(struct holders_waiters_record) == 16, "layout");
_Static_assert(sizeof(struct holders_holder_record) == 24, "layout");
_Static_assert(sizeof(struct holders_socket_record) == 104, "layout");
_Static_assert(sizeof(struct holders_program_record) == 536, "layout");
_Static_assert(sizeof(struct holders_connection_record) == 72, "layout");
_Static_assert(sizeof(struct holders_thread_record) == 136, "layout");
#endif

#endif
