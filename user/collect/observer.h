/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Attaches the counting programs and reads what they counted.
 *
 *   observer_open()   probes, loads, attaches; nothing is counted yet
 *   observer_start()  the window begins
 *   observer_scan()   with an inventory: who holds the sockets and who waits on them, now
 *   observer_read()   a snapshot of all since the start, at any time
 *   observer_close()  detaches; also what happens when the process dies, however it dies
 */
#ifndef SOCKFAIR_OBSERVER_H
#define SOCKFAIR_OBSERVER_H

#include "../model/snapshot.h"
#include "../attach/probe.h"
#include "selection.h"

struct observer_options {
	enum backend backend; /* BACKEND_AUTO: the one that sees most */
	struct selection selection;
	bool by_port;    /* only the selection's ports and those given to observer_watch_port() */
	bool inventory;  /* sockets and workers that got nothing are rows too; rows of the dead are
			    given back */
	bool before;     /* bytes of connections that were open before the window, too: with an
			    inventory */
	bool no_waits;   /* accept waits are not measured */
	bool no_serving; /* connections are not followed: who serves, what is open */
	uint32_t rows_max;        /* rows of threads, and of sockets; 0: all there is room for */
	uint32_t connections_max; /* open connections that are followed; 0: likewise */
};

struct observer;

/* Returns 0 or negative errno with `why`: one line, what failed, why, what to do. */
int observer_open(struct observer **out, const struct observer_options *options, char *why,
		  size_t why_size);

enum backend observer_backend(const struct observer *o);
/* Bits of enum hook_purpose. */
unsigned observer_sees(const struct observer *o);
/* Bytes of kernel memory that the maps take, as the kernel accounts them; 0 if it does not say. */
uint64_t observer_memory(const struct observer *o);
struct observer_limits {
	unsigned workers, sockets; /* rows of threads, and of sockets, that there is room for */
	unsigned connections;      /* open ones that are followed */
	unsigned cpus;             /* that the kernel has room for; 16 take as much memory as few */
	unsigned cpu_kib;          /* kernel memory that each above them takes */
};
void observer_limits(const struct observer *o, struct observer_limits *limits);

/* Counts this port (host order) from now on; only with by_port. */
void observer_watch_port(struct observer *o, uint16_t port);

/* Returns 0 or negative errno: the first scan failed. */
int observer_start(struct observer *o);

/* The window ends: what comes later is not counted. */
void observer_stop(struct observer *o);

/* Has anything been counted since it was asked last, or does something wait in a queue of a
 * listener? */
bool observer_active(struct observer *o);

/* Takes a sample of the inventory, and gives back the rows of closed sockets and of threads that
 * ended. Returns 0 or negative errno. */
int observer_scan(struct observer *o);

/*
 * Gives rows of threads that ended back if rows run short, so that only those that live at once
 * need room: a thousand connections a second, each with a thread of its own, would use them up
 * between two looks. Cheap where they don't: to be called many times a second. Returns 0 or
 * negative errno.
 */
int observer_relieve(struct observer *o);

/* Sockets with that port (0: any) that the selection asks for, in the last scan. */
size_t observer_found(const struct observer *o, uint16_t port);

/*
 * Forgets all that was counted and stops counting until observer_start().
 */
void observer_reset(struct observer *o);

/*
 * Fills a snapshot: endpoints with sockets, workers and CPUs, sorted; lost. all: with an inventory,
 * endpoints without events too. Returns 0 or -ENOMEM. snapshot_free() it.
 */
int observer_read(struct observer *o, struct snapshot *s, bool all);

/* NULL is fine. */
void observer_close(struct observer *o);

#endif
