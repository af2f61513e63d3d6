/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads files of /proc/PID: stat for the state and start of a thread, cgroup for its cgroups, comm
 * for its name. A process may end between two reads, so each function says what it returns then.
 */
#include "process.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../attach/small_file.h"

/*
 * Reads a thread's stat file into `line`. Returns 0 or negative errno; -ENOENT: the thread is
 * gone. *at points to the state, which is field 3, after the last ')' of the comm.
 */
static int read_stat(int pid, int tid, char *line, size_t size, char **at)
{
	char path[64];
	ssize_t read;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	read = small_file_read(path, line, size);
	if (read < 0)
		return read == -ESRCH ? -ENOENT : (int)read;
	*at = strrchr(line, ')');
	if (!*at)
		return -EIO;
	*at += 2;
	return 0;
}

/*
 * Reads the start of a thread in clock ticks since boot, field 22 of its stat file. Returns 0 or
 * negative errno; -ENOENT: the thread is gone, or is a zombie.
 */
static int start_ticks(int pid, int tid, unsigned long long *ticks)
{
	char line[1024], *at;
	int err = read_stat(pid, tid, line, sizeof(line), &at);

	if (err)
		return err;
	if (*at == 'Z' || *at == 'X')
		return -ENOENT;
	for (int field = 3; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at && sscanf(at, "%llu", ticks) == 1 ? 0 : -EIO;
}

void process_name(int pid, char *name, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	small_file_read(path, name, size);
	name[strcspn(name, "\n")] = 0;
}

/* ---- cgroups ---- */

/* Version 1 has 14 controllers, with a line for each. */
#define CGROUP_FILE ((size_t)16 * PROCESS_CGROUP_SIZE)

static char *cgroup_file(int pid, char text[CGROUP_FILE])
{
	char name[64];

	snprintf(name, sizeof(name), "/proc/%d/cgroup", pid);
	small_file_read(name, text, CGROUP_FILE);
	return text;
}

/*
 * Lines are "0::PATH" (version 2) and "N:controllers:PATH". Returns the controllers of the next
 * line and its *path; NULL: there are no more lines.
 */
static const char *cgroup_line(char **rest, const char **path)
{
	char *line;

	while ((line = strsep(rest, "\n"))) {
		char *names = strchr(line, ':'), *at = names ? strchr(names + 1, ':') : NULL;

		if (!at)
			continue;
		*at = 0;
		*path = at + 1;
		return names + 1;
	}
	return NULL;
}

/*
 * On a system with both versions, the paths of the controllers can tell more than a "/" of version
 * 2.
 */
void process_cgroup(int pid, char path[PROCESS_CGROUP_SIZE])
{
	char text[CGROUP_FILE], *rest = cgroup_file(pid, text);
	const char *names, *at;

	*path = 0;
	while ((names = cgroup_line(&rest, &at)))
		if (*names ? strlen(at) > strlen(path) : at[1] || !*path)
			snprintf(path, PROCESS_CGROUP_SIZE, "%s", at);
}

/* Is the controller in the list `names`, which is separated by commas? */
static bool is_among(const char *names, const char *controller)
{
	const size_t length = strlen(controller);

	for (const char *at = names; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (!strncmp(at, controller, length) && (at[length] == ',' || !at[length]))
			return true;
	}
	return false;
}

bool process_cgroup_in(int pid, const char *controller, char path[PROCESS_CGROUP_SIZE])
{
	char text[CGROUP_FILE], *rest = cgroup_file(pid, text);
	const char *names, *at;

	while ((names = cgroup_line(&rest, &at)))
		if (is_among(names, controller)) {
			snprintf(path, PROCESS_CGROUP_SIZE, "%s", at);
			return true;
		}
	return false;
}

void process_cgroup_row(int pid, char cgroup[CGROUP_SIZE])
{
	char path[PROCESS_CGROUP_SIZE];

	process_cgroup(pid, path);
	cgroup_set(cgroup, path);
}

uint64_t process_cgroup_id(const char *path)
{
	static const char *const roots[] = { "/sys/fs/cgroup/unified", "/sys/fs/cgroup" };
	char name[PROCESS_CGROUP_SIZE + 32];
	struct stat st;

	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]) && *path; i++) {
		snprintf(name, sizeof(name), "%s%s", roots[i], path);
		if (!stat(name, &st))
			return st.st_ino;
	}
	return 0;
}

bool process_thread_lives(int pid, int tid, uint64_t start_ns)
{
	const unsigned long long ns_per_tick = 1000000000ull / sysconf(_SC_CLK_TCK);
	unsigned long long ticks;
	int err = start_ticks(pid, tid, &ticks);

	/*
	 * If a right or a descriptor is missing, nothing is known, and the thread counts as alive.
	 */
	return err ? err != -ENOENT : !start_ns || ticks == start_ns / ns_per_tick;
}

bool process_thread_gone(int pid, int tid)
{
	return syscall(SYS_tgkill, pid, tid, 0) && errno == ESRCH;
}

char process_thread_state(int pid, int tid, char *doing, size_t size)
{
	char line[1024], *at;
	const char state = read_stat(pid, tid, line, sizeof(line), &at) ? 0 : *at;

	snprintf(line, sizeof(line), "/proc/%d/task/%d/wchan", pid, tid);
	small_file_read(line, doing, size);
	if (!strcmp(doing, "0")) /* the thread is running */
		*doing = 0;
	return state;
}

void process_describe_holder(struct holder_row *row)
{
	row->state = process_thread_state(row->pid, row->pid, row->doing, sizeof(row->doing));
}

/* Looked at in one snapshot: this takes 10 us each. Beyond that, nothing is known. */
#define STATES_MAX 1024

void process_tell_states(struct snapshot *s)
{
	const struct worker_row *last = NULL;
	unsigned looked = 0;
	char line[1024], *at;

	for (size_t i = 0; i < s->endpoint_count; i++) {
		for (size_t k = 0; k < s->endpoints[i].worker_count; k++) {
			struct worker_row *w = &s->endpoints[i].workers[k];

			if (w->ended || w->pid <= 0)
				continue;
			if (last && last->pid == w->pid)
				w->state = last->state;
			else if (looked++ < STATES_MAX &&
				 !read_stat(w->pid, w->pid, line, sizeof(line), &at))
				w->state = *at;
			last = w;
		}
	}
}

void process_describe_thread(struct worker_row *row)
{
	const unsigned long long ns_per_tick = 1000000000ull / sysconf(_SC_CLK_TCK);
	unsigned long long ticks;

	if (!row->start_ns && !start_ticks(row->pid, row->tid, &ticks))
		row->start_ns = ticks * ns_per_tick;
	/* Another thread may have the tid by now. */
	row->ended = !process_thread_lives(row->pid, row->tid, row->start_ns);
	if (!row->ended)
		process_cgroup_row(row->pid, row->cgroup);
}
