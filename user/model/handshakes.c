/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "handshakes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "snapshot.h"

static int by_netns(const void *a, const void *b)
{
	const struct handshakes *x = a, *y = b;

	return COMPARE(x->netns, y->netns);
}

static int by_cookie(const void *a, const void *b)
{
	const struct deferring *x = a, *y = b;

	return COMPARE(x->cookie, y->cookie);
}

const struct handshakes *handshakes_find(const struct handshakes *rows, size_t count,
					 uint32_t netns)
{
	const struct handshakes key = { .netns = netns };

	return count ? bsearch(&key, rows, count, sizeof(*rows), by_netns) : NULL;
}

static struct handshakes *handshakes_row(struct handshake_set *set, uint32_t netns)
{
	return (struct handshakes *)handshakes_find(set->rows, set->count, netns);
}

/* ---- /proc/net/netstat ---- */

/* Returns 1 if it is one of the counters that we need. */
static unsigned counter_take(struct handshake_counters *c, const char *name, uint64_t value)
{
	const struct {
		const char *name;
		uint64_t *to;
	} known[] = {
		{ "TCPReqQFullDrop", &c->counts.full_refused },
		{ "TCPReqQFullDoCookies", &c->counts.full_cookies },
		{ "ListenOverflows", &c->counts.overflows },
		{ "ListenDrops", &c->counts.refused },
		{ "TCPDeferAcceptDrop", &c->withheld },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (!strcmp(name, known[i].name)) {
			*known[i].to = value;
			return 1;
		}
	return 0;
}
#define COUNTERS 5

/* The text has a line of names and a line of values, and both begin with "TcpExt:". */
bool handshakes_parse(struct handshake_counters *c, char *text)
{
	char *names = strstr(text, "TcpExt:"), *values = names ? strchr(names, '\n') : NULL, *end,
	     *name, *value, *in_names, *in_values;
	unsigned found = 0;

	*c = (struct handshake_counters){};
	if (!values)
		return false;
	*values++ = 0;
	end = strchr(values, '\n');
	if (end)
		*end = 0;
	name = strtok_r(names, " ", &in_names);
	value = strtok_r(values, " ", &in_values);
	while (name && value && (name = strtok_r(NULL, " ", &in_names)) &&
	       (value = strtok_r(NULL, " ", &in_values)))
		found += counter_take(c, name, strtoull(value, NULL, 10));
	return found == COUNTERS;
}

/* ---- looks ---- */

static struct handshakes row_begin(const struct handshake_look *look, enum handshake_when when)
{
	struct handshakes h = { .netns = look->netns, .since_made = when == HANDSHAKES_LISTED };

	if (when != HANDSHAKES_LISTED)
		h.first = look->counts;
	if (when == HANDSHAKES_BEGIN)
		h.withheld_first = look->withheld;
	if (when == HANDSHAKES_LATER) /* the counts when the window began are not known */
		h.withheld_first.after = look->withheld.after;
	return h;
}

static int rows_enter(struct handshake_set *set, enum handshake_when when,
		      const struct handshake_look *looks, size_t count)
{
	struct handshakes *rows = realloc(set->rows, (set->count + count + 1) * sizeof(*rows));
	const size_t sorted = set->count;

	if (!rows)
		return -ENOMEM;
	set->rows = rows;
	for (size_t i = 0; i < count; i++)
		if (!handshakes_find(rows, sorted, looks[i].netns))
			rows[set->count++] = row_begin(&looks[i], when);
	qsort(rows, set->count, sizeof(*rows), by_netns);
	for (size_t i = 0; i < count; i++) {
		struct handshakes *h = handshakes_row(set, looks[i].netns);

		h->now = looks[i].counts;
		h->withheld_now = looks[i].withheld;
		h->settings = looks[i].settings;
	}
	return 0;
}

/* Adds what one listener counted since the previous look. was NULL: the listener is new */
static void deferring_enter(struct handshake_set *set, enum handshake_when when,
			    const struct deferring *now, const struct deferring *was)
{
	struct handshakes *h = handshakes_row(set, now->netns);

	if (!h)
		return;
	h->deferring++;
	if (was)
		h->deferring_drops += now->drops - was->drops;
	else if (when != HANDSHAKES_BEGIN)
		h->deferring_drops += now->drops;
}

int handshakes_look(struct handshake_set *set, enum handshake_when when,
		    const struct handshake_look *looks, size_t count,
		    const struct deferring *deferring, size_t deferring_count)
{
	struct deferring *now = calloc(deferring_count + 1, sizeof(*now)), *was = set->deferring;
	const struct deferring *end = was + set->deferring_count;
	int err = now ? rows_enter(set, when, looks, count) : -ENOMEM;

	if (err) {
		free(now);
		return err;
	}
	if (deferring_count)
		memcpy(now, deferring, deferring_count * sizeof(*now));
	qsort(now, deferring_count, sizeof(*now), by_cookie);
	for (size_t i = 0; i < set->count; i++)
		set->rows[i].deferring = 0;
	for (size_t i = 0; i < deferring_count || was < end;) {
		const int order = i == deferring_count ? 1
				  : was == end         ? -1
						       : by_cookie(&now[i], was);

		if (order > 0) {
			struct handshakes *h = handshakes_row(set, was++->netns);

			if (h)
				h->deferring_gone++;
			continue;
		}
		deferring_enter(set, when, &now[i++], order ? NULL : was);
		was += !order;
	}
	free(set->deferring);
	set->deferring = now;
	set->deferring_count = deferring_count;
	return 0;
}

void handshakes_clear(struct handshake_set *set)
{
	free(set->rows);
	free(set->deferring);
	*set = (struct handshake_set){};
}

uint32_t half_open_limit(const struct handshakes *h, uint32_t backlog)
{
	const uint32_t most =
		h && h->settings.known && !h->settings.cookies
			? h->settings.max_syn_backlog - h->settings.max_syn_backlog / 4
			: UINT32_MAX;

	return backlog < most ? backlog : most;
}

void half_open_look(struct half_open *q, uint32_t count, uint32_t young)
{
	q->known = true;
	q->count = count;
	q->old = young < count ? count - young : 0; /* the two are read one after the other */
	q->highest = count > q->highest ? count : q->highest;
	q->full_looks += count && count >= q->limit;
	q->defers |= q->defer_accept != 0;
}

/* ---- differences ---- */

void half_open_subtract(struct half_open *now, const struct half_open *was)
{
	if (now->highest <= was->highest)
		now->highest = now->count; /* the maximum was reached earlier; in this interval it
					      was at least this */
	now->full_looks = growth(now->full_looks, was->full_looks);
}

int handshakes_difference(struct snapshot *out, const struct snapshot *now,
			  const struct snapshot *before)
{
	out->handshakes = calloc(now->handshake_count + 1, sizeof(*out->handshakes));
	out->handshake_count = out->handshakes ? now->handshake_count : 0;
	for (size_t i = 0; i < out->handshake_count; i++) {
		struct handshakes *h = &out->handshakes[i];
		const struct handshakes *was = handshakes_find(
			before->handshakes, before->handshake_count, now->handshakes[i].netns);

		*h = now->handshakes[i];
		if (!was)
			continue;
		h->first = was->now;
		h->withheld_first = was->withheld_now;
		h->deferring_drops = growth(h->deferring_drops, was->deferring_drops);
		h->deferring_gone = growth(h->deferring_gone, was->deferring_gone);
	}
	return out->handshakes ? 0 : -ENOMEM;
}

struct handshake_counts handshakes_counted(const struct handshakes *h)
{
	return (struct handshake_counts){
		.full_refused = growth(h->now.full_refused, h->first.full_refused),
		.full_cookies = growth(h->now.full_cookies, h->first.full_cookies),
		.overflows = growth(h->now.overflows, h->first.overflows),
		.refused = growth(h->now.refused, h->first.refused)
	};
}

/* ---- withheld ACKs ---- */

/*
 * The socket withheld at least as many ACKs as the namespace counted minus what other sockets may
 * have withheld. The namespace's counter can't be read at the same moment as the sockets', so it is
 * read before and after them, at both ends of the window.
 */
static void withheld_fill(struct half_open *q, uint64_t drops, const struct handshakes *h)
{
	uint64_t least, most;

	q->withheld_least = 0;
	q->withheld_most = q->defers ? drops : 0;
	if (!q->defers || !h)
		return;
	most = growth(h->withheld_now.after, h->withheld_first.before);
	if (most < q->withheld_most)
		q->withheld_most = most;
	if (h->since_made || h->deferring_gone)
		return;
	least = growth(growth(h->withheld_now.before, h->withheld_first.after),
		       growth(h->deferring_drops, drops));
	q->withheld_least = least < q->withheld_most ? least : q->withheld_most;
}

void handshakes_fill(struct snapshot *s)
{
	for (size_t i = 0; i < s->endpoint_count; i++) {
		struct endpoint *e = &s->endpoints[i];
		const struct handshakes *h =
			handshakes_find(s->handshakes, s->handshake_count, e->netns);

		for (size_t k = 0; k < e->socket_count && e->protocol == PROTOCOL_TCP; k++)
			withheld_fill(&e->sockets[k].half_open, e->sockets[k].drops, h);
	}
}

uint64_t drops_least(const struct socket_row *s)
{
	return growth(s->drops, s->half_open.withheld_most);
}

uint64_t drops_most(const struct socket_row *s)
{
	return growth(s->drops, s->half_open.withheld_least);
}

unsigned half_open_seconds(unsigned retries)
{
	unsigned seconds = 0;

	for (unsigned i = 0; i <= retries; i++)
		seconds += i < 7 ? 1u << i : 120; /* TCP_RTO_MAX */
	return seconds;
}
