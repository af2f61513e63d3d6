/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wait.h"

#include <math.h>

/* The shortest wait of a slot, in us; for WAIT_SLOTS: where the last slot would end. */
static uint64_t slot_low(unsigned slot)
{
	return slot < 8 ? slot : (uint64_t)(8 + slot % 8) << (slot / 8 - 1);
}

/* What a slot stands for, in ns. A wait of n us lies between n and n + 1. */
static double slot_ns(unsigned slot)
{
	const double low = slot_low(slot), high = slot_low(slot + 1);

	if (slot < 16)
		return low * 1000;
	return 2 * low * high / (low + high) * 1000;
}

double wait_mean_ns(const struct wait *w)
{
	return w->count ? (double)w->sum_ns / w->count : NAN;
}

double wait_quantile_ns(const struct wait *w, const struct wait_histogram *list, double q)
{
	const struct wait_histogram *h;
	uint64_t total = 0, below = 0, rank;

	if (!w->count || !w->histogram || !list)
		return NAN;
	h = &list[w->histogram - 1];
	for (unsigned i = 0; i < WAIT_SLOTS; i++)
		total += h->slots[i];
	if (!total)
		return NAN;
	rank = ceil(q * total);
	rank = rank ? rank : 1;
	for (unsigned i = 0; i < WAIT_SLOTS; i++) {
		double ns = slot_ns(i);

		below += h->slots[i];
		if (below < rank)
			continue;
		/* The longest wait is known exactly, and the last slot has no end. */
		return ns > w->max_ns || i == WAIT_SLOTS - 1 ? w->max_ns : ns;
	}
	return w->max_ns;
}

uint64_t wait_count_from(const struct wait *w, const struct wait_histogram *list, uint64_t ns)
{
	uint64_t count = 0;

	if (!w->count || !w->histogram || !list)
		return 0;
	for (unsigned i = 0; i < WAIT_SLOTS; i++)
		if (slot_low(i) * 1000 >= ns)
			count += list[w->histogram - 1].slots[i];
	return count;
}

void wait_add(struct wait *to, const struct wait *from, struct wait_histogram *list)
{
	if (!from->count)
		return;
	if (to->histogram && from->histogram)
		for (unsigned i = 0; i < WAIT_SLOTS; i++)
			list[to->histogram - 1].slots[i] += list[from->histogram - 1].slots[i];
	else
		to->histogram = 0;
	to->count += from->count;
	to->sum_ns += from->sum_ns;
	to->max_ns = from->max_ns > to->max_ns ? from->max_ns : to->max_ns;
}

void wait_subtract(struct wait *now, const struct wait *before, struct wait_histogram *list,
		   const struct wait_histogram *list_before)
{
	uint64_t longest = 0;

	now->count = growth(now->count, before->count);
	now->sum_ns = growth(now->sum_ns, before->sum_ns);
	if (now->histogram && (before->histogram || !before->count)) {
		struct wait_histogram *h = &list[now->histogram - 1];

		for (unsigned i = 0; i < WAIT_SLOTS; i++) {
			if (before->histogram)
				h->slots[i] = growth(h->slots[i],
						     list_before[before->histogram - 1].slots[i]);
			if (h->slots[i])
				longest = slot_low(i + 1) * 1000;
		}
		now->max_ns = longest < now->max_ns && !(longest && h->slots[WAIT_SLOTS - 1])
				      ? longest
				      : now->max_ns;
	} else {
		now->histogram = 0;
		if (before->count && now->max_ns <= before->max_ns)
			now->max_ns = 0;
	}
	if (!now->count)
		now->max_ns = 0;
}

const uint32_t wait_bounds_us[WAIT_BOUNDS] = { 104,   512,    1024,   5120,   10240,  49152,
					       98304, 245760, 491520, 983040, 5242880 };

void wait_bounds_add(struct wait_bounds *to, const struct wait_bounds *from)
{
	for (unsigned i = 0; i <= WAIT_BOUNDS; i++)
		to->counts[i] += from->counts[i];
	to->sum_ns += from->sum_ns;
}

void wait_bounds_of(uint32_t counts[WAIT_BOUNDS + 1], const uint32_t *slots)
{
	unsigned slot = 0;

	for (unsigned i = 0; i <= WAIT_BOUNDS; i++) {
		const unsigned end = i < WAIT_BOUNDS ? wait_slot(wait_bounds_us[i]) : WAIT_SLOTS;

		for (counts[i] = 0; slot < end; slot++)
			counts[i] += slots[slot];
	}
}
