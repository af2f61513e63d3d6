/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Steers new connections of a SO_REUSEPORT group by the program of bpf/steer.bpf.h. The observer
 * counts what the program decides by; it must have been opened with observer_options.steer.
 *
 *   steerer_open()     takes the group's sockets into the program's map; nothing is steered yet
 *   steerer_attach()   from here on the program picks
 *   steerer_beat()     at least every two seconds, or the kernel's hash picks again
 *   steerer_close()    the kernel's hash picks again
 *
 * A link holds the program. It ends with this process, however the process ends.
 */
#ifndef SOCKFAIR_STEERER_H
#define SOCKFAIR_STEERER_H

#include "observer.h"

struct steerer;

/*
 * Takes the sockets of the endpoint's group, each from a process that holds it. Their descriptors
 * are closed again before it returns: a kept one would keep a killed worker's listener alive.
 * Returns 0 or negative errno with `why`: one line that says what failed, why, and what to do.
 */
int steerer_open(struct steerer **out, struct observer *o, const struct endpoint *e, char *why,
		 size_t why_size);

/* Returns 0 or negative errno with `why`. */
int steerer_attach(struct steerer *s, char *why, size_t why_size);

/* The tool is alive. */
void steerer_beat(struct steerer *s);

/* What the program did so far. */
struct steerer_counts {
	uint64_t steered;                           /* look-ups that it picked a socket for */
	uint64_t passed_stale, passed_size, passed_empty; /* left to the kernel's hash */
};
struct steerer_counts steerer_counts(const struct steerer *s);

/* s may be NULL. */
void steerer_close(struct steerer *s);

#endif
