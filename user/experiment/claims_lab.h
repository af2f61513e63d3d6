/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the experiments of `claims` share among themselves. */
#ifndef SOCKFAIR_CLAIMS_LAB_H
#define SOCKFAIR_CLAIMS_LAB_H

#include "../workload/shared.h"
#include "claims.h"
#include "trial.h"

/* The child process that waits for the ports to become free while the other experiments run. */
struct timewait_child {
	pid_t pid;        /* 0: none */
	int result;       /* its end of the pipe: the parent reads the result here; -1: none */
	int64_t began_ns; /* CLOCK_MONOTONIC */
};

struct claim_lab {
	struct claims_options options;
	struct trials trials;
	char no_trials[256]; /* why nothing can be observed here; "": no reason was found so far */
	struct timewait_child timewait;
	int port_start; /* port_start_read() of the machine, taken before the private namespace was
			   entered */
};

/* How many CPUs this process may use. */
unsigned cpus_allowed(void);

/* Where an experiment without a result puts its reason. */
static inline struct why claim_why(struct claim_result *r)
{
	return (struct why){ r->why, sizeof(r->why) };
}

/*
 * The ports of the experiments. Each experiment has its own, so that a port in TIME_WAIT is in
 * nobody's way. The namespace is private, so all of them are free. They are below the range from
 * which the kernel picks clients' ports.
 */
enum claim_port {
	PORT_BINDING = 7000,
	PORT_DATAGRAMS = 7100,
	PORT_HIJACK = 7200,
	PORT_TIMEWAIT = 7300,
	PORT_IMMEDIATE = 7400,
};

/* claims_binding.c */
/* Reads net.ipv4.ip_unprivileged_port_start in the network namespace of this thread. -1: the kernel
 * has none (before 4.11), or it can't be read. */
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
/* Begins the wait of claim_two_minutes(), so that the other claims can run meanwhile. Errors are
 * reported by claim_two_minutes(). */
void timewait_begin(struct claim_lab *lab);
void timewait_end(struct claim_lab *lab);

#endif
