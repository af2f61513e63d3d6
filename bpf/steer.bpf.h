/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Steers the new connections of a SO_REUSEPORT group, or the datagrams. The kernel asks an
 * SK_LOOKUP program which socket a SYN or a datagram belongs to before it looks for one itself
 * (since 5.9); datagrams for a connected socket it does not ask for. The group's sockets lie in a
 * SOCKMAP, so the program needs neither a restart nor a change of the server. All of it is held by
 * a link: when the tool ends, however it ends, the kernel's hash picks again, at once.
 *
 * The load of a member is what the programs count anyway (open connections, arrivals) and what the
 * kernel keeps in the socket itself (waiting, half-open).
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

/* A connection came to the listener with that cookie, in whose queue `length` wait now. */
static __always_inline void steer_arrived(__u64 cookie, __u32 length)
{
	struct steer_member *m = steer.on ? steer_member_of(cookie) : NULL;

	if (!m)
		return;
	__sync_fetch_and_add(&m->arrived, 1);
	if (length <= 1)
		m->waiting_ns = bpf_ktime_get_ns();
}

/* It accepted one, or read one. */
static __always_inline void steer_accepted(__u64 cookie)
{
	struct steer_member *m = steer.on ? steer_member_of(cookie) : NULL;

	if (m)
		m->accepted_ns = bpf_ktime_get_ns();
}

/* One that it accepted is open. Returns what steer_closed() needs; 0: it was not counted. */
static __always_inline __u16 steer_opened(__u64 cookie)
{
	struct steer_member *m = steer.on ? steer_member_of(cookie) : NULL;

	if (!m)
		return 0;
	__sync_fetch_and_add(&m->open, 1);
	return m->epoch;
}

/* It is closed. What was accepted before the socket became a member was not counted. */
static __always_inline void steer_closed(__u64 cookie, __u16 epoch)
{
	struct steer_member *m = steer.on && epoch ? steer_member_of(cookie) : NULL;

	if (m && m->epoch == epoch)
		__sync_fetch_and_add(&m->open, -1);
}

/* A socket on the port begins to listen. */
static __always_inline void steer_listens(const struct sock *sk)
{
	if (READ(sk, __sk_common.skc_num) == steer.port)
		__sync_fetch_and_add(&steer_state.listens, 1);
}

/* A pointer as a number: the verifier allows no arithmetic on some, and passes none to a function
 * that it follows once. What is read back from a map is a number. */
static __always_inline __u64 steer_number_of(struct stash *mine, const void *pointer)
{
	*(const void *volatile *)&mine->steered = pointer;
	return *(volatile __u64 *)&mine->steered;
}

/* ---- the queue of a UDP socket ---- */

/*
 * The socket, to be read. No type that this kind of program may use leads into a UDP socket over
 * IPv4 before bpf_rdonly_cast() (6.2). Nor may it add to the pointer, but to its number it may.
 */
static __always_inline struct sock *steer_view(struct bpf_sock *sk)
{
	struct stash *mine = stash();

	if (kernel.has_rdonly_cast)
		return TYPED(sk, struct sock);
	if (!mine)
		return NULL;
	return (struct sock *)steer_number_of(mine, sk);
}

/* Buffers in the receive queue: those that no reader has taken over yet, and those that one has.
 * Bytes would not do: a reader gives memory back late (forward_deficit). */
static __always_inline __u32 steer_datagrams(struct bpf_sock *sk)
{
	struct sock *view = steer_view(sk);
	struct udp_sock *up = TYPED(view, struct udp_sock);

	return READ(view, sk_receive_queue.qlen) + READ(up, reader_queue.qlen);
}

/* Nothing waits in the member's queue. Written now and then only, as its readers write to the same
 * cache line. */
static __always_inline void steer_found_empty(struct steer_member *m, __u64 now)
{
	if ((__s64)(now - m->waiting_ns) > (__s64)STEER_STALLED_NS / 16)
		m->waiting_ns = now;
}

/* ---- the choice ---- */

#define STEER_NOBODY (~0ull)

/* Has nothing been accepted for long although something waits? */
static __always_inline bool steer_is_stalled(const struct steer_member *m, __u64 now)
{
	const __u64 accepted = m->accepted_ns, since = m->waiting_ns;

	return (__s64)(now - (accepted > since ? accepted : since)) > (__s64)STEER_STALLED_NS;
}

/* A load and the member's place, in one number: the least number is picked. */
#define STEER_PLACE_BITS 6
#define STEER_PLACE ((1 << STEER_PLACE_BITS) - 1)
#define STEER_ARRIVED_BITS 34
_Static_assert(STEER_MEMBERS_MAX == 1 << STEER_PLACE_BITS, "a place fits");

/*
 * UDP: the shortest queue; of several the one that has read least recently, so that one which was
 * away has nothing to catch up with, as it would have by a count. When it was picked last would
 * not do: GRO looks a datagram up before it is delivered where tunnels are in use
 * (udp_encap_needed_key), and the two look-ups have to find the same socket.
 */
static __always_inline __u64 steer_queue_load(const struct steer_member *m, __u64 waiting,
					      __u64 now)
{
	const __u64 most = (1ull << STEER_ARRIVED_BITS) - 1;
	const __s64 since = (__s64)(now - m->accepted_ns); /* it may read meanwhile */
	const __u64 ago = since > 0 ? (__u64)since >> 10 : 0;

	return waiting << STEER_ARRIVED_BITS | (most - (ago < most ? ago : most));
}

/* What the kernel keeps in a member's listener. */
struct steer_queue {
	__u64 waiting, half_open;
};

/*
 * Returns the member's load by the policy, with its place. STEER_NOBODY means that the member
 * can't be picked.
 */
static __always_inline __u64 steer_load_of(__u32 index, struct steer_member *m,
					   const struct steer_queue *queue, __u64 now)
{
	const __u64 behind = queue->waiting + queue->half_open;
	const __u32 stalled = queue->waiting && steer_is_stalled(m, now);
	__u64 arrived, load;
	__s64 open;

	if (m->stalled != stalled)
		m->stalled = stalled;
	if (stalled)
		return STEER_NOBODY;
	if (steer.protocol == IPPROTO_UDP)
		return steer_queue_load(m, queue->waiting, now) << STEER_PLACE_BITS |
		       (index & STEER_PLACE);
	/* Connections whose handshake is under way have been picked, and have not arrived. */
	arrived = (m->arrived + queue->half_open) & ((1ull << STEER_ARRIVED_BITS) - 1);
	open = m->open + m->open_before;
	switch (steer.policy) {
	case STEER_EVEN: load = arrived; break;
	case STEER_LEAST_QUEUE: load = behind << STEER_ARRIVED_BITS | arrived; break;
	case STEER_WEIGHTS:
		if (!m->weight)
			return STEER_NOBODY;
		load = ((arrived + 1) << 16) / m->weight;
		break;
	default:
		/* Twice what waits: it will be open, too, and nobody has taken it yet. So a worker
		 * that has stopped gets one or two, where 10 clients wait for replies of 4 workers,
		 * until it counts as stalled; 3, if all counted once. */
		load = (behind + queue->waiting + (open > 0 ? open : 0)) << STEER_ARRIVED_BITS |
		       arrived;
	}
	return load << STEER_PLACE_BITS | (index & STEER_PLACE);
}

/* steer_load_of() a socket of the SOCKMAP. A function of its own, which the verifier follows once,
 * not once for each of the members. */
__noinline __u64 steer_load(__u32 index, __u64 now)
{
	struct steer_member *m = bpf_map_lookup_elem(&steer_members, &index);
	struct steer_queue queue = {};
	struct bpf_sock *sk;
	struct tcp_sock *tp;

	if (!m)
		return STEER_NOBODY;
	sk = bpf_map_lookup_elem(&steer_sockets, &index);
	if (!sk)
		return STEER_NOBODY;
	tp = steer.protocol == IPPROTO_TCP ? bpf_skc_to_tcp_sock(sk) : NULL;
	if (steer.protocol == IPPROTO_UDP)
		queue.waiting = steer_datagrams(sk);
	if (tp) {
		queue.waiting = ((struct sock *)tp)->sk_ack_backlog;
		queue.half_open =
			((struct inet_connection_sock *)tp)->icsk_accept_queue.qlen.counter;
	}
	bpf_sk_release(sk);
	if (steer.protocol == IPPROTO_UDP && !queue.waiting)
		steer_found_empty(m, now);
	return steer_load_of(index, m, &queue, now);
}

/* A function too: what it returns is any number to the verifier, which would else follow each way
 * through all members. (Before 6.4 it takes every number for precise once there are functions.) */
__noinline __u64 steer_less(__u64 a, __u64 b)
{
	return a < b ? a : b;
}

/* The address that the packet came to. */
struct steer_target {
	__be32 v4;
	__be32 v6[4];
};

/* Is that IPv4 address the one that an IPv6 socket is bound to (mapped)? */
static __always_inline bool steer_is_mapped(const struct steer_target *to)
{
	return !steer.address[0] && !steer.address[1] && steer.address[2] == bpf_htonl(0xffff) &&
	       to->v4 == steer.address[3];
}

static __always_inline bool steer_is_ours(struct bpf_sk_lookup *ctx)
{
	struct steer_target to;
	__u32 family;

	if (ctx->local_port != steer.port || ctx->protocol != steer.protocol)
		return false;
	/* The verifier refuses a pointer into the context that depends on a branch, which clang
	 * makes of loads in several branches: so all are read here, one by one. */
	family = *(volatile __u32 *)&ctx->family;
	to.v4 = *(volatile __u32 *)&ctx->local_ip4;
	to.v6[0] = *(volatile __u32 *)&ctx->local_ip6[0];
	to.v6[1] = *(volatile __u32 *)&ctx->local_ip6[1];
	to.v6[2] = *(volatile __u32 *)&ctx->local_ip6[2];
	to.v6[3] = *(volatile __u32 *)&ctx->local_ip6[3];
	if (family != steer.family)
		return steer.family == AF_INET6 && !steer.v6only &&
		       (steer.any || steer_is_mapped(&to));
	if (steer.any)
		return true;
	if (family == AF_INET)
		return to.v4 == steer.address[0];
	return to.v6[0] == steer.address[0] && to.v6[1] == steer.address[1] &&
	       to.v6[2] == steer.address[2] && to.v6[3] == steer.address[3];
}

/* The number of sockets of the group that the member belongs to; 0: of none. */
static __always_inline __u32 steer_group_size(struct bpf_sock *sk)
{
	struct sock_reuseport *group;
	struct tcp_sock *tp;
	struct sock *view;

	if (steer.protocol == IPPROTO_UDP) {
		view = steer_view(sk);
		group = READ(view, sk_reuseport_cb);
		return group ? READ(group, num_socks) : 0;
	}
	tp = bpf_skc_to_tcp_sock(sk);
	group = tp ? ((struct sock *)tp)->sk_reuseport_cb : NULL;
	return group ? group->num_socks : 0;
}

/* Left to the kernel's hash. */
static __always_inline int steer_pass(enum steer_pass why)
{
	__sync_fetch_and_add(&steer_state.passed[why], 1);
	return SK_PASS;
}

/* Has the tool not shown for long that it is alive? */
static __always_inline bool steer_is_stale(__u64 now)
{
	/* Signed: the heart may beat after the clock was read. */
	return (__s64)(now - steer_state.heartbeat_ns) > (__s64)STEER_DEADLINE_NS;
}

static __always_inline void steer_picked(struct steer_member *m)
{
	__sync_fetch_and_add(&m->chosen, 1);
	__sync_fetch_and_add(&steer_state.steered, 1);
}

SEC("?sk_lookup")
int steer_lookup(struct bpf_sk_lookup *ctx)
{
	__u64 least = STEER_NOBODY, now;
	struct steer_member *m;
	struct bpf_sock *sk;
	__u32 best = 0;

	if (!steer_is_ours(ctx))
		return SK_PASS;
	now = bpf_ktime_get_ns();
	if (steer_is_stale(now))
		return steer_pass(STEER_PASS_STALE);
	if (steer_state.listens != steer_state.listens_known)
		return steer_pass(STEER_PASS_SIZE);
	for (__u32 i = 0; i < STEER_MEMBERS_MAX; i++) {
		if (i >= steer_state.members)
			break;
		least = steer_less(least, steer_load(i, now));
	}
	best = least & STEER_PLACE;
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
	if (!bpf_sk_assign(ctx, sk, BPF_SK_LOOKUP_F_NO_REUSEPORT))
		steer_picked(m);
	bpf_sk_release(sk);
	return SK_PASS;
}

#endif
