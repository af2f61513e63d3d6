/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rights of this process: which capabilities it holds, and which it lacks. */
#ifndef SOCKFAIR_RIGHTS_H
#define SOCKFAIR_RIGHTS_H

#include <stdbool.h>
#include <stddef.h>

/* Is the capability effective? */
bool right_held(int capability);

/*
 * Writes the missing capabilities without which no program can be loaded and attached, as "CAP_BPF
 * and CAP_PERFMON". Returns false if none is missing.
 */
bool rights_missing(char *text, size_t size);

/* Is this process in the first user namespace? Only there do capabilities count for BPF. */
bool rights_count(void);

/* Does a seccomp filter stand between this process and the kernel? */
bool rights_filtered(void);

/*
 * Debian's kernels, and others, refuse perf_event_open() to all processes without CAP_SYS_ADMIN if
 * kernel.perf_event_paranoid is above 2. Returns that level if it is so here and the capability is
 * missing; else 0. The call is needed to attach kprobes and classic tracepoints.
 */
int rights_perf_refused(void);

/* A missing right, and what is not possible without it. */
struct right_lacking {
	const char *name;
	const char *without;
};

#define RIGHTS_MORE 2

/* Fills in the missing rights with which more could be seen. Returns how many. */
size_t rights_lacking(struct right_lacking lacking[RIGHTS_MORE]);

#endif
