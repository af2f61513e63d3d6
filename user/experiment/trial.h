/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One workload under observation: what `run`, `claims` and the self-test of `doctor` do for each
 * mode. */
#ifndef SOCKFAIR_TRIAL_H
#define SOCKFAIR_TRIAL_H

#include <signal.h>

#include "../collect/observer.h"
#include "../workload/workload.h"

struct trials {
	struct observer *observer; /* opened by the first trial, after its workers block */
	bool refused;              /* filled: it could not be opened, and another time won't help */
	enum backend backend;      /* asked for */
	bool no_waits, no_serving; /* as in observer_options */
	double threshold;
	double seconds_max; /* serve-only: ends by itself; 0: when interrupted */
	double stalled_max; /* seconds without a request made or failed after which a trial is given
			       up; 0: none is */
	bool progress;      /* show it on stderr */
	const char *purpose; /* stands before the progress; NULL: nothing does */
	const volatile sig_atomic_t *interrupted; /* not 0: end early, with what there is */
};

/*
 * Runs one workload and fills the snapshot (snapshot_free() it). Returns 0; the mode may have been
 * skipped, see workload.skipped. Negative errno: it could not be done, why says it in one line.
 */
int trial_run(struct trials *t, const struct workload_options *options, struct snapshot *s,
	      char *why, size_t why_size);

void trials_end(struct trials *t);

#endif
