/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A snapshot as one document, written row by row: ten thousand ports take no more memory than one.
 */
#include "json.h"

#include <errno.h>
#include <math.h>

#include "../model/aside.h"
#include "../model/connected.h"
#include "../model/limit.h"
#include "../model/netns_name.h"
#include "../model/wait_sum.h"
#include "json_handshakes.h"
#include "json_load.h"
#include "json_unit.h"
#include "json_writer.h"

const char *json_level(enum finding_level level)
{
	static const char *const names[] = {
		[FINDING_PROBLEM] = "problem", [FINDING_NOTE] = "note", [FINDING_GOOD] = "good"
	};

	return names[level];
}

static const char *const wait_kind_names[] = { [WAITS_NOT] = NULL,
					       [WAITS_BLOCKED] = "blocked",
					       [WAITS_POLL] = "poll",
					       [WAITS_EPOLL] = "epoll",
					       [WAITS_URING] = "io_uring" };

/* Writes whole nanoseconds; null for NaN. */
static void nanoseconds(struct json_writer *w, const char *key, double ns)
{
	const uint64_t whole = isnan(ns) ? 0 : ns < 0x1p64 ? (uint64_t)(ns + 0.5) : UINT64_MAX;

	json_number_if(w, key, !isnan(ns), whole);
}

static void wait_ns(struct json_writer *w, bool known, const struct wait *wait,
		    const struct wait_histogram *list)
{
	if (!known) {
		json_nothing(w, "wait_ns");
		return;
	}
	json_open(w, "wait_ns", '{');
	json_number(w, "count", wait->count);
	nanoseconds(w, "mean", wait_mean_ns(wait));
	nanoseconds(w, "p50", wait_quantile_ns(wait, list, 0.5));
	nanoseconds(w, "p90", wait_quantile_ns(wait, list, 0.9));
	nanoseconds(w, "p99", wait_quantile_ns(wait, list, 0.99));
	nanoseconds(w, "max", wait_max_ns(wait));
	json_close(w, '}');
}

static void handed(struct json_writer *w, const struct worker_row *row)
{
	if (!row->serves) {
		json_nothing(w, "handed");
		return;
	}
	json_open(w, "handed", '{');
	json_number(w, "count", row->handed.count);
	nanoseconds(w, "mean_ns", wait_mean_ns(&row->handed));
	nanoseconds(w, "max_ns", wait_max_ns(&row->handed));
	json_close(w, '}');
}

static void fairness(struct json_writer *w, const char *key, const struct fairness *f)
{
	json_open(w, key, '{');
	json_number(w, "bins", f->bins);
	json_number(w, "events", f->events);
	json_string(w, "unit", f->unit == UNIT_FLOW ? "flow" : "event");
	json_number_if(w, "flows", f->unit == UNIT_FLOW && f->flows, f->flows);
	json_number_real(w, "flows_effective", f->flows_effective > 0 ? f->flows_effective : NAN);
	json_number_real(w, "largest_flow", f->largest_flow > 0 ? f->largest_flow : NAN);
	json_number(w, "idle", f->idle);
	json_number_real(w, "cv", f->cv);
	json_number_real(w, "cv_expected", f->cv_expected);
	json_number_real(w, "excess", f->excess);
	json_number_real(w, "max_over_mean", f->max_over_mean);
	json_number_real(w, "max_over_mean_expected", f->max_over_mean_expected);
	json_number_real(w, "jain", f->jain);
	json_number_real(w, "p_value", f->p_value);
	json_bool(w, "simulated", f->simulated);
	json_number_if(w, "needed", f->bins > 1, f->needed);
	json_string(w, "verdict", verdict_name(f->verdict));
	json_string(w, "reason", f->withheld ? withheld_name(f->withheld) : NULL);
	json_close(w, '}');
}

/* Writes the namespace's number, and its name if ip netns has given it one. */
static void netns(struct json_writer *w, uint32_t inode)
{
	char name[NETNS_NAME_SIZE];

	json_number(w, "netns", inode);
	if (netns_named(inode))
		json_string(w, "netns_name", netns_say(name, inode));
}

static void holder(struct json_writer *w, const struct holder_row *h)
{
	json_open(w, NULL, '{');
	json_number(w, "pid", h->pid);
	json_number_if(w, "pid_inside", h->pid_inside, h->pid_inside);
	json_name(w, "process", h->process);
	json_number(w, "uid", h->uid);
	json_number(w, "fd", h->fd);
	json_number(w, "fds", h->fds);
	json_cgroup(w, h->cgroup);
	json_text_if(w, "state", h->state, &h->state, 1);
	json_name_if(w, "doing", h->doing);
	json_close(w, '}');
}

/* Writes the holders; null if nobody looked for them. */
static void holders(struct json_writer *w, const struct endpoint *e, const struct socket_row *s)
{
	size_t count, left_out = 0;
	const struct holder_row *rows = endpoint_holders(e, s->cookie, &count);

	if (!count && !s->waiting_known && !s->kernel) {
		json_nothing(w, "holders");
		return;
	}
	json_open(w, "holders", '[');
	for (size_t i = 0; i < count; i++)
		if (!rows[i].left_out)
			holder(w, &rows[i]);
	json_close(w, ']');
	for (size_t i = 0; i < count; i++)
		left_out += rows[i].left_out;
	json_number(w, "holders_omitted", left_out);
}

/* The longest stall, if it was not over before the window began. */
static void write_stall(struct json_writer *w, const struct stall *stall)
{
	if (!stall->ns || (stall->over && stall->over_ns <= 0)) {
		json_nothing(w, "stall");
		return;
	}
	json_open(w, "stall", '{');
	json_number_real(w, "seconds", stall->ns / 1e9);
	json_number_real(w, "began", (stall->last_ns - (double)stall->ns) / 1e9);
	json_bool(w, "over", stall->over);
	json_number(w, "length", stall->length);
	json_number(w, "count", stall->count);
	json_number(w, "drops", stall->drops);
	json_close(w, '}');
}

static void queue(struct json_writer *w, const struct socket_row *s, bool udp)
{
	json_open(w, "queue", '{');
	json_number_if(w, "length", s->queue_known, s->queue_length);
	json_number_if(w, "limit", s->queue_limit, s->queue_limit);
	json_number_if(w, "highest", s->highest_known, s->queue_highest);
	json_number_real(w, "full_seconds", s->full_known ? s->full_ns / 1e9 : NAN);
	json_number_real(w, "stalled_seconds", s->stalled_ns / 1e9);
	if (!udp)
		write_stall(w, &s->stall);
	json_close(w, '}');
}

static void write_socket_row(struct json_writer *w, const struct endpoint *e,
			     const struct socket_row *s)
{
	const bool udp = e->protocol == PROTOCOL_UDP;

	json_open(w, NULL, '{');
	json_number(w, "cookie", s->cookie);
	json_number(w, "inode", s->inode);
	json_number(w, "uid", s->uid);
	json_bool(w, "reuseport", s->reuseport);
	json_number_if(w, "group", s->group, s->group);
	json_name_if(w, "device", s->device);
	json_bool(w, "v6only", s->v6only);
	json_bool(w, "kernel", s->kernel);
	json_number(w, udp ? "delivered" : "arrived", s->arrived);
	json_number(w, udp ? "received" : "accepted", s->accepted);
	if (udp) {
		json_number(w, "dropped", s->dropped);
		json_number_if(w, "copies", s->copies_known, s->copies);
		json_bool(w, "member", s->member);
		json_number(w, "buffers_maybe_several", s->buffers_maybe_several);
	}
	queue(w, s, udp);
	if (!udp)
		json_half_open(w, s);
	wait_ns(w, s->wait_known && !udp, &s->wait, e->histograms);
	if (!udp) {
		json_number_if(w, "queued_before", s->wait_known, s->queued_before);
		json_number_if(w, "reset_queued", s->wait_known, s->reset_queued);
		json_number(w, "dropped_closing", s->dropped_closing);
		json_number(w, "migrated", s->migrated);
	}
	json_bool(w, "steered", s->steered);
	json_number_if(w, "incoming_cpu", s->incoming_cpu_set, s->incoming_cpu);
	json_number_if(w, "drops", s->queue_known, s->drops);
	json_number_if(w, "waiting", s->waiting_known, s->waiting);
	json_bool(w, "waiting_cut", s->waiting_cut);
	json_bool(w, "appeared", s->appeared);
	json_bool(w, "ended", s->ended);
	holders(w, e, s);
	json_close(w, '}');
}

static void worker_waits(struct json_writer *w, const struct worker_row *row)
{
	json_bool(w, "waits", row->waits);
	json_string(w, "waits_by", wait_kind_names[row->wait_kind]);
	json_bool_if(w, "exclusive", row->wait_kind, row->exclusive);
	json_number_if(w, "epoll", row->wait_kind == WAITS_EPOLL && row->epoll, row->epoll);
}

static void worker_row(struct json_writer *w, const struct endpoint *e,
		       const struct worker_row *row)
{
	const bool udp = e->protocol == PROTOCOL_UDP;

	json_open(w, NULL, '{');
	json_number_if(w, "number", row->number >= 0, row->number);
	json_number(w, "pid", row->pid);
	json_number(w, "tid", row->tid > 0 ? row->tid : 0);
	json_number_if(w, "pid_inside", row->pid_inside, row->pid_inside);
	json_number_if(w, "tid_inside", row->tid_inside, row->tid_inside);
	json_name(w, "comm", row->comm);
	json_name_if(w, "process", row->process);
	json_cgroup(w, row->cgroup);
	json_number(w, "cookie", row->cookie);
	worker_waits(w, row);
	json_number(w, udp ? "received" : "accepted", row->accepted);
	wait_ns(w, row->wait_known && !udp, &row->wait, e->histograms);
	if (!udp) {
		json_number_if(w, "queued_before", row->wait_known, row->queued_before);
		json_number_if(w, "reset_queued", row->wait_known, row->reset_queued);
	}
	json_number_if(w, "served", row->serves, row->served);
	handed(w, row);
	json_number_if(w, "open", row->open_known, row->open);
	json_bool(w, "open_at_least", row->open_at_least);
	json_number_if(w, "finished", row->open_known, row->finished);
	nanoseconds(w, "lifetime_mean_ns",
		    row->open_known && row->finished ? (double)row->finished_ns / row->finished
						     : NAN);
	json_worker_load(w, row, !udp);
	json_text_if(w, "state", row->state, &row->state, 1);
	json_bool(w, "appeared", row->appeared);
	json_bool(w, "ended", row->ended);
	if (row->generation)
		json_number(w, "generation", row->generation);
	json_close(w, '}');
}

static void cpus(struct json_writer *w, const struct endpoint *e)
{
	json_open(w, "cpus", '[');
	for (size_t i = 0; i < e->cpu_count; i++) {
		json_open(w, NULL, '{');
		json_number(w, "cpu", e->cpus[i].cpu);
		json_number(w, "arrived", e->cpus[i].arrived);
		json_close(w, '}');
	}
	json_close(w, ']');
}

static void omitted(struct json_writer *w, const struct endpoint *e)
{
	const bool udp = e->protocol == PROTOCOL_UDP;
	const struct omitted o = endpoint_omitted(e);

	json_open(w, "omitted", '{');
	json_number(w, "sockets", o.sockets);
	json_number(w, "workers", o.workers);
	json_number(w, udp ? "delivered" : "arrived", o.arrived);
	json_number(w, "dropped", o.dropped);
	json_number(w, "drops", o.drops);
	json_number(w, udp ? "received" : "accepted", o.accepted);
	if (udp) {
		json_number(w, "buffers_maybe_several", o.buffers_maybe_several);
	} else {
		json_number(w, "served", o.served);
		json_number(w, "open", o.open);
		json_number(w, "finished", o.finished);
		json_number(w, "bytes_received", o.bytes.received);
		json_number(w, "bytes_sent", o.bytes.sent);
		json_number(w, "queue_highest", o.queue_highest);
		json_number(w, "queued_before", o.queued_before);
		json_number(w, "reset_queued", o.reset_queued);
		json_number(w, "dropped_closing", o.dropped_closing);
		json_number(w, "migrated", o.migrated);
		wait_ns(w, true, &o.wait, NULL);
	}
	json_close(w, '}');
}

static void connected(struct json_writer *w, const struct endpoint *e)
{
	const struct connected_sum sum = endpoint_connected(e);

	if (!sum.sockets) {
		json_number_if(w, "connected", false, 0);
		return;
	}
	json_open(w, "connected", '{');
	json_number(w, "sockets", sum.sockets);
	json_number(w, "ended", sum.ended);
	json_number(w, "processes", sum.processes);
	json_number(w, "delivered", sum.delivered);
	json_number(w, "received", sum.received);
	json_number(w, "dropped", sum.dropped);
	json_number(w, "drops", sum.drops);
	json_close(w, '}');
}

static void finding(struct json_writer *w, const struct finding *f)
{
	json_open(w, NULL, '{');
	json_string(w, "code", f->code);
	json_string(w, "level", json_level(f->level));
	if (f->cause)
		json_string(w, "cause", f->cause);
	json_name(w, "text", f->text);
	json_number_if(w, "cookie", f->cookie, f->cookie);
	json_open(w, "evidence", '{');
	for (size_t i = 0; i < f->evidence_count; i++)
		json_number_real(w, f->evidence[i].name, f->evidence[i].number);
	json_close(w, '}');
	json_close(w, '}');
}

static void endpoint_lost(struct json_writer *w, const struct endpoint *e)
{
	const bool udp = e->protocol == PROTOCOL_UDP;

	json_open(w, "lost", '{');
	json_number(w, udp ? "delivered" : "arrived", e->lost.arrived);
	json_number(w, udp ? "received" : "accepted", e->lost.accepted);
	if (!udp) {
		json_number(w, "served", e->lost.served);
		json_number(w, "open", e->lost.open);
	}
	json_close(w, '}');
}

/* Writes the waits of all of the port's connections: the percentiles of a port can't be computed
 * from those of its sockets. */
static void endpoint_wait_ns(struct json_writer *w, const struct endpoint *e)
{
	struct wait_sum sum = {};

	wait_sum_add_endpoint(&sum, e);
	wait_ns(w, sum.known, &sum.wait, &sum.histogram);
}

/* Writes the peer of the largest flow, or of a flow about as large. */
static void flow_peer(struct json_writer *w, const struct flow_load *load)
{
	char address[FLOW_PEER_SIZE];

	if (!load->peer.bucket) {
		json_nothing(w, "flow_peer");
		return;
	}
	json_open(w, "flow_peer", '{');
	json_string(w, "address", flow_peer_address(address, &load->peer));
	json_number(w, "port", load->peer.port);
	json_number_real(w, "share", load->peer_share);
	json_close(w, '}');
}

static void flows(struct json_writer *w, const struct endpoint *e)
{
	const uint64_t number = e->flows_estimated ? e->load.flows : e->flows;

	json_number_if(w, "flows", number, number);
	json_bool(w, "flows_estimated", e->flows_estimated);
	json_number_real(w, "flows_effective", e->load.effective > 0 ? e->load.effective : NAN);
	json_number_real(w, "largest_flow", e->load.effective > 0 ? e->load.largest : NAN);
	flow_peer(w, &e->load);
	json_number_if(w, "flow_unseen", e->flows_estimated, e->flow_unseen);
}

static void design(struct json_writer *w, const struct design *d)
{
	json_open(w, "design", '{');
	json_string(w, "code", design_name(d->code));
	json_string(w, "bins", design_bins_name(d->bins));
	json_string(w, "words", d->words);
	json_open(w, "evidence", '{');
	json_number(w, "processes", d->processes);
	json_number(w, "threads", d->threads);
	json_number(w, "sockets", d->sockets);
	json_number(w, "epolls", d->epolls);
	json_number(w, "serving", d->serving);
	json_number(w, "waited_at_once", d->waited_at_once);
	json_close(w, '}');
	json_close(w, '}');
}

static void generation(struct json_writer *w, const char *name, const struct endpoint *e,
		       const struct generation_sum *sum)
{
	json_open(w, name, '{');
	json_number(w, "processes", sum->processes);
	json_number(w, "threads", sum->threads);
	json_number(w, e->protocol == PROTOCOL_UDP ? "received" : "accepted", sum->taken);
	json_close(w, '}');
}

static void generations(struct json_writer *w, const struct endpoint *e)
{
	if (!e->generations.judged)
		return;
	json_open(w, "generations", '{');
	json_number(w, "judged", e->generations.judged);
	generation(w, "earlier", e, &e->generations.earlier);
	generation(w, "later", e, &e->generations.later);
	json_close(w, '}');
}

static void write_place(struct json_writer *w, const struct endpoint *e)
{
	json_string(w, "protocol", e->protocol == PROTOCOL_UDP ? "udp" : "tcp");
	json_address(w, "address", e->family, e->address);
	json_number(w, "port", e->port);
}

static void endpoint(struct json_writer *w, const struct endpoint *e)
{
	json_open(w, NULL, '{');
	write_place(w, e);
	flows(w, e);
	netns(w, e->netns);
	design(w, &e->design);
	generations(w, e);
	json_open(w, "sockets", '[');
	for (size_t i = 0; i < e->socket_count; i++)
		if (!e->sockets[i].left_out)
			write_socket_row(w, e, &e->sockets[i]);
	json_close(w, ']');
	json_open(w, "workers", '[');
	for (size_t i = 0; i < e->worker_count; i++)
		if (!e->workers[i].left_out)
			worker_row(w, e, &e->workers[i]);
	json_close(w, ']');
	cpus(w, e);
	if (e->protocol == PROTOCOL_TCP)
		endpoint_wait_ns(w, e);
	else
		json_nothing(w, "wait_ns");
	json_load(w, e);
	omitted(w, e);
	connected(w, e);
	endpoint_lost(w, e);
	json_open(w, "fairness", '{');
	fairness(w, "sockets", &e->socket_fairness);
	fairness(w, "workers", &e->worker_fairness);
	fairness(w, "processes", &e->process_fairness);
	if (e->served_known)
		fairness(w, "served", &e->served_fairness);
	if (e->open_known)
		fairness(w, "open", &e->open_fairness);
	if (e->other_fairness.bins)
		fairness(w, "other_generation", &e->other_fairness);
	json_close(w, '}');
	json_open(w, "findings", '[');
	for (size_t i = 0; i < e->finding_count; i++)
		finding(w, &e->findings[i]);
	json_close(w, ']');
	json_close(w, '}');
}

#define ASIDE_ROWS 4000 /* sockets and holders listed at most */

static void aside_row(struct json_writer *w, const struct endpoint *e, const struct socket_row *s)
{
	json_open(w, NULL, '{');
	write_place(w, e);
	netns(w, e->netns);
	json_string(w, "why", s->aside == ASIDE_BOUND ? "bound" : "kernel");
	json_number(w, "cookie", s->cookie);
	json_number(w, "inode", s->inode);
	json_number(w, "uid", s->uid);
	json_bool(w, "reuseport", s->reuseport);
	json_name_if(w, "device", s->device);
	json_bool(w, "v6only", s->v6only);
	holders(w, e, s);
	json_open(w, "interfaces", '[');
	for (size_t i = 0; i < e->tunnel_count; i++) {
		json_open(w, NULL, '{');
		json_name(w, "kind", e->tunnels[i].kind);
		json_name(w, "name", e->tunnels[i].name);
		json_close(w, '}');
	}
	json_close(w, ']');
	json_close(w, '}');
}

/* Writes the sockets that have a port but share nothing. */
static void aside(struct json_writer *w, const struct snapshot *s)
{
	size_t rows = 0, left_out = 0;

	json_open(w, "aside", '[');
	for (size_t i = s->endpoint_count; i < s->endpoint_count + s->aside_count; i++) {
		const struct endpoint *e = &s->endpoints[i];

		for (size_t k = 0; k < e->socket_count && aside_is_listed(endpoint_aside(e)); k++) {
			size_t held;

			endpoint_holders(e, e->sockets[k].cookie, &held);
			if (rows + 1 + held + e->tunnel_count > ASIDE_ROWS) {
				left_out++;
				continue;
			}
			rows += 1 + held + e->tunnel_count;
			aside_row(w, e, &e->sockets[k]);
		}
	}
	json_close(w, ']');
	json_number(w, "aside_omitted", left_out);
}

static void workload(struct json_writer *w, const struct workload_account *a)
{
	const uint64_t done = a->serve_only ? a->accepted : a->sent;

	json_open(w, "workload", '{');
	json_string(w, "mode", a->mode);
	if (*a->skipped) {
		json_name(w, "skipped", a->skipped);
		json_close(w, '}');
		return;
	}
	json_number(w, "workers", a->workers);
	json_bool(w, "processes", a->processes);
	json_number_if(w, "concurrency", !a->serve_only, a->concurrency);
	json_number_if(w, "requests", !a->serve_only, a->requests);
	json_number_if(w, "flows", !a->serve_only && a->flows, a->flows);
	json_number_real(w, "target_rate_per_second", a->target_rate > 0 ? a->target_rate : NAN);
	json_number(w, "work_us", a->work_us);
	json_number_if(w, "slow_worker", a->slow_worker >= 0, a->slow_worker);
	json_number_if(w, "sent", !a->serve_only, a->sent);
	json_number_if(w, "failed", !a->serve_only, a->failed);
	json_number(w, "accepted", a->accepted);
	json_number(w, "served", a->served);
	json_bool(w, "agrees", a->agrees);
	json_name_if(w, "disagreement", a->disagreement);
	json_number_real(w, "seconds", a->seconds);
	json_number_real(w, "rate_per_second", a->seconds > 0 ? done / a->seconds : NAN);
	json_close(w, '}');
}

static void write_kernel(struct json_writer *w, const struct snapshot *s)
{
	json_open(w, "kernel", '{');
	json_name(w, "release", s->release);
	json_string(w, "backend", s->backend);
	json_open(w, "unseen", '[');
	for (size_t i = 0; i < s->unseen_count; i++)
		json_string(w, NULL, s->unseen[i]);
	json_close(w, ']');
	json_close(w, '}');
}

static void window(struct json_writer *w, const struct snapshot *s)
{
	json_open(w, "window", '{');
	json_moment(w, "start", s->start_ms);
	json_number_real(w, "seconds", s->seconds);
	json_number_real(w, "looked_seconds", s->looked_seconds > 0 ? s->looked_seconds : NAN);
	json_bool(w, "final", s->final);
	if (s->own_cost.known) {
		json_open(w, "own_cost", '{');
		json_number(w, "program_runs", s->own_cost.runs);
		json_number(w, "programs_ns", s->own_cost.ns);
		json_number(w, "process_cpu_ns", s->own_cost.process_ns);
		json_close(w, '}');
	}
	json_number(w, "quiet", s->quiet);
	json_number(w, "unlisted", s->unlisted);
	json_number(w, "clients", s->clients);
	json_number_if(w, "somaxconn", s->somaxconn, s->somaxconn);
	json_close(w, '}');
}

static void passing(struct json_writer *w, const struct passing *p)
{
	json_open(w, "passing", '{');
	json_number(w, "ports", p->ports);
	json_bool(w, "ports_at_least", p->ports_at_least);
	json_number(w, "sockets", p->sockets);
	json_number(w, "delivered", p->arrived);
	json_number(w, "received", p->accepted);
	json_close(w, '}');
}

static void lost(struct json_writer *w, const struct snapshot *s)
{
	json_open(w, "lost", '{');
	json_number(w, "total", snapshot_lost(s));
	json_number(w, "counts", snapshot_lost_counts(s));
	json_open(w, "by_reason", '{');
	for (size_t i = 0; i < s->lost_count; i++)
		json_number(w, s->lost[i].reason, s->lost[i].count);
	json_close(w, '}');
	json_close(w, '}');
}

static void omitted_endpoints(struct json_writer *w, const struct snapshot *s)
{
	const struct omitted_endpoints o = snapshot_omitted(s);

	json_open(w, "omitted", '{');
	json_number(w, "endpoints", o.endpoints);
	json_number(w, "sockets", o.sockets);
	json_number(w, "workers", o.workers);
	json_number(w, "arrived", o.arrived);
	json_number(w, "accepted", o.accepted);
	json_number(w, "delivered", o.delivered);
	json_number(w, "received", o.received);
	json_number(w, "dropped", o.dropped);
	json_close(w, '}');
}

int json_snapshot(FILE *out, const struct snapshot *s)
{
	struct json_writer w = json_begin(out, "sockfair/1");

	write_kernel(&w, s);
	window(&w, s);
	if (s->has_workload)
		workload(&w, &s->workload);
	json_open(&w, "endpoints", '[');
	for (size_t i = 0; i < s->endpoint_count; i++)
		if (!s->endpoints[i].left_out)
			endpoint(&w, &s->endpoints[i]);
	json_close(&w, ']');
	aside(&w, s);
	passing(&w, &s->passing);
	json_namespaces(&w, s);
	omitted_endpoints(&w, s);
	lost(&w, s);
	return json_end(&w);
}

/* ---- a document no larger than its limit ---- */

#define ROWS_TRIED 20000 /* a row takes at least 400 bytes */
#define ROWS_SMALL 100   /* this many fit, however long their names and findings are */

static ssize_t count_bytes(void *cookie, const char *bytes, size_t size)
{
	(void)bytes;
	*(size_t *)cookie += size;
	return (ssize_t)size;
}

/* The size of the snapshot's document in bytes; SIZE_MAX if there is no memory. */
static size_t document_bytes(const struct snapshot *s)
{
	size_t bytes = 0;
	FILE *f = fopencookie(&bytes, "w", (cookie_io_functions_t){ .write = count_bytes });

	if (!f)
		return SIZE_MAX;
	json_snapshot(f, s);
	fclose(f);
	return bytes;
}

int json_snapshot_limited(FILE *out, struct snapshot *s, size_t rows)
{
	size_t most = rows ? rows : ROWS_TRIED, bytes;
	int err = snapshot_limit(s, most);

	while (!err && !rows && snapshot_listed(s) > ROWS_SMALL &&
	       (bytes = document_bytes(s)) > JSON_DOCUMENT_BYTES) {
		if (bytes == SIZE_MAX)
			return -ENOMEM;
		/* Takes a little less than the proportional number of rows: the rows at the front
		 * are busier, and with the document's head they take more than average. */
		most = snapshot_listed(s) * (0.97 * JSON_DOCUMENT_BYTES / bytes);
		err = snapshot_limit(s, most);
	}
	return err ? err : json_snapshot(out, s);
}
