/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Findings about the queue of one socket: user/model/findings_queue.c. */
#include "findings_fixture.h"

#include "../../user/model/findings_rules.h"

static void queue_near_limit_of_tcp(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);
	struct socket_row *s = add_socket(e, 17, 0);

	(void)state;
	s->queue_length = 95;
	assert_nothing(&f);
	s->queue_length = 96;
	fill(&f);
	assert_finding(
		e, "queue-near-limit",
		"the accept queue of socket 17 (inode 1017) holds 96, its limit is 128: when full, "
		"connections wait or fail; accept faster, or raise listen()'s backlog and "
		"net.core.somaxconn");
	assert_int_equal(e->findings[0].cookie, 17);
	assert_int_equal(evidence(&e->findings[0], "length"), 96);
	assert_int_equal(evidence(&e->findings[0], "limit"), 128);
	s->queue_limit = 3; /* full, but a queue of three is none */
	s->queue_length = 3;
	assert_nothing(&f);
}

static void queue_that_was_full(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);
	struct socket_row *s = add_socket(e, 17, 0);

	(void)state;
	s->queue_limit = 10;
	s->highest_known = s->full_known = true;
	s->queue_highest = 11;
	fill(&f);
	assert_finding(e, "queue-near-limit",
		       "the accept queue of socket 17 (inode 1017) was full: its longest was 11, "
		       "its limit is 10 (N holds N + 1),"
		       " and a connection more would have been dropped; accept faster, or raise "
		       "listen()'s backlog and net.core.somaxconn");
	assert_int_equal(e->findings[0].level, FINDING_PROBLEM);
	assert_int_equal(evidence(&e->findings[0], "highest"), 11);
	assert_true(evidence(&e->findings[0], "full_seconds") == 0);
	s->full_ns = 1200000000;
	fill(&f);
	assert_non_null(strstr(e->findings[0].text, " was full for 1.2 s: its longest was 11, "));
	s->highest_known =
		false; /* the backend sees no arrivals: by two looks that found it full */
	fill(&f);
	assert_non_null(
		strstr(e->findings[0].text, " was full for 1.2 s: its limit is 10 (N holds"));
	s->queue_length = 11; /* it is still */
	fill(&f);
	assert_int_equal(e->finding_count, 1);
	assert_non_null(strstr(e->findings[0].text, " holds 11, "));
	s->queue_length = 0;
	s->drops = 3; /* that says more */
	s->highest_known = true;
	fill(&f);
	assert_int_equal(e->finding_count, 1);
	assert_string_equal(e->findings[0].code, "backlog-small");
	s->drops = 0;
	s->queue_limit = 2; /* a queue of three is none */
	s->queue_highest = 3;
	assert_nothing(&f);
	s->queue_limit = 3;
	s->queue_highest = 4;
	fill(&f);
	assert_true(has(e, "queue-near-limit"));
	done(&f);
}

static void queue_that_was_nearly_full(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);
	struct socket_row *s = add_socket(e, 17, 0);

	(void)state;
	s->highest_known = s->full_known = true;
	s->queue_highest = 95;
	assert_nothing(&f);
	for (s->queue_highest = 96; s->queue_highest <= 128;
	     s->queue_highest += 32) { /* there was room for one more */
		fill(&f);
		assert_int_equal(e->finding_count, 1);
		assert_int_equal(e->findings[0].level, FINDING_NOTE);
	}
	s->queue_highest = 96;
	fill(&f);
	assert_finding(e, "queue-near-limit",
		       "the accept queue of socket 17 (inode 1017) was nearly full: its longest "
		       "was 96, its limit is 128");
	s->highest_known = false; /* of a window before */
	assert_nothing(&f);
	s->highest_known = true;
	e->protocol = PROTOCOL_UDP;
	assert_nothing(&f);
	e->protocol = PROTOCOL_TCP;
	s->queue_limit = 3;
	s->queue_highest = 3;
	assert_nothing(&f);
}

static void queue_near_limit_of_udp(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_UDP, "0.0.0.0", 53);
	struct socket_row *s = add_socket(e, 17, 0);

	(void)state;
	s->queue_limit = 0xffffffff; /* no overflow */
	s->queue_length = 0x80000000;
	assert_nothing(&f);
	s->queue_limit = 212992;
	s->queue_length = 159744;
	fill(&f);
	assert_finding(
		e, "queue-near-limit",
		"the receive buffer of socket 17 (inode 1017) holds 159744 of 212992 bytes: when "
		"full, "
		"datagrams are dropped; read faster, or raise SO_RCVBUF and net.core.rmem_max");
	done(&f);
}

static void socket_unwaited_while_others_wait(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);

	(void)state;
	add_socket(e, 17, 17);
	add_socket(e, 18, 17)->waiting = 0;
	for (int i = 0; i < 5; i++)
		add_holder(e, 18, 700 + i, "nginx");
	fill(&f);
	assert_finding(e, "socket-unwaited",
		       "no thread waits on socket 18 (inode 1018), one of 2 in its SO_REUSEPORT "
		       "group: its share "
		       "goes nowhere (0 queued); held by nginx 700, nginx 701, nginx 702 and 2 "
		       "more: close it there, or accept from it");
	assert_int_equal(e->findings[0].cookie, 18);
	done(&f);
}

static void socket_unwaited_with_a_queue(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);
	struct socket_row *s = add_socket(e, 17, 17);

	(void)state;
	s->waiting = 0;
	s->queue_length = 3;
	s->appeared = true;
	fill(&f);
	assert_int_equal(e->finding_count, 1);
	assert_string_equal(e->findings[0].code, "socket-unwaited");
	assert_non_null(strstr(e->findings[0].text, "(3 queued); held by no process seen"));
	done(&f);
}

/* As an upgrade leaves them that waits for the old process to drain, which has stopped to read. */
static void sockets_unwaited_have_one_cause(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_UDP, "0.0.0.0", 443);

	(void)state;
	for (uint64_t cookie = 21; cookie <= 24; cookie++)
		add_socket(e, cookie, 21);
	for (uint64_t cookie = 22; cookie <= 24; cookie++) {
		struct socket_row *s = &e->sockets[cookie - 21];

		s->waiting = 0;
		s->queue_length = s->queue_limit = 212992;
		s->drops = 5;
		add_holder(e, cookie, 700, "old");
	}
	fill(&f);
	assert_int_equal(e->finding_count, 1);
	assert_finding(e, "socket-unwaited",
		       "no thread waits on socket 22 (inode 1022) and 2 more, of 4 in a "
		       "SO_REUSEPORT group: their share goes "
		       "nowhere (638976 bytes queued, 15 dropped); held by old 700: close them "
		       "there, or read from them");
	assert_int_equal(evidence(&e->findings[0], "unwaited"), 3);
	add_look(&e->holders[0], 'S', "__do_sys_pause");
	fill(&f);
	assert_non_null(strstr(
		e->findings[0].text,
		"held by old 700, which sleeps in pause() (__do_sys_pause): close them there, or"));
	assert_string_equal(e->findings[0].cause, "asleep");
	e->holders[0].hindrance.looks = 0;
	e->holders[2].pid = 701;
	fill(&f);
	assert_non_null(
		strstr(e->findings[0].text, "held by old 700, others by other processes: close"));
	e->sockets[1].waiting = e->sockets[2].waiting = e->sockets[3].waiting = 1;
	fill(&f);
	assert_int_equal(e->finding_count, 3);
	assert_string_equal(e->findings[0].code, "queue-near-limit");
	done(&f);
}

/* Its queue was full, and the kernel dropped something. */
static struct socket_row *add_overflowed(struct endpoint *e)
{
	struct socket_row *s = add_socket(e, 17, 0);

	s->drops = 45;
	s->highest_known = s->full_known = true;
	s->queue_highest = 129;
	return s;
}

static void backlog_small_by_listen(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);

	(void)state;
	add_overflowed(e)->full_ns = 1500000000;
	f.snapshot.somaxconn = 4096;
	f.snapshot.somaxconn_netns = e->netns;
	fill(&f);
	assert_finding(
		e, "backlog-small",
		"the accept queue of socket 17 (inode 1017) overflowed: 45 SYNs and ACKs dropped "
		"(a retransmission"
		" counts again); its longest was 129, its limit is 128 (N holds N + 1): listen()'s "
		"backlog sets it (or what"
		" net.core.somaxconn was then): raise that and listen again, or accept faster");
	assert_int_equal(evidence(&e->findings[0], "drops"), 45);
	assert_int_equal(evidence(&e->findings[0], "limit"), 128);
	assert_int_equal(evidence(&e->findings[0], "highest"), 129);
	assert_true(evidence(&e->findings[0], "full_seconds") == 1.5);
	assert_int_equal(evidence(&e->findings[0], "somaxconn"), 4096);
	done(&f);
}

static void backlog_small_by_somaxconn(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);
	struct socket_row *s = add_overflowed(e);

	(void)state;
	f.snapshot.somaxconn = 128;
	f.snapshot.somaxconn_netns = e->netns;
	fill(&f);
	assert_non_null(strstr(e->findings[0].text, "(N holds N + 1): net.core.somaxconn caps it: "
						    "raise that, and listen()'s backlog, or"));
	f.snapshot.somaxconn_netns++; /* of another namespace it is not known */
	s->highest_known = false;
	s->full_ns = 1;
	s->cookie = s->drops = UINT64_MAX;
	s->inode = s->queue_limit = UINT32_MAX;
	fill(&f);
	assert_finding(e, "backlog-small",
		       "the accept queue of socket 18446744073709551615 (inode 4294967295) "
		       "overflowed: 18446744073709551615"
		       " SYNs and ACKs dropped (a retransmission counts again); its limit is "
		       "4294967295 (N holds N + 1): raise listen()'s"
		       " backlog (and net.core.somaxconn, which caps it), or accept faster");
	done(&f);
}

static void backlog_is_large_enough(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);
	struct socket_row *s = add_overflowed(e);

	(void)state;
	s->queue_highest = 127; /* there was room: the drops have another reason */
	fill(&f);
	assert_false(has(e, "backlog-small"));
	s->queue_highest = 129; /* full, but all fitted */
	s->drops = 0;
	fill(&f);
	assert_false(has(e, "backlog-small"));
	done(&f);
	s->drops = 45;
	s->highest_known = false; /* the 129 means nothing */
	assert_nothing(&f);
}

/* What overflowed is near its limit: told once. */
static void backlog_small_stands_for_queue_near_limit(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);
	struct socket_row *s = add_overflowed(e);

	(void)state;
	s->queue_length = 129;
	fill(&f);
	assert_int_equal(e->finding_count, 1);
	assert_string_equal(e->findings[0].code, "backlog-small");
	s->drops = 0;
	fill(&f);
	assert_int_equal(e->finding_count, 1);
	assert_string_equal(e->findings[0].code, "queue-near-limit");
	done(&f);
}

static void closed_with_queue(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);
	struct socket_row *s = add_socket(e, 17, 17);

	(void)state;
	s->ended = true;
	s->migrated = 3; /* moved, none lost */
	assert_nothing(&f);
	s->dropped_closing = 12;
	fill(&f);
	assert_finding(e, "closed-with-queue",
		       "socket 17 (inode 1017) was closed with a queue: 12 connections were reset, "
		       "3 moved to another"
		       " socket; take what is queued before you close");
	assert_int_equal(e->findings[0].cookie, 17);
	assert_int_equal(evidence(&e->findings[0], "reset"), 12);
	assert_int_equal(evidence(&e->findings[0], "migrated"), 3);
	s->migrated = 0;
	fill(&f);
	assert_finding(e, "closed-with-queue",
		       "socket 17 (inode 1017) was closed with a queue: 12 connections were reset; "
		       "take what is queued before"
		       " you close, or set net.ipv4.tcp_migrate_req=1 (Linux 5.14): then another "
		       "of its SO_REUSEPORT group gets them");
	s->reuseport = false; /* there is nobody to move to */
	s->dropped_closing = 1;
	fill(&f);
	assert_finding(e, "closed-with-queue",
		       "socket 17 (inode 1017) was closed with a queue: 1 connection was reset; "
		       "take what is queued before"
		       " you close");
	done(&f);
}

static void accepted_dead(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);
	struct socket_row *s = add_socket(e, 17, 0);

	(void)state;
	s->accepted = 1000;
	s->reset_queued = 10;
	add_waits(e, s, 1000, 4200000);
	fill(&f);
	assert_finding(e, "accepted-dead",
		       "10 of 1000 connections accepted from socket 17 (inode 1017) were dead: the "
		       "client had reset them while they"
		       " were queued (the longest wait: 4.2 s); accept faster: more workers, or "
		       "less work between two accepts");
	assert_int_equal(evidence(&e->findings[0], "reset"), 10);
	assert_int_equal(evidence(&e->findings[0], "accepted"), 1000);
	assert_true(evidence(&e->findings[0], "wait_max_ns") == 4.2e9);
	s->wait_known = false;
	fill(&f);
	assert_non_null(strstr(e->findings[0].text, "while they were queued; accept faster"));
	done(&f);
}

/* Single clients die at any time; a health check resets at once. */
static void some_clients_always_die(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);
	struct socket_row *s = add_socket(e, 17, 0);

	(void)state;
	s->accepted = 901;
	s->reset_queued = 9; /* fewer than one in a hundred */
	assert_nothing(&f);
	s->accepted = 40;
	s->reset_queued = 4;
	assert_nothing(&f);
	s->reset_queued = 20; /* every other is a check */
	add_waits(e, s, 40, 99999);
	assert_nothing(&f);
	s->queued_before = 1; /* that one may have waited long */
	fill(&f);
	assert_true(has(e, "accepted-dead"));
	done(&f);
}

/* Several problems of one port come before its notes, in the order of the rules. */
static void problems_come_first(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);

	(void)state;
	add_socket(e, 17, 0)->queue_length = 100;
	add_worker(e, 17, 700, 700);
	add_worker(e, 17, 701, 701);
	add_stalled(e, 18, 0);
	fill(&f);
	assert_int_equal(e->finding_count, 3);
	assert_string_equal(e->findings[0].code, "stalled-socket");
	assert_string_equal(e->findings[1].code, "queue-near-limit");
	assert_string_equal(e->findings[2].code, "shared-socket");
	assert_int_equal(e->findings[1].level, FINDING_PROBLEM);
	assert_int_equal(e->findings[2].level, FINDING_NOTE);
	done(&f);
}

/* The highest numbers fit (fill() looks). */
static void long_texts_fit(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);
	struct socket_row *s = add_socket(e, UINT64_MAX, UINT64_MAX);

	(void)state;
	s->inode = UINT32_MAX;
	s->dropped_closing = s->migrated = s->accepted = UINT64_MAX;
	s->reset_queued = UINT64_MAX / 100 + 1;
	add_waits(e, s, 1, 999999000000);
	fill(&f);
	assert_true(has(e, "closed-with-queue") && has(e, "accepted-dead"));
	done(&f);
}

/* Three digits, and no "1000 ms". */
static void durations_are_readable(void **state)
{
	static const struct {
		double ns;
		const char *text;
	} cases[] = {
		{ 0, "0 us" },         { 740e3, "740 us" },    { 999.4e3, "999 us" },
		{ 999.5e3, "1.0 ms" }, { 12.34e6, "12.3 ms" }, { 99.94e6, "99.9 ms" },
		{ 99.95e6, "100 ms" }, { 999.4e6, "999 ms" },  { 999.5e6, "1.0 s" },
		{ 4.2e9, "4.2 s" },    { 99.95e9, "100 s" },   { 600e9, "600 s" },
		{ 601e9, "10 min" },   { 7199e9, "120 min" },  { 7200e9, "2.0 h" },
		{ 1e13, "2.8 h" },
	};
	char text[DURATION_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_string_equal(say_duration(text, cases[i].ns), cases[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queue_near_limit_of_tcp),
		cmocka_unit_test(queue_that_was_full),
		cmocka_unit_test(queue_that_was_nearly_full),
		cmocka_unit_test(queue_near_limit_of_udp),
		cmocka_unit_test(socket_unwaited_while_others_wait),
		cmocka_unit_test(socket_unwaited_with_a_queue),
		cmocka_unit_test(sockets_unwaited_have_one_cause),
		cmocka_unit_test(backlog_small_by_listen),
		cmocka_unit_test(backlog_small_by_somaxconn),
		cmocka_unit_test(backlog_is_large_enough),
		cmocka_unit_test(backlog_small_stands_for_queue_near_limit),
		cmocka_unit_test(closed_with_queue),
		cmocka_unit_test(accepted_dead),
		cmocka_unit_test(some_clients_always_die),
		cmocka_unit_test(problems_come_first),
		cmocka_unit_test(long_texts_fit),
		cmocka_unit_test(durations_are_readable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
