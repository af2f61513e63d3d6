/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "looks.h"

#include <time.h>

#include "command.h"

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

void looks_begin(struct looks *l)
{
	l->scanned = l->sampled = now_seconds();
}

int looks_scan(struct looks *l, bool always)
{
	const double since = now_seconds() - l->scanned, before = cpu_seconds();
	int err;

	l->sampled = now_seconds();
	l->active = observer_active(l->observer);
	if (!always && since < l->idle_seconds && (!l->active || since < l->cost / l->share))
		return 0;
	err = observer_scan(l->observer);
	l->scanned = now_seconds();
	l->cost = cpu_seconds() - before;
	return err;
}

int looks_keep(struct looks *l, double end)
{
	const int err = observer_relieve(l->observer);

	if (err || end - now_seconds() <= 0 ||
	    now_seconds() - l->sampled < (l->active || l->busy_seconds > 1 ? l->busy_seconds : 1))
		return err;
	return looks_scan(l, false);
}
