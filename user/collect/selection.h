/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which sockets a user asks for. What the kernel can tell by the socket is filtered there; who
 * holds it, user space finds out. */
#ifndef SOCKFAIR_SELECTION_H
#define SOCKFAIR_SELECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"

#define SELECTION_MAX 64 /* of each list */
#define SELECTION_NETNS_MAX FILTER_NETNS_MAX

/* All that is given must hold; of a list one suffices. All zero: everything but UDP clients. */
struct selection {
	uint32_t netns[SELECTION_NETNS_MAX]; /* inodes */
	size_t netns_count;
	int family;                    /* AF_INET, AF_INET6; 0: both */
	int protocol;                  /* IPPROTO_TCP, IPPROTO_UDP; 0: both */
	uint16_t ports[SELECTION_MAX]; /* host order */
	size_t port_count;
	/* of the processes that hold the socket */
	int32_t pids[SELECTION_MAX];
	size_t pid_count;
	char comms[SELECTION_MAX][16]; /* names of processes */
	size_t comm_count;
	const char *cgroups[SELECTION_MAX]; /* paths; those below count too */
	size_t cgroup_count;
};

/* Does it ask for certain processes? */
bool selection_by_process(const struct selection *s);

/* By what the socket itself tells. client: a UDP socket whose port the kernel picked; those count
 * only when their port is named. */
bool selection_socket(const struct selection *s, uint32_t netns, int family, int protocol,
		      uint16_t port, bool client);

/* What of it the programs are told (rodata); by_port: only ports of their table. */
struct filter_config selection_filter(const struct selection *s, bool by_port);

/* Is it a process that is asked for? */
bool selection_process(const struct selection *s, int32_t pid, const char *name,
		       const char *cgroup);

#endif
