/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The notices of `sockfair binds` for people: one line for the call, paragraphs for why it failed
 * or looks wrong, and the totals at the end. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "../model/words.h"
#include "bind_notices.h"
#include "memory.h"
#include "text_parts.h"

#define INDENT 4

/* Prints "nginx (pid 7)", "worker-3 (thread 9 of node, pid 7)". */
static void print_caller(FILE *out, const struct bind_event *e, const struct text_style *style)
{
	char comm[sizeof(e->comm) + 1], process[sizeof(e->process) + 1];

	text_name(comm, e->comm, sizeof(e->comm), style->utf8);
	text_name(process, e->process, sizeof(e->process), style->utf8);
	if (e->tid == e->pid)
		fprintf(out, "%s (pid %" PRId32 ")", comm, e->pid);
	else
		fprintf(out, "%s (thread %" PRId32 " of %s, pid %" PRId32 ")", comm, e->tid,
			process, e->pid);
}

/* Prints "tcp 0.0.0.0:80", "udp 127.0.0.1:0 (got 40123)". */
static void print_place(FILE *out, const struct bind_event *e, const struct text_style *style)
{
	char place[BIND_PLACE_TEXT], harmless[BIND_PLACE_TEXT];
	struct bind_place of = e->place;
	const bool picked =
		e->call == CALL_BIND && e->asked_known && !of.port && e->port_got && !e->error;

	fprintf(out, "%s ", of.protocol == PROTOCOL_UDP ? "udp" : "tcp");
	if (!e->asked_known) {
		fprintf(out, "(%s socket)", of.family == AF_INET6 ? "IPv6" : "IPv4");
		return;
	}
	fputs(text_name(harmless, bind_place_text(place, &of), sizeof(harmless) - 1, style->utf8),
	      out);
	if (picked)
		fprintf(out, " (got %u)", e->port_got);
	if (e->call == CALL_LISTEN)
		fprintf(out, " backlog %" PRIu32, e->backlog);
	if (e->call == CALL_CONNECT && e->peer.port)
		fprintf(out, " to %s", bind_peer_text(place, &e->peer));
}

static void print_options(FILE *out, const struct bind_event *e)
{
	if (e->place.reuseaddr)
		fputs(", SO_REUSEADDR", out);
	if (e->place.reuseport)
		fputs(", SO_REUSEPORT", out);
	if (e->freebind)
		fputs(", IP_FREEBIND or IP_TRANSPARENT", out);
}

/* Prints a paragraph below the call's line. */
static void print_words(FILE *out, const char *mark, const char *words,
			const struct text_style *style)
{
	char harmless[BIND_TEXT_MAX + 1];

	fprintf(out, "%*s%s", INDENT, "", mark);
	text_wrapped(out, text_name(harmless, words, BIND_TEXT_MAX, style->utf8),
		     INDENT + strlen(mark), INDENT + strlen(mark), TEXT_BREAK_WORDS, style);
	fputc('\n', out);
}

/* Prints the first line, without its line end. */
static void print_notice_head(FILE *out, const struct bind_notice *n,
			      const struct text_style *style)
{
	const struct bind_event *e = &n->event;
	const time_t seconds = n->time_ms / 1000;
	char when[16], buffer[16];
	struct tm local;

	localtime_r(&seconds, &local);
	strftime(when, sizeof(when), "%H:%M:%S", &local);
	fprintf(out, "%s.%03d ", when, (int)(n->time_ms % 1000));
	print_caller(out, e, style);
	fprintf(out, " %s ", bind_call_name(e->call));
	print_place(out, e, style);
	fprintf(out, ": %s", e->error ? bind_error_name(e->error, buffer) : "worked");
	print_options(out, e);
}

void text_bind_notice(FILE *out, const struct bind_notice *n, const struct text_style *style)
{
	char *head = NULL;
	size_t size;
	FILE *memory = words_open(&head, &size);

	if (!memory)
		return;
	print_notice_head(memory, n, style);
	if (!words_close(memory, &head))
		return;
	fputs(n->event.error ? text_paint(style, TEXT_RED) : "", out);
	text_wrapped(out, head, 0, INDENT, TEXT_BREAK_WORDS, style);
	fprintf(out, "%s\n", n->event.error ? text_paint(style, TEXT_PLAIN) : "");
	free(head);
	if (*n->why)
		print_words(out, "", n->why, style);
	if (n->incomplete)
		print_words(out, "",
			    "(not all sockets of the machine could be looked at: there may be "
			    "others in the way)",
			    style);
	for (size_t i = 0; i < n->suspicion_count; i++) {
		fputs(text_paint(style, TEXT_YELLOW), out);
		print_words(out, "! ", n->suspicions[i].text, style);
		fputs(text_paint(style, TEXT_PLAIN), out);
	}
}

void text_bind_totals(FILE *out, const struct bind_totals *t, const struct text_style *style)
{
	char binds[TEXT_COUNT_SIZE], listens[TEXT_COUNT_SIZE], failed[TEXT_COUNT_SIZE],
		wrong[TEXT_COUNT_SIZE], lost[TEXT_COUNT_SIZE];
	char line[256];
	struct snapshot backend = { .unseen_count = t->unseen_count };

	snprintf(line, sizeof(line),
		 "%s bind%s and %s listen%s seen in %.1f s: %s failed, %s look%s wrong; backend "
		 "%s, lost %s",
		 text_count(binds, t->seen[CALL_BIND]), plural_s(t->seen[CALL_BIND]),
		 text_count(listens, t->seen[CALL_LISTEN]), plural_s(t->seen[CALL_LISTEN]),
		 t->seconds, text_count(failed, t->failed[CALL_BIND] + t->failed[CALL_LISTEN]),
		 text_count(wrong, t->suspicious), t->suspicious == 1 ? "s" : "", t->backend,
		 text_count(lost, bind_totals_lost(t)));
	text_wrapped(out, line, 0, INDENT, TEXT_BREAK_WORDS, style);
	fputc('\n', out);
	if (t->failed[CALL_CONNECT])
		fprintf(out, "%s connect() found no port or address\n",
			text_count(binds, t->failed[CALL_CONNECT]));
	for (size_t i = 0; i < t->lost_count; i++) {
		snprintf(line, sizeof(line), "  lost %s: %s", text_count(lost, t->lost[i].count),
			 t->lost[i].text);
		fputs(text_paint(style, TEXT_RED), out);
		text_wrapped(out, line, 0, INDENT, TEXT_BREAK_WORDS, style);
		fprintf(out, "%s\n", text_paint(style, TEXT_PLAIN));
	}
	memcpy(backend.unseen, t->unseen, sizeof(backend.unseen));
	text_unseen(out, &backend, style);
}
