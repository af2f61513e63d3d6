/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Is an IPv6 address missing since IPv6 is off where it would be? */
#ifndef SOCKFAIR_IPV6_OFF_H
#define SOCKFAIR_IPV6_OFF_H

#include <stdint.h>

/* Asks in the thread's own network namespace. Returns THIS of net.ipv6.conf.THIS.disable_ipv6=1,
 * "lo" or "all"; NULL: as far as is known, no. */
const char *ipv6_off_here(const uint8_t address[16]);

/* The same of another one. Returns 0, or a negative errno with which the run has to end: the way
 * back failed. */
int ipv6_off(uint32_t netns, const uint8_t address[16], const char **what);

#endif
