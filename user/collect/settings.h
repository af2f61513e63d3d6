/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Settings of the kernel that say why a queue is as short as it is. */
#ifndef SOCKFAIR_SETTINGS_H
#define SOCKFAIR_SETTINGS_H

#include "../model/snapshot.h"

/* Fills somaxconn and somaxconn_netns: those of our own network namespace; 0 where it can't be
 * read. */
void settings_fill(struct snapshot *s);

#endif
