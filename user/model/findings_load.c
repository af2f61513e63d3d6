/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules about CPU time and bytes: load that counts of connections don't show. All are notes,
 * because an uneven load is worth knowing but may be intended. Between the two limits nothing is
 * reported: the cost of a request is not known, so there is no test against chance.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "findings_rules.h"
#include "words.h"

#define CV_UNEVEN 0.5
#define CV_EVEN 0.25
#define CPU_LEAST_NS 100000000ull /* less than this, or than a twentieth of one CPU, is no load */
#define CPU_LEAST_SHARE 0.05
#define BYTES_LEAST 100000 /* less than this, or than this per second, is no load */
#define BYTES_LEAST_RATE 10000
#define CPU_BUSY 0.8     /* of one CPU: a single thread is then near its limit */
#define CONCENTRATED 0.5 /* share of all bytes that at most a third of the connections carry */

static double cpus_used(const struct facts *facts, uint64_t ns)
{
	const double seconds = facts->snapshot->looked_seconds;

	return seconds > 0 ? ns / 1e9 / seconds : 0;
}

static bool cpu_matters(const struct facts *facts)
{
	const struct load_spread *cpu = &facts->endpoint->cpu;

	return facts->endpoint->design.bins != BINS_NONE && cpu->known && cpu->workers > 1 &&
	       cpu->total >= CPU_LEAST_NS && cpus_used(facts, cpu->total) >= CPU_LEAST_SHARE;
}

/* Bytes don't matter with fewer connections than workers, because these can't be spread over all.
 */
static bool bytes_matter(const struct facts *facts)
{
	const struct endpoint *e = facts->endpoint;
	uint64_t connections = e->connections_open;

	for (size_t i = 0; i < e->worker_count; i++)
		connections += e->workers[i].finished;
	return e->carried.known && e->carried.workers > 1 && connections >= e->carried.workers &&
	       e->carried.total >= BYTES_LEAST &&
	       e->carried.total >= BYTES_LEAST_RATE * facts->snapshot->seconds;
}

static double percent(const struct load_spread *l, uint64_t part)
{
	return 100.0 * part / l->total;
}

/* The worker with the most load. */
static const char *say_busiest(char buffer[WORKER_SIZE], const struct endpoint *e,
			       const struct load_spread *l)
{
	struct worker_row most = { .pid = l->pid, .tid = l->tid ? l->tid : l->pid };

	memcpy(most.process, l->name, sizeof(most.process));
	for (size_t i = 0; i < e->worker_count; i++)
		if (e->workers[i].pid == l->pid)
			memcpy(most.cgroup, e->workers[i].cgroup, sizeof(most.cgroup));
	return say_worker(buffer, &most);
}

/* "accepting is even, but CPU time is not"; the first part depends on the verdict on what workers
 * take. */
#define CONTRAST_SIZE 120
static const char *say_contrast(char buffer[CONTRAST_SIZE], const struct endpoint *e,
				const char *what, const char *verb)
{
	const struct fairness *fair = fairness_counting(e);
	const char *taking = e->protocol == PROTOCOL_UDP ? "receiving" : "accepting";
	const enum verdict verdict = fair ? fair->verdict : VERDICT_NOT_APPLICABLE;

	if (verdict == VERDICT_EVEN)
		snprintf(buffer, CONTRAST_SIZE, "%s is even, but %s %s not", taking, what, verb);
	else if (verdict == VERDICT_TOO_FEW)
		snprintf(buffer, CONTRAST_SIZE, "too few came to judge the %s by, but %s %s uneven",
			 taking, what, verb);
	else
		snprintf(buffer, CONTRAST_SIZE, "%s %s uneven", what, verb);
	return buffer;
}

static bool takes_unevenly(const struct endpoint *e)
{
	const struct fairness *fair = fairness_counting(e);

	return fair && fair->verdict == VERDICT_UNEVEN;
}

/* Has another finding explained who takes the work? Then it also explains who does the work. */
static bool is_explained(const struct endpoint *e)
{
	static const char *const causes[] = { "few-clients",    "heavy-flows",    "udp-last-binder",
					      "udp-two-users",  "stalled-socket", "was-stalled",
					      "worker-stopped", "socket-unwaited" };

	for (size_t i = 0; i < sizeof(causes) / sizeof(*causes); i++)
		if (finding_said(e, causes[i]))
			return true;
	return false;
}

static void load_show(struct finding *f, const struct load_spread *l)
{
	finding_show(f, "pid", l->pid);
	finding_show(f, "share", (double)l->most / l->total);
	finding_show(f, "cv", l->cv);
	finding_show(f, "workers", l->workers);
	finding_show(f, "total", l->total);
}

static bool cpu_uneven(struct finding *f, const struct facts *facts)
{
	const struct endpoint *e = facts->endpoint;
	const struct load_spread *l = &e->cpu;
	char who[WORKER_SIZE], contrast[CONTRAST_SIZE], all[DURATION_SIZE], limit[80] = "",
									    carried[64] = "";
	const double busy = cpus_used(facts, l->processes ? l->thread_ns : l->most);

	if (!cpu_matters(facts) || l->cv < CV_UNEVEN || takes_unevenly(e) || is_explained(e))
		return false;
	if (busy >= CPU_BUSY && busy <= 1.2)
		snprintf(limit, sizeof(limit),
			 "; with %.0f%% of one CPU its thread is near the limit",
			 100 * fmin(busy, 1));
	if (bytes_matter(facts) && e->carried.pid == l->pid && e->carried.tid == l->tid)
		snprintf(carried, sizeof(carried), ", and carried %.0f%% of the bytes",
			 percent(&e->carried, e->carried.most));
	finding_say(f,
		    "%s: of %zu workers %s used %.0f%% of %s%s, the least busy %.0f%% (CV %.2f)%s",
		    say_contrast(contrast, e, "CPU time", "is"), l->workers, say_busiest(who, e, l),
		    percent(l, l->most), say_duration(all, l->total), carried, percent(l, l->least),
		    l->cv, limit);
	load_show(f, l);
	return true;
}

/* The least number of the busiest connections that together carried `share` of all bytes; 0: all
 * listed connections carried less. */
static size_t heavy_connections(const struct endpoint *e, double share, uint64_t *bytes,
				uint64_t *total)
{
	uint64_t all = e->omitted.bytes.received + e->omitted.bytes.sent;

	for (size_t i = 0; i < e->worker_count; i++)
		all += e->workers[i].bytes.received + e->workers[i].bytes.sent;
	*bytes = 0;
	*total = all;
	for (size_t i = 0; i < e->connection_count; i++) {
		*bytes += e->connections[i].bytes.received + e->connections[i].bytes.sent;
		if (*bytes >= share * all)
			return i + 1;
	}
	return 0;
}

/* "; 3 of 8 open connections carry 98%, 2 of them on it, open since before the window" */
#define HEAVY_SIZE 200
static void say_heavy(char buffer[HEAVY_SIZE], const struct endpoint *e)
{
	uint64_t bytes, all, oldest = UINT64_MAX;
	const size_t heavy = heavy_connections(e, CONCENTRATED, &bytes, &all);
	size_t busiest = 0, before = 0;
	char age[DURATION_SIZE], since[80] = "", on[40] = "";

	*buffer = '\0';
	if (!heavy || heavy * 3 > e->connections_open)
		return;
	for (size_t i = 0; i < heavy; i++) {
		const struct connection_row *c = &e->connections[i];

		busiest +=
			c->pid == e->carried.pid && (!e->carried.tid || c->tid == e->carried.tid);
		before += !c->age_ns;
		oldest = c->age_ns && c->age_ns < oldest ? c->age_ns : oldest;
	}
	if (before == heavy)
		snprintf(since, sizeof(since), ", open since before the window");
	else if (!before)
		snprintf(since, sizeof(since), ", open for %s%s", heavy > 1 ? "at least " : "",
			 say_duration(age, oldest));
	if (busiest == heavy)
		snprintf(on, sizeof(on), "%s on it", heavy == 1 ? "" : ", all");
	else if (busiest)
		snprintf(on, sizeof(on), ", %zu of them on it", busiest);
	snprintf(buffer, HEAVY_SIZE, "; %zu of %" PRIu64 " open connections carr%s %.0f%%%s%s",
		 heavy, e->connections_open, heavy == 1 ? "ies" : "y", 100.0 * bytes / all, on,
		 since);
}

static bool bytes_uneven(struct finding *f, const struct facts *facts)
{
	const struct endpoint *e = facts->endpoint;
	const struct load_spread *l = &e->carried;
	char who[WORKER_SIZE], contrast[CONTRAST_SIZE], all[LOAD_BYTES_SIZE], heavy[HEAVY_SIZE];

	if (!bytes_matter(facts) || l->cv < CV_UNEVEN || takes_unevenly(e) || is_explained(e))
		return false;
	say_heavy(heavy, e);
	finding_say(
		f, "%s: of %zu workers %s carried %.0f%% of %s, the least busy %.0f%% (CV %.2f)%s",
		say_contrast(contrast, e, "the bytes", "are"), l->workers, say_busiest(who, e, l),
		percent(l, l->most), load_bytes(all, l->total), percent(l, l->least), l->cv, heavy);
	load_show(f, l);
	return true;
}

static bool load_even(struct finding *f, const struct facts *facts)
{
	const struct endpoint *e = facts->endpoint;
	const bool bytes = bytes_matter(facts) && e->carried.cv <= CV_EVEN;
	char carried[40] = "";

	if (!cpu_matters(facts) || e->cpu.cv > CV_EVEN || !takes_unevenly(e))
		return false;
	if (bytes)
		snprintf(carried, sizeof(carried), ", the bytes one of %.2f", e->carried.cv);
	finding_say(f, "%s is uneven, but %s not: CPU time has a CV of %.2f over %zu workers%s",
		    e->protocol == PROTOCOL_UDP ? "receiving" : "accepting",
		    bytes ? "the load is" : "CPU time is", e->cpu.cv, e->cpu.workers, carried);
	finding_show(f, "cpu_cv", e->cpu.cv);
	finding_show(f, "workers", e->cpu.workers);
	if (bytes)
		finding_show(f, "bytes_cv", e->carried.cv);
	return true;
}

static const struct rule rules[] = {
	{ "cpu-uneven", FINDING_NOTE, .of_endpoint = cpu_uneven },
	{ "bytes-uneven", FINDING_NOTE, .of_endpoint = bytes_uneven },
	{ "load-even", FINDING_NOTE, .of_endpoint = load_even },
};

const struct rule_table load_rules = { rules, sizeof(rules) / sizeof(*rules) };
