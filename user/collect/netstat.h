/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The handshake counters of network namespaces (/proc/net/netstat) and the settings that matter
 * for handshakes. A namespace is entered once: the files opened there keep showing its values, and
 * keep the namespace alive. So they are closed when the namespace is no longer named.
 */
#ifndef SOCKFAIR_NETSTAT_H
#define SOCKFAIR_NETSTAT_H

#include "../model/handshakes.h"

#define NETSTAT_NAMESPACES 64 /* each takes four descriptors; further namespaces are not read */
#define NETSTAT_FILES 5

struct netstat_namespace {
	struct handshake_look look;
	int fds[NETSTAT_FILES]; /* -1: could not be opened */
	bool named, opened;     /* `opened`: opened since the last netstat_after() */
};

/* Begin with {}. */
struct netstat {
	struct netstat_namespace rows[NETSTAT_NAMESPACES];
	size_t count;
};

/* Reads from the open namespaces what must be known before the sockets are looked at. */
void netstat_before(struct netstat *n);

/*
 * Opens the namespaces in `netns` (ascending) that are not open, and closes all others. *opened:
 * some were opened. Returns 0, or a negative errno only if the way back from one failed: see
 * namespace_within().
 */
int netstat_open(struct netstat *n, const uint32_t *netns, size_t count, bool *opened);

/*
 * Reads the namespaces after the sockets were looked at. `looks` has room for NETSTAT_NAMESPACES.
 * Returns how many there are.
 */
size_t netstat_after(struct netstat *n, struct handshake_look *looks);

/* Has a namespace refused SYNs, or sent cookies, since the last netstat_after()? */
bool netstat_refuses(const struct netstat *n);

void netstat_close(struct netstat *n);

#endif
