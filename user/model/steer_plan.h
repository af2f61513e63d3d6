/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * May a port be steered, and how? The plan follows from what was listed and from a few facts that
 * a listing does not have. Pure, as all of the model: steer/ finds out the facts and carries out
 * the plan.
 */
#ifndef SOCKFAIR_STEER_PLAN_H
#define SOCKFAIR_STEER_PLAN_H

#include "snapshot.h"
#include "steer.h"

/* The name of the program that a group has (steer_config.by_group), as the kernel shows it. */
#define STEER_GROUP_PROGRAM "steer_reuseport"

enum steer_way {
	STEER_BY_NOTHING, /* refused */
	STEER_BY_LOOKUP,  /* a SO_REUSEPORT group: an SK_LOOKUP program picks the socket */
	STEER_BY_EPOLL, /* one socket in several epolls: entries go to the end of its wait queue */
	STEER_BY_REUSEPORT, /* a SO_REUSEPORT group: a program of the group itself picks */
};

/* What the user asks for. */
struct steer_wish {
	enum steer_policy policy;
	bool policy_given; /* else the way's own default may take its place */
	uint32_t
		weights[STEER_MEMBERS_MAX]; /* STEER_WEIGHTS: of the sockets, lowest cookie first */
	size_t weight_count;
	enum steer_way via; /* STEER_BY_NOTHING: whichever fits */
	bool stateless;     /* UDP: each datagram may go to any socket of the group */
};

/* What a listing does not tell. */
struct steer_facts {
	bool lookup_known;      /* the kernel has SK_LOOKUP programs (5.9) */
	unsigned lookup_others; /* such programs attached to the port's network namespace */
	char vrf[16]; /* a VRF device whose traffic the kernel keeps from sockets without a device:
			 device_find_vrf(); "": none, or not asked */
	bool reuseport_known; /* a group's own program can see the group's sockets (5.14) */
	bool program;         /* the group has a program that is not ours */
	int32_t steerer;      /* a sockfair that steers it by the group's program; 0: none */
	uint32_t left;        /* program that one which was killed left in the group; 0: none */
	uint64_t mptcp; /* cookie of a member that is an MPTCP socket; 0: none, or not asked */
};

#define STEER_WHY 512

struct steer_plan {
	enum steer_way way;
	enum steer_policy policy;
	const char *code;    /* why it is refused; stable, "overlap"; NULL: it is not */
	char why[STEER_WHY]; /* refused: one line that says what is in the way, and what to do
				instead */
	size_t members;      /* sockets of the group, or epolls */
	uint64_t cookies[STEER_MEMBERS_MAX]; /* steer_by_program(): ascending */
	uint32_t weights[STEER_MEMBERS_MAX];
	uint32_t left;        /* steer_facts.left, to be removed first */
	bool reuseport_known; /* as in steer_facts */
};

/* Does a program pick the socket? */
static inline bool steer_by_program(enum steer_way way)
{
	return way == STEER_BY_LOOKUP || way == STEER_BY_REUSEPORT;
}

/*
 * Plans for the endpoint. all: a listing of all sockets with the endpoint's port in its network
 * namespace, also of those that the user's filter leaves out.
 */
void steer_plan_make(struct steer_plan *plan, const struct snapshot *all, const struct endpoint *e,
		     const struct steer_facts *facts, const struct steer_wish *wish);

/*
 * Would the program that steers the endpoint pick its sockets also for connections that the kernel
 * gives to another listener of `all`? Returns that listener; NULL: there is none.
 */
const struct endpoint *steer_overlap(const struct snapshot *all, const struct endpoint *e);

/* Does the socket listen, or take datagrams from anybody, and belong to a process? */
bool steer_is_listener(const struct socket_row *s);

/* Do the endpoint's IPv6 listeners take no IPv4 traffic? */
bool steer_v6only(const struct endpoint *e);

/* "lookup", "epoll", "least-queue"...: stable. The parsers return false for an unknown name. */
const char *steer_way_name(enum steer_way way);
const char *steer_policy_name(enum steer_policy policy);
bool steer_way_parse(const char *name, enum steer_way *way);
bool steer_policy_parse(const char *name, enum steer_policy *policy);

#endif
