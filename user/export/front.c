/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forks the front and watches it. What the front says before it is confined comes through a pipe;
 * after that nothing of it comes back but its end.
 */
#include "front.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../attach/loading.h"
#include "http.h"

#define START_MS 10000
#define END_MS 2000

/* What the front says of its beginning; shorter than PIPE_BUF, so that it comes whole. */
struct front_report {
	int err;
	char text[512];
};

struct export_front {
	struct listener listener;
	struct pages pages;
	int lifeline; /* the front ends when this is closed */
	pid_t pid;    /* 0: none */
	int pidfd;
	int status; /* of waitpid(), if it has ended */
};

/* ---- in the front ---- */

/* Its descriptors, beside 0 to 2. */
enum { HELD_LISTENER = 3, HELD_LIFELINE, HELD_REPORT, HELD_PAGES, HELD_END };

/* Gives those the numbers that the front knows them by, and closes all others. */
static bool descriptors_hold(const int from[HELD_END])
{
	int high[HELD_END], null;

	for (int i = HELD_LISTENER; i < HELD_END; i++) {
		high[i] = fcntl(from[i], F_DUPFD, HELD_END);
		if (high[i] < 0)
			return false;
	}
	for (int i = HELD_LISTENER; i < HELD_END; i++)
		if (dup2(high[i], i) < 0)
			return false;
	close_range(HELD_END, ~0u, 0);
	/* Not even a line on somebody's terminal. */
	null = open("/dev/null", O_RDWR);
	return null >= 0 && dup2(null, 0) == 0 && dup2(null, 1) == 1 && dup2(null, 2) == 2 &&
	       !close(null);
}

/* Keys and signals for the exporter are for the collector, whose end is the front's. */
static void signals_leave(void)
{
	static const int left[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2 };
	sigset_t none;

	for (size_t i = 0; i < sizeof(left) / sizeof(*left); i++)
		signal(left[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
}

static void front_run(pid_t collector, const int from[HELD_END]) __attribute__((noreturn));
static void front_run(pid_t collector, const int from[HELD_END])
{
	struct front_report report = {};
	struct pages pages = {};
	struct http *http = NULL;

	signals_leave();
	prctl(PR_SET_NAME, "sockfair-http");
	if (!descriptors_hold(from))
		_exit(1);
	report.err = pages_map(&pages, HELD_PAGES);
	close(HELD_PAGES);
	if (!report.err)
		http = http_new(&pages, HELD_LISTENER, HELD_LIFELINE);
	if (!http)
		loading_fail(report.err ? report.err : -ENOMEM, report.text, sizeof(report.text),
			     "the process that serves HTTP has no memory or no descriptors");
	report.err = http ? confine_front(collector, HTTP_SPACE, report.text, sizeof(report.text))
			  : -ENOMEM;
	if (write(HELD_REPORT, &report, sizeof(report)) != sizeof(report))
		_exit(1);
	close(HELD_REPORT);
	if (!report.err)
		http_serve(http);
	_exit(report.err != 0);
}

/* ---- in the collector ---- */

/* Without a status of it if somebody else has waited for it, or has the kernel do so. */
static bool has_ended(struct export_front *f)
{
	const pid_t waited = f->pid ? waitpid(f->pid, &f->status, WNOHANG) : 0;

	if (waited > 0 || (waited < 0 && errno == ECHILD))
		f->pid = 0;
	return !f->pid;
}

static void tell_end(const struct export_front *f, char *why, size_t size)
{
	if (WIFSIGNALED(f->status))
		snprintf(why, size, "the process that serves HTTP was ended by signal %d (%s)",
			 WTERMSIG(f->status), strsignal(WTERMSIG(f->status)));
	else
		snprintf(why, size, "the process that serves HTTP has ended with status %d",
			 WEXITSTATUS(f->status));
}

/* Waits until the front serves, or has said why it does not. */
static int report_take(struct export_front *f, int from, char *why, size_t size)
{
	struct front_report report;
	struct pollfd said = { .fd = from, .events = POLLIN };

	if (poll(&said, 1, START_MS) <= 0)
		return loading_fail(-ETIMEDOUT, why, size,
				    "the process that serves HTTP does not begin");
	if (read(from, &report, sizeof(report)) == sizeof(report)) {
		snprintf(why, size, "%.*s", (int)sizeof(report.text), report.text);
		return report.err;
	}
	while (!has_ended(f))
		poll(&(struct pollfd){ .fd = f->pidfd, .events = POLLIN }, 1, START_MS);
	tell_end(f, why, size);
	return -EPIPE;
}

static int front_fork(struct export_front *f, char *why, size_t size)
{
	const pid_t self = getpid();
	int lifeline[2] = { -1, -1 }, report[2] = { -1, -1 }, err = 0;

	/* That it is ignored is inherited from whoever started us; the kernel tells no end then. */
	signal(SIGCHLD, SIG_DFL);
	if (pipe2(lifeline, O_CLOEXEC) || pipe2(report, O_CLOEXEC) || (f->pid = fork()) < 0) {
		err = -errno;
		f->pid = 0;
		loading_fail(err, why, size, "cannot start the process that serves HTTP: %s",
			     strerror(-err));
	} else if (!f->pid) {
		front_run(self, (int[HELD_END]){ [HELD_LISTENER] = f->listener.fd,
						 [HELD_LIFELINE] = lifeline[0],
						 [HELD_REPORT] = report[1],
						 [HELD_PAGES] = f->pages.fd });
	}
	f->lifeline = lifeline[1];
	if (lifeline[0] >= 0)
		close(lifeline[0]);
	if (report[1] >= 0)
		close(report[1]);
	if (!err) {
		f->pidfd = pidfd_open(f->pid, 0);
		err = report_take(f, report[0], why, size);
	}
	if (report[0] >= 0)
		close(report[0]);
	return err;
}

int export_front_start(struct export_front **front, const struct export_listen *l, char *why,
		       size_t size)
{
	struct export_front *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return loading_fail(-ENOMEM, why, size, "out of memory");
	f->lifeline = f->pidfd = -1;
	err = listener_open(&f->listener, l, why, size);
	if (!err) {
		err = pages_make(&f->pages);
		if (err)
			loading_fail(err, why, size, "cannot make memory for pages: %s",
				     strerror(-err));
	}
	if (!err)
		err = front_fork(f, why, size);
	/* Whoever connects is none of the collector's business. */
	listener_close(&f->listener);
	if (err) {
		export_front_end(f);
		return err;
	}
	*front = f;
	return 0;
}

int export_front_publish(struct export_front *front, enum export_format format, const char *text,
			 size_t length)
{
	return pages_publish(&front->pages, format, text, length);
}

bool export_front_alive(struct export_front *front, char *why, size_t size)
{
	if (!has_ended(front))
		return true;
	tell_end(front, why, size);
	return false;
}

const char *export_front_place(const struct export_front *front)
{
	return front->listener.name;
}

pid_t export_front_pid(const struct export_front *front)
{
	return front->pid;
}

void export_front_end(struct export_front *front)
{
	if (!front)
		return;
	if (front->lifeline >= 0)
		close(front->lifeline);
	/* The collector has no right to kill another user's process. One that hangs is killed by
	 * the kernel, when the collector ends. */
	if (!has_ended(front) && front->pidfd >= 0)
		poll(&(struct pollfd){ .fd = front->pidfd, .events = POLLIN }, 1, END_MS);
	has_ended(front);
	if (front->pidfd >= 0)
		close(front->pidfd);
	pages_free(&front->pages);
	listener_remove(&front->listener);
	free(front);
}
