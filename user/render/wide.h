/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process of hundreds of threads: a row for each hides the few that matter. Its busiest threads
 * stay rows of their own, the others are folded by name:
 *
 * tokio-runtime-w × 995 of 4711: 2,940 accepted, busiest 12, 163 idle
 */
#ifndef SOCKFAIR_WIDE_H
#define SOCKFAIR_WIDE_H

#include "../model/snapshot.h"

/* A thread, or a thread on one of its sockets. */
struct wide_row {
	const struct worker_row *worker;
	uint64_t count, total; /* accepted or received: in the window, since the start */
	uint64_t served;       /* 0 where that says no more than count does */
	bool takes, ended;
	size_t fold; /* by wide_fold(): which of the folds stands for it, from 1; 0: it is a row of
			its own */
};

struct wide_fold {
	int32_t pid;
	char name[17]; /* of its threads; "worker-*" where they are numbered */
	size_t threads, idle,
		ended; /* idle: they took nothing, or where none takes, served nothing */
	uint64_t count, total, served;
	uint64_t busiest;           /* of `count`, or where that is 0 of `served` */
	enum generation generation; /* of the process */
};

/* Fills `fold` of the rows; their order stays. *folds: free() it. Returns 0 or -ENOMEM. */
int wide_fold(struct wide_row *rows, size_t row_count, struct wide_fold **folds,
	      size_t *fold_count);

/* taken: "accepted", "received"; since: since the start too. Returns the buffer. */
#define WIDE_SIZE 200
char *wide_words(char buffer[WIDE_SIZE], const struct wide_fold *fold, const char *taken,
		 bool since, bool utf8);

#endif
