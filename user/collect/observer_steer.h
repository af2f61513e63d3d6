/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The observer's program that steers a port (bpf/steer.bpf.h), for an observer that was opened with
 * observer_options.steer: its sockets, what it decides by, and what holds it. steer/lookup.c and
 * steer/reuseport.c decide what goes in.
 */
#ifndef SOCKFAIR_OBSERVER_STEER_H
#define SOCKFAIR_OBSERVER_STEER_H

#include "bytes.h"
#include "observer.h"
#include "steer.h"

#define STEER_PROGRAMS_MAX 64

/* Names of two maps of the program, by which others know it: lookups.c. */
#define STEER_SOCKETS_MAP "steer_sockets"
#define STEER_BEGAN_MAP "steer_began" /* one entry: when it was attached, CLOCK_BOOTTIME, ns */

/* The SK_LOOKUP programs of a network namespace, by the kernel's numbers, in the order in which
 * they are asked. */
struct steer_programs {
	unsigned count;
	uint32_t ids[STEER_PROGRAMS_MAX];
};

/* netns: a descriptor. Returns 0 or negative errno; -EINVAL: the kernel has no such programs. */
int steer_programs_find(struct steer_programs *p, int netns);

/* STEER_MEMBERS_MAX rows, which the programs write, too. */
struct steer_member *observer_steer_members(const struct observer *o);
struct steer_state *observer_steer_state(const struct observer *o);

/* Puts the socket of that descriptor into the place, whose row has its cookie already. Returns 0 or
 * negative errno. */
int observer_steer_put(const struct observer *o, uint32_t place, int fd);
/* Takes the place's socket out, and its row's cookie. */
void observer_steer_remove(const struct observer *o, uint32_t place);

/* netns: a descriptor of the namespace of the sockets (not steer_config.by_group). Returns 0 or
 * negative errno. */
int observer_steer_attach(struct observer *o, int netns);
/* The program picks no more. Harmless if it is not attached. */
void observer_steer_detach(struct observer *o);

/* fd: a socket of the group (steer_config.by_group). Replaces a program that the group has. Returns
 * 0 or negative errno. */
int observer_steer_attach_group(const struct observer *o, int fd);

/* The kernel's number of the program. */
uint32_t observer_steer_program(const struct observer *o);

/* Who has how many connections open from before the observer was started. Returns the number of
 * rows. */
size_t observer_steer_older(const struct observer *o, struct bytes_older *rows, size_t max);

#endif
