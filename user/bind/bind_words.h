/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files that put binds into words (bind_words.c, bind_in_use.c, bind_suspect.c) share. */
#ifndef SOCKFAIR_BIND_WORDS_H
#define SOCKFAIR_BIND_WORDS_H

#include "bind.h"

struct words {
	char *text; /* BIND_TEXT_MAX; what does not fit is cut */
};

void words_add(struct words *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Who shares a port with the event's socket: "its own descriptor 3", "nginx (pid 7 and 2 others,
 * uid 0, in nginx.service)", or "a socket of uid 7" */
void words_other(struct words *w, const struct bind_event *e, const struct bind_occupant *o);

/* Why a call failed with EADDRINUSE (bind_in_use.c). Returns the index of the occupant that is
 * named; -1: none is. */
int words_in_use(struct words *w, const struct bind_event *e, const struct bind_occupant *occupants,
		 size_t count, enum bind_looked looked);
/* Why the kernel found no port to pick, with what there is in e->range (bind_range.c). */
void words_no_port(struct words *w, const struct bind_event *e);

/* Who may not bind below the limit, and why: what became of its capability (bind_rights.c). */
void words_privileged(struct words *w, const struct bind_event *e);

/* IPv6 is off where the address would be: e->ipv6_off (bind_connect.c). */
void words_ipv6_off(struct words *w, const struct bind_event *e);

/* Why connect() failed with EADDRNOTAVAIL, or of UDP with EAGAIN (bind_connect.c). */
void words_connect(struct words *w, const struct bind_event *e);

#endif
