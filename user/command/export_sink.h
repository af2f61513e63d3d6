/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where an exporter's pages go: to a file, or to whoever asks for them by HTTP. Both are opened
 * before anything is counted, because the process that speaks HTTP is to inherit nothing of it.
 */
#ifndef SOCKFAIR_EXPORT_SINK_H
#define SOCKFAIR_EXPORT_SINK_H

#include <stdbool.h>
#include <stddef.h>

#include "../export/confine.h"
#include "../model/export_format.h"

struct export_sink {
	const char *name; /* for people */
	void *to;
	const char *place; /* as a message names it */
	bool wants[EXPORT_FORMATS];
	struct export_needs needs; /* what publishing takes of the rights of this process */

	/* Takes a finished page. Returns 0 or a negative errno. */
	int (*publish)(void *to, enum export_format format, const char *text, size_t length);
	/* Can pages still be published? NULL: always. If not, `why`, and the exporter ends. */
	bool (*alive)(void *to, char *why, size_t size);
	void (*end)(void *to);
};

/* To a file, in one format: textfile.h. Returns a status, after complaining. */
int export_sink_file(struct export_sink *sink, const char *path, enum export_format format);

/* By HTTP, in both formats, at that place (export_listen_parse()). Returns a status, after
 * complaining. */
int export_sink_http(struct export_sink *sink, const char *listen);

#endif
