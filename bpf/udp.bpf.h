/* SPDX-License-Identifier: GPL-2.0-or-later */
/* UDP: datagrams that are queued, dropped and read, and of which flow they are. */
#ifndef SOCKFAIR_UDP_BPF_H
#define SOCKFAIR_UDP_BPF_H

#include "rows.bpf.h"

static __always_inline bool udp_wanted(struct sock *sk)
{
	if (READ(sk, sk_protocol) != IPPROTO_UDP || !wanted(sk) ||
	    (filter.protocol && filter.protocol != IPPROTO_UDP))
		return false;
	/* Nobody asked for an address or a port with bind(): a client. */
	return !config.without_clients ||
	       (READ_BITFIELD(sk, sk_userlocks) & (SOCK_BINDADDR_LOCK | SOCK_BINDPORT_LOCK));
}

/*
 * Datagrams in one buffer: several where the socket asked for UDP_GRO and the kernel merged them.
 * gso_segs is 0 for what a driver merged itself; then it is the length over the size of one.
 */
static __always_inline __u64 skb_datagrams(struct sk_buff *untyped)
{
	struct sk_buff *skb = TYPED(untyped, struct sk_buff);
	unsigned char *end = READ(skb, head) + READ(skb, end);
	struct skb_shared_info *shared = TYPED(end, struct skb_shared_info);
	__u32 size = READ(shared, gso_size), segments = READ(shared, gso_segs);

	if (!size)
		return 1;
	return segments ? segments : (READ(skb, len) + size - 1) / size;
}

#define FLOW_UNKNOWN 0xffffffffu

/* include/uapi/linux/if_packet.h */
#define PACKET_BROADCAST 1
#define PACKET_LOOPBACK 5

/*
 * The bucket of a datagram's flow: a hash of its client's address and port, which are left in
 * *peer. FLOW_UNKNOWN: the buffer does not hold a datagram for that socket, or no longer: one that
 * was freed reads as garbage.
 */
static __always_inline __u32 flow_of(struct sock *view, struct sk_buff *untyped,
				     struct count_peer *peer)
{
	struct sk_buff *skb = TYPED(untyped, struct sk_buff);
	unsigned char *head = READ(skb, head);
	struct udphdr *udp = TYPED(head + READ(skb, transport_header), struct udphdr);
	__u32 hash, address;

	if (READ(udp, dest) != bpf_htons(port_of(view)))
		return FLOW_UNKNOWN;
	if (READ(skb, protocol) == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = TYPED(head + READ(skb, network_header), struct iphdr);

		address = READ(ip, saddr);
		peer->address[0] = peer->address[1] = 0;
		peer->address[2] = bpf_htonl(0xffff);
		peer->address[3] = address;
	} else {
		struct ipv6hdr *ip = TYPED(head + READ(skb, network_header), struct ipv6hdr);

		peer->address[0] = READ(ip, saddr.in6_u.u6_addr32[0]);
		peer->address[1] = READ(ip, saddr.in6_u.u6_addr32[1]);
		peer->address[2] = READ(ip, saddr.in6_u.u6_addr32[2]);
		peer->address[3] = READ(ip, saddr.in6_u.u6_addr32[3]);
		address = peer->address[0] ^ peer->address[1] * 0x85ebca6bu ^
			  peer->address[2] * 0xc2b2ae35u ^ peer->address[3] * 0x27d4eb2fu;
	}
	peer->port = READ(udp, source);
	hash = (address ^ peer->port * 0x9e3779b1u) * 0x85ebca6bu;
	hash = (hash ^ hash >> 15) * 0x2c1b3c6du;
	return hash >> 25; /* the highest seven bits */
}

/*
 * Was the datagram sent to a multicast or broadcast address, so that each socket that has a claim
 * gets one of its own? A broadcast of a network is told by how it came, for its route is dropped by
 * now; one on lo comes as any other, to the last address of 127.0.0.0/8.
 */
static __always_inline bool is_copy(struct sk_buff *untyped)
{
	struct sk_buff *skb = TYPED(untyped, struct sk_buff);
	unsigned char *header = READ(skb, head) + READ(skb, network_header);
	__u32 to;
	__u8 type;

	if (READ(skb, protocol) != bpf_htons(ETH_P_IP)) {
		struct ipv6hdr *ip = TYPED(header, struct ipv6hdr);

		return (bpf_ntohl(READ(ip, daddr.in6_u.u6_addr32[0])) >> 24) == 0xff;
	} else {
		struct iphdr *ip = TYPED(header, struct iphdr);

		to = bpf_ntohl(READ(ip, daddr));
	}
	if (to >> 28 == 14 || to == 0xffffffff || to == 0x7fffffff)
		return true;
	type = READ_BITFIELD(skb, pkt_type);
	return type == PACKET_BROADCAST || type == PACKET_LOOPBACK;
}

static __always_inline bool has_flows(struct sock *view)
{
	return READ_BITFIELD(view, __sk_common.skc_reuseport);
}

static __always_inline struct count_sketch *sketch_of(__u32 socket)
{
	struct count_socket *row = bpf_map_lookup_elem(&sockets, &socket);
	__u32 index;

	if (!row || !row->sketch)
		return NULL;
	index = row->sketch - 1;
	return bpf_map_lookup_elem(&sketches, &index);
}

static __always_inline bool same_peer(const struct count_peer *a, const struct count_peer *b)
{
	return a->port == b->port && a->address[3] == b->address[3] &&
	       a->address[2] == b->address[2] && a->address[1] == b->address[1] &&
	       a->address[0] == b->address[0];
}

static __always_inline void flow_elect(struct count_sketch *sketch, const struct count_peer *peer,
				       __u32 n)
{
	sketch->peer.address[0] = peer->address[0];
	sketch->peer.address[1] = peer->address[1];
	sketch->peer.address[2] = peer->address[2];
	sketch->peer.address[3] = peer->address[3];
	sketch->peer.port = peer->port;
	sketch->votes = n;
}

/*
 * Whose the heaviest bucket is. Its datagrams vote: one of the peer that is elected adds a vote,
 * one of another takes one, and where none is left the other is elected. So of the bucket's
 * datagrams since then at least as many as it has votes came of that peer. Another bucket takes its
 * place with an eighth more, so that two of a size do not take turns. Two CPUs that elect at once
 * may leave a peer that nobody is: it loses its votes.
 */
static __always_inline void flow_vote(struct count_sketch *sketch, __u32 flow, __u32 n,
				      const struct count_peer *peer)
{
	const __u32 heaviest = sketch->heaviest, count = sketch->buckets[flow];

	if (flow + 1 != heaviest) {
		const __u32 most =
			heaviest ? sketch->buckets[(heaviest - 1) & (COUNT_SKETCH_BUCKETS - 1)] : 0;

		if (count <= most + most / 8)
			return;
		sketch->heaviest = flow + 1;
		sketch->since = count - n;
		flow_elect(sketch, peer, n);
	} else if (same_peer(&sketch->peer, peer)) {
		__sync_fetch_and_add(&sketch->votes, n);
	} else if (sketch->votes > 0) {
		__sync_fetch_and_add(&sketch->votes, -(__s64)n);
	} else {
		flow_elect(sketch, peer, n);
	}
}

/* n datagrams of that flow came. */
static __always_inline void flow_note(struct count_sketch *sketch, __u32 flow, __u32 n,
				      const struct count_peer *peer)
{
	if (flow >= COUNT_SKETCH_BUCKETS)
		return;
	__sync_fetch_and_add(&sketch->buckets[flow], n);
	flow_vote(sketch, flow, n, peer);
}

/*
 * The tracepoint backend: sk_data_ready() is called once for each buffer, and does not show it.
 * From 6.18 on the buffers of a stage are queued together and then told one by one; and another CPU
 * may have queued one more. So each call notes all that were queued since the one that was noted
 * last, and as many calls that follow have nothing to note. What a reader has taken by then is not
 * seen: user space holds what was noted against what arrived. Two CPUs that are here at once may
 * note one buffer twice.
 */
#define FLOW_STEPS 16

static __always_inline void flow_told(struct count_sketch *sketch, struct sock *view)
{
	void *queue = (void *)view + bpf_core_field_offset(struct sock, sk_receive_queue);
	struct sk_buff *newest = READ(view, sk_receive_queue.prev), *buffer = newest;
	const __u64 last = sketch->last;
	struct count_peer peer = {};
	__s64 noted = 0;

	if ((void *)newest == queue || (__u64)newest == last) {
		if (sketch->ahead > 0) {
			__sync_fetch_and_add(&sketch->ahead, -1);
			return;
		}
		if ((void *)newest == queue)
			return;
		/* Not yet noted: another buffer in the place of one that was read. */
		flow_note(sketch, flow_of(view, newest, &peer), 1, &peer);
		return;
	}
	for (int i = 0; i < FLOW_STEPS; i++) {
		if ((void *)buffer == queue || (__u64)buffer == last)
			break;
		flow_note(sketch, flow_of(view, buffer, &peer), 1, &peer);
		noted++;
		buffer = TYPED(buffer, struct sk_buff);
		buffer = READ(buffer, prev);
	}
	sketch->last = (__u64)newest;
	if (noted > 1)
		__sync_fetch_and_add(&sketch->ahead, noted - 1);
}

/*
 * A buffer with n datagrams was put into the receive queue, or with an error was not. several: n is
 * 1 for want of knowledge, as the hook does not show the buffer. copies: of n. sk passed the
 * filter. Returns the sketch of the socket's flows, or NULL.
 */
static __always_inline struct count_sketch *udp_queued(struct sock *sk, __u32 n, bool several,
						       __u32 copies, int error, const bool trusted)
{
	struct sock *view = TYPED(sk, struct sock);
	struct count_arrival *row;
	__u32 socket;

	row = arrival_row(view, socket_cookie(view, trusted ? sk : NULL), n, &socket);
	if (!row)
		return NULL;
	row->several += several;
	if (error) {
		row->dropped += n;
	} else {
		row->copies += copies;
		row->arrived += n;
	}
	return has_flows(view) ? sketch_of(socket) : NULL;
}

/*
 * __udp_enqueue_schedule_skb() is entered: the last that the buffer is surely ours to look at. Once
 * it is in the queue another CPU may read and free it before the function returns. A stash that the
 * filter does not want is left empty.
 */
static __always_inline void udp_entered(struct stash *mine, struct sock *sk, struct sk_buff *skb)
{
	struct sock *view = TYPED(sk, struct sock);

	mine->udp_sk = udp_wanted(view) ? (__u64)sk : 0;
	if (!mine->udp_sk)
		return;
	mine->udp_skb = (__u64)skb;
	mine->udp_datagrams = udp_has_gro(view) ? skb_datagrams(skb) : 1;
	mine->udp_copies = is_copy(skb) ? mine->udp_datagrams : 0;
	mine->udp_flow = has_flows(view) && !mine->udp_copies ? flow_of(view, skb, &mine->udp_peer)
							      : FLOW_UNKNOWN;
}

/* It returns. sk: see socket_cookie() for `trusted`. */
static __always_inline void udp_left(struct stash *mine, struct sock *sk, int error,
				     const bool trusted)
{
	struct count_sketch *sketch;

	mine->udp_sk = 0;
	sketch = udp_queued(sk, mine->udp_datagrams, false, mine->udp_copies, error, trusted);
	if (sketch)
		flow_note(sketch, mine->udp_flow, mine->udp_datagrams, &mine->udp_peer);
}

/* The tracepoint backend: as udp_queued(), with the buffer, or NULL where the hook does not show
 * it. */
static __always_inline void udp_told(struct sock *sk, struct sk_buff *skb, int error)
{
	struct sock *view = TYPED(sk, struct sock);
	struct count_peer peer = {};
	struct count_sketch *sketch;
	__u32 n = 1;
	bool merges;

	if (!udp_wanted(view))
		return;
	merges = udp_has_gro(view);
	if (merges && skb)
		n = skb_datagrams(skb);
	sketch = udp_queued(sk, n, merges && !skb, 0, error, true);
	if (sketch && skb)
		flow_note(sketch, flow_of(view, skb, &peer), n, &peer);
	else if (sketch && !error)
		flow_told(sketch, view);
}

/* Staged delivery gave up on a datagram that __udp_enqueue_schedule_skb() had taken. `counted`: it
 * was counted as arrived. */
static __always_inline void udp_dropped_late(struct sock *sk, struct sk_buff *skb,
					     const bool counted)
{
	struct sock *view = TYPED(sk, struct sock);
	struct count_peer peer = {};
	struct count_sketch *sketch;
	struct count_arrival *row;
	struct stash *mine = stash();
	__u32 socket, n;

	if (!sk || !udp_wanted(view))
		return;
	if (mine && mine->failed_skb == (__u64)skb) {
		mine->failed_skb = 0;
		return;
	}
	n = udp_has_gro(view) ? skb_datagrams(skb) : 1;
	row = arrival_row(view, socket_cookie(view, NULL), n, &socket);
	if (!row)
		return;
	row->dropped += n;
	if (counted) {
		row->dropped_late += n;
		return;
	}
	sketch = has_flows(view) ? sketch_of(socket) : NULL;
	if (sketch)
		flow_note(sketch, flow_of(view, skb, &peer), n, &peer);
}

static __always_inline void udp_received(struct sock *sk, __u64 n, const bool trusted)
{
	struct sock *view = TYPED(sk, struct sock);

	worker_add(view, socket_cookie(view, trusted ? sk : NULL), n);
}

/* n buffers were read that nothing shows. Told once: here only where it was not when they were
 * queued. */
static __always_inline void several_read(struct sock *view, __u64 n)
{
	struct count_arrival *row;
	__u32 socket;

	if (config.udp_queued_seen || !udp_has_gro(view))
		return;
	row = arrival_row(view, socket_cookie(view, NULL), 0, &socket);
	if (row)
		row->several += n; /* nobody else writes the row: see udp_queued_seen */
}

/*
 * skb_consume_udp(sk, skb, len): after a read. A peek passes -len and leaves the buffer in the
 * queue: len says so unless it is 0, then the queue's own reference does.
 */
static __always_inline void udp_consumed(struct sock *sk, struct sk_buff *untyped, int len,
					 const bool trusted)
{
	struct sock *view = TYPED(sk, struct sock);
	struct sk_buff *skb = TYPED(untyped, struct sk_buff);

	if (len < 0 || !udp_wanted(view) || (!len && READ(skb, users.refs.counter) > 1))
		return;
	udp_received(sk, udp_has_gro(view) ? skb_datagrams(skb) : 1, trusted);
}

/* After shutdown() a read returns 0 without a datagram; so does reading an empty datagram. */
static __always_inline bool read_ended(struct sock *sk, long ret)
{
	if (ret || !(READ(sk, sk_shutdown) & RCV_SHUTDOWN))
		return false;
	lost_of(COUNT_LOST_SHUTDOWN_READ, 1, sk);
	return true;
}

/* sock:sock_recv_length: a read of any socket returned `ret`. */
static __always_inline void socket_read(struct sock *sk, int ret, int flags)
{
	struct sock *view = TYPED(sk, struct sock);

	if (ret < 0 || (flags & (MSG_PEEK | MSG_ERRQUEUE)) || !udp_wanted(view))
		return;
	if (read_ended(view, ret))
		return;
	several_read(view, 1);
	udp_received(sk, 1, false);
}

/*
 * recvfrom(), recvmsg() or recvmmsg() took n datagrams, for kernels without sock_recv_length. The
 * descriptor may have been replaced meanwhile, as in accept_returned(); nothing of the datagram is
 * left to tell.
 */
static __always_inline void read_returned(const int flags_argument, long n, long ret)
{
	struct task_struct *task;
	struct sock *sk;

	if (ret < 0 || n <= 0 || !count_on)
		return;
	task = bpf_get_current_task_btf();
	if (syscall_argument(task, flags_argument) & (MSG_PEEK | MSG_ERRQUEUE))
		return;
	sk = socket_of_descriptor(task, syscall_argument(task, 0));
	if (!sk)
		return;
	sk = TYPED(sk, struct sock);
	if (!udp_wanted(sk) || read_ended(sk, ret))
		return;
	several_read(sk, n);
	worker_add(sk, socket_cookie(sk, NULL), n);
}

#endif
