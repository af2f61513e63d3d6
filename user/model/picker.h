/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which sockets the program of a reuseport group can pick. A classic program
 * (SO_ATTACH_REUSEPORT_CBPF) returns an index into the group; if the index is beyond the end, the
 * kernel's hash picks instead (reuseport_select_sock()). A classic program that looks only at the
 * CPU can be evaluated here for each CPU. An eBPF program picks from maps, so what it can pick is
 * not known from outside. Packets for which it picks no socket go by the hash too, unless it
 * refuses them.
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
#define PICKER_INSTRUCTIONS 64 /* longer programs are not analysed */

struct picker {
	enum picker_kind kind;
	uint32_t id;      /* PICKER_EBPF: the kernel's number of the program */
	char name[16];    /* the same */
	bool told;        /* what the program can pick is known; the fields below are meaningful */
	bool by_cpu;      /* the choice depends on the CPU on which a packet comes in */
	uint32_t sockets; /* how many sockets of the group it can pick */
	bool rest; /* some indexes that it returns are beyond the group, so the hash picks for these
		    */
};

/* cpus: of the machine; sockets: of the group. */
struct picker picker_tell(const struct picker_instruction *program, size_t length, unsigned cpus,
			  uint32_t sockets);

#endif
