/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel shows an epoll's entries in fdinfo, all of one moment. Whether two descriptors are of
 * one epoll only kcmp() tells, since all epolls have the same inode.
 */
#include "epoll_look.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/kcmp.h>

#include "../attach/small_file.h"
#include "../collect/process.h"

#define FDINFO_BYTES 16384

int epoll_target_find(const struct holder_row *holder, struct epoll_target *target)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%" PRId32 "/fd/%d", holder->pid, holder->fd);
	if (stat(path, &st))
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ESTALE;
	target->inode = st.st_ino;
	target->device = major(st.st_dev) << 20 | minor(st.st_dev);
	return 0;
}

/* The text of a file of /proc, as a string that the caller frees. Returns 0 or negative errno. */
static int fdinfo_read(const char *path, char **text)
{
	size_t size = FDINFO_BYTES;

	*text = NULL;
	for (;;) {
		char *more = realloc(*text, size);
		ssize_t n = more ? small_file_read(path, more, size) : -ENOMEM;

		*text = more ? more : *text;
		if (n < 0) {
			free(*text);
			*text = NULL;
			return n;
		}
		/* Whole, and at one moment: the kernel writes all of it at the first read. */
		if ((size_t)n < size - 1)
			return 0;
		size *= 2;
	}
}

/* Has the process gone, or this descriptor of it? */
static bool is_gone(int err)
{
	return err == -ENOENT || err == -ESRCH;
}

/* How many entries of the target the epoll has; negative errno. */
static ssize_t entries_read(const struct epoll_name *name, const struct epoll_target *target,
			    struct epoll_entry *first)
{
	char path[64], *text;
	ssize_t found;

	snprintf(path, sizeof(path), "/proc/%" PRId32 "/fdinfo/%d", name->pid, name->epoll);
	found = fdinfo_read(path, &text);
	if (!found)
		found = epoll_entries_find(text, target, first);
	free(text);
	return found;
}

/* 1: one epoll, 0: two, negative errno. */
static int is_one_epoll(const struct epoll_name *a, const struct epoll_name *b)
{
	const long order = syscall(SYS_kcmp, a->pid, b->pid, KCMP_FILE, (unsigned long)a->epoll,
				   (unsigned long)b->epoll);

	return order < 0 ? -errno : order == 0;
}

/* The member of the same epoll: *found, or NULL. Returns 0 or negative errno. */
static int member_same(struct epoll_picture *p, const struct epoll_member *like,
		       struct epoll_member **found)
{
	*found = NULL;
	for (size_t i = 0; i < p->count && !*found; i++) {
		struct epoll_member *m = &p->members[i];
		int same;

		if (m->entries != like->entries || m->entry.fd != like->entry.fd ||
		    m->entry.data != like->entry.data)
			continue;
		same = is_one_epoll(&m->name, &like->name);
		if (same < 0 && !is_gone(same))
			return same;
		*found = same > 0 ? m : NULL;
	}
	return 0;
}

static int epoll_member_add(struct epoll_picture *p, const struct epoll_member *new)
{
	struct epoll_member *m;
	const int err = member_same(p, new, &m);

	if (err)
		return err;
	if (m && m->other_count < EPOLL_OTHERS_MAX)
		m->others[m->other_count++] = new->name;
	else if (!m && p->count < EPOLL_MEMBERS_MAX)
		p->members[p->count++] = *new;
	else if (!m)
		p->omitted++;
	return 0;
}

/* Is that descriptor of the process an epoll? */
static bool is_epoll_fd(int folder, const char *name)
{
	static const char epoll[] = "anon_inode:[eventpoll]";
	char to[sizeof(epoll)];

	return readlinkat(folder, name, to, sizeof(to)) == sizeof(epoll) - 1 &&
	       !memcmp(to, epoll, sizeof(epoll) - 1);
}

int epoll_look_process(const struct holder_row *holder, const struct epoll_target *target,
		       struct epoll_picture *p)
{
	const struct dirent *d;
	char path[64];
	DIR *folder;
	int err = 0;

	snprintf(path, sizeof(path), "/proc/%" PRId32 "/fd", holder->pid);
	folder = opendir(path);
	if (!folder)
		return is_gone(-errno) ? 0 : -errno;
	while (!err && (d = readdir(folder))) {
		struct epoll_member m = {
			.name = { .pid = holder->pid, .start_ns = holder->start_ns },
			.listener = holder->fd,
		};
		ssize_t entries;

		if (!is_epoll_fd(dirfd(folder), d->d_name))
			continue;
		m.name.epoll = atoi(d->d_name);
		entries = entries_read(&m.name, target, &m.entry);
		if (entries > 0) {
			m.entries = entries;
			snprintf(m.process, sizeof(m.process), "%s", holder->process);
			err = epoll_member_add(p, &m);
		} else if (entries < 0 && !is_gone(entries)) {
			err = entries;
		}
	}
	closedir(folder);
	return err;
}

/* Is there an epoll of that name? */
static bool name_lives(const struct epoll_name *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%" PRId32 "/fd/%d", name->pid, name->epoll);
	return process_thread_lives(name->pid, name->pid, name->start_ns) &&
	       is_epoll_fd(AT_FDCWD, path);
}

/* The epoll by one of its names. Returns 1, 0 if it is not there, or negative errno. */
static int name_look(const struct epoll_name *name, const struct epoll_target *target,
		     struct epoll_member *now)
{
	ssize_t entries;

	if (!name_lives(name))
		return 0;
	entries = entries_read(name, target, &now->entry);
	if (entries < 0)
		return is_gone(entries) ? 0 : entries;
	now->entries = entries;
	now->name = *name;
	return 1;
}

int epoll_look_again(const struct epoll_member *m, const struct epoll_target *target,
		     struct epoll_member *now, bool *there)
{
	int found;

	*now = *m;
	found = name_look(&m->name, target, now);
	for (size_t i = 0; i < m->other_count && !found; i++)
		found = name_look(&m->others[i], target, now);
	*there = found > 0;
	return found < 0 ? found : 0;
}

bool epoll_look_lives(struct epoll_member *m)
{
	bool found = name_lives(&m->name);

	for (size_t i = 0; i < m->other_count && !found; i++) {
		const struct epoll_name was = m->name;

		found = name_lives(&m->others[i]);
		if (found) {
			m->name = m->others[i];
			m->others[i] = was;
		}
	}
	return found;
}
