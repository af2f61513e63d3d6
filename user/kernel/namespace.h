/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Network namespaces by their inode: what asks the kernel about one has to be in it. The calling thread moves, others stay. */
#ifndef SOCKFAIR_NAMESPACE_H
#define SOCKFAIR_NAMESPACE_H

#include <stdint.h>

/* Inode of the thread's own; 0: not known. */
uint32_t namespace_own(void);

/*
 * A descriptor of the namespace: of one that a process lives in, or one that ip netns has named. -ENOENT: there is none, or no process shows it any more.
 */
int namespace_open(uint32_t inode);

/* Enters it. *home: a descriptor for namespace_leave(). Needs CAP_SYS_ADMIN. Returns 0 or negative errno; then nothing is to be left. */
int namespace_enter(uint32_t inode, int *home);

/* Back. Returns 0 or negative errno: then the thread is in a namespace that is not its own, and had better end. */
int namespace_leave(int home);

#endif
