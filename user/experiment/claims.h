/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Textbook claims as experiments on real sockets.
 *
 *   claims_open()   checks the rights and enters a private network namespace: whatever happens,
 *                   nothing of it is left
 *   claims_run()    the chosen claims, in the order of the table
 *   claims_close()  leaves it
 *
 * To add one: a row in claims.c, an experiment in the file of its subject, a verdict in
 * user/model/claim*.c.
 */
#ifndef SOCKFAIR_CLAIMS_H
#define SOCKFAIR_CLAIMS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../attach/probe.h"
#include "../model/claim.h"

struct claim_lab;

struct claim {
	const char *name;     /* stable */
	const char *sentence; /* what is claimed, one line */
	/* Fills figures, verdict and why. A negative errno: there is no result, and why gives the
	 * reason. */
	int (*run)(struct claim_lab *lab, struct claim_result *r);
	bool slow; /* --quick skips this claim; it runs beside the others */
};

/* A row without a name ends the table. */
extern const struct claim claims[];
#define CLAIMS_MAX 32

/* Returns the claim's place in the table, or -1. */
int claim_find(const char *name);

struct claims_options {
	enum backend backend;                     /* asked for */
	uint64_t requests;                        /* connections or datagrams of each load */
	bool quick;                               /* skip slow ones */
	bool progress;                            /* show it on stderr */
	const volatile sig_atomic_t *interrupted; /* not 0: skip the rest */
};

/* Returns 0, or a negative errno with one line: what failed, why, what to do. From then on the
 * calling thread is in a network namespace of its own. */
int claims_open(struct claim_lab **out, const struct claims_options *options, char *why,
		size_t why_size);

/* Runs the claims with wanted[i] set (by place in the table) and fills report->results, which has
 * room for all of them. Calls `done` after each. Returns 0, or -ENOMEM. */
int claims_run(struct claim_lab *lab, const bool wanted[CLAIMS_MAX], struct claim_report *report,
	       void (*done)(const struct claim_result *r, void *context), void *context);

/* NULL is fine. */
void claims_close(struct claim_lab *lab);

#endif
