/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Three columns of figures, waits first, and what they say. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "steer_report.h"
#include "text_parts.h"

#define LABEL 30
#define COLUMN 14

static const char *way_words(enum steer_way way)
{
	if (way == STEER_BY_EPOLL)
		return "by moving their epoll entries";
	return way == STEER_BY_LOOKUP ? "by an SK_LOOKUP program" : "by an SK_REUSEPORT program";
}

void text_steer_plan(FILE *out, const struct endpoint *e, const struct steer_plan *plan,
		     const struct text_style *style)
{
	char address[TEXT_ADDRESS_SIZE], name[sizeof(e->holders->process) + 1];

	fprintf(out, "%s%s %s%s", text_paint(style, TEXT_BOLD), text_protocol(e),
		text_address(address, e), text_paint(style, TEXT_PLAIN));
	if (plan->way == STEER_BY_NOTHING) {
		fprintf(out, " can't be steered: %s\n", plan->why);
		return;
	}
	if (steer_by_program(plan->way))
		fprintf(out, ": a SO_REUSEPORT group of %zu sockets, steered %s, policy %s\n",
			plan->members, way_words(plan->way), steer_policy_name(plan->policy));
	else
		fprintf(out, ": workers that share one socket, steered %s\n", way_words(plan->way));
	if (plan->left)
		fputs("  the program that a killed sockfair steer has left in the group is removed "
		      "first\n",
		      out);
	for (size_t i = 0; i < e->socket_count; i++)
		if (e->sockets[i].steered && plan->way == STEER_BY_LOOKUP && !plan->left) {
			fputs("  the group's own program is not asked while it is steered\n", out);
			break;
		}
	if (e->protocol == PROTOCOL_UDP)
		fputs("  each datagram goes to the shortest queue: those of one client to several "
		      "sockets\n",
		      out);
	for (size_t i = 0; steer_by_program(plan->way) && i < plan->members; i++) {
		size_t count;
		const struct holder_row *h = endpoint_holders(e, plan->cookies[i], &count);

		fprintf(out, "  socket %" PRIu64, plan->cookies[i]);
		if (count)
			fprintf(out, "  %s %" PRId32,
				text_name(name, h->process, sizeof(h->process), style->utf8),
				h->pid);
		if (count > 1)
			fprintf(out, " and %zu other%s", count - 1, count > 2 ? "s" : "");
		if (plan->policy == STEER_WEIGHTS)
			fprintf(out, ", weight %" PRIu32, plan->weights[i]);
		fputc('\n', out);
	}
}

/* The rows of the table. For UDP there are no waits: the kernel does not stamp datagrams. */
static const struct steer_table_row {
	enum metric_id metric;
	const char *label;
} tcp_rows[] = {
	{ METRIC_RATE, "connections per second" },
	{ METRIC_WAIT_P50, "wait for accept, p50" },
	{ METRIC_WAIT_P99, "wait for accept, p99" },
	{ METRIC_WAIT_MAX, "longest wait of all" },
	{ METRIC_QUEUE_HIGHEST, "highest queue of all" },
	{ METRIC_DROPS, "drops in all" },
	{ METRIC_OPEN, "open connections" },
	{ METRIC_OPEN_CV, "  their CV over the workers" },
	{ METRIC_CV, "CV of new connections" },
	{ METRIC_COUNT, NULL },
}, udp_rows[] = {
	{ METRIC_RATE, "datagrams per second" },
	{ METRIC_DROPS, "drops in all" },
	{ METRIC_DROP_SHARE, "  of all datagrams" },
	{ METRIC_QUEUE_BYTES, "bytes in the fullest queue" },
	{ METRIC_CV, "CV of datagrams" },
	{ METRIC_COUNT, NULL },
};

static void value_text(char *text, size_t size, enum metric_id metric, double value)
{
	char duration[TEXT_DURATION_SIZE], count[TEXT_COUNT_SIZE];

	if (isnan(value))
		snprintf(text, size, "-");
	else if (metrics[metric].unit == METRIC_NS)
		snprintf(text, size, "%s", text_duration(duration, value));
	else if (metrics[metric].unit == METRIC_RATIO)
		snprintf(text, size, "%.3f", value);
	else if (metrics[metric].unit == METRIC_SHARE)
		snprintf(text, size, value ? "%.3g %%" : "0 %%", 100 * value);
	else if (value >= 100 || value == floor(value))
		snprintf(text, size, "%s", text_count(count, (uint64_t)llround(value)));
	else
		snprintf(text, size, "%.1f", value);
}

/* What is added up or is the longest of all: of the whole phase. Else the mean of its seconds,
 * which the tests compare. */
static double figure_of(const struct steer_result *r, enum steer_phase_name phase,
			enum metric_id metric)
{
	const struct comparison_stat *stat = steer_stat(r, phase, metric);

	if (metric == METRIC_WAIT_MAX || metric == METRIC_QUEUE_HIGHEST || metric == METRIC_DROPS)
		return steer_whole(r, phase, metric);
	return stat ? stat->mean : NAN;
}

static void print_row(FILE *out, const struct steer_result *r, const struct steer_table_row *row)
{
	const enum metric_id metric = row->metric;
	bool known = false;

	for (size_t p = 0; p < STEER_PHASES; p++)
		known |= !isnan(figure_of(r, (enum steer_phase_name)p, metric));
	if (!known)
		return;
	fprintf(out, "  %-*s", LABEL - 2, row->label);
	for (size_t p = 0; p < STEER_PHASES; p++) {
		const enum steer_phase_name phase = (enum steer_phase_name)p;
		const struct comparison_stat *stat = steer_stat(r, phase, metric);
		char text[32];

		if (!r->phases[p].endpoint_count)
			continue;
		value_text(text, sizeof(text), metric, figure_of(r, phase, metric));
		fprintf(out, "%*s %c", COLUMN - 2, text,
			stat && stat->told == TOLD_DIFFERENT ? '*' : ' ');
	}
	fputc('\n', out);
}

/* What our own programs took for each connection or datagram: they see both ends of those on
 * loopback. */
static void print_cost(FILE *out, const struct steer_result *r)
{
	fprintf(out, "  %-*s", LABEL - 2,
		r->endpoint->protocol == PROTOCOL_UDP ? "our own cost per datagram"
						      : "our own cost per connection");
	for (size_t p = 0; p < STEER_PHASES; p++) {
		const struct snapshot *s = &r->phases[p];
		char duration[TEXT_DURATION_SIZE];

		if (!s->endpoint_count)
			continue;
		fprintf(out, "%*s  ", COLUMN - 2,
			text_duration(duration,
				      s->own_cost.known && endpoint_events(&s->endpoints[0])
					      ? (double)s->own_cost.ns /
							(double)endpoint_events(&s->endpoints[0])
					      : NAN));
	}
	fputc('\n', out);
}

static void print_table(FILE *out, const struct steer_result *r, const struct text_style *style)
{
	const struct steer_table_row *row =
		r->endpoint->protocol == PROTOCOL_UDP ? udp_rows : tcp_rows;
	bool any = false;

	fprintf(out, "%s%*s", text_paint(style, TEXT_BOLD), LABEL, "");
	for (size_t p = 0; p < STEER_PHASES; p++) {
		any |= r->phases[p].endpoint_count;
		if (r->phases[p].endpoint_count)
			fprintf(out, "%*s  ", COLUMN - 2, steer_phase_names[p]);
	}
	fprintf(out, "%s\n  %-*s", text_paint(style, TEXT_PLAIN), LABEL - 2, "seconds");
	for (size_t p = 0; p < STEER_PHASES; p++)
		if (r->phases[p].endpoint_count)
			fprintf(out, "%*.1f  ", COLUMN - 2, r->phases[p].seconds);
	fputc('\n', out);
	for (; any && row->label; row++)
		print_row(out, r, row);
	print_cost(out, r);
	fprintf(out, "  %smeans of the seconds; * differs from before by more than noise%s\n",
		text_paint(style, TEXT_DIM), text_paint(style, TEXT_PLAIN));
}

static void print_line(FILE *out, enum finding_level level, const struct text_style *style,
		       const char *text)
{
	static const char *const colours[] = { [FINDING_PROBLEM] = TEXT_YELLOW,
					       [FINDING_NOTE] = TEXT_DIM,
					       [FINDING_GOOD] = TEXT_GREEN };

	fprintf(out, "  %s%s %s%s\n", text_paint(style, colours[level]),
		text_mark(level, style->utf8), text, text_paint(style, TEXT_PLAIN));
}

/* Events that could not be counted may be those that the policy went by. */
static void print_lost(FILE *out, const struct steer_result *r, const struct text_style *style)
{
	char line[160], count[TEXT_COUNT_SIZE];
	uint64_t lost = 0;

	for (size_t p = 0; p < STEER_PHASES; p++)
		lost += snapshot_lost(&r->phases[p]);
	if (!lost)
		return;
	snprintf(line, sizeof(line), "%s events could not be counted: sockfair watch says why",
		 text_count(count, lost));
	print_line(out, FINDING_NOTE, style, line);
}

static void print_end(FILE *out, const struct steer_result *r, const struct text_style *style)
{
	const uint64_t left = r->passed[STEER_PASS_STALE] + r->passed[STEER_PASS_SIZE] +
			      r->passed[STEER_PASS_EMPTY];
	char line[STEER_WHY + 256], steered[TEXT_COUNT_SIZE], hashed[TEXT_COUNT_SIZE];

	if (r->end == STEER_END_NOT_BEGUN) {
		print_line(out, FINDING_NOTE, style,
			   *r->why ? r->why : "interrupted before it began");
		return;
	}
	if (r->end == STEER_END_WORSE || r->end == STEER_END_OBJECTION) {
		snprintf(line, sizeof(line), "released early: %s", r->why);
		print_line(out, FINDING_PROBLEM, style, line);
	}
	if (steer_by_program(r->plan.way)) {
		snprintf(
			line, sizeof(line),
			"the program picked the socket of %s look-ups, and left %s to the kernel's "
			"hash",
			text_count(steered, r->steered), text_count(hashed, left));
		print_line(out, FINDING_NOTE, style, line);
	}
	snprintf(line, sizeof(line),
		 r->as_found ? "released: the port is as it was found%s%s"
			     : "released, but the port is not as it was found%s%s",
		 *r->note ? "; " : "", r->note);
	print_line(out, r->as_found ? FINDING_GOOD : FINDING_PROBLEM, style, line);
}

void text_steer(FILE *out, const struct steer_result *r, const struct text_style *style)
{
	struct steer_saying sayings[STEER_SAYINGS_MAX];
	const size_t count = steer_sayings(r, sayings);

	text_steer_plan(out, r->endpoint, &r->plan, style);
	print_table(out, r, style);
	for (size_t i = 0; i < count; i++)
		print_line(out, sayings[i].level, style, sayings[i].text);
	print_lost(out, r, style);
	print_end(out, r, style);
}
