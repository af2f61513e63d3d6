/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of hooks: which program is attached where in the kernel, for each backend. To add a
 * hook, add a row to the table and an entry point in bpf/.
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
	BACKEND_AUTO = BACKEND_COUNT /* in a hook: every backend has it */
};

const char *backend_name(enum backend b);
/* Returns BACKEND_COUNT + 1 if there is no such name. "auto" is a name. */
enum backend backend_parse(const char *name);

/* The BPF object that a hook's program belongs to. */
enum hook_set { HOOKS_COUNT, HOOKS_BINDS };

enum hook_kind {
	HOOK_FENTRY,
	HOOK_FEXIT,
	HOOK_KPROBE,
	HOOK_KRETPROBE,
	HOOK_TP_BTF,
	HOOK_TRACEPOINT
};

/*
 * What a hook sees. A backend sees a purpose if each of its hooks for that purpose is usable or
 * not needed.
 */
enum hook_purpose {
	SEES_TCP_ACCEPTED = 1,
	SEES_TCP_ARRIVED = 2,
	SEES_UDP_QUEUED = 4,
	SEES_UDP_RECEIVED = 8,
	SEES_URING_ACCEPTED = 16,
	SEES_UDP_DROPPED = 32,
	SEES_TCP_SERVED = 64,
	/* for HOOKS_BINDS */
	SEES_CALLS = 128,
	SEES_IPV6 = 256,
	SEES_MPTCP = 512,
	SEES_NO_LISTEN = 1024,
	SEES_DENIED = 2048,
	SEES_URING = 4096,
	SEES_CONNECT = 8192,
};
/* Everything that can be counted. */
#define SEES_ALL                                                                                   \
	(SEES_TCP_ACCEPTED | SEES_TCP_ARRIVED | SEES_TCP_SERVED | SEES_UDP_QUEUED |                \
	 SEES_UDP_RECEIVED | SEES_UDP_DROPPED | SEES_URING_ACCEPTED)

/* The kernels that a hook is for: see hook_unneeded(). */
enum hook_when {
	WHEN_ALWAYS,
	WHEN_STAGED,      /* UDP deliveries are staged (6.18) */
	WHEN_PREEMPTED,   /* tp_btf's programs can be preempted (7.0): classic ones replace them */
	UNLESS_PREEMPTED, /* they can't be: no other has to replace them */
	WHEN_AGAIN,       /* programs at the end of system calls can be (7.0): the second of two */
	WHEN_RECV_LENGTH,
	UNLESS_RECV_LENGTH,
	WHEN_SUBMIT_REQ, /* the newer name of io_uring's tracepoint */
	WHEN_SUBMIT_SQE,
};

enum hook_flag {
	HOOK_NEEDS_REGS = 1,    /* bpf_task_pt_regs() */
	HOOK_NEEDS_REQUEST = 2, /* io_uring's tracepoints must show the request */
	HOOK_OPTIONAL = 4,      /* what the hook sees is complete without it */
	HOOK_SPARE = 8,  /* nothing is lost when the kernel skips a run of the hook's program */
	HOOK_ENTRY = 16, /* the entry of a call whose exit has a hook too */
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

/* In the order in which hooks are attached, which is also the order in which they run. */
extern const struct hook hooks[];
extern const size_t hook_count;

/* Does the hook belong to that set, and does that backend have it? */
bool hook_is_of(const struct hook *h, enum hook_set set, enum backend b);

/* Why such a kernel does not need the hook; NULL: it needs it. */
const char *hook_unneeded(const struct hook *h, const struct kernel_features *f);

/*
 * What the hook needs and this kernel lacks, so that the backend has to do without the hook; NULL:
 * nothing is missing.
 */
const char *hook_lacks(const struct hook *h, const struct kernel_features *f);

#endif
