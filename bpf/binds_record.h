/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The layouts that the programs that watch bind() and listen() (binds.bpf.c) share with
 * user/collect/binds.c. Types have a fixed width and padding is explicit.
 */
#ifndef SOCKFAIR_BINDS_RECORD_H
#define SOCKFAIR_BINDS_RECORD_H

#ifndef __bpf__
#include <linux/types.h>
#endif

#define BINDS_RING_BYTES                                                                           \
	(2 * 1024 * 1024) /* Room for more than 10,000 records: user space fetches them within a   \
			     second, even at 10,000 calls a second. */
#define BINDS_PENDING_MAX 4096 /* threads that can be inside such a call at the same time */

#define BINDS_SINCE_MAX                                                                            \
	16384 /* sockets whose bind time is kept; more than are bound between two scans for the    \
		 holder of a port */

#define BINDS_MARK 255 /* `by` in a key of the map `pending` that is not a call */

enum binds_call {
	BINDS_BIND,
	BINDS_LISTEN,
	BINDS_CONNECT,
	BINDS_CALLS
}; /* BINDS_CONNECT: only connect() calls that found no free port or no local address */

/*
 * bind-check opens sockets only to ask about an address, and marks them with this
 * SO_MAX_PACING_RATE: the rate has no effect on such a socket, and no other program sets it.
 * Marked sockets are left out of the records.
 */
#define BINDS_OWN_MARK 0x736f636b66616972ull /* "sockfair" */

/*
 * Why a call is missing from the records, or may be. user/collect/binds.c has the text of each
 * reason.
 */
enum binds_lost {
	BINDS_LOST_RING,
	BINDS_LOST_PENDING,
	BINDS_LOST_ENTRY,
	BINDS_LOST_RETURN,
	BINDS_LOST_SOCKET,
	BINDS_LOST_REASONS
};

/* Set before loading, together with struct count_config. */
struct binds_config {
	__u8 all; /* report every call, not only those that failed or may look wrong */
	__u8 arguments_at_exit; /* fentry: an exit program sees the arguments, so a skipped entry
				   program loses nothing */
	__u8 freebind_flag,
		transparent_flag; /* bits of inet_sock.inet_flags; 255: bit fields of inet_sock */
	__u32 cgroups; /* entries in the map `cgroups`; if not 0, each record says whether the
			  caller is in one of them or below one */
};

#define BINDS_CGROUPS_MAX 64

/* An address as the caller passed it. */
struct binds_address {
	__s32 family; /* -1: the address could not be read, or the caller passed none */
	__u32 length; /* as passed */
	__u32 scope;  /* sin6_scope_id; 0: none */
	__u16 port;   /* host order */
	__u8 known;   /* `port` and `address` are filled in, and the address is of that family */
	__u8 pad;
	__u8 address[16]; /* network order */
};

/* A call that has begun and not yet returned. */
struct binds_pending {
	__u64 sk;      /* 0: the socket is of no interest */
	__u64 time_ns; /* CLOCK_MONOTONIC when the call began; 0: the beginning was not seen */
	__u64 place; /* where the address lies in user memory, if it could not be read yet; 0: there
			is none, or it has been read */
	struct binds_address asked;
	__u32 descriptor; /* set for system calls */
	__u32 backlog;
	__u8 listened; /* the socket was listening before this call */
	__u8 done;  /* used where the exit has a second program (7.x): the first program leaves the
		       call to the second, which reports it or counts it as lost */
	__u8 twice; /* the second entry program has run, if there is one; when it runs again, this
		       entry is left over from the previous call */
	__u8 pad[5];
};

/* A call that has returned. */
struct binds_record {
	__u64 time_ns;              /* CLOCK_MONOTONIC */
	__u64 cookie;               /* 0: not known */
	__u64 started_ns;           /* when the process started, CLOCK_BOOTTIME */
	__u64 cgroup_id;            /* of the calling thread */
	struct binds_address asked; /* bind(): the address asked for; connect(): the destination */
	__u8 address[16];           /* the socket's address after the call */
	__u32 pid, tid, parent, euid;
	__u32 uid; /* of the socket */
	__u32 netns, inode;
	__u32 device;     /* interface index */
	__u32 backlog;    /* listen() */
	__u32 port_limit; /* net.ipv4.ip_unprivileged_port_start */
	__s32 error;      /* 0, or negative errno */
	__u16 family, protocol;
	__u16 port;                  /* the socket's port after the call, host order */
	__u16 range_low, range_high; /* IP_LOCAL_PORT_RANGE; 0: not set */
	__u8 call;                   /* enum binds_call */
	__u8 denied;                 /* a security module denied the call */
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
