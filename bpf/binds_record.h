/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the programs that watch bind() and listen() (binds.bpf.c) and user/collect/binds.c share.
 * Fixed-width types, explicit padding. */
#ifndef SOCKFAIR_BINDS_RECORD_H
#define SOCKFAIR_BINDS_RECORD_H

#ifndef __bpf__
#include <linux/types.h>
#endif

#define BINDS_RING_BYTES                                                                           \
	(2 * 1024 * 1024)      /* 10,000 records and more: what user space has to fetch within a   \
				  second, at 10,000 calls a second */
#define BINDS_PENDING_MAX 4096 /* threads that are in such a call at once */

#define BINDS_SINCE_MAX                                                                            \
	16384 /* sockets of which it is known when they bound: more than bind between two looks at \
		 who has a port */

#define BINDS_MARK 255 /* `by` in a key of the map `pending`: no call that is under way */

enum binds_call {
	BINDS_BIND,
	BINDS_LISTEN,
	BINDS_CONNECT,
	BINDS_CALLS
}; /* connect(): those alone that found no port, or no address of ours */

/*
 * SO_MAX_PACING_RATE of the socket by which bind-check asks about an address: it has no meaning
 * there, and no program has that rate. Such sockets are left out.
 */
#define BINDS_OWN_MARK 0x736f636b66616972ull /* "sockfair" */

/* What is not told, or may not be. user/collect/binds.c has the text of each. */
enum binds_lost {
	BINDS_LOST_RING,
	BINDS_LOST_PENDING,
	BINDS_LOST_ENTRY,
	BINDS_LOST_RETURN,
	BINDS_LOST_SOCKET,
	BINDS_LOST_REASONS
};

/* Set before loading, beside struct count_config. */
struct binds_config {
	__u8 all; /* each call is told, not only those that failed or may look wrong */
	__u8 arguments_at_exit; /* fentry: an exit has its arguments, so that a skipped entry loses
				   nothing */
	__u8 freebind_flag,
		transparent_flag; /* bits of inet_sock.inet_flags; 255: bit fields of inet_sock */
	__u32 cgroups; /* in the map of that name: records say whether the caller is in one of them,
			  or below */
};

#define BINDS_CGROUPS_MAX 64

/* An address as it was passed. */
struct binds_address {
	__s32 family; /* -1: it could not be read, or none was passed */
	__u32 length; /* as passed */
	__u32 scope;  /* sin6_scope_id; 0: none */
	__u16 port;   /* host order */
	__u8 known;   /* address and port are in it, and they are of that family */
	__u8 pad;
	__u8 address[16]; /* network order */
};

/* A call that is under way. */
struct binds_pending {
	__u64 sk;      /* 0: of no interest */
	__u64 time_ns; /* CLOCK_MONOTONIC when it began; 0: not seen */
	__u64 place;   /* of the address in user memory, where it could not be read yet; 0: none, or
			  read */
	struct binds_address asked;
	__u32 descriptor; /* system calls */
	__u32 backlog;
	__u8 listened; /* before this call */
	__u8 done;  /* where a second program of the exit follows (7.x), the first one leaves it to
		       that: told, or counted as lost */
	__u8 twice; /* the second program of the entry has run, if there is one: at its next call
		       what is here was left by the last one */
	__u8 pad[5];
};

/* A call that returned. */
struct binds_record {
	__u64 time_ns;              /* CLOCK_MONOTONIC */
	__u64 cookie;               /* 0: not known */
	__u64 started_ns;           /* of the process, CLOCK_BOOTTIME */
	__u64 cgroup_id;            /* of the thread */
	struct binds_address asked; /* bind(); connect(): where to */
	__u8 address[16];           /* that of the socket afterwards */
	__u32 pid, tid, parent, euid;
	__u32 uid; /* of the socket */
	__u32 netns, inode;
	__u32 device;     /* interface index */
	__u32 backlog;    /* listen() */
	__u32 port_limit; /* net.ipv4.ip_unprivileged_port_start */
	__s32 error;      /* 0, or negative errno */
	__u16 family, protocol;
	__u16 port;                  /* that of the socket afterwards, host order */
	__u16 range_low, range_high; /* IP_LOCAL_PORT_RANGE; 0: not set */
	__u8 call;                   /* enum binds_call */
	__u8 denied;                 /* by a security module */
	__u8 reuseaddr, reuseport, v6only, freebind;
	__u8 can_bind_low, other_user_ns; /* as in struct bind_event */
	__u8 can_raise, capability_lost;
	__u8 in_cgroup;
	__u8 routed, port_asked, listened; /* as in struct bind_event */
	__u8 pad[4];
	char comm[16]; /* of the thread */
	char process[16];
};

#ifndef __bpf__
_Static_assert(sizeof(struct binds_config) == 8, "layout");
_Static_assert(sizeof(struct binds_address) == 32, "layout");
_Static_assert(sizeof(struct binds_pending) == 72, "layout");
_Static_assert(sizeof(struct binds_record) == 184, "layout");
#endif

#endif
