/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "claims.h"

#include <errno.h>
#include <math.h>

#include "json_writer.h"

static void string(struct json_writer *w, const char *key, const char *value)
{
	json_text(w, key, value, SIZE_MAX);
}

static void figure(struct json_writer *w, const struct claim_figure *f)
{
	if (isnan(f->value))
		json_nothing(w, f->name);
	else if (f->kind == FIGURE_TRUTH)
		json_bool(w, f->name, f->value != 0);
	else if (f->value >= 0 && f->value < 0x1p53 && f->value == floor(f->value))
		json_number(w, f->name, f->value); /* a count: 64 and not 64.0 */
	else
		json_number_real(w, f->name, f->value);
}

static void claim(struct json_writer *w, const struct claim_result *r)
{
	json_open(w, NULL, '{');
	string(w, "name", r->name);
	string(w, "claim", r->sentence);
	string(w, "verdict", claim_verdict_name(r->verdict));
	json_open(w, "figures", '{');
	for (size_t i = 0; i < r->figure_count; i++)
		figure(w, &r->figures[i]);
	json_close(w, '}');
	string(w, "why", r->why);
	json_close(w, '}');
}

static void kernel(struct json_writer *w, const struct claim_report *report)
{
	json_open(w, "kernel", '{');
	string(w, "release", report->release);
	if (report->backend)
		string(w, "backend", report->backend);
	else
		json_nothing(w, "backend");
	json_close(w, '}');
}

int json_claims(FILE *out, const struct claim_report *report)
{
	struct json_writer w = { .out = out };

	json_open(&w, NULL, '{');
	string(&w, "schema", "sockfair-claims/1");
	string(&w, "version", SOCKFAIR_VERSION);
	kernel(&w, report);
	json_number(&w, "cpus", report->cpus);
	json_number(&w, "requests", report->requests);
	json_open(&w, "claims", '[');
	for (size_t i = 0; i < report->result_count; i++)
		claim(&w, &report->results[i]);
	json_close(&w, ']');
	json_close(&w, '}');
	json_flush(&w);
	fputc('\n', out);
	return ferror(out) ? -EIO : 0;
}
