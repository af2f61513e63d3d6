/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guardian of a program that a SO_REUSEPORT group has: when the tool ends without having taken
 * it off, also by kill -9, the guardian does. Should both be killed, the program leaves everything
 * to the kernel's hash two seconds later, and stays until somebody calls `sockfair steer` for that
 * port, or the server ends.
 */
#ifndef SOCKFAIR_STEER_DETACHER_H
#define SOCKFAIR_STEER_DETACHER_H

#include "detach.h"

struct detacher;

/* looks: outlive it. NULL: out of memory. */
struct detacher *detacher_new(const struct group_looks *looks);

/* Who has the sockets by now, for the guardian and for detacher_rows(). */
void detacher_tell(struct detacher *d, const struct endpoint *e);
const struct detach_rows *detacher_rows(const struct detacher *d);

/* Forks the guardian of the program with that number, which is not attached yet. Returns 0 or
 * negative errno. */
int detacher_begin(struct detacher *d, uint32_t program);

bool detacher_lives(const struct detacher *d);

/* The program is off: ends the guardian. Harmless without one. */
void detacher_end(struct detacher *d);

/* Ends it first. d may be NULL. */
void detacher_free(struct detacher *d);

#endif
