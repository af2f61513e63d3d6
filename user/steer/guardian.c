/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guardian.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../collect/clock.h"
#include "apart.h"

#define LOOK_MS 100
/* A mover that has an entry out for so many looks, or does not end for so many, hangs. */
#define LOOKS_OUT 3
#define LOOKS_ENDING 20
#define MEND_MS 10
#define BEGIN_MS 5000
#define END_MS 5000

struct guardian {
	struct moving *moving;
	pid_t pid;        /* 0: none */
	int pidfd, mover; /* of processes; -1: none */
};

/* ---- in the guardian ---- */

static void mend(struct moving *m)
{
	/* An entry that is out has to come back, however long the kernel has no room for it. */
	while (moving_mend(m))
		poll(NULL, 0, MEND_MS);
}

/*
 * Watches the mover (a pid of ours, that we wait for) until it has ended. tool: its process, as a
 * descriptor; -1: it has ended already.
 */
static void mover_watch(struct moving *m, pid_t mover, int tool)
{
	int watched = pidfd_open(mover, 0), looks_out = 0, looks_ending = 0;
	uint64_t moves = 0;

	while (!waitpid(mover, NULL, WNOHANG)) {
		struct pollfd ends[] = { { .fd = watched, .events = POLLIN },
					 { .fd = tool, .events = POLLIN } };
		const uint64_t now = __atomic_load_n(&m->moves, __ATOMIC_RELAXED);

		looks_out = __atomic_load_n(&m->taken, __ATOMIC_SEQ_CST) && now == moves
				    ? looks_out + 1
				    : 0;
		looks_ending += m->stop;
		moves = now;
		if (looks_out > LOOKS_OUT || looks_ending > LOOKS_ENDING)
			kill(mover, SIGKILL);
		poll(ends, 2, LOOK_MS);
		if (tool < 0 || ends[1].revents) {
			moving_stop(m);
			tool = -1;
		}
	}
}

static void guardian_run(struct moving *m, pid_t tool) __attribute__((noreturn));
static void guardian_run(struct moving *m, pid_t tool)
{
	const pid_t self = getpid();
	pid_t mover;
	int watched;

	apart_become("sockfair-guard", -1);
	watched = pidfd_open(tool, 0);
	if (getppid() != tool)
		_exit(1);
	mover = fork();
	if (!mover) {
		close_range(3, ~0u, 0);
		m->mover = getpid();
		mover_run(m, self);
	}
	if (mover > 0)
		mover_watch(m, mover, watched);
	close_range(3, ~0u, 0);
	mend(m);
	_exit(mover < 0);
}

/* ---- in the tool ---- */

struct guardian *guardian_new(struct moving **moving)
{
	struct guardian *g = calloc(1, sizeof(*g));
	void *memory = mmap(NULL, sizeof(**moving), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (!g || memory == MAP_FAILED) {
		free(g);
		if (memory != MAP_FAILED)
			munmap(memory, sizeof(**moving));
		return NULL;
	}
	*g = (struct guardian){ .moving = memory, .pidfd = -1, .mover = -1 };
	*moving = memory;
	return g;
}

int guardian_begin(struct guardian *g)
{
	struct moving *m = g->moving;
	const pid_t tool = getpid();
	int waited = 0;

	m->beat_ns = clock_ns(CLOCK_MONOTONIC);
	g->pid = fork();
	if (g->pid < 0) {
		g->pid = 0;
		return -errno;
	}
	if (!g->pid)
		guardian_run(m, tool);
	g->pidfd = pidfd_open(g->pid, 0);
	while (!__atomic_load_n(&m->ready, __ATOMIC_SEQ_CST)) {
		if (g->pidfd < 0 || waited++ > BEGIN_MS || apart_ends_within(g->pidfd, 1)) {
			guardian_end(g);
			return -EAGAIN;
		}
	}
	/* The guardian waits for it, so that the pid is nobody else's as long as the guardian
	 * lives. */
	g->mover = pidfd_open(m->mover, 0);
	return 0;
}

bool guardian_lives(const struct guardian *g)
{
	return !apart_ends_within(g->pidfd, 0) && !apart_ends_within(g->mover, 0);
}

/* Does the guardian's last work in a child, whose descriptor table may be filled at will. */
static int mend_in_child(struct moving *m)
{
	const pid_t child = fork();
	int status;

	if (child < 0)
		return -errno;
	if (!child) {
		int err = 0;

		apart_become("sockfair-mend", -1);
		close_range(3, ~0u, 0);
		for (int waited = 0; waited < END_MS && (err = moving_mend(m)); waited += MEND_MS)
			poll(NULL, 0, MEND_MS);
		_exit(-err);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

int guardian_end(struct guardian *g)
{
	struct moving *m = g->moving;

	if (!g->pid)
		return 0;
	moving_stop(m);
	if (!apart_ends_within(g->pidfd, END_MS))
		kill(g->pid, SIGKILL);
	while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
		;
	g->pid = 0;
	/* Had the guardian been killed, the mover may live on for one move. */
	if (g->mover >= 0 && !apart_ends_within(g->mover, END_MS)) {
		pidfd_send_signal(g->mover, SIGKILL, NULL, 0);
		apart_ends_within(g->mover, END_MS);
	}
	if (g->pidfd >= 0)
		close(g->pidfd);
	if (g->mover >= 0)
		close(g->mover);
	g->pidfd = g->mover = -1;
	return __atomic_load_n(&m->taken, __ATOMIC_SEQ_CST) ? mend_in_child(m) : 0;
}

void guardian_free(struct guardian *g)
{
	if (!g)
		return;
	guardian_end(g);
	munmap(g->moving, sizeof(*g->moving));
	free(g);
}
