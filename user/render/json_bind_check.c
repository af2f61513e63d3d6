/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The answers of `bind-check` as one document: the question, then for each place the outlook, the
 * reason and the occupants. */
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
	json_string(w, "outcome", outlook_name(c->outlook));
	json_string(w, "call", works ? NULL : e->call == CALL_LISTEN ? "listen" : "bind");
	json_string(w, "error", works ? NULL : bind_error_name(e->error, name));
	json_string(w, "text", works ? NULL : c->text);
	json_number(w, "port_limit", e->port_limit);
	json_open(w, "would_work_with", '[');
	if (c->helps_reuseaddr)
		json_string(w, NULL, "reuseaddr");
	if (c->helps_reuseport)
		json_string(w, NULL, "reuseport");
	if (c->helps_both)
		json_string(w, NULL, "reuseaddr+reuseport");
	if (c->helps_v6only)
		json_string(w, NULL, "v6only");
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
	struct json_writer w = json_begin(out, "sockfair-bind-check/1");

	json_open(&w, "kernel", '{');
	json_string(&w, "release", r->release);
	json_close(&w, '}');
	json_number(&w, "netns", r->netns);
	json_number(&w, "uid", r->uid);
	json_bool(&w, "complete", r->complete);
	json_open(&w, "checks", '[');
	for (size_t i = 0; i < r->count; i++)
		check(&w, &r->checks[i]);
	json_close(&w, ']');
	return json_end(&w);
}
