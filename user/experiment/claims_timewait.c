/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Claims about TIME_WAIT: when can a port be bound again after a server closed it? The claim about
 * two minutes waits in a child process. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../workload/child.h"
#include "claims_lab.h"
#include "claims_socket.h"

#define EVERY_MS 100
#define LIMIT_SECONDS                                                                              \
	150 /* TIME_WAIT is 60 s in Linux (TCP_TIMEWAIT_LEN); the experiment waits two and a half  \
	       minutes */
#define LATE_SECONDS 60 /* beyond this the child process is stopped, or hangs */
#define PATIENCE_MS 5000

/* What the first server did to the port, and what the next server does. */
struct history {
	enum claim_closing closing;
	bool first, second; /* which of the two servers sets SO_REUSEADDR */
};

enum { NEITHER, FIRST_ONLY, SECOND_ONLY, BOTH, CLIENT_CLOSED, UNUSED, HISTORIES };
static const struct history histories[HISTORIES] = {
	[NEITHER] = { CLOSED_BY_SERVER, false, false },
	[FIRST_ONLY] = { CLOSED_BY_SERVER, true, false },
	[SECOND_ONLY] = { CLOSED_BY_SERVER, false, true },
	[BOTH] = { CLOSED_BY_SERVER, true, true },
	[CLIENT_CLOSED] = { CLOSED_BY_CLIENT, false, false },
	[UNUSED] = { NO_CONNECTION, false, false },
};

/* Waits for the other side's FIN, for a while. */
static int await_end(int fd)
{
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	char byte;

	if (poll(&readable, 1, PATIENCE_MS) != 1)
		return -ETIMEDOUT;
	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0 ? 0 : -EPROTO;
}

/* Ends a connection in order: FIN against FIN. The side that closes first gets the TIME_WAIT.
 * Closes both sockets. */
static int close_in_order(int first, int then)
{
	int err;

	close(first);
	err = await_end(then);
	close(then);
	return err;
}

/* Makes one connection to the listener and ends it. */
static int connection_live(int listener, uint16_t port, enum claim_closing closing)
{
	const struct linger orderly = {};
	struct pollfd readable = { .fd = listener, .events = POLLIN };
	int client = client_connect(AF_INET, SOCK_STREAM, port), server;

	if (client < 0)
		return client;
	setsockopt(client, SOL_SOCKET, SO_LINGER, &orderly,
		   sizeof(orderly)); /* otherwise its close() resets */
	server = poll(&readable, 1, PATIENCE_MS) == 1 ? accept4(listener, NULL, NULL, SOCK_CLOEXEC)
						      : -1;
	if (server < 0) {
		close(client);
		return -ETIMEDOUT;
	}
	return closing == CLOSED_BY_SERVER ? close_in_order(server, client)
					   : close_in_order(client, server);
}

/* Runs a server from start to end. Returns 0, or a negative errno with one line. */
static int history_make(const struct history *h, uint16_t port, struct why why)
{
	const struct binding b = { .family = AF_INET,
				   .type = SOCK_STREAM,
				   .port = port,
				   .reuseaddr = h->first,
				   .listening = true };
	struct bound listener;
	int err = binding_try(&b, 0, &listener, why);

	if (err)
		return err;
	if (h->closing != NO_CONNECTION)
		err = connection_live(listener.fd, port, h->closing);
	close(listener.fd);
	return err ? refuse(why, err, "cannot make and end a connection on loopback: %s",
			    strerror(-err))
		   : 0;
}

/* Starts the next server. *free_now: whether it got the port. */
static int history_repeat(const struct history *h, uint16_t port, bool *free_now, struct why why)
{
	const struct binding b = { .family = AF_INET,
				   .type = SOCK_STREAM,
				   .port = port,
				   .reuseaddr = h->second,
				   .listening = true };

	return binding_allowed(&b, EADDRINUSE, free_now, why);
}

/* ---- at once ---- */

int claim_reuseaddr_immediate(struct claim_lab *lab, struct claim_result *r)
{
	bool free_now[BOTH + 1];
	int err = 0;

	(void)lab;
	for (int i = 0; i <= BOTH && !err; i++) {
		err = history_make(&histories[i], PORT_IMMEDIATE + i, claim_why(r));
		if (!err)
			err = history_repeat(&histories[i], PORT_IMMEDIATE + i, &free_now[i],
					     claim_why(r));
	}
	if (!err)
		claim_judge_immediate(
			r, &(struct claim_immediate){ free_now[NEITHER], free_now[FIRST_ONLY],
						      free_now[SECOND_ONLY], free_now[BOTH] });
	return err;
}

/* ---- after a while: in a child process, so that nothing delays it ---- */

/* What the child process reports at the end. */
struct waited {
	int err;
	char why[192];
	double seconds[HISTORIES]; /* when the port was free; NaN: not within the limit */
	double refused[HISTORIES]; /* when the port was last refused; NaN: never */
};

/* Tries all ports that are not free yet. Returns how many are left, or a negative errno. */
static int try_all(struct waited *w, const int64_t closed_ns[HISTORIES])
{
	int left = 0;

	for (int i = 0; i < HISTORIES; i++) {
		const int64_t tried_ns = monotonic_ns();
		bool free_now;

		if (!isnan(w->seconds[i]))
			continue;
		w->err = history_repeat(&histories[i], PORT_TIMEWAIT + i, &free_now,
					(struct why){ w->why, sizeof(w->why) });
		if (w->err)
			return w->err;
		if (free_now)
			w->seconds[i] = (monotonic_ns() - closed_ns[i]) / 1e9;
		else
			w->refused[i] = (tried_ns - closed_ns[i]) / 1e9;
		left += !free_now;
	}
	return left;
}

/* Waits for all ports. Each try has a fixed time, n * EVERY_MS after the first, however long the
 * tries take. */
static void wait_for_all(struct waited *w)
{
	int64_t closed_ns[HISTORIES], next_ns, until_ns;

	for (int i = 0; i < HISTORIES; i++) {
		w->seconds[i] = w->refused[i] = NAN;
		w->err = history_make(&histories[i], PORT_TIMEWAIT + i,
				      (struct why){ w->why, sizeof(w->why) });
		if (w->err)
			return;
		closed_ns[i] = monotonic_ns();
	}
	next_ns = closed_ns[HISTORIES - 1];
	until_ns = next_ns + LIMIT_SECONDS * INT64_C(1000000000);
	while (try_all(w, closed_ns) > 0 && next_ns < until_ns) {
		const int64_t left_ns = (next_ns += EVERY_MS * INT64_C(1000000)) - monotonic_ns();

		if (left_ns > 0)
			sleep_ms(left_ns / 1000000 + 1);
	}
}

static _Noreturn void timewait_run(int result)
{
	struct waited w = {};

	child_keep(result, -1);
	wait_for_all(&w);
	_exit(write(result, &w, sizeof(w)) != sizeof(w));
}

void timewait_begin(struct claim_lab *lab)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return;
	pid = child_fork();
	if (pid == 0)
		timewait_run(ends[1]);
	close(ends[1]);
	lab->timewait = (struct timewait_child){ .pid = pid > 0 ? pid : 0,
						 .result = ends[0],
						 .began_ns = monotonic_ns() };
}

void timewait_end(struct claim_lab *lab)
{
	struct timewait_child *t = &lab->timewait;

	if (t->pid) {
		kill(t->pid, SIGKILL); /* it is not reaped yet, so no other process has this pid */
		while (waitpid(t->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (t->result >= 0)
		close(t->result);
	*t = (struct timewait_child){ .result = -1 };
}

/* Waits for the child's report, or for an interrupt. */
static int timewait_read(struct claim_lab *lab, const char *name, struct waited *w, struct why why)
{
	struct timewait_child *t = &lab->timewait;
	struct pollfd readable = { .fd = t->result, .events = POLLIN };

	if (!t->pid)
		return refuse(why, -EAGAIN, "cannot start the process that waits");
	while (poll(&readable, 1, 200) <= 0 && !*lab->options.interrupted) {
		if (monotonic_ns() - t->began_ns >
		    (LIMIT_SECONDS + LATE_SECONDS) * INT64_C(1000000000))
			return refuse(why, -ETIMEDOUT,
				      "the process that waits said nothing for %d s",
				      LIMIT_SECONDS + LATE_SECONDS);
		if (lab->options.progress)
			fprintf(stderr, "\r\033[K%s: %.0f s ", name,
				(monotonic_ns() - t->began_ns) / 1e9);
	}
	if (*lab->options.interrupted)
		return refuse(why, -EINTR, "interrupted");
	if (read(t->result, w, sizeof(*w)) != sizeof(*w))
		return refuse(why, -ECHILD, "the process that waits died");
	return w->err ? refuse(why, w->err, "%s", w->why) : 0;
}

int claim_two_minutes(struct claim_lab *lab, struct claim_result *r)
{
	struct waited w;
	int err = timewait_read(lab, r->name, &w, claim_why(r));

	timewait_end(lab);
	if (!err)
		claim_judge_timewait(
			r, &(struct claim_timewait){ .neither = w.seconds[NEITHER],
						     .first_only = w.seconds[FIRST_ONLY],
						     .second_only = w.seconds[SECOND_ONLY],
						     .both = w.seconds[BOTH],
						     .client_closed = w.seconds[CLIENT_CLOSED],
						     .unused = w.seconds[UNUSED],
						     .limit = LIMIT_SECONDS,
						     .refused = w.refused[NEITHER] });
	return err;
}
