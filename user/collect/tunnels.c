/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tunnels.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../model/aside.h"
#include "namespace.h"
#include "rtattr.h"

/* Where the port is in the data of each kind (IFLA_INFO_DATA). */
static const struct {
	const char *kind;
	int attribute;
} kinds[] = {
	{ "vxlan", IFLA_VXLAN_PORT },
	{ "geneve", IFLA_GENEVE_PORT },
};

/* The UDP port of a link, host order; 0: none that we know. */
static uint16_t link_read(const struct nlmsghdr *message, struct tunnel *t)
{
	const struct ifinfomsg *link = NLMSG_DATA(message);
	const int rest = message->nlmsg_len - NLMSG_LENGTH(sizeof(*link));
	const struct rtattr *info = rtattr_find(IFLA_RTA(link), rest, IFLA_LINKINFO),
			    *name = rtattr_find(IFLA_RTA(link), rest, IFLA_IFNAME);
	const struct rtattr *kind = rtattr_find_in(info, IFLA_INFO_KIND), *port;

	/* Its socket is open while it is up. */
	if (message->nlmsg_type != RTM_NEWLINK || !(link->ifi_flags & IFF_UP) || !kind || !name)
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

static int link_add(struct snapshot *s, uint32_t netns, const struct nlmsghdr *message)
{
	struct tunnel t;
	const uint16_t port = link_read(message, &t);

	for (size_t i = s->endpoint_count; i < s->endpoint_count + s->aside_count && port; i++) {
		struct endpoint *e = &s->endpoints[i];
		void *more;

		if (!is_tunnel_of(e, netns) || e->port != port)
			continue;
		more = realloc(e->tunnels, (e->tunnel_count + 1) * sizeof(*e->tunnels));
		if (!more)
			return -ENOMEM;
		e->tunnels = more;
		e->tunnels[e->tunnel_count++] = t;
	}
	return 0;
}

/* The links of the present network namespace. What can't be read is not told. Returns 0 or -ENOMEM.
 */
static int links_read(struct snapshot *s, uint32_t netns)
{
	const struct {
		struct nlmsghdr header;
		struct ifinfomsg link;
	} ask = { .header = { .nlmsg_len = sizeof(ask),
			      .nlmsg_type = RTM_GETLINK,
			      .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP } };
	static char buffer[65536] __attribute__((aligned(8)));
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), err = 0;
	bool more = fd >= 0 && send(fd, &ask, sizeof(ask), 0) >= 0;

	while (more && !err) {
		ssize_t length = recv(fd, buffer, sizeof(buffer), 0);
		const struct nlmsghdr *message = (const struct nlmsghdr *)buffer;

		more = length > 0;
		for (; more && NLMSG_OK(message, length) && !err;
		     message = NLMSG_NEXT(message, length)) {
			more = message->nlmsg_type != NLMSG_DONE &&
			       message->nlmsg_type != NLMSG_ERROR;
			err = more ? link_add(s, netns, message) : 0;
		}
	}
	if (fd >= 0)
		close(fd);
	return err;
}

int tunnels_fill(struct snapshot *s)
{
	const size_t end = s->endpoint_count + s->aside_count;
	int err = 0;

	for (size_t i = s->endpoint_count; i < end && !err; i++) {
		const uint32_t netns = s->endpoints[i].netns;
		bool before = endpoint_aside(&s->endpoints[i]) != ASIDE_KERNEL;
		int home, back;

		for (size_t k = s->endpoint_count; k < i && !before; k++)
			before = is_tunnel_of(&s->endpoints[k], netns);
		if (before || namespace_enter(netns, &home))
			continue;
		err = links_read(s, netns);
		back = namespace_leave(home);
		err = back ? back : err;
	}
	return err;
}
