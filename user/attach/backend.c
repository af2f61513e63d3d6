/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "backend.h"

#include <errno.h>
#include <stdlib.h>

#include <bpf/libbpf.h>

#include "loading.h"

bool backend_uses(const struct attachment *a, size_t hook)
{
	return hook_is_of(&hooks[hook], a->probe.set, a->backend) &&
	       a->probe.results[hook].usable && !(hooks[hook].sees & a->without);
}

struct bpf_program *backend_program(const struct attachment *a, size_t hook)
{
	return bpf_object__find_program_by_name(a->object, hooks[hook].program);
}

void backend_autoload(const struct attachment *a)
{
	for (size_t i = 0; i < hook_count; i++)
		if (backend_uses(a, i))
			bpf_program__set_autoload(backend_program(a, i), true);
}

int backend_attach(struct attachment *a)
{
	a->links = calloc(hook_count, sizeof(*a->links));
	if (!a->links)
		return -ENOMEM;
	for (size_t i = 0; i < hook_count; i++) {
		if (!backend_uses(a, i))
			continue;
		a->links[i] = bpf_program__attach(backend_program(a, i));
		if (!a->links[i] && loading_lacks(-errno))
			return -errno;
		if (!a->links[i])
			probe_refuse(&a->probe, i, -errno);
	}
	return probe_sees(&a->probe, a->backend) ? 0 : -EOPNOTSUPP;
}

void backend_detach(struct attachment *a, bool entries_only)
{
	for (size_t i = 0; a->links && i < hook_count; i++) {
		if (entries_only && !(hooks[i].flags & HOOK_ENTRY))
			continue;
		bpf_link__destroy(a->links[i]);
		a->links[i] = NULL;
	}
	if (entries_only)
		return;
	free(a->links);
	a->links = NULL;
}

uint64_t backend_skipped(const struct attachment *a, size_t hook)
{
	return backend_uses(a, hook) ? loading_runs_missed(backend_program(a, hook)) : 0;
}

/* Returns the bits that it sees, or negative errno. */
static int backend_try(struct attachment *a, enum backend b, int (*try)(void *), void *context)
{
	int err;

	a->backend = b;
	if (!probe_sees(&a->probe, b))
		return -EOPNOTSUPP;
	err = try(context);
	return err ? err : (int)probe_sees(&a->probe, b);
}

int backend_choose(struct attachment *a, enum backend asked, unsigned all,
		   int (*try)(void *context), void (*undo)(void *context), void *context, char *why,
		   size_t size)
{
	int best = -1, most = 0, sees;

	if (asked != BACKEND_AUTO) {
		sees = backend_try(a, asked, try, context);
		return sees > 0 ? 0 : probe_refused(&a->probe, asked, sees, why, size);
	}
	for (int b = 0; b < BACKEND_COUNT; b++) {
		sees = backend_try(a, b, try, context);
		if (sees > 0 && (sees & all) == all)
			return 0;
		if (sees < 0 && loading_lacks(sees)) /* nothing another one would do without */
			return probe_refused(&a->probe, asked, sees, why, size);
		if (sees > 0)
			undo(context);
		if (sees > 0 && __builtin_popcount(sees) > __builtin_popcount(most)) {
			best = b;
			most = sees;
		}
	}
	sees = best < 0 ? -EOPNOTSUPP : backend_try(a, best, try, context);
	return sees < 0 ? probe_refused(&a->probe, asked, sees, why, size) : 0;
}
