/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Forked children that never outlive their parent, and are only ever named by their own process id.
 */
#ifndef SOCKFAIR_WORKLOAD_CHILD_H
#define SOCKFAIR_WORKLOAD_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * fork(). The child dies with the thread that called this, whatever ends that; the terminal's
 * signals are left to the parent. Returns the child's id in the parent, 0 in the child (which
 * leaves by _exit()), or a negative errno.
 */
pid_t child_fork(void);

/* Closes every descriptor from 3 on but these two (-1: none). */
void child_keep(int a, int b);

/* Whether it has ended; then it has been reaped and *status (may be NULL) is as of waitpid(). Does
 * not wait. */
bool child_reap(pid_t pid, int *status);

#endif
