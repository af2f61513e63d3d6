/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds out whether an IPv6 address is missing because IPv6 is switched off where the address
 * would be.
 */
#ifndef SOCKFAIR_IPV6_OFF_H
#define SOCKFAIR_IPV6_OFF_H

#include <stdint.h>

/*
 * Asks in the thread's own network namespace. If net.ipv6.conf.X.disable_ipv6=1 explains the
 * missing address, returns X, which is "lo" or "all". NULL: nothing found says so.
 */
const char *ipv6_off_here(const uint8_t address[16]);

/*
 * The same in another namespace. Returns 0, or a negative errno after which the run has to end,
 * because the way back failed.
 */
int ipv6_off(uint32_t netns, const uint8_t address[16], const char **what);

#endif
