/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The path of a cgroup in a row. Nearly all paths are short. For a longer path the row's bytes hold
 * its beginning and are filled without a NUL, and the whole path is kept elsewhere, once for all
 * rows. Two rows have the same path if their bytes are equal.
 */
#ifndef SOCKFAIR_CGROUP_H
#define SOCKFAIR_CGROUP_H

#define CGROUP_SIZE 256              /* size of the field in a row */
#define CGROUP_CUT (CGROUP_SIZE - 2) /* bytes of the field that hold a long path's beginning */
#define CGROUP_LONG_MAX                                                                            \
	4096 /* this many different long paths are kept whole; of further ones only the beginning  \
	      */

void cgroup_set(char cgroup[CGROUP_SIZE], const char *path);

/* The whole path: either the row's own bytes, or a string that lives as long as this process. NULL
 * if the whole path was not kept and only the row's beginning exists. */
const char *cgroup_whole(const char cgroup[CGROUP_SIZE]);

#endif
