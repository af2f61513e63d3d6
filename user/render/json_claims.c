/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The claims as one document: the kernel they were tried on, and each claim with its verdict and
 * figures. */
#include "claims.h"

#include <math.h>

#include "json_writer.h"

static void figure(struct json_writer *w, const struct claim_figure *f)
{
	if (f->kind == FIGURE_TRUTH)
		json_bool_if(w, f->name, !isnan(f->value), f->value != 0);
	else
		json_number_any(w, f->name, f->value);
}

static void claim(struct json_writer *w, const struct claim_result *r)
{
	json_open(w, NULL, '{');
	json_string(w, "name", r->name);
	json_string(w, "claim", r->sentence);
	json_string(w, "verdict", claim_verdict_name(r->verdict));
	json_open(w, "figures", '{');
	for (size_t i = 0; i < r->figure_count; i++)
		figure(w, &r->figures[i]);
	json_close(w, '}');
	json_string(w, "why", r->why);
	json_close(w, '}');
}

static void write_claims_kernel(struct json_writer *w, const struct claim_report *report)
{
	json_open(w, "kernel", '{');
	json_string(w, "release", report->release);
	json_string(w, "backend", report->backend);
	json_close(w, '}');
}

int json_claims(FILE *out, const struct claim_report *report)
{
	struct json_writer w = json_begin(out, "sockfair-claims/1");

	write_claims_kernel(&w, report);
	json_number(&w, "cpus", report->cpus);
	json_number(&w, "requests", report->requests);
	json_open(&w, "claims", '[');
	for (size_t i = 0; i < report->result_count; i++)
		claim(&w, &report->results[i]);
	json_close(&w, ']');
	return json_end(&w);
}
