/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rows of a port's tables, in text and on the screen, and what most columns say of them. */
#ifndef SOCKFAIR_ROWS_H
#define SOCKFAIR_ROWS_H

#include "../model/snapshot.h"
#include "table.h"

/* An endpoint, a socket, a thread on a socket, a thread, or a process. */
struct row {
	const struct endpoint *endpoint;    /* of the snapshot that the row was made from */
	const struct endpoint *interval;    /* the same port in the interval; NULL: not in it */
	const struct socket_row *socket;    /* of a worker: the one it is on; NULL: none */
	const struct worker_row *worker;    /* the thread, or one of the process; NULL: none */
	int64_t id[3];                      /* within the endpoint */
	uint64_t total, recent;             /* events since the start, in the interval */
	uint64_t drops, drops_least;        /* drops_least is below where some may be withheld ACKs:
					       handshakes.h */
	uint64_t queue, highest, half_open; /* of the socket */
	uint64_t served, open;              /* `open`: now */
	uint64_t cpu_ns, bytes;             /* of a thread or a process, whatever it did */
	uint64_t threads, waits;            /* of a process; `waits` in accept() or a read */
	double p50_ns, p99_ns, max_ns;      /* NaN: none known */
	double excess;                      /* of an endpoint's workers */
	double share; /* of the endpoint's events, in percent; NaN: there are none */
	double bar;   /* of the busiest row's events, 0..1 */
	bool highest_known, serves, open_known, cpu_known, bytes_known;
	bool open_at_least, bytes_at_least;
	bool present; /* has a row in the interval: one that ended may be folded */
	bool appeared, ended;
	bool past; /* ended, or of an earlier generation */
	enum generation generation;
	bool takes;    /* a verdict may be about it */
	bool left_out; /* it lived for part of the window, others all through it: in no verdict */
};

/* What the tables of a page, or of a window in text, are about: what a cell needs beside its row.
 */
struct view {
	const struct snapshot *interval, *total;
	bool recent;        /* shares, waits, CPU times are of the interval, not since the start */
	bool several_netns; /* the namespace is part of a port's name */
	unsigned has;       /* HAS_... */
};

/* What there is to say, of what only some backends and servers have. */
enum {
	HAS_WAITS = 1,
	HAS_HIGHEST = 2,
	HAS_SERVED = 4,
	HAS_OPEN = 8,
	HAS_CPU = 16,
	HAS_BYTES = 32,
	HAS_HALF_OPEN = 64,
	HAS_DROPS = 128,
	HAS_OWN = 256 /* and above: of one kind of table */
};

/* What text has to say of a port's sockets, of its workers: more than that it is known, and is 0.
 */
unsigned sockets_have(const struct endpoint *e);
unsigned workers_have(const struct endpoint *e);

bool several_netns(const struct snapshot *s);

enum rows_by {
	ROWS_SOCKETS,
	ROWS_WORKERS, /* threads, on each socket */
	ROWS_THREADS,
	ROWS_PROCESSES
};

struct row row_of_socket(const struct endpoint *e, const struct socket_row *s, bool arrived);
struct row row_of_worker(const struct endpoint *e, const struct worker_row *w, enum rows_by by);

/* Is that worker's row one of those that this row stands for? */
bool row_is_of(const struct row *r, const struct worker_row *w, enum rows_by by);

void row_add_drops(struct row *r, const struct socket_row *s);

/*
 * The rows of one endpoint, sorted by identity, into *rows (free() it). arrived: sockets by what
 * arrived, not by what was taken from them. takers: without those who hold a socket and never took
 * from it, nor waited to, nor serve what others took. Returns 0 or -ENOMEM.
 */
int rows_make(struct row **rows, size_t *count, const struct endpoint *e, enum rows_by by,
	      bool arrived, bool takers);

/* Where no arrival was seen but something was taken, the backend does not see them: what was taken
 * stands in for them. */
bool arrivals_seen(const struct endpoint *e);

/* By identity, within an endpoint. */
int rows_compare(const void *a, const void *b);

/* Fills left_out, as endpoint_judge() picks its bins. */
void rows_judge(struct row *rows, size_t count, const struct endpoint *e);

/* Fills share and bar, of all events in the interval, or since the start; beside: of those that are
 * in no row; none: the share where there are no events. */
void rows_share(struct row *rows, size_t count, bool recent, uint64_t beside, double none);

/* The heading and a line for each row; of too many the first, and "and 12 more with 3,456": what
 * the others have in the field at that offset. */
#define ROWS_LISTED 64 /* text is for people */
void rows_print(FILE *out, const struct table *t, const struct row *rows, size_t count,
		size_t field);

/* For `known` and `bound` of a column that gives offsets. */
#define ROW(member) offsetof(struct row, member)

/* What columns write; all but count, duration and share know which field they are about. A rate is
 * of `recent`. */
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
/* What is not known is least. */
int by_real(const void *a, const void *b, const struct column *column);

/* A column of a count, of a wait. */
#define COUNTS(member) .write = cell_count, .compare = by_count, .field = ROW(member)
#define LASTS(member) .write = cell_duration, .compare = by_real, .field = ROW(member)

/* n within width columns: "1,234,567", "1234567", or "1.23M". out: TEXT_COUNT_SIZE. Returns it. */
char *count_text(char *out, int width, uint64_t n);

/* n events as a rate: "0.5", "1,234"; "-" for no time at all. Likewise. */
char *rate_text(char *out, int width, uint64_t n, double seconds);

#endif
