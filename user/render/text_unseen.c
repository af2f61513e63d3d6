/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the backend does not see on this kernel, where it may concern a count that is shown. The
 * remarks are those of user/attach/probe.c; `doctor` and the JSON document have all of them. */
#include <stdlib.h>
#include <string.h>

#include "../model/array.h"
#include "memory.h"
#include "text_parts.h"

/* How many connections came to the port, and were neither taken nor lost, nor are in a queue now: a
 * thread may have taken them unseen. */
static uint64_t taken_unseen(const struct endpoint *e)
{
	uint64_t arrived = e->omitted.arrived, known = e->omitted.dropped_closing,
		 accepted = e->omitted.accepted, before = e->omitted.queued_before;

	for (size_t i = 0; i < e->socket_count; i++) {
		const struct socket_row *s = &e->sockets[i];

		arrived += s->arrived;
		accepted += s->accepted;
		before += s->queued_before;
		known += s->dropped_closing + (s->queue_known ? s->queue_length : 0);
	}
	return growth(arrived, known + growth(accepted, before));
}

/* May accepts be missing in what is shown? Without arrivals that can't be told. */
static bool accepts_may_miss(const struct snapshot *s)
{
	for (size_t i = 0; i < s->unseen_count; i++)
		if (!strncmp(s->unseen[i], "arrivals of TCP", strlen("arrivals of TCP")))
			return true;
	for (size_t i = 0; i < s->endpoint_count; i++)
		if (s->endpoints[i].protocol == PROTOCOL_TCP && taken_unseen(&s->endpoints[i]))
			return true;
	return !s->endpoint_count;
}

/* Does the remark concern this snapshot? One about one protocol names it, or says "accepts". */
static bool concerns(const struct snapshot *s, const char *unseen)
{
	bool tcp = !s->endpoint_count, udp = tcp;

	for (size_t i = 0; i < s->endpoint_count; i++) {
		tcp |= s->endpoints[i].protocol == PROTOCOL_TCP;
		udp |= s->endpoints[i].protocol == PROTOCOL_UDP;
	}
	if (strstr(unseen, "UDP_GRO")) /* text_buffers() says it of each port that it is about */
		return false;
	if (strstr(unseen, "UDP"))
		return udp;
	if (!strncmp(unseen, "accepts by", strlen("accepts by")))
		return tcp && accepts_may_miss(s);
	return tcp || !(strstr(unseen, "TCP") || strstr(unseen, "accepts"));
}

void text_unseen(FILE *out, const struct snapshot *s, const struct text_style *style)
{
	char *words = NULL;
	size_t size, said = 0;
	FILE *memory = s->unseen_count ? words_open(&words, &size) : NULL;

	if (!memory)
		return;
	for (size_t i = 0; i < s->unseen_count; i++)
		if (concerns(s, s->unseen[i]))
			fprintf(memory, "%s%s",
				said++ ? "; " : "  this backend does not see: ", s->unseen[i]);
	if (words_close(memory, &words) && said) {
		text_wrapped(out, words, 0, 4, TEXT_BREAK_WORDS, style);
		fputc('\n', out);
	}
	free(words);
}
