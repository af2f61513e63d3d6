/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Why nothing is taken from a socket: user/model/stall_cause.c, as its finding says it. Each cause,
 * and what is short of it by one. */
#include "findings_fixture.h"

#define NEVER ", and no thread was seen to wait on this socket or take from it"

/* One connection is queued on a socket that one process holds, which sleeps; a thread of it was
 * seen to wait. */
static struct hindrance *add_one(struct fixture *f, struct endpoint **e, char state,
				 const char *place)
{
	struct socket_row *s;

	*e = add_port(f, PROTOCOL_TCP, "0.0.0.0", 80);
	s = add_socket(*e, 17, 0);
	s->waiting = 0;
	s->waiting_most = 1;
	s->queue_length = 1;
	s->full_known = true;
	s->stalled_ns = 1000000000;
	return add_look(add_holder(*e, 17, 700, "server"), state, place);
}

#define assert_cause(f, e, code, says) assert_cause_at(f, e, code, says, __LINE__)
static void assert_cause_at(struct fixture *f, const struct endpoint *e, const char *code,
			    const char *says, int line)
{
	static const char begins[] =
		"1 connection queued on socket 17 (inode 1017), none taken for 1.0 s: ";
	const struct finding *found;

	fill(f);
	found = e->findings;
	if (e->finding_count != 1 || strcmp(found->code, "stalled-socket") ||
	    strncmp(found->text, begins, strlen(begins)))
		fail_msg("line %d: %zu findings: %s", line, e->finding_count,
			 e->finding_count ? found->text : "");
	if (strcmp(found->cause, code) || strcmp(found->text + strlen(begins), says))
		fail_msg("line %d: %s: %s", line, found->cause, found->text + strlen(begins));
	done(f);
}

static void descriptors_at_every_look(void **state)
{
	struct fixture f = {};
	struct endpoint *e;
	struct hindrance *it = add_one(&f, &e, 'R', "");

	(void)state;
	it->looks = it->descriptor_looks = it->descriptors_full = 3;
	it->descriptors = 40;
	assert_cause(&f, e, "descriptors",
		     "server 700 has all 40 of its descriptors in use (RLIMIT_NOFILE 40): accept() "
		     "fails with EMFILE; raise"
		     " LimitNOFILE= or ulimit -n, or close what it leaves open");
	it->descriptors_full = 2; /* not at all of them */
	assert_cause(&f, e, "running", "server 700 is running");
	it->descriptor_looks = 2; /* at one they could not be read */
	assert_cause(&f, e, "descriptors",
		     "server 700 has all 40 of its descriptors in use (RLIMIT_NOFILE 40): accept() "
		     "fails with EMFILE; raise"
		     " LimitNOFILE= or ulimit -n, or close what it leaves open");
	it->descriptor_looks = it->descriptors_full = 0;
	assert_cause(&f, e, "running", "server 700 is running");
}

static void files_of_the_machine(void **state)
{
	struct fixture f = {};
	struct endpoint *e;
	struct hindrance *it = add_one(&f, &e, 'R', "");

	(void)state;
	it->looks = 3; /* at the first that was not asked for */
	it->descriptor_looks = it->files_full = 2;
	it->files = 5000;
	assert_cause(&f, e, "files",
		     "server 700 can open no more files: the machine has as many open as "
		     "fs.file-max (5000) allows: accept() fails with ENFILE; raise"
		     " fs.file-max, or see who has so many open");
	it->files_full = 1;
	assert_cause(&f, e, "running", "server 700 is running");
}

static void what_keeps_it_from_running(void **state)
{
	struct fixture f = {};
	struct endpoint *e;
	struct hindrance *it = add_one(&f, &e, 'T', "");

	(void)state;
	it->descriptors_full = 1; /* that it is stopped comes first */
	assert_cause(
		&f, e, "stopped",
		"server 700 is stopped (SIGSTOP); continue it (kill -CONT 700), or restart it");
	it->threads = 2; /* one of them goes on */
	it->descriptors_full = 0;
	assert_cause(&f, e, "asleep", "server 700 has 1 of its 2 threads asleep");
	it->traced = 1;
	assert_cause(&f, e, "traced", "server 700 is stopped by a debugger; let that continue it");
	it->tracer = 77;
	assert_cause(&f, e, "traced",
		     "server 700 is stopped by a debugger (pid 77); let that continue it");
	*it = (struct hindrance){
		.looks = 1, .threads = 1, .frozen = true, .at_place = 1, .place = "get_signal"
	};
	assert_cause(&f, e, "frozen",
		     "server 700 is frozen, as all of its cgroup; thaw it (cgroup.freeze or "
		     "freezer.state; docker unpause, systemctl thaw)");
	it->frozen = false;
	assert_cause(&f, e, "asleep", "server 700 sleeps in get_signal");
}

static void its_quota(void **state)
{
	struct fixture f = {};
	struct endpoint *e;
	struct hindrance *it = add_one(&f, &e, 'R', "");

	(void)state;
	it->periods = 20;
	it->throttled = 10;
	assert_cause(&f, e, "cpu-quota",
		     "server 700 has used up the CPU quota of its cgroup: it was kept from running "
		     "in 10 of 20 periods; raise that"
		     " (CPUQuota=, cpu.max, docker --cpus)");
	it->throttled = 9;
	assert_cause(&f, e, "running", "server 700 is running");
	it->throttled = 20;
	it->running = 0; /* another of its cgroup used it up */
	strcpy(it->place, "futex_do_wait");
	it->at_place = 1;
	assert_cause(&f, e, "asleep", "server 700 sleeps in a lock or a queue (futex_do_wait)");
}

static void a_thread_that_has_ended(void **state)
{
	struct fixture f = {};
	struct endpoint *e;
	struct hindrance *it = add_one(&f, &e, 'S', "futex_do_wait");
	struct worker_row *w = add_worker(e, 17, 700, 703), *other;

	(void)state;
	it->threads = it->at_place = 12;
	w->accepted = 9;
	w->ended = true;
	assert_cause(&f, e, "thread-ended",
		     "server 700 lives on, but its thread 703, which took from this socket, has "
		     "ended; restart it, and look for what"
		     " ended that thread");
	w->ended = false;
	assert_cause(
		&f, e, "asleep",
		"server 700 has 12 of its 12 threads asleep in a lock or a queue (futex_do_wait)");
	w->ended = true;
	other = add_worker(e, 17, 700, 704);
	assert_cause(
		&f, e, "asleep",
		"server 700 has 12 of its 12 threads asleep in a lock or a queue (futex_do_wait)");
	other->pid = 900; /* of another process, which is not known to hold it */
	assert_cause(&f, e, "thread-ended",
		     "server 700 lives on, but its thread 703, which took from this socket, has "
		     "ended; restart it, and look for what"
		     " ended that thread");
	/* The first thread stays as a zombie. */
	w->tid = 700;
	w->ended = false;
	it->leader_gone = true;
	it->threads = it->at_place = 1;
	assert_cause(&f, e, "thread-ended",
		     "server 700 lives on, but its thread 700, which took from this socket, has "
		     "ended; restart it, and look for what"
		     " ended that thread");
	e->worker_count = 0;
	assert_cause(&f, e, "asleep",
		     "server 700 lives on without its main thread: 1 of 1 others sleeps in a lock "
		     "or a queue (futex_do_wait)");
}

static void a_service_that_does_not_run(void **state)
{
	struct fixture f = {};
	struct endpoint *e;

	(void)state;
	add_one(&f, &e, 'S', "do_epoll_wait");
	strcpy(e->holders[0].process, "systemd");
	assert_cause(&f, e, "service",
		     "systemd 700 keeps it for a service, which does not run: nobody else holds "
		     "it; see why that does not start:"
		     " systemctl list-sockets, systemctl status");
	e->sockets[0].accepted = 1; /* Accept=yes */
	assert_cause(&f, e, "asleep", "systemd 700 sleeps in epoll_wait() (do_epoll_wait)");
	e->sockets[0].accepted = 0;
	add_look(add_holder(e, 17, 701, "service"), 'S', "hrtimer_nanosleep");
	e->holders[1].parent = 700;
	assert_cause(&f, e, "asleep", "service 701 sleeps in a timer (hrtimer_nanosleep)");
}

static void it_hangs(void **state)
{
	struct fixture f = {};
	struct endpoint *e;
	struct hindrance *it = add_one(&f, &e, 'D', "rpc_wait_bit_killable");

	(void)state;
	assert_cause(&f, e, "uninterruptible",
		     "server 700 hangs, uninterruptible, in NFS (rpc_wait_bit_killable); see its "
		     "NFS server");
	strcpy(it->place, "some_driver");
	assert_cause(
		&f, e, "uninterruptible",
		"server 700 hangs, uninterruptible, in some_driver; /proc/700/stack tells where");
	it->threads = 3;
	it->uninterruptible = it->at_place = 2;
	assert_cause(&f, e, "uninterruptible",
		     "server 700 hangs, uninterruptible, in some_driver (2 of 3 threads)");
	it->threads = 4;
	assert_cause(&f, e, "asleep", "server 700 has 2 of its 4 threads asleep in some_driver");
}

static void how_its_epoll_has_the_socket(void **state)
{
	struct fixture f = {};
	struct endpoint *e;
	struct hindrance *it = add_one(&f, &e, 'S', "do_epoll_wait");
	struct holder_row *h = &e->holders[0];

	(void)state;
	h->watching = WATCHING_OTHERS;
	assert_cause(&f, e, "epoll-without",
		     "server 700 sleeps in epoll_wait(), and this socket is in none of its epolls; "
		     "servers do that at their limit of"
		     " connections (maxconn, worker_connections)");
	h->polls = true;
	it->threads = 3;
	assert_cause(&f, e, "epoll-without",
		     "server 700 sleeps in epoll_wait(), and this socket is in none of its epolls "
		     "any more; servers do that at their"
		     " limit of connections (maxconn, worker_connections)");
	h->polls = false; /* another thread may be the one that took */
	assert_cause(&f, e, "asleep",
		     "server 700 has 1 of its 3 threads asleep in epoll_wait() (do_epoll_wait)");
	it->threads = 1;
	h->watching = WATCHING_OTHERWISE;
	assert_cause(&f, e, "epoll-events",
		     "server 700 sleeps in an epoll that has this socket without EPOLLIN; servers "
		     "do that at their limit of"
		     " connections (maxconn, worker_connections)");
	h->watching = WATCHING_DISARMED;
	assert_cause(&f, e, "epoll-oneshot",
		     "server 700 sleeps in an epoll that has reported this socket once "
		     "(EPOLLONESHOT) and was not told to do so again;"
		     " arm it again (EPOLL_CTL_MOD) when that event is dealt with");
	h->watching = WATCHING_EDGE;
	assert_cause(&f, e, "epoll-edge",
		     "server 700 sleeps in an epoll that reports each arrival once (EPOLLET): what "
		     "it left in the queue then is not"
		     " reported again; accept until EAGAIN at each event");
	h->watching = WATCHING_SLEEPS;
	assert_cause(&f, e, "waits", "server 700 waits on it, and was not woken");
	h->watching = WATCHING_AWAY;
	assert_cause(&f, e, "asleep", "server 700 sleeps in epoll_wait() (do_epoll_wait)");
	h->watching = WATCHING_NOT;
	strcpy(it->place, "hrtimer_nanosleep"); /* its epolls are not the point */
	assert_cause(&f, e, "asleep", "server 700 sleeps in a timer (hrtimer_nanosleep)");
	h->watching = WATCHING_OTHERS;
	e->sockets[0].waiting_most = 0; /* it never was in one */
	assert_cause(&f, e, "epoll-without",
		     "server 700 sleeps in epoll_wait(), and this socket is in none of its "
		     "epolls" NEVER);
}

static void it_does_something_else(void **state)
{
	struct fixture f = {};
	struct endpoint *e;
	struct hindrance *it = add_one(&f, &e, 'R', "");

	(void)state;
	it->cpu_known = true;
	it->cpu = 0.987;
	assert_cause(&f, e, "busy",
		     "server 700 is busy (99 % of a CPU), but takes none; see with what: perf top "
		     "-p 700");
	it->cpu = 0.49; /* at the look it runs by chance */
	assert_cause(&f, e, "running", "server 700 is running");
	e->sockets[0].waiting_most = 0;
	assert_cause(&f, e, "running", "server 700 is running" NEVER);
	it->threads = 3;
	it->running = 2;
	assert_cause(&f, e, "running", "server 700 has 2 of its 3 threads running" NEVER);
}

/* What the threads do that take from it says more than what the others do. */
static void the_threads_that_take(void **state)
{
	struct fixture f = {};
	struct endpoint *e;
	struct hindrance *it = add_one(&f, &e, 'S', "sk_wait_data");

	(void)state;
	it->takers = true;
	assert_cause(&f, e, "asleep",
		     "server 700 sleeps in a read of another socket (sk_wait_data)");
	it->others = 7;
	assert_cause(&f, e, "asleep",
		     "server 700 has the thread that takes from it asleep in a read of another "
		     "socket (sk_wait_data)");
	it->threads = 4;
	it->at_place = 3;
	assert_cause(&f, e, "asleep",
		     "server 700 has 3 of the 4 threads that take from it asleep in a read of "
		     "another socket (sk_wait_data)");
	it->others = 0;
	assert_cause(&f, e, "asleep",
		     "server 700 has 3 of its 4 threads asleep in a read of another socket "
		     "(sk_wait_data)");
	it->others = 7;
	it->running = 2;
	assert_cause(&f, e, "running",
		     "server 700 has 2 of the 4 threads that take from it running");
	it->running = it->threads = 1;
	assert_cause(&f, e, "running", "server 700 has the thread that takes from it running");
}

/* Who takes from it before who does not, workers before their master, and of those alike the one of
 * whom most is known. */
static void who_is_to_blame(void **state)
{
	struct fixture f = {};
	struct endpoint *e;
	struct hindrance *it[3];

	(void)state;
	it[0] = add_one(&f, &e, 'S', "sigsuspend");
	for (int i = 1; i < 3; i++) {
		it[i] = add_look(add_holder(e, 17, 700 + i, "server"), 'S', "do_epoll_wait");
		e->holders[i].parent = 700;
		e->holders[i].watching = WATCHING_SLEEPS;
	}
	assert_cause(&f, e, "waits", "server 701 waits on it, and was not woken (1 more likewise)");
	e->holders[2].watching = WATCHING_AWAY; /* that one was woken */
	strcpy(it[2]->place, "futex_do_wait");
	assert_cause(&f, e, "asleep",
		     "server 702 sleeps in a lock or a queue (futex_do_wait) (1 more holds it)");
	it[1]->stopped = 1;
	assert_cause(&f, e, "stopped",
		     "server 701 is stopped (SIGSTOP) (1 more holds it); continue it (kill -CONT "
		     "701), or restart it");
	add_worker(e, 17, 702, 702); /* the other one is not known to take from it */
	assert_cause(&f, e, "asleep", "server 702 sleeps in a lock or a queue (futex_do_wait)");
	it[2]->threads = 0;
	e->worker_count = 0;
	it[1]->stopped = 0;
	it[1]->descriptors_full = it[2]->descriptors_full = it[2]->threads = 1;
	assert_cause(&f, e, "descriptors",
		     "server 701 has all 1024 of its descriptors in use (RLIMIT_NOFILE 1024): "
		     "accept() fails with EMFILE (1 more"
		     " likewise); raise LimitNOFILE= or ulimit -n, or close what it leaves open");
}

/* ---- when it is over ---- */

/* From that socket nothing was taken for 2 s; what hindered its one holder then. */
static struct hindrance *add_past(struct fixture *f, struct endpoint **e, char state,
				  const char *place)
{
	struct socket_row *s;

	*e = add_port(f, PROTOCOL_TCP, "0.0.0.0", 80);
	s = add_socket(*e, 17, 0);
	s->waiting_most = 1;
	s->stall = (struct stall){
		.ns = 2000000000, .over = true, .over_ns = 1, .length = 1, .count = 1
	};
	return add_look(add_staller(*e, 17, 700, "server"), state, place);
}

#define assert_past(f, e, code, says) assert_past_at(f, e, code, says, __LINE__)
static void assert_past_at(struct fixture *f, const struct endpoint *e, const char *code,
			   const char *says, int line)
{
	static const char begins[] = " 1 connection queued: server 700 ";
	const struct finding *found;
	const char *text;

	fill(f);
	found = e->findings;
	if (e->finding_count != 1 || strcmp(found->code, "was-stalled"))
		fail_msg("line %d: %zu findings: %s", line, e->finding_count,
			 e->finding_count ? found->text : "");
	text = strstr(found->text, begins);
	if (!text || strcmp(found->cause, code) || strcmp(text + strlen(begins), says))
		fail_msg("line %d: %s: %s", line, found->cause, found->text);
	done(f);
}

static void what_kept_it_from_running(void **state)
{
	struct fixture f = {};
	struct endpoint *e;
	struct hindrance *it = add_past(&f, &e, 'T', "");

	(void)state;
	assert_past(&f, e, "stopped", "was stopped (SIGSTOP); look for what stopped it");
	it->stopped = 0;
	it->traced = 1;
	it->tracer = 77;
	assert_past(&f, e, "traced", "was stopped by a debugger (pid 77)");
	it->traced = 0;
	it->frozen = true;
	assert_past(&f, e, "frozen",
		    "was frozen, as all of its cgroup; look for what froze that (docker pause, "
		    "systemctl freeze)");
	it->frozen = false;
	it->descriptors_full = 1;
	assert_past(&f, e, "descriptors",
		    "had all 1024 of its descriptors in use (RLIMIT_NOFILE 1024): accept() failed "
		    "with EMFILE; raise LimitNOFILE= or ulimit -n, or close what it leaves open");
	it->descriptors_full = 0;
	it->files_full = 1;
	it->files = 5000;
	assert_past(&f, e, "files",
		    "could open no more files: the machine had as many open as fs.file-max (5000) "
		    "allows: accept() failed with ENFILE; raise fs.file-max, or see who has so "
		    "many open");
	it->files_full = 0;
	it->running = 1;
	it->periods = it->throttled = 10;
	assert_past(&f, e, "cpu-quota",
		    "had used up the CPU quota of its cgroup: it was kept from running in 10 of 10 "
		    "periods; raise that (CPUQuota=, cpu.max, docker --cpus)");
	it->throttled = 0;
	assert_past(&f, e, "running", "was running");
	it->cpu_known = true;
	it->cpu = 1;
	assert_past(&f, e, "busy",
		    "was busy (100 % of a CPU), but took none; see with what, if it happens again: "
		    "perf top -p 700");
}

static void where_it_slept(void **state)
{
	struct fixture f = {};
	struct endpoint *e;
	struct hindrance *it = add_past(&f, &e, 'D', "some_driver");
	struct holder_row *h = &e->stallers[0];

	(void)state;
	assert_past(&f, e, "uninterruptible", "hung, uninterruptible, in some_driver");
	it->uninterruptible = 0;
	assert_past(&f, e, "asleep", "slept in some_driver");
	it->threads = 3;
	it->others = 2;
	it->takers = true;
	assert_past(&f, e, "asleep",
		    "had 1 of the 3 threads that take from it asleep in some_driver");
	it->threads = 1;
	assert_past(&f, e, "asleep", "had the thread that takes from it asleep in some_driver");
	it->takers = false;
	it->others = 0;
	it->leader_gone = true;
	assert_past(&f, e, "asleep",
		    "lived on without its main thread: 1 of 1 others slept in some_driver");
	it->leader_gone = false;
	h->watching = WATCHING_SLEEPS;
	assert_past(&f, e, "waits", "waited on it, and was not woken");
	h->watching = WATCHING_OTHERS;
	assert_past(&f, e, "epoll-without",
		    "slept in epoll_wait(), and this socket was in none of its epolls; servers do "
		    "that at their limit of connections (maxconn, worker_connections)");
	h->watching = WATCHING_OTHERWISE;
	assert_past(&f, e, "epoll-events",
		    "slept in an epoll that had this socket without EPOLLIN; servers do that at "
		    "their limit of connections (maxconn, worker_connections)");
	h->watching = WATCHING_DISARMED;
	assert_past(
		&f, e, "epoll-oneshot",
		"slept in an epoll that had reported this socket once (EPOLLONESHOT) and was "
		"not told to do so again; arm it again (EPOLL_CTL_MOD) when that event is dealt "
		"with");
	h->watching = WATCHING_EDGE;
	assert_past(&f, e, "epoll-edge",
		    "slept in an epoll that reports each arrival once (EPOLLET): what it left in "
		    "the queue then is not reported again; accept until EAGAIN at each event");
	it->looks = 0;
	assert_past(&f, e, "unknown", "held it");
}

/* What the threads have done since does not count. */
static void a_thread_that_had_ended(void **state)
{
	struct fixture f = {};
	struct endpoint *e;
	struct hindrance *it = add_past(&f, &e, 'S', "futex_do_wait");
	struct worker_row *w = add_worker(e, 17, 700, 703);

	(void)state;
	w->accepted = 9;
	w->ended = true;
	add_worker(e, 17, 700, 704); /* it took the other's place */
	assert_past(&f, e, "thread-ended",
		    "lived on, but its thread 703, which took from this socket, had ended; look "
		    "for what ended that thread");
	w->appeared = true; /* maybe after the stall */
	assert_past(&f, e, "asleep", "slept in a lock or a queue (futex_do_wait)");
	w->appeared = false;
	it->takers = true; /* then it lived */
	assert_past(&f, e, "asleep", "slept in a lock or a queue (futex_do_wait)");
}

static void what_is_not_known_is_not_said(void **state)
{
	struct fixture f = {};
	struct endpoint *e;
	struct hindrance *it = add_one(&f, &e, 'T', "");

	(void)state;
	it->looks = 0;
	assert_cause(&f, e, "unknown", "server 700 holds it");
	*it = (struct hindrance){ .looks = 1, .threads = 1 }; /* /proc does not say where */
	assert_cause(&f, e, "asleep", "server 700 sleeps");
	it->running = it->threads = 1;
	it->threads = 3;
	assert_cause(&f, e, "asleep", "server 700 has 2 of its 3 threads asleep");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptors_at_every_look),
		cmocka_unit_test(files_of_the_machine),
		cmocka_unit_test(what_keeps_it_from_running),
		cmocka_unit_test(its_quota),
		cmocka_unit_test(a_thread_that_has_ended),
		cmocka_unit_test(a_service_that_does_not_run),
		cmocka_unit_test(it_hangs),
		cmocka_unit_test(how_its_epoll_has_the_socket),
		cmocka_unit_test(it_does_something_else),
		cmocka_unit_test(the_threads_that_take),
		cmocka_unit_test(who_is_to_blame),
		cmocka_unit_test(what_kept_it_from_running),
		cmocka_unit_test(where_it_slept),
		cmocka_unit_test(a_thread_that_had_ended),
		cmocka_unit_test(what_is_not_known_is_not_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
