/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of an observer, for its own files:
 *
 *   observer.c        a window from beginning to end
 *   observer_load.c   the programs: configured, loaded, attached, their maps in our memory
 *   observer_enter.c  from the kernel's rows to the ledger
 *   observer_rows.c   rows of what has ended are given back
 *   observer_asked.c  which sockets a selection of processes asks for
 *   observer_lost.c   what could not be counted, and why
 */
#ifndef SOCKFAIR_OBSERVER_PARTS_H
#define SOCKFAIR_OBSERVER_PARTS_H

#include <time.h>

#include <linux/types.h>

#include "../attach/backend.h"
#include "../model/arrivals.h"
#include "../model/ledger.h"
#include "../model/lost.h"
#include "bytes.h"
#include "count.h"
#include "count.skel.h"
#include "inventory.h"
#include "observer.h"
#include "sockdiag.h"

#define OBSERVER_MISSED_KINDS 5 /* what a skipped run of a program would have counted */

/* Cookies, ascending. */
struct cookies {
	uint64_t *rows;
	size_t count;
};

struct observer {
	struct count_bpf *bpf;
	const struct observer_options *options; /* while it is opened */
	struct attachment attachment;
	unsigned sees; /* bits of enum hook_purpose, once attached */
	unsigned cpus, sockets_max, connections_max, workers_max;
	struct count_worker *workers; /* the maps' own memory */
	struct count_socket *sockets;
	struct count_arrival *arrivals;
	struct count_sketch *sketches;
	struct count_histogram *histograms;      /* NULL: waits are not measured */
	struct count_serve *serves;              /* NULL: not followed */
	bool *entered_workers, *entered_sockets; /* the rows that observer_enter_rows() read last */
	struct arrivals_cpu *by_cpu; /* room for what the CPUs counted of one socket: `cpus` */
	uint64_t *arrived_by_cpu;    /* arrivals, before late drops: those are another CPU's */
	int inner_map, outer_map;    /* for observer_await_readers(); -1: none */
	struct ledger *ledger;
	struct bytes_reader *bytes;     /* NULL: connections are not followed */
	struct inventory *inventory;    /* NULL: none is taken */
	bool by_process;                /* the inventory says which sockets are asked for */
	bool before;                    /* as in observer_options */
	struct cookies unwanted, asked; /* what the kernel was told at the last look */
	struct lost_list unattributed;  /* connections that were open when the row of who had them
					   was given back */
	struct lost_list undecided;     /* events of sockets that came and went unseen: not known
					   whether they were asked for */
	struct lost_list unseen,
		unseen_past; /* see arrivals.h: of the kernel's present rows, of those given back */
	size_t relieve_at;   /* rows of threads in use from which observer_relieve() looks whose
				threads are gone; 0: not known yet */
	uint64_t active;     /* what observer_active() saw last */
	struct sockdiag_row *baseline; /* as it was at the window's start */
	int baseline_count;
	uint64_t started_ns; /* CLOCK_BOOTTIME; 0: the window has not begun */
	uint64_t read_ns;    /* the same clock, when the kernel's rows were last read */
	uint64_t missed_before[OBSERVER_MISSED_KINDS + 1], changes_before[2];
	struct timespec started; /* CLOCK_MONOTONIC */
	int64_t start_ms;
};

/* ---- observer.c ---- */

/*
 * Waits until every program that runs now has ended: the kernel does so after an update of a map of
 * maps (maybe_wait_bpf_programs(), synchronize_rcu() on every kernel from 5.10 on). membarrier()
 * would not with nohz_full or on a single CPU. Returns 0 or negative errno.
 */
int observer_await_readers(const struct observer *o);

/* ---- observer_load.c ---- */

/* Loads and attaches o->attachment.backend. Returns 0, or negative errno with nothing left of it.
 */
int observer_load(void *observer);
void observer_unload(void *observer);

/* ---- observer_enter.c ---- */

/* All rows that are in use. Returns 0 or -ENOMEM. */
int observer_enter_rows(struct observer *o);

/* One of them; last: it is given back, and starts at 0 when it comes back. */
int observer_enter_worker(struct observer *o, const struct count_worker *from, bool last);
struct ledger_socket *observer_enter_socket(struct observer *o, const struct count_socket *from,
					    bool last); /* NULL: no memory */

/* ---- observer_rows.c ---- */

/*
 * Gives back rows of what the last scan found ended, and of what is not asked for. Returns 0 or
 * negative errno.
 */
int observer_give_back_ended(struct observer *o);

/* All. */
void observer_give_back_all(struct observer *o);

/* It is known now whether the socket of the row is asked for, or the row is given back. */
void observer_socket_decided(struct observer *o, __u32 row);

/* ---- observer_asked.c ---- */

bool cookies_have(const struct cookies *of, uint64_t cookie);

/*
 * Tells the kernel which of the sockets that exist are asked for, and which are not. Those it does
 * not know of are counted, while a share of the rows is left for them: whether they are asked for
 * shows when they are found, or when a thread that is asked for has taken from them. Returns 0 or
 * -ENOMEM.
 */
int observer_tell_asked(struct observer *o);

/*
 * Sockets that came and went between two scans: were they asked for? Who took from them tells, if
 * it can still be asked. What can't be told is lost. Returns 0 or -ENOMEM.
 */
int observer_decide(struct observer *o);

/* ---- observer_lost.c ---- */

/* The texts with limits in them, once the maps are configured. */
void observer_say_limits(const struct observer *o);

/* What the kernel has skipped by now does not count for the window that begins. */
void observer_begin_lost(struct observer *o);

/* orphaned: events of threads on sockets that found no row: counted, but in no endpoint. Returns 0
 * or -ENOMEM. */
int observer_fill_lost(const struct observer *o, struct snapshot *s, uint64_t orphaned);

/* ---- of a row ---- */

/* Connections that are put down to the row and open: their ends are counted there. */
static inline uint64_t observer_open_of(const struct observer *o, __u32 i)
{
	const struct count_serve *serve = o->serves ? &o->serves[i] : NULL;
	const uint64_t left = serve ? serve->moved + serve->closed : 0,
		       opened = serve ? __atomic_load_n(&serve->opened, __ATOMIC_ACQUIRE) : 0;

	return opened > left ? opened - left : 0;
}

static inline struct lost_events socket_events(const struct ledger_socket *s, uint64_t count,
					       unsigned touches)
{
	return (struct lost_events){ .count = count,
				     .touches = touches,
				     .protocol = s->protocol,
				     .port = s->port,
				     .netns = s->netns };
}

#endif
