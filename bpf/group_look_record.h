/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What group_look.bpf.c shares with user space. */
#ifndef SOCKFAIR_GROUP_LOOK_RECORD_H
#define SOCKFAIR_GROUP_LOOK_RECORD_H

#ifndef __bpf__
#include <linux/types.h>
#endif

struct group_look_record {
	__u32 program; /* of the SO_REUSEPORT group, by the kernel's number; 0: none, or classic */
	__u32 classic; /* it is a classic one, which has no number */
	__u32 in_map;  /* a program's map has the socket */
	__u32 is_socket;
	char name[16]; /* of the program */
};

#ifndef __bpf__
_Static_assert(sizeof(struct group_look_record) == 32, "layout");
#endif

#endif
