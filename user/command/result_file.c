/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file of -o: finds it through symlinks, opens a file beside it, and puts that in its place
 * once the result is complete. If that is impossible the file is written in place. */
#include "result_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define LINKS_MAX 40 /* the same limit as the kernel's, path_resolution(7) */
#define NAMES_TRIED 16

int write_whole(int fd, const char *bytes, size_t size)
{
	while (size) {
		const ssize_t n = write(fd, bytes, size);

		if (n >= 0) {
			bytes += n;
			size -= n;
		} else if (errno == EAGAIN) {
			poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, -1);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

/* ---- a named file beside: used only if the file system has no files without a name, and for a
 * moment while one takes the old file's place ---- */

static struct {
	volatile sig_atomic_t set;
	int folder;
	char name[32];
	pid_t owner; /* a forked worker must not remove the file */
} hidden;

void result_file_forget(void)
{
	if (hidden.set && hidden.owner == getpid())
		unlinkat(hidden.folder, hidden.name, 0);
	hidden.set = 0;
}

static void hidden_choose(int folder)
{
	uint32_t number = 0;

	getrandom(&number, sizeof(number), GRND_NONBLOCK);
	snprintf(hidden.name, sizeof(hidden.name), ".sockfair-%08x", number);
	hidden.folder = folder;
	hidden.owner = getpid();
}

/* Opens the file beside. A file without a name disappears by itself, even after kill -9, but not
 * all file systems have them (open(2), O_TMPFILE). Returns a descriptor or a negative errno. */
static int beside_open(int folder, mode_t mode)
{
	const int flags = O_RDWR | O_APPEND | O_CLOEXEC;
	int fd = openat(folder, ".", O_TMPFILE | flags, mode);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return fd < 0 ? -errno : fd;
	for (int i = 0; i < NAMES_TRIED; i++) {
		hidden_choose(folder);
		fd = openat(folder, hidden.name, O_CREAT | O_EXCL | flags, mode);
		if (fd >= 0)
			hidden.set = 1;
		if (fd >= 0 || errno != EEXIST)
			break;
	}
	return fd < 0 ? -errno : fd;
}

/* ---- where the file is ---- */

/* Splits a path into folder and name. Returns 0 or a negative errno. */
static int path_split(const char *path, char folder[PATH_MAX], char name[NAME_MAX + 1])
{
	const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;

	if (!*path)
		return -ENOENT;
	if (!*last || !strcmp(last, ".") || !strcmp(last, ".."))
		return -EISDIR;
	if (strlen(last) > NAME_MAX || strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	snprintf(name, NAME_MAX + 1, "%s", last);
	snprintf(folder, PATH_MAX, "%.*s", slash > path ? (int)(slash - path) : 1,
		 slash ? path : ".");
	return 0;
}

/* May the link be followed? The rule is the kernel's (proc_sys_fs(5), protected_symlinks): a link
 * that another user put into /tmp is not followed. */
static bool may_follow(int folder, const char *name)
{
	struct stat where, link;

	if (fstat(folder, &where) || fstatat(folder, name, &link, AT_SYMLINK_NOFOLLOW))
		return false;
	return !(where.st_mode & S_ISVTX) || !(where.st_mode & S_IWOTH) ||
	       link.st_uid == geteuid() || link.st_uid == where.st_uid;
}

/* Is the folder in /proc? A link of /proc/PID/fd leads to an open file, which may have no name at
 * all. */
static bool in_proc(int folder)
{
	struct statfs fs;

	return !fstatfs(folder, &fs) && fs.f_type == PROC_SUPER_MAGIC;
}

/* Follows links up to the file's own folder and name. *descriptor: the way ended at a link of
 * /proc/PID/fd. Returns 0 or a negative errno. */
static int locate(struct result_file *f, const char *path, bool *descriptor)
{
	char target[PATH_MAX], folder[PATH_MAX];
	int at = AT_FDCWD;

	snprintf(target, sizeof(target), "%s", strlen(path) < PATH_MAX ? path : "");
	for (int i = 0; i < LINKS_MAX; i++) {
		int err = path_split(target, folder, f->name);
		ssize_t size;

		f->folder = err ? -1 : openat(at, folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
		err = err ? err : f->folder < 0 ? -errno : 0;
		if (at != AT_FDCWD)
			close(at);
		if (err)
			return err;
		size = readlinkat(f->folder, f->name, target, sizeof(target) - 1);
		*descriptor = size >= 0 && in_proc(f->folder);
		if (size < 0 || *descriptor)
			return 0; /* the caller checks whether the file exists */
		if (!may_follow(f->folder, f->name))
			return -EACCES;
		target[size] = '\0';
		at = f->folder;
	}
	return -ELOOP;
}

/* ---- opening ---- */

/* Returns a copy of our own descriptor that /dev/stdout or /dev/fd/N names, which shares its offset
 * and flags. Returns -1 if the file is not one of ours. */
static int own_descriptor(const char *name, const struct stat *st)
{
	const int number = atoi(name), flags = fcntl(number, F_GETFL);
	struct stat ours;

	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || fstat(number, &ours) ||
	    ours.st_dev != st->st_dev || ours.st_ino != st->st_ino)
		return -1;
	return fcntl(number, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

/* Gives the new file the old one's owner, mode and ACL, so that the same users as before can read
 * and write it. Returns 0 or a negative errno. */
static int inherit(int to, int from, const struct stat *old)
{
	static const char acl_name[] = "system.posix_acl_access";
	char acl[4096];
	struct stat st;
	ssize_t size;

	if (fstat(to, &st))
		return -errno;
	if ((st.st_uid != old->st_uid || st.st_gid != old->st_gid) &&
	    fchown(to, old->st_uid, old->st_gid))
		return -errno;
	size = fgetxattr(from, acl_name, acl, sizeof(acl));
	if (size > 0 ? fsetxattr(to, acl_name, acl, size, 0) : size < 0 && errno == ERANGE)
		return -errno;
	if (size <= 0)
		fremovexattr(to, acl_name); /* removes the ACL that the folder gives to new files */
	if (!fstat(to, &st) && (st.st_mode ^ old->st_mode) & 07777 &&
	    fchmod(to, old->st_mode & 07777))
		return -errno;
	return 0;
}

/*
 * Prepares writing in place: the result stays in memory until it is complete. The lock keeps
 * another command from writing at the same time, which would mix both results. Returns 0 or a
 * negative errno.
 */
static int in_place(struct result_file *f, const char *why, int refused)
{
	f->in_place = why;
	f->refused = refused;
	if (flock(f->old, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
		return -EWOULDBLOCK;
	f->fd = memfd_create("result", MFD_CLOEXEC);
	return f->fd < 0 || fcntl(f->fd, F_SETFL, O_APPEND) ? -errno : 0;
}

static bool takes_no_file(int err)
{
	return err == -EACCES || err == -EPERM || err == -EROFS;
}

static int open_over(struct result_file *f)
{
	struct stat st;
	int err;

	/* Opening shows what access() does not: immutable, append-only. */
	f->old = openat(f->folder, f->name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (f->old < 0 || fstat(f->old, &st))
		return -errno;
	f->fd = beside_open(f->folder, S_IRUSR | S_IWUSR);
	if (f->fd < 0)
		return takes_no_file(f->fd) ? in_place(f, "its folder takes no new file", -f->fd)
					    : f->fd;
	err = inherit(f->fd, f->old, &st);
	if (!err)
		return 0;
	close(f->fd);
	result_file_forget();
	return in_place(f, "a new file can't have its owner and mode", -err);
}

static int open_directly(struct result_file *f, bool descriptor, const struct stat *st)
{
	f->regular = f->beside = false;
	f->fd = descriptor ? own_descriptor(f->name, st) : -1;
	if (f->fd >= 0)
		return 0;
	f->fd = openat(f->folder, f->name, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	if (f->fd < 0)
		return -errno;
	if (!S_ISREG(st->st_mode))
		return 0;
	f->regular = f->beside = true;
	f->nameless = !st->st_nlink;
	f->old = f->fd;
	return in_place(f, "it is named by a descriptor", 0);
}

int result_file_open(struct result_file *f, const char *path)
{
	bool descriptor = false;
	struct stat st;
	int err;

	*f = (struct result_file){
		.fd = -1, .folder = -1, .old = -1, .regular = true, .beside = true
	};
	err = locate(f, path, &descriptor);
	if (!err && fstatat(f->folder, f->name, &st, descriptor ? 0 : AT_SYMLINK_NOFOLLOW))
		err = -errno;
	if (err == -ENOENT && f->folder >= 0)
		err = f->fd = beside_open(f->folder, 0666);
	else if (!err && S_ISDIR(st.st_mode))
		err = -EISDIR;
	else if (!err)
		err = descriptor || !S_ISREG(st.st_mode) ? open_directly(f, descriptor, &st)
							 : open_over(f);
	if (err >= 0)
		return 0;
	result_file_close(f);
	return err;
}

/* ---- replacing ---- */

static int link_as(int fd, int folder, const char *name)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(fd, "", folder, name, AT_EMPTY_PATH) &&
			       linkat(AT_FDCWD, path, folder, name, AT_SYMLINK_FOLLOW)
		       ? -errno
		       : 0;
}

/* Gives the file beside the name of the result file. Returns 0 or a negative errno. */
static int rename_over(struct result_file *f)
{
	int err = hidden.set ? -EEXIST : link_as(f->fd, f->folder, f->name);

	if (err != -EEXIST)
		return err;
	for (int i = 0; i < NAMES_TRIED && !hidden.set && err == -EEXIST; i++) {
		hidden_choose(f->folder);
		err = link_as(f->fd, f->folder, hidden.name);
		hidden.set = !err;
	}
	if (!hidden.set)
		return err;
	if (renameat(f->folder, hidden.name, f->folder, f->name))
		return -errno;
	hidden.set = 0;
	return 0;
}

/*
 * Copies in place. Returns 0 or a negative errno; if there is not enough room, nothing is changed.
 */
static int copy_over(int to, int from)
{
	const off_t size = lseek(from, 0, SEEK_END);
	char piece[65536];
	off_t at = 0;
	int err = fallocate(to, FALLOC_FL_KEEP_SIZE, 0, size) ? -errno : 0;

	if (err != -ENOSPC && err != -EDQUOT && err != -EFBIG)
		err = 0;
	while (!err && at < size) {
		const ssize_t n = pread(from, piece, sizeof(piece), at);

		err = n > 0 ? write_whole(to, piece, n) : n < 0 ? -errno : -EIO;
		at += n;
	}
	if (!err && ftruncate(to, size))
		err = -errno;
	return err;
}

static int write_in_place(struct result_file *f)
{
	const int err = copy_over(f->old, f->fd);

	if (err)
		return err;
	close(f->fd);
	result_file_forget();
	f->fd = f->old;
	f->old = -1;
	fcntl(f->fd, F_SETFL, O_APPEND);
	return 0;
}

/* Does the error mean that the old file can't be replaced? A mount point, or another user's file in
 * a sticky folder, shows only now. */
static bool is_kept(int err)
{
	return takes_no_file(err) || err == -EBUSY || err == -EXDEV;
}

int result_file_replace(struct result_file *f)
{
	sigset_t all, before;
	int err = 0;

	if (!f->beside)
		return 0;
	sigfillset(&all);
	if (!f->in_place && fsync(f->fd) && (errno == EIO || errno == ENOSPC || errno == EDQUOT))
		return -errno; /* some file systems report only now that there is no room */
	pthread_sigmask(SIG_BLOCK, &all, &before);
	if (!f->in_place)
		err = rename_over(f);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (f->old >= 0 && is_kept(err)) {
		f->in_place = "it can't be replaced";
		f->refused = -err;
	}
	if (f->in_place)
		err = write_in_place(f);
	f->beside = err;
	return err;
}

int result_file_close(struct result_file *f)
{
	int err = f->fd >= 0 && close(f->fd) && !f->beside ? -errno : 0;

	result_file_forget();
	if (f->old >= 0 && f->old != f->fd)
		close(f->old);
	if (f->folder >= 0)
		close(f->folder);
	f->fd = f->old = f->folder = -1;
	return err;
}
