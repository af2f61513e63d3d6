/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The exporter's second process: it speaks HTTP with anybody, and has nothing but finished pages.
 *
 *   clients ── HTTP ── front ── memory, to read ── collector ── kernel, /proc
 *
 * export_front_start() comes before all else, so that the front inherits nothing of the counting;
 * export_confine_collector() (confine.h) when all is open that counting takes. The collector's end
 * ends the front, however it comes: a pipe closes, and the kernel kills (PR_SET_PDEATHSIG). The
 * front's end is final: to fork another one the collector would have to keep the rights that the
 * front gives up. export_front_alive() tells, the command ends with status 1, and what has started
 * it (systemd: Restart=on-failure) starts both.
 */
#ifndef SOCKFAIR_FRONT_H
#define SOCKFAIR_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "confine.h"
#include "listen.h"
#include "pages.h"

struct export_front;

/*
 * Makes the socket and forks. Returns 0 once the front serves, with `why`: what it could not give
 * up (confine_front()), or ""; or negative errno with `why`: one line that says what failed, why,
 * and what to do. The calling thread has to outlive the front.
 */
int export_front_start(struct export_front **front, const struct export_listen *l, char *why,
		       size_t size);

/*
 * From here on clients get this page, whole; before the first of a format they get status 503.
 * Takes a copy. Returns 0, or -EMSGSIZE if it is longer than EXPORT_PAGE_MAX, or -EINVAL if it is
 * empty; the last one stays then.
 */
int export_front_publish(struct export_front *front, enum export_format format, const char *text,
			 size_t length);

/* Does the front live? If not, `why`: how it ended, in one line. Takes microseconds. */
bool export_front_alive(struct export_front *front, char *why, size_t size);

/* Where it serves: "http://127.0.0.1:7435" or "unix:/path". */
const char *export_front_place(const struct export_front *front);
/* Its process id; for tests and messages. */
pid_t export_front_pid(const struct export_front *front);

/* Ends it and removes a unix socket's file; front may be NULL. */
void export_front_end(struct export_front *front);

#endif
