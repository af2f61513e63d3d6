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
#include "../collect/device.h"
#include "../collect/namespace.h"
#include "../collect/observer_steer.h"
#include "take.h"
#include "way.h"

#define OLDER_MAX 1024 /* threads that have connections from before */

/* Cookies as people read them. */
struct cookie_list {
	char text[160];
	size_t more; /* that found no room */
};

struct lookup {
	const struct steer_task *task;
	struct steer_member *members; /* of the program: STEER_MEMBERS_MAX; cookie 0: free */
	struct steer_programs before; /* of the namespace, when it was opened */
	int netns;                    /* descriptor */
	uint32_t count;               /* of members */
	uint32_t beside;  /* connected UDP sockets of the group: they stay in it, and get what their
			     peer sends, whatever the program picks */
	uint16_t epoch;   /* of the member that was added last */
	uint32_t listens; /* steer_state.listens before the last look */
	bool released;
	struct cookie_list left, joined; /* members that did so meanwhile */
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

/* What a member of that weight has by now if it got its share: by the mean of the others, for each
 * unit of weight, but for the place `without`. */
static uint64_t fair_arrived(const struct lookup *l, uint32_t without, unsigned weight)
{
	uint64_t sum = 0, weights = 0;

	for (uint32_t i = 0; i < STEER_MEMBERS_MAX; i++) {
		if (!l->members[i].cookie || i == without || l->members[i].stalled)
			continue;
		sum += __atomic_load_n(&l->members[i].arrived, __ATOMIC_RELAXED);
		weights += l->members[i].weight;
	}
	return weights ? sum * weight / weights : 0;
}

/*
 * Lifts a member that has counted fewer arrivals than its share: a policy that looks at arrivals
 * would else send all to it until it has caught up.
 */
static void lift(struct lookup *l, uint32_t place)
{
	const uint64_t fair = fair_arrived(l, place, l->members[place].weight),
		       own = __atomic_load_n(&l->members[place].arrived, __ATOMIC_RELAXED);

	if (own < fair)
		__atomic_fetch_add(&l->members[place].arrived, fair - own, __ATOMIC_RELAXED);
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
	const uint32_t place = member_place(l, 0), weight = weight_of(l->task->plan, cookie);
	int fd, err;

	if (place == STEER_MEMBERS_MAX)
		return loading_fail(-E2BIG, why, size, "its group has more than %d sockets now",
				    STEER_MEMBERS_MAX);
	fd = take_socket(e, cookie, why, size);
	if (fd < 0)
		return fd;
	if (take_is_mptcp(fd)) {
		close(fd);
		return loading_fail(-EPROTONOSUPPORT, why, size,
				    "an MPTCP socket joined, %" PRIu64
				    ", which the program's map does not take",
				    cookie);
	}
	l->epoch = l->epoch == UINT16_MAX ? 1 : l->epoch + 1;
	l->members[place] = (struct steer_member){
		.cookie = cookie,
		.weight = weight,
		.epoch = l->epoch,
		.arrived = fair_arrived(l, place, weight),
		/* UDP: what waits in it has waited since now, as far as is known. */
		.waiting_ns = e->protocol == PROTOCOL_UDP ? clock_ns(CLOCK_MONOTONIC) : 0,
	};
	err = observer_steer_put(l->task->observer, place, fd);
	close(fd);
	if (!err)
		return 0;
	l->members[place].cookie = 0;
	return loading_fail(err, why, size,
			    "socket %" PRIu64 " can't be put into the program's map: %s", cookie,
			    err == -EBUSY ? "another tool's map has it" : strerror(-err));
}

static void note_cookie(struct cookie_list *list, uint64_t cookie)
{
	const size_t used = strlen(list->text);
	char text[32];
	const int length = snprintf(text, sizeof(text), "%s%" PRIu64, used ? ", " : "", cookie);

	if (list->more || used + (size_t)length >= sizeof(list->text))
		list->more++;
	else
		memcpy(list->text + used, text, (size_t)length + 1);
}

/* Appends "; sockets that left meanwhile: 12, 17 and 3 more". */
static void say_cookies(char *note, size_t size, const char *what, const struct cookie_list *list)
{
	const size_t used = strlen(note);
	char more[32] = "";

	if (!*list->text)
		return;
	if (list->more)
		snprintf(more, sizeof(more), " and %zu more", list->more);
	snprintf(note + used, size - used, "%ssockets that %s meanwhile: %s%s", used ? "; " : "",
		 what, list->text, more);
}

static bool is_group_member(const struct endpoint *e, uint64_t cookie)
{
	for (size_t i = 0; e && i < e->socket_count; i++)
		if (e->sockets[i].cookie == cookie)
			return steer_is_listener(&e->sockets[i]);
	return false;
}

/* The connected sockets of the members' group. Connecting gives a socket an address of its own, so
 * they are looked for at all addresses. */
static uint32_t count_connected_beside(const struct snapshot *now, const struct endpoint *e)
{
	uint64_t group = 0;
	uint32_t count = 0;

	for (size_t i = 0; i < e->socket_count && !group; i++)
		group = steer_is_listener(&e->sockets[i]) ? e->sockets[i].group : 0;
	for (size_t i = 0; group && i < now->endpoint_count + now->aside_count; i++) {
		const struct endpoint *other = &now->endpoints[i];

		for (size_t k = 0; k < other->socket_count + other->connected_count; k++)
			count += other->sockets[k].connected && !other->sockets[k].ended &&
				 other->sockets[k].group == group;
	}
	return count;
}

static void tell_group_size(struct lookup *l)
{
	__atomic_store_n(&lookup_state(l)->group_size, l->count + l->beside, __ATOMIC_RELAXED);
}

/* Members are the listening sockets of the endpoint, and no others. Returns 0, or negative errno
 * with `why`. */
static int members_follow(struct lookup *l, const struct endpoint *e, bool noted, char *why,
			  size_t size)
{
	uint32_t highest = 0;
	char other[STEER_WHY]; /* the first reason counts */
	int err = 0;

	for (uint32_t i = 0; i < STEER_MEMBERS_MAX; i++) {
		if (!l->members[i].cookie || is_group_member(e, l->members[i].cookie))
			continue;
		if (noted)
			note_cookie(&l->left, l->members[i].cookie);
		observer_steer_remove(l->task->observer, i);
	}
	for (size_t i = 0; e && i < e->socket_count; i++) {
		const struct socket_row *s = &e->sockets[i];
		int one;

		if (!steer_is_listener(s) || member_place(l, s->cookie) < STEER_MEMBERS_MAX)
			continue;
		one = member_add(l, e, s->cookie, err ? other : why, err ? sizeof(other) : size);
		err = err ? err : one;
		if (noted && !one)
			note_cookie(&l->joined, s->cookie);
	}
	l->count = 0;
	for (uint32_t i = 0; i < STEER_MEMBERS_MAX; i++) {
		l->count += l->members[i].cookie != 0;
		highest = l->members[i].cookie ? i + 1 : highest;
	}
	__atomic_store_n(&lookup_state(l)->members, highest, __ATOMIC_RELAXED);
	tell_group_size(l);
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

/*
 * What is open and what the programs do not count for the member: connections from before the
 * observer began, for the member whose taker has them, and those that its socket accepted before it
 * was a member.
 */
static void seed_open(struct lookup *l, const struct endpoint *e)
{
	int64_t open[STEER_MEMBERS_MAX] = {};
	struct bytes_older rows[OLDER_MAX];
	const size_t count = observer_steer_older(l->task->observer, rows, OLDER_MAX);
	uint32_t place;

	for (size_t i = 0; i < count; i++) {
		place = place_of_taker(l, e, rows[i].pid, rows[i].tid);
		if (place < STEER_MEMBERS_MAX)
			open[place] += (int64_t)rows[i].open;
	}
	for (uint32_t i = 0; i < STEER_MEMBERS_MAX; i++) {
		const struct steer_member *m = &l->members[i];
		int64_t all = 0;

		for (size_t k = 0; m->cookie && k < e->worker_count; k++)
			if (e->workers[k].cookie == m->cookie && e->workers[k].open_known)
				all += (int64_t)e->workers[k].open;
		all -= __atomic_load_n(&m->open, __ATOMIC_RELAXED);
		__atomic_store_n(&l->members[i].open_before, open[i] + (all > 0 ? all : 0),
				 __ATOMIC_RELAXED);
	}
}

/* Those who began to listen before the last look are known. */
static void looked(const struct lookup *l)
{
	__atomic_store_n(&lookup_state(l)->listens_known, l->listens, __ATOMIC_RELAXED);
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

static int lookup_begin(void *self, const struct snapshot *now, char *why, size_t size)
{
	struct lookup *l = self;
	const struct endpoint *e = snapshot_find((struct snapshot *)now, l->task->endpoint);
	char reason[160];
	int err;

	/* What came before, by the hash, is not to be made up for. */
	for (uint32_t i = 0; i < STEER_MEMBERS_MAX; i++)
		__atomic_store_n(&l->members[i].arrived, 0, __ATOMIC_RELAXED);
	if (e) {
		seed_open(l, e);
		l->beside = count_connected_beside(now, e);
		tell_group_size(l);
	}
	looked(l);
	beat(l);
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
	struct steer_facts facts = { .lookup_known = true };
	const struct steer_wish wish = { .policy = STEER_LEAST, .stateless = true };
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
	const struct endpoint *e;
	int err = 0;

	beat(l);
	stalled_lift(l);
	if (!now) {
		/* Whoever listens by now will be in the next look. */
		l->listens = __atomic_load_n(&lookup_state(l)->listens, __ATOMIC_RELAXED);
		return 0;
	}
	e = snapshot_find((struct snapshot *)now, l->task->endpoint);
	if (e && lookup_object(l, now, e, why, size))
		return 1;
	/* A worker may end between the look and the taking of its socket: the next look sees that.
	 * Meanwhile the group's size is another one, and the kernel's hash picks. */
	l->beside = e ? count_connected_beside(now, e) : 0;
	err = members_follow(l, e, true, why, size);
	looked(l);
	if (e)
		seed_open(l, e);
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
	for (uint32_t i = 0; i < STEER_MEMBERS_MAX; i++)
		if (l->members[i].cookie)
			observer_steer_remove(l->task->observer, i);
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
	say_cookies(note, size, "left", &l->left);
	say_cookies(note, size, "joined", &l->joined);
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
