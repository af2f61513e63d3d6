/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows of one kind: a list of them that grows, and rows of one list found in another. */
#ifndef SOCKFAIR_ARRAY_H
#define SOCKFAIR_ARRAY_H

#include <stddef.h>

/* For the comparisons of qsort(). */
#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))
int compare_u64(const void *a, const void *b);
int compare_i32(const void *a, const void *b);
int compare_double(const void *a, const void *b);

/* All zero is an empty one; free(array.rows) ends it. `size` is a row's, in bytes, the same in each
 * call. */
struct array {
	void *rows;
	size_t count, room;
};

/* Appends a copy of the row and returns it: it stays there until the next is added. NULL: no
 * memory, and the array is as it was. */
void *array_add(struct array *a, const void *row, size_t size);

/* The same for a list whose rows, count and room are kept apart: makes room for one more, and
 * returns where the rows are. NULL: no memory, and they are where they were. */
void *array_grow(void *rows, size_t count, size_t *room, size_t size);

void array_sort(struct array *a, size_t size, int (*compare)(const void *, const void *));

/* Comparisons of rows that begin with such a number; a key may be the number alone. */
int array_by_u32(const void *a, const void *b);
int array_by_u64(const void *a, const void *b);

/* Of the rows that compare equal only the first stays, in a sorted array. */
void array_unique(struct array *a, size_t size, int (*compare)(const void *, const void *));

/* The first row that compares equal to the key, of a sorted array; a->count: none does. */
size_t array_first(const struct array *a, size_t size, const void *key,
		   int (*compare)(const void *, const void *));

/* Likewise, the row itself; NULL: there is none. And all such rows: the first, and *count. */
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

/* Returns 0 or -ENOMEM; either way free(index->rows). The rows must stay where they are. */
int array_index_make(struct array_index *index, const void *rows, size_t count, size_t size,
		     int (*compare)(const void *, const void *));

/* The row that compares equal to this one; NULL: none does. */
const void *array_index_find(const struct array_index *index, const void *row);

#endif
