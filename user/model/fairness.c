/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fairness of counts over k bins against a fair hash: the multinomial with equal probabilities.
 *
 * The statistic is Pearson's chi-squared, which for equal probabilities is n * cv^2. Its upper tail
 * is the p-value: a distribution with less spread than a hash gives (round robin) is even, not
 * suspicious. If the bins have too few events for the chi-squared distribution, or a flow is larger
 * than a bin's share, the hash is simulated.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_randist.h>

#include "chance.h"
#include "fairness.h"

#define ALPHA 0.001 /* a test that runs every interval must rarely give a false alarm */
#define POWER 0.9   /* probability of seeing an excess of the threshold, for `needed` */
#define NORMAL_MEAN                                                                                \
	1000 /* mean per bin from which the normal expansion replaces the Poisson sum              \
	      */

/* Sums over the bins. Exact: k * squares stays below 2^128 for up to 2^58 events in 2^12 bins. */
struct totals {
	uint64_t events;
	uint64_t max;
	unsigned __int128 squares;
	size_t idle;
};

static const char *const verdict_names[] = {
	[VERDICT_NOT_APPLICABLE] = "not-applicable",
	[VERDICT_UNEVEN] = "uneven",
	[VERDICT_TOO_FEW] = "too-few",
	[VERDICT_FLOWS_UNKNOWN] = "flows-unknown",
	[VERDICT_EVEN] = "even",
	[VERDICT_WITHHELD] = "withheld",
};

static const char *const withheld_names[] = {
	[WITHHELD_COUNTS_LOST] = "counts-lost",
	[WITHHELD_WAITERS_CUT] = "waiters-cut",
	[WITHHELD_ROWS_CUT] = "rows-cut",
	[WITHHELD_BINS_UNKNOWN] = "bins-unknown",
	[WITHHELD_OPEN_INCOMPLETE] = "open-incomplete",
	[WITHHELD_LIVES_DIFFER] = "lives-differ",
};

const char *verdict_name(enum verdict v)
{
	return verdict_names[v];
}

const char *withheld_name(enum withheld why)
{
	return withheld_names[why];
}

const char *withheld_words(enum withheld why)
{
	static const char *const words[] = {
		[WITHHELD_NOT] = "",
		[WITHHELD_COUNTS_LOST] = "some of these were not counted",
		[WITHHELD_WAITERS_CUT] = "more threads wait than could be listed",
		[WITHHELD_ROWS_CUT] = "some of these are beyond the limit of rows",
		[WITHHELD_BINS_UNKNOWN] = "who else could have got work is not known",
		[WITHHELD_OPEN_INCOMPLETE] = "not all open connections could be followed",
		[WITHHELD_LIVES_DIFFER] = "they came and went at different times",
	};

	return words[why];
}

enum withheld withheld_parse(const char *name)
{
	for (size_t i = 1; i < sizeof(withheld_names) / sizeof(*withheld_names); i++)
		if (!strcmp(withheld_names[i], name))
			return i;
	return WITHHELD_NOT;
}

void fairness_withhold(struct fairness *f, enum withheld why)
{
	f->verdict = VERDICT_WITHHELD;
	f->withheld = why;
	f->p_value = NAN;
}

void fairness_set_aside(struct fairness *f)
{
	f->verdict = VERDICT_NOT_APPLICABLE;
	f->withheld = WITHHELD_NOT;
	f->p_value = NAN;
}

const struct fairness *fairness_decisive(const struct fairness *workers,
					 const struct fairness *sockets)
{
	return workers->events || workers->withheld == WITHHELD_COUNTS_LOST ? workers : sockets;
}

static struct totals totals_of(const uint64_t *counts, size_t bins)
{
	struct totals t = {};

	for (size_t i = 0; i < bins; i++) {
		t.events += counts[i];
		t.squares += (unsigned __int128)counts[i] * counts[i];
		t.idle += counts[i] == 0;
		if (counts[i] > t.max)
			t.max = counts[i];
	}
	return t;
}

/*
 * Squared population coefficient of variation: variance / mean^2 = (k * sum(x^2) - N^2) / N^2. The
 * difference is taken in integers, where near-even counts in the billions would cancel to noise in
 * floating point.
 */
static double cv_squared(const struct totals *t, size_t bins)
{
	unsigned __int128 square_of_sum = (unsigned __int128)t->events * t->events;

	return (double)((long double)(t->squares * bins - square_of_sum) /
			(long double)square_of_sum);
}

/* The x > 0 at which f(x, dof, parameter), growing from 0 to 1, reaches `target`. */
static double bisect(double (*f)(double x, double dof, double parameter), double dof,
		     double parameter, double target)
{
	double low = 0, high = 32;

	while (f(high, dof, parameter) < target) {
		low = high;
		high *= 2;
	}
	while (high - low > 1e-12 * high) {
		double middle = (low + high) / 2;

		if (f(middle, dof, parameter) < target)
			low = middle;
		else
			high = middle;
	}
	return high;
}

static double central_lower(double x, double dof, double unused)
{
	(void)unused;
	return gsl_cdf_chisq_P(x, dof);
}

/*
 * Power of a chi-squared test against `lambda`: the chance that the noncentral variable exceeds
 * `critical`, as the mixture of central tails Q(dof + 2j) with weights Poisson(j; lambda/2)
 * (Johnson, Kotz, Balakrishnan, Continuous Univariate Distributions 2, ch. 29). Summed over the
 * weights within 9 standard deviations. From one j to the next both follow by recurrence: Q(a + 1,
 * x) = Q(a, x) + x^a e^-x / Gamma(a + 1), all terms positive, with a = dof/2 + j and x =
 * critical/2.
 */
static double power_at(double lambda, double dof, double critical)
{
	const double mean = lambda / 2, x = critical / 2, reach = 9 * sqrt(mean) + 20;
	const double first = floor(fmax(0, mean - reach)), last = mean + reach;
	double weight = gsl_ran_poisson_pdf((unsigned)first, mean);
	double a = dof / 2 + first;
	double tail = gsl_cdf_chisq_Q(critical, 2 * a);
	double step = exp(a * log(x) - x - lgamma(a + 1));
	double sum = 0;

	for (uint64_t j = (uint64_t)first; j <= last; j++) {
		sum += weight * tail;
		weight *= mean / (j + 1);
		tail += step;
		step *= x / ++a;
	}
	return sum;
}

/*
 * The noncentrality that the test at ALPHA sees with POWER. gsl_cdf_chisq_Qinv() would do but
 * diverges at some large dof. It takes a fifth of a millisecond, and there are few numbers of bins,
 * so it is kept.
 */
static double noncentrality_needed(size_t bins)
{
	static struct {
		size_t bins;
		double noncentrality;
	} kept[256], *k;
	const double dof = (double)bins - 1;

	k = &kept[bins % (sizeof(kept) / sizeof(*kept))];
	if (k->bins != bins) {
		k->noncentrality =
			bisect(power_at, dof, bisect(central_lower, dof, 0, 1 - ALPHA), POWER);
		k->bins = bins;
	}
	return k->noncentrality;
}

/*
 * n units that spread with an excess e over chance have a chi-squared of noncentrality n * e^2, so
 * n = lambda / e^2. This holds only if the bins have as many events as the chi-squared test needs:
 * see is_sparse().
 */
static uint64_t units_needed(size_t bins, double excess)
{
	double units;

	if (bins < 2 || !(excess > 0))
		return 0;
	units = ceil(noncentrality_needed(bins) / (excess * excess));
	return units < 0x1p63 ? (uint64_t)units : UINT64_MAX;
}

/*
 * Are there too few units for the chi-squared distribution, or for the Poisson sum of the maximum?
 * Flows differ more than their effective number tells, so for flows the rule of five per bin
 * applies for any number of bins. A flow that is larger than a bin's share makes the distribution
 * lumpy.
 */
static bool is_sparse(const struct fairness *f, double n)
{
	const double bins = f->bins;

	if (f->unit == UNIT_FLOW)
		return n < 5 * bins || f->largest_flow > 1 / bins;
	return n < bins || (bins < 8 && n < 5 * bins);
}

/* E[max] of k independent Poisson variables: the sum over m >= 0 of P(max > m) = 1 - F(m)^k. */
static double poisson_max(double mean, double bins)
{
	/* Below this every term is 1. */
	double m = floor(fmax(0, mean - 10 * sqrt(mean))), sum = m, term;

	do {
		term = -expm1(bins * log1p(-gsl_cdf_poisson_Q((unsigned)m, mean)));
		sum += term;
		m++;
	} while (term > 1e-12);
	return sum;
}

/*
 * The same for a large mean: E[x(Z)] with Z the largest of k independent standard normals (density
 * k phi Phi^(k-1)) and x(z) the Cornish-Fisher quantile of a Poisson variable, which keeps its
 * skewness: mean + sqrt(mean) z + (z^2 - 1)/6. The trapezoid sum is practically exact, because the
 * integrand is smooth and vanishes at both ends.
 */
static double normal_max(double mean, double bins)
{
	const int steps = 64; /* to one; exact, being a power of two */
	const double sd = sqrt(mean);
	double sum = 0;

	for (int i = -10 * steps; i <= 10 * steps; i++) {
		const double z = (double)i / steps;
		double density =
			bins * gsl_ran_ugaussian_pdf(z) * pow(gsl_cdf_ugaussian_P(z), bins - 1);

		sum += density * (mean + sd * z + (z * z - 1) / 6);
	}
	return sum / steps;
}

/*
 * E[max] / mean under a fair hash, from independent Poisson bins although the bins of a multinomial
 * depend on each other. In the normal limit this is exact: multinomial deviations are independent
 * ones less their mean, Z_i - Zbar, so their largest is max(Z) - Zbar, and E[Zbar] = 0. (Smaller
 * variance and negative correlation cancel.) At finite n, Poisson bins are a multinomial with a
 * random total N, and E[max] - n/k bends as sqrt(N): about e_k / (8 sqrt(nk)) events are missed,
 * e_k the expected largest of k normals: 0.01 of 8.4 events at 8 bins with 5 each.
 */
static double max_over_mean_expected(double n, double bins)
{
	double mean = n / bins;

	return (mean > NORMAL_MEAN ? normal_max(mean, bins) : poisson_max(mean, bins)) / mean;
}

/* Compares with what a fair hash gives for n units, which have one weight or, if load is not NULL,
 * several. Returns 0 or -ENOMEM. */
static int judge_chance(struct fairness *f, double n, const struct flow_load *load, double cv2)
{
	const double dof = (double)f->bins - 1, chance_cv2 = dof / n;
	struct chance c;
	int err;

	f->simulated = is_sparse(f, n);
	if (f->simulated) {
		err = load && load->large_count ? chance_of_flows(&c, load, f->bins, cv2)
						: chance_of_units(&c, (uint64_t)n, f->bins, cv2);
		if (err)
			return err;
	} else {
		c.p_value = gsl_cdf_chisq_Q(n * cv2, dof);
		c.max_over_mean = max_over_mean_expected(n, (double)f->bins);
	}
	f->cv_expected = sqrt(chance_cv2);
	f->excess = sqrt(fmax(0, cv2 - chance_cv2));
	f->p_value = c.p_value;
	f->max_over_mean_expected = c.max_over_mean;
	return 0;
}

/* The verdict on n units. The order is that of DESIGN: if a spread is proven, no more units are
 * needed. */
static enum verdict verdict_of(const struct fairness *f, double n, double threshold)
{
	if (f->p_value < ALPHA && f->excess > threshold)
		return VERDICT_UNEVEN;
	return n < (double)f->needed ? VERDICT_TOO_FEW : VERDICT_EVEN;
}

static void describe_magnitudes(struct fairness *f, const struct totals *t, double cv2)
{
	f->cv = sqrt(cv2);
	f->max_over_mean = (double)t->max * (double)f->bins / (double)t->events;
	f->jain = 1 / (1 + cv2);
}

/* fairness_judge_load() with GSL's error handler off. */
static int totals_judge(struct fairness *f, const struct totals *t, const struct flow_load *load,
			double threshold)
{
	const double n = f->unit == UNIT_FLOW ? f->flows_effective : (double)t->events;
	double cv2;
	int err;

	f->needed = units_needed(f->bins, threshold);
	if (f->bins < 2 || !t->events)
		return 0;
	cv2 = cv_squared(t, f->bins);
	describe_magnitudes(f, t, cv2);
	if (!(n > 0)) {
		f->verdict = VERDICT_FLOWS_UNKNOWN;
		return 0;
	}
	err = judge_chance(f, n, load, cv2);
	if (!err)
		f->verdict = verdict_of(f, n, threshold);
	return err;
}

int fairness_judge_load(struct fairness *f, const uint64_t *counts, size_t bins,
			const struct flow_load *load, double threshold)
{
	const struct totals t = totals_of(counts, bins);
	gsl_error_handler_t *handler;
	int err;

	*f = (struct fairness){
		.bins = bins,
		.events = t.events,
		.unit = load ? UNIT_FLOW : UNIT_EVENT,
		.flows = load ? load->flows : 0,
		.flows_effective = load ? load->effective : 0,
		.largest_flow = load ? load->largest : 0,
		.flows_differ = load && flows_differ(load),
		.idle = t.idle,
		.cv = NAN,
		.cv_expected = NAN,
		.excess = NAN,
		.max_over_mean = NAN,
		.max_over_mean_expected = NAN,
		.jain = NAN,
		.p_value = NAN,
		.threshold = threshold,
		.verdict = VERDICT_NOT_APPLICABLE,
	};
	if (!(threshold > 0))
		return -EINVAL;
	/* By default GSL aborts the program on an underflow or a failed allocation, so its handler
	 * is off. */
	handler = gsl_set_error_handler_off();
	err = totals_judge(f, &t, load, threshold);
	gsl_set_error_handler(handler);
	return err;
}

int fairness_judge(struct fairness *f, const uint64_t *counts, size_t bins, enum fairness_unit unit,
		   uint64_t flows, double threshold)
{
	const uint64_t events = totals_of(counts, bins).events;
	/* The number of flows that a client may use can exceed the number of events; flows that
	 * were seen can't. */
	const struct flow_load equal = flows_equal(flows < events ? flows : events);

	return fairness_judge_load(f, counts, bins, unit == UNIT_FLOW ? &equal : NULL, threshold);
}

uint64_t fairness_needed(size_t bins, double excess)
{
	gsl_error_handler_t *handler = gsl_set_error_handler_off();
	uint64_t needed = units_needed(bins, excess);

	gsl_set_error_handler(handler);
	return needed;
}
