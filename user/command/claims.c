/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command claims: runs the claims that the user named, or all, and prints a verdict on each. */
#include "command.h"
#include "../experiment/claims.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../collect/observer.h"
#include "../render/claims.h"

struct claims_request {
	struct claims_options claims;
	bool wanted[CLAIMS_MAX];
	bool some; /* claims were named; otherwise all are run */
	bool json;
	const char *file;
	struct output out;
};

enum { OPT_QUICK = 1000, OPT_BACKEND };

static const struct argp_option options[] = {
	{ "quick", OPT_QUICK, NULL, 0, "Skip the claim that takes a minute", 0 },
	{ "connections", 'n', "N", 0,
	  "Connections or datagrams of each load (5,000); it takes a thousand to tell even from "
	  "uneven",
	  0 },
	{ "json", 'j', NULL, 0, "One JSON document (schema: sockfair --schema claims)", 0 },
	{ "output", 'o', "FILE", 0,
	  "Write the result to FILE; an old one stays until the new one is whole", 0 },
	{ "backend", OPT_BACKEND, "NAME", 0, "auto, fentry, kprobe or tracepoint (auto)", 0 },
	{},
};

static void add_claim(struct claims_request *q, const struct argp_state *state, const char *name)
{
	const int i = claim_find(name);

	if (i < 0)
		usage_error(state,
			    "there is no claim '%s'; name none for all, or some of those that "
			    "--help lists",
			    name);
	q->wanted[i] = true;
	q->some = true;
}

static error_t claims_parse(int key, char *arg, struct argp_state *state)
{
	struct claims_request *q = state->input;

	switch (key) {
	case 'n':
		q->claims.requests = option_count(state, "--connections", arg, 1000, 10000000);
		break;
	case 'j': q->json = true; break;
	case 'o': q->file = arg; break;
	case OPT_QUICK: q->claims.quick = true; break;
	case OPT_BACKEND: q->claims.backend = option_backend(state, arg); break;
	case ARGP_KEY_ARG: add_claim(q, state, arg); break;
	case ARGP_KEY_END:
		for (int i = 0; claims[i].name && !q->some; i++)
			q->wanted[i] = true;
		break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* Adds the table of claims below the options of --help. */
static char *claims_help(int key, const char *text, void *input)
{
	char *table = NULL;
	size_t size;
	FILE *f;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	f = open_memstream(&table, &size);
	if (!f)
		return (char *)text;
	fputs("Claims:\n", f);
	for (const struct claim *c = claims; c->name; c++) {
		fprintf(f, "  %s\n      ", c->name);
		help_words(f, c->sentence, 6);
	}
	fclose(f);
	return table;
}

/* Shows a claim as soon as it is judged. Only text comes one by one. */
static void claim_show(const struct claim_result *r, void *context)
{
	struct claims_request *q = context;

	if (q->json)
		return;
	text_claim(q->out.file, r, &q->out.style);
	output_flush(&q->out);
}

static int run(struct claims_request *q, struct claim_report *report)
{
	struct claim_lab *lab;
	char why[256];
	int err = claims_open(&lab, &q->claims, why, sizeof(why));

	if (err)
		return complain("%s", why);
	err = claims_run(lab, q->wanted, report, claim_show, q);
	claims_close(lab);
	if (err)
		return complain("out of memory");
	if (interrupted == 2) /* the output could not be written, and the user has been told */
		return STATUS_FAILED;
	if (q->json)
		json_claims(q->out.file, report);
	else
		text_claims_end(q->out.file, report, &q->out.style);
	return STATUS_OK;
}

int command_claims(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = claims_parse,
		.args_doc = "[CLAIM...]",
		.doc = "Tests what textbooks claim about SO_REUSEADDR and SO_REUSEPORT on this "
		       "very kernel, by experiments on real sockets in a "
		       "private network namespace, and says for each claim whether it holds, "
		       "partly holds or fails, with the figures.\v",
		.help_filter = claims_help,
	};
	struct claims_request q = {
		.claims = { .backend = BACKEND_AUTO,
			    .requests = 5000,
			    .progress = isatty(STDERR_FILENO),
			    .interrupted = &interrupted },
	};
	struct claim_report report = {};
	int status;

	command_parse(&argp, argc, argv, &q);
	report.results = calloc(CLAIMS_MAX, sizeof(*report.results));
	if (!report.results)
		return complain("out of memory");
	status = output_open(&q.out, q.file);
	if (!status) {
		status = run(&q, &report);
		if (output_close(&q.out))
			status = STATUS_FAILED;
	}
	free(report.results);
	return status;
}
