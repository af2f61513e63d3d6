/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ipv6_off.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "namespace.h"

static bool is_disabled(const char *interface)
{
	char path[80];
	FILE *f;
	int disabled = 0;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", interface);
	f = fopen(path, "re");
	if (f && fscanf(f, "%d", &disabled) != 1)
		disabled = 0;
	if (f)
		fclose(f);
	return disabled;
}

/* An interface may have it on again, though it is off for all. */
static bool has_addresses(void)
{
	FILE *f = fopen("/proc/thread-self/net/if_inet6", "re");
	const bool has = !f || fgetc(f) != EOF;

	if (f)
		fclose(f);
	return has;
}

const char *ipv6_off_here(const uint8_t address[16])
{
	static const uint8_t loopback[16] = { [15] = 1 };

	if (!memcmp(address, loopback, sizeof(loopback)))
		return is_disabled("lo") ? "lo" : NULL;
	return is_disabled("all") && !has_addresses() ? "all" : NULL;
}

int ipv6_off(uint32_t netns, const uint8_t address[16], const char **what)
{
	int home;

	*what = NULL;
	if (namespace_enter(netns, &home))
		return 0;
	*what = ipv6_off_here(address);
	return namespace_leave(home);
}
