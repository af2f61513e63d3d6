/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why the kernel found no port to pick: how the ports were that it could choose from, for bind()
 * and listen() without a port, and for connect(). Pure: collect/port_range.c walks over the
 * sockets, this counts them by the kernel's rules.
 */
#ifndef SOCKFAIR_BIND_RANGE_H
#define SOCKFAIR_BIND_RANGE_H

#include "bind.h"

/* What holds for a whole network namespace. */
struct bind_range_settings {
	uint16_t low, high;  /* net.ipv4.ip_local_port_range */
	bool autobind_reuse; /* net.ipv4.ip_autobind_reuse: SO_REUSEADDR counts for ports that the
				kernel picks */
	uint64_t reserved[1024]; /* net.ipv4.ip_local_reserved_ports: bit p & 63 of word p >> 6 */
};

/* The ports of one call as they were a moment after it. */
struct bind_range_use {
	uint16_t low, high; /* first and last */
	bool own; /* the socket's IP_LOCAL_PORT_RANGE, which can only narrow that of the network
		     namespace */
	unsigned reserved; /* of them */
	unsigned taken;    /* of the others: no good for that call */
	unsigned waiting;  /* of those taken: by TIME_WAIT alone */
	unsigned bound;    /* connect(): of those taken: somebody has them by bind(), which keeps
			      connect() out whatever the destination */
	int32_t most_pid;  /* who holds most of those taken; 0: nobody holds one */
	char most_process[16];
	unsigned most_ports;
};

/* While it is counted. */
struct bind_range_count {
	const struct bind_event *event;
	const struct bind_range_settings *settings;
	struct bind_range_use use;
	uint64_t taken[1024], held[1024], bound[1024]; /* held: not by TIME_WAIT alone */
	uint64_t own[1024]; /* of the process whose descriptors come now */
	int32_t pid;
	char process[16];
	unsigned ports; /* of that process */
};

/* Both are kept by reference. */
void bind_range_begin(struct bind_range_count *c, const struct bind_event *e,
		      const struct bind_range_settings *settings);
/*
 * A socket of the same network namespace, once in any order, and once for each process that holds
 * it (pid): those of one process come together. peer: of a connection, an IPv4 address mapped.
 */
void bind_range_add(struct bind_range_count *c, const struct bind_occupant *o,
		    const struct bind_peer *peer);
/* Fills c->use. */
void bind_range_end(struct bind_range_count *c);

/* Does the kernel say by that event that it found no port to pick? */
bool bind_range_wanted(const struct bind_event *e);

#endif
