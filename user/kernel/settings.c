/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "settings.h"

#include <inttypes.h>
#include <stdio.h>

#include "namespace.h"

/* What lies under /proc/sys/net is that of the namespace of who reads it. */
void settings_fill(struct snapshot *s)
{
	FILE *f = fopen("/proc/sys/net/core/somaxconn", "re");

	if (f && fscanf(f, "%" SCNu32, &s->somaxconn) == 1)
		s->somaxconn_netns = namespace_own();
	if (!s->somaxconn_netns)
		s->somaxconn = 0;
	if (f)
		fclose(f);
}
