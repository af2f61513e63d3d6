/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What kind of server has a port: how its workers take work, and therefore which rows a verdict may
 * compare. The design is recognised from what was observed (which threads took, which wait and how,
 * how many at once, which read, which sockets are grouped), never from a program's name. If signs
 * are missing or contradict each other, the design is unknown, and nothing is judged.
 */
#ifndef SOCKFAIR_DESIGN_H
#define SOCKFAIR_DESIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct endpoint;

enum design_code {
	DESIGN_UNKNOWN,
	DESIGN_ALONE,            /* one worker takes all and serves it */
	DESIGN_SOCKET_EACH,      /* a SO_REUSEPORT group, a socket for each worker or for several */
	DESIGN_SHARED_ACCEPT,    /* one socket, workers block in accept() or a read */
	DESIGN_SHARED_POLL,      /* one socket, workers wait in poll() or select() */
	DESIGN_SHARED_EPOLL,     /* one socket, an epoll for each worker */
	DESIGN_SHARED_EXCLUSIVE, /* one socket, an epoll for each worker, with EPOLLEXCLUSIVE */
	DESIGN_SHARED_EPOLL_FD,  /* one epoll, in which several threads sleep at once */
	DESIGN_SHARED_URING,     /* one socket, workers accept by io_uring */
	DESIGN_HAND_OVER,        /* one thread accepts, others serve */
	DESIGN_PER_CONNECTION,   /* a process or a thread for each connection */
	DESIGN_TURNS, /* a runtime whose threads take turns: two threads of a process never wait at
			 once */
	DESIGN_LAST_BINDER, /* UDP sockets that share by SO_REUSEADDR */
	DESIGN_MULTICAST,   /* each socket gets a copy */
	DESIGN_CONNECTED, /* UDP sockets that are all connected: each gets the datagrams of its peer
			   */
};

/* Which rows are the bins of the verdict that counts. */
enum design_bins { BINS_NONE, BINS_WORKERS, BINS_PROCESSES, BINS_SOCKETS, BINS_SERVING };

#define DESIGN_WORDS 96

struct design {
	enum design_code code;
	enum design_bins bins;
	char words[DESIGN_WORDS]; /* "4 processes, a SO_REUSEPORT socket each" */
	/* The evidence. */
	size_t processes, threads; /* that take work, or wait for it */
	size_t sockets;            /* that they take from */
	size_t epolls;             /* epolls in which they wait */
	size_t serving;            /* threads that serve what others accepted */
	size_t waited_at_once;     /* the most on one socket, at any look */
};

/* Fills e->design. Returns 0 or -ENOMEM. */
int endpoint_recognise(struct endpoint *e);

/* "shared-epoll", "hand-over"; stable */
const char *design_name(enum design_code code);
/* "none", "workers", "processes", "sockets", "serving"; stable */
const char *design_bins_name(enum design_bins bins);
/* Returns BINS_NONE for an unknown name. */
enum design_bins design_bins_parse(const char *name);

/* Do several workers take from one socket? Then the worker that wakes gets the work. */
bool design_shares_socket(enum design_code code);

#endif
