/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which systemd unit or container a process is of, by the path of its cgroup. Pure: the path is all
 * it looks at. */
#ifndef SOCKFAIR_UNIT_H
#define SOCKFAIR_UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cgroup.h"

#define UNIT_NAME_SIZE 256 /* of a part of a cgroup's path: NAME_MAX */
#define UNIT_POD_SIZE 37

struct unit {
	char name[UNIT_NAME_SIZE]; /* as systemctl names it: "nginx.service"; "": none. A scope that
				      is a container's, or a machine's, is none */
	int64_t user; /* whose service manager (systemctl --user) or session it is; -1: the system's
		       */
	char container[UNIT_NAME_SIZE]; /* its whole id, or its name where it has one (lxc,
					   systemd-nspawn, machined); "": none */
	const char *runtime; /* "docker", "podman", "containerd", "cri-o", "lxc", "systemd-nspawn",
				"machined", "ecs"; NULL: not known */
	char pod[UNIT_POD_SIZE]; /* of Kubernetes: its uid; "": none */
	bool within;             /* the unit is one of the container's own systemd */
};

/* cgroup: a path, up to its NUL or `size` (what fills it was cut: its last part is not looked at).
 * Returns whether it names a unit or a container. */
bool unit_find(struct unit *u, const char *cgroup, size_t size);

/* The same of a row's path. */
bool unit_of_row(struct unit *u, const char cgroup[CGROUP_SIZE]);

/*
 * As people say it, into buffer; returns it. The names may hold any bytes.
 * "nginx.service", "app.service of user 1000", "session 3 of user 1000", "container 0123456789ab
 * (docker)", "nginx.service of container web (lxc)", "container 0123456789ab (containerd), pod
 * 01234567", "container 0123456789ab (podman) of web.service", "machine qemu-1-web"
 */
#define UNIT_WORDS_SIZE 640
char *unit_say(char buffer[UNIT_WORDS_SIZE], const struct unit *u);

#endif
