/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asks rtnetlink for an interface and follows it to its VRF device, in the thread's own network
 * namespace or, through namespace.c, in another.
 */
#include "device.h"

#include <linux/if_link.h>

#include "link.h"
#include "namespace.h"
#include "../attach/small_file.h"

static bool is_vrf(const struct rtattr *kind)
{
	char text[16];

	if (!kind)
		return false;
	rtattr_text(text, kind);
	return !strcmp(text, "vrf");
}

/* The VRF device of an interface: the interface itself, or the one that it belongs to. */
static int vrf_take(void *to, const struct nlmsghdr *message)
{
	const struct ifinfomsg *link = NLMSG_DATA(message);
	const struct rtattr *info = link_attribute(message, IFLA_LINKINFO),
			    *master = link_attribute(message, IFLA_MASTER);

	if (is_vrf(rtattr_find_in(info, IFLA_INFO_KIND)))
		*(uint32_t *)to = link->ifi_index;
	else if (master && is_vrf(rtattr_find_in(info, IFLA_INFO_SLAVE_KIND)))
		memcpy(to, RTA_DATA(master), sizeof(uint32_t));
	return 0;
}

uint32_t device_vrf(uint32_t index)
{
	uint32_t vrf = 0;

	if (index && !small_file_number("/proc/sys/net/ipv4/tcp_l3mdev_accept", 0))
		links_each(index, vrf_take, &vrf);
	return vrf;
}

struct device_asking {
	uint32_t index;
	char *name;
	uint32_t *vrf;
};

static int ask(void *to, uint32_t netns)
{
	const struct device_asking *a = to;

	(void)netns;
	if (!if_indextoname(a->index, a->name))
		*a->name = 0;
	if (a->vrf)
		*a->vrf = device_vrf(a->index);
	return 0;
}

int device_in(uint32_t netns, uint32_t index, char name[IF_NAMESIZE], uint32_t *vrf)
{
	struct device_asking a = { index, name, vrf };
	int failed;

	*name = 0;
	if (vrf)
		*vrf = 0;
	return namespace_within(netns, ask, &a, &failed);
}

/* ---- any VRF device ---- */

struct vrf_asking {
	bool udp;
	char *name;
};

static int vrf_name_take(void *to, const struct nlmsghdr *message)
{
	const struct rtattr *info = link_attribute(message, IFLA_LINKINFO),
			    *name = link_attribute(message, IFLA_IFNAME);

	if (name && is_vrf(rtattr_find_in(info, IFLA_INFO_KIND)))
		rtattr_text(to, name);
	return 0;
}

static int ask_for_vrf(void *to, uint32_t netns)
{
	const struct vrf_asking *a = to;
	const char *accepts = a->udp ? "/proc/sys/net/ipv4/udp_l3mdev_accept"
				     : "/proc/sys/net/ipv4/tcp_l3mdev_accept";

	(void)netns;
	return small_file_number(accepts, 0) ? 0 : links_each(0, vrf_name_take, a->name);
}

int device_find_vrf(uint32_t netns, bool udp, char name[IF_NAMESIZE])
{
	struct vrf_asking a = { udp, name };
	int failed, err;

	*name = 0;
	err = namespace_within(netns, ask_for_vrf, &a, &failed);
	return err ? err : failed;
}
