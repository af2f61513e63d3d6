/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sockets that a program may pick among (bpf/steer.bpf.h), and what it decides by: its map and
 * its rows follow the group's sockets. Our descriptors of them are closed at once. The same for
 * each kind of program: lookup.c, reuseport.c.
 */
#ifndef SOCKFAIR_STEER_MEMBERS_H
#define SOCKFAIR_STEER_MEMBERS_H

#include "steer.h"
#include "way.h"

/* Cookies as people read them. */
struct cookie_list {
	char text[160];
	size_t more; /* that found no room */
};

struct members {
	const struct steer_task *task;
	struct steer_member *rows; /* of the program: STEER_MEMBERS_MAX; cookie 0: free */
	uint32_t count;            /* of members */
	uint32_t beside;  /* connected UDP sockets of the group: they stay in it, and get what their
			     peer sends, whatever the program picks */
	uint16_t epoch;   /* of the member that was added last */
	uint32_t listens; /* steer_state.listens before the last look */
	struct cookie_list left, joined; /* members that did so meanwhile */
};

void members_prepare(struct members *m, const struct steer_task *task);

/*
 * Members are the listening sockets of the endpoint, and no others. e: NULL: nobody listens.
 * noted: tell at the end who has left and joined. Returns 0, or negative errno with `why`.
 */
int members_follow(struct members *m, const struct endpoint *e, bool noted, char *why, size_t size);

/* Does one of the members still listen? e: as above. */
bool members_remain(const struct members *m, const struct endpoint *e);

/* UDP: looks for connected sockets of the members' group. e: the port in `now`, or NULL. */
void members_beside(struct members *m, const struct snapshot *now, const struct endpoint *e);

/* The program may pick from here on. e: the port as it is now; may be NULL. */
void members_begin(struct members *m, const struct endpoint *e);

/* Every STEER_TICK_SECONDS: the tool is alive. */
void members_tick(struct members *m);

/* Whoever listens by now will be in the next look. */
void members_will_look(struct members *m);

/* Those who began to listen before members_will_look() are known. */
void members_looked(const struct members *m);

/*
 * What is open and what the programs do not count for the member: connections from before the
 * observer began, for the member whose taker has them, and those that its socket accepted before it
 * was a member.
 */
void members_seed(struct members *m, const struct endpoint *e);

/* There are no members any more. */
void members_end(struct members *m);

/* Appends who has left and joined to `note`: "sockets that left meanwhile: 12, 17 and 3 more". */
void members_say(const struct members *m, char *note, size_t size);

#endif
