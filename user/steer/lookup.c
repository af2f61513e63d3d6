/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Steers a SO_REUSEPORT group by the SK_LOOKUP program of bpf/steer.bpf.h: its sockets are put into
 * the program's map and stay the server's alone, since our descriptors of them are closed at once.
 * The program falls back to the kernel's hash by itself when this process does not beat, when the
 * group has a size that is not known here, and when all of its link's descriptors are closed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../attach/loading.h"
#include "../collect/device.h"
#include "../collect/namespace.h"
#include "../collect/observer_steer.h"
#include "members.h"

struct lookup {
	const struct steer_task *task;
	struct members members;
	struct steer_programs before; /* of the namespace, when it was opened */
	int netns;                    /* descriptor */
	bool released;
};

static void lookup_close(void *self);

static int lookup_open(void **self, const struct steer_task *task, char *why, size_t size)
{
	struct lookup *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return loading_fail(-ENOMEM, why, size, "out of memory");
	l->task = task;
	members_prepare(&l->members, task);
	l->netns = namespace_open(task->endpoint->netns);
	err = l->netns < 0 ? l->netns : steer_programs_find(&l->before, l->netns);
	if (err)
		loading_fail(err, why, size, "the port's network namespace can't be looked at: %s",
			     strerror(-err));
	else
		err = members_follow(&l->members, task->endpoint, false, why, size);
	if (err)
		lookup_close(l);
	else
		*self = l;
	return err;
}

static int lookup_begin(void *self, const struct snapshot *now, char *why, size_t size)
{
	struct lookup *l = self;
	const struct endpoint *e = snapshot_find((struct snapshot *)now, l->task->endpoint);
	char reason[160];
	int err;

	members_beside(&l->members, now, e);
	members_begin(&l->members, e);
	err = observer_steer_attach(l->task->observer, l->netns);
	return err ? loading_fail(err, why, size, "the program that steers can't be attached: %s",
				  err == -EPERM ? "CAP_NET_ADMIN is missing"
						: loading_reason(err, reason, sizeof(reason)))
		   : 0;
}

static bool has_program(const struct steer_programs *p, uint32_t id)
{
	for (unsigned i = 0; i < p->count; i++)
		if (p->ids[i] == id)
			return true;
	return false;
}

/* Is our program there, and alone? Returns 0, or 1 with `why`. */
static int program_check(const struct lookup *l, char *why, size_t size)
{
	const uint32_t own = observer_steer_program(l->task->observer);
	struct steer_programs programs;
	const int err = steer_programs_find(&programs, l->netns);
	const bool there = has_program(&programs, own);

	if (err)
		snprintf(why, size, "which programs pick sockets can't be seen any more: %s",
			 strerror(-err));
	else if (!there)
		snprintf(why, size, "somebody has detached the program that steers");
	else if (programs.count > 1)
		snprintf(why, size,
			 "another SK_LOOKUP program was attached to its network namespace");
	return err || !there || programs.count > 1;
}

/* What has come up since the plan was made that would have spoken against it. Returns 1 with `why`,
 * or 0. */
static int lookup_object(const struct lookup *l, const struct snapshot *now,
			 const struct endpoint *e, char *why, size_t size)
{
	struct steer_facts facts = { .lookup_known = true,
				     .reuseport_known = l->task->plan->reuseport_known };
	const struct steer_wish wish = { .policy = STEER_LEAST,
					 .via = STEER_BY_LOOKUP,
					 .stateless = true };
	struct steer_plan plan;

	if (program_check(l, why, size))
		return 1;
	/* One that can't be looked for now is found in the next second. */
	device_find_vrf(e->netns, e->protocol == PROTOCOL_UDP, facts.vrf);
	steer_plan_make(&plan, now, e, &facts, &wish);
	/* While a server starts anew it may have one socket, or none. */
	if (!plan.code || plan.members < 2)
		return 0;
	snprintf(why, size, "%s", plan.why);
	return 1;
}

static int lookup_tick(void *self, const struct snapshot *now, char *why, size_t size)
{
	struct lookup *l = self;
	const struct endpoint *e;
	int err = 0;

	members_tick(&l->members);
	if (!now) {
		members_will_look(&l->members);
		return 0;
	}
	e = snapshot_find((struct snapshot *)now, l->task->endpoint);
	if (e && lookup_object(l, now, e, why, size))
		return 1;
	/* A worker may end between the look and the taking of its socket: the next look sees that.
	 * Meanwhile the group's size is another one, and the kernel's hash picks. */
	members_beside(&l->members, now, e);
	err = members_follow(&l->members, e, true, why, size);
	members_looked(&l->members);
	if (e)
		members_seed(&l->members, e);
	if (err == -E2BIG || err == -EPROTONOSUPPORT)
		return 1;
	*why = 0;
	return 0;
}

static int lookup_release(void *self, char *note, size_t size)
{
	struct lookup *l = self;
	const uint32_t own = observer_steer_program(l->task->observer);
	struct steer_programs after;
	unsigned missing = 0;
	int err;

	l->released = true;
	observer_steer_detach(l->task->observer);
	members_end(&l->members);
	err = steer_programs_find(&after, l->netns);
	for (unsigned i = 0; i < l->before.count; i++)
		missing += !has_program(&after, l->before.ids[i]);
	*note = 0;
	if (err || has_program(&after, own) || missing) {
		snprintf(note, size, "%s",
			 err       ? "which programs pick sockets can't be seen any more"
			 : missing ? "a program that was attached before is not any more"
				   : "the program that steers is still attached");
		return 1;
	}
	members_say(&l->members, note, size);
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
