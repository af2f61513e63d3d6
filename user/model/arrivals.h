/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What came to a socket, out of what each CPU counted. From 6.18 on a datagram that was put into
 * the receive queue may be dropped after all, by another CPU than the one that counted its arrival,
 * and that drop may be seen without the arrival: it came before the window, or the program that
 * counts arrivals was skipped.
 */
#ifndef SOCKFAIR_ARRIVALS_H
#define SOCKFAIR_ARRIVALS_H

#include <stdint.h>

/* Of one CPU. */
struct arrivals_cpu {
	uint64_t arrived; /* with those that were dropped late, on whichever CPU */
	uint64_t dropped; /* late or at once */
	uint64_t dropped_late;
	uint32_t queue_highest;
	uint32_t copies;  /* UDP: of arrived, those to a multicast or broadcast address; wraps */
	uint32_t several; /* UDP: buffers that were counted as one datagram and may hold several;
			     wraps */
};

struct arrivals {
	uint64_t arrived; /* and not dropped late */
	uint64_t dropped;
	uint64_t unseen; /* late drops beyond all arrivals: at least so many arrivals were not
			    counted */
	uint32_t queue_highest; /* the highest of all CPUs */
	uint32_t copies;        /* wraps */
	uint32_t several;       /* wraps */
};

/* Adds up what `cpus` CPUs counted. Read every CPU's dropped_late before any CPU's arrived: what is
 * dropped late has arrived before. */
struct arrivals arrivals_sum(const struct arrivals_cpu *rows, unsigned cpus);

#endif
