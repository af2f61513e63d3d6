/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What may keep a process from taking work out of the queue of a socket that it holds. Pure data;
 * stall_cause.h draws the conclusions. */
#ifndef SOCKFAIR_HINDRANCE_H
#define SOCKFAIR_HINDRANCE_H

#include <stdbool.h>
#include <stdint.h>

/* Even a slow worker takes something now and then; no worker should need more than half a second
 * between two accepts. */
#define STALLED_NS 500000000ull

/* A stall that is over is remembered from a second on: in a long window, single hiccups of half a
 * second are bound to come (nginx's accept_mutex_delay is one), and are nothing to change. */
#define STALL_LONG_NS 1000000000ull

/*
 * What hinders a process. A process is examined at each look as long as one of its sockets is
 * stalled, or has a queue although nobody ever waited on it. The looks of one such period are
 * counted, to tell what was true at all of them from what was true once.
 */
struct hindrance {
	unsigned looks; /* 0: the process was not examined, and nothing else here is known */
	unsigned descriptor_looks; /* looks at which the process's descriptors were read, and
				      whether fs.file-max applies to it */
	unsigned descriptors_full; /* of descriptor_looks, those at which no descriptor below the
				      limit was free */
	uint64_t descriptors;      /* RLIMIT_NOFILE */
	unsigned files_full; /* of descriptor_looks, those at which the machine had as many files
				open as fs.file-max allows, and that limit applies to the process */
	uint64_t files;      /* fs.file-max */
	bool cpu_known;      /* there were two looks */
	double cpu; /* CPU time of all its threads since the first look, divided by the time passed
		     */
	uint64_t periods, throttled; /* periods since the first look of the CPU quota of its cgroup
					or of a cgroup above it, and in how many of them the quota
					was used up; 0: no quota */

	/* at the last look */
	bool frozen;      /* the cgroup is frozen */
	int32_t tracer;   /* pid of the tracing process; 0: none */
	bool leader_gone; /* its first thread has ended while others live */
	bool takers; /* the fields below cover only those of its threads that waited on the socket
			or took from it */
	unsigned others;  /* number of its other threads */
	unsigned threads; /* live threads that were examined */
	unsigned running, stopped, traced,
		uninterruptible; /* how many of them are in state R, T, t, D. The others sleep */
	char place[32];    /* where in the kernel most of the sleeping threads (also those in D) are
			      (/proc/PID/wchan: "do_epoll_wait"); "": not known */
	unsigned at_place; /* how many threads sleep there */
};

/* How a process that holds a socket watches it, at the last look. */
enum watching {
	WATCHING_UNKNOWN,
	WATCHING_NOT, /* no epoll of the process has the socket, and none of its threads sleeps on
			 it */
	WATCHING_OTHERS, /* likewise, but one of its threads sleeps in another epoll */
	WATCHING_AWAY, /* an epoll of the process has the socket, but no thread sleeps in that epoll
			*/
	WATCHING_SLEEPS,   /* a thread sleeps on the socket directly, or in an epoll that (as far as
			      is known) reports the socket as long as its queue is not empty */
	WATCHING_EDGE,     /* a thread sleeps in an epoll that has the socket with EPOLLET */
	WATCHING_DISARMED, /* a thread sleeps in an epoll that has the socket with EPOLLONESHOT,
			      which has fired */
	WATCHING_OTHERWISE, /* a thread sleeps in an epoll that has the socket without EPOLLIN */
};

#endif
