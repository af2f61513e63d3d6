/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What rows count, as tables: subtracting, adding up and clearing go by them, so a new counter is a
 * row here. Waits are no plain number: they have functions of their own in wait.h.
 */
#ifndef SOCKFAIR_COUNTERS_H
#define SOCKFAIR_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>

#include "snapshot.h"

enum counter_kind {
	COUNTS_EVENTS, /* what a row that has ended is listed for, if it grew after that */
	COUNTS_BESIDE,
};

/* A count that only grows, a uint64_t of the row. */
struct counter {
	size_t at;  /* its offset */
	size_t sum; /* where it is added up, in another row; COUNTER_NOWHERE */
	enum counter_kind kind;
};
#define COUNTER_NOWHERE ((size_t)-1)

struct counters {
	const struct counter *list;
	size_t count;
};
/* Of struct socket_row and struct worker_row, which are added up in struct omitted, and of that. */
extern const struct counters socket_counters, worker_counters, omitted_counters;

/* `now` less `before`. */
void counters_subtract(const struct counters *table, void *now, const void *before);
void counters_add(const struct counters *table, void *to, const void *from);
/* To a row of the other kind, where its counts are added up. */
void counters_add_up(const struct counters *table, void *sum, const void *from);
void counters_clear(const struct counters *table, void *row);
/* Has the row counted any event between the two? */
bool counters_differ(const struct counters *table, const void *now, const void *before);

/*
 * Adds a row that is in no list to what is omitted. What was accepted is that of workers: sockets
 * leave it out.
 */
void omitted_add_socket(struct omitted *o, const struct socket_row *s);
void omitted_add_worker(struct omitted *o, const struct worker_row *w);

#endif
