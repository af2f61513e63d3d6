// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sees epoll_ctl() of certain processes on certain entries of certain epolls: while such entries
 * are moved, what the server itself does to them has to win. A call is counted before the kernel
 * carries it out. It needs no types of the kernel.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "epoll_calls_record.h"

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EPOLL_CALLS_KEYS);
	__type(key, struct epoll_calls_key);
	__type(value, __u32); /* the place */
} watched SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, EPOLL_CALLS_PLACES);
	__type(key, __u32);
	__type(value, struct epoll_calls_row);
} rows SEC(".maps");

/* struct epoll_event of include/uapi/linux/eventpoll.h: packed on x86-64 alone. */
struct event_asked {
	__u32 events;
	__u64 data;
}
#ifdef __TARGET_ARCH_x86
__attribute__((packed))
#endif
;

SEC("tracepoint/syscalls/sys_enter_epoll_ctl")
int epoll_ctl_enter(struct syscall_enter_args *ctx)
{
	struct epoll_calls_key key = {
		.pid = bpf_get_current_pid_tgid() >> 32,
		.epoll = ctx->args[0],
		.fd = ctx->args[2],
	};
	const __u32 *place = bpf_map_lookup_elem(&watched, &key);
	struct epoll_calls_row *row = place ? bpf_map_lookup_elem(&rows, place) : NULL;
	struct event_asked asked = {};

	if (!row)
		return 0;
	row->known = !bpf_probe_read_user(&asked, sizeof(asked), (void *)ctx->args[3]);
	row->op = ctx->args[1];
	row->events = asked.events;
	row->data = asked.data;
	__sync_fetch_and_add(&row->calls, 1);
	return 0;
}
