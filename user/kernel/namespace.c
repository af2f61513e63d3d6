/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "namespace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWN "/proc/self/ns/net"

static bool is(const char *path, uint32_t inode)
{
	struct stat st;

	return !stat(path, &st) && st.st_ino == inode;
}

/* Opens it if it is that one. The check is made on what was opened: a process may have come and gone. */
static int open_if(const char *path, uint32_t inode)
{
	struct stat st;
	int fd;

	if (!is(path, inode))
		return -ENOENT;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!fstat(fd, &st) && st.st_ino == inode)
		return fd;
	close(fd);
	return -ENOENT;
}

static int open_in(const char *folder, const char *format, bool numbers, uint32_t inode)
{
	DIR *directory = opendir(folder);
	struct dirent *entry;
	int fd = -ENOENT;
	char path[300];

	while (fd < 0 && directory && (entry = readdir(directory))) {
		if (*entry->d_name == '.' || (numbers && (*entry->d_name < '0' || *entry->d_name > '9')))
			continue;
		snprintf(path, sizeof(path), format, entry->d_name);
		fd = open_if(path, inode);
	}
	if (directory)
		closedir(directory);
	return fd;
}

uint32_t namespace_own(void)
{
	struct stat st;

	return stat(OWN, &st) ? 0 : st.st_ino;
}

int namespace_open(uint32_t inode)
{
	int fd = open_if(OWN, inode);

	if (fd < 0)
		fd = open_in("/proc", "/proc/%s/ns/net", true, inode);
	if (fd < 0)
		fd = open_in("/run/netns", "/run/netns/%s", false, inode);
	return fd;
}

int namespace_enter(uint32_t inode, int *home)
{
	int fd = namespace_open(inode), err = 0;

	if (fd < 0)
		return fd;
	*home = open(OWN, O_RDONLY | O_CLOEXEC);
	if (*home < 0)
		err = -errno;
	/* Its own: no right is needed to stay. */
	else if (!is(OWN, inode) && setns(fd, CLONE_NEWNET)) {
		err = -errno;
		close(*home);
	}
	close(fd);
	return err;
}

int namespace_leave(int home)
{
	struct stat st;
	int err = 0;

	if ((fstat(home, &st) || !is(OWN, st.st_ino)) && setns(home, CLONE_NEWNET))
		err = -errno;
	close(home);
	return err;
}
