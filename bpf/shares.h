/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Limits how many rows of a pool one owner may take, in user space and in BPF. One user's sockets
 * and threads, or one port's waits, must not take the rows that all others need. An owner may take
 * a row while it has fewer than COUNT_SHARE times as many rows as are free (Choudhury and Hahne:
 * Dynamic queue length thresholds for multiport packet switches, 1998). An owner that is alone
 * gets three quarters of the pool, so there is always room for the next owner. Root's rows are not
 * limited: root can do worse than take rows.
 *
 * The rows of each owner are counted in cells, found by a hash with a seed that is new in each
 * run. Two owners in one cell share one share. With 4,095 cells such a collision is unlikely, and
 * it does no harm until the two owners have many rows.
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

/* Returns the cell of an owner, 1 to COUNT_SHARE_CELLS - 1. The seed must be odd. */
static inline __attribute__((always_inline)) __u32 share_cell(enum count_pool pool, __u32 a,
							      __u32 b, __u32 seed)
{
	__u32 hash = (a ^ b * 0x85ebca6bu ^ pool * 0xc2b2ae35u) * seed;

	hash = ((hash ^ hash >> 15) * seed) >> 20;
	return hash ? hash : COUNT_SHARE_CELLS - 1;
}

/* The pool must be one whose rows belong to users. */
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
