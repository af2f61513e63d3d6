/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "json_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "text.h"

#define COUNT_MAX 0x1p53 /* further up a double is no longer exact */
#define REAL_MAX 1e18    /* more than any figure of ours; its square is still a number */
#define FOREIGN "is this a result of sockfair --json?"
#define NO_MEMORY "out of memory; take fewer ports (watch -P)"

struct reader {
	FILE *file;
	const char *path, *name;
	char *why;
	struct comparison *c;
	uint16_t port;            /* 0: all */
	bool has_side, has_saved; /* a side for results; sides of a saved comparison */
	size_t side;              /* the number of the former */
	size_t results, intervals, finals;
	size_t ports_seen[8], ports; /* that were not asked for: the first few, and how many */
	size_t line, bytes;          /* where the next byte is; bytes of this document so far */
	size_t first_line;           /* where this document began */
	bool too_long, is_object;    /* of this document: it begins with a brace */
	char where[96];              /* within the document: "endpoints[3]" */
};

/* ---- errors ---- */

static int __attribute__((format(printf, 3, 4)))
fail(struct reader *r, int err, const char *format, ...)
{
	char raw[JSON_READER_WHY - 64], what[JSON_READER_WHY - 128];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	snprintf(raw, sizeof(raw), "%.120s:%zu: %s", r->path, r->first_line, what);
	text_name(r->why, raw, sizeof(raw), true);
	return err;
}

static const char *type_name(const json_t *value)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array", [JSON_STRING] = "a string",
		[JSON_INTEGER] = "a number", [JSON_REAL] = "a number",  [JSON_TRUE] = "true",
		[JSON_FALSE] = "false",      [JSON_NULL] = "null"
	};

	return value ? names[json_typeof(value)] : "missing";
}

static int wrong_type(struct reader *r, const char *key, const json_t *value, const char *wanted)
{
	return fail(r, -EINVAL, "%s%s%s is %s, not %s; " FOREIGN, r->where, *r->where ? "." : "",
		    key, type_name(value), wanted);
}

static void __attribute__((format(printf, 2, 3))) at(struct reader *r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(r->where, sizeof(r->where), format, args);
	va_end(args);
}

/* ---- fields: all return 0 or a negative errno after fail() ---- */

enum field { OPTIONAL, REQUIRED };

static int get(struct reader *r, const json_t *from, const char *key, json_type type,
	       const char *wanted, enum field field, json_t **to)
{
	json_t *value = json_object_get(from, key);

	*to = NULL;
	if (field == OPTIONAL && (!value || json_is_null(value)))
		return 0;
	if (!value || json_typeof(value) != type)
		return wrong_type(r, key, value, wanted);
	*to = value;
	return 0;
}

static int get_object(struct reader *r, const json_t *from, const char *key, enum field field,
		      json_t **to)
{
	return get(r, from, key, JSON_OBJECT, "an object", field, to);
}

static int get_array(struct reader *r, const json_t *from, const char *key, enum field field,
		     json_t **to)
{
	return get(r, from, key, JSON_ARRAY, "an array", field, to);
}

/* "" where there is none. What is longer than `size` is cut. */
static int get_text(struct reader *r, const json_t *from, const char *key, enum field field,
		    char *to, size_t size)
{
	json_t *value;
	int err = get(r, from, key, JSON_STRING, "a string", field, &value);

	snprintf(to, size, "%s", value ? json_string_value(value) : "");
	return err;
}

static int get_bool(struct reader *r, const json_t *from, const char *key, enum field field,
		    bool *to)
{
	const json_t *value = json_object_get(from, key);

	*to = json_is_true(value);
	if (json_is_boolean(value) || (field == OPTIONAL && !value))
		return 0;
	return wrong_type(r, key, value, "true or false");
}

/* At least 0, unless `negative`. NaN where there is none. */
static int get_real(struct reader *r, const json_t *from, const char *key, enum field field,
		    double *to)
{
	json_t *value;
	int err = get(r, from, key, JSON_REAL, "a number", field, &value);

	*to = value ? json_real_value(value) : NAN;
	if (err || !value)
		return err;
	if (!(*to >= 0 && *to <= REAL_MAX))
		return fail(r, -EINVAL, "%s%s%s is %g: no figure of sockfair is; " FOREIGN,
			    r->where, *r->where ? "." : "", key, *to);
	return 0;
}

static int get_count(struct reader *r, const json_t *from, const char *key, enum field field,
		     double *to)
{
	int err = get_real(r, from, key, field, to);

	if (err || isnan(*to))
		return err;
	if (*to >= COUNT_MAX || *to != floor(*to))
		return fail(r, -EINVAL, "%s%s%s is %.17g, not a count; " FOREIGN, r->where,
			    *r->where ? "." : "", key, *to);
	return 0;
}

/* A required count up to `max`. */
static int get_number(struct reader *r, const json_t *from, const char *key, double max, double *to)
{
	int err = get_count(r, from, key, REQUIRED, to);

	if (!err && *to > max)
		return fail(r, -EINVAL, "%s%s%s is %.17g, more than %.17g; " FOREIGN, r->where,
			    *r->where ? "." : "", key, *to, max);
	return err;
}

/* Adds a count, if there is one, to a sum that is NaN (not known) before the first. */
static int add_count(struct reader *r, const json_t *from, const char *key, enum field field,
		     double *sum)
{
	double n;
	int err = get_count(r, from, key, field, &n);

	if (!err && !isnan(n))
		*sum = isnan(*sum) ? n : *sum + n;
	if (!err && *sum >= COUNT_MAX)
		return fail(
			r, -EINVAL,
			"the counts '%s' of all rows add up to %.17g, more than is exact; " FOREIGN,
			key, *sum);
	return err;
}

static int get_verdict(struct reader *r, const json_t *from, const char *key, enum verdict *to)
{
	char name[32];
	int err = get_text(r, from, key, REQUIRED, name, sizeof(name));

	for (*to = VERDICT_NOT_APPLICABLE; !err && *to <= VERDICT_WITHHELD; (*to)++)
		if (!strcmp(name, verdict_name(*to)))
			return 0;
	*to = VERDICT_NOT_APPLICABLE;
	return err ? err
		   : fail(r, -EINVAL,
			  "%s.%s is '%s', which is no verdict; a newer sockfair may know it",
			  r->where, key, name);
}

/* Why a verdict is withheld; null, or absent: it is not. */
static int get_reason(struct reader *r, const json_t *object, const char *key, enum withheld *why)
{
	char name[32];
	int err = get_text(r, object, key, OPTIONAL, name, sizeof(name));

	*why = err ? WITHHELD_NOT : withheld_parse(name);
	return err;
}

/* ---- an endpoint ---- */

static const struct {
	const char *key;
	enum field field;
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

static const char *const share_names[SHARE_COUNT] = {
	[SHARE_WORKERS] = "workers", [SHARE_SOCKETS] = "sockets", [SHARE_SERVED] = "served"
};

static int read_share(struct reader *r, size_t index, const json_t *fairness, enum share share,
		      struct comparison_run *run)
{
	const char *name = share == SHARE_WORKERS && run->bins == BINS_PROCESSES
				   ? "processes"
				   : share_names[share];
	json_t *from;
	int err;

	at(r, "endpoints[%zu].fairness", index);
	err = get_object(r, fairness, name, share == SHARE_SERVED ? OPTIONAL : REQUIRED, &from);
	if (err || !from)
		return err;
	at(r, "endpoints[%zu].fairness.%s", index, name);
	for (size_t i = 0; i < SHARE_FIGURES && !err; i++) {
		double *to = &run->figures[metric_of_share(share, i)];

		err = share_fields[i].whole
			      ? get_count(r, from, share_fields[i].key, share_fields[i].field, to)
			      : get_real(r, from, share_fields[i].key, share_fields[i].field, to);
	}
	err = err ? err : get_verdict(r, from, "verdict", &run->verdicts[share]);
	return err ? err : get_reason(r, from, "reason", &run->withheld[share]);
}

/* Documents of versions that did not tell designs apart compared workers. */
static int read_design(struct reader *r, size_t index, const json_t *endpoint,
		       struct comparison_run *run)
{
	char bins[16] = "workers";
	json_t *design;
	int err = get_object(r, endpoint, "design", OPTIONAL, &design);

	at(r, "endpoints[%zu].design", index);
	err = err || !design ? err : get_text(r, design, "bins", REQUIRED, bins, sizeof(bins));
	run->bins = design_bins_parse(bins);
	at(r, "endpoints[%zu]", index);
	return err;
}

static int read_fairness(struct reader *r, size_t index, const json_t *endpoint,
			 struct comparison_run *run)
{
	json_t *fairness;
	int err = get_object(r, endpoint, "fairness", REQUIRED, &fairness);

	for (enum share share = 0; share < SHARE_COUNT && !err; share++)
		err = read_share(r, index, fairness, share, run);
	return err;
}

static int read_wait(struct reader *r, const json_t *wait, double *figures)
{
	static const struct {
		const char *key;
		enum metric_id metric;
	} fields[] = { { "mean", METRIC_WAIT_MEAN },
		       { "p50", METRIC_WAIT_P50 },
		       { "p90", METRIC_WAIT_P90 },
		       { "p99", METRIC_WAIT_P99 },
		       { "max", METRIC_WAIT_MAX } };
	int err = get_count(r, wait, "count", REQUIRED, &figures[METRIC_WAIT_COUNT]);

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields) && !err; i++)
		err = get_real(r, wait, fields[i].key, OPTIONAL, &figures[fields[i].metric]);
	return err;
}

/*
 * Older documents have waits by socket only. Count, mean and longest of the port follow from these;
 * percentiles do not, unless one socket alone had connections.
 */
struct socket_waits {
	const json_t *only; /* of the one that had any */
	size_t with, known;
	double count, sum, max;
};

static int add_socket_wait(struct reader *r, const json_t *socket, struct socket_waits *sum)
{
	double count = 0, mean = NAN, max = NAN;
	json_t *wait;
	int err = get_object(r, socket, "wait_ns", OPTIONAL, &wait);

	if (err || !wait)
		return err;
	err = get_count(r, wait, "count", REQUIRED, &count);
	err = err ? err : get_real(r, wait, "mean", OPTIONAL, &mean);
	err = err ? err : get_real(r, wait, "max", OPTIONAL, &max);
	sum->known++;
	if (err || !count)
		return err;
	sum->only = wait;
	sum->with++;
	sum->count += count;
	sum->sum += count * mean;
	sum->max =
		sum->with > 1 ? (isnan(max) || isnan(sum->max) ? NAN : fmax(max, sum->max)) : max;
	return 0;
}

static int read_waits(struct reader *r, size_t index, const json_t *endpoint,
		      const struct socket_waits *sockets, double *figures)
{
	const json_t *omitted = json_object_get(endpoint, "omitted");
	json_t *wait;
	int err;

	at(r, "endpoints[%zu]", index);
	err = get_object(r, endpoint, "wait_ns", OPTIONAL, &wait);
	if (err)
		return err;
	at(r, "endpoints[%zu].wait_ns", index);
	if (wait)
		return read_wait(r, wait, figures);
	/* What threads waited that are not listed is in no socket. */
	if (json_object_get(endpoint, "wait_ns") || !sockets->known ||
	    json_real_value(json_object_get(omitted, "workers")) > 0)
		return 0;
	if (sockets->with == 1)
		return read_wait(r, sockets->only, figures);
	figures[METRIC_WAIT_COUNT] = sockets->count;
	figures[METRIC_WAIT_MEAN] = sockets->count ? sockets->sum / sockets->count : NAN;
	figures[METRIC_WAIT_MAX] = sockets->count ? sockets->max : NAN;
	return 0;
}

/* Sums over rows. */
struct row_sums {
	double came, taken, drops, open, highest;
	bool open_at_least; /* of some worker: the sum is no figure */
	bool drops_bound;   /* likewise of some socket */
	struct socket_waits waits;
};

/* Withheld ACKs are no drops; where only bounds of them are known, how many are is no figure. */
static int read_drops(struct reader *r, const json_t *socket, struct row_sums *sums)
{
	double drops = NAN, least = 0, most = 0;
	json_t *withheld;
	int err = get_count(r, socket, "drops", OPTIONAL, &drops);

	err = err ? err : get_object(r, socket, "withheld", OPTIONAL, &withheld);
	if (!err && withheld)
		err = get_count(r, withheld, "least", REQUIRED, &least);
	if (!err && withheld)
		err = get_count(r, withheld, "most", REQUIRED, &most);
	if (err || isnan(drops))
		return err;
	sums->drops_bound |= least < most;
	sums->drops = (isnan(sums->drops) ? 0 : sums->drops) + fmax(drops - most, 0);
	return 0;
}

static int read_socket(struct reader *r, const json_t *socket, bool udp, struct row_sums *sums)
{
	double highest = NAN;
	json_t *queue;
	int err = add_count(r, socket, udp ? "delivered" : "arrived", REQUIRED, &sums->came);

	err = err   ? err
	      : udp ? add_count(r, socket, "dropped", OPTIONAL, &sums->drops)
		    : read_drops(r, socket, sums);
	err = err ? err : get_object(r, socket, "queue", OPTIONAL, &queue);
	if (!err && queue && !udp)
		err = get_count(r, queue, "highest", OPTIONAL, &highest);
	if (!err && !isnan(highest) && !(highest <= sums->highest))
		sums->highest = highest;
	return err || udp ? err : add_socket_wait(r, socket, &sums->waits);
}

static int read_worker(struct reader *r, const json_t *worker, bool udp, struct row_sums *sums)
{
	int err = add_count(r, worker, udp ? "received" : "accepted", REQUIRED, &sums->taken);

	sums->open_at_least |= json_is_true(json_object_get(worker, "open_at_least"));
	return err || udp ? err : add_count(r, worker, "open", OPTIONAL, &sums->open);
}

static int read_rows(struct reader *r, size_t index, const json_t *endpoint, const char *what,
		     bool udp, struct row_sums *sums)
{
	int (*const read)(struct reader *, const json_t *, bool, struct row_sums *) =
		*what == 's' ? read_socket : read_worker;
	json_t *rows, *row;
	size_t i;
	int err = get_array(r, endpoint, what, REQUIRED, &rows);

	for (i = 0; !err && i < json_array_size(rows); i++) {
		row = json_array_get(rows, i);
		at(r, "endpoints[%zu].%s[%zu]", index, what, i);
		err = json_is_object(row) ? read(r, row, udp, sums)
					  : fail(r, -EINVAL, "%s is %s, not an object; " FOREIGN,
						 r->where, type_name(row));
	}
	at(r, "endpoints[%zu]", index);
	return err;
}

/* What is in no row: "omitted" or "connected". */
static int read_beside(struct reader *r, size_t index, const json_t *endpoint, const char *name,
		       bool udp, struct row_sums *sums)
{
	double drops = NAN, open = NAN, highest = NAN;
	json_t *omitted;
	int err = get_object(r, endpoint, name, OPTIONAL, &omitted);

	if (err || !omitted)
		return err;
	at(r, "endpoints[%zu].%s", index, name);
	err = add_count(r, omitted, udp ? "delivered" : "arrived", OPTIONAL, &sums->came);
	err = err ? err
		  : add_count(r, omitted, udp ? "received" : "accepted", OPTIONAL, &sums->taken);
	err = err ? err : add_count(r, omitted, udp ? "dropped" : "drops", OPTIONAL, &drops);
	err = err ? err : add_count(r, omitted, "open", OPTIONAL, &open);
	err = err ? err : get_count(r, omitted, "queue_highest", OPTIONAL, &highest);
	if (udp ? !isnan(drops) : drops > 0) /* 0 of what may not have been known is no figure */
		sums->drops = isnan(sums->drops) ? drops : sums->drops + drops;
	if (open > 0)
		sums->open = isnan(sums->open) ? open : sums->open + open;
	if (highest > 0 && !(highest <= sums->highest))
		sums->highest = highest;
	return err;
}

/* Documents of versions that did not measure load have none. */
static int read_spreads(struct reader *r, size_t index, const json_t *endpoint, double *figures)
{
	static const struct {
		const char *key;
		enum metric_id metric;
	} fields[] = { { "cpu_ns", METRIC_CPU_CV }, { "bytes", METRIC_BYTES_CV } };
	json_t *load, *spread;
	int err = get_object(r, endpoint, "load", OPTIONAL, &load);

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields) && load && !err; i++) {
		double workers = NAN;

		at(r, "endpoints[%zu].load", index);
		err = get_object(r, load, fields[i].key, OPTIONAL, &spread);
		at(r, "endpoints[%zu].load.%s", index, fields[i].key);
		if (err || !spread)
			continue;
		err = get_count(r, spread, "workers", REQUIRED, &workers);
		err = err ? err : get_real(r, spread, "cv", REQUIRED, &figures[fields[i].metric]);
		if (!(workers > 1))
			figures[fields[i].metric] = NAN;
	}
	at(r, "endpoints[%zu]", index);
	return err;
}

static int read_figures(struct reader *r, size_t index, const json_t *endpoint, bool udp,
			struct comparison_run *run)
{
	struct row_sums sums = {
		.came = NAN, .taken = NAN, .drops = NAN, .open = NAN, .highest = NAN
	};
	double *figures = run->figures;
	int err = read_rows(r, index, endpoint, "sockets", udp, &sums);

	err = err ? err : read_rows(r, index, endpoint, "workers", udp, &sums);
	err = err ? err : read_beside(r, index, endpoint, "omitted", udp, &sums);
	err = err ? err : read_beside(r, index, endpoint, "connected", udp, &sums);
	if (udp && !isnan(sums.drops))
		sums.came = isnan(sums.came) ? sums.drops : sums.came + sums.drops;
	figures[METRIC_EVENTS] = isnan(sums.came) && isnan(sums.taken)
					 ? 0
					 : fmax(sums.came, sums.taken); /* fmax() passes over NaN */
	figures[METRIC_DROPS] = sums.drops_bound ? NAN : sums.drops;
	figures[METRIC_OPEN] = sums.open_at_least ? NAN : sums.open;
	figures[METRIC_QUEUE_HIGHEST] = sums.highest;
	err = err ? err : read_design(r, index, endpoint, run);
	err = err ? err : read_fairness(r, index, endpoint, run);
	err = err ? err : read_spreads(r, index, endpoint, figures);
	return err || udp ? err : read_waits(r, index, endpoint, &sums.waits, figures);
}

/* ---- what a result is of ---- */

static int read_key(struct reader *r, const json_t *from, struct comparison_key *key)
{
	char protocol[8];
	double port, netns;
	int err = get_text(r, from, "protocol", REQUIRED, protocol, sizeof(protocol));

	if (!err && strcmp(protocol, "tcp") && strcmp(protocol, "udp"))
		err = fail(r, -EINVAL, "%s.protocol is '%s', neither tcp nor udp; " FOREIGN,
			   r->where, protocol);
	err = err ? err
		  : get_text(r, from, "address", REQUIRED, key->address, sizeof(key->address));
	err = err ? err : get_number(r, from, "port", 65535, &port);
	err = err ? err : get_number(r, from, "netns", UINT32_MAX, &netns);
	if (err)
		return err;
	key->protocol = strcmp(protocol, "udp") ? PROTOCOL_TCP : PROTOCOL_UDP;
	key->port = (uint16_t)port;
	key->netns = (uint32_t)netns;
	return 0;
}

struct load {
	double workers, concurrency, requests, flows, rate, work_us, slow;
	bool processes, udp;
	char address[64];
};

static int read_load(struct reader *r, const json_t *work, const json_t *endpoint, struct load *l)
{
	char protocol[8];
	int err = get_count(r, work, "workers", REQUIRED, &l->workers);

	err = err ? err : get_bool(r, work, "processes", REQUIRED, &l->processes);
	err = err ? err : get_count(r, work, "concurrency", OPTIONAL, &l->concurrency);
	err = err ? err : get_count(r, work, "requests", OPTIONAL, &l->requests);
	err = err ? err : get_count(r, work, "flows", OPTIONAL, &l->flows);
	err = err ? err : get_real(r, work, "target_rate_per_second", OPTIONAL, &l->rate);
	err = err ? err : get_count(r, work, "work_us", OPTIONAL, &l->work_us);
	err = err ? err : get_count(r, work, "slow_worker", OPTIONAL, &l->slow);
	if (err || !json_is_object(endpoint)) /* which read_endpoint() says */
		return err;
	at(r, "endpoints[0]");
	err = get_text(r, endpoint, "protocol", OPTIONAL, protocol, sizeof(protocol));
	l->udp = !strcmp(protocol, "udp");
	return err ? err
		   : get_text(r, endpoint, "address", OPTIONAL, l->address, sizeof(l->address));
}

/* "8 workers (threads) on 127.0.0.1, 20,000 connections, 2 at once; 200 us of work each; " */
static void load_text(FILE *out, const struct load *l)
{
	char count[TEXT_COUNT_SIZE];
	const char *unit = l->udp ? "datagram" : "connection";

	fprintf(out, "%.0f worker%s (%s)", l->workers, l->workers == 1 ? "" : "s",
		l->processes ? "processes" : "threads");
	if (*l->address)
		fprintf(out, " on %s", l->address);
	if (!isnan(l->requests))
		fprintf(out, ", %s %s%s", text_count(count, (uint64_t)l->requests), unit,
			l->requests == 1 ? "" : "s");
	if (!isnan(l->flows))
		fprintf(out, ", %s flow%s", text_count(count, (uint64_t)l->flows),
			l->flows == 1 ? "" : "s");
	if (!isnan(l->concurrency))
		fprintf(out, ", %.0f at once; ", l->concurrency);
	else
		fprintf(out, ", clients from outside; ");
	if (l->rate > 0)
		fprintf(out, "%g/s asked for; ", l->rate);
	if (l->work_us > 0)
		fprintf(out, "%.0f us of work each; ", l->work_us);
	if (!isnan(l->slow))
		fprintf(out, "worker %.0f ten times slower; ", l->slow);
}

/* What a run depends on and shows in no figure. */
static int read_setup(struct reader *r, const json_t *doc, const json_t *work, char *setup,
		      size_t size)
{
	struct load load = { NAN, NAN, NAN, NAN, NAN, NAN, NAN, .processes = false };
	char release[66], backend[16];
	json_t *kernel;
	FILE *out;
	int err;

	at(r, "%s", "");
	err = get_object(r, doc, "kernel", REQUIRED, &kernel);
	at(r, "kernel");
	err = err ? err : get_text(r, kernel, "release", REQUIRED, release, sizeof(release));
	err = err ? err : get_text(r, kernel, "backend", OPTIONAL, backend, sizeof(backend));
	at(r, "workload");
	if (work)
		err = err ? err
			  : read_load(r, work, json_array_get(json_object_get(doc, "endpoints"), 0),
				      &load);
	if (err)
		return err;
	setup[size - 1] = '\0';
	out = fmemopen(setup, size - 1, "w");
	if (!out)
		return fail(r, -ENOMEM, NO_MEMORY);
	if (work)
		load_text(out, &load);
	fprintf(out, "kernel %s, %s%s", release, *backend ? "backend " : "nothing attached",
		backend);
	fclose(out);
	return 0;
}

/* ---- a document of sockfair/1 ---- */

static int need_side(struct reader *r)
{
	int err;

	if (r->has_saved)
		return fail(
			r, -EINVAL,
			"a result and a saved comparison in one file; give each a file of its own");
	if (r->has_side)
		return 0;
	err = comparison_side_add(r->c, r->name);
	r->side = r->c->side_count - 1;
	r->has_side = !err;
	return err;
}

/* Not the port that was asked for: remembered, for the error if none is. */
static bool is_other_port(struct reader *r, struct comparison_key *key)
{
	key->port_asked |= r->port != 0;
	if (!r->port || key->port == r->port)
		return false;
	if (r->ports < sizeof(r->ports_seen) / sizeof(*r->ports_seen))
		r->ports_seen[r->ports] = key->port;
	r->ports++;
	return true;
}

static bool is_separator(const char *at)
{
	return (at[0] == ',' || at[0] == ';') && at[1] == ' ';
}

/* The first part of a setup in which it differs from another: "64 at once" */
static void setup_part(char *part, size_t size, const char *setup, const char *other)
{
	size_t begin = 0, end;

	while (setup[begin] && setup[begin] == other[begin])
		begin++;
	while (begin > 0 && !(begin > 1 && is_separator(&setup[begin - 2])))
		begin--;
	for (end = begin; setup[end] && !is_separator(&setup[end]);)
		end++;
	snprintf(part, size, "%.*s", (int)(end - begin), setup + begin);
}

/* A run of another setup under the same name: pooled, the two would be told as noise. */
static int no_repeat(struct reader *r, size_t side, const struct comparison_key *key,
		     const char *setup)
{
	const struct comparison_side *s = &r->c->sides[side];
	const char *before = "";
	char own[96], other[96], what[80];

	for (size_t i = 0; i < s->result_count; i++)
		if (s->results[i].run_count &&
		    (*key->mode ? !strcmp(s->results[i].key.mode, key->mode)
				: s->results[i].key.port == key->port))
			before = s->results[i].setup;
	setup_part(own, sizeof(own), setup, before);
	setup_part(other, sizeof(other), before, setup);
	if (*key->mode)
		snprintf(what, sizeof(what), "run of %s", key->mode);
	else
		snprintf(what, sizeof(what), "window of port %u", key->port);
	return fail(r, -EEXIST,
		    "this %s is no repeat of the one before: %s, not %s; give it a file of its own",
		    what, own, other);
}

static int add_run(struct reader *r, size_t side, const struct comparison_key *key,
		   const char *setup, const struct comparison_run *run, const char *skipped)
{
	int err;

	if (++r->results > JSON_READER_RESULTS_MAX)
		return fail(r, -EINVAL,
			    "more than %d results in one file; take one port with FILE:PORT, or "
			    "split the file",
			    JSON_READER_RESULTS_MAX);
	err = comparison_add(r->c, side, key, setup, run, skipped);
	return err == -EEXIST ? no_repeat(r, side, key, setup) : err;
}

struct document {
	const json_t *json, *work, *endpoints;
	double seconds, lost, rate, work_seconds;
	bool own_load, disagrees;
	char mode[64], skipped[160], setup[COMPARISON_SETUP_SIZE];
};

static int read_workload(struct reader *r, struct document *d)
{
	json_t *work;
	bool agrees;
	int err;

	at(r, "%s", "");
	err = get_object(r, d->json, "workload", OPTIONAL, &work);
	if (err || !work)
		return err;
	d->work = work;
	at(r, "workload");
	err = get_text(r, work, "mode", REQUIRED, d->mode, sizeof(d->mode));
	if (!err && !*d->mode)
		err = fail(r, -EINVAL, "workload.mode is empty; " FOREIGN);
	err = err ? err : get_text(r, work, "skipped", OPTIONAL, d->skipped, sizeof(d->skipped));
	if (err || *d->skipped)
		return err;
	err = get_bool(r, work, "agrees", REQUIRED, &agrees);
	err = err ? err : get_real(r, work, "seconds", OPTIONAL, &d->work_seconds);
	err = err ? err : get_real(r, work, "rate_per_second", OPTIONAL, &d->rate);
	d->disagrees = !err && !agrees;
	d->own_load = json_is_number(json_object_get(work, "sent"));
	return err;
}

static int read_lost(struct reader *r, struct document *d)
{
	json_t *lost;
	int err;

	at(r, "%s", "");
	err = get_object(r, d->json, "lost", REQUIRED, &lost);
	if (err)
		return err;
	at(r, "lost");
	err = get_count(r, lost, "total", REQUIRED, &d->lost);
	/* Older documents do not tell which of them are missing in counts: at most all are. */
	return err || !json_object_get(lost, "counts")
		       ? err
		       : get_count(r, lost, "counts", REQUIRED, &d->lost);
}

/* Older documents do not tell whose events were lost: they may have been anybody's. */
static void withhold_all(struct comparison_run *run)
{
	for (enum share i = 0; i < SHARE_COUNT; i++) {
		if (run->verdicts[i] == VERDICT_NOT_APPLICABLE)
			continue;
		run->verdicts[i] = VERDICT_WITHHELD;
		run->withheld[i] = WITHHELD_COUNTS_LOST;
	}
}

static int read_endpoint(struct reader *r, size_t index, const struct document *d)
{
	const json_t *endpoint = json_array_get(d->endpoints, index);
	struct comparison_key key = {};
	struct comparison_run run;
	double *figures = run.figures;
	int err;

	at(r, "endpoints[%zu]", index);
	if (!json_is_object(endpoint))
		return fail(r, -EINVAL, "%s is %s, not an object; " FOREIGN, r->where,
			    type_name(endpoint));
	err = read_key(r, endpoint, &key);
	if (err || is_other_port(r, &key))
		return err;
	memcpy(key.mode, d->mode, sizeof(key.mode));
	comparison_run_clear(&run);
	err = read_figures(r, index, endpoint, key.protocol == PROTOCOL_UDP, &run);
	if (err)
		return err;
	run.own_load = d->own_load;
	run.disagrees = d->disagrees;
	if (d->lost > 0 && !json_object_get(endpoint, "lost"))
		withhold_all(&run);
	comparison_run_complete(&run, key.protocol);
	run.round =
		d->work ? 0 : r->finals - 1; /* modes take turns: each has its own repetitions */
	figures[METRIC_LOST] = d->lost;
	figures[METRIC_SECONDS] = d->work ? d->work_seconds : d->seconds;
	figures[METRIC_RATE] = d->work          ? d->rate
			       : d->seconds > 0 ? figures[METRIC_EVENTS] / d->seconds
						: NAN;
	return add_run(r, r->side, &key, d->setup, &run, NULL);
}

/* Ports that this document, or one before of the same side, leaves out. */
static int read_left_out(struct reader *r, const json_t *json)
{
	struct comparison_side *side = &r->c->sides[r->side];
	double endpoints = NAN;
	json_t *omitted;
	int err;

	at(r, "%s", "");
	err = get_object(r, json, "omitted", OPTIONAL, &omitted);
	at(r, "omitted");
	if (!err && omitted)
		err = get_count(r, omitted, "endpoints", REQUIRED, &endpoints);
	if (!err && endpoints > side->left_out)
		side->left_out = (uint64_t)endpoints;
	return err;
}

static int read_endpoints(struct reader *r, struct document *d)
{
	json_t *endpoints;
	int err = read_left_out(r, d->json);

	at(r, "%s", "");
	err = err ? err : get_array(r, d->json, "endpoints", REQUIRED, &endpoints);
	if (err)
		return err;
	d->endpoints = endpoints;
	if (d->work && json_array_size(endpoints) != 1)
		err = fail(r, -EINVAL, "a workload with %zu endpoints, not one; " FOREIGN,
			   json_array_size(endpoints));
	for (size_t i = 0; !err && i < json_array_size(endpoints); i++)
		err = read_endpoint(r, i, d);
	return err;
}

/* A port is in a document once; twice it would look like a repeat. */
static int check_once(struct reader *r)
{
	const struct comparison_side *side = &r->c->sides[r->side];

	for (size_t i = 0; i < side->result_count; i++)
		if (side->results[i].run_count > r->finals)
			return fail(r, -EINVAL, "port %u of %s is in it twice; " FOREIGN,
				    side->results[i].key.port, side->results[i].key.address);
	return 0;
}

static int read_result(struct reader *r, const json_t *json)
{
	struct document d = { .json = json, .rate = NAN, .work_seconds = NAN };
	struct comparison_key key = {};
	json_t *window;
	bool final;
	int err = get_object(r, json, "window", REQUIRED, &window);

	at(r, "window");
	err = err ? err : get_bool(r, window, "final", REQUIRED, &final);
	err = err ? err : get_real(r, window, "seconds", REQUIRED, &d.seconds);
	if (!err && !final) {
		r->intervals++;
		return 0;
	}
	r->finals++;
	err = err ? err : need_side(r);
	err = err ? err : read_workload(r, &d);
	if (err)
		return err;
	if (*d.skipped) {
		memcpy(key.mode, d.mode, sizeof(key.mode));
		return add_run(r, r->side, &key, "", NULL, d.skipped);
	}
	err = read_lost(r, &d);
	err = err ? err : read_setup(r, json, d.work, d.setup, sizeof(d.setup));
	err = err ? err : read_endpoints(r, &d);
	return err ? err : check_once(r);
}

/* ---- a saved comparison ---- */

static int read_saved_run(struct reader *r, const json_t *from, struct comparison_run *run)
{
	char where[sizeof(r->where)];
	json_t *figures, *verdicts, *reasons = NULL;
	double round = NAN;
	bool agrees;
	int err;

	memcpy(where, r->where, sizeof(where));
	comparison_run_clear(run);
	if (!json_is_object(from))
		return fail(r, -EINVAL, "%s is %s, not an object; " FOREIGN, where,
			    type_name(from));
	err = get_bool(r, from, "own_load", REQUIRED, &run->own_load);
	err = err ? err : get_bool(r, from, "agrees", REQUIRED, &agrees);
	err = err ? err : get_count(r, from, "round", OPTIONAL, &round);
	if (!err && round > JSON_READER_RESULTS_MAX)
		err = fail(r, -EINVAL, "%s.round is %.17g, more than %d; " FOREIGN, where, round,
			   JSON_READER_RESULTS_MAX);
	run->round = round > 0 ? (size_t)round : 0;
	err = err ? err : get_object(r, from, "verdicts", REQUIRED, &verdicts);
	err = err ? err : get_object(r, from, "reasons", OPTIONAL, &reasons);
	err = err ? err : get_object(r, from, "figures", REQUIRED, &figures);
	for (size_t i = 0; !err && i < SHARE_COUNT; i++)
		err = get_verdict(r, verdicts, share_names[i], &run->verdicts[i]);
	for (size_t i = 0; !err && reasons && i < SHARE_COUNT; i++)
		err = get_reason(r, reasons, share_names[i], &run->withheld[i]);
	at(r, "%.80s.figures", where);
	for (size_t i = 0; !err && i < METRIC_COUNT; i++)
		err = get_real(r, figures, metrics[i].name, OPTIONAL, &run->figures[i]);
	run->disagrees = !err && !agrees;
	return err;
}

static int read_saved_result(struct reader *r, const json_t *from, size_t first_side, size_t sides)
{
	char setup[COMPARISON_SETUP_SIZE], skipped[160], where[sizeof(r->where)];
	struct comparison_key key = {};
	struct comparison_run run;
	double side;
	json_t *runs;
	int err;

	memcpy(where, r->where, sizeof(where));
	if (!json_is_object(from))
		return fail(r, -EINVAL, "%s is %s, not an object; " FOREIGN, r->where,
			    type_name(from));
	err = get_number(r, from, "side", (double)sides - 1, &side);
	err = err ? err : get_text(r, from, "mode", OPTIONAL, key.mode, sizeof(key.mode));
	err = err ? err : get_text(r, from, "setup", REQUIRED, setup, sizeof(setup));
	err = err ? err : get_text(r, from, "skipped", OPTIONAL, skipped, sizeof(skipped));
	err = err ? err : get_array(r, from, "runs", REQUIRED, &runs);
	if (!err && *key.mode && *skipped)
		return add_run(r, first_side + (size_t)side, &key, setup, NULL, skipped);
	err = err ? err : read_key(r, from, &key);
	err = err ? err : get_bool(r, from, "by_port", REQUIRED, &key.port_asked);
	if (err || is_other_port(r, &key))
		return err;
	for (size_t i = 0; !err && i < json_array_size(runs); i++) {
		at(r, "%.70s.runs[%zu]", where, i);
		err = read_saved_run(r, json_array_get(runs, i), &run);
		if (!err && isnan(run.figures[METRIC_DROP_SHARE])) /* older comparisons have none */
			comparison_run_complete(&run, key.protocol);
		err = err ? err : add_run(r, first_side + (size_t)side, &key, setup, &run, NULL);
	}
	return err;
}

static int read_saved_sides(struct reader *r, const json_t *json, size_t *count)
{
	json_t *sides;
	int err = get_array(r, json, "sides", REQUIRED, &sides);

	*count = err ? 0 : json_array_size(sides);
	if (!err && (!*count || *count + r->c->side_count > JSON_READER_SIDES_MAX))
		err = fail(r, -EINVAL,
			   "%zu sides, which is none or with the others more than %d; " FOREIGN,
			   *count, JSON_READER_SIDES_MAX);
	for (size_t i = 0; !err && i < *count; i++) {
		char name[256];
		double left_out = NAN;

		at(r, "sides[%zu]", i);
		if (!json_is_object(json_array_get(sides, i)))
			return fail(r, -EINVAL, "%s is %s, not an object; " FOREIGN, r->where,
				    type_name(json_array_get(sides, i)));
		err = get_text(r, json_array_get(sides, i), "name", REQUIRED, name, sizeof(name));
		err = err ? err : comparison_side_add(r->c, name);
		err = err ? err
			  : get_count(r, json_array_get(sides, i), "omitted_endpoints", OPTIONAL,
				      &left_out);
		if (!err && left_out > 0)
			r->c->sides[r->c->side_count - 1].left_out = (uint64_t)left_out;
	}
	at(r, "%s", "");
	return err;
}

static int read_saved(struct reader *r, const json_t *json)
{
	const size_t first_side = r->c->side_count;
	json_t *subjects, *results;
	size_t sides;
	int err = 0;

	if (r->has_side)
		err = fail(
			r, -EINVAL,
			"a result and a saved comparison in one file; give each a file of its own");
	r->has_saved = true;
	err = err ? err : read_saved_sides(r, json, &sides);
	err = err ? err : get_array(r, json, "subjects", REQUIRED, &subjects);
	for (size_t i = 0; !err && i < json_array_size(subjects); i++) {
		at(r, "subjects[%zu]", i);
		err = get_array(r, json_array_get(subjects, i), "results", REQUIRED, &results);
		for (size_t k = 0; !err && k < json_array_size(results); k++) {
			at(r, "subjects[%zu].results[%zu]", i, k);
			err = read_saved_result(r, json_array_get(results, k), first_side, sides);
		}
	}
	return err;
}

/* ---- documents ---- */

static const struct {
	const char *name;
	int (*read)(struct reader *r, const json_t *json);
} schemas[] = { { "sockfair/1", read_result }, { "sockfair-comparison/1", read_saved } };

static int read_document(struct reader *r, const json_t *json)
{
	char schema[64];
	int err;

	at(r, "%s", "");
	if (!json_is_object(json))
		return fail(r, -EINVAL, "the document is %s, not an object; " FOREIGN,
			    type_name(json));
	err = get_text(r, json, "schema", REQUIRED, schema, sizeof(schema));
	for (size_t i = 0; !err && i < sizeof(schemas) / sizeof(*schemas); i++)
		if (!strcmp(schema, schemas[i].name))
			return schemas[i].read(r, json);
	if (err)
		return err;
	if (!strncmp(schema, "sockfair", 8))
		return fail(r, -EINVAL,
			    "schema '%s' is not known to sockfair " SOCKFAIR_VERSION
			    "; read it with the version that wrote it",
			    schema);
	return fail(r, -EINVAL, "schema '%s' is not sockfair's; " FOREIGN, schema);
}

/* The memory of one document, so that a small file of empty arrays does not take all of the
 * machine's. */
static size_t budget_used;
static bool budget_exceeded, memory_short; /* jansson itself calls some of that a wrong document */

static void *budget_malloc(size_t size)
{
	void *p = NULL;

	if (budget_used < JSON_READER_MEMORY_MAX && size <= JSON_READER_MEMORY_MAX - budget_used)
		p = malloc(size);
	else
		budget_exceeded = true;
	memory_short |= !p && !budget_exceeded;
	budget_used += p ? malloc_usable_size(p) : 0;
	return p;
}

static void budget_free(void *p)
{
	budget_used -= p ? malloc_usable_size(p) : 0;
	free(p);
}

/* One byte at a time: what follows the document belongs to the next one. */
static size_t next_byte(void *buffer, size_t size, void *data)
{
	struct reader *r = data;
	int c;

	(void)size;
	if (r->bytes >= JSON_READER_DOCUMENT_MAX) {
		r->too_long = true;
		return (size_t)-1;
	}
	c = getc_unlocked(r->file);
	if (c == EOF)
		return ferror_unlocked(r->file) ? (size_t)-1 : 0;
	r->bytes++;
	r->line += c == '\n';
	*(char *)buffer = (char)c;
	return 1;
}

static int parse_failed(struct reader *r, const json_error_t *error)
{
	if (budget_exceeded)
		return fail(r, -EFBIG,
			    "a document that takes more than %lu MiB of memory; " FOREIGN,
			    JSON_READER_MEMORY_MAX >> 20);
	if (memory_short)
		return fail(r, -ENOMEM, NO_MEMORY);
	if (r->too_long)
		return fail(r, -EFBIG,
			    "a document of more than %u MiB; take fewer ports (watch -P)",
			    JSON_READER_DOCUMENT_MAX >> 20);
	if (ferror(r->file))
		return fail(r, -EIO, "cannot be read: %s; choose another file", strerror(errno));
	if (feof(r->file) && r->is_object)
		return fail(r, -EINVAL,
			    "ends in the middle of a document: whatever wrote it was stopped, or "
			    "the disk was full; run it again");
	if (json_error_code(error) == json_error_stack_overflow)
		return fail(r, -EINVAL, "nested too deeply; " FOREIGN);
	return fail(r, -EINVAL, "not JSON: %s; " FOREIGN, error->text);
}

/* Passes over white space between documents. Returns false at the end of the file. */
static bool next_document(struct reader *r)
{
	int c;

	do {
		c = getc_unlocked(r->file);
		r->line += c == '\n';
	} while (c == ' ' || c == '\n' || c == '\t' || c == '\r');
	r->first_line = r->line;
	r->bytes = 0;
	r->is_object = c == '{';
	return c != EOF && ungetc(c, r->file) != EOF;
}

static int read_documents(struct reader *r)
{
	int err = 0;

	while (!err && next_document(r)) {
		const size_t flags =
			JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL;
		json_error_t error;
		json_t *json = json_load_callback(next_byte, r, flags, &error);

		err = json && !memory_short ? read_document(r, json) : parse_failed(r, &error);
		json_decref(json);
	}
	if (!err && ferror(r->file))
		err = fail(r, -EIO, "cannot be read: %s; choose another file", strerror(errno));
	return err;
}

/* A file without any result says why it has none. */
static int check_any(struct reader *r)
{
	char ports[80] = "";

	if (r->results)
		return 0;
	if (r->has_side && r->c->sides[r->side].left_out)
		return fail(r, -ENOENT,
			    "%s, but leaves out %" PRIu64
			    " (omitted); take the one that is wanted with -P, or more --rows",
			    r->port ? "does not list that port" : "lists no port",
			    r->c->sides[r->side].left_out);
	for (size_t i = 0; i < r->ports && i < sizeof(r->ports_seen) / sizeof(*r->ports_seen); i++)
		snprintf(ports + strlen(ports), sizeof(ports) - strlen(ports), "%s%zu",
			 i ? ", " : "", r->ports_seen[i]);
	if (r->ports)
		return fail(r, -ENOENT, "has no port %u, but %s%s", r->port, ports,
			    r->ports > sizeof(r->ports_seen) / sizeof(*r->ports_seen) ? "..." : "");
	if (r->has_side || r->has_saved)
		return fail(r, -ENOENT,
			    "holds no port: nothing was seen, so nothing can be compared; widen "
			    "the filter");
	if (r->intervals)
		return fail(r, -ENOENT,
			    "has intervals only, not the whole window: watch was killed, or still "
			    "runs; end it with Ctrl-C or -d");
	return fail(r, -ENOENT, "is empty; write it with sockfair ... --json -o FILE");
}

int json_read_results(struct comparison *c, const char *path, const char *name, uint16_t port,
		      char *why)
{
	struct reader r = { .path = path,
			    .name = name,
			    .why = why,
			    .c = c,
			    .port = port,
			    .line = 1,
			    .first_line = 1 };
	json_malloc_t old_malloc;
	json_free_t old_free;
	struct stat st;
	int err;

	*why = '\0';
	r.file = fopen(path, "re");
	if (!r.file || fstat(fileno(r.file), &st) || S_ISDIR(st.st_mode)) {
		char raw[JSON_READER_WHY - 64];

		snprintf(raw, sizeof(raw),
			 "cannot read %.200s: %s; write it with sockfair ... --json -o FILE", path,
			 r.file ? "it is a directory" : strerror(errno));
		text_name(why, raw, sizeof(raw), true);
		err = -ENOENT;
		goto out;
	}
	json_get_alloc_funcs(&old_malloc, &old_free);
	json_set_alloc_funcs(budget_malloc, budget_free);
	budget_used = 0;
	budget_exceeded = memory_short = false;
	err = read_documents(&r);
	json_set_alloc_funcs(old_malloc, old_free);
	err = err ? err : check_any(&r);
	if (err == -ENOMEM && !*why)
		fail(&r, err, NO_MEMORY);
out:
	if (r.file)
		fclose(r.file);
	return err;
}
