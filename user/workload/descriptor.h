/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptors that are handed on over a unix socket (SCM_RIGHTS): works between threads as well as
 * between processes. */
#ifndef SOCKFAIR_WORKLOAD_DESCRIPTOR_H
#define SOCKFAIR_WORKLOAD_DESCRIPTOR_H

/* Sends one descriptor; the sender keeps its own. 0 or a negative errno. Blocks while the queue is
 * full. */
int descriptor_send(int queue, int fd);

/*
 * Waits for one; it is closed on exec. Returns it, or a negative errno: -EMFILE where the kernel
 * found no room for it and dropped it, -ECONNRESET where none came (the other end is closed).
 */
int descriptor_receive(int queue);

#endif
