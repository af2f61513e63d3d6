/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the observing process, the workers and the clients share. It lives in one anonymous shared
 * mapping, so that threads and forked processes see it alike and it outlives any process that
 * writes to it. Every counter has exactly one writer.
 */
#ifndef SOCKFAIR_WORKLOAD_SHARED_H
#define SOCKFAIR_WORKLOAD_SHARED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define CACHE_LINE 64
#define CLIENT_THREADS_MAX 16

typedef _Atomic uint64_t tally_t;

struct worker_tally {
	_Alignas(CACHE_LINE) _Atomic int32_t pid;
	_Atomic int32_t tid;
	_Atomic bool ended;
	tally_t accepted; /* connections accepted, datagrams received */
	tally_t finished; /* requests that the worker has finished, answered or not */
	tally_t served;   /* requests answered */
};

struct client_tally {
	_Alignas(CACHE_LINE) tally_t sent;
	tally_t failed;
	_Atomic int32_t error; /* the errno of the first request that failed with one */
	tally_t flows;         /* UDP: client ports used at least once */
	tally_t last_ns;       /* CLOCK_MONOTONIC of the last reply */
};

struct shared {
	size_t size;            /* of the mapping */
	_Atomic uint32_t ready; /* workers and client threads that wait for their work (or have
				   failed); a futex */
	_Atomic uint32_t ended; /* workers that have ended; a futex */
	_Atomic uint32_t go;    /* clients begin; a futex */
	_Atomic bool interrupt; /* clients end early */
	_Atomic bool stop;      /* workers end */
	tally_t go_ns;          /* CLOCK_MONOTONIC, written before go */

	_Atomic int error; /* negative errno of the first worker or client thread that could not
			      start */
	_Atomic bool why_written;
	char why[192];

	_Alignas(CACHE_LINE) tally_t next_request; /* TCP: the only counter with many writers: the
						      thread that takes number n makes request n */
	struct client_tally clients[CLIENT_THREADS_MAX];
	struct worker_tally workers[];
};

static inline void tally_add(tally_t *tally)
{
	/* there is only one writer, so no locked instruction is needed */
	atomic_store_explicit(tally, atomic_load_explicit(tally, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

static inline uint64_t tally_read(const tally_t *tally)
{
	return atomic_load_explicit(tally, memory_order_relaxed);
}

struct shared *shared_make(unsigned workers); /* NULL: no memory */
void shared_free(struct shared *shared);

/* Reports that a worker or client thread could not start. It counts as ready, so that nobody waits
 * for it. */
__attribute__((format(printf, 3, 4))) void shared_refuse(struct shared *shared, int error,
							 const char *format, ...);

/* Sleeps while *word is `value`, at most timeout_ms (-1: for ever); may return early. Works between
 * processes. */
void word_wait(_Atomic uint32_t *word, uint32_t value, int timeout_ms);
void word_add(_Atomic uint32_t *word); /* adds 1 and wakes all waiting threads */

/* Where the one line about a failure goes. */
struct why {
	char *text;
	size_t size;
};

/* Writes the line and returns `error`. */
__attribute__((format(printf, 3, 4))) int refuse(struct why why, int error, const char *format,
						 ...);

static inline int64_t clock_now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static inline int64_t monotonic_ns(void)
{
	return clock_now_ns(CLOCK_MONOTONIC);
}

void sleep_ms(int ms); /* shorter when a signal comes */

/* Names the limits that may be behind a thread or process that could not be started, as " (ulimit
 * -u, ...)"; "": no limit is behind this errno. */
const char *start_limits(int err);

/* Names what may be behind this errno if loopback can't be reached, as " (is ...?)"; "": no cause
 * is known. */
const char *unreachable_hint(int number);

#endif
