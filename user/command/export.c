/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command export: counts as `watch` does, and makes pages for Prometheus of it. One loop
 * collects; pages are finished before anybody sees them (export_sink.h).
 */
#include "command.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../collect/namespace.h"
#include "../collect/observer.h"
#include "../attach/hooks.h"
#include "../export/listen.h"
#include "../model/aside.h"
#include "../render/openmetrics.h"
#include "export_sink.h"
#include "filter.h"
#include "looks.h"
#include "window.h"

#define LOOK_BUSY_SECONDS 1 /* how often to look who waits, while work arrives */
#define LOOK_SHARE 0.005    /* the share of a core that looks may take then */
#define ENDED_MAX 1024      /* closed sockets, and ended threads, that stay one by one */
#define SERIES_MAX 20000
#define FAILURES_MAX 10 /* pages in a row that could not be made; then it ends */

struct export_choices {
	struct selection selection;
	enum backend backend;
	enum export_workers workers;
	enum export_format format;
	const char *listen, *textfile;
	bool format_given;
	double interval, window, duration; /* seconds; the last: 0 if not given */
	double threshold;
	size_t series_max;
	bool no_wait, no_serve, own_cost, list, list_man;
};

struct exporter {
	const struct export_choices *o;
	struct observer *observer;
	struct looks looks;
	struct export_state state;
	struct snapshot before; /* the total when the window began */
	struct export_sink sink;
	bool complained;   /* the last page was not published, and the user has been told */
	bool unread;       /* the same, because it could not be made */
	unsigned failures; /* how many pages in a row could not */
	char filter[512];
};

enum {
	OPT_LISTEN = 1000,
	OPT_TEXTFILE,
	OPT_FORMAT,
	OPT_WORKERS,
	OPT_SERIES_MAX,
	OPT_WINDOW,
	OPT_THRESHOLD,
	OPT_NO_WAIT,
	OPT_NO_SERVE,
	OPT_OWN_COST,
	OPT_BACKEND,
	OPT_LIST
};

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "Where to:", 2 },
	{ "listen", OPT_LISTEN, "ADDRESS:PORT", 0,
	  "Serve HTTP there: 127.0.0.1:7435, [::1]:7435, or unix:/path (" EXPORT_LISTEN_DEFAULT
	  ", or the socket that systemd passes)",
	  0 },
	{ "textfile", OPT_TEXTFILE, "FILE", 0,
	  "Instead write FILE (NAME.prom) anew each time, for node_exporter's textfile collector",
	  0 },
	{ "interval", 'i', "SECONDS", 0, "How often there is a new page (5; --textfile: 15)", 0 },
	{ "duration", 'd', "SECONDS", 0, "End after that long (never)", 0 },
	{ "format", OPT_FORMAT, "NAME", 0,
	  "classic (the text format 0.0.4, which node_exporter reads) or openmetrics (classic)",
	  0 },
	{ NULL, 0, NULL, 0, "What:", 3 },
	{ "window", OPT_WINDOW, "SECONDS", 0,
	  "Verdicts and findings are of the last finished window of that length (60)", 0 },
	{ "threshold", OPT_THRESHOLD, "X", 0, "Spread beyond chance that counts as uneven (0.20)",
	  0 },
	{ "workers", OPT_WORKERS, "HOW", 0,
	  "Series of workers by slot (the lowest number that is free at the thread's birth), by "
	  "pid, or none (slot)",
	  0 },
	{ "series-max", OPT_SERIES_MAX, "N", 0,
	  "Series of a page at most; what is left out is counted (20000)", 0 },
	{ "no-wait", OPT_NO_WAIT, NULL, 0,
	  "Don't measure how long connections wait in accept queues", 0 },
	{ "no-serve", OPT_NO_SERVE, NULL, 0,
	  "Don't follow accepted connections: bytes, what is open", 0 },
	{ "own-cost", OPT_OWN_COST, NULL, 0,
	  "Let the kernel measure what sockfair's own programs take; measuring costs, too", 0 },
	{ "backend", OPT_BACKEND, "NAME", 0, "auto, fentry, kprobe or tracepoint (auto)", 0 },
	{ "list-metrics", OPT_LIST, "man", OPTION_ARG_OPTIONAL,
	  "List all metrics (name, type, unit, of what, labels, help), or as part of the man page",
	  0 },
	{},
};

/* ---- options ---- */

static enum export_workers parse_workers(const struct argp_state *state, const char *text)
{
	static const char *const names[] = { [EXPORT_WORKERS_SLOT] = "slot",
					     [EXPORT_WORKERS_PID] = "pid",
					     [EXPORT_WORKERS_NONE] = "none" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(text, names[i]))
			return (enum export_workers)i;
	usage_error(state, "--workers takes slot, pid or none, not '%s'", text);
}

static enum export_format parse_format(const struct argp_state *state, const char *text)
{
	if (!strcmp(text, "classic"))
		return EXPORT_CLASSIC;
	if (!strcmp(text, "openmetrics"))
		return EXPORT_OPENMETRICS;
	usage_error(state, "--format takes classic or openmetrics, not '%s'", text);
}

static error_t export_parse(int key, char *arg, struct argp_state *state)
{
	struct export_choices *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT: state->child_inputs[0] = &o->selection; break;
	case 'i': o->interval = option_real(state, "--interval", arg, 0.1, 86400); break;
	case 'd': o->duration = option_real(state, "--duration", arg, 0.001, 1e9); break;
	case OPT_TEXTFILE: o->textfile = arg; break;
	case OPT_LISTEN: o->listen = arg; break;
	case OPT_FORMAT:
		o->format = parse_format(state, arg);
		o->format_given = true;
		break;
	case OPT_WORKERS: o->workers = parse_workers(state, arg); break;
	case OPT_SERIES_MAX:
		o->series_max = option_count(state, "--series-max", arg, 100, 10000000);
		break;
	case OPT_WINDOW: o->window = option_real(state, "--window", arg, 1, 86400); break;
	case OPT_THRESHOLD:
		o->threshold = option_real(state, "--threshold", arg, 0.001, 1000);
		break;
	case OPT_NO_WAIT: o->no_wait = true; break;
	case OPT_NO_SERVE: o->no_serve = true; break;
	case OPT_OWN_COST: o->own_cost = true; break;
	case OPT_BACKEND: o->backend = option_backend(state, arg); break;
	case OPT_LIST:
		if (arg && strcmp(arg, "man"))
			usage_error(state, "--list-metrics takes nothing or man, not '%s'", arg);
		o->list = true;
		o->list_man = arg;
		break;
	case ARGP_KEY_ARG:
		usage_error(state, "unknown argument '%s'; for the port use -P %s", arg, arg);
	case ARGP_KEY_END:
		if (o->textfile && o->listen)
			usage_error(state, "--listen and --textfile: which of the two?");
		if (o->format_given && !o->textfile)
			usage_error(state,
				    "--format is for --textfile; by HTTP the client chooses");
		break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* ---- pages ---- */

static int page_offer(struct exporter *e, enum export_format format)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	int err = out ? openmetrics_write(out, &e->state, format) : -ENOMEM;

	if (out && fclose(out) && !err)
		err = -ENOMEM;
	if (!err)
		err = e->sink.publish(e->sink.to, format, text, length);
	free(text);
	return err;
}

/* Returns STATUS_OK, or STATUS_FAILED after complaining: nobody will ever take a page again. */
static int sink_check(const struct exporter *e)
{
	char why[512];

	return e->sink.alive && !e->sink.alive(e->sink.to, why, sizeof(why)) ? complain("%s", why)
									     : STATUS_OK;
}

/* A page that can't be published now may be later. */
static void pages_offer(struct exporter *e)
{
	int err = 0;

	for (unsigned i = 0; i < EXPORT_FORMATS; i++)
		if (e->sink.wants[i] && !err)
			err = page_offer(e, (enum export_format)i);
	if (err && !e->complained)
		complain("cannot write a page: %s; trying again", file_error(-err));
	e->complained = err;
}

/* ---- collecting ---- */

/* Unix time, to the ms. The machine's clock may be set while we run, so each time is read anew. */
static double unix_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return round((double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6) / 1e3;
}

/* The window ends with `total`, which then belongs to the next one. */
static int window_turn(struct exporter *e, struct snapshot *total)
{
	struct snapshot window = {};
	int err = window_take(&window, total, &e->before, e->o->threshold);

	if (!err)
		export_window(&e->state, &window, unix_now());
	snapshot_free(&window);
	if (err)
		return err;
	snapshot_free(&e->before);
	snapshot_bring_back(total);
	e->before = *total;
	*total = (struct snapshot){};
	/* Queues are at their longest since the window began. */
	observer_begin_highest(e->observer);
	for (size_t i = 0; i < e->before.endpoint_count; i++)
		for (size_t k = 0; k < e->before.endpoints[i].socket_count; k++)
			e->before.endpoints[i].sockets[k].queue_highest = 0;
	return 0;
}

/* Reads what was counted, and at the end of a window what it was like. */
static int page_collect(struct exporter *e, bool window_ends)
{
	const double begun = now_seconds();
	struct snapshot total = {};
	int err = looks_scan(&e->looks, true);

	if (!err)
		err = observer_read(e->observer, &total, true);
	if (!err)
		err = snapshot_set_aside(&total, e->o->selection.port_count);
	if (!err)
		err = export_collect(&e->state, &total, begun);
	if (!err && window_ends)
		err = window_turn(e, &total);
	snapshot_free(&total);
	e->state.values[EXPORT_COLLECT_SECONDS] = round((now_seconds() - begun) * 1e6) / 1e6;
	return err ? err : export_limit(&e->state);
}

static void unread_tell(struct exporter *e, int err)
{
	if (!e->unread)
		complain("cannot read what was counted: %s; trying again", strerror(-err));
	e->unread = true;
}

/*
 * Takes how it went to make a page. Others may have taken the last descriptor or the last memory
 * for a moment, and an end would begin all counters anew. Returns a status.
 */
static int page_check(struct exporter *e, int err)
{
	if (!err) {
		e->unread = false;
		e->failures = 0;
	} else if (++e->failures == FAILURES_MAX) {
		return complain("cannot read what was counted: %s, %u pages in a row",
				strerror(-err), e->failures);
	} else {
		unread_tell(e, err);
	}
	return STATUS_OK;
}

/* Until this time of CLOCK_MONOTONIC, or until interrupted. Returns a status. */
static int pages_wait(struct exporter *e, double end)
{
	double left;
	int status = STATUS_OK;

	while (!interrupted && !status && (left = end - now_seconds()) > 0) {
		/* Waits only a short while: a signal may come just before the wait. */
		const double part = e->looks.active ? LOOKS_RELIEF_SECONDS : LOOKS_IDLE_SECONDS;
		int err;

		poll(NULL, 0, (int)((left < part ? left : part) * 1000) + 1);
		err = looks_keep(&e->looks, end);
		if (err) /* the next page tries again, and counts how often it fails */
			unread_tell(e, err);
		status = sink_check(e);
	}
	return status;
}

/* The first time after now that is a multiple of `step` after `begun`. */
static double next_after(double begun, double step)
{
	double next = begun + step * (double)(uint64_t)((now_seconds() - begun) / step);

	while (next <= now_seconds())
		next += step;
	return next;
}

static int export_loop(struct exporter *e)
{
	const struct export_choices *o = e->o;
	const double begun = e->looks.scanned;
	const double end = o->duration > 0 ? begun + o->duration : INFINITY;
	double page = next_after(begun, o->interval), window = next_after(begun, o->window);
	int status;

	while (!(status = pages_wait(e, fmin(fmin(page, window), end))) && !interrupted &&
	       now_seconds() < end) {
		const bool window_ends = now_seconds() >= window;
		const int err = page_collect(e, window_ends);

		status = page_check(e, err);
		if (status)
			break;
		if (!err)
			pages_offer(e);
		page = next_after(begun, o->interval);
		if (window_ends) /* with the next page, if it could not end */
			window = err ? page : next_after(begun, o->window);
	}
	return status;
}

/* ---- from beginning to end ---- */

static unsigned what_is_seen(const struct exporter *e)
{
	const unsigned sees = observer_sees(e->observer);

	return (sees & SEES_TCP_ARRIVED ? EXPORT_SEES_ARRIVALS : 0) |
	       (sees & SEES_TCP_SERVED && !e->o->no_serve ? EXPORT_SEES_SERVING : 0) |
	       (sees & SEES_UDP_QUEUED ? EXPORT_SEES_DELIVERED : 0) |
	       (e->o->no_wait ? 0 : EXPORT_SEES_WAITS);
}

static int state_begin(struct exporter *e)
{
	struct export_options of = { .workers = e->o->workers,
				     .series_max = e->o->series_max,
				     .sees = what_is_seen(e),
				     .own_netns = namespace_own(),
				     .ports_named = e->o->selection.port_count,
				     .version = SOCKFAIR_VERSION,
				     .start = unix_now() };
	const char *reason;
	int err = 0;

	export_begin(&e->state, &of);
	for (size_t i = 0; (reason = observer_lost_reason(i)) && !err; i++)
		err = export_name_lost(&e->state, reason);
	return err;
}

static int exporter_begin(struct exporter *e)
{
	const struct export_choices *o = e->o;
	const struct observer_options wanted = { .backend = o->backend,
						 .selection = o->selection,
						 .by_port = o->selection.port_count,
						 .inventory = true,
						 .before = true,
						 .no_waits = o->no_wait,
						 .no_serving = o->no_serve,
						 .own_cost = o->own_cost,
						 .ended_max = ENDED_MAX };
	char why[512];
	int err;

	if (observer_open(&e->observer, &wanted, why, sizeof(why)))
		return complain("%s", why);
	err = observer_start(e->observer);
	e->looks = (struct looks){ .observer = e->observer,
				   .busy_seconds = LOOK_BUSY_SECONDS,
				   .idle_seconds = o->interval,
				   .share = LOOK_SHARE };
	looks_begin(&e->looks);
	if (!err)
		err = state_begin(e);
	if (!err) /* the first window begins now */
		err = observer_read(e->observer, &e->before, true);
	if (!err)
		err = page_collect(e, false);
	if (err)
		return complain("cannot read the sockets of this machine: %s", strerror(-err));
	return STATUS_OK;
}

/* Nothing is opened any more but what looks at processes. */
static int rights_give_up(const struct exporter *e)
{
	struct export_needs needs = e->sink.needs;
	char why[512];

	needs.namespaces = true;
	return export_confine_collector(&needs, why, sizeof(why)) ? complain("%s", why) : STATUS_OK;
}

static int export_run(struct exporter *e)
{
	const struct export_choices *o = e->o;
	int status = o->textfile ? export_sink_file(&e->sink, o->textfile, o->format)
				 : export_sink_http(&e->sink, o->listen);

	if (status)
		return status;
	status = exporter_begin(e);
	if (!status)
		status = rights_give_up(e);
	if (!status) {
		/* What takes a right that was given up is told first. */
		pages_offer(e);
		fprintf(stderr, "exporting %s, backend %s, to %s; Ctrl-C ends\n", e->filter,
			backend_name(observer_backend(e->observer)), e->sink.place);
		status = export_loop(e);
	}
	e->sink.end(e->sink.to);
	return status;
}

int command_export(int argc, char **argv)
{
	static const struct argp_child children[] = { { &filter_argp, 0, NULL, 0 }, {} };
	static const struct argp argp = {
		.options = options,
		.parser = export_parse,
		.doc = "Counts as watch does, and offers it to Prometheus: who gets the "
		       "connections and datagrams of each port, and whether that is fair.\v"
		       "sockfair-export(1) explains all metrics.",
		.children = children,
	};
	struct export_choices o = { .backend = BACKEND_AUTO,
				    .window = 60,
				    .threshold = FAIRNESS_THRESHOLD,
				    .series_max = SERIES_MAX };
	struct exporter e = { .o = &o };
	int status;

	command_parse(&argp, argc, argv, &o);
	if (o.list) {
		openmetrics_list(stdout, o.list_man);
		return STATUS_OK;
	}
	status = filter_check(&o.selection);
	if (status)
		return status;
	filter_text(&o.selection, e.filter, sizeof(e.filter));
	if (!o.interval)
		o.interval = o.textfile ? 15 : 5;
	status = export_run(&e);
	observer_close(e.observer);
	snapshot_free(&e.before);
	export_end(&e.state);
	return status;
}
