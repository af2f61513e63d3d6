/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "mover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../collect/clock.h"
#include "../collect/process.h"

#define SETTLE_NS 1000000 /* in which a call of the server's that has begun comes to its end */
#define ADD_TRIES 1000    /* of a millisecond, where the kernel has no room for an entry */
/* A turn takes between 0.75 and 1.25 of the mean: requests at a fixed pace would else meet the same
 * worker again and again. */
#define TURN_LEAST 0.75
#define TURN_VARIES 0.5
/* A turn counts as so many at most: what a tool that hung has missed is not made up for. */
#define FRONT_TURNS_MOST 20

/* What is at hand of a worker. */
struct taken_fds {
	int epoll, listener; /* listener: under the entry's number */
};

/* What the mover knows of an entry, at its place. */
struct known_entry {
	uint32_t version; /* of the place */
	bool used;
	struct moved moved;
	int pidfd;           /* of its process; -1: none */
	uint64_t moved_turn; /* of the last move */
	uint64_t front_ns;   /* for how long it was the first to be woken */
};

struct mover {
	struct moving *shared;
	struct known_entry known[EPOLL_MEMBERS_MAX];
	uint64_t moves;
	struct known_entry *front; /* the one to be woken first, since: */
	uint64_t since_ns;
	uint32_t random;
};

void moving_place_set(struct moving *m, size_t place, const struct moved *moved)
{
	struct moved_place *p = &m->places[place];

	__atomic_add_fetch(&p->version, 1, __ATOMIC_SEQ_CST);
	p->used = moved != NULL;
	if (moved)
		p->moved = *moved;
	__atomic_add_fetch(&p->version, 1, __ATOMIC_SEQ_CST);
}

/* Copies a place. Returns false if it is empty, or just being changed. */
static bool place_read(const struct moving *m, size_t place, struct moved *moved, uint32_t *version)
{
	const struct moved_place *p = &m->places[place];
	bool used;

	*version = __atomic_load_n(&p->version, __ATOMIC_SEQ_CST);
	used = p->used;
	*moved = p->moved;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return used && !(*version & 1) &&
	       *version == __atomic_load_n(&p->version, __ATOMIC_SEQ_CST);
}

void moving_stop(struct moving *m)
{
	__atomic_store_n(&m->stop, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &m->stop, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* ---- one entry ---- */

static void sleep_ns(long ns)
{
	nanosleep(&(struct timespec){ .tv_nsec = ns }, NULL);
}

static void fds_close(struct taken_fds *fds)
{
	if (fds->epoll >= 0)
		close(fds->epoll);
	if (fds->listener >= 0)
		close(fds->listener);
	*fds = (struct taken_fds){ -1, -1 };
}

static bool is_listener(int fd, uint64_t cookie)
{
	uint64_t got = 0;
	socklen_t size = sizeof(got);

	return !getsockopt(fd, SOL_SOCKET, SO_COOKIE, &got, &size) && got == cookie;
}

/*
 * Takes the worker's epoll, and the listener under the entry's number. Returns 0 or negative errno:
 * -ESTALE, if the descriptors are others by now.
 */
static int fds_take(int pidfd, const struct moved *what, uint64_t cookie, struct taken_fds *fds)
{
	int err = 0;

	fds->listener = pidfd_getfd(pidfd, what->listener, 0);
	if (fds->listener < 0)
		return -errno;
	if (!is_listener(fds->listener, cookie))
		err = -ESTALE;
	if (!err && fds->listener != what->entry.fd) {
		const int under = dup2(fds->listener, what->entry.fd);

		err = under < 0 ? -errno : 0;
		close(fds->listener);
		fds->listener = under;
	}
	if (!err)
		fds->epoll = pidfd_getfd(pidfd, what->name.epoll, 0);
	if (!err && fds->epoll < 0)
		err = -errno;
	if (err)
		fds_close(fds);
	return err;
}

static int ctl(const struct taken_fds *fds, int op, const struct epoll_entry *entry)
{
	struct epoll_event event = { .events = entry->events, .data.u64 = entry->data };

	return epoll_ctl(fds->epoll, op, entry->fd, &event) ? -errno : 0;
}

/* Adds an entry, also where the kernel has no room for it at the moment. */
static int entry_add(const struct taken_fds *fds, const struct epoll_entry *entry)
{
	int err = ctl(fds, EPOLL_CTL_ADD, entry);

	for (int i = 0; i < ADD_TRIES && (err == -ENOMEM || err == -ENOSPC); i++) {
		sleep_ns(SETTLE_NS);
		err = ctl(fds, EPOLL_CTL_ADD, entry);
	}
	return err;
}

/* Makes an entry what the server asked for in its last call. */
static int entry_follow(const struct taken_fds *fds, const struct moved *what,
			const struct epoll_called *called)
{
	struct epoll_entry asked = what->entry;
	int err;

	if (called->op == EPOLL_CTL_DEL) {
		err = ctl(fds, EPOLL_CTL_DEL, &asked);
		return err == -ENOENT ? 0 : err;
	}
	if (called->known) {
		asked.events = called->events | EPOLLERR | EPOLLHUP;
		asked.data = called->data;
		err = ctl(fds, EPOLL_CTL_MOD, &asked);
		if (err != -ENOENT && err != -EINVAL)
			return err;
		/* One with EPOLLEXCLUSIVE can't be changed. */
		ctl(fds, EPOLL_CTL_DEL, &asked);
	}
	err = entry_add(fds, &asked);
	return err == -EEXIST ? 0 : err;
}

/*
 * Makes an entry that is out, or may be, what it was; or what the server asked for, if it called
 * meanwhile.
 */
static int entry_settle(const struct moving *m, size_t place, const struct taken_fds *fds,
			const struct moved *what)
{
	struct epoll_called called = epoll_calls_read(m->calls, place);
	int err;

	if (called.calls == what->calls) {
		err = entry_add(fds, &what->entry);
		return err == -EEXIST ? 0 : err;
	}
	sleep_ns(SETTLE_NS);
	called = epoll_calls_read(m->calls, place);
	return entry_follow(fds, what, &called);
}

int moving_mend(struct moving *m)
{
	const uint32_t taken = __atomic_load_n(&m->taken, __ATOMIC_SEQ_CST);
	const struct moved what = m->out;
	struct taken_fds fds = { -1, -1 };
	int err, pidfd;

	if (!taken)
		return 0;
	pidfd = pidfd_open(what.name.pid, 0);
	err = pidfd < 0 ? -errno : 0;
	if (!err && !process_thread_lives(what.name.pid, what.name.pid, what.name.start_ns))
		err = -ESRCH;
	if (!err && pidfd == what.entry.fd) {
		pidfd = fcntl(pidfd, F_DUPFD_CLOEXEC, what.entry.fd + 1);
		close(what.entry.fd);
	}
	if (!err)
		err = fds_take(pidfd, &what, m->cookie, &fds);
	if (!err)
		err = entry_settle(m, taken - 1, &fds, &what);
	fds_close(&fds);
	if (pidfd >= 0)
		close(pidfd);
	/* The worker has gone, or has closed it. */
	if (err == -ESRCH || err == -EBADF || err == -ESTALE)
		err = 0;
	if (!err) {
		__atomic_store_n(&m->taken, 0, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&m->mended, 1, __ATOMIC_RELAXED);
	}
	return err;
}

/* ---- one after the other ---- */

static void trouble_tell(struct moving *m, enum mover_trouble trouble, size_t place, int err)
{
	m->troubled = place;
	m->error = -err;
	__atomic_store_n(&m->trouble, trouble, __ATOMIC_SEQ_CST);
}

static bool server_called(const struct moving *m, size_t place, const struct moved *what)
{
	return epoll_calls_read(m->calls, place).calls != what->calls;
}

/* Takes the entry out and adds it again. Returns false if the moving has to end. */
static bool entry_move(struct moving *m, size_t place, const struct taken_fds *fds,
		       const struct moved *what)
{
	enum mover_trouble trouble = MOVER_FINE;
	int err;

	m->out = *what;
	__atomic_store_n(&m->taken, place + 1, __ATOMIC_SEQ_CST);
	err = ctl(fds, EPOLL_CTL_DEL, &what->entry);
	if (err) {
		__atomic_store_n(&m->taken, 0, __ATOMIC_SEQ_CST);
		/* Else that number is no epoll any more: the worker is about to end. */
		if (err == -ENOENT)
			trouble_tell(m,
				     server_called(m, place, what) ? MOVER_SERVER_CALLED
								   : MOVER_ENTRY_MISSING,
				     place, err);
		return err != -ENOENT;
	}
	err = entry_add(fds, &what->entry);
	if (err == -EEXIST)
		trouble = MOVER_ENTRY_THERE;
	else if (err)
		trouble = MOVER_FAILED;
	if (server_called(m, place, what)) {
		trouble = MOVER_SERVER_CALLED;
		err = entry_settle(m, place, fds, what);
	}
	if (trouble != MOVER_FINE)
		trouble_tell(m, trouble, place, err);
	/* Else the guardian goes on trying. */
	if (!err || err == -EEXIST)
		__atomic_store_n(&m->taken, 0, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&m->moves, 1, __ATOMIC_RELAXED);
	return trouble == MOVER_FINE;
}

/* Opens the worker's process, or finds it open. Returns its descriptor or negative errno. */
static int worker_open(struct known_entry *e)
{
	const struct epoll_name *name = &e->moved.name;

	if (e->pidfd >= 0)
		return e->pidfd;
	e->pidfd = pidfd_open(name->pid, 0);
	if (e->pidfd < 0)
		return -errno;
	/* Now that pid is given to nobody else. */
	if (process_thread_lives(name->pid, name->pid, name->start_ns))
		return e->pidfd;
	close(e->pidfd);
	e->pidfd = -1;
	return -ESRCH;
}

/* Nothing of ours may have the number under which the listener is to lie. */
static int number_free(struct mover *v, int number)
{
	for (size_t i = 0; i < EPOLL_MEMBERS_MAX; i++) {
		if (v->known[i].pidfd != number)
			continue;
		v->known[i].pidfd = fcntl(number, F_DUPFD_CLOEXEC, number + 1);
		if (v->known[i].pidfd < 0)
			return -errno;
		close(number);
	}
	return 0;
}

/* Moves an entry. Returns false if the moving has to end. */
static bool known_move(struct mover *v, struct known_entry *e)
{
	struct moving *m = v->shared;
	const size_t place = e - v->known;
	struct taken_fds fds = { -1, -1 };
	bool fine = true;
	int err;

	e->moved_turn = ++v->moves;
	if (server_called(m, place, &e->moved)) {
		trouble_tell(m, MOVER_SERVER_CALLED, place, 0);
		return false;
	}
	err = worker_open(e);
	if (err >= 0)
		err = number_free(v, e->moved.entry.fd);
	if (!err)
		err = fds_take(e->pidfd, &e->moved, m->cookie, &fds);
	if (!err)
		fine = entry_move(m, place, &fds, &e->moved);
	fds_close(&fds);
	/* The worker has ended, or closed it: the tool will see that, and empty the place. */
	if (!err || err == -ESRCH || err == -EBADF || err == -ESTALE)
		return fine;
	trouble_tell(m, MOVER_FAILED, place, err);
	return false;
}

/* ---- whose turn it is ---- */

static uint64_t least_front_ns(const struct mover *v)
{
	uint64_t least = UINT64_MAX;

	for (size_t i = 0; i < EPOLL_MEMBERS_MAX; i++)
		if (v->known[i].used && v->known[i].front_ns < least)
			least = v->known[i].front_ns;
	return least;
}

/* Reads the places again: those that changed are as new, and no worse off than others. */
static void places_read(struct mover *v)
{
	const uint64_t least = least_front_ns(v);

	for (size_t i = 0; i < EPOLL_MEMBERS_MAX; i++) {
		struct known_entry *e = &v->known[i], now = *e;

		now.used = place_read(v->shared, i, &now.moved, &now.version);
		if (now.version == e->version && now.used == e->used)
			continue;
		if (e->pidfd >= 0)
			close(e->pidfd);
		now.pidfd = -1;
		now.front_ns = least == UINT64_MAX ? 0 : least;
		*e = now;
	}
}

/* The entry that was not moved for longest; that is the first one of the queue, if all have
 * EPOLLEXCLUSIVE. NULL: there is none. */
static struct known_entry *oldest(struct mover *v)
{
	struct known_entry *found = NULL;

	for (size_t i = 0; i < EPOLL_MEMBERS_MAX; i++)
		if (v->known[i].used && (!found || v->known[i].moved_turn < found->moved_turn))
			found = &v->known[i];
	return found;
}

static bool all_exclusive(const struct mover *v)
{
	for (size_t i = 0; i < EPOLL_MEMBERS_MAX; i++)
		if (v->known[i].used && !(v->known[i].moved.entry.events & EPOLLEXCLUSIVE))
			return false;
	return true;
}

/*
 * Ends a turn: the entry that was not moved for longest is. If all have EPOLLEXCLUSIVE, it was the
 * first, and the one behind it has its turn. Turns are not equally long, least of all where the
 * CPUs are busy: who was first for much longer than others is passed over. (If entries are plain,
 * all workers are woken, and which of them comes first depends on more than the order: it is
 * enough that each has each place as often.) Returns false if the moving has to end.
 */
static bool turn_end(struct mover *v, uint64_t now_ns)
{
	const double mean_ns = 1e9 / v->shared->hz;
	const uint64_t lasted = now_ns - v->since_ns, most = FRONT_TURNS_MOST * mean_ns;
	struct known_entry *next;
	bool passes;

	if (v->front)
		v->front->front_ns += lasted < most ? lasted : most;
	v->since_ns = now_ns;
	places_read(v);
	passes = all_exclusive(v);
	next = oldest(v);
	for (size_t i = 0; next && i < EPOLL_MEMBERS_MAX; i++) {
		if (!known_move(v, next))
			return false;
		next = oldest(v);
		if (!passes || next->front_ns <= least_front_ns(v) + mean_ns)
			break;
	}
	v->front = next;
	return true;
}

/* Sleeps until then (CLOCK_MONOTONIC), or until the end is asked for. */
static void sleep_until(struct moving *m, uint64_t then_ns)
{
	const struct timespec then = { .tv_sec = then_ns / 1000000000,
				       .tv_nsec = then_ns % 1000000000 };

	syscall(SYS_futex, &m->stop, FUTEX_WAIT_BITSET, 0, &then, NULL, FUTEX_BITSET_MATCH_ANY);
}

/* The length of the next turn. */
static uint64_t turn_ns(struct mover *v)
{
	const double mean = 1e9 / v->shared->hz;

	v->random = v->random * 1664525u + 1013904223u; /* Numerical Recipes, 7.1 */
	return mean * (TURN_LEAST + TURN_VARIES * (v->random >> 8) / (1u << 24));
}

static void mover_prepare(struct mover *v)
{
	struct rlimit files;

	prctl(PR_SET_NAME, "sockfair-mover");
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	for (size_t i = 0; i < EPOLL_MEMBERS_MAX; i++)
		v->known[i].pidfd = -1;
	v->since_ns = clock_ns(CLOCK_MONOTONIC);
	v->random = v->since_ns;
}

/* Does the tool live, and do we have a guardian? */
static bool may_move(const struct moving *m, int32_t guardian, uint64_t now, bool *pause)
{
	*pause = now - __atomic_load_n(&m->beat_ns, __ATOMIC_RELAXED) > MOVER_DEADLINE_NS;
	return !__atomic_load_n(&m->stop, __ATOMIC_SEQ_CST) && getppid() == guardian;
}

void mover_run(struct moving *m, int32_t guardian)
{
	struct mover v = { .shared = m };
	uint64_t then = clock_ns(CLOCK_MONOTONIC);
	bool pause, fine = true;

	mover_prepare(&v);
	__atomic_store_n(&m->ready, 1, __ATOMIC_SEQ_CST);
	while (fine && may_move(m, guardian, clock_ns(CLOCK_MONOTONIC), &pause)) {
		const uint64_t now = clock_ns(CLOCK_MONOTONIC);

		if (now < then) {
			sleep_until(m, then - now > MOVER_LOOK_NS ? now + MOVER_LOOK_NS : then);
			continue;
		}
		then = now + turn_ns(&v);
		if (!pause)
			fine = turn_end(&v, now);
	}
	_exit(0);
}
