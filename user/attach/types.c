/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For each structure that programs name libbpf looks at the name of each structure of the kernel,
 * some 10,000, and does so again for each object: 4 ms a name. Here all are looked at once, and
 * those left over have no names.
 *
 * The numbers of types stay what they are, because programs hand them to the kernel
 * (bpf_rdonly_cast()). Modules' types are not searched, as libbpf would do for a name that is not
 * in the kernel: none of the structures of vmlinux.h is defined in what can be a module.
 */
#include "types.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "memory_file.h"

struct types_kept {
	const struct btf *kernel;
	const char **names; /* that the programs name, in order */
	size_t name_count;
	bool *kept; /* by number of the type */
};

/* A limit of the size of files is one of files in memory, too. */
static bool size_is_limited(void)
{
	struct rlimit size;

	return !getrlimit(RLIMIT_FSIZE, &size) && size.rlim_cur != RLIM_INFINITY;
}

const struct bpf_object_open_opts *types_open(struct types_file *f)
{
	f->options = (struct bpf_object_open_opts){ .sz = sizeof(f->options) };
	f->fd = size_is_limited() ? -1 : memory_file("sockfair types");
	snprintf(f->path, sizeof(f->path), "/proc/self/fd/%d", f->fd);
	/* libbpf opens it by its path, which a security module may forbid. */
	if (f->fd >= 0 && access(f->path, R_OK)) {
		close(f->fd);
		f->fd = -1;
	}
	if (f->fd >= 0)
		f->options.btf_custom_path = f->path;
	return &f->options;
}

void types_close(const struct types_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
}

/* ---- which structures are kept ---- */

/* Up to the first "___": libbpf compares no less of a name. */
static size_t plain_length(const char *name)
{
	const char *flavour = strstr(name, "___");

	return flavour ? (size_t)(flavour - name) : strlen(name);
}

static int plain_compare(const void *a, const void *b)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;
	const size_t m = plain_length(x), n = plain_length(y);
	const int by_bytes = memcmp(x, y, m < n ? m : n);

	return by_bytes ? by_bytes : (m > n) - (m < n);
}

static const char *type_name(const struct btf *btf, const struct btf_type *t)
{
	return btf__name_by_offset(btf, t->name_off);
}

static int names_read(struct types_kept *types, const struct btf *own)
{
	const unsigned count = btf__type_cnt(own);

	types->names = calloc(count, sizeof(*types->names));
	if (!types->names)
		return -ENOMEM;
	for (unsigned id = 1; id < count; id++) {
		const struct btf_type *t = btf__type_by_id(own, id);

		if (btf_is_composite(t) && t->name_off)
			types->names[types->name_count++] = type_name(own, t);
	}
	qsort(types->names, types->name_count, sizeof(*types->names), plain_compare);
	return 0;
}

/* The structure that a type is, or is an array of; 0: it is none. */
static unsigned structure_of(const struct btf *btf, unsigned id)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	while (btf_is_mod(t) || btf_is_typedef(t) || btf_is_array(t)) {
		id = btf_is_array(t) ? btf_array(t)->type : t->type;
		t = btf__type_by_id(btf, id);
	}
	return btf_is_composite(t) ? id : 0;
}

/* Keeps a structure, and all that lies within it (not what it points to). */
static void structure_keep(struct types_kept *types, unsigned id)
{
	const struct btf_type *t = btf__type_by_id(types->kernel, id);

	if (types->kept[id])
		return;
	types->kept[id] = true;
	for (unsigned i = 0; i < btf_vlen(t); i++) {
		const unsigned within = structure_of(types->kernel, btf_members(t)[i].type);

		if (within)
			structure_keep(types, within);
	}
}

static int structures_keep(struct types_kept *types)
{
	const unsigned count = btf__type_cnt(types->kernel);

	types->kept = calloc(count, sizeof(*types->kept));
	if (!types->kept)
		return -ENOMEM;
	for (unsigned id = 1; id < count; id++) {
		const struct btf_type *t = btf__type_by_id(types->kernel, id);
		const char *name = type_name(types->kernel, t);

		if (btf_is_composite(t) && *name &&
		    bsearch(&name, types->names, types->name_count, sizeof(name), plain_compare))
			structure_keep(types, id);
	}
	return 0;
}

/* ---- the file ---- */

/* Types lie one after another, so a type ends where the next begins. */
static const char *type_end(const struct btf *btf, unsigned id)
{
	uint32_t size;
	const char *raw = btf__raw_data(btf, &size);
	const struct btf_header *header = (const void *)raw;

	return id + 1 < btf__type_cnt(btf)
		       ? (const char *)btf__type_by_id(btf, id + 1)
		       : raw + header->hdr_len + header->type_off + header->type_len;
}

/* Copies all types and returns the end of the copy. */
static char *types_copy(const struct types_kept *types, char *to)
{
	const unsigned count = btf__type_cnt(types->kernel);

	for (unsigned id = 1; id < count; id++) {
		const struct btf_type *t = btf__type_by_id(types->kernel, id);

		if (btf_is_composite(t) && !types->kept[id]) {
			const struct btf_type bare = { .info = btf_kind(t) << 24, .size = t->size };

			to = mempcpy(to, &bare, sizeof(bare));
		} else {
			to = mempcpy(to, t, type_end(types->kernel, id) - (const char *)t);
		}
	}
	return to;
}

static int file_write(int fd, const char *bytes, size_t size)
{
	while (size) {
		const ssize_t n = write(fd, bytes, size);

		if (n < 0)
			return -errno;
		bytes += n;
		size -= n;
	}
	return 0;
}

static int all_write(const struct types_kept *types, int fd)
{
	uint32_t size;
	const char *raw = btf__raw_data(types->kernel, &size);
	struct btf_header header;
	char *copy = raw ? malloc(size) : NULL, *end;
	int err;

	if (!copy)
		return -ENOMEM;
	memcpy(&header, raw, sizeof(header));
	end = types_copy(types, copy + sizeof(header));
	raw += header.hdr_len + header.str_off;
	header.hdr_len = sizeof(header);
	header.type_off = 0;
	header.type_len = header.str_off = end - copy - sizeof(header);
	memcpy(copy, &header, sizeof(header));
	end = mempcpy(end, raw, header.str_len);
	err = file_write(fd, copy, end - copy);
	free(copy);
	return err;
}

int types_write(const struct types_file *f, const struct btf *kernel,
		const struct bpf_object *object)
{
	struct types_kept types = { .kernel = kernel };
	int err;

	if (f->fd < 0)
		return 0;
	err = names_read(&types, bpf_object__btf(object));
	if (!err)
		err = structures_keep(&types);
	if (!err)
		err = all_write(&types, f->fd);
	free(types.names);
	free(types.kept);
	return err;
}
