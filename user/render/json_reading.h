/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How documents are read: json_reader.c has the file and its documents, json_result.c those of
 * results, json_saved.c those of comparisons, json_fields.c the members of objects.
 *
 * The first error stays in the reader and has been told; from there on nothing is read: members are
 * as if they were not there. So one look at `err` is enough before what was read is used.
 */
#ifndef SOCKFAIR_JSON_READING_H
#define SOCKFAIR_JSON_READING_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "json_reader.h"

#define FOREIGN "is this a result of sockfair --json?"
#define TWO_KINDS "a result and a saved comparison in one file; give each a file of its own"
#define NO_MEMORY "out of memory; take fewer ports (watch -P)"

struct reader {
	FILE *file;
	const char *path, *name;
	char *why;
	int err; /* a negative errno, and *why says which; -ENOMEM may have no words yet */
	struct comparison *c;
	uint16_t port;            /* 0: all */
	bool has_side, has_saved; /* a side for results; sides of a saved comparison */
	size_t side;              /* the number of the former */
	size_t results, intervals, finals;
	size_t ports_seen[8], ports; /* that were not asked for: the first few, and how many */
	size_t line, bytes;          /* where the next byte is; bytes of this document so far */
	size_t first_line;           /* where this document began */
	bool too_long, is_object;    /* of this document: it begins with a brace */
	json_t *document;            /* the present one */
};

/* Keeps the first error, with its words: "what; what to do". */
void reader_fail(struct reader *r, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same of a member: "endpoints[3].port" is put before what is told. */
void reader_fail_at(struct reader *r, const json_t *from, const char *member, const char *format,
		    ...) __attribute__((format(printf, 4, 5)));

/* "a number"; "missing" of NULL */
const char *reader_type_name(const json_t *value);

/* OPTIONAL: it may be null, or not be there: NULL, "", NaN. */
enum need { OPTIONAL, REQUIRED };

json_t *field_object(struct reader *r, const json_t *from, const char *key, enum need need);
json_t *field_array(struct reader *r, const json_t *from, const char *key, enum need need);
/* What is longer than `size` is cut. */
void field_text(struct reader *r, const json_t *from, const char *key, enum need need, char *to,
		size_t size);
bool field_bool(struct reader *r, const json_t *from, const char *key);
/* At least 0. */
double field_real(struct reader *r, const json_t *from, const char *key, enum need need);
/* A whole number that is exact. */
double field_count(struct reader *r, const json_t *from, const char *key, enum need need);
/* A count that is required, up to `max`. */
double field_number(struct reader *r, const json_t *from, const char *key, double max);
/* Adds a count, if there is one, to a sum that is NaN (not known) before the first. */
void field_add(struct reader *r, const json_t *from, const char *key, enum need need, double *sum);
enum verdict field_verdict(struct reader *r, const json_t *from, const char *key);
/* Why a verdict is withheld; null, or not there: it is not. */
enum withheld field_reason(struct reader *r, const json_t *from, const char *key);
/* An element, which has to be an object. */
const json_t *field_element(struct reader *r, const json_t *array, size_t i);

/* What a result is of. */
void reader_key(struct reader *r, const json_t *from, struct comparison_key *key);
/* Not the port that was asked for: remembered, for the error if none is. */
bool reader_is_other_port(struct reader *r, struct comparison_key *key);
/* As comparison_add(). */
void reader_add_run(struct reader *r, size_t side, const struct comparison_key *key,
		    const char *setup, const struct comparison_run *run, const char *skipped);

/* The documents. */
void reader_result(struct reader *r, const json_t *json);
void reader_saved(struct reader *r, const json_t *json);

#endif
