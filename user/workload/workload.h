/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The classic server designs as workload modes: a server and its clients on loopback, both counting
 * for themselves.
 *
 *   workload_start()   sockets are bound, workers run and wait, the client process waits
 *   (attach the observer, filtered to workload_endpoint())
 *   workload_go()      clients begin
 *   workload_wait()    until they are done
 *   workload_settle()  until server and queues are at rest
 *   workload_counts()  what server and clients counted
 *   workload_stop()    ends everything, leaves nothing behind
 */
#ifndef SOCKFAIR_WORKLOAD_H
#define SOCKFAIR_WORKLOAD_H

#include <netinet/in.h>
#include <stdio.h>

#include "../model/snapshot.h"

#define WORKERS_MAX 4096

struct workload_mode {
	const char *name;
	enum protocol protocol;
	const char *design; /* one line: the server design, for --help and the report */
	/* the rest is workload/'s own: see mode.h */
	const struct mode_server *server;
};

/* The table of modes. A row without a name ends it. */
extern const struct workload_mode workload_modes[];
const struct workload_mode *workload_mode_find(const char *name);

struct workload_options {
	const struct workload_mode *mode;
	unsigned workers;
	bool processes;       /* workers are forked processes instead of threads */
	uint64_t requests;    /* connections or datagrams; not used with serve_only */
	unsigned concurrency; /* outstanding at once, over all client threads */
	double rate;          /* open loop, requests per second; 0: closed loop */
	unsigned work_us;     /* CPU time a worker spends per request */
	int slow_worker; /* this worker, and no other, spends ten times work_us; -1: none does */
	unsigned flows;  /* UDP: distinct client ports */
	struct sockaddr_storage bind; /* address and port (0: the kernel picks one) */
	bool serve_only;
};

struct workload;

struct workload_progress {
	uint64_t sent, failed;     /* clients: see struct workload_account */
	uint64_t accepted, served; /* server */
	bool clients_done;
};

/* Returns 0, -EOPNOTSUPP if this kernel can't run the mode (why: the reason), or another negative
 * errno (why: one line: what, why, what to do). A failure leaves nothing behind. */
int workload_start(struct workload **out, const struct workload_options *options, char *why,
		   size_t why_size);

/* What the server made: address, port, netns, sockets (cookie, inode, uid, reuseport) and workers
 * (number, pid, tid, comm, cookie, can_accept, serves). */
const struct endpoint *workload_endpoint(const struct workload *w);

void workload_go(struct workload *w);
void workload_progress(const struct workload *w, struct workload_progress *p);

/* Waits up to timeout_ms for the clients to finish. Returns true when they are done. If they died
 * it also returns true, and `failed` says so. */
bool workload_wait(struct workload *w, int timeout_ms);

/* Tells the clients to stop early; after that workload_wait() soon returns true. */
void workload_interrupt(struct workload *w);

/* Waits until everything that arrived has been served and nothing changes any more (at most 5 s).
 * Returns false if there is still movement. */
bool workload_settle(struct workload *w);

/* Fills the account. Also fills `accepted` and `served` of workload_endpoint()'s workers and
 * sockets from the server's own counters. */
void workload_counts(struct workload *w, struct workload_account *account);

/* Ends the clients and workers (processes too), closes the sockets and frees the memory. NULL is
 * fine. */
void workload_stop(struct workload *w);

#endif
