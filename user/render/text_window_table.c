/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tables of a port in a window of `watch`: its processes or threads, and its sockets.
 *
 *   process                        /s  accepted since start   share
 *   nginx 1235                  1,500     1,500      12,000   75.0%  ################
 *   nginx 1236 (12 inside)        500       500       4,100   25.0%  #####
 *   2 ended before: 31 accepted
 *
 *   socket/inode         /s   arrived since start       queue  drops ... wait max   share
 *   17/301            2,000     2,000      16,138       3/511      0 ...   3.4 ms  100.0%  ####
 */
#include "text_window.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../model/array.h"
#include "../model/lifetimes.h"
#include "../model/wait_sum.h"
#include "../model/words.h"
#include "memory.h"
#include "wide.h"

/* A port's table and what its cells need beside their row. The view comes first, because the cells
 * of rows.c expect it there. */
struct listed {
	struct view view;
	const struct window *window;
	const struct endpoint *endpoint;
	enum text_by by;
	struct row *rows;
	size_t count;
	bool by_taken; /* sockets: arrivals are not seen, so a socket counts what was taken from it
			*/
	int32_t process; /* threads: the process that all of them belong to; 0: there are several,
			    and each row names its own */
};

static int compare_busiest(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int order = COMPARE(y->recent, x->recent);

	if (!order)
		order = COMPARE(y->total, x->total);
	return order ? order : rows_compare(a, b);
}

static enum rows_by rows_by(enum text_by by)
{
	return by == TEXT_BY_SOCKET   ? ROWS_SOCKETS
	       : by == TEXT_BY_THREAD ? ROWS_THREADS
				      : ROWS_PROCESSES;
}

/* Makes the rows. A process that holds the socket but never took from it, never waited to, and does
 * not serve what others took gets no row. Returns false if there is no memory. */
static bool listed_make(struct listed *t, const struct window *w, const struct endpoint *e,
			enum text_by by, bool by_taken)
{
	*t = (struct listed){
		.view = w->view, .window = w, .endpoint = e, .by = by, .by_taken = by_taken
	};
	rows_make(&t->rows, &t->count, e, rows_by(by), !by_taken, true);
	if (!render_needs(t->rows))
		return false;
	t->process = t->count && by == TEXT_BY_THREAD ? t->rows[0].worker->pid : 0;
	for (size_t i = 1; i < t->count && t->process; i++) /* sorted by pid */
		t->process = t->rows[i].worker->pid == t->process ? t->process : 0;
	rows_judge(t->rows, t->count, e);
	rows_share(t->rows, t->count, true, 0, 0);
	for (size_t i = 0; i < t->count; i++)
		t->rows[i].total = 0;
	return true;
}

enum text_by text_by_default(const struct endpoint *e)
{
	enum text_by by = TEXT_BY_THREAD;
	struct row *rows;
	size_t count;

	/* Which of a runtime's threads did the work tells nothing. */
	if (e->design.code == DESIGN_TURNS)
		return TEXT_BY_PROCESS;
	rows_make(&rows, &count, e, ROWS_THREADS, true, true);
	/* The rows are sorted by pid, so two threads of one process are neighbours. */
	if (count > 1)
		by = TEXT_BY_PROCESS;
	for (size_t i = 1; i < count; i++)
		if (rows[i].worker->pid == rows[i - 1].worker->pid)
			by = TEXT_BY_THREAD;
	free(render_needs(rows));
	return by;
}

/* Rows that ended and are not listed one by one. */
struct gone {
	size_t rows;
	uint64_t count, served;
};

static void gone_add(struct gone *gone, const struct row *r)
{
	gone->rows++;
	gone->count += r->recent;
	gone->served += r->served;
}

/*
 * Fills the rows' counts since the start. The rows that ended before the window are added to *gone.
 */
static void add_totals(struct listed *t, const struct listed *all, struct gone *gone)
{
	for (size_t i = 0, j = 0; i < all->count; i++) {
		while (j < t->count && rows_compare(&t->rows[j], &all->rows[i]) < 0)
			j++;
		if (j < t->count && !rows_compare(&t->rows[j], &all->rows[i]))
			t->rows[j].total = all->rows[i].recent;
		else if (all->rows[i].ended)
			gone_add(gone, &all->rows[i]);
	}
}

/* Takes out the workers that came and went: for a whole window they are history. A worker that a
 * verdict is about stays, and so does a worker that was there from the start and ended half-way. */
static void fold_ended(struct listed *t, struct gone *gone)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->count; i++) {
		const struct row *r = &t->rows[i];

		if (r->ended && r->appeared && (r->left_out || !r->takes))
			gone_add(gone, r);
		else
			t->rows[kept++] = *r;
	}
	t->count = kept;
}

static const char *count_name(const struct listed *t)
{
	const bool udp = t->endpoint->protocol == PROTOCOL_UDP;

	if (t->by == TEXT_BY_SOCKET && !t->by_taken)
		return udp ? "delivered" : "arrived";
	return udp ? "received" : "accepted";
}

/* ---- cells ---- */

/* Marks a row that lived for part of the window. No verdict counts such a row; if one does, the
 * mark says so. */
static void cell_fate(struct cell *cell)
{
	const struct row *r = cell->row;
	const bool judged = r->takes && !r->left_out;

	if (r->generation == GENERATION_EARLIER)
		strcpy(cell->text, judged     ? "(old generation: judged)"
				   : r->ended ? "(old generation)"
					      : "(takes no more)");
	else if (r->ended)
		strcpy(cell->text, judged ? "(ended: judged)" : "(ended)");
	else
		strcpy(cell->text, r->left_out ? "(new)" : "");
}

/* "17/301" */
static void cell_socket(struct cell *cell)
{
	const struct socket_row *s = ((const struct row *)cell->row)->socket;

	sprintf(cell->text, "%" PRIu64 "/%" PRIu32, s->cookie, s->inode);
}

/* "nginx 1235 (12 inside)", "worker 1240 of 1235" */
static void cell_worker(struct cell *cell)
{
	const struct listed *t = cell->table->of;
	const struct worker_row *w = ((const struct row *)cell->row)->worker;
	const bool process = t->by == TEXT_BY_PROCESS;
	const int32_t id = process ? w->pid : w->tid,
		      id_inside = process ? w->pid_inside : w->tid_inside;
	char name[17];
	int used;

	text_name(name, process && *w->process ? w->process : w->comm, sizeof(w->comm),
		  t->window->style->utf8);
	if (!process &&
	    w->tid < 0) { /* bytes of connections whose reading thread is not known here */
		sprintf(cell->text, "%s, a thread of %" PRId32, name, w->pid);
		return;
	}
	used = sprintf(cell->text, "%s %" PRId32, name, id);
	if (id_inside && id_inside != id)
		used += sprintf(cell->text + used, " (%" PRId32 " inside)", id_inside);
	if (!process && !t->process && w->tid != w->pid)
		sprintf(cell->text + used, " of %" PRId32, w->pid);
}

static void cell_bytes(struct cell *cell)
{
	const struct row *r = cell->row;

	if (r->bytes_known)
		text_bytes(cell->text, r->bytes, r->bytes_at_least, cell->table->style->utf8);
	else
		strcpy(cell->text, "-");
}

/* Computed over all rows that this one stands for. */
static void cell_p99(struct cell *cell)
{
	const struct listed *t = cell->table->of;
	const struct endpoint *e = t->endpoint;
	struct wait_sum sum = {};

	for (size_t i = 0; i < e->worker_count; i++)
		if (row_is_of(cell->row, &e->workers[i], rows_by(t->by)))
			wait_sum_add(&sum, e->workers[i].wait_known, &e->workers[i].wait,
				     e->histograms);
	text_duration(cell->text, wait_sum_quantile_ns(&sum, 0.99));
}

static void window_cell_unit(struct cell *cell)
{
	const struct row *r = cell->row;
	char unit[TEXT_UNIT_SIZE];

	if (*text_unit(unit, r->worker->cgroup, cell->table->style->utf8))
		snprintf(cell->text, CELL_SIZE, "in %s", unit);
}

/* ---- columns ---- */

enum {
	HAS_TOTAL = HAS_OWN,
	HAS_NO_DROPS = HAS_OWN << 1,
	HAS_WAITS_ASKED = HAS_OWN << 2, /* otherwise workers' waits are shown if there is room */
	HAS_UNITS = HAS_OWN << 3        /* there are several units, so each row names its own */
};

#define L ALIGN_LEFT
#define R ALIGN_RIGHT
#define NEEDS(what, last) .needs = HAS_##what, .rank = last
/* These two columns get their titles from the table. */
#define COLUMN_LABEL 0
#define COLUMN_COUNTED 2
#define LABEL(cell)                                                                                \
	{                                                                                          \
		"", WIDTH_MEASURED, L, cell, .least = 14                                           \
	}
#define COUNTED                                                                                    \
	{ "/s", 8, R, .write = cell_rate }, { "", 9, R, COUNTS(recent) },                          \
	{                                                                                          \
		"since start", 11, R, COUNTS(total), NEEDS(TOTAL, 7)                               \
	}
#define FATE                                                                                       \
	{                                                                                          \
		"", WIDTH_MEASURED, ALIGN_FLOW, cell_fate, .gap = 2                                \
	}

static const struct column worker_columns[] = {
	LABEL(cell_worker),
	COUNTED,
	{ "served", 9, R, COUNTS(served), NEEDS(SERVED, 2) },
	{ "open", 8, R, COUNTS(open), .bound = ROW(open_at_least), NEEDS(OPEN, 5) },
	{ "CPU", 6, R, cell_cpu, NEEDS(CPU, 3) },
	{ "bytes", 10, R, cell_bytes, NEEDS(BYTES, 4) },
	{ "wait p99", 8, R, cell_p99, NEEDS(WAITS, 9) },
	{ "wait p99", 8, R, cell_p99, NEEDS(WAITS_ASKED, 4) },
	{ "share", 7, R, .write = cell_share },
	{ "", WIDTH_REST, L, .write = cell_bar },
	{ "", WIDTH_MEASURED, ALIGN_FLOW, window_cell_unit, .gap = 2, NEEDS(UNITS, 11) },
	FATE,
};

static const struct column socket_columns[] = {
	LABEL(cell_socket),
	COUNTED,
	{ "queue", 11, R, cell_queue, .rank = 3 },
	{ "highest", 8, R, COUNTS(highest), .known = ROW(highest_known), NEEDS(HIGHEST, 6) },
	{ "half-open", 9, R, cell_half_open, NEEDS(HALF_OPEN, 3) },
	{ "drops", 6, R, cell_drops, NEEDS(DROPS, 2) },
	{ "drops", 6, R, cell_drops, NEEDS(NO_DROPS, 10) },
	{ "wait p50", 8, R, LASTS(p50_ns), NEEDS(WAITS, 4) },
	{ "wait p99", 8, R, LASTS(p99_ns), NEEDS(WAITS, 1) },
	{ "wait max", 8, R, LASTS(max_ns), NEEDS(WAITS, 8) },
	{ "share", 7, R, .write = cell_share },
	{ "", WIDTH_REST, L, .write = cell_bar },
	FATE,
};

#define COLUMNS_OF(table) (sizeof(table) / sizeof(*(table)))
#define COLUMNS_MAX 20
_Static_assert(COLUMNS_OF(worker_columns) <= COLUMNS_MAX &&
		       COLUMNS_OF(socket_columns) <= COLUMNS_MAX,
	       "there is room for a copy");

#define SEVERAL_UNITS "several units"

const char *window_unit(char buffer[TEXT_UNIT_SIZE], const struct endpoint *e,
			const struct text_style *style)
{
	const char *first = "";
	char other[TEXT_UNIT_SIZE];

	*buffer = '\0';
	for (size_t i = 0; i < e->worker_count; i++) {
		const char *own = e->workers[i].cgroup;

		if (!*own || e->workers[i].ended || !strncmp(own, first, CGROUP_SIZE))
			continue;
		/* One container may have many cgroups. */
		if (*first && strcmp(text_unit(other, own, style->utf8), buffer))
			return strcpy(buffer, SEVERAL_UNITS);
		first = own;
		text_unit(buffer, own, style->utf8);
	}
	return !*first && e->holder_count ? text_unit(buffer, e->holders[0].cgroup, style->utf8)
					  : buffer;
}

static unsigned table_has(const struct listed *t)
{
	char unit[TEXT_UNIT_SIZE];
	unsigned has = t->view.total ? HAS_TOTAL : 0;

	if (t->by == TEXT_BY_SOCKET) {
		has |= sockets_have(t->endpoint);
		return has & HAS_DROPS ? has : has | HAS_NO_DROPS;
	}
	has |= workers_have(t->endpoint);
	if (has & HAS_WAITS && t->window->by != TEXT_BY_DEFAULT)
		has ^= HAS_WAITS | HAS_WAITS_ASKED;
	for (size_t i = 0; i < t->count; i++) {
		has |= t->rows[i].cpu_known && t->rows[i].cpu_ns ? HAS_CPU : 0;
		has |= t->rows[i].bytes_known && t->rows[i].bytes ? HAS_BYTES : 0;
	}
	if (!(t->view.interval->looked_seconds > 0))
		has &= ~HAS_CPU;
	if (!strcmp(window_unit(unit, t->endpoint, t->window->style), SEVERAL_UNITS))
		has |= HAS_UNITS;
	return has;
}

#define TABLE_NAME_SIZE 32

/* "process", "socket/inode", "thread", "thread of 1235" */
static const char *table_name(char buffer[TABLE_NAME_SIZE], const struct listed *t)
{
	static const char *const names[] = { [TEXT_BY_PROCESS] = "process",
					     [TEXT_BY_THREAD] = "thread",
					     [TEXT_BY_SOCKET] = "socket/inode" };
	bool others = false;

	for (size_t i = 0; i < t->count && t->by == TEXT_BY_THREAD; i++)
		others |= t->rows[i].worker->tid != t->rows[i].worker->pid;
	if (t->process && others)
		snprintf(buffer, TABLE_NAME_SIZE, "thread of %" PRId32, t->process);
	else
		snprintf(buffer, TABLE_NAME_SIZE, "%s", names[t->by]);
	return buffer;
}

static void listed_print(const struct window *w, struct listed *t)
{
	const bool sockets = t->by == TEXT_BY_SOCKET;
	struct column columns[COLUMNS_MAX];
	struct table table = { .columns = columns,
			       .count = sockets ? COLUMNS_OF(socket_columns)
						: COLUMNS_OF(worker_columns),
			       .of = t,
			       .has = table_has(t),
			       .style = w->style,
			       .room = text_longest(w->style),
			       .indent = 2 };
	char name[TABLE_NAME_SIZE];

	memcpy(columns, sockets ? socket_columns : worker_columns, table.count * sizeof(*columns));
	columns[COLUMN_LABEL].title = table_name(name, t);
	columns[COLUMN_COUNTED].title = count_name(t);
	if (t->count > ROWS_LISTED)
		qsort(t->rows, t->count, sizeof(*t->rows), compare_busiest);
	table_fit(&table, t->rows, t->count > ROWS_LISTED ? ROWS_LISTED : t->count,
		  sizeof(*t->rows));
	if (t->count)
		rows_print(w->out, &table, t->rows, t->count, ROW(recent));
}

static void omitted_line(const struct window *w, const struct listed *t)
{
	const struct omitted *o = &t->endpoint->omitted;
	const bool sockets = t->by == TEXT_BY_SOCKET;
	const uint64_t rows = sockets ? o->sockets : o->workers,
		       count = sockets && !t->by_taken ? o->arrived : o->accepted;
	char number[TEXT_COUNT_SIZE], more[TEXT_COUNT_SIZE];

	if (rows || count)
		fprintf(w->out, "  and %s row%s beyond the limit with %s\n", text_count(more, rows),
			plural_s(rows), text_count(number, count));
}

/* Takes out the rows that wide.h folds. */
static void listed_take_out(struct listed *t, const struct wide_row *rows)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->count; i++)
		if (!rows[i].fold)
			t->rows[kept++] = t->rows[i];
	t->count = kept;
}

/* Prints a table with the threads of wide processes folded. If there is no memory for that, each
 * thread gets a line. */
static void listed_print_folded(const struct window *w, struct listed *t)
{
	const bool served = text_hands_over(t->endpoint);
	struct wide_row *rows =
		t->by == TEXT_BY_THREAD ? render_needs(calloc(t->count + 1, sizeof(*rows))) : NULL;
	struct wide_fold *folds = NULL;
	size_t count = 0;
	char words[WIDE_SIZE];

	for (size_t i = 0; i < t->count && rows; i++)
		rows[i] = (struct wide_row){ .worker = t->rows[i].worker,
					     .count = t->rows[i].recent,
					     .total = t->rows[i].total,
					     .served = served ? t->rows[i].served : 0,
					     .takes = t->rows[i].takes,
					     .ended = t->rows[i].ended };
	if (rows && !wide_fold(rows, t->count, &folds, &count))
		listed_take_out(t, rows);
	if (count)
		qsort(t->rows, t->count, sizeof(*t->rows), compare_busiest);
	listed_print(w, t);
	for (size_t i = 0; i < count; i++)
		fprintf(w->out, "  %s\n",
			wide_words(words, &folds[i], count_name(t), w->view.total, w->style->utf8));
	free(folds);
	free(rows);
}

/* Prints what the ended rows had. If a process or thread is started for each connection, it accepts
 * nothing, so what it served counts. */
static void gone_line(const struct window *w, const struct listed *t, const struct gone *gone)
{
	const bool served = !gone->count && gone->served;
	char number[TEXT_COUNT_SIZE], rows[TEXT_COUNT_SIZE];

	if (gone->rows)
		fprintf(w->out, "  %s ended%s: %s %s\n", text_count(rows, gone->rows),
			w->view.total ? " before" : "",
			text_count(number, served ? gone->served : gone->count),
			served ? "served" : count_name(t));
}

void window_table(const struct window *w, const struct endpoint *e, const struct endpoint *all,
		  enum text_by by)
{
	const bool by_taken = !arrivals_seen(all ? all : e);
	struct listed t, totals = {};
	struct gone gone = {};

	if (!listed_make(&t, w, e, by, by_taken) ||
	    (all && !listed_make(&totals, w, all, by, by_taken))) {
		fputs("  (not enough memory for this table)\n", w->out);
		goto out;
	}
	if (all)
		add_totals(&t, &totals, &gone);
	if (!w->view.total)
		fold_ended(&t, &gone);
	listed_print_folded(w, &t);
	gone_line(w, &t, &gone);
	omitted_line(w, &t);
out:
	free(totals.rows);
	free(t.rows);
}
