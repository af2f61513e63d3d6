/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counts the TCP connections that io_uring accepts, for the tracepoint backend. An accept request
 * is remembered when it is submitted and counted when it completes.
 */
#ifndef SOCKFAIR_URING_BPF_H
#define SOCKFAIR_URING_BPF_H

#include "tcp.bpf.h"

/*
 * Accept requests in flight on io_uring. Completions of a multishot accept do not name their
 * request, so it is found here by ring and user_data.
 */
struct uring_key {
	__u64 ring; /* struct io_ring_ctx */
	__u64 user_data;
};

struct uring_accept {
	__u64 file;   /* struct file of the listener, which the request keeps open; 0: not known */
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
	1 /* include/linux/io_uring_types.h: the request's descriptor is an index into the ring's  \
	     own table of files */

/*
 * Does the accept put the connection into the ring's own table of files? Then its result is an
 * index into that table, not a descriptor. The request of an accept is a struct io_accept
 * (io_uring/net.c); before 6.0 the structure was a part of io_kiocb, so nothing tells the two
 * cases apart and the answer is yes.
 */
static __always_inline bool uring_direct(void *request)
{
	struct io_accept *accept = TYPED(request, struct io_accept);

	return !bpf_core_type_exists(struct io_accept) || READ(accept, file_slot);
}

/*
 * An accept request was submitted, or woke from its poll. Remembers it by ring and user_data, for
 * completions that do not name their request.
 */
static __always_inline void uring_seen(void *ring, void *request, __u64 user_data)
{
	struct uring_key key = { .ring = (__u64)ring, .user_data = user_data };
	struct io_kiocb *req = TYPED(request, struct io_kiocb);
	struct uring_accept accept = { .direct = uring_direct(request) }, *known;
	__u64 file;

	file = (__u64)READ(req, file);
	/*
	 * On submission the request has no file yet. The accept may complete without waking once,
	 * so the file is found by its descriptor now.
	 */
	if (!file && !(READ(req, flags) & REQ_F_FIXED_FILE))
		file = (__u64)file_of_descriptor(current_task(), READ(req, cqe.fd));
	accept.file = file;
	known = bpf_map_lookup_elem(&uring_accepts, &key);
	if (known && known->file == file && known->direct == accept.direct)
		return;
	if (bpf_map_update_elem(&uring_accepts, &key, &accept, BPF_ANY))
		lost_add(COUNT_LOST_URING_LISTENER_UNKNOWN, 1);
}

/* Returns the socket whose descriptor a completion returns, TYPED, or NULL. */
static __always_inline struct sock *uring_child(struct sock *listener, int descriptor)
{
	struct sock *child = socket_of_descriptor(current_task(), descriptor);

	child = TYPED(child, struct sock);
	return child && is_tcp(child) && child_fits(listener, child) ? child : NULL;
}

/* With `direct` the result is not a descriptor: the connection is counted, but not followed. */
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
 * Was a connection taken from the queue and then closed? That happens if its address could not be
 * copied, or if the ring has no table of files, no such place in it, or no free place
 * (io_accept()). The same errors can have other reasons, and then no connection was taken.
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

/* A completion. `request` is NULL for every completion of a multishot accept but the last. */
static __always_inline void uring_completed(void *ring, void *request, __u64 user_data, int result)
{
	struct uring_key key = { .ring = (__u64)ring, .user_data = user_data };
	struct io_kiocb *req = TYPED(request, struct io_kiocb);
	struct uring_accept *known, accept;

	if (filter.protocol && filter.protocol != IPPROTO_TCP)
		return;
	if (request) {
		if (READ(req, opcode) != IORING_OP_ACCEPT)
			return;
		/* The request is over: its user_data may be used again for another operation. */
		bpf_map_delete_elem(&uring_accepts, &key);
		accept.file = (__u64)READ(req, file);
		accept.direct = uring_direct(request);
		if (count_on && uring_drops(request, result))
			uring_dropped((struct file *)accept.file);
	} else {
		known = result < 0 || !count_on ? NULL : bpf_map_lookup_elem(&uring_accepts, &key);
		if (!known)
			return;
		accept = *known;
	}
	/* In one place: the verifier follows it for each. */
	if (result >= 0 && count_on)
		uring_accepted((struct file *)accept.file, result, accept.direct);
}

#endif
