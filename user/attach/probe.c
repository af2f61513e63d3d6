/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "loading.h"
#include "rights.h"
#include "small_file.h"
#include "tracefs.h"

#define F BACKEND_FENTRY
#define K BACKEND_KPROBE
#define T BACKEND_TRACEPOINT

const struct hook hooks[] = {
	{ F, HOOK_FENTRY, "inet_csk_accept", "f_accept_enter",
	  SEES_TCP_ACCEPTED | SEES_URING_ACCEPTED, false },
	{ F, HOOK_FENTRY, "security_sock_graft", "f_accept_graft",
	  SEES_TCP_ACCEPTED | SEES_URING_ACCEPTED, false },
	/* exit before entry: an entry whose exit is not yet attached would leave its mark behind */
	{ F, HOOK_FEXIT, "inet_csk_complete_hashdance", "f_queue_exit", SEES_TCP_ARRIVED, false },
	{ F, HOOK_FEXIT, "inet_csk_reqsk_queue_add", "f_request_exit", SEES_TCP_ARRIVED, false },
	{ F, HOOK_FENTRY, "inet_csk_complete_hashdance", "f_queue_enter", SEES_TCP_ARRIVED, false },
	{ F, HOOK_FEXIT, "__udp_enqueue_schedule_skb", "f_udp_queue",
	  SEES_UDP_QUEUED | SEES_UDP_DROPPED, false },
	{ F, HOOK_FENTRY, "__udp_enqueue_schedule_skb", "f_udp_enter",
	  SEES_UDP_QUEUED | SEES_UDP_DROPPED, false },
	/*
	 * A kprobe: a trampoline's program that is preempted makes the kernel skip the same program
	 * on that CPU. The other hooks run with bottom halves off, this one does not. The
	 * trampoline stands in where there are no kprobes.
	 */
	{ F, HOOK_KPROBE, "skb_consume_udp", "k_udp_receive", SEES_UDP_RECEIVED, false },
	{ F, HOOK_FENTRY, "skb_consume_udp", "f_udp_receive", SEES_UDP_RECEIVED, false },
	{ F, HOOK_TP_BTF, "inet_sock_set_state", "state_change", 0, true },
	{ F, HOOK_TP_BTF, "inet_sock_set_state", "state_change_2", 0, true },
	{ F, HOOK_TRACEPOINT, "sock/inet_sock_set_state", "state_change_7", 0, true },
	{ F, HOOK_TRACEPOINT, "tcp/tcp_rcv_space_adjust", "first_read_7", SEES_TCP_SERVED, false },
	{ F, HOOK_TP_BTF, "tcp_rcv_space_adjust", "first_read", SEES_TCP_SERVED, false },
	{ F, HOOK_TP_BTF, "kfree_skb", "fk_late_drop", SEES_UDP_DROPPED, false },

	{ K, HOOK_KPROBE, "inet_csk_accept", "k_accept_enter",
	  SEES_TCP_ACCEPTED | SEES_URING_ACCEPTED, false },
	{ K, HOOK_KPROBE, "security_sock_graft", "k_accept_graft",
	  SEES_TCP_ACCEPTED | SEES_URING_ACCEPTED, false },
	{ K, HOOK_KRETPROBE, "inet_csk_complete_hashdance", "k_queue_exit", SEES_TCP_ARRIVED,
	  false },
	{ K, HOOK_KRETPROBE, "inet_csk_reqsk_queue_add", "k_request_exit", SEES_TCP_ARRIVED,
	  false },
	{ K, HOOK_KPROBE, "inet_csk_complete_hashdance", "k_queue_enter", SEES_TCP_ARRIVED, false },
	{ K, HOOK_KPROBE, "inet_csk_reqsk_queue_add", "k_request_enter", SEES_TCP_ARRIVED, false },
	{ K, HOOK_KRETPROBE, "__udp_enqueue_schedule_skb", "k_udp_exit",
	  SEES_UDP_QUEUED | SEES_UDP_DROPPED, false },
	{ K, HOOK_KPROBE, "__udp_enqueue_schedule_skb", "k_udp_enter",
	  SEES_UDP_QUEUED | SEES_UDP_DROPPED, false },
	{ K, HOOK_KPROBE, "skb_consume_udp", "k_udp_receive", SEES_UDP_RECEIVED, false },
	{ K, HOOK_TP_BTF, "kfree_skb", "fk_late_drop", SEES_UDP_DROPPED, false },
	{ K, HOOK_TP_BTF, "inet_sock_set_state", "state_change", 0, true },
	{ K, HOOK_TP_BTF, "inet_sock_set_state", "state_change_2", 0, true },
	{ K, HOOK_TRACEPOINT, "sock/inet_sock_set_state", "state_change_7", 0, true },
	{ K, HOOK_TRACEPOINT, "tcp/tcp_rcv_space_adjust", "first_read_7", SEES_TCP_SERVED, false },
	{ K, HOOK_TP_BTF, "tcp_rcv_space_adjust", "first_read", SEES_TCP_SERVED, false },

	{ T, HOOK_TRACEPOINT, "syscalls/sys_exit_accept", "t_accept", SEES_TCP_ACCEPTED, false },
	{ T, HOOK_TRACEPOINT, "syscalls/sys_exit_accept4", "t_accept4", SEES_TCP_ACCEPTED, false },
	/* after the others: see accept_done() */
	{ T, HOOK_TRACEPOINT, "syscalls/sys_exit_accept", "t_accept_again", SEES_TCP_ACCEPTED,
	  false },
	{ T, HOOK_TRACEPOINT, "syscalls/sys_exit_accept4", "t_accept4_again", SEES_TCP_ACCEPTED,
	  false },
	{ T, HOOK_TP_BTF, "sk_data_ready", "t_arrived", SEES_TCP_ARRIVED | SEES_UDP_QUEUED, false },
	{ T, HOOK_TP_BTF, "inet_sock_set_state", "state_change", 0, true },
	{ T, HOOK_TP_BTF, "inet_sock_set_state", "state_change_2", 0, true },
	{ T, HOOK_TRACEPOINT, "sock/inet_sock_set_state", "state_change_7", 0, true },
	{ T, HOOK_TP_BTF, "tcp_rcv_space_adjust", "first_read", SEES_TCP_SERVED, false },
	{ T, HOOK_TRACEPOINT, "tcp/tcp_rcv_space_adjust", "first_read_7", SEES_TCP_SERVED, false },
	{ T, HOOK_TRACEPOINT, "sock/sock_recv_length", "t_udp_receive", SEES_UDP_RECEIVED, false },
	{ T, HOOK_TRACEPOINT, "syscalls/sys_exit_recvfrom", "t_recvfrom", SEES_UDP_RECEIVED,
	  false },
	{ T, HOOK_TRACEPOINT, "syscalls/sys_exit_recvmsg", "t_recvmsg", SEES_UDP_RECEIVED, false },
	{ T, HOOK_TRACEPOINT, "syscalls/sys_exit_recvmmsg", "t_recvmmsg", SEES_UDP_RECEIVED,
	  false },
	{ T, HOOK_TP_BTF, "udp_fail_queue_rcv_skb", "t_udp_drop", SEES_UDP_DROPPED, false },
	{ T, HOOK_TP_BTF, "kfree_skb", "t_late_drop", SEES_UDP_DROPPED, false },
	{ T, HOOK_TRACEPOINT, "io_uring/io_uring_complete", "t_uring_done", SEES_URING_ACCEPTED,
	  false },
	{ T, HOOK_TRACEPOINT, "io_uring/io_uring_cqe_overflow", "t_uring_full", SEES_URING_ACCEPTED,
	  false },
	{ T, HOOK_TRACEPOINT, "io_uring/io_uring_task_add", "t_uring_wake", SEES_URING_ACCEPTED,
	  false },
	{ T, HOOK_TRACEPOINT, "io_uring/io_uring_submit_req", "t_uring_submit", SEES_URING_ACCEPTED,
	  false },
	{ T, HOOK_TRACEPOINT, "io_uring/io_uring_submit_sqe", "t_uring_submit_old",
	  SEES_URING_ACCEPTED, false },
};
const size_t hook_count = sizeof(hooks) / sizeof(hooks[0]);

#undef F
#undef K
#undef T

static const char *const backend_names[] = { "fentry", "kprobe", "tracepoint", "auto" };

const char *backend_name(enum backend b)
{
	return backend_names[b];
}

enum backend backend_parse(const char *name)
{
	unsigned b = 0;

	while (b <= BACKEND_AUTO && strcmp(name, backend_names[b]))
		b++;
	return b;
}

/* ---- features ---- */

static bool btf_has(const struct btf *btf, const char *name, unsigned kind)
{
	return btf__find_by_name_kind(btf, name, kind) > 0;
}

/* Parameters of a BTF-typed tracepoint, without the leading void *; -1 if there is none. */
static int tracepoint_parameters(const struct btf *btf, const char *name,
				 const struct btf_param **params)
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

	if (tracepoint_parameters(btf, tracepoint, &params) < 1)
		return false;
	t = btf__type_by_id(btf, params[0].type);
	if (!btf_is_ptr(t))
		return false;
	t = btf__type_by_id(btf, t->type);
	return btf_is_struct(t) && !strcmp(btf__name_by_offset(btf, t->name_off), type);
}

static void features_read(struct kernel_features *f, const struct btf *btf)
{
	f->btf = true;
	/* A kprobe program gets the same helpers as the other tracing programs. */
	f->task_storage =
		libbpf_probe_bpf_helper(BPF_PROG_TYPE_KPROBE, BPF_FUNC_task_storage_get, NULL) == 1;
	f->task_pt_regs =
		libbpf_probe_bpf_helper(BPF_PROG_TYPE_KPROBE, BPF_FUNC_task_pt_regs, NULL) == 1;
	f->rdonly_cast = btf_has(btf, "bpf_rdonly_cast", BTF_KIND_FUNC);
	f->socket_cookie = btf_has(btf, "bpf_get_socket_ptr_cookie", BTF_KIND_FUNC);
	f->late_drop = btf_has(btf, "udp_prod_queue", BTF_KIND_STRUCT) &&
		       tracepoint_parameters(btf, "kfree_skb", NULL) >= 4;
	f->drop_skb = tracepoint_parameters(btf, "udp_fail_queue_rcv_skb", NULL) >= 3;
	f->udp_gro_flag = (uint8_t)loading_enumerator(btf, "UDP_FLAGS_GRO_ENABLED"); /* 255: none */
	f->map_growth = btf_has(btf, "bpf_mem_alloc", BTF_KIND_STRUCT);
	f->preempted_exits = btf_has(btf, "trace_call_bpf_faultable", BTF_KIND_FUNC);
	f->recv_length = tracepoint_parameters(btf, "sock_recv_length", NULL) >= 0;
	f->uring_submit_old_name = tracepoint_parameters(btf, "io_uring_submit_sqe", NULL) >= 0;
	f->uring_request_typed = first_parameter_is(btf, "io_uring_task_add", "io_kiocb");
}

/* ---- hooks ---- */

void probe_features(struct kernel_features *f, const struct btf *btf)
{
	features_read(f, btf);
	f->tracefs = tracefs_ensure();
}

static int read_number(const char *path)
{
	char text[32];
	const ssize_t used = small_file_read(path, text, sizeof(text));
	int n;

	if (used < 0)
		return (int)used;
	return sscanf(text, "%d", &n) == 1 ? n : -EINVAL;
}

static int perf_attach(struct perf_event_attr *attr, int prog)
{
	int fd, err = 0;

	attr->size = sizeof(*attr);
	fd = syscall(__NR_perf_event_open, attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, PERF_EVENT_IOC_SET_BPF, prog))
		err = -errno;
	close(fd);
	return err;
}

static int attach_kprobe(int prog, const char *function, bool ret)
{
	struct perf_event_attr attr = { .config = ret,
					.kprobe_func = (__u64)(unsigned long)function };
	int type = read_number("/sys/bus/event_source/devices/kprobe/type");

	if (type < 0)
		return type;
	attr.type = type;
	return perf_attach(&attr, prog);
}

static int attach_tracepoint(int prog, const char *name)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT };
	char path[128];
	int id;

	snprintf(path, sizeof(path), "%s/events/%s/id", tracefs_place(), name);
	id = read_number(path);
	if (id < 0)
		return id;
	attr.config = id;
	return perf_attach(&attr, prog);
}

static int attach_raw(int prog)
{
	int fd = bpf_raw_tracepoint_open(NULL, prog);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int load(const struct btf *btf, const struct hook *h)
{
	const struct bpf_insn program[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts);
	enum bpf_prog_type type = BPF_PROG_TYPE_TRACING;
	char name[80];
	int id = 0, fd;

	switch (h->kind) {
	case HOOK_FENTRY:
	case HOOK_FEXIT:
		opts.expected_attach_type =
			h->kind == HOOK_FENTRY ? BPF_TRACE_FENTRY : BPF_TRACE_FEXIT;
		id = btf__find_by_name_kind(btf, h->target, BTF_KIND_FUNC);
		break;
	case HOOK_TP_BTF:
		opts.expected_attach_type = BPF_TRACE_RAW_TP;
		snprintf(name, sizeof(name), "btf_trace_%s", h->target);
		id = btf__find_by_name_kind(btf, name, BTF_KIND_TYPEDEF);
		break;
	case HOOK_KPROBE:
	case HOOK_KRETPROBE: type = BPF_PROG_TYPE_KPROBE; break;
	case HOOK_TRACEPOINT: type = BPF_PROG_TYPE_TRACEPOINT; break;
	}
	if (id < 0)
		return -ENOENT;
	opts.attach_btf_id = id;
	fd = bpf_prog_load(type, "sockfair_probe", "GPL", program, 2, &opts);
	return fd < 0 ? -errno : fd;
}

static int hook_try(const struct btf *btf, const struct hook *h, bool attach)
{
	int err = 0, prog = load(btf, h);

	if (prog < 0)
		return prog;
	switch (attach ? (int)h->kind : -1) {
	case -1: break;
	case HOOK_KPROBE:
	case HOOK_KRETPROBE: err = attach_kprobe(prog, h->target, h->kind == HOOK_KRETPROBE); break;
	case HOOK_TRACEPOINT: err = attach_tracepoint(prog, h->target); break;
	default: err = attach_raw(prog);
	}
	close(prog);
	return err;
}

/* Hooks that exist but not for this kernel's shape. Returns why not, or NULL. */
static const char *hook_unneeded(const struct hook *h, const struct kernel_features *f)
{
	if (strstr(h->program, "late_drop") && !f->late_drop)
		return "not needed: this kernel does not stage UDP deliveries";
	if (strstr(h->program, "_again") && !f->preempted_exits)
		return "not needed: the program before it can't be preempted";
	if (strstr(h->program, "_7") && !f->preempted_exits)
		return "not needed: tp_btf's program can't be preempted";
	if ((!strcmp(h->program, "first_read") || !strcmp(h->program, "state_change_2")) &&
	    f->preempted_exits)
		return "it can be preempted: the plain tracepoint stands in";
	if (!strcmp(h->program, "t_udp_receive") && !f->recv_length)
		return "this kernel has none (6.3): system calls stand in";
	if (!strncmp(h->program, "t_recv", 6) && f->recv_length)
		return "not needed: sock_recv_length sees all reads";
	if (!strcmp(h->program, "t_uring_submit") && f->uring_submit_old_name)
		return "its older name is used";
	if (!strcmp(h->program, "t_uring_submit_old") && !f->uring_submit_old_name)
		return "its newer name is used";
	return NULL;
}

/* Hooks that the backend has to do without here: what lacks, or NULL. */
static const char *hook_lacks(const struct hook *h, const struct kernel_features *f)
{
	if (h->kind == HOOK_TRACEPOINT && !f->task_pt_regs)
		return "needs bpf_task_pt_regs() (5.15)";
	if (strstr(h->program, "t_uring") && !f->uring_request_typed)
		return "io_uring's tracepoints do not show the request (before 6.0)";
	return NULL;
}

static bool by_perf(const struct hook *h)
{
	return h->kind == HOOK_KPROBE || h->kind == HOOK_KRETPROBE || h->kind == HOOK_TRACEPOINT;
}

static const char *perf_lacks(char *text, size_t size)
{
	snprintf(text, size, "kernel.perf_event_paranoid is %d, and CAP_SYS_ADMIN is missing",
		 rights_perf_refused());
	return text;
}

static void explain(struct hook_result *r, const struct hook *h, const struct kernel_features *f)
{
	if (h->kind == HOOK_TRACEPOINT && f->tracefs)
		tracefs_lacks(f->tracefs, r->why, sizeof(r->why));
	else if (r->error == -ENOENT)
		snprintf(r->why, sizeof(r->why),
			 h->kind == HOOK_TRACEPOINT ? "no such tracepoint"
						    : "this kernel has none");
	else if (r->error == -ENODEV)
		snprintf(r->why, sizeof(r->why), "this kernel is built without kprobes");
	else if (r->error == -524)
		snprintf(r->why, sizeof(r->why),
			 "loads, but this kernel can't attach it (ENOTSUPP)");
	else if ((r->error == -EPERM || r->error == -EACCES) && by_perf(h) && rights_perf_refused())
		perf_lacks(r->why, sizeof(r->why));
	else if (r->error == -EPERM || r->error == -EACCES)
		snprintf(r->why, sizeof(r->why),
			 "refused by this kernel (lockdown, or tracing not allowed)");
	else
		loading_reason(r->error, r->why, sizeof(r->why));
}

/* Is the hook's place in this kernel at all? */
static int hook_find(const struct btf *btf, const struct hook *h, const struct kernel_features *f)
{
	struct stat st;
	char path[128];

	switch (h->kind) {
	case HOOK_TP_BTF: return tracepoint_parameters(btf, h->target, NULL) < 0 ? -ENOENT : 0;
	case HOOK_TRACEPOINT:
		snprintf(path, sizeof(path), "%s/events/%s", tracefs_place(), h->target);
		return f->tracefs ? f->tracefs : stat(path, &st) ? -errno : 0;
	case HOOK_KPROBE:
	case HOOK_KRETPROBE:
		if (stat("/sys/bus/event_source/devices/kprobe/type", &st))
			return -ENODEV;
		/* fall through */
	default: return btf_has(btf, h->target, BTF_KIND_FUNC) ? 0 : -ENOENT;
	}
}

static void hook_probe(const struct btf *btf, const struct hook *h, const struct kernel_features *f,
		       bool attach, struct hook_result *r)
{
	const char *unneeded = hook_unneeded(h, f), *lacks = hook_lacks(h, f);

	if (unneeded || lacks) {
		r->error = unneeded ? 0 : -EOPNOTSUPP;
		snprintf(r->why, sizeof(r->why), "%s", unneeded ? unneeded : lacks);
		return;
	}
	r->error = hook_find(btf, h, f);
	if (!r->error)
		r->error = hook_try(btf, h, attach);
	r->usable = !r->error;
	if (!r->usable)
		explain(r, h, f);
}

/* NULL: there is none of that name. */
static struct hook_result *hook_result(const struct probe *p, enum backend b, const char *program)
{
	for (size_t i = 0; i < hook_count; i++)
		if (hooks[i].backend == b && !strcmp(hooks[i].program, program))
			return &p->results[i];
	return NULL;
}

/* Of the two hooks for reads in the fentry backend one is enough. */
static void prefer_kprobe_reads(struct probe *p)
{
	struct hook_result *kprobe = hook_result(p, BACKEND_FENTRY, "k_udp_receive");
	struct hook_result *fentry = hook_result(p, BACKEND_FENTRY, "f_udp_receive");

	if (!kprobe || !fentry || !fentry->usable)
		return;
	if (kprobe->usable) {
		fentry->usable = false;
		snprintf(fentry->why, sizeof(fentry->why), "not needed: the kprobe sees all reads");
	} else {
		kprobe->error = 0; /* the trampoline stands in */
	}
}

bool probe_usable(const struct probe *p, enum backend b, const char *program)
{
	const struct hook_result *r = hook_result(p, b, program);

	return r && r->usable;
}

void probe_refuse(struct probe *p, size_t hook, int error)
{
	p->results[hook].usable = false;
	p->results[hook].error = error;
	explain(&p->results[hook], &hooks[hook], &p->features);
}

const char *probe_refusal(const struct probe *p, enum backend b, int error)
{
	for (size_t i = 0; i < hook_count; i++)
		if (hooks[i].backend == b && p->results[i].error && !hooks[i].optional)
			return p->results[i].why;
	return strerror(-error);
}

bool probe_lacks(const struct kernel_features *f, enum backend b, int err)
{
	return loading_lacks(err) || (b != BACKEND_FENTRY && rights_perf_refused()) ||
	       (b == BACKEND_TRACEPOINT && f->tracefs);
}

int probe_refused(const struct kernel_features *f, int err, char *why, size_t size)
{
	char reason[160];

	if (loading_lacks(err))
		return loading_fail(err, why, size, "cannot load BPF programs: %s",
				    loading_reason(err, reason, sizeof(reason)));
	if (rights_perf_refused())
		return loading_fail(-EPERM, why, size,
				    "cannot attach: %s; run as root, or grant it",
				    perf_lacks(reason, sizeof(reason)));
	if (f->tracefs)
		return loading_fail(
			f->tracefs, why, size,
			"cannot find the tracepoints: %s; run as root, or grant what is missing",
			tracefs_lacks(f->tracefs, reason, sizeof(reason)));
	return loading_fail(-EOPNOTSUPP, why, size,
			    "this kernel allows none of the hooks that sockfair needs; sockfair "
			    "doctor says which and why");
}

int probe_kernel(struct probe *p, bool attach)
{
	struct btf *btf;
	int err = 0;

	memset(p, 0, sizeof(*p));
	p->results = calloc(hook_count, sizeof(*p->results));
	if (!p->results)
		return loading_fail(-ENOMEM, p->error, sizeof(p->error), "out of memory");
	err = loading_btf(&btf, p->error, sizeof(p->error));
	if (err)
		return err;
	probe_features(&p->features, btf);
	for (size_t i = 0; i < hook_count && !err; i++) {
		hook_probe(btf, &hooks[i], &p->features, attach, &p->results[i]);
		if (loading_lacks(p->results[i].error))
			err = loading_fail(p->results[i].error, p->error, sizeof(p->error),
					   "cannot load BPF programs: %s", p->results[i].why);
	}
	prefer_kprobe_reads(p);
	btf__free(btf);
	return err;
}

void probe_free(struct probe *p)
{
	free(p->results);
	p->results = NULL;
}

unsigned probe_sees(const struct probe *p, enum backend b)
{
	unsigned sees = 0, misses = 0;

	for (size_t i = 0; i < hook_count; i++) {
		if (hooks[i].backend != b)
			continue;
		sees |= hooks[i].sees;
		/* error 0: not needed here */
		if (!p->results[i].usable && p->results[i].error && !hooks[i].optional)
			misses |= hooks[i].sees;
	}
	sees &= ~misses;
	/* Without accepts there is nothing to show. */
	return sees & SEES_TCP_ACCEPTED ? sees : 0;
}

size_t probe_unseen(const struct probe *p, enum backend b, const char **sentences, size_t max)
{
	static const struct {
		unsigned what;
		const char *text;
	} table[] = {
		{ SEES_TCP_ACCEPTED, "accepts of TCP connections" },
		{ SEES_TCP_ARRIVED, "arrivals of TCP connections" },
		{ SEES_UDP_QUEUED, "arrivals of UDP datagrams" },
		{ SEES_UDP_RECEIVED, "reads of UDP datagrams" },
		{ SEES_UDP_DROPPED, "dropped UDP datagrams" },
		{ SEES_URING_ACCEPTED, "accepts through io_uring" },
		{ SEES_TCP_SERVED, "who reads from TCP connections" },
	};
	unsigned sees = probe_sees(p, b);
	size_t n = 0;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (!(sees & table[i].what) && n < max)
			sentences[n++] = table[i].text;
	if (b == BACKEND_KPROBE && n < max && sees)
		sentences[n++] = "calls from an interrupt that hits another kprobe's program";
	if (b == BACKEND_TRACEPOINT && n < max && (sees & SEES_TCP_ACCEPTED))
		sentences[n++] = "accepts by 32-bit processes and kernel threads, or by io_uring "
				 "without a completion";
	if (b == BACKEND_TRACEPOINT && n < max && (sees & SEES_UDP_RECEIVED) &&
	    !p->features.recv_length)
		sentences[n++] = "reads of UDP datagrams but by recvfrom, recvmsg and recvmmsg";
	if (b == BACKEND_TRACEPOINT && n < max && (sees & SEES_UDP_RECEIVED))
		sentences[n++] = "how many datagrams were merged for a UDP_GRO socket";
	return n;
}
