/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why the kernel found no port to pick, for a bind() or listen() without a port and for a
 * connect(): counts in which state the ports were that it could choose from. The code here does no
 * input or output: collect/port_range.c walks over the sockets, and these functions count them by
 * the kernel's rules.
 */
#ifndef SOCKFAIR_BIND_RANGE_H
#define SOCKFAIR_BIND_RANGE_H

#include "bind.h"

/* The settings of a whole network namespace. */
struct bind_range_settings {
	uint16_t low, high;  /* net.ipv4.ip_local_port_range */
	bool autobind_reuse; /* net.ipv4.ip_autobind_reuse: SO_REUSEADDR counts for ports that the
				kernel picks */
	uint64_t reserved[1024]; /* net.ipv4.ip_local_reserved_ports: bit p & 63 of word p >> 6 */
};

/* The ports that one call could choose from, as they were a moment after it. */
struct bind_range_use {
	uint16_t low, high; /* the first and the last port */
	bool own; /* the range is the socket's IP_LOCAL_PORT_RANGE, which can only narrow the range
		     of the network namespace */
	unsigned reserved; /* how many of these ports are reserved */
	unsigned taken;    /* how many of the others are of no use to this call */
	unsigned waiting;  /* how many of the taken ports only TIME_WAIT connections have */
	unsigned bound;    /* connect(): how many of the taken ports somebody has by bind(), which
			      keeps connect() out whatever the destination */
	int32_t most_pid; /* the process that holds most of the taken ports; 0: no process holds one
			   */
	char most_process[16];
	unsigned most_ports;
};

/* The state of a count under way. */
struct bind_range_count {
	const struct bind_event *event;
	const struct bind_range_settings *settings;
	struct bind_range_use use;
	uint64_t taken[1024], held[1024], bound[1024]; /* held: not only by TIME_WAIT */
	uint64_t own[1024]; /* ports of the process whose descriptors are being counted */
	int32_t pid;
	char process[16];
	unsigned ports; /* how many ports that process has */
};

/* The event and the settings are kept by reference. */
void bind_range_begin(struct bind_range_count *c, const struct bind_event *e,
		      const struct bind_range_settings *settings);
/*
 * Counts a socket of the same network namespace. The caller passes each socket once, in any order,
 * and again for each process that holds it (with a pid); all sockets of one process have to come in
 * a row. peer: the remote end of a connection, an IPv4 address in mapped form.
 */
void bind_range_add(struct bind_range_count *c, const struct bind_occupant *o,
		    const struct bind_peer *peer);
/* Fills c->use. */
void bind_range_end(struct bind_range_count *c);

/* Does this event's error mean that the kernel found no port to pick? */
bool bind_range_wanted(const struct bind_event *e);

#endif
