/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The documents of `sockfair binds`: one line for each call, with the occupants of its port and the
 * suspicions, and one line for the totals. */
#include <string.h>

#include "../bind/bind_occupant.h"
#include "../bind/bind_range.h"
#include "bind_notices.h"
#include "json_bind.h"

#define OCCUPANTS_MAX 100 /* listed with a call; the document also says how many there are */

static void string_or_null(struct json_writer *w, const char *key, const char *value)
{
	json_text_if(w, key, value && *value, value, SIZE_MAX);
}

static void caller(struct json_writer *w, const struct bind_event *e)
{
	json_number(w, "pid", e->pid);
	json_number(w, "tid", e->tid);
	json_name(w, "comm", e->comm);
	json_name(w, "process", e->process);
	json_number(w, "euid", e->euid);
	json_bool(w, "can_bind_low", e->can_bind_low);
}

/* Writes what the call asked for; for listen() where the socket is bound. */
static void write_asked(struct json_writer *w, const struct bind_event *e)
{
	if (e->asked_known)
		json_address(w, "address", e->place.family, e->place.address);
	else
		json_nothing(w, "address");
	json_number_if(w, "port", e->asked_known, e->place.port);
	json_number_if(w, "port_got", e->port_got, e->port_got);
	json_number_if(w, "asked_family", e->asked_family >= 0, e->asked_family);
	json_number_if(w, "backlog", e->call == CALL_LISTEN, e->backlog);
}

/* Writes, for connect(), where it goes. */
static void write_peer(struct json_writer *w, const struct bind_event *e)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	const bool v4 = !memcmp(e->peer.address, mapped, sizeof(mapped));

	if (!e->peer.port) {
		json_nothing(w, "peer");
		return;
	}
	json_open(w, "peer", '{');
	json_address(w, "address", v4 ? AF_INET : AF_INET6, e->peer.address + (v4 ? 12 : 0));
	json_number(w, "port", e->peer.port);
	json_close(w, '}');
}

/* Writes the ports that the kernel could have picked. */
static void range(struct json_writer *w, const struct bind_range_use *u)
{
	if (!u) {
		json_nothing(w, "range");
		return;
	}
	json_open(w, "range", '{');
	json_number(w, "low", u->low);
	json_number(w, "high", u->high);
	json_bool(w, "own", u->own);
	json_number(w, "reserved", u->reserved);
	json_number(w, "taken", u->taken);
	json_number(w, "time_wait", u->waiting);
	json_number(w, "bound", u->bound);
	json_number_if(w, "most_pid", u->most_pid, u->most_pid);
	json_text_if(w, "most_process", u->most_pid, u->most_process, sizeof(u->most_process));
	json_number(w, "most_ports", u->most_ports);
	json_close(w, '}');
}

static void write_socket(struct json_writer *w, const struct bind_event *e)
{
	const struct bind_place *p = &e->place;

	json_string(w, "protocol", p->protocol == PROTOCOL_UDP ? "udp" : "tcp");
	json_number(w, "family", p->family == AF_INET6 ? 6 : 4);
	write_asked(w, e);
	json_number(w, "netns", p->netns);
	json_name_if(w, "device", p->device_name);
	json_bool_if(w, "v6only", p->family == AF_INET6, p->v6only);
	json_bind_options(w, p, true);
	json_bool(w, "freebind", e->freebind);
	json_number_if(w, "inode", e->inode, e->inode);
	json_number_if(w, "cookie", e->cookie, e->cookie);
	json_number(w, "port_limit", e->port_limit);
}

static bool in_the_way(const struct bind_notice *n, const struct bind_occupant *o)
{
	return n->event.error && bind_in_the_way(&n->event, n->occupants, n->occupant_count, o);
}

/* Writes the occupants that are in the way first, so that only others can be cut off. */
static void occupants(struct json_writer *w, const struct bind_notice *n)
{
	size_t listed = 0, others = 0;

	for (size_t i = 0; i < n->occupant_count; i++)
		others += !bind_is_own(&n->event, &n->occupants[i]);
	json_open(w, "occupants", '[');
	for (int pass = 1; pass >= 0; pass--)
		for (size_t i = 0; i < n->occupant_count && listed < OCCUPANTS_MAX; i++) {
			const struct bind_occupant *o = &n->occupants[i];

			if (bind_is_own(&n->event, o) || in_the_way(n, o) != pass)
				continue;
			json_bind_occupant_open(w, o);
			json_bool(w, "in_the_way", pass);
			string_or_null(w, "relation",
				       bind_relation_name(bind_relation(&n->event, o, NULL)));
			json_close(w, '}');
			listed++;
		}
	json_close(w, ']');
	json_number(w, "occupants_found", others);
	json_bool(w, "complete", !n->incomplete);
}

static void suspicion(struct json_writer *w, const struct bind_notice *n,
		      const struct bind_suspicion *s)
{
	const struct bind_occupant *o = s->occupant >= 0 ? &n->occupants[s->occupant] : NULL;

	json_open(w, NULL, '{');
	json_string(w, "code", s->code);
	json_name(w, "text", s->text);
	json_number_if(w, "pid", o && o->pid > 0, o ? o->pid : 0);
	json_number_if(w, "inode", o && o->inode, o ? o->inode : 0);
	json_close(w, '}');
}

int json_bind_notice(FILE *out, const struct bind_notice *n)
{
	struct json_writer w = json_begin(out, "sockfair-binds/1");
	char buffer[16];

	json_string(&w, "kind", bind_call_name(n->event.call));
	json_moment(&w, "time", n->time_ms);
	caller(&w, &n->event);
	write_socket(&w, &n->event);
	write_peer(&w, &n->event);
	json_number(&w, "errno", n->event.error);
	json_string(&w, "error", n->event.error ? bind_error_name(n->event.error, buffer) : NULL);
	string_or_null(&w, "why", n->why);
	json_open(&w, "suspicions", '[');
	for (size_t i = 0; i < n->suspicion_count; i++)
		suspicion(&w, n, &n->suspicions[i]);
	json_close(&w, ']');
	range(&w, n->event.range);
	occupants(&w, n);
	return json_end(&w);
}

static void counts(struct json_writer *w, const char *key, const struct bind_totals *t,
		   enum bind_call call)
{
	json_open(w, key, '{');
	json_number(w, "seen", t->seen[call]);
	json_number(w, "failed", t->failed[call]);
	json_close(w, '}');
}

int json_bind_totals(FILE *out, const struct bind_totals *t)
{
	struct json_writer w = json_begin(out, "sockfair-binds/1");

	json_string(&w, "kind", "totals");
	json_open(&w, "kernel", '{');
	json_name(&w, "release", t->release);
	json_string(&w, "backend", t->backend);
	json_open(&w, "unseen", '[');
	for (size_t i = 0; i < t->unseen_count; i++)
		json_string(&w, NULL, t->unseen[i]);
	json_close(&w, ']');
	json_close(&w, '}');
	json_open(&w, "window", '{');
	json_moment(&w, "start", t->start_ms);
	json_number_real(&w, "seconds", t->seconds);
	json_close(&w, '}');
	counts(&w, "binds", t, CALL_BIND);
	counts(&w, "listens", t, CALL_LISTEN);
	json_open(&w, "connects", '{');
	json_number(&w, "failed", t->failed[CALL_CONNECT]);
	json_close(&w, '}');
	json_number(&w, "told", t->shown);
	json_number(&w, "suspicious", t->suspicious);
	json_open(&w, "lost", '{');
	json_number(&w, "total", bind_totals_lost(t));
	json_open(&w, "by_reason", '{');
	for (size_t i = 0; i < t->lost_count; i++)
		json_number(&w, t->lost[i].reason, t->lost[i].count);
	json_close(&w, '}');
	json_close(&w, '}');
	return json_end(&w);
}
