/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What programs that walk over descriptors and threads have in common. */
#ifndef SOCKFAIR_DESCRIPTORS_BPF_H
#define SOCKFAIR_DESCRIPTORS_BPF_H

#include "address.bpf.h"

/* The socket of a file, or NULL, without a helper (bpf_sock_from_file(): 5.11): only a socket
 * points back to its file. */
static __always_inline struct sock *file_socket(struct file *file)
{
	struct socket *socket = BPF_CORE_READ(file, private_data);

	if (!socket || BPF_CORE_READ(socket, file) != file)
		return NULL;
	return BPF_CORE_READ(socket, sk);
}

/* Where an MPTCP socket listens: the queue is its first subflow's. */
static __always_inline struct sock *queue_of(struct sock *sk, __u16 protocol)
{
	struct sock *first;

	if (protocol != IPPROTO_MPTCP || !bpf_core_type_exists(struct mptcp_sock))
		return sk;
	first = BPF_CORE_READ((struct mptcp_sock *)sk, first);
	return first ? first : sk;
}

static __always_inline __u32 number_inside(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	__u32 level, nr = 0;

	if (!pid)
		return 0;
	level = BPF_CORE_READ(pid, level);
	bpf_probe_read_kernel(&nr, sizeof(nr),
			      (void *)pid + bpf_core_field_offset(struct pid, numbers) +
				      level * bpf_core_type_size(struct upid) +
				      bpf_core_field_offset(struct upid, nr));
	return nr;
}

#endif
