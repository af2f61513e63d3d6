/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Estimates, from sketches, how many datagrams each flow (client address and port) sent to the
 * sockets that share a port. A socket's sketch adds up datagrams in m buckets, chosen by a hash of
 * the flow. One flow goes to one socket, so the flows of a port are those of all its sockets
 * together.
 *
 * With flows of weights w and buckets of sums b, E[sum b^2] = sum w^2 + ((sum w)^2 - sum w^2) / m,
 * because two flows share a bucket with probability 1 / m. So sum w^2 is estimated as (sum b^2 -
 * (sum b)^2 / m) * m / (m - 1). For many equal flows the relative standard error is sqrt(2 / m),
 * 12.5 % with m = 128; with several sockets it is divided by the square root of their number.
 *
 * The number of flows is estimated by linear counting: with n flows, m e^(-n/m) buckets stay empty
 * (Whang, Vander-Zanden, Taylor: A linear-time probabilistic counting algorithm, 1990). With eight
 * sockets the standard error is 3 % at 1,000 flows and 9 % at 4,000; if all buckets of a socket are
 * in use, the number is not known.
 */
#ifndef SOCKFAIR_FLOWS_H
#define SOCKFAIR_FLOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLOW_BUCKETS 128
#define FLOWS_LARGE_MAX 64

/*
 * The sender of most datagrams in the heaviest bucket, found by a majority vote of its datagrams
 * (Boyer and Moore). `watched` datagrams were counted since the bucket is the heaviest; at least
 * `votes` of them came from this address and port.
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
 * Weights are shares of the total. `effective` is (sum w)^2 / sum w^2: a fair hash spreads that
 * many equal flows just as unevenly.
 */
struct flow_load {
	uint64_t flows;        /* number of flows; 0: not known */
	double effective;      /* 0: neither this nor anything below is known */
	double largest;        /* share of the largest */
	struct flow_peer peer; /* the sender of the largest flow, or of another that is about as
				  large; bucket 0: not known */
	double peer_share;     /* share of the peer's flow */
	double large[FLOWS_LARGE_MAX]; /* descending */
	size_t large_count;
	double small; /* number of small flows; together they have the share that the large ones
			 leave */
};

/* The load of that many flows of equal weight; flows 0: not known. */
struct flow_load flows_equal(uint64_t flows);

/* The load of what came to several sockets together; not known if nothing came. Returns 0 or
 * -ENOMEM. */
int flows_weigh(struct flow_load *load, const struct flow_sketch *const *sketches, size_t count);

/* Subtracts what an earlier look had counted for the peer. If nothing can be said of the rest, the
 * sketch has no peer afterwards. sketch: its buckets hold the growth. */
void flow_peer_subtract(struct flow_sketch *sketch, const struct flow_peer *before);

/* Adds what a later row of the same socket had. If the peers differ, the one with more votes stays.
 */
void flow_peer_add(struct flow_peer *to, const struct flow_peer *more);

/* "127.0.0.1:41234", "[2001:db8::1]:5353"; returns the buffer */
#define FLOW_PEER_SIZE 56
const char *flow_peer_say(char buffer[FLOW_PEER_SIZE], const struct flow_peer *peer);

/* The address alone. */
const char *flow_peer_address(char buffer[FLOW_PEER_SIZE], const struct flow_peer *peer);

/* The sum over all buckets. */
uint64_t flows_sum(const struct flow_sketch *s);

/* Is the load known, and are its flows so different that their number says nothing? That is so if
 * fewer than half as many equal flows would be spread just as unevenly. */
bool flows_differ(const struct flow_load *load);

#endif
