/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "noise.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include <gsl/gsl_combination.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_sf_gamma.h>

#define SEED 20240229 /* any fixed number */
#define ENUMERATED_MAX                                                                             \
	20000 /* up to this many divisions into two groups all are tried (eight against eight are  \
		 12,870) */
#define SHUFFLED 9999 /* otherwise this many random ones, if the effort allows */
#define SHUFFLED_MIN 999
#define SPREAD_MIN 0.1      /* least spread within groups, of the spread of all runs */
#define ROUNDING 1e-12      /* a variance below this, where that of all runs is 1, counts as none */
#define AS_LARGE (1 - 1e-9) /* so that a value equals itself when summed in another order */

/* ---- single figures ---- */

/* Equal values have no spread, whatever rounding does to their mean. */
void noise_moments(const double *values, size_t n, double *mean, double *sd)
{
	double sum = 0, squares = 0;

	for (size_t i = 0; i < n; i++)
		sum += values[i] - values[0];
	*mean = values[0] + sum / (double)n;
	for (size_t i = 0; i < n; i++)
		squares += (values[i] - *mean) * (values[i] - *mean);
	*sd = n > 1 ? sqrt(squares / (double)(n - 1)) : 0;
}

bool noise_same(double a, double b)
{
	return fabs(a - b) <= 1e-7 * fmax(fabs(a), fabs(b));
}

static double divisions(size_t n, size_t into)
{
	return n > 1000 ? INFINITY : round(exp(gsl_sf_lnchoose((unsigned)n, (unsigned)into)));
}

size_t noise_runs_needed(void)
{
	size_t n = 1;

	while (2 / divisions(2 * n, n) >= NOISE_LEVEL)
		n++;
	return n;
}

/* ---- the test: sums of groups ---- */

/* For one group and each figure: the number of runs that know it, their sum and their sum of
 * squares. */
struct sums {
	double *known, *sum, *squares;
};

struct test {
	const struct noise_runs *runs;
	size_t run_count, hypotheses; /* hypotheses: each later group, each figure */
	size_t needed;                /* runs that must know a figure, in each group */
	double *known;                /* run after run: 1 or 0 for each figure */
	double *values; /* in the same order: standardized by the mean and spread of all runs, 0
			   where not known */
	double *variance_min; /* for each figure: its grain, standardized; infinite: the figure
				 never varies */
	struct sums *groups;
	struct sums all;
	size_t *rows;       /* a division: the runs in the order of their groups */
	double *t_squared;  /* of the present division, by hypothesis */
	double *observed;   /* the same for the observed division */
	size_t *order;      /* hypotheses, those with the largest observed value first */
	uint64_t *as_large; /* number of divisions at least as large, by position in `order` */
	double *numbers;    /* all of the above that are double */
};

static void sums_add(struct sums *sums, const double *known, const double *values, size_t figures)
{
	for (size_t i = 0; i < figures; i++) {
		sums->known[i] += known[i];
		sums->sum[i] += values[i];
		sums->squares[i] += values[i] * values[i];
	}
}

static void sums_clear(struct sums *sums, size_t figures)
{
	for (size_t i = 0; i < figures; i++)
		sums->known[i] = sums->sum[i] = sums->squares[i] = 0;
}

/* The sums of the last group are those of all runs minus those of the other groups. */
static void sums_rest(const struct test *t)
{
	struct sums *rest = &t->groups[t->runs->groups - 1];

	for (size_t i = 0; i < t->runs->figures; i++) {
		rest->known[i] = t->all.known[i];
		rest->sum[i] = t->all.sum[i];
		rest->squares[i] = t->all.squares[i];
		for (size_t g = 0; g + 1 < t->runs->groups; g++) {
			rest->known[i] -= t->groups[g].known[i];
			rest->sum[i] -= t->groups[g].sum[i];
			rest->squares[i] -= t->groups[g].squares[i];
		}
	}
}

/* The square of the studentized difference of two groups in a figure; 0 if a group has too few runs
 * with the figure. */
static double t_squared(const struct test *t, const struct sums *a, const struct sums *b,
			size_t figure)
{
	const double na = a->known[figure], nb = b->known[figure], sum_a = a->sum[figure],
		     sum_b = b->sum[figure];
	const double sum = sum_a + sum_b, squares = a->squares[figure] + b->squares[figure];
	double difference, within, all, least;

	if (na < (double)t->needed || nb < (double)t->needed)
		return 0;
	difference = sum_a / na - sum_b / nb;
	within = (a->squares[figure] - sum_a * sum_a / na) / (na * (na - 1)) +
		 (b->squares[figure] - sum_b * sum_b / nb) / (nb * (nb - 1));
	all = (squares - sum * sum / (na + nb)) / (na + nb - 1);
	least = SPREAD_MIN * SPREAD_MIN * all > t->variance_min[figure]
			? SPREAD_MIN * SPREAD_MIN * all
			: t->variance_min[figure];
	least *= 1 / na + 1 / nb;
	return difference * difference / (within > least ? within : least);
}

/* Fills t_squared[] for the division in rows[]. */
static void divide(struct test *t)
{
	const size_t figures = t->runs->figures;
	size_t at = 0;

	for (size_t g = 0; g + 1 < t->runs->groups; g++) {
		sums_clear(&t->groups[g], figures);
		for (size_t i = 0; i < t->runs->sizes[g]; i++, at++)
			sums_add(&t->groups[g], &t->known[t->rows[at] * figures],
				 &t->values[t->rows[at] * figures], figures);
	}
	sums_rest(t);
	for (size_t g = 1; g < t->runs->groups; g++)
		for (size_t i = 0; i < figures; i++)
			t->t_squared[(g - 1) * figures + i] =
				t_squared(t, &t->groups[0], &t->groups[g], i);
}

/* Counts a division at each position in `order` where the largest value from that position on is at
 * least as large as the value observed there. */
static void test_count(struct test *t)
{
	double largest = 0;

	divide(t);
	for (size_t place = t->hypotheses; place-- > 0;) {
		const size_t hypothesis = t->order[place];

		largest = t->t_squared[hypothesis] > largest ? t->t_squared[hypothesis] : largest;
		t->as_large[place] += largest >= t->observed[hypothesis] * AS_LARGE;
	}
}

/* ---- the test: what there is ---- */

/* Standardizes one figure of all runs. Values that differ only by rounding count as equal. */
static void standardize(struct test *t, size_t figure, double *known)
{
	const size_t figures = t->runs->figures;
	double mean = 0, sd = 0, least = INFINITY, most = -INFINITY;
	size_t n = 0;

	for (size_t i = 0; i < t->run_count; i++) {
		const double value = t->runs->values[i * figures + figure];

		t->known[i * figures + figure] = !isnan(value);
		if (isnan(value))
			continue;
		known[n++] = value;
		least = fmin(least, value);
		most = fmax(most, value);
	}
	if (n)
		noise_moments(known, n, &mean, &sd);
	if (!n || noise_same(least, most) || !(sd > 0)) {
		t->variance_min[figure] = INFINITY;
		return;
	}
	for (size_t i = 0; i < t->run_count; i++)
		if (t->known[i * figures + figure] > 0)
			t->values[i * figures + figure] =
				(t->runs->values[i * figures + figure] - mean) / sd;
	t->variance_min[figure] =
		fmax(ROUNDING, (t->runs->grain[figure] / sd) * (t->runs->grain[figure] / sd));
}

static int compare_observed(const void *a, const void *b, void *test)
{
	const struct test *t = test;
	const size_t x = *(const size_t *)a, y = *(const size_t *)b;

	if (t->observed[x] != t->observed[y])
		return t->observed[x] > t->observed[y] ? -1 : 1;
	return x < y ? -1 : x > y;
}

static void test_free(struct test *t)
{
	free(t->groups);
	free(t->rows);
	free(t->order);
	free(t->as_large);
	free(t->numbers);
}

static double *numbers_take(double **numbers, size_t count)
{
	double *taken = *numbers;

	*numbers += count;
	return taken;
}

static struct sums sums_take(double **numbers, size_t figures)
{
	struct sums s = { .known = numbers_take(numbers, figures) };

	s.sum = numbers_take(numbers, figures);
	s.squares = numbers_take(numbers, figures);
	return s;
}

static int test_allocate(struct test *t)
{
	const size_t figures = t->runs->figures, groups = t->runs->groups,
		     cells = t->run_count * figures;
	double *numbers =
		calloc(2 * cells + figures + 3 * figures * (groups + 1) + 2 * t->hypotheses + 1,
		       sizeof(*numbers));

	t->numbers = numbers;
	t->groups = calloc(groups + 1, sizeof(*t->groups));
	t->rows = calloc(t->run_count + 1, sizeof(*t->rows));
	t->order = calloc(t->hypotheses + 1, sizeof(*t->order));
	t->as_large = calloc(t->hypotheses + 1, sizeof(*t->as_large));
	if (!numbers || !t->groups || !t->rows || !t->order || !t->as_large)
		return -ENOMEM;
	t->known = numbers_take(&numbers, cells);
	t->values = numbers_take(&numbers, cells);
	t->variance_min = numbers_take(&numbers, figures);
	t->t_squared = numbers_take(&numbers, t->hypotheses);
	t->observed = numbers_take(&numbers, t->hypotheses);
	for (size_t g = 0; g < groups; g++)
		t->groups[g] = sums_take(&numbers, figures);
	t->all = sums_take(&numbers, figures);
	return 0;
}

static int test_begin(struct test *t)
{
	const size_t figures = t->runs->figures;
	double *known = calloc(t->run_count + 1, sizeof(*known));
	int err = test_allocate(t);

	if (!known)
		err = -ENOMEM;
	for (size_t i = 0; i < figures && !err; i++)
		standardize(t, i, known);
	free(known);
	if (err)
		return err;
	for (size_t i = 0; i < t->run_count; i++) {
		t->rows[i] = i;
		sums_add(&t->all, &t->known[i * figures], &t->values[i * figures], figures);
	}
	divide(t);
	for (size_t i = 0; i < t->hypotheses; i++) {
		t->observed[i] = t->t_squared[i];
		t->order[i] = i;
	}
	qsort_r(t->order, t->hypotheses, sizeof(*t->order), compare_observed, t);
	return 0;
}

/* ---- the test: divisions ---- */

/*
 * Tries all divisions into two groups, which include the observed one. If the groups have the same
 * size, each division occurs twice, once with the groups exchanged. Then only those with the first
 * run in the first group are tried, which are half of each count. Returns the number tried, 0: out
 * of memory.
 */
static uint64_t enumerate(struct test *t)
{
	const size_t first = t->runs->sizes[0], fixed = first == t->runs->sizes[1];
	gsl_combination *chosen = gsl_combination_calloc(t->run_count - fixed, first - fixed);
	uint64_t tried = 0;

	if (!chosen)
		return 0;
	do {
		size_t in = fixed, out = first;

		t->rows[0] = 0;
		for (size_t i = fixed; i < t->run_count; i++) {
			if (in < first && gsl_combination_get(chosen, in - fixed) == i - fixed)
				t->rows[in++] = i;
			else
				t->rows[out++] = i;
		}
		test_count(t);
		tried++;
	} while (gsl_combination_next(chosen) == GSL_SUCCESS);
	gsl_combination_free(chosen);
	return tried;
}

/* Tries random divisions, and the observed one. */
static uint64_t shuffle(struct test *t, uint64_t tries)
{
	gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);

	if (!rng)
		return 0;
	gsl_rng_set(rng, SEED);
	test_count(t);
	for (uint64_t i = 0; i < tries; i++) {
		gsl_ran_shuffle(rng, t->rows, t->run_count, sizeof(*t->rows));
		test_count(t);
	}
	gsl_rng_free(rng);
	return tries + 1;
}

static uint64_t try_divisions(struct test *t, uint64_t effort)
{
	const uint64_t room = effort / (t->run_count * t->runs->figures);
	double all;

	if (t->runs->groups == 2) {
		all = divisions(t->run_count, t->runs->sizes[0]);
		if (all <= ENUMERATED_MAX && all <= (double)room)
			return enumerate(t);
	}
	return shuffle(t, room < SHUFFLED_MIN ? SHUFFLED_MIN : room < SHUFFLED ? room : SHUFFLED);
}

/* Do both groups have enough runs that know the figure? */
static bool is_tested(const struct test *t, size_t hypothesis)
{
	const size_t figures = t->runs->figures, group = 1 + hypothesis / figures,
		     figure = hypothesis % figures;
	size_t first = 0, own = 0, begin = 0;

	for (size_t g = 0; g < group; g++)
		begin += t->runs->sizes[g];
	for (size_t i = 0; i < t->runs->sizes[0]; i++)
		first += t->known[i * figures + figure] > 0;
	for (size_t i = 0; i < t->runs->sizes[group]; i++)
		own += t->known[(begin + i) * figures + figure] > 0;
	return first >= t->needed && own >= t->needed;
}

/* A figure is not called different before one with a larger observed value, so its p is at least as
 * large as that one's. */
static void p_values(const struct test *t, uint64_t tried, double *p)
{
	double so_far = 0;

	for (size_t place = 0; place < t->hypotheses; place++) {
		so_far = fmax(so_far, (double)t->as_large[place] / (double)tried);
		p[t->order[place]] = is_tested(t, t->order[place]) ? so_far : NAN;
	}
}

int noise_test(const struct noise_runs *runs, uint64_t effort, double *p)
{
	struct test t = { .runs = runs,
			  .hypotheses = (runs->groups - 1) * runs->figures,
			  .needed = noise_runs_needed() };
	gsl_error_handler_t *handler;
	uint64_t tried = 0;
	bool any = false;
	int err;

	for (size_t g = 0; g < runs->groups; g++)
		t.run_count += runs->sizes[g];
	handler = gsl_set_error_handler_off();
	err = test_begin(&t);
	for (size_t i = 0; i < t.hypotheses && !err; i++)
		any |= is_tested(&t, i);
	if (!err && any) {
		tried = try_divisions(&t, effort);
		err = tried ? 0 : -ENOMEM;
	}
	gsl_set_error_handler(handler);
	if (!err)
		p_values(&t, tried ? tried : 1, p);
	test_free(&t);
	return err;
}
