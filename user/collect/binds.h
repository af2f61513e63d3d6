/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Watches bind() and listen() of all processes, and connect() that finds no port: TCP and UDP
 * sockets.
 *
 *   binds_open()   loads and attaches; nothing is counted yet
 *   binds_start()  the window begins
 *   binds_poll()   hands out the calls that failed or may look wrong, or all
 *   binds_stop()   the window ends: what comes later is not counted. binds_poll() hands out the
 * rest binds_totals() how many calls there were binds_close()  detaches; also what happens when the
 * process dies, however it dies
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
	struct selection selection; /* of processes: who calls. With ports, the byte-swapped twins
				       of those are told too */
	const struct bind_ports *ports; /* whose twins are told although they worked */
	bool all;                       /* tell every call */
	uint32_t pending;    /* threads that may be in a call at once; 0: BINDS_PENDING_MAX */
	uint32_t ring_bytes; /* room for what was not fetched yet: a power of two, of pages; 0: as
				much as 10,000 calls a second need */
};

/* Returns 0 or negative errno with `why`: one line, what failed, why, what to do. */
int binds_open(struct binds **out, const struct binds_options *options, char *why, size_t why_size);

enum backend binds_backend(const struct binds *b);

/* Bytes of kernel memory that the maps take, as the kernel accounts them; 0 if it does not say. */
uint64_t binds_memory(const struct binds *b);

void binds_start(struct binds *b);

/*
 * Waits up to that long for calls, and gives each that the selection asks for to `take`, in the
 * order in which they returned on each CPU. Returns how many, or negative errno: -EINTR on a
 * signal, -ENOMEM.
 */
int binds_poll(struct binds *b, int timeout_ms,
	       int (*take)(void *to, const struct bind_event *event), void *to);

/*
 * When the bind() of the socket with that inode began, in ns of CLOCK_MONOTONIC; 0: not known. Of
 * the last ones that worked since binds_start(), on ports that the selection asks for, it is known:
 * told or not.
 */
uint64_t binds_since(const struct binds *b, uint32_t inode);

void binds_stop(struct binds *b);

/* Fills what the kernel counted: all but `shown` and `suspicious`. After binds_stop() it is final.
 */
void binds_totals(struct binds *b, struct bind_totals *t);

/* NULL is fine. */
void binds_close(struct binds *b);

#endif
