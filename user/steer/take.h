/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Takes a server's descriptors for a moment. */
#ifndef SOCKFAIR_STEER_TAKE_H
#define SOCKFAIR_STEER_TAKE_H

#include "../model/snapshot.h"

/*
 * A descriptor of ours for what the process has under that number (pidfd_getfd(), 5.6). Close it at
 * once after use: a kept one keeps a listener of a killed worker alive, with clients that nobody
 * answers, and a restart of the server then fails with EADDRINUSE. Returns negative errno.
 */
int take_descriptor(int32_t pid, int fd);

/* The same, if it is the socket with that cookie; else -ESTALE. */
int take_named(int32_t pid, int fd, uint64_t cookie);

/* Is it an MPTCP socket? The kernel's tables hold the TCP socket of its first subflow, so only its
 * own descriptor shows that. */
bool take_is_mptcp(int fd);

/*
 * The same of the socket with that cookie, from the first process of the endpoint's holders that
 * gives it. Returns negative errno with `why`: one line that says what failed, why, and what to do.
 */
int take_socket(const struct endpoint *e, uint64_t cookie, char *why, size_t size);

#endif
