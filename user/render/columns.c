/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Columns, cells and rows that the tabs of the full-screen view have and text does not. What both
 * share is in rows.c. */
#include "columns.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../model/array.h"
#include "text_parts.h"

#define SORTABLE_MAX 16

char *port_name(char *out, const struct endpoint *e, const struct view *v)
{
	char address[CELL_SIZE / 2], netns[NETNS_NAME_SIZE];

	text_address(address, e);
	snprintf(out, CELL_SIZE, "%s %s", text_protocol(e), address);
	if (v->several_netns)
		snprintf(out + strlen(out), CELL_SIZE - strlen(out), " netns %s",
			 text_netns(netns, e->netns, true));
	return out;
}

enum attribute judged_attribute(enum verdict v)
{
	return v == VERDICT_NOT_APPLICABLE ? ATTRIBUTE_NORMAL : verdict_attribute(v);
}

const struct endpoint *row_judged(const struct row *r, const struct view *v)
{
	return v->recent ? r->interval : r->endpoint;
}

/* ---- cells ---- */

static void cell_port(struct cell *cell)
{
	port_name(cell->text, ((const struct row *)cell->row)->endpoint, cell->table->of);
}

/* Writes how many threads wait, with a "+" where not all of them could be listed. */
static void cell_waits(struct cell *cell)
{
	const struct row *r = cell->row;
	const struct socket_row *s = r->socket;

	if (r->ended)
		strcpy(cell->text, "ended");
	else if (s && s->waiting_known)
		strcat(count_text(cell->text, cell->width - s->waiting_cut, s->waiting),
		       s->waiting_cut ? "+" : "");
	else
		strcpy(cell->text, "-");
}

/* Writes what the thread was doing when it was last looked at. */
static void cell_state(struct cell *cell)
{
	const struct row *r = cell->row;

	strcpy(cell->text, r->ended                                ? "ended"
			   : r->past                               ? "old"
			   : r->worker->waits                      ? "waits"
			   : r->socket && r->socket->waiting_known ? "busy"
								   : "-");
}

static void cell_pid(struct cell *cell)
{
	cell_number(cell, ((const struct row *)cell->row)->worker->pid);
}

static void cell_tid(struct cell *cell)
{
	cell_number(cell, ((const struct row *)cell->row)->worker->tid);
}

static void cell_pid_inside(struct cell *cell)
{
	cell_number(cell, ((const struct row *)cell->row)->worker->pid_inside);
}

/* Writes a name of up to 16 bytes. A name of 16 bytes has no NUL. */
static void cell_name(struct cell *cell, const char name[16])
{
	snprintf(cell->text, CELL_SIZE, "%.16s", *name ? name : "-");
}

static void cell_comm(struct cell *cell)
{
	snprintf(cell->text, CELL_SIZE, "%.16s", ((const struct row *)cell->row)->worker->comm);
}

static void cell_process(struct cell *cell)
{
	const struct worker_row *w = ((const struct row *)cell->row)->worker;

	snprintf(cell->text, CELL_SIZE, "%.16s", *w->process ? w->process : w->comm);
}

/* A path that is too long keeps its end, because the end tells more; words keep their beginning. */
static void cell_unit(struct cell *cell)
{
	char unit[TEXT_UNIT_SIZE];
	const char *path;

	text_unit(unit, ((const struct row *)cell->row)->worker->cgroup, true);
	path = strncmp(unit, TEXT_UNIT_CGROUP, strlen(TEXT_UNIT_CGROUP))
		       ? NULL
		       : unit + strlen(TEXT_UNIT_CGROUP);
	if (path)
		snprintf(cell->text, CELL_SIZE, "%s", path);
	else
		snprintf(cell->text, CELL_SIZE, "%.*s", cell->width, *unit ? unit : "-");
}

static void cell_waiting_threads(struct cell *cell)
{
	if (((const struct row *)cell->row)->ended)
		strcpy(cell->text, "ended");
	else
		cell_count(cell);
}

static void cell_group(struct cell *cell)
{
	text_group(cell->text, ((const struct row *)cell->row)->socket);
}

static void cell_device(struct cell *cell)
{
	cell_name(cell, ((const struct row *)cell->row)->socket->device);
}

static void cell_uid(struct cell *cell)
{
	sprintf(cell->text, "%" PRIu32, ((const struct row *)cell->row)->socket->uid);
}

/* Writes "nginx (700), nginx (701)": the processes that have a descriptor of the socket, whether
 * they use it or not. */
static void cell_holders(struct cell *cell)
{
	const struct row *r = cell->row;
	size_t used = 0;

	strcpy(cell->text, "-");
	for (size_t i = 0; i < r->endpoint->holder_count; i++) {
		const struct holder_row *h = &r->endpoint->holders[i];

		if (h->cookie != r->socket->cookie || used + 40 > CELL_SIZE)
			continue;
		used += sprintf(cell->text + used, "%s%.16s (%" PRId32 ")", used ? ", " : "",
				h->process, h->pid);
	}
}

/* ---- cells of a verdict: `field` is the offset in the endpoint that is judged ---- */

static const void *judged_at(const struct cell *cell, size_t field)
{
	const char *e = (const char *)row_judged(cell->row, cell->table->of);

	return e ? e + field : NULL;
}

static void cell_attribute(struct cell *cell, size_t field)
{
	const struct fairness *f = judged_at(cell, field);

	cell->attribute = f ? judged_attribute(f->verdict) : ATTRIBUTE_NORMAL;
}

/* "8 uneven" */
static void cell_verdict(struct cell *cell)
{
	const struct fairness *f = judged_at(cell, cell->column->field);

	if (!f || f->verdict == VERDICT_NOT_APPLICABLE)
		sprintf(cell->text, "%zu", f ? f->bins : 0);
	else
		sprintf(cell->text, "%zu %s", f->bins, verdict_words(f->verdict, WORDS_CELL));
	cell_attribute(cell, cell->column->field);
}

static void cell_real(struct cell *cell)
{
	const double *value = judged_at(cell, cell->column->field);

	if (!value || isnan(*value))
		strcpy(cell->text, "-");
	else
		sprintf(cell->text, "%.3f", *value);
}

static void cell_cv(struct cell *cell)
{
	cell_real(cell);
	cell_attribute(cell, offsetof(struct endpoint, worker_fairness));
}

static void cell_busiest(struct cell *cell)
{
	const double *value = judged_at(cell, cell->column->field);

	if (!value || isnan(*value))
		strcpy(cell->text, "-");
	else
		sprintf(cell->text, "%.2fx", *value);
}

static void cell_idle(struct cell *cell)
{
	const struct fairness *f = judged_at(cell, cell->column->field);

	sprintf(cell->text, "%zu of %zu", f ? f->idle : 0, f ? f->bins : 0);
}

/* Colours the bar by the verdict on its endpoint. If the row has ended and no other column says so,
 * this cell does. */
static void cell_judged_bar(struct cell *cell)
{
	const struct row *r = cell->row;

	if (r->ended && !table_shows(cell->table, cell_state) &&
	    !table_shows(cell->table, cell_waits) &&
	    !table_shows(cell->table, cell_waiting_threads))
		strcpy(cell->text, "ended");
	cell_bar(cell);
	cell_attribute(cell, cell->column->field);
	if (cell->attribute == ATTRIBUTE_YELLOW)
		cell->attribute = ATTRIBUTE_NORMAL;
}

/* Writes "nginx, haproxy": the names of the processes that take the endpoint's work. */
static void cell_names(struct cell *cell)
{
	const struct endpoint *e = ((const struct row *)cell->row)->endpoint;
	const char *names[8];
	size_t count = 0, used = 0;

	strcpy(cell->text, "-");
	for (size_t i = 0; i < e->worker_count && count < 8; i++) {
		const struct worker_row *w = &e->workers[i];
		const char *name = *w->process ? w->process : w->comm;
		size_t known = 0;

		while (known < count && strncmp(names[known], name, sizeof(w->comm)))
			known++;
		if (known < count)
			continue;
		names[count++] = name;
		used += sprintf(cell->text + used, "%s%.*s", used ? ", " : "", (int)sizeof(w->comm),
				name);
	}
}

/* ---- orders, the least first ---- */

static int by_id(const void *a, const void *b, const struct column *column)
{
	(void)column;
	return rows_compare(a, b);
}

static int by_comm(const void *a, const void *b, const struct column *column)
{
	const struct row *x = a, *y = b;

	(void)column;
	return strncmp(x->worker->comm, y->worker->comm, sizeof(x->worker->comm));
}

static int by_port(const void *a, const void *b, const struct column *column)
{
	const struct endpoint *x = ((const struct row *)a)->endpoint,
			      *y = ((const struct row *)b)->endpoint;

	(void)column;
	if (x->protocol != y->protocol)
		return COMPARE(x->protocol, y->protocol);
	if (x->port != y->port)
		return COMPARE(x->port, y->port);
	if (x->family != y->family)
		return COMPARE(x->family, y->family);
	if (x->netns != y->netns)
		return COMPARE(x->netns, y->netns);
	return memcmp(x->address, y->address, sizeof(x->address));
}

static int by_excess(const void *a, const void *b, const struct column *column)
{
	static const struct column excess = { .field = ROW(excess) };

	(void)column;
	return by_real(a, b, &excess);
}

/* ---- columns ---- */

#define L ALIGN_LEFT
#define R ALIGN_RIGHT
#define T ALIGN_TAIL
#define RATES .write = cell_rate, .compare = by_count, .field = ROW(recent)
#define OF(member) .field = offsetof(struct endpoint, member)
#define VERDICTS(member) .write = cell_verdict, OF(member)
#define DROPS .write = cell_drops, .compare = by_count, .field = ROW(drops)
#define CPUS .write = cell_cpu, .compare = by_count, .field = ROW(cpu_ns)
#define OPENS COUNTS(open), .known = ROW(open_known), .bound = ROW(open_at_least)
#define BYTES COUNTS(bytes), .known = ROW(bytes_known), .bound = ROW(bytes_at_least)
#define NEEDS(what, room) .needs = HAS_##what, .from = room
#define BAR(member)                                                                                \
	{                                                                                          \
		"", WIDTH_REST, L, cell_judged_bar, OF(member)                                     \
	}

static const struct column port_columns[] = {
	{ "port", WIDTH_REST, L, cell_port, .compare = by_port, .rising = true },
	{ "events/s", 9, R, RATES },
	{ "total", 11, R, COUNTS(total) },
	{ "drops", 7, R, DROPS, .from = 110 },
	{ "sockets", 10, R, VERDICTS(socket_fairness), .from = 66 },
	{ "workers", 10, R, VERDICTS(worker_fairness), .compare = by_excess, .from = 54 },
	{ "CV", 7, R, cell_cv, OF(worker_fairness.cv), .from = 96 },
	{ "fair hash", 9, R, cell_real, OF(worker_fairness.cv_expected), .from = 104 },
	{ "busiest", 8, R, cell_busiest, OF(worker_fairness.max_over_mean), .from = 104 },
	{ "idle", 10, R, cell_idle, OF(worker_fairness), .from = 120 },
	{ "processes", 40, L, cell_names, .from = 150 },
};

static const struct column socket_columns[] = {
	{ "socket", 8, R, cell_cookie, .compare = by_id, .rising = true },
	{ "inode", 8, R, cell_inode, .from = 60 },
	{ "uid", 6, R, cell_uid, .from = 120 },
	{ "group", 8, R, cell_group, .from = 120 },
	{ "device", 9, L, cell_device, .from = 160 },
	{ "arrived/s", 9, R, RATES },
	{ "total", 11, R, COUNTS(total) },
	{ "queue", 9, R, cell_queue, .compare = by_count, .field = ROW(queue), .from = 50 },
	{ "highest", 7, R, COUNTS(highest), .known = ROW(highest_known), NEEDS(HIGHEST, 112) },
	{ "half-open", 9, R, cell_half_open, .compare = by_count, .field = ROW(half_open),
	  NEEDS(HALF_OPEN, 84) },
	{ "drops", 6, R, DROPS, .from = 70 },
	{ "wait p50", 8, R, LASTS(p50_ns), NEEDS(WAITS, 92) },
	{ "wait p99", 8, R, LASTS(p99_ns), NEEDS(WAITS, 80) },
	{ "wait max", 8, R, LASTS(max_ns), NEEDS(WAITS, 104) },
	{ "waiting", 7, R, cell_waits, .from = 78 },
	{ "held by", 44, L, cell_holders, .from = 170 },
	{ "share", 6, R, .write = cell_share },
	BAR(socket_fairness),
};

static const struct column worker_columns[] = {
	{ "pid", 7, R, cell_pid, .from = 66 },
	{ "tid", 7, R, cell_tid, .compare = by_id, .rising = true },
	{ "inside", 7, R, cell_pid_inside, .from = 130 },
	{ "thread", 15, L, cell_comm, .compare = by_comm, .rising = true, .from = 60 },
	{ "process", 15, L, cell_process, .from = 140 },
	{ "unit or cgroup", 32, T, cell_unit, .from = 120 },
	{ "socket", 7, R, cell_cookie, .compare = by_count, .field = ROW(id[2]), .rising = true,
	  .from = 76 },
	{ "queue", 9, R, cell_queue, .from = 170 },
	{ "drops", 6, R, cell_drops, .from = 170 },
	{ "taken/s", 8, R, RATES },
	{ "total", 10, R, COUNTS(total) },
	{ "served", 9, R, COUNTS(served), .known = ROW(serves), NEEDS(SERVED, 100) },
	{ "open", 6, R, OPENS, NEEDS(OPEN, 108) },
	{ "CPU", 6, R, CPUS, NEEDS(CPU, 84) },
	{ "bytes", 7, R, BYTES, NEEDS(BYTES, 94) },
	{ "wait p99", 8, R, LASTS(p99_ns), NEEDS(WAITS, 90) },
	{ "state", 5, L, cell_state, .from = 76 },
	{ "share", 6, R, .write = cell_share },
	BAR(worker_fairness),
};

static const struct column process_columns[] = {
	{ "pid", 7, R, cell_pid, .compare = by_id, .rising = true },
	{ "inside", 7, R, cell_pid_inside, .from = 100 },
	{ "process", 15, L, cell_process, .from = 54 },
	{ "unit or cgroup", 40, T, cell_unit, .from = 120 },
	{ "threads", 7, R, COUNTS(threads), .from = 60 },
	{ "waiting", 7, R, cell_waiting_threads, .field = ROW(waits), .from = 72 },
	{ "taken/s", 9, R, RATES },
	{ "total", 11, R, COUNTS(total) },
	{ "served", 9, R, COUNTS(served), .known = ROW(serves), NEEDS(SERVED, 90) },
	{ "open", 7, R, OPENS, NEEDS(OPEN, 98) },
	{ "CPU", 6, R, CPUS, NEEDS(CPU, 76) },
	{ "bytes", 7, R, BYTES, NEEDS(BYTES, 84) },
	{ "share", 6, R, .write = cell_share },
	BAR(process_fairness),
};

#define TAB(table, first)                                                                          \
	{                                                                                          \
		(table), sizeof(table) / sizeof((table)[0]), first                                 \
	}
static const struct {
	const struct column *columns;
	size_t count;
	const char *first; /* the title of the column that sorts when the user has chosen none */
} tabs[TAB_COUNT] = {
	[TAB_PORTS] = TAB(port_columns, "events/s"),
	[TAB_SOCKETS] = TAB(socket_columns, "total"),
	[TAB_WORKERS] = TAB(worker_columns, "total"),
	[TAB_PROCESSES] = TAB(process_columns, "total"),
};

static unsigned socket_has(const struct socket_row *s)
{
	return (s->wait_known ? HAS_WAITS : 0) | (s->highest_known ? HAS_HIGHEST : 0) |
	       (s->half_open.highest ? HAS_HALF_OPEN : 0);
}

static unsigned worker_has(const struct worker_row *w)
{
	return (w->wait_known ? HAS_WAITS : 0) | (w->serves && w->handed.count ? HAS_SERVED : 0) |
	       (w->open_known ? HAS_OPEN : 0) | (w->usage_known && w->cpu_ns ? HAS_CPU : 0) |
	       (w->bytes.received || w->bytes.sent ? HAS_BYTES : 0);
}

unsigned view_has(const struct snapshot *total)
{
	unsigned has = 0;

	for (size_t i = 0; i < total->endpoint_count; i++) {
		const struct endpoint *e = &total->endpoints[i];

		for (size_t j = 0; j < e->socket_count; j++)
			has |= socket_has(&e->sockets[j]);
		for (size_t j = 0; j < e->worker_count; j++)
			has |= worker_has(&e->workers[j]);
	}
	return has;
}

void tab_table(struct table *t, struct column columns[TAB_COLUMNS_MAX], enum screen_tab tab,
	       const struct view *v, int room)
{
	*t = (struct table){
		.columns = columns, .count = tabs[tab].count, .of = v, .has = v->has, .room = room
	};
	memcpy(columns, tabs[tab].columns, t->count * sizeof(*columns));
	table_fit(t, NULL, 0, 0);
}

const struct column *tab_sort(const struct table *t, enum screen_tab tab, unsigned sort)
{
	const struct column *sortable[SORTABLE_MAX];
	unsigned count = 0, first = 0;

	for (size_t i = 0; i < t->count && count < SORTABLE_MAX; i++) {
		const struct column *c = &t->columns[i];

		if (!c->compare || (c->needs & ~t->has))
			continue;
		if (!strcmp(c->title, tabs[tab].first))
			first = count;
		sortable[count++] = c;
	}
	/* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): each tab has columns that sort */
	return sortable[(first + sort) % count];
}

struct order {
	const struct column *column;
	int sign;
};

/* Compares two rows. Rows of ports have no identity within an endpoint, so their port decides. */
static int compare_rows(const void *a, const void *b, void *arg)
{
	const struct order *o = arg;
	int order = o->sign * o->column->compare(a, b, o->column);

	if (!order && !((const struct row *)a)->socket && !((const struct row *)a)->worker)
		order = by_port(a, b, o->column);
	return order ? order : rows_compare(a, b);
}

void tab_order(struct row *rows, size_t count, const struct column *column, bool reversed)
{
	struct order o = { column, column->rising != reversed ? 1 : -1 };

	if (count)
		qsort_r(rows, count, sizeof(*rows), compare_rows, &o);
}

/* ---- rows ---- */

/* Takes from the interval the fields that a row has only once. Events it has twice, as total and
 * recent. same: the row in the interval, or NULL. */
static void row_take_interval(struct row *r, const struct row *same)
{
	r->served = same ? same->served : 0;
	r->cpu_known = same && same->cpu_known;
	r->cpu_ns = same ? same->cpu_ns : 0;
	r->bytes = same ? same->bytes : 0;
	r->p50_ns = same ? same->p50_ns : NAN;
	r->p99_ns = same ? same->p99_ns : NAN;
	r->max_ns = same ? same->max_ns : NAN;
}

/* How many events are in no row: shares are relative to all that the endpoint counted. */
static uint64_t beside_rows(const struct endpoint *e, bool arrived)
{
	return !e ? 0 : arrived ? e->omitted.arrived : e->omitted.accepted;
}

int tab_rows_make(struct row **rows, size_t *count, const struct row *port, enum screen_tab tab,
		  bool recent)
{
	static const struct endpoint nothing;
	static const enum rows_by by[TAB_COUNT] = { [TAB_SOCKETS] = ROWS_SOCKETS,
						    [TAB_WORKERS] = ROWS_WORKERS,
						    [TAB_PROCESSES] = ROWS_PROCESSES };
	const struct endpoint *e = port->endpoint, *interval = port->interval;
	const bool arrived = arrivals_seen(e);
	struct row *late = NULL;
	size_t late_count;
	int err = rows_make(rows, count, e, by[tab], arrived, false);

	if (!err)
		err = rows_make(&late, &late_count, interval ? interval : &nothing, by[tab],
				arrived, false);
	if (err) {
		free(*rows);
		return err;
	}
	for (size_t i = 0; i < *count; i++) {
		struct row *r = &(*rows)[i];
		const struct row *same = bsearch(r, late, late_count, sizeof(*late), rows_compare);

		r->interval = interval;
		r->present = same;
		r->recent = same ? same->total : 0;
		if (recent)
			row_take_interval(r, same);
	}
	rows_share(*rows, *count, recent,
		   beside_rows(recent ? interval : e, tab == TAB_SOCKETS && arrived), NAN);
	rows_judge(*rows, *count, e);
	free(late);
	return 0;
}

int rows_of_ports(struct row **rows, size_t *count, const struct view *v)
{
	*count = v->total->endpoint_count;
	*rows = calloc(*count + 1, sizeof(**rows));
	if (!*rows)
		return -ENOMEM;
	for (size_t i = 0; i < *count; i++) {
		const struct endpoint *e = &v->total->endpoints[i];
		struct row *r = &(*rows)[i];

		*r = (struct row){ .endpoint = e,
				   .interval = snapshot_find((struct snapshot *)v->interval, e),
				   .total = endpoint_events(e),
				   .excess = e->worker_fairness.excess };
		r->recent = r->interval ? endpoint_events(r->interval) : 0;
		for (size_t s = 0; s < e->socket_count + e->connected_count; s++)
			row_add_drops(r, &e->sockets[s]);
	}
	return 0;
}
