/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An SK_LOOKUP program of a network namespace: the kernel asks it which socket a new connection or
 * datagram goes to, before it looks for one itself (Linux 5.9). */
#ifndef SOCKFAIR_LOOKUP_PROGRAM_H
#define SOCKFAIR_LOOKUP_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

struct lookup_program {
	uint32_t id;     /* of the program, as bpftool prog shows it; 0: there is none, or it is not
			    known */
	unsigned others; /* further programs of the namespace */
	char name[16];   /* of the program */
	int64_t since_ms; /* when it was loaded or, if `ours`, attached; Unix time */
	int32_t pid;      /* of a process that holds its link; 0: not found, as of a pinned one */
	char process[16];
	bool ours;   /* it is that of sockfair steer, so which sockets it picks is known */
	bool steers; /* if `ours`: it picks sockets of this endpoint */
};

/* "steered by sockfair (pid 812) since 11:42:07 UTC"; NULL: the endpoint is not. */
#define STEERED_SIZE 96
const char *say_steered(char buffer[STEERED_SIZE], const struct lookup_program *p);

#endif
