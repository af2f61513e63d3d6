/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Steers one listener that several epolls watch: its entries are moved in turn, so that the worker
 * which is woken first is another one all the time. mover.h says how, guardian.h what happens when
 * somebody dies.
 *
 * What the server itself does to an entry must win, so its calls are seen (epoll_calls.h), and the
 * first one ends the steering. Servers that change their entries as a habit are refused: they are
 * looked at for a while before.
 */
#include "way.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "../attach/loading.h"
#include "../attach/rights.h"
#include "../collect/clock.h"
#include "epoll_look.h"
#include "guardian.h"
#include "take.h"

#define LOOKS 8 /* before it begins */
#define LOOK_MS 50
#define LOOK_ROUNDS 5 /* a server may just be starting its workers */
#define DROP_NS 1000000000ull
#define HZ_DEFAULT 100

#define CHANGES_ITSELF                                                                             \
	"a server that changes its entries itself can't be steered from outside (nginx: "          \
	"accept_mutex off)"

_Static_assert((int)EPOLL_MEMBERS_MAX == (int)STEER_MEMBERS_MAX, "a plan's members have a place");

struct by_epoll {
	const struct steer_task *task;
	struct epoll_calls *calls;
	struct guardian *guardian;
	struct moving *moving;
	uint64_t cookie;
	struct epoll_target target;
	struct epoll_facts facts;
	/* Those in use have entries. A member's number is its place in `moving`. */
	struct epoll_picture members;
	uint64_t base[EPOLL_MEMBERS_MAX]; /* calls when the entry was read */
	struct epoll_names left, joined;
	uint64_t dropped_ns;
	bool released;
	int unlike; /* what release() said */
};

static bool in_use(const struct epoll_member *m)
{
	return m->entries > 0;
}

static size_t members_used(const struct by_epoll *b)
{
	size_t used = 0;

	for (size_t i = 0; i < b->members.count; i++)
		used += in_use(&b->members.members[i]);
	return used;
}

/* ---- opening ---- */

/* The one socket that listens, or NULL. */
static const struct socket_row *listener_find(const struct endpoint *e)
{
	const struct socket_row *found = NULL;

	for (size_t i = 0; i < e->socket_count; i++) {
		const struct socket_row *s = &e->sockets[i];

		if (!steer_is_listener(s))
			continue;
		if (found)
			return NULL;
		found = s;
	}
	return e->protocol == PROTOCOL_TCP ? found : NULL;
}

/* How somebody waits on the listener without epoll; NULL: nobody does. */
static const char *waits_otherwise(const struct endpoint *e, uint64_t cookie)
{
	for (size_t i = 0; i < e->worker_count; i++) {
		const struct worker_row *w = &e->workers[i];

		if (w->cookie != cookie || w->ended || !w->waits)
			continue;
		if (w->wait_kind == WAITS_BLOCKED)
			return "a thread waits in accept(), where the one that has waited longest "
			       "gets the next connection already: nothing is to be done";
		if (w->wait_kind == WAITS_URING)
			return "an io_uring waits on it, and its requests can't be moved from "
			       "outside: nothing can be done";
		if (w->wait_kind == WAITS_POLL)
			return "a thread waits in poll() or select(), which can't be moved from "
			       "outside: nothing can be done";
	}
	return NULL;
}

static int may_not(int err, const char *what, char *why, size_t size)
{
	if (err == -EPERM || err == -EACCES)
		return loading_fail(err, why, size, "%s: %s; run as root, or grant it", what,
				    right_held(CAP_SYS_PTRACE)
					    ? "the kernel refuses it in spite of CAP_SYS_PTRACE (a "
					      "security module, or kernel.yama.ptrace_scope=3)"
					    : "CAP_SYS_PTRACE missing");
	if (err == -ENOSYS)
		return loading_fail(err, why, size,
				    "%s: this kernel lacks pidfd_getfd() (5.6) or kcmp() "
				    "(CONFIG_KCMP)",
				    what);
	return loading_fail(err, why, size, "%s: %s", what, strerror(-err));
}

/* Takes the listener from a process that holds it, for what only a descriptor tells. */
static int listener_ask(struct by_epoll *b, const struct holder_row *holder)
{
	const int fd = take_descriptor(holder->pid, holder->fd);

	if (fd < 0)
		return fd;
	b->facts.blocking = !(fcntl(fd, F_GETFL) & O_NONBLOCK);
	b->facts.keeps_awake = right_held(CAP_BLOCK_SUSPEND);
	close(fd);
	return 0;
}

/* Adds to the picture the epolls of all that hold the listener. */
static int members_look(const struct by_epoll *b, const struct endpoint *e, struct epoll_picture *p)
{
	size_t count;
	const struct holder_row *holders = endpoint_holders(e, b->cookie, &count);
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		err = epoll_look_process(&holders[i], &b->target, p);
	return err;
}

/* From here on calls for the entry under that name are counted under the member's number. */
static int name_watch(const struct by_epoll *b, size_t place, const struct epoll_name *name)
{
	return epoll_calls_watch(b->calls, name->pid, name->epoll,
				 b->members.members[place].entry.fd, place);
}

static int member_watch(struct by_epoll *b, size_t place)
{
	const struct epoll_member *m = &b->members.members[place];
	int err = name_watch(b, place, &m->name);

	for (size_t i = 0; i < m->other_count && !err; i++)
		err = name_watch(b, place, &m->others[i]);
	b->base[place] = epoll_calls_read(b->calls, place).calls;
	return err;
}

/*
 * Looks once more at the members. Returns 0; 1 if an entry is not what it was, or the server
 * called for it, with `text`; or negative errno. Members that are gone are marked.
 */
static int members_compare(struct by_epoll *b, char *text, size_t size)
{
	for (size_t i = 0; i < b->members.count; i++) {
		struct epoll_member *m = &b->members.members[i], now;
		bool there;
		int err;

		if (!in_use(m))
			continue;
		err = epoll_look_again(m, &b->target, &now, &there);
		if (err)
			return err;
		switch (epoll_member_compare(m, &now, there, text, size)) {
		case EPOLL_DIFFERS: return 1;
		case EPOLL_GONE: m->entries = 0; continue;
		case EPOLL_SAME: break;
		}
		if (epoll_calls_read(b->calls, i).calls != b->base[i]) {
			snprintf(text, size, "%s %" PRId32 " called epoll_ctl() for it", m->process,
				 m->name.pid);
			return 1;
		}
	}
	return 0;
}

/* Are there others than the members? 1, 0, or negative errno. */
static int others_look(struct by_epoll *b)
{
	struct epoll_picture again = {};
	const int err = members_look(b, b->task->endpoint, &again);

	for (size_t i = 0; i < again.count && !err; i++)
		if (!epoll_picture_find(&b->members, &again.members[i].name))
			return 1;
	return err;
}

/*
 * Finds the members, and looks at them for a while. Returns 0, negative errno with `why`, or 1: it
 * has to be tried again, because others have come meanwhile.
 */
static int members_find(struct by_epoll *b, char *why, size_t size)
{
	char text[256];
	bool others = false;
	int err;

	for (size_t i = 0; i < b->members.count; i++)
		epoll_calls_forget(b->calls, i);
	b->members = (struct epoll_picture){};
	err = members_look(b, b->task->endpoint, &b->members);
	for (size_t i = 0; i < b->members.count && !err; i++)
		err = member_watch(b, i);
	if (!err && epoll_picture_refuse(&b->members, &b->facts, why, size))
		return -EOPNOTSUPP;
	for (int i = 0; i < LOOKS && !err && !others; i++) {
		poll(NULL, 0, LOOK_MS);
		err = members_compare(b, text, sizeof(text));
		if (err > 0)
			return loading_fail(-EOPNOTSUPP, why, size, "%s: " CHANGES_ITSELF, text);
		if (!err)
			err = others_look(b);
		others = err > 0;
	}
	if (err < 0)
		return may_not(err, "who watches the socket can't be seen", why, size);
	return others;
}

static void places_offer(struct by_epoll *b);

static int members_open(struct by_epoll *b, char *why, size_t size)
{
	int err = 1;

	for (int i = 0; i < LOOK_ROUNDS && err > 0; i++)
		err = members_find(b, why, size);
	if (err > 0)
		return loading_fail(-EAGAIN, why, size,
				    "more and more epolls watch it: if the server is just "
				    "starting, try again; else: " CHANGES_ITSELF);
	if (!err && members_used(b) < 2)
		return loading_fail(-EAGAIN, why, size, "its workers have ended: try again");
	if (!err)
		places_offer(b);
	return err;
}

/* The listener, its name in fdinfo, and what may stand against moving its entries. */
static int target_open(struct by_epoll *b, char *why, size_t size)
{
	const struct endpoint *e = b->task->endpoint;
	const struct socket_row *listener = listener_find(e);
	const struct holder_row *holders;
	const char *otherwise;
	size_t count;
	int err;

	if (!listener)
		return loading_fail(-EOPNOTSUPP, why, size,
				    "entries can be moved only where one TCP socket listens");
	b->cookie = listener->cookie;
	otherwise = waits_otherwise(e, b->cookie);
	if (otherwise)
		return loading_fail(-EOPNOTSUPP, why, size, "%s", otherwise);
	holders = endpoint_holders(e, b->cookie, &count);
	err = count ? epoll_target_find(holders, &b->target) : -ESRCH;
	if (!err)
		err = listener_ask(b, holders);
	return err ? may_not(err, "the socket can't be taken from its process", why, size) : 0;
}

static void by_epoll_close(void *self);

static int by_epoll_open(void **self, const struct steer_task *task, char *why, size_t size)
{
	struct by_epoll *b = calloc(1, sizeof(*b));
	int err;

	if (!b)
		return loading_fail(-ENOMEM, why, size, "out of memory");
	b->task = task;
	b->guardian = guardian_new(&b->moving);
	err = b->guardian ? 0 : loading_fail(-ENOMEM, why, size, "out of memory");
	if (!err)
		err = target_open(b, why, size);
	if (!err)
		err = epoll_calls_open(&b->calls, why, size);
	if (!err)
		err = members_open(b, why, size);
	if (err) {
		by_epoll_close(b);
		return err;
	}
	b->moving->calls = b->calls;
	b->moving->cookie = b->cookie;
	b->moving->hz = task->hz > 0 ? task->hz : HZ_DEFAULT;
	*self = b;
	return 0;
}

/* ---- while it goes on ---- */

static void place_offer(struct by_epoll *b, size_t place)
{
	const struct epoll_member *m = &b->members.members[place];
	const struct moved moved = {
		.name = m->name,
		.entry = m->entry,
		.listener = m->listener,
		.calls = b->base[place],
	};

	moving_place_set(b->moving, place, &moved);
}

static void places_offer(struct by_epoll *b)
{
	for (size_t i = 0; i < b->members.count; i++)
		if (in_use(&b->members.members[i]))
			place_offer(b, i);
}

/* "EPOLL_CTL_DEL" */
static const char *op_name(int op)
{
	switch (op) {
	case EPOLL_CTL_ADD: return "EPOLL_CTL_ADD";
	case EPOLL_CTL_DEL: return "EPOLL_CTL_DEL";
	case EPOLL_CTL_MOD: return "EPOLL_CTL_MOD";
	default: return "?";
	}
}

/* Why the moving has ended. */
static void trouble_say(const struct by_epoll *b, char *why, size_t size)
{
	const struct moving *m = b->moving;
	const enum mover_trouble trouble = __atomic_load_n(&m->trouble, __ATOMIC_SEQ_CST);
	const struct epoll_member *of = &b->members.members[m->troubled];

	switch (trouble) {
	case MOVER_FINE: snprintf(why, size, "the process that moves entries was killed"); break;
	case MOVER_SERVER_CALLED:
		snprintf(why, size,
			 "%s %" PRId32 " changed its entry itself (%s), which must not be undone",
			 of->process, of->name.pid,
			 op_name(epoll_calls_read(b->calls, m->troubled).op));
		break;
	case MOVER_ENTRY_MISSING:
		snprintf(why, size, "the entry of %s %" PRId32 " was taken out by somebody else",
			 of->process, of->name.pid);
		break;
	case MOVER_ENTRY_THERE:
		snprintf(why, size, "the entry of %s %" PRId32 " was added by somebody else, too",
			 of->process, of->name.pid);
		break;
	case MOVER_FAILED:
		snprintf(why, size, "the entry of %s %" PRId32 " can't be moved: %s", of->process,
			 of->name.pid, strerror(m->error));
		break;
	}
}

static void member_drop(struct by_epoll *b, size_t place)
{
	struct epoll_member *m = &b->members.members[place];

	moving_place_set(b->moving, place, NULL);
	epoll_calls_forget(b->calls, place);
	epoll_names_add(&b->left, m);
	m->entries = 0;
}

/* Members that are gone have no place; those that live on under another name are moved by that. */
static void members_drop(struct by_epoll *b)
{
	for (size_t i = 0; i < b->members.count; i++) {
		struct epoll_member *m = &b->members.members[i];
		const struct epoll_name name = m->name;

		if (!in_use(m))
			continue;
		if (!epoll_look_lives(m))
			member_drop(b, i);
		else if (name.pid != m->name.pid || name.epoll != m->name.epoll)
			place_offer(b, i);
	}
}

/* Much may have happened since it was opened. */
static int by_epoll_begin(void *self, const struct snapshot *now, char *why, size_t size)
{
	struct by_epoll *b = self;
	char text[256];
	int err;

	(void)now; /* its own look sees more */
	members_drop(b);
	err = members_compare(b, text, sizeof(text));
	if (err > 0)
		return loading_fail(-EOPNOTSUPP, why, size, "%s: " CHANGES_ITSELF, text);
	if (err)
		return may_not(err, "who watches the socket can't be seen", why, size);
	if (members_used(b) < 2)
		return loading_fail(-EAGAIN, why, size, "its workers have ended: try again");
	err = guardian_begin(b->guardian);
	return err ? loading_fail(err, why, size, "the process that moves entries can't begin: %s",
				  err == -EAGAIN ? "it was killed, or came too late; try again"
						 : strerror(-err))
		   : 0;
}

static bool has_member(const struct by_epoll *b, const struct holder_row *holder)
{
	for (size_t i = 0; i < b->members.count; i++) {
		const struct epoll_member *m = &b->members.members[i];
		bool found = m->name.pid == holder->pid && m->name.start_ns == holder->start_ns;

		for (size_t j = 0; j < m->other_count && !found; j++)
			found = m->others[j].pid == holder->pid &&
				m->others[j].start_ns == holder->start_ns;
		if (found && in_use(m))
			return true;
	}
	return false;
}

/*
 * Gives an epoll that has joined a place. Returns 0, also if it is not yet known how its entry
 * will be: the next look will tell; 1: it can't be steered, for the reason in `why`; or negative
 * errno.
 */
static int member_join(struct by_epoll *b, const struct epoll_member *new, char *why, size_t size)
{
	size_t place = 0;
	struct epoll_member *m = b->members.members, now;
	bool there;
	int err;

	while (place < b->members.count && in_use(m))
		place++, m++;
	/* Not moved it would soon be first in the queue, for good. */
	if (epoll_member_refuse(new, &b->facts, why, size))
		return 1;
	if (place == b->members.count)
		b->members.count++;
	*m = *new;
	err = member_watch(b, place);
	if (!err)
		err = epoll_look_again(m, &b->target, &now, &there);
	if (err || epoll_member_compare(m, &now, there, why, size) != EPOLL_SAME ||
	    epoll_calls_read(b->calls, place).calls != b->base[place]) {
		epoll_calls_forget(b->calls, place);
		m->entries = 0;
		return err;
	}
	place_offer(b, place);
	epoll_names_add(&b->joined, m);
	return 0;
}

/* Adds the epolls of a process that has none among the members. Returns as member_join(). */
static int holder_add(struct by_epoll *b, const struct holder_row *holder, char *why, size_t size)
{
	struct epoll_picture with = {};
	size_t place[EPOLL_MEMBERS_MAX], known;
	int err;

	for (size_t i = 0; i < b->members.count; i++)
		if (in_use(&b->members.members[i])) {
			place[with.count] = i;
			with.members[with.count++] = b->members.members[i];
		}
	known = with.count;
	err = epoll_look_process(holder, &b->target, &with);
	/* It may have an epoll of another's, by a fork. */
	for (size_t i = 0; i < known && !err; i++) {
		struct epoll_member *m = &b->members.members[place[i]];

		for (size_t j = m->other_count; j < with.members[i].other_count && !err; j++)
			err = name_watch(b, place[i], &with.members[i].others[j]);
		*m = with.members[i];
	}
	for (size_t i = known; i < with.count && !err; i++)
		err = member_join(b, &with.members[i], why, size);
	if (err || !with.omitted)
		return err;
	snprintf(why, size, "more than %d epolls watch it now", EPOLL_MEMBERS_MAX);
	return 1;
}

/*
 * Follows those that have joined. No server is known that gives a process more epolls on a socket
 * while it runs, so processes that have one among the members are not searched again.
 */
static int members_add(struct by_epoll *b, const struct endpoint *now, char *why, size_t size)
{
	size_t count;
	const struct holder_row *holders = endpoint_holders(now, b->cookie, &count);
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		if (!has_member(b, &holders[i]))
			err = holder_add(b, &holders[i], why, size);
	return err;
}

/* Is anybody else waiting on the listener by now? Returns as tick(). */
static int endpoint_follow(struct by_epoll *b, const struct endpoint *now, char *why, size_t size)
{
	const char *otherwise = waits_otherwise(now, b->cookie);

	if (otherwise) {
		snprintf(why, size, "%s", otherwise);
		return 1;
	}
	return members_add(b, now, why, size);
}

static int by_epoll_tick(void *self, const struct snapshot *now, char *why, size_t size)
{
	struct by_epoll *b = self;
	const struct endpoint *e =
		now ? snapshot_find((struct snapshot *)now, b->task->endpoint) : NULL;
	const uint64_t ns = clock_ns(CLOCK_MONOTONIC);
	int err;

	__atomic_store_n(&b->moving->beat_ns, ns, __ATOMIC_RELAXED);
	if (!guardian_lives(b->guardian) ||
	    __atomic_load_n(&b->moving->trouble, __ATOMIC_SEQ_CST) != MOVER_FINE) {
		trouble_say(b, why, size);
		return 1;
	}
	if (ns - b->dropped_ns >= DROP_NS) {
		b->dropped_ns = ns;
		members_drop(b);
	}
	err = e ? endpoint_follow(b, e, why, size) : 0;
	if (err < 0)
		return may_not(err, "who watches the socket can't be seen any more", why, size);
	return err;
}

/* ---- the end ---- */

/* Compares all entries with what they were. Returns 0 or 1 with `text`. */
static int members_verify(struct by_epoll *b, char *text, size_t size)
{
	char one[256];
	size_t unlike = 0, used;

	for (size_t i = 0; i < b->members.count; i++) {
		struct epoll_member *m = &b->members.members[i], now;
		bool there = true;
		int err;

		if (!in_use(m))
			continue;
		err = epoll_look_again(m, &b->target, &now, &there);
		if (err)
			snprintf(one, sizeof(one), "epoll %d of %s %" PRId32 " can't be read: %s",
				 m->name.epoll, m->process, m->name.pid, strerror(-err));
		else if (epoll_member_compare(m, &now, there, one, sizeof(one)) == EPOLL_SAME)
			continue;
		if (!there) {
			epoll_names_add(&b->left, m);
			continue;
		}
		if (!unlike++)
			snprintf(text, size, "%s%s", one,
				 epoll_calls_read(b->calls, i).calls != b->base[i]
					 ? " (the server changed it itself)"
					 : "");
	}
	used = strlen(text);
	if (unlike > 1)
		snprintf(text + used, size - used, ", and %zu others are not as they were",
			 unlike - 1);
	return unlike > 0;
}

static int by_epoll_release(void *self, char *note, size_t size)
{
	struct by_epoll *b = self;
	const struct epoll_member *out;
	size_t used;
	int err;

	*note = '\0';
	if (b->released)
		return b->unlike;
	err = guardian_end(b->guardian);
	b->released = true;
	b->unlike = members_verify(b, note, size);
	if (err) {
		out = &b->members.members[b->moving->taken - 1];
		snprintf(note, size, "the entry of %s %" PRId32 " can't be put back: %s",
			 out->process, out->name.pid, strerror(-err));
		b->unlike = 1;
	}
	if (b->unlike)
		return 1;
	used = epoll_names_say(&b->left, "left", note, size);
	if (used && b->joined.count)
		used += snprintf(note + used, size - used, "; ");
	if (used < size)
		epoll_names_say(&b->joined, "joined", note + used, size - used);
	return 0;
}

static void by_epoll_close(void *self)
{
	struct by_epoll *b = self;

	if (!b)
		return;
	guardian_free(b->guardian);
	epoll_calls_close(b->calls);
	free(b);
}

const struct steer_way_steps steer_by_epoll = {
	.open = by_epoll_open,
	.begin = by_epoll_begin,
	.tick = by_epoll_tick,
	.release = by_epoll_release,
	.close = by_epoll_close,
};
