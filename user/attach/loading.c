/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prepares this process for loading BPF programs: raises limits, then checks procfs, rights, the
 * system call itself, the kernel's types and the pid namespace. Errors of loading become one line
 * that says why and what to do.
 */
#include "loading.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "rights.h"
#include "small_file.h"

#define BTF_PLACE "/sys/kernel/btf/vmlinux"

/*
 * libbpf was not allowed to look through the types of modules, which it must do on a kernel that
 * lacks a function that the programs name. libbpf reports this in its log only.
 */
static bool types_refused;

/*
 * A map could not be made for want of a descriptor. libbpf tries again without the types of its
 * key, and returns what that fails with.
 */
static bool map_refused;

static bool says_no_descriptor(const char *format, va_list args)
{
	char line[256];

	vsnprintf(line, sizeof(line), format, args);
	return strstr(line, "(-24)"); /* EMFILE */
}

static int log_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	va_list copy;

	va_copy(copy, args);
	map_refused |= strstr(format, "Retrying without BTF") && says_no_descriptor(format, copy);
	va_end(copy);
	types_refused |=
		strstr(format, "failed to iterate BTF objects") && !right_held(CAP_SYS_ADMIN);
	if (getenv("SOCKFAIR_LIBBPF_LOG"))
		return vfprintf(stderr, format, args);
	(void)level;
	return 0;
}

unsigned loading_release(void)
{
	struct utsname name;
	unsigned major, minor;

	return uname(&name) || sscanf(name.release, "%u.%u", &major, &minor) != 2
		       ? 0
		       : major * 1000 + minor;
}

static bool in_first_pid_namespace(void)
{
	struct stat st;

	/* PROC_PID_INIT_INO of include/linux/proc_ns.h */
	return stat("/proc/self/ns/pid", &st) || st.st_ino == 0xEFFFFFFCu;
}

int loading_fail(int err, char *why, size_t why_size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, why_size, format, args);
	va_end(args);
	return err;
}

/* ---- reasons ---- */

/* libbpf returns ESRCH for types that it found nowhere, and also if it had no memory for them. */
static int true_error(int err)
{
	struct btf *btf = err == -ESRCH ? btf__parse(BTF_PLACE, NULL) : NULL;

	if (err == -EINVAL && map_refused)
		return -EMFILE;
	if (err == -ESRCH && !btf)
		return -errno;
	btf__free(btf);
	return err;
}

static unsigned long long limit_of(int resource)
{
	struct rlimit limit;

	return getrlimit(resource, &limit) || limit.rlim_cur == RLIM_INFINITY ? 0 : limit.rlim_cur;
}

/*
 * Kernels before 5.11 charge BPF memory to RLIMIT_MEMLOCK, and answer EPERM beyond it. Returns
 * that limit; 0: there is none.
 */
static unsigned long long locked_memory(void)
{
	const unsigned release = loading_release();

	return release && release < 5011 ? limit_of(RLIMIT_MEMLOCK) : 0;
}

bool loading_lacks(int err)
{
	err = true_error(err);
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM || (err < 0 && types_refused) ||
	       (err == -EPERM && locked_memory());
}

const char *loading_reason(int err, char *text, size_t size)
{
	const unsigned long long space = limit_of(RLIMIT_AS);

	err = true_error(err);
	if (err == -EMFILE)
		snprintf(text, size,
			 "no more than %llu files may be open: raise the hard limit (ulimit -Hn)",
			 limit_of(RLIMIT_NOFILE));
	else if (err == -ENFILE)
		snprintf(text, size,
			 "the machine has as many files open as it may: raise fs.file-max");
	else if (err == -ENOMEM && space)
		snprintf(text, size, "out of memory: this process may have %llu MiB (ulimit -v)",
			 space >> 20);
	else if (err == -ENOMEM)
		snprintf(text, size, "out of memory, this process or its cgroup");
	else if (err < 0 && types_refused)
		snprintf(text, size,
			 "CAP_SYS_ADMIN is missing, which reading the types of this kernel's "
			 "modules takes; run as root, or grant it");
	else if (err == -EPERM && locked_memory())
		snprintf(text, size,
			 "no more than %llu KiB of memory may be locked (ulimit -l), and "
			 "CAP_SYS_RESOURCE to raise that is missing",
			 locked_memory() >> 10);
	else
		snprintf(text, size, "%s", strerror(-err));
	return text;
}

void loading_no_iterators(int err, const char *what, char *why, size_t why_size)
{
	char reason[160];

	if (loading_lacks(err))
		loading_fail(err, why, why_size, "%s: %s", what,
			     loading_reason(err, reason, sizeof(reason)));
	else
		loading_fail(err, why, why_size,
			     "%s: this kernel refuses the BPF iterators (%s); see sockfair doctor",
			     what, loading_reason(err, reason, sizeof(reason)));
}

/* ---- before all else ---- */

static struct btf *kernel_btf;
static unsigned kernel_btf_users;

/* Returns 0 or negative errno. */
static int kernel_btf_read(void)
{
	if (!kernel_btf)
		kernel_btf = btf__load_vmlinux_btf();
	/* libbpf looks in several places, and its error is that of the last place. */
	if (!kernel_btf)
		kernel_btf = btf__parse(BTF_PLACE, NULL);
	return kernel_btf ? 0 : -errno;
}

void loading_btf_end(const struct btf *btf)
{
	if (!btf || --kernel_btf_users)
		return;
	btf__free(kernel_btf);
	kernel_btf = NULL;
}

int loading_btf(const struct btf **out, char *why, size_t why_size)
{
	char reason[160];
	int err = kernel_btf_read();

	*out = kernel_btf;
	kernel_btf_users += !err;
	if (!err)
		return 0;
	if (err == -ENOENT && access("/sys/kernel", F_OK))
		return loading_fail(err, why, why_size,
				    "cannot read the kernel's types (" BTF_PLACE
				    "): sysfs is not mounted; mount it on /sys");
	if (err == -ENOENT)
		return loading_fail(err, why, why_size,
				    "this kernel has no BTF (" BTF_PLACE
				    "): use one built with CONFIG_DEBUG_INFO_BTF=y");
	return loading_fail(err, why, why_size,
			    "cannot read the kernel's types (" BTF_PLACE "): %s",
			    loading_reason(err, reason, sizeof(reason)));
}

/*
 * Raises limits to the hard limit: there are many programs and links, and reading about processes
 * takes more descriptors.
 */
static void limits_raise(void)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	struct rlimit files;

	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur == files.rlim_max)
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

/* Tries the system call itself, with the smallest possible request. */
static int try_call(char *why, size_t why_size)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "sockfair_try", sizeof(__u32), sizeof(__u32), 1,
				NULL),
	    err = -errno;
	char reason[160];

	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (!loading_lacks(err) && rights_filtered())
		return loading_fail(err, why, why_size,
				    "cannot load BPF programs: a seccomp filter refuses bpf() "
				    "(%s); run without it (docker: "
				    "--security-opt seccomp=unconfined)",
				    strerror(-err));
	return loading_fail(err, why, why_size, "cannot load BPF programs: bpf() fails: %s",
			    loading_reason(err, reason, sizeof(reason)));
}

static bool has_procfs(void)
{
	struct statfs proc;

	return !statfs("/proc", &proc) && proc.f_type == PROC_SUPER_MAGIC;
}

int loading_prepare(char *why, size_t why_size)
{
	const struct btf *btf = NULL;
	char rights[64];
	int err;

	libbpf_set_print(log_nothing);
	limits_raise();
	if (!has_procfs())
		return loading_fail(
			-ENOENT, why, why_size,
			"cannot look at processes: procfs is not mounted; mount it on /proc");
	if (!rights_count())
		return loading_fail(-EPERM, why, why_size,
				    "cannot load BPF programs: no right counts for that in this "
				    "user namespace; run in the "
				    "first one, outside of a rootless container");
	if (rights_missing(rights, sizeof(rights)))
		return loading_fail(
			-EPERM, why, why_size,
			"cannot load BPF programs: %s missing; run as root, or grant them", rights);
	err = try_call(why, why_size);
	if (!err && access(BTF_PLACE, R_OK))
		err = loading_btf(&btf, why, why_size);
	loading_btf_end(btf);
	if (err)
		return err;
	if (!in_first_pid_namespace())
		return loading_fail(-EOPNOTSUPP, why, why_size,
				    "the kernel counts by the host's process ids, which this pid "
				    "namespace hides; run "
				    "in the host's (docker: --pid=host)");
	return 0;
}

bool loading_has_socket_cookie(const struct btf *btf)
{
	return btf__find_by_name_kind(btf, "bpf_get_socket_ptr_cookie", BTF_KIND_FUNC) > 0;
}

int64_t loading_enumerator(const struct btf *btf, const char *name)
{
	for (unsigned id = 1, n = btf__type_cnt(btf); id < n; id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);

		if (!btf_is_enum(t))
			continue;
		for (int i = 0; i < btf_vlen(t); i++)
			if (!strcmp(btf__name_by_offset(btf, btf_enum(t)[i].name_off), name))
				return btf_enum(t)[i].val;
	}
	return -1;
}

uint64_t loading_runs_missed(const struct bpf_program *program)
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);

	return bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size)
		       ? 0
		       : info.recursion_misses;
}

/*
 * Before 6.4 (bpf_map_ops.map_mem_usage) the kernel reports the most that a map could take, also
 * for a map that allocates entries when they are needed.
 */
static bool states_usage(void)
{
	char why[160];
	const struct btf *btf;
	int id = loading_btf(&btf, why, sizeof(why))
			 ? -1
			 : btf__find_by_name_kind(btf, "bpf_map_ops", BTF_KIND_STRUCT);
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, id) : NULL;
	bool found = false;

	for (int i = 0; t && i < btf_vlen(t); i++)
		found |= !strcmp(btf__name_by_offset(btf, btf_members(t)[i].name_off),
				 "map_mem_usage");
	loading_btf_end(btf);
	return found;
}

static bool grows(const struct bpf_map *map)
{
	return bpf_map__type(map) == BPF_MAP_TYPE_HASH &&
	       (bpf_map__map_flags(map) & BPF_F_NO_PREALLOC);
}

/*
 * While it is empty, a hash that allocates its entries when they are needed takes only its
 * buckets: 16 bytes each, and their number is a power of two.
 */
static uint64_t buckets_of(const struct bpf_map *map)
{
	uint64_t buckets = 1;

	while (buckets < bpf_map__max_entries(map))
		buckets *= 2;
	return buckets * 16;
}

uint64_t loading_memory(struct bpf_object *object)
{
	const bool usage = states_usage();
	const struct bpf_map *map;
	uint64_t total = 0;

	bpf_object__for_each_map(map, object)
	{
		char path[64], text[1024], *line;
		unsigned long long bytes;

		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bpf_map__fd(map));
		small_file_read(path, text, sizeof(text));
		line = strstr(text, "\nmemlock:");
		if (line && sscanf(line, "\nmemlock: %llu", &bytes) == 1)
			total += usage || !grows(map) ? bytes : buckets_of(map);
	}
	return total;
}
