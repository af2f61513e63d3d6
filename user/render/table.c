/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Decides what is shown (table_fit()), then writes lines, either as text or to a page. */
#include "table.h"

#include <limits.h>
#include <string.h>

#include "text_parts.h"

#define BAR_CELLS_MAX 32
#define BAR_CELLS_MIN 4 /* a shorter bar says less than the figure beside it */
#define BAR_GAP 2

/* ---- which columns ---- */

static int gap_of(const struct table *t, const struct column *c)
{
	return c == t->columns ? 0 : c->gap ? c->gap : 1;
}

/* How much room the column takes with its gap; 0 if it is not shown, or has nothing in it. */
static int taken_by(const struct table *t, const struct column *c)
{
	return c->shown > 0 ? c->shown + gap_of(t, c) : 0;
}

static void cell_write(struct cell *cell, const struct table *t, const struct column *c,
		       const void *row)
{
	cell->row = row;
	cell->table = t;
	cell->column = c;
	cell->width = t->style ? WIDTH_WHOLE : c->shown;
	cell->text[0] = '\0';
	cell->attribute = ATTRIBUTE_NORMAL;
	cell->bar = 0;
	c->write(cell);
}

static int column_measure(const struct table *t, const struct column *c, const void *rows,
			  size_t count, size_t size)
{
	int most = text_width(c->title) > c->least ? text_width(c->title) : c->least;
	struct cell cell;

	for (size_t i = 0; i < count; i++) {
		cell_write(&cell, t, c, (const char *)rows + i * size);
		most = text_width(cell.text) > most ? text_width(cell.text) : most;
	}
	return most;
}

/* Shown columns that need something leave less room for the columns that need nothing. */
static void columns_choose(struct table *t)
{
	int room = t->room;

	for (size_t i = 0; i < t->count; i++) {
		struct column *c = &t->columns[i];

		c->shown = (c->needs & ~t->has) || t->room < c->from ? HIDDEN : c->width;
		room -= c->needs && c->shown != HIDDEN ? c->width + 1 : 0;
	}
	for (size_t i = 0; i < t->count; i++)
		if (!t->columns[i].needs && t->columns[i].from > (room > 0 ? room : 0))
			t->columns[i].shown = HIDDEN;
}

/* The column to leave out next; NULL: all have to stay. */
static struct column *least_wanted(const struct table *t)
{
	struct column *least = NULL;

	for (size_t i = 0; i < t->count; i++)
		if (t->columns[i].shown != HIDDEN && t->columns[i].rank > (least ? least->rank : 0))
			least = &t->columns[i];
	return least;
}

void table_fit(struct table *t, const void *rows, size_t count, size_t size)
{
	struct column *rest = NULL, *least;
	int left;

	columns_choose(t);
	t->used = t->indent;
	for (size_t i = 0; i < t->count; i++) {
		struct column *c = &t->columns[i];

		if (c->width == WIDTH_MEASURED && c->shown != HIDDEN)
			c->shown = column_measure(t, c, rows, count, size);
		if (c->width == WIDTH_REST)
			rest = c;
		else
			t->used += taken_by(t, c);
	}
	while (t->used + t->bar_least > t->room && (least = least_wanted(t))) {
		t->used -= taken_by(t, least);
		least->shown = HIDDEN;
	}
	if (!rest)
		return;
	left = (t->style ? text_bar_room(t->style) - BAR_GAP : t->room - gap_of(t, rest)) - t->used;
	if (t->style)
		left = left < BAR_CELLS_MIN ? 0 : left > BAR_CELLS_MAX ? BAR_CELLS_MAX : left;
	rest->shown = left > 0 ? left : 0;
}

bool table_shows(const struct table *t, void (*write)(struct cell *cell))
{
	for (size_t i = 0; i < t->count; i++)
		if (t->columns[i].write == write)
			return t->columns[i].shown != HIDDEN;
	return false;
}

/* ---- to text ---- */

/* Blanks are kept back until something follows them, so that no line ends with blanks. */
static void put_text(FILE *out, int *blanks, const struct column *c, const char *text)
{
	const int spare = c->align == ALIGN_FLOW ? 0 : c->shown - text_width(text),
		  before = c->align == ALIGN_RIGHT && spare > 0 ? spare : 0;

	if (*text) {
		fprintf(out, "%*s%s", *blanks + before, "", text);
		*blanks = 0;
	} else {
		*blanks += before;
	}
	*blanks += c->align != ALIGN_RIGHT && spare > 0 ? spare : 0;
}

static void put_cell(FILE *out, int *blanks, const struct cell *cell)
{
	const struct text_style *style = cell->table->style;
	char bar[BAR_CELLS_MAX * 3 + 1];

	if (cell->column->width == WIDTH_REST) {
		if (*bar_text(bar, cell->bar, cell->column->shown, style->utf8))
			fprintf(out, "%*s%s", *blanks + BAR_GAP, "", bar);
		*blanks = 0;
		return;
	}
	if (*cell->text || cell->column->align != ALIGN_FLOW)
		*blanks += gap_of(cell->table, cell->column);
	put_text(out, blanks, cell->column, cell->text);
}

void table_heading(FILE *out, const struct table *t)
{
	int blanks = 0;

	fprintf(out, "%*s%s", t->indent, "", text_paint(t->style, TEXT_BOLD));
	for (size_t i = 0; i < t->count; i++) {
		const struct column *c = &t->columns[i];

		if (c->shown <= 0 || c->width == WIDTH_REST)
			continue;
		blanks += gap_of(t, c);
		put_text(out, &blanks, c, c->title);
	}
	fprintf(out, "%s\n", text_paint(t->style, TEXT_PLAIN));
}

void table_line(FILE *out, const struct table *t, const void *row)
{
	int blanks = t->indent;
	bool any = false;
	struct cell cell;

	for (size_t i = 0; i < t->count; i++) {
		if (t->columns[i].shown <= 0)
			continue;
		cell_write(&cell, t, &t->columns[i], row);
		put_cell(out, &blanks, &cell);
		any |= *cell.text;
	}
	fputs(any ? "\n" : "", out);
}

/* ---- to a page ---- */

void table_put_heading(struct grid *g, int line, const struct table *t, const struct column *marked)
{
	int at = t->indent;

	for (size_t i = 0; i < t->count; i++) {
		const struct column *c = &t->columns[i];

		if (c->shown == HIDDEN)
			continue;
		grid_put(g, line, at, c->shown, c->align,
			 c == marked ? ATTRIBUTE_REVERSE : ATTRIBUTE_BOLD, c->title);
		at += c->shown + 1;
	}
}

void table_put_line(struct grid *g, int line, const struct table *t, const void *row,
		    enum attribute attribute)
{
	int at = t->indent;
	struct cell cell;

	for (size_t i = 0; i < t->count && line >= 0; i++) {
		const struct column *c = &t->columns[i];

		if (c->shown == HIDDEN)
			continue;
		cell_write(&cell, t, c, row);
		cell.attribute = attribute ? attribute : cell.attribute;
		if (c->width == WIDTH_REST && !*cell.text)
			grid_bar(g, line, at, c->shown, cell.attribute, cell.bar);
		else
			grid_put(g, line, at, c->shown, c->align, cell.attribute, cell.text);
		at += c->shown + 1;
	}
}

/* ---- parts of lines ---- */

int text_longest(const struct text_style *style)
{
	return style->width ? style->width : style->longest ? style->longest : INT_MAX;
}

/* How many bytes there are up to the next space at which the line may be broken. */
static size_t unbroken(const char *words, enum text_break at)
{
	size_t length = strcspn(words, " ");

	while (at == TEXT_BREAK_CLAUSES && words[length] && !strchr(",;:", words[length - 1]))
		length += 1 + strcspn(words + length + 1, " ");
	return length;
}

void text_wrapped(FILE *out, const char *words, int column, int indent, enum text_break at,
		  const struct text_style *style)
{
	const int width = text_longest(style);
	bool fresh = true; /* this line has nothing yet after which it could be broken */

	while (*words) {
		const size_t spaces = strspn(words, " "), length = unbroken(words + spaces, at);
		char word[512];

		snprintf(word, sizeof(word), "%.*s", (int)length, words + spaces);
		if (!fresh && column + (int)spaces + text_width(word) > width) {
			fprintf(out, "\n%*s", indent, "");
			column = indent;
		} else {
			fprintf(out, "%*s", (int)spaces, "");
			column += spaces;
		}
		fputs(word, out);
		column += text_width(word);
		fresh = false;
		words += spaces + (length < sizeof(word) ? length : sizeof(word) - 1);
	}
}
