/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The counters of rows, as tables. Subtracting, adding up and clearing use these tables, so a new
 * counter needs one table row. Waits are not plain numbers and have functions of their own in
 * wait.h.
 */
#ifndef SOCKFAIR_COUNTERS_H
#define SOCKFAIR_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>

#include "snapshot.h"

enum counter_kind {
	COUNTS_EVENTS, /* a row that has ended is still listed if such a count grew afterwards */
	COUNTS_BESIDE,
};

/* A count that only grows, stored as a uint64_t in the row. */
struct counter {
	size_t at;  /* its offset */
	size_t sum; /* offset in the row of the other kind where it is added up; or COUNTER_NOWHERE
		     */
	enum counter_kind kind;
};
#define COUNTER_NOWHERE ((size_t)-1)

struct counters {
	const struct counter *list;
	size_t count;
};
/* The counters of struct socket_row and struct worker_row, which are added up in struct omitted,
 * and those of struct omitted. */
extern const struct counters socket_counters, worker_counters, omitted_counters;

/* `now` less `before`. */
void counters_subtract(const struct counters *table, void *now, const void *before);
void counters_add(const struct counters *table, void *to, const void *from);
/* Adds to a row of the other kind, at the counters' `sum` offsets. */
void counters_add_up(const struct counters *table, void *sum, const void *from);
void counters_clear(const struct counters *table, void *row);
/* Has the row counted any event between the two states? */
bool counters_differ(const struct counters *table, const void *now, const void *before);

/*
 * Adds a row that is in no list to what is omitted. Accepts are added from workers only, so that
 * they are not counted twice; sockets leave them out.
 */
void omitted_add_socket(struct omitted *o, const struct socket_row *s);
void omitted_add_worker(struct omitted *o, const struct worker_row *w);

/* Adds what is omitted of another endpoint; both are sums of rows that have ended. */
void omitted_add(struct omitted *to, const struct omitted *from);

#endif
