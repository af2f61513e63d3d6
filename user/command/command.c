/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all commands use: lines on stderr, parsing of the command line and of option values, and the
 * exit status of a comparison. */
#include "command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../model/noise.h"
#include "../render/table.h"
#include "judged.h"

double now_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Prints one line. What it says may hold any bytes, because it may quote an argument, a name in a
 * file or the kernel. */
static void say_line(const char *begin, const char *format, va_list args, const char *end)
{
	char *text = NULL, *safe;
	int length = vasprintf(&text, format, args);

	safe = length < 0 ? NULL : malloc(length + 1);
	fprintf(stderr, "%s%s%s\n", begin,
		safe ? text_name(safe, text, length, true) : "out of memory", end);
	free(safe);
	if (length >= 0)
		free(text);
}

int complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_line("sockfair: ", format, args, "");
	va_end(args);
	return STATUS_FAILED;
}

void usage_error(const struct argp_state *state, const char *format, ...)
{
	char begin[80], end[80];
	va_list args;

	snprintf(begin, sizeof(begin), "%s: ", state->name);
	snprintf(end, sizeof(end), "; see %s --help", state->name);
	va_start(args, format);
	say_line(begin, format, args, end);
	va_end(args);
	exit(STATUS_USAGE);
}

static argp_parser_t command_parser;

static error_t parse_and_say_once(int key, char *arg, struct argp_state *state)
{
	if (key == ARGP_KEY_INIT && !(state->err_stream = fopen("/dev/null", "we")))
		return errno;
	return command_parser(key, arg, state);
}

/*
 * The write() of a FILE that cleans a line and passes it on: nothing goes to a terminal unchecked.
 */
static ssize_t pass_line(void *to, const char *bytes, size_t size)
{
	const size_t length = size && bytes[size - 1] == '\n' ? size - 1 : size;
	char *safe = malloc(length + 1);

	fprintf(to, "%s%s", safe ? text_name(safe, bytes, length, true) : "",
		length < size ? "\n" : "");
	free(safe);
	return size;
}

/*
 * getopt() itself writes to stderr that an option does not exist, so stderr is replaced meanwhile.
 */
void command_parse(const struct argp *argp, int argc, char **argv, void *input)
{
	FILE *before = stderr,
	     *lines = fopencookie(before, "w", (cookie_io_functions_t){ .write = pass_line });
	struct argp own = *argp;
	int err;

	command_parser = argp->parser;
	own.parser = parse_and_say_once;
	if (lines) {
		setvbuf(lines, NULL, _IOFBF,
			BUFSIZ); /* everything is written as one line, at the end */
		stderr = lines;
	}
	err = argp_parse(&own, argc, argv, 0, NULL, input);
	stderr = before;
	if (lines)
		fclose(lines);
	if (err)
		exit(complain("cannot read the options: %s", strerror(err)));
}

void help_words(FILE *to, const char *words, int indent)
{
	static const struct text_style style = { .width = 78 };

	text_wrapped(to, words, indent, indent, TEXT_BREAK_WORDS, &style);
	fputc('\n', to);
}

uint64_t option_count(const struct argp_state *state, const char *option, const char *text,
		      uint64_t min, uint64_t max)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || n < min || n > max)
		usage_error(state, "%s takes a whole number from %llu to %llu, not '%s'", option,
			    (unsigned long long)min, (unsigned long long)max, text);
	return n;
}

double option_real(const struct argp_state *state, const char *option, const char *text, double min,
		   double max)
{
	char *end;
	double n;

	errno = 0;
	n = strtod(text, &end);
	if (!*text || *end || errno || !(n >= min && n <= max))
		usage_error(state, "%s takes a number from %.10g to %.10g, not '%s'", option, min,
			    max, text);
	return n;
}

enum backend option_backend(const struct argp_state *state, const char *text)
{
	enum backend b = backend_parse(text);

	if (b > BACKEND_AUTO)
		usage_error(state, "there is no backend '%s': auto, fentry, kprobe or tracepoint",
			    text);
	return b;
}

static const struct {
	const char *name;
	unsigned bit;
} fail_ons[] = { { "uneven", FAIL_ON_UNEVEN }, { "worse", FAIL_ON_WORSE } };

unsigned option_fail_on(const struct argp_state *state, const char *text, unsigned known)
{
	unsigned wanted = 0;

	for (const char *at = text;; at++) {
		const size_t length = strcspn(at, ",");
		unsigned bit = 0;

		for (size_t i = 0; i < sizeof(fail_ons) / sizeof(*fail_ons); i++)
			if (strlen(fail_ons[i].name) == length &&
			    !strncmp(at, fail_ons[i].name, length))
				bit = fail_ons[i].bit & known;
		if (!bit)
			usage_error(state, "--fail-on takes %s, not '%.*s'",
				    known & FAIL_ON_WORSE ? "'uneven', 'worse' or both with a comma"
							  : "'uneven'",
				    (int)length, at);
		wanted |= bit;
		at += length;
		if (!*at)
			return wanted;
	}
}

/* "reuseport", "tcp 0.0.0.0:80" */
static void subject_name(char *name, size_t size, const struct comparison *c,
			 const struct comparison_subject *subject)
{
	const struct comparison_key *key = NULL;

	for (size_t i = 0; i < c->side_count && !key; i++)
		key = subject->cells[i] ? &subject->cells[i]->key : NULL;
	if (!key || *key->mode)
		snprintf(name, size, "%s", key ? key->mode : "");
	else
		snprintf(name, size, strchr(key->address, ':') ? "%s [%s]:%u" : "%s %s:%u",
			 key->protocol == PROTOCOL_UDP ? "udp" : "tcp", key->address, key->port);
}

/* Says why it can't be told whether a side is worse than the first. */
static int complain_worse(const struct comparison *c, enum worse worse,
			  const struct worse_where *where)
{
	const size_t needed = noise_runs_needed();
	char raw[160], subject[sizeof(raw) + 1] = "", side[256] = "", quiet[48] = "";

	if (worse == WORSE_NO_PAIR)
		return complain("cannot tell whether it is worse: there is nothing beside the "
				"first side's results; take ports with FILE:PORT");
	subject_name(raw, sizeof(raw), c, where->subject);
	text_name(subject, raw, sizeof(raw) - 1, true);
	text_name(side, c->sides[where->side].name, sizeof(side) - 1, true);
	if (worse == WORSE_LOST)
		return complain("cannot tell whether it is worse: events of %s were not counted in "
				"%zu of %zu run%s of %s; narrow the filter of watch",
				subject, where->runs, where->runs_all,
				where->runs_all == 1 ? "" : "s", side);
	if (worse == WORSE_MISSING)
		return complain("cannot tell whether it is worse: %s has no %s of %s to compare; "
				"leave it out with FILE:PORT, or measure again",
				side, metrics[where->metric].label, subject);
	if (worse == WORSE_DISAGREES)
		return complain("cannot tell whether it is worse: kernel, server and clients of %s "
				"did not count the same in %s; run it again",
				subject, side);
	if (where->quiet)
		snprintf(quiet, sizeof(quiet), " (%zu had no traffic)", where->quiet);
	return complain("cannot tell whether it is worse: %s has %s of %s in %zu of %zu run%s%s, "
			"too few to test: %zu of each side would do; "
			"use run --repeat %zu, or %zu windows in one file",
			side, metrics[where->metric].label, subject, where->runs, where->runs_all,
			where->runs_all == 1 ? "" : "s", quiet, needed, needed, needed);
}

int comparison_status(const struct comparison *c, unsigned fail_on)
{
	struct worse_where where = {};
	const enum worse worse = fail_on & FAIL_ON_WORSE ? comparison_worse(c, &where) : WORSE_NOT;
	struct judged judged = {};

	if (fail_on & FAIL_ON_UNEVEN)
		judged_add_comparison(&judged, c);
	if (worse == WORSE_TOLD || judged.uneven)
		return STATUS_UNEVEN;
	if (judged.untold)
		return judged_status(&judged);
	return worse == WORSE_NOT ? judged_status(&judged) : complain_worse(c, worse, &where);
}
