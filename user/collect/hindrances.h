/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds out what keeps processes from taking from the sockets that they hold, from /proc and the
 * files of cgroups, and compares each look with the ones before.
 */
#ifndef SOCKFAIR_HINDRANCES_H
#define SOCKFAIR_HINDRANCES_H

#include <stddef.h>

#include "../model/hindrance.h"

#define HINDRANCES_MAX                                                                             \
	64 /* processes that are looked at; where more than that hold one socket, they are all     \
	      alike */
#define HINDRANCES_LEVELS 6 /* cgroups above each other that are read */

struct hindered {
	int32_t pid;
	uint64_t start_ns;
	uint64_t look;                   /* the look in which the process was last asked for */
	uint64_t first_ns, first_cpu_ns; /* time and CPU time at its first look */
	struct {
		uint64_t periods, throttled;
	} first[HINDRANCES_LEVELS];
	uint64_t cpu_ns; /* CPU time of the process's threads. This field and the next ones belong
			    to the present look, and the caller fills them in: */
	unsigned threads, full; /* threads whose descriptors are known; of these, threads without a
				   free descriptor */
	uint64_t descriptors;
	bool files_free; /* some thread is not limited by fs.file-max */
	struct hindrance row;
};

struct hindrances {
	uint64_t look;
	struct hindered rows[HINDRANCES_MAX];
	size_t count;
};

/* Begins a look. */
void hindrances_begin(struct hindrances *h);

/*
 * Returns the row of a process that is to be looked at. The row is new if the process was not part
 * of the look before; asking twice in one look gives the same row. NULL: there are too many
 * processes.
 */
struct hindered *hindrances_ask(struct hindrances *h, int32_t pid, uint64_t start_ns);

/* NULL: the process was not asked for in this look. */
struct hindered *hindrances_find(struct hindrances *h, int32_t pid);

/* Looks at all processes that were asked for, and forgets the others. now_ns: CLOCK_MONOTONIC. */
void hindrances_look(struct hindrances *h, uint64_t now_ns);

/* Reads what these threads do, instead of all threads of the process. */
void hindrances_narrow(struct hindrance *row, int32_t pid, const int32_t *tids, size_t count);

/*
 * The events for which that epoll of the process watches the socket with that inode; 0: not known.
 */
uint32_t hindrances_events(int32_t pid, uint32_t epoll_fd, uint32_t inode);

#endif
