/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ports that the kernel picks from, where a program names none. */
#ifndef SOCKFAIR_LOCAL_PORTS_H
#define SOCKFAIR_LOCAL_PORTS_H

#include <stdbool.h>
#include <stdint.h>

struct local_ports {
	uint16_t low, high;      /* net.ipv4.ip_local_port_range; 0, 0: not known */
	uint64_t reserved[1024]; /* net.ipv4.ip_local_reserved_ports: bit p & 63 of word p >> 6 */
	bool any_reserved;
};

/* Those of the thread's network namespace; what can't be read is not known. */
void local_ports_read(struct local_ports *p);

bool local_ports_pickable(const struct local_ports *p, uint16_t port);

#endif
