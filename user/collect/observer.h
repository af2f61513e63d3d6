/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Attaches the counting programs and reads what they counted.
 *
 *   observer_open()   probes, loads, attaches; nothing is counted yet
 *   observer_start()  the window begins
 *   observer_scan()   with an inventory: who holds the sockets and who waits on them, now
 *   observer_read()   a snapshot of everything since the start, at any time
 *   observer_close()  detaches; the end of the process does the same, however it ends
 */
#ifndef SOCKFAIR_OBSERVER_H
#define SOCKFAIR_OBSERVER_H

#include "../model/snapshot.h"
#include "../attach/probe.h"
#include "selection.h"

struct steer_config;

struct observer_options {
	enum backend backend; /* BACKEND_AUTO: the backend that sees most */
	struct selection selection;
	bool by_port;   /* count only the selection's ports and those given to observer_watch_port()
			 */
	bool inventory; /* sockets and workers without events get rows too, and rows of sockets and
			   threads that have ended are given back */
	bool before; /* with an inventory: count the bytes of connections that were open before the
			window, too */
	bool no_waits;     /* do not measure how long connections wait for accept */
	bool no_serving;   /* do not follow connections: nothing on who serves and what is open */
	uint32_t rows_max; /* limit of rows of threads, and of sockets; 0: all there is room for */
	uint32_t connections_max; /* limit of open connections that are followed; 0: likewise */
	uint32_t ended_max; /* how many closed sockets, and how many ended threads, are listed one
			       by one; 0: 8,192 */
	const struct steer_config
		*steer; /* load the program that steers, too: steerer.h; NULL: no */
	bool own_cost;  /* have the kernel measure what the programs take */
};

struct observer;

/* Returns 0 or negative errno with `why`: one line that says what failed, why, and what to do. */
int observer_open(struct observer **out, const struct observer_options *options, char *why,
		  size_t why_size);

enum backend observer_backend(const struct observer *o);
/* Bits of enum hook_purpose. */
unsigned observer_sees(const struct observer *o);
/* Bytes of kernel memory that the maps take, as the kernel accounts them; 0 if it does not say. */
uint64_t observer_memory(const struct observer *o);
struct observer_limits {
	unsigned workers, sockets; /* how many rows of threads, and of sockets, there is room for */
	unsigned connections;      /* how many open connections can be followed */
	unsigned cpus;    /* CPUs that the kernel has room for; up to 16 the memory is the same */
	unsigned cpu_kib; /* kernel memory that each CPU above 16 takes */
};
void observer_limits(const struct observer *o, struct observer_limits *limits);

/* Counts this port (host order) from now on; only with by_port. */
void observer_watch_port(struct observer *o, uint16_t port);

/* Returns 0 or negative errno: the first scan failed. */
int observer_start(struct observer *o);

/* The window ends: later events are not counted. */
void observer_stop(struct observer *o);

/*
 * Has anything been counted since the last call, or does a connection wait in the queue of a
 * listener?
 */
bool observer_active(struct observer *o);

/* Takes a sample of the inventory, and gives back the rows of closed sockets and of threads that
 * ended. Returns 0 or negative errno. */
int observer_scan(struct observer *o);

/*
 * Gives back rows of threads that have ended, and of sockets that are closed, if rows run short, so
 * that only those alive at the same time need room. Without it, a thousand connections a second
 * with a thread each would use all rows up between two scans. It is cheap while rows are plenty, so
 * it can be called many times a second. Returns 0 or negative errno.
 */
int observer_relieve(struct observer *o);

/* How many sockets with that port (0: any) of the last scan the selection asks for. */
size_t observer_found(const struct observer *o, uint16_t port);

/*
 * Forgets all that was counted and stops counting until observer_start().
 */
void observer_reset(struct observer *o);

/*
 * Fills a snapshot: endpoints with sockets, workers and CPUs, sorted; and what was lost. With
 * `all` and an inventory it has endpoints without events too. Returns 0 or -ENOMEM. Call
 * snapshot_free() on it.
 */
int observer_read(struct observer *o, struct snapshot *s, bool all);

/* From now on the longest accept queues are those of what comes. A longer one may come back once:
 * an arrival at this very moment. */
void observer_begin_highest(struct observer *o);

/* The i-th of the reasons that a snapshot's `lost` may give; NULL: there are no more. */
const char *observer_lost_reason(size_t i);

/* o may be NULL. */
void observer_close(struct observer *o);

#endif
