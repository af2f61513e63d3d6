/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SOCKFAIR_SIBLINGS_H
#define SOCKFAIR_SIBLINGS_H

#include "snapshot.h"

/*
 * Adds rows for idle siblings. If the workers of a server take turns in accepting (nginx's
 * accept_mutex, a semaphore), a worker that never gets its turn is never seen waiting. Such a
 * process is recognised as follows: it holds a socket of the port, has no row on any socket, has an
 * epoll of its own, and has the same name and parent as a process whose first thread is a worker.
 * The master process has another parent.
 *
 * A process that is stopped while something is queued on a socket that it alone holds needs no
 * epoll for that: nobody else could take it. (Its state is known only where something is queued.)
 *
 * A process that was never seen with an epoll that watches the socket may or may not be a worker;
 * unsure_siblings counts these. Returns 0 or -ENOMEM.
 */
int endpoint_add_siblings(struct endpoint *e);

#endif
