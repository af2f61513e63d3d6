/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lookup_program.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const char *say_steered(char buffer[STEERED_SIZE], const struct lookup_program *p)
{
	const time_t since = p->since_ms / 1000;
	char pid[24] = "", when[16] = "";
	struct tm utc;

	if (!p->steers)
		return NULL;
	if (p->pid)
		snprintf(pid, sizeof(pid), " (pid %" PRId32 ")", p->pid);
	if (p->since_ms && gmtime_r(&since, &utc))
		strftime(when, sizeof(when), "%H:%M:%S", &utc);
	snprintf(buffer, STEERED_SIZE, "steered by %.15s%s%s%s%s",
		 *p->process ? p->process : "sockfair", pid, *when ? " since " : "", when,
		 *when ? " UTC" : "");
	return buffer;
}
