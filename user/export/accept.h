/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which of the two text formats a client asks for by the Accept lines of its request. */
#ifndef SOCKFAIR_ACCEPT_H
#define SOCKFAIR_ACCEPT_H

#include "pages.h"

/* What has been read of a request's Accept lines. Begin with {}. */
struct accepting {
	struct accepted {
		unsigned exactness; /* of the most exact range that fits; 0: none does */
		unsigned quality;   /* its q, in thousandths */
	} formats[EXPORT_FORMATS];
};

/* Reads one line of that header. What is not well-formed in it counts for nothing. */
void accepting_line(struct accepting *a, const char *line);

/*
 * The format with the higher q of its most exact range (RFC 9110, 12.5.1). At the same q
 * OpenMetrics is sent only if it was named: a client that takes anything may know only the older
 * format. That one is sent, too, if neither is asked for.
 */
enum export_format accepting_choice(const struct accepting *a);

/* What Content-Type says of a page. */
const char *accepting_type(enum export_format format);

#endif
