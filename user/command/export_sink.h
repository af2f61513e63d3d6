/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where an exporter's pages go. Each way of offering them is one of these. */
#ifndef SOCKFAIR_EXPORT_SINK_H
#define SOCKFAIR_EXPORT_SINK_H

#include <stdbool.h>
#include <stddef.h>

#include "../render/openmetrics.h"

struct export_sink {
	const char *name; /* for people */
	void *to;
	bool wants[EXPORT_FORMATS];

	/* Takes a finished page. Returns 0 or a negative errno. */
	int (*publish)(void *to, enum export_format format, const char *text, size_t length);
	/* Can pages still be published? NULL: always. If not, the exporter ends. */
	bool (*alive)(void *to);
	void (*end)(void *to);
};

#endif
