/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The facts that rules look at, gathered once for each endpoint, and helpers for the rules' texts.
 */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "findings_rules.h"
#include "judge.h"
#include "lifetimes.h"
#include "order.h"
#include "steer_plan.h"

/* --- what is said
 * ----------------------------------------------------------------------------------------------------
 */

bool finding_say(struct finding *f, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(f->text, sizeof(f->text), format, args);
	va_end(args);
	return length >= 0 && (size_t)length < sizeof(f->text);
}

void finding_offer_steer(struct finding *f, const struct facts *facts)
{
	const struct endpoint *e = facts->endpoint;
	const struct steer_facts optimistic = { .lookup_known = true };
	const struct steer_wish wish = {};
	const struct snapshot port = { .endpoints = (struct endpoint *)facts->port->endpoint,
				       .endpoint_count = facts->port_count };
	const size_t used = strlen(f->text);
	struct steer_plan plan;

	if (e->lookup.id || e->socket_count > STEER_MEMBERS_MAX)
		return;
	for (size_t i = 0; i < e->socket_count; i++)
		if (e->sockets[i].steered &&
		    !strcmp(e->sockets[i].picker.name, STEER_GROUP_PROGRAM))
			return; /* it is steered */
	steer_plan_make(&plan, &port, e, &optimistic, &wish);
	if (plan.way == STEER_BY_LOOKUP)
		snprintf(f->text + used, sizeof(f->text) - used,
			 "; for the time being 'sockfair steer -P %u' sends new connections to the "
			 "others",
			 e->port);
}

void finding_show(struct finding *f, const char *name, double number)
{
	if (f->evidence_count < EVIDENCE_MAX)
		f->evidence[f->evidence_count++] = (struct evidence){ name, number };
}

bool finding_said(const struct endpoint *e, const char *code)
{
	for (size_t i = 0; i < e->finding_count; i++)
		if (!strcmp(e->findings[i].code, code))
			return true;
	return false;
}

/* Shows three digits; each bound is where rounding would give a fourth. */
const char *say_duration(char buffer[DURATION_SIZE], double ns)
{
	static const struct {
		double below_ns, unit_ns;
		int decimals;
		const char *unit;
	} steps[] = {
		{ 999.5e3, 1e3, 0, "us" },    { 99.95e6, 1e6, 1, "ms" }, { 999.5e6, 1e6, 0, "ms" },
		{ 99.95e9, 1e9, 1, "s" },     { 600.5e9, 1e9, 0, "s" },  { 7200e9, 60e9, 0, "min" },
		{ INFINITY, 3600e9, 1, "h" },
	};
	size_t i = 0;

	while (ns >= steps[i].below_ns)
		i++;
	snprintf(buffer, DURATION_SIZE, "%.*f %s", steps[i].decimals, ns / steps[i].unit_ns,
		 steps[i].unit);
	return buffer;
}

const char *events_name(const struct endpoint *e, uint64_t count)
{
	if (e->protocol == PROTOCOL_TCP)
		return count == 1 ? "connection" : "connections";
	return count == 1 ? "datagram" : "datagrams";
}

/* --- what is known of an endpoint
 * ------------------------------------------------------------------------------------ */

bool workers_whole(const struct endpoint *e)
{
	return e->worker_fairness.verdict != VERDICT_WITHHELD;
}

bool sockets_whole(const struct endpoint *e)
{
	return e->socket_fairness.verdict != VERDICT_WITHHELD;
}

const struct fairness *fairness_counting(const struct endpoint *e)
{
	const struct fairness *decisive = endpoint_decisive(e);

	if (e->design.bins == BINS_NONE)
		return NULL;
	if (e->design.bins != BINS_WORKERS)
		return decisive->bins > 1 ? decisive : NULL;
	if (e->worker_fairness.bins > 1)
		return &e->worker_fairness;
	if (e->socket_fairness.bins > 1)
		return &e->socket_fairness;
	return e->served_known && e->served_fairness.bins > 1 ? &e->served_fairness : NULL;
}

static int group_is(const void *key, const void *group)
{
	return COMPARE(*(const uint64_t *)key, ((const struct group *)group)->id);
}

const struct group *group_find(const struct facts *facts, uint64_t id)
{
	return facts->group_count ? bsearch(&id, facts->groups, facts->group_count,
					    sizeof(*facts->groups), group_is)
				  : NULL;
}

static int takers_are(const void *key, const void *takers)
{
	return COMPARE(*(const uint64_t *)key, ((const struct takers *)takers)->cookie);
}

const struct takers *takers_find(const struct facts *facts, uint64_t cookie)
{
	return facts->taker_count ? bsearch(&cookie, facts->takers, facts->taker_count,
					    sizeof(*facts->takers), takers_are)
				  : NULL;
}

static int worker_is_of(const void *key, const void *row)
{
	return COMPARE(*(const int32_t *)key, (*(const struct worker_row *const *)row)->pid);
}

bool takers_have(const struct takers *t, int32_t pid)
{
	return t && bsearch(&pid, t->rows, t->threads, sizeof(*t->rows), worker_is_of);
}

static int gone_is(const void *key, const void *row)
{
	const struct worker_row *x = key, *y = *(const struct worker_row *const *)row;

	return x->cookie != y->cookie ? COMPARE(x->cookie, y->cookie) : COMPARE(x->pid, y->pid);
}

const struct worker_row *const *gone_find(const struct facts *facts, uint64_t cookie, int32_t pid,
					  size_t *count)
{
	const struct worker_row key = { .cookie = cookie, .pid = pid },
				*const *end = facts->gone + facts->gone_count, *const * first;

	*count = 0;
	first = facts->gone_count ? bsearch(&key, facts->gone, facts->gone_count,
					    sizeof(*facts->gone), gone_is)
				  : NULL;
	while (first && first > (const struct worker_row *const *)facts->gone &&
	       !gone_is(&key, first - 1))
		first--;
	while (first && first + *count < end && !gone_is(&key, first + *count))
		++*count;
	return first;
}

/* --- how that is found
 * -----------------------------------------------------------------------------------------------
 */

static int compare_by_group(const void *a, const void *b)
{
	const struct socket_row *x = *(const struct socket_row *const *)a,
				*y = *(const struct socket_row *const *)b;

	return x->group != y->group ? COMPARE(x->group, y->group) : COMPARE(x->cookie, y->cookie);
}

static int group_facts(struct facts *facts, const struct endpoint *e)
{
	const struct socket_row **rows = calloc(e->socket_count + 1, sizeof(*rows));
	size_t count = 0;

	facts->grouped = rows;
	facts->groups = calloc(e->socket_count + 1, sizeof(*facts->groups));
	if (!rows || !facts->groups)
		return -ENOMEM;
	for (size_t i = 0; i < e->socket_count; i++)
		if (e->sockets[i].reuseport && e->sockets[i].group && !e->sockets[i].ended &&
		    !e->sockets[i].connected)
			rows[count++] = &e->sockets[i];
	qsort(rows, count, sizeof(*rows), compare_by_group);
	for (size_t i = 0; i < count; i++) {
		struct group *group;

		if (i == 0 || rows[i]->group != rows[i - 1]->group)
			facts->groups[facts->group_count++] =
				(struct group){ .id = rows[i]->group, .rows = &rows[i] };
		group = &facts->groups[facts->group_count - 1];
		group->sockets++;
		group->waiting += rows[i]->waiting;
		group->steered |= rows[i]->steered || rows[i]->incoming_cpu_set || e->lookup.id;
	}
	return 0;
}

static int compare_by_wait(const void *a, const void *b)
{
	const struct worker_row *x = *(const struct worker_row *const *)a,
				*y = *(const struct worker_row *const *)b;

	return x->wait_kind != y->wait_kind ? COMPARE(x->wait_kind, y->wait_kind)
					    : COMPARE(x->epoll, y->epoll);
}

/* Sorts rows. An epoll without a number is skipped, because nobody knows which threads share it. */
static void count_waits(struct takers *t, const struct worker_row **rows)
{
	size_t run = 0; /* length of the present run of threads on the same epoll */

	qsort(rows, t->threads, sizeof(*rows), compare_by_wait);
	for (size_t i = 0; i < t->threads; i++) {
		const struct worker_row *row = rows[i];

		t->urings += row->wait_kind == WAITS_URING;
		t->woken_together += row->wait_kind == WAITS_POLL && !row->exclusive;
		if (row->wait_kind != WAITS_EPOLL || !row->epoll)
			continue;
		run = run && rows[i - 1]->epoll == row->epoll ? run + 1 : 1;
		t->epoll_threads = run > t->epoll_threads ? run : t->epoll_threads;
		if (run == 1) {
			t->exclusive_epolls += row->exclusive;
			t->woken_together += !row->exclusive;
		}
	}
}

/* CV^2 = k * (sum of squares) / n^2 - 1; a fair hash gives (k - 1) / n */
static void count_taken(struct takers *t, const struct endpoint *e)
{
	struct lifetimes seen = endpoint_lifetimes(e);
	double squares = 0, n, excess;

	for (size_t i = 0; i < t->threads; i++)
		lifetimes_see(&seen, t->rows[i]->appeared, t->rows[i]->ended);
	for (size_t i = 0; i < t->threads; i++) {
		const struct worker_row *row = t->rows[i];

		t->taken += row->accepted;
		t->woken += row->usage_known ? row->sleeps : 0;
		if (!lifetimes_admit(&seen, row->appeared, row->ended))
			continue;
		t->judged++;
		t->judged_taken += row->accepted;
		squares += (double)row->accepted * (double)row->accepted;
		if (!t->busiest || row->accepted > t->busiest->accepted)
			t->busiest = row;
	}
	n = (double)t->judged_taken;
	excess =
		n > 0 ? (double)t->judged * squares / (n * n) - 1 - (double)(t->judged - 1) / n : 0;
	t->excess = excess > 0 ? sqrt(excess) : 0;
}

static int taker_facts(struct facts *facts, const struct endpoint *e)
{
	const struct worker_row **rows = calloc(e->worker_count + 1, sizeof(*rows));
	const struct worker_row **by_wait = calloc(e->worker_count + 1, sizeof(*by_wait));
	size_t count = 0, end;
	int err = -ENOMEM;

	facts->taking = rows;
	facts->takers = calloc(e->worker_count + 1, sizeof(*facts->takers));
	if (!rows || !by_wait || !facts->takers)
		goto out;
	for (size_t i = 0; i < e->worker_count; i++)
		if (e->workers[i].can_accept && !worker_is_past(&e->workers[i]))
			rows[count++] = &e->workers[i];
	qsort(rows, count, sizeof(*rows), worker_by_socket);
	for (size_t from = 0; from < count; from = end) {
		struct takers *t = &facts->takers[facts->taker_count++];

		*t = (struct takers){ .cookie = rows[from]->cookie, .rows = &rows[from] };
		for (end = from; end < count && rows[end]->cookie == rows[from]->cookie; end++)
			t->processes += end == from || rows[end]->pid != rows[end - 1]->pid;
		t->threads = end - from;
		memcpy(by_wait, &rows[from], t->threads * sizeof(*rows));
		count_waits(t, by_wait);
		count_taken(t, e);
	}
	err = 0;
out:
	free(by_wait);
	return err;
}

static int gone_facts(struct facts *facts, const struct endpoint *e)
{
	facts->gone = calloc(e->worker_count + 1, sizeof(*facts->gone));
	if (!facts->gone)
		return -ENOMEM;
	for (size_t i = 0; i < e->worker_count; i++)
		if (e->workers[i].can_accept && e->workers[i].ended)
			facts->gone[facts->gone_count++] = &e->workers[i];
	qsort(facts->gone, facts->gone_count, sizeof(*facts->gone), worker_by_socket);
	return 0;
}

/* Sorts by port, then in the snapshot's order. */
static int compare_facts(const void *a, const void *b)
{
	const struct facts *x = a, *y = b;
	int order = endpoint_by_port(&x->endpoint, &y->endpoint);

	return order ? order : COMPARE(x->endpoint, y->endpoint);
}

void facts_free(struct facts *facts, size_t count)
{
	for (size_t i = 0; facts && i < count; i++) {
		free(facts[i].grouped);
		free(facts[i].groups);
		free(facts[i].taking);
		free(facts[i].gone);
		free(facts[i].takers);
	}
	free(facts);
}

int facts_gather(struct facts **out, const struct snapshot *s)
{
	struct facts *all = *out = calloc(s->endpoint_count + 1, sizeof(*all));
	int err = all ? 0 : -ENOMEM;

	for (size_t i = 0; i < s->endpoint_count && !err; i++) {
		all[i].snapshot = s;
		all[i].endpoint = &s->endpoints[i];
		err = group_facts(&all[i], &s->endpoints[i]);
		err = err ? err : taker_facts(&all[i], &s->endpoints[i]);
		err = err ? err : gone_facts(&all[i], &s->endpoints[i]);
	}
	if (err)
		return err;
	qsort(all, s->endpoint_count, sizeof(*all), compare_facts);
	for (size_t from = 0, end; from < s->endpoint_count; from = end) {
		for (end = from + 1; end < s->endpoint_count &&
				     !endpoint_by_port(&all[from].endpoint, &all[end].endpoint);)
			end++;
		for (size_t i = from; i < end; i++) {
			all[i].port = &all[from];
			all[i].port_count = end - from;
		}
	}
	return 0;
}
