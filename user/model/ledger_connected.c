/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * With which sockets a connected UDP socket is shown. All sockets are walked in the order of their
 * endpoints, one endpoint at a time; those of an endpoint that has connected sockets only may join
 * the sockets that are bound to any address of their port.
 */
#include "ledger_parts.h"

#include <string.h>
#include <sys/socket.h>

void ledger_describe_address(struct ledger_socket *s, int family, const uint8_t address[16])
{
	if (!s->row.connected)
		s->joins = 0;
	if (s->joins)
		return;
	s->family = family;
	memcpy(s->address, address, sizeof(s->address));
}

static int find_endpoint(const void *row, const void *key)
{
	return ledger_compare_endpoints(*(void *const *)row, key);
}

/* Is there an unconnected socket on the port of `s`, bound to any address of that family? It gets
 * the datagrams that unknown peers send to the address of `s`. */
static bool any_address_has(const struct ledger *l, const struct ledger_socket *s, int family)
{
	struct ledger_socket any = *s;

	any.family = family;
	memset(any.address, 0, sizeof(any.address));
	for (size_t i = array_first(&l->sockets.list, sizeof(void *), &any, find_endpoint);
	     i < l->sockets.list.count; i++) {
		const struct ledger_socket *other = ledger_socket_at(l, i);

		if (ledger_compare_endpoints(other, &any))
			return false;
		if (!other->row.connected && (family == s->family || !other->row.v6only))
			return true;
	}
	return false;
}

/* The family of the any-address sockets with which an endpoint's connected sockets are shown; 0:
 * there are none. */
static int family_to_join(const struct ledger *l, const struct ledger_socket *s)
{
	if (any_address_has(l, s, s->family))
		return s->family;
	return s->family == AF_INET && any_address_has(l, s, AF_INET6) ? AF_INET6 : 0;
}

void ledger_join_connected(struct ledger *l)
{
	bool some = false;

	for (size_t i = 0; i < l->sockets.list.count && !some; i++) {
		const struct ledger_socket *s = ledger_socket_at(l, i);

		some = s->row.connected && !s->joins;
	}
	if (!some)
		return;
	ledger_rows_sort(&l->sockets, ledger_order_sockets);
	for (size_t first = 0, next; first < l->sockets.list.count; first = next) {
		struct ledger_socket *head = ledger_socket_at(l, first);
		bool all = true;

		for (next = first; next < l->sockets.list.count &&
				   !ledger_compare_endpoints(ledger_socket_at(l, next), head);
		     next++)
			all &= ledger_socket_at(l, next)->row.connected;
		for (int family = all ? family_to_join(l, head) : 0; family && first < next;
		     first++)
			ledger_socket_at(l, first)->joins = family;
	}
	/* Addresses are changed only now, because the loop above relies on the order by address. */
	for (size_t i = 0; i < l->sockets.list.count; i++) {
		struct ledger_socket *s = ledger_socket_at(l, i);

		if (!s->joins)
			continue;
		s->family = s->joins;
		memset(s->address, 0, sizeof(s->address));
	}
}
