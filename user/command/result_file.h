/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file of -o. A regular file is written beside, in the same folder, and takes the old one's
 * place once a result is whole: what goes wrong before leaves the old one as it was. Where the
 * folder takes no new file it is written in place then. Devices, pipes and descriptors
 * (/dev/stdout) are written to directly.
 */
#ifndef SOCKFAIR_RESULT_FILE_H
#define SOCKFAIR_RESULT_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct result_file {
	int fd; /* takes what is written: at first what is beside, after result_file_replace() the
		   file itself. Appends */
	bool regular;  /* else it is written to directly */
	bool beside;   /* nobody sees it yet */
	bool nameless; /* it had no name when it was opened: a memfd, or a file that was removed */
	int folder;    /* of the file, links followed; -1: none */
	int old;       /* what is there; -1: nothing, or it has been replaced */
	char name[NAME_MAX + 1];
	const char
		*in_place; /* why it is not replaced but written in place; NULL: it is replaced */
	int refused;       /* errno of that */
};

/*
 * Makes sure that the file can be written, and changes nothing yet. A symlink stays, and what it
 * points to is written. The new file gets the old one's owner, mode and ACL; another name of it (a
 * hard link) keeps the old content. Returns 0 or negative errno.
 */
int result_file_open(struct result_file *f, const char *path);

/*
 * Puts what is beside in the old file's place; nothing to do the second time. Where that can't be
 * done it is written in place, which f->in_place tells afterwards. Returns 0, or negative errno and
 * the old file is as it was (but where writing in place failed in the middle).
 */
int result_file_replace(struct result_file *f);

/* Removes what is still beside. Returns 0 or negative errno of the last close(). */
int result_file_close(struct result_file *f);

/* Removes a file beside that has a name, as a program must that ends by a signal: may be called
 * from a handler. */
void result_file_forget(void);

/* All of it, also to a slow or full reader, and whatever O_NONBLOCK the other side has set: a
 * signal alone does not end it. Returns 0 or negative errno. */
int write_whole(int fd, const char *bytes, size_t size);

#endif
