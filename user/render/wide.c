/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Folds the threads of wide processes. Rows are sorted by process and thread, the busiest threads
 * of each process are set apart, and the rest is grouped by name and put into words. */
#include "wide.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../model/array.h"
#include "memory.h"
#include "text.h"

#define THREADS_WIDE 64 /* a process with more threads is folded */
#define SINGLES 5       /* this many of its busiest threads keep rows of their own */

/* How many bytes a thread's name has without the number at its end. */
static size_t name_length(const struct worker_row *w)
{
	size_t length = strnlen(w->comm, sizeof(w->comm));

	while (length && w->comm[length - 1] >= '0' && w->comm[length - 1] <= '9')
		length--;
	return length;
}

static int compare_names(const struct worker_row *x, const struct worker_row *y)
{
	const size_t a = name_length(x), b = name_length(y);
	const int order = memcmp(x->comm, y->comm, a < b ? a : b);

	return order ? order : COMPARE(a, b);
}

static int compare_threads(const struct wide_row *x, const struct wide_row *y)
{
	const struct worker_row *a = x->worker, *b = y->worker;

	if (a->pid != b->pid)
		return COMPARE(a->pid, b->pid);
	return a->tid != b->tid ? COMPARE(a->tid, b->tid) : COMPARE(a->start_ns, b->start_ns);
}

static int by_thread(const void *a, const void *b)
{
	return compare_threads(*(struct wide_row *const *)a, *(struct wide_row *const *)b);
}

/* A thread, with its row or rows. */
struct wide_thread {
	struct wide_row **rows;
	size_t row_count;
	uint64_t count, served;
};

static int by_busiest(const void *a, const void *b)
{
	const struct wide_thread *x = a, *y = b;

	if (x->count != y->count)
		return COMPARE(y->count, x->count);
	return x->served != y->served ? COMPARE(y->served, x->served)
				      : compare_threads(x->rows[0], y->rows[0]);
}

static int by_name(const void *a, const void *b)
{
	const struct wide_thread *x = a, *y = b;
	const int order = compare_names(x->rows[0]->worker, y->rows[0]->worker);

	return order ? order : compare_threads(x->rows[0], y->rows[0]);
}

/* Collects the threads of sorted rows, so that those of a process follow each other. Returns how
 * many threads there are. */
static size_t threads_of(struct wide_thread *threads, struct wide_row **rows, size_t count)
{
	size_t made = 0;

	for (size_t i = 0; i < count; i++) {
		if (!i || compare_threads(rows[i - 1], rows[i]))
			threads[made++] = (struct wide_thread){ .rows = &rows[i] };
		threads[made - 1].row_count++;
		threads[made - 1].count += rows[i]->count;
		threads[made - 1].served += rows[i]->served;
	}
	return made;
}

/* Names the fold. The threads' names are alike except for a number. */
static void fold_name(struct wide_fold *fold, const struct wide_thread *threads, size_t count)
{
	const struct worker_row *first = threads[0].rows[0]->worker;
	bool numbered = false;

	for (size_t i = 1; i < count; i++)
		numbered |= strncmp(threads[i].rows[0]->worker->comm, first->comm,
				    sizeof(first->comm)) != 0;
	snprintf(fold->name, sizeof(fold->name), "%.*s%s",
		 (int)(numbered ? name_length(first) : sizeof(first->comm)), first->comm,
		 numbered ? "*" : "");
}

/* Makes a fold of threads with one name. number: of the fold, counted from 1. */
static void fold_make(struct wide_fold *fold, const struct wide_thread *threads, size_t count,
		      size_t number)
{
	*fold = (struct wide_fold){ .pid = threads[0].rows[0]->worker->pid,
				    .threads = count,
				    .generation = threads[0].rows[0]->worker->generation };
	fold_name(fold, threads, count);
	for (size_t i = 0; i < count; i++) {
		fold->count += threads[i].count;
		fold->served += threads[i].served;
	}
	for (size_t i = 0; i < count; i++) {
		const struct wide_thread *t = &threads[i];
		const uint64_t work = fold->count ? t->count : t->served;
		bool takes = false, ended = true;

		for (size_t r = 0; r < t->row_count; r++) {
			takes |= t->rows[r]->takes;
			ended &= t->rows[r]->ended;
			fold->total += t->rows[r]->total;
			t->rows[r]->fold = number;
		}
		fold->busiest = work > fold->busiest ? work : fold->busiest;
		fold->ended += ended;
		fold->idle += !work && (takes || !fold->count);
	}
}

/* Folds the threads of one process. Returns how many folds were made. */
static size_t fold_process(struct wide_fold *folds, size_t made, struct wide_thread *threads,
			   size_t count)
{
	size_t singles = 0, before = made;

	if (count <= THREADS_WIDE)
		return 0;
	qsort(threads, count, sizeof(*threads), by_busiest);
	while (singles < SINGLES && (threads[singles].count || threads[singles].served))
		singles++;
	threads += singles;
	count -= singles;
	qsort(threads, count, sizeof(*threads), by_name);
	for (size_t from = 0, end; from < count; from = end) {
		for (end = from + 1; end < count && !compare_names(threads[from].rows[0]->worker,
								   threads[end].rows[0]->worker);
		     end++)
			;
		if (end - from > 1) {
			fold_make(&folds[made], &threads[from], end - from, made + 1);
			made++;
		}
	}
	return made - before;
}

int wide_fold(struct wide_row *rows, size_t row_count, struct wide_fold **folds, size_t *fold_count)
{
	struct wide_row **sorted = render_needs(calloc(row_count + 1, sizeof(*sorted)));
	struct wide_thread *threads = render_needs(calloc(row_count + 1, sizeof(*threads)));
	size_t count;
	int err = -ENOMEM;

	*fold_count = 0;
	*folds = render_needs(calloc(row_count / 2 + 1, sizeof(**folds)));
	if (!sorted || !threads || !*folds)
		goto out;
	for (size_t i = 0; i < row_count; i++) {
		sorted[i] = &rows[i];
		rows[i].fold = 0;
	}
	qsort(sorted, row_count, sizeof(*sorted), by_thread);
	count = threads_of(threads, sorted, row_count);
	for (size_t from = 0, end; from < count; from = end) {
		for (end = from + 1; end < count && threads[end].rows[0]->worker->pid ==
							    threads[from].rows[0]->worker->pid;
		     end++)
			;
		*fold_count += fold_process(*folds, *fold_count, &threads[from], end - from);
	}
	err = 0;
out:
	free(threads);
	free(sorted);
	return err;
}

char *wide_words(char buffer[WIDE_SIZE], const struct wide_fold *fold, const char *taken,
		 bool since, bool utf8)
{
	const bool serves_only = !fold->count && fold->served;
	char name[sizeof(fold->name)], number[TEXT_COUNT_SIZE];
	int used = snprintf(buffer, WIDE_SIZE, "%s %s %zu of %" PRId32 ":",
			    text_name(name, fold->name, sizeof(name) - 1, utf8), utf8 ? "×" : "x",
			    fold->threads, fold->pid);

	if (!serves_only)
		used += snprintf(buffer + used, WIDE_SIZE - used, " %s %s",
				 text_count(number, fold->count), taken);
	if (!serves_only && since)
		used += snprintf(buffer + used, WIDE_SIZE - used, ", %s since start",
				 text_count(number, fold->total));
	if (fold->served && fold->served != fold->count)
		used += snprintf(buffer + used, WIDE_SIZE - used, "%s %s served",
				 serves_only ? "" : ",", text_count(number, fold->served));
	if (fold->busiest)
		used += snprintf(buffer + used, WIDE_SIZE - used, ", busiest %s",
				 text_count(number, fold->busiest));
	if (fold->idle)
		used += snprintf(buffer + used, WIDE_SIZE - used, ", %s idle",
				 text_count(number, fold->idle));
	if (fold->generation == GENERATION_EARLIER)
		snprintf(buffer + used, WIDE_SIZE - used,
			 fold->ended ? " (old generation)" : " (takes no more)");
	else if (fold->ended)
		snprintf(buffer + used, WIDE_SIZE - used, ", %s ended",
			 text_count(number, fold->ended));
	return buffer;
}
