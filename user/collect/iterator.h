/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads what a BPF iterator writes: a stream of records. */
#ifndef SOCKFAIR_ITERATOR_H
#define SOCKFAIR_ITERATOR_H

#include <stddef.h>

struct bpf_link;
struct bpf_program;

struct iterator {
	size_t size; /* size of a record; 0: size_of() tells the size of each, from its first 8
			bytes */
	size_t (*size_of)(const void *record);
	/* Returns 0, or negative errno, which ends the run. */
	int (*take)(void *to, const void *record);
	void *to;
	void (*turn)(void *with); /* called before each read; may be NULL */
	void *with;
};

/* Returns 0 or negative errno. */
int iterator_attach(struct bpf_program *program, struct bpf_link **link);

/* Hands out all records one after the other, each of them whole. Returns 0 or negative errno. */
int iterator_run(const struct bpf_link *link, const struct iterator *it);

#endif
