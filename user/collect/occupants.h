/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds the sockets that have a port, in any state, whether or not a process holds them. A scan
 * does not stop anything, so it is a sample.
 */
#ifndef SOCKFAIR_OCCUPANTS_H
#define SOCKFAIR_OCCUPANTS_H

#include "../bind/bind.h"

struct occupants;

/*
 * Loads the iterator. Returns 0 or negative errno with `why`: one line that says what failed, why,
 * and what to do.
 */
int occupants_open(struct occupants **out, char *why, size_t why_size);

/*
 * A look at many descriptors takes a while (measured: 15 to 70 ms per 100,000). `turn` is called
 * now and then meanwhile, for work that can't wait, at the latest after a million descriptors
 * (MAX_ITER_OBJECTS of kernel/bpf/bpf_iter.c). `turn` may be NULL.
 */
void occupants_while_looking(struct occupants *o, void (*turn)(void *with), void *with);

/* What to look for. */
struct occupants_query {
	uint32_t netns; /* inode */
	uint16_t port;  /* host order */
	enum protocol protocol;
};

/*
 * Answers all queries with one look. It finds the sockets that processes hold (an iterator over
 * all descriptors), and the sockets in the kernel's tables that no process holds: TIME_WAIT (with
 * its time from sock_diag), orphans, connections not accepted yet, the kernel's own. It does not
 * see a socket that is only bound and that no descriptor leads to. *list is sorted by netns,
 * protocol, port; the caller frees it. *complete (may be NULL): nothing failed on the way. Returns
 * how many, or negative errno.
 */
int occupants_find(struct occupants *o, const struct occupants_query *queries, size_t query_count,
		   struct bind_occupant **list, bool *complete);

/* Returns the part of the list that answers one query: its first row, and how many in *count. */
const struct bind_occupant *occupants_of(const struct bind_occupant *list, size_t list_count,
					 const struct occupants_query *query, size_t *count);

/*
 * Where to look: at the descriptors of processes, or in the tables of the thread's network
 * namespace.
 */
enum occupants_in { OCCUPANTS_HELD, OCCUPANTS_TCP, OCCUPANTS_UDP };

/* Returns 0, or negative errno, which ends the listing. */
typedef int occupants_take(void *to, const struct bind_occupant *o);

/*
 * Hands out the sockets there that have a port of the set, one by one, in the kernel's order. Only
 * sockets found by a descriptor have their holder (pid, process), and they are handed out once for
 * each descriptor. OCCUPANTS_HELD calls `turn` meanwhile, as occupants_find() does. Returns 0 or
 * negative errno.
 */
int occupants_each(struct occupants *o, enum occupants_in in, occupants_take *take, void *to);

/* The set, for bind_port_add(). */
uint64_t *occupants_ports(struct occupants *o);

/* o may be NULL. */
void occupants_close(struct occupants *o);

#endif
