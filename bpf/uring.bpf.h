/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TCP connections that io_uring accepts, for the tracepoint backend. */
#ifndef SOCKFAIR_URING_BPF_H
#define SOCKFAIR_URING_BPF_H

#include "tcp.bpf.h"

/* Accept requests in flight on io_uring, for completions that come without their request
 * (multishot). */
struct uring_key {
	__u64 ring; /* struct io_ring_ctx */
	__u64 user_data;
};

struct uring_accept {
	__u64 file;   /* struct file of the listener, which the request holds; 0: not known */
	__u64 direct; /* see uring_direct() */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct uring_key);
	__type(value, struct uring_accept);
} uring_accepts SEC(".maps");

#define IORING_OP_ACCEPT 13 /* include/uapi/linux/io_uring.h */
#define REQ_F_FIXED_FILE                                                                           \
	1 /* include/linux/io_uring_types.h: the descriptor is an index of the ring's own table */

/*
 * Does the accept put the connection into the ring's own table of files? Then its result is a place
 * there, not a descriptor. The request of an accept is a struct io_accept (io_uring/net.c;
 * before 6.0 it was a part of io_kiocb and can't be told).
 */
static __always_inline bool uring_direct(void *request)
{
	struct io_accept *accept = TYPED(request, struct io_accept);

	return !bpf_core_type_exists(struct io_accept) || READ(accept, file_slot);
}

/* An accept was submitted, or woke from its poll: completions that don't name their request are
 * told by ring and user_data. */
static __always_inline void uring_seen(void *ring, void *request, __u64 user_data)
{
	struct uring_key key = { .ring = (__u64)ring, .user_data = user_data };
	struct io_kiocb *req = TYPED(request, struct io_kiocb);
	struct uring_accept accept = { .direct = uring_direct(request) }, *known;
	__u64 file;

	file = (__u64)READ(req, file);
	/* On submission it has no file yet. The accept may end before it wakes once, so find the
	 * file by its descriptor. */
	if (!file && !(READ(req, flags) & REQ_F_FIXED_FILE))
		file = (__u64)file_of_descriptor(current_task(), READ(req, cqe.fd));
	accept.file = file;
	known = bpf_map_lookup_elem(&uring_accepts, &key);
	if (known && known->file == file && known->direct == accept.direct)
		return;
	if (bpf_map_update_elem(&uring_accepts, &key, &accept, BPF_ANY))
		lost_add(COUNT_LOST_URING_LISTENER_UNKNOWN, 1);
}

/* The socket that a completion names, TYPED, or NULL. */
static __always_inline struct sock *uring_child(struct sock *listener, int descriptor)
{
	struct sock *child = socket_of_descriptor(current_task(), descriptor);

	child = TYPED(child, struct sock);
	return child && is_tcp(child) && child_fits(listener, child) ? child : NULL;
}

/* direct: the result is no descriptor; the connection is counted, but not followed. */
static __always_inline void uring_accepted(struct file *file, int result, bool direct)
{
	const __u64 now_ns = accept_time();
	struct sock *sk = socket_of_file(file), *child;

	sk = TYPED(sk, struct sock);
	if (!sk || READ(sk, __sk_common.skc_state) != TCP_LISTEN) {
		lost_add(COUNT_LOST_URING_LISTENER_UNKNOWN, 1);
		return;
	}
	if (!wanted(sk) || !is_tcp(sk))
		return;
	child = direct ? NULL : uring_child(sk, result);
	worker_accepted(sk, socket_cookie(sk, NULL), child ? accepted_tcp(child) : NULL,
			child && is_mptcp(child), now_ns);
}

/*
 * The connection was taken by then, and is closed: its address could not be copied, or the ring has
 * no such table, place, or none that is free (io_accept()). The same errors may tell of other
 * reasons, for which none is taken.
 */
static __always_inline bool uring_drops(void *request, int result)
{
	return result == -EFAULT || ((result == -ENFILE || result == -ENXIO || result == -EINVAL) &&
				     uring_direct(request));
}

static __always_inline void uring_dropped(struct file *file)
{
	struct sock *sk = socket_of_file(file);

	sk = TYPED(sk, struct sock);
	if (sk && READ(sk, __sk_common.skc_state) == TCP_LISTEN && wanted(sk) && is_tcp(sk))
		lost_of(COUNT_LOST_TAKEN_DROPPED, 1, sk);
}

/* A completion. req is NULL for all but the last one of a multishot accept. */
static __always_inline void uring_completed(void *ring, void *request, __u64 user_data, int result)
{
	struct uring_key key = { .ring = (__u64)ring, .user_data = user_data };
	struct io_kiocb *req = TYPED(request, struct io_kiocb);
	struct uring_accept *known;

	if (filter.protocol && filter.protocol != IPPROTO_TCP)
		return;
	if (request) {
		if (READ(req, opcode) != IORING_OP_ACCEPT)
			return;
		/* The request is over: its user_data may come back with another operation. */
		bpf_map_delete_elem(&uring_accepts, &key);
		if (result >= 0 && count_on)
			uring_accepted(READ(req, file), result, uring_direct(request));
		else if (count_on && uring_drops(request, result))
			uring_dropped(READ(req, file));
		return;
	}
	known = result < 0 || !count_on ? NULL : bpf_map_lookup_elem(&uring_accepts, &key);
	if (known)
		uring_accepted((struct file *)known->file, result, known->direct);
}

#endif
