/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Forks children that die with their parent, closes what they must not hold, and reaps them. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"

/* Ctrl-C and timeout(1) signal the whole process group, but only the parent decides what that
 * means. */
static const int left_to_parent[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

pid_t child_fork(void)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid > 0)
		return pid;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) /* the parent died before prctl() */
		_exit(1);
	for (size_t i = 0; i < sizeof(left_to_parent) / sizeof(left_to_parent[0]); i++)
		signal(left_to_parent[i], SIG_IGN);
	return 0;
}

static void close_between(int after, unsigned before)
{
	if (after + 1U < before)
		close_range(after + 1U, before - 1, 0);
}

void child_keep(int a, int b)
{
	int low = a < b ? a : b, high = a < b ? b : a;
	int last = STDERR_FILENO;

	if (low > last) {
		close_between(last, low);
		last = low;
	}
	if (high > last) {
		close_between(last, high);
		last = high;
	}
	close_between(last, UINT_MAX);
}

bool child_reap(pid_t pid, int *status)
{
	int discarded;
	pid_t got;

	do
		got = waitpid(pid, status ? status : &discarded, WNOHANG);
	while (got < 0 && errno == EINTR);
	return got != 0; /* -1: ECHILD, the child left no trace because SIGCHLD is ignored */
}
