/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "local_ports.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void range_read(struct local_ports *p)
{
	FILE *f = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");

	if (f && fscanf(f, "%" SCNu16 " %" SCNu16, &p->low, &p->high) != 2)
		p->low = p->high = 0;
	if (f)
		fclose(f);
}

/* "8080,9100-9200" */
static void reserved_read(struct local_ports *p)
{
	FILE *f = fopen("/proc/sys/net/ipv4/ip_local_reserved_ports", "re");
	unsigned long first, last;

	while (f && fscanf(f, "%lu", &first) == 1) {
		int next = fgetc(f);

		last = first;
		if (next == '-' && fscanf(f, "%lu", &last) != 1)
			break;
		for (unsigned long port = first; port <= last && port < 65536; port++)
			p->reserved[port >> 6] |= 1ull << (port & 63);
		p->any_reserved = true;
		if (next == '-')
			fgetc(f);
	}
	if (f)
		fclose(f);
}

void local_ports_read(struct local_ports *p)
{
	memset(p, 0, sizeof(*p));
	range_read(p);
	reserved_read(p);
}

bool local_ports_pickable(const struct local_ports *p, uint16_t port)
{
	if (!p->high) /* not known: what keeps it free would do so */
		return true;
	return port >= p->low && port <= p->high && !(p->reserved[port >> 6] >> (port & 63) & 1);
}
