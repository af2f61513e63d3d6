/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Results side by side. Of saved files:
 *
 *   A  before.json
 *   B  after.json
 *
 *   reuseport: 8 workers (threads), 2 at once; kernel 6.18.44, backend tracepoint
 *                             A              B
 *     runs                    5              5
 *     workers              even  uneven in 3/5
 *     per second    10,955 ±2%*     9,800 ±3%!    -11%
 *     workers CV    0.019 ±12%*    0.453 ±10%!  +0.434
 *       fair hash         0.019          0.019
 *     wait p99        200 us ±9%    210 us ±11% (+5.0%)
 *
 *   B is held against A; in brackets: no more than noise gives (p >= 0.01); ?: not tested
 *   *: best, !: worst, told from each other side; (*), (!): not tested
 *
 * Where the sides do not fit beside each other each is a row, with the differences below it. And at
 * the end of `run A B C`, which has nothing in files yet (with --repeat without the column p):
 *
 *   mode            workers      CV fair hash  busiest      idle       p  ... per second  counts
 *   shared-accept   even      0.011     0.019    1.02x    0 of 8   0.980  ...    31,200*  agree
 */
#include "text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../model/noise.h"
#include "memory.h"
#include "text_parts.h"

#define GAP 2 /* columns between cells */
#define VALUE_SIZE 48
#define NAME_SIZE 1024
#define LETTER_SIZE 24

/* ---- cells ---- */

/* "A" ... "Z", "#27" */
static char *side_letter(char *buffer, size_t size, size_t side)
{
	if (side < 26)
		snprintf(buffer, size, "%c", (char)('A' + side));
	else
		snprintf(buffer, size, "#%zu", side + 1);
	return buffer;
}

/* "0.25%", "12%", "100%"; with `sign` "+12%" */
static void share_text(char *buffer, double share, bool sign)
{
	const double percent = share * 100;
	const bool whole = fabs(percent) >= 99.5; /* %.2g would say 1e+02 */

	snprintf(buffer, VALUE_SIZE,
		 sign ? (whole ? "%+.0f%%" : "%+.2g%%") : (whole ? "%.0f%%" : "%.2g%%"), percent);
}

static void plain_value(char *buffer, enum metric_unit unit, double value)
{
	switch (unit) {
	case METRIC_COUNTS:
	case METRIC_PER_SECOND:
		if (value < 100 && value != floor(value))
			snprintf(buffer, VALUE_SIZE, "%.1f", value);
		else
			text_count(buffer, (uint64_t)(value + 0.5));
		break;
	case METRIC_SECOND:
	case METRIC_NS: text_duration(buffer, unit == METRIC_NS ? value : value * 1e9); break;
	case METRIC_RATIO: snprintf(buffer, VALUE_SIZE, "%.3f", value); break;
	case METRIC_SHARE: share_text(buffer, value, false); break;
	case METRIC_TIMES: snprintf(buffer, VALUE_SIZE, "%.2fx", value); break;
	}
}

/* Appends " ±12%": the standard deviation of the runs. */
static void add_noise(char *buffer, const struct comparison_stat *s, bool utf8)
{
	const double percent = s->sd / s->mean * 100;
	const size_t used = strlen(buffer);

	if (s->runs > 1 && s->mean > 0)
		snprintf(buffer + used, VALUE_SIZE - used,
			 percent > 0 && percent < 0.95 ? " %s%.1f%%" : " %s%.0f%%",
			 utf8 ? "±" : "+-", percent);
}

/* Returns "*", "(!)", or "" for no mark. */
static const char *mark_text(const struct comparison_stat *s)
{
	static const char *const marks[][2] = { [MARK_NONE] = { "", "" },
						[MARK_BEST] = { "(*)", "*" },
						[MARK_WORST] = { "(!)", "!" } };

	return marks[s->mark][s->mark_tested];
}

static void value_cell(char *buffer, size_t metric, const struct comparison_stat *s,
		       const struct text_style *style)
{
	plain_value(buffer, metrics[metric].unit, s->mean);
	if (metrics[metric].tested)
		add_noise(buffer, s, style->utf8);
	strcat(buffer, mark_text(s));
}

static void plain_difference(char *buffer, enum metric_unit unit, const struct comparison_stat *s)
{
	const double base = s->mean - s->difference, percent = s->difference / base * 100;

	if (s->difference == 0)
		strcpy(buffer, "=");
	else if (unit == METRIC_RATIO || unit == METRIC_TIMES)
		snprintf(buffer, VALUE_SIZE, unit == METRIC_RATIO ? "%+.3f" : "%+.2fx",
			 s->difference);
	else if (unit == METRIC_SHARE)
		share_text(buffer, s->difference, true);
	else if (base <= 0 && unit == METRIC_COUNTS)
		snprintf(buffer, VALUE_SIZE, "%+.4g", s->difference);
	else if (base <= 0)
		strcpy(buffer, "from 0");
	else if (percent >= 1000)
		snprintf(buffer, VALUE_SIZE, "%.0f times", s->mean / base);
	else
		snprintf(buffer, VALUE_SIZE, fabs(percent) < 9.95 ? "%+.1f%%" : "%+.0f%%", percent);
}

/* Writes "+12%"; "(+12%)" if the difference is no more than noise; "+12%?" if it was not tested; ""
 * if there is nothing to compare with. */
static void difference_cell(char *buffer, size_t metric, const struct comparison_stat *s)
{
	char plain[VALUE_SIZE];

	*buffer = '\0';
	if (isnan(s->difference) || !metrics[metric].tested || !s->comparable)
		return;
	plain_difference(plain, metrics[metric].unit, s);
	if (s->difference == 0)
		strcpy(buffer, plain);
	else if (s->told == TOLD_NOISE)
		snprintf(buffer, VALUE_SIZE, "(%.40s)", plain);
	else
		snprintf(buffer, VALUE_SIZE, "%.40s%s", plain, s->told == TOLD_UNTESTED ? "?" : "");
}

/* Writes "even", "uneven in 3/5", "mixed"; "-" if there is nothing to judge. */
static void verdict_text(char *buffer, const struct comparison_result *r, enum share share)
{
	size_t uneven = 0, alike = 0, runs = 0;
	enum verdict first = VERDICT_NOT_APPLICABLE;

	for (size_t i = 0; i < r->run_count; i++) {
		const enum verdict verdict = r->runs[i].verdicts[share];

		if (!comparison_has_traffic(&r->runs[i]))
			continue;
		first = runs++ ? first : verdict;
		uneven += verdict == VERDICT_UNEVEN;
		alike += verdict == first;
	}
	if (alike == runs && first == VERDICT_NOT_APPLICABLE)
		strcpy(buffer, "-");
	else if (alike == runs)
		strcpy(buffer, verdict_name(first));
	else if (uneven)
		snprintf(buffer, VALUE_SIZE, "uneven in %zu/%zu", uneven, runs);
	else
		strcpy(buffer, "mixed");
}

/* ---- figures: what a subject's table shows for each side ---- */

enum figure_kind { FIGURE_RUNS, FIGURE_VERDICT, FIGURE_METRIC };
struct figure {
	enum figure_kind kind;
	int which; /* for FIGURE_VERDICT the share, for FIGURE_METRIC the metric */
};
#define FIGURES_MAX (1 + SHARE_COUNT + METRIC_COUNT)

/* The most important figure comes first. Where sides are rows, the figures that do not fit are left
 * out from the end. */
static const struct figure wide_figures[] = {
	{ FIGURE_RUNS, 0 },
	{ FIGURE_VERDICT, SHARE_WORKERS },
	{ FIGURE_METRIC, METRIC_CV },
	{ FIGURE_METRIC, METRIC_WAIT_P99 },
	{ FIGURE_METRIC, METRIC_RATE },
	{ FIGURE_VERDICT, SHARE_SOCKETS },
	{ FIGURE_METRIC, METRIC_DROPS },
	{ FIGURE_METRIC, METRIC_DROP_SHARE },
	{ FIGURE_METRIC, METRIC_WAIT_P50 },
	{ FIGURE_METRIC, METRIC_WAIT_MAX },
};

static const char *figure_label(const struct figure *figure)
{
	static const char *const verdicts[] = {
		[SHARE_WORKERS] = "workers", [SHARE_SOCKETS] = "sockets", [SHARE_SERVED] = "served"
	};

	return figure->kind == FIGURE_RUNS      ? "runs"
	       : figure->kind == FIGURE_VERDICT ? verdicts[figure->which]
						: metrics[figure->which].label;
}

static const struct comparison_stat *stat_of(const struct comparison_subject *subject, size_t side,
					     size_t metric)
{
	const struct comparison_stat *s =
		subject->cells[side] ? &subject->cells[side]->stats[metric] : NULL;

	return s && s->runs ? s : NULL;
}

/* Is the metric known for some side? nonzero: it also must not be 0 for all sides. */
static bool is_known(const struct comparison *c, const struct comparison_subject *subject,
		     size_t metric, bool nonzero)
{
	for (size_t i = 0; i < c->side_count; i++) {
		const struct comparison_stat *s = stat_of(subject, i, metric);

		if (s && (!nonzero || s->mean > 0))
			return true;
	}
	return false;
}

/* Does every worker serve what it accepted, in all runs? Then the figures of serving say nothing
 * new. */
static bool serves_alike(const struct comparison *c, const struct comparison_subject *subject)
{
	const size_t workers = metric_of_share(SHARE_WORKERS, SHARE_CV),
		     served = metric_of_share(SHARE_SERVED, SHARE_CV);

	for (size_t i = 0; i < c->side_count; i++) {
		const struct comparison_result *r = subject->cells[i];

		for (size_t k = 0; r && k < r->run_count; k++) {
			const double a = r->runs[k].figures[workers],
				     b = r->runs[k].figures[served];

			if (!isnan(b) && !(fabs(a - b) < 1e-6))
				return false;
		}
	}
	return true;
}

static bool figure_is_wanted(const struct comparison *c, const struct comparison_subject *subject,
			     const struct figure *figure)
{
	const int share = figure->kind == FIGURE_VERDICT
				  ? figure->which
				  : (figure->which - METRIC_SHARES) / SHARE_FIGURES;
	const bool of_share = figure->kind == FIGURE_VERDICT ||
			      (figure->kind == FIGURE_METRIC && figure->which >= METRIC_SHARES &&
			       figure->which < METRIC_WAIT_COUNT);

	if (of_share && share == SHARE_SERVED && serves_alike(c, subject))
		return false;
	if (of_share && !is_known(c, subject, metric_of_share(share, SHARE_CV), false))
		return false;
	if (figure->kind != FIGURE_METRIC)
		return true;
	return is_known(c, subject, figure->which,
			figure->which == METRIC_LOST || figure->which == METRIC_OPEN ||
				figure->which == METRIC_DROP_SHARE);
}

static size_t tall_figures(const struct comparison *c, const struct comparison_subject *subject,
			   struct figure *figures)
{
	size_t count = 0;

	figures[count++] = (struct figure){ FIGURE_RUNS, 0 };
	for (int share = 0; share < SHARE_COUNT; share++) {
		figures[count] = (struct figure){ FIGURE_VERDICT, share };
		count += figure_is_wanted(c, subject, &figures[count]);
	}
	for (int metric = 0; metric < METRIC_COUNT; metric++) {
		figures[count] = (struct figure){ FIGURE_METRIC, metric };
		count += metrics[metric].shown && figure_is_wanted(c, subject, &figures[count]);
	}
	return count;
}

/* A side's figure, and how it differs from that of the first side. */
struct held {
	char value[VALUE_SIZE], difference[VALUE_SIZE];
};

static void idle_cell(char *buffer, const struct comparison_subject *subject, size_t side,
		      size_t metric)
{
	const struct comparison_stat *bins =
		stat_of(subject, side, metric - SHARE_IDLE + SHARE_BINS);
	const size_t used = strlen(buffer);

	if (bins)
		snprintf(buffer + used, VALUE_SIZE - used, " of %.4g", bins->mean);
}

/* Were no bins compared? "0 of 1 idle" would then claim something. */
static bool is_of_nothing(const struct comparison_subject *subject, size_t side, size_t metric)
{
	const size_t share = (metric - METRIC_SHARES) / SHARE_FIGURES;

	return metric >= METRIC_SHARES && metric < METRIC_WAIT_COUNT &&
	       !stat_of(subject, side, metric_of_share(share, SHARE_CV));
}

static void held_fill(struct held *held, const struct comparison_subject *subject, size_t side,
		      const struct figure *figure, const struct text_style *style)
{
	const struct comparison_result *r = subject->cells[side];
	const struct comparison_stat *s;

	*held = (struct held){ .value = "-" };
	if (!r)
		return;
	if (figure->kind == FIGURE_RUNS && !r->run_count)
		strcpy(held->value, "not run");
	else if (figure->kind == FIGURE_RUNS && r->with_traffic < r->run_count)
		snprintf(held->value, VALUE_SIZE, "%zu of %zu", r->with_traffic, r->run_count);
	else if (figure->kind == FIGURE_RUNS)
		snprintf(held->value, VALUE_SIZE, "%zu", r->run_count);
	else if (figure->kind == FIGURE_VERDICT)
		verdict_text(held->value, r, figure->which);
	if (figure->kind != FIGURE_METRIC || !(s = stat_of(subject, side, figure->which)) ||
	    is_of_nothing(subject, side, figure->which))
		return;
	if (figure->which >= METRIC_SHARES && figure->which < METRIC_WAIT_COUNT &&
	    (figure->which - METRIC_SHARES) % SHARE_FIGURES == SHARE_IDLE) {
		plain_value(held->value, METRIC_COUNTS, s->mean);
		idle_cell(held->value, subject, side, figure->which);
	} else {
		value_cell(held->value, figure->which, s, style);
	}
	difference_cell(held->difference, figure->which, s);
}

/* ---- the table of a subject ---- */

/* What the cells of a subject's table need beside their row. */
struct beside {
	const struct comparison *c;
	const struct comparison_subject *subject;
	struct figure figures[FIGURES_MAX];
	size_t figure_count;
};

/* The table with sides beside each other: a row is a figure, and each side has two columns, whose
 * `field` is the side. */
static struct held held_of_side(const struct cell *cell)
{
	const struct beside *b = cell->table->of;
	struct held held;

	held_fill(&held, b->subject, cell->column->field, cell->row, cell->table->style);
	return held;
}

static void cell_label(struct cell *cell)
{
	strcpy(cell->text, figure_label(cell->row));
}

static void cell_value(struct cell *cell)
{
	strcpy(cell->text, held_of_side(cell).value);
}

static void cell_difference(struct cell *cell)
{
	strcpy(cell->text, held_of_side(cell).difference);
}

/* Prints the table with sides beside each other. Returns false, and prints nothing, if it is too
 * wide. */
static bool tall_table(FILE *out, const struct beside *b, const struct text_style *style, int room)
{
	const size_t sides = b->c->side_count;
	struct column *columns = render_needs(calloc(1 + 2 * sides, sizeof(*columns)));
	char(*letters)[LETTER_SIZE] = render_needs(calloc(sides, sizeof(*letters)));
	struct table t = { .columns = columns,
			   .count = 1 + 2 * sides,
			   .of = b,
			   .style = style,
			   .room = room,
			   .indent = 2 };
	bool fits = true;

	if (!columns || !letters)
		goto out;
	columns[0] = (struct column){ "", WIDTH_MEASURED, ALIGN_LEFT, .write = cell_label };
	for (size_t k = 0; k < sides; k++) {
		columns[1 + 2 * k] = (struct column){ side_letter(letters[k], LETTER_SIZE, k),
						      WIDTH_MEASURED,
						      ALIGN_RIGHT,
						      cell_value,
						      k,
						      .gap = GAP };
		columns[2 + 2 * k] = (struct column){ "", WIDTH_MEASURED, ALIGN_RIGHT,
						      .write = cell_difference, .field = k };
	}
	table_fit(&t, b->figures, b->figure_count, sizeof(*b->figures));
	fits = t.used <= room || sides == 1;
	if (fits && sides > 1)
		table_heading(out, &t);
	for (size_t i = 0; fits && i < b->figure_count; i++)
		table_line(out, &t, &b->figures[i]);
out:
	free(columns);
	free(letters);
	return fits;
}

/* The table with sides below each other: each side has two rows, its figures and below them the
 * differences. A column is a figure, and its `field` is the figure's place. */
struct side_row {
	size_t side;
	bool differences;
};

static void cell_letter(struct cell *cell)
{
	const struct side_row *row = cell->row;

	if (!row->differences)
		side_letter(cell->text, CELL_SIZE, row->side);
}

static void cell_figure(struct cell *cell)
{
	const struct beside *b = cell->table->of;
	const struct side_row *row = cell->row;
	struct held held;

	held_fill(&held, b->subject, row->side, &b->figures[cell->column->field],
		  cell->table->style);
	strcpy(cell->text, row->differences ? held.difference : held.value);
}

static void wide_table(FILE *out, const struct beside *b, const struct text_style *style, int room)
{
	struct column columns[1 + FIGURES_MAX] = {
		{ "", 3, ALIGN_LEFT, .write = cell_letter },
	};
	struct side_row *rows = render_needs(calloc(2 * b->c->side_count, sizeof(*rows)));
	struct table t = { .columns = columns,
			   .count = 1 + b->figure_count,
			   .of = b,
			   .style = style,
			   .room = room,
			   .indent = 2 };

	if (!rows)
		return;
	for (size_t i = 0; i < b->figure_count; i++)
		columns[1 + i] = (struct column){ figure_label(&b->figures[i]),
						  WIDTH_MEASURED,
						  ALIGN_RIGHT,
						  cell_figure,
						  i,
						  .gap = GAP,
						  .rank = (int)i + 1 };
	for (size_t i = 0; i < 2 * b->c->side_count; i++)
		rows[i] = (struct side_row){ i / 2, i % 2 };
	table_fit(&t, rows, 2 * b->c->side_count, sizeof(*rows));
	table_heading(out, &t);
	for (size_t i = 0; i < 2 * b->c->side_count; i++)
		table_line(out, &t, &rows[i]);
	free(rows);
}

/* ---- a subject ---- */

/* "reuseport", "tcp 0.0.0.0:80" */
static char *key_text(char *buffer, size_t size, const struct comparison_key *key, bool utf8)
{
	char mode[sizeof(key->mode) + 1], address[sizeof(key->address) + 1];
	const bool v6 = strchr(key->address, ':');

	text_name(mode, key->mode, sizeof(key->mode), utf8);
	text_name(address, key->address, sizeof(key->address), utf8);
	if (*mode)
		snprintf(buffer, size, "%s", mode);
	else
		snprintf(buffer, size, v6 ? "%s [%s]:%u" : "%s %s:%u",
			 key->protocol == PROTOCOL_UDP ? "udp" : "tcp", address, key->port);
	return buffer;
}

/* The result that names the subject: that of the first side that has one. */
static const struct comparison_result *first_result(const struct comparison *c,
						    const struct comparison_subject *subject)
{
	size_t i = 0;

	while (i + 1 < c->side_count && (!subject->cells[i] || !subject->cells[i]->run_count))
		i++;
	for (; !subject->cells[i]; i--)
		;
	return subject->cells[i];
}

static bool same_setup(const struct comparison *c, const struct comparison_subject *subject)
{
	const struct comparison_result *first = first_result(c, subject);

	for (size_t i = 0; i < c->side_count; i++)
		if (subject->cells[i] && subject->cells[i]->run_count &&
		    strcmp(subject->cells[i]->setup, first->setup))
			return false;
	return true;
}

static bool same_key_text(const struct comparison *c, const struct comparison_subject *subject)
{
	const struct comparison_key *first = &first_result(c, subject)->key;

	for (size_t i = 0; i < c->side_count; i++) {
		const struct comparison_key *key =
			subject->cells[i] ? &subject->cells[i]->key : first;

		if (strcmp(key->mode, first->mode) ||
		    (!*first->mode && strcmp(key->address, first->address)))
			return false;
	}
	return subject->alike;
}

static void line(FILE *out, const char *words, const struct text_style *style)
{
	text_wrapped(out, words, 0, 4, TEXT_BREAK_WORDS, style);
	fputc('\n', out);
}

/* Is the subject the modes of one file? The names of the sides then say what each side is. */
static bool keys_are_names(const struct comparison *c, const struct comparison_subject *subject)
{
	for (size_t i = 0; i < c->side_count; i++)
		if (!subject->cells[i] || strcmp(subject->cells[i]->key.mode, c->sides[i].name))
			return false;
	return true;
}

/* Writes "reuseport: 8 workers (threads), ...", leaving out what was said for all sides. */
static void side_words(char *words, size_t size, const struct comparison_result *r, bool one_key,
		       bool one_setup, bool utf8)
{
	char key[160], setup[sizeof(r->setup) + 1];

	key_text(key, sizeof(key), &r->key, utf8);
	text_name(setup, r->setup, sizeof(r->setup), utf8);
	snprintf(words, size, "%s%s%s", one_key ? "" : key,
		 !one_key && !one_setup && *setup ? ": " : "", one_setup ? "" : setup);
}

/* Prints one line for this side and for all later sides with the same words. Prints nothing if an
 * earlier side had these words. */
static void side_heading(FILE *out, const struct comparison *c,
			 const struct comparison_subject *subject, size_t side, bool one_key,
			 bool one_setup, const struct text_style *style)
{
	char words[512], other[512], *text = NULL, letter[24];
	size_t size;
	FILE *memory;

	side_words(words, sizeof(words), subject->cells[side], one_key, one_setup, style->utf8);
	for (size_t i = 0; i < side; i++) {
		if (!subject->cells[i])
			continue;
		side_words(other, sizeof(other), subject->cells[i], one_key, one_setup,
			   style->utf8);
		if (!strcmp(other, words))
			return;
	}
	memory = words_open(&text, &size);
	if (!memory)
		return;
	fprintf(memory, "  %s", side_letter(letter, sizeof(letter), side));
	for (size_t i = side + 1; i < c->side_count; i++) {
		if (!subject->cells[i])
			continue;
		side_words(other, sizeof(other), subject->cells[i], one_key, one_setup,
			   style->utf8);
		if (!strcmp(other, words))
			fprintf(memory, ", %s", side_letter(letter, sizeof(letter), i));
	}
	fprintf(memory, ": %s", words);
	if (words_close(memory, &text) && *words)
		line(out, text, style);
	free(text);
}

/* Says what the sides are: once if it is the same for all, or else one line for each group of
 * sides. */
static void subject_heading(FILE *out, const struct comparison *c,
			    const struct comparison_subject *subject,
			    const struct text_style *style)
{
	const bool named = keys_are_names(c, subject), one_key = named || same_key_text(c, subject),
		   one_setup = same_setup(c, subject);
	const struct comparison_result *first = first_result(c, subject);
	char key[160], setup[sizeof(first->setup) + 1], words[512];

	key_text(key, sizeof(key), &first->key, style->utf8);
	text_name(setup, first->setup, sizeof(first->setup), style->utf8);
	snprintf(words, sizeof(words), "%s%s%s", one_key && !named ? key : "",
		 one_key && !named && one_setup && *setup ? ": " : "", one_setup ? setup : "");
	if (*words)
		line(out, words, style);
	for (size_t i = 0; i < c->side_count && !(one_key && one_setup); i++)
		if (subject->cells[i])
			side_heading(out, c, subject, i, one_key, one_setup, style);
}

/* Says in which windows nothing came. */
static void traffic_note(FILE *out, const struct comparison_result *r, const char *letter,
			 const struct text_style *style)
{
	const char *what = *r->key.mode ? "run" : "window", *many = r->run_count == 1 ? "" : "s";
	char words[160];

	if (r->with_traffic == r->run_count)
		return;
	if (r->with_traffic)
		snprintf(words, sizeof(words), "  %s: %zu of %zu %s%s had any traffic; %s left out",
			 letter, r->with_traffic, r->run_count, what, many,
			 r->run_count - r->with_traffic == 1 ? "the other is" : "the others are");
	else
		snprintf(words, sizeof(words),
			 "  %s: no traffic in its %zu %s%s: nothing to compare", letter,
			 r->run_count, what, many);
	line(out, words, style);
}

static void subject_notes(FILE *out, const struct comparison *c,
			  const struct comparison_subject *subject, const struct text_style *style)
{
	char letter[24], words[512], name[sizeof(subject->cells[0]->skipped) + 1];

	for (size_t i = 0; i < c->side_count; i++) {
		const struct comparison_result *r = subject->cells[i];
		const struct comparison_stat *lost = stat_of(subject, i, METRIC_LOST);
		size_t disagree = 0;

		side_letter(letter, sizeof(letter), i);
		for (size_t k = 0; r && k < r->run_count; k++)
			disagree += r->runs[k].disagrees;
		*words = '\0';
		if (!r)
			snprintf(words, sizeof(words), "  %s has none", letter);
		else if (!r->run_count)
			snprintf(words, sizeof(words), "  %s not run: %s", letter,
				 text_name(name, r->skipped, sizeof(r->skipped), style->utf8));
		else if (disagree)
			snprintf(words, sizeof(words),
				 "  %s: kernel, server and clients did not count the same in %zu "
				 "of %zu run%s",
				 letter, disagree, r->run_count, r->run_count == 1 ? "" : "s");
		if (*words)
			line(out, words, style);
		if (r && r->run_count)
			traffic_note(out, r, letter, style);
		if (lost && lost->mean > 0)
			fprintf(out,
				"  %s: some events were not counted: its counts are at least so "
				"high\n",
				letter);
	}
}

static void subject_show(FILE *out, const struct comparison *c,
			 const struct comparison_subject *subject, const struct text_style *style)
{
	const int room = text_bar_room(style);
	struct beside b = { .c = c, .subject = subject };

	b.figure_count = tall_figures(c, subject, b.figures);
	subject_heading(out, c, subject, style);
	if (!tall_table(out, &b, style, room)) {
		b.figure_count = 0;
		for (size_t i = 0; i < sizeof(wide_figures) / sizeof(*wide_figures); i++)
			if (figure_is_wanted(c, subject, &wide_figures[i]))
				b.figures[b.figure_count++] = wide_figures[i];
		wide_table(out, &b, style, room);
	}
	subject_notes(out, c, subject, style);
	fputc('\n', out);
}

/* ---- the legend: explains only what was used ---- */

struct used {
	bool difference, noise, untested, unlike, tested_mark, untested_mark, sd;
};

static void look_what_is_used(const struct comparison *c, struct used *used)
{
	for (size_t s = 0; s < c->subject_count; s++)
		for (size_t i = 0; i < c->side_count; i++)
			for (size_t m = 0; m < METRIC_COUNT; m++) {
				const struct comparison_stat *stat = stat_of(&c->subjects[s], i, m);

				if (!stat || !metrics[m].tested)
					continue;
				used->sd |= stat->runs > 1;
				used->difference |= !isnan(stat->difference);
				used->noise |= stat->told == TOLD_NOISE && stat->difference != 0;
				used->unlike |= !stat->comparable && metrics[m].shown &&
						!isnan(stat->difference);
				used->untested |= stat->comparable && stat->told == TOLD_UNTESTED &&
						  !isnan(stat->difference) && stat->difference != 0;
				used->tested_mark |= stat->mark && stat->mark_tested;
				used->untested_mark |= stat->mark && !stat->mark_tested;
			}
}

static void legend(FILE *out, const struct comparison *c, const struct text_style *style)
{
	struct used used = {};
	char words[400];

	look_what_is_used(c, &used);
	if (used.difference) {
		snprintf(words, sizeof(words), "Differences are to A%s.",
			 used.noise ? "; in brackets: no more than noise gives (p >= 0.01)" : "");
		line(out, words, style);
	}
	if (used.untested) {
		snprintf(words, sizeof(words),
			 "?: not tested against noise, for which each side needs %zu runs: run "
			 "--repeat %zu, or %zu windows in one file.",
			 noise_runs_needed(), noise_runs_needed(), noise_runs_needed());
		line(out, words, style);
	}
	if (used.unlike)
		line(out,
		     "No difference of longest wait, highest queue, busiest and idle: they depend "
		     "on the number of events, and that is not the same.",
		     style);
	if (used.tested_mark)
		line(out, "*: best, !: worst, told from each other side beyond noise.", style);
	if (used.untested_mark)
		line(out, "(*): best, (!): worst, which may be noise.", style);
	if (used.sd) {
		snprintf(words, sizeof(words), "%s: standard deviation of the runs.",
			 style->utf8 ? "±" : "+-");
		line(out, words, style);
	}
}

/* Did nothing come to the subject on any side, and was nothing dropped? */
static bool is_quiet(const struct comparison *c, const struct comparison_subject *subject)
{
	for (size_t i = 0; i < c->side_count; i++)
		if (subject->cells[i] && *subject->cells[i]->skipped)
			return false;
	return !is_known(c, subject, METRIC_EVENTS, true) &&
	       !is_known(c, subject, METRIC_DROPS, true);
}

/* Prints one line for all ports without traffic, since a machine has many: "No traffic on any side:
 * tcp 0.0.0.0:22 (only A), udp ..." */
static void quiet_line(FILE *out, const struct comparison *c, const struct text_style *style)
{
	size_t said = 0, size;
	char *words = NULL, key[160], letter[24];
	FILE *memory = words_open(&words, &size);

	if (!memory)
		return;
	for (size_t i = 0; i < c->subject_count; i++) {
		size_t with = 0, last = 0;

		if (!is_quiet(c, &c->subjects[i]))
			continue;
		for (size_t k = 0; k < c->side_count; k++) {
			with += c->subjects[i].cells[k] != NULL;
			last = c->subjects[i].cells[k] ? k : last;
		}
		fprintf(memory, "%s%s", said++ ? ", " : "No traffic on any side: ",
			key_text(key, sizeof(key), &first_result(c, &c->subjects[i])->key,
				 style->utf8));
		if (with == 1 && c->side_count > 1)
			fprintf(memory, " (only %s)", side_letter(letter, sizeof(letter), last));
	}
	if (words_close(memory, &words) && said) {
		line(out, words, style);
		fputc('\n', out);
	}
	free(words);
}

void text_compare(FILE *out, const struct comparison *c, const struct text_style *style)
{
	char letter[24], name[NAME_SIZE + 1], count[TEXT_COUNT_SIZE];
	size_t quiet = 0;

	for (size_t i = 0; i < c->side_count; i++) {
		fprintf(out, "%s  %s\n", side_letter(letter, sizeof(letter), i),
			text_name(name, c->sides[i].name, NAME_SIZE, style->utf8));
		if (c->sides[i].left_out)
			fprintf(out,
				"   without %s of its ports, which the file leaves out (omitted): "
				"-P or --rows lists them\n",
				text_count(count, c->sides[i].left_out));
	}
	fputc('\n', out);
	for (size_t i = 0; i < c->subject_count; i++)
		quiet += is_quiet(c, &c->subjects[i]);
	for (size_t i = 0; i < c->subject_count; i++)
		if (quiet == c->subject_count || !is_quiet(c, &c->subjects[i]))
			subject_show(out, c, &c->subjects[i], style);
	if (quiet < c->subject_count)
		quiet_line(out, c, style);
	legend(out, c, style);
}

/* ---- the table of `run` ---- */

/* What a row is about: the workers that take the work, or, if one hands it over, the workers that
 * serve. */
static const struct fairness *headline(const struct endpoint *e)
{
	return e->worker_fairness.verdict == VERDICT_NOT_APPLICABLE && e->served_known
		       ? &e->served_fairness
		       : &e->worker_fairness;
}

static void verdict_cell(FILE *out, enum verdict v, int width, const struct text_style *style)
{
	const char *name = v == VERDICT_NOT_APPLICABLE ? "-" : verdict_name(v);

	fprintf(out, "%s%-*s%s", text_paint(style, text_colour(verdict_attribute(v))), width, name,
		text_paint(style, TEXT_PLAIN));
}

/* The mark in a table where either all marks are tested or none: the legend says which. */
static char mark_char(const struct comparison_stat *s)
{
	return s->mark == MARK_BEST ? '*' : s->mark == MARK_WORST ? '!' : ' ';
}

/* Prints one run of each mode. */
static void single_row(FILE *out, const struct snapshot *s, const struct comparison_stat *stats,
		       bool waits, const struct text_style *style)
{
	const struct endpoint *e = &s->endpoints[0];
	const struct fairness *f = headline(e);
	char p[16], rate[TEXT_COUNT_SIZE], idle[24], wait[TEXT_DURATION_SIZE];

	text_p_value(p, f->p_value);
	verdict_cell(out, f->verdict, 13, style);
	snprintf(idle, sizeof(idle), "%zu of %zu", f->idle, f->bins);
	if (isnan(f->cv))
		fprintf(out, "%6s %9s %8s %9s", "-", "-", "-", idle);
	else
		fprintf(out, "%6.3f%c%9.3f %7.2fx %9s", f->cv, mark_char(&stats[METRIC_CV]),
			f->cv_expected, f->max_over_mean, idle);
	fprintf(out, " %7s  ", p);
	verdict_cell(out, e->socket_fairness.verdict, 10, style);
	text_count(rate, stats[METRIC_RATE].runs ? (uint64_t)stats[METRIC_RATE].mean : 0);
	if (waits)
		fprintf(out, " %8s%c%10s",
			text_duration(wait, stats[METRIC_WAIT_P99].runs
						    ? stats[METRIC_WAIT_P99].mean
						    : NAN),
			mark_char(&stats[METRIC_WAIT_P99]), rate);
	else
		fprintf(out, "%11s", rate);
	fprintf(out, "%c %s\n", mark_char(&stats[METRIC_RATE]),
		s->workload.agrees ? "agree" : "DO NOT AGREE");
}

/* "0.453 ±10%!"; "-" where it is not known */
static void noisy_cell(FILE *out, const struct comparison_stat *stats, size_t metric, int width,
		       const struct text_style *style)
{
	char cell[VALUE_SIZE] = "-";

	if (stats[metric].runs) {
		plain_value(cell, metrics[metric].unit, stats[metric].mean);
		if (metrics[metric].tested)
			add_noise(cell, &stats[metric], style->utf8);
	}
	text_right(out, width, cell);
	if (metrics[metric].better != BETTER_NEUTRAL)
		fputc(stats[metric].runs ? mark_char(&stats[metric]) : ' ', out);
}

/* Writes the verdict of one run or of several. */
static void verdicts_cell(FILE *out, const struct comparison_result *r, enum share share, int width,
			  const struct text_style *style)
{
	char text[VALUE_SIZE];

	verdict_text(text, r, share);
	fprintf(out, "%s%-*s%s",
		text_paint(style, strncmp(text, "uneven", 6) ? text_colour(verdict_attribute(
								       r->runs[0].verdicts[share]))
							     : TEXT_RED),
		width, text, text_paint(style, TEXT_PLAIN));
}

/* Prints several runs of each mode: the means, and how much the runs differ. */
static void repeated_row(FILE *out, const struct comparison_result *r, bool waits,
			 const struct text_style *style)
{
	const bool serve = r->runs[0].verdicts[SHARE_WORKERS] == VERDICT_NOT_APPLICABLE &&
			   r->runs[0].verdicts[SHARE_SERVED] != VERDICT_NOT_APPLICABLE;
	const enum share share = serve ? SHARE_SERVED : SHARE_WORKERS;
	size_t disagree = 0;

	for (size_t i = 0; i < r->run_count; i++)
		disagree += r->runs[i].disagrees;
	verdicts_cell(out, r, share, 13, style);
	noisy_cell(out, r->stats, METRIC_CV, 11, style);
	noisy_cell(out, r->stats, METRIC_CV_EXPECTED, 9, style);
	noisy_cell(out, r->stats, metric_of_share(share, SHARE_MAX_OVER_MEAN), 13, style);
	fputc(' ', out);
	verdicts_cell(out, r, SHARE_SOCKETS, 13, style);
	if (waits)
		noisy_cell(out, r->stats, METRIC_WAIT_P99, 12, style);
	noisy_cell(out, r->stats, METRIC_RATE, 13, style);
	fprintf(out, " %s\n", disagree ? "DO NOT AGREE" : "agree");
}

static void comparison_heading(FILE *out, bool repeated, bool waits, const struct text_style *style)
{
	fputs(text_paint(style, TEXT_BOLD), out);
	if (repeated)
		fprintf(out, "%-23s %-13s%11s  %9s%13s %-13s%s%13s  %s", "mode", "workers", "CV",
			"fair hash", "busiest", "sockets", waits ? "    wait p99 " : "",
			"per second", "counts");
	else
		fprintf(out, "%-23s %-13s%6s %9s %8s %9s %7s  %-10s%s%11s  %s", "mode", "workers",
			"CV", "fair hash", "busiest", "idle", "p", "sockets",
			waits ? " wait p99" : "", "per second", "counts");
	fprintf(out, "%s\n", text_paint(style, TEXT_PLAIN));
}

static void comparison_legend(FILE *out, const struct comparison *c, bool repeated, bool waits,
			      const struct text_style *style)
{
	struct used used = {};
	size_t most = 0;

	look_what_is_used(c, &used);
	for (size_t i = 0; i < c->side_count; i++)
		most = c->sides[i].results[0].run_count > most ? c->sides[i].results[0].run_count
							       : most;
	fprintf(out, "CV: standard deviation over mean of what each worker got; fair hash: the CV "
		     "that chance alone gives\n");
	if (waits)
		fprintf(out, "wait p99: 99 of 100 connections were in the accept queue no longer "
			     "than that\n");
	if (repeated)
		fprintf(out, "%zu runs of each: their mean, and %s their standard deviation\n",
			most, style->utf8 ? "±" : "+-");
	if (used.tested_mark)
		fprintf(out, "*: best, !: worst, told from each other mode beyond noise (p < %g)\n",
			NOISE_LEVEL);
	if (used.untested_mark)
		fprintf(out,
			"*: best, !: worst%s, which may be noise: --repeat %zu or more tests it\n",
			used.tested_mark ? " where a mode has fewer runs" : "",
			noise_runs_needed());
}

void text_comparison(FILE *out, const struct snapshot *runs, size_t count, size_t modes,
		     const struct comparison *c, const struct text_style *style)
{
	const struct snapshot *ran = NULL;
	const bool repeated = count > modes;
	bool waits = false;

	for (size_t i = 0; i < c->side_count; i++)
		waits |= stat_of(&c->subjects[0], i, METRIC_WAIT_P99) != NULL;
	comparison_heading(out, repeated, waits, style);
	for (size_t i = 0; i < c->side_count; i++) {
		const struct comparison_result *r = &c->sides[i].results[0];

		fprintf(out, "%-23s ", c->sides[i].name);
		if (!r->run_count)
			fprintf(out, "not run: %s\n", r->skipped);
		else if (repeated)
			repeated_row(out, r, waits, style);
		else
			single_row(out, &runs[i], r->stats, waits, style);
	}
	for (size_t i = 0; i < count && !ran; i++)
		ran = *runs[i].workload.skipped ? NULL : &runs[i];
	if (ran)
		fprintf(out,
			"%u worker%s, %u request%s outstanding at once; kernel %s, backend %s\n",
			ran->workload.workers, ran->workload.workers == 1 ? "" : "s",
			ran->workload.concurrency, ran->workload.concurrency == 1 ? "" : "s",
			ran->release, ran->backend);
	comparison_legend(out, c, repeated, waits, style);
}
