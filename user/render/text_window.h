/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of a window in text share: text_window.c has its lines, text_window_table.c its
 * tables. */
#ifndef SOCKFAIR_TEXT_WINDOW_H
#define SOCKFAIR_TEXT_WINDOW_H

#include "text_parts.h"

/* What all tables of one window have in common. */
struct window {
	struct view view; /* total: NULL if the window is all there is */
	FILE *out;
	enum text_by by;
	const struct text_style *style;
};

/* Prints the rows of a port, and lines on those that have ended or are folded. all: the port since
 * the start; NULL: the window is all there is. */
void window_table(const struct window *w, const struct endpoint *e, const struct endpoint *all,
		  enum text_by by);

/* The unit or container of the processes that take the work, or else of those that hold the
 * sockets; "" if it is not known. */
const char *window_unit(char buffer[TEXT_UNIT_SIZE], const struct endpoint *e,
			const struct text_style *style);

#endif
