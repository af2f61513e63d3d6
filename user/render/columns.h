/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rows of the full-screen view and the columns that each tab shows of them. */
#ifndef SOCKFAIR_COLUMNS_H
#define SOCKFAIR_COLUMNS_H

#include "screen.h"

/* One line of a tab: an endpoint, a socket, a thread on a socket, or a process. */
struct row {
	const struct endpoint *total,
		*interval; /* its endpoint in both snapshots; interval NULL: not in it */
	const struct socket_row
		*socket; /* the socket (of a worker: the one it is on); NULL: none */
	const struct worker_row *worker;  /* the thread, or one of the process; NULL: none */
	uint64_t id[3];                   /* within the endpoint */
	uint64_t count, recent;           /* events since the start, in the interval */
	uint64_t drops, drops_least;      /* since the start; drops_least is below where some may be
					     withheld ACKs: handshakes.h */
	uint32_t threads, sockets, waits; /* of a process */
	double p50_ns, p99_ns, max_ns;    /* waits since the start, or of the interval where that is
					     asked for; NaN: none known */
	uint64_t served;                  /* likewise */
	uint64_t open;                    /* now */
	bool serves, open_known;          /* `served` and `open` are known */
	bool open_at_least;               /* `open` is a bound */
	bool cpu_known, bytes_known, bytes_at_least;
	uint64_t cpu_ns, bytes; /* since the start, or of the interval where that is asked for */
	bool present;           /* has a row in the interval: one that ended may be folded */
	bool appeared, ended;
	bool past;    /* ended, or of an earlier generation */
	bool takes;   /* of workers: it can accept, so a verdict may be about it */
	double share; /* of the endpoint's events, 0..1; NaN: there are none */
	double bar;   /* of the busiest row's events */
};

/* What only some backends and servers have: columns of it are left out where there is none. */
enum present {
	PRESENT_WAITS = 1,
	PRESENT_HIGHEST = 2,
	PRESENT_SERVED = 4,
	PRESENT_OPEN = 8,
	PRESENT_CPU = 16,
	PRESENT_BYTES = 32,
	PRESENT_HALF_OPEN = 64
};

/* What a cell needs to know beside its row. */
struct view {
	const struct snapshot *interval, *total;
	bool recent;        /* as in screen_state */
	bool several_netns; /* the namespace is part of the name */
	enum screen_tab tab;
	unsigned present; /* of enum present, by view_present() */
};

unsigned view_present(const struct snapshot *total);

#define CELL_SIZE 512

struct column {
	const char *title;
	int width; /* 0: takes what the others leave */
	int from;  /* shown where the page has this many columns; without `needs`: beside those that
		      have */
	enum align align;
	bool rising; /* sorts the least first */
	void (*text)(char *out, int width, const struct row *r,
		     const struct view *v);                       /* NULL: the bar */
	int (*compare)(const struct row *a, const struct row *b); /* NULL: not to sort by */
	enum attribute (*attribute)(const struct row *r, const struct view *v); /* NULL: normal */
	unsigned needs; /* of enum present; 0: always there */
};

struct columns {
	const struct column *column;
	size_t count;
	const char *first; /* the title of the column that sorts when the user has chosen none */
};

extern const struct columns columns_of_tab[TAB_COUNT];

/* The column that sorts: the sort-th after the tab's first choice, of those that can. present: as
 * in struct view. */
const struct column *columns_sort(enum screen_tab tab, unsigned present, unsigned sort);

/* Sorts rows by that column; rows alike in it by their identity, so that they keep their places. */
void columns_order(struct row *rows, size_t count, enum screen_tab tab, unsigned present,
		   unsigned sort, bool reversed);

/* "tcp 127.0.0.1:8080"; with its namespace where several are shown. out: CELL_SIZE bytes. */
void port_name(char *out, const struct endpoint *e, const struct view *v);

/* n events in the interval as a rate: "0.5", "1,234"; "-" for no time at all. */
void rate_text(char *out, int width, uint64_t n, double seconds);

/* n within width columns: "1,234,567", "1234567", or "1.23M". */
void count_text(char *out, int width, uint64_t n);

enum attribute verdict_attribute(enum verdict v);
const struct endpoint *
row_judged(const struct row *r,
	   const struct view *v); /* the endpoint whose verdict counts; NULL: none */

/*
 * The tab's rows of one endpoint, unsorted, into *rows (free() it). Returns 0 or -ENOMEM.
 */
int rows_make(struct row **rows, size_t *count, const struct endpoint *total,
	      const struct endpoint *interval, enum screen_tab tab, bool recent);

/* One row for each endpoint of v->total. */
int rows_of_ports(struct row **rows, size_t *count, const struct view *v);

#endif
