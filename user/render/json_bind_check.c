/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "bind_report.h"
#include "json_bind.h"

static const char *outlook_name(enum bind_outlook outlook)
{
	return outlook == BIND_WORKS ? "works" : outlook == BIND_FAILS ? "fails" : "may-fail";
}

static void check(struct json_writer *w, const struct bind_check *c)
{
	const struct bind_event *e = &c->event;
	const bool works = c->outlook == BIND_WORKS;
	char name[16];

	json_open(w, NULL, '{');
	json_bind_place(w, &e->place);
	json_bind_options(w, &e->place, true);
	json_text(w, "outcome", outlook_name(c->outlook), SIZE_MAX);
	if (works) {
		json_nothing(w, "call");
		json_nothing(w, "error");
		json_nothing(w, "text");
	} else {
		json_text(w, "call", e->call == CALL_LISTEN ? "listen" : "bind", SIZE_MAX);
		json_text(w, "error", bind_error_name(e->error, name), SIZE_MAX);
		json_text(w, "text", c->text, SIZE_MAX);
	}
	json_number(w, "port_limit", e->port_limit);
	json_open(w, "would_work_with", '[');
	if (c->helps_reuseaddr)
		json_text(w, NULL, "reuseaddr", SIZE_MAX);
	if (c->helps_reuseport)
		json_text(w, NULL, "reuseport", SIZE_MAX);
	if (c->helps_both)
		json_text(w, NULL, "reuseaddr+reuseport", SIZE_MAX);
	if (c->helps_v6only)
		json_text(w, NULL, "v6only", SIZE_MAX);
	json_close(w, ']');
	json_open(w, "occupants", '[');
	for (size_t i = 0; i < c->occupant_count; i++) {
		json_bind_occupant_open(w, &c->occupants[i]);
		json_bool(w, "in_the_way", bind_conflict(&e->place, e->call, &c->occupants[i]));
		json_close(w, '}');
	}
	json_close(w, ']');
	json_close(w, '}');
}

int json_bind_check(FILE *out, const struct bind_report *r)
{
	struct json_writer w = { .out = out };

	json_open(&w, NULL, '{');
	json_text(&w, "schema", "sockfair-bind-check/1", SIZE_MAX);
	json_text(&w, "version", SOCKFAIR_VERSION, SIZE_MAX);
	json_open(&w, "kernel", '{');
	json_text(&w, "release", r->release, SIZE_MAX);
	json_close(&w, '}');
	json_number(&w, "netns", r->netns);
	json_number(&w, "uid", r->uid);
	json_bool(&w, "complete", r->complete);
	json_open(&w, "checks", '[');
	for (size_t i = 0; i < r->count; i++)
		check(&w, &r->checks[i]);
	json_close(&w, ']');
	json_close(&w, '}');
	json_flush(&w);
	fputc('\n', out);
	return ferror(out) ? -EIO : 0;
}
