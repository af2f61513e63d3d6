/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "design.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "connected.h"
#include "findings_rules.h"
#include "judge.h"
#include "lifetimes.h"
#include "multicast.h"
#include "order.h"
#include "snapshot.h"
#include "words.h"

/* At least this many connections, and nine out of ten of all, were each served by a thread or
 * process that was born for it: this can't be chance.
 */
#define BORN_LEAST 3
#define BORN_SHARE 0.9

static const char *const names[] = {
	[DESIGN_UNKNOWN] = "unknown",
	[DESIGN_ALONE] = "alone",
	[DESIGN_SOCKET_EACH] = "socket-each",
	[DESIGN_SHARED_ACCEPT] = "shared-accept",
	[DESIGN_SHARED_POLL] = "shared-poll",
	[DESIGN_SHARED_EPOLL] = "shared-epoll",
	[DESIGN_SHARED_EXCLUSIVE] = "shared-epoll-exclusive",
	[DESIGN_SHARED_EPOLL_FD] = "shared-epoll-fd",
	[DESIGN_SHARED_URING] = "shared-io-uring",
	[DESIGN_HAND_OVER] = "hand-over",
	[DESIGN_PER_CONNECTION] = "per-connection",
	[DESIGN_TURNS] = "turns",
	[DESIGN_LAST_BINDER] = "last-binder",
	[DESIGN_MULTICAST] = "multicast",
	[DESIGN_CONNECTED] = "connected",
};

static const char *const bins_names[] = {
	[BINS_NONE] = "none",       [BINS_WORKERS] = "workers", [BINS_PROCESSES] = "processes",
	[BINS_SOCKETS] = "sockets", [BINS_SERVING] = "serving",
};

const char *design_name(enum design_code code)
{
	return names[code];
}

const char *design_bins_name(enum design_bins bins)
{
	return bins_names[bins];
}

enum design_bins design_bins_parse(const char *name)
{
	for (size_t i = 0; i < sizeof(bins_names) / sizeof(*bins_names); i++)
		if (!strcmp(bins_names[i], name))
			return i;
	return BINS_NONE;
}

bool design_shares_socket(enum design_code code)
{
	return code >= DESIGN_SHARED_ACCEPT && code <= DESIGN_SHARED_URING;
}

/* The workers that can take work, by pid, tid, socket; and what was counted of them. */
struct takers_seen {
	const struct worker_row **rows;
	size_t count;
	size_t threads, processes;
	size_t sockets, most_on_one;   /* threads */
	size_t several;                /* threads that take from more than one socket */
	size_t kinds[WAITS_URING + 1]; /* threads, by how they were last seen to wait */
	size_t exclusive;              /* threads in epoll or poll that wait exclusively */
	size_t epolls;                 /* epolls whose number is known */
	size_t ours;                   /* workers of our own workload, all of which are known */
	uint64_t taken;
};

static int by_epoll(const void *a, const void *b)
{
	const struct worker_row *x = *(const struct worker_row *const *)a,
				*y = *(const struct worker_row *const *)b;

	return x->epoll != y->epoll ? COMPARE(x->epoll, y->epoll) : worker_by_place(a, b);
}

static void count_threads(struct takers_seen *t)
{
	qsort(t->rows, t->count, sizeof(*t->rows), worker_by_place);
	for (size_t i = 0; i < t->count; i++) {
		const struct worker_row *row = t->rows[i], *before = i ? t->rows[i - 1] : NULL;
		const bool process = !before || before->pid != row->pid,
			   thread = process || before->tid != row->tid;

		t->processes += process;
		t->threads += thread;
		t->several += !thread && (i < 2 || t->rows[i - 2]->tid != row->tid);
		t->taken += row->accepted;
		if (!thread)
			continue;
		t->kinds[row->wait_kind]++;
		t->exclusive += (row->wait_kind == WAITS_EPOLL || row->wait_kind == WAITS_POLL) &&
				row->exclusive;
		t->ours += row->number >= 0;
	}
}

static void count_places(struct takers_seen *t)
{
	size_t on_one = 0;

	qsort(t->rows, t->count, sizeof(*t->rows), worker_by_socket);
	for (size_t i = 0; i < t->count; i++) {
		const bool fresh = !i || t->rows[i - 1]->cookie != t->rows[i]->cookie;

		on_one = fresh ? 1 : on_one + 1;
		t->sockets += fresh;
		t->most_on_one = on_one > t->most_on_one ? on_one : t->most_on_one;
	}
	qsort(t->rows, t->count, sizeof(*t->rows), by_epoll);
	for (size_t i = 0; i < t->count; i++)
		t->epolls += t->rows[i]->wait_kind == WAITS_EPOLL && t->rows[i]->epoll &&
			     (!i || t->rows[i - 1]->epoll != t->rows[i]->epoll);
}

/* Picks workers as a verdict picks its bins: a worker that came or went in the window is left out
 * if others lived through it. Returns 0 or -ENOMEM. */
static int takers_see(struct takers_seen *t, const struct endpoint *e)
{
	struct lifetimes seen = endpoint_lifetimes(e);

	*t = (struct takers_seen){ .rows = calloc(e->worker_count + 1, sizeof(*t->rows)) };
	if (!t->rows)
		return -ENOMEM;
	for (size_t i = 0; i < e->worker_count; i++)
		if (e->workers[i].can_accept)
			lifetimes_see(&seen, e->workers[i].appeared,
				      worker_is_past(&e->workers[i]));
	for (size_t i = 0; i < e->worker_count; i++)
		if (e->workers[i].can_accept &&
		    lifetimes_admit(&seen, e->workers[i].appeared, worker_is_past(&e->workers[i])))
			t->rows[t->count++] = &e->workers[i];
	count_threads(t);
	count_places(t);
	return 0;
}

/* The threads that serve what others accepted. Folded rows have ended. */
struct servers_seen {
	size_t threads, processes;   /* without those that accept themselves */
	size_t born, born_processes; /* began in the window and served one connection */
	uint64_t served, by_born;
	bool apart;  /* the threads that accept serve nothing */
	bool inside; /* some serve in the process of a thread that accepts */
};

static struct servers_seen servers_see(const struct endpoint *e)
{
	struct servers_seen s = { .served = e->omitted.served };
	int32_t pid = 0, acceptor = 0;

	s.apart = true;
	for (size_t i = 0; i < e->worker_count; i++)
		acceptor = e->workers[i].accepted ? e->workers[i].pid : acceptor;
	if (e->omitted.workers && e->omitted.served && e->omitted.served <= e->omitted.workers &&
	    !e->omitted.accepted) {
		s.by_born = e->omitted.served;
		s.born = e->omitted.served;
	}
	for (size_t i = 0; i < e->worker_count; i++) {
		const struct worker_row *w = &e->workers[i];

		if (!w->serves)
			continue;
		s.served += w->served;
		s.apart &= !w->served || !w->accepted;
		if (!w->served || w->accepted)
			continue;
		s.threads++;
		s.processes += w->pid != pid;
		s.inside |= w->pid == acceptor;
		pid = w->pid;
		if (!w->appeared || w->served != 1)
			continue;
		s.born++;
		s.born_processes += w->pid == w->tid;
		s.by_born++;
	}
	return s;
}

static void __attribute__((format(printf, 4, 5)))
is(struct design *d, enum design_code code, enum design_bins bins, const char *words, ...)
{
	va_list args;

	d->code = code;
	d->bins = bins;
	va_start(args, words);
	vsnprintf(d->words, sizeof(d->words), words, args);
	va_end(args);
}

/* "4 processes", "1 thread": workers are called processes if each has its own process. */
#define WORKERS_SIZE 48
static const char *say_workers(char buffer[WORKERS_SIZE], const struct takers_seen *t)
{
	if (t->processes == t->threads)
		snprintf(buffer, WORKERS_SIZE, "%zu process%s", t->processes,
			 plural_es(t->processes));
	else if (t->processes > 1)
		snprintf(buffer, WORKERS_SIZE, "%zu threads of %zu processes", t->threads,
			 t->processes);
	else
		snprintf(buffer, WORKERS_SIZE, "%zu thread%s", t->threads, plural_s(t->threads));
	return buffer;
}

/* How the sockets are bound: the number in the largest reuseport group, and the number without
 * SO_REUSEPORT. Ended sockets count only if all have ended. */
struct design_bound {
	size_t grouped, ungrouped;
	bool at_once; /* two sockets without the option shared the port, because both are there now
			 or both were when the window began. Otherwise one may have followed the
			 other */
};

static int bound_see(struct design_bound *bound, const struct endpoint *e)
{
	uint64_t *groups = calloc(e->socket_count + 1, sizeof(*groups));
	size_t live = 0, count = 0, same = 0, now = 0, first = 0;

	*bound = (struct design_bound){};
	if (!groups)
		return -ENOMEM;
	for (size_t i = 0; i < e->socket_count; i++)
		live += !e->sockets[i].ended;
	for (size_t i = 0; i < e->socket_count; i++) {
		if (live && e->sockets[i].ended)
			continue;
		if (e->sockets[i].reuseport) {
			groups[count++] = e->sockets[i].group;
			continue;
		}
		bound->ungrouped++;
		now += !e->sockets[i].ended;
		first += !e->sockets[i].appeared;
	}
	bound->at_once = now > 1 || first > 1;
	qsort(groups, count, sizeof(*groups), compare_u64);
	for (size_t i = 0; i < count; i++) {
		same = i && groups[i] == groups[i - 1] ? same + 1 : 1;
		bound->grouped = same > bound->grouped ? same : bound->grouped;
	}
	free(groups);
	return 0;
}

/*
 * In a runtime, threads move from task to task. Any thread may wait for all of them, but only one
 * at a time (one thread holds Go's netpoller or tokio's driver, and the others sleep elsewhere). By
 * contrast, threads that share an epoll in order to be woken from it sleep in it together whenever
 * they are idle. If no thread was ever seen waiting, it is not known which of the two it is.
 */
static bool take_turns(const struct takers_seen *t, const struct design *d)
{
	return t->threads > t->processes && t->epolls <= t->processes && t->kinds[WAITS_EPOLL] &&
	       !t->kinds[WAITS_BLOCKED] && !t->kinds[WAITS_POLL] && d->waited_at_once &&
	       d->waited_at_once <= t->processes && !t->ours;
}

static void recognise_turns(struct design *d, const struct takers_seen *t, size_t sockets)
{
	if (sockets > 1)
		is(d, DESIGN_TURNS, BINS_SOCKETS,
		   "%zu process%s whose threads take turns, %zu SO_REUSEPORT sockets", t->processes,
		   plural_es(t->processes), sockets);
	else
		is(d, DESIGN_TURNS, t->processes > 1 ? BINS_PROCESSES : BINS_NONE,
		   "%zu process%s whose threads take turns", t->processes, plural_es(t->processes));
}

static void recognise_group(struct design *d, const struct takers_seen *t, size_t sockets)
{
	char workers[WORKERS_SIZE];

	say_workers(workers, t);
	if (take_turns(t, d))
		recognise_turns(d, t, sockets);
	else if (!t->threads)
		is(d, DESIGN_UNKNOWN, BINS_SOCKETS,
		   "%zu SO_REUSEPORT sockets, who takes from them was not seen", sockets);
	else if (t->threads == 1)
		is(d, DESIGN_SOCKET_EACH, BINS_SOCKETS,
		   "1 thread takes from %zu SO_REUSEPORT sockets", sockets);
	else if (!t->several && t->most_on_one == 1)
		is(d, DESIGN_SOCKET_EACH, BINS_WORKERS, "%s, a SO_REUSEPORT socket each", workers);
	else
		is(d, DESIGN_SOCKET_EACH, BINS_SOCKETS, "%s on %zu SO_REUSEPORT sockets", workers,
		   sockets);
}

/* Recognises the design by how the workers of one socket wait. Workers never seen waiting tell
 * nothing; two different ways contradict each other. */
static void recognise_shared(struct design *d, const struct takers_seen *t, bool udp)
{
	const size_t seen = t->threads - t->kinds[WAITS_NOT];
	char workers[WORKERS_SIZE];

	say_workers(workers, t);
	if (take_turns(t, d))
		recognise_turns(d, t, 1);
	else if (seen && t->kinds[WAITS_BLOCKED] == seen)
		is(d, DESIGN_SHARED_ACCEPT, BINS_WORKERS, "%s block in %s on one socket", workers,
		   udp ? "a read" : "accept()");
	else if (seen && t->kinds[WAITS_POLL] == seen)
		is(d, DESIGN_SHARED_POLL, BINS_WORKERS, "%s poll() or select() one socket",
		   workers);
	else if (seen && t->kinds[WAITS_URING] == seen)
		is(d, DESIGN_SHARED_URING, BINS_WORKERS, "%s %s by io_uring from one socket",
		   workers, udp ? "read" : "accept");
	else if (seen && t->kinds[WAITS_EPOLL] == seen && t->epolls < seen && t->epolls &&
		 d->waited_at_once > 1)
		is(d, DESIGN_SHARED_EPOLL_FD, BINS_WORKERS, "%s share %zu epoll%s of one socket",
		   workers, t->epolls, plural_s(t->epolls));
	else if (seen && t->kinds[WAITS_EPOLL] == seen &&
		 (t->epolls == seen || (!t->epolls && t->processes == t->threads)))
		is(d, t->exclusive == seen ? DESIGN_SHARED_EXCLUSIVE : DESIGN_SHARED_EPOLL,
		   BINS_WORKERS, "%s on one socket, an epoll each%s", workers,
		   t->exclusive == seen ? " with EPOLLEXCLUSIVE" : "");
	else if (t->ours)
		is(d, DESIGN_UNKNOWN, BINS_WORKERS, "%s on one socket", workers);
	else
		is(d, DESIGN_UNKNOWN, BINS_NONE, "%s on one socket, %s", workers,
		   !seen                           ? "how they wait was not seen"
		   : t->kinds[WAITS_EPOLL] == seen ? "whether they wait together was not seen"
						   : "how they wait differs");
}

static void recognise_one(struct design *d, const struct takers_seen *t,
			  const struct servers_seen *s, size_t siblings, bool udp)
{
	const bool processes = s->processes == s->threads && !s->inside, one = s->threads == 1;

	/* In a runtime of which only one thread was seen accepting, that thread serves too, so
	 * there is no separate pool of serving threads. */
	if (s->threads)
		is(d, DESIGN_HAND_OVER, s->apart ? BINS_SERVING : BINS_NONE,
		   "1 acceptor, %s%zu %s serve%s", s->apart ? "" : "it and ", s->threads,
		   processes ? one ? "process" : "processes"
		   : one     ? "thread"
			     : "threads",
		   one && s->apart ? "s" : "");
	else if (siblings)
		is(d, DESIGN_UNKNOWN, BINS_NONE,
		   "1 process %s; whether %zu sibling%s that hold%s the socket would is not known",
		   !t->taken ? "waits"
		   : udp     ? "reads all"
			     : "accepts all",
		   siblings, plural_s(siblings), siblings == 1 ? "s" : "");
	else
		is(d, DESIGN_ALONE, BINS_NONE, "1 %s %s",
		   t->rows[0]->pid == t->rows[0]->tid ? "process" : "thread",
		   !t->taken ? "waits"
		   : udp     ? "reads all"
			     : "accepts all");
}

static bool born_for_each(const struct servers_seen *s)
{
	return s->born >= BORN_LEAST && s->by_born >= BORN_SHARE * s->served;
}

/* Only datagrams that are not copies are shared, and the backend does not see which kind a thread
 * read. So the sockets are the bins. */
static void leave_out_copies(struct endpoint *e)
{
	struct design *d = &e->design;
	const size_t length = strlen(d->words);

	if (d->bins != BINS_NONE)
		d->bins = BINS_SOCKETS;
	snprintf(d->words + length, sizeof(d->words) - length,
		 "; copies of multicast are left out");
}

static void recognise(struct endpoint *e, const struct takers_seen *t,
		      const struct design_bound *bound)
{
	const struct servers_seen s = servers_see(e);
	const enum multicast multicast = endpoint_multicast(e);
	const bool udp = e->protocol == PROTOCOL_UDP;
	struct design *d = &e->design;

	if (multicast == MULTICAST_ALL)
		is(d, DESIGN_MULTICAST, BINS_NONE, "multicast: each socket gets a copy");
	else if (multicast == MULTICAST_UNSEEN)
		is(d, DESIGN_MULTICAST, BINS_NONE,
		   "members of multicast groups: copies and unicast are not told apart");
	else if (endpoint_all_connected(e))
		is(d, DESIGN_CONNECTED, BINS_NONE, "%zu connected socket%s, a peer each",
		   e->socket_count, plural_s(e->socket_count));
	else if (e->served_known && born_for_each(&s))
		is(d, DESIGN_PER_CONNECTION, BINS_NONE, "a %s for each connection",
		   s.born_processes ? "process" : "thread");
	else if (bound->grouped > 1)
		recognise_group(d, t, bound->grouped);
	else if (udp && bound->ungrouped > 1 && !bound->at_once)
		is(d, DESIGN_UNKNOWN, BINS_NONE,
		   "%zu sockets, closed by now: one after the other, or by SO_REUSEADDR",
		   bound->ungrouped);
	else if (udp && bound->ungrouped > 1)
		is(d, DESIGN_LAST_BINDER, BINS_SOCKETS, "%zu sockets by SO_REUSEADDR",
		   bound->ungrouped);
	else if (!t->threads)
		is(d, DESIGN_UNKNOWN, BINS_NONE, "nobody was seen to take from it");
	else if (t->threads == 1)
		recognise_one(d, t, &s, e->unsure_siblings, udp);
	else if (t->sockets == 1)
		recognise_shared(d, t, udp);
	else
		is(d, DESIGN_UNKNOWN, t->ours ? BINS_WORKERS : BINS_NONE,
		   "%zu threads on %zu sockets", t->threads, t->sockets);
	if (multicast == MULTICAST_MIXED)
		leave_out_copies(e);
	d->serving = s.threads;
}

int endpoint_recognise(struct endpoint *e)
{
	struct takers_seen t = {};
	struct design_bound bound;

	e->design = (struct design){};
	if (bound_see(&bound, e) || takers_see(&t, e)) {
		free(t.rows);
		return -ENOMEM;
	}
	e->design.processes = t.processes;
	e->design.threads = t.threads;
	e->design.sockets = t.sockets;
	e->design.epolls = t.epolls;
	for (size_t i = 0; i < e->socket_count; i++)
		if (e->sockets[i].waiting_most > e->design.waited_at_once)
			e->design.waited_at_once = e->sockets[i].waiting_most;
	recognise(e, &t, &bound);
	free(t.rows);
	return 0;
}
