/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command watch: attaches the observer, looks at the inventory now and then, and shows the
 * difference between two snapshots at the end of each interval, as text, JSON or a full-screen
 * view.
 */
#include "command.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../collect/observer.h"
#include "../model/aside.h"
#include "../render/json.h"
#include "../render/terminal.h"
#include "filter.h"
#include "judged.h"
#include "listing.h"
#include "looks.h"
#include "window.h"

#define QUIET_MAX 256       /* up to so many, sockets without events are listed in each interval */
#define SAMPLE_SECONDS 0.25 /* how often to look who waits, while work arrives */
#define INTERVAL_MAX 600    /* a larger first argument is taken for a port; -i takes any */
#define SCAN_IDLE_SECONDS 5 /* how often to look at the inventory while nothing arrives */
#define SCAN_SHARE                                                                                 \
	0.02 /* the share of a core that looks may take while work arrives: with many thousand     \
		sockets the looks come less often */

struct watch_options {
	struct selection selection;
	enum backend backend;
	enum text_by by;
	double interval, duration; /* seconds; 0: not given */
	uint64_t count;            /* intervals; 0: no limit */
	double threshold;
	bool json, plain, fail_on_uneven, no_wait, no_serve, own_cost;
	const char *file;
	size_t rows; /* of a document; 0: as many as the document's limit allows */
	unsigned positional;
};

/* A watch under way. Its snapshots cover the window since the start, or since the user's last
 * reset. */
struct watch {
	const struct watch_options *o;
	struct observer *observer;
	struct terminal *live; /* NULL: tables or JSON */
	struct output out;
	struct snapshot
		base; /* what was counted up to the last reset; no endpoints: there was none */
	struct snapshot before; /* the total at the end of the last interval */
	bool has_base, has_before;
	double started; /* CLOCK_MONOTONIC */
	struct looks looks;
	struct judged judged; /* the decisions on the whole window */
	char filter[512];
};

enum {
	OPT_BY = 1000,
	OPT_BACKEND,
	OPT_FAIL_ON,
	OPT_THRESHOLD,
	OPT_PLAIN,
	OPT_NO_WAIT,
	OPT_NO_SERVE,
	OPT_OWN_COST,
	OPT_ROWS
};

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "How long, how often:", 2 },
	{ "interval", 'i', "SECONDS", 0, "A table (or JSON document) per interval (1)", 0 },
	{ "duration", 'd', "SECONDS", 0,
	  "End after that long; Ctrl-C ends it earlier, with the result so far", 0 },
	{ NULL, 0, NULL, 0, "The result:", 3 },
	{ "by", OPT_BY, "WHAT", 0,
	  "Rows of the table: process, thread or socket (workers, and sockets where they share)",
	  0 },
	{ "plain", OPT_PLAIN, NULL, 0, "Tables also on a terminal, not the full-screen view", 0 },
	{ "json", 'j', NULL, 0,
	  "JSON, one document per line: with -i one per interval; a last one for the whole window",
	  0 },
	{ "rows", OPT_ROWS, "N", 0,
	  "Sockets, threads and holders listed at most in a JSON document, the rest added up (as "
	  "many as 8 MB hold)",
	  0 },
	{ "output", 'o', "FILE", 0,
	  "Write the result to FILE; an old one stays until the new one is whole", 0 },
	{ "fail-on", OPT_FAIL_ON, "uneven", 0,
	  "Exit with 3 if the workers' verdict of a port is uneven in the end (the sockets' where "
	  "no worker was seen), with 1 if that can't be told of one: nothing came (to each port of "
	  "-P), too little, or counts were lost",
	  0 },
	{ "threshold", OPT_THRESHOLD, "X", 0, "Spread beyond chance that counts as uneven (0.20)",
	  0 },
	{ "no-wait", OPT_NO_WAIT, NULL, 0,
	  "Don't measure how long connections wait in accept queues", 0 },
	{ "no-serve", OPT_NO_SERVE, NULL, 0,
	  "Don't follow accepted connections: who reads first, what is open", 0 },
	{ "own-cost", OPT_OWN_COST, NULL, 0,
	  "Let the kernel measure what sockfair's own programs take, and say it; measuring costs, "
	  "too",
	  0 },
	{ "backend", OPT_BACKEND, "NAME", 0, "auto, fentry, kprobe or tracepoint (auto)", 0 },
	{},
};

static enum text_by parse_by(const struct argp_state *state, const char *text)
{
	if (!strcmp(text, "process"))
		return TEXT_BY_PROCESS;
	if (!strcmp(text, "thread"))
		return TEXT_BY_THREAD;
	if (!strcmp(text, "socket"))
		return TEXT_BY_SOCKET;
	usage_error(state, "--by takes process, thread or socket, not '%s'", text);
}

/* Parses the arguments [interval [count]], as vmstat has them. */
static void positional(struct watch_options *o, const struct argp_state *state, const char *arg)
{
	if (o->positional == 0)
		o->interval = option_real(state, "interval", arg, 0.05, 1e9);
	else if (o->positional == 1)
		o->count = option_count(state, "count", arg, 1, 1000000000);
	else
		usage_error(state, "takes [interval [count]], but got '%s' as well", arg);
	if (o->positional == 0 && o->interval > INTERVAL_MAX && o->interval < 65536)
		usage_error(
			state,
			"'%s' would be an interval of that many seconds; for the port use -P %s",
			arg, arg);
	o->positional++;
}

static error_t watch_parse(int key, char *arg, struct argp_state *state)
{
	struct watch_options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT: state->child_inputs[0] = &o->selection; break;
	case 'i': o->interval = option_real(state, "--interval", arg, 0.05, 1e9); break;
	case 'd': o->duration = option_real(state, "--duration", arg, 0.001, 1e9); break;
	case 'j': o->json = true; break;
	case 'o': o->file = arg; break;
	case OPT_ROWS: o->rows = option_count(state, "--rows", arg, 1, UINT32_MAX); break;
	case OPT_PLAIN: o->plain = true; break;
	case OPT_BY: o->by = parse_by(state, arg); break;
	case OPT_NO_WAIT: o->no_wait = true; break;
	case OPT_NO_SERVE: o->no_serve = true; break;
	case OPT_OWN_COST: o->own_cost = true; break;
	case OPT_BACKEND: o->backend = option_backend(state, arg); break;
	case OPT_THRESHOLD:
		o->threshold = option_real(state, "--threshold", arg, 0.001, 1000);
		break;
	case OPT_FAIL_ON:
		option_fail_on(state, arg, FAIL_ON_UNEVEN);
		o->fail_on_uneven = true;
		break;
	case ARGP_KEY_ARG: positional(o, state, arg); break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* Reads all that was counted since the start, or since the last reset. */
static int read_total(struct watch *w, struct snapshot *total, bool final)
{
	const bool quiet = observer_found(w->observer, 0) <= QUIET_MAX || (final && w->o->json);
	struct snapshot all;
	int err = observer_read(w->observer, w->has_base ? &all : total, quiet);

	if (!err && w->has_base) {
		err = snapshot_difference(total, &all, &w->base);
		snapshot_free(&all);
	}
	return err ? err : snapshot_set_aside(total, w->o->selection.port_count);
}

static int window_show(struct watch *w, struct snapshot *window, const struct snapshot *total)
{
	int err = 0;

	if (w->live && total)
		err = terminal_show(w->live, window, total);
	else if (w->o->json)
		err = json_snapshot_limited(w->out.file, window, w->o->rows) == -ENOMEM ? -ENOMEM
											: 0;
	else
		text_window(w->out.file, window, total, w->o->by, &w->out.style);
	if (!err && !w->live && output_flush(&w->out))
		err = -EIO; /* the user has been told */
	return err;
}

/* Ends an interval: shows what happened in it, beside everything since the start. */
static int interval_end(struct watch *w)
{
	struct snapshot total = {}, interval = {};
	int err = looks_scan(&w->looks, false);

	if (!err)
		err = read_total(w, &total, false);
	if (!err)
		err = window_take(&interval, &total, &w->before, w->o->threshold);
	if (!err && !w->o->json) /* a document of an interval has nothing of the whole window */
		err = window_judge(&total, w->o->threshold);
	if (!err)
		err = window_show(w, &interval, &total);
	snapshot_free(&interval);
	if (err) {
		snapshot_free(&total);
		return err;
	}
	snapshot_free(&w->before);
	snapshot_bring_back(&total);
	w->before = total;
	return 0;
}

/* Begins counting anew for the user: from now on the difference to the present counts is shown. */
static int reset(struct watch *w)
{
	struct snapshot all;
	int err = observer_read(w->observer, &all, observer_found(w->observer, 0) <= QUIET_MAX);

	if (err)
		return err;
	snapshot_free(&w->base);
	snapshot_free(&w->before);
	w->base = all;
	w->has_base = true;
	err = read_total(w, &w->before, false);
	snapshot_bring_back(&w->before);
	return err;
}

static int window_end(struct watch *w)
{
	struct snapshot total = {};
	int err = looks_scan(&w->looks, true);

	if (!err)
		err = read_total(w, &total, true);
	if (!err)
		err = window_judge(&total, w->o->threshold);
	if (!err)
		judged_add_ports(&w->judged, &total, w->o->selection.ports,
				 w->o->selection.port_count);
	total.final = true;
	if (!err)
		err = window_show(w, &total, NULL);
	snapshot_free(&total);
	return err;
}

/* Waits until this time of CLOCK_MONOTONIC and meanwhile samples who waits. Returns TERMINAL_QUIT
 * when interrupted. */
static enum terminal_event watch_wait(struct watch *w, double end, int *err)
{
	enum terminal_event event = TERMINAL_TIMEOUT;
	double left;

	while (!interrupted && !*err && event == TERMINAL_TIMEOUT &&
	       (left = end - now_seconds()) > 0) {
		/* Waits only a short while: a signal may come just before the wait. */
		const double part = left < LOOKS_RELIEF_SECONDS ? left : LOOKS_RELIEF_SECONDS;

		if (w->live)
			event = terminal_wait(w->live, part);
		else
			poll(NULL, 0, part * 1000 + 1);
		if (event != TERMINAL_TIMEOUT)
			break;
		*err = looks_keep(&w->looks, end);
	}
	return interrupted ? TERMINAL_QUIT : event;
}

/* Returns the seconds of an interval; 0: the window has none. */
static double interval_of(const struct watch_options *o, bool live)
{
	if (o->interval > 0)
		return o->interval;
	return live || (!o->duration && !o->json) ? 1 : 0;
}

static int watch_loop(struct watch *w)
{
	const struct watch_options *o = w->o;
	const double interval = interval_of(o, w->live);
	const double end = o->duration > 0 ? w->started + o->duration : 0;
	double next = w->started;
	bool last = false;
	int err = 0;

	for (uint64_t n = 1; !err && !last; n++) {
		enum terminal_event event;

		do
			next = interval ? next + interval : end ? end : w->started + 1e9;
		while (interval &&
		       next < now_seconds()); /* the last interval took longer than it should */
		if (end && next > end)
			next = end;
		while ((event = watch_wait(w, next, &err)) == TERMINAL_RESET && !err)
			err = reset(w);
		last = event == TERMINAL_QUIT || (end && next >= end) || n == o->count;
		if (last) /* stopped, so that the intervals add up to the whole */
			observer_stop(w->observer);
		if (interval && !err)
			err = interval_end(w);
	}
	return err;
}

/* Says what is watched, and what of it does not exist yet: a wrong port looks like an idle one. */
static void say_what_is_watched(const struct watch *w, char *missing, size_t size)
{
	struct selection asked = w->o->selection;
	struct snapshot found = {};
	char why[512];

	*missing = 0;
	asked.port_count = 0;
	for (size_t i = 0; i < w->o->selection.port_count; i++)
		if (!observer_found(w->observer, w->o->selection.ports[i]))
			asked.ports[asked.port_count++] = w->o->selection.ports[i];
	/* If the listing fails too, no socket is found and nothing more is said. */
	if (asked.port_count) {
		listing_fill(&asked, &found, why, sizeof(why));
		listing_explain(missing, size, &found, asked.ports, asked.port_count);
		snapshot_free(&found);
	} else if (!observer_found(w->observer, 0)) {
		snprintf(missing, size, "no socket is what the filter asks for (%s) yet: waiting",
			 w->filter);
	}
	if (!w->live && *missing)
		fprintf(stderr, "sockfair: %s\n", missing);
	if (!w->live)
		fprintf(stderr, "watching %s, backend %s%s\n", w->filter,
			backend_name(observer_backend(w->observer)),
			w->o->duration || w->o->count ? "" : "; Ctrl-C ends with the result");
}

static int watch_begin(struct watch *w)
{
	const struct watch_options *o = w->o;
	const char *rows = getenv("SOCKFAIR_ROWS"), *connections = getenv("SOCKFAIR_CONNECTIONS");
	const struct observer_options wanted = {
		.backend = o->backend,
		.selection = o->selection,
		.by_port = o->selection.port_count,
		.inventory = true,
		.before = true,
		.no_waits = o->no_wait,
		.no_serving = o->no_serve,
		.own_cost = o->own_cost,
		.rows_max = rows ? strtoul(rows, NULL, 10) : 0,
		.connections_max = connections ? strtoul(connections, NULL, 10) : 0
	};
	const struct terminal_end end = { interrupt_ask, &interrupted };
	char why[512], missing[640];
	int err = observer_open(&w->observer, &wanted, why, sizeof(why));

	if (err)
		return complain("%s", why);
	if (!o->json && !o->plain && !o->file && isatty(STDOUT_FILENO) &&
	    terminal_open(&w->live, stdout, &end, w->filter, interval_of(o, true), why,
			  sizeof(why)))
		fprintf(stderr, "sockfair: no full-screen view: %s\n", why);
	err = observer_start(w->observer);
	w->looks = (struct looks){ .observer = w->observer,
				   .busy_seconds = SAMPLE_SECONDS,
				   .idle_seconds = SCAN_IDLE_SECONDS,
				   .share = SCAN_SHARE };
	looks_begin(&w->looks);
	w->started = now_seconds();
	if (!err)
		err = read_total(w, &w->before, false);
	if (err) {
		terminal_close(w->live);
		w->live = NULL;
		return complain("cannot read the sockets of this machine: %s", strerror(-err));
	}
	say_what_is_watched(w, missing, sizeof(missing));
	if (w->live) {
		terminal_notice(w->live, missing);
		terminal_show(w->live, &w->before, &w->before);
	}
	snapshot_bring_back(&w->before);
	return STATUS_OK;
}

static int watch_run(struct watch *w)
{
	int status = watch_begin(w), err;

	if (status)
		return status;
	err = watch_loop(w);
	terminal_close(w->live);
	w->live = NULL;
	if (!err)
		err = window_end(w);
	if (err == -EIO)
		return STATUS_FAILED;
	if (err)
		return complain("cannot read what was counted: %s", strerror(-err));
	return w->o->fail_on_uneven ? judged_status(&w->judged) : STATUS_OK;
}

int command_watch(int argc, char **argv)
{
	static const struct argp_child children[] = { { &filter_argp, 0, NULL, 0 }, {} };
	static const struct argp argp = {
		.options = options,
		.parser = watch_parse,
		.args_doc = "[INTERVAL [COUNT]]",
		.doc = "Watches servers that run: which socket and which process or thread gets "
		       "the connections and datagrams of each port, and "
		       "whether that is fair. On a terminal a full-screen view; otherwise a table "
		       "per interval.\v"
		       "Without a filter, all TCP listeners and UDP sockets of the machine, in all "
		       "network namespaces. UDP sockets whose port the "
		       "kernel picked, and ports on which all are connected, are clients' and are "
		       "left out, unless -P names the port.",
		.children = children,
	};
	struct watch_options o = { .backend = BACKEND_AUTO, .threshold = FAIRNESS_THRESHOLD };
	struct watch w = { .o = &o };
	int status;

	command_parse(&argp, argc, argv, &o);
	status = filter_check(&o.selection);
	if (status)
		return status;
	filter_text(&o.selection, w.filter, sizeof(w.filter));
	status = output_open(&w.out, o.file);
	if (status)
		return status;
	status = watch_run(&w);
	terminal_close(w.live);
	observer_close(w.observer);
	snapshot_free(&w.base);
	snapshot_free(&w.before);
	return output_close(&w.out) ? STATUS_FAILED : status;
}
