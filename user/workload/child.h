/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Forked children that never outlive their parent, and that are only ever addressed by their own
 * process id. */
#ifndef SOCKFAIR_WORKLOAD_CHILD_H
#define SOCKFAIR_WORKLOAD_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Calls fork(). The child dies with the thread that called this, whatever ends that thread. The
 * child ignores the terminal's signals: the parent handles them. Returns the child's id in the
 * parent, 0 in the child (which leaves by _exit()), or a negative errno.
 */
pid_t child_fork(void);

/* Closes every descriptor from 3 on except these two (-1: no exception). */
void child_keep(int a, int b);

/* Has the child ended? Then it has been reaped, and *status (may be NULL) is as from waitpid().
 * Does not wait. */
bool child_reap(pid_t pid, int *status);

#endif
