/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Speaks HTTP: answers GET and HEAD of /metrics with the newest page, in the format that the
 * client's Accept asks for. In the process that has nothing (front.h); what it costs is bounded
 * whatever clients do: CLIENTS_MAX connections with a deadline each, 16 KiB of memory for the
 * request of each, and a few copies of pages for those that read slowly.
 */
#ifndef SOCKFAIR_HTTP_H
#define SOCKFAIR_HTTP_H

#include "pages.h"

struct http;

/* Bytes of memory that it takes at most, beside the pages. */
#define HTTP_SPACE (HTTP_COPIES * EXPORT_PAGE_MAX + ((size_t)64 << 20))
/* Copies of pages that are kept at a time, the newest of both formats among them. */
#define HTTP_COPIES 8

/*
 * Opens all that it needs. The socket listens and does not block; `lifeline` is a pipe. Returns
 * NULL: out of memory or descriptors.
 */
struct http *http_new(const struct pages *pages, int listener, int lifeline);

/* Serves until the other end of the lifeline is closed. */
void http_serve(struct http *h);

#endif
