/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cgroup.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DIGIT 255 /* base of a long path's number in the last two bytes: no byte is 0 */

static char *long_paths[CGROUP_LONG_MAX];
static unsigned long_count;

/* Keeps the path and returns its number plus one; 0: there is no room. */
static unsigned path_keep(const char *path)
{
	unsigned i = 0;

	while (i < long_count && strcmp(long_paths[i], path))
		i++;
	if (i == CGROUP_LONG_MAX)
		return 0;
	if (i == long_count) {
		long_paths[i] = strdup(path);
		if (!long_paths[i])
			return 0;
		long_count++;
	}
	return i + 1;
}

void cgroup_set(char cgroup[CGROUP_SIZE], const char *path)
{
	const size_t length = strlen(path);
	unsigned number;

	if (length < CGROUP_SIZE) {
		memcpy(cgroup, path, length + 1);
		return;
	}
	number = path_keep(path);
	memcpy(cgroup, path, CGROUP_CUT);
	cgroup[CGROUP_CUT] = 1 + number / DIGIT;
	cgroup[CGROUP_CUT + 1] = 1 + number % DIGIT;
}

const char *cgroup_whole(const char cgroup[CGROUP_SIZE])
{
	unsigned number;

	if (memchr(cgroup, 0, CGROUP_SIZE))
		return cgroup;
	number = ((unsigned char)cgroup[CGROUP_CUT] - 1) * DIGIT +
		 ((unsigned char)cgroup[CGROUP_CUT + 1] - 1);
	return number && number <= long_count ? long_paths[number - 1] : NULL;
}
