/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Helpers shared by the programs that walk over descriptors and threads. */
#ifndef SOCKFAIR_DESCRIPTORS_BPF_H
#define SOCKFAIR_DESCRIPTORS_BPF_H

#include "address.bpf.h"

/*
 * Returns the socket of a file, or NULL. It does without the helper bpf_sock_from_file(), which is
 * new in 5.11: only a socket points back to its file, so that is the test.
 */
static __always_inline struct sock *file_socket(struct file *file)
{
	struct socket *socket = BPF_CORE_READ(file, private_data);

	if (!socket || BPF_CORE_READ(socket, file) != file)
		return NULL;
	return BPF_CORE_READ(socket, sk);
}

/* Returns the socket that has the accept queue: for an MPTCP socket that is its first subflow. */
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
