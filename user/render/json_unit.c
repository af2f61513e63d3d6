/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The JSON members about a process's cgroup, systemd unit and container. */
#include "json_unit.h"

#include "../model/cgroup.h"
#include "../model/unit.h"

void json_cgroup(struct json_writer *w, const char cgroup[CGROUP_SIZE])
{
	const char *whole = cgroup_whole(cgroup);
	struct unit u;

	json_text_if(w, "cgroup", *cgroup, whole ? whole : cgroup, whole ? SIZE_MAX : CGROUP_CUT);
	unit_of_row(&u, cgroup);
	json_name_if(w, "unit", u.name);
	if (!*u.container) {
		json_nothing(w, "container");
		return;
	}
	json_open(w, "container", '{');
	json_name(w, "id", u.container);
	json_string(w, "runtime", u.runtime);
	json_name_if(w, "pod", u.pod);
	json_close(w, '}');
}
