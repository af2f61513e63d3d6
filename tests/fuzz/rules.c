/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whatever a snapshot shows, within what its fields may be: it is judged, its findings are whole
 * sentences, it is printed in every way, and what is printed as JSON is read again.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../user/model/findings.h"
#include "../../user/model/judge.h"
#include "../../user/render/json.h"
#include "../../user/render/json_reader.h"
#include "../../user/render/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define NS_PER_S 1000000000ull
#define PORTS_MAX 3
#define SOCKETS_MAX 7
#define WORKERS_MAX 12
#define HOLDERS_MAX 8

static void expect(bool it, const char *what)
{
	if (it)
		return;
	fprintf(stderr, "not so: %s\n", what);
	abort();
}

/* ---- numbers out of bytes: 0 when they are used up ---- */

struct source {
	const uint8_t *at, *end;
	unsigned bits, left; /* of the byte that flags come from */
};

static uint8_t byte(struct source *s)
{
	return s->at < s->end ? *s->at++ : 0;
}

static bool flag(struct source *s)
{
	if (!s->left) {
		s->bits = byte(s);
		s->left = 8;
	}
	s->left--;
	return s->bits >> s->left & 1;
}

static unsigned below(struct source *s, unsigned end)
{
	return byte(s) % end;
}

/* Small ones mostly, powers of ten now and then, up to 2^40. */
static uint64_t number(struct source *s)
{
	const uint8_t b = byte(s);
	uint64_t n = b & 31;

	switch (b >> 5) {
	case 0:
	case 1:
	case 2: return n;
	case 3: return n * 10;
	case 4: return n * 1000;
	case 5: return n << 8 | byte(s);
	case 6: return n * NS_PER_S / 10;
	default: return (uint64_t)1 << (n + byte(s) % 9);
	}
}

static void name(struct source *s, char *to, size_t size)
{
	static const char *const names[] = { "",      "nginx",    "worker",   "\x1b[31m",
					     "a b\n", "\xc3\xbc", "\xff\xfe", "0123456789abcdef" };
	const unsigned which = below(s, 12);

	memset(to, 0, size);
	if (which < sizeof(names) / sizeof(*names))
		snprintf(to, size, "%s", names[which]);
	else
		for (size_t i = 0; i + 1 < size && i < which; i++)
			to[i] = (char)byte(s);
	to[size - 1] = '\0';
}

static void cgroup(struct source *s, char to[CGROUP_SIZE])
{
	static const char *const paths[] = {
		"",
		"/",
		"/system.slice/nginx.service",
		"/user.slice/user-1000.slice/session-1.scope",
		"/system.slice/"
		"docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope",
		"/kubepods.slice/kubepods-pod12345678_1234_1234_1234_123456789012.slice/"
		"cri-containerd-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef."
		"scope"
	};
	const unsigned which = below(s, 8);

	if (which < sizeof(paths) / sizeof(*paths))
		snprintf(to, CGROUP_SIZE, "%s", paths[which]);
	else
		name(s, to, CGROUP_SIZE);
}

/* ---- rows ---- */

static struct wait some_wait(struct source *s, struct endpoint *e, uint64_t at_most)
{
	struct wait w = { .count = at_most ? number(s) % (at_most + 1) : 0 };
	const uint64_t us = number(s) % 1000000000;

	if (!w.count)
		return (struct wait){};
	w.sum_ns = w.count * (us % 1000000) * 1000;
	w.max_ns = flag(s) ? us * 1000 : 0;
	if (!flag(s))
		return w;
	w.histogram = ++e->histogram_count;
	e->histograms[w.histogram - 1].slots[us % WAIT_SLOTS] = w.count;
	return w;
}

static void hindrance(struct source *s, struct hindrance *h)
{
	static const char *const places[] = {
		"", "do_epoll_wait", "futex_wait_queue", "io_schedule", "pipe_read", "x"
	};

	*h = (struct hindrance){ .looks = below(s, 9) };
	if (!h->looks)
		return;
	h->descriptor_looks = below(s, h->looks + 1);
	h->descriptors_full = below(s, h->descriptor_looks + 1);
	h->descriptors = number(s);
	h->files_full = below(s, h->descriptor_looks + 1);
	h->files = h->files_full ? number(s) : 0;
	h->cpu_known = h->looks > 1 && flag(s);
	h->cpu = h->cpu_known ? byte(s) / 64.0 : 0;
	h->periods = number(s);
	h->throttled = h->periods ? number(s) % (h->periods + 1) : 0;
	h->frozen = flag(s);
	h->tracer = flag(s) ? 1 + byte(s) : 0;
	h->leader_gone = flag(s);
	h->takers = flag(s);
	h->others = below(s, 5);
	h->threads = below(s, 20);
	h->running = below(s, h->threads + 1);
	h->stopped = below(s, h->threads - h->running + 1);
	h->traced = below(s, h->threads - h->running - h->stopped + 1);
	h->uninterruptible = below(s, h->threads - h->running - h->stopped - h->traced + 1);
	h->at_place = below(s, h->threads - h->running - h->stopped - h->traced + 1);
	snprintf(h->place, sizeof(h->place), "%s",
		 places[below(s, sizeof(places) / sizeof(*places))]);
}

static void socket_queue(struct source *s, struct socket_row *r, bool tcp)
{
	r->queue_known = flag(s);
	r->queue_length = r->queue_known ? number(s) : 0;
	r->queue_limit = r->queue_known ? number(s) : 0;
	r->highest_known = tcp && flag(s);
	r->queue_highest = r->highest_known ? number(s) : 0;
	r->full_known = tcp && flag(s);
	r->full_ns = r->full_known ? number(s) : 0;
	r->stalled_ns = tcp && flag(s) ? number(s) * 1000 : 0;
	r->stalled_length = r->stalled_ns ? number(s) : 0;
	r->drops = number(s);
	r->dropped_closing = tcp && flag(s) ? number(s) : 0;
	r->migrated = tcp && flag(s) ? number(s) : 0;
	if (!tcp || !flag(s))
		return;
	r->half_open = (struct half_open){ .known = true,
					   .count = number(s),
					   .limit = number(s),
					   .full_looks = number(s),
					   .defers = flag(s) };
	r->half_open.old = r->half_open.count ? number(s) % (r->half_open.count + 1) : 0;
	r->half_open.highest = r->half_open.count + number(s);
	r->half_open.defer_accept = r->half_open.defers ? byte(s) : 0;
	r->half_open.syn_retries = flag(s) ? byte(s) : 0;
	r->half_open.withheld_most =
		r->half_open.defers && r->drops ? number(s) % (r->drops + 1) : 0;
	r->half_open.withheld_least =
		r->half_open.withheld_most ? number(s) % (r->half_open.withheld_most + 1) : 0;
}

static void socket_row(struct source *s, struct endpoint *e, size_t i)
{
	const bool tcp = e->protocol == PROTOCOL_TCP;
	struct socket_row *r = &e->sockets[i];

	*r = (struct socket_row){
		.cookie = i + 1, .inode = 1000 + i, .uid = below(s, 3) * 1000, .reuseport = flag(s)
	};
	r->group = r->reuseport && flag(s) ? 1 + below(s, i + 1) : 0;
	r->arrived = number(s);
	r->dropped = tcp ? 0 : number(s);
	socket_queue(s, r, tcp);
	r->appeared = flag(s);
	r->appeared_ns = r->appeared ? number(s) : 0;
	r->ended = flag(s);
	r->v6only = e->family == AF_INET6 && flag(s);
	if (flag(s))
		name(s, r->device, sizeof(r->device));
	r->waiting_known = flag(s);
	r->waiting = r->waiting_known ? below(s, 20) : 0;
	r->waiting_most = r->waiting_known ? r->waiting + below(s, 20) : 0;
	r->looks = r->waiting_known ? number(s) : 0;
	r->idle_sum = r->looks * below(s, 20);
	r->waiting_cut = r->waiting_known && flag(s);
	r->steered = r->reuseport && flag(s);
	if (r->steered && flag(s))
		r->picker = (struct picker){ .kind = 1 + below(s, 2),
					     .told = flag(s),
					     .by_cpu = flag(s),
					     .sockets = below(s, 9),
					     .rest = flag(s) };
	r->incoming_cpu_set = flag(s);
	r->incoming_cpu = r->incoming_cpu_set ? byte(s) : 0;
	if (tcp)
		return;
	r->member = flag(s);
	r->copies_known = flag(s);
	r->copies = r->copies_known && r->arrived ? number(s) % (r->arrived + 1) : 0;
	r->buffers_maybe_several = flag(s) && r->arrived ? number(s) % (r->arrived + 1) : 0;
	if (flag(s)) {
		r->sketch = ++e->sketch_count;
		for (uint64_t left = r->arrived, n; left; left -= n) {
			n = s->at < s->end ? 1 + number(s) % left : left;
			e->sketches[r->sketch - 1].buckets[byte(s) % FLOW_BUCKETS] += n;
		}
	}
}

static void worker_load(struct source *s, struct worker_row *w, bool tcp)
{
	w->usage_known = flag(s);
	w->cpu_ns = w->usage_known ? number(s) * 1000 : 0;
	w->sleeps = w->usage_known ? number(s) : 0;
	w->process_cpu_known = flag(s);
	w->process_cpu_ns = w->process_cpu_known ? w->cpu_ns + number(s) * 1000 : 0;
	w->bytes_known = tcp && flag(s);
	if (w->bytes_known)
		w->bytes = (struct bytes){ number(s), number(s) };
	w->bytes_at_least = w->bytes_known && flag(s);
	w->serves = tcp && flag(s);
	w->served = w->serves ? number(s) : 0;
	if (w->served && flag(s))
		w->handed = (struct wait){ .count = 1, .sum_ns = number(s), .max_ns = number(s) };
	w->open_known = tcp && flag(s);
	w->open = w->open_known ? number(s) : 0;
	w->open_at_least = w->open_known && flag(s);
	w->finished = w->open_known ? number(s) : 0;
	w->finished_ns = w->finished * 1000;
}

static void worker_row(struct source *s, struct endpoint *e, size_t i, struct worker_row *before)
{
	struct worker_row *w = &e->workers[i];
	struct socket_row *socket = &e->sockets[below(s, e->socket_count)];
	const bool tcp = e->protocol == PROTOCOL_TCP;
	/* In the order of processes, then threads; of the same thread there may be a row for
	 * another socket. */
	const bool same = before && flag(s);

	*w = (struct worker_row){ .number = -1, .cookie = socket->cookie };
	w->pid = same ? before->pid : before ? before->pid + 1 + below(s, 3) : 100;
	w->tid = same ? before->tid + below(s, 2) : w->pid;
	if (same && w->tid == before->tid && w->cookie <= before->cookie)
		w->tid++;
	w->parent = same ? before->parent : flag(s) ? 1 + below(s, 120) : 0;
	name(s, w->comm, sizeof(w->comm));
	if (same) {
		memcpy(w->process, before->process, sizeof(w->process));
		memcpy(w->cgroup, before->cgroup, sizeof(w->cgroup));
	} else {
		name(s, w->process, sizeof(w->process));
		cgroup(s, w->cgroup);
	}
	w->pid_inside = flag(s) ? w->pid : 0;
	w->tid_inside = w->pid_inside ? w->tid : 0;
	w->waits = flag(s);
	w->wait_kind = w->waits || flag(s) ? 1 + below(s, WAITS_URING) : WAITS_NOT;
	w->exclusive = flag(s);
	w->epoll = w->wait_kind == WAITS_EPOLL ? 1 + below(s, 4) : 0;
	w->accepted = number(s);
	w->can_accept = w->accepted || w->waits || flag(s);
	socket->accepted += w->accepted;
	w->wait_known = tcp && flag(s);
	if (w->wait_known) {
		w->wait = some_wait(s, e, w->accepted);
		w->queued_before = w->accepted - w->wait.count;
		w->reset_queued = w->accepted ? number(s) % (w->accepted + 1) : 0;
	}
	worker_load(s, w, tcp);
	w->appeared = flag(s);
	w->ended = flag(s);
	w->start_ns = flag(s) ? number(s) * 1000 : 0;
	w->lived_ns = flag(s) ? number(s) : 0;
	w->quiet_ns = flag(s) ? number(s) : 0;
}

static int compare_holders(const void *a, const void *b)
{
	const struct holder_row *x = a, *y = b;

	return x->cookie != y->cookie ? (x->cookie > y->cookie ? 1 : -1)
				      : (x->pid > y->pid) - (x->pid < y->pid);
}

static void holder_row(struct source *s, struct endpoint *e, size_t i)
{
	struct holder_row *h = &e->holders[i];

	*h = (struct holder_row){ .cookie = e->sockets[below(s, e->socket_count)].cookie,
				  .pid = 100 + (int)i,
				  .pid_inside = 100 + (int)i,
				  .fd = byte(s),
				  .fds = 1 + below(s, 4),
				  .state = "RSDTtZ"[below(s, 6)],
				  .watching = below(s, WATCHING_OTHERWISE + 1) };
	h->parent = flag(s) ? 99 + below(s, 9) : 0;
	h->start_ns = flag(s) ? number(s) : 0;
	h->appeared = flag(s);
	h->polls = flag(s);
	h->uid = below(s, 3) * 1000;
	name(s, h->process, sizeof(h->process));
	cgroup(s, h->cgroup);
	name(s, h->doing, sizeof(h->doing));
	if (flag(s))
		hindrance(s, &h->hindrance);
}

static void *rows(size_t count, size_t size)
{
	void *list = calloc(count + 1, size);

	expect(list, "memory");
	return list;
}

static void endpoint_rest(struct source *s, struct endpoint *e)
{
	const bool tcp = e->protocol == PROTOCOL_TCP;

	e->cpu_count = below(s, 5);
	e->cpus = rows(e->cpu_count, sizeof(*e->cpus));
	for (size_t i = 0; i < e->cpu_count; i++)
		e->cpus[i] = (struct cpu_row){ .cpu = i, .arrived = 1 + number(s) };
	e->flows = !tcp && flag(s) ? number(s) : 0;
	e->flows_estimated = !tcp && e->sketch_count;
	e->older_cut = tcp && flag(s);
	if (flag(s))
		e->lost = (struct endpoint_lost){ number(s), number(s), number(s), number(s) };
	if (flag(s))
		e->omitted = (struct omitted){ .sockets = number(s),
					       .workers = number(s),
					       .arrived = number(s),
					       .accepted = number(s),
					       .served = number(s) };
	e->connection_count = tcp && flag(s) ? below(s, CONNECTIONS_SHOWN + 1) : 0;
	e->connections_open = e->connection_count + number(s);
	for (size_t i = 0; i < e->connection_count; i++)
		e->connections[i] = (struct connection_row){ .id = i + 1,
							     .pid = 100,
							     .tid = 100,
							     .age_ns = number(s),
							     .bytes = { number(s), number(s) },
							     .family = e->family,
							     .peer = { 10, 0, 0, byte(s) },
							     .peer_port = 1 + byte(s) };
}

static void endpoint(struct source *s, struct endpoint *e, size_t i)
{
	static const uint8_t addresses[][16] = {
		{}, { 127, 0, 0, 1 }, { [15] = 1 }, { [10] = 0xff, 0xff, 127, 0, 0, 1 }
	};
	const unsigned which = below(s, 8);

	*e = (struct endpoint){ .protocol = which & 1 ? PROTOCOL_UDP : PROTOCOL_TCP,
				.family = which & 4 ? AF_INET6 : AF_INET,
				.port = 8000 + i,
				.netns = 1 + below(s, 2) };
	memcpy(e->address,
	       addresses[which & 4   ? 2 * (which & 2 ? 1 : 0)
			 : which & 2 ? 1
				     : 0],
	       sizeof(e->address));
	e->socket_count = 1 + below(s, SOCKETS_MAX);
	e->worker_count = below(s, WORKERS_MAX + 1);
	e->holder_count = below(s, HOLDERS_MAX + 1);
	e->sockets = rows(e->socket_count, sizeof(*e->sockets));
	e->workers = rows(e->worker_count, sizeof(*e->workers));
	e->holders = rows(e->holder_count, sizeof(*e->holders));
	e->histograms = rows(e->socket_count + e->worker_count, sizeof(*e->histograms));
	e->sketches = rows(e->socket_count, sizeof(*e->sketches));
	for (size_t k = 0; k < e->socket_count; k++)
		socket_row(s, e, k);
	for (size_t k = 0; k < e->worker_count; k++)
		worker_row(s, e, k, k ? &e->workers[k - 1] : NULL);
	for (size_t k = 0; k < e->holder_count; k++)
		holder_row(s, e, k);
	qsort(e->holders, e->holder_count, sizeof(*e->holders), compare_holders);
	for (size_t k = 0; k < e->socket_count; k++) {
		struct socket_row *r = &e->sockets[k];

		r->wait_known = e->protocol == PROTOCOL_TCP && flag(s);
		if (r->wait_known)
			r->wait = some_wait(s, e, r->accepted);
	}
	endpoint_rest(s, e);
}

static void snapshot(struct source *s, struct snapshot *out)
{
	static const char *const backends[] = { "fentry", "kprobe", "tracepoint" };

	*out = (struct snapshot){ .release = "6.1.0",
				  .backend = backends[below(s, 3)],
				  .start_ms = 1767225600000,
				  .seconds = 0.01 + (double)(number(s) % 100000) / 10,
				  .final = true };
	out->looked_seconds = flag(s) ? out->seconds : 0;
	out->endpoint_count = 1 + below(s, PORTS_MAX);
	out->endpoints = rows(out->endpoint_count, sizeof(*out->endpoints));
	for (size_t i = 0; i < out->endpoint_count; i++)
		endpoint(s, &out->endpoints[i], i);
	out->quiet = flag(s) ? number(s) : 0;
	out->unlisted = flag(s) ? number(s) : 0;
	out->somaxconn = flag(s) ? number(s) : 0;
	out->somaxconn_netns = out->somaxconn ? 1 : 0;
	if (flag(s))
		out->unseen[out->unseen_count++] = "arrivals of TCP";
	out->handshake_count = below(s, 3);
	out->handshakes = rows(out->handshake_count, sizeof(*out->handshakes));
	for (size_t i = 0; i < out->handshake_count; i++) {
		struct handshakes *h = &out->handshakes[i];

		*h = (struct handshakes){ .netns = 1 + i,
					  .since_made = flag(s),
					  .deferring = below(s, 3),
					  .deferring_drops = number(s),
					  .deferring_gone = number(s) };
		h->first = (struct handshake_counts){ number(s), number(s), number(s), number(s) };
		h->now = (struct handshake_counts){ h->first.full_refused + number(s),
						    h->first.full_cookies + number(s),
						    h->first.overflows + number(s),
						    h->first.refused + number(s) };
		h->settings = (struct handshake_settings){ .known = flag(s),
							   .migrate = flag(s),
							   .cookies = below(s, 3),
							   .max_syn_backlog = number(s),
							   .synack_retries = byte(s) };
	}
}

/* ---- what is to hold ---- */

static void judged(struct snapshot *s)
{
	for (size_t i = 0; i < s->endpoint_count; i++)
		expect(!endpoint_judge(&s->endpoints[i], FAIRNESS_THRESHOLD), "memory");
	expect(!findings_fill(s), "memory");
	for (size_t i = 0; i < s->endpoint_count; i++)
		for (size_t k = 0; k < s->endpoints[i].finding_count; k++) {
			const struct finding *f = &s->endpoints[i].findings[k];

			expect(f->code && *f->text && strlen(f->text) < sizeof(f->text) - 1,
			       "a whole sentence");
			expect(!strstr(f->text, "nan") && !strstr(f->text, "inf "), "numbers");
			expect(f->evidence_count <= EVIDENCE_MAX, "evidence");
		}
}

/* One of the ways, so that there is time for many inputs. */
static void printed(struct source *way, const struct snapshot *s, const struct snapshot *total)
{
	static const struct text_style styles[] = { {},
						    { .colour = true, .utf8 = true, .width = 80 },
						    { .width = 20 } };
	const struct text_style *style = &styles[below(way, sizeof(styles) / sizeof(*styles))];
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (total || flag(way))
		text_window(out, s, total, below(way, TEXT_BY_SOCKET + 1), style);
	else
		text_list(out, s, style);
	fclose(out);
	expect(style->colour || !memchr(text, '\x1b', size), "clean for a terminal");
	free(text);
}

static void read_again(struct snapshot *s, size_t left)
{
	struct comparison c = {};
	char path[32], why[JSON_READER_WHY] = "";
	int fd = memfd_create("document", MFD_CLOEXEC);
	FILE *out = fdopen(dup(fd), "w");

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	expect(!json_snapshot_limited(out, s, left), "written");
	fclose(out);
	if (json_read_results(&c, path, "it", 0, why) && !strstr(why, "leaves out")) {
		fprintf(stderr, "%s\n", why);
		abort();
	}
	comparison_free(&c);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct source way = { .at = bytes, .end = bytes + (size < 8 ? size : 8) },
		      source = { .at = way.end, .end = bytes + size };
	struct snapshot now, before, interval;

	snapshot(&source, &now);
	expect(!snapshot_copy(&before, &now), "memory");
	for (size_t i = 0; i < before.endpoint_count; i++) {
		struct endpoint *e = &before.endpoints[i];

		for (size_t k = 0; k < e->socket_count; k++)
			e->sockets[k].arrived =
				e->sockets[k].arrived
					? number(&source) % (e->sockets[k].arrived + 1)
					: 0;
		for (size_t k = 0; k < e->worker_count; k++)
			e->workers[k].accepted =
				e->workers[k].accepted
					? number(&source) % (e->workers[k].accepted + 1)
					: 0;
	}
	judged(&now);
	expect(!snapshot_difference(&interval, &now, &before), "memory");
	interval.seconds = now.seconds / 2;
	interval.final = false;
	judged(&interval);
	printed(&way, &now, NULL);
	printed(&way, &interval, &now);
	read_again(&now, flag(&way) ? 1 + below(&way, 30) : 0);
	snapshot_free(&interval);
	snapshot_free(&before);
	snapshot_free(&now);
	return 0;
}
