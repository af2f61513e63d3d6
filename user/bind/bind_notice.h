/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `sockfair binds` says: one call with the remarks on it, and the totals of a window. */
#ifndef SOCKFAIR_BIND_NOTICE_H
#define SOCKFAIR_BIND_NOTICE_H

#include "bind.h"

struct bind_notice {
	struct bind_event event;
	int64_t time_ms;         /* since 1970, UTC: when the call returned */
	char why[BIND_TEXT_MAX]; /* why the call failed; "": it worked */
	struct bind_suspicion suspicions[BIND_SUSPICIONS_MAX]; /* for a call that worked */
	size_t suspicion_count;
	const struct bind_occupant *occupants; /* the sockets that had the port a moment later: the
						  suspicions' indexes refer to this array */
	size_t occupant_count;
	bool incomplete; /* not every socket could be examined: there may be more occupants */
};

#define BIND_LOST_MAX 8

struct bind_totals {
	char release[65];
	const char *backend;
	const char *unseen[SNAPSHOT_UNSEEN_MAX]; /* what the backend does not see, as nouns */
	size_t unseen_count;
	int64_t start_ms;
	double seconds;
	uint64_t seen[BIND_CALLS],
		failed[BIND_CALLS]; /* by enum bind_call; for connect() only those that are shown */
	uint64_t shown;             /* how many notices were shown */
	uint64_t suspicious;        /* how many of the shown calls worked but look wrong */
	struct lost_row lost[BIND_LOST_MAX];
	size_t lost_count;
};

static inline uint64_t bind_totals_lost(const struct bind_totals *t)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < t->lost_count; i++)
		sum += t->lost[i].count;
	return sum;
}

#endif
