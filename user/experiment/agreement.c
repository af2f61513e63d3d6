/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compares the counts of clients, kernel and server, first in total, then per worker and per
 * socket. The first check that fails writes down its figures. */
#include "agreement.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "../model/array.h"
#include "../model/order.h"

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

/* Writes down what does not agree, as a clause with figures. Returns false, which the check that
 * calls it returns too. */
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
 * A connection whose client gave up may have arrived and been served all the same, and an arrival
 * that was reset need not be accepted. So the connections that clients made are the least that must
 * have been accepted, and the arrivals are the most.
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
	/* Clients from outside may connect and send nothing. */
	if (w->serve_only ? w->served > w->accepted : w->served != w->accepted)
		return disagree(w,
				"the server accepted %" PRIu64 " connections, but served %" PRIu64,
				w->accepted, w->served);
	return true;
}

/* If arrivals are not seen, drops are not seen either: there is nothing to compare with what
 * clients sent. */
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
 * Compares the counts of each worker. counted[i]: what the kernel counted for own->workers[i]. A
 * worker that can't accept must have got nothing. A connection whose client gave up may have been
 * read from but not served.
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

/* Checks for each worker that the kernel and the server counted the same, and that no other process
 * took anything. followed: every connection was followed. */
static bool check_workers(struct workload_account *w, const struct endpoint *kernel,
			  const struct endpoint *own, bool followed)
{
	const char *taken = own->protocol == PROTOCOL_TCP ? "accepts" : "datagrams received";
	struct worker_sums *counted = calloc(own->worker_count + 1, sizeof(*counted));
	struct array_index index;
	int err = array_index_make(&index, own->workers, own->worker_count, sizeof(*own->workers),
				   worker_by_place);
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

/* Checks each socket. The sums may agree even if events of one socket were counted for another. */
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
	/* An endpoint to which nothing came need not have a row. */
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

void agreement_check(struct snapshot *s, const struct endpoint *own, bool arrivals_seen)
{
	s->workload.disagreement[0] = '\0';
	s->workload.agrees = check_agreement(s, own, arrivals_seen);
}
