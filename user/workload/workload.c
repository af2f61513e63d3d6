/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs a workload from start to stop: forks the clients, starts the server, waits until everything
 * is at rest, and adds up what each side counted. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "client.h"
#include "server.h"
#include "workload.h"

#define READY_WITHIN_MS 30000
#define LOOK_EVERY_MS 50 /* how often to look for processes that died and will never report */
#define SETTLE_WITHIN_MS 5000
#define SETTLE_POLL_MS 5
#define CALM_NS 50000000 /* if nothing moved for this long, the workload is at rest */
#define DESCRIPTORS_SPARE 64

struct workload {
	struct workload_options options;
	struct shared *shared;
	struct server server;
	struct clients clients;
	struct endpoint endpoint;
	bool lost_worker; /* a worker ended on its own: its requests will never be answered */
};

/* ---- start ---- */

static int check_options(const struct workload_options *o, struct why why)
{
	if (!o->mode)
		return refuse(why, -EINVAL, "no workload mode");
	if (o->bind.ss_family != AF_INET && o->bind.ss_family != AF_INET6)
		return refuse(why, -EINVAL, "no IPv4 or IPv6 address to bind");
	if (o->workers < 1 || o->workers > WORKERS_MAX)
		return refuse(why, -EINVAL, "cannot run %u workers: choose 1 to %d --workers",
			      o->workers, WORKERS_MAX);
	if (o->slow_worker >= (int)o->workers)
		return refuse(why, -EINVAL, "there is no worker %d: --slow-worker counts from 0",
			      o->slow_worker);
	if (!o->serve_only && (!o->requests || !o->concurrency || !o->flows))
		return refuse(why, -EINVAL,
			      "nothing to send: --connections, --concurrency and --flows must be "
			      "at least 1");
	return 0;
}

/* How many descriptors the server's process, or the clients' process, needs: the larger number. */
static rlim_t descriptors_needed(const struct workload_options *o)
{
	const struct mode_server *mode = o->mode->server;
	unsigned per_worker = 2 /* its epoll or ring, its connection */ + (mode->share ? 1 : 0) +
			      (mode->acceptor ? 2 : 0);
	rlim_t server = (rlim_t)o->workers * per_worker;
	rlim_t clients = o->mode->protocol == PROTOCOL_UDP ? o->flows : o->concurrency;

	if (o->serve_only)
		return server + DESCRIPTORS_SPARE;
	if (o->mode->protocol == PROTOCOL_TCP)
		server += o->concurrency; /* connections accepted ahead: in a ring, or handed on */
	return (server > clients ? server : clients) + DESCRIPTORS_SPARE;
}

static int raise_descriptor_limit(const struct workload_options *o, struct why why)
{
	rlim_t needed = descriptors_needed(o);
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return refuse(why, -errno, "cannot read the limit of open files: %s",
			      strerror(errno));
	if (limit.rlim_cur >= needed)
		return 0;
	if (limit.rlim_max < needed)
		return refuse(why, -EMFILE,
			      "%s needs %llu open files but the hard limit is %llu: raise it "
			      "(ulimit -Hn), or "
			      "choose fewer --workers, --concurrency or --flows",
			      o->mode->name, (unsigned long long)needed,
			      (unsigned long long)limit.rlim_max);
	limit.rlim_cur = needed;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		return refuse(why, -errno, "cannot raise the limit of open files to %llu: %s",
			      (unsigned long long)needed, strerror(errno));
	return 0;
}

/* Waits until all workers and client threads have said that they are ready, or until one of them
 * says that it can't start. */
static int await_ready(struct workload *w, struct why why)
{
	struct shared *shared = w->shared;
	uint32_t expected = server_worker_count(&w->options) + clients_thread_count(&w->options);
	int64_t until_ns = monotonic_ns() + READY_WITHIN_MS * INT64_C(1000000);
	uint32_t ready;

	while ((ready = atomic_load(&shared->ready)) < expected) {
		if (atomic_load(&shared->error))
			break;
		if (!atomic_load(&shared->why_written) /* otherwise the error is about to come */ &&
		    (server_lost_worker(&w->server) ||
		     (w->clients.pid && clients_wait(&w->clients, 0))))
			return refuse(why, -ECHILD,
				      "a worker or the client process died while starting");
		if (monotonic_ns() > until_ns)
			return refuse(why, -ETIMEDOUT,
				      "only %u of %u workers and clients were ready in %d s", ready,
				      expected, READY_WITHIN_MS / 1000);
		word_wait(&shared->ready, ready, LOOK_EVERY_MS);
	}
	if (atomic_load(&shared->error))
		return refuse(why, atomic_load(&shared->error), "%s", shared->why);
	server_await_sleep(&w->server);
	return 0;
}

/* Starts everything. The client process is forked first: with workers as threads, a later fork
 * would copy a process with threads. */
static int start(struct workload *w, struct why why)
{
	const struct workload_options *o = &w->options;
	int err = check_options(o, why);

	if (!err)
		err = raise_descriptor_limit(o, why);
	if (err)
		return err;
	w->shared = shared_make(server_worker_count(o));
	if (!w->shared)
		return refuse(why, -ENOMEM, "out of memory");
	err = server_open(&w->server, o, w->shared, why);
	if (!err && !o->serve_only)
		err = clients_start(&w->clients, o, &w->server.address, w->shared, why);
	if (!err)
		err = server_start_workers(&w->server);
	if (!err)
		err = await_ready(w, why);
	if (!err)
		err = server_describe(&w->server, &w->endpoint);
	if (o->mode->protocol == PROTOCOL_UDP && !o->serve_only)
		w->endpoint.flows = o->flows < o->requests ? o->flows : o->requests;
	return err;
}

int workload_start(struct workload **out, const struct workload_options *options, char *why,
		   size_t why_size)
{
	struct workload *w = calloc(1, sizeof(*w));
	int err;

	*out = NULL;
	if (!w)
		return refuse((struct why){ why, why_size }, -ENOMEM, "out of memory");
	w->options = *options;
	err = start(w, (struct why){ why, why_size });
	if (err)
		workload_stop(w);
	else
		*out = w;
	return err;
}

const struct endpoint *workload_endpoint(const struct workload *w)
{
	return &w->endpoint;
}

/* ---- while it runs ---- */

void workload_go(struct workload *w)
{
	atomic_store(&w->shared->go_ns, monotonic_ns());
	word_add(&w->shared->go);
}

/* Adds up what all threads have counted so far. */
static void add_up(const struct workload *w, struct workload_progress *p)
{
	*p = (struct workload_progress){ 0 };
	for (unsigned i = 0; i < CLIENT_THREADS_MAX; i++) {
		p->sent += tally_read(&w->shared->clients[i].sent);
		p->failed += tally_read(&w->shared->clients[i].failed);
	}
	for (unsigned i = 0; i < w->server.worker_count; i++) {
		p->accepted += tally_read(&w->shared->workers[i].accepted);
		p->served += tally_read(&w->shared->workers[i].served);
	}
}

void workload_progress(const struct workload *w, struct workload_progress *p)
{
	struct pollfd ended = { .fd = w->clients.pidfd, .events = POLLIN };

	add_up(w, p);
	if (w->options.serve_only)
		p->clients_done = atomic_load(&w->shared->interrupt);
	else
		p->clients_done = w->clients.done || poll(&ended, 1, 0) == 1;
	if ((w->clients.died || w->lost_worker) && p->sent + p->failed < w->options.requests)
		p->failed = w->options.requests - p->sent;
}

void workload_interrupt(struct workload *w)
{
	atomic_store(&w->shared->interrupt, true);
}

bool workload_wait(struct workload *w, int timeout_ms)
{
	if (server_lost_worker(&w->server)) {
		w->lost_worker = true;
		workload_interrupt(w);
	}
	if (!w->options.serve_only)
		return clients_wait(&w->clients, timeout_ms);
	if (!atomic_load(&w->shared->interrupt))
		poll(NULL, 0, timeout_ms); /* only the caller's signals can end the wait */
	return atomic_load(&w->shared->interrupt);
}

static uint64_t finished(const struct workload *w)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < w->server.worker_count; i++)
		sum += tally_read(&w->shared->workers[i].finished);
	return sum;
}

/*
 * Is everything at rest? Then nothing waits in the kernel, is being handed on, or is being served.
 */
static bool at_rest(const struct workload *w, const struct workload_progress *p)
{
	bool all_accepted = w->options.serve_only || w->options.mode->protocol == PROTOCOL_UDP ||
			    p->accepted >= p->sent;

	return all_accepted && p->accepted == finished(w) && server_queues_empty(&w->server);
}

bool workload_settle(struct workload *w)
{
	int64_t until_ns = monotonic_ns() + SETTLE_WITHIN_MS * INT64_C(1000000);
	int64_t now_ns, calm_since_ns = monotonic_ns();
	struct workload_progress p;
	uint64_t accepted = 0;

	while ((now_ns = monotonic_ns()) < until_ns) {
		add_up(w, &p);
		if (!at_rest(w, &p) || p.accepted != accepted)
			calm_since_ns = now_ns;
		else if (now_ns - calm_since_ns >= CALM_NS)
			return true;
		accepted = p.accepted;
		sleep_ms(SETTLE_POLL_MS);
	}
	return false;
}

/* ---- the account ---- */

static void count_rows(struct workload *w)
{
	struct endpoint *e = &w->endpoint;

	for (size_t s = 0; s < e->socket_count; s++)
		e->sockets[s].accepted = 0;
	for (size_t i = 0; i < e->worker_count; i++) {
		const struct worker_tally *tally = &w->shared->workers[i];
		size_t s = e->socket_count == 1 ? 0 : i; /* one for all workers, or one each */

		e->workers[i].accepted = tally_read(&tally->accepted);
		e->workers[i].served = tally_read(&tally->served);
		e->workers[i].ended = atomic_load(&tally->ended);
		e->sockets[s].accepted += e->workers[i].accepted;
	}
	e->flows = 0; /* replaced by the exact number: the flows that were used */
	for (unsigned i = 0; i < CLIENT_THREADS_MAX; i++)
		e->flows += tally_read(&w->shared->clients[i].flows);
}

/* How long the workload took: from go to the last reply. Without clients of ours, or without a
 * reply, until now. */
static double seconds(const struct workload *w)
{
	uint64_t last_ns = 0, go_ns = tally_read(&w->shared->go_ns);

	if (!go_ns)
		return 0;
	for (unsigned i = 0; i < CLIENT_THREADS_MAX; i++) {
		uint64_t ns = tally_read(&w->shared->clients[i].last_ns);

		last_ns = ns > last_ns ? ns : last_ns;
	}
	return ((last_ns ? last_ns : (uint64_t)monotonic_ns()) - go_ns) / 1e9;
}

/* The first errno with which a client failed; 0: none did. */
static int first_error(const struct workload *w)
{
	int error = 0;

	for (unsigned i = 0; i < CLIENT_THREADS_MAX && !error; i++)
		error = atomic_load(&w->shared->clients[i].error);
	return error;
}

void workload_counts(struct workload *w, struct workload_account *account)
{
	const struct workload_options *o = &w->options;
	struct workload_progress p;

	server_lost_worker(&w->server);
	count_rows(w);
	workload_progress(w, &p);
	*account = (struct workload_account){
		.mode = o->mode->name,
		.workers = o->workers,
		.processes = o->processes,
		.concurrency = o->concurrency,
		.requests = o->requests,
		.flows = o->mode->protocol == PROTOCOL_UDP ? o->flows : 0,
		.target_rate = o->rate,
		.work_us = o->work_us,
		.slow_worker = o->slow_worker,
		.serve_only = o->serve_only,
		.sent = p.sent,
		.failed = p.failed,
		.accepted = p.accepted,
		.served = p.served,
		.seconds = seconds(w),
	};
	if (!p.sent && p.failed && first_error(w))
		snprintf(account->failure, sizeof(account->failure), "%s%s",
			 strerror(first_error(w)), unreachable_hint(first_error(w)));
}

/* ---- stop ---- */

void workload_stop(struct workload *w)
{
	if (!w)
		return;
	clients_stop(&w->clients, w->shared);
	server_stop(&w->server);
	endpoint_free(&w->endpoint);
	shared_free(w->shared);
	free(w);
}
