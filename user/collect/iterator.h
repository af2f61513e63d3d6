/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads what a BPF iterator writes: a stream of records. */
#ifndef SOCKFAIR_ITERATOR_H
#define SOCKFAIR_ITERATOR_H

#include <stddef.h>

struct bpf_link;
struct bpf_program;

struct iterator {
	size_t size; /* of a record; 0: size_of() tells of each, by its first 8 bytes */
	size_t (*size_of)(const void *record);
	int (*take)(void *to, const void *record); /* returns 0 or negative errno, which ends it */
	void *to;
	void (*turn)(void *with); /* before each read; NULL: nothing */
	void *with;
};

/* Returns 0 or negative errno. */
int iterator_attach(struct bpf_program *program, struct bpf_link **link);

/* Hands out all records, whole, one after the other. Returns 0 or negative errno. */
int iterator_run(const struct bpf_link *link, const struct iterator *it);

#endif
