/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds the epolls that watch a listener, in /proc. It changes nothing. */
#ifndef SOCKFAIR_EPOLL_LOOK_H
#define SOCKFAIR_EPOLL_LOOK_H

#include "../model/snapshot.h"
#include "epoll_entries.h"

/*
 * What a listener is called in fdinfo, asked of the process that holds it. Returns 0 or negative
 * errno.
 */
int epoll_target_find(const struct holder_row *holder, struct epoll_target *target);

/*
 * Adds to the picture the epolls of a process that have the listener, each once: another number of
 * one that is there already is added to its member. A process that has gone has none. Returns 0 or
 * negative errno: -EACCES or -EPERM, if this process may not look.
 */
int epoll_look_process(const struct holder_row *holder, const struct epoll_target *target,
		       struct epoll_picture *p);

/*
 * Looks again at the epoll of a member, by whichever of its names is left. *there: it still is.
 * Returns 0 or negative errno.
 */
int epoll_look_again(const struct epoll_member *m, const struct epoll_target *target,
		     struct epoll_member *now, bool *there);

/*
 * Is the epoll of a member still there? Cheaper, since its entries are not read. The member gets
 * the name that it was found by.
 */
bool epoll_look_lives(struct epoll_member *m);

#endif
