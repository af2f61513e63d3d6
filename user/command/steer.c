/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command steer: measures a port, steers it, measures, releases it, measures. */
#include "command.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "../collect/observer.h"
#include "../collect/steerer.h"
#include "../model/findings.h"
#include "../model/judge.h"
#include "../../bpf/steer.h"
#include "../render/text.h"
#include "interrupt.h"
#include "filter.h"
#include "listing.h"

struct steer_options {
	struct selection selection;
	double before, during, after;
	unsigned policy;
};

enum { OPT_BEFORE = 1000, OPT_FOR, OPT_AFTER, OPT_POLICY };
static const struct argp_option options[] = {
	{ "before", OPT_BEFORE, "SECONDS", 0, "Measure that long before (10)", 0 },
	{ "for", OPT_FOR, "SECONDS", 0, "Steer that long (60)", 0 },
	{ "after", OPT_AFTER, "SECONDS", 0, "Measure that long after (10)", 0 },
	{ "policy", OPT_POLICY, "NAME", 0, "least", 0 },
	{},
};

static error_t steer_parse(int key, char *arg, struct argp_state *state)
{
	struct steer_options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT: state->child_inputs[0] = &o->selection; break;
	case OPT_BEFORE: o->before = option_real(state, "--before", arg, 0.1, 86400); break;
	case OPT_FOR: o->during = option_real(state, "--for", arg, 0.1, 86400); break;
	case OPT_AFTER: o->after = option_real(state, "--after", arg, 0.1, 86400); break;
	case OPT_POLICY: o->policy = !strcmp(arg, "even") ? STEER_EVEN : !strcmp(arg, "least-queue") ? STEER_LEAST_QUEUE : STEER_LEAST; break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static int phase(struct observer *o, struct steerer *s, double seconds, const char *name)
{
	struct snapshot shot = {};
	const double end = now_seconds() + seconds;
	int err = observer_start(o);

	while (!err && now_seconds() < end && !interrupted) {
		if (s)
			steerer_beat(s);
		poll(NULL, 0, 100);
		err = observer_relieve(o);
	}
	observer_stop(o);
	if (!err) err = observer_scan(o);
	if (!err) err = observer_read(o, &shot, true);
	for (size_t i = 0; i < shot.endpoint_count && !err; i++)
		err = endpoint_judge(&shot.endpoints[i], FAIRNESS_THRESHOLD);
	printf("==== %s\n", name);
	if (!err) { struct text_style style = {}; text_window(stdout, &shot, NULL, 0, &style); }
	snapshot_free(&shot);
	observer_reset(o);
	return err;
}

int command_steer(int argc, char **argv)
{
	static const struct argp_child children[] = { { &filter_argp, 0, NULL, 0 }, {} };
	static const struct argp argp = { .options = options, .parser = steer_parse, .children = children };
	struct steer_options o = { .before = 10, .during = 60, .after = 10 };
	struct snapshot list = {};
	struct observer *observer = NULL;
	struct steerer *s = NULL;
	struct steer_config config = {};
	struct observer_options wanted;
	const struct endpoint *e;
	char why[512];

	command_parse(&argp, argc, argv, &o);
	if (listing_fill(&o.selection, &list, why, sizeof(why))) return complain("%s", why);
	if (list.endpoint_count != 1) return complain("not one endpoint");
	e = &list.endpoints[0];
	config = (struct steer_config){ .on = 1, .policy = o.policy, .family = e->family, .port = e->port, .any = 1 };
	memcpy(config.address, e->address, 16);
	for (int i = 0; i < 16; i++) if (e->address[i]) config.any = 0;
	wanted = (struct observer_options){ .backend = BACKEND_AUTO, .selection = o.selection, .by_port = true, .inventory = true, .before = true, .steer = &config };
	if (observer_open(&observer, &wanted, why, sizeof(why))) return complain("%s", why);
	phase(observer, NULL, o.before, "before");
	if (steerer_open(&s, observer, e, why, sizeof(why)) || steerer_attach(s, why, sizeof(why))) return complain("%s", why);
	phase(observer, s, o.during, "steered");
	struct steerer_counts c = steerer_counts(s);
	printf("steered %lu stale %lu size %lu empty %lu\n", c.steered, c.passed_stale, c.passed_size, c.passed_empty);
	steerer_close(s);
	phase(observer, NULL, o.after, "after");
	observer_close(observer);
	snapshot_free(&list);
	return 0;
}
