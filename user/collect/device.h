/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The network interface that a socket is bound to: its name, and its VRF device (l3mdev), which
 * has TCP ports of its own.
 */
#ifndef SOCKFAIR_DEVICE_H
#define SOCKFAIR_DEVICE_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Returns the index of the VRF device whose TCP ports are used by a socket bound to that interface
 * of the thread's network namespace: the interface itself, or its master
 * (l3mdev_master_ifindex()). 0 means that there is none, that net.ipv4.tcp_l3mdev_accept=1 makes
 * all ports one set, or that the kernel could not be asked.
 */
uint32_t device_vrf(uint32_t index);

/*
 * Finds the name of an interface in another network namespace, and its device_vrf() unless vrf is
 * NULL. "" and 0 mean that it can't be determined. Returns 0 or negative errno, as
 * namespace_within().
 */
int device_in(uint32_t netns, uint32_t index, char name[IF_NAMESIZE], uint32_t *vrf);

/*
 * Finds a VRF device of the network namespace whose traffic sockets without a device do not get:
 * net.ipv4.tcp_l3mdev_accept or, with `udp`, net.ipv4.udp_l3mdev_accept is 0, the default. "":
 * there is none. Returns 0 or negative errno: the namespace can't be looked at.
 */
int device_find_vrf(uint32_t netns, bool udp, char name[IF_NAMESIZE]);

#endif
