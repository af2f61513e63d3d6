/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vrf.h"

#include <linux/if_link.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "namespace.h"
#include "rtattr.h"
#include "../attach/small_file.h"

static bool is_vrf(const struct rtattr *kind)
{
	char text[16];

	if (!kind)
		return false;
	rtattr_text(text, kind);
	return !strcmp(text, "vrf");
}

static uint32_t link_read(const struct nlmsghdr *message)
{
	const struct ifinfomsg *link = NLMSG_DATA(message);
	const int rest = message->nlmsg_len - NLMSG_LENGTH(sizeof(*link));
	const struct rtattr *info = rtattr_find(IFLA_RTA(link), rest, IFLA_LINKINFO),
			    *master = rtattr_find(IFLA_RTA(link), rest, IFLA_MASTER);
	uint32_t index = 0;

	if (message->nlmsg_type != RTM_NEWLINK)
		return 0;
	if (is_vrf(rtattr_find_in(info, IFLA_INFO_KIND)))
		return link->ifi_index;
	if (master && is_vrf(rtattr_find_in(info, IFLA_INFO_SLAVE_KIND)))
		memcpy(&index, RTA_DATA(master), sizeof(index));
	return index;
}

uint32_t vrf_of(uint32_t device)
{
	const struct {
		struct nlmsghdr header;
		struct ifinfomsg link;
	} ask = { .header = { .nlmsg_len = sizeof(ask),
			      .nlmsg_type = RTM_GETLINK,
			      .nlmsg_flags = NLM_F_REQUEST },
		  .link = { .ifi_index = device } };
	static char buffer[32768] __attribute__((aligned(8)));
	uint32_t vrf = 0;
	int fd;

	if (!device || small_file_number("/proc/sys/net/ipv4/tcp_l3mdev_accept", 0))
		return 0;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd >= 0 && send(fd, &ask, sizeof(ask), 0) >= 0) {
		const ssize_t length = recv(fd, buffer, sizeof(buffer), 0);

		if (length > 0 && NLMSG_OK((const struct nlmsghdr *)buffer, length))
			vrf = link_read((const struct nlmsghdr *)buffer);
	}
	if (fd >= 0)
		close(fd);
	return vrf;
}

int vrf_in(uint32_t netns, uint32_t device, uint32_t *vrf)
{
	int home;

	*vrf = 0;
	if (namespace_enter(netns, &home))
		return 0;
	*vrf = vrf_of(device);
	return namespace_leave(home);
}
