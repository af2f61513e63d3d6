/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "counters.h"

#define COUNTER(row, member, sum, kind)                                                            \
	{                                                                                          \
		offsetof(struct row, member), sum, kind                                            \
	}
#define SUM(member) offsetof(struct omitted, member)
#define NO COUNTER_NOWHERE
#define TABLE(list)                                                                                \
	{                                                                                          \
		list, sizeof(list) / sizeof(*(list))                                               \
	}

#define S(member, sum, kind) COUNTER(socket_row, member, sum, COUNTS_##kind)
static const struct counter of_sockets[] = {
	S(arrived, SUM(arrived), EVENTS),
	S(dropped, SUM(dropped), EVENTS),
	S(accepted, NO, EVENTS), /* added up from its workers */
	S(copies, NO, BESIDE),
	S(buffers_maybe_several, SUM(buffers_maybe_several), BESIDE),
	S(drops, SUM(drops), BESIDE),
	S(full_ns, NO, BESIDE),
	S(queued_before, NO, BESIDE), /* added up from its workers */
	S(reset_queued, NO, BESIDE),  /* added up from its workers */
	S(dropped_closing, SUM(dropped_closing), EVENTS),
	S(migrated, SUM(migrated), EVENTS),
	S(idle_sum, NO, BESIDE),
	S(looks, NO, BESIDE),
};
const struct counters socket_counters = TABLE(of_sockets);

#define W(member, sum, kind) COUNTER(worker_row, member, sum, COUNTS_##kind)
static const struct counter of_workers[] = {
	W(accepted, SUM(accepted), EVENTS),
	W(queued_before, SUM(queued_before), BESIDE),
	W(reset_queued, SUM(reset_queued), BESIDE),
	W(served, SUM(served), EVENTS),
	W(finished, SUM(finished), EVENTS),
	W(finished_ns, NO, BESIDE),
	W(cpu_ns, NO, BESIDE),
	W(sleeps, NO, BESIDE),
	W(process_cpu_ns, NO, BESIDE),
	W(bytes.received, SUM(bytes.received), EVENTS),
	W(bytes.sent, SUM(bytes.sent), EVENTS),
	W(lived_ns, NO, BESIDE),
};
const struct counters worker_counters = TABLE(of_workers);

#define O(member) COUNTER(omitted, member, NO, COUNTS_EVENTS)
static const struct counter of_omitted[] = {
	O(sockets),        O(workers),    O(connected),     O(appeared),
	O(arrived),        O(dropped),    O(accepted),      O(buffers_maybe_several),
	O(served),         O(finished),   O(queued_before), O(reset_queued),
	O(bytes.received), O(bytes.sent), O(drops),         O(dropped_closing),
	O(migrated),
};
const struct counters omitted_counters = TABLE(of_omitted);

static uint64_t *counter_at(void *row, size_t offset)
{
	return (uint64_t *)((char *)row + offset);
}

static uint64_t value(const void *row, size_t offset)
{
	return *(const uint64_t *)((const char *)row + offset);
}

void counters_subtract(const struct counters *table, void *now, const void *before)
{
	for (size_t i = 0; i < table->count; i++) {
		const size_t offset = table->list[i].at;

		*counter_at(now, offset) = growth(value(now, offset), value(before, offset));
	}
}

void counters_add(const struct counters *table, void *to, const void *from)
{
	for (size_t i = 0; i < table->count; i++)
		*counter_at(to, table->list[i].at) += value(from, table->list[i].at);
}

void counters_add_up(const struct counters *table, void *sum, const void *from)
{
	for (size_t i = 0; i < table->count; i++)
		if (table->list[i].sum != COUNTER_NOWHERE)
			*counter_at(sum, table->list[i].sum) += value(from, table->list[i].at);
}

void counters_clear(const struct counters *table, void *row)
{
	for (size_t i = 0; i < table->count; i++)
		*counter_at(row, table->list[i].at) = 0;
}

bool counters_differ(const struct counters *table, const void *now, const void *before)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct counter *c = &table->list[i];

		if (c->kind == COUNTS_EVENTS && value(now, c->at) != value(before, c->at))
			return true;
	}
	return false;
}

void omitted_add_socket(struct omitted *o, const struct socket_row *s)
{
	o->sockets++;
	o->connected += s->connected;
	o->appeared += s->appeared;
	counters_add_up(&socket_counters, o, s);
}

void omitted_add_worker(struct omitted *o, const struct worker_row *w)
{
	o->workers++;
	counters_add_up(&worker_counters, o, w);
	wait_add(&o->wait, &w->wait, NULL);
}

void omitted_add(struct omitted *to, const struct omitted *from)
{
	counters_add(&omitted_counters, to, from);
	wait_add(&to->wait, &from->wait, NULL);
}
