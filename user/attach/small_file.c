/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads a small file with plain system calls; small_file.h says why not with stdio. */
#include "small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

ssize_t small_file_read(const char *path, char *text, size_t size)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t used = fd < 0 ? -errno : 0, n = 1;

	while (used >= 0 && n && (size_t)used < size - 1) {
		n = read(fd, text + used, size - 1 - used);
		if (n >= 0)
			used += n;
		else if (errno != EINTR)
			used = -errno;
	}
	if (fd >= 0)
		close(fd);
	text[used > 0 ? used : 0] = '\0';
	return used;
}

int small_file_number(const char *path, int otherwise)
{
	char text[32];
	int number;

	small_file_read(path, text, sizeof(text));
	return sscanf(text, "%d", &number) == 1 ? number : otherwise;
}
