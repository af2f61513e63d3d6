/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

static json_t *real(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *number(uint64_t value)
{
	return json_integer(value);
}

/* Names that come from the kernel (comm, cgroup) may hold any bytes: what is not UTF-8 is escaped as \xNN. */
static json_t *text(const char *bytes, size_t max)
{
	char escaped[4 * 256 + 1], *end = escaped;
	json_t *whole = json_stringn(bytes, strnlen(bytes, max));

	if (whole)
		return whole;
	for (size_t i = 0; i < max && i < 256 && bytes[i]; i++)
		end += sprintf(end, (bytes[i] & 0x80) ? "\\x%02x" : "%c", (unsigned char)bytes[i]);
	*end = 0;
	return json_string(escaped);
}

static json_t *fairness(const struct fairness *f)
{
	json_t *o = json_object();

	json_object_set_new(o, "bins", number(f->bins));
	json_object_set_new(o, "events", number(f->events));
	json_object_set_new(o, "unit", json_string(f->unit == UNIT_FLOW ? "flow" : "event"));
	json_object_set_new(o, "flows", f->unit == UNIT_FLOW && f->flows ? number(f->flows) : json_null());
	json_object_set_new(o, "idle", number(f->idle));
	json_object_set_new(o, "cv", real(f->cv));
	json_object_set_new(o, "cv_expected", real(f->cv_expected));
	json_object_set_new(o, "excess", real(f->excess));
	json_object_set_new(o, "max_over_mean", real(f->max_over_mean));
	json_object_set_new(o, "max_over_mean_expected", real(f->max_over_mean_expected));
	json_object_set_new(o, "jain", real(f->jain));
	json_object_set_new(o, "p_value", real(f->p_value));
	json_object_set_new(o, "simulated", json_boolean(f->simulated));
	json_object_set_new(o, "needed", f->bins > 1 ? number(f->needed) : json_null());
	json_object_set_new(o, "verdict", json_string(verdict_name(f->verdict)));
	return o;
}

static json_t *socket_row(const struct endpoint *e, const struct socket_row *s)
{
	json_t *o = json_object(), *queue = json_object();
	bool udp = e->protocol == PROTOCOL_UDP;

	json_object_set_new(o, "cookie", number(s->cookie));
	json_object_set_new(o, "inode", number(s->inode));
	json_object_set_new(o, "uid", number(s->uid));
	json_object_set_new(o, "reuseport", json_boolean(s->reuseport));
	json_object_set_new(o, udp ? "delivered" : "arrived", number(s->arrived));
	json_object_set_new(o, udp ? "received" : "accepted", number(s->accepted));
	if (udp)
		json_object_set_new(o, "dropped", number(s->dropped));
	json_object_set_new(queue, "length", s->queue_known ? number(s->queue_length) : json_null());
	json_object_set_new(queue, "limit", s->queue_limit ? number(s->queue_limit) : json_null());
	json_object_set_new(o, "queue", queue);
	json_object_set_new(o, "drops", s->queue_known ? number(s->drops) : json_null());
	return o;
}

static json_t *worker_row(const struct endpoint *e, const struct worker_row *w)
{
	json_t *o = json_object();

	json_object_set_new(o, "number", w->number < 0 ? json_null() : number(w->number));
	json_object_set_new(o, "pid", number(w->pid));
	json_object_set_new(o, "tid", number(w->tid));
	json_object_set_new(o, "comm", text(w->comm, sizeof(w->comm)));
	json_object_set_new(o, "cgroup", *w->cgroup ? text(w->cgroup, sizeof(w->cgroup)) : json_null());
	json_object_set_new(o, "cookie", number(w->cookie));
	json_object_set_new(o, e->protocol == PROTOCOL_UDP ? "received" : "accepted", number(w->accepted));
	json_object_set_new(o, "served", w->serves ? number(w->served) : json_null());
	json_object_set_new(o, "ended", json_boolean(w->ended));
	return o;
}

static json_t *endpoint(const struct endpoint *e)
{
	json_t *o = json_object(), *sockets = json_array(), *workers = json_array(), *cpus = json_array(), *fair = json_object();
	char address[INET6_ADDRSTRLEN];

	inet_ntop(e->family, e->address, address, sizeof(address));
	json_object_set_new(o, "protocol", json_string(e->protocol == PROTOCOL_UDP ? "udp" : "tcp"));
	json_object_set_new(o, "address", json_string(address));
	json_object_set_new(o, "port", number(e->port));
	json_object_set_new(o, "netns", number(e->netns));
	for (size_t i = 0; i < e->socket_count; i++)
		json_array_append_new(sockets, socket_row(e, &e->sockets[i]));
	for (size_t i = 0; i < e->worker_count; i++)
		json_array_append_new(workers, worker_row(e, &e->workers[i]));
	for (size_t i = 0; i < e->cpu_count; i++)
		json_array_append_new(cpus, json_pack("{s:I, s:I}", "cpu", (json_int_t)e->cpus[i].cpu,
						      "arrived", (json_int_t)e->cpus[i].arrived));
	json_object_set_new(o, "sockets", sockets);
	json_object_set_new(o, "workers", workers);
	json_object_set_new(o, "cpus", cpus);
	json_object_set_new(fair, "sockets", fairness(&e->socket_fairness));
	json_object_set_new(fair, "workers", fairness(&e->worker_fairness));
	if (e->served_known)
		json_object_set_new(fair, "served", fairness(&e->served_fairness));
	json_object_set_new(o, "fairness", fair);
	json_object_set_new(o, "findings", json_array());
	return o;
}

static json_t *workload(const struct workload_account *w)
{
	json_t *o = json_object();
	uint64_t done = w->serve_only ? w->accepted : w->sent;

	json_object_set_new(o, "mode", json_string(w->mode));
	if (*w->skipped) {
		json_object_set_new(o, "skipped", json_string(w->skipped));
		return o;
	}
	json_object_set_new(o, "workers", number(w->workers));
	json_object_set_new(o, "processes", json_boolean(w->processes));
	json_object_set_new(o, "concurrency", w->serve_only ? json_null() : number(w->concurrency));
	json_object_set_new(o, "target_rate_per_second", w->target_rate > 0 ? real(w->target_rate) : json_null());
	json_object_set_new(o, "work_us", number(w->work_us));
	json_object_set_new(o, "slow_worker", w->slow_worker < 0 ? json_null() : number(w->slow_worker));
	json_object_set_new(o, "sent", w->serve_only ? json_null() : number(w->sent));
	json_object_set_new(o, "failed", w->serve_only ? json_null() : number(w->failed));
	json_object_set_new(o, "accepted", number(w->accepted));
	json_object_set_new(o, "served", number(w->served));
	json_object_set_new(o, "agrees", json_boolean(w->agrees));
	json_object_set_new(o, "disagreement", *w->disagreement ? json_string(w->disagreement) : json_null());
	json_object_set_new(o, "seconds", real(w->seconds));
	json_object_set_new(o, "rate_per_second", w->seconds > 0 ? real(done / w->seconds) : json_null());
	return o;
}

static json_t *window(const struct snapshot *s)
{
	time_t seconds = s->start_ms / 1000;
	char start[40], whole[32];
	struct tm utc;

	gmtime_r(&seconds, &utc);
	strftime(whole, sizeof(whole), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(start, sizeof(start), "%s.%03dZ", whole, (int)(s->start_ms % 1000));
	return json_pack("{s:s, s:f, s:b}", "start", start, "seconds", s->seconds, "final", s->final);
}

int json_snapshot(FILE *out, const struct snapshot *s)
{
	json_t *o = json_object(), *kernel = json_object(), *unseen = json_array(), *endpoints = json_array(),
	       *reasons = json_object(), *lost = json_object();
	int err;

	json_object_set_new(o, "schema", json_string("sockfair/1"));
	json_object_set_new(o, "version", json_string(SOCKFAIR_VERSION));
	for (size_t i = 0; i < s->unseen_count; i++)
		json_array_append_new(unseen, json_string(s->unseen[i]));
	json_object_set_new(kernel, "release", json_string(s->release));
	json_object_set_new(kernel, "backend", s->backend ? json_string(s->backend) : json_null());
	json_object_set_new(kernel, "unseen", unseen);
	json_object_set_new(o, "kernel", kernel);
	json_object_set_new(o, "window", window(s));
	if (s->has_workload)
		json_object_set_new(o, "workload", workload(&s->workload));
	for (size_t i = 0; i < s->endpoint_count; i++)
		json_array_append_new(endpoints, endpoint(&s->endpoints[i]));
	json_object_set_new(o, "endpoints", endpoints);
	for (size_t i = 0; i < s->lost_count; i++)
		json_object_set_new(reasons, s->lost[i].reason, number(s->lost[i].count));
	json_object_set_new(lost, "total", number(snapshot_lost(s)));
	json_object_set_new(lost, "by_reason", reasons);
	json_object_set_new(o, "lost", lost);
	err = json_dumpf(o, out, JSON_COMPACT | JSON_REAL_PRECISION(9)) || fputc('\n', out) == EOF ? -EIO : 0;
	json_decref(o);
	return err;
}
