/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the counting programs (count.bpf.c) and user/collect/observer_*.c share. Fixed-width types,
 * explicit padding.
 *
 * Kernel memory, with what the kernel adds to an entry of a hash: workers 1.3 MiB + 1.1 MiB of
 * index, 0.5 MiB of histograms, whom they serve 0.8 MiB + 1.1 MiB of connections, sockets 0.5 MiB +
 * 0.3 MiB of index, arrivals 0.6 MiB at most, children 0.5 MiB, sketches of flows 0.3 MiB. With 0.7
 * MiB of the inventory (holders.h) under 8 MiB up to 16 CPUs; each CPU above takes 40 KiB more
 * (COUNT_SOCKETS_LEAST arrivals).
 */
#ifndef SOCKFAIR_COUNT_H
#define SOCKFAIR_COUNT_H

#include <linux/types.h>

#include "shares.h"
#include "wait_slots.h"

#define COUNT_WORKERS_MAX 10240 /* rows (socket, thread) */
/*
 * Rows (socket, CPU) are shared by the CPUs: of so many sockets as fit. From 16 CPUs on it is
 * always COUNT_SOCKETS_LEAST sockets, so that a group with one for each CPU fits, and memory
 * follows the CPUs.
 */
#define COUNT_SOCKETS_MAX 10240
#define COUNT_SOCKETS_LEAST 1280
#define COUNT_ARRIVALS_MAX 20480
#define COUNT_CHILDREN                                                                             \
	32768 /* more than the ports that a client picks from by default (32768 to 60999) */
#define COUNT_HISTOGRAMS 576 /* of waits: a row of `workers` takes one at its first accept */
#define COUNT_SKETCHES 512   /* UDP sockets with SO_REUSEPORT whose flows are told apart */
#define COUNT_SKETCH_BUCKETS 128
/*
 * Open connections that are followed. On kernels that can allocate an entry when it is needed (6.1)
 * a bound of COUNT_CONNECTIONS_GROWING costs its buckets, 1 MiB, and then 96 bytes for each
 * connection that is open; each CPU above 16 adds COUNT_CONNECTIONS_CPU, rounded down to a power of
 * two, as buckets are.
 */
#define COUNT_CONNECTIONS 8192
#define COUNT_CONNECTIONS_GROWING 65536
#define COUNT_CONNECTIONS_CPU 4096
#define COUNT_OLDER 2048 /* of those that were open before the window */
#define COUNT_OLDER_GROWING 8192
#define COUNT_OWNERS 1024 /* of them; the first is who is not known */

/* What could not be counted or attributed. user/collect/observer_lost.c has the text of each. */
enum count_lost {
	COUNT_LOST_WORKERS_FULL,
	COUNT_LOST_SOCKETS_FULL,
	COUNT_LOST_COOKIE_UNKNOWN,
	COUNT_LOST_LISTENER_UNKNOWN,
	COUNT_LOST_STASH_BUSY,
	COUNT_LOST_SHUTDOWN_READ,
	COUNT_LOST_URING_LISTENER_UNKNOWN,
	COUNT_LOST_UNDECIDED,
	COUNT_LOST_TAKEN_DROPPED,
	/* Of following connections: counts are whole all the same. */
	COUNT_LOST_CONNECTIONS_FULL,
	COUNT_LOST_SERVERS_FULL,
	COUNT_LOST_MPTCP_UNFOLLOWED,
	COUNT_LOST_CONNECTION_UNKNOWN,
	COUNT_LOST_REASONS
};
#define COUNT_LOST_ROOM 32 /* a power of two, for the verifier */

/* Whose it was, as far as the kernel knows: 0 is not known. */
struct count_lost_key {
	__u32 netns;   /* inode */
	__u16 port;    /* host order */
	__u8 protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 reason;   /* enum count_lost */
};
#define COUNT_LOST_PORTS 512 /* keys; of more ports it is only known which they are */
#define COUNT_PORTS 65536

/* Where processes are asked for: what is known of a socket, in asked_by_cookie. */
#define COUNT_ASKED 1          /* such a process holds it, or has listened on it or taken from it */
#define COUNT_UNASKED 2        /* none of those that hold it is */
#define COUNT_PROCESSES_MAX 64 /* pids, and names, that are compared in the kernel */

/* Set before loading (rodata), beside config.h: the verifier removes what is not asked for. */
struct count_config {
	__u32 cpus;           /* possible CPUs */
	__u32 undecided_max;  /* by_socket: rows for sockets of which it is not known whether they
				 are asked for */
	__u8 by_socket;       /* asked_by_cookie says which sockets are asked for */
	__u8 without_clients; /* leave out UDP sockets whose port the kernel picked */
	__u8 waits;           /* measure how long connections wait in accept queues */
	__u8 serves;          /* follow connections from accept to first read and close */
	__u8 marks_clones; /* tracepoint backend: inet_sock_set_state tells of connections that are
			      made */
	__u8 udp_queued_seen; /* datagrams are seen when they are queued, not only when they are
				 read */
	__u8 by_pid, by_comm; /* who is asked for is in asked_pids, and by name in asked_comms;
				 neither: only user space can tell */
	__u32 share_seed;     /* see shares.h */
	__u32 pool_max[COUNT_POOLS]; /* rows */
};

#define COUNT_ACCEPTS 1
#define COUNT_SERVES 2
#define COUNT_SERVERS_MAX                                                                          \
	(COUNT_WORKERS_MAX / 2) /* rows made for serving alone: a thread for each connection must  \
				   not crowd out who accepts */

struct count_worker_key {
	__u64 cookie;
	__u64 start_ns; /* CLOCK_BOOTTIME; 0: counted by an io_uring kernel thread for its owner */
	__u32 tid;
	__u32 pad;
};

/* What accepts of a thread waited in the queue. */
struct count_wait {
	__u64 count;
	__u64 sum_us;
	__u32 max_us;
	__u32 histogram; /* index from 1; 0: none was left */
	__u32 before;    /* accepted, but queued before the window began: in none of the above */
	__u32 reset;     /* accepted, but reset by the client while in the queue */
};

/*
 * A thread on a socket. `events` and `wait` have one writer, the thread itself, in process context.
 * What every accept touches is one cache line, which no other thread's row shares.
 */
struct count_worker {
	__u64 cookie;
	__u64 events;        /* TCP: accepts. UDP: datagrams received */
	__u64 events_atomic; /* the same, added by io_uring's kernel threads for their owner */
	struct count_wait wait;
	__u32 used;       /* the row is complete: COUNT_ACCEPTS, or COUNT_SERVES if it was made for
			     serving alone */
	__u32 generation; /* goes up when user space takes the row back: threads remember rows */

	__u64 start_ns;
	__u32 tid;
	__u32 pid;
	char comm[16];
	__u32 netns; /* of its socket, with the two that follow */
	__u16 port;  /* host order */
	__u8 protocol;
	__u8 pad1;
	__u64 unfollowed; /* of its connections nobody tells when they end, or who reads first */
	__u32 uid;        /* of the thread, when the row was made: who has a share of the rows */
	__u32 histogram_share; /* cell that has it, see shares.h */
	__u64 pad2;
};

/* Counts wrap; user space reads them often. */
struct count_histogram {
	__u32 slots[WAIT_SLOTS];
};

/* What connections carried: data, as TCP has it. */
struct count_bytes {
	__u64 received;
	__u64 sent; /* at least once */
};

/* Beside a row of `workers`: the connections that this thread serves. Open: opened - moved -
 * closed. */
struct count_serve {
	__u64 served;    /* this thread was the first to read */
	__u64 handed;    /* of those, accepted by another thread */
	__u64 handed_ns; /* from accept to first read, sum */
	__u64 handed_max_ns;
	__u64 opened; /* accepted, or taken over at the first read */
	__u64 moved;  /* handed to another thread */
	__u64 closed;
	__u64 closed_ns;            /* their lifetimes, sum */
	struct count_bytes carried; /* by those that are closed */
};

/* An accepted connection until it closes, found by the address of its struct sock. */
struct count_connection {
	__u64 cookie; /* of its listener */
	__u64 accepted_ns;
	__u32 worker;     /* the row of who serves it, or has accepted it */
	__u32 generation; /* of that row */
	__u32 tid;        /* of who accepted it */
	__u32 served;     /* somebody has read from it */
};

/* A connection that was open before the window began, likewise. */
struct count_older {
	struct count_bytes before; /* what it had carried by then */
	__u64 identity;            /* see identity_of() */
	__u32 owner;               /* in `older_ended`; user space knows who that is */
	__u32 pad;
};

/* What read_open() writes of one of either. */
struct count_open {
	__u64 sk;
	__u64 accepted_ns;         /* CLOCK_MONOTONIC; 0: before the window */
	struct count_bytes bytes;  /* since it began */
	struct count_bytes before; /* of those, before the window */
	__u64 identity, expected;  /* older: of what has that address now, and of the connection */
	__u32 row;                 /* of `workers`; older: of `older_ended` */
	__u32 generation;          /* of the row of `workers` */
	__u8 older;
	__u8 served;
	__u8 state;
	__u8 family;
	__u16 peer_port; /* host order */
	__u16 pad;
	__u8 peer[16]; /* network order */
};

#define COUNT_UNDECIDED 2

#define COUNT_REUSEPORT 1
#define COUNT_CONNECTED 2 /* UDP: it gets the datagrams of one peer alone */

struct count_socket {
	__u64 cookie;
	__u32 inode;
	__u32 uid;
	__u32 netns;
	__u16 port; /* host order */
	__u8 family;
	__u8 used; /* the row is complete: 1, or COUNT_UNDECIDED if it is not known whether the
		      socket is asked for */
	__u8 address[16]; /* network order */
	__u32 limit;      /* TCP: backlog. UDP: SO_RCVBUF in bytes */
	__u8 protocol;    /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 flags;       /* when it was first seen */
	__u16 sketch;     /* index from 1; 0: it has none */
	__u32 left_reset; /* TCP: connections in its queue that its closing reset */
	__s32 left_moved; /* TCP: those that moved to other sockets (net.ipv4.tcp_migrate_req);
			     below 0 where the row came back meanwhile */
};

/* A socket on a CPU. One writer: that CPU with bottom halves off. */
struct count_arrival {
	__u64 arrived;
	__u64 dropped;
	__u64 dropped_late; /* counted as arrived before, then dropped: 6.18's staged delivery */
	union {
		__u32 queue_highest; /* TCP: the longest accept queue after an arrival here */
		__u32 copies; /* UDP: of arrived, those that were sent to a multicast or broadcast
				 address (where the hook shows the buffer); wraps */
	};
	__u32 several; /* UDP: of arrived and dropped, buffers that were counted as one datagram and
			  may hold several; wraps */
};

/* Who sent a datagram. In network order. */
struct count_peer {
	__u32 address[4]; /* IPv4 as v4-mapped IPv6 */
	__u16 port;
	__u16 pad;
};

/*
 * A UDP socket with SO_REUSEPORT: how many datagrams came of each flow (client address and port),
 * dropped ones too, added up in a bucket by the flow's hash. Counts wrap; user space reads them
 * often. Every CPU adds to them, atomically.
 */
struct count_sketch {
	__u32 buckets[COUNT_SKETCH_BUCKETS];
	__u64 last;     /* tracepoint backend: the buffer that was noted last, see flow_told() */
	__s64 ahead;    /* buffers that were noted before we were called for them */
	__s64 votes;    /* for `peer`: see flow_vote() */
	__u32 heaviest; /* bucket, from 1, whose datagrams vote; 0: none yet */
	__u32 since;    /* what it had when they began to; wraps */
	struct count_peer peer;
	__u32 pad;
};

/* A connection between its arrival and its accept, found by a hash of its address. */
struct count_child {
	__u64 child;  /* address of its struct sock */
	__u64 cookie; /* of its listener */
};

#ifndef __bpf__
#include <stddef.h>

_Static_assert(sizeof(struct count_config) == 36, "layout");
_Static_assert(sizeof(struct count_lost_key) == 8, "layout");
_Static_assert(COUNT_LOST_REASONS <= COUNT_LOST_ROOM, "room");
_Static_assert(sizeof(struct count_worker_key) == 24, "layout");
_Static_assert(sizeof(struct count_worker) == 128 && offsetof(struct count_worker, start_ns) == 64,
	       "layout");
_Static_assert(sizeof(struct count_wait) == 32, "layout");
_Static_assert(sizeof(struct count_histogram) == 800, "layout");
_Static_assert(sizeof(struct count_serve) == 80, "layout");
_Static_assert(sizeof(struct count_connection) == 32, "layout");
_Static_assert(sizeof(struct count_older) == 32, "layout");
_Static_assert(sizeof(struct count_open) == 96, "layout");
_Static_assert(sizeof(struct count_socket) == 56, "layout");
_Static_assert(sizeof(struct count_arrival) == 32, "layout");
_Static_assert(sizeof(struct count_child) == 16, "layout");
_Static_assert(sizeof(struct count_peer) == 20, "layout");
_Static_assert(sizeof(struct count_sketch) == 568, "layout");
#endif

#endif
