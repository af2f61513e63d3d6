/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The systemd unit or container of a process in JSON: the same fields in each document that has them. */
#ifndef SOCKFAIR_JSON_UNIT_H
#define SOCKFAIR_JSON_UNIT_H

#include "../model/snapshot.h"
#include "json_writer.h"

/* Into an open object: unit, container, as the path of the cgroup says. */
void json_unit(struct json_writer *w, const char cgroup[CGROUP_SIZE]);

#endif
