/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sees epoll_ctl() of processes on certain entries of their epolls, by a classic tracepoint: so a
 * 32-bit process on a 64-bit kernel, and io_uring, are not seen.
 *
 *   epoll_calls_open()   loads and attaches; nothing is watched yet
 *   epoll_calls_watch()  from here on calls for that entry count under its place
 *   epoll_calls_read()   at any time; children that this process forks may call it, too
 */
#ifndef SOCKFAIR_EPOLL_CALLS_H
#define SOCKFAIR_EPOLL_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct epoll_calls;

/* Returns 0 or negative errno with `why`: one line that says what failed, why, and what to do. */
int epoll_calls_open(struct epoll_calls **out, char *why, size_t size);

/*
 * The entry under the number fd, in the epoll that the process has under the number epoll. Places
 * are below EPOLL_CALLS_PLACES (bpf/epoll_calls_record.h); several entries may have one. Returns 0
 * or negative errno.
 */
int epoll_calls_watch(struct epoll_calls *c, int32_t pid, int epoll, int fd, unsigned place);

/* Forgets all entries of that place. What was counted stays. */
void epoll_calls_forget(struct epoll_calls *c, unsigned place);

struct epoll_called {
	uint64_t calls; /* since epoll_calls_open(); a call counts from the moment it begins */
	/* The last one: */
	int op;     /* EPOLL_CTL_* */
	bool known; /* its event could be read: */
	uint32_t events;
	uint64_t data;
};
struct epoll_called epoll_calls_read(const struct epoll_calls *c, unsigned place);

/* c may be NULL. */
void epoll_calls_close(struct epoll_calls *c);

#endif
