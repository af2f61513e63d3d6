/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lists the interfaces of each network namespace that has a UDP socket of the kernel's own, and
 * matches them to the endpoints by port.
 */
#include "tunnels.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "../model/aside.h"
#include "link.h"
#include "namespace.h"

/* The attribute that has the port in the data of each kind (IFLA_INFO_DATA). */
static const struct {
	const char *kind;
	int attribute;
} kinds[] = {
	{ "vxlan", IFLA_VXLAN_PORT },
	{ "geneve", IFLA_GENEVE_PORT },
};

/* Returns the UDP port of a link, host order; 0 if it has none that is known. */
static uint16_t link_read(const struct nlmsghdr *message, struct tunnel *t)
{
	const struct ifinfomsg *link = NLMSG_DATA(message);
	const struct rtattr *info = link_attribute(message, IFLA_LINKINFO),
			    *name = link_attribute(message, IFLA_IFNAME);
	const struct rtattr *kind = rtattr_find_in(info, IFLA_INFO_KIND), *port;

	/* The interface's socket is open only while the interface is up. */
	if (!(link->ifi_flags & IFF_UP) || !kind || !name)
		return 0;
	rtattr_text(t->kind, kind);
	rtattr_text(t->name, name);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strcmp(t->kind, kinds[i].kind))
			continue;
		port = rtattr_find_in(rtattr_find_in(info, IFLA_INFO_DATA), kinds[i].attribute);
		return port && RTA_PAYLOAD(port) >= sizeof(uint16_t)
			       ? ntohs(*(const uint16_t *)RTA_DATA(port))
			       : 0;
	}
	return 0;
}

static bool is_tunnel_of(const struct endpoint *e, uint32_t netns)
{
	return endpoint_aside(e) == ASIDE_KERNEL && e->netns == netns;
}

struct filling {
	struct snapshot *snapshot;
	uint32_t netns;
	int err; /* 0 or -ENOMEM */
};

static int link_add(void *to, const struct nlmsghdr *message)
{
	const struct filling *f = to;
	struct snapshot *s = f->snapshot;
	struct tunnel t;
	const uint16_t port = link_read(message, &t);

	for (size_t i = s->endpoint_count; i < s->endpoint_count + s->aside_count && port; i++) {
		struct endpoint *e = &s->endpoints[i];
		void *more;

		if (!is_tunnel_of(e, f->netns) || e->port != port)
			continue;
		more = realloc(e->tunnels, (e->tunnel_count + 1) * sizeof(*e->tunnels));
		if (!more)
			return -ENOMEM;
		e->tunnels = more;
		e->tunnels[e->tunnel_count++] = t;
	}
	return 0;
}

static int links_add(void *to, uint32_t netns)
{
	struct filling *f = to;

	f->netns = netns;
	return f->err = links_each(0, link_add, f);
}

int tunnels_fill(struct snapshot *s)
{
	const size_t end = s->endpoint_count + s->aside_count;
	struct filling f = { .snapshot = s };
	int err = 0, failed;

	for (size_t i = s->endpoint_count; i < end && !err; i++) {
		const uint32_t netns = s->endpoints[i].netns;
		bool before = endpoint_aside(&s->endpoints[i]) != ASIDE_KERNEL;

		for (size_t k = s->endpoint_count; k < i && !before; k++)
			before = is_tunnel_of(&s->endpoints[k], netns);
		if (before)
			continue;
		err = namespace_within(netns, links_add, &f, &failed);
		err = err ? err : f.err;
	}
	return err;
}
