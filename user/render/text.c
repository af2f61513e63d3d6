/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The report of `run` for one mode: a heading, the tables of workers and sockets, fairness, waits
 * and findings, and the account of server and clients. */
#include "text.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../model/words.h"
#include "memory.h"
#include "text_parts.h"

#define CPUS_LISTED 64
#define BAR_LEAST 10 /* the workers' waits are shown if a bar of 8 still fits beside them */

/* Do the workers hold connections open that are worth a column? When a run is over nearly all of
 * its connections are closed; a last few are not news. */
static bool holds_open(const struct endpoint *e)
{
	uint64_t open = 0, all = 0;

	for (size_t i = 0; i < e->worker_count; i++) {
		open += e->workers[i].open_known ? e->workers[i].open : 0;
		all += e->workers[i].accepted;
	}
	return open > all / 100;
}

/* ---- cells ---- */

static void result_cell_worker(struct cell *cell)
{
	const struct worker_row *w = ((const struct row *)cell->row)->worker;

	if (w->number < 0)
		strcpy(cell->text,
		       w->serves || !(cell->table->has & HAS_SERVED) ? "other" : "accept");
	else
		sprintf(cell->text, "%d", w->number);
}

static void result_cell_tid(struct cell *cell)
{
	sprintf(cell->text, "%d", ((const struct row *)cell->row)->worker->tid);
}

/* Writes an id: without separators, unlike a count. */
static void cell_id(struct cell *cell)
{
	sprintf(cell->text, "%" PRId64,
		*(const int64_t *)((const char *)cell->row + cell->column->field));
}

/* Marks a worker that was killed half-way. No verdict counts it while others lived on. */
static void result_cell_fate(struct cell *cell)
{
	const struct row *r = cell->row;

	if (r->ended)
		strcpy(cell->text, r->takes && !r->left_out ? "(ended: judged)" : "(ended)");
}

static void cell_dropped(struct cell *cell)
{
	text_count(cell->text, ((const struct row *)cell->row)->socket->dropped);
}

/* Writes "12/4096", the longest that the queue was; "-" if that is not known, because 0 would be a
 * claim. */
static void cell_highest(struct cell *cell)
{
	const struct socket_row *s = ((const struct row *)cell->row)->socket;

	if (s->highest_known && s->queue_limit)
		sprintf(cell->text, "%" PRIu32 "/%" PRIu32, s->queue_highest, s->queue_limit);
	else
		strcpy(cell->text, "-");
}

static void cell_backlog(struct cell *cell)
{
	cell_number(cell, ((const struct row *)cell->row)->socket->queue_limit);
}

/* ---- columns ---- */

enum { HAS_BACKLOG = HAS_OWN, HAS_DROPPED = HAS_OWN << 1, HAS_QUEUE = HAS_OWN << 2 };

#define L ALIGN_LEFT
#define R ALIGN_RIGHT
#define COLUMN_TAKEN 3 /* these columns have titles that depend on the protocol */
#define COLUMN_ARRIVED 2

static const struct column worker_columns[] = {
	{ "worker", 6, R, .write = result_cell_worker },
	{ "tid", 8, R, .write = result_cell_tid },
	{ "socket", 8, R, .write = cell_id, .field = ROW(id[2]) },
	{ "accepted", 10, R, COUNTS(total) },
	{ "served", 10, R, COUNTS(served), .needs = HAS_SERVED },
	{ "open", 8, R, COUNTS(open), .known = ROW(open_known), .bound = ROW(open_at_least),
	  .needs = HAS_OPEN },
	{ "CPU", 6, R, cell_cpu, .needs = HAS_CPU, .rank = 1 },
	{ "wait p99", 8, R, LASTS(p99_ns), .needs = HAS_WAITS, .rank = 2 },
	{ "share", 7, R, .write = cell_share },
	{ "", WIDTH_REST, L, .write = cell_bar },
	{ "", WIDTH_MEASURED, ALIGN_FLOW, result_cell_fate, .gap = 2 },
};

static const struct column socket_columns[] = {
	{ "socket", 6, R, .write = cell_id, .field = ROW(id[0]) },
	{ "inode", 8, R, .write = cell_id, .field = ROW(id[1]) },
	{ "arrived", 10, R, COUNTS(total) },
	{ "dropped", 10, R, cell_dropped, .needs = HAS_DROPPED },
	{ "highest", 9, R, cell_highest, .needs = HAS_HIGHEST | HAS_QUEUE },
	{ "backlog", 9, R, cell_backlog, .needs = HAS_BACKLOG | HAS_QUEUE },
	{ "wait p50", 8, R, LASTS(p50_ns), .needs = HAS_WAITS, .rank = 1 },
	{ "wait p99", 8, R, LASTS(p99_ns), .needs = HAS_WAITS },
	{ "max", 8, R, LASTS(max_ns), .needs = HAS_WAITS, .rank = 2 },
	{ "share", 7, R, .write = cell_share },
	{ "", WIDTH_REST, L, .write = cell_bar },
};
#define COLUMN_P50 6

static void worker_table(FILE *out, const struct snapshot *s, const struct endpoint *e,
			 const struct text_style *style)
{
	const struct view view = { .interval = s, .recent = true };
	struct column columns[sizeof(worker_columns) / sizeof(*worker_columns)];
	struct table t = { .columns = columns,
			   .count = sizeof(columns) / sizeof(*columns),
			   .of = &view,
			   .has = (workers_have(e) & ~HAS_OPEN) | (holds_open(e) ? HAS_OPEN : 0) |
				  (s->looked_seconds > 0 ? HAS_CPU : 0),
			   .style = style,
			   .room = text_bar_room(style),
			   .indent = 2,
			   .bar_least = BAR_LEAST };
	struct row *rows = render_needs(calloc(e->worker_count + 1, sizeof(*rows)));

	if (!rows)
		return;
	memcpy(columns, worker_columns, sizeof(columns));
	if (e->protocol == PROTOCOL_UDP)
		columns[COLUMN_TAKEN].title = "received";
	for (size_t i = 0; i < e->worker_count; i++) {
		const struct worker_row *w = &e->workers[i];

		rows[i] = row_of_worker(e, w, ROWS_WORKERS);
		rows[i].recent = t.has & HAS_SERVED ? w->served : w->accepted;
		if (i >= ROWS_LISTED) /* not listed, only added up */
			rows[i].total = w->accepted > w->served ? w->accepted : w->served;
	}
	rows_judge(rows, e->worker_count, e);
	rows_share(rows, e->worker_count, true, 0, 0);
	table_fit(&t, rows, e->worker_count, sizeof(*rows));
	rows_print(out, &t, rows, e->worker_count, ROW(total));
	free(rows);
}

static void socket_table(FILE *out, const struct endpoint *e, const struct text_style *style)
{
	const bool udp = e->protocol == PROTOCOL_UDP;
	const unsigned has = sockets_have(e) | (udp ? HAS_DROPPED : HAS_QUEUE);
	struct column columns[sizeof(socket_columns) / sizeof(*socket_columns)];
	struct table t = { .columns = columns,
			   .count = sizeof(columns) / sizeof(*columns),
			   .has = has & HAS_HIGHEST ? has : has | HAS_BACKLOG,
			   .style = style,
			   .room = text_longest(style),
			   .indent = 2 };
	struct row *rows = render_needs(calloc(e->socket_count + 1, sizeof(*rows)));

	if (!rows)
		return;
	memcpy(columns, socket_columns, sizeof(columns));
	columns[COLUMN_ARRIVED].title = udp ? "delivered" : "arrived";
	for (size_t i = 0; i < e->socket_count; i++)
		rows[i] = row_of_socket(e, &e->sockets[i], true);
	rows_share(rows, e->socket_count, true, 0, 0);
	table_fit(&t, rows, e->socket_count, sizeof(*rows));
	if (columns[COLUMN_P50].shown > 0)
		columns[COLUMN_P50 + 1].title = "p99";
	rows_print(out, &t, rows, e->socket_count, ROW(total));
	free(rows);
}

static void cpu_line(FILE *out, const struct endpoint *e)
{
	char count[TEXT_COUNT_SIZE];

	if (!e->cpu_count)
		return;
	fprintf(out, "  arrivals by CPU:");
	for (size_t i = 0; i < e->cpu_count && i < CPUS_LISTED; i++)
		fprintf(out, "%s %u: %s", i ? "," : "", e->cpus[i].cpu,
			text_count(count, e->cpus[i].arrived));
	fputs(e->cpu_count > CPUS_LISTED ? ", ...\n" : "\n", out);
}

static void heading(FILE *out, const struct snapshot *s, const char *design,
		    const struct text_style *style)
{
	const struct workload_account *w = &s->workload;
	const struct endpoint *e = s->endpoint_count ? &s->endpoints[0] : NULL;
	const char *unit = e && e->protocol == PROTOCOL_UDP ? "datagram" : "connection";
	char address[TEXT_ADDRESS_SIZE], count[TEXT_COUNT_SIZE];

	fprintf(out, "%s%s%s: %s\n", text_paint(style, TEXT_BOLD), w->mode,
		text_paint(style, TEXT_PLAIN), design);
	if (*w->skipped) {
		fprintf(out, "  not run: %s\n", w->skipped);
		return;
	}
	fprintf(out, "  %s%s, %u worker%s (%s%s)",
		e && e->protocol == PROTOCOL_UDP ? "udp " : "tcp ",
		e ? text_address(address, e) : "", w->workers, plural_s(w->workers),
		w->processes ? "process" : "thread",
		w->processes ? plural_es(w->workers) : plural_s(w->workers));
	if (w->serve_only)
		fprintf(out, ", %s %s%s from outside", text_count(count, w->accepted), unit,
			plural_s(w->accepted));
	else
		fprintf(out, ", %s %s%s, %u at once", text_count(count, w->sent), unit,
			plural_s(w->sent), w->concurrency);
	if (w->target_rate > 0)
		fprintf(out, ", %g/s asked for", w->target_rate);
	if (w->work_us)
		fprintf(out, ", %u us of work each", w->work_us);
	if (w->slow_worker >= 0)
		fprintf(out, " (worker %d: ten times that)", w->slow_worker);
	fprintf(out, "; kernel %s, backend %s\n\n", s->release, s->backend);
}

static void account(FILE *out, const struct snapshot *s, const struct text_style *style)
{
	const struct workload_account *w = &s->workload;
	bool udp = s->endpoint_count && s->endpoints[0].protocol == PROTOCOL_UDP;
	char rate[TEXT_COUNT_SIZE], failed[TEXT_COUNT_SIZE];

	if (w->seconds > 0)
		fprintf(out, "  %s %s/s; ",
			text_count(rate, (w->serve_only ? w->accepted : w->sent) / w->seconds),
			udp ? "datagrams" : "connections");
	else
		fprintf(out, "  ");
	if (w->agrees)
		fprintf(out, "%s%s agree%s on every worker", text_paint(style, TEXT_GREEN),
			w->serve_only ? "kernel and server" : "kernel, server and clients",
			text_paint(style, TEXT_PLAIN));
	else
		fprintf(out, "%scounts do not agree%s: %s", text_paint(style, TEXT_RED),
			text_paint(style, TEXT_PLAIN), w->disagreement);
	if (w->failed)
		fprintf(out, "; %s %s", text_count(failed, w->failed),
			udp ? "without a reply in time" : "given up by the clients");
	fprintf(out, "; lost %s\n", text_count(rate, snapshot_lost(s)));
	text_lost(out, s, style);
	text_unseen(out, s, style);
}

void text_result(FILE *out, const struct snapshot *s, const char *design,
		 const struct text_style *style)
{
	heading(out, s, design, style);
	if (*s->workload.skipped) {
		fputc('\n', out);
		return;
	}
	for (size_t i = 0; i < s->endpoint_count; i++) {
		const struct endpoint *e = &s->endpoints[i];

		worker_table(out, s, e, style);
		fputc('\n', out);
		socket_table(out, e, style);
		fputc('\n', out);
		text_fairness(out, "workers", &e->worker_fairness, style);
		text_fairness(out, "sockets", &e->socket_fairness, style);
		if (e->served_known && text_hands_over(e))
			text_fairness(out, "served", &e->served_fairness, style);
		text_waits(out, e, true, style);
		text_load(out, e, style);
		for (size_t f = 0; f < e->finding_count; f++)
			text_finding(out, &e->findings[f], 2, style);
		cpu_line(out, e);
		text_buffers(out, e);
	}
	account(out, s, style);
	fputc('\n', out);
}
