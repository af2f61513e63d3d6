/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The second way to steer a SO_REUSEPORT group: a program of the group itself
 * (SO_ATTACH_REUSEPORT_EBPF). The kernel asks it after it has found out to which listeners a SYN
 * belongs, so those with other addresses or devices keep theirs; with SYN cookies it asks once more
 * at the ACK. No link holds the program: it stays in the group when the tool is killed, and leaves
 * everything to the hash from then on, until it is detached (user/steer/reuseport.c).
 *
 * Here a SOCKMAP may not be looked up, and in a map of the kind that such programs pick from no
 * socket may be looked at. So the load is read from the group's own list, which ctx->sk leads to
 * (5.14).
 */
#ifndef SOCKFAIR_STEER_REUSEPORT_BPF_H
#define SOCKFAIR_STEER_REUSEPORT_BPF_H

#include "steer.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
	__uint(max_entries, STEER_MEMBERS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} steer_array SEC(".maps");

/* The address of the group; 0: none. */
static __always_inline __u64 steer_group_of(const struct bpf_sock *found)
{
	struct stash *mine = stash();
	struct sock *sk;

	if (!mine)
		return 0;
	sk = TYPED(steer_number_of(mine, found), struct sock);
	return steer_number_of(mine, READ(sk, sk_reuseport_cb));
}

/* steer_load_of() the group's socket number n; of one that is no member STEER_NOBODY. */
__noinline __u64 steer_load_in_group(__u64 group_address, __u32 n, __u64 now)
{
	struct sock_reuseport *group = (void *)group_address;
	void *sockets = __builtin_preserve_access_index(&group->socks);
	void *untyped = pointer_at(sockets + (__u64)n * sizeof(struct sock *));
	struct inet_connection_sock *listener = TYPED(untyped, struct inet_connection_sock);
	struct sock *sk = TYPED(untyped, struct sock);
	struct steer_queue queue;
	struct steer_member *m;
	__u32 *index;
	__u64 cookie;

	if (!untyped)
		return STEER_NOBODY;
	cookie = READ(sk, __sk_common.skc_cookie.counter);
	index = bpf_map_lookup_elem(&steer_by_cookie, &cookie);
	m = index ? bpf_map_lookup_elem(&steer_members, index) : NULL;
	if (!m)
		return STEER_NOBODY;
	queue.waiting = READ(sk, sk_ack_backlog);
	queue.half_open = READ(listener, icsk_accept_queue.qlen.counter);
	return steer_load_of(*index, m, &queue, now);
}

/* SK_PASS without a choice leaves it to the kernel's hash. */
SEC("?sk_reuseport")
int steer_reuseport(struct sk_reuseport_md *ctx)
{
	const __u64 address = steer_group_of(ctx->sk), now = bpf_ktime_get_ns();
	struct sock_reuseport *group = TYPED(address, struct sock_reuseport);
	const __u32 sockets = address ? READ(group, num_socks) : 0;
	__u64 least = STEER_NOBODY;
	struct steer_member *m;
	__u32 best;

	if (steer_is_stale(now))
		return steer_pass(STEER_PASS_STALE);
	if (sockets != steer_state.group_size)
		return steer_pass(STEER_PASS_SIZE);
	for (__u32 i = 0; i < STEER_MEMBERS_MAX; i++) {
		if (i >= sockets)
			break;
		least = steer_less(least, steer_load_in_group(address, i, now));
	}
	best = least & STEER_PLACE;
	m = bpf_map_lookup_elem(&steer_members, &best);
	if (least == STEER_NOBODY || !m || bpf_sk_select_reuseport(ctx, &steer_array, &best, 0))
		return steer_pass(STEER_PASS_EMPTY);
	steer_picked(m);
	return SK_PASS;
}

#endif
