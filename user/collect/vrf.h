/* SPDX-License-Identifier: GPL-2.0-or-later */
/* VRF devices (l3mdev): each has TCP ports of its own. */
#ifndef SOCKFAIR_VRF_H
#define SOCKFAIR_VRF_H

#include <stdint.h>

/*
 * The index of the VRF device whose ports a TCP socket uses that is bound to that interface of the
 * thread's network namespace: itself, or its master (l3mdev_master_ifindex()). 0: none, or
 * net.ipv4.tcp_l3mdev_accept=1 makes the ports one, or it could not be asked.
 */
uint32_t vrf_of(uint32_t device);

/* The same in another network namespace. Returns 0 or a negative errno: the way back failed, see
 * namespace_within(). */
int vrf_in(uint32_t netns, uint32_t device, uint32_t *vrf);

#endif
