/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "members.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../attach/loading.h"
#include "../collect/clock.h"
#include "../collect/observer_steer.h"
#include "take.h"

#define OLDER_MAX 1024 /* threads that have connections from before */

static struct steer_state *members_state(const struct members *m)
{
	return observer_steer_state(m->task->observer);
}

static void beat(const struct members *m)
{
	__atomic_store_n(&members_state(m)->heartbeat_ns, clock_ns(CLOCK_MONOTONIC),
			 __ATOMIC_RELAXED);
}

/* ---- arrivals ---- */

/* What a member of that weight has by now if it got its share: by the mean of the others, for each
 * unit of weight, but for the place `without`. */
static uint64_t fair_arrived(const struct members *m, uint32_t without, unsigned weight)
{
	uint64_t sum = 0, weights = 0;

	for (uint32_t i = 0; i < STEER_MEMBERS_MAX; i++) {
		if (!m->rows[i].cookie || i == without || m->rows[i].stalled)
			continue;
		sum += __atomic_load_n(&m->rows[i].arrived, __ATOMIC_RELAXED);
		weights += m->rows[i].weight;
	}
	return weights ? sum * weight / weights : 0;
}

/*
 * Lifts a member that has counted fewer arrivals than its share: a policy that looks at arrivals
 * would else send all to it until it has caught up.
 */
static void lift(struct members *m, uint32_t place)
{
	const uint64_t fair = fair_arrived(m, place, m->rows[place].weight),
		       own = __atomic_load_n(&m->rows[place].arrived, __ATOMIC_RELAXED);

	if (own < fair)
		__atomic_fetch_add(&m->rows[place].arrived, fair - own, __ATOMIC_RELAXED);
}

/* ---- members ---- */

static uint32_t member_place(const struct members *m, uint64_t cookie)
{
	uint32_t i = 0;

	while (i < STEER_MEMBERS_MAX && m->rows[i].cookie != cookie)
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
static int member_add(struct members *m, const struct endpoint *e, uint64_t cookie, char *why,
		      size_t size)
{
	const uint32_t place = member_place(m, 0), weight = weight_of(m->task->plan, cookie);
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
	m->epoch = m->epoch == UINT16_MAX ? 1 : m->epoch + 1;
	m->rows[place] = (struct steer_member){
		.cookie = cookie,
		.weight = weight,
		.epoch = m->epoch,
		.arrived = fair_arrived(m, place, weight),
		/* What waits in it has waited since now, as far as is known. */
		.waiting_ns = clock_ns(CLOCK_MONOTONIC),
	};
	err = observer_steer_put(m->task->observer, place, fd);
	close(fd);
	if (!err)
		return 0;
	m->rows[place].cookie = 0;
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

bool members_remain(const struct members *m, const struct endpoint *e)
{
	for (uint32_t i = 0; i < STEER_MEMBERS_MAX; i++)
		if (m->rows[i].cookie && is_group_member(e, m->rows[i].cookie))
			return true;
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

static void tell_group_size(const struct members *m)
{
	__atomic_store_n(&members_state(m)->group_size, m->count + m->beside, __ATOMIC_RELAXED);
}

void members_beside(struct members *m, const struct snapshot *now, const struct endpoint *e)
{
	m->beside = e && e->protocol == PROTOCOL_UDP ? count_connected_beside(now, e) : 0;
	tell_group_size(m);
}

int members_follow(struct members *m, const struct endpoint *e, bool noted, char *why, size_t size)
{
	uint32_t highest = 0;
	char other[STEER_WHY]; /* the first reason counts */
	int err = 0;

	for (uint32_t i = 0; i < STEER_MEMBERS_MAX; i++) {
		if (!m->rows[i].cookie || is_group_member(e, m->rows[i].cookie))
			continue;
		if (noted)
			note_cookie(&m->left, m->rows[i].cookie);
		observer_steer_remove(m->task->observer, i);
	}
	for (size_t i = 0; e && i < e->socket_count; i++) {
		const struct socket_row *s = &e->sockets[i];
		int one;

		if (!steer_is_listener(s) || member_place(m, s->cookie) < STEER_MEMBERS_MAX)
			continue;
		one = member_add(m, e, s->cookie, err ? other : why, err ? sizeof(other) : size);
		err = err ? err : one;
		if (noted && !one)
			note_cookie(&m->joined, s->cookie);
	}
	m->count = 0;
	for (uint32_t i = 0; i < STEER_MEMBERS_MAX; i++) {
		m->count += m->rows[i].cookie != 0;
		highest = m->rows[i].cookie ? i + 1 : highest;
	}
	__atomic_store_n(&members_state(m)->members, highest, __ATOMIC_RELAXED);
	tell_group_size(m);
	return err;
}

/* ---- connections from before ---- */

/* The one member that the thread takes from; the process, with tid 0. STEER_MEMBERS_MAX: none, or
 * several. */
static uint32_t place_of_taker(const struct members *m, const struct endpoint *e, int32_t pid,
			       int32_t tid)
{
	uint32_t found = STEER_MEMBERS_MAX;

	for (size_t i = 0; i < e->worker_count; i++) {
		const struct worker_row *w = &e->workers[i];
		const uint32_t place = w->pid == pid && (!tid || w->tid == tid) && w->can_accept
					       ? member_place(m, w->cookie)
					       : STEER_MEMBERS_MAX;

		if (place == STEER_MEMBERS_MAX || place == found)
			continue;
		if (found != STEER_MEMBERS_MAX)
			return STEER_MEMBERS_MAX;
		found = place;
	}
	return found;
}

void members_seed(struct members *m, const struct endpoint *e)
{
	int64_t open[STEER_MEMBERS_MAX] = {};
	struct bytes_older rows[OLDER_MAX];
	const size_t count = observer_steer_older(m->task->observer, rows, OLDER_MAX);
	uint32_t place;

	for (size_t i = 0; i < count; i++) {
		place = place_of_taker(m, e, rows[i].pid, rows[i].tid);
		if (place < STEER_MEMBERS_MAX)
			open[place] += (int64_t)rows[i].open;
	}
	for (uint32_t i = 0; i < STEER_MEMBERS_MAX; i++) {
		const struct steer_member *row = &m->rows[i];
		int64_t all = 0;

		for (size_t k = 0; row->cookie && k < e->worker_count; k++)
			if (e->workers[k].cookie == row->cookie && e->workers[k].open_known)
				all += (int64_t)e->workers[k].open;
		all -= __atomic_load_n(&row->open, __ATOMIC_RELAXED);
		__atomic_store_n(&m->rows[i].open_before, open[i] + (all > 0 ? all : 0),
				 __ATOMIC_RELAXED);
	}
}

void members_looked(const struct members *m)
{
	__atomic_store_n(&members_state(m)->listens_known, m->listens, __ATOMIC_RELAXED);
}

/* A stalled member gets nothing, and must not get all of it when it goes on. */
static void stalled_lift(struct members *m)
{
	for (uint32_t i = 0; i < STEER_MEMBERS_MAX; i++)
		if (m->rows[i].cookie && m->rows[i].stalled)
			lift(m, i);
}

/* ---- the steps ---- */

void members_prepare(struct members *m, const struct steer_task *task)
{
	*m = (struct members){ .task = task, .rows = observer_steer_members(task->observer) };
}

void members_begin(struct members *m, const struct endpoint *e)
{
	/* What came before, by the hash, is not to be made up for. */
	for (uint32_t i = 0; i < STEER_MEMBERS_MAX; i++)
		__atomic_store_n(&m->rows[i].arrived, 0, __ATOMIC_RELAXED);
	if (e)
		members_seed(m, e);
	members_looked(m);
	beat(m);
}

void members_tick(struct members *m)
{
	beat(m);
	stalled_lift(m);
}

void members_will_look(struct members *m)
{
	m->listens = __atomic_load_n(&members_state(m)->listens, __ATOMIC_RELAXED);
}

void members_end(struct members *m)
{
	for (uint32_t i = 0; i < STEER_MEMBERS_MAX; i++)
		if (m->rows[i].cookie)
			observer_steer_remove(m->task->observer, i);
}

void members_say(const struct members *m, char *note, size_t size)
{
	say_cookies(note, size, "left", &m->left);
	say_cookies(note, size, "joined", &m->joined);
}
