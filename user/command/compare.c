/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command compare: reads the files as sides of a comparison, judges it and prints it. */
#include "command.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../render/json.h"
#include "../render/json_reader.h"

#define FILES_MAX 100

struct compare_options {
	const char *files[FILES_MAX];
	size_t file_count;
	bool json;
	unsigned fail_on;
	const char *file;
};

enum { OPT_FAIL_ON = 1000 };

static const struct argp_option options[] = {
	{ "json", 'j', NULL, 0,
	  "One JSON document (sockfair --schema comparison), which can be compared again", 0 },
	{ "output", 'o', "FILE", 0,
	  "Write the result to FILE; an old one stays until the new one is whole", 0 },
	{ "fail-on", OPT_FAIL_ON, "uneven|worse", 0,
	  "Exit with 3 if a later side is uneven, or beyond noise worse than the first: in CV, "
	  "wait p99, or a "
	  "workload's rate; several with commas",
	  0 },
	{},
};

static error_t compare_parse(int key, char *arg, struct argp_state *state)
{
	struct compare_options *o = state->input;

	switch (key) {
	case 'j': o->json = true; break;
	case 'o': o->file = arg; break;
	case OPT_FAIL_ON:
		o->fail_on |= option_fail_on(state, arg, FAIL_ON_UNEVEN | FAIL_ON_WORSE);
		break;
	case ARGP_KEY_ARG:
		if (o->file_count == FILES_MAX)
			usage_error(state, "more than %d files", FILES_MAX);
		o->files[o->file_count++] = arg;
		break;
	case ARGP_KEY_END:
		if (!o->file_count)
			usage_error(state,
				    "name a file that sockfair ... --json wrote, or several");
		break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* Splits FILE:PORT, unless a file has that whole name. Returns the port and cuts it off the name;
 * 0: there is none. */
static uint16_t port_split(char *name)
{
	char *colon = strrchr(name, ':'), *end;
	unsigned long port;

	if (!colon || colon[1] < '0' || colon[1] > '9' || !access(name, F_OK))
		return 0;
	port = strtoul(colon + 1, &end, 10);
	if (*end || !port || port > 65535)
		return 0;
	*colon = '\0';
	return (uint16_t)port;
}

static int saved_result_read(struct comparison *c, const char *argument)
{
	char why[JSON_READER_WHY], *path = strdup(argument);
	int err;

	if (!path)
		return complain("out of memory");
	const uint16_t port = port_split(path);

	err = json_read_results(c, path, argument, port, why);
	free(path);
	return err ? complain("%s", why) : STATUS_OK;
}

static int compare_files(struct comparison *c, const struct compare_options *o, struct output *out)
{
	int status = STATUS_OK;

	for (size_t i = 0; i < o->file_count && !status; i++)
		status = saved_result_read(c, o->files[i]);
	if (status)
		return status;
	if (comparison_arrange(c) || comparison_judge(c))
		return complain("out of memory");
	status = output_open(out, o->file);
	if (status)
		return status;
	if (o->json)
		json_comparison(out->file, c);
	else
		text_compare(out->file, c, &out->style);
	return output_close(out) ? STATUS_FAILED : comparison_status(c, o->fail_on);
}

int command_compare(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = compare_parse,
		.args_doc = "FILE[:PORT]...",
		.doc = "Compares saved results (run, watch or list with --json -o FILE) side by "
		       "side: before and after a change, or the modes of one "
		       "file. FILE:PORT takes one port of a file. Needs no rights.\v"
		       "Ports of several files are matched by protocol and number, modes by name; "
		       "where each file has one, these are compared whatever they "
		       "are. Several documents of the same port or mode in one file are repeated "
		       "runs (run --repeat 5, or watch again with >>): with five "
		       "or more on each side differences are tested against noise, by permuting "
		       "the runs. A saved comparison (--json) can be compared again.",
	};
	struct compare_options o = {};
	struct comparison c = {};
	struct output out = {};
	int status;

	command_parse(&argp, argc, argv, &o);
	status = compare_files(&c, &o, &out);
	comparison_free(&c);
	return status;
}
