/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verdicts about which worker gets the work under load. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "claim.h"

/* ---- even or not ---- */

static void share_figure(struct claim_result *r, const struct claim_share *s, const char *what,
			 double value)
{
	if (s->concurrency)
		claim_number(r, value, "%s_%s_at_%u", what, s->key, s->concurrency);
	else
		claim_number(r, value, "%s_%s", what, s->key);
}

static void claim_share_figures(struct claim_result *r, const struct claim_share *s)
{
	const struct fairness *f = &s->fairness;

	share_figure(r, s, "cv", f->cv);
	share_figure(r, s, "cv_fair_hash", f->cv_expected);
	share_figure(r, s, "busiest_over_mean", f->max_over_mean);
	share_figure(r, s, "p_value", f->p_value);
}

/* "blocking accept() (CV 0.020 with 2 outstanding, 0.062 with 64), ..." for the runs with that
 * verdict; the runs of one design are consecutive. */
static void shares_say(struct claim_result *r, const struct claim_share *runs, size_t count,
		       enum verdict want)
{
	const struct claim_share *last = NULL;

	for (size_t i = 0; i < count; i++) {
		const struct claim_share *s = &runs[i];
		const bool again = last && !strcmp(last->key, s->key);

		if (s->fairness.verdict != want)
			continue;
		if (again)
			claim_say(r, ", %.3f", s->fairness.cv);
		else
			claim_say(r, "%s%s (CV %.3f", last ? "), " : "", s->design, s->fairness.cv);
		if (s->concurrency)
			claim_say(r, again ? " with %u" : " with %u outstanding", s->concurrency);
		if (s->fairness.unit == UNIT_FLOW)
			claim_say(r, "; chance %.3f", s->fairness.cv_expected);
		last = s;
	}
	claim_say(r, ")");
}

/* The number of runs with that verdict. */
static size_t shares_with(const struct claim_share *runs, size_t count, enum verdict v)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += runs[i].fairness.verdict == v;
	return n;
}

/* Fills the figures. Returns false if a run told nothing; the claim is then skipped. */
static bool shares_tell(struct claim_result *r, const struct claim_share *runs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct fairness *f = &runs[i].fairness;

		if (f->verdict == VERDICT_EVEN || f->verdict == VERDICT_UNEVEN) {
			claim_share_figures(r, &runs[i]);
			continue;
		}
		claim_skip(r, "%s: %s (%llu of %llu needed)", runs[i].design,
			   verdict_name(f->verdict),
			   (unsigned long long)(f->unit == UNIT_FLOW ? f->flows : f->events),
			   (unsigned long long)f->needed);
		return false;
	}
	return count > 0;
}

static void shares_say_both(struct claim_result *r, const struct claim_share *runs, size_t count)
{
	const size_t uneven = shares_with(runs, count, VERDICT_UNEVEN);

	if (uneven) {
		claim_say(r, "uneven: ");
		shares_say(r, runs, count, VERDICT_UNEVEN);
	}
	if (uneven && uneven < count)
		claim_say(r, "; ");
	if (uneven < count) {
		claim_say(r, "even: ");
		shares_say(r, runs, count, VERDICT_EVEN);
	}
	claim_say(r, "; chance alone gives a CV of %.3f", runs[0].fairness.cv_expected);
}

void claim_judge_unfair(struct claim_result *r, const struct claim_share *runs, size_t count)
{
	const size_t uneven = shares_with(runs, count, VERDICT_UNEVEN);

	if (!shares_tell(r, runs, count))
		return;
	r->verdict = uneven == count ? CLAIM_HOLDS : uneven ? CLAIM_PARTLY : CLAIM_FAILS;
	shares_say_both(r, runs, count);
}

void claim_judge_even(struct claim_result *r, const struct claim_share *runs, size_t count)
{
	const size_t uneven = shares_with(runs, count, VERDICT_UNEVEN);

	if (!shares_tell(r, runs, count))
		return;
	r->verdict = !uneven ? CLAIM_HOLDS : uneven < count ? CLAIM_PARTLY : CLAIM_FAILS;
	shares_say_both(r, runs, count);
	if (!uneven)
		claim_say(r, ": as even as a fair hash is, no more");
}

/* ---- the bottleneck ---- */

static void sort(double sorted[CLAIM_REPEATS], const double values[CLAIM_REPEATS])
{
	memcpy(sorted, values, CLAIM_REPEATS * sizeof(*sorted));
	qsort(sorted, CLAIM_REPEATS, sizeof(*sorted), compare_double);
}

static double median(const double values[CLAIM_REPEATS])
{
	double sorted[CLAIM_REPEATS];

	sort(sorted, values);
	return sorted[CLAIM_REPEATS / 2];
}

double claim_wait_us(const struct endpoint *e, bool hands_over, bool reads_seen)
{
	uint64_t accepted = 0, handed = 0, queued_ns = 0, handed_ns = 0;
	bool known = true;

	for (size_t i = 0; i < e->socket_count; i++) {
		known &= e->sockets[i].wait_known;
		accepted += e->sockets[i].wait.count;
		queued_ns += e->sockets[i].wait.sum_ns;
	}
	for (size_t i = 0; i < e->worker_count; i++) {
		handed += e->workers[i].handed.count;
		handed_ns += e->workers[i].handed.sum_ns;
	}
	if (hands_over)
		known &= reads_seen && handed == accepted;
	return known && accepted ? (queued_ns + handed_ns) / 1e3 / accepted : NAN;
}

/* Is `high` above `low` in all pairs of runs except at most `against`, and do the medians differ by
 * the margin? False with NaN. */
static bool is_beyond(const double high[CLAIM_REPEATS], const double low[CLAIM_REPEATS],
		      unsigned against)
{
	unsigned n = 0;

	for (size_t i = 0; i < CLAIM_REPEATS; i++)
		for (size_t j = 0; j < CLAIM_REPEATS; j++)
			n += !(high[i] > low[j]);
	return n <= against && median(high) >= (1 + CLAIM_MARGIN) * median(low);
}

static bool waits_known(const struct claim_load *l)
{
	for (size_t i = 0; i < CLAIM_REPEATS; i++)
		if (isnan(l->single.wait_us[i]) || isnan(l->reuseport.wait_us[i]))
			return false;
	return true;
}

/* Median, least and most; null where not known. */
static void runs_figures(struct claim_result *r, const char *what, const char *design,
			 unsigned concurrency, const double values[CLAIM_REPEATS], bool known)
{
	double sorted[CLAIM_REPEATS];

	sort(sorted, values);
	claim_number(r, known ? sorted[CLAIM_REPEATS / 2] : NAN, "%s_%s_at_%u", what, design,
		     concurrency);
	claim_number(r, known ? sorted[0] : NAN, "%s_%s_at_%u_least", what, design, concurrency);
	claim_number(r, known ? sorted[CLAIM_REPEATS - 1] : NAN, "%s_%s_at_%u_most", what, design,
		     concurrency);
}

static void claim_load_figures(struct claim_result *r, const struct claim_load *l)
{
	const bool known = waits_known(l);

	runs_figures(r, "per_second", "single", l->concurrency, l->single.per_second, true);
	runs_figures(r, "per_second", "reuseport", l->concurrency, l->reuseport.per_second, true);
	runs_figures(r, "wait_mean_us", "single", l->concurrency, l->single.wait_us, known);
	runs_figures(r, "wait_mean_us", "reuseport", l->concurrency, l->reuseport.wait_us, known);
}

/* "10051 (9800-12000) against 9493 (9000-10774)": medians, in brackets least and most */
static void runs_say(struct claim_result *r, const double single[CLAIM_REPEATS],
		     const double other[CLAIM_REPEATS])
{
	double s[CLAIM_REPEATS], o[CLAIM_REPEATS];

	sort(s, single);
	sort(o, other);
	claim_say(r, "%.0f (%.0f-%.0f) against %.0f (%.0f-%.0f)", s[CLAIM_REPEATS / 2], s[0],
		  s[CLAIM_REPEATS - 1], o[CLAIM_REPEATS / 2], o[0], o[CLAIM_REPEATS - 1]);
}

/* How the single listener's runs compare with those of the other design. */
static const char *comparison(const double single[CLAIM_REPEATS], const double other[CLAIM_REPEATS],
			      unsigned against, const char *more, const char *less)
{
	return is_beyond(single, other, against)   ? more
	       : is_beyond(other, single, against) ? less
						   : "no clear difference";
}

/* "; 64 at once: 10051 (..) against 9493 (..) connections/s, fewer, and 2215 (..) against 494 (..)
 * us until a worker reads, longer" */
static void load_say(struct claim_result *r, const struct claim_load *l, unsigned against)
{
	claim_say(r, "; %u at once: ", l->concurrency);
	runs_say(r, l->single.per_second, l->reuseport.per_second);
	claim_say(r, " connections/s, %s, and ",
		  comparison(l->single.per_second, l->reuseport.per_second, against, "more",
			     "fewer"));
	if (!waits_known(l)) {
		claim_say(r, "waits not seen here");
		return;
	}
	runs_say(r, l->single.wait_us, l->reuseport.wait_us);
	claim_say(r, " us until a worker reads, %s",
		  comparison(l->single.wait_us, l->reuseport.wait_us, 0, "longer", "shorter"));
}

/* The loads under which something holds: "2", "2 and 64" */
struct under {
	size_t count;
	char text[64];
};

static void under_add(struct under *u, const struct claim_load *l, bool it)
{
	const size_t used = strlen(u->text);

	if (it)
		snprintf(u->text + used, sizeof(u->text) - used, "%s%u", u->count++ ? " and " : "",
			 l->concurrency);
}

/* Sets the verdict and the condition under which it is true. */
static void bottleneck_judge(struct claim_result *r, const struct under *fewer,
			     const struct under *longer, bool last, unsigned last_concurrency)
{
	r->verdict = last                            ? CLAIM_HOLDS
		     : fewer->count || longer->count ? CLAIM_PARTLY
						     : CLAIM_FAILS;
	if (last)
		claim_say(r, "it limits the rate with %u at once", last_concurrency);
	else if (fewer->count)
		claim_say(r,
			  "fewer connections per second only with %s at once, where the rate is "
			  "little more than latency, and not with %u%s%s%s",
			  fewer->text, last_concurrency,
			  longer->count ? "; longer waits with " : "", longer->text,
			  longer->count ? " at once" : "");
	else if (longer->count)
		claim_say(r, "only in waits, with %s at once, not in connections per second",
			  longer->text);
	else
		claim_say(r, "neither in connections per second nor in waits");
}

void claim_judge_bottleneck(struct claim_result *r, const struct claim_load *loads, size_t count,
			    unsigned cpus)
{
	struct under fewer = {}, longer = {};
	bool last = false;

	for (size_t i = 0; i < count; i++) {
		const struct claim_load *l = &loads[i];

		claim_load_figures(r, l);
		last = is_beyond(l->reuseport.per_second, l->single.per_second,
				 i + 1 < count ? 0 : CLAIM_PAIRS_AGAINST);
		under_add(&fewer, l, last);
		under_add(&longer, l,
			  waits_known(l) && is_beyond(l->single.wait_us, l->reuseport.wait_us, 0));
	}
	claim_number(r, cpus, "cpus");
	claim_number(r, CLAIM_REPEATS, "repeats");
	bottleneck_judge(r, &fewer, &longer, last, loads[count - 1].concurrency);
	claim_say(r,
		  ", on %u CPU%s that clients and workers share; the single listener against "
		  "SO_REUSEPORT, medians (least-most) of %d runs",
		  cpus, cpus == 1 ? "" : "s", CLAIM_REPEATS);
	for (size_t i = 0; i < count; i++)
		load_say(r, &loads[i], i + 1 < count ? 0 : CLAIM_PAIRS_AGAINST);
}
