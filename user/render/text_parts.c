/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The words and lines that several text renderers share: numbers, names, addresses, verdicts,
 * findings, lost events. */
#include "text_parts.h"

#include <inttypes.h>
#include <arpa/inet.h>
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../model/connected.h"
#include "../model/words.h"
#include "memory.h"
#include "utf8.h"

#define WIDTH_ANY 100    /* bars are made for this width where the width is not known */
#define ID_DIGITS_MIN 32 /* this many hexadecimal digits in a cgroup's name are an id */
#define ID_DIGITS_SHOWN 12

const char *text_paint(const struct text_style *style, const char *colour)
{
	return style->colour ? colour : "";
}

char *text_count(char *buffer, uint64_t n)
{
	char digits[24];
	int length = sprintf(digits, "%llu", (unsigned long long)n);
	char *to = buffer;

	for (int i = 0; i < length; i++) {
		if (i && (length - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = 0;
	return buffer;
}

char *text_bound(char *buffer, uint64_t n, bool at_least, bool utf8)
{
	const char *sign = !at_least ? "" : utf8 ? "≥" : ">=";

	strcpy(buffer, sign);
	text_count(buffer + strlen(sign), n);
	return buffer;
}

char *text_duration(char *buffer, double ns)
{
	static const struct {
		double ns;
		const char *name;
	} units[] = { { 1e3, "us" },   { 1e6, "ms" },   { 1e9, "s" },
		      { 60e9, "min" }, { 3600e9, "h" }, { 86400e9, "d" } };
	size_t i = 0;

	if (isnan(ns))
		return strcpy(buffer, "-");
	if (ns < 1000)
		return strcpy(buffer, "<1 us"); /* the resolution of the measurement */
	while (i + 1 < sizeof(units) / sizeof(*units) && ns / units[i].ns >= 999.5)
		i++;
	ns /= units[i].ns;
	snprintf(buffer, TEXT_DURATION_SIZE, i && ns < 9.95 ? "%.1f %s" : "%.0f %s", ns,
		 units[i].name);
	return buffer;
}

/* Is the character harmless for a terminal? C1 control characters are terminal commands too. Marks
 * that change the direction of writing are not harmless either, because they hide what a name says.
 */
static bool is_harmless(uint32_t code)
{
	return code >= 0x20 && (code < 0x7f || code >= 0xa0) &&
	       !(code >= 0x202a && code <= 0x202e) && !(code >= 0x2066 && code <= 0x2069) &&
	       code != 0x200e && code != 0x200f && code != 0x2028 && code != 0x2029;
}

char *text_name(char *buffer, const char *bytes, size_t max, bool utf8)
{
	const size_t size = strnlen(bytes, max);
	char *to = buffer;

	for (size_t at = 0; at < size;) {
		uint32_t code = 0;
		size_t length = utf8_next(bytes + at, size - at, &code);

		if (length && is_harmless(code) && (utf8 || length == 1)) {
			memcpy(to, bytes + at, length);
			to += length;
		} else {
			*to++ = '?';
		}
		at += length ? length : 1;
	}
	*to = '\0';
	return buffer;
}

char *text_netns(char *buffer, uint32_t inode, bool utf8)
{
	char raw[NETNS_NAME_SIZE];

	netns_say(raw, inode);
	return text_name(buffer, raw, NETNS_NAME_SIZE - 1, utf8);
}

int text_width(const char *text)
{
	int columns = 0;

	for (; *text; text++)
		columns += (*text & 0xc0) != 0x80;
	return columns;
}

void text_right(FILE *out, int columns, const char *text)
{
	const int used = text_width(text);

	fprintf(out, "%*s%s", columns > used ? columns - used : 0, "", text);
}

char *text_cgroup(char *buffer, const char *cgroup, bool utf8)
{
	char *from = buffer, *to = buffer;

	text_name(buffer, cgroup, TEXT_CGROUP_SIZE - 1, utf8);
	while (*from) {
		size_t digits = strspn(from, "0123456789abcdef"),
		       kept = digits >= ID_DIGITS_MIN ? ID_DIGITS_SHOWN : digits;

		memmove(to, from, kept);
		to += kept;
		from += digits;
		if (*from)
			*to++ = *from++;
	}
	*to = '\0';
	return buffer;
}

char *text_unit(char *buffer, const char cgroup[CGROUP_SIZE], bool utf8)
{
	const char *whole = cgroup_whole(cgroup);
	char words[UNIT_WORDS_SIZE];
	struct unit unit;

	*buffer = '\0';
	if (unit_of_row(&unit, cgroup))
		return text_name(buffer, unit_say(words, &unit), TEXT_UNIT_SIZE - 1, utf8);
	if (*cgroup && strcmp(cgroup, "/"))
		text_cgroup(stpcpy(buffer, TEXT_UNIT_CGROUP), whole ? whole : cgroup, utf8);
	return buffer;
}

bool text_same_device(const struct endpoint *e)
{
	for (size_t i = 1; i < e->socket_count; i++)
		if (strncmp(e->sockets[i].device, e->sockets[0].device,
			    sizeof(e->sockets[0].device)))
			return false;
	return true;
}

/* Does the port take IPv4 too? An IPv6 wildcard does unless all of its sockets refuse IPv4. */
static bool is_dual_stack(const struct endpoint *e)
{
	static const uint8_t any[16];

	if (e->family != AF_INET6 || memcmp(e->address, any, sizeof(any)))
		return false;
	for (size_t i = 0; i < e->socket_count; i++)
		if (!e->sockets[i].v6only)
			return true;
	return false;
}

char *text_address(char *buffer, const struct endpoint *e)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	const bool is_mapped = e->family == AF_INET6 && !memcmp(e->address, mapped, sizeof(mapped));
	const bool link_local =
		e->family == AF_INET6 && e->address[0] == 0xfe && (e->address[1] & 0xc0) == 0x80;
	const char *raw = e->socket_count && text_same_device(e) ? e->sockets[0].device : "";
	char address[INET6_ADDRSTRLEN], device[17], zone[18] = "";

	if (*raw)
		sprintf(zone, "%%%s", text_name(device, raw, sizeof(e->sockets->device), false));
	if (is_mapped)
		inet_ntop(AF_INET, e->address + 12, address, sizeof(address));
	else
		inet_ntop(e->family, e->address, address, sizeof(address));
	if (is_dual_stack(e))
		sprintf(buffer, "*%s:%u", zone, e->port);
	else if (e->family == AF_INET || is_mapped)
		sprintf(buffer, "%s%s:%u", address, zone, e->port);
	else
		sprintf(buffer, link_local ? "[%s%s]:%u" : "[%s]%s:%u", address, zone, e->port);
	return buffer;
}

const char *text_protocol(const struct endpoint *e)
{
	return e->protocol == PROTOCOL_UDP ? "udp" : "tcp";
}

int text_bar_room(const struct text_style *style)
{
	return style->width ? style->width : WIDTH_ANY;
}

enum attribute verdict_attribute(enum verdict v)
{
	return v == VERDICT_UNEVEN           ? ATTRIBUTE_RED
	       : v == VERDICT_EVEN           ? ATTRIBUTE_GREEN
	       : v == VERDICT_NOT_APPLICABLE ? ATTRIBUTE_DIM
					     : ATTRIBUTE_YELLOW;
}

const char *text_colour(enum attribute attribute)
{
	static const char *const colours[ATTRIBUTE_COUNT] = {
		[ATTRIBUTE_NORMAL] = "",        [ATTRIBUTE_BOLD] = TEXT_BOLD,
		[ATTRIBUTE_DIM] = TEXT_DIM,     [ATTRIBUTE_RED] = TEXT_RED,
		[ATTRIBUTE_GREEN] = TEXT_GREEN, [ATTRIBUTE_YELLOW] = TEXT_YELLOW,
		[ATTRIBUTE_REVERSE] = "\033[7m"
	};

	return colours[attribute];
}

const char *verdict_words(enum verdict v, enum words length)
{
	static const char *const words[][WORDS_SENTENCE + 1] = {
		[VERDICT_TOO_FEW] = { "too few", "too few", "too few to tell" },
		[VERDICT_FLOWS_UNKNOWN] = { "flows?", "flows unknown", "flows unknown" },
		[VERDICT_NOT_APPLICABLE] = { "-", "nothing to compare", "nothing to compare" },
		[VERDICT_WITHHELD] = {},
	};

	return words[v][length] ? words[v][length] : verdict_name(v);
}

const char *nothing_words(const struct fairness *f)
{
	return f->bins == 1 ? "only one" : f->bins ? "no events" : "none";
}

char *text_queue(char *buffer, const struct socket_row *s)
{
	if (s->queue_known)
		sprintf(buffer, "%" PRIu32 "/%" PRIu32, s->queue_length, s->queue_limit);
	else
		strcpy(buffer, "-");
	return buffer;
}

char *text_group(char *buffer, const struct socket_row *s)
{
	if (s->group)
		sprintf(buffer, "%" PRIu64, s->group);
	else
		strcpy(buffer, s->reuseport ? "yes" : "-");
	return buffer;
}

void text_p_value(char *buffer, double p)
{
	if (isnan(p))
		strcpy(buffer, "-");
	else if (p < 0.001)
		strcpy(buffer, "<0.001");
	else
		sprintf(buffer, "%.3f", p);
}

/* "; per flow, about 602 flows that count as 2.9, the largest 42%" */
static void flows_figures(FILE *out, const struct fairness *f)
{
	const char *about = f->flows_estimated ? "about " : "";
	char count[TEXT_COUNT_SIZE];

	if (f->unit != UNIT_FLOW || !(f->flows_effective > 0))
		return;
	if (f->flows)
		fprintf(out, "; per flow, %s%s flow%s", about, text_count(count, f->flows),
			plural_s(f->flows));
	else
		fprintf(out, "; per flow");
	if (f->flows_differ && f->flows_effective < 99.5)
		fprintf(out, " that count as %s%.1f, the largest %.0f%%", about, f->flows_effective,
			f->largest_flow * 100);
	else if (f->flows_differ)
		fprintf(out, "%s count as %s%s", f->flows ? " that" : "; they", about,
			text_count(count, llround(f->flows_effective)));
}

/* Prints what follows the verdict: ": CV 1.640 (fair hash 0.019), ..." */
static void fairness_figures(FILE *out, const struct fairness *f)
{
	char p[16], needed[TEXT_COUNT_SIZE];

	if (f->verdict == VERDICT_NOT_APPLICABLE) {
		fprintf(out, ": %s", nothing_words(f));
		return;
	}
	if (f->verdict == VERDICT_WITHHELD) {
		fprintf(out, ": %s", withheld_words(f->withheld));
		if (!isnan(f->cv))
			fprintf(out, "; CV %.3f%s", f->cv,
				f->withheld == WITHHELD_LIVES_DIFFER ? "" : " of the others");
		return;
	}
	fprintf(out, ": CV %.3f", f->cv);
	if (!isnan(f->cv_expected))
		fprintf(out, " (fair hash %.3f)", f->cv_expected);
	fprintf(out, ", busiest %.2fx the mean", f->max_over_mean);
	if (!isnan(f->max_over_mean_expected))
		fprintf(out, " (%.2f)", f->max_over_mean_expected);
	fprintf(out, ", %zu of %zu idle", f->idle, f->bins);
	text_p_value(p, f->p_value);
	if (!isnan(f->p_value))
		fprintf(out, ", p %s%s", p, f->simulated ? " (simulated)" : "");
	fprintf(out, ", Jain %.3f", f->jain);
	flows_figures(out, f);
	if (f->verdict == VERDICT_TOO_FEW)
		fprintf(out, "; needs %s %s", text_count(needed, f->needed),
			f->unit == UNIT_FLOW ? "flows" : "events");
}

/* Prints "4 processes block in accept() on one socket; 4 of an earlier generation took 2,504 of
 * 5,007". */
void text_design(FILE *out, const struct endpoint *e, const struct text_style *style)
{
	const struct generations *g = &e->generations;
	char taken[TEXT_COUNT_SIZE], all[TEXT_COUNT_SIZE],
		words[DESIGN_WORDS + 2 * TEXT_COUNT_SIZE + 80];
	int used = snprintf(words, sizeof(words), "%s", e->design.words);

	if (!*words)
		return;
	if (g->judged)
		snprintf(words + used, sizeof(words) - used, "; %zu %s took %s of %s",
			 generations_other(g)->threads, generations_other_name(g),
			 text_count(taken, generations_other(g)->taken),
			 text_count(all, g->earlier.taken + g->later.taken));
	fprintf(out, "  %s", text_paint(style, TEXT_DIM));
	text_wrapped(out, words, 2, 4, TEXT_BREAK_CLAUSES, style);
	fprintf(out, "%s\n", text_paint(style, TEXT_PLAIN));
}

void text_connected(FILE *out, const struct endpoint *e)
{
	const struct connected_sum sum = endpoint_connected(e);
	char sockets[TEXT_COUNT_SIZE], processes[TEXT_COUNT_SIZE], number[TEXT_COUNT_SIZE];

	if (!sum.sockets)
		return;
	fprintf(out, "  and %s connected socket%s", text_count(sockets, sum.sockets),
		plural_s(sum.sockets));
	if (sum.processes)
		fprintf(out, " of %s process%s", text_count(processes, sum.processes),
			plural_es(sum.processes));
	fputs(", a peer each", out);
	if (sum.delivered || sum.received)
		fprintf(out, ", with %s",
			text_count(number,
				   sum.delivered > sum.received ? sum.delivered : sum.received));
	if (sum.dropped || sum.drops)
		fprintf(out, ", %s dropped",
			text_count(number, sum.dropped > sum.drops ? sum.dropped : sum.drops));
	fputc('\n', out);
}

void text_clients(FILE *out, const struct snapshot *s)
{
	char count[TEXT_COUNT_SIZE];

	if (s->clients)
		fprintf(out,
			"%s port%s of clients (all UDP sockets connected) left out: -P PORT shows "
			"one\n",
			text_count(count, s->clients), plural_s(s->clients));
}

void text_passing(FILE *out, const struct snapshot *s)
{
	const struct passing *p = &s->passing;
	const uint64_t datagrams = p->arrived > p->accepted ? p->arrived : p->accepted;
	char ports[TEXT_COUNT_SIZE], number[TEXT_COUNT_SIZE], sockets[TEXT_COUNT_SIZE];

	if (p->ports)
		fprintf(out,
			"%s%s UDP port%s opened meanwhile and closed, as far as is known, left "
			"out, with %s datagram%s on %s socket%s: -P PORT shows one\n",
			p->ports_at_least ? "≥" : "", text_count(ports, p->ports),
			plural_s(p->ports), text_count(number, datagrams), plural_s(datagrams),
			text_count(sockets, p->sockets), plural_s(p->sockets));
}

void text_fairness(FILE *out, const char *what, const struct fairness *f,
		   const struct text_style *style)
{
	const char *verdict = verdict_words(f->verdict, WORDS_SENTENCE);
	char figures[400] = "";
	FILE *memory = render_needs(fmemopen(figures, sizeof(figures), "w"));

	if (memory) {
		fairness_figures(memory, f);
		fclose(memory);
	}
	fprintf(out, "  %-8s %s%s%s", what,
		text_paint(style, text_colour(verdict_attribute(f->verdict))), verdict,
		text_paint(style, TEXT_PLAIN));
	text_wrapped(out, figures,
		     2 + (text_width(what) > 8 ? text_width(what) : 8) + 1 + text_width(verdict),
		     11, TEXT_BREAK_CLAUSES, style);
	fputc('\n', out);
}

const char *text_mark(enum finding_level level, bool utf8)
{
	return level == FINDING_PROBLEM ? "!" : level == FINDING_NOTE ? "i" : utf8 ? "✓" : "ok";
}

static const char *const level_colours[] = {
	[FINDING_PROBLEM] = TEXT_YELLOW, [FINDING_NOTE] = TEXT_DIM, [FINDING_GOOD] = TEXT_GREEN
};

void text_finding(FILE *out, const struct finding *f, int indent, const struct text_style *style)
{
	const char *mark = text_mark(f->level, style->utf8);
	const int column = indent + text_width(mark) + 1;
	char text[sizeof(f->text) + 1];

	fprintf(out, "%*s%s%s ", indent, "", text_paint(style, level_colours[f->level]), mark);
	text_wrapped(out, text_name(text, f->text, sizeof(f->text), style->utf8), column, column,
		     TEXT_BREAK_WORDS, style);
	fprintf(out, "%s\n", text_paint(style, TEXT_PLAIN));
}

void text_buffers(FILE *out, const struct endpoint *e)
{
	const uint64_t buffers = endpoint_maybe_several(e);
	char count[TEXT_COUNT_SIZE];

	if (buffers)
		fprintf(out,
			"  %s buffer%s for UDP_GRO sockets, each may hold several datagrams: "
			"counted as one\n",
			text_count(count, buffers), plural_s(buffers));
}

/* Prints "  not all who wait on socket 30211 are listed: at least 16,384 threads do". */
static void text_cut(FILE *out, const struct snapshot *s)
{
	char count[TEXT_COUNT_SIZE];

	for (size_t i = 0; i < s->endpoint_count; i++)
		for (size_t j = 0; j < s->endpoints[i].socket_count; j++) {
			const struct socket_row *row = &s->endpoints[i].sockets[j];

			if (row->waiting_cut)
				fprintf(out,
					"  not all who wait on socket %" PRIu32
					" are listed: at least %s thread%s\n",
					row->inode, text_count(count, row->waiting),
					row->waiting == 1 ? " does" : "s do");
		}
}

/* Prints what was lost. Lost events are missing either in the counts, which are then bounds, or
 * only in what was served and what is open. */
void text_lost(FILE *out, const struct snapshot *s, const struct text_style *style)
{
	char count[TEXT_COUNT_SIZE];

	for (size_t i = 0; i < s->lost_count; i++)
		fprintf(out, "  %s%s: %s%s (%s)%s\n", text_paint(style, TEXT_RED),
			s->lost[i].beside ? "not followed" : "not counted",
			s->lost[i].at_most ? "at most " : "", text_count(count, s->lost[i].count),
			s->lost[i].text, text_paint(style, TEXT_PLAIN));
	if (s->unlisted)
		fprintf(out, "  %s more thread%s on these sockets: beyond the limit of rows\n",
			text_count(count, s->unlisted), s->unlisted == 1 ? " waits" : "s wait");
	text_cut(out, s);
}

/* Prints what counting took, if that was asked for. */
void text_own_cost(FILE *out, const struct snapshot *s)
{
	const struct own_cost *cost = &s->own_cost;
	char runs[TEXT_COUNT_SIZE];

	if (!cost->known || !(s->seconds > 0))
		return;
	fprintf(out,
		"  own cost: %.2f %% of a CPU for %s runs of the programs (%.0f ns each), "
		"%.2f %% for sockfair itself\n",
		cost->ns / s->seconds / 1e7, text_count(runs, cost->runs),
		cost->runs ? (double)cost->ns / cost->runs : 0,
		cost->process_ns / s->seconds / 1e7);
}
