/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cgroup of a process, and its systemd unit or container, in JSON: the same fields in each
 * document that has them. */
#ifndef SOCKFAIR_JSON_UNIT_H
#define SOCKFAIR_JSON_UNIT_H

#include "../model/snapshot.h"
#include "json_writer.h"

/* Into an open object: the path of the cgroup, whole where it is known, and the unit and container
 * as it says. */
void json_cgroup(struct json_writer *w, const char cgroup[CGROUP_SIZE]);

#endif
