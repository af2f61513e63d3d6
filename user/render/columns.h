/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables of the full-screen view: the columns of each tab, and its rows. */
#ifndef SOCKFAIR_COLUMNS_H
#define SOCKFAIR_COLUMNS_H

#include "rows.h"
#include "screen.h"

/* The HAS_... bits that apply to at least one endpoint of the snapshot. */
unsigned view_has(const struct snapshot *total);

#define TAB_COLUMNS_MAX 20

/* Fills the tab's table for a page of this width. The table keeps its columns in `columns`. */
void tab_table(struct table *t, struct column columns[TAB_COLUMNS_MAX], enum screen_tab tab,
	       const struct view *v, int room);

/*
 * The column that sorts. `sort` counts the sortable columns, beginning with the tab's default one.
 */
const struct column *tab_sort(const struct table *t, enum screen_tab tab, unsigned sort);

/* Sorts rows by this column. Rows with equal values are sorted by identity, so that they keep their
 * places from one page to the next. */
void tab_order(struct row *rows, size_t count, const struct column *column, bool reversed);

/* Writes "tcp 127.0.0.1:8080", with the network namespace where several are shown. out: CELL_SIZE
 * bytes. Returns it. */
char *port_name(char *out, const struct endpoint *e, const struct view *v);

/* How a verdict is coloured. Where there is nothing to compare it looks like other text. */
enum attribute judged_attribute(enum verdict v);

/* The endpoint whose verdict counts for this row; NULL: there is none. */
const struct endpoint *row_judged(const struct row *r, const struct view *v);

/* Puts the tab's rows of one port, unsorted, into *rows (free() it). Returns 0 or -ENOMEM. */
int tab_rows_make(struct row **rows, size_t *count, const struct row *port, enum screen_tab tab,
		  bool recent);

/* Makes one row for each endpoint of v->total. */
int rows_of_ports(struct row **rows, size_t *count, const struct view *v);

#endif
