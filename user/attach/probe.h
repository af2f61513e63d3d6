/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds out which hooks this kernel lets us attach, by attaching: a hook is usable if a
 * two-instruction program was loaded and attached there. Loading alone does not tell, because some
 * kernels load a program that they then refuse to attach (arm64 6.1: fexit, ENOTSUPP).
 */
#ifndef SOCKFAIR_PROBE_H
#define SOCKFAIR_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#include "features.h"
#include "hooks.h"

struct hook_result {
	bool usable;
	int error;     /* negative errno; 0 with !usable: this kernel does not need the hook */
	char why[128]; /* for people */
};

struct probe {
	enum hook_set set;
	struct kernel_features features;
	struct hook_result *results; /* by hook; only the hooks of the set are filled in */
	char error[192];             /* after a failed probe_kernel(): one line */
};

/*
 * Looks for the hooks of a set and loads a program for each. With `attach` it also attaches each
 * program, which takes a while (detaching waits for the kernel's readers). Without `attach` a hook
 * counts as usable until probe_refuse(). Returns 0 or negative errno; call probe_free() in both
 * cases.
 */
int probe_kernel(struct probe *p, enum hook_set set, bool attach);
void probe_free(struct probe *p);

/* Is there a usable hook with that program? */
bool probe_usable(const struct probe *p, enum backend b, const char *program);

/* The hook could not be attached after all. */
void probe_refuse(struct probe *p, size_t hook, int error);

/*
 * Why the backend can't be used: the reason of the first hook that the backend can't do without.
 * `error` is what was returned, used if there is no better reason.
 */
const char *probe_reason(const struct probe *p, enum backend b, int error);

/*
 * The first backend that sees all of `all`, else the one that sees most of it; BACKEND_AUTO if
 * none is usable. `without` has a bit for each backend that is ruled out.
 */
enum backend probe_best(const struct probe *p, unsigned all, unsigned without);

/*
 * Why the backend b can't be used, or with BACKEND_AUTO why no backend can. err is what was
 * returned last. Writes one line, and returns a negative errno.
 */
int probe_refused(const struct probe *p, enum backend b, int err, char *why, size_t size);

/*
 * What the backend sees with the usable hooks: bits of enum hook_purpose. 0 means that it is
 * unusable.
 */
unsigned probe_sees(const struct probe *p, enum backend b);

/*
 * What is counted but the backend does not see on this kernel, as nouns. Returns how many there
 * are.
 */
size_t probe_unseen(const struct probe *p, enum backend b, const char **sentences, size_t max);

#endif
