/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs the program of group_look.bpf.c in this process. */
#include "group_look.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../attach/loading.h"
#include "../attach/types.h"
#include "config.h"
#include "group_look_record.h"
#include "group_look.skel.h"

struct group_looks {
	struct group_look_bpf *bpf;
};

int group_programs_see(char *why, size_t size)
{
	const struct btf *btf;
	int err = loading_btf(&btf, why, size);

	if (err)
		return err;
	/* It came with ctx->sk. */
	err = loading_enumerator(btf, "BPF_SK_REUSEPORT_SELECT_OR_MIGRATE") >= 0;
	loading_btf_end(btf);
	return err;
}

static int looks_load(struct group_looks *l, const struct btf *btf)
{
	struct types_file types;
	int err;

	l->bpf = group_look_bpf__open_opts(types_open(&types));
	err = l->bpf ? types_write(&types, btf, l->bpf->obj) : -errno;
	if (!err)
		err = group_look_bpf__load(l->bpf);
	types_close(&types);
	return err;
}

int group_looks_open(struct group_looks **out, char *why, size_t size)
{
	struct group_looks *l = calloc(1, sizeof(*l));
	const struct btf *btf = NULL;
	char reason[160];
	int err;

	if (!l)
		return loading_fail(-ENOMEM, why, size, "out of memory");
	err = loading_prepare(why, size);
	if (!err)
		err = loading_btf(&btf, why, size);
	if (err)
		goto out;
	err = looks_load(l, btf);
	if (err)
		loading_fail(err, why, size,
			     "which program its SO_REUSEPORT group has can't be seen: %s",
			     loading_reason(err, reason, sizeof(reason)));
out:
	loading_btf_end(btf);
	if (err) {
		group_looks_close(l);
		return err;
	}
	*out = l;
	return 0;
}

int group_look_at(const struct group_looks *l, int fd, struct group_program *found)
{
	struct group_look_record *seen = &l->bpf->bss->seen;
	__u64 descriptor = (__u64)fd;
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &descriptor,
		    .ctx_size_in = sizeof(descriptor));

	*seen = (struct group_look_record){};
	if (bpf_prog_test_run_opts(group_looks_descriptor(l), &run))
		return -errno;
	if (!seen->is_socket)
		return -ENOTSOCK;
	*found = (struct group_program){ .id = seen->classic ? 0 : seen->program,
					 .classic = seen->classic,
					 .in_map = seen->in_map };
	memcpy(found->name, seen->name, sizeof(found->name));
	return 0;
}

int group_looks_descriptor(const struct group_looks *l)
{
	return bpf_program__fd(l->bpf->progs.group_look);
}

void group_looks_close(struct group_looks *l)
{
	if (!l)
		return;
	group_look_bpf__destroy(l->bpf);
	free(l);
}
