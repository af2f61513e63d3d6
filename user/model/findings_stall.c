/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules about sockets from which nothing is taken, now or for a part of the window: which process
 * lets the connections wait, and why. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "stall_cause.h"
#include "words.h"

/* ---- one look ---- */

/* Do all threads of the process wait for children or signals, or in accept() of another socket?
 * Then it keeps the socket for others, or inherited it with its own. */
static bool only_keeps(const struct holder_row *h)
{
	static const char *const places[] = { "do_wait",          "sigsuspend",
					      "do_sigtimedwait",  "__do_sys_pause",
					      "__ia32_sys_pause", "__x64_sys_pause",
					      "sys_pause",        "inet_csk_accept" };
	const struct hindrance *it = &h->hindrance;

	if (h->polls || h->watching == WATCHING_SLEEPS || !it->threads ||
	    it->at_place < it->threads)
		return false;
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (!strcmp(it->place, places[i]))
			return true;
	return false;
}

/*
 * Are all processes that would have to take from the socket unable to take anything? If the socket
 * is in an epoll of such a process, those that have it in none of theirs are not asked: they only
 * inherited it. With nginx's `reuseport`, each worker holds the sockets of all.
 */
static bool all_unable(const struct facts *facts, const struct socket_row *s)
{
	size_t count, unable = 0, unable_by_epoll = 0, able = 0, able_by_epoll = 0;
	const struct holder_row *h = endpoint_holders(facts->endpoint, s->cookie, &count);
	struct stall_cause cause;

	for (size_t i = 0; i < count; i++) {
		if (h[i].hindrance.looks && !h[i].hindrance.threads) /* a zombie */
			continue;
		stall_cause_find(&cause, facts, s, &h[i], false);
		if (cause.unable) {
			unable++;
			unable_by_epoll += h[i].polls;
		} else if (!only_keeps(&h[i])) {
			able++;
			able_by_epoll += h[i].polls || h[i].watching == WATCHING_SLEEPS;
		}
	}
	return unable && (!able || (unable_by_epoll && !able_by_epoll));
}

bool socket_stalled(const struct facts *facts, const struct socket_row *s)
{
	if (facts->endpoint->protocol != PROTOCOL_TCP || s->ended || !s->queue_known ||
	    !s->queue_length)
		return false;
	return s->stalled_ns >= STALLED_NS || (!s->full_known && all_unable(facts, s));
}

/* Processes that only keep the socket for their children. There are few of them; any beyond the
 * room here are taken for workers. */
struct masters {
	int32_t pids[8];
	size_t count;
};

static bool is_master(const struct masters *masters, int32_t pid)
{
	for (size_t i = 0; i < masters->count; i++)
		if (masters->pids[i] == pid)
			return true;
	return false;
}

static struct masters masters_find(const struct holder_row *rows, size_t count)
{
	struct masters found = {};

	for (size_t i = 0; i < count && found.count < sizeof(found.pids) / sizeof(*found.pids); i++)
		if (rows[i].parent && !is_master(&found, rows[i].parent))
			found.pids[found.count++] = rows[i].parent;
	return found;
}

/* The holder of the socket that is most to blame for the waiting queue. */
struct culprit {
	const struct holder_row *h; /* NULL: none is known */
	struct stall_cause cause;
	bool over;               /* of a past stall */
	size_t likewise, others; /* further holders with the same cause; and further ones, with
				    another cause, that may be to blame too */
};

/* Rank of a holder; the lowest is blamed first. If the processes that take from the socket are
 * known, they come before the others; masters come last. Among equals the most certain cause
 * decides. */
static unsigned blame(const struct takers *takers, const struct masters *masters,
		      const struct holder_row *h)
{
	return (takers && !takers_have(takers, h->pid) ? 2 : 0) + is_master(masters, h->pid);
}

/* Did a thread of the process take from the socket, at any time of the window? */
static bool took(const struct facts *facts, const struct socket_row *s, int32_t pid)
{
	size_t count;

	gone_find(facts, s->cookie, pid, &count);
	return count || takers_have(takers_find(facts, s->cookie), pid);
}

/* The same rank, when the stall is over: whoever took from the socket may have ended. */
static unsigned blame_then(const struct facts *facts, const struct socket_row *s,
			   const struct masters *masters, const struct holder_row *h)
{
	return (took(facts, s, h->pid) ? 0 : 2) + is_master(masters, h->pid);
}

/* over: of the past stall of the socket. */
static struct culprit culprit_find(const struct facts *facts, const struct socket_row *s, bool over)
{
	const struct takers *takers = takers_find(facts, s->cookie);
	struct culprit found = { .over = over };
	unsigned least = UINT_MAX;
	size_t count;
	const struct holder_row *rows = over ? endpoint_stallers(facts->endpoint, s->cookie, &count)
					     : endpoint_holders(facts->endpoint, s->cookie, &count);
	const struct masters masters = masters_find(rows, count);

	for (size_t i = 0; i < count; i++) {
		const unsigned rank = over ? blame_then(facts, s, &masters, &rows[i])
					   : blame(takers, &masters, &rows[i]);
		struct stall_cause cause;

		if (rank > least)
			continue;
		stall_cause_find(&cause, facts, s, &rows[i], over);
		if (rank == least && cause.place >= found.cause.place) {
			found.likewise += !strcmp(cause.code, found.cause.code);
			found.others += strcmp(cause.code, found.cause.code) != 0;
			continue;
		}
		found.others = rank == least ? found.others + 1 + found.likewise : 0;
		found.likewise = 0;
		found.h = &rows[i];
		found.cause = cause;
		least = rank;
	}
	return found;
}

/* "nginx 700 is stopped (SIGSTOP) (and 2 more likewise); continue it (kill -CONT 700), or restart
 * it" */
#define CULPRIT_SIZE (PROCESS_SIZE + 300)
static void say_culprit(char buffer[CULPRIT_SIZE], const struct culprit *c)
{
	char more[60] = "", who[PROCESS_SIZE];

	if (!c->h) {
		snprintf(buffer, CULPRIT_SIZE, "no process was seen to hold it");
		return;
	}
	if (c->likewise)
		snprintf(more, sizeof(more), " (%zu more likewise)", c->likewise);
	else if (c->others)
		snprintf(more, sizeof(more), " (%zu more %s it)", c->others,
			 c->over          ? "held"
			 : c->others == 1 ? "holds"
					  : "hold");
	snprintf(buffer, CULPRIT_SIZE, "%s %s%s%s%s",
		 say_process(who, c->h->process, c->h->pid, c->h->cgroup), c->cause.does, more,
		 *c->cause.advice ? "; " : "", c->cause.advice);
}

static void show_cause(struct finding *f, const struct stall_cause *cause)
{
	f->cause = cause->code;
	for (size_t i = 0; i < cause->evidence_count; i++)
		finding_show(f, cause->evidence[i].name, cause->evidence[i].number);
}

static bool stalled_socket(struct finding *f, const struct facts *facts, const struct socket_row *s)
{
	const struct group *group = group_find(facts, s->group);
	char duration[DURATION_SIZE], since[DURATION_SIZE + 40] = "", who[CULPRIT_SIZE];
	const char *never = "";
	struct culprit culprit;

	if (!socket_stalled(facts, s))
		return false;
	culprit = culprit_find(facts, s, false);
	say_culprit(who, &culprit);
	if (culprit.cause.told_little && !s->accepted && !s->waiting_most && s->waiting_known &&
	    !takers_find(facts, s->cookie))
		never = ", and no thread was seen to wait on this socket or take from it";
	if (s->stalled_ns)
		snprintf(since, sizeof(since), ", none taken for %s",
			 say_duration(duration, s->stalled_ns));
	finding_say(f, "%" PRIu32 " connection%s queued on " SOCKET "%s: %s%s", s->queue_length,
		    plural_s(s->queue_length), s->cookie, s->inode, since, who, never);
	finding_offer_steer(f, facts);
	if (culprit.h)
		finding_show(f, "pid", culprit.h->pid);
	finding_show(f, "queued", s->queue_length);
	finding_show(f, "queued_before", s->stalled_length);
	finding_show(f, "stalled_seconds", s->stalled_ns / 1e9);
	finding_show(f, "sockets", group ? group->sockets : 1);
	if (culprit.h)
		show_cause(f, &culprit.cause);
	return true;
}

/* ---- stalls that are over ---- */

/*
 * A server that has just begun may take a while until it accepts: a new socket, or one that was
 * handed to a process that began in the window (socket activation). That is a start, not a stall,
 * unless something kept the process from taking anything.
 */
static bool was_starting(const struct socket_row *s, const struct culprit *c)
{
	return s->stall.fresh && !c->cause.unable &&
	       (s->appeared || !c->h || c->h->appeared || !strcmp(c->cause.code, "service"));
}

/* "18:55:55 to 18:56:01 UTC" */
#define SPAN_SIZE 48
static const char *say_span(char buffer[SPAN_SIZE], const struct snapshot *snapshot,
			    const struct stall *stall)
{
	const int64_t last_ms = snapshot->start_ms + stall->last_ns / 1000000;
	const time_t from = (last_ms - (int64_t)(stall->ns / 1000000)) / 1000, to = last_ms / 1000;
	char begin[16], end[16];
	struct tm tm;

	strftime(begin, sizeof(begin), "%H:%M:%S", gmtime_r(&from, &tm));
	strftime(end, sizeof(end), "%H:%M:%S", gmtime_r(&to, &tm));
	snprintf(buffer, SPAN_SIZE, "%s to %s UTC", begin, end);
	return buffer;
}

/* ", 40 SYNs and ACKs dropped, the longest wait 6.0 s". The wait is exact, and its beginning and
 * end are not those of looks. */
#define BESIDES_SIZE (DURATION_SIZE + 80)
static const char *say_besides(char buffer[BESIDES_SIZE], const struct socket_row *s)
{
	char longest[DURATION_SIZE], drops[56] = "", wait[DURATION_SIZE + 24] = "";

	if (s->stall.drops)
		snprintf(drops, sizeof(drops), ", %" PRIu64 " %s dropped", s->stall.drops,
			 s->stall.drops == 1 ? "SYN or ACK" : "SYNs and ACKs");
	if (s->wait_known && s->wait.count && s->wait.max_ns >= s->stall.ns)
		snprintf(wait, sizeof(wait), ", the longest wait %s",
			 say_duration(longest, s->wait.max_ns));
	snprintf(buffer, BESIDES_SIZE, "%s%s", drops, wait);
	return buffer;
}

/*
 * The longest stall of the window, if it is over: looks found it while it lasted. What hindered the
 * holders was kept from the last of them. If a stall goes on, stalled_socket() tells that one.
 */
static bool was_stalled(struct finding *f, const struct facts *facts, const struct socket_row *s)
{
	const struct stall *stall = &s->stall;
	char duration[DURATION_SIZE], span[SPAN_SIZE], besides[BESIDES_SIZE], who[CULPRIT_SIZE];
	struct culprit culprit;

	if (!stall->ns || !stall->over || stall->over_ns <= 0 || socket_stalled(facts, s))
		return false;
	culprit = culprit_find(facts, s, true);
	if (was_starting(s, &culprit))
		return false;
	say_culprit(who, &culprit);
	finding_say(f,
		    "nothing was taken from " SOCKET " for at least %s (%s%s), %" PRIu32
		    " connection%s queued%s: %s",
		    s->cookie, s->inode, say_duration(duration, stall->ns),
		    say_span(span, facts->snapshot, stall),
		    stall->count > 1 ? ", the longest time of several" : "", stall->length,
		    plural_s(stall->length), say_besides(besides, s), who);
	if (culprit.h)
		finding_show(f, "pid", culprit.h->pid);
	finding_show(f, "seconds", stall->ns / 1e9);
	finding_show(f, "queued", stall->length);
	finding_show(f, "drops", stall->drops);
	finding_show(f, "stalls", stall->count);
	if (s->wait_known && s->wait.count)
		finding_show(f, "wait_max_ns", s->wait.max_ns);
	if (culprit.h)
		show_cause(f, &culprit.cause);
	return true;
}

/* ---- workers that are stopped ---- */

/* A process that is stopped, and what that does to the port. */
struct halted {
	const struct worker_row *w; /* one of its rows; NULL: no process is */
	uint64_t open, taken;       /* by all its rows on the port */
	size_t others;              /* further such processes */
};

/* T alone: a process that a debugger merely follows is in state t again and again. */
static bool is_halted(const struct worker_row *w)
{
	return !w->ended && w->state == 'T';
}

/* Has stalled_socket() named the process? */
static bool is_told(const struct endpoint *e, int32_t pid)
{
	for (size_t i = 0; i < e->finding_count; i++)
		for (size_t k = 0; k < e->findings[i].evidence_count; k++)
			if (!strcmp(e->findings[i].code, "stalled-socket") &&
			    !strcmp(e->findings[i].evidence[k].name, "pid") &&
			    e->findings[i].evidence[k].number == pid)
				return true;
	return false;
}

static struct halted halted_sum(const struct endpoint *e, const struct worker_row *of)
{
	struct halted sum = { .w = of };

	for (size_t i = 0; i < e->worker_count; i++) {
		if (e->workers[i].pid != of->pid || e->workers[i].ended)
			continue;
		sum.open += e->workers[i].open_known ? e->workers[i].open : 0;
		sum.taken += e->workers[i].accepted;
	}
	return sum;
}

/* The mean of what a process took; only where that is uneven. Else 0. */
static double uneven_mean(const struct endpoint *e)
{
	const struct fairness *fair = &e->process_fairness;

	return fair->verdict == VERDICT_UNEVEN && fair->bins ? (double)fair->events / fair->bins
							     : 0;
}

/* Finds the stopped process with the most open connections, of those that matter: they hold open
 * connections, or took less than the mean where the processes took unevenly. */
static struct halted halted_find(const struct endpoint *e)
{
	const double mean = uneven_mean(e);
	struct halted most = {};
	int32_t seen = 0; /* rows are sorted by socket, then by process */

	for (size_t i = 0; i < e->worker_count; i++) {
		const struct worker_row *w = &e->workers[i];
		struct halted one;

		if (!is_halted(w) || w->pid == seen || (most.w && w->pid == most.w->pid))
			continue;
		seen = w->pid;
		one = halted_sum(e, w);
		if (is_told(e, w->pid) || (!one.open && (double)one.taken >= mean))
			continue;
		one.others = most.w ? most.others + 1 : 0;
		if (most.w && most.open >= one.open)
			most.others++;
		else
			most = one;
	}
	return most;
}

/*
 * On a socket that several share, a stopped worker lets nothing wait in the queue: the others take
 * what comes. But who is connected to it gets no answer, and its share is done by the others.
 */
static bool stopped_worker(struct finding *f, const struct facts *facts)
{
	const struct halted h = halted_find(facts->endpoint);
	char who[PROCESS_SIZE], open[80] = "", more[40] = "";

	if (!h.w)
		return false;
	if (h.open)
		snprintf(open, sizeof(open),
			 ", and %" PRIu64 " open connection%s of it get%s no answer", h.open,
			 plural_s(h.open), h.open == 1 ? "s" : "");
	if (h.others)
		snprintf(more, sizeof(more), " (%zu more likewise)", h.others);
	finding_say(
		f,
		"%s is stopped (SIGSTOP)%s: it takes nothing%s; continue it (kill -CONT %" PRId32
		"), or restart it",
		say_process(who, h.w->process, h.w->pid, h.w->cgroup), more, open, h.w->pid);
	f->cause = "stopped";
	finding_show(f, "pid", h.w->pid);
	finding_show(f, "open", h.open);
	finding_show(f, "taken", h.taken);
	finding_show(f, "processes", h.others + 1);
	return true;
}

static const struct rule rules[] = {
	{ "stalled-socket", FINDING_PROBLEM, .of_socket = stalled_socket },
	{ "was-stalled", FINDING_PROBLEM, .of_socket = was_stalled, .of_ended = true },
	{ "worker-stopped", FINDING_PROBLEM, .of_endpoint = stopped_worker },
};

const struct rule_table stall_rules = { rules, sizeof(rules) / sizeof(*rules) };

/* ---- long waits ---- */

/* Does a problem that is told of the socket make its connections wait? */
static bool wait_is_explained(const struct endpoint *e, const struct socket_row *s)
{
	static const char *const causes[] = { "backlog-small",   "queue-near-limit",
					      "socket-unwaited", "accepted-dead",
					      "slow-worker",     "worker-pauses" };

	for (size_t i = 0; i < e->finding_count; i++)
		for (size_t k = 0; k < sizeof(causes) / sizeof(*causes); k++)
			if (!strcmp(e->findings[i].code, causes[k]) &&
			    (!e->findings[i].cookie || e->findings[i].cookie == s->cookie))
				return true;
	return false;
}

/*
 * Waits are measured exactly, looks come now and then: if connections waited for long and no look
 * found a stall, that is all that is known. A new socket's first connections may have waited for
 * its server to start.
 */
static bool long_waits(struct finding *f, const struct facts *facts, const struct socket_row *s)
{
	const double p99 = wait_quantile_ns(&s->wait, facts->endpoint->histograms, 0.99);
	char longest[DURATION_SIZE], most[DURATION_SIZE], rest[DURATION_SIZE + 8] = "";

	if (facts->endpoint->protocol != PROTOCOL_TCP || !s->wait_known || !s->wait.count ||
	    s->wait.max_ns < STALL_LONG_NS || s->stall.ns || s->appeared ||
	    socket_stalled(facts, s) || wait_is_explained(facts->endpoint, s))
		return false;
	if (!isnan(p99))
		snprintf(rest, sizeof(rest), ", p99 %s", say_duration(most, p99));
	finding_say(f,
		    "connections waited up to %s for accept() on " SOCKET " (%" PRIu64
		    " waited%s); why was not seen: accept faster (more workers, or "
		    "less work between two accepts), or watch with -i 1 who lets them wait",
		    say_duration(longest, s->wait.max_ns), s->cookie, s->inode, s->wait.count,
		    rest);
	finding_show(f, "wait_max_ns", s->wait.max_ns);
	if (!isnan(p99))
		finding_show(f, "wait_p99_ns", p99);
	finding_show(f, "connections", s->wait.count);
	return true;
}

static const struct rule rules_of_waits[] = {
	{ "long-waits", FINDING_PROBLEM, .of_socket = long_waits },
};

const struct rule_table wait_rules = { rules_of_waits,
				       sizeof(rules_of_waits) / sizeof(*rules_of_waits) };
