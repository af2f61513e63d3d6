/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Network interfaces as rtnetlink reports them, and the attributes of rtnetlink messages. */
#ifndef SOCKFAIR_LINK_H
#define SOCKFAIR_LINK_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <string.h>

/* Returns 0, or negative errno, which ends the listing. */
typedef int link_take(void *to, const struct nlmsghdr *message);

/*
 * Passes the interface with that index of the thread's network namespace to `take`, or all
 * interfaces if index is 0; each is an RTM_NEWLINK. An interface that can't be read is left out.
 * Returns 0 or what `take` returned.
 */
int links_each(uint32_t index, link_take *take, void *to);

static inline const struct rtattr *rtattr_find(const struct rtattr *a, int rest, int type)
{
	for (; RTA_OK(a, rest); a = RTA_NEXT(a, rest))
		if ((a->rta_type & NLA_TYPE_MASK) == type)
			return a;
	return NULL;
}

/* Finds an attribute in the message of a link. */
static inline const struct rtattr *link_attribute(const struct nlmsghdr *message, int type)
{
	const struct ifinfomsg *link = NLMSG_DATA(message);

	return rtattr_find(IFLA_RTA(link), message->nlmsg_len - NLMSG_LENGTH(sizeof(*link)), type);
}

static inline const struct rtattr *rtattr_find_in(const struct rtattr *nest, int type)
{
	return nest ? rtattr_find(RTA_DATA(nest), RTA_PAYLOAD(nest), type) : NULL;
}

static inline void rtattr_text(char to[16], const struct rtattr *a)
{
	memset(to, 0, 16);
	memcpy(to, RTA_DATA(a), RTA_PAYLOAD(a) < 15 ? RTA_PAYLOAD(a) : 15);
}

#endif
