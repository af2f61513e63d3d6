/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tries each hook of a set: looks for its place in the kernel, loads a two-instruction program and
 * attaches it if asked to. The second half compares backends by what their usable hooks see.
 */
#include "probe.h"

#include <errno.h>
#include <linux/perf_event.h>
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

static int probe_load(const struct btf *btf, const struct hook *h)
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
	int err = 0, prog = probe_load(btf, h);

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

/* Does this kernel have the hook's place at all? */
static int hook_find(const struct btf *btf, const struct hook *h, const struct kernel_features *f)
{
	struct stat st;
	char path[128];

	switch (h->kind) {
	case HOOK_TP_BTF: return btf_tracepoint(btf, h->target, NULL) < 0 ? -ENOENT : 0;
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

/* NULL: there is no hook with that program. */
static struct hook_result *hook_result(const struct probe *p, enum backend b, const char *program)
{
	for (size_t i = 0; i < hook_count; i++)
		if (hook_is_of(&hooks[i], p->set, b) && !strcmp(hooks[i].program, program))
			return &p->results[i];
	return NULL;
}

/* The fentry backend has two hooks for reads and needs only one of them. */
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
		kprobe->error = 0; /* the trampoline is used instead */
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

/* Does this process lack something, as opposed to a kernel that refuses? */
static bool process_lacks(const struct probe *p, enum backend b, int err)
{
	return loading_lacks(err) || (b != BACKEND_FENTRY && rights_perf_refused()) ||
	       (b == BACKEND_TRACEPOINT && p->features.tracefs);
}

/* What a backend has to see: without these there is nothing to show. */
static const unsigned least[] = { [HOOKS_COUNT] = SEES_TCP_ACCEPTED, [HOOKS_BINDS] = SEES_CALLS };

const char *probe_reason(const struct probe *p, enum backend b, int error)
{
	for (size_t i = 0; i < hook_count; i++)
		if (hook_is_of(&hooks[i], p->set, b) && p->results[i].error &&
		    (hooks[i].sees & least[p->set]))
			return p->results[i].why;
	return strerror(-error);
}

int probe_refused(const struct probe *p, enum backend b, int err, char *why, size_t size)
{
	const int tracefs = p->features.tracefs;
	char reason[160];

	if (b != BACKEND_AUTO && !process_lacks(p, b, err))
		return loading_fail(err, why, size,
				    "backend %s can't be used on this kernel: %s; see sockfair "
				    "doctor",
				    backend_name(b), probe_reason(p, b, err));
	if (loading_lacks(err))
		return loading_fail(err, why, size, "cannot load BPF programs: %s",
				    loading_reason(err, reason, sizeof(reason)));
	if (rights_perf_refused())
		return loading_fail(-EPERM, why, size,
				    "cannot attach: %s; run as root, or grant it",
				    perf_lacks(reason, sizeof(reason)));
	if (tracefs)
		return loading_fail(
			tracefs, why, size,
			"cannot find the tracepoints: %s; run as root, or grant what is missing",
			tracefs_lacks(tracefs, reason, sizeof(reason)));
	return loading_fail(-EOPNOTSUPP, why, size,
			    "this kernel allows none of the hooks that sockfair needs; sockfair "
			    "doctor says which and why");
}

int probe_kernel(struct probe *p, enum hook_set set, bool attach)
{
	const struct btf *btf;
	int err = 0;

	*p = (struct probe){ .set = set };
	p->results = calloc(hook_count, sizeof(*p->results));
	if (!p->results)
		return loading_fail(-ENOMEM, p->error, sizeof(p->error), "out of memory");
	err = loading_btf(&btf, p->error, sizeof(p->error));
	if (err)
		return err;
	features_read(&p->features, btf);
	for (size_t i = 0; i < hook_count && !err; i++) {
		if (hooks[i].set != set)
			continue;
		hook_probe(btf, &hooks[i], &p->features, attach, &p->results[i]);
		/* That tracefs can't be mounted concerns classic tracepoints alone. */
		if (hooks[i].kind == HOOK_TRACEPOINT && p->features.tracefs)
			continue;
		if (loading_lacks(p->results[i].error))
			err = loading_fail(p->results[i].error, p->error, sizeof(p->error),
					   "cannot load BPF programs: %s", p->results[i].why);
	}
	prefer_kprobe_reads(p);
	loading_btf_end(btf);
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
		if (!hook_is_of(&hooks[i], p->set, b))
			continue;
		sees |= hooks[i].sees;
		/* error 0: not needed here */
		if (!p->results[i].usable && p->results[i].error &&
		    !(hooks[i].flags & HOOK_OPTIONAL))
			misses |= hooks[i].sees;
	}
	sees &= ~misses;
	return sees & least[p->set] ? sees : 0;
}

enum backend probe_best(const struct probe *p, unsigned all, unsigned without)
{
	enum backend best = BACKEND_AUTO;
	int most = 0;

	for (int b = 0; b < BACKEND_COUNT; b++) {
		const int sees = without >> b & 1 ? 0 : __builtin_popcount(probe_sees(p, b) & all);

		if (sees > most) {
			best = b;
			most = sees;
		}
	}
	return best;
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
