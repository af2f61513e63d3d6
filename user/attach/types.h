/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The types that libbpf fits the programs of an object to (CO-RE): the kernel's, without what it
 * need not search. In this order: types_open(), which the object is opened with; types_write();
 * the object is loaded; types_close().
 */
#ifndef SOCKFAIR_TYPES_H
#define SOCKFAIR_TYPES_H

#include <bpf/libbpf.h>

struct types_file {
	int fd; /* -1: none could be made; libbpf reads the kernel's own, which takes longer */
	char path[32];
	struct bpf_object_open_opts options;
};

/* Makes an empty file and returns the options for opening the object. */
const struct bpf_object_open_opts *types_open(struct types_file *f);

/*
 * Writes the kernel's types for the programs of an object that is open, and not loaded yet. Each
 * keeps its number and size. A structure keeps its name and members only if the programs name it,
 * or if it lies within one that they name. Returns 0 or negative errno.
 */
int types_write(const struct types_file *f, const struct btf *kernel,
		const struct bpf_object *object);

void types_close(const struct types_file *f);

#endif
