/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "claim.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const verdict_names[] = {
	[CLAIM_HOLDS] = "holds",
	[CLAIM_PARTLY] = "partly",
	[CLAIM_FAILS] = "fails",
	[CLAIM_SKIPPED] = "skipped",
};

const char *claim_verdict_name(enum claim_verdict v)
{
	return verdict_names[v];
}

static void figure_add(struct claim_result *r, enum claim_figure_kind kind, double value,
		       const char *name, va_list args)
{
	struct claim_figure *f = &r->figures[r->figure_count];

	if (r->figure_count == CLAIM_FIGURES_MAX)
		return;
	r->figure_count++;
	f->kind = kind;
	f->value = value;
	vsnprintf(f->name, sizeof(f->name), name, args);
}

void claim_number(struct claim_result *r, double value, const char *name, ...)
{
	va_list args;

	va_start(args, name);
	figure_add(r, FIGURE_NUMBER, value, name, args);
	va_end(args);
}

void claim_truth(struct claim_result *r, bool value, const char *name, ...)
{
	va_list args;

	va_start(args, name);
	figure_add(r, FIGURE_TRUTH, value, name, args);
	va_end(args);
}

void claim_skip(struct claim_result *r, const char *why, ...)
{
	va_list args;

	r->verdict = CLAIM_SKIPPED;
	r->figure_count = 0;
	va_start(args, why);
	vsnprintf(r->why, sizeof(r->why), why, args);
	va_end(args);
}

void claim_say(struct claim_result *r, const char *words, ...)
{
	const size_t used = strlen(r->why);
	va_list args;

	va_start(args, words);
	vsnprintf(r->why + used, sizeof(r->why) - used, words, args);
	va_end(args);
}
