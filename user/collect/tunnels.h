/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which network interfaces receive by a UDP port of the kernel's own, as rtnetlink tells: vxlan and
 * geneve. */
#ifndef SOCKFAIR_TUNNELS_H
#define SOCKFAIR_TUNNELS_H

#include "../model/snapshot.h"

/*
 * Fills `tunnels` of the endpoints that are set aside as ASIDE_KERNEL. Interfaces that are up, in
 * the socket's network namespace: one that was moved to another is not found, nor are other kinds.
 * Returns 0, -ENOMEM, or the negative errno of a way back that failed (namespace.h).
 */
int tunnels_fill(struct snapshot *s);

#endif
