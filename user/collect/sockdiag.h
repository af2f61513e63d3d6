/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What sock_diag tells of sockets: also of those that no process holds by a descriptor. */
#ifndef SOCKFAIR_SOCKDIAG_H
#define SOCKFAIR_SOCKDIAG_H

#include "../model/snapshot.h"
#include "namespace.h"

/* A listening TCP or a UDP socket. */
struct sockdiag_row {
	uint64_t cookie;
	uint32_t netns; /* inode; 0 from sockdiag_dump(), which asks in the present one */
	uint32_t inode; /* 0: the kernel's own */
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
 * Asks the kernel for all of them, by cookie in ascending order. The dump has a side effect that is
 * wanted: sockets without a cookie get theirs. Returns how many, or negative errno (the diag
 * modules may not be there); *out is to be freed.
 */
int sockdiag_dump(struct sockdiag_row **out);

/*
 * The same over all network namespaces that are to be found. seen: empty; it is told which were
 * asked, see namespaces_visit(), and is to be freed. Needs CAP_SYS_ADMIN. Negative also when the
 * way back to the own namespace failed (seen->astray).
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
 * All in TIME_WAIT (FIN_WAIT2 without a socket too) of the present network namespace, by cookie;
 * each gets its cookie by it. Returns how many, or negative errno; *out is to be freed.
 */
int sockdiag_lingering(struct sockdiag_lingering **out);
const struct sockdiag_lingering *sockdiag_lingering_find(const struct sockdiag_lingering *rows,
							 int count, uint64_t cookie);

/* Fills queue and drops of the snapshot's sockets; drops against the baseline. Sockets not found
 * keep queue_known = false. */
void sockdiag_queues(struct snapshot *s, const struct sockdiag_row *baseline, int baseline_count);

#endif
