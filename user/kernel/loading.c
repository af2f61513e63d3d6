/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "loading.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "probe.h"
#include "small_file.h"

static int log_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	if (getenv("SOCKFAIR_LIBBPF_LOG"))
		return vfprintf(stderr, format, args);
	(void)level;
	return 0;
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

int loading_prepare(char *why, size_t why_size)
{
	/* Kernels before 5.11 charge BPF memory to RLIMIT_MEMLOCK. */
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	char rights[64];

	libbpf_set_print(log_nothing);
	if (probe_rights_missing(rights, sizeof(rights))) {
		snprintf(why, why_size, "cannot load BPF programs: %s missing; run as root, or grant them", rights);
		return -EPERM;
	}
	if (!in_first_pid_namespace()) {
		snprintf(why, why_size, "the kernel counts by the host's process ids, which this pid namespace hides; run in the host's "
					"(docker: --pid=host)");
		return -EOPNOTSUPP;
	}
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	return 0;
}

bool loading_has_socket_cookie(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool has = btf && btf__find_by_name_kind(btf, "bpf_get_socket_ptr_cookie", BTF_KIND_FUNC) > 0;

	btf__free(btf);
	return has;
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

	return bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) ? 0 : info.recursion_misses;
}

/* Before 6.4 (bpf_map_ops.map_mem_usage) the kernel states what a map could take at most, also of one that allocates entries when they are needed. */
static bool states_usage(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int id = btf ? btf__find_by_name_kind(btf, "bpf_map_ops", BTF_KIND_STRUCT) : -1;
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, id) : NULL;
	bool found = false;

	for (int i = 0; t && i < btf_vlen(t); i++)
		found |= !strcmp(btf__name_by_offset(btf, btf_members(t)[i].name_off), "map_mem_usage");
	btf__free(btf);
	return found;
}

static bool grows(const struct bpf_map *map)
{
	return bpf_map__type(map) == BPF_MAP_TYPE_HASH && (bpf_map__map_flags(map) & BPF_F_NO_PREALLOC);
}

/* A hash that allocates its entries when they are needed takes its buckets, 16 bytes each and a power of two, while it is empty. */
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

	bpf_object__for_each_map(map, object) {
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
