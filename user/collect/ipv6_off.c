/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads net.ipv6.conf.*.disable_ipv6 of a network namespace to explain why an IPv6 address is
 * missing there.
 */
#include "ipv6_off.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "namespace.h"
#include "../attach/small_file.h"

static bool is_disabled(const char *interface)
{
	char path[80];

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", interface);
	return small_file_number(path, 0);
}

/* IPv6 may be on for one interface although it is off for all. */
static bool has_addresses(void)
{
	char text[2];

	return small_file_read("/proc/thread-self/net/if_inet6", text, sizeof(text)) != 0;
}

const char *ipv6_off_here(const uint8_t address[16])
{
	static const uint8_t loopback[16] = { [15] = 1 };

	if (!memcmp(address, loopback, sizeof(loopback)))
		return is_disabled("lo") ? "lo" : NULL;
	return is_disabled("all") && !has_addresses() ? "all" : NULL;
}

struct disabled_asking {
	const uint8_t *address;
	const char **what;
};

static int disabled_read(void *to, uint32_t netns)
{
	const struct disabled_asking *a = to;

	(void)netns;
	*a->what = ipv6_off_here(a->address);
	return 0;
}

int ipv6_off(uint32_t netns, const uint8_t address[16], const char **what)
{
	struct disabled_asking a = { address, what };
	int failed;

	*what = NULL;
	return namespace_within(netns, disabled_read, &a, &failed);
}
