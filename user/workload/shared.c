/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The memory that server, clients and observer share, and small helpers: futex waits, the one line
 * of a failure, hints for errnos. */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shared.h"

struct shared *shared_make(unsigned workers)
{
	size_t size = sizeof(struct shared) + workers * sizeof(struct worker_tally);
	struct shared *shared =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		return NULL;
	shared->size = size;
	return shared;
}

void shared_free(struct shared *shared)
{
	if (shared)
		munmap(shared, shared->size);
}

void shared_refuse(struct shared *shared, int error, const char *format, ...)
{
	va_list args;

	if (!atomic_exchange(&shared->why_written, true)) {
		va_start(args, format);
		vsnprintf(shared->why, sizeof(shared->why), format, args);
		va_end(args);
		atomic_store(&shared->error,
			     error); /* after the text: whoever sees the error reads it */
	}
	word_add(&shared->ready);
}

void word_wait(_Atomic uint32_t *word, uint32_t value, int timeout_ms)
{
	struct timespec timeout = { .tv_sec = timeout_ms / 1000,
				    .tv_nsec = timeout_ms % 1000 * 1000000L };

	syscall(SYS_futex, word, FUTEX_WAIT, value, timeout_ms < 0 ? NULL : &timeout, NULL, 0);
}

void word_add(_Atomic uint32_t *word)
{
	atomic_fetch_add(word, 1);
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

int refuse(struct why why, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why.text, why.size, format, args);
	va_end(args);
	return error;
}

void sleep_ms(int ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&t, NULL);
}

const char *start_limits(int err)
{
	struct rlimit space;

	if (err != -EAGAIN && err != -ENOMEM)
		return "";
	if (!getrlimit(RLIMIT_AS, &space) && space.rlim_cur != RLIM_INFINITY)
		return " (its memory: ulimit -v)";
	return err == -EAGAIN ? " (ulimit -u, kernel.pid_max, pids.max of the cgroup)" : "";
}

const char *unreachable_hint(int number)
{
	return number == ENETUNREACH ? " (is the loopback device up? ip link set lo up)" : "";
}
