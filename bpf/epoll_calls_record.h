/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What epoll_calls.bpf.c shares with user space. */
#ifndef SOCKFAIR_EPOLL_CALLS_RECORD_H
#define SOCKFAIR_EPOLL_CALLS_RECORD_H

#ifndef __bpf__
#include <linux/types.h>
#endif

#define EPOLL_CALLS_PLACES 64
#define EPOLL_CALLS_KEYS 1024 /* several processes may hold one epoll */

/* An entry of an epoll, as a process names it in epoll_ctl(). */
struct epoll_calls_key {
	__u32 pid;
	__s32 epoll, fd;
};

/* The calls for the entries that have one place. */
struct epoll_calls_row {
	__u64 calls; /* begun; counted after the fields below are set */
	__u32 op;    /* of the last call */
	__u32 known; /* what it asks for could be read */
	__u32 events;
	__u32 pad;
	__u64 data;
	__u64 pads[4];
};

#ifndef __bpf__
_Static_assert(sizeof(struct epoll_calls_row) == 64, "a cache line");
#endif

#endif
