/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of hooks: where in the kernel which program is attached, by backend. To add one is to
 * add a row, and an entry point in bpf/.
 */
#ifndef SOCKFAIR_HOOKS_H
#define SOCKFAIR_HOOKS_H

#include <stdbool.h>
#include <stddef.h>

#include "features.h"

enum backend {
	BACKEND_FENTRY,
	BACKEND_KPROBE,
	BACKEND_TRACEPOINT,
	BACKEND_COUNT,
	BACKEND_AUTO = BACKEND_COUNT /* of a hook: each backend has it */
};

const char *backend_name(enum backend b);
/* BACKEND_COUNT + 1 if there is no such name; "auto" is one. */
enum backend backend_parse(const char *name);

/* Which object's programs. */
enum hook_set { HOOKS_COUNT, HOOKS_BINDS };

enum hook_kind {
	HOOK_FENTRY,
	HOOK_FEXIT,
	HOOK_KPROBE,
	HOOK_KRETPROBE,
	HOOK_TP_BTF,
	HOOK_TRACEPOINT
};

/* What a hook sees. A backend sees it when all of its hooks for it are usable or not needed. */
enum hook_purpose {
	SEES_TCP_ACCEPTED = 1,
	SEES_TCP_ARRIVED = 2,
	SEES_UDP_QUEUED = 4,
	SEES_UDP_RECEIVED = 8,
	SEES_URING_ACCEPTED = 16,
	SEES_UDP_DROPPED = 32,
	SEES_TCP_SERVED = 64,
	/* of HOOKS_BINDS */
	SEES_CALLS = 128,
	SEES_IPV6 = 256,
	SEES_MPTCP = 512,
	SEES_NO_LISTEN = 1024,
	SEES_DENIED = 2048,
	SEES_URING = 4096,
	SEES_CONNECT = 8192,
};
/* All that there is to count. */
#define SEES_ALL                                                                                   \
	(SEES_TCP_ACCEPTED | SEES_TCP_ARRIVED | SEES_TCP_SERVED | SEES_UDP_QUEUED |                \
	 SEES_UDP_RECEIVED | SEES_UDP_DROPPED | SEES_URING_ACCEPTED)

/* The kernels whose shape a hook is for: hook_unneeded(). */
enum hook_when {
	WHEN_ALWAYS,
	WHEN_STAGED,    /* UDP deliveries are staged (6.18) */
	WHEN_PREEMPTED, /* tp_btf's programs can be (7.0): classic tracepoints stand in for them */
	UNLESS_PREEMPTED, /* they can't be: no other has to stand in */
	WHEN_AGAIN,       /* programs at the end of system calls can be (7.0): the second of two */
	WHEN_RECV_LENGTH,
	UNLESS_RECV_LENGTH,
	WHEN_SUBMIT_REQ, /* io_uring's newer name */
	WHEN_SUBMIT_SQE,
};

enum hook_flag {
	HOOK_NEEDS_REGS = 1,    /* bpf_task_pt_regs() */
	HOOK_NEEDS_REQUEST = 2, /* io_uring's tracepoints show it */
	HOOK_OPTIONAL = 4,      /* what it sees is whole without it */
	HOOK_SPARE = 8,         /* runs of it that the kernel skips lose nothing */
	HOOK_ENTRY = 16,        /* of a call whose exit has a hook, too */
};

struct hook {
	enum hook_set set;
	enum backend backend;
	enum hook_kind kind;
	const char *target;  /* kernel function, tracepoint, or group/tracepoint */
	const char *program; /* in bpf/count.bpf.c or bpf/binds.bpf.c */
	unsigned sees;       /* enum hook_purpose */
	unsigned flags;      /* enum hook_flag */
	enum hook_when when;
};

/* In the order of attaching, which is that of running. */
extern const struct hook hooks[];
extern const size_t hook_count;

/* Is it of that set, and does that backend have it? */
bool hook_is_of(const struct hook *h, enum hook_set set, enum backend b);

/* Why a kernel of that shape does not need the hook; NULL: it does. */
const char *hook_unneeded(const struct hook *h, const struct kernel_features *f);

/* What the hook needs and this kernel lacks, so that the backend has to do without; NULL: nothing.
 */
const char *hook_lacks(const struct hook *h, const struct kernel_features *f);

#endif
