/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Passes descriptors over a unix socket (SCM_RIGHTS), which works between threads as well as
 * between processes. */
#ifndef SOCKFAIR_WORKLOAD_DESCRIPTOR_H
#define SOCKFAIR_WORKLOAD_DESCRIPTOR_H

/* Sends one descriptor; the sender keeps its own. Returns 0 or a negative errno. Blocks while the
 * queue is full. */
int descriptor_send(int queue, int fd);

/*
 * Waits for a descriptor, which is close-on-exec. Returns it, or a negative errno: -EMFILE if the
 * kernel found no room for it and dropped it, -ECONNRESET if none came (the other end is closed).
 */
int descriptor_receive(int queue);

#endif
