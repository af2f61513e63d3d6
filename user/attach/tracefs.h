/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Classic tracepoints are found by their number, which tracefs tells. Its root is for the user root
 * alone, and often it is not mounted. */
#ifndef SOCKFAIR_TRACEFS_H
#define SOCKFAIR_TRACEFS_H

#include <stdbool.h>
#include <stddef.h>

/* Where it is, or would be. */
const char *tracefs_place(void);

/*
 * Where it is not mounted, mounts it for this process alone: the mount namespace is private and
 * goes with it. Returns 0 or negative errno: -EACCES it is there and closed to this user, else why
 * it can't be mounted.
 */
int tracefs_ensure(void);

/* After a negative tracefs_ensure(): "tracefs is closed to users other than root, and
 * CAP_DAC_READ_SEARCH is missing". */
const char *tracefs_lacks(int err, char *text, size_t size);

#endif
