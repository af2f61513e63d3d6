/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A page of characters: text is put at a place, clipped to its room, and made harmless. No
 * terminal is needed: terminal.c shows it on one, tests read it.
 */
#ifndef SOCKFAIR_GRID_H
#define SOCKFAIR_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum attribute {
	ATTRIBUTE_NORMAL,
	ATTRIBUTE_BOLD,
	ATTRIBUTE_DIM,
	ATTRIBUTE_RED,
	ATTRIBUTE_GREEN,
	ATTRIBUTE_YELLOW,
	ATTRIBUTE_REVERSE,
	ATTRIBUTE_COUNT
};

struct glyph {
	char text[5]; /* one character of UTF-8; "": the right half of a wide one */
	uint8_t attribute;
};

struct grid {
	int rows, columns;
	bool utf8; /* else only ASCII is put */
	struct glyph *glyphs;
};

/* Where text that does not fit is cut, and to which side what is shorter goes. */
enum align {
	ALIGN_LEFT,
	ALIGN_RIGHT,
	ALIGN_TAIL, /* left, but cut at its beginning: of a path the end tells more */
	ALIGN_FLOW, /* left, and what follows it is not aligned */
};

/* A blank page of at least 1 x 1. Returns 0 or -ENOMEM. */
int grid_init(struct grid *g, int rows, int columns, bool utf8);
void grid_free(struct grid *g);

/*
 * Puts text into `width` columns from (row, column) on; what is outside of the page is left out.
 * Control characters, bytes that are no UTF-8 and characters of unknown width become '?'. Cut text
 * gets an ellipsis. Returns the columns that the text took.
 */
int grid_put(struct grid *g, int row, int column, int width, enum align align,
	     enum attribute attribute, const char *text);

/* A bar of share (0..1) of width columns, in eighths where UTF-8 allows. */
void grid_bar(struct grid *g, int row, int column, int width, enum attribute attribute,
	      double share);

/* The same bar as text, into a buffer of 3 * width + 1 bytes; returns it. */
char *bar_text(char *buffer, double share, int width, bool utf8);

/* Gives the whole row this attribute. */
void grid_paint(struct grid *g, int row, enum attribute attribute);

/* Columns that text takes. */
int grid_width(const struct grid *g, const char *text);

/* The run of one attribute that begins at (row, column), as text into buffer (4 * columns + 1
 * bytes). Returns its columns; 0: none. */
int grid_run(const struct grid *g, int row, int column, char *buffer, enum attribute *attribute);

#endif
