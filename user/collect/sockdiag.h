/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asks sock_diag about sockets, including those that no process holds by a descriptor. */
#ifndef SOCKFAIR_SOCKDIAG_H
#define SOCKFAIR_SOCKDIAG_H

#include "../model/snapshot.h"
#include "namespace.h"

/* A listening TCP socket or a UDP socket. */
struct sockdiag_row {
	uint64_t cookie;
	uint32_t netns; /* inode; 0 from sockdiag_dump(), which asks in the current namespace */
	uint32_t inode; /* 0: the socket is the kernel's own */
	uint32_t uid;
	uint32_t device; /* interface index */
	int family;
	int protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	uint8_t address[16];
	uint16_t port;         /* host order */
	bool connected;        /* UDP */
	uint32_t queue_length; /* TCP: connections. UDP: bytes */
	uint32_t queue_limit;  /* TCP: backlog. UDP: receive buffer in bytes */
	uint32_t drops;        /* since the socket was made; wraps */
};

/*
 * Asks the kernel for all such sockets, and sorts them by cookie in ascending order. The dump has
 * a useful side effect: a socket without a cookie gets one. Returns how many, or negative errno
 * (the diag modules may be missing). The caller frees *out.
 */
int sockdiag_dump(struct sockdiag_row **out);

/*
 * The same over all network namespaces that can be found. `seen` is empty at first and gets the
 * namespaces that were asked, see namespaces_visit(); the caller frees it. Needs CAP_SYS_ADMIN.
 * The result is negative also if the way back to the own namespace failed (seen->astray).
 */
int sockdiag_dump_namespaces(struct sockdiag_row **out, struct namespaces *seen);

const struct sockdiag_row *sockdiag_find(const struct sockdiag_row *rows, int count,
					 uint64_t cookie);

/* A connection in TIME_WAIT. */
struct sockdiag_lingering {
	uint64_t cookie;
	uint32_t milliseconds_left;
};

/*
 * All connections in TIME_WAIT (and in FIN_WAIT2 without a socket) of the current network
 * namespace, by cookie; each gets its cookie by this. Returns how many, or negative errno. The
 * caller frees *out.
 */
int sockdiag_lingering(struct sockdiag_lingering **out);
const struct sockdiag_lingering *sockdiag_lingering_find(const struct sockdiag_lingering *rows,
							 int count, uint64_t cookie);

/*
 * Fills in queue and drops of the snapshot's sockets, with drops counted from the baseline on. A
 * socket that is not found keeps queue_known = false.
 */
void sockdiag_queues(struct snapshot *s, const struct sockdiag_row *baseline, int baseline_count);

#endif
