/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bpf_holder.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the descriptor's link says, in either spelling, and the line of its fdinfo. */
static const struct {
	const char *names[2], *line;
} kinds[BPF_HELD_KINDS] = {
	[BPF_HELD_LINK] = { { "bpf_link", "bpf-link" }, "link_id:" },
	[BPF_HELD_PROGRAM] = { { "bpf-prog", "bpf_prog" }, "prog_id:" },
};

/* What was found last. */
static struct {
	uint32_t id;
	int32_t pid;
} known[BPF_HELD_KINDS];

static bool descriptor_holds(const char *pid, const char *fd, enum bpf_held kind, uint32_t id)
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
	if (!strstr(text, kinds[kind].names[0]) && !strstr(text, kinds[kind].names[1]))
		return false;
	snprintf(path, sizeof(path), "/proc/%s/fdinfo/%s", pid, fd);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return false;
	size = read(file, text, sizeof(text) - 1);
	close(file);
	text[size > 0 ? size : 0] = 0;
	line = strstr(text, kinds[kind].line);
	return line && strtoul(line + strlen(kinds[kind].line), NULL, 10) == id;
}

static bool process_holds(const char *pid, enum bpf_held kind, uint32_t id)
{
	char path[300];
	const struct dirent *entry;
	bool holds = false;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	folder = opendir(path);
	while (folder && !holds && (entry = readdir(folder)))
		holds = isdigit(*entry->d_name) && descriptor_holds(pid, entry->d_name, kind, id);
	if (folder)
		closedir(folder);
	return holds;
}

int32_t bpf_holder(enum bpf_held kind, uint32_t id)
{
	char pid[16];
	const struct dirent *entry;
	DIR *proc;

	snprintf(pid, sizeof(pid), "%d", known[kind].pid);
	if (known[kind].id == id && known[kind].pid && process_holds(pid, kind, id))
		return known[kind].pid;
	known[kind].id = id;
	known[kind].pid = 0;
	proc = opendir("/proc");
	while (proc && !known[kind].pid && (entry = readdir(proc)))
		/* Who walks over all that there are has each for a moment: so it is asked twice. */
		if (isdigit(*entry->d_name) && process_holds(entry->d_name, kind, id) &&
		    process_holds(entry->d_name, kind, id))
			known[kind].pid = (int32_t)strtol(entry->d_name, NULL, 10);
	if (proc)
		closedir(proc);
	return known[kind].pid;
}
