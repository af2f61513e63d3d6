/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "detacher.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apart.h"

#define BEGIN_MS 5000
#define TRY_MS 10
#define TRIES 500

/* What the tool and the guardian share. */
struct detaching {
	uint32_t program;
	uint32_t ready; /* the guardian watches */
	/* The tool may be killed while it writes one: the guardian reads the other. */
	uint32_t turn;
	struct detach_rows rows[2];
};

struct detacher {
	struct detaching *shared;
	const struct group_looks *looks;
	pid_t pid; /* 0: none */
	int pidfd; /* -1: none */
};

/* ---- in the guardian ---- */

static void detacher_run(struct detaching *shared, const struct group_looks *looks, pid_t tool)
	__attribute__((noreturn));
static void detacher_run(struct detaching *shared, const struct group_looks *looks, pid_t tool)
{
	struct group_program found;
	int watched;

	apart_become("sockfair-guard", group_looks_descriptor(looks));
	watched = pidfd_open(tool, 0);
	if (watched < 0 || getppid() != tool)
		_exit(1);
	__atomic_store_n(&shared->ready, 1, __ATOMIC_SEQ_CST);
	while (!apart_ends_within(watched, -1))
		;
	for (int i = 0; i < TRIES; i++) {
		const uint32_t turn = __atomic_load_n(&shared->turn, __ATOMIC_SEQ_CST);
		const int err = detach_program(&shared->rows[turn], looks, shared->program, &found);

		/* Mostly the group has ended, and the program with it. Or all its sockets were
		 * replaced since the last look, a second ago: then --undo finds it, and until
		 * then the hash picks (STEER_DEADLINE_NS). */
		if (!err || err == -ESRCH)
			break;
		poll(NULL, 0, TRY_MS);
	}
	_exit(0);
}

/* ---- in the tool ---- */

struct detacher *detacher_new(const struct group_looks *looks)
{
	struct detacher *d = calloc(1, sizeof(*d));
	void *memory = mmap(NULL, sizeof(*d->shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (!d || memory == MAP_FAILED) {
		free(d);
		if (memory != MAP_FAILED)
			munmap(memory, sizeof(*d->shared));
		return NULL;
	}
	*d = (struct detacher){ .shared = memory, .looks = looks, .pidfd = -1 };
	return d;
}

void detacher_tell(struct detacher *d, const struct endpoint *e)
{
	const uint32_t other = !d->shared->turn;

	detach_rows_fill(&d->shared->rows[other], e);
	__atomic_store_n(&d->shared->turn, other, __ATOMIC_SEQ_CST);
}

const struct detach_rows *detacher_rows(const struct detacher *d)
{
	return &d->shared->rows[d->shared->turn];
}

int detacher_begin(struct detacher *d, uint32_t program)
{
	const pid_t tool = getpid();
	int waited = 0;

	d->shared->program = program;
	d->pid = fork();
	if (d->pid < 0) {
		d->pid = 0;
		return -errno;
	}
	if (!d->pid)
		detacher_run(d->shared, d->looks, tool);
	d->pidfd = pidfd_open(d->pid, 0);
	while (!__atomic_load_n(&d->shared->ready, __ATOMIC_SEQ_CST)) {
		if (d->pidfd < 0 || waited++ > BEGIN_MS || apart_ends_within(d->pidfd, 1)) {
			detacher_end(d);
			return -EAGAIN;
		}
	}
	return 0;
}

bool detacher_lives(const struct detacher *d)
{
	return !apart_ends_within(d->pidfd, 0);
}

void detacher_end(struct detacher *d)
{
	if (!d->pid)
		return;
	kill(d->pid, SIGKILL);
	while (waitpid(d->pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (d->pidfd >= 0)
		close(d->pidfd);
	d->pid = 0;
	d->pidfd = -1;
}

void detacher_free(struct detacher *d)
{
	if (!d)
		return;
	detacher_end(d);
	munmap(d->shared, sizeof(*d->shared));
	free(d);
}
