/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this kernel lets us attach. Asked by doing it: a hook is usable when a two-instruction
 * program was loaded and attached there, for some kernels load what they then refuse to attach
 * (arm64 6.1: fexit, ENOTSUPP).
 */
#ifndef SOCKFAIR_PROBE_H
#define SOCKFAIR_PROBE_H

#include <stdbool.h>
#include <stddef.h>

enum backend {
	BACKEND_FENTRY,
	BACKEND_KPROBE,
	BACKEND_TRACEPOINT,
	BACKEND_COUNT,
	BACKEND_AUTO = BACKEND_COUNT
};

const char *backend_name(enum backend b);
/* BACKEND_COUNT + 1 if there is no such name; "auto" is one. */
enum backend backend_parse(const char *name);

enum hook_kind {
	HOOK_FENTRY,
	HOOK_FEXIT,
	HOOK_KPROBE,
	HOOK_KRETPROBE,
	HOOK_TP_BTF,
	HOOK_TRACEPOINT
};

/* What a hook counts. A backend sees it when all of its hooks for it are usable or not needed. */
enum hook_purpose {
	SEES_TCP_ACCEPTED = 1,
	SEES_TCP_ARRIVED = 2,
	SEES_UDP_QUEUED = 4,
	SEES_UDP_RECEIVED = 8,
	SEES_URING_ACCEPTED = 16,
	SEES_UDP_DROPPED = 32,
	SEES_TCP_SERVED = 64,
};

struct hook {
	enum backend backend;
	enum hook_kind kind;
	const char *target;  /* kernel function, tracepoint, or group/tracepoint */
	const char *program; /* in bpf/count.bpf.c */
	unsigned sees;       /* enum hook_purpose */
	bool optional;       /* what it sees is whole without it */
};

struct hook_result {
	bool usable;
	int error;     /* negative errno; 0 with !usable: this kernel needs no such hook */
	char why[128]; /* for people */
};

extern const struct hook hooks[];
extern const size_t hook_count;

struct kernel_features {
	bool btf;
	bool task_storage, rdonly_cast, socket_cookie, task_pt_regs, late_drop, drop_skb,
		recv_length, preempted_exits;
	bool map_growth; /* maps that allocate when needed, for tracing programs: bpf_mem_alloc, 6.1
			  */
	unsigned udp_gro_flag;
	bool uring_submit_old_name; /* io_uring_submit_sqe, before 6.4 */
	bool uring_request_typed;   /* io_uring's tracepoints pass struct io_kiocb */
	int tracefs; /* of tracefs_ensure(): 0, or why no classic tracepoint can be found */
};

struct probe {
	struct kernel_features features;
	struct hook_result *results; /* one per hook */
	char error[192];             /* after a failed probe_kernel(): one line */
};

struct btf;

/* What the kernel can do, by its BTF; hooks are left alone. Makes sure that tracepoints can be
 * found. */
void probe_features(struct kernel_features *f, const struct btf *btf);

/*
 * Looks for the hooks and loads a program for each; with `attach` also attaches it, which takes a
 * while (detaching waits for the kernel's readers). Without, a hook counts as usable until
 * probe_refuse(). Returns 0 or negative errno; probe_free() either way.
 */
int probe_kernel(struct probe *p, bool attach);
/* Is there a hook with that program, and usable? */
bool probe_usable(const struct probe *p, enum backend b, const char *program);
/* The hook could not be attached after all. */
void probe_refuse(struct probe *p, size_t hook, int error);
/* Why the backend is unusable, for people; error: what was returned, for want of a better reason.
 */
const char *probe_refusal(const struct probe *p, enum backend b, int error);
/* Is it this process that lacks something, and not the kernel that refuses? */
bool probe_lacks(const struct kernel_features *f, enum backend b, int err);
/* Why none of the backends is, or why one for which probe_lacks(); err: what the last one said.
 * Writes the one line, and returns a negative errno. */
int probe_refused(const struct kernel_features *f, int err, char *why, size_t size);
void probe_free(struct probe *p);

/* What the backend sees with the usable hooks: bits of enum hook_purpose. 0: unusable. */
unsigned probe_sees(const struct probe *p, enum backend b);

/* What the backend does not see on this kernel, as nouns; returns how many. */
size_t probe_unseen(const struct probe *p, enum backend b, const char **sentences, size_t max);

#endif
