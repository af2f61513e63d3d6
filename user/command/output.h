/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a command's result goes: stdout, or the file of -o. Results arrive whole, or the old file
 * stays. */
#ifndef SOCKFAIR_OUTPUT_H
#define SOCKFAIR_OUTPUT_H

#include <stdio.h>

#include "../render/text.h"
#include "result_file.h"

struct output {
	FILE *file;
	const char *path; /* NULL: stdout */
	struct text_style style;
	struct result_file to;
	bool some;  /* something was written */
	int error;  /* negative errno: what was written did not arrive, which was said */
	char *held; /* of a stream that has replaced its file: what is not whole yet */
	size_t held_size, held_room;
};

/* Makes sure that -o's file (or stdout) can be written and decides on colour. Nothing is changed
 * yet. Returns STATUS_OK, or STATUS_FAILED after complaining. */
int output_open(struct output *o, const char *path);

/*
 * What was written so far is whole lines: it goes out, and takes the place of an old file.
 * Complains once if it did not arrive. Returns STATUS_OK or STATUS_FAILED.
 */
int output_flush(struct output *o);

/* The same, and ends it. Where nothing was written the old file stays. */
int output_close(struct output *o);

/* strerror(), with the limit that it comes of. */
const char *file_error(int number);

#endif
