/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Load that counts of connections don't show: the CPU time of each worker, and the bytes that its
 * connections carried. A worker is what the design's verdict is about: a thread, or a process.
 * There is no test of chance: what a request costs is not known, so a figure is what it is.
 */
#ifndef SOCKFAIR_LOAD_H
#define SOCKFAIR_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct endpoint;

/* How it is spread over the workers. */
struct load_spread {
	bool known;     /* of each worker; else nothing below is */
	bool processes; /* workers are processes */
	size_t workers;
	uint64_t total;       /* ns, or bytes received and sent */
	uint64_t most, least; /* of the busiest, and of the least busy */
	uint64_t thread_ns;   /* CPU time: of one thread of the busiest */
	int32_t pid, tid;     /* who that is; tid 0 where workers are processes */
	char name[16];        /* of its process */
	double cv;            /* standard deviation over mean */
};

/* "812 bytes", "13.7 MB" into the buffer; returns it. */
#define LOAD_BYTES_SIZE 32
const char *load_bytes(char buffer[LOAD_BYTES_SIZE], uint64_t n);

/* Fills e->cpu and e->carried. Of workers that lived for part of the window only, others being
 * there all through it, none counts. Returns 0 or -ENOMEM. */
int endpoint_weigh_load(struct endpoint *e);

#endif
