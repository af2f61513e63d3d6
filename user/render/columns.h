/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables of the full-screen view: the columns of each tab, and its rows. */
#ifndef SOCKFAIR_COLUMNS_H
#define SOCKFAIR_COLUMNS_H

#include "rows.h"
#include "screen.h"

/* HAS_..., of all endpoints. */
unsigned view_has(const struct snapshot *total);

#define TAB_COLUMNS_MAX 20

/* The tab's table for a page so wide; it has its columns in `columns`. */
void tab_table(struct table *t, struct column columns[TAB_COLUMNS_MAX], enum screen_tab tab,
	       const struct view *v, int room);

/* The column that sorts: the sort-th after the tab's first choice, of those that can. */
const struct column *tab_sort(const struct table *t, enum screen_tab tab, unsigned sort);

/* Sorts rows by that column; rows alike in it by their identity, so that they keep their places. */
void tab_order(struct row *rows, size_t count, const struct column *column, bool reversed);

/* "tcp 127.0.0.1:8080"; with its namespace where several are shown. out: CELL_SIZE bytes. Returns
 * it. */
char *port_name(char *out, const struct endpoint *e, const struct view *v);

/* Where there is nothing to compare as other text. */
enum attribute judged_attribute(enum verdict v);

/* The endpoint whose verdict counts; NULL: none. */
const struct endpoint *row_judged(const struct row *r, const struct view *v);

/* The tab's rows of one port, unsorted, into *rows (free() it). Returns 0 or -ENOMEM. */
int tab_rows_make(struct row **rows, size_t *count, const struct row *port, enum screen_tab tab,
		  bool recent);

/* One row for each endpoint of v->total. */
int rows_of_ports(struct row **rows, size_t *count, const struct view *v);

#endif
