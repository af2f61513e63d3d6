/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When a command that watches looks at the inventory (who holds the sockets, who waits on them),
 * and gives rows back that run short. Looks are frequent while work arrives, because a worker that
 * never sleeps at the end of an interval may sleep within it, and rare while nothing does.
 */
#ifndef SOCKFAIR_LOOKS_H
#define SOCKFAIR_LOOKS_H

#include <stdbool.h>

#include "../collect/observer.h"

#define LOOKS_RELIEF_SECONDS 0.05 /* how often looks_keep() wants to be called */
#define LOOKS_IDLE_SECONDS 0.25   /* and while nothing arrives, of a command that runs for weeks */

struct looks {
	struct observer *observer;
	double busy_seconds; /* how often to look while work arrives */
	double idle_seconds; /* and while nothing does */
	double share; /* the share of a core that looks may take while work arrives: with many
			 thousand sockets they come less often */

	/* kept by looks_*() */
	double scanned, sampled; /* CLOCK_MONOTONIC, in seconds */
	double cost;             /* CPU seconds that the last look took */
	bool active;             /* something was counted between the last two looks */
};

/* The observer has just started, which was a look. */
void looks_begin(struct looks *l);

/* Looks if it is time to, or `always`. Returns 0 or negative errno. */
int looks_scan(struct looks *l, bool always);

/* To be called every LOOKS_RELIEF_SECONDS until `end` (CLOCK_MONOTONIC, in seconds): gives rows
 * back, and looks if it is time to. Returns 0 or negative errno. */
int looks_keep(struct looks *l, double end);

#endif
