/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SOCKFAIR_SIBLINGS_H
#define SOCKFAIR_SIBLINGS_H

#include "snapshot.h"

/*
 * Adds rows for idle siblings. Where the workers of a server agree among themselves on who accepts
 * (nginx's accept_mutex, a semaphore), one that never gets its turn is never seen waiting. It is
 * told by this: it holds a socket of the port, has no row on any, and has the name and the parent
 * of a process that is a worker by its first thread, and an epoll of its own. The master has
 * another parent.
 *
 * Of one that was not seen with an epoll that watches the socket it is not known whether it is a
 * worker: unsure_siblings counts those. Returns 0 or -ENOMEM.
 */
int endpoint_add_siblings(struct endpoint *e);

#endif
