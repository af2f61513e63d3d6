/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stall_cause.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CPU_BUSY 0.5 /* of one CPU: the process is busy with something else */

/* What the causes are derived from. */
struct stalled {
	const struct facts *facts;
	const struct socket_row *s;
	const struct holder_row *h;
	bool over; /* the stall is over, and `h` is what the process was then */
};

static void evidence_show(struct stall_cause *out, const char *name, double number)
{
	if (out->evidence_count < sizeof(out->evidence) / sizeof(*out->evidence))
		out->evidence[out->evidence_count++] = (struct evidence){ name, number };
}

static void __attribute__((format(printf, 2, 3)))
say(struct stall_cause *out, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(out->does, sizeof(out->does), format, args);
	va_end(args);
}

static void __attribute__((format(printf, 2, 3)))
advise(struct stall_cause *out, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(out->advice, sizeof(out->advice), format, args);
	va_end(args);
}

/* The word for now, or that for then. */
static const char *tense(const struct stalled *w, const char *now, const char *then)
{
	return w->over ? then : now;
}

/* ---- where threads sleep ---- */

/* The kernel's functions by the beginning of their names, which change from version to version. */
static const struct place {
	const char *begins, *name, *advice;
} places[] = {
	{ "hrtimer_nanosleep", "a timer", NULL },
	{ "do_nanosleep", "a timer", NULL },
	{ "futex_", "a lock or a queue", NULL },
	{ "do_epoll_wait", "epoll_wait()", NULL },
	{ "ep_poll", "epoll_wait()", NULL },
	{ "do_sys_poll", "poll()", NULL },
	{ "do_poll", "poll()", NULL },
	{ "do_select", "select()", NULL },
	{ "poll_schedule_timeout", "poll() or select()", NULL },
	{ "inet_csk_accept", "accept() of another socket", NULL },
	{ "__skb_wait_for_more_packets", "a read of another socket", NULL },
	{ "sk_wait_data", "a read of another socket", NULL },
	{ "unix_stream_", "a read of another socket", NULL },
	{ "pipe_", "a read or write of a pipe", NULL },
	{ "anon_pipe_", "a read or write of a pipe", NULL },
	{ "do_wait", "wait() for a child", NULL },
	{ "do_sigtimedwait", "sigwait()", NULL },
	{ "sigsuspend", "sigsuspend()", NULL },
	{ "__do_sys_pause", "pause()", NULL },
	{ "__ia32_sys_pause", "pause()", NULL },
	{ "__x64_sys_pause", "pause()", NULL },
	{ "sys_pause", "pause()", NULL },
	{ "locks_lock_inode_wait", "a file lock", NULL },
	{ "flock_", "a file lock", NULL },
	{ "fcntl_setlk", "a file lock", NULL },
	{ "__do_semtimedop", "a semaphore", NULL },
	{ "do_semtimedop", "a semaphore", NULL },
	{ "rpc_", "NFS", "see its NFS server" },
	{ "nfs", "NFS", "see its NFS server" },
	{ "request_wait_answer", "a FUSE file system",
	  "see the process that serves that file system" },
	{ "fuse_", "a FUSE file system", "see the process that serves that file system" },
	{ "io_schedule", "a disk", "see its disks" },
	{ "folio_wait_", "a disk", "see its disks" },
	{ "wait_on_page_", "a disk", "see its disks" },
	{ "jbd2_", "a disk", "see its disks" },
};

/* NULL: not a place that we know. */
static const struct place *place_of(const struct hindrance *it)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (!strncmp(it->place, places[i].begins, strlen(places[i].begins)))
			return &places[i];
	return NULL;
}

/* "a timer (hrtimer_nanosleep)"; for a place that we don't know, its name alone. */
#define SLEEP_PLACE_SIZE 80
static const char *say_sleep_place(char buffer[SLEEP_PLACE_SIZE], const struct hindrance *it)
{
	const struct place *place = place_of(it);

	if (place)
		snprintf(buffer, SLEEP_PLACE_SIZE, "%s (%.31s)", place->name, it->place);
	else
		snprintf(buffer, SLEEP_PLACE_SIZE, "%.31s", it->place);
	return buffer;
}

/* ---- causes ---- */

static bool is_traced(struct stall_cause *out, const struct stalled *w)
{
	const struct hindrance *it = &w->h->hindrance;

	if (!it->traced || it->traced + it->stopped < it->threads)
		return false;
	say(out, "%s stopped by a debugger", tense(w, "is", "was"));
	if (it->tracer)
		say(out, "%s stopped by a debugger (pid %" PRId32 ")", tense(w, "is", "was"),
		    it->tracer);
	if (!w->over)
		advise(out, "let that continue it");
	return true;
}

static bool is_stopped(struct stall_cause *out, const struct stalled *w)
{
	const struct hindrance *it = &w->h->hindrance;

	if (!it->stopped || it->stopped < it->threads)
		return false;
	say(out, "%s stopped (SIGSTOP)", tense(w, "is", "was"));
	if (w->over)
		advise(out, "look for what stopped it");
	else
		advise(out, "continue it (kill -CONT %" PRId32 "), or restart it", w->h->pid);
	return true;
}

static bool is_frozen(struct stall_cause *out, const struct stalled *w)
{
	if (!w->h->hindrance.frozen)
		return false;
	say(out, "%s frozen, as all of its cgroup", tense(w, "is", "was"));
	if (w->over)
		advise(out, "look for what froze that (docker pause, systemctl freeze)");
	else
		advise(out,
		       "thaw it (cgroup.freeze or freezer.state; docker unpause, systemctl thaw)");
	return true;
}

/* accept() takes a descriptor before it looks at the queue. */
static bool lacks_descriptors(struct stall_cause *out, const struct stalled *w)
{
	const struct hindrance *it = &w->h->hindrance;

	if (!it->descriptors_full || it->descriptors_full < it->descriptor_looks)
		return false;
	say(out,
	    "%s all %" PRIu64 " of its descriptors in use (RLIMIT_NOFILE %" PRIu64
	    "): accept() %s with EMFILE",
	    tense(w, "has", "had"), it->descriptors, it->descriptors, tense(w, "fails", "failed"));
	advise(out, "raise LimitNOFILE= or ulimit -n, or close what it leaves open");
	evidence_show(out, "descriptors", it->descriptors);
	return true;
}

static bool lacks_files(struct stall_cause *out, const struct stalled *w)
{
	const struct hindrance *it = &w->h->hindrance;

	if (!it->files_full || it->files_full < it->descriptor_looks)
		return false;
	say(out,
	    "%s open no more files: the machine %s as many open as fs.file-max (%" PRIu64
	    ") allows: accept() %s with ENFILE",
	    tense(w, "can", "could"), tense(w, "has", "had"), it->files,
	    tense(w, "fails", "failed"));
	advise(out, "raise fs.file-max, or see who has so many open");
	evidence_show(out, "files", it->files);
	return true;
}

static bool lacks_quota(struct stall_cause *out, const struct stalled *w)
{
	const struct hindrance *it = &w->h->hindrance;

	if (!it->running || it->throttled < 2 || it->throttled * 2 < it->periods)
		return false;
	say(out,
	    "%s used up the CPU quota of its cgroup: it was kept from running in %" PRIu64
	    " of %" PRIu64 " periods",
	    tense(w, "has", "had"), it->throttled, it->periods);
	advise(out, "raise that (CPUQuota=, cpu.max, docker --cpus)");
	evidence_show(out, "periods", it->periods);
	evidence_show(out, "throttled", it->throttled);
	return true;
}

/* As last_taker(), of a stall that is over: what the threads did since must not count. */
static const struct worker_row *last_taker_then(const struct stalled *w)
{
	const struct worker_row *last = NULL;
	size_t count;
	const struct worker_row *const *gone = gone_find(w->facts, w->s->cookie, w->h->pid, &count);

	if (w->h->hindrance.takers) /* then one was alive */
		return NULL;
	for (size_t i = 0; i < count; i++)
		if (!gone[i]->appeared && (!last || gone[i]->accepted > last->accepted))
			last = gone[i];
	return last;
}

/* The ended thread of the process that took most from the socket, if no thread that took from it or
 * waited on it is alive; else NULL. */
static const struct worker_row *last_taker(const struct stalled *w)
{
	const struct takers *takers = takers_find(w->facts, w->s->cookie);
	const struct worker_row *last = NULL;
	size_t count;
	const struct worker_row *const *gone = gone_find(w->facts, w->s->cookie, w->h->pid, &count);

	for (size_t i = 0; i < count; i++)
		last = !last || gone[i]->accepted > last->accepted ? gone[i] : last;
	if (!takers_have(takers, w->h->pid))
		return last;
	/* A first thread that ends before the others stays as a zombie, so its row has not ended.
	 */
	for (size_t i = 0; w->h->hindrance.leader_gone && i < takers->threads; i++) {
		if (takers->rows[i]->pid == w->h->pid && takers->rows[i]->tid != w->h->pid)
			return NULL;
		last = takers->rows[i]->pid == w->h->pid ? takers->rows[i] : last;
	}
	return w->h->hindrance.leader_gone ? last : NULL;
}

static bool lost_its_taker(struct stall_cause *out, const struct stalled *w)
{
	const struct worker_row *last = w->over ? last_taker_then(w) : last_taker(w);

	if (!last)
		return false;
	say(out, "%s on, but its thread %" PRId32 ", which took from this socket, %s ended",
	    tense(w, "lives", "lived"), last->tid, tense(w, "has", "had"));
	advise(out, "%slook for what ended that thread", tense(w, "restart it, and ", ""));
	evidence_show(out, "thread", last->tid);
	return true;
}

/* Socket activation: systemd keeps the socket, and the service that is to take from it gets a
 * descriptor when it starts. */
static bool waits_for_a_service(struct stall_cause *out, const struct stalled *w)
{
	const struct holder_row *h;
	size_t count;

	if (strcmp(w->h->process, "systemd") || w->s->accepted) /* Accept=yes, or it once ran */
		return false;
	h = w->over ? endpoint_stallers(w->facts->endpoint, w->s->cookie, &count)
		    : endpoint_holders(w->facts->endpoint, w->s->cookie, &count);
	for (size_t i = 0; i < count; i++)
		if (strcmp(h[i].process, "systemd"))
			return false;
	say(out, "%s it for a service, which %s not run: nobody else %s it",
	    tense(w, "keeps", "kept"), tense(w, "does", "did"), tense(w, "holds", "held"));
	if (!w->over)
		advise(out,
		       "see why that does not start: systemctl list-sockets, systemctl status");
	return true;
}

static bool hangs(struct stall_cause *out, const struct stalled *w)
{
	const struct hindrance *it = &w->h->hindrance;
	const struct place *place = place_of(it);
	char where[SLEEP_PLACE_SIZE], how_many[48] = "";

	if (it->uninterruptible * 2 <= it->threads)
		return false;
	if (it->threads > 1)
		snprintf(how_many, sizeof(how_many), " (%u of %u threads)", it->uninterruptible,
			 it->threads);
	say(out, "%s, uninterruptible%s%s%s", tense(w, "hangs", "hung"), *it->place ? ", in " : "",
	    *it->place ? say_sleep_place(where, it) : "", how_many);
	if (place && place->advice)
		advise(out, "%s", place->advice);
	else if (it->threads == 1 && !w->over)
		advise(out, "/proc/%" PRId32 "/stack tells where", w->h->pid);
	evidence_show(out, "threads", it->threads);
	evidence_show(out, "uninterruptible", it->uninterruptible);
	return true;
}

static bool took_before(const struct stalled *w)
{
	return w->s->accepted || w->s->waiting_most;
}

/* A server at its limit of connections takes the listener out of its epoll until some connections
 * have ended. */
static const char limit_of_connections[] =
	"servers do that at their limit of connections (maxconn, worker_connections)";

/* If the process has several threads, the one that is to take may sleep elsewhere. This is ruled
 * out only if the socket was seen in one of the process's epolls before. */
static bool does_not_watch(struct stall_cause *out, const struct stalled *w)
{
	const bool before = w->h->polls;

	if (w->h->watching != WATCHING_OTHERS ||
	    !(before || w->h->hindrance.threads + w->h->hindrance.others == 1))
		return false;
	say(out, "%s in epoll_wait(), and this socket %s in none of its epolls%s",
	    tense(w, "sleeps", "slept"), tense(w, "is", "was"), before ? " any more" : "");
	if (before || took_before(w))
		advise(out, "%s", limit_of_connections);
	else
		out->told_little = true;
	return true;
}

static bool watches_otherwise(struct stall_cause *out, const struct stalled *w)
{
	if (w->h->watching != WATCHING_OTHERWISE)
		return false;
	say(out, "%s in an epoll that %s this socket without EPOLLIN", tense(w, "sleeps", "slept"),
	    tense(w, "has", "had"));
	advise(out, "%s", limit_of_connections);
	return true;
}

static bool has_not_armed(struct stall_cause *out, const struct stalled *w)
{
	if (w->h->watching != WATCHING_DISARMED)
		return false;
	say(out,
	    "%s in an epoll that %s reported this socket once (EPOLLONESHOT) and was not "
	    "told to do so again",
	    tense(w, "sleeps", "slept"), tense(w, "has", "had"));
	advise(out, "arm it again (EPOLL_CTL_MOD) when that event is dealt with");
	return true;
}

static bool watches_edges(struct stall_cause *out, const struct stalled *w)
{
	if (w->h->watching != WATCHING_EDGE)
		return false;
	say(out,
	    "%s in an epoll that reports each arrival once (EPOLLET): what it left in the "
	    "queue then is not reported again",
	    tense(w, "sleeps", "slept"));
	advise(out, "accept until EAGAIN at each event");
	return true;
}

static bool is_busy(struct stall_cause *out, const struct stalled *w)
{
	const struct hindrance *it = &w->h->hindrance;

	if (!it->cpu_known || it->cpu < CPU_BUSY)
		return false;
	say(out, "%s busy (%.0f %% of a CPU), but %s none", tense(w, "is", "was"), it->cpu * 100,
	    tense(w, "takes", "took"));
	advise(out, "see with what%s: perf top -p %" PRId32, tense(w, "", ", if it happens again"),
	       w->h->pid);
	evidence_show(out, "cpu", it->cpu);
	return true;
}

/* "has 12 of its 14 threads asleep"; if other threads don't take from the socket: "has the thread
 * that takes from it asleep" */
static void say_threads(struct stall_cause *out, unsigned count, const struct stalled *w,
			const char *how, const char *where)
{
	const struct hindrance *it = &w->h->hindrance;
	const char *has = tense(w, "has", "had");
	const bool some = it->takers && it->others;

	if (some && it->threads == 1)
		say(out, "%s the thread that takes from it %s%s", has, how, where);
	else
		say(out, "%s %u of %s %u threads %s%s%s", has, count, some ? "the" : "its",
		    it->threads, some ? "that take from it " : "", how, where);
}

static bool is_running(struct stall_cause *out, const struct stalled *w)
{
	const struct hindrance *it = &w->h->hindrance;

	if (!it->running || it->running * 2 < it->threads)
		return false;
	if (it->threads + it->others == 1)
		say(out, "%s running", tense(w, "is", "was"));
	else
		say_threads(out, it->running, w, "running", "");
	out->told_little = true;
	return true;
}

/* Without /proc/PID/wchan the place where most of the threads sleep is not known. */
static bool sleeps(struct stall_cause *out, const struct stalled *w)
{
	const struct hindrance *it = &w->h->hindrance;
	const unsigned asleep =
		*it->place ? it->at_place : it->threads - it->running - it->stopped - it->traced;
	char place[SLEEP_PLACE_SIZE], where[SLEEP_PLACE_SIZE + 8] = "";

	if (!asleep)
		return false;
	if (*it->place)
		snprintf(where, sizeof(where), " in %s", say_sleep_place(place, it));
	if (it->leader_gone && !it->takers)
		say(out, "%s on without its main thread: %u of %u others %s%s",
		    tense(w, "lives", "lived"), asleep, it->threads,
		    tense(w, asleep == 1 ? "sleeps" : "sleep", "slept"), where);
	else if (it->threads + it->others == 1)
		say(out, "%s%s", tense(w, "sleeps", "slept"), where);
	else
		say_threads(out, asleep, w, "asleep", where);
	out->told_little = true;
	evidence_show(out, "threads", it->threads);
	evidence_show(out, "asleep", asleep);
	return true;
}

/* The process would take what is queued if it had been woken, so another process must have been
 * woken instead. */
static bool is_ready(struct stall_cause *out, const struct stalled *w)
{
	if (w->h->watching != WATCHING_SLEEPS)
		return false;
	say(out, "%s on it, and was not woken", tense(w, "waits", "waited"));
	return true;
}

static const struct kind {
	const char *code;
	enum {
		UNABLE,
		TO_BLAME,
		INNOCENT
	} is; /* it can't take anything; it doesn't take; another process would have to */
	bool (*find)(struct stall_cause *, const struct stalled *);
} kinds[] = {
	{ "traced", UNABLE, is_traced },
	{ "stopped", UNABLE, is_stopped },
	{ "frozen", UNABLE, is_frozen },
	{ "descriptors", UNABLE, lacks_descriptors },
	{ "files", UNABLE, lacks_files },
	{ "cpu-quota", TO_BLAME, lacks_quota },
	{ "thread-ended", TO_BLAME, lost_its_taker },
	{ "service", TO_BLAME, waits_for_a_service },
	{ "uninterruptible", TO_BLAME, hangs },
	{ "epoll-oneshot", TO_BLAME, has_not_armed },
	{ "epoll-edge", TO_BLAME, watches_edges },
	{ "epoll-events", TO_BLAME, watches_otherwise },
	{ "epoll-without", TO_BLAME, does_not_watch },
	{ "waits", INNOCENT, is_ready },
	{ "busy", TO_BLAME, is_busy },
	{ "running", TO_BLAME, is_running },
	{ "asleep", TO_BLAME, sleeps },
};

void stall_cause_find(struct stall_cause *out, const struct facts *facts,
		      const struct socket_row *s, const struct holder_row *h, bool over)
{
	const struct stalled w = { facts, s, h, over };
	const unsigned count =
		h->hindrance.looks && h->hindrance.threads ? sizeof(kinds) / sizeof(*kinds) : 0;

	*out = (struct stall_cause){ .code = "unknown",
				     .place = sizeof(kinds) / sizeof(*kinds),
				     .does = "holds it" };
	if (over)
		say(out, "held it");
	for (unsigned i = 0; i < count; i++) {
		if (!kinds[i].find(out, &w))
			continue;
		out->code = kinds[i].code;
		out->unable = kinds[i].is == UNABLE;
		out->place = kinds[i].is == INNOCENT ? out->place : i;
		return;
	}
}
