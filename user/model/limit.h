/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which rows of a snapshot a document lists where there are too many for it, and what the others
 * add up to. */
#ifndef SOCKFAIR_LIMIT_H
#define SOCKFAIR_LIMIT_H

#include "snapshot.h"

/*
 * Marks (`left_out`) the rows beyond `rows`, which counts sockets, workers and holders; an endpoint
 * of which no row is left is left out itself. Rows are shared by the owners of the sockets, one
 * each in turn, so that no user's sockets push another's out; of an owner's, first the busiest
 * socket of each endpoint with events, with one holder, then all that has events, then one socket
 * of each other endpoint, the rest, and further holders. Nothing else of the snapshot changes:
 * verdicts and sums of endpoints are over all rows. Returns 0 or -ENOMEM.
 */
int snapshot_limit(struct snapshot *s, size_t rows);

/* How many rows a document of it lists. */
size_t snapshot_listed(const struct snapshot *s);

/* What is in no row of the endpoint: what the snapshot left out itself, and what is marked. */
struct omitted endpoint_omitted(const struct endpoint *e);

/* Endpoints that are left out, and what they hold. */
struct omitted_endpoints {
	uint64_t endpoints, sockets, workers;
	uint64_t arrived, accepted;            /* TCP */
	uint64_t delivered, received, dropped; /* UDP */
};
struct omitted_endpoints snapshot_omitted(const struct snapshot *s);

#endif
