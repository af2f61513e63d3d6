/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Calls that worked but look wrong. Each rule is a function and a row of the table at the end. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bind.h"
#include "bind_words.h"

struct scene {
	const struct bind_event *event;
	uint64_t since_ns; /* when the event's own bind() began; 0: not known */
	const struct bind_occupant *occupants;
	size_t count;
	const struct bind_ports *ports;
};

/*
 * Does the port look like one that was given without htons()? The number alone is no proof: a
 * program that picks ports at random (a resolver, for its queries) hits a twin now and then. So a
 * second sign is required: the user named the missing port, or a TCP server asked for a port that
 * is in no list, and listens there.
 */
static bool byte_swapped(const struct scene *s, struct bind_suspicion *found)
{
	const struct bind_event *e = s->event;
	const uint16_t twin =
		e->asked_known && e->place.port ? bind_twin(s->ports, e->place.port) : 0;
	const bool requested = bind_port_in(s->ports->requested, twin);
	struct words w = { found->text };

	if (!twin || (requested ? e->call != CALL_BIND
				: e->call != CALL_LISTEN || e->listened || !e->port_asked))
		return false;
	words_add(&w, "%u without htons() is %u", twin, e->place.port);
	if (requested)
		words_add(&w,
			  ": if port %u was meant, the port is passed to bind() in the wrong byte "
			  "order",
			  twin);
	else
		words_add(&w,
			  ", which no list of services has: if port %u was meant, the port is "
			  "passed to bind() in the wrong byte order. It may be chance: one port in "
			  "%u looks so",
			  twin, UINT16_MAX / bind_twins(s->ports));
	return true;
}

/* Only a BPF program of the cgroup makes the kernel bind a socket elsewhere than bind() asked. */
static bool rewritten(const struct scene *s, struct bind_suspicion *found)
{
	struct bind_place got = s->event->place;
	char asked[BIND_PLACE_TEXT], is[BIND_PLACE_TEXT];
	struct words w = { found->text };

	if (!s->event->rewritten)
		return false;
	got.port = s->event->port_got;
	memcpy(got.address, s->event->address_got, sizeof(got.address));
	words_add(&w,
		  "a BPF program of its cgroup (bind4, bind6) changed what was asked for: not %s, "
		  "but %s",
		  bind_place_text(asked, &s->event->place), bind_place_text(is, &got));
	return true;
}

/* Is the address multicast? Several sockets on one UDP port are meant for that: each gets a copy.
 * Same as is_multicast() of the findings. */
static bool is_multicast(const struct bind_place *p)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const uint16_t ports[] = { 1900, 5353, 5355 };

	for (size_t i = 0; i < sizeof(ports) / sizeof(*ports); i++)
		if (p->port == ports[i])
			return true;
	if (p->family == AF_INET)
		return p->address[0] >> 4 == 14;
	return p->address[0] == 0xff ||
	       (!memcmp(p->address, mapped, sizeof(mapped)) && p->address[12] >> 4 == 14);
}

/* Returns the event's place with the port that the socket got. */
static struct bind_place place_got(const struct bind_event *e)
{
	struct bind_place place = e->place;

	place.port = e->port_got ? e->port_got : place.port;
	return place;
}

/* Will the occupant's own call report the pair? The later of two sockets is told about the earlier
 * one; the first on a port had no socket beside it. */
static bool is_for_later(const struct scene *s, const struct bind_occupant *o)
{
	return bind_is_own(s->event, o) ||
	       (o->since_ns && o->since_ns > (s->since_ns ? s->since_ns : s->event->time_ns));
}

static bool suspect_udp_two_users(const struct scene *s, struct bind_suspicion *found)
{
	struct bind_place place = place_got(s->event);
	struct words w = { found->text };
	char text[BIND_PLACE_TEXT];

	if (place.protocol != PROTOCOL_UDP || !place.reuseaddr || is_multicast(&place))
		return false;
	for (size_t i = 0; i < s->count; i++) {
		const struct bind_occupant *o = &s->occupants[i];

		if (is_for_later(s, o) || o->state != BIND_UNCONNECTED || !o->options_known ||
		    !o->place.reuseaddr || o->place.uid == place.uid ||
		    !bind_places_overlap(&place, &o->place))
			continue;
		words_add(&w, "SO_REUSEADDR shares %s with ", bind_place_text(text, &o->place));
		words_other(&w, s->event, o);
		/* udp_lib_get_port() puts an IPv6 socket with SO_REUSEPORT behind the sockets that
		 * are already there. */
		words_add(&w,
			  ", another user: of sockets with the same address the %s all unicast "
			  "datagrams; without SO_REUSEADDR on both, bind() would have said so",
			  place.family == AF_INET6 && place.reuseport ? "first to bind keeps"
								      : "last to bind gets");
		found->occupant = i;
		return true;
	}
	return false;
}

/*
 * Returns the property that keeps two sockets from being members of one group, because they differ
 * in it; NULL: none does (reuseport_add_sock() is called for sockets that are equal by
 * inet_rcv_saddr_equal() without wildcards).
 */
static const char *difference(const struct bind_place *a, const struct bind_place *b)
{
	if (a->family != b->family)
		return "family";
	if (memcmp(a->address, b->address, a->family == AF_INET6 ? 16 : 4))
		return "address";
	if (a->device != b->device)
		return "device";
	return a->family == AF_INET6 && a->v6only != b->v6only ? "IPV6_V6ONLY" : NULL;
}

static bool suspect_group_split(const struct scene *s, struct bind_suspicion *found)
{
	struct bind_place place = place_got(s->event);
	char ours[BIND_PLACE_TEXT], theirs[BIND_PLACE_TEXT];
	struct words w = { found->text };

	if (!place.reuseport || is_multicast(&place))
		return false;
	for (size_t i = 0; i < s->count; i++) {
		const struct bind_occupant *o = &s->occupants[i];
		const char *what = difference(&place, &o->place);

		if (is_for_later(s, o) ||
		    (o->state != BIND_BOUND && o->state != BIND_LISTENING &&
		     o->state != BIND_UNCONNECTED) ||
		    !what || !o->options_known || !o->place.reuseport ||
		    !bind_places_overlap(&place, &o->place))
			continue;
		words_add(&w, "SO_REUSEPORT does not join it with ");
		words_other(&w, s->event, o);
		words_add(
			&w,
			", for their bind differs in %s (%s and %s): the port's sockets are split, "
			"and the more specific ones get all that fits them; bind all alike",
			what, bind_place_text(ours, &place), bind_place_text(theirs, &o->place));
		found->occupant = i;
		return true;
	}
	return false;
}

static const struct {
	const char *code;
	bool (*applies)(const struct scene *, struct bind_suspicion *);
	bool by_listen; /* can show at listen(); the other rules are applied once for a socket, at
			   bind() */
} rules[] = {
	{ "rewritten", rewritten, false },
	{ "byte-swapped", byte_swapped, true },
	{ "udp-two-users", suspect_udp_two_users, false },
	{ "group-split", suspect_group_split, false },
};
_Static_assert(sizeof(rules) / sizeof(rules[0]) <= BIND_SUSPICIONS_MAX, "room for all");

size_t bind_suspect(const struct bind_event *e, const struct bind_occupant *occupants, size_t count,
		    const struct bind_ports *ports, struct bind_suspicion *found)
{
	struct scene scene = { .event = e, .occupants = occupants, .count = count, .ports = ports };
	size_t n = 0;

	if (e->error)
		return 0;
	for (size_t i = 0; i < count; i++)
		if (bind_is_own(e, &occupants[i]))
			scene.since_ns = occupants[i].since_ns;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		if (e->call != CALL_BIND && !rules[i].by_listen)
			continue;
		found[n] = (struct bind_suspicion){ .code = rules[i].code, .occupant = -1 };
		n += rules[i].applies(&scene, &found[n]);
	}
	return n;
}

bool bind_wants_occupants(const struct bind_event *e)
{
	if (e->error)
		return e->error == EADDRINUSE;
	return e->call == CALL_BIND &&
	       (e->place.reuseport || (e->place.reuseaddr && e->place.protocol == PROTOCOL_UDP));
}
