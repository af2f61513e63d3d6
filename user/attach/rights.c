/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the rights of this process: its capabilities, its user namespace, its seccomp mode, and
 * the settings of the kernel that refuse it something.
 */
#include "rights.h"

#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "small_file.h"

/* Asks the kernel directly, because libcap needs memory for it. */
bool right_held(int capability)
{
	struct __user_cap_header_struct own = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct held[_LINUX_CAPABILITY_U32S_3] = {};

	return !syscall(SYS_capget, &own, held) &&
	       held[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability);
}

bool rights_missing(char *text, size_t size)
{
	const bool all = right_held(CAP_SYS_ADMIN), bpf = all || right_held(CAP_BPF),
		   perfmon = all || right_held(CAP_PERFMON);

	snprintf(text, size, "%s%s%s", bpf ? "" : "CAP_BPF", bpf || perfmon ? "" : " and ",
		 perfmon ? "" : "CAP_PERFMON");
	return *text;
}

bool rights_count(void)
{
	struct stat st;

	/* PROC_USER_INIT_INO of include/linux/proc_ns.h */
	return stat("/proc/self/ns/user", &st) || st.st_ino == 0xEFFFFFFDu;
}

bool rights_filtered(void)
{
	char text[65536]; /* the list of groups comes before the line, and may be long */
	const char *line;
	int mode;

	small_file_read("/proc/self/status", text, sizeof(text));
	line = strstr(text, "\nSeccomp:");
	return line && sscanf(line, "\nSeccomp: %d", &mode) == 1 && mode;
}

int rights_perf_refused(void)
{
	const int level = small_file_number("/proc/sys/kernel/perf_event_paranoid", 0);

	return level > 2 && !right_held(CAP_SYS_ADMIN) ? level : 0;
}

size_t rights_lacking(struct right_lacking lacking[RIGHTS_MORE])
{
	static const struct {
		int capability;
		struct right_lacking says;
	} more[RIGHTS_MORE] = {
		{ CAP_SYS_ADMIN,
		  { "CAP_SYS_ADMIN", "no look into other network namespaces: their half-open "
				     "queues, TIME_WAIT, tunnels, sockets without a process" } },
		{ CAP_SYS_PTRACE,
		  { "CAP_SYS_PTRACE", "no look at other users' processes: where they hang, which "
				      "network namespace is theirs" } },
	};
	size_t n = 0;

	for (size_t i = 0; i < RIGHTS_MORE; i++)
		if (!right_held(more[i].capability))
			lacking[n++] = more[i].says;
	return n;
}
