/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every table is made here. The caller describes the columns and hands in the rows; the table comes
 * out as lines of text or on a page of the screen (grid.h). The terms here and in all of render/:
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
 * To make a table: fill a struct table with a copy of the columns, call table_fit(), then write a
 * heading and a line for each row.
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
	int width; /* the text should fit into this. In text output a figure is never cut:
		      WIDTH_WHOLE */
	char text[CELL_SIZE];
	enum attribute attribute; /* on a page; ATTRIBUTE_NORMAL when `write` is called */
	double bar;               /* 0..1, instead of text */
};
#define WIDTH_WHOLE 1000000

#define WIDTH_MEASURED 0 /* as wide as the widest cell or the title */
#define WIDTH_REST (-1)  /* a bar: it gets the room that the other columns leave */

struct column {
	const char *title;
	int width;
	enum align align;
	void (*write)(struct cell *cell);
	size_t field; /* for `write` and `compare`: the offset in a row of the field that the column
			 shows */
	size_t known; /* the offset of a bool that says whether the field is known; 0: it always is
		       */
	size_t bound; /* the offset of a bool that says whether the field is a bound */
	int (*compare)(const void *a, const void *b,
		       const struct column *column); /* NULL: rows are not sorted by it */
	bool rising;                                 /* sorts the least first */
	int least;                                   /* for WIDTH_MEASURED: the least width */
	int gap;        /* blanks before the column; 0: one. The first column has none */
	unsigned needs; /* bits that all have to be in `has` */
	int from; /* shown if the room is at least this, on top of the room for shown columns that
		     need something */
	int rank; /* if there is not enough room, the column with the highest rank goes first; 0: it
		     never goes */
	int shown; /* set by table_fit(): the column's width, or HIDDEN */
};
#define HIDDEN (-2)

struct table {
	struct column *columns; /* a copy for this table alone: table_fit() writes to it */
	size_t count;
	const void *of; /* what cells need beside their row */
	unsigned has;
	const struct text_style *style; /* NULL: the table is for a page */
	int room, indent;
	int bar_least; /* how much room is kept for a bar when columns are chosen */
	int used;      /* set by table_fit(): how much of the room all columns but the bar take */
};

/*
 * Decides which columns are shown, and how wide each is. rows: what to measure, each `size` bytes.
 */
void table_fit(struct table *t, const void *rows, size_t count, size_t size);

/* Is a column with this `write` shown? */
bool table_shows(const struct table *t, void (*write)(struct cell *cell));

void table_heading(FILE *out, const struct table *t);
/* Writes a line. Blanks at its end are left out, and so is a row about which no column says
 * anything. */
void table_line(FILE *out, const struct table *t, const void *row);

/* Does the same on a line of a page; with line < 0 it draws nothing. marked: the column that sorts.
 * attribute: applies to the whole line unless it is ATTRIBUTE_NORMAL. */
void table_put_heading(struct grid *g, int line, const struct table *t,
		       const struct column *marked);
void table_put_line(struct grid *g, int line, const struct table *t, const void *row,
		    enum attribute attribute);

/* ---- parts of lines, also for lines that are in no table ---- */

/* How many columns a line may take. */
int text_longest(const struct text_style *style);

enum text_break {
	TEXT_BREAK_WORDS,
	TEXT_BREAK_CLAUSES /* break only after commas, semicolons and colons */
};

/* Prints words, broken into lines of the style's width. The first line has already reached
 * `column`; later lines begin at `indent`. */
void text_wrapped(FILE *out, const char *words, int column, int indent, enum text_break at,
		  const struct text_style *style);

#endif
