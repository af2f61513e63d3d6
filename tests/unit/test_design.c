/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which design is recognised from what was seen, and which rows its verdict compares. */
#include "findings_fixture.h"
#include "../../user/model/decision.h"
#include "../../user/model/judge.h"

/* `count` workers on `sockets` sockets in turn; processes, or threads of one. Each took 1,000. */
static void serve(struct fixture *f, int sockets, int count, bool processes, enum wait_kind kind,
		  bool epoll_each)
{
	struct endpoint *e = add_port(f, PROTOCOL_TCP, "0.0.0.0", 80);

	for (int i = 0; i < sockets; i++) {
		add_socket(e, 17 + i, sockets > 1 ? 17 : 0)->arrived = count / sockets * 1000;
		e->sockets[i].waiting_most = count / sockets;
	}
	for (int i = 0; i < count; i++) {
		struct worker_row *w =
			add_worker(e, 17 + i % sockets, processes ? 700 + i : 700, 700 + i);

		w->accepted = 1000;
		w->wait_kind = kind;
		w->epoll = kind == WAITS_EPOLL ? epoll_each ? i + 1 : 1 : 0;
	}
}

static void assert_design(struct fixture *f, enum design_code code, enum design_bins bins,
			  const char *words)
{
	struct endpoint *e = &f->endpoints[0];

	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	assert_string_equal(e->design.words, words);
	assert_string_equal(design_name(e->design.code), design_name(code));
	assert_string_equal(design_bins_name(e->design.bins), design_bins_name(bins));
	assert_int_equal(design_bins_parse(design_bins_name(bins)), bins);
}

static void sockets_of_a_group(void **state)
{
	struct fixture f = {};

	(void)state;
	serve(&f, 4, 4, true, WAITS_EPOLL, true);
	assert_design(&f, DESIGN_SOCKET_EACH, BINS_WORKERS,
		      "4 processes, a SO_REUSEPORT socket each");
	/* one that is busy all the time is a worker all the same */
	f.endpoints[0].workers[3].accepted = 0;
	f.endpoints[0].workers[3].wait_kind = WAITS_NOT;
	assert_design(&f, DESIGN_SOCKET_EACH, BINS_WORKERS,
		      "4 processes, a SO_REUSEPORT socket each");
	f = (struct fixture){};
	serve(&f, 2, 4, false, WAITS_EPOLL, true);
	assert_design(&f, DESIGN_SOCKET_EACH, BINS_SOCKETS, "4 threads on 2 SO_REUSEPORT sockets");
	assert_int_equal(f.endpoints[0].worker_fairness.verdict, VERDICT_NOT_APPLICABLE);
	assert_ptr_equal(endpoint_decisive(&f.endpoints[0]), &f.endpoints[0].socket_fairness);
}

static void one_socket_by_how_they_wait(void **state)
{
	static const struct {
		enum wait_kind kind;
		bool epoll_each, exclusive;
		enum design_code code;
		const char *words;
	} ways[] = {
		{ WAITS_BLOCKED, false, true, DESIGN_SHARED_ACCEPT,
		  "4 processes block in accept() on one socket" },
		{ WAITS_POLL, false, false, DESIGN_SHARED_POLL,
		  "4 processes poll() or select() one socket" },
		{ WAITS_URING, false, true, DESIGN_SHARED_URING,
		  "4 processes accept by io_uring from one socket" },
		{ WAITS_EPOLL, true, false, DESIGN_SHARED_EPOLL,
		  "4 processes on one socket, an epoll each" },
		{ WAITS_EPOLL, true, true, DESIGN_SHARED_EXCLUSIVE,
		  "4 processes on one socket, an epoll each with EPOLLEXCLUSIVE" },
		{ WAITS_EPOLL, false, false, DESIGN_SHARED_EPOLL_FD,
		  "4 processes share 1 epoll of one socket" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		struct fixture f = {};

		serve(&f, 1, 4, true, ways[i].kind, ways[i].epoll_each);
		for (int w = 0; w < 4; w++)
			f.endpoints[0].workers[w].exclusive = ways[i].exclusive;
		assert_design(&f, ways[i].code, BINS_WORKERS, ways[i].words);
		assert_int_equal(f.endpoints[0].worker_fairness.verdict, VERDICT_EVEN);
		assert_true(design_shares_socket(f.endpoints[0].design.code));
		/* two ways contradict, none tells nothing: who could have got work is not known */
		f.endpoints[0].workers[0].wait_kind =
			ways[i].kind == WAITS_POLL ? WAITS_BLOCKED : WAITS_POLL;
		assert_design(&f, DESIGN_UNKNOWN, BINS_NONE,
			      "4 processes on one socket, how they wait differs");
		for (int w = 0; w < 4; w++)
			f.endpoints[0].workers[w].wait_kind = WAITS_NOT;
		assert_design(&f, DESIGN_UNKNOWN, BINS_NONE,
			      "4 processes on one socket, how they wait was not seen");
		assert_int_equal(f.endpoints[0].worker_fairness.withheld, WITHHELD_BINS_UNKNOWN);
	}
}

/* Told by how many waited at once, not by one look. */
static void threads_that_take_turns(void **state)
{
	struct fixture f = {};
	struct endpoint *e = &f.endpoints[0];

	(void)state;
	serve(&f, 1, 11, false, WAITS_EPOLL, false);
	assert_design(&f, DESIGN_SHARED_EPOLL_FD, BINS_WORKERS,
		      "11 threads share 1 epoll of one socket");
	e->sockets[0].waiting_most = 1;
	e->workers[0].accepted = 5000;
	assert_design(&f, DESIGN_TURNS, BINS_NONE, "1 process whose threads take turns");
	assert_int_equal(e->worker_fairness.verdict, VERDICT_NOT_APPLICABLE);
	e->sockets[0].waiting_most = 0; /* nobody was ever seen to wait */
	assert_design(&f, DESIGN_UNKNOWN, BINS_NONE,
		      "11 threads on one socket, whether they wait together was not seen");
	e->sockets[0].waiting_most = 2; /* two such processes may wait, one thread of each */
	for (int i = 6; i < 11; i++) {
		e->workers[i].pid = 706;
		e->workers[i].epoll = 2;
	}
	assert_design(&f, DESIGN_TURNS, BINS_PROCESSES, "2 processes whose threads take turns");
	f = (struct fixture){};
	serve(&f, 3, 12, false, WAITS_EPOLL, false);
	for (int i = 0; i < 3; i++)
		e->sockets[i].waiting_most = 1;
	assert_design(&f, DESIGN_TURNS, BINS_SOCKETS,
		      "1 process whose threads take turns, 3 SO_REUSEPORT sockets");
	assert_int_equal(e->socket_fairness.verdict, VERDICT_EVEN);
}

/* One accepts; five threads or processes serve, so many each. */
static struct endpoint *hand_over(struct fixture *f, bool processes, uint64_t each)
{
	struct endpoint *e = add_port(f, PROTOCOL_TCP, "0.0.0.0", 80);

	e->served_known = true;
	add_socket(e, 17, 0)->arrived = 5 * each;
	e->sockets[0].waiting_most = 1;
	add_worker(e, 17, 700, 700)->accepted = 5 * each;
	e->workers[0].serves = true;
	for (int i = 1; i <= 5; i++) {
		struct worker_row *w = add_worker(e, 17, processes ? 700 + i : 700, 700 + i);

		w->can_accept = false;
		w->wait_kind = WAITS_NOT;
		w->serves = true;
		w->served = each;
	}
	return e;
}

static void one_accepts_others_serve(void **state)
{
	struct fixture f = {};
	struct endpoint *e = hand_over(&f, false, 1000);

	(void)state;
	e->workers[0].serves = false;
	assert_design(&f, DESIGN_HAND_OVER, BINS_SERVING, "1 acceptor, 5 threads serve");
	assert_ptr_equal(endpoint_decisive(e), &e->served_fairness);
	assert_int_equal(e->served_fairness.verdict, VERDICT_EVEN);
	e->workers[0].serves = true;
	e->workers[0].served = 9000; /* a runtime of which one thread alone was seen to accept, or a
					main thread that helps */
	assert_design(&f, DESIGN_HAND_OVER, BINS_NONE, "1 acceptor, it and 5 threads serve");
	assert_int_equal(e->served_fairness.verdict, VERDICT_NOT_APPLICABLE);
	e->worker_count = 1;
	e->workers[0].served = 0;
	assert_design(&f, DESIGN_ALONE, BINS_NONE, "1 process accepts all");
	e->workers[0].accepted = 0;
	assert_design(&f, DESIGN_ALONE, BINS_NONE, "1 process waits");
	e->worker_count = 0;
	assert_design(&f, DESIGN_UNKNOWN, BINS_NONE, "nobody was seen to take from it");
}

static void one_for_each_connection(void **state)
{
	struct fixture f = {};
	struct endpoint *e = hand_over(&f, true, 1);

	(void)state;
	e->workers[0].serves = false;
	for (int i = 1; i <= 5; i++) {
		e->workers[i].appeared = true;
		e->workers[i].lived_ns = i; /* no bins, so nothing is withheld for that */
	}
	assert_design(&f, DESIGN_PER_CONNECTION, BINS_NONE, "a process for each connection");
	assert_int_equal(e->served_fairness.verdict, VERDICT_NOT_APPLICABLE);
	for (int i = 1; i <= 5; i++)
		e->workers[i].pid = 700;
	assert_design(&f, DESIGN_PER_CONNECTION, BINS_NONE, "a thread for each connection");
	for (int i = 1; i <= 3; i++)
		e->workers[i].appeared = false; /* so few of five may be a pool that grows */
	assert_design(&f, DESIGN_HAND_OVER, BINS_SERVING, "1 acceptor, 5 threads serve");
	for (int i = 1; i <= 4; i++)
		e->workers[i].appeared = true;
	e->workers[5].served = 40; /* most were served by one that was there before */
	e->workers[5].appeared = false;
	assert_design(&f, DESIGN_HAND_OVER, BINS_SERVING, "1 acceptor, 5 threads serve");
	e->workers[5].served = 1;
	e->omitted =
		(struct omitted){ .workers = 2000, .served = 2000 }; /* their rows are folded */
	for (int i = 1; i <= 5; i++)
		e->workers[i].appeared = true;
	assert_design(&f, DESIGN_PER_CONNECTION, BINS_NONE, "a thread for each connection");
}

/* What misses one sign of a design is not that design. */
static void one_sign_is_missing(void **state)
{
	struct fixture f = {};
	struct endpoint *e = &f.endpoints[0];

	(void)state;
	serve(&f, 1, 4, true, WAITS_EPOLL, true);
	for (int i = 0; i < 3; i++)
		e->workers[i].exclusive = true;
	assert_design(&f, DESIGN_SHARED_EPOLL, BINS_WORKERS,
		      "4 processes on one socket, an epoll each");
	e->workers[3].ended = true; /* one that left is no worker beside those that stay */
	assert_design(&f, DESIGN_SHARED_EXCLUSIVE, BINS_WORKERS,
		      "3 processes on one socket, an epoll each with EPOLLEXCLUSIVE");
	f = (struct fixture){};
	serve(&f, 1, 11, false, WAITS_EPOLL, false);
	e->sockets[0].waiting_most = 1;
	e->workers[3].wait_kind = WAITS_BLOCKED;
	assert_design(&f, DESIGN_UNKNOWN, BINS_NONE,
		      "11 threads on one socket, how they wait differs");
	e->workers[3].wait_kind = WAITS_POLL;
	assert_design(&f, DESIGN_UNKNOWN, BINS_NONE,
		      "11 threads on one socket, how they wait differs");
	e->workers[3].wait_kind = WAITS_EPOLL;
	e->workers[3].epoll = 2; /* a runtime has one */
	assert_design(&f, DESIGN_UNKNOWN, BINS_NONE,
		      "11 threads on one socket, whether they wait together was not seen");
	e->workers[3].epoll = 1;
	for (int i = 0; i < 11; i++)
		e->workers[i].number = i; /* of a workload, whose workers are known */
	assert_design(&f, DESIGN_UNKNOWN, BINS_WORKERS, "11 threads on one socket");
}

static void sockets_that_are_not_one_each(void **state)
{
	struct fixture f = {};
	struct endpoint *e = &f.endpoints[0];

	(void)state;
	serve(&f, 4, 4, false, WAITS_EPOLL, true);
	e->workers[1].tid = e->workers[0].tid; /* two threads, two sockets each */
	e->workers[3].tid = e->workers[2].tid;
	assert_design(&f, DESIGN_SOCKET_EACH, BINS_SOCKETS, "2 threads on 4 SO_REUSEPORT sockets");
	e->sockets[0].ended = e->sockets[1].ended = true;
	assert_design(&f, DESIGN_SOCKET_EACH, BINS_SOCKETS, "2 threads on 2 SO_REUSEPORT sockets");
	for (int i = 0; i < 4; i++)
		e->workers[i].tid = 700;
	assert_design(&f, DESIGN_SOCKET_EACH, BINS_SOCKETS,
		      "1 thread takes from 2 SO_REUSEPORT sockets");
	f = (struct fixture){};
	e = add_port(&f, PROTOCOL_UDP, "127.0.0.1", 443);
	add_socket(e, 17, 17)->connected = true;
	add_socket(e, 18, 17)->connected = true;
	assert_design(&f, DESIGN_CONNECTED, BINS_NONE, "2 connected sockets, a peer each");
}

static void udp(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_UDP, "0.0.0.0", 53);

	(void)state;
	add_socket(e, 17, 0);
	add_worker(e, 17, 700, 701)->accepted = 900;
	assert_design(&f, DESIGN_ALONE, BINS_NONE, "1 thread reads all");
	add_worker(e, 17, 700, 702)->accepted = 900;
	assert_design(&f, DESIGN_SHARED_ACCEPT, BINS_WORKERS,
		      "2 threads block in a read on one socket");
	add_socket(e, 18, 0);
	assert_design(&f, DESIGN_LAST_BINDER, BINS_SOCKETS, "2 sockets by SO_REUSEADDR");
}

/* One of four that agree on who waits (an accept mutex) took all, and the others were never seen to
 * wait: that is no all-clear. */
static void siblings_that_may_wait(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);

	(void)state;
	add_socket(e, 17, 0)->waiting_most = 1;
	add_worker(e, 17, 700, 700)->accepted = 900;
	e->sockets[0].waiting_known = true;
	assert_design(&f, DESIGN_ALONE, BINS_NONE, "1 process accepts all");
	assert_int_equal(endpoint_decide(e).outcome, OUTCOME_ALONE);
	e->unsure_siblings = 3;
	assert_design(&f, DESIGN_UNKNOWN, BINS_NONE,
		      "1 process accepts all; whether 3 siblings that hold the socket would is not "
		      "known");
	assert_int_equal(endpoint_decide(e).outcome, OUTCOME_WITHHELD);
	assert_int_equal(endpoint_decide(e).why, WITHHELD_BINS_UNKNOWN);
	/* Of two that took in turns neither is the verdict; of two that wait together it is. */
	add_worker(e, 17, 701, 701)->accepted = 900;
	e->unsure_siblings = 2;
	assert_int_equal(endpoint_judge(e, 0.2), 0);
	assert_int_equal(endpoint_decide(e).why, WITHHELD_BINS_UNKNOWN);
	e->workers[1].accepted = 90; /* uneven, whoever else there is */
	assert_int_equal(endpoint_judge(e, 0.2), 0);
	assert_int_equal(endpoint_decide(e).outcome, OUTCOME_UNEVEN);
	e->workers[1].accepted = 900;
	e->sockets[0].waiting_most = 2;
	assert_int_equal(endpoint_judge(e, 0.2), 0);
	assert_int_equal(endpoint_decide(e).outcome, OUTCOME_EVEN);
}

/* What has ended may have followed each other: two that were there at once share. */
static void udp_one_after_the_other(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_UDP, "0.0.0.0", 53);

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct socket_row *s = add_socket(e, 17 + i, 0);

		add_worker(e, 17 + i, 700, 701)->accepted = 1;
		s->appeared = s->ended = true;
	}
	assert_design(&f, DESIGN_UNKNOWN, BINS_NONE,
		      "2 sockets, closed by now: one after the other, or by SO_REUSEADDR");
	e->sockets[0].appeared = e->sockets[1].appeared = false;
	assert_design(&f, DESIGN_LAST_BINDER, BINS_SOCKETS, "2 sockets by SO_REUSEADDR");
	e->sockets[0].appeared = e->sockets[1].appeared = true;
	e->sockets[0].ended = e->sockets[1].ended = false;
	assert_design(&f, DESIGN_LAST_BINDER, BINS_SOCKETS, "2 sockets by SO_REUSEADDR");
}

/* By where datagrams were sent to; where that is not seen, by who is a member. */
static void multicast(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_UDP, "0.0.0.0", 5353);
	struct socket_row *a = add_socket(e, 17, 0), *b = add_socket(e, 18, 0);

	(void)state;
	add_worker(e, 17, 700, 700)->accepted = 900;
	add_worker(e, 18, 701, 701)->accepted = 950;
	a->arrived = 900;
	b->arrived = 950;
	assert_design(&f, DESIGN_LAST_BINDER, BINS_SOCKETS, "2 sockets by SO_REUSEADDR");
	a->member = true;
	assert_design(&f, DESIGN_MULTICAST, BINS_NONE,
		      "members of multicast groups: copies and unicast are not told apart");
	assert_int_equal(e->socket_fairness.verdict, VERDICT_NOT_APPLICABLE);
	a->copies_known = b->copies_known = true; /* seen, and none was a copy */
	assert_design(&f, DESIGN_LAST_BINDER, BINS_SOCKETS, "2 sockets by SO_REUSEADDR");
	a->copies = 900;
	b->copies = 900;
	assert_design(&f, DESIGN_LAST_BINDER, BINS_SOCKETS,
		      "2 sockets by SO_REUSEADDR; copies of multicast are left out");
	assert_int_equal(e->socket_fairness.events, 50);
	assert_int_equal(e->worker_fairness.verdict, VERDICT_NOT_APPLICABLE);
	b->copies = 935;   /* an answer now and then is no share */
	a->member = false; /* what others joined comes to who listens on any address too */
	assert_design(&f, DESIGN_MULTICAST, BINS_NONE, "multicast: each socket gets a copy");
	assert_int_equal(e->worker_fairness.verdict, VERDICT_NOT_APPLICABLE);
	a->copies = b->copies = a->arrived = b->arrived = 0;
	a->member = true; /* nothing came */
	e->workers[0].accepted = e->workers[1].accepted = 0;
	assert_design(&f, DESIGN_MULTICAST, BINS_NONE, "multicast: each socket gets a copy");
	assert_int_equal(inet_pton(AF_INET, "239.1.2.3", e->address), 1);
	a->member = false;
	assert_design(&f, DESIGN_MULTICAST, BINS_NONE, "multicast: each socket gets a copy");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sockets_of_a_group),
		cmocka_unit_test(one_socket_by_how_they_wait),
		cmocka_unit_test(threads_that_take_turns),
		cmocka_unit_test(one_accepts_others_serve),
		cmocka_unit_test(one_for_each_connection),
		cmocka_unit_test(one_sign_is_missing),
		cmocka_unit_test(sockets_that_are_not_one_each),
		cmocka_unit_test(udp),
		cmocka_unit_test(siblings_that_may_wait),
		cmocka_unit_test(udp_one_after_the_other),
		cmocka_unit_test(multicast),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
