/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Watches bind() and listen() of all processes, and connect() calls that find no free port, for
 * TCP and UDP sockets.
 *
 *   binds_open()   loads and attaches; nothing is counted yet
 *   binds_start()  the window begins
 *   binds_poll()   hands out the calls that failed or may look wrong, or all calls
 *   binds_stop()   the window ends: later calls are not counted
 *   binds_poll()   after that hands out the rest
 *   binds_totals() how many calls there were
 *   binds_close()  detaches; the end of the process does the same, however it ends
 */
#ifndef SOCKFAIR_BINDS_H
#define SOCKFAIR_BINDS_H

#include "../bind/bind_notice.h"
#include "../attach/probe.h"
#include "selection.h"

struct binds;

struct binds_options {
	enum backend backend; /* BACKEND_AUTO: the first of fentry, kprobe, tracepoint that this
				 kernel allows */
	struct selection selection;     /* selects the calling processes. With ports, calls on the
					   byte-swapped twins of those ports are reported too */
	const struct bind_ports *ports; /* their twins are reported even on success */
	bool all;                       /* report every call */
	uint32_t pending;    /* threads that may be inside a call at once; 0: BINDS_PENDING_MAX */
	uint32_t ring_bytes; /* room for records that were not fetched yet: a power of two, a
				multiple of the page size; 0: as much as 10,000 calls a second need
			      */
};

/* Returns 0 or negative errno with `why`: one line that says what failed, why, and what to do. */
int binds_open(struct binds **out, const struct binds_options *options, char *why, size_t why_size);

enum backend binds_backend(const struct binds *b);

/* Bytes of kernel memory that the maps take, as the kernel accounts them; 0 if it does not say. */
uint64_t binds_memory(const struct binds *b);

void binds_start(struct binds *b);

/*
 * Waits up to timeout_ms for calls, and passes each selected call to `take`, in the order in which
 * they returned on each CPU. Returns how many, or negative errno: -EINTR on a signal, -ENOMEM.
 */
int binds_poll(struct binds *b, int timeout_ms,
	       int (*take)(void *to, const struct bind_event *event), void *to);

/*
 * When the bind() of the socket with that inode began, in ns of CLOCK_MONOTONIC; 0: not known. It
 * is known for the latest successful calls since binds_start() on the selected ports, whether or
 * not the calls were reported.
 */
uint64_t binds_since(const struct binds *b, uint32_t inode);

void binds_stop(struct binds *b);

/*
 * Fills in everything that the kernel counted, which is all but `shown` and `suspicious`. After
 * binds_stop() the numbers are final.
 */
void binds_totals(struct binds *b, struct bind_totals *t);

/* b may be NULL. */
void binds_close(struct binds *b);

#endif
