/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Puts EADDRINUSE into words: which socket has the port, and what to do about it. words_in_use()
 * picks the occupant that is most in the way, says who and where it is, and then gives advice for
 * its state.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bind_occupant.h"
#include "bind_words.h"
#include "../model/unit.h"

/* What the words are about: the call, and the occupant that they name. */
struct tale {
	const struct bind_event *event;
	const struct bind_place *ours;
	const struct bind_occupant *o;
	enum bind_relation relation;
	const struct bind_holder *as; /* NULL: RELATION_OTHER */
	bool listened_to;             /* some socket listens on the port */
};

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

/* ---- who ---- */

static bool occupant_unit(struct unit *u, const struct bind_occupant *o)
{
	return o->cgroup && unit_of_row(u, o->cgroup);
}

/* Writes "nginx (pid 7, uid 0)"; "nginx (pid 7 and 2 others, uid 0, in nginx.service)". as: the
 * holder to name; NULL: the first. */
static void say_who(struct words *w, const struct bind_occupant *o, const struct bind_holder *as)
{
	char place[UNIT_WORDS_SIZE];
	struct unit unit;

	words_add(w, "%.16s (pid %" PRId32, as ? as->process : o->process, as ? as->pid : o->pid);
	if (o->holders > 1)
		words_add(w, " and %u other%s", o->holders - 1, plural(o->holders - 1));
	words_add(w, ", uid %" PRIu32, o->place.uid);
	if ((!as || as->pid == o->pid) && occupant_unit(&unit, o)) /* the first holder's unit */
		words_add(w, ", in %.80s", unit_say(place, &unit));
	words_add(w, ")");
}

/* Writes ", which systemd (pid 1) and 2 others hold too,". */
static void say_other_holders(struct words *w, const struct tale *t)
{
	const struct bind_holder *other = &t->o->held_by[t->as == t->o->held_by];

	if (t->o->holders < 2)
		return;
	words_add(w, ", which %s%.16s (pid %" PRId32 ")",
		  bind_is_parent(t->event, other) ? "its parent " : "", other->process, other->pid);
	if (t->o->holders > 2)
		words_add(w, " and %u other%s hold too,", t->o->holders - 2,
			  plural(t->o->holders - 2));
	else
		words_add(w, " holds too,");
}

static void say_kernels_own(struct words *w, const struct bind_occupant *o)
{
	words_add(w, "the kernel itself");
	if (*o->receiver)
		words_add(w, " (%s)", o->receiver);
}

static void say_holder(struct words *w, const struct tale *t)
{
	const struct bind_occupant *o = t->o;

	if (t->relation == RELATION_ITSELF) {
		words_add(w, "its own descriptor %" PRIu32, t->as->descriptor);
		say_other_holders(w, t);
	} else if (o->pid) {
		words_add(w, t->relation == RELATION_PARENT  ? "its parent "
			     : t->relation == RELATION_CHILD ? "its child "
							     : "");
		say_who(w, o, t->as);
	} else if (o->held) {
		words_add(w,
			  "a socket that no process has open (inode %" PRIu32 ", uid %" PRIu32
			  "; on its way between processes, registered with an io_uring, or handed "
			  "to the kernel as NFS "
			  "servers do)",
			  o->inode, o->place.uid);
	} else {
		say_kernels_own(w, o);
	}
}

void words_other(struct words *w, const struct bind_event *e, const struct bind_occupant *o)
{
	const struct bind_holder *as;

	if (bind_relation(e, o, &as) == RELATION_ITSELF)
		words_add(w, "its own descriptor %" PRIu32, as->descriptor);
	else if (o->pid)
		say_who(w, o, NULL);
	else
		words_add(w, "a socket of uid %" PRIu32, o->place.uid);
}

/* ---- where ---- */

static const char *peer_text(char *buffer, const struct bind_occupant *o)
{
	struct bind_place peer = { .family = o->place.family,
				   .port = o->peer_port,
				   .v6only = true };

	memcpy(peer.address, o->peer, sizeof(peer.address));
	return bind_place_text(buffer, &peer);
}

/* Writes "127.0.0.1:43110, outgoing to 10.0.0.1:80 and others, port picked by the kernel". */
static void say_connection(struct words *w, const struct tale *t)
{
	static const char *const origins[] = {
		[ORIGIN_UNKNOWN] = "",
		[ORIGIN_ASKED] = ", port asked for by bind() before connect()",
		[ORIGIN_PICKED] = ", port picked by the kernel"
	};
	const struct bind_occupant *o = t->o;
	const char *others = o->peers_differ ? " and others" : "";
	char place[BIND_PLACE_TEXT], peer[BIND_PLACE_TEXT];

	words_add(w, "%s", bind_place_text(place, &o->place));
	if (!o->peer_port)
		return;
	peer_text(peer, o);
	if (bind_meets_itself(o))
		words_add(w, ", connected to itself%s", origins[o->origin]);
	else if (o->place.protocol == PROTOCOL_UDP)
		words_add(w, ", connected to %s%s%s", peer, others,
			  o->origin == ORIGIN_PICKED ? origins[o->origin] : "");
	else if (o->origin != ORIGIN_UNKNOWN)
		words_add(w, ", outgoing to %s%s%s", peer, others, origins[o->origin]);
	else if (!t->listened_to && o->state == BIND_CONNECTED)
		words_add(w, ", with %s%s, where nobody listens now", peer, others);
}

static void say_held(struct words *w, const struct tale *t, const char *does)
{
	char place[BIND_PLACE_TEXT];

	say_holder(w, t);
	words_add(w, " %s %s%s", does, bind_place_text(place, &t->o->place),
		  t->o->origin == ORIGIN_PICKED ? ", port picked by the kernel" : "");
}

static void say_connected(struct words *w, const struct tale *t)
{
	const struct bind_occupant *o = t->o;
	const bool one = o->count == 1;

	if (o->pid || o->held || o->by_kernel) {
		say_holder(w, t);
		words_add(w, one ? " has a connection on " : " has %" PRIu64 " connections on ",
			  o->count);
	} else {
		words_add(w, "%" PRIu64 " connection%s that nobody accepted yet %s on ", o->count,
			  plural(o->count), one ? "is" : "are");
	}
	say_connection(w, t);
}

/* ---- what to do ---- */

/* Writes what would have let the caller in, and what stands in the way of that: ", ..." */
static void say_sharing(struct words *w, const struct tale *t)
{
	const struct bind_place *ours = t->ours, *theirs = &t->o->place;
	const bool listens = t->o->state == BIND_LISTENING,
		   told_more = t->o->state == BIND_CONNECTED &&
			       (t->o->origin == ORIGIN_ASKED || !t->listened_to) && t->o->peer_port;
	const char *comma = told_more ? "," : "";

	if (!t->o->options_known)
		return;
	if (theirs->reuseport && ours->reuseport)
		words_add(w,
			  "; both have SO_REUSEPORT, but only sockets of one user share a port by "
			  "it (uid %" PRIu32 " and ours, %" PRIu32 ")",
			  theirs->uid, ours->uid);
	else if (theirs->reuseport && theirs->uid == ours->uid)
		words_add(w, "%s with SO_REUSEPORT, which ours lacks: set it before bind()", comma);
	else if (theirs->reuseport)
		words_add(w,
			  "%s with SO_REUSEPORT, which only sockets of its user (uid %" PRIu32
			  ") can join",
			  comma, theirs->uid);
	else
		words_add(w, "%s without SO_REUSEPORT", comma);
	if (listens && ours->reuseaddr)
		words_add(w, "; SO_REUSEADDR does not help beside one that listens");
	else if (!listens && theirs->reuseaddr != ours->reuseaddr)
		words_add(w, "; SO_REUSEADDR is set %s",
			  ours->reuseaddr ? "by ours alone: both need it"
					  : "there but not by ours: both need it");
}

/* Writes how to avoid meeting such a client again. The setting replaces the previous list. */
static void say_reserving(struct words *w, const struct bind_occupant *o)
{
	if (o->origin != ORIGIN_PICKED)
		return;
	if (o->pickable)
		words_add(w, "; net.ipv4.ip_local_reserved_ports=%u%s keeps it free", o->place.port,
			  o->others_reserved ? " (added to those in it)" : "");
	else
		words_add(w, "; as net.ipv4.ip_local_port_range and ip_local_reserved_ports are "
			     "now, it is not picked again");
}

/* Would the sockets share the port if one of them were changed in this way? */
enum change { OURS_V6ONLY, THEIRS_V6ONLY, BOTH_REUSEPORT, BOTH_REUSEADDR };

static bool goes_with(const struct tale *t, enum change change)
{
	struct bind_place ours = *t->ours;
	struct bind_occupant other = *t->o;

	ours.v6only |= change == OURS_V6ONLY;
	other.place.v6only |= change == THEIRS_V6ONLY;
	if (change == BOTH_REUSEPORT)
		ours.reuseport = other.place.reuseport = true;
	if (change == BOTH_REUSEADDR)
		ours.reuseaddr = other.place.reuseaddr = true;
	return !bind_conflict(&ours, t->event->call, &other);
}

static void say_users(struct words *w, const struct tale *t)
{
	words_add(w,
		  "; both have SO_REUSEPORT, but only sockets of one user share a port by it, and "
		  "that one is of uid %" PRIu32 ", this one of %" PRIu32,
		  t->o->place.uid, t->ours->uid);
	if (t->ours->uid == t->event->euid && t->o->place.uid != t->event->euid)
		words_add(w, ": make and bind all of them before setuid()");
	else
		words_add(w, ": make all of them as one user (a socket is of who made it, or whom "
			     "fchown() gave it to)");
}

static void say_lacking(struct words *w, const struct tale *t)
{
	if (t->o->place.reuseport)
		words_add(w, "; that one has SO_REUSEPORT, which this one lacks: use that one, or "
			     "set it on both before bind()");
	else if (t->ours->reuseport)
		words_add(w, "; that one lacks SO_REUSEPORT, which this one has: it has to be set "
			     "on both before bind()");
	else
		words_add(w, "; use that one, or set SO_REUSEPORT on both before bind() to have "
			     "several");
}

/* Advice for a caller that has the port itself: no process has to be stopped. */
static void advise_itself(struct words *w, const struct tale *t)
{
	const bool v6_differs =
		t->ours->family != t->o->place.family &&
		goes_with(t, t->ours->family == AF_INET6 ? OURS_V6ONLY : THEIRS_V6ONLY);
	const bool connection =
		t->o->state == BIND_CONNECTED && t->o->place.protocol != PROTOCOL_UDP;

	if (v6_differs)
		words_add(w, "; an IPv6 socket takes IPv4 too, unless IPV6_V6ONLY is set before "
			     "its bind(): set it, or go without the IPv4 socket");
	else if (connection && t->o->origin == ORIGIN_UNKNOWN && goes_with(t, BOTH_REUSEADDR))
		words_add(w, t->o->place.reuseaddr
				     ? "; set SO_REUSEADDR before bind(): the listener that it "
				       "came by had it, so they go together"
				     : "; with SO_REUSEADDR set on this one, and on the listener "
				       "that it came by, they go together");
	else if (connection || (t->o->origin == ORIGIN_PICKED && t->o->state != BIND_LISTENING))
		words_add(w, "; close it first");
	else if (t->o->place.reuseport && t->ours->reuseport && t->o->place.uid != t->ours->uid)
		say_users(w, t);
	else if (goes_with(t, BOTH_REUSEPORT))
		say_lacking(w, t);
	else
		words_add(w, "; use that one, or close it first");
	if (!v6_differs && bind_is_for_socket_unit(t->o))
		words_add(w, " (systemd hands it over: sd_listen_fds())");
}

/* Writes "; stop it (systemctl stop nginx.service)". If the caller is in the same unit or
 * container, that would stop the caller too, so it is left out. */
static void say_stop(struct words *w, const struct tale *t)
{
	const struct bind_occupant *o = t->o;
	struct unit u;

	words_add(w, "; stop it");
	if (!occupant_unit(&u, o) || (o->cgroup_id && o->cgroup_id == t->event->cgroup_id))
		return;
	if (*u.container && u.runtime &&
	    (!strcmp(u.runtime, "docker") || !strcmp(u.runtime, "podman")))
		words_add(w, " (%s stop %.12s)", u.runtime, u.container);
	else if (!*u.container && strlen(u.name) > 8 &&
		 !strcmp(u.name + strlen(u.name) - 8, ".service") && strncmp(u.name, "user@", 5))
		words_add(w,
			  u.user < 0 ? " (systemctl stop %.80s)"
				     : " (systemctl --user stop %.80s, as that user)",
			  u.name);
}

static void advise(struct words *w, const struct tale *t)
{
	const struct bind_occupant *o = t->o;

	if (t->relation == RELATION_ITSELF) {
		advise_itself(w, t);
		return;
	}
	if (bind_is_for_socket_unit(o)) {
		words_add(w, " for a .socket unit: systemctl list-sockets says which; stop that, "
			     "or take the socket that it hands over (sd_listen_fds())");
		return;
	}
	if (o->origin != ORIGIN_PICKED) /* no process wants to share a port that it got by chance */
		say_sharing(w, t);
	if (t->relation == RELATION_CHILD) {
		words_add(w, "; end it, or where it inherited that socket, let it not "
			     "(SOCK_CLOEXEC, or close() after fork())");
	} else if (t->relation == RELATION_PARENT && o->state == BIND_CONNECTED) {
		words_add(w, "; let it close %s first", o->count == 1 ? "it" : "them");
	} else if (t->relation == RELATION_PARENT) {
		words_add(w, "; let it hand that socket down, or close it first");
	} else if (o->pid && o->state == BIND_CONNECTED && o->origin == ORIGIN_PICKED) {
		words_add(w, "; wait until it is over, or end it");
	} else if (o->pid) {
		say_stop(w, t);
	} else {
		words_add(w, "; take another port or address");
		return;
	}
	words_add(w, ", or take another port or address");
}

/* ---- connections that no process holds: they end by themselves ---- */

static void say_patience(struct words *w, const struct tale *t)
{
	const struct bind_occupant *o = t->o;
	const bool waits = o->state == BIND_TIME_WAIT, one = o->count == 1,
		   same_user = o->place.uid == t->ours->uid;
	const char *left = o->origin == ORIGIN_UNKNOWN ? "the program that left"
						       : "the client that left",
		   *them = one ? "it" : "them";

	if (!o->options_known)
		words_add(w,
			  "; wait, or set SO_REUSEADDR before bind(): it helps if %s %s had set it "
			  "too",
			  left, them);
	else if (o->place.reuseaddr && !t->ours->reuseaddr)
		words_add(w, "; set SO_REUSEADDR before bind(): %s %s had it too", left, them);
	else if (o->place.reuseport && !t->ours->reuseport &&
		 (waits || same_user)) /* for TIME_WAIT the kernel does not ask whose it was */
		words_add(w, "; set SO_REUSEPORT before bind(): %s %s had it too%s", left, them,
			  same_user ? "" : ", and in TIME_WAIT any user may join");
	else if (o->origin == ORIGIN_PICKED)
		words_add(w, "; wait, or take another port or address: SO_REUSEADDR does not help, "
			     "for the client had not set it");
	else
		words_add(w,
			  "; wait: SO_REUSEADDR does not help, for %s %s had not set it (set it "
			  "there, and the next restart need not wait)",
			  left, them);
}

static void say_lingering(struct words *w, const struct tale *t)
{
	const struct bind_occupant *o = t->o;
	const bool waits = o->state == BIND_TIME_WAIT, one = o->count == 1;

	words_add(w, "%" PRIu64 " connection%s on ", o->count, plural(o->count));
	say_connection(w, t);
	if (waits)
		words_add(w, "%s linger%s in TIME_WAIT", o->origin == ORIGIN_PICKED ? "," : "",
			  one ? "s" : "");
	else
		words_add(w,
			  ", closed by %s process, %s not over yet (FIN_WAIT, CLOSING or LAST_ACK)",
			  one ? "its" : "their", one ? "is" : "are");
	if (waits && isfinite(o->seconds_left))
		words_add(w, one ? ", for another %.1f s" : ", the last for another %.1f s",
			  o->seconds_left);
	say_reserving(w, o);
	say_patience(w, t);
}

/* ---- all together ---- */

/* Writes which other occupants are in the way too. */
static void say_others(struct words *w, const struct bind_event *e,
		       const struct bind_occupant *occupants, size_t count, int named)
{
	uint64_t more = 0;

	for (size_t i = 0; i < count; i++)
		if ((int)i != named && bind_in_the_way(e, occupants, count, &occupants[i]))
			more += occupants[i].count;
	if (more)
		words_add(w, " (%" PRIu64 " more socket%s %s in the way)", more, plural(more),
			  more == 1 ? "is" : "are");
}

static void say_occupant(struct words *w, const struct tale *t)
{
	switch (t->o->state) {
	case BIND_LISTENING: say_held(w, t, "listens on"); break;
	case BIND_BOUND: say_held(w, t, "is bound to, and does not listen on,"); break;
	case BIND_UNCONNECTED: say_held(w, t, "is bound to"); break;
	case BIND_CONNECTED: say_connected(w, t); break;
	case BIND_CLOSING:
	case BIND_TIME_WAIT: say_lingering(w, t); return;
	}
	say_reserving(w, t->o);
	advise(w, t);
}

static const char *const nobody_found[] = {
	[BIND_LOOKED] = "nobody is found who would be in the way: whoever had the port is gone by "
			"now, or its socket can't be seen (bound, and open in no process)",
	[BIND_LOOKED_PARTLY] =
		"nobody is found who would be in the way, but not all sockets there could be "
		"looked at: whoever has the port is among the others, or gone by now",
	[BIND_NOT_LOOKED] =
		"who has the port is not known: sockfair could not see which one was asked for",
};

int words_in_use(struct words *w, const struct bind_event *e, const struct bind_occupant *occupants,
		 size_t count, enum bind_looked looked)
{
	const int blocker = bind_blocker(e, occupants, count);
	struct tale tale = { .event = e, .ours = &e->place };

	if (e->asked_known && !e->place.port) { /* listen() without bind() picks a port too */
		words_no_port(w, e);
		return -1;
	}
	if (blocker < 0) {
		words_add(w, "%s", nobody_found[looked]);
		return -1;
	}
	tale.o = &occupants[blocker];
	tale.relation = bind_relation(e, tale.o, &tale.as);
	for (size_t i = 0; i < count; i++)
		tale.listened_to |= occupants[i].state == BIND_LISTENING;
	say_occupant(w, &tale);
	say_others(w, e, occupants, count, blocker);
	return blocker;
}
