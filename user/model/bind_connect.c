/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Why connect() found no port or no address of ours, in words. */
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

void words_connect(struct words *w, const struct bind_event *e)
{
	char place[BIND_PLACE_TEXT], peer[BIND_PLACE_TEXT];

	if (bind_range_wanted(e))
		words_no_port(w, e);
	else if (e->place.port && e->routed)
		words_add(w, "from %s, to which the socket is bound, a connection to %s exists already, or lingers in TIME_WAIT; leave the choice of the port to connect() (no bind(), or "
			     "IP_BIND_ADDRESS_NO_PORT), or wait",
			  bind_place_text(place, &e->place), e->peer.port ? bind_peer_text(peer, &e->peer) : "that destination");
	else
		words_add(w, "this network namespace has no address that is fit for a connection to %s (see ip addr, ip route)",
			  e->peer.port ? bind_peer_text(peer, &e->peer) : "that destination");
}
