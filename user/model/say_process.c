/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a finding names a process: with its systemd unit or container, so that the reader knows what
 * to change or restart. */
#include <stdio.h>
#include <string.h>

#include "findings_rules.h"
#include "unit.h"

/* " in nginx.service"; "" if not known */
static const char *say_place(char buffer[PLACE_SIZE], const char cgroup[CGROUP_SIZE])
{
	char words[UNIT_WORDS_SIZE];
	struct unit unit;

	*buffer = '\0';
	if (unit_of_row(&unit, cgroup))
		snprintf(buffer, PLACE_SIZE, " in %.80s", unit_say(words, &unit));
	return buffer;
}

const char *say_process(char buffer[PROCESS_SIZE], const char name[16], int32_t pid,
			const char cgroup[CGROUP_SIZE])
{
	char place[PLACE_SIZE];

	snprintf(buffer, PROCESS_SIZE, "%.15s %" PRId32 "%s", name, pid, say_place(place, cgroup));
	return buffer;
}

const char *say_worker(char buffer[WORKER_SIZE], const struct worker_row *w)
{
	char process[PROCESS_SIZE];

	say_process(process, *w->process ? w->process : w->comm, w->pid, w->cgroup);
	if (w->pid == w->tid)
		snprintf(buffer, WORKER_SIZE, "%s", process);
	else
		snprintf(buffer, WORKER_SIZE, "thread %" PRId32 " of %s", w->tid, process);
	return buffer;
}

static bool same_place(const struct holder_row *rows, size_t count)
{
	char one[PLACE_SIZE], other[PLACE_SIZE];

	for (size_t i = 1; i < count; i++)
		if (strncmp(rows[i].cgroup, rows[0].cgroup, CGROUP_SIZE) &&
		    strcmp(say_place(one, rows[0].cgroup), say_place(other, rows[i].cgroup)))
			return false;
	return true;
}

const char *say_holders(char buffer[HELD_SIZE], const struct endpoint *e, uint64_t cookie)
{
	size_t count, length = 0, shown;
	const struct holder_row *rows = endpoint_holders(e, cookie, &count);
	const bool once = same_place(rows, count);
	char process[PROCESS_SIZE], place[PLACE_SIZE];

	for (shown = 0; shown < count && shown < 3; shown++)
		length += snprintf(buffer + length, HELD_SIZE - length, "%s%s", shown ? ", " : "",
				   say_process(process, rows[shown].process, rows[shown].pid,
					       once ? "" : rows[shown].cgroup));
	if (count > shown)
		length += snprintf(buffer + length, HELD_SIZE - length, " and %zu more",
				   count - shown);
	if (!count)
		snprintf(buffer, HELD_SIZE, "no process seen");
	else if (once)
		snprintf(buffer + length, HELD_SIZE - length, "%s",
			 say_place(place, rows[0].cgroup));
	return buffer;
}
