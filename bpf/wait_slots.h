/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log-linear histograms of waiting times. The counting programs add to them and the model
 * reads them.
 *
 * The unit is the microsecond. Waits below 16 us have a slot each; above that, every power of two
 * has 8 slots of equal width. A slot from L to U stands for 2 L U / (L + U), whose relative error
 * is at most (U - L) / (U + L) = 1/17: 5.9 %. The last slot takes all waits from 125.8 s on.
 */
#ifndef SOCKFAIR_WAIT_SLOTS_H
#define SOCKFAIR_WAIT_SLOTS_H

#include <linux/types.h>

#define WAIT_SLOTS 200

/* The slot of a wait in microseconds. */
static inline __attribute__((always_inline)) __u32 wait_slot(__u64 us)
{
	__u32 v = us > 0xffffffffu ? 0xffffffffu : (__u32)us, log = 0, rest = v;

	if (v < 8)
		return v;
	/* BPF has no instruction that counts leading zeros. */
	if (rest >> 16) {
		log += 16;
		rest >>= 16;
	}
	if (rest >> 8) {
		log += 8;
		rest >>= 8;
	}
	if (rest >> 4) {
		log += 4;
		rest >>= 4;
	}
	if (rest >> 2) {
		log += 2;
		rest >>= 2;
	}
	log += rest >> 1;
	v = (log - 2) * 8 + ((v >> (log - 3)) & 7);
	return v < WAIT_SLOTS ? v : WAIT_SLOTS - 1;
}

#endif
