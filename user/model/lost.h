/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events that could not be counted or attributed, and the endpoints that they may belong to. If the
 * port of a lost event is known, other ports are not affected; if not, it may belong to any port.
 */
#ifndef SOCKFAIR_LOST_H
#define SOCKFAIR_LOST_H

#include "snapshot.h"

/* What the events would have been counted as: see struct endpoint_lost. */
enum lost_touches {
	LOST_ARRIVED = 1,
	LOST_ACCEPTED = 2,
	LOST_SERVED = 4,
	LOST_OPEN = 8,
	LOST_TAKEN = LOST_ACCEPTED | LOST_SERVED |
		     LOST_OPEN, /* a connection whose accept is not seen is not followed either */
	LOST_ANY = LOST_ARRIVED | LOST_TAKEN,
};

#define LOST_ANY_PROTOCOL (-1)

struct lost_events {
	uint64_t count;       /* upper bound */
	unsigned touches;     /* bits of enum lost_touches */
	int protocol;         /* enum protocol; LOST_ANY_PROTOCOL: not known */
	uint16_t port;        /* 0: not known */
	uint32_t netns;       /* 0: not known */
	const uint8_t *ports; /* if the port is not known: the possible ports are those whose byte
				 is not 0; NULL: any port */
};

struct lost_list {
	struct lost_events *rows;
	size_t count, room;
};

/* Returns 0 or -ENOMEM. A count of 0 adds nothing. The caller must free(list->rows) in the end. */
int lost_list_add(struct lost_list *list, struct lost_events events);

/* The same for a list that is kept for long: events of the same port are added up, and beyond
 * LOST_PORTS_MAX ports the port is forgotten. */
#define LOST_PORTS_MAX 512
int lost_list_note(struct lost_list *list, struct lost_events events);

/* Adds all rows of another. Returns 0 or -ENOMEM. */
int lost_list_join(struct lost_list *list, const struct lost_list *other);

uint64_t lost_list_sum(const struct lost_list *list);

/* Adds the events to the `lost` of each endpoint that they may belong to. */
void lost_put_down(struct snapshot *s, const struct lost_list *list);

/*
 * Finds TCP connections whose arrival no program saw, and adds them to the `lost` of their endpoint
 * as far as that does not say so already. A connection whose time in the accept queue was measured
 * came in the window, so there can't be more of those than arrivals. Only a connection that is just
 * being queued may be ahead of its arrival, or have its time after its arrival at the beginning of
 * the window: one of each for each of the machine's `cpus`. Call it where arrivals are seen, of all
 * sockets of a port, after lost_put_down(). Returns a lower bound of their number.
 */
uint64_t lost_arrivals_find(struct snapshot *s, unsigned cpus);

#endif
