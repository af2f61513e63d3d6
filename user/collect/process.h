/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What /proc tells of processes and threads. */
#ifndef SOCKFAIR_PROCESS_H
#define SOCKFAIR_PROCESS_H

#include "../model/snapshot.h"

/* Does this thread, which began at start_ns (CLOCK_BOOTTIME; 0: any), still run? False only where
 * /proc says that it is gone; one that could not be asked is taken for alive. */
bool process_thread_lives(int pid, int tid, uint64_t start_ns);

/* Is it certain that there is no such thread any more? Far cheaper than process_thread_lives(), but
 * a number that is used again counts as alive. */
bool process_thread_gone(int pid, int tid);

/* Its name, as /proc/PID/comm has it; "" if it is gone. */
void process_name(int pid, char *name, size_t size);

#define PROCESS_CGROUP_SIZE 4096 /* the kernel shows no longer path */

/* The cgroup of a process: its path in the cgroup v2 tree, or where all are version 1, its most
 * telling one. "": unknown, or it is gone. */
void process_cgroup(int pid, char path[PROCESS_CGROUP_SIZE]);

/* Its path in the hierarchy of a controller of version 1; "": of version 2. False: it has none. */
bool process_cgroup_in(int pid, const char *controller, char path[PROCESS_CGROUP_SIZE]);

/* As process_cgroup(), for a row. */
void process_cgroup_row(int pid, char cgroup[CGROUP_SIZE]);

/* The number of a cgroup, by its path in the cgroup v2 tree, as programs in the kernel know it; 0:
 * not known. */
uint64_t process_cgroup_id(const char *path);

/*
 * The state of a thread as in /proc/PID/stat; 0: not known. doing: where in the kernel it is
 * (/proc/PID/wchan); "": in user space, or not known.
 */
char process_thread_state(int pid, int tid, char *doing, size_t size);

/* What the process's first thread does: fills state and doing of a row whose pid is set. */
void process_describe_holder(struct holder_row *row);

/* Fills ended, cgroup, and where unknown start_ns of a row whose pid and tid are set. */
void process_describe_thread(struct worker_row *row);

#endif
