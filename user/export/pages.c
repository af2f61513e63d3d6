/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The order of the writer's stores and of the reader's loads is all there is to it: `begun` says
 * that a buffer is about to change before it does, and `done` that it is whole after it is.
 */
#include "pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../attach/memory_file.h"

/* A copy takes as long as the writer takes for a page: of so many one falls between two. */
#define TRIES 16

/* F_SEAL_FUTURE_WRITE, Linux 5.1: the mapping that is there may write, and no other ever. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

struct pages_head {
	struct pages_turn {
		uint64_t begun, done; /* sequence of the page; its lowest bit is the buffer */
		uint64_t length[2];
	} turns[EXPORT_FORMATS];
};

_Static_assert(sizeof(struct pages_head) <= 4096, "the buffers begin after a page of memory");

static char *buffer_of(const struct pages *p, enum export_format format, uint64_t sequence)
{
	return (char *)p->head + 4096 + EXPORT_PAGE_MAX * (2ul * format + (sequence & 1));
}

static int memory_map(struct pages *p, int fd, int protection)
{
	void *memory = mmap(NULL, PAGES_SPACE, protection, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		return -errno;
	*p = (struct pages){ .head = memory, .fd = fd };
	return 0;
}

int pages_make(struct pages *p)
{
	const int fd = memory_file("sockfair pages");
	int err = 0;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, PAGES_SPACE))
		err = -errno;
	else
		err = memory_map(p, fd, PROT_READ | PROT_WRITE);
	if (err) {
		close(fd);
		return err;
	}
	if (madvise(p->head, PAGES_SPACE, MADV_DONTFORK) || fcntl(fd, F_ADD_SEALS, SEALS)) {
		err = -errno;
		pages_free(p);
	}
	return err;
}

int pages_map(struct pages *p, int fd)
{
	return memory_map(p, fd, PROT_READ);
}

void pages_free(struct pages *p)
{
	if (!p->head)
		return;
	munmap(p->head, PAGES_SPACE);
	close(p->fd);
	*p = (struct pages){};
}

int pages_publish(struct pages *p, enum export_format format, const char *text, size_t length)
{
	struct pages_turn *turn = &p->head->turns[format];
	const uint64_t next = turn->done + 1;

	if (!length)
		return -EINVAL;
	if (length > EXPORT_PAGE_MAX)
		return -EMSGSIZE;
	__atomic_store_n(&turn->begun, next, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	memcpy(buffer_of(p, format, next), text, length);
	__atomic_store_n(&turn->length[next & 1], length, __ATOMIC_RELAXED);
	__atomic_store_n(&turn->done, next, __ATOMIC_RELEASE);
	return 0;
}

uint64_t pages_sequence(const struct pages *p, enum export_format format)
{
	return __atomic_load_n(&p->head->turns[format].done, __ATOMIC_ACQUIRE);
}

/* -EAGAIN: the writer has begun to write to this buffer again. */
static int copy_once(const struct pages *p, enum export_format format, struct page_copy *copy)
{
	const struct pages_turn *turn = &p->head->turns[format];
	const uint64_t sequence = pages_sequence(p, format);
	const size_t length = __atomic_load_n(&turn->length[sequence & 1], __ATOMIC_RELAXED);
	void *text;

	if (!sequence)
		return -ENODATA;
	/* Of a mapping of its own, so that it goes back to the system when it is given back. */
	text = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (text == MAP_FAILED)
		return -ENOMEM;
	*copy = (struct page_copy){ .text = text, .length = length, .sequence = sequence };
	memcpy(text, buffer_of(p, format, sequence), length);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (__atomic_load_n(&turn->begun, __ATOMIC_RELAXED) < sequence + 2)
		return 0;
	page_free(copy);
	return -EAGAIN;
}

int pages_copy(const struct pages *p, enum export_format format, struct page_copy *copy)
{
	int err = -EAGAIN;

	for (int i = 0; i < TRIES && err == -EAGAIN; i++)
		err = copy_once(p, format, copy);
	return err;
}

void page_free(struct page_copy *copy)
{
	munmap(copy->text, copy->length);
	*copy = (struct page_copy){};
}
