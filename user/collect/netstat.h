/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What network namespaces count of handshakes (/proc/net/netstat) and what they are set to. A
 * namespace is entered once; what was opened there tells of it ever after, and keeps it: so it is
 * let go when it is no longer named.
 */
#ifndef SOCKFAIR_NETSTAT_H
#define SOCKFAIR_NETSTAT_H

#include "../model/handshakes.h"

#define NETSTAT_NAMESPACES 64 /* four descriptors each; of more the rest is not read */
#define NETSTAT_FILES 5

struct netstat_namespace {
	struct handshake_look look;
	int fds[NETSTAT_FILES]; /* -1: could not be opened */
	bool named, opened;     /* opened: since the last netstat_after() */
};

/* Begin with {}. */
struct netstat {
	struct netstat_namespace rows[NETSTAT_NAMESPACES];
	size_t count;
};

/* Reads, of the namespaces that are open, what is to be known before a look at the sockets. */
void netstat_before(struct netstat *n);

/*
 * Opens those of `netns` (ascending) that are not, and closes the others. *opened: some were.
 * Returns 0, or a negative errno only if the way back from one failed: see namespace_within().
 */
int netstat_open(struct netstat *n, const uint32_t *netns, size_t count, bool *opened);

/* After the look. looks: room for NETSTAT_NAMESPACES. Returns how many. */
size_t netstat_after(struct netstat *n, struct handshake_look *looks);

/* Has a namespace refused SYNs, or sent cookies, since the last netstat_after()? */
bool netstat_refuses(const struct netstat *n);

void netstat_close(struct netstat *n);

#endif
