/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "json_unit.h"

#include "../model/cgroup.h"
#include "../model/unit.h"

static void text_or_null(struct json_writer *w, const char *key, const char *value, size_t size)
{
	if (*value)
		json_text(w, key, value, size);
	else
		json_nothing(w, key);
}

void json_cgroup(struct json_writer *w, const char cgroup[CGROUP_SIZE])
{
	const char *whole = cgroup_whole(cgroup);
	struct unit u;

	if (!*cgroup)
		json_nothing(w, "cgroup");
	else
		json_text(w, "cgroup", whole ? whole : cgroup, whole ? SIZE_MAX : CGROUP_CUT);
	unit_of_row(&u, cgroup);
	text_or_null(w, "unit", u.name, sizeof(u.name));
	if (!*u.container) {
		json_nothing(w, "container");
		return;
	}
	json_open(w, "container", '{');
	json_text(w, "id", u.container, sizeof(u.container));
	if (u.runtime)
		json_text(w, "runtime", u.runtime, SIZE_MAX);
	else
		json_nothing(w, "runtime");
	text_or_null(w, "pod", u.pod, sizeof(u.pod));
	json_close(w, '}');
}
