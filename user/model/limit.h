/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which rows of a snapshot a document lists if there are too many, and what the other rows add up
 * to. */
#ifndef SOCKFAIR_LIMIT_H
#define SOCKFAIR_LIMIT_H

#include "snapshot.h"

/*
 * Marks rows beyond the limit as `left_out`. `rows` limits the number of sockets, workers and
 * holders together. An endpoint with no row left is left out itself. The owners of the sockets get
 * rows in turn, one each, so that one user's sockets can't push out another's. The order within an
 * owner is: the busiest socket of each endpoint with events, with one holder; all other rows with
 * events; one socket of each other endpoint; the rest; further holders. Nothing else in the
 * snapshot changes: verdicts and sums of endpoints still cover all rows. Returns 0 or -ENOMEM.
 */
int snapshot_limit(struct snapshot *s, size_t rows);

/* How many rows a document of the snapshot lists. */
size_t snapshot_listed(const struct snapshot *s);

/* The sum of all that no listed row of the endpoint shows: rows omitted from the snapshot, and rows
 * marked `left_out`. */
struct omitted endpoint_omitted(const struct endpoint *e);

/* Endpoints that are left out, and the sums over them. */
struct omitted_endpoints {
	uint64_t endpoints, sockets, workers;
	uint64_t arrived, accepted;            /* TCP */
	uint64_t delivered, received, dropped; /* UDP */
};
struct omitted_endpoints snapshot_omitted(const struct snapshot *s);

#endif
