/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by the files of the inventory. inventory.c has the order of work. A sample goes through
 *
 *   inventory_scan.c        turns the kernel's records into rows, and finds the wanted sockets
 *   inventory_cgroups.c     the cgroups of threads
 *   inventory_handshakes.c  what namespaces count
 *
 * and from there into a ledger through
 *
 *   inventory_sockets.c     sockets, and the threads that wait on them
 *   inventory_usage.c       what threads and processes have used
 *   inventory_holders.c     the processes that hold the sockets
 *   inventory_gone.c        what is gone
 *   inventory_unheld.c      sockets that no process holds
 *   inventory_hindrances.c  what keeps holders from taking
 *
 * inventory_connections.c lists connections. user/model/wait_graph.h says who waits on what.
 */
#ifndef SOCKFAIR_INVENTORY_SCAN_H
#define SOCKFAIR_INVENTORY_SCAN_H

#include "../model/wait_graph.h"
#include "clock.h"
#include "hindrances.h"
#include "holders.h"
#include "inventory.h"
#include "netstat.h"
#include "sockdiag.h"

struct bpf_link;

/* A socket that the scan found. */
struct found {
	uint64_t node; /* r.node */
	struct holders_socket_record r;
	bool wanted;
};

struct thread {
	uint32_t tid; /* r.tid */
	struct holders_thread_record r;
	const char *cgroup;
	bool looked; /* state and doing have been read */
	char state, doing[32];
};

struct inventory {
	struct holders_bpf *bpf;
	struct bpf_link *sockets_link, *threads_link, *connections_link;
	struct selection selection;
	uint32_t scan;
	bool closely;      /* the next scan reads descriptor limits, too */
	uint64_t unlisted; /* threads on sockets that found no row in the last fill */
	/* the last sample */
	uint64_t looked_ns;    /* when the sockets were read, CLOCK_MONOTONIC */
	struct array found;    /* struct found, by node */
	struct array threads;  /* struct thread, by tid */
	struct array programs; /* of groups, in inventory_sockets.c */
	struct array cgroups;  /* in inventory_cgroups.c */
	struct array cpu;      /* of processes, in inventory_usage.c */
	struct wait_graph graph;
	struct array waiting; /* struct waiting, for one socket */
	uint64_t reading;     /* the socket or epoll that the next record belongs to */
	struct array pids;    /* uint32_t: processes that the kernel side remembers, ascending */
	struct array connections; /* struct holders_connection_record */
	struct netstat netstat;   /* of the namespaces that have a wanted listener */
	struct handshake_look handshakes[NETSTAT_NAMESPACES];
	size_t handshake_count;
	struct hindrances hindrances;
	/* when the window began */
	uint64_t begun_ns; /* as looked_ns */
	struct array begun, cpu_begun;
};

/* All functions return 0, a number, or negative errno, unless stated otherwise. */

/* ---- the sample ---- */

int inventory_iterate(struct inventory *v, const struct bpf_link *link);
struct thread *inventory_thread(const struct inventory *v, uint32_t tid);
bool inventory_is_listener(const struct found *f);

int inventory_program_take(struct inventory *v, const struct holders_program_record *r);

int inventory_cgroups_read(struct inventory *v);
void inventory_cgroups_forget(struct inventory *v);

/* Follows the namespaces of the scan. *again: the scan has to be repeated. */
int inventory_netstat_follow(struct inventory *v, bool *again);

/* ---- into the ledger ---- */

/*
 * What the namespaces have counted up to this scan, and the listeners for which they hold ACKs
 * back.
 */
int inventory_handshakes_fill(const struct inventory *v, struct ledger *l,
			      enum handshake_when when);
void inventory_half_open_fill(struct ledger *l, struct ledger_socket *s, const struct found *f);

/* started_ns is when the window began; 0: it has not begun. */
int inventory_socket_fill(struct inventory *v, struct ledger *l, const struct found *f,
			  uint64_t started_ns);
void inventory_worker_describe(const struct inventory *v, struct ledger_worker *w,
			       const struct thread *t, uint64_t started_ns);
void inventory_worker_waits(struct ledger_worker *w, struct wait_way way);
int inventory_groups_fill(const struct inventory *v, struct ledger *l);
int inventory_holders_fill(const struct inventory *v, struct ledger *l, uint64_t started_ns);

/* Adds a row for each thread; inventory_usage_sort() merges them into one for each process. */
int inventory_usage_take(struct inventory *v, const struct holders_thread_record *r);
void inventory_usage_sort(struct inventory *v);
/* The window begins with this sample. */
int inventory_usage_begin(struct inventory *v);
void inventory_usage_fill(const struct inventory *v, struct worker_row *row, const struct thread *t,
			  uint64_t started_ns);

/* Enters what did not wait, and what is no longer there. */
int inventory_gone_fill(struct inventory *v, struct ledger *l, uint64_t started_ns);

/*
 * Enters sockets of sock_diag that no process holds: the kernel's own, or sockets on their way
 * from one process to another. `rows` is used as scratch space.
 */
int inventory_unheld_fill(const struct inventory *v, struct ledger *l, struct sockdiag_row *rows,
			  int count);

/*
 * Looks at the holders of those sockets that raise the question what keeps them from taking. Call
 * it after inventory_holders_fill(), when stalled_* of the sockets are known.
 */
int inventory_hindrances_fill(struct inventory *v, struct ledger *l, uint64_t started_ns);

#endif
