/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What arrived at a socket, summed from what each CPU counted. From 6.18 on a datagram that was put
 * into the receive queue may still be dropped, by another CPU than the one that counted its
 * arrival. Such a drop may be seen without the arrival, if the datagram arrived before the window
 * or the BPF program that counts arrivals was skipped.
 */
#ifndef SOCKFAIR_ARRIVALS_H
#define SOCKFAIR_ARRIVALS_H

#include <stdint.h>

/* The counts of one CPU. */
struct arrivals_cpu {
	uint64_t arrived; /* including those that were dropped late, on whichever CPU */
	uint64_t dropped; /* late or at once */
	uint64_t dropped_late;
	uint32_t queue_highest;
	uint32_t copies;  /* UDP: the part of `arrived` sent to a multicast or broadcast address;
			     wraps */
	uint32_t several; /* UDP: buffers that were counted as one datagram and may hold several;
			     wraps */
};

struct arrivals {
	uint64_t arrived; /* without those dropped late */
	uint64_t dropped;
	uint64_t unseen; /* late drops in excess of all arrivals: at least this many arrivals were
			    not counted */
	uint32_t queue_highest; /* the highest of all CPUs */
	uint32_t copies;        /* wraps */
	uint32_t several;       /* wraps */
};

/* Adds up what `cpus` CPUs counted. Every CPU's dropped_late must be read before any CPU's arrived,
 * because a datagram arrives before it is dropped late. */
struct arrivals arrivals_sum(const struct arrivals_cpu *rows, unsigned cpus);

#endif
