/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ports that have a name on this machine. */
#ifndef SOCKFAIR_SERVICES_H
#define SOCKFAIR_SERVICES_H

#include "../bind/bind.h"

/*
 * Adds the ports of /etc/services (or of wherever nsswitch.conf says) and those of
 * bind_ports_by_use() to well_known.
 */
void services_fill(struct bind_ports *ports);

#endif
