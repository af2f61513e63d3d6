/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the range that the kernel picks ports from, and the list of reserved ports, both from
 * /proc/sys/net/ipv4.
 */
#include "local_ports.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "../attach/small_file.h"

/* Enough for the longest list, which names every second port singly. */
#define RESERVED_SIZE 200000

static bool range_read(struct bind_range_settings *s)
{
	char text[32];

	small_file_read("/proc/sys/net/ipv4/ip_local_port_range", text, sizeof(text));
	return sscanf(text, "%" SCNu16 "%" SCNu16, &s->low, &s->high) == 2 && s->low <= s->high;
}

/* Reads a list like "8080,9148-9150"; an empty list means none. */
static bool reserved_read(struct bind_range_settings *s)
{
	static char text[RESERVED_SIZE];
	char *at = text;

	if (small_file_read("/proc/sys/net/ipv4/ip_local_reserved_ports", text, sizeof(text)) < 0)
		return false;
	while (*at >= '0' && *at <= '9') {
		const unsigned long first = strtoul(at, &at, 10),
				    last = *at == '-' ? strtoul(at + 1, &at, 10) : first;

		for (unsigned long port = first; port <= last && port <= UINT16_MAX; port++)
			bind_port_add(s->reserved, port);
		at += *at == ',';
	}
	return true;
}

bool local_ports_read(struct bind_range_settings *s)
{
	s->autobind_reuse = small_file_number("/proc/sys/net/ipv4/ip_autobind_reuse", 0); /* 5.7 */
	return range_read(s) && reserved_read(s);
}

bool local_ports_pickable(const struct bind_range_settings *s, uint16_t port)
{
	return port >= s->low && port <= s->high && !bind_port_in(s->reserved, port);
}

bool local_ports_reserved(const struct bind_range_settings *s)
{
	for (size_t i = 0; i < sizeof(s->reserved) / sizeof(s->reserved[0]); i++)
		if (s->reserved[i])
			return true;
	return false;
}
