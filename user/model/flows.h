/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What came of each flow (client address and port) to the sockets that share a port, out of
 * sketches: a socket's sketch adds up what came in one of m buckets by a hash of the flow. One flow
 * comes to one socket, so the flows of a port are those of all its sockets together.
 *
 * With flows of weights w and buckets of sums b, E[sum b^2] = sum w^2 + ((sum w)^2 - sum w^2) / m,
 * for two flows meet in a bucket in one case of m: so sum w^2 is estimated as (sum b^2 - (sum b)^2
 * / m) * m / (m - 1). Its standard error is sqrt(2 / m) of it for many equal flows, 12.5 % with m =
 * 128, and less by the square root of their number for several sockets.
 *
 * Their number is estimated by linear counting: of n flows m e^(-n/m) buckets stay empty (Whang,
 * Vander-Zanden, Taylor: A linear-time probabilistic counting algorithm, 1990). With eight sockets
 * the standard error is 3 % at 1,000 flows and 9 % at 4,000; where a socket's buckets are all in
 * use it is not known.
 */
#ifndef SOCKFAIR_FLOWS_H
#define SOCKFAIR_FLOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLOW_BUCKETS 128
#define FLOWS_LARGE_MAX 64

/*
 * Who sends most of what comes in the heaviest bucket, by a vote of its datagrams (Boyer and
 * Moore): of `watched` datagrams of that bucket, since it is the heaviest, at least `votes` came
 * from that address and port.
 */
struct flow_peer {
	uint8_t address[16]; /* network order; IPv4 as v4-mapped IPv6 */
	uint16_t port;       /* host order */
	unsigned bucket;     /* from 1; 0: none */
	uint64_t watched, votes;
};

/* Datagrams that came to one socket, by bucket. */
struct flow_sketch {
	uint64_t buckets[FLOW_BUCKETS];
	struct flow_peer peer;
};

/*
 * What a hash has to place: the large flows one by one, and all others as `small` equal ones.
 * Weights are shares of all. `effective` is (sum w)^2 / sum w^2: so many equal flows are spread as
 * unevenly by a fair hash.
 */
struct flow_load {
	uint64_t flows;   /* their number; 0: not known */
	double effective; /* 0: not known, and nothing below is */
	double largest;   /* share of the largest */
	struct flow_peer
		peer; /* whose that is, or another that is about as large; bucket 0: not known */
	double peer_share;             /* of that one's flow */
	double large[FLOWS_LARGE_MAX]; /* descending */
	size_t large_count;
	double small; /* number; what they share is what the large ones leave */
};

/* The load of that many flows of one weight; 0: not known. */
struct flow_load flows_equal(uint64_t flows);

/* The load of what came to several sockets. Returns 0 or -ENOMEM. Not known where nothing came. */
int flows_weigh(struct flow_load *load, const struct flow_sketch *const *sketches, size_t count);

/* What an earlier look had of it is taken off; where nothing can be said of what is left, there is
 * no peer. sketch: with the growth of its buckets. */
void flow_peer_subtract(struct flow_sketch *sketch, const struct flow_peer *before);

/* What a later row of the same socket had. Of two that are not the same the one with more votes
 * stays. */
void flow_peer_add(struct flow_peer *to, const struct flow_peer *more);

/* "127.0.0.1:41234", "[2001:db8::1]:5353"; returns the buffer */
#define FLOW_PEER_SIZE 56
const char *flow_peer_say(char buffer[FLOW_PEER_SIZE], const struct flow_peer *peer);

/* The address alone. */
const char *flow_peer_address(char buffer[FLOW_PEER_SIZE], const struct flow_peer *peer);

/* What came to all buckets. */
uint64_t flows_sum(const struct flow_sketch *s);

/* Is the load known, and of flows so different that their number says nothing: fewer than half as
 * many equal ones would be spread as unevenly? */
bool flows_differ(const struct flow_load *load);

#endif
