/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which program picks a socket of a SO_REUSEPORT group, asked for one descriptor of ours. */
#ifndef SOCKFAIR_GROUP_LOOK_H
#define SOCKFAIR_GROUP_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct group_looks;

struct group_program {
	uint32_t id;   /* the kernel's number of an eBPF program; 0: none */
	bool classic;  /* a classic one, which has no number */
	bool in_map;   /* the socket is in the map of some program */
	char name[16]; /* of the eBPF program; "": it has none */
};

static inline bool group_has_program(const struct group_program *found)
{
	return found->id || found->classic;
}

/*
 * Can a group's own program see the group's sockets? (ctx->sk, 5.14.) Returns 1, 0, or negative
 * errno with `why`.
 */
int group_programs_see(char *why, size_t size);

/* Returns 0 or negative errno with `why`: one line that says what failed, why, and what to do. */
int group_looks_open(struct group_looks **out, char *why, size_t size);

/* fd: a socket. Returns 0 or negative errno; -ENOTSOCK: it is none. Children that this process
 * forks may look, too, but not at the same time. */
int group_look_at(const struct group_looks *l, int fd, struct group_program *found);

/* The descriptor that a child has to keep, to look. */
int group_looks_descriptor(const struct group_looks *l);

/* l may be NULL. */
void group_looks_close(struct group_looks *l);

#endif
