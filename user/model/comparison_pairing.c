/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is compared with what: sides and their runs, and which results belong to the same subject.
 */
#include "comparison.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

/* ---- what there is ---- */

int comparison_side_add(struct comparison *c, const char *name)
{
	struct comparison_side *sides =
		array_grow(c->sides, c->side_count, &c->side_room, sizeof(*sides));
	char *copy = sides ? strdup(name) : NULL;

	if (sides)
		c->sides = sides;
	if (!copy)
		return -ENOMEM;
	c->sides[c->side_count++] = (struct comparison_side){ .name = copy };
	return 0;
}

static bool is_same_key(const struct comparison_key *a, const struct comparison_key *b)
{
	if (*a->mode || *b->mode)
		return !strcmp(a->mode, b->mode);
	return a->protocol == b->protocol && a->port == b->port && a->netns == b->netns &&
	       !strcmp(a->address, b->address);
}

static struct comparison_result *result_of(struct comparison_side *side,
					   const struct comparison_key *key, const char *setup)
{
	struct comparison_result *results;

	/* The search starts at the end, which is fast because repeats follow each other. Endpoints
	 * of one window all differ. */
	for (size_t i = side->result_count; i-- > 0;)
		if (is_same_key(&side->results[i].key, key))
			return &side->results[i];
	results =
		array_grow(side->results, side->result_count, &side->result_room, sizeof(*results));
	if (!results)
		return NULL;
	side->results = results;
	results += side->result_count++;
	*results = (struct comparison_result){ .key = *key };
	strncpy(results->setup, setup, sizeof(results->setup) - 1);
	return results;
}

int comparison_add(struct comparison *c, size_t side, const struct comparison_key *key,
		   const char *setup, const struct comparison_run *run, const char *skipped)
{
	struct comparison_result *r = result_of(&c->sides[side], key, setup);
	struct comparison_run *runs;

	if (!r)
		return -ENOMEM;
	if (!run) {
		strncpy(r->skipped, skipped, sizeof(r->skipped) - 1);
		return 0;
	}
	if (!r->run_count)
		strncpy(r->setup, setup,
			sizeof(r->setup) - 1); /* an earlier run that was skipped had no setup */
	else if (strncmp(r->setup, setup, sizeof(r->setup) - 1))
		return -EEXIST;
	runs = array_grow(r->runs, r->run_count, &r->run_room, sizeof(*runs));
	if (!runs)
		return -ENOMEM;
	r->runs = runs;
	runs[r->run_count] = *run;
	if (r->run_count && runs[r->run_count].round <= runs[r->run_count - 1].round)
		runs[r->run_count].round = runs[r->run_count - 1].round + 1;
	r->run_count++;
	return 0;
}

/* ---- what belongs together ---- */

/* Makes the modes of one file the sides, and moves the file's results to them. */
static int split_modes(struct comparison *c)
{
	struct comparison parts = {};
	struct comparison_side *side = &c->sides[0];
	const size_t count = side->result_count;
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		err = comparison_side_add(&parts, side->results[i].key.mode);
	for (size_t i = 0; i < count && !err; i++) {
		struct comparison_side *part = &parts.sides[i];

		part->results = calloc(1, sizeof(*part->results));
		if (!part->results)
			err = -ENOMEM;
		else
			part->result_room = 1;
	}
	if (err) {
		comparison_free(&parts);
		return err;
	}
	for (size_t i = 0; i < count; i++) {
		parts.sides[i].results[0] = side->results[i];
		parts.sides[i].result_count = 1;
	}
	side->result_count = 0;
	comparison_free(c);
	*c = parts;
	return 0;
}

static bool is_modes_only(const struct comparison_side *side)
{
	for (size_t i = 0; i < side->result_count; i++)
		if (!*side->results[i].key.mode)
			return false;
	return side->result_count > 1;
}

static bool is_one_each(const struct comparison *c)
{
	for (size_t i = 0; i < c->side_count; i++)
		if (c->sides[i].result_count != 1)
			return false;
	return true;
}

/* How closely two results belong together; 0: not at all. */
enum { KINSHIP_NONE, KINSHIP_PORT, KINSHIP_ADDRESS, KINSHIP_SAME };

static int kinship(const struct comparison_key *a, const struct comparison_key *b)
{
	if (*a->mode || *b->mode)
		return strcmp(a->mode, b->mode) ? KINSHIP_NONE : KINSHIP_SAME;
	if (a->protocol != b->protocol || (a->port != b->port && !(a->port_asked && b->port_asked)))
		return KINSHIP_NONE;
	if (strcmp(a->address, b->address))
		return KINSHIP_PORT;
	return a->netns == b->netns ? KINSHIP_SAME : KINSHIP_ADDRESS;
}

static const struct comparison_key *subject_key(const struct comparison *c,
						const struct comparison_subject *subject)
{
	size_t i = 0;

	while (i + 1 < c->side_count && !subject->cells[i])
		i++;
	return &subject->cells[i]->key;
}

/* A new subject without cells. NULL: out of memory. */
static struct comparison_subject *subject_add(struct comparison *c, size_t *room)
{
	struct comparison_subject *subjects =
		array_grow(c->subjects, c->subject_count, room, sizeof(*subjects));

	if (!subjects)
		return NULL;
	c->subjects = subjects;
	subjects += c->subject_count;
	*subjects = (struct comparison_subject){ .cells = calloc(c->side_count + 1,
								 sizeof(*subjects->cells)) };
	if (!subjects->cells)
		return NULL;
	c->subject_count++;
	return subjects;
}

/* Puts the side's results into the subjects found so far, if their kinship is at least `wanted`. */
static void place_kin(struct comparison *c, size_t side, bool *placed, int wanted)
{
	const size_t count = c->subject_count;

	for (size_t i = 0; i < c->sides[side].result_count; i++) {
		struct comparison_result *r = &c->sides[side].results[i];

		for (size_t s = 0; s < count && !placed[i]; s++) {
			struct comparison_subject *subject = &c->subjects[s];

			if (subject->cells[side] ||
			    kinship(subject_key(c, subject), &r->key) < wanted)
				continue;
			subject->cells[side] = r;
			placed[i] = true;
		}
	}
}

static int place_side(struct comparison *c, size_t side, size_t *room)
{
	struct comparison_side *from = &c->sides[side];
	bool *placed = calloc(from->result_count + 1, sizeof(*placed));
	int err = placed ? 0 : -ENOMEM;

	for (int wanted = KINSHIP_SAME; wanted > KINSHIP_NONE && !err; wanted--)
		place_kin(c, side, placed, wanted);
	for (size_t i = 0; i < from->result_count && !err; i++) {
		struct comparison_subject *subject = placed[i] ? NULL : subject_add(c, room);

		if (subject)
			subject->cells[side] = &from->results[i];
		else if (!placed[i])
			err = -ENOMEM;
	}
	free(placed);
	return err;
}

static bool is_alike(const struct comparison *c, const struct comparison_subject *subject)
{
	const struct comparison_key *first = subject_key(c, subject);

	for (size_t i = 0; i < c->side_count; i++) {
		const struct comparison_key *key =
			subject->cells[i] ? &subject->cells[i]->key : first;

		if (strcmp(first->mode, key->mode) ||
		    (!*first->mode &&
		     (first->protocol != key->protocol || first->port != key->port)))
			return false;
	}
	return true;
}

int comparison_arrange(struct comparison *c)
{
	size_t room = 0;
	int err = 0;

	if (c->side_count == 1 && is_modes_only(&c->sides[0]))
		err = split_modes(c);
	if (!err && is_one_each(c)) {
		struct comparison_subject *subject = subject_add(c, &room);

		for (size_t i = 0; i < c->side_count && subject; i++)
			subject->cells[i] = &c->sides[i].results[0];
		err = subject ? 0 : -ENOMEM;
	} else {
		for (size_t i = 0; i < c->side_count && !err; i++)
			err = place_side(c, i, &room);
	}
	for (size_t i = 0; i < c->subject_count && !err; i++)
		c->subjects[i].alike = is_alike(c, &c->subjects[i]);
	return err;
}

static int add_snapshot(struct comparison *c, const struct snapshot *s)
{
	const struct workload_account *w = &s->workload;
	const struct endpoint *e = s->endpoint_count ? &s->endpoints[0] : NULL;
	struct comparison_key key = {};
	struct comparison_run run;

	strncpy(key.mode, w->mode, sizeof(key.mode) - 1);
	if (*w->skipped || !e)
		return comparison_add(c, c->side_count - 1, &key, "", NULL,
				      *w->skipped ? w->skipped : "no result");
	key.protocol = e->protocol;
	key.port = e->port;
	key.netns = e->netns;
	comparison_run_of(&run, s, e);
	return comparison_add(c, c->side_count - 1, &key, "", &run, NULL);
}

int comparison_of_runs(struct comparison *c, const struct snapshot *runs, size_t count,
		       size_t modes)
{
	int err = 0;

	*c = (struct comparison){};
	for (size_t mode = 0; mode < modes && mode < count && !err; mode++) {
		err = comparison_side_add(c, runs[mode].workload.mode);
		for (size_t i = mode; i < count && !err; i += modes)
			err = add_snapshot(c, &runs[i]);
	}
	err = err ? err : comparison_arrange(c);
	return err ? err : comparison_judge(c);
}

void comparison_free(struct comparison *c)
{
	for (size_t i = 0; i < c->side_count; i++) {
		struct comparison_side *side = &c->sides[i];

		for (size_t k = 0; k < side->result_count; k++) {
			free(side->results[k].runs);
			free(side->results[k].stats);
		}
		free(side->results);
		free(side->name);
	}
	for (size_t i = 0; i < c->subject_count; i++)
		free(c->subjects[i].cells);
	free(c->sides);
	free(c->subjects);
	memset(c, 0, sizeof(*c));
}
