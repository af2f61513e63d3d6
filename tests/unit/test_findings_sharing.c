/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Findings about why work is shared as it is: user/model/findings_sharing.c. */
#include "findings_fixture.h"
#include "../../user/model/judge.h"

static void shared_socket_is_told(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);

	(void)state;
	add_socket(e, 17, 0);
	for (int i = 0; i < 4; i++)
		add_worker(e, 17, 700 + i / 2, 700 + i);
	add_worker(e, 17, 699, 699)->can_accept = false; /* the master */
	add_worker(e, 17, 698, 698)->ended = true;
	fill(&f);
	assert_finding(e, "shared-socket",
		       "4 workers (of 2 processes) on one socket, 17: which of them wakes decides "
		       "who gets the work; "
		       "with SO_REUSEPORT each could have its own");
	assert_int_equal(e->findings[0].cookie, 17);
	assert_int_equal(evidence(&e->findings[0], "workers"), 4);
	done(&f);
	/* shared well */
	e->workers[0].accepted = 500;
	assert_nothing(&f);
	done(&f);
	e->worker_fairness.verdict = VERDICT_UNEVEN;
	fill(&f);
	assert_finding(e, "shared-socket",
		       "4 workers (of 2 processes) on one socket, 17: which of them wakes decides "
		       "who gets the work; "
		       "with SO_REUSEPORT each could have its own");
	done(&f);
	e->workers[0].accepted = 0;
	e->worker_count = 1;
	assert_nothing(&f);
}

/* `count` workers on one socket, each waiting that way; epoll: of the first, each has its own. What
 * they took is judged. */
/* Each connection wakes all of them. */
static void add_waiters(struct endpoint *e, uint64_t cookie, const uint64_t *accepted, int count,
			enum wait_kind kind, bool exclusive)
{
	uint64_t all = 0;

	for (int i = 0; i < count; i++)
		all += accepted[i];
	for (int i = 0; i < count; i++) {
		struct worker_row *w = add_worker(e, cookie, 700 + i, 700 + i);

		strcpy(w->process, "web");
		w->accepted = accepted[i];
		w->wait_kind = kind;
		w->exclusive = exclusive;
		w->epoll = kind == WAITS_EPOLL ? cookie * 100 + i : 0;
		w->usage_known = true;
		w->sleeps = all;
	}
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
}

static const uint64_t uneven[] = { 25082, 12155, 2502, 261 }, fair[] = { 10050, 9950, 10020, 9980 };

static void wake_order_of_exclusive_epolls(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);

	(void)state;
	add_socket(e, 17, 0);
	add_waiters(e, 17, uneven, 4, WAITS_EPOLL, true);
	fill(&f);
	assert_finding(e, "wake-order",
		       "4 workers share socket 17 (inode 1017) unevenly: 4 epolls with "
		       "EPOLLEXCLUSIVE wait on it, the first"
		       " registered that is idle is woken (web 700 took 25082 of 40000); for an "
		       "even share give each its own SO_REUSEPORT"
		       " socket");
	assert_int_equal(e->findings[0].level, FINDING_PROBLEM);
	assert_int_equal(e->findings[0].cookie, 17);
	assert_int_equal(evidence(&e->findings[0], "workers"), 4);
	assert_int_equal(evidence(&e->findings[0], "busiest_tid"), 700);
	assert_int_equal(evidence(&e->findings[0], "busiest_accepted"), 25082);
	assert_int_equal(evidence(&e->findings[0], "accepted"), 40000);
	assert_int_equal(evidence(&e->findings[0], "exclusive_epolls"), 4);
	done(&f);
}

/* Two have just come: what is uneven is so among the two that were there all the time, as the
 * verdict says. */
static void wake_order_is_of_those_that_are_judged(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);

	(void)state;
	add_socket(e, 17, 0);
	add_waiters(e, 17, uneven, 4, WAITS_EPOLL, true);
	e->workers[2].appeared = e->workers[3].appeared = true;
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(e->worker_fairness.bins, 2);
	fill(&f);
	assert_finding(e, "wake-order",
		       "4 workers (2 of them new) share socket 17 (inode 1017) unevenly: 4 epolls "
		       "with EPOLLEXCLUSIVE wait on it, the"
		       " first registered that is idle is woken (web 700 took 25082 of 37237); for "
		       "an even share give each its own SO_REUSEPORT"
		       " socket");
	done(&f);
	e->workers[0].accepted = e->workers[1].accepted =
		18000; /* that the new have less is their age */
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	fill(&f);
	assert_false(has(e, "wake-order"));
	done(&f);
}

/* Counts or waiters that are not whole: no word about how they share. */
static void sharing_is_not_told_of_what_is_withheld(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);

	(void)state;
	add_socket(e, 17, 17)->waiting_most = 4;
	add_waiters(e, 17, uneven, 4, WAITS_POLL, false);
	fill(&f);
	assert_true(has(e, "thundering-herd"));
	e->sockets[0].waiting_cut = true;
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	fill(&f);
	assert_int_equal(e->finding_count, 0);
	e->sockets[0].waiting_cut = false;
	e->lost.accepted = 1;
	for (int i = 0; i < 4; i++)
		e->workers[i].wait_kind = WAITS_BLOCKED;
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	fill(&f);
	assert_int_equal(e->finding_count, 0); /* neither lone-reuseport nor shared-socket */
	done(&f);
}

static void wake_order_of_one_epoll(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);

	(void)state;
	add_socket(e, 17, 0);
	add_waiters(e, 17, uneven, 4, WAITS_EPOLL, false);
	for (int i = 0; i < 4; i++) {
		e->workers[i].epoll = 5;
		e->workers[i].pid = 700;
	}
	e->workers[0].tid = 703;
	e->workers[3].tid = 700;
	fill(&f);
	assert_finding(e, "wake-order",
		       "4 workers share socket 17 (inode 1017) unevenly: 4 threads wait on one "
		       "epoll of it, the last to start"
		       " waiting is woken first (thread 703 of web 700 took 25082 of 40000); for "
		       "an even share give each its own SO_REUSEPORT"
		       " socket");
	assert_int_equal(evidence(&e->findings[0], "epoll_threads"), 4);
	done(&f);
}

static void wake_order_of_io_uring(void **state)
{
	static const uint64_t one[] = { 40000, 0, 0, 0 };
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);

	(void)state;
	add_socket(e, 17, 0)->cookie = UINT64_MAX;
	e->sockets[0].inode = UINT32_MAX;
	add_waiters(e, UINT64_MAX, one, 4, WAITS_URING, true);
	e->workers[0].pid = 4194303;
	e->workers[0].tid = 4194304;
	strcpy(e->workers[0].process, "fifteen_letters");
	fill(&f);
	assert_finding(e, "wake-order",
		       "4 workers share socket 18446744073709551615 (inode 4294967295) unevenly: 4 "
		       "threads accept by io_uring, one"
		       " ring takes nearly all (thread 4194304 of fifteen_letters 4194303 took "
		       "40000 of 40000); for an even share give each its"
		       " own SO_REUSEPORT socket");
	assert_int_equal(evidence(&e->findings[0], "rings"), 4);
	done(&f);
}

static void wake_order_only_where_it_is_uneven(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);

	(void)state;
	add_socket(e, 17, 0);
	add_waiters(e, 17, fair, 4, WAITS_EPOLL, true);
	fill(&f);
	assert_finding(e, "even",
		       "4 workers share 40000 connections as evenly as chance allows: CV 0.00381, "
		       "a fair hash gives 0.00866: nothing to fix");
	done(&f);
}

/* Each of two sockets is shared well by its threads: that one socket gets more is not their waking.
 */
static void wake_order_is_not_blamed_for_the_sockets(void **state)
{
	static const uint64_t many[] = { 9000, 9000 }, few[] = { 100, 100 };
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);

	(void)state;
	add_socket(e, 17, 17);
	add_socket(e, 18, 17);
	add_waiters(e, 17, many, 2, WAITS_EPOLL, true);
	add_waiters(e, 18, few, 2, WAITS_EPOLL, true);
	for (int i = 2; i < 4; i++)
		e->workers[i].tid = e->workers[i].pid += 100;
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(e->design.bins, BINS_SOCKETS);
	assert_int_equal(e->worker_fairness.verdict, VERDICT_NOT_APPLICABLE);
	fill(&f);
	assert_false(has(e, "wake-order"));
	done(&f);
}

/* Blocked in accept(), or nobody knows how they wait: no order is known. */
static void wake_order_only_if_it_is_known(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);

	(void)state;
	add_socket(e, 17, 0);
	add_waiters(e, 17, uneven, 4, WAITS_BLOCKED, true);
	fill(&f);
	assert_int_equal(e->finding_count, 1);
	assert_string_equal(e->findings[0].code, "shared-socket");
	for (int i = 0; i < 4; i++) {
		e->workers[i].wait_kind = WAITS_EPOLL;
		e->workers[i].epoll = 0; /* which epoll is not known */
	}
	fill(&f);
	assert_int_equal(e->finding_count, 1);
	assert_string_equal(e->findings[0].code, "shared-socket");
	done(&f);
}

static void thundering_herd(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);

	(void)state;
	add_socket(e, 17, 0)->waiting_most = 3;
	add_waiters(e, 17, fair, 3, WAITS_EPOLL, false);
	fill(&f);
	assert_finding(e, "thundering-herd",
		       "3 workers wait on socket 17 (inode 1017) by epoll or poll() without "
		       "EPOLLEXCLUSIVE: each of 30020"
		       " connections woke all that were idle (they woke 90060 times), up to 2.0 in "
		       "vain; give each its own"
		       " SO_REUSEPORT socket (or EPOLLEXCLUSIVE, which favours the first)");
	assert_int_equal(e->findings[0].level, FINDING_PROBLEM);
	assert_int_equal(evidence(&e->findings[0], "workers"), 3);
	assert_int_equal(evidence(&e->findings[0], "connections"), 30020);
	assert_int_equal(evidence(&e->findings[0], "woken"), 90060);
	assert_true(evidence(&e->findings[0], "in_vain_each_at_most") == 2);
	for (int i = 0; i < 3; i++)
		e->workers[i].sleeps *=
			10; /* for other things too: no connection wakes more than there are */
	fill(&f);
	assert_true(evidence(&e->findings[0], "in_vain_each_at_most") == 2);
	e->sockets[0].looks =
		10; /* on average half of them slept: the other wake-ups were for other things */
	e->sockets[0].idle_sum = 15;
	fill(&f);
	assert_false(has(e, "thundering-herd"));
	e->sockets[0].idle_sum = 27;
	fill(&f);
	assert_int_equal((int)(evidence(&e->findings[0], "in_vain_each_at_most") * 10 + 0.5), 17);
	e->sockets[0].looks = 0; /* not known */
	f.snapshot.seconds = 61; /* fewer than a thousand in a second */
	fill(&f);
	assert_true(has(e, "thundering-herd"));
	assert_int_equal(e->findings[0].level, FINDING_NOTE);
	f.snapshot.seconds = 1;
	for (int i = 0; i < 3; i++)
		e->workers[i].wait_kind = WAITS_POLL;
	fill(&f);
	assert_true(has(e, "thundering-herd"));
	e->workers[0].accepted = 40000; /* uneven too: the herd says what to do about it */
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	fill(&f);
	assert_int_equal(e->finding_count, 1);
	done(&f);
}

static void no_herd(void **state)
{
	static const uint64_t none[4];
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);

	(void)state;
	add_socket(e, 17, 0)->waiting_most = 4;
	add_waiters(e, 17, fair, 4, WAITS_EPOLL, true);
	e->workers[0].exclusive = e->workers[1].exclusive = false; /* two */
	fill(&f);
	assert_false(has(e, "thundering-herd"));
	for (int i = 0; i < 4; i++) {
		e->workers[i].exclusive = false;
		e->workers[i].epoll = 5 + i / 2; /* two epolls for four threads */
	}
	fill(&f);
	assert_false(has(e, "thundering-herd"));
	e->worker_count = 0;
	add_waiters(e, 17, none, 4, WAITS_EPOLL, false); /* nothing came that could wake them */
	fill(&f);
	assert_false(has(e, "thundering-herd"));
	e->worker_count = 0;
	add_waiters(e, 17, fair, 4, WAITS_EPOLL, false);
	e->sockets[0].waiting_most = 1; /* they take turns, as nginx's workers with accept_mutex */
	fill(&f);
	assert_false(has(e, "thundering-herd"));
	e->sockets[0].waiting_most = 4;
	for (int i = 0; i < 4; i++)
		e->workers[i].sleeps =
			fair[i]; /* so busy that they are woken for what they take alone */
	fill(&f);
	assert_false(has(e, "thundering-herd"));
	for (int i = 0; i < 4; i++) {
		e->workers[i].sleeps = 40000;
		e->workers[i].usage_known = i; /* of one it is not known */
	}
	fill(&f);
	assert_true(has(e, "thundering-herd"));
	e->workers[2].usage_known = false;
	fill(&f);
	assert_false(has(e, "thundering-herd"));
	e->worker_count = 0;
	add_waiters(e, 17, fair, 4, WAITS_BLOCKED, true);
	fill(&f);
	assert_false(has(e, "thundering-herd"));
	done(&f);
}

static void lone_reuseport(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);

	(void)state;
	add_socket(e, 17, 17);
	add_worker(e, 17, 700, 700);
	assert_nothing(&f); /* one worker, one socket */
	add_worker(e, 17, 700, 701);
	add_worker(e, 17, 702, 702);
	fill(&f);
	assert_finding(e, "lone-reuseport",
		       "socket 17 (inode 1017) has SO_REUSEPORT, but is alone in its group: the "
		       "option has no effect, and"
		       " 3 threads of 2 processes take from the one socket; to let the kernel "
		       "share, open one for each");
	assert_int_equal(e->findings[0].level, FINDING_NOTE);
	assert_int_equal(e->findings[0].cookie, 17);
	assert_int_equal(evidence(&e->findings[0], "threads"), 3);
	assert_int_equal(evidence(&e->findings[0], "processes"), 2);
	e->sockets[0].reuseport = false;
	fill(&f);
	assert_false(has(e, "lone-reuseport"));
	e->sockets[0].reuseport = true;
	e->sockets[0].group = 3; /* the others are there, but the filter hides them */
	fill(&f);
	assert_false(has(e, "lone-reuseport"));
	e->sockets[0].group = 17;
	add_socket(e, 18, 17);
	fill(&f);
	assert_false(has(e, "lone-reuseport"));
	e->sockets[1].ended = true;
	fill(&f);
	assert_true(has(e, "lone-reuseport"));
	done(&f);
}

/* What is wrong there is the split; it is told at the port's first endpoint. */
static void lone_reuseport_leaves_it_to_group_split(void **state)
{
	struct fixture f = {};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct endpoint *e = add_port(&f, PROTOCOL_TCP, i ? "127.0.0.1" : "0.0.0.0", 80);

		add_socket(e, 17 + i, 17 + i);
		add_worker(e, 17 + i, 700, 700)->accepted = 5;
		add_worker(e, 17 + i, 701, 701)->accepted = 5;
	}
	fill(&f);
	assert_finding(&f.endpoints[0], "group-split", f.endpoints[0].findings[0].text);
	assert_int_equal(f.endpoints[1].finding_count, 0);
	done(&f);
}

/* `flows` of 1,000 datagrams each over eight sockets: the first of them get more where they are
 * few. */
static struct endpoint *add_dns(struct fixture *f, int flows)
{
	struct endpoint *e = add_port(f, PROTOCOL_UDP, "0.0.0.0", 53);

	for (int i = 0; i < 8; i++)
		add_socket(e, 10 + i, 10)->arrived = (flows / 8 + (i < flows % 8)) * 1000;
	e->flows = flows;
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	return e;
}

/* `large` datagrams of one flow on the first of four sockets, and 75 flows of four on each. */
static struct endpoint *add_heavy(struct fixture *f, uint64_t large)
{
	static struct flow_sketch sketches[4];
	struct endpoint *e = add_port(f, PROTOCOL_UDP, "127.0.0.1", 53);

	e->flows_estimated = true;
	e->sketches = sketches;
	for (int i = 0; i < 4; i++) {
		struct socket_row *s = add_socket(e, 10 + i, 10);

		s->arrived = 300 + (i ? 0 : large);
		s->sketch = ++e->sketch_count;
		for (int flow = 0; flow < 75; flow++)
			e->sketches[i].buckets[flow] = 4;
	}
	e->sketches[0].buckets[100] = large;
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	return e;
}

static void few_clients(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_dns(&f, 2);

	(void)state;
	fill(&f);
	assert_finding(e, "few-clients",
		       "all 2000 datagrams came from 2 client ports: a hash gives a flow to one "
		       "socket, so the busiest of 8 got 4.0"
		       " times the mean and 6 nothing; send from more ports, or let several "
		       "threads read one socket");
	assert_int_equal(e->findings[0].level, FINDING_NOTE);
	assert_int_equal(evidence(&e->findings[0], "flows"), 2);
	assert_int_equal(evidence(&e->findings[0], "sockets"), 8);
	assert_int_equal(evidence(&e->findings[0], "datagrams"), 2000);
	assert_int_equal(evidence(&e->findings[0], "idle"), 6);
	assert_true(evidence(&e->findings[0], "max_over_mean") == 4);
	done(&f);
}

static void enough_clients(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_dns(&f, 16); /* few, but by luck spread well */

	(void)state;
	fill(&f);
	assert_int_equal(e->finding_count, 1);
	assert_string_equal(e->findings[0].code, "too-few");
	done(&f);
	f = (struct fixture){};
	e = add_dns(&f,
		    32); /* four a socket can be spread; that they are not is not their number */
	e->sockets[0].arrived = 32000;
	for (int i = 1; i < 8; i++)
		e->sockets[i].arrived = 0;
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	fill(&f);
	assert_false(has(e, "few-clients"));
	e->flows = 31;
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	fill(&f);
	assert_true(has(e, "few-clients"));
	e->sockets[0].steered = true;
	fill(&f);
	assert_false(has(e, "few-clients"));
	e->sockets[0].steered = false;
	e->flows = 0; /* not known */
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	fill(&f);
	assert_false(has(e, "few-clients"));
	done(&f);
	f = (struct fixture){};
	e = add_heavy(&f, 2000); /* and nothing beside it */
	for (int i = 0; i < 4; i++) {
		e->sockets[i].arrived = i ? 0 : 2000;
		memset(&e->sketches[i], 0, sizeof(e->sketches[i]));
	}
	e->sketches[0].buckets[100] = 2000;
	e->sketches[0].peer = (struct flow_peer){
		.address = { [15] = 1 }, .port = 53, .bucket = 101, .watched = 2000, .votes = 2000
	};
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	fill(&f);
	assert_finding(e, "few-clients",
		       "all 2000 datagrams came from 1 client port, [::1]:53: a hash gives a flow "
		       "to one socket, so the busiest of 4 got 4.0"
		       " times the mean and 3 nothing; send from more ports, or let several "
		       "threads read one socket");
	done(&f);
	f = (struct fixture){};
	e = add_dns(&f, 2);
	e->sockets[0].arrived = e->sockets[1].arrived = 499; /* one socket is enough for them */
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	fill(&f);
	assert_false(has(e, "few-clients"));
	done(&f);
}

static void heavy_flows(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_heavy(&f, 8800);

	(void)state;
	fill(&f);
	assert_int_equal(e->finding_count, 1);
	assert_finding(e, "heavy-flows",
		       "one flow (client address and port) has 88% of 10000 datagrams, and all "
		       "together count as 1.3 of one size: a hash"
		       " can't split a flow, so the busiest of 4 sockets got 3.6 times the mean; "
		       "send from more ports, or let several threads read"
		       " one socket");
	assert_int_equal(e->findings[0].level, FINDING_NOTE);
	assert_true(evidence(&e->findings[0], "largest_flow") > 0.879 &&
		    evidence(&e->findings[0], "largest_flow") < 0.881);
	assert_int_equal(evidence(&e->findings[0], "sockets"), 4);
	assert_int_equal(evidence(&e->findings[0], "datagrams"), 10000);
	e->sketches[0].peer = (struct flow_peer){ .address = { [10] = 0xff, 0xff, 127, 0, 0, 1 },
						  .port = 41234,
						  .bucket = 101,
						  .watched = 8800,
						  .votes = 8800 };
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	fill(&f);
	assert_finding(e, "heavy-flows",
		       "one flow, from 127.0.0.1:41234, has 88% of 10000 datagrams, and all "
		       "together count as 1.3 of one size: a hash"
		       " can't split a flow, so the busiest of 4 sockets got 3.6 times the mean; "
		       "send from more ports, or let several threads read"
		       " one socket");
	memset(&e->sketches[0].peer, 0, sizeof(e->sketches[0].peer));
	e->sockets[0].steered = true; /* no hash */
	fill(&f);
	assert_false(has(e, "heavy-flows"));
	done(&f);
	f = (struct fixture){};
	e = add_heavy(&f, 100); /* no larger than the others' share */
	fill(&f);
	assert_false(has(e, "heavy-flows"));
	done(&f);
	f = (struct fixture){};
	e = add_heavy(&f, 500); /* 29 %, and a socket that gives what it got to another: that is no
				   flow's doing */
	e->sockets[0].arrived +=
		e->sockets[1].arrived + e->sockets[2].arrived + e->sockets[3].arrived;
	e->sockets[1].arrived = e->sockets[2].arrived = e->sockets[3].arrived = 0;
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	assert_int_equal(e->socket_fairness.verdict, VERDICT_UNEVEN);
	fill(&f);
	assert_false(has(e, "heavy-flows"));
	done(&f);
}

/* A group of four; connections wait 0.5 ms. */
static struct endpoint *add_group(struct fixture *f)
{
	struct endpoint *e = add_port(f, PROTOCOL_TCP, "0.0.0.0", 80);

	for (int i = 0; i < 4; i++) {
		struct worker_row *w = add_worker(e, 17 + i, 700, 703 + i);

		add_waits(e, add_socket(e, 17 + i, 17), 1000, 500);
		e->sockets[i].arrived = e->sockets[i].accepted = w->accepted = 1000;
		strcpy(w->process, "envoy");
	}
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	return e;
}

static void slow_worker(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_group(&f);

	(void)state;
	e->sockets[2].wait = (struct wait){ .histogram = e->sockets[2].wait.histogram };
	e->histograms[2] = (struct wait_histogram){};
	add_waits(e, &e->sockets[2], 1000, 4000);
	fill(&f);
	assert_finding(e, "slow-worker",
		       "connections wait 4.0 ms (mean, p99 4.0 ms) for thread 705 of envoy 700 on "
		       "socket 19 (inode 1019), but 500 us"
		       " on the others of its group: whoever is picked, by a hash or a program, is "
		       "not asked how busy it is; make that worker"
		       " faster, or share one socket; for the time being "
		       "'sockfair steer -P 80' sends new connections to the others");
	assert_int_equal(e->findings[0].level, FINDING_PROBLEM);
	assert_int_equal(e->findings[0].cookie, 19);
	assert_int_equal(evidence(&e->findings[0], "wait_mean_ns"), 4000000);
	assert_int_equal(evidence(&e->findings[0], "others_mean_ns"), 500000);
	assert_int_equal(evidence(&e->findings[0], "connections"), 1000);
	assert_int_equal(evidence(&e->findings[0], "sockets"), 4);
	assert_int_equal(evidence(&e->findings[0], "tid"), 705);
	e->sockets[2].wait.histogram = 0; /* the mean is enough */
	e->worker_count = 0;
	fill(&f);
	assert_non_null(
		strstr(e->findings[0].text, "wait 4.0 ms (mean) for its worker on socket 19"));
	done(&f);
}

/* Of two sockets the other is the yardstick, not the middle of both. */
static void slow_worker_of_two(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_group(&f);

	(void)state;
	e->socket_count = e->worker_count = 2;
	e->sockets[0].wait.sum_ns = 1000 * 800000ull;
	e->sockets[1].wait.sum_ns = 1000 * 2000000ull;
	e->sockets[1].wait.histogram = 0;
	assert_int_equal(endpoint_judge(e, FAIRNESS_THRESHOLD), 0);
	fill(&f);
	assert_int_equal(e->finding_count, 1);
	assert_string_equal(e->findings[0].code, "slow-worker");
	e->sockets[1].wait.sum_ns--; /* not two and a half times as long */
	fill(&f);
	assert_string_equal(e->findings[0].code, "even");
	done(&f);
}

static void no_worker_is_slow(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_group(&f);

	(void)state;
	add_waits(e, &e->sockets[2], 100,
		  100000); /* one in eleven waited for a pause of the worker: 9.5 ms in the mean */
	fill(&f);
	assert_false(has(e, "slow-worker"));
	add_waits(e, &e->sockets[2], 100, 100000); /* more than a tenth did */
	fill(&f);
	assert_true(has(e, "slow-worker"));
	e->socket_fairness.verdict =
		VERDICT_UNEVEN; /* it gets more than its share: of course it waits longer */
	fill(&f);
	assert_false(has(e, "slow-worker"));
	e->socket_fairness.verdict = VERDICT_EVEN;
	for (int i = 0; i < 4; i++)
		e->sockets[i].reuseport = false;
	fill(&f);
	assert_false(has(e, "slow-worker"));
	done(&f);
}

/* 2 % of one socket's connections wait for pauses of its worker: 300 ms, 5 at once. */
static void worker_pauses(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_group(&f);

	(void)state;
	add_waits(e, &e->sockets[2], 20, 300000);
	for (int i = 0; i < 4; i++) {
		e->sockets[i].highest_known = true;
		e->sockets[i].queue_highest = 5;
	}
	fill(&f);
	assert_finding(
		e, "worker-pauses",
		"20 connections waited 50 ms or longer (p99 300 ms) for thread 705 of envoy "
		"700 on socket 19 (inode 1019), but p99 of the others of its group is 495 us: "
		"something keeps it from accepting at times (being stopped, a CPU limit, disk, "
		"a lock); find out what, or share one socket; for the time being 'sockfair "
		"steer -P 80' sends new connections to the others");
	assert_int_equal(e->findings[0].level, FINDING_PROBLEM);
	assert_int_equal(e->findings[0].cookie, 19);
	assert_int_equal(evidence(&e->findings[0], "waited"), 20);
	assert_int_equal(evidence(&e->findings[0], "highest"), 5);
	assert_int_equal(evidence(&e->findings[0], "connections"), 1020);
	assert_int_equal(evidence(&e->findings[0], "tid"), 705);
	assert_false(has(e, "even"));
	done(&f);
}

static void no_worker_pauses(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_group(&f);

	(void)state;
	add_waits(e, &e->sockets[2], 20, 300000);
	e->sockets[2].highest_known = true;
	e->sockets[2].queue_highest = 7; /* all may have waited for two pauses */
	fill(&f);
	assert_false(has(e, "worker-pauses"));
	e->sockets[2].queue_highest = 6;
	fill(&f);
	assert_true(has(e, "worker-pauses"));
	e->sockets[2].highest_known = false;
	fill(&f);
	assert_false(has(e, "worker-pauses"));
	e->sockets[2].highest_known = true;
	e->sockets[2].stall.ns = 1; /* that is why they waited */
	fill(&f);
	assert_false(has(e, "worker-pauses"));
	e->sockets[2].stall.ns = 0;
	e->sockets[0].migrated = 1; /* they waited in the queue of another socket, too */
	fill(&f);
	assert_false(has(e, "worker-pauses"));
	e->sockets[0].migrated = 0;
	strcpy(e->sockets[0].picker.name, "steer_reuseport");
	e->sockets[0].steered = true; /* it is steered already */
	fill(&f);
	assert_true(has(e, "worker-pauses"));
	for (size_t i = 0; i < e->finding_count; i++)
		assert_null(strstr(e->findings[i].text, "sockfair steer"));
	e->sockets[0].steered = false;
	for (int i = 0; i < 4; i++) /* all pause */
		if (i != 2)
			add_waits(e, &e->sockets[i], 20, 300000);
	fill(&f);
	assert_false(has(e, "worker-pauses"));
	assert_non_null(strstr(e->findings[0].text,
			       "; but 1 connection in 100 waited 300 ms or longer for accept()"));
	done(&f);
	f = (struct fixture){};
	e = add_group(&f);
	add_waits(e, &e->sockets[2], 9, 300000); /* fewer than one in a hundred */
	e->sockets[2].highest_known = true;
	e->sockets[2].queue_highest = 1;
	fill(&f);
	assert_string_equal(e->findings[0].code, "even");
	assert_non_null(strstr(e->findings[0].text, ": nothing to fix"));
	done(&f);
}

/* Twenty times as long, but 0.95 ms; and long, but few, or in too short a time. */
static void short_or_few_waits_tell_nothing(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_group(&f);

	(void)state;
	for (int i = 0; i < 4; i++) {
		e->sockets[i].wait.histogram = 0;
		e->sockets[i].wait.sum_ns = 1000 * (i == 2 ? 1000000ull : 50000ull);
	}
	fill(&f);
	assert_false(has(e, "slow-worker"));
	for (int i = 0; i < 4;
	     i++) { /* but it keeps its connections ten times as long: it is no pause */
		e->workers[i].finished = 1000;
		e->workers[i].finished_ns = 1000 * (i == 2 ? 2000000ull : 200000ull);
	}
	fill(&f);
	assert_true(has(e, "slow-worker"));
	e->sockets[2].wait.sum_ns = 1000 * 249000ull; /* 0.199 ms more */
	fill(&f);
	assert_false(has(e, "slow-worker"));
	for (int i = 0; i < 4; i++)
		e->workers[i].finished = 0;
	e->sockets[2].wait.sum_ns = 99 * 20000000ull;
	e->sockets[2].wait.count = 99;
	fill(&f);
	assert_false(has(e, "slow-worker"));
	e->sockets[2].wait.count = 100;
	fill(&f);
	assert_true(has(e, "slow-worker"));
	f.snapshot.seconds = 0.89;
	fill(&f);
	assert_false(has(e, "slow-worker"));
	done(&f);
}

static void steered(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);

	(void)state;
	add_socket(e, 17, 17)->incoming_cpu_set = true;
	assert_nothing(&f); /* there is nothing to pick from */
	add_socket(e, 18, 17);
	fill(&f);
	assert_finding(e, "steered",
		       "SO_INCOMING_CPU is set on 1 of 2 sockets: the CPU that a packet comes in "
		       "on picks the socket, not the hash alone;"
		       " how even it is depends on the CPUs");
	assert_int_equal(e->findings[0].level, FINDING_NOTE);
	assert_int_equal(evidence(&e->findings[0], "by_cpu"), 1);
	e->sockets[0].steered = e->sockets[1].steered = true;
	fill(&f);
	assert_finding(e, "steered",
		       "a program (SO_ATTACH_REUSEPORT_*) picks among these 2 sockets, not the "
		       "kernel's hash: that program decides how even"
		       " it is");
	assert_int_equal(evidence(&e->findings[0], "sockets"), 2);
	assert_int_equal(evidence(&e->findings[0], "by_program"), 2);
	e->sockets[1].ended = true;
	assert_nothing(&f);
	e->sockets[1] = (struct socket_row){ .cookie = 18, .reuseport = true, .group = 17 };
	e->sockets[0].steered = e->sockets[0].incoming_cpu_set = false;
	assert_nothing(&f);
}

/* 11:42:07 UTC of some day */
#define SINCE_MS ((int64_t)20000 * 86400000 + 42127000)

static void lookup_programs(void **state)
{
	struct fixture f = {};
	struct endpoint *e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);

	(void)state;
	add_socket(e, 17, 17);
	e->lookup = (struct lookup_program){
		.id = 9, .name = "pick", .pid = 7, .process = "tubular", .since_ms = SINCE_MS
	};
	fill(&f);
	assert_finding(e, "lookup-program",
		       "an SK_LOOKUP program of tubular 7 (pick, bpftool prog show id 9) is asked "
		       "first which socket something new goes to: where it picks, the sockets' "
		       "shares are its choice, not the kernel's hash's");
	e->lookup.ours = true; /* and picks sockets of another port */
	assert_nothing(&f);
	e->lookup.steers = true;
	strcpy(e->lookup.process, "sockfair");
	fill(&f);
	assert_finding(e, "lookup-program",
		       "steered by sockfair (pid 7) since 11:42:07 UTC: its SK_LOOKUP program "
		       "(bpftool prog show id 9) picks the socket, not the kernel's hash");
	e->lookup.pid = 0; /* who holds it was not found */
	*e->lookup.process = 0;
	fill(&f);
	assert_finding(e, "lookup-program",
		       "steered by sockfair since 11:42:07 UTC: its SK_LOOKUP program (bpftool "
		       "prog show id 9) picks the socket, not the kernel's hash");
	done(&f);
}

/* The highest numbers and the longest names fit (fill() looks). */
static void long_texts_fit(void **state)
{
	static const uint64_t most[] = { 1ull << 60, 1, 1, 1 };
	struct fixture f = {};
	struct endpoint *e = add_group(&f);

	(void)state;
	e->sockets[3].cookie = e->workers[3].cookie = UINT64_MAX;
	e->sockets[3].inode = UINT32_MAX;
	e->workers[3].pid = 4194303;
	e->workers[3].tid = 4194304;
	strcpy(e->workers[3].process, "fifteen_letters");
	add_waits(e, &e->sockets[3], 1000, 99900000);
	fill(&f);
	assert_string_equal(e->findings[0].code, "slow-worker");
	done(&f);
	for (int kind = WAITS_EPOLL; kind <= WAITS_URING; kind++)
		for (int exclusive = 0; exclusive < 2; exclusive++) {
			f = (struct fixture){};
			e = add_port(&f, PROTOCOL_TCP, "0.0.0.0", 80);
			add_socket(e, UINT64_MAX, UINT64_MAX)->inode = UINT32_MAX;
			e->sockets[0].waiting_most = 4;
			add_waiters(e, UINT64_MAX, most, 4, kind, exclusive);
			e->workers[0].pid = 4194303;
			e->workers[0].tid = 4194304;
			strcpy(e->workers[0].process, "fifteen_letters");
			fill(&f);
			assert_true(has(e, "wake-order") || has(e, "thundering-herd"));
			assert_true(has(e, "lone-reuseport"));
			done(&f);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shared_socket_is_told),
		cmocka_unit_test(wake_order_of_exclusive_epolls),
		cmocka_unit_test(wake_order_is_of_those_that_are_judged),
		cmocka_unit_test(sharing_is_not_told_of_what_is_withheld),
		cmocka_unit_test(wake_order_of_one_epoll),
		cmocka_unit_test(wake_order_of_io_uring),
		cmocka_unit_test(wake_order_only_where_it_is_uneven),
		cmocka_unit_test(wake_order_is_not_blamed_for_the_sockets),
		cmocka_unit_test(wake_order_only_if_it_is_known),
		cmocka_unit_test(thundering_herd),
		cmocka_unit_test(no_herd),
		cmocka_unit_test(lone_reuseport),
		cmocka_unit_test(lone_reuseport_leaves_it_to_group_split),
		cmocka_unit_test(few_clients),
		cmocka_unit_test(heavy_flows),
		cmocka_unit_test(enough_clients),
		cmocka_unit_test(slow_worker),
		cmocka_unit_test(slow_worker_of_two),
		cmocka_unit_test(no_worker_is_slow),
		cmocka_unit_test(worker_pauses),
		cmocka_unit_test(no_worker_pauses),
		cmocka_unit_test(short_or_few_waits_tell_nothing),
		cmocka_unit_test(steered),
		cmocka_unit_test(lookup_programs),
		cmocka_unit_test(long_texts_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
