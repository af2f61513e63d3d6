/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export_sink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../export/front.h"
#include "command.h"
#include "textfile.h"

/* ---- a file ---- */

static int file_publish(void *to, enum export_format format, const char *text, size_t length)
{
	(void)format; /* there is one */
	return textfile_write(to, text, length);
}

static void file_end(void *to)
{
	textfile_close(to);
	free(to);
}

int export_sink_file(struct export_sink *sink, const char *path, enum export_format format)
{
	struct textfile *file = malloc(sizeof(*file));
	int err = file ? textfile_open(file, path) : -ENOMEM;

	if (err) {
		free(file);
		return complain("cannot write %s: %s", path,
				err == -EEXIST ? "it is no regular file" : file_error(-err));
	}
	*sink = (struct export_sink){ .to = file,
				      .place = path,
				      .needs = { .textfile = true, .removal = true },
				      .publish = file_publish,
				      .end = file_end };
	sink->wants[format] = true;
	return STATUS_OK;
}

/* ---- HTTP ---- */

static int http_publish(void *to, enum export_format format, const char *text, size_t length)
{
	return export_front_publish(to, format, text, length);
}

static bool http_alive(void *to, char *why, size_t size)
{
	return export_front_alive(to, why, size);
}

static void http_end(void *to)
{
	export_front_end(to);
}

int export_sink_http(struct export_sink *sink, const char *listen)
{
	struct export_front *front;
	struct export_listen at;
	char why[1024];

	if (export_listen_parse(listen, &at, why, sizeof(why))) {
		complain("%s", why);
		return STATUS_USAGE;
	}
	if (export_front_start(&front, &at, why, sizeof(why)))
		return complain("%s", why);
	if (*why)
		fprintf(stderr, "note: %s\n", why);
	*sink = (struct export_sink){
		.to = front,
		.place = export_front_place(front),
		.wants = { [EXPORT_CLASSIC] = true, [EXPORT_OPENMETRICS] = true },
		.needs = { .removal = at.address.any.sa_family == AF_UNIX },
		.publish = http_publish,
		.alive = http_alive,
		.end = http_end
	};
	return STATUS_OK;
}
