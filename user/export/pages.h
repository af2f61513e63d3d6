/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finished pages in memory that two processes share: the one that collects writes them, the one
 * that speaks HTTP reads them and can't write.
 *
 * Each format has two buffers, so that a page can be read while the next one is written. A reader
 * takes a copy, and sees by the sequence whether the writer has come around to its buffer
 * meanwhile: then it copies again. So nobody ever sees half a page, and the writer never waits.
 */
#ifndef SOCKFAIR_PAGES_H
#define SOCKFAIR_PAGES_H

#include <stddef.h>
#include <stdint.h>

#include "../model/export_format.h"

/*
 * Bytes of the longest page: at 200 bytes a line some 300,000 series. Prometheus would be the
 * first to complain. A buffer takes memory only as far as a page has reached.
 */
#define EXPORT_PAGE_MAX ((size_t)64 << 20)

/* Bytes that the memory takes of a process' address space. */
#define PAGES_SPACE (4096 + EXPORT_PAGE_MAX * 2 * EXPORT_FORMATS)

struct pages_head;

/* Begin with {}. */
struct pages {
	struct pages_head *head; /* NULL: not mapped */
	int fd;                  /* valid while head is */
};

/*
 * Makes the memory, which this process alone can write to: children do not inherit the mapping,
 * and no other can be made to write. Returns 0 or negative errno.
 */
int pages_make(struct pages *p);

/* In a child: maps the memory of that descriptor, to read. Returns 0 or negative errno. */
int pages_map(struct pages *p, int fd);

void pages_free(struct pages *p);

/*
 * Writes the next page of a format. Returns 0, or -EMSGSIZE if it is longer than EXPORT_PAGE_MAX,
 * or -EINVAL if it is empty; the last one stays then.
 */
int pages_publish(struct pages *p, enum export_format format, const char *text, size_t length);

/* The number of the newest page of a format, from 1 on; 0: there is none yet. */
uint64_t pages_sequence(const struct pages *p, enum export_format format);

struct page_copy {
	void *text; /* page_free() gives it back */
	size_t length;
	uint64_t sequence;
};

/*
 * Copies the newest page. Returns 0, -ENODATA: there is none yet, -EAGAIN: the writer was faster,
 * several times, or -ENOMEM.
 */
int pages_copy(const struct pages *p, enum export_format format, struct page_copy *copy);
void page_free(struct page_copy *copy);

#endif
