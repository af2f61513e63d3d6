/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "arrivals.h"

struct arrivals arrivals_sum(const struct arrivals_cpu *rows, unsigned cpus)
{
	struct arrivals sum = {};
	uint64_t arrived = 0, late = 0;

	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		arrived += rows[cpu].arrived;
		late += rows[cpu].dropped_late;
		sum.dropped += rows[cpu].dropped;
		sum.copies += rows[cpu].copies;
		sum.several += rows[cpu].several;
		if (rows[cpu].queue_highest > sum.queue_highest)
			sum.queue_highest = rows[cpu].queue_highest;
	}
	/* Subtracted over all CPUs, because a single CPU may have more late drops (of other CPUs'
	 * arrivals) than arrivals. */
	sum.arrived = arrived > late ? arrived - late : 0;
	sum.unseen = late > arrived ? late - arrived : 0;
	return sum;
}
