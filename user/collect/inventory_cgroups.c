/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds the cgroups of threads. The kernel reports the css_set of each thread; the cgroup that a
 * css_set stands for is read once, from a process that is in it. A css_set lives as long as a
 * thread is in it, and its address may later be used for another one, so each sample reads them
 * anew.
 */
#include "inventory_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "process.h"

struct cgroup {
	uint64_t set;
	uint32_t pid; /* a process in it */
	char *path;
};

void inventory_cgroups_forget(struct inventory *v)
{
	struct cgroup *rows = v->cgroups.rows;

	for (size_t i = 0; i < v->cgroups.count; i++)
		free(rows[i].path);
	v->cgroups.count = 0;
}

int inventory_cgroups_read(struct inventory *v)
{
	struct thread *threads = v->threads.rows;
	char path[PROCESS_CGROUP_SIZE];
	struct cgroup *rows;

	inventory_cgroups_forget(v);
	for (size_t i = 0; i < v->threads.count; i++) {
		const struct cgroup c = { .set = threads[i].r.cgroups, .pid = threads[i].r.pid };

		/*
		 * The threads of a process come one after the other, and mostly all of them are in
		 * one set.
		 */
		if ((!i || threads[i - 1].r.cgroups != c.set) &&
		    !array_add(&v->cgroups, &c, sizeof(c)))
			return -ENOMEM;
	}
	array_sort(&v->cgroups, sizeof(*rows), array_by_u64);
	array_unique(&v->cgroups, sizeof(*rows), array_by_u64);
	rows = v->cgroups.rows;
	for (size_t i = 0; i < v->cgroups.count; i++) {
		process_cgroup(rows[i].pid, path);
		rows[i].path = strdup(path);
		if (!rows[i].path)
			return -ENOMEM;
	}
	for (size_t i = 0; i < v->threads.count; i++) {
		const struct cgroup *c =
			array_find(&v->cgroups, sizeof(*c), &threads[i].r.cgroups, array_by_u64);

		threads[i].cgroup = c ? c->path : "";
	}
	return 0;
}
