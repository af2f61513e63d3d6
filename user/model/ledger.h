/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that a window has seen, by identity: sockets by cookie, workers by (cookie, tid, start). The
 * kernel's rows come and go beneath it (they are few, and given back when a socket closes or a
 * thread ends); what they counted stays here. Memory is bounded: of the rows that ended the oldest
 * are folded into their endpoint's `omitted`, with their counts.
 */
#ifndef SOCKFAIR_LEDGER_H
#define SOCKFAIR_LEDGER_H

#include "flows.h"
#include "snapshot.h"

/* What became of the queue when the socket was closed, or shut down: see socket_row. */
struct ledger_closings {
	uint64_t reset;
	int64_t migrated; /* of a row alone it may be below 0 */
};

struct ledger_socket {
	struct socket_row
		row; /* what is known of it; the counts are filled in by ledger_snapshot() */
	enum protocol protocol;
	int family;
	uint8_t address[16];
	uint16_t port;
	uint32_t netns;
	uint32_t drops_first, drops_now; /* the kernel's drop counter, which wraps */
	uint64_t scan;                   /* of the inventory, in which it was last seen; 0: never */
	bool undecided;                  /* not known yet whether it is asked for: in no snapshot */
	bool forgotten;                  /* ledger_forget() takes it out */
	int joins; /* connected, not 0: shown with the sockets on any address, of this family;
		      ledger_describe_address() */
	uint64_t read_ns; /* when its queue was last read, CLOCK_MONOTONIC; 0: never */

	/* kept by queues.c: at the look before */
	uint64_t looked_ns;
	uint32_t looked_length;
	uint64_t looked_accepted;
	uint64_t held_ns; /* since when its queue has connections, and none was taken; 0: it has not
			   */
	uint32_t held_length; /* of the queue, then */
	uint64_t accepted_now;

	/* kept by the ledger */
	uint64_t arrived, dropped;           /* of the present row of the kernel */
	uint64_t arrived_past, dropped_past; /* of rows given back */
	uint64_t *by_cpu, *by_cpu_past;      /* arrivals; NULL: it had no row */
	struct ledger_closings closings, closings_past;
	uint64_t copies, several;           /* see ledger_count_copies(), ledger_count_several() */
	uint32_t copies_last, several_last; /* of the present row of the kernel */
	struct ledger_flows *flows;         /* NULL: none were seen */
	size_t kept;                        /* workers of it that are, at the last ledger_trim() */
	uint64_t ended_at;
};

/* What a row of the kernel has counted of a thread's TCP connections, beside how many it accepted.
 */
struct ledger_work {
	struct wait wait, handed; /* without histograms */
	uint64_t queued_before, reset_queued;
	uint64_t served;
	uint64_t unfollowed;    /* accepted, but not told of when they end or who reads first */
	uint64_t opened, moved; /* accepted or taken over at the first read; left to another thread
				   at its first read */
	uint64_t finished, finished_ns;
	struct bytes carried; /* by those that are finished */
};

struct ledger_worker {
	struct worker_row row;  /* counts are filled in by ledger_snapshot() */
	enum protocol protocol; /* of its socket, as its own row of the kernel says: with port and
				   netns for one whose socket has no row */
	uint16_t port;          /* 0: not known */
	uint32_t netns;
	uint64_t scan;
	uint64_t took_ns; /* when a count of it was first seen to have grown for the last time,
			     CLOCK_BOOTTIME; 0: never */

	/* kept by the ledger */
	uint64_t ended_ns; /* CLOCK_BOOTTIME */
	uint64_t accepted, accepted_past;
	struct ledger_work work, work_past;
	struct bytes open_carried; /* by those that are open, and by those that were open before the
				      window */
	struct bytes carried_most; /* by all, as they were shown last: what a reading misses for a
				      moment is not counted again */
	struct ledger_slots *slots; /* histogram of waits; NULL: none */
	bool kept; /* it ended, but the kernel's row still counts the ends of its connections: not
		      folded */
	bool partial; /* some of its waits were in no histogram: the others' is none of all */
	uint64_t ended_at;
};

struct ledger;

/* ended_max: how many rows of closed sockets, and of ended threads, are kept; cpus: possible CPUs.
 * NULL: no memory. */
struct ledger *ledger_new(size_t ended_max, unsigned cpus);
void ledger_free(struct ledger *l);
/* Forgets all rows. */
void ledger_clear(struct ledger *l);
/* What is measured: waits in accept queues, and who serves connections. Nothing is, unless this
 * says so. */
void ledger_measures(struct ledger *l, bool waits, bool serving);

/* When the window began, and what time it is, CLOCK_BOOTTIME: for how long threads lived and took
 * nothing is not known unless this says so. */
void ledger_clock(struct ledger *l, uint64_t began_ns, uint64_t now_ns);

/* The row, made if there is none (*made says so, may be NULL). NULL: no memory. */
struct ledger_socket *ledger_socket(struct ledger *l, uint64_t cookie, bool *made);
struct ledger_worker *ledger_worker(struct ledger *l, uint64_t cookie, int32_t tid,
				    uint64_t start_ns, bool *made);
/* NULL if there is none. */
struct ledger_worker *ledger_find_worker(const struct ledger *l, uint64_t cookie, int32_t tid,
					 uint64_t start_ns);
struct ledger_socket *ledger_find_socket(const struct ledger *l, uint64_t cookie);

/*
 * What a row of the kernel has counted so far. last: it is given back, a later one begins at 0.
 * by_cpu: arrivals per CPU. Returns 0 or -ENOMEM.
 */
int ledger_count_socket(struct ledger *l, struct ledger_socket *s, uint64_t arrived,
			uint64_t dropped, const uint64_t *by_cpu, bool last);
/* Its own address. A connected socket that is shown with others stays there. */
void ledger_describe_address(struct ledger_socket *s, int family, const uint8_t address[16]);
void ledger_count_closings(struct ledger_socket *s, const struct ledger_closings *closings,
			   bool last);
void ledger_count_worker(struct ledger_worker *w, uint64_t accepted, bool last);
/* UDP: of what arrived, those to a multicast or broadcast address. The kernel's count wraps. */
void ledger_count_copies(struct ledger_socket *s, uint32_t copies, bool last);
/* UDP: of what arrived and was dropped, buffers that were counted as one datagram and may hold
 * several. The kernel's count wraps. */
void ledger_count_several(struct ledger_socket *s, uint32_t several, bool last);
/* UDP: FLOW_BUCKETS counts of what came, by flow; they wrap. peer: of the heaviest bucket. Returns
 * 0 or -ENOMEM. */
int ledger_count_flows(struct ledger_socket *s, const uint32_t *buckets,
		       const struct flow_peer *peer, bool last);
/* slots: WAIT_SLOTS counts of waits in the row's histogram, which wrap; NULL: the row has none.
 * Returns 0 or -ENOMEM. */
int ledger_count_work(struct ledger *l, struct ledger_worker *w, const struct ledger_work *work,
		      const uint32_t *slots, bool last);

size_t ledger_sockets(const struct ledger *l, struct ledger_socket *const **rows);
size_t ledger_workers(const struct ledger *l, struct ledger_worker *const **rows);

void ledger_end_socket(struct ledger *l, struct ledger_socket *s);
void ledger_end_worker(struct ledger *l, struct ledger_worker *w);
/* They had not ended after all. */
void ledger_revive_socket(struct ledger *l, struct ledger_socket *s);
void ledger_revive_worker(struct ledger *l, struct ledger_worker *w);
/* Takes the sockets out that are marked so, with all that they counted, and their workers. */
void ledger_forget(struct ledger *l);

/* What namespaces tell of handshakes: to be brought up to date by handshakes_look(). */
struct handshake_set *ledger_handshakes(struct ledger *l);

/* Replaces the list of who holds which socket; takes over `rows` (malloc), sorted by cookie, then
 * pid. */
void ledger_hold(struct ledger *l, struct holder_row *rows, size_t count);

/* Those of a socket, one after the other, and their number; they are the caller's to complete. */
struct holder_row *ledger_holders(const struct ledger *l, uint64_t cookie, size_t *count);

/* Folds the oldest of the rows that ended, where they are too many. Call now and then. Returns 0 or
 * -ENOMEM. */
int ledger_trim(struct ledger *l);

/*
 * Fills s->endpoints, sorted. all: those without any event too, else they are counted in s->quiet
 * and s->quiet_clients. orphaned: events of workers whose socket has no row (they are in no
 * endpoint). Returns 0 or -ENOMEM.
 */
int ledger_snapshot(struct ledger *l, struct snapshot *s, bool all, uint64_t *orphaned);

#endif
