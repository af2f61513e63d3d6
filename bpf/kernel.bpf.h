/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything that differs between kernels, with one name for each difference. Each entry says
 * which kernels differ and why, what happens on kernels without the feature, and when the entry
 * may go. The has_* flags are rodata set from user/attach/features.c, so the verifier never sees a
 * branch that the running kernel can't execute.
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
 * Kernels from 6.2 on have bpf_rdonly_cast(), which gives any address a type; its fields are then
 * loaded directly, and a load that faults reads 0. Older kernels read through
 * bpf_probe_read_kernel(), which takes about 20 ns a pointer. This entry may go together with 6.1
 * (Debian 12: June 2028). READ's pointer must be a plain variable: BPF_CORE_READ relocates every
 * structure access inside its argument.
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

/*
 * Returns the socket, TYPED. A program's own argument (`trusted`: fentry, fexit or tp_btf) has its
 * type already, and what it points to is loaded without a check of the address.
 */
#define SOCK(sk, trusted) ((trusted) ? (sk) : TYPED(sk, struct sock))

/*
 * Reads the pointer that lies at an address. Typing the address as a structure that consists of
 * one pointer saves the helper call.
 */
static __always_inline void *pointer_at(void *address)
{
	struct hlist_head *place = TYPED(address, struct hlist_head);

	return READ(place, first);
}

/*
 * Returns the socket cookie. On 5.12 and newer a tracing program can make the kernel generate the
 * cookie if the socket has none yet; other programs (kprobe, tracepoint) read 0 until somebody has
 * asked for it. sk is TYPED. `trusted` is the same socket as the program's own argument (fentry,
 * fexit or tp_btf), else NULL.
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

/*
 * Returns argument n (from 0) of the system call that the current thread is in. It needs
 * bpf_task_pt_regs(): 5.15.
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
