/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that differs between kernels, behind one name each. An entry says which kernel, why, what
 * happens without, and when it may go. The has_* flags are rodata set from user/attach/features.c,
 * so the verifier never sees the branch that a kernel can't run.
 */
#ifndef SOCKFAIR_KERNEL_BPF_H
#define SOCKFAIR_KERNEL_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>

#include "config.h"

/* include/uapi/asm-generic/errno-base.h */
#define ENOENT 2
#define ENXIO 6
#define EFAULT 14
#define EINVAL 22
#define ENFILE 23

const volatile struct kernel_config kernel;

/*
 * Kernels from 6.2 on have bpf_rdonly_cast(), which types any address; its fields are then loaded
 * directly (a fault reads 0). Older ones read through bpf_probe_read_kernel(), about 20 ns a
 * pointer. Goes when 6.1 does (Debian 12: June 2028). READ's pointer must be a plain variable:
 * BPF_CORE_READ relocates every structure access inside its argument.
 */
extern void *bpf_rdonly_cast(void *obj, __u32 btf_id) __ksym __weak;

#define TYPED(ptr, type)                                                                           \
	((type *)(kernel.has_rdonly_cast                                                           \
			  ? bpf_rdonly_cast((void *)(ptr), bpf_core_type_id_kernel(type))          \
			  : (void *)(ptr)))
#define READ(ptr, field) (kernel.has_rdonly_cast ? (ptr)->field : BPF_CORE_READ(ptr, field))
#define READ_BITFIELD(ptr, field)                                                                  \
	(kernel.has_rdonly_cast ? BPF_CORE_READ_BITFIELD(ptr, field)                               \
				: BPF_CORE_READ_BITFIELD_PROBED(ptr, field))

/* The pointer that lies at an address. Typing the address as a structure that is one pointer saves
 * the helper call. */
static __always_inline void *pointer_at(void *address)
{
	struct hlist_head *place = TYPED(address, struct hlist_head);

	return READ(place, first);
}

/*
 * Tracing programs of 5.12 and newer can make the kernel generate a cookie where the socket has
 * none yet; others (kprobe, tracepoint) see 0 until somebody asked for it. sk is TYPED; trusted:
 * the same socket as an argument of an fentry, fexit or tp_btf program, else NULL.
 */
static __always_inline __u64 socket_cookie(struct sock *sk, struct sock *trusted)
{
	__u64 cookie = READ(sk, __sk_common.skc_cookie.counter);

	if (!cookie && trusted && kernel.has_socket_cookie)
		cookie = bpf_get_socket_cookie(trusted);
	return cookie;
}

/* udp_sock's flag moved from a bit field to udp_flags in 6.7. */
static __always_inline bool udp_has_gro(struct sock *sk)
{
	struct udp_sock *up = TYPED(sk, struct udp_sock);
	struct udp_sock___bits *old = (void *)up;

	if (kernel.udp_gro_flag != 255)
		return (READ(up, udp_flags) >> kernel.udp_gro_flag) & 1;
	if (bpf_core_field_exists(old->gro_enabled))
		return BPF_CORE_READ_BITFIELD_PROBED(old, gro_enabled);
	return false;
}

/* Argument n (from 0) of the system call that the current thread is in. bpf_task_pt_regs(): 5.15.
 */
static __always_inline __u64 syscall_argument(struct task_struct *task, const int n)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);

#if defined(__TARGET_ARCH_x86)
	return n == 0 ? regs->di : n == 1 ? regs->si : n == 2 ? regs->dx : regs->r10;
#elif defined(__TARGET_ARCH_arm64)
	return n == 0 ? regs->orig_x0 : regs->user_regs.regs[n];
#endif
}

#endif
