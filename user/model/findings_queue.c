/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules about the queue of one socket: what waits in it, and what did not fit. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "findings_rules.h"
#include "stall_cause.h"
#include "words.h"

/*
 * A client that gives up has waited before: no client has a timeout below a tenth of a second. A
 * connection that is reset sooner is a health check or a scan that never meant to stay. It takes
 * one in a hundred connections, and more than a few, because single clients die at any time.
 */
#define DEAD_WAIT_NS 100000000ull
#define DEAD_QUANTILE                                                                              \
	0.99 /* one in DEAD_SHARE must have waited that long: one hiccup is no reason */
#define DEAD_LEAST 5
#define DEAD_SHARE 100 /* one in this many accepted connections */

/*
 * A busy thread does not wait either. So a socket counts as unwaited only if no thread was seen
 * waiting on it or taking from it at any time of the window, or if the threads that did belong to
 * an earlier generation. A new socket does not count, because a thread may wait on it in a moment.
 */
static bool is_unwaited(const struct facts *facts, const struct socket_row *s)
{
	const struct group *group = group_find(facts, s->group);
	const bool stuck =
		facts->endpoint->protocol == PROTOCOL_TCP && s->queue_known && s->queue_length;

	return s->reuseport && group && workers_whole(facts->endpoint) && s->waiting_known &&
	       !s->waiting && (!s->accepted || s->generation == GENERATION_EARLIER) &&
	       !takers_find(facts, s->cookie) && (!s->appeared || stuck) &&
	       (group->waiting || stuck) && !socket_stalled(facts, s);
}

static bool is_near_limit(const struct socket_row *s)
{
	return s->queue_known && s->queue_limit &&
	       (uint64_t)s->queue_length * 4 >= (uint64_t)s->queue_limit * 3;
}

/* Was the queue full, so that its drops come from that? For a UDP socket only the present length
 * tells. */
static bool was_full(const struct endpoint *e, const struct socket_row *s)
{
	if (e->protocol == PROTOCOL_UDP)
		return is_near_limit(s);
	/* An accept on another CPU may come before the length is read, which is then one too low.
	 */
	return (s->highest_known && s->queue_highest >= s->queue_limit) || s->full_ns ||
	       s->queue_length > s->queue_limit;
}

/*
 * May the accept queue have overflowed? ACKs that TCP_DEFER_ACCEPT withheld are counted as drops
 * but were not lost. The namespace counts every overflow, so without any there the queue can't have
 * overflowed.
 */
static bool may_have_overflowed(const struct facts *facts, const struct socket_row *s)
{
	const struct handshakes *h =
		handshakes_find(facts->snapshot->handshakes, facts->snapshot->handshake_count,
				facts->endpoint->netns);

	return h ? drops_most(s) && handshakes_counted(h).overflows : drops_least(s);
}

/* Did most of the drops come while nobody took anything? Then they are no sign that the queue is
 * too short. */
static bool stall_dropped(const struct socket_row *s)
{
	return s->stall.ns && s->stall.drops * 2 > drops_most(s);
}

/* Was it a stall that filled the queue, or nearly? */
static bool stall_filled(const struct socket_row *s)
{
	return s->stall.ns && (uint64_t)s->stall.length * 4 >= (uint64_t)s->queue_limit * 3;
}

/* A listener counts other drops too, so the backlog is to blame only if the queue was full. If
 * nothing is taken from the queue, that is the cause instead. */
static bool has_overflowed(const struct facts *facts, const struct socket_row *s)
{
	if (facts->endpoint->protocol != PROTOCOL_TCP || !s->queue_known ||
	    socket_stalled(facts, s) || is_unwaited(facts, s))
		return false;
	return may_have_overflowed(facts, s) && was_full(facts->endpoint, s) && !stall_dropped(s);
}

/* Which setting to raise. net.core.somaxconn is known only for our own network namespace. */
static const char *backlog_advice(const struct facts *facts, const struct socket_row *s)
{
	if (!facts->snapshot->somaxconn ||
	    facts->snapshot->somaxconn_netns != facts->endpoint->netns)
		return "raise listen()'s backlog (and net.core.somaxconn, which caps it)";
	if (s->queue_limit == facts->snapshot->somaxconn)
		return "net.core.somaxconn caps it: raise that, and listen()'s backlog";
	return "listen()'s backlog sets it (or what net.core.somaxconn was then): raise that and "
	       "listen again";
}

/* A queue of limit N holds N + 1. */
static bool backlog_small(struct finding *f, const struct facts *facts, const struct socket_row *s)
{
	const bool bound = drops_least(s) < drops_most(s); /* some drops may be withheld ACKs */
	const uint64_t drops = drops_least(s) ? drops_least(s) : drops_most(s);
	char longest[40] = "";

	if (!has_overflowed(facts, s))
		return false;
	if (s->highest_known)
		snprintf(longest, sizeof(longest), "its longest was %" PRIu32 ", ",
			 s->queue_highest);
	finding_say(f,
		    "the accept queue of " SOCKET " overflowed: %s%" PRIu64
		    " %s dropped (a retransmission counts again);"
		    " %sits limit is %" PRIu32 " (N holds N + 1): %s, or accept faster",
		    s->cookie, s->inode,
		    !bound           ? ""
		    : drops_least(s) ? "at least "
				     : "up to ",
		    drops, drops == 1 ? "SYN or ACK" : "SYNs and ACKs", longest, s->queue_limit,
		    backlog_advice(facts, s));
	finding_show(f, "drops", drops);
	finding_show(f, "limit", s->queue_limit);
	if (s->highest_known)
		finding_show(f, "highest", s->queue_highest);
	if (s->full_known)
		finding_show(f, "full_seconds", s->full_ns / 1e9);
	if (facts->snapshot->somaxconn &&
	    facts->snapshot->somaxconn_netns == facts->endpoint->netns)
		finding_show(f, "somaxconn", facts->snapshot->somaxconn);
	return true;
}

#define QUEUE_LEAST 4 /* two or three connections are not worth a finding */

/* Does another finding say more about this queue? */
static bool queue_told(const struct facts *facts, const struct socket_row *s)
{
	return socket_stalled(facts, s) || is_unwaited(facts, s) || has_overflowed(facts, s);
}

static bool is_near_now(const struct endpoint *e, const struct socket_row *s)
{
	return is_near_limit(s) && (e->protocol == PROTOCOL_UDP || s->queue_length >= QUEUE_LEAST);
}

static bool queue_near_limit(struct finding *f, const struct facts *facts,
			     const struct socket_row *s)
{
	const bool udp = facts->endpoint->protocol == PROTOCOL_UDP;

	if (!is_near_now(facts->endpoint, s) || queue_told(facts, s))
		return false;
	if (udp)
		finding_say(f,
			    "the receive buffer of " SOCKET " holds %" PRIu32 " of %" PRIu32
			    " bytes: when full, datagrams are dropped;"
			    " read faster, or raise SO_RCVBUF and net.core.rmem_max",
			    s->cookie, s->inode, s->queue_length, s->queue_limit);
	else
		finding_say(
			f,
			"the accept queue of " SOCKET " holds %" PRIu32 ", its limit is %" PRIu32
			": when full, connections wait or"
			" fail; accept faster, or raise listen()'s backlog and net.core.somaxconn",
			s->cookie, s->inode, s->queue_length, s->queue_limit);
	finding_show(f, "length", s->queue_length);
	finding_show(f, "limit", s->queue_limit);
	finding_show(f, "drops", s->drops);
	return true;
}

/* Was the queue full at some time of the window, even if nothing came that it had to refuse? A
 * queue of limit N holds N + 1. */
static bool took_no_more(const struct socket_row *s)
{
	const bool seen = s->highest_known && s->queue_highest > s->queue_limit;

	return (seen || s->full_ns) && (uint64_t)s->queue_limit + 1 >= QUEUE_LEAST;
}

static bool is_past_rule(const struct facts *facts, const struct socket_row *s)
{
	return facts->endpoint->protocol == PROTOCOL_TCP && s->queue_known && s->queue_limit &&
	       !is_near_now(facts->endpoint, s) && !queue_told(facts, s) && !stall_filled(s);
}

/* About the window; queue_near_limit() tells about the present length. */
static bool queue_was_full(struct finding *f, const struct facts *facts, const struct socket_row *s)
{
	char duration[DURATION_SIZE], how_long[DURATION_SIZE + 8] = "", longest[40] = "";

	if (!is_past_rule(facts, s) || !took_no_more(s))
		return false;
	if (s->full_ns)
		snprintf(how_long, sizeof(how_long), " for %s", say_duration(duration, s->full_ns));
	if (s->highest_known)
		snprintf(longest, sizeof(longest), "its longest was %" PRIu32 ", ",
			 s->queue_highest);
	finding_say(f,
		    "the accept queue of " SOCKET " was full%s: %sits limit is %" PRIu32
		    " (N holds N + 1), and a connection more would have been"
		    " dropped; accept faster, or raise listen()'s backlog and net.core.somaxconn",
		    s->cookie, s->inode, how_long, longest, s->queue_limit);
	finding_show(f, "length", s->queue_length);
	finding_show(f, "limit", s->queue_limit);
	if (s->highest_known)
		finding_show(f, "highest", s->queue_highest);
	if (s->full_known)
		finding_show(f, "full_seconds", s->full_ns / 1e9);
	return true;
}

static bool queue_was_near_limit(struct finding *f, const struct facts *facts,
				 const struct socket_row *s)
{
	if (!is_past_rule(facts, s) || took_no_more(s) || !s->highest_known ||
	    s->queue_highest < QUEUE_LEAST ||
	    (uint64_t)s->queue_highest * 4 < (uint64_t)s->queue_limit * 3)
		return false;
	finding_say(f,
		    "the accept queue of " SOCKET " was nearly full: its longest was %" PRIu32
		    ", its limit is %" PRIu32,
		    s->cookie, s->inode, s->queue_highest, s->queue_limit);
	finding_show(f, "length", s->queue_length);
	finding_show(f, "limit", s->queue_limit);
	finding_show(f, "highest", s->queue_highest);
	return true;
}

/* Has a finding already named the unwaited sockets of that group? */
static bool group_told(const struct endpoint *e, uint64_t group)
{
	for (size_t i = 0; i < e->finding_count; i++) {
		const struct finding *f = &e->findings[i];

		if (!strcmp(f->code, "socket-unwaited") && f->evidence_count &&
		    f->evidence[0].number == (double)group)
			return true;
	}
	return false;
}

struct unwaited {
	const struct socket_row *first;
	size_t count;
	uint64_t queued, drops;
	bool by_others; /* some are held by another process than the first one */
};

static int32_t first_holder(const struct endpoint *e, uint64_t cookie)
{
	size_t count;
	const struct holder_row *h = endpoint_holders(e, cookie, &count);

	return count ? h->pid : 0;
}

static struct unwaited unwaited_of(const struct facts *facts, const struct group *group)
{
	struct unwaited u = {};

	for (size_t i = 0; i < group->sockets; i++) {
		const struct socket_row *s = group->rows[i];

		if (!is_unwaited(facts, s))
			continue;
		if (!u.first)
			u.first = s;
		u.count++;
		u.queued += s->queue_known ? s->queue_length : 0;
		if (was_full(facts->endpoint, s))
			u.drops += drops_least(s);
		u.by_others |= first_holder(facts->endpoint, s->cookie) !=
			       first_holder(facts->endpoint, u.first->cookie);
	}
	return u;
}

/* ", which sleeps in pause() (__do_sys_pause)", if only one process holds the socket; the sockets
 * of a group are alike. Also sets the finding's cause. */
#define WHICH_SIZE (STALL_DOES_SIZE + 16)
static const char *say_which(char buffer[WHICH_SIZE], struct finding *f, const struct facts *facts,
			     const struct socket_row *s)
{
	struct stall_cause cause;
	size_t count;
	const struct holder_row *h = endpoint_holders(facts->endpoint, s->cookie, &count);

	*buffer = 0;
	if (count != 1)
		return buffer;
	stall_cause_find(&cause, facts, s, h, false);
	f->cause = cause.code;
	if (strcmp(cause.code, "unknown"))
		snprintf(buffer, WHICH_SIZE, ", which %s", cause.does);
	return buffer;
}

/* The unwaited sockets of a group have one cause, the process that left them open. So one finding
 * names them all. */
static bool socket_unwaited(struct finding *f, const struct facts *facts,
			    const struct socket_row *s)
{
	const bool udp = facts->endpoint->protocol == PROTOCOL_UDP;
	const struct group *group = group_find(facts, s->group);
	char held[HELD_SIZE], which[80], lost[80] = "", does[WHICH_SIZE];
	struct unwaited u;

	if (!group || group_told(facts->endpoint, group->id) || !is_unwaited(facts, s))
		return false;
	u = unwaited_of(facts, group);
	if (!u.first)
		return false;
	f->cookie = u.first->cookie;
	snprintf(which, sizeof(which), u.count > 1 ? " and %zu more" : "", u.count - 1);
	if (u.drops)
		snprintf(lost, sizeof(lost), ", %" PRIu64 " dropped", u.drops);
	finding_say(f,
		    "no thread waits on " SOCKET
		    "%s, %s%zu in %s SO_REUSEPORT group: %s share goes nowhere (%" PRIu64
		    " %squeued%s); held by %s%s%s: close %s there, or %s",
		    u.first->cookie, u.first->inode, which, u.count > 1 ? "of " : "one of ",
		    group->sockets, u.count > 1 ? "a" : "its", u.count > 1 ? "their" : "its",
		    u.queued, udp ? "bytes " : "", lost,
		    say_holders(held, facts->endpoint, u.first->cookie),
		    say_which(does, f, facts, u.first),
		    u.by_others ? ", others by other processes" : "", u.count > 1 ? "them" : "it",
		    udp           ? u.count > 1 ? "read from them" : "read from it"
		    : u.count > 1 ? "accept from them"
				  : "accept from it");
	finding_show(f, "group", group->id);
	finding_show(f, "unwaited", u.count);
	finding_show(f, "sockets", group->sockets);
	finding_show(f, "queued", u.queued);
	finding_show(f, "drops", u.drops);
	finding_show(f, "waiting_elsewhere", group->waiting);
	return true;
}

/* The socket's row has ended, or is about to. */
static bool closed_with_queue(struct finding *f, const struct facts *facts,
			      const struct socket_row *s)
{
	char migrated[60] = "", under_way[60] = "";

	if (facts->endpoint->protocol != PROTOCOL_TCP || !s->dropped_closing)
		return false;
	if (s->ended && s->half_open.known && s->half_open.count)
		snprintf(under_way, sizeof(under_way),
			 ", with up to %" PRIu32 " handshake%s under way", s->half_open.count,
			 plural_s(s->half_open.count));
	if (s->migrated)
		snprintf(migrated, sizeof(migrated), ", %" PRIu64 " moved to another socket",
			 s->migrated);
	finding_say(f,
		    SOCKET " was closed with a queue: %" PRIu64
			   " connection%s reset%s%s; take what is queued before you close%s",
		    s->cookie, s->inode, s->dropped_closing,
		    s->dropped_closing == 1 ? " was" : "s were", under_way, migrated,
		    s->reuseport && !s->migrated
			    ? ", or set net.ipv4.tcp_migrate_req=1 (Linux 5.14): then another of "
			      "its SO_REUSEPORT group gets them"
			    : "");
	finding_show(f, "reset", s->dropped_closing);
	finding_show(f, "migrated", s->migrated);
	return true;
}

static bool accepted_dead(struct finding *f, const struct facts *facts, const struct socket_row *s)
{
	const double tail = wait_quantile_ns(&s->wait, facts->endpoint->histograms, DEAD_QUANTILE);
	const bool soon = s->wait_known && s->wait.count && !s->queued_before &&
			  (isnan(tail) ? s->wait.max_ns : tail) < DEAD_WAIT_NS;
	char longest[DURATION_SIZE], waited[DURATION_SIZE + 40] = "";

	if (facts->endpoint->protocol != PROTOCOL_TCP || s->reset_queued < DEAD_LEAST || soon ||
	    (double)s->reset_queued * DEAD_SHARE < (double)s->accepted)
		return false;
	if (s->wait_known && s->wait.count)
		snprintf(waited, sizeof(waited), " (the longest wait: %s)",
			 say_duration(longest, s->wait.max_ns));
	finding_say(f,
		    "%" PRIu64 " of %" PRIu64 " connections accepted from " SOCKET
		    " were dead: the client had reset them while they were"
		    " queued%s; accept faster: more workers, or less work between two accepts",
		    s->reset_queued, s->accepted, s->cookie, s->inode, waited);
	finding_show(f, "reset", s->reset_queued);
	finding_show(f, "accepted", s->accepted);
	if (s->wait_known && s->wait.count)
		finding_show(f, "wait_max_ns", s->wait.max_ns);
	return true;
}

static const struct rule rules[] = {
	{ "backlog-small", FINDING_PROBLEM, .of_socket = backlog_small },
	{ "queue-near-limit", FINDING_PROBLEM, .of_socket = queue_near_limit },
	{ "queue-near-limit", FINDING_PROBLEM, .of_socket = queue_was_full },
	{ "queue-near-limit", FINDING_NOTE, .of_socket = queue_was_near_limit },
	{ "socket-unwaited", FINDING_PROBLEM, .of_socket = socket_unwaited },
	{ "closed-with-queue", FINDING_PROBLEM, .of_socket = closed_with_queue, .of_ended = true },
	{ "accepted-dead", FINDING_PROBLEM, .of_socket = accepted_dead },
};

const struct rule_table queue_rules = { rules, sizeof(rules) / sizeof(*rules) };
