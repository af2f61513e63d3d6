/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the local and the peer address of a socket, in network order. Each read costs a helper
 * call, so use these functions where an address is read once per socket or once per call.
 */
#ifndef SOCKFAIR_ADDRESS_BPF_H
#define SOCKFAIR_ADDRESS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

/*
 * `to` has room for 16 bytes. On a kernel without CONFIG_IPV6 they are left unchanged for
 * AF_INET6.
 */
static __always_inline void local_address_read(void *to, struct sock *sk, __u16 family)
{
	if (family == AF_INET)
		*(__be32 *)to = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
	else if (bpf_core_field_exists(sk->__sk_common.skc_v6_rcv_saddr))
		bpf_probe_read_kernel(
			to, 16, __builtin_preserve_access_index(&sk->__sk_common.skc_v6_rcv_saddr));
}

static __always_inline void peer_address_read(void *to, struct sock *sk, __u16 family)
{
	if (family == AF_INET)
		*(__be32 *)to = BPF_CORE_READ(sk, __sk_common.skc_daddr);
	else if (bpf_core_field_exists(sk->__sk_common.skc_v6_daddr))
		bpf_probe_read_kernel(
			to, 16, __builtin_preserve_access_index(&sk->__sk_common.skc_v6_daddr));
}

#endif
