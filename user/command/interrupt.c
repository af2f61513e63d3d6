/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Handlers for the signals that ask the program to end. */
#include "interrupt.h"

#include <errno.h>
#include <time.h>

#include "result_file.h"

/* timeout(1) signals the process and then its process group: the same signal comes twice within
 * microseconds. Within this time it counts once. */
#define SAME_SIGNAL_MS 100

volatile sig_atomic_t interrupted;

bool interrupt_ask(void)
{
	static volatile sig_atomic_t asked;
	static struct timespec first;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (asked)
		return (now.tv_sec - first.tv_sec) * 1000 +
			       (now.tv_nsec - first.tv_nsec) / 1000000 >=
		       SAME_SIGNAL_MS;
	first = now;
	asked = 1;
	interrupted = interrupted ? interrupted : 1;
	return false;
}

static void on_ask(int number)
{
	const int saved = errno;

	if (interrupt_ask()) {
		result_file_forget();
		signal(number, SIG_DFL);
		raise(number); /* the signal is blocked until this handler returns */
	}
	errno = saved;
}

void interrupt_prepare(void)
{
	struct sigaction action = { .sa_handler = on_ask }, before;

	sigfillset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL); /* taken even if it is ignored: a shell ignores it for
					     everything that it starts in the background */
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, NULL, &before);
	if (before.sa_handler != SIG_IGN) /* nohup */
		sigaction(SIGHUP, &action, NULL);
	signal(SIGPIPE,
	       SIG_IGN); /* a closed stdout is an error like others: reported, and cleaned up */
}
