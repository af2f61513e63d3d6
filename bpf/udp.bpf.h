/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Counts UDP datagrams that are queued, dropped and read, and the flows that they belong to. */
#ifndef SOCKFAIR_UDP_BPF_H
#define SOCKFAIR_UDP_BPF_H

#include "rows.bpf.h"
#include "steer.bpf.h"

static __always_inline bool udp_wanted(struct sock *sk)
{
	if (READ(sk, sk_protocol) != IPPROTO_UDP || !wanted(sk) ||
	    (filter.protocol && filter.protocol != IPPROTO_UDP))
		return false;
	/* A socket for which nobody asked for an address or a port with bind() is a client. */
	return !config.without_clients ||
	       (READ_BITFIELD(sk, sk_userlocks) & (SOCK_BINDADDR_LOCK | SOCK_BINDPORT_LOCK));
}

/*
 * Returns how many datagrams one buffer holds: several if the socket asked for UDP_GRO and the
 * kernel merged them. gso_segs is 0 in a buffer that a driver merged itself; then the number is
 * the buffer's length divided by the size of one datagram.
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
 * Returns the bucket of a datagram's flow, which is a hash of the client's address and port, and
 * leaves both in *peer. FLOW_UNKNOWN means that the buffer does not hold a datagram for that
 * socket, or does not any more: a freed buffer reads as garbage.
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
 * Was the datagram sent to a multicast or broadcast address, so that every socket that may receive
 * it gets a copy? A broadcast to a network is recognised by how the datagram came in, because its
 * route is dropped by now. A broadcast on lo looks like any other datagram, so there the test is
 * the last address of 127.0.0.0/8.
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

/* `number` is that of count_socket. */
static __always_inline struct count_sketch *sketch_numbered(__u32 number)
{
	const __u32 index = number - 1;

	return number ? bpf_map_lookup_elem(&sketches, &index) : NULL;
}

static __always_inline struct count_sketch *sketch_of(__u32 socket)
{
	struct count_socket *row = bpf_map_lookup_elem(&sockets, &socket);

	return row ? sketch_numbered(row->sketch) : NULL;
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
 * Finds the peer that sends most of the heaviest bucket. The datagrams of that bucket vote: a
 * datagram of the elected peer adds a vote, a datagram of another peer takes one away, and when no
 * vote is left the other peer is elected. So of the bucket's datagrams since the vote began, at
 * least as many as there are votes came from the elected peer. Another bucket takes over only if
 * it holds an eighth more, so that two buckets of equal size do not take turns; `limit` is what
 * that was when it was last looked at, which is seldom, as other CPUs write to the heaviest
 * bucket. Two CPUs that elect at the same time may leave a mixture that is no peer's address; it
 * loses its votes.
 */
static __always_inline void flow_vote(struct count_sketch *sketch, __u32 flow, __u32 n,
				      const struct count_peer *peer, __u32 heaviest, __u32 limit)
{
	const __u32 count = sketch->buckets[flow];

	if (flow + 1 != heaviest) {
		__u32 most;

		if (count <= limit)
			return;
		most = heaviest ? sketch->buckets[(heaviest - 1) & (COUNT_SKETCH_BUCKETS - 1)] : 0;
		sketch->limit = most + most / 8;
		if (count <= most + most / 8)
			return;
		sketch->heaviest = flow + 1;
		sketch->since = count - n;
		flow_elect(sketch, peer, n);
	} else if (count < n) {
		sketch->limit = 0; /* it wrapped around */
	} else if (same_peer(&sketch->peer, peer)) {
		__sync_fetch_and_add(&sketch->votes, n);
	} else if (sketch->votes > 0) {
		__sync_fetch_and_add(&sketch->votes, -(__s64)n);
	} else {
		flow_elect(sketch, peer, n);
	}
}

/* n datagrams of that flow arrived. */
static __always_inline void flow_note(struct count_sketch *sketch, __u32 flow, __u32 n,
				      const struct count_peer *peer)
{
	/* Before the addition: what is read after it waits for it. */
	const __u32 heaviest = *(volatile __u32 *)&sketch->heaviest,
		    limit = *(volatile __u32 *)&sketch->limit;

	if (flow >= COUNT_SKETCH_BUCKETS)
		return;
	__sync_fetch_and_add(&sketch->buckets[flow], n);
	flow_vote(sketch, flow, n, peer, heaviest, limit);
}

/*
 * For the tracepoint backend: sk_data_ready() is called once for each buffer, and does not show
 * the buffer. Returns the buffer that this call is about, or NULL if a reader has taken it already:
 * user space compares how many flows' datagrams were counted with how many arrived.
 *
 * Mostly it is the newest in the queue. From 6.18 on the buffers of a stage are queued together
 * and then reported one by one: then the newest is the one of the call before, and this call is
 * about the one before that. A reader takes the whole queue. So if there is no such buffer, the
 * call before was not about the same stage, and the newest buffer has the address of one that was
 * read and freed. Where CPUs take turns on one socket, a call may be taken to be about another
 * CPU's buffer, and that buffer counts twice in its place.
 */
#define FLOW_STEPS 16

static __always_inline struct sk_buff *buffer_told(struct stash *mine, struct sock *sk)
{
	void *queue = (void *)sk + bpf_core_field_offset(struct sock, sk_receive_queue);
	struct sk_buff *newest = READ(sk, sk_receive_queue.prev), *buffer = newest;

	if ((void *)newest == queue)
		return NULL;
	if (mine->told_skb != (__u64)newest || mine->told_sk != (__u64)sk) {
		mine->told_sk = (__u64)sk;
		mine->told_skb = (__u64)newest;
		mine->told_depth = 0;
		return newest;
	}
	mine->told_depth++;
	for (__u32 i = 0; i < FLOW_STEPS; i++) {
		if (i >= mine->told_depth)
			return buffer;
		buffer = TYPED(buffer, struct sk_buff);
		buffer = READ(buffer, prev);
		if ((void *)buffer == queue)
			break;
	}
	mine->told_depth = 0;
	return newest;
}

/*
 * A buffer with n datagrams was put into the receive queue, or was refused if `error` is not 0.
 * With `several` n is 1 only because the hook does not show the buffer. `copies` is how many of
 * the n are copies. sk has passed the filter and is a SOCK. Returns whether there is a row; the
 * stash then has it.
 */
static __always_inline bool udp_queued(struct stash *mine, struct sock *sk, __u32 n, bool several,
				       __u32 copies, int error, const bool trusted)
{
	struct count_arrival *row =
		arrival_row(mine, sk, socket_cookie(sk, trusted ? sk : NULL), n);

	if (!row)
		return false;
	row->several += several;
	if (error) {
		row->dropped += n;
	} else {
		row->copies += copies;
		row->arrived += n;
	}
	return true;
}

/*
 * __udp_enqueue_schedule_skb() is entered. This is the last moment at which the buffer is safe to
 * look at: once it is in the queue, another CPU may read and free it before the function returns.
 * The stash is left empty for a socket that the filter leaves out.
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

/* __udp_enqueue_schedule_skb() returns. For `trusted` see socket_cookie(). */
static __always_inline void udp_left(struct stash *mine, struct sock *sk, int error,
				     const bool trusted)
{
	struct count_sketch *sketch;

	mine->udp_sk = 0;
	if (!udp_queued(mine, SOCK(sk, trusted), mine->udp_datagrams, false, mine->udp_copies,
			error, trusted) ||
	    mine->udp_flow >= COUNT_SKETCH_BUCKETS)
		return;
	sketch = sketch_numbered(mine->last_sketch);
	if (sketch)
		flow_note(sketch, mine->udp_flow, mine->udp_datagrams, &mine->udp_peer);
}

/*
 * For the tracepoint backend: like udp_left(), with the buffer, which is NULL if the hook does not
 * show it.
 */
static __always_inline void udp_told(struct sock *sk, struct sk_buff *skb, int error)
{
	struct stash *mine = stash();
	struct count_peer peer = {};
	struct count_sketch *sketch;
	__u32 n = 1;
	bool merges;

	if (!udp_wanted(sk) || !mine)
		return;
	merges = udp_has_gro(sk);
	if (merges && skb)
		n = skb_datagrams(skb);
	if (!udp_queued(mine, sk, n, merges && !skb, 0, error, true) || !has_flows(sk))
		return;
	sketch = sketch_numbered(mine->last_sketch);
	if (!skb && sketch && !error)
		skb = buffer_told(mine, sk);
	if (skb && sketch)
		flow_note(sketch, flow_of(sk, skb, &peer), n, &peer);
}

/*
 * Staged delivery gave up on a datagram that __udp_enqueue_schedule_skb() had accepted. With
 * `counted` the datagram was counted as arrived.
 */
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
	row = arrival_find(view, socket_cookie(view, NULL), n, &socket);
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
	struct sock *view = SOCK(sk, trusted);
	const __u64 cookie = socket_cookie(view, trusted ? sk : NULL);

	steer_accepted(cookie);
	worker_add(view, cookie, n);
}

/*
 * n buffers were read that no hook shows. They are noted once: here only if they were not noted
 * when they were queued.
 */
static __always_inline void several_read(struct sock *view, __u64 n)
{
	struct count_arrival *row;
	__u32 socket;

	if (config.udp_queued_seen || !udp_has_gro(view))
		return;
	row = arrival_find(view, socket_cookie(view, NULL), 0, &socket);
	if (row)
		row->several += n; /* no other program writes the row: see udp_queued_seen */
}

/*
 * skb_consume_udp(sk, skb, len) runs after a read. A peek passes -len and leaves the buffer in the
 * queue. So a negative len shows a peek; if len is 0, the reference that the queue still holds
 * shows it.
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
static __always_inline void socket_read(struct sock *sk, int ret, int flags, const bool trusted)
{
	struct sock *view = SOCK(sk, trusted);

	if (ret < 0 || (flags & (MSG_PEEK | MSG_ERRQUEUE)) || !udp_wanted(view))
		return;
	if (read_ended(view, ret))
		return;
	several_read(view, 1);
	udp_received(sk, 1, trusted);
}

/*
 * For kernels without sock_recv_length: recvfrom(), recvmsg() or recvmmsg() took n datagrams. The
 * descriptor may have been replaced meanwhile, as in accept_returned(), but here nothing of the
 * datagram is left to check against.
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
	udp_received(sk, n, false);
}

#endif
