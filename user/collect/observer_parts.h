/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of an observer, for its own files only:
 *
 *   observer.c        a window from beginning to end
 *   observer_load.c   the programs: configured, loaded, attached, their maps in our memory
 *   observer_enter.c  from the kernel's rows to the ledger
 *   observer_rows.c   gives back rows of what has ended
 *   observer_asked.c  which sockets a selection of processes asks for
 *   observer_lost.c   what could not be counted, and why
 *   observer_steer.c  the program that steers a port
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

#define OBSERVER_CHANGES 3      /* programs that see the ends of connections */
#define OBSERVER_MISSED_KINDS 5 /* kinds of counts that a skipped program run may lack */

/* Cookies, ascending. */
struct cookies {
	uint64_t *rows;
	size_t count;
};

struct observer {
	struct count_bpf *bpf;
	const struct observer_options *options; /* only while the observer is being opened */
	const struct btf *btf;                  /* the same */
	struct attachment attachment;
	unsigned sees; /* bits of enum hook_purpose, once attached */
	unsigned cpus, sockets_max, connections_max, workers_max;
	struct count_worker *workers; /* mapped memory of the maps, like the next ones */
	struct count_socket *sockets;
	struct count_arrival *arrivals;
	struct count_sketch *sketches;
	struct count_histogram *histograms;      /* NULL: waits are not measured */
	struct count_serve *serves;              /* NULL: connections are not followed */
	bool *entered_workers, *entered_sockets; /* the rows that observer_enter_rows() read last */
	struct arrivals_cpu *by_cpu; /* room for what the CPUs counted of one socket: `cpus` */
	uint64_t *arrived_by_cpu; /* arrivals by CPU, without subtracting late drops, which happen
				     on another CPU */
	struct steer_member *steer_members; /* NULL: nothing is steered */
	struct bpf_link *steer_link;        /* NULL: nor now */
	int inner_map, outer_map;           /* for observer_await_readers(); -1: none */
	struct ledger *ledger;
	struct bytes_reader *bytes;     /* NULL: connections are not followed */
	struct inventory *inventory;    /* NULL: no inventory is taken */
	bool by_process;                /* the inventory says which sockets are asked for */
	bool before;                    /* as in observer_options */
	struct cookies unwanted, asked; /* what the kernel was told at the last scan */
	struct lost_list unattributed;  /* connections that were still open when the row that had
					   them was given back */
	struct lost_list undecided; /* events of sockets that came and went between two scans, so
				       that it is not known whether they were asked for */
	struct lost_list unseen,
		unseen_past; /* see arrivals.h: of present rows, of rows that were given back */
	size_t relieve_at;   /* once this many rows of threads are in use, observer_relieve() looks
				which threads are gone; 0: not known yet */
	size_t look_at;      /* the same of rows of sockets: it takes a look then */
	uint64_t active;     /* what observer_active() saw at its last call */
	struct sockdiag_row *baseline; /* sock_diag's rows when the window began */
	int baseline_count;
	uint64_t started_ns; /* CLOCK_BOOTTIME; 0: the window has not begun */
	uint64_t read_ns;    /* the same clock, when the kernel's rows were last read */
	uint64_t missed_before[OBSERVER_MISSED_KINDS + 1], changes_before[OBSERVER_CHANGES];
	struct timespec started; /* CLOCK_MONOTONIC */
	int64_t start_ms;
	int stats;                   /* the kernel measures run times while it is open; -1: no */
	struct own_cost cost_before; /* what it had measured when the window began */
};

/* The row of a socket on a CPU. */
static inline struct count_arrival *observer_arrival(const struct observer *o, size_t socket,
						     unsigned cpu)
{
	return &o->arrivals[(size_t)cpu * o->sockets_max + socket];
}

/* ---- observer.c ---- */

/*
 * Waits until every program that is running now has ended. The kernel waits like that after an
 * update of a map of maps (maybe_wait_bpf_programs(), which calls synchronize_rcu() on every
 * kernel from 5.10 on). membarrier() would not wait with nohz_full or on a single CPU. Returns 0
 * or negative errno.
 */
int observer_await_readers(const struct observer *o);

/* ---- observer_load.c ---- */

/*
 * Loads and attaches o->attachment.backend. Returns 0, or negative errno with nothing left behind.
 */
int observer_load(void *observer);
void observer_unload(void *observer);

/* ---- observer_cost.c ---- */

/* Returns 0, or negative errno with one line in `why`. */
int observer_cost_open(struct observer *o, char *why, size_t size);
void observer_cost_close(struct observer *o);
void observer_cost_begin(struct observer *o);
/* Since the window began. All 0: it was not asked for. */
struct own_cost observer_cost(const struct observer *o);

/* ---- observer_enter.c ---- */

/* Enters all rows in use. Returns 0 or -ENOMEM. */
int observer_enter_rows(struct observer *o);

/* Enters one row. With `last` the row is given back, and starts at 0 when it is used again. */
int observer_enter_worker(struct observer *o, const struct count_worker *from, bool last);
struct ledger_socket *observer_enter_socket(struct observer *o, const struct count_socket *from,
					    bool last); /* NULL: no memory */

/* ---- observer_rows.c ---- */

/*
 * Gives back the rows of sockets and threads that the last scan found to have ended, and of
 * sockets that are not asked for. Returns 0 or negative errno.
 */
int observer_give_back_ended(struct observer *o);

/* Gives back all rows. */
void observer_give_back_all(struct observer *o);

/*
 * Call it when it becomes known whether the socket of the row is asked for, or when the row is
 * given back.
 */
void observer_socket_decided(struct observer *o, __u32 row);

/* ---- observer_asked.c ---- */

bool cookies_have(const struct cookies *of, uint64_t cookie);

/*
 * Tells the kernel which of the existing sockets are asked for, and which are not. A socket that
 * the kernel does not know of is counted while the share of rows for such sockets lasts: whether
 * it is asked for shows when a scan finds it, or when a thread that is asked for has taken from
 * it. Returns 0 or -ENOMEM.
 */
int observer_tell_asked(struct observer *o);

/*
 * Were sockets that came and went between two scans asked for? The threads that took from them
 * tell, if they can still be looked at. Events of the other sockets are lost. Returns 0 or
 * -ENOMEM.
 */
int observer_decide(struct observer *o);

/* ---- observer_steer.c ---- */

/* That of the programs that steer which was loaded. */
struct bpf_program *observer_steer_loaded(const struct observer *o);

/* ---- observer_lost.c ---- */

/* Fills in the texts that mention limits, once the maps are configured. */
void observer_say_limits(const struct observer *o);

/* Notes what the kernel has skipped so far: it does not count for the window that begins. */
void observer_begin_lost(struct observer *o);

/*
 * orphaned: events of threads on sockets that found no row; they are counted, but belong to no
 * endpoint. Returns 0 or -ENOMEM.
 */
int observer_fill_lost(const struct observer *o, struct snapshot *s, uint64_t orphaned);

/* ---- one row ---- */

/* How many open connections the row has. Their ends are counted in that row. */
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
