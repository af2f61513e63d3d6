/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of a ledger, for its own files only:
 *
 *   ledger.c            a ledger from beginning to end; rows that end; holders of sockets
 *   ledger_rows.c       how rows are found, added and removed
 *   ledger_count.c      from the counts of the kernel's rows to sums
 *   ledger_connected.c  with which sockets a connected UDP socket is shown
 *   ledger_fold.c       the oldest of the ended rows become part of a sum
 *   ledger_snapshot.c   all rows as a snapshot
 *   ledger_endpoint.c   one endpoint of it
 */
#ifndef SOCKFAIR_LEDGER_PARTS_H
#define SOCKFAIR_LEDGER_PARTS_H

#include "array.h"
#include "ledger.h"

/* Rows, both in a tree by identity (tsearch) and in an unsorted array. */
struct ledger_rows {
	void *tree;
	struct array list; /* of pointers */
	int (*compare)(const void *, const void *);
	size_t ended;
};

/* The sums of an endpoint's folded rows. */
struct ledger_folded {
	struct ledger_socket key; /* only the fields that identify the endpoint */
	struct omitted omitted;
	struct wait_bounds bounds;
	uint64_t folded_at; /* the order in which endpoints were folded into last */
	bool gone;          /* ledger_trim(): it has no rows any more, and gives way to others */
};

struct ledger {
	struct ledger_rows sockets, workers, folded;
	struct holder_row *holders;
	size_t holder_count;
	struct handshake_set handshakes;
	size_t ended_max;
	unsigned cpus;
	uint64_t orphaned; /* events of folded workers whose socket had no row */
	uint64_t ends;     /* counts rows that ended, to tell the oldest */
	size_t ended_histograms;
	bool waits, serving;       /* what is measured: ledger_measures() */
	uint64_t began_ns, now_ns; /* ledger_clock() */
};

struct ledger_slots {
	struct wait_histogram sum;
	uint32_t last[WAIT_SLOTS]; /* of the kernel's present row */
};

struct ledger_flows {
	struct flow_sketch sum;
	struct flow_peer past;       /* of kernel rows that were given back */
	uint32_t last[FLOW_BUCKETS]; /* of the kernel's present row */
};

/* ---- ledger_rows.c ---- */

/* Orders endpoints; sockets that compare equal are of one endpoint. */
int ledger_compare_endpoints(const struct ledger_socket *x, const struct ledger_socket *y);
/* For ledger_rows_sort(): by endpoint, then by cookie. */
int ledger_order_sockets(const void *a, const void *b);

/* Tells each kind of rows its identity. */
void ledger_rows_begin(struct ledger *l);
/* NULL: there is none. */
void *ledger_rows_find(const struct ledger_rows *r, const void *key);
void *ledger_row_at(const struct ledger_rows *r, size_t i);
/* Adds a copy of the row. NULL: no memory. */
void *ledger_rows_add(struct ledger_rows *r, const void *row, size_t size);
void ledger_rows_clear(struct ledger_rows *r);
/* compare: gets pointers to pointers to rows. */
void ledger_rows_sort(struct ledger_rows *r, int (*compare)(const void *, const void *));

struct ledger_socket *ledger_socket_at(const struct ledger *l, size_t i);
struct ledger_worker *ledger_worker_at(const struct ledger *l, size_t i);
/* Remove row i, with what it owns; another row takes its place. */
void ledger_remove_socket(struct ledger *l, size_t i);
void ledger_remove_worker(struct ledger *l, size_t i);
void ledger_remove_folded(struct ledger *l, size_t i);

/* ---- ledger_count.c ---- */

/* The work of all kernel rows that the thread has had. */
struct ledger_work ledger_work_of(const struct ledger_worker *w);
/* Adds what a thread counted to its row, except its waits in the accept queue. */
void ledger_add_counts(struct worker_row *row, const struct ledger_worker *from,
		       const struct ledger_work *work);
/* A socket's row with its counts; its workers add what they accepted. */
struct socket_row ledger_counted(const struct ledger_socket *s);
/* To be called when an ended thread has a histogram: there is room for so many of them. */
void ledger_limit_histograms(struct ledger *l, struct ledger_worker *w);

/* ---- ledger_connected.c ---- */

/*
 * When a UDP socket that is bound to any address is connected, it gets the local address of the
 * route to its peer (ip4_datagram_connect()). If no unconnected socket is bound to that address,
 * the connected socket is shown with the any-address sockets of its port, and stays there.
 */
void ledger_join_connected(struct ledger *l);

/* ---- ledger_endpoint.c ---- */

/* For ledger_rows_sort(): the workers of a socket consecutive, as ledger_endpoint.c needs them. */
int ledger_order_workers(const void *a, const void *b);
/* The workers on a socket, as consecutive rows, and their number. The list must be sorted by
 * ledger_order_workers(). */
struct ledger_worker *const *ledger_workers_of(const struct ledger *l, uint64_t cookie,
					       size_t *count);
/* Makes one endpoint out of its sockets, which are consecutive. Returns 0 or -ENOMEM. */
int ledger_fill_endpoint(const struct ledger *l, struct endpoint *e,
			 struct ledger_socket *const *sockets, size_t count);

#endif
