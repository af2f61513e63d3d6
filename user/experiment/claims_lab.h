/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the experiments of `claims` share among themselves. */
#ifndef SOCKFAIR_CLAIMS_LAB_H
#define SOCKFAIR_CLAIMS_LAB_H

#include "../workload/shared.h"
#include "claims.h"
#include "trial.h"

/* The process that waits for the ports to be free while the other experiments run. */
struct timewait_child {
	pid_t pid;        /* 0: none */
	int result;       /* its end of the pipe; -1: none */
	int64_t began_ns; /* CLOCK_MONOTONIC */
};

struct claim_lab {
	struct claims_options options;
	struct trials trials;
	char no_trials[256]; /* why nothing can be observed here; "": it was not found out to be so
			      */
	struct timewait_child timewait;
	int port_start; /* port_start_read() of the machine, before the private namespace was
			   entered */
};

/* How many CPUs this process may use. */
unsigned cpus_allowed(void);

/* Where the reason of an experiment without a result goes. */
static inline struct why claim_why(struct claim_result *r)
{
	return (struct why){ r->why, sizeof(r->why) };
}

/*
 * The experiments. Each has a port or several of its own, for one in TIME_WAIT is in nobody's way.
 * The namespace is private: they are all free. Below the range that the kernel gives to clients.
 */
enum claim_port {
	PORT_BINDING = 7000,
	PORT_DATAGRAMS = 7100,
	PORT_HIJACK = 7200,
	PORT_TIMEWAIT = 7300,
	PORT_IMMEDIATE = 7400,
};

/* claims_binding.c */
/* net.ipv4.ip_unprivileged_port_start of the network namespace that this thread is in. -1: there is
 * none (before 4.11), or it can't be read. */
int port_start_read(void);
int claim_tcp_reuseport_binds(struct claim_lab *lab, struct claim_result *r);
int claim_udp_reuseport_binds(struct claim_lab *lab, struct claim_result *r);
int claim_udp_reuseaddr(struct claim_lab *lab, struct claim_result *r);
int claim_privileged_port(struct claim_lab *lab, struct claim_result *r);
int claim_htons(struct claim_lab *lab, struct claim_result *r);

/* claims_hijack.c */
int claim_reuseaddr_hijack(struct claim_lab *lab, struct claim_result *r);
int claim_reuseport_prevents(struct claim_lab *lab, struct claim_result *r);

/* claims_sharing.c */
int claim_bottleneck(struct claim_lab *lab, struct claim_result *r);
int claim_unfair(struct claim_lab *lab, struct claim_result *r);
int claim_even_threads(struct claim_lab *lab, struct claim_result *r);
int claim_even_processes(struct claim_lab *lab, struct claim_result *r);

/* claims_timewait.c */
int claim_reuseaddr_immediate(struct claim_lab *lab, struct claim_result *r);
int claim_two_minutes(struct claim_lab *lab, struct claim_result *r);
/* Begins what claim_two_minutes() waits for, so that the others can run meanwhile. What fails is
 * said there. */
void timewait_begin(struct claim_lab *lab);
void timewait_end(struct claim_lab *lab);

#endif
