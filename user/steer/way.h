/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ways in which a running server's port can be steered. Each has the same five steps, so the
 * command does not know which one it drives:
 *
 *   open()      takes what it needs from the server; nothing is changed yet
 *   begin()     from here on the port is steered
 *   tick()      every STEER_TICK_SECONDS: the tool is alive; follows workers that come and go
 *   release()   the kernel shares the port as it did before; compares with the picture that open()
 *               took
 *   close()     frees all of it; releases first what is not released
 *
 * However the tool ends, also by kill -9, the port is released.
 */
#ifndef SOCKFAIR_STEER_WAY_H
#define SOCKFAIR_STEER_WAY_H

#include "../collect/observer.h"
#include "../model/steer_plan.h"

#define STEER_TICK_SECONDS 0.2

/* What a way works on. All of it outlives the way. */
struct steer_task {
	struct observer *observer;       /* counts what the way decides by */
	const struct endpoint *endpoint; /* the port, as it was listed */
	const struct steer_plan *plan;
	double hz; /* moves per second, of all epoll entries together (STEER_BY_EPOLL) */
};

struct steer_way_steps {
	/* Returns 0 or negative errno with `why`: one line that says what failed, why, and what to
	 * do. */
	int (*open)(void **self, const struct steer_task *task, char *why, size_t size);
	/* now: as in tick(), never NULL. */
	int (*begin)(void *self, const struct snapshot *now, char *why, size_t size);
	/* now: all sockets with the port, as they are now, from time to time; NULL: nobody looked.
	 * Returns 0; 1: it can't go on, for the reason in `why`, and has to be released; or
	 * negative errno with `why`. */
	int (*tick)(void *self, const struct snapshot *now, char *why, size_t size);
	/* Returns 0: the port is as it was found, and `note` names the members that left or joined
	 * meanwhile, if any; 1: it is not, and `note` says what differs. */
	int (*release)(void *self, char *note, size_t size);
	void (*close)(void *self); /* self may be NULL */
};

extern const struct steer_way_steps steer_by_lookup;    /* lookup.c */
extern const struct steer_way_steps steer_by_epoll;     /* epoll.c */
extern const struct steer_way_steps steer_by_reuseport; /* reuseport.c */

#endif
