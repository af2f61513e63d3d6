/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Means, differences, what is more than noise, best and worst. Whole rounds are tested: the figures
 * of all ports in one round (a window of a file, a repetition of the modes) are divided together,
 * so that all ports and figures have one error level (noise.h). The figures that --fail-on worse
 * judges have one level, the others another.
 *
 * With more than two sides a difference to the first side must hold in two tests: among the runs of
 * these two sides alone, which is exact whatever the other sides are, and among the runs of all
 * sides, so that many sides have one error level too.
 */
#include "comparison.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "noise.h"

#ifndef EFFORT           /* as REPLICATES: fuzzers set it */
#define EFFORT 400000000 /* values that all tests together look at, roughly: about a second */
#endif
#define ALIKE 1.1    /* numbers of events up to this ratio count as equal: is_comparable() */
#define WAIT_MIN 1.0 /* ns: so that a wait of 0 has a logarithm too */

/* A tested figure of a subject. */
struct judged_column {
	size_t subject, metric;
	bool judged, chance;
};

struct judge {
	struct comparison *c;
	struct judged_column *columns;
	size_t count;
	double **pairs; /* p-values of two sides by column, NULL: not tested yet; index: the lower
			   side times side_count, plus the other */
	double *all; /* p-values of each later side against the first by column, from dividing the
			runs of all sides; NULL: there are only two sides */
	uint64_t effort; /* effort of one test */
};

/* ---- runs as they are tested ---- */

bool comparison_has_traffic(const struct comparison_run *run)
{
	return !(run->figures[METRIC_EVENTS] == 0) || run->figures[METRIC_DROPS] > 0;
}

double comparison_figure(const struct comparison_result *r, const struct comparison_run *run,
			 size_t metric)
{
	return comparison_has_traffic(run) || !r->with_traffic ? run->figures[metric] : NAN;
}

/* The number of bins of that CV; NaN: not known. */
static double run_bins(const struct comparison_run *run, size_t metric)
{
	const enum share share = metric == METRIC_CV
					 ? comparison_deciding_share(run)
					 : (enum share)((metric - METRIC_SHARES) / SHARE_FIGURES);

	return run->figures[metric_of_share(share, SHARE_BINS)];
}

/*
 * The squared spread beyond chance. For n events over k bins whose true shares have spread theta,
 * the mean of CV^2 is theta^2 (1 - 1/n) + (k-1)/n, so the result estimates theta^2 whatever n is.
 * 1/n follows from the CV by chance, e^2 = (k-1)/n.
 */
static double beyond_chance(const struct comparison_run *run, size_t metric, double cv,
			    double expected)
{
	const double bins = run_bins(run, metric),
		     one_of_n = bins > 1 ? expected * expected / (bins - 1) : 0;

	return (cv * cv - expected * expected) / (one_of_n < 1 ? 1 - one_of_n : 1);
}

/* A figure as it is tested; NaN: the run has none. Waits are tested by their logarithm, because
 * they vary by a factor and one slow run must not hide that all are twice as long. */
static double score_of(const struct comparison_run *run, size_t metric, bool chance, double value)
{
	if (isnan(value))
		return NAN;
	if (chance)
		return beyond_chance(run, metric, value, run->figures[metrics[metric].chance]);
	return metrics[metric].unit == METRIC_NS ? log(fmax(value, WAIT_MIN)) : value;
}

/* Is the figure compared with what chance gives? Only if that is known for every run of the
 * subject. */
static bool has_chance(const struct comparison *c, const struct comparison_subject *subject,
		       size_t metric)
{
	if (metrics[metric].chance < 0)
		return false;
	for (size_t i = 0; i < c->side_count; i++) {
		const struct comparison_result *r = subject->cells[i];

		for (size_t k = 0; r && k < r->run_count; k++)
			if (!isnan(comparison_figure(r, &r->runs[k], metric)) &&
			    isnan(r->runs[k].figures[metrics[metric].chance]))
				return false;
	}
	return true;
}

/*
 * Longest waits and queues, idle bins and the busiest bin depend on how many events a run had, so
 * they are compared only if all runs had about as many. A longer window has more drops, so the
 * share of drops is compared instead.
 */
static bool is_comparable(const struct comparison *c, const struct comparison_subject *subject,
			  size_t metric)
{
	double least = INFINITY, most = 0;

	if (!metrics[metric].by_size)
		return true;
	for (size_t i = 0; i < c->side_count; i++) {
		const struct comparison_result *r = subject->cells[i];

		for (size_t k = 0; r && k < r->run_count; k++) {
			if (isnan(comparison_figure(r, &r->runs[k], metric)))
				continue;
			least = fmin(least, r->runs[k].figures[METRIC_EVENTS]);
			most = fmax(most, r->runs[k].figures[METRIC_EVENTS]);
		}
	}
	return !(most > ALIKE * least);
}

static bool mixes_protocols(const struct comparison *c, const struct comparison_subject *subject)
{
	bool tcp = false, udp = false;

	for (size_t i = 0; i < c->side_count; i++) {
		const struct comparison_result *r = subject->cells[i];

		tcp |= r && r->run_count && r->key.protocol == PROTOCOL_TCP;
		udp |= r && r->run_count && r->key.protocol == PROTOCOL_UDP;
	}
	return tcp && udp;
}

int comparison_direction(const struct comparison *c, const struct comparison_subject *subject,
			 size_t metric)
{
	if ((metric == METRIC_RATE || metric == METRIC_DROP_SHARE) && mixes_protocols(c, subject))
		return 0;
	if (metrics[metric].better != BETTER_HIGHER_OWN)
		return metrics[metric].better == BETTER_LOWER ? -1 : 0;
	for (size_t i = 0; i < c->side_count; i++) {
		const struct comparison_result *r = subject->cells[i];

		for (size_t k = 0; r && k < r->run_count; k++)
			if (!r->runs[k].own_load)
				return 0;
	}
	return 1;
}

/* ---- means ---- */

struct sample {
	double *values, *scores;
	size_t count;
};

static void sample_fill(struct sample *s, const struct comparison_result *r, size_t metric,
			bool chance)
{
	s->count = 0;
	for (size_t k = 0; r && k < r->run_count; k++) {
		const double value = comparison_figure(r, &r->runs[k], metric);

		if (isnan(value))
			continue;
		s->values[s->count] = value;
		s->scores[s->count++] = score_of(&r->runs[k], metric, chance, value);
	}
}

static void stat_fill(struct comparison_stat *stat, const struct comparison_stat *first,
		      const struct sample *own, bool chance, bool comparable)
{
	double unused;

	*stat = (struct comparison_stat){ .runs = own->count,
					  .mean = NAN,
					  .sd = NAN,
					  .score = NAN,
					  .difference = NAN,
					  .p = NAN,
					  .comparable = comparable };
	if (!own->count)
		return;
	noise_moments(own->values, own->count, &stat->mean, &stat->sd);
	noise_moments(own->scores, own->count, &stat->score, &unused);
	if (chance)
		stat->score = fmax(0, stat->score);
	if (own->count == 1)
		stat->sd = NAN;
	if (first && first != stat && first->runs)
		stat->difference =
			noise_same(stat->mean, first->mean) ? 0 : stat->mean - first->mean;
}

/* Describes all figures of a subject for each side. The arrays have room for the runs of any
 * result. */
static int subject_describe(struct comparison *c, const struct comparison_subject *subject,
			    struct sample *sample)
{
	for (size_t i = 0; i < c->side_count; i++) {
		struct comparison_result *r = subject->cells[i];

		if (!r)
			continue;
		if (!r->stats)
			r->stats = calloc(METRIC_COUNT, sizeof(*r->stats));
		if (!r->stats)
			return -ENOMEM;
		r->with_traffic = 0;
		for (size_t k = 0; k < r->run_count; k++)
			r->with_traffic += comparison_has_traffic(&r->runs[k]);
	}
	for (size_t m = 0; m < METRIC_COUNT; m++) {
		const bool chance = has_chance(c, subject, m),
			   comparable = is_comparable(c, subject, m);
		const struct comparison_stat *first =
			subject->cells[0] ? &subject->cells[0]->stats[m] : NULL;

		for (size_t i = 0; i < c->side_count; i++) {
			if (!subject->cells[i])
				continue;
			sample_fill(sample, subject->cells[i], m, chance);
			stat_fill(&subject->cells[i]->stats[m], first, sample, chance, comparable);
		}
	}
	return 0;
}

static int sides_describe(struct comparison *c)
{
	struct sample sample = {};
	size_t most = 1;
	int err = 0;

	for (size_t i = 0; i < c->side_count; i++)
		for (size_t k = 0; k < c->sides[i].result_count; k++)
			most = c->sides[i].results[k].run_count > most
				       ? c->sides[i].results[k].run_count
				       : most;
	sample.values = calloc(2 * most, sizeof(*sample.values));
	if (!sample.values)
		return -ENOMEM;
	sample.scores = sample.values + most;
	for (size_t s = 0; s < c->subject_count && !err; s++)
		err = subject_describe(c, &c->subjects[s], &sample);
	free(sample.values);
	return err;
}

/* ---- tests ---- */

/* Does a side have enough runs with traffic that have the figure? */
static bool has_runs(const struct comparison_subject *subject, size_t side, size_t metric)
{
	const struct comparison_result *r = subject->cells[side];

	return r && r->with_traffic && r->stats[metric].runs >= noise_runs_needed();
}

/* Do two sides have enough runs with the figure? Otherwise there is nothing to test. */
static bool is_column(const struct comparison *c, const struct comparison_subject *subject,
		      size_t metric)
{
	size_t with = 0;

	for (size_t i = 0; i < c->side_count; i++)
		with += has_runs(subject, i, metric);
	return with > 1 && metrics[metric].tested && is_comparable(c, subject, metric);
}

static int columns_find(struct judge *j)
{
	j->columns = calloc(j->c->subject_count * METRIC_COUNT + 1, sizeof(*j->columns));
	if (!j->columns)
		return -ENOMEM;
	for (size_t s = 0; s < j->c->subject_count; s++) {
		const struct comparison_subject *subject = &j->c->subjects[s];

		for (size_t m = 0; m < METRIC_COUNT; m++)
			if (is_column(j->c, subject, m))
				j->columns[j->count++] = (struct judged_column){
					.subject = s,
					.metric = m,
					.chance = has_chance(j->c, subject, m),
					.judged = metrics[m].judged &&
						  comparison_direction(j->c, subject, m)
				};
	}
	return 0;
}

/* Number of rounds of a side; some may have none of the figures. */
static size_t rounds_of(const struct comparison_side *side)
{
	size_t rounds = 0;

	for (size_t i = 0; i < side->result_count; i++) {
		const struct comparison_result *r = &side->results[i];

		if (r->run_count && r->runs[r->run_count - 1].round >= rounds)
			rounds = r->runs[r->run_count - 1].round + 1;
	}
	return rounds;
}

/* Writes one side's figures of one family to `values`, round after round; rounds without any figure
 * are left out. Returns the number of rounds. */
static size_t side_values(const struct judge *j, size_t side, bool judged, size_t figures,
			  double *values)
{
	const size_t rounds = rounds_of(&j->c->sides[side]);
	size_t kept = 0, figure = 0;

	for (size_t i = 0; i < rounds * figures; i++)
		values[i] = NAN;
	for (size_t i = 0; i < j->count; i++) {
		const struct judged_column *col = &j->columns[i];
		const struct comparison_result *r = j->c->subjects[col->subject].cells[side];

		if (col->judged != judged)
			continue;
		for (size_t k = 0; r && k < r->run_count; k++)
			values[r->runs[k].round * figures + figure] =
				score_of(&r->runs[k], col->metric, col->chance,
					 comparison_figure(r, &r->runs[k], col->metric));
		figure++;
	}
	for (size_t i = 0; i < rounds; i++) {
		bool any = false;

		for (size_t k = 0; k < figures; k++) {
			any |= !isnan(values[i * figures + k]);
			values[kept * figures + k] = values[i * figures + k];
		}
		kept += any;
	}
	return kept;
}

/* Tests the later sides against the first one in one family of figures. Fills p by later side, then
 * by column. */
static int test_family(const struct judge *j, const size_t *sides, size_t side_count, bool judged,
		       double *p)
{
	size_t figures = 0, rounds = 0, at = 0, *sizes = calloc(side_count, sizeof(*sizes));
	double *values = NULL, *grain = NULL, *found = NULL;
	int err = -ENOMEM;

	for (size_t i = 0; i < j->count; i++)
		figures += j->columns[i].judged == judged;
	for (size_t i = 0; i < side_count; i++)
		rounds += rounds_of(&j->c->sides[sides[i]]);
	values = calloc(rounds * figures + 1, sizeof(*values));
	grain = calloc(figures + 1, sizeof(*grain));
	found = calloc((side_count - 1) * figures + 1, sizeof(*found));
	if (!sizes || !values || !grain || !found)
		goto out;
	for (size_t i = 0; i < side_count; i++) {
		sizes[i] = side_values(j, sides[i], judged, figures, values + at * figures);
		at += sizes[i];
	}
	for (size_t i = 0, figure = 0; i < j->count; i++)
		if (j->columns[i].judged == judged)
			grain[figure++] = metrics[j->columns[i].metric].grain;
	err = noise_test(&(struct noise_runs){ .groups = side_count,
					       .sizes = sizes,
					       .figures = figures,
					       .values = values,
					       .grain = grain },
			 j->effort, found);
	for (size_t side = 0; side + 1 < side_count && !err; side++)
		for (size_t i = 0, figure = 0; i < j->count; i++)
			if (j->columns[i].judged == judged)
				p[side * j->count + i] = found[side * figures + figure++];
out:
	free(found);
	free(grain);
	free(values);
	free(sizes);
	return err;
}

static double *test_sides(const struct judge *j, const size_t *sides, size_t side_count)
{
	double *p = calloc((side_count - 1) * j->count + 1, sizeof(*p));

	if (p && !test_family(j, sides, side_count, true, p) &&
	    !test_family(j, sides, side_count, false, p))
		return p;
	free(p);
	return NULL;
}

/* Tests all sides at once, for more than two sides. */
static int test_all(struct judge *j)
{
	size_t *sides = calloc(j->c->side_count, sizeof(*sides));

	if (!sides)
		return -ENOMEM;
	for (size_t i = 0; i < j->c->side_count; i++)
		sides[i] = i;
	j->all = test_sides(j, sides, j->c->side_count);
	free(sides);
	return j->all ? 0 : -ENOMEM;
}

/* Values that are shown as equal are not called different, whatever chance would have given each.
 * Nor are waits of which one is longer by the mean and shorter by the mean logarithm. */
static bool stat_is_same(size_t metric, const struct comparison_stat *a,
			 const struct comparison_stat *b)
{
	return noise_same(a->mean, b->mean) || (metrics[metric].unit == METRIC_NS &&
						(a->mean - b->mean) * (a->score - b->score) < 0);
}

/* p-value of two sides in a column; NaN: not tested, or, with *err set, out of memory. */
static double p_between(struct judge *j, size_t a, size_t b, size_t column, int *err)
{
	const struct judged_column *col = &j->columns[column];
	const struct comparison_subject *subject = &j->c->subjects[col->subject];
	const size_t sides[] = { a < b ? a : b, a < b ? b : a };
	double **p = &j->pairs[sides[0] * j->c->side_count + sides[1]];

	if (!has_runs(subject, a, col->metric) || !has_runs(subject, b, col->metric))
		return NAN;
	if (stat_is_same(col->metric, &subject->cells[a]->stats[col->metric],
			 &subject->cells[b]->stats[col->metric]))
		return 1;
	if (!*p)
		*p = test_sides(j, sides, 2);
	if (!*p)
		*err = -ENOMEM;
	else if (j->all && !sides[0])
		return fmax((*p)[column], j->all[(sides[1] - 1) * j->count + column]);
	return *p ? (*p)[column] : NAN;
}

/* ---- differences, best and worst ---- */

static int differences_tell(struct judge *j)
{
	int err = 0;

	for (size_t i = 0; i < j->count && !err; i++) {
		const struct comparison_subject *subject = &j->c->subjects[j->columns[i].subject];

		for (size_t side = 1; side < j->c->side_count && !err; side++) {
			struct comparison_stat *stat =
				subject->cells[side]
					? &subject->cells[side]->stats[j->columns[i].metric]
					: NULL;

			if (!stat || isnan(stat->difference))
				continue;
			stat->p = p_between(j, 0, side, i, &err);
			stat->told = isnan(stat->p)          ? TOLD_UNTESTED
				     : stat->p < NOISE_LEVEL ? TOLD_DIFFERENT
							     : TOLD_NOISE;
		}
	}
	return err;
}

/* The side with the extreme value in that direction; side_count: no side has the metric. */
static size_t extreme(const struct comparison *c, const struct comparison_subject *subject,
		      size_t metric, int towards)
{
	size_t found = c->side_count;

	for (size_t i = 0; i < c->side_count; i++) {
		const struct comparison_stat *stat =
			subject->cells[i] ? &subject->cells[i]->stats[metric] : NULL;

		if (!stat || !stat->runs)
			continue;
		if (found == c->side_count ||
		    stat->score * towards > subject->cells[found]->stats[metric].score * towards)
			found = i;
	}
	return found;
}

/* Does the side differ beyond noise from every other side? If not all sides have enough runs
 * (column NULL): does no other side have the same value? */
static bool stands_out(struct judge *j, const struct comparison_subject *subject, size_t metric,
		       size_t side, const size_t *column, int *err)
{
	const struct comparison_stat *own = &subject->cells[side]->stats[metric];
	size_t others = 0;

	for (size_t i = 0; i < j->c->side_count && !*err; i++) {
		const struct comparison_stat *other =
			subject->cells[i] ? &subject->cells[i]->stats[metric] : NULL;

		if (i == side || !other || !other->runs)
			continue;
		others++;
		if (noise_same(other->score, own->score) || stat_is_same(metric, other, own) ||
		    (column && !(p_between(j, side, i, *column, err) < NOISE_LEVEL)))
			return false;
	}
	return others && !*err;
}

static int marks_fill(struct judge *j, const struct comparison_subject *subject, size_t metric,
		      const size_t *column)
{
	const int better = is_comparable(j->c, subject, metric)
				   ? comparison_direction(j->c, subject, metric)
				   : 0;
	int err = 0;

	for (size_t i = 0; i < j->c->side_count; i++)
		if (subject->cells[i] && subject->cells[i]->stats[metric].runs &&
		    !has_runs(subject, i, metric))
			column = NULL;
	for (int sign = 1; better && sign >= -1 && !err; sign -= 2) {
		const size_t side = extreme(j->c, subject, metric, sign * better);
		struct comparison_result *cell =
			side < j->c->side_count ? subject->cells[side] : NULL;
		struct comparison_stat *stat = cell ? &cell->stats[metric] : NULL;

		if (!stat || !stands_out(j, subject, metric, side, column, &err))
			continue;
		stat->mark = sign > 0 ? MARK_BEST : MARK_WORST;
		stat->mark_tested = column != NULL;
	}
	return err;
}

static int marks_tell(struct judge *j)
{
	size_t column = 0;
	int err = 0;

	for (size_t s = 0; s < j->c->subject_count; s++)
		for (size_t m = 0; m < METRIC_COUNT && !err; m++) {
			const bool tested = column < j->count && j->columns[column].subject == s &&
					    j->columns[column].metric == m;

			if (metrics[m].tested)
				err = marks_fill(j, &j->c->subjects[s], m, tested ? &column : NULL);
			column += tested;
		}
	return err;
}

int comparison_judge(struct comparison *c)
{
	const size_t sides = c->side_count, pairs = sides > 2 ? sides * (sides - 1) / 2 : 1;
	struct judge j = { .c = c,
			   .pairs = calloc(sides * sides + 1, sizeof(*j.pairs)),
			   .effort = EFFORT / pairs };
	int err = j.pairs ? sides_describe(c) : -ENOMEM;

	err = err ? err : columns_find(&j);
	if (!err && sides > 2 && j.count)
		err = test_all(&j);
	err = err ? err : differences_tell(&j);
	err = err ? err : marks_tell(&j);
	for (size_t i = 0; j.pairs && i < sides * sides; i++)
		free(j.pairs[i]);
	free(j.pairs);
	free(j.all);
	free(j.columns);
	return err;
}
