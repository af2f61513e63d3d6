/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Steers a SO_REUSEPORT group by the SK_LOOKUP program of bpf/steer.bpf.h: its sockets are put into
 * the program's map and stay the server's alone, since our descriptors of them are closed at once.
 * The program falls back to the kernel's hash by itself when this process does not beat, when the
 * group has a size that is not known here, and when all of its link's descriptors are closed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../attach/loading.h"
#include "../collect/clock.h"
#include "../collect/namespace.h"
#include "../collect/observer_steer.h"
#include "take.h"
#include "way.h"

#define OLDER_MAX 1024 /* threads that have connections from before */

struct lookup {
	const struct steer_task *task;
	struct steer_member *members; /* of the program: STEER_MEMBERS_MAX; cookie 0: free */
	struct steer_programs before; /* of the namespace, when it was opened */
	int netns;                    /* descriptor */
	bool released;
	char left[160], joined[160]; /* cookies of members, for people */
};

static struct steer_state *lookup_state(const struct lookup *l)
{
	return observer_steer_state(l->task->observer);
}

static void beat(const struct lookup *l)
{
	__atomic_store_n(&lookup_state(l)->heartbeat_ns, clock_ns(CLOCK_MONOTONIC),
			 __ATOMIC_RELAXED);
}

/* The mean of the members' arrivals, but for the place `without`. */
static uint64_t mean_arrived(const struct lookup *l, uint32_t without)
{
	uint64_t sum = 0, count = 0;

	for (uint32_t i = 0; i < STEER_MEMBERS_MAX; i++) {
		if (!l->members[i].cookie || i == without || l->members[i].stalled)
			continue;
		sum += __atomic_load_n(&l->members[i].arrived, __ATOMIC_RELAXED);
		count++;
	}
	return count ? sum / count : 0;
}

/*
 * Lifts a member that has counted fewer arrivals than the others to their mean: a policy that looks
 * at arrivals would else send all to it until it has caught up.
 */
static void lift(struct lookup *l, uint32_t place)
{
	const uint64_t mean = mean_arrived(l, place),
		       own = __atomic_load_n(&l->members[place].arrived, __ATOMIC_RELAXED);

	if (own < mean)
		__atomic_fetch_add(&l->members[place].arrived, mean - own, __ATOMIC_RELAXED);
}

/* ---- members ---- */

static uint32_t member_place(const struct lookup *l, uint64_t cookie)
{
	uint32_t i = 0;

	while (i < STEER_MEMBERS_MAX && l->members[i].cookie != cookie)
		i++;
	return i;
}

static uint32_t weight_of(const struct steer_plan *plan, uint64_t cookie)
{
	for (size_t i = 0; i < plan->members; i++)
		if (plan->cookies[i] == cookie)
			return plan->weights[i];
	return 1;
}

/* Returns 0 or negative errno with `why`. */
static int member_add(struct lookup *l, const struct endpoint *e, uint64_t cookie, char *why,
		      size_t size)
{
	const uint32_t place = member_place(l, 0);
	int fd, err;

	if (place == STEER_MEMBERS_MAX)
		return loading_fail(-E2BIG, why, size, "its group has more than %d sockets now",
				    STEER_MEMBERS_MAX);
	fd = take_socket(e, cookie, why, size);
	if (fd < 0)
		return fd;
	l->members[place] = (struct steer_member){ .cookie = cookie,
						   .weight = weight_of(l->task->plan, cookie),
						   .arrived = mean_arrived(l, place) };
	err = observer_steer_put(l->task->observer, place, fd);
	close(fd);
	if (!err)
		return 0;
	l->members[place].cookie = 0;
	return loading_fail(err, why, size,
			    "socket %" PRIu64 " can't be put into the program's map: %s", cookie,
			    err == -EBUSY ? "another tool's map has it" : strerror(-err));
}

static void note_cookie(char *list, size_t size, uint64_t cookie)
{
	const size_t used = strlen(list);

	snprintf(list + used, size - used, "%s%" PRIu64, used ? ", " : "", cookie);
}

static bool is_group_member(const struct endpoint *e, uint64_t cookie)
{
	for (size_t i = 0; e && i < e->socket_count; i++)
		if (e->sockets[i].cookie == cookie)
			return steer_is_listener(&e->sockets[i]);
	return false;
}

/* Members are the listening sockets of the endpoint, and no others. Returns 0, or negative errno
 * with `why`. */
static int members_follow(struct lookup *l, const struct endpoint *e, bool noted, char *why,
			  size_t size)
{
	uint32_t count = 0, highest = 0;
	int err = 0;

	for (uint32_t i = 0; i < STEER_MEMBERS_MAX; i++) {
		if (!l->members[i].cookie || is_group_member(e, l->members[i].cookie))
			continue;
		if (noted)
			note_cookie(l->left, sizeof(l->left), l->members[i].cookie);
		observer_steer_remove(l->task->observer, i);
	}
	for (size_t i = 0; e && i < e->socket_count && !err; i++) {
		const struct socket_row *s = &e->sockets[i];

		if (!steer_is_listener(s) || member_place(l, s->cookie) < STEER_MEMBERS_MAX)
			continue;
		err = member_add(l, e, s->cookie, why, size);
		if (noted && !err)
			note_cookie(l->joined, sizeof(l->joined), s->cookie);
	}
	for (uint32_t i = 0; i < STEER_MEMBERS_MAX; i++) {
		count += l->members[i].cookie != 0;
		highest = l->members[i].cookie ? i + 1 : highest;
	}
	__atomic_store_n(&lookup_state(l)->members, highest, __ATOMIC_RELAXED);
	__atomic_store_n(&lookup_state(l)->group_size, count, __ATOMIC_RELAXED);
	return err;
}

/* ---- connections from before ---- */

/* The one member that the thread takes from; the process, with tid 0. STEER_MEMBERS_MAX: none, or
 * several. */
static uint32_t place_of_taker(const struct lookup *l, const struct endpoint *e, int32_t pid,
			       int32_t tid)
{
	uint32_t found = STEER_MEMBERS_MAX;

	for (size_t i = 0; i < e->worker_count; i++) {
		const struct worker_row *w = &e->workers[i];
		const uint32_t place = w->pid == pid && (!tid || w->tid == tid) && w->can_accept
					       ? member_place(l, w->cookie)
					       : STEER_MEMBERS_MAX;

		if (place == STEER_MEMBERS_MAX || place == found)
			continue;
		if (found != STEER_MEMBERS_MAX)
			return STEER_MEMBERS_MAX;
		found = place;
	}
	return found;
}

/* Connections that were open before the observer began count for the member whose taker has them.
 */
static void seed_open(struct lookup *l, const struct endpoint *e)
{
	int64_t open[STEER_MEMBERS_MAX] = {};
	struct bytes_older rows[OLDER_MAX];
	const size_t count = observer_steer_older(l->task->observer, rows, OLDER_MAX);

	for (size_t i = 0; i < count; i++) {
		const uint32_t place = place_of_taker(l, e, rows[i].pid, rows[i].tid);

		if (place < STEER_MEMBERS_MAX)
			open[place] += (int64_t)rows[i].open;
	}
	for (uint32_t i = 0; i < STEER_MEMBERS_MAX; i++)
		__atomic_store_n(&l->members[i].open_before, open[i], __ATOMIC_RELAXED);
}

/* ---- the steps ---- */

static void lookup_close(void *self);

static int lookup_open(void **self, const struct steer_task *task, char *why, size_t size)
{
	struct lookup *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return loading_fail(-ENOMEM, why, size, "out of memory");
	l->task = task;
	l->members = observer_steer_members(task->observer);
	l->netns = namespace_open(task->endpoint->netns);
	err = l->netns < 0 ? l->netns : steer_programs_find(&l->before, l->netns);
	if (err)
		loading_fail(err, why, size, "the port's network namespace can't be looked at: %s",
			     strerror(-err));
	else
		err = members_follow(l, task->endpoint, false, why, size);
	if (err)
		lookup_close(l);
	else
		*self = l;
	return err;
}

static int lookup_begin(void *self, char *why, size_t size)
{
	struct lookup *l = self;
	char reason[160];
	int err;

	/* What came before, by the hash, is not to be made up for. */
	for (uint32_t i = 0; i < STEER_MEMBERS_MAX; i++)
		__atomic_store_n(&l->members[i].arrived, 0, __ATOMIC_RELAXED);
	beat(l);
	err = observer_steer_attach(l->task->observer, l->netns);
	return err ? loading_fail(err, why, size, "the program that steers can't be attached: %s",
				  err == -EPERM ? "CAP_NET_ADMIN is missing"
						: loading_reason(err, reason, sizeof(reason)))
		   : 0;
}

/* What has come up since the plan was made that would have spoken against it. Returns 1 with `why`,
 * or 0. */
static int lookup_object(const struct lookup *l, const struct snapshot *now, char *why, size_t size)
{
	const struct endpoint *other = steer_overlap(now, l->task->endpoint);
	struct steer_programs programs;
	int err = steer_programs_find(&programs, l->netns);

	if (err || programs.count > 1) {
		snprintf(why, size,
			 "another SK_LOOKUP program was attached to its network namespace");
		return 1;
	}
	if (other) {
		snprintf(why, size,
			 "another listener came whose connections the program would take, too");
		return 1;
	}
	return 0;
}

/* A stalled member gets nothing, and must not get all of it when it goes on. */
static void stalled_lift(struct lookup *l)
{
	for (uint32_t i = 0; i < STEER_MEMBERS_MAX; i++)
		if (l->members[i].cookie && l->members[i].stalled)
			lift(l, i);
}

static int lookup_tick(void *self, const struct snapshot *now, char *why, size_t size)
{
	struct lookup *l = self;
	const struct endpoint *e = NULL;
	int stop = 0, err = 0;

	beat(l);
	stalled_lift(l);
	if (!now)
		return 0;
	e = snapshot_find((struct snapshot *)now, l->task->endpoint);
	stop = lookup_object(l, now, why, size);
	if (stop)
		return stop;
	/* A worker may end between the look and the taking of its socket: the next tick sees that.
	 * Meanwhile the group's size is another one, and the kernel's hash picks. */
	err = members_follow(l, e, true, why, size);
	if (!err && e)
		seed_open(l, e);
	if (err == -E2BIG)
		return 1;
	*why = 0;
	return 0;
}

static int lookup_release(void *self, char *note, size_t size)
{
	struct lookup *l = self;
	struct steer_programs after;
	int err;

	l->released = true;
	observer_steer_detach(l->task->observer);
	for (uint32_t i = 0; i < STEER_MEMBERS_MAX; i++)
		if (l->members[i].cookie)
			observer_steer_remove(l->task->observer, i);
	err = steer_programs_find(&after, l->netns);
	if (err || after.count != l->before.count ||
	    memcmp(after.ids, l->before.ids, after.count * sizeof(*after.ids))) {
		snprintf(note, size,
			 "%u SK_LOOKUP programs are attached to its network namespace, and %u were "
			 "before",
			 after.count, l->before.count);
		return 1;
	}
	snprintf(note, size, "%s%s%s%s%s", *l->left ? "sockets that left meanwhile: " : "", l->left,
		 *l->left && *l->joined ? "; " : "", *l->joined ? "that joined: " : "", l->joined);
	return 0;
}

static void lookup_close(void *self)
{
	struct lookup *l = self;
	char note[STEER_WHY];

	if (!l)
		return;
	if (!l->released)
		lookup_release(l, note, sizeof(note));
	if (l->netns >= 0)
		close(l->netns);
	free(l);
}

const struct steer_way_steps steer_by_lookup = { .open = lookup_open,
						 .begin = lookup_begin,
						 .tick = lookup_tick,
						 .release = lookup_release,
						 .close = lookup_close };
