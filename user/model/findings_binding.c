/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules about how the sockets of a port were bound: which sockets share with which. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "findings_rules.h"

static bool by_device_overlap(const struct socket_row *a, const struct socket_row *b)
{
	return !*a->device || !*b->device || !strncmp(a->device, b->device, sizeof(a->device));
}

/* One reuseport group of a port, and which packets its address takes. */
struct reach {
	const struct endpoint *endpoint;
	const struct group *group;
	bool any;            /* the address is a wildcard */
	bool v4, v6;         /* families that the address takes */
	uint8_t address[16]; /* IPv4 as v4-mapped IPv6 */
	bool split;          /* the group overlaps with another */
};

static struct reach reach_of(const struct endpoint *e, const struct group *group)
{
	static const uint8_t zeros[16], mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct reach r = { .endpoint = e, .group = group };
	const bool is_mapped = e->family == AF_INET6 && !memcmp(e->address, mapped, sizeof(mapped));

	r.any = !memcmp(e->address, zeros, e->family == AF_INET ? 4 : 16);
	r.v4 = e->family == AF_INET || is_mapped || (r.any && !group->rows[0]->v6only);
	r.v6 = e->family == AF_INET6 && !is_mapped;
	memcpy(r.address, mapped, sizeof(mapped));
	if (e->family == AF_INET)
		memcpy(r.address + 12, e->address, 4);
	else
		memcpy(r.address, e->address, 16);
	return r;
}

/* Sorts wildcards first, then by address, so that equal addresses are neighbours. */
static int compare_reaches(const void *a, const void *b)
{
	const struct reach *x = a, *y = b;
	int order = COMPARE(y->any, x->any);

	if (!order)
		order = memcmp(x->address, y->address, sizeof(x->address));
	return order ? order : COMPARE(x->group->id, y->group->id);
}

/* Could the same packet go to either group? A dual-stack pair (0.0.0.0 and [::] with IPV6_V6ONLY)
 * does not overlap. */
static bool reaches_overlap(const struct reach *a, const struct reach *b)
{
	if (a->group->id == b->group->id ||
	    !by_device_overlap(a->group->rows[0], b->group->rows[0]))
		return false;
	if (!(a->v4 && b->v4) && !(a->v6 && b->v6))
		return false;
	return a->any || b->any || !memcmp(a->address, b->address, sizeof(a->address));
}

/* "address (0.0.0.0 and 127.0.0.1)" */
static void say_difference(char *buffer, size_t size, const struct reach *a, const struct reach *b)
{
	const struct socket_row *x = a->group->rows[0], *y = b->group->rows[0];
	char one[INET6_ADDRSTRLEN], other[INET6_ADDRSTRLEN];

	if (a->endpoint->family != b->endpoint->family ||
	    memcmp(a->address, b->address, sizeof(a->address))) {
		inet_ntop(a->endpoint->family, a->endpoint->address, one, sizeof(one));
		inet_ntop(b->endpoint->family, b->endpoint->address, other, sizeof(other));
		snprintf(buffer, size, "%s (%s and %s)",
			 a->endpoint->family == b->endpoint->family ? "address" : "family", one,
			 other);
	} else if (strncmp(x->device, y->device, sizeof(x->device))) {
		snprintf(buffer, size, "device (%.15s and %.15s)", *x->device ? x->device : "none",
			 *y->device ? y->device : "none");
	} else if (x->uid != y->uid) {
		snprintf(buffer, size, "owner (uid %" PRIu32 " and %" PRIu32 ")", x->uid, y->uid);
	} else if (x->v6only != y->v6only) {
		snprintf(buffer, size, "IPV6_V6ONLY");
	} else {
		snprintf(buffer, size, "what they were when they were bound");
	}
}

/* Fills reaches[] with the groups of a port, sorted. Returns their number. */
static size_t list_reaches(struct reach *reaches, const struct facts *facts)
{
	size_t count = 0;

	for (size_t i = 0; i < facts->port_count; i++)
		for (size_t j = 0; j < facts->port[i].group_count; j++)
			reaches[count++] =
				reach_of(facts->port[i].endpoint, &facts->port[i].groups[j]);
	qsort(reaches, count, sizeof(*reaches), compare_reaches);
	return count;
}

/* Marks both groups if they overlap, and remembers the first such pair. */
static void mark_pair(struct reach *a, struct reach *b, const struct reach *pair[2])
{
	if (!reaches_overlap(a, b))
		return;
	a->split = b->split = true;
	if (pair[0])
		return;
	pair[0] = a;
	pair[1] = b;
}

#define OVERLAPS_MAX                                                                               \
	64 /* wildcards (say, one per device), and groups of one address, compared with each group \
	    */

/*
 * Two addresses overlap only if they are equal or one is a wildcard, so a port on thousands of
 * addresses does not need a comparison of each pair. Returns the number of groups that overlap with
 * another.
 */
static size_t mark_splits(struct reach *reaches, size_t count, const struct reach *pair[2])
{
	size_t split = 0;

	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < i && j < OVERLAPS_MAX && reaches[j].any; j++)
			mark_pair(&reaches[j], &reaches[i], pair);
		for (size_t j = i; j-- > 0 && i - j < OVERLAPS_MAX &&
				   !memcmp(reaches[j].address, reaches[i].address, 16);)
			mark_pair(&reaches[j], &reaches[i], pair);
	}
	for (size_t i = 0; i < count; i++)
		split += reaches[i].split;
	return split;
}

/* Reported once per port, at its first endpoint. */
static bool group_split(struct finding *f, const struct facts *facts)
{
	const struct reach *pair[2] = {};
	char difference[160];
	struct reach *reaches;
	size_t groups = 0, split;

	if (facts != facts->port || facts->endpoint->design.code == DESIGN_MULTICAST)
		return false;
	for (size_t i = 0; i < facts->port_count; i++)
		groups += facts->port[i].group_count;
	if (groups < 2)
		return false;
	reaches = calloc(groups, sizeof(*reaches));
	if (!reaches)
		return false;
	split = mark_splits(reaches, list_reaches(reaches, facts), pair);
	if (pair[0] && pair[1]) {
		say_difference(difference, sizeof(difference), pair[0], pair[1]);
		finding_say(f,
			    "port %u has %zu SO_REUSEPORT groups that overlap; they differ in %s: "
			    "work is shared within a group only;"
			    " bind all sockets alike",
			    facts->endpoint->port, split, difference);
		finding_show(f, "groups", split);
		finding_show(f, "sockets_of_one", pair[0]->group->sockets);
		finding_show(f, "sockets_of_other", pair[1]->group->sockets);
	}
	free(reaches);
	return split;
}

/* Sockets of an endpoint that have the same owner and device. */
struct bound_sockets {
	const struct socket_row *first;
	size_t sockets, without_reuseport;
};

#define BOUND_MAX 64 /* further owners or devices on one address and port are not told apart */

static size_t list_bound(struct bound_sockets *bound, const struct endpoint *e)
{
	size_t count = 0;

	for (size_t i = 0; i < e->socket_count; i++) {
		const struct socket_row *s = &e->sockets[i];
		size_t at = 0;

		if (s->ended || s->connected)
			continue;
		while (at < count &&
		       (bound[at].first->uid != s->uid ||
			strncmp(bound[at].first->device, s->device, sizeof(s->device))))
			at++;
		if (at == BOUND_MAX)
			continue;
		if (at == count)
			bound[count++] = (struct bound_sockets){ .first = s };
		bound[at].sockets++;
		bound[at].without_reuseport += !s->reuseport;
	}
	return count;
}

static bool udp_two_users(struct finding *f, const struct facts *facts)
{
	struct bound_sockets bound[BOUND_MAX];
	size_t count;
	char one[HELD_SIZE], other[HELD_SIZE];

	if (facts->endpoint->protocol != PROTOCOL_UDP ||
	    facts->endpoint->design.code == DESIGN_MULTICAST)
		return false;
	count = list_bound(bound, facts->endpoint);
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < i; j++) {
			const struct socket_row *a = bound[j].first, *b = bound[i].first;

			if (a->uid == b->uid || !by_device_overlap(a, b))
				continue;
			finding_say(f,
				    "two users have this UDP port: uid %" PRIu32
				    " (%.200s) and uid %" PRIu32 " (%.200s); with SO_REUSEADDR the"
				    " last to bind gets all: if they are no pair, one takes the "
				    "other's datagrams",
				    a->uid, say_holders(one, facts->endpoint, a->cookie), b->uid,
				    say_holders(other, facts->endpoint, b->cookie));
			finding_show(f, "uid", a->uid);
			finding_show(f, "other_uid", b->uid);
			finding_show(f, "socket", a->cookie);
			finding_show(f, "other_socket", b->cookie);
			return true;
		}
	}
	return false;
}

static bool udp_last_binder(struct finding *f, const struct facts *facts)
{
	struct bound_sockets bound[BOUND_MAX];
	size_t count, most = 0;

	if (facts->endpoint->protocol != PROTOCOL_UDP ||
	    facts->endpoint->design.code == DESIGN_MULTICAST)
		return false;
	count = list_bound(bound, facts->endpoint);
	for (size_t i = 0; i < count; i++) {
		size_t sockets = 0;

		for (size_t j = 0; j < count; j++)
			if (bound[i].without_reuseport &&
			    by_device_overlap(bound[i].first, bound[j].first))
				sockets += bound[j].without_reuseport;
		most = sockets > most ? sockets : most;
	}
	if (most < 2 ||
	    (most == 2 && finding_said(facts->endpoint, "udp-two-users"))) /* it names this pair */
		return false;
	finding_say(f,
		    "%zu UDP sockets share this address by SO_REUSEADDR: the last to bind gets "
		    "every unicast datagram, the others none;"
		    " use SO_REUSEPORT to share",
		    most);
	finding_show(f, "sockets", most);
	return true;
}

static const struct rule rules[] = {
	{ "group-split", FINDING_PROBLEM, .of_endpoint = group_split },
	{ "udp-two-users", FINDING_PROBLEM, .of_endpoint = udp_two_users },
	{ "udp-last-binder", FINDING_PROBLEM, .of_endpoint = udp_last_binder },
};

const struct rule_table binding_rules = { rules, sizeof(rules) / sizeof(*rules) };
