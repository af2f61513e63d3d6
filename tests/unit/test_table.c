/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one engine of all tables: which columns are shown, how wide, and what a line is, in text and
 * on a page. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../user/render/rows.h"
#include "../../user/render/table.h"

struct thing {
	const char *name, *note;
	int number;
	double share;
};

static const struct thing things[] = {
	{ "nginx 1", "", 1000, 1 },
	{ "näme", "(ended)", 7, 0.3 },
};
#define THINGS (sizeof(things) / sizeof(*things))

static void thing_name(struct cell *cell)
{
	strcpy(cell->text, ((const struct thing *)cell->row)->name);
}

static void thing_note(struct cell *cell)
{
	strcpy(cell->text, ((const struct thing *)cell->row)->note);
}

static void thing_number(struct cell *cell)
{
	sprintf(cell->text, "%d", ((const struct thing *)cell->row)->number);
	cell->attribute = ATTRIBUTE_RED;
}

static void thing_share(struct cell *cell)
{
	cell->bar = ((const struct thing *)cell->row)->share;
}

static const struct column all[] = {
	{ "", WIDTH_MEASURED, ALIGN_LEFT, .write = thing_name },
	{ "count", 6, ALIGN_RIGHT, .write = thing_number },
	{ "again", 6, ALIGN_RIGHT, .write = thing_number, .rank = 2 },
	{ "third", 6, ALIGN_RIGHT, .write = thing_number, .rank = 1, .needs = 1 },
	{ "", WIDTH_REST, ALIGN_LEFT, .write = thing_share },
	{ "", WIDTH_MEASURED, ALIGN_FLOW, .write = thing_note, .gap = 2 },
};
#define ALL (sizeof(all) / sizeof(*all))

/* The table as text; the caller frees it. */
static char *print(unsigned has, struct text_style style)
{
	struct column columns[ALL];
	struct table t = { .columns = columns,
			   .count = ALL,
			   .has = has,
			   .style = &style,
			   .room = text_longest(&style),
			   .indent = 2 };
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	memcpy(columns, all, sizeof(all));
	table_fit(&t, things, THINGS, sizeof(*things));
	table_heading(out, &t);
	for (size_t i = 0; i < THINGS; i++)
		table_line(out, &t, &things[i]);
	fclose(out);
	return text;
}

static void expect(char *text, const char *wanted)
{
	assert_string_equal(text, wanted);
	free(text);
}

static void columns_that_need_what_is_not_there_are_not_shown(void **state)
{
	(void)state;
	expect(print(0, (struct text_style){ .utf8 = true, .width = 50 }),
	       "           count  again\n"
	       "  nginx 1   1000   1000  ████████████████\n"
	       "  näme         7      7  ████▊  (ended)\n");
	expect(print(1, (struct text_style){ .utf8 = true, .width = 50 }),
	       "           count  again  third\n"
	       "  nginx 1   1000   1000   1000  █████████\n"
	       "  näme         7      7      7  ██▊  (ended)\n");
}

static void where_the_room_does_not_suffice_the_highest_rank_goes_first(void **state)
{
	(void)state;
	expect(print(1, (struct text_style){ .width = 32 }), "           count  third\n"
							     "  nginx 1   1000   1000\n"
							     "  näme         7      7  (ended)\n");
	expect(print(1, (struct text_style){ .width = 31 }), "           count\n"
							     "  nginx 1   1000  ####\n"
							     "  näme         7  #  (ended)\n");
	/* What has no rank stays. */
	expect(print(1, (struct text_style){ .width = 8 }), "           count\n"
							    "  nginx 1   1000\n"
							    "  näme         7  (ended)\n");
}

static void only_headings_have_colours(void **state)
{
	const struct text_style style = { .colour = true, .width = 31 };

	(void)state;
	expect(print(0, style), "  \033[1m         count\033[0m\n"
				"  nginx 1   1000  ####\n"
				"  näme         7  #  (ended)\n");
}

static void a_figure_is_never_cut_nor_joined_to_the_next(void **state)
{
	static const struct thing large = { "a", "", 123456789, 0 };
	struct column columns[3] = { all[0], all[1], all[2] };
	const struct text_style style = {};
	struct table t = {
		.columns = columns, .count = 3, .style = &style, .room = 80, .indent = 0
	};
	char text[80] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");

	(void)state;
	table_fit(&t, &large, 1, sizeof(large));
	table_line(out, &t, &large);
	fclose(out);
	assert_string_equal(text, "a 123456789 123456789\n");
}

static void a_row_of_which_nothing_is_said_is_no_line(void **state)
{
	static const struct thing empty = { "", "", 0, 0 };
	struct column columns[1] = { all[0] };
	const struct text_style style = {};
	struct table t = { .columns = columns, .count = 1, .style = &style, .room = 80 };
	char text[80] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");

	(void)state;
	columns[0].least = 5;
	table_fit(&t, &empty, 1, sizeof(empty));
	assert_int_equal(columns[0].shown, 5);
	table_line(out, &t, &empty);
	fclose(out);
	assert_string_equal(text, "");
}

/* A column that needs something is there from its own width of page on, and makes the page narrower
 * for those that are always there. */
static void a_page_of_some_width_has_its_columns(void **state)
{
	static const struct column of_page[] = {
		{ "name", 8, ALIGN_LEFT, .write = thing_name },
		{ "wide", 6, ALIGN_RIGHT, .write = thing_number, .from = 30 },
		{ "asked", 6, ALIGN_RIGHT, .write = thing_number, .from = 20, .needs = 1 },
		{ "", WIDTH_REST, ALIGN_LEFT, .write = thing_share },
	};
	struct column columns[4];
	struct table t = { .columns = columns, .count = 4, .room = 36 };

	(void)state;
	for (unsigned has = 0; has < 2; has++) {
		t.has = has;
		memcpy(columns, of_page, sizeof(of_page));
		table_fit(&t, NULL, 0, 0);
		assert_int_equal(columns[1].shown, has ? HIDDEN : 6);
		assert_int_equal(columns[2].shown, has ? 6 : HIDDEN);
		assert_int_equal(columns[3].shown, 36 - 9 - 7);
		assert_int_equal(table_shows(&t, thing_number), !has);
	}
}

static void a_line_of_a_page(void **state)
{
	struct column columns[3] = { all[1], all[0], all[4] };
	struct table t = { .columns = columns, .count = 3, .room = 22 };
	enum attribute attribute;
	struct grid g;
	char text[4 * 22 + 1];

	(void)state;
	columns[1].width = 6;
	assert_int_equal(grid_init(&g, 2, 22, true), 0);
	table_fit(&t, NULL, 0, 0);
	table_put_heading(&g, 0, &t, &columns[0]);
	table_put_line(&g, 1, &t, &things[0], ATTRIBUTE_NORMAL);
	assert_int_equal(grid_run(&g, 0, 1, text, &attribute), 5);
	assert_int_equal(attribute, ATTRIBUTE_REVERSE);
	assert_int_equal(grid_run(&g, 1, 2, text, &attribute), 4);
	assert_int_equal(attribute, ATTRIBUTE_RED);
	assert_int_equal(grid_run(&g, 1, 6, text, &attribute), 16);
	assert_string_equal(text, " nginx… ████████");
	table_put_line(&g, 1, &t, &things[0], ATTRIBUTE_DIM);
	grid_run(&g, 1, 2, text, &attribute);
	assert_int_equal(attribute, ATTRIBUTE_DIM);
	grid_free(&g);
}

static void a_bar_has_eighths(void **state)
{
	char bar[3 * 10 + 1];

	(void)state;
	assert_string_equal(bar_text(bar, 0.25, 10, true), "██▌");
	assert_string_equal(bar_text(bar, 0.25, 10, false), "###");
	assert_string_equal(bar_text(bar, 0.0125, 10, true), "▏");
	assert_string_equal(bar_text(bar, 0.0125, 10, false), "");
	assert_string_equal(bar_text(bar, 2, 3, true), "███");
	assert_string_equal(bar_text(bar, 0.0 / 0.0, 3, true), "");
}

static void a_rate_is_never_0_for_something(void **state)
{
	char text[TEXT_COUNT_SIZE];

	(void)state;
	assert_string_equal(rate_text(text, WIDTH_WHOLE, 1, 100), "<0.1");
	assert_string_equal(rate_text(text, WIDTH_WHOLE, 0, 100), "0");
	assert_string_equal(rate_text(text, WIDTH_WHOLE, 5, 0), "-");
	assert_string_equal(rate_text(text, WIDTH_WHOLE, 19, 2), "9.5");
	assert_string_equal(rate_text(text, WIDTH_WHOLE, 2469, 2), "1,235");
	assert_string_equal(rate_text(text, 4, 246900, 2), "123k");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_that_need_what_is_not_there_are_not_shown),
		cmocka_unit_test(where_the_room_does_not_suffice_the_highest_rank_goes_first),
		cmocka_unit_test(only_headings_have_colours),
		cmocka_unit_test(a_figure_is_never_cut_nor_joined_to_the_next),
		cmocka_unit_test(a_row_of_which_nothing_is_said_is_no_line),
		cmocka_unit_test(a_page_of_some_width_has_its_columns),
		cmocka_unit_test(a_line_of_a_page),
		cmocka_unit_test(a_bar_has_eighths),
		cmocka_unit_test(a_rate_is_never_0_for_something),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
