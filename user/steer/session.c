/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A second is the grain: at its end the sockets are looked at and the counts are read, so that
 * members are followed, the limits are checked, and the comparison gets one more run.
 */
#include "session.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "../attach/loading.h"
#include "../collect/clock.h"
#include "../collect/observer_steer.h"
#include "../model/fairness.h"
#include "../model/findings.h"
#include "../model/judge.h"
#include "../model/steer_limits.h"
#include "way.h"

#define WINDOW_SECONDS 1.0

/* One steering that runs. */
struct running {
	const struct steer_session *s;
	struct steer_result *r;
	struct observer *observer;
	const struct steer_way_steps *way;
	void *self; /* the way's; NULL: it is not open */
	struct steer_task task;
	bool steering;
	struct steer_limits limits;
	struct snapshot total; /* at the end of the last window */
	size_t side;           /* of the comparison */
	char *why;
	size_t size;
};

static int fail(const struct running *g, int err, const char *what)
{
	char reason[160];

	return loading_fail(err, g->why, g->size, "%s: %s", what,
			    loading_reason(err, reason, sizeof(reason)));
}

/* ---- one window ---- */

/* Leaves only the endpoint that is steered. */
static void window_keep(struct snapshot *s, const struct endpoint *like)
{
	struct endpoint *found = snapshot_find(s, like);
	size_t kept = 0;

	if (found && found != s->endpoints) {
		const struct endpoint first = s->endpoints[0];

		s->endpoints[0] = *found;
		*found = first;
	}
	kept = found ? 1 : 0;
	for (size_t i = kept; i < s->endpoint_count + s->aside_count; i++)
		endpoint_free(&s->endpoints[i]);
	s->endpoint_count = kept;
	s->aside_count = 0;
}

/* What happened between the snapshots at the steered endpoint, judged. Returns 0 or -ENOMEM. */
static int window_between(struct snapshot *window, const struct snapshot *now,
			  const struct snapshot *before, const struct endpoint *like)
{
	int err = snapshot_difference(window, now, before);

	if (err)
		return err;
	window_keep(window, like);
	if (window->endpoint_count)
		err = endpoint_judge(&window->endpoints[0], FAIRNESS_THRESHOLD);
	return err ? err : findings_fill(window);
}

static int window_compare(struct running *g, const struct snapshot *window)
{
	const struct endpoint *e = &window->endpoints[0];
	const struct comparison_key key = { .protocol = e->protocol,
					    .port = e->port,
					    .netns = e->netns };
	struct comparison_run run;

	comparison_run_of(&run, window, e);
	return comparison_add(&g->r->comparison, g->side, &key, "", &run, NULL);
}

/* Returns 1 if the port is worse off than before: g->r has the reason. */
static int window_check(struct running *g, const struct snapshot *window)
{
	const struct steer_second second = steer_second_of(&window->endpoints[0], window->seconds);
	static const char *const what[] = {
		[STEER_LIMIT_WAIT] = "the 99th percentile of waits for accept is %.3g ms, and was "
				     "at most %.3g ms before",
		[STEER_LIMIT_DROPS] = "%.3g connections a second are dropped, and at most %.3g "
				      "were before",
		[STEER_LIMIT_RESETS] = "%.3g connections a second are reset by closed sockets, and "
				       "at most %.3g were before",
	};
	static const char datagrams[] = "%.3g datagrams a second are dropped, and at most %.3g "
					"were before";
	enum steer_limit bad;
	double unit;

	if (!g->steering) {
		if (g->side == 0)
			steer_limits_learn(&g->limits, &second);
		return 0;
	}
	bad = steer_limits_check(&g->limits, &second);
	if (bad == STEER_LIMITS)
		return 0;
	unit = bad == STEER_LIMIT_WAIT ? 1e6 : 1;
	g->r->end = STEER_END_WORSE;
	snprintf(g->r->why, sizeof(g->r->why),
		 g->r->endpoint->protocol == PROTOCOL_UDP ? datagrams : what[bad],
		 second.figures[bad] / unit, g->limits.of[bad].highest / unit);
	return 1;
}

/* Ends a window. Returns 0, 1: no longer to be steered, or negative errno. */
static int window_done(struct running *g)
{
	struct snapshot now = {}, window = {};
	int err = observer_scan(g->observer), stop = 0;

	if (!err)
		err = observer_read(g->observer, &now, true);
	if (err)
		return fail(g, err, "cannot read what was counted");
	err = window_between(&window, &now, &g->total, g->r->endpoint);
	/* A rest of a phase is no second: its figures vary more. */
	if (!err && window.endpoint_count && window.seconds >= WINDOW_SECONDS / 2)
		err = window_compare(g, &window);
	if (!err && window.endpoint_count && window.seconds >= WINDOW_SECONDS / 2)
		stop = window_check(g, &window);
	if (!err && !stop && g->steering) {
		stop = g->way->tick(g->self, &now, g->r->why, sizeof(g->r->why));
		if (stop > 0)
			g->r->end = STEER_END_OBJECTION;
	}
	snapshot_free(&window);
	snapshot_free(&g->total);
	g->total = now;
	if (err)
		return fail(g, err, "cannot read what was counted");
	if (stop < 0)
		snprintf(g->why, g->size, "%s", g->r->why);
	return stop;
}

/* ---- a phase ---- */

static double session_seconds(void)
{
	return (double)clock_ns(CLOCK_MONOTONIC) / 1e9;
}

/* Waits until `end`, and tells the way that the tool is alive. Returns as tick(). */
static int session_wait(struct running *g, double end)
{
	double left;
	int stop = 0;

	while (!stop && !*g->s->interrupted && (left = end - session_seconds()) > 0) {
		poll(NULL, 0, (int)(fmin(left, STEER_TICK_SECONDS) * 1000) + 1);
		stop = observer_relieve(g->observer);
		if (stop < 0)
			return fail(g, stop, "cannot read what was counted");
		if (!g->steering)
			continue;
		stop = g->way->tick(g->self, NULL, g->r->why, sizeof(g->r->why));
		if (stop > 0)
			g->r->end = STEER_END_OBJECTION;
		if (stop < 0)
			snprintf(g->why, g->size, "%s", g->r->why);
	}
	return stop;
}

/* Measures one phase. Returns 0, 1: the port is to be released, or negative errno. */
static int phase_run(struct running *g, enum steer_phase_name name)
{
	const double started = session_seconds(), length = g->s->seconds[name];
	struct snapshot first = {};
	int stop = 0, err;

	if (length <= 0)
		return 0;
	err = comparison_side_add(&g->r->comparison, steer_phase_names[name]);
	if (!err)
		err = snapshot_copy(&first, &g->total);
	for (double done = 0; !err && !stop && done < length && !*g->s->interrupted;) {
		stop = session_wait(
			g, started + fmin((floor(done / WINDOW_SECONDS) + 1) * WINDOW_SECONDS,
					  length));
		if (!stop)
			stop = window_done(g);
		done = session_seconds() - started;
		if (g->s->progress)
			g->s->progress(name, fmin(done, length), length);
	}
	if (!err)
		err = window_between(&g->r->phases[name], &g->total, &first, g->r->endpoint);
	snapshot_free(&first);
	g->side++;
	return err ? fail(g, err, "cannot read what was counted") : stop;
}

/* ---- the whole ---- */

static int session_begin(struct running *g)
{
	int err = g->way->begin(g->self, &g->total, g->why, g->size);

	g->steering = !err;
	return err;
}

static void session_release(struct running *g)
{
	if (!g->steering)
		return;
	g->steering = false;
	g->r->as_found = !g->way->release(g->self, g->r->note, sizeof(g->r->note));
}

static void count_look_ups(struct running *g)
{
	const struct steer_state *state = observer_steer_state(g->observer);

	g->r->steered = state->steered;
	memcpy(g->r->passed, state->passed, sizeof(g->r->passed));
}

/* Returns whether steering may begin. */
static bool is_worth_it(struct running *g)
{
	const struct snapshot *before = &g->r->phases[STEER_BEFORE];

	if (g->s->force || !before->endpoint_count || steer_can_gain(&before->endpoints[0]))
		return true;
	g->r->nothing_to_gain = true;
	snprintf(
		g->r->why, sizeof(g->r->why),
		"there is nothing to gain: the workers share evenly, and no %s; --force steers all "
		"the same",
		g->r->endpoint->protocol == PROTOCOL_UDP ? "datagram waits or is dropped"
							 : "connection waits long");
	return false;
}

static int phases(struct running *g)
{
	int stop = phase_run(g, STEER_BEFORE);

	if (stop || *g->s->interrupted || !is_worth_it(g))
		return stop;
	stop = session_begin(g);
	if (stop)
		return stop;
	g->r->end = STEER_END_TIME;
	stop = phase_run(g, STEER_STEERED);
	if (!stop && *g->s->interrupted)
		g->r->end = STEER_END_INTERRUPTED;
	if (steer_by_program(g->r->plan.way))
		count_look_ups(g);
	session_release(g);
	if (stop < 0 || *g->s->interrupted)
		return stop;
	return phase_run(g, STEER_AFTER);
}

static uint8_t protocol_number(const struct endpoint *e)
{
	return e->protocol == PROTOCOL_UDP ? IPPROTO_UDP : IPPROTO_TCP;
}

static struct steer_config config_of(const struct steer_result *r)
{
	const struct endpoint *e = r->endpoint;
	struct steer_config config = { .on = 1,
				       .policy = r->plan.policy,
				       .family = e->family,
				       .port = e->port,
				       .v6only = steer_v6only(e),
				       .any = 1,
				       .protocol = protocol_number(e),
				       .by_group = r->plan.way == STEER_BY_REUSEPORT };

	memcpy(config.address, e->address, sizeof(config.address));
	for (size_t i = 0; i < sizeof(e->address); i++)
		config.any &= !e->address[i];
	return config;
}

/* Does the backend see what the policy decides by? */
static int policy_check(const struct running *g)
{
	const unsigned sees = observer_sees(g->observer);

	if (g->r->endpoint->protocol == PROTOCOL_UDP && !(sees & SEES_UDP_RECEIVED))
		return loading_fail(
			-EOPNOTSUPP, g->why, g->size,
			"whether a worker still reads is told by its reads of datagrams, and the "
			"backend %s does not see those on this kernel",
			backend_name(observer_backend(g->observer)));
	if (!steer_by_program(g->r->plan.way) || g->r->plan.policy == STEER_LEAST_QUEUE ||
	    sees & SEES_TCP_ARRIVED)
		return 0;
	return loading_fail(
		-EOPNOTSUPP, g->why, g->size,
		"the policy %s counts connections as they come, and the backend %s does "
		"not see that on this kernel; --policy least-queue does without",
		steer_policy_name(g->r->plan.policy), backend_name(observer_backend(g->observer)));
}

/* Everybody on the port in its namespace, also those that a user's filter leaves out: they may be
 * in the way. */
static int session_observe(struct running *g)
{
	const struct endpoint *e = g->r->endpoint;
	const struct steer_config config = config_of(g->r);
	const struct observer_options options = {
		.backend = g->s->backend,
		.selection = { .netns = { e->netns },
			       .netns_count = 1,
			       .protocol = protocol_number(e),
			       .ports = { e->port },
			       .port_count = 1 },
		.by_port = true,
		.inventory = true,
		.before = true,
		.own_cost = true,
		.steer = steer_by_program(g->r->plan.way) ? &config : NULL,
	};
	int err = observer_open(&g->observer, &options, g->why, g->size);

	if (err)
		return err;
	/* Members are known before the window begins, so that all that they accept in it counts. */
	g->task = (struct steer_task){
		.observer = g->observer, .endpoint = e, .plan = &g->r->plan, .hz = g->s->hz
	};
	err = policy_check(g);
	if (!err)
		err = g->way->open(&g->self, &g->task, g->why, g->size);
	if (err)
		return err;
	err = observer_start(g->observer);
	if (!err)
		err = observer_read(g->observer, &g->total, true);
	return err ? fail(g, err, "cannot read the sockets of this machine") : 0;
}

static const struct steer_way_steps *const ways[] = { [STEER_BY_LOOKUP] = &steer_by_lookup,
						      [STEER_BY_EPOLL] = &steer_by_epoll,
						      [STEER_BY_REUSEPORT] = &steer_by_reuseport };

int steer_session_run(const struct steer_session *s, struct steer_result *r, char *why, size_t size)
{
	struct running g = { .s = s, .r = r, .why = why, .size = size };
	int err;

	g.way = ways[r->plan.way];
	r->as_found = true;
	err = session_observe(&g);
	if (!err)
		err = phases(&g);
	session_release(&g);
	g.way->close(g.self);
	observer_close(g.observer);
	snapshot_free(&g.total);
	if (err < 0)
		return err;
	err = comparison_arrange(&r->comparison);
	if (!err)
		err = comparison_judge(&r->comparison);
	return err ? fail(&g, err, "cannot compare what was counted") : 0;
}
