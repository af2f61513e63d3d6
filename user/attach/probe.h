/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which hooks this kernel lets us attach. Asked by doing it: a hook is usable when a
 * two-instruction program was loaded and attached there, for some kernels load what they then
 * refuse to attach (arm64 6.1: fexit, ENOTSUPP).
 */
#ifndef SOCKFAIR_PROBE_H
#define SOCKFAIR_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#include "features.h"
#include "hooks.h"

struct hook_result {
	bool usable;
	int error;     /* negative errno; 0 with !usable: this kernel needs no such hook */
	char why[128]; /* for people */
};

struct probe {
	enum hook_set set;
	struct kernel_features features;
	struct hook_result *results; /* by hook; only those of the set are asked for */
	char error[192];             /* after a failed probe_kernel(): one line */
};

/*
 * Looks for the hooks of a set and loads a program for each; with `attach` also attaches it, which
 * takes a while (detaching waits for the kernel's readers). Without, a hook counts as usable until
 * probe_refuse(). Returns 0 or negative errno; probe_free() either way.
 */
int probe_kernel(struct probe *p, enum hook_set set, bool attach);
void probe_free(struct probe *p);

/* Is there a hook with that program, and usable? */
bool probe_usable(const struct probe *p, enum backend b, const char *program);

/* The hook could not be attached after all. */
void probe_refuse(struct probe *p, size_t hook, int error);

/* Why the backend can't be used: of the first hook that it can't do without. error: what was
 * returned, for want of a better reason. */
const char *probe_reason(const struct probe *p, enum backend b, int error);

/* The first backend that sees all of `all`, else the one that sees most of it; BACKEND_AUTO: none
 * is usable. without: bits of backends that are out. */
enum backend probe_best(const struct probe *p, unsigned all, unsigned without);

/*
 * Why none of the backends (BACKEND_AUTO), or that one, can be used; err: what was returned last.
 * Writes the one line, and returns a negative errno.
 */
int probe_refused(const struct probe *p, enum backend b, int err, char *why, size_t size);

/* What the backend sees with the usable hooks: bits of enum hook_purpose. 0: unusable. */
unsigned probe_sees(const struct probe *p, enum backend b);

/* What the backend does not see on this kernel of what is counted, as nouns; returns how many. */
size_t probe_unseen(const struct probe *p, enum backend b, const char **sentences, size_t max);

#endif
