/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One workload under observation. `run` and `claims` do this for each mode, and so does the
 * self-test of `doctor`. */
#ifndef SOCKFAIR_TRIAL_H
#define SOCKFAIR_TRIAL_H

#include <signal.h>

#include "../collect/observer.h"
#include "../workload/workload.h"

struct trials {
	struct observer *observer; /* the first trial opens it, after its workers block */
	bool refused; /* filled: the observer could not be opened, and another try won't help */
	enum backend backend;      /* asked for */
	bool no_waits, no_serving; /* as in observer_options */
	double threshold;
	double seconds_max; /* serve-only: the trial ends after this time; 0: when interrupted */
	double stalled_max; /* seconds without a request made or failed after which a trial is given
			       up; 0: never */
	bool progress;      /* show the progress on stderr */
	const char *purpose;                      /* text before the progress; NULL: none */
	const volatile sig_atomic_t *interrupted; /* not 0: end early, with the result so far */
};

/*
 * Runs one workload and fills the snapshot (snapshot_free() it). Returns 0, also if the mode was
 * skipped: see workload.skipped. A negative errno: the workload could not be run, and `why` gives
 * the reason in one line.
 */
int trial_run(struct trials *t, const struct workload_options *options, struct snapshot *s,
	      char *why, size_t why_size);

void trials_end(struct trials *t);

#endif
