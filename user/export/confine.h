/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Gives up rights, for good. There are two processes, and each keeps what its work takes:
 *
 *   the front     speaks HTTP with anybody. It has a user of its own, no capability, no file, and
 *                 the system calls of confine_calls.c, with which nothing new can be opened or
 * begun the collector never reads what comes from the network. It keeps the capabilities for
 * looking at other processes, and can't load a program into the kernel any more, start one, or
 * connect anywhere
 */
#ifndef SOCKFAIR_CONFINE_H
#define SOCKFAIR_CONFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * In the front, once it holds all that it will ever hold: gives all else up, and dies with the
 * collector from here on. `space` is how much memory it may take beside what it has, in bytes.
 * Returns 0, with `note`: what this kernel or this user could not give up, or ""; or negative errno
 * with `note`: why.
 */
int confine_front(pid_t collector, size_t space, char *note, size_t size);

/* What the collector still does after it has begun to count. */
struct export_needs {
	bool namespaces; /* looks into other network namespaces */
	bool textfile;   /* writes files and renames them */
	bool removal;    /* removes files: the one of --textfile, that of a unix socket */
};

/*
 * In the collector, after observer_start(): keeps only what counting takes from there on. With the
 * rights that it had:
 *
 *   CAP_SYS_PTRACE       /proc/PID/fd, ns and wchan of other users' processes
 *   CAP_DAC_READ_SEARCH  the same folders, which only their users may read
 *   CAP_KILL             the kernel's signal to the front when the collector ends: it is sent in
 * the collector's name (PR_SET_PDEATHSIG), to another user's process. The collector itself can't
 * send any CAP_SYS_ADMIN        with namespaces: setns(), and who else steers a port (bpf(2) by id)
 *   CAP_DAC_OVERRIDE     with textfile or removal: the folder may be another user's
 *   CAP_BPF              without CAP_SYS_ADMIN, and before Linux 5.19, where
 *                        kernel.unprivileged_bpf_disabled is not 0: bpf() as a whole takes it
 * there, and from 5.19 on not for what is open already (commit c8644cd0efe7)
 *
 * No Landlock: it would hide /proc/PID/fd and ns of others. Whoever calls it has one thread, and
 * has notified systemd before: it can't connect any more. Returns 0 with `kept`: the names of the
 * capabilities that are left, or "none"; or negative errno with `kept`: why.
 */
int export_confine_collector(const struct export_needs *needs, char *kept, size_t size);

#endif
