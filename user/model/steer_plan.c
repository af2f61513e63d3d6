/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The questions are asked in this order: is there anything to steer, by which way, and what speaks
 * against that way? The first answer that refuses is the one that the user reads.
 */
#include "steer_plan.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/socket.h>

#include "words.h"

static const char *const ways[] = {
	[STEER_BY_NOTHING] = "none",
	[STEER_BY_LOOKUP] = "lookup",
	[STEER_BY_EPOLL] = "epoll",
	[STEER_BY_REUSEPORT] = "reuseport",
};
static const char *const policies[] = { [STEER_LEAST] = "least",
					[STEER_EVEN] = "even",
					[STEER_LEAST_QUEUE] = "least-queue",
					[STEER_WEIGHTS] = "weights" };

const char *steer_way_name(enum steer_way way)
{
	return ways[way];
}

const char *steer_policy_name(enum steer_policy policy)
{
	return policies[policy];
}

bool steer_way_parse(const char *name, enum steer_way *way)
{
	for (size_t i = STEER_BY_LOOKUP; i < sizeof(ways) / sizeof(*ways); i++) {
		if (strcmp(name, ways[i]))
			continue;
		*way = (enum steer_way)i;
		return true;
	}
	return false;
}

bool steer_policy_parse(const char *name, enum steer_policy *policy)
{
	for (size_t i = 0; i < sizeof(policies) / sizeof(*policies); i++) {
		if (strcmp(name, policies[i]))
			continue;
		*policy = (enum steer_policy)i;
		return true;
	}
	return false;
}

/* Returns false, for callers that return whether the plan stands. */
static bool __attribute__((format(printf, 3, 4)))
refuse(struct steer_plan *plan, const char *code, const char *format, ...)
{
	va_list arguments;

	plan->way = STEER_BY_NOTHING;
	plan->code = code;
	va_start(arguments, format);
	vsnprintf(plan->why, sizeof(plan->why), format, arguments);
	va_end(arguments);
	return false;
}

bool steer_is_listener(const struct socket_row *s)
{
	return !s->ended && s->aside == ASIDE_NOT && !s->kernel && !s->connected && s->cookie;
}

/* ---- other listeners ---- */

/* The address as IPv4, if packets to it are IPv4: of an IPv4 socket, or of one that is bound to a
 * mapped address. NULL: it is neither. */
static const uint8_t *address_v4(const struct endpoint *e)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (e->family == AF_INET)
		return e->address;
	return memcmp(e->address, mapped, sizeof(mapped)) ? NULL : e->address + 12;
}

static bool address_is_any(const struct endpoint *e)
{
	static const uint8_t none[16];

	return !memcmp(e->address, none, e->family == AF_INET ? 4 : 16);
}

bool steer_v6only(const struct endpoint *e)
{
	for (size_t i = 0; i < e->socket_count; i++)
		if (steer_is_listener(&e->sockets[i]))
			return e->sockets[i].v6only;
	return e->socket_count && e->sockets[0].v6only;
}

static bool takes_v4_too(const struct endpoint *e)
{
	return e->family == AF_INET6 && address_is_any(e) && e->socket_count && !steer_v6only(e);
}

static bool has_device(const struct endpoint *e)
{
	for (size_t i = 0; i < e->socket_count; i++)
		if (steer_is_listener(&e->sockets[i]) && *e->sockets[i].device)
			return true;
	return false;
}

/* The kernel's own listeners count, too. A connected UDP socket is found before any program is
 * asked. */
static bool has_listener(const struct endpoint *e)
{
	for (size_t i = 0; i < e->socket_count; i++)
		if (!e->sockets[i].ended && e->sockets[i].aside != ASIDE_BOUND &&
		    !e->sockets[i].connected)
			return true;
	return false;
}

/*
 * The kernel looks for the packet's own address before it looks for any; among sockets of one
 * address those of the device win, then those of the packet's family (compute_score(),
 * net/ipv4/inet_hashtables.c). An SK_LOOKUP program is asked before all of that.
 */
static bool would_rob(const struct endpoint *e, const struct endpoint *other)
{
	const uint8_t *own = address_v4(e), *theirs = address_v4(other);

	if (address_is_any(other) && !address_is_any(e))
		return false;
	if (takes_v4_too(e) && theirs)
		return true;
	if (e->family == AF_INET6 && !own)
		return other->family == AF_INET6 &&
		       (address_is_any(e) || !memcmp(e->address, other->address, 16)) &&
		       (!theirs || takes_v4_too(e));
	if (!theirs) /* any IPv6, dual-stack: IPv4 sockets win against it */
		return has_device(other) && takes_v4_too(other);
	return address_is_any(e) || !memcmp(own, theirs, 4);
}

const struct endpoint *steer_overlap(const struct snapshot *all, const struct endpoint *e)
{
	for (size_t i = 0; i < all->endpoint_count + all->aside_count; i++) {
		const struct endpoint *other = &all->endpoints[i];

		if (other->protocol != e->protocol || other->port != e->port ||
		    other->netns != e->netns || !has_listener(other))
			continue;
		if (other->family == e->family && !memcmp(other->address, e->address, 16))
			continue;
		if (would_rob(e, other))
			return other;
	}
	return NULL;
}

/* ---- one socket ---- */

/* Why a port with one socket can't be steered, by how its workers take work. */
static const struct {
	const char *code, *why;
} by_design[] = {
	[DESIGN_UNKNOWN] = { "design", "how its workers wait for connections was not recognised; "
				       "give each worker a SO_REUSEPORT socket of its own" },
	[DESIGN_ALONE] = { "alone", "one worker takes all that comes, so there is nobody to steer "
				    "to; give several workers a SO_REUSEPORT socket each" },
	[DESIGN_SHARED_ACCEPT] = { "accept", "its workers block in accept() on one socket, and "
					     "the kernel wakes them first in, first out: that is "
					     "even already" },
	[DESIGN_SHARED_POLL] = { "poll", "its workers wait in poll() or select(), whose order "
					 "can't be changed from outside; give each worker a "
					 "SO_REUSEPORT socket of its own" },
	[DESIGN_SHARED_EPOLL_FD] = { "epoll-fd", "its workers sleep in one epoll, whose order "
						 "can't be changed from outside; give each worker "
						 "an epoll or a SO_REUSEPORT socket of its own" },
	[DESIGN_SHARED_URING] = { "io-uring", "its workers accept by io_uring, whose order can't "
					      "be changed from outside; give each worker a "
					      "SO_REUSEPORT socket of its own" },
	[DESIGN_HAND_OVER] = { "hand-over", "one thread accepts and hands the connections over, so "
					    "the server itself decides who serves" },
	[DESIGN_PER_CONNECTION] = { "per-connection", "each connection gets a process or a thread "
						      "of its own, so there is nothing to share" },
	[DESIGN_TURNS] = { "turns", "a runtime whose threads take turns accepts for all of them, "
				    "so the server itself decides who serves" },
};

static bool waits_in_epolls(const struct endpoint *e)
{
	for (size_t i = 0; i < e->worker_count; i++)
		if (e->workers[i].wait_kind == WAITS_EPOLL)
			return true;
	return e->design.code == DESIGN_SHARED_EPOLL || e->design.code == DESIGN_SHARED_EXCLUSIVE;
}

static bool plan_one_socket(struct steer_plan *plan, const struct endpoint *e,
			    const struct steer_wish *wish)
{
	const enum design_code code = e->design.code;

	if (steer_by_program(wish->via) || e->protocol == PROTOCOL_UDP)
		return refuse(plan, "single",
			      "its one socket has no other to share with; give each worker a "
			      "SO_REUSEPORT socket of its own");
	if (e->design.epolls > 1 || (code == DESIGN_UNKNOWN && waits_in_epolls(e)) ||
	    code == DESIGN_SHARED_EPOLL || code == DESIGN_SHARED_EXCLUSIVE) {
		if (wish->policy_given && wish->policy != STEER_EVEN)
			return refuse(plan, "policy",
				      "one socket in several epolls can only be shared evenly: "
				      "--policy even");
		plan->way = STEER_BY_EPOLL;
		plan->policy = STEER_EVEN;
		plan->members = e->design.epolls;
		return true;
	}
	if ((size_t)code < sizeof(by_design) / sizeof(*by_design) && by_design[code].code)
		return refuse(plan, by_design[code].code, "%s", by_design[code].why);
	return refuse(plan, "design", "%s", by_design[DESIGN_UNKNOWN].why);
}

/* ---- a SO_REUSEPORT group ---- */

/* What one socket of a group may have that speaks against picking it that way. */
static bool check_socket(struct steer_plan *plan, const struct socket_row *s, uint64_t group,
			 enum steer_way way)
{
	if (*s->device && way == STEER_BY_LOOKUP)
		return refuse(plan, "device",
			      "socket %" PRIu64 " is bound to the device %s, which the program "
			      "that steers would not respect",
			      s->cookie, s->device);
	if (s->incoming_cpu_set)
		return refuse(plan, "incoming-cpu",
			      "SO_INCOMING_CPU of socket %" PRIu64 " chooses by CPU already, and "
			      "steering would undo that; take the option out first",
			      s->cookie);
	/* Asked last: sockets of other devices are in other groups. */
	if (!s->reuseport || s->group != group)
		return refuse(plan, "groups",
			      "socket %" PRIu64 " is not in the SO_REUSEPORT group of the others, "
			      "so they do not take each other's connections",
			      s->cookie);
	return true;
}

static bool plan_weights(struct steer_plan *plan, const struct steer_wish *wish)
{
	for (size_t i = 0; i < plan->members; i++)
		plan->weights[i] = wish->policy == STEER_WEIGHTS && i < wish->weight_count
					   ? wish->weights[i]
					   : 1;
	if (wish->policy != STEER_WEIGHTS || wish->weight_count == plan->members)
		return true;
	return refuse(plan, "weights",
		      "%zu weight%s for %zu sockets; one for each is needed, in the order of "
		      "--dry-run",
		      wish->weight_count, plural_s(wish->weight_count), plan->members);
}

static int cookie_order(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void address_text(char *text, size_t size, const struct endpoint *e)
{
	char address[INET6_ADDRSTRLEN];

	inet_ntop(e->family, e->address, address, sizeof(address));
	snprintf(text, size, e->family == AF_INET6 ? "[%s]:%u" : "%s:%u", address, e->port);
}

/* A program of the group itself picks among those that the kernel has found: it robs nobody. */
static bool check_reuseport(struct steer_plan *plan, const struct steer_facts *facts)
{
	if (!facts->reuseport_known)
		return refuse(plan, "kernel",
			      "this kernel's SK_REUSEPORT programs can't see the sockets of their "
			      "group; Linux shows them since 5.14");
	if (facts->program)
		return refuse(plan, "program",
			      "its group has a program already (SO_ATTACH_REUSEPORT_CBPF or "
			      "_EBPF), and to attach another would remove that for good");
	return true;
}

static bool check_lookup(struct steer_plan *plan, const struct endpoint *e,
			 const struct endpoint *other, const struct steer_facts *facts)
{
	char address[64];

	if (other) {
		address_text(address, sizeof(address), other);
		return refuse(plan, "overlap",
			      "another listener has the port (%s), and the program that steers "
			      "would take its connections, too; close that one, or steer it%s",
			      address,
			      e->protocol == PROTOCOL_UDP ? ""
			      : facts->reuseport_known    ? ", or steer this one by --via reuseport"
						       : " (from Linux 5.14 on it can be steered "
							 "beside that one)");
	}
	if (!facts->lookup_known)
		return refuse(plan, "kernel",
			      "this kernel has no SK_LOOKUP programs; Linux has them since 5.9");
	if (facts->lookup_others)
		return refuse(plan, "lookup",
			      "another SK_LOOKUP program is attached to its network namespace and "
			      "picks sockets already; bpftool net shows it");
	if (*facts->vrf)
		return refuse(plan, "vrf",
			      "the kernel keeps the traffic of the VRF device %s from it "
			      "(net.ipv4.%s_l3mdev_accept=0), and the program that steers would "
			      "not%s",
			      facts->vrf, e->protocol == PROTOCOL_UDP ? "udp" : "tcp",
			      e->protocol == PROTOCOL_TCP && facts->reuseport_known
				      ? "; steer it by --via reuseport"
				      : "");
	return true;
}

/* What speaks against a program of either kind. */
static bool check_group(struct steer_plan *plan, const struct steer_facts *facts)
{
	if (facts->steerer)
		return refuse(plan, "steered",
			      "sockfair %" PRId32 " steers it already; end that one first",
			      facts->steerer);
	if (facts->mptcp)
		return refuse(plan, "mptcp",
			      "socket %" PRIu64 " is an MPTCP socket, which the kernel does not "
			      "take into the map of the program",
			      facts->mptcp);
	plan->left = facts->left;
	return true;
}

/* Where an SK_LOOKUP program would take what is not the group's, the group's own program does not.
 */
static enum steer_way way_of_group(const struct endpoint *e, const struct endpoint *other,
				   const struct steer_facts *facts, const struct steer_wish *wish)
{
	if (wish->via)
		return wish->via;
	return e->protocol == PROTOCOL_TCP && (other || has_device(e) || *facts->vrf) &&
			       facts->reuseport_known
		       ? STEER_BY_REUSEPORT
		       : STEER_BY_LOOKUP;
}

static bool plan_group(struct steer_plan *plan, const struct snapshot *all,
		       const struct endpoint *e, uint64_t group, const struct steer_facts *facts,
		       const struct steer_wish *wish)
{
	const struct endpoint *other = steer_overlap(all, e);
	const enum steer_way way = way_of_group(e, other, facts, wish);

	if (way != STEER_BY_LOOKUP && e->protocol == PROTOCOL_UDP)
		return refuse(plan, "way", "UDP is steered by --via lookup");
	if (way == STEER_BY_EPOLL)
		return refuse(plan, "way", "a SO_REUSEPORT group is steered by --via lookup%s",
			      facts->reuseport_known ? " or --via reuseport" : "");
	for (size_t i = 0; i < e->socket_count; i++)
		if (steer_is_listener(&e->sockets[i]) &&
		    !check_socket(plan, &e->sockets[i], group, way))
			return false;
	if (!(way == STEER_BY_LOOKUP ? check_lookup(plan, e, other, facts)
				     : check_reuseport(plan, facts)) ||
	    !check_group(plan, facts))
		return false;
	plan->way = way;
	return plan_weights(plan, wish);
}

/* ---- UDP ---- */

/* What QUIC is served on: HTTP/3 (443, and often 8443), DNS (853, RFC 9250). */
static bool is_quic(uint16_t port)
{
	return port == 443 || port == 8443 || port == 853;
}

/* Nothing of a datagram is looked at, so what its protocol needs follows from its port, from what
 * the server itself has asked for, and from what the user says. */
static bool check_datagrams(struct steer_plan *plan, const struct endpoint *e,
			    const struct steer_wish *wish)
{
	if (is_quic(e->port))
		return refuse(plan, "quic",
			      "QUIC has UDP port %u, and its connections would break, since each "
			      "datagram would go to another socket",
			      e->port);
	if (!wish->stateless)
		return refuse(plan, "udp",
			      "each datagram of a UDP flow would go to another socket, from when "
			      "steering begins until it ends; --stateless says that the protocol "
			      "knows nothing of datagrams from before, as DNS");
	for (size_t i = 0; i < e->socket_count; i++)
		if (steer_is_listener(&e->sockets[i]) && e->sockets[i].steered)
			return refuse(plan, "program",
				      "a program of its group (SO_ATTACH_REUSEPORT_*) picks the "
				      "socket of each datagram, as for QUIC, whose connections "
				      "must keep their worker; steering would not ask it");
	if (wish->policy_given && wish->policy != STEER_LEAST_QUEUE)
		return refuse(plan, "policy",
			      "UDP is shared by --policy least-queue alone: a datagram leaves "
			      "nothing open, and equal counts shorten no queue");
	plan->policy = STEER_LEAST_QUEUE;
	return true;
}

void steer_plan_make(struct steer_plan *plan, const struct snapshot *all, const struct endpoint *e,
		     const struct steer_facts *facts, const struct steer_wish *wish)
{
	uint64_t group = 0;

	*plan = (struct steer_plan){ .policy = wish->policy,
				     .reuseport_known = facts->reuseport_known };
	if (e->protocol == PROTOCOL_UDP && !check_datagrams(plan, e, wish))
		return;
	for (size_t i = 0; i < e->socket_count; i++) {
		if (!steer_is_listener(&e->sockets[i]))
			continue;
		if (plan->members < STEER_MEMBERS_MAX)
			plan->cookies[plan->members] = e->sockets[i].cookie;
		plan->members++;
		group = group ? group : e->sockets[i].group;
	}
	if (plan->members > STEER_MEMBERS_MAX)
		refuse(plan, "many", "its group has %zu sockets, and at most %d can be steered",
		       plan->members, STEER_MEMBERS_MAX);
	else if (!plan->members)
		refuse(plan, "none", "nobody listens on it");
	else if (plan->members == 1)
		plan_one_socket(plan, e, wish);
	else {
		qsort(plan->cookies, plan->members, sizeof(*plan->cookies), cookie_order);
		plan_group(plan, all, e, group, facts, wish);
	}
}
