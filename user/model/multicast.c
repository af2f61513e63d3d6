/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "multicast.h"

#include <string.h>
#include <sys/socket.h>

#include "snapshot.h"

/* Unicast datagrams that don't count as shared work: an occasional answer, as members of DNS-SD
 * groups get, or a datagram that is not yet counted as a copy. */
#define STRAY_MOST 20
#define STRAY_SHARE 0.01

static bool is_group(const struct endpoint *e)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (e->family == AF_INET)
		return e->address[0] >> 4 == 14;
	return e->address[0] == 0xff ||
	       (!memcmp(e->address, mapped, sizeof(mapped)) && e->address[12] >> 4 == 14);
}

enum multicast endpoint_multicast(const struct endpoint *e)
{
	bool member = false, unseen = false;
	uint64_t came = 0, copies = 0;

	if (e->protocol != PROTOCOL_UDP)
		return MULTICAST_NOT;
	if (is_group(e))
		return MULTICAST_ALL;
	for (size_t i = 0; i < e->socket_count; i++) {
		const struct socket_row *s = &e->sockets[i];

		member |= s->member && !s->ended;
		unseen |= !s->copies_known;
		came += s->arrived;
		copies += s->copies;
	}
	if (copies)
		return came - copies > STRAY_MOST + STRAY_SHARE * came ? MULTICAST_MIXED
								       : MULTICAST_ALL;
	if (!member || (came && !unseen))
		return MULTICAST_NOT;
	return came ? MULTICAST_UNSEEN : MULTICAST_ALL;
}
