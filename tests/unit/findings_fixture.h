/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A machine with a few ports, as the tests of findings build it: user/model/findings.c. */
#ifndef SOCKFAIR_FINDINGS_FIXTURE_H
#define SOCKFAIR_FINDINGS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <arpa/inet.h>

#include <cmocka.h>

#include "../../user/model/findings.h"

#define PORTS_MAX 4
#define ROWS_MAX 20

/* A machine with a few ports; rows belong to the fixture, findings to the snapshot. */
struct fixture {
	struct endpoint endpoints[PORTS_MAX];
	struct socket_row sockets[PORTS_MAX][ROWS_MAX];
	struct worker_row workers[PORTS_MAX][ROWS_MAX];
	struct holder_row holders[PORTS_MAX][ROWS_MAX], stallers[PORTS_MAX][ROWS_MAX];
	struct wait_histogram histograms[PORTS_MAX][ROWS_MAX];
	struct snapshot snapshot;
};

static inline struct endpoint *add_port(struct fixture *f, enum protocol protocol,
					const char *address, uint16_t port)
{
	const size_t i = f->snapshot.endpoint_count++;
	struct endpoint *e = &f->endpoints[i];

	f->snapshot.endpoints = f->endpoints;
	f->snapshot.seconds = 1;
	*e = (struct endpoint){ .protocol = protocol,
				.port = port,
				.netns = 1,
				.sockets = f->sockets[i],
				.workers = f->workers[i],
				.holders = f->holders[i],
				.stallers = f->stallers[i],
				.histograms = f->histograms[i] };
	e->family = strchr(address, ':') ? AF_INET6 : AF_INET;
	assert_int_equal(inet_pton(e->family, address, e->address), 1);
	return e;
}

/* A healthy socket: a thread waits on it, its queue is empty. group 0: without SO_REUSEPORT. */
static inline struct socket_row *add_socket(struct endpoint *e, uint64_t cookie, uint64_t group)
{
	struct socket_row *s = &e->sockets[e->socket_count++];

	*s = (struct socket_row){ .cookie = cookie,
				  .inode = cookie + 1000,
				  .reuseport = group,
				  .group = group,
				  .queue_known = true,
				  .queue_limit = 128,
				  .waiting_known = true,
				  .waiting = 1 };
	return s;
}

static inline struct worker_row *add_worker(struct endpoint *e, uint64_t cookie, int pid, int tid)
{
	struct worker_row *w = &e->workers[e->worker_count++];

	*w = (struct worker_row){ .number = -1,
				  .pid = pid,
				  .tid = tid,
				  .cookie = cookie,
				  .can_accept = true,
				  .waits = true,
				  .wait_kind = WAITS_BLOCKED };
	return w;
}

/* Holders are to be added in the order of cookies, then pids. */
static inline struct holder_row *add_holder(struct endpoint *e, uint64_t cookie, int pid,
					    const char *process)
{
	struct holder_row *h = &e->holders[e->holder_count++];

	*h = (struct holder_row){
		.cookie = cookie, .pid = pid, .pid_inside = pid, .fd = 3, .fds = 1
	};
	strcpy(h->process, process);
	return h;
}

/* The same, of a stall that is over. */
static inline struct holder_row *add_staller(struct endpoint *e, uint64_t cookie, int pid,
					     const char *process)
{
	struct holder_row *h = &e->stallers[e->staller_count++];

	*h = (struct holder_row){
		.cookie = cookie, .pid = pid, .pid_inside = pid, .fd = 3, .fds = 1
	};
	strcpy(h->process, process);
	return h;
}

/* A process of one thread, which is in that state at the place in the kernel, was looked at. */
static inline struct hindrance *add_look(struct holder_row *h, char state, const char *place)
{
	struct hindrance *it = &h->hindrance;

	*it = (struct hindrance){ .looks = 1,
				  .descriptor_looks = 1,
				  .descriptors = 1024,
				  .threads = state != 'Z',
				  .running = state == 'R',
				  .stopped = state == 'T',
				  .traced = state == 't',
				  .uninterruptible = state == 'D',
				  .at_place = *place != 0 };
	strcpy(it->place, place);
	return it;
}

/* A socket in whose queue three connections have been for 4.2 s, and nobody takes them. */
static inline struct socket_row *add_stalled(struct endpoint *e, uint64_t cookie, uint64_t group)
{
	struct socket_row *s = add_socket(e, cookie, group);

	s->waiting = 0;
	s->full_known = true;
	s->queue_length = 3;
	s->stalled_length = 2;
	s->stalled_ns = 4200000000;
	return s;
}

/* count connections waited us in the queue of the socket; the histogram is its own. */
static inline void add_waits(struct endpoint *e, struct socket_row *s, uint64_t count, uint64_t us)
{
	s->wait_known = true;
	if (!s->wait.histogram)
		s->wait.histogram = ++e->histogram_count;
	s->wait.count += count;
	s->wait.sum_ns += count * us * 1000;
	s->wait.max_ns = us * 1000 > s->wait.max_ns ? us * 1000 : s->wait.max_ns;
	e->histograms[s->wait.histogram - 1].slots[wait_slot(us)] += count;
}

/* No text may be cut. */
static inline void fill(struct fixture *f)
{
	for (size_t i = 0; i < f->snapshot.endpoint_count; i++)
		assert_int_equal(endpoint_recognise(&f->endpoints[i]), 0);
	assert_int_equal(findings_fill(&f->snapshot), 0);
	for (size_t i = 0; i < f->snapshot.endpoint_count; i++)
		for (size_t j = 0; j < f->endpoints[i].finding_count; j++)
			assert_true(strlen(f->endpoints[i].findings[j].text) <
				    sizeof(f->endpoints[i].findings[j].text) - 1);
}

static inline void done(struct fixture *f)
{
	for (size_t i = 0; i < f->snapshot.endpoint_count; i++) {
		free(f->endpoints[i].findings);
		f->endpoints[i].findings = NULL;
		f->endpoints[i].finding_count = 0;
	}
}

static inline void assert_nothing(struct fixture *f)
{
	fill(f);
	for (size_t i = 0; i < f->snapshot.endpoint_count; i++)
		if (f->endpoints[i].finding_count)
			fail_msg("%s: %s", f->endpoints[i].findings[0].code,
				 f->endpoints[i].findings[0].text);
	done(f);
}

/* The only finding of the endpoint. */
static inline void assert_finding(const struct endpoint *e, const char *code, const char *text)
{
	if (e->finding_count != 1)
		fail_msg("%zu findings: %s %s", e->finding_count,
			 e->finding_count ? e->findings[0].code : "",
			 e->finding_count > 1 ? e->findings[1].code : "");
	assert_string_equal(e->findings[0].code, code);
	assert_string_equal(e->findings[0].text, text);
}

static inline bool has(const struct endpoint *e, const char *code)
{
	for (size_t i = 0; i < e->finding_count; i++)
		if (!strcmp(e->findings[i].code, code))
			return true;
	return false;
}

static inline double evidence(const struct finding *f, const char *name)
{
	for (size_t i = 0; i < f->evidence_count; i++)
		if (!strcmp(f->evidence[i].name, name))
			return f->evidence[i].number;
	fail_msg("no evidence \"%s\"", name);
	return 0;
}

#endif
