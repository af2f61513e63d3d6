/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What may keep a process from taking what waits in the queue of a socket that it holds. Pure data;
 * stall_cause.h says what follows from it. */
#ifndef SOCKFAIR_HINDRANCE_H
#define SOCKFAIR_HINDRANCE_H

#include <stdbool.h>
#include <stdint.h>

/* A worker that is slow takes something now and then; half a second is longer than any of them
 * should think between two accepts. */
#define STALLED_NS 500000000ull

/*
 * Of a process. It is looked at where a socket that it holds is stalled, or is queued on and was
 * never waited on: at each look, as long as that is so. Those of one such time are counted, so that
 * what was true at all of them can be told from what is true once.
 */
struct hindrance {
	unsigned looks;            /* 0: it was not looked at, and nothing of this is known */
	unsigned descriptor_looks; /* of them, those at which its descriptors, and whether
				      fs.file-max holds for it, were read */
	unsigned descriptors_full; /* of those: below its limit none was free */
	uint64_t descriptors;      /* RLIMIT_NOFILE */
	unsigned files_full; /* of those: the machine had as many files open as fs.file-max allows,
				and that holds for the process */
	uint64_t files;      /* fs.file-max */
	bool cpu_known;      /* there were two looks */
	double cpu;          /* CPU time of all its threads over time, since the first look */
	uint64_t periods, throttled; /* of the CPU quota of its cgroup, or of one above it, since
					the first look: it was used up in so many; 0: none */

	/* at the last look */
	bool frozen;      /* by its cgroup */
	int32_t tracer;   /* pid of who traces it; 0: nobody */
	bool leader_gone; /* its first thread has ended, others live */
	bool takers; /* the following is of those of its threads that waited on the socket or took
			from it */
	unsigned others;  /* of threads beside those */
	unsigned threads; /* that live, and were looked at */
	unsigned running, stopped, traced,
		uninterruptible; /* of them, by their state: R, T, t, D. The rest sleeps */
	char place[32]; /* where in the kernel most of those are that sleep, D too (/proc/PID/wchan:
			   "do_epoll_wait"); "": not known */
	unsigned at_place; /* how many */
};

/* How a process that holds a socket watches it, at the last look. */
enum watching {
	WATCHING_UNKNOWN,
	WATCHING_NOT,    /* no epoll of it has the socket, and no thread of it sleeps on it */
	WATCHING_OTHERS, /* likewise, and a thread of it sleeps in an epoll */
	WATCHING_AWAY,   /* an epoll of it has the socket, and nobody sleeps in that */
	WATCHING_SLEEPS, /* a thread sleeps on it: by itself, or in an epoll that reports a queue as
			    long as there is one, as far as is known */
	WATCHING_EDGE,   /* a thread sleeps in an epoll that has it with EPOLLET */
	WATCHING_DISARMED,  /* likewise with EPOLLONESHOT, which has fired */
	WATCHING_OTHERWISE, /* likewise, but without EPOLLIN */
};

#endif
