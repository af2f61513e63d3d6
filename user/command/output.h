/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a command's result goes: stdout, or the file of -o. A result arrives complete, or the old
 * file stays. */
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
	int error;  /* negative errno: output was lost, and the user has been told */
	char *held; /* for a stream that has replaced its file: output that is not a whole line yet
		     */
	size_t held_size, held_room;
};

/* Makes sure that -o's file (or stdout) can be written, and decides on colour. The file is not
 * changed yet. Returns STATUS_OK, or STATUS_FAILED after complaining. */
int output_open(struct output *o, const char *path);

/* Writes out everything so far, which has to end with a whole line. It takes the place of an old
 * file. If the write fails, complains once. Returns STATUS_OK or STATUS_FAILED. */
int output_flush(struct output *o);

/* Flushes and closes. If nothing was written, the old file stays. */
int output_close(struct output *o);

/* strerror(), and for some errors the limit behind them. */
const char *file_error(int number);

#endif
