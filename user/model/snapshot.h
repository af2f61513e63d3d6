/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The model: what the kernel counted during a window, per endpoint (protocol, address, port,
 * network namespace), socket, worker and CPU. Pure data: nothing here knows libbpf, files or
 * clocks. collect/ fills it, workload/ adds what it knows of its own server, render/ prints it.
 */
#ifndef SOCKFAIR_SNAPSHOT_H
#define SOCKFAIR_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>

#include "design.h"
#include "fairness.h"
#include "generations.h"
#include "handshakes.h"
#include "hindrance.h"
#include "cgroup.h"
#include "lifetimes.h"
#include "load.h"
#include "picker.h"
#include "wait.h"

enum protocol { PROTOCOL_TCP, PROTOCOL_UDP };

/* Why a socket that has a port takes no part in what comes to it: aside.h */
enum aside {
	ASIDE_NOT,
	ASIDE_BOUND,   /* TCP: bound, and does not listen (not yet, or no more) */
	ASIDE_KERNEL,  /* UDP: the kernel's own, which takes the datagrams out before they are
			  queued: nothing is counted */
	ASIDE_CLIENTS, /* UDP, of an endpoint: all are connected */
	ASIDE_PASSING, /* UDP, of an endpoint: all were opened in the window, for a few datagrams
			  each, and are closed as far as is known */
};

/* One socket that others share work with: a TCP listener or a bound UDP socket. */
struct socket_row {
	uint64_t cookie;  /* never reused by the kernel; 0: not known */
	uint32_t inode;   /* as ss and /proc/PID/fd show it */
	uint32_t uid;     /* owner */
	bool reuseport;   /* SO_REUSEPORT is set */
	bool connected;   /* UDP: it gets the datagrams of one peer: connected.h */
	uint64_t group;   /* SO_REUSEPORT group: the lowest cookie of its sockets; 0: none, or not
			     known */
	char device[16];  /* the network device it is bound to; "": none */
	bool v6only;      /* IPv6: takes no IPv4 */
	uint64_t arrived; /* TCP: connections put into the accept queue. UDP: datagrams put into the
			     receive queue */
	uint64_t dropped; /* UDP: datagrams that found no room. TCP: 0, see queue */
	uint64_t accepted; /* TCP: connections taken by accept. UDP: datagrams taken by a read. The
			      sum of its workers */
	size_t sketch; /* UDP: of the endpoint's list, from 1: what came by flow; 0: not known, or
			  none */
	bool copies_known; /* UDP: `copies` is meaningful: the backend sees where datagrams are sent
			      to */
	uint64_t copies; /* UDP: of arrived, those to a multicast or broadcast address: each socket
			    that wants them gets its own */
	bool member;     /* UDP: of a multicast group */
	uint64_t buffers_maybe_several; /* UDP: of arrived and dropped, buffers that count as one
					   datagram and may hold several (UDP_GRO) */
	uint64_t drops;   /* the kernel's own drop counter of the socket, growth since the window
			     began */
	bool queue_known; /* queue_length and queue_limit were read */
	uint32_t queue_length;  /* TCP: connections waiting now. UDP: bytes */
	uint32_t queue_limit;   /* TCP: backlog in force (N holds N + 1). UDP: SO_RCVBUF in bytes */
	bool highest_known;     /* TCP: arrivals are seen */
	uint32_t queue_highest; /* TCP: the longest that its accept queue was in the window, seen at
				   each arrival */
	bool full_known;        /* it was looked at more than once */
	uint64_t full_ns;    /* TCP: time in which the queue was full at two looks that follow each
				other */
	uint64_t stalled_ns; /* TCP: so long by now connections have been in the queue at each look,
				and none was taken; 0: that is not so */
	uint32_t stalled_length;    /* the queue's length when that began */
	struct half_open half_open; /* TCP: its handshakes under way */
	bool wait_known;            /* TCP: waits are measured */
	struct wait wait; /* TCP: time in the accept queue, of those that came to it in the window
			     and were accepted */
	uint64_t queued_before; /* TCP: accepted in the window, but queued before it: not in `wait`
				 */
	uint64_t reset_queued;  /* TCP: accepted, but the client had reset it while it was in the
				   queue */
	uint64_t dropped_closing; /* TCP: in the queue when the socket was closed, and reset by that
				   */
	uint64_t migrated; /* TCP: in the queue when the socket was closed, and moved to another of
			      its group (net.ipv4.tcp_migrate_req) */
	bool steered;      /* a program (SO_ATTACH_REUSEPORT_*) picks the socket of its group */
	struct picker picker;  /* steered: what that program can pick */
	bool incoming_cpu_set; /* SO_INCOMING_CPU */
	uint32_t incoming_cpu;
	bool waiting_known;    /* `waiting` was read: an inventory was taken */
	uint32_t waiting;      /* threads that waited on it (accept, poll, epoll, a read) when last
				  looked at */
	uint32_t waiting_most; /* the most that waited on it at once, of all looks by now; those
				  that are busy in between count as waiting where they are known to
				  come back: see inventory.c */
	uint64_t idle_sum, looks; /* threads that slept on it, of all looks in the window; and how
				     many looks */
	bool waiting_cut; /* at some look more threads waited on it than could be listed: some of
			     its workers are in no row */
	bool appeared;    /* it was made during the window: no bin of the fairness test */
	uint64_t appeared_ns; /* so long after counting began it was first seen with its holders; 0:
				 not known */
	bool ended;           /* it is closed */
	enum aside aside; /* ASIDE_NOT, ASIDE_BOUND or ASIDE_KERNEL; where an inventory was taken
			     for a list */
	bool kernel;      /* it is the kernel's own: no process can hold it. Likewise */
	enum generation generation; /* of those who take from it; by endpoint_judge() */
	bool left_out;              /* of a document, where it would be too large: limit.h */
};

/* A network interface that sends and receives by a UDP port. */
struct tunnel {
	char kind[16]; /* "vxlan" */
	char name[16];
};

/* A process that has a descriptor of the socket, whether it uses it or not. */
struct holder_row {
	uint64_t cookie; /* of the socket */
	int32_t pid;
	int32_t pid_inside; /* the same as its own pid namespace counts; equal to pid outside of
			       containers */
	int32_t parent;     /* its parent's pid; 0: not known */
	uint64_t start_ns;  /* of its first thread, CLOCK_BOOTTIME; 0: not known */
	bool appeared;      /* it began during the window */
	int fd;             /* the lowest descriptor */
	bool polls;         /* at some look an epoll of its own had the socket */
	unsigned fds;       /* how many descriptors it has of that socket */
	uint32_t uid;       /* of the process */
	char process[16];   /* its name */
	char cgroup[CGROUP_SIZE]; /* as a worker's */
	char state;     /* of its first thread, as in /proc/PID/stat: R running, S sleeping, D, T
			   stopped, t traced, Z; 0: not known */
	char doing[32]; /* where in the kernel that thread is (/proc/PID/wchan: "do_epoll_wait");
			   "": in user space, or not known */
	enum watching watching; /* how it watches the socket; these two where the socket's queue
				   gives reason to ask */
	struct hindrance hindrance;
	bool left_out; /* as a socket's */
};

/* How a thread waits on a socket. */
enum wait_kind {
	WAITS_NOT,
	WAITS_BLOCKED, /* in accept() or a read */
	WAITS_POLL,    /* poll() or select() */
	WAITS_EPOLL,
	WAITS_URING, /* io_uring */
};

/* Data of TCP connections, in bytes: received, and sent at least once. */
struct bytes {
	uint64_t received, sent;
};

/* A connection that is open, of those of an endpoint that carried most in the window. */
struct connection_row {
	uint64_t id;      /* while it is open no other has it */
	int32_t pid, tid; /* of who serves it */
	uint64_t age_ns;  /* since it was accepted; 0: before the window */
	struct bytes bytes;
	int family;
	uint8_t peer[16]; /* network order */
	uint16_t peer_port;
};
#define CONNECTIONS_SHOWN 16

/*
 * One thread on one socket. tid below 0: connections that its process held when the window began,
 * and which thread reads them is not known.
 */
struct worker_row {
	int number;  /* of a workload's worker, from 0; -1: not a worker of ours */
	int32_t pid; /* process id (tgid) in the initial pid namespace */
	int32_t tid;
	int32_t parent;    /* its process's parent's pid; 0: not known */
	uint64_t start_ns; /* thread's start, CLOCK_BOOTTIME ns: tells a reused tid; 0: not known */
	int32_t pid_inside; /* pid and tid as the thread's own pid namespace counts; 0: not known */
	int32_t tid_inside;
	char comm[16];            /* name of the thread */
	char process[16];         /* name of the process; "": not known */
	char cgroup[CGROUP_SIZE]; /* path in the cgroup v2 tree, of cgroup_set(); "" where unknown.
				     What it says: unit.h */
	uint64_t cookie;          /* of its socket */
	bool waits;               /* it waited on the socket when last looked at */
	enum wait_kind wait_kind; /* how, when it was last seen to wait; WAITS_NOT: never seen */
	bool exclusive;  /* a wake-up wakes one of such waiters (EPOLLEXCLUSIVE, accept()), not all
			  */
	uint64_t epoll;  /* WAITS_EPOLL: names the epoll; threads with the same one share it */
	bool can_accept; /* it waits on that socket or took from it: a bin of the fairness test */
	uint64_t accepted; /* TCP: accepts. UDP: datagrams received. As the kernel counted */
	bool wait_known;   /* TCP: waits are measured */
	struct wait wait;  /* TCP: time in the accept queue, of those that this thread accepted: see
			      socket_row */
	uint64_t queued_before, reset_queued; /* as in socket_row */
	bool serves;     /* who serves is known (`served` is meaningful) and this one can serve */
	uint64_t served; /* TCP: connections from which this thread was the first to read */
	struct wait handed; /* TCP: of those, the ones that another thread had accepted: from that
			       accept to the first read; no histogram */
	bool open_known;    /* `open` and `finished` are meaningful */
	uint64_t open;      /* TCP: connections of the window that it serves (or has accepted, while
			       nobody has read) and that are open now */
	bool open_at_least; /* some of its connections were not followed to their end, or not at
			       all: `open` is a bound */
	uint64_t finished;  /* TCP: those of the window that are closed */
	uint64_t finished_ns; /* the sum of their lifetimes, from accept to close */
	bool usage_known; /* `cpu_ns` and `sleeps` are meaningful: of the thread, whatever it did,
			     so the same on each of its sockets */
	uint64_t cpu_ns;  /* CPU time */
	uint64_t
		sleeps; /* how often it went to sleep (voluntary context switches), and was woken */
	bool process_cpu_known; /* `process_cpu_ns` is meaningful: of the whole process, so the same
				   on each of its rows */
	uint64_t process_cpu_ns; /* CPU time of all its threads, those that ended too */
	bool bytes_known;        /* TCP: `bytes` is meaningful */
	struct bytes bytes; /* of the connections that it serves, as `open` has them; those too that
			       were open before the window. In the window */
	bool bytes_at_least; /* some of its connections were not followed: a bound */
	bool appeared;       /* the thread began during the window: no bin of the fairness test */
	bool ended; /* the thread is gone, or its process does not hold the socket any more */
	enum generation generation; /* by endpoint_judge() */
	uint64_t lived_ns;          /* of the window; 0: not known */
	uint64_t quiet_ns; /* so long by the window's end, or by its own, it has taken nothing; 0:
			      not known */
	bool left_out;     /* as a socket's */
};

/* Rows beyond the limit that are not listed, and what they counted: sockets what came, workers what
 * was taken. */
struct omitted {
	uint64_t sockets, workers;
	uint64_t connected, appeared; /* of those sockets */
	uint64_t arrived, dropped, accepted, buffers_maybe_several;
	uint64_t served, finished, queued_before, reset_queued;
	struct bytes bytes;
	uint64_t drops, dropped_closing, migrated;
	uint64_t open; /* these two: of rows that a document leaves out. The rest has ended */
	uint32_t queue_highest;
	struct wait wait; /* without a histogram */
};

/* UDP ports that were open for a moment, added up: ASIDE_PASSING. */
struct passing {
	uint64_t ports;
	bool ports_at_least; /* some of these are many, of which only the counts are known */
	uint64_t sockets, arrived, accepted;
};

/* Something that looks wrong, or is worth knowing: model/findings.h */
struct evidence {
	const char *name; /* stable, e.g. "sockets" */
	double number;
};
#define EVIDENCE_MAX 8
enum finding_level {
	FINDING_PROBLEM, /* something to change */
	FINDING_NOTE,    /* worth knowing; never uneven by itself */
	FINDING_GOOD,    /* nothing to fix */
};
struct finding {
	const char *code; /* stable, e.g. "group-split" */
	enum finding_level level;
	const char *
		cause; /* likewise, of those that have several: "descriptors"; NULL: none is told */
	char text[768];  /* one sentence with the figures and what to do about it */
	uint64_t cookie; /* of the socket that it is about; 0: of the endpoint */
	struct evidence evidence[EVIDENCE_MAX];
	size_t evidence_count;
};

/*
 * Events that may have been an endpoint's and are in no row of it: at most so many, by what they
 * would have been counted as. Those of which not even the port is known are in this of every
 * endpoint that they may belong to.
 */
struct endpoint_lost {
	uint64_t arrived;  /* of its sockets */
	uint64_t accepted; /* of its workers */
	uint64_t served;   /* connections of which it is not known who serves them */
	uint64_t open;     /* or whether they are open still */
};

struct cpu_row {
	uint32_t cpu;
	uint64_t arrived;
};

struct endpoint {
	enum protocol protocol;
	int family;          /* AF_INET or AF_INET6 */
	uint8_t address[16]; /* network order; 4 bytes used for AF_INET */
	uint16_t port;       /* host order */
	uint32_t netns;      /* inode of the network namespace */
	uint64_t flows; /* UDP: flows (client address and port) that the clients used, about alike;
			   0: not known */
	bool flows_estimated; /* what came of each flow is estimated from `sketches`; else `flows`
				 says it */
	struct flow_load
		load; /* UDP, several sockets: of those that are bins; by endpoint_judge() */
	uint64_t flow_unseen; /* datagrams of these sockets whose flow was not seen; by
				 endpoint_judge() */
	struct socket_row *sockets;
	size_t socket_count;
	struct worker_row *workers;
	size_t worker_count;
	struct connection_row connections[CONNECTIONS_SHOWN]; /* by bytes, the most first */
	size_t connection_count;                              /* listed there */
	uint64_t connections_open;                            /* that were looked at */
	bool older_cut; /* more connections were open when the window began than could be followed
			 */
	struct load_spread cpu, carried;           /* by endpoint_judge() */
	size_t connected_count, connected_workers; /* rows behind those, set aside: connected.h */
	struct tunnel *tunnels; /* whose port it is, by name; where they were asked for */
	size_t tunnel_count;
	struct cpu_row *cpus; /* those with arrivals, ascending */
	size_t cpu_count;
	struct holder_row *holders; /* sorted by cookie, then pid; where an inventory was taken */
	size_t holder_count;
	size_t unsure_siblings; /* processes of which it is not known whether they are idle workers:
				   siblings.h */
	struct omitted omitted;
	struct endpoint_lost lost;
	struct wait_histogram *histograms; /* those that waits of sockets and workers name */
	size_t histogram_count;
	struct flow_sketch *sketches; /* those that sockets name */
	size_t sketch_count;
	struct finding *findings; /* by findings_fill() */
	size_t finding_count;
	struct fairness socket_fairness, worker_fairness, served_fairness; /* by endpoint_judge() */
	struct fairness process_fairness; /* workers added up by process; by endpoint_judge() */
	bool served_known;                /* served_fairness means something */
	struct fairness open_fairness;    /* open connections by worker; where they are known */
	bool open_known;                  /* open_fairness means something */
	struct generations generations;   /* by endpoint_judge() */
	bool generations_given; /* they are those of the window that this is an interval of: its
				   rows have their marks */
	struct fairness other_fairness; /* of the workers of the generation that is not judged;
					   where there are two, and the design's bins are workers */
	struct design design;           /* by endpoint_judge() */
	bool left_out;                  /* with all its rows: as a socket's */
};

/* What the tool itself could not count or attribute. A row per reason that happened. */
struct lost_row {
	const char *reason; /* stable code, e.g. "listener_unknown" */
	const char *text; /* what they are, for people: "accepts whose listening socket could not be
			     told" */
	uint64_t count;
	bool beside;  /* the counts of arrivals and accepts are whole all the same */
	bool at_most; /* they may be fewer */
};

/* A workload's own account of itself. */
struct workload_account {
	const char *mode;
	char skipped[160]; /* why this kernel can't run the mode; "": it ran */
	unsigned workers;
	bool processes;
	unsigned concurrency;
	uint64_t requests;  /* -n: connections or datagrams that the clients were to send; not with
			       serve_only */
	unsigned flows;     /* UDP: --flows; TCP: 0 */
	double target_rate; /* --rate, per second; 0: closed loop */
	unsigned work_us;
	int slow_worker; /* -1: none */
	bool serve_only; /* no clients of ours: sent, answered, failed mean nothing */
	uint64_t sent;   /* TCP: connections made (the client has the reply's first byte). UDP:
			    datagrams sent */
	uint64_t failed; /* TCP: connections given up by the client. UDP: datagrams without a reply
			    in time */
	uint64_t accepted; /* the server's own count of accepts or receives */
	uint64_t served;   /* the server's own count of requests served */
	double seconds;    /* from the first to the last request */
	bool agrees;      /* kernel, server and clients agree, per worker: experiment/agreement.h */
	char failure[96]; /* why the clients could send nothing; "": they could, or it is not known
			   */
	char disagreement[256]; /* the first thing that does not agree; "" if all does */
};

#define SNAPSHOT_UNSEEN_MAX 16

struct snapshot {
	char release[65];                        /* uname -r */
	const char *backend;                     /* "fentry", "kprobe", "tracepoint" */
	const char *unseen[SNAPSHOT_UNSEEN_MAX]; /* nouns: what this backend does not see on this
						    kernel */
	size_t unseen_count;
	int64_t start_ms; /* window's start, Unix time in ms */
	double seconds;
	double looked_seconds; /* from the look before the window to the last one: of CPU times; 0:
				  not known */
	bool final;
	struct endpoint *endpoints;
	size_t endpoint_count;
	size_t aside_count; /* endpoints behind those, set aside: aside.h */
	size_t clients; /* how many endpoints are left out as clients': those among them, and those
			   of quiet_clients */
	struct passing passing; /* what is left out because it passed: those among them */
	size_t quiet;         /* endpoints without events that are not listed, for there are many */
	size_t quiet_clients; /* the same, all of whose sockets are connected; until it is known
				 whether these are asked for: aside.h */
	uint64_t unlisted;    /* threads that wait on sockets, beyond the limit of rows */
	uint32_t somaxconn;   /* net.core.somaxconn of our own network namespace; 0: not known */
	uint32_t somaxconn_netns;      /* inode of that namespace */
	struct handshakes *handshakes; /* network namespaces of TCP listeners, by netns; where an
					  inventory was taken */
	size_t handshake_count;
	struct lost_row *lost;
	size_t lost_count;
	bool has_workload;
	struct workload_account workload;
};

/* Frees what a snapshot or an endpoint owns and zeroes it. */
void snapshot_free(struct snapshot *s);
void endpoint_free(struct endpoint *e);

/* Copies an endpoint with its rows. Returns 0 or -ENOMEM. */
int endpoint_copy(struct endpoint *to, const struct endpoint *from);

/* Copies a snapshot with its endpoints, but those set aside. Returns 0 or -ENOMEM;
 * snapshot_free(to). */
int snapshot_copy(struct snapshot *to, const struct snapshot *from);

/* Sum of the lost rows; of those that make counts of arrivals or accepts too low. */
uint64_t snapshot_lost(const struct snapshot *s);
uint64_t snapshot_lost_counts(const struct snapshot *s);

/* The endpoint with the same protocol, address, port and namespace; NULL if none. */
struct endpoint *snapshot_find(struct snapshot *s, const struct endpoint *like);

/* How many of these rows, sorted by cookie, hold that socket; *first: where they begin, one after
 * the other. */
size_t holders_find(const struct holder_row *rows, size_t count, uint64_t cookie, size_t *first);

/* The holders of a socket, one after the other, and their number; *count 0 (and any pointer) if
 * none is known. */
const struct holder_row *endpoint_holders(const struct endpoint *e, uint64_t cookie, size_t *count);

/*
 * Adds what a server knows of itself to what the kernel counted: rows for sockets and workers that
 * got nothing, the workers' numbers, which of them can accept, and `served`. `own` has the server's
 * sockets and workers; its counts of accepts are not used. Rows of the kernel that the server does
 * not know stay. Returns 0 or -ENOMEM.
 */
int endpoint_merge(struct endpoint *kernel, const struct endpoint *own);

/*
 * What happened between two snapshots of one observer: the rows of `now` with the growth of their
 * counts. Rows that had ended `before` are left out. Returns 0 or -ENOMEM; snapshot_free(out).
 */
int snapshot_difference(struct snapshot *out, const struct snapshot *now,
			const struct snapshot *before);

/* UDP: of its events, buffers that count as one datagram and may hold several: see socket_row. */
uint64_t endpoint_maybe_several(const struct endpoint *e);

/* Connections or datagrams that came to the endpoint (arrived, and for UDP dropped), or where those
 * are not seen were taken. */
uint64_t endpoint_events(const struct endpoint *e);

#endif
