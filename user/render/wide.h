/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Folds the rows of a process with hundreds of threads, because a row for each thread hides the few
 * that matter. The busiest threads keep rows of their own; the others are folded by name:
 *
 * tokio-runtime-w × 995 of 4711: 2,940 accepted, busiest 12, 163 idle
 */
#ifndef SOCKFAIR_WIDE_H
#define SOCKFAIR_WIDE_H

#include "../model/snapshot.h"

/* A thread, or a thread on one of its sockets. */
struct wide_row {
	const struct worker_row *worker;
	uint64_t count, total; /* accepted or received: in the window, and since the start */
	uint64_t served;       /* 0 where `served` says no more than `count` */
	bool takes, ended;
	size_t fold; /* set by wide_fold(): which fold stands for this row, counted from 1; 0: the
			row stays */
};

struct wide_fold {
	int32_t pid;
	char name[17]; /* the name of its threads; "worker-*" where the names are numbered */
	size_t threads, idle,
		ended; /* idle: threads that took nothing, or, if none takes, served nothing */
	uint64_t count, total, served;
	uint64_t busiest; /* the highest `count` of a thread, or, where all are 0, the highest
			     `served` */
	enum generation generation; /* of the process */
};

/* Fills `fold` of the rows and keeps their order. *folds: free() it. Returns 0 or -ENOMEM. */
int wide_fold(struct wide_row *rows, size_t row_count, struct wide_fold **folds,
	      size_t *fold_count);

/* Puts a fold into words. taken: "accepted", "received". since: also say what it took since the
 * start. Returns the buffer. */
#define WIDE_SIZE 200
char *wide_words(char buffer[WIDE_SIZE], const struct wide_fold *fold, const char *taken,
		 bool since, bool utf8);

#endif
