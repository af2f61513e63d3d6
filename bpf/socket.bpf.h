/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds sockets and reads their properties, for the counting programs (rows.bpf.h) and for the
 * programs that watch bind() and listen() (binds.bpf.c).
 */
#ifndef SOCKFAIR_SOCKET_BPF_H
#define SOCKFAIR_SOCKET_BPF_H

#include "address.bpf.h"
#include "kernel.bpf.h"

const volatile struct filter_config filter;

static __always_inline bool netns_wanted(struct sock *sk)
{
	struct net *net = READ(sk, __sk_common.skc_net.net);
	__u32 inode;

	if (!net) /* a kernel without network namespaces */
		return true;
	inode = READ(net, ns.inum);
#pragma unroll
	for (int i = 0; i < FILTER_NETNS_MAX; i++)
		if (filter.netns[i] && filter.netns[i] == inode)
			return true;
	return false;
}

/*
 * Returns the local port, which a connection inherits from its listener. sk is TYPED. A closed
 * socket that was not bound to its port has given up skc_num (tcp_set_state(), inet_put_port())
 * before any hook runs; inet_sport stays, so it is the fallback.
 */
static __always_inline __u16 port_of(struct sock *sk)
{
	struct inet_sock *inet = TYPED(sk, struct inet_sock);
	__u16 port = READ(sk, __sk_common.skc_num);

	return port ? port : bpf_ntohs(READ(inet, inet_sport));
}

/* Returns the socket of a file, or NULL if the file is not a socket. A load that faults reads 0. */
static __always_inline struct sock *socket_of_file(struct file *untyped)
{
	struct file *file = TYPED(untyped, struct file);
	struct socket *socket;

	if (!untyped)
		return NULL;
	/*
	 * private_data of another kind of file does not point to a struct socket: only a socket
	 * points back to its file.
	 */
	socket = READ(file, private_data);
	socket = TYPED(socket, struct socket);
	if (!socket || READ(socket, file) != untyped)
		return NULL;
	return READ(socket, sk);
}

static __always_inline struct file *file_of_descriptor(struct task_struct *task, __u32 fd)
{
	struct files_struct *files = READ(task, files);
	struct fdtable *fdt;
	void *table;

	if (!files)
		return NULL;
	fdt = READ(files, fdt);
	if (fd >= READ(fdt, max_fds))
		return NULL;
	table = READ(fdt, fd);
	return pointer_at(table + (__u64)fd * sizeof(struct file *));
}

static __always_inline struct sock *socket_of_descriptor(struct task_struct *task, __u32 fd)
{
	return socket_of_file(file_of_descriptor(task, fd));
}

#endif
