/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a window has seen, by identity, while the kernel's rows come and go: user/model/ledger.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>

#include <cmocka.h>

#include "../../user/model/judge.h"
#include "../../user/model/ledger.h"

#define CPUS 2

/* A TCP listener on 10.0.0.0:port. */
static struct ledger_socket *listener(struct ledger *l, uint64_t cookie, uint16_t port)
{
	struct ledger_socket *s = ledger_socket(l, cookie, NULL);

	assert_non_null(s);
	s->protocol = PROTOCOL_TCP;
	s->family = AF_INET;
	s->address[0] = 10;
	s->port = port;
	s->netns = 1;
	return s;
}

static struct ledger_worker *worker(struct ledger *l, uint64_t cookie, int32_t tid,
				    uint64_t start_ns)
{
	struct ledger_worker *w = ledger_worker(l, cookie, tid, start_ns, NULL);

	assert_non_null(w);
	w->row.pid = tid;
	return w;
}

static void arrive(struct ledger *l, struct ledger_socket *s, uint64_t first_cpu,
		   uint64_t second_cpu, uint64_t dropped, bool last)
{
	const uint64_t by_cpu[CPUS] = { first_cpu, second_cpu };

	assert_int_equal(ledger_count_socket(l, s, first_cpu + second_cpu, dropped, by_cpu, last),
			 0);
}

static struct snapshot all_of(struct ledger *l)
{
	struct snapshot s = {};
	uint64_t orphaned = 99;

	assert_int_equal(ledger_snapshot(l, &s, true, &orphaned), 0);
	assert_int_equal(orphaned, 0);
	return s;
}

/* All that came and all that was taken, listed or not. */
struct sums {
	uint64_t sockets, workers, arrived, dropped, accepted, drops, reset, migrated;
};

static struct sums sums_of(const struct snapshot *s)
{
	struct sums sums = {};

	for (size_t i = 0; i < s->endpoint_count; i++) {
		const struct endpoint *e = &s->endpoints[i];

		sums.sockets += e->socket_count + e->omitted.sockets;
		sums.workers += e->worker_count + e->omitted.workers;
		sums.arrived += e->omitted.arrived;
		sums.dropped += e->omitted.dropped;
		sums.accepted += e->omitted.accepted;
		sums.drops += e->omitted.drops;
		sums.reset += e->omitted.dropped_closing;
		sums.migrated += e->omitted.migrated;
		for (size_t j = 0; j < e->socket_count; j++) {
			sums.arrived += e->sockets[j].arrived;
			sums.dropped += e->sockets[j].dropped;
			sums.drops += e->sockets[j].drops;
			sums.reset += e->sockets[j].dropped_closing;
			sums.migrated += e->sockets[j].migrated;
		}
		for (size_t j = 0; j < e->worker_count; j++)
			sums.accepted += e->workers[j].accepted;
	}
	return sums;
}

static const struct socket_row *socket_of(const struct snapshot *s, uint64_t cookie)
{
	for (size_t i = 0; i < s->endpoint_count; i++)
		for (size_t j = 0; j < s->endpoints[i].socket_count; j++)
			if (s->endpoints[i].sockets[j].cookie == cookie)
				return &s->endpoints[i].sockets[j];
	return NULL;
}

static const struct worker_row *worker_of(const struct snapshot *s, uint64_t cookie, int32_t tid,
					  uint64_t start_ns)
{
	for (size_t i = 0; i < s->endpoint_count; i++)
		for (size_t j = 0; j < s->endpoints[i].worker_count; j++) {
			const struct worker_row *w = &s->endpoints[i].workers[j];

			if (w->cookie == cookie && w->tid == tid && w->start_ns == start_ns)
				return w;
		}
	return NULL;
}

/* ---- identity ---- */

static void a_row_is_made_once(void **state)
{
	struct ledger *l = ledger_new(8, CPUS);
	struct ledger_socket *s;
	struct ledger_worker *w;
	bool made;

	(void)state;
	assert_null(ledger_find_socket(l, 17));
	s = ledger_socket(l, 17, &made);
	assert_true(made);
	assert_ptr_equal(ledger_socket(l, 17, &made), s);
	assert_false(made);
	assert_ptr_equal(ledger_find_socket(l, 17), s);
	assert_ptr_not_equal(ledger_socket(l, 18, &made), s);
	assert_true(made);

	w = ledger_worker(l, 17, 700, 5, &made);
	assert_true(made);
	assert_int_equal(w->row.number, -1);
	assert_ptr_equal(ledger_worker(l, 17, 700, 5, &made), w);
	assert_false(made);
	assert_ptr_not_equal(ledger_worker(l, 18, 700, 5, &made),
			     w); /* the same thread on another socket */
	assert_true(made);
	assert_ptr_not_equal(ledger_worker(l, 17, 701, 5, &made), w);
	assert_true(made);
	ledger_free(l);
}

static void a_thread_id_used_again_is_another_row(void **state)
{
	struct ledger *l = ledger_new(8, CPUS);
	struct snapshot s;

	(void)state;
	listener(l, 17, 80);
	ledger_count_worker(worker(l, 17, 700, 100), 3, false);
	ledger_count_worker(worker(l, 17, 700, 200), 4, false);
	s = all_of(l);
	assert_int_equal(s.endpoints[0].worker_count, 2);
	assert_int_equal(worker_of(&s, 17, 700, 100)->accepted, 3);
	assert_int_equal(worker_of(&s, 17, 700, 200)->accepted, 4);
	assert_int_equal(s.endpoints[0].sockets[0].accepted, 7);
	snapshot_free(&s);
	ledger_free(l);
}

/* Sockets are one endpoint only if protocol, family, address, port and namespace are the same. */
static void endpoints_differ(void **state)
{
	static const struct {
		enum protocol protocol;
		int family;
		uint8_t address[16];
		uint16_t port;
		uint32_t netns;
	} each[] = {
		{ PROTOCOL_TCP, AF_INET, { 0 }, 80, 1 },
		{ PROTOCOL_UDP, AF_INET, { 0 }, 80, 1 },
		{ PROTOCOL_TCP, AF_INET6, { 0 }, 80, 1 },
		{ PROTOCOL_TCP, AF_INET, { 127 }, 80, 1 },
		{ PROTOCOL_TCP, AF_INET6, { [15] = 1 }, 80, 1 },
		{ PROTOCOL_TCP, AF_INET, { 0 }, 81, 1 },
		{ PROTOCOL_TCP, AF_INET, { 0 }, 80, 2 },
	};
	enum { COUNT = sizeof(each) / sizeof(each[0]) };
	struct ledger *l = ledger_new(0, CPUS);
	struct snapshot s;

	(void)state;
	for (int i = 0; i < 2 * COUNT; i++) { /* two sockets of each, made far apart */
		struct ledger_socket *row = ledger_socket(l, i + 1, NULL);

		row->protocol = each[i % COUNT].protocol;
		row->family = each[i % COUNT].family;
		memcpy(row->address, each[i % COUNT].address, sizeof(row->address));
		row->port = each[i % COUNT].port;
		row->netns = each[i % COUNT].netns;
	}
	s = all_of(l);
	assert_int_equal(s.endpoint_count, COUNT);
	for (int i = 0; i < COUNT; i++) {
		const struct endpoint *e = &s.endpoints[i];
		size_t of = e->sockets[0].cookie - 1;

		assert_int_equal(e->socket_count, 2);
		assert_int_equal(e->sockets[1].cookie, e->sockets[0].cookie + COUNT);
		assert_int_equal(e->protocol, each[of].protocol);
		assert_int_equal(e->family, each[of].family);
		assert_memory_equal(e->address, each[of].address, 16);
		assert_int_equal(e->port, each[of].port);
		assert_int_equal(e->netns, each[of].netns);
	}
	snapshot_free(&s);
	ledger_free(l);
}

/* ---- counts ---- */

static void counts_go_on_over_rows_given_back(void **state)
{
	struct ledger *l = ledger_new(8, CPUS);
	struct ledger_socket *socket = listener(l, 17, 80);
	struct ledger_worker *w = worker(l, 17, 700, 5);
	struct snapshot s;

	(void)state;
	arrive(l, socket, 3, 0, 1, false);
	arrive(l, socket, 4, 1, 1,
	       false); /* the same row, later: it says all that it has counted */
	ledger_count_worker(w, 2, false);
	ledger_count_worker(w, 5, false);
	s = all_of(l);
	assert_int_equal(s.endpoints[0].sockets[0].arrived, 5);
	assert_int_equal(s.endpoints[0].sockets[0].dropped, 1);
	assert_int_equal(s.endpoints[0].sockets[0].accepted, 5);
	snapshot_free(&s);

	arrive(l, socket, 4, 2, 1, true); /* given back; a new one begins at 0 */
	ledger_count_worker(w, 6, true);
	s = all_of(l);
	assert_int_equal(s.endpoints[0].sockets[0].arrived, 6);
	assert_int_equal(s.endpoints[0].workers[0].accepted, 6);
	snapshot_free(&s);
	arrive(l, socket, 1, 0, 3, false);
	ledger_count_worker(w, 1, false);
	s = all_of(l);
	assert_int_equal(s.endpoints[0].sockets[0].arrived, 7);
	assert_int_equal(s.endpoints[0].sockets[0].dropped, 4);
	assert_int_equal(s.endpoints[0].sockets[0].accepted, 7);
	assert_int_equal(s.endpoints[0].workers[0].accepted, 7);
	assert_int_equal(s.endpoints[0].cpu_count, 2);
	assert_int_equal(s.endpoints[0].cpus[0].arrived, 5);
	assert_int_equal(s.endpoints[0].cpus[1].arrived, 2);
	snapshot_free(&s);
	ledger_free(l);
}

static void close_with(struct ledger_socket *s, uint64_t reset, int64_t moved, bool last)
{
	const struct ledger_closings closings = { .reset = reset, .migrated = moved };

	ledger_count_closings(s, &closings, last);
}

/* Shutdown, listen again: the row was given back in between, once between a move and what it turned
 * out to be. */
static void closings_go_on_over_rows_given_back(void **state)
{
	struct ledger *l = ledger_new(8, CPUS);
	struct ledger_socket *socket = listener(l, 17, 80);
	struct snapshot s;

	(void)state;
	close_with(socket, 3, 2, false);
	close_with(socket, 3, 2, true);
	close_with(socket, 4, -1, false);
	s = all_of(l);
	assert_int_equal(s.endpoints[0].sockets[0].dropped_closing, 7);
	assert_int_equal(s.endpoints[0].sockets[0].migrated, 1);
	snapshot_free(&s);
	close_with(socket, 4, -1, true);
	close_with(socket, 2, -7, false);
	s = all_of(l);
	assert_int_equal(s.endpoints[0].sockets[0].dropped_closing, 9);
	assert_int_equal(s.endpoints[0].sockets[0].migrated, 0);
	snapshot_free(&s);
	ledger_free(l);
}

static void the_kernels_drop_counter_wraps(void **state)
{
	struct ledger *l = ledger_new(8, CPUS);
	struct ledger_socket *socket = listener(l, 17, 80);
	struct snapshot s;

	(void)state;
	socket->drops_first = UINT32_MAX - 1;
	socket->drops_now = 3;
	s = all_of(l);
	assert_int_equal(s.endpoints[0].sockets[0].drops, 5);
	snapshot_free(&s);
	ledger_free(l);
}

static void cpus_are_those_with_arrivals(void **state)
{
	struct ledger *l = ledger_new(8, CPUS);
	struct snapshot s;

	(void)state;
	arrive(l, listener(l, 17, 80), 0, 3, 0, false);
	arrive(l, listener(l, 18, 80), 0, 4, 0, false);
	arrive(l, listener(l, 19, 81), 5, 0, 0, false);
	listener(l, 20, 82);
	s = all_of(l);
	assert_int_equal(s.endpoint_count, 3);
	assert_int_equal(s.endpoints[0].cpu_count, 1);
	assert_int_equal(s.endpoints[0].cpus[0].cpu, 1);
	assert_int_equal(s.endpoints[0].cpus[0].arrived, 7);
	assert_int_equal(s.endpoints[1].cpu_count, 1);
	assert_int_equal(s.endpoints[1].cpus[0].cpu, 0);
	assert_int_equal(s.endpoints[2].cpu_count, 0);
	snapshot_free(&s);
	ledger_free(l);
}

/* Kernel threads of io_uring have no start that is known: what they take is the thread's own. */
static void start_0_joins_the_threads_own_row(void **state)
{
	struct ledger *l = ledger_new(8, CPUS);
	struct snapshot s;

	(void)state;
	listener(l, 17, 80);
	ledger_count_worker(worker(l, 17, 700, 0), 3, false);
	ledger_count_worker(worker(l, 17, 700, 5), 4, false);
	ledger_count_worker(worker(l, 17, 701, 0), 2, false); /* a thread that has no other */
	ledger_count_worker(worker(l, 17, 702, 9), 1, false);
	s = all_of(l);
	assert_int_equal(s.endpoints[0].worker_count, 3);
	assert_int_equal(worker_of(&s, 17, 700, 5)->accepted, 7);
	assert_int_equal(worker_of(&s, 17, 701, 0)->accepted, 2);
	assert_int_equal(worker_of(&s, 17, 702, 9)->accepted, 1);
	assert_int_equal(s.endpoints[0].sockets[0].accepted, 10);
	snapshot_free(&s);
	ledger_free(l);
}

static void workers_without_a_socket_are_orphans(void **state)
{
	struct ledger *l = ledger_new(8, CPUS);
	struct snapshot s = {};
	uint64_t orphaned;

	(void)state;
	listener(l, 17, 80);
	ledger_count_worker(worker(l, 17, 700, 5), 4, false);
	ledger_count_worker(worker(l, 18, 700, 5), 3, true);
	ledger_count_worker(worker(l, 18, 700, 5), 2, false);
	assert_int_equal(ledger_snapshot(l, &s, true, &orphaned), 0);
	assert_int_equal(orphaned, 5);
	assert_int_equal(s.endpoint_count, 1);
	assert_int_equal(s.endpoints[0].worker_count, 1);
	snapshot_free(&s);
	listener(l, 18, 80); /* its socket is found after all */
	s = all_of(l);
	assert_int_equal(socket_of(&s, 18)->accepted, 5);
	snapshot_free(&s);
	ledger_free(l);
}

/* ---- who is in a snapshot ---- */

static void quiet_endpoints_are_counted_or_listed(void **state)
{
	struct ledger *l = ledger_new(8, CPUS);
	struct snapshot s = {};
	uint64_t orphaned;

	(void)state;
	listener(l, 17, 80);
	listener(l, 18, 80); /* two sockets, one endpoint */
	listener(l, 19, 81);
	worker(l, 19, 700, 5); /* waits, has taken nothing */
	listener(l, 22, 84)->row.connected = true;
	listener(l, 23, 85)->row.connected = true;
	listener(l, 24, 85)->row.connected = false;
	arrive(l, listener(l, 20, 82), 1, 0, 0, true);
	listener(l, 21, 83);
	ledger_count_worker(worker(l, 21, 700, 5), 1, true); /* where arrivals are not seen */
	assert_int_equal(ledger_snapshot(l, &s, false, &orphaned), 0);
	assert_int_equal(s.quiet, 3);
	assert_int_equal(s.quiet_clients, 1);
	assert_int_equal(s.endpoint_count, 2);
	assert_int_equal(s.endpoints[0].port, 82);
	assert_int_equal(s.endpoints[1].port, 83);
	snapshot_free(&s);
	s = all_of(l);
	assert_int_equal(s.quiet + s.quiet_clients, 0);
	assert_int_equal(s.endpoint_count, 6);
	assert_int_equal(s.endpoints[1].worker_count, 1);
	snapshot_free(&s);
	ledger_free(l);
}

static void undecided_sockets_are_in_no_snapshot(void **state)
{
	struct ledger *l = ledger_new(8, CPUS);
	struct ledger_socket *own = listener(l, 17, 80), *other = listener(l, 18, 80),
			     *alone = listener(l, 19, 81);
	struct snapshot s = {};
	uint64_t orphaned;

	(void)state;
	arrive(l, own, 1, 0, 0, false);
	arrive(l, other, 0, 7, 0, false);
	arrive(l, alone, 5, 0, 0, false);
	ledger_count_worker(worker(l, 18, 700, 5), 7, false);
	other->undecided = alone->undecided = true;
	for (int all = 0; all < 2; all++) {
		assert_int_equal(ledger_snapshot(l, &s, all, &orphaned), 0);
		assert_int_equal(orphaned, 0); /* not lost either */
		assert_int_equal(s.quiet, 0);
		assert_int_equal(s.endpoint_count, 1);
		assert_int_equal(s.endpoints[0].socket_count, 1);
		assert_int_equal(s.endpoints[0].worker_count, 0);
		assert_int_equal(s.endpoints[0].sockets[0].cookie, 17);
		assert_int_equal(s.endpoints[0].cpu_count, 1);
		assert_int_equal(s.endpoints[0].cpus[0].arrived, 1);
		snapshot_free(&s);
	}
	other->undecided = alone->undecided = false;
	s = all_of(l);
	assert_int_equal(sums_of(&s).arrived, 13);
	assert_int_equal(sums_of(&s).accepted, 7);
	snapshot_free(&s);
	ledger_free(l);
}

/* A socket keeps the holders of its longest stall beside those of now; both are copied. */
static void holders_of_a_past_stall(void **state)
{
	struct ledger *l = ledger_new(8, CPUS);
	struct ledger_socket *s = listener(l, 18, 80), *other = listener(l, 17, 80);
	struct snapshot all, copy;
	const struct holder_row *of;
	size_t count;

	(void)state;
	for (struct ledger_socket *each = s;; each = other) {
		each->staller_count = each == s ? 2 : 1;
		each->stallers = calloc(each->staller_count, sizeof(*each->stallers));
		for (size_t i = 0; i < each->staller_count; i++)
			each->stallers[i] = (struct holder_row){ .cookie = each->row.cookie,
								 .pid = 700 + (int32_t)i };
		if (each == other)
			break;
	}
	all = all_of(l);
	assert_int_equal(snapshot_copy(&copy, &all), 0);
	snapshot_free(&all);
	assert_int_equal(copy.endpoints[0].staller_count, 3);
	assert_int_equal(copy.endpoints[0].holder_count, 0);
	of = endpoint_stallers(&copy.endpoints[0], 18, &count);
	assert_int_equal(count, 2);
	assert_int_equal(of[1].pid, 701);
	of = endpoint_stallers(&copy.endpoints[0], 17, &count);
	assert_int_equal(count, 1);
	assert_int_equal(of->cookie, 17);
	snapshot_free(&copy);
	ledger_free(l);
}

static void holders_go_with_their_sockets(void **state)
{
	struct ledger *l = ledger_new(8, CPUS);
	static const struct holder_row held[] = {
		{ .cookie = 16, .pid = 9 },
		{ .cookie = 17, .pid = 700, .fd = 3 },
		{ .cookie = 17, .pid = 701, .fd = 4 },
		{ .cookie = 19, .pid = 700 },
	};
	struct holder_row *rows = malloc(sizeof(held));
	const struct holder_row *of;
	struct snapshot s;
	size_t count;

	(void)state;
	memcpy(rows, held, sizeof(held));
	listener(l, 17, 80);
	listener(l, 18, 80);
	listener(l, 19, 81);
	ledger_hold(l, rows, 4);
	s = all_of(l);
	assert_int_equal(s.endpoints[0].holder_count, 2);
	of = endpoint_holders(&s.endpoints[0], 17, &count);
	assert_int_equal(count, 2);
	assert_int_equal(of[0].pid, 700);
	assert_int_equal(of[1].fd, 4);
	endpoint_holders(&s.endpoints[0], 18, &count);
	assert_int_equal(count, 0);
	assert_int_equal(s.endpoints[1].holder_count, 1);
	snapshot_free(&s);
	ledger_hold(l, NULL, 0);
	s = all_of(l);
	assert_int_equal(s.endpoints[0].holder_count + s.endpoints[1].holder_count, 0);
	snapshot_free(&s);
	ledger_free(l);
}

/* ---- ending, reviving, forgetting ---- */

static void ended_rows_stay_with_their_counts(void **state)
{
	struct ledger *l = ledger_new(8, CPUS);
	struct ledger_socket *socket = listener(l, 17, 80);
	struct ledger_worker *w = worker(l, 17, 700, 5);
	struct snapshot s;

	(void)state;
	socket->row.waiting = 1;
	w->row.waits = true;
	arrive(l, socket, 4, 0, 0, true);
	ledger_count_worker(w, 4, true);
	ledger_end_worker(l, w);
	ledger_end_socket(l, socket);
	ledger_end_socket(l, socket); /* once */
	assert_int_equal(ledger_trim(l), 0);
	s = all_of(l);
	assert_true(socket_of(&s, 17)->ended);
	assert_int_equal(socket_of(&s, 17)->waiting, 0);
	assert_int_equal(socket_of(&s, 17)->arrived, 4);
	assert_true(worker_of(&s, 17, 700, 5)->ended);
	assert_false(worker_of(&s, 17, 700, 5)->waits);
	assert_int_equal(worker_of(&s, 17, 700, 5)->accepted, 4);
	assert_int_equal(s.endpoints[0].omitted.sockets + s.endpoints[0].omitted.workers, 0);
	snapshot_free(&s);

	ledger_revive_socket(l, socket);
	ledger_revive_worker(l, w);
	s = all_of(l);
	assert_false(socket_of(&s, 17)->ended);
	assert_false(worker_of(&s, 17, 700, 5)->ended);
	snapshot_free(&s);
	ledger_free(l);
}

/* Threads that ended, and whose rows the kernel still counts on: they, and their socket, outlast
 * all that ended later. */
static void kept_rows_are_not_folded(void **state)
{
	enum { MAX = 8, MADE = 60 };
	struct ledger *l = ledger_new(MAX, CPUS);
	struct ledger_worker *kept;
	struct snapshot s;

	(void)state;
	arrive(l, listener(l, 1000, 80), 1, 0, 0, true);
	kept = worker(l, 1000, 700, 5);
	ledger_count_worker(kept, 1, false);
	ledger_end_worker(l, kept);
	ledger_end_socket(l, ledger_find_socket(l, 1000));
	kept->kept = true;
	for (int i = 0; i < MADE; i++) {
		arrive(l, listener(l, 2000 + i, 80), 1, 0, 0, true);
		ledger_count_worker(worker(l, 2000 + i, 800, 5), 1, true);
		ledger_end_worker(l, worker(l, 2000 + i, 800, 5));
		ledger_end_socket(l, ledger_find_socket(l, 2000 + i));
		assert_int_equal(ledger_trim(l), 0);
	}
	assert_ptr_equal(ledger_find_worker(l, 1000, 700, 5), kept);
	s = all_of(l);
	assert_non_null(socket_of(&s, 1000));
	assert_int_equal(sums_of(&s).accepted, MADE + 1);
	assert_int_equal(sums_of(&s).sockets, MADE + 1);
	snapshot_free(&s);
	ledger_revive_worker(l, kept);
	assert_false(kept->kept);
	ledger_free(l);
}

static void forgetting_takes_the_workers_too(void **state)
{
	struct ledger *l = ledger_new(2, CPUS);
	struct snapshot s;

	(void)state;
	for (uint64_t cookie = 17; cookie < 20; cookie++) {
		arrive(l, listener(l, cookie, 80), 10, 0, 0, false);
		for (int tid = 700; tid < 703; tid++)
			ledger_count_worker(worker(l, cookie, tid, 5), 3, false);
	}
	ledger_end_socket(l, ledger_find_socket(l, 18));
	ledger_end_worker(l, worker(l, 18, 700, 5));
	ledger_find_socket(l, 18)->forgotten = true;
	ledger_forget(l);
	assert_null(ledger_find_socket(l, 18));
	s = all_of(l);
	assert_int_equal(sums_of(&s).sockets, 2);
	assert_int_equal(sums_of(&s).workers, 6);
	assert_int_equal(sums_of(&s).arrived, 20);
	assert_int_equal(sums_of(&s).accepted, 18);
	snapshot_free(&s);

	/* What was forgotten does not count as ended: two more may end before any is folded. */
	ledger_end_worker(l, worker(l, 17, 700, 5));
	ledger_end_worker(l, worker(l, 17, 701, 5));
	ledger_end_socket(l, ledger_find_socket(l, 19));
	assert_int_equal(ledger_trim(l), 0);
	s = all_of(l);
	assert_int_equal(s.endpoints[0].socket_count, 2);
	assert_int_equal(s.endpoints[0].worker_count, 6);
	snapshot_free(&s);
	ledger_free(l);
}

static void clear_forgets_all(void **state)
{
	struct ledger *l = ledger_new(1, CPUS);
	struct snapshot s;

	(void)state;
	for (uint64_t cookie = 17; cookie < 21; cookie++) {
		arrive(l, listener(l, cookie, 80), 1, 0, 0, true);
		ledger_count_worker(worker(l, cookie, 700, 5), 1, true);
		ledger_end_socket(l, ledger_find_socket(l, cookie));
	}
	assert_int_equal(ledger_trim(l), 0);
	ledger_clear(l);
	s = all_of(l);
	assert_int_equal(s.endpoint_count, 0);
	snapshot_free(&s);
	listener(l, 17, 80);
	s = all_of(l);
	assert_int_equal(sums_of(&s).arrived + sums_of(&s).accepted, 0);
	assert_int_equal(sums_of(&s).sockets, 1);
	snapshot_free(&s);
	ledger_free(l);
	ledger_free(NULL);
}

/* ---- folding ---- */

static void ended_workers_are_folded_oldest_first(void **state)
{
	enum { MAX = 16, MADE = 40, LIVE = 5 };
	struct ledger *l = ledger_new(MAX, CPUS);
	struct ledger_socket *socket = listener(l, 17, 80);
	struct snapshot s;
	size_t ended = 0;
	int oldest = MADE;

	(void)state;
	arrive(l, socket, 1000, 0, 0, false);
	for (int i = 0; i < LIVE; i++)
		ledger_count_worker(worker(l, 17, 1000 + i, 5), 10, false);
	/* They end in another order than that of their ids. */
	for (int i = 0; i < MADE; i++) {
		struct ledger_worker *w = worker(l, 17, 700 + (i * 7) % MADE, 5);

		ledger_count_worker(w, i + 1, true);
		ledger_end_worker(l, w);
		assert_int_equal(ledger_trim(l), 0);
		s = all_of(l);
		assert_int_equal(sums_of(&s).workers, LIVE + i + 1);
		assert_int_equal(sums_of(&s).accepted, LIVE * 10 + (i + 1) * (i + 2) / 2);
		assert_in_range(s.endpoints[0].worker_count,
				i < MAX ? LIVE + i + 1 : LIVE + MAX - MAX / 8 - 1, LIVE + MAX);
		snapshot_free(&s);
	}
	s = all_of(l);
	for (size_t i = 0; i < s.endpoints[0].worker_count; i++) {
		const struct worker_row *w = &s.endpoints[0].workers[i];

		if (w->ended) {
			ended++;
			oldest = (int)w->accepted - 1 < oldest ? (int)w->accepted - 1 : oldest;
		}
	}
	assert_in_range(ended, 1, MAX);
	assert_int_equal(oldest, MADE - ended); /* those that stayed are the last that ended */
	assert_int_equal(s.endpoints[0].worker_count - ended, LIVE);
	assert_int_equal(s.endpoints[0].omitted.workers, MADE - ended);
	assert_int_equal(s.endpoints[0].omitted.sockets, 0);
	snapshot_free(&s);
	ledger_free(l);
}

/* Their workers with them, those that live (they take from other sockets) too. */
static void ended_sockets_are_folded_with_their_workers(void **state)
{
	enum { MAX = 8, MADE = 60 };
	struct ledger *l = ledger_new(MAX, CPUS);
	struct snapshot s;

	(void)state;
	arrive(l, listener(l, 1000, 80), 5, 0, 0, false);
	ledger_count_worker(worker(l, 1000, 700, 5), 5, false);
	for (int i = 0; i < MADE; i++) {
		struct ledger_socket *socket = listener(l, 2000 + i, i % 2 ? 80 : 81);
		const struct endpoint *e;

		arrive(l, socket, 3, 4, 2, true);
		close_with(socket, 1, 1, true);
		close_with(socket, 2, 4, false);
		socket->drops_first = 7;
		socket->drops_now = 13;
		ledger_count_worker(worker(l, 2000 + i, 700, 5), 4, false); /* lives */
		ledger_count_worker(worker(l, 2000 + i, 800 + i, 5), 2, true);
		if (i % 3)
			ledger_end_worker(l, worker(l, 2000 + i, 800 + i, 5));
		ledger_end_socket(l, socket);
		assert_int_equal(ledger_trim(l), 0);
		s = all_of(l);
		assert_int_equal(sums_of(&s).sockets, 1 + i + 1);
		assert_int_equal(sums_of(&s).workers, 1 + 2 * (i + 1));
		assert_int_equal(sums_of(&s).arrived, 5 + 7 * (i + 1));
		assert_int_equal(sums_of(&s).dropped, 2 * (i + 1));
		assert_int_equal(sums_of(&s).accepted, 5 + 6 * (i + 1));
		assert_int_equal(sums_of(&s).drops, 6 * (i + 1));
		assert_int_equal(sums_of(&s).reset, 3 * (i + 1));
		assert_int_equal(sums_of(&s).migrated, 5 * (i + 1));
		assert_int_equal(s.endpoint_count, 1 + (i >= 0));
		e = &s.endpoints[0];
		assert_int_equal(socket_of(&s, 1000)->accepted, 5);
		assert_false(worker_of(&s, 1000, 700, 5)->ended);
		assert_in_range(e->socket_count + s.endpoints[1].socket_count, 1, 1 + MAX);
		assert_non_null(socket_of(&s, 2000 + i)); /* the youngest stays */
		snapshot_free(&s);
	}
	ledger_free(l);
}

/* Nothing is left of a port but what was folded: its counts still are somewhere. */
static void a_port_that_is_all_folded_stays(void **state)
{
	struct ledger *l = ledger_new(1, CPUS);
	struct snapshot s = {};
	uint64_t orphaned;

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct ledger_socket *socket = listener(l, 17 + i, 80 + i);

		arrive(l, socket, 1, 1, 0, true);
		ledger_count_worker(worker(l, 17 + i, 700, 5), 2, true);
		ledger_end_socket(l, socket);
	}
	assert_int_equal(ledger_trim(l), 0);
	for (int all = 0; all < 2; all++) {
		assert_int_equal(ledger_snapshot(l, &s, all, &orphaned), 0);
		assert_int_equal(orphaned, 0);
		assert_int_equal(s.endpoint_count, 3);
		assert_int_equal(sums_of(&s).arrived, 6);
		assert_int_equal(sums_of(&s).accepted, 6);
		assert_true(s.endpoints[0].omitted.sockets + s.endpoints[1].omitted.sockets +
				    s.endpoints[2].omitted.sockets >=
			    2);
		snapshot_free(&s);
	}
	ledger_free(l);
}

/* So many ports come and go that they can't be told apart for ever: the oldest become one, and no
 * count is lost. A port that has rows keeps what was folded of it. */
static void ports_that_are_long_gone_become_one(void **state)
{
	enum { MAX = 8, MADE = 500 };
	struct ledger *l = ledger_new(MAX, CPUS);
	uint32_t slots[WAIT_SLOTS] = {};
	struct snapshot s;
	uint64_t cookie = 1000, waits = 0;

	(void)state;
	ledger_measures(l, true, true);
	listener(l, 1, 80);
	for (int i = 0; i < MADE; i++) {
		const bool of_80 = i < 20;
		struct ledger_socket *socket = listener(l, ++cookie, of_80 ? 80 : 100 + i);
		struct ledger_worker *w = worker(l, cookie, 700, 5);
		struct ledger_work work = { .wait = { .count = 1, .sum_ns = 50000 } };

		memset(slots, 0, sizeof(slots));
		slots[wait_slot(50)] = 1;
		arrive(l, socket, 1, 1, 0, true);
		ledger_count_worker(w, 2, true);
		assert_int_equal(ledger_count_work(l, w, &work, slots, true), 0);
		ledger_end_worker(l, w);
		ledger_end_socket(l, socket);
		assert_int_equal(ledger_trim(l), 0);
		s = all_of(l);
		assert_in_range(s.endpoint_count, 1, 1 + MAX + 17);
		assert_int_equal(sums_of(&s).arrived, 2 * (i + 1));
		assert_int_equal(sums_of(&s).accepted, 2 * (i + 1));
		snapshot_free(&s);
	}
	s = all_of(l);
	for (size_t i = 0; i < s.endpoint_count; i++) {
		if (s.endpoints[i].port == 80)
			assert_int_equal(s.endpoints[i].omitted.accepted, 40);
		/* The youngest are still known. */
		if (s.endpoints[i].port && s.endpoints[i].port != 80)
			assert_in_range(s.endpoints[i].port, 100 + MADE - MAX - 17, 100 + MADE);
		waits += s.endpoints[i].waits_by_bound.counts[0];
	}
	assert_int_equal(waits, MADE);
	snapshot_free(&s);
	ledger_free(l);
}

/* A thread that was taken for ended and is back (a reused row of the kernel) must not be folded as
 * if it had ended long ago. */
static void revived_rows_are_not_folded(void **state)
{
	enum { MAX = 2, MADE = 6 };
	struct ledger *l = ledger_new(MAX, CPUS);
	struct ledger_socket *socket = listener(l, 17, 80);
	struct ledger_worker *back = worker(l, 17, 700, 5);
	struct snapshot s;

	(void)state;
	ledger_count_worker(back, 10, false);
	ledger_end_worker(l, back);
	ledger_revive_worker(l, back);
	arrive(l, socket, 20, 0, 0, false);
	ledger_end_socket(l, socket);
	ledger_revive_socket(l, socket);
	for (int i = 0; i < MADE; i++) {
		struct ledger_socket *other = listener(l, 100 + i, 80);

		ledger_count_worker(worker(l, 17, 800 + i, 5), 1, true);
		ledger_end_worker(l, worker(l, 17, 800 + i, 5));
		arrive(l, other, 1, 0, 0, true);
		ledger_end_socket(l, other);
	}
	assert_int_equal(ledger_trim(l), 0);
	s = all_of(l);
	assert_non_null(socket_of(&s, 17));
	assert_int_equal(socket_of(&s, 17)->arrived, 20);
	assert_non_null(worker_of(&s, 17, 700, 5));
	assert_int_equal(worker_of(&s, 17, 700, 5)->accepted, 10);
	assert_int_equal(sums_of(&s).arrived, 20 + MADE);
	assert_int_equal(sums_of(&s).accepted, 10 + MADE);
	snapshot_free(&s);
	ledger_free(l);
}

/* The first row of all that ended, on a socket that lives, stays apart from the workers of a socket
 * that is folded. */
static void the_first_to_end_does_not_take_anothers_place(void **state)
{
	enum { MAX = 8, MADE = 9 };
	struct snapshot s;

	(void)state;
	for (int first_made = 0; first_made < 2; first_made++) {
		struct ledger *l = ledger_new(MAX, CPUS);

		listener(l, 17, 80);
		if (first_made)
			ledger_end_worker(l, worker(l, 17, 700, 5));
		for (int i = 0; i < MADE; i++)
			ledger_count_worker(worker(l, 100 + i, 800, 5), 2, true);
		if (!first_made)
			ledger_end_worker(l, worker(l, 17, 700, 5));
		for (int i = 0; i < MADE; i++)
			ledger_end_socket(l, listener(l, 100 + i, 81));
		assert_int_equal(ledger_trim(l), 0);
		s = all_of(l);
		assert_int_equal(sums_of(&s).accepted, 2 * MADE);
		assert_int_equal(sums_of(&s).workers, 1 + MADE);
		assert_non_null(worker_of(&s, 17, 700, 5));
		snapshot_free(&s);
		ledger_free(l);
	}
}

/* ---- waits, serving, open connections ---- */

/* n connections that waited as long, in a histogram of the kernel. */
static struct ledger_work waited(uint32_t *slots, unsigned n, uint64_t us)
{
	if (slots)
		slots[wait_slot(us)] += n;
	return (struct ledger_work){
		.wait = { .count = n, .sum_ns = n * us * 1000, .max_ns = us * 1000 }
	};
}

static void a_sockets_waits_are_those_of_its_workers(void **state)
{
	struct ledger *l = ledger_new(8, CPUS);
	uint32_t one[WAIT_SLOTS] = {}, other[WAIT_SLOTS] = {};
	struct ledger_work work = waited(one, 90, 10);
	const struct socket_row *socket;
	const struct worker_row *row;
	struct snapshot s;

	(void)state;
	ledger_measures(l, true, false);
	listener(l, 17, 80);
	work.queued_before = 3;
	assert_int_equal(ledger_count_work(l, worker(l, 17, 700, 5), &work, one, false), 0);
	work = waited(other, 10, 1000);
	work.reset_queued = 2;
	assert_int_equal(ledger_count_work(l, worker(l, 17, 701, 5), &work, other, false), 0);
	worker(l, 17, 702, 5); /* has accepted nothing: it takes no histogram away */
	s = all_of(l);
	socket = socket_of(&s, 17);
	assert_true(socket->wait_known);
	assert_int_equal(socket->wait.count, 100);
	assert_int_equal(socket->wait.sum_ns, 10900000);
	assert_int_equal(socket->wait.max_ns, 1000000);
	assert_int_equal(socket->queued_before, 3);
	assert_int_equal(socket->reset_queued, 2);
	assert_true(wait_quantile_ns(&socket->wait, s.endpoints[0].histograms, 0.9) == 10000);
	assert_true(wait_quantile_ns(&socket->wait, s.endpoints[0].histograms, 0.91) > 940000);
	row = worker_of(&s, 17, 700, 5);
	assert_true(wait_quantile_ns(&row->wait, s.endpoints[0].histograms, 1) == 10000);
	row = worker_of(&s, 17, 701, 5);
	assert_int_equal(row->wait.count, 10);
	assert_true(wait_quantile_ns(&row->wait, s.endpoints[0].histograms, 0) > 940000);
	assert_false(row->open_known);
	snapshot_free(&s);
	ledger_free(l);
}

/* Waits by bound outlive the kernel's rows, histograms that are dropped, and the ledger's rows. */
static void waits_by_bound_stay(void **state)
{
	enum { MAX = 8, MADE = 40 };
	struct ledger *l = ledger_new(MAX, CPUS);
	struct snapshot s;
	uint64_t sum = 0;
	int more = 0;

	(void)state;
	ledger_measures(l, true, true);
	listener(l, 17, 80);
	for (int i = 0; i < MADE; i++) {
		uint32_t slots[WAIT_SLOTS] = {};
		struct ledger_worker *w = worker(l, 17, 700 + i % 2, 5 + i / 2);
		struct ledger_work work = waited(slots, 3, 50), none = waited(NULL, 1, 50);

		assert_int_equal(ledger_count_work(l, w, &work, slots, false), 0);
		work = waited(slots, 2, 2000); /* the row goes on */
		work.wait.count += 3;
		work.wait.sum_ns += 150000;
		assert_int_equal(ledger_count_work(l, w, &work, slots, i % 3), 0);
		if (i % 3 == 1) /* it was given back; the next one found no histogram */
			assert_int_equal(ledger_count_work(l, w, &none, NULL, false), 0);
		if (i % 3 == 2) { /* the next one begins at 0 */
			memset(slots, 0, sizeof(slots));
			work = waited(slots, 1, 50);
			assert_int_equal(ledger_count_work(l, w, &work, slots, true), 0);
			sum += 50000;
			more++;
		}
		ledger_end_worker(l, w);
		assert_int_equal(ledger_trim(l), 0);
		sum += 3 * 50000 + 2 * 2000000;
		s = all_of(l);
		assert_int_equal(s.endpoints[0].waits_by_bound.counts[0], 3 * (i + 1) + more);
		assert_int_equal(s.endpoints[0].waits_by_bound.counts[3], 2 * (i + 1));
		assert_int_equal(s.endpoints[0].waits_by_bound.sum_ns, sum);
		snapshot_free(&s);
	}
	ledger_free(l);
}

/* One thread found the pool of histograms empty: of the socket the mean is known, the percentiles
 * are not. */
static void without_all_histograms_there_are_no_percentiles(void **state)
{
	for (int first = 0; first < 2; first++) {
		struct ledger *l = ledger_new(8, CPUS);
		uint32_t slots[WAIT_SLOTS] = {};
		struct ledger_work with = waited(slots, 5, 10), without = waited(NULL, 5, 30);
		const struct socket_row *socket;
		struct snapshot s;

		(void)state;
		ledger_measures(l, true, true);
		listener(l, 17, 80);
		assert_int_equal(
			ledger_count_work(l, worker(l, 17, 700 + first, 5), &with, slots, false),
			0);
		assert_int_equal(
			ledger_count_work(l, worker(l, 17, 701 - first, 5), &without, NULL, false),
			0);
		s = all_of(l);
		socket = socket_of(&s, 17);
		assert_int_equal(socket->wait.count, 10);
		assert_int_equal(socket->wait.sum_ns, 200000);
		assert_int_equal(socket->wait.histogram, 0);
		assert_int_not_equal(worker_of(&s, 17, 700 + first, 5)->wait.histogram, 0);
		assert_int_equal(worker_of(&s, 17, 701 - first, 5)->wait.histogram, 0);
		snapshot_free(&s);
		ledger_free(l);
	}
}

static void histograms_go_on_over_rows_given_back_and_wraps(void **state)
{
	struct ledger *l = ledger_new(8, CPUS);
	struct ledger_worker *w;
	uint32_t slots[WAIT_SLOTS] = { [7] = UINT32_MAX - 1 };
	struct ledger_work work = { .wait = { .count = UINT32_MAX - 1, .max_ns = 7000 } };
	struct snapshot s;

	(void)state;
	ledger_measures(l, true, false);
	listener(l, 17, 80);
	w = worker(l, 17, 700, 5);
	assert_int_equal(ledger_count_work(l, w, &work, slots, false), 0);
	slots[7] = 2; /* four more */
	work.wait.count = UINT32_MAX + 3ull;
	assert_int_equal(ledger_count_work(l, w, &work, slots, true), 0);
	memset(slots, 0, sizeof(slots)); /* another row, another histogram */
	slots[7] = 5;
	work.wait.count = 5;
	assert_int_equal(ledger_count_work(l, w, &work, slots, false), 0);
	s = all_of(l);
	assert_int_equal(socket_of(&s, 17)->wait.count, UINT32_MAX + 8ull);
	assert_int_equal(s.endpoints[0].histograms[socket_of(&s, 17)->wait.histogram - 1].slots[7],
			 UINT32_MAX + 8ull);
	snapshot_free(&s);
	ledger_free(l);
}

static void who_is_handed_connections_serves(void **state)
{
	struct ledger *l = ledger_new(8, CPUS);
	const struct ledger_work accepts = {
		.served = 1, .opened = 10, .moved = 8, .finished = 1, .finished_ns = 500
	};
	const struct ledger_work is_handed = { .served = 8,
					       .opened = 8,
					       .finished = 5,
					       .handed = {
						       .count = 8, .sum_ns = 80, .max_ns = 30 } };
	const struct worker_row *row;
	struct ledger_worker *w;
	struct snapshot s;

	(void)state;
	ledger_measures(l, false, true);
	listener(l, 17, 80);
	w = worker(l, 17, 700, 5);
	w->row.can_accept = true;
	ledger_count_worker(w, 10, false);
	assert_int_equal(ledger_count_work(l, w, &accepts, NULL, false), 0);
	w = worker(l, 17, 702, 5);
	w->row.can_accept = true; /* accepts now and then, but serves nobody */
	s = all_of(l);
	assert_true(worker_of(&s, 17, 702, 5)->serves); /* as far as is known, who accepts serves */
	snapshot_free(&s);
	assert_int_equal(ledger_count_work(l, worker(l, 17, 701, 5), &is_handed, NULL, false), 0);
	s = all_of(l);
	assert_true(s.endpoints[0].served_known && s.endpoints[0].open_known);
	row = worker_of(&s, 17, 700, 5);
	assert_int_equal(row->open, 1);
	assert_int_equal(row->finished, 1);
	assert_int_equal(row->finished_ns, 500);
	assert_true(row->serves);
	assert_false(row->wait_known);
	row = worker_of(&s, 17, 701, 5);
	assert_int_equal(row->served, 8);
	assert_int_equal(row->handed.max_ns, 30);
	assert_int_equal(row->open, 3);
	assert_true(row->serves);
	assert_false(row->can_accept);
	assert_false(worker_of(&s, 17, 702, 5)->serves);
	snapshot_free(&s);
	ledger_free(l);
}

static void what_a_row_given_back_had_open_is_not_known(void **state)
{
	struct ledger *l = ledger_new(8, CPUS);
	const struct ledger_work work = {
		.served = 4, .opened = 4, .finished = 1, .finished_ns = 9
	};
	struct ledger_worker *w;
	struct snapshot s;

	(void)state;
	ledger_measures(l, true, true);
	listener(l, 17, 80);
	w = worker(l, 17, 700, 5);
	assert_int_equal(ledger_count_work(l, w, &work, NULL, true), 0);
	s = all_of(l);
	assert_false(worker_of(&s, 17, 700, 5)->open_known);
	assert_int_equal(worker_of(&s, 17, 700, 5)->finished, 1);
	assert_int_equal(worker_of(&s, 17, 700, 5)->served, 4);
	snapshot_free(&s);
	ledger_free(l);
}

/* From the first connection that is not followed on, also where the kernel's row was given back
 * since. */
static void open_with_one_that_is_not_followed_is_a_bound(void **state)
{
	struct ledger *l = ledger_new(8, CPUS);
	const struct ledger_work all = { .opened = 4 }, some = { .opened = 4, .unfollowed = 1 },
				 closed = { .opened = 4, .finished = 4, .unfollowed = 1 };
	struct snapshot s;

	(void)state;
	ledger_measures(l, true, true);
	listener(l, 17, 80);
	assert_int_equal(ledger_count_work(l, worker(l, 17, 700, 5), &all, NULL, false), 0);
	s = all_of(l);
	assert_false(worker_of(&s, 17, 700, 5)->open_at_least);
	snapshot_free(&s);
	assert_int_equal(ledger_count_work(l, worker(l, 17, 700, 5), &some, NULL, false), 0);
	s = all_of(l);
	assert_true(worker_of(&s, 17, 700, 5)->open_known &&
		    worker_of(&s, 17, 700, 5)->open_at_least);
	assert_int_equal(worker_of(&s, 17, 700, 5)->open, 4);
	snapshot_free(&s);
	assert_int_equal(ledger_count_work(l, worker(l, 17, 700, 5), &closed, NULL, true), 0);
	assert_int_equal(ledger_count_work(l, worker(l, 17, 700, 5), &all, NULL, false), 0);
	s = all_of(l);
	assert_true(worker_of(&s, 17, 700, 5)->open_at_least);
	snapshot_free(&s);
	ledger_free(l);
}

/* A thread that had no histogram once has none of all its waits; nor has one whose later row has
 * none. */
static void a_histogram_of_some_waits_is_none(void **state)
{
	for (int first = 0; first < 2; first++) {
		struct ledger *l = ledger_new(8, CPUS);
		uint32_t slots[WAIT_SLOTS] = {};
		struct ledger_work with = waited(slots, 5, 10), without = waited(NULL, 5, 30);
		struct ledger_worker *w;
		struct snapshot s;

		(void)state;
		ledger_measures(l, true, true);
		listener(l, 17, 80);
		w = worker(l, 17, 700, 5);
		assert_int_equal(ledger_count_work(l, w, first ? &with : &without,
						   first ? slots : NULL, true),
				 0);
		assert_int_equal(ledger_count_work(l, w, first ? &without : &with,
						   first ? NULL : slots, false),
				 0);
		s = all_of(l);
		assert_int_equal(worker_of(&s, 17, 700, 5)->wait.count, 10);
		assert_int_equal(worker_of(&s, 17, 700, 5)->wait.histogram, 0);
		assert_int_equal(socket_of(&s, 17)->wait.histogram, 0);
		snapshot_free(&s);
		ledger_free(l);
	}
}

/* What is folded keeps its sums: served, waits and the rest. */
static void folded_workers_keep_their_work(void **state)
{
	struct ledger *l = ledger_new(8, CPUS);
	const struct ledger_work work = { .served = 2,
					  .finished = 1,
					  .queued_before = 3,
					  .reset_queued = 4,
					  .wait = { .count = 5, .sum_ns = 50, .max_ns = 20 } };
	uint64_t served = 0, waits = 0;
	struct snapshot s;

	(void)state;
	ledger_measures(l, true, true);
	listener(l, 17, 80);
	for (int i = 0; i < 20; i++) {
		struct ledger_worker *w = worker(l, 17, 700 + i, 5);

		ledger_count_worker(w, 5, true);
		assert_int_equal(ledger_count_work(l, w, &work, NULL, true), 0);
		ledger_end_worker(l, w);
	}
	assert_int_equal(ledger_trim(l), 0);
	s = all_of(l);
	assert_true(s.endpoints[0].omitted.workers > 0);
	for (size_t i = 0; i < s.endpoints[0].worker_count; i++) {
		served += s.endpoints[0].workers[i].served;
		waits += s.endpoints[0].workers[i].wait.count;
	}
	assert_int_equal(served + s.endpoints[0].omitted.served, 40);
	assert_int_equal(waits + s.endpoints[0].omitted.wait.count, 100);
	assert_int_equal(s.endpoints[0].omitted.wait.max_ns, 20);
	assert_int_equal(s.endpoints[0].omitted.reset_queued, 4 * s.endpoints[0].omitted.workers);
	snapshot_free(&s);
	ledger_free(l);
}

/* What io_uring's kernel threads did for their owner is the owner's. */
static void work_of_start_0_joins_the_threads_own(void **state)
{
	struct ledger *l = ledger_new(8, CPUS);
	uint32_t slots[WAIT_SLOTS] = {}, owners[WAIT_SLOTS] = {};
	struct ledger_work work = waited(slots, 5, 10), own = waited(owners, 3, 20);
	const struct worker_row *row;
	struct snapshot s;

	(void)state;
	ledger_measures(l, true, true);
	listener(l, 17, 80);
	own.served = 3;
	work.served = 5;
	assert_int_equal(ledger_count_work(l, worker(l, 17, 700, 0), &work, slots, false), 0);
	assert_int_equal(ledger_count_work(l, worker(l, 17, 700, 5), &own, owners, false), 0);
	s = all_of(l);
	assert_int_equal(s.endpoints[0].worker_count, 1);
	row = &s.endpoints[0].workers[0];
	assert_int_equal(row->wait.count, 8);
	assert_int_equal(row->served, 8);
	assert_true(wait_quantile_ns(&row->wait, s.endpoints[0].histograms, 0.5) == 10000);
	assert_true(wait_quantile_ns(&row->wait, s.endpoints[0].histograms, 1) > 10000);
	snapshot_free(&s);
	ledger_free(l);
}

/* Counts by flow go on over a wrap and a row that was given back. */
static void flows_go_on_over_rows_given_back_and_wraps(void **state)
{
	struct ledger *l = ledger_new(8, CPUS);
	struct ledger_socket *a = listener(l, 17, 53), *b = listener(l, 18, 53);
	uint32_t buckets[FLOW_BUCKETS] = { [3] = 0xfffffff0, [7] = 2 };
	const struct flow_peer peer = { .port = 9, .bucket = 4, .watched = 16, .votes = 10 };
	struct endpoint *e;
	struct snapshot s;

	(void)state;
	a->protocol = b->protocol = PROTOCOL_UDP;
	assert_int_equal(ledger_count_flows(a, buckets, &(struct flow_peer){}, false), 0);
	buckets[3] = 16;
	assert_int_equal(ledger_count_flows(a, buckets, &peer, true), 0);
	buckets[3] = 1;
	buckets[7] = 0;
	assert_int_equal(ledger_count_flows(a, buckets, &peer, false), 0);
	s = all_of(l);
	e = &s.endpoints[0];
	assert_true(e->flows_estimated);
	assert_int_equal(e->sockets[0].sketch, 1);
	assert_int_equal(e->sockets[1].sketch, 0);
	assert_int_equal(e->sketch_count, 1);
	assert_true(e->sketches[0].buckets[3] == (1ull << 32) + 17);
	assert_int_equal(e->sketches[0].buckets[7], 2);
	assert_int_equal(e->sketches[0].peer.votes, 20);
	snapshot_free(&s);
	ledger_free(l);
}

/* Two UDP sockets of a port: their flows add up; more than 5 % of what came without its flow makes
 * them unknown. */
static void flows_are_those_of_all_sockets(void **state)
{
	struct ledger *l = ledger_new(8, CPUS);
	const uint32_t one[FLOW_BUCKETS] = { [3] = 50, [8] = 10 },
		       other[FLOW_BUCKETS] = { [3] = 35 };
	struct ledger_socket *a = listener(l, 17, 53), *b = listener(l, 18, 53);
	struct snapshot s;

	(void)state;
	a->protocol = b->protocol = PROTOCOL_UDP;
	arrive(l, a, 55, 0, 5, false);
	arrive(l, b, 0, 40, 0, false);
	assert_int_equal(ledger_count_flows(a, one, &(struct flow_peer){}, false), 0);
	assert_int_equal(ledger_count_flows(b, other, &(struct flow_peer){}, false), 0);
	s = all_of(l);
	assert_int_equal(endpoint_judge(&s.endpoints[0], FAIRNESS_THRESHOLD), 0);
	assert_int_equal(s.endpoints[0].load.flows, 3);
	assert_int_equal(s.endpoints[0].flow_unseen, 5);
	assert_int_equal(s.endpoints[0].socket_fairness.flows, 3);
	assert_int_equal(s.endpoints[0].socket_fairness.verdict, VERDICT_TOO_FEW);
	snapshot_free(&s);
	arrive(l, b, 0, 41, 0, false);
	s = all_of(l);
	assert_int_equal(endpoint_judge(&s.endpoints[0], FAIRNESS_THRESHOLD), 0);
	assert_int_equal(s.endpoints[0].flow_unseen, 6);
	assert_true(s.endpoints[0].load.effective == 0);
	assert_int_equal(s.endpoints[0].socket_fairness.verdict, VERDICT_FLOWS_UNKNOWN);
	snapshot_free(&s);
	ledger_free(l);
}

/* Copies, and buffers that may hold several datagrams: over a wrap, and a row that was given back;
 * folded with their socket. */
static void buffers_of_several_add_up(void **state)
{
	struct ledger *l = ledger_new(8, CPUS);
	struct ledger_socket *a = listener(l, 17, 53);
	struct snapshot s;

	(void)state;
	a->protocol = PROTOCOL_UDP;
	arrive(l, a, 5, 0, 0, false);
	ledger_count_several(a, 0xfffffff0, false);
	ledger_count_several(a, 16, false);
	ledger_count_several(a, 20, true);
	ledger_count_several(a, 3, false);
	ledger_count_copies(a, 0xfffffff0, false);
	ledger_count_copies(a, 16, true);
	ledger_count_copies(a, 5, false);
	s = all_of(l);
	assert_true(s.endpoints[0].sockets[0].buffers_maybe_several == (1ull << 32) + 23);
	assert_true(s.endpoints[0].sockets[0].copies == (1ull << 32) + 21);
	assert_true(endpoint_maybe_several(&s.endpoints[0]) == (1ull << 32) + 23);
	snapshot_free(&s);
	for (uint64_t cookie = 100; cookie < 120; cookie++)
		ledger_end_socket(l, listener(l, cookie, 54));
	ledger_end_socket(l, a);
	for (uint64_t cookie = 120; cookie < 140; cookie++)
		ledger_end_socket(l, listener(l, cookie, 54));
	assert_int_equal(ledger_trim(l), 0);
	assert_null(ledger_find_socket(l, 17));
	s = all_of(l);
	assert_int_equal(s.endpoints[s.endpoint_count - 1].port, 53);
	assert_true(s.endpoints[s.endpoint_count - 1].omitted.buffers_maybe_several ==
		    (1ull << 32) + 23);
	snapshot_free(&s);
	ledger_free(l);
}

/* As connect() leaves it: on 10.0.0.1, while those that share are on any address. */
static const uint8_t own[16] = { 10, 0, 0, 1 }, any[16];

static struct ledger_socket *udp(struct ledger *l, uint64_t cookie, bool connected, int family,
				 const uint8_t address[16])
{
	struct ledger_socket *s = ledger_socket(l, cookie, NULL);

	assert_non_null(s);
	s->protocol = PROTOCOL_UDP;
	s->port = 443;
	s->netns = 1;
	s->row.connected = connected;
	ledger_describe_address(s, family, address);
	return s;
}

static void assert_endpoints(struct ledger *l, size_t count, size_t sockets_of_first)
{
	struct snapshot s = all_of(l);

	assert_int_equal(s.endpoint_count, count);
	assert_int_equal(s.endpoints[0].socket_count, sockets_of_first);
	snapshot_free(&s);
}

static void connected_sockets_go_to_those_on_any_address(void **state)
{
	struct ledger *l = ledger_new(8, CPUS);

	(void)state;
	udp(l, 1, false, AF_INET, any);
	for (uint64_t cookie = 2; cookie < 6; cookie++)
		udp(l, cookie, true, AF_INET, own);
	assert_endpoints(l, 1, 5);
	udp(l, 2, true, AF_INET, own);  /* looked at again */
	udp(l, 6, false, AF_INET, own); /* it is there, and so is who shares the other address */
	assert_endpoints(l, 2, 5);
	udp(l, 7, true, AF_INET, own);
	assert_endpoints(l, 2, 5);
	udp(l, 2, false, AF_INET, own); /* connect() to AF_UNSPEC */
	assert_endpoints(l, 2, 4);
	ledger_free(l);
}

static void connected_sockets_go_to_both_families_if_these_take_both(void **state)
{
	struct ledger *l = ledger_new(8, CPUS);

	(void)state;
	udp(l, 1, false, AF_INET6, any)->row.v6only = true;
	udp(l, 2, true, AF_INET, own);
	assert_endpoints(l, 2, 1);
	udp(l, 3, false, AF_INET6, any);
	assert_endpoints(l, 1, 3);
	ledger_free(l);
}

/* Bound where others listen: they share nothing with those. */
static void sockets_that_do_not_listen_are_an_endpoint_of_their_own(void **state)
{
	struct ledger *l = ledger_new(8, CPUS);

	(void)state;
	listener(l, 17, 80);
	listener(l, 18, 80)->row.aside = ASIDE_BOUND;
	listener(l, 19, 80);
	listener(l, 20, 80)->row.aside = ASIDE_BOUND;
	listener(l, 21, 80);
	assert_endpoints(l, 2, 3);
	ledger_free(l);
}

/* Where no snapshot is taken in between: what is folded is of the port that it would have been
 * shown with. */
static void connected_sockets_are_folded_where_they_are_shown(void **state)
{
	struct ledger *l = ledger_new(2, CPUS);
	struct snapshot s;

	(void)state;
	udp(l, 1, false, AF_INET, any);
	for (uint64_t cookie = 2; cookie < 12; cookie++) {
		struct ledger_socket *c = udp(l, cookie, true, AF_INET, own);

		arrive(l, c, 5, 0, 0, true);
		ledger_end_socket(l, c);
	}
	assert_int_equal(ledger_trim(l), 0);
	s = all_of(l);
	assert_int_equal(s.endpoint_count, 1);
	assert_int_equal(s.endpoints[0].omitted.sockets + s.endpoints[0].socket_count, 11);
	assert_true(s.endpoints[0].omitted.sockets >= 8);
	assert_int_equal(s.endpoints[0].omitted.connected, s.endpoints[0].omitted.sockets);
	assert_int_equal(endpoint_events(&s.endpoints[0]), 50);
	snapshot_free(&s);
	ledger_free(l);
}

/* Of the window; a thread that ended is quiet from its last count to its end. */
static void lives_are_measured(void **state)
{
	struct ledger *l = ledger_new(10, CPUS);
	struct ledger_worker *old, *fresh;
	struct snapshot s;

	(void)state;
	assert_non_null(l);
	listener(l, 17, 80);
	old = worker(l, 17, 700, 100);
	fresh = worker(l, 17, 701, 3000);
	s = all_of(l);
	assert_int_equal(s.endpoints[0].workers[0].lived_ns, 0); /* nobody said what time it is */
	snapshot_free(&s);
	old->took_ns = 2500;
	ledger_clock(l, 1000, 4000);
	ledger_end_worker(l, old);
	fresh->took_ns = 4000;
	ledger_clock(l, 1000, 6000);
	s = all_of(l);
	assert_int_equal(s.endpoints[0].workers[0].lived_ns, 3000);
	assert_int_equal(s.endpoints[0].workers[0].quiet_ns, 1500);
	assert_int_equal(s.endpoints[0].workers[1].lived_ns, 3000);
	assert_int_equal(s.endpoints[0].workers[1].quiet_ns, 2000);
	snapshot_free(&s);
	ledger_revive_worker(l, old); /* it had not ended, and took nothing in this window */
	ledger_clock(l, 5000, 7000);
	s = all_of(l);
	assert_int_equal(s.endpoints[0].workers[0].lived_ns, 2000);
	assert_int_equal(s.endpoints[0].workers[0].quiet_ns, 2000);
	snapshot_free(&s);
	ledger_clock(l, 1000, 9000);
	ledger_end_worker(l, old); /* it took nothing since */
	s = all_of(l);
	assert_int_equal(s.endpoints[0].workers[0].lived_ns, 3000);
	snapshot_free(&s);
	ledger_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lives_are_measured),
		cmocka_unit_test(connected_sockets_go_to_those_on_any_address),
		cmocka_unit_test(connected_sockets_go_to_both_families_if_these_take_both),
		cmocka_unit_test(sockets_that_do_not_listen_are_an_endpoint_of_their_own),
		cmocka_unit_test(connected_sockets_are_folded_where_they_are_shown),
		cmocka_unit_test(buffers_of_several_add_up),
		cmocka_unit_test(flows_are_those_of_all_sockets),
		cmocka_unit_test(open_with_one_that_is_not_followed_is_a_bound),
		cmocka_unit_test(flows_go_on_over_rows_given_back_and_wraps),
		cmocka_unit_test(a_sockets_waits_are_those_of_its_workers),
		cmocka_unit_test(without_all_histograms_there_are_no_percentiles),
		cmocka_unit_test(histograms_go_on_over_rows_given_back_and_wraps),
		cmocka_unit_test(who_is_handed_connections_serves),
		cmocka_unit_test(what_a_row_given_back_had_open_is_not_known),
		cmocka_unit_test(work_of_start_0_joins_the_threads_own),
		cmocka_unit_test(a_histogram_of_some_waits_is_none),
		cmocka_unit_test(folded_workers_keep_their_work),
		cmocka_unit_test(a_row_is_made_once),
		cmocka_unit_test(a_thread_id_used_again_is_another_row),
		cmocka_unit_test(endpoints_differ),
		cmocka_unit_test(counts_go_on_over_rows_given_back),
		cmocka_unit_test(closings_go_on_over_rows_given_back),
		cmocka_unit_test(the_kernels_drop_counter_wraps),
		cmocka_unit_test(cpus_are_those_with_arrivals),
		cmocka_unit_test(start_0_joins_the_threads_own_row),
		cmocka_unit_test(workers_without_a_socket_are_orphans),
		cmocka_unit_test(quiet_endpoints_are_counted_or_listed),
		cmocka_unit_test(undecided_sockets_are_in_no_snapshot),
		cmocka_unit_test(holders_go_with_their_sockets),
		cmocka_unit_test(holders_of_a_past_stall),
		cmocka_unit_test(ended_rows_stay_with_their_counts),
		cmocka_unit_test(kept_rows_are_not_folded),
		cmocka_unit_test(forgetting_takes_the_workers_too),
		cmocka_unit_test(clear_forgets_all),
		cmocka_unit_test(ended_workers_are_folded_oldest_first),
		cmocka_unit_test(ended_sockets_are_folded_with_their_workers),
		cmocka_unit_test(a_port_that_is_all_folded_stays),
		cmocka_unit_test(ports_that_are_long_gone_become_one),
		cmocka_unit_test(waits_by_bound_stay),
		cmocka_unit_test(revived_rows_are_not_folded),
		cmocka_unit_test(the_first_to_end_does_not_take_anothers_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
