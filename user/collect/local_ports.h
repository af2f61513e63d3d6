/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ports that the kernel picks from when a program names none. */
#ifndef SOCKFAIR_LOCAL_PORTS_H
#define SOCKFAIR_LOCAL_PORTS_H

#include "../bind/bind_range.h"

/* Reads the settings of the thread's network namespace. Returns whether all could be read. */
bool local_ports_read(struct bind_range_settings *s);

/* May the kernel pick this port? */
bool local_ports_pickable(const struct bind_range_settings *s, uint16_t port);

/* Is any port reserved (net.ipv4.ip_local_reserved_ports)? */
bool local_ports_reserved(const struct bind_range_settings *s);

#endif
