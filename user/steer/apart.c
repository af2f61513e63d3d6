/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "apart.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

void apart_become(const char *name, int keep)
{
	sigset_t all;
	int null;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setsid();
	prctl(PR_SET_NAME, name);
	if (keep > 0)
		close_range(0, (unsigned)keep - 1, 0);
	close_range((unsigned)(keep + 1), ~0u, 0);
	null = open("/dev/null", O_RDWR);
	while (null >= 0 && null < 2)
		null = dup(null);
}

bool apart_ends_within(int pidfd, int ms)
{
	struct pollfd end = { .fd = pidfd, .events = POLLIN };

	return pidfd < 0 || poll(&end, 1, ms) > 0;
}
