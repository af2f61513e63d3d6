/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file of -o. The result for a regular file is first written to a new file in the same folder,
 * "the file beside". It takes the old file's place once the result is complete, so an earlier
 * failure leaves the old file as it was. If the folder accepts no new file, the result is written
 * in place at that point. Devices, pipes and descriptors (/dev/stdout) are written to directly.
 */
#ifndef SOCKFAIR_RESULT_FILE_H
#define SOCKFAIR_RESULT_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct result_file {
	int fd; /* takes what is written: first the file beside, after result_file_replace() the
		   file itself. Opened to append */
	bool regular;  /* otherwise the file is written to directly */
	bool beside;   /* fd is the file beside, which nobody sees yet */
	bool nameless; /* the file had no name when it was opened: a memfd, or a file that was
			  removed */
	int folder;    /* the file's folder, after following links; -1: none */
	int old;       /* the old file; -1: there was none, or it has been replaced */
	char name[NAME_MAX + 1];
	const char
		*in_place; /* why it is not replaced but written in place; NULL: it is replaced */
	int refused;       /* errno of that */
};

/*
 * Makes sure that the file can be written, but changes nothing yet. A symlink stays, and its target
 * is written. The new file gets the old one's owner, mode and ACL; a hard link to the old file
 * keeps the old content. Returns 0 or a negative errno.
 */
int result_file_open(struct result_file *f, const char *path);

/*
 * Puts the file beside in the old file's place; a second call does nothing. If the file can't be
 * replaced it is written in place, and f->in_place then says why. Returns 0, or a negative errno;
 * the old file is then unchanged, unless writing in place failed half-way.
 */
int result_file_replace(struct result_file *f);

/* Removes the file beside if it is still there. Returns 0, or the negative errno of the last
 * close(). */
int result_file_close(struct result_file *f);

/* Removes a file beside that has a name. A program that a signal ends has to call this; a signal
 * handler may. */
void result_file_forget(void);

/* Writes all of the bytes, even to a slow or full reader and even if the other side has set
 * O_NONBLOCK. A signal alone does not end the write. Returns 0 or a negative errno. */
int write_whole(int fd, const char *bytes, size_t size);

#endif
