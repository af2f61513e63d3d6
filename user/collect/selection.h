/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which sockets a user asks for. The kernel filters by what the socket itself shows; user space
 * finds out who holds the socket.
 */
#ifndef SOCKFAIR_SELECTION_H
#define SOCKFAIR_SELECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"

#define SELECTION_MAX 64 /* entries of each list */
#define SELECTION_NETNS_MAX FILTER_NETNS_MAX

/*
 * All given conditions must hold; of a list, one entry is enough. All zero: everything but UDP
 * clients.
 */
struct selection {
	uint32_t netns[SELECTION_NETNS_MAX]; /* inodes */
	size_t netns_count;
	int family;                    /* AF_INET, AF_INET6; 0: both */
	int protocol;                  /* IPPROTO_TCP, IPPROTO_UDP; 0: both */
	uint16_t ports[SELECTION_MAX]; /* host order */
	size_t port_count;
	/* conditions on the processes that hold the socket */
	int32_t pids[SELECTION_MAX];
	size_t pid_count;
	char comms[SELECTION_MAX][16]; /* names of processes */
	size_t comm_count;
	const char *cgroups[SELECTION_MAX]; /* paths; cgroups below them count too */
	size_t cgroup_count;
};

/* Does the selection ask for certain processes? */
bool selection_by_process(const struct selection *s);

/*
 * Does the selection ask for the socket, judged by the socket alone? `client` is a UDP socket
 * whose port the kernel picked; such a socket counts only if its port is named.
 */
bool selection_socket(const struct selection *s, uint32_t netns, int family, int protocol,
		      uint16_t port, bool client);

/*
 * The part of the selection that the programs get (rodata). by_port: only ports in the programs'
 * table.
 */
struct filter_config selection_filter(const struct selection *s, bool by_port);

/* Does the selection ask for this process? */
bool selection_process(const struct selection *s, int32_t pid, const char *name,
		       const char *cgroup);

#endif
