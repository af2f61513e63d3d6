/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What looks wrong. To add a finding: one function that fills it or says that there is none, and one row of the table `rules`.
 * A rule is about one socket or about an endpoint. It must cost no more than the rows it looks at: machines have ten thousand sockets.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "findings.h"

#define SOCKET_FINDINGS_MAX 8 /* of one rule and endpoint; more sockets of the same kind are one further finding */

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

/* The sockets of an endpoint that share one SO_REUSEPORT group. */
struct group {
	uint64_t id;
	const struct socket_row *first;
	size_t sockets;
	uint32_t waiting; /* threads, over all of them */
};

/* The threads that can take from one socket. */
struct takers {
	uint64_t cookie;
	size_t threads, processes;
};

/* What the rules need to know of an endpoint, found once. Sockets and threads that ended are left out. */
struct facts {
	const struct endpoint *endpoint;
	struct group *groups;      /* by id */
	size_t group_count;
	struct takers *takers;     /* by cookie */
	size_t taker_count;
	const struct facts *port;  /* those of the same protocol, port and namespace: one after the other, in the snapshot's order */
	size_t port_count;
};

static void __attribute__((format(printf, 2, 3))) say(struct finding *f, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(f->text, sizeof(f->text), format, args);
	va_end(args);
}

static void show(struct finding *f, const char *name, double number)
{
	if (f->evidence_count < EVIDENCE_MAX)
		f->evidence[f->evidence_count++] = (struct evidence){ name, number };
}

/* "nginx 700, 701 and 3 more": the processes that hold a socket. A name may hold any bytes: renderers make them harmless. */
#define HELD_SIZE 100
static const char *held_by(char *buffer, const struct endpoint *e, uint64_t cookie)
{
	size_t count, length = 0, shown;
	const struct holder_row *rows = endpoint_holders(e, cookie, &count);

	for (shown = 0; shown < count && shown < 3; shown++)
		length += snprintf(buffer + length, HELD_SIZE - length, "%s%.15s %" PRId32, shown ? ", " : "", rows[shown].process,
				   rows[shown].pid);
	if (count > shown)
		snprintf(buffer + length, HELD_SIZE - length, " and %zu more", count - shown);
	if (!count)
		snprintf(buffer, HELD_SIZE, "no process seen");
	return buffer;
}

static const struct group *group_find(const struct facts *facts, uint64_t id)
{
	size_t low = 0, high = facts->group_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (facts->groups[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < facts->group_count && facts->groups[low].id == id ? &facts->groups[low] : NULL;
}

static const struct takers *takers_find(const struct facts *facts, uint64_t cookie)
{
	size_t low = 0, high = facts->taker_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (facts->takers[middle].cookie < cookie)
			low = middle + 1;
		else
			high = middle;
	}
	return low < facts->taker_count && facts->takers[low].cookie == cookie ? &facts->takers[low] : NULL;
}

/* --- rules about one socket ------------------------------------------------------------------------------------------ */

/* A queue of two or three is no queue, however small its limit. */
static bool queue_near_limit(struct finding *f, const struct facts *facts, const struct socket_row *s)
{
	const bool udp = facts->endpoint->protocol == PROTOCOL_UDP;

	if (!s->queue_known || !s->queue_limit || (uint64_t)s->queue_length * 4 < (uint64_t)s->queue_limit * 3 ||
	    (!udp && s->queue_length < 4))
		return false;
	if (udp)
		say(f, "the receive buffer of socket %" PRIu64 " (inode %" PRIu32 ") holds %" PRIu32 " of %" PRIu32
		    " bytes: when full, datagrams are dropped; read faster, or raise SO_RCVBUF and net.core.rmem_max",
		    s->cookie, s->inode, s->queue_length, s->queue_limit);
	else
		say(f, "the accept queue of socket %" PRIu64 " (inode %" PRIu32 ") holds %" PRIu32 ", its limit is %" PRIu32
		    ": when full, connections wait or fail; accept faster, or raise listen()'s backlog and net.core.somaxconn",
		    s->cookie, s->inode, s->queue_length, s->queue_limit);
	show(f, "length", s->queue_length);
	show(f, "limit", s->queue_limit);
	show(f, "drops", s->drops);
	return true;
}

/*
 * A thread that is busy does not wait either: a socket counts as unwaited only if nobody was seen to wait on it or to take from it at any
 * time of the window. One that has just been made may be waited on in a moment.
 */
static bool socket_unwaited(struct finding *f, const struct facts *facts, const struct socket_row *s)
{
	const struct group *group = group_find(facts, s->group);
	const bool stuck = facts->endpoint->protocol == PROTOCOL_TCP && s->queue_known && s->queue_length;
	char held[HELD_SIZE];

	if (!s->reuseport || !group || !s->waiting_known || s->waiting || s->accepted || takers_find(facts, s->cookie) ||
	    (s->appeared && !stuck) || (!group->waiting && !stuck))
		return false;
	say(f, "no thread waits on socket %" PRIu64 " (inode %" PRIu32 "), one of %zu in its SO_REUSEPORT group: its share goes nowhere"
	    " (%" PRIu32 " queued); held by %s: close it there, or accept from it",
	    s->cookie, s->inode, group->sockets, stuck ? s->queue_length : 0, held_by(held, facts->endpoint, s->cookie));
	show(f, "sockets", group->sockets);
	show(f, "queued", stuck ? s->queue_length : 0);
	show(f, "waiting_elsewhere", group->waiting);
	return true;
}

/* --- rules about an endpoint ----------------------------------------------------------------------------------------- */

static bool shared_socket(struct finding *f, const struct facts *facts)
{
	const struct takers *most = NULL;
	size_t shared = 0;

	for (size_t i = 0; i < facts->taker_count; i++) {
		const struct takers *t = &facts->takers[i];

		if (t->threads < 2)
			continue;
		shared++;
		if (!most || t->threads > most->threads)
			most = t;
	}
	if (!most)
		return false;
	f->cookie = shared == 1 ? most->cookie : 0;
	if (shared == 1)
		say(f, "%zu workers (of %zu process%s) on one socket, %" PRIu64 ": which of them wakes decides who gets the work;"
		    " with SO_REUSEPORT each could have its own", most->threads, most->processes, most->processes == 1 ? "" : "es",
		    most->cookie);
	else
		say(f, "%zu sockets have several workers each, up to %zu: which of them wakes decides who gets the work", shared,
		    most->threads);
	show(f, "sockets", shared);
	show(f, "workers", most->threads);
	show(f, "processes", most->processes);
	return true;
}

/*
 * Several sockets on one UDP port are meant for multicast: each gets a copy. Of a wildcard address it can't be told what comes, so
 * ports that are known for it are left alone: mDNS, LLMNR, SSDP.
 */
static bool is_multicast(const struct endpoint *e)
{
	static const uint16_t ports[] = { 1900, 5353, 5355 };
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (e->protocol == PROTOCOL_TCP)
		return false;
	for (size_t i = 0; i < sizeof(ports) / sizeof(*ports); i++)
		if (e->port == ports[i])
			return true;
	if (e->family == AF_INET)
		return e->address[0] >> 4 == 14;
	return e->address[0] == 0xff || (!memcmp(e->address, mapped, sizeof(mapped)) && e->address[12] >> 4 == 14);
}

static bool devices_overlap(const struct socket_row *a, const struct socket_row *b)
{
	return !*a->device || !*b->device || !strncmp(a->device, b->device, sizeof(a->device));
}

/* One SO_REUSEPORT group of a port, and which packets its address takes. */
struct reach {
	const struct endpoint *endpoint;
	const struct group *group;
	bool any;            /* a wildcard */
	bool v4, v6;         /* families that it takes */
	uint8_t address[16]; /* IPv4 as v4-mapped IPv6 */
	bool split;          /* it overlaps with another */
};

static struct reach reach_of(const struct endpoint *e, const struct group *group)
{
	static const uint8_t zeros[16], mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct reach r = { .endpoint = e, .group = group };
	const bool is_mapped = e->family == AF_INET6 && !memcmp(e->address, mapped, sizeof(mapped));

	r.any = !memcmp(e->address, zeros, e->family == AF_INET ? 4 : 16);
	r.v4 = e->family == AF_INET || is_mapped || (r.any && !group->first->v6only);
	r.v6 = e->family == AF_INET6 && !is_mapped;
	memcpy(r.address, mapped, sizeof(mapped));
	if (e->family == AF_INET)
		memcpy(r.address + 12, e->address, 4);
	else
		memcpy(r.address, e->address, 16);
	return r;
}

/* Wildcards first, then by address: equal addresses are neighbours. */
static int compare_reaches(const void *a, const void *b)
{
	const struct reach *x = a, *y = b;
	int order = COMPARE(y->any, x->any);

	if (!order)
		order = memcmp(x->address, y->address, sizeof(x->address));
	return order ? order : COMPARE(x->group->id, y->group->id);
}

/* The same packet could go to either. A dual-stack pair (0.0.0.0 and [::] with IPV6_V6ONLY) does not overlap. */
static bool reaches_overlap(const struct reach *a, const struct reach *b)
{
	if (a->group->id == b->group->id || !devices_overlap(a->group->first, b->group->first))
		return false;
	if (!(a->v4 && b->v4) && !(a->v6 && b->v6))
		return false;
	return a->any || b->any || !memcmp(a->address, b->address, sizeof(a->address));
}

/* "address (0.0.0.0 and 127.0.0.1)" */
static void say_difference(char *buffer, size_t size, const struct reach *a, const struct reach *b)
{
	const struct socket_row *x = a->group->first, *y = b->group->first;
	char one[INET6_ADDRSTRLEN], other[INET6_ADDRSTRLEN];

	if (a->endpoint->family != b->endpoint->family || memcmp(a->address, b->address, sizeof(a->address))) {
		inet_ntop(a->endpoint->family, a->endpoint->address, one, sizeof(one));
		inet_ntop(b->endpoint->family, b->endpoint->address, other, sizeof(other));
		snprintf(buffer, size, "%s (%s and %s)", a->endpoint->family == b->endpoint->family ? "address" : "family", one, other);
	} else if (strncmp(x->device, y->device, sizeof(x->device))) {
		snprintf(buffer, size, "device (%.15s and %.15s)", *x->device ? x->device : "none", *y->device ? y->device : "none");
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
			reaches[count++] = reach_of(facts->port[i].endpoint, &facts->port[i].groups[j]);
	qsort(reaches, count, sizeof(*reaches), compare_reaches);
	return count;
}

/* Marks both if they overlap, and remembers the first pair that does. */
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

#define OVERLAPS_MAX 64 /* of the wildcards (one a device, say), and of those of one address, that are compared with each group */

/*
 * Two addresses overlap only if they are equal or one is a wildcard, so a port on thousands of addresses takes no comparison of each
 * with each. Returns how many groups overlap with another.
 */
static size_t mark_splits(struct reach *reaches, size_t count, const struct reach *pair[2])
{
	size_t split = 0;

	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < i && j < OVERLAPS_MAX && reaches[j].any; j++)
			mark_pair(&reaches[j], &reaches[i], pair);
		for (size_t j = i; j-- > 0 && i - j < OVERLAPS_MAX && !memcmp(reaches[j].address, reaches[i].address, 16);)
			mark_pair(&reaches[j], &reaches[i], pair);
	}
	for (size_t i = 0; i < count; i++)
		split += reaches[i].split;
	return split;
}

/* Told once a port, at its first endpoint. */
static bool group_split(struct finding *f, const struct facts *facts)
{
	const struct reach *pair[2] = {};
	char difference[160];
	struct reach *reaches;
	size_t groups = 0, split;

	for (size_t i = 0; i < facts->port_count; i++)
		groups += facts->port[i].group_count;
	if (facts != facts->port || groups < 2 || is_multicast(facts->endpoint))
		return false;
	reaches = calloc(groups, sizeof(*reaches));
	if (!reaches)
		return false;
	split = mark_splits(reaches, list_reaches(reaches, facts), pair);
	if (split) {
		say_difference(difference, sizeof(difference), pair[0], pair[1]);
		say(f, "port %u has %zu SO_REUSEPORT groups that overlap; they differ in %s: work is shared within a group only;"
		    " bind all sockets alike", facts->endpoint->port, split, difference);
		show(f, "groups", split);
		show(f, "sockets_of_one", pair[0]->group->sockets);
		show(f, "sockets_of_other", pair[1]->group->sockets);
	}
	free(reaches);
	return split;
}

/* Sockets of an endpoint that are bound alike, by owner and device. */
struct bound {
	const struct socket_row *first;
	size_t sockets, without_reuseport;
};

#define BOUND_MAX 64 /* more owners or devices on one address and port are not told apart */

static size_t list_bound(struct bound *bound, const struct endpoint *e)
{
	size_t count = 0;

	for (size_t i = 0; i < e->socket_count; i++) {
		const struct socket_row *s = &e->sockets[i];
		size_t at = 0;

		if (s->ended)
			continue;
		while (at < count && (bound[at].first->uid != s->uid || strncmp(bound[at].first->device, s->device, sizeof(s->device))))
			at++;
		if (at == BOUND_MAX)
			continue;
		if (at == count)
			bound[count++] = (struct bound){ .first = s };
		bound[at].sockets++;
		bound[at].without_reuseport += !s->reuseport;
	}
	return count;
}

static bool udp_two_users(struct finding *f, const struct facts *facts)
{
	struct bound bound[BOUND_MAX];
	size_t count;
	char one[HELD_SIZE], other[HELD_SIZE];

	if (facts->endpoint->protocol != PROTOCOL_UDP || is_multicast(facts->endpoint))
		return false;
	count = list_bound(bound, facts->endpoint);
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < i; j++) {
			const struct socket_row *a = bound[j].first, *b = bound[i].first;

			if (a->uid == b->uid || !devices_overlap(a, b))
				continue;
			say(f, "two users have this UDP port: uid %" PRIu32 " (%.50s) and uid %" PRIu32 " (%.50s); with SO_REUSEADDR the"
			    " last to bind gets all: if they are no pair, one takes the other's datagrams",
			    a->uid, held_by(one, facts->endpoint, a->cookie), b->uid, held_by(other, facts->endpoint, b->cookie));
			show(f, "uid", a->uid);
			show(f, "other_uid", b->uid);
			show(f, "socket", a->cookie);
			show(f, "other_socket", b->cookie);
			return true;
		}
	}
	return false;
}

static bool udp_last_binder(struct finding *f, const struct facts *facts)
{
	struct bound bound[BOUND_MAX];
	size_t count, most = 0;

	if (facts->endpoint->protocol != PROTOCOL_UDP || is_multicast(facts->endpoint))
		return false;
	count = list_bound(bound, facts->endpoint);
	for (size_t i = 0; i < count; i++) {
		size_t sockets = 0;

		for (size_t j = 0; j < count; j++)
			if (bound[i].without_reuseport && devices_overlap(bound[i].first, bound[j].first))
				sockets += bound[j].without_reuseport;
		most = sockets > most ? sockets : most;
	}
	if (most < 2)
		return false;
	say(f, "%zu UDP sockets share this address by SO_REUSEADDR: the last to bind gets every unicast datagram, the others none;"
	    " use SO_REUSEPORT to share", most);
	show(f, "sockets", most);
	return true;
}

static const struct rule {
	const char *code;
	bool (*of_socket)(struct finding *, const struct facts *, const struct socket_row *);
	bool (*of_endpoint)(struct finding *, const struct facts *);
} rules[] = {
	{ "queue-near-limit", queue_near_limit, NULL },
	{ "socket-unwaited", socket_unwaited, NULL },
	{ "group-split", NULL, group_split },
	{ "udp-two-users", NULL, udp_two_users },
	{ "udp-last-binder", NULL, udp_last_binder },
	{ "shared-socket", NULL, shared_socket },
};

/* --- what runs them -------------------------------------------------------------------------------------------------- */

static int add(struct endpoint *e, const struct finding *f)
{
	struct finding *more = realloc(e->findings, (e->finding_count + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	e->findings = more;
	e->findings[e->finding_count++] = *f;
	return 0;
}

static int apply_to_sockets(struct endpoint *e, const struct facts *facts, const struct rule *rule)
{
	size_t found = 0;
	int err = 0;

	for (size_t i = 0; i < e->socket_count && !err; i++) {
		struct finding f = { .code = rule->code, .cookie = e->sockets[i].cookie };

		if (!e->sockets[i].ended && rule->of_socket(&f, facts, &e->sockets[i]) && found++ < SOCKET_FINDINGS_MAX)
			err = add(e, &f);
	}
	if (!err && found > SOCKET_FINDINGS_MAX) {
		struct finding f = { .code = rule->code };

		say(&f, "the same of %zu more sockets of this port", found - SOCKET_FINDINGS_MAX);
		show(&f, "sockets", found - SOCKET_FINDINGS_MAX);
		err = add(e, &f);
	}
	return err;
}

static int apply_rules(struct endpoint *e, const struct facts *facts)
{
	int err = 0;

	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules) && !err; i++) {
		struct finding f = { .code = rules[i].code };

		if (rules[i].of_socket)
			err = apply_to_sockets(e, facts, &rules[i]);
		else if (rules[i].of_endpoint(&f, facts))
			err = add(e, &f);
	}
	return err;
}

static int compare_by_group(const void *a, const void *b)
{
	const struct socket_row *x = *(const struct socket_row *const *)a, *y = *(const struct socket_row *const *)b;

	return x->group != y->group ? COMPARE(x->group, y->group) : COMPARE(x->cookie, y->cookie);
}

static int group_facts(struct facts *facts, const struct endpoint *e)
{
	const struct socket_row **rows = calloc(e->socket_count + 1, sizeof(*rows));
	size_t count = 0;

	facts->groups = calloc(e->socket_count + 1, sizeof(*facts->groups));
	if (!rows || !facts->groups) {
		free(rows);
		return -ENOMEM;
	}
	for (size_t i = 0; i < e->socket_count; i++)
		if (e->sockets[i].reuseport && e->sockets[i].group && !e->sockets[i].ended)
			rows[count++] = &e->sockets[i];
	qsort(rows, count, sizeof(*rows), compare_by_group);
	for (size_t i = 0; i < count; i++) {
		struct group *group;

		if (i == 0 || rows[i]->group != rows[i - 1]->group)
			facts->groups[facts->group_count++] = (struct group){ .id = rows[i]->group, .first = rows[i] };
		group = &facts->groups[facts->group_count - 1];
		group->sockets++;
		group->waiting += rows[i]->waiting;
	}
	free(rows);
	return 0;
}

static int compare_by_cookie(const void *a, const void *b)
{
	const struct worker_row *x = *(const struct worker_row *const *)a, *y = *(const struct worker_row *const *)b;

	if (x->cookie != y->cookie)
		return COMPARE(x->cookie, y->cookie);
	return x->pid != y->pid ? COMPARE(x->pid, y->pid) : COMPARE(x->tid, y->tid);
}

static int taker_facts(struct facts *facts, const struct endpoint *e)
{
	const struct worker_row **rows = calloc(e->worker_count + 1, sizeof(*rows));
	size_t count = 0;

	facts->takers = calloc(e->worker_count + 1, sizeof(*facts->takers));
	if (!rows || !facts->takers) {
		free(rows);
		return -ENOMEM;
	}
	for (size_t i = 0; i < e->worker_count; i++)
		if (e->workers[i].can_accept && !e->workers[i].ended)
			rows[count++] = &e->workers[i];
	qsort(rows, count, sizeof(*rows), compare_by_cookie);
	for (size_t i = 0; i < count; i++) {
		bool first = i == 0 || rows[i]->cookie != rows[i - 1]->cookie;
		struct takers *takers;

		if (first)
			facts->takers[facts->taker_count++] = (struct takers){ .cookie = rows[i]->cookie };
		takers = &facts->takers[facts->taker_count - 1];
		takers->processes += first || rows[i]->pid != rows[i - 1]->pid;
		takers->threads++;
	}
	free(rows);
	return 0;
}

/* By protocol, namespace and port; then in the snapshot's order. */
static int compare_ports(const struct endpoint *x, const struct endpoint *y)
{
	if (x->protocol != y->protocol)
		return COMPARE(x->protocol, y->protocol);
	return x->netns != y->netns ? COMPARE(x->netns, y->netns) : COMPARE(x->port, y->port);
}

static int compare_facts(const void *a, const void *b)
{
	const struct facts *x = a, *y = b;
	int order = compare_ports(x->endpoint, y->endpoint);

	return order ? order : COMPARE(x->endpoint, y->endpoint);
}

static void facts_free(struct facts *facts, size_t count)
{
	for (size_t i = 0; facts && i < count; i++) {
		free(facts[i].groups);
		free(facts[i].takers);
	}
	free(facts);
}

/* The facts of all endpoints, those of one port together. Returns 0 or -ENOMEM; facts_free() in either case. */
static int facts_gather(struct facts **out, const struct snapshot *s)
{
	struct facts *all = *out = calloc(s->endpoint_count + 1, sizeof(*all));
	int err = all ? 0 : -ENOMEM;

	for (size_t i = 0; i < s->endpoint_count && !err; i++) {
		all[i].endpoint = &s->endpoints[i];
		err = group_facts(&all[i], &s->endpoints[i]);
		if (!err)
			err = taker_facts(&all[i], &s->endpoints[i]);
	}
	if (err)
		return err;
	qsort(all, s->endpoint_count, sizeof(*all), compare_facts);
	for (size_t from = 0, end; from < s->endpoint_count; from = end) {
		for (end = from + 1; end < s->endpoint_count && !compare_ports(all[from].endpoint, all[end].endpoint);)
			end++;
		for (size_t i = from; i < end; i++) {
			all[i].port = &all[from];
			all[i].port_count = end - from;
		}
	}
	return 0;
}

int findings_fill(struct snapshot *s)
{
	struct facts *all;
	int err = facts_gather(&all, s);

	for (size_t i = 0; i < s->endpoint_count; i++) {
		free(s->endpoints[i].findings);
		s->endpoints[i].findings = NULL;
		s->endpoints[i].finding_count = 0;
	}
	/* The facts point at their endpoints; those are in the snapshot, which is ours to change. */
	for (size_t i = 0; i < s->endpoint_count && !err; i++)
		err = apply_rules(&s->endpoints[all[i].endpoint - s->endpoints], &all[i]);
	facts_free(all, s->endpoint_count);
	return err;
}
