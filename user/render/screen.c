/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The full-screen view of `watch` as a page of cells: heading, the lines of the tab (which scroll),
 * and the line of keys. The keys themselves are a table in screen_keys.c. */
#include "screen_keys.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../model/connected.h"
#include "../model/judge.h"
#include "../model/lifetimes.h"
#include "../model/wait_sum.h"
#include "columns.h"
#include "text_parts.h"
#include "wide.h"

#define ROWS_MIN 8
#define COLUMNS_MIN 40

static const char *const tab_names[TAB_COUNT] = { "1 Ports", "2 Sockets", "3 Workers",
						  "4 Processes" };

/* ---- the page ---- */

/* The lines between heading and keys, which scroll. Lines outside of the page are only counted. */
struct body {
	struct grid *grid;
	int first, height; /* lines of the page */
	int skip;          /* lines of the body above the page */
	int line;          /* lines of the body so far */
};

struct page {
	struct view view;
	struct screen_state *state;
	enum screen_tab tab;
	struct table table; /* the tab's table */
	struct column columns[TAB_COLUMNS_MAX];
	const struct column *sort;
	struct row *ports;
	size_t port_count;
	struct body body;
};

/* The place of the next line on the page; -1: the line is not on it. */
static int next_line(struct body *b)
{
	const int line = b->line++ - b->skip;

	return line >= 0 && line < b->height ? b->first + line : -1;
}

static void body_text(struct body *b, int indent, enum attribute attribute, const char *text)
{
	grid_put(b->grid, next_line(b), indent, b->grid->columns - indent, ALIGN_LEFT, attribute,
		 text);
}

/*
 * Puts a paragraph, broken between words. Lines after the first are indented by two more columns.
 */
static void body_wrapped(struct body *b, int indent, enum attribute attribute, const char *text)
{
	char line[CELL_SIZE];
	int width = b->grid->columns - indent;

	for (int i = 0; *text; i++) {
		size_t length = strlen(text), limit = i ? width - 2 : width;

		if (limit < 8 || limit >= sizeof(line))
			limit = limit < 8 ? 8 : sizeof(line) - 1;
		if (length > limit) {
			for (length = limit; length > limit / 2 && text[length] != ' '; length--)
				;
			if (text[length] != ' ')
				for (length = limit; (text[length] & 0xc0) == 0x80;
				     length--) /* no character is cut in two */
					;
		}
		snprintf(line, sizeof(line), "%.*s", (int)length, text);
		body_text(b, indent + (i ? 2 : 0), attribute, line);
		for (text += length; *text == ' '; text++)
			;
	}
}

/* "0:07", "1:02:03", "3d 01:02:03" */
static void duration_text(char *out, double seconds)
{
	uint64_t s = seconds > 0 && seconds < 1e15 ? seconds : 0;

	if (s >= 86400)
		sprintf(out, "%" PRIu64 "d %02d:%02d:%02d", s / 86400, (int)(s / 3600 % 24),
			(int)(s / 60 % 60), (int)(s % 60));
	else if (s >= 3600)
		sprintf(out, "%d:%02d:%02d", (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
	else
		sprintf(out, "%d:%02d", (int)(s / 60), (int)(s % 60));
}

/*
 * sockfair watch   kernel 6.1.0-50-cloud-amd64, fentry, for 1:02:03, every 1 s      FROZEN
 */
static void header(struct grid *g, int row, const struct view *v, const struct screen_state *state)
{
	char text[CELL_SIZE], length[64];

	duration_text(length, v->total->seconds);
	snprintf(text, sizeof(text), "kernel %.64s, %s, for %s, every %.10g s", v->total->release,
		 v->total->backend ? v->total->backend : "no backend", length, state->every);
	if (v->total->own_cost.known && v->interval->seconds > 0)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 ", own cost %.2f %% + %.2f %% of a CPU",
			 v->interval->own_cost.ns / v->interval->seconds / 1e7,
			 v->interval->own_cost.process_ns / v->interval->seconds / 1e7);
	grid_put(g, row, 0, g->columns, ALIGN_LEFT, ATTRIBUTE_BOLD, "sockfair watch");
	grid_put(g, row, 16, g->columns - 16, ALIGN_LEFT, ATTRIBUTE_NORMAL, text);
	if (state->frozen)
		grid_put(g, row, g->columns - 8, 8, ALIGN_RIGHT, ATTRIBUTE_REVERSE, " FROZEN ");
}

/*
 *  1 Ports  2 Sockets  3 Workers  4 Processes        by total, shares since the start
 */
static void tabs(struct grid *g, int row, const struct page *p)
{
	const struct screen_state *state = p->state;
	int gap = g->columns >= 60 ? 2 : 1, column = 0;
	char text[CELL_SIZE];

	for (int i = 0; i < TAB_COUNT; i++)
		column += grid_put(g, row, column, g->columns - column, ALIGN_LEFT,
				   i == (int)state->tab ? ATTRIBUTE_REVERSE : ATTRIBUTE_NORMAL,
				   tab_names[i]) +
			  gap;
	snprintf(text, sizeof(text), "by %s%s, %s", p->sort->title,
		 state->reversed[state->tab] ? " reversed" : "",
		 p->view.recent ? "shares of the interval" : "shares since start");
	if (column + 2 + grid_width(g, text) > g->columns)
		*strchr(text, ',') = 0;
	if (column + 2 + grid_width(g, text) <= g->columns)
		grid_put(g, row, column, g->columns - column, ALIGN_RIGHT, ATTRIBUTE_DIM, text);
}

/* "≥ counts are lower bounds: 7 lost (accepts whose listening socket could not be told: 7)" */
static void lost_line(struct grid *g, int row, const struct snapshot *total)
{
	char text[CELL_SIZE], count[TEXT_COUNT_SIZE];
	const bool of_counts = snapshot_lost_counts(total);
	int used = snprintf(text, sizeof(text), "%s %s, %s lost:", g->utf8 ? "≥" : ">=",
			    of_counts ? "all counts are lower bounds"
				      : "not all connections are followed",
			    text_count(count, snapshot_lost(total)));

	for (size_t i = 0; i < total->lost_count && used < (int)sizeof(text); i++)
		used += snprintf(text + used, sizeof(text) - used, "%s%s %s %s", i ? ";" : "",
				 total->lost[i].at_most ? " at most" : "",
				 text_count(count, total->lost[i].count), total->lost[i].text);
	grid_put(g, row, 0, g->columns, ALIGN_LEFT, ATTRIBUTE_RED, text);
}

/* ---- an endpoint's verdict and findings ---- */

/* "nothing to compare: only one"; "none" */
static char *judged_words(char *buffer, const struct fairness *f)
{
	if (f->verdict == VERDICT_NOT_APPLICABLE && !f->bins)
		return strcpy(buffer, "none");
	strcpy(buffer, verdict_words(f->verdict, WORDS_LINE));
	if (f->verdict == VERDICT_NOT_APPLICABLE)
		sprintf(buffer + strlen(buffer), ": %s", nothing_words(f));
	return buffer;
}

/*
 *   workers   uneven: CV 1.640 (fair hash 0.019), busiest 5.02x mean, 0 of 8 idle
 *
 * This just fits into 80 columns; further figures need a wider page.
 */
static void verdict_line(struct body *b, const char *what, const struct fairness *f)
{
	const int row = next_line(b), columns = b->grid->columns;
	int column = 12, used;
	char text[CELL_SIZE], needed[TEXT_COUNT_SIZE], more[64];

	grid_put(b->grid, row, 2, column - 2, ALIGN_LEFT, ATTRIBUTE_NORMAL, what);
	column += grid_put(b->grid, row, column, columns - column, ALIGN_LEFT,
			   judged_attribute(f->verdict), judged_words(text, f));
	if (f->verdict == VERDICT_NOT_APPLICABLE)
		return;
	if (f->verdict == VERDICT_WITHHELD) {
		snprintf(text, sizeof(text), ": %s", withheld_words(f->withheld));
		grid_put(b->grid, row, column, columns - column, ALIGN_LEFT, ATTRIBUTE_NORMAL,
			 text);
		return;
	}
	used = sprintf(text, ": CV %.3f", f->cv);
	if (!isnan(f->cv_expected))
		used += sprintf(text + used, " (fair%s %.3f)", columns < 90 ? "" : " hash",
				f->cv_expected);
	used += sprintf(text + used, ", busiest %.2fx mean, %zu of %zu idle", f->max_over_mean,
			f->idle, f->bins);
	snprintf(more, sizeof(more), "; needs %s %s", text_count(needed, f->needed),
		 f->unit == UNIT_FLOW ? "flows" : "events");
	if (f->verdict == VERDICT_TOO_FEW && column + used + (int)strlen(more) <= columns)
		strcpy(text + used, more);
	grid_put(b->grid, row, column, columns - column, ALIGN_LEFT, ATTRIBUTE_NORMAL, text);
}

/*
 *   wait      p50 27 us, p99 1.2 ms, max 3.4 ms; highest queue 12
 */
static void page_waits_line(struct body *b, const struct endpoint *e)
{
	struct wait_sum sum = {};
	uint32_t highest = 0;
	char text[CELL_SIZE], p50[TEXT_DURATION_SIZE], p99[TEXT_DURATION_SIZE],
		max[TEXT_DURATION_SIZE];
	int row, used;

	wait_sum_add_sockets(&sum, e);
	if (!sum.wait.count)
		return;
	for (size_t i = 0; i < e->socket_count; i++)
		if (e->sockets[i].highest_known && e->sockets[i].queue_highest > highest)
			highest = e->sockets[i].queue_highest;
	used = sprintf(text, "p50 %s, p99 %s, max %s",
		       text_duration(p50, wait_sum_quantile_ns(&sum, 0.5)),
		       text_duration(p99, wait_sum_quantile_ns(&sum, 0.99)),
		       text_duration(max, wait_max_ns(&sum.wait)));
	if (highest)
		sprintf(text + used, "; highest queue %" PRIu32, highest);
	row = next_line(b);
	grid_put(b->grid, row, 2, 10, ALIGN_LEFT, ATTRIBUTE_NORMAL, "wait");
	grid_put(b->grid, row, 12, b->grid->columns - 12, ALIGN_LEFT, ATTRIBUTE_NORMAL, text);
}

static void findings(struct body *b, const struct endpoint *e)
{
	static const enum attribute attributes[] = { [FINDING_PROBLEM] = ATTRIBUTE_YELLOW,
						     [FINDING_NOTE] = ATTRIBUTE_DIM,
						     [FINDING_GOOD] = ATTRIBUTE_GREEN };
	char text[sizeof(e->findings->text) + 8];

	for (size_t i = 0; i < e->finding_count; i++) {
		const struct finding *f = &e->findings[i];

		snprintf(text, sizeof(text), "%s %.*s", text_mark(f->level, b->grid->utf8),
			 (int)sizeof(f->text), f->text);
		body_wrapped(b, 2, attributes[f->level], text);
	}
}

/* Puts "! 1 finding", or "i 2 notes" if nothing looks wrong. */
static void findings_mark(struct body *b, int row, int column, const struct endpoint *e)
{
	size_t problems = 0, notes = 0;
	char text[64];

	for (size_t i = 0; i < e->finding_count; i++) {
		problems += e->findings[i].level == FINDING_PROBLEM;
		notes += e->findings[i].level == FINDING_NOTE;
	}
	if (problems)
		sprintf(text, "! %zu finding%s", problems, problems > 1 ? "s" : "");
	else if (notes)
		sprintf(text, "i %zu note%s", notes, notes > 1 ? "s" : "");
	else
		return;
	grid_put(b->grid, row, column, b->grid->columns - column, ALIGN_LEFT,
		 problems ? ATTRIBUTE_YELLOW : ATTRIBUTE_DIM, text);
}

/*
 * tcp 0.0.0.0:8080  1,234/s, 12,345 since start  ! 1 finding
 *   steered by sockfair (pid 812) since 11:42:07 UTC
 */
static void page_port_heading(struct body *b, const struct row *port, const struct page *p)
{
	char text[CELL_SIZE], rate[CELL_SIZE], count[TEXT_COUNT_SIZE], steered[STEERED_SIZE];
	int row = next_line(b), column;

	port_name(text, port->endpoint, &p->view);
	column = grid_put(b->grid, row, 0, b->grid->columns, ALIGN_LEFT, ATTRIBUTE_BOLD, text) + 2;
	rate_text(rate, TEXT_COUNT_SIZE, port->recent, p->view.interval->seconds);
	snprintf(text, sizeof(text), "%.32s/s, %s since start", rate,
		 text_count(count, port->total));
	column += grid_put(b->grid, row, column, b->grid->columns - column, ALIGN_LEFT,
			   ATTRIBUTE_NORMAL, text) +
		  2;
	if (p->tab != TAB_PORTS)
		findings_mark(b, row, column, port->endpoint);
	else /* its findings are listed below */
		grid_put(b->grid, row, column, b->grid->columns - column, ALIGN_LEFT, ATTRIBUTE_DIM,
			 port->endpoint->design.words);
	if (say_steered(steered, &port->endpoint->lookup))
		body_text(b, 2, ATTRIBUTE_YELLOW, steered);
}

/* Puts what there is to say about the port under the cursor, below the list of ports. */
static void port_detail(struct body *b, const struct row *port, const struct page *p)
{
	const struct endpoint *judged = row_judged(port, &p->view);

	next_line(b);
	page_port_heading(b, port, p);
	if (judged) {
		verdict_line(b, "sockets", &judged->socket_fairness);
		verdict_line(b, "workers", &judged->worker_fairness);
		verdict_line(b, "processes", &judged->process_fairness);
		page_waits_line(b, judged);
	} else {
		body_text(b, 2, ATTRIBUTE_DIM, "nothing of it in this interval");
	}
	findings(b, port->endpoint);
}

/* ---- tabs ---- */

static void port_remember(struct endpoint *to, const struct endpoint *from)
{
	*to = *from;
	to->sockets = NULL;
	to->workers = NULL;
	to->cpus = NULL;
	to->holders = NULL;
	to->stallers = NULL;
	to->findings = NULL;
	to->histograms = NULL;
	to->histogram_count = 0;
	to->connected_count = to->connected_workers = 0;
	to->socket_count = to->worker_count = to->cpu_count = to->holder_count = to->staller_count =
		to->finding_count = 0;
}

/* Moves the cursor as the user asked. Otherwise it stays on its port, wherever that is sorted to.
 * Returns the port's index. */
static size_t cursor_settle(struct page *p)
{
	const struct endpoint *on =
		p->state->pointed
			? snapshot_find((struct snapshot *)p->view.total, &p->state->cursor)
			: NULL;
	long at = 0;

	for (size_t i = 0; i < p->port_count; i++)
		if (on && p->ports[i].endpoint == on)
			at = i;
	at += p->state->move;
	at = at < 0 ? 0 : at >= (long)p->port_count ? (long)p->port_count - 1 : at;
	p->state->move = 0;
	p->state->pointed = true;
	port_remember(&p->state->cursor, p->ports[at].endpoint);
	return at;
}

static void scroll_settle(struct page *p, int lines, int height)
{
	int *top = &p->state->top[p->state->tab];

	*top += p->state->move;
	*top = *top > lines - height ? lines - height : *top;
	*top = *top < 0 ? 0 : *top;
	p->state->move = 0;
	p->state->page = height;
	p->body.skip = *top;
	p->body.line = 0;
}

/* Puts the list above and the detail of the port under the cursor below it. Each gets half of the
 * page if both are long. */
static int tab_ports(struct page *p)
{
	size_t at = cursor_settle(p);
	int height = p->body.height, below, *top = &p->state->top[TAB_PORTS];
	struct body detail = p->body;

	detail.height = 0;
	port_detail(&detail, &p->ports[at], p);
	below = detail.line;
	if (below > height - (int)p->port_count)
		below = height - (int)p->port_count > height / 2 ? height - (int)p->port_count
			: below > height / 2                     ? height / 2
								 : below;
	p->body.height = height - below;
	*top = (int)at < *top                     ? (int)at
	       : (int)at >= *top + p->body.height ? (int)at - p->body.height + 1
						  : *top;
	scroll_settle(p, p->port_count, p->body.height);
	for (size_t i = 0; i < p->port_count; i++) {
		int row = next_line(&p->body);

		table_put_line(p->body.grid, row, &p->table, &p->ports[i], ATTRIBUTE_NORMAL);
		if (i == at && row >= 0)
			grid_paint(p->body.grid, row, ATTRIBUTE_REVERSE);
	}
	detail.first += (int)p->port_count < p->body.height ? (int)p->port_count : p->body.height;
	detail.height = below;
	detail.line = 0;
	port_detail(&detail, &p->ports[at], p);
	return 0;
}

static void folded_line(struct body *b, const char *format, uint64_t rows, uint64_t events)
{
	char text[CELL_SIZE], many[TEXT_COUNT_SIZE], with[TEXT_COUNT_SIZE];

	if (!rows)
		return;
	snprintf(text, sizeof(text), format, text_count(many, rows), text_count(with, events));
	body_text(b, 2, ATTRIBUTE_DIM, text);
}

/*
 * Takes out the rows that ended before this interval: they are history. A row stays if the verdict
 * is about it, because then nothing lived through the whole window. Returns how many rows are left.
 * *ended: how many rows were taken out; *with: the events they had.
 */
static size_t history_take_out(struct row *rows, size_t count, uint64_t *ended, uint64_t *with)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		const struct row *r = &rows[i];

		if (r->ended && !r->present && (!r->takes || r->left_out)) {
			++*ended;
			*with += r->total;
		} else {
			rows[kept++] = *r;
		}
	}
	return kept;
}

/* Threads of wide processes that have no line of their own. rows: the same rows as the page's, in
 * the same order. All zero: there are no such threads. */
struct folded_rows {
	struct wide_row *rows;
	struct wide_fold *folds;
	size_t count;
};

static int folded_make(struct folded_rows *f, const struct row *rows, size_t count,
		       const struct view *v)
{
	f->rows = calloc(count + 1, sizeof(*f->rows));
	for (size_t i = 0; i < count && f->rows; i++)
		f->rows[i] = (struct wide_row){ .worker = rows[i].worker,
						.count = v->recent ? rows[i].recent : rows[i].total,
						.served = v->has & HAS_SERVED ? rows[i].served : 0,
						.takes = rows[i].takes,
						.ended = rows[i].ended };
	return f->rows ? wide_fold(f->rows, count, &f->folds, &f->count) : -ENOMEM;
}

/* Puts the lines about a port that are not rows. */
static void not_listed(struct page *p, const struct endpoint *e)
{
	const struct connected_sum connected = endpoint_connected(e);

	folded_line(&p->body, "and %s connected sockets, a peer each, with %s", connected.sockets,
		    connected.delivered > connected.received ? connected.delivered
							     : connected.received);
	if (p->tab == TAB_SOCKETS)
		folded_line(&p->body, "and %s more, beyond what is listed, with %s",
			    e->omitted.sockets, e->omitted.arrived);
	else
		folded_line(&p->body, "and %s more threads, beyond what is listed, with %s",
			    e->omitted.workers, e->omitted.accepted);
}

static void tab_verdict(struct page *p, const struct endpoint *judged)
{
	if (p->tab == TAB_SOCKETS) {
		verdict_line(&p->body, "sockets", &judged->socket_fairness);
		page_waits_line(&p->body, judged);
	} else if (p->tab == TAB_WORKERS) {
		verdict_line(&p->body, "workers", &judged->worker_fairness);
	} else {
		verdict_line(&p->body, "processes", &judged->process_fairness);
	}
}

/*
 * The rows of one port on one of the other tabs:
 *
 * tcp 0.0.0.0:8080  1,234/s, 12,345 since start
 *   workers   even: CV 0.013 (fair hash 0.013), busiest 1.02x mean, 0 of 8 idle
 *     700     703 worker-0             17      154      1,543 waits  12.5% ██████████
 *   ...
 *   and 12 ended with 3,456
 */
static int port_rows(struct page *p, const struct row *port)
{
	const struct view *v = &p->view;
	const struct endpoint *e = port->endpoint, *judged = row_judged(port, v);
	struct folded_rows folded = {};
	uint64_t ended = 0, with = 0;
	struct row *rows;
	size_t count;
	char words[WIDE_SIZE];
	int err = tab_rows_make(&rows, &count, port, p->tab, v->recent);

	if (err)
		return err;
	tab_order(rows, count, p->sort, p->state->reversed[p->tab]);
	page_port_heading(&p->body, port, p);
	if (judged)
		tab_verdict(p, judged);
	if (p->state->selected)
		findings(&p->body, e);
	count = history_take_out(rows, count, &ended, &with);
	err = p->state->selected || p->tab != TAB_WORKERS ? 0
							  : folded_make(&folded, rows, count, v);
	for (size_t i = 0; i < count; i++)
		if (!folded.rows || !folded.rows[i].fold)
			table_put_line(p->body.grid, next_line(&p->body), &p->table, &rows[i],
				       rows[i].ended ? ATTRIBUTE_DIM : ATTRIBUTE_NORMAL);
	for (size_t i = 0; i < folded.count; i++)
		body_text(&p->body, 2, ATTRIBUTE_DIM,
			  wide_words(words, &folded.folds[i],
				     e->protocol == PROTOCOL_UDP ? "received" : "accepted", false,
				     p->body.grid->utf8));
	folded_line(&p->body, "and %s ended with %s", ended, with);
	not_listed(p, e);
	free(folded.folds);
	free(folded.rows);
	free(rows);
	return err;
}

static int all_port_rows(struct page *p)
{
	bool first = true;
	int err = 0;

	for (size_t i = 0; i < p->port_count && !err; i++) {
		if (p->state->selected && snapshot_find((struct snapshot *)p->view.total,
							&p->state->chosen) != p->ports[i].endpoint)
			continue;
		if (!first)
			next_line(&p->body);
		first = false;
		err = port_rows(p, &p->ports[i]);
	}
	return err;
}

/* Counts the lines, then draws those that are in view. */
static int tab_rows(struct page *p)
{
	char text[CELL_SIZE + 64], name[CELL_SIZE];
	int height = p->body.height, err;

	if (p->state->selected &&
	    !snapshot_find((struct snapshot *)p->view.total, &p->state->chosen)) {
		port_name(name, &p->state->chosen, &p->view);
		snprintf(text, sizeof(text), "%s is not there any more; Esc shows all ports", name);
		body_text(&p->body, 0, ATTRIBUTE_YELLOW, text);
		return 0;
	}
	p->body.height = 0;
	err = all_port_rows(p);
	if (err)
		return err;
	p->body.height = height;
	scroll_settle(p, p->body.line, height);
	return all_port_rows(p);
}

static void help(struct page *p)
{
	struct body *b = &p->body;
	const char *name, *what;
	char text[CELL_SIZE];
	size_t next = 0;

	while ((name = screen_key_explained(&next, &what))) {
		const int row = next_line(b);

		grid_put(b->grid, row, 0, 10, ALIGN_LEFT, ATTRIBUTE_BOLD, name);
		grid_put(b->grid, row, 11, b->grid->columns - 11, ALIGN_LEFT, ATTRIBUTE_NORMAL,
			 what);
	}
	next_line(b);
	body_wrapped(b, 0, ATTRIBUTE_NORMAL,
		     "CV: standard deviation over mean of what each got; fair hash: the CV that "
		     "chance alone gives. "
		     "Uneven is what chance does not explain and what is large enough to matter. "
		     "total: since the start, or since z. queue: waiting now / limit (TCP "
		     "connections, UDP bytes); highest: the longest that it was. "
		     "wait: time in the accept queue, of half of the connections (p50), of 99 of "
		     "100 (p99), of all (max) at most. "
		     "served: connections that a thread was the first to read from.");
	for (size_t i = 0; i < p->view.total->unseen_count; i++) {
		snprintf(text, sizeof(text), "This backend does not see: %s",
			 p->view.total->unseen[i]);
		body_wrapped(b, 0, ATTRIBUTE_YELLOW, text);
	}
}

static void help_page(struct page *p)
{
	int height = p->body.height;

	p->body.height = 0;
	help(p);
	p->body.height = height;
	scroll_settle(p, p->body.line, height);
	help(p);
}

static void nothing_yet(struct body *b, const struct screen_state *state)
{
	char text[CELL_SIZE];

	if (state->filter && *state->filter)
		snprintf(text, sizeof(text), "waiting for a socket that matches: %s",
			 state->filter);
	else
		strcpy(text, "waiting for the first connection or datagram");
	body_text(b, 0, ATTRIBUTE_NORMAL, text);
}

/* ---- the whole page ---- */

static int body_put(struct page *p)
{
	struct grid *g = p->body.grid;

	if (p->state->help) {
		help_page(p);
		return 0;
	}
	if (!p->port_count) {
		nothing_yet(&p->body, p->state);
		p->state->move = 0;
		return 0;
	}
	table_put_heading(g, p->body.first++, &p->table, p->sort);
	p->body.height--;
	return p->state->tab == TAB_PORTS ? tab_ports(p) : tab_rows(p);
}

static void ports_order(struct page *p)
{
	tab_table(&p->table, p->columns, TAB_PORTS, &p->view, p->body.grid->columns);
	tab_order(p->ports, p->port_count,
		  tab_sort(&p->table, TAB_PORTS, p->state->sort[TAB_PORTS]),
		  p->state->reversed[TAB_PORTS]);
}

int screen_compose(struct grid *g, const struct snapshot *interval, const struct snapshot *total,
		   struct screen_state *state)
{
	struct page p = { .view = { interval, total, state->recent, several_netns(total),
				    view_has(total) },
			  .tab = state->tab,
			  .state = state,
			  .body = { .grid = g } };
	int row = 0, last = g->rows - 1, err;

	if (g->rows < ROWS_MIN || g->columns < COLUMNS_MIN) {
		grid_put(g, 0, 0, g->columns, ALIGN_LEFT, ATTRIBUTE_NORMAL,
			 "too small: needs 40x8");
		return 0;
	}
	err = rows_of_ports(&p.ports, &p.port_count, &p.view);
	if (err)
		return err;
	ports_order(&p);
	tab_table(&p.table, p.columns, p.tab, &p.view, g->columns);
	p.sort = tab_sort(&p.table, p.tab, state->sort[p.tab]);
	header(g, row++, &p.view, state);
	if (state->filter && *state->filter) {
		grid_put(g, row, 0, 16, ALIGN_LEFT, ATTRIBUTE_NORMAL, "only");
		grid_put(g, row++, 16, g->columns - 16, ALIGN_LEFT, ATTRIBUTE_NORMAL,
			 state->filter);
	}
	if (snapshot_lost(total))
		lost_line(g, row++, total);
	tabs(g, row++, &p);
	row++;
	screen_footer(g, last--, state);
	if (*state->notice)
		grid_put(g, last--, 0, g->columns, ALIGN_LEFT, ATTRIBUTE_YELLOW, state->notice);
	p.body = (struct body){ .grid = g, .first = row, .height = last - row + 1 };
	err = body_put(&p);
	free(p.ports);
	return err;
}
