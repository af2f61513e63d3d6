/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The output of a command: a stream to stdout or to the file of -o. Later output to a replaced file
 * is held in memory until it is whole lines. */
#include "output.h"

#include <errno.h>
#include <langinfo.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../render/memory.h"
#include "command.h"

#define BUFFER_BYTES 65536

static int hold(struct output *o, const char *bytes, size_t size)
{
	if (size > o->held_room - o->held_size) {
		const size_t room = 2 * (o->held_size + size);
		char *held = realloc(o->held, room);

		if (!held)
			return -ENOMEM;
		o->held = held;
		o->held_room = room;
	}
	memcpy(o->held + o->held_size, bytes, size);
	o->held_size += size;
	return 0;
}

/* The write() of the FILE; it must return 0 for an error: fopencookie(3). */
static ssize_t stream_take(void *cookie, const char *bytes, size_t size)
{
	struct output *o = cookie;

	o->some |= size > 0;
	if (!o->error)
		o->error = o->to.regular && !o->to.beside ? hold(o, bytes, size)
							  : write_whole(o->to.fd, bytes, size);
	return o->error ? 0 : (ssize_t)size;
}

static void style_decide(struct output *o)
{
	const char *no_colour = getenv("NO_COLOR");
	/* SOCKFAIR_COLUMNS sets the width of text that does not go to a terminal. Sentences that
	 * are not broken can be searched for. */
	const char *columns = getenv("SOCKFAIR_COLUMNS");
	const long wanted = columns ? strtol(columns, NULL, 10) : 0;
	const bool terminal = isatty(o->to.fd);
	struct winsize size;

	o->style.colour = terminal && !(no_colour && *no_colour);
	if (terminal && !ioctl(o->to.fd, TIOCGWINSZ, &size))
		o->style.width = size.ws_col;
	o->style.longest = wanted <= 0 ? TEXT_LONGEST : wanted < INT_MAX ? (int)wanted : INT_MAX;
	o->style.utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
}

const char *file_error(int number)
{
	struct rlimit size;

	if (number == EFBIG && !getrlimit(RLIMIT_FSIZE, &size) && size.rlim_cur != RLIM_INFINITY)
		return "File too large (ulimit -f)";
	return strerror(number);
}

static const char *open_error(int err)
{
	return err == -EINTR         ? "nobody reads it"
	       : err == -EWOULDBLOCK ? "another command writes it"
				     : strerror(-err);
}

int output_open(struct output *o, const char *path)
{
	int err;

	*o = (struct output){ .path = path,
			      .to = { .fd = STDOUT_FILENO, .folder = -1, .old = -1 } };
	err = path ? result_file_open(&o->to, path) : 0;
	if (err)
		return complain("cannot write %s: %s; choose another file for -o", path,
				open_error(err));
	o->file = fopencookie(o, "w", (cookie_io_functions_t){ .write = stream_take });
	if (!o->file) {
		if (path)
			result_file_close(&o->to);
		return complain("out of memory");
	}
	setvbuf(o->file, NULL, _IOFBF, BUFFER_BYTES);
	style_decide(o);
	return STATUS_OK;
}

/* Writes what is held at once, so that a reader sees whole lines. If there is not enough room,
 * nothing stays written. Returns 0 or a negative errno. */
static int held_write(struct output *o)
{
	struct stat st;
	int err;

	if (!o->held_size)
		return 0;
	if (fstat(o->to.fd, &st))
		return -errno;
	if (!st.st_nlink && !o->to.nameless)
		return -ENOLINK;
	err = write_whole(o->to.fd, o->held, o->held_size);
	if (err && ftruncate(o->to.fd, st.st_size))
		err = -errno;
	o->held_size = 0;
	return err;
}

static int replace(struct output *o)
{
	int err;

	if (!o->to.beside || !o->some)
		return 0;
	err = result_file_replace(&o->to);
	if (!err && o->to.in_place && o->to.refused)
		complain("%s is written in place: %s (%s)", o->path, o->to.in_place,
			 strerror(o->to.refused));
	return err;
}

static int failed(struct output *o)
{
	if (interrupted < 2)
		complain("cannot write %s: %s", o->path ? o->path : "the output",
			 o->error == -ENOLINK
				 ? "it was removed, or replaced by another command, meanwhile"
				 : file_error(-o->error));
	interrupted = 2; /* the user has been told once; there is nothing more to do */
	return STATUS_FAILED;
}

int output_flush(struct output *o)
{
	fflush(o->file);
	if (!o->error && render_lacks())
		o->error = -ENOMEM;
	if (!o->error)
		o->error = held_write(o);
	if (!o->error)
		o->error = replace(o);
	return o->error ? failed(o) : STATUS_OK;
}

int output_close(struct output *o)
{
	int status = output_flush(o);

	fclose(o->file);
	free(o->held);
	if (!o->path)
		return status;
	o->error = result_file_close(&o->to);
	return status == STATUS_OK && o->error ? failed(o) : status;
}
