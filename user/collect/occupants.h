/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who has a port: sockets in any state, held by a process or not. A scan stops nothing; it is a
 * sample. */
#ifndef SOCKFAIR_OCCUPANTS_H
#define SOCKFAIR_OCCUPANTS_H

#include "../bind/bind.h"

struct occupants;

/* Loads the iterator. Returns 0 or negative errno with `why`: one line, what failed, why, what to
 * do. */
int occupants_open(struct occupants **out, char *why, size_t why_size);

/*
 * A look at many descriptors takes a while (seen: 15 to 70 ms per 100,000): meanwhile `turn` is
 * called now and then, at the latest after a million of them (MAX_ITER_OBJECTS of
 * kernel/bpf/bpf_iter.c), for what can't wait. NULL: nothing does.
 */
void occupants_while_looking(struct occupants *o, void (*turn)(void *with), void *with);

/* What to look for. */
struct occupants_query {
	uint32_t netns; /* inode */
	uint16_t port;  /* host order */
	enum protocol protocol;
};

/*
 * One look for all queries: sockets held by processes (an iterator over all descriptors), and those
 * in the kernel's tables that none holds: TIME_WAIT (with its time from sock_diag), orphans,
 * connections not accepted yet, the kernel's own. Not seen: a socket that only is bound and that no
 * descriptor leads to. *list is to be freed; sorted by netns, protocol, port. *complete (may be
 * NULL): nothing failed on the way. Returns how many, or negative errno.
 */
int occupants_find(struct occupants *o, const struct occupants_query *queries, size_t query_count,
		   struct bind_occupant **list, bool *complete);

/* The part of the list that answers one query: its first row and *count. */
const struct bind_occupant *occupants_of(const struct bind_occupant *list, size_t list_count,
					 const struct occupants_query *query, size_t *count);

/* By descriptors of processes; in the tables of the thread's network namespace. */
enum occupants_in { OCCUPANTS_HELD, OCCUPANTS_TCP, OCCUPANTS_UDP };

/* Returns 0 or negative errno, which ends it. */
typedef int occupants_take(void *to, const struct bind_occupant *o);

/*
 * Hands out the sockets there that have a port of the set, one by one, as the kernel has them: who
 * holds one (pid, process) is told of those by descriptors, once for each. OCCUPANTS_HELD calls
 * `turn` meanwhile, as occupants_find() does. Returns 0 or negative errno.
 */
int occupants_each(struct occupants *o, enum occupants_in in, occupants_take *take, void *to);

/* The set, for bind_port_add(). */
uint64_t *occupants_ports(struct occupants *o);

/* NULL is fine. */
void occupants_close(struct occupants *o);

#endif
