/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "netns_name.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct named {
	uint32_t inode;
	char *name;
};

static struct named *names; /* room for NETNS_NAMES_MAX, allocated with the first name */
static size_t count;

static struct named *name_find(uint32_t inode)
{
	for (size_t i = 0; i < count; i++)
		if (names[i].inode == inode)
			return &names[i];
	return NULL;
}

void netns_names_forget(void)
{
	for (size_t i = 0; i < count; i++)
		free(names[i].name);
	count = 0;
	free(names);
	names = NULL;
}

void netns_name_add(uint32_t inode, const char *name)
{
	struct named *n = name_find(inode);
	char *copy;

	if (!names)
		names = calloc(NETNS_NAMES_MAX, sizeof(*names));
	if (!names || (n && strcmp(n->name, name) <= 0) || (!n && count == NETNS_NAMES_MAX))
		return;
	copy = strndup(name, NETNS_NAME_SIZE - 1);
	if (!copy)
		return;
	if (!n)
		n = &names[count++];
	else
		free(n->name);
	*n = (struct named){ inode, copy };
}

bool netns_named(uint32_t inode)
{
	return name_find(inode);
}

const char *netns_say(char buffer[NETNS_NAME_SIZE], uint32_t inode)
{
	const struct named *n = name_find(inode);

	if (n)
		return strcpy(buffer, n->name);
	snprintf(buffer, NETNS_NAME_SIZE, "%" PRIu32, inode);
	return buffer;
}
