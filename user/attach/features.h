/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this kernel has, by its BTF: what programs and hooks are chosen by. */
#ifndef SOCKFAIR_FEATURES_H
#define SOCKFAIR_FEATURES_H

#include <stdbool.h>

#include "config.h"

struct btf;
struct btf_param;

struct kernel_features {
	bool task_storage, rdonly_cast, socket_cookie, task_pt_regs, late_drop, drop_skb,
		recv_length, preempted_exits;
	bool map_growth; /* maps that allocate when needed, for tracing programs: bpf_mem_alloc, 6.1
			  */
	unsigned udp_gro_flag;
	bool uring_submit_old_name; /* io_uring_submit_sqe, before 6.4 */
	bool uring_request_typed;   /* io_uring's tracepoints pass struct io_kiocb */
	int tracefs; /* of tracefs_ensure(): 0, or why no classic tracepoint can be found */
};

/* Hooks are left alone. Makes sure that tracepoints can be found. */
void features_read(struct kernel_features *f, const struct btf *btf);

/* As the programs are told (rodata). */
struct kernel_config features_config(const struct kernel_features *f);

/* Is there a type of that name and kind (BTF_KIND_*)? */
bool btf_has(const struct btf *btf, const char *name, unsigned kind);

/* Parameters of a BTF-typed tracepoint, without the leading void *; -1: there is none. `params`
 * (NULL is fine) gets them. */
int btf_tracepoint(const struct btf *btf, const char *name, const struct btf_param **params);

#endif
