/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the exporter's state is fed: ports that come and go, their counters, gauges and windows. */
#include "export_state.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "design.h"
#include "judge.h"
#include "order.h"

/* ---- ports ---- */

struct export_port *export_port_at(const struct export_state *x, size_t i)
{
	return ((struct export_port **)x->ports.rows)[i];
}

static int compare_port_to_endpoint(const void *row, const void *key)
{
	const struct export_port *p = *(struct export_port *const *)row;
	const struct endpoint *e = key;

	if (p->protocol != e->protocol)
		return COMPARE(p->protocol, e->protocol);
	if (p->netns != e->netns)
		return COMPARE(p->netns, e->netns);
	if (p->port != e->port)
		return COMPARE(p->port, e->port);
	if (p->family != e->family)
		return COMPARE(p->family, e->family);
	return memcmp(p->address, e->address, sizeof(p->address));
}

static struct export_port *port_find(const struct export_state *x, const struct endpoint *e)
{
	struct export_port **found =
		array_find(&x->ports, sizeof(struct export_port *), e, compare_port_to_endpoint);

	return found ? *found : NULL;
}

static bool endpoint_alive(const struct endpoint *e)
{
	for (size_t i = 0; i < e->socket_count; i++)
		if (!e->sockets[i].ended)
			return true;
	return false;
}

/* The device that all open sockets are bound to; "": they are not. */
static const char *device_of(const struct endpoint *e)
{
	const char *device = NULL;

	for (size_t i = 0; i < e->socket_count; i++) {
		if (e->sockets[i].ended)
			continue;
		if (device && strcmp(device, e->sockets[i].device))
			return "";
		device = e->sockets[i].device;
	}
	return device ? device : "";
}

static void no_values(double *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		values[i] = NAN;
}

static void port_free(struct export_port *p)
{
	free(p->workers.rows);
	free(p->lives.rows);
	free(p);
}

/* What people call the namespace; "": it is the exporter's own. */
static const char *netns_label(const struct export_state *x, char buffer[NETNS_NAME_SIZE],
			       uint32_t netns)
{
	*buffer = '\0';
	return netns == x->options.own_netns ? buffer : netns_say(buffer, netns);
}

/* Has the port's namespace got a name, or another one? Then the number may be that of another
 * namespace, too. */
static bool port_renamed(const struct export_state *x, const struct export_port *p)
{
	char name[NETNS_NAME_SIZE];

	return strcmp(netns_label(x, name, p->netns), p->netns_name);
}

static void port_remove(struct export_state *x, struct export_port *p)
{
	struct export_port **rows = x->ports.rows;
	size_t kept = 0;

	for (size_t i = 0; i < x->ports.count; i++)
		if (rows[i] != p)
			rows[kept++] = rows[i];
	x->ports.count = kept;
	port_free(p);
}

/* NULL: no memory. */
static struct export_port *port_add(struct export_state *x, const struct endpoint *e)
{
	struct export_port *p = calloc(1, sizeof(*p)), **rows;
	size_t at = 0;

	if (!p || !array_add(&x->ports, &p, sizeof(p))) {
		free(p);
		return NULL;
	}
	p->protocol = e->protocol;
	p->family = e->family;
	memcpy(p->address, e->address, sizeof(p->address));
	p->port = e->port;
	p->netns = e->netns;
	netns_label(x, p->netns_name, e->netns);
	snprintf(p->device, sizeof(p->device), "%s", device_of(e));
	p->born = ++x->births;
	no_values(p->values, EXPORT_PORT_VALUES);
	rows = x->ports.rows;
	while (compare_port_to_endpoint(&rows[at], e) < 0 && at < x->ports.count - 1)
		at++;
	memmove(rows + at + 1, rows + at, (x->ports.count - 1 - at) * sizeof(*rows));
	rows[at] = p;
	return p;
}

/* ---- counters ---- */

/*
 * What a snapshot says may fall for two reasons: one reading missed something that the next will
 * see, or (`anew`: it may have) the ledger has forgotten the port, and counts from 0 again.
 */
static void count_on(struct export_counter *c, uint64_t raw, bool anew)
{
	if (anew && raw < c->raw)
		c->raw = 0;
	c->total += growth(raw, c->raw);
	c->raw += growth(raw, c->raw);
}

static void waits_count_on(struct export_port *p, const struct wait_bounds *raw, bool anew)
{
	uint64_t now = 0, before = 0;

	for (unsigned i = 0; i <= WAIT_BOUNDS; i++) {
		now += raw->counts[i];
		before += p->waits_raw.counts[i];
	}
	if (anew && now < before)
		p->waits_raw = (struct wait_bounds){};
	for (unsigned i = 0; i <= WAIT_BOUNDS; i++) {
		const uint64_t more = growth(raw->counts[i], p->waits_raw.counts[i]);

		p->waits.counts[i] += more;
		p->waits_raw.counts[i] += more;
	}
	p->waits.sum_ns += growth(raw->sum_ns, p->waits_raw.sum_ns);
	p->waits_raw.sum_ns += growth(raw->sum_ns, p->waits_raw.sum_ns);
}

static void add_up_raw(uint64_t raw[EXPORT_PORT_COUNTERS], const struct endpoint *e)
{
	const bool udp = e->protocol == PROTOCOL_UDP;
	uint64_t arrived = e->omitted.arrived, accepted = e->omitted.accepted,
		 dropped = e->omitted.dropped, drops = e->omitted.drops;

	raw[EXPORT_DROPS_CLOSING] = e->omitted.dropped_closing;
	raw[EXPORT_BYTES_RECEIVED] = e->omitted.bytes.received;
	raw[EXPORT_BYTES_SENT] = e->omitted.bytes.sent;
	for (size_t i = 0; i < e->socket_count; i++) {
		arrived += e->sockets[i].arrived;
		accepted += e->sockets[i].accepted;
		dropped += e->sockets[i].dropped;
		drops += e->sockets[i].drops;
		raw[EXPORT_DROPS_CLOSING] += e->sockets[i].dropped_closing;
	}
	for (size_t i = 0; i < e->worker_count; i++) {
		raw[EXPORT_BYTES_RECEIVED] += e->workers[i].bytes.received;
		raw[EXPORT_BYTES_SENT] += e->workers[i].bytes.sent;
	}
	raw[udp ? EXPORT_DELIVERED : EXPORT_ARRIVED] = arrived;
	raw[udp ? EXPORT_RECEIVED : EXPORT_CONNECTIONS] = accepted;
	raw[EXPORT_DROPS_NO_ROOM] = dropped;
	raw[EXPORT_DROPS_KERNEL] = growth(drops, dropped); /* the kernel counts those as well */
}

/* Has a counter of a port series at all? */
static bool counter_known(const struct export_options *o, enum protocol protocol, unsigned counter)
{
	const bool udp = protocol == PROTOCOL_UDP;

	switch (counter) {
	case EXPORT_CONNECTIONS:
	case EXPORT_DROPS_CLOSING: return !udp;
	case EXPORT_ARRIVED: return !udp && o->sees & EXPORT_SEES_ARRIVALS;
	case EXPORT_BYTES_RECEIVED:
	case EXPORT_BYTES_SENT: return !udp && o->sees & EXPORT_SEES_SERVING;
	case EXPORT_DELIVERED:
	case EXPORT_DROPS_NO_ROOM: return udp && o->sees & EXPORT_SEES_DELIVERED;
	case EXPORT_RECEIVED: return udp;
	default: return true;
	}
}

static void fill_counters(const struct export_options *o, struct export_port *p,
			  const struct endpoint *e, bool anew)
{
	uint64_t raw[EXPORT_PORT_COUNTERS] = {};

	add_up_raw(raw, e);
	for (unsigned i = 0; i < EXPORT_PORT_COUNTERS; i++) {
		if (i != EXPORT_CPU) /* export_take_workers() adds to it */
			count_on(&p->counters[i], raw[i], anew);
		p->values[i] =
			counter_known(o, p->protocol, i) ? (double)p->counters[i].total : NAN;
	}
	p->values[EXPORT_CPU] /= 1e9;
	p->waits_known = p->protocol == PROTOCOL_TCP && o->sees & EXPORT_SEES_WAITS;
	waits_count_on(p, &e->waits_by_bound, anew);
}

/* ---- gauges ---- */

static void add_value(double *sum, double number)
{
	*sum = isnan(*sum) ? number : *sum + number;
}

static void fill_sockets(struct export_port *p, const struct endpoint *e)
{
	double *values = p->values;

	values[EXPORT_SOCKETS] = values[EXPORT_STEERED] = 0;
	for (size_t i = 0; i < e->socket_count; i++) {
		const struct socket_row *s = &e->sockets[i];

		if (s->ended)
			continue;
		values[EXPORT_SOCKETS]++;
		values[EXPORT_STEERED] += s->steered && !values[EXPORT_STEERED];
		if (s->queue_known) {
			add_value(&values[EXPORT_QUEUE_LENGTH], s->queue_length);
			add_value(&values[EXPORT_QUEUE_LIMIT], s->queue_limit);
		}
		if (s->half_open.known)
			add_value(&values[EXPORT_HALF_OPEN], s->half_open.count);
	}
}

static void fill_open(const struct export_options *o, struct export_port *p,
		      const struct endpoint *e)
{
	if (p->protocol == PROTOCOL_UDP || !(o->sees & EXPORT_SEES_SERVING))
		return;
	p->values[EXPORT_OPEN] = (double)e->omitted.open;
	for (size_t i = 0; i < e->worker_count; i++)
		if (e->workers[i].open_known)
			p->values[EXPORT_OPEN] += (double)e->workers[i].open;
}

static int port_take(struct export_state *x, struct export_port *p, const struct endpoint *e,
		     bool first)
{
	/* Once fewer of its sockets are omitted, it may have been forgotten. */
	const bool anew = e->omitted.sockets < p->omitted_sockets;
	int err;

	p->found = true;
	p->alive = endpoint_alive(e);
	p->seen += p->alive && p->seen < 2;
	p->omitted_sockets = e->omitted.sockets;
	no_values(p->values + EXPORT_PORT_COUNTERS, EXPORT_WINDOW_VALUES - EXPORT_PORT_COUNTERS);
	err = export_take_workers(x, p, e, first);
	fill_counters(&x->options, p, e, anew);
	fill_sockets(p, e);
	fill_open(&x->options, p, e);
	return err;
}

/* The ledger counts from 0 again when the port comes back. */
static void port_forget(struct export_port *p)
{
	for (unsigned i = 0; i < EXPORT_PORT_COUNTERS; i++)
		p->counters[i].raw = 0;
	p->waits_raw = (struct wait_bounds){};
	p->omitted_sockets = 0;
}

/* Nothing is left of a port but what was exported of it, or it is set aside and may come back. */
static int port_miss(struct export_state *x, struct export_port *p)
{
	const struct endpoint nothing = { .protocol = p->protocol };

	p->alive = false;
	if (!p->aside)
		port_forget(p);
	no_values(p->values + EXPORT_PORT_COUNTERS, EXPORT_WINDOW_VALUES - EXPORT_PORT_COUNTERS);
	return export_take_workers(x, p, &nothing, false);
}

/* ---- what is gone ---- */

static int compare_gone(const void *a, const void *b)
{
	const struct export_port *x = *(struct export_port *const *)a,
				 *y = *(struct export_port *const *)b;

	if (x->alive != y->alive)
		return COMPARE(x->alive, y->alive);
	return x->alive ? COMPARE(x->born, y->born) : COMPARE(x->gone, y->gone);
}

/* How many ports are gone, and so long ago that they have to go, or beyond EXPORT_GONE_MAX. Sorts
 * `list` so that they come first. */
static size_t gone_find(const struct export_state *x, struct export_port **list)
{
	size_t gone = 0, old = 0;

	memcpy(list, x->ports.rows, x->ports.count * sizeof(*list));
	qsort(list, x->ports.count, sizeof(*list), compare_gone);
	while (gone < x->ports.count && !list[gone]->alive)
		gone++;
	while (old < gone && x->now - list[old]->gone >= EXPORT_KEEP_SECONDS)
		old++;
	return gone - old > EXPORT_GONE_MAX ? gone - EXPORT_GONE_MAX : old;
}

/* A port of UDP that was found once is nobody's loss: it was a client's. */
static bool passed(const struct export_state *x, const struct export_port *p)
{
	return !p->alive && p->seen < 2 && p->protocol == PROTOCOL_UDP && !x->options.ports_named;
}

static int ports_drop(struct export_state *x)
{
	struct export_port **list = calloc(x->ports.count + 1, sizeof(struct export_port *)),
			   **rows = x->ports.rows;
	size_t drop, kept = 0;

	if (!list)
		return -ENOMEM;
	if (x->ports.count) {
		drop = gone_find(x, list);
		for (size_t i = 0; i < drop; i++)
			list[i]->born = 0;
		for (size_t i = 0; i < x->ports.count; i++)
			if (!rows[i]->born || passed(x, rows[i]))
				port_free(rows[i]);
			else
				rows[kept++] = rows[i];
		x->ports.count = kept;
	}
	free(list);
	return 0;
}

/* ---- the whole ---- */

void export_begin(struct export_state *x, const struct export_options *options)
{
	*x = (struct export_state){ .options = *options, .backend = "" };
	no_values(x->values, EXPORT_OWN_VALUES);
	x->values[EXPORT_START_TIME] = options->start;
	x->values[EXPORT_SERIES_LIMIT] = (double)options->series_max;
}

void export_end(struct export_state *x)
{
	for (size_t i = 0; i < x->ports.count; i++)
		port_free(export_port_at(x, i));
	free(x->ports.rows);
	free(x->lost.rows);
	*x = (struct export_state){};
}

static struct export_lost *lost_counter(struct export_state *x, const char *reason)
{
	const struct export_lost fresh = { .reason = reason };
	struct export_lost *rows = x->lost.rows;

	for (size_t i = 0; i < x->lost.count; i++)
		if (!strcmp(rows[i].reason, reason))
			return &rows[i];
	return array_add(&x->lost, &fresh, sizeof(fresh));
}

int export_name_lost(struct export_state *x, const char *reason)
{
	return lost_counter(x, reason) ? 0 : -ENOMEM;
}

/* Some of these counts are bounds, which may fall. */
static int take_lost(struct export_state *x, const struct snapshot *total)
{
	for (size_t i = 0; i < total->lost_count; i++) {
		struct export_lost *lost = lost_counter(x, total->lost[i].reason);

		if (!lost)
			return -ENOMEM;
		if (total->lost[i].count > lost->total)
			lost->total = total->lost[i].count;
	}
	return 0;
}

static void take_cost(struct export_state *x, const struct own_cost *cost)
{
	if (!cost->known)
		return;
	x->values[EXPORT_OWN_COST_KERNEL] = (double)cost->ns / 1e9;
	x->values[EXPORT_OWN_COST_PROCESS] = (double)cost->process_ns / 1e9;
}

/* A port gets series while one of its sockets is open. Port 0 is the sum of many that the ledger
 * has forgotten. Under another name the port is another, whose series begin. */
static int endpoint_take(struct export_state *x, const struct endpoint *e)
{
	struct export_port *p = e->port ? port_find(x, e) : NULL;
	unsigned seen = x->collections == 1 ? 2 : 0; /* it was there before */
	bool first;

	if (p && port_renamed(x, p)) {
		seen = p->seen;
		port_remove(x, p);
		p = NULL;
	}
	first = !p;
	if (!p && (!e->port || !endpoint_alive(e)))
		return 0;
	if (!p)
		p = port_add(x, e);
	if (!p)
		return -ENOMEM;
	p->seen = first ? seen : p->seen;
	return port_take(x, p, e, first);
}

/* Ports of which sockets are set aside; none is found yet. */
static void aside_find(struct export_state *x, const struct snapshot *total)
{
	for (size_t i = 0; i < x->ports.count; i++)
		export_port_at(x, i)->found = export_port_at(x, i)->aside = false;
	for (size_t i = 0; i < total->aside_count; i++) {
		const struct endpoint *e = &total->endpoints[total->endpoint_count + i];
		struct export_port *p = port_find(x, e);

		if (!p)
			continue;
		p->aside = true;
		export_keep_workers(p, e);
	}
}

int export_collect(struct export_state *x, const struct snapshot *total, double now)
{
	int err = 0;

	x->now = now;
	x->since = total->seconds - x->seconds;
	x->seconds = total->seconds;
	x->collections++;
	x->backend = total->backend;
	memcpy(x->kernel, total->release, sizeof(x->kernel));
	aside_find(x, total);
	for (size_t i = 0; i < total->endpoint_count && !err; i++)
		err = endpoint_take(x, &total->endpoints[i]);
	for (size_t i = 0; i < x->ports.count && !err; i++) {
		struct export_port *p = export_port_at(x, i);

		if (!p->found)
			err = port_miss(x, p);
		if (p->alive)
			p->gone = 0;
		else if (!(p->gone > 0))
			p->gone = now;
	}
	err = err ? err : take_lost(x, total);
	take_cost(x, &total->own_cost);
	return err ? err : ports_drop(x);
}

/* ---- windows ---- */

static void window_findings(struct export_port *p, const struct endpoint *e)
{
	for (size_t i = 0; i < e->finding_count; i++) {
		const struct finding *f = &e->findings[i];
		bool told = p->finding_count == EXPORT_FINDINGS_MAX;

		for (size_t k = 0; k < p->finding_count; k++)
			told |= p->findings[k].level == f->level &&
				!strcmp(p->findings[k].code, f->code);
		if (told) /* of another socket */
			continue;
		p->findings[p->finding_count].code = f->code;
		p->findings[p->finding_count++].level = f->level;
	}
}

/* The longest queue. Where arrivals are seen and there was none, no queue was longer than 0. */
static double window_highest(const struct export_options *o, const struct endpoint *e)
{
	double highest = 0;

	if (e->protocol == PROTOCOL_UDP || !(o->sees & EXPORT_SEES_ARRIVALS))
		return NAN;
	for (size_t i = 0; i < e->socket_count; i++)
		if (e->sockets[i].highest_known && e->sockets[i].queue_highest > highest)
			highest = e->sockets[i].queue_highest;
	return highest;
}

static void port_window(const struct export_options *o, struct export_port *p,
			const struct endpoint *e)
{
	const struct fairness *f = endpoint_decisive(e);
	double *values = p->values;

	values[EXPORT_WINDOW_EVENTS] = (double)endpoint_events(e);
	values[EXPORT_WINDOW_HIGHEST] = window_highest(o, e);
	values[EXPORT_WINDOW_IDLE] = (double)f->idle;
	values[EXPORT_WINDOW_CV] = f->cv;
	values[EXPORT_WINDOW_CV_EXPECTED] = f->cv_expected;
	values[EXPORT_WINDOW_P_VALUE] = f->p_value;
	for (unsigned i = 0; i <= VERDICT_WITHHELD; i++)
		values[EXPORT_WINDOW_VERDICT + i] = i == f->verdict;
	p->design = design_name(e->design.code);
	window_findings(p, e);
}

void export_window(struct export_state *x, const struct snapshot *window, double end)
{
	x->values[EXPORT_WINDOW_END] = end;
	x->values[EXPORT_WINDOW_SECONDS] = round(window->seconds * 1e6) / 1e6;
	for (size_t i = 0; i < x->ports.count; i++) {
		struct export_port *p = export_port_at(x, i);

		no_values(p->values + EXPORT_WINDOW_VALUES,
			  EXPORT_PORT_VALUES - EXPORT_WINDOW_VALUES);
		p->design = NULL;
		p->finding_count = 0;
	}
	for (size_t i = 0; i < window->endpoint_count; i++) {
		struct export_port *p = port_find(x, &window->endpoints[i]);

		if (p && p->alive)
			port_window(&x->options, p, &window->endpoints[i]);
	}
}
