/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the program of a SO_REUSEPORT group can pick. A classic one (SO_ATTACH_REUSEPORT_CBPF)
 * returns an index into the group; where that is beyond its end, the kernel's hash picks instead
 * (reuseport_select_sock()). One that looks at no more than the CPU can be run for each CPU. An
 * eBPF program picks from maps: what it can, only it knows; what it picks none for goes by the hash
 * too, unless it refuses.
 */
#ifndef SOCKFAIR_PICKER_H
#define SOCKFAIR_PICKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum picker_kind { PICKER_NONE, PICKER_CLASSIC, PICKER_EBPF };

/* An instruction of classic BPF, as struct sock_filter is. */
struct picker_instruction {
	uint16_t code;
	uint8_t if_true, if_false;
	uint32_t k;
};
#define PICKER_INSTRUCTIONS 64 /* of longer ones nothing is told */

struct picker {
	enum picker_kind kind;
	bool told;        /* what it can pick is known: */
	bool by_cpu;      /* it depends on the CPU on which a packet comes in */
	uint32_t sockets; /* how many of the group it can pick */
	bool rest;        /* some that it returns are beyond the group: then the hash picks */
};

/* cpus: of the machine; sockets: of the group. */
struct picker picker_tell(const struct picker_instruction *program, size_t length, unsigned cpus,
			  uint32_t sockets);

#endif
