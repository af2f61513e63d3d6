/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A link of a network namespace tells its inode and its program. Who holds the link shows in the
 * descriptors of processes alone (/proc/PID/fdinfo), so it is looked for once for each link that is
 * found: machines without such a program pay for a walk over the links only.
 */
#include "lookups.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "clock.h"
#include "process.h"

#define LINKS_MAX 65536 /* the kernel's numbers go on; a walk ends */

/* The link that was asked about last: it seldom changes between two intervals. */
static struct {
	uint32_t link;
	int32_t pid;
} known;

/* Does the descriptor of the process hold the link? */
static bool descriptor_holds(const char *pid, const char *fd, uint32_t link)
{
	char path[300], text[512];
	const char *line;
	ssize_t size;
	int file;

	snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, fd);
	size = readlink(path, text, sizeof(text) - 1);
	if (size < 0)
		return false;
	text[size] = 0;
	if (!strstr(text, "bpf_link") && !strstr(text, "bpf-link"))
		return false;
	snprintf(path, sizeof(path), "/proc/%s/fdinfo/%s", pid, fd);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return false;
	size = read(file, text, sizeof(text) - 1);
	close(file);
	text[size > 0 ? size : 0] = 0;
	line = strstr(text, "link_id:");
	return line && strtoul(line + strlen("link_id:"), NULL, 10) == link;
}

static bool process_holds(const char *pid, uint32_t link)
{
	char path[300];
	const struct dirent *entry;
	bool holds = false;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	folder = opendir(path);
	while (folder && !holds && (entry = readdir(folder)))
		holds = isdigit(*entry->d_name) && descriptor_holds(pid, entry->d_name, link);
	if (folder)
		closedir(folder);
	return holds;
}

/* A process that holds the link; 0: none does. */
static int32_t link_holder(uint32_t link)
{
	char pid[16];
	const struct dirent *entry;
	DIR *proc;

	snprintf(pid, sizeof(pid), "%d", known.pid);
	if (known.link == link && known.pid && process_holds(pid, link))
		return known.pid;
	known.link = link;
	known.pid = 0;
	proc = opendir("/proc");
	while (proc && !known.pid && (entry = readdir(proc)))
		if (isdigit(*entry->d_name) && process_holds(entry->d_name, link))
			known.pid = (int32_t)strtol(entry->d_name, NULL, 10);
	if (proc)
		closedir(proc);
	return known.pid;
}

/* The program's name, and when it was loaded. */
static void program_describe(struct lookup_program *p)
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);
	const int fd = bpf_prog_get_fd_by_id(p->id);

	if (fd < 0)
		return;
	if (!bpf_obj_get_info_by_fd(fd, &info, &size)) {
		snprintf(p->name, sizeof(p->name), "%s", info.name);
		p->since_ms = (int64_t)(clock_ns(CLOCK_REALTIME) -
					(clock_ns(CLOCK_BOOTTIME) - info.load_time)) /
			      1000000;
	}
	close(fd);
}

static void namespace_fill(struct snapshot *s, uint32_t netns, uint32_t link, uint32_t program)
{
	struct lookup_program found = { .id = program };
	bool described = false;

	for (size_t i = 0; i < s->endpoint_count + s->aside_count; i++) {
		struct endpoint *e = &s->endpoints[i];

		if (e->netns != netns)
			continue;
		if (e->lookup.id) {
			e->lookup.others++;
			continue;
		}
		if (!described) {
			program_describe(&found);
			found.pid = link_holder(link);
			if (found.pid)
				process_name(found.pid, found.process, sizeof(found.process));
			described = true;
		}
		e->lookup = found;
	}
}

void lookups_fill(struct snapshot *s)
{
	uint32_t id = 0;

	for (size_t i = 0; i < s->endpoint_count + s->aside_count; i++)
		s->endpoints[i].lookup = (struct lookup_program){};
	for (size_t i = 0; i < LINKS_MAX && !bpf_link_get_next_id(id, &id); i++) {
		struct bpf_link_info info = {};
		__u32 size = sizeof(info);
		const int fd = bpf_link_get_fd_by_id(id);

		if (fd < 0)
			continue; /* it ended meanwhile, or we have no right */
		if (!bpf_obj_get_info_by_fd(fd, &info, &size) && info.type == BPF_LINK_TYPE_NETNS &&
		    info.netns.attach_type == BPF_SK_LOOKUP && info.netns.netns_ino)
			namespace_fill(s, info.netns.netns_ino, id, info.prog_id);
		close(fd);
	}
}
