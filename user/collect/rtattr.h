/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attributes of rtnetlink's messages. */
#ifndef SOCKFAIR_RTATTR_H
#define SOCKFAIR_RTATTR_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>

static inline const struct rtattr *rtattr_find(const struct rtattr *a, int rest, int type)
{
	for (; RTA_OK(a, rest); a = RTA_NEXT(a, rest))
		if ((a->rta_type & NLA_TYPE_MASK) == type)
			return a;
	return NULL;
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
