/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Takes a program off a SO_REUSEPORT group, by a descriptor of one of its sockets that is taken for
 * that and closed at once (SO_DETACH_REUSEPORT_BPF, 5.3). It allocates nothing, and no memory of
 * the tool's is written, so that a guardian can do it, too.
 */
#ifndef SOCKFAIR_STEER_DETACH_H
#define SOCKFAIR_STEER_DETACH_H

#include "../collect/group_look.h"
#include "../model/snapshot.h"

#define DETACH_ROWS 256

/* Who has the sockets of a port: those of one socket lie beside each other. */
struct detach_rows {
	uint32_t count;
	struct {
		int32_t pid, fd;
		uint64_t cookie;
	} rows[DETACH_ROWS];
};

/* e: NULL: nobody listens. */
void detach_rows_fill(struct detach_rows *to, const struct endpoint *e);

/*
 * What the first socket that can be taken shows. Returns 0 or negative errno; -ESRCH: none of the
 * sockets is where it was.
 */
int detach_look(const struct detach_rows *rows, const struct group_looks *looks,
		struct group_program *found);

/*
 * Takes the program with that number off wherever one of the sockets shows it, and nobody else's;
 * found: what is there then. A program that a server attaches in the microseconds between the look
 * and the call goes, too: the kernel knows no call that names the program that is to go. Returns as
 * detach_look().
 */
int detach_program(const struct detach_rows *rows, const struct group_looks *looks,
		   uint32_t program, struct group_program *found);

#endif
