// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Finds who has a port: sockets in any state that are bound to one of the ports asked for.
 * Iterators run when user space asks, and stop nothing. One goes over all descriptors: it shows
 * who holds a socket, and finds sockets that are bound but in no table of the kernel, since they
 * neither listen nor are connected. The others go over the tables of the network namespace in
 * which the iterator is opened: they find what no process holds, which is TIME_WAIT, orphans,
 * connections not accepted yet, and the kernel's own sockets. The same iterators read all ports of
 * a range for a call that found no free port.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "descriptors.bpf.h"
#include "occupants_record.h"

char LICENSE[] SEC("license") = "GPL";

__u64 ports[1024]; /* the ports asked for: bit p & 63 of word p >> 6 */

/*
 * include/net/sock.h. The second flag exists since "tcp: Update bind bucket state on port release"
 * (6.18), and so does tw_connect_bind.
 */
#define SOCK_BINDPORT_LOCK 8
#define SOCK_CONNECT_BIND 16

static __always_inline bool asked_for(__u16 port)
{
	return port && (ports[(port >> 6) & 1023] >> (port & 63) & 1);
}

static __always_inline void peer_end_read(struct occupants_record *r, struct sock *sk)
{
	r->peer_port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (!r->peer_port)
		return;
	peer_address_read(r->peer, sk, r->family);
}

/* Reads who picked the port. */
static __always_inline void picker_read(struct occupants_record *r, struct sock *sk)
{
	struct inet_timewait_sock *waits = (struct inet_timewait_sock *)sk;
	__u8 locks;

	if (r->protocol == IPPROTO_TCP && r->state == TCP_TIME_WAIT) {
		if (bpf_core_field_exists(waits->tw_connect_bind))
			r->connect_picked = BPF_CORE_READ_BITFIELD_PROBED(waits, tw_connect_bind);
		return;
	}
	locks = BPF_CORE_READ_BITFIELD_PROBED(sk, sk_userlocks);
	r->port_asked = !!(locks & SOCK_BINDPORT_LOCK);
	r->connect_picked = !!(locks & SOCK_CONNECT_BIND);
}

static __always_inline void bucket_read(struct occupants_bucket *to, struct sock *sk, __u8 state)
{
	struct inet_bind_bucket *bucket =
		state == TCP_TIME_WAIT
			? BPF_CORE_READ((struct inet_timewait_sock *)sk, tw_tb)
			: BPF_CORE_READ((struct inet_connection_sock *)sk, icsk_bind_hash);

	if (!bucket)
		return;
	to->known = 1;
	to->reuse = BPF_CORE_READ(bucket, fastreuse);
	to->reuseport = BPF_CORE_READ(bucket, fastreuseport);
	to->uid = BPF_CORE_READ(bucket, fastuid.val);
	to->v6only = BPF_CORE_READ(bucket, fast_ipv6_only);
	to->l3mdev = BPF_CORE_READ(bucket, l3mdev);
	to->family = BPF_CORE_READ(bucket, fast_sk_family);
	if (to->family == AF_INET)
		*(__be32 *)to->address = BPF_CORE_READ(bucket, fast_rcv_saddr);
	else if (bpf_core_field_exists(bucket->fast_v6_rcv_saddr))
		bpf_probe_read_kernel(to->address, 16,
				      __builtin_preserve_access_index(&bucket->fast_v6_rcv_saddr));
}

/*
 * Reads the part that a socket in TIME_WAIT has too (such a socket is not a whole struct sock).
 * Returns whether it is asked for.
 */
static __always_inline bool common_read(struct occupants_record *r, struct sock *sk, __u16 protocol)
{
	r->port = BPF_CORE_READ(sk, __sk_common.skc_num);
	r->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	r->state = BPF_CORE_READ(sk, __sk_common.skc_state);
	/* A connection request does not take a port. */
	if (!asked_for(r->port) || (r->family != AF_INET && r->family != AF_INET6) ||
	    (protocol == IPPROTO_TCP && r->state == TCP_NEW_SYN_RECV))
		return false;
	r->protocol = protocol;
	r->node = (__u64)sk;
	r->cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
	r->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	r->device = BPF_CORE_READ(sk, __sk_common.skc_bound_dev_if);
	r->reuseaddr = !!BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_reuse);
	r->reuseport = BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_reuseport);
	r->v6only = BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_ipv6only);
	local_address_read(r->address, sk, r->family);
	peer_end_read(r, sk);
	picker_read(r, sk);
	if (protocol == IPPROTO_TCP)
		bucket_read(&r->bucket, sk, r->state);
	return true;
}

SEC("iter/task_file")
int list_occupants(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task, *leader;
	struct occupants_record r = {};
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
	/* A raw socket has a protocol too, but its number is not a port. */
	if (BPF_CORE_READ(sk, sk_type) != (protocol == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM))
		return 0;
	r.uid = BPF_CORE_READ(sk, sk_uid.val);
	/* The port of an MPTCP socket belongs to its first subflow. */
	if (!common_read(&r, queue_of(sk, protocol),
			 protocol == IPPROTO_UDP ? IPPROTO_UDP : IPPROTO_TCP)) {
		if (protocol != IPPROTO_MPTCP)
			return 0;
		r.port = 0; /* another subflow of the socket may have a port that is asked for */
		r.node = (__u64)sk;
	}
	r.cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
	r.inode = BPF_CORE_READ(file, f_inode, i_ino);
	r.has_file = 1;
	leader = task->group_leader;
	r.pid = task->tgid;
	r.parent = BPF_CORE_READ(leader, real_parent, tgid);
	r.started_ns = BPF_CORE_READ(leader, start_boottime);
	r.descriptor = ctx->fd;
	r.pid_inside = number_inside(leader);
	BPF_CORE_READ_STR_INTO(&r.process, leader, comm);
	bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
	return 0;
}

static __always_inline bool is_subflow(struct sock *sk, __u16 protocol)
{
	struct tcp_sock *tcp = (struct tcp_sock *)sk;

	return protocol == IPPROTO_TCP && bpf_core_field_exists(tcp->is_mptcp) &&
	       BPF_CORE_READ(tcp, is_mptcp);
}

static __always_inline void socket_file_read(struct occupants_record *r, struct sock *sk)
{
	struct socket *socket = BPF_CORE_READ(sk, sk_socket);
	struct file *file = socket ? BPF_CORE_READ(socket, file) : NULL;

	r->has_file = !!file;
	r->inode = file ? BPF_CORE_READ(file, f_inode, i_ino) : 0;
	/*
	 * A socket that the kernel made for itself has no file. A connection that nobody has
	 * accepted yet has no struct socket, and a subflow of MPTCP belongs to the program that
	 * holds the MPTCP socket.
	 */
	r->by_kernel = socket && !file && !is_subflow(sk, r->protocol);
}

SEC("iter/tcp")
int list_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *common = ctx->sk_common;
	struct occupants_record r = {};

	if (!common || !common_read(&r, (struct sock *)common, IPPROTO_TCP))
		return 0;
	r.uid = ctx->uid;
	if (r.state != TCP_TIME_WAIT)
		socket_file_read(&r, (struct sock *)common);
	if (r.by_kernel)
		r.receiver = (__u64)BPF_CORE_READ((struct sock *)common, sk_data_ready);
	bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
	return 0;
}

SEC("iter/udp")
int list_udp(struct bpf_iter__udp *ctx)
{
	struct udp_sock *udp = ctx->udp_sk;
	struct occupants_record r = {};

	if (!udp || !common_read(&r, (struct sock *)udp, IPPROTO_UDP))
		return 0;
	r.uid = ctx->uid;
	r.encapsulates = !!BPF_CORE_READ(udp, encap_rcv);
	socket_file_read(&r, (struct sock *)udp);
	if (r.by_kernel)
		r.receiver = (__u64)(r.encapsulates ? (void *)BPF_CORE_READ(udp, encap_rcv)
						    : (void *)BPF_CORE_READ((struct sock *)udp,
									    sk_data_ready));
	bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
	return 0;
}
