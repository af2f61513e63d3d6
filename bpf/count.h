/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The layouts that the counting programs (count.bpf.c) share with user/collect/observer_*.c. Types
 * have a fixed width and padding is explicit.
 *
 * Kernel memory, including what the kernel adds to each entry of a hash: workers 1.3 MiB + 1.1 MiB
 * of index, histograms 0.5 MiB, whom the workers serve 0.8 MiB + 1.2 MiB of connections, sockets
 * 0.5 MiB + 0.3 MiB of index, arrivals 0.6 MiB at most, children 0.5 MiB, sketches of flows 0.3
 * MiB. With the 0.7 MiB of the inventory (holders.h) the total stays below 8 MiB up to 16 CPUs;
 * each CPU above 16 takes 40 KiB more (COUNT_SOCKETS_LEAST arrivals).
 */
#ifndef SOCKFAIR_COUNT_H
#define SOCKFAIR_COUNT_H

#include <linux/types.h>

#include "shares.h"
#include "steer.h"
#include "wait_slots.h"

#define COUNT_WORKERS_MAX 10240 /* rows (socket, thread) */
/*
 * The table of rows (socket, CPU) has a fixed size, so the more CPUs there are, the fewer sockets
 * fit into it. From 16 CPUs on the table grows with the CPUs instead and always holds
 * COUNT_SOCKETS_LEAST sockets, so that a reuseport group with one socket for each CPU fits.
 */
#define COUNT_SOCKETS_MAX 10240
#define COUNT_SOCKETS_LEAST 1280
#define COUNT_ARRIVALS_MAX 20480
#define COUNT_CHILDREN                                                                             \
	32768 /* more than the ports that a client picks from by default (32768 to 60999) */
#define COUNT_HISTOGRAMS 576 /* of waits: a row of `workers` takes one at its first accept */
#define COUNT_SKETCHES 512   /* UDP sockets with SO_REUSEPORT whose flows are counted apart */
#define COUNT_SKETCH_BUCKETS 128
/*
 * How many open connections are followed. On kernels that can allocate an entry when it is needed
 * (6.1), a limit of COUNT_CONNECTIONS_GROWING costs 1 MiB for its buckets, and then 96 bytes for
 * each open connection. Each CPU above 16 adds COUNT_CONNECTIONS_CPU to the limit, and the sum is
 * rounded down to a power of two, as the number of buckets is one.
 */
#define COUNT_CONNECTIONS 8192
#define COUNT_CONNECTIONS_GROWING 65536
#define COUNT_CONNECTIONS_CPU 4096
/*
 * Most open connections are found in an array, at the place that the address of their struct sock
 * gives, without the cost of a hash; a connection whose place is taken goes into the hash. Kernels
 * before 6.1 may lack the atomic operations (5.12; arm64 5.18), so there all go into the hash.
 */
#define COUNT_PLACES 4096
#define COUNT_OLDER 2048 /* connections that were open before the window */
#define COUNT_OLDER_GROWING 8192
#define COUNT_OWNERS 1024 /* owners of older connections; the first is the unknown owner */

/*
 * Why an event was not counted or not attributed. user/collect/observer_lost.c has the text of
 * each reason.
 */
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
	/* These concern following connections only: the counts stay complete. */
	COUNT_LOST_CONNECTIONS_FULL,
	COUNT_LOST_SERVERS_FULL,
	COUNT_LOST_MPTCP_UNFOLLOWED,
	COUNT_LOST_CONNECTION_UNKNOWN,
	COUNT_LOST_REASONS
};
#define COUNT_LOST_ROOM 32 /* must be a power of two, for the verifier */

/* The port whose events were lost, as far as the kernel knows it: 0 means not known. */
struct count_lost_key {
	__u32 netns;   /* inode */
	__u16 port;    /* host order */
	__u8 protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 reason;   /* enum count_lost */
};
/* Keys; for further ports only the fact that they lost something is kept. */
#define COUNT_LOST_PORTS 512
#define COUNT_PORTS 65536

/*
 * The mark of a socket in asked_by_cookie, used with a filter by process. COUNT_ASKED: a process
 * that is asked for holds the socket, has listened on it or has taken from it. COUNT_UNASKED: no
 * process that holds the socket is asked for.
 */
#define COUNT_ASKED 1
#define COUNT_UNASKED 2
#define COUNT_PROCESSES_MAX 64 /* pids, and names, that the kernel programs compare */

/*
 * Set before loading (rodata), together with config.h: the verifier removes the code for what is
 * not asked for.
 */
struct count_config {
	__u32 cpus;           /* possible CPUs */
	__u32 sockets;        /* rows of sockets */
	__u32 undecided_max;  /* with by_socket: how many rows may go to sockets of which it is not
				 yet known whether they are asked for */
	__u8 by_socket;       /* asked_by_cookie says which sockets are asked for */
	__u8 without_clients; /* leave out UDP sockets whose port the kernel picked */
	__u8 places;          /* open connections have places: COUNT_PLACES */
	__u8 waits;           /* measure how long connections wait in accept queues */
	__u8 serves;          /* follow connections from accept to first read and close */
	__u8 marks_clones; /* tracepoint backend: inet_sock_set_state also fires when a connection
			      is made */
	__u8 udp_queued_seen; /* datagrams are seen when they are queued, not only when they are
				 read */
	__u8 by_pid, by_comm; /* the processes that are asked for are in asked_pids, or by name in
				 asked_comms; if neither is set, only user space can tell */
	__u8 pad[3];
	__u32 share_seed;            /* see shares.h */
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

/* How long the connections that one thread accepted had waited in the queue. */
struct count_wait {
	__u64 count;
	__u64 sum_us;
	__u32 max_us;
	__u32 histogram; /* index from 1; 0: no histogram was free */
	__u32 before;    /* accepted, but queued before the window began: not included in the fields
			    above */
	__u32 reset;     /* accepted, but reset by the client while in the queue */
};

/*
 * A thread on a socket. Only the thread itself writes `events` and `wait`, in process context. The
 * fields that every accept touches share one cache line, which no other thread's row shares.
 */
struct count_worker {
	__u64 cookie;
	__u64 events;        /* TCP: connections accepted. UDP: datagrams received */
	__u64 events_atomic; /* the same, added by io_uring's kernel threads for the thread that
				owns the ring */
	struct count_wait wait;
	__u32 used; /* the row is complete: COUNT_ACCEPTS, or COUNT_SERVES if the thread only serves
		       connections */
	__u32 generation; /* goes up when user space takes the row back: threads remember their last
			     row, and so notice */

	__u64 start_ns;
	__u32 tid;
	__u32 pid;
	char comm[16];
	__u32 netns; /* netns, port and protocol are those of the socket */
	__u16 port;  /* host order */
	__u8 protocol;
	__u8 pad1;
	__u64 unfollowed; /* connections of this row whose end and whose first reader are not
			     followed */
	__u32 uid; /* of the thread when the row was made: the user whose share of the rows it takes
		    */
	__u32 histogram_share; /* the cell whose share the histogram takes, see shares.h */
	__u64 pad2;
};

/* Counts wrap around, so user space reads them often. */
struct count_histogram {
	__u32 slots[WAIT_SLOTS];
};

/* Bytes of TCP data that connections carried. */
struct count_bytes {
	__u64 received;
	__u64 sent; /* bytes sent at least once: repeats are not counted */
};

/*
 * Beside a row of `workers`: the connections that this thread serves. The number of open
 * connections is opened - moved - closed.
 */
struct count_serve {
	__u64 served;    /* connections that this thread was the first to read from */
	__u64 handed;    /* of `served`, the connections that another thread had accepted */
	__u64 handed_ns; /* sum of the times from accept to first read of the handed connections */
	__u64 handed_max_ns;
	__u64 opened; /* accepted, or taken over at the first read */
	__u64 moved;  /* handed to another thread */
	__u64 closed;
	__u64 closed_ns;            /* sum of the lifetimes of the closed connections */
	struct count_bytes carried; /* by the closed connections */
};

/* An accepted connection until it closes. The key is the address of its struct sock. */
struct count_connection {
	__u64 cookie; /* of its listener */
	__u64 accepted_ns;
	__u32 worker; /* the row of the thread that serves the connection, or until the first read
			 the one that accepted it */
	__u32 generation; /* of that row */
	__u32 tid;        /* of the thread that accepted the connection */
	__u16 served;     /* a thread has read from the connection */
	__u16 steered;    /* steer_member.epoch of its listener when it was counted as open; 0: it
			     was not */
};

struct count_place {
	__u64 key; /* 0: free; 1: it is being filled or emptied */
	struct count_connection connection;
};

/*
 * The place of a connection. Objects of a slab lie 64 bytes apart or more, and the lower half of
 * an address tells them apart; of a pointer the verifier allows no more than to copy that half.
 */
static inline __attribute__((always_inline)) __u32 count_place_of(__u64 key)
{
	__u32 low = key;

#ifdef __bpf__
	asm volatile("%0 = %1" : "=w"(low) : "w"(low)); /* registers of 32 bits */
#endif
	return ((low >> 6) * 0x9e3779b1u) >> 20; /* the highest bits, COUNT_PLACES of them */
}

/*
 * A connection that was open before the window began. The key is again the address of its struct
 * sock.
 */
struct count_older {
	struct count_bytes before; /* what the connection had carried when the window began */
	__u64 identity;            /* see identity_of() */
	__u32 owner; /* index in `older_ended`; user space knows the owner behind it */
	__u32 pad;
};

/* What read_open() writes for one connection, of either kind. */
struct count_open {
	__u64 sk;
	__u64 accepted_ns;         /* CLOCK_MONOTONIC; 0: before the window */
	struct count_bytes bytes;  /* since it began */
	struct count_bytes before; /* of `bytes`, the part before the window */
	__u64 identity, expected;  /* older: the identity of the socket now at that address, and of
				      the connection */
	__u32 row;                 /* index in `workers`; older: in `older_ended` */
	__u32 generation;          /* of the row in `workers` */
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
#define COUNT_CONNECTED 2 /* UDP: the socket gets the datagrams of one peer only */
#define COUNT_UNLINKED 4  /* user space is taking the row back: see socket_unlink() */

/*
 * The row of a socket is mostly found without a hash, where the last socket with the same lowest
 * bits of its cookie was found.
 */
#define COUNT_HINTS 4096

struct count_socket {
	__u64 cookie;
	__u32 inode;
	__u32 uid;
	__u32 netns;
	__u16 port; /* host order */
	__u8 family;
	__u8 used; /* the row is complete: 1, or COUNT_UNDECIDED while it is not known whether the
		      socket is asked for */
	__u8 address[16]; /* network order */
	__u32 limit;      /* TCP: backlog. UDP: SO_RCVBUF in bytes */
	__u8 protocol;    /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 flags;       /* when it was first seen */
	__u16 sketch;     /* index from 1; 0: the socket has no sketch */
	__u32 left_reset; /* TCP: connections in the queue that were reset because the listener
			     closed */
	__s32 left_moved; /* TCP: connections that moved to other sockets of the group
			     (net.ipv4.tcp_migrate_req); below 0 if the row was given back meanwhile
			   */
};

/* A socket on one CPU. Only that CPU writes the row, with bottom halves off. */
struct count_arrival {
	__u64 arrived;
	__u64 dropped;
	__u64 dropped_late; /* counted as arrived at first, then dropped: the staged delivery
			       of 6.18 */
	union {
		__u32 queue_highest; /* TCP: the longest accept queue after an arrival here */
		__u32 copies; /* UDP: of `arrived`, the datagrams sent to a multicast or broadcast
				 address (if the hook shows the buffer); wraps */
	};
	__u32 several; /* UDP: of `arrived` and `dropped`, the buffers that were counted as one
			  datagram and may hold several; wraps */
};

/* The sender of a datagram, in network order. */
struct count_peer {
	__u32 address[4]; /* IPv4 as v4-mapped IPv6 */
	__u16 port;
	__u16 pad;
};

/*
 * For a UDP socket with SO_REUSEPORT: how many datagrams each flow (client address and port) sent,
 * including dropped ones, added up in buckets by the flow's hash. Counts wrap around, so user
 * space reads them often. Every CPU adds to them, atomically; each sketch has cache lines of its
 * own.
 */
struct count_sketch {
	__s64 votes;    /* for `peer`: see flow_vote() */
	__u32 heaviest; /* number, from 1, of the bucket whose datagrams vote; 0: none yet */
	__u32 since;    /* what that bucket held when its datagrams began to vote; wraps */
	__u32 limit;    /* what another bucket must hold to be the heaviest: see flow_vote() */
	struct count_peer peer;
	__u32 pad[6];
	__u32 buckets[COUNT_SKETCH_BUCKETS];
};

/*
 * How many sockets have room for a row on every CPU. An even number: two rows fill a cache line,
 * so the rows of a CPU begin one.
 */
static inline __u32 count_sockets_max(__u32 cpus)
{
	const __u32 share = COUNT_ARRIVALS_MAX / cpus;

	return share > COUNT_SOCKETS_MAX     ? COUNT_SOCKETS_MAX
	       : share < COUNT_SOCKETS_LEAST ? COUNT_SOCKETS_LEAST
					     : share & ~1u;
}

/* A connection between its arrival and its accept. The index is a hash of its address. */
struct count_child {
	__u64 child;  /* address of its struct sock */
	__u64 cookie; /* of its listener */
};

#ifndef __bpf__
#include <stddef.h>

_Static_assert(sizeof(struct count_config) == 44, "layout");
_Static_assert(sizeof(struct count_lost_key) == 8, "layout");
_Static_assert(COUNT_LOST_REASONS <= COUNT_LOST_ROOM, "room");
_Static_assert(sizeof(struct count_worker_key) == 24, "layout");
_Static_assert(sizeof(struct count_worker) == 128 && offsetof(struct count_worker, start_ns) == 64,
	       "layout");
_Static_assert(sizeof(struct count_wait) == 32, "layout");
_Static_assert(sizeof(struct count_histogram) == 800, "layout");
_Static_assert(sizeof(struct count_serve) == 80, "layout");
_Static_assert(sizeof(struct count_connection) == 32, "layout");
_Static_assert(sizeof(struct count_place) == 40 && COUNT_PLACES == 1 << (32 - 20), "layout");
_Static_assert(sizeof(struct count_older) == 32, "layout");
_Static_assert(sizeof(struct count_open) == 96, "layout");
_Static_assert(sizeof(struct count_socket) == 56, "layout");
_Static_assert(sizeof(struct count_arrival) == 32, "layout");
_Static_assert(sizeof(struct count_child) == 16, "layout");
_Static_assert(sizeof(struct count_peer) == 20, "layout");
_Static_assert(sizeof(struct count_sketch) == 576 && sizeof(struct count_sketch) % 64 == 0,
	       "layout");
#endif

#endif
