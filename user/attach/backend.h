/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs of one object in this kernel: which backend's, and their links.
 *
 *   backend_choose()   tries the best one, or that asked for, by a function of the caller's
 *   backend_autoload() within that: which programs are to be loaded
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
	struct probe probe;        /* probe_kernel() without attaching fills it before all else */
	enum backend backend;      /* that is tried, or was chosen */
	struct bpf_object *object; /* the caller's, while it is loaded */
	unsigned without;          /* purposes that are not asked for: their hooks stay out */
	struct bpf_link **links;   /* by hook; NULL: nothing is attached */
};

/* Is the hook of the backend, asked for, and usable? */
bool backend_uses(const struct attachment *a, size_t hook);

/* The hook's program. */
struct bpf_program *backend_program(const struct attachment *a, size_t hook);

/* Before the object is loaded. */
void backend_autoload(const struct attachment *a);

/*
 * Attaches what can be; what can't is noted in the probe. Returns 0, or negative errno: -EOPNOTSUPP
 * where nothing is left to see, or what this process lacks (loading_lacks()).
 */
int backend_attach(struct attachment *a);

/* entries_only: of calls whose exit is seen too, so that those under way get theirs. */
void backend_detach(struct attachment *a, bool entries_only);

/* How often the kernel skipped the hook's program since it was attached; 0 where it is not used. */
uint64_t backend_skipped(const struct attachment *a, size_t hook);

/*
 * Makes `asked` the backend, or for BACKEND_AUTO the first that sees all of `all`, else the one
 * that sees most. try(context) opens, loads and attaches a->backend and returns 0 or negative
 * errno, with nothing left; undo(context) takes back one that was fine. Returns 0, or negative
 * errno with `why`: one line.
 */
int backend_choose(struct attachment *a, enum backend asked, unsigned all,
		   int (*try)(void *context), void (*undo)(void *context), void *context, char *why,
		   size_t size);

#endif
