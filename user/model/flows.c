/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "flows.h"

#include <math.h>

void flows_add(struct flow_sketch *to, const struct flow_sketch *from)
{
	for (unsigned i = 0; i < FLOW_BITS / 64; i++)
		to->bits[i] |= from->bits[i];
}

uint64_t flows_estimate(const struct flow_sketch *s)
{
	unsigned set = 0;

	for (unsigned i = 0; i < FLOW_BITS / 64; i++)
		set += __builtin_popcountll(s->bits[i]);
	if (set == FLOW_BITS)
		set--; /* as if one were left */
	return llround(-FLOW_BITS * log1p(-(double)set / FLOW_BITS));
}
