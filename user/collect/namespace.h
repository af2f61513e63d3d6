/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network namespaces, named by their inode. A question to the kernel about a namespace can only be
 * asked inside it, so the calling thread enters it; other threads stay. A namespace, or a process
 * that shows one, counts as gone only if the kernel says so (ENOENT, ESRCH). A missing right
 * (EACCES) or a lack of descriptors (EMFILE) is an error, after which nothing is known.
 */
#ifndef SOCKFAIR_NAMESPACE_H
#define SOCKFAIR_NAMESPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../model/array.h"

/* Inode of the thread's own namespace; 0: not known. */
uint32_t namespace_own(void);

/*
 * Finds the inode of the network namespace that a path leads to. Returns 0 or negative errno;
 * -EINVAL: the path leads to something else.
 */
int namespace_of(const char *path, uint32_t *inode);

/*
 * Returns a descriptor of the namespace. It is found if a process lives in it or if ip netns has
 * named it. -ENOENT: there is no such namespace, or no process shows it any more. Any other
 * negative errno: some namespace could not be looked at, and it may be the one.
 */
int namespace_open(uint32_t inode);

/* Work to be done inside a namespace, with `to`. Returns 0 or negative errno. */
typedef int namespace_visit(void *to, uint32_t inode);

/*
 * Enters the namespace, calls `visit`, and goes back. *failed is 0, or why the namespace could not
 * be entered, or what `visit` returned. Needs CAP_SYS_ADMIN. A negative errno as result means that
 * the way back failed: the thread is in a namespace that is not its own, and should end.
 */
int namespace_within(uint32_t inode, namespace_visit *visit, void *to, int *failed);

/* The namespaces that were visited. Begin with {}. */
struct namespaces {
	struct array inodes; /* uint32_t: namespaces in which all went well, in no order */
	int failed;          /* negative errno: some may be missing; 0: the list is complete */
	int astray;          /* negative errno: the way back failed, see namespace_within() */
};

/*
 * Visits each namespace once that a process lives in or that ip netns has named. Needs
 * CAP_SYS_ADMIN.
 */
void namespaces_visit(struct namespaces *n, namespace_visit *visit, void *to);

/* Tells netns_name.h the names that ip netns gives to namespaces now. */
void namespaces_name(void);

/* Was the namespace visited, and did all go well? */
bool namespaces_has(const struct namespaces *n, uint32_t inode);
void namespaces_free(struct namespaces *n);

#endif
