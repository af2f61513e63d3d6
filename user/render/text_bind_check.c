/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The answers of `bind-check` for people: the outlook of each call, the reason, who has the port,
 * and which options would help. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "bind_report.h"
#include "text_parts.h"

#define SHOWN_MAX 10
#define INDENT 4

/* Prints "nginx 7 and 2 others, uid 0, SO_REUSEPORT". */
static void print_occupant(FILE *out, const struct bind_occupant *o, const struct text_style *style)
{
	char place[BIND_PLACE_TEXT], harmless[BIND_PLACE_TEXT], name[sizeof(o->process) + 1],
		count[TEXT_COUNT_SIZE], unit[TEXT_UNIT_SIZE];

	text_name(harmless, bind_place_text(place, &o->place), sizeof(harmless) - 1, style->utf8);
	fprintf(out, "%*s%-12s %-22s ", INDENT, "", bind_state_name(o->state), harmless);
	if (o->count > 1)
		fprintf(out, "%s sockets, ", text_count(count, o->count));
	if (o->pid) {
		fprintf(out, "%s %" PRId32,
			text_name(name, o->process, sizeof(o->process), style->utf8), o->pid);
		if (o->holders > 1)
			fprintf(out, " and %u other%s", o->holders - 1, o->holders > 2 ? "s" : "");
		fprintf(out, ", uid %" PRIu32, o->place.uid);
	} else {
		fputs(o->held ? "holder not found" : "held by no process", out);
	}
	if (o->pid && o->cgroup && *text_unit(unit, o->cgroup, style->utf8))
		fprintf(out, ", in %s", unit);
	if (o->origin != ORIGIN_UNKNOWN && o->peer_port)
		fprintf(out, ", outgoing");
	if (isfinite(o->seconds_left))
		fprintf(out, ", %.1f s left", o->seconds_left);
	if (o->options_known)
		fprintf(out, "%s%s", o->place.reuseaddr ? ", SO_REUSEADDR" : "",
			o->place.reuseport ? ", SO_REUSEPORT" : "");
	fputc('\n', out);
}

/* Prints all occupants that are in the way, if the explanation could not name them all. */
static void print_occupants(FILE *out, const struct bind_check *c, const struct text_style *style)
{
	size_t in_the_way = 0, shown = 0;
	char count[TEXT_COUNT_SIZE];

	for (size_t i = 0; i < c->occupant_count; i++)
		in_the_way += bind_conflict(&c->event.place, c->event.call, &c->occupants[i]);
	if (in_the_way < 2)
		return;
	for (size_t i = 0; i < c->occupant_count && shown < SHOWN_MAX; i++)
		if (bind_conflict(&c->event.place, c->event.call, &c->occupants[i])) {
			print_occupant(out, &c->occupants[i], style);
			shown++;
		}
	if (in_the_way > shown)
		fprintf(out, "%*sand %s more\n", INDENT, "", text_count(count, in_the_way - shown));
}

static void print_help(FILE *out, const struct bind_check *c)
{
	static const char format[] = "%*sit would work with %s\n";

	if (c->helps_reuseaddr)
		fprintf(out, format, INDENT, "", "SO_REUSEADDR (--reuseaddr)");
	if (c->helps_reuseport)
		fprintf(out, format, INDENT, "", "SO_REUSEPORT (--reuseport), sharing the port");
	if (c->helps_both)
		fprintf(out, format, INDENT, "",
			"SO_REUSEADDR and SO_REUSEPORT (--reuseaddr --reuseport)");
	if (c->helps_v6only)
		fprintf(out, format, INDENT, "", "IPV6_V6ONLY (--v6only), without IPv4");
}

static void print_check(FILE *out, const struct bind_check *c, const struct text_style *style)
{
	const bool works = c->outlook == BIND_WORKS, udp = c->event.place.protocol == PROTOCOL_UDP;
	char place[BIND_PLACE_TEXT], name[16], line[BIND_TEXT_MAX + 160], harmless[sizeof(line)];

	snprintf(line, sizeof(line), "%s %s: ", udp ? "udp" : "tcp",
		 bind_place_text(place, &c->event.place));
	if (works)
		snprintf(line + strlen(line), sizeof(line) - strlen(line),
			 udp ? "bind() would work" : "bind() and listen() would work");
	else
		snprintf(line + strlen(line), sizeof(line) - strlen(line), "%s() %s fail: %s: %s",
			 c->event.call == CALL_LISTEN ? "listen" : "bind",
			 c->outlook == BIND_FAILS ? "would" : "might",
			 bind_error_name(c->event.error, name), c->text);
	fprintf(out, "%s%s%s ", text_paint(style, works ? TEXT_GREEN : TEXT_YELLOW),
		text_mark(works ? FINDING_GOOD : FINDING_PROBLEM, style->utf8),
		text_paint(style, TEXT_PLAIN));
	text_wrapped(out, text_name(harmless, line, sizeof(line) - 1, style->utf8), 2, INDENT,
		     TEXT_BREAK_WORDS, style);
	fputc('\n', out);
	if (c->event.error == EADDRINUSE && !works) {
		print_occupants(out, c, style);
		print_help(out, c);
	}
}

void text_bind_check(FILE *out, const struct bind_report *r, const struct text_style *style)
{
	for (size_t i = 0; i < r->count; i++)
		print_check(out, &r->checks[i], style);
	if (!r->complete)
		fputs("  not all sockets of that network namespace could be looked at: there may "
		      "be more in the way\n",
		      out);
}
