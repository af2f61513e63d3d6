/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a port's accept queues did, in lines under its tables: text_waits() in text_parts.h has a
 * sample. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "../model/wait_sum.h"
#include "memory.h"
#include "text_parts.h"

#define INDENT 11 /* where the words of a line begin, aligned with text_fairness() */

bool text_hands_over(const struct endpoint *e)
{
	for (size_t i = 0; i < e->worker_count; i++)
		if (e->workers[i].serves && e->workers[i].handed.count)
			return true;
	return e->served_known && e->served_fairness.bins > e->worker_fairness.bins;
}

/* Writes "p50 27 us, p90 31 us, p99 1.2 ms, max 3.4 ms". */
static void wait_words(FILE *to, const struct wait_sum *sum)
{
	char p50[TEXT_DURATION_SIZE], p90[TEXT_DURATION_SIZE], p99[TEXT_DURATION_SIZE],
		max[TEXT_DURATION_SIZE];

	text_duration(max, wait_max_ns(&sum->wait));
	if (sum->wait.histogram)
		fprintf(to, "p50 %s, p90 %s, p99 %s, max %s",
			text_duration(p50, wait_sum_quantile_ns(sum, 0.5)),
			text_duration(p90, wait_sum_quantile_ns(sum, 0.9)),
			text_duration(p99, wait_sum_quantile_ns(sum, 0.99)), max);
	else
		fprintf(to, "mean %s, max %s (no room for percentiles)",
			text_duration(p50, wait_mean_ns(&sum->wait)), max);
}

/* The socket whose queue was longest; NULL: no queue had anything in it, or that is not known. */
static const struct socket_row *highest_of(const struct endpoint *e)
{
	const struct socket_row *highest = NULL;

	for (size_t i = 0; i < e->socket_count; i++) {
		const struct socket_row *s = &e->sockets[i];

		if (s->highest_known && s->queue_highest > (highest ? highest->queue_highest : 0))
			highest = s;
	}
	return highest;
}

static uint64_t longest_full_ns(const struct endpoint *e)
{
	uint64_t longest = 0;

	for (size_t i = 0; i < e->socket_count; i++)
		if (e->sockets[i].full_known && e->sockets[i].full_ns > longest)
			longest = e->sockets[i].full_ns;
	return longest;
}

/* Writes "highest queue 12 of 4096, full for 1.2 s". */
static void queue_words(FILE *to, const struct endpoint *e)
{
	const struct socket_row *highest = highest_of(e);
	const uint64_t full_ns = longest_full_ns(e);
	char duration[TEXT_DURATION_SIZE];

	if (highest)
		fprintf(to, "highest queue %" PRIu32, highest->queue_highest);
	if (highest && highest->queue_limit)
		fprintf(to, " of %" PRIu32, highest->queue_limit);
	if (full_ns)
		fprintf(to, "%s %s", highest ? ", full for" : "queue full for",
			text_duration(duration, full_ns));
}

static void waits_line(FILE *out, const struct endpoint *e, bool queue,
		       const struct text_style *style)
{
	struct wait_sum sum = {};
	char *words = NULL;
	size_t size;
	FILE *memory = words_open(&words, &size);

	if (!memory)
		return;
	wait_sum_add_sockets(&sum, e);
	queue &= highest_of(e) || longest_full_ns(e);
	if (sum.wait.count)
		wait_words(memory, &sum);
	if (sum.wait.count && queue)
		fputs("; ", memory);
	if (queue)
		queue_words(memory, e);
	if (words_close(memory, &words) && size) {
		fprintf(out, "  %-8s ", sum.wait.count ? "wait" : "queue");
		text_wrapped(out, words, INDENT, INDENT, TEXT_BREAK_CLAUSES, style);
		fputc('\n', out);
	}
	free(words);
}

static void handed_line(FILE *out, const struct endpoint *e)
{
	struct wait_sum sum = {};
	char count[TEXT_COUNT_SIZE], mean[TEXT_DURATION_SIZE], max[TEXT_DURATION_SIZE];

	for (size_t i = 0; i < e->worker_count; i++)
		wait_sum_add(&sum, e->workers[i].serves, &e->workers[i].handed, NULL);
	if (sum.wait.count)
		fprintf(out, "  %-8s %s to another thread: mean %s, max %s until it read\n",
			"handed", text_count(count, sum.wait.count),
			text_duration(mean, wait_mean_ns(&sum.wait)),
			text_duration(max, wait_max_ns(&sum.wait)));
}

static void count_line(FILE *out, uint64_t count, const char *what)
{
	char number[TEXT_COUNT_SIZE];

	if (count)
		fprintf(out, "  %s %s\n", text_count(number, count), what);
}

void text_waits(FILE *out, const struct endpoint *e, bool queue, const struct text_style *style)
{
	uint64_t before = 0, reset = 0, dropped = e->omitted.dropped_closing,
		 migrated = e->omitted.migrated;

	if (e->protocol != PROTOCOL_TCP)
		return;
	for (size_t i = 0; i < e->socket_count; i++) {
		before += e->sockets[i].queued_before;
		reset += e->sockets[i].reset_queued;
		dropped += e->sockets[i].dropped_closing;
		migrated += e->sockets[i].migrated;
	}
	waits_line(out, e, queue, style);
	handed_line(out, e);
	count_line(out, before, "accepted were queued before the window: not in the waits");
	count_line(out, reset, "accepted had been reset by the client while queued");
	count_line(out, dropped, "reset by the kernel: queued when their socket was closed");
	count_line(out, migrated, "moved to another socket: queued when theirs was closed");
}
