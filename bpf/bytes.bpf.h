/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counts the bytes that connections carried. The programs read the kernel's own counters of each
 * connection (struct tcp_sock) when it ends, and while it is open whenever user space asks, so no
 * program runs for each read or packet.
 *
 * connections.bpf.h has the connections that were accepted in the window. `older` holds the
 * connections that were open before: user space finds them, works out whose they are, and notes how
 * much they had carried by then.
 */
#ifndef SOCKFAIR_BYTES_BPF_H
#define SOCKFAIR_BYTES_BPF_H

#include "connections.bpf.h"
#include "socket.bpf.h"

__u32 count_older; /* entries that user space has put into `older`; 0: the programs skip the lookup
		    */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, COUNT_OLDER);
	__type(key, __u64);
	__type(value, struct count_older);
} older SEC(".maps");

/* Sums by owner, of older connections that have ended. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, COUNT_OWNERS);
	__type(key, __u32);
	__type(value, struct count_bytes);
} older_ended SEC(".maps");

/*
 * Bytes of data that sk, any TCP connection, has received in order and has sent at least once. The
 * kernel counts a received FIN as one byte in bytes_received (tcp_rcv_nxt_update(), tcp_fin()), so
 * it is subtracted. With `closing`, the server closes or shuts down the connection, and the kernel
 * will still send what the server has already written, so that counts as sent.
 */
static __always_inline struct count_bytes bytes_of(struct sock *sk, const bool closing)
{
	struct sock *view = TYPED(sk, struct sock);
	struct tcp_sock *tp = TYPED(sk, struct tcp_sock);
	const __u64 fin = (READ(view, __sk_common.skc_flags) >> SOCK_DONE) & 1,
		    received = READ(tp, bytes_received);
	struct count_bytes b = { .received = received - (received ? fin : 0),
				 .sent = READ(tp, bytes_sent) - READ(tp, bytes_retrans) };

	if (closing)
		b.sent += READ(tp, write_seq) - READ(tp, snd_nxt);
	return b;
}

/*
 * Tells a connection from a later one whose struct sock has the same address. User space computes
 * the same value from the inventory: see holders_connection_record.
 */
static __always_inline __u64 identity_of(struct sock *view)
{
	return (__u64)READ(view, __sk_common.skc_daddr) << 32 |
	       (__u64)READ(view, __sk_common.skc_dport) << 16 | port_of(view);
}

/* Takes a connection that is no longer open, and is not in `connections`, out of `older`. */
static __always_inline void older_closed(struct sock *sk, const bool closing)
{
	struct sock *view = TYPED(sk, struct sock);
	const __u64 key = (__u64)sk;
	struct count_older *found, was;
	struct count_bytes now, *sum;

	if (!count_older)
		return;
	found = bpf_map_lookup_elem(&older, &key);
	if (!found)
		return;
	was = *found;
	if (bpf_map_delete_elem(&older, &key) || was.identity != identity_of(view))
		return;
	sum = bpf_map_lookup_elem(&older_ended, &was.owner);
	if (!sum)
		return;
	now = bytes_of(sk, closing);
	/*
	 * User space read `before` while the kernel was writing: during a change it may be one
	 * byte too high, so a difference below 0 is possible.
	 */
	if (now.received > was.before.received)
		__sync_fetch_and_add(&sum->received, now.received - was.before.received);
	if (now.sent > was.before.sent)
		__sync_fetch_and_add(&sum->sent, now.sent - was.before.sent);
}

#endif
