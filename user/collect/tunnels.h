/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds the network interfaces, vxlan and geneve, that receive through a UDP port of the kernel's
 * own, by rtnetlink.
 */
#ifndef SOCKFAIR_TUNNELS_H
#define SOCKFAIR_TUNNELS_H

#include "../model/snapshot.h"

/*
 * Fills in `tunnels` of the endpoints that are set aside as ASIDE_KERNEL. It finds interfaces that
 * are up, in the socket's network namespace. It does not find an interface that was moved to
 * another namespace, nor other kinds of interface. Returns 0, -ENOMEM, or the negative errno of a
 * way back that failed (namespace.h).
 */
int tunnels_fill(struct snapshot *s);

#endif
