/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The claims for people: a verdict and a paragraph for each, and the totals. */
#include "claims.h"

#include <stdlib.h>

#include "text_parts.h"

#define INDENT 9
#define WIDTH_ELSEWHERE                                                                            \
	80 /* prose: nobody can read a line as long as a paragraph, even in a file */

static const char *colour(enum claim_verdict v)
{
	static const char *const colours[] = { [CLAIM_HOLDS] = TEXT_GREEN,
					       [CLAIM_PARTLY] = TEXT_YELLOW,
					       [CLAIM_FAILS] = TEXT_RED,
					       [CLAIM_SKIPPED] = TEXT_DIM };

	return colours[v];
}

static struct text_style prose(const struct text_style *style)
{
	struct text_style s = *style;

	if (!s.width)
		s.width = WIDTH_ELSEWHERE;
	return s;
}

void text_claim(FILE *out, const struct claim_result *r, const struct text_style *style)
{
	const struct text_style s = prose(style);
	char heading[512], why[sizeof(r->why)];

	fprintf(out, "%s%-8s%s ", text_paint(&s, colour(r->verdict)),
		claim_verdict_name(r->verdict), text_paint(&s, TEXT_PLAIN));
	snprintf(heading, sizeof(heading), "%s: %s", r->name, r->sentence);
	text_wrapped(out, heading, INDENT, INDENT, TEXT_BREAK_WORDS, &s);
	fprintf(out, "\n%*s%s", INDENT, "", text_paint(&s, TEXT_DIM));
	text_wrapped(out, text_name(why, r->why, sizeof(r->why) - 1, s.utf8), INDENT, INDENT,
		     TEXT_BREAK_WORDS, &s);
	fprintf(out, "%s\n", text_paint(&s, TEXT_PLAIN));
}

void text_claims_end(FILE *out, const struct claim_report *report, const struct text_style *style)
{
	static const char *const words[] = { [CLAIM_HOLDS] = "hold",
					     [CLAIM_PARTLY] = "in part",
					     [CLAIM_FAILS] = "fail",
					     [CLAIM_SKIPPED] = "skipped" };
	size_t counts[CLAIM_SKIPPED + 1] = {};
	char requests[TEXT_COUNT_SIZE];

	(void)style;
	for (size_t i = 0; i < report->result_count; i++)
		counts[report->results[i].verdict]++;
	fprintf(out, "\n%zu claim%s:", report->result_count, report->result_count == 1 ? "" : "s");
	for (int v = 0, first = 1; v <= CLAIM_SKIPPED; v++) {
		if (!counts[v])
			continue;
		fprintf(out, "%s %zu %s", first ? "" : ",", counts[v],
			v == CLAIM_HOLDS && counts[v] == 1   ? "holds"
			: v == CLAIM_FAILS && counts[v] == 1 ? "fails"
							     : words[v]);
		first = 0;
	}
	fprintf(out, "\nkernel %s", report->release);
	if (report->backend)
		fprintf(out, ", backend %s", report->backend);
	fprintf(out, ", %u CPU%s", report->cpus, report->cpus == 1 ? "" : "s");
	if (report->backend)
		fprintf(out, ", %s connections or datagrams a run",
			text_count(requests, report->requests));
	fputc('\n', out);
}
