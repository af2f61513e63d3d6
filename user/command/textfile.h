/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file for node_exporter's textfile collector: whoever reads it finds a whole page, because each
 * page is a new file that is renamed. Until then it has a hidden name in the same folder, which the
 * collector does not read: ".NAME.sockfair".
 */
#ifndef SOCKFAIR_TEXTFILE_H
#define SOCKFAIR_TEXTFILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct textfile {
	int folder; /* -1: none */
	char name[NAME_MAX + 1], hidden[NAME_MAX + 1];
	bool written; /* by us */
};

/*
 * Makes sure that the file can be written, and removes what a killed predecessor left half written.
 * Returns 0, or a negative errno; -EEXIST: something else than a regular file has the name.
 */
int textfile_open(struct textfile *f, const char *path);

/* Replaces the file. Returns 0 or a negative errno; then the old one is as it was. */
int textfile_write(struct textfile *f, const char *text, size_t length);

/* Removes the file if we have written it: figures that nobody renews would pass for those of now.
 */
void textfile_close(struct textfile *f);

#endif
