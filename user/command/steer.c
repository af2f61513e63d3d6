/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command steer: finds the port, plans, and carries the plan out: steer/session.c. */
#include "command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../model/judge.h"
#include "../render/steer_report.h"
#include "../steer/facts.h"
#include "../steer/left.h"
#include "../steer/session.h"
#include "filter.h"
#include "listing.h"
#include "steer_undo.h"

struct steer_options {
	struct selection selection;
	struct steer_wish wish;
	struct steer_session session;
	bool dry_run, undo, json;
	const char *file;
};

enum {
	OPT_POLICY = 1000,
	OPT_VIA,
	OPT_FOR,
	OPT_BEFORE,
	OPT_AFTER,
	OPT_DRY_RUN,
	OPT_UNDO,
	OPT_FORCE,
	OPT_STATELESS,
	OPT_HZ,
	OPT_BACKEND
};

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "How:", 2 },
	{ "policy", OPT_POLICY, "NAME", 0,
	  "Who gets a new connection: the socket with the least open, half-open and waiting "
	  "connections (least, the default), the fewest so far (even), the fewest waiting and "
	  "half-open (least-queue), or by weight (weights=4,1,1,1)",
	  0 },
	{ "via", OPT_VIA, "WAY", 0,
	  "lookup or reuseport (SO_REUSEPORT groups), or epoll (one socket in several epolls), "
	  "where another way is to be refused",
	  0 },
	{ "hz", OPT_HZ, "N", 0, "--via epoll: moves per second, of all entries together (100)", 0 },
	{ "stateless", OPT_STATELESS, NULL, 0,
	  "UDP: each datagram may go to another socket, since the protocol knows nothing of those "
	  "before, as DNS; to the least full one (--policy least-queue)",
	  0 },
	{ "force", OPT_FORCE, NULL, 0, "Steer also where there is nothing to gain", 0 },
	{ "dry-run", OPT_DRY_RUN, NULL, 0,
	  "Say which sockets and which way, or what speaks against it; change nothing", 0 },
	{ "undo", OPT_UNDO, NULL, 0,
	  "Take away what one that was killed has left behind, of all ports or those of the filter",
	  0 },
	{ NULL, 0, NULL, 0, "How long (seconds, or 90s, 10m, 1h):", 3 },
	{ "for", OPT_FOR, "TIME", 0, "Steer for that long (60)", 0 },
	{ "before", OPT_BEFORE, "TIME", 0, "Measure for that long before (10)", 0 },
	{ "after", OPT_AFTER, "TIME", 0, "Measure for that long after (10)", 0 },
	{ NULL, 0, NULL, 0, "The result:", 4 },
	{ "json", 'j', NULL, 0, "JSON, one document", 0 },
	{ "output", 'o', "FILE", 0,
	  "Write the result to FILE; an old one stays until the new one is whole", 0 },
	{ "backend", OPT_BACKEND, "NAME", 0, "auto, fentry, kprobe or tracepoint (auto)", 0 },
	{},
};

/* ---- options ---- */

static double option_time(const struct argp_state *state, const char *option, const char *text,
			  double least)
{
	static const struct {
		char suffix;
		double seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 } };
	const size_t length = strlen(text);
	char number[32];

	for (size_t i = 0; length && i < sizeof(units) / sizeof(*units); i++) {
		if (text[length - 1] != units[i].suffix || length > sizeof(number))
			continue;
		snprintf(number, length, "%s", text);
		return option_real(state, option, number, least / units[i].seconds,
				   86400 / units[i].seconds) *
		       units[i].seconds;
	}
	return option_real(state, option, text, least, 86400);
}

static void parse_weights(struct steer_wish *wish, const struct argp_state *state, char *list)
{
	char *part;

	while ((part = strsep(&list, ","))) {
		if (wish->weight_count == STEER_MEMBERS_MAX)
			usage_error(state, "--policy weights takes at most %d values",
				    STEER_MEMBERS_MAX);
		wish->weights[wish->weight_count++] =
			option_count(state, "--policy weights", part, 1, 1000);
	}
}

static void parse_policy(struct steer_wish *wish, const struct argp_state *state, char *text)
{
	char *weights = strchr(text, '=');
	const size_t length = weights ? (size_t)(weights - text) : strlen(text);
	char name[16] = "";

	if (length < sizeof(name))
		snprintf(name, length + 1, "%s", text);
	if (!steer_policy_parse(name, &wish->policy) ||
	    (wish->policy == STEER_WEIGHTS) != (weights != NULL))
		usage_error(state,
			    "--policy takes least, even, least-queue or weights=N,N,..., not '%s'",
			    text);
	wish->policy_given = true;
	if (weights)
		parse_weights(wish, state, weights + 1);
}

/* What is said of UDP must be about UDP. */
static void stateless_check(struct steer_options *o, const struct argp_state *state)
{
	if (o->wish.stateless && o->selection.protocol == IPPROTO_TCP)
		usage_error(state, "--stateless is about UDP; leave out -t");
	if (o->wish.stateless)
		o->selection.protocol = IPPROTO_UDP;
	if (o->selection.protocol == IPPROTO_UDP && o->wish.policy_given &&
	    o->wish.policy != STEER_LEAST_QUEUE)
		usage_error(state,
			    "UDP takes --policy least-queue alone: a datagram leaves nothing open, "
			    "and equal counts shorten no queue");
}

static error_t steer_parse(int key, char *arg, struct argp_state *state)
{
	struct steer_options *o = state->input;
	double *seconds = o->session.seconds;

	switch (key) {
	case ARGP_KEY_INIT: state->child_inputs[0] = &o->selection; break;
	case OPT_POLICY: parse_policy(&o->wish, state, arg); break;
	case OPT_VIA:
		if (!steer_way_parse(arg, &o->wish.via))
			usage_error(state, "--via takes lookup, reuseport or epoll, not '%s'", arg);
		break;
	case OPT_HZ: o->session.hz = option_real(state, "--hz", arg, 1, 1000); break;
	case OPT_FORCE: o->session.force = true; break;
	case OPT_STATELESS: o->wish.stateless = true; break;
	case OPT_DRY_RUN: o->dry_run = true; break;
	case OPT_UNDO: o->undo = true; break;
	case OPT_FOR: seconds[STEER_STEERED] = option_time(state, "--for", arg, 1); break;
	case OPT_BEFORE: seconds[STEER_BEFORE] = option_time(state, "--before", arg, 0); break;
	case OPT_AFTER: seconds[STEER_AFTER] = option_time(state, "--after", arg, 0); break;
	case 'j': o->json = true; break;
	case 'o': o->file = arg; break;
	case OPT_BACKEND: o->session.backend = option_backend(state, arg); break;
	case ARGP_KEY_END:
		if (o->undo && (o->json || o->dry_run))
			usage_error(state, "--undo does not go with --%s",
				    o->json ? "json" : "dry-run");
		stateless_check(o, state);
		break;
	case ARGP_KEY_ARG:
		usage_error(state, "unknown argument '%s'; for the port use -P %s", arg, arg);
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* ---- the port ---- */

/* The one listening endpoint that the listing has; NULL after complaining. */
static const struct endpoint *the_endpoint(const struct snapshot *s, const struct selection *asked)
{
	const struct endpoint *found = NULL;
	char text[512], first[TEXT_ADDRESS_SIZE], second[TEXT_ADDRESS_SIZE];

	for (size_t i = 0; i < s->endpoint_count; i++) {
		if (found) {
			complain("several ports match (%s and %s%s): choose one by -P, -4, -6, -N "
				 "or -p",
				 text_address(first, found), text_address(second, &s->endpoints[i]),
				 found->netns == s->endpoints[i].netns
					 ? ""
					 : " in another network namespace");
			return NULL;
		}
		found = &s->endpoints[i];
	}
	if (found)
		return found;
	if (asked->port_count)
		complain("%s",
			 listing_explain(text, sizeof(text), s, asked->ports, asked->port_count));
	else
		complain("no listening socket is what the filter asks for");
	return NULL;
}

/* Everybody on the port: a filter by process must not hide who else has it. */
static int list_port(struct snapshot *all, const struct endpoint *e, char *why, size_t size)
{
	const struct selection port = {
		.netns = { e->netns }, .netns_count = 1, .ports = { e->port }, .port_count = 1
	};

	return listing_fill(&port, all, why, size);
}

/* ---- carrying it out ---- */

static void show_progress(enum steer_phase_name phase, double seconds, double of)
{
	static const char *const words[] = { [STEER_BEFORE] = "measuring before",
					     [STEER_STEERED] = "steering",
					     [STEER_AFTER] = "measuring after" };

	fprintf(stderr, "\r\033[K%s: %.0f of %.0f s%s", words[phase], seconds, of,
		seconds >= of ? "\n" : "");
}

static int steer_show(const struct steer_options *o, const struct steer_result *r,
		      struct output *out)
{
	if (o->json)
		json_steer(out->file, r);
	else if (o->dry_run)
		text_steer_plan(out->file, r->endpoint, &r->plan, &out->style);
	else
		text_steer(out->file, r, &out->style);
	return output_flush(out);
}

static int steer_port(const struct steer_options *o, const struct endpoint *e, struct output *out)
{
	struct steer_result r = { .endpoint = e, .as_found = true };
	struct steer_facts facts = {};
	struct snapshot all = {};
	char why[STEER_WHY], address[TEXT_ADDRESS_SIZE];
	int err = list_port(&all, e, why, sizeof(why)), status = STATUS_OK;

	if (!err && snapshot_find(&all, e))
		r.endpoint = e = snapshot_find(&all, e);
	if (!err)
		err = steer_facts_find(&facts, e, why, sizeof(why));
	if (!err)
		steer_plan_make(&r.plan, &all, e, &facts, &o->wish);
	if (!err && r.plan.code && !o->json) {
		status = complain("%s %s can't be steered: %s",
				  e->protocol == PROTOCOL_UDP ? "udp" : "tcp",
				  text_address(address, e), r.plan.why);
	} else if (!err) {
		if (!r.plan.code && !o->dry_run && facts.left)
			err = steer_left_remove(e, facts.left, why, sizeof(why));
		if (!err && !r.plan.code && !o->dry_run)
			err = steer_session_run(&o->session, &r, why, sizeof(why));
		if (!err)
			status = steer_show(o, &r, out);
		if (!status && !r.as_found)
			status = STATUS_LEFT;
		if (!status && (r.plan.code || r.nothing_to_gain))
			status = STATUS_FAILED;
	}
	if (err)
		status = complain("%s %s can't be steered: %s",
				  e->protocol == PROTOCOL_UDP ? "udp" : "tcp",
				  text_address(address, e), why);
	steer_result_free(&r);
	snapshot_free(&all);
	return status;
}

static int steer_run(const struct steer_options *o, struct output *out)
{
	struct snapshot found = {};
	const struct endpoint *e;
	char why[STEER_WHY];
	int status = STATUS_FAILED;

	if (listing_fill(&o->selection, &found, why, sizeof(why))) {
		complain("%s", why);
	} else {
		e = the_endpoint(&found, &o->selection);
		if (e)
			status = steer_port(o, e, out);
	}
	snapshot_free(&found);
	return status;
}

int command_steer(int argc, char **argv)
{
	static const struct argp_child children[] = { { &filter_argp, 0, NULL, 0 }, {} };
	static const struct argp argp = {
		.options = options,
		.parser = steer_parse,
		.doc = "Steers new connections of a server that runs to where they wait least, "
		       "without a restart or a change of it: measures, steers, measures, lets go, "
		       "measures, and says whether it made a difference.\v"
		       "However it ends, also by kill -9, the kernel shares the port as before. "
		       "Connections that are open stay where they are.",
		.children = children,
	};
	struct steer_options o = { .session = { .backend = BACKEND_AUTO,
						.seconds = { 10, 60, 10 },
						.hz = 100,
						.interrupted = &interrupted } };
	struct output out;
	int status;

	command_parse(&argp, argc, argv, &o);
	status = filter_check(&o.selection);
	if (status)
		return status;
	if (!o.selection.protocol && o.selection.port_count)
		o.selection.protocol = IPPROTO_TCP;
	if (isatty(STDERR_FILENO))
		o.session.progress = show_progress;
	status = output_open(&out, o.file);
	if (status)
		return status;
	status = o.undo ? steer_undo(&o.selection, &out) : steer_run(&o, &out);
	return output_close(&out) ? STATUS_FAILED : status;
}
