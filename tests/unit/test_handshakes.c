/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Handshakes under way, withheld ACKs, and what is said of them: user/model/handshakes.c,
 * findings_handshakes.c. */
#include "findings_fixture.h"

#include "../../user/model/ledger.h"
#include "../../user/render/json.h"
#include "../../user/render/text.h"

#define NETNS 1 /* add_port() */

/* A look at NETNS: TCPDeferAcceptDrop before and after the sockets were read, and the other
 * counters. */
static struct handshake_look look(uint64_t before, uint64_t after, struct handshake_counts counts)
{
	return (struct handshake_look){ .netns = NETNS,
					.counts = counts,
					.withheld = { before, after },
					.settings = { .known = true,
						      .cookies = 1,
						      .max_syn_backlog = 512,
						      .synack_retries = 5 } };
}

static void enter(struct handshake_set *set, enum handshake_when when, struct handshake_look l,
		  const struct deferring *rows, size_t count)
{
	assert_int_equal(handshakes_look(set, when, &l, 1, rows, count), 0);
}

/* Of a socket that has counted so many drops in the window. */
static void assert_withheld(const struct handshake_set *set, uint64_t drops, bool defers,
			    uint64_t least, uint64_t most)
{
	struct socket_row s = { .cookie = 17, .drops = drops, .half_open.defers = defers };
	struct endpoint e = { .netns = NETNS, .sockets = &s, .socket_count = 1 };
	struct snapshot snapshot = { .endpoints = &e,
				     .endpoint_count = 1,
				     .handshakes = set->rows,
				     .handshake_count = set->count };

	handshakes_fill(&snapshot);
	assert_int_equal(s.half_open.withheld_least, least);
	assert_int_equal(s.half_open.withheld_most, most);
	assert_int_equal(drops_least(&s), drops - most);
	assert_int_equal(drops_most(&s), drops - least);
}

static bool parse(struct handshake_counters *c, const char *text)
{
	char *copy = strdup(text);
	const bool found = handshakes_parse(c, copy);

	free(copy);
	return found;
}

static void counters_are_found_by_name(void **state)
{
	struct handshake_counters c;

	(void)state;
	assert_true(parse(
		&c,
		"TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPDeferAcceptDrop "
		"TCPReqQFullDoCookies TCPReqQFullDrop Later\n"
		"TcpExt: 1 20 300 4000 18446744073709551615 6 7\nIpExt: InNoRoutes\nIpExt: 8\n"));
	assert_true(c.counts.overflows == 20 && c.counts.refused == 300 && c.withheld == 4000 &&
		    c.counts.full_cookies == UINT64_MAX && c.counts.full_refused == 6);
	assert_true(parse(
		&c, "IpExt: A\nIpExt: 8\nTcpExt: TCPReqQFullDrop ListenOverflows "
		    "TCPReqQFullDoCookies ListenDrops TCPDeferAcceptDrop\nTcpExt: 1 2 3 4 5"));
	assert_true(c.counts.full_refused == 1 && c.withheld == 5);
	assert_false(parse(&c, "TcpExt: TCPReqQFullDrop ListenOverflows TCPReqQFullDoCookies "
			       "ListenDrops TCPDeferAcceptDrop\nTcpExt: 1 2 3 4\n")); /* cut */
	assert_false(parse(&c, "TcpExt: TCPReqQFullDrop ListenOverflows"));
	assert_false(parse(&c, "TcpExt:\nTcpExt:\n"));
	assert_false(parse(&c, "\n\n"));
	assert_false(parse(&c, ""));
}

static void of_the_only_listener_all_are_its_own(void **state)
{
	const struct deferring first = { 17, NETNS, 100 }, last = { 17, NETNS, 150 };
	struct handshake_set set = {};

	(void)state;
	enter(&set, HANDSHAKES_BEGIN, look(1000, 1000, (struct handshake_counts){}), &first, 1);
	enter(&set, HANDSHAKES_LATER, look(1045, 1045, (struct handshake_counts){}), &last, 1);
	assert_withheld(&set, 50, true, 45, 45);
	assert_withheld(&set, 50, false, 0, 0);
	handshakes_clear(&set);
}

/* The socket's counter was read somewhere between. */
static void counters_that_move_meanwhile_give_bounds(void **state)
{
	const struct deferring first = { 17, NETNS, 100 }, last = { 17, NETNS, 150 };
	struct handshake_set set = {};

	(void)state;
	enter(&set, HANDSHAKES_BEGIN, look(1000, 1003, (struct handshake_counts){}), &first, 1);
	enter(&set, HANDSHAKES_LATER, look(1045, 1049, (struct handshake_counts){}), &last, 1);
	assert_withheld(&set, 50, true, 42, 49);
	assert_withheld(&set, 48, true, 40, 48); /* two are another's */
	handshakes_clear(&set);
}

static void another_listener_may_have_had_them(void **state)
{
	const struct deferring first[] = { { 18, NETNS, 7 },
					   { 17, NETNS, 100 },
					   { 20, NETNS + 1, 0 } };
	const struct deferring last[] = { { 20, NETNS + 1, 900 },
					  { 17, NETNS, 150 },
					  { 18, NETNS, 17 } };
	struct handshake_set set = {};

	(void)state;
	enter(&set, HANDSHAKES_BEGIN, look(0, 0, (struct handshake_counts){}), first, 3);
	enter(&set, HANDSHAKES_LATER, look(60, 60, (struct handshake_counts){}), last, 3);
	assert_withheld(&set, 50, true, 50, 50); /* there are as many as both have drops */
	enter(&set, HANDSHAKES_LATER, look(60, 60, (struct handshake_counts){}), last, 3);
	assert_withheld(&set, 50, true, 50, 50);
	handshakes_clear(&set);
	enter(&set, HANDSHAKES_BEGIN, look(0, 0, (struct handshake_counts){}), first, 3);
	enter(&set, HANDSHAKES_LATER, look(45, 45, (struct handshake_counts){}), last, 3);
	assert_withheld(&set, 50, true, 35, 45);
	assert_withheld(&set, 10, true, 0, 10);
	handshakes_clear(&set);
}

/* What one counted last before it went is not known, so all may be its. One that came counts from
 * its first. */
static void listeners_come_and_go(void **state)
{
	const struct deferring first = { 17, NETNS, 0 },
			       both[] = { { 17, NETNS, 5 }, { 19, NETNS, 3 } };
	struct handshake_set set = {};

	(void)state;
	enter(&set, HANDSHAKES_BEGIN, look(0, 0, (struct handshake_counts){}), &first, 1);
	enter(&set, HANDSHAKES_LATER, look(6, 6, (struct handshake_counts){}), both, 2);
	assert_int_equal(set.rows[0].deferring, 2);
	assert_withheld(&set, 5, true, 3, 5);
	enter(&set, HANDSHAKES_LATER, look(8, 8, (struct handshake_counts){}), both, 1);
	assert_int_equal(set.rows[0].deferring_gone, 1);
	assert_withheld(&set, 5, true, 0, 5);
	handshakes_clear(&set);
}

static void a_counter_of_drops_wraps(void **state)
{
	const struct deferring first = { 17, NETNS, UINT32_MAX - 1 }, last = { 17, NETNS, 3 };
	struct handshake_set set = {};

	(void)state;
	enter(&set, HANDSHAKES_BEGIN, look(0, 0, (struct handshake_counts){}), &first, 1);
	enter(&set, HANDSHAKES_LATER, look(5, 5, (struct handshake_counts){}), &last, 1);
	assert_int_equal(set.rows[0].deferring_drops, 5);
	handshakes_clear(&set);
}

/* What the namespace counted before it was first looked at in the window may be of the window. */
static void a_namespace_that_comes_later(void **state)
{
	const struct deferring d = { 17, NETNS, 4 };
	struct handshake_set set = {};

	(void)state;
	enter(&set, HANDSHAKES_LATER, look(0, 70, (struct handshake_counts){ .full_refused = 9 }),
	      &d, 1);
	assert_withheld(&set, 4, true, 0, 4);
	assert_int_equal(handshakes_counted(&set.rows[0]).full_refused, 0);
	handshakes_clear(&set);
}

/* All of a socket's drops since it was made; sockets that are gone may have had the withheld ones.
 */
static void a_list_knows_a_bound(void **state)
{
	const struct deferring d = { 17, NETNS, 9 };
	struct handshake_set set = {};

	(void)state;
	enter(&set, HANDSHAKES_LISTED, look(6, 6, (struct handshake_counts){ .full_refused = 3 }),
	      &d, 1);
	assert_withheld(&set, 9, true, 0, 6);
	assert_int_equal(handshakes_counted(&set.rows[0]).full_refused, 3);
	handshakes_clear(&set);
}

static void a_namespace_that_is_not_known(void **state)
{
	const struct handshake_set set = {};

	(void)state;
	assert_withheld(&set, 9, true, 0, 9);
}

static void an_interval_begins_at_the_look_before(void **state)
{
	const struct deferring first = { 17, NETNS, 100 }, middle = { 17, NETNS, 120 },
			       last = { 17, NETNS, 150 };
	struct handshake_set set = {};
	struct socket_row before_row = { .cookie = 17,
					 .drops = 20,
					 .half_open = { .known = true,
							.defers = true,
							.highest = 9,
							.full_looks = 2 } },
			  row = before_row;
	struct endpoint before_endpoint = { .netns = NETNS,
					    .sockets = &before_row,
					    .socket_count = 1 },
			endpoint = before_endpoint;
	struct snapshot before = { .endpoints = &before_endpoint, .endpoint_count = 1 },
			now = { .endpoints = &endpoint, .endpoint_count = 1 }, out;
	struct handshakes earlier;

	(void)state;
	enter(&set, HANDSHAKES_BEGIN, look(0, 0, (struct handshake_counts){}), &first, 1);
	enter(&set, HANDSHAKES_LATER, look(20, 20, (struct handshake_counts){ .refused = 4 }),
	      &middle, 1);
	earlier = set.rows[0];
	enter(&set, HANDSHAKES_LATER, look(48, 48, (struct handshake_counts){ .refused = 6 }),
	      &last, 1);
	before.handshakes = &earlier;
	now.handshakes = set.rows;
	before.handshake_count = now.handshake_count = 1;
	row.drops = 50;
	row.half_open.count = 1;
	row.half_open.full_looks = 2;
	endpoint.sockets = &row;
	assert_int_equal(snapshot_difference(&out, &now, &before), 0);
	assert_int_equal(handshakes_counted(&out.handshakes[0]).refused, 2);
	assert_int_equal(out.endpoints[0].sockets[0].half_open.withheld_least, 28);
	assert_int_equal(out.endpoints[0].sockets[0].half_open.withheld_most, 28);
	assert_int_equal(out.endpoints[0].sockets[0].half_open.highest,
			 1); /* nine were there before */
	assert_int_equal(out.endpoints[0].sockets[0].half_open.full_looks, 0);
	snapshot_free(&out);
	handshakes_clear(&set);
}

static void the_limit_of_a_request_queue(void **state)
{
	struct handshakes h = { .settings = {
					.known = true, .cookies = 0, .max_syn_backlog = 16 } };

	(void)state;
	assert_int_equal(half_open_limit(&h, 8), 8);
	assert_int_equal(half_open_limit(&h, 100), 12); /* 13 are held, as measured */
	h.settings.max_syn_backlog = 10;
	assert_int_equal(half_open_limit(&h, 100), 8); /* 9 */
	h.settings.cookies = 1;
	assert_int_equal(half_open_limit(&h, 100), 100);
	assert_int_equal(half_open_limit(NULL, 100), 100);
	assert_int_equal(half_open_seconds(5), 63);
	assert_int_equal(half_open_seconds(0), 1);
	assert_int_equal(half_open_seconds(7), 127 + 120);
}

static void looks_at_a_request_queue(void **state)
{
	struct half_open q = { .limit = 3 };

	(void)state;
	half_open_look(&q, 2, 2);
	assert_int_equal(q.full_looks, 0);
	half_open_look(&q, 4, 1);
	half_open_look(&q, 3, 5); /* read one after the other */
	assert_int_equal(q.full_looks, 2);
	assert_int_equal(q.highest, 4);
	assert_int_equal(q.count, 3);
	assert_int_equal(q.old, 0);
	q.limit = 0; /* listen(s, 0): nothing under way is not full */
	half_open_look(&q, 0, 0);
	assert_int_equal(q.full_looks, 2);
}

/* ---- findings ---- */

/* A port with a listener whose request queue has nine places, and its namespace. */
struct port {
	struct fixture f;
	struct endpoint *e;
	struct socket_row *s;
	struct handshakes h;
};

static void port_make(struct port *p, uint32_t cookies, uint32_t half_open)
{
	*p = (struct port){ .h = { .netns = NETNS,
				   .settings = { .known = true,
						 .cookies = cookies,
						 .max_syn_backlog = 512,
						 .synack_retries = 5 } } };
	p->e = add_port(&p->f, PROTOCOL_TCP, "0.0.0.0", 80);
	p->s = add_socket(p->e, 17, 0);
	p->s->queue_limit = p->s->half_open.limit = 8;
	half_open_look(&p->s->half_open, half_open, 0);
	p->f.snapshot.handshakes = &p->h;
	p->f.snapshot.handshake_count = 1;
}

static void syn_queue_full_and_who_stays_in_it(void **state)
{
	struct port p;

	(void)state;
	port_make(&p, 0, 9);
	p.h.now = (struct handshake_counts){ .full_refused = 45, .refused = 45 };
	fill(&p.f);
	assert_finding(p.e, "syn-queue-full",
		       "new clients time out, without a RST: 45 SYNs refused in this netns, where "
		       "the request queue of socket 17"
		       " (inode 1017) is full (9 half-open, limit 8); one that does not answer "
		       "stays up to 63 s (tcp_synack_retries):"
		       " set net.ipv4.tcp_syncookies=1, or raise listen()'s backlog");
	assert_int_equal(p.e->findings[0].level, FINDING_PROBLEM);
	assert_int_equal(evidence(&p.e->findings[0], "namespace_refused"), 45);
	p.s->half_open.defer_accept = 5;
	p.s->half_open.count = 0; /* by now */
	p.f.snapshot.somaxconn = 8;
	p.f.snapshot.somaxconn_netns = NETNS;
	fill(&p.f);
	assert_finding(p.e, "syn-queue-full",
		       "clients waited or timed out, without a RST: 45 SYNs refused in this netns, "
		       "where the request"
		       " queue of socket 17 (inode 1017) was full (9 half-open, limit 8); clients "
		       "that send nothing stay up to 31 s (TCP_DEFER_ACCEPT):"
		       " set net.ipv4.tcp_syncookies=1, or raise somaxconn and the backlog");
	done(&p.f);
}

static void syn_queue_full_by_its_length_alone(void **state)
{
	struct port p;

	(void)state;
	port_make(&p, 0, 9);
	p.s->half_open.syn_retries = 2;
	fill(&p.f);
	assert_finding(p.e, "syn-queue-full",
		       "new clients time out, without a RST: the request queue of socket 17 (inode "
		       "1017) is full (9 half-open, limit 8);"
		       " one that does not answer stays up to 7 s (TCP_SYNCNT): set "
		       "net.ipv4.tcp_syncookies=1, or raise listen()'s backlog");
	p.s->half_open.old = 0; /* they have just come */
	assert_nothing(&p.f);
	port_make(&p, 0, 8); /* one more finds room, in kernels of today */
	assert_nothing(&p.f);
}

static void syn_queue_that_was_not_seen_full(void **state)
{
	struct port p;

	(void)state;
	port_make(&p, 0, 7);
	p.h.now = (struct handshake_counts){ .full_refused = 45, .refused = 45 };
	assert_nothing(&p.f); /* they are another's */
	p.f.snapshot.handshake_count = 0;
	port_make(&p, 0, 9);
	p.f.snapshot.handshake_count = 0; /* whether there are cookies is not known */
	assert_nothing(&p.f);
}

/* The last quarter of tcp_max_syn_backlog: counted as refused, by no counter of its own. */
static void syn_queue_full_for_clients_unknown(void **state)
{
	struct port p;

	(void)state;
	port_make(&p, 0, 9);
	p.s->queue_limit = 100;
	p.h.now = (struct handshake_counts){ .overflows = 4, .refused = 4 };
	p.s->half_open.old = 0;
	assert_nothing(&p.f); /* the accept queue's */
	p.h.now.refused = 10;
	fill(&p.f);
	assert_int_equal(p.e->finding_count, 1);
	assert_int_equal(evidence(&p.e->findings[0], "namespace_refused"), 6);
	assert_non_null(strstr(p.e->findings[0].text, "or raise net.ipv4.tcp_max_syn_backlog"));
	done(&p.f);
}

static void syn_cookies_lose_nobody(void **state)
{
	struct port p;

	(void)state;
	port_make(&p, 1, 9);
	assert_nothing(&p.f); /* full, and nobody came since */
	p.h.now.full_cookies = 12;
	fill(&p.f);
	assert_finding(p.e, "syn-cookies",
		       "the request queue of socket 17 (inode 1017) is full (9 half-open, limit "
		       "8): SYN cookies let the others in (12 in its"
		       " network namespace), no client is lost; one that does not answer stays up "
		       "to 63 s (tcp_synack_retries); raise listen()'s backlog"
		       " for more room");
	assert_int_equal(p.e->findings[0].level, FINDING_NOTE);
	p.h.settings.cookies = 2; /* for all, full or not */
	assert_nothing(&p.f);
	port_make(&p, 1, 3);
	p.h.now.full_cookies = 12;
	assert_nothing(&p.f);
}

static void closed_handshaking_says_how_many(void **state)
{
	struct port p;

	(void)state;
	port_make(&p, 1, 3);
	assert_nothing(&p.f);
	p.s->ended = true;
	fill(&p.f);
	assert_finding(p.e, "closed-handshaking",
		       "socket 17 (inode 1017) was closed with up to 3 handshakes under way (as "
		       "many at the last look): the next packet of"
		       " such a client is answered by a reset");
	p.s->reuseport = true;
	fill(&p.f);
	assert_non_null(strstr(p.e->findings[0].text, "; net.ipv4.tcp_migrate_req=1 (Linux 5.14) "
						      "moves them to another socket of its group"));
	p.h.settings.migrate = true;
	assert_nothing(&p.f);
	p.s->reuseport = false;
	p.s->dropped_closing = 2;
	fill(&p.f);
	assert_int_equal(p.e->finding_count, 1);
	assert_non_null(strstr(p.e->findings[0].text,
			       "closed with a queue: 2 connections were reset, with "
			       "up to 3 handshakes under way; take"));
	p.s->dropped_closing = 0;
	half_open_look(&p.s->half_open, 0, 0);
	assert_nothing(&p.f);
}

static void withheld_acks_are_no_overflow(void **state)
{
	struct port p;

	(void)state;
	port_make(&p, 1, 0);
	p.s->highest_known = true;
	p.s->queue_highest = 9;
	p.s->drops = 30;
	p.s->half_open.withheld_least = p.s->half_open.withheld_most = 30;
	p.h.now.overflows = 4; /* another's */
	fill(&p.f);
	assert_false(has(p.e, "backlog-small"));
	assert_true(has(p.e, "queue-near-limit")); /* it was full, and that is all */
	done(&p.f);
	p.s->half_open.withheld_most = 30;
	p.s->half_open.withheld_least = 22;
	fill(&p.f);
	assert_non_null(strstr(p.e->findings[0].text, "overflowed: up to 8 SYNs and ACKs dropped"));
	p.s->half_open.withheld_most = 25;
	fill(&p.f);
	assert_non_null(
		strstr(p.e->findings[0].text, "overflowed: at least 5 SYNs and ACKs dropped"));
	assert_int_equal(evidence(&p.e->findings[0], "drops"), 5);
	p.h.now.overflows = 0; /* nothing did, whatever the drops are */
	fill(&p.f);
	assert_false(has(p.e, "backlog-small"));
	assert_true(has(p.e, "queue-near-limit")); /* it was full, and that is all */
	done(&p.f);
}

/* ---- what is shown ---- */

enum shown { SHOWN_LIST, SHOWN_WINDOW, SHOWN_SOCKETS, SHOWN_JSON };

static void assert_shows(struct port *p, enum shown what, const char *text)
{
	static const struct text_style style = { .utf8 = true };
	char *all = NULL;
	size_t size;
	FILE *f = open_memstream(&all, &size);

	p->f.snapshot.final = true;
	if (what == SHOWN_LIST)
		text_list(f, &p->f.snapshot, &style);
	else if (what == SHOWN_JSON)
		assert_int_equal(json_snapshot(f, &p->f.snapshot), 0);
	else
		text_window(f, &p->f.snapshot, NULL,
			    what == SHOWN_SOCKETS ? TEXT_BY_SOCKET : TEXT_BY_DEFAULT, &style);
	fclose(f);
	if (!strstr(all, text))
		fail_msg("'%s' is not in:\n%s", text, all);
	free(all);
}

static void what_is_exact_is_shown_as_it_is(void **state)
{
	struct port p;

	(void)state;
	port_make(&p, 1, 5);
	p.s->drops = 7;
	p.s->half_open.defers = true;
	p.s->half_open.withheld_least = p.s->half_open.withheld_most = 5;
	p.h.withheld_now.after = 5;
	assert_shows(&p, SHOWN_LIST,
		     "0/8      2        -       1  half-open 5/8  5 ACKs withheld by "
		     "TCP_DEFER_ACCEPT  no process seen");
	assert_shows(&p, SHOWN_WINDOW,
		     "queue 0/8, half-open 5/8, drops 2 (5 ACKs withheld by TCP_DEFER_ACCEPT)\n");
	assert_shows(&p, SHOWN_SOCKETS, "       queue half-open  drops   share\n");
	assert_shows(&p, SHOWN_SOCKETS,
		     "         0/8       5/8      2    0.0%\n  TCP_DEFER_ACCEPT withheld 5 ACKs "
		     "until data came: no drops\n");
	assert_shows(&p, SHOWN_JSON,
		     "\"half_open\":{\"length\":5,\"repeated\":5,\"limit\":8,\"highest\":5},"
		     "\"withheld\":{\"least\":5,\"most\":5}");
	assert_shows(&p, SHOWN_JSON, "\"drops\":7,");
	assert_shows(&p, SHOWN_JSON,
		     "\"namespaces\":[{\"netns\":1,\"since_made\":false,\"request_queue_full_"
		     "drops\":0,\"request_queue_full_cookies\":0,"
		     "\"listen_overflows\":0,\"listen_drops\":0,\"defer_accept_drops\":5,\"tcp_"
		     "syncookies\":1,\"tcp_max_syn_backlog\":512,"
		     "\"tcp_synack_retries\":5}]");
}

static void bounds_are_shown_as_bounds(void **state)
{
	struct port p;

	(void)state;
	port_make(&p, 1, 5);
	half_open_look(&p.s->half_open, 0, 0);
	p.s->drops = 9000;
	p.s->half_open.withheld_most = 9000;
	assert_shows(&p, SHOWN_LIST,
		     "≤9,000        -       1  half-open 0/8  up to 9,000 ACKs withheld by "
		     "TCP_DEFER_ACCEPT");
	p.s->half_open.withheld_least = 8000;
	assert_shows(&p, SHOWN_WINDOW,
		     "half-open 0/8 (≥5 at a look), drops ≤1,000 (8,000 to 9,000 ACKs withheld by "
		     "TCP_DEFER_ACCEPT)");
	p.s->half_open = (struct half_open){};
	assert_shows(&p, SHOWN_WINDOW, "queue 0/8, drops 9,000\n");
	assert_shows(&p, SHOWN_JSON,
		     "\"half_open\":{\"length\":null,\"repeated\":null,\"limit\":null,\"highest\":"
		     "null},\"withheld\":null");
}

/* As a list sees it, which looks once: full now, and the namespace has counted that one overflowed.
 */
static void an_accept_queue_that_is_full_now(void **state)
{
	struct port p;

	(void)state;
	port_make(&p, 1, 0);
	p.s->queue_limit = 0;
	p.s->queue_length = 1;
	p.s->drops = 14;
	p.h.since_made = true;
	assert_nothing(&p.f);
	p.h.now.overflows = 14;
	fill(&p.f);
	assert_int_equal(p.e->finding_count, 1);
	assert_non_null(strstr(p.e->findings[0].text,
			       "overflowed: 14 SYNs and ACKs dropped (a retransmission counts "
			       "again); its limit is 0 (N holds N + 1)"));
	p.s->queue_length = 0;
	assert_nothing(&p.f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counters_are_found_by_name),
		cmocka_unit_test(of_the_only_listener_all_are_its_own),
		cmocka_unit_test(counters_that_move_meanwhile_give_bounds),
		cmocka_unit_test(another_listener_may_have_had_them),
		cmocka_unit_test(listeners_come_and_go),
		cmocka_unit_test(a_counter_of_drops_wraps),
		cmocka_unit_test(a_namespace_that_comes_later),
		cmocka_unit_test(a_list_knows_a_bound),
		cmocka_unit_test(a_namespace_that_is_not_known),
		cmocka_unit_test(an_interval_begins_at_the_look_before),
		cmocka_unit_test(the_limit_of_a_request_queue),
		cmocka_unit_test(looks_at_a_request_queue),
		cmocka_unit_test(syn_queue_full_and_who_stays_in_it),
		cmocka_unit_test(syn_queue_full_by_its_length_alone),
		cmocka_unit_test(syn_queue_that_was_not_seen_full),
		cmocka_unit_test(syn_queue_full_for_clients_unknown),
		cmocka_unit_test(syn_cookies_lose_nobody),
		cmocka_unit_test(closed_handshaking_says_how_many),
		cmocka_unit_test(withheld_acks_are_no_overflow),
		cmocka_unit_test(an_accept_queue_that_is_full_now),
		cmocka_unit_test(what_is_exact_is_shown_as_it_is),
		cmocka_unit_test(bounds_are_shown_as_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
