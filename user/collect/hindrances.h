/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What keeps processes from taking from sockets that they hold: what /proc and the files of cgroups
 * tell, from look to look. */
#ifndef SOCKFAIR_HINDRANCES_H
#define SOCKFAIR_HINDRANCES_H

#include <stddef.h>

#include "../model/hindrance.h"

#define HINDRANCES_MAX                                                                             \
	64 /* processes looked at: more hold one socket only where they are all alike */
#define HINDRANCES_LEVELS 6 /* cgroups above each other */

struct hindered {
	int32_t pid;
	uint64_t start_ns;
	uint64_t look;                   /* when it was last asked for */
	uint64_t first_ns, first_cpu_ns; /* its first look */
	struct {
		uint64_t periods, throttled;
	} first[HINDRANCES_LEVELS];
	uint64_t cpu_ns; /* of its threads; these are of the present look, and its caller's: */
	unsigned threads, full; /* those whose descriptors are known; that have none free */
	uint64_t descriptors;
	bool files_free; /* fs.file-max does not hold for some thread */
	struct hindrance row;
};

struct hindrances {
	uint64_t look;
	struct hindered rows[HINDRANCES_MAX];
	size_t count;
};

/* Begins a look. */
void hindrances_begin(struct hindrances *h);

/* The row of a process that is to be looked at, made anew if it was not at the look before; asked
 * for again in one look the same. NULL: there are too many. */
struct hindered *hindrances_ask(struct hindrances *h, int32_t pid, uint64_t start_ns);

/* NULL: it was not asked for in this look. */
struct hindered *hindrances_find(struct hindrances *h, int32_t pid);

/* Looks at all that were asked for, and forgets the others. now_ns: CLOCK_MONOTONIC. */
void hindrances_look(struct hindrances *h, uint64_t now_ns);

/* Reads what these threads do in place of all of the process. */
void hindrances_narrow(struct hindrance *row, int32_t pid, const int32_t *tids, size_t count);

/* With which events that epoll of the process has the socket of that inode; 0: can't be told. */
uint32_t hindrances_events(int32_t pid, uint32_t epoll_fd, uint32_t inode);

#endif
