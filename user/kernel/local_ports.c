/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "local_ports.h"

#include <inttypes.h>
#include <stdio.h>

static bool range_read(struct bind_range_settings *s)
{
	FILE *f = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	const bool read = f && fscanf(f, "%" SCNu16 "%" SCNu16, &s->low, &s->high) == 2;

	if (f)
		fclose(f);
	return read && s->low <= s->high;
}

/* "8080,9148-9150"; nothing: none */
static bool reserved_read(struct bind_range_settings *s)
{
	FILE *f = fopen("/proc/sys/net/ipv4/ip_local_reserved_ports", "re");
	unsigned first, last;
	char next = ',';

	if (!f)
		return false;
	while (next == ',' && fscanf(f, "%u", &first) == 1) {
		last = first;
		if (fscanf(f, "%c", &next) == 1 && next == '-' && fscanf(f, "%u%c", &last, &next) < 1)
			break;
		for (unsigned port = first; port <= last && port <= UINT16_MAX; port++)
			bind_port_add(s->reserved, port);
	}
	fclose(f);
	return true;
}

bool local_ports_read(struct bind_range_settings *s)
{
	FILE *f = fopen("/proc/sys/net/ipv4/ip_autobind_reuse", "re"); /* 5.7 */
	int reuse = 0;

	s->autobind_reuse = f && fscanf(f, "%d", &reuse) == 1 && reuse;
	if (f)
		fclose(f);
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
