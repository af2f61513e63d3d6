/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Windows over what an observer has counted: what `watch` and `export` show and judge. */
#ifndef SOCKFAIR_WINDOW_H
#define SOCKFAIR_WINDOW_H

#include "../model/snapshot.h"

/* Fills the verdicts and the findings. Returns 0 or -ENOMEM. */
int window_judge(struct snapshot *s, double threshold);

/*
 * The judged difference between two states of one observer, after snapshot_set_aside() of `total`,
 * whose rows it marks by their generation. Returns 0 or -ENOMEM; snapshot_free(out).
 */
int window_take(struct snapshot *out, struct snapshot *total, const struct snapshot *before,
		double threshold);

#endif
