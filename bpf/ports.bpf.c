// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who has the ports of a range: iterators, run when a call found none to pick. As those of
 * occupants.bpf.c over all descriptors, and over the tables of the network namespace in which the
 * iterator is opened (what nobody holds), but for a range, with the other end of connections, and
 * with as little of each socket as counting takes.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#include "descriptors.bpf.h"
#include "ports_record.h"

char LICENSE[] SEC("license") = "GPL";

/* .bss, mapped by user space. */
__u16 port_low, port_high;

static __always_inline void addresses_read(struct ports_record *r, struct sock *sk)
{
	if (r->family == AF_INET) {
		*(__be32 *)r->address = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
		*(__be32 *)r->peer = BPF_CORE_READ(sk, __sk_common.skc_daddr);
	} else if (bpf_core_field_exists(sk->__sk_common.skc_v6_rcv_saddr)) { /* CONFIG_IPV6 */
		bpf_probe_read_kernel(
			r->address, 16,
			__builtin_preserve_access_index(&sk->__sk_common.skc_v6_rcv_saddr));
		bpf_probe_read_kernel(
			r->peer, 16,
			__builtin_preserve_access_index(&sk->__sk_common.skc_v6_daddr));
	}
}

static __always_inline void bucket_read(struct ports_record *r, struct sock *sk)
{
	struct inet_bind_bucket *bucket =
		r->state == TCP_TIME_WAIT
			? BPF_CORE_READ((struct inet_timewait_sock *)sk, tw_tb)
			: BPF_CORE_READ((struct inet_connection_sock *)sk, icsk_bind_hash);

	r->bucket = !!bucket;
	if (bucket) {
		r->bucket_reuse = BPF_CORE_READ(bucket, fastreuse);
		r->bucket_reuseport = BPF_CORE_READ(bucket, fastreuseport);
		r->l3mdev = BPF_CORE_READ(bucket, l3mdev);
	}
}

/* The part that a socket in TIME_WAIT has too, which is no whole socket. Returns whether it is
 * asked for. */
static __always_inline bool common_read(struct ports_record *r, struct sock *sk, __u16 protocol)
{
	r->port = BPF_CORE_READ(sk, __sk_common.skc_num);
	r->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	r->state = BPF_CORE_READ(sk, __sk_common.skc_state);
	/* A request for a connection takes no port. */
	if (r->port < port_low || r->port > port_high ||
	    (r->family != AF_INET && r->family != AF_INET6) ||
	    (protocol == IPPROTO_TCP && r->state == TCP_NEW_SYN_RECV))
		return false;
	r->protocol = protocol;
	r->cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
	r->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	r->device = BPF_CORE_READ(sk, __sk_common.skc_bound_dev_if);
	r->peer_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	r->reuseaddr = !!BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_reuse);
	r->reuseport = BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_reuseport);
	r->v6only = BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_ipv6only);
	addresses_read(r, sk);
	if (protocol == IPPROTO_TCP)
		bucket_read(r, sk);
	return true;
}

SEC("iter/task_file")
int ports_held(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task, *leader;
	struct ports_record r = {};
	struct file *file = ctx->file;
	__u16 protocol;
	struct sock *sk;

	if (!task || !file)
		return 0;
	sk = file_socket(file);
	if (!sk)
		return 0;
	protocol = BPF_CORE_READ(sk, sk_protocol);
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP && protocol != IPPROTO_MPTCP)
		return 0;
	/* A raw socket has a protocol too: its number is no port. */
	if (BPF_CORE_READ(sk, sk_type) != (protocol == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM))
		return 0;
	/* Of an MPTCP socket the port belongs to the first subflow. */
	if (!common_read(&r, queue_of(sk, protocol),
			 protocol == IPPROTO_UDP ? IPPROTO_UDP : IPPROTO_TCP))
		return 0;
	r.cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
	r.uid = BPF_CORE_READ(sk, sk_uid.val);
	r.inode = BPF_CORE_READ(file, f_inode, i_ino);
	r.has_file = 1;
	leader = task->group_leader;
	r.pid = task->tgid;
	BPF_CORE_READ_STR_INTO(&r.process, leader, comm);
	bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
	return 0;
}

static __always_inline bool has_file(struct sock *sk)
{
	struct socket *socket = BPF_CORE_READ(sk, sk_socket);

	return socket && BPF_CORE_READ(socket, file);
}

SEC("iter/tcp")
int ports_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *common = ctx->sk_common;
	struct ports_record r = {};

	if (!common || !common_read(&r, (struct sock *)common, IPPROTO_TCP))
		return 0;
	r.uid = ctx->uid;
	r.has_file = r.state != TCP_TIME_WAIT && has_file((struct sock *)common);
	bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
	return 0;
}

SEC("iter/udp")
int ports_udp(struct bpf_iter__udp *ctx)
{
	struct udp_sock *udp = ctx->udp_sk;
	struct ports_record r = {};

	if (!udp || !common_read(&r, (struct sock *)udp, IPPROTO_UDP))
		return 0;
	r.uid = ctx->uid;
	r.has_file = has_file((struct sock *)udp);
	bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
	return 0;
}
