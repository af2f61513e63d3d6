/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kernel settings that explain why a queue is as short as it is. */
#ifndef SOCKFAIR_SETTINGS_H
#define SOCKFAIR_SETTINGS_H

#include "../model/snapshot.h"

/*
 * Fills in somaxconn and somaxconn_netns, from our own network namespace; 0 if they can't be read.
 */
void settings_fill(struct snapshot *s);

#endif
