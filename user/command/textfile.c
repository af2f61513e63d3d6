/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "textfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "result_file.h"

/* Returns a descriptor or a negative errno. */
static int hidden_open(const struct textfile *f)
{
	const int fd = openat(f->folder, f->hidden,
			      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

	return fd < 0 ? -errno : fd;
}

/* rename() would replace devices and links, too. */
static int name_check(const struct textfile *f)
{
	struct stat st;

	if (fstatat(f->folder, f->name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -errno;
	return S_ISREG(st.st_mode) ? 0 : -EEXIST;
}

int textfile_open(struct textfile *f, const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char folder[PATH_MAX];
	int fd, err;

	*f = (struct textfile){ .folder = -1 };
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EISDIR;
	if (strlen(name) + sizeof(".sockfair") > NAME_MAX || strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	snprintf(f->name, sizeof(f->name), "%s", name);
	snprintf(f->hidden, sizeof(f->hidden), ".%s.sockfair", name);
	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(name - path) : 1,
		 slash ? path : ".");
	f->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	err = f->folder < 0 ? -errno : name_check(f);
	if (!err && unlinkat(f->folder, f->hidden, 0) && errno != ENOENT)
		err = -errno;
	fd = err ? err : hidden_open(f);
	if (fd >= 0) {
		close(fd);
		unlinkat(f->folder, f->hidden, 0);
		return 0;
	}
	if (f->folder >= 0)
		close(f->folder);
	f->folder = -1;
	return fd;
}

int textfile_write(struct textfile *f, const char *text, size_t length)
{
	const int fd = hidden_open(f);
	int err;

	if (fd < 0)
		return fd;
	/* For the collector's user, whatever the umask; a file system without modes has its own. */
	fchmod(fd, 0644);
	err = write_whole(fd, text, length);
	if (close(fd) && !err)
		err = -errno;
	if (!err && renameat(f->folder, f->hidden, f->folder, f->name))
		err = -errno;
	if (err)
		unlinkat(f->folder, f->hidden, 0);
	else
		f->written = true;
	return err;
}

void textfile_close(struct textfile *f)
{
	if (f->folder < 0)
		return;
	if (f->written)
		unlinkat(f->folder, f->name, 0);
	close(f->folder);
	f->folder = -1;
}
