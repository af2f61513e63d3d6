/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A network interface that a socket is bound to: its name, and its VRF device (l3mdev), which has
 * TCP ports of its own. */
#ifndef SOCKFAIR_DEVICE_H
#define SOCKFAIR_DEVICE_H

#include <net/if.h>
#include <stdint.h>

/*
 * The index of the VRF device whose ports a TCP socket uses that is bound to that interface of the
 * thread's network namespace: itself, or its master (l3mdev_master_ifindex()). 0: none, or
 * net.ipv4.tcp_l3mdev_accept=1 makes the ports one, or it could not be asked.
 */
uint32_t device_vrf(uint32_t index);

/* The name of an interface in another network namespace, and device_vrf() of it; vrf: NULL: not
 * asked. "" and 0: it can't be told. Returns 0 or negative errno, as namespace_within(). */
int device_in(uint32_t netns, uint32_t index, char name[IF_NAMESIZE], uint32_t *vrf);

#endif
