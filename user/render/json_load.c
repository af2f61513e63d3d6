/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The JSON members about CPU time and bytes, first of a worker, then of an endpoint. */
#include "json_load.h"

void json_worker_load(struct json_writer *w, const struct worker_row *row, bool tcp)
{
	json_number_if(w, "cpu_ns", row->usage_known, row->cpu_ns);
	json_number_if(w, "voluntary_switches", row->usage_known, row->sleeps);
	json_number_if(w, "process_cpu_ns", row->process_cpu_known, row->process_cpu_ns);
	if (!tcp)
		return;
	json_number_if(w, "bytes_received", row->bytes_known, row->bytes.received);
	json_number_if(w, "bytes_sent", row->bytes_known, row->bytes.sent);
	json_bool(w, "bytes_at_least", row->bytes_at_least);
}

static void load_spread(struct json_writer *w, const char *name, const struct load_spread *l)
{
	if (!l->known) {
		json_nothing(w, name);
		return;
	}
	json_open(w, name, '{');
	json_string(w, "bins", l->processes ? "processes" : "threads");
	json_number(w, "workers", l->workers);
	json_number(w, "total", l->total);
	json_number(w, "most", l->most);
	json_number(w, "pid", l->pid);
	json_number_if(w, "tid", l->tid > 0, l->tid);
	json_number_real(w, "cv", l->cv);
	json_close(w, '}');
}

static void connection(struct json_writer *w, const struct connection_row *c)
{
	json_open(w, NULL, '{');
	json_address(w, "peer", c->family, c->peer);
	json_number(w, "peer_port", c->peer_port);
	json_number(w, "pid", c->pid);
	json_number_if(w, "tid", c->tid > 0, c->tid);
	json_number_if(w, "age_ns", c->age_ns, c->age_ns);
	json_number(w, "bytes_received", c->bytes.received);
	json_number(w, "bytes_sent", c->bytes.sent);
	json_close(w, '}');
}

void json_load(struct json_writer *w, const struct endpoint *e)
{
	json_open(w, "load", '{');
	load_spread(w, "cpu_ns", &e->cpu);
	if (e->protocol == PROTOCOL_TCP) {
		load_spread(w, "bytes", &e->carried);
		json_number(w, "connections_open", e->connections_open);
		json_bool(w, "older_cut", e->older_cut);
		json_open(w, "connections", '[');
		for (size_t i = 0; i < e->connection_count; i++)
			connection(w, &e->connections[i]);
		json_close(w, ']');
	}
	json_close(w, '}');
}
