/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files with rules (findings_*.c) share: the facts that rules look at, and how they say
 * what they found. To add a finding: one function that fills it or says that there is none, and one
 * row of the table at the end of its file. A rule is about one socket or about an endpoint. Its
 * cost must not grow faster than the number of rows it looks at, because machines have ten thousand
 * sockets.
 */
#ifndef SOCKFAIR_FINDINGS_RULES_H
#define SOCKFAIR_FINDINGS_RULES_H

#include <inttypes.h>

#include "array.h"
#include "snapshot.h"

/* The sockets of an endpoint that share one SO_REUSEPORT group. */
struct group {
	uint64_t id;
	const struct socket_row *const *rows;
	size_t sockets;
	uint32_t waiting; /* waiting threads, summed over the group's sockets */
	bool steered;     /* a program or SO_INCOMING_CPU picks among them */
};

/* The threads that can take from one socket, and how they wait on it. */
struct takers {
	uint64_t cookie;
	const struct worker_row *const *rows; /* by pid, then tid */
	size_t threads, processes;
	size_t woken_together;   /* waiters that each event wakes; an epoll (however many threads
				    share it) or a poll() counts as one */
	size_t exclusive_epolls; /* epolls with EPOLLEXCLUSIVE */
	size_t epoll_threads;    /* the most threads that share one epoll */
	size_t urings;           /* threads that accept by io_uring */
	uint64_t taken;          /* by all of them */
	uint64_t woken; /* lower bound of how often the threads were woken, for this socket or for
			   anything else */
	size_t judged;  /* threads that a verdict compares: see lifetimes.h. The fields below are
			   about these: */
	uint64_t judged_taken;
	const struct worker_row *busiest;
	double excess; /* excess spread of what they took, beyond that of a fair hash: see
			  fairness.h; 0 if nothing was taken */
};

/* What the rules need to know of an endpoint, gathered once. Sockets and threads that ended are
 * left out, except from `gone`. */
struct facts {
	const struct snapshot *snapshot;
	const struct endpoint *endpoint;   /* with the findings so far */
	const struct socket_row **grouped; /* what groups' rows point into */
	struct group *groups;              /* by id */
	size_t group_count;
	const struct worker_row **taking; /* what takers' rows point into */
	struct takers *takers;            /* by cookie */
	size_t taker_count;
	const struct worker_row **gone; /* threads that waited on a socket or took from it and have
					   ended, by cookie, pid, tid */
	size_t gone_count;
	const struct facts *port; /* the facts of all endpoints with the same protocol, port and
				     namespace: consecutive, in the snapshot's order */
	size_t port_count;
};

struct rule {
	const char *code;
	enum finding_level level;
	bool (*of_socket)(struct finding *, const struct facts *, const struct socket_row *);
	bool (*of_endpoint)(struct finding *, const struct facts *);
	bool of_ended; /* of_socket is asked about ended sockets too */
};

struct rule_table {
	const struct rule *rows;
	size_t count;
};

/*
 * Rules run by level, problems first, then in the order of these tables and of their rows. So a
 * rule can stay silent where an earlier rule has said enough (finding_said).
 */
extern const struct rule_table stall_rules; /* findings_stall.c: from which sockets nothing is or
					       was taken, and which process lets that happen */
extern const struct rule_table
	queue_rules; /* findings_queue.c: what waits in a socket's queue, and what did not fit */
extern const struct rule_table
	handshake_rules; /* findings_handshakes.c: what waits to become a connection */
extern const struct rule_table
	binding_rules; /* findings_binding.c: how the sockets of a port were bound */
extern const struct rule_table
	joined_rules; /* findings_joined.c: another process that began to take part a moment ago */
extern const struct rule_table sharing_rules; /* findings_sharing.c: why work is shared as it is */
extern const struct rule_table
	wait_rules; /* findings_stall.c: long waits that nothing before explains */
extern const struct rule_table load_rules; /* findings_load.c: CPU time and bytes, where counts of
					      connections don't show the load */
extern const struct rule_table verdict_rules; /* findings_verdict.c: what the verdicts mean */

/* Gathers the facts of all endpoints; those of one port are consecutive. Returns 0 or -ENOMEM;
 * facts_free() in either case. */
int facts_gather(struct facts **out, const struct snapshot *s);
void facts_free(struct facts *facts, size_t count);

/* NULL if there is none; sockets and threads that ended are not counted. */
const struct group *group_find(const struct facts *facts, uint64_t id);
const struct takers *takers_find(const struct facts *facts, uint64_t cookie);

/* Does a thread of that process take from the socket? */
bool takers_have(const struct takers *t, int32_t pid);

/* The entries of `gone` for that process and that socket; *count tells how many. */
const struct worker_row *const *gone_find(const struct facts *facts, uint64_t cookie, int32_t pid,
					  size_t *count);

/* Clients feel a wait for accept() of that length: it is as long as a round trip to another
 * continent's edge, and far above what threads wait for a CPU on a busy machine. */
#define WAIT_FELT_NS 50000000ull

/*
 * TCP: is something queued, and has nobody taken anything for STALLED_NS? If the socket was looked
 * at only once, it is not known for how long nothing was taken. Then it is stalled only if no
 * holder is able to take anything.
 */
bool socket_stalled(const struct facts *facts, const struct socket_row *s);

/* Does the endpoint already have this finding? */
bool finding_said(const struct endpoint *e, const char *code);

/*
 * The fairness that counts: that of the design's bins. If the bins are workers and there is only
 * one, the fairness of the sockets, or else that of the threads which serve what the one accepts.
 * NULL: nothing is judged.
 */
const struct fairness *fairness_counting(const struct endpoint *e);

/*
 * Are the counts of workers (of sockets) complete, and are all known that could get work? If a
 * verdict is withheld, no finding may rest on the same rows.
 */
bool workers_whole(const struct endpoint *e);
bool sockets_whole(const struct endpoint *e);

/* "connections" or "datagrams"; "connection" or "datagram" for a count of 1. */
const char *events_name(const struct endpoint *e, uint64_t count);

/* Sets the text. Returns false if it was cut. */
bool finding_say(struct finding *f, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends that `sockfair steer` would send new connections elsewhere, if nothing that is known
 * speaks against that. */
void finding_offer_steer(struct finding *f, const struct facts *facts);

/* Adds to the evidence. */
void finding_show(struct finding *f, const char *name, double number);

/* "socket 17 (inode 1017)": takes its cookie and its inode. */
#define SOCKET "socket %" PRIu64 " (inode %" PRIu32 ")"

/* Parts of a text; they return the buffer. Names may hold any bytes: renderers make them harmless.
 */
#define DURATION_SIZE 32
const char *say_duration(char buffer[DURATION_SIZE],
			 double ns); /* "740 us", "12.3 ms", "4.2 s", "12 min", "4.0 h" */
#define PLACE_SIZE 88
#define PROCESS_SIZE (PLACE_SIZE + 32)
/* "nginx 700 in nginx.service" */
const char *say_process(char buffer[PROCESS_SIZE], const char name[16], int32_t pid,
			const char cgroup[CGROUP_SIZE]);
#define WORKER_SIZE (PROCESS_SIZE + 32)
const char *say_worker(char buffer[WORKER_SIZE],
		       const struct worker_row *w); /* "thread 703 of envoy 700 in envoy.service" */
#define HELD_SIZE (3 * PROCESS_SIZE + 32)
/* "nginx 700, nginx 701, nginx 702 and 3 more in nginx.service" */
const char *say_holders(char buffer[HELD_SIZE], const struct endpoint *e, uint64_t cookie);

#endif
