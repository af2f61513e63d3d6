/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "steer_limits.h"

#include <math.h>

#include "queues.h"
#include "wait_sum.h"

#define DEVIATIONS 3
/* A quantile may move to the next slot of the histogram without being longer. */
#define WAIT_GRAIN (1 + 2 * WAIT_ERROR)

struct steer_second steer_second_of(const struct endpoint *e, double seconds)
{
	struct steer_second s = { .figures = { NAN, 0, 0 } };
	struct wait_sum sum = {};

	wait_sum_add_endpoint(&sum, e);
	if (sum.known && sum.wait.count)
		s.figures[STEER_LIMIT_WAIT] = wait_sum_quantile_ns(&sum, 0.99);
	for (size_t i = 0; i < e->socket_count && seconds > 0; i++) {
		const struct socket_row *row = &e->sockets[i];

		s.figures[STEER_LIMIT_DROPS] +=
			(double)(e->protocol == PROTOCOL_UDP ? row->dropped : drops_least(row)) /
			seconds;
		s.figures[STEER_LIMIT_RESETS] += (double)row->dropped_closing / seconds;
	}
	return s;
}

void steer_limits_learn(struct steer_limits *l, const struct steer_second *s)
{
	for (size_t i = 0; i < STEER_LIMITS; i++) {
		const double x = s->figures[i];

		if (isnan(x))
			continue;
		l->of[i].count++;
		l->of[i].sum += x;
		l->of[i].squares += x * x;
		l->of[i].highest = fmax(l->of[i].highest, x);
	}
}

double steer_limit_of(const struct steer_limits *l, enum steer_limit limit)
{
	const double n = (double)l->of[limit].count, mean = l->of[limit].sum / n,
		     variance = (l->of[limit].squares - n * mean * mean) / (n - 1);
	double most;

	if (n < STEER_LEARNED_MIN)
		return INFINITY;
	most = fmax(l->of[limit].highest, mean + DEVIATIONS * sqrt(fmax(variance, 0)));
	return limit == STEER_LIMIT_WAIT ? fmax(most * WAIT_GRAIN, STEER_WAIT_FLOOR_NS) : most;
}

enum steer_limit steer_limits_check(struct steer_limits *l, const struct steer_second *s)
{
	enum steer_limit found = STEER_LIMITS;

	for (size_t i = 0; i < STEER_LIMITS; i++) {
		const enum steer_limit limit = (enum steer_limit)i;

		if (isnan(s->figures[i]))
			continue; /* nothing came that could be good or bad */
		if (s->figures[i] > steer_limit_of(l, limit))
			l->of[i].bad++;
		else
			l->of[i].bad = 0;
		if (l->of[i].bad >= STEER_BAD_SECONDS && found == STEER_LIMITS)
			found = limit;
	}
	return found;
}
