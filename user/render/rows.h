/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rows of a port's tables, in text and on the screen, and the cells of most columns. */
#ifndef SOCKFAIR_ROWS_H
#define SOCKFAIR_ROWS_H

#include "../model/snapshot.h"
#include "table.h"

/* One row: an endpoint, a socket, a thread on a socket, a thread, or a process. */
struct row {
	const struct endpoint *endpoint; /* from the snapshot that the row was made of */
	const struct endpoint *interval; /* the same port in the interval; NULL: not in it */
	const struct socket_row *socket; /* for a worker's row: the socket it is on; NULL: none */
	const struct worker_row *worker; /* the thread, or one of the process; NULL: none */
	int64_t id[3];                   /* identifies the row within the endpoint */
	uint64_t total, recent;          /* events since the start, in the interval */
	uint64_t drops, drops_least; /* drops_least is lower where some drops may be withheld ACKs:
					handshakes.h */
	uint64_t queue, highest, half_open; /* of the socket */
	uint64_t served, open;              /* `open`: connections open now */
	uint64_t cpu_ns, bytes;             /* of a thread or a process, in total */
	uint64_t threads, waits;            /* of a process; `waits` in accept() or a read */
	double p50_ns, p99_ns, max_ns;      /* NaN: not known */
	double excess;                      /* of an endpoint's workers */
	double share; /* of the endpoint's events, in percent; NaN: there were no events */
	double bar;   /* relative to the busiest row's events, 0..1 */
	bool highest_known, serves, open_known, cpu_known, bytes_known;
	bool open_at_least, bytes_at_least;
	bool present; /* there is a row in the interval too: a worker that ended may be folded */
	bool appeared, ended;
	bool past; /* the worker ended, or is of an earlier generation */
	enum generation generation;
	bool takes;    /* a verdict may be about it */
	bool left_out; /* the worker lived for part of the window while others lived through all of
			  it: no verdict counts it */
};

/*
 * What the tables of a page, or of a window in text, are about: a cell needs this beside its row.
 */
struct view {
	const struct snapshot *interval, *total;
	bool recent; /* shares, waits and CPU times are about the interval, not the time since the
			start */
	bool several_netns; /* the namespace is part of a port's name */
	unsigned has;       /* HAS_... */
};

/* Which facts there are to show. Only some backends and servers provide them. */
enum {
	HAS_WAITS = 1,
	HAS_HIGHEST = 2,
	HAS_SERVED = 4,
	HAS_OPEN = 8,
	HAS_CPU = 16,
	HAS_BYTES = 32,
	HAS_HALF_OPEN = 64,
	HAS_DROPS = 128,
	HAS_OWN = 256 /* this bit and higher ones belong to one kind of table */
};

/* Which facts about a port's sockets, or its workers, are worth a column in text: a value must be
 * known and at least one must differ from 0. */
unsigned sockets_have(const struct endpoint *e);
unsigned workers_have(const struct endpoint *e);

bool several_netns(const struct snapshot *s);

enum rows_by {
	ROWS_SOCKETS,
	ROWS_WORKERS, /* one row for each thread on each socket */
	ROWS_THREADS,
	ROWS_PROCESSES
};

struct row row_of_socket(const struct endpoint *e, const struct socket_row *s, bool arrived);
struct row row_of_worker(const struct endpoint *e, const struct worker_row *w, enum rows_by by);

/* Is this worker among those that the row stands for? */
bool row_is_of(const struct row *r, const struct worker_row *w, enum rows_by by);

void row_add_drops(struct row *r, const struct socket_row *s);

/*
 * Makes the rows of one endpoint, sorted by identity, in *rows (free() it). arrived: a socket's
 * events are what arrived at it, not what was taken from it. takers: leave out a worker that holds
 * a socket but never took from it, never waited to, and does not serve what others took. Returns 0
 * or -ENOMEM.
 */
int rows_make(struct row **rows, size_t *count, const struct endpoint *e, enum rows_by by,
	      bool arrived, bool takers);

/* Does the backend see arrivals? It does not where something was taken but no arrival was seen;
 * what was taken then stands in for the arrivals. */
bool arrivals_seen(const struct endpoint *e);

/* Compares by identity, within an endpoint. */
int rows_compare(const void *a, const void *b);

/* Fills left_out by the rule that endpoint_judge() uses to pick its bins. */
void rows_judge(struct row *rows, size_t count, const struct endpoint *e);

/* Fills share and bar, relative to all events in the interval or since the start. beside: the
 * events that are in no row. none: the share to show where there are no events. */
void rows_share(struct row *rows, size_t count, bool recent, uint64_t beside, double none);

/* Prints the heading and a line for each row. Of too many rows it prints the first, and then "and
 * 12 more with 3,456", where 3,456 is the sum of the field at that offset over the other rows. */
#define ROWS_LISTED 64 /* people read the text */
void rows_print(FILE *out, const struct table *t, const struct row *rows, size_t count,
		size_t field);

/* Gives the offset for a column's `field`, `known` or `bound`. */
#define ROW(member) offsetof(struct row, member)

/* What columns write. All but count, duration and share know their field themselves. A rate is of
 * `recent`. */
void cell_count(struct cell *cell);
void cell_duration(struct cell *cell);
void cell_share(struct cell *cell);
void cell_rate(struct cell *cell);
void cell_queue(struct cell *cell);
void cell_half_open(struct cell *cell);
void cell_drops(struct cell *cell);
void cell_cpu(struct cell *cell);
void cell_cookie(struct cell *cell);
void cell_inode(struct cell *cell);
void cell_bar(struct cell *cell);
void cell_number(struct cell *cell, int64_t n); /* none: "-" */

int by_count(const void *a, const void *b, const struct column *column);
/* Compares reals; a value that is not known counts as the least. */
int by_real(const void *a, const void *b, const struct column *column);

/* A column that shows a count, and one that shows a wait. */
#define COUNTS(member) .write = cell_count, .compare = by_count, .field = ROW(member)
#define LASTS(member) .write = cell_duration, .compare = by_real, .field = ROW(member)

/* Writes n within `width` columns: "1,234,567", "1234567", or "1.23M". out: TEXT_COUNT_SIZE.
 * Returns it. */
char *count_text(char *out, int width, uint64_t n);

/* Writes n events as a rate: "0.5", "1,234"; "-" if no time has passed. out: TEXT_COUNT_SIZE.
 * Returns it. */
char *rate_text(char *out, int width, uint64_t n, double seconds);

#endif
