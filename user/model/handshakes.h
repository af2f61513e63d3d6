/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Handshakes under way (half-open connections). Each listener has a queue of them, whose length is
 * known at looks; what became of SYNs and ACKs the kernel counts for all listeners of a network
 * namespace together.
 *
 * The request queue has the limit of the accept queue, the backlog, and holds as many, N + 1; N
 * only in kernels before 2025 ("tcp/dccp: allow a connection when sk_max_ack_backlog is zero").
 * Measured: 5.10.0-32 holds N; 6.1.0-50, 6.18 and 7.3 N + 1. Without SYN cookies clients that the
 * kernel does not know from earlier connections find no room either once it holds more than three
 * quarters of net.ipv4.tcp_max_syn_backlog: one more than that is held (all four).
 *
 * A socket's own counter of drops has more than refused SYNs in it: where tcp_check_req() returns
 * NULL tcp_v4_rcv() counts the packet as discarded. So each bare ACK that TCP_DEFER_ACCEPT
 * withholds until data comes counts one, a SYN that comes again and is answered again does (6.18),
 * and an ACK that finds the accept queue full counts twice (measured: the same four). The namespace
 * counts the withheld ones in TCPDeferAcceptDrop. So a socket's part of them is known within
 * bounds: see withheld_least.
 */
#ifndef SOCKFAIR_HANDSHAKES_H
#define SOCKFAIR_HANDSHAKES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct snapshot;
struct socket_row;

/* The request queue of a TCP listener. */
struct half_open {
	bool known;       /* it was read at the last look */
	uint32_t count;   /* handshakes under way when it was last read */
	uint32_t old;     /* of them, those whose SYN-ACK had been repeated: a second or more */
	uint32_t highest; /* the most at any look of the window */
	uint32_t limit;   /* as that of the accept queue, it holds one more; 0 as long as `known` is
			     false */
	uint64_t full_looks;  /* looks that found as many as the limit, or more */
	uint8_t defer_accept; /* TCP_DEFER_ACCEPT, as timeouts of the SYN-ACK; 0: not set */
	uint8_t syn_retries;  /* TCP_SYNCNT; 0: not set */
	bool defers;          /* TCP_DEFER_ACCEPT was set at some look */
	uint64_t withheld_least, withheld_most; /* of the row's drops, ACKs that TCP_DEFER_ACCEPT
						   withheld; by handshakes_fill() */
};

/* Counters of a network namespace, since it was made. */
struct handshake_counts {
	uint64_t full_refused; /* TCPReqQFullDrop: SYNs that found a request queue full */
	uint64_t full_cookies; /* TCPReqQFullDoCookies: those answered by a SYN cookie instead (with
				  tcp_syncookies=2: all) */
	uint64_t overflows;    /* ListenOverflows: SYNs and ACKs that found an accept queue full */
	uint64_t refused; /* ListenDrops: SYNs that were refused for any reason, and ACKs that found
			     an accept queue full */
};

/* What a namespace's /proc/net/netstat says. */
struct handshake_counters {
	struct handshake_counts counts;
	uint64_t withheld; /* TCPDeferAcceptDrop: bare ACKs that TCP_DEFER_ACCEPT withheld */
};

struct handshake_settings {
	bool known;
	bool migrate;     /* tcp_migrate_req; false where there is none (before 5.14) */
	uint32_t cookies; /* tcp_syncookies */
	uint32_t max_syn_backlog;
	uint32_t synack_retries;
};

/* A counter just before and just after the sockets were read. */
struct bracket {
	uint64_t before, after;
};

/* A namespace at one look. */
struct handshake_look {
	uint32_t netns;
	struct handshake_counts counts; /* read after the sockets */
	struct bracket withheld;        /* as in struct handshake_counters */
	struct handshake_settings settings;
};

/* A namespace in the window. */
struct handshakes {
	uint32_t netns;
	bool since_made; /* counts are of all the time since the namespace was made: in a list */
	struct handshake_counts first, now; /* when it was first looked at; at the last look */
	struct bracket withheld_first, withheld_now;
	uint64_t deferring_drops; /* what listeners with TCP_DEFER_ACCEPT counted as drops, those
				     not asked for too */
	uint32_t deferring;       /* how many those are at the last look */
	uint64_t deferring_gone;  /* how many of them went: what they counted last is not known */
	struct handshake_settings settings; /* at the last look */
};

/* A listener with TCP_DEFER_ACCEPT. */
struct deferring {
	uint64_t cookie;
	uint32_t netns;
	uint32_t drops; /* since it was made; wraps */
};

/* All namespaces of a window. Begin with {}. */
struct handshake_set {
	struct handshakes *rows; /* by netns */
	size_t count;
	struct deferring *deferring; /* of the last look, by cookie */
	size_t deferring_count;
};

/* Reads the text of /proc/net/netstat, which it changes. Returns false if what is asked for is not
 * there. */
bool handshakes_parse(struct handshake_counters *c, char *text);

/* What a look is: of a list, the first of a window (and others before it begins), or a later one.
 */
enum handshake_when { HANDSHAKES_LISTED, HANDSHAKES_BEGIN, HANDSHAKES_LATER };

/*
 * Enters a look: the namespaces, and all listeners with TCP_DEFER_ACCEPT, in any order. What is new
 * at a later look counts from 0: it may have begun in the window. Returns 0 or -ENOMEM.
 */
int handshakes_look(struct handshake_set *set, enum handshake_when when,
		    const struct handshake_look *looks, size_t count,
		    const struct deferring *deferring, size_t deferring_count);
void handshakes_clear(struct handshake_set *set);

/* The namespace among rows that are by netns; NULL if there is none. */
const struct handshakes *handshakes_find(const struct handshakes *rows, size_t count,
					 uint32_t netns);

/* The limit of a request queue. h: of its namespace; NULL: not known. */
uint32_t half_open_limit(const struct handshakes *h, uint32_t backlog);

/* A look at a request queue: its length, and those of it that are young. `limit` is set. */
void half_open_look(struct half_open *q, uint32_t count, uint32_t young);

/* Turns the whole window's into that of what came after `was`. */
void half_open_subtract(struct half_open *now, const struct half_open *was);

/* Fills withheld_least and _most of all listeners, by the snapshot's namespaces and the rows'
 * drops. */
void handshakes_fill(struct snapshot *s);

/* The namespaces of `now` since `before`, into out->handshakes. Returns 0 or -ENOMEM. */
int handshakes_difference(struct snapshot *out, const struct snapshot *now,
			  const struct snapshot *before);

/* What the namespace counted in the window. */
struct handshake_counts handshakes_counted(const struct handshakes *h);

/* Those drops of a socket that are no withheld ACKs: at least, and at most so many. */
uint64_t drops_least(const struct socket_row *s);
uint64_t drops_most(const struct socket_row *s);

/* Seconds until a handshake that gets no answer is given up: the SYN-ACK is repeated after 1 s, 2
 * s, 4 s ... up to 120 s. */
unsigned half_open_seconds(unsigned retries);

#endif
