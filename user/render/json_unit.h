/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cgroup of a process, and its systemd unit or container, in JSON. Every document that has them
 * uses the same fields. */
#ifndef SOCKFAIR_JSON_UNIT_H
#define SOCKFAIR_JSON_UNIT_H

#include "../model/snapshot.h"
#include "json_writer.h"

/* Writes into an open object: the whole path of the cgroup where it is known, and the unit and the
 * container that the path names. */
void json_cgroup(struct json_writer *w, const char cgroup[CGROUP_SIZE]);

#endif
