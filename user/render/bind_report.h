/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `bind-check` prints. */
#ifndef SOCKFAIR_BIND_REPORT_H
#define SOCKFAIR_BIND_REPORT_H

#include "../bind/bind_check.h"
#include "text.h"

struct bind_report {
	const struct bind_check *checks;
	size_t count;
	const char *release; /* uname -r */
	uint32_t netns, uid; /* the question was asked about these */
	bool complete;       /* every socket could be examined */
};

/*
 * ✓ tcp 127.0.0.1:8081: bind() and listen() would work
 * ! tcp 0.0.0.0:81: bind() would fail for uid 1000: EACCES: ports below 1024 need ...
 * ! tcp 127.0.0.1:8080: bind() would fail: EADDRINUSE: nginx (pid 7 and 2 others) listens on ...
 *     listening    0.0.0.0:8080      nginx 7 and 2 others, uid 0
 *     time-wait    127.0.0.1:8080    3 connections, 41.2 s left
 *     it would work with SO_REUSEADDR (--reuseaddr)
 */
void text_bind_check(FILE *out, const struct bind_report *r, const struct text_style *style);

/* Writes one line, a document of schema sockfair-bind-check/1. Returns 0 or -EIO. */
int json_bind_check(FILE *out, const struct bind_report *r);

#endif
