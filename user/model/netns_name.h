/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of network namespaces as `ip netns` gives them, which is how people know them. There is one
 * list for the whole process, filled by collect/namespace.c. */
#ifndef SOCKFAIR_NETNS_NAME_H
#define SOCKFAIR_NETNS_NAME_H

#include <stdbool.h>
#include <stdint.h>

#define NETNS_NAME_SIZE 256  /* NAME_MAX, plus the NUL */
#define NETNS_NAMES_MAX 4096 /* limit of the list */

/* Empties the list. */
void netns_names_forget(void);

/* If a namespace has two names, the one that sorts first is shown. Without memory or room the
 * namespace gets no name. */
void netns_name_add(uint32_t inode, const char *name);

bool netns_named(uint32_t inode);

/* The namespace's name, which may hold any bytes, or its number if it has no name. buffer:
 * NETNS_NAME_SIZE bytes; returned. */
const char *netns_say(char buffer[NETNS_NAME_SIZE], uint32_t inode);

#endif
