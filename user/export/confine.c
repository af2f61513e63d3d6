/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The order matters: each step takes rights that a later one gives up, and the filter comes last,
 * because it refuses all of them.
 */
#include "confine.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../attach/loading.h"
#include "../attach/rights.h"
#include "../attach/small_file.h"
#include "clients.h"
#include "confine_calls.h"

static void note_add(char *note, size_t size, const char *separator, const char *text)
{
	const size_t used = strlen(note);

	snprintf(note + used, size - used, "%s%s", used ? separator : "", text);
}

/* ---- what both do ---- */

/*
 * Takes all but these out of the set beyond which no program that is run can go. It takes a right
 * itself (CAP_SETPCAP), so it comes first; without it nothing is lost, as no_new_privs makes that
 * set void.
 */
static void bounding_keep(const cap_value_t *kept, int count)
{
	for (int i = 0; i <= cap_max_bits(); i++) {
		bool keep = false;

		for (int j = 0; j < count; j++)
			keep |= kept[j] == i;
		if (!keep)
			prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
	}
}

/* Leaves these capabilities, which are held. None can come back. */
static int capabilities_leave(const cap_value_t *kept, int count)
{
	cap_t caps = cap_init();
	int err = caps ? 0 : -ENOMEM;

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (!err && count &&
	    (cap_set_flag(caps, CAP_PERMITTED, count, kept, CAP_SET) ||
	     cap_set_flag(caps, CAP_EFFECTIVE, count, kept, CAP_SET)))
		err = -errno;
	if (!err && cap_set_proc(caps))
		err = -errno;
	cap_free(caps);
	return err;
}

/* No program that is run gives rights, and nobody of the same user may look into this process. */
static int privileges_end(void)
{
	const struct rlimit none = {};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ||
	    setrlimit(RLIMIT_CORE, &none))
		return -errno;
	return 0;
}

/* ---- the front ---- */

/* Bytes of address space that the process has now; 0: not known. */
static uint64_t space_now(void)
{
	char text[64];
	unsigned long long pages;

	small_file_read("/proc/self/statm", text, sizeof(text));
	return sscanf(text, "%llu", &pages) == 1 ? pages * sysconf(_SC_PAGESIZE) : 0;
}

static int limits_set(size_t space)
{
	const uint64_t now = space_now();
	const struct {
		int resource;
		rlim_t most;
	} limits[] = {
		{ RLIMIT_NOFILE, CLIENTS_DESCRIPTORS },
		{ RLIMIT_AS, now ? now + space : RLIM_INFINITY },
		{ RLIMIT_NPROC, 0 },
		{ RLIMIT_FSIZE, 0 },
		{ RLIMIT_MEMLOCK, 0 },
		{ RLIMIT_MSGQUEUE, 0 },
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		struct rlimit had;

		if (getrlimit(limits[i].resource, &had))
			return -errno;
		if (limits[i].most < had.rlim_max)
			had.rlim_max = limits[i].most;
		had.rlim_cur = had.rlim_max;
		if (setrlimit(limits[i].resource, &had))
			return -errno;
	}
	return 0;
}

/*
 * Each front is a user of its own, so that no other process may signal or trace it, nor it them:
 * `nobody` may be the user of other services. systemd's table of user ids (UIDS-GIDS.md) leaves
 * 1879048192 to 2147352575 to nobody; process ids end at 4194304.
 */
#define USERS_FROM 1879048192u

static int user_change(char *note, size_t size)
{
	const uid_t user = USERS_FROM + getpid();

	if (!right_held(CAP_SETUID) || !right_held(CAP_SETGID)) {
		note_add(note, size, "; ",
			 "the process that serves HTTP keeps its user, because CAP_SETUID or "
			 "CAP_SETGID is missing");
		return 0;
	}
	return setgroups(0, NULL) || setresgid(user, user, user) || setresuid(user, user, user)
		       ? -errno
		       : 0;
}

/* linux/landlock.h of later kernels. */
struct landlock_handles {
	uint64_t files;
	uint64_t network; /* from version 4 on */
	uint64_t scopes;  /* from version 6 on */
};

/* All that this kernel's Landlock can refuse, and no exception. */
static int landlock_enter(long version)
{
	static const uint64_t files[] = { 0, 0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff };
	const size_t known = sizeof(files) / sizeof(*files) - 1;
	const struct landlock_handles handles = {
		.files = files[(size_t)version < known ? (size_t)version : known],
		.network = 3, /* TCP: bind, connect */
		.scopes = 3,  /* abstract unix sockets and signals, to outside */
	};
	const size_t length = version < 4 ? 8 : version < 6 ? 16 : 24;
	const int rules = syscall(SYS_landlock_create_ruleset, &handles, length, 0);
	int err = 0;

	if (rules < 0)
		return -errno;
	if (syscall(SYS_landlock_restrict_self, rules, 0))
		err = -errno;
	close(rules);
	return err;
}

static int landlock_confine(char *note, size_t size)
{
	/* LANDLOCK_CREATE_RULESET_VERSION */
	const long version = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);

	if (version > 0)
		return landlock_enter(version);
	note_add(note, size, "; ",
		 errno == ENOSYS ? "this kernel has no Landlock (Linux 5.13)"
				 : "Landlock is off (kernel parameter lsm=)");
	note_add(note, size, ": ",
		 "a filter of system calls alone keeps the process that serves HTTP from files");
	return 0;
}

/* Of the collector's death; a change of the user takes it back (prctl(2)), so it comes after. */
static int collector_follow(pid_t collector)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL))
		return -errno;
	return getppid() == collector ? 0 : -ESRCH;
}

int confine_front(pid_t collector, size_t space, char *note, size_t size)
{
	const char *what = "limits";
	int err = limits_set(space);

	*note = '\0';
	if (!err) {
		what = "user";
		bounding_keep(NULL, 0);
		err = user_change(note, size);
	}
	if (!err) {
		what = "capabilities";
		err = capabilities_leave(NULL, 0);
	}
	if (!err) {
		what = "privileges";
		err = privileges_end();
	}
	if (!err) {
		what = "Landlock";
		err = landlock_confine(note, size);
	}
	if (!err) {
		what = "parent";
		err = collector_follow(collector);
	}
	if (!err) {
		what = "seccomp";
		err = confine_calls_front();
	}
	return err ? loading_fail(err, note, size,
				  "the process that serves HTTP can't give up its rights (%s): %s",
				  what, strerror(-err))
		   : 0;
}

/* ---- the collector ---- */

/* Does bpf() take a right even for what is open? See confine.h. */
static bool bpf_takes_right(void)
{
	const unsigned release = loading_release();

	return release && release < 5019 &&
	       small_file_number("/proc/sys/kernel/unprivileged_bpf_disabled", 1);
}

#define CAPABILITIES_MOST 6

/* Returns how many are kept; names them. */
static int capabilities_needed(const struct export_needs *needs,
			       cap_value_t kept[CAPABILITIES_MOST], char *names, size_t size)
{
	const bool admin = needs->namespaces && right_held(CAP_SYS_ADMIN);
	const struct {
		cap_value_t capability;
		const char *name;
		bool needed;
	} rows[CAPABILITIES_MOST] = {
		{ CAP_SYS_PTRACE, "CAP_SYS_PTRACE", true },
		{ CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", true },
		{ CAP_KILL, "CAP_KILL", true },
		{ CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE", needs->textfile || needs->removal },
		{ CAP_SYS_ADMIN, "CAP_SYS_ADMIN", admin },
		{ CAP_BPF, "CAP_BPF", !admin && bpf_takes_right() },
	};
	int count = 0;

	*names = '\0';
	for (size_t i = 0; i < CAPABILITIES_MOST; i++) {
		if (!rows[i].needed || !right_held(rows[i].capability))
			continue;
		kept[count++] = rows[i].capability;
		note_add(names, size, ", ", rows[i].name);
	}
	if (!count)
		note_add(names, size, ", ", "none");
	return count;
}

/* A right is given up by a thread for itself; another one would keep it. */
static bool is_one_thread(void)
{
	char text[65536]; /* the list of groups comes before the line, and may be long */
	const char *line;
	int threads;

	small_file_read("/proc/self/status", text, sizeof(text));
	line = strstr(text, "\nThreads:");
	return line && sscanf(line, "\nThreads: %d", &threads) == 1 && threads == 1;
}

int export_confine_collector(const struct export_needs *needs, char *kept, size_t size)
{
	cap_value_t capabilities[CAPABILITIES_MOST];
	const int count = capabilities_needed(needs, capabilities, kept, size);
	int err = is_one_thread() ? 0 : -EBUSY;

	if (!err) {
		bounding_keep(capabilities, count);
		err = capabilities_leave(capabilities, count);
	}
	if (!err)
		err = privileges_end();
	if (!err)
		err = confine_calls_collector(needs);
	return err ? loading_fail(err, kept, size,
				  "the process that counts can't give up its rights: %s",
				  err == -EBUSY ? "it has more than one thread" : strerror(-err))
		   : 0;
}
