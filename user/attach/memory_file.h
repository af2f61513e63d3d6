/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file that is in memory alone. */
#ifndef SOCKFAIR_MEMORY_FILE_H
#define SOCKFAIR_MEMORY_FILE_H

/*
 * Makes a file that can be sealed and can't be executed: a kernel may refuse one that could
 * (vm.memfd_noexec). The name is for /proc/PID/fd. Returns its descriptor or -1 with errno.
 */
int memory_file(const char *name);

#endif
