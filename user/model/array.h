/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows of one kind: a growing list of rows, and lookups of one list's rows in another. */
#ifndef SOCKFAIR_ARRAY_H
#define SOCKFAIR_ARRAY_H

#include <stddef.h>

/* For the comparisons of qsort(). */
#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))
int compare_u64(const void *a, const void *b);
int compare_i32(const void *a, const void *b);
int compare_double(const void *a, const void *b);

/* All zero is an empty array; free(array.rows) ends it. `size` is the size of a row in bytes, the
 * same in each call. */
struct array {
	void *rows;
	size_t count, room;
};

/* Appends a copy of the row and returns the copy, which may move when the next row is added. NULL:
 * no memory, and the array is unchanged. */
void *array_add(struct array *a, const void *row, size_t size);

/* The same for a list that is not a struct array: makes room for one more row and returns the new
 * address of the rows. NULL: no memory, and the rows stay where they were. */
void *array_grow(void *rows, size_t count, size_t *room, size_t size);

/* Of rows that are in order already each is compared once. */
void array_sort(struct array *a, size_t size, int (*compare)(const void *, const void *));

/* Compare rows that begin with a number of this type; a key may be the number alone. */
int array_by_u32(const void *a, const void *b);
int array_by_u64(const void *a, const void *b);

/* Keeps only the first of the rows that compare equal. The array must be sorted. */
void array_unique(struct array *a, size_t size, int (*compare)(const void *, const void *));

/* Index of the first row of a sorted array that compares equal to the key; a->count: there is none.
 */
size_t array_first(const struct array *a, size_t size, const void *key,
		   int (*compare)(const void *, const void *));

/* array_find() returns that row itself, NULL if there is none. array_equal() returns the first of
 * all equal rows and sets *count to their number. */
void *array_find(const struct array *a, size_t size, const void *key,
		 int (*compare)(const void *, const void *));
void *array_equal(const struct array *a, size_t size, const void *key,
		  int (*compare)(const void *, const void *), size_t *count);

/* Pointers to the rows of a list, in order. `compare` gets pointers to such pointers, as qsort()
 * passes them. */
struct array_index {
	const void **rows;
	size_t count;
	int (*compare)(const void *, const void *);
};

/* Returns 0 or -ENOMEM; free(index->rows) in either case. The rows must not move while the index is
 * in use. */
int array_index_make(struct array_index *index, const void *rows, size_t count, size_t size,
		     int (*compare)(const void *, const void *));

/* The row that compares equal to `row`; NULL: there is none. */
const void *array_index_find(const struct array_index *index, const void *row);

#endif
