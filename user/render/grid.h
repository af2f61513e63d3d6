/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A page of characters. Text is put at a place, clipped to the room there, and made harmless. The
 * page needs no terminal: terminal.c shows it on one, tests read it. */
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
	char text[5]; /* one UTF-8 character; "": the right half of a wide character */
	uint8_t attribute;
};

struct grid {
	int rows, columns;
	bool utf8; /* otherwise only ASCII is put */
	struct glyph *glyphs;
};

/* Which end of a text that does not fit is cut, and to which side a shorter text is aligned. */
enum align {
	ALIGN_LEFT,
	ALIGN_RIGHT,
	ALIGN_TAIL, /* left, but cut at the beginning: the end of a path tells more */
	ALIGN_FLOW, /* left, and the text that follows is not aligned */
};

/* Makes a blank page of at least 1 x 1. Returns 0 or -ENOMEM. */
int grid_init(struct grid *g, int rows, int columns, bool utf8);
void grid_free(struct grid *g);

/*
 * Puts text into `width` columns, starting at (row, column). Whatever lies outside of the page is
 * left out. Control characters, bytes that are not UTF-8 and characters of unknown width become
 * '?'. Text that was cut gets an ellipsis. Returns the columns that the text took.
 */
int grid_put(struct grid *g, int row, int column, int width, enum align align,
	     enum attribute attribute, const char *text);

/* Draws a bar of `width` columns for a share (0..1), in eighths of a column where UTF-8 allows. */
void grid_bar(struct grid *g, int row, int column, int width, enum attribute attribute,
	      double share);

/* The same bar as text, into a buffer of 3 * width + 1 bytes; returns it. */
char *bar_text(char *buffer, double share, int width, bool utf8);

/* Gives the whole row this attribute. */
void grid_paint(struct grid *g, int row, enum attribute attribute);

/* The number of columns that the text takes. */
int grid_width(const struct grid *g, const char *text);

/* Copies the run of characters with one attribute that begins at (row, column) into buffer (4 *
 * columns + 1 bytes). Returns how many columns the run has; 0: there is none. */
int grid_run(const struct grid *g, int row, int column, char *buffer, enum attribute *attribute);

#endif
