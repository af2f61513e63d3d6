/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "window.h"

#include "../model/findings.h"
#include "../model/judge.h"

int window_judge(struct snapshot *s, double threshold)
{
	int err = 0;

	for (size_t i = 0; i < s->endpoint_count && !err; i++)
		err = endpoint_judge(&s->endpoints[i], threshold);
	return err ? err : findings_fill(s);
}

/* Marks the generations. An interval alone does not tell which of its workers are of an earlier
 * generation, so its rows get the marks of the total's rows. */
static int tell_generations(struct snapshot *total, double threshold)
{
	int err = 0;

	for (size_t i = 0; i < total->endpoint_count && !err; i++)
		err = endpoint_tell_generations(&total->endpoints[i], threshold);
	return err;
}

int window_take(struct snapshot *out, struct snapshot *total, const struct snapshot *before,
		double threshold)
{
	int err = tell_generations(total, threshold);

	if (!err)
		err = snapshot_difference(out, total, before);
	return err ? err : window_judge(out, threshold);
}
