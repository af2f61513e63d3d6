/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The JSON members about TCP handshakes: half-open connections of a listener, and the counters of
 * each network namespace. */
#include "json_handshakes.h"

void json_half_open(struct json_writer *w, const struct socket_row *s)
{
	const struct half_open *q = &s->half_open;

	json_open(w, "half_open", '{');
	json_number_if(w, "length", q->known, q->count);
	json_number_if(w, "repeated", q->known, q->old);
	json_number_if(w, "limit", q->known, q->limit);
	json_number_if(w, "highest", q->known || q->highest, q->highest);
	json_close(w, '}');
	if (!q->defers) {
		json_nothing(w, "withheld");
		return;
	}
	json_open(w, "withheld", '{');
	json_number(w, "least", q->withheld_least);
	json_number(w, "most", q->withheld_most);
	json_close(w, '}');
}

static void namespace(struct json_writer *w, const struct handshakes *h)
{
	const struct handshake_counts c = handshakes_counted(h);
	const struct handshake_settings *settings = &h->settings;

	json_open(w, NULL, '{');
	json_number(w, "netns", h->netns);
	json_bool(w, "since_made", h->since_made);
	json_number(w, "request_queue_full_drops", c.full_refused);
	json_number(w, "request_queue_full_cookies", c.full_cookies);
	json_number(w, "listen_overflows", c.overflows);
	json_number(w, "listen_drops", c.refused);
	json_number(w, "defer_accept_drops",
		    growth(h->withheld_now.after, h->withheld_first.after));
	json_number_if(w, "tcp_syncookies", settings->known, settings->cookies);
	json_number_if(w, "tcp_max_syn_backlog", settings->known, settings->max_syn_backlog);
	json_number_if(w, "tcp_synack_retries", settings->known, settings->synack_retries);
	json_close(w, '}');
}

void json_namespaces(struct json_writer *w, const struct snapshot *s)
{
	json_open(w, "namespaces", '[');
	for (size_t i = 0; i < s->handshake_count; i++)
	namespace(w, &s->handshakes[i]);
	json_close(w, ']');
}
