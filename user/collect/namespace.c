/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds and enters network namespaces. A namespace has no name of its own: it is found by the
 * inode that processes, and ip netns, show for theirs. Work inside a namespace is done between
 * go() and leave(), and leave() follows whatever the result.
 */
#include "namespace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../model/netns_name.h"

#define OWN "/proc/thread-self/ns/net"

/*
 * Finds the inode of what a path to a namespace leads to. Returns 0 or negative errno; -ENOENT if
 * the process is gone, or is a zombie; *inode is 0 then.
 */
static int link_inode(const char *path, uint32_t *inode)
{
	struct stat st;

	*inode = 0;
	if (stat(path, &st))
		return errno == ESRCH ? -ENOENT : -errno;
	*inode = st.st_ino;
	return 0;
}

int namespace_of(const char *path, uint32_t *inode)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err = 0;
	struct statfs fs;
	struct stat st;

	if (fd < 0)
		return errno == ESRCH ? -ENOENT : -errno;
	if (fstat(fd, &st) || fstatfs(fd, &fs))
		err = -errno;
	else if (fs.f_type != NSFS_MAGIC || ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		err = -EINVAL;
	else
		*inode = st.st_ino;
	close(fd);
	return err;
}

/*
 * Opens the path if it leads to that namespace. The check is made on the opened file, because
 * another process may have taken the path meanwhile.
 */
static int open_if(const char *path, uint32_t inode)
{
	struct statfs fs;
	struct stat st;
	uint32_t its;
	int err = link_inode(path, &its), fd;

	if (err || its != inode)
		return err ? err : -ENOENT;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ESRCH ? -ENOENT : -errno;
	if (fstat(fd, &st) || fstatfs(fd, &fs))
		err = -errno;
	else if (st.st_ino == inode && fs.f_type == NSFS_MAGIC)
		return fd;
	else /* ip netns leaves an empty file behind if it is killed half-way */
		err = -ENOENT;
	close(fd);
	return err;
}

/*
 * Called with the path of a namespace. Returns -ENOENT to go on to the next path, any other value
 * to end.
 */
typedef int path_take(void *to, const char *path);

/*
 * Passes on the paths of a folder. Returns the value that ended the walk, or -ENOENT, or negative
 * errno if the folder can't be read.
 */
static int folder_each(const char *folder, const char *format, bool numbers, path_take *take,
		       void *to)
{
	DIR *directory = opendir(folder);
	struct dirent *entry;
	int err = -ENOENT;
	char path[300];

	if (!directory)
		return -errno;
	while (err == -ENOENT && (errno = 0, entry = readdir(directory))) {
		if (*entry->d_name == '.' ||
		    (numbers && (*entry->d_name < '0' || *entry->d_name > '9')))
			continue;
		snprintf(path, sizeof(path), format, entry->d_name);
		err = take(to, path);
		errno = 0;
	}
	if (err == -ENOENT && errno)
		err = -errno;
	closedir(directory);
	return err;
}

/*
 * Passes on all paths that may lead to a namespace. The thread's own comes first, because it is
 * most often the right one. Returns the same as folder_each().
 */
static int paths_each(path_take *take, void *to)
{
	int err = take(to, OWN);

	if (err == -ENOENT)
		err = folder_each("/proc", "/proc/%s/ns/net", true, take, to);
	if (err == -ENOENT)
		err = folder_each("/run/netns", "/run/netns/%s", false, take, to);
	return err;
}

uint32_t namespace_own(void)
{
	uint32_t inode;

	link_inode(OWN, &inode);
	return inode;
}

struct opening {
	uint32_t inode;
	int failed; /* error of the first path that could not be looked at */
};

static int opening_take(void *to, const char *path)
{
	struct opening *o = to;
	int fd = open_if(path, o->inode);

	if (fd < 0 && fd != -ENOENT && !o->failed)
		o->failed = fd;
	return fd < 0 ? -ENOENT : fd;
}

int namespace_open(uint32_t inode)
{
	struct opening o = { .inode = inode };
	int fd = paths_each(opening_take, &o);

	return fd == -ENOENT && o.failed ? o.failed : fd;
}

/*
 * Enters the namespace of the descriptor, whose inode is known. Nothing is done if the thread is
 * there already: staying needs no right.
 */
static int go(int fd, uint32_t inode)
{
	if (namespace_own() == inode)
		return 0;
	if (setns(fd, CLONE_NEWNET))
		return -errno;
	return namespace_own() == inode ? 0 : -EXDEV;
}

/* Goes back to the home namespace. Returns 0 or negative errno. */
static int leave(int home)
{
	struct stat st;
	int err = fstat(home, &st) ? -errno : go(home, st.st_ino);

	close(home);
	return err;
}

int namespace_within(uint32_t inode, namespace_visit *visit, void *to, int *failed)
{
	int fd = namespace_open(inode), home;

	*failed = fd;
	if (fd < 0)
		return 0;
	home = open(OWN, O_RDONLY | O_CLOEXEC);
	*failed = home < 0 ? -errno : go(fd, inode);
	close(fd);
	if (home < 0)
		return 0;
	if (!*failed)
		*failed = visit(to, inode);
	return leave(home);
}

/* ---- all namespaces ---- */

bool namespaces_has(const struct namespaces *n, uint32_t inode)
{
	const uint32_t *inodes = n->inodes.rows;

	for (size_t i = 0; i < n->inodes.count; i++)
		if (inodes[i] == inode)
			return true;
	return false;
}

void namespaces_free(struct namespaces *n)
{
	free(n->inodes.rows);
	*n = (struct namespaces){};
}

static int remember(struct namespaces *n, uint32_t inode)
{
	return array_add(&n->inodes, &inode, sizeof(inode)) ? 0 : -ENOMEM;
}

struct visiting {
	struct namespaces *done, tried;
	namespace_visit *visit;
	void *to;
};

/*
 * Visits the namespace of that path, unless it was visited before. Returns 0 or negative errno;
 * -ENOENT: the namespace is gone.
 */
static int visit_path(struct visiting *v, const char *path)
{
	uint32_t inode;
	int err = link_inode(path, &inode), fd;

	if (err || namespaces_has(&v->tried, inode))
		return err;
	fd = open_if(path, inode);
	if (fd < 0)
		return fd;
	err = remember(&v->tried, inode);
	if (!err)
		err = go(fd, inode);
	close(fd);
	if (!err)
		err = v->visit(v->to, inode);
	return err ? err : remember(v->done, inode);
}

static int visiting_take(void *to, const char *path)
{
	struct visiting *v = to;
	const size_t tried = v->tried.inodes.count;
	int err = visit_path(v, path);

	/* A namespace that could be opened does exist, whatever the visit returns. */
	if (err && (err != -ENOENT || v->tried.inodes.count > tried) && !v->done->failed)
		v->done->failed = err;
	return -ENOENT;
}

void namespaces_visit(struct namespaces *n, namespace_visit *visit, void *to)
{
	struct visiting v = { .done = n, .visit = visit, .to = to };
	int home = open(OWN, O_RDONLY | O_CLOEXEC), err;

	if (home < 0) {
		n->failed = -errno;
		return;
	}
	err = paths_each(visiting_take, &v);
	if (err != -ENOENT && !n->failed)
		n->failed = err;
	n->astray = leave(home);
	namespaces_free(&v.tried);
}

/* ---- names ---- */

/*
 * The device is compared too: while ip netns makes a name and nothing is mounted there yet, the
 * path is a plain file with any inode.
 */
static int name_take(void *to, const char *path)
{
	const dev_t *nsfs = to;
	struct stat st;

	if (!stat(path, &st) && st.st_dev == *nsfs)
		netns_name_add(st.st_ino, strrchr(path, '/') + 1);
	return -ENOENT;
}

void namespaces_name(void)
{
	struct stat own;

	netns_names_forget();
	if (!stat(OWN, &own))
		folder_each("/run/netns", "/run/netns/%s", false, name_take, &own.st_dev);
}
