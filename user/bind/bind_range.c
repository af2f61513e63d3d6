/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel picks a port in inet_csk_find_open_port() (bind() and listen() of TCP),
 * __inet_hash_connect() and udp_lib_get_port(). The words rely on what was measured on 6.18: if the
 * number of ports is odd, TCP leaves one of them out, at random. A socket's own range narrows that
 * of the network namespace, and is ignored where it lies outside of it.
 */
#include "bind_range.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "bind_words.h"
#include "../model/words.h"

bool bind_range_wanted(const struct bind_event *e)
{
	if (e->call == CALL_CONNECT)
		return !e->place.port &&
		       (e->error == EAGAIN || (e->error == EADDRNOTAVAIL && e->routed));
	return e->error == EADDRINUSE && e->asked_known && !e->place.port;
}

/* ---- counting ---- */

/* Chooses the range as inet_sk_get_local_port_range() does (net/ipv4/inet_connection_sock.c). */
static void range_choose(struct bind_range_use *use, const struct bind_event *e,
			 const struct bind_range_settings *s)
{
	const bool low = e->range_low >= s->low && e->range_low <= s->high,
		   high = e->range_high >= s->low && e->range_high <= s->high;

	use->low = low ? e->range_low : s->low;
	use->high = high ? e->range_high : s->high;
	use->own = (e->range_low || e->range_high) && (low || high);
}

void bind_range_begin(struct bind_range_count *c, const struct bind_event *e,
		      const struct bind_range_settings *settings)
{
	*c = (struct bind_range_count){ .event = e, .settings = settings };
	range_choose(&c->use, e, settings);
	for (unsigned port = c->use.low; port <= c->use.high; port++)
		c->use.reserved += bind_port_in(settings->reserved, port);
}

static bool to_that_peer(const struct bind_event *e, const struct bind_peer *peer)
{
	return e->peer.port == peer->port &&
	       !memcmp(e->peer.address, peer->address, sizeof(peer->address));
}

/*
 * Does the occupant keep connect() from picking the port, by __inet_hash_connect()? A port that
 * somebody bound is passed over; a port that connect() picked can be used for another destination.
 */
static bool keeps_connect_out(const struct bind_event *e, const struct bind_occupant *o,
			      const struct bind_peer *peer, bool *bound)
{
	*bound = o->place.vrf == e->place.vrf && o->bucket.known &&
		 (o->bucket.reuse >= 0 || o->bucket.reuseport >= 0);
	if (*bound)
		return true;
	return (o->state == BIND_CONNECTED || o->state == BIND_CLOSING ||
		o->state == BIND_TIME_WAIT) &&
	       to_that_peer(e, peer) && bind_places_overlap(&e->place, &o->place);
}

/* Does the occupant keep bind() from picking the port? This is inet_csk_bind_conflict() with relax
 * and without reuseport_ok: options let no socket in, unless net.ipv4.ip_autobind_reuse is set. */
static bool keeps_bind_out(const struct bind_range_count *c, const struct bind_occupant *o)
{
	const struct bind_place *ours = &c->event->place;
	const bool group = ours->reuseport && o->place.reuseport &&
			   (o->state == BIND_TIME_WAIT || ours->uid == o->place.uid);

	if (!bind_places_overlap(ours, &o->place))
		return false;
	return !(c->settings->autobind_reuse && ours->reuseaddr && o->place.reuseaddr &&
		 o->state != BIND_LISTENING && !group);
}

/* Notes the process if it has more ports than every process before it. */
static void process_end(struct bind_range_count *c)
{
	if (c->ports <= c->use.most_ports)
		return;
	c->use.most_ports = c->ports;
	c->use.most_pid = c->pid;
	memcpy(c->use.most_process, c->process, sizeof(c->process));
}

static void process_add(struct bind_range_count *c, const struct bind_occupant *o)
{
	if (o->pid != c->pid) {
		process_end(c);
		memset(c->own, 0, sizeof(c->own));
		c->ports = 0;
		c->pid = o->pid;
		memcpy(c->process, o->process, sizeof(c->process));
	}
	c->ports += !bind_port_in(c->own, o->place.port);
	bind_port_add(c->own, o->place.port);
}

void bind_range_add(struct bind_range_count *c, const struct bind_occupant *o,
		    const struct bind_peer *peer)
{
	const struct bind_event *e = c->event;
	const uint16_t port = o->place.port;
	bool bound = false, out;

	if (o->place.protocol != e->place.protocol || port < c->use.low || port > c->use.high ||
	    bind_port_in(c->settings->reserved, port))
		return;
	if (e->place.protocol == PROTOCOL_UDP)
		out = bind_conflict(
			&e->place, CALL_BIND,
			o); /* udp_lib_lport_inuse() has the same rule for picked ports */
	else
		out = e->call == CALL_CONNECT ? keeps_connect_out(e, o, peer, &bound)
					      : keeps_bind_out(c, o);
	if (!out || bind_is_own(e, o))
		return;
	bind_port_add(c->taken, port);
	if (o->state != BIND_TIME_WAIT)
		bind_port_add(c->held, port);
	if (bound)
		bind_port_add(c->bound, port);
	if (o->pid)
		process_add(c, o);
}

void bind_range_end(struct bind_range_count *c)
{
	process_end(c);
	for (unsigned port = c->use.low; port <= c->use.high; port++) {
		c->use.taken += bind_port_in(c->taken, port);
		c->use.waiting += bind_port_in(c->taken, port) && !bind_port_in(c->held, port);
		c->use.bound += bind_port_in(c->bound, port);
	}
}

/* ---- in words ---- */

/* Writes "40000-40019 (net.ipv4.ip_local_port_range)". */
static void say_range(struct words *w, const struct bind_range_use *u)
{
	words_add(w, "%u-%u (%s)", u->low, u->high,
		  u->own ? "the socket's own IP_LOCAL_PORT_RANGE" : "net.ipv4.ip_local_port_range");
}

static const char *widen(const struct bind_range_use *u)
{
	return u->own ? "widen that range" : "widen net.ipv4.ip_local_port_range";
}

/* Writes "all 20 ports of 40000-40019 (...) are taken for that address". */
static void say_taken(struct words *w, const struct bind_event *e, const struct bind_range_use *u)
{
	const unsigned all = u->high - u->low + 1, usable = all - u->reserved;

	if (u->taken < usable)
		words_add(w, "%u of the %u", u->taken, usable);
	else
		words_add(w, usable == 1 ? "the only" : usable == 2 ? "both" : "all %u", usable);
	words_add(w, " port%s of ", plural_s(usable));
	say_range(w, u);
	if (u->reserved)
		words_add(w, " that %s not reserved (%u %s)", usable == 1 ? "is" : "are",
			  u->reserved, u->reserved == 1 ? "is" : "are");
	words_add(w, " %s taken for that %s",
		  (u->taken < usable ? u->taken : usable) == 1 ? "is" : "are",
		  e->call == CALL_CONNECT && e->place.protocol == PROTOCOL_TCP ? "destination"
									       : "address");
	if (u->taken >= usable)
		return;
	if (e->place.protocol == PROTOCOL_TCP && all % 2 && u->taken + 1 == usable)
		words_add(w, " (of an odd number of ports the kernel leaves one out, another each "
			     "time)");
	else
		words_add(w, " by now (others were freed since, or can't be seen)");
}

static void say_main_holder(struct words *w, const struct bind_range_use *u)
{
	if (u->most_pid)
		words_add(w,
			  u->most_ports == u->taken ? "; %.16s (pid %" PRId32 ") has %s"
						    : "; %.16s (pid %" PRId32
						      ") has %s%u of them, more than any other",
			  u->most_process, u->most_pid,
			  u->most_ports != u->taken ? ""
			  : u->taken == 1           ? "it"
						    : "them all",
			  u->most_ports);
	if (u->waiting)
		words_add(w,
			  u->most_pid ? ", %u linger%s in TIME_WAIT" : "; %u linger%s in TIME_WAIT",
			  u->waiting, u->waiting == 1 ? "s" : "");
}

static void say_help(struct words *w, const struct bind_event *e, const struct bind_range_use *u)
{
	const bool udp = e->place.protocol == PROTOCOL_UDP;

	if (e->call == CALL_CONNECT && !udp)
		words_add(w,
			  "; keep connections open and use them again, connect from or to more "
			  "addresses, or %s",
			  widen(u));
	else if (e->call == CALL_LISTEN)
		words_add(w, "; bind() it to a port of its own, or %s", widen(u));
	else if (udp)
		words_add(w, "; close sockets that are done, bind to more addresses, or %s",
			  widen(u));
	else
		words_add(w,
			  "%s; a client's port had better be picked by connect() "
			  "(IP_BIND_ADDRESS_NO_PORT), where it need only be unique per "
			  "destination; or %s",
			  e->place.reuseaddr
				  ? "; SO_REUSEADDR does not help where the kernel picks the port"
				  : "",
			  widen(u));
}

void words_no_port(struct words *w, const struct bind_event *e)
{
	const struct bind_range_use *u = e->range;
	const char *what =
		e->call == CALL_CONNECT ? "that destination" : "that address and these options";

	if (!u && (e->range_low || e->range_high))
		words_add(w,
			  "no port is free for %s: the socket's own IP_LOCAL_PORT_RANGE is %u-%u, "
			  "within net.ipv4.ip_local_port_range",
			  what, e->range_low, e->range_high);
	else if (!u)
		words_add(w, "no port of net.ipv4.ip_local_port_range is free for %s", what);
	if (!u)
		return;
	if (u->reserved == u->high - u->low + 1u) {
		words_add(w, "all of the ports that the kernel may pick from, ");
		say_range(w, u);
		words_add(w,
			  ", are reserved by net.ipv4.ip_local_reserved_ports; take some from that "
			  "list, or %s",
			  widen(u));
		return;
	}
	say_taken(w, e, u);
	if (u->bound && u->bound == u->taken)
		words_add(w, "; somebody has %s by bind(), which connect() can't share",
			  u->bound == 1 ? "it" : "them all");
	else if (u->bound)
		words_add(w, "; %u of them somebody has by bind(), and those connect() can't share",
			  u->bound);
	say_main_holder(w, u);
	say_help(w, e, u);
}
