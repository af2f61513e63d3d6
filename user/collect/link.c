/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asks rtnetlink for interfaces with one request. The answer for one interface is one message; the
 * answer for all interfaces ends with NLMSG_DONE.
 */
#include "link.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

int links_each(uint32_t index, link_take *take, void *to)
{
	const struct {
		struct nlmsghdr header;
		struct ifinfomsg link;
	} ask = { .header = { .nlmsg_len = sizeof(ask),
			      .nlmsg_type = RTM_GETLINK,
			      .nlmsg_flags = NLM_F_REQUEST | (index ? 0 : NLM_F_DUMP) },
		  .link = { .ifi_index = index } };
	static char buffer[65536] __attribute__((aligned(8)));
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), err = 0;
	bool more = fd >= 0 && send(fd, &ask, sizeof(ask), 0) >= 0;

	while (more && !err) {
		ssize_t length = recv(fd, buffer, sizeof(buffer), 0);
		const struct nlmsghdr *message = (const struct nlmsghdr *)buffer;

		more = length > 0 && !index;
		for (; length > 0 && NLMSG_OK(message, length) && !err;
		     message = NLMSG_NEXT(message, length)) {
			if (message->nlmsg_type == RTM_NEWLINK)
				err = take(to, message);
			else if (message->nlmsg_type == NLMSG_DONE ||
				 message->nlmsg_type == NLMSG_ERROR)
				more = false;
		}
	}
	if (fd >= 0)
		close(fd);
	return err;
}
