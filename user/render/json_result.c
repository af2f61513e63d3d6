/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads a result (sockfair/1): what each of its endpoints adds to a comparison. */
#include "json_reading.h"

#include <errno.h>
#include <string.h>

#include "text.h"

/* ---- an endpoint ---- */

static const struct {
	const char *key;
	enum need need;
	bool whole;
} share_fields[SHARE_FIGURES] = {
	[SHARE_BINS] = { "bins", REQUIRED, true },
	[SHARE_EVENTS] = { "events", REQUIRED, true },
	[SHARE_IDLE] = { "idle", REQUIRED, true },
	[SHARE_CV] = { "cv", OPTIONAL, false },
	[SHARE_CV_EXPECTED] = { "cv_expected", OPTIONAL, false },
	[SHARE_EXCESS] = { "excess", OPTIONAL, false },
	[SHARE_MAX_OVER_MEAN] = { "max_over_mean", OPTIONAL, false },
};

static void read_share(struct reader *r, const json_t *fairness, enum share share,
		       struct comparison_run *run)
{
	const char *name = share == SHARE_WORKERS && run->bins == BINS_PROCESSES
				   ? "processes"
				   : share_names[share];
	const json_t *from =
		field_object(r, fairness, name, share == SHARE_SERVED ? OPTIONAL : REQUIRED);

	for (size_t i = 0; i < SHARE_FIGURES && from; i++)
		run->figures[metric_of_share(share, i)] =
			(share_fields[i].whole ? field_count : field_real)(
				r, from, share_fields[i].key, share_fields[i].need);
	if (from) {
		run->verdicts[share] = field_verdict(r, from, "verdict");
		run->withheld[share] = field_reason(r, from, "reason");
	}
}

/* Reads the design. Documents of versions that did not distinguish designs compared workers. */
static void read_design(struct reader *r, const json_t *endpoint, struct comparison_run *run)
{
	const json_t *design = field_object(r, endpoint, "design", OPTIONAL);
	char bins[16] = "workers";

	if (design)
		field_text(r, design, "bins", REQUIRED, bins, sizeof(bins));
	run->bins = design_bins_parse(bins);
}

static void read_open_spread(struct reader *r, const json_t *fairness, double *figures)
{
	const json_t *open = field_object(r, fairness, "open", OPTIONAL);

	if (open && field_count(r, open, "bins", REQUIRED) > 1 &&
	    field_count(r, open, "events", REQUIRED) > 0)
		figures[METRIC_OPEN_CV] = field_real(r, open, "cv", OPTIONAL);
}

static void read_fairness(struct reader *r, const json_t *endpoint, struct comparison_run *run)
{
	const json_t *fairness = field_object(r, endpoint, "fairness", REQUIRED);

	for (enum share share = 0; share < SHARE_COUNT; share++)
		read_share(r, fairness, share, run);
	read_open_spread(r, fairness, run->figures);
}

static void read_wait(struct reader *r, const json_t *wait, double *figures)
{
	static const struct {
		const char *key;
		enum metric_id metric;
	} fields[] = { { "mean", METRIC_WAIT_MEAN },
		       { "p50", METRIC_WAIT_P50 },
		       { "p90", METRIC_WAIT_P90 },
		       { "p99", METRIC_WAIT_P99 },
		       { "max", METRIC_WAIT_MAX } };

	figures[METRIC_WAIT_COUNT] = field_count(r, wait, "count", REQUIRED);
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		figures[fields[i].metric] = field_real(r, wait, fields[i].key, OPTIONAL);
}

/* Waits by socket, for older documents that have no others. The count, mean and longest wait of the
 * port follow from them. The percentiles do not, unless only one socket had connections. */
struct socket_waits {
	const json_t *only; /* the socket that had connections, if only one had */
	size_t with, known;
	double count, sum, max;
};

static void add_socket_wait(struct reader *r, const json_t *socket, struct socket_waits *sum)
{
	const json_t *wait = field_object(r, socket, "wait_ns", OPTIONAL);
	double count, mean, max;

	if (!wait)
		return;
	count = field_count(r, wait, "count", REQUIRED);
	mean = field_real(r, wait, "mean", OPTIONAL);
	max = field_real(r, wait, "max", OPTIONAL);
	sum->known++;
	if (!(count > 0))
		return;
	sum->only = wait;
	sum->with++;
	sum->count += count;
	sum->sum += count * mean;
	sum->max =
		sum->with > 1 ? (isnan(max) || isnan(sum->max) ? NAN : fmax(max, sum->max)) : max;
}

static void read_waits(struct reader *r, const json_t *endpoint, const struct socket_waits *sockets,
		       double *figures)
{
	const json_t *omitted = json_object_get(endpoint, "omitted"),
		     *wait = field_object(r, endpoint, "wait_ns", OPTIONAL);
	/* No socket counts the waits of threads that are not listed. */
	const bool by_sockets = !json_object_get(endpoint, "wait_ns") && sockets->known &&
				!(json_real_value(json_object_get(omitted, "workers")) > 0);

	if (by_sockets && sockets->with == 1)
		wait = sockets->only;
	if (wait) {
		read_wait(r, wait, figures);
	} else if (by_sockets) {
		figures[METRIC_WAIT_COUNT] = sockets->count;
		figures[METRIC_WAIT_MEAN] =
			sockets->count > 0 ? sockets->sum / sockets->count : NAN;
		figures[METRIC_WAIT_MAX] = sockets->count > 0 ? sockets->max : NAN;
	}
}

/* Sums over rows. */
struct row_sums {
	double came, taken, drops, open, highest, fullest;
	bool open_at_least; /* some worker has only a lower bound, so the sum is not a figure */
	bool drops_bound; /* some socket has only bounds of its drops, so their sum is not a figure
			   */
	struct socket_waits waits;
};

/* Adds a number to a sum. NaN means not known, and is skipped. */
static void sum_known(double *sum, double number)
{
	*sum = isnan(*sum) ? number : isnan(number) ? *sum : *sum + number;
}

/* Withheld ACKs are not drops. Where only bounds of their number are known, the number of drops is
 * not a figure. */
static void read_drops(struct reader *r, const json_t *socket, struct row_sums *sums)
{
	const double drops = field_count(r, socket, "drops", OPTIONAL);
	const json_t *withheld = field_object(r, socket, "withheld", OPTIONAL);
	const double least = withheld ? field_count(r, withheld, "least", REQUIRED) : 0,
		     most = withheld ? field_count(r, withheld, "most", REQUIRED) : 0;

	if (isnan(drops))
		return;
	sums->drops_bound |= least < most;
	sum_known(&sums->drops, fmax(drops - most, 0));
}

static void read_socket(struct reader *r, const json_t *socket, bool udp, struct row_sums *sums)
{
	const json_t *queue;

	field_add(r, socket, udp ? "delivered" : "arrived", REQUIRED, &sums->came);
	if (udp)
		field_add(r, socket, "dropped", OPTIONAL, &sums->drops);
	else
		read_drops(r, socket, sums);
	queue = field_object(r, socket, "queue", OPTIONAL);
	if (udp && queue && !json_is_true(json_object_get(socket, "ended")))
		sums->fullest = fmax(sums->fullest, field_count(r, queue, "length", OPTIONAL));
	if (udp)
		return;
	if (queue) /* fmax() ignores NaN */
		sums->highest = fmax(sums->highest, field_count(r, queue, "highest", OPTIONAL));
	add_socket_wait(r, socket, &sums->waits);
}

static void read_worker(struct reader *r, const json_t *worker, bool udp, struct row_sums *sums)
{
	field_add(r, worker, udp ? "received" : "accepted", REQUIRED, &sums->taken);
	sums->open_at_least |= json_is_true(json_object_get(worker, "open_at_least"));
	if (!udp)
		field_add(r, worker, "open", OPTIONAL, &sums->open);
}

static void read_rows(struct reader *r, const json_t *endpoint, const char *what, bool udp,
		      struct row_sums *sums)
{
	const json_t *rows = field_array(r, endpoint, what, REQUIRED);

	for (size_t i = 0; i < json_array_size(rows) && !r->err; i++)
		(*what == 's' ? read_socket : read_worker)(r, field_element(r, rows, i), udp, sums);
}

/* Reads what is in no row: "omitted" or "connected". */
static void read_beside(struct reader *r, const json_t *endpoint, const char *name, bool udp,
			struct row_sums *sums)
{
	const json_t *omitted = field_object(r, endpoint, name, OPTIONAL);
	double drops = NAN, open = NAN, highest;

	field_add(r, omitted, udp ? "delivered" : "arrived", OPTIONAL, &sums->came);
	field_add(r, omitted, udp ? "received" : "accepted", OPTIONAL, &sums->taken);
	field_add(r, omitted, udp ? "dropped" : "drops", OPTIONAL, &drops);
	field_add(r, omitted, "open", OPTIONAL, &open);
	highest = field_count(r, omitted, "queue_highest", OPTIONAL);
	if (udp || drops > 0) /* 0 may mean that drops were not known, so it is not a figure */
		sum_known(&sums->drops, drops);
	if (open > 0)
		sum_known(&sums->open, open);
	if (highest > 0)
		sums->highest = fmax(sums->highest, highest);
}

/* Reads the spread of load. Documents of versions that did not measure load have none. */
static void read_spreads(struct reader *r, const json_t *endpoint, double *figures)
{
	static const struct {
		const char *key;
		enum metric_id metric;
	} fields[] = { { "cpu_ns", METRIC_CPU_CV }, { "bytes", METRIC_BYTES_CV } };
	const json_t *load = field_object(r, endpoint, "load", OPTIONAL);

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		const json_t *spread = field_object(r, load, fields[i].key, OPTIONAL);

		if (spread) {
			const double workers = field_count(r, spread, "workers", REQUIRED),
				     cv = field_real(r, spread, "cv", REQUIRED);

			figures[fields[i].metric] = workers > 1 ? cv : NAN;
		}
	}
}

static void read_figures(struct reader *r, const json_t *endpoint, bool udp,
			 struct comparison_run *run)
{
	struct row_sums sums = {
		.came = NAN, .taken = NAN, .drops = NAN, .open = NAN, .highest = NAN, .fullest = NAN
	};
	double *figures = run->figures;

	read_rows(r, endpoint, "sockets", udp, &sums);
	read_rows(r, endpoint, "workers", udp, &sums);
	read_beside(r, endpoint, "omitted", udp, &sums);
	read_beside(r, endpoint, "connected", udp, &sums);
	if (udp)
		sum_known(&sums.came, sums.drops);
	figures[METRIC_EVENTS] =
		isnan(sums.came) && isnan(sums.taken) ? 0 : fmax(sums.came, sums.taken);
	figures[METRIC_DROPS] = sums.drops_bound ? NAN : sums.drops;
	figures[METRIC_OPEN] = sums.open_at_least ? NAN : sums.open;
	figures[METRIC_QUEUE_HIGHEST] = sums.highest;
	figures[METRIC_QUEUE_BYTES] = sums.fullest;
	read_design(r, endpoint, run);
	read_fairness(r, endpoint, run);
	read_spreads(r, endpoint, figures);
	if (!udp)
		read_waits(r, endpoint, &sums.waits, figures);
}

/* ---- facts that a run depends on and that no figure shows ---- */

struct load {
	double workers, concurrency, requests, flows, rate, work_us, slow;
	bool processes, udp;
	char address[64];
};

static void read_load(struct reader *r, const json_t *work, const json_t *endpoint, struct load *l)
{
	char protocol[8];

	l->workers = field_count(r, work, "workers", REQUIRED);
	l->processes = field_bool(r, work, "processes");
	l->concurrency = field_count(r, work, "concurrency", OPTIONAL);
	l->requests = field_count(r, work, "requests", OPTIONAL);
	l->flows = field_count(r, work, "flows", OPTIONAL);
	l->rate = field_real(r, work, "target_rate_per_second", OPTIONAL);
	l->work_us = field_count(r, work, "work_us", OPTIONAL);
	l->slow = field_count(r, work, "slow_worker", OPTIONAL);
	if (!json_is_object(endpoint)) /* read_endpoint() reports this */
		return;
	field_text(r, endpoint, "protocol", OPTIONAL, protocol, sizeof(protocol));
	field_text(r, endpoint, "address", OPTIONAL, l->address, sizeof(l->address));
	l->udp = !strcmp(protocol, "udp");
}

/* "8 workers (threads) on 127.0.0.1, 20,000 connections, 2 at once; 200 us of work each; " */
static void load_text(FILE *f, const struct load *l)
{
	char count[TEXT_COUNT_SIZE];
	const char *unit = l->udp ? "datagram" : "connection";

	fprintf(f, "%.0f worker%s (%s)", l->workers, l->workers == 1 ? "" : "s",
		l->processes ? "processes" : "threads");
	if (*l->address)
		fprintf(f, " on %s", l->address);
	if (!isnan(l->requests))
		fprintf(f, ", %s %s%s", text_count(count, (uint64_t)l->requests), unit,
			l->requests == 1 ? "" : "s");
	if (!isnan(l->flows))
		fprintf(f, ", %s flow%s", text_count(count, (uint64_t)l->flows),
			l->flows == 1 ? "" : "s");
	if (!isnan(l->concurrency))
		fprintf(f, ", %.0f at once; ", l->concurrency);
	else
		fprintf(f, ", clients from outside; ");
	if (l->rate > 0)
		fprintf(f, "%g/s asked for; ", l->rate);
	if (l->work_us > 0)
		fprintf(f, "%.0f us of work each; ", l->work_us);
	if (!isnan(l->slow))
		fprintf(f, "worker %.0f ten times slower; ", l->slow);
}

static void read_setup(struct reader *r, const json_t *doc, const json_t *work, char *setup,
		       size_t size)
{
	const json_t *kernel = field_object(r, doc, "kernel", REQUIRED);
	struct load load = {};
	char release[66], backend[16];
	FILE *f;

	field_text(r, kernel, "release", REQUIRED, release, sizeof(release));
	field_text(r, kernel, "backend", OPTIONAL, backend, sizeof(backend));
	if (work)
		read_load(r, work, json_array_get(json_object_get(doc, "endpoints"), 0), &load);
	if (r->err)
		return;
	setup[size - 1] = '\0';
	f = fmemopen(setup, size - 1, "w");
	if (!f) {
		reader_fail(r, -ENOMEM, NO_MEMORY);
		return;
	}
	if (work)
		load_text(f, &load);
	fprintf(f, "kernel %s, %s%s", release, *backend ? "backend " : "nothing attached", backend);
	fclose(f);
}

/* ---- the document ---- */

static void need_side(struct reader *r)
{
	if (r->has_saved)
		reader_fail(r, -EINVAL, TWO_KINDS);
	if (r->err || r->has_side)
		return;
	r->err = comparison_side_add(r->c, r->name);
	r->side = r->c->side_count - 1;
	r->has_side = !r->err;
}

struct document {
	const json_t *json, *work;
	double seconds, lost, rate, work_seconds;
	bool own_load, disagrees;
	char mode[64], skipped[160], setup[COMPARISON_SETUP_SIZE];
};

static void read_workload(struct reader *r, struct document *d)
{
	const json_t *work = d->work = field_object(r, d->json, "workload", OPTIONAL);

	if (work)
		field_text(r, work, "mode", REQUIRED, d->mode, sizeof(d->mode));
	if (work && !*d->mode)
		reader_fail(r, -EINVAL, "workload.mode is empty; " FOREIGN);
	if (work)
		field_text(r, work, "skipped", OPTIONAL, d->skipped, sizeof(d->skipped));
	if (work && !*d->skipped) {
		d->disagrees = !field_bool(r, work, "agrees");
		d->work_seconds = field_real(r, work, "seconds", OPTIONAL);
		d->rate = field_real(r, work, "rate_per_second", OPTIONAL);
		d->own_load = json_is_number(json_object_get(work, "sent"));
	}
}

static void read_lost(struct reader *r, struct document *d)
{
	const json_t *lost = field_object(r, d->json, "lost", REQUIRED);

	d->lost = field_count(r, lost, "total", REQUIRED);
	/* Older documents do not say how many of the lost events are missing in the counts: at most
	 * all are. */
	if (json_object_get(lost, "counts"))
		d->lost = field_count(r, lost, "counts", REQUIRED);
}

/* Older documents do not say whose events were lost, so any port's counts may be affected. */
static void withhold_all(struct comparison_run *run)
{
	for (enum share i = 0; i < SHARE_COUNT; i++) {
		if (run->verdicts[i] == VERDICT_NOT_APPLICABLE)
			continue;
		run->verdicts[i] = VERDICT_WITHHELD;
		run->withheld[i] = WITHHELD_COUNTS_LOST;
	}
}

static void read_endpoint(struct reader *r, const json_t *endpoint, const struct document *d)
{
	struct comparison_key key = {};
	struct comparison_run run;
	double *figures = run.figures;

	reader_key(r, endpoint, &key);
	if (r->err || reader_is_other_port(r, &key))
		return;
	memcpy(key.mode, d->mode, sizeof(key.mode));
	comparison_run_clear(&run);
	read_figures(r, endpoint, key.protocol == PROTOCOL_UDP, &run);
	if (r->err)
		return;
	run.own_load = d->own_load;
	run.disagrees = d->disagrees;
	if (d->lost > 0 && !json_object_get(endpoint, "lost"))
		withhold_all(&run);
	comparison_run_complete(&run, key.protocol);
	run.round =
		d->work ? 0 : r->finals - 1; /* modes take turns, so each has its own repetitions */
	figures[METRIC_LOST] = d->lost;
	figures[METRIC_SECONDS] = d->work ? d->work_seconds : d->seconds;
	figures[METRIC_RATE] = d->work          ? d->rate
			       : d->seconds > 0 ? figures[METRIC_EVENTS] / d->seconds
						: NAN;
	reader_add_run(r, r->side, &key, d->setup, &run, NULL);
}

/* Reads how many ports this document leaves out. The side keeps the most that any of its documents
 * left out. */
static void read_left_out(struct reader *r, const json_t *json)
{
	struct comparison_side *side = &r->c->sides[r->side];
	const json_t *omitted = field_object(r, json, "omitted", OPTIONAL);
	const double endpoints = omitted ? field_count(r, omitted, "endpoints", REQUIRED) : 0;

	if (!r->err && endpoints > side->left_out)
		side->left_out = (uint64_t)endpoints;
}

static void read_endpoints(struct reader *r, const struct document *d)
{
	const json_t *endpoints = field_array(r, d->json, "endpoints", REQUIRED);

	if (d->work && endpoints && json_array_size(endpoints) != 1)
		reader_fail(r, -EINVAL, "a workload with %zu endpoints, not one; " FOREIGN,
			    json_array_size(endpoints));
	for (size_t i = 0; i < json_array_size(endpoints) && !r->err; i++)
		read_endpoint(r, field_element(r, endpoints, i), d);
}

/* A document may hold a port only once: a second time would look like a repeated run. */
static void check_once(struct reader *r)
{
	const struct comparison_side *side = &r->c->sides[r->side];

	for (size_t i = 0; i < side->result_count; i++)
		if (side->results[i].run_count > r->finals)
			reader_fail(r, -EINVAL, "port %u of %s is in it twice; " FOREIGN,
				    side->results[i].key.port, side->results[i].key.address);
}

void reader_result(struct reader *r, const json_t *json)
{
	struct document d = { .json = json, .rate = NAN, .work_seconds = NAN };
	struct comparison_key key = {};
	const json_t *window = field_object(r, json, "window", REQUIRED);
	const bool final = field_bool(r, window, "final");

	d.seconds = field_real(r, window, "seconds", REQUIRED);
	if (r->err)
		return;
	++*(final ? &r->finals : &r->intervals);
	if (!final)
		return;
	need_side(r);
	read_workload(r, &d);
	if (*d.skipped) {
		memcpy(key.mode, d.mode, sizeof(key.mode));
		reader_add_run(r, r->side, &key, "", NULL, d.skipped);
		return;
	}
	read_lost(r, &d);
	read_setup(r, json, d.work, d.setup, sizeof(d.setup));
	if (r->err)
		return;
	read_left_out(r, json);
	read_endpoints(r, &d);
	if (!r->err)
		check_once(r);
}
