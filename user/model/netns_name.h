/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of network namespaces, as ip netns gives them: what people know them by. Known to the
 * process as a whole; whoever looks fills it. */
#ifndef SOCKFAIR_NETNS_NAME_H
#define SOCKFAIR_NETNS_NAME_H

#include <stdbool.h>
#include <stdint.h>

#define NETNS_NAME_SIZE 256  /* NAME_MAX, and its NUL */
#define NETNS_NAMES_MAX 4096 /* so many are known */

/* Forgets all. */
void netns_names_forget(void);

/* Of two names of one namespace the one that sorts first is shown. Without memory, or room, it has
 * none. */
void netns_name_add(uint32_t inode, const char *name);

bool netns_named(uint32_t inode);

/* Its name, any bytes; where it has none its number. buffer: NETNS_NAME_SIZE; returns it. */
const char *netns_say(char buffer[NETNS_NAME_SIZE], uint32_t inode);

#endif
