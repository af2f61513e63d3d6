/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads files of /proc and /sys that have a line or a page. stdio is not used, for two reasons. It
 * needs memory, and if it gets none it reads only the first digit of a number. And a file of
 * /proc/sys returns nothing after the first read(), which with stdio is 1,024 bytes.
 */
#ifndef SOCKFAIR_SMALL_FILE_H
#define SOCKFAIR_SMALL_FILE_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Reads the file's first size - 1 bytes and adds a NUL; an empty file gives "". Returns the number
 * of bytes, or negative errno.
 */
ssize_t small_file_read(const char *path, char *text, size_t size);

/* Returns the number that the file begins with, or `otherwise` if it does not begin with one. */
int small_file_number(const char *path, int otherwise);

#endif
