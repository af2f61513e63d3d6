/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A window of `watch`, an interval or the whole:
 *
 * 12:00:01 UTC, 1.0 s; kernel 6.1.0, backend fentry
 * tcp 0.0.0.0:80, nginx.service: 2,000 connections/s
 *   2 processes block in accept() on one socket
 *   process                        /s  accepted since start   share
 *   nginx 1235                  1,500     1,500      12,000   75.0%  ################
 *   nginx 1236 (12 inside)        500       500       4,100   25.0%  #####
 *   2 ended before: 31 accepted
 *   socket 17/301: queue 0/511, highest 40, drops 0
 *   processes uneven: CV 0.500 (fair hash 0.022), busiest 1.50x the mean (1.02), 0 of 2 idle, p
 * <0.001, Jain 0.800 waits    p50 27 us, p90 31 us, p99 1.2 ms, max 3.4 ms ! 2 workers (of 2
 * processes) on one socket, 17: which of them wakes decides who gets the work; with SO_REUSEPORT
 * each could have its own
 *
 * and where there are several sockets, or they are asked for:
 *
 *   socket/inode         /s   arrived since start       queue  drops wait p50 wait p99 wait max
 * share 17/301            2,000     2,000      16,138       3/511      0    27 us   1.2 ms   3.4 ms
 * 100.0%  #### 12 more ports without traffic
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../model/array.h"
#include "../model/judge.h"
#include "../model/lifetimes.h"
#include "../model/wait_sum.h"
#include "../model/words.h"
#include "memory.h"
#include "text_parts.h"
#include "wide.h"

#define ROWS_MAX 64         /* of a table; of more the busiest */
#define PORTS_MAX 32        /* of more the busiest */
#define QUIET_PORTS_SHOWN 3 /* as many ports are shown even if nothing came */

/* A row of a table: a process, a thread or a socket. What does not tell it from others is 0. */
struct line {
	int32_t pid, tid;
	uint64_t start_ns, cookie;
	const struct worker_row *worker;
	const struct socket_row *socket;
	uint64_t count; /* in the window */
	uint64_t total; /* since the start */
	uint64_t served, open;
	bool open_at_least;
	bool cpu_known, bytes_known, bytes_at_least;
	uint64_t cpu_ns; /* of the thread or the process, whatever it did */
	uint64_t bytes;  /* received and sent */
	bool appeared, ended;
	bool past; /* of an earlier generation, or ended */
	enum generation generation;
	bool takes;    /* a verdict may be about it */
	bool left_out; /* it lived for part of the window, others all through it: in no verdict */
};

struct table {
	const struct endpoint *endpoint;
	enum text_by by;
	struct line *lines;
	size_t count;
	bool by_taken;   /* sockets: arrivals are not seen, so they are measured by what was taken
			    from them */
	int32_t process; /* threads: all are of this one; 0: of several, and each says its own */
	uint64_t sum, most;
};

/* What is the same for all tables of one window. */
struct view {
	FILE *out;
	const struct snapshot *window, *total; /* total: NULL if the window is all there is */
	enum text_by by;
	const struct text_style *style;
	bool several_netns;
};

static int compare_lines(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int order = COMPARE(x->pid, y->pid);

	if (!order)
		order = COMPARE(x->tid, y->tid);
	if (!order)
		order = COMPARE(x->start_ns, y->start_ns);
	return order ? order : COMPARE(x->cookie, y->cookie);
}

static int compare_busiest(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int order = COMPARE(y->count, x->count);

	if (!order)
		order = COMPARE(y->total, x->total);
	return order ? order : compare_lines(a, b);
}

static struct line line_of_worker(const struct worker_row *w, enum text_by by)
{
	struct line line = { .pid = w->pid,
			     .worker = w,
			     .count = w->accepted,
			     .served = w->serves ? w->served : 0,
			     .open = w->open_known ? w->open : 0,
			     .open_at_least = w->open_at_least,
			     .appeared = w->appeared,
			     .ended = w->ended,
			     .past = worker_is_past(w),
			     .generation = w->generation,
			     .takes = w->can_accept,
			     .cpu_known = w->process_cpu_known,
			     .cpu_ns = w->process_cpu_known ? w->process_cpu_ns : 0,
			     .bytes_known = w->bytes_known,
			     .bytes_at_least = w->bytes_at_least,
			     .bytes = w->bytes.received + w->bytes.sent };

	if (by == TEXT_BY_THREAD) {
		line.tid = w->tid;
		line.start_ns = w->start_ns;
		line.cpu_known = w->usage_known;
		line.cpu_ns = w->usage_known ? w->cpu_ns : 0;
	}
	return line;
}

static struct line line_of_socket(const struct socket_row *s, bool by_taken)
{
	return (struct line){ .cookie = s->cookie,
			      .socket = s,
			      .count = by_taken ? s->accepted : s->arrived,
			      .appeared = s->appeared,
			      .ended = s->ended,
			      .past = socket_is_past(s),
			      .generation = s->generation,
			      .takes = true };
}

/* As endpoint_judge() picks its bins. */
static void leave_out(struct table *t)
{
	struct lifetimes seen = endpoint_lifetimes(t->endpoint);

	for (size_t i = 0; i < t->count; i++)
		if (t->lines[i].takes)
			lifetimes_see(&seen, t->lines[i].appeared, t->lines[i].past);
	for (size_t i = 0; i < t->count; i++)
		t->lines[i].left_out =
			t->lines[i].takes &&
			!lifetimes_admit(&seen, t->lines[i].appeared, t->lines[i].past);
}

/* Adds up lines of one identity: a thread's sockets, a process's threads. It ended if all of it
 * did. */
static void merge_lines(struct table *t)
{
	size_t kept = 0;

	qsort(t->lines, t->count, sizeof(*t->lines), compare_lines);
	for (size_t i = 0; i < t->count; i++) {
		if (kept && !compare_lines(&t->lines[kept - 1], &t->lines[i])) {
			t->lines[kept - 1].count += t->lines[i].count;
			t->lines[kept - 1].served += t->lines[i].served;
			t->lines[kept - 1].open += t->lines[i].open;
			t->lines[kept - 1].open_at_least |= t->lines[i].open_at_least;
			t->lines[kept - 1].cpu_known |= t->lines[i].cpu_known;
			if (t->lines[i].cpu_known &&
			    t->lines[i].cpu_ns >
				    t->lines[kept - 1].cpu_ns) /* the same in all: see worker_row */
				t->lines[kept - 1].cpu_ns = t->lines[i].cpu_ns;
			t->lines[kept - 1].bytes += t->lines[i].bytes;
			t->lines[kept - 1].bytes_at_least |= t->lines[i].bytes_at_least;
			t->lines[kept - 1].appeared &= t->lines[i].appeared;
			t->lines[kept - 1].ended &= t->lines[i].ended;
			t->lines[kept - 1].past &= t->lines[i].past;
			t->lines[kept - 1].takes |= t->lines[i].takes;
		} else {
			t->lines[kept++] = t->lines[i];
		}
	}
	t->count = kept;
}

/* A process that holds the socket but never took from it, nor waited to, nor serves what others
 * took is no row. Returns false without memory. */
static bool table_make(struct table *t, const struct endpoint *e, enum text_by by, bool by_taken)
{
	const size_t rows = by == TEXT_BY_SOCKET ? e->socket_count : e->worker_count;

	*t = (struct table){ .endpoint = e,
			     .by = by,
			     .by_taken = by_taken,
			     .lines = render_needs(calloc(rows + 1, sizeof(*t->lines))) };
	if (!t->lines)
		return false;
	for (size_t i = 0; i < rows; i++) {
		if (by == TEXT_BY_SOCKET)
			t->lines[t->count++] = line_of_socket(&e->sockets[i], by_taken);
		else if (e->workers[i].can_accept || e->workers[i].accepted ||
			 (e->workers[i].serves && e->workers[i].served) ||
			 e->workers[i].bytes.received || e->workers[i].bytes.sent)
			t->lines[t->count++] = line_of_worker(&e->workers[i], by);
	}
	merge_lines(t);
	t->process = t->count && by == TEXT_BY_THREAD ? t->lines[0].pid : 0;
	for (size_t i = 1; i < t->count; i++) /* in order of pid */
		t->process = t->lines[i].pid == t->process ? t->process : 0;
	leave_out(t);
	for (size_t i = 0; i < t->count; i++) {
		t->sum += t->lines[i].count;
		t->most = t->lines[i].count > t->most ? t->lines[i].count : t->most;
	}
	return true;
}

enum text_by text_by_default(const struct endpoint *e)
{
	enum text_by by = TEXT_BY_THREAD;
	struct table threads;

	/* Which of a runtime's threads it was says nothing. */
	if (e->design.code == DESIGN_TURNS)
		return TEXT_BY_PROCESS;
	if (!table_make(&threads, e, TEXT_BY_THREAD, false))
		return by;
	/* Lines are in order of pid: two threads of one process are neighbours. */
	if (threads.count > 1)
		by = TEXT_BY_PROCESS;
	for (size_t i = 1; i < threads.count; i++)
		if (threads.lines[i].pid == threads.lines[i - 1].pid)
			by = TEXT_BY_THREAD;
	free(threads.lines);
	return by;
}

/* Rows that are not listed one by one, for they ended. */
struct gone {
	size_t rows;
	uint64_t count, served;
};

static void gone_add(struct gone *gone, const struct line *l)
{
	gone->rows++;
	gone->count += l->count;
	gone->served += l->served;
}

/* Fills the lines' counts since the start; what ended before the window goes to *gone. */
static void table_add_totals(struct table *t, const struct table *all, struct gone *gone)
{
	for (size_t i = 0, j = 0; i < all->count; i++) {
		while (j < t->count && compare_lines(&t->lines[j], &all->lines[i]) < 0)
			j++;
		if (j < t->count && !compare_lines(&t->lines[j], &all->lines[i])) {
			t->lines[j].total = all->lines[i].count;
		} else if (all->lines[i].ended) {
			gone_add(gone, &all->lines[i]);
		}
	}
}

/*
 * Takes out what came and went: over a whole window that is history. What a verdict is about stays,
 * and so does a worker that was there from the start and ended half-way.
 */
static void table_fold_ended(struct table *t, struct gone *gone)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->count; i++) {
		const struct line *l = &t->lines[i];

		if (l->ended && l->appeared && (l->left_out || !l->takes)) {
			gone_add(gone, l);
		} else {
			t->lines[kept++] = *l;
		}
	}
	t->count = kept;
}

/* What follows a line that lived for part of the window, which no verdict is about; or else it says
 * so. */
static const char *fate(const struct line *l)
{
	if (l->generation == GENERATION_EARLIER)
		return l->takes && !l->left_out ? "  (old generation: judged)"
		       : l->ended               ? "  (old generation)"
						: "  (takes no more)";
	if (l->ended)
		return l->takes && !l->left_out ? "  (ended: judged)" : "  (ended)";
	return l->left_out ? "  (new)" : "";
}

#define LABEL_SIZE 96

/* "nginx 1235 (12 inside)", "worker 1240 of 1235", or "17/301" */
static int label(char *buffer, const struct line *l, const struct table *t,
		 const struct text_style *style)
{
	const struct worker_row *w = l->worker;
	const enum text_by by = t->by;
	char name[17], inside[32] = "", of[24] = "";
	int32_t id, id_inside;

	if (by == TEXT_BY_SOCKET) {
		snprintf(buffer, LABEL_SIZE, "%" PRIu64 "/%" PRIu32, l->socket->cookie,
			 l->socket->inode);
		return text_width(buffer);
	}
	id = by == TEXT_BY_PROCESS ? w->pid : w->tid;
	id_inside = by == TEXT_BY_PROCESS ? w->pid_inside : w->tid_inside;
	if (id_inside && id_inside != id)
		snprintf(inside, sizeof(inside), " (%" PRId32 " inside)", id_inside);
	text_name(name, by == TEXT_BY_PROCESS && *w->process ? w->process : w->comm,
		  sizeof(w->comm), style->utf8);
	if (by == TEXT_BY_THREAD &&
	    w->tid < 0) { /* bytes of connections of which it is not known who reads them */
		snprintf(buffer, LABEL_SIZE, "%s, a thread of %" PRId32, name, w->pid);
		return text_width(buffer);
	}
	if (by == TEXT_BY_THREAD && !t->process && w->tid != w->pid)
		snprintf(of, sizeof(of), " of %" PRId32, w->pid);
	snprintf(buffer, LABEL_SIZE, "%s %" PRId32 "%s%s", name, id, inside, of);
	return text_width(buffer);
}

static char *rate(char *buffer, uint64_t count, double seconds)
{
	const double per_second = seconds > 0 ? count / seconds : 0;

	if (per_second >= 10 || per_second == 0)
		text_count(buffer, llround(per_second));
	else
		snprintf(buffer, TEXT_COUNT_SIZE, "%.1f", per_second);
	return buffer;
}

static const char *count_name(const struct table *t)
{
	const bool udp = t->endpoint->protocol == PROTOCOL_UDP;

	if (t->by == TEXT_BY_SOCKET && !t->by_taken)
		return udp ? "delivered" : "arrived";
	return udp ? "received" : "accepted";
}

static void queue_cell(char *buffer, size_t size, const struct socket_row *s)
{
	if (s->queue_known)
		snprintf(buffer, size, "%" PRIu32 "/%" PRIu32, s->queue_length, s->queue_limit);
	else
		snprintf(buffer, size, "-");
}

static bool has_drops(const struct endpoint *e, const struct socket_row *s)
{
	return e->protocol == PROTOCOL_UDP && s->dropped ? true : drops_most(s) != 0;
}

/* ---- columns: each a row of `fields` ---- */

#define FIELD_HIDDEN -1
#define FIELD_ALWAYS 0

struct field {
	const char *title; /* NULL: what is counted */
	int width;
	/* FIELD_HIDDEN: it says nothing here. FIELD_ALWAYS. Else where the page is too narrow the
	 * highest goes first. */
	int (*rank)(const struct view *v, const struct table *t);
	void (*text)(char *out, const struct view *v, const struct table *t,
		     const struct line *l); /* out: FIELD_SIZE bytes */
};
#define FIELD_SIZE TEXT_COUNT_SIZE

static int rank_always(const struct view *v, const struct table *t)
{
	(void)v;
	(void)t;
	return FIELD_ALWAYS;
}

static int rank_total(const struct view *v, const struct table *t)
{
	(void)t;
	return v->total ? 7 : FIELD_HIDDEN;
}

static int rank_queue(const struct view *v, const struct table *t)
{
	(void)v;
	return t->by == TEXT_BY_SOCKET ? 3 : FIELD_HIDDEN;
}

static int rank_highest(const struct view *v, const struct table *t)
{
	(void)v;
	for (size_t i = 0; i < t->endpoint->socket_count && t->by == TEXT_BY_SOCKET; i++)
		if (t->endpoint->sockets[i].highest_known && t->endpoint->sockets[i].queue_highest)
			return 6;
	return FIELD_HIDDEN;
}

static int rank_half_open(const struct view *v, const struct table *t)
{
	(void)v;
	return t->by == TEXT_BY_SOCKET && text_has_half_open(t->endpoint) ? 3 : FIELD_HIDDEN;
}

static int rank_drops(const struct view *v, const struct table *t)
{
	(void)v;
	for (size_t i = 0; i < t->endpoint->socket_count && t->by == TEXT_BY_SOCKET; i++)
		if (has_drops(t->endpoint, &t->endpoint->sockets[i]))
			return 2;
	return t->by == TEXT_BY_SOCKET ? 10 : FIELD_HIDDEN;
}

static int rank_served(const struct view *v, const struct table *t)
{
	(void)v;
	return t->by != TEXT_BY_SOCKET && text_hands_over(t->endpoint) ? 2 : FIELD_HIDDEN;
}

static int rank_open(const struct view *v, const struct table *t)
{
	(void)v;
	return t->by != TEXT_BY_SOCKET && text_has_open(t->endpoint) ? 5 : FIELD_HIDDEN;
}

static int rank_cpu(const struct view *v, const struct table *t)
{
	for (size_t i = 0; i < t->count && v->window->looked_seconds > 0; i++)
		if (t->lines[i].cpu_known && t->lines[i].cpu_ns)
			return 3;
	return FIELD_HIDDEN;
}

static int rank_bytes(const struct view *v, const struct table *t)
{
	(void)v;
	for (size_t i = 0; i < t->count; i++)
		if (t->lines[i].bytes_known && t->lines[i].bytes)
			return 4;
	return FIELD_HIDDEN;
}

static bool socket_waits_known(const struct table *t)
{
	for (size_t i = 0; i < t->endpoint->socket_count && t->by == TEXT_BY_SOCKET; i++)
		if (t->endpoint->sockets[i].wait_known && t->endpoint->sockets[i].wait.count)
			return true;
	return false;
}

static int rank_p50(const struct view *v, const struct table *t)
{
	(void)v;
	return socket_waits_known(t) ? 4 : FIELD_HIDDEN;
}

/* Of workers only where there is room, or where they were asked for. */
static int rank_p99(const struct view *v, const struct table *t)
{
	if (socket_waits_known(t))
		return 1;
	for (size_t i = 0; i < t->endpoint->worker_count && t->by != TEXT_BY_SOCKET; i++)
		if (t->endpoint->workers[i].wait_known && t->endpoint->workers[i].wait.count)
			return v->by == TEXT_BY_DEFAULT ? 9 : 4;
	return FIELD_HIDDEN;
}

static int rank_max(const struct view *v, const struct table *t)
{
	(void)v;
	return socket_waits_known(t) ? 8 : FIELD_HIDDEN;
}

static void field_rate(char *out, const struct view *v, const struct table *t, const struct line *l)
{
	(void)t;
	rate(out, l->count, v->window->seconds);
}

static void field_count(char *out, const struct view *v, const struct table *t,
			const struct line *l)
{
	(void)v;
	(void)t;
	text_count(out, l->count);
}

static void field_total(char *out, const struct view *v, const struct table *t,
			const struct line *l)
{
	(void)v;
	(void)t;
	text_count(out, l->total);
}

static void field_queue(char *out, const struct view *v, const struct table *t,
			const struct line *l)
{
	(void)v;
	(void)t;
	queue_cell(out, FIELD_SIZE, l->socket);
}

static void field_highest(char *out, const struct view *v, const struct table *t,
			  const struct line *l)
{
	(void)v;
	(void)t;
	snprintf(out, FIELD_SIZE, "-");
	if (l->socket->highest_known)
		text_count(out, l->socket->queue_highest);
}

static void field_half_open(char *out, const struct view *v, const struct table *t,
			    const struct line *l)
{
	(void)v;
	(void)t;
	text_half_open(out, l->socket);
}

static void field_drops(char *out, const struct view *v, const struct table *t,
			const struct line *l)
{
	text_drops(out, t->endpoint, l->socket, v->style->utf8);
}

static void field_served(char *out, const struct view *v, const struct table *t,
			 const struct line *l)
{
	(void)v;
	(void)t;
	text_count(out, l->served);
}

static void field_open(char *out, const struct view *v, const struct table *t, const struct line *l)
{
	(void)t;
	text_bound(out, l->open, l->open_at_least, v->style->utf8);
}

/* Of one CPU. */
static void field_cpu(char *out, const struct view *v, const struct table *t, const struct line *l)
{
	(void)t;
	text_cpu(out, l->cpu_known, l->cpu_ns, v->window->looked_seconds);
}

static void field_bytes(char *out, const struct view *v, const struct table *t,
			const struct line *l)
{
	(void)t;
	if (l->bytes_known)
		text_bytes(out, l->bytes, l->bytes_at_least, v->style->utf8);
	else
		snprintf(out, FIELD_SIZE, "-");
}

/* The waits of all rows that a line stands for. */
static void line_waits(struct wait_sum *sum, const struct table *t, const struct line *l)
{
	const struct endpoint *e = t->endpoint;

	*sum = (struct wait_sum){};
	if (t->by == TEXT_BY_SOCKET)
		wait_sum_add(sum, l->socket->wait_known, &l->socket->wait, e->histograms);
	for (size_t i = 0; i < e->worker_count && t->by != TEXT_BY_SOCKET; i++) {
		const struct worker_row *w = &e->workers[i];
		const struct line its = line_of_worker(w, t->by);

		if (!compare_lines(&its, l))
			wait_sum_add(sum, w->wait_known, &w->wait, e->histograms);
	}
}

static void field_p50(char *out, const struct view *v, const struct table *t, const struct line *l)
{
	struct wait_sum sum;

	(void)v;
	line_waits(&sum, t, l);
	text_duration(out, wait_sum_quantile_ns(&sum, 0.5));
}

static void field_p99(char *out, const struct view *v, const struct table *t, const struct line *l)
{
	struct wait_sum sum;

	(void)v;
	line_waits(&sum, t, l);
	text_duration(out, wait_sum_quantile_ns(&sum, 0.99));
}

static void field_max(char *out, const struct view *v, const struct table *t, const struct line *l)
{
	struct wait_sum sum;

	(void)v;
	line_waits(&sum, t, l);
	text_duration(out, wait_max_ns(&sum.wait));
}

static void field_share(char *out, const struct view *v, const struct table *t,
			const struct line *l)
{
	(void)v;
	snprintf(out, FIELD_SIZE, "%.1f%%", t->sum ? 100.0 * l->count / t->sum : 0.0);
}

static const struct field fields[] = {
	{ "/s", 8, rank_always, field_rate },
	{ NULL, 9, rank_always, field_count },
	{ "since start", 11, rank_total, field_total },
	{ "served", 9, rank_served, field_served },
	{ "open", 8, rank_open, field_open },
	{ "CPU", 6, rank_cpu, field_cpu },
	{ "bytes", 10, rank_bytes, field_bytes },
	{ "queue", 11, rank_queue, field_queue },
	{ "highest", 8, rank_highest, field_highest },
	{ "half-open", 9, rank_half_open, field_half_open },
	{ "drops", 6, rank_drops, field_drops },
	{ "wait p50", 8, rank_p50, field_p50 },
	{ "wait p99", 8, rank_p99, field_p99 },
	{ "wait max", 8, rank_max, field_max },
	{ "share", 7, rank_always, field_share },
};
#define FIELD_COUNT (sizeof(fields) / sizeof(*fields))

/* Which fields there is something to say in and room for; *used: columns of the page that a line
 * takes with them. */
struct shown {
	bool field[FIELD_COUNT];
	int label_width, used;
	bool units; /* each row says its own */
};

static void fields_fit(struct shown *shown, const struct view *v, const struct table *t)
{
	int ranks[FIELD_COUNT];

	for (size_t i = 0; i < FIELD_COUNT; i++) {
		ranks[i] = fields[i].rank(v, t);
		shown->field[i] = ranks[i] != FIELD_HIDDEN;
		shown->used += shown->field[i] ? 1 + fields[i].width : 0;
	}
	while (shown->used > text_longest(v->style)) {
		size_t worst = 0; /* the first is always shown */

		for (size_t i = 0; i < FIELD_COUNT; i++)
			if (shown->field[i] && ranks[i] > ranks[worst])
				worst = i;
		if (ranks[worst] == FIELD_ALWAYS)
			return;
		shown->field[worst] = false;
		shown->used -= 1 + fields[worst].width;
	}
}

#define SEVERAL_UNITS "several units"

/* The unit or container of those who take the work, else of those who hold the sockets; "" if it is
 * not known. */
static const char *unit_of(char buffer[TEXT_UNIT_SIZE], const struct endpoint *e,
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

/* Where a port's rows are of several units each row says its own, if there is room for it beside
 * the fields. */
static void units_fit(struct shown *shown, const struct view *v, const struct table *t,
		      size_t count)
{
	char unit[TEXT_UNIT_SIZE];
	int most = 0;

	if (t->by == TEXT_BY_SOCKET || strcmp(unit_of(unit, t->endpoint, v->style), SEVERAL_UNITS))
		return;
	for (size_t i = 0; i < count; i++) {
		const int width =
			text_width(text_unit(unit, t->lines[i].worker->cgroup, v->style->utf8));

		most = width > most ? width : most;
	}
	most += (int)strlen("  in ");
	shown->units = shown->used + most <= text_longest(v->style);
	shown->used += shown->units ? most : 0;
}

static void table_line(const struct view *v, const struct table *t, const struct line *l,
		       const struct shown *shown)
{
	char text[LABEL_SIZE], cell[FIELD_SIZE], unit[TEXT_UNIT_SIZE];
	const int width = label(text, l, t, v->style);

	fprintf(v->out, "  %s%*s", text, shown->label_width - width, "");
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		if (!shown->field[i])
			continue;
		fields[i].text(cell, v, t, l);
		text_right(v->out, fields[i].width + 1, cell);
	}
	if (t->most)
		text_bar(v->out, (double)l->count / t->most,
			 text_bar_cells(v->style, shown->used + 2), v->style);
	if (shown->units && *text_unit(unit, l->worker->cgroup, v->style->utf8))
		fprintf(v->out, "  in %s", unit);
	fprintf(v->out, "%s\n", fate(l));
}

#define TABLE_NAME_SIZE 32

/* "process", "socket/inode", "thread", "thread of 1235" */
static const char *table_name(char buffer[TABLE_NAME_SIZE], const struct table *t)
{
	static const char *const names[] = { [TEXT_BY_PROCESS] = "process",
					     [TEXT_BY_THREAD] = "thread",
					     [TEXT_BY_SOCKET] = "socket/inode" };
	bool others = false;

	for (size_t i = 0; i < t->count && t->by == TEXT_BY_THREAD; i++)
		others |= t->lines[i].tid != t->lines[i].pid;
	if (t->process && others)
		snprintf(buffer, TABLE_NAME_SIZE, "thread of %" PRId32, t->process);
	else
		snprintf(buffer, TABLE_NAME_SIZE, "%s", names[t->by]);
	return buffer;
}

static void table_heading(const struct view *v, const struct table *t, const struct shown *shown)
{
	char name[TABLE_NAME_SIZE];

	fprintf(v->out, "  %s%-*s", text_paint(v->style, TEXT_BOLD), shown->label_width,
		table_name(name, t));
	for (size_t i = 0; i < FIELD_COUNT; i++)
		if (shown->field[i])
			fprintf(v->out, " %*s", fields[i].width,
				fields[i].title ? fields[i].title : count_name(t));
	fprintf(v->out, "%s\n", text_paint(v->style, TEXT_PLAIN));
}

static void table_print(const struct view *v, struct table *t)
{
	const size_t count = t->count > ROWS_MAX ? ROWS_MAX : t->count;
	struct shown shown = { .label_width = 14 };
	char text[LABEL_SIZE], number[TEXT_COUNT_SIZE], name[TABLE_NAME_SIZE];
	uint64_t folded = 0;
	int fate_width = 0;

	if (t->count > ROWS_MAX)
		qsort(t->lines, t->count, sizeof(*t->lines), compare_busiest);
	for (size_t i = 0; i < count; i++) {
		const int width = label(text, &t->lines[i], t, v->style);

		shown.label_width = width > shown.label_width ? width : shown.label_width;
		fate_width = (int)strlen(fate(&t->lines[i])) > fate_width
				     ? (int)strlen(fate(&t->lines[i]))
				     : fate_width;
	}
	if ((int)strlen(table_name(name, t)) > shown.label_width)
		shown.label_width = (int)strlen(name);
	shown.used = 2 + shown.label_width + fate_width;
	fields_fit(&shown, v, t);
	units_fit(&shown, v, t, count);
	if (count)
		table_heading(v, t, &shown);
	for (size_t i = 0; i < count; i++)
		table_line(v, t, &t->lines[i], &shown);
	for (size_t i = count; i < t->count; i++)
		folded += t->lines[i].count;
	if (t->count > count)
		fprintf(v->out, "  and %zu more with %s\n", t->count - count,
			text_count(number, folded));
}

static void omitted_line(const struct view *v, const struct table *t)
{
	const struct omitted *o = &t->endpoint->omitted;
	const bool sockets = t->by == TEXT_BY_SOCKET;
	const uint64_t rows = sockets ? o->sockets : o->workers,
		       count = sockets && !t->by_taken ? o->arrived : o->accepted;
	char number[TEXT_COUNT_SIZE], more[TEXT_COUNT_SIZE];

	if (rows || count)
		fprintf(v->out, "  and %s row%s beyond the limit with %s\n", text_count(more, rows),
			plural_s(rows), text_count(number, count));
}

/* Takes the lines out that wide.h folds. */
static void table_take_out(struct table *t, const struct wide_row *rows)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->count; i++)
		if (!rows[i].fold)
			t->lines[kept++] = t->lines[i];
	t->count = kept;
}

/* Prints a table with the threads of wide processes folded. Without memory for that each has its
 * line. */
static void table_print_folded(const struct view *v, struct table *t)
{
	const bool served = text_hands_over(t->endpoint);
	struct wide_row *rows =
		t->by == TEXT_BY_THREAD ? render_needs(calloc(t->count + 1, sizeof(*rows))) : NULL;
	struct wide_fold *folds = NULL;
	size_t count = 0;
	char words[WIDE_SIZE];

	for (size_t i = 0; i < t->count && rows; i++)
		rows[i] = (struct wide_row){ .worker = t->lines[i].worker,
					     .count = t->lines[i].count,
					     .total = t->lines[i].total,
					     .served = served ? t->lines[i].served : 0,
					     .takes = t->lines[i].takes,
					     .ended = t->lines[i].ended };
	if (rows && !wide_fold(rows, t->count, &folds, &count))
		table_take_out(t, rows);
	if (count)
		qsort(t->lines, t->count, sizeof(*t->lines), compare_busiest);
	table_print(v, t);
	for (size_t i = 0; i < count; i++)
		fprintf(v->out, "  %s\n",
			wide_words(words, &folds[i], count_name(t), v->total, v->style->utf8));
	free(folds);
	free(rows);
}

/* Where no arrival was seen but something was taken, this backend does not see them. */
static bool arrivals_unseen(const struct endpoint *e)
{
	uint64_t arrived = 0, taken = 0;

	for (size_t i = 0; i < e->socket_count; i++) {
		arrived += e->sockets[i].arrived;
		taken += e->sockets[i].accepted;
	}
	return !arrived && taken;
}

/* Of a process or thread for each connection it is what they served that counts: they accept
 * nothing. */
static void gone_line(const struct view *v, const struct table *t, const struct gone *gone)
{
	const bool served = !gone->count && gone->served;
	char number[TEXT_COUNT_SIZE], rows[TEXT_COUNT_SIZE];

	if (gone->rows)
		fprintf(v->out, "  %s ended%s: %s %s\n", text_count(rows, gone->rows),
			v->total ? " before" : "",
			text_count(number, served ? gone->served : gone->count),
			served ? "served" : count_name(t));
}

static void table_of(const struct view *v, const struct endpoint *e, const struct endpoint *all,
		     enum text_by by)
{
	const bool by_taken = arrivals_unseen(all ? all : e);
	struct table t, totals = {};
	struct gone gone = {};

	if (!table_make(&t, e, by, by_taken) || (all && !table_make(&totals, all, by, by_taken))) {
		fputs("  (not enough memory for this table)\n", v->out);
		goto out;
	}
	if (all)
		table_add_totals(&t, &totals, &gone);
	if (!v->total)
		table_fold_ended(&t, &gone);
	table_print_folded(v, &t);
	gone_line(v, &t, &gone);
	omitted_line(v, &t);
out:
	free(totals.lines);
	free(t.lines);
}

/* ", half-open 0/511 (≥9 at a look)": between two looks there may have been more. */
static void only_half_open(const struct view *v, const struct socket_row *s)
{
	char number[TEXT_COUNT_SIZE];

	fprintf(v->out, ", half-open %s", text_half_open(number, s));
	if (s->half_open.highest > s->half_open.count || !s->half_open.known)
		fprintf(v->out, " (%s at a look)",
			text_bound(number, s->half_open.highest, true, v->style->utf8));
}

/* "  socket 17/301: queue 0/511, highest 40, half-open 9/511, full for 1.2 s, drops 0": one socket
 * needs no table. */
static void only_socket(const struct view *v, const struct endpoint *e)
{
	const struct socket_row *s = &e->sockets[0];
	char queue[32], drops[TEXT_COUNT_SIZE], duration[TEXT_DURATION_SIZE];

	queue_cell(queue, sizeof(queue), s);
	fprintf(v->out, "  socket %" PRIu64 "/%" PRIu32 ": queue %s", s->cookie, s->inode, queue);
	if (s->highest_known && s->queue_highest)
		fprintf(v->out, ", highest %" PRIu32, s->queue_highest);
	if (s->half_open.highest)
		only_half_open(v, s);
	if (s->full_known && s->full_ns)
		fprintf(v->out, ", full for %s", text_duration(duration, s->full_ns));
	fprintf(v->out, ", drops %s", text_drops(drops, e, s, v->style->utf8));
	if (s->half_open.withheld_most) {
		fputs(" (", v->out);
		text_withheld(v->out, s);
		fputc(')', v->out);
	}
	fputs(s->ended ? " (ended)\n" : "\n", v->out);
}

/* What follows the address: ", netns blue, nginx.service: 2,000 connections/s, 16,138 since the
 * start" */
static void heading_words(FILE *to, const struct view *v, const struct endpoint *e,
			  const struct endpoint *all)
{
	const char *what = e->protocol == PROTOCOL_UDP ? "datagrams" : "connections";
	const uint64_t events = endpoint_events(e);
	char unit[TEXT_UNIT_SIZE], number[TEXT_COUNT_SIZE], netns[NETNS_NAME_SIZE];

	if (v->several_netns)
		fprintf(to, ", netns %s", text_netns(netns, e->netns, v->style->utf8));
	fprintf(to, "%s%s: ", *unit_of(unit, e, v->style) ? ", " : "", unit);
	if (events)
		fprintf(to, "%s %s/s", rate(number, events, v->window->seconds), what);
	else
		fprintf(to, "no %s", what);
	if (!v->total)
		fprintf(to, ", %s in all", text_count(number, events));
	else if (all)
		fprintf(to, ", %s since the start", text_count(number, endpoint_events(all)));
}

static void port_heading(const struct view *v, const struct endpoint *e, const struct endpoint *all)
{
	char address[TEXT_ADDRESS_SIZE], words[TEXT_UNIT_SIZE + 200] = "";
	FILE *memory = render_needs(fmemopen(words, sizeof(words), "w"));

	if (memory) {
		heading_words(memory, v, e, all);
		fclose(memory);
	}
	text_address(address, e);
	fprintf(v->out, "%s%s %s%s", text_paint(v->style, TEXT_BOLD), text_protocol(e), address,
		text_paint(v->style, TEXT_PLAIN));
	text_wrapped(v->out, words, 4 + text_width(address), 4, TEXT_BREAK_CLAUSES, v->style);
	fputc('\n', v->out);
}

/* Of rows that are no bins of the design nothing is said. */
static void port_fairness(const struct view *v, const struct endpoint *e, enum text_by by)
{
	const enum design_bins bins = e->design.bins;

	if (!endpoint_events(e) || (bins == BINS_NONE && e->design.code != DESIGN_UNKNOWN))
		return;
	if (bins == BINS_PROCESSES)
		text_fairness(v->out, "processes", &e->process_fairness, v->style);
	else if (bins == BINS_SOCKETS || bins == BINS_SERVING)
		;
	else if (by == TEXT_BY_PROCESS)
		text_fairness(v->out, "processes", &e->process_fairness, v->style);
	else if (by == TEXT_BY_THREAD)
		text_fairness(v->out, "threads", &e->worker_fairness, v->style);
	if (e->other_fairness.bins > 1 && e->other_fairness.events && by != TEXT_BY_SOCKET)
		text_fairness(v->out,
			      e->generations.judged == GENERATION_LATER ? "earlier" : "later",
			      &e->other_fairness, v->style);
	if (e->served_known && text_hands_over(e) && by != TEXT_BY_SOCKET &&
	    (bins == BINS_SERVING || bins == BINS_WORKERS))
		text_fairness(v->out, "served", &e->served_fairness, v->style);
	if (e->socket_fairness.bins > 1 || by == TEXT_BY_SOCKET)
		text_fairness(v->out, "sockets", &e->socket_fairness, v->style);
}

static void port(const struct view *v, const struct endpoint *e)
{
	/* snapshot_find() gives a pointer to change it by; it is not changed here. */
	const struct endpoint *all =
		v->total ? snapshot_find((struct snapshot *)v->total, e) : NULL;
	const enum text_by by = v->by == TEXT_BY_DEFAULT ? text_by_default(all ? all : e) : v->by;

	port_heading(v, e, all);
	text_design(v->out, e, v->style);
	table_of(v, e, all, by);
	if (v->by == TEXT_BY_DEFAULT && e->socket_count == 1)
		only_socket(v, e);
	else if (v->by == TEXT_BY_DEFAULT)
		table_of(v, e, all, TEXT_BY_SOCKET);
	if (e->socket_count != 1 || v->by != TEXT_BY_DEFAULT)
		text_all_withheld(v->out, e);
	text_connected(v->out, e);
	port_fairness(v, e, by);
	text_waits(v->out, e, v->by != TEXT_BY_DEFAULT || e->socket_count > 1, v->style);
	if (!v->total)
		text_load(v->out, e, v->style);
	text_buffers(v->out, e);
	/* Of every second only what is wrong. */
	for (size_t i = 0; i < e->finding_count; i++)
		if (!v->total || e->findings[i].level == FINDING_PROBLEM)
			text_finding(v->out, &e->findings[i], 2, v->style);
}

/* A port to which nothing came may have a reason for that. */
static bool has_trouble(const struct endpoint *e)
{
	for (size_t i = 0; i < e->finding_count; i++)
		if (e->findings[i].level == FINDING_PROBLEM)
			return true;
	return false;
}

static int compare_events(const void *a, const void *b)
{
	const struct endpoint *x = *(const struct endpoint *const *)a,
			      *y = *(const struct endpoint *const *)b;
	int order = COMPARE(endpoint_events(y), endpoint_events(x));

	return order ? order : COMPARE(x, y);
}

/* Ports with events or trouble in the snapshot's order; of too many the busiest. */
static void ports(const struct view *v, const struct endpoint **busy, bool with_quiet)
{
	const struct snapshot *s = v->window;
	uint64_t folded = 0;
	size_t count = 0, quiet;
	char number[TEXT_COUNT_SIZE], more[TEXT_COUNT_SIZE];

	for (size_t i = 0; i < s->endpoint_count; i++)
		if (with_quiet || endpoint_events(&s->endpoints[i]) ||
		    has_trouble(&s->endpoints[i]))
			busy[count++] = &s->endpoints[i];
	if (count > PORTS_MAX)
		qsort(busy, count, sizeof(*busy), compare_events);
	for (size_t i = 0; i < count; i++) {
		if (i < PORTS_MAX)
			port(v, busy[i]);
		else
			folded += endpoint_events(busy[i]);
	}
	if (count > PORTS_MAX)
		fprintf(v->out, "%s more port%s with %s\n", text_count(more, count - PORTS_MAX),
			plural_s(count - PORTS_MAX), text_count(number, folded));
	quiet = s->endpoint_count - count + s->quiet;
	if (quiet)
		fprintf(v->out, "%s %sport%s without traffic\n", text_count(more, quiet),
			count ? "more " : "", plural_s(quiet));
}

static void window_heading(const struct view *v, bool whole)
{
	const struct snapshot *s = v->window;
	const time_t end = s->start_ms / 1000.0 + s->seconds;
	struct tm utc;
	char when[16];

	gmtime_r(&end, &utc);
	strftime(when, sizeof(when), "%H:%M:%S", &utc);
	fprintf(v->out, "%s%s UTC%s, %s%.1f s%s", text_paint(v->style, TEXT_BOLD), when,
		text_paint(v->style, TEXT_PLAIN), whole ? "the whole window of " : "", s->seconds,
		*s->release ? "; kernel " : "");
	fprintf(v->out, "%s%s%s\n", s->release, s->backend ? ", backend " : "",
		s->backend ? s->backend : "");
}

static uint64_t events_of(const struct snapshot *s)
{
	uint64_t events = 0;

	for (size_t i = 0; i < s->endpoint_count; i++)
		events += endpoint_events(&s->endpoints[i]);
	return events;
}

void text_window(FILE *out, const struct snapshot *window, const struct snapshot *total,
		 enum text_by by, const struct text_style *style)
{
	struct view v = { .out = out,
			  .window = window,
			  .total = window->final ? NULL : total,
			  .by = by,
			  .style = style };
	const struct endpoint **busy =
		render_needs(calloc(window->endpoint_count + 1, sizeof(*busy)));
	const bool nothing = !events_of(window),
		   few = window->endpoint_count + window->quiet <= QUIET_PORTS_SHOWN;

	for (size_t i = 1; i < window->endpoint_count; i++)
		v.several_netns |= window->endpoints[i].netns != window->endpoints[0].netns;
	window_heading(&v, !v.total);
	if (nothing)
		fprintf(out, "no connection or datagram in %.1f s%s\n", window->seconds,
			window->endpoint_count + window->quiet
				? ""
				: ": no process listens on what the filter asks for");
	/* Idle rows are worth a look once, not every second. */
	if (busy && window->endpoint_count)
		ports(&v, busy, few && (!nothing || !v.total));
	text_passing(out, window);
	if (!v.total)
		text_clients(out, window);
	text_lost(out, window, style);
	if (!v.total)
		text_unseen(out, window, style);
	fputc('\n', out);
	free(busy);
}
