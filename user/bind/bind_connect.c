/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Puts into words why connect() found no port, or no address of ours. */
#include <errno.h>
#include <string.h>

#include "bind_range.h"
#include "bind_words.h"

const char *bind_call_name(enum bind_call call)
{
	return call == CALL_CONNECT ? "connect" : call == CALL_LISTEN ? "listen" : "bind";
}

char *bind_peer_text(char *buffer, const struct bind_peer *peer)
{
	struct bind_place p = { .family = AF_INET6, .port = peer->port, .v6only = true };

	memcpy(p.address, peer->address, sizeof(p.address));
	return bind_place_text(buffer, &p);
}

void words_ipv6_off(struct words *w, const struct bind_event *e)
{
	const bool all = !strcmp(e->ipv6_off, "all");
	char address[BIND_PLACE_TEXT];

	words_add(w, "IPv6 is off %s%.16s (net.ipv6.conf.%.16s.disable_ipv6=1), ",
		  all ? "in this network namespace" : "on ", all ? "" : e->ipv6_off, e->ipv6_off);
	if (e->call == CALL_CONNECT) {
		words_add(w, "so that no address is fit for a connection to %s",
			  e->peer.port ? bind_peer_text(address, &e->peer) : "that destination");
	} else {
		bind_place_text(address, &e->place);
		*strrchr(address, ':') = 0;
		words_add(w, "so that nobody has the address %s", address);
	}
	words_add(w, "; set it to 0, or use IPv4");
}

void words_connect(struct words *w, const struct bind_event *e)
{
	char place[BIND_PLACE_TEXT], peer[BIND_PLACE_TEXT];

	if (bind_range_wanted(e))
		words_no_port(w, e);
	else if (e->ipv6_off)
		words_ipv6_off(w, e);
	else if (e->place.port && e->routed &&
		 e->place.protocol == PROTOCOL_TCP) /* two UDP sockets may be connected alike */
		words_add(w,
			  "from %s, to which the socket is bound, a connection to %s exists "
			  "already, or lingers in TIME_WAIT; leave the choice of the port to "
			  "connect() (no bind(), or "
			  "IP_BIND_ADDRESS_NO_PORT), or wait",
			  bind_place_text(place, &e->place),
			  e->peer.port ? bind_peer_text(peer, &e->peer) : "that destination");
	else
		words_add(w,
			  "this network namespace has no address that is fit for a connection to "
			  "%s (see ip addr, ip route)",
			  e->peer.port ? bind_peer_text(peer, &e->peer) : "that destination");
}
