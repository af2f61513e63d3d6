/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One steering from beginning to end: measure, steer, measure, release, measure. The observer
 * counts all the time; the phases are differences of its snapshots.
 */
#ifndef SOCKFAIR_STEER_SESSION_H
#define SOCKFAIR_STEER_SESSION_H

#include <signal.h>

#include "../attach/probe.h"
#include "../model/steer_result.h"

struct steer_session {
	enum backend backend;
	double seconds[STEER_PHASES]; /* 0: not measured; STEER_STEERED: how long at most */
	double hz;                    /* STEER_BY_EPOLL */
	bool force;                   /* also where there is nothing to gain */
	const volatile sig_atomic_t *interrupted; /* not 0: end with the result so far */
	/* Tells how far it is; NULL: nobody asks. */
	void (*progress)(enum steer_phase_name phase, double seconds, double of);
};

/*
 * Carries out r->plan on r->endpoint, and fills in the rest of r; the caller frees it. Returns 0,
 * or negative errno with `why`; what was changed is undone then, too.
 */
int steer_session_run(const struct steer_session *s, struct steer_result *r, char *why,
		      size_t size);

#endif
