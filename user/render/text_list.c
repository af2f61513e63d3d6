/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An inventory. The lowest cookie of a group's sockets names the group. waiting: how many
 * threads wait on the socket now (9+: at least 9). Holders with the same name stand together.
 *
 *      inode   socket   uid         queue  drops    group waiting  held by
 * tcp 0.0.0.0:80, 4 sockets
 *        301       17     0         0/511      0       17       1  nginx 1235 and 7 more, fd 6
 *        302       18     0         3/511      0       17       0  nginx 1235 (12 inside) fd 7
 *        303       19     0         0/511      0       17       1  nginx 1236 waits;  nginx 1235
 *        304       20     0         9/511      0       17       0  none taken for 12 s  nginx 1237
 *   ! no thread waits on socket 18 (inode 302), one of 2 in its SO_REUSEPORT group: ...
 * udp *:53
 *        400       21   101      0/212992      0        -       1
 *     unbound 800 fd 3
 *     backup 900 fd 5 (one of 2)
 * tcp 0.0.0.0:80
 *        307       25    33                 bound, does not listen  haproxy 1300 fd 5
 * udp 0.0.0.0:4789
 *        500       30     0                       the kernel's own  no process
 *   the port of vxlan vx0, vx1: the kernel takes its datagrams before they are queued, ...
 *
 * 4 ports, 7 sockets, 1 finding, 2 notes
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../model/array.h"
#include "../model/aside.h"
#include "../model/words.h"
#include "memory.h"
#include "text_parts.h"

#define PIDS_SHOWN 3
#define TUNNELS_SHOWN 4
#define HELD_INDENT 4

static int listed_holders_order(const void *a, const void *b)
{
	const struct holder_row *x = *(const struct holder_row *const *)a,
				*y = *(const struct holder_row *const *)b;
	int order = strncmp(x->process, y->process, sizeof(x->process));

	if (!order)
		order = strncmp(x->cgroup, y->cgroup, sizeof(x->cgroup));
	return order ? order : COMPARE(x->pid, y->pid);
}

static bool together(const struct holder_row *a, const struct holder_row *b)
{
	return !strncmp(a->process, b->process, sizeof(a->process)) &&
	       !strncmp(a->cgroup, b->cgroup, sizeof(a->cgroup));
}

static bool same_fds(const struct holder_row *const *rows, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (rows[i]->fd != rows[0]->fd || rows[i]->fds != rows[0]->fds)
			return false;
	return true;
}

static void print_fd(FILE *to, const struct holder_row *h)
{
	fprintf(to, " fd %d", h->fd);
	if (h->fds > 1)
		fprintf(to, " (one of %u)", h->fds);
}

/* Why a process in this state can't take anything; NULL: it can, or that is not known. */
static const char *state_word(char state)
{
	return state == 'T'   ? "stopped"
	       : state == 't' ? "stopped by a tracer"
	       : state == 'Z' ? "zombie"
			      : NULL;
}

/* Prints "nginx 1235 (12 inside), 1236 (stopped) and 5 more, fd 6, in nginx.service". */
static void print_processes(FILE *to, const struct holder_row *const *rows, size_t count,
			    const struct text_style *style)
{
	const size_t shown = count > PIDS_SHOWN + 1
				     ? PIDS_SHOWN
				     : count; /* "and 1 more" takes as much room as a process */
	const bool one_fd = same_fds(rows, count);
	char name[17], unit[TEXT_UNIT_SIZE];

	fputs(text_name(name, rows[0]->process, sizeof(rows[0]->process), style->utf8), to);
	for (size_t i = 0; i < shown; i++) {
		fprintf(to, "%s %" PRId32, i ? "," : "", rows[i]->pid);
		if (rows[i]->pid_inside && rows[i]->pid_inside != rows[i]->pid)
			fprintf(to, " (%" PRId32 " inside)", rows[i]->pid_inside);
		if (state_word(rows[i]->state))
			fprintf(to, " (%s)", state_word(rows[i]->state));
		if (!one_fd)
			print_fd(to, rows[i]);
	}
	if (count > shown)
		fprintf(to, " and %zu more", count - shown);
	if (one_fd) {
		fputs(count > 1 ? "," : "", to);
		print_fd(to, rows[0]);
	}
	if (*text_unit(unit, rows[0]->cgroup, style->utf8))
		fprintf(to, ", in %s", unit);
}

/* Prints the holders: on the socket's line if they are of one kind and fit there, or else on one
 * line for each kind. Ends the socket's line. */
static void print_kinds(FILE *out, const struct holder_row *const *rows, size_t count, int column,
			const struct text_style *style)
{
	for (size_t from = 0, end; from < count; from = end) {
		char words[TEXT_UNIT_SIZE + 400] = "";
		FILE *memory = render_needs(fmemopen(words, sizeof(words), "w"));

		for (end = from + 1; end < count && together(rows[from], rows[end]);)
			end++;
		if (!memory)
			continue;
		print_processes(memory, rows + from, end - from, style);
		fclose(memory);
		if (from == 0 && end == count &&
		    column + 2 + text_width(words) <= text_longest(style)) {
			fprintf(out, "  %s", words);
		} else {
			fprintf(out, "\n%*s", HELD_INDENT, "");
			text_wrapped(out, words, HELD_INDENT, HELD_INDENT + 2, TEXT_BREAK_WORDS,
				     style);
		}
	}
	fputc('\n', out);
}

static void print_holders(FILE *out, const struct endpoint *e, const struct socket_row *s,
			  int column, const struct text_style *style)
{
	size_t count;
	const struct holder_row *holders = endpoint_holders(e, s->cookie, &count),
				**sorted = render_needs(calloc(count + 1, sizeof(*sorted)));

	if (!count || !sorted) {
		fprintf(out, "  %s\n",
			count                      ? "(not enough memory)"
			: s->aside == ASIDE_KERNEL ? "no process"
			: s->kernel                ? "the kernel's own"
						   : "no process seen");
		free(sorted);
		return;
	}
	for (size_t i = 0; i < count; i++)
		sorted[i] = &holders[i];
	qsort(sorted, count, sizeof(*sorted), listed_holders_order);
	print_kinds(out, sorted, count, column, style);
	free(sorted);
}

/* Prints " nginx 1235 waits;" if others hold the socket too, but only this process uses it. Returns
 * the width. */
static int print_waiter(FILE *out, const struct endpoint *e, const struct socket_row *s,
			const struct text_style *style)
{
	const struct worker_row *one = NULL;
	char name[17];
	size_t holders;

	endpoint_holders(e, s->cookie, &holders);
	for (size_t i = 0; i < e->worker_count; i++) {
		const struct worker_row *w = &e->workers[i];

		if (w->cookie != s->cookie || !w->can_accept)
			continue;
		if (one && one->pid != w->pid)
			return 0;
		one = w;
	}
	if (!one || holders < 2)
		return 0;
	return fprintf(out, "  %s %" PRId32 " waits;",
		       text_name(name, one->process, sizeof(one->process), style->utf8), one->pid);
}

/* Prints what few sockets have: "  %eth0  connected  for CPU 3  highest 40  half-open 9/8  full for
 * 1.2 s none taken for 12 s". device: print the device, because the address does not include it. */
static int print_special(FILE *out, const struct socket_row *s, bool device)
{
	char name[17], duration[TEXT_DURATION_SIZE], number[TEXT_COUNT_SIZE];
	int column = 0;

	if (device && *s->device)
		column += fprintf(out, "  %%%s",
				  text_name(name, s->device, sizeof(s->device), false));
	if (s->connected)
		column += fprintf(out, "  connected");
	if (s->incoming_cpu_set)
		column += fprintf(out, "  for CPU %" PRIu32, s->incoming_cpu);
	if (s->highest_known && s->queue_highest)
		column += fprintf(out, "  highest %" PRIu32, s->queue_highest);
	if (s->half_open.known && s->half_open.highest)
		column += fprintf(out, "  half-open %s", text_half_open(number, s));
	if (s->full_known && s->full_ns)
		column += fprintf(out, "  full for %s", text_duration(duration, s->full_ns));
	if (s->stalled_ns)
		column +=
			fprintf(out, "  none taken for %s", text_duration(duration, s->stalled_ns));
	return column;
}

/* Prints withheld ACKs. Returns the width. */
static int print_withheld(FILE *out, const struct socket_row *s)
{
	char words[80] = "";
	FILE *memory = s->half_open.withheld_most
			       ? render_needs(fmemopen(words, sizeof(words), "w"))
			       : NULL;

	if (!memory)
		return 0;
	text_withheld(memory, s);
	fclose(memory);
	return fprintf(out, "  %s", words);
}

static void print_socket(FILE *out, const struct endpoint *e, const struct socket_row *s,
			 bool device, const struct text_style *style)
{
	char queue[TEXT_COUNT_SIZE], drops[TEXT_COUNT_SIZE] = "-", group[TEXT_COUNT_SIZE],
				     waits[16] = "-";
	int column;

	if (s->queue_known)
		text_drops(drops, e, s, style->utf8);
	if (s->waiting_known)
		snprintf(waits, sizeof(waits), "%" PRIu32 "%s", s->waiting,
			 s->waiting_cut ? "+" : "");
	column = fprintf(out, "  %9" PRIu32 " %8" PRIu64 " %5" PRIu32 " %13s %6s %8s %7s", s->inode,
			 s->cookie, s->uid, text_queue(queue, s), drops, text_group(group, s),
			 waits);
	column += print_special(out, s, device);
	column += print_withheld(out, s);
	column += print_waiter(out, e, s, style);
	print_holders(out, e, s, column, style);
}

static bool is_steered(const struct endpoint *e)
{
	for (size_t i = 0; i < e->socket_count; i++)
		if (e->sockets[i].steered)
			return true;
	return false;
}

static void print_head(FILE *out, const struct endpoint *e, bool with_netns,
		       const struct text_style *style)
{
	char address[TEXT_ADDRESS_SIZE], count[TEXT_COUNT_SIZE], netns[NETNS_NAME_SIZE];

	fprintf(out, "%s%s %s%s", text_paint(style, TEXT_BOLD), text_protocol(e),
		text_address(address, e), text_paint(style, TEXT_PLAIN));
	if (with_netns)
		fprintf(out, ", netns %s", text_netns(netns, e->netns, style->utf8));
	if (e->socket_count > 1)
		fprintf(out, ", %s sockets", text_count(count, e->socket_count));
	if (is_steered(e))
		fputs(", a program picks the socket", out);
	fputc('\n', out);
}

static void print_port(FILE *out, const struct endpoint *e, bool with_netns,
		       const struct text_style *style)
{
	char count[TEXT_COUNT_SIZE];
	const bool device = !text_same_device(e);

	print_head(out, e, with_netns, style);
	if (e->design.threads > 1)
		text_design(out, e, style);
	for (size_t i = 0; i < e->socket_count; i++)
		print_socket(out, e, &e->sockets[i], device, style);
	if (e->omitted.sockets)
		fprintf(out, "  and %s sockets beyond the limit\n",
			text_count(count, e->omitted.sockets));
	text_connected(out, e);
	text_waits(out, e, false, style);
	for (size_t i = 0; i < e->finding_count; i++)
		text_finding(out, &e->findings[i], 2, style);
}

/* "the port of vxlan vx0, vx1 and 2 more" */
static void print_tunnels(FILE *to, const struct endpoint *e, bool utf8)
{
	const size_t shown = e->tunnel_count > TUNNELS_SHOWN + 1 ? TUNNELS_SHOWN : e->tunnel_count;
	char name[sizeof(e->tunnels->name) + 1];

	for (size_t i = 0; i < shown; i++) {
		const struct tunnel *t = &e->tunnels[i];

		fputs(i ? ", " : "the port of ", to);
		if (!i || strcmp(t->kind, t[-1].kind))
			fprintf(to, "%s ", t->kind);
		fputs(text_name(name, t->name, sizeof(t->name), utf8), to);
	}
	if (e->tunnel_count > shown)
		fprintf(to, " and %zu more", e->tunnel_count - shown);
	fputs(shown ? ": " : "", to);
}

/* Prints an endpoint that has the port but shares nothing. */
static void print_aside(FILE *out, const struct endpoint *e, bool with_netns,
			const struct text_style *style)
{
	const bool tunnel = endpoint_aside(e) == ASIDE_KERNEL, device = !text_same_device(e);
	char words[320] = "";
	FILE *memory;

	print_head(out, e, with_netns, style);
	for (size_t i = 0; i < e->socket_count; i++) {
		const struct socket_row *s = &e->sockets[i];
		int column = fprintf(out, "  %9" PRIu32 " %8" PRIu64 " %5" PRIu32 " %38s", s->inode,
				     s->cookie, s->uid,
				     tunnel ? "the kernel's own" : "bound, does not listen");

		print_holders(out, e, s, column + print_special(out, s, device), style);
	}
	memory = tunnel ? render_needs(fmemopen(words, sizeof(words), "w")) : NULL;
	if (!memory)
		return;
	print_tunnels(memory, e, style->utf8);
	fputs("the kernel takes its datagrams before they are queued, and nothing is counted",
	      memory);
	fclose(memory);
	fputs("  ", out);
	text_wrapped(out, words, 2, 4, TEXT_BREAK_WORDS, style);
	fputc('\n', out);
}

/* Does the endpoint with this index have lines? Clients that were set aside are only counted. */
static bool endpoint_is_listed(const struct snapshot *s, size_t i)
{
	return i < s->endpoint_count || aside_is_listed(endpoint_aside(&s->endpoints[i]));
}

/* How many endpoints are listed, and whether they are in several network namespaces. */
static size_t count_listed(const struct snapshot *s, bool *several_netns)
{
	const struct endpoint *first = NULL;
	size_t listed = 0;

	*several_netns = false;
	for (size_t i = 0; i < s->endpoint_count + s->aside_count; i++) {
		if (!endpoint_is_listed(s, i))
			continue;
		first = first ? first : &s->endpoints[i];
		*several_netns |= s->endpoints[i].netns != first->netns;
		listed++;
	}
	return listed;
}

/* Prints "2 ports, 3 sockets, 1 finding, 2 notes". A finding is something that looks wrong. */
static void print_sums(FILE *out, const struct snapshot *s, size_t count)
{
	size_t sockets = 0, findings = 0, notes = 0;
	char ports[TEXT_COUNT_SIZE], rows[TEXT_COUNT_SIZE];

	for (size_t i = 0; i < s->endpoint_count; i++) {
		const struct endpoint *e = &s->endpoints[i];

		sockets += e->socket_count + e->connected_count + e->omitted.sockets;
		for (size_t f = 0; f < e->finding_count; f++) {
			findings += e->findings[f].level == FINDING_PROBLEM;
			notes += e->findings[f].level == FINDING_NOTE;
		}
	}
	for (size_t i = s->endpoint_count; i < s->endpoint_count + s->aside_count; i++)
		sockets += endpoint_is_listed(s, i) ? s->endpoints[i].socket_count : 0;
	fprintf(out, "\n%s port%s, %s socket%s, ", text_count(ports, count), plural_s(count),
		text_count(rows, sockets), plural_s(sockets));
	if (findings)
		fprintf(out, "%zu finding%s", findings, plural_s(findings));
	else
		fputs("nothing looks wrong", out);
	if (notes)
		fprintf(out, ", %zu note%s", notes, plural_s(notes));
	fputc('\n', out);
}

void text_list(FILE *out, const struct snapshot *s, const struct text_style *style)
{
	bool several_netns;
	const size_t count = count_listed(s, &several_netns);

	if (!count) {
		fputs("nothing listens on what the filter asks for\n", out);
		text_clients(out, s);
		text_lost(out, s, style);
		return;
	}
	fprintf(out, "%s  %9s %8s %5s %13s %6s %8s %7s  held by%s\n", text_paint(style, TEXT_BOLD),
		"inode", "socket", "uid", "queue", "drops", "group", "waiting",
		text_paint(style, TEXT_PLAIN));
	for (size_t i = 0; i < s->endpoint_count; i++)
		print_port(out, &s->endpoints[i], several_netns, style);
	for (size_t i = s->endpoint_count; i < s->endpoint_count + s->aside_count; i++)
		if (endpoint_is_listed(s, i))
			print_aside(out, &s->endpoints[i], several_netns, style);
	print_sums(out, s, count);
	text_clients(out, s);
	text_lost(out, s, style);
}
