/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "columns.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../model/array.h"
#include "../model/judge.h"
#include "../model/wait_sum.h"
#include "text_parts.h"

#define SORTABLE_MAX 16
void count_text(char *out, int width, uint64_t n)
{
	static const char units[] = "kMGTPE";
	double value = n;
	int unit = -1;
	char exact[TEXT_COUNT_SIZE];

	if ((int)strlen(text_count(exact, n)) <= width || n < 1000) {
		snprintf(out, CELL_SIZE, "%s", exact);
		return;
	}
	if (snprintf(out, CELL_SIZE, "%" PRIu64, n) <= width)
		return;
	for (; value >= 999.5 && units[unit + 1]; unit++)
		value /= 1000;
	snprintf(out, CELL_SIZE,
		 value < 9.995   ? "%.2f%c"
		 : value < 99.95 ? "%.1f%c"
				 : "%.0f%c",
		 value, units[unit]);
}

void rate_text(char *out, int width, uint64_t n, double seconds)
{
	double rate = n / seconds;

	if (!(seconds > 0) || !(rate < 1.8e19))
		strcpy(out, "-");
	else if (n && rate < 9.95)
		snprintf(out, CELL_SIZE, rate < 0.1 ? "<0.1" : "%.1f", rate);
	else
		count_text(out, width, (uint64_t)(rate + 0.5));
}

void port_name(char *out, const struct endpoint *e, const struct view *v)
{
	char address[CELL_SIZE / 2], netns[NETNS_NAME_SIZE];

	text_address(address, e);
	snprintf(out, CELL_SIZE, "%s %s", e->protocol == PROTOCOL_UDP ? "udp" : "tcp", address);
	if (v->several_netns)
		snprintf(out + strlen(out), CELL_SIZE - strlen(out), " netns %s",
			 text_netns(netns, e->netns, true));
}

enum attribute verdict_attribute(enum verdict v)
{
	return v == VERDICT_UNEVEN           ? ATTRIBUTE_RED
	       : v == VERDICT_EVEN           ? ATTRIBUTE_GREEN
	       : v == VERDICT_NOT_APPLICABLE ? ATTRIBUTE_NORMAL
					     : ATTRIBUTE_YELLOW;
}

const struct endpoint *row_judged(const struct row *r, const struct view *v)
{
	return v->recent ? r->interval : r->total;
}

/* ---- cells ---- */

static void cell_port(char *out, int width, const struct row *r, const struct view *v)
{
	(void)width;
	port_name(out, r->total, v);
}

static void cell_rate(char *out, int width, const struct row *r, const struct view *v)
{
	rate_text(out, width, r->recent, v->interval->seconds);
}

static void cell_count(char *out, int width, const struct row *r, const struct view *v)
{
	(void)v;
	count_text(out, width, r->count);
}

static void cell_share(char *out, int width, const struct row *r, const struct view *v)
{
	(void)width;
	(void)v;
	if (isnan(r->share))
		strcpy(out, "-");
	else
		snprintf(out, CELL_SIZE, "%.1f%%", 100 * r->share);
}

static void cell_drops(char *out, int width, const struct row *r, const struct view *v)
{
	const bool at_most = r->drops_least < r->drops;

	(void)v;
	strcpy(out, at_most ? "≤" : "");
	count_text(out + strlen(out), width - at_most, r->drops);
}

static void cell_cookie(char *out, int width, const struct row *r, const struct view *v)
{
	uint64_t cookie = r->socket ? r->socket->cookie : r->worker ? r->worker->cookie : 0;

	(void)width;
	(void)v;
	if (cookie)
		snprintf(out, CELL_SIZE, "%" PRIu64, cookie);
	else
		strcpy(out, "-");
}

static void cell_inode(char *out, int width, const struct row *r, const struct view *v)
{
	(void)width;
	(void)v;
	if (r->socket && r->socket->inode)
		snprintf(out, CELL_SIZE, "%" PRIu32, r->socket->inode);
	else
		strcpy(out, "-");
}

/* "3/4096", "213k/213k"; not known: 0 would be a claim */
static void cell_queue(char *out, int width, const struct row *r, const struct view *v)
{
	char length[CELL_SIZE], limit[CELL_SIZE];

	(void)v;
	if (!r->socket || !r->socket->queue_known || r->ended) {
		strcpy(out, "-");
		return;
	}
	if (snprintf(out, CELL_SIZE, "%" PRIu32 "/%" PRIu32, r->socket->queue_length,
		     r->socket->queue_limit) <= width)
		return;
	count_text(length, (width - 1) / 2, r->socket->queue_length);
	count_text(limit, (width - 1) / 2, r->socket->queue_limit);
	snprintf(out, CELL_SIZE, "%.100s/%.100s", length, limit);
}

static void cell_waits(char *out, int width, const struct row *r, const struct view *v)
{
	(void)v;
	if (r->ended)
		strcpy(out, "ended");
	else if (r->socket && r->socket->waiting_known)
		count_text(out, width - r->socket->waiting_cut, r->socket->waiting);
	else
		strcpy(out, "-");
	if (!r->ended && r->socket && r->socket->waiting_known && r->socket->waiting_cut)
		strcat(out, "+"); /* at least so many */
}

static void cell_highest(char *out, int width, const struct row *r, const struct view *v)
{
	(void)v;
	if (r->socket->highest_known)
		count_text(out, width, r->socket->queue_highest);
	else
		strcpy(out, "-");
}

static void cell_half_open(char *out, int width, const struct row *r, const struct view *v)
{
	(void)width;
	(void)v;
	text_half_open(out, r->socket);
}

static void cell_p50(char *out, int width, const struct row *r, const struct view *v)
{
	(void)width;
	(void)v;
	text_duration(out, r->p50_ns);
}

static void cell_p99(char *out, int width, const struct row *r, const struct view *v)
{
	(void)width;
	(void)v;
	text_duration(out, r->p99_ns);
}

static void cell_max(char *out, int width, const struct row *r, const struct view *v)
{
	(void)width;
	(void)v;
	text_duration(out, r->max_ns);
}

static void cell_served(char *out, int width, const struct row *r, const struct view *v)
{
	(void)v;
	if (r->serves)
		count_text(out, width, r->served);
	else
		strcpy(out, "-");
}

static void cell_open(char *out, int width, const struct row *r, const struct view *v)
{
	(void)v;
	if (r->open_known && r->open_at_least) {
		strcpy(out, "≥");
		count_text(out + strlen(out), width - 1, r->open);
	} else if (r->open_known)
		count_text(out, width, r->open);
	else
		strcpy(out, "-");
}

/* Of one CPU. Looks are not at the ends of the interval: their own times count. */
static void cell_cpu(char *out, int width, const struct row *r, const struct view *v)
{
	const double seconds = (v->recent ? v->interval : v->total)->looked_seconds;

	(void)width;
	text_cpu(out, r->cpu_known, r->cpu_ns, seconds);
}

static void cell_bytes(char *out, int width, const struct row *r, const struct view *v)
{
	(void)v;
	strcpy(out, !r->bytes_known ? "-" : r->bytes_at_least ? "≥" : "");
	if (r->bytes_known)
		count_text(out + strlen(out), width - r->bytes_at_least, r->bytes);
}

/* What a thread did when last looked at. */
static void cell_state(char *out, int width, const struct row *r, const struct view *v)
{
	(void)width;
	(void)v;
	if (r->ended)
		strcpy(out, "ended");
	else if (r->past)
		strcpy(out, "old");
	else if (r->worker->waits)
		strcpy(out, "waits");
	else
		strcpy(out, r->socket && r->socket->waiting_known ? "busy" : "-");
}

static void number_or_dash(char *out, int64_t n)
{
	if (n > 0)
		snprintf(out, CELL_SIZE, "%" PRId64, n);
	else
		strcpy(out, "-");
}

static void cell_pid(char *out, int width, const struct row *r, const struct view *v)
{
	(void)width;
	(void)v;
	number_or_dash(out, r->worker->pid);
}

static void cell_tid(char *out, int width, const struct row *r, const struct view *v)
{
	(void)width;
	(void)v;
	number_or_dash(out, r->worker->tid);
}

static void cell_pid_inside(char *out, int width, const struct row *r, const struct view *v)
{
	(void)width;
	(void)v;
	number_or_dash(out, r->worker->pid_inside);
}

static void cell_comm(char *out, int width, const struct row *r, const struct view *v)
{
	(void)width;
	(void)v;
	snprintf(out, CELL_SIZE, "%.*s", (int)sizeof(r->worker->comm), r->worker->comm);
}

static void cell_process(char *out, int width, const struct row *r, const struct view *v)
{
	const struct worker_row *w = r->worker;

	(void)width;
	(void)v;
	snprintf(out, CELL_SIZE, "%.*s", (int)sizeof(w->process),
		 *w->process ? w->process : w->comm);
}

/* Of a path the end tells more, and the column keeps that; of words the beginning. */
static void cell_unit(char *out, int width, const struct row *r, const struct view *v)
{
	char unit[TEXT_UNIT_SIZE];

	(void)v;
	text_unit(unit, r->worker->cgroup, true);
	snprintf(out, CELL_SIZE, "%.*s", *unit == '/' ? CELL_SIZE - 1 : width, *unit ? unit : "-");
}

static void cell_threads(char *out, int width, const struct row *r, const struct view *v)
{
	(void)v;
	count_text(out, width, r->threads);
}

static void cell_waiting_threads(char *out, int width, const struct row *r, const struct view *v)
{
	(void)v;
	if (r->ended)
		strcpy(out, "ended");
	else
		count_text(out, width, r->waits);
}

static void cell_group(char *out, int width, const struct row *r, const struct view *v)
{
	(void)width;
	(void)v;
	if (r->socket->group)
		snprintf(out, CELL_SIZE, "%" PRIu64, r->socket->group);
	else
		strcpy(out, r->socket->reuseport ? "yes" : "-");
}

static void cell_device(char *out, int width, const struct row *r, const struct view *v)
{
	(void)width;
	(void)v;
	snprintf(out, CELL_SIZE, "%.*s", (int)sizeof(r->socket->device),
		 *r->socket->device ? r->socket->device : "-");
}

static void cell_uid(char *out, int width, const struct row *r, const struct view *v)
{
	(void)width;
	(void)v;
	snprintf(out, CELL_SIZE, "%" PRIu32, r->socket->uid);
}

/* "nginx (700), nginx (701)": who has a descriptor of the socket, whether it uses it or not */
static void cell_holders(char *out, int width, const struct row *r, const struct view *v)
{
	size_t used = 0;

	(void)width;
	(void)v;
	strcpy(out, "-");
	for (size_t i = 0; i < r->total->holder_count; i++) {
		const struct holder_row *h = &r->total->holders[i];

		if (h->cookie != r->socket->cookie || used + 40 > CELL_SIZE)
			continue;
		used += snprintf(out + used, CELL_SIZE - used, "%s%.*s (%" PRId32 ")",
				 used ? ", " : "", (int)sizeof(h->process), h->process, h->pid);
	}
}

static const char *verdict_word(enum verdict v)
{
	return v == VERDICT_TOO_FEW         ? "too few"
	       : v == VERDICT_FLOWS_UNKNOWN ? "flows?"
					    : verdict_name(v);
}

static const struct fairness none = { .cv = NAN, .cv_expected = NAN, .max_over_mean = NAN };

static const struct fairness *sockets_of(const struct row *r, const struct view *v)
{
	const struct endpoint *e = row_judged(r, v);

	return e ? &e->socket_fairness : &none;
}

static const struct fairness *workers_of(const struct row *r, const struct view *v)
{
	const struct endpoint *e = row_judged(r, v);

	return e ? &e->worker_fairness : &none;
}

/* "8 uneven" */
static void fairness_cell(char *out, const struct fairness *f)
{
	if (f->verdict == VERDICT_NOT_APPLICABLE)
		snprintf(out, CELL_SIZE, "%zu", f->bins);
	else
		snprintf(out, CELL_SIZE, "%zu %s", f->bins, verdict_word(f->verdict));
}

static void cell_sockets_verdict(char *out, int width, const struct row *r, const struct view *v)
{
	(void)width;
	fairness_cell(out, sockets_of(r, v));
}

static void cell_workers_verdict(char *out, int width, const struct row *r, const struct view *v)
{
	(void)width;
	fairness_cell(out, workers_of(r, v));
}

static enum attribute attribute_sockets_verdict(const struct row *r, const struct view *v)
{
	return verdict_attribute(sockets_of(r, v)->verdict);
}

static enum attribute attribute_workers_verdict(const struct row *r, const struct view *v)
{
	return verdict_attribute(workers_of(r, v)->verdict);
}

static void real_cell(char *out, const char *format, double value)
{
	if (isnan(value))
		strcpy(out, "-");
	else
		snprintf(out, CELL_SIZE, format, value);
}

static void cell_cv(char *out, int width, const struct row *r, const struct view *v)
{
	(void)width;
	real_cell(out, "%.3f", workers_of(r, v)->cv);
}

static void cell_cv_expected(char *out, int width, const struct row *r, const struct view *v)
{
	(void)width;
	real_cell(out, "%.3f", workers_of(r, v)->cv_expected);
}

static void cell_busiest(char *out, int width, const struct row *r, const struct view *v)
{
	(void)width;
	real_cell(out, "%.2fx", workers_of(r, v)->max_over_mean);
}

static void cell_idle(char *out, int width, const struct row *r, const struct view *v)
{
	const struct fairness *f = workers_of(r, v);

	(void)width;
	snprintf(out, CELL_SIZE, "%zu of %zu", f->idle, f->bins);
}

/* "nginx, haproxy": the names of the processes that take its work */
static void cell_names(char *out, int width, const struct row *r, const struct view *v)
{
	const char *names[8];
	size_t count = 0, used = 0;

	(void)width;
	(void)v;
	strcpy(out, "-");
	for (size_t i = 0; i < r->total->worker_count && count < 8; i++) {
		const struct worker_row *w = &r->total->workers[i];
		const char *name = *w->process ? w->process : w->comm;
		size_t known = 0;

		while (known < count && strncmp(names[known], name, sizeof(w->comm)))
			known++;
		if (known < count)
			continue;
		names[count++] = name;
		used += snprintf(out + used, CELL_SIZE - used, "%s%.*s", used ? ", " : "",
				 (int)sizeof(w->comm), name);
	}
}

static enum attribute attribute_drops(const struct row *r, const struct view *v)
{
	(void)v;
	return r->drops_least ? ATTRIBUTE_YELLOW : ATTRIBUTE_NORMAL;
}

/* A listener of backlog N holds N + 1: beyond N it is full. */
static enum attribute attribute_queue(const struct row *r, const struct view *v)
{
	const struct socket_row *s = r->socket;

	(void)v;
	if (!s || !s->queue_known || !s->queue_limit || r->ended)
		return ATTRIBUTE_NORMAL;
	return s->queue_length > s->queue_limit       ? ATTRIBUTE_RED
	       : s->queue_length > s->queue_limit / 2 ? ATTRIBUTE_YELLOW
						      : ATTRIBUTE_NORMAL;
}

static enum attribute attribute_half_open(const struct row *r, const struct view *v)
{
	const struct half_open *q = &r->socket->half_open;

	(void)v;
	return q->known && q->count > q->limit && !r->ended ? ATTRIBUTE_RED : ATTRIBUTE_NORMAL;
}

/* The bar is as its endpoint's verdict. */
static enum attribute attribute_bar(const struct row *r, const struct view *v)
{
	const struct endpoint *e = row_judged(r, v);
	const struct fairness *f = !e                      ? &none
				   : v->tab == TAB_SOCKETS ? &e->socket_fairness
				   : v->tab == TAB_WORKERS ? &e->worker_fairness
							   : &e->process_fairness;

	return f->verdict == VERDICT_UNEVEN || f->verdict == VERDICT_EVEN
		       ? verdict_attribute(f->verdict)
		       : ATTRIBUTE_NORMAL;
}

/* ---- orders, the least first ---- */

static int by_count(const struct row *a, const struct row *b)
{
	return COMPARE(a->count, b->count);
}

static int by_rate(const struct row *a, const struct row *b)
{
	return COMPARE(a->recent, b->recent);
}

static int by_drops(const struct row *a, const struct row *b)
{
	return COMPARE(a->drops, b->drops);
}

static int by_id(const struct row *a, const struct row *b)
{
	for (int i = 0; i < 3; i++)
		if (a->id[i] != b->id[i])
			return COMPARE(a->id[i], b->id[i]);
	return 0;
}

static int by_queue(const struct row *a, const struct row *b)
{
	return COMPARE(a->socket ? a->socket->queue_length : 0,
		       b->socket ? b->socket->queue_length : 0);
}

static int by_highest(const struct row *a, const struct row *b)
{
	return COMPARE(a->socket->queue_highest, b->socket->queue_highest);
}

static int by_half_open(const struct row *a, const struct row *b)
{
	return COMPARE(a->socket->half_open.count, b->socket->half_open.count);
}

/* What is not known is least. */
static int compare_real(double a, double b)
{
	return isnan(a) || isnan(b) ? isnan(b) - isnan(a) : COMPARE(a, b);
}

static int by_p50(const struct row *a, const struct row *b)
{
	return compare_real(a->p50_ns, b->p50_ns);
}

static int by_p99(const struct row *a, const struct row *b)
{
	return compare_real(a->p99_ns, b->p99_ns);
}

static int by_max(const struct row *a, const struct row *b)
{
	return compare_real(a->max_ns, b->max_ns);
}

static int by_served(const struct row *a, const struct row *b)
{
	return COMPARE(a->served, b->served);
}

static int by_open(const struct row *a, const struct row *b)
{
	return COMPARE(a->open, b->open);
}

static int by_cpu(const struct row *a, const struct row *b)
{
	return COMPARE(a->cpu_ns, b->cpu_ns);
}

static int by_bytes(const struct row *a, const struct row *b)
{
	return COMPARE(a->bytes, b->bytes);
}

static int by_cookie(const struct row *a, const struct row *b)
{
	return COMPARE(a->worker->cookie, b->worker->cookie);
}

static int by_comm(const struct row *a, const struct row *b)
{
	return strncmp(a->worker->comm, b->worker->comm, sizeof(a->worker->comm));
}

static int by_threads(const struct row *a, const struct row *b)
{
	return COMPARE(a->threads, b->threads);
}

static int by_port(const struct row *a, const struct row *b)
{
	const struct endpoint *x = a->total, *y = b->total;

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

static int by_uneven(const struct row *a, const struct row *b)
{
	return compare_real(a->total->worker_fairness.excess, b->total->worker_fairness.excess);
}

/* ---- columns ---- */

#define L ALIGN_LEFT
#define R ALIGN_RIGHT
#define T ALIGN_TAIL

static const struct column port_columns[] = {
	{ "port", 0, 0, L, true, cell_port, by_port, NULL, 0 },
	{ "events/s", 9, 0, R, false, cell_rate, by_rate, NULL, 0 },
	{ "total", 11, 0, R, false, cell_count, by_count, NULL, 0 },
	{ "drops", 7, 110, R, false, cell_drops, by_drops, attribute_drops, 0 },
	{ "sockets", 10, 66, R, false, cell_sockets_verdict, NULL, attribute_sockets_verdict, 0 },
	{ "workers", 10, 54, R, false, cell_workers_verdict, by_uneven, attribute_workers_verdict,
	  0 },
	{ "CV", 7, 96, R, false, cell_cv, NULL, attribute_workers_verdict, 0 },
	{ "fair hash", 9, 104, R, false, cell_cv_expected, NULL, NULL, 0 },
	{ "busiest", 8, 104, R, false, cell_busiest, NULL, NULL, 0 },
	{ "idle", 10, 120, R, false, cell_idle, NULL, NULL, 0 },
	{ "processes", 40, 150, L, false, cell_names, NULL, NULL, 0 },
};

static const struct column socket_columns[] = {
	{ "socket", 8, 0, R, true, cell_cookie, by_id, NULL, 0 },
	{ "inode", 8, 60, R, false, cell_inode, NULL, NULL, 0 },
	{ "uid", 6, 120, R, false, cell_uid, NULL, NULL, 0 },
	{ "group", 8, 120, R, false, cell_group, NULL, NULL, 0 },
	{ "device", 9, 160, L, false, cell_device, NULL, NULL, 0 },
	{ "arrived/s", 9, 0, R, false, cell_rate, by_rate, NULL, 0 },
	{ "total", 11, 0, R, false, cell_count, by_count, NULL, 0 },
	{ "queue", 9, 50, R, false, cell_queue, by_queue, attribute_queue, 0 },
	{ "highest", 7, 112, R, false, cell_highest, by_highest, NULL, PRESENT_HIGHEST },
	{ "half-open", 9, 84, R, false, cell_half_open, by_half_open, attribute_half_open,
	  PRESENT_HALF_OPEN },
	{ "drops", 6, 70, R, false, cell_drops, by_drops, attribute_drops, 0 },
	{ "wait p50", 8, 92, R, false, cell_p50, by_p50, NULL, PRESENT_WAITS },
	{ "wait p99", 8, 80, R, false, cell_p99, by_p99, NULL, PRESENT_WAITS },
	{ "wait max", 8, 104, R, false, cell_max, by_max, NULL, PRESENT_WAITS },
	{ "waits", 5, 76, R, false, cell_waits, NULL, NULL, 0 },
	{ "held by", 44, 170, L, false, cell_holders, NULL, NULL, 0 },
	{ "share", 6, 0, R, false, cell_share, NULL, NULL, 0 },
	{ "", 0, 0, L, false, NULL, NULL, attribute_bar, 0 },
};

static const struct column worker_columns[] = {
	{ "pid", 7, 66, R, false, cell_pid, NULL, NULL, 0 },
	{ "tid", 7, 0, R, true, cell_tid, by_id, NULL, 0 },
	{ "inside", 7, 130, R, false, cell_pid_inside, NULL, NULL, 0 },
	{ "thread", 15, 60, L, true, cell_comm, by_comm, NULL, 0 },
	{ "process", 15, 140, L, false, cell_process, NULL, NULL, 0 },
	{ "unit", 32, 120, T, false, cell_unit, NULL, NULL, 0 },
	{ "socket", 7, 76, R, true, cell_cookie, by_cookie, NULL, 0 },
	{ "queue", 9, 170, R, false, cell_queue, NULL, attribute_queue, 0 },
	{ "drops", 6, 170, R, false, cell_drops, NULL, attribute_drops, 0 },
	{ "taken/s", 8, 0, R, false, cell_rate, by_rate, NULL, 0 },
	{ "total", 10, 0, R, false, cell_count, by_count, NULL, 0 },
	{ "served", 9, 100, R, false, cell_served, by_served, NULL, PRESENT_SERVED },
	{ "open", 6, 108, R, false, cell_open, by_open, NULL, PRESENT_OPEN },
	{ "CPU", 6, 84, R, false, cell_cpu, by_cpu, NULL, PRESENT_CPU },
	{ "bytes", 7, 94, R, false, cell_bytes, by_bytes, NULL, PRESENT_BYTES },
	{ "wait p99", 8, 90, R, false, cell_p99, by_p99, NULL, PRESENT_WAITS },
	{ "state", 5, 76, L, false, cell_state, NULL, NULL, 0 },
	{ "share", 6, 0, R, false, cell_share, NULL, NULL, 0 },
	{ "", 0, 0, L, false, NULL, NULL, attribute_bar, 0 },
};

static const struct column process_columns[] = {
	{ "pid", 7, 0, R, true, cell_pid, by_id, NULL, 0 },
	{ "inside", 7, 100, R, false, cell_pid_inside, NULL, NULL, 0 },
	{ "process", 15, 54, L, false, cell_process, NULL, NULL, 0 },
	{ "unit", 40, 120, T, false, cell_unit, NULL, NULL, 0 },
	{ "threads", 7, 60, R, false, cell_threads, by_threads, NULL, 0 },
	{ "waits", 5, 70, R, false, cell_waiting_threads, NULL, NULL, 0 },
	{ "taken/s", 9, 0, R, false, cell_rate, by_rate, NULL, 0 },
	{ "total", 11, 0, R, false, cell_count, by_count, NULL, 0 },
	{ "served", 9, 90, R, false, cell_served, by_served, NULL, PRESENT_SERVED },
	{ "open", 7, 98, R, false, cell_open, by_open, NULL, PRESENT_OPEN },
	{ "CPU", 6, 76, R, false, cell_cpu, by_cpu, NULL, PRESENT_CPU },
	{ "bytes", 7, 84, R, false, cell_bytes, by_bytes, NULL, PRESENT_BYTES },
	{ "share", 6, 0, R, false, cell_share, NULL, NULL, 0 },
	{ "", 0, 0, L, false, NULL, NULL, attribute_bar, 0 },
};

#define COLUMNS(table, first)                                                                      \
	{                                                                                          \
		table, sizeof(table) / sizeof(table[0]), first                                     \
	}
const struct columns columns_of_tab[TAB_COUNT] = {
	[TAB_PORTS] = COLUMNS(port_columns, "events/s"),
	[TAB_SOCKETS] = COLUMNS(socket_columns, "total"),
	[TAB_WORKERS] = COLUMNS(worker_columns, "total"),
	[TAB_PROCESSES] = COLUMNS(process_columns, "total"),
};

static unsigned socket_present(const struct socket_row *s)
{
	return (s->wait_known ? PRESENT_WAITS : 0) | (s->highest_known ? PRESENT_HIGHEST : 0) |
	       (s->half_open.highest ? PRESENT_HALF_OPEN : 0);
}

static unsigned worker_present(const struct worker_row *w)
{
	return (w->wait_known ? PRESENT_WAITS : 0) |
	       (w->serves && w->handed.count ? PRESENT_SERVED : 0) |
	       (w->open_known ? PRESENT_OPEN : 0) |
	       (w->usage_known && w->cpu_ns ? PRESENT_CPU : 0) |
	       (w->bytes.received || w->bytes.sent ? PRESENT_BYTES : 0);
}

unsigned view_present(const struct snapshot *total)
{
	unsigned present = 0;

	for (size_t i = 0; i < total->endpoint_count; i++) {
		const struct endpoint *e = &total->endpoints[i];

		for (size_t j = 0; j < e->socket_count; j++)
			present |= socket_present(&e->sockets[j]);
		for (size_t j = 0; j < e->worker_count; j++)
			present |= worker_present(&e->workers[j]);
	}
	return present;
}

const struct column *columns_sort(enum screen_tab tab, unsigned present, unsigned sort)
{
	const struct columns *c = &columns_of_tab[tab];
	const struct column *sortable[SORTABLE_MAX];
	unsigned count = 0, first = 0;

	for (size_t i = 0; i < c->count && count < SORTABLE_MAX; i++) {
		if (!c->column[i].compare || (c->column[i].needs & ~present))
			continue;
		if (!strcmp(c->column[i].title, c->first))
			first = count;
		sortable[count++] = &c->column[i];
	}
	return sortable[(first + sort) % count];
}

struct order {
	const struct column *column;
	int sign;
	enum screen_tab tab;
};

static int compare_rows(const void *a, const void *b, void *arg)
{
	const struct order *o = arg;
	int order = o->sign * o->column->compare(a, b);

	if (!order && o->tab == TAB_PORTS)
		order = by_port(a, b);
	return order ? order : by_id(a, b);
}

void columns_order(struct row *rows, size_t count, enum screen_tab tab, unsigned present,
		   unsigned sort, bool reversed)
{
	struct order o = { columns_sort(tab, present, sort), 1, tab };

	o.sign = o.column->rising != reversed ? 1 : -1;
	if (count)
		qsort_r(rows, count, sizeof(*rows), compare_rows, &o);
}

/* ---- rows ---- */

static int compare_ids(const void *a, const void *b)
{
	return by_id(a, b);
}

static void add_drops(struct row *r, const struct endpoint *e, const struct socket_row *s)
{
	/* What the program counted and what the kernel counts are the same drops, where both see
	 * them. */
	const uint64_t beside =
		e->protocol == PROTOCOL_UDP && s->dropped > s->drops ? s->dropped - s->drops : 0;

	r->drops += drops_most(s) + beside;
	r->drops_least += drops_least(s) + beside;
}

/* Where this backend sees no arrivals, what was taken stands in for them. */
static bool arrivals_seen(const struct endpoint *e)
{
	for (size_t i = 0; i < e->socket_count; i++)
		if (e->sockets[i].arrived || e->sockets[i].dropped)
			return true;
	return false;
}

static void row_waits(struct row *r, bool known, const struct wait *w)
{
	const struct wait_histogram *list = r->total->histograms;

	r->p50_ns = known ? wait_quantile_ns(w, list, 0.5) : NAN;
	r->p99_ns = known ? wait_quantile_ns(w, list, 0.99) : NAN;
	r->max_ns = known ? wait_max_ns(w) : NAN;
}

static size_t fill_sockets(struct row *rows, const struct endpoint *e, bool arrived)
{
	for (size_t i = 0; i < e->socket_count; i++) {
		const struct socket_row *s = &e->sockets[i];

		rows[i] = (struct row){ .total = e,
					.socket = s,
					.id = { s->cookie, s->inode, 0 },
					.count = arrived ? s->arrived : s->accepted,
					.appeared = s->appeared,
					.ended = s->ended,
					.past = socket_is_past(s),
					.takes = true };
		add_drops(&rows[i], e, s);
		row_waits(&rows[i], s->wait_known, &s->wait);
	}
	qsort(rows, e->socket_count, sizeof(*rows), compare_ids);
	return e->socket_count;
}

static int compare_cookies(const void *key, const void *row)
{
	const struct row *r = row;

	return COMPARE(*(const uint64_t *)key, r->id[0]);
}

/* sockets: the endpoint's sockets as rows, sorted, to find those of the workers. */
static size_t fill_workers(struct row *rows, const struct endpoint *e, const struct row *sockets)
{
	for (size_t i = 0; i < e->worker_count; i++) {
		const struct worker_row *w = &e->workers[i];
		const struct row *s = e->socket_count
					      ? bsearch(&w->cookie, sockets, e->socket_count,
							sizeof(*sockets), compare_cookies)
					      : NULL;

		rows[i] = (struct row){ .total = e,
					.worker = w,
					.id = { w->tid, w->start_ns, w->cookie },
					.count = w->accepted,
					.served = w->serves ? w->served : 0,
					.open = w->open_known ? w->open : 0,
					.serves = w->serves,
					.open_known = w->open_known,
					.open_at_least = w->open_at_least,
					.appeared = w->appeared,
					.ended = w->ended,
					.past = worker_is_past(w),
					.takes = w->can_accept,
					.cpu_known = w->usage_known,
					.cpu_ns = w->usage_known ? w->cpu_ns : 0,
					.bytes_known = w->bytes_known,
					.bytes_at_least = w->bytes_at_least,
					.bytes = w->bytes.received + w->bytes.sent,
					.socket = s ? s->socket : NULL,
					.drops = s ? s->drops : 0,
					.drops_least = s ? s->drops_least : 0 };
		row_waits(&rows[i], w->wait_known, &w->wait);
	}
	qsort(rows, e->worker_count, sizeof(*rows), compare_ids);
	return e->worker_count;
}

static int compare_processes(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int order = COMPARE(x->worker->pid, y->worker->pid);

	return order ? order : by_id(x, y);
}

/* Adds the rows of each process's threads up into one. Returns their number. */
static size_t fold_processes(struct row *rows, size_t count)
{
	size_t folded = 0;
	int32_t tid = 0;

	qsort(rows, count, sizeof(*rows), compare_processes);
	for (size_t i = 0; i < count; i++) {
		const struct row from = rows[i];
		struct row *to = folded ? &rows[folded - 1] : NULL;

		if (!to || to->worker->pid != from.worker->pid) {
			to = &rows[folded++];
			*to = from;
			to->id[0] = from.worker->pid;
			to->id[1] = to->id[2] = 0;
			to->threads = 1;
			to->waits = from.worker->waits;
			to->cpu_known = from.worker->process_cpu_known;
			to->cpu_ns = to->cpu_known ? from.worker->process_cpu_ns : 0;
		} else {
			to->count += from.count;
			to->served += from.served;
			to->open += from.open;
			to->serves |= from.serves;
			to->open_known |= from.open_known;
			to->open_at_least |= from.open_at_least;
			to->bytes += from.bytes;
			to->bytes_at_least |= from.bytes_at_least;
			to->cpu_known |= from.worker->process_cpu_known;
			if (from.worker->process_cpu_known &&
			    from.worker->process_cpu_ns > to->cpu_ns)
				to->cpu_ns = from.worker->process_cpu_ns;
			to->appeared &= from.appeared;
			to->ended &= from.ended;
			to->past &= from.past;
			to->takes |= from.takes;
			to->threads += from.worker->tid != tid;
			to->waits += from.worker->waits && from.worker->tid != tid;
			if (from.worker->tid == from.worker->pid) /* its name is the process's */
				to->worker = from.worker;
		}
		tid = from.worker->tid;
	}
	return folded;
}

/* The endpoint's rows, sorted by identity, into *rows (free() it). */
static int rows_fill(struct row **rows, size_t *count, const struct endpoint *e,
		     enum screen_tab tab, bool arrived)
{
	struct row *sockets = calloc((e ? e->socket_count : 0) + 1, sizeof(*sockets));
	struct row *workers = calloc((e ? e->worker_count : 0) + 1, sizeof(*workers));

	*rows = tab == TAB_SOCKETS ? sockets : workers;
	*count = 0;
	if (!sockets || !workers) {
		free(sockets);
		free(workers);
		*rows = NULL;
		return -ENOMEM;
	}
	if (e)
		*count = fill_sockets(sockets, e, arrived);
	if (tab == TAB_SOCKETS) {
		free(workers);
		return 0;
	}
	if (e)
		*count = fill_workers(workers, e, sockets);
	if (tab == TAB_PROCESSES)
		*count = fold_processes(workers, *count);
	free(sockets);
	return 0;
}

/* Shares of all that the endpoint counted, also in rows that are not listed. */
static void rows_share(struct row *rows, size_t count, const struct endpoint *e,
		       enum screen_tab tab, bool recent, bool arrived)
{
	double sum = !e                              ? 0
		     : tab == TAB_SOCKETS && arrived ? e->omitted.arrived
						     : e->omitted.accepted,
	       most = 0;

	for (size_t i = 0; i < count; i++) {
		double n = recent ? rows[i].recent : rows[i].count;

		sum += n;
		most = n > most ? n : most;
	}
	for (size_t i = 0; i < count; i++) {
		double n = recent ? rows[i].recent : rows[i].count;

		rows[i].share = sum > 0 ? n / sum : NAN;
		rows[i].bar = most > 0 ? n / most : 0;
	}
}

/* What is not counted twice, as events are, but stands for the one or the other. same: the row in
 * the interval, or NULL. */
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

int rows_make(struct row **rows, size_t *count, const struct endpoint *total,
	      const struct endpoint *interval, enum screen_tab tab, bool recent)
{
	const bool arrived = arrivals_seen(total);
	struct row *late;
	size_t late_count;
	int err = rows_fill(rows, count, total, tab, arrived);

	if (!err) {
		err = rows_fill(&late, &late_count, interval, tab, arrived);
		if (err)
			free(*rows);
	}
	if (err)
		return err;
	for (size_t i = 0; i < *count; i++) {
		struct row *r = &(*rows)[i];
		const struct row *same =
			late_count ? bsearch(r, late, late_count, sizeof(*late), compare_ids)
				   : NULL;

		r->interval = interval;
		r->present = same;
		r->recent = same ? same->count : 0;
		if (recent)
			row_take_interval(r, same);
	}
	rows_share(*rows, *count, recent ? interval : total, tab, recent, arrived);
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

		*r = (struct row){ .total = e,
				   .interval = snapshot_find((struct snapshot *)v->interval, e),
				   .count = endpoint_events(e) };
		r->recent = r->interval ? endpoint_events(r->interval) : 0;
		for (size_t s = 0; s < e->socket_count + e->connected_count; s++)
			add_drops(r, e, &e->sockets[s]);
	}
	return 0;
}
