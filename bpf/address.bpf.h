/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The addresses of a socket's two ends, in network order. For what is read once a socket, or once a
 * call: it takes a helper's call. */
#ifndef SOCKFAIR_ADDRESS_BPF_H
#define SOCKFAIR_ADDRESS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

/* `to` has 16 bytes; without CONFIG_IPV6 they stay as they are for AF_INET6. */
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
