/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A steering as one document: the plan, the figures of each phase, and how the port was left. */
#include <math.h>

#include "json.h"
#include "json_writer.h"
#include "steer_report.h"

static void steer_members_write(struct json_writer *w, const struct steer_plan *plan)
{
	json_open(w, "members", '[');
	for (size_t i = 0; steer_by_program(plan->way) && i < plan->members; i++) {
		json_open(w, NULL, '{');
		json_number(w, "cookie", plan->cookies[i]);
		json_number(w, "weight", plan->weights[i]);
		json_close(w, '}');
	}
	json_close(w, ']');
}

/* One figure of a phase: as a whole, and over its windows. */
static void steer_figure_write(struct json_writer *w, const struct steer_result *r,
			       enum steer_phase_name phase, enum metric_id metric)
{
	const struct comparison_stat *s = steer_stat(r, phase, metric);

	json_open(w, metrics[metric].name, '{');
	json_number_any(w, "whole", steer_whole(r, phase, metric));
	json_number(w, "windows", s ? s->runs : 0);
	json_number_real(w, "mean", s ? s->mean : NAN);
	json_number_real(w, "sd", s ? s->sd : NAN);
	json_number_real(w, "p_value", s ? s->p : NAN);
	json_string(w, "told", s ? json_told(metric, s) : NULL);
	json_close(w, '}');
}

static void steer_phase_write(struct json_writer *w, const struct steer_result *r,
			      enum steer_phase_name name)
{
	const struct snapshot *s = &r->phases[name];

	if (!s->endpoint_count)
		return;
	json_open(w, NULL, '{');
	json_string(w, "name", steer_phase_names[name]);
	json_number_real(w, "seconds", s->seconds);
	json_number(w, "own_cost_ns", s->own_cost.ns);
	json_number(w, "own_runs", s->own_cost.runs);
	json_number(w, "lost", snapshot_lost(s));
	json_open(w, "figures", '{');
	for (size_t m = 0; m < METRIC_COUNT; m++)
		steer_figure_write(w, r, name, (enum metric_id)m);
	json_close(w, '}');
	json_close(w, '}');
}

static void steer_sayings_write(struct json_writer *w, const struct steer_result *r)
{
	struct steer_saying rows[STEER_SAYINGS_MAX];
	const size_t count = steer_sayings(r, rows);

	json_open(w, "findings", '[');
	for (size_t i = 0; i < count; i++) {
		json_open(w, NULL, '{');
		json_string(w, "code", rows[i].code);
		json_string(w, "level", json_level(rows[i].level));
		json_string(w, "text", rows[i].text);
		json_close(w, '}');
	}
	json_close(w, ']');
}

int json_steer(FILE *out, const struct steer_result *r)
{
	const struct endpoint *e = r->endpoint;
	struct json_writer w = json_begin(out, "sockfair-steer/1");

	json_string(&w, "protocol", e->protocol == PROTOCOL_UDP ? "udp" : "tcp");
	json_address(&w, "address", e->family, e->address);
	json_number(&w, "port", e->port);
	json_number(&w, "netns", e->netns);
	json_string(&w, "way", steer_way_name(r->plan.way));
	json_string(&w, "policy", steer_policy_name(r->plan.policy));
	json_string(&w, "refused", r->plan.code);
	json_string(&w, "refused_text", r->plan.code ? r->plan.why : NULL);
	steer_members_write(&w, &r->plan);
	json_open(&w, "phases", '[');
	for (size_t p = 0; p < STEER_PHASES; p++)
		steer_phase_write(&w, r, (enum steer_phase_name)p);
	json_close(&w, ']');
	steer_sayings_write(&w, r);
	json_string(&w, "end", steer_end_name(r->end));
	json_string(&w, "end_text", *r->why ? r->why : NULL);
	json_number(&w, "look_ups_steered", r->steered);
	json_open(&w, "look_ups_left_to_the_hash", '{');
	json_number(&w, "heartbeat_old", r->passed[STEER_PASS_STALE]);
	json_number(&w, "group_size_unknown", r->passed[STEER_PASS_SIZE]);
	json_number(&w, "no_member", r->passed[STEER_PASS_EMPTY]);
	json_close(&w, '}');
	json_bool(&w, "as_found", r->as_found);
	json_string(&w, "note", *r->note ? r->note : NULL);
	return json_end(&w);
}
