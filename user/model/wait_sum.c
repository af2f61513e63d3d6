/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wait_sum.h"

#include <math.h>

void wait_sum_add(struct wait_sum *sum, bool known, const struct wait *w,
		  const struct wait_histogram *list)
{
	const bool first = !sum->wait.count;

	sum->known |= known;
	if (!known || !w->count)
		return;
	if ((first || sum->wait.histogram) && w->histogram && list) {
		for (unsigned i = 0; i < WAIT_SLOTS; i++)
			sum->histogram.slots[i] += list[w->histogram - 1].slots[i];
		sum->wait.histogram = 1;
	} else {
		sum->wait.histogram = 0;
	}
	sum->wait.count += w->count;
	sum->wait.sum_ns += w->sum_ns;
	sum->wait.max_ns = w->max_ns > sum->wait.max_ns
				   ? w->max_ns
				   : sum->wait.max_ns; /* of the rows whose maximum is known */
}

void wait_sum_add_sockets(struct wait_sum *sum, const struct endpoint *e)
{
	for (size_t i = 0; i < e->socket_count; i++)
		wait_sum_add(sum, e->sockets[i].wait_known, &e->sockets[i].wait, e->histograms);
}

void wait_sum_add_endpoint(struct wait_sum *sum, const struct endpoint *e)
{
	wait_sum_add_sockets(sum, e);
	wait_sum_add(sum, e->omitted.wait.count > 0, &e->omitted.wait, NULL);
}

double wait_sum_quantile_ns(const struct wait_sum *sum, double q)
{
	return wait_quantile_ns(&sum->wait, &sum->histogram, q);
}

double wait_max_ns(const struct wait *w)
{
	return w->count && (w->max_ns || !w->sum_ns)
		       ? (double)w->max_ns
		       : NAN; /* NAN is a float and would make the result one */
}
