/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looks for tracefs in the places where it is usually mounted, and mounts it for this process
 * alone if it is in none of them.
 */
#include "tracefs.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rights.h"

static const char *const places[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing" };

/* stat() is used because access() checks the real user's rights and ignores capabilities. */
static int place_look(const char *place)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "%s/events", place);
	return stat(path, &st) ? -errno : 0;
}

const char *tracefs_place(void)
{
	return places[place_look(places[0]) && !place_look(places[1])];
}

int tracefs_ensure(void)
{
	int err = place_look(places[0]), other = err ? place_look(places[1]) : 0;

	if (!err || !other)
		return 0;
	if (err == -EACCES)
		return err;
	/*
	 * A slave mount still gets what is mounted elsewhere later, such as the namespaces that ip
	 * netns names.
	 */
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL) ||
	    mount("tracefs", places[0], "tracefs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		return other == -EACCES
			       ? other
			       : -errno; /* debugfs, which is closed in the same way, may have it */
	return place_look(places[0]);
}

const char *tracefs_lacks(int err, char *text, size_t size)
{
	const bool closed = geteuid() && !right_held(CAP_DAC_READ_SEARCH);

	if (err == -EACCES && closed)
		snprintf(text, size,
			 "tracefs is closed to users other than root, and CAP_DAC_READ_SEARCH is "
			 "missing");
	else if (err == -EACCES)
		snprintf(text, size, "tracefs can't be read: %s", strerror(-err));
	else if (right_held(CAP_SYS_ADMIN))
		snprintf(text, size, "tracefs can't be mounted: %s", strerror(-err));
	else
		snprintf(text, size, "tracefs is not mounted, and CAP_SYS_ADMIN %s missing",
			 closed ? "and CAP_DAC_READ_SEARCH are" : "is");
	return text;
}
