/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A comparison as one document (json.h): the sides, the subjects, and for each side the runs and
 * the statistics. */
#include "json.h"

#include <math.h>

#include "../model/noise.h"
#include "json_writer.h"

static void judged(struct json_writer *w, const struct comparison_run *run)
{
	json_open(w, "verdicts", '{');
	for (size_t i = 0; i < SHARE_COUNT; i++)
		json_string(w, share_names[i], verdict_name(run->verdicts[i]));
	json_close(w, '}');
	json_open(w, "reasons", '{');
	for (size_t i = 0; i < SHARE_COUNT; i++)
		json_string(w, share_names[i],
			    run->withheld[i] ? withheld_name(run->withheld[i]) : NULL);
	json_close(w, '}');
}

static void write_run(struct json_writer *w, const struct comparison_run *run)
{
	json_open(w, NULL, '{');
	json_number(w, "round", run->round);
	json_bool(w, "own_load", run->own_load);
	json_bool(w, "agrees", !run->disagrees);
	judged(w, run);
	json_open(w, "figures", '{');
	for (size_t i = 0; i < METRIC_COUNT; i++)
		json_number_any(w, metrics[i].name, run->figures[i]);
	json_close(w, '}');
	json_close(w, '}');
}

static void key(struct json_writer *w, const struct comparison_key *k, bool endpoint)
{
	json_string(w, "mode", *k->mode ? k->mode : NULL);
	if (!endpoint)
		return;
	json_string(w, "protocol", k->protocol == PROTOCOL_UDP ? "udp" : "tcp");
	json_string(w, "address", k->address);
	json_number(w, "port", k->port);
	json_number(w, "netns", k->netns);
	json_bool(w, "by_port", k->port_asked);
}

static void result(struct json_writer *w, size_t side, const struct comparison_result *r)
{
	const bool skipped = !r->run_count && *r->skipped;

	json_open(w, NULL, '{');
	json_number(w, "side", side);
	key(w, &r->key, !skipped);
	json_string(w, "setup", r->setup);
	json_string(w, "skipped", skipped ? r->skipped : NULL);
	json_number(w, "runs_with_traffic", r->with_traffic);
	json_open(w, "runs", '[');
	for (size_t i = 0; i < r->run_count; i++)
		write_run(w, &r->runs[i]);
	json_close(w, ']');
	json_close(w, '}');
}

const char *json_told(size_t metric, const struct comparison_stat *s)
{
	static const char *const names[] = {
		[TOLD_UNTESTED] = "untested", [TOLD_NOISE] = "noise", [TOLD_DIFFERENT] = "different"
	};

	return metrics[metric].tested && s->comparable && !isnan(s->difference) ? names[s->told]
										: NULL;
}

static void write_stat(struct json_writer *w, size_t side, size_t metric,
		       const struct comparison_stat *s)
{
	static const char *const marks[] = { [MARK_BEST] = "best", [MARK_WORST] = "worst" };

	json_open(w, NULL, '{');
	json_number(w, "side", side);
	json_number(w, "runs", s->runs);
	json_number_real(w, "mean", s->mean);
	json_number_real(w, "sd", s->sd);
	json_number_real(w, "difference", s->difference);
	json_number_real(w, "p_value", s->p);
	json_string(w, "told", json_told(metric, s));
	json_string(w, "mark", s->mark ? marks[s->mark] : NULL);
	json_bool(w, "mark_tested", s->mark_tested);
	json_close(w, '}');
}

static void stats(struct json_writer *w, const struct comparison *c,
		  const struct comparison_subject *subject)
{
	json_open(w, "figures", '{');
	for (size_t m = 0; m < METRIC_COUNT; m++) {
		json_open(w, metrics[m].name, '[');
		for (size_t i = 0; i < c->side_count; i++)
			if (subject->cells[i] && subject->cells[i]->stats[m].runs)
				write_stat(w, i, m, &subject->cells[i]->stats[m]);
		json_close(w, ']');
	}
	json_close(w, '}');
}

static void subject(struct json_writer *w, const struct comparison *c,
		    const struct comparison_subject *s)
{
	json_open(w, NULL, '{');
	json_open(w, "results", '[');
	for (size_t i = 0; i < c->side_count; i++)
		if (s->cells[i])
			result(w, i, s->cells[i]);
	json_close(w, ']');
	stats(w, c, s);
	json_close(w, '}');
}

int json_comparison(FILE *out, const struct comparison *c)
{
	struct json_writer w = json_begin(out, "sockfair-comparison/1");

	json_number_real(&w, "level", NOISE_LEVEL);
	json_number(&w, "runs_needed", noise_runs_needed());
	json_open(&w, "sides", '[');
	for (size_t i = 0; i < c->side_count; i++) {
		json_open(&w, NULL, '{');
		json_string(&w, "name", c->sides[i].name);
		json_number(&w, "omitted_endpoints", c->sides[i].left_out);
		json_close(&w, '}');
	}
	json_close(&w, ']');
	json_open(&w, "subjects", '[');
	for (size_t i = 0; i < c->subject_count; i++)
		subject(&w, c, &c->subjects[i]);
	json_close(&w, ']');
	return json_end(&w);
}
