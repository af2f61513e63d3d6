/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Steers the new connections of a SO_REUSEPORT group. The kernel asks an SK_LOOKUP program which
 * socket a SYN belongs to before it looks for one itself (since 5.9). The group's sockets lie in a
 * SOCKMAP, so the program needs neither a restart nor a change of the server. All of it is held by
 * a link: when the tool ends, however it ends, the kernel's hash picks again, at once.
 *
 * The load of a member is what the programs count anyway (open connections, arrivals) and what the
 * kernel keeps in the listener itself (waiting, half-open).
 */
#ifndef SOCKFAIR_STEER_BPF_H
#define SOCKFAIR_STEER_BPF_H

#include "rows.bpf.h"
#include "steer.h"

const volatile struct steer_config steer;
struct steer_state steer_state; /* .bss */

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, STEER_MEMBERS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} steer_sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, STEER_MEMBERS_MAX);
	__type(key, __u32);
	__type(value, struct steer_member);
} steer_members SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STEER_MEMBERS_MAX);
	__type(key, __u64);
	__type(value, __u32);
} steer_by_cookie SEC(".maps");

static __always_inline struct steer_member *steer_member_of(__u64 cookie)
{
	__u32 *index = bpf_map_lookup_elem(&steer_by_cookie, &cookie);

	return index ? bpf_map_lookup_elem(&steer_members, index) : NULL;
}

/* A connection came to the listener with that cookie. */
static __always_inline void steer_arrived(__u64 cookie)
{
	struct steer_member *m = steer.on ? steer_member_of(cookie) : NULL;

	if (m)
		__sync_fetch_and_add(&m->arrived, 1);
}

/* One more (1) or one less (-1) of its connections is open. */
static __always_inline void steer_open(__u64 cookie, const __s64 change)
{
	struct steer_member *m = steer.on ? steer_member_of(cookie) : NULL;

	if (m)
		__sync_fetch_and_add(&m->open, change);
}

#define STEER_NOBODY (~0ull)

/*
 * Returns the member's load by the policy: the least is picked. STEER_NOBODY means that the member
 * can't be picked. A function of its own, which the verifier follows once, not once for each of
 * the members.
 */
__noinline __u64 steer_load(__u32 index)
{
	struct steer_member *m = bpf_map_lookup_elem(&steer_members, &index);
	__u64 waiting = 0, half_open = 0, arrived, load;
	struct bpf_sock *sk;
	struct tcp_sock *tp;

	if (!m || m->out)
		return STEER_NOBODY;
	sk = bpf_map_lookup_elem(&steer_sockets, &index);
	if (!sk)
		return STEER_NOBODY;
	tp = bpf_skc_to_tcp_sock(sk);
	if (tp) {
		waiting = ((struct sock *)tp)->sk_ack_backlog;
		half_open = ((struct inet_connection_sock *)tp)->icsk_accept_queue.qlen.counter;
	}
	bpf_sk_release(sk);
	/* Connections whose handshake is under way have been picked, and have not arrived. */
	arrived = m->arrived + half_open;
	switch (steer.policy) {
	case STEER_EVEN: return arrived;
	case STEER_LEAST_QUEUE: load = waiting + half_open; break;
	case STEER_WEIGHTS: return m->weight ? ((arrived + 1) << 16) / m->weight : STEER_NOBODY;
	default: load = waiting + half_open + (m->open > 0 ? m->open : 0);
	}
	return load << 40 | (arrived & ((1ull << 40) - 1));
}

static __always_inline bool steer_is_ours(struct bpf_sk_lookup *ctx)
{
	if (ctx->local_port != steer.port || ctx->protocol != IPPROTO_TCP)
		return false;
	if (steer.any)
		return ctx->family == steer.family || (steer.family == AF_INET6 && !steer.v6only);
	if (ctx->family != steer.family)
		return false;
	if (ctx->family == AF_INET)
		return ctx->local_ip4 == steer.address[0];
	return ctx->local_ip6[0] == steer.address[0] && ctx->local_ip6[1] == steer.address[1] &&
	       ctx->local_ip6[2] == steer.address[2] && ctx->local_ip6[3] == steer.address[3];
}

/* The number of sockets of the group that the member belongs to; 0: of none. */
static __always_inline __u32 steer_group_size(struct bpf_sock *sk)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct sock_reuseport *group = tp ? ((struct sock *)tp)->sk_reuseport_cb : NULL;

	return group ? group->num_socks : 0;
}

/* Left to the kernel's hash. */
static __always_inline int steer_pass(enum steer_pass why)
{
	__sync_fetch_and_add(&steer_state.passed[why], 1);
	return SK_PASS;
}

SEC("?sk_lookup")
int steer_lookup(struct bpf_sk_lookup *ctx)
{
	__u64 least = STEER_NOBODY;
	struct steer_member *m;
	struct bpf_sock *sk;
	__u32 best = 0;

	if (!steer_is_ours(ctx))
		return SK_PASS;
	if (bpf_ktime_get_ns() - steer_state.heartbeat_ns > STEER_DEADLINE_NS)
		return steer_pass(STEER_PASS_STALE);
	for (__u32 i = 0; i < STEER_MEMBERS_MAX; i++) {
		__u64 load;

		if (i >= steer_state.members)
			break;
		load = steer_load(i);
		if (load < least) {
			least = load;
			best = i;
		}
	}
	m = bpf_map_lookup_elem(&steer_members, &best);
	sk = least == STEER_NOBODY ? NULL : bpf_map_lookup_elem(&steer_sockets, &best);
	if (!sk || !m) {
		if (sk)
			bpf_sk_release(sk);
		return steer_pass(STEER_PASS_EMPTY);
	}
	if (steer_group_size(sk) != steer_state.group_size) {
		bpf_sk_release(sk);
		return steer_pass(STEER_PASS_SIZE);
	}
	/* Without the flag the group's hash would pick once more. */
	if (!bpf_sk_assign(ctx, sk, BPF_SK_LOOKUP_F_NO_REUSEPORT)) {
		__sync_fetch_and_add(&m->chosen, 1);
		__sync_fetch_and_add(&steer_state.steered, 1);
	}
	bpf_sk_release(sk);
	return SK_PASS;
}

#endif
