/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads a saved comparison (sockfair-comparison/1): its sides, and the runs of each. */
#include "json_reading.h"

#include <errno.h>
#include <string.h>

static void read_run(struct reader *r, const json_t *from, struct comparison_run *run)
{
	const json_t *figures, *verdicts, *reasons;
	double round;

	comparison_run_clear(run);
	run->own_load = field_bool(r, from, "own_load");
	run->disagrees = !field_bool(r, from, "agrees");
	round = field_count(r, from, "round", OPTIONAL);
	if (round > JSON_READER_RESULTS_MAX)
		reader_fail_at(r, from, "round", "is %.17g, more than %d; " FOREIGN, round,
			       JSON_READER_RESULTS_MAX);
	run->round = !r->err && round > 0 ? (size_t)round : 0;
	verdicts = field_object(r, from, "verdicts", REQUIRED);
	reasons = field_object(r, from, "reasons", OPTIONAL);
	figures = field_object(r, from, "figures", REQUIRED);
	for (size_t i = 0; i < SHARE_COUNT; i++) {
		run->verdicts[i] = field_verdict(r, verdicts, share_names[i]);
		run->withheld[i] = field_reason(r, reasons, share_names[i]);
	}
	for (size_t i = 0; i < METRIC_COUNT; i++)
		run->figures[i] = field_real(r, figures, metrics[i].name, OPTIONAL);
}

static void read_side_result(struct reader *r, const json_t *from, size_t first_side, size_t sides)
{
	char setup[COMPARISON_SETUP_SIZE], skipped[160];
	struct comparison_key key = {};
	struct comparison_run run;
	const json_t *runs;
	size_t side;

	side = first_side + (size_t)field_number(r, from, "side", (double)sides - 1);
	field_text(r, from, "mode", OPTIONAL, key.mode, sizeof(key.mode));
	field_text(r, from, "setup", REQUIRED, setup, sizeof(setup));
	field_text(r, from, "skipped", OPTIONAL, skipped, sizeof(skipped));
	runs = field_array(r, from, "runs", REQUIRED);
	if (*key.mode && *skipped) {
		reader_add_run(r, side, &key, setup, NULL, skipped);
		return;
	}
	reader_key(r, from, &key);
	key.port_asked = field_bool(r, from, "by_port");
	if (r->err || reader_is_other_port(r, &key))
		return;
	for (size_t i = 0; i < json_array_size(runs); i++) {
		read_run(r, field_element(r, runs, i), &run);
		if (r->err)
			return;
		if (isnan(run.figures[METRIC_DROP_SHARE])) /* older comparisons do not have it */
			comparison_run_complete(&run, key.protocol);
		reader_add_run(r, side, &key, setup, &run, NULL);
	}
}

static size_t read_sides(struct reader *r, const json_t *json)
{
	const json_t *sides = field_array(r, json, "sides", REQUIRED);
	const size_t count = json_array_size(sides);

	if (!count || count + r->c->side_count > JSON_READER_SIDES_MAX)
		reader_fail(r, -EINVAL,
			    "%zu sides, which is none or with the others more than %d; " FOREIGN,
			    count, JSON_READER_SIDES_MAX);
	for (size_t i = 0; i < count && !r->err; i++) {
		const json_t *side = field_element(r, sides, i);
		char name[256];
		double left_out;

		field_text(r, side, "name", REQUIRED, name, sizeof(name));
		if (!r->err)
			r->err = comparison_side_add(r->c, name);
		left_out = field_count(r, side, "omitted_endpoints", OPTIONAL);
		if (!r->err && left_out > 0)
			r->c->sides[r->c->side_count - 1].left_out = (uint64_t)left_out;
	}
	return count;
}

void reader_saved(struct reader *r, const json_t *json)
{
	const size_t first_side = r->c->side_count;
	const json_t *subjects;
	size_t sides;

	if (r->has_side)
		reader_fail(r, -EINVAL, TWO_KINDS);
	r->has_saved = true;
	sides = read_sides(r, json);
	subjects = field_array(r, json, "subjects", REQUIRED);
	for (size_t i = 0; i < json_array_size(subjects) && !r->err; i++) {
		const json_t *results =
			field_array(r, json_array_get(subjects, i), "results", REQUIRED);

		for (size_t k = 0; k < json_array_size(results) && !r->err; k++)
			read_side_result(r, field_element(r, results, k), first_side, sides);
	}
}
