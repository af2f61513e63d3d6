/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "port_range.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "iterator.h"
#include "local_ports.h"
#include "namespace.h"
#include "ports.skel.h"
#include "ports_record.h"

struct port_range {
	struct ports_bpf *bpf; /* NULL: this kernel refuses it */
	struct bpf_link *held, *tcp, *udp;
};

struct scan {
	struct bind_range_count *counts; /* of each query */
	struct bind_range_settings *settings;
	bool *failed;
	const struct port_range_query *queries;
	size_t count;
	struct port_range *range;
};

/* ---- the programs ---- */

static void ports_unload(struct port_range *r)
{
	bpf_link__destroy(r->held);
	bpf_link__destroy(r->tcp);
	bpf_link__destroy(r->udp);
	ports_bpf__destroy(r->bpf);
	*r = (struct port_range){};
}

static int ports_load(struct port_range *r)
{
	int err;

	r->bpf = ports_bpf__open_and_load();
	if (!r->bpf)
		return -errno;
	err = iterator_attach(r->bpf->progs.ports_held, &r->held);
	if (!err)
		err = iterator_attach(r->bpf->progs.ports_tcp, &r->tcp);
	if (!err)
		err = iterator_attach(r->bpf->progs.ports_udp, &r->udp);
	if (err)
		ports_unload(r);
	return err;
}

void port_range_close(struct port_range *r)
{
	if (!r)
		return;
	ports_unload(r);
	free(r);
}

/* ---- counting ---- */

static enum bind_state state_of(const struct ports_record *r)
{
	if (r->protocol == IPPROTO_UDP)
		return r->state == TCP_ESTABLISHED ? BIND_CONNECTED : BIND_UNCONNECTED;
	switch (r->state) {
	case TCP_TIME_WAIT: return BIND_TIME_WAIT;
	case TCP_LISTEN: return BIND_LISTENING;
	case TCP_CLOSE: return BIND_BOUND;
	}
	return r->has_file ? BIND_CONNECTED : BIND_CLOSING;
}

static int record_count(void *to, const void *record)
{
	const struct scan *s = to;
	const struct ports_record *r = record;
	struct bind_occupant o = {
		.place = { .protocol = r->protocol == IPPROTO_UDP ? PROTOCOL_UDP : PROTOCOL_TCP,
			   .family = r->family,
			   .port = r->port,
			   .netns = r->netns,
			   .device = r->device,
			   .vrf = r->l3mdev,
			   .uid = r->uid,
			   .reuseaddr = r->reuseaddr,
			   .reuseport = r->reuseport,
			   .v6only = r->v6only },
		.state = state_of(r),
		.options_known = true,
		.count = 1,
		.cookie = r->cookie,
		.inode = r->inode,
		.pid = r->pid,
		.bucket = { .known = r->bucket,
			    .reuse = r->bucket_reuse,
			    .reuseport = r->bucket_reuseport },
	};
	struct bind_peer peer = { .port = r->peer_port, .address = { [10] = 0xff, [11] = 0xff } };

	memcpy(o.place.address, r->address, sizeof(o.place.address));
	memcpy(o.process, r->process, sizeof(o.process));
	memcpy(peer.address + (r->family == AF_INET ? 12 : 0), r->peer,
	       r->family == AF_INET ? 4 : 16);
	for (size_t i = 0; i < s->count; i++)
		if (s->queries[i].event.place.netns == r->netns && !s->failed[i])
			bind_range_add(&s->counts[i], &o, &peer);
	return 0;
}

static int records_count(const struct bpf_link *link, struct scan *s)
{
	return iterator_run(link, &(struct iterator){ .size = sizeof(struct ports_record),
						      .take = record_count,
						      .to = s });
}

static void ports_widen(struct port_range *r, const struct bind_range_use *use)
{
	__u16 *low = &r->bpf->bss->port_low, *high = &r->bpf->bss->port_high;

	*low = use->low < *low ? use->low : *low;
	*high = use->high > *high ? use->high : *high;
}

/* In the network namespace of queries: what its tables say. */
static int tables_count(void *to, uint32_t netns)
{
	struct scan *s = to;
	struct port_range *r = s->range;
	struct bind_range_settings settings = {};
	int err;

	if (!local_ports_read(&settings))
		return -EIO;
	r->bpf->bss->port_low = UINT16_MAX;
	r->bpf->bss->port_high = 0;
	for (size_t i = 0; i < s->count; i++)
		if (s->queries[i].event.place.netns == netns) {
			s->settings[i] = settings;
			bind_range_begin(&s->counts[i], &s->queries[i].event, &s->settings[i]);
			ports_widen(r, &s->counts[i].use);
		}
	err = records_count(r->tcp, s);
	return err ? err : records_count(r->udp, s);
}

/* All queries about it. Returns a negative errno if the way back failed. */
static int queries_count(struct scan *s, uint32_t netns)
{
	int failed, err = namespace_within(netns, tables_count, s, &failed);

	for (size_t i = 0; i < s->count; i++)
		if (s->queries[i].event.place.netns == netns)
			s->failed[i] = failed;
	return err;
}

static int scan_all(struct scan *s)
{
	struct port_range *r = s->range;
	int err = 0;

	for (size_t i = 0; i < s->count && !err; i++) {
		bool seen = false;

		for (size_t j = 0; j < i; j++)
			seen |= s->queries[j].event.place.netns == s->queries[i].event.place.netns;
		if (!seen)
			err = queries_count(s, s->queries[i].event.place.netns);
	}
	r->bpf->bss->port_low = UINT16_MAX;
	r->bpf->bss->port_high = 0;
	for (size_t i = 0; i < s->count; i++)
		if (!s->failed[i])
			ports_widen(r, &s->counts[i].use);
	if (!err && records_count(r->held, s))
		memset(s->failed, true, s->count * sizeof(*s->failed));
	return err;
}

int port_range_count(struct port_range **out, struct port_range_query *queries, size_t count)
{
	struct port_range *r = *out ? *out : calloc(1, sizeof(*r));
	struct scan s = { .range = r,
			  .queries = queries,
			  .count = count,
			  .counts = calloc(count, sizeof(*s.counts)),
			  .settings = calloc(count, sizeof(*s.settings)),
			  .failed = calloc(count, sizeof(*s.failed)) };
	int err = r && s.counts && s.settings && s.failed ? 0 : -ENOMEM;

	for (size_t i = 0; i < count; i++)
		queries[i].counted = false;
	*out = r;
	if (!err && !r->bpf && ports_load(r))
		goto out; /* told without counts */
	if (!err)
		err = scan_all(&s);
	for (size_t i = 0; i < count && !err; i++)
		if (!s.failed[i]) {
			bind_range_end(&s.counts[i]);
			queries[i].use = s.counts[i].use;
			queries[i].counted = true;
		}
out:
	free(s.counts);
	free(s.settings);
	free(s.failed);
	return err;
}

bool port_range_same(const struct bind_event *a, const struct bind_event *b)
{
	const struct bind_place *x = &a->place, *y = &b->place;

	return a->call == b->call && x->protocol == y->protocol && x->family == y->family &&
	       x->netns == y->netns && x->device == y->device && x->uid == y->uid &&
	       x->reuseaddr == y->reuseaddr && x->reuseport == y->reuseport &&
	       x->v6only == y->v6only && !memcmp(x->address, y->address, sizeof(x->address)) &&
	       a->range_low == b->range_low && a->range_high == b->range_high &&
	       a->peer.port == b->peer.port &&
	       !memcmp(a->peer.address, b->peer.address, sizeof(a->peer.address));
}
