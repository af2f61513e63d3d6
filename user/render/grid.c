/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A page of characters, kept as an array of glyphs, row after row. Text goes in character by
 * character, in widths that all terminals agree on, and comes out in runs of one attribute. */
#include "grid.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

#define SIDE_MAX 2000 /* a terminal may report a nonsensical size */

int grid_init(struct grid *g, int rows, int columns, bool utf8)
{
	rows = rows < 1 ? 1 : rows > SIDE_MAX ? SIDE_MAX : rows;
	columns = columns < 1 ? 1 : columns > SIDE_MAX ? SIDE_MAX : columns;
	*g = (struct grid){ .rows = rows, .columns = columns, .utf8 = utf8 };
	g->glyphs = calloc((size_t)rows * columns, sizeof(*g->glyphs));
	if (!g->glyphs)
		return -ENOMEM;
	for (int i = 0; i < rows * columns; i++)
		strcpy(g->glyphs[i].text, " ");
	return 0;
}

void grid_free(struct grid *g)
{
	free(g->glyphs);
	*g = (struct grid){};
}

/*
 * Characters whose width all terminals agree on. wcwidth() is not used because it depends on the
 * locale. A character in none of these ranges (controls, combining marks, text direction, private
 * use, the newest emoji) could shift everything after it, so it is shown as '?'.
 */
static const struct {
	uint32_t first, last;
	int width;
} widths[] = {
	{ 0x20, 0x7e, 1 },       { 0xa1, 0xac, 1 },     { 0xae, 0x2ff, 1 },
	{ 0x370, 0x377, 1 },     { 0x384, 0x482, 1 },   { 0x48a, 0x52f, 1 },
	{ 0x1e00, 0x1fff, 1 },   { 0x2010, 0x2027, 1 }, { 0x2030, 0x205e, 1 },
	{ 0x2070, 0x20bf, 1 },   { 0x2190, 0x21ff, 1 }, { 0x2200, 0x22ff, 1 },
	{ 0x2500, 0x25fc, 1 },   { 0x2713, 0x2713, 1 }, { 0x2e80, 0x2fd5, 2 },
	{ 0x3001, 0x3029, 2 },   { 0x3041, 0x3096, 2 }, { 0x30a0, 0x30ff, 2 },
	{ 0x3131, 0x318e, 2 },   { 0x3400, 0x4dbf, 2 }, { 0x4e00, 0x9fff, 2 },
	{ 0xac00, 0xd7a3, 2 },   { 0xf900, 0xfaff, 2 }, { 0xff01, 0xff60, 2 },
	{ 0x20000, 0x2fffd, 2 },
};

static int width_of(uint32_t c)
{
	for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++)
		if (c >= widths[i].first && c <= widths[i].last)
			return widths[i].width;
	return 0;
}

/* Takes the next character off *text and makes it harmless. Returns its width. */
static int character_take(const struct grid *g, const char **text, char out[5])
{
	uint32_t c;
	const size_t length = utf8_next(*text, 4, &c); /* a NUL ends the character earlier */
	int width = length ? width_of(c) : 0;

	if (!width || (!g->utf8 && length > 1)) {
		strcpy(out, "?");
		width = 1;
	} else {
		memcpy(out, *text, length);
		out[length] = 0;
	}
	*text += length ? length : 1;
	return width;
}

int grid_width(const struct grid *g, const char *text)
{
	char c[5];
	int width = 0;

	while (*text)
		width += character_take(g, &text, c);
	return width;
}

static void put_glyph(struct grid *g, int row, int column, enum attribute attribute,
		      const char *text)
{
	struct glyph *glyph;

	if (row < 0 || row >= g->rows || column < 0 || column >= g->columns)
		return;
	glyph = &g->glyphs[row * g->columns + column];
	strcpy(glyph->text, text);
	glyph->attribute = attribute;
}

/* Puts as many whole characters as fit into `width`. Returns the columns taken. */
static int put_fitting(struct grid *g, int row, int column, int width, enum attribute attribute,
		       const char *text)
{
	char c[5];
	int used = 0;

	while (*text) {
		int w = character_take(g, &text, c);

		if (used + w > width)
			break;
		put_glyph(g, row, column + used, attribute, c);
		if (w == 2)
			put_glyph(g, row, column + used + 1, attribute, "");
		used += w;
	}
	return used;
}

int grid_put(struct grid *g, int row, int column, int width, enum align align,
	     enum attribute attribute, const char *text)
{
	const char *ellipsis = g->utf8 ? "…" : "~";
	int wanted, used;
	char c[5];

	if (column + width > g->columns)
		width = g->columns - column;
	if (row < 0 || row >= g->rows || width <= 0)
		return 0;
	wanted = grid_width(g, text);
	if (wanted <= width)
		return put_fitting(g, row, column + (align == ALIGN_RIGHT ? width - wanted : 0),
				   width, attribute, text);
	if (align != ALIGN_TAIL) {
		used = put_fitting(g, row, column, width - 1, attribute, text);
		put_glyph(g, row, column + used, attribute, ellipsis);
		return used + 1;
	}
	while (wanted > width - 1)
		wanted -= character_take(g, &text, c);
	put_glyph(g, row, column, attribute, ellipsis);
	return 1 + put_fitting(g, row, column + 1, width - 1, attribute, text);
}

char *bar_text(char *buffer, double share, int width, bool utf8)
{
	static const char *const eighths[] = { "", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
	const long units =
		share > 0 ? lround((share > 1 ? 1 : share) * width * 8) : 0; /* false for NaN too */
	char *to = buffer;

	*to = '\0';
	for (long i = utf8 ? 8 : 4; i <= units; i += 8)
		to = stpcpy(to, utf8 ? "█" : "#");
	if (utf8)
		strcpy(to, eighths[units % 8]);
	return buffer;
}

void grid_bar(struct grid *g, int row, int column, int width, enum attribute attribute,
	      double share)
{
	char text[3 * SIDE_MAX + 1];

	if (width > 0)
		grid_put(g, row, column, width, ALIGN_LEFT, attribute,
			 bar_text(text, share, width < SIDE_MAX ? width : SIDE_MAX, g->utf8));
}

void grid_paint(struct grid *g, int row, enum attribute attribute)
{
	for (int i = 0; row >= 0 && row < g->rows && i < g->columns; i++)
		g->glyphs[(size_t)row * g->columns + i].attribute = attribute;
}

int grid_run(const struct grid *g, int row, int column, char *buffer, enum attribute *attribute)
{
	const struct glyph *glyph = &g->glyphs[(size_t)row * g->columns];
	int end = column;

	*buffer = 0;
	if (column >= g->columns)
		return 0;
	*attribute = glyph[column].attribute;
	for (; end < g->columns && glyph[end].attribute == *attribute; end++)
		buffer = stpcpy(buffer, glyph[end].text);
	return end - column;
}
