/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The model: what the kernel counted during a window, per endpoint (protocol, address, port,
 * network namespace), socket, worker and CPU. Pure data: nothing here knows libbpf, files or
 * clocks. collect/ fills the model, workload/ adds what it knows of its own server, render/ prints
 * the model.
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
#include "lookup_program.h"
#include "picker.h"
#include "wait.h"

enum protocol { PROTOCOL_TCP, PROTOCOL_UDP };

/* Why a socket that is bound to a port gets no share of the port's traffic: aside.h */
enum aside {
	ASIDE_NOT,
	ASIDE_BOUND,   /* TCP: the socket is bound but does not listen (not yet, or no longer) */
	ASIDE_KERNEL,  /* UDP: a socket of the kernel itself, which takes the datagrams out before
			  they are queued, so nothing is counted */
	ASIDE_CLIENTS, /* UDP, of an endpoint: all its sockets are connected */
	ASIDE_PASSING, /* UDP, of an endpoint: all its sockets were opened in the window for a few
			  datagrams each, and no socket is known to be open still */
};

/*
 * The stalls of a TCP listener in the window that lasted STALL_LONG_NS or longer: what is known of
 * the longest, and how many there were. Looks find it, so it lasted longer, by less than two looks
 * are apart. Times are since the window began; below 0: before it (of an interval).
 */
struct stall {
	uint64_t ns;     /* from the first to the last look that found it; 0: there was none */
	int64_t last_ns; /* when the last look found it */
	bool over;       /* a later look found the queue taken from, or the socket closed */
	int64_t over_ns; /* when */
	bool fresh;      /* nothing had been accepted from the socket in the window before */
	uint32_t length; /* the queue's length at the last look that found it */
	uint64_t count;  /* how many stalls there were; this and `drops` cover all of them */
	uint64_t drops;  /* growth of the kernel's drop counter from the look before to that after
			  */
};

/* One socket that may share a port's work with others: a TCP listener or a bound UDP socket. */
struct socket_row {
	uint64_t cookie;  /* never reused by the kernel; 0: not known */
	uint32_t inode;   /* as ss and /proc/PID/fd show it */
	uint32_t uid;     /* owner */
	bool reuseport;   /* SO_REUSEPORT is set */
	bool connected;   /* UDP: the socket gets the datagrams of one peer only: connected.h */
	uint64_t group;   /* SO_REUSEPORT group: the lowest cookie of its sockets; 0: none, or not
			     known */
	char device[16];  /* the network device the socket is bound to; "": none */
	bool v6only;      /* IPv6: the socket takes no IPv4 traffic */
	uint64_t arrived; /* TCP: connections put into the accept queue. UDP: datagrams put into the
			     receive queue */
	uint64_t dropped; /* UDP: datagrams that found no room. TCP: 0, see queue */
	uint64_t accepted; /* TCP: connections taken by accept. UDP: datagrams taken by a read. The
			      sum over the socket's workers */
	size_t sketch; /* UDP: place in the endpoint's list of sketches, from 1 (arrivals by flow);
			  0: not known, or none */
	bool copies_known; /* UDP: `copies` is meaningful, because the backend sees the destination
			      of datagrams */
	uint64_t copies;   /* UDP: the part of `arrived` that was sent to a multicast or broadcast
			      address: each socket that wants such a datagram gets a copy */
	bool member;       /* UDP: the socket is a member of a multicast group */
	uint64_t buffers_maybe_several; /* UDP: the part of `arrived` and `dropped` that are buffers
					   counted as one datagram which may hold several (UDP_GRO)
					 */
	uint64_t drops;   /* growth of the kernel's own drop counter of the socket since the window
			     began */
	bool queue_known; /* queue_length and queue_limit were read */
	uint32_t queue_length;  /* TCP: connections waiting now. UDP: bytes */
	uint32_t queue_limit;   /* TCP: backlog in force (N holds N + 1). UDP: SO_RCVBUF in bytes */
	bool highest_known;     /* TCP: the backend sees arrivals, so queue_highest is meaningful */
	uint32_t queue_highest; /* TCP: the greatest length of the accept queue in the window, read
				   at each arrival */
	bool full_known;        /* the queue was looked at more than once */
	uint64_t full_ns;    /* TCP: total time between consecutive looks that both found the queue
				full */
	uint64_t stalled_ns; /* TCP: for how long every look has found connections in the queue
				while none was accepted; 0: the queue is not stalled */
	uint32_t stalled_length;    /* the queue's length when the stall began */
	struct stall stall;         /* TCP: the longest stall of the window, that one or another */
	struct half_open half_open; /* TCP: the listener's handshakes under way */
	bool wait_known;            /* TCP: waits are measured */
	struct wait wait; /* TCP: time in the accept queue, of connections that were both queued and
			     accepted in the window */
	uint64_t queued_before;   /* TCP: connections accepted in the window but queued before it:
				     they are not in `wait` */
	uint64_t reset_queued;    /* TCP: accepted connections that the client had reset while they
				     were in the queue */
	uint64_t dropped_closing; /* TCP: connections that were in the queue when the socket was
				     closed, and were reset by the close */
	uint64_t migrated;    /* TCP: connections that were in the queue when the socket was closed,
				 and were moved to another socket of the reuseport group
				 (net.ipv4.tcp_migrate_req) */
	bool steered;         /* a program (SO_ATTACH_REUSEPORT_*) picks the socket of its group */
	struct picker picker; /* if steered: what that program can pick */
	bool incoming_cpu_set; /* SO_INCOMING_CPU */
	uint32_t incoming_cpu;
	bool waiting_known; /* `waiting` was read, because an inventory was taken */
	uint32_t waiting; /* threads that waited on the socket (accept, poll, epoll, a read) at the
			     last look */
	uint32_t waiting_most; /* the most threads that waited on the socket at once, over all looks
				  so far. A busy thread counts as waiting where it is known to come
				  back: see inventory.c */
	uint64_t idle_sum, looks; /* threads that slept on the socket, summed over all looks in the
				     window; and the number of looks */
	bool waiting_cut; /* at some look more threads waited on the socket than could be listed, so
			     some of its workers have no row */
	bool appeared;    /* the socket was made during the window, so it is no bin of the fairness
			     test */
	uint64_t appeared_ns; /* time from the start of counting until the socket was first seen
				 with its holders; 0: not known */
	bool ended;           /* the socket is closed */
	enum aside aside; /* ASIDE_NOT, ASIDE_BOUND or ASIDE_KERNEL; set only where an inventory was
			     taken for a list */
	bool kernel; /* the socket is the kernel's own, so no process can hold it; set under the
			same condition */
	enum generation generation; /* the generation of the workers that take from the socket; by
				       endpoint_judge() */
	bool left_out; /* a document leaves the row out because it would be too large: limit.h */
};

/* A network interface that sends and receives by a UDP port. */
struct tunnel {
	char kind[16]; /* "vxlan" */
	char name[16];
};

/* A process that has a descriptor of the socket, whether or not it uses that descriptor. */
struct holder_row {
	uint64_t cookie; /* of the socket */
	int32_t pid;
	int32_t pid_inside; /* the pid in the process's own pid namespace; equal to pid outside of
			       containers */
	int32_t parent;     /* its parent's pid; 0: not known */
	uint64_t start_ns;  /* start of its first thread, CLOCK_BOOTTIME; 0: not known */
	bool appeared;      /* the process began during the window */
	int fd;             /* the lowest descriptor */
	bool polls;         /* at some look the socket was in an epoll of this process */
	unsigned fds;       /* how many descriptors the process has of that socket */
	uint32_t uid;       /* of the process */
	char process[16];   /* its name */
	char cgroup[CGROUP_SIZE]; /* as a worker's */
	char state; /* state of its first thread, as in /proc/PID/stat: R running, S sleeping, D, T
		       stopped, t traced, Z; 0: not known */
	char doing[32];         /* where in the kernel the first thread is (/proc/PID/wchan:
				   "do_epoll_wait"); "": in user space, or not known */
	enum watching watching; /* how the process watches the socket; this and `hindrance` are
				   filled only where the socket's queue gives reason to ask */
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

/* One of the open connections of an endpoint that carried the most bytes in the window. */
struct connection_row {
	uint64_t id;      /* unique among the open connections */
	int32_t pid, tid; /* of the thread that serves it */
	uint64_t age_ns;  /* time since accept; 0: accepted before the window */
	struct bytes bytes;
	int family;
	uint8_t peer[16]; /* network order */
	uint16_t peer_port;
};
#define CONNECTIONS_SHOWN 16

/*
 * One thread on one socket. A tid below 0 stands for connections that the process held when the
 * window began: which of its threads reads them is not known.
 */
struct worker_row {
	int number; /* number of a workload's worker, from 0; -1: the thread is not a worker of ours
		     */
	int32_t pid; /* process id (tgid) in the initial pid namespace */
	int32_t tid;
	int32_t parent;    /* its process's parent's pid; 0: not known */
	uint64_t start_ns; /* thread's start, CLOCK_BOOTTIME ns: tells a reused tid; 0: not known */
	int32_t pid_inside; /* pid and tid in the thread's own pid namespace; 0: not known */
	int32_t tid_inside;
	char comm[16];            /* name of the thread */
	char process[16];         /* name of the process; "": not known */
	char cgroup[CGROUP_SIZE]; /* path in the cgroup v2 tree, set by cgroup_set(); "": not known.
				     unit.h tells what the path says */
	uint64_t cookie;          /* of its socket */
	bool waits;               /* the thread waited on the socket at the last look */
	enum wait_kind wait_kind; /* how the thread waited when it was last seen waiting; WAITS_NOT:
				     it was never seen waiting */
	bool exclusive;    /* a wake-up wakes only one of the waiters of this kind (EPOLLEXCLUSIVE,
			      accept()), not all */
	uint64_t epoll;    /* WAITS_EPOLL: names the epoll; threads with the same one share it */
	bool can_accept;   /* the thread waits on the socket or took from it, so it is a bin of the
			      fairness test */
	uint64_t accepted; /* what the kernel counted. TCP: accepts. UDP: datagrams received */
	bool wait_known;   /* TCP: waits are measured */
	struct wait wait;  /* TCP: time in the accept queue of the connections that this thread
			      accepted: see socket_row */
	uint64_t queued_before, reset_queued; /* as in socket_row */
	bool serves; /* `served` is meaningful (the backend sees who serves), and this thread can
			serve */
	uint64_t served;    /* TCP: connections from which this thread was the first to read */
	struct wait handed; /* TCP: time from accept to first read, of the served connections that
			       another thread had accepted; no histogram */
	bool open_known;    /* `open` and `finished` are meaningful */
	uint64_t open;      /* TCP: connections of the window that are open now and that this thread
			       serves (or accepted, as long as nobody has read from them) */
	bool open_at_least; /* some of the thread's connections were not followed to their end, or
			       not at all, so `open` is a lower bound */
	uint64_t finished;  /* TCP: connections of the window that are closed */
	uint64_t finished_ns; /* sum of the lifetimes of `finished`, from accept to close */
	bool usage_known; /* `cpu_ns` and `sleeps` are meaningful. They cover all that the thread
			     did, so they are the same on each of its sockets */
	uint64_t cpu_ns;  /* CPU time */
	uint64_t sleeps;  /* how often the thread went to sleep (voluntary context switches) and was
			     woken */
	bool process_cpu_known;  /* `process_cpu_ns` is meaningful. It covers the whole process, so
				    it is the same on each of the process's rows */
	uint64_t process_cpu_ns; /* CPU time of all threads of the process, including those that
				    ended */
	bool bytes_known;        /* TCP: `bytes` is meaningful */
	struct bytes bytes;  /* carried in the window by the connections that the thread serves (as
				for `open`), including those that were open before it */
	bool bytes_at_least; /* some of the thread's connections were not followed, so `bytes` is a
				lower bound */
	bool appeared; /* the thread began during the window, so it is no bin of the fairness test
			*/
	bool ended;    /* the thread is gone, or its process no longer holds the socket */
	char state;    /* state of its process's first thread when the window ended, as a
			  holder's; 0: not known */
	enum generation generation; /* by endpoint_judge() */
	uint64_t lived_ns;          /* for how much of the window the thread lived; 0: not known */
	uint64_t quiet_ns; /* time since the thread last took anything, up to the end of the window
			      or of the thread; 0: not known */
	bool left_out;     /* as a socket's */
};

/* Rows beyond the limit, which are not listed, and what they counted: sockets counted arrivals,
 * workers counted what they took. */
struct omitted {
	uint64_t sockets, workers;
	uint64_t connected, appeared; /* of those sockets */
	uint64_t arrived, dropped, accepted, buffers_maybe_several;
	uint64_t served, finished, queued_before, reset_queued;
	struct bytes bytes;
	uint64_t drops, dropped_closing, migrated;
	uint64_t open; /* `open` and `queue_highest` come from rows that a document leaves out; all
			  other omitted rows have ended */
	uint32_t queue_highest;
	struct wait wait; /* without a histogram */
};

/* The sum of UDP ports that were open only for a moment: ASIDE_PASSING. */
struct passing {
	uint64_t ports;
	bool ports_at_least; /* `ports` is a lower bound: some of the entries stand for many ports
				of which only the counts are known */
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
	const char *cause; /* stable too, for codes that have several causes: "descriptors"; NULL:
			      no cause is given */
	char text[768];    /* one sentence with the figures and what to do about it */
	uint64_t cookie;   /* cookie of the socket that the finding is about; 0: it is about the
			      endpoint */
	struct evidence evidence[EVIDENCE_MAX];
	size_t evidence_count;
};

/*
 * Upper bounds of events that may have belonged to an endpoint and are in none of its rows, by what
 * they would have been counted as. An event whose port is not known is added for every endpoint
 * that it may belong to.
 */
struct endpoint_lost {
	uint64_t arrived;  /* of its sockets */
	uint64_t accepted; /* of its workers */
	uint64_t served;   /* connections whose serving thread is not known */
	uint64_t open;     /* connections of which it is not known whether they are still open */
};

struct cpu_row {
	uint32_t cpu;
	uint64_t arrived;
};

struct endpoint {
	enum protocol protocol;
	int family;                   /* AF_INET or AF_INET6 */
	uint8_t address[16];          /* network order; 4 bytes used for AF_INET */
	uint16_t port;                /* host order */
	uint32_t netns;               /* inode of the network namespace */
	struct lookup_program lookup; /* of its network namespace */
	uint64_t flows; /* UDP: number of flows (client address and port) that the clients used, all
			   of about the same weight; 0: not known */
	bool flows_estimated;  /* the weight of each flow is estimated from `sketches`; else `flows`
				  tells it */
	struct flow_load load; /* UDP with several sockets: the load on the sockets that are bins;
				  by endpoint_judge() */
	uint64_t flow_unseen;  /* datagrams to the same sockets whose flow was not seen; by
				  endpoint_judge() */
	struct socket_row *sockets;
	size_t socket_count;
	struct worker_row *workers;
	size_t worker_count;
	struct connection_row connections[CONNECTIONS_SHOWN]; /* sorted by bytes, the most first */
	size_t connection_count;                              /* entries of `connections` */
	uint64_t connections_open; /* open connections that were looked at */
	bool older_cut; /* more connections were open when the window began than could be followed
			 */
	struct load_spread cpu, carried;           /* by endpoint_judge() */
	size_t connected_count, connected_workers; /* set aside, behind the others: connected.h */
	struct tunnel *tunnels; /* network interfaces that use the port, sorted by name; filled only
				   if they were asked for */
	size_t tunnel_count;
	struct cpu_row *cpus; /* CPUs with arrivals, ascending */
	size_t cpu_count;
	struct holder_row *holders; /* by cookie, then pid; none without an inventory */
	size_t holder_count;
	struct holder_row *stallers; /* the holders of sockets with a `stall`, as the last look
					found them that found the stall; by cookie, then pid */
	size_t staller_count;
	size_t unsure_siblings; /* processes that may or may not be idle workers: siblings.h */
	struct omitted omitted;
	struct endpoint_lost lost;
	struct wait_histogram *histograms; /* those that waits of sockets and workers refer to */
	size_t histogram_count;
	struct wait_bounds waits_by_bound; /* TCP: of all rows, listed or not, since counting began,
					      also in an interval; waits of rows for which there was
					      no histogram in the kernel are missing */
	struct flow_sketch *sketches;      /* the sketches that sockets refer to */
	size_t sketch_count;
	struct finding *findings; /* by findings_fill() */
	size_t finding_count;
	struct fairness socket_fairness, worker_fairness, served_fairness; /* by endpoint_judge() */
	struct fairness process_fairness; /* workers added up by process; by endpoint_judge() */
	bool served_known;                /* served_fairness means something */
	struct fairness open_fairness;    /* of open connections by worker, if they are known */
	bool open_known;                  /* open_fairness means something */
	struct generations generations;   /* by endpoint_judge() */
	bool generations_given; /* `generations` was copied from the window that this interval is
				   part of, and the rows have its marks */
	struct fairness other_fairness; /* fairness of the workers of the generation that is not
					   judged; filled only if there are two generations and the
					   design's bins are workers */
	struct design design;           /* by endpoint_judge() */
	bool left_out;                  /* as a socket's, with all rows of the endpoint */
};

/* Events that the tool itself could not count or attribute. One row for each reason that occurred.
 */
struct lost_row {
	const char *reason; /* stable code, e.g. "listener_unknown" */
	const char *text; /* what the events are, for people: "accepts whose listening socket could
			     not be told" */
	uint64_t count;
	bool beside;  /* the counts of arrivals and accepts are complete nevertheless */
	bool at_most; /* `count` is an upper bound */
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
	bool serve_only; /* we run no clients: sent, answered, failed mean nothing */
	uint64_t sent;   /* TCP: connections made (the client has the reply's first byte). UDP:
			    datagrams sent */
	uint64_t failed; /* TCP: connections given up by the client. UDP: datagrams without a reply
			    in time */
	uint64_t accepted; /* the server's own count of accepts or receives */
	uint64_t served;   /* the server's own count of requests served */
	double seconds;    /* time from the first to the last request */
	bool agrees;       /* the counts of kernel, server and clients agree for each worker:
			      experiment/agreement.h */
	char failure[96];  /* why the clients could send nothing; "": they could send, or the reason
			      is not known */
	char disagreement[256]; /* the first thing that does not agree; "" if all does */
};

#define SNAPSHOT_UNSEEN_MAX 16

/* What counting itself took in the window. */
struct own_cost {
	bool known;          /* it was asked for */
	uint64_t runs, ns;   /* of all programs, by the kernel's statistics; they run for other
				sockets too */
	uint64_t process_ns; /* CPU time of this process */
};

struct snapshot {
	char release[65];                        /* uname -r */
	const char *backend;                     /* "fentry", "kprobe", "tracepoint" */
	const char *unseen[SNAPSHOT_UNSEEN_MAX]; /* what this backend does not see on this kernel,
						    as nouns */
	size_t unseen_count;
	int64_t start_ms; /* window's start, Unix time in ms */
	double seconds;
	double looked_seconds; /* time from the look before the window to the last look, which CPU
				  times cover; 0: not known */
	bool final;
	struct own_cost own_cost;
	struct endpoint *endpoints;
	size_t endpoint_count;
	size_t aside_count; /* endpoints that follow the endpoint_count judged ones, set aside:
			       aside.h */
	size_t clients;     /* how many endpoints are left out because they are clients': those set
			       aside, and quiet_clients */
	struct passing passing; /* sum of the ASIDE_PASSING endpoints among those set aside */
	size_t quiet; /* endpoints without events, which are not listed because there are many */
	size_t quiet_clients; /* the same for endpoints all of whose sockets are connected, counted
				 apart until it is known whether the user asks for them: aside.h */
	uint64_t unlisted;    /* threads that wait on sockets but are beyond the limit of rows */
	uint32_t somaxconn;   /* net.core.somaxconn of our own network namespace; 0: not known */
	uint32_t somaxconn_netns;      /* inode of that namespace */
	struct handshakes *handshakes; /* network namespaces of TCP listeners, sorted by netns;
					  filled only where an inventory was taken */
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

/* Copies a snapshot with its endpoints, except those set aside. Returns 0 or -ENOMEM;
 * snapshot_free(to). */
int snapshot_copy(struct snapshot *to, const struct snapshot *from);

/* Sum of all lost rows; and of only those rows that make counts of arrivals or accepts too low. */
uint64_t snapshot_lost(const struct snapshot *s);
uint64_t snapshot_lost_counts(const struct snapshot *s);

/* The endpoint with the same protocol, address, port and namespace; NULL if none. */
struct endpoint *snapshot_find(struct snapshot *s, const struct endpoint *like);

/* How many of these rows, which are sorted by cookie, hold the socket. They are consecutive and
 * begin at *first. */
size_t holders_find(const struct holder_row *rows, size_t count, uint64_t cookie, size_t *first);

/* The holders of a socket, as consecutive rows, and their number. If none is known, *count is 0 and
 * the pointer means nothing. */
const struct holder_row *endpoint_holders(const struct endpoint *e, uint64_t cookie, size_t *count);

/* The same of `stallers`. */
const struct holder_row *endpoint_stallers(const struct endpoint *e, uint64_t cookie,
					   size_t *count);

/*
 * Adds what a server knows of itself to what the kernel counted: rows for sockets and workers that
 * got nothing, the workers' numbers, which workers can accept, and `served`. `own` has the server's
 * sockets and workers; the counts of accepts in `own` are not used. Rows of the kernel that the
 * server does not know stay. Returns 0 or -ENOMEM.
 */
int endpoint_merge(struct endpoint *kernel, const struct endpoint *own);

/*
 * What happened between two snapshots of one observer: the rows of `now` with the growth of their
 * counts. Rows that had already ended in `before` are left out. Returns 0 or -ENOMEM;
 * snapshot_free(out).
 */
int snapshot_difference(struct snapshot *out, const struct snapshot *now,
			const struct snapshot *before);

/* UDP: how many of the endpoint's events are buffers that count as one datagram and may hold
 * several: see socket_row. */
uint64_t endpoint_maybe_several(const struct endpoint *e);

/* Connections or datagrams that came to the endpoint (arrived, and for UDP dropped). If the backend
 * does not see arrivals: those that were taken. */
uint64_t endpoint_events(const struct endpoint *e);

#endif
