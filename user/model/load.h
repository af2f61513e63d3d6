/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Load that counts of connections don't show: the CPU time of each worker, and the bytes that its
 * connections carried. A worker is what the design's verdict is about: a thread, or a process.
 * There is no test against chance, because the cost of a request is not known; the figures are only
 * shown.
 */
#ifndef SOCKFAIR_LOAD_H
#define SOCKFAIR_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct endpoint;

/* How load is spread over the workers. */
struct load_spread {
	bool known;     /* the load of each worker is known; if not, nothing below is */
	bool processes; /* workers are processes */
	size_t workers;
	uint64_t total;       /* ns, or bytes received and sent */
	uint64_t most, least; /* load of the busiest worker, and of the least busy */
	uint64_t thread_ns;   /* CPU time only: of the busiest thread of the busiest worker */
	int32_t pid, tid;     /* the busiest worker; tid 0 where workers are processes */
	char name[16];        /* of its process */
	double cv;            /* standard deviation over mean */
};

/* "812 bytes", "13.7 MB" into the buffer; returns it. */
#define LOAD_BYTES_SIZE 32
const char *load_bytes(char buffer[LOAD_BYTES_SIZE], uint64_t n);

/* Fills e->cpu and e->carried. Workers that lived for only a part of the window don't count if
 * others lived through all of it. Returns 0 or -ENOMEM. */
int endpoint_weigh_load(struct endpoint *e);

#endif
