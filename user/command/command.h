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
	STATUS_FAILED = 1, /* the command could not do its work */
	STATUS_USAGE = 2,
	STATUS_UNEVEN = 3,     /* with --fail-on: the result is uneven, or worse than the first */
	STATUS_WOULD_FAIL = 3, /* bind-check */
	STATUS_LEFT = 4,       /* steer: something was not left as it was found */
};

/* Each command gets its own argv; argv[0] is "sockfair COMMAND". Returns an exit status. */
int command_run(int argc, char **argv);
int command_watch(int argc, char **argv);
int command_steer(int argc, char **argv);
int command_export(int argc, char **argv);
int command_list(int argc, char **argv);
int command_compare(int argc, char **argv);
int command_claims(int argc, char **argv);
int command_binds(int argc, char **argv);
int command_bind_check(int argc, char **argv);
int command_doctor(int argc, char **argv);

/* CLOCK_MONOTONIC, in seconds. */
double now_seconds(void);

/* Prints one line on stderr: "sockfair: ...". Returns STATUS_FAILED. */
int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints the line for a wrong call and ends the program with STATUS_USAGE. */
void usage_error(const struct argp_state *state, const char *format, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/*
 * Runs argp_parse() on a command's whole line. getopt's one line about a wrong option is the only
 * message: argp's advice after it (to err_stream) is left out. A wrong call ends the program with
 * STATUS_USAGE.
 */
void command_parse(const struct argp *argp, int argc, char **argv, void *input);

/* Prints words into a table below the options of --help, which has reached column `indent`, and
 * ends the line; further lines are indented. argp itself would begin them at the margin. */
void help_words(FILE *to, const char *words, int indent);

/* Parses a whole number or a fraction within [min, max]; anything else is a usage error that names
 * the option. */
uint64_t option_count(const struct argp_state *state, const char *option, const char *text,
		      uint64_t min, uint64_t max);
double option_real(const struct argp_state *state, const char *option, const char *text, double min,
		   double max);
enum backend option_backend(const struct argp_state *state, const char *text);

/* The arguments of --fail-on, as bits. */
enum fail_on { FAIL_ON_UNEVEN = 1, FAIL_ON_WORSE = 2 };

/*
 * Parses a comma-separated list of the words that `known` allows; anything else is a usage error.
 */
unsigned option_fail_on(const struct argp_state *state, const char *text, unsigned known);

/* STATUS_UNEVEN if the comparison is what --fail-on asks for. STATUS_FAILED, after complaining, if
 * that can't be told. Otherwise STATUS_OK. */
int comparison_status(const struct comparison *c, unsigned fail_on);

#endif
