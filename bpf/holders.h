/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The layouts that the inventory's iterators (holders.bpf.c) write and
 * user/collect/inventory_scan.c reads: a stream of records, each of which begins with its kind.
 * Addresses of kernel objects serve as names only, to join the records of one scan.
 */
#ifndef SOCKFAIR_HOLDERS_H
#define SOCKFAIR_HOLDERS_H

#ifndef __bpf__
#include <linux/types.h>
#endif

/*
 * How many waiters are listed for one socket or epoll. They lie in an array beside the iterator's
 * stream, because the stream holds at most 32 KiB for one file.
 */
#define HOLDERS_WAITERS_MAX 16384
/* Waiters of one wait queue: before 5.17 the verifier walks every turn of the loop. */
#define HOLDERS_WAITERS_OLD 256
#define HOLDERS_STREAM                                                                             \
	32768 /* the most that one read of an iterator returns: PAGE_SIZE << 3                     \
		 (kernel/bpf/bpf_iter.c) */
#define HOLDERS_PROCESSES_MAX 16384

enum holders_kind {
	HOLDERS_SOCKET,  /* struct holders_socket_record; once per scan, mostly */
	HOLDERS_EPOLL,   /* struct holders_epoll_record */
	HOLDERS_HOLDER,  /* struct holders_holder_record: a process that holds the socket or epoll
			    before it, or one listed earlier */
	HOLDERS_WAITERS, /* struct holders_waiters_record: the waiters on the socket or epoll before
			    it */
	HOLDERS_THREAD,  /* struct holders_thread_record */
	HOLDERS_CONNECTION, /* struct holders_connection_record: list_connections */
	HOLDERS_PROGRAM, /* struct holders_program_record: the program of the reuseport group of the
			    socket before it; seldom more than once */
};

/*
 * The kind of an entry in a wait queue. It is kept in the lowest bits of an address, which are 0
 * in the address of any kernel object.
 */
#define HOLDERS_BY_SLEEP 0 /* a thread that sleeps in accept(), in a read, or in epoll_wait() */
#define HOLDERS_BY_POLL 1  /* a thread in poll() or select() */
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

/*
 * The waiters of one wait queue: places in `waiters`, which stay valid until the next read. Each
 * place has the address of a task or an epoll, and HOLDERS_HOW; 0 means a waiter of an unknown
 * kind.
 */
struct holders_waiters_record {
	__u32 kind;
	__u32 first;
	__u32 count;
	__u32 cut; /* there are more waiters, or may be: there was no room, or the queue changed
		      each time it was walked */
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
	__u64 cookie; /* 0: the socket has none yet */
	__u64 group;  /* address of its struct sock_reuseport; 0: none */
	__u32 inode;
	__u32 uid;
	__u32 device; /* interface index; 0: any */
	__u32 length; /* TCP: connections in the accept queue. UDP: bytes in the receive queue */
	__u32 limit;  /* TCP: backlog. UDP: SO_RCVBUF */
	__u32 drops;
	__u8 address[16]; /* network order */
	__u16 port;       /* host order */
	__u16 family;
	__u8 protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 reuseport;
	__u8 v6only;
	__u8 connected;     /* UDP */
	__u8 autobound;     /* UDP: the kernel picked the port, so the socket is a client */
	__u8 steered;       /* the reuseport group has a program that picks the socket */
	__u8 member;        /* UDP: the socket is a member of a multicast group */
	__u8 bound;         /* TCP: the socket is bound to the port and does not listen */
	__s32 incoming_cpu; /* SO_INCOMING_CPU; negative: not set */
	/* TCP: the request queue, which holds handshakes under way */
	__u32 half_open;
	__u32 young; /* of `half_open`, the handshakes whose SYN-ACK has not been repeated yet */
	__u8 defer_accept; /* TCP_DEFER_ACCEPT, as timeouts of the SYN-ACK; 0: not set */
	__u8 syn_retries;  /* TCP_SYNCNT; 0: the socket uses net.ipv4.tcp_synack_retries */
	__u8 pad[6];
};

#define HOLDERS_INSTRUCTIONS 64

/* The program that picks a socket of a SO_REUSEPORT group. */
struct holders_program_record {
	__u32 kind;
	__u32 sockets; /* sockets in the group, as the kernel counts them */
	__u64 group;
	__u32 classic; /* the program was attached as classic BPF */
	__u32 length;  /* number of instructions; a program with more than HOLDERS_INSTRUCTIONS is
			  not copied */
	__u32 id;      /* the kernel's number of an eBPF program; 0: classic */
	__u32 pad;
	char name[16];                            /* of an eBPF program */
	__u64 instructions[HOLDERS_INSTRUCTIONS]; /* struct sock_filter */
};

/* A TCP connection that a descriptor leads to. */
struct holders_connection_record {
	__u32 kind;
	__u32 pid;
	__u64 node;
	__u64 waiter;         /* the first entry of its wait queue, in the form used in `waiters` */
	__u64 received, sent; /* bytes, as bytes_of() counts them */
	__u32 netns;          /* inode */
	__u16 port;           /* local, host order */
	__u16 peer_port;      /* host order */
	__u32 peer;           /* the kernel's skc_daddr, network order */
	__u16 family;
	__u16 mptcp;      /* an MPTCP connection, whose bytes travel in several subflows: it is not
			     followed */
	__u8 address[16]; /* local, network order */
};

struct holders_thread_record {
	__u32 kind;
	__u32 pid;
	__u64 task;
	__u64 start_ns; /* CLOCK_BOOTTIME */
	__u64 cgroups;  /* address of its struct css_set: threads with the same css_set are in the
			   same cgroups */
	__u32 tid;
	__u32 pid_inside; /* as seen in its own pid namespace */
	__u32 tid_inside;
	__u32 uid;     /* effective */
	__u32 threads; /* number of threads in its process */
	__u32 parent;  /* pid of the process's parent */
	__u64 cpu_ns;  /* CPU time since the thread began; for a thread that is running, up to the
			  last tick */
	__u64 sleeps;  /* voluntary context switches since the thread began: how often it went to
			  sleep */
	__u64 gone_cpu_ns; /* CPU time of the threads of its process that have ended */
	__u32 helper; /* a thread of io_uring: it waits for the thread that owns the ring, and is
			 not a thread of the server itself */
	__u32 pad;
	__u64 descriptors; /* RLIMIT_NOFILE; 0: user space did not ask, or the fields below can't be
			      determined */
	__u32 descriptors_full; /* no descriptor below that limit is free */
	__u32 files_free; /* fs.file-max does not limit the thread: it has CAP_SYS_ADMIN of the
			     machine. Also set only if user space asked */
	char comm[16];
	char process[16];
};

#ifndef __bpf__
_Static_assert(sizeof(struct holders_epoll_record) == 16, "layout");
_Static_assert(sizeof(struct holders_waiters_record) == 16, "layout");
_Static_assert(sizeof(struct holders_holder_record) == 24, "layout");
_Static_assert(sizeof(struct holders_socket_record) == 104, "layout");
_Static_assert(sizeof(struct holders_program_record) == 560, "layout");
_Static_assert(sizeof(struct holders_connection_record) == 72, "layout");
_Static_assert(sizeof(struct holders_thread_record) == 136, "layout");
#endif

#endif
