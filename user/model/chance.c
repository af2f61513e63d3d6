/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Monte Carlo of the multinomial: p = (1 + replicates at least as spread) / (1 + replicates), which
 * never understates p (Davison and Hinkley, Bootstrap Methods, 4.2). Spread is compared as the sum
 * of squares, n^2 (cv^2 + 1) / k.
 *
 * The replicates do not depend on what was observed. Those of equal units are kept as the
 * distribution of their sum of squares, by n and bins, of which there are few: they are needed
 * where n is below the bins, or below five times at most seven bins. Loads of flows are seldom the
 * same twice, except in a port that gets nothing: of them the result is kept.
 */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>

#include "chance.h"

#define SEED 20240229 /* any fixed number: the same counts always give the same verdict */
/* Replicates with exactly the same spread count too, whatever was rounded. */
#define SLACK (1 - 1e-9)

_Static_assert(REPLICATES <= UINT16_MAX, "distribution.times");

static double p_value(uint64_t as_spread)
{
	return (1.0 + (double)as_spread) / (1.0 + REPLICATES);
}

/* ---- equal units ---- */

/*
 * How many replicates had which sum of squares, the least first. The sums are odd if n is, so a
 * step is 2. n 0: nothing is kept here.
 */
struct distribution {
	uint64_t n;
	size_t bins;
	uint64_t least;
	size_t steps;
	uint16_t *times;
	double max_over_mean;
};

/* Throws n balls into empty bins and empties them again. Returns the sum of squares and the largest
 * count. */
static uint64_t throw_balls(gsl_rng *rng, uint32_t *counts, size_t bins, uint32_t *hits, uint64_t n,
			    uint32_t *max)
{
	uint64_t squares = 0;

	*max = 0;
	for (uint64_t i = 0; i < n; i++) {
		/* 32 random bits are scaled to the bins: this is uneven by at most bins/2^32, and
		 * faster than a division. */
		uint32_t bin = (uint64_t)gsl_rng_get(rng) * bins >> 32;
		uint32_t count = counts[bin]++;

		squares += 2 * (uint64_t)count + 1; /* (c + 1)^2 - c^2 */
		if (count >= *max)
			*max = count + 1;
		hits[i] = bin;
	}
	for (uint64_t i = 0; i < n; i++)
		counts[hits[i]] = 0;
	return squares;
}

/* Sorts the replicates' sums of squares into d->times. Returns 0 or -ENOMEM. */
static int distribution_fill(struct distribution *d, const uint64_t *squares)
{
	uint64_t most = squares[0];

	d->least = squares[0];
	for (int i = 1; i < REPLICATES; i++) {
		d->least = squares[i] < d->least ? squares[i] : d->least;
		most = squares[i] > most ? squares[i] : most;
	}
	d->steps = (most - d->least) / 2 + 1;
	d->times = calloc(d->steps, sizeof(*d->times));
	for (int i = 0; d->times && i < REPLICATES; i++)
		d->times[(squares[i] - d->least) / 2]++;
	return d->times ? 0 : -ENOMEM;
}

static int distribution_make(struct distribution *d, uint64_t n, size_t bins)
{
	uint64_t *squares = calloc(REPLICATES, sizeof(*squares)), sum_of_max = 0;
	uint32_t *counts = calloc(bins, sizeof(*counts));
	uint32_t *hits = calloc(n, sizeof(*hits));
	gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
	int err = squares && counts && hits && rng ? 0 : -ENOMEM;

	if (!err)
		gsl_rng_set(rng, SEED);
	for (int i = 0; i < REPLICATES && !err; i++) {
		uint32_t max;

		squares[i] = throw_balls(rng, counts, bins, hits, n, &max);
		sum_of_max += max;
	}
	*d = (struct distribution){ .max_over_mean = (double)sum_of_max / REPLICATES *
						     (double)bins / (double)n };
	if (!err)
		err = distribution_fill(d, squares);
	if (!err) {
		d->n = n;
		d->bins = bins;
	}
	gsl_rng_free(rng);
	free(hits);
	free(counts);
	free(squares);
	return err;
}

int chance_of_units(struct chance *c, uint64_t n, size_t bins, double cv2)
{
	static struct distribution kept[256];
	struct distribution *d = &kept[(n + bins * 61) % (sizeof(kept) / sizeof(*kept))];
	const double observed = (double)n * (double)n * (cv2 + 1) / (double)bins * SLACK;
	uint64_t as_spread = 0;
	int err = 0;

	if (d->n != n || d->bins != bins) {
		free(d->times);
		err = distribution_make(d, n, bins);
	}
	if (err)
		return err;
	for (size_t i = 0; i < d->steps; i++)
		if ((double)(d->least + 2 * i) >= observed)
			as_spread += d->times[i];
	*c = (struct chance){ p_value(as_spread), d->max_over_mean };
	return 0;
}

/* ---- flows ---- */

/* State for placing flows of several weights. */
struct placing {
	gsl_rng *rng;
	size_t bins;
	double *shares; /* share of each bin */
	uint32_t *hits; /* the bin of each flow */
	/* For the small flows, if they are drawn: the same probability for every bin. */
	double *alike;
	unsigned *drawn;
};

#define THROWS_A_BIN                                                                               \
	30 /* more small flows than that are quicker to draw as a multinomial (a binomial a bin)   \
	      than to throw */

static bool draws(unsigned small, size_t bins)
{
	return small > THROWS_A_BIN * bins;
}

/* Adds up a bin, and empties it: it is passed again if several flows are in it. */
static void bin_take(double *share, double *squares, double *max)
{
	*squares += *share * *share;
	if (*share > *max)
		*max = *share;
	*share = 0;
}

/*
 * Throws the load into empty bins and empties them again. Returns the sum of squares of their
 * shares; *max the largest share. Few flows in many bins are looked at by flow.
 */
static double flows_place(const struct placing *p, const struct flow_load *load, unsigned small,
			  double weight, double *max)
{
	const bool drawn = draws(small, p->bins);
	const size_t thrown = load->large_count + (drawn ? 0 : small);
	double squares = 0;

	for (size_t i = 0; i < thrown; i++) {
		p->hits[i] = (uint64_t)gsl_rng_get(p->rng) * p->bins >> 32;
		p->shares[p->hits[i]] += i < load->large_count ? load->large[i] : weight;
	}
	if (drawn)
		gsl_ran_multinomial(p->rng, p->bins, small, p->alike, p->drawn);
	for (size_t i = 0; drawn && i < p->bins; i++)
		p->shares[i] += p->drawn[i] * weight;
	*max = 0;
	if (drawn || thrown > p->bins)
		for (size_t i = 0; i < p->bins; i++)
			bin_take(&p->shares[i], &squares, max);
	else
		for (size_t i = 0; i < thrown; i++)
			bin_take(&p->shares[p->hits[i]], &squares, max);
	return squares;
}

static void flows_simulate(struct chance *c, const struct placing *p, const struct flow_load *load,
			   unsigned small, double cv2)
{
	const double observed = (cv2 + 1) / (double)p->bins * SLACK;
	double rest = 1, max, sum_of_max = 0;
	uint64_t as_spread = 0;

	for (size_t i = 0; i < load->large_count; i++)
		rest -= load->large[i];
	for (size_t i = 0; i < p->bins; i++)
		p->alike[i] = 1;
	gsl_rng_set(p->rng, SEED);
	for (int i = 0; i < REPLICATES; i++) {
		as_spread += flows_place(p, load, small, small ? fmax(0, rest) / small : 0, &max) >=
			     observed;
		sum_of_max += max;
	}
	*c = (struct chance){ p_value(as_spread), sum_of_max / REPLICATES * (double)p->bins };
}

static int flows_judge(struct chance *c, const struct flow_load *load, size_t bins, double cv2)
{
	const unsigned small = (unsigned)fmin(rint(load->small), 1e9);
	const size_t thrown = load->large_count + (draws(small, bins) ? 0 : small);
	struct placing p = { .rng = gsl_rng_alloc(gsl_rng_mt19937),
			     .bins = bins,
			     .shares = calloc(bins, sizeof(*p.shares)),
			     .hits = calloc(thrown, sizeof(*p.hits)),
			     .alike = calloc(bins, sizeof(*p.alike)),
			     .drawn = calloc(bins, sizeof(*p.drawn)) };
	int err = p.rng && p.shares && p.hits && p.alike && p.drawn ? 0 : -ENOMEM;

	if (!err)
		flows_simulate(c, &p, load, small, cv2);
	gsl_rng_free(p.rng);
	free(p.shares);
	free(p.hits);
	free(p.alike);
	free(p.drawn);
	return err;
}

/* A result, and what it depends on. bins 0: there is none here. */
struct result {
	size_t bins, large_count;
	double cv2, small, large[FLOWS_LARGE_MAX];
	struct chance chance;
};

static bool is_of(const struct result *r, const struct flow_load *load, size_t bins, double cv2)
{
	return r->bins == bins && r->cv2 == cv2 && r->small == load->small &&
	       r->large_count == load->large_count &&
	       !memcmp(r->large, load->large, load->large_count * sizeof(*load->large));
}

int chance_of_flows(struct chance *c, const struct flow_load *load, size_t bins, double cv2)
{
	static struct result kept[4096];
	uint64_t hash;
	struct result *r;
	int err;

	memcpy(&hash, &cv2, sizeof(hash)); /* it differs from port to port, with a load's weights */
	r = &kept[(hash ^ bins) * 0x9e3779b97f4a7c15u >> 52];
	if (is_of(r, load, bins, cv2)) {
		*c = r->chance;
		return 0;
	}
	err = flows_judge(c, load, bins, cv2);
	if (err)
		return err;
	*r = (struct result){ bins, load->large_count, cv2, load->small, {}, *c };
	memcpy(r->large, load->large, load->large_count * sizeof(*load->large));
	return 0;
}
