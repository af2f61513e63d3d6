/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads and attaches the programs of one BPF object in this kernel: which backend they belong to,
 * and their links.
 *
 *   backend_choose()   tries the best backend, or the one asked for, with a function of the caller
 *   backend_autoload() called by that function: which programs are to be loaded
 *   backend_attach()   and attached
 *   backend_detach()   undoes it
 */
#ifndef SOCKFAIR_BACKEND_H
#define SOCKFAIR_BACKEND_H

#include <stdint.h>

#include "probe.h"

struct bpf_link;
struct bpf_object;
struct bpf_program;

struct attachment {
	struct probe probe;        /* filled before all else, by probe_kernel() without attaching */
	enum backend backend;      /* the backend that is being tried, or was chosen */
	struct bpf_object *object; /* the caller's, while it is loaded */
	unsigned without; /* purposes that are not asked for: hooks that have no other are not
			     attached */
	struct bpf_link **links; /* by hook; NULL: nothing is attached */
};

/* Does the backend have the hook, is the hook asked for, and is it usable? */
bool backend_uses(const struct attachment *a, size_t hook);

/* The hook's program. */
struct bpf_program *backend_program(const struct attachment *a, size_t hook);

/* Chooses the programs to load. Call it before the object is loaded. */
void backend_autoload(const struct attachment *a);

/*
 * Attaches every hook that can be attached; the others are noted in the probe. Returns 0, or
 * negative errno: -EOPNOTSUPP if no hook is left that sees anything, or the error for what this
 * process lacks (loading_lacks()).
 */
int backend_attach(struct attachment *a);

/*
 * With entries_only only the entry hooks of calls whose exit has a hook too are detached, so that
 * calls under way still get their exit.
 */
void backend_detach(struct attachment *a, bool entries_only);

/* Is the hook used, and the first of those with its program? */
bool backend_runs(const struct attachment *a, size_t hook);

/*
 * How often the kernel skipped the hook's program since it was attached; 0 if the hook is not
 * used, or an earlier one has told of that program.
 */
uint64_t backend_skipped(const struct attachment *a, size_t hook);

/*
 * Makes `asked` the backend. For BACKEND_AUTO it takes the first backend that sees all of `all`,
 * else the one that sees most. try(context) opens, loads and attaches a->backend and returns 0 or
 * negative errno, with nothing left behind; undo(context) takes a successful try back. Returns 0,
 * or negative errno with `why`: one line.
 */
int backend_choose(struct attachment *a, enum backend asked, unsigned all,
		   int (*try)(void *context), void (*undo)(void *context), void *context, char *why,
		   size_t size);

#endif
