/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Do kernel, server and clients agree? Every test starts from accounts that do and breaks one
 * figure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/experiment/agreement.h"

/* Two workers, a socket each: 60 + 40 requests. The kernel's rows are in another order than the
 * server's. */
struct accounts {
	struct snapshot snapshot;
	struct endpoint kernel, own;
	struct socket_row sockets[2];
	struct worker_row kernel_workers[3], own_workers[3];
	struct lost_row lost[2];
};

static struct accounts agreeing(enum protocol protocol)
{
	return (struct accounts){
		.snapshot.workload = { .sent = 100, .accepted = 100, .served = 100, .slow_worker = -1,
				       .disagreement = "left from before" },
		.kernel = { .protocol = protocol, .port = 8080, .netns = 1, .socket_count = 2, .worker_count = 2 },
		.own = { .protocol = protocol, .port = 8080, .netns = 1, .worker_count = 3 },
		.sockets = { { .cookie = 5, .arrived = 60, .accepted = 60 }, { .cookie = 6, .arrived = 40, .accepted = 40 } },
		.kernel_workers = {
			{ .number = -1, .pid = 1, .tid = 11, .cookie = 6, .accepted = 40, .start_ns = 2 },
			{ .number = -1, .pid = 1, .tid = 10, .cookie = 5, .accepted = 60, .start_ns = 1 },
			{ .number = -1, .pid = 8, .tid = 80, .cookie = 5, .comm = "stranger" },
		},
		.own_workers = {
			{ .number = 0, .pid = 1, .tid = 10, .cookie = 5, .accepted = 60, .can_accept = true },
			{ .number = 1, .pid = 1, .tid = 11, .cookie = 6, .accepted = 40, .can_accept = true },
			{ .number = 2, .pid = 1, .tid = 12, .cookie = 6, .serves = true }, /* only serves */
		},
		.lost = { { "map_full", "", 0, false, false }, { "listener_unknown", "", 3, false, false } },
	};
}

static void check(struct accounts *a, bool arrivals_seen)
{
	a->kernel.sockets = a->sockets;
	a->kernel.workers = a->kernel_workers;
	a->own.workers = a->own_workers;
	if (!a->snapshot.endpoints) {
		a->snapshot.endpoints = &a->kernel;
		a->snapshot.endpoint_count = 1;
	}
	agreement_check(&a->snapshot, &a->own, arrivals_seen);
}

static void assert_agrees(struct accounts a, bool arrivals_seen)
{
	check(&a, arrivals_seen);
	assert_string_equal(a.snapshot.workload.disagreement, "");
	assert_true(a.snapshot.workload.agrees);
}

static void assert_disagrees(struct accounts a, bool arrivals_seen, const char *why)
{
	a.snapshot.workload.agrees = true;
	check(&a, arrivals_seen);
	assert_string_equal(a.snapshot.workload.disagreement, why);
	assert_false(a.snapshot.workload.agrees);
}

static void all_agree(void **state)
{
	(void)state;
	assert_agrees(agreeing(PROTOCOL_TCP), true);
	assert_agrees(agreeing(PROTOCOL_TCP), false);
	assert_agrees(agreeing(PROTOCOL_UDP), true);
	assert_agrees(agreeing(PROTOCOL_UDP), false);
}

static void lost_events(void **state)
{
	struct accounts a = agreeing(PROTOCOL_TCP);

	(void)state;
	a.snapshot.lost = a.lost;
	a.snapshot.lost_count = 2;
	assert_disagrees(a, true, "3 events were lost (listener_unknown)");
	a.lost[1].count = 0;
	a.snapshot.lost = a.lost;
	assert_agrees(a, true);
}

static void kernel_counted_nothing(void **state)
{
	struct accounts a = agreeing(PROTOCOL_TCP);

	(void)state;
	a.own.port = 8081;
	assert_disagrees(a, true, "the kernel counted nothing");
	a.snapshot.workload.accepted = 0;
	assert_disagrees(a, true, "the kernel counted nothing"); /* but clients sent */
	a.snapshot.workload.sent = 0;
	assert_agrees(a, true); /* nothing happened, nothing to count */
	a.snapshot.workload.accepted = 100;
	a.snapshot.workload.serve_only = true;
	assert_disagrees(a, true, "the kernel counted nothing");
	a.snapshot.workload.accepted = 0;
	a.snapshot.workload.sent = 7; /* means nothing without clients */
	assert_agrees(a, true);
}

static void tcp_sent_and_arrived(void **state)
{
	struct accounts a = agreeing(PROTOCOL_TCP);

	(void)state;
	a.snapshot.workload.sent = 101;
	assert_disagrees(a, true, "clients made 101 connections, the kernel saw 100 arrive");
	assert_disagrees(a, false, "clients made 101 connections, the kernel counted 100 accepts");
}

static void tcp_arrived_and_accepted(void **state)
{
	struct accounts a = agreeing(PROTOCOL_TCP);

	(void)state;
	a.sockets[1].accepted = 39;
	assert_disagrees(a, true, "the kernel saw 100 connections arrive, but 99 accepted");
	a.snapshot.workload.serve_only = true;
	assert_disagrees(a, true, "the kernel saw 100 connections arrive, but 99 accepted");
	a = agreeing(PROTOCOL_TCP);
	a.sockets[1].arrived = 0; /* not seen at all: no matter */
	assert_agrees(a, false);
}

static void tcp_kernel_and_server(void **state)
{
	struct accounts a = agreeing(PROTOCOL_TCP);

	(void)state;
	a.snapshot.workload.accepted = 99;
	assert_disagrees(a, true, "the server counted 99 accepts, the kernel 100");
}

static void tcp_accepted_and_served(void **state)
{
	struct accounts a = agreeing(PROTOCOL_TCP);

	(void)state;
	a.snapshot.workload.served = 98;
	assert_disagrees(a, true, "the server accepted 100 connections, but served 98");
}

/* A client that gave up: its connection may have arrived, been accepted, been served, or none of
 * it. */
static void tcp_failures_loosen_the_check(void **state)
{
	struct accounts a = agreeing(PROTOCOL_TCP);

	(void)state;
	a.snapshot.workload.failed = 5;
	assert_agrees(a, true);
	a.snapshot.workload.sent = 95;
	a.sockets[0].arrived = 63;
	a.snapshot.workload.served = 97;
	assert_agrees(a, true);
	a.snapshot.workload.sent = 101;
	assert_disagrees(a, true, "clients made 101 connections, the kernel counted 100 accepts");
	a.snapshot.workload.sent = 95;
	a.snapshot.workload.accepted = 99;
	assert_disagrees(a, true, "the server counted 99 accepts, the kernel 100");
	a.snapshot.workload.accepted = 100;
	a.sockets[0].arrived = 59;
	assert_disagrees(a, true, "the kernel saw 99 connections arrive, but 100 accepted");
	assert_agrees(a, false);
}

/* Zeros agree with zeros, and prove nothing. */
static void nothing_was_sent(void **state)
{
	struct accounts a = agreeing(PROTOCOL_TCP);

	(void)state;
	memset(a.sockets, 0, sizeof(a.sockets));
	memset(a.kernel_workers, 0, sizeof(a.kernel_workers));
	a.own.worker_count = a.kernel.worker_count = 0;
	a.snapshot.workload = (struct workload_account){ .slow_worker = -1 };
	assert_agrees(a, true); /* interrupted before the first */
	a.snapshot.workload.failed = 100;
	assert_disagrees(a, true, "nothing was sent");
	strcpy(a.snapshot.workload.failure, "Network is unreachable");
	assert_disagrees(a, true, "nothing was sent: Network is unreachable");
	a.snapshot.workload.serve_only = true;
	assert_agrees(a, true);
}

static void serve_only_leaves_clients_out(void **state)
{
	struct accounts a = agreeing(PROTOCOL_TCP);

	(void)state;
	a.snapshot.workload.serve_only = true;
	a.snapshot.workload.sent = 7;
	a.snapshot.workload.failed = 7;
	assert_agrees(a, true);
	a.snapshot.workload.served = 99; /* a client from outside may say nothing */
	assert_agrees(a, true);
	a.snapshot.workload.served = 101;
	assert_disagrees(a, true, "the server accepted 100 connections, but served 101");
	a = agreeing(PROTOCOL_UDP);
	a.snapshot.workload.serve_only = true;
	a.snapshot.workload.sent = 7;
	assert_agrees(a, true);
}

static void udp_sent_is_delivered_or_dropped(void **state)
{
	struct accounts a = agreeing(PROTOCOL_UDP);

	(void)state;
	a.snapshot.workload.sent = 105;
	a.sockets[0].dropped = 2;
	a.sockets[1].dropped = 3;
	a.snapshot.workload.failed = 5;
	assert_agrees(a, true);
	a.sockets[1].dropped = 2;
	assert_disagrees(a, true,
			 "clients sent 105 datagrams, the kernel delivered 100 and dropped 4");
	assert_agrees(a, false); /* neither arrivals nor drops were seen */
}

static void udp_delivered_and_received(void **state)
{
	struct accounts a = agreeing(PROTOCOL_UDP);

	(void)state;
	a.sockets[0].accepted = 59;
	assert_disagrees(a, true, "the kernel delivered 100 datagrams, but saw 99 received");
	assert_disagrees(a, false, "the server counted 100 datagrams received, the kernel 99");
}

/* Two errors that cancel in the sums show per worker. */
static void workers_disagree(void **state)
{
	struct accounts a = agreeing(PROTOCOL_TCP);

	(void)state;
	a.kernel_workers[0].accepted = 41;
	a.kernel_workers[1].accepted = 59;
	assert_disagrees(a, true, "worker 0 counted 60 accepts, the kernel 59");
	a.own.protocol = PROTOCOL_UDP;
	a.kernel.protocol = PROTOCOL_UDP;
	assert_disagrees(a, true, "worker 0 counted 60 datagrams received, the kernel 59");
	a = agreeing(PROTOCOL_TCP);
	a.own_workers[1].number = -1;
	a.kernel.worker_count = 0; /* rows that are missing count 0 */
	a.own_workers[0].accepted = 0;
	assert_disagrees(a, true, "thread 11 counted 40 accepts, the kernel 0");
}

/* Who read from the connections is held against who served them, where the kernel side followed
 * them. */
static void who_served_disagrees(void **state)
{
	struct accounts a = agreeing(PROTOCOL_TCP);

	(void)state;
	for (int i = 0; i < 2; i++) {
		a.own_workers[i].serves = true;
		a.own_workers[i].served = a.own_workers[i].accepted;
		a.kernel_workers[1 - i].served = a.own_workers[i].accepted;
	}
	a.kernel.served_known = true;
	assert_agrees(a, true);
	a.kernel_workers[1].served--;
	assert_disagrees(a, true, "worker 0 counted 60 connections served, the kernel 59");
	a.kernel.served_known = false;
	assert_agrees(a, true);
	a.kernel.served_known = true;
	a.snapshot.workload.failed = 1; /* a client that gave up may have been read from */
	assert_agrees(a, true);
}

/* Connections that could not be followed were counted all the same. */
static void lost_beside_the_counts_is_no_disagreement(void **state)
{
	struct accounts a = agreeing(PROTOCOL_TCP);
	struct lost_row lost = { "connections_full", "", 7, .beside = true };

	(void)state;
	a.snapshot.lost = &lost;
	a.snapshot.lost_count = 1;
	assert_agrees(a, true);
	lost.beside = false;
	assert_disagrees(a, true, "7 events were lost (connections_full)");
}

static void stranger_took_some(void **state)
{
	struct accounts a = agreeing(PROTOCOL_TCP);

	(void)state;
	a.kernel.worker_count = 3;
	assert_agrees(a, true); /* it waited, and got nothing */
	a.kernel_workers[2].accepted = 2;
	assert_disagrees(
		a, true,
		"the kernel counted 2 accepts by thread 80 (stranger), no worker of the server");
	a.snapshot.workload.serve_only = true;
	assert_disagrees(
		a, true,
		"the kernel counted 2 accepts by thread 80 (stranger), no worker of the server");
}

/* The same thread on a socket that is not its own is a stranger there. */
static void workers_are_told_by_socket_and_process(void **state)
{
	struct accounts a = agreeing(PROTOCOL_TCP);

	(void)state;
	a.kernel_workers[0].cookie = 5;
	assert_disagrees(a, true,
			 "the kernel counted 40 accepts by thread 11 (), no worker of the server");
	a.kernel_workers[0].cookie = 6;
	a.kernel_workers[0].pid = 2; /* nor is another process's thread */
	assert_disagrees(a, true,
			 "the kernel counted 40 accepts by thread 11 (), no worker of the server");
}

static void server_of_no_accepts_took_some(void **state)
{
	struct accounts a = agreeing(PROTOCOL_TCP);

	(void)state;
	a.own_workers[2].accepted = 1; /* handed over by the acceptor: not compared */
	assert_agrees(a, true);
	a.kernel.worker_count = 3;
	a.kernel_workers[2] =
		(struct worker_row){ .pid = 1, .tid = 12, .cookie = 6, .accepted = 1 };
	assert_disagrees(a, true, "worker 2 counted 0 accepts, the kernel 1");
}

/* A thread id that the kernel saw twice is one worker of the server's account. */
static void reused_thread_ids_add_up(void **state)
{
	struct accounts a = agreeing(PROTOCOL_TCP);

	(void)state;
	a.kernel.worker_count = 3;
	a.kernel_workers[2] = a.kernel_workers[1];
	a.kernel_workers[2].start_ns = 9;
	a.kernel_workers[1].accepted = 50;
	a.kernel_workers[2].accepted = 10;
	assert_agrees(a, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_agree),
		cmocka_unit_test(lost_events),
		cmocka_unit_test(kernel_counted_nothing),
		cmocka_unit_test(tcp_sent_and_arrived),
		cmocka_unit_test(tcp_arrived_and_accepted),
		cmocka_unit_test(tcp_kernel_and_server),
		cmocka_unit_test(tcp_accepted_and_served),
		cmocka_unit_test(tcp_failures_loosen_the_check),
		cmocka_unit_test(nothing_was_sent),
		cmocka_unit_test(serve_only_leaves_clients_out),
		cmocka_unit_test(udp_sent_is_delivered_or_dropped),
		cmocka_unit_test(udp_delivered_and_received),
		cmocka_unit_test(workers_disagree),
		cmocka_unit_test(who_served_disagrees),
		cmocka_unit_test(lost_beside_the_counts_is_no_disagreement),
		cmocka_unit_test(stranger_took_some),
		cmocka_unit_test(workers_are_told_by_socket_and_process),
		cmocka_unit_test(server_of_no_accepts_took_some),
		cmocka_unit_test(reused_thread_ids_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
