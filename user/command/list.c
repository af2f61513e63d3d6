/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command list: takes an inventory of the selected sockets, judges it and prints it. */
#include "command.h"

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "../model/findings.h"
#include "../model/judge.h"
#include "../render/json.h"
#include "filter.h"
#include "listing.h"

struct list_options {
	struct selection selection;
	bool json;
	size_t rows; /* of a document; 0: as many as the document's limit allows */
	const char *file;
};

enum { OPT_ROWS = 1000 };

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "The result:", 2 },
	{ "json", 'j', NULL, 0, "One JSON document (schema: sockfair --schema)", 0 },
	{ "rows", OPT_ROWS, "N", 0,
	  "Sockets, threads and holders listed at most in a JSON document, the rest added up (as "
	  "many as 8 MB hold)",
	  0 },
	{ "output", 'o', "FILE", 0,
	  "Write the result to FILE; an old one stays until the new one is whole", 0 },
	{},
};

static error_t list_parse(int key, char *arg, struct argp_state *state)
{
	struct list_options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT: state->child_inputs[0] = &o->selection; break;
	case 'j': o->json = true; break;
	case 'o': o->file = arg; break;
	case OPT_ROWS: o->rows = option_count(state, "--rows", arg, 1, UINT32_MAX); break;
	case ARGP_KEY_ARG:
		usage_error(state, "takes no argument, but got '%s'; -P PORT filters", arg);
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static int fill(const struct selection *selection, struct snapshot *s, char *why, size_t size)
{
	int err;

	snprintf(why, size, "out of memory"); /* unless a step says more */
	err = listing_fill(selection, s, why, size);
	for (size_t i = 0; i < s->endpoint_count && !err; i++)
		err = endpoint_judge(&s->endpoints[i], FAIRNESS_THRESHOLD);
	if (!err)
		err = findings_fill(s);
	return err;
}

int command_list(int argc, char **argv)
{
	static const struct argp_child children[] = { { &filter_argp, 0, NULL, 0 }, {} };
	static const struct argp argp = {
		.options = options,
		.parser = list_parse,
		.doc = "Lists which sockets share which ports, who holds them and who waits on "
		       "them, how deep their queues are, and what looks "
		       "wrong: TCP listeners and bound UDP sockets of all network namespaces. With "
		       "-P also who has a port and gets nothing of what comes to it: TCP "
		       "sockets that do not listen, and the kernel's own for tunnels.",
		.children = children,
	};
	struct list_options o = {};
	struct snapshot s = { .final = true };
	struct timespec time;
	struct utsname name;
	struct output out;
	char why[512];
	int status;

	command_parse(&argp, argc, argv, &o);
	status = filter_check(&o.selection);
	if (!status)
		status = output_open(&out, o.file);
	if (status)
		return status;
	uname(&name);
	snprintf(s.release, sizeof(s.release), "%s", name.release);
	clock_gettime(CLOCK_REALTIME, &time);
	s.start_ms = time.tv_sec * 1000LL + time.tv_nsec / 1000000;
	if (fill(&o.selection, &s, why, sizeof(why)))
		status = complain("%s", why);
	else if (o.json && json_snapshot_limited(out.file, &s, o.rows) == -ENOMEM)
		status = complain("out of memory");
	else if (!o.json)
		text_list(out.file, &s, &out.style);
	snapshot_free(&s);
	return output_close(&out) ? STATUS_FAILED : status;
}
