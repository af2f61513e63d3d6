/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "flows.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

/*
 * A flow is named if it sent four fifths of what its bucket got while the bucket was watched, and
 * if at least half of the bucket's datagrams came while it was watched. With few datagrams a flow
 * is not worth naming.
 */
#define PEER_SHARE 0.8
#define PEER_WATCHED 0.5
#define PEER_LEAST 16
#define PEER_OF_LARGEST                                                                            \
	(8.0 / 9) /* the heaviest bucket is replaced only when another one has an eighth more */

struct flow_load flows_equal(uint64_t flows)
{
	return (struct flow_load){ .flows = flows,
				   .effective = flows,
				   .largest = flows ? 1.0 / flows : 0,
				   .small = flows };
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

static int compare_descending(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return COMPARE(*y, *x);
}

/* sum w^2 of a socket's flows. The lower bound is that of one flow per datagram, the upper bound
 * that of a single flow. */
static double squares_of(const struct flow_sketch *s, double sum)
{
	double squares = 0;

	for (unsigned i = 0; i < FLOW_BUCKETS; i++)
		squares += (double)s->buckets[i] * (double)s->buckets[i];
	squares = (squares - sum * sum / FLOW_BUCKETS) * FLOW_BUCKETS / (FLOW_BUCKETS - 1);
	return fmin(fmax(squares, sum), sum * sum);
}

/* The number of a socket's flows; NaN if all buckets are in use. */
static double number_of(const struct flow_sketch *s)
{
	unsigned empty = 0;

	for (unsigned i = 0; i < FLOW_BUCKETS; i++)
		empty += !s->buckets[i];
	return empty ? -FLOW_BUCKETS * log((double)empty / FLOW_BUCKETS) : NAN;
}

static bool is_same_peer(const struct flow_peer *a, const struct flow_peer *b)
{
	return a->bucket == b->bucket && a->port == b->port &&
	       !memcmp(a->address, b->address, sizeof(a->address));
}

void flow_peer_subtract(struct flow_sketch *sketch, const struct flow_peer *before)
{
	struct flow_peer *now = &sketch->peer;

	if (!now->bucket)
		return;
	if (is_same_peer(now, before) && now->watched >= before->watched &&
	    now->votes >= before->votes) {
		now->watched -= before->watched;
		now->votes -= before->votes;
	} else if (now->watched > sketch->buckets[now->bucket - 1]) {
		*now = (struct flow_peer){}; /* its votes include earlier ones */
	}
}

void flow_peer_add(struct flow_peer *to, const struct flow_peer *more)
{
	if (is_same_peer(to, more)) {
		to->watched += more->watched;
		to->votes += more->votes;
	} else if (more->votes >= to->votes) {
		*to = *more;
	}
}

const char *flow_peer_address(char buffer[FLOW_PEER_SIZE], const struct flow_peer *peer)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	const bool is_mapped = !memcmp(peer->address, mapped, sizeof(mapped));

	inet_ntop(is_mapped ? AF_INET : AF_INET6, peer->address + (is_mapped ? sizeof(mapped) : 0),
		  buffer, FLOW_PEER_SIZE);
	return buffer;
}

const char *flow_peer_say(char buffer[FLOW_PEER_SIZE], const struct flow_peer *peer)
{
	char address[FLOW_PEER_SIZE];
	const bool colons = strchr(flow_peer_address(address, peer), ':');

	snprintf(buffer, FLOW_PEER_SIZE, "%s%.46s%s:%u", colons ? "[" : "", address,
		 colons ? "]" : "", peer->port);
	return buffer;
}

/* Is it proven that most datagrams of the peer's bucket came from that peer? */
static bool is_proven(const struct flow_peer *peer, const struct flow_sketch *s)
{
	return peer->bucket && peer->watched >= PEER_LEAST &&
	       (double)peer->votes >= PEER_SHARE * (double)peer->watched &&
	       (double)peer->watched >= PEER_WATCHED * (double)s->buckets[peer->bucket - 1];
}

/*
 * Finds the largest flow of each bucket, if it is a large one: what the bucket has beyond the
 * median, because the median is what small flows add to each bucket. weights: has room for one per
 * bucket. Returns how many are above 0. *named, *peer: weight and sender of the largest flow so far
 * whose sender is known.
 */
static size_t large_of(const struct flow_sketch *s, double *weights, double *named,
		       struct flow_peer *peer)
{
	uint64_t sorted[FLOW_BUCKETS], median;
	size_t count = 0;

	memcpy(sorted, s->buckets, sizeof(sorted));
	qsort(sorted, FLOW_BUCKETS, sizeof(*sorted), compare_u64);
	median = sorted[FLOW_BUCKETS / 2];
	for (unsigned i = 0; i < FLOW_BUCKETS; i++)
		if (s->buckets[i] > median)
			weights[count++] = s->buckets[i] - median;
	if (is_proven(&s->peer, s) &&
	    (double)s->buckets[s->peer.bucket - 1] - (double)median > *named) {
		*named = (double)s->buckets[s->peer.bucket - 1] - (double)median;
		*peer = s->peer;
	}
	return count;
}

/* Fills `large` and `small` from weights, which are in descending order. sum, squares: of all
 * flows. */
static void split(struct flow_load *load, const double *weights, size_t count, double sum,
		  double squares)
{
	double rest = sum, rest_squares = squares, most;

	load->large_count = count < FLOWS_LARGE_MAX ? count : FLOWS_LARGE_MAX;
	for (size_t i = 0; i < load->large_count; i++) {
		load->large[i] = weights[i] / sum;
		rest -= weights[i];
		rest_squares -= weights[i] * weights[i];
	}
	/* Each small flow has at least one datagram. If there are more large flows than have room,
	 * none of the rest is larger than the smallest one listed. */
	most = load->large_count == FLOWS_LARGE_MAX ? weights[load->large_count - 1] : rest;
	rest_squares = fmax(rest_squares, rest);
	if (rest > 0)
		load->small = fmax(rest * rest / rest_squares, rest / most);
}

int flows_weigh(struct flow_load *load, const struct flow_sketch *const *sketches, size_t count)
{
	double *weights = calloc(count * FLOW_BUCKETS + 1, sizeof(*weights)), sum = 0, squares = 0,
	       number = 0, named = 0;
	struct flow_peer peer = {};
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
		large += large_of(sketches[i], weights + large, &named, &peer);
	}
	if (sum > 0) {
		qsort(weights, large, sizeof(*weights), compare_descending);
		load->flows = isnan(number) ? 0 : llround(fmin(number, sum));
		load->effective = sum * sum / squares;
		if (load->flows &&
		    load->effective >
			    load->flows) /* the number is the better estimate if flows are alike */
			load->effective = load->flows;
		load->largest = large ? weights[0] / sum : 1 / load->effective;
		if (named > 0 && named >= PEER_OF_LARGEST * weights[0]) {
			load->peer = peer;
			load->peer_share = named / sum;
		}
		split(load, weights, large, sum, squares);
	}
	free(weights);
	return 0;
}
