/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whatever follows an option of the filter: it is taken, within the limits of a selection, or the
 * program would end with status 1 or 2. */
#include <limits.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../user/command/command.h"
#include "../../user/command/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define WORDS_MAX 8

static jmp_buf over;
static int over_status;

/* What exit() is in filter.c and command.c here. */
void __attribute__((noreturn)) fuzz_exit(int status)
{
	over_status = status;
	longjmp(over, 1);
}

/* Part of user/collect, and of no filter. */
enum backend backend_parse(const char *name)
{
	(void)name;
	return BACKEND_AUTO;
}

static void expect(bool it, const char *what)
{
	if (it)
		return;
	fprintf(stderr, "not so: %s\n", what);
	abort();
}

static void within_limits(const struct selection *s)
{
	expect(s->port_count <= SELECTION_MAX && s->pid_count <= SELECTION_MAX &&
		       s->comm_count <= SELECTION_MAX && s->cgroup_count <= SELECTION_MAX &&
		       s->netns_count <= SELECTION_NETNS_MAX,
	       "no more than there is room for");
	for (size_t i = 0; i < s->port_count; i++)
		expect(s->ports[i], "no port 0");
	for (size_t i = 0; i < s->comm_count; i++)
		expect(strnlen(s->comms[i], sizeof(s->comms[i])) < sizeof(s->comms[i]),
		       "a name ends");
	for (size_t i = 0; i < s->cgroup_count; i++)
		expect(*s->cgroups[i] == '/' && strnlen(s->cgroups[i], PATH_MAX) < PATH_MAX,
		       "a path begins and ends");
}

/* Words are divided by NULs. The first byte of each picks the option. */
static int words_of(char *text, size_t size, char *argv[WORDS_MAX * 2 + 2])
{
	static char *const options[] = { "-P", "-p", "--comm", "-c", "-N",
					 "-4", "-6", "-t",     "-u", "--port" };
	int argc = 0;

	argv[argc++] = "sockfair list";
	for (char *at = text; at < text + size && argc < WORDS_MAX * 2; at += strlen(at) + 1) {
		const unsigned char which =
			(unsigned char)*at % (sizeof(options) / sizeof(*options));

		argv[argc++] = options[which];
		if (which < 5 || which == 9)
			argv[argc++] = *at ? at + 1 : at;
	}
	argv[argc] = NULL;
	return argc;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	if (key == ARGP_KEY_INIT)
		state->child_inputs[0] = state->input;
	return key == ARGP_KEY_INIT ? 0 : ARGP_ERR_UNKNOWN;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const struct argp_child children[] = { { .argp = &filter_argp }, {} };
	static const struct argp argp = { .parser = parse, .children = children };
	static struct selection s;
	char *argv[WORDS_MAX * 2 + 2], said[64], whole[4096];
	char *volatile text = malloc(size + 1);

	memcpy(text, bytes, size);
	text[size] = '\0';
	memset(&s, 0, sizeof(s));
	over_status = 0;
	if (!setjmp(over)) {
		const int argc = words_of(text, size, argv);

		over_status = argp_parse(&argp, argc, argv,
					 ARGP_NO_EXIT | ARGP_NO_HELP | ARGP_NO_ERRS, NULL, &s)
				      ? STATUS_USAGE
				      : 0;
	}
	expect(over_status >= 0 && over_status <= STATUS_USAGE, "a status");
	within_limits(&s);
	if (!over_status) {
		filter_check(&s);
		filter_text(&s, said, sizeof(said));
		expect(strlen(said) < sizeof(said), "cut to what there is room for");
		filter_text(&s, whole, sizeof(whole));
		expect(*whole && !strncmp(said, whole, strlen(said)), "cut, and no other");
	}
	free(text);
	return 0;
}
