/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command run: runs the workload modes in rounds under observation, prints each result, and
 * compares the modes at the end. */
#include "command.h"
#include "judged.h"
#include "../experiment/trial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../model/noise.h"
#include "../render/json.h"

struct run_options {
	struct workload_options workload;
	struct trials trials;
	const struct workload_mode *modes[64];
	size_t mode_count;
	unsigned repeat;
	uint64_t requests; /* 0: depends on the protocol */
	uint16_t port;
	unsigned fail_on;
	struct judged judged;
	bool json;
	size_t rows; /* of a document; 0: as many as the document's limit allows */
	const char *file;
};

enum {
	OPT_PROCESSES = 1000,
	OPT_RATE,
	OPT_WORK,
	OPT_FLOWS,
	OPT_BIND,
	OPT_PORT,
	OPT_SERVE_ONLY,
	OPT_SLOW_WORKER,
	OPT_REPEAT,
	OPT_BACKEND,
	OPT_FAIL_ON,
	OPT_THRESHOLD,
	OPT_NO_WAIT,
	OPT_NO_SERVE,
	OPT_ROWS
};

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "The server:", 1 },
	{ "workers", 'w', "N", 0, "Workers (8)", 0 },
	{ "processes", OPT_PROCESSES, NULL, 0, "Workers are forked processes instead of threads",
	  0 },
	{ "work", OPT_WORK, "USEC", 0, "CPU time a worker spends on each request (0)", 0 },
	{ "slow-worker", OPT_SLOW_WORKER, "N", 0,
	  "Worker N (from 0) alone does ten times the work; needs --work", 0 },
	{ "bind", OPT_BIND, "ADDR", 0, "Address to listen on, IPv4 or IPv6 (127.0.0.1)", 0 },
	{ "port", OPT_PORT, "PORT", 0, "Port to listen on (the kernel picks one)", 0 },
	{ "serve-only", OPT_SERVE_ONLY, NULL, 0,
	  "No clients: bring your own load; it ends by Ctrl-C or -d", 0 },
	{ "duration", 'd', "SECONDS", 0, "End --serve-only after that long", 0 },
	{ NULL, 0, NULL, 0, "The clients:", 2 },
	{ "connections", 'n', "N", 0, "Connections (20,000) or datagrams (200,000)", 0 },
	{ "concurrency", 'C', "N", 0, "Requests outstanding at once (2); results depend on it", 0 },
	{ "rate", OPT_RATE, "N", 0,
	  "Open loop: start N requests per second, at most -C outstanding", 0 },
	{ "flows", OPT_FLOWS, "N", 0, "UDP: distinct client ports (1,024)", 0 },
	{ "repeat", OPT_REPEAT, "N", 0, "Run each mode N times (1), in turn", 0 },
	{ NULL, 0, NULL, 0, "The result:", 3 },
	{ "json", 'j', NULL, 0,
	  "One JSON document per mode, each one line (schema: sockfair --schema)", 0 },
	{ "rows", OPT_ROWS, "N", 0,
	  "Sockets, threads and holders listed at most in a JSON document, the rest added up (as "
	  "many as 8 MB hold)",
	  0 },
	{ "output", 'o', "FILE", 0,
	  "Write the result to FILE; an old one stays until the new one is whole", 0 },
	{ "fail-on", OPT_FAIL_ON, "uneven|worse", 0,
	  "Exit with 3 if the workers' verdict of a mode is uneven (the sockets' where no worker "
	  "was "
	  "seen), or a mode is beyond noise worse than the first; with 1 if that can't be told; "
	  "several with commas",
	  0 },
	{ "threshold", OPT_THRESHOLD, "X", 0, "Spread beyond chance that counts as uneven (0.20)",
	  0 },
	{ "no-wait", OPT_NO_WAIT, NULL, 0,
	  "Don't measure how long connections wait in accept queues", 0 },
	{ "no-serve", OPT_NO_SERVE, NULL, 0,
	  "Don't follow accepted connections: who reads first, what is open", 0 },
	{ "backend", OPT_BACKEND, "NAME", 0, "auto, fentry, kprobe or tracepoint (auto)", 0 },
	{},
};

static void add_mode(struct run_options *o, const struct argp_state *state, const char *name)
{
	const struct workload_mode *mode = workload_mode_find(name);
	const size_t room = sizeof(o->modes) / sizeof(o->modes[0]);

	if (!strcmp(name, "all")) {
		for (mode = workload_modes; mode->name; mode++)
			add_mode(o, state, mode->name);
		return;
	}
	if (!mode)
		usage_error(state,
			    "there is no mode '%s'; take all, or some of those that --help lists",
			    name);
	if (o->mode_count == room)
		usage_error(state, "more than %zu modes in one run", room);
	o->modes[o->mode_count++] = mode;
}

static void set_address(struct run_options *o, const struct argp_state *state, const char *text)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&o->workload.bind;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&o->workload.bind;

	memset(&o->workload.bind, 0, sizeof(o->workload.bind));
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
		v4->sin_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
		v6->sin6_family = AF_INET6;
	else
		usage_error(state, "--bind takes an IPv4 or IPv6 address, not '%s'", text);
}

/* Checks and completes the options that depend on each other. */
static void finish_parsing(struct run_options *o, const struct argp_state *state)
{
	struct workload_options *w = &o->workload;

	if (!o->mode_count)
		usage_error(state, "name a mode, several, or all");
	if (w->slow_worker >= (int)w->workers)
		usage_error(state, "--slow-worker %d: workers are numbered from 0 to %u",
			    w->slow_worker, w->workers - 1);
	if (w->slow_worker >= 0 && !w->work_us)
		usage_error(state, "--slow-worker needs --work: ten times nothing is nothing");
	if (w->serve_only && o->mode_count > 1)
		usage_error(state, "--serve-only takes one mode");
	if (o->fail_on & FAIL_ON_WORSE && (o->mode_count < 2 || o->repeat < noise_runs_needed()))
		usage_error(state,
			    "--fail-on worse compares modes with the first: it needs two or more, "
			    "and --repeat %zu or more to tell noise",
			    noise_runs_needed());
	if (o->trials.seconds_max > 0 && !w->serve_only)
		usage_error(state,
			    "--duration goes with --serve-only; otherwise -n says when a run ends");
	if (w->bind.ss_family == AF_INET)
		((struct sockaddr_in *)&w->bind)->sin_port = htons(o->port);
	else
		((struct sockaddr_in6 *)&w->bind)->sin6_port = htons(o->port);
}

static error_t run_parse(int key, char *arg, struct argp_state *state)
{
	struct run_options *o = state->input;
	struct workload_options *w = &o->workload;

	switch (key) {
	case 'w': w->workers = option_count(state, "--workers", arg, 1, WORKERS_MAX); break;
	case 'n':
		o->requests = option_count(state, "--connections", arg, 1, 1000000000000ull);
		break;
	case 'C': w->concurrency = option_count(state, "--concurrency", arg, 1, 65536); break;
	case 'd': o->trials.seconds_max = option_real(state, "--duration", arg, 0.001, 1e9); break;
	case 'j': o->json = true; break;
	case 'o': o->file = arg; break;
	case OPT_ROWS: o->rows = option_count(state, "--rows", arg, 1, UINT32_MAX); break;
	case OPT_PROCESSES: w->processes = true; break;
	case OPT_RATE: w->rate = option_real(state, "--rate", arg, 0.001, 1e8); break;
	case OPT_WORK: w->work_us = option_count(state, "--work", arg, 0, 10000000); break;
	case OPT_FLOWS: w->flows = option_count(state, "--flows", arg, 1, 28000); break;
	case OPT_BIND: set_address(o, state, arg); break;
	case OPT_PORT: o->port = option_count(state, "--port", arg, 0, 65535); break;
	case OPT_SERVE_ONLY: w->serve_only = true; break;
	case OPT_SLOW_WORKER:
		w->slow_worker = option_count(state, "--slow-worker", arg, 0, WORKERS_MAX - 1);
		break;
	case OPT_REPEAT: o->repeat = option_count(state, "--repeat", arg, 1, 1000); break;
	case OPT_NO_WAIT: o->trials.no_waits = true; break;
	case OPT_NO_SERVE: o->trials.no_serving = true; break;
	case OPT_BACKEND: o->trials.backend = option_backend(state, arg); break;
	case OPT_THRESHOLD:
		o->trials.threshold = option_real(state, "--threshold", arg, 0.001, 1000);
		break;
	case OPT_FAIL_ON:
		o->fail_on |= option_fail_on(state, arg, FAIL_ON_UNEVEN | FAIL_ON_WORSE);
		break;
	case ARGP_KEY_ARG: add_mode(o, state, arg); break;
	case ARGP_KEY_END: finish_parsing(o, state); break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* Adds the table of modes below the options of --help. */
static char *modes_help(int key, const char *text, void *input)
{
	char *modes = NULL;
	size_t size;
	FILE *f;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	f = open_memstream(&modes, &size);
	if (!f)
		return (char *)text;
	fputs("Modes (server designs):\n", f);
	for (const struct workload_mode *m = workload_modes; m->name; m++) {
		fprintf(f, "  %-24s ", m->name);
		help_words(f, m->design, 27);
	}
	fclose(f);
	return modes;
}

static int report(struct run_options *o, struct output *out, struct snapshot *s, const char *design)
{
	const struct workload_account *w = &s->workload;

	if (o->json && json_snapshot_limited(out->file, s, o->rows) == -ENOMEM)
		return complain("out of memory");
	if (!o->json)
		text_result(out->file, s, design, &out->style);
	if (output_flush(out))
		return STATUS_FAILED;
	if (!*w->skipped && !w->agrees)
		return complain("%s: %s", w->mode, w->disagreement);
	if (s->endpoint_count)
		judged_add(&o->judged, w->mode, endpoint_decide(&s->endpoints[0]),
			   s->endpoints[0].design.words);
	return STATUS_OK;
}

/* Combines two exit statuses: a failure is worse than uneven. */
static int worse(int a, int b)
{
	return a == STATUS_FAILED || b == STATUS_FAILED ? STATUS_FAILED : a ? a : b;
}

static int run_all(struct run_options *o, struct output *out, struct snapshot *results,
		   size_t *done)
{
	int status = STATUS_OK;
	char why[256];

	/* Runs go in rounds, one run of each mode. The machine's own drift then affects all modes
	 * alike, and does not look like a difference between them. */
	for (size_t i = 0; i < o->mode_count * o->repeat && !interrupted; i++) {
		const struct workload_mode *mode = o->modes[i % o->mode_count];

		o->workload.mode = mode;
		o->workload.requests = o->requests                      ? o->requests
				       : mode->protocol == PROTOCOL_UDP ? 200000
									: 20000;
		if (trial_run(&o->trials, &o->workload, &results[i], why, sizeof(why)))
			return complain("%s", why);
		*done = i + 1;
		status = worse(status, report(o, out, &results[i], mode->design));
	}
	return interrupted == 2 ? STATUS_FAILED : status;
}

/* Compares the modes at the end and prints them beside each other. */
static int compare_modes(const struct run_options *o, struct output *out,
			 const struct snapshot *results, size_t done)
{
	const bool shown = done > 1 && !o->json && interrupted < 2;
	struct comparison c = {};
	int status = STATUS_OK;

	if (!shown && !(o->fail_on & FAIL_ON_WORSE && done))
		return STATUS_OK;
	if (comparison_of_runs(&c, results, done, o->mode_count))
		status = complain("out of memory");
	else if (shown)
		text_comparison(out->file, results, done, o->mode_count, &c, &out->style);
	if (!status)
		status = comparison_status(&c, o->fail_on & FAIL_ON_WORSE);
	comparison_free(&c);
	return status;
}

int command_run(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = run_parse,
		.args_doc = "MODE... | all",
		.doc = "Runs a server design with clients on loopback, counts in the kernel who "
		       "gets the work, and prints how fair "
		       "that was.\v",
		.help_filter = modes_help,
	};
	struct run_options o = {
		.workload = { .workers = 8, .concurrency = 2, .flows = 1024, .slow_worker = -1 },
		.trials = { .backend = BACKEND_AUTO,
			    .threshold = FAIRNESS_THRESHOLD,
			    .progress = isatty(STDERR_FILENO),
			    .interrupted = &interrupted },
		.repeat = 1,
	};
	struct sockaddr_in *address = (struct sockaddr_in *)&o.workload.bind;
	struct snapshot *results;
	struct output out;
	size_t done = 0;
	int status;

	address->sin_family = AF_INET;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	command_parse(&argp, argc, argv, &o);
	results = calloc(o.mode_count * o.repeat, sizeof(*results));
	if (!results)
		return complain("out of memory");
	status = output_open(&out, o.file);
	if (status)
		goto out;
	status = run_all(&o, &out, results, &done);
	status = worse(status, compare_modes(&o, &out, results, done));
	if (o.fail_on & FAIL_ON_UNEVEN && status != STATUS_FAILED)
		status = worse(status, judged_status(&o.judged));
	trials_end(&o.trials);
	status = worse(status, output_close(&out));
out:
	for (size_t i = 0; i < done; i++)
		snapshot_free(&results[i]);
	free(results);
	return status;
}
