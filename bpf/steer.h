/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the program that steers a port shares with user space: see steer.bpf.h. */
#ifndef SOCKFAIR_STEER_H
#define SOCKFAIR_STEER_H

#ifndef __bpf__
#include <linux/types.h>
#endif

#define STEER_MEMBERS_MAX 64

enum steer_policy {
	STEER_LEAST, /* fewest open, half-open and waiting connections; then fewest arrivals */
	STEER_EVEN,  /* fewest arrivals so far */
	STEER_LEAST_QUEUE, /* fewest waiting and half-open connections */
	STEER_WEIGHTS,     /* fewest arrivals for its weight */
};

/* A socket of the group, at its place in the SOCKMAP. */
struct steer_member {
	__u64 cookie;
	__u64 arrived; /* since it became a member, plus the mean of the others then */
	__s64 open;    /* connections that it accepted since it is a member, and that are open */
	__s64 open_before; /* of others: from before that, or before it was a member; by user space
			    */
	__u64 accepted_ns; /* when it last accepted, or read; CLOCK_MONOTONIC, as all times here */
	__u64 waiting_ns;  /* when a connection last came into its empty queue; UDP: when the
			      program last found the queue empty, or a little before */
	__u64 chosen;      /* how often it was picked: by each SYN, and by more with SYN cookies */
	__u16 weight;      /* STEER_WEIGHTS; else 1 */
	__u16 epoch;       /* another one each time that a place gets a socket, never 0 */
	__u32 stalled;     /* it got nothing new when the program last looked: STEER_STALLED_NS */
};

/* A member in whose queue something waits, and that has not accepted (UDP: read) for so long, gets
 * nothing new until it does. */
#define STEER_STALLED_NS 1000000000ull

/* Why a look-up was left to the kernel's hash. */
enum steer_pass {
	STEER_PASS_STALE, /* the heartbeat is old: the tool is gone or hangs */
	STEER_PASS_SIZE,  /* the group is not of the size that user space knows, or another
			     listener has come */
	STEER_PASS_EMPTY, /* no member has a socket, or all are stalled */
	STEER_PASSES,
};

struct steer_state {
	__u64 heartbeat_ns;  /* CLOCK_MONOTONIC; older than STEER_DEADLINE_NS: hash */
	__u32 members;       /* places in use: 0 to members - 1 */
	__u32 listens;       /* how often a socket on the port began to listen */
	__u32 listens_known; /* the same, of those that user space has looked at: any other may be a
				more specific one, whose connections are not the group's */
	__u32 pad;
	__u32 group_size; /* sockets of the group as the kernel counts them: UDP sockets that were
			     connected later stay in it */
	__u64 passed[STEER_PASSES];
	__u64 steered;
};

#define STEER_DEADLINE_NS 2000000000ull

/* rodata: which packets the program may pick a socket for. */
struct steer_config {
	__u32 on; /* 0: the programs that count leave out all of this */
	__u32 policy;
	__be32 address[4]; /* network order; all 0: any */
	__u16 family;
	__u16 port;    /* host order */
	__u8 v6only;   /* AF_INET6: IPv4 is not the group's */
	__u8 any;      /* the group's sockets are bound to no address */
	__u8 protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 by_group; /* the program is the group's own: steer_reuseport.bpf.h */
};

#ifndef __bpf__
_Static_assert(sizeof(struct steer_member) == 64, "a cache line");
_Static_assert(sizeof(struct steer_config) == 32, "layout");
#endif

#endif
