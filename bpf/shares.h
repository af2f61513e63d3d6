/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who may have how many rows of a pool, on both sides. One user's sockets and threads, or one
 * port's waits, must not take what all others need. An owner may take a row while it has fewer than
 * COUNT_SHARE times as many as are left (Choudhury and Hahne: Dynamic queue length thresholds for
 * multiport packet switches, 1998): alone it gets three quarters, and there is always room for the
 * next. Root is no owner: it can do worse than take rows.
 *
 * What owners have is counted in cells, by a hash with a seed of each run's own. Two owners in one
 * cell share a share: of 4,095 cells, that one meets another is unlikely, and harmless until it has
 * many.
 */
#ifndef SOCKFAIR_SHARES_H
#define SOCKFAIR_SHARES_H

#include <linux/types.h>

enum count_pool {
	COUNT_POOL_SOCKETS,    /* owner: the socket's user */
	COUNT_POOL_WORKERS,    /* the thread's user */
	COUNT_POOL_SKETCHES,   /* the socket's user */
	COUNT_POOL_HISTOGRAMS, /* the port */
	COUNT_POOLS
};

#define COUNT_SHARE 3
#define COUNT_SHARE_CELLS 4096
#define COUNT_SHARE_EXEMPT 0

/* The cell of an owner, 1 to COUNT_SHARE_CELLS - 1. seed: odd. */
static inline __attribute__((always_inline)) __u32 share_cell(enum count_pool pool, __u32 a,
							      __u32 b, __u32 seed)
{
	__u32 hash = (a ^ b * 0x85ebca6bu ^ pool * 0xc2b2ae35u) * seed;

	hash = ((hash ^ hash >> 15) * seed) >> 20;
	return hash ? hash : COUNT_SHARE_CELLS - 1;
}

/* pool: one whose rows belong to users. */
static inline __attribute__((always_inline)) __u32 share_of_user(enum count_pool pool, __u32 uid,
								 __u32 seed)
{
	return uid ? share_cell(pool, uid, 0, seed) : COUNT_SHARE_EXEMPT;
}

static inline __attribute__((always_inline)) __u32 share_of_port(__u32 netns, __u16 port,
								 __u32 seed)
{
	return share_cell(COUNT_POOL_HISTOGRAMS, netns, port, seed);
}

#endif
