/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The waits of several rows added up: of a port's sockets, or of a process's threads. */
#ifndef SOCKFAIR_WAIT_SUM_H
#define SOCKFAIR_WAIT_SUM_H

#include "snapshot.h"

/* All zero is a good start. */
struct wait_sum {
	bool known; /* the waits of at least one row are measured */
	struct wait wait;
	struct wait_histogram histogram; /* wait.histogram refers to this, or is 0 because one of
					    the rows with connections had no histogram */
};

/* Adds a row's waits. list: of its endpoint. */
void wait_sum_add(struct wait_sum *sum, bool known, const struct wait *w,
		  const struct wait_histogram *list);

/* Adds the waits of all sockets, which has each connection once. */
void wait_sum_add_sockets(struct wait_sum *sum, const struct endpoint *e);

/*
 * The same plus the waits of threads beyond the limit of rows, which no socket's row includes: all
 * that was measured for the endpoint. These threads have no histogram, so with any of them there
 * are no percentiles.
 */
void wait_sum_add_endpoint(struct wait_sum *sum, const struct endpoint *e);

/* As wait_quantile_ns(). */
double wait_sum_quantile_ns(const struct wait_sum *sum, double q);

/* NaN without connections. */
double wait_max_ns(const struct wait *w);

#endif
