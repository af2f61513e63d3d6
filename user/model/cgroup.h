/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The path of a cgroup in a row. Nearly all are short; a longer one fills the row's bytes without a
 * NUL, begins there as it is, and is kept whole aside, once for all rows. Two rows have the same
 * path if their bytes are equal.
 */
#ifndef SOCKFAIR_CGROUP_H
#define SOCKFAIR_CGROUP_H

#define CGROUP_SIZE 256              /* of a row's bytes */
#define CGROUP_CUT (CGROUP_SIZE - 2) /* so many of them are a long path's beginning */
#define CGROUP_LONG_MAX                                                                            \
	4096 /* so many different long paths are kept whole; of others the beginning is */

void cgroup_set(char cgroup[CGROUP_SIZE], const char *path);

/* The whole path: the row's own bytes, or one that lives as long as the process. Where it was not
 * kept NULL: there is but what the row has. */
const char *cgroup_whole(const char cgroup[CGROUP_SIZE]);

#endif
