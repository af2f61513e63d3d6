/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looks at the processes that were asked for: their cgroups' quotas, their threads' states and
 * places in the kernel, and whether they have descriptors left. Each look is compared with the
 * first one of the process, so a process keeps its row from look to look.
 */
#include "hindrances.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../attach/small_file.h"
#include "process.h"

/*
 * Threads of a process that are looked at, and PLACES_MAX places: most of the threads are enough.
 */
#define THREADS_MAX 512
#define PLACES_MAX 16

/* ---- which processes are looked at ---- */

void hindrances_begin(struct hindrances *h)
{
	h->look++;
}

struct hindered *hindrances_find(struct hindrances *h, int32_t pid)
{
	for (size_t i = 0; i < h->count; i++)
		if (h->rows[i].pid == pid && h->rows[i].look == h->look)
			return &h->rows[i];
	return NULL;
}

struct hindered *hindrances_ask(struct hindrances *h, int32_t pid, uint64_t start_ns)
{
	struct hindered *row = NULL, *unused = NULL;

	for (size_t i = 0; i < h->count; i++) {
		if (h->rows[i].pid == pid && h->rows[i].start_ns == start_ns)
			row = &h->rows[i];
		else if (h->rows[i].look + 1 < h->look)
			unused = &h->rows[i];
	}
	if (!row && !unused && h->count == HINDRANCES_MAX)
		return NULL;
	if (!row || row->look + 1 < h->look) {
		row = row ? row : unused ? unused : &h->rows[h->count++];
		*row = (struct hindered){ .pid = pid, .start_ns = start_ns };
	}
	if (row->look != h->look) {
		row->cpu_ns = 0;
		row->threads = row->full = 0;
		row->files_free = false;
	}
	row->look = h->look;
	return row;
}

/* ---- files of lines "key value" ---- */

/*
 * Reads the numbers behind up to two keys. Returns whether the file exists; a number whose key is
 * missing is left unchanged.
 */
static bool read_keys(const char *path, const char *a, uint64_t *first, const char *b,
		      uint64_t *second)
{
	char key[64];
	uint64_t value;
	FILE *f = fopen(path, "re");

	if (!f)
		return false;
	while (fscanf(f, "%63s %" SCNu64, key, &value) == 2) {
		if (!strcmp(key, a))
			*first = value;
		else if (b && !strcmp(key, b))
			*second = value;
	}
	fclose(f);
	return true;
}

/* ---- cgroups ---- */

/* The places where systemd or a container runtime mounts the hierarchies. */
static const struct {
	const char *controller, *root;
} places[] = {
	{ "", "/sys/fs/cgroup/unified" },
	{ "", "/sys/fs/cgroup" },
	{ "cpu", "/sys/fs/cgroup/cpu" },
	{ "freezer", "/sys/fs/cgroup/freezer" },
};

static bool says_frozen(const char *root, const char *path)
{
	char file[PROCESS_CGROUP_SIZE + 64], state[16];
	uint64_t frozen = 0;

	snprintf(file, sizeof(file), "%s%s/cgroup.events", root, path);
	if (read_keys(file, "frozen", &frozen, NULL, NULL))
		return frozen;
	snprintf(file, sizeof(file), "%s%s/freezer.state", root, path);
	small_file_read(file, state, sizeof(state));
	return !strncmp(state, "FROZEN", 6);
}

static bool cgroup_is_frozen(int32_t pid)
{
	char path[PROCESS_CGROUP_SIZE];

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (strcmp(places[i].controller, "cpu") &&
		    process_cgroup_in(pid, places[i].controller, path) &&
		    says_frozen(places[i].root, path))
			return true;
	return false;
}

/*
 * Finds the cgroup whose quota was used up most often since the first look, among the cgroups that
 * the process is in, from its own upwards.
 */
static void quota_read(struct hindered *row, const char *root, char *path)
{
	char file[PROCESS_CGROUP_SIZE + 64];

	for (size_t level = 0; level < HINDRANCES_LEVELS; level++) {
		uint64_t periods = 0, throttled = 0;
		char *last = strrchr(path, '/');

		snprintf(file, sizeof(file), "%s%s/cpu.stat", root, path);
		if (read_keys(file, "nr_periods", &periods, "nr_throttled", &throttled)) {
			if (row->row.looks == 1) {
				row->first[level].periods = periods;
				row->first[level].throttled = throttled;
			} else if (throttled - row->first[level].throttled > row->row.throttled) {
				row->row.periods = periods - row->first[level].periods;
				row->row.throttled = throttled - row->first[level].throttled;
			}
		}
		if (!last || !path[1])
			return;
		last[last == path] = 0;
	}
}

static void cgroups_read(struct hindered *row)
{
	char path[PROCESS_CGROUP_SIZE];

	row->row.frozen = cgroup_is_frozen(row->pid);
	row->row.periods = row->row.throttled = 0;
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (strcmp(places[i].controller, "freezer") &&
		    process_cgroup_in(row->pid, places[i].controller, path))
			quota_read(row, places[i].root, path);
}

/* ---- threads ---- */

struct place {
	char name[sizeof(((struct hindrance *)NULL)->place)];
	unsigned threads;
};

static void place_add(struct place *all, const char *name)
{
	size_t i = 0;

	while (i < PLACES_MAX && all[i].threads && strcmp(all[i].name, name))
		i++;
	if (i == PLACES_MAX || !*name)
		return;
	snprintf(all[i].name, sizeof(all[i].name), "%s", name);
	all[i].threads++;
}

static void thread_read(struct hindrance *row, struct place *all, int32_t pid, int32_t tid)
{
	char doing[sizeof(row->place)];
	const char state = process_thread_state(pid, tid, doing, sizeof(doing));

	if (!state || state == 'Z' || state == 'X') {
		row->leader_gone |= state && tid == pid;
		return;
	}
	row->threads++;
	row->running += state == 'R';
	row->stopped += state == 'T';
	row->traced += state == 't';
	row->uninterruptible += state == 'D';
	if (state == 'S' || state == 'D')
		place_add(all, doing);
}

static void threads_begin(struct hindrance *row)
{
	row->threads = row->running = row->stopped = row->traced = row->uninterruptible =
		row->at_place = 0;
	*row->place = 0;
}

static void threads_end(struct hindrance *row, const struct place *all)
{
	for (size_t i = 0; i < PLACES_MAX && all[i].threads; i++)
		if (all[i].threads > row->at_place) {
			row->at_place = all[i].threads;
			memcpy(row->place, all[i].name, sizeof(row->place));
		}
}

static void threads_read(struct hindrance *row, int32_t pid)
{
	struct place all[PLACES_MAX] = {};
	const struct dirent *entry;
	char path[64];
	DIR *tasks;

	threads_begin(row);
	row->leader_gone = false;
	snprintf(path, sizeof(path), "/proc/%" PRId32 "/task", pid);
	tasks = opendir(path);
	for (int i = 0; tasks && i < THREADS_MAX && (entry = readdir(tasks)); i++)
		if (isdigit((unsigned char)*entry->d_name))
			thread_read(row, all, pid, atoi(entry->d_name));
	if (tasks)
		closedir(tasks);
	threads_end(row, all);
}

void hindrances_narrow(struct hindrance *row, int32_t pid, const int32_t *tids, size_t count)
{
	struct hindrance narrow = *row;
	struct place all[PLACES_MAX] = {};

	threads_begin(&narrow);
	for (size_t i = 0; i < count && i < THREADS_MAX; i++)
		thread_read(&narrow, all, pid, tids[i]);
	threads_end(&narrow, all);
	if (!narrow.threads) /* the threads have just ended */
		return;
	narrow.takers = true;
	narrow.others = row->threads > narrow.threads ? row->threads - narrow.threads : 0;
	*row = narrow;
}

static int32_t tracer_of(int32_t pid)
{
	char path[64], text[1024]; /* the line is among the first few */
	int32_t tracer = 0;
	const char *line;

	snprintf(path, sizeof(path), "/proc/%" PRId32 "/status", pid);
	small_file_read(path, text, sizeof(text));
	line = strstr(text, "\nTracerPid:");
	return line && sscanf(line, "\nTracerPid: %" SCNd32, &tracer) == 1 ? tracer : 0;
}

/* ---- a look ---- */

/* The limit of open files of the machine, if it is reached; 0: it is not. */
static uint64_t files_at_most(void)
{
	uint64_t open, most;
	char text[128];

	small_file_read("/proc/sys/fs/file-nr", text, sizeof(text));
	return sscanf(text, "%" SCNu64 " %*u %" SCNu64, &open, &most) == 2 && open >= most ? most
											   : 0;
}

static void process_read(struct hindered *p, uint64_t now_ns, uint64_t files)
{
	struct hindrance *row = &p->row;

	if (!row->looks++) {
		p->first_ns = now_ns;
		p->first_cpu_ns = p->cpu_ns;
	}
	/* Nothing is known of threads that ended meanwhile. */
	row->cpu_known = row->looks > 1 && now_ns > p->first_ns && p->cpu_ns >= p->first_cpu_ns;
	row->cpu = row->cpu_known
			   ? (double)(p->cpu_ns - p->first_cpu_ns) / (double)(now_ns - p->first_ns)
			   : 0;
	row->descriptor_looks += p->threads > 0;
	row->descriptors_full += p->threads && p->full == p->threads;
	row->descriptors = p->descriptors;
	row->files_full += files && p->threads && !p->files_free;
	row->files = files;
	threads_read(row, p->pid);
	row->tracer = row->traced ? tracer_of(p->pid) : 0;
	cgroups_read(p);
}

void hindrances_look(struct hindrances *h, uint64_t now_ns)
{
	const uint64_t files = files_at_most();

	for (size_t i = 0; i < h->count; i++)
		if (h->rows[i].look == h->look)
			process_read(&h->rows[i], now_ns, files);
}

/* Lines are "tfd: 5 events: 40000019 data: ... pos:0 ino:2e1 sdev:9". */
uint32_t hindrances_events(int32_t pid, uint32_t epoll_fd, uint32_t inode)
{
	uint32_t events, found = 0;
	unsigned long of;
	char line[256];
	FILE *f;

	snprintf(line, sizeof(line), "/proc/%" PRId32 "/fdinfo/%" PRIu32, pid, epoll_fd);
	f = fopen(line, "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		const char *ino = strstr(line, "ino:");

		if (ino && sscanf(line, "tfd: %*d events: %" SCNx32, &events) == 1 &&
		    sscanf(ino, "ino:%lx", &of) == 1 && of == inode)
			found = events;
	}
	if (f)
		fclose(f);
	return found;
}
