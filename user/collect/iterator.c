/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a BPF iterator and splits its output into records. A read ends wherever the kernel's buffer
 * ends, so an incomplete last record waits for the next read.
 */
#include "iterator.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define HEAD 8
#define BUFFER                                                                                     \
	32768 /* PAGE_SIZE << 3 (kernel/bpf/bpf_iter.c): the most that a read returns in most      \
		 cases */

int iterator_attach(struct bpf_program *program, struct bpf_link **link)
{
	*link = bpf_program__attach_iter(program, NULL);
	return *link ? 0 : -errno;
}

/* Returns how many bytes were taken, or negative errno. */
static ssize_t records_take(const struct iterator *it, const char *bytes, size_t count)
{
	size_t done = 0;

	while (count - done >= HEAD) {
		const size_t size = it->size ? it->size : it->size_of(bytes + done);
		int err;

		if (size > count - done)
			break;
		err = it->take(it->to, bytes + done);
		if (err)
			return err;
		done += size;
	}
	return done;
}

int iterator_run(const struct bpf_link *link, const struct iterator *it)
{
	_Alignas(8) char buffer[BUFFER]; /* aligned for records; on the stack because turn() may run
					    another iterator */
	int fd = bpf_iter_create(bpf_link__fd(link));
	ssize_t length = 1, done = 0;
	size_t kept = 0;

	if (fd < 0)
		return -errno;
	while (length && done >= 0) {
		if (it->turn)
			it->turn(it->with);
		length = read(fd, buffer + kept, sizeof(buffer) - kept);
		if (length < 0) {
			done = errno == EAGAIN || errno == EINTR ? 0 : -errno;
			continue;
		}
		kept += length;
		done = records_take(it, buffer, kept);
		if (done > 0)
			memmove(buffer, buffer + done, kept -= done);
	}
	close(fd);
	return done < 0 ? done : 0;
}
