/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "flows.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

struct flow_load flows_equal(uint64_t flows)
{
	return (struct flow_load){ .flows = flows, .effective = flows, .largest = flows ? 1.0 / flows : 0, .small = flows };
}

uint64_t flows_sum(const struct flow_sketch *s)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < FLOW_BUCKETS; i++)
		sum += s->buckets[i];
	return sum;
}

bool flows_differ(const struct flow_load *load)
{
	return load->effective > 0 && (!load->flows || load->effective * 2 < load->flows);
}

static int compare_counts(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return COMPARE(*x, *y);
}

static int compare_descending(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return COMPARE(*y, *x);
}

/* sum w^2 of a socket's flows: at least as if every datagram were a flow of its own, at most as if all were one. */
static double squares_of(const struct flow_sketch *s, double sum)
{
	double squares = 0;

	for (unsigned i = 0; i < FLOW_BUCKETS; i++)
		squares += (double)s->buckets[i] * (double)s->buckets[i];
	squares = (squares - sum * sum / FLOW_BUCKETS) * FLOW_BUCKETS / (FLOW_BUCKETS - 1);
	return fmin(fmax(squares, sum), sum * sum);
}

/* The number of a socket's flows; NaN: all buckets are in use. */
static double number_of(const struct flow_sketch *s)
{
	unsigned empty = 0;

	for (unsigned i = 0; i < FLOW_BUCKETS; i++)
		empty += !s->buckets[i];
	return empty ? -FLOW_BUCKETS * log((double)empty / FLOW_BUCKETS) : NAN;
}

/*
 * The largest flow of each bucket, if it is a large one: what the bucket has beyond the median, which is what small flows add to each. weights: room
 * for one a bucket. Returns how many are above 0.
 */
static size_t large_of(const struct flow_sketch *s, double *weights)
{
	uint64_t sorted[FLOW_BUCKETS], median;
	size_t count = 0;

	memcpy(sorted, s->buckets, sizeof(sorted));
	qsort(sorted, FLOW_BUCKETS, sizeof(*sorted), compare_counts);
	median = sorted[FLOW_BUCKETS / 2];
	for (unsigned i = 0; i < FLOW_BUCKETS; i++)
		if (s->buckets[i] > median)
			weights[count++] = s->buckets[i] - median;
	return count;
}

/* Fills large and small from weights, descending. sum, squares: of all flows. */
static void split(struct flow_load *load, const double *weights, size_t count, double sum, double squares)
{
	double rest = sum, rest_squares = squares, most;

	load->large_count = count < FLOWS_LARGE_MAX ? count : FLOWS_LARGE_MAX;
	for (size_t i = 0; i < load->large_count; i++) {
		load->large[i] = weights[i] / sum;
		rest -= weights[i];
		rest_squares -= weights[i] * weights[i];
	}
	/* Each is at least one datagram, and where there are more large ones than have room, none is larger than the smallest of these. */
	most = load->large_count == FLOWS_LARGE_MAX ? weights[load->large_count - 1] : rest;
	rest_squares = fmax(rest_squares, rest);
	if (rest > 0)
		load->small = fmax(rest * rest / rest_squares, rest / most);
}

int flows_weigh(struct flow_load *load, const struct flow_sketch *const *sketches, size_t count)
{
	double *weights = calloc(count * FLOW_BUCKETS + 1, sizeof(*weights)), sum = 0, squares = 0, number = 0;
	size_t large = 0;

	*load = (struct flow_load){};
	if (!weights)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const double its = flows_sum(sketches[i]);

		if (!(its > 0))
			continue;
		sum += its;
		squares += squares_of(sketches[i], its);
		number += number_of(sketches[i]);
		large += large_of(sketches[i], weights + large);
	}
	if (sum > 0) {
		qsort(weights, large, sizeof(*weights), compare_descending);
		load->flows = isnan(number) ? 0 : llround(fmin(number, sum));
		load->effective = sum * sum / squares;
		if (load->flows && load->effective > load->flows) /* the better estimate of the two where flows are alike */
			load->effective = load->flows;
		load->largest = large ? weights[0] / sum : 1 / load->effective;
		split(load, weights, large, sum, squares);
	}
	free(weights);
	return 0;
}
