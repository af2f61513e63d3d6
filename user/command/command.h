/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands share: the table, exit statuses, options of the same name. */
#ifndef SOCKFAIR_COMMAND_H
#define SOCKFAIR_COMMAND_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../attach/probe.h"
#include "../model/comparison.h"
#include "interrupt.h"
#include "output.h"

enum status {
	STATUS_OK = 0,
	STATUS_FAILED = 1, /* could not do it */
	STATUS_USAGE = 2,
	STATUS_UNEVEN = 3,     /* with --fail-on: uneven, or worse than the first */
	STATUS_WOULD_FAIL = 3, /* bind-check */
};

/* Each gets its own argv; argv[0] is "sockfair COMMAND". Returns an exit status. */
int command_run(int argc, char **argv);
int command_watch(int argc, char **argv);
int command_list(int argc, char **argv);
int command_compare(int argc, char **argv);
int command_claims(int argc, char **argv);
int command_binds(int argc, char **argv);
int command_bind_check(int argc, char **argv);
int command_doctor(int argc, char **argv);

/* CLOCK_MONOTONIC, in seconds. */
double now_seconds(void);

/* One line on stderr: "sockfair: ...". Returns STATUS_FAILED. */
int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same for a wrong call; ends the program with STATUS_USAGE. */
void usage_error(const struct argp_state *state, const char *format, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/*
 * argp_parse() of a command's whole line. What getopt says of a wrong option is the one line;
 * argp's advice after it (to err_stream) is left out. Ends the program with STATUS_USAGE on a wrong
 * call.
 */
void command_parse(const struct argp *argp, int argc, char **argv, void *input);

/* Whole number or fraction within [min, max]; anything else is a usage error that names the option.
 */
uint64_t option_count(const struct argp_state *state, const char *option, const char *text,
		      uint64_t min, uint64_t max);
double option_real(const struct argp_state *state, const char *option, const char *text, double min,
		   double max);
enum backend option_backend(const struct argp_state *state, const char *text);

/* What --fail-on was given, as bits. */
enum fail_on { FAIL_ON_UNEVEN = 1, FAIL_ON_WORSE = 2 };

/* A comma list of those that `known` has; anything else is a usage error. */
unsigned option_fail_on(const struct argp_state *state, const char *text, unsigned known);

/* STATUS_UNEVEN if the comparison is what --fail-on asks for; STATUS_FAILED after complaining where
 * that can't be told; else STATUS_OK. */
int comparison_status(const struct comparison *c, unsigned fail_on);

#endif
