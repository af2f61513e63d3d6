// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which program a socket's SO_REUSEPORT group has: no call of the kernel's tells. The program is
 * attached to nothing: user space runs it (BPF_PROG_TEST_RUN, 5.10) for a descriptor that the
 * calling process has.
 */
#include "socket.bpf.h"

#include "group_look_record.h"

char LICENSE[] SEC("license") = "GPL";

struct group_look_record seen;

/* args[0]: the descriptor */
SEC("raw_tp")
int group_look(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct sock *sk = socket_of_descriptor(task, ctx->args[0]);
	struct bpf_prog *program = sk ? BPF_CORE_READ(sk, sk_reuseport_cb, prog) : NULL;

	if (!sk)
		return 0;
	seen.is_socket = 1;
	seen.in_map = BPF_CORE_READ(sk, sk_user_data) != NULL;
	if (!program)
		return 0;
	seen.classic = BPF_CORE_READ(program, orig_prog) != NULL;
	seen.program = BPF_CORE_READ(program, aux, id);
	bpf_probe_read_kernel_str(seen.name, sizeof(seen.name), BPF_CORE_READ(program, aux)->name);
	return 0;
}
