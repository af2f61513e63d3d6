/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "text.h"

#include <math.h>
#include <string.h>

#include "text_parts.h"

#define ROWS_MAX 64 /* more are folded into one line: text is for people */

static uint64_t worker_work(const struct worker_row *w)
{
	return w->accepted > w->served ? w->accepted : w->served;
}

static void worker_table(FILE *out, const struct endpoint *e, const struct text_style *style)
{
	const bool hands_over = e->served_known && e->served_fairness.bins > e->worker_fairness.bins;
	const int cells = text_bar_cells(style, hands_over ? 66 : 55); /* what stands left of the bar, and "(ended)" */
	uint64_t most = 1, sum = 0, folded = 0;
	char count[TEXT_COUNT_SIZE], served[TEXT_COUNT_SIZE];

	for (size_t i = 0; i < e->worker_count; i++) {
		uint64_t n = hands_over ? e->workers[i].served : e->workers[i].accepted;

		most = n > most ? n : most;
		sum += n;
	}
	fprintf(out, "  %sworker      tid   socket %10s", text_paint(style, TEXT_BOLD), e->protocol == PROTOCOL_UDP ? "received" : "accepted");
	fprintf(out, hands_over ? "     served   share%s\n" : "   share%s\n", text_paint(style, TEXT_PLAIN));
	for (size_t i = 0; i < e->worker_count; i++) {
		const struct worker_row *w = &e->workers[i];
		uint64_t n = hands_over ? w->served : w->accepted;

		if (i >= ROWS_MAX) {
			folded += worker_work(w);
			continue;
		}
		if (w->number < 0)
			fprintf(out, "  %6.6s", w->serves || !hands_over ? "other" : "accept");
		else
			fprintf(out, "  %6d", w->number);
		fprintf(out, " %8d %8llu %10s", w->tid, (unsigned long long)w->cookie, text_count(count, w->accepted));
		if (hands_over)
			fprintf(out, " %10s", text_count(served, w->served));
		fprintf(out, " %6.1f%%", sum ? 100.0 * n / sum : 0.0);
		text_bar(out, (double)n / most, cells, style);
		fprintf(out, "%s\n", w->ended ? "  (ended)" : "");
	}
	if (e->worker_count > ROWS_MAX)
		fprintf(out, "  and %zu more with %s\n", e->worker_count - ROWS_MAX, text_count(count, folded));
}

static void socket_table(FILE *out, const struct endpoint *e, const struct text_style *style)
{
	const bool udp = e->protocol == PROTOCOL_UDP;
	const int cells = text_bar_cells(style, udp ? 49 : 48); /* what stands left of the bar */
	uint64_t most = 1, sum = 0, folded = 0;
	char count[TEXT_COUNT_SIZE];

	for (size_t i = 0; i < e->socket_count; i++) {
		most = e->sockets[i].arrived > most ? e->sockets[i].arrived : most;
		sum += e->sockets[i].arrived;
	}
	fprintf(out, "  %ssocket    inode %10s %s   share%s\n", text_paint(style, TEXT_BOLD), udp ? "delivered" : "arrived",
		udp ? "   dropped" : "  backlog", text_paint(style, TEXT_PLAIN));
	for (size_t i = 0; i < e->socket_count; i++) {
		const struct socket_row *s = &e->sockets[i];

		if (i >= ROWS_MAX) {
			folded += s->arrived;
			continue;
		}
		fprintf(out, "  %6llu %8u %10s", (unsigned long long)s->cookie, s->inode, text_count(count, s->arrived));
		if (udp)
			fprintf(out, " %10s", text_count(count, s->dropped));
		else if (s->queue_limit)
			fprintf(out, " %9u", s->queue_limit);
		else
			fprintf(out, " %9s", "-"); /* not known: 0 would be a claim */
		fprintf(out, " %6.1f%%", sum ? 100.0 * s->arrived / sum : 0.0);
		text_bar(out, (double)s->arrived / most, cells, style);
		fputc('\n', out);
	}
	if (e->socket_count > ROWS_MAX)
		fprintf(out, "  and %zu more with %s\n", e->socket_count - ROWS_MAX, text_count(count, folded));
}

static void cpu_line(FILE *out, const struct endpoint *e)
{
	char count[TEXT_COUNT_SIZE];

	if (!e->cpu_count)
		return;
	fprintf(out, "  arrivals by CPU:");
	for (size_t i = 0; i < e->cpu_count && i < ROWS_MAX; i++)
		fprintf(out, "%s %u: %s", i ? "," : "", e->cpus[i].cpu, text_count(count, e->cpus[i].arrived));
	fputs(e->cpu_count > ROWS_MAX ? ", ...\n" : "\n", out);
}

static void heading(FILE *out, const struct snapshot *s, const char *design, const struct text_style *style)
{
	const struct workload_account *w = &s->workload;
	const struct endpoint *e = s->endpoint_count ? &s->endpoints[0] : NULL;
	const char *unit = e && e->protocol == PROTOCOL_UDP ? "datagrams" : "connections";
	char address[TEXT_ADDRESS_SIZE], count[TEXT_COUNT_SIZE];

	fprintf(out, "%s%s%s: %s\n", text_paint(style, TEXT_BOLD), w->mode, text_paint(style, TEXT_PLAIN), design);
	if (*w->skipped) {
		fprintf(out, "  not run: %s\n", w->skipped);
		return;
	}
	fprintf(out, "  %s%s, %u workers (%s)", e && e->protocol == PROTOCOL_UDP ? "udp " : "tcp ",
		e ? text_address(address, e) : "", w->workers, w->processes ? "processes" : "threads");
	if (w->serve_only)
		fprintf(out, ", %s %s from outside", text_count(count, w->accepted), unit);
	else
		fprintf(out, ", %s %s, %u at once", text_count(count, w->sent), unit, w->concurrency);
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
		fprintf(out, "  %s %s/s; ", text_count(rate, (w->serve_only ? w->accepted : w->sent) / w->seconds),
			udp ? "datagrams" : "connections");
	else
		fprintf(out, "  ");
	if (w->agrees)
		fprintf(out, "%s%s agree%s on every worker", text_paint(style, TEXT_GREEN), w->serve_only ? "kernel and server" :
			"kernel, server and clients", text_paint(style, TEXT_PLAIN));
	else
		fprintf(out, "%scounts do not agree%s: %s", text_paint(style, TEXT_RED), text_paint(style, TEXT_PLAIN), w->disagreement);
	if (w->failed)
		fprintf(out, "; %s %s", text_count(failed, w->failed), udp ? "without a reply in time" : "given up by the clients");
	fprintf(out, "; lost %s\n", text_count(rate, snapshot_lost(s)));
	text_lost(out, s, style);
	text_unseen(out, s, style);
}

void text_result(FILE *out, const struct snapshot *s, const char *design, const struct text_style *style)
{
	heading(out, s, design, style);
	if (*s->workload.skipped) {
		fputc('\n', out);
		return;
	}
	for (size_t i = 0; i < s->endpoint_count; i++) {
		const struct endpoint *e = &s->endpoints[i];

		worker_table(out, e, style);
		fputc('\n', out);
		socket_table(out, e, style);
		fputc('\n', out);
		text_fairness(out, "workers", &e->worker_fairness, style);
		text_fairness(out, "sockets", &e->socket_fairness, style);
		if (e->served_known && e->served_fairness.bins > e->worker_fairness.bins)
			text_fairness(out, "served", &e->served_fairness, style);
		cpu_line(out, e);
	}
	account(out, s, style);
	fputc('\n', out);
}

/* What a row of the comparison is about: those who take the work, or where one hands over, those who serve. */
static const struct fairness *headline(const struct endpoint *e)
{
	return e->worker_fairness.verdict == VERDICT_NOT_APPLICABLE && e->served_known ? &e->served_fairness : &e->worker_fairness;
}

static void verdict_cell(FILE *out, enum verdict v, int width, const struct text_style *style)
{
	const char *name = v == VERDICT_NOT_APPLICABLE ? "-" : verdict_name(v);

	fprintf(out, "%s%-*s%s", text_paint(style, text_verdict_colour(v)), width, name, text_paint(style, TEXT_PLAIN));
}

static void comparison_row(FILE *out, const struct snapshot *s, const struct text_style *style)
{
	const struct workload_account *w = &s->workload;
	const struct endpoint *e = s->endpoint_count ? &s->endpoints[0] : NULL;
	const struct fairness *f;
	char p[16], rate[TEXT_COUNT_SIZE], idle[24];

	fprintf(out, "%-23s ", w->mode);
	if (*w->skipped || !e) {
		fprintf(out, "not run: %s\n", *w->skipped ? w->skipped : "no result");
		return;
	}
	f = headline(e);
	text_p_value(p, f->p_value);
	verdict_cell(out, f->verdict, 13, style);
	snprintf(idle, sizeof(idle), "%zu of %zu", f->idle, f->bins);
	if (isnan(f->cv))
		fprintf(out, "%6s %9s %8s %9s", "-", "-", "-", idle);
	else
		fprintf(out, "%6.3f %9.3f %7.2fx %9s", f->cv, f->cv_expected, f->max_over_mean, idle);
	fprintf(out, " %7s  ", p);
	verdict_cell(out, e->socket_fairness.verdict, 10, style);
	fprintf(out, "%11s  %s\n", text_count(rate, w->seconds > 0 ? (w->serve_only ? w->accepted : w->sent) / w->seconds : 0),
		w->agrees ? "agree" : "DO NOT AGREE");
}

void text_comparison(FILE *out, const struct snapshot *runs, size_t count, const struct text_style *style)
{
	fprintf(out, "%s%-23s %-13s%6s %9s %8s %9s %7s  %-10s%11s  %s%s\n", text_paint(style, TEXT_BOLD), "mode", "workers", "CV", "fair hash",
		"busiest", "idle", "p", "sockets", "per second", "counts", text_paint(style, TEXT_PLAIN));
	for (size_t i = 0; i < count; i++)
		comparison_row(out, &runs[i], style);
	for (size_t i = 0; i < count; i++) {
		const struct workload_account *w = &runs[i].workload;

		if (*w->skipped)
			continue;
		fprintf(out, "%u workers, %u requests outstanding at once; kernel %s, backend %s\n", w->workers, w->concurrency,
			runs[i].release, runs[i].backend);
		break;
	}
	fprintf(out, "CV: standard deviation over mean of what each worker got; fair hash: the CV that chance alone gives\n");
}
