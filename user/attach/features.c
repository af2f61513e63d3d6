/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each feature is recognised by the type, function or helper that came with it, not by a version:
 * a distribution may have taken the feature into an older kernel.
 */
#include "features.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "loading.h"
#include "tracefs.h"

bool btf_has(const struct btf *btf, const char *name, unsigned kind)
{
	return btf__find_by_name_kind(btf, name, kind) > 0;
}

int btf_tracepoint(const struct btf *btf, const char *name, const struct btf_param **params)
{
	const struct btf_type *t;
	char typedef_name[64];
	int id;

	snprintf(typedef_name, sizeof(typedef_name), "btf_trace_%s", name);
	id = btf__find_by_name_kind(btf, typedef_name, BTF_KIND_TYPEDEF);
	if (id <= 0)
		return -1;
	t = btf__type_by_id(btf,
			    btf__type_by_id(btf, id)->type); /* typedef -> pointer -> function */
	t = btf__type_by_id(btf, t->type);
	if (!btf_is_func_proto(t))
		return -1;
	if (params)
		*params = btf_params(t) + 1;
	return btf_vlen(t) - 1;
}

static bool first_parameter_is(const struct btf *btf, const char *tracepoint, const char *type)
{
	const struct btf_param *params;
	const struct btf_type *t;

	if (btf_tracepoint(btf, tracepoint, &params) < 1)
		return false;
	t = btf__type_by_id(btf, params[0].type);
	if (!btf_is_ptr(t))
		return false;
	t = btf__type_by_id(btf, t->type);
	return btf_is_struct(t) && !strcmp(btf__name_by_offset(btf, t->name_off), type);
}

void features_read(struct kernel_features *f, const struct btf *btf)
{
	/* A kprobe program gets the same helpers as the other tracing programs. */
	f->task_storage =
		libbpf_probe_bpf_helper(BPF_PROG_TYPE_KPROBE, BPF_FUNC_task_storage_get, NULL) == 1;
	f->task_pt_regs =
		libbpf_probe_bpf_helper(BPF_PROG_TYPE_KPROBE, BPF_FUNC_task_pt_regs, NULL) == 1;
	f->rdonly_cast = btf_has(btf, "bpf_rdonly_cast", BTF_KIND_FUNC);
	f->socket_cookie = btf_has(btf, "bpf_get_socket_ptr_cookie", BTF_KIND_FUNC);
	f->late_drop = btf_has(btf, "udp_prod_queue", BTF_KIND_STRUCT) &&
		       btf_tracepoint(btf, "kfree_skb", NULL) >= 4;
	f->drop_skb = btf_tracepoint(btf, "udp_fail_queue_rcv_skb", NULL) >= 3;
	f->udp_gro_flag = (uint8_t)loading_enumerator(btf, "UDP_FLAGS_GRO_ENABLED"); /* 255: none */
	f->map_growth = btf_has(btf, "bpf_mem_alloc", BTF_KIND_STRUCT);
	f->preempted_exits = btf_has(btf, "trace_call_bpf_faultable", BTF_KIND_FUNC);
	/*
	 * From 7.0 on tracepoints are guarded by SRCU instead of by preemption being off
	 * (include/linux/tracepoint.h). Nothing in the kernel's types tells.
	 */
	f->preempted_tracepoints = f->preempted_exits || loading_release() >= 7000;
	f->recv_length = btf_tracepoint(btf, "sock_recv_length", NULL) >= 0;
	f->uring_submit_old_name = btf_tracepoint(btf, "io_uring_submit_sqe", NULL) >= 0;
	f->uring_request_typed = first_parameter_is(btf, "io_uring_task_add", "io_kiocb");
	f->tracefs = tracefs_ensure();
}

struct kernel_config features_config(const struct kernel_features *f)
{
	return (struct kernel_config){
		.has_task_storage = f->task_storage,
		.has_rdonly_cast = f->rdonly_cast,
		.has_socket_cookie = f->socket_cookie,
		.udp_gro_flag = f->udp_gro_flag,
		.has_late_drop = f->late_drop,
		.has_task_pt_regs = f->task_pt_regs,
		.has_drop_skb = f->drop_skb,
		.preempted_exits = f->preempted_exits,
		.preempted_tracepoints = f->preempted_tracepoints,
	};
}
