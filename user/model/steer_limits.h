/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does steering make the port worse than it was? The seconds before it say how bad a second may be
 * by chance. A second is bad if a figure is above all that was seen then and above their mean by
 * three standard deviations; the tool lets go after STEER_BAD_SECONDS of them in a row.
 * Seconds in which the figure is not known stand between them and change nothing.
 */
#ifndef SOCKFAIR_STEER_LIMITS_H
#define SOCKFAIR_STEER_LIMITS_H

#include "snapshot.h"

/* Shorter waits are no reason to let go, and no problem. */
#define STEER_WAIT_FLOOR_NS 1e6

enum steer_limit {
	STEER_LIMIT_WAIT,   /* 99th percentile of the time in the accept queue, ns */
	STEER_LIMIT_DROPS,  /* connections or datagrams that found no room, per second */
	STEER_LIMIT_RESETS, /* connections that the close of a socket reset, per second */
	STEER_LIMITS
};

#define STEER_BAD_SECONDS 3
#define STEER_LEARNED_MIN 3 /* seconds before, for a limit to mean anything */

/* All zero: nothing was measured before. */
struct steer_limits {
	struct {
		size_t count; /* of seconds before in which the figure was known */
		double sum, squares, highest;
		unsigned bad; /* seconds in a row */
	} of[STEER_LIMITS];
};

/* A window of about a second. NaN: not known, as the waits of a second without connections. */
struct steer_second {
	double figures[STEER_LIMITS];
};

/* Of a window that lasted `seconds`. */
struct steer_second steer_second_of(const struct endpoint *e, double seconds);

void steer_limits_learn(struct steer_limits *l, const struct steer_second *s);

/* The highest that a second may show; infinity: too little was measured before. */
double steer_limit_of(const struct steer_limits *l, enum steer_limit limit);

/* Takes one second of steering. Returns the figure that has been bad for too long now, or
 * STEER_LIMITS. */
enum steer_limit steer_limits_check(struct steer_limits *l, const struct steer_second *s);

#endif
