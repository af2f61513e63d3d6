/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that was seen in a window, by identity: sockets by cookie, workers by (cookie, tid, start).
 * The kernel's rows come and go (they are few, and are given back when a socket closes or a thread
 * ends); the ledger keeps what they counted. Memory is bounded: the oldest rows that ended are
 * folded, with their counts, into the `omitted` of their endpoint.
 */
#ifndef SOCKFAIR_LEDGER_H
#define SOCKFAIR_LEDGER_H

#include "flows.h"
#include "snapshot.h"

/* What became of the connections in the accept queue when the socket was closed or shut down: see
 * socket_row. */
struct ledger_closings {
	uint64_t reset;
	int64_t migrated; /* in a single row it may be below 0 */
};

struct ledger_socket {
	struct socket_row
		row; /* what is known of the socket; ledger_snapshot() fills in the counts */
	enum protocol protocol;
	int family;
	uint8_t address[16];
	uint16_t port;
	uint32_t netns;
	uint32_t drops_first, drops_now; /* the kernel's drop counter, which wraps */
	uint64_t scan;  /* number of the inventory in which the socket was last seen; 0: never */
	bool undecided; /* it is not yet known whether the user asks for the socket, so it is in no
			   snapshot */
	bool forgotten; /* ledger_forget() is to remove the row */
	int joins; /* connected socket, not 0: the socket is shown with the sockets of this family
		      that are bound to any address; ledger_describe_address() */
	uint64_t read_ns; /* when its queue was last read, CLOCK_MONOTONIC; 0: never */

	/* kept by queues.c: what the previous look found */
	uint64_t looked_ns;
	uint32_t looked_length;
	uint64_t looked_accepted;
	uint64_t held_ns;     /* since when the accept queue has held connections while none was
				 accepted; 0: that is not so */
	uint32_t held_length; /* length of the queue at that time */
	uint64_t accepted_now;
	uint32_t looked_drops;       /* drops_now */
	uint32_t held_drops;         /* drops_now at the look before held_ns */
	bool held_fresh;             /* nothing had been accepted by then */
	bool held_long;              /* row.stall counts this stall, which goes on */
	uint64_t stall_drops_before; /* row.stall.drops without this stall's */
	struct holder_row *stallers; /* of row.stall: see endpoint */
	size_t staller_count;

	/* kept by the ledger */
	uint64_t arrived, dropped;           /* of the present row of the kernel */
	uint64_t arrived_past, dropped_past; /* of rows of the kernel that were given back */
	uint64_t *by_cpu, *by_cpu_past;      /* arrivals; NULL: no kernel row yet */
	struct ledger_closings closings, closings_past;
	uint64_t copies, several;           /* see ledger_count_copies(), ledger_count_several() */
	uint32_t copies_last, several_last; /* of the present row of the kernel */
	struct ledger_flows *flows;         /* NULL: none were seen */
	size_t kept; /* workers of the socket that were `kept` at the last ledger_trim() */
	uint64_t ended_at;
	bool took; /* ledger_snapshot(): one of its workers has taken something */
};

/* What a row of the kernel has counted of a thread's TCP connections, besides the number accepted.
 */
struct ledger_work {
	struct wait wait, handed; /* without histograms */
	uint64_t queued_before, reset_queued;
	uint64_t served;
	uint64_t unfollowed; /* accepted connections for which the kernel side reports neither the
				end nor the first read */
	uint64_t opened, moved; /* opened: accepted, or taken over at the first read; moved: left to
				   another thread at that thread's first read */
	uint64_t finished, finished_ns;
	struct bytes carried; /* bytes of finished connections */
};

/* Waits of a thread by bound. They are kept where a histogram is not: for rows that were given
 * back, and threads that ended. */
struct ledger_bounds {
	struct wait_bounds sum;
	uint32_t last[WAIT_BOUNDS + 1]; /* of the kernel's present row, like the next one */
	uint64_t last_sum_ns;
};

struct ledger_worker {
	struct worker_row row;  /* counts are filled in by ledger_snapshot() */
	enum protocol protocol; /* of its socket, from the thread's own kernel row: used with port
				   and netns if the socket has no row */
	uint16_t port;          /* 0: not known */
	uint32_t netns;
	uint64_t scan;
	uint64_t took_ns; /* when the latest growth of one of the thread's counts was noticed,
			     CLOCK_BOOTTIME; 0: never */

	/* kept by the ledger */
	uint64_t ended_ns; /* CLOCK_BOOTTIME */
	uint64_t accepted, accepted_past;
	struct ledger_work work, work_past;
	struct bytes open_carried; /* bytes of open connections, and of those that were open before
				      the window */
	struct bytes carried_most; /* bytes of all connections as shown last, so that bytes that one
				      reading misses are not counted twice */
	struct ledger_slots *slots;   /* histogram of waits; NULL: none */
	struct ledger_bounds *bounds; /* waits that were in a histogram of the kernel; NULL: none */
	bool kept;    /* the thread ended, but the kernel's row still counts the ends of its
			 connections, so the row is not folded */
	bool partial; /* some of the thread's waits were in no histogram, so the histogram does not
			 cover all */
	uint64_t ended_at;
};

struct ledger;

/*
 * ended_max: how many rows of closed sockets, and how many of ended threads, are kept; half as many
 * ports of which only sums are left. cpus: number of possible CPUs. NULL: no memory.
 */
struct ledger *ledger_new(size_t ended_max, unsigned cpus);
void ledger_free(struct ledger *l);
/* Forgets all rows. */
void ledger_clear(struct ledger *l);
/* Tells what is measured: waits in accept queues, and who serves connections. Without this call the
 * ledger takes neither as measured. */
void ledger_measures(struct ledger *l, bool waits, bool serving);

/* Tells when the window began and what time it is now, CLOCK_BOOTTIME. Without this call it is not
 * known for how long threads lived and for how long they took nothing. */
void ledger_clock(struct ledger *l, uint64_t began_ns, uint64_t now_ns);

/* Returns the row, and makes it if there is none (then *made is true; made may be NULL). NULL: no
 * memory. */
struct ledger_socket *ledger_socket(struct ledger *l, uint64_t cookie, bool *made);
struct ledger_worker *ledger_worker(struct ledger *l, uint64_t cookie, int32_t tid,
				    uint64_t start_ns, bool *made);
/* NULL if there is none. */
struct ledger_worker *ledger_find_worker(const struct ledger *l, uint64_t cookie, int32_t tid,
					 uint64_t start_ns);
struct ledger_socket *ledger_find_socket(const struct ledger *l, uint64_t cookie);

/*
 * Enters what a row of the kernel has counted so far. last: the kernel's row is given back, and a
 * later one begins at 0. by_cpu: arrivals per CPU. Returns 0 or -ENOMEM.
 */
int ledger_count_socket(struct ledger *l, struct ledger_socket *s, uint64_t arrived,
			uint64_t dropped, const uint64_t *by_cpu, bool last);
/* Sets the socket's own address. A connected socket that is shown with other sockets stays with
 * them. */
void ledger_describe_address(struct ledger_socket *s, int family, const uint8_t address[16]);
void ledger_count_closings(struct ledger_socket *s, const struct ledger_closings *closings,
			   bool last);
void ledger_count_worker(struct ledger_worker *w, uint64_t accepted, bool last);
/* UDP: arrived datagrams that were sent to a multicast or broadcast address. The kernel's count
 * wraps. */
void ledger_count_copies(struct ledger_socket *s, uint32_t copies, bool last);
/* UDP: arrived and dropped buffers that were counted as one datagram and may hold several. The
 * kernel's count wraps. */
void ledger_count_several(struct ledger_socket *s, uint32_t several, bool last);
/* UDP: FLOW_BUCKETS counts of arrivals by hash of the flow; they wrap. peer: the main sender in the
 * heaviest bucket. Returns 0 or -ENOMEM. */
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
/* For a socket or thread that turns out not to have ended. */
void ledger_revive_socket(struct ledger *l, struct ledger_socket *s);
void ledger_revive_worker(struct ledger *l, struct ledger_worker *w);
/* Removes the sockets that are marked `forgotten`, with all that they counted, and their workers.
 */
void ledger_forget(struct ledger *l);

/* The handshake counters of network namespaces; handshakes_look() updates them. */
struct handshake_set *ledger_handshakes(struct ledger *l);

/* Replaces the list of sockets' holders; takes over `rows` (malloc), sorted by cookie, then pid. */
void ledger_hold(struct ledger *l, struct holder_row *rows, size_t count);

/* The holders of a socket, as consecutive rows, and their number. The caller may fill in more of
 * their fields. */
struct holder_row *ledger_holders(const struct ledger *l, uint64_t cookie, size_t *count);

/* Folds the oldest of the ended rows if there are too many. To be called now and then. Returns 0 or
 * -ENOMEM. */
int ledger_trim(struct ledger *l);

/*
 * Fills s->endpoints, sorted. all: endpoints without any event are listed too; otherwise they are
 * only counted in s->quiet and s->quiet_clients. orphaned: events of workers whose socket has no
 * row, and which therefore are in no endpoint. Returns 0 or -ENOMEM.
 */
int ledger_snapshot(struct ledger *l, struct snapshot *s, bool all, uint64_t *orphaned);

#endif
