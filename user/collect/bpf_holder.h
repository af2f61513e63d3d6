/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which process holds a program or a link of the kernel. */
#ifndef SOCKFAIR_BPF_HOLDER_H
#define SOCKFAIR_BPF_HOLDER_H

#include <stdint.h>

enum bpf_held { BPF_HELD_LINK, BPF_HELD_PROGRAM, BPF_HELD_KINDS };

/*
 * A process that has a descriptor of the link or program with that number; 0: none has, or it can't
 * be looked at. Only /proc/PID/fdinfo tells, so this walks over all descriptors of all processes,
 * but for the one that was asked about last of its kind, which seldom changes.
 */
int32_t bpf_holder(enum bpf_held kind, uint32_t id);

#endif
