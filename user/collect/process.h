/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads /proc about processes and threads. */
#ifndef SOCKFAIR_PROCESS_H
#define SOCKFAIR_PROCESS_H

#include "../model/snapshot.h"

/*
 * Does the thread that began at start_ns (CLOCK_BOOTTIME; 0: any) still run? The answer is false
 * only if /proc says that the thread is gone; a thread that can't be looked at counts as alive.
 */
bool process_thread_lives(int pid, int tid, uint64_t start_ns);

/*
 * Is the thread certainly gone? This is far cheaper than process_thread_lives(), but a tid that is
 * used again counts as alive.
 */
bool process_thread_gone(int pid, int tid);

/* The name of a process, as /proc/PID/comm has it; "" if the process is gone. */
void process_name(int pid, char *name, size_t size);

#define PROCESS_CGROUP_SIZE 4096 /* the kernel shows no path that is longer */

/*
 * The cgroup of a process: its path in the cgroup v2 tree, or if all are version 1, the path that
 * tells most. "": unknown, or the process is gone.
 */
void process_cgroup(int pid, char path[PROCESS_CGROUP_SIZE]);

/*
 * The path of a process in the hierarchy of a version 1 controller; "": the controller is of
 * version 2. Returns false if the process has none.
 */
bool process_cgroup_in(int pid, const char *controller, char path[PROCESS_CGROUP_SIZE]);

/* The same as process_cgroup(), for a row. */
void process_cgroup_row(int pid, char cgroup[CGROUP_SIZE]);

/*
 * The number of a cgroup, given by its path in the cgroup v2 tree, as programs in the kernel know
 * it; 0: not known.
 */
uint64_t process_cgroup_id(const char *path);

/*
 * The state of a thread as in /proc/PID/stat; 0: not known. `doing` is where in the kernel the
 * thread is (/proc/PID/wchan); "": it is in user space, or it is not known.
 */
char process_thread_state(int pid, int tid, char *doing, size_t size);

/* What the process's first thread does: fills in state and doing of a row whose pid is set. */
void process_describe_holder(struct holder_row *row);

/* Fills in `state` of the workers of a snapshot. */
void process_tell_states(struct snapshot *s);

/* Fills in ended, cgroup, and start_ns if it is unknown, of a row whose pid and tid are set. */
void process_describe_thread(struct worker_row *row);

#endif
