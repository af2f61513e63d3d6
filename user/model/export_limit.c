/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which series there are, as many as the limit allows. */
#include "export_state.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "order.h"

static size_t count_values(const double *values, const struct export_family *f)
{
	size_t count = 0;

	for (unsigned i = 0; i < f->count; i++)
		count += !isnan(values[f->first + i]);
	return count;
}

static size_t port_series(const struct export_port *p)
{
	size_t count = 0;

	for (size_t i = 0; i < export_family_count; i++) {
		const struct export_family *f = &export_families[i];

		if (f->about != EXPORT_ABOUT_PORT)
			continue;
		switch (f->kind) {
		case EXPORT_WAITS: count += p->waits_known ? WAIT_BOUNDS + 3 : 0; break;
		case EXPORT_FINDINGS: count += p->finding_count; break;
		case EXPORT_DESIGN: count += p->design != NULL; break;
		default: count += count_values(p->values, f);
		}
	}
	return count;
}

static size_t worker_series(const struct export_worker *w)
{
	size_t count = w->lives > 0; /* who has it now */

	for (size_t i = 0; i < export_family_count; i++) {
		const struct export_family *f = &export_families[i];

		if (f->about == EXPORT_ABOUT_WORKER && f->kind == EXPORT_VALUES)
			count += count_values(w->values, f);
	}
	return count;
}

static size_t own_series(const struct export_state *x)
{
	size_t count = x->lost.count + 1; /* and what it is */

	for (size_t i = 0; i < export_family_count; i++) {
		const struct export_family *f = &export_families[i];

		if (f->about == EXPORT_ABOUT_ITSELF && f->kind == EXPORT_VALUES)
			count += count_values(x->values, f);
	}
	return count;
}

/* Has it been there for long enough? UDP sockets that are open for a moment are clients'. */
static bool is_server(const struct export_state *x, const struct export_port *p)
{
	return p->protocol == PROTOCOL_TCP || p->seen > 1 || x->options.ports_named;
}

/* May it have series, if there is room? */
static bool may_show(const struct export_state *x, const struct export_port *p)
{
	return is_server(x, p) && !p->twin;
}

static int compare_ages(const void *a, const void *b)
{
	const struct export_port *x = *(struct export_port *const *)a,
				 *y = *(struct export_port *const *)b;

	return x->alive != y->alive ? COMPARE(y->alive, x->alive) : COMPARE(x->born, y->born);
}

/* As render/openmetrics.c makes labels. */
static int compare_labels(const struct export_port *x, const struct export_port *y)
{
	int order = x->protocol != y->protocol ? COMPARE(x->protocol, y->protocol)
		    : x->port != y->port       ? COMPARE(x->port, y->port)
					       : COMPARE(x->family, y->family);

	order = order ? order : memcmp(x->address, y->address, sizeof(x->address));
	order = order ? order : strcmp(x->netns_name, y->netns_name);
	return order ? order : strcmp(x->device, y->device);
}

/* The last one first: counters of one that is longer gone would seem to go back. */
static int compare_twins(const void *a, const void *b)
{
	const struct export_port *x = *(struct export_port *const *)a,
				 *y = *(struct export_port *const *)b;
	const int order = compare_labels(x, y);

	if (order)
		return order;
	return x->alive != y->alive ? COMPARE(y->alive, x->alive) : COMPARE(y->born, x->born);
}

/* Series with the same labels would make a page unreadable. ports: all, in any order. */
static void twins_find(const struct export_state *x, struct export_port **ports)
{
	const struct export_port *one = NULL;

	qsort(ports, x->ports.count, sizeof(*ports), compare_twins);
	for (size_t i = 0; i < x->ports.count; i++) {
		ports[i]->twin = is_server(x, ports[i]) && one && !compare_labels(one, ports[i]);
		if (is_server(x, ports[i]))
			one = ports[i];
	}
}

/* Shows ports by age, those that are gone last, as long as there is room for all series of one.
 * *left: room; falls by what is shown. Returns the series that are left out. */
static size_t ports_show(struct export_state *x, struct export_port **by_age, size_t *left)
{
	size_t out = 0;

	for (size_t i = 0; i < x->ports.count; i++)
		by_age[i] = export_port_at(x, i);
	twins_find(x, by_age);
	qsort(by_age, x->ports.count, sizeof(*by_age), compare_ages);
	for (size_t i = 0; i < x->ports.count; i++) {
		const size_t series = port_series(by_age[i]);

		by_age[i]->shown = false;
		if (!may_show(x, by_age[i]))
			continue;
		by_age[i]->shown = !out && series <= *left;
		*left -= by_age[i]->shown ? series : 0;
		out += by_age[i]->shown ? 0 : series;
	}
	return out;
}

static bool worker_has_series(const struct export_state *x, const struct export_port *p,
			      size_t slot)
{
	const struct export_worker *w = export_worker_at(p, slot);

	return x->options.workers != EXPORT_WORKERS_NONE && w->used &&
	       (w->lives || x->now - w->freed < EXPORT_KEEP_SECONDS);
}

bool export_worker_shown(const struct export_state *x, const struct export_port *p, size_t slot)
{
	return p->shown && slot < x->slots_shown && worker_has_series(x, p, slot);
}

/* The series of all workers with this slot. */
static size_t slot_series(const struct export_state *x, size_t slot, bool shown)
{
	size_t count = 0;

	for (size_t i = 0; i < x->ports.count; i++) {
		const struct export_port *p = export_port_at(x, i);

		if (p->shown == shown && may_show(x, p) && slot < p->workers.count &&
		    worker_has_series(x, p, slot))
			count += worker_series(export_worker_at(p, slot));
	}
	return count;
}

/* As ports_show(). */
static size_t workers_show(struct export_state *x, size_t *left)
{
	size_t slots = 0, out = 0;

	for (size_t i = 0; i < x->ports.count; i++)
		if (export_port_at(x, i)->workers.count > slots)
			slots = export_port_at(x, i)->workers.count;
	x->slots_shown = 0;
	for (size_t slot = 0; slot < slots; slot++) {
		const size_t series = slot_series(x, slot, true);

		out += slot_series(x, slot, false);
		if (x->slots_shown == slot && series <= *left) {
			x->slots_shown++;
			*left -= series;
		} else {
			out += series;
		}
	}
	return out;
}

int export_limit(struct export_state *x)
{
	const size_t max = x->options.series_max;
	struct export_port **by_age = calloc(x->ports.count + 1, sizeof(struct export_port *));
	size_t own, left, out;

	if (!by_age)
		return -ENOMEM;
	x->values[EXPORT_SERIES] = x->values[EXPORT_SERIES_LEFT_OUT] = 0; /* they count */
	own = own_series(x);
	left = max > own ? max - own : 0;
	out = ports_show(x, by_age, &left);
	out += workers_show(x, &left);
	x->values[EXPORT_SERIES] = (double)(own > max ? own : max - left);
	x->values[EXPORT_SERIES_LEFT_OUT] = (double)out;
	free(by_age);
	return 0;
}
