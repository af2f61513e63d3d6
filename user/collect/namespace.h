/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network namespaces by their inode: what asks the kernel about one has to be in it. The calling
 * thread moves, others stay. A namespace, or a process that shows one, counts as gone only where
 * the kernel says so (ENOENT, ESRCH): no right (EACCES) or no descriptor left (EMFILE) is an error,
 * after which nothing is known.
 */
#ifndef SOCKFAIR_NAMESPACE_H
#define SOCKFAIR_NAMESPACE_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../model/array.h"

/* Inode of the thread's own; 0: not known. */
uint32_t namespace_own(void);

/* The inode of the network namespace that a path leads to. Returns 0 or negative errno; -EINVAL: it
 * leads to something else. */
int namespace_of(const char *path, uint32_t *inode);

/*
 * A descriptor of the namespace: of one that a process lives in, or one that ip netns has named.
 * -ENOENT: there is none, or no process shows it any more; other negative errno: one that could not
 * be looked at may be it.
 */
int namespace_open(uint32_t inode);

/* What is done in a namespace, with `to`. Returns 0 or negative errno. */
typedef int namespace_visit(void *to, uint32_t inode);

/*
 * Does it in that one, and returns. *failed: 0, or why it could not be entered, or what the visit
 * returned. Needs CAP_SYS_ADMIN. Returns 0 or negative errno: the way back failed. Then the thread
 * is in a namespace that is not its own, and had better end.
 */
int namespace_within(uint32_t inode, namespace_visit *visit, void *to, int *failed);

/* An interface's name there; "": it can't be told. Returns 0 or negative errno, as
 * namespace_within(). */
int namespace_device(uint32_t inode, uint32_t index, char name[IF_NAMESIZE]);

/* Those that were visited. Begin with {}. */
struct namespaces {
	struct array inodes; /* uint32_t: in which all went well, in no order */
	int failed;          /* negative errno: some may be missing. 0: those are all there are */
	int astray;          /* negative errno: the way back failed, see namespace_within() */
};

/* Visits each that a process lives in or that ip netns has named, once. Needs CAP_SYS_ADMIN. */
void namespaces_visit(struct namespaces *n, namespace_visit *visit, void *to);

/* Tells netns_name.h what ip netns calls them now. */
void namespaces_name(void);

/* Was it visited and all went well? */
bool namespaces_has(const struct namespaces *n, uint32_t inode);
void namespaces_free(struct namespaces *n);

#endif
