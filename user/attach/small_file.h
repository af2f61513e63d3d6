/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files of /proc and /sys that are a line or a page. Read without stdio: that needs memory, and
 * where it gets none reads the first digit of a number alone; and of a file of /proc/sys there is
 * nothing after the first read(), which stdio makes of 1,024 bytes.
 */
#ifndef SOCKFAIR_SMALL_FILE_H
#define SOCKFAIR_SMALL_FILE_H

#include <stddef.h>
#include <sys/types.h>

/* The file's first size - 1 bytes, and a NUL; without any it is "". Returns how many, or negative
 * errno. */
ssize_t small_file_read(const char *path, char *text, size_t size);

/* The number that the file begins with; `otherwise` where there is none. */
int small_file_number(const char *path, int otherwise);

#endif
