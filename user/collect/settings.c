/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads net.core.somaxconn, and remembers which network namespace it was read in. */
#include "settings.h"

#include <inttypes.h>
#include <stdio.h>

#include "namespace.h"
#include "../attach/small_file.h"

/* Files under /proc/sys/net show the namespace of the process that reads them. */
void settings_fill(struct snapshot *s)
{
	char text[32];

	small_file_read("/proc/sys/net/core/somaxconn", text, sizeof(text));
	if (sscanf(text, "%" SCNu32, &s->somaxconn) == 1)
		s->somaxconn_netns = namespace_own();
	if (!s->somaxconn_netns)
		s->somaxconn = 0;
}
