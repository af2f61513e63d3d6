/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Moves the entries of a listener, one after the other, in a process of its own.
 *
 * The key of an entry is its file and the number of the descriptor that it was added with. So the
 * listener has to lie under that number, which differs from worker to worker, in the descriptor
 * table of whoever moves the entry: that table can be no other's.
 *
 * An entry is moved by EPOLL_CTL_DEL and EPOLL_CTL_ADD: one with EPOLLEXCLUSIVE gets to the end of
 * the listener's wait queue, any other to its beginning. EPOLL_CTL_ADD looks whether a connection
 * waits, so none is missed in between. For a move both descriptors are taken from the worker and
 * closed again: a kept one would keep the listener of a server that has ended.
 *
 * Between the two calls the journal says whose entry is out. The guardian (guardian.h) undoes that
 * if the mover dies.
 */
#ifndef SOCKFAIR_MOVER_H
#define SOCKFAIR_MOVER_H

#include "../collect/epoll_calls.h"
#include "epoll_entries.h"

/* An entry, and where to find it. */
struct moved {
	struct epoll_name name;
	struct epoll_entry entry;
	int listener;   /* a descriptor of it in that process */
	uint64_t calls; /* epoll_called.calls when the entry was read */
};

/* What ends the moving. */
enum mover_trouble {
	MOVER_FINE,
	MOVER_SERVER_CALLED, /* the server called epoll_ctl() for an entry itself */
	MOVER_ENTRY_MISSING, /* an entry was not there, though the server was not seen to take it */
	MOVER_ENTRY_THERE,   /* an entry was there, though we had it out */
	MOVER_FAILED,        /* a call failed: error */
};

struct moved_place {
	uint32_t version; /* odd: it is being changed */
	uint32_t used;
	struct moved moved;
};

/*
 * Shared by the tool, the guardian and the mover: memory that all three have mapped. Fields with
 * one writer have its name.
 */
struct moving {
	uint32_t stop;     /* not 0: the mover ends after its move; a futex */
	uint32_t ready;    /* the mover has begun */
	uint64_t beat_ns;  /* the tool: CLOCK_MONOTONIC; older than MOVER_DEADLINE_NS: a pause */
	int32_t mover;     /* its pid */
	uint32_t taken;    /* 1 + the place of the entry that is out, or may be; 0: none */
	struct moved out;  /* that entry */
	uint32_t trouble;  /* enum mover_trouble; set last */
	uint32_t troubled; /* the place */
	int32_t error;     /* errno */
	uint64_t moves;
	uint64_t mended; /* entries that were put right after a death */
	double hz;       /* turns in a second: how often another one is woken first */
	uint64_t cookie; /* of the listener */
	const struct epoll_calls *calls; /* mapped before the fork */
	struct moved_place places[EPOLL_MEMBERS_MAX];
};

#define MOVER_DEADLINE_NS 2000000000ull
#define MOVER_LOOK_NS 100000000ull /* how often it looks whether all still live */

/* Fills a place, or empties it (NULL); the mover may be at work. */
void moving_place_set(struct moving *m, size_t place, const struct moved *moved);

/* Asks the mover to end. */
void moving_stop(struct moving *m);

/* The mover's whole life, in a child of the guardian that has no other descriptors. */
void mover_run(struct moving *m, int32_t guardian) __attribute__((noreturn));

/*
 * Puts the entry that is out back, for a mover that has died: as it was, or as the server itself
 * asked for meanwhile. The caller has a descriptor table in which any number may be taken. Returns
 * 0, also if there is none, or the worker has gone; or negative errno: it is worth another try.
 */
int moving_mend(struct moving *m);

#endif
