/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules about handshakes under way: see handshakes.h. Counts that exist only for a network
 * namespace are reported as the namespace's. */
#include <stdio.h>

#include "findings_rules.h"
#include "words.h"

static const struct handshakes *socket_handshakes(const struct facts *facts)
{
	return handshakes_find(facts->snapshot->handshakes, facts->snapshot->handshake_count,
			       facts->endpoint->netns);
}

/* The namespace of a listener whose request queue was full at some look; NULL: it never was, or the
 * namespace is not known. */
static const struct handshakes *seen_full(const struct facts *facts, const struct socket_row *s)
{
	const struct handshakes *h =
		facts->endpoint->protocol == PROTOCOL_TCP && s->half_open.full_looks
			? socket_handshakes(facts)
			: NULL;

	return h && h->settings.known ? h : NULL;
}

static bool is_full(const struct socket_row *s)
{
	return s->half_open.known && !s->ended && s->half_open.count >= s->half_open.limit;
}

/* "is full (9 half-open, limit 8)" */
#define FULL_SIZE 80
static const char *say_full(char buffer[FULL_SIZE], const struct socket_row *s)
{
	const bool now = is_full(s);

	snprintf(buffer, FULL_SIZE, "%s full (%" PRIu32 " half-open, limit %" PRIu32 ")",
		 now ? "is" : "was", now ? s->half_open.count : s->half_open.highest,
		 s->half_open.limit);
	return buffer;
}

/* Describes which clients stay in the queue, and for how long. With TCP_DEFER_ACCEPT the waiting
 * ends at the first timeout of the SYN-ACK after the last one that the option waits for. */
#define STAYS_SIZE 112
static const char *say_stays(char buffer[STAYS_SIZE], const struct handshakes *h,
			     const struct socket_row *s)
{
	const struct half_open *q = &s->half_open;

	if (q->defer_accept)
		snprintf(buffer, STAYS_SIZE,
			 "clients that send nothing stay up to %u s (TCP_DEFER_ACCEPT)",
			 half_open_seconds(q->defer_accept - 1));
	else
		snprintf(buffer, STAYS_SIZE, "one that does not answer stays up to %u s (%s)",
			 half_open_seconds(q->syn_retries ? q->syn_retries
							  : h->settings.synack_retries),
			 q->syn_retries ? "TCP_SYNCNT" : "tcp_synack_retries");
	return buffer;
}

static const char *what_limits(const struct facts *facts, const struct socket_row *s)
{
	if (s->half_open.limit < s->queue_limit)
		return "net.ipv4.tcp_max_syn_backlog";
	if (s->queue_limit == facts->snapshot->somaxconn &&
	    facts->snapshot->somaxconn_netns == facts->endpoint->netns)
		return "somaxconn and the backlog";
	return "listen()'s backlog";
}

/* If the queue is full only now and no SYN was refused, its handshakes may be about to leave. */
static bool syn_queue_full(struct finding *f, const struct facts *facts, const struct socket_row *s)
{
	const struct handshakes *h = seen_full(facts, s);
	const struct handshake_counts c = h ? handshakes_counted(h) : (struct handshake_counts){};
	const bool by_backlog = s->half_open.limit == s->queue_limit;
	const uint64_t refused = by_backlog ? c.full_refused : growth(c.refused, c.overflows);
	const bool stuck =
		is_full(s) && s->half_open.count > s->half_open.limit && s->half_open.old;
	char full[FULL_SIZE], stays[STAYS_SIZE], lost[100] = "";

	if (!h || h->settings.cookies || (!refused && !stuck))
		return false;
	if (refused)
		snprintf(lost, sizeof(lost), "%" PRIu64 " SYN%s refused in this netns%s, where ",
			 refused, plural_s(refused), h->since_made ? " by now" : "");
	finding_say(f,
		    "%s, without a RST: %sthe request queue of " SOCKET
		    " %s; %s: set net.ipv4.tcp_syncookies=1, or raise %s",
		    is_full(s) ? "new clients time out" : "clients waited or timed out", lost,
		    s->cookie, s->inode, say_full(full, s), say_stays(stays, h, s),
		    what_limits(facts, s));
	finding_show(f, "half_open", s->half_open.highest);
	finding_show(f, "limit", s->half_open.limit);
	finding_show(f, "namespace_refused", refused);
	return true;
}

/* With tcp_syncookies=2 every SYN is answered by a SYN cookie, and none is queued. */
static bool syn_cookies(struct finding *f, const struct facts *facts, const struct socket_row *s)
{
	const struct handshakes *h = seen_full(facts, s);
	const uint64_t sent = h ? handshakes_counted(h).full_cookies : 0;
	char full[FULL_SIZE], stays[STAYS_SIZE];

	if (!h || h->settings.cookies != 1 || !sent)
		return false;
	finding_say(f,
		    "the request queue of " SOCKET " %s: SYN cookies let the others in (%" PRIu64
		    " in its network namespace%s), no client is lost; %s; raise %s for"
		    " more room",
		    s->cookie, s->inode, say_full(full, s), sent, h->since_made ? " by now" : "",
		    say_stays(stays, h, s), what_limits(facts, s));
	finding_show(f, "half_open", s->half_open.highest);
	finding_show(f, "limit", s->half_open.limit);
	finding_show(f, "namespace_cookies", sent);
	return true;
}

/*
 * A handshake whose listener is closed ends with a reset at its client's next packet, unless it
 * moves to another socket. Measured: 5.10, 6.1, 6.18, 7.3.
 */
static bool closed_handshaking(struct finding *f, const struct facts *facts,
			       const struct socket_row *s)
{
	const struct handshakes *h = socket_handshakes(facts);
	const bool moves = s->reuseport && h && h->settings.migrate;

	if (facts->endpoint->protocol != PROTOCOL_TCP || !s->ended || !s->half_open.known ||
	    !s->half_open.count || s->dropped_closing || moves)
		return false;
	finding_say(f,
		    SOCKET " was closed with up to %" PRIu32
			   " handshake%s under way (as many at the last look): the next packet of "
			   "such a client is"
			   " answered by a reset%s",
		    s->cookie, s->inode, s->half_open.count, plural_s(s->half_open.count),
		    s->reuseport ? "; net.ipv4.tcp_migrate_req=1 (Linux 5.14) moves them to "
				   "another socket of its group"
				 : "");
	finding_show(f, "half_open", s->half_open.count);
	return true;
}

static const struct rule rules[] = {
	{ "syn-queue-full", FINDING_PROBLEM, .of_socket = syn_queue_full },
	{ "syn-cookies", FINDING_NOTE, .of_socket = syn_cookies },
	{ "closed-handshaking", FINDING_NOTE, .of_socket = closed_handshaking, .of_ended = true },
};

const struct rule_table handshake_rules = { rules, sizeof(rules) / sizeof(*rules) };
