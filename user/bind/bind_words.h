/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files that put binds into words (bind_words.c, bind_in_use.c, bind_suspect.c) share. */
#ifndef SOCKFAIR_BIND_WORDS_H
#define SOCKFAIR_BIND_WORDS_H

#include "bind.h"

struct words {
	char *text; /* BIND_TEXT_MAX bytes; text that does not fit is cut */
};

void words_add(struct words *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes who shares a port with the event's socket: "its own descriptor 3", "nginx (pid 7 and 2
 * others, uid 0, in nginx.service)", or "a socket of uid 7". */
void words_other(struct words *w, const struct bind_event *e, const struct bind_occupant *o);

/* Writes why a call failed with EADDRINUSE (bind_in_use.c). Returns the index of the occupant that
 * the text names; -1: none. */
int words_in_use(struct words *w, const struct bind_event *e, const struct bind_occupant *occupants,
		 size_t count, enum bind_looked looked);
/* Writes why the kernel found no port to pick, using the figures of e->range (bind_range.c). */
void words_no_port(struct words *w, const struct bind_event *e);

/* Writes who may not bind below the limit and why: what became of the process's capability
 * (bind_rights.c). */
void words_privileged(struct words *w, const struct bind_event *e);

/* Writes that IPv6 is switched off where the address would be: e->ipv6_off (bind_connect.c). */
void words_ipv6_off(struct words *w, const struct bind_event *e);

/* Writes why connect() failed with EADDRNOTAVAIL, or with EAGAIN for UDP (bind_connect.c). */
void words_connect(struct words *w, const struct bind_event *e);

#endif
