/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What came of each flow, estimated: user/model/flows.c. And what a hash does to flows that are not
 * alike: user/model/fairness.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/model/fairness.h"

#define SOCKETS_MAX 16
#define FLOWS_MAX 20000

/* A port whose flows a fair hash spreads: what came of each, and where it went. */
struct port {
	unsigned sockets;
	uint64_t weights[FLOWS_MAX];
	size_t flows;
	uint64_t random;
	struct flow_sketch sketches[SOCKETS_MAX];
	uint64_t counts[SOCKETS_MAX];
	struct flow_load load;
};

static uint32_t draw(struct port *p)
{
	p->random = p->random * 6364136223846793005ull + 1442695040888963407ull;
	return p->random >> 33;
}

static void add(struct port *p, size_t flows, uint64_t weight)
{
	for (size_t i = 0; i < flows; i++)
		p->weights[p->flows++] = weight;
}

/* Each flow goes to a socket and to one of its buckets. */
static void spread(struct port *p)
{
	const struct flow_sketch *sketches[SOCKETS_MAX];

	memset(p->sketches, 0, sizeof(p->sketches));
	memset(p->counts, 0, sizeof(p->counts));
	for (size_t i = 0; i < p->flows; i++) {
		const unsigned socket = draw(p) % p->sockets, bucket = draw(p) % FLOW_BUCKETS;

		p->sketches[socket].buckets[bucket] += p->weights[i];
		p->counts[socket] += p->weights[i];
	}
	for (unsigned i = 0; i < p->sockets; i++)
		sketches[i] = &p->sketches[i];
	assert_int_equal(flows_weigh(&p->load, sketches, p->sockets), 0);
}

static double effective(const struct port *p)
{
	double sum = 0, squares = 0;

	for (size_t i = 0; i < p->flows; i++) {
		sum += p->weights[i];
		squares += (double)p->weights[i] * p->weights[i];
	}
	return sum * sum / squares;
}

static struct port *port_new(unsigned sockets, uint64_t random)
{
	struct port *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->sockets = sockets;
	p->random = random;
	return p;
}

static void close_to(double got, double expected, double error)
{
	if (fabs(got / expected - 1) > error)
		fail_msg("%g, not %g", got, expected);
}

static void nothing_came(void **state)
{
	struct port *p = port_new(3, 1);

	(void)state;
	spread(p);
	assert_true(p->load.effective == 0);
	assert_false(flows_differ(&p->load));
	assert_int_equal(flows_weigh(&p->load, NULL, 0), 0);
	free(p);
}

static void one_flow_is_one(void **state)
{
	struct port *p = port_new(4, 1);

	(void)state;
	add(p, 1, 12345);
	spread(p);
	assert_int_equal(p->load.flows, 1);
	assert_true(p->load.effective == 1 && p->load.largest == 1);
	assert_int_equal(p->load.large_count, 1);
	assert_true(p->load.small == 0);
	free(p);
}

/* Four standard errors: see flows.h. */
static void equal_flows_are_counted(void **state)
{
	static const struct {
		unsigned sockets;
		size_t flows;
		uint64_t weight;
		double number_error, effective_error;
	} cases[] = { { 2, 40, 100, 0.25, 0.3 },
		      { 8, 200, 1, 0.12, 0.18 },
		      { 8, 1000, 7, 0.12, 0.18 },
		      { 8, 4000, 1, 0.36, 0.18 },
		      { 16, 1000, 3, 0.1, 0.13 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct port *p = port_new(cases[i].sockets, i);

		add(p, cases[i].flows, cases[i].weight);
		spread(p);
		if (p->load.flows)
			close_to(p->load.flows, cases[i].flows, cases[i].number_error);
		close_to(p->load.effective, cases[i].flows, cases[i].effective_error);
		assert_false(p->load.flows && flows_differ(&p->load));
		free(p);
	}
}

/* More than buckets can tell apart: their number is not known, how they spread is. */
static void many_flows_have_no_number(void **state)
{
	struct port *p = port_new(4, 1);

	(void)state;
	add(p, 20000, 2);
	spread(p);
	assert_int_equal(p->load.flows, 0);
	close_to(p->load.effective, 20000, 0.25);
	free(p);
}

static void large_flows_are_told_from_the_small(void **state)
{
	struct port *p = port_new(4, 7);

	(void)state;
	add(p, 2, 9000);
	add(p, 1, 4000);
	add(p, 3000, 1);
	spread(p);
	close_to(p->load.effective, effective(p), 0.02);
	close_to(p->load.largest, 9000 / 25000.0, 0.01);
	close_to(p->load.large[1], 9000 / 25000.0, 0.01);
	close_to(p->load.large[2], 4000 / 25000.0, 0.01);
	assert_true(p->load.large[3] < 0.002);
	assert_true(flows_differ(&p->load));
	free(p);
}

/* What a fair hash does to these weights, by trying: the mean of CV^2, and its upper 1 in 100. */
static int compare_doubles(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

#define TRIES 4000

static double tried[TRIES];

static double try_hash(struct port *p)
{
	double mean = 0;

	for (int i = 0; i < TRIES; i++) {
		uint64_t counts[SOCKETS_MAX] = {};
		double sum = 0, squares = 0;

		for (size_t f = 0; f < p->flows; f++)
			counts[draw(p) % p->sockets] += p->weights[f];
		for (unsigned s = 0; s < p->sockets; s++) {
			sum += counts[s];
			squares += (double)counts[s] * counts[s];
		}
		tried[i] = p->sockets * squares / (sum * sum) - 1;
		mean += tried[i] / TRIES;
	}
	qsort(tried, TRIES, sizeof(*tried), compare_doubles);
	return mean;
}

/* How much of the tries is at least as spread. */
static double upper_tail(double cv2)
{
	int i = TRIES;

	while (i > 0 && tried[i - 1] >= cv2 * (1 - 1e-9))
		i--;
	return (double)(TRIES - i) / TRIES;
}

static const struct mix {
	unsigned sockets;
	size_t large, small;
	uint64_t large_weight;
} mixes[] = {
	{ 4, 1, 300, 3000 },                                          /* 91 % in one flow */
	{ 3, 2, 600, 1500 },  { 8, 10, 1000, 200 }, { 8, 30, 0, 10 }, /* few, all alike */
	{ 16, 50, 2000, 40 }, /* from here on the chi-squared distribution does */
	{ 8, 3, 4000, 50 },
};

static struct port *mixed(const struct mix *m, uint64_t random)
{
	struct port *p = port_new(m->sockets, random);

	add(p, m->large, m->large_weight);
	add(p, m->small, 1);
	return p;
}

static void spread_is_that_of_a_fair_hash(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(mixes) / sizeof(*mixes); i++) {
		struct port *p = mixed(&mixes[i], i);
		struct fairness f;
		double mean = try_hash(p);

		for (int again = 0; again < 5; again++) {
			spread(p);
			assert_int_equal(fairness_judge_load(&f, p->counts, p->sockets, &p->load,
							     FAIRNESS_THRESHOLD),
					 0);
			close_to(f.cv_expected * f.cv_expected, mean, 0.2);
			assert_true(isnan(f.p_value) == 0);
			/* Both have errors of sampling, and the weights are estimates. */
			if (fabs(f.p_value - upper_tail(f.cv * f.cv)) > 0.12)
				fail_msg("mix %zu: p %g, by trying %g", i, f.p_value,
					 upper_tail(f.cv * f.cv));
			assert_int_not_equal(f.verdict, VERDICT_UNEVEN);
			assert_true(f.simulated == (i < 4));
		}
		free(p);
	}
}

/* A hash that never gives to one socket, or gives half of all flows to it, is uneven though flows
 * differ; a lone large flow proves nothing. */
static void a_real_imbalance_stays_uneven(void **state)
{
	struct port *p = port_new(8, 3);
	struct fairness f;

	(void)state;
	add(p, 4, 60);
	add(p, 3000, 1);
	spread(p);
	p->counts[0] += p->counts[5];
	p->counts[5] = 0;
	assert_int_equal(
		fairness_judge_load(&f, p->counts, p->sockets, &p->load, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(f.verdict, VERDICT_UNEVEN);
	assert_true(f.p_value < 0.001 && f.excess > 0.4);
	free(p);
}

static void few_effective_flows_are_too_few(void **state)
{
	struct port *p = mixed(&mixes[0], 5);
	struct fairness f;

	(void)state;
	spread(p);
	assert_int_equal(
		fairness_judge_load(&f, p->counts, p->sockets, &p->load, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(f.verdict, VERDICT_TOO_FEW);
	assert_true(f.simulated);
	close_to(f.flows_effective, 1.2, 0.05);
	close_to(f.largest_flow, 0.91, 0.01);
	assert_int_equal(f.needed, fairness_needed(4, FAIRNESS_THRESHOLD));
	free(p);
}

static void the_same_counts_give_the_same_verdict(void **state)
{
	struct port *p = mixed(&mixes[2], 5);
	struct fairness f, again;

	(void)state;
	spread(p);
	assert_int_equal(
		fairness_judge_load(&f, p->counts, p->sockets, &p->load, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(
		fairness_judge_load(&again, p->counts, p->sockets, &p->load, FAIRNESS_THRESHOLD),
		0);
	assert_true(f.p_value == again.p_value &&
		    f.max_over_mean_expected == again.max_over_mean_expected);
	free(p);
}

/* Flows of one weight: the number is what counts, as before. */
static void equal_flows_need_no_weights(void **state)
{
	const uint64_t counts[] = { 500, 520, 480, 500 };
	const struct flow_load load = flows_equal(64);
	struct fairness f, same;

	(void)state;
	assert_int_equal(fairness_judge_load(&f, counts, 4, &load, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(fairness_judge(&same, counts, 4, UNIT_FLOW, 64, FAIRNESS_THRESHOLD), 0);
	assert_true(f.p_value == same.p_value && f.flows == 64 && f.flows_effective == 64);
	assert_true(fabs(f.cv_expected - sqrt(3.0 / 64)) < 1e-12);
	assert_false(f.flows_differ);
}

/* 20 small flows, and a bucket that got 900, of which `watched` were watched. */
static struct flow_load one_heavy(uint64_t watched, uint64_t votes, unsigned bucket)
{
	struct flow_sketch heavy = { .peer = { .address = { [10] = 0xff, 0xff, 192, 0, 2, 1 },
					       .port = 41234,
					       .bucket = bucket,
					       .watched = watched,
					       .votes = votes } };
	struct flow_sketch light = {
		.buckets = { [100] = 90 },
		.peer = { .port = 5, .bucket = 101, .watched = 90, .votes = 90 }
	};
	const struct flow_sketch *const sketches[] = { &light, &heavy, &light };
	struct flow_load load;

	for (int i = 0; i < 20; i++)
		heavy.buckets[i] = 3;
	heavy.buckets[70] = 900;
	assert_int_equal(flows_weigh(&load, sketches, 3), 0);
	close_to(load.largest, 900.0 / (900 + 60 + 180), 0.01);
	return load;
}

/* Of the largest flow, and only where most of it is proven to be its own. */
static void the_largest_flow_has_a_peer(void **state)
{
	char words[FLOW_PEER_SIZE];
	struct flow_load load = one_heavy(900, 900, 71);

	(void)state;
	assert_string_equal(flow_peer_say(words, &load.peer), "192.0.2.1:41234");
	assert_true(load.peer_share == load.largest);
	assert_int_equal(one_heavy(900, 720, 71).peer.port, 41234);
	assert_int_equal(one_heavy(900, 719, 71).peer.bucket,
			 0); /* others have too much of the bucket */
	assert_int_equal(one_heavy(450, 450, 71).peer.port, 41234);
	assert_int_equal(one_heavy(449, 449, 71).peer.bucket,
			 0); /* whose the first half was is not known */
	assert_int_equal(one_heavy(900, 900, 72).peer.bucket,
			 0); /* another bucket was watched, which has nothing */
	assert_int_equal(one_heavy(900, 900, 0).peer.bucket, 0);
	assert_int_equal(one_heavy(15, 15, 71).peer.bucket, 0);
}

/* Of two that are about as large either may be named, with its own share; one that is smaller by
 * more is not the cause. */
static void a_flow_about_as_large_may_be_named(void **state)
{
	struct flow_sketch s = { .buckets = { [5] = 900, [6] = 1000 },
				 .peer = { .port = 9, .bucket = 6, .watched = 900, .votes = 900 } };
	const struct flow_sketch *const sketches[] = { &s };
	struct flow_load load;

	(void)state;
	assert_int_equal(flows_weigh(&load, sketches, 1), 0);
	assert_int_equal(load.peer.port, 9);
	close_to(load.peer_share, 900.0 / 1900, 1e-9);
	close_to(load.largest, 1000.0 / 1900, 1e-9);
	s.buckets[6] = 1020;
	assert_int_equal(flows_weigh(&load, sketches, 1), 0);
	assert_int_equal(load.peer.bucket, 0);
}

static void peers_are_said_as_people_write_them(void **state)
{
	const struct flow_peer v6 = { .address = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 },
				      .port = 5353,
				      .bucket = 1 };
	struct flow_peer longest = { .port = 65535, .bucket = 1 };
	char words[FLOW_PEER_SIZE];

	(void)state;
	assert_string_equal(flow_peer_say(words, &v6), "[2001:db8::1]:5353");
	assert_string_equal(flow_peer_address(words, &v6), "2001:db8::1");
	memset(longest.address, 0xfe, sizeof(longest.address));
	assert_string_equal(flow_peer_say(words, &longest),
			    "[fefe:fefe:fefe:fefe:fefe:fefe:fefe:fefe]:65535");
}

/* An interval has what was added in it; where the vote began anew in it, all; where it can't be
 * told apart, nobody. */
static void an_interval_has_its_own_votes(void **state)
{
	const struct flow_peer before = { .port = 9, .bucket = 3, .watched = 100, .votes = 60 };
	struct flow_sketch s = { .buckets = { [2] = 50 },
				 .peer = { .port = 9, .bucket = 3, .watched = 150, .votes = 105 } };

	(void)state;
	flow_peer_subtract(&s, &before);
	assert_int_equal(s.peer.watched, 50);
	assert_int_equal(s.peer.votes, 45);
	s.peer = (struct flow_peer){ .port = 8, .bucket = 3, .watched = 50, .votes = 50 };
	flow_peer_subtract(&s, &before);
	assert_int_equal(s.peer.votes, 50);
	s.peer = (struct flow_peer){
		.port = 8, .bucket = 3, .watched = 150, .votes = 120
	}; /* elected with votes of before */
	flow_peer_subtract(&s, &before);
	assert_int_equal(s.peer.bucket, 0);
	s.peer = (struct flow_peer){
		.port = 9, .bucket = 3, .watched = 150, .votes = 59
	}; /* it lost more than it won */
	flow_peer_subtract(&s, &before);
	assert_int_equal(s.peer.bucket, 0);
}

static void rows_of_one_peer_add_up(void **state)
{
	struct flow_peer sum = {};

	(void)state;
	flow_peer_add(&sum,
		      &(struct flow_peer){ .port = 9, .bucket = 3, .watched = 100, .votes = 60 });
	flow_peer_add(&sum,
		      &(struct flow_peer){ .port = 9, .bucket = 3, .watched = 10, .votes = 10 });
	assert_int_equal(sum.watched, 110);
	assert_int_equal(sum.votes, 70);
	flow_peer_add(&sum,
		      &(struct flow_peer){ .port = 9, .bucket = 4, .watched = 50, .votes = 50 });
	assert_int_equal(sum.bucket, 3);
	flow_peer_add(&sum,
		      &(struct flow_peer){ .port = 8, .bucket = 3, .watched = 90, .votes = 80 });
	assert_int_equal(sum.port, 8);
	assert_int_equal(sum.watched, 90);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_came),
		cmocka_unit_test(one_flow_is_one),
		cmocka_unit_test(equal_flows_are_counted),
		cmocka_unit_test(many_flows_have_no_number),
		cmocka_unit_test(large_flows_are_told_from_the_small),
		cmocka_unit_test(spread_is_that_of_a_fair_hash),
		cmocka_unit_test(a_real_imbalance_stays_uneven),
		cmocka_unit_test(few_effective_flows_are_too_few),
		cmocka_unit_test(the_same_counts_give_the_same_verdict),
		cmocka_unit_test(equal_flows_need_no_weights),
		cmocka_unit_test(the_largest_flow_has_a_peer),
		cmocka_unit_test(a_flow_about_as_large_may_be_named),
		cmocka_unit_test(peers_are_said_as_people_write_them),
		cmocka_unit_test(an_interval_has_its_own_votes),
		cmocka_unit_test(rows_of_one_peer_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
