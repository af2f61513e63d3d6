/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds tracefs, which has the numbers of classic tracepoints. Its root is open to the user root
 * only, and often it is not mounted.
 */
#ifndef SOCKFAIR_TRACEFS_H
#define SOCKFAIR_TRACEFS_H

#include <stdbool.h>
#include <stddef.h>

/* The path where tracefs is mounted, or would be. */
const char *tracefs_place(void);

/*
 * If tracefs is not mounted, mounts it for this process alone, in a private mount namespace that
 * ends with the process. Returns 0 or negative errno: -EACCES means that it is mounted and closed
 * to this user, any other error is the reason why it can't be mounted.
 */
int tracefs_ensure(void);

/*
 * The reason after a negative tracefs_ensure(): "tracefs is closed to users other than root, and
 * CAP_DAC_READ_SEARCH is missing".
 */
const char *tracefs_lacks(int err, char *text, size_t size);

#endif
