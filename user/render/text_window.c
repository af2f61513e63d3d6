/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A window of `watch`, either an interval or the whole time:
 *
 * 12:00:01 UTC, 1.0 s; kernel 6.1.0, backend fentry
 * tcp 0.0.0.0:80, nginx.service: 2,000 connections/s
 *   2 processes block in accept() on one socket
 *   process                        /s  accepted since start   share
 *   nginx 1235                  1,500     1,500      12,000   75.0%  ################
 *   nginx 1236 (12 inside)        500       500       4,100   25.0%  #####
 *   2 ended before: 31 accepted
 *   socket 17 (inode 301): queue 0/511, highest 40, drops 0
 *   processes uneven: CV 0.500 (fair hash 0.022), busiest 1.50x the mean (1.02), 0 of 2 idle, ...
 *   wait     p50 27 us, p90 31 us, p99 1.2 ms, max 3.4 ms
 *   ! 2 workers (of 2 processes) on one socket, 17: which of them wakes decides who gets ...
 *
 * If there are several sockets, or the user asked for them, this follows:
 *
 *   socket/inode         /s   arrived since start       queue  drops ... wait max   share
 *   17/301            2,000     2,000      16,138       3/511      0 ...   3.4 ms  100.0%  ####
 * 12 more ports without traffic
 */
#include "text_window.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../model/array.h"
#include "../model/judge.h"
#include "../model/words.h"
#include "memory.h"

#define PORTS_MAX 32        /* if there are more, the busiest are shown */
#define QUIET_PORTS_SHOWN 3 /* as many ports are shown even if nothing came to them */

/* Prints ", half-open 0/511 (≥9 at a look)": between two looks there may have been more. */
static void only_half_open(const struct window *w, const struct socket_row *s)
{
	char number[TEXT_COUNT_SIZE];

	fprintf(w->out, ", half-open %s", text_half_open(number, s));
	if (s->half_open.highest > s->half_open.count || !s->half_open.known)
		fprintf(w->out, " (%s at a look)",
			text_bound(number, s->half_open.highest, true, w->style->utf8));
}

/* Prints "  socket 17 (inode 301): queue 0/511, highest 40, half-open 9/511, full for 1.2 s, drops
 * 0", because one socket needs no table. */
static void only_socket(const struct window *w, const struct endpoint *e)
{
	const struct socket_row *s = &e->sockets[0];
	char queue[TEXT_COUNT_SIZE], drops[TEXT_COUNT_SIZE], duration[TEXT_DURATION_SIZE];

	text_queue(queue, s);
	fprintf(w->out, "  socket %" PRIu64 " (inode %" PRIu32 "): queue %s", s->cookie, s->inode,
		queue);
	if (s->highest_known && s->queue_highest)
		fprintf(w->out, ", highest %" PRIu32, s->queue_highest);
	if (s->half_open.highest)
		only_half_open(w, s);
	if (s->full_known && s->full_ns)
		fprintf(w->out, ", full for %s", text_duration(duration, s->full_ns));
	fprintf(w->out, ", drops %s", text_drops(drops, e, s, w->style->utf8));
	if (s->half_open.withheld_most) {
		fputs(" (", w->out);
		text_withheld(w->out, s);
		fputc(')', w->out);
	}
	fputs(s->ended ? " (ended)\n" : "\n", w->out);
}

/* Prints what follows the address: ", netns blue, nginx.service: 2,000 connections/s, 16,138 since
 * the start" */
static void heading_words(FILE *to, const struct window *w, const struct endpoint *e,
			  const struct endpoint *all)
{
	const char *what = e->protocol == PROTOCOL_UDP ? "datagrams" : "connections";
	const uint64_t events = endpoint_events(e);
	char unit[TEXT_UNIT_SIZE], number[TEXT_COUNT_SIZE], netns[NETNS_NAME_SIZE];

	if (w->view.several_netns)
		fprintf(to, ", netns %s", text_netns(netns, e->netns, w->style->utf8));
	fprintf(to, "%s%s: ", *window_unit(unit, e, w->style) ? ", " : "", unit);
	if (events)
		fprintf(to, "%s %s/s",
			rate_text(number, WIDTH_WHOLE, events, w->view.interval->seconds), what);
	else
		fprintf(to, "no %s", what);
	if (!w->view.total)
		fprintf(to, ", %s in all", text_count(number, events));
	else if (all)
		fprintf(to, ", %s since the start", text_count(number, endpoint_events(all)));
}

static void port_heading(const struct window *w, const struct endpoint *e,
			 const struct endpoint *all)
{
	char address[TEXT_ADDRESS_SIZE], words[TEXT_UNIT_SIZE + 200] = "";
	FILE *memory = render_needs(fmemopen(words, sizeof(words), "w"));

	if (memory) {
		heading_words(memory, w, e, all);
		fclose(memory);
	}
	text_address(address, e);
	fprintf(w->out, "%s%s %s%s", text_paint(w->style, TEXT_BOLD), text_protocol(e), address,
		text_paint(w->style, TEXT_PLAIN));
	text_wrapped(w->out, words, 4 + text_width(address), 4, TEXT_BREAK_CLAUSES, w->style);
	fputc('\n', w->out);
}

/* Says why no verdict is given on a design that has no bins; NULL: it is not known to have none. */
static const char *no_verdict_words(enum design_code code)
{
	static const char *const words[] = {
		[DESIGN_ALONE] = "one worker: nothing to compare",
		[DESIGN_HAND_OVER] =
			"one thread accepts, and serves beside the others: not compared",
		[DESIGN_PER_CONNECTION] = "each worker has one connection: nothing to compare",
		[DESIGN_TURNS] = "one process, whose threads do not compete: nothing to compare",
		[DESIGN_MULTICAST] = "copies are not shared: nothing to compare",
		[DESIGN_CONNECTED] = "each socket has a peer of its own: nothing to compare",
	};

	return words[code];
}

/* Prints the fairness. If the rows are not the bins of the design, it prints nothing about them. */
static void port_fairness(const struct window *w, const struct endpoint *e, enum text_by by)
{
	const enum design_bins bins = e->design.bins;
	const bool by_rows = bins != BINS_SOCKETS && bins != BINS_SERVING;
	const char *none = bins == BINS_NONE ? no_verdict_words(e->design.code) : NULL;

	if (!endpoint_events(e))
		return;
	if (none) {
		fprintf(w->out, "  %-8s %s\n", "verdict", none);
		return;
	}
	if (bins == BINS_PROCESSES || (by_rows && by == TEXT_BY_PROCESS))
		text_fairness(w->out, "processes", &e->process_fairness, w->style);
	else if (by_rows && by == TEXT_BY_THREAD)
		text_fairness(w->out, "threads", &e->worker_fairness, w->style);
	if (e->other_fairness.bins > 1 && e->other_fairness.events && by != TEXT_BY_SOCKET)
		text_fairness(w->out,
			      e->generations.judged == GENERATION_LATER ? "earlier" : "later",
			      &e->other_fairness, w->style);
	if (e->served_known && text_hands_over(e) && by != TEXT_BY_SOCKET &&
	    (bins == BINS_SERVING || bins == BINS_WORKERS))
		text_fairness(w->out, "served", &e->served_fairness, w->style);
	if (e->socket_fairness.bins > 1 || by == TEXT_BY_SOCKET)
		text_fairness(w->out, "sockets", &e->socket_fairness, w->style);
}

static void port(const struct window *w, const struct endpoint *e)
{
	/* snapshot_find() returns a pointer for changing the endpoint; this code does not change
	 * it. */
	const struct endpoint *all =
		w->view.total ? snapshot_find((struct snapshot *)w->view.total, e) : NULL;
	const enum text_by by = w->by == TEXT_BY_DEFAULT ? text_by_default(all ? all : e) : w->by;
	char steered[STEERED_SIZE];

	port_heading(w, e, all);
	/* The whole window has a finding that says so. */
	if (w->view.total && say_steered(steered, &e->lookup))
		fprintf(w->out, "  %s\n", steered);
	text_design(w->out, e, w->style);
	window_table(w, e, all, by);
	if (w->by == TEXT_BY_DEFAULT && e->socket_count == 1)
		only_socket(w, e);
	else if (w->by == TEXT_BY_DEFAULT)
		window_table(w, e, all, TEXT_BY_SOCKET);
	if (e->socket_count != 1 || w->by != TEXT_BY_DEFAULT)
		text_all_withheld(w->out, e);
	text_connected(w->out, e);
	port_fairness(w, e, by);
	text_waits(w->out, e, w->by != TEXT_BY_DEFAULT || e->socket_count > 1, w->style);
	if (!w->view.total)
		text_load(w->out, e, w->style);
	text_buffers(w->out, e);
	/* Each second shows only what is wrong. */
	for (size_t i = 0; i < e->finding_count; i++)
		if (!w->view.total || e->findings[i].level == FINDING_PROBLEM)
			text_finding(w->out, &e->findings[i], 2, w->style);
}

/* Is something wrong with the port? That may be the reason why nothing came to it. */
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

/* Prints the ports with events or trouble in the snapshot's order; if there are too many, only the
 * busiest. */
static void ports(const struct window *w, const struct endpoint **busy, bool with_quiet)
{
	const struct snapshot *s = w->view.interval;
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
			port(w, busy[i]);
		else
			folded += endpoint_events(busy[i]);
	}
	if (count > PORTS_MAX)
		fprintf(w->out, "%s more port%s with %s\n", text_count(more, count - PORTS_MAX),
			plural_s(count - PORTS_MAX), text_count(number, folded));
	quiet = s->endpoint_count - count + s->quiet;
	if (quiet)
		fprintf(w->out, "%s %sport%s without traffic\n", text_count(more, quiet),
			count ? "more " : "", plural_s(quiet));
}

static void window_heading(const struct window *w, bool whole)
{
	const struct snapshot *s = w->view.interval;
	const time_t end = s->start_ms / 1000.0 + s->seconds;
	struct tm utc;
	char when[16];

	gmtime_r(&end, &utc);
	strftime(when, sizeof(when), "%H:%M:%S", &utc);
	fprintf(w->out, "%s%s UTC%s, %s%.1f s%s", text_paint(w->style, TEXT_BOLD), when,
		text_paint(w->style, TEXT_PLAIN), whole ? "the whole window of " : "", s->seconds,
		*s->release ? "; kernel " : "");
	fprintf(w->out, "%s%s%s\n", s->release, s->backend ? ", backend " : "",
		s->backend ? s->backend : "");
}

static uint64_t snapshot_events(const struct snapshot *s)
{
	uint64_t events = 0;

	for (size_t i = 0; i < s->endpoint_count; i++)
		events += endpoint_events(&s->endpoints[i]);
	return events;
}

void text_window(FILE *out, const struct snapshot *window, const struct snapshot *total,
		 enum text_by by, const struct text_style *style)
{
	const struct window w = { .view = { .interval = window,
					    .total = window->final ? NULL : total,
					    .recent = true,
					    .several_netns = several_netns(window) },
				  .out = out,
				  .by = by,
				  .style = style };
	const struct endpoint **busy =
		render_needs(calloc(window->endpoint_count + 1, sizeof(*busy)));
	const bool nothing = !snapshot_events(window),
		   few = window->endpoint_count + window->quiet <= QUIET_PORTS_SHOWN;

	window_heading(&w, !w.view.total);
	if (nothing)
		fprintf(out, "no connection or datagram in %.1f s%s\n", window->seconds,
			window->endpoint_count + window->quiet
				? ""
				: ": no process listens on what the filter asks for");
	/* Idle rows are worth a look once, but not every second. */
	if (busy && window->endpoint_count)
		ports(&w, busy, few && (!nothing || !w.view.total));
	text_passing(out, window);
	if (!w.view.total)
		text_clients(out, window);
	text_lost(out, window, style);
	text_own_cost(out, window);
	if (!w.view.total)
		text_unseen(out, window, style);
	fputc('\n', out);
	free(busy);
}
