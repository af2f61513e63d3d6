/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "text.h"

#include <math.h>
#include <string.h>

#include "../model/judge.h"
#include "../model/lifetimes.h"
#include "../model/wait_sum.h"
#include "../model/words.h"
#include "text_parts.h"

#define ROWS_MAX 64    /* more are folded into one line: text is for people */
#define WAIT_BAR_MIN 8 /* the workers' waits are shown if a bar of that length still fits */

/* What the table of workers has beside what it always has, and what its shares are made of. */
struct worker_columns {
	bool served, open, cpu, wait;
	int cells; /* of a bar */
	uint64_t sum, most;
	struct lifetimes seen;
};

/* What follows a row: its worker was killed half-way, and is in no verdict while others lived on.
 */
static const char *fate(const struct worker_row *w, const struct worker_columns *c)
{
	const bool judged =
		w->can_accept && lifetimes_admit(&c->seen, w->appeared, worker_is_past(w));

	return w->ended ? judged ? "  (ended: judged)" : "  (ended)" : "";
}

static uint64_t worker_work(const struct worker_row *w)
{
	return w->accepted > w->served ? w->accepted : w->served;
}

static uint64_t worker_share(const struct worker_row *w, const struct worker_columns *c)
{
	return c->served ? w->served : w->accepted;
}

/* A run that is over has closed what it opened, but for the last few: those are no news. */
static bool holds_open(const struct endpoint *e)
{
	uint64_t open = 0, all = 0;

	for (size_t i = 0; i < e->worker_count; i++) {
		open += e->workers[i].open_known ? e->workers[i].open : 0;
		all += e->workers[i].accepted;
	}
	return open > all / 100;
}

static struct worker_columns worker_columns(const struct snapshot *s, const struct endpoint *e,
					    const struct text_style *style)
{
	struct worker_columns c = { .served = text_hands_over(e),
				    .open = holds_open(e),
				    .most = 1,
				    .seen = endpoint_lifetimes(e) };
	int used = 47, fate_width = 0; /* up to the bar */
	bool waits = false;

	for (size_t i = 0; i < e->worker_count; i++) {
		const struct worker_row *w = &e->workers[i];
		const uint64_t n = worker_share(w, &c);

		c.most = n > c.most ? n : c.most;
		c.sum += n;
		waits |= w->wait_known && w->wait.count;
		if (w->can_accept)
			lifetimes_see(&c.seen, w->appeared, worker_is_past(w));
	}
	for (size_t i = 0; i < e->worker_count; i++)
		fate_width = (int)strlen(fate(&e->workers[i], &c)) > fate_width
				     ? (int)strlen(fate(&e->workers[i], &c))
				     : fate_width;
	used += (c.served ? 11 : 0) + (c.open ? 9 : 0) + fate_width;
	c.cpu = s->looked_seconds > 0 && text_bar_cells(style, used + 7) >= WAIT_BAR_MIN;
	used += c.cpu ? 7 : 0;
	c.wait = waits && text_bar_cells(style, used + 9) >= WAIT_BAR_MIN;
	c.cells = text_bar_cells(style, used + (c.wait ? 9 : 0));
	return c;
}

static void worker_line(FILE *out, const struct snapshot *s, const struct worker_row *w,
			const struct worker_columns *c, const struct text_style *style)
{
	const struct endpoint *e = &s->endpoints[0];
	const double ns = w->wait_known ? wait_quantile_ns(&w->wait, e->histograms, 0.99) : NAN;
	const uint64_t n = worker_share(w, c);
	char count[TEXT_COUNT_SIZE], wait[TEXT_DURATION_SIZE];

	if (w->number < 0)
		fprintf(out, "  %6.6s", w->serves || !c->served ? "other" : "accept");
	else
		fprintf(out, "  %6d", w->number);
	fprintf(out, " %8d %8llu %10s", w->tid, (unsigned long long)w->cookie,
		text_count(count, w->accepted));
	if (c->served)
		fprintf(out, " %10s", text_count(count, w->served));
	if (c->open)
		text_right(out, 9,
			   w->open_known ? text_bound(count, w->open, w->open_at_least, style->utf8)
					 : "-");
	if (c->cpu)
		fprintf(out, " %6s", text_cpu(count, w->usage_known, w->cpu_ns, s->looked_seconds));
	if (c->wait)
		fprintf(out, " %8s", text_duration(wait, ns));
	fprintf(out, " %6.1f%%", c->sum ? 100.0 * n / c->sum : 0.0);
	text_bar(out, (double)n / c->most, c->cells, style);
	fprintf(out, "%s\n", fate(w, c));
}

static void worker_table(FILE *out, const struct snapshot *s, const struct endpoint *e,
			 const struct text_style *style)
{
	const struct worker_columns c = worker_columns(s, e, style);
	uint64_t folded = 0;
	char count[TEXT_COUNT_SIZE];

	fprintf(out, "  %sworker      tid   socket %10s%s%s%s%s   share%s\n",
		text_paint(style, TEXT_BOLD), e->protocol == PROTOCOL_UDP ? "received" : "accepted",
		c.served ? "     served" : "", c.open ? "     open" : "", c.cpu ? "    CPU" : "",
		c.wait ? " wait p99" : "", text_paint(style, TEXT_PLAIN));
	for (size_t i = 0; i < e->worker_count; i++) {
		if (i < ROWS_MAX)
			worker_line(out, s, &e->workers[i], &c, style);
		else
			folded += worker_work(&e->workers[i]);
	}
	if (e->worker_count > ROWS_MAX)
		fprintf(out, "  and %zu more with %s\n", e->worker_count - ROWS_MAX,
			text_count(count, folded));
}

/* As above, of sockets. */
struct socket_columns {
	bool udp;
	bool highest; /* "12/4096", the longest that the queue was, in place of the backlog alone */
	bool p50, p99, max;
	int cells;
	uint64_t sum, most;
};

static struct socket_columns socket_columns(const struct endpoint *e,
					    const struct text_style *style)
{
	struct socket_columns c = { .udp = e->protocol == PROTOCOL_UDP, .most = 1 };
	const int width = text_longest(style);
	int used = e->protocol == PROTOCOL_UDP ? 49 : 48; /* up to the bar */

	for (size_t i = 0; i < e->socket_count; i++) {
		const struct socket_row *s = &e->sockets[i];

		c.most = s->arrived > c.most ? s->arrived : c.most;
		c.sum += s->arrived;
		c.highest |= s->highest_known && s->queue_highest;
		c.p99 |= s->wait_known && s->wait.count;
	}
	used += c.p99 ? 9 : 0;
	c.p50 = c.p99 && used + 7 <= width;
	used += c.p50 ? 9 : 0;
	c.max = c.p50 && used + 7 <= width;
	used += c.max ? 9 : 0;
	c.cells = text_bar_cells(style, used);
	return c;
}

/* "12/4096", "4096"; not known: 0 would be a claim */
static void queue_cell(char *buffer, size_t size, const struct socket_row *s,
		       const struct socket_columns *c)
{
	if (c->highest && s->highest_known && s->queue_limit)
		snprintf(buffer, size, "%u/%u", s->queue_highest, s->queue_limit);
	else if (!c->highest && s->queue_limit)
		snprintf(buffer, size, "%u", s->queue_limit);
	else
		snprintf(buffer, size, "-");
}

static void wait_cells(FILE *out, const struct endpoint *e, const struct socket_row *s,
		       const struct socket_columns *c)
{
	const struct wait none = {}, *w = s->wait_known ? &s->wait : &none;
	char text[TEXT_DURATION_SIZE];

	if (c->p50)
		fprintf(out, " %8s", text_duration(text, wait_quantile_ns(w, e->histograms, 0.5)));
	if (c->p99)
		fprintf(out, " %8s", text_duration(text, wait_quantile_ns(w, e->histograms, 0.99)));
	if (c->max)
		fprintf(out, " %8s", text_duration(text, wait_max_ns(w)));
}

static void socket_line(FILE *out, const struct endpoint *e, const struct socket_row *s,
			const struct socket_columns *c, const struct text_style *style)
{
	char count[TEXT_COUNT_SIZE], queue[32];

	fprintf(out, "  %6llu %8u %10s", (unsigned long long)s->cookie, s->inode,
		text_count(count, s->arrived));
	queue_cell(queue, sizeof(queue), s, c);
	if (c->udp)
		fprintf(out, " %10s", text_count(count, s->dropped));
	else
		fprintf(out, " %9s", queue);
	wait_cells(out, e, s, c);
	fprintf(out, " %6.1f%%", c->sum ? 100.0 * s->arrived / c->sum : 0.0);
	text_bar(out, (double)s->arrived / c->most, c->cells, style);
	fputc('\n', out);
}

static void socket_table(FILE *out, const struct endpoint *e, const struct text_style *style)
{
	const struct socket_columns c = socket_columns(e, style);
	uint64_t folded = 0;
	char count[TEXT_COUNT_SIZE];

	fprintf(out, "  %ssocket    inode %10s %s%s%s%s   share%s\n", text_paint(style, TEXT_BOLD),
		c.udp ? "delivered" : "arrived",
		c.udp       ? "   dropped"
		: c.highest ? "  highest"
			    : "  backlog",
		c.p50 ? " wait p50" : "",
		c.p50   ? "      p99"
		: c.p99 ? " wait p99"
			: "",
		c.max ? "      max" : "", text_paint(style, TEXT_PLAIN));
	for (size_t i = 0; i < e->socket_count; i++) {
		if (i < ROWS_MAX)
			socket_line(out, e, &e->sockets[i], &c, style);
		else
			folded += e->sockets[i].arrived;
	}
	if (e->socket_count > ROWS_MAX)
		fprintf(out, "  and %zu more with %s\n", e->socket_count - ROWS_MAX,
			text_count(count, folded));
}

static void cpu_line(FILE *out, const struct endpoint *e)
{
	char count[TEXT_COUNT_SIZE];

	if (!e->cpu_count)
		return;
	fprintf(out, "  arrivals by CPU:");
	for (size_t i = 0; i < e->cpu_count && i < ROWS_MAX; i++)
		fprintf(out, "%s %u: %s", i ? "," : "", e->cpus[i].cpu,
			text_count(count, e->cpus[i].arrived));
	fputs(e->cpu_count > ROWS_MAX ? ", ...\n" : "\n", out);
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
