/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Operations on the model: copy and free, merge what the kernel counted with what a server knows of
 * itself, check that all accounts agree. Whether it was shared fairly: judge.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

#include "snapshot.h"

void endpoint_free(struct endpoint *e)
{
	free(e->sockets);
	free(e->workers);
	free(e->cpus);
	free(e->holders);
	free(e->findings);
	free(e->histograms);
	free(e->sketches);
	free(e->tunnels);
	*e = (struct endpoint){};
}

void snapshot_free(struct snapshot *s)
{
	for (size_t i = 0; i < s->endpoint_count + s->aside_count; i++)
		endpoint_free(&s->endpoints[i]);
	free(s->endpoints);
	free(s->handshakes);
	free(s->lost);
	*s = (struct snapshot){};
}

/* Copies an array into *to; no rows give NULL. Returns 0 or -ENOMEM. */
static int rows_copy(void *to, const void *from, size_t count, size_t size)
{
	void *rows = NULL;

	if (count) {
		rows = calloc(count, size);
		if (!rows)
			return -ENOMEM;
		memcpy(rows, from, count * size);
	}
	memcpy(to, &rows, sizeof(rows));
	return 0;
}

int endpoint_copy(struct endpoint *to, const struct endpoint *from)
{
	int err;

	*to = *from;
	to->sockets = NULL;
	to->workers = NULL;
	to->cpus = NULL;
	to->holders = NULL;
	to->findings = NULL;
	to->histograms = NULL;
	to->sketches = NULL;
	to->tunnels = NULL;
	err = rows_copy(&to->sockets, from->sockets, from->socket_count + from->connected_count,
			sizeof(*from->sockets));
	if (!err)
		err = rows_copy(&to->workers, from->workers,
				from->worker_count + from->connected_workers,
				sizeof(*from->workers));
	if (!err)
		err = rows_copy(&to->cpus, from->cpus, from->cpu_count, sizeof(*from->cpus));
	if (!err)
		err = rows_copy(&to->holders, from->holders, from->holder_count,
				sizeof(*from->holders));
	if (!err)
		err = rows_copy(&to->findings, from->findings, from->finding_count,
				sizeof(*from->findings));
	if (!err)
		err = rows_copy(&to->histograms, from->histograms, from->histogram_count,
				sizeof(*from->histograms));
	if (!err)
		err = rows_copy(&to->sketches, from->sketches, from->sketch_count,
				sizeof(*from->sketches));
	if (!err)
		err = rows_copy(&to->tunnels, from->tunnels, from->tunnel_count,
				sizeof(*from->tunnels));
	if (err)
		endpoint_free(to);
	return err;
}

int snapshot_copy(struct snapshot *to, const struct snapshot *from)
{
	int err = 0;

	*to = *from;
	to->lost_count = 0;
	to->lost = NULL;
	to->handshake_count = 0;
	to->handshakes = NULL;
	to->aside_count = 0;
	to->endpoint_count = 0;
	to->endpoints = calloc(from->endpoint_count + 1, sizeof(*to->endpoints));
	if (!to->endpoints)
		err = -ENOMEM;
	for (size_t i = 0; i < from->endpoint_count && !err; i++) {
		err = endpoint_copy(&to->endpoints[i], &from->endpoints[i]);
		if (!err)
			to->endpoint_count++;
	}
	if (!err)
		err = rows_copy(&to->lost, from->lost, from->lost_count, sizeof(*from->lost));
	if (!err)
		err = rows_copy(&to->handshakes, from->handshakes, from->handshake_count,
				sizeof(*from->handshakes));
	to->lost_count = err ? 0 : from->lost_count;
	to->handshake_count = err ? 0 : from->handshake_count;
	if (err)
		snapshot_free(to);
	return err;
}

uint64_t snapshot_lost(const struct snapshot *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->lost_count; i++)
		sum += s->lost[i].count;
	return sum;
}

uint64_t snapshot_lost_counts(const struct snapshot *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->lost_count; i++)
		sum += s->lost[i].beside ? 0 : s->lost[i].count;
	return sum;
}

struct endpoint *snapshot_find(struct snapshot *s, const struct endpoint *like)
{
	for (size_t i = 0; i < s->endpoint_count; i++) {
		struct endpoint *e = &s->endpoints[i];

		if (e->protocol == like->protocol && e->port == like->port &&
		    e->netns == like->netns && e->family == like->family &&
		    !memcmp(e->address, like->address, sizeof(e->address)))
			return e;
	}
	return NULL;
}

/* The index of the first holder of this cookie or a higher one. */
static size_t holders_from(const struct endpoint *e, uint64_t cookie)
{
	size_t low = 0, high = e->holder_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (e->holders[middle].cookie < cookie)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct holder_row *endpoint_holders(const struct endpoint *e, uint64_t cookie, size_t *count)
{
	size_t from = holders_from(e, cookie), end = from;

	while (end < e->holder_count && e->holders[end].cookie == cookie)
		end++;
	*count = end - from;
	return e->holders + from;
}

/* By identity, for an array_index: to find a row of one account in another. */
static int compare_sockets(const void *a, const void *b)
{
	const struct socket_row *x = *(const void *const *)a, *y = *(const void *const *)b;

	return COMPARE(x->cookie, y->cookie);
}

int worker_by_thread(const void *a, const void *b)
{
	const struct worker_row *x = *(const void *const *)a, *y = *(const void *const *)b;
	int order = COMPARE(x->pid, y->pid);

	return order ? order : COMPARE(x->tid, y->tid);
}

int worker_by_life(const void *a, const void *b)
{
	const struct worker_row *x = *(const void *const *)a, *y = *(const void *const *)b;
	int order = worker_by_thread(a, b);

	return order ? order : COMPARE(x->start_ns, y->start_ns);
}

int worker_by_process(const void *a, const void *b)
{
	const struct worker_row *x = *(const void *const *)a, *y = *(const void *const *)b;

	return COMPARE(x->pid, y->pid);
}

/* A worker is one thread on one socket. start_ns is left out: the server need not know it. */
static int compare_workers(const void *a, const void *b)
{
	const struct worker_row *x = *(const void *const *)a, *y = *(const void *const *)b;
	int order = worker_by_thread(a, b);

	return order ? order : COMPARE(x->cookie, y->cookie);
}

/* The server's view of a socket without its counts: those are the kernel's to make. */
static struct socket_row socket_uncounted(const struct socket_row *own)
{
	struct socket_row row = *own;

	row.arrived = 0;
	row.dropped = 0;
	row.accepted = 0;
	row.buffers_maybe_several = 0;
	row.drops = 0;
	return row;
}

static struct worker_row worker_uncounted(const struct worker_row *own, bool served_known)
{
	struct worker_row row = *own;

	row.accepted = 0;
	if (served_known)
		row.served = 0;
	return row;
}

/* The kernel's row with what only the server knows of this worker. */
static struct worker_row worker_merged(const struct worker_row *kernel,
				       const struct worker_row *own, bool served_known)
{
	struct worker_row row = *kernel;

	row.number = own->number;
	row.can_accept |= own->can_accept;
	row.serves = own->serves;
	if (!served_known)
		row.served = own->served;
	row.ended |= own->ended;
	if (!row.start_ns)
		row.start_ns = own->start_ns;
	if (!row.comm[0])
		memcpy(row.comm, own->comm, sizeof(row.comm));
	if (!row.cgroup[0])
		memcpy(row.cgroup, own->cgroup, sizeof(row.cgroup));
	if (!row.process[0])
		memcpy(row.process, own->process, sizeof(row.process));
	return row;
}

/* The server's sockets in its order, then those only the kernel knows. Returns 0 or -ENOMEM. */
static int merge_sockets(struct endpoint *kernel, const struct endpoint *own)
{
	size_t count = own->socket_count;
	struct array_index index;
	struct socket_row *merged = calloc(count + kernel->socket_count + 1, sizeof(*merged));
	int err = array_index_make(&index, own->sockets, count, sizeof(*own->sockets),
				   compare_sockets);

	if (!merged || err) {
		err = -ENOMEM;
		goto out;
	}
	for (size_t i = 0; i < count; i++)
		merged[i] = socket_uncounted(&own->sockets[i]);
	for (size_t i = 0; i < kernel->socket_count; i++) {
		const struct socket_row *row = &kernel->sockets[i],
					*same = array_index_find(&index, row);

		merged[same ? (size_t)(same - own->sockets) : count++] = *row;
	}
	free(kernel->sockets);
	kernel->sockets = merged;
	kernel->socket_count = count;
	merged = NULL;
out:
	free(index.rows);
	free(merged);
	return err;
}

/*
 * The server's workers in its order, then those only the kernel knows. Of several rows of the
 * kernel for one worker (a thread id that was used again) the first is the server's. Returns 0 or
 * -ENOMEM.
 */
static int merge_workers(struct endpoint *kernel, const struct endpoint *own)
{
	size_t count = own->worker_count;
	struct array_index index;
	struct worker_row *merged = calloc(count + kernel->worker_count + 1, sizeof(*merged));
	bool *taken = calloc(count + 1, sizeof(*taken));
	int err = array_index_make(&index, own->workers, count, sizeof(*own->workers),
				   compare_workers);

	if (!merged || !taken || err) {
		err = -ENOMEM;
		goto out;
	}
	for (size_t i = 0; i < count; i++)
		merged[i] = worker_uncounted(&own->workers[i], kernel->served_known);
	for (size_t i = 0; i < kernel->worker_count; i++) {
		const struct worker_row *row = &kernel->workers[i],
					*same = array_index_find(&index, row);

		if (same && !taken[same - own->workers]) {
			merged[same - own->workers] =
				worker_merged(row, same, kernel->served_known);
			taken[same - own->workers] = true;
		} else {
			merged[count++] = *row;
		}
	}
	free(kernel->workers);
	kernel->workers = merged;
	kernel->worker_count = count;
	merged = NULL;
out:
	free(index.rows);
	free(taken);
	free(merged);
	return err;
}

int endpoint_merge(struct endpoint *kernel, const struct endpoint *own)
{
	int err = merge_sockets(kernel, own);

	if (!err)
		err = merge_workers(kernel, own);
	if (err)
		return err;
	if (own->flows) {
		kernel->flows = own->flows;
		kernel->flows_estimated = false;
	}
	for (size_t i = 0; i < own->worker_count; i++)
		kernel->served_known |= own->workers[i].serves;
	return 0;
}

/* What the kernel counted over all sockets of the server. */
struct kernel_sums {
	uint64_t arrived, dropped, accepted;
};

static struct kernel_sums kernel_sums(const struct endpoint *e)
{
	struct kernel_sums sums = {};

	for (size_t i = 0; i < e->socket_count; i++) {
		sums.arrived += e->sockets[i].arrived;
		sums.dropped += e->sockets[i].dropped;
		sums.accepted += e->sockets[i].accepted;
	}
	return sums;
}

/* Writes down what does not agree, a clause with figures. Returns false: it is the answer of the
 * check that found it. */
static bool __attribute__((format(printf, 2, 3)))
disagree(struct workload_account *w, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(w->disagreement, sizeof(w->disagreement), format, args);
	va_end(args);
	return false;
}

static bool check_lost(struct workload_account *w, const struct snapshot *s)
{
	for (size_t i = 0; i < s->lost_count; i++) {
		if (s->lost[i].count && !s->lost[i].beside)
			return disagree(w, "%" PRIu64 " events were lost (%s)",
					snapshot_lost_counts(s), s->lost[i].reason);
	}
	return true;
}

/*
 * Clients that gave up may have arrived and been served all the same, and an arrival that was reset
 * need not be accepted: then what clients made is the least that must have been accepted, and what
 * arrived is the most.
 */
static bool check_tcp_with_failures(struct workload_account *w, const struct kernel_sums *k,
				    bool arrivals_seen)
{
	if (arrivals_seen && k->arrived < k->accepted)
		return disagree(w,
				"the kernel saw %" PRIu64 " connections arrive, but %" PRIu64
				" accepted",
				k->arrived, k->accepted);
	if (w->sent > k->accepted)
		return disagree(w,
				"clients made %" PRIu64 " connections, the kernel counted %" PRIu64
				" accepts",
				w->sent, k->accepted);
	if (w->accepted != k->accepted)
		return disagree(w, "the server counted %" PRIu64 " accepts, the kernel %" PRIu64,
				w->accepted, k->accepted);
	return true;
}

static bool check_tcp(struct workload_account *w, const struct kernel_sums *k, bool arrivals_seen)
{
	if (w->failed && !w->serve_only)
		return check_tcp_with_failures(w, k, arrivals_seen);
	if (!w->serve_only && arrivals_seen && w->sent != k->arrived)
		return disagree(w,
				"clients made %" PRIu64 " connections, the kernel saw %" PRIu64
				" arrive",
				w->sent, k->arrived);
	if (arrivals_seen && k->arrived != k->accepted)
		return disagree(w,
				"the kernel saw %" PRIu64 " connections arrive, but %" PRIu64
				" accepted",
				k->arrived, k->accepted);
	if (!w->serve_only && w->sent != k->accepted)
		return disagree(w,
				"clients made %" PRIu64 " connections, the kernel counted %" PRIu64
				" accepts",
				w->sent, k->accepted);
	if (w->accepted != k->accepted)
		return disagree(w, "the server counted %" PRIu64 " accepts, the kernel %" PRIu64,
				w->accepted, k->accepted);
	/* Clients from outside may connect and say nothing. */
	if (w->serve_only ? w->served > w->accepted : w->served != w->accepted)
		return disagree(w,
				"the server accepted %" PRIu64 " connections, but served %" PRIu64,
				w->accepted, w->served);
	return true;
}

/* Where arrivals are not seen, drops are not either: nothing to hold what clients sent against. */
static bool check_udp(struct workload_account *w, const struct kernel_sums *k, bool arrivals_seen)
{
	if (!w->serve_only && arrivals_seen && w->sent != k->arrived + k->dropped)
		return disagree(w,
				"clients sent %" PRIu64 " datagrams, the kernel delivered %" PRIu64
				" and dropped %" PRIu64,
				w->sent, k->arrived, k->dropped);
	if (arrivals_seen && k->arrived != k->accepted)
		return disagree(w,
				"the kernel delivered %" PRIu64 " datagrams, but saw %" PRIu64
				" received",
				k->arrived, k->accepted);
	if (w->accepted != k->accepted)
		return disagree(
			w, "the server counted %" PRIu64 " datagrams received, the kernel %" PRIu64,
			w->accepted, k->accepted);
	return true;
}

static bool disagree_worker(struct workload_account *w, const struct worker_row *own,
			    uint64_t expected, uint64_t counted, const char *taken)
{
	char name[32];

	if (own->number < 0)
		snprintf(name, sizeof(name), "thread %" PRId32, own->tid);
	else
		snprintf(name, sizeof(name), "worker %d", own->number);
	return disagree(w, "%s counted %" PRIu64 " %s, the kernel %" PRIu64, name, expected, taken,
			counted);
}

static bool disagree_stranger(struct workload_account *w, const struct worker_row *row,
			      const char *taken)
{
	return disagree(w,
			"the kernel counted %" PRIu64 " %s by thread %" PRId32
			" (%.15s), no worker of the server",
			row->accepted, taken, row->tid, row->comm);
}

/* What the kernel counted of one worker of the server. */
struct worker_sums {
	uint64_t accepted, served;
};

/*
 * counted[i]: of own->workers[i]. A worker that can't accept must have got nothing. A connection
 * whose client gave up may have been read from and not been served.
 */
static bool compare_counts(struct workload_account *w, const struct endpoint *own,
			   const struct worker_sums *counted, bool served_known)
{
	for (size_t i = 0; i < own->worker_count; i++) {
		const struct worker_row *row = &own->workers[i];
		uint64_t accepted = row->can_accept ? row->accepted : 0,
			 served = row->serves ? row->served : 0;

		if (counted[i].accepted != accepted)
			return disagree_worker(
				w, row, accepted, counted[i].accepted,
				own->protocol == PROTOCOL_TCP ? "accepts" : "datagrams received");
		if (served_known && !w->failed && !w->serve_only && counted[i].served != served)
			return disagree_worker(w, row, served, counted[i].served,
					       "connections served");
	}
	return true;
}

/* Per worker: what the kernel counted is what the server counted, and nobody else took anything.
 * followed: all connections were. */
static bool check_workers(struct workload_account *w, const struct endpoint *kernel,
			  const struct endpoint *own, bool followed)
{
	const char *taken = own->protocol == PROTOCOL_TCP ? "accepts" : "datagrams received";
	struct worker_sums *counted = calloc(own->worker_count + 1, sizeof(*counted));
	struct array_index index;
	int err = array_index_make(&index, own->workers, own->worker_count, sizeof(*own->workers),
				   compare_workers);
	bool agrees = true;

	if (!counted || err) {
		agrees = disagree(w, "not enough memory to compare the workers");
		goto out;
	}
	for (size_t i = 0; i < kernel->worker_count && agrees; i++) {
		const struct worker_row *row = &kernel->workers[i],
					*same = array_index_find(&index, row);

		if (same) {
			counted[same - own->workers].accepted += row->accepted;
			counted[same - own->workers].served += row->served;
		} else if (row->accepted) {
			agrees = disagree_stranger(w, row, taken);
		}
	}
	if (agrees)
		agrees = compare_counts(w, own, counted,
					kernel->served_known && own->protocol == PROTOCOL_TCP &&
						followed);
out:
	free(index.rows);
	free(counted);
	return agrees;
}

/* The sums may agree where events of one socket were put down to another. */
static bool check_sockets(struct workload_account *w, const struct endpoint *kernel)
{
	for (size_t i = 0; i < kernel->socket_count && !w->failed; i++) {
		const struct socket_row *row = &kernel->sockets[i];

		if (row->arrived != row->accepted)
			return disagree(
				w, "socket %" PRIu64 ": %" PRIu64 " came, %" PRIu64 " were taken",
				row->cookie, row->arrived, row->accepted);
	}
	return true;
}

static bool check_agreement(struct snapshot *s, const struct endpoint *own, bool arrivals_seen)
{
	struct workload_account *w = &s->workload;
	const struct endpoint *kernel = snapshot_find(s, own);
	struct kernel_sums sums;

	if (!check_lost(w, s))
		return false;
	if (!w->serve_only && !w->sent && !w->accepted && w->failed)
		return disagree(w, "nothing was sent%s%s", *w->failure ? ": " : "", w->failure);
	/* An endpoint that nothing came to need not have a row. */
	if (!kernel && (w->accepted || (w->sent && !w->serve_only)))
		return disagree(w, "the kernel counted nothing");
	if (!kernel)
		return true;
	sums = kernel_sums(kernel);
	if (!(own->protocol == PROTOCOL_TCP ? check_tcp : check_udp)(w, &sums, arrivals_seen))
		return false;
	if (arrivals_seen && !check_sockets(w, kernel))
		return false;
	return check_workers(w, kernel, own, snapshot_lost(s) == snapshot_lost_counts(s));
}

void snapshot_check(struct snapshot *s, const struct endpoint *own, bool arrivals_seen)
{
	s->workload.disagreement[0] = '\0';
	s->workload.agrees = check_agreement(s, own, arrivals_seen);
}

uint64_t endpoint_maybe_several(const struct endpoint *e)
{
	uint64_t buffers = e->omitted.buffers_maybe_several;

	for (size_t i = 0; i < e->socket_count + e->connected_count; i++)
		buffers += e->sockets[i].buffers_maybe_several;
	return buffers;
}

uint64_t endpoint_events(const struct endpoint *e)
{
	uint64_t came = e->omitted.arrived + e->omitted.dropped, taken = e->omitted.accepted;

	for (size_t i = 0; i < e->socket_count + e->connected_count; i++)
		came += e->sockets[i].arrived + e->sockets[i].dropped;
	for (size_t i = 0; i < e->worker_count + e->connected_workers; i++)
		taken += e->workers[i].accepted;
	return came > taken ? came : taken;
}
