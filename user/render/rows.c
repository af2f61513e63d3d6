/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes rows from a snapshot's: first one row for each, then the rows of one thread or process are
 * added up. The second half is what columns write about a row. */
#include "rows.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../model/array.h"
#include "../model/judge.h"
#include "../model/lifetimes.h"
#include "../model/wait_sum.h"
#include "../model/order.h"
#include "text_parts.h"

bool several_netns(const struct snapshot *s)
{
	for (size_t i = 1; i < s->endpoint_count; i++)
		if (s->endpoints[i].netns != s->endpoints[0].netns)
			return true;
	return false;
}

bool arrivals_seen(const struct endpoint *e)
{
	bool taken = false;

	for (size_t i = 0; i < e->socket_count; i++) {
		if (e->sockets[i].arrived)
			return true;
		taken |= e->sockets[i].accepted != 0;
	}
	return !taken;
}

unsigned sockets_have(const struct endpoint *e)
{
	unsigned has = 0;

	for (size_t i = 0; i < e->socket_count; i++) {
		const struct socket_row *s = &e->sockets[i];

		has |= s->highest_known && s->queue_highest ? HAS_HIGHEST : 0;
		has |= s->half_open.highest ? HAS_HALF_OPEN : 0;
		has |= s->wait_known && s->wait.count ? HAS_WAITS : 0;
		has |= drops_most(s) || (e->protocol == PROTOCOL_UDP && s->dropped) ? HAS_DROPS : 0;
	}
	return has;
}

unsigned workers_have(const struct endpoint *e)
{
	unsigned has = text_hands_over(e) ? HAS_SERVED : 0;

	for (size_t i = 0; i < e->worker_count; i++) {
		has |= e->workers[i].open_known && e->workers[i].open ? HAS_OPEN : 0;
		has |= e->workers[i].wait_known && e->workers[i].wait.count ? HAS_WAITS : 0;
	}
	return has;
}

/* ---- one row ---- */

static void row_waits(struct row *r, bool known, const struct wait *w)
{
	const struct wait_histogram *list = r->endpoint->histograms;

	r->p50_ns = known ? wait_quantile_ns(w, list, 0.5) : NAN;
	r->p99_ns = known ? wait_quantile_ns(w, list, 0.99) : NAN;
	r->max_ns = known ? wait_max_ns(w) : NAN;
}

/* The program and the kernel count the same drops, where both see them. So only what goes beyond
 * the kernel's own count is added. */
void row_add_drops(struct row *r, const struct socket_row *s)
{
	const uint64_t beside = r->endpoint->protocol == PROTOCOL_UDP && s->dropped > s->drops
					? s->dropped - s->drops
					: 0;

	r->drops += drops_most(s) + beside;
	r->drops_least += drops_least(s) + beside;
}

static void row_add_socket(struct row *r, const struct socket_row *s)
{
	row_add_drops(r, s);
	r->queue = s->queue_length;
	r->highest = s->queue_highest;
	r->highest_known = s->highest_known;
	r->half_open = s->half_open.count;
}

struct row row_of_socket(const struct endpoint *e, const struct socket_row *s, bool arrived)
{
	struct row r = { .endpoint = e,
			 .socket = s,
			 .id = { s->cookie, s->inode },
			 .total = arrived ? s->arrived : s->accepted,
			 .appeared = s->appeared,
			 .ended = s->ended,
			 .past = socket_is_past(s),
			 .generation = s->generation,
			 .takes = true };

	r.recent = r.total;
	row_add_socket(&r, s);
	row_waits(&r, s->wait_known, &s->wait);
	return r;
}

static void identify(int64_t id[3], const struct worker_row *w, enum rows_by by)
{
	const bool on_socket = by == ROWS_WORKERS, process = by == ROWS_PROCESSES;

	id[0] = on_socket ? (int64_t)(uint32_t)w->tid : w->pid;
	id[1] = on_socket ? (int64_t)w->start_ns : process ? 0 : w->tid;
	id[2] = on_socket ? (int64_t)w->cookie : process ? 0 : (int64_t)w->start_ns;
}

bool row_is_of(const struct row *r, const struct worker_row *w, enum rows_by by)
{
	struct row its;

	identify(its.id, w, by);
	return !rows_compare(r, &its);
}

struct row row_of_worker(const struct endpoint *e, const struct worker_row *w, enum rows_by by)
{
	struct row r = { .endpoint = e,
			 .worker = w,
			 .total = w->accepted,
			 .recent = w->accepted,
			 .served = w->serves ? w->served : 0,
			 .open = w->open_known ? w->open : 0,
			 .serves = w->serves,
			 .open_known = w->open_known,
			 .open_at_least = w->open_at_least,
			 .appeared = w->appeared,
			 .ended = w->ended,
			 .past = worker_is_past(w),
			 .generation = w->generation,
			 .takes = w->can_accept,
			 .threads = 1,
			 .waits = w->waits,
			 .cpu_known = w->usage_known,
			 .cpu_ns = w->usage_known ? w->cpu_ns : 0,
			 .bytes_known = w->bytes_known,
			 .bytes_at_least = w->bytes_at_least,
			 .bytes = w->bytes.received + w->bytes.sent };

	identify(r.id, w, by);
	if (by == ROWS_PROCESSES) {
		r.cpu_known = w->process_cpu_known;
		r.cpu_ns = r.cpu_known ? w->process_cpu_ns : 0;
	}
	row_waits(&r, w->wait_known, &w->wait);
	return r;
}

/* ---- all of an endpoint ---- */

int rows_compare(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	for (int i = 0; i < 3; i++)
		if (x->id[i] != y->id[i])
			return COMPARE(x->id[i], y->id[i]);
	return 0;
}

/* Puts rows next to each other that will be merged into one, and within these the rows of each
 * thread. */
static int compare_parts(const void *a, const void *b)
{
	const struct worker_row *x = ((const struct row *)a)->worker,
				*y = ((const struct row *)b)->worker;
	int order = rows_compare(a, b);

	if (order || !x)
		return order;
	order = COMPARE((uint32_t)x->tid, (uint32_t)y->tid); /* below 0: not known, last */
	if (!order)
		order = COMPARE(x->start_ns, y->start_ns);
	return order ? order : COMPARE(x->cookie, y->cookie);
}

/* Adds a part to its row. The row has ended if all of its parts have. CPU time is the same in all
 * parts of one thread or process: see worker_row. */
static void row_add(struct row *to, const struct row *from, int32_t last_tid)
{
	to->total += from->total;
	to->recent += from->recent;
	to->served += from->served;
	to->open += from->open;
	to->serves |= from->serves;
	to->open_known |= from->open_known;
	to->open_at_least |= from->open_at_least;
	to->cpu_known |= from->cpu_known;
	to->cpu_ns = from->cpu_ns > to->cpu_ns ? from->cpu_ns : to->cpu_ns;
	to->bytes += from->bytes;
	to->bytes_at_least |= from->bytes_at_least;
	to->appeared &= from->appeared;
	to->ended &= from->ended;
	to->past &= from->past;
	to->takes |= from->takes;
	to->threads += from->worker->tid != last_tid;
	to->waits += from->worker->waits && from->worker->tid != last_tid;
	if (from->worker->tid == from->worker->pid) /* the main thread has the process's name */
		to->worker = from->worker;
}

/* Merges rows with the same identity. Returns how many rows are left. */
static size_t rows_merge(struct row *rows, size_t count)
{
	size_t kept = 0;
	int32_t tid = 0;

	for (size_t i = 0; i < count; i++) {
		const struct row from = rows[i];

		if (kept && !rows_compare(&rows[kept - 1], &from))
			row_add(&rows[kept - 1], &from, tid);
		else
			rows[kept++] = from;
		tid = from.worker->tid;
	}
	return kept;
}

/* Finds the socket of each worker. Returns 0 or -ENOMEM. */
static int rows_find_sockets(struct row *rows, size_t count, const struct endpoint *e)
{
	struct socket_row like = {};
	struct array_index index;
	int err = array_index_make(&index, e->sockets, e->socket_count, sizeof(*e->sockets),
				   socket_by_cookie);

	for (size_t i = 0; !err && i < count; i++) {
		like.cookie = rows[i].worker->cookie;
		rows[i].socket = array_index_find(&index, &like);
		if (rows[i].socket)
			row_add_socket(&rows[i], rows[i].socket);
	}
	free(index.rows);
	return err;
}

static bool takes_part(const struct worker_row *w)
{
	return w->can_accept || w->accepted || (w->serves && w->served) || w->bytes.received ||
	       w->bytes.sent;
}

int rows_make(struct row **rows, size_t *count, const struct endpoint *e, enum rows_by by,
	      bool arrived, bool takers)
{
	const size_t most = by == ROWS_SOCKETS ? e->socket_count : e->worker_count;
	int err = 0;

	*count = 0;
	*rows = calloc(most + 1, sizeof(**rows));
	if (!*rows)
		return -ENOMEM;
	for (size_t i = 0; i < most; i++) {
		if (by == ROWS_SOCKETS)
			(*rows)[(*count)++] = row_of_socket(e, &e->sockets[i], arrived);
		else if (!takers || takes_part(&e->workers[i]))
			(*rows)[(*count)++] = row_of_worker(e, &e->workers[i], by);
	}
	if (by == ROWS_WORKERS)
		err = rows_find_sockets(*rows, *count, e);
	qsort(*rows, *count, sizeof(**rows), compare_parts);
	if (by == ROWS_THREADS || by == ROWS_PROCESSES)
		*count = rows_merge(*rows, *count);
	if (err) {
		free(*rows);
		*rows = NULL;
	}
	return err;
}

void rows_judge(struct row *rows, size_t count, const struct endpoint *e)
{
	struct lifetimes seen = endpoint_lifetimes(e);

	for (size_t i = 0; i < count; i++)
		if (rows[i].takes)
			lifetimes_see(&seen, rows[i].appeared, rows[i].past);
	for (size_t i = 0; i < count; i++)
		rows[i].left_out =
			rows[i].takes && !lifetimes_admit(&seen, rows[i].appeared, rows[i].past);
}

void rows_share(struct row *rows, size_t count, bool recent, uint64_t beside, double none)
{
	double sum = beside, most = 0;

	for (size_t i = 0; i < count; i++) {
		const double n = recent ? rows[i].recent : rows[i].total;

		sum += n;
		most = n > most ? n : most;
	}
	for (size_t i = 0; i < count; i++) {
		const double n = recent ? rows[i].recent : rows[i].total;

		rows[i].share = sum > 0 ? 100 * n / sum : none;
		rows[i].bar = most > 0 ? n / most : 0;
	}
}

/* ---- figures ---- */

char *count_text(char *out, int width, uint64_t n)
{
	static const char units[] = "kMGTPE";
	double value = n / 1000.0;
	size_t unit = 0;
	char exact[TEXT_COUNT_SIZE];

	if ((int)strlen(text_count(exact, n)) <= width || n < 1000)
		return strcpy(out, exact);
	if (sprintf(out, "%" PRIu64, n) <= width)
		return out;
	for (; value >= 999.5 && unit + 1 < sizeof(units) - 1; unit++)
		value /= 1000;
	sprintf(out,
		value < 9.995   ? "%.2f%c"
		: value < 99.95 ? "%.1f%c"
				: "%.0f%c",
		value, units[unit]);
	return out;
}

char *rate_text(char *out, int width, uint64_t n, double seconds)
{
	const double rate = n / seconds;

	if (!(seconds > 0) || !(rate < 1.8e19))
		return strcpy(out, "-");
	if (!n || rate >= 9.95)
		return count_text(out, width, (uint64_t)(rate + 0.5));
	sprintf(out, rate < 0.1 ? "<0.1" : "%.1f", rate);
	return out;
}

/* ---- cells ---- */

static const void *field_at(const void *row, size_t offset)
{
	return (const char *)row + offset;
}

static bool flag(const void *row, size_t offset)
{
	return offset && *(const bool *)field_at(row, offset);
}

void rows_print(FILE *out, const struct table *t, const struct row *rows, size_t count,
		size_t field)
{
	const size_t listed = count > ROWS_LISTED ? ROWS_LISTED : count;
	uint64_t others = 0;
	char number[TEXT_COUNT_SIZE];

	table_heading(out, t);
	for (size_t i = 0; i < listed; i++)
		table_line(out, t, &rows[i]);
	for (size_t i = listed; i < count; i++)
		others += *(const uint64_t *)field_at(&rows[i], field);
	if (count > listed)
		fprintf(out, "  and %zu more with %s\n", count - listed,
			text_count(number, others));
}

/* A page shows what it can't display as '?'. */
static bool is_utf8(const struct cell *cell)
{
	return !cell->table->style || cell->table->style->utf8;
}

static void cell_bounded(struct cell *cell, bool bound, const char *sign, const char *plain,
			 uint64_t n)
{
	strcpy(cell->text, !bound ? "" : is_utf8(cell) ? sign : plain);
	count_text(cell->text + strlen(cell->text), cell->width - bound, n);
}

void cell_count(struct cell *cell)
{
	const struct column *c = cell->column;

	if (c->known && !flag(cell->row, c->known))
		strcpy(cell->text, "-");
	else
		cell_bounded(cell, flag(cell->row, c->bound), "≥",
			     ">=", *(const uint64_t *)field_at(cell->row, c->field));
}

void cell_drops(struct cell *cell)
{
	const struct row *r = cell->row;

	cell_bounded(cell, r->drops_least < r->drops, "≤", "<=", r->drops);
	if (r->drops_least)
		cell->attribute = ATTRIBUTE_YELLOW;
}

void cell_duration(struct cell *cell)
{
	text_duration(cell->text, *(const double *)field_at(cell->row, cell->column->field));
}

void cell_share(struct cell *cell)
{
	const struct row *r = cell->row;

	if (isnan(r->share))
		strcpy(cell->text, "-");
	else
		sprintf(cell->text, "%.1f%%", r->share);
}

void cell_rate(struct cell *cell)
{
	const struct row *r = cell->row;
	const struct view *v = cell->table->of;

	rate_text(cell->text, cell->width, r->recent, v->interval->seconds);
}

/* Writes "3/4096", "213k/213k", or "-" if the queue is not known, because 0 would be a claim. A
 * listener of backlog N holds N + 1 connections: with more than N it is full. */
void cell_queue(struct cell *cell)
{
	const struct row *r = cell->row;
	const struct socket_row *s = r->socket;
	const int half = (cell->width - 1) / 2;
	char length[TEXT_COUNT_SIZE], limit[TEXT_COUNT_SIZE];

	/* Text says of one that ended how long its queue was last; a page shows what is. */
	if (!s || !s->queue_known || (r->ended && !cell->table->style)) {
		strcpy(cell->text, "-");
		return;
	}
	text_queue(cell->text, s);
	if ((int)strlen(cell->text) > cell->width)
		sprintf(cell->text, "%s/%s", count_text(length, half, s->queue_length),
			count_text(limit, half, s->queue_limit));
	if (s->queue_limit && s->queue_length > s->queue_limit / 2)
		cell->attribute =
			s->queue_length > s->queue_limit ? ATTRIBUTE_RED : ATTRIBUTE_YELLOW;
}

void cell_half_open(struct cell *cell)
{
	const struct row *r = cell->row;
	const struct half_open *q = &r->socket->half_open;

	text_half_open(cell->text, r->socket);
	if (q->known && q->count > q->limit)
		cell->attribute = ATTRIBUTE_RED;
}

/* Writes CPU time as a share of one CPU. The looks at CPU time do not coincide with the ends of the
 * interval, so the time between them counts. */
void cell_cpu(struct cell *cell)
{
	const struct row *r = cell->row;
	const struct view *v = cell->table->of;

	text_cpu(cell->text, r->cpu_known, r->cpu_ns,
		 (v->recent ? v->interval : v->total)->looked_seconds);
}

void cell_number(struct cell *cell, int64_t n)
{
	if (n > 0)
		sprintf(cell->text, "%" PRId64, n);
	else
		strcpy(cell->text, "-");
}

void cell_cookie(struct cell *cell)
{
	const struct row *r = cell->row;

	cell_number(cell, r->socket ? r->socket->cookie : r->worker ? r->worker->cookie : 0);
}

void cell_inode(struct cell *cell)
{
	const struct row *r = cell->row;

	cell_number(cell, r->socket ? r->socket->inode : 0);
}

void cell_bar(struct cell *cell)
{
	cell->bar = ((const struct row *)cell->row)->bar;
}

int by_count(const void *a, const void *b, const struct column *column)
{
	return COMPARE(*(const uint64_t *)field_at(a, column->field),
		       *(const uint64_t *)field_at(b, column->field));
}

int by_real(const void *a, const void *b, const struct column *column)
{
	const double x = *(const double *)field_at(a, column->field),
		     y = *(const double *)field_at(b, column->field);

	return isnan(x) || isnan(y) ? isnan(y) - isnan(x) : COMPARE(x, y);
}
