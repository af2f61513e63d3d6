/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The features of this kernel, read from its BTF. They decide which programs and hooks are used. */
#ifndef SOCKFAIR_FEATURES_H
#define SOCKFAIR_FEATURES_H

#include <stdbool.h>

#include "config.h"

struct btf;
struct btf_param;

struct kernel_features {
	bool task_storage, rdonly_cast, socket_cookie, task_pt_regs, late_drop, drop_skb,
		recv_length, preempted_exits, preempted_tracepoints;
	bool map_growth; /* tracing programs can use maps that allocate entries when needed:
			    bpf_mem_alloc, 6.1 */
	unsigned udp_gro_flag;
	bool uring_submit_old_name; /* io_uring_submit_sqe, before 6.4 */
	bool uring_request_typed;   /* io_uring's tracepoints pass struct io_kiocb */
	int tracefs; /* result of tracefs_ensure(): 0, or the reason why no classic tracepoint can
			be found */
};

/* Reads the features; hooks are not looked at. Also makes sure that tracepoints can be found. */
void features_read(struct kernel_features *f, const struct btf *btf);

/* The features in the form that the programs get (rodata). */
struct kernel_config features_config(const struct kernel_features *f);

/* Is there a type of that name and kind (BTF_KIND_*)? */
bool btf_has(const struct btf *btf, const char *name, unsigned kind);

/*
 * Returns the number of parameters of a BTF-typed tracepoint, without the leading void *; -1 if
 * there is no such tracepoint. `params` (may be NULL) gets the parameters.
 */
int btf_tracepoint(const struct btf *btf, const char *name, const struct btf_param **params);

#endif
