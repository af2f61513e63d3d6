/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Handshakes under way (half-open connections). Each listener has a request queue, whose length is
 * read at each look. What became of SYNs and ACKs the kernel counts only for a whole network
 * namespace.
 *
 * The request queue has the same limit as the accept queue, the backlog N, and holds N + 1
 * handshakes as well. Kernels before 2025 ("tcp/dccp: allow a connection when sk_max_ack_backlog is
 * zero") hold only N. Measured: 5.10.0-32 holds N; 6.1.0-50, 6.18 and 7.3 hold N + 1. Without SYN
 * cookies there is a second limit, for clients that the kernel does not know from earlier
 * connections: they find no room once the queue holds more than three quarters of
 * net.ipv4.tcp_max_syn_backlog. The queue then holds one more than that (measured on all four).
 *
 * A socket's own drop counter counts more than refused SYNs: where tcp_check_req() returns NULL,
 * tcp_v4_rcv() counts the packet as discarded. So each bare ACK that TCP_DEFER_ACCEPT withholds
 * until data comes counts as one drop, as does a repeated SYN that is answered again (6.18). An ACK
 * that finds the accept queue full counts twice (measured on the same four kernels). The namespace
 * counts the withheld ACKs in TCPDeferAcceptDrop, so a socket's part of them is known within
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
	bool known;       /* the queue was read at the last look */
	uint32_t count;   /* handshakes under way when it was last read */
	uint32_t old;     /* how many of `count` are a second old or more: their SYN-ACK has been
			     repeated */
	uint32_t highest; /* the most at any look of the window */
	uint32_t limit;   /* the same as the accept queue's; the queue holds one more. 0 as long as
			     `known` is false */
	uint64_t full_looks;  /* looks that found at least `limit` handshakes */
	uint8_t defer_accept; /* TCP_DEFER_ACCEPT, as timeouts of the SYN-ACK; 0: not set */
	uint8_t syn_retries;  /* TCP_SYNCNT; 0: not set */
	bool defers;          /* TCP_DEFER_ACCEPT was set at some look */
	uint64_t withheld_least, withheld_most; /* bounds of withheld ACKs (TCP_DEFER_ACCEPT) in
						   `drops`; by handshakes_fill() */
};

/* Counters of a network namespace, since it was made. */
struct handshake_counts {
	uint64_t full_refused; /* TCPReqQFullDrop: SYNs that found a request queue full */
	uint64_t full_cookies; /* TCPReqQFullDoCookies: SYNs that were answered by a SYN cookie
				  instead (with tcp_syncookies=2: all SYNs) */
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
	bool migrate; /* tcp_migrate_req; false where the kernel has no such setting (before 5.14)
		       */
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
	bool since_made; /* counts cover all the time since the namespace was made, as in `list` */
	struct handshake_counts first, now; /* at the first look; at the last look */
	struct bracket withheld_first, withheld_now;
	uint64_t deferring_drops; /* drops of all listeners with TCP_DEFER_ACCEPT, including those
				     that the user did not ask for */
	uint32_t deferring;       /* number of these listeners at the last look */
	uint64_t deferring_gone;  /* how many of these listeners are gone: their last counts are not
				     known */
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

/* Parses the text of /proc/net/netstat, and changes it in doing so. Returns false if the counters
 * are not in it. */
bool handshakes_parse(struct handshake_counters *c, char *text);

/* The kind of look: for a list, the first of a window (or any look before the window begins), or a
 * later one.
 */
enum handshake_when { HANDSHAKES_LISTED, HANDSHAKES_BEGIN, HANDSHAKES_LATER };

/*
 * Enters a look: the namespaces, and all listeners with TCP_DEFER_ACCEPT, in any order. A namespace
 * or listener that is new at a later look counts from 0, because it may have begun in the window.
 * Returns 0 or -ENOMEM.
 */
int handshakes_look(struct handshake_set *set, enum handshake_when when,
		    const struct handshake_look *looks, size_t count,
		    const struct deferring *deferring, size_t deferring_count);
void handshakes_clear(struct handshake_set *set);

/* Finds the namespace in rows sorted by netns; NULL if there is none. */
const struct handshakes *handshakes_find(const struct handshakes *rows, size_t count,
					 uint32_t netns);

/* The limit of a request queue. h: the listener's namespace; NULL: not known. */
uint32_t half_open_limit(const struct handshakes *h, uint32_t backlog);

/* Enters a look at a request queue: its length, and how many of its handshakes are young. `limit`
 * must be set. */
void half_open_look(struct half_open *q, uint32_t count, uint32_t young);

/* Turns `now`, which covers the whole window, into what happened after `was`. */
void half_open_subtract(struct half_open *now, const struct half_open *was);

/* Fills withheld_least and withheld_most of all listeners, from the snapshot's namespaces and the
 * rows' drops. */
void handshakes_fill(struct snapshot *s);

/* Writes what the namespaces of `now` counted since `before` to out->handshakes. Returns 0 or
 * -ENOMEM. */
int handshakes_difference(struct snapshot *out, const struct snapshot *now,
			  const struct snapshot *before);

/* What the namespace counted in the window. */
struct handshake_counts handshakes_counted(const struct handshakes *h);

/* Lower and upper bound of a socket's drops that are not withheld ACKs. */
uint64_t drops_least(const struct socket_row *s);
uint64_t drops_most(const struct socket_row *s);

/* Seconds until a handshake that gets no answer is given up: the SYN-ACK is repeated after 1 s, 2
 * s, 4 s ... up to 120 s. */
unsigned half_open_seconds(unsigned retries);

#endif
