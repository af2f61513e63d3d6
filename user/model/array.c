/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "array.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_LEAST 4 /* some kinds of lists exist in large numbers, nearly all of them short */

void *array_grow(void *rows, size_t count, size_t *room, size_t size)
{
	const size_t more = *room ? *room * 2 : ROOM_LEAST;

	if (count < *room)
		return rows;
	rows = reallocarray(rows, more, size);
	if (rows)
		*room = more;
	return rows;
}

void *array_add(struct array *a, const void *row, size_t size)
{
	void *rows = array_grow(a->rows, a->count, &a->room, size);

	if (!rows)
		return NULL;
	a->rows = rows;
	return memcpy((char *)rows + a->count++ * size, row, size);
}

void array_sort(struct array *a, size_t size, int (*compare)(const void *, const void *))
{
	const char *rows = a->rows;
	size_t i = 1;

	while (i < a->count && compare(rows + (i - 1) * size, rows + i * size) <= 0)
		i++;
	if (i < a->count)
		qsort(a->rows, a->count, size, compare);
}

int array_by_u32(const void *a, const void *b)
{
	return COMPARE(*(const uint32_t *)a, *(const uint32_t *)b);
}

int array_by_u64(const void *a, const void *b)
{
	return COMPARE(*(const uint64_t *)a, *(const uint64_t *)b);
}

void array_unique(struct array *a, size_t size, int (*compare)(const void *, const void *))
{
	char *rows = a->rows;
	size_t kept = 0;

	for (size_t i = 0; i < a->count; i++)
		if (!kept || compare(rows + (kept - 1) * size, rows + i * size))
			memmove(rows + kept++ * size, rows + i * size, size);
	a->count = kept;
}

size_t array_first(const struct array *a, size_t size, const void *key,
		   int (*compare)(const void *, const void *))
{
	size_t low = 0, high = a->count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (compare((const char *)a->rows + middle * size, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < a->count && !compare((const char *)a->rows + low * size, key) ? low : a->count;
}

void *array_find(const struct array *a, size_t size, const void *key,
		 int (*compare)(const void *, const void *))
{
	const size_t at = array_first(a, size, key, compare);

	return at < a->count ? (char *)a->rows + at * size : NULL;
}

void *array_equal(const struct array *a, size_t size, const void *key,
		  int (*compare)(const void *, const void *), size_t *count)
{
	const size_t at = array_first(a, size, key, compare);

	for (*count = 0;
	     at + *count < a->count && !compare((const char *)a->rows + (at + *count) * size, key);
	     ++*count)
		;
	return *count ? (char *)a->rows + at * size : NULL;
}

int array_index_make(struct array_index *index, const void *rows, size_t count, size_t size,
		     int (*compare)(const void *, const void *))
{
	*index = (struct array_index){ .count = count, .compare = compare };
	index->rows = calloc(count + 1, sizeof(*index->rows));
	if (!index->rows)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		index->rows[i] = (const char *)rows + i * size;
	qsort(index->rows, count, sizeof(*index->rows), compare);
	return 0;
}

const void *array_index_find(const struct array_index *index, const void *row)
{
	const void **found = index->rows ? bsearch(&row, index->rows, index->count,
						   sizeof(*index->rows), index->compare)
					 : NULL;

	return found ? *found : NULL;
}

int compare_u64(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return COMPARE(*x, *y);
}

int compare_i32(const void *a, const void *b)
{
	const int32_t *x = a, *y = b;

	return COMPARE(*x, *y);
}

int compare_double(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return COMPARE(*x, *y);
}
