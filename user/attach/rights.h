/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this process may do. */
#ifndef SOCKFAIR_RIGHTS_H
#define SOCKFAIR_RIGHTS_H

#include <stdbool.h>
#include <stddef.h>

/* Is the capability effective? */
bool right_held(int capability);

/* Those that are missing without which nothing can be loaded and attached, as "CAP_BPF and
 * CAP_PERFMON"; false: none is. */
bool rights_missing(char *text, size_t size);

/* In the first user namespace, the only one whose capabilities count for BPF? */
bool rights_count(void);

/* Does a seccomp filter stand between this process and the kernel? */
bool rights_filtered(void);

/*
 * Debian's kernels, and others, keep perf_event_open() from all but CAP_SYS_ADMIN where
 * kernel.perf_event_paranoid is above 2. The level, if that is so here and the right is missing;
 * else 0. Kprobes and classic tracepoints are attached by that call.
 */
int rights_perf_refused(void);

/* A right that is missing, and what goes without it. */
struct right_lacking {
	const char *name;
	const char *without;
};

#define RIGHTS_MORE 2

/* Those that are missing with which more would be seen; returns how many. */
size_t rights_lacking(struct right_lacking lacking[RIGHTS_MORE]);

#endif
