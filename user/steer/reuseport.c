/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Steers a SO_REUSEPORT group by a program of the group itself (bpf/steer_reuseport.bpf.h), for
 * ports with another listener that an SK_LOOKUP program would rob. Nothing of ours holds such a
 * program: it is in the group until it is taken off, so a guardian does that when this process is
 * killed. A program that the server attaches replaces ours without a word: it is looked for each
 * second, and is left alone.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../attach/loading.h"
#include "../collect/observer_steer.h"
#include "detacher.h"
#include "members.h"
#include "take.h"

#define RELEASE_LOOKS 3 /* workers may end between the look at who they are and the taking */

struct by_group {
	const struct steer_task *task;
	struct members members;
	struct group_looks *looks;
	struct detacher *guardian;
	uint32_t own; /* the program's number */
	bool attached, released;
};

static void group_close(void *self);

static int group_open(void **self, const struct steer_task *task, char *why, size_t size)
{
	struct by_group *g = calloc(1, sizeof(*g));
	int err;

	if (!g)
		return loading_fail(-ENOMEM, why, size, "out of memory");
	g->task = task;
	g->own = observer_steer_program(task->observer);
	members_prepare(&g->members, task);
	err = group_looks_open(&g->looks, why, size);
	if (!err) {
		g->guardian = detacher_new(g->looks);
		err = g->guardian ? 0 : loading_fail(-ENOMEM, why, size, "out of memory");
	}
	if (!err)
		err = members_follow(&g->members, task->endpoint, false, why, size);
	if (err)
		group_close(g);
	else
		*self = g;
	return err;
}

/* Attaches the program by one of the sockets. Returns 0 or negative errno with `why`. */
static int group_attach(struct by_group *g, const struct endpoint *e, char *why, size_t size)
{
	struct group_program found;
	int fd = -ESRCH, err;

	snprintf(why, size, "nobody listens on it any more");
	for (size_t i = 0; e && i < e->socket_count && fd < 0; i++)
		if (steer_is_listener(&e->sockets[i]))
			fd = take_socket(e, e->sockets[i].cookie, why, size);
	if (fd < 0)
		return fd;
	err = group_look_at(g->looks, fd, &found);
	if (!err && group_has_program(&found))
		err = -EEXIST;
	if (!err)
		err = observer_steer_attach_group(g->task->observer, fd);
	close(fd);
	g->attached |= !err;
	return err ? loading_fail(err, why, size, "the program that steers can't be attached: %s",
				  err == -EEXIST ? "its group has got one of its own"
						 : strerror(-err))
		   : 0;
}

static int group_begin(void *self, const struct snapshot *now, char *why, size_t size)
{
	struct by_group *g = self;
	const struct endpoint *e = snapshot_find((struct snapshot *)now, g->task->endpoint);
	int err;

	members_begin(&g->members, e);
	detacher_tell(g->guardian, e);
	err = detacher_begin(g->guardian, g->own);
	if (err)
		return loading_fail(
			err, why, size,
			"the process that takes the program off if this one is killed can't begin: "
			"%s",
			err == -EAGAIN ? "it was killed, or came too late; try again"
				       : strerror(-err));
	err = group_attach(g, e, why, size);
	if (err)
		detacher_end(g->guardian);
	return err;
}

/* What has come up since the plan was made that would have spoken against it. Returns 1 with `why`,
 * or 0. */
static int group_object(const struct snapshot *now, const struct endpoint *e, char *why,
			size_t size)
{
	const struct steer_facts facts = { .reuseport_known = true };
	const struct steer_wish wish = { .policy = STEER_LEAST, .via = STEER_BY_REUSEPORT };
	struct steer_plan plan;

	steer_plan_make(&plan, now, e, &facts, &wish);
	/* While a server starts anew it may have one socket, or none. */
	if (!plan.code || plan.members < 2)
		return 0;
	snprintf(why, size, "%s", plan.why);
	return 1;
}

/*
 * Is our program the group's? anew: all sockets of before have gone, and their group and its
 * program with them. Returns as tick().
 */
static int program_follow(struct by_group *g, const struct endpoint *e, bool anew, char *why,
			  size_t size)
{
	struct group_program found;
	const int err = detach_look(detacher_rows(g->guardian), g->looks, &found);

	if (err || found.id == g->own)
		return 0; /* nobody is there to be asked: the next look will tell */
	if (group_has_program(&found))
		snprintf(why, size, "its group has got a program of its own, which stays");
	else if (!anew)
		snprintf(why, size, "somebody has detached the program that steers");
	else
		return group_attach(g, e, why, size) ? 1 : 0;
	return 1;
}

static int group_tick(void *self, const struct snapshot *now, char *why, size_t size)
{
	struct by_group *g = self;
	const struct endpoint *e;
	bool anew;
	int err;

	members_tick(&g->members);
	if (!detacher_lives(g->guardian)) {
		snprintf(why, size,
			 "the process that takes the program off if this one is killed was killed "
			 "itself");
		return 1;
	}
	if (!now)
		return 0;
	e = snapshot_find((struct snapshot *)now, g->task->endpoint);
	if (e && group_object(now, e, why, size))
		return 1;
	anew = !members_remain(&g->members, e);
	detacher_tell(g->guardian, e);
	err = e ? program_follow(g, e, anew, why, size) : 0;
	if (err)
		return err;
	/* A worker may end between the look and the taking of its socket: the next look sees that.
	 * Meanwhile the group's size is another one, and the kernel's hash picks. */
	err = members_follow(&g->members, e, true, why, size);
	if (e)
		members_seed(&g->members, e);
	if (err == -E2BIG || err == -EPROTONOSUPPORT)
		return 1;
	*why = 0;
	return 0;
}

/* Takes the program off, by those who have the sockets now. Returns as detach_program(). */
static int group_detach(struct by_group *g, struct group_program *found)
{
	int err = -ESRCH;

	for (int i = 0; i < RELEASE_LOOKS && err == -ESRCH; i++) {
		struct snapshot now = {};

		if (!observer_scan(g->task->observer) &&
		    !observer_read(g->task->observer, &now, true))
			detacher_tell(g->guardian, snapshot_find(&now, g->task->endpoint));
		snapshot_free(&now);
		err = detach_program(detacher_rows(g->guardian), g->looks, g->own, found);
		if (!detacher_rows(g->guardian)->count)
			return 0; /* the group has ended, and its program with it */
	}
	return err;
}

static int group_release(void *self, char *note, size_t size)
{
	struct by_group *g = self;
	struct group_program found = {};
	const int err = group_detach(g, &found);

	g->released = true;
	detacher_end(g->guardian);
	members_end(&g->members);
	*note = 0;
	if (err) {
		snprintf(note, size, "the program that steers can't be taken off its group: %s",
			 strerror(-err));
		return 1;
	}
	if (group_has_program(&found)) {
		snprintf(note, size,
			 "its group has a program now that is not ours, and that was left alone");
		return 1;
	}
	members_say(&g->members, note, size);
	return 0;
}

static void group_close(void *self)
{
	struct by_group *g = self;
	char note[STEER_WHY];

	if (!g)
		return;
	if (g->attached && !g->released)
		group_release(g, note, sizeof(note));
	detacher_free(g->guardian);
	group_looks_close(g->looks);
	free(g);
}

const struct steer_way_steps steer_by_reuseport = { .open = group_open,
						    .begin = group_begin,
						    .tick = group_tick,
						    .release = group_release,
						    .close = group_close };
