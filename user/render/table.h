/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tables, all of them: columns that are described, rows that are handed in, and two ways out, lines
 * of text and a page of the screen (grid.h). What words mean here, and in all of render/:
 *
 *   column  a part of each line, from top to bottom: a `struct column` says what its title is, how
 *           wide it is, when it is shown and what it says of a row
 *   row     what one line is about: a process, a socket, a side of a comparison. A table hands it
 *           to its columns and knows nothing of it
 *   cell    what one column says of one row
 *   shown   of a column: it is in this table, by table_fit()
 *   order   in which rows are handed in: tab_order() sorts those of the screen, text takes them as
 *           they are made
 *   view    what a cell needs beside its row, where rows are a port's: rows.h
 *   has     bits, of the owner of the columns: what there is to say. A column that needs what is
 *           not there is not shown
 *   room    columns of the terminal that a line may take
 *   width   of a text: the columns of the terminal that it takes
 *
 * To make one: struct table with a copy of its columns, table_fit(), a heading, a line for each
 * row.
 */
#ifndef SOCKFAIR_TABLE_H
#define SOCKFAIR_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "grid.h"
#include "text.h"

#define CELL_SIZE 512

struct cell {
	const void *row;
	const struct table *table;
	const struct column *column;
	int width; /* what it should fit into. In text a figure is never cut: WIDTH_WHOLE */
	char text[CELL_SIZE];
	enum attribute attribute; /* as ATTRIBUTE_NORMAL it is called */
	double bar;               /* 0..1, in the place of text */
};
#define WIDTH_WHOLE 1000000

#define WIDTH_MEASURED 0 /* of the widest cell or the title */
#define WIDTH_REST -1    /* a bar: what the others leave */
#define GAP_NONE -1

struct column {
	const char *title;
	int width;
	enum align align;
	void (*write)(struct cell *cell);
	size_t field; /* for `write` and `compare`: the offset in a row of what it is about */
	size_t known; /* likewise: of a bool whether that is known; 0: it is */
	size_t bound; /* and whether it is a bound */
	int (*compare)(const void *a, const void *b,
		       const struct column *column); /* NULL: rows are not sorted by it */
	bool rising;                                 /* sorts the least first */
	int least;                                   /* WIDTH_MEASURED: at least so wide */
	int gap;        /* blanks before it; 0: one. Not before the first */
	unsigned needs; /* of `has`, all of these */
	int from;       /* shown where there is so much room, beside the columns that need something
			   and are shown */
	int rank;       /* where the room does not suffice the highest goes first; 0: never */
	int shown;      /* by table_fit(): its width, or HIDDEN */
};
#define HIDDEN -2

struct table {
	struct column *columns; /* of this table alone: table_fit() writes there */
	size_t count;
	const void *of; /* what cells need to know beside their row */
	unsigned has;
	const struct text_style *style; /* NULL: for a page */
	bool painted;                   /* text: cells have their own colours */
	int room, indent;
	int bar_least; /* so much of the room is kept for a bar when columns are chosen */
	int used;      /* by table_fit(): of the room, by all columns but the bar */
};

/* Says which columns are shown, and how wide. rows: to measure; of `size` bytes each. */
void table_fit(struct table *t, const void *rows, size_t count, size_t size);

/* Is a column that writes so shown? */
bool table_shows(const struct table *t, void (*write)(struct cell *cell));

void table_heading(FILE *out, const struct table *t);
/* Blanks at the end are left out; so is a row of which no column says anything. */
void table_line(FILE *out, const struct table *t, const void *row);

/* The same on a line of a page, or, with line < 0, not at all. marked: the column that sorts;
 * attribute: of the whole line, unless ATTRIBUTE_NORMAL. */
void table_put_heading(struct grid *g, int line, const struct table *t,
		       const struct column *marked);
void table_put_line(struct grid *g, int line, const struct table *t, const void *row,
		    enum attribute attribute);

/* ---- what lines are made of, for those too that are in no table ---- */

/* Columns that a line may take. */
int text_longest(const struct text_style *style);

enum text_break {
	TEXT_BREAK_WORDS,
	TEXT_BREAK_CLAUSES /* after commas, semicolons and colons only */
};

/*
 * Words, broken into lines of the style's width; `column` is where the first line is by now, later
 * lines begin at `indent`.
 */
void text_wrapped(FILE *out, const char *words, int column, int indent, enum text_break at,
		  const struct text_style *style);

#endif
