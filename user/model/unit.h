/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which systemd unit or container a process belongs to, by the path of its cgroup. Pure: it looks
 * at nothing but the path. */
#ifndef SOCKFAIR_UNIT_H
#define SOCKFAIR_UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cgroup.h"

#define UNIT_NAME_SIZE 256 /* one component of a cgroup's path: NAME_MAX */
#define UNIT_POD_SIZE 37

struct unit {
	char name[UNIT_NAME_SIZE]; /* as systemctl names it: "nginx.service"; "": none. The scope of
				      a container or of a machine does not count as a unit */
	int64_t user; /* the user whose service manager (systemctl --user) or session it belongs to;
			 -1: the system's */
	char container[UNIT_NAME_SIZE]; /* the container's full id, or its name if it has one (lxc,
					   systemd-nspawn, machined); "": none */
	const char *runtime; /* "docker", "podman", "containerd", "cri-o", "lxc", "systemd-nspawn",
				"machined", "ecs"; NULL: not known */
	char pod[UNIT_POD_SIZE]; /* uid of the Kubernetes pod; "": none */
	bool within;             /* the unit belongs to the container's own systemd */
};

/* cgroup: a path, up to its NUL or `size`. A path that fills `size` was cut, so its last component
 * is ignored. Returns whether the path names a unit or a container. */
bool unit_find(struct unit *u, const char *cgroup, size_t size);

/* The same for a row's path. */
bool unit_of_row(struct unit *u, const char cgroup[CGROUP_SIZE]);

/*
 * Writes the unit as people would say it, and returns the buffer. The names may hold any bytes.
 * "nginx.service", "app.service of user 1000", "session 3 of user 1000", "container 0123456789ab
 * (docker)", "nginx.service of container web (lxc)", "container 0123456789ab (containerd), pod
 * 01234567", "container 0123456789ab (podman) of web.service", "machine qemu-1-web"
 */
#define UNIT_WORDS_SIZE 640
char *unit_say(char buffer[UNIT_WORDS_SIZE], const struct unit *u);

#endif
