/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chooses a backend for the programs of one object and attaches them, hook by hook in the order of
 * the table in hooks.c. The probe keeps what could not be attached.
 */
#include "backend.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "loading.h"

#define DETACH_THREADS 32

bool backend_uses(const struct attachment *a, size_t hook)
{
	const unsigned sees = hooks[hook].sees;

	return hook_is_of(&hooks[hook], a->probe.set, a->backend) &&
	       a->probe.results[hook].usable && (!sees || (sees & ~a->without));
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

/* A classic tracepoint's program can be attached to several, whatever its section says. */
static struct bpf_link *hook_attach(const struct attachment *a, size_t hook)
{
	const char *target = hooks[hook].target, *name = strchr(target, '/');
	char group[32];

	if (hooks[hook].kind != HOOK_TRACEPOINT)
		return bpf_program__attach(backend_program(a, hook));
	snprintf(group, sizeof(group), "%.*s", (int)(name - target), target);
	return bpf_program__attach_tracepoint(backend_program(a, hook), group, name + 1);
}

int backend_attach(struct attachment *a)
{
	a->links = calloc(hook_count, sizeof(*a->links));
	if (!a->links)
		return -ENOMEM;
	for (size_t i = 0; i < hook_count; i++) {
		if (!backend_uses(a, i))
			continue;
		a->links[i] = hook_attach(a, i);
		if (!a->links[i] && loading_lacks(-errno))
			return -errno;
		if (!a->links[i])
			probe_refuse(&a->probe, i, -errno);
	}
	return probe_sees(&a->probe, a->backend) ? 0 : -EOPNOTSUPP;
}

static void *link_destroy(void *link)
{
	bpf_link__destroy(link);
	return NULL;
}

/*
 * Closing a classic tracepoint or a kprobe waits until no CPU runs its program any more
 * (perf_trace_destroy(): tracepoint_synchronize_unregister()), 70 ms each on the kernel that this
 * was measured on. Threads wait for all of them together.
 */
void backend_detach(struct attachment *a, bool entries_only)
{
	pthread_t threads[DETACH_THREADS];
	size_t started = 0;

	for (size_t i = 0; a->links && i < hook_count; i++) {
		struct bpf_link *link = a->links[i];

		if (!link || (entries_only && !(hooks[i].flags & HOOK_ENTRY)))
			continue;
		a->links[i] = NULL;
		if (started < DETACH_THREADS &&
		    !pthread_create(&threads[started], NULL, link_destroy, link))
			started++;
		else
			bpf_link__destroy(link);
	}
	while (started)
		pthread_join(threads[--started], NULL);
	if (entries_only)
		return;
	free(a->links);
	a->links = NULL;
}

bool backend_runs(const struct attachment *a, size_t hook)
{
	for (size_t i = 0; i < hook; i++)
		if (backend_uses(a, i) && !strcmp(hooks[i].program, hooks[hook].program))
			return false;
	return backend_uses(a, hook);
}

uint64_t backend_skipped(const struct attachment *a, size_t hook)
{
	return backend_runs(a, hook) ? loading_runs_missed(backend_program(a, hook)) : 0;
}

int backend_choose(struct attachment *a, enum backend asked, unsigned all,
		   int (*try)(void *context), void (*undo)(void *context), void *context, char *why,
		   size_t size)
{
	const bool is_auto = asked == BACKEND_AUTO;
	enum backend b = is_auto ? probe_best(&a->probe, all, 0) : asked;
	unsigned failed = 0;
	int err = -EOPNOTSUPP;

	while (b != BACKEND_AUTO) {
		enum backend best = b;

		a->backend = b;
		err = probe_sees(&a->probe, b) ? try(context) : -EOPNOTSUPP;
		/*
		 * If this process lacks something, another backend would not do without it either.
		 */
		if (err && (!is_auto || loading_lacks(err)))
			break;
		failed |= (err != 0) << b;
		/* Attaching may have shown that the backend sees less than expected. */
		if (is_auto)
			best = probe_best(&a->probe, all, failed);
		if (!err && best == b)
			return 0;
		if (!err)
			undo(context);
		b = best;
	}
	return probe_refused(&a->probe, asked, err, why, size);
}
